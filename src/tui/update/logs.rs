//! Output coming in, and keys of the logs.

use std::sync::Arc;

use super::{Motion, say};
use crate::{
    model::{
        log::{LogBatch, LogNews},
        text,
        timeline::Severity,
    },
    tui::{
        action::{ListKey, LogsKey},
        layout::{Areas, inside},
        logs::view::{Row, Showing},
        message::UiEffect,
        panes::logs::row_height,
        ui::{Earlier, LogPosition, Pane, Ui},
    },
};

/// Columns that one press scrolls long lines.
const SHIFT: u16 = 16;

/// Batches that wait for what came before them; if it has not come by then, it is not waited for.
const PATIENCE: usize = 512;

pub(super) fn act(ui: &mut Ui, action: LogsKey) {
    let logs = &mut ui.logs;
    match action {
        LogsKey::ToggleFollow => match logs.position {
            LogPosition::Following => pin(ui),
            LogPosition::At { .. } => logs.position = LogPosition::Following,
        },
        LogsKey::ToggleWrap => {
            logs.wrap = !logs.wrap;
            logs.shift = 0;
        }
        LogsKey::ToggleTimestamps => logs.timestamps = !logs.timestamps,
        LogsKey::ToggleContext => {
            logs.showing = match logs.showing {
                Showing::Matches => Showing::Context,
                Showing::Context => Showing::Matches,
            };
        }
        LogsKey::ToggleAll => logs.everyone = !logs.everyone,
        LogsKey::ScrollLeft => logs.shift = logs.shift.saturating_sub(SHIFT),
        LogsKey::ScrollRight => {
            logs.wrap = false;
            logs.shift = logs.shift.saturating_add(SHIFT).min(8192);
        }
    }
}

/// Takes output in; the picture is out of date only where the lines can be seen.
pub(super) fn take(ui: &mut Ui, news: LogNews) -> Vec<UiEffect> {
    match news {
        LogNews::Missed { batches } => {
            ui.logs.missed = ui.logs.missed.saturating_add(batches);
            ui.stale = true;
        }
        LogNews::Batch(batch) => {
            let before = ui.logs.view.last();
            if let Earlier::Asked { meanwhile } = &mut ui.logs.earlier
                && meanwhile.len() < PATIENCE
            {
                meanwhile.push(batch);
                return Vec::new();
            }
            take_history(ui, Vec::new());
            keep(ui, batch);
            let is_visible = Areas::of(ui).is_some_and(|areas| areas.pane(Pane::Logs).is_some());
            if is_visible && ui.logs.view.last() != before {
                ui.stale = true;
            }
        }
    }
    Vec::new()
}

pub(super) fn take_history(ui: &mut Ui, batches: Vec<Arc<LogBatch>>) {
    let before = std::mem::replace(&mut ui.logs.earlier, Earlier::Known);
    let meanwhile = match before {
        Earlier::Asked { meanwhile } => meanwhile,
        Earlier::Known => Vec::new(),
    };
    for batch in batches.into_iter().chain(meanwhile) {
        keep(ui, batch);
    }
}

fn keep(ui: &mut Ui, batch: Arc<LogBatch>) {
    let logs = &mut ui.logs;
    let Some(taken) = logs.store.take(batch) else { return };
    let dropped = logs.view.follow(&logs.store, taken);
    if let LogPosition::At { row, top, anchor } = &mut logs.position {
        // What was dropped in front leaves a gap that the first row closes.
        let first = logs.view.first();
        let now = |number: i64| dropped.renumber(number).max(first);
        *row = now(*row);
        *top = now(*top);
        *anchor = anchor.map(now);
    }
}

/// Shows what is asked for, and keeps the selection within it and visible.
pub(super) fn settle(ui: &mut Ui) {
    let scope = ui.log_scope();
    let logs = &mut ui.logs;
    let is_same = scope == *logs.view.scope()
        && logs.pattern.as_ref() == logs.view.pattern()
        && logs.showing == logs.view.showing();
    if !is_same {
        logs.position = LogPosition::Following;
        logs.view.show(&logs.store, scope, logs.pattern.clone(), logs.showing);
        // A screenful at once, the rest when there is time.
        logs.view.work(&logs.store, 64 * 1024);
    }
    let LogPosition::At { row, top, anchor } = ui.logs.position else { return };
    let (first, last) = (ui.logs.view.first(), ui.logs.view.last());
    if last < first {
        ui.logs.position = LogPosition::Following;
        return;
    }
    let row = row.clamp(first, last);
    let anchor = anchor.map(|anchor| anchor.clamp(first, last));
    let top = top.clamp(lowest_top(ui, row), row);
    ui.logs.position = LogPosition::At { row, top: top.max(first), anchor };
}

/// The first row that can stand at the top so that `row` is still seen whole.
fn lowest_top(ui: &Ui, row: i64) -> i64 {
    let area = Areas::of(ui).and_then(|areas| areas.pane(Pane::Logs)).map(inside).unwrap_or_default();
    let mut room = usize::from(area.height);
    let mut top = row;
    while top >= ui.logs.view.first() {
        let height = row_height(ui, top, area.width);
        if height > room {
            break;
        }
        room -= height;
        top -= 1;
    }
    (top + 1).min(row)
}

/// Stops following: selects the newest row.
fn pin(ui: &mut Ui) {
    let row = ui.logs.view.last();
    if row >= ui.logs.view.first() {
        ui.logs.position = LogPosition::At { row, top: lowest_top(ui, row), anchor: None };
    }
}

pub(super) fn scroll(ui: &mut Ui, motion: Motion) {
    if motion == Motion::Bottom {
        ui.logs.position = LogPosition::Following;
        return;
    }
    if ui.logs.position == LogPosition::Following {
        if !motion.is_up() && motion != Motion::Top {
            return;
        }
        pin(ui);
    }
    let (first, last) = (ui.logs.view.first(), ui.logs.view.last());
    if let LogPosition::At { row, top, anchor } = ui.logs.position {
        let to = match motion {
            Motion::Top => first,
            Motion::Bottom => last,
            Motion::By(rows) => row.saturating_add(rows).clamp(first, last.max(first)),
        };
        ui.logs.position = LogPosition::At { row: to, top, anchor };
    }
}

/// Selects row `number`, as a click does.
pub(super) fn select(ui: &mut Ui, number: i64) {
    if ui.logs.position == LogPosition::Following {
        pin(ui);
    }
    if let LogPosition::At { top, .. } = ui.logs.position {
        ui.logs.position = LogPosition::At { row: number, top: top.min(number), anchor: None };
    }
}

pub(super) fn next_match(ui: &mut Ui, motion: Motion) {
    if ui.logs.position == LogPosition::Following {
        pin(ui);
    }
    let LogPosition::At { row, top, anchor } = ui.logs.position else { return };
    let step = if motion.is_up() { -1 } else { 1 };
    let mut number = row + step;
    while ui.logs.view.row(number).is_some() {
        if ui.logs.view.is_match(&ui.logs.store, number) {
            ui.logs.position = LogPosition::At { row: number, top, anchor };
            return;
        }
        number += step;
    }
    let (text, key) =
        if step > 0 { ("no match below", ListKey::PreviousMatch) } else { ("no match above", ListKey::NextMatch) };
    let hint = ui.keymap.key(key.into()).map(|key| format!("{key} looks the other way"));
    say(ui, Severity::Info, text.to_owned(), hint);
}

pub(super) const fn toggle_anchor(ui: &mut Ui) {
    if let LogPosition::At { row, anchor, .. } = &mut ui.logs.position {
        *anchor = match anchor {
            None => Some(*row),
            Some(_) => None,
        };
    }
}

fn line_text(ui: &Ui, number: i64) -> Option<String> {
    match ui.logs.view.row(number)? {
        Row::Line { slot, line, serial } => {
            let batch = ui.logs.store.batch(slot, serial)?;
            Some(text::plain(batch.line(line as usize)).into_owned())
        }
        Row::Run { .. } | Row::Missed { .. } => None,
    }
}

/// The selected rows, or while following those of the last screenful.
pub(super) fn text_to_copy(ui: &Ui) -> Option<String> {
    let last = ui.logs.view.last();
    let range = match ui.logs.position {
        LogPosition::Following => {
            let height = i64::try_from(ui.pane_height(Pane::Logs)).unwrap_or(1);
            (last - height + 1).max(ui.logs.view.first())..=last
        }
        LogPosition::At { row, anchor, .. } => {
            let anchor = anchor.unwrap_or(row);
            row.min(anchor)..=row.max(anchor)
        }
    };
    let lines: Vec<String> = range.filter_map(|number| line_text(ui, number)).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The selected line with a title, for reading it whole.
pub(super) fn selected_text(ui: &Ui) -> Option<(String, String)> {
    let number = match ui.logs.position {
        LogPosition::Following => ui.logs.view.last(),
        LogPosition::At { row, .. } => row,
    };
    let text = line_text(ui, number)?;
    let (slot, serial) = ui.logs.view.row(number)?.place();
    let batch = ui.logs.store.batch(slot, serial)?;
    Some((format!("{} · {}", batch.service, ui.zone.clock_millis(batch.wall_us)), text))
}
