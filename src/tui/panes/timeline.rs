//! What happened, newest first: when, whom, who, what, why.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{Titles, bar, empty, filter_spans, panel, selection};
use crate::{
    model::timeline::{Entry, Severity},
    tui::{
        format::{cell, clean, spans_width},
        modals::detail::because,
        theme::Role,
        ui::{Pane, Ui},
    },
};

/// One column that tells severities apart without colour.
pub(crate) const fn icon(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "·",
        Severity::Good => "✓",
        Severity::Warning => "▲",
        Severity::Error => "✗",
    }
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let rows = ui.timeline_rows();
    let right = vec![Span::raw(rows.len().to_string())];
    let content = panel(
        frame,
        ui,
        Pane::Timeline,
        area,
        Titles { after: filter_spans(ui, ui.timeline.pattern.as_ref()), right, ..Titles::default() },
    );
    if rows.is_empty() {
        if ui.timeline.pattern.is_some() && !ui.snapshot.timeline.is_empty() {
            empty(frame, ui, content, "no event matches", "Esc clears the filter");
        } else {
            empty(frame, ui, content, "nothing has happened yet", "");
        }
        return;
    }
    let mut view = ui.timeline.view;
    view.resize(rows.len(), usize::from(content.height));
    let name_width =
        rows[view.visible()].iter().filter_map(|entry| entry.service.as_ref()).map(|name| name.as_str().len());
    let name_width = name_width.max().unwrap_or(0).clamp(4, 14);
    for (line, place) in (0_u16..).zip(view.visible()) {
        let row = Rect { y: content.y + line, height: 1, ..content };
        let mut drawn = entry_line(ui, rows[place], name_width, usize::from(row.width));
        if place == view.selected() {
            drawn = drawn.style(selection(ui, Pane::Timeline));
        }
        frame.render_widget(drawn, row);
    }
    bar(frame, ui, &view, content);
}

fn entry_line(ui: &Ui, entry: &Entry, name_width: usize, width: usize) -> Line<'static> {
    let theme = &ui.theme;
    let severity = entry.severity();
    let time = ui.zone.clock(entry.at.wall_us);
    // The narrower the pane, the shorter the time: what happened counts more.
    let time = if width < 44 { time.get(..5).unwrap_or(&time).to_owned() } else { time };
    let name = entry
        .service
        .as_ref()
        .map_or_else(|| entry.project.as_ref().map_or("cas", |project| project.as_str()), |service| service.as_str());
    let index = ui.snapshot.services.iter().position(|service| {
        Some(&service.id.service) == entry.service.as_ref() && Some(&service.id.project) == entry.project.as_ref()
    });
    let name_style = index.map_or_else(|| theme.style(Role::Muted), |index| theme.service(index));
    let mut spans = vec![
        Span::styled(format!("{time} "), theme.style(Role::Faint)),
        Span::styled(format!("{} ", icon(severity)), theme.severity(severity)),
        Span::styled(format!("{} ", cell(name, name_width)), name_style),
    ];
    let what_style = match severity {
        Severity::Info | Severity::Good => ui.ink(),
        Severity::Warning | Severity::Error => theme.severity(severity),
    };
    if width >= 72 {
        spans.push(Span::styled(format!("{} ", cell(entry.who.label(), 12)), theme.style(Role::Muted)));
    }
    let room = width.saturating_sub(spans_width(&spans));
    let what = clean(&entry.sentence(), room);
    spans.push(Span::styled(what, what_style));
    let room = width.saturating_sub(spans_width(&spans));
    if room > 8 {
        let mut after = because(entry);
        if width < 72 {
            after = format!(" · {}{after}", entry.who.label());
        }
        spans.push(Span::styled(clean(&after, room), theme.style(Role::Muted)));
    }
    Line::from(spans)
}
