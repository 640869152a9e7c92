//! What `serverStatus` (<https://www.mongodb.com/docs/manual/reference/command/serverStatus/>) and `replSetGetStatus`
//! (<https://www.mongodb.com/docs/manual/reference/command/replSetGetStatus/>) tell. Never: a figure that the server did not give.

use serde_json::Value;

use super::{Session, bson::Item};
use crate::{
    model::exam::{Grade, Measure, Reading, Trouble},
    world::kinds::texts::{said, said_in},
};

/// Adds all figures.
pub(super) async fn read(session: &mut Session, hello: &Value, reading: &mut Reading) -> Result<(), Trouble> {
    match session.ask("admin", &[("serverStatus", Item::Int(1))]).await? {
        Ok(status) => server(&status, reading),
        Err(fault) if fault.code == 13 && session.target.user.is_some() => denied(session, &fault.words, reading),
        Err(fault) => return Err(session.trouble(&fault)),
    }
    let mongos = hello.get("msg").and_then(Value::as_str) == Some("isdbgrid");
    if mongos {
        return Ok(());
    }
    match session.ask("admin", &[("replSetGetStatus", Item::Int(1))]).await? {
        Ok(status) => replica_set(&status, reading),
        // It is no member of a replica set.
        Err(fault) if fault.code == 76 => {}
        Err(fault) if fault.code == 94 => {
            let advice = Some("rs.initiate() makes a replica set of it");
            reading.remark(
                "replica-set",
                Grade::Critical,
                format!("it has no replica set yet: {}", fault.words),
                advice,
            );
        }
        Err(fault) if fault.code == 13 => denied(session, &fault.words, reading),
        Err(fault) => return Err(session.trouble(&fault)),
    }
    Ok(())
}

fn denied(session: &Session, words: &str, reading: &mut Reading) {
    if reading.remarks.iter().any(|remark| remark.check == "privileges") {
        return;
    }
    let user = said_in(session.target.user.as_deref().unwrap_or_default(), 60);
    let advice = format!("db.getSiblingDB('admin').grantRolesToUser('{user}', ['clusterMonitor'])");
    reading.remark("privileges", Grade::Notice, format!("its figures are hidden from us: {words}"), Some(&advice));
}

/// The number at a path: `connections.current`. Names in `wiredTiger` have spaces, never points.
fn at(value: &Value, path: &str) -> Option<f64> {
    path.split('.').try_fold(value, |value, key| value.get(key)).and_then(Value::as_f64)
}

fn server(status: &Value, reading: &mut Reading) {
    let version = status.get("version").and_then(Value::as_str).unwrap_or_default();
    reading.server = Some(format!("MongoDB {}", said_in(version, 40)));
    if let (Some(current), Some(available)) = (at(status, "connections.current"), at(status, "connections.available")) {
        reading.measure(Measure::new("connections", current).of(current + available));
    }
    let most = at(status, "wiredTiger.cache.maximum bytes configured").filter(|most| *most > 0.0);
    for (path, name) in [
        ("wiredTiger.cache.bytes currently in the cache", "cache"),
        ("wiredTiger.cache.tracked dirty bytes in the cache", "cache-dirty"),
    ] {
        if let (Some(used), Some(most)) = (at(status, path), most) {
            reading.measure(Measure::new(name, used).of(most));
        }
    }
    for (path, name) in [
        ("connections.rejected", "rejected-connections"),
        ("globalLock.currentQueue.total", "lock-queue"),
        ("globalLock.activeClients.total", "active-clients"),
        ("metrics.cursor.timedOut", "cursors-timed-out"),
        ("metrics.cursor.open.total", "cursors-open"),
        ("asserts.user", "user-errors"),
        ("network.numRequests", "requests"),
        ("transactions.currentOpen", "transactions"),
    ] {
        if let Some(value) = at(status, path) {
            reading.measure(Measure::new(name, value));
        }
    }
    let asserts: Vec<f64> = ["asserts.regular", "asserts.msg"].iter().filter_map(|path| at(status, path)).collect();
    if !asserts.is_empty() {
        reading.measure(Measure::new("asserts", asserts.iter().sum()));
    }
    if let Some(megabytes) = at(status, "mem.resident") {
        reading.measure(Measure::new("memory", megabytes * 1024.0 * 1024.0));
    }
    // Since 7.0 they are called queues.
    for side in ["read", "write"] {
        let name = if side == "read" { "read-tickets" } else { "write-tickets" };
        let find = |what: &str| {
            at(status, &format!("queues.execution.{side}.{what}"))
                .or_else(|| at(status, &format!("wiredTiger.concurrentTransactions.{side}.{what}")))
        };
        if let (Some(out), Some(total)) = (find("out"), find("totalTickets").filter(|total| *total > 0.0)) {
            reading.measure(Measure::new(name, out).of(total));
        }
    }
}

fn replica_set(status: &Value, reading: &mut Reading) {
    let members = status.get("members").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |member: &Value, key: &str| said_in(member.get(key).and_then(Value::as_str).unwrap_or_default(), 80);
    let moment = |member: &Value| at(member, "optimeDate").map(|millis| millis / 1000.0);
    let mut down = 0.0;
    for member in members {
        if at(member, "health") == Some(0.0) {
            down += 1.0;
            let why = said(member.get("lastHeartbeatMessage").and_then(Value::as_str).unwrap_or_default());
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            let sentence = format!("member {} of its replica set is not reachable{why}", text(member, "name"));
            reading.remark(
                "member",
                Grade::Warning,
                sentence,
                Some("see whether it runs, and the network between them"),
            );
        }
        let own = member.get("self").and_then(Value::as_bool) == Some(true);
        let state = at(member, "state").unwrap_or(0.0);
        // 1 primary, 2 secondary, 7 arbiter: https://www.mongodb.com/docs/manual/reference/replica-states/
        if own && ![1.0, 2.0, 7.0].contains(&state) {
            let sentence = format!("it is in state {} and serves nobody", text(member, "stateStr"));
            reading.remark(
                "replica-set",
                Grade::Critical,
                sentence,
                Some("it copies, recovers or rolls back: wait, and see its log"),
            );
        }
    }
    reading.measure(Measure::new("members-down", down).of(members.len() as f64));
    let Some(primary) = members.iter().find(|member| at(member, "state") == Some(1.0)) else {
        let advice = Some("without a majority of members none is chosen: bring the others back");
        reading.remark("primary", Grade::Critical, "its replica set has no primary: nothing can be written", advice);
        return;
    };
    let lags = members
        .iter()
        .filter(|member| at(member, "state") == Some(2.0))
        .filter_map(|member| Some(((moment(primary)? - moment(member)?).max(0.0), text(member, "name"))));
    if let Some((lag, name)) = lags.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        reading.measure(Measure::new("replication-lag", lag).about(format!("secondary {name}")));
    }
}
