//! The document that is served says what is really answered: every route is walked, every answer held against its form.

use serde_json::{Value, json};

use cas::model::command::Verb;

use super::stage::{Said, Stage, curl};
use crate::support::eventually_async;

/// What is wrong with `value` by `form`; a small part of JSON Schema 2020-12, all of it that the document uses for answers.
fn faults(document: &Value, form: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = form["$ref"].as_str() {
        let target =
            document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} at {at}"));
        return faults(document, target, value, at);
    }
    let mut found = Vec::new();
    for several in ["oneOf", "anyOf"] {
        if let Some(forms) = form[several].as_array() {
            let tried: Vec<_> = forms.iter().map(|form| faults(document, form, value, at)).collect();
            if !tried.iter().any(Vec::is_empty) {
                found.push(format!("{at}: none of {several} fits: {tried:?}"));
            }
        }
    }
    for form in form["allOf"].as_array().into_iter().flatten() {
        found.extend(faults(document, form, value, at));
    }
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} at {at}"),
    };
    let kinds: Vec<&str> = match &form["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![],
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        found.push(format!("{at}: {value} is not {kinds:?}"));
    }
    if form.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: {value} is not {}", form["const"]));
    }
    if form["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        found.push(format!("{at}: {value} is not in {}", form["enum"]));
    }
    if let Some(object) = value.as_object() {
        for name in form["required"].as_array().into_iter().flatten() {
            if !object.contains_key(name.as_str().unwrap()) {
                found.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, value) in object {
            if let Some(form) = form["properties"].get(name).or_else(|| form.get("additionalProperties")) {
                found.extend(faults(document, form, value, &format!("{at}.{name}")));
            }
        }
    }
    for (place, value) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(form) = form["prefixItems"].get(place).or_else(|| form.get("items")) {
            found.extend(faults(document, form, value, &format!("{at}[{place}]")));
        }
    }
    found
}

/// One look at a stream of lines: the first one.
async fn first_line(stage: &Stage, path: &str) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = tokio::net::UnixStream::connect(&stage.socket).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    while !lines.next_line().await.unwrap().expect("a head").is_empty() {}
    lines.next_line().await.unwrap().expect("a line")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_as_the_document_says() {
    let stage = Stage::with(
        "  web: {shell: 'echo one; echo two >&2; exec sleep 1000', environment: {A: b}, autostart: true}
  crash: {command: ['false'], autostart: true}
  blocked: {command: [sleep, '1000'], depends_on: {crash: {condition: service_completed_successfully}}, autostart: true}\n",
    );
    eventually_async("it runs and has written", || async {
        stage.picture().await["services"][0]["phase"]["name"] == "running"
            && !stage.get("/v1/logs").await.body.is_empty()
    })
    .await;
    let document = stage.get("/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut walked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let concrete = path.replace("{project}", "shop").replace("{service}", "web");
        for (method, operation) in methods.as_object().unwrap() {
            walked += 1;
            assert!(operation["summary"].as_str().is_some_and(|about| !about.is_empty()), "{path}");
            let kinds = operation["responses"]["200"]["content"].as_object().cloned().unwrap_or_default();
            for (kind, content) in kinds {
                if method == "post" || !content["schema"].is_object() {
                    continue;
                }
                let said = match kind.as_str() {
                    "application/x-ndjson" if path == "/v1/entries" => {
                        first_line(&stage, "/v1/entries?follow=true&since_seq=0").await
                    }
                    "application/x-ndjson" => first_line(&stage, &concrete).await,
                    "application/json" => match stage.get(&concrete).await {
                        // What can be had only of an engine of containers.
                        said if said.status == 503 && path == "/v1/disk" => continue,
                        said => said.body,
                    },
                    _ => continue,
                };
                let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{path}: {error}: {said}"));
                assert_eq!(faults(&document, &content["schema"], &said, path), Vec::<String>::new());
            }
            if method == "get" {
                // It is there: what the document names, the router has.
                if kinds_are_streams(operation) {
                    continue;
                }
                let said: Said = stage.get(&concrete).await;
                assert_ne!(said.status, 404, "{path}");
                assert_ne!(said.status, 405, "{path}");
            }
        }
    }
    assert!(walked >= 16, "{walked}");
    let refusal = stage.get("/v1/services/shop/nobody").await;
    assert_eq!(refusal.status, 404);
    let form = &document["components"]["responses"]["refusal"]["content"]["application/json"]["schema"];
    assert_eq!(faults(&document, form, &refusal.json(), "refusal"), Vec::<String>::new());
    stage.leave().await;
}

fn kinds_are_streams(operation: &Value) -> bool {
    let content = operation["responses"]["200"]["content"].as_object();
    content.is_some_and(|kinds| kinds.keys().all(|kind| kind == "application/x-ndjson"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_and_its_reply_are_in_the_document() {
    let stage = Stage::with("  web: {command: [sleep, '1000']}\n");
    let document = stage.get("/v1/openapi.json").await.json();
    let operation = &document["paths"]["/v1/requests"]["post"];
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    for verb in Verb::ALL {
        let mut ask = json!({"command": verb.label(), "services": ["web"], "consent": "dry-run"});
        match verb {
            Verb::Signal => ask["signal"] = json!("HUP"),
            Verb::Open => ask["directory"] = json!("/nowhere"),
            Verb::Close => ask["project"] = json!("shop"),
            Verb::Maintenance => ask["switch"] = json!("on"),
            Verb::Autopilot => ask["mode"] = json!("off"),
            Verb::Silence => ask["because"] = json!("disks"),
            Verb::Prune => ask = json!({"command": "prune", "what": ["images"], "consent": "dry-run"}),
            Verb::Start
            | Verb::Stop
            | Verb::Restart
            | Verb::Kill
            | Verb::Pause
            | Verb::Unpause
            | Verb::Recreate
            | Verb::Pull
            | Verb::Rm
            | Verb::Rotate
            | Verb::Reload
            | Verb::Unsilence => {}
        }
        assert_eq!(faults(&document, body, &ask, verb.label()), Vec::<String>::new());
    }
    assert_ne!(faults(&document, body, &json!({"command": "explode"}), "unknown"), Vec::<String>::new());
    let dry = json!({"command": "start", "services": ["web"], "consent": "dry-run"});
    let form = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let asks =
        [dry, json!({"command": "start", "services": ["web"]}), json!({"command": "stop", "services": ["nobody"]})];
    for ask in asks {
        let said = stage.ask(&ask).await;
        assert_eq!(faults(&document, form, &said.json(), "reply"), Vec::<String>::new(), "{said:?}");
    }
    let head = curl(&stage.socket, "POST", "/v1/openapi.json", &[], b"").await;
    assert_eq!(head.status, 405);
    stage.leave().await;
}
