//! Kafka (Redpanda too): brokers and partitions, and how far groups of consumers lag behind. Wire format: <https://kafka.apache.org/protocol.html>.
//!
//! A group is told of by its own coordinator and an offset by the leader of its partition, so that in a cluster of several brokers a look takes a
//! connection to each of them, at the address that they advertise; where that cannot be reached a remark says so.
//! With a password it logs in by SASL PLAIN. Options of the target: `groups` (names joined by commas; none: all groups of consumers).
//!
//! Never: fetches or produces records, joins a group, makes a topic; asks for more than 100 groups and 1000 partitions.

mod answers;
mod broker;
mod lag;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::clock,
};

use super::words;
use answers::{Metadata, Topic};
use broker::Broker;

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let mut broker = Broker::open(target).await?;
    let metadata = broker.metadata(false).await?;
    if metadata.brokers.is_empty() {
        return Err(Trouble::Unready(format!("{} knows no broker that serves: it is starting", target.place())));
    }
    Ok(())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut broker = Broker::open(target).await?;
    let begun = clock::now();
    let metadata = broker.metadata(true).await?;
    let mut reading = Reading::default();
    reading.measure(Measure::new("latency", words::seconds_since(begun)));
    let cluster = words::said(metadata.cluster.as_deref().unwrap_or_default());
    reading.server = Some(if cluster.starts_with("redpanda.") {
        "Redpanda".to_owned()
    } else {
        words::said(&format!("Kafka {cluster}")).trim().to_owned()
    });
    partitions(&metadata, &mut reading);
    if let Err(trouble) = lag::look(broker, target, &metadata, &mut reading).await {
        reading.remark("lag", Grade::Warning, format!("lags of groups could not be read: {trouble}"), None);
    }
    Ok(reading)
}

/// Who leads, and who is in step.
fn partitions(metadata: &Metadata, reading: &mut Reading) {
    let (mut count, mut internal) = (0_usize, 0_usize);
    let (mut leaderless, mut behind, mut offline) = (Vec::new(), Vec::new(), BTreeMap::new());
    let known: BTreeSet<i32> = metadata.brokers.iter().map(|(id, ..)| *id).collect();
    for topic in &metadata.topics {
        internal += usize::from(topic.is_internal);
        for partition in &topic.partitions {
            count += 1;
            let called = || words::said(&format!("{}/{}", topic.name, partition.index));
            if partition.leader < 0 {
                leaderless.push(called());
            } else if partition.in_sync < partition.replicas.len() {
                behind.push(called());
            }
            // Brokers of before 1.0 do not name who is away: whoever is no broker any more is.
            for replica in &partition.replicas {
                if partition.offline.contains(replica) || !known.contains(replica) {
                    *offline.entry(*replica).or_insert(0_usize) += 1;
                }
            }
        }
    }
    reading.measure(Measure::new("brokers", metadata.brokers.len() as f64));
    reading.measure(Measure::new("topics", metadata.topics.len().saturating_sub(internal) as f64));
    reading.measure(Measure::new("partitions", count as f64));
    named(reading, "leaderless-partitions", &leaderless);
    named(reading, "under-replicated", &behind);
    let away: usize = offline.values().sum();
    let brokers: Vec<_> = offline.keys().map(|id| format!("broker {id}")).collect();
    let measure = Measure::new("offline-replicas", away as f64);
    reading.measure(if away > 0 { measure.about(words::said(&brokers.join(", "))) } else { measure });
    if metadata.controller < 0 {
        let advice =
            "see whether most controllers (or ZooKeeper) run: topics and leaders cannot change until one leads";
        reading.remark("controller", Grade::Critical, "the cluster has no controller", Some(advice));
    }
    let barred = metadata.topics.iter().filter(|topic| topic.error == answers::TOPIC_REFUSED).count();
    if barred > 0 {
        let advice = "give its user the right DESCRIBE on topics";
        reading.remark("topics", Grade::Notice, format!("{barred} topics may not be looked at"), Some(advice));
    }
}

/// How many there are, naming the first.
fn named(reading: &mut Reading, name: &'static str, which: &[String]) {
    let measure = Measure::new(name, which.len() as f64);
    reading.measure(match which {
        [] => measure,
        [first] => measure.about(first.clone()),
        [first, rest @ ..] => measure.about(format!("{first} and {} more", rest.len())),
    });
}

/// The leader of a partition; none where it has none.
fn leader(topics: &BTreeMap<&str, &Topic>, topic: &str, index: i32) -> Option<i32> {
    let partitions = &topics.get(topic)?.partitions;
    partitions.iter().find(|partition| partition.index == index).map(|partition| partition.leader).filter(|id| *id >= 0)
}
