//! What was loaded from the store: in front of what is in memory, with a gap between the two where something is left out.

use std::collections::{HashMap, VecDeque};

use super::{
    super::{
        cut::{Cut, Joints, Lead, cut},
        row::{EntryRow, Row, Standing},
        store::LogStore,
    },
    LogView, PAST,
};
use crate::model::{ids::RunId, log::Source, log_search::Towards};

/// How far what was loaded of a ring is cut.
#[derive(Debug, Default)]
struct Reach {
    run: Option<RunId>,
    /// Number of the line behind it.
    next: Option<u64>,
    joints: Joints,
    /// The last entry of each stream, by its place among the rows.
    last: [Option<usize>; 2],
    /// Lines that follow each other are one stretch.
    stretch: usize,
}

/// Rows, those of entries with the stretch that they stand in.
type Stretched = Vec<(usize, Row)>;

impl LogView {
    /// Puts what was loaded from the store in front of what is there, or, from the gap on, behind what was loaded before.
    pub fn take_past(&mut self, store: &LogStore, serials: std::ops::Range<u64>, slots: &[u32], towards: Towards) {
        let rows = self.cut_past(store, serials.zip(slots.iter().copied()));
        let rows =
            if self.wanted.leaves_out() { self.meant(rows) } else { rows.into_iter().map(|(_, row)| row).collect() };
        for entry in rows.iter().filter_map(|row| row.entry()) {
            self.tally.add(entry);
            self.lines[PAST] += entry.lines_meant();
        }
        let rows = self.with_events(store, rows, towards);
        match towards {
            Towards::Older => rows.into_iter().rev().for_each(|row| self.past.push_front(row)),
            Towards::Newer => self.past.extend(rows),
        }
    }

    /// Every entry of these batches, looked for or not.
    fn cut_past(&self, store: &LogStore, batches: impl Iterator<Item = (u64, u32)>) -> Stretched {
        let mut reached: HashMap<u32, Reach> = HashMap::new();
        let mut rows = Stretched::new();
        let mut stretches = 0;
        for (serial, slot) in batches {
            let Some(batch) = store.batch(slot, serial) else { continue };
            // What came before the first batch is not known.
            let is_known = reached.contains_key(&slot) || batch.first_seq == 0;
            let reach = reached.entry(slot).or_default();
            let is_new_run = reach.run.replace(batch.run) != Some(batch.run);
            if is_new_run || reach.next != Some(batch.first_seq) {
                stretches += 1;
                *reach = Reach { run: Some(batch.run), stretch: stretches, ..Reach::default() };
            }
            reach.joints.enter(batch.run);
            reach.next = Some(batch.first_seq + batch.lines.len() as u64);
            if is_new_run && is_known && !self.wanted.leaves_out() && batch.source == Source::Output {
                rows.push((reach.stretch, Row::Run { slot, serial }));
            }
            let mut cut = cut(batch, (slot, serial), &mut reach.joints, &self.wanted.filter, &self.formats);
            let leads = std::mem::take(&mut cut.leads);
            for (stream, lead) in leads.into_iter().enumerate().filter(|(_, lead)| lead.lines > 0) {
                if let Some((_, Row::Entry(entry))) = reach.last[stream].and_then(|last| rows.get_mut(last)) {
                    entry.grow(lead.lines, lead.is_hit);
                    continue;
                }
                let mut alone = [Lead::default(); 2];
                alone[stream] = lead;
                reach.last[stream] = Some(rows.len());
                let orphans = Cut::orphans(alone, batch, slot, serial);
                rows.extend(orphans.into_iter().map(|orphan| (reach.stretch, Row::Entry(orphan))));
            }
            for (stream, last) in cut.last.into_iter().enumerate() {
                reach.last[stream] = last.map(|last| rows.len() + last).or(reach.last[stream]);
            }
            rows.extend(cut.entries.into_iter().map(|entry| (reach.stretch, Row::Entry(entry))));
        }
        rows
    }

    /// Those that are looked for, and so many before and after each in its stretch as are asked for.
    fn meant(&self, rows: Stretched) -> Vec<Row> {
        let mut before: HashMap<usize, VecDeque<usize>> = HashMap::new();
        let mut after: HashMap<usize, usize> = HashMap::new();
        let mut kept = vec![false; rows.len()];
        for (place, (stretch, row)) in rows.iter().enumerate() {
            let waiting = before.entry(*stretch).or_default();
            let behind = after.entry(*stretch).or_default();
            if row.entry().is_some_and(|entry| entry.standing == Standing::Hit) {
                waiting.drain(..).chain([place]).for_each(|place| kept[place] = true);
                *behind = self.wanted.around;
            } else if *behind > 0 {
                *behind -= 1;
                kept[place] = true;
            } else {
                waiting.push_back(place);
                let excess = waiting.len().saturating_sub(self.wanted.around);
                waiting.drain(..excess);
            }
        }
        let kept = rows.into_iter().zip(kept).filter(|(_, kept)| *kept);
        kept.filter_map(|((_, row), _)| row.entry())
            .map(|entry| {
                let standing = if entry.standing == Standing::Hit { Standing::Hit } else { Standing::Around };
                Row::Entry(EntryRow { standing, ..entry })
            })
            .collect()
    }

    /// Something is left out between what was loaded from the store and what is in memory.
    pub const fn open_gap(&mut self) {
        self.gap = true;
    }

    /// Nothing is left out there any more.
    pub fn close_gap(&mut self, store: &LogStore) {
        self.gap = false;
        self.place_behind_past(store);
    }

    /// Whether something is left out there.
    #[must_use]
    pub const fn has_gap(&self) -> bool {
        self.gap
    }

    /// Rows of what was loaded from the store.
    #[must_use]
    pub fn past_len(&self) -> usize {
        self.past.len()
    }

    /// Lets go of what was loaded from the store from batch `serial` on.
    pub fn drop_past_from(&mut self, serial: u64) {
        while let Some(row) = self.past.pop_back_if(|row| row.place().is_none_or(|(_, of)| of >= serial)) {
            self.has_gone(row, PAST);
            self.gap = true;
        }
    }

    /// Lets go of what was loaded from the store before batch `serial`.
    pub fn drop_past_before(&mut self, serial: u64) {
        while let Some(row) = self.past.pop_front_if(|row| row.place().is_none_or(|(_, of)| of < serial)) {
            self.has_gone(row, PAST);
        }
    }

    /// The batch of the row in the middle of what was loaded from the store.
    #[must_use]
    pub fn middle_of_past(&self) -> Option<u64> {
        let middle = self.past.len() / 2;
        self.past.range(middle..).find_map(|row| row.place()).map(|(_, serial)| serial)
    }

    /// Lets go of all that was loaded from the store.
    pub fn drop_past(&mut self) {
        for row in std::mem::take(&mut self.past) {
            self.has_gone(row, PAST);
        }
        self.gap = false;
    }
}
