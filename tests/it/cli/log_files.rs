//! `cas log-files`, and lines of files in `cas logs`.

use std::sync::Arc;

use cas::{
    cli::{
        context::Zone,
        outcome::Outcome,
        paint::Paint,
        render::logs::{Form, LogLook, Prefix},
    },
    host::handle::Link,
    insight::entry::Formats,
    model::{
        log::{LogBatch, Source},
        policy::Reply,
    },
};

use super::{
    fake::{Fake, Ran, engine, run},
    fixture,
};

async fn told(line: &str) -> Ran {
    let reply = |_: &_| Reply::Accepted { note: String::new() };
    let engine = engine(Link::Connected, fixture::snapshot(), Vec::new(), reply, |_| None);
    run(&Fake { handle: Some(engine.handle.clone()), ..Fake::default() }, line).await
}

#[tokio::test]
async fn files_of_services_are_told_with_how_they_are_rotated_and_what_is_not_declared() {
    let ran = told("cas log-files").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout, @r"
    SERVICE  FILE         SIZE  GROWTH  SHOWN  ROTATED                                                   LAST  NEXT         HOW
    web      log/web.log   10M    2K/s  yes    50M or 1day, 7 kept                                     3h ago  size, in 5h  SIGUSR1, else copytruncate
    db       log/db.log     4K       -  yes    never                                                        -  -            -
    web      log/sql.log    4K       -  no     not declared: add to log_files to follow and rotate it       -  -            -
    log/db.log: it is a symbolic link: name the file itself
    ");
    let ran = told("cas log-files db").await;
    assert!(!ran.stdout.contains("log/web.log"), "{}", ran.stdout);
    let ran = told("cas log-files --json").await;
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["files"][0]["rotate"]["keep"], 7);
    assert_eq!(json["files"][0]["rotated_at"], "2026-11-22T07:00:00.000Z");
    assert_eq!(json["files"][2]["declared"], false);
    let ran = told("cas log-files nobody").await;
    assert_eq!(ran.outcome, Outcome::NotFound);
}

fn of_file(batch: &LogBatch) -> Arc<LogBatch> {
    Arc::new(LogBatch { source: Source::File("log/web.log".into()), ..batch.clone() })
}

fn printed(form: Form, prefix: Prefix, batches: &[Arc<LogBatch>]) -> String {
    let look = LogLook {
        services: vec![fixture::id("web")],
        prefix,
        timestamps: false,
        zone: Zone::Utc,
        paint: Paint::Plain,
        marks: Vec::new(),
        formats: Arc::new(Formats::builtin()),
        files: Vec::new(),
        form,
    };
    super::forms::printed(look, batches)
}

#[test]
fn a_line_of_a_file_says_so() {
    let batches = [fixture::batch("web", 0, &["output"]), of_file(&fixture::batch("web", 0, &["of a file"]))];
    assert_eq!(printed(Form::Text, Prefix::Service, &batches), "web | output\nweb | log/web.log: of a file\n");
    assert_eq!(printed(Form::Text, Prefix::Nothing, &batches), "output\nof a file\n");
    let json = printed(Form::Json, Prefix::Service, &batches[1..]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["file"].as_str(), json["seq"].as_u64()), (Some("log/web.log"), Some(0)));
}
