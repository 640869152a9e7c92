//! Which rows of the rings are shown, kept up to date as lines come and go. A new filter is applied newest first and a bounded
//! piece at a time ([`LogView::work`]), so that a key never waits for a full ring.

use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use super::store::{LogStore, Taken};
use crate::{
    model::{
        ids::ServiceId,
        log::{LogBatch, Source},
        text,
    },
    tui::pattern::Pattern,
};

/// Whose lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's, merged by time.
    All,
    /// Of these, merged by time where there are several.
    Services(BTreeSet<ServiceId>),
}

impl Scope {
    fn has(&self, service: &ServiceId) -> bool {
        match self {
            Self::All => true,
            Self::Services(some) => some.contains(service),
        }
    }

    /// Whether a line needs its service's name beside it.
    #[must_use]
    pub fn is_merged(&self) -> bool {
        match self {
            Self::All => true,
            Self::Services(some) => some.len() > 1,
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A line of a batch.
    Line {
        /// Ring.
        slot: u32,
        /// Line within the batch.
        line: u32,
        /// Batch.
        serial: u64,
    },
    /// A new run begins with this batch.
    Run {
        /// Ring.
        slot: u32,
        /// Batch.
        serial: u64,
    },
    /// So many lines before this batch never came here.
    Missed {
        /// Ring.
        slot: u32,
        /// How many, at most `u32::MAX`.
        lines: u32,
        /// Batch.
        serial: u64,
    },
}

impl Row {
    /// Its ring and batch.
    #[must_use]
    pub const fn place(self) -> (u32, u64) {
        match self {
            Self::Line { slot, serial, .. } | Self::Run { slot, serial } | Self::Missed { slot, serial, .. } => {
                (slot, serial)
            }
        }
    }
}

/// Which lines make a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Showing {
    /// Only those that the pattern accepts.
    #[default]
    Matches,
    /// All; matches are only highlighted.
    Context,
}

/// The index. Rows are numbered by `i64` so that old ones can be found (in front) and dropped without renumbering the rest.
#[derive(Debug)]
pub struct LogView {
    scope: Scope,
    pattern: Option<Pattern>,
    showing: Showing,
    rows: VecDeque<Row>,
    first: i64,
    backlog: BinaryHeap<(u64, u32)>,
}

impl Default for LogView {
    fn default() -> Self {
        Self {
            scope: Scope::Services(BTreeSet::new()),
            pattern: None,
            showing: Showing::Matches,
            rows: VecDeque::new(),
            first: 0,
            backlog: BinaryHeap::new(),
        }
    }
}

impl LogView {
    /// Shows something else: begins anew.
    pub fn show(&mut self, store: &LogStore, scope: Scope, pattern: Option<Pattern>, showing: Showing) {
        self.backlog = store
            .rings()
            .iter()
            .zip(0..)
            .filter(|(ring, _)| scope.has(&ring.service))
            .filter_map(|(ring, slot)| Some((ring.newest()?.serial, slot)))
            .collect();
        self.scope = scope;
        self.pattern = pattern;
        self.showing = showing;
        self.rows.clear();
        self.first = 0;
    }

    /// Whose lines are shown.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The filter.
    #[must_use]
    pub const fn pattern(&self) -> Option<&Pattern> {
        self.pattern.as_ref()
    }

    /// Matches only, or all.
    #[must_use]
    pub const fn showing(&self) -> Showing {
        self.showing
    }

    /// True while older batches are still to be looked at.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Number of the first row.
    #[must_use]
    pub const fn first(&self) -> i64 {
        self.first
    }

    /// Number of the last row; below [`Self::first`] while there is none.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.first + i64::try_from(self.rows.len()).unwrap_or(i64::MAX) - 1
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without any row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Row number `number`.
    #[must_use]
    pub fn row(&self, number: i64) -> Option<Row> {
        self.rows.get(usize::try_from(number - self.first).ok()?).copied()
    }

    /// Looks at about `budget` bytes of older batches; true while there is more.
    pub fn work(&mut self, store: &LogStore, budget: usize) -> bool {
        let mut done = 0;
        while done < budget {
            let Some((serial, slot)) = self.backlog.pop() else { return false };
            if let Some(held) = store.rings().get(slot as usize).and_then(|ring| ring.before(serial)) {
                self.backlog.push((held.serial, slot));
            }
            let Some(batch) = store.batch(slot, serial) else { continue };
            done += batch.weight();
            for row in self.rows_of(store, batch, slot, serial).into_iter().rev() {
                self.rows.push_front(row);
                self.first -= 1;
            }
        }
        self.is_behind()
    }

    /// Adds the rows of a batch that has just come, and forgets those of batches that had to go for it. Returns the numbers
    /// by which rows at and after `keep` moved down, for cursors.
    pub fn follow(&mut self, store: &LogStore, taken: Taken) -> Dropped {
        let dropped = if taken.evicted { self.forget(store) } else { Dropped::default() };
        let Some(batch) = store.batch(taken.slot, taken.serial) else { return dropped };
        if self.scope.has(&batch.service) {
            let rows = self.rows_of(store, batch, taken.slot, taken.serial);
            self.rows.extend(rows);
        }
        dropped
    }

    fn rows_of(&self, store: &LogStore, batch: &LogBatch, slot: u32, serial: u64) -> Vec<Row> {
        let mut rows = Vec::with_capacity(batch.lines.len() + 1);
        let filter = match self.showing {
            Showing::Matches => self.pattern.as_ref(),
            Showing::Context => None,
        };
        if filter.is_none() {
            let before = store.previous(slot, serial);
            let expected = before.map(|before| before.first_seq + before.lines.len() as u64);
            if let Some(gap) =
                expected.and_then(|expected| batch.first_seq.checked_sub(expected)).filter(|gap| *gap > 0)
            {
                rows.push(Row::Missed { slot, serial, lines: u32::try_from(gap).unwrap_or(u32::MAX) });
            }
            let is_new_run = before.map_or(batch.first_seq == 0, |before| before.run != batch.run);
            if is_new_run && batch.source == Source::Output {
                rows.push(Row::Run { slot, serial });
            }
        }
        let lines = batch.lines.iter().zip(0..).filter(|(line, _)| match filter {
            Some(pattern) => pattern.accepts(&text::plain(batch.text_of(**line))),
            None => true,
        });
        rows.extend(lines.map(|(_, line)| Row::Line { slot, line, serial }));
        rows
    }

    fn forget(&mut self, store: &LogStore) -> Dropped {
        let oldest = store.oldest_serials();
        let is_kept = |row: &Row| {
            let (slot, serial) = row.place();
            oldest.get(slot as usize).is_some_and(|oldest| serial >= *oldest)
        };
        let mut dropped = Dropped::default();
        while self.rows.front().is_some_and(|row| !is_kept(row)) {
            self.rows.pop_front();
            self.first += 1;
        }
        let mut number = self.first;
        self.rows.retain(|row| {
            let kept = is_kept(row);
            if !kept {
                dropped.numbers.push(number);
            }
            number += 1;
            kept
        });
        dropped
    }

    /// Whether the pattern accepts row `number`; false without a pattern or a line.
    #[must_use]
    pub fn is_match(&self, store: &LogStore, number: i64) -> bool {
        let (Some(pattern), Some(Row::Line { slot, line, serial })) = (&self.pattern, self.row(number)) else {
            return false;
        };
        store.batch(slot, serial).is_some_and(|batch| pattern.accepts(&text::plain(batch.line(line as usize))))
    }

    /// Lines that are kept of those services, matching or not.
    #[must_use]
    pub fn lines_in_scope(&self, store: &LogStore) -> usize {
        store.rings().iter().filter(|ring| self.scope.has(&ring.service)).map(super::store::Ring::lines).sum()
    }
}

/// Numbers of rows that were taken out of the middle, ascending: a cursor below them moves up by their count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dropped {
    numbers: Vec<i64>,
}

impl Dropped {
    /// Where row `number` is now.
    #[must_use]
    pub fn renumber(&self, number: i64) -> i64 {
        number - i64::try_from(self.numbers.partition_point(|dropped| *dropped < number)).unwrap_or(0)
    }
}
