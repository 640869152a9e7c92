//! Elasticsearch and `OpenSearch`, asked over their REST API (<https://www.elastic.co/guide/en/elasticsearch/reference/current/cluster-health.html>).
//!
//! `ready`: `/_cluster/health`, whose status must not be red. `look`: `/`, `/_cluster/health`, `/_nodes/stats`, `/_cluster/settings`, blocks of indices, and
//! why shards are not assigned. A password without a user is sent as a bearer token.
//!
//! Never: searches, or reads a document.

use serde_json::Value;

use super::{
    texts::{number, said, said_in},
    web,
};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

const NODES: &str = "/_nodes/stats/jvm,fs,breaker,thread_pool,process?filter_path=nodes.*.name,nodes.*.jvm.mem.heap_used_in_bytes,\
                     nodes.*.jvm.mem.heap_max_in_bytes,nodes.*.jvm.gc.collectors.*.collection_time_in_millis,nodes.*.fs.total,\
                     nodes.*.breakers.*.tripped,nodes.*.thread_pool.*.rejected,nodes.*.process.open_file_descriptors,\
                     nodes.*.process.max_file_descriptors";
const WATERMARKS: &str = "/_cluster/settings?include_defaults=true&flat_settings=true\
                          &filter_path=*.cluster.routing.allocation.disk.watermark*,defaults,persistent,transient";
const BLOCKS: &str = "/_all/_settings/index.blocks.read_only_allow_delete?flat_settings=true";
const EXPLAIN: &str = "/_cluster/allocation/explain?filter_path=index,shard,primary,unassigned_info.reason,unassigned_info.details,\
                       allocate_explanation";

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let health = health(target).await?;
    if text(&health, "status") == "red" {
        let place = target.place();
        let missing = at(&health, "unassigned_shards").unwrap_or(0.0);
        return Err(Trouble::Unready(format!(
            "the cluster of {place} is red: {missing:.0} shards are not assigned, among them primaries; their data cannot be read"
        )));
    }
    Ok(())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let begun = tokio::time::Instant::now();
    let health = health(target).await?;
    let mut reading = Reading::default();
    reading.measure(Measure::new("latency", begun.elapsed().as_secs_f64()));
    let root = json(target, "/").await?;
    reading.server = root.as_ref().and_then(server);
    cluster(&health, &mut reading);
    if let Some(stats) = optional(target, NODES, "nodes", &mut reading).await? {
        nodes(&stats, &mut reading);
    }
    if let Some(settings) = json(target, WATERMARKS).await? {
        watermarks(&settings, &mut reading);
    }
    if let Some(blocks) = json(target, BLOCKS).await? {
        blocked(&blocks, &mut reading);
    }
    if at(&health, "unassigned_shards").is_some_and(|count| count > 0.0)
        && let Some(explained) = json(target, EXPLAIN).await?
    {
        unassigned(&explained, &mut reading);
    }
    Ok(reading)
}

async fn health(target: &Target) -> Result<Value, Trouble> {
    let path = "/_cluster/health?timeout=2s";
    let answer = web::get(target, path).await?;
    let place = target.place();
    let words = serde_json::from_slice::<Value>(&answer.body).ok().and_then(|body| {
        let error = body.get("error")?;
        Some(said(error.get("reason").or(Some(error)).and_then(Value::as_str).unwrap_or_default()))
    });
    match (answer.status.as_u16(), words) {
        (401, _) if target.password.is_none() => Err(Trouble::Refused(format!(
            "{place} wants a password and got none: write check: elasticsearch://USER:PASSWORD@{place}"
        ))),
        (503, Some(words)) => Err(Trouble::Unready(format!("{place} does not serve (yet): {words}"))),
        (408, _) => Err(Trouble::Unready(format!("{place} does not know within 2 s how its cluster is"))),
        _ => {
            web::accepted(&answer, target, "/_cluster/health")?;
            let health = answer.json(target)?;
            if health.get("cluster_name").is_some() && health.get("status").is_some() {
                Ok(health)
            } else {
                Err(Trouble::Foreign(format!("{place} answers, but not as Elasticsearch does")))
            }
        }
    }
}

/// What is nice to know: none where it cannot be had.
async fn json(target: &Target, path: &str) -> Result<Option<Value>, Trouble> {
    let answer = web::get(target, path).await?;
    Ok(if answer.status.is_success() { answer.json(target).ok() } else { None })
}

/// The same, and a word about it where it is not permitted.
async fn optional(target: &Target, path: &str, check: &str, reading: &mut Reading) -> Result<Option<Value>, Trouble> {
    let answer = web::get(target, path).await?;
    if answer.status.as_u16() == 403 {
        let advice = Some("give its user the cluster privilege monitor");
        reading.remark(check, Grade::Notice, format!("figures of the {check} are hidden from us"), advice);
        return Ok(None);
    }
    Ok(if answer.status.is_success() { answer.json(target).ok() } else { None })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn at(value: &Value, path: &str) -> Option<f64> {
    path.split('.').try_fold(value, |value, key| value.get(key)).and_then(Value::as_f64)
}

fn server(root: &Value) -> Option<String> {
    let version = root.get("version")?;
    let name = if text(version, "distribution") == "opensearch" { "OpenSearch" } else { "Elasticsearch" };
    Some(format!("{name} {}", said_in(text(version, "number"), 40)))
}

fn cluster(health: &Value, reading: &mut Reading) {
    for (key, name) in [
        ("number_of_nodes", "nodes"),
        ("unassigned_shards", "unassigned-shards"),
        ("number_of_pending_tasks", "pending-tasks"),
        ("relocating_shards", "relocating-shards"),
        ("active_shards", "shards"),
    ] {
        if let Some(value) = at(health, key) {
            reading.measure(Measure::new(name, value));
        }
    }
    if let Some(millis) = at(health, "task_max_waiting_in_queue_millis") {
        reading.measure(Measure::new("oldest-task", millis / 1000.0));
    }
    let missing = at(health, "unassigned_shards").unwrap_or(0.0);
    match text(health, "status") {
        "red" => reading.remark(
            "cluster",
            Grade::Critical,
            format!("the cluster is red: {missing:.0} shards are not assigned, among them primaries; their data cannot be read"),
            Some("bring missing nodes back; GET _cluster/allocation/explain tells why"),
        ),
        // A node alone has no place for replicas.
        "yellow" if at(health, "number_of_nodes") == Some(1.0) => reading.remark(
            "cluster",
            Grade::Notice,
            format!("the cluster is yellow: {missing:.0} replicas have no second node to be on"),
            Some("set number_of_replicas to 0 where one node is enough"),
        ),
        "yellow" => reading.remark(
            "cluster",
            Grade::Warning,
            format!("the cluster is yellow: {missing:.0} replicas are not assigned; one more lost node may lose data"),
            Some("GET _cluster/allocation/explain tells why"),
        ),
        _ => {}
    }
}

/// What is used of what there is, of a node.
type Share = fn(&Value) -> Option<(f64, f64)>;

fn nodes(stats: &Value, reading: &mut Reading) {
    let empty = serde_json::Map::new();
    let nodes = stats.get("nodes").and_then(Value::as_object).unwrap_or(&empty);
    let shares: [(&str, Share); 3] = [
        ("heap", |node| Some((at(node, "jvm.mem.heap_used_in_bytes")?, at(node, "jvm.mem.heap_max_in_bytes")?))),
        ("disk", |node| {
            let total = at(node, "fs.total.total_in_bytes")?;
            Some((total - at(node, "fs.total.available_in_bytes")?, total))
        }),
        ("open-files", |node| {
            Some((at(node, "process.open_file_descriptors")?, at(node, "process.max_file_descriptors")?))
        }),
    ];
    for (name, of) in shares {
        let all = nodes.values().filter_map(|node| of(node).map(|pair| (pair, text(node, "name"))));
        let worst =
            all.filter(|((_, most), _)| *most > 0.0).max_by(|((a, x), _), ((b, y), _)| (a / x).total_cmp(&(b / y)));
        if let Some(((used, most), node)) = worst {
            reading.measure(Measure::new(name, used).of(most).about(format!("node {}", said_in(node, 60))));
        }
    }
    for (name, group, field, scale) in [
        ("breakers-tripped", "breakers", "tripped", 1.0),
        ("rejected-requests", "thread_pool", "rejected", 1.0),
        ("gc-time", "jvm.gc.collectors", "collection_time_in_millis", 1000.0),
    ] {
        let groups = nodes
            .values()
            .filter_map(|node| group.split('.').try_fold(node, |value, key| value.get(key)).and_then(Value::as_object));
        let counts: Vec<f64> = groups.flat_map(|group| group.values()).filter_map(|one| at(one, field)).collect();
        if !counts.is_empty() {
            reading.measure(Measure::new(name, counts.iter().sum::<f64>() / scale));
        }
    }
}

/// <https://www.elastic.co/guide/en/elasticsearch/reference/current/modules-cluster.html#disk-based-shard-allocation>: what was set counts before defaults.
fn watermarks(settings: &Value, reading: &mut Reading) {
    let Some(disk) = reading.measures.iter().find(|measure| measure.name == "disk") else { return };
    let (Some(most), node) = (disk.limit, disk.about.clone().unwrap_or_default()) else { return };
    let used = disk.value / most;
    let mark = |name: &str| {
        let key = format!("cluster.routing.allocation.disk.watermark.{name}");
        let found =
            ["transient", "persistent", "defaults"].iter().find_map(|group| settings.get(*group)?.get(&key)?.as_str());
        found.and_then(|mark| mark.strip_suffix('%')).and_then(number).map(|percent| percent / 100.0)
    };
    for (name, grade, means) in [
        ("flood_stage", Grade::Critical, "indices on it are made read only"),
        ("high", Grade::Critical, "its shards are moved away"),
        ("low", Grade::Warning, "no more shards are put on it"),
    ] {
        if let Some(share) = mark(name).filter(|share| used >= *share) {
            let sentence = format!(
                "the disk of {node} is {:.0} % full, beyond the {name} watermark of {:.0} %: {means}",
                used * 100.0,
                share * 100.0
            );
            reading.remark("watermark", grade, sentence, Some("delete old indices, or give it more disk"));
            return;
        }
    }
}

fn blocked(settings: &Value, reading: &mut Reading) {
    let Some(indices) = settings.as_object().filter(|indices| !indices.is_empty()) else { return };
    let is_blocked = |index: &Value| {
        index.get("settings").and_then(|found| found.get("index.blocks.read_only_allow_delete")).and_then(Value::as_str)
            == Some("true")
    };
    let names: Vec<&str> =
        indices.iter().filter(|(_, index)| is_blocked(index)).map(|(name, _)| name.as_str()).collect();
    if let Some(first) = names.first() {
        let sentence = format!("{} indices take no writes, as a disk was full ({} …)", names.len(), said_in(first, 60));
        reading.remark("blocks", Grade::Critical, sentence, Some("make room; from 7.4 on the block goes by itself, before set index.blocks.read_only_allow_delete to null"));
    }
}

fn unassigned(explained: &Value, reading: &mut Reading) {
    let info = explained.get("unassigned_info");
    let part = |value: Option<&Value>, key: &str, columns| said_in(value.map_or("", |value| text(value, key)), columns);
    let role = if explained.get("primary").and_then(Value::as_bool) == Some(true) { "primary" } else { "replica" };
    let sentence = format!(
        "the {role} of shard {} of {} is not assigned ({}): {}",
        at(explained, "shard").unwrap_or(0.0),
        part(Some(explained), "index", 60),
        part(info, "reason", 40),
        part(Some(explained), "allocate_explanation", 160)
    );
    reading.remark("unassigned", Grade::Notice, sentence, Some("GET _cluster/allocation/explain tells more"));
}
