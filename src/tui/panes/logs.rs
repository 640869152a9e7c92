//! Output of the selected, marked or all services. Only the rows that can be seen are made.

mod entry;
pub(crate) mod histogram;

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{Picked, Titles, empty, panel, put_row, timeline};
use crate::{
    insight::filter::Term,
    model::{
        level::Level,
        log::LogBatch,
        text,
        timeline::{Entry, Severity},
    },
    tui::{
        format::{cell, clean, spans_width},
        layout::{Areas, inside},
        logs::{
            row::{EntryRow, Row, Scope},
            view::Showing,
        },
        theme::Role,
        ui::{Earlier, LogPosition, Pane, Ui},
        widgets::units,
    },
};

/// Longest name beside merged lines.
const NAME: usize = 14;

/// The look of a level.
pub(crate) fn level_style(ui: &Ui, level: Level) -> Style {
    match level {
        Level::Trace | Level::Debug => ui.theme.style(Role::Faint),
        Level::Info => ui.theme.style(Role::Info),
        Level::Warn => ui.theme.style(Role::Warning),
        Level::Error | Level::Fatal => ui.theme.style(Role::Error),
    }
}

/// Rows above the lines: what narrows them, and the histogram.
fn above(ui: &Ui, inner: Rect) -> (u16, u16) {
    let chips = u16::from(ui.logs.is_narrowed());
    let wanted = histogram::ROWS + histogram::AXIS;
    let fits = inner.height >= chips + wanted + histogram::LEAST_BELOW;
    (chips, if ui.logs.histogram.shown && fits { wanted } else { 0 })
}

/// Where the lines are, of the room inside the frame.
pub(crate) fn content_area(ui: &Ui, inner: Rect) -> Rect {
    let (chips, bars) = above(ui, inner);
    let taken = (chips + bars).min(inner.height);
    Rect { y: inner.y + taken, height: inner.height - taken, ..inner }
}

/// Where the bars are, of the room inside the frame; none where there are none.
pub(crate) fn bars_area(ui: &Ui, inner: Rect) -> Option<Rect> {
    let (chips, bars) = above(ui, inner);
    (bars > 0).then(|| Rect { y: inner.y + chips, height: bars, ..inner })
}

/// Columns before the text of a line.
fn gutter(ui: &Ui) -> usize {
    let time = if ui.logs.timestamps { 13 } else { 0 };
    let name = if ui.logs.view.scope().is_merged() { name_width(ui) + 1 } else { 0 };
    time + name + 2
}

fn name_width(ui: &Ui) -> usize {
    let longest = ui.logs.store.rings().iter().map(|ring| ring.service.service.as_str().len()).max();
    longest.unwrap_or(0).clamp(3, NAME)
}

/// Rows of the screen that row `number` takes in a pane of `width` columns.
pub(crate) fn row_height(ui: &Ui, number: i64, width: u16) -> usize {
    let Some(entry) = ui.logs.view.row(number).and_then(Row::entry) else { return 1 };
    let file = ui.logs.store.batch(entry.slot, entry.serial).map_or(0, |batch| file_width(batch));
    let room = usize::from(width).saturating_sub(gutter(ui) + file);
    entry::height(ui, entry, room)
}

/// The rows that can be seen, each with its first line on the screen (which may lie above it).
fn visible(ui: &Ui, content: Rect) -> Vec<(i64, i32)> {
    let height = i32::from(content.height);
    let rows = |number: i64| i32::try_from(row_height(ui, number, content.width)).unwrap_or(height);
    let mut seen = Vec::new();
    match ui.logs.position {
        LogPosition::Following => {
            let mut y = height;
            let mut number = ui.logs.view.last();
            while y > 0 && number >= ui.logs.view.first() {
                y -= rows(number);
                seen.push((number, y));
                number -= 1;
            }
            // A short log begins at the top.
            let lift = y.max(0);
            for (_, line) in &mut seen {
                *line -= lift;
            }
            seen.reverse();
        }
        LogPosition::At { top, .. } => {
            let (mut y, mut number) = (0, top);
            while y < height && number <= ui.logs.view.last() {
                seen.push((number, y));
                y += rows(number);
                number += 1;
            }
        }
    }
    seen
}

/// The row of the index that is drawn at line `line` of the pane.
pub(crate) fn row_at(ui: &Ui, line: usize) -> Option<i64> {
    let inner = inside(Areas::of(ui)?.pane(Pane::Logs)?);
    let content = content_area(ui, inner);
    let line = i32::try_from(line).ok()? - i32::from(content.y - inner.y);
    visible(ui, content).into_iter().rev().find(|(_, y)| *y <= line).map(|(number, _)| number)
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let inner = panel(frame, ui, Pane::Logs, area, Titles { after: title(ui), right: state(ui), ..Titles::default() });
    let content = content_area(ui, inner);
    if ui.logs.is_narrowed() && inner.height > 0 {
        frame.render_widget(chips(ui, usize::from(inner.width)), Rect { height: 1, ..inner });
    }
    if let Some(bars) = bars_area(ui, inner) {
        histogram::draw(frame.buffer_mut(), ui, bars);
    }
    let waits = matches!(ui.logs.earlier, Earlier::Asked { .. });
    if ui.logs.view.is_empty() || waits {
        nothing(frame, ui, content);
        return;
    }
    let (selected, anchor) = match ui.logs.position {
        LogPosition::Following => (None, None),
        LogPosition::At { row, anchor, .. } => (Some(row), anchor),
    };
    let range = selected.map(|row| row.min(anchor.unwrap_or(row))..=row.max(anchor.unwrap_or(row)));
    for (number, y) in visible(ui, content) {
        let is_selected = range.as_ref().is_some_and(|range| range.contains(&number));
        let lines = row_lines(ui, number, usize::from(content.width));
        for (y, line) in (y..).zip(lines) {
            if y < 0 || y >= i32::from(content.height) {
                continue;
            }
            let row = Rect { y: content.y + u16::try_from(y).unwrap_or(0), height: 1, ..content };
            put_row(frame, ui, Pane::Logs, row, line, Picked::when(is_selected));
        }
    }
}

fn title(ui: &Ui) -> Vec<Span<'static>> {
    let style = ui.ink();
    match ui.logs.view.scope() {
        Scope::All => vec![Span::styled(" all services", style)],
        Scope::Services(some) if some.is_empty() => Vec::new(),
        Scope::Services(some) if some.len() == 1 => {
            let id = some.iter().next();
            let index = id.and_then(|id| ui.service_index(id)).unwrap_or(0);
            let name = id.map_or_else(String::new, |id| format!(" {}", id.service));
            vec![Span::styled(name, ui.theme.service(index))]
        }
        Scope::Services(some) => vec![Span::styled(format!(" {} marked", some.len()), style)],
    }
}

/// What narrows the lines, and how many are left.
fn chips(ui: &Ui, width: usize) -> Line<'static> {
    let mut spans = Vec::new();
    let mut chip = |text: String, role: Role| {
        spans.push(Span::styled(format!(" {text} "), ui.theme.style(role)));
        spans.push(Span::raw(" "));
    };
    if let Some(level) = ui.logs.level {
        chip(format!("≥ {}", level.label()), if level >= Level::Error { Role::Error } else { Role::Warning });
    }
    if let Some(range) = &ui.logs.range {
        chip(range.label.clone(), Role::Accent);
    }
    for term in &ui.logs.terms {
        chip(format!("{} {}", term_label(term), clean(term.source(), 40)), Role::Match);
    }
    let muted = ui.theme.style(Role::Muted);
    spans.push(Span::styled(count(ui), muted));
    if let Some(found) = progress(ui) {
        spans.push(Span::styled(found, muted));
    }
    let mut line = Line::from(spans);
    while spans_width(&line.spans) > width && line.spans.len() > 1 {
        line.spans.pop();
    }
    line
}

const fn term_label(term: &Term) -> &'static str {
    term.reading().label()
}

fn count(ui: &Ui) -> String {
    let more = if ui.is_behind() { "…" } else { "" };
    match ui.logs.showing {
        Showing::Matches => {
            let around = if ui.logs.around > 0 { format!(" ±{}", ui.logs.around) } else { String::new() };
            let kept = ui.logs.view.lines_in_scope(&ui.logs.store);
            let [lines, older] = ui.logs.view.lines();
            let older = if older > 0 { format!(" + {older} older") } else { String::new() };
            format!("{lines}{more} of {kept}{older}{around}")
        }
        Showing::Whole => "among all lines".to_owned(),
    }
}

/// How far what is not in memory was looked through.
fn progress(ui: &Ui) -> Option<String> {
    let past = &ui.logs.past;
    if let Some(trouble) = &past.trouble {
        return Some(format!(" · older lines cannot be had: {}", clean(trouble, 60)));
    }
    let all = past.looked_bytes + past.left_bytes;
    if all == 0 {
        return None;
    }
    let looked = units::bytes(past.looked_bytes);
    let of = if past.is_complete { String::new() } else { format!(" of {}", units::bytes(all)) };
    Some(format!(" · {looked}{of} of the store looked through"))
}

fn state(ui: &Ui) -> Vec<Span<'static>> {
    let mut words = Vec::new();
    if ui.logs.past.asked.is_some() {
        words.push("older …".to_owned());
    }
    if ui.logs.missed > 0 {
        words.push(format!("{} batches missed", ui.logs.missed));
    }
    if ui.logs.shift > 0 {
        words.push(format!("→{}", ui.logs.shift));
    }
    if !ui.logs.wrap {
        words.push("cut".to_owned());
    }
    words.push(match ui.logs.position {
        LogPosition::Following => "▼ follow".to_owned(),
        LogPosition::At { row, anchor: Some(anchor), .. } => format!("{} rows selected", row.abs_diff(anchor) + 1),
        LogPosition::At { row, .. } => {
            let more = if ui.logs.past.is_complete { "" } else { "+" };
            format!("row {} of {}{more}", row - ui.logs.view.first() + 1, ui.logs.view.len())
        }
    });
    vec![Span::raw(words.join(" · "))]
}

fn nothing(frame: &mut Frame<'_>, ui: &Ui, content: Rect) {
    let is_looking = ui.is_behind() || ui.logs.past.asked.is_some();
    if ui.logs.is_narrowed() && ui.logs.showing == Showing::Matches {
        let sentence = if is_looking { "looking …" } else { "no line matches" };
        empty(frame, ui, content, sentence, "Esc takes the last filter off");
        return;
    }
    if let Earlier::Asked { .. } = ui.logs.earlier {
        empty(frame, ui, content, "asking for earlier lines …", "");
        return;
    }
    let hint = ui.selected_service().map_or_else(String::new, |service| service.why.clone());
    empty(frame, ui, content, "no output yet", &hint);
}

/// The lines of the screen that a row is.
fn row_lines(ui: &Ui, number: i64, width: usize) -> Vec<Line<'static>> {
    let Some(row) = ui.logs.view.row(number) else { return Vec::new() };
    let batch_of = |slot, serial| ui.logs.store.batch(slot, serial);
    match row {
        Row::Run { slot, serial } => {
            let Some(batch) = batch_of(slot, serial) else { return vec![Line::default()] };
            let text = format!(" {} · run from {} ", batch.service.service, ui.zone.clock(batch.wall_us));
            vec![rule(ui, &text, ui.theme.style(Role::Muted), width)]
        }
        Row::Missed { lines, slot, serial } => {
            let Some(batch) = batch_of(slot, serial) else { return vec![Line::default()] };
            let s = if lines == 1 { "" } else { "s" };
            let text = format!(" {lines} line{s} of {} did not come here ", batch.service.service);
            vec![rule(ui, &text, ui.theme.style(Role::Muted), width)]
        }
        Row::Event { seq } => ui.logs.view.event(seq).map(|entry| vec![event(ui, entry, width)]).unwrap_or_default(),
        Row::Gap => {
            let text = " lines that are not loaded · go on down to load them, G for the newest ";
            vec![rule(ui, text, ui.theme.style(Role::Accent), width)]
        }
        Row::Entry(entry) => {
            let Some(batch) = batch_of(entry.slot, entry.serial) else { return vec![Line::default()] };
            entry_rows(ui, batch, entry, width)
        }
    }
}

fn rule(ui: &Ui, words: &str, style: Style, width: usize) -> Line<'static> {
    let words = text::truncate(words, width.saturating_sub(2));
    let after = width.saturating_sub(text::width(&words) + 2);
    Line::from(vec![
        Span::styled("──", ui.theme.style(Role::Border)),
        Span::styled(words.into_owned(), style),
        Span::styled("─".repeat(after), ui.theme.style(Role::Border)),
    ])
}

/// What happened to a service, between its lines.
fn event(ui: &Ui, entry: &Entry, width: usize) -> Line<'static> {
    let severity = entry.severity();
    let name = entry.service.as_ref().map_or("cas", |service| service.as_str());
    let why = if entry.why.is_empty() { String::new() } else { format!(" — {}", entry.why) };
    let words =
        format!(" {} {} {name} {}{why} ", ui.zone.clock(entry.at.wall_us), timeline::icon(severity), entry.sentence());
    let style = match severity {
        Severity::Info => ui.theme.style(Role::Muted),
        Severity::Good | Severity::Warning | Severity::Error => ui.theme.severity(severity),
    };
    rule(ui, &clean(&words, width), style, width)
}

fn entry_rows(ui: &Ui, batch: &LogBatch, entry: EntryRow, width: usize) -> Vec<Line<'static>> {
    let room = width.saturating_sub(gutter(ui) + file_width(batch));
    entry::rows(ui, entry, room)
        .into_iter()
        .enumerate()
        .map(|(number, mut row)| {
            let mut spans = before(ui, batch, entry, number == 0);
            spans.append(&mut row.spans);
            Line::from(spans)
        })
        .collect()
}

/// The last part of the name of a file from which lines come.
fn file_name(file: &str) -> String {
    clean(file.rsplit('/').next().unwrap_or(file), NAME)
}

/// Columns of the name of the file from which lines come, and of the space behind it.
fn file_width(batch: &LogBatch) -> usize {
    batch.source.file().map_or(0, |file| text::width(&file_name(file)) + 1)
}

/// Time, name and stream of a line; blank beside the rows that only continue it.
fn before(ui: &Ui, batch: &LogBatch, entry: EntryRow, is_first: bool) -> Vec<Span<'static>> {
    let mut spans = Vec::with_capacity(3);
    if ui.logs.timestamps {
        let time = if is_first { ui.zone.clock_millis(batch.wall_us) } else { String::new() };
        spans.push(Span::styled(format!("{time:<13}"), ui.theme.style(Role::Faint)));
    }
    let index = ui.service_index(&batch.service).unwrap_or(entry.slot as usize);
    if ui.logs.view.scope().is_merged() {
        let name = if is_first { batch.service.service.as_str() } else { "" };
        spans.push(Span::styled(format!("{} ", cell(name, name_width(ui))), ui.theme.service(index)));
    }
    if let Some(line) = batch.lines.get(entry.line as usize) {
        spans.extend(entry::mark(ui, entry, line.stream, index, is_first));
    }
    if let Some(file) = batch.source.file() {
        let name = if is_first { file_name(file) } else { String::new() };
        spans.push(Span::styled(cell(&name, file_width(batch)), ui.theme.style(Role::Muted)));
    }
    spans
}
