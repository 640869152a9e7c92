//! Every project that cas has seen.

use serde_json::{Value, json};

use super::status::{project_json, summary};
use crate::{
    cli::{
        context::Zone,
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
    },
    model::snapshot::ProjectView,
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
            Cell::new(Tone::Strong, project.name.as_str()),
            Cell::new(tone, state),
            Cell::new(Tone::Plain, &zone.show(project.last_opened_us, "%Y-%m-%d %H:%M")),
            Cell::new(Tone::Plain, &services),
            Cell::new(Tone::Dim, &project.file.to_string_lossy()),
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

/// `{"projects": […]}`.
#[must_use]
pub fn document(projects: &[ProjectView]) -> Value {
    json!({ "projects": projects.iter().map(project_json).collect::<Vec<_>>() })
}
