//! Services, metrics, health, ranges of output and of the timeline, over the socket.

use std::{ops::ControlFlow, sync::Arc};

use cas::{
    api::server::{self, SelfFacts, ServeOptions, StoredLogs, StoredRange},
    api::wire::{CheckView, QueueView},
    model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::{LogBatch, LogLine, Source, Stream},
        snapshot::Snapshot,
    },
    world::clock,
};

use super::stage::{Stage, curl, showing, take};
use crate::support::eventually_async;

#[tokio::test(flavor = "multi_thread")]
async fn one_service_all_services_and_what_they_use() {
    let stage = Stage::with("  web: {command: [sleep, '1000'], autostart: true}\n  idle: {command: [sleep, '1001']}\n");
    eventually_async("it is measured", || async {
        stage.get("/v1/services/shop/web").await.json()["usage"].is_object()
    })
    .await;
    assert_eq!(stage.get("/v1/services").await.json().as_array().unwrap().len(), 2);
    let absent = stage.get("/v1/services/shop/nobody").await;
    assert_eq!((absent.status, absent.sentence().contains("shop/nobody")), (404, true));

    let metrics = stage.get("/v1/metrics").await.json();
    assert_eq!(metrics["services"][0]["phase"], "running");
    assert!(metrics["services"][0]["usage"]["memory_bytes"].as_u64().unwrap() > 0);
    assert!(metrics["services"][1]["usage"].is_null());
    let text = stage.get("/v1/metrics?format=prometheus").await.body;
    assert!(text.contains("cas_service_up{project=\"shop\",service=\"web\"} 1\n"), "{text}");
    assert!(text.contains("cas_service_up{project=\"shop\",service=\"idle\"} 0\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
    }
    assert_eq!(stage.get("/v1/metrics?format=xml").await.status, 400);
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_says_how_its_own_process_is() {
    let stage = Stage::with("  web: {command: [sleep, '1000']}\n");
    let own = stage.get("/v1/daemon").await.json();
    assert_eq!(own["pid"], std::process::id());
    assert!(own["memory_bytes"].as_u64().unwrap() > 1 << 20, "{own}");
    assert!(own["open_files"].as_u64().unwrap() > 3 && own["threads"].as_u64().unwrap() > 1, "{own}");
    assert_eq!(own["queues"]["requests"]["capacity"], 256);
    assert!(own["clients"].as_u64().unwrap() >= 1);
    let names: Vec<_> = own["checks"].as_array().unwrap().iter().map(|check| check["name"].clone()).collect();
    assert_eq!(names, ["engine", "history", "descriptors"]);
    let health = stage.get("/v1/health").await;
    assert_eq!((health.status, health.json()["ok"].clone()), (200, true.into()));
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_says_of_itself_is_shown_and_a_failed_check_is_ill_health() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(Snapshot::default());
    let facts = || SelfFacts {
        queues: [("events".to_owned(), QueueView { len: 3, capacity: 4096 })].into(),
        last_error: Some("the disk was full at 04:12".to_owned()),
        checks: vec![CheckView { name: "store".to_owned(), ok: false, detail: "cannot write".to_owned() }],
        ..SelfFacts::default()
    };
    let options = ServeOptions { self_source: Arc::new(facts), ..ServeOptions::default() };
    let _server = server::serve(take(&socket), handle, options).unwrap();
    let own = curl(&socket, "GET", "/v1/daemon", &[], b"").await.json();
    assert_eq!(own["queues"]["events"]["len"], 3);
    assert_eq!(own["last_error"], "the disk was full at 04:12");
    let health = curl(&socket, "GET", "/v1/health", &[], b"").await;
    assert_eq!((health.status, health.json()["failed"][0]["name"].clone()), (503, "store".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_after_a_number_since_a_time_and_as_they_come() {
    let stage = Stage::with("  web: {command: [sleep, '1000'], autostart: true}\n");
    eventually_async("it runs", || async { stage.picture().await["services"][0]["phase"]["name"] == "running" }).await;
    let all = stage.picture().await["timeline"].as_array().unwrap().clone();
    let seqs = |body: &serde_json::Value| {
        body.as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let first = all[0]["seq"].as_u64().unwrap();
    let later = stage.get(&format!("/v1/entries?since_seq={first}")).await.json();
    assert_eq!(seqs(&later)[..all.len() - 1], (first + 1..first + all.len() as u64).collect::<Vec<_>>());
    assert_eq!(stage.get("/v1/entries?since=1h&limit=1").await.json().as_array().unwrap().len(), 1);
    assert_eq!(stage.get("/v1/entries?since=2999-01-01T00:00:00Z").await.json().as_array().unwrap().len(), 0);
    let said = stage.get("/v1/entries?since=yesterday").await;
    assert!(said.status == 400 && said.sentence().contains("10m"), "{said:?}");

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = tokio::net::UnixStream::connect(&stage.socket).await.unwrap();
    stream.write_all(b"GET /v1/entries?follow=true&since_seq=0 HTTP/1.0\r\n\r\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    while !lines.next_line().await.unwrap().unwrap().is_empty() {}
    stage.ask(&serde_json::json!({"command": "stop", "services": ["web"]})).await;
    let mut expected = 1;
    loop {
        let entry: serde_json::Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(entry["seq"], expected, "each once, in order");
        expected += 1;
        if entry["what"]["what"] == "stopped" {
            break;
        }
    }
    stage.leave().await;
}

/// Lines 0 to 99 of `p/web` are stored, ten a batch, one batch a second from second 1 on.
struct Archive;

fn web() -> ServiceId {
    ServiceId { project: ProjectName::new("p").unwrap(), service: ServiceName::new("web").unwrap() }
}

impl StoredLogs for Archive {
    fn read(&self, range: &StoredRange, each: &mut dyn FnMut(&LogBatch) -> ControlFlow<()>) -> Result<(), String> {
        for batch in 0..10_u32 {
            let wall_us = i64::from(batch + 1) * 1_000_000;
            if range.since_us.is_some_and(|since| wall_us < since)
                || range.until_us.is_some_and(|until| wall_us > until)
            {
                continue;
            }
            let line = |place| LogLine { start: place, len: 1, stream: Stream::Stdout, continued: false };
            let lines = (0..10).map(line).collect();
            let text = "0123456789".into();
            let first_seq = u64::from(batch) * 10;
            if each(&LogBatch {
                service: web(),
                source: Source::Output,
                run: RunId(1),
                wall_us,
                first_seq,
                text,
                lines,
            })
            .is_break()
            {
                break;
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_tails_of_output_reach_into_what_is_stored() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(Snapshot { at: clock::now(), ..Snapshot::default() });
    let options = ServeOptions { stored_logs: Some(Arc::new(Archive)), ..ServeOptions::default() };
    let _server = server::serve(take(&socket), handle, options).unwrap();
    let numbers = async |query: &str| -> Vec<u64> {
        let said = curl(&socket, "GET", &format!("/v1/logs{query}"), &[], b"").await;
        assert_eq!(said.status, 200, "{said:?}");
        let batches = said.body.lines().map(|line| serde_json::from_str::<cas::api::wire::WireBatch>(line).unwrap());
        batches.flat_map(|batch| batch.first_seq..batch.first_seq + batch.lines.len() as u64).collect()
    };
    assert_eq!(numbers("").await, Vec::<u64>::new(), "memory only");
    assert_eq!(numbers("?since=0").await, (0..100).collect::<Vec<_>>());
    assert_eq!(numbers("?since=3000000&until=4000000").await, (20..40).collect::<Vec<_>>());
    assert_eq!(numbers("?until=1970-01-01T00:00:02Z&service=p/web").await, (0..20).collect::<Vec<_>>());
    assert_eq!(numbers("?tail=13").await, (87..100).collect::<Vec<_>>());
    assert_eq!(numbers("?tail=3&until=2000000").await, [17, 18, 19]);
    assert_eq!(numbers("?tail=0").await, Vec::<u64>::new());
    let said = curl(&socket, "GET", "/v1/logs?follow=true&until=5", &[], b"").await;
    assert!(said.status == 400 && said.sentence().contains("exclude"), "{said:?}");
}
