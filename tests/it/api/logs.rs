//! Output over the socket: what was kept, then what comes, nothing twice and nothing missing.

use std::{collections::BTreeSet, sync::Arc};

use cas::{
    api::{self, wire::WireBatch},
    model::{
        log::LogNews,
        query::{Answer, Query},
    },
    world::clock,
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use super::stage::Stage;

const LINES: u64 = 600;

/// Slow enough for every reader (a reader that is too slow gets a gap, which is another matter), and long enough that
/// followers come in the middle.
fn counting() -> Stage {
    Stage::with(&format!(
        "  count:
    command: [python3, -u, -c, 'import time\n\nfor i in range({LINES}): print(\"line\", i); time.sleep(0.002)\n\ntime.sleep(1000)']
  other: {{shell: 'while :; do echo other; sleep 0.01; done', autostart: true}}\n"
    ))
}

/// The numbers that the lines of `count` carry, until the last.
async fn follow(stage: &Stage, path: &str) -> Vec<u64> {
    let mut stream = UnixStream::connect(&stage.socket).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: cas\r\n\r\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    while !lines.next_line().await.unwrap().expect("a head").is_empty() {}
    let mut numbers = Vec::new();
    while numbers.last() != Some(&(LINES - 1)) {
        let line = lines.next_line().await.unwrap().expect("it follows");
        let batch: WireBatch = serde_json::from_str(&line).unwrap();
        if batch.service.service.as_str() != "count" {
            assert!(!path.contains("service="), "of one service only");
            continue;
        }
        for (place, line) in batch.lines.iter().enumerate() {
            let number = line.text.strip_prefix("line ").unwrap().parse().unwrap();
            assert_eq!(number, batch.first_seq + place as u64);
            numbers.push(number);
        }
    }
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_get_every_line_once_whenever_they_come() {
    let stage = counting();
    stage.ask(&json!({"command": "start", "services": ["count"]})).await;
    let all: Vec<u64> = (0..LINES).collect();
    // Four come one after the other while it prints, the last ones when it is over.
    let (first, second) =
        tokio::join!(follow(&stage, "/v1/logs?follow=true"), follow(&stage, "/v1/logs?follow=true&service=shop/count"));
    assert_eq!(first, all);
    assert_eq!(second, all);
    assert_eq!(follow(&stage, "/v1/logs?follow=true").await, all);
    let kept = stage.get("/v1/logs?service=shop/count").await;
    let batches = kept.body.lines().map(|line| serde_json::from_str::<WireBatch>(line).unwrap());
    assert_eq!(batches.map(|batch| batch.lines.len() as u64).sum::<u64>(), LINES);
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connected_handle_is_fed_as_a_local_one() {
    provide();
    let stage = counting();
    let handle = api::connect(&stage.socket, clock::now).await.unwrap();
    let mut live = handle.logs.subscribe();
    stage.ask(&json!({"command": "start", "services": ["count"]})).await;
    let mut seen = BTreeSet::new();
    while seen.len() < LINES as usize {
        let batches = match live.next().await.expect("it is fed") {
            LogNews::Batch(batch) => vec![batch],
            LogNews::Missed { .. } => panic!("it was slow enough"),
        };
        for batch in batches.iter().filter(|batch| batch.service.service.as_str() == "count") {
            seen.extend((0..batch.lines.len() as u64).map(|place| batch.first_seq + place));
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..LINES).collect::<Vec<_>>());
    let count = kept(&handle).await.into_iter().filter(|batch| batch.service.service.as_str() == "count");
    assert_eq!(count.map(|batch| batch.lines.len() as u64).sum::<u64>(), LINES);
    stage.leave().await;
}

async fn kept(handle: &cas::host::handle::Handle) -> Vec<Arc<cas::model::log::LogBatch>> {
    let answer = handle.query(Query::Logs { service: None }).await.unwrap();
    let Answer::Logs(batches) = answer else { panic!("{answer:?}") };
    batches
}

/// As the binary does at its start; the client's library wants one.
pub(super) fn provide() {
    // An error means that another test was quicker.
    let _already = rustls::crypto::ring::default_provider().install_default();
}
