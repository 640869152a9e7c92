//! Exact forms of everything that is printed.

use std::sync::Arc;

use cas::{
    cli::{
        context::Zone,
        offline,
        paint::Paint,
        render::{
            events::{self, EventLook},
            graph, json_document,
            logs::{Form, LogLook, LogPrinter, OneLine, Prefix},
            projects, status,
        },
        select,
    },
    insight::entry::Formats,
    model::{
        command::ServiceRef,
        ids::ServiceId,
        log::{LogBatch, LogLine, Stream},
        snapshot::Snapshot,
    },
};
use regex::Regex;
use serde_json::json;

use super::fixture;

fn all(snapshot: &Snapshot) -> Vec<ServiceId> {
    snapshot.services.iter().map(|service| service.id.clone()).collect()
}

#[test]
fn status_is_a_table_whose_last_column_says_why() {
    let snapshot = fixture::snapshot();
    let table = status::table(&snapshot, &all(&snapshot), Paint::Plain, None);
    insta::assert_snapshot!(table, @r"
    SERVICE  STATE      HEALTH    PID  UPTIME  RESTARTS    CPU    MEMORY  WHY
    web      ● running  healthy  4007      3m         2  12.3%  38.4 MiB  running for 3m, healthy
    db       ● running  -        4003      3m         0      -         -  running for 3m
    worker   ✗ gave-up  -           -       -         0      -         -  gave up after 8 starts that never held; start it by hand
    3 services: 2 running, 1 failed
    ");
}

#[test]
fn a_narrow_terminal_cuts_the_reason_and_nothing_else() {
    let snapshot = fixture::snapshot();
    let table = status::table(&snapshot, &all(&snapshot), Paint::Plain, Some(90));
    let worker = table.lines().nth(3).unwrap();
    assert!(worker.ends_with("gave up after 8 sta…"), "{worker}");
    assert!(table.lines().all(|line| line.chars().count() <= 90), "{table}");
}

#[test]
fn colour_is_only_added_never_needed() {
    let snapshot = fixture::snapshot();
    let plain = status::table(&snapshot, &all(&snapshot), Paint::Plain, None);
    let coloured = status::table(&snapshot, &all(&snapshot), Paint::Colour, None);
    let stripped = Regex::new("\x1b\\[[0-9;]*m").unwrap().replace_all(&coloured, "");
    assert!(coloured.contains("\x1b[31m✗ gave-up\x1b[0m"), "{coloured:?}");
    assert_eq!(stripped, plain);
}

#[test]
fn status_json_keeps_its_form() {
    let mut snapshot = fixture::snapshot();
    snapshot.services.truncate(2);
    let document = status::document(&snapshot, &all(&snapshot), status::Pictured::ByEngine);
    let expected = json!({
        "services": [
            {
                "project": "shop",
                "name": "web",
                "kind": "process",
                "revision": 12,
                "phase": "running",
                "paused": false,
                "health": "healthy",
                "pid": 4007,
                "run": 7,
                "restarts": 2,
                "uptime_s": 200,
                "cpu_percent": 12.3,
                "memory_bytes": 40_265_318,
                "why": "running for 3m, healthy",
                "ports": [8080],
                "depends_on": [{ "service": "db", "condition": "service_healthy", "holds": true }],
                "command": "./web --serve",
                "working_dir": "/srv/shop",
                "source": { "file": "/srv/shop/cas.yaml", "line": 3, "column": 3 },
                "profiles": [],
                "replica_of": null,
                "schedule": null,
                "next_at": null,
                "watch": null,
            },
            {
                "project": "shop",
                "name": "db",
                "kind": "process",
                "revision": 12,
                "phase": "running",
                "paused": false,
                "health": "unknown",
                "pid": 4003,
                "run": 3,
                "restarts": 0,
                "uptime_s": 200,
                "cpu_percent": null,
                "memory_bytes": null,
                "why": "running for 3m",
                "ports": [],
                "depends_on": [],
                "command": "./db --serve",
                "working_dir": "/srv/shop",
                "source": { "file": "/srv/shop/cas.yaml", "line": 3, "column": 3 },
                "profiles": [],
                "replica_of": null,
                "schedule": null,
                "next_at": null,
                "watch": null,
            },
        ],
        "projects": [{
            "name": "shop",
            "root": "/srv/shop",
            "file": "/srv/shop/cas.yaml",
            "open": true,
            "exists": true,
            "services": 3,
            "running": 2,
            "unhealthy": 0,
            "moving": 0,
            "held": 0,
            "failed": 1,
            "quiet": 0,
            "last_opened": "2026-11-22T10:00:00.000Z",
        }],
        "engine": {
            "version": "0.1.0",
            "pid": 77,
            "started": "2026-11-22T10:00:00.000Z",
            "autopilot": "on",
            "leaving": false,
        },
        "revision": 12,
        "at": "2026-11-22T10:03:20.000Z",
    });
    // As text: the order of the keys is part of the form.
    assert_eq!(json_document(&document), json_document(&expected));
}

#[test]
fn without_an_engine_status_says_so_and_how_it_ended() {
    let project = fixture::project();
    let snapshot = offline::snapshot(Some(&project), &[], &[], &fixture::entries(), fixture::at(63));
    let document = status::document(&snapshot, &all(&snapshot), status::Pictured::FromFile);
    assert_eq!(document["engine"], json!(null));
    assert_eq!(document["services"][0]["phase"], "stopped");
    let why = "no engine is running: cas up starts it (last: exited with code 1 after 3.2 s, 1m 0s ago)";
    assert_eq!(document["services"][0]["why"], why);
    assert_eq!(document["services"][1]["why"], offline::WHY);
}

#[test]
fn graphs_are_exact_in_all_four_formats() {
    let project = fixture::project();
    insta::assert_snapshot!(graph::tree(&project, Paint::Plain), @r"
    shop
    ├─ web
    │  ├─ cache (service_started)
    │  └─ db (service_healthy)
    │     └─ migrate (service_completed_successfully)
    └─ worker
       └─ db (service_log_ready) … as above
    ");
    insta::assert_snapshot!(graph::mermaid(&project), @r#"
    flowchart LR
        s0["web"]
        s1["worker"]
        s2["db"]
        s3["cache"]
        s4["migrate"]
        s0 -->|service_started| s3
        s0 -->|service_healthy| s2
        s1 -->|service_log_ready| s2
        s2 -->|service_completed_successfully| s4
    "#);
    insta::assert_snapshot!(graph::dot(&project), @r#"
    digraph "shop" {
        rankdir=LR;
        node [shape=box];
        "web";
        "worker";
        "db";
        "cache";
        "migrate";
        "web" -> "cache" [label="service_started"];
        "web" -> "db" [label="service_healthy"];
        "worker" -> "db" [label="service_log_ready"];
        "db" -> "migrate" [label="service_completed_successfully"];
    }
    "#);
    let document = graph::document(&project);
    assert_eq!(document["services"], json!(["web", "worker", "db", "cache", "migrate"]));
    let first =
        json!({ "from": "web", "to": "cache", "condition": "service_started", "required": true, "restart": false });
    assert_eq!(document["edges"][0], first);
}

fn event_look(paint: Paint) -> EventLook {
    EventLook { name_width: 6, with_project: false, zone: Zone::Utc, paint }
}

#[test]
fn events_say_when_who_what_and_why_with_last_words_below() {
    let lines: String =
        fixture::entries().iter().map(|entry| events::lines(entry, &event_look(Paint::Plain))).collect();
    insta::assert_snapshot!(lines, @r"
    2026-11-22 10:00:00  web     started, pid 4007 — asked for  (command line)
    2026-11-22 10:00:03  web     exited with code 1 after 3.2 s  (cas)
                                 │ Traceback:
                                 │ boom
    2026-11-22 10:00:03  web     restart 1 in 400 ms — restart: on-failure  (healer)
    ");
}

#[test]
fn an_event_in_json_keeps_its_form() {
    let document = events::document(&fixture::entries()[1]);
    let expected = json!({
        "at": "2026-11-22T10:00:03.000Z",
        "seq": 2,
        "project": "shop",
        "service": "web",
        "run": 7,
        "who": "system",
        "what": "exited",
        "severity": "warning",
        "sentence": "exited with code 1 after 3.2 s",
        "why": "",
        "detail": {
            "exit": { "kind": "code", "value": 1 },
            "after": "3s 200ms",
            "last_words": ["Traceback:", "boom"],
        },
    });
    assert_eq!(json_document(&document), json_document(&expected));
}

fn log_look(paint: Paint) -> LogLook {
    LogLook {
        services: vec![fixture::id("web"), fixture::id("worker")],
        prefix: Prefix::Service,
        timestamps: false,
        zone: Zone::Utc,
        paint,
        marks: Vec::new(),
        formats: Arc::new(Formats::builtin()),
        files: Vec::new(),
        form: Form::Text,
    }
}

pub(super) fn printed(look: LogLook, batches: &[Arc<LogBatch>]) -> String {
    let mut printer = LogPrinter::new(look);
    let mut out = String::new();
    for batch in batches {
        for (index, line) in batch.lines.iter().enumerate() {
            printer.line(&mut out, &OneLine::of(batch, index, *line));
        }
    }
    out
}

#[test]
fn log_lines_stand_aligned_behind_their_service() {
    let batches = [fixture::batch("web", 0, &["hello", "\x1b[31mred\x1b[0m"]), fixture::batch("worker", 0, &["hi"])];
    assert_eq!(printed(log_look(Paint::Plain), &batches), "web    | hello\nweb    | red\nworker | hi\n");
}

#[test]
fn on_a_terminal_prefixes_have_colours_and_those_of_the_service_stay() {
    let shown = printed(log_look(Paint::Colour), &[fixture::batch("web", 0, &["\x1b[31mred"])]);
    assert!(shown.starts_with("\x1b[36mweb    |\x1b[0m "), "{shown:?}");
    assert!(shown.contains("31m") && shown.contains("red") && shown.ends_with("\x1b[0m\n"), "{shown:?}");
}

#[test]
fn times_and_bare_lines_are_there_where_asked_for() {
    let timed = LogLook { timestamps: true, ..log_look(Paint::Plain) };
    let batch = [fixture::batch("web", 2, &["hello"])];
    assert_eq!(printed(timed, &batch), "web    | 2026-11-22T10:00:02.000 hello\n");
    let bare = LogLook { prefix: Prefix::Nothing, ..log_look(Paint::Plain) };
    assert_eq!(printed(bare, &batch), "hello\n");
}

#[test]
fn what_was_searched_for_is_shown() {
    let grep = LogLook { marks: vec![Regex::new("err\\w*").unwrap()], ..log_look(Paint::Colour) };
    let shown = printed(grep, &[fixture::batch("web", 0, &["an \x1b[33merror\x1b[0m came"])]);
    assert!(shown.ends_with(" an \x1b[1;7merror\x1b[0m came\n"), "{shown:?}");
}

#[test]
fn a_log_line_in_json_keeps_its_form_and_its_text() {
    let look = LogLook { form: Form::Json, ..log_look(Paint::Plain) };
    let line = printed(look, &[fixture::batch("web", 3, &["a\x1b[31m\u{9b}b"])]);
    let expected = r#"{"at":"2026-11-22T10:00:03.000Z","project":"shop","service":"web","run":7,"seq":3,"stream":"stdout","continued":false,"level":null,"text":"a\u001b[31m\u009bb"}"#;
    assert_eq!(line, format!("{expected}\n"));
}

#[test]
fn a_line_in_pieces_stays_one_line_unless_another_comes_between() {
    let piece = |service: &str, text: &str, continued| {
        let line = LogLine { start: 0, len: u32::try_from(text.len()).unwrap(), stream: Stream::Stdout, continued };
        Arc::new(LogBatch { text: text.into(), lines: [line].into(), ..(*fixture::batch(service, 0, &[])).clone() })
    };
    let whole = [piece("web", "ab", true), piece("web", "cd", false)];
    assert_eq!(printed(log_look(Paint::Plain), &whole), "web    | abcd\n");
    let cut = [piece("web", "ab", true), piece("worker", "x", false), piece("web", "cd", false)];
    assert_eq!(printed(log_look(Paint::Plain), &cut), "web    | ab\nworker | x\nweb    | cd\n");
}

#[test]
fn projects_are_listed_with_their_worst_state() {
    let mut views = fixture::snapshot().projects;
    views.extend(offline::projects(&[fixture::record("blog", "/srv/blog")]));
    insta::assert_snapshot!(projects::table(&views, Zone::Utc, Paint::Plain, None), @r"
    PROJECT  STATE     LAST OPENED       SERVICES                         FILE
    shop     ✗ failed  2026-11-22 10:00  3 services: 2 running, 1 failed  /srv/shop/cas.yaml
    blog     ○ closed  2026-11-22 10:00  3                                /srv/blog/cas.yaml
    ");
}

#[test]
fn names_that_fit_several_or_none_are_refused_with_the_candidates() {
    let mut known = vec![fixture::id("web"), fixture::id("worker")];
    let other = ServiceId { project: "blog".parse().unwrap(), ..fixture::id("web") };
    known.push(other.clone());
    let wanted = |names: &[&str]| names.iter().map(|name| ServiceRef((*name).to_owned())).collect::<Vec<_>>();
    assert_eq!(select::services(&wanted(&["w*", "worker"]), &known).unwrap(), known);
    assert_eq!(select::services(&wanted(&["blog/web"]), &known).unwrap(), [other]);
    let several = format!("{:?}", select::services(&wanted(&["web"]), &known).unwrap_err());
    assert!(several.contains("shop/web, blog/web"), "{several}");
    let none = format!("{:?}", select::services(&wanted(&["wab"]), &known).unwrap_err());
    assert!(none.contains("there is no service") && none.contains("shop/worker"), "{none}");
}
