//! Lines that are not in memory: asked for where somebody scrolls to them or looks for something, a piece at a time. Never more of them than memory may hold;
//! what is left out between them and memory is told by a row.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    host::handle::Link,
    model::{
        ids::ServiceId,
        log::LogBatch,
        log_search::{Bound, LogFinds, LogSearch, LogWish, Towards},
    },
    tui::{
        logs::{
            row::{EntryRow, Row, Scope},
            store::{PAST_BYTES, Ring},
            view::Showing,
        },
        message::UiEffect,
        ui::{Earlier, LogPosition, Pane, Past, Ui},
    },
};

/// Lines of one answer, where all are wanted and where some are looked for.
const PAGE: usize = 2000;
const HITS: usize = 500;

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
    if ui.logs.view.has_gap() {
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
    if std::mem::take(&mut ui.logs.past.from_the_oldest) {
        let since_us = ui.logs.past.jump.as_ref().map(|(_, _, from)| *from);
        return Some(question(ui, services, Towards::Newer, Vec::new(), since_us));
    }
    if wants_newer(ui) {
        let bounds = ui.logs.past.newer.clone();
        return Some(question(ui, services, Towards::Newer, bounds, None));
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
        return None;
    }
    Some(question(ui, services, Towards::Older, bounds, None))
}

/// The question for lines from `bounds` on, and not before `since_us`.
fn question(
    ui: &mut Ui,
    services: Vec<ServiceId>,
    towards: Towards,
    bounds: Vec<Bound>,
    since_us: Option<i64>,
) -> UiEffect {
    ui.logs.past.asked = Some(towards);
    let wanted = ui.logs.view.wanted();
    let (terms, level) = if wanted.leaves_out() {
        let terms = wanted.filter.terms().iter().map(|term| term.source().to_owned()).collect();
        (terms, wanted.filter.level())
    } else {
        (Vec::new(), None)
    };
    let since_us = since_us.max(wanted.since_us);
    let wish = LogWish { terms, level, since_us, until_us: wanted.until_us };
    let lines = if wanted.leaves_out() { HITS } else { PAGE };
    let search = LogSearch { services, wish, towards, bounds, lines, patience_ms: PATIENCE_MS };
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
    let begins = memory_begins(ui);
    let is_here = services(ui).iter().all(|id| begins.get(id).is_none_or(|seq| *seq == 0));
    if ui.logs.past.is_complete || ui.logs.past.trouble.is_some() || is_here {
        return false;
    }
    ui.logs.view.drop_past();
    ui.logs.store.forget_past();
    begin_anew(ui);
    ui.logs.past.from_the_oldest = true;
    let first = ui.logs.view.first();
    ui.logs.position = LogPosition::At { row: first, top: first, anchor: None };
    true
}

/// Shows what stands around a line that was found in the store; false where it is in memory.
pub(super) fn jump(ui: &mut Ui, selected: Option<EntryRow>) -> bool {
    let Some(entry) = selected else { return false };
    let is_in_memory = ui.logs.store.rings().get(entry.slot as usize).and_then(|ring| ring.oldest());
    if is_in_memory.is_none_or(|oldest| entry.serial >= oldest.serial) {
        return false;
    }
    let Some(batch) = ui.logs.store.batch(entry.slot, entry.serial).cloned() else { return false };
    let from = batch.wall_us.saturating_sub(BEFORE_US);
    ui.logs.showing = Showing::Whole;
    super::settle(ui);
    ui.logs.past.from_the_oldest = true;
    ui.logs.past.jump = Some((batch.service.clone(), batch.first_seq + u64::from(entry.line), from));
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
            return;
        }
    };
    ui.logs.past.looked_bytes += finds.looked_bytes;
    ui.logs.past.left_bytes = finds.left_bytes;
    match towards {
        Towards::Older => {
            ui.logs.past.older = Some(finds.bounds);
            ui.logs.past.is_complete = finds.is_complete;
            keep(ui, finds.batches, towards);
            bound_memory(ui);
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
    let is_first = ui.logs.view.past_len() == 0;
    let is_joined = |bound: &Bound| begins.get(&bound.service).is_some_and(|begin| bound.seq >= *begin);
    let closed = finds.is_complete || finds.bounds.iter().all(is_joined);
    ui.logs.past.newer = finds.bounds;
    let jump = ui.logs.past.jump.take();
    if is_first {
        ui.logs.past.older = Some(first_lines(&batches, ui));
        ui.logs.past.is_complete = jump.is_none();
    }
    let was_first = ui.logs.view.first();
    keep(ui, batches, Towards::Newer);
    ui.logs.view.set_gap(!closed);
    // What comes behind what was loaded before pushes it to lower numbers.
    let by = ui.logs.view.first() - was_first;
    if is_first {
        let first = ui.logs.view.first();
        let row = jump.and_then(|(service, seq, _)| row_of(ui, &service, seq)).unwrap_or(first);
        let half = i64::try_from(ui.pane_height(Pane::Logs) / 2).unwrap_or(0);
        ui.logs.position = LogPosition::At { row, top: row - half, anchor: None };
    } else if let LogPosition::At { row, top, .. } = &mut ui.logs.position {
        *row += by;
        *top += by;
    }
}

/// Numbers of the first lines that were loaded; of services without any, that of their first in memory.
fn first_lines(batches: &[Arc<LogBatch>], ui: &Ui) -> Vec<Bound> {
    let mut first = memory_begins(ui);
    for batch in batches.iter().rev() {
        first.insert(batch.service.clone(), batch.first_seq);
    }
    services(ui).into_iter().filter_map(|service| Some(Bound { seq: *first.get(&service)?, service })).collect()
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
fn bound_memory(ui: &mut Ui) {
    let logs = &mut ui.logs;
    if logs.store.past_bytes() <= PAST_BYTES {
        return;
    }
    let Some(serial) = logs.view.middle_of_past() else { return };
    let before = logs.view.first();
    logs.view.drop_past_from(serial);
    let mut newer: BTreeMap<ServiceId, u64> = BTreeMap::new();
    for batch in logs.store.forget_past_from(serial) {
        newer.insert(batch.service.clone(), batch.first_seq);
    }
    logs.past.newer = newer.into_iter().map(|(service, seq)| Bound { service, seq }).collect();
    let by = logs.view.first() - before;
    if let LogPosition::At { row, top, anchor } = &mut logs.position {
        *row += by;
        *top += by;
        *anchor = anchor.map(|anchor| anchor + by);
    }
}
