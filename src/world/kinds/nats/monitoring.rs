//! NATS's monitoring port: <https://docs.nats.io/running-a-nats-service/nats_admin/monitoring>.
//!
//! Never: ends a look; what cannot be read there is said in a remark.

use serde_json::Value;

use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::{
        clock,
        kinds::{
            web,
            words::{self, figure, list, word},
        },
    },
};

const JETSTREAM: &str = "/jsz?accounts=true&streams=true&consumers=true&config=true&limit=256";

/// Adds what is told there.
pub(super) async fn look(target: &Target, reading: &mut Reading) {
    // It knows no users; whoever reaches it may read it.
    let target = Target { user: None, password: None, tls: false, ..target.clone() };
    match web::json(&target, "/varz").await {
        Ok(varz) if varz.get("server_id").is_some() => server(&varz, reading),
        Ok(_) => silent(&Trouble::Foreign(format!("{} is no monitoring port of NATS", target.place())), reading),
        Err(trouble) => {
            silent(&trouble, reading);
            return;
        }
    }
    match web::get(&target, "/healthz").await {
        Ok(answer) if answer.status.is_success() => {}
        // Servers before 2.7 have none.
        Ok(answer) if answer.status.as_u16() == 404 => {}
        Ok(answer) => {
            let told = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
            let why = [word(&told, "error"), word(&told, "status")].into_iter().find(|why| !why.is_empty());
            let sentence = format!("it says that it is not well: {}", words::said(why.unwrap_or("no reason given")));
            reading.remark(
                "health",
                Grade::Critical,
                sentence,
                Some("see its log; a JetStream that recovers needs time"),
            );
        }
        Err(trouble) => reading.remark("health", Grade::Notice, format!("its health cannot be read: {trouble}"), None),
    }
    match web::json(&target, JETSTREAM).await {
        Ok(told) => jetstream(&told, reading),
        Err(trouble) => {
            let sentence = format!("streams and consumers cannot be read: {trouble}");
            reading.remark("streams", Grade::Notice, sentence, None);
        }
    }
}

fn silent(trouble: &Trouble, reading: &mut Reading) {
    let advice =
        "start it with -m 8222 (configuration: http_port: 8222), or write ?management=PORT behind the URL of the check";
    let sentence = format!("figures are not read, as its monitoring port does not answer: {trouble}");
    reading.remark("management", Grade::Notice, sentence, Some(advice));
}

fn server(varz: &Value, reading: &mut Reading) {
    let connections = figure(varz, "connections").unwrap_or(0.0);
    let measure = Measure::new("connections", connections);
    reading.measure(match figure(varz, "max_connections") {
        Some(most) if most > 0.0 => measure.of(most),
        _ => measure,
    });
    for (name, path) in [
        ("slow-consumers", "slow_consumers"),
        ("memory", "mem"),
        ("messages-in", "in_msgs"),
        ("messages-out", "out_msgs"),
        ("bytes-in", "in_bytes"),
        ("bytes-out", "out_bytes"),
        ("subscriptions", "subscriptions"),
    ] {
        if let Some(value) = figure(varz, path) {
            reading.measure(Measure::new(name, value));
        }
    }
}

/// The most of a figure, and whose it is.
#[derive(Default)]
struct Most(Option<Measure>);

impl Most {
    fn see(&mut self, found: Measure) {
        if self.0.as_ref().is_none_or(|kept| found.value > kept.value) {
            self.0 = Some(found);
        }
    }
}

fn jetstream(told: &Value, reading: &mut Reading) {
    if told.get("disabled").and_then(Value::as_bool) == Some(true) {
        return;
    }
    for (name, used, most) in
        [("storage", "storage", "config.max_storage"), ("stream-memory", "memory", "config.max_memory")]
    {
        let Some(value) = figure(told, used) else { continue };
        let measure = Measure::new(name, value);
        reading.measure(match figure(told, most) {
            Some(limit) if limit > 0.0 => measure.of(limit),
            _ => measure,
        });
    }
    for (name, path) in [("streams", "streams"), ("consumers", "consumers"), ("messages-stored", "messages")] {
        if let Some(value) = figure(told, path) {
            reading.measure(Measure::new(name, value));
        }
    }
    let (mut depth, mut unacknowledged, mut redelivered, mut oldest, mut full) =
        (Most::default(), Most::default(), Most::default(), Most::default(), Most::default());
    let now = clock::now().wall();
    for stream in list(told, "account_details").iter().flat_map(|account| list(account, "stream_detail")) {
        let name = words::said(word(stream, "name"));
        let stored = figure(stream, "state.messages").unwrap_or(0.0);
        let limit = figure(stream, "config.max_msgs").filter(|most| *most > 0.0);
        if let Some(limit) = limit {
            full.see(Measure::new("stream-fill", stored / limit).about(format!("stream {name}")));
        }
        let first = chrono::DateTime::parse_from_rfc3339(word(stream, "state.first_ts"));
        if let (true, "workqueue", Ok(first)) = (stored > 0.0, word(stream, "config.retention"), first) {
            let age = (now - first.to_utc()).as_seconds_f64().max(0.0);
            oldest.see(Measure::new("oldest-job", age).about(format!("stream {name}")));
        }
        replicas(stream, &name, reading);
        for consumer in list(stream, "consumer_detail") {
            let about = words::said(&format!("consumer {} of stream {name}", word(consumer, "name")));
            for (most, measure, path) in [
                (&mut depth, "queue-depth", "num_pending"),
                (&mut unacknowledged, "unacknowledged", "num_ack_pending"),
                (&mut redelivered, "redelivered", "num_redelivered"),
            ] {
                if let Some(value) = figure(consumer, path) {
                    let measure = Measure::new(measure, value).about(about.clone());
                    let limit = figure(consumer, "config.max_ack_pending").filter(|most| *most > 0.0);
                    most.see(match limit {
                        Some(limit) if path == "num_ack_pending" => measure.of(limit),
                        _ => measure,
                    });
                }
            }
        }
    }
    reading.measures.extend([depth, unacknowledged, redelivered, oldest, full].into_iter().filter_map(|most| most.0));
}

fn replicas(stream: &Value, name: &str, reading: &mut Reading) {
    let Some(cluster) = stream.get("cluster") else { return };
    let behind = list(cluster, "replicas")
        .iter()
        .filter(|replica| {
            let is = |flag: &str| replica.get(flag).and_then(Value::as_bool);
            is("current") == Some(false) || is("offline") == Some(true)
        })
        .count();
    if word(cluster, "leader").is_empty() && cluster.get("replicas").is_some() {
        let advice = "bring the missing servers of the cluster back";
        reading.remark(
            "streams",
            Grade::Critical,
            format!("stream {name} has no leader and takes nothing"),
            Some(advice),
        );
    } else if behind > 0 {
        let sentence = format!("{behind} replicas of stream {name} are behind or away");
        reading.remark("streams", Grade::Warning, sentence, Some("see the servers that hold them"));
    }
}
