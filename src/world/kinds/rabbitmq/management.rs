//! `RabbitMQ`'s management API: <https://www.rabbitmq.com/docs/management#http-api>,
//! <https://rawcdn.githack.com/rabbitmq/rabbitmq-server/v3.13.7/deps/rabbitmq_management/priv/www/api/index.html>.
//!
//! Never: more than 1000 queues, the deepest first.

use std::collections::BTreeSet;

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

const PAGES: usize = 4;
const PAGE_SIZE: usize = 250;
const COLUMNS: &str =
    "name,vhost,messages_ready,messages_unacknowledged,consumers,arguments,head_message_timestamp,state";

/// Reads all that it tells of nodes and queues.
///
/// # Errors
/// Why it does not.
pub(super) async fn look(target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    // The API knows no user without a password.
    let mut target = target.clone();
    if target.user.is_none() {
        target.user = Some("guest".to_owned());
        target.password = Some(crate::model::exam::Hidden("guest".to_owned()));
    }
    let overview = web::json(&target, "/api/overview").await?;
    if overview.get("object_totals").is_none() && overview.get("rabbitmq_version").is_none() {
        return Err(Trouble::Foreign(format!("{} is no management API of RabbitMQ", target.place())));
    }
    totals(&overview, reading);
    let nodes = web::json(&target, "/api/nodes").await;
    match nodes {
        Ok(nodes) => nodes_figures(nodes.as_array().map_or(&[], Vec::as_slice), reading),
        Err(trouble) => {
            let advice = "its user needs the tag monitoring: rabbitmqctl set_user_tags USER monitoring";
            reading.remark("nodes", Grade::Notice, format!("memory and disk are not told: {trouble}"), Some(advice));
        }
    }
    queues(&target, reading).await
}

fn totals(overview: &Value, reading: &mut Reading) {
    for (name, path) in [
        ("consumers", "object_totals.consumers"),
        ("connections", "object_totals.connections"),
        ("channels", "object_totals.channels"),
        ("queues", "object_totals.queues"),
        ("messages-ready", "queue_totals.messages_ready"),
        ("published", "message_stats.publish"),
        ("delivered", "message_stats.deliver_get"),
        ("acknowledged", "message_stats.ack"),
        ("unroutable", "message_stats.drop_unroutable"),
    ] {
        if let Some(value) = figure(overview, path) {
            reading.measure(Measure::new(name, value));
        }
    }
}

/// The fullest node of each figure counts.
fn nodes_figures(nodes: &[Value], reading: &mut Reading) {
    let mut worst: Vec<Measure> = Vec::new();
    for node in nodes.iter().take(64) {
        let name = words::said(word(node, "name"));
        if node.get("running").and_then(Value::as_bool) == Some(false) {
            let advice = "start it, or take it out of the cluster: rabbitmqctl forget_cluster_node";
            reading.remark("nodes", Grade::Critical, format!("node {name} does not run"), Some(advice));
            continue;
        }
        alarms(node, &name, reading);
        for (measure, used, most) in [
            ("memory", "mem_used", "mem_limit"),
            ("file-descriptors", "fd_used", "fd_total"),
            ("sockets", "sockets_used", "sockets_total"),
            ("processes", "proc_used", "proc_total"),
        ] {
            let Some(value) = figure(node, used) else { continue };
            let found = Measure::new(measure, value).about(format!("node {name}"));
            let found = match figure(node, most) {
                Some(limit) if limit > 0.0 => found.of(limit),
                _ => found,
            };
            keep_worst(&mut worst, found, |measure| measure.limit.map_or(0.0, |limit| measure.value / limit));
        }
        if let Some(free) = figure(node, "disk_free") {
            keep_worst(&mut worst, Measure::new("disk-free", free).about(format!("node {name}")), |one| -one.value);
        }
    }
    for measure in worst {
        reading.measure(measure);
    }
}

fn keep_worst(worst: &mut Vec<Measure>, found: Measure, badness: impl Fn(&Measure) -> f64) {
    match worst.iter_mut().find(|kept| kept.name == found.name) {
        Some(kept) if badness(kept) >= badness(&found) => {}
        Some(kept) => *kept = found,
        None => worst.push(found),
    }
}

fn alarms(node: &Value, name: &str, reading: &mut Reading) {
    let is = |flag: &str| node.get(flag).and_then(Value::as_bool) == Some(true);
    if is("mem_alarm") {
        let advice =
            "publishers are blocked until memory is free: consume or purge queues, or raise vm_memory_high_watermark";
        reading.remark(
            "alarm",
            Grade::Critical,
            format!("node {name} has a memory alarm and blocks publishers"),
            Some(advice),
        );
    }
    if is("disk_free_alarm") {
        let advice = "publishers are blocked until disk is free: make room, or lower disk_free_limit";
        reading.remark(
            "alarm",
            Grade::Critical,
            format!("node {name} has a disk alarm and blocks publishers"),
            Some(advice),
        );
    }
    let others = list(node, "partitions");
    if !others.is_empty() {
        let sentence = format!("node {name} is parted from {} others of its cluster", others.len());
        let advice = "mend the network, then restart the nodes that are not to be trusted";
        reading.remark("partition", Grade::Critical, sentence, Some(advice));
    }
}

/// What was counted over all queues.
#[derive(Default)]
struct Sum {
    deepest: Option<(f64, String)>,
    unacknowledged: Option<(f64, String)>,
    oldest: Option<(f64, String)>,
    dead: (f64, f64, String),
    unconsumed: Vec<String>,
    broken: Vec<String>,
}

async fn queues(target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let vhost = words::decoded(&target.path);
    let scope = if vhost.is_empty() { String::new() } else { format!("/{}", words::encoded(&vhost)) };
    let mut found = Vec::new();
    let mut total = 0.0;
    for page in 1..=PAGES {
        let path = format!(
            "/api/queues{scope}?page={page}&page_size={PAGE_SIZE}&sort=messages_ready&sort_reverse=true&columns={COLUMNS}"
        );
        let mut answer = web::json(target, &path).await?;
        total = figure(&answer, "total_count").unwrap_or(0.0);
        let last = figure(&answer, "page_count").is_none_or(|pages| page as f64 >= pages);
        if let Some(Value::Array(items)) = answer.get_mut("items").map(Value::take) {
            found.extend(items.into_iter().take(PAGE_SIZE));
        }
        if last {
            break;
        }
    }
    if total > found.len() as f64 {
        let sentence = format!("of {total} queues only the {} deepest are looked at", found.len());
        reading.remark("queues", Grade::Notice, sentence, None);
    }
    judge(&found, reading);
    Ok(())
}

fn judge(queues: &[Value], reading: &mut Reading) {
    // Where others send their dead letters over the default exchange.
    let graves: BTreeSet<&str> = queues
        .iter()
        .filter(|queue| word(queue, "arguments.x-dead-letter-exchange").is_empty())
        .map(|queue| word(queue, "arguments.x-dead-letter-routing-key"))
        .filter(|name| !name.is_empty())
        .collect();
    let now = clock::now().wall_us as f64 / 1e6;
    let mut sum = Sum::default();
    for queue in queues {
        let (name, vhost) = (word(queue, "name"), word(queue, "vhost"));
        let called = if vhost == "/" { words::said(name) } else { words::said(&format!("{vhost}/{name}")) };
        let ready = figure(queue, "messages_ready").unwrap_or(0.0);
        if matches!(word(queue, "state"), "down" | "crashed" | "stopped" | "minority") {
            sum.broken.push(format!("{called} is {}", word(queue, "state")));
        }
        if graves.contains(name) || words::is_grave(name) {
            if ready > sum.dead.1 {
                (sum.dead.1, sum.dead.2) = (ready, called);
            }
            sum.dead.0 += ready;
            continue;
        }
        greatest(&mut sum.deepest, ready, &called);
        greatest(&mut sum.unacknowledged, figure(queue, "messages_unacknowledged").unwrap_or(0.0), &called);
        if let Some(since) = figure(queue, "head_message_timestamp").filter(|since| *since > 0.0 && ready > 0.0) {
            // Publishers that write milliseconds are common.
            let since = if since > 1e11 { since / 1000.0 } else { since };
            greatest(&mut sum.oldest, (now - since).max(0.0), &called);
        }
        if ready > 0.0 && figure(queue, "consumers") == Some(0.0) {
            sum.unconsumed.push(called);
        }
    }
    tell(sum, reading);
}

fn tell(sum: Sum, reading: &mut Reading) {
    for (name, worst) in
        [("queue-depth", sum.deepest), ("unacknowledged", sum.unacknowledged), ("oldest-job", sum.oldest)]
    {
        if let Some((value, queue)) = worst {
            reading.measure(Measure::new(name, value).about(format!("queue {queue}")));
        }
    }
    let (all, _, fullest) = sum.dead;
    let dead = Measure::new("dead-letters", all);
    reading.measure(if all > 0.0 { dead.about(format!("most in queue {fullest}")) } else { dead });
    let unconsumed = Measure::new("unconsumed-queues", sum.unconsumed.len() as f64);
    reading.measure(if sum.unconsumed.is_empty() {
        unconsumed
    } else {
        unconsumed.about(words::said(&sum.unconsumed.join(", ")))
    });
    if !sum.broken.is_empty() {
        let sentence = format!("queues do not serve: {}", words::said(&sum.broken.join(", ")));
        let advice = "start the nodes that hold them, or delete and declare them anew";
        reading.remark("queue", Grade::Critical, sentence, Some(advice));
    }
}

/// Keeps the greater one.
fn greatest(kept: &mut Option<(f64, String)>, value: f64, name: &str) {
    if kept.as_ref().is_none_or(|(most, _)| value > *most) {
        *kept = Some((value, name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::model::exam::{Grade, Reading};

    #[test]
    fn the_worst_queue_is_named_and_dead_letters_are_counted_apart() {
        let queues = serde_json::json!([
            {"name": "orders", "vhost": "/", "messages_ready": 5, "messages_unacknowledged": 2, "consumers": 0,
             "arguments": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "graves"}, "state": "running",
             "head_message_timestamp": 1000},
            {"name": "graves", "vhost": "/", "messages_ready": 90, "consumers": 0, "arguments": {}, "state": "running"},
            {"name": "mail", "vhost": "b", "messages_ready": 7, "consumers": 1, "arguments": {}, "state": "crashed"}
        ]);
        let mut reading = Reading::default();
        judge(queues.as_array().unwrap(), &mut reading);
        let of = |name| reading.measures.iter().find(|measure| measure.name == name).unwrap();
        assert_eq!((of("queue-depth").value, of("queue-depth").about.as_deref()), (7.0, Some("queue b/mail")));
        assert_eq!(
            (of("dead-letters").value, of("dead-letters").about.as_deref()),
            (90.0, Some("most in queue graves"))
        );
        assert_eq!((of("unconsumed-queues").value, of("unconsumed-queues").about.as_deref()), (1.0, Some("orders")));
        assert_eq!(of("oldest-job").about.as_deref(), Some("queue orders"));
        assert_eq!(reading.remarks.len(), 1);
        assert_eq!(reading.remarks[0].grade, Grade::Critical);
    }
}
