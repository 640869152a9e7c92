//! How the daemon is: what it says of itself, what it has under care. Reads what daemons of other versions say, too: what they leave out
//! is not shown.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        care::Kept,
        context::Zone,
        paint::{Paint, Tone},
        text::plain,
        when::rfc3339,
    },
    bytes,
    status::{project_json, summary},
};
use crate::model::{
    snapshot::{ProjectView, Snapshot},
    time::{Timestamp, short_duration},
};

/// What a daemon says of itself; all of it may be missing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Its process.
    pub pid: u32,
    /// Version of cas.
    pub version: String,
    /// Seconds since it began.
    pub uptime_s: Option<f64>,
    /// Percent of one core.
    pub cpu_percent: Option<f64>,
    /// Resident bytes.
    pub memory_bytes: Option<u64>,
    /// Open descriptors.
    pub open_files: Option<u64>,
    /// So many may be open.
    pub open_files_limit: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Connections.
    pub clients: Option<u64>,
    /// Slots and their shims.
    pub slots: Option<Slots>,
    /// Queues by name.
    pub queues: BTreeMap<String, Queue>,
    /// What was dropped since its start.
    pub dropped: BTreeMap<String, u64>,
    /// The last thing that went wrong with it.
    pub last_error: Option<String>,
    /// What it looked at.
    pub checks: Vec<Check>,
}

/// Slots of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Slots {
    /// Open ones.
    pub slots: u64,
    /// Live shims.
    pub shims: u64,
    /// Runs taken over.
    pub adopted: u64,
}

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Queue {
    /// What waits.
    pub len: u64,
    /// What may wait.
    pub capacity: u64,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Check {
    /// What.
    pub name: String,
    /// It is as it should be.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

impl Health {
    /// From what was answered; nothing of it where that is not an object of this kind.
    #[must_use]
    pub fn read(told: &Value) -> Self {
        Self::deserialize(told).unwrap_or_else(|_| {
            let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let pid = told.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
            Self { pid: pid.unwrap_or(0), version: text("version"), ..Self::default() }
        })
    }
}

/// For whom it is written.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Colours.
    pub paint: Paint,
    /// Zone of times.
    pub zone: Zone,
    /// Now.
    pub now: Timestamp,
    /// Version of this program.
    pub client: &'a str,
}

/// What is to be known where the engine is of another version than the program that looks at it.
#[must_use]
pub fn other_version(engine: &str, own: &str) -> Option<String> {
    (!engine.is_empty() && engine != own).then(|| {
        format!(
            "the daemon is cas {engine}, this is cas {own}: \"cas daemon restart\" makes it this one, and no service is restarted"
        )
    })
}

/// For people.
#[must_use]
pub fn text(health: &Health, snapshot: Option<&Snapshot>, kept: &[Kept], look: &Look<'_>) -> String {
    let paint = look.paint;
    let mut out = paint.text(Tone::Strong, &format!("cas daemon {}", plain(&health.version)));
    let _ = write!(out, " · pid {}", health.pid);
    if let Some(uptime) = health.uptime_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        let _ = write!(out, " · up {}", short_duration(uptime));
    }
    out.push('\n');
    if let Some(note) = other_version(&health.version, look.client) {
        let _ = writeln!(out, "{} {}", paint.text(Tone::Warning, "▲"), plain(&note));
    }
    for check in &health.checks {
        let (tone, mark) = if check.ok { (Tone::Good, "✓") } else { (Tone::Bad, "✗") };
        let detail = if check.detail.is_empty() { String::new() } else { format!(": {}", plain(&check.detail)) };
        let _ = writeln!(out, "{} {}{detail}", paint.text(tone, mark), plain(&check.name));
    }
    out.push('\n');
    projects(&mut out, snapshot, kept, look);
    uses(&mut out, health, paint);
    out
}

fn projects(out: &mut String, snapshot: Option<&Snapshot>, kept: &[Kept], look: &Look<'_>) {
    let open: Vec<&ProjectView> =
        snapshot.map(|snapshot| snapshot.projects.iter().filter(|p| p.open).collect()).unwrap_or_default();
    if open.is_empty() && kept.is_empty() {
        out.push_str("no project is under care: \"cas up --detach\" in its directory begins it\n");
    }
    let width = open.iter().map(|project| project.name.as_str().len()).max().unwrap_or(0);
    for project in &open {
        let since = since_us(project, kept);
        let age = u64::try_from(look.now.wall_us.saturating_sub(since)).unwrap_or(0);
        let _ = writeln!(
            out,
            "{:width$}  under care since {} ({})  {}  {}",
            project.name,
            look.zone.show(since, "%Y-%m-%d %H:%M"),
            short_duration(Duration::from_micros(age)),
            summary(&project.counts),
            look.paint.text(Tone::Dim, &plain(&project.root.to_string_lossy())),
        );
    }
    for kept in kept.iter().filter(|kept| !open.iter().any(|project| project.root == kept.root)) {
        let _ = writeln!(
            out,
            "{} {} is under care and not open: \"cas check -C {}\" says whether its file can be taken",
            look.paint.text(Tone::Bad, "✗"),
            kept.name,
            plain(&kept.root.to_string_lossy()),
        );
    }
}

/// The earliest that is known: an engine knows when it opened the project, the list since when it is to be open.
fn since_us(project: &ProjectView, kept: &[Kept]) -> i64 {
    let kept = kept.iter().find(|kept| kept.root == project.root).map(|kept| kept.since_us);
    let own = project.under_care_since.map(|since| since.wall_us);
    kept.into_iter().chain(own).min().unwrap_or(project.last_opened_us)
}

fn uses(out: &mut String, health: &Health, paint: Paint) {
    let mut uses = Vec::new();
    uses.extend(health.cpu_percent.map(|cpu| format!("cpu {cpu:.1} %")));
    uses.extend(health.memory_bytes.map(|memory| format!("memory {}", bytes(memory))));
    uses.extend(health.open_files.map(|open| match health.open_files_limit {
        Some(limit) => format!("open files {open} of {limit}"),
        None => format!("open files {open}"),
    }));
    uses.extend(health.threads.map(|threads| format!("threads {threads}")));
    uses.extend(health.clients.map(|clients| format!("clients {clients}")));
    let mut lines: Vec<(&str, String)> = Vec::new();
    if !uses.is_empty() {
        lines.push(("uses", uses.join(", ")));
    }
    if let Some(Slots { slots, shims, adopted }) = health.slots {
        lines.push(("slots", format!("{slots}, with {shims} shims; {adopted} runs taken over")));
    }
    if !health.queues.is_empty() {
        let queue = |(name, queue): (&String, &Queue)| format!("{} {}/{}", plain(name), queue.len, queue.capacity);
        lines.push(("queues", health.queues.iter().map(queue).collect::<Vec<_>>().join(", ")));
    }
    let dropped: Vec<String> = health
        .dropped
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(what, count)| format!("{count} {}", plain(what)))
        .collect();
    if !dropped.is_empty() {
        lines.push(("dropped", dropped.join(", ")));
    }
    lines.push(("last error", health.last_error.as_deref().map_or("none".into(), plain).into_owned()));
    out.push('\n');
    for (name, value) in lines {
        let _ = writeln!(out, "{} {value}", paint.text(Tone::Dim, &format!("{name:10}")));
    }
}

/// For programs: what the daemon says, and `projects` under care. `running` is false where none runs.
#[must_use]
pub fn document(told: Option<&Value>, snapshot: Option<&Snapshot>, kept: &[Kept]) -> Value {
    let mut document = Map::new();
    document.insert("running".to_owned(), told.is_some().into());
    if let Some(Value::Object(told)) = told {
        document.extend(told.clone());
    }
    let open = snapshot.iter().flat_map(|snapshot| snapshot.projects.iter().filter(|project| project.open));
    let mut projects: Vec<Value> = open
        .clone()
        .map(|project| {
            let mut json = project_json(project);
            json["under_care_since"] = rfc3339(since_us(project, kept)).into();
            json
        })
        .collect();
    let roots: Vec<_> = open.map(|project| &project.root).collect();
    projects.extend(kept.iter().filter(|kept| !roots.contains(&&kept.root)).map(|kept| {
        json!({
            "name": kept.name, "root": kept.root, "file": kept.file, "open": false,
            "under_care_since": rfc3339(kept.since_us),
        })
    }));
    document.insert("projects".to_owned(), projects.into());
    Value::Object(document)
}
