//! Output of the selected, marked or all services. Only the rows that can be seen are made.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{Picked, Titles, empty, filter_spans, panel, put_row};
use crate::{
    model::{
        log::{LogBatch, Stream},
        text,
    },
    tui::{
        format::cell,
        layout::{Areas, inside},
        logs::view::{Row, Scope, Showing},
        theme::Role,
        ui::{Earlier, LogPosition, Pane, Ui},
        widgets::log_line::{self, Fit},
    },
};

/// Longest name beside merged lines.
const NAME: usize = 14;

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
    let Some(Row::Line { slot, line, serial }) = ui.logs.view.row(number) else { return 1 };
    if !ui.logs.wrap {
        return 1;
    }
    let room = usize::from(width).saturating_sub(gutter(ui));
    ui.logs.store.batch(slot, serial).map_or(1, |batch| log_line::rows(batch.line(line as usize), room))
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
    let content = inside(Areas::of(ui)?.pane(Pane::Logs)?);
    let line = i32::try_from(line).ok()?;
    visible(ui, content).into_iter().rev().find(|(_, y)| *y <= line).map(|(number, _)| number)
}

pub(crate) fn draw(frame: &mut Frame<'_>, ui: &Ui, area: Rect) {
    let content =
        panel(frame, ui, Pane::Logs, area, Titles { after: title(ui), right: state(ui), ..Titles::default() });
    if ui.logs.view.is_empty() {
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
    let mut spans = match ui.logs.view.scope() {
        Scope::All => vec![Span::styled(" all services", style)],
        Scope::Services(some) if some.is_empty() => Vec::new(),
        Scope::Services(some) if some.len() == 1 => {
            let id = some.iter().next();
            let index = id.and_then(|id| ui.service_index(id)).unwrap_or(0);
            let name = id.map_or_else(String::new, |id| format!(" {}", id.service));
            vec![Span::styled(name, ui.theme.service(index))]
        }
        Scope::Services(some) => vec![Span::styled(format!(" {} marked", some.len()), style)],
    };
    spans.extend(filter_spans(ui, ui.logs.pattern.as_ref()));
    if let Some(pattern) = &ui.logs.pattern {
        let shown = ui.logs.view.len();
        let kept = ui.logs.view.lines_in_scope(&ui.logs.store);
        let more = if ui.is_behind() { "…" } else { "" };
        let text = match ui.logs.showing {
            Showing::Matches => format!(" {shown}{more} of {kept} · {}", pattern.reading().label()),
            Showing::Context => format!(" in context · {}", pattern.reading().label()),
        };
        spans.push(Span::styled(text, ui.theme.style(Role::Muted)));
    }
    spans
}

fn state(ui: &Ui) -> Vec<Span<'static>> {
    let mut words = Vec::new();
    if ui.logs.missed > 0 {
        words.push(format!("{} batches missed", ui.logs.missed));
    }
    if ui.logs.shift > 0 {
        words.push(format!("→{}", ui.logs.shift));
    }
    if ui.logs.wrap {
        words.push("wrap".to_owned());
    }
    words.push(match ui.logs.position {
        LogPosition::Following => "▼ follow".to_owned(),
        LogPosition::At { row, .. } => format!("line {} of {}", row - ui.logs.view.first() + 1, ui.logs.view.len()),
    });
    vec![Span::raw(words.join(" · "))]
}

fn nothing(frame: &mut Frame<'_>, ui: &Ui, content: Rect) {
    if ui.logs.view.pattern().is_some() && ui.logs.showing == Showing::Matches {
        let sentence = if ui.is_behind() { "looking …" } else { "no line matches" };
        empty(frame, ui, content, sentence, "Esc clears the filter");
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
    let (slot, serial) = row.place();
    let Some(batch) = ui.logs.store.batch(slot, serial) else { return vec![Line::default()] };
    match row {
        Row::Run { .. } => {
            let text = format!(" {} · run from {} ", batch.service.service, ui.zone.clock(batch.wall_us));
            vec![rule(ui, &text, width)]
        }
        Row::Missed { lines, .. } => {
            let text = format!(
                " {lines} line{} of {} did not come here ",
                if lines == 1 { "" } else { "s" },
                batch.service.service
            );
            vec![rule(ui, &text, width)]
        }
        Row::Line { line, .. } => line_rows(ui, batch, line as usize, slot, width),
    }
}

fn rule(ui: &Ui, words: &str, width: usize) -> Line<'static> {
    let after = width.saturating_sub(text::width(words) + 2);
    Line::from(vec![
        Span::styled("──", ui.theme.style(Role::Border)),
        Span::styled(words.to_owned(), ui.theme.style(Role::Muted)),
        Span::styled("─".repeat(after), ui.theme.style(Role::Border)),
    ])
}

fn line_rows(ui: &Ui, batch: &LogBatch, index: usize, slot: u32, width: usize) -> Vec<Line<'static>> {
    let Some(line) = batch.lines.get(index) else { return vec![Line::default()] };
    let room = width.saturating_sub(gutter(ui));
    let fit = if ui.logs.wrap {
        Fit::Wrap { columns: room.max(1) }
    } else {
        Fit::Cut { from: usize::from(ui.logs.shift), columns: room }
    };
    let highlight = ui.logs.pattern.as_ref().and_then(|pattern| pattern.highlight());
    let base = ui.ink();
    let rows = log_line::render(batch.text_of(*line), fit, highlight, &ui.theme, base);
    rows.into_iter()
        .enumerate()
        .map(|(number, mut row)| {
            let mut spans = before(ui, batch, line.stream, slot, number == 0);
            spans.append(&mut row.spans);
            Line::from(spans)
        })
        .collect()
}

/// Time, name and stream of a line; blank beside the rows that only continue it.
fn before(ui: &Ui, batch: &LogBatch, stream: Stream, slot: u32, is_first: bool) -> Vec<Span<'static>> {
    let mut spans = Vec::with_capacity(3);
    if ui.logs.timestamps {
        let time = if is_first { ui.zone.clock_millis(batch.wall_us) } else { String::new() };
        spans.push(Span::styled(format!("{time:<13}"), ui.theme.style(Role::Faint)));
    }
    let index = ui.service_index(&batch.service).unwrap_or(slot as usize);
    if ui.logs.view.scope().is_merged() {
        let name = if is_first { batch.service.service.as_str() } else { "" };
        spans.push(Span::styled(format!("{} ", cell(name, name_width(ui))), ui.theme.service(index)));
    }
    let (mark, style) = match stream {
        Stream::Stdout => ("▏ ", ui.theme.service(index)),
        Stream::Stderr => ("▌ ", ui.theme.style(Role::Error)),
    };
    spans.push(Span::styled(mark, style));
    spans
}
