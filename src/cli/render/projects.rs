//! Every project that cas has seen.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::status::{project_json, summary};
use crate::{
    cli::{
        context::Zone,
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
        text::plain,
    },
    config::FileKind,
    model::{project::ProjectRecord, registry, snapshot::ProjectView},
};

/// One row per project.
#[must_use]
pub fn table(projects: &[ProjectView], zone: Zone, paint: Paint, columns: Option<u16>) -> String {
    if projects.is_empty() {
        return "no projects yet\n".to_owned();
    }
    let mut table = Table::new(&[
        ("PROJECT", Side::Left),
        ("STATE", Side::Left),
        ("LAST OPENED", Side::Left),
        ("SERVICES", Side::Left),
        ("FILE", Side::Left),
    ]);
    for project in projects {
        let (state, tone) = state(project);
        let services = if project.open { summary(&project.counts) } else { project.counts.total.to_string() };
        table.push(vec![
            Cell::new(Tone::Strong, &plain(project.shown())),
            Cell::new(tone, state),
            Cell::new(Tone::Plain, &opened(project, zone)),
            Cell::new(Tone::Plain, &services),
            Cell::new(Tone::Dim, &place(project)),
        ]);
    }
    table.render(paint, columns)
}

const fn state(project: &ProjectView) -> (&'static str, Tone) {
    let counts = &project.counts;
    if !project.exists {
        ("✗ gone", Tone::Bad)
    } else if !project.open {
        ("○ closed", Tone::Dim)
    } else if counts.failed > 0 {
        ("✗ failed", Tone::Bad)
    } else if counts.unhealthy > 0 {
        ("▲ unhealthy", Tone::Warning)
    } else if counts.held > 0 {
        ("↻ held", Tone::Warning)
    } else if counts.moving > 0 {
        ("◔ moving", Tone::Moving)
    } else {
        ("● open", Tone::Good)
    }
}

fn opened(project: &ProjectView, zone: Zone) -> String {
    if project.last_opened_us == 0 { "never".to_owned() } else { zone.show(project.last_opened_us, "%Y-%m-%d %H:%M") }
}

fn place(project: &ProjectView) -> String {
    let file = project.file.to_string_lossy();
    match &project.moved_from {
        Some(from) => format!("{file} (moved from {})", from.display()),
        None => file.into_owned(),
    }
}

/// `{"projects": […]}`.
#[must_use]
pub fn document(projects: &[ProjectView]) -> Value {
    let projects: Vec<Value> = projects.iter().map(listed).collect();
    json!({ "projects": projects })
}

/// As in `status`, with how it is called and where it comes from.
fn listed(project: &ProjectView) -> Value {
    let mut json = project_json(project);
    if let Some(fields) = json.as_object_mut() {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        fields.insert("display".to_owned(), json!(project.shown()));
        fields.insert("ref".to_owned(), json!(project.reference));
        fields.insert("remote".to_owned(), json!(project.remote));
        fields.insert("moved_from".to_owned(), json!(project.moved_from.as_ref().map(path)));
        if project.last_opened_us == 0 {
            fields.insert("last_opened".to_owned(), Value::Null);
        }
    }
    json
}

/// What a project is to the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not on it.
    New,
    /// It is on it.
    Known,
    /// Its directory is on it, with another file or name.
    Changed,
    /// It is on it with another directory, which is gone.
    Moved,
}

impl Standing {
    const fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known => "known",
            Self::Changed => "changed",
            Self::Moved => "moved",
        }
    }
}

/// A project file that was looked at.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Where it is.
    pub file: PathBuf,
    /// Whose it is.
    pub kind: FileKind,
    /// How many things are wrong with it.
    pub problems: usize,
    /// What it would be on the list; none where it has problems.
    pub found: Option<(ProjectRecord, Standing)>,
}

/// One row per file. `list` is the list as it would be with all of them.
#[must_use]
pub fn seen_table(
    seen: &[Seen],
    list: &[ProjectRecord],
    directory: &Path,
    paint: Paint,
    columns: Option<u16>,
) -> String {
    if seen.is_empty() {
        return format!("no project below {}\n", plain(&directory.to_string_lossy()));
    }
    let mut table = Table::new(&[
        ("PROJECT", Side::Left),
        ("KIND", Side::Left),
        ("SERVICES", Side::Right),
        ("LIST", Side::Left),
        ("FILE", Side::Left),
    ]);
    for one in seen {
        let file = one.file.strip_prefix(directory).unwrap_or(&one.file);
        let (name, services, standing, tone) = standing_of(one, list);
        table.push(vec![
            Cell::new(Tone::Strong, &plain(&name)),
            Cell::new(Tone::Plain, one.kind.label()),
            Cell::new(Tone::Plain, &services),
            Cell::new(tone, &standing),
            Cell::new(Tone::Dim, &file.to_string_lossy()),
        ]);
    }
    table.render(paint, columns)
}

/// Name, number of services, what it is to the list.
fn standing_of(one: &Seen, list: &[ProjectRecord]) -> (String, String, String, Tone) {
    let Some((record, standing)) = &one.found else {
        let noun = if one.problems == 1 { "problem" } else { "problems" };
        return ("-".to_owned(), "-".to_owned(), format!("{} {noun}", one.problems), Tone::Bad);
    };
    let (told, tone) = match (standing, &record.moved_from) {
        (Standing::Moved, Some(from)) => (format!("moved from {}", from.display()), Tone::Good),
        (Standing::Known, _) => (standing.label().to_owned(), Tone::Dim),
        (Standing::New | Standing::Changed | Standing::Moved, _) => (standing.label().to_owned(), Tone::Good),
    };
    (registry::reference_of(record, list), record.services.to_string(), told, tone)
}

fn seen_json(one: &Seen, list: &[ProjectRecord]) -> Value {
    let file = one.file.to_string_lossy();
    let kind = one.kind.label();
    match &one.found {
        Some((record, standing)) => json!({
            "name": record.name,
            "ref": registry::reference_of(record, list),
            "root": record.root.to_string_lossy(),
            "file": file,
            "kind": kind,
            "services": record.services,
            "remote": record.remote,
            "state": standing.label(),
            "moved_from": record.moved_from.as_ref().map(|from| from.to_string_lossy()),
            "problems": 0,
        }),
        None => json!({ "file": file, "kind": kind, "state": "invalid", "problems": one.problems }),
    }
}

/// `{"projects": […]}` of what was put on the list.
#[must_use]
pub fn seen_document(seen: &[Seen], list: &[ProjectRecord]) -> Value {
    json!({ "projects": seen.iter().map(|one| seen_json(one, list)).collect::<Vec<_>>() })
}

/// `{"directory", "partial", "added", "projects": […]}`.
#[must_use]
pub fn scan_document(seen: &[Seen], list: &[ProjectRecord], directory: &Path, partial: bool, added: bool) -> Value {
    json!({
        "directory": directory.to_string_lossy(),
        "partial": partial,
        "added": added,
        "projects": seen.iter().map(|one| seen_json(one, list)).collect::<Vec<_>>(),
    })
}

/// `{"removed": {…}}`.
#[must_use]
pub fn removed(record: &ProjectRecord) -> Value {
    let (root, file) = (record.root.to_string_lossy(), record.file.to_string_lossy());
    json!({ "removed": { "name": record.name, "root": root, "file": file } })
}
