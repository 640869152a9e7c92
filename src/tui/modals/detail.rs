//! Everything known about one service, one entry, or what is wrong.

use std::fmt::Write as _;

use ratatui::text::{Line, Span};

use super::text::{field, heading};
use crate::{
    model::{
        ids::ServiceId,
        phase::Health,
        probe::ProbeOutcome,
        snapshot::{ProbeView, ServiceView},
        time::short_duration,
        timeline::{Entry, What},
    },
    tui::{format, panes::timeline::icon, theme::Role, ui::Ui, widgets::units},
};

/// Entries of the timeline shown with a service.
const RECENT: usize = 8;

pub(crate) fn service(ui: &Ui, id: &ServiceId, width: usize) -> Vec<Line<'static>> {
    let Some(service) = ui.snapshot.service(id) else {
        return vec![Line::styled(format!("{id} is no longer in its project"), ui.theme.style(Role::Muted))];
    };
    let mut lines = standing(ui, service, width);
    lines.push(Line::default());
    lines.push(heading(ui, "Declared"));
    if let Some(description) = &service.description {
        lines.extend(field(ui, "description", description, width));
    }
    lines.extend(field(ui, "command", &service.command, width));
    if let Some(container) = ui.container_of(service) {
        let text = format!("{} ({}), {}", container.name, container.short_id(), container.state_words());
        lines.extend(field(ui, "container", &text, width));
        lines.extend(field(ui, "image", &container.image, width));
    }
    lines.extend(field(ui, "directory", &service.working_dir.display().to_string(), width));
    let ports = service.ports.iter().map(|port| port.0.to_string()).collect::<Vec<_>>().join(", ");
    lines.extend(field(ui, "ports", or_none(&ports), width));
    let names = service.environment_names.join(", ");
    lines.extend(field(ui, "environment", or_none(&names), width));
    let start = starts(ui, service);
    lines.extend(field(ui, "starts", &format!("{start}; restart: {}", service.restart.label()), width));
    if let Some(watch) = &service.occasions.watch {
        lines.extend(field(ui, "watches", watch, width));
    }
    if let Some(replica) = &service.occasions.replica {
        let copy = format!("{} of {} of {}", replica.number, replica.count, replica.of);
        lines.extend(field(ui, "copy", &copy, width));
    }
    lines.extend(field(ui, "source", &service.source.to_string(), width));
    lines.push(Line::default());
    lines.extend(dependencies(ui, service, width));
    lines.extend(probes(ui, service, width));
    lines.extend(recent(ui, id, width));
    lines
}

/// What starts it.
fn starts(ui: &Ui, service: &ServiceView) -> String {
    let occasions = &service.occasions;
    match (&occasions.schedule, occasions.next_at) {
        (Some(schedule), Some(next)) => {
            format!("{schedule}, next at {}", ui.zone.date(next.wall_us))
        }
        (Some(schedule), None) => format!("{schedule}, suspended"),
        (None, _) if occasions.profiles.dormant => format!("when asked for, {}", occasions.profiles.sentence()),
        (None, _) if service.autostart => "with its project".to_owned(),
        (None, _) => "when asked for".to_owned(),
    }
}

const fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn standing(ui: &Ui, service: &ServiceView, width: usize) -> Vec<Line<'static>> {
    let phase = if service.paused { ui.theme.style(Role::Warning) } else { ui.theme.phase(&service.phase) };
    let (glyph, word) = if service.paused { ("‖", "paused") } else { (service.phase.glyph(), service.phase.label()) };
    let since = ui.snapshot.at.since(service.phase.since());
    let mut first = vec![
        Span::styled(format!("{glyph} {word}"), phase),
        Span::styled(format!(" for {}", short_duration(since)), ui.theme.style(Role::Muted)),
    ];
    if service.health == Health::Unknown {
        let text = if service.probes.is_empty() { "   no probe" } else { "   not probed now" };
        first.push(Span::styled(text, ui.theme.style(Role::Muted)));
    } else {
        first.push(Span::styled(format!("   {}", service.health.label()), ui.theme.health(&service.health)));
    }
    if let Some(pid) = service.pid {
        first.push(Span::styled(format!("   pid {pid}"), ui.theme.style(Role::Muted)));
    }
    if service.restarts > 0 {
        first.push(Span::styled(format!("   {} restarts", service.restarts), ui.theme.style(Role::Warning)));
    }
    let mut lines = vec![Line::from(first)];
    lines.extend(format::wrap(&service.why, width).into_iter().map(|why| Line::styled(why, ui.ink())));
    if let Some(usage) = &service.usage {
        let text = format!(
            "{}% of one core, {} resident, {} process{}, {} thread{}",
            units::percent(usage.cpu_percent),
            units::bytes(usage.memory_bytes),
            usage.processes,
            if usage.processes == 1 { "" } else { "es" },
            usage.threads,
            if usage.threads == 1 { "" } else { "s" },
        );
        lines.push(Line::styled(text, ui.theme.style(Role::Muted)));
    }
    lines
}

fn dependencies(ui: &Ui, service: &ServiceView, width: usize) -> Vec<Line<'static>> {
    if service.depends_on.is_empty() && service.dependents.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![heading(ui, "Dependencies")];
    for dependency in &service.depends_on {
        let (mark, role) = if dependency.holds { ("✓", Role::Good) } else { ("◌", Role::Warning) };
        lines.push(Line::from(vec![
            Span::styled(format!("{mark} "), ui.theme.style(role)),
            Span::styled(format::cell(dependency.service.as_str(), 20), ui.ink()),
            Span::styled(format!(" {}", dependency.condition.label()), ui.theme.style(Role::Muted)),
        ]));
    }
    if !service.dependents.is_empty() {
        let names = service.dependents.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        lines.extend(field(ui, "needed by", &names, width));
    }
    lines.push(Line::default());
    lines
}

pub(super) fn probes(ui: &Ui, service: &ServiceView, width: usize) -> Vec<Line<'static>> {
    if service.probes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![heading(ui, "Probes")];
    for probe in &service.probes {
        lines.extend(probe_lines(ui, probe, width));
    }
    lines.push(Line::default());
    lines
}

fn probe_lines(ui: &Ui, probe: &ProbeView, width: usize) -> Vec<Line<'static>> {
    let (mark, role, detail) = match &probe.last {
        None => ("◌", Role::Muted, "not asked yet"),
        Some(ProbeOutcome::Passed) => ("✓", Role::Good, "passed"),
        Some(ProbeOutcome::Failed(detail)) => ("✗", Role::Error, detail.as_str()),
        Some(ProbeOutcome::Broken(detail)) => ("⊘", Role::Error, detail.as_str()),
    };
    let mut text = format!("{} · round {}", probe.check, probe.rounds);
    if probe.last.is_some() {
        // Writing to a string cannot fail.
        let _ = write!(text, " · {} ms", probe.last_took_us / 1000);
    }
    if probe.failures > 0 {
        let _ = write!(text, " · {} failures in a row", probe.failures);
    }
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{mark} "), ui.theme.style(role)),
        Span::styled(format::cell(probe.kind.label(), 11), ui.ink()),
        Span::styled(format::clean(&text, width.saturating_sub(13)), ui.theme.style(Role::Muted)),
    ])];
    let indented = format::wrap(detail, width.saturating_sub(13));
    lines.extend(indented.into_iter().map(|line| Line::styled(format!("{:13}{line}", ""), ui.theme.style(role))));
    lines
}

fn recent(ui: &Ui, id: &ServiceId, width: usize) -> Vec<Line<'static>> {
    let of_it = |entry: &&std::sync::Arc<Entry>| {
        entry.project.as_ref() == Some(&id.project) && entry.service.as_ref() == Some(&id.service)
    };
    let entries: Vec<_> = ui.snapshot.timeline.iter().rev().filter(of_it).take(RECENT).collect();
    if entries.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![heading(ui, "Lately")];
    for entry in entries {
        let text = format!("{}{}", entry.sentence(), because(entry));
        lines.push(Line::from(vec![
            Span::styled(ui.zone.clock(entry.at.wall_us), ui.theme.style(Role::Muted)),
            Span::styled(format!(" {} ", icon(entry.severity())), ui.theme.severity(entry.severity())),
            Span::styled(format::cell(entry.who.label(), 13), ui.theme.style(Role::Muted)),
            Span::styled(format::clean(&text, width.saturating_sub(24)), ui.ink()),
        ]));
    }
    lines
}

/// ` — why`, where there is a why.
fn because(entry: &Entry) -> String {
    if entry.why.is_empty() { String::new() } else { format!(" — {}", entry.why) }
}

pub(crate) fn entry(ui: &Ui, entry: &Entry, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", icon(entry.severity())), ui.theme.severity(entry.severity())),
        Span::styled(format::clean(&entry.sentence(), width.saturating_sub(2)), ui.theme.severity(entry.severity())),
    ])];
    lines.push(Line::default());
    lines.extend(field(ui, "when", &ui.zone.date(entry.at.wall_us), width));
    let ago = ui.snapshot.at.since(entry.at);
    lines.extend(field(ui, "", &format!("{} ago", short_duration(ago)), width));
    lines.extend(field(ui, "who", entry.who.label(), width));
    if let Some(project) = &entry.project {
        lines.extend(field(ui, "project", project.as_str(), width));
    }
    if let Some(service) = &entry.service {
        lines.extend(field(ui, "service", service.as_str(), width));
    }
    if let Some(run) = entry.run {
        lines.extend(field(ui, "run", &run.to_string(), width));
    }
    lines.extend(field(ui, "what", &entry.sentence(), width));
    if !entry.why.is_empty() {
        lines.extend(field(ui, "why", &entry.why, width));
    }
    if let What::Exited { .. } | What::Hook { .. } = &entry.what {
        lines.push(Line::default());
        lines.push(heading(ui, "Last words"));
        if entry.what.lines().is_empty() {
            lines.push(Line::styled("it said nothing", ui.theme.style(Role::Muted)));
        }
        for words in entry.what.lines() {
            let pieces = format::wrap(words, width.saturating_sub(2));
            lines.extend(pieces.into_iter().map(|piece| {
                Line::from(vec![Span::styled("│ ", ui.theme.style(Role::Faint)), Span::styled(piece, ui.ink())])
            }));
        }
    }
    lines
}

pub(crate) fn problems(ui: &Ui, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if !ui.snapshot.problems.is_empty() {
        lines.push(heading(ui, "The project file was not taken; the running configuration stays"));
        lines.push(Line::default());
    }
    for problem in &*ui.snapshot.problems {
        let pieces = format::wrap(&problem.to_string(), width.saturating_sub(2));
        lines.extend(pieces.into_iter().enumerate().map(|(number, piece)| {
            let mark = if number == 0 { "✗ " } else { "  " };
            Line::styled(format!("{mark}{piece}"), ui.theme.style(Role::Error))
        }));
        if let Some(hint) = &problem.hint {
            let pieces = format::wrap(hint, width.saturating_sub(8));
            lines.extend(
                pieces.into_iter().map(|piece| Line::styled(format!("  {piece}"), ui.theme.style(Role::Muted))),
            );
        }
    }
    if !ui.snapshot.troubles.is_empty() {
        lines.push(Line::default());
        lines.push(heading(ui, "Troubles of cas itself; services are not touched by them"));
        for trouble in ui.snapshot.troubles.values() {
            let pieces = format::wrap(trouble, width.saturating_sub(2));
            lines.extend(
                pieces.into_iter().map(|piece| Line::styled(format!("▲ {piece}"), ui.theme.style(Role::Warning))),
            );
        }
    }
    if lines.is_empty() {
        lines.push(Line::styled("✓ nothing is wrong", ui.theme.style(Role::Good)));
    }
    lines
}
