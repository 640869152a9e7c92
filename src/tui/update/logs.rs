//! Output coming in, and keys of the logs.

use std::{collections::HashSet, sync::Arc};

use super::{Motion, histogram, past, say};
use crate::{
    insight::filter::Term,
    model::{
        level::Level,
        log::{LogBatch, LogNews},
        timeline::Severity,
    },
    tui::{
        action::{ListKey, LogsKey},
        layout::{Areas, inside},
        logs::{
            row::{EntryRow, Row, Standing},
            view::{Showing, Wanted},
        },
        message::UiEffect,
        modals::{Modal, share, text::TextKind},
        panes::logs::{content_area, row_height},
        ui::{Earlier, Goal, LogPosition, Pane, TimeRange, Ui},
    },
};

/// Columns that one press scrolls long lines.
const SHIFT: u16 = 16;

/// Batches that wait for what came before them; if it has not come by then, it is not waited for.
const PATIENCE: usize = 512;

/// Entries around a match, in the order in which a key chooses them.
const AROUND: [usize; 4] = [0, 2, 5, 10];

pub(super) fn act(ui: &mut Ui, action: LogsKey) -> Vec<UiEffect> {
    let logs = &mut ui.logs;
    match action {
        LogsKey::ToggleFollow => match logs.position {
            LogPosition::Following => pin(ui),
            LogPosition::At { .. } => follow(ui),
        },
        LogsKey::AddFilter => super::prompt::open_another(ui),
        LogsKey::DropFilter => {
            drop_last(ui);
        }
        LogsKey::Level => next_level(ui),
        LogsKey::NextError => next_of(ui, Level::Error, Motion::By(1)),
        LogsKey::PreviousError => next_of(ui, Level::Error, Motion::By(-1)),
        LogsKey::NextWarning => next_of(ui, Level::Warn, Motion::By(1)),
        LogsKey::PreviousWarning => next_of(ui, Level::Warn, Motion::By(-1)),
        LogsKey::SinceNow => since(ui, "from now", 0),
        LogsKey::SinceMinute => since(ui, "last 1 m", 60),
        LogsKey::SinceFiveMinutes => since(ui, "last 5 m", 300),
        LogsKey::SinceQuarter => since(ui, "last 15 m", 900),
        LogsKey::SinceHalfHour => since(ui, "last 30 m", 1800),
        LogsKey::SinceHour => since(ui, "last 1 h", 3600),
        LogsKey::SinceDay => since(ui, "last 24 h", 86_400),
        LogsKey::Around => {
            let place = AROUND.iter().position(|around| *around == logs.around).unwrap_or(0);
            logs.around = AROUND[(place + 1) % AROUND.len()];
        }
        LogsKey::ToggleContext => toggle_whole(ui),
        LogsKey::Histogram => histogram::toggle(ui),
        LogsKey::PickEarlier => histogram::pick(ui, -1),
        LogsKey::PickLater => histogram::pick(ui, 1),
        LogsKey::StretchEarlier => histogram::stretch(ui, -1),
        LogsKey::StretchLater => histogram::stretch(ui, 1),
        LogsKey::Unfold => {
            logs.unfold_all = !logs.unfold_all;
            logs.unfolded.clear();
        }
        LogsKey::ToggleWritten => logs.as_written = !logs.as_written,
        LogsKey::ToggleEvents => logs.without_events = !logs.without_events,
        LogsKey::Visual => {
            if logs.position == LogPosition::Following {
                pin(ui);
            }
            toggle_anchor(ui);
        }
        LogsKey::Bookmark => toggle_mark(ui),
        LogsKey::NextBookmark => next_marked(ui, Motion::By(1)),
        LogsKey::PreviousBookmark => next_marked(ui, Motion::By(-1)),
        LogsKey::Share => ui.modal = Some(Modal::Share(share::Share::new(ui))),
        LogsKey::ToggleWrap => {
            logs.wrap = !logs.wrap;
            logs.shift = 0;
        }
        LogsKey::ToggleTimestamps => logs.timestamps = !logs.timestamps,
        LogsKey::ToggleAll => logs.everyone = !logs.everyone,
        LogsKey::ScrollLeft => logs.shift = logs.shift.saturating_sub(SHIFT),
        LogsKey::ScrollRight => {
            logs.wrap = false;
            logs.shift = logs.shift.saturating_add(SHIFT).min(8192);
        }
    }
    Vec::new()
}

/// Only what came in the last `seconds`; where that is so already, all.
fn since(ui: &mut Ui, label: &str, seconds: i64) {
    let is_on = ui.logs.range.as_ref().is_some_and(|range| range.label == label);
    let since_us = ui.snapshot.at.wall_us.saturating_sub(seconds * 1_000_000);
    ui.logs.range = (!is_on).then(|| TimeRange { label: label.to_owned(), since_us, until_us: None });
    histogram::let_go(ui);
}

fn next_level(ui: &mut Ui) {
    ui.logs.level = match ui.logs.level {
        None => Some(Level::Warn),
        Some(Level::Warn) => Some(Level::Error),
        Some(Level::Error | Level::Fatal) => Some(Level::Info),
        Some(Level::Trace | Level::Debug | Level::Info) => None,
    };
}

/// Takes off what narrows the lines, the last first: a filter, a time, a level. False where nothing does.
pub(super) fn drop_last(ui: &mut Ui) -> bool {
    let logs = &mut ui.logs;
    logs.goal = match logs.position {
        LogPosition::At { row, .. } => logs.view.row(row).and_then(Row::entry).map(|entry| Goal::Entry(entry.key())),
        LogPosition::Following => None,
    };
    if logs.terms.pop().is_some() {
        logs.showing = Showing::Matches;
        return true;
    }
    if logs.range.take().is_some() {
        histogram::let_go(ui);
        return true;
    }
    if logs.level.take().is_some() {
        return true;
    }
    logs.goal = None;
    false
}

/// From a match to its place among all lines, or back to the matches.
fn toggle_whole(ui: &mut Ui) {
    if ui.logs.terms.is_empty() && ui.logs.level.is_none() {
        say(ui, Severity::Info, "all lines are shown already".to_owned(), None);
        return;
    }
    let selected = selected_entry(ui);
    if ui.logs.showing == Showing::Matches && past::jump(ui, selected) {
        return;
    }
    ui.logs.showing = match ui.logs.showing {
        Showing::Matches => Showing::Whole,
        Showing::Whole => Showing::Matches,
    };
    ui.logs.goal = selected.map(|entry| Goal::Entry(entry.key()));
}

/// The entry that keys act on; while following, the newest.
fn selected_entry(ui: &Ui) -> Option<EntryRow> {
    let number = match ui.logs.position {
        LogPosition::Following => ui.logs.view.last(),
        LogPosition::At { row, .. } => row,
    };
    ui.logs.view.row(number)?.entry()
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
    match std::mem::replace(&mut ui.logs.earlier, Earlier::Known) {
        Earlier::Asked { meanwhile } => {
            for batch in batches.into_iter().chain(meanwhile) {
                ui.logs.store.take(batch);
            }
            // What happened stands between the lines, which are here only now.
            show(ui, wanted(ui));
        }
        Earlier::Known => batches.into_iter().for_each(|batch| keep(ui, batch)),
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
    let wanted = wanted(ui);
    if wanted != *ui.logs.view.wanted() {
        let before = ui.logs.view.wanted();
        if (Wanted { since_us: wanted.since_us, until_us: wanted.until_us, ..before.clone() }) != wanted {
            // Those were bars of other lines.
            ui.logs.histogram.frozen = None;
        }
        show(ui, wanted);
    } else if ui.logs.view.follow_events(&ui.snapshot.timeline) {
        ui.stale = true;
    }
    go_to_goal(ui);
    let LogPosition::At { row, top, anchor } = ui.logs.position else { return };
    let (first, last) = (ui.logs.view.first(), ui.logs.view.last());
    if last < first {
        if !ui.logs.view.is_behind() && ui.logs.past.asked.is_none() {
            ui.logs.position = LogPosition::Following;
        }
        return;
    }
    let row = row.clamp(first, last);
    let anchor = anchor.map(|anchor| anchor.clamp(first, last));
    let lowest = lowest_top(ui, row);
    // No room is left below the last row while there are rows above.
    let top = top.clamp(lowest, row.min(lowest_top(ui, last)).max(lowest));
    ui.logs.position = LogPosition::At { row, top: top.max(first), anchor };
}

/// What the keys have asked for.
fn wanted(ui: &Ui) -> Wanted {
    let logs = &ui.logs;
    let range = logs.range.as_ref();
    Wanted {
        scope: ui.log_scope(),
        filter: crate::insight::filter::Filter::new(logs.terms.clone(), logs.level),
        since_us: range.map(|range| range.since_us),
        until_us: range.and_then(|range| range.until_us),
        showing: logs.showing,
        around: if logs.terms.is_empty() && logs.level.is_none() { 0 } else { logs.around },
        events: !logs.without_events,
    }
}

fn show(ui: &mut Ui, wanted: Wanted) {
    let logs = &mut ui.logs;
    logs.position = LogPosition::Following;
    logs.unfolded.clear();
    logs.store.forget_past();
    logs.view.show(&logs.store, wanted, &ui.snapshot.timeline);
    past::begin_anew(ui);
    // A screenful at once, the rest when there is time.
    ui.logs.view.work(&ui.logs.store, 64 * 1024);
}

/// Selects what is to be gone to, such as the entry that was selected before something else was asked for, once it is among the rows.
fn go_to_goal(ui: &mut Ui) {
    let Some(goal) = ui.logs.goal else { return };
    // To look for it costs as much as there are rows, so it is looked for once, when all are there.
    if ui.logs.view.is_behind() || !matches!(ui.logs.earlier, Earlier::Known) {
        return;
    }
    ui.logs.goal = None;
    match goal {
        Goal::Entry(key) => {
            if let Some(row) = ui.logs.view.find(key) {
                past::show_row(ui, row);
            }
        }
        Goal::Time(us) => past::go_to_time(ui, us),
    }
}

/// The first row that can stand at the top so that `row` is still seen whole.
fn lowest_top(ui: &Ui, row: i64) -> i64 {
    let area = Areas::of(ui).and_then(|areas| areas.pane(Pane::Logs)).map(inside).unwrap_or_default();
    let area = content_area(ui, area);
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
        follow(ui);
        return;
    }
    if motion == Motion::Top && past::ask_for_the_oldest(ui) {
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

/// Goes with the newest line.
pub(super) fn follow(ui: &mut Ui) {
    ui.logs.position = LogPosition::Following;
    past::leave(ui);
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
    let is_hit = |_, row: Row| row.entry().is_some_and(|entry| entry.standing == Standing::Hit);
    go_to(ui, motion, is_hit, "match", (ListKey::NextMatch.into(), ListKey::PreviousMatch.into()));
}

/// To the next entry that is at least so serious.
fn next_of(ui: &mut Ui, least: Level, motion: Motion) {
    let is_so = |_, row: Row| row.entry().is_some_and(|entry| entry.level.is_some_and(|level| level >= least));
    let (word, keys) = if least >= Level::Error {
        ("error", (LogsKey::NextError.into(), LogsKey::PreviousError.into()))
    } else {
        ("warning", (LogsKey::NextWarning.into(), LogsKey::PreviousWarning.into()))
    };
    go_to(ui, motion, is_so, word, keys);
}

/// To the first line that is not older than a time that was typed.
pub(super) fn go_to_time(ui: &mut Ui, typed: &str) {
    match crate::tui::when::parse(typed, ui.snapshot.at.wall_us, ui.zone) {
        Ok(us) => ui.logs.goal = Some(Goal::Time(us)),
        Err(sentence) => say(ui, Severity::Warning, sentence, None),
    }
}

/// Marks the selected entry, or unmarks it.
fn toggle_mark(ui: &mut Ui) {
    if ui.logs.position == LogPosition::Following {
        pin(ui);
    }
    let mark = selected_entry(ui).and_then(|entry| ui.logs.mark_of(entry));
    let Some(mark) = mark else {
        say(ui, Severity::Info, "no line is selected".to_owned(), None);
        return;
    };
    if !ui.logs.marks.remove(&mark) {
        ui.logs.marks.insert(mark);
    }
}

fn next_marked(ui: &mut Ui, motion: Motion) {
    let marked: HashSet<i64> = ui.logs.marked_rows().collect();
    let keys = (LogsKey::NextBookmark.into(), LogsKey::PreviousBookmark.into());
    go_to(ui, motion, |number, _| marked.contains(&number), "marked line", keys);
}

fn go_to(
    ui: &mut Ui,
    motion: Motion,
    is_so: impl Fn(i64, Row) -> bool,
    word: &str,
    (next, previous): (crate::tui::action::Action, crate::tui::action::Action),
) {
    let was_following = ui.logs.position == LogPosition::Following;
    if was_following {
        pin(ui);
    }
    let LogPosition::At { row, top, anchor } = ui.logs.position else { return };
    let step = if motion.is_up() { -1 } else { 1 };
    // Whoever follows looks at the newest line: it is the first that is found.
    let from = if was_following && step < 0 { row + 1 } else { row };
    if let Some(number) = ui.logs.view.look(from, step, is_so) {
        ui.logs.position = LogPosition::At { row: number, top, anchor };
        return;
    }
    if was_following {
        follow(ui);
    }
    let (text, key) = if step > 0 {
        (format!("no {word} below"), previous)
    } else if ui.logs.past.is_complete {
        (format!("no {word} above"), next)
    } else {
        (format!("no {word} above, of what is loaded"), next)
    };
    let hint = ui.keymap.key(key).map(|key| format!("{key} looks the other way"));
    say(ui, Severity::Info, text, hint);
}

/// Shows the selected entry whole, or folded; of something that happened, all that is known.
pub(super) fn open(ui: &mut Ui) {
    if ui.logs.position == LogPosition::Following {
        pin(ui);
    }
    let LogPosition::At { row, .. } = ui.logs.position else { return };
    match ui.logs.view.row(row) {
        Some(Row::Entry(entry)) => {
            if !ui.logs.unfolded.remove(&entry.key()) {
                ui.logs.unfolded.insert(entry.key());
            }
        }
        Some(Row::Event { seq }) => {
            if let Some(entry) = ui.logs.view.event(seq).cloned() {
                ui.modal = Some(Modal::text(TextKind::Entry(entry)));
            }
        }
        Some(Row::Run { .. } | Row::Missed { .. } | Row::Gap) | None => {}
    }
}

/// Shows only the lines of a template, of the service that is selected.
pub(super) fn show_template(ui: &mut Ui, template: &str) {
    let source = format!("{}{template}", crate::insight::filter::TEMPLATE);
    match Term::parse(&source) {
        Some(term) => {
            ui.logs.terms = vec![term];
            ui.logs.showing = Showing::Matches;
            ui.focus = Pane::Logs;
        }
        None => say(ui, Severity::Warning, "nothing of this pattern is the same on its lines".to_owned(), None),
    }
}

pub(super) const fn toggle_anchor(ui: &mut Ui) {
    if let LogPosition::At { row, anchor, .. } = &mut ui.logs.position {
        *anchor = match anchor {
            None => Some(*row),
            Some(_) => None,
        };
    }
}

/// The lines of these rows, without escape sequences; each begins with its service where there are several.
pub(crate) fn text_of_rows(ui: &Ui, rows: impl Iterator<Item = i64>) -> String {
    let with_names = ui.logs.view.scope().is_merged();
    let mut text = String::new();
    for entry in rows.filter_map(|number| ui.logs.view.row(number)?.entry()) {
        for (batch, line) in ui.logs.store.lines_of(entry) {
            if !text.is_empty() {
                text.push('\n');
            }
            if with_names {
                text.push_str(batch.service.service.as_str());
                text.push_str(" | ");
            }
            text.push_str(&crate::model::text::plain(batch.text_of(line)));
        }
    }
    text
}

/// The selected rows, or while following those of the last screenful.
pub(crate) fn selected_rows(ui: &Ui) -> std::ops::RangeInclusive<i64> {
    let last = ui.logs.view.last();
    match ui.logs.position {
        LogPosition::Following => {
            let height = i64::try_from(ui.pane_height(Pane::Logs)).unwrap_or(1);
            (last - height + 1).max(ui.logs.view.first())..=last
        }
        LogPosition::At { row, anchor, .. } => {
            let anchor = anchor.unwrap_or(row);
            row.min(anchor)..=row.max(anchor)
        }
    }
}

/// What is copied: the selected rows.
pub(super) fn text_to_copy(ui: &Ui) -> Option<String> {
    let text = text_of_rows(ui, selected_rows(ui));
    (!text.is_empty()).then_some(text)
}
