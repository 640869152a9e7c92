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
