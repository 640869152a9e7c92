//! `cas containers`.

use std::{collections::BTreeSet, sync::Arc};

use cas::{
    cli::outcome::Outcome,
    host::handle::Link,
    model::{
        container::{ContainerUsage, ContainerView, Healer, Reach},
        policy::Reply,
        snapshot::Snapshot,
    },
};

use super::{
    fake::{Fake, Ran, engine, run},
    fixture,
};

fn view(name: &str, state: &str) -> ContainerView {
    ContainerView {
        id: "0123456789abcdef".to_owned(),
        name: name.to_owned(),
        image: "postgres:17".to_owned(),
        image_id: "sha256:1".to_owned(),
        state: state.to_owned(),
        health: None,
        exit_code: None,
        oom_killed: false,
        restart_count: 0,
        ports: Vec::new(),
        mounts: Vec::new(),
        environment_names: BTreeSet::from(["PGDATA".to_owned()]),
        project: None,
        service: None,
        made_by: None,
        healer: Healer::Nobody,
        restart_policy: "no".to_owned(),
        usage: None,
        of: None,
        run: None,
    }
}

async fn told(docker: Reach, containers: Vec<ContainerView>, line: &str) -> Ran {
    let containers = containers.into_iter().map(Arc::new).collect();
    let seen = Snapshot { docker, containers, ..fixture::snapshot() };
    let reply = |_: &_| Reply::Accepted { note: String::new() };
    let engine = engine(Link::Connected, seen, Vec::new(), reply, |_| None);
    let outside = Fake { handle: Some(engine.handle.clone()), ..Fake::default() };
    run(&outside, line).await
}

fn reachable() -> Reach {
    let (endpoint, engine, api) = ("unix:///run/d.sock".to_owned(), "Docker 20.10.24".to_owned(), "1.41".to_owned());
    Reach::Reachable { endpoint, engine, api }
}

fn some() -> Vec<ContainerView> {
    let usage = Some(ContainerUsage { cpu_percent: 1.5, memory_bytes: 1 << 20, ..ContainerUsage::default() });
    let healer = Healer::Cas;
    let own = ContainerView { of: Some(fixture::id("db")), usage, healer, ..view("shop-db-1", "running") };
    let theirs = Some("blog".to_owned());
    let loose = ContainerView {
        project: theirs,
        service: Some("web".to_owned()),
        healer: Healer::Docker,
        health: Some("unhealthy".to_owned()),
        ..view("blog-web-1", "running")
    };
    vec![own, loose, ContainerView { exit_code: Some(3), ..view("old", "exited") }]
}

#[tokio::test]
async fn containers_of_services_and_others_are_told_with_who_heals_them() {
    let ran = told(reachable(), some(), "cas containers").await;
    assert_eq!(ran.outcome, Outcome::Ok);
    let rows: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..7], ["shop-db-1", "shop/db", "running", "-", "cas", "1.5%", "1.0"]);
    assert_eq!(rows[2][..7], ["blog-web-1", "blog/web", "(not", "open)", "running", "unhealthy", "Docker"]);
    assert!(
        ran.stdout.ends_with("3 containers in all; Docker 20.10.24, API 1.41, at unix:///run/d.sock\n"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("old"), "{}", ran.stdout);
    let ran = told(reachable(), some(), "cas containers --all").await;
    assert!(ran.stdout.contains("exited (3)"), "{}", ran.stdout);
}

#[tokio::test]
async fn one_that_cannot_be_reached_is_said_to_with_the_reason() {
    let absent = Reach::Absent { why: "there is no socket /x".to_owned() };
    let ran = told(absent.clone(), Vec::new(), "cas containers").await;
    assert_eq!(ran.stdout, "Docker: not reachable (there is no socket /x)\n");
    let ran = told(absent, some(), "cas containers --json --all").await;
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["docker"]["state"], "absent");
    assert_eq!(json["containers"][0]["name"], "shop-db-1");
    assert_eq!(json["containers"][0]["environment_names"][0], "PGDATA");
}

#[tokio::test]
async fn what_takes_up_space_is_a_row_a_kind_or_a_row_a_thing() {
    let ran = told(reachable(), some(), "cas df").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    let rows: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["containers", "2", "1", "63.0", "MB", "12.3", "kB"]);
    assert_eq!(rows[2], ["images", "2", "1", "520", "MB", "98.7", "MB"]);
    assert_eq!(rows[3], ["build-cache", "1", "0", "1.5", "GB", "1.5", "GB"]);
    assert_eq!(rows[4], ["volumes", "2", "1", "?", "?"]);
    let last = "1.6 GB or more could be had back: cas prune --dry-run says what it would remove";
    assert!(ran.stdout.ends_with(&format!("{last}\n")), "{}", ran.stdout);
    let ran = told(reachable(), some(), "cas df --verbose").await;
    assert_eq!(ran.stdout.lines().count(), 9, "{}", ran.stdout);
    assert!(ran.stdout.contains("postgres:16"), "{}", ran.stdout);
    let ran = told(reachable(), some(), "cas df --json").await;
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["kinds"]["build-cache"]["not_used"]["bytes"], 1_500_000_000_u64);
    assert_eq!(json["things"].as_array().unwrap().len(), 7);
}

async fn executed(containers: Vec<ContainerView>, line: &str) -> (Ran, Vec<String>) {
    let containers = containers.into_iter().map(Arc::new).collect();
    let seen = Snapshot { docker: reachable(), containers, ..fixture::snapshot() };
    let engine = engine(Link::Connected, seen, Vec::new(), |_: &_| Reply::Accepted { note: String::new() }, |_| None);
    let outside = Fake { handle: Some(engine.handle.clone()), ..Fake::default() };
    let ran = run(&outside, line).await;
    let tools = outside.tools.borrow().clone();
    (ran, tools)
}

#[tokio::test]
async fn a_command_is_run_in_the_container_that_is_named_by_its_service_its_name_or_its_id() {
    for (line, name) in [
        ("cas exec db psql -U app", "shop-db-1"),
        ("cas exec shop/db psql -U app", "shop-db-1"),
        ("cas exec docker:blog-web-1 psql -U app", "blog-web-1"),
        ("cas shell blog-web-1 psql -U app", "blog-web-1"),
    ] {
        let (ran, tools) = executed(some(), line).await;
        assert_eq!(tools, [format!("execute in {name} (0123456789abcdef): psql -U app")], "{line}: {}", ran.stderr);
        assert_eq!(ran.outcome, Outcome::Ended(3), "its own exit code");
    }
    let (ran, tools) = executed(some(), "cas exec db").await;
    assert_eq!((ran.outcome, tools), (Outcome::Ok, vec!["execute in shop-db-1 (0123456789abcdef): ".to_owned()]));
    let (ran, _) = executed(some(), "cas exec old sh").await;
    assert!(ran.stderr.contains("the container old is exited"), "{}", ran.stderr);
    let (ran, tools) = executed(some(), "cas exec nobody sh").await;
    assert_eq!((ran.outcome, tools.len()), (Outcome::NotFound, 0));
    let (ran, tools) = executed(some(), "cas --read-only exec db sh").await;
    assert_eq!((ran.outcome, tools.len()), (Outcome::Refused, 0));
}
