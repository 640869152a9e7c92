//! What was loaded from the store: in front of what is in memory, with a gap between the two where something is left out.

use std::collections::HashMap;

use super::{
    super::{
        cut::{Cut, cut},
        row::{EntryRow, Row, Standing},
        store::LogStore,
    },
    Front, LogView,
};
use crate::model::{log::Source, log_search::Towards};

impl LogView {
    /// Puts what was loaded from the store in front of what is there, or, from the gap on, behind what was loaded before.
    pub fn take_past(&mut self, store: &LogStore, serials: std::ops::Range<u64>, slots: &[u32], towards: Towards) {
        let mut fronts: HashMap<u32, Front> = HashMap::new();
        let mut rows = Vec::new();
        for (serial, slot) in serials.zip(slots) {
            let Some(batch) = store.batch(*slot, serial) else { continue };
            // What came before the first batch is not known.
            let is_known = fronts.contains_key(slot) || batch.first_seq == 0;
            let front = fronts.entry(*slot).or_default();
            let is_new = front.joints.enter(batch.run);
            if is_new && is_known && !self.wanted.leaves_out() && batch.source == Source::Output {
                rows.push(Row::Run { slot: *slot, serial });
            }
            let mut cut = cut(batch, (*slot, serial), &mut front.joints, &self.wanted.filter, &self.formats);
            // Of what the store found, a line alone may be a part of an entry.
            let orphans = Cut::orphans(std::mem::take(&mut cut.leads), batch, *slot, serial);
            let is_shown = |entry: &EntryRow| !self.wanted.leaves_out() || entry.standing == Standing::Hit;
            rows.extend(orphans.into_iter().chain(cut.entries).filter(is_shown).map(Row::Entry));
        }
        for entry in rows.iter().filter_map(|row| row.entry()) {
            self.tally.add(entry);
        }
        let rows = self.with_events(store, rows, towards);
        match towards {
            Towards::Older => rows.into_iter().rev().for_each(|row| self.past.push_front(row)),
            Towards::Newer => self.past.extend(rows),
        }
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
            self.has_gone(row);
            self.gap = true;
        }
    }

    /// Lets go of what was loaded from the store before batch `serial`.
    pub fn drop_past_before(&mut self, serial: u64) {
        while let Some(row) = self.past.pop_front_if(|row| row.place().is_none_or(|(_, of)| of < serial)) {
            self.has_gone(row);
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
            self.has_gone(row);
        }
        self.gap = false;
    }
}
