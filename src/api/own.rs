//! The engine's own process: its figures, its queues, and whether its parts answer. Never waits longer for a part than
//! [`ANSWERS_WITHIN`].

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Resource, getrlimit};
use tokio::time::Instant;

use super::{
    desk::Desk,
    wire::{CheckView, HealthView, QueueView, SelfView, VERSION},
};
use crate::{
    host::handle::Handle,
    model::{
        event::TroubleSlot,
        ids::{ProjectName, ServiceId, ServiceName},
        query::{Answer, Query},
        time::short_duration,
    },
};

/// A part that has not answered by then is not well.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// What was last seen of this process's CPU time.
#[derive(Debug)]
pub(super) struct Own {
    last: Mutex<Option<(Instant, f64)>>,
}

/// Figures of this process, from `/proc/self`; zero where there is none.
#[derive(Debug, Default)]
struct Figures {
    memory_bytes: u64,
    open_files: u64,
    threads: u64,
    /// Seconds of CPU time, user and system.
    cpu_s: f64,
}

impl Own {
    pub(super) const fn new() -> Self {
        Self { last: Mutex::new(None) }
    }

    /// Percent of one core since the last call; at the first one over the engine's life.
    fn cpu_percent(&self, cpu_s: f64, uptime_s: f64) -> f64 {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (seconds, used) = match *last {
            Some((at, before)) => (now.duration_since(at).as_secs_f64(), cpu_s - before),
            None => (uptime_s, cpu_s),
        };
        // Clock ticks are coarse: over a shorter time they say nothing, so that the last look stays.
        if last.is_none() || seconds >= 0.1 {
            *last = Some((now, cpu_s));
        }
        if seconds < 0.1 { 0.0 } else { (used / seconds * 100.0).max(0.0) }
    }
}

fn figures() -> Figures {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0_u64)
    };
    let stat = read("/proc/self/stat");
    // Fields after the command, which may hold anything and ends with the last parenthesis (proc_pid_stat(5)).
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Figures {
        memory_bytes: number("VmRSS:") * 1024,
        threads: number("Threads:"),
        open_files: std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1) as u64),
        cpu_s: (ticks(11) + ticks(12)) as f64 / per_second as f64,
    }
}

/// The whole of it.
pub(super) async fn look(desk: &Desk) -> SelfView {
    let facts = desk.source.facts();
    let snapshot = desk.handle.snapshot();
    let uptime_s = snapshot.at.since(snapshot.engine.started).as_secs_f64();
    let figures = figures();
    let (max, left) = (desk.handle.calls.max_capacity(), desk.handle.calls.capacity());
    let mut queues = facts.queues;
    queues.insert("requests".to_owned(), QueueView { len: (max - left) as u64, capacity: max as u64 });
    let mut checks = part_checks(&desk.handle).await;
    checks.push(descriptors(figures.open_files));
    let told: Vec<&CheckView> = facts.checks.iter().collect();
    let troubles = snapshot.troubles.iter().map(|(slot, text)| CheckView {
        name: serde_json::to_value(slot).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default(),
        // A file that somebody is editing is to be known, and no illness.
        ok: *slot == TroubleSlot::Config,
        detail: text.clone(),
    });
    let troubles: Vec<_> = troubles.filter(|trouble| !told.iter().any(|check| check.name == trouble.name)).collect();
    checks.extend(facts.checks.iter().cloned().chain(troubles));
    SelfView {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: VERSION,
        daemon: snapshot.engine.daemon,
        uptime_s,
        cpu_percent: desk.own.cpu_percent(figures.cpu_s, uptime_s),
        memory_bytes: figures.memory_bytes,
        open_files: figures.open_files,
        open_files_limit: getrlimit(Resource::Nofile).current,
        threads: figures.threads,
        clients: desk.clients() as u64,
        slots: facts.slots,
        queues,
        dropped: facts.dropped,
        last_error: facts.last_error.or_else(|| snapshot.troubles.values().next_back().cloned()),
        checks,
    }
}

/// Whether all is well.
pub(super) async fn health(desk: &Desk) -> HealthView {
    let failed: Vec<_> = look(desk).await.checks.into_iter().filter(|check| !check.ok).collect();
    HealthView { ok: failed.is_empty(), failed }
}

/// Asks the loop itself, and through it the store.
async fn part_checks(handle: &Handle) -> Vec<CheckView> {
    let nobody = ProjectName::new("cas").ok().zip(ServiceName::new("self").ok());
    let loop_asked = async {
        match nobody {
            Some((project, service)) => {
                let nobody = Some(ServiceId { project, service });
                answered("engine", handle.query(Query::Logs { service: nobody })).await
            }
            None => CheckView { name: "engine".to_owned(), ok: true, detail: String::new() },
        }
    };
    let store_asked = answered("history", handle.query(Query::Entries { limit: 1 }));
    let (engine, store) = tokio::join!(loop_asked, store_asked);
    vec![engine, store]
}

async fn answered<E: std::fmt::Display>(name: &str, asked: impl Future<Output = Result<Answer, E>>) -> CheckView {
    let begin = Instant::now();
    let (ok, detail) = match tokio::time::timeout(ANSWERS_WITHIN, asked).await {
        Ok(Ok(Answer::Unavailable(why))) => (false, why),
        Ok(Ok(_answer)) => (true, format!("answers within {}", short_duration(begin.elapsed()))),
        Ok(Err(error)) => (false, error.to_string()),
        Err(_) => (false, format!("has not answered within {}", short_duration(ANSWERS_WITHIN))),
    };
    CheckView { name: name.to_owned(), ok, detail }
}

/// Whether descriptors run out.
fn descriptors(open: u64) -> CheckView {
    let limit = getrlimit(Resource::Nofile).current;
    let ok = limit.is_none_or(|limit| open < limit - limit / 10);
    let of = limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    CheckView { name: "descriptors".to_owned(), ok, detail: format!("{open} of {of} are open") }
}
