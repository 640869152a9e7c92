//! What `INFO` (<https://redis.io/docs/latest/commands/info/>) and three other commands tell of a Redis. Never: a figure that the server did not give.

use std::collections::BTreeMap;

use super::resp::{Reply, Resp};
use crate::{
    model::exam::{Grade, Measure, Reading, Trouble},
    world::kinds::texts::{number_of, said, said_in},
};

/// Below so many bytes fragmentation says nothing.
const WORTH_FRAGMENTS: f64 = 64.0 * 1024.0 * 1024.0;
/// Below so many look-ups their hit share says nothing.
const WORTH_HITS: f64 = 1000.0;

type Info = BTreeMap<String, String>;

/// Adds all figures of the server itself.
pub(super) async fn read(resp: &mut Resp, info: &Info, reading: &mut Reading) -> Result<(), Trouble> {
    memory(info, reading);
    clients(resp, info, reading).await?;
    persistence(resp, info, reading).await?;
    replication(info, reading);
    traffic(info, reading);
    slow_log(resp, reading).await?;
    cluster(resp, info, reading).await
}

fn is(info: &Info, key: &str, value: &str) -> bool {
    info.get(key).is_some_and(|found| found == value)
}

fn text<'a>(info: &'a Info, key: &str) -> &'a str {
    info.get(key).map_or("", String::as_str)
}

fn memory(info: &Info, reading: &mut Reading) {
    let Some(used) = number_of(info, "used_memory") else { return };
    let policy = text(info, "maxmemory_policy");
    if let Some(most) = number_of(info, "maxmemory").filter(|most| *most > 0.0) {
        reading
            .measure(Measure::new("memory", used).of(most).about(format!("maxmemory-policy {}", said_in(policy, 40))));
        if policy == "noeviction" && used / most >= 0.95 {
            let sentence = format!(
                "{:.0} % of maxmemory is in use and nothing is evicted (noeviction): writes fail soon",
                used / most * 100.0
            );
            reading.remark("writes", Grade::Warning, sentence, Some("raise maxmemory, or delete what is not needed"));
        }
    } else {
        reading.measure(Measure::new("memory", used));
        if let Some(machine) = number_of(info, "total_system_memory").filter(|bytes| *bytes > 0.0) {
            let resident = number_of(info, "used_memory_rss").unwrap_or(used);
            reading.measure(Measure::new("memory-of-machine", resident).of(machine));
        }
        reading.remark(
            "maxmemory",
            Grade::Notice,
            "maxmemory is not set: it grows until the system ends it",
            Some("set maxmemory below what its machine or container has, and a maxmemory-policy"),
        );
    }
    if used < WORTH_FRAGMENTS {
        return;
    }
    if let Some(ratio) = number_of(info, "mem_fragmentation_ratio") {
        reading.measure(Measure::new("fragmentation", ratio));
        if ratio < 0.8 {
            let sentence =
                format!("only {:.0} % of its data is in memory: the system has swapped it out", ratio * 100.0);
            reading.remark(
                "swap",
                Grade::Warning,
                sentence,
                Some("give the machine more memory, or Redis a maxmemory"),
            );
        }
    }
}

async fn clients(resp: &mut Resp, info: &Info, reading: &mut Reading) -> Result<(), Trouble> {
    if let Some(connected) = number_of(info, "connected_clients") {
        let most = match number_of(info, "maxclients") {
            Some(most) => Some(most),
            None => resp.ask(&["CONFIG", "GET", "maxclients"]).await?.field("maxclients").and_then(Reply::number),
        };
        let measure = Measure::new("connections", connected);
        reading.measure(match most {
            Some(most) => measure.of(most),
            None => measure,
        });
    }
    for (key, name) in [
        ("blocked_clients", "blocked-clients"),
        ("rejected_connections", "rejected-connections"),
        ("total_error_replies", "errors"),
    ] {
        if let Some(value) = number_of(info, key) {
            reading.measure(Measure::new(name, value));
        }
    }
    Ok(())
}

async fn persistence(resp: &mut Resp, info: &Info, reading: &mut Reading) -> Result<(), Trouble> {
    if is(info, "rdb_last_bgsave_status", "err") {
        reading.remark(
            "snapshot",
            Grade::Critical,
            "its last snapshot (BGSAVE) failed; unless stop-writes-on-bgsave-error is off, it takes no writes",
            Some("see its log: usually its disk is full, its directory is not writable, or fork found no memory"),
        );
    }
    if is(info, "aof_enabled", "1") {
        if is(info, "aof_last_write_status", "err") {
            let advice = Some("make room on its disk; it goes on by itself");
            reading.remark("append-only-file", Grade::Critical, "it cannot write its append-only file", advice);
        }
        if is(info, "aof_last_bgrewrite_status", "err") {
            let advice = Some("see its log; the file grows until a rewrite succeeds");
            reading.remark(
                "append-only-rewrite",
                Grade::Warning,
                "the last rewrite of its append-only file failed",
                advice,
            );
        }
    }
    let changes = number_of(info, "rdb_changes_since_last_save");
    let saved = number_of(info, "rdb_last_save_time");
    let save = resp.ask(&["CONFIG", "GET", "save"]).await?;
    let snapshots = save.field("save").and_then(Reply::text).is_some_and(|plan| !plan.is_empty());
    if let (Some(changes), Some(saved), true) = (changes, saved, snapshots) {
        reading.measure(Measure::new("unsaved-changes", changes));
        let now = resp.ask(&["TIME"]).await?.list().first().and_then(Reply::number);
        if let Some(now) = now {
            let age = if changes > 0.0 { (now - saved).max(0.0) } else { 0.0 };
            reading.measure(Measure::new("unsaved-age", age));
        }
    }
    if let Some(fork) = number_of(info, "latest_fork_usec") {
        reading.measure(Measure::new("fork-time", fork / 1e6));
    }
    Ok(())
}

fn replication(info: &Info, reading: &mut Reading) {
    if is(info, "role", "slave") {
        let master = said_in(&format!("{}:{}", text(info, "master_host"), text(info, "master_port")), 80);
        if is(info, "master_link_status", "up") {
            let lag = number_of(info, "master_last_io_seconds_ago").unwrap_or(0.0).max(0.0);
            reading.measure(Measure::new("replication-lag", lag).about(format!("last heard of master {master}")));
        } else {
            let since = number_of(info, "master_link_down_since_seconds").filter(|seconds| *seconds >= 0.0);
            let since = since.map_or_else(String::new, |seconds| format!(" since {seconds:.0} s"));
            reading.remark(
                "replication",
                Grade::Critical,
                format!("it is a replica and has no link to its master {master}{since}"),
                Some("see whether the master runs, and masterauth/masteruser; what it serves is old"),
            );
        }
        return;
    }
    let Some(offset) = number_of(info, "master_repl_offset") else { return };
    if let Some(replicas) = number_of(info, "connected_slaves") {
        reading.measure(Measure::new("replicas", replicas));
    }
    // slave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=0
    let lines = info.iter().filter(|(key, _)| {
        key.strip_prefix("slave").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let mut worst: Option<(f64, f64, String)> = None;
    for (_, line) in lines {
        let parts: Info = line
            .split(',')
            .filter_map(|part| part.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let behind = (offset - number_of(&parts, "offset").unwrap_or(offset)).max(0.0);
        let lag = number_of(&parts, "lag").unwrap_or(0.0).max(0.0);
        if worst.as_ref().is_none_or(|(most, ..)| behind >= *most) {
            let who =
                said_in(&format!("{}:{} ({})", text(&parts, "ip"), text(&parts, "port"), text(&parts, "state")), 80);
            worst = Some((behind, lag, who));
        }
    }
    if let Some((behind, lag, who)) = worst {
        reading.measure(Measure::new("replica-behind", behind).about(format!("replica {who}")));
        reading.measure(Measure::new("replica-lag", lag).about(format!("replica {who}")));
    }
}

fn traffic(info: &Info, reading: &mut Reading) {
    for (key, name) in
        [("evicted_keys", "evictions"), ("expired_keys", "expired"), ("total_commands_processed", "commands")]
    {
        if let Some(value) = number_of(info, key) {
            reading.measure(Measure::new(name, value));
        }
    }
    if let (Some(hits), Some(misses)) = (number_of(info, "keyspace_hits"), number_of(info, "keyspace_misses"))
        && hits + misses >= WORTH_HITS
    {
        reading.measure(Measure::new("hit-share", hits / (hits + misses)));
    }
    // db0:keys=1,expires=0,avg_ttl=0
    let keys = info.iter().filter(|(key, _)| {
        key.strip_prefix("db").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let keys = keys.filter_map(|(_, line)| {
        line.split(',').find_map(|part| part.strip_prefix("keys=")).and_then(crate::world::kinds::texts::number)
    });
    reading.measure(Measure::new("keys", keys.sum()));
}

/// Its entries are numbered from the start on (<https://redis.io/docs/latest/commands/slowlog-get/>): the number of the last one counts all.
async fn slow_log(resp: &mut Resp, reading: &mut Reading) -> Result<(), Trouble> {
    let reply = resp.ask(&["SLOWLOG", "GET", "1"]).await?;
    if matches!(reply, Reply::Error(_)) {
        return Ok(());
    }
    let Some(entry) = reply.list().first() else {
        reading.measure(Measure::new("slow-commands", 0.0));
        return Ok(());
    };
    let parts = entry.list();
    let (Some(number), Some(micros)) = (parts.first().and_then(Reply::number), parts.get(2).and_then(Reply::number))
    else {
        return Ok(());
    };
    // The command and its key, not the values.
    let command = parts.get(3).map(Reply::texts).unwrap_or_default();
    let command = said_in(&command.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" "), 80);
    reading.measure(
        Measure::new("slow-commands", number + 1.0)
            .about(format!("the last took {:.0} ms: {command}", micros / 1000.0)),
    );
    Ok(())
}

async fn cluster(resp: &mut Resp, info: &Info, reading: &mut Reading) -> Result<(), Trouble> {
    if !is(info, "cluster_enabled", "1") {
        return Ok(());
    }
    let Reply::Text(answer) = resp.ask(&["CLUSTER", "INFO"]).await? else { return Ok(()) };
    let cluster = super::parse(&answer);
    let state = text(&cluster, "cluster_state");
    if !state.is_empty() && state != "ok" {
        let assigned = number_of(&cluster, "cluster_slots_assigned").unwrap_or(0.0);
        let sentence = format!("its cluster is {}: {assigned:.0} of 16384 slots are assigned", said(state));
        reading.remark(
            "cluster",
            Grade::Critical,
            sentence,
            Some("redis-cli --cluster check tells which node or slot is missing"),
        );
    }
    if let Some(failed) = number_of(&cluster, "cluster_slots_fail") {
        reading.measure(Measure::new("cluster-slots-failed", failed));
    }
    Ok(())
}
