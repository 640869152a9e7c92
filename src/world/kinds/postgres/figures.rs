//! What the catalogue views of a `PostgreSQL` tell (<https://www.postgresql.org/docs/current/monitoring-stats.html>). Never: a figure that is hidden from us,
//! which is said instead.

use tokio_postgres::SimpleQueryRow;

use super::session::{Asked, Session, number, text};
use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::kinds::texts::{said_in, shape},
};

/// Transactions that can be told apart; the server stops taking writes three million before (<https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND>).
const TRANSACTION_IDS: f64 = 2_147_483_648.0;
/// Below so many blocks the share of hits says nothing.
const WORTH_HITS: f64 = 10_000.0;

/// Who answers.
struct Server {
    /// 150018: 15.18.
    version: f64,
    standby: bool,
    /// Whether sessions of others are shown to us.
    sees_all: bool,
}

/// A look under way.
struct Tour<'a> {
    session: &'a Session,
    target: &'a Target,
    reading: &'a mut Reading,
}

/// Adds all figures of the server.
pub(super) async fn read(session: &Session, target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let mut tour = Tour { session, target, reading };
    let Some(server) = tour.server().await? else { return Ok(()) };
    tour.connections(&server).await?;
    tour.sessions(&server).await?;
    tour.locks(&server).await?;
    if server.standby {
        tour.standby().await?;
    } else {
        tour.replicas().await?;
    }
    tour.slots().await?;
    tour.databases(&server).await?;
    tour.ages().await?;
    tour.tables().await?;
    tour.archiver(&server).await?;
    tour.statements(&server).await
}

impl Tour<'_> {
    /// Rows, none where it is not permitted or cannot be answered (which is then said).
    async fn rows(&mut self, check: &str, sql: &str) -> Result<Vec<SimpleQueryRow>, Trouble> {
        let (why, advice) = match self.session.try_ask(self.target, sql).await? {
            Asked::Rows(rows) => return Ok(rows),
            Asked::Denied(why) => (why, Some(self.grant())),
            Asked::Skipped(why) => (why, None),
        };
        self.reading.remark(check, Grade::Notice, format!("{check} cannot be read: {why}"), advice.as_deref());
        Ok(Vec::new())
    }

    fn grant(&self) -> String {
        format!("GRANT pg_monitor TO {}", said_in(self.target.user.as_deref().unwrap_or("postgres"), 60))
    }

    async fn server(&mut self) -> Result<Option<Server>, Trouble> {
        let first = self
            .rows(
                "version",
                "SELECT current_setting('server_version'), current_setting('server_version_num'), pg_is_in_recovery()",
            )
            .await?;
        let Some(row) = first.first() else { return Ok(None) };
        self.reading.server =
            Some(format!("PostgreSQL {}", said_in(text(row, 0).split(' ').next().unwrap_or_default(), 40)));
        let version = number(row, 1).unwrap_or(0.0);
        let standby = text(row, 2) == "t";
        if version < 100_000.0 {
            self.reading.remark(
                "version",
                Grade::Notice,
                "it is older than version 10: only whether it serves is asked",
                None,
            );
            return Ok(None);
        }
        let sees = self.rows("privileges", "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')").await?;
        let sees_all = sees.first().is_some_and(|row| text(row, 0) == "t");
        if !sees_all {
            let grant = self.grant();
            let sentence = "what others do in it is hidden from us: queries, locks, replication";
            self.reading.remark("privileges", Grade::Notice, sentence, Some(&grant));
        }
        if standby {
            self.reading.remark("role", Grade::Notice, "it is a standby: it takes no writes", None);
        }
        Ok(Some(Server { version, standby, sees_all }))
    }

    async fn connections(&mut self, server: &Server) -> Result<(), Trouble> {
        let count = if server.sees_all {
            "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
        } else {
            "(SELECT sum(numbackends) FROM pg_stat_database)"
        };
        let sql = format!(
            "SELECT {count}, current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int \
             - coalesce(current_setting('reserved_connections', true)::int, 0)"
        );
        let rows = self.rows("connections", &sql).await?;
        if let Some(row) = rows.first()
            && let (Some(used), Some(most)) = (number(row, 0), number(row, 1))
        {
            self.reading.measure(Measure::new("connections", used).of(most));
        }
        Ok(())
    }

    async fn sessions(&mut self, server: &Server) -> Result<(), Trouble> {
        if !server.sees_all {
            return Ok(());
        }
        for (count, longest, state, since) in [
            ("idle-in-transaction", "longest-idle-in-transaction", "state LIKE 'idle in transaction%'", "state_change"),
            ("active-queries", "longest-query", "state = 'active' AND backend_type = 'client backend'", "query_start"),
        ] {
            let sql = format!(
                "SELECT count(*) OVER (), pid, extract(epoch from clock_timestamp() - {since}), usename, application_name, left(query, 400) \
                 FROM pg_stat_activity WHERE {state} AND pid <> pg_backend_pid() ORDER BY {since} LIMIT 1"
            );
            let rows = self.rows(count, &sql).await?;
            let Some(row) = rows.first() else {
                self.reading.measure(Measure::new(count, 0.0));
                self.reading.measure(Measure::new(longest, 0.0));
                continue;
            };
            self.reading.measure(Measure::new(count, number(row, 0).unwrap_or(0.0)));
            let seconds = number(row, 2).unwrap_or(0.0).max(0.0);
            let who = format!(
                "pid {} of {}{}",
                said_in(text(row, 1), 12),
                said_in(text(row, 3), 40),
                bracketed(text(row, 4))
            );
            let about = format!("{who}, since {seconds:.0} s: {}", shape(text(row, 5)));
            self.reading.measure(Measure::new(longest, seconds).about(about));
        }
        Ok(())
    }

    /// Who waits for whom. `waitstart` is there since version 14.
    async fn locks(&mut self, server: &Server) -> Result<(), Trouble> {
        if !server.sees_all {
            return Ok(());
        }
        let since = if server.version >= 140_000.0 {
            "coalesce((SELECT min(waitstart) FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted), a.query_start)"
        } else {
            "a.query_start"
        };
        let sql = format!(
            "WITH waiting AS (SELECT a.pid, extract(epoch from clock_timestamp() - {since}) AS seconds, left(a.query, 400) AS query, \
             count(*) OVER () AS waiters FROM pg_stat_activity a WHERE a.wait_event_type = 'Lock' ORDER BY 2 DESC LIMIT 1) \
             SELECT w.waiters, w.pid, w.seconds, w.query, b.pid, b.state, left(b.query, 400) FROM waiting w \
             LEFT JOIN LATERAL (SELECT * FROM pg_stat_activity o WHERE o.pid = ANY(pg_blocking_pids(w.pid)) LIMIT 1) b ON true"
        );
        let rows = self.rows("lock-waits", &sql).await?;
        let Some(row) = rows.first() else {
            self.reading.measure(Measure::new("lock-waits", 0.0));
            self.reading.measure(Measure::new("longest-lock-wait", 0.0));
            return Ok(());
        };
        self.reading.measure(Measure::new("lock-waits", number(row, 0).unwrap_or(0.0)));
        let blocker = if text(row, 4).is_empty() {
            String::new()
        } else {
            format!(" for pid {} ({}: {})", said_in(text(row, 4), 12), said_in(text(row, 5), 40), shape(text(row, 6)))
        };
        let about = format!("pid {} waits{blocker}: {}", said_in(text(row, 1), 12), shape(text(row, 3)));
        self.reading.measure(Measure::new("longest-lock-wait", number(row, 2).unwrap_or(0.0).max(0.0)).about(about));
        Ok(())
    }

    async fn standby(&mut self) -> Result<(), Trouble> {
        let sql = "SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
                   ELSE extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) END, \
                   (SELECT count(*) FROM pg_stat_wal_receiver), \
                   pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())";
        let rows = self.rows("replication", sql).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        if let Some(lag) = number(row, 0) {
            self.reading.measure(Measure::new("replication-lag", lag.max(0.0)).about("behind its primary"));
        }
        if let Some(behind) = number(row, 2) {
            self.reading
                .measure(Measure::new("replication-behind", behind.max(0.0)).about("received and not replayed"));
        }
        if number(row, 1) == Some(0.0) {
            let advice =
                Some("see whether the primary runs, and primary_conninfo; one that is fed from an archive needs none");
            self.reading.remark(
                "replication",
                Grade::Warning,
                "it is a standby and receives nothing from a primary",
                advice,
            );
        }
        Ok(())
    }

    async fn replicas(&mut self) -> Result<(), Trouble> {
        let sql = "SELECT application_name, client_addr, state, extract(epoch from replay_lag), \
                   pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), count(*) OVER () FROM pg_stat_replication \
                   ORDER BY 5 DESC NULLS LAST LIMIT 1";
        let rows = self.rows("replication", sql).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        self.reading.measure(Measure::new("replicas", number(row, 5).unwrap_or(0.0)));
        let who = said_in(&format!("{} {} ({})", text(row, 0), text(row, 1), text(row, 2)), 80);
        // Without traffic there is no lag to measure.
        self.reading
            .measure(Measure::new("replication-lag", number(row, 3).unwrap_or(0.0).max(0.0)).about(who.clone()));
        if let Some(behind) = number(row, 4) {
            self.reading.measure(Measure::new("replication-behind", behind.max(0.0)).about(who));
        }
        Ok(())
    }

    async fn slots(&mut self) -> Result<(), Trouble> {
        let sql = "SELECT slot_name, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
                   ELSE pg_current_wal_lsn() END, restart_lsn), count(*) OVER () FROM pg_replication_slots WHERE NOT active \
                   ORDER BY 2 DESC NULLS LAST LIMIT 1";
        let rows = self.rows("inactive-slots", sql).await?;
        self.reading
            .measure(Measure::new("inactive-slots", rows.first().and_then(|row| number(row, 2)).unwrap_or(0.0)));
        if let Some(row) = rows.first() {
            let about = format!("slot {}", said_in(text(row, 0), 64));
            self.reading.measure(Measure::new("slot-retained", number(row, 1).unwrap_or(0.0).max(0.0)).about(about));
        }
        Ok(())
    }

    async fn databases(&mut self, server: &Server) -> Result<(), Trouble> {
        let sums = if server.version >= 120_000.0 { "coalesce(sum(checksum_failures), 0)" } else { "0" };
        let sql = format!(
            "SELECT sum(deadlocks), sum(xact_rollback), sum(xact_commit), sum(blks_hit), sum(blks_read), sum(temp_files), \
             sum(temp_bytes), sum(conflicts), {sums}, pg_database_size(current_database()), current_database() FROM pg_stat_database"
        );
        let rows = self.rows("databases", &sql).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        for (column, name) in
            [(0, "deadlocks"), (1, "rollbacks"), (2, "commits"), (5, "temp-files"), (6, "temp-bytes"), (7, "conflicts")]
        {
            if let Some(value) = number(row, column) {
                self.reading.measure(Measure::new(name, value));
            }
        }
        if let (Some(hit), Some(read)) = (number(row, 3), number(row, 4))
            && hit + read >= WORTH_HITS
        {
            self.reading.measure(Measure::new("cache-hit", hit / (hit + read)));
        }
        if let Some(broken) = number(row, 8).filter(|count| *count > 0.0) {
            let advice = Some("its disk or memory is failing: take a backup now, then pg_checksums and pg_amcheck");
            self.reading.remark("checksums", Grade::Critical, format!("{broken:.0} pages of data are damaged"), advice);
        }
        if let Some(size) = number(row, 9) {
            self.reading.measure(Measure::new("database-size", size).about(said_in(text(row, 10), 64)));
        }
        Ok(())
    }

    async fn ages(&mut self) -> Result<(), Trouble> {
        let sql = "SELECT datname, age(datfrozenxid), mxid_age(datminmxid), current_setting('autovacuum_freeze_max_age') \
                   FROM pg_database ORDER BY 2 DESC LIMIT 1";
        let rows = self.rows("transaction-age", sql).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let about =
            format!("database {}, autovacuum acts from {} on", said_in(text(row, 0), 64), said_in(text(row, 3), 12));
        if let Some(age) = number(row, 1) {
            self.reading.measure(Measure::new("transaction-age", age).of(TRANSACTION_IDS).about(about));
        }
        if let Some(age) = number(row, 2) {
            self.reading.measure(Measure::new("multixact-age", age).of(TRANSACTION_IDS));
        }
        Ok(())
    }

    async fn tables(&mut self) -> Result<(), Trouble> {
        let sql = "SELECT schemaname || '.' || relname, n_dead_tup::float8 / (n_live_tup + n_dead_tup), n_dead_tup, \
                   coalesce(to_char(greatest(last_vacuum, last_autovacuum), 'YYYY-MM-DD HH24:MI'), 'never') FROM pg_stat_user_tables \
                   WHERE n_live_tup + n_dead_tup > 10000 ORDER BY 2 DESC LIMIT 1";
        let rows = self.rows("dead-rows", sql).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let about = format!(
            "table {}: {} dead rows, last vacuumed: {}",
            said_in(text(row, 0), 80),
            said_in(text(row, 2), 20),
            said_in(text(row, 3), 20)
        );
        self.reading.measure(Measure::new("dead-rows", number(row, 1).unwrap_or(0.0)).about(about));
        Ok(())
    }

    async fn archiver(&mut self, server: &Server) -> Result<(), Trouble> {
        if server.standby {
            return Ok(());
        }
        let sql = "SELECT failed_count, last_failed_wal, last_failed_time > coalesce(last_archived_time, '-infinity') \
                   FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'";
        let rows = self.rows("archiver", sql).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        self.reading.measure(Measure::new("archive-failures", number(row, 0).unwrap_or(0.0)));
        if text(row, 2) == "t" {
            let sentence =
                format!("it cannot archive {}: its disk fills with WAL meanwhile", said_in(text(row, 1), 40));
            self.reading.remark(
                "archiver",
                Grade::Critical,
                sentence,
                Some("see its log for what archive_command says"),
            );
        }
        Ok(())
    }

    /// <https://www.postgresql.org/docs/current/pgstatstatements.html>, where its extension is in this database.
    async fn statements(&mut self, server: &Server) -> Result<(), Trouble> {
        let sql = "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
                   WHERE e.extname = 'pg_stat_statements'";
        let rows = self.rows("slow-statement", sql).await?;
        let Some(schema) = rows.first().map(|row| text(row, 0).to_owned()) else { return Ok(()) };
        let mean = if server.version >= 130_000.0 { "mean_exec_time" } else { "mean_time" };
        let sql = format!(
            "SELECT {mean} / 1000, calls, left(query, 400) FROM {schema}.pg_stat_statements WHERE calls >= 5 ORDER BY 1 DESC LIMIT 1"
        );
        let rows = self.rows("slow-statement", &sql).await?;
        if let Some(row) = rows.first() {
            let about = format!("called {} times: {}", said_in(text(row, 1), 20), shape(text(row, 2)));
            self.reading.measure(Measure::new("slow-statement", number(row, 0).unwrap_or(0.0)).about(about));
        }
        Ok(())
    }
}

fn bracketed(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" ({})", said_in(name, 40)) }
}
