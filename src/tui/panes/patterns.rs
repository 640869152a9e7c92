//! The patterns behind the lines of the selected services: what is new and what fails first, with how often each comes. Decides nothing.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{Picked, Titles, bar, empty, filter_spans, panel, put_row};
use crate::{
    model::{
        history::History,
        ids::ServiceId,
        pattern::{NewSince, Pattern, Since, TREND_MINUTES},
    },
    tui::{
        format::{cell, clean, right_cell},
        theme::Role,
        ui::{Pane, Ui},
        widgets::{sparkline::sparkline, units::Unit},
    },
};

/// A number in at most four columns.
fn count(number: u64) -> String {
    Unit::Count.text(number as f64)
}

/// Columns of a trend.
const TREND: usize = 12;

/// Width from which there are columns for when a pattern was first and last seen.
const WITH_TIMES: u16 = 100;

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let rows = ui.pattern_rows();
    let content = panel(
        frame,
        ui,
        Pane::Patterns,
        area,
        Titles { after: title(ui), right: vec![Span::raw(summary(ui, rows.len()))], bottom: about(ui) },
    );
    if rows.is_empty() {
        nothing(frame, ui, content);
        return;
    }
    let head = Rect { height: 1.min(content.height), ..content };
    let with_names = ui.patterns.known.len() > 1;
    frame.render_widget(heading(ui, content.width, with_names), head);
    let list = Rect { y: content.y + head.height, height: content.height.saturating_sub(head.height), ..content };
    let mut view = ui.patterns.view;
    view.resize(rows.len(), usize::from(list.height));
    for (line, place) in (0_u16..).zip(view.visible()) {
        let row = Rect { y: list.y + line, height: 1, ..list };
        let (of, pattern) = rows[place];
        let drawn = pattern_line(ui, of, pattern, row.width, with_names);
        put_row(frame, ui, Pane::Patterns, row, drawn, Picked::when(place == view.selected()));
    }
    bar(frame, ui, &view, list);
}

fn title(ui: &Ui) -> Vec<Span<'static>> {
    let mut spans = vec![Span::styled(format!(" {}", label(ui.patterns.since)), ui.ink())];
    if let [only] = ui.patterns.known.as_slice() {
        let index = ui.service_index(&only.service).unwrap_or(0);
        spans.insert(0, Span::styled(format!(" {}", only.service.service), ui.theme.service(index)));
    }
    spans.extend(filter_spans(ui, ui.patterns.pattern.as_ref()));
    spans
}

fn summary(ui: &Ui, shown: usize) -> String {
    let all: usize = ui.patterns.known.iter().map(|known| known.patterns.len()).sum();
    let lines: u64 = ui.patterns.known.iter().map(|known| known.lines).sum();
    let of = if shown == all { String::new() } else { format!(" of {all}") };
    format!("{shown}{of} patterns behind {} lines", count(lines))
}

/// What has to be known to read the list right.
fn about(ui: &Ui) -> String {
    let dropped: u64 = ui.patterns.known.iter().map(|known| known.dropped).sum();
    let learning = ui.patterns.known.iter().filter(|known| known.learning).count();
    let mut words = Vec::new();
    if dropped > 0 {
        words.push(format!("{} lines came too fast to be counted", count(dropped)));
    }
    if learning > 0 {
        words.push("still learning: nothing is called new yet".to_owned());
    }
    words.join(" · ")
}

fn nothing(frame: &mut Frame<'_>, ui: &Ui, content: Rect) {
    if let Some(trouble) = &ui.patterns.trouble {
        empty(frame, ui, content, "patterns cannot be had", trouble);
    } else if ui.patterns.known.iter().any(|known| !known.patterns.is_empty()) {
        let hint = "the key of the levels shows what is new since something else, Esc clears the filter";
        empty(frame, ui, content, &format!("no pattern is {}", label(ui.patterns.since)), hint);
    } else if ui.patterns.waits && ui.patterns.known.is_empty() {
        empty(frame, ui, content, "asking for patterns …", "");
    } else {
        empty(frame, ui, content, "nothing was written yet that has a pattern", "");
    }
}

/// Columns before the text.
fn fixed(width: u16, with_names: bool) -> usize {
    let times = if width >= WITH_TIMES { 18 } else { 0 };
    let names = if with_names { 13 } else { 0 };
    6 + 6 + 8 + 8 + TREND + 1 + times + names
}

fn heading(ui: &Ui, width: u16, with_names: bool) -> Line<'static> {
    let mut text = String::new();
    text.push_str(&cell("new", 6));
    if with_names {
        text.push_str(&cell("service", 13));
    }
    text.push_str(&cell("level", 6));
    text.push_str(&right_cell("count", 7));
    text.push_str(&right_cell("/min", 8));
    text.push(' ');
    text.push_str(&cell("last hour", TREND));
    text.push(' ');
    if width >= WITH_TIMES {
        text.push_str(&cell("first", 9));
        text.push_str(&cell("last", 9));
    }
    text.push_str("pattern");
    Line::styled(text, ui.theme.style(Role::Title))
}

/// `R`, `D` and `H`: new since the restart, the deployment, the healthy hour.
fn novelty(new: NewSince) -> String {
    let letters = [(new.restart, 'R'), (new.deployment, 'D'), (new.healthy_hour, 'H')];
    letters.into_iter().filter(|(is_new, _)| *is_new).map(|(_, letter)| letter).collect()
}

fn pattern_line(ui: &Ui, of: &ServiceId, pattern: &Pattern, width: u16, with_names: bool) -> Line<'static> {
    let muted = ui.theme.style(Role::Muted);
    let new = novelty(pattern.new_since);
    let new_style = ui.theme.style(if pattern.is_error() { Role::Error } else { Role::Accent });
    let mut spans =
        vec![Span::styled(cell(&if new.is_empty() { String::new() } else { format!("✦{new}") }, 6), new_style)];
    if with_names {
        let index = ui.service_index(of).unwrap_or(0);
        spans.push(Span::styled(cell(of.service.as_str(), 13), ui.theme.service(index)));
    }
    let (label, level) =
        pattern.level.map_or(("", muted), |level| (level.label(), super::logs::level_style(ui, level)));
    spans.push(Span::styled(cell(label, 6), level));
    spans.push(Span::styled(right_cell(&count(pattern.count), 7), ui.ink()));
    spans.push(Span::styled(right_cell(&rate(pattern.per_minute), 8), rate_style(ui, pattern)));
    spans.push(Span::raw(" "));
    spans.push(Span::styled(trend(pattern), ui.theme.style(Role::GraphCpu)));
    spans.push(Span::raw(" "));
    if width >= WITH_TIMES {
        for time in [pattern.first_us, pattern.last_us] {
            spans.push(Span::styled(cell(&short_time(ui, time), 9), muted));
        }
    }
    let text_style = if pattern.is_error() { level } else { ui.ink() };
    let room = usize::from(width).saturating_sub(fixed(width, with_names)).max(1);
    spans.extend(holes(ui, &clean(&pattern.text, room), text_style));
    Line::from(spans)
}

/// The text, its holes fainter than what is the same on each line.
fn holes(ui: &Ui, text: &str, style: Style) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for (number, part) in text.split("<*>").enumerate() {
        if number > 0 {
            spans.push(Span::styled("<*>", ui.theme.style(Role::Faint)));
        }
        spans.push(Span::styled(part.to_owned(), style));
    }
    spans
}

/// The time of a day, or the day where it is another one.
fn short_time(ui: &Ui, wall_us: i64) -> String {
    let (date, today) = (ui.zone.date(wall_us), ui.zone.date(ui.snapshot.at.wall_us));
    let day = |text: &str| text.get(..10).unwrap_or(text).to_owned();
    if day(&date) == day(&today) { ui.zone.clock(wall_us) } else { day(&date).get(5..).unwrap_or_default().to_owned() }
}

fn rate(per_minute: f64) -> String {
    if per_minute == 0.0 {
        "·".to_owned()
    } else if per_minute < 10.0 {
        format!("{per_minute:.1}")
    } else {
        count(per_minute as u64)
    }
}

/// What comes much more often than usual is seen.
fn rate_style(ui: &Ui, pattern: &Pattern) -> Style {
    match pattern.factor() {
        Some(factor) if factor >= 3.0 && pattern.per_minute >= 1.0 => ui.theme.style(Role::Warning),
        Some(_) | None => ui.ink(),
    }
}

/// The last hour, five minutes a column.
fn trend(pattern: &Pattern) -> String {
    let mut history = History::default();
    pattern.trend.iter().for_each(|lines| history.push(*lines as f32));
    sparkline(&history, TREND_MINUTES, TREND, None)
}

/// Which are shown.
const fn label(since: Option<Since>) -> &'static str {
    match since {
        None => "all",
        Some(Since::Restart) => "new since the last start",
        Some(Since::Deployment) => "new since the last deployment",
        Some(Since::HealthyHour) => "new since the last healthy hour",
    }
}
