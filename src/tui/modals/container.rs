//! Everything known about one container. Names of variables, never values.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::text::{field, heading};
use crate::{
    model::container::{ContainerUsage, ContainerView, Healer},
    tui::{
        containers::{healed_by, of_whom},
        format,
        theme::Role,
        ui::Ui,
        widgets::units,
    },
};

/// Columns of the bar of memory.
const BAR: usize = 12;
/// Width below which ids are shortened.
const WHOLE_IDS: usize = 80;

/// One column that tells states apart without colour, and what the state means.
pub(crate) fn mark(container: &ContainerView) -> (&'static str, Role) {
    let is_unhealthy = container.health.as_deref() == Some("unhealthy");
    match (container.state.as_str(), container.exit_code) {
        ("running", _) if is_unhealthy => ("!", Role::Error),
        ("running", _) => ("●", Role::Good),
        ("paused", _) => ("‖", Role::Warning),
        ("restarting", _) => ("↻", Role::Warning),
        ("removing", _) => ("◐", Role::Info),
        (_, Some(_)) if container.oom_killed => ("✗", Role::Error),
        ("dead", _) => ("✗", Role::Error),
        (_, Some(0)) => ("✓", Role::Muted),
        (_, Some(_)) => ("✗", Role::Muted),
        (_, None) => ("○", Role::Muted),
    }
}

/// The look of what its own health check says.
pub(crate) fn health_style(ui: &Ui, health: Option<&str>) -> Style {
    ui.theme.style(match health {
        Some("healthy") => Role::Good,
        Some("unhealthy") => Role::Error,
        Some("starting") => Role::Info,
        Some(_) | None => Role::Faint,
    })
}

/// What it has of what it may have.
pub(crate) fn memory(used: &ContainerUsage, between: &str) -> String {
    match used.memory_limit_bytes {
        0 => units::bytes(used.memory_bytes),
        limit => format!("{}{between}{}", units::bytes(used.memory_bytes), units::bytes(limit)),
    }
}

pub(crate) fn lines(ui: &Ui, id: &str, width: usize) -> Vec<Line<'static>> {
    let Some(container) = ui.container(id) else {
        return vec![Line::styled("this container is no longer there", ui.theme.style(Role::Muted))];
    };
    let mut lines = vec![standing(ui, container, width)];
    lines.extend(field(ui, "of", &of_whom(ui, container).unwrap_or_else(|| "no project".to_owned()), width));
    lines.extend(field(ui, "healed by", &healing(ui, container), width));
    let made_by = container.made_by.as_deref().unwrap_or("somebody else");
    lines.extend(field(ui, "made by", made_by, width));
    if let Some(used) = &container.usage {
        lines.push(Line::default());
        lines.extend(usage(ui, used, width));
    }
    lines.push(Line::default());
    lines.extend(field(ui, "image", &container.image, width));
    lines.extend(field(ui, "image id", shortened(&container.image_id, "sha256:".len() + 12, width), width));
    lines.extend(field(ui, "id", shortened(&container.id, 12, width), width));
    if let Some(code) = container.exit_code {
        lines.extend(field(ui, "exit code", &code.to_string(), width));
    }
    let oom = if container.oom_killed { "yes: the kernel ended it" } else { "no" };
    lines.extend(field(ui, "out of memory", oom, width));
    lines.extend(list(ui, "Ports", &container.ports, "none is published", width));
    lines.extend(list(ui, "Mounts", &container.mounts, "none", width));
    lines.push(Line::default());
    lines.push(heading(ui, "Names of its variables"));
    let names = container.environment_names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    lines.extend(paragraph(ui, if names.is_empty() { "none" } else { &names }, width));
    lines
}

/// Its state, and what its health check says.
fn standing(ui: &Ui, container: &ContainerView, width: usize) -> Line<'static> {
    let (glyph, role) = mark(container);
    let state = format::clean(&format!("{glyph} {}", container.state_words()), width);
    let mut spans = vec![Span::styled(state, ui.theme.style(role))];
    let health = container.health.as_deref().filter(|_| container.is_up());
    let words = health.map_or_else(|| "no health check".to_owned(), |health| format::clean(health, 12));
    if container.is_up() {
        spans.push(Span::styled(format!("   {words}"), health_style(ui, health)));
    }
    Line::from(spans)
}

/// Who restarts it, how, and how often that was.
fn healing(ui: &Ui, container: &ContainerView) -> String {
    let by = match container.healer {
        Healer::Docker => format!("Docker ({})", container.restart_policy),
        Healer::Cas | Healer::Nobody => healed_by(ui, container).to_owned(),
    };
    match container.restart_count {
        0 => by,
        1 => format!("{by}, 1 restart"),
        count => format!("{by}, {count} restarts"),
    }
}

fn usage(ui: &Ui, used: &ContainerUsage, width: usize) -> Vec<Line<'static>> {
    let mut lines = field(ui, "cpu", &format!("{}% of one core", units::percent(used.cpu_percent)), width);
    let mut of_memory = field(ui, "memory", &memory(used, " of "), width);
    if let (Some(line), true) = (of_memory.first_mut(), used.memory_limit_bytes > 0) {
        let share = used.memory_bytes as f32 / used.memory_limit_bytes as f32;
        let [full, rest] = format::gauge(share, BAR, ui.theme.style(Role::GraphMemory), ui.theme.style(Role::Faint));
        if format::spans_width(&line.spans) + BAR < width {
            line.spans.extend([Span::raw(" "), full, rest]);
        }
    }
    lines.extend(of_memory);
    let rates = |first: f64, second: f64, words: [&str; 2]| {
        format!("{} {}, {} {}", units::rate(first), words[0], units::rate(second), words[1])
    };
    let net = rates(used.net_rx_bytes_per_s, used.net_tx_bytes_per_s, ["in", "out"]);
    lines.extend(field(ui, "network", &net, width));
    let disk = rates(used.disk_read_bytes_per_s, used.disk_write_bytes_per_s, ["read", "written"]);
    lines.extend(field(ui, "disk", &disk, width));
    lines.extend(field(ui, "processes", &used.pids.to_string(), width));
    lines
}

/// An id that begins with so many letters for people, whole where there is room.
fn shortened(id: &str, letters: usize, width: usize) -> &str {
    if width >= WHOLE_IDS { id } else { id.get(..letters).unwrap_or(id) }
}

fn list(ui: &Ui, title: &str, things: &[String], none: &str, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default(), heading(ui, title)];
    if things.is_empty() {
        lines.extend(paragraph(ui, none, width));
    }
    for thing in things {
        lines.extend(paragraph(ui, thing, width));
    }
    lines
}

fn paragraph(ui: &Ui, text: &str, width: usize) -> Vec<Line<'static>> {
    let style = ui.theme.style(Role::Muted);
    let pieces = format::wrap(text, width.saturating_sub(2));
    pieces.into_iter().map(|piece| Line::styled(format!("  {piece}"), style)).collect()
}
