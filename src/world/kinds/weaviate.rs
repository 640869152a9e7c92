//! Weaviate over REST (<https://docs.weaviate.io/deploy/configuration/status>, <https://docs.weaviate.io/deploy/configuration/nodes>).
//!
//! The password is its API key, sent as a bearer's token. No options.
//!
//! Never: reads objects.

use reqwest::StatusCode;
use serde_json::Value;

use super::{
    http::{accepted, clause, first_words},
    web,
};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

const READY: &str = "/v1/.well-known/ready";
/// Most nodes that are named.
const NAMED: usize = 5;

/// Asks whether it is ready, and with a key whether it is let in.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let place = target.place();
    let answer = web::get(target, READY).await?;
    match answer.status {
        StatusCode::OK | StatusCode::NO_CONTENT => {}
        StatusCode::SERVICE_UNAVAILABLE => {
            return Err(Trouble::Unready(format!("{place} is not ready{}", first_words(&answer.text()))));
        }
        _ => {
            accepted(&answer, target, "weaviate", READY)?;
            return Err(Trouble::Foreign(format!("{place} answers {} for {READY}", answer.status.as_str())));
        }
    }
    if target.password.is_some() {
        accepted(&web::get(target, "/v1/meta").await?, target, "weaviate", "/v1/meta")?;
    }
    Ok(())
}

/// Looks at its nodes and their shards.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut reading = Reading::default();
    let ready = web::get(target, READY).await?;
    if ready.status == StatusCode::SERVICE_UNAVAILABLE {
        reading.remark(
            "ready",
            Grade::Critical,
            format!("it is not ready{}", first_words(&ready.text())),
            Some("wait while it loads its shards, and see its log"),
        );
    }
    let meta = web::get(target, "/v1/meta").await?;
    accepted(&meta, target, "weaviate", "/v1/meta")?;
    let version = meta.json(target)?["version"].as_str().map(|version| clause(&format!("Weaviate {version}")));
    if version.is_none() {
        return Err(Trouble::Foreign(format!("{} answers over HTTP and is no Weaviate", target.place())));
    }
    reading.server = version;
    let path = "/v1/nodes?output=verbose";
    let answer = web::get(target, path).await?;
    accepted(&answer, target, "weaviate", path)?;
    nodes(&answer.json(target)?, &mut reading);
    Ok(reading)
}

fn nodes(answer: &Value, reading: &mut Reading) {
    let nodes = answer["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ill: Vec<_> = nodes.iter().filter(|node| node["status"] != "HEALTHY").collect();
    reading.measure(Measure::new("nodes-unhealthy", ill.len() as f64).of(nodes.len() as f64));
    for node in ill.iter().take(NAMED) {
        let word = |key: &str| node[key].as_str().unwrap_or("?");
        let sentence = clause(&format!("node {} is {}", word("name"), word("status")));
        reading.remark("nodes", Grade::Critical, sentence, Some("see whether it runs, and its log"));
    }
    let sum = |pointer: &str| nodes.iter().filter_map(|node| node.pointer(pointer)?.as_f64()).sum::<f64>();
    reading.measure(Measure::new("objects", sum("/stats/objectCount")));
    reading.measure(Measure::new("shards", sum("/stats/shardCount")));
    let shards = || nodes.iter().filter_map(|node| node["shards"].as_array()).flatten();
    let queue =
        sum("/batchStats/queueLength") + shards().filter_map(|shard| shard["vectorQueueLength"].as_f64()).sum::<f64>();
    reading.measure(Measure::new("queue", queue));
    let read_only: Vec<_> = shards()
        .filter(|shard| shard["vectorIndexingStatus"] == "READONLY")
        .map(|shard| clause(shard["class"].as_str().unwrap_or("?")))
        .collect();
    reading.measure(Measure::new("shards-read-only", read_only.len() as f64));
    if !read_only.is_empty() {
        let sentence = clause(&format!(
            "shards of {} take no writes",
            read_only.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ")
        ));
        reading.remark(
            "shards",
            Grade::Critical,
            sentence,
            Some("its disk is nearly full: make room, then set the shards to READY again"),
        );
    }
}
