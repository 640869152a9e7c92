//! Lines that are not in memory: asked for where somebody scrolls to them or looks for something, a piece at a time. Never more of them than memory may hold;
//! what is left out between them and memory is told by a row.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use super::say;
use crate::{
    host::handle::Link,
    model::{
        ids::ServiceId,
        log::LogBatch,
        log_search::{Bound, LogFinds, LogSearch, LogWish, Towards},
        timeline::Severity,
    },
    tui::{
        logs::{
            row::{EntryRow, Row, Scope},
            store::Ring,
            view::Showing,
        },
        message::UiEffect,
        ui::{Aim, Earlier, LogPosition, Pane, Past, Ui},
    },
};

/// Lines of one answer, where all are wanted and where some are looked for.
const PAGE: usize = 2000;
const HITS: usize = 250;

/// Lines before and after each of those, so that what it is a part of is whole; those around it come on top.
const NEAR: usize = 24;

/// Milliseconds after which the engine answers with what it has: so often what was found and how far it came is shown.
const PATIENCE_MS: u64 = 150;

/// Rows up to which something that is looked for is looked for without anybody scrolling.
const ENOUGH: usize = 1000;

/// How long before a line the lines around it begin, microseconds.
const BEFORE_US: i64 = 30_000_000;

/// Something else is shown: nothing that was asked before is of use.
pub(super) fn begin_anew(ui: &mut Ui) {
    ui.logs.past = Past { ticket: ui.logs.past.ticket + 1, ..Past::default() };
}

/// Back at the newest line, what was loaded from the oldest on is let go.
pub(super) fn leave(ui: &mut Ui) {
    if ui.logs.view.has_gap() || ui.logs.past.aim.is_some() {
        ui.logs.view.drop_past();
        ui.logs.store.forget_past();
        begin_anew(ui);
    }
}

/// The services whose lines are shown.
fn services(ui: &Ui) -> Vec<ServiceId> {
    match ui.logs.view.scope() {
        Scope::All => ui.snapshot.services.iter().map(|service| service.id.clone()).collect(),
        Scope::Services(some) => some.iter().cloned().collect(),
    }
}

/// Number of the first line in memory, of each service that has one.
fn memory_begins(ui: &Ui) -> BTreeMap<ServiceId, u64> {
    let begin = |ring: &Ring| {
        let oldest = ring.oldest().filter(|_| ring.is_of_output())?;
        Some((ring.service.clone(), oldest.batch.first_seq))
    };
    ui.logs.store.rings().iter().filter_map(begin).collect()
}

/// What is to be asked for now, if anything.
pub(super) fn ask(ui: &mut Ui) -> Option<UiEffect> {
    let is_answering = match ui.link {
        Link::Local | Link::Connected => true,
        Link::Retrying { .. } => false,
    };
    let knows_memory = matches!(ui.logs.earlier, Earlier::Known);
    if ui.logs.past.asked.is_some() || ui.logs.view.is_behind() || !is_answering || !knows_memory {
        return None;
    }
    let services = services(ui);
    if services.is_empty() {
        return None;
    }
    if ui.logs.past.aim.is_some() || wants_newer(ui) {
        let bounds = ui.logs.past.newer.clone();
        return Some(question(ui, services, Towards::Newer, bounds));
    }
    if !wants_older(ui) {
        return None;
    }
    let bounds = ui.logs.past.older.clone().unwrap_or_else(|| {
        let begins = memory_begins(ui);
        services.iter().filter_map(|id| Some(Bound { service: id.clone(), seq: *begins.get(id)? })).collect()
    });
    let begins_with_memory = bounds.len() == services.len() && bounds.iter().all(|bound| bound.seq == 0);
    let is_before = |batch: &Arc<LogBatch>| ui.logs.view.wanted().since_us.is_some_and(|since| batch.wall_us < since);
    let oldest = |id: &ServiceId| {
        let ring = ui.logs.store.rings().iter().find(|ring| ring.service == *id && ring.is_of_output())?;
        ring.oldest()
    };
    let time_ends_in_memory = services.iter().all(|id| oldest(id).is_some_and(|held| is_before(&held.batch)));
    if begins_with_memory || (ui.logs.past.older.is_none() && time_ends_in_memory) {
        ui.logs.past.is_complete = true;
        ui.logs.view.place_oldest_events(&ui.logs.store);
        return None;
    }
    Some(question(ui, services, Towards::Older, bounds))
}

/// The question for lines from `bounds` on.
fn question(ui: &mut Ui, services: Vec<ServiceId>, towards: Towards, bounds: Vec<Bound>) -> UiEffect {
    ui.logs.past.asked = Some(towards);
    let (wanted, past) = (ui.logs.view.wanted(), &ui.logs.past);
    let (terms, level) = if wanted.leaves_out() {
        let terms = wanted.filter.terms().iter().map(|term| term.source().to_owned()).collect();
        (terms, wanted.filter.level())
    } else {
        (Vec::new(), None)
    };
    let (since_us, until_us) = match (towards, &past.aim) {
        (Towards::Newer, Some(aim)) => (aim.since_us().max(wanted.since_us), wanted.until_us),
        (Towards::Newer, None) => (past.after_us.max(wanted.since_us), wanted.until_us),
        (Towards::Older, _) => (wanted.since_us, past.before_us.into_iter().chain(wanted.until_us).min()),
    };
    let wish = LogWish { terms, level, since_us, until_us };
    let (lines, near) = if wanted.leaves_out() { (HITS, NEAR + wanted.around) } else { (PAGE, 0) };
    let search = LogSearch { services, wish, towards, bounds, lines, near, patience_ms: PATIENCE_MS };
    UiEffect::SearchLogs { ticket: ui.logs.past.ticket, search }
}

/// Whether lines that are older are wanted: somebody is at the first row, or looks for something that may be there.
fn wants_older(ui: &Ui) -> bool {
    let logs = &ui.logs;
    if logs.past.is_complete || logs.past.trouble.is_some() {
        return false;
    }
    let height = i64::try_from(ui.pane_height(Pane::Logs)).unwrap_or(1);
    let is_near = match logs.position {
        LogPosition::At { top, .. } => top - logs.view.first() < height,
        LogPosition::Following => false,
    };
    let looks_for = (logs.view.wanted().leaves_out() || logs.range.is_some()) && logs.view.len() < ENOUGH;
    is_near || looks_for
}

/// Whether lines after the gap are wanted: somebody is near it.
fn wants_newer(ui: &Ui) -> bool {
    let height = i64::try_from(ui.pane_height(Pane::Logs)).unwrap_or(1);
    let gap = ui.logs.view.first() + i64::try_from(ui.logs.view.past_len()).unwrap_or(i64::MAX);
    match ui.logs.position {
        LogPosition::At { row, top, .. } => {
            ui.logs.view.has_gap() && !ui.logs.past.newer.is_empty() && gap - row.max(top) < 2 * height && row <= gap
        }
        LogPosition::Following => false,
    }
}

/// To the oldest line of all, which may have to be asked for; false where it is here.
pub(super) fn ask_for_the_oldest(ui: &mut Ui) -> bool {
    if has_the_oldest(ui) || ui.logs.past.trouble.is_some() {
        return false;
    }
    load_from(ui, Aim::Oldest);
    true
}

/// To the first line that is not older than a time, microseconds since the Unix epoch; it may have to be asked for.
pub(super) fn go_to_time(ui: &mut Ui, us: i64) {
    let view = &ui.logs.view;
    let Some(row) = first_at(ui, us) else {
        let text = format!("nothing is shown from {} on", ui.zone.date(us));
        let last = view.last();
        if last >= view.first() {
            show_row(ui, last);
        }
        say(ui, Severity::Info, text, None);
        return;
    };
    let is_next = match view.row(row - 1) {
        Some(Row::Gap) => false,
        Some(Row::Entry(_) | Row::Run { .. } | Row::Missed { .. } | Row::Event { .. }) => true,
        None => has_the_oldest(ui),
    };
    if is_next || ui.logs.past.trouble.is_some() {
        show_row(ui, row);
    } else {
        load_from(ui, Aim::Time(us));
    }
}

/// Whether what is shown begins with the oldest line of all.
fn has_the_oldest(ui: &Ui) -> bool {
    let begins = memory_begins(ui);
    ui.logs.past.is_complete || services(ui).iter().all(|id| begins.get(id).is_none_or(|seq| *seq == 0))
}

/// Lets go of what was loaded, to load what is aimed at.
fn load_from(ui: &mut Ui, aim: Aim) {
    ui.logs.view.drop_past();
    ui.logs.store.forget_past();
    begin_anew(ui);
    ui.logs.past.aim = Some(aim);
    let first = ui.logs.view.first();
    ui.logs.position = LogPosition::At { row: first, top: first, anchor: None };
}

/// Shows what stands around a line that was found in the store; false where it is in memory.
pub(super) fn jump(ui: &mut Ui, selected: Option<EntryRow>) -> bool {
    let Some(entry) = selected else { return false };
    let is_in_memory = ui.logs.store.rings().get(entry.slot as usize).and_then(|ring| ring.oldest());
    if is_in_memory.is_none_or(|oldest| entry.serial >= oldest.serial) {
        return false;
    }
    let Some(batch) = ui.logs.store.batch(entry.slot, entry.serial).cloned() else { return false };
    let from_us = batch.wall_us.saturating_sub(BEFORE_US);
    let seq = batch.first_seq + u64::from(entry.line);
    ui.logs.showing = Showing::Whole;
    super::settle(ui);
    ui.logs.past.aim = Some(Aim::Line { service: batch.service.clone(), seq, from_us });
    true
}

/// Takes in what was found.
pub(super) fn take(ui: &mut Ui, ticket: u64, answer: Result<LogFinds, String>) {
    if ticket != ui.logs.past.ticket {
        return;
    }
    let Some(towards) = ui.logs.past.asked.take() else { return };
    let finds = match answer {
        Ok(finds) => finds,
        Err(why) => {
            ui.logs.past.trouble = Some(why);
            ui.logs.past.aim = None;
            return;
        }
    };
    ui.logs.past.looked_bytes += finds.looked_bytes;
    ui.logs.past.left_bytes = finds.left_bytes;
    match towards {
        Towards::Older => {
            go_on(ui.logs.past.older.get_or_insert_default(), finds.bounds);
            ui.logs.past.is_complete = finds.is_complete;
            keep(ui, finds.batches, towards);
            if finds.is_complete {
                ui.logs.view.place_oldest_events(&ui.logs.store);
            }
            drop_newer(ui);
        }
        Towards::Newer => take_newer(ui, finds),
    }
}

fn keep(ui: &mut Ui, batches: Vec<Arc<LogBatch>>, towards: Towards) {
    let logs = &mut ui.logs;
    let slots: Vec<u32> = batches.iter().map(|batch| logs.store.slot_for(batch)).collect();
    let serials = logs.store.take_past(batches, towards);
    logs.view.take_past(&logs.store, serials, &slots, towards);
}

/// Takes over how far was looked; a service that nothing is said of stands where it stood.
fn go_on(bounds: &mut Vec<Bound>, reached: Vec<Bound>) {
    for now in reached {
        match bounds.iter_mut().find(|bound| bound.service == now.service) {
            Some(bound) => bound.seq = now.seq,
            None => bounds.push(now),
        }
    }
}

/// What comes after what was loaded; what is in memory is left out, and where nothing else is left the gap is closed.
fn take_newer(ui: &mut Ui, finds: LogFinds) {
    let begins = memory_begins(ui);
    let mut batches = Vec::with_capacity(finds.batches.len());
    for batch in finds.batches {
        let begin = begins.get(&batch.service).copied().unwrap_or(u64::MAX);
        let known = usize::try_from(begin.saturating_sub(batch.first_seq)).unwrap_or(usize::MAX);
        if known >= batch.lines.len() {
            batches.push(batch);
        } else if known > 0 {
            batches.push(Arc::new(LogBatch { lines: batch.lines[..known].into(), ..(*batch).clone() }));
        }
    }
    let is_joined = |bound: &Bound| begins.get(&bound.service).is_some_and(|begin| bound.seq >= *begin);
    let closed = finds.is_complete || finds.bounds.iter().all(is_joined);
    go_on(&mut ui.logs.past.newer, finds.bounds);
    if ui.logs.past.aim.is_some() && batches.is_empty() && !closed {
        // It is further on: the next answer may have it.
        return;
    }
    let aim = ui.logs.past.aim.take();
    if let Some(aim) = &aim {
        let past = &mut ui.logs.past;
        let from_us = aim.since_us();
        (past.before_us, past.after_us) = (from_us, from_us);
        past.older = Some(Vec::new());
        past.is_complete = from_us.is_none();
    }
    let was_first = ui.logs.view.first();
    keep(ui, batches, Towards::Newer);
    if closed {
        ui.logs.view.close_gap(&ui.logs.store);
    } else {
        ui.logs.view.open_gap();
    }
    // What comes behind what was loaded before pushes it to lower numbers.
    renumber_past(ui, was_first);
    if ui.logs.past.is_complete {
        ui.logs.view.place_oldest_events(&ui.logs.store);
    }
    drop_older(ui);
    if let Some(aim) = aim {
        let row = match aim {
            Aim::Oldest => None,
            Aim::Line { service, seq, .. } => row_of(ui, &service, seq),
            Aim::Time(us) => first_at(ui, us),
        };
        show_row(ui, row.unwrap_or_else(|| ui.logs.view.first()));
    }
}

/// Selects a row, in the middle of the pane where there is room.
pub(super) fn show_row(ui: &mut Ui, row: i64) {
    let half = i64::try_from(ui.pane_height(Pane::Logs) / 2).unwrap_or(0);
    ui.logs.position = LogPosition::At { row, top: row - half, anchor: None };
}

/// The position goes with the rows that were loaded from the store, the first of which was that one.
fn renumber_past(ui: &mut Ui, was_first: i64) {
    let (live, by) = (ui.logs.view.live(), ui.logs.view.first() - was_first);
    let now = |number: i64| if number < live { number + by } else { number };
    if let LogPosition::At { row, top, anchor } = &mut ui.logs.position {
        *row = now(*row);
        *top = now(*top);
        *anchor = anchor.map(now);
    }
}

/// The first row at or after a time, microseconds since the Unix epoch.
fn first_at(ui: &Ui, us: i64) -> Option<i64> {
    let view = &ui.logs.view;
    view.look(view.first() - 1, 1, |_, row| view.time_of(&ui.logs.store, row).is_some_and(|at| at >= us))
}

/// The row of a line of what was loaded from the store.
fn row_of(ui: &Ui, service: &ServiceId, seq: u64) -> Option<i64> {
    let first = ui.logs.view.first();
    let past = i64::try_from(ui.logs.view.past_len()).unwrap_or(0);
    let is_it = |row: Row| {
        row.entry().is_some_and(|entry| {
            ui.logs.store.batch(entry.slot, entry.serial).is_some_and(|batch| {
                let from = batch.first_seq + u64::from(entry.line);
                batch.service == *service && (from..from + u64::from(entry.lines)).contains(&seq)
            })
        })
    };
    (first..first + past).find(|number| ui.logs.view.row(*number).is_some_and(is_it))
}

/// Lets go of the newer half of what was loaded where it is more than memory may hold; the rest can be asked for again.
fn drop_newer(ui: &mut Ui) {
    while ui.logs.store.past_is_too_much() {
        let logs = &mut ui.logs;
        let Some(serial) = logs.view.middle_of_past() else { return };
        let was_first = logs.view.first();
        logs.view.drop_past_from(serial);
        let gone = logs.store.forget_past_from(serial);
        if gone.is_empty() {
            return;
        }
        logs.past.after_us = gone.iter().map(|batch| batch.wall_us).min();
        // Of whom nothing is gone, what is newer begins behind what is kept.
        let kept = logs.store.past().map(|batch| (batch.service.clone(), end(batch)));
        let gone = gone.iter().map(|batch| (batch.service.clone(), batch.first_seq));
        let ends: BTreeMap<ServiceId, u64> = kept.chain(gone).collect();
        let begins = memory_begins(ui);
        let bounds = begins.into_iter().filter(|_| ui.logs.past.newer.is_empty()).chain(ends);
        let bounds = bounds.map(|(service, seq)| Bound { service, seq }).collect();
        go_on(&mut ui.logs.past.newer, bounds);
        renumber_past(ui, was_first);
    }
}

/// The same with the older half.
fn drop_older(ui: &mut Ui) {
    while ui.logs.store.past_is_too_much() {
        let logs = &mut ui.logs;
        let Some(serial) = logs.view.middle_of_past() else { return };
        logs.view.drop_past_before(serial);
        let gone = logs.store.forget_past_before(serial);
        if gone.is_empty() {
            return;
        }
        logs.past.before_us = gone.iter().map(|batch| batch.wall_us.saturating_add(1)).max();
        logs.past.is_complete = false;
        let kept = logs.store.past().rev().map(|batch| (batch.service.clone(), batch.first_seq));
        let gone = gone.iter().map(|batch| (batch.service.clone(), end(batch)));
        let begins: BTreeMap<ServiceId, u64> = kept.chain(gone).collect();
        let bounds = begins.into_iter().map(|(service, seq)| Bound { service, seq }).collect();
        go_on(logs.past.older.get_or_insert_default(), bounds);
    }
}

/// The number of the line after the last of a batch.
fn end(batch: &LogBatch) -> u64 {
    batch.first_seq + batch.lines.len() as u64
}
