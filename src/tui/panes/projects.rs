//! Every project that cas has seen: open ones with their counts, the others as remembered.

use ratatui::{
    Frame,
    layout::Rect,
    style::Modifier,
    text::{Line, Span},
};

use super::{Picked, Titles, alarm, bar, empty, filter_spans, panel, put_row};
use crate::{
    model::snapshot::{Counts, ProjectView},
    tui::{
        format,
        theme::Role,
        ui::{Pane, Ui},
    },
};

/// Mark, word, number and meaning of each count, the worst first; what is zero is left out.
pub(crate) fn counted(counts: &Counts) -> impl Iterator<Item = (&'static str, &'static str, usize, Role)> {
    let parts = [
        ("✗", "failed", counts.failed, Role::Error),
        ("!", "unhealthy", counts.unhealthy, Role::Error),
        ("↻", "held", counts.held, Role::Warning),
        ("◔", "moving", counts.moving, Role::Info),
        ("●", "running", counts.running, Role::Good),
        ("○", "quiet", counts.quiet, Role::Muted),
    ];
    parts.into_iter().filter(|(_, _, count, _)| *count > 0)
}

/// Counts as marks with numbers.
pub(crate) fn count_spans(ui: &Ui, counts: &Counts) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for (mark, _, count, role) in counted(counts) {
        let gap = if spans.is_empty() { "" } else { " " };
        let style = ui.theme.style(role);
        // In a frame that is dim the counts are not.
        let style = if role == Role::Muted { style } else { style.remove_modifier(Modifier::DIM) };
        spans.push(Span::styled(format!("{gap}{mark}{count}"), style));
    }
    spans
}

/// Glyph, word and meaning of the worst that is true of a project.
fn worst(project: &ProjectView) -> (&'static str, &'static str, Role) {
    let counts = &project.counts;
    if !project.exists {
        return ("⊘", "gone", Role::Muted);
    }
    if !project.open {
        return ("·", "closed", Role::Faint);
    }
    counted(counts).next().map_or(("○", "quiet", Role::Muted), |(mark, word, _, role)| (mark, word, role))
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
        let drawn = project_line(ui, rows[place], usize::from(row.width));
        put_row(frame, ui, Pane::Projects, row, drawn, Picked::when(place == view.selected()));
    }
    bar(frame, ui, &view, content);
}

fn project_line(ui: &Ui, project: &ProjectView, width: usize) -> Line<'static> {
    let (glyph, word, role) = worst(project);
    let style = ui.theme.style(role);
    // A project in trouble has its name in the same colour, so that the row is seen from afar.
    let (name_style, word_style) = if role == Role::Error {
        (style, alarm(style))
    } else if role == Role::Warning {
        (style, style)
    } else if project.open {
        (ui.ink(), style)
    } else {
        (ui.theme.style(Role::Muted), style)
    };
    let mut spans = vec![
        Span::styled(format!(" {glyph} "), style),
        Span::styled(format::cell(project.name.as_str(), 16.min(width / 3)), name_style),
        Span::styled(format!(" {word:<9} "), word_style),
        Span::raw(" "),
    ];
    if project.open {
        spans.extend(count_spans(ui, &project.counts));
    } else {
        let day = ui.zone.day(project.last_opened_us);
        spans.push(Span::styled(
            format!(
                "{} {}, {day} ",
                project.counts.total,
                if project.counts.total == 1 { "service" } else { "services" }
            ),
            ui.theme.style(Role::Muted),
        ));
    }
    let used = format::spans_width(&spans);
    let room = width.saturating_sub(used + 1);
    if room > 9 {
        spans.push(Span::raw(" "));
        spans.push(Span::styled(
            format::right_cell(&project.root.display().to_string(), room - 1),
            ui.theme.style(Role::Faint),
        ));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}
