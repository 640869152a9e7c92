//! `cas daemon …` and everything that talks to it, against a scripted rest of cas.

use std::{cell::Cell, time::Duration};

use cas::{
    cli::{
        care::Kept,
        outcome::Outcome,
        outside::{Access, Left, Opening, Shown},
    },
    host::handle::{Departure, Link},
    model::{
        command::{Command, Starts},
        ids::{ProjectName, RunId},
        policy::{Origin, Reply},
        service::BaseEnvironment,
        snapshot::{EngineView, Snapshot},
        timeline::What,
    },
};
use serde_json::json;

use super::{
    fake::{self, Desk, Fake, engine, run},
    fixture,
};

/// The shop as a daemon shows it.
fn under_daemon() -> Snapshot {
    let snapshot = fixture::snapshot();
    let engine = EngineView { daemon: true, version: env!("CARGO_PKG_VERSION").to_owned(), ..snapshot.engine };
    Snapshot { engine, ..snapshot }
}

/// A daemon that shows `before`, accepts everything, and then shows `after(command)`.
fn daemon(before: Snapshot, after: impl Fn(&Command) -> Option<Snapshot> + Send + 'static) -> fake::Engine {
    let accept = |request: &cas::model::policy::Request| Reply::Accepted { note: request.command.to_line() };
    engine(Link::Connected, before, Vec::new(), accept, after)
}

fn nothing_open() -> Snapshot {
    Snapshot { services: Vec::new(), projects: Vec::new(), timeline: Vec::new(), ..under_daemon() }
}

fn opened(command: &Command) -> Option<Snapshot> {
    matches!(command, Command::Open { .. }).then(under_daemon)
}

fn here() -> Fake {
    Fake { project: Some(fixture::project()), ..Fake::default() }
}

fn kept(name: &str) -> Kept {
    let root = std::path::PathBuf::from("/srv").join(name);
    Kept { name: ProjectName::new(name).unwrap(), file: root.join("cas.yaml"), root, since_us: fixture::NOON }
}

#[tokio::test]
async fn starting_says_what_it_takes_up_again_and_starting_twice_is_no_error() {
    let outside = Fake { kept: vec![kept("blog"), kept("shop")], ..here() };
    let ran = run(&outside, "cas daemon start").await;
    assert_eq!((ran.outcome, ran.stdout.as_str()), (Outcome::Ok, ""));
    assert_eq!(ran.stderr, "the daemon runs (pid 77)\nit opens what was under care: blog, shop\n");
    let ran = run(&outside, "cas daemon start").await;
    assert_eq!((ran.outcome, ran.stderr.as_str()), (Outcome::Ok, "the daemon runs already (pid 77)\n"));
}

#[tokio::test]
async fn stopping_asks_what_becomes_of_services_or_wants_to_be_told() {
    for (line, answer, outcome, departure) in [
        ("cas daemon stop", None, Outcome::Usage, None),
        ("cas daemon stop", Some("k\n"), Outcome::Ok, Some(Departure::LeaveRunning)),
        ("cas daemon stop", Some("d\n"), Outcome::Ok, Some(Departure::StopAll)),
        ("cas daemon stop", Some("\n"), Outcome::Refused, None),
        ("cas daemon stop --keep", None, Outcome::Ok, Some(Departure::LeaveRunning)),
        ("cas daemon stop --down", None, Outcome::Ok, Some(Departure::StopAll)),
    ] {
        let mut engine = daemon(under_daemon(), |_| None);
        let outside = Fake { daemon: Some(engine.handle.clone()), daemon_runs: Cell::new(true), ..here() };
        let desk = match answer {
            Some(answer) => Desk { answer, ..Desk::terminal(80) },
            None => Desk::default(),
        };
        let ran = desk.run(&outside, line).await;
        assert_eq!(ran.outcome, outcome, "{line} {answer:?}: {}", ran.stderr);
        assert_eq!(engine.departures.try_recv().ok(), departure, "{line} {answer:?}");
        if departure.is_none() {
            assert!(ran.stderr.contains("2 services run under the daemon: shop/web, shop/db"), "{}", ran.stderr);
            assert!(outside.daemon_runs.get());
        }
    }
}

#[tokio::test]
async fn where_no_daemon_runs_stopping_has_nothing_to_do_and_status_is_code_3() {
    let outside = Fake { kept: vec![kept("shop")], ..here() };
    let ran = run(&outside, "cas daemon stop").await;
    assert_eq!((ran.outcome, ran.stderr.as_str()), (Outcome::Ok, "nothing to do: no daemon is running\n"));
    let ran = run(&outside, "cas daemon status").await;
    assert_eq!(ran.outcome, Outcome::NoEngine);
    assert!(ran.stderr.contains("it would open what was under care: shop") && ran.stderr.contains("cas daemon start"));
    let ran = run(&outside, "cas daemon status --json").await;
    assert_eq!(ran.outcome, Outcome::NoEngine);
    assert_eq!(ran.json()["running"], false);
    assert_eq!(ran.json()["projects"][0]["open"], false);
    let ran = run(&outside, "cas daemon logs -f").await;
    assert_eq!(ran.outcome, Outcome::NoEngine);
}

#[tokio::test]
async fn a_restart_leaves_services_running() {
    let mut engine = daemon(under_daemon(), |_| None);
    let outside = Fake { daemon: Some(engine.handle.clone()), daemon_runs: Cell::new(true), ..here() };
    let ran = run(&outside, "cas daemon restart").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert_eq!(engine.departures.try_recv(), Ok(Departure::LeaveRunning));
    assert!(ran.stderr.contains("its 2 services run on") && ran.stderr.contains("no service was restarted"));
    assert!(outside.daemon_runs.get());
}

#[tokio::test]
async fn a_daemon_of_another_version_is_ended_by_a_signal_and_its_services_stay() {
    let fault = Some("this engine is cas 9.0.0 and speaks version 9".to_owned());
    let outside = Fake { daemon_fault: fault, daemon_runs: Cell::new(true), ..here() };
    let ran = run(&outside, "cas daemon stop --down").await;
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.stderr.contains("cas daemon restart"), "{}", ran.stderr);
    assert!(outside.tools.borrow().is_empty());
    let ran = run(&outside, "cas daemon restart").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert_eq!(*outside.tools.borrow(), ["SIGTERM"]);
}

fn view() -> serde_json::Value {
    json!({
        "pid": 77, "version": "0.0.9", "api": 1, "daemon": true, "uptime_s": 11_000.4, "cpu_percent": 0.31,
        "memory_bytes": 22_020_096, "open_files": 74, "open_files_limit": 1024, "threads": 9, "clients": 2,
        "slots": {"slots": 12, "shims": 12, "adopted": 3},
        "queues": {"events": {"len": 0, "capacity": 4096}, "output": {"len": 1, "capacity": 32}},
        "dropped": {"lines": 0, "samples": 4}, "last_error": "the disk was full for 3 s",
        "checks": [{"name": "database", "ok": true, "detail": ""}, {"name": "shims", "ok": false, "detail": "web's does not answer"}],
    })
}

#[tokio::test]
async fn its_status_is_who_it_is_how_it_is_what_it_cares_for_and_what_it_uses() {
    let engine = daemon(under_daemon(), |_| None);
    let outside = Fake {
        daemon: Some(engine.handle.clone()),
        daemon_runs: Cell::new(true),
        daemon_view: Some(view()),
        kept: vec![kept("shop"), kept("blog")],
        ..here()
    };
    let ran = run(&outside, "cas daemon status").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        format!(
            "cas daemon 0.0.9 · pid 77 · up 3h 3m
▲ the daemon is cas 0.0.9, this is cas {}: \"cas daemon restart\" makes it this one, and no service is restarted
✓ database
✗ shims: web's does not answer

shop  under care since 2026-11-22 10:00 (3m 20s)  {}  /srv/shop
✗ blog is under care and not open: \"cas check -C /srv/blog\" says whether its file can be taken

uses       cpu 0.3 %, memory 21.0 MiB, open files 74 of 1024, threads 9, clients 2
slots      12, with 12 shims; 3 runs taken over
queues     events 0/4096, output 1/32
dropped    4 samples
last error the disk was full for 3 s
",
            env!("CARGO_PKG_VERSION"),
            cas::cli::render::status::summary(&engine.handle.snapshot().projects[0].counts),
        )
    );
    let json = run(&outside, "cas daemon status --json").await.json();
    assert_eq!((&json["running"], &json["memory_bytes"]), (&json!(true), &json!(22_020_096)));
    assert_eq!(json["projects"][0]["under_care_since"], "2026-11-22T10:00:00.000Z");
    assert_eq!(json["projects"][1]["name"], "blog");
}

#[tokio::test]
async fn a_daemon_that_says_little_of_itself_is_shown_as_far_as_it_does() {
    let engine = daemon(nothing_open(), |_| None);
    let outside = Fake {
        daemon: Some(engine.handle.clone()),
        daemon_runs: Cell::new(true),
        daemon_view: Some(json!({"pid": 77, "version": env!("CARGO_PKG_VERSION"), "queues": "a newer form"})),
        ..here()
    };
    let ran = run(&outside, "cas daemon status").await;
    assert_eq!(ran.outcome, Outcome::Ok);
    assert!(ran.stdout.starts_with(&format!("cas daemon {} · pid 77\n", env!("CARGO_PKG_VERSION"))), "{}", ran.stdout);
    assert!(ran.stdout.contains("no project is under care"));
}

#[tokio::test]
async fn up_detached_starts_the_daemon_opens_the_project_with_this_environment_and_waits() {
    let mut engine = daemon(nothing_open(), opened);
    let mut project = fixture::project();
    project.services.truncate(1);
    let outside = Fake { project: Some(project), daemon: Some(engine.handle.clone()), ..Fake::default() };
    let desk = Desk { env: [("SECRET".to_owned(), "x".to_owned())].into(), ..Desk::default() };
    let ran = desk.run(&outside, "cas up --detach web").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("started the daemon (pid 77)\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("● web running: running for 3m, healthy\n"), "{}", ran.stderr);
    assert!(
        ran.stderr.ends_with("has them under care; \"cas\" shows them, \"cas down\" stops them\n"),
        "{}",
        ran.stderr
    );
    let open = engine.requests.recv().await.unwrap();
    let Command::Open { directory, environment: Some(BaseEnvironment(environment)), starts } = open.command else {
        panic!("{:?}", open.command)
    };
    assert_eq!((directory.to_str(), environment["SECRET"].as_str()), (Some("/srv/shop"), "x"));
    assert_eq!(starts, Starts::Nothing, "only web is asked for");
    let start = engine.requests.recv().await.unwrap().command;
    assert_eq!(start.to_line(), "start web");
    assert!(outside.hosted.borrow().is_empty());
}

#[tokio::test]
async fn a_daemon_that_runs_is_used_by_up_and_start_and_not_by_a_mere_look() {
    for (line, asks) in [
        ("cas up --no-tui web", true),
        ("cas start web --no-wait", true),
        ("cas status", false),
        ("cas logs", false),
        ("cas events", false),
    ] {
        let mut engine = daemon(nothing_open(), opened);
        let outside = Fake { daemon: Some(engine.handle.clone()), daemon_runs: Cell::new(true), ..here() };
        let running = async {
            tokio::select! {
                ran = run(&outside, line) => Some(ran),
                () = interrupted(&outside) => None,
            }
        };
        let _shown = running.await;
        let first = engine.requests.try_recv().ok().map(|request| request.command);
        assert_eq!(matches!(first, Some(Command::Open { .. })), asks, "{line}: {first:?}");
        assert!(outside.hosted.borrow().is_empty(), "{line}");
    }
}

/// Comes when the verb waits for Ctrl-C: it follows by then.
async fn interrupted(outside: &Fake) {
    while outside.interrupts.borrow().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The shop and a second project with a `web` of its own.
fn two_projects() -> Snapshot {
    let mut snapshot = under_daemon();
    let mut blog = snapshot.projects[0].clone();
    blog.name = ProjectName::new("blog").unwrap();
    blog.root = "/srv/blog".into();
    blog.file = "/srv/blog/cas.yaml".into();
    snapshot.projects.push(blog);
    let mut web = (*snapshot.services[0]).clone();
    web.id.project = ProjectName::new("blog").unwrap();
    snapshot.services.push(std::sync::Arc::new(web));
    snapshot
}

#[tokio::test]
async fn in_a_project_a_line_is_about_that_project_whatever_else_the_daemon_runs() {
    let mut engine = daemon(two_projects(), |_| None);
    let outside = Fake { handle: Some(engine.handle.clone()), ..here() };
    for (line, asked) in [
        ("cas restart web --no-wait", "restart shop/web"),
        ("cas stop --all --no-wait", "stop 'shop/*'"),
        ("cas kill blog/web --no-wait", "kill blog/web"),
    ] {
        let ran = run(&outside, line).await;
        if line.contains("blog") {
            assert_eq!(ran.outcome, Outcome::NotFound, "another project is named where it is: {}", ran.stderr);
            continue;
        }
        assert_eq!(ran.outcome, Outcome::Ok, "{line}: {}", ran.stderr);
        assert_eq!(engine.requests.recv().await.unwrap().command.to_line(), asked);
    }
    let json = run(&outside, "cas status --json").await.json();
    assert_eq!(json["services"].as_array().unwrap().len(), 3);
    assert_eq!(json["projects"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn outside_of_all_projects_the_daemon_is_asked_about_everything() {
    let engine = daemon(two_projects(), |_| None);
    let outside = Fake { daemon: Some(engine.handle.clone()), daemon_runs: Cell::new(true), ..Fake::default() };
    let json = run(&outside, "cas status --json").await.json();
    assert_eq!(json["services"].as_array().unwrap().len(), 4);
    let ran = run(&outside, "cas restart web --no-wait").await;
    assert_eq!(ran.outcome, Outcome::NotFound);
    assert!(ran.stderr.contains("say which: shop/web, blog/web"), "{}", ran.stderr);
    assert_eq!(run(&outside, "cas restart blog/web --no-wait").await.outcome, Outcome::Ok);
    let nowhere = Fake::default();
    assert_eq!(run(&nowhere, "cas status").await.outcome, Outcome::Usage);
}

#[tokio::test]
async fn down_under_a_daemon_closes_the_project_and_leaves_the_daemon() {
    let mut engine = daemon(two_projects(), |command| {
        let Command::Close { project } = command else { return None };
        let mut snapshot = two_projects();
        snapshot.projects.retain(|open| open.name != *project);
        snapshot.services.retain(|service| service.id.project != *project);
        Some(snapshot)
    });
    let outside = Fake { handle: Some(engine.handle.clone()), ..here() };
    let ran = run(&outside, "cas down").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("stopping 2 services\n") && ran.stderr.ends_with("everything is stopped\n"));
    assert_eq!(engine.requests.recv().await.unwrap().command.to_line(), "close shop");
    assert!(engine.departures.try_recv().is_err());
}

fn left(service: &str) -> Left {
    Left { service: fixture::name(service), run: RunId(9), pid: 4711, since: fixture::at(0) }
}

#[tokio::test]
async fn services_without_an_engine_are_seen_and_can_be_stopped() {
    let mut own =
        engine(Link::Local, fixture::snapshot(), Vec::new(), |_| Reply::Accepted { note: String::new() }, |_| None);
    let outside = Fake { left: vec![left("web")], host: Some(own.handle.clone()), ..here() };
    let json = run(&outside, "cas status --json").await.json();
    let web = &json["services"][0];
    assert_eq!((&web["phase"], &web["pid"]), (&json!("running"), &json!(4711)));
    assert!(web["why"].as_str().unwrap().contains("without an engine"));
    assert!(json["engine"].is_null());

    let ran = run(&outside, "cas stop web").await;
    assert_eq!(ran.outcome, Outcome::NoEngine);
    assert!(ran.stderr.contains("these run on by themselves: web"), "{}", ran.stderr);

    let ran = run(&outside, "cas down").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("taking over 1 service that runs without an engine\n"), "{}", ran.stderr);
    assert_eq!(*outside.hosted.borrow(), [Opening::Quiet], "nothing is started for being stopped");
    assert_eq!(own.departures.recv().await, Some(Departure::StopAll));
}

#[tokio::test]
async fn how_a_console_with_an_engine_is_left_decides_about_its_services() {
    for (shown, departure, daemon_runs, outcome) in [
        (Shown::Left, Departure::StopAll, false, Outcome::Ok),
        (Shown::LeaveRunning, Departure::LeaveRunning, true, Outcome::Ok),
        (Shown::Signalled(2), Departure::StopAll, false, Outcome::Interrupted),
        (Shown::Signalled(1), Departure::LeaveRunning, false, Outcome::Interrupted),
        (Shown::Signalled(15), Departure::LeaveRunning, false, Outcome::Interrupted),
        (Shown::Lost("the terminal is gone".to_owned()), Departure::LeaveRunning, false, Outcome::Failed),
    ] {
        let mut own =
            engine(Link::Local, fixture::snapshot(), Vec::new(), |_| Reply::Accepted { note: String::new() }, |_| None);
        let daemon = daemon(nothing_open(), opened);
        let outside = Fake {
            host: Some(own.handle.clone()),
            daemon: Some(daemon.handle.clone()),
            shown: Some(shown.clone()),
            ..here()
        };
        let ran = Desk::terminal(80).run(&outside, "cas").await;
        assert_eq!(ran.outcome, outcome, "{shown:?}: {}", ran.stderr);
        assert_eq!(own.departures.recv().await, Some(departure), "{shown:?}");
        assert_eq!(outside.daemon_runs.get(), daemon_runs, "{shown:?}");
        let lets_go = u32::from(departure == Departure::LeaveRunning);
        assert_eq!(outside.let_go.get(), lets_go, "{shown:?}: its lock is free before another takes over");
        if departure == Departure::LeaveRunning {
            assert!(ran.stderr.contains("2 services run on"), "{shown:?}: {}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn who_only_looks_never_hosts_opens_or_starts_anything() {
    let mut running = daemon(nothing_open(), opened);
    let outside = Fake { daemon: Some(running.handle.clone()), daemon_runs: Cell::new(true), ..here() };
    let ran = Desk::terminal(80).run(&outside, "cas --read-only").await;
    assert_eq!(ran.outcome, Outcome::NoEngine);
    assert!(ran.stderr.contains("nothing runs to look at"), "{}", ran.stderr);
    assert!(running.requests.try_recv().is_err() && outside.hosted.borrow().is_empty());
    assert!(outside.accesses.borrow().iter().all(|access| *access == Access::ReadOnly));
    let mut open = daemon(under_daemon(), |_| None);
    let outside = Fake { handle: Some(open.handle.clone()), ..here() };
    let ran = Desk::terminal(80).run(&outside, "cas up --read-only").await;
    assert_eq!(ran.outcome, Outcome::Ok);
    assert!(open.requests.try_recv().is_err(), "it is shown, and nothing is started");
}

#[tokio::test]
async fn who_only_looks_changes_nothing_by_any_verb() {
    let home = tempfile::tempdir().unwrap();
    for line in [
        "cas up --detach",
        "cas down",
        "cas stop web",
        "cas stop web --dry-run",
        "cas autopilot off",
        "cas open .",
        "cas close shop",
        "cas attach web",
        "cas init -y",
        "cas projects forget shop",
        "cas daemon start",
        "cas daemon stop --keep",
        "cas daemon stop --down",
        "cas daemon restart",
        "cas daemon install",
        "cas daemon uninstall",
        "cas daemon run",
    ] {
        let left = Left { service: fixture::name("web"), run: RunId(7), pid: 4007, since: fixture::at(1) };
        let mut running = daemon(under_daemon(), |_| None);
        let outside = Fake {
            daemon: Some(running.handle.clone()),
            daemon_runs: Cell::new(true),
            left: vec![left],
            host: Some(running.handle.clone()),
            ..here()
        };
        let desk = Desk { cwd: home.path().to_path_buf(), ..Desk::terminal(80) };
        let ran = desk.run(&outside, &format!("{line} --read-only")).await;
        assert_eq!(ran.outcome, Outcome::Refused, "{line}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("--read-only only looks") && ran.stderr.contains("leave --read-only out"),
            "{line}: {}",
            ran.stderr
        );
        assert!(running.requests.try_recv().is_err() && running.departures.try_recv().is_err(), "{line}");
        assert!(outside.hosted.borrow().is_empty() && outside.forgotten.borrow().is_empty(), "{line}");
        assert!(outside.daemon_runs.get() && outside.tools.borrow().is_empty(), "{line}");
    }
    let ran = Desk { cwd: home.path().to_path_buf(), ..Desk::terminal(80) }.run(&here(), "cas demo --read-only").await;
    assert_eq!(ran.outcome, Outcome::NoEngine, "{}", ran.stderr);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing was written");
    let ran = run(&here(), "cas daemon install --print --read-only").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
}

#[tokio::test]
async fn attaching_needs_a_service_with_a_terminal() {
    let mut snapshot = under_daemon();
    let mut web = (*snapshot.services[0]).clone();
    web.tty = true;
    snapshot.services[0] = std::sync::Arc::new(web);
    let engine = daemon(snapshot, |_| None);
    let outside = Fake { handle: Some(engine.handle.clone()), ..here() };
    let ran = Desk::terminal(80).run(&outside, "cas attach db").await;
    assert_eq!(ran.outcome, Outcome::Refused);
    assert!(ran.stderr.contains("tty: true"), "{}", ran.stderr);
    assert_eq!(run(&outside, "cas attach web").await.outcome, Outcome::Usage, "here is no terminal");
    let ran = Desk::terminal(80).run(&outside, "cas attach web").await;
    assert_eq!((ran.outcome, ran.stderr.as_str()), (Outcome::Ok, "let go of shop/web; it goes on\n"));
    assert_eq!(*outside.tools.borrow(), ["attach shop/web"]);
}

#[tokio::test]
async fn its_activity_is_told_in_sentences_without_an_engine_too() {
    let outside = Fake { entries: fixture::entries(), ..here() };
    let ran = run(&outside, "cas daemon logs").await;
    assert_eq!(ran.outcome, Outcome::Ok);
    assert_eq!(
        ran.stdout,
        "10:00 shop/web started by command line\n10:00 shop/web crashed (exit code 1), restarts after 400 ms\n"
    );
}

#[tokio::test]
async fn following_its_activity_tells_a_story_when_it_is_over() {
    let engine = daemon(under_daemon(), |_| None);
    let mut entries = fixture::entries();
    for (entry, seconds) in entries.iter_mut().zip([197, 198, 198]) {
        entry.at = fixture::at(seconds);
    }
    let daemon = Some(engine.handle.clone());
    let outside = Fake { entries, daemon, daemon_runs: Cell::new(true), ..here() };
    let script = async {
        interrupted(&outside).await;
        let mut snapshot = under_daemon();
        for (seq, what) in
            [(4, What::Started { pid: 4008, attempt: 1 }), (5, What::Ready { after: Duration::from_millis(1900) })]
        {
            let entry = fixture::entry(seq, 199, "web", Origin::Healer, what, "");
            snapshot.timeline.push(std::sync::Arc::new(entry));
        }
        engine.snapshots.send_replace(std::sync::Arc::new(snapshot));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let interrupt = outside.interrupts.borrow()[0].clone();
        interrupt.send(cas::cli::interrupts::Interrupt::Int).await.unwrap();
    };
    let (ran, ()) = tokio::join!(run(&outside, "cas daemon logs -f"), script);
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert_eq!(
        ran.stdout,
        "10:03 shop/web started by command line\n10:03 shop/web crashed (exit code 1), restarted after 1 s, healthy after 1.9 s\n"
    );
}

#[tokio::test]
async fn a_project_is_opened_and_closed_by_its_own_verbs() {
    let mut engine = daemon(under_daemon(), |_| None);
    let outside = Fake { daemon: Some(engine.handle.clone()), daemon_runs: Cell::new(true), ..here() };
    let desk = Desk { cwd: "/srv".into(), ..Desk::default() };
    assert_eq!(desk.run(&outside, "cas open blog").await.outcome, Outcome::Ok);
    assert_eq!(engine.requests.recv().await.unwrap().command.to_line(), "open /srv/blog");
    assert_eq!(desk.run(&outside, "cas close shop").await.outcome, Outcome::Ok);
    assert_eq!(engine.requests.recv().await.unwrap().command.to_line(), "close shop");
    outside.daemon_runs.set(false);
    let ran = desk.run(&outside, "cas open blog").await;
    assert_eq!(ran.outcome, Outcome::NoEngine);
    assert!(ran.stderr.contains("cas daemon start"));
}
