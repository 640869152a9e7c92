//! What a life weighs at one moment, and whether it grows.

use std::path::Path;

use cas::engine::Census;

/// One figure at one moment.
pub(crate) type Reading = (&'static str, f64);

/// What is counted by whoever lives.
pub(crate) struct Held {
    pub(crate) engine: Census,
    pub(crate) timers: usize,
    pub(crate) processes: usize,
}

/// All figures of this process now. `state`: its directory.
pub(crate) fn read(state: &Path, held: &Held) -> Vec<Reading> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_ascii_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let engine = &held.engine;
    vec![
        ("allocated bytes", allocated() as f64),
        ("resident bytes", field("VmRSS:") * 1024.0),
        ("descriptors", descriptors() as f64),
        ("threads", field("Threads:")),
        ("database bytes", size(state, |name| name.starts_with("cas.db") && !name.contains("backup"))),
        ("backup bytes", size(state, |name| name.contains("backup"))),
        ("journal bytes", size(&state.join("projects"), |name| name == "journal")),
        ("spool bytes", size(&state.join("spool"), |_| true)),
        ("segment bytes", size(&state.join("projects"), |name| name.starts_with("log.") || name.starts_with("idx."))),
        ("projects", engine.projects as f64),
        ("services", engine.services as f64),
        ("runs", engine.runs as f64),
        ("strays, openings, waiting", (engine.strays + engine.openings + engine.waiting) as f64),
        ("projects let go", engine.let_go as f64),
        ("registry", engine.registry as f64),
        ("timeline in memory", engine.timeline as f64),
        ("troubles", engine.troubles as f64),
        ("timers", held.timers as f64),
        ("processes", held.processes as f64),
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

/// A figure over time.
pub(crate) struct Course {
    pub(crate) name: &'static str,
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
    let names = moments.first().into_iter().flatten().map(|(name, _)| *name);
    names
        .enumerate()
        .map(|(at, name)| {
            let values: Vec<f64> = moments.iter().map(|moment| moment[at].1).collect();
            let level = values.iter().sum::<f64>() / n;
            let (mut up, mut down) = (0.0, 0.0);
            for (x, value) in values.iter().enumerate() {
                up += (x as f64 - middle) * (value - level);
                down += (x as f64 - middle).powi(2);
            }
            Course { name, level, slope: if down == 0.0 { 0.0 } else { up / down } }
        })
        .collect()
}
