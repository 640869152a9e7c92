//! Qdrant over REST (<https://qdrant.tech/documentation/guides/monitoring/>, <https://api.qdrant.tech/api-reference>).
//!
//! The password is its API key. No options.
//!
//! Never: searches, or asks for more than [`MOST`] collections.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{
    http::{clause, first_words},
    web::{self, Answer},
};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

/// Most collections that are looked at.
const MOST: usize = 50;
/// Most that are named.
const NAMED: usize = 5;

/// Asks for `/readyz`, and with a key whether it is let in.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let place = target.place();
    let answer = get(target, "/readyz").await?;
    match answer.status {
        StatusCode::OK => {}
        StatusCode::SERVICE_UNAVAILABLE => {
            let why = first_words(&answer.text());
            return Err(Trouble::Unready(format!("{place} is not ready: it recovers its shards{why}")));
        }
        status => {
            accepted(&answer, target, "/readyz")?;
            return Err(Trouble::Foreign(format!("{place} answers {status} for /readyz")));
        }
    }
    if target.password.is_some() {
        accepted(&get(target, "/collections").await?, target, "/collections")?;
    }
    Ok(())
}

/// Looks at every collection, and at the cluster.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut reading = Reading::default();
    let root = get(target, "/").await?;
    if let Ok(root) = root.json(target) {
        let title = root["title"].as_str().unwrap_or_default();
        if !title.to_ascii_lowercase().contains("qdrant") {
            return Err(Trouble::Foreign(format!("{} answers over HTTP and is no Qdrant", target.place())));
        }
        reading.server = Some(clause(&format!("Qdrant {}", root["version"].as_str().unwrap_or_default())));
    }
    let ready = get(target, "/readyz").await?;
    if !ready.status.is_success() {
        let sentence = format!("it is not ready{}", first_words(&ready.text()));
        reading.remark("ready", Grade::Critical, sentence, Some("it recovers its shards: wait, and see its log"));
    }
    let list = json(target, "/collections").await?;
    let empty = Vec::new();
    let names: Vec<_> = list
        .pointer("/result/collections")
        .and_then(Value::as_array)
        .unwrap_or(&empty)
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    collections(target, &names, &mut reading).await?;
    cluster(target, &mut reading).await;
    Ok(reading)
}

async fn collections(target: &Target, names: &[&str], reading: &mut Reading) -> Result<(), Trouble> {
    let (mut points, mut busy, mut broken) = (0.0, 0_u32, 0_u32);
    for name in names.iter().take(MOST) {
        // Names hold no slash; whatever they hold, it stays in its place.
        let Some(path) = path_of(name) else { continue };
        let answer = get(target, &path).await?;
        if answer.status == StatusCode::NOT_FOUND {
            continue;
        }
        accepted(&answer, target, &path)?;
        let result = answer.json(target)?["result"].take();
        points += result["points_count"].as_f64().unwrap_or(0.0);
        let error = result.pointer("/optimizer_status/error").and_then(Value::as_str);
        match (result["status"].as_str(), error) {
            (Some("red"), _) | (_, Some(_)) => {
                broken += 1;
                if broken as usize <= NAMED {
                    let why = error
                        .map_or_else(|| "status red".to_owned(), |why| format!("its optimizer fails: {}", clause(why)));
                    let sentence = clause(&format!("collection {name} is broken: {why}"));
                    reading.remark(
                        "collections",
                        Grade::Critical,
                        sentence,
                        Some("see its log; often the disk is full or a segment is corrupt"),
                    );
                }
            }
            (Some("yellow" | "grey"), None) => busy += 1,
            (Some(_) | None, None) => {}
        }
    }
    let asked = names.len().min(MOST) as f64;
    reading.measure(Measure::new("collections", names.len() as f64));
    reading.measure(Measure::new("points", points));
    reading.measure(Measure::new("collections-optimizing", f64::from(busy)).of(asked));
    reading.measure(Measure::new("collections-broken", f64::from(broken)).of(asked));
    Ok(())
}

fn path_of(name: &str) -> Option<String> {
    let mut url = reqwest::Url::parse("http://host/collections").ok()?;
    url.path_segments_mut().ok()?.push(name);
    Some(url.path().to_owned())
}

async fn cluster(target: &Target, reading: &mut Reading) {
    let Ok(answer) = json(target, "/cluster").await else { return };
    let result = &answer["result"];
    if result["status"] != "enabled" {
        return;
    }
    reading.measure(Measure::new("peers", result["peers"].as_object().map_or(0, serde_json::Map::len) as f64));
    let stopped = &result["consensus_thread_status"];
    if matches!(stopped["consensus_thread_status"].as_str(), Some("stopped" | "stopped_with_err")) {
        let why = clause(stopped["err"].as_str().unwrap_or("stopped"));
        reading.remark(
            "cluster",
            Grade::Critical,
            format!("its consensus has stopped: {why}"),
            Some("restart this peer, and see its log"),
        );
    }
    let failing = result["message_send_failures"].as_object().map_or(0, serde_json::Map::len);
    if failing > 0 {
        let sentence = format!("it cannot reach {failing} of its peers");
        reading.remark(
            "cluster",
            Grade::Warning,
            sentence,
            Some("see whether the other peers run, and the network between them"),
        );
    }
}

async fn get(target: &Target, path: &str) -> Result<Answer, Trouble> {
    let key = target.password.as_ref().map(|hidden| hidden.0.clone());
    let nobody = Target { user: None, password: None, ..target.clone() };
    let headers: Vec<_> = key.iter().map(|key| ("api-key", key.as_str())).collect();
    web::ask(Method::GET, &nobody, path, &headers, None).await
}

async fn json(target: &Target, path: &str) -> Result<Value, Trouble> {
    let answer = get(target, path).await?;
    accepted(&answer, target, path)?;
    answer.json(target)
}

fn accepted(answer: &Answer, target: &Target, path: &str) -> Result<(), Trouble> {
    let place = target.place();
    if !matches!(answer.status.as_u16(), 401 | 403) {
        return super::http::accepted(answer, target, "qdrant", path);
    }
    Err(Trouble::Refused(if target.password.is_some() {
        format!("{place} refuses the API key it was given: {} for {path}", answer.status.as_str())
    } else {
        format!("{place} wants an API key and got none: write check: qdrant://:KEY@{place}")
    }))
}
