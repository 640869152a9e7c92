//! `ZooKeeper`: its four-letter words (<https://zookeeper.apache.org/doc/current/zookeeperAdmin.html#sc_4lw>).
//!
//! The server closes the connection behind each of them, so that a look takes two. Since 3.5 only `srvr` is allowed without being listed in
//! `4lw.commands.whitelist`; that one tells whether it serves, `mntr` tells the rest where it is allowed.
//!
//! Never: speaks the client protocol, makes a session, or sends a word that changes anything.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

use super::{wire, words};

/// Most bytes of an answer.
const MOST_BYTES: u64 = 256 * 1024;
const HOW_TO_ALLOW: &str = "put 4lw.commands.whitelist=srvr,mntr,ruok into zoo.cfg (image: ZOO_4LW_COMMANDS_WHITELIST=srvr,mntr,ruok) and restart it";

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    served(target).await.map(|_answer| ())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut reading = Reading::default();
    let srvr = served(target).await?;
    let fields = colons(&srvr);
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let version = field("Zookeeper version").split(['-', ',']).next().unwrap_or_default();
    reading.server = Some(words::said(&format!("ZooKeeper {version}")));
    let mode = words::said(field("Mode"));
    reading.remark("mode", Grade::Good, format!("it runs as {mode}"), None);
    match word(target, "mntr").await {
        Ok(answer) => {
            let figures = tabs(&answer);
            monitored(&figures, &mut reading);
        }
        Err(Trouble::Refused(why)) => {
            reading.remark("mntr", Grade::Notice, format!("most figures are not told: {why}"), Some(HOW_TO_ALLOW));
            briefly(&fields, &mut reading);
        }
        Err(trouble) => return Err(trouble),
    }
    Ok(reading)
}

/// What `srvr` says of a server that serves.
async fn served(target: &Target) -> Result<String, Trouble> {
    let answer = word(target, "srvr").await?;
    if answer.starts_with("Zookeeper version:") && answer.contains("Mode:") {
        return Ok(answer);
    }
    let said = words::said(&answer);
    if answer.contains("not currently serving requests") {
        let sentence = format!("{} says: {said}; it has no quorum, or is still loading", target.place());
        return Err(Trouble::Unready(sentence));
    }
    Err(Trouble::Foreign(format!("{} does not answer srvr as ZooKeeper does: \"{said}\"", target.place())))
}

/// Asks for one word and reads until the server closes.
async fn word(target: &Target, word: &str) -> Result<String, Trouble> {
    let mut connection = wire::connect(target).await?;
    let mut bytes = Vec::new();
    let exchange = async {
        connection.write_all(word.as_bytes()).await?;
        connection.flush().await?;
        (&mut connection).take(MOST_BYTES).read_to_end(&mut bytes).await
    };
    exchange.await.map_err(|error| wire::broken(&error, target))?;
    let answer = String::from_utf8_lossy(&bytes).into_owned();
    if answer.is_empty() {
        return Err(Trouble::Unreachable(format!("{} closed the connection without an answer", target.place())));
    }
    if answer.contains("is not executed because it is not in the whitelist") {
        return Err(Trouble::Refused(format!("{} does not allow the word {word}: {HOW_TO_ALLOW}", target.place())));
    }
    Ok(answer)
}

/// Lines of `name: value`.
fn colons(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// Lines of `name`, a tab, a figure.
fn tabs(text: &str) -> BTreeMap<&str, f64> {
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(name, value)| Some((name, value.trim().parse::<f64>().ok().filter(|value| value.is_finite())?)))
        .collect()
}

fn monitored(figures: &BTreeMap<&str, f64>, reading: &mut Reading) {
    let of = |name: &str| figures.get(name).copied();
    // It counts latencies in milliseconds.
    for (name, key) in [("latency", "zk_avg_latency"), ("latency-slowest", "zk_max_latency")] {
        if let Some(value) = of(key) {
            reading.measure(Measure::new(name, value / 1000.0));
        }
    }
    for (name, key) in [
        ("outstanding", "zk_outstanding_requests"),
        ("connections", "zk_num_alive_connections"),
        ("rejected", "zk_connection_rejected"),
        ("dropped", "zk_connection_drop_count"),
        ("nodes", "zk_znode_count"),
        ("watches", "zk_watch_count"),
        ("ephemerals", "zk_ephemerals_count"),
        ("data-size", "zk_approximate_data_size"),
        ("requests", "zk_packets_received"),
    ] {
        if let Some(value) = of(key) {
            reading.measure(Measure::new(name, value));
        }
    }
    if let Some(open) = of("zk_open_file_descriptor_count") {
        let measure = Measure::new("file-descriptors", open);
        reading.measure(match of("zk_max_file_descriptor_count") {
            Some(most) if most > 0.0 => measure.of(most),
            _ => measure,
        });
    }
    // Only a leader says these. Learners are all who follow, observers too; synced are those who are up to date.
    if let Some(synced) = of("zk_synced_followers") {
        let followers = of("zk_followers").or_else(|| of("zk_learners")).unwrap_or(synced);
        reading.measure(Measure::new("followers", followers));
        reading.measure(Measure::new("unsynced-followers", (followers - synced).max(0.0)));
    }
    if let Some(pending) = of("zk_pending_syncs") {
        reading.measure(Measure::new("pending-syncs", pending));
    }
}

/// The figures that `srvr` has too.
fn briefly(fields: &BTreeMap<String, String>, reading: &mut Reading) {
    let number =
        |name: &str| fields.get(name).and_then(|text| text.parse::<f64>().ok()).filter(|value| value.is_finite());
    // "Latency min/avg/max: 0/0.3/5"
    let latencies = fields.get("Latency min/avg/max").map(|text| text.split('/').collect::<Vec<_>>());
    if let Some([_, average, most]) = latencies.as_deref() {
        for (name, text) in [("latency", average), ("latency-slowest", most)] {
            if let Ok(value) = text.parse::<f64>() {
                reading.measure(Measure::new(name, value / 1000.0));
            }
        }
    }
    for (name, key) in [
        ("outstanding", "Outstanding"),
        ("connections", "Connections"),
        ("nodes", "Node count"),
        ("requests", "Received"),
    ] {
        if let Some(value) = number(key) {
            reading.measure(Measure::new(name, value));
        }
    }
}
