//! `cas health` and `cas kinds`: exact forms, codes, and what a watch prints.

use std::sync::Arc;

use cas::{
    cli::{
        context::Zone,
        interrupts::Interrupt,
        outcome::Outcome,
        paint::Paint,
        render::{
            checkup::{Patients, document, table},
            deep, kinds, why,
        },
    },
    config::kinds::{self as catalogue},
    host::handle::Link,
    model::{
        exam::Grade,
        ids::ServiceId,
        phase::Health,
        policy::Reply,
        snapshot::{ServiceView, Snapshot},
        standing::Standing,
        text, why as reasons,
    },
};
use regex::Regex;
use serde_json::json;

use super::{
    fake::{self, Desk, Fake, run},
    fixture,
    ward::{checkup, finding, growing, only, spent, ward, with},
};
use crate::support::eventually_async;

fn all(snapshot: &Snapshot) -> Vec<ServiceId> {
    snapshot.services.iter().map(|service| service.id.clone()).collect()
}

fn shown(snapshot: &Snapshot, columns: Option<u16>) -> String {
    table(&Patients::of(snapshot, &all(snapshot)), Paint::Plain, columns)
}

#[test]
fn the_worst_comes_first_each_with_one_sentence() {
    insta::assert_snapshot!(shown(&ward(), None), @r"
      SERVICE  KIND              HEALTH     WHAT
    ✗ web      -                 unhealthy  readiness probe fails for 20 s: status 503
    ✗ db       PostgreSQL 15.18  critical   connections in use: 97 of 100 (97 %) (and 1 more)
    ✗ mail     -                 gave-up    gave up after 8 starts that never held, the last: exited with code 127
    ▲ cache    Redis             warning    could not be looked at (redis): WRONGPASS: invalid password for 127.0.0.1:6379
    ▲ api      -                 waiting    waits for queue, which is waiting; behind it all: mail, which has given up
    ▲ queue    -                 waiting    waits for mail, which has given up
    ● tool     -                 running    runs; nothing asks it whether it is well
    ✓ site     -                 healthy    healthy, answered in 3 ms
    ○ old      -                 stopped    stopped by the command line
    1 healthy, 1 only running, 1 stopped, 3 warning, 3 critical
    ");
}

#[test]
fn eighty_columns_wrap_the_sentence_below_itself() {
    let text = shown(&ward(), Some(80));
    assert!(text.lines().all(|line| text::width(line) <= 80), "{text}");
    insta::assert_snapshot!(text, @r"
      SERVICE  KIND              HEALTH     WHAT
    ✗ web      -                 unhealthy  readiness probe fails for 20 s: status
                                            503
    ✗ db       PostgreSQL 15.18  critical   connections in use: 97 of 100 (97 %)
                                            (and 1 more)
    ✗ mail     -                 gave-up    gave up after 8 starts that never held,
                                            the last: exited with code 127
    ▲ cache    Redis             warning    could not be looked at (redis):
                                            WRONGPASS: invalid password for
                                            127.0.0.1:6379
    ▲ api      -                 waiting    waits for queue, which is waiting;
                                            behind it all: mail, which has given up
    ▲ queue    -                 waiting    waits for mail, which has given up
    ● tool     -                 running    runs; nothing asks it whether it is well
    ✓ site     -                 healthy    healthy, answered in 3 ms
    ○ old      -                 stopped    stopped by the command line
    1 healthy, 1 only running, 1 stopped, 3 warning, 3 critical
    ");
}

#[test]
fn forty_columns_put_the_sentence_on_lines_of_its_own() {
    let snapshot = only(&["db", "site"]);
    let text = shown(&snapshot, Some(40));
    assert!(text.lines().all(|line| text::width(line) <= 40), "{text}");
    insta::assert_snapshot!(text, @r"
      SERVICE  KIND              HEALTH
    ✗ db       PostgreSQL 15.18  critical
        connections in use: 97 of 100 (97 %)
        (and 1 more)
    ✓ site     -                 healthy
        healthy, answered in 3 ms
    1 healthy, 1 critical
    ");
}

#[test]
fn deep_shows_every_check_with_figure_threshold_course_and_advice() {
    let snapshot = only(&["db", "cache", "web"]);
    let text = deep::text(&Patients::of(&snapshot, &all(&snapshot)), Paint::Plain, Some(80));
    assert!(text.lines().all(|line| text::width(line) <= 80), "{text}");
    insta::assert_snapshot!(text, @r"
    ✗ web  unhealthy
      readiness probe fails for 20 s: status 503
      running for 3m 20s, probes: unhealthy
      ✗ readiness http http://localhost:8080/health: failed after 3 ms: status 503,
                  round 40, 3 failures in a row

    ✗ db  PostgreSQL 15.18  critical
      connections in use: 97 of 100 (97 %) (and 1 more)
      running for 3m 20s, probes: healthy
      PostgreSQL (postgres), since its program is postgres; looked at 4 s ago
      ✗ critical  connections in use: 97 of 100 (97 %)
                  97 % (warning from 80 %, critical from 95 %) · ↗ 2 % a minute ·
                  ▅▅▆▇▇█ · for 3m 10s
                  → raise max_connections, or put a pooler before it
      ▲ warning   oldest transaction: 2m 0s; pid 4711: UPDATE orders
                  2m 0s (warning from 1m 0s, critical from 10m 0s) · ↗ 1m 0s a
                  minute, critical in about 8m 0s · ▁▂▂ · for 3m 10s
                  → see what holds its transaction open
      ✓ good      reads served from memory: 99 %
                  99 % (warning down from 90 %) · → steady
      where it is not well: wait 5 s, then restart it

    ▲ cache  Redis  warning
      could not be looked at (redis): WRONGPASS: invalid password for 127.0.0.1:6379
      running for 3m 20s, probes: unknown
      Redis (redis), since its program is postgres; looked at 4 s ago
      ▲ not seen  redis: WRONGPASS: invalid password for 127.0.0.1:6379
      where it is not well: wait 5 s, then restart it

    1 warning, 2 critical
    ");
}

#[test]
fn the_page_of_health_shows_what_is_printed() {
    let page = include_str!("../../../docs/health.md");
    let indented = |text: &str| {
        let lines = text.lines().map(|line| format!("    {line}").trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    };
    let some = only(&["db", "cache", "web"]);
    for text in [
        shown(&ward(), Some(80)),
        deep::text(&Patients::of(&some, &all(&some)), Paint::Plain, Some(80)),
        why::text(
            &reasons::service(&ward(), &fixture::id("api")).unwrap(),
            fixture::at(200),
            Zone::Utc,
            Paint::Plain,
            None,
        ),
    ] {
        assert!(page.contains(&indented(&text)), "docs/health.md lacks\n{}", indented(&text));
    }
}

#[test]
fn colour_is_only_added_to_health_and_its_depths() {
    let snapshot = ward();
    let patients = Patients::of(&snapshot, &all(&snapshot));
    let escape = Regex::new("\x1b\\[[0-9;]*m").unwrap();
    for (plain, coloured) in [
        (table(&patients, Paint::Plain, Some(80)), table(&patients, Paint::Colour, Some(80))),
        (deep::text(&patients, Paint::Plain, Some(80)), deep::text(&patients, Paint::Colour, Some(80))),
    ] {
        assert!(coloured.contains("\x1b[31m"), "{coloured:?}");
        assert_eq!(escape.replace_all(&coloured, ""), plain);
    }
}

#[test]
fn what_a_server_says_cannot_act_on_the_terminal() {
    let evil = "\x1b]0;title\x07\x1b[2Jpid 7\r\nand \u{202e}more";
    let mut bad = checkup(vec![finding("evil", Grade::Critical, evil)]);
    bad.server = Some(evil.to_owned());
    bad.failed.insert("look".to_owned(), evil.to_owned());
    let db = ServiceView { checkup: Some(Arc::new(bad)), ..fixture::view("db", fixture::running(3, 0), evil) };
    let snapshot = with(db);
    let patients = Patients::of(&snapshot, &all(&snapshot));
    for text in [table(&patients, Paint::Plain, Some(80)), deep::text(&patients, Paint::Plain, None)] {
        assert!(!text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
    }
}

#[test]
fn the_document_keeps_its_form() {
    let snapshot = only(&["db"]);
    let mut value = document(&Patients::of(&snapshot, &all(&snapshot)));
    let findings = value["services"][0]["findings"].take();
    assert_eq!(
        findings[0],
        json!({
            "exam": "postgres",
            "check": "connections",
            "grade": "critical",
            "sentence": "connections in use: 97 of 100 (97 %)",
            "advice": "raise max_connections, or put a pooler before it",
            "value": 0.97,
            "unit": "count",
            "reads": "share",
            "warn": 0.8,
            "critical": 0.95,
            "below": false,
            "trend_per_minute": 0.02,
            "history": [0.5, 0.6, 0.7, 0.8, 0.9, 0.97],
            "since": "2026-11-22T10:00:10.000Z",
        })
    );
    assert_eq!(findings.as_array().unwrap().len(), 3);
    assert_eq!(
        value,
        json!({
            "services": [{
                "project": "shop",
                "name": "db",
                "grade": "critical",
                "word": "critical",
                "sentence": "connections in use: 97 of 100 (97 %) (and 1 more)",
                "phase": "running",
                "health": "healthy",
                "kind": "postgres",
                "title": "PostgreSQL",
                "server": "PostgreSQL 15.18",
                "known_by": "its program is postgres",
                "looked_at": "2026-11-22T10:03:16.000Z",
                "findings": null,
                "failed": [],
                "probes": [],
                "remedies": ["wait 5 s", "restart it"],
                "blame": [],
            }],
            "summary": {
                "services": 1, "healthy": 0, "running": 0, "moving": 0, "stopped": 0, "warning": 0, "critical": 1,
            },
            "grade": "critical",
            "at": "2026-11-22T10:03:20.000Z",
        })
    );
    let snapshot = ward();
    let value = document(&Patients::of(&snapshot, &all(&snapshot)));
    let web = value["services"].as_array().unwrap().iter().find(|service| service["name"] == "web").unwrap();
    assert_eq!(
        web["probes"][0],
        json!({
            "kind": "readiness",
            "check": "http http://localhost:8080/health",
            "rounds": 40,
            "failures": 3,
            "outcome": "failed",
            "detail": "status 503",
            "took_ms": 3.2,
        })
    );
    assert_eq!((&web["kind"], &web["blame"]), (&json!(null), &json!(["db"])));
}

fn outside(snapshot: Snapshot) -> Fake {
    let engine = fake::willing(snapshot.clone(), snapshot);
    Fake { handle: Some(engine.handle), ..Fake::default() }
}

#[tokio::test]
async fn the_code_says_how_bad_the_worst_is_of_what_was_named() {
    let outside = outside(ward());
    for (line, outcome) in [
        ("cas health", Outcome::Critical),
        ("cas health --deep", Outcome::Critical),
        ("cas health --json", Outcome::Critical),
        ("cas health web", Outcome::Critical),
        ("cas health mail", Outcome::Critical),
        ("cas health cache site", Outcome::Warned),
        ("cas health api", Outcome::Warned),
        ("cas health site tool old", Outcome::Ok),
        ("cas health nosuch", Outcome::NotFound),
    ] {
        assert_eq!(run(&outside, line).await.outcome, outcome, "{line}");
    }
    assert_eq!([Outcome::Ok, Outcome::Warned, Outcome::Critical].map(Outcome::code), [0, 10, 20]);
}

#[tokio::test]
async fn where_nobody_looks_the_code_is_not_zero() {
    let outside = Fake { project: Some(fixture::project()), ..Fake::default() };
    let ran = run(&outside, "cas health").await;
    assert_eq!(ran.outcome, Outcome::NoEngine);
    assert!(ran.stdout.contains("no engine is running") && ran.stdout.ends_with("5 stopped\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains("no engine is running for this project"), "{}", ran.stderr);
    assert_eq!(run(&outside, "cas health --watch").await.outcome, Outcome::NoEngine);
}

#[test]
fn what_is_starting_is_no_failure_and_what_waits_in_vain_is() {
    let grade = |snapshot: &Snapshot, name: &str| {
        let view = snapshot.service(&fixture::id(name)).unwrap();
        Standing::of(snapshot, view).grade
    };
    let snapshot = ward();
    assert_eq!(grade(&snapshot, "api"), Grade::Warning, "mail, behind it all, gave up");
    let starting = cas::model::phase::Phase::Starting { run: cas::model::ids::RunId(2), since: fixture::at(199) };
    let snapshot = with(fixture::view("mail", starting, "starting"));
    assert_eq!(grade(&snapshot, "mail"), Grade::Notice);
    assert_eq!(grade(&snapshot, "api"), Grade::Notice, "mail, behind it all, is on its way");
    let stopped = cas::model::phase::Phase::Stopped { since: fixture::at(9) };
    let snapshot = with(fixture::view("mail", stopped, "stopped by you"));
    assert_eq!(grade(&snapshot, "api"), Grade::Warning, "mail, behind it all, comes only when somebody starts it");
}

#[test]
fn nobody_is_called_healthy_whom_nobody_asks() {
    let snapshot = ward();
    let standing = |name: &str| Standing::of(&snapshot, snapshot.service(&fixture::id(name)).unwrap());
    assert_eq!(standing("tool").word, "running");
    assert!(standing("tool").sentence.contains("nothing asks it"), "{:?}", standing("tool"));
    assert_eq!(standing("site").sentence, "healthy, answered in 3 ms");
    assert_eq!(standing("cache").grade, Grade::Warning, "a look that failed says nothing good");
}

/// `site` with another answer of its probe, and later: nothing that would be news.
fn ticked() -> Snapshot {
    let mut later = only(&["site"]);
    later.at = fixture::at(260);
    let mut site = (*later.services[0]).clone();
    site.probes[0].last_took_us = 9_000;
    later.services = vec![Arc::new(site)];
    later
}

fn ill() -> Snapshot {
    let mut ill = ticked();
    let mut site = (*ill.services[0]).clone();
    site.health = Health::Unhealthy {
        since: fixture::at(260),
        probe: cas::model::probe::ProbeKind::Readiness,
        detail: "status 500".to_owned(),
    };
    ill.services = vec![Arc::new(site)];
    ill
}

#[test]
fn figures_that_tick_are_no_news_to_a_pipe_and_grades_are() {
    let (before, ticked, ill) = (only(&["site"]), ticked(), ill());
    let news = |snapshot: &Snapshot| Patients::of(snapshot, &all(snapshot)).news();
    assert_ne!(shown(&before, None), shown(&ticked, None), "its answer took longer");
    assert_eq!(news(&before), news(&ticked));
    assert_ne!(news(&before), news(&ill));
    let (one, other) = (only(&["db"]), {
        let mut db = (*only(&["db"]).services[0]).clone();
        Arc::make_mut(db.checkup.as_mut().unwrap()).findings[1].grade = Grade::Good;
        with(db)
    });
    assert_ne!(news(&one), news(&Snapshot { services: vec![other.services.last().unwrap().clone()], ..other }));
}

#[tokio::test]
async fn a_watch_in_a_pipe_prints_a_line_for_each_change() {
    let refuse = |_: &_| Reply::Refused { reason: "no".to_owned(), hint: None };
    let engine = fake::engine(Link::Connected, only(&["site"]), vec![], refuse, |_| None);
    let outside = Fake { handle: Some(engine.handle), ..Fake::default() };
    let snapshots = engine.snapshots;
    let desk = Desk::default();
    let written = desk.heard.clone();
    let lines = || String::from_utf8_lossy(&written.borrow()).lines().count();
    let script = async {
        eventually_async("the first line", || async { lines() == 1 }).await;
        snapshots.send_replace(Arc::new(ill()));
        eventually_async("the second line", || async { lines() == 2 }).await;
        let interrupt = outside.interrupts.borrow()[0].clone();
        interrupt.send(Interrupt::Int).await.unwrap();
    };
    let (ran, ()) = tokio::join!(desk.run(&outside, "cas health --watch --json"), script);
    assert_eq!(ran.outcome, Outcome::Interrupted);
    let grade = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["grade"].clone();
    assert_eq!(ran.stdout.lines().map(grade).collect::<Vec<_>>(), ["good", "critical"]);
}

#[tokio::test]
async fn no_colour_reaches_a_pipe_and_none_a_terminal_that_wants_none() {
    let outside = outside(ward());
    let escape = Regex::new("\x1b\\[[0-9;]*m").unwrap();
    for line in ["cas health", "cas health --deep", "cas why", "cas why db", "cas kinds", "cas kinds redis"] {
        assert!(!run(&outside, line).await.stdout.contains('\x1b'), "{line}");
        let mut desk = Desk::terminal(80);
        desk.env.insert("NO_COLOR".to_owned(), "1".to_owned());
        assert!(!desk.run(&outside, line).await.stdout.contains('\x1b'), "{line}");
        let coloured = Desk::terminal(80).run(&outside, line).await.stdout;
        assert!(coloured.contains("\x1b["), "{line}");
        let plain = escape.replace_all(&coloured, "");
        assert!(plain.lines().all(|line| text::width(line) <= 80), "{line}: {plain}");
    }
}

#[tokio::test]
async fn the_catalogue_is_listed_and_each_of_it_has_a_page_of_its_own() {
    let nobody = Fake::default();
    let list = run(&nobody, "cas kinds").await;
    assert_eq!(list.outcome, Outcome::Ok);
    let json = run(&nobody, "cas kinds --json").await.json();
    let kinds = json["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), catalogue::all().len());
    for kind in catalogue::all() {
        assert!(list.stdout.contains(&kind.title), "{}", list.stdout);
        let page = run(&nobody, &format!("cas kinds {}", kind.id)).await.stdout;
        let document = run(&nobody, &format!("cas kinds {} --json", kind.id)).await.json();
        for rule in &kind.rules {
            assert!(page.contains(&format!("{}: {}", rule.name, rule.title)), "{page}");
        }
        for sign in &kind.signs {
            assert!(page.contains(&sign.pattern), "{page}");
        }
        let lengths = ["checks", "signs", "remedies"].map(|part| document[part].as_array().unwrap().len());
        assert_eq!(lengths, [kind.rules.len(), kind.signs.len(), kind.remedies.len()]);
    }
    let ran = run(&nobody, "cas kinds nosuch").await;
    assert_eq!(ran.outcome, Outcome::NotFound);
    assert!(ran.stderr.contains("hint: there are: "), "{}", ran.stderr);
}

#[test]
fn a_page_of_a_kind_has_its_knowledge_checks_signs_and_remedies() {
    let text = r#"
id = "shelf"
title = "Shelf"
protocol = "redis"
port = 7000
programs = ["shelfd"]
schemes = ["shelf"]
page = """
A shelf keeps things.

It falls when it is full.
"""

[[rule]]
name = "room"
title = "room left"
unit = "bytes"
reads = "share"
warn = 0.2
critical = 0.05
below = true
advice = "throw something away"

[[sign]]
pattern = "no more (room|space)"
grade = "critical"
says = "it takes nothing more"

[[remedy]]
do = "wait"
for = "5s"

[[remedy]]
do = "restart"
"#;
    let kind: catalogue::Kind = toml::from_str(text).unwrap();
    insta::assert_snapshot!(kinds::page(&kind, Paint::Plain, Some(80)), @r"
    Shelf (shelf)
    known by: programs shelfd; URLs shelf://; port 7000
    protocol: redis

    A shelf keeps things.

    It falls when it is full.

    Checks
      room: room left
        warning down from 20 %, critical down from 5 %
        → throw something away

    Signs in its output
      ✗ critical: it takes nothing more
        /no more (room|space)/

    Where it is not well, in this order
      1. wait 5 s
      2. restart it
    ");
    insta::assert_snapshot!(kinds::list(&[kind], Paint::Plain, Some(80)), @r"
    KIND   TITLE  PROTOCOL  KNOWN BY
    shelf  Shelf  redis     programs shelfd; URLs shelf://; port 7000
    cas kinds KIND tells all of one
    ");
}

#[test]
fn a_finding_that_grows_says_when_it_becomes_worse() {
    let told = cas::model::figure::trend(&growing()).unwrap();
    assert_eq!(told, "↗ 1m 0s a minute, critical in about 8m 0s");
    assert_eq!(cas::model::figure::trend(&spent()).unwrap(), "↗ 2 % a minute");
}
