//! Every project that cas has seen: open ones with their counts, the others as remembered.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::{Picked, Titles, alarm, bar, empty, panel, put_row, sought_spans};
use crate::{
    model::snapshot::{Counts, ProjectView},
    tui::{
        format,
        fuzzy::Fuzzy,
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
        Titles { after: sought_spans(ui, ui.projects.pattern.as_ref().map(Fuzzy::source)), right, ..Titles::default() },
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
    let name_style = if project.exists { name_style } else { name_style.add_modifier(Modifier::DIM) };
    let (in_name, in_place) = matched(ui, project);
    let mut spans = vec![Span::styled(format!(" {glyph} "), style)];
    let columns = if project.shown() == project.name.as_str() { 16 } else { 28 };
    let name = format::cell(project.shown(), columns.min(width / 3));
    spans.extend(marked(ui, &name, &in_name, name_style));
    spans.extend([Span::styled(format!(" {word:<9} "), word_style), Span::raw(" ")]);
    if project.open {
        spans.extend(count_spans(ui, &project.counts));
    } else {
        let day =
            if project.last_opened_us == 0 { "never opened".to_owned() } else { ui.zone.day(project.last_opened_us) };
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
        let root = project.root.display().to_string();
        let cell = format::right_cell(&root, room - 1);
        let before = cell.chars().take_while(|letter| *letter == ' ').count();
        // One that had to be cut has lost its count.
        let in_cell: Vec<u32> = if cell.trim_start() == root {
            in_place.iter().map(|letter| letter + u32::try_from(before).unwrap_or(0)).collect()
        } else {
            Vec::new()
        };
        spans.extend(marked(ui, &cell, &in_cell, ui.theme.style(Role::Faint)));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

/// The letters of name and directory that fit what is looked for.
fn matched(ui: &Ui, project: &ProjectView) -> (Vec<u32>, Vec<u32>) {
    let Some(wanted) = &ui.projects.pattern else { return (Vec::new(), Vec::new()) };
    if let Some(fit) = wanted.fit(project.shown()) {
        return (fit.letters, Vec::new());
    }
    let name = u32::try_from(project.shown().chars().count()).unwrap_or(0);
    let both = wanted.fit(&format!("{} {}", project.shown(), project.root.display()));
    let letters = both.map(|fit| fit.letters).unwrap_or_default();
    let in_place = letters.iter().filter_map(|letter| letter.checked_sub(name + 1)).collect();
    (letters.into_iter().filter(|letter| *letter < name).collect(), in_place)
}

/// `text` with some letters lit.
fn marked(ui: &Ui, text: &str, lit: &[u32], style: Style) -> Vec<Span<'static>> {
    if lit.is_empty() {
        return vec![Span::styled(text.to_owned(), style)];
    }
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (place, letter) in (0_u32..).zip(text.chars()) {
        let style = if lit.contains(&place) { ui.theme.style(Role::Match) } else { style };
        match spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push(letter),
            Some(_) | None => spans.push(Span::styled(letter.to_string(), style)),
        }
    }
    spans
}
