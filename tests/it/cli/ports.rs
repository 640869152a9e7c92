//! Ports that somebody else has: told before anything is started.

use std::sync::Arc;

use cas::{
    cli::outcome::Outcome,
    host::handle::Link,
    model::{
        phase::{Phase, PortHolder},
        policy::{Plan, Reply, Risk},
        service::{Port, ServiceSpec},
        snapshot::{ServiceView, Snapshot},
    },
};

use super::{
    fake::{Fake, engine, run},
    fixture,
};

/// Two hours before what the tests take for now.
fn holder() -> PortHolder {
    PortHolder {
        because: None,
        port: 8080,
        pid: Some(12),
        command: Some("nginx".to_owned()),
        since_us: Some(fixture::at(200).wall_us - 2 * 3600 * 1_000_000),
        user: None,
        service: None,
    }
}

fn stopped(service: &str, ports: &[u16]) -> Arc<ServiceView> {
    let phase = Phase::Stopped { since: fixture::at(0) };
    Arc::new(ServiceView {
        ports: ports.iter().copied().map(Port).collect(),
        depends_on: Vec::new(),
        ..fixture::view(service, phase, "because")
    })
}

fn of(services: Vec<Arc<ServiceView>>) -> Snapshot {
    Snapshot { services, ..fixture::snapshot() }
}

#[tokio::test]
async fn a_dry_run_of_a_start_names_who_has_the_port() {
    let plan = Plan {
        title: "start web".to_owned(),
        steps: vec!["start web".to_owned()],
        risk: Risk::Reversible,
        fingerprint: 1,
        revision: 0,
    };
    let seen = of(vec![stopped("web", &[8080]), stopped("db", &[5432])]);
    let reply = move |_: &_| Reply::Planned { plan: plan.clone() };
    let engine = engine(Link::Connected, seen, Vec::new(), reply, |_| None);
    let outside = Fake { handle: Some(engine.handle.clone()), holders: vec![holder()], ..Fake::default() };
    let ran = run(&outside, "cas start web --dry-run").await;
    assert_eq!(ran.outcome, Outcome::Ok);
    assert!(
        ran.stdout.contains("  note: web: port 8080 is held by nginx (pid 12, since 2h 0m)\n"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    let json = run(&outside, "cas start web --dry-run --json").await.json();
    assert_eq!(json["plan"]["steps"].as_array().unwrap().len(), 2, "{json}");
    let other = run(&outside, "cas start db --dry-run").await;
    assert!(!other.stdout.contains("8080"), "{}", other.stdout);
}

#[tokio::test]
async fn what_runs_already_and_its_own_process_are_no_strangers() {
    let reply = |_: &_| Reply::Unchanged { note: "nothing to start".to_owned() };
    let running = Arc::new(ServiceView { ports: vec![Port(8080)], ..fixture::view("web", fixture::running(7, 0), "") });
    let busy = engine(Link::Connected, of(vec![running]), Vec::new(), reply, |_| None);
    let outside = Fake { handle: Some(busy.handle.clone()), holders: vec![holder()], ..Fake::default() };
    let ran = run(&outside, "cas start web --no-wait").await;
    assert!(!ran.stderr.contains("8080"), "{}", ran.stderr);
    let accepted = |_: &_| Reply::Accepted { note: "start web".to_owned() };
    let idle = engine(Link::Connected, of(vec![stopped("web", &[8080])]), Vec::new(), accepted, |_| None);
    let own = PortHolder { service: Some(fixture::id("web")), ..holder() };
    let outside = Fake { handle: Some(idle.handle.clone()), holders: vec![own], ..Fake::default() };
    let ran = run(&outside, "cas start web --no-wait").await;
    assert!(!ran.stderr.contains("8080"), "left by an earlier engine, and taken over: {}", ran.stderr);
    let outside = Fake { handle: Some(idle.handle.clone()), holders: vec![holder()], ..Fake::default() };
    let ran = run(&outside, "cas start web --no-wait").await;
    assert!(ran.stderr.contains("note: web: port 8080 is held by nginx"), "{}", ran.stderr);
}

#[tokio::test]
async fn up_and_check_name_the_holder_before_an_engine_runs() {
    let mut project = fixture::project();
    let web = Arc::clone(&project.services[0]);
    project.services[0] = Arc::new(ServiceSpec { ports: vec![Port(8080)], ..(*web).clone() });
    let outside = Fake { project: Some(project), holders: vec![holder()], ..Fake::default() };
    let up = run(&outside, "cas up --no-tui").await;
    assert!(up.stderr.contains("note: web: port 8080 is held by nginx (pid 12, since 2h 0m)"), "{}", up.stderr);
    let other = run(&outside, "cas up --no-tui cache").await;
    assert!(!other.stderr.contains("8080"), "cache needs nothing of web: {}", other.stderr);
    let check = run(&outside, "cas check").await;
    assert_eq!(check.outcome, Outcome::Ok);
    assert!(check.stderr.contains("web: port 8080 is held by nginx (pid 12, since 2h 0m)"), "{}", check.stderr);
    let json = run(&outside, "cas check --json").await.json();
    assert_eq!(json["notes"].as_array().unwrap().len(), 1, "{json}");
}

#[tokio::test]
async fn check_names_the_service_of_another_open_project_that_wants_the_port() {
    let mut project = fixture::project();
    let web = Arc::clone(&project.services[0]);
    project.services[0] = Arc::new(ServiceSpec { ports: vec![Port(8080)], ..(*web).clone() });
    let mut other = (*stopped("api", &[8080])).clone();
    other.id.project = "blog".parse().unwrap();
    let daemon = engine(
        Link::Connected,
        of(vec![Arc::new(other)]),
        Vec::new(),
        |_| Reply::Unchanged { note: String::new() },
        |_| None,
    );
    let outside = Fake { project: Some(project), daemon: Some(daemon.handle.clone()), ..Fake::default() };
    outside.daemon_runs.set(true);
    let check = run(&outside, "cas check").await;
    assert!(check.stderr.contains("web: port 8080 is wanted by blog/api, too"), "{}", check.stderr);
}

#[tokio::test]
async fn up_where_an_engine_runs_already_names_the_holder_too() {
    let accepted = |_: &_| Reply::Accepted { note: "start web".to_owned() };
    let idle = engine(Link::Connected, of(vec![stopped("web", &[8080])]), Vec::new(), accepted, |_| None);
    let outside = Fake {
        project: Some(fixture::project()),
        handle: Some(idle.handle.clone()),
        holders: vec![holder()],
        ..Fake::default()
    };
    let up = run(&outside, "cas up --detach --timeout 1ms web").await;
    assert_eq!(up.stderr.matches("note: web: port 8080 is held by nginx").count(), 1, "{}", up.stderr);
}
