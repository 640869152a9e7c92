//! Every project that cas has seen: open ones with their counts, the others as remembered.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{Titles, bar, empty, filter_spans, panel, selection};
use crate::{
    model::snapshot::{Counts, ProjectView},
    tui::{
        format,
        theme::Role,
        ui::{Pane, Ui},
    },
};

/// Counts as marks with numbers, the worst first; what is zero is left out.
pub(crate) fn count_spans(ui: &Ui, counts: &Counts) -> Vec<Span<'static>> {
    let parts = [
        ("✗", counts.failed, Role::Error),
        ("!", counts.unhealthy, Role::Error),
        ("↻", counts.held, Role::Warning),
        ("◔", counts.moving, Role::Info),
        ("●", counts.running, Role::Good),
        ("○", counts.quiet, Role::Muted),
    ];
    let mut spans = Vec::new();
    for (mark, count, role) in parts.into_iter().filter(|(_, count, _)| *count > 0) {
        let gap = if spans.is_empty() { "" } else { " " };
        spans.push(Span::styled(format!("{gap}{mark}{count}"), ui.theme.style(role)));
    }
    spans
}

/// Glyph, word and meaning of the worst that is true of a project.
fn worst(project: &ProjectView) -> (&'static str, &'static str, Role) {
    let counts = &project.counts;
    if !project.exists {
        return ("⊘", "gone", Role::Error);
    }
    if !project.open {
        return ("·", "closed", Role::Faint);
    }
    let ranked = [
        (counts.failed, ("✗", "failed", Role::Error)),
        (counts.unhealthy, ("!", "unhealthy", Role::Error)),
        (counts.held, ("↻", "held", Role::Warning)),
        (counts.moving, ("◔", "moving", Role::Info)),
        (counts.running, ("●", "running", Role::Good)),
    ];
    ranked.into_iter().find(|(count, _)| *count > 0).map_or(("○", "quiet", Role::Muted), |(_, shown)| shown)
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let rows = ui.project_rows();
    let right = vec![Span::raw(rows.len().to_string())];
    let content = panel(
        frame,
        ui,
        Pane::Projects,
        area,
        Titles { after: filter_spans(ui, ui.projects.pattern.as_ref()), right, ..Titles::default() },
    );
    if rows.is_empty() {
        if ui.projects.pattern.is_some() {
            empty(frame, ui, content, "no project matches", "Esc clears the filter");
        } else {
            empty(frame, ui, content, "no project yet", "run cas where a cas.yaml or a Procfile is");
        }
        return;
    }
    let mut view = ui.projects.view;
    view.resize(rows.len(), usize::from(content.height));
    for (line, place) in (0_u16..).zip(view.visible()) {
        let row = Rect { y: content.y + line, height: 1, ..content };
        let mut drawn = project_line(ui, rows[place], usize::from(row.width));
        if place == view.selected() {
            drawn = drawn.style(selection(ui, Pane::Projects));
        }
        frame.render_widget(drawn, row);
    }
    bar(frame, ui, &view, content);
}

fn project_line(ui: &Ui, project: &ProjectView, width: usize) -> Line<'static> {
    let (glyph, word, role) = worst(project);
    let name_style = if project.open { ui.ink() } else { ui.theme.style(Role::Muted) };
    let mut spans = vec![
        Span::styled(format!(" {glyph} "), ui.theme.style(role)),
        Span::styled(format::cell(project.name.as_str(), 16.min(width / 3)), name_style),
        Span::styled(format!(" {word:<10}"), ui.theme.style(role)),
    ];
    if project.open {
        spans.extend(count_spans(ui, &project.counts));
    } else {
        let day = ui.zone.day(project.last_opened_us);
        spans.push(Span::styled(format!("{} services, {day} ", project.counts.total), ui.theme.style(Role::Muted)));
    }
    let used = format::spans_width(&spans);
    let room = width.saturating_sub(used + 1);
    if room > 8 {
        spans.push(Span::styled(
            format::right_cell(&project.root.display().to_string(), room),
            ui.theme.style(Role::Faint),
        ));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}
