//! Why something is as it is: the answers, for every situation, and how they are written.

use std::sync::Arc;

use cas::{
    cli::{context::Zone, outcome::Outcome, paint::Paint, render::why as forms},
    model::{
        exam::Grade,
        ids::{RunId, ServiceId},
        phase::{AfterStop, Exit, Health, Phase, PortHolder},
        policy::Autopilot,
        probe::ProbeKind,
        project::Problem,
        service::{Condition, RestartPolicy},
        snapshot::{ServiceView, Snapshot},
        why::{self, Answer},
    },
};
use serde_json::json;

use super::{
    fake::{Fake, run, willing},
    fixture::{self, at, id, running, view},
    ward::{needs, only, waiting, ward, with},
};

fn ask(snapshot: &Snapshot, name: &str) -> Answer {
    why::service(snapshot, &id(name)).unwrap()
}

fn all_of(answer: &Answer) -> String {
    forms::text(answer, at(200), Zone::Utc, Paint::Plain, None)
}

fn blamed(answer: &Answer) -> Vec<String> {
    answer.blame.iter().map(|blamed| blamed.service.service.to_string()).collect()
}

fn holder(service: Option<ServiceId>, pid: Option<u32>) -> PortHolder {
    PortHolder {
        port: 8080,
        pid,
        command: pid.map(|_| "nginx".to_owned()),
        since_us: None,
        user: None,
        service,
        because: None,
    }
}

#[test]
fn every_phase_says_what_comes_next_and_what_can_be_done() {
    let exit = || Exit::Code(1);
    let other = ServiceId { project: "blog".parse().unwrap(), service: "web".parse().unwrap() };
    let rows: Vec<(Phase, Grade, &str, &str)> = vec![
        (Phase::Stopped { since: at(9) }, Grade::Good, "stays stopped until somebody starts it", "cas start web"),
        (Phase::Exited { since: at(9), exit: Exit::Code(0) }, Grade::Good, "it is done", "cas start web"),
        (
            Phase::Exited { since: at(9), exit: exit() },
            Grade::Critical,
            "(restart: on-failure)",
            "cas logs web --tail 50",
        ),
        (
            Phase::GaveUp { attempts: 8, since: at(9), exit: exit() },
            Grade::Critical,
            "waits for a person",
            "cas explain web",
        ),
        (
            Phase::BackingOff { attempt: 3, since: at(199), until: at(205), exit: exit() },
            Grade::Critical,
            "the healer starts it again, try 3 (at 10:03:25, in 5 s)",
            "cas restart web",
        ),
        (
            Phase::Blocked { since: at(9), holders: vec![holder(None, Some(71))] },
            Grade::Critical,
            "looked at again every 2 s",
            "kill 71, if it is yours",
        ),
        (
            Phase::Blocked { since: at(9), holders: vec![holder(Some(other), Some(71))] },
            Grade::Critical,
            "that costs no restart",
            "cas stop blog/web",
        ),
        (Phase::Starting { run: RunId(2), since: at(199) }, Grade::Notice, "is being started", "cas logs web -f"),
        (
            Phase::Stopping { run: RunId(2), since: at(199), kill_at: at(209), then: AfterStop::StartAgain },
            Grade::Notice,
            "gets SIGKILL (at 10:03:29, in 9 s)",
            "cas kill web",
        ),
        (waiting("cache", "starting"), Grade::Notice, "as soon as cache is healthy", "cas stop web"),
        (running(7, 0), Grade::Good, "nothing is due", ""),
    ];
    for (phase, grade, next, can) in rows {
        let label = phase.label();
        let answer = ask(&with(view("web", phase, "because")), "web");
        let text = all_of(&answer);
        assert_eq!(answer.grade, grade, "{label}: {text}");
        assert!(text.contains(next), "{label} should say {next}: {text}");
        assert!(text.contains(can), "{label} should offer {can}: {text}");
        assert!(text.contains("because"), "{label} keeps its own why: {text}");
    }
}

#[test]
fn what_is_running_and_ill_says_what_its_probe_does() {
    let ill = |probe| Health::Unhealthy { since: at(140), probe, detail: "status 503".to_owned() };
    for (health, next) in [
        (ill(ProbeKind::Readiness), "its readiness is asked on; it fails for 1m 0s"),
        (ill(ProbeKind::Liveness), "its run is ended and its policy (restart: on-failure) decides"),
        (Health::Starting { since: at(199) }, "asked until they pass"),
        (
            Health::Misconfigured { probe: ProbeKind::Readiness, detail: "curl: not found".to_owned() },
            "says nothing about the service",
        ),
    ] {
        let web = ServiceView { health, ..view("web", running(7, 0), "started by you") };
        let text = all_of(&ask(&with(web), "web"));
        assert!(text.contains(next), "{text}");
    }
}

#[test]
fn blame_goes_to_the_root_and_a_cycle_ends() {
    let snapshot = ward();
    let answer = ask(&snapshot, "api");
    assert_eq!(blamed(&answer), ["queue", "mail"]);
    assert_eq!(answer.can[0].command.as_deref(), Some("start mail"));
    assert_eq!(answer.can[1].command.as_deref(), Some("why mail"));
    assert!(answer.headline.ends_with("behind it all: mail, which has given up"), "{}", answer.headline);
    assert_eq!(blamed(&ask(&snapshot, "web")), ["db"], "a dependency that is critical may be why it is ill");
    for well in ["site", "tool", "old", "mail", "db"] {
        assert_eq!(blamed(&ask(&snapshot, well)), Vec::<String>::new(), "{well}");
    }
    let mail = ServiceView {
        depends_on: vec![needs("api", Condition::ServiceHealthy, false)],
        ..view("mail", waiting("api", "waiting"), "waits for api")
    };
    assert_eq!(blamed(&ask(&with(mail), "api")), ["queue", "mail"], "each once");
}

#[test]
fn of_several_dependencies_the_worst_is_blamed() {
    let web = ServiceView {
        depends_on: vec![
            needs("site", Condition::ServiceStarted, true),
            needs("cache", Condition::ServiceStarted, true),
            needs("mail", Condition::ServiceStarted, false),
        ],
        ..view("web", Phase::BackingOff { attempt: 1, since: at(1), until: at(201), exit: Exit::Code(1) }, "crashed")
    };
    assert_eq!(blamed(&ask(&with(web), "web")), ["mail"]);
}

#[test]
fn repetitions_are_told_once_with_their_number_and_last_words() {
    let answer = ask(&ward(), "mail");
    let told: Vec<String> = answer.led_to.iter().map(why::Happened::told).collect();
    assert_eq!(
        told,
        [
            "started, pid 4020 — started by the project file",
            "exited with code 127 after 12 ms (3 times) — nobody asked for it",
            "gave up after 8 starts that never held",
        ]
    );
    assert_eq!(answer.led_to[1].lines, ["sh: 1: sendmial: not found"]);
    assert!(answer.because.iter().any(|line| line.contains("a program that is not found")), "{:?}", answer.because);
}

#[test]
fn causes_of_others_stand_in_the_order_of_time() {
    let answer = ask(&ward(), "web");
    let told: Vec<(String, i64)> = answer
        .led_to
        .iter()
        .map(|happened| (happened.service.as_ref().unwrap().service.to_string(), happened.at.wall_us))
        .collect();
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["web", "db", "web"], "ready, then the database, then ill");
    assert!(told.windows(2).all(|pair| pair[0].1 <= pair[1].1));
}

#[test]
fn an_entry_is_told_with_who_why_what_it_means_and_what_followed() {
    let snapshot = ward();
    let answer = why::entry(&snapshot, &snapshot.timeline[1]);
    let text = all_of(&answer);
    for said in [
        "exited with code 127 after 12 ms",
        "by: cas",
        "nobody asked for it",
        "a program that is not found",
        "it was run 7 of the service",
        "started, pid 4020",
        "then restart 1 in 1 s",
        "now mail has given up",
        "│ sh: 1: sendmial: not found",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let before: Vec<&str> = answer.led_to.iter().map(|happened| happened.sentence.as_str()).collect();
    assert_eq!(before, ["started, pid 4020", "exited with code 127 after 12 ms"], "only what came before");
}

#[test]
fn a_project_is_told_by_its_roots_and_not_by_everything_that_they_hold_up() {
    let answer = why::project(&ward(), None);
    assert_eq!(blamed(&answer), ["db", "mail", "cache"]);
    assert_eq!(answer.headline, "3 things are wrong: 1 healthy, 1 only running, 1 stopped, 3 warning, 3 critical");
    assert!(answer.blame[0].sentence.ends_with("; web depends on it"), "{:?}", answer.blame[0]);
    assert!(answer.blame[1].sentence.ends_with("; api, queue depend on it"), "{:?}", answer.blame[1]);
    let well = why::project(&only(&["site", "tool"]), None);
    assert_eq!((well.grade, well.headline.as_str()), (Grade::Good, "nothing needs a look: 1 healthy, 1 only running"));
    let elsewhere = "blog".parse().unwrap();
    assert_eq!(why::project(&ward(), Some(&elsewhere)).headline, "no service is there");
}

#[test]
fn what_brings_a_project_down_is_the_crash_and_not_that_it_is_healed() {
    let backing = Phase::BackingOff { attempt: 3, since: at(60), until: at(205), exit: Exit::Code(127) };
    let mut snapshot = with(view("mail", backing, "crashed"));
    snapshot.services.retain(|known| known.id == id("mail"));
    snapshot.timeline.retain(|entry| entry.seq <= 5);
    let told: Vec<String> = why::project(&snapshot, None).led_to.iter().map(why::Happened::told).collect();
    assert_eq!(told, ["exited with code 127 after 12 ms (2 times) — nobody asked for it"]);
}

#[test]
fn troubles_of_cas_itself_and_a_healer_that_is_off_are_said_first() {
    let mut snapshot = only(&["site"]);
    snapshot.engine.autopilot = Autopilot::Off;
    let problem = Problem { source: None, message: "depends_on: a cycle".to_owned(), hint: None };
    snapshot.problems = Arc::from([problem]);
    let answer = why::project(&snapshot, None);
    assert_eq!(answer.grade, Grade::Warning);
    assert!(answer.because[0].contains("a cycle") && answer.because[1].contains("autopilot is off"), "{answer:?}");
    let failed = Phase::Exited { since: at(9), exit: Exit::Code(1) };
    let mut off = with(view("web", failed, "because"));
    off.engine.autopilot = Autopilot::Off;
    assert_eq!(ask(&off, "web").next[0].text, "nothing by itself: the autopilot is off");
}

#[test]
fn a_policy_that_does_not_want_it_again_is_named() {
    for (restart, said) in [
        (RestartPolicy::No, "its policy is restart: no"),
        (RestartPolicy::OnFailure { max_retries: Some(3) }, "restart: on-failure:3, and that many were tried"),
    ] {
        let failed = Phase::Exited { since: at(9), exit: Exit::Code(1) };
        let web = ServiceView { restart, ..view("web", failed, "because") };
        assert!(all_of(&ask(&with(web), "web")).contains(said), "{said}");
    }
}

#[tokio::test]
async fn the_verb_answers_about_services_and_about_the_whole() {
    let engine = willing(ward(), ward());
    let outside = Fake { handle: Some(engine.handle), ..Fake::default() };
    let ran = run(&outside, "cas why api").await;
    assert_eq!(ran.outcome, Outcome::Ok);
    insta::assert_snapshot!(ran.stdout, @r"
    ▲ api is waiting: waits for queue, which is waiting; behind it all: mail, which has given up
      waits for queue (service_healthy, now waiting)

    What led to it
      10:01:00  mail: exited with code 127 after 12 ms (3 times) — nobody asked for it (cas)
                │ sh: 1: sendmial: not found
      10:01:00  mail: gave up after 8 starts that never held (healer)

    Whom it is up to
      ▲ queue is waiting: waits for mail, which has given up
      ✗ mail has given up: gave up after 8 starts that never held, the last: exited with code 127

    What comes next
      it starts by itself as soon as queue is healthy
      behind it all: mail has given up (exited with code 127)

    What you can do
      start mail, which is behind it
          cas start mail
      see why mail is not well
          cas why mail
    ");
    insta::assert_snapshot!(run(&outside, "cas why").await.stdout, @r"
    ✗ 3 things are wrong: 1 healthy, 1 only running, 1 stopped, 3 warning, 3 critical

    What led to it
      10:01:00  mail: gave up after 8 starts that never held (healer)
      10:02:50  db: connections in use: 97 of 100 (97 %) (cas)

    Whom it is up to
      ✗ db is critical: connections in use: 97 of 100 (97 %) (and 1 more); web depends on it
      ✗ mail has given up: gave up after 8 starts that never held, the last: exited with code 127; api, queue depend on it
      ▲ cache needs a look: could not be looked at (redis): WRONGPASS: invalid password for 127.0.0.1:6379

    What comes next
      db: if it goes on like this, oldest-transaction is critical (at 10:11:20, in 8m 0s)
      mail: nothing by itself: after 8 starts that never held the healer waits for a person

    What you can do
      db: for connections: raise max_connections, or put a pooler before it
      mail: read what it wrote last
          cas logs mail --tail 50
      cache: see every check
          cas health cache --deep
    ");
    let document = run(&outside, "cas why mail db --json").await.json();
    assert_eq!(document["answers"].as_array().unwrap().len(), 2);
    let mail = document["answers"].as_array().unwrap().iter().find(|one| one["subject"] == "shop/mail").unwrap();
    assert_eq!(
        mail["led_to"][1],
        json!({
            "at": "2026-11-22T10:01:00.000Z",
            "service": "shop/mail",
            "who": "cas",
            "severity": "warning",
            "sentence": "exited with code 127 after 12 ms",
            "why": "nobody asked for it",
            "times": 3,
            "lines": ["sh: 1: sendmial: not found"],
        })
    );
    assert_eq!(mail["can"][0], json!({ "what": "read what it wrote last", "command": "logs mail --tail 50" }));
    assert_eq!(run(&outside, "cas why nosuch").await.outcome, Outcome::NotFound);
}

#[tokio::test]
async fn without_an_engine_it_answers_from_what_is_stored() {
    let outside = Fake { project: Some(fixture::project()), entries: fixture::entries(), ..Fake::default() };
    let ran = run(&outside, "cas why web").await;
    assert_eq!(ran.outcome, Outcome::Ok);
    assert!(ran.stdout.contains("exited with code 1 after 3.2 s"), "{}", ran.stdout);
    assert!(ran.stderr.contains("no engine is running"), "{}", ran.stderr);
}
