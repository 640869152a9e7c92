//! Verbs as they run: against a scripted engine, with what they write and the code they end with.

use std::{path::PathBuf, sync::Arc, time::Duration};

use cas::{
    cli::{follow::all_ended, interrupts::Interrupt, outcome::Outcome, outside::Opening},
    host::handle::Link,
    model::{
        phase::{Exit, Hold, Phase},
        policy::{Consent, Origin, Plan, Reply, Risk},
        project::Problem,
        service::Condition,
        snapshot::{ServiceView, Snapshot},
        timeline::What,
    },
};
use serde_json::json;

use super::{
    fake::{self, Desk, Fake, Leaving, engine, run, willing},
    fixture,
};
use crate::support::eventually_async;

fn one(phase: Phase) -> Snapshot {
    let web = ServiceView { ..fixture::view("web", phase, "because") };
    Snapshot { services: vec![Arc::new(web)], ..fixture::snapshot() }
}

fn closed() -> Fake {
    Fake { project: Some(fixture::project()), ..Fake::default() }
}

#[tokio::test]
async fn outside_of_a_project_there_is_a_hint_and_code_two() {
    let ran = run(&Fake::default(), "cas status").await;
    assert_eq!(ran.outcome, Outcome::Usage);
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr.starts_with("error: there is no project file")
            && ran.stderr.ends_with("\nhint: cas init writes one\n"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn a_broken_project_file_is_shown_in_full_and_is_code_two() {
    let problem = |message: &str| Problem { source: Some(fixture::source(3)), message: message.to_owned(), hint: None };
    let broken = Fake { errors: vec![problem("first"), problem("second")], ..Fake::default() };
    let ran = run(&broken, "cas status").await;
    assert_eq!(ran.outcome, Outcome::Usage);
    assert!(ran.stderr.contains("first (/srv/shop/cas.yaml:3:3)") && ran.stderr.contains("second"), "{}", ran.stderr);
    assert!(ran.stderr.contains("cas.yaml has 2 problems"), "{}", ran.stderr);
}

#[tokio::test]
async fn commands_without_an_engine_are_code_three() {
    for line in ["cas restart web", "cas reload", "cas autopilot off", "cas logs -f", "cas events -f", "cas status -w"]
    {
        let ran = run(&closed(), line).await;
        assert_eq!(ran.outcome, Outcome::NoEngine, "{line}");
        assert!(ran.stderr.contains("no engine is running"), "{line}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn reads_without_an_engine_still_answer() {
    let mut outside = closed();
    outside.logs = vec![fixture::batch("web", 0, &["stored"])];
    outside.entries = fixture::entries();
    assert!(run(&outside, "cas status").await.stdout.contains("no engine is running: cas up starts it"));
    assert_eq!(run(&outside, "cas status --exit-code").await.outcome, Outcome::NoEngine);
    assert!(run(&outside, "cas logs web").await.stdout.contains("| stored\n"));
    assert!(run(&outside, "cas events").await.stdout.contains("exited with code 1"));
    assert!(run(&outside, "cas graph").await.stdout.starts_with("shop\n"));
    let down = run(&outside, "cas down").await;
    assert_eq!((down.outcome, down.stderr.contains("nothing to do")), (Outcome::Ok, true));
}

#[tokio::test]
async fn an_unknown_service_is_code_four_with_the_candidates() {
    for line in ["cas status wab", "cas logs wab", "cas events wab", "cas stop wab"] {
        let mut outside = closed();
        outside.handle = Some(willing(fixture::snapshot(), fixture::snapshot()).handle);
        let ran = run(&outside, line).await;
        assert_eq!(ran.outcome, Outcome::NotFound, "{line}");
        assert!(ran.stderr.contains("there are: web, db, worker"), "{line}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn the_exit_code_of_status_speaks_of_the_services_that_were_named() {
    let outside = Fake { handle: Some(willing(fixture::snapshot(), fixture::snapshot()).handle), ..Fake::default() };
    assert_eq!(run(&outside, "cas status").await.outcome, Outcome::Ok);
    assert_eq!(run(&outside, "cas status --exit-code").await.outcome, Outcome::Failed);
    assert_eq!(run(&outside, "cas status --exit-code web db").await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn a_restart_is_waited_for_until_another_run_is_there() {
    let engine = willing(one(fixture::running(7, 0)), one(fixture::running(8, 201)));
    let outside = Fake { handle: Some(engine.handle), ..Fake::default() };
    let ran = run(&outside, "cas restart web --json").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert_eq!(ran.json()["services"][0]["pid"], 4008);
    assert_eq!(ran.json()["reply"], "accepted");
}

#[tokio::test]
async fn a_restart_that_never_comes_is_a_failure_after_its_time() {
    let engine = willing(one(fixture::running(7, 0)), one(fixture::running(7, 0)));
    let outside = Fake { handle: Some(engine.handle), ..Fake::default() };
    let ran = run(&outside, "cas restart web --timeout 50ms").await;
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.stderr.contains("not done after 50 ms"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_start_that_ends_in_giving_up_is_a_failure() {
    let gave_up = Phase::GaveUp { attempts: 8, since: fixture::at(230), exit: Exit::Code(1) };
    let engine = willing(one(Phase::Stopped { since: fixture::at(0) }), one(gave_up));
    let outside = Fake { handle: Some(engine.handle), ..Fake::default() };
    let ran = run(&outside, "cas start web").await;
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.stderr.contains("✗ web gave-up: because"), "{}", ran.stderr);
}

#[tokio::test]
async fn what_is_refused_is_code_five_with_reason_and_hint() {
    let refuse = |_: &_| Reply::Refused { reason: "not now".to_owned(), hint: Some("later".to_owned()) };
    let engine = engine(Link::Connected, fixture::snapshot(), vec![], refuse, |_| None);
    let outside = Fake { handle: Some(engine.handle), ..Fake::default() };
    let ran = run(&outside, "cas kill web").await;
    assert_eq!(ran.outcome, Outcome::Refused);
    assert_eq!(ran.stderr, "error: not now\nhint: later\n");
}

fn asking() -> fake::Engine {
    let plan =
        Plan { title: "end it all".to_owned(), steps: vec![], risk: Risk::Irreversible, fingerprint: 42, revision: 0 };
    let reply = move |request: &cas::model::policy::Request| match request.consent {
        Consent::Given(42) => Reply::Unchanged { note: "done".to_owned() },
        Consent::DryRun => Reply::Planned { plan: plan.clone() },
        Consent::Ask | Consent::Given(_) => Reply::NeedsConsent { plan: plan.clone() },
    };
    engine(Link::Connected, fixture::snapshot(), vec![], reply, |_| None)
}

#[tokio::test]
async fn consent_is_asked_for_on_a_terminal_and_given_to_the_plan_that_was_seen() {
    let mut engine = asking();
    let outside = Fake { handle: Some(engine.handle.clone()), ..Fake::default() };
    let desk = Desk { answer: "y\n", ..Desk::terminal(80) };
    assert_eq!(desk.run(&outside, "cas kill web").await.outcome, Outcome::Ok);
    assert_eq!(engine.requests.recv().await.unwrap().consent, Consent::Ask);
    assert_eq!(engine.requests.recv().await.unwrap().consent, Consent::Given(42));
    let ran = run(&outside, "cas kill web").await;
    assert_eq!(ran.outcome, Outcome::Refused, "nobody can answer");
}

#[tokio::test]
async fn a_dry_run_prints_the_plan_as_data() {
    let outside = Fake { handle: Some(asking().handle), ..Fake::default() };
    let ran = run(&outside, "cas kill web --dry-run").await;
    assert_eq!((ran.outcome, ran.stdout.as_str()), (Outcome::Ok, "end it all (cannot be undone)\n"));
    let json = run(&outside, "cas kill web --dry-run --json").await.json();
    assert_eq!(json["plan"]["fingerprint"], json!(42));
}

#[tokio::test]
async fn a_log_that_is_stored_and_in_memory_is_printed_once() {
    let memory = vec![fixture::batch("web", 1, &["two", "three"])];
    let engine =
        engine(Link::Connected, fixture::snapshot(), memory, |_| Reply::Unchanged { note: String::new() }, |_| None);
    let outside =
        Fake { handle: Some(engine.handle), logs: vec![fixture::batch("web", 0, &["one", "two"])], ..Fake::default() };
    let lines = |ran: fake::Ran| ran.stdout.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(run(&outside, "cas logs --no-prefix").await), ["one", "two", "three"]);
    assert_eq!(lines(run(&outside, "cas logs --no-prefix --tail 1").await), ["three"]);
    assert_eq!(lines(run(&outside, "cas logs --no-prefix --grep ^t").await), ["two", "three"]);
    assert_eq!(lines(run(&outside, "cas logs --no-prefix db").await), Vec::<String>::new());
    assert_eq!(lines(run(&outside, "cas logs --no-prefix --until 2026-11-22T10:00:00Z").await), ["one", "two"]);
}

#[tokio::test]
async fn a_followed_log_goes_on_until_the_interrupt() {
    let engine =
        engine(Link::Connected, fixture::snapshot(), vec![], |_| Reply::Unchanged { note: String::new() }, |_| None);
    let outside = Fake { handle: Some(engine.handle.clone()), ..Fake::default() };
    let script = async {
        eventually_async("it follows", || async { !outside.interrupts.borrow().is_empty() }).await;
        engine.handle.logs.publish(fixture::batch("web", 0, &["live"]));
        let sender = outside.interrupts.borrow()[0].clone();
        sender.send(Interrupt::Int).await.unwrap();
    };
    let (ran, ()) = tokio::join!(run(&outside, "cas logs -f"), script);
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert_eq!(ran.stdout, "web    | live\n");
}

#[tokio::test]
async fn up_without_a_console_ends_when_everything_has_ended_and_says_how() {
    let failed = Phase::Exited { since: fixture::at(205), exit: Exit::Code(1) };
    let engine = engine(
        Link::Local,
        Snapshot { timeline: vec![], ..one(Phase::Stopped { since: fixture::at(0) }) },
        vec![fixture::batch("web", 0, &["boom"])],
        |_| Reply::Accepted { note: "starting web".to_owned() },
        move |_| Some(one(failed.clone())),
    );
    let outside = Fake { host: Some(engine.handle), ..closed() };
    let ran = run(&outside, "cas up --no-tui web").await;
    assert_eq!(ran.outcome, Outcome::Failed);
    assert_eq!(ran.stdout, "web | boom\n");
    assert!(ran.stderr.contains("web | exited with code 1 after 3.2 s — restart 1 in 400 ms"), "{}", ran.stderr);
    assert_eq!(*outside.hosted.borrow(), [Opening::Quiet]);
}

#[tokio::test]
async fn the_first_interrupt_of_up_stops_everything() {
    let engine = willing(one(fixture::running(7, 0)), one(fixture::running(7, 0)));
    let (link, linked) = tokio::sync::watch::channel(Link::Local);
    let handle = cas::host::handle::Handle { link: linked, ..engine.handle.clone() };
    let outside = Fake { host: Some(handle), ..closed() };
    let script = async {
        eventually_async("it follows", || async { !outside.interrupts.borrow().is_empty() }).await;
        let sender = outside.interrupts.borrow()[0].clone();
        sender.send(Interrupt::Int).await.unwrap();
    };
    let (ran, ()) = tokio::join!(run(&outside, "cas up"), script);
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert!(ran.stderr.contains("stopping everything (again: kill)"), "{}", ran.stderr);
    assert_eq!(*outside.hosted.borrow(), [Opening::Autostart]);
    drop(link);
}

#[tokio::test]
async fn the_second_interrupt_of_up_kills() {
    let mut engine = fake::engine_leaving(
        Leaving::WhenKilled,
        Link::Local,
        one(fixture::running(7, 0)),
        vec![],
        |_| Reply::Accepted { note: "yes".to_owned() },
        |_| None,
    );
    let outside = Fake { host: Some(engine.handle.clone()), ..closed() };
    let script = async {
        eventually_async("it follows", || async { !outside.interrupts.borrow().is_empty() }).await;
        let sender = outside.interrupts.borrow()[0].clone();
        sender.send(Interrupt::Int).await.unwrap();
        sender.send(Interrupt::Term).await.unwrap();
        let start = engine.requests.recv().await.unwrap();
        let kill = engine.requests.recv().await.unwrap();
        (start.command.to_line(), kill.command.to_line())
    };
    let (ran, commands) = tokio::join!(run(&outside, "cas up --no-tui"), script);
    assert_eq!(commands, ("start --all".to_owned(), "kill --all".to_owned()));
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert!(ran.stderr.contains("killing everything"), "{}", ran.stderr);
}

#[tokio::test]
async fn of_what_is_stored_no_more_is_read_than_the_tail_needs() {
    let outside = Fake { logs: vec![fixture::batch("web", 0, &["a", "b", "c"])], ..closed() };
    assert_eq!(run(&outside, "cas logs web --tail 2 --no-prefix").await.stdout, "b\nc\n");
    assert_eq!(run(&outside, "cas logs web --tail 1 --no-prefix --grep '[ab]'").await.stdout, "b\n");
    assert_eq!(run(&outside, "cas logs web --no-prefix").await.stdout, "a\nb\nc\n");
    assert_eq!(*outside.tails.borrow(), [Some(2), None, None], "which lines match is known when they are read");
}

#[tokio::test]
async fn whoever_follows_hears_that_the_engine_is_away_and_that_it_is_back() {
    for line in ["cas logs -f", "cas events -f", "cas status --watch", "cas up --no-tui", "cas daemon logs -f"] {
        let accept = |request: &cas::model::policy::Request| Reply::Accepted { note: request.command.to_line() };
        let engine = engine(Link::Connected, fixture::snapshot(), Vec::new(), accept, |_| None);
        let handle = Some(engine.handle.clone());
        let outside = Fake {
            handle: handle.clone(),
            daemon: handle,
            daemon_runs: std::cell::Cell::new(true),
            project: Some(fixture::project()),
            ..Fake::default()
        };
        let script = async {
            eventually_async("it follows", || async { !outside.interrupts.borrow().is_empty() }).await;
            for link in [Link::Retrying { since: fixture::at(1), next: fixture::at(2) }, Link::Connected] {
                engine.link.send_replace(link);
                // Long enough to be heard: each is said once, whatever comes between.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            }
            let sender = outside.interrupts.borrow()[0].clone();
            sender.send(Interrupt::Int).await.unwrap();
        };
        let (ran, ()) = tokio::join!(run(&outside, line), script);
        assert_eq!(ran.outcome, Outcome::Interrupted, "{line}: {}", ran.stderr);
        assert_eq!(ran.stderr.matches("does not answer; trying again").count(), 1, "{line}: {}", ran.stderr);
        assert_eq!(ran.stderr.matches("the engine answers again").count(), 1, "{line}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_project_that_is_not_open_cannot_be_closed_and_is_named_with_those_that_are() {
    let engine = willing(fixture::snapshot(), fixture::snapshot());
    let outside = Fake { daemon: Some(engine.handle.clone()), daemon_runs: std::cell::Cell::new(true), ..closed() };
    let ran = run(&outside, "cas close shup").await;
    assert_eq!(ran.outcome, Outcome::NotFound, "{}", ran.stderr);
    assert!(ran.stderr.contains("open: shop"), "{}", ran.stderr);
}

#[tokio::test]
async fn an_option_that_would_do_nothing_is_refused() {
    let ran = run(&closed(), "cas --theme nord status").await;
    assert_eq!(ran.outcome, Outcome::Usage);
    assert!(ran.stderr.contains("about the console"), "{}", ran.stderr);
    for line in ["cas up -d --timestamps", "cas up -d --no-prefix", "cas up -d --theme nord", "cas up -d --no-tui"] {
        let words = line.split(' ').map(str::to_owned);
        let refused = <cas::cli::args::Cli as clap::Parser>::try_parse_from(words).unwrap_err();
        assert!(refused.to_string().contains("cannot be used with"), "{line}: {refused}");
    }
}

#[tokio::test]
async fn followed_events_are_told_once_each() {
    let engine =
        engine(Link::Connected, fixture::snapshot(), vec![], |_| Reply::Unchanged { note: String::new() }, |_| None);
    let outside = Fake { handle: Some(engine.handle.clone()), ..Fake::default() };
    let script = async {
        eventually_async("it follows", || async { !outside.interrupts.borrow().is_empty() }).await;
        let mut snapshot = fixture::snapshot();
        let ready = What::Ready { after: Duration::from_secs(1) };
        snapshot.timeline.push(Arc::new(fixture::entry(4, 9, "web", Origin::System, ready, "")));
        engine.snapshots.send_replace(Arc::new(snapshot));
        let sender = outside.interrupts.borrow()[0].clone();
        sender.send(Interrupt::Int).await.unwrap();
    };
    let (ran, ()) = tokio::join!(run(&outside, "cas events -f --json web"), script);
    assert_eq!(ran.outcome, Outcome::Interrupted);
    let told: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_watch_prints_one_document_per_line_until_the_interrupt() {
    let outside = Fake { handle: Some(willing(fixture::snapshot(), fixture::snapshot()).handle), ..Fake::default() };
    let script = async {
        eventually_async("it watches", || async { !outside.interrupts.borrow().is_empty() }).await;
        let sender = outside.interrupts.borrow()[0].clone();
        sender.send(Interrupt::Int).await.unwrap();
    };
    let (ran, ()) = tokio::join!(run(&outside, "cas status --watch --json"), script);
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert_eq!(ran.stdout.lines().count(), 1);
    assert_eq!(ran.json()["services"][2]["phase"], "gave-up");
}

#[test]
fn all_has_ended_only_when_nothing_runs_and_nothing_can_come() {
    let asked = fixture::at(100);
    let pictured = |phases: &[(&str, Phase)]| Snapshot {
        services: phases.iter().map(|(name, phase)| Arc::new(fixture::view(name, phase.clone(), "because"))).collect(),
        ..fixture::snapshot()
    };
    let stopped = |since| Phase::Stopped { since: fixture::at(since) };
    let done = |code| Phase::Exited { since: fixture::at(120), exit: Exit::Code(code) };
    let hold = Hold::Dependency {
        service: fixture::name("db"),
        condition: Condition::ServiceHealthy,
        state: "failed".to_owned(),
    };
    let waits = Phase::Waiting { since: fixture::at(110), holds: vec![hold] };
    for (phases, ended) in [
        (vec![("web", stopped(0))], None),
        (vec![("web", stopped(130))], Some(Outcome::Ok)),
        (vec![("web", done(0)), ("db", stopped(0))], Some(Outcome::Ok)),
        (vec![("web", done(1)), ("db", done(0))], Some(Outcome::Failed)),
        (vec![("web", done(1)), ("db", fixture::running(3, 0))], None),
        (vec![("web", waits.clone()), ("db", fixture::running(3, 0))], None),
        (vec![("web", waits), ("db", done(1))], Some(Outcome::Failed)),
        (vec![], Some(Outcome::Ok)),
    ] {
        assert_eq!(all_ended(&pictured(&phases), asked), ended, "{phases:?}");
    }
}

#[tokio::test]
async fn up_on_an_engine_that_is_not_ours_leaves_it_running() {
    let engine = willing(one(fixture::running(7, 0)), one(fixture::running(7, 0)));
    let outside = Fake { handle: Some(engine.handle.clone()), ..closed() };
    let script = async {
        eventually_async("it follows", || async { !outside.interrupts.borrow().is_empty() }).await;
        let sender = outside.interrupts.borrow()[0].clone();
        sender.send(Interrupt::Int).await.unwrap();
    };
    let (ran, ()) = tokio::join!(run(&outside, "cas up --no-tui"), script);
    assert!(ran.stderr.contains("services go on running"), "{}", ran.stderr);
    assert!(outside.hosted.borrow().is_empty());
}

#[tokio::test]
async fn the_console_needs_a_terminal_and_says_what_works_without() {
    let ran = run(&closed(), "cas").await;
    assert_eq!(ran.outcome, Outcome::Usage);
    assert!(ran.stderr.contains("needs a terminal") && ran.stderr.contains("cas up --no-tui"), "{}", ran.stderr);
    let mut dumb = Desk::terminal(80);
    dumb.env.insert("TERM".to_owned(), "dumb".to_owned());
    assert!(dumb.run(&closed(), "cas").await.stderr.contains("TERM=dumb"));
}

#[tokio::test]
async fn no_color_is_honoured_on_a_terminal() {
    let outside = Fake { handle: Some(willing(fixture::snapshot(), fixture::snapshot()).handle), ..Fake::default() };
    let mut desk = Desk::terminal(120);
    assert!(desk.run(&outside, "cas status").await.stdout.contains("\x1b[32m"));
    assert!(!desk.run(&outside, "cas status --no-color").await.stdout.contains('\x1b'));
    desk.env.insert("NO_COLOR".to_owned(), "1".to_owned());
    assert!(!desk.run(&outside, "cas status").await.stdout.contains('\x1b'));
    assert!(!run(&outside, "cas status").await.stdout.contains('\x1b'), "a pipe");
}

#[tokio::test]
async fn check_tells_good_from_bad_by_its_code() {
    let ran = run(&closed(), "cas check").await;
    assert_eq!((ran.outcome, ran.stdout.as_str()), (Outcome::Ok, "srv/shop/cas.yaml: good, 5 services\n"));
    let problem = Problem { source: None, message: "no services".to_owned(), hint: None };
    let broken = Fake { errors: vec![problem], ..Fake::default() };
    assert_eq!(run(&broken, "cas check").await.outcome, Outcome::Usage);
    let json = run(&broken, "cas check --json").await;
    assert_eq!((json.outcome, json.json()["errors"][0]["message"].clone()), (Outcome::Usage, json!("no services")));
}

#[tokio::test]
async fn init_writes_once_asks_where_somebody_can_answer_and_never_writes_over_something() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Procfile"), "web: sleep 60\n").unwrap();
    let file = dir.path().join("cas.yaml");
    let no = Desk { answer: "n\n", cwd: dir.path().to_path_buf(), ..Desk::terminal(80) };
    assert_eq!(no.run(&Fake::default(), "cas init").await.outcome, Outcome::Refused);
    assert!(!file.exists());
    let desk = Desk { cwd: dir.path().to_path_buf(), ..Desk::default() };
    let ran = desk.run(&Fake::default(), "cas init").await;
    assert_eq!((ran.outcome, ran.stdout.as_str()), (Outcome::Ok, "cas.yaml\n"), "{}", ran.stderr);
    assert!(std::fs::read_to_string(&file).unwrap().contains("sleep 60"));
    std::fs::write(&file, "mine").unwrap();
    assert_eq!(desk.run(&Fake::default(), "cas init --yes").await.outcome, Outcome::Failed);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[tokio::test]
async fn import_prints_a_project_file_or_writes_it_once_and_tells_what_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let text = "procs:\n  web:\n    shell: sleep 60\n    env: {A: '1', B: null}\n";
    std::fs::write(dir.path().join("mprocs.yaml"), text).unwrap();
    let desk = Desk { cwd: dir.path().to_path_buf(), ..Desk::default() };
    let printed = desk.run(&Fake::default(), "cas import mprocs.yaml").await;
    assert_eq!(printed.outcome, Outcome::Ok, "{}", printed.stderr);
    assert!(printed.stdout.contains("  # from mprocs.yaml:2\n  web:\n    shell: sleep 60\n"), "{}", printed.stdout);
    assert!(
        printed.stderr.contains("web.env.B") && printed.stdout.contains("#   mprocs.yaml:4:"),
        "{}",
        printed.stderr
    );
    assert!(!dir.path().join("cas.yaml").exists());
    let written = desk.run(&Fake::default(), "cas import mprocs.yaml --write").await;
    assert_eq!((written.outcome, written.stdout.as_str()), (Outcome::Ok, "cas.yaml\n"), "{}", written.stderr);
    assert_eq!(std::fs::read_to_string(dir.path().join("cas.yaml")).unwrap(), printed.stdout);
    assert_eq!(desk.run(&Fake::default(), "cas import -w mprocs.yaml").await.outcome, Outcome::Failed);
    std::fs::write(dir.path().join("compose.yaml"), "services: {db: {image: x}}\n").unwrap();
    assert_eq!(desk.run(&Fake::default(), "cas import compose.yaml").await.outcome, Outcome::Usage);
    assert_eq!(desk.run(&Fake::default(), "cas --read-only import mprocs.yaml").await.outcome, Outcome::Ok);
    assert_eq!(desk.run(&Fake::default(), "cas --read-only import -w mprocs.yaml").await.outcome, Outcome::Refused);
}

#[tokio::test]
async fn projects_are_listed_and_forgotten_by_name_or_directory() {
    let registry = vec![
        fixture::record("blog", "/srv/blog"),
        fixture::record("shop", "/srv/shop"),
        fixture::record("shop", "/old/shop"),
    ];
    let outside = Fake { registry, ..Fake::default() };
    let listed = run(&outside, "cas projects --json").await.json();
    assert_eq!(listed["projects"].as_array().unwrap().len(), 3);
    assert_eq!(run(&outside, "cas projects forget blog").await.outcome, Outcome::Ok);
    let several = run(&outside, "cas projects forget shop").await;
    assert_eq!(several.outcome, Outcome::NotFound);
    assert!(several.stderr.contains("shop@srv/shop, shop@old/shop"), "{}", several.stderr);
    assert_eq!(run(&outside, "cas projects remove shop@old/shop").await.outcome, Outcome::Ok);
    assert_eq!(*outside.forgotten.borrow(), [PathBuf::from("/srv/blog"), PathBuf::from("/old/shop")]);
    assert_eq!(run(&outside, "cas projects forget nosuch").await.outcome, Outcome::NotFound);
}

#[tokio::test]
async fn completions_and_manual_pages_come_from_the_definition() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&Fake::default(), &format!("cas completions {shell}")).await.stdout;
        assert!(script.contains("with-dependents"), "{shell}");
    }
    assert!(run(&Fake::default(), "cas man").await.stdout.contains(".TH cas 1"));
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk { cwd: dir.path().to_path_buf(), ..Desk::default() };
    assert_eq!(desk.run(&Fake::default(), "cas man --dir pages").await.outcome, Outcome::Ok);
    let page = std::fs::read_to_string(dir.path().join("pages/cas-restart.1")).unwrap();
    assert!(page.contains("dry\\-run"), "{page}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_a_usage_error() {
    let ran = run(&closed(), "cas -C /no/such/place status").await;
    assert_eq!(ran.outcome, Outcome::Usage);
    assert!(ran.stderr.contains("there is no directory /no/such/place"), "{}", ran.stderr);
}
