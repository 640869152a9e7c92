//! `cas logs`: which lines are printed, of services and of files of anybody.

use std::{fs, io::Write as _, path::Path};

use cas::{
    cli::{args::Cli, outcome::Outcome},
    host::handle::Link,
    model::policy::Reply,
};
use clap::Parser as _;
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::{
    fake::{Desk, Fake, Ran, engine},
    fixture,
};

const WEB: &str = "\
2026-11-29T10:00:00Z INFO web: begins
2026-11-29T10:00:02Z WARN web: slow request path=/api/items status=200 took=1500ms
2026-11-29T10:00:04Z ERROR web: request failed path=/api/orders status=502
Traceback (most recent call last):
  File \"web.py\", line 7, in handle
    raise Upstream(\"gone\")
Upstream: gone
2026-11-29T10:00:06Z INFO web: goes on
";
const DB: &str = "\
2026-11-29T10:00:01Z INFO db: ready
2026-11-29T10:00:03Z ERROR db: disk full
2026-11-29T10:00:05Z INFO db: checkpoint
";

fn here() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("web.log"), WEB).unwrap();
    fs::write(dir.path().join("db.log"), DB).unwrap();
    dir
}

async fn run(directory: &Path, line: &str) -> Ran {
    Desk { cwd: directory.to_owned(), ..Desk::default() }.run(&Fake::default(), line).await
}

async fn logs(dir: &Path, line: &str) -> Ran {
    let ran = run(dir, line).await;
    assert_eq!(ran.outcome, Outcome::Ok, "{line}: {}", ran.stderr);
    ran
}

#[tokio::test]
async fn files_are_merged_by_the_times_of_their_lines() {
    let dir = here();
    let ran = logs(dir.path(), "cas logs -- web.log db.log").await;
    let firsts: Vec<&str> = ran.stdout.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let order = [
        "web.log", "db.log", "web.log", "db.log", "web.log", "web.log", "web.log", "web.log", "web.log", "db.log",
        "web.log",
    ];
    assert_eq!(firsts, order, "{}", ran.stdout);
    assert!(ran.stdout.contains("db.log  | 2026-11-29T10:00:01Z INFO db: ready\n"), "{}", ran.stdout);
}

#[tokio::test]
async fn an_error_is_printed_with_its_traceback_and_what_stands_around_it() {
    let dir = here();
    let ran = logs(dir.path(), "cas logs --level error -- web.log").await;
    assert_eq!(ran.stdout, WEB.split_inclusive('\n').skip(2).take(5).collect::<String>());
    let ran = logs(dir.path(), "cas logs --level error --context 1 -- web.log").await;
    assert_eq!(ran.stdout, WEB.split_inclusive('\n').skip(1).collect::<String>());
}

#[tokio::test]
async fn lines_are_chosen_by_fields_texts_templates_and_times() {
    let dir = here();
    let count = [
        ("-F 'status>=500'", 5),
        ("-F 'path~/api' -F 'took>1s'", 1),
        ("-F '!web'", 0),
        ("--template 'request failed path=<*> status=<*>'", 5),
        ("--grep 'goes|begins'", 2),
        ("--since 2026-11-29T10:00:04Z --until 2026-11-29T10:00:05Z", 5),
        ("--tail 2", 2),
        ("--level warn --tail 1", 1),
    ];
    for (options, lines) in count {
        let ran = logs(dir.path(), &format!("cas logs {options} -- web.log")).await;
        assert_eq!(ran.stdout.lines().count(), lines, "{options}: {}", ran.stdout);
    }
}

#[tokio::test]
async fn the_lines_of_a_pattern_are_found_by_its_id() {
    let memory = vec![fixture::batch("web", 0, &["pool is exhausted", "worker 3 begins", "worker 4 begins"])];
    let reply = |_: &_| Reply::Accepted { note: String::new() };
    let engine = engine(Link::Connected, fixture::snapshot(), memory.clone(), reply, |_| None);
    let running = Fake { handle: Some(engine.handle.clone()), ..Fake::default() };
    let project = Some(fixture::project());
    let stopped = Fake { project, patterns: fixture::patterns(), logs: memory, ..Fake::default() };
    for outside in [running, stopped] {
        let ran = Desk::default().run(&outside, "cas logs web --template 3 --no-prefix").await;
        assert_eq!(ran.stdout, "worker 3 begins\nworker 4 begins\n", "{}", ran.stderr);
        let ran = Desk::default().run(&outside, "cas logs web --template 77").await;
        assert_eq!(ran.outcome, Outcome::NotFound);
        assert!(ran.stderr.contains("there is no pattern 77") && ran.stderr.contains("insight patterns --json"));
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app.log"), "answered 404\nanswered 200\n").unwrap();
    let ran = logs(dir.path(), "cas logs --template 404 -- app.log").await;
    assert_eq!(ran.stdout, "answered 404\n", "files have no ids");
}

#[tokio::test]
async fn compressed_files_and_standard_input_are_read_like_others() {
    let dir = here();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(WEB.as_bytes()).unwrap();
    fs::write(dir.path().join("web.log.gz"), packed.finish().unwrap()).unwrap();
    fs::write(dir.path().join("web.log.zst"), zstd::bulk::compress(WEB.as_bytes(), 3).unwrap()).unwrap();
    for file in ["web.log.gz", "web.log.zst"] {
        let ran = logs(dir.path(), &format!("cas logs -- {file}")).await;
        assert_eq!(ran.stdout, WEB, "{file}");
    }
    let desk = Desk { cwd: dir.path().to_owned(), answer: WEB, ..Desk::default() };
    let ran = desk.run(&Fake::default(), "cas logs --level error -- -").await;
    assert!(ran.stdout.starts_with("2026-11-29T10:00:04Z ERROR"), "{}", ran.stdout);
}

#[tokio::test]
async fn before_a_line_that_tells_no_time_stands_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app.log"), "a banner\n2026-11-29T10:00:00Z INFO begins\n").unwrap();
    let ran = logs(dir.path(), "cas logs -t -- app.log").await;
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], format!("-{} a banner", " ".repeat(22)));
    assert_eq!(lines[1], "2026-11-29T10:00:00.000 2026-11-29T10:00:00Z INFO begins");
}

#[tokio::test]
async fn each_line_is_an_object_with_what_was_recognised_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let lines = "{\"level\":\"warn\",\"ts\":\"2026-11-29T10:00:00Z\",\"msg\":\"slow\",\"took\":12}\nplain words\n";
    fs::write(dir.path().join("app.log"), lines).unwrap();
    let ran = logs(dir.path(), "cas logs --json -- app.log").await;
    let read: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read[0]["level"], "warn");
    assert_eq!(read[0]["message"], "slow");
    assert_eq!(read[0]["fields"]["took"], "12");
    assert_eq!(read[0]["at"], "2026-11-29T10:00:00.000Z");
    assert_eq!(read[0]["file"], "app.log");
    assert_eq!((&read[1]["line"], &read[1]["level"]), (&2.into(), &serde_json::Value::Null));
    assert!(read[1].get("message").is_none(), "{}", read[1]);
}

#[tokio::test]
async fn secrets_in_files_are_masked_unless_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app.log"), "connecting to postgres://shop:pa55w0rd@db/shop\n").unwrap();
    let ran = logs(dir.path(), "cas logs -- app.log").await;
    assert!(
        ran.stdout.contains("shop:‹redacted:url-password›@db") && !ran.stdout.contains("pa55w0rd"),
        "{}",
        ran.stdout
    );
    let ran = logs(dir.path(), "cas logs --raw -- app.log").await;
    assert!(ran.stdout.contains("pa55w0rd"), "{}", ran.stdout);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_with_what_to_do() {
    let dir = here();
    fs::write(dir.path().join("core"), [0_u8, 1, 2, 3].repeat(5000)).unwrap();
    for (line, outcome, why) in [
        ("cas logs -- nosuch.log", Outcome::Usage, "there is no file nosuch.log"),
        ("cas logs -- .", Outcome::Usage, "is a directory"),
        ("cas logs -- core", Outcome::Failed, "core is binary data"),
        ("cas logs -f -- web.log", Outcome::Usage, "tail -F FILE | cas logs -f -- -"),
    ] {
        let ran = run(dir.path(), line).await;
        assert_eq!(ran.outcome, outcome, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{line}: {}", ran.stderr);
    }
    let desk = Desk { cwd: dir.path().to_owned(), input: [0_u8, 1, 2, 3].repeat(5000), ..Desk::default() };
    let ran = desk.run(&Fake::default(), "cas logs -- -").await;
    assert!(ran.stderr.contains("… | strings | cas logs -- -"), "{}", ran.stderr);
    let said = Cli::try_parse_from(["cas", "logs", "--service", "web", "--", "web.log"]).unwrap_err().to_string();
    assert!(said.contains("--service") && said.contains("cannot be used with"), "{said}");
    for (words, why) in [
        (["cas", "logs", "--level", "loud"], "one of trace, debug, info, warn, error, fatal"),
        (["cas", "logs", "--template", "<*>"], "it has only <*>"),
    ] {
        let said = Cli::try_parse_from(words).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
}
