//! `ClickHouse`, asked over its HTTP interface (<https://clickhouse.com/docs/interfaces/http>), by GET, which it takes as read only.
//!
//! `ready`: `/ping`, and `SELECT 1` where a user or a password is given. `look`: `/replicas_status` and tables of `system`.
//!
//! Never: a statement that writes.

use super::{
    texts::{number, said, said_in, shape},
    web,
    words::encoded,
};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

/// An error of the server: its number and its words.
struct Fault {
    code: u32,
    words: String,
}

type Rows = Vec<Vec<String>>;

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    ping(target).await?;
    if target.user.is_some() || target.password.is_some() {
        ask(target, "SELECT 1").await?.map_err(|fault| trouble(&fault, target))?;
    }
    Ok(())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let begun = tokio::time::Instant::now();
    ping(target).await?;
    let mut reading = Reading::default();
    reading.measure(Measure::new("latency", begun.elapsed().as_secs_f64()));
    let version = ask(target, "SELECT version()").await?.map_err(|fault| trouble(&fault, target))?;
    reading.server = Some(format!("ClickHouse {}", said_in(&cell(&version, 0, 0), 40)));
    metrics(target, &mut reading).await?;
    queries(target, &mut reading).await?;
    parts(target, &mut reading).await?;
    mutations(target, &mut reading).await?;
    replicas(target, &mut reading).await?;
    disks(target, &mut reading).await?;
    Ok(reading)
}

async fn ping(target: &Target) -> Result<(), Trouble> {
    let open = Target { user: None, password: None, ..target.clone() };
    let answer = web::get(&open, "/ping").await?;
    if answer.text().trim() == "Ok." && answer.status.is_success() {
        return Ok(());
    }
    web::accepted(&answer, target, "/ping")?;
    Err(Trouble::Foreign(format!("{} answers, but not as ClickHouse does", target.place())))
}

/// Asks one question.
///
/// # Errors
/// Only where there is no answer; an error of the server is one.
async fn ask(target: &Target, sql: &str) -> Result<Result<Rows, Fault>, Trouble> {
    let user = target.user.clone().unwrap_or_else(|| "default".to_owned());
    let asker = Target { user: Some(user), ..target.clone() };
    let database = match target.path.trim_matches('/') {
        "" => String::new(),
        name => format!("database={}&", encoded(name)),
    };
    let path = format!("/?{database}query={}", encoded(&format!("{sql} FORMAT TabSeparated")));
    let answer = web::get(&asker, &path).await?;
    let body = answer.text();
    if answer.status.is_success() {
        let rows = body.lines().map(|line| line.split('\t').map(unescaped).collect());
        return Ok(Ok(rows.collect()));
    }
    // "Code: 516. DB::Exception: …" (earlier "Code: 516, e.displayText() = …").
    let code = body
        .trim()
        .strip_prefix("Code: ")
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    if let Some(code) = code.and_then(|code| code.parse().ok()) {
        Ok(Err(Fault { code, words: said(&body) }))
    } else {
        web::accepted(&answer, target, "/?query")?;
        Err(Trouble::Foreign(format!("{} answers, but not as ClickHouse does", target.place())))
    }
}

/// A value of `TabSeparated` (<https://clickhouse.com/docs/interfaces/formats/TabSeparated>) without its backslashes.
fn unescaped(value: &str) -> String {
    let mut out = String::new();
    let mut signs = value.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => out.extend(signs.next().map(|escaped| match escaped {
                'n' | 't' | 'r' | 'b' | 'f' | '0' => ' ',
                other => other,
            })),
            other => out.push(other),
        }
    }
    out
}

/// What an error means (<https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>).
fn trouble(fault: &Fault, target: &Target) -> Trouble {
    let (place, words) = (target.place(), &fault.words);
    match fault.code {
        194 | 516 if target.password.is_none() => Trouble::Refused(format!(
            "{place} wants a password and got none: write check: clickhouse://USER:PASSWORD@{place}: {words}"
        )),
        192..=195 | 497 | 516 => Trouble::Refused(format!("{place} does not let us in: {words}")),
        202 => Trouble::Busy(format!("{place} runs too many queries: {words}")),
        81 => Trouble::Refused(format!("{place} has no such database: {words}")),
        code => Trouble::Unready(format!("{place} cannot answer: {words} (code {code})")),
    }
}

fn cell(rows: &Rows, row: usize, column: usize) -> String {
    rows.get(row).and_then(|row| row.get(column)).cloned().unwrap_or_default()
}

/// Rows of what may not be permitted (which is said), or not be there in this version (which is not).
async fn rows(target: &Target, check: &str, sql: &str, reading: &mut Reading) -> Result<Rows, Trouble> {
    match ask(target, sql).await? {
        Ok(rows) => Ok(rows),
        // 46, 47, 60: a function, a column, a table that this version has not.
        Err(fault) if [46, 47, 60].contains(&fault.code) => Ok(Rows::new()),
        Err(fault) => {
            let user = said_in(target.user.as_deref().unwrap_or("default"), 60);
            let advice = format!("GRANT SELECT ON system.* TO {user}");
            reading.remark(check, Grade::Notice, format!("{check} cannot be read: {}", fault.words), Some(&advice));
            Ok(Rows::new())
        }
    }
}

async fn metrics(target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let sql = "SELECT metric, toFloat64(value) FROM system.metrics WHERE metric IN ('Query', 'Merge', 'TCPConnection', 'HTTPConnection', \
               'MemoryTracking', 'DelayedInserts') UNION ALL \
               SELECT event, toFloat64(value) FROM system.events WHERE event IN ('FailedQuery', 'RejectedInserts', 'DelayedInserts') UNION ALL \
               SELECT metric, toFloat64(value) FROM system.asynchronous_metrics WHERE metric IN ('Uptime', 'MemoryResident', 'OSMemoryTotal')";
    let rows = rows(target, "metrics", sql, reading).await?;
    let of = |name: &str| {
        rows.iter().find(|row| row.first().is_some_and(|key| key == name)).and_then(|row| number(row.get(1)?))
    };
    for (metric, name) in [
        ("Query", "queries-running"),
        ("Merge", "merges"),
        ("FailedQuery", "failed-queries"),
        ("RejectedInserts", "rejected-inserts"),
        ("DelayedInserts", "delayed-inserts"),
    ] {
        if let Some(value) = of(metric) {
            reading.measure(Measure::new(name, value));
        }
    }
    if let (Some(tcp), Some(http)) = (of("TCPConnection"), of("HTTPConnection")) {
        reading.measure(Measure::new("connections", tcp + http));
    }
    match (of("MemoryResident"), of("OSMemoryTotal").filter(|total| *total > 0.0)) {
        (Some(used), Some(total)) => reading.measure(Measure::new("memory", used).of(total)),
        _ => {
            if let Some(used) = of("MemoryTracking") {
                reading.measure(Measure::new("memory", used.max(0.0)));
            }
        }
    }
    Ok(())
}

async fn queries(target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    // Our own question is one of them.
    let sql = "SELECT elapsed, user, substring(query, 1, 400) FROM system.processes WHERE query NOT LIKE '%system.processes%' \
               ORDER BY elapsed DESC LIMIT 1";
    let rows = rows(target, "queries", sql, reading).await?;
    let measure = Measure::new("longest-query", number(&cell(&rows, 0, 0)).unwrap_or(0.0));
    reading.measure(if rows.is_empty() {
        measure
    } else {
        measure.about(format!("of {}: {}", said_in(&cell(&rows, 0, 1), 40), shape(&cell(&rows, 0, 2))))
    });
    Ok(())
}

async fn parts(target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let sql = "SELECT value FROM system.merge_tree_settings WHERE name = 'parts_to_throw_insert'";
    let most = number(&cell(&rows(target, "parts", sql, reading).await?, 0, 0));
    let sql = "SELECT database, table, partition, count() AS n FROM system.parts WHERE active GROUP BY database, table, partition \
               ORDER BY n DESC LIMIT 1";
    let found = rows(target, "parts", sql, reading).await?;
    let measure = Measure::new("parts", number(&cell(&found, 0, 3)).unwrap_or(0.0));
    let measure = match most.filter(|most| *most > 0.0) {
        Some(most) => measure.of(most),
        None => measure,
    };
    reading.measure(if found.is_empty() {
        measure
    } else {
        let [database, table, partition] = [0, 1, 2].map(|column| said_in(&cell(&found, 0, column), 60));
        measure.about(format!("{database}.{table}, partition {partition}"))
    });
    Ok(())
}

async fn mutations(target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let sql = "SELECT count(), toUnixTimestamp(now()) - toUnixTimestamp(min(create_time)) FROM system.mutations WHERE NOT is_done";
    let found = rows(target, "mutations", sql, reading).await?;
    if let Some(count) = number(&cell(&found, 0, 0)) {
        let age = number(&cell(&found, 0, 1)).filter(|_| count > 0.0).unwrap_or(0.0);
        reading.measure(Measure::new("mutations", count));
        reading.measure(Measure::new("oldest-mutation", age.max(0.0)));
    }
    let sql = "SELECT database, table, latest_fail_reason FROM system.mutations WHERE NOT is_done AND latest_fail_reason != '' LIMIT 1";
    let failed = rows(target, "mutations", sql, reading).await?;
    if !failed.is_empty() {
        let [database, table, why] = [0, 1, 2].map(|column| said_in(&cell(&failed, 0, column), 120));
        let sentence = format!("a mutation of {database}.{table} fails again and again: {why}");
        reading.remark("mutation", Grade::Warning, sentence, Some("KILL MUTATION, or mend the cause"));
    }
    Ok(())
}

async fn replicas(target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let sql = "SELECT count(), sum(is_readonly), max(absolute_delay), sum(queue_size), argMax(concat(database, '.', table), absolute_delay), \
               anyIf(concat(database, '.', table), is_readonly = 1) FROM system.replicas";
    let found = rows(target, "replicas", sql, reading).await?;
    let of = |column| number(&cell(&found, 0, column)).unwrap_or(0.0);
    if of(0) > 0.0 {
        let table = said_in(&cell(&found, 0, 4), 80);
        reading.measure(Measure::new("replication-lag", of(2)).about(format!("table {table}")));
        reading.measure(Measure::new("replication-queue", of(3)));
        if of(1) > 0.0 {
            let sentence =
                format!("{:.0} replicated tables are read only ({} …)", of(1), said_in(&cell(&found, 0, 5), 80));
            let advice = Some(
                "its ZooKeeper or Keeper is away, or has lost them: see system.zookeeper, then SYSTEM RESTORE REPLICA",
            );
            reading.remark("replicas", Grade::Critical, sentence, advice);
        }
    }
    // Everybody may ask; 503 where a replica is far behind.
    let open = Target { user: None, password: None, ..target.clone() };
    let status = web::get(&open, "/replicas_status").await?;
    if status.status.as_u16() == 503 {
        let sentence = format!("a replica is behind: {}", said(&status.text()));
        reading.remark(
            "replication",
            Grade::Warning,
            sentence,
            Some("see system.replication_queue for what holds it up"),
        );
    }
    Ok(())
}

async fn disks(target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let sql = "SELECT name, total_space - free_space AS used, total_space FROM system.disks WHERE total_space > 0 \
               ORDER BY used / total_space DESC LIMIT 1";
    let found = rows(target, "disks", sql, reading).await?;
    if let (Some(used), Some(total)) = (number(&cell(&found, 0, 1)), number(&cell(&found, 0, 2))) {
        reading
            .measure(Measure::new("disk", used).of(total).about(format!("disk {}", said_in(&cell(&found, 0, 0), 60))));
    }
    Ok(())
}
