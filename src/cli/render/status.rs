//! Where services stand: the table for people, the document for programs. `docs/cli.md` promises the document's form.

use serde_json::{Value, json};

use crate::{
    cli::{
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
        when::rfc3339,
    },
    model::{
        ids::ServiceId,
        phase::Health,
        snapshot::{Counts, ProjectView, ServiceView, Snapshot},
        time::{Timestamp, coarse_duration},
    },
};

/// Whose picture it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pictured {
    /// An engine's.
    ByEngine,
    /// Made from the project file and what is stored, since no engine runs.
    FromFile,
}

/// The services of `wanted`, one row each, and a last line that counts them.
#[must_use]
pub fn table(snapshot: &Snapshot, wanted: &[ServiceId], paint: Paint, columns: Option<u16>) -> String {
    let mut table = Table::new(&[
        ("SERVICE", Side::Left),
        ("STATE", Side::Left),
        ("HEALTH", Side::Left),
        ("PID", Side::Right),
        ("UPTIME", Side::Right),
        ("RESTARTS", Side::Right),
        ("CPU", Side::Right),
        ("MEMORY", Side::Right),
        ("WHY", Side::Left),
    ]);
    let several = has_several_projects(snapshot);
    let chosen = chosen(snapshot, wanted);
    for service in &chosen {
        table.push(row(service, several, snapshot.at));
    }
    if chosen.is_empty() {
        return "no services\n".to_owned();
    }
    let mut text = table.render(paint, columns);
    text.push_str(&paint.text(Tone::Dim, &summary(&Counts::of(chosen.iter().copied()))));
    text.push('\n');
    for trouble in snapshot.troubles.values() {
        text.push_str(&paint.text(Tone::Bad, &format!("cas: {}", crate::cli::text::plain(trouble))));
        text.push('\n');
    }
    text
}

fn row(service: &ServiceView, several: bool, now: Timestamp) -> Vec<Cell> {
    let name = if several { service.id.to_string() } else { service.id.service.to_string() };
    let phase = &service.phase;
    let health = match &service.health {
        Health::Unknown => "-",
        known @ (Health::Starting { .. }
        | Health::Healthy { .. }
        | Health::Unhealthy { .. }
        | Health::Misconfigured { .. }) => known.label(),
    };
    let optional = |text: Option<String>| Cell::new(Tone::Plain, text.as_deref().unwrap_or("-"));
    vec![
        Cell::new(Tone::Strong, &name),
        if service.paused {
            Cell::new(Tone::Warning, "‖ paused")
        } else {
            Cell::new(Tone::of_phase(phase), &format!("{} {}", phase.glyph(), phase.label()))
        },
        Cell::new(Tone::of_health(&service.health), health),
        optional(service.pid.map(|pid| pid.to_string())),
        optional(service.uptime(now).map(coarse_duration)),
        Cell::new(if service.restarts > 0 { Tone::Warning } else { Tone::Plain }, &service.restarts.to_string()),
        optional(service.usage.map(|usage| format!("{:.1}%", usage.cpu_percent))),
        optional(service.usage.map(|usage| super::bytes(usage.memory_bytes))),
        Cell::new(if service.concern() > 1 { Tone::Warning } else { Tone::Dim }, &service.why),
    ]
}

/// `7 services: 5 running, 1 moving, 1 failed`.
#[must_use]
pub fn summary(counts: &Counts) -> String {
    let parts: Vec<String> = [
        (counts.running, "running"),
        (counts.unhealthy, "unhealthy"),
        (counts.moving, "moving"),
        (counts.held, "held"),
        (counts.failed, "failed"),
        (counts.quiet, "quiet"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    let noun = if counts.total == 1 { "service" } else { "services" };
    format!("{} {noun}: {}", counts.total, parts.join(", "))
}

/// The document: `services`, `projects`, `engine`, `at`.
#[must_use]
pub fn document(snapshot: &Snapshot, wanted: &[ServiceId], pictured: Pictured) -> Value {
    let services: Vec<Value> =
        chosen(snapshot, wanted).into_iter().map(|view| service_json(view, snapshot.at)).collect();
    let projects: Vec<Value> = snapshot.projects.iter().map(project_json).collect();
    let engine = match pictured {
        Pictured::FromFile => Value::Null,
        Pictured::ByEngine => json!({
            "version": snapshot.engine.version,
            "pid": snapshot.engine.pid,
            "started": rfc3339(snapshot.engine.started.wall_us),
            "autopilot": snapshot.engine.autopilot.label(),
            "leaving": snapshot.engine.leaving,
        }),
    };
    let revision = chosen(snapshot, wanted).into_iter().map(|view| view.revision).max();
    json!({
        "services": services,
        "projects": projects,
        "engine": engine,
        "revision": revision.unwrap_or(0),
        "at": rfc3339(snapshot.at.wall_us),
    })
}

fn service_json(service: &ServiceView, now: Timestamp) -> Value {
    let depends_on: Vec<Value> = service
        .depends_on
        .iter()
        .map(|edge| json!({ "service": edge.service, "condition": edge.condition.label(), "holds": edge.holds }))
        .collect();
    json!({
        "project": service.id.project,
        "name": service.id.service,
        "kind": service.kind.label(),
        "revision": service.revision,
        "phase": service.phase.label(),
        "paused": service.paused,
        "health": service.health.label(),
        "pid": service.pid,
        "run": service.run,
        "restarts": service.restarts,
        "uptime_s": service.uptime(now).map(|uptime| uptime.as_secs()),
        "cpu_percent": service.usage.map(|usage| tenth(f64::from(usage.cpu_percent))),
        "memory_bytes": service.usage.map(|usage| usage.memory_bytes),
        "why": service.why,
        "ports": service.ports,
        "depends_on": depends_on,
        "command": service.command,
        "working_dir": service.working_dir.to_string_lossy(),
        "source": {
            "file": service.source.file.to_string_lossy(),
            "line": service.source.line,
            "column": service.source.column,
        },
        "profiles": service.occasions.profiles.names,
        "replica_of": service.occasions.replica.as_ref().map(|replica| &replica.of),
        "schedule": service.occasions.schedule,
        "next_at": service.occasions.next_at.map(|next| rfc3339(next.wall_us)),
        "watch": service.occasions.watch,
    })
}

/// A project as it stands in `status --json` and `projects --json`.
#[must_use]
pub fn project_json(project: &ProjectView) -> Value {
    let counts = &project.counts;
    json!({
        "name": project.name,
        "root": project.root.to_string_lossy(),
        "file": project.file.to_string_lossy(),
        "open": project.open,
        "exists": project.exists,
        "services": counts.total,
        "running": counts.running,
        "unhealthy": counts.unhealthy,
        "moving": counts.moving,
        "held": counts.held,
        "failed": counts.failed,
        "quiet": counts.quiet,
        "last_opened": rfc3339(project.last_opened_us),
    })
}

/// Rounded to a tenth: more is noise of single precision.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn chosen<'a>(snapshot: &'a Snapshot, wanted: &[ServiceId]) -> Vec<&'a ServiceView> {
    snapshot.services.iter().map(AsRef::as_ref).filter(|service| wanted.contains(&service.id)).collect()
}

/// True where names alone could mislead.
#[must_use]
pub fn has_several_projects(snapshot: &Snapshot) -> bool {
    snapshot.services.windows(2).any(|pair| pair[0].id.project != pair[1].id.project)
}
