//! How far groups of consumers are behind: the end of each partition less what the group has committed of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::timeout;

use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::kinds::words,
};

use super::{
    Broker,
    answers::{CLUSTER_REFUSED, GROUP_REFUSED, Metadata},
    leader,
};

const MOST_BROKERS: usize = 8;
const MOST_GROUPS: usize = 100;
const MOST_PARTITIONS: usize = 1000;
const MOST_GRAVES: usize = 100;
/// How long another broker may take until it is given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Topic and partition.
type Place = (String, i32);

/// What is known of a group.
struct Group {
    name: String,
    state: String,
    committed: Vec<(Place, i64)>,
}

/// Brokers that could be connected to, by their number.
struct Cluster {
    brokers: BTreeMap<i32, Broker>,
    unreached: Vec<String>,
}

/// Adds the lag of groups and the number of dead letters.
///
/// # Errors
/// The connection's.
pub(super) async fn look(
    broker: Broker,
    target: &Target,
    metadata: &Metadata,
    reading: &mut Reading,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::connect(broker, target, metadata).await;
    if !cluster.unreached.is_empty() {
        let who = words::said(&cluster.unreached.join(", "));
        let sentence =
            format!("lags are not complete, as brokers cannot be reached at the address they advertise: {who}");
        let advice = "see advertised.listeners: the addresses must lead to the brokers from here too";
        reading.remark("advertised-listeners", Grade::Notice, sentence, Some(advice));
    }
    let named = target.options.get("groups").map_or("", String::as_str);
    let named: Vec<String> =
        named.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).take(MOST_GROUPS).collect();
    let groups = cluster.groups(&named, reading).await?;
    let wanted: BTreeSet<Place> =
        groups.iter().flat_map(|group| group.committed.iter().map(|(place, _)| place.clone())).collect();
    if wanted.len() > MOST_PARTITIONS {
        let sentence = format!("of {} partitions with consumers only {MOST_PARTITIONS} are looked at", wanted.len());
        reading.remark("lag", Grade::Notice, sentence, None);
    }
    let wanted: Vec<Place> = wanted.into_iter().take(MOST_PARTITIONS).collect();
    let ends = cluster.offsets(&wanted, metadata, -1).await?;
    tell(&groups, &ends, reading);
    dead_letters(&mut cluster, metadata, reading).await
}

impl Cluster {
    async fn connect(broker: Broker, target: &Target, metadata: &Metadata) -> Self {
        let mut cluster = Self { brokers: BTreeMap::new(), unreached: Vec::new() };
        // Which of them answers here is not said: the only one, or the one that advertises this address.
        let here = match metadata.brokers.as_slice() {
            [(id, ..)] => Some(*id),
            many => many
                .iter()
                .find(|(_, host, port)| *host == target.host && *port == i32::from(target.port))
                .map(|(id, ..)| *id),
        };
        if let Some(here) = here {
            cluster.brokers.insert(here, broker);
        }
        for (id, host, port) in metadata.brokers.iter().take(MOST_BROKERS).filter(|(id, ..)| Some(*id) != here) {
            let port = u16::try_from(*port).unwrap_or_default();
            let other = Target { host: host.clone(), port, ..target.clone() };
            match timeout(PATIENCE, Broker::open(&other)).await {
                Ok(Ok(broker)) => {
                    cluster.brokers.insert(*id, broker);
                }
                Ok(Err(_)) | Err(_) => cluster.unreached.push(words::said(&other.place())),
            }
        }
        cluster
    }

    /// The groups that the brokers coordinate: all of them, or those with a name that is wanted.
    async fn groups(&mut self, wanted: &[String], reading: &mut Reading) -> Result<Vec<Group>, Trouble> {
        let mut groups: Vec<Group> = Vec::new();
        let mut all = 0;
        let mut silent: Option<(String, bool)> = None;
        for broker in self.brokers.values_mut() {
            let mut names = if wanted.is_empty() {
                match broker.groups().await {
                    Ok((0, names)) => names,
                    Ok((error, _)) => {
                        let is_refused = matches!(error, CLUSTER_REFUSED | GROUP_REFUSED);
                        silent = Some((format!("it answers with code {error}"), is_refused));
                        continue;
                    }
                    // Some that speak Kafka's protocol know no such list.
                    Err(Trouble::Foreign(why)) => {
                        silent = Some((why, false));
                        continue;
                    }
                    Err(trouble) => return Err(trouble),
                }
            } else {
                wanted.to_vec()
            };
            all += names.len();
            names.truncate(MOST_GROUPS.saturating_sub(groups.len()));
            let described = match broker.described(&names).await {
                Ok(described) => described,
                Err(Trouble::Foreign(_)) => Vec::new(),
                Err(trouble) => return Err(trouble),
            };
            for name in names {
                let (error, committed) = broker.committed(&name).await?;
                // Another one coordinates it, it may not be looked at, or it is known already.
                let is_told = groups.iter().any(|group| group.name == name);
                if error != 0 || committed.is_empty() || is_told {
                    continue;
                }
                let state = described.iter().find(|group| group.name == name);
                groups.push(Group {
                    state: state.map(|group| group.state.clone()).unwrap_or_default(),
                    committed: committed.into_iter().map(|(topic, index, offset)| ((topic, index), offset)).collect(),
                    name,
                });
            }
        }
        if let Some((why, is_refused)) = silent {
            unlisted(&why, is_refused, reading);
        }
        reading.measure(Measure::new("groups", groups.len() as f64));
        if wanted.is_empty() && all > MOST_GROUPS {
            let sentence = format!("of {all} groups only {MOST_GROUPS} are looked at");
            reading.remark("groups", Grade::Notice, sentence, Some("name those that matter: ?groups=a,b"));
        }
        for name in wanted.iter().filter(|name| !groups.iter().any(|group| group.name == **name)) {
            let sentence = format!("group {} has committed nothing, or cannot be looked at", words::said(name));
            reading.remark(
                "groups",
                Grade::Warning,
                sentence,
                Some("see that it is spelled so, and that its user may DESCRIBE it"),
            );
        }
        Ok(groups)
    }

    /// Offsets of partitions, each asked of its leader.
    async fn offsets(
        &mut self,
        wanted: &[Place],
        metadata: &Metadata,
        time: i64,
    ) -> Result<BTreeMap<Place, i64>, Trouble> {
        let topics = metadata.topics.iter().map(|topic| (topic.name.as_str(), topic)).collect();
        let mut by_leader: BTreeMap<i32, Vec<Place>> = BTreeMap::new();
        for place in wanted {
            if let Some(leader) = leader(&topics, &place.0, place.1) {
                by_leader.entry(leader).or_default().push(place.clone());
            }
        }
        let mut offsets = BTreeMap::new();
        for (id, places) in by_leader {
            if let Some(broker) = self.brokers.get_mut(&id) {
                let told = broker.offsets(&places, time).await?;
                offsets.extend(told.into_iter().map(|(topic, index, offset)| ((topic, index), offset)));
            }
        }
        Ok(offsets)
    }
}

fn unlisted(why: &str, is_refused: bool, reading: &mut Reading) {
    let advice = if is_refused {
        "give its user the right DESCRIBE on groups and on the cluster, or name groups: ?groups=a,b"
    } else {
        "name the groups that matter: ?groups=a,b"
    };
    reading.remark("groups", Grade::Notice, format!("it may not list groups, lags are not known: {why}"), Some(advice));
}

fn tell(groups: &[Group], ends: &BTreeMap<Place, i64>, reading: &mut Reading) {
    let mut worst: Option<(i64, String)> = None;
    let (mut unattended, mut shaking) = (Vec::new(), Vec::new());
    for group in groups {
        let name = words::said(&group.name);
        if group.state.contains("Rebalance") {
            shaking.push(name.clone());
        }
        let lags = group.committed.iter().filter_map(|(place, offset)| {
            let end = ends.get(place)?;
            Some((end.saturating_sub(*offset).max(0), place))
        });
        let (mut sum, mut most): (i64, Option<(i64, &Place)>) = (0, None);
        for (lag, place) in lags {
            sum = sum.saturating_add(lag);
            if most.is_none_or(|(kept, _)| lag > kept) {
                most = Some((lag, place));
            }
        }
        let Some((lag, (topic, index))) = most else { continue };
        if sum > 0 && matches!(group.state.as_str(), "Empty" | "Dead") {
            unattended.push(name.clone());
        }
        if worst.as_ref().is_none_or(|(kept, _)| sum > *kept) {
            let about = format!("group {name}, most in {}/{index}: {lag}", words::said(topic));
            worst = Some((sum, words::said(&about)));
        }
    }
    if let Some((lag, about)) = worst {
        reading.measure(Measure::new("consumer-lag", lag as f64).about(about));
    }
    let measure = Measure::new("unattended-groups", unattended.len() as f64);
    reading.measure(if unattended.is_empty() { measure } else { measure.about(words::said(&unattended.join(", "))) });
    if !shaking.is_empty() {
        let sentence = format!("groups are being rebalanced and consume nothing: {}", words::said(&shaking.join(", ")));
        let advice = "where that does not end: see session.timeout.ms and max.poll.interval.ms of their consumers";
        reading.remark("rebalance", Grade::Notice, sentence, Some(advice));
    }
}

/// How many records lie in topics that are named as those of dead letters.
async fn dead_letters(cluster: &mut Cluster, metadata: &Metadata, reading: &mut Reading) -> Result<(), Trouble> {
    let graves = metadata.topics.iter().filter(|topic| words::is_grave(&topic.name));
    let places: Vec<Place> = graves
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.clone(), partition.index)))
        .take(MOST_GRAVES)
        .collect();
    if places.is_empty() {
        return Ok(());
    }
    let ends = cluster.offsets(&places, metadata, -1).await?;
    let starts = cluster.offsets(&places, metadata, -2).await?;
    let mut fullest: Option<(i64, &str)> = None;
    let mut sum: i64 = 0;
    for (place, end) in &ends {
        let records = end.saturating_sub(starts.get(place).copied().unwrap_or(0)).max(0);
        sum = sum.saturating_add(records);
        if records > 0 && fullest.is_none_or(|(most, _)| records > most) {
            fullest = Some((records, &place.0));
        }
    }
    let measure = Measure::new("dead-letters", sum as f64);
    reading.measure(match fullest {
        Some((_, topic)) => measure.about(format!("most in topic {}", words::said(topic))),
        None => measure,
    });
    Ok(())
}
