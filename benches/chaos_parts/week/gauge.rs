//! What a life weighs at one moment, and whether it grows.

use std::path::Path;

use cas::{
    engine::Census,
    shim_format::{INDEX_BYTES, IndexRecord},
};

use super::specs;

/// One figure at one moment.
pub(crate) type Reading = (&'static str, f64, Judge);

/// What a figure must do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Judge {
    /// Stay as it is.
    Level,
    /// Come to rest: the allocator keeps room for what was needed at once some time.
    Settle,
    /// Never be more than this.
    AtMost(f64),
    /// It is told.
    Told,
}

/// What is counted by whoever lives.
pub(crate) struct Held {
    pub(crate) engine: Census,
    pub(crate) timers: usize,
    pub(crate) processes: usize,
    /// What time it is there, microseconds since the Unix epoch.
    pub(crate) now_us: i64,
}

/// All figures of this process now. `state`: its directory; `project`: that of the project that is there all the time.
pub(crate) fn read(state: &Path, project: &Path, held: &Held) -> Vec<Reading> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_ascii_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let engine = &held.engine;
    let slots = project.join("slots");
    // Two guests of two services each may be there.
    let all = specs::SERVICES as f64 + 4.0;
    let of_segments = |name: &str| name.starts_with("log.");
    let (oldest, largest) = retained(&slots);
    vec![
        ("allocated bytes", allocated() as f64, Judge::Level),
        ("resident bytes that are not of a file", field("RssAnon:") * 1024.0, Judge::Settle),
        ("resident bytes", field("VmRSS:") * 1024.0, Judge::Told),
        ("descriptors", descriptors() as f64, Judge::Level),
        ("threads", field("Threads:"), Judge::Level),
        ("database bytes", size(state, |name| name == "cas.db"), Judge::Level),
        (
            "bytes of its log and backup",
            size(state, |name| name.starts_with("cas.db.") || name == "cas.db-wal"),
            Judge::Told,
        ),
        ("journal bytes", size(project, |name| name == "journal"), Judge::AtMost(256.0 * 1024.0)),
        ("spool bytes", size(&state.join("spool"), |_| true), Judge::AtMost(64.0 * 1024.0)),
        ("segment bytes", size(&slots, of_segments), Judge::Told),
        ("segment bytes of the largest slot", largest, Judge::AtMost(specs::SLOT_BYTES as f64)),
        (
            "hours since the newest line of the oldest closed segment",
            oldest(held.now_us),
            Judge::AtMost(specs::HOURS + 1.0),
        ),
        ("projects", engine.projects as f64, Judge::AtMost(3.0)),
        ("services", engine.services as f64, Judge::AtMost(all)),
        ("runs", engine.runs as f64, Judge::AtMost(all)),
        ("strays, openings, waiting", (engine.strays + engine.openings + engine.waiting) as f64, Judge::AtMost(0.0)),
        ("projects let go", engine.let_go as f64, Judge::Level),
        ("registry", engine.registry as f64, Judge::AtMost(30.0)),
        ("timeline in memory", engine.timeline as f64, Judge::Level),
        ("troubles", engine.troubles as f64, Judge::AtMost(1.0)),
        ("timers", held.timers as f64, Judge::AtMost(2.0 * all)),
        ("processes", held.processes as f64, Judge::AtMost(all)),
    ]
}

/// Descriptors of this process.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

/// Bytes that were asked of the allocator and not given back, `SQLite`'s included.
#[expect(unsafe_code, reason = "the allocator's own figures are a call of the C library")]
fn allocated() -> u64 {
    // SAFETY: it has no arguments and only reads what belongs to the allocator, under its own locks.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

/// Bytes of the files below `dir` whose name is wanted.
fn size(dir: &Path, wanted: impl Fn(&str) -> bool + Copy) -> f64 {
    let mut sum = 0.0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        // What is gone meanwhile weighs nothing.
        let Ok(found) = entry.metadata() else { continue };
        if found.is_dir() {
            sum += size(&entry.path(), wanted);
        } else if wanted(&entry.file_name().to_string_lossy()) {
            sum += found.len() as f64;
        }
    }
    sum
}

/// How old the oldest closed segment of all slots is (in hours, at a time), and how large the largest slot.
fn retained(slots: &Path) -> (impl Fn(i64) -> f64, f64) {
    let (mut oldest_us, mut largest) = (i64::MAX, 0.0_f64);
    for slot in std::fs::read_dir(slots).into_iter().flatten().flatten() {
        largest = largest.max(size(&slot.path(), |name| name.starts_with("log.")));
        let names = std::fs::read_dir(slot.path()).into_iter().flatten().flatten();
        let mut indexes: Vec<_> = names.filter(|e| e.file_name().to_string_lossy().starts_with("idx.")).collect();
        indexes.sort_by_key(std::fs::DirEntry::file_name);
        // The newest is not closed.
        indexes.pop();
        let newest_us = indexes.first().and_then(|index| {
            let bytes = std::fs::read(index.path()).ok()?;
            let last = bytes.last_chunk::<INDEX_BYTES>()?;
            IndexRecord::decode(last).map(|record| record.wall_us)
        });
        oldest_us = oldest_us.min(newest_us.unwrap_or(i64::MAX));
    }
    (move |now_us: i64| now_us.saturating_sub(oldest_us).max(0) as f64 / 3.6e9, largest)
}

/// A figure over time.
pub(crate) struct Course {
    pub(crate) name: &'static str,
    pub(crate) judge: Judge,
    /// The largest.
    pub(crate) most: f64,
    /// Its mean.
    pub(crate) level: f64,
    /// How much it grows from one reading to the next, by least squares.
    pub(crate) slope: f64,
}

impl Course {
    /// Growth over `readings` readings as a part of the level.
    pub(crate) fn growth(&self, readings: usize) -> f64 {
        if self.level == 0.0 { 0.0 } else { self.slope * readings as f64 / self.level }
    }
}

/// How each figure goes over these moments, which are equally far apart.
pub(crate) fn courses(moments: &[Vec<Reading>]) -> Vec<Course> {
    let n = moments.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let names = moments.first().into_iter().flatten().map(|(name, _, judge)| (*name, *judge));
    names
        .enumerate()
        .map(|(at, (name, judge))| {
            let values: Vec<f64> = moments.iter().map(|moment| moment[at].1).collect();
            let level = values.iter().sum::<f64>() / n;
            let (mut up, mut down) = (0.0, 0.0);
            for (x, value) in values.iter().enumerate() {
                up += (x as f64 - middle) * (value - level);
                down += (x as f64 - middle).powi(2);
            }
            let most = values.iter().copied().fold(0.0, f64::max);
            Course { name, judge, most, level, slope: if down == 0.0 { 0.0 } else { up / down } }
        })
        .collect()
}
