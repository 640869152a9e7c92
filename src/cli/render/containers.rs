//! All containers of the engine of containers: the table for people, the document for programs.

use serde_json::{Value, json};

use crate::{
    cli::{
        paint::{Paint, Tone},
        table::{Cell, Side, Table},
        text::plain,
    },
    model::{
        container::{ContainerView, Reach},
        snapshot::Snapshot,
    },
};

/// Those that are shown: what runs, or `all`.
fn chosen(snapshot: &Snapshot, all: bool) -> Vec<&ContainerView> {
    let is_up = |view: &&ContainerView| matches!(view.state.as_str(), "running" | "paused" | "restarting");
    snapshot.containers.iter().map(AsRef::as_ref).filter(|view| all || is_up(view)).collect()
}

/// One row a container, and a last line that says where the engine stands.
#[must_use]
pub fn table(snapshot: &Snapshot, all: bool, paint: Paint, columns: Option<u16>) -> String {
    let chosen = chosen(snapshot, all);
    let mut text = String::new();
    if !chosen.is_empty() {
        let mut table = Table::new(&[
            ("CONTAINER", Side::Left),
            ("SERVICE", Side::Left),
            ("STATE", Side::Left),
            ("HEALTH", Side::Left),
            ("HEALED BY", Side::Left),
            ("CPU", Side::Right),
            ("MEMORY", Side::Right),
            ("IMAGE", Side::Left),
            ("PORTS", Side::Left),
        ]);
        for view in chosen {
            table.push(row(view));
        }
        text = table.render(paint, columns);
    }
    let (tone, line) = standing(&snapshot.docker, snapshot.containers.len());
    text.push_str(&paint.text(tone, &line));
    text.push('\n');
    text
}

fn standing(reach: &Reach, count: usize) -> (Tone, String) {
    match reach {
        Reach::Reachable { endpoint, engine, api } => {
            let noun = if count == 1 { "container" } else { "containers" };
            (Tone::Dim, plain(&format!("{count} {noun} in all; {engine}, API {api}, at {endpoint}")).into_owned())
        }
        Reach::Unknown => (Tone::Dim, "nobody has asked Docker yet".to_owned()),
        Reach::Absent { .. } | Reach::Hung { .. } | Reach::TooOld { .. } => {
            let why = reach.obstacle().unwrap_or_default();
            (Tone::Bad, plain(&format!("Docker: not reachable ({why})")).into_owned())
        }
    }
}

fn row(view: &ContainerView) -> Vec<Cell> {
    let optional = |text: Option<String>| Cell::new(Tone::Plain, text.as_deref().unwrap_or("-"));
    let tone = match view.state.as_str() {
        "running" => Tone::Good,
        "paused" | "restarting" => Tone::Warning,
        _ => Tone::Dim,
    };
    let of_compose = || Some(format!("{}/{} (not open)", view.project.as_deref()?, view.service.as_deref()?));
    let service = view.of.as_ref().map(ToString::to_string).or_else(of_compose);
    let health = view.health.as_deref();
    vec![
        Cell::new(Tone::Strong, &plain(&view.name)),
        optional(service.map(|service| plain(&service).into_owned())),
        Cell::new(tone, &plain(&view.state_words())),
        Cell::new(if health == Some("unhealthy") { Tone::Bad } else { Tone::Plain }, &plain(health.unwrap_or("-"))),
        Cell::new(Tone::Plain, view.healed_by()),
        optional(view.usage.map(|usage| format!("{:.1}%", usage.cpu_percent))),
        optional(view.usage.map(|usage| super::bytes(usage.memory_bytes))),
        Cell::new(Tone::Dim, &plain(&view.image)),
        Cell::new(Tone::Dim, &plain(&view.ports.join(", "))),
    ]
}

/// The document: `docker`, `containers`.
#[must_use]
pub fn document(snapshot: &Snapshot, all: bool) -> Value {
    json!({ "docker": snapshot.docker, "containers": chosen(snapshot, all) })
}
