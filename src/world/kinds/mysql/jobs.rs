//! Job queues in tables of a `MySQL`: Solid Queue, Delayed Job, Laravel's. Never: locks or takes a job, or counts beyond a million.

use super::session::Session;
use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::kinds::texts::{number_of, said_in},
};

struct Library {
    name: &'static str,
    table: &'static str,
    columns: &'static str,
    waits: &'static str,
    /// Seconds that the oldest waits, of all that wait.
    age: &'static str,
    failed_table: &'static str,
    failed: &'static str,
}

/// Columns of Rails are in UTC. Sources as in `postgres::jobs`.
const LIBRARIES: [Library; 3] = [
    Library {
        name: "Solid Queue",
        table: "solid_queue_ready_executions",
        columns: "'job_id', 'created_at'",
        waits: "TRUE",
        age: "TIMESTAMPDIFF(MICROSECOND, MIN(created_at), UTC_TIMESTAMP(6)) / 1000000",
        failed_table: "solid_queue_failed_executions",
        failed: "TRUE",
    },
    Library {
        name: "Delayed Job",
        table: "delayed_jobs",
        columns: "'run_at', 'locked_at', 'failed_at'",
        waits: "failed_at IS NULL AND locked_at IS NULL AND run_at <= UTC_TIMESTAMP()",
        age: "TIMESTAMPDIFF(SECOND, MIN(run_at), UTC_TIMESTAMP())",
        failed_table: "delayed_jobs",
        failed: "failed_at IS NOT NULL",
    },
    Library {
        name: "Laravel",
        table: "jobs",
        columns: "'queue', 'payload', 'attempts', 'reserved_at', 'available_at'",
        waits: "reserved_at IS NULL AND available_at <= UNIX_TIMESTAMP()",
        age: "UNIX_TIMESTAMP() - MIN(available_at)",
        failed_table: "failed_jobs",
        failed: "TRUE",
    },
];

/// Adds the figures of all job queues of the database.
pub(super) async fn read(session: &mut Session, target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    for library in &LIBRARIES {
        let Library { name, table, columns, waits, age, failed_table, failed } = library;
        let sql = format!(
            "SELECT COUNT(*) AS n FROM information_schema.columns WHERE table_schema = DATABASE() \
             AND table_name = '{table}' AND column_name IN ({columns})"
        );
        let Ok(rows) = session.ask(&sql).await? else { continue };
        let wanted = columns.split(',').count() as f64;
        if rows.first().and_then(|row| number_of(row, "n")) != Some(wanted) {
            continue;
        }
        // The age is of those that wait, the count of them bounded.
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM {table} WHERE {waits} LIMIT 1000000) w) AS n, \
             (SELECT {age} FROM {table} WHERE {waits}) AS age"
        );
        match session.ask(&sql).await? {
            Ok(rows) => {
                let Some(row) = rows.first() else { continue };
                reading.measure(Measure::new("jobs-waiting", number_of(row, "n").unwrap_or(0.0)).about(*name));
                let age = number_of(row, "age").unwrap_or(0.0).max(0.0);
                reading.measure(Measure::new("oldest-job", age).about(*name));
            }
            Err(fault) => {
                let user = said_in(target.user.as_deref().unwrap_or("root"), 60);
                let advice = format!("GRANT SELECT ON {table} TO {user}");
                let sentence = format!("the jobs of {name} cannot be read: {}", fault.words);
                reading.remark("job-queues", Grade::Notice, sentence, Some(&advice));
                continue;
            }
        }
        let sql = format!("SELECT COUNT(*) AS n FROM (SELECT 1 FROM {failed_table} WHERE {failed} LIMIT 1000000) f");
        if let Ok(rows) = session.ask(&sql).await?
            && let Some(count) = rows.first().and_then(|row| number_of(row, "n"))
        {
            reading.measure(Measure::new("jobs-failed", count).about(*name));
        }
    }
    Ok(())
}
