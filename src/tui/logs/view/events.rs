//! What happened, between the lines: where it stands, and what of it waits until the lines around it are loaded.

use std::{collections::VecDeque, sync::Arc};

use super::{
    super::{
        row::{EntryRow, Row},
        store::LogStore,
    },
    LogView,
};
use crate::model::{log_search::Towards, timeline::Entry};

/// Events that are kept for when the lines around them are loaded.
const MOST_UNPLACED: usize = 2000;

impl LogView {
    /// Adds what has happened since it was last called; true where a row came.
    pub fn follow_events(&mut self, timeline: &[Arc<Entry>]) -> bool {
        let newest = timeline.last().map_or(0, |entry| entry.seq);
        // Another engine counts anew.
        let since = if newest < self.newest_event { 0 } else { self.newest_event };
        self.newest_event = newest;
        let mut news: Vec<_> = timeline.iter().rev().take_while(|entry| entry.seq > since).cloned().collect();
        news.retain(|entry| self.wanted.takes_event(entry));
        for entry in news.iter().rev() {
            self.rows.push_back(Row::Event { seq: entry.seq });
            self.events.insert(entry.seq, Arc::clone(entry));
        }
        !news.is_empty()
    }

    /// Puts what happened later than `wall_us`, and is not among the rows yet, in front of them.
    pub(super) fn place_events(&mut self, wall_us: i64) {
        while let Some(entry) = self.unplaced.pop_back_if(|entry| entry.at.wall_us > wall_us) {
            self.rows.push_front(Row::Event { seq: entry.seq });
            self.live -= 1;
            self.events.insert(entry.seq, entry);
        }
    }

    /// Where memory has the first line of all, what happened before it stands before it.
    pub(super) fn place_where_memory_begins(&mut self, store: &LogStore) {
        let mut outputs = store.rings().iter().filter(|ring| self.wanted.scope.has(&ring.service));
        if !self.is_behind() && outputs.all(|ring| ring.oldest().is_none_or(|oldest| oldest.batch.first_seq == 0)) {
            self.place_events(i64::MIN);
        }
    }

    /// Nothing is older than what is shown: what happened before stands at the top.
    pub fn place_oldest_events(&mut self, store: &LogStore) {
        let first = self.past.front().and_then(|row| self.time_of(store, *row));
        let Some(first) = first else { return self.place_events(i64::MIN) };
        let until = self.unplaced.partition_point(|entry| entry.at.wall_us <= first);
        let older: Vec<_> = self.unplaced.drain(..until).collect();
        for entry in older.into_iter().rev() {
            let row = self.place(entry);
            self.past.push_front(row);
        }
    }

    /// What happened after what was loaded stands between that and what is in memory.
    pub(super) fn place_behind_past(&mut self, store: &LogStore) {
        let Some(last) = self.past.back().and_then(|row| self.time_of(store, *row)) else { return };
        let from = self.unplaced.partition_point(|entry| entry.at.wall_us <= last);
        let newer: Vec<_> = self.unplaced.drain(from..).collect();
        for entry in newer {
            let row = self.place(entry);
            self.past.push_back(row);
        }
    }

    fn place(&mut self, entry: Arc<Entry>) -> Row {
        let row = Row::Event { seq: entry.seq };
        self.events.insert(entry.seq, entry);
        row
    }

    /// When what a row tells of was, microseconds since the Unix epoch.
    #[must_use]
    pub fn time_of(&self, store: &LogStore, row: Row) -> Option<i64> {
        match row {
            Row::Entry(EntryRow { slot, serial, .. })
            | Row::Run { slot, serial }
            | Row::Missed { slot, serial, .. } => store.batch(slot, serial).map(|batch| batch.wall_us),
            Row::Event { seq } => self.events.get(&seq).map(|entry| entry.at.wall_us),
            Row::Gap => None,
        }
    }

    /// The same rows with what happened between them, and between them and those that they are put next to.
    pub(super) fn with_events(&mut self, store: &LogStore, rows: Vec<Row>, towards: Towards) -> Vec<Row> {
        let time = |view: &Self, row: Option<&Row>| row.and_then(|row| view.time_of(store, *row));
        let first = time(self, rows.first());
        let (after, until) = match towards {
            Towards::Older => (first, time(self, self.past.front()).unwrap_or(i64::MAX)),
            Towards::Newer => (time(self, self.past.back()).or(first), time(self, rows.last()).unwrap_or(i64::MIN)),
        };
        let Some(after) = after else { return rows };
        let from = self.unplaced.partition_point(|entry| entry.at.wall_us <= after);
        let to = self.unplaced.partition_point(|entry| entry.at.wall_us <= until).max(from);
        let mut between: VecDeque<_> = self.unplaced.drain(from..to).collect();
        let mut all = Vec::with_capacity(rows.len() + between.len());
        for row in rows {
            let at = self.time_of(store, row).unwrap_or(i64::MIN);
            while let Some(entry) = between.pop_front_if(|entry| entry.at.wall_us <= at) {
                all.push(self.place(entry));
            }
            all.push(row);
        }
        all.extend(between.into_iter().map(|entry| self.place(entry)));
        all
    }

    /// Its row is gone: it may come again with the lines around it.
    pub(super) fn keep_for_later(&mut self, entry: Arc<Entry>) {
        let place = self.unplaced.partition_point(|other| other.at.wall_us <= entry.at.wall_us);
        self.unplaced.insert(place, entry);
        if self.unplaced.len() > MOST_UNPLACED {
            self.unplaced.pop_front();
        }
    }
}
