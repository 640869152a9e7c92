//! Wishes about services as they were looked at, over the socket; and who wished.

use cas::{
    api,
    model::{
        command::Command,
        ids::RequestId,
        policy::{Consent, Origin, Reply, Request},
        timeline::What,
    },
};
use serde_json::json;

use super::stage::{Stage, curl};
use crate::support::eventually_async;

const TWO: &str = "  web: {command: [sleep, '1000']}\n  worker: {command: [sleep, '1001']}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_about_another_state_is_refused_with_what_changed() {
    let stage = Stage::with(TWO);
    let seen = stage.picture().await["services"][0]["revision"].clone();
    assert!(seen.as_u64().unwrap() > 0, "{seen}");
    assert_eq!(stage.get("/v1/services/shop/web").await.json()["revision"], seen);
    let start = json!({"command": "start", "services": ["web"], "if_rev": seen});
    assert_eq!(stage.ask(&start).await.json()["reply"], "accepted");
    eventually_async("it runs", || async { stage.picture().await["services"][0]["phase"]["name"] == "running" }).await;
    let stop = json!({"command": "stop", "services": ["web"], "if_rev": seen});
    let refused = stage.ask(&stop).await.json();
    assert_eq!(refused["reply"], "refused");
    let reason = refused["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("web has changed since") && reason.contains("it was stopped and is running"),
        "{reason}"
    );
    let seen = stage.picture().await["services"][1]["revision"].clone();
    let other = json!({"command": "start", "services": ["worker"], "if_rev": seen, "consent": "dry-run"});
    let planned = stage.ask(&other).await.json();
    assert!(planned["reply"] == "planned" && planned["plan"]["revision"].as_u64() > Some(0), "{planned}");
    let whatever = json!({"command": "stop", "services": ["web"]});
    assert_eq!(stage.ask(&whatever).await.json()["reply"], "accepted", "who names no revision is asked for none");
    let bad = curl(&stage.socket, "POST", "/v1/requests", &[], br#"{"command": "start", "all": true, "if_rev": "x"}"#);
    assert_eq!(bad.await.status, 400);
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_tells_of_revisions() {
    let stage = Stage::with(TWO);
    let document = stage.get("/v1/openapi.json").await.json();
    let ask = &document["paths"]["/v1/requests"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert!(ask.to_string().contains("if_rev"), "{ask}");
    let required = ask["required"].as_array().cloned().unwrap_or_default();
    assert!(!required.contains(&json!("if_rev")), "older clients leave it out: {required:?}");
    assert!(document["components"]["schemas"]["ServiceView"]["properties"]["revision"].is_object());
    stage.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_acts_on_what_it_sees_and_is_named_by_the_kernel() {
    let stage = Stage::with(TWO);
    let client = api::connect(&stage.socket, cas::world::clock::now).await.unwrap();
    let seen = client.snapshot().services[0].revision;
    let ask = |line: &str, if_rev| {
        let command = Command::parse_line(line).unwrap();
        let asker = Some(cas::model::policy::Asker { pid: 1, user: None, terminal: None });
        client.request(Request { id: RequestId(0), origin: Origin::Cli, command, consent: Consent::Ask, if_rev, asker })
    };
    assert!(matches!(ask("start web", Some(seen)).await.unwrap(), Reply::Accepted { .. }));
    eventually_async("it runs", || async { client.snapshot().services[0].phase.label() == "running" }).await;
    assert!(client.snapshot().services[0].revision > seen);
    assert!(matches!(ask("restart web", Some(seen)).await.unwrap(), Reply::Refused { .. }));
    let timeline = client.snapshot().timeline.clone();
    let asked: Vec<_> = timeline
        .iter()
        .filter_map(|entry| if let What::Requested { from, .. } = &entry.what { from.clone() } else { None })
        .collect();
    assert_eq!(asked.len(), 1, "what is refused is nothing that happened");
    assert_eq!(asked[0].pid, std::process::id(), "not what it says of itself");
    let why = &client.snapshot().services[0].why;
    assert!(why.contains(&format!("pid {}", std::process::id())), "{why}");
    stage.leave().await;
}
