//! Neo4j: Bolt, and what its HTTP port tells (<https://neo4j.com/docs/bolt/current/bolt/>, <https://neo4j.com/docs/http-api/current/endpoints/>).
//!
//! Options: `http` (the port of its HTTP API, 7474 unless told).
//!
//! Never: opens a transaction that writes.

mod bolt;

use super::{http::clause, web};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};
use bolt::Session;

/// Most databases that are named.
const NAMED: usize = 5;

/// Shakes hands in Bolt; with credentials it logs in.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let mut session = Session::open(target).await?;
    if target.password.is_some() {
        session.login().await?;
    }
    session.close().await;
    Ok(())
}

/// Looks at its databases and what runs there; without credentials only at what everyone is told.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut reading = Reading::default();
    let mut session = Session::open(target).await?;
    let (major, minor) = session.version();
    discover(target, &mut reading).await;
    if target.password.is_none() {
        reading.server = reading.server.or_else(|| Some(format!("Neo4j (Bolt {major}.{minor})")));
        reading.remark(
            "databases",
            Grade::Notice,
            "its databases and transactions are only told to a user",
            Some("write check: neo4j://neo4j:PASSWORD@HOST:7687"),
        );
        session.close().await;
        return Ok(reading);
    }
    let agent = session.login().await?;
    reading.server = reading.server.or_else(|| Some(clause(&agent.replacen('/', " ", 1))));
    databases(&mut session, &mut reading).await?;
    transactions(&mut session, &mut reading).await?;
    session.close().await;
    Ok(reading)
}

/// The version by the HTTP port, which may be closed.
async fn discover(target: &Target, reading: &mut Reading) {
    let port = target.options.get("http").map_or(Ok(7474), |text| text.parse());
    let Ok(port) = port else {
        reading.remark("http", Grade::Notice, "the option http of its check is no port", None);
        return;
    };
    let http = Target { port, user: None, password: None, ..target.clone() };
    let asked = tokio::time::timeout(std::time::Duration::from_secs(2), web::json(&http, "/")).await;
    if let Ok(Ok(root)) = asked
        && let Some(version) = root["neo4j_version"].as_str()
    {
        let edition = root["neo4j_edition"].as_str().unwrap_or_default();
        reading.server = Some(clause(&format!("Neo4j {version} {edition}")));
    }
}

async fn databases(session: &mut Session<'_>, reading: &mut Reading) -> Result<(), Trouble> {
    let rows = session.rows("SHOW DATABASES YIELD name, requestedStatus, currentStatus, statusMessage").await?;
    // One row per database and server.
    let mut offline = 0_u32;
    for row in &rows {
        let word = |at: usize| row.get(at).and_then(bolt::Value::as_str).unwrap_or_default();
        let [name, wanted, is, why] = [word(0), word(1), word(2), word(3)];
        if wanted == "online" && is != "online" {
            offline += 1;
            if offline as usize <= NAMED {
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                let sentence = clause(&format!("database {name} is {is} and should be online{why}"));
                reading.remark(
                    "databases",
                    Grade::Critical,
                    sentence,
                    Some("see its debug.log: the store may need recovery, or the disk is full"),
                );
            }
        }
    }
    reading.measure(Measure::new("databases-offline", f64::from(offline)).of(rows.len() as f64));
    Ok(())
}

async fn transactions(session: &mut Session<'_>, reading: &mut Reading) -> Result<(), Trouble> {
    let rows = session
        .rows("SHOW TRANSACTIONS YIELD transactionId, elapsedTime, currentQuery, status RETURN transactionId, elapsedTime.milliseconds, currentQuery, status")
        .await?;
    let others: Vec<_> = rows
        .iter()
        .filter(|row| !row.get(2).and_then(bolt::Value::as_str).unwrap_or_default().starts_with("SHOW TRANSACTIONS"))
        .collect();
    reading.measure(Measure::new("transactions", others.len() as f64));
    let blocked = others
        .iter()
        .filter(|row| row.get(3).and_then(bolt::Value::as_str).is_some_and(|word| word.starts_with("Blocked")))
        .count();
    reading.measure(Measure::new("transactions-blocked", blocked as f64));
    let longest = others.iter().filter_map(|row| Some((row.get(1)?.as_int()?, row))).max_by_key(|(time, _)| *time);
    if let Some((milliseconds, row)) = longest {
        let word = |at: usize| row.get(at).and_then(bolt::Value::as_str).unwrap_or_default();
        let about = clause(&format!("{}: {}", word(0), word(2)));
        reading.measure(Measure::new("longest-transaction", milliseconds as f64 / 1000.0).about(about));
    }
    Ok(())
}
