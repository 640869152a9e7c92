//! Job queues in tables of a `PostgreSQL`: how many jobs wait, since when, how many have failed.
//!
//! Known are Solid Queue, Delayed Job, Que, `GoodJob`, Graphile Worker, Oban, Procrastinate, pg-boss and Laravel's. Never: locks or takes a job, or counts
//! beyond a million.

use super::session::{Asked, Session, number, text};
use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::kinds::texts::said,
};

/// Most rows that are counted.
const MOST: usize = 1_000_000;

/// Tables of one library. The conditions are SQL over its table; `since` is seconds since the epoch.
struct Library {
    name: &'static str,
    /// The table of what waits, and columns that it must have.
    table: &'static str,
    columns: &'static str,
    waits: &'static str,
    since: &'static str,
    /// The table of what failed, and which of its rows.
    failed_table: &'static str,
    failed: &'static str,
}

/// Columns of Rails and Ecto have no zone and are in UTC.
const LIBRARIES: [Library; 9] = [
    // https://github.com/rails/solid_queue/blob/main/lib/generators/solid_queue/install/templates/db/queue_schema.rb
    Library {
        name: "Solid Queue",
        table: "solid_queue_ready_executions",
        columns: "job_id,created_at",
        waits: "true",
        since: "extract(epoch from created_at at time zone 'UTC')",
        failed_table: "solid_queue_failed_executions",
        failed: "true",
    },
    // https://github.com/collectiveidea/delayed_job#gory-details
    Library {
        name: "Delayed Job",
        table: "delayed_jobs",
        columns: "run_at,locked_at,failed_at",
        waits: "failed_at IS NULL AND locked_at IS NULL AND run_at <= now() at time zone 'UTC'",
        since: "extract(epoch from run_at at time zone 'UTC')",
        failed_table: "delayed_jobs",
        failed: "failed_at IS NOT NULL",
    },
    // https://github.com/que-rb/que/tree/master/lib/que/migrations
    Library {
        name: "Que",
        table: "que_jobs",
        columns: "run_at,finished_at,expired_at",
        waits: "finished_at IS NULL AND expired_at IS NULL AND run_at <= now()",
        since: "extract(epoch from run_at)",
        failed_table: "que_jobs",
        failed: "expired_at IS NOT NULL",
    },
    // https://github.com/bensheldon/good_job/blob/main/app/models/good_job/job.rb
    Library {
        name: "GoodJob",
        table: "good_jobs",
        columns: "scheduled_at,performed_at,finished_at,error,created_at",
        waits: "finished_at IS NULL AND performed_at IS NULL AND coalesce(scheduled_at, created_at) <= now() at time zone 'UTC'",
        since: "extract(epoch from coalesce(scheduled_at, created_at) at time zone 'UTC')",
        failed_table: "good_jobs",
        failed: "finished_at IS NOT NULL AND error IS NOT NULL",
    },
    // https://worker.graphile.org/docs/schema
    Library {
        name: "Graphile Worker",
        table: "graphile_worker.jobs",
        columns: "run_at,attempts,max_attempts,locked_at",
        waits: "attempts < max_attempts AND locked_at IS NULL AND run_at <= now()",
        since: "extract(epoch from run_at)",
        failed_table: "graphile_worker.jobs",
        failed: "attempts >= max_attempts",
    },
    // https://hexdocs.pm/oban/job_lifecycle.html
    Library {
        name: "Oban",
        table: "oban_jobs",
        columns: "state,scheduled_at",
        waits: "state::text = 'available'",
        since: "extract(epoch from scheduled_at at time zone 'UTC')",
        failed_table: "oban_jobs",
        failed: "state::text = 'discarded'",
    },
    // https://procrastinate.readthedocs.io/en/stable/howto/production/queries.html ; a job without a time was deferred when its first event tells.
    Library {
        name: "Procrastinate",
        table: "procrastinate_jobs",
        columns: "status,scheduled_at",
        waits: "status::text = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())",
        since: "extract(epoch from coalesce(scheduled_at, \
                (SELECT min(at) FROM procrastinate_events e WHERE e.job_id = procrastinate_jobs.id)))",
        failed_table: "procrastinate_jobs",
        failed: "status::text = 'failed'",
    },
    // https://timgit.github.io/pg-boss/#/sql
    Library {
        name: "pg-boss",
        table: "pgboss.job",
        columns: "state,start_after",
        waits: "state::text IN ('created', 'retry') AND start_after <= now()",
        since: "extract(epoch from start_after)",
        failed_table: "pgboss.job",
        failed: "state::text = 'failed'",
    },
    // https://laravel.com/docs/queues#database
    Library {
        name: "Laravel",
        table: "jobs",
        columns: "queue,payload,attempts,reserved_at,available_at",
        waits: "reserved_at IS NULL AND available_at <= extract(epoch from now())",
        since: "available_at",
        failed_table: "failed_jobs",
        failed: "true",
    },
];

/// Adds the figures of all job queues of the database.
pub(super) async fn read(session: &Session, target: &Target, reading: &mut Reading) -> Result<(), Trouble> {
    let there: Vec<String> = LIBRARIES
        .iter()
        .map(|library| {
            // By name, as `to_regclass` fails in a schema that we may not use.
            let place = match library.table.split_once('.') {
                Some((schema, table)) => format!("n.nspname = '{schema}' AND c.relname = '{table}'"),
                None => format!("c.relname = '{}' AND pg_table_is_visible(c.oid)", library.table),
            };
            format!(
                "(SELECT count(*) = {} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 JOIN pg_attribute a ON a.attrelid = c.oid WHERE {place} AND c.relkind IN ('r', 'p', 'v') \
                 AND a.attname = ANY('{{{}}}') AND NOT a.attisdropped)",
                library.columns.split(',').count(),
                library.columns
            )
        })
        .collect();
    let Asked::Rows(rows) = session.try_ask(target, &format!("SELECT {}", there.join(", "))).await? else {
        return Ok(());
    };
    let Some(row) = rows.first() else { return Ok(()) };
    for (column, library) in LIBRARIES.iter().enumerate() {
        if text(row, column) == "t" {
            one(session, target, library, reading).await?;
        }
    }
    Ok(())
}

async fn one(session: &Session, target: &Target, library: &Library, reading: &mut Reading) -> Result<(), Trouble> {
    let Library { name, table, waits, since, failed_table, failed, .. } = library;
    let sql = format!(
        "SELECT count(*), coalesce(extract(epoch from now()) - min(since), 0) \
         FROM (SELECT {since} AS since FROM {table} WHERE {waits} LIMIT {MOST}) waiting"
    );
    match session.try_ask(target, &sql).await? {
        Asked::Rows(rows) => {
            let Some(row) = rows.first() else { return Ok(()) };
            reading.measure(Measure::new("jobs-waiting", number(row, 0).unwrap_or(0.0)).about(*name));
            if let Some(age) = number(row, 1) {
                reading.measure(Measure::new("oldest-job", age.max(0.0)).about(*name));
            }
        }
        Asked::Denied(why) => {
            let user = said(target.user.as_deref().unwrap_or("postgres"));
            let advice = format!("GRANT SELECT ON {table}, {failed_table} TO {user}");
            let sentence = format!("the jobs of {name} cannot be read: {why}");
            reading.remark("job-queues", Grade::Notice, sentence, Some(&advice));
            return Ok(());
        }
        Asked::Skipped(why) => {
            let sentence = format!("the jobs of {name} cannot be counted: {why}");
            reading.remark("job-queues", Grade::Notice, sentence, None);
            return Ok(());
        }
    }
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {failed_table} WHERE {failed} LIMIT {MOST}) failed");
    if let Asked::Rows(rows) = session.try_ask(target, &sql).await?
        && let Some(count) = rows.first().and_then(|row| number(row, 0))
    {
        reading.measure(Measure::new("jobs-failed", count).about(*name));
    }
    Ok(())
}
