//! The one thread that writes: batches once a second, keeps what it cannot write, tries again by itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    EntryFilter, Limits,
    fault::StoreError,
    holder::beside,
    open::{self, Opened},
    pending::Pending,
    rows,
};
use crate::{
    model::{ids::ProjectName, project::ProjectRecord, time::Timestamp, timeline::Entry},
    world::clock,
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
/// A database up to this size is checked before it is used (some 10 ms); a larger one when there is time.
const CHECK_AT_ONCE_BYTES: u64 = 8 << 20;
const CHECK_LATER: Duration = Duration::from_secs(5);
/// Events between two prunings.
const PRUNE_EVERY: usize = 1000;

type Answer<T> = Box<dyn FnOnce(Vec<T>) + Send>;

/// What is asked.
pub(super) enum Question {
    Projects(Answer<ProjectRecord>),
    Entries(EntryFilter, Answer<Entry>),
    LastStates(ProjectName, Answer<Entry>),
}

/// What the writer is told.
pub(super) enum Message {
    Record(Arc<Entry>),
    Register(ProjectRecord),
    Forget(PathBuf),
    Ask(Question),
    Flush(SyncSender<()>),
}

enum Database {
    Shut,
    Usable(Connection),
    /// Of a newer cas: read only.
    Newer(Connection),
}

/// The thread's state.
pub(super) struct Writer {
    path: PathBuf,
    limits: Limits,
    dropped: Arc<AtomicU64>,
    on_trouble: Box<dyn Fn(Option<String>) + Send>,
    engine_started: i64,
    database: Database,
    identity: Option<(u64, u64)>,
    /// The connection failed in a way that a new one might not.
    suspect: bool,
    pending: Pending,
    /// When something is to be done, if anything is.
    due: Option<Timestamp>,
    check_due: Option<Timestamp>,
    pause: Duration,
    paused_until: Option<Timestamp>,
    trouble: Option<String>,
    notice: Option<(String, Timestamp)>,
    told_dropped: u64,
    until_prune: usize,
    set_aside: Option<Timestamp>,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        limits: Limits,
        dropped: Arc<AtomicU64>,
        on_trouble: Box<dyn Fn(Option<String>) + Send>,
    ) -> Self {
        Self {
            path,
            limits,
            dropped,
            on_trouble,
            engine_started: clock::now().wall_us,
            database: Database::Shut,
            identity: None,
            suspect: false,
            pending: Pending::new(limits.pending),
            due: None,
            check_due: None,
            pause: FIRST_PAUSE,
            paused_until: None,
            trouble: None,
            notice: None,
            told_dropped: 0,
            until_prune: 0,
            set_aside: None,
        }
    }

    /// Serves until every sender is gone, then writes what is left.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        self.write(clock::now());
        loop {
            let message = match self.next_wake() {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => inbox.recv_timeout(at.since(clock::now())),
            };
            match message {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.do_what_is_due(clock::now());
        }
        if let Database::Usable(db) = &self.database {
            // Whoever ends cas does not wait for somebody else's lock.
            let _default = db.busy_timeout(BUSY_AGAIN * 10);
        }
        if !self.pending.is_empty() {
            self.write(clock::now());
        }
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let notice = self.notice.as_ref().map(|(_, until)| *until);
        [self.due, self.check_due, notice].into_iter().flatten().min()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record(entry) => self.pending.push(entry),
            Message::Register(record) => {
                self.pending.projects.insert(record.root.clone(), Some(record));
            }
            Message::Forget(root) => {
                self.pending.projects.insert(root, None);
            }
            Message::Ask(question) => return self.answer(question),
            Message::Flush(done) => {
                self.write(clock::now());
                // An error means that nobody waits.
                let _gone = done.send(());
                return;
            }
        }
        let now = clock::now();
        let batch_over = now.plus(if self.pending.entries.len() >= BATCH_ENTRIES { Duration::ZERO } else { BATCH });
        let due = self.due.map_or(batch_over, |due| due.min(batch_over));
        self.due = Some(self.paused_until.map_or(due, |until| due.max(until)));
    }

    fn do_what_is_due(&mut self, now: Timestamp) {
        if self.due.is_some_and(|due| now.has_reached(due)) {
            self.write(now);
        } else if self.check_due.is_some_and(|due| now.has_reached(due)) {
            self.check_due = None;
            self.check(now);
        }
        if self.notice.as_ref().is_some_and(|(_, until)| now.has_reached(*until)) {
            self.notice = None;
            self.tell(now, None);
        }
    }

    /// Writes all that is pending, or says why it cannot.
    fn write(&mut self, now: Timestamp) {
        self.due = None;
        let mut outcome = self.try_write();
        if let Err(StoreError::Damaged { detail, .. }) = &outcome {
            let detail = detail.clone();
            outcome = self.begin_anew(now, &detail).and_then(|()| self.try_write());
        }
        match outcome {
            Ok(()) => {
                self.pause = FIRST_PAUSE;
                self.paused_until = None;
                let lost = std::mem::take(&mut self.pending.lost);
                let dropped = self.dropped.load(Ordering::Relaxed);
                let missing = lost + dropped.saturating_sub(self.told_dropped);
                self.told_dropped = dropped;
                if missing > 0 {
                    let text = format!(
                        "{missing} events are missing in the history {}: they came faster than they could be written; services and \
                         restarts are not affected",
                        self.path.display()
                    );
                    self.notice = Some((text, now.plus(NOTICE)));
                }
                self.tell(now, None);
            }
            Err(error) => self.fail(now, &error),
        }
    }

    fn fail(&mut self, now: Timestamp, error: &StoreError) {
        match error {
            StoreError::Locked { .. } => {
                if let Database::Usable(db) = &self.database {
                    // Failing means that the wait stays as long as it was.
                    let _longer = db.busy_timeout(BUSY_AGAIN);
                }
            }
            StoreError::Newer { .. } | StoreError::DiskFull { .. } => {}
            // A new connection may fare better: permissions or a mount may have changed. Until there is one, this one still reads.
            StoreError::NotWritable { .. } | StoreError::Other { .. } => self.suspect = true,
            StoreError::Damaged { .. } => self.database = Database::Shut,
        }
        let until = now.plus(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.paused_until = Some(until);
        self.due = Some(until);
        self.tell(now, Some(error.to_string()));
    }

    fn try_write(&mut self) -> Result<(), StoreError> {
        self.ensure_open()?;
        let db = match &mut self.database {
            Database::Usable(db) => db,
            Database::Newer(db) => {
                let found = open::format_of(db).unwrap_or(open::KNOWN + 1);
                // An older one may have been put in its place.
                self.suspect = found <= open::KNOWN;
                return Err(StoreError::Newer { path: self.path.clone(), found, known: open::KNOWN });
            }
            Database::Shut => return Ok(()),
        };
        if self.pending.is_empty() && self.trouble.is_none() {
            return Ok(());
        }
        let inserted = self.pending.entries.len();
        let prune = self.until_prune <= inserted;
        let keep = prune.then_some(self.limits.events);
        commit(db, self.engine_started, &self.pending, keep).map_err(|error| StoreError::of(&self.path, &error))?;
        self.until_prune = if prune { PRUNE_EVERY } else { self.until_prune - inserted };
        self.pending.entries.clear();
        self.pending.projects.clear();
        // It may have been shortened while another program held a lock; failing leaves it short, which is harmless.
        let _short = db.busy_timeout(open::BUSY);
        Ok(())
    }

    /// Opens the database unless it is open; again where the file was moved, replaced or deleted meanwhile.
    fn ensure_open(&mut self) -> Result<(), StoreError> {
        let open = !matches!(self.database, Database::Shut);
        let same = self.identity.is_some() && open::identity(&self.path) == self.identity;
        if open && same && !self.suspect {
            return Ok(());
        }
        if !same {
            self.database = Database::Shut;
        }
        let before = fs::metadata(&self.path).map_or(0, |found| found.len());
        match open::read_write(&self.path)? {
            Opened::Usable(db) => {
                if before <= CHECK_AT_ONCE_BYTES {
                    open::check(&self.path, &db)?;
                } else {
                    self.check_due = Some(clock::now().plus(CHECK_LATER));
                }
                self.database = Database::Usable(db);
            }
            Opened::Newer(db) => self.database = Database::Newer(db),
        }
        self.identity = open::identity(&self.path);
        self.suspect = false;
        Ok(())
    }

    /// The check that was put off.
    fn check(&mut self, now: Timestamp) {
        let Database::Usable(db) = &self.database else { return };
        if let Err(StoreError::Damaged { detail, .. }) = open::check(&self.path, db) {
            match self.begin_anew(now, &detail) {
                Ok(()) => self.write(now),
                Err(error) => self.fail(now, &error),
            }
        }
    }

    /// Moves a damaged database aside, so that the next opening begins a new one.
    fn begin_anew(&mut self, now: Timestamp, detail: &str) -> Result<(), StoreError> {
        self.database = Database::Shut;
        let damaged = || StoreError::Damaged { path: self.path.clone(), detail: detail.to_owned() };
        // A disk that damages everything must not be filled with what it damaged.
        if self.set_aside.is_some_and(|last| now.since(last) < NOTICE) {
            return Err(damaged());
        }
        let moved = beside(&self.path, &format!(".corrupt-{}", now.wall().format("%Y%m%dT%H%M%S%.6fZ")));
        rename_all(&self.path, &moved).map_err(|error| StoreError::of_file(&self.path, &error))?;
        self.set_aside = Some(now);
        let text = format!(
            "the history {} was damaged ({detail}) and is now {}: a new one was begun; nothing else is affected",
            self.path.display(),
            moved.display()
        );
        self.notice = Some((text, now.plus(NOTICE)));
        Ok(())
    }

    /// Says what is wrong, once; when nothing is, what there is to know.
    fn tell(&mut self, now: Timestamp, trouble: Option<String>) {
        let notice = self.notice.as_ref().filter(|(_, until)| !now.has_reached(*until));
        let text = trouble.or_else(|| notice.map(|(text, _)| text.clone()));
        if text != self.trouble {
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
            Question::LastStates(project, then) => {
                let stored = self.read(|db| rows::last_states(db, &project));
                then(self.pending.apply_to_last_states(stored, &project));
            }
        }
    }

    /// Reads; nothing where it cannot. Damage is dealt with when it is next written to, or checked.
    fn read<T: Default>(&self, read: impl Fn(&Connection) -> rusqlite::Result<T>) -> T {
        match &self.database {
            Database::Usable(db) | Database::Newer(db) => read(db).unwrap_or_default(),
            Database::Shut => open::read_only(&self.path, read).unwrap_or_default(),
        }
    }
}

/// One transaction with all that is pending; `keep` prunes.
fn commit(db: &mut Connection, engine_started: i64, pending: &Pending, keep: Option<u32>) -> rusqlite::Result<()> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    rows::insert(&change, engine_started, pending.entries.iter().map(Arc::as_ref))?;
    for (root, record) in &pending.projects {
        rows::set_project(&change, root, record.as_ref())?;
    }
    if let Some(keep) = keep {
        rows::prune(&change, keep)?;
    }
    change.commit()
}

/// Renames the database and what belongs to it; the log first, so that no new database ever meets an old log.
fn rename_all(from: &Path, to: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(from, suffix), beside(to, suffix)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    fs::rename(from, to)
}
