//! Which rows are shown, kept up to date as lines come and go. A new filter is applied newest first and a bounded
//! piece at a time ([`LogView::work`]), so that a key never waits for a full ring.

mod events;
mod past;

use std::{
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use super::{
    cut::{Cut, Joints, Lead, cut},
    row::{EntryKey, EntryRow, Row, Scope, Standing},
    store::{LogStore, Taken},
    tally::Tally,
};
use crate::{
    insight::{entry::Formats, filter::Filter},
    model::{
        log::{LogBatch, Source},
        timeline::{Entry, Severity},
    },
};

/// Which entries make a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Showing {
    /// Only those that the filter accepts.
    #[default]
    Matches,
    /// All; matches are only marked.
    Whole,
}

/// What is to be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Whose lines.
    pub scope: Scope,
    /// Which of them.
    pub filter: Filter,
    /// Written at or after this, microseconds since the Unix epoch.
    pub since_us: Option<i64>,
    /// Written before this.
    pub until_us: Option<i64>,
    /// Only these, or all.
    pub showing: Showing,
    /// Entries that are shown before and after each of these.
    pub around: usize,
    /// What happened to the services, between their lines.
    pub events: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            scope: Scope::Services(std::collections::BTreeSet::new()),
            filter: Filter::default(),
            since_us: None,
            until_us: None,
            showing: Showing::Matches,
            around: 0,
            events: true,
        }
    }
}

impl Wanted {
    /// Whether lines may be left out between others.
    #[must_use]
    pub const fn leaves_out(&self) -> bool {
        match self.showing {
            Showing::Matches => !self.filter.is_empty(),
            Showing::Whole => false,
        }
    }

    fn takes_time(&self, wall_us: i64) -> bool {
        self.since_us.is_none_or(|since| wall_us >= since) && self.until_us.is_none_or(|until| wall_us < until)
    }

    /// Where only texts are looked for, what happened is no answer.
    fn takes_event(&self, entry: &Entry) -> bool {
        let is_meant = match (&entry.project, &entry.service, &self.scope) {
            (Some(project), Some(service), scope) => {
                scope.has(&crate::model::ids::ServiceId { project: project.clone(), service: service.clone() })
            }
            (_, None, Scope::All) => true,
            (None, Some(_), _) | (_, None, Scope::Services(_)) => false,
        };
        let is_loud = matches!(entry.severity(), Severity::Warning | Severity::Error);
        let fits = match self.showing {
            Showing::Whole => true,
            Showing::Matches => {
                self.filter.terms().is_empty()
                    && (is_loud || self.filter.level().is_none_or(|level| level <= crate::model::level::Level::Info))
            }
        };
        self.events && is_meant && fits && self.takes_time(entry.at.wall_us)
    }
}

/// Where the stream of a ring stands that grows at its end.
#[derive(Debug, Default)]
struct Front {
    joints: Joints,
    /// The last entry of each stream, shown or not.
    last: [Option<EntryRow>; 2],
    /// Entries that are shown if what is looked for comes soon.
    pending: VecDeque<EntryRow>,
    /// So many more are shown, because what is looked for came before.
    after: usize,
}

/// The same of one that is read backwards.
#[derive(Debug, Default)]
struct Back {
    /// What the batch that was cut last begins with.
    leads: [Lead; 2],
    pending: VecDeque<EntryRow>,
    before: usize,
}

/// The index. Rows are numbered by `i64` so that old ones can be found (in front) and dropped without renumbering the rest.
#[derive(Debug)]
pub struct LogView {
    wanted: Wanted,
    formats: Arc<Formats>,
    /// Of what is in memory.
    rows: VecDeque<Row>,
    /// Number of the first of these.
    live: i64,
    /// Of what was loaded from the store, in front of them.
    past: VecDeque<Row>,
    /// There is more between the two.
    gap: bool,
    backlog: BinaryHeap<(u64, u32)>,
    fronts: HashMap<u32, Front>,
    backs: HashMap<u32, Back>,
    tally: Tally,
    /// Lines of the entries among `rows` and among `past`, without those that only stand near a match.
    lines: [usize; 2],
    /// By number, while rows speak of them.
    events: BTreeMap<u64, Arc<Entry>>,
    /// Events that stand where no lines were loaded yet, oldest first.
    unplaced: VecDeque<Arc<Entry>>,
    /// Number of the newest event that was looked at.
    newest_event: u64,
}

impl Default for LogView {
    fn default() -> Self {
        Self {
            wanted: Wanted::default(),
            formats: Arc::new(Formats::builtin()),
            rows: VecDeque::new(),
            live: 0,
            past: VecDeque::new(),
            gap: false,
            backlog: BinaryHeap::new(),
            fronts: HashMap::new(),
            backs: HashMap::new(),
            tally: Tally::default(),
            lines: [0; 2],
            events: BTreeMap::new(),
            unplaced: VecDeque::new(),
            newest_event: 0,
        }
    }
}

impl LogView {
    /// Shows something else: begins anew. What was loaded from the store before is not shown.
    pub fn show(&mut self, store: &LogStore, wanted: Wanted, timeline: &[Arc<Entry>]) {
        let formats = Arc::clone(&self.formats);
        let backlog = store
            .rings()
            .iter()
            .zip(0..)
            .filter(|(ring, _)| wanted.scope.has(&ring.service))
            .filter_map(|(ring, slot)| Some((ring.newest()?.serial, slot)))
            .collect();
        let mut unplaced: Vec<_> = timeline.iter().filter(|entry| wanted.takes_event(entry)).cloned().collect();
        // A clock may have been set back.
        unplaced.sort_by_key(|entry| entry.at.wall_us);
        let newest_event = timeline.last().map_or(0, |entry| entry.seq);
        *self = Self { wanted, formats, backlog, unplaced: unplaced.into(), newest_event, ..Self::default() };
        self.place_where_memory_begins(store);
    }

    /// Recognises lines by these formats from the next [`Self::show`] on.
    pub fn recognise(&mut self, formats: Arc<Formats>) {
        self.formats = formats;
    }

    /// The formats by which lines are recognised.
    #[must_use]
    pub fn formats(&self) -> &Formats {
        &self.formats
    }

    /// What is shown.
    #[must_use]
    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Whose lines are shown.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.wanted.scope
    }

    /// What came when.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lines that are shown for themselves, not as the surroundings of others: of what is in memory, and of what was loaded
    /// from the store before it.
    #[must_use]
    pub const fn lines(&self) -> [usize; 2] {
        self.lines
    }

    /// True while older batches are still to be looked at.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Number of the first row.
    #[must_use]
    pub fn first(&self) -> i64 {
        self.live - i64::from(self.gap) - i64::try_from(self.past.len()).unwrap_or(i64::MAX)
    }

    /// Number of the first row of what is in memory.
    #[must_use]
    pub const fn live(&self) -> i64 {
        self.live
    }

    /// Number of the last row; below [`Self::first`] while there is none.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.live + i64::try_from(self.rows.len()).unwrap_or(i64::MAX) - 1
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() + self.past.len() + usize::from(self.gap)
    }

    /// True without any row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row number `number`.
    #[must_use]
    pub fn row(&self, number: i64) -> Option<Row> {
        if number >= self.live {
            return self.rows.get(usize::try_from(number - self.live).ok()?).copied();
        }
        if self.gap && number == self.live - 1 {
            return Some(Row::Gap);
        }
        self.past.get(usize::try_from(number - self.first()).ok()?).copied()
    }

    /// The number of the row of an entry, looked for everywhere.
    #[must_use]
    pub fn find(&self, key: EntryKey) -> Option<i64> {
        let place = |rows: &VecDeque<Row>| rows.iter().rposition(|row| row.entry().is_some_and(|row| row.key() == key));
        let number = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
        place(&self.rows)
            .map(|place| self.live + number(place))
            .or_else(|| place(&self.past).map(|place| self.first() + number(place)))
    }

    /// What happened, by its number on the timeline.
    #[must_use]
    pub fn event(&self, seq: u64) -> Option<&Arc<Entry>> {
        self.events.get(&seq)
    }

    /// The number of the next row after `from`, in steps of `step`, that is so.
    #[must_use]
    pub fn look(&self, from: i64, step: i64, is_so: impl Fn(i64, Row) -> bool) -> Option<i64> {
        let mut number = from + step;
        while let Some(row) = self.row(number) {
            if is_so(number, row) {
                return Some(number);
            }
            number += step;
        }
        None
    }

    /// Looks at about `budget` bytes of older batches; true while there is more.
    pub fn work(&mut self, store: &LogStore, budget: usize) -> bool {
        let mut done = 0;
        while done < budget {
            let Some((serial, slot)) = self.backlog.pop() else { break };
            if let Some(held) = store.rings().get(slot as usize).and_then(|ring| ring.before(serial)) {
                self.backlog.push((held.serial, slot));
            }
            let Some(batch) = store.batch(slot, serial) else { continue };
            done += batch.weight();
            self.place_events(batch.wall_us);
            let batch = Arc::clone(batch);
            self.cut_older(store, &batch, slot, serial);
        }
        self.place_where_memory_begins(store);
        self.is_behind()
    }

    fn put_front(&mut self, row: Row) {
        if let Row::Entry(entry) = row {
            self.tally.add(entry);
            self.lines[LIVE] += entry.lines_meant();
        }
        self.rows.push_front(row);
        self.live -= 1;
    }

    fn put_back(&mut self, row: Row) {
        if let Row::Entry(entry) = row {
            self.tally.add(entry);
            self.lines[LIVE] += entry.lines_meant();
        }
        self.rows.push_back(row);
    }

    /// Cuts a batch that is older than all that was cut of its ring.
    fn cut_older(&mut self, store: &LogStore, batch: &LogBatch, slot: u32, serial: u64) {
        let before =
            std::iter::successors(store.previous_of(slot, serial), |(serial, _)| store.previous_of(slot, *serial));
        let mut joints = Joints::after(before.map(|(_, batch)| &**batch), batch.run);
        let mut cut = cut(batch, (slot, serial), &mut joints, &self.wanted.filter, &self.formats);
        let front = self.fronts.entry(slot).or_insert_with(|| Front {
            joints,
            last: cut.last.map(|last| last.and_then(|last| cut.entries.get(last)).copied()),
            ..Front::default()
        });
        let mut back = self.backs.remove(&slot).unwrap_or_default();
        cut.take_leads(back.leads);
        // An entry that goes over batches is known as a whole only now.
        for (stream, lead) in back.leads.into_iter().enumerate() {
            if lead.lines > 0 && front.last[stream].is_none() {
                front.last[stream] = cut.last[stream].and_then(|last| cut.entries.get(last)).copied();
            }
        }
        back.leads = cut.leads;
        let (head, is_first) = self.heads(store, batch, slot, serial);
        if self.wanted.takes_time(batch.wall_us) {
            for entry in cut.entries.into_iter().rev() {
                self.take_older(entry, &mut back);
            }
            if is_first {
                for orphan in Cut::orphans(std::mem::take(&mut back.leads), batch, slot, serial).into_iter().rev() {
                    self.take_older(orphan, &mut back);
                }
            }
            head.into_iter().rev().for_each(|row| self.put_front(row));
        }
        self.backs.insert(slot, back);
    }

    fn take_older(&mut self, entry: EntryRow, back: &mut Back) {
        if !self.wanted.leaves_out() {
            self.put_front(Row::Entry(entry));
        } else if entry.standing == Standing::Hit {
            for near in std::mem::take(&mut back.pending) {
                self.put_front(Row::Entry(EntryRow { standing: Standing::Around, ..near }));
            }
            self.put_front(Row::Entry(entry));
            back.before = self.wanted.around;
        } else if back.before > 0 {
            back.before -= 1;
            self.put_front(Row::Entry(EntryRow { standing: Standing::Around, ..entry }));
        } else if self.wanted.around > 0 {
            back.pending.push_back(entry);
            while back.pending.len() > self.wanted.around {
                back.pending.pop_front();
            }
        }
    }

    /// Rows that stand before those of a batch, and whether it is the first of its ring or of its run.
    fn heads(&self, store: &LogStore, batch: &LogBatch, slot: u32, serial: u64) -> (Vec<Row>, bool) {
        let before = store.previous(slot, serial);
        let other_run = before.is_some_and(|before| before.run != batch.run);
        let is_first = before.is_none() || other_run;
        if self.wanted.leaves_out() {
            return (Vec::new(), is_first);
        }
        let mut rows = Vec::new();
        let expected = before.map(|before| before.first_seq + before.lines.len() as u64);
        if let Some(gap) = expected.and_then(|expected| batch.first_seq.checked_sub(expected)).filter(|gap| *gap > 0) {
            rows.push(Row::Missed { slot, serial, lines: u32::try_from(gap).unwrap_or(u32::MAX) });
        }
        let is_new_run = before.map_or(batch.first_seq == 0, |_| other_run);
        if is_new_run && batch.source == Source::Output {
            rows.push(Row::Run { slot, serial });
        }
        (rows, is_first)
    }

    /// Adds the rows of a batch that has just come, and forgets those of batches that had to go for it. Returns the numbers
    /// by which rows moved down, for cursors.
    pub fn follow(&mut self, store: &LogStore, taken: Taken) -> Dropped {
        let dropped = if taken.evicted { self.forget(store) } else { Dropped::default() };
        let Some(batch) = store.batch(taken.slot, taken.serial) else { return dropped };
        if !self.wanted.scope.has(&batch.service) || !self.wanted.takes_time(batch.wall_us) {
            return dropped;
        }
        let batch = Arc::clone(batch);
        let (slot, serial) = (taken.slot, taken.serial);
        let (heads, _) = self.heads(store, &batch, slot, serial);
        for row in heads {
            self.put_back(row);
        }
        let mut front = self.fronts.remove(&slot).unwrap_or_default();
        if front.joints.enter(batch.run) {
            front.last = [None; 2];
        }
        let cut = cut(&batch, (slot, serial), &mut front.joints, &self.wanted.filter, &self.formats);
        for (stream, lead) in cut.leads.into_iter().enumerate().filter(|(_, lead)| lead.lines > 0) {
            self.grow(&mut front, stream, lead, &batch, serial, slot);
        }
        for entry in &cut.entries {
            self.take_newer(*entry, &mut front);
        }
        for (stream, last) in cut.last.into_iter().enumerate() {
            if let Some(last) = last.and_then(|last| cut.entries.get(last)) {
                front.last[stream] = Some(*last);
            }
        }
        self.fronts.insert(slot, front);
        dropped
    }

    /// The last entry of a stream goes on.
    fn grow(&mut self, front: &mut Front, stream: usize, lead: Lead, batch: &LogBatch, serial: u64, slot: u32) {
        let mut leads = [Lead::default(); 2];
        leads[stream] = lead;
        let Some(last) = &mut front.last[stream] else {
            for orphan in Cut::orphans(leads, batch, slot, serial) {
                self.take_newer(orphan, front);
                front.last[stream] = Some(orphan);
            }
            return;
        };
        last.lines = last.lines.saturating_add(lead.lines);
        let grown = *last;
        let lead = Lead { is_hit: lead.is_hit && grown.standing != Standing::Out, ..lead };
        let near = self.rows.iter_mut().rev().take(MOST_BETWEEN);
        let shown = near.filter_map(|row| match row {
            Row::Entry(entry) => Some(entry),
            Row::Run { .. } | Row::Missed { .. } | Row::Event { .. } | Row::Gap => None,
        });
        for entry in shown {
            if entry.key() == grown.key() {
                self.lines[LIVE] = self.lines[LIVE].saturating_sub(entry.lines_meant());
                entry.lines = grown.lines;
                if lead.is_hit {
                    entry.standing = Standing::Hit;
                }
                self.lines[LIVE] += entry.lines_meant();
                return;
            }
        }
        if lead.is_hit && self.wanted.leaves_out() {
            front.pending.retain(|pending| pending.key() != grown.key());
            self.take_newer(EntryRow { standing: Standing::Hit, ..grown }, front);
        }
    }

    fn take_newer(&mut self, entry: EntryRow, front: &mut Front) {
        if !self.wanted.leaves_out() {
            self.put_back(Row::Entry(entry));
        } else if entry.standing == Standing::Hit {
            for near in std::mem::take(&mut front.pending) {
                self.put_back(Row::Entry(EntryRow { standing: Standing::Around, ..near }));
            }
            self.put_back(Row::Entry(entry));
            front.after = self.wanted.around;
        } else if front.after > 0 {
            front.after -= 1;
            self.put_back(Row::Entry(EntryRow { standing: Standing::Around, ..entry }));
        } else if self.wanted.around > 0 {
            front.pending.push_back(entry);
            while front.pending.len() > self.wanted.around {
                front.pending.pop_front();
            }
        }
    }

    fn forget(&mut self, store: &LogStore) -> Dropped {
        let oldest = store.oldest_serials();
        let is_kept = |row: &Row| {
            row.place().is_some_and(|(slot, serial)| oldest.get(slot as usize).is_some_and(|oldest| serial >= *oldest))
        };
        let mut dropped = Dropped { live: self.live, ..Dropped::default() };
        while let Some(row) = self.rows.pop_front_if(|row| !is_kept(row)) {
            self.live += 1;
            dropped.front += 1;
            self.has_gone(row, LIVE);
        }
        let mut number = self.live;
        let mut gone = Vec::new();
        self.rows.retain(|row| {
            let kept = row.place().is_none() || is_kept(row);
            if !kept {
                dropped.numbers.push(number);
                gone.push(*row);
            }
            number += 1;
            kept
        });
        for row in gone {
            self.has_gone(row, LIVE);
        }
        self.gap |= dropped.front > 0 && !self.past.is_empty();
        dropped
    }

    /// A row is none any more; `of`: among which it was.
    fn has_gone(&mut self, row: Row, of: usize) {
        match row {
            Row::Entry(entry) => {
                self.tally.remove(entry);
                self.lines[of] = self.lines[of].saturating_sub(entry.lines_meant());
            }
            Row::Event { seq } => {
                if let Some(entry) = self.events.remove(&seq) {
                    self.keep_for_later(entry);
                }
            }
            Row::Run { .. } | Row::Missed { .. } | Row::Gap => {}
        }
    }

    /// Lines that are kept of those services, meant or not.
    #[must_use]
    pub fn lines_in_scope(&self, store: &LogStore) -> usize {
        store.rings().iter().filter(|ring| self.wanted.scope.has(&ring.service)).map(super::store::Ring::lines).sum()
    }
}

/// Places in [`LogView::lines`].
const LIVE: usize = 0;
const PAST: usize = 1;

/// Rows from the end among which an entry is looked for that goes on.
const MOST_BETWEEN: usize = 256;

/// Rows that are gone: so many at the front, and the numbers of those out of the middle, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dropped {
    live: i64,
    front: i64,
    numbers: Vec<i64>,
}

impl Dropped {
    /// Where row `number` is now.
    #[must_use]
    pub fn renumber(&self, number: i64) -> i64 {
        if number < self.live {
            return number + self.front;
        }
        number - i64::try_from(self.numbers.partition_point(|dropped| *dropped < number)).unwrap_or(0)
    }
}
