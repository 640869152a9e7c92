//! How much waits in a queue, and since when the oldest. Never: takes anything out.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir};
use serde_json::Value;

use super::{
    blocking, place,
    resp::{Answer, Session},
    seconds_since, sql,
};
use crate::{
    model::{
        exam::{Measure, Reading, Target, Trouble},
        own::{QueueOf, figures},
    },
    world::kinds::body::{moment, moment_of, quoted},
};

/// Most entries of a directory that are counted.
const ENTRIES: usize = 1_000_000;
/// Keys of a job in JSON that say since when it waits: of Sidekiq, `BullMQ`, Celery, RQ and those who write their own.
const SINCE: [&str; 7] = ["enqueued_at", "created_at", "timestamp", "enqueuedAt", "createdAt", "queued_at", "queuedAt"];

/// Depth and age.
pub(super) async fn look(of: &QueueOf) -> Result<Reading, Trouble> {
    let (depth, oldest) = match of {
        QueueOf::Redis { target, key } => of_redis(target, key).await?,
        QueueOf::Postgres { target, query } => of_postgres(target, query).await?,
        QueueOf::Dir(dir) => {
            let dir = dir.clone();
            blocking(move || of_dir(&dir)).await??
        }
    };
    let mut reading = Reading::default();
    reading.measure(Measure::new(figures::DEPTH, depth));
    if depth == 0.0 {
        reading.measure(Measure::new(figures::OLDEST, 0.0));
    } else if let Some(oldest) = oldest {
        reading.measure(Measure::new(figures::OLDEST, seconds_since(oldest)));
    }
    Ok(reading)
}

async fn of_redis(target: &Target, key: &str) -> Result<(f64, Option<i64>), Trouble> {
    let mut session = Session::open(target).await?;
    let foreign =
        |what: &str| Trouble::Foreign(quoted(&format!("{} has {what} at {key}, which is no queue", target.place())));
    let Answer::Text(kind) = session.ask(&["TYPE", key]).await? else { return Err(foreign("something unknown")) };
    let (count, oldest) = match kind.as_str() {
        "none" => return Ok((0.0, None)),
        "list" => {
            // Most push on the left and take on the right; who does not has its newest there, which is told as younger.
            let ends = [session.ask(&["LINDEX", key, "-1"]).await?, session.ask(&["LINDEX", key, "0"]).await?];
            (session.ask(&["LLEN", key]).await?, ends.iter().filter_map(since).min())
        }
        "stream" => {
            let first = session.ask(&["XRANGE", key, "-", "+", "COUNT", "1"]).await?;
            (session.ask(&["XLEN", key]).await?, stream_since(&first))
        }
        "zset" => (session.ask(&["ZCARD", key]).await?, None),
        "set" => (session.ask(&["SCARD", key]).await?, None),
        other => return Err(foreign(&format!("a {}", quoted(other)))),
    };
    match count {
        Answer::Number(count) => Ok((count.max(0) as f64, oldest)),
        Answer::Text(_) | Answer::None | Answer::List(_) | Answer::Error(_) => Err(foreign("no count")),
    }
}

/// Since when a job waits that says so in JSON.
fn since(answer: &Answer) -> Option<i64> {
    let Answer::Text(text) = answer else { return None };
    let job: Value = serde_json::from_str(text).ok()?;
    SINCE.iter().find_map(|key| moment_of(job.get(key)?))
}

/// The first half of a stream's id is milliseconds since 1970.
fn stream_since(answer: &Answer) -> Option<i64> {
    let Answer::List(entries) = answer else { return None };
    let Answer::List(entry) = entries.first()? else { return None };
    let Answer::Text(id) = entry.first()? else { return None };
    moment(id.split('-').next()?)
}

async fn of_postgres(target: &Target, query: &str) -> Result<(f64, Option<i64>), Trouble> {
    let row = sql::first_row(target, query).await?.unwrap_or_default();
    let depth = row.first().and_then(Option::as_deref);
    let Some(depth) = depth.and_then(|text| text.trim().parse::<f64>().ok()).filter(|depth| depth.is_finite()) else {
        return Err(Trouble::Foreign("the first value of the query is no number".to_owned()));
    };
    Ok((depth, row.get(1).and_then(Option::as_deref).and_then(moment)))
}

fn of_dir(path: &PathBuf) -> Result<(f64, Option<i64>), Trouble> {
    let open = place::directory(None, Path::new(path)).map_err(|error| place::trouble(path, &error))?;
    let entries = Dir::read_from(&open).map_err(|error| place::trouble(path, &error.into()))?;
    let (mut count, mut oldest) = (0_usize, None::<i64>);
    for entry in entries.flatten().take(ENTRIES) {
        let Ok(stat) = rustix::fs::statat(&open, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if place::is_file(&stat) {
            count += 1;
            let changed = place::changed(&stat);
            oldest = Some(oldest.map_or(changed, |oldest| oldest.min(changed)));
        }
    }
    Ok((count as f64, oldest))
}
