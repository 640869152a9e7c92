//! What a `MySQL` tells of itself (<https://dev.mysql.com/doc/refman/8.4/en/server-status-variables.html>,
//! <https://mariadb.com/kb/en/server-status-variables/>). Never: a figure that is hidden from us, which is said instead.

use std::collections::BTreeMap;

use super::session::{Row, Session};
use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::kinds::texts::{number_of, said_in, shape},
};

/// Below so many reads their hit share says nothing.
const WORTH_HITS: f64 = 10_000.0;

/// Counters and gauges that are taken as they are.
const PLAIN: [(&str, &str); 11] = [
    ("Threads_running", "threads-running"),
    ("Aborted_connects", "aborted-connects"),
    ("Aborted_clients", "aborted-clients"),
    ("Slow_queries", "slow-queries"),
    ("Questions", "queries"),
    ("Innodb_row_lock_current_waits", "lock-waits"),
    ("Innodb_deadlocks", "deadlocks"),
    ("Innodb_history_list_length", "history-length"),
    ("Innodb_log_waits", "log-waits"),
    ("Connection_errors_max_connections", "rejected-connections"),
    ("Created_tmp_disk_tables", "temp-tables-on-disk"),
];

/// Others that are asked for.
const OTHERS: &str = "'Threads_connected', 'Open_files', 'Innodb_buffer_pool_read_requests', 'Innodb_buffer_pool_reads', \
                      'wsrep_ready', 'wsrep_cluster_status', 'wsrep_cluster_size', 'wsrep_local_state_comment'";

/// Adds all figures of the server.
pub(super) async fn read(session: &mut Session, target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let maria = session.version.contains("MariaDB");
    reading.server = Some(server(&session.version));
    let asked: String = PLAIN.iter().flat_map(|(variable, _)| ["'", variable, "', "]).collect();
    let status = pairs(session, &format!("SHOW GLOBAL STATUS WHERE Variable_name IN ({asked}{OTHERS})")).await?;
    let names = "'max_connections', 'open_files_limit', 'read_only', 'super_read_only', 'offline_mode'";
    let variables = pairs(session, &format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")).await?;
    plain(&status, &variables, reading);
    galera(&status, reading);
    if !status.contains_key("Innodb_deadlocks") {
        metrics(session, reading).await?;
    }
    let sees_all = transactions(session, target, reading).await?;
    if sees_all {
        queries(session, reading).await?;
        blockers(session, maria, reading).await?;
    }
    replica(session, target, maria, reading).await?;
    size(session, target, reading).await
}

fn server(version: &str) -> String {
    let number = version.strip_prefix("5.5.5-").unwrap_or(version);
    let (name, number) = match number.split_once("-MariaDB") {
        Some((number, _)) => ("MariaDB", number),
        None => ("MySQL", number.split('-').next().unwrap_or(number)),
    };
    format!("{name} {number}")
}

async fn pairs(session: &mut Session, sql: &str) -> Result<BTreeMap<String, String>, Trouble> {
    let rows = session.ask(sql).await?.unwrap_or_default();
    Ok(rows.into_iter().filter_map(|mut row| Some((row.remove("Variable_name")?, row.remove("Value")?))).collect())
}

fn text<'a>(row: &'a Row, key: &str) -> &'a str {
    row.get(key).map_or("", String::as_str)
}

fn plain(status: &Row, variables: &Row, reading: &mut Reading) {
    for (used, most, name) in
        [("Threads_connected", "max_connections", "connections"), ("Open_files", "open_files_limit", "open-files")]
    {
        if let (Some(used), Some(most)) = (number_of(status, used), number_of(variables, most)) {
            reading.measure(Measure::new(name, used).of(most));
        }
    }
    for (variable, name) in PLAIN {
        if let Some(value) = number_of(status, variable) {
            reading.measure(Measure::new(name, value));
        }
    }
    let asked = number_of(status, "Innodb_buffer_pool_read_requests").unwrap_or(0.0);
    if let Some(read) = number_of(status, "Innodb_buffer_pool_reads").filter(|_| asked >= WORTH_HITS) {
        reading.measure(Measure::new("cache-hit", (1.0 - read / asked).max(0.0)));
    }
    if text(variables, "read_only") == "ON" || text(variables, "super_read_only") == "ON" {
        reading.remark(
            "role",
            Grade::Notice,
            "it is read only",
            Some("SET GLOBAL read_only = 0 where it is to be written to"),
        );
    }
    if text(variables, "offline_mode") == "ON" {
        let advice = Some("SET GLOBAL offline_mode = OFF");
        reading.remark("role", Grade::Critical, "it is in offline mode and lets in administrators only", advice);
    }
}

/// <https://galeracluster.com/library/documentation/galera-status-variables.html>
fn galera(status: &Row, reading: &mut Reading) {
    let Some(size) = number_of(status, "wsrep_cluster_size").filter(|size| *size > 0.0) else { return };
    reading.measure(Measure::new("cluster-size", size));
    let state = text(status, "wsrep_cluster_status");
    if state != "Primary" {
        let sentence = format!("its part of the cluster has no majority ({}) and serves nothing", said_in(state, 40));
        let advice = Some(
            "bring the other nodes back; only if they are lost for good: SET GLOBAL wsrep_provider_options='pc.bootstrap=YES'",
        );
        reading.remark("cluster", Grade::Critical, sentence, advice);
    } else if text(status, "wsrep_ready") != "ON" {
        let sentence = format!(
            "the cluster does not let it serve yet ({})",
            said_in(text(status, "wsrep_local_state_comment"), 40)
        );
        reading.remark(
            "cluster",
            Grade::Critical,
            sentence,
            Some("it copies from another node: wait, and see its log"),
        );
    }
}

/// Where no status variable tells (`MySQL`).
async fn metrics(session: &mut Session, reading: &mut Reading) -> Result<(), Trouble> {
    let sql = "SELECT name AS name, count AS count FROM information_schema.innodb_metrics \
               WHERE name IN ('lock_deadlocks', 'trx_rseg_history_len') AND status = 'enabled'";
    for row in session.ask(sql).await?.unwrap_or_default() {
        let name = if text(&row, "name") == "lock_deadlocks" { "deadlocks" } else { "history-length" };
        if let Some(count) = number_of(&row, "count") {
            reading.measure(Measure::new(name, count));
        }
    }
    Ok(())
}

/// The longest transaction. True where we may see those of others.
async fn transactions(session: &mut Session, target: &Target, reading: &mut Reading) -> Result<bool, Trouble> {
    let sql = "SELECT (SELECT COUNT(*) FROM information_schema.innodb_trx) AS n, t.trx_mysql_thread_id AS id, \
               TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS seconds, COALESCE(t.trx_query, p.command) AS query, p.user AS user \
               FROM information_schema.innodb_trx t LEFT JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
               ORDER BY t.trx_started LIMIT 1";
    let rows = match session.ask(sql).await? {
        Ok(rows) => rows,
        Err(fault) => {
            let grant = format!("GRANT PROCESS ON *.* TO {}", said_in(target.user.as_deref().unwrap_or("root"), 60));
            let sentence = format!("transactions, queries and locks of others are hidden from us: {}", fault.words);
            reading.remark("privileges", Grade::Notice, sentence, Some(&grant));
            return Ok(false);
        }
    };
    let Some(row) = rows.first() else {
        reading.measure(Measure::new("transactions", 0.0));
        reading.measure(Measure::new("longest-transaction", 0.0));
        return Ok(true);
    };
    reading.measure(Measure::new("transactions", number_of(row, "n").unwrap_or(0.0)));
    let seconds = number_of(row, "seconds").unwrap_or(0.0).max(0.0);
    let who = format!("connection {} of {}", said_in(text(row, "id"), 20), said_in(text(row, "user"), 40));
    let about = format!("{who}, since {seconds:.0} s: {}", shape(text(row, "query")));
    reading.measure(Measure::new("longest-transaction", seconds).about(about));
    Ok(true)
}

async fn queries(session: &mut Session, reading: &mut Reading) -> Result<(), Trouble> {
    let sql = "SELECT id AS id, user AS user, time AS seconds, LEFT(info, 400) AS query FROM information_schema.processlist \
               WHERE command IN ('Query', 'Execute') AND id <> CONNECTION_ID() ORDER BY time DESC LIMIT 1";
    let rows = session.ask(sql).await?.unwrap_or_default();
    let Some(row) = rows.first() else {
        reading.measure(Measure::new("longest-query", 0.0));
        return Ok(());
    };
    let who = format!("connection {} of {}", said_in(text(row, "id"), 20), said_in(text(row, "user"), 40));
    let about = format!("{who}: {}", shape(text(row, "query")));
    reading.measure(Measure::new("longest-query", number_of(row, "seconds").unwrap_or(0.0)).about(about));
    Ok(())
}

/// Who waits longest for a lock, and for whom: in `MariaDB` by `information_schema.innodb_lock_waits`, in `MySQL` by `sys.innodb_lock_waits`.
async fn blockers(session: &mut Session, maria: bool, reading: &mut Reading) -> Result<(), Trouble> {
    let sql = if maria {
        "SELECT TIMESTAMPDIFF(SECOND, r.trx_wait_started, NOW()) AS seconds, r.trx_mysql_thread_id AS waiter, \
         b.trx_mysql_thread_id AS blocker, LEFT(r.trx_query, 400) AS query FROM information_schema.innodb_lock_waits w \
         JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id \
         JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id ORDER BY 1 DESC LIMIT 1"
    } else {
        "SELECT wait_age_secs AS seconds, waiting_pid AS waiter, blocking_pid AS blocker, LEFT(waiting_query, 400) AS query \
         FROM sys.innodb_lock_waits ORDER BY wait_age_secs DESC LIMIT 1"
    };
    let Ok(rows) = session.ask(sql).await? else { return Ok(()) };
    let Some(row) = rows.first() else {
        reading.measure(Measure::new("longest-lock-wait", 0.0));
        return Ok(());
    };
    let about = format!(
        "connection {} waits for connection {}: {}",
        said_in(text(row, "waiter"), 20),
        said_in(text(row, "blocker"), 20),
        shape(text(row, "query"))
    );
    reading.measure(Measure::new("longest-lock-wait", number_of(row, "seconds").unwrap_or(0.0).max(0.0)).about(about));
    Ok(())
}

/// `SHOW REPLICA STATUS` (<https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html>), whose older servers say `SLAVE`.
async fn replica(session: &mut Session, target: &Target, maria: bool, reading: &mut Reading) -> Result<(), Trouble> {
    let mut answer = session.ask("SHOW REPLICA STATUS").await?;
    if answer.as_ref().is_err_and(|fault| fault.code == 1064) {
        answer = session.ask("SHOW SLAVE STATUS").await?;
    }
    let rows = match answer {
        Ok(rows) => rows,
        Err(fault) => {
            let privilege = if maria { "SLAVE MONITOR" } else { "REPLICATION CLIENT" };
            let grant =
                format!("GRANT {privilege} ON *.* TO {}", said_in(target.user.as_deref().unwrap_or("root"), 60));
            let sentence = format!("whether it is a replica cannot be seen: {}", fault.words);
            reading.remark("replication", Grade::Notice, sentence, Some(&grant));
            return Ok(());
        }
    };
    let Some(row) = rows.first() else { return Ok(()) };
    let of = |new: &str, old: &str| row.get(new).or_else(|| row.get(old)).map_or("", String::as_str);
    let source = said_in(of("Source_Host", "Master_Host"), 60);
    for (what, running, error) in [
        ("receive", of("Replica_IO_Running", "Slave_IO_Running"), of("Last_IO_Error", "Last_IO_Error")),
        ("apply", of("Replica_SQL_Running", "Slave_SQL_Running"), of("Last_SQL_Error", "Last_SQL_Error")),
    ] {
        if running != "Yes" {
            let why = if error.is_empty() { String::new() } else { format!(": {}", said_in(error, 160)) };
            let sentence = format!("it is a replica of {source} and does not {what} changes{why}");
            reading.remark("replication", Grade::Critical, sentence, Some("mend the cause, then START REPLICA"));
        }
    }
    let behind = of("Seconds_Behind_Source", "Seconds_Behind_Master");
    if let Some(lag) = crate::world::kinds::texts::number(behind) {
        reading.measure(Measure::new("replication-lag", lag).about(format!("behind {source}")));
    }
    Ok(())
}

async fn size(session: &mut Session, target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let database = target.path.trim_matches('/');
    if database.is_empty() {
        return Ok(());
    }
    let sql = "SELECT SUM(data_length + index_length) AS bytes FROM information_schema.tables WHERE table_schema = DATABASE()";
    let rows = session.ask(sql).await?.unwrap_or_default();
    if let Some(bytes) = rows.first().and_then(|row| number_of(row, "bytes")) {
        reading.measure(Measure::new("database-size", bytes).about(said_in(database, 64)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn both_servers_are_called_by_name_and_version() {
        assert_eq!(server("8.0.36-0ubuntu0.22.04.1"), "MySQL 8.0.36");
        assert_eq!(server("5.5.5-10.11.6-MariaDB-0+deb12u1"), "MariaDB 10.11.6");
        assert_eq!(server("11.4.2-MariaDB-ubu2404"), "MariaDB 11.4.2");
    }
}
