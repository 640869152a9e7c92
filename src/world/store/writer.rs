//! The one thread that writes: batches once a second, keeps what it cannot write, tries again by itself.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    EntryFilter, Limits,
    fault::StoreError,
    intake::{self, Batches, Key, MinuteFilter},
    keeper::Keeper,
    open, patterns,
    pending::Pending,
    retention::{self, Pass},
    rows,
    status::Shared,
};
use crate::{
    model::{
        ids::ServiceName,
        intake::{Cursor, Minute},
        project::ProjectRecord,
        time::Timestamp,
        timeline::Entry,
    },
    world::clock::Clock,
};

/// From the first entry of a batch to its writing.
const BATCH: Duration = Duration::from_secs(1);
/// Entries that are written without waiting for the second to end.
const BATCH_ENTRIES: usize = 1000;
/// First pause after a failure; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A lock that has lasted for [`open::BUSY`] is asked for so long from then on, so that the queue is emptied in between.
const BUSY_AGAIN: Duration = Duration::from_millis(100);
/// How long what is over but should be known (a damaged file, lost entries) stays on the screen.
const NOTICE: Duration = Duration::from_mins(2);
/// Events between two prunings.
const PRUNE_EVERY: usize = 1000;

/// Whoever asked is told once.
pub(super) type Answer<T> = Box<dyn FnOnce(T) + Send>;

/// What is asked.
pub(super) enum Question {
    Projects(Answer<Vec<ProjectRecord>>),
    Entries(EntryFilter, Answer<Vec<Entry>>),
    Cursors(Arc<str>, Answer<Result<BTreeMap<ServiceName, Cursor>, StoreError>>),
    Minutes(MinuteFilter, Answer<Vec<Minute>>),
    Patterns(Arc<str>, Answer<BTreeMap<ServiceName, Arc<[u8]>>>),
}

/// What the writer is told.
pub(super) enum Message {
    Record(Arc<Entry>),
    Register(ProjectRecord),
    Forget(PathBuf),
    /// What is kept of one place is to be that of another.
    MovePlace {
        from: Arc<str>,
        to: Arc<str>,
        then: Answer<Result<(), StoreError>>,
    },
    /// There is something among what waits outside the queue.
    TakenIn,
    Ask(Question),
    Flush(SyncSender<()>),
}

/// The thread's state.
pub(super) struct Writer {
    limits: Limits,
    clock: Clock,
    shared: Arc<Shared>,
    on_trouble: Box<dyn Fn(Option<String>) + Send>,
    engine_started: i64,
    keeper: Keeper,
    pending: Pending,
    batches: Batches,
    /// When something is to be written, if anything is.
    due: Option<Timestamp>,
    pause: Duration,
    paused_until: Option<Timestamp>,
    trouble: Option<String>,
    notice: Option<(String, Timestamp)>,
    told_dropped: u64,
    until_prune: usize,
    /// When old minutes were last deleted.
    last_pass: Option<Pass>,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        limits: Limits,
        clock: Clock,
        shared: Arc<Shared>,
        on_trouble: Box<dyn Fn(Option<String>) + Send>,
    ) -> Self {
        Self {
            limits,
            shared,
            on_trouble,
            engine_started: clock().wall_us,
            clock,
            keeper: Keeper::new(path),
            pending: Pending::new(limits.pending),
            batches: Batches::default(),
            due: None,
            pause: FIRST_PAUSE,
            paused_until: None,
            trouble: None,
            notice: None,
            told_dropped: 0,
            until_prune: 0,
            last_pass: None,
        }
    }

    /// Serves until every sender is gone, then writes what is left.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        self.write((self.clock)());
        loop {
            let now = (self.clock)();
            let message = match self.next_wake(now) {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => inbox.recv_timeout(at.since(now)),
            };
            match message {
                Ok(message) => {
                    // Counted as pending before it is no longer counted as queued: it is never counted as stored too early.
                    self.take(message);
                    self.shared.in_queue.fetch_sub(1, Ordering::Release);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.do_what_is_due((self.clock)());
        }
        // Whoever ends cas does not wait for somebody else's lock.
        self.keeper.wait_for_locks(BUSY_AGAIN * 10);
        if self.has_something() {
            self.write((self.clock)());
        }
    }

    fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        let notice = self.notice.as_ref().map(|(_, until)| *until);
        [self.due, self.keeper.next_look(now), notice].into_iter().flatten().min()
    }

    fn has_something(&self) -> bool {
        !self.pending.is_empty()
            || !self.batches.is_empty()
            || !self.shared.waiting().is_empty()
            || !self.shared.patterns().is_empty()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record(entry) => {
                let lost = self.pending.lost;
                self.pending.push(entry);
                self.shared.settled.fetch_add(self.pending.lost - lost, Ordering::AcqRel);
            }
            Message::Register(record) => {
                self.pending.projects.insert(record.root.clone(), Some(record));
            }
            Message::Forget(root) => {
                self.pending.projects.insert(root, None);
            }
            Message::TakenIn => {}
            Message::MovePlace { from, to, then } => {
                let now = (self.clock)();
                self.write(now);
                let moved = self.move_place(now, &from, &to);
                return then(moved);
            }
            Message::Ask(question) => return self.answer(question),
            Message::Flush(done) => {
                self.write((self.clock)());
                // An error means that nobody waits.
                let _gone = done.send(());
                return;
            }
        }
        self.shared.pending.store(self.pending.entries.len() as u64, Ordering::Relaxed);
        let now = (self.clock)();
        let batch_over = now.plus(if self.pending.entries.len() >= BATCH_ENTRIES { Duration::ZERO } else { BATCH });
        let due = self.due.map_or(batch_over, |due| due.min(batch_over));
        self.due = Some(self.paused_until.map_or(due, |until| due.max(until)));
    }

    fn do_what_is_due(&mut self, now: Timestamp) {
        if self.due.is_some_and(|due| now.has_reached(due)) {
            self.write(now);
        }
        if let Err(StoreError::Damaged { detail, .. }) = self.keeper.look(now) {
            match self.replace(now, &detail) {
                Ok(()) => self.write(now),
                Err(error) => self.fail(now, &error),
            }
        }
        if self.notice.as_ref().is_some_and(|(_, until)| now.has_reached(*until)) {
            self.notice = None;
            self.tell(now, None);
        }
    }

    /// Writes all that is pending, or says why it cannot.
    fn write(&mut self, now: Timestamp) {
        self.due = None;
        let mut outcome = self.try_write(now);
        if let Err(StoreError::Damaged { detail, .. }) = &outcome {
            let detail = detail.clone();
            outcome = self.replace(now, &detail).and_then(|()| self.try_write(now));
        }
        if matches!(outcome, Err(StoreError::DiskFull { .. })) && self.keeper.give_way() {
            outcome = self.try_write(now);
        }
        match outcome {
            Ok(()) => self.succeed(now),
            Err(error) => self.fail(now, &error),
        }
    }

    fn succeed(&mut self, now: Timestamp) {
        self.pause = FIRST_PAUSE;
        self.paused_until = None;
        let lost = std::mem::take(&mut self.pending.lost);
        self.shared.lost.fetch_add(lost, Ordering::Relaxed);
        self.shared.pending.store(0, Ordering::Relaxed);
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        let missing = lost + dropped.saturating_sub(self.told_dropped);
        self.told_dropped = dropped;
        if missing > 0 {
            let text = format!(
                "{missing} events are missing in the history {}: they came faster than they could be written; services and \
                 restarts are not affected",
                self.keeper.path().display()
            );
            self.notice = Some((text, now.plus(NOTICE)));
        }
        let little_space = self.keeper.mind_space();
        self.shared.bytes.store(self.keeper.bytes(), Ordering::Relaxed);
        self.tell(now, little_space);
    }

    fn fail(&mut self, now: Timestamp, error: &StoreError) {
        self.keeper.failed(error);
        let mut pause = self.pause;
        if matches!(error, StoreError::Locked { .. }) {
            self.keeper.wait_for_locks(BUSY_AGAIN);
        } else if matches!(error, StoreError::DiskFull { .. }) {
            // Space may be back at any moment, and asking costs little.
            pause = pause.min(BATCH);
        }
        let until = now.plus(pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.paused_until = Some(until);
        self.due = Some(until);
        self.tell(now, Some(error.to_string()));
    }

    fn try_write(&mut self, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let db = self.keeper.usable(now)?;
            let more = {
                let mut waiting = self.shared.waiting();
                self.batches.draw(&mut waiting);
                // Behind a batch that had failed before.
                !waiting.is_empty()
            };
            let patterns = self.shared.patterns().clone();
            if self.pending.is_empty() && self.batches.is_empty() && patterns.is_empty() && self.trouble.is_none() {
                return Ok(());
            }
            let inserted = self.pending.entries.len();
            let prune = self.until_prune <= inserted;
            let pass = self.last_pass.as_ref().is_none_or(|last| last.is_over(now)).then(|| Pass::at(now));
            let work = Work {
                engine_started: self.engine_started,
                pending: &self.pending,
                batches: &self.batches,
                patterns: (&patterns, now.wall_us),
                keep: prune.then_some(self.limits),
                pass: pass.as_ref().map(|pass| (pass, self.limits)),
            };
            let caught_up = work.commit(db).map_err(|error| StoreError::of(self.keeper.path(), &error))?;
            // From here on it is known to be there: nothing of it may be written again.
            self.batches.written(caught_up);
            patterns::forget(&mut self.shared.patterns(), &patterns);
            self.pending.entries.clear();
            self.shared.settled.fetch_add(inserted as u64, Ordering::AcqRel);
            self.pending.projects.clear();
            self.until_prune = if prune { PRUNE_EVERY } else { self.until_prune - inserted };
            self.last_pass = pass.or(self.last_pass.take());
            // It may have been shortened while another program held a lock.
            self.keeper.wait_for_locks(open::BUSY);
            if !more {
                return Ok(());
            }
        }
    }

    fn move_place(&mut self, now: Timestamp, from: &str, to: &str) -> Result<(), StoreError> {
        let db = self.keeper.usable(now)?;
        let moved = db.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|change| {
            rows::move_place(&change, from, to)?;
            change.commit()
        });
        moved.map_err(|error| StoreError::of(self.keeper.path(), &error))
    }

    /// Puts the last backup, or nothing, in the place of a damaged database.
    fn replace(&mut self, now: Timestamp, detail: &str) -> Result<(), StoreError> {
        let text = self.keeper.replace(now, detail)?;
        self.shared.failed(&text);
        self.notice = Some((text, now.plus(NOTICE)));
        Ok(())
    }

    /// Says what is wrong, once; when nothing is, what there is to know.
    fn tell(&mut self, now: Timestamp, trouble: Option<String>) {
        let notice = self.notice.as_ref().filter(|(_, until)| !now.has_reached(*until));
        let text = trouble.or_else(|| notice.map(|(text, _)| text.clone()));
        if text != self.trouble {
            if let Some(text) = &text {
                self.shared.failed(text);
            }
            self.trouble.clone_from(&text);
            (self.on_trouble)(text);
        }
    }

    fn answer(&self, question: Question) {
        match question {
            Question::Projects(then) => then(self.pending.apply_to_projects(self.read(rows::projects))),
            Question::Entries(filter, then) => {
                let stored = self.read(|db| rows::entries(db, &filter));
                then(self.pending.apply_to_entries(stored, &filter));
            }
            Question::Cursors(place, then) => {
                let stored = self.try_read(|db| intake::cursors(db, &place));
                then(stored.map(|stored| self.batches.apply_to_cursors(&self.shared.waiting(), &place, stored)));
            }
            Question::Patterns(place, then) => {
                let stored = self.read(|db| patterns::read(db, &place));
                then(patterns::with_waiting(stored, &self.shared.patterns(), &place));
            }
            Question::Minutes(asked, then) => {
                let stored = self.read(|db| intake::minutes(db, &asked));
                then(self.batches.apply_to_minutes(&self.shared.waiting(), &asked, stored));
            }
        }
    }

    /// Reads; nothing where it cannot. Damage is dealt with when it is next written to, or checked.
    fn read<T: Default>(&self, read: impl Fn(&Connection) -> rusqlite::Result<T>) -> T {
        self.try_read(read).unwrap_or_default()
    }

    fn try_read<T: Default>(&self, read: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        match self.keeper.connection() {
            Some(db) => read(db).map_err(|error| StoreError::of(self.keeper.path(), &error)),
            None => open::read_only(self.keeper.path(), read),
        }
    }
}

/// What one transaction brings.
struct Work<'a> {
    engine_started: i64,
    pending: &'a Pending,
    batches: &'a Batches,
    /// With the time.
    patterns: (&'a patterns::Waiting, i64),
    /// How much is kept, where what is more is deleted.
    keep: Option<Limits>,
    /// Where old minutes are deleted.
    pass: Option<(&'a Pass, Limits)>,
}

impl Work<'_> {
    fn commit(&self, db: &mut Connection) -> rusqlite::Result<Vec<Key>> {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        rows::insert(&change, self.engine_started, self.pending.entries.iter().map(Arc::as_ref))?;
        for (root, record) in &self.pending.projects {
            rows::set_project(&change, root, record.as_ref())?;
        }
        let caught_up = self.batches.write(&change)?;
        patterns::write(&change, self.patterns.0, self.patterns.1)?;
        if let Some(keep) = self.keep {
            rows::prune(&change, keep.events)?;
        }
        if let Some((pass, keep)) = self.pass {
            rows::prune_projects(&change, keep.projects)?;
            patterns::prune(&change)?;
            retention::pass(&change, pass, keep.minutes)?;
        }
        change.commit()?;
        Ok(caught_up)
    }
}
