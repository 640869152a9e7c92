//! `cas insight`: what is learnt from a file, and what is said where nothing can be.

use std::{fs, path::Path};

use cas::{cli::outcome::Outcome, host::handle::Link, model::policy::Reply};
use serde_json::Value;

use super::{
    fake::{Desk, Fake, Ran, engine},
    fixture,
};

const LOG: &str = "\
2026-01-01T10:00:00Z INFO  [main] shop.Orders: order 17 of user-5 took 12.5 ms
2026-01-01T10:00:01Z INFO  [main] shop.Orders: order 18 of user-6 took 3 ms
2026-01-01T10:00:02Z ERROR [pool 1] shop.Mail: cannot reach 10.0.0.1:25, \"later\"
2026-01-01T10:00:03Z INFO  [main] shop.Orders: order 19 of user-7 took 4 ms
";

async fn run(directory: &Path, line: &str) -> Ran {
    Desk { cwd: directory.to_owned(), ..Desk::default() }.run(&Fake::default(), line).await
}

#[tokio::test]
async fn the_lines_of_a_file_are_folded_into_templates_the_most_frequent_first() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app.log"), LOG).unwrap();
    let ran = run(dir.path(), "cas insight templates app.log").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    let rows: Vec<&str> = ran.stdout.lines().collect();
    assert!(rows[0].starts_with("COUNT") && rows.len() == 3, "{}", ran.stdout);
    assert!(rows[1].contains("75.0 %  order <*> of user-<*> took <*> ms"), "{}", ran.stdout);
    assert!(rows[1].ends_with("order 17 of user-5 took 12.5 ms"), "{}", ran.stdout);
    assert!(rows[2].contains("cannot reach <*>, \"later\""), "{}", ran.stdout);
    assert!(ran.stderr.contains("4 lines, 2 templates"), "{}", ran.stderr);
    let top = run(dir.path(), "cas insight templates app.log --top 1").await;
    assert_eq!(top.stdout.lines().count(), 2, "{}", top.stdout);
}

#[tokio::test]
async fn every_line_has_its_row_of_csv_also_an_empty_one_and_one_that_is_no_text() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app.log"), [LOG.as_bytes(), b"\ncaf\xE9 5\r\nthe end"].concat()).unwrap();
    let ran = run(dir.path(), "cas insight templates app.log --csv").await;
    let rows: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(rows.len(), 8, "{}", ran.stdout);
    assert_eq!(rows[..2], ["LineId,EventId,EventTemplate", "1,E1,\"order <*> of user-<*> took <*> ms\""]);
    assert_eq!(rows[3], "3,E2,\"cannot reach <*>, \"\"later\"\"\"");
    assert!(
        rows[4].starts_with("4,E1,") && rows[5].ends_with(",\"\"") && rows[7].ends_with(",\"the end\""),
        "{}",
        ran.stdout
    );
    assert!(rows[6].ends_with(",\"caf\u{FFFD} <*>\""), "{}", ran.stdout);
}

#[tokio::test]
async fn standard_input_is_read_where_a_dash_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk { cwd: dir.path().to_owned(), answer: LOG, ..Desk::default() };
    let ran = desk.run(&Fake::default(), "cas insight templates - --json").await;
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["lines"], 4);
    assert_eq!(json["templates"][0]["count"], 3);
    assert_eq!(json["templates"][0]["template"], "order <*> of user-<*> took <*> ms");
}

#[tokio::test]
async fn standard_input_is_unpacked_like_a_file_and_what_is_no_text_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let templates = async |input: Vec<u8>| {
        let desk = Desk { cwd: dir.path().to_owned(), input, ..Desk::default() };
        desk.run(&Fake::default(), "cas insight templates -").await
    };
    let ran = templates(zstd::bulk::compress(LOG.as_bytes(), 3).unwrap()).await;
    assert!(ran.stderr.contains("4 lines, 2 templates"), "{}", ran.stderr);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, LOG.as_bytes()).unwrap();
    let ran = templates(packed.finish().unwrap()).await;
    assert!(ran.stderr.contains("4 lines, 2 templates"), "{}", ran.stderr);
    let ran = templates([0_u8, 1, 2, 3].repeat(5000)).await;
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(
        ran.stderr.contains("standard input is binary data") && ran.stderr.contains("… | strings | cas insight"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn colours_are_no_part_of_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let coloured = LOG.replace("INFO", "\u{1b}[32mINFO\u{1b}[0m").replace("took", "\u{1b}[1mtook\u{1b}[0m");
    fs::write(dir.path().join("app.log"), coloured).unwrap();
    let ran = run(dir.path(), "cas insight templates app.log").await;
    assert!(ran.stdout.contains("75.0 %  order <*> of user-<*> took <*> ms"), "{}", ran.stdout);
}

#[tokio::test]
async fn what_holds_no_lines_is_named_with_what_to_do_next() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app.log.gz"), b"\x1F\x8B\x08rest").unwrap();
    fs::write(dir.path().join("core"), [0_u8, 1, 2, 3, 4, 5, 6, 7].repeat(1000)).unwrap();
    fs::write(dir.path().join("wide.log"), b"\xFF\xFEa\0b\0").unwrap();
    fs::create_dir(dir.path().join("logs")).unwrap();
    let said = [
        ("nosuch.log", Outcome::Usage, "there is no file nosuch.log", "name a log file, or - for standard input"),
        ("logs", Outcome::Usage, "logs is a directory", "name files of it: logs/FILE"),
        ("app.log.gz", Outcome::Failed, "app.log.gz cannot be read to its end", ""),
        ("core", Outcome::Failed, "core is binary data", "strings core | cas insight templates -"),
        ("wide.log", Outcome::Failed, "wide.log is in UTF-16", "iconv -f UTF-16 -t UTF-8 wide.log"),
    ];
    for (file, outcome, why, next) in said {
        let ran = run(dir.path(), &format!("cas insight templates {file}")).await;
        assert_eq!(ran.outcome, outcome, "{file}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(why) && ran.stderr.contains(next) && ran.stdout.is_empty(),
            "{file}: {}",
            ran.stderr
        );
    }
}

#[tokio::test]
async fn an_empty_file_has_no_templates_and_a_line_of_a_megabyte_has_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("empty.log"), "").unwrap();
    let empty = run(dir.path(), "cas insight templates empty.log").await;
    assert!(empty.outcome == Outcome::Ok && empty.stderr.contains("0 lines, 0 templates"), "{}", empty.stderr);
    fs::write(dir.path().join("long.log"), "x".repeat(1 << 20)).unwrap();
    let long = run(dir.path(), "cas insight templates long.log --csv").await;
    assert!(long.outcome == Outcome::Ok && long.stdout.len() < 4096, "{}", long.stdout.len());
}

/// What is printed of the patterns of an engine that runs.
async fn learnt(line: &str) -> Ran {
    let reply = |_: &_| Reply::Accepted { note: String::new() };
    let engine = engine(Link::Connected, fixture::snapshot(), Vec::new(), reply, |_| None);
    let outside = Fake { handle: Some(engine.handle.clone()), ..Fake::default() };
    Desk::default().run(&outside, line).await
}

#[tokio::test]
async fn patterns_are_listed_with_what_wants_a_look_first() {
    let ran = learnt("cas insight patterns").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        "\
NEW  LEVEL  COUNT  A MINUTE  LAST HOUR     LAST  PATTERN
r-h  fatal     10       0.4  █ █ █ █ █ █   20 s  disk <*> is full
r-h            30       0.4  █ █ █ █ █ █   15 s  worker <*> begins
     error     60       0.4  █ █ █ █ █ █   10 s  pool is exhausted
     info    1400       0.4  █ █ █ █ █ █    5 s  GET <*> took <*> ms
"
    );
    let notes: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(
        notes,
        [
            "shop/web: r: new since the restart (2026-11-22 10:02), h: new since the last healthy hour (2026-11-22 10:01)",
            "shop/web: 30 lines came too fast to be learnt from, counts are that much too low",
        ]
    );
}

#[tokio::test]
async fn patterns_are_chosen_by_what_is_new_how_serious_and_how_many() {
    for (line, ids) in [
        ("", vec![4, 3, 2, 1]),
        ("--new restart", vec![4, 3]),
        ("--new deployment", vec![]),
        ("--new healthy --level warn", vec![4]),
        ("--level error", vec![4, 2]),
        ("--top 3", vec![4, 3, 2]),
        ("web --top 0", vec![]),
    ] {
        let ran = learnt(&format!("cas insight patterns {line} --json")).await;
        let found = ran.json()["services"][0]["patterns"].as_array().unwrap().clone();
        let found: Vec<_> = found.iter().map(|pattern| pattern["id"].as_u64().unwrap()).collect();
        assert_eq!(found, ids, "{line}");
    }
    let none = learnt("cas insight patterns --new deployment").await;
    assert_eq!(none.stdout, "no patterns\n");
    let odd =
        cas::cli::definition().try_get_matches_from(["cas", "insight", "patterns", "--level", "loud"]).unwrap_err();
    assert!(odd.to_string().contains("trace, debug, info, warn, error, fatal"), "{odd}");
    let nobody = learnt("cas insight patterns nobody").await;
    assert!(nobody.outcome == Outcome::NotFound && nobody.stderr.contains("no service \"nobody\""), "{nobody:?}");
}

#[tokio::test]
async fn without_an_engine_it_is_what_the_last_one_has_kept() {
    let outside = Fake { project: Some(fixture::project()), patterns: fixture::patterns(), ..Fake::default() };
    let ran = Desk::default().run(&outside, "cas insight patterns web --level fatal").await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
    assert!(ran.stderr.contains("no engine runs") && ran.stdout.contains("disk <*> is full"), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
}
