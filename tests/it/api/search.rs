//! Lines that are not in memory, looked for over the socket: every one once, a part at a time, and none of its secrets.

use cas::{
    api,
    model::{
        ids::ServiceId,
        level::Level,
        log_search::{Bound, LogFinds, LogSearch, LogWish, Towards},
        query::{Answer, Query},
    },
    world::clock,
};
use serde_json::json;

use super::{
    logs::provide,
    stage::{Stage, curl},
};

const LINES: usize = 30_000;

/// A service that writes more than memory keeps of it, one line in a thousand of them an error.
fn wordy() -> Stage {
    Stage::with(&format!(
        "  wordy:
    command: [python3, -u, -c, 'import sys, time\n\nfor i in range({LINES}): print(\"level=%s msg=served n=%d password=hunter%d rest=%s\" % (\"error\" if i % 1000 == 7 else \"info\", i, i, \"x\" * 150))\n\nsys.stdout.flush(); time.sleep(1000)']\n"
    ))
}

fn asked(wish: LogWish, towards: Towards, bounds: Vec<Bound>, lines: usize) -> LogSearch {
    let services: Vec<ServiceId> = vec!["shop/wordy".parse().unwrap()];
    LogSearch { services, wish, towards, bounds, lines, near: 0, patience_ms: 2000 }
}

async fn found(handle: &cas::host::handle::Handle, search: LogSearch) -> LogFinds {
    let Answer::Found(finds) = handle.query(Query::SearchLogs(search)).await.unwrap() else {
        panic!("another answer");
    };
    finds
}

fn texts(finds: &LogFinds) -> Vec<String> {
    finds.batches.iter().flat_map(|batch| (0..batch.lines.len()).map(|line| batch.line(line).to_owned())).collect()
}

/// The number of each line.
fn numbers(finds: &LogFinds) -> Vec<usize> {
    let number = |text: &String| text.split(" n=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    texts(finds).iter().map(number).collect()
}

/// All that is found, part by part.
async fn all(handle: &cas::host::handle::Handle, wish: &LogWish, towards: Towards, lines: usize) -> Vec<usize> {
    let (mut bounds, mut got) = (Vec::new(), Vec::new());
    loop {
        let finds = found(handle, asked(wish.clone(), towards, bounds, lines)).await;
        let part = numbers(&finds);
        match towards {
            Towards::Older => drop(got.splice(0..0, part)),
            Towards::Newer => got.extend(part),
        }
        if finds.is_complete {
            return got;
        }
        bounds = finds.bounds;
    }
}

async fn with_lines() -> (Stage, cas::host::handle::Handle) {
    provide();
    let stage = wordy();
    stage.ask(&json!({"command": "start", "services": ["wordy"]})).await;
    let handle = api::connect(&stage.socket, clock::now).await.unwrap();
    loop {
        let newest = found(&handle, asked(LogWish::default(), Towards::Older, Vec::new(), 1)).await;
        if numbers(&newest) == [LINES - 1] {
            return (stage, handle);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_found_once_in_either_direction_however_few_are_asked_for() {
    let (stage, handle) = with_lines().await;
    let every: Vec<usize> = (0..LINES).collect();
    assert_eq!(all(&handle, &LogWish::default(), Towards::Older, 7000).await, every);
    assert_eq!(all(&handle, &LogWish::default(), Towards::Newer, 9999).await, every);
    let errors: Vec<usize> = every.iter().copied().filter(|number| number % 1000 == 7).collect();
    let wish = LogWish { level: Some(Level::Error), ..LogWish::default() };
    assert_eq!(all(&handle, &wish, Towards::Older, 4).await, errors);
    let wish = LogWish { terms: vec!["n.1[0-9]007 ".to_owned(), "level=error".to_owned()], ..LogWish::default() };
    let teens: Vec<usize> = (10..20).map(|thousand| thousand * 1000 + 7).collect();
    assert_eq!(all(&handle, &wish, Towards::Newer, 3).await, teens);
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_neither_shown_nor_found() {
    let (stage, handle) = with_lines().await;
    let newest = found(&handle, asked(LogWish::default(), Towards::Older, Vec::new(), 3)).await;
    assert!(texts(&newest).iter().all(|text| text.contains("password=‹redacted:password›")), "{:?}", texts(&newest));
    let wish = LogWish { terms: vec!["hunter29999".to_owned()], ..LogWish::default() };
    assert_eq!(all(&handle, &wish, Towards::Older, 10).await, Vec::<usize>::new());
    // A guess is not confirmed by a line that vanishes, nor by one that is found for something else.
    let every: Vec<usize> = (0..LINES).collect();
    for term in ["!hunter29999", "hunter29999|acted:pass"] {
        let wish = LogWish { terms: vec![term.to_owned()], ..LogWish::default() };
        assert_eq!(all(&handle, &wish, Towards::Older, LINES).await, every, "{term}");
    }
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_makes_no_sense_is_refused_with_what_is_wrong() {
    let stage = Stage::with("  idle: {command: sleep 1000}\n");
    for (body, why) in [
        ("{", "is not a search"),
        (
            r#"{"services": [{"project": "shop", "service": "idle"}], "towards": "sideways", "lines": 1, "patience_ms": 1}"#,
            "sideways",
        ),
        (
            r#"{"services": [{"project": "shop", "service": "idle"}], "towards": "older", "lines": 1, "patience_ms": 1, "more": 2}"#,
            "more",
        ),
    ] {
        let said = curl(&stage.socket, "POST", "/v1/logs/search", &[], body.as_bytes()).await;
        assert!(said.status == 400 && said.body.contains(why), "{body}: {} {}", said.status, said.body);
    }
    let body = r#"{"services": [{"project": "shop", "service": "idle"}], "towards": "older", "lines": 10, "patience_ms": 100}"#;
    let said = curl(&stage.socket, "POST", "/v1/logs/search", &[], body.as_bytes()).await;
    assert!(said.status == 200 && said.json()["is_complete"] == true, "{} {}", said.status, said.body);
    stage.leave().await;
}
