//! `cas alerts`: what it shows, and a try of a route.

use std::sync::Arc;

use cas::{
    cli::outcome::Outcome,
    model::{
        alarm::{AlarmState, AlarmView, AlertsView, Level, NoticeKind, RouteView, Rule, Silence, SilenceView},
        exam::Hidden,
        ids::ProjectName,
        policy::Origin,
        project::ProjectSpec,
        route::{AlertPlan, Concealed, DesktopWay, Destination, Route},
        snapshot::Snapshot,
    },
};

use super::{
    fake::{Fake, run, willing},
    fixture,
};

fn alarm(service: &str, change: impl FnOnce(&mut AlarmView)) -> AlarmView {
    let id = fixture::view(service, fixture::running(7, 0), "why").id;
    let mut alarm = AlarmView {
        id: format!("{id}:down"),
        rule: Rule::Down,
        severity: Level::Critical,
        state: AlarmState::Firing,
        since: fixture::at(140),
        resolved: None,
        text: format!("{id} is down: exit code 1"),
        group: id.to_string(),
        service: Some(id),
        follows_from: None,
        silenced_until_us: None,
        sent_to: Vec::new(),
        not_sent: None,
    };
    change(&mut alarm);
    alarm
}

fn pictured() -> Snapshot {
    let db = alarm("db", |alarm| alarm.sent_to = vec!["ops".to_owned()]);
    let root = db.service.clone();
    let web = alarm("web", |alarm| {
        alarm.follows_from = root;
        alarm.not_sent = Some("hidden: follows from shop/db".to_owned());
    });
    let pending = alarm("worker", |alarm| alarm.state = AlarmState::Pending);
    let silence = Silence { until_us: fixture::at(3800).wall_us, because: "disks".to_owned(), by: Origin::Cli };
    let service = fixture::view("worker", fixture::running(7, 0), "why").id;
    let project = ProjectName::new("shop").unwrap();
    let last = Some("answered 500".to_owned());
    let alerts = AlertsView {
        alarms: vec![web, pending, db],
        silences: vec![SilenceView { service, silence }],
        routes: vec![RouteView { project, name: "ops".to_owned(), kind: "slack".to_owned(), last }],
        desktop: Vec::new(),
    };
    Snapshot { alerts, ..fixture::snapshot() }
}

#[tokio::test]
async fn what_fires_is_shown_with_whom_it_was_sent_to_and_why_not() {
    let engine = willing(pictured(), pictured());
    let outside = Fake { handle: Some(engine.handle.clone()), ..Fake::default() };
    let ran = run(&outside, "cas alerts").await;
    assert_eq!(ran.outcome, Outcome::Ok);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[1].starts_with("firing") && lines[1].contains("sent to ops"), "the root comes first: {lines:#?}");
    assert!(lines[2].contains("hidden: follows from shop/db"), "{lines:#?}");
    assert!(!ran.stdout.contains("pending"));
    assert!(ran.stdout.contains("silenced: shop/worker until ") && ran.stdout.contains(" by command line: disks"));
    assert!(ran.stdout.contains("route ops (slack) of shop: the last message was not sent: answered 500"));
    let all = run(&outside, "cas alerts --all --json").await;
    let document: serde_json::Value = serde_json::from_str(&all.stdout).unwrap();
    assert_eq!(document["firing"], serde_json::json!({ "critical": 1, "warning": 0 }));
    assert_eq!(document["alarms"].as_array().unwrap().len(), 3);
    assert_eq!(document["silences"][0]["because"], "disks");
}

#[tokio::test]
async fn a_route_is_tried_out_and_what_came_of_it_is_the_exit_code() {
    let url = Concealed::Value(Hidden("https://hooks.example/canary-9a8b7c".to_owned()));
    let route =
        |name: &str| Arc::new(Route { name: name.to_owned(), to: Destination::Slack(url.clone()), throttle: None });
    let plan = AlertPlan { routes: vec![route("ops"), route("broken")], ..AlertPlan::default() };
    let project = ProjectSpec { alerts: Arc::new(plan), ..fixture::project() };
    let outside = Fake { project: Some(project), ..Fake::default() };
    let well = run(&outside, "cas alerts test ops").await;
    assert_eq!((well.outcome, well.stdout.as_str()), (Outcome::Ok, "ops (slack): sent, taken with status 200\n"));
    let badly = run(&outside, "cas alerts test broken").await;
    assert_eq!(badly.outcome, Outcome::Failed);
    assert!(badly.stderr.contains("broken (slack): not sent: answered 500"), "{}", badly.stderr);
    let nobody = run(&outside, "cas alerts test opps").await;
    assert_eq!(nobody.outcome, Outcome::NotFound);
    assert!(nobody.stderr.contains("did you mean \"ops\"?"), "{}", nobody.stderr);
    let looking = run(&outside, "cas --read-only alerts test ops").await;
    assert_eq!(looking.outcome, Outcome::Refused);
    let sent = outside.notices.borrow();
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].1.kind, sent[0].1.title.as_str()), (NoticeKind::Test, "TEST: alerts of shop arrive by ops"));
}

#[tokio::test]
async fn the_route_to_the_desktop_is_tried_out_at_this_terminal_too() {
    let to = Destination::Desktop(DesktopWay::Auto);
    let route = Arc::new(Route { name: "desk".to_owned(), to, throttle: None });
    let plan = AlertPlan { routes: vec![route], ..AlertPlan::default() };
    let project = ProjectSpec { alerts: Arc::new(plan), ..fixture::project() };
    let outside = Fake { project: Some(project), ..Fake::default() };
    let ran = run(&outside, "cas alerts test desk").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert!(ran.stderr.contains("this terminal was told by OSC 777"), "{}", ran.stderr);
    let told = outside.tools.borrow();
    assert_eq!(told.as_slice(), ["tell the terminal Auto: TEST: alerts of shop arrive by desk"]);
}
