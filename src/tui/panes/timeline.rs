//! What happened, newest first: when, whom, who, what, why.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{Picked, Titles, bar, empty, filter_spans, panel, put_row};
use crate::{
    model::{
        policy::Origin,
        timeline::{Entry, Severity, What},
    },
    tui::{
        format::{cell, clean, spans_width},
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
    let name_width = name_width.max().unwrap_or(0).clamp(4, if content.width < WITH_WHO { 10 } else { 14 });
    let mut before = String::new();
    for (line, place) in (0_u16..).zip(view.visible()) {
        let row = Rect { y: content.y + line, height: 1, ..content };
        let time = time(ui, rows[place], content.width);
        // What happened together is told by one time; the eye then finds where the next thing began.
        let shown = if time == before && place != view.selected() { String::new() } else { time.clone() };
        let shown = cell(&shown, time.len());
        before = time;
        let drawn = entry_line(ui, rows[place], &shown, name_width, usize::from(row.width));
        put_row(frame, ui, Pane::Timeline, row, drawn, Picked::when(place == view.selected()));
    }
    bar(frame, ui, &view, content);
}

/// Width from which there is a column for who did it.
const WITH_WHO: u16 = 60;

/// Columns below which the beginning of a reason says nothing.
const LEAST_WHY: usize = 12;

/// The narrower the pane, the shorter the time: what happened counts more.
fn time(ui: &Ui, entry: &Entry, width: u16) -> String {
    let time = ui.zone.clock(entry.at.wall_us);
    if width < 50 { time.get(..5).unwrap_or(&time).to_owned() } else { time }
}

/// Who, in at most six columns.
fn who(entry: &Entry) -> &'static str {
    if ended_by_itself(entry) {
        return "itself";
    }
    match entry.who {
        Origin::Key | Origin::Palette => "you",
        Origin::Cli => "cli",
        Origin::Api => "api",
        Origin::Config => "file",
        Origin::Healer => "healer",
        Origin::System => "cas",
    }
}

/// A run that ended without a wish of anybody.
fn ended_by_itself(entry: &Entry) -> bool {
    matches!((entry.who, &entry.what), (Origin::System, What::Exited { .. })) && entry.why.starts_with("nobody asked")
}

/// Why, without what the row says already: `started by the project file` says no more than what and who do. Whole in the details.
fn news_of_why(entry: &Entry) -> String {
    if ended_by_itself(entry) {
        return String::new();
    }
    let said = entry.sentence();
    let mut why = entry.why.as_str();
    for name in [format!("by the {}", entry.who.label()), format!("by {}", entry.who.label())] {
        let Some((verb, rest)) = why.split_once(&name) else { continue };
        if verb.trim_end().split(' ').count() == 1 && !rest.starts_with(char::is_alphanumeric) {
            why = rest.trim_start_matches([',', ';', ' ']);
            break;
        }
    }
    why.split(", ").filter(|clause| !said.contains(clause)).collect::<Vec<_>>().join(", ")
}

fn entry_line(ui: &Ui, entry: &Entry, time: &str, name_width: usize, width: usize) -> Line<'static> {
    let theme = &ui.theme;
    let severity = entry.severity();
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
    let has_column = width >= usize::from(WITH_WHO);
    if has_column {
        spans.push(Span::styled(format!("{} ", cell(who(entry), 6)), theme.style(Role::Muted)));
    }
    let room = width.saturating_sub(spans_width(&spans));
    spans.push(Span::styled(clean(&entry.sentence(), room), what_style));
    if !has_column {
        let who = format!(" · {}", who(entry));
        if spans_width(&spans) + who.len() <= width + 1 {
            spans.push(Span::styled(who, theme.style(Role::Muted)));
        }
    }
    let room = width.saturating_sub(spans_width(&spans));
    let why = news_of_why(entry);
    if room >= LEAST_WHY && !why.is_empty() {
        spans.push(Span::styled(clean(&format!(" — {why}"), room), theme.style(Role::Muted)));
    }
    Line::from(spans)
}
