//! What cas remembers across its lives: the registry of projects, the events of the timeline, and how far the output of services
//! was taken in with what was derived from it, in `SQLite`.
//!
//! Promise: whoever records never waits, whatever the disk does. What cannot be written is kept in memory (the newest 10,000
//! entries; of each service the cursor and 1,440 minutes) and written when it can be; a trouble sentence says so and is taken back
//! when it is over. Each line of output counts exactly once. A damaged database is moved aside, never deleted, and the last backup
//! put in its place; one of a newer cas is read and never written. Never: a reason to stop supervising.

mod backup;
mod chore;
mod fault;
mod holder;
mod intake;
mod keeper;
mod limit;
mod open;
mod patterns;
mod pending;
pub(crate) mod private;
mod retention;
mod rows;
mod space;
mod status;
mod writer;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::clock::{self, Clock};
use crate::model::{
    ids::{ProjectName, ServiceName},
    intake::{Cursor, Intake, Minute},
    project::ProjectRecord,
    timeline::Entry,
};

pub use self::{fault::StoreError, status::StoreStatus};
use self::{
    intake::MinuteFilter,
    status::Shared,
    writer::{Answer, Message, Question, Writer},
};

/// How long a blocking question waits for its answer: the writer may be waiting for another program's lock just then.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// The same where services wait to be taken over, and can be without an answer.
const CURSORS_WITHIN: Duration = Duration::from_secs(2);

/// How much is kept, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events kept in the database: the newest.
    pub events: u32,
    /// Entries kept in memory while the database cannot be written: the newest.
    pub pending: usize,
    /// Messages that may wait for the writer; more are dropped and counted.
    pub queue: usize,
    /// Minutes of output that are kept, counted back from now.
    pub minutes: u32,
    /// Projects kept in the registry: those that were opened last.
    pub projects: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 200_000, pending: 10_000, queue: 4096, minutes: 30 * 24 * 60, projects: 1000 }
    }
}

/// Which entries are asked for. All conditions must hold; an empty list of services means all, and what is about none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntryFilter {
    /// At most so many, the newest.
    pub limit: usize,
    /// Of this project.
    pub project: Option<ProjectName>,
    /// Of these services.
    pub services: Vec<ServiceName>,
    /// Not older than this, microseconds since the Unix epoch.
    pub since_wall_us: Option<i64>,
}

impl EntryFilter {
    /// Whether `entry` is asked for, the limit aside.
    #[must_use]
    pub fn takes(&self, entry: &Entry) -> bool {
        let of_project = self.project.is_none() || self.project == entry.project;
        let of_service =
            self.services.is_empty() || entry.service.as_ref().is_some_and(|name| self.services.contains(name));
        of_project && of_service && self.since_wall_us.is_none_or(|since| entry.at.wall_us >= since)
    }
}

/// The handle: a bounded channel to the one thread that writes. Dropping it writes what is left.
#[derive(Debug)]
pub struct Store {
    messages: Option<SyncSender<Message>>,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens, or begins, the database at `path` on a thread of its own; returns at once.
    ///
    /// `on_trouble` is called on that thread with a sentence (what, where, what next) when something is wrong with the store,
    /// and with nothing when all is well again.
    #[must_use]
    pub fn open(path: PathBuf, on_trouble: impl Fn(Option<String>) + Send + 'static) -> Self {
        Self::with_limits(path, Limits::default(), on_trouble)
    }

    /// The same with limits of the caller's.
    #[must_use]
    pub fn with_limits(path: PathBuf, limits: Limits, on_trouble: impl Fn(Option<String>) + Send + 'static) -> Self {
        Self::with_clock(path, limits, Arc::new(clock::now), on_trouble)
    }

    /// The same by another clock than that of this machine.
    #[must_use]
    pub fn with_clock(
        path: PathBuf,
        limits: Limits,
        clock: Clock,
        on_trouble: impl Fn(Option<String>) + Send + 'static,
    ) -> Self {
        let (messages, inbox) = mpsc::sync_channel(limits.queue);
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(path, limits, clock, Arc::clone(&shared), Box::new(on_trouble));
        // Where no thread is to be had, everything is dropped and counted, as with a full queue.
        let writer = thread::Builder::new().name("cas-store".to_owned()).spawn(move || writer.run(&inbox)).ok();
        Self { messages: Some(messages), shared, writer }
    }

    /// Keeps an entry. Never waits.
    pub fn record(&self, entry: Arc<Entry>) {
        // Counted first: whoever reads the count afterwards counts this one in.
        self.shared.recorded.fetch_add(1, Ordering::AcqRel);
        if !self.send(Message::Record(entry)) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            self.shared.settled.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Keeps a project in the registry, in the place of an earlier record with the same root. Never waits.
    pub fn register(&self, project: ProjectRecord) {
        self.tell(Message::Register(project));
    }

    /// Takes a project out of the registry. Never waits.
    pub fn forget(&self, root: PathBuf) {
        self.tell(Message::Forget(root));
    }

    /// What is kept of the place `from` is from now on that of `to`: the project was moved. **Blocks**, for two seconds at most.
    ///
    /// # Errors
    /// A sentence: nothing was changed, or it is not known.
    pub fn move_place(&self, from: &str, to: &str) -> Result<(), String> {
        let (answer, answered) = mpsc::sync_channel(1);
        let then: Answer<Result<(), StoreError>> = Box::new(move |moved| {
            // An error means that the asker has stopped waiting.
            let _gone = answer.send(moved);
        });
        if !self.send_for_certain(Message::MovePlace { from: from.into(), to: to.into(), then }) {
            return Err("the history is not written any more".to_owned());
        }
        match answered.recv_timeout(CURSORS_WITHIN) {
            Ok(moved) => moved.map_err(|error| error.to_string()),
            Err(_) => Err("the history does not answer".to_owned()),
        }
    }

    /// Keeps how far output was taken in together with what was derived from it: both or neither are stored. Never waits; none
    /// of it is dropped, as what cannot be written is merged with what comes later.
    pub fn take_in(&self, intake: Vec<Intake>) {
        if intake.is_empty() {
            return;
        }
        self.shared.waiting().add(intake);
        self.send(Message::TakenIn);
    }

    /// Keeps what is known of the patterns in the output of a service, in the place of what was kept of it before. Never waits; none of it is dropped, as
    /// only the newest of each service waits to be written.
    pub fn keep_patterns(&self, place: &Arc<str>, service: &ServiceName, state: Arc<[u8]>) {
        self.shared.patterns().insert((Arc::clone(place), service.clone()), state);
        self.send(Message::TakenIn);
    }

    /// What is kept of the patterns in the output of the services of a place, what is not yet written included. **Blocks**, for two seconds at most; what
    /// cannot be read by then is not there.
    #[must_use]
    pub fn patterns(&self, place: &str) -> BTreeMap<ServiceName, Arc<[u8]>> {
        self.ask_for(CURSORS_WITHIN, |answer| Question::Patterns(Arc::from(place), answer)).unwrap_or_default()
    }

    /// How far each service of a place was taken in, what is not yet written included. **Blocks**, for two seconds at most.
    ///
    /// Where the database cannot be read by then, only what this store was given is found. What comes from that place is then compared
    /// with what the database holds when it can be written again, so that output that is read a second time counts once.
    #[must_use]
    pub fn cursors(&self, place: &str) -> BTreeMap<ServiceName, Cursor> {
        let answer = self.ask_for(CURSORS_WITHIN, |answer| Question::Cursors(Arc::from(place), answer));
        if let Some(Ok(found)) = answer {
            return found;
        }
        let mut waiting = self.shared.waiting();
        waiting.doubt(place);
        waiting.cursors(place)
    }

    /// Minutes of a service from the first to the last, both included, oldest first; those without output are not there.
    /// **Blocks**; empty where there is no answer.
    #[must_use]
    pub fn minutes(&self, place: &str, service: &ServiceName, from_minute: i64, to_minute: i64) -> Vec<Minute> {
        let asked = MinuteFilter { place: Arc::from(place), service: service.clone(), from_minute, to_minute };
        self.ask(|answer| Question::Minutes(asked, answer))
    }

    /// How the store is. Cheap.
    #[must_use]
    pub fn status(&self) -> StoreStatus {
        self.shared.status()
    }

    /// Messages that were dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Asks for the registry; `then` is called on the writer's thread. Never waits. Where the queue is full, `then` is dropped.
    pub fn projects_then(&self, then: impl FnOnce(Vec<ProjectRecord>) + Send + 'static) {
        self.tell(Message::Ask(Question::Projects(Box::new(then))));
    }

    /// Asks for entries, oldest first; as [`Store::projects_then`].
    pub fn entries_then(&self, filter: EntryFilter, then: impl FnOnce(Vec<Entry>) + Send + 'static) {
        self.tell(Message::Ask(Question::Entries(filter, Box::new(then))));
    }

    /// The registry by name, with [`ProjectRecord::exists`] as it is now. **Blocks**; empty where there is no answer.
    #[must_use]
    pub fn projects(&self) -> Vec<ProjectRecord> {
        self.ask(Question::Projects)
    }

    /// The same where a project waits to be opened, and can be without an answer: **blocks** for two seconds at most.
    #[must_use]
    pub fn projects_soon(&self) -> Vec<ProjectRecord> {
        self.ask_for(CURSORS_WITHIN, Question::Projects).unwrap_or_default()
    }

    /// Entries, oldest first, those not yet written included. **Blocks**; empty where there is no answer.
    #[must_use]
    pub fn entries(&self, filter: &EntryFilter) -> Vec<Entry> {
        self.ask(|answer| Question::Entries(filter.clone(), answer))
    }

    /// The same where services wait to be taken over, and can be without an answer: **blocks** for two seconds at most.
    #[must_use]
    pub fn entries_soon(&self, filter: &EntryFilter) -> Vec<Entry> {
        self.ask_for(CURSORS_WITHIN, |answer| Question::Entries(filter.clone(), answer)).unwrap_or_default()
    }

    /// Returns when everything recorded before has been written, or could not be. **Blocks**.
    pub fn flush(&self) {
        let (done, written) = mpsc::sync_channel(1);
        if self.send_for_certain(Message::Flush(done)) {
            // An error means that the writer is gone, and that there is nothing to wait for.
            let _written = written.recv();
        }
    }

    fn tell(&self, message: Message) {
        if !self.send(message) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Without waiting; false where the queue is full.
    fn send(&self, message: Message) -> bool {
        let Some(messages) = &self.messages else { return false };
        self.shared.in_queue.fetch_add(1, Ordering::Relaxed);
        match messages.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.in_queue.fetch_sub(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Waits for room in the queue; false where nobody serves it.
    fn send_for_certain(&self, message: Message) -> bool {
        let Some(messages) = &self.messages else { return false };
        self.shared.in_queue.fetch_add(1, Ordering::Relaxed);
        messages.send(message).inspect_err(|_| _ = self.shared.in_queue.fetch_sub(1, Ordering::Relaxed)).is_ok()
    }

    fn ask<T: Default + Send + 'static>(&self, question: impl FnOnce(Answer<T>) -> Question) -> T {
        self.ask_for(ANSWER_WITHIN, question).unwrap_or_default()
    }

    /// None where there is no answer.
    fn ask_for<T: Send + 'static>(&self, limit: Duration, question: impl FnOnce(Answer<T>) -> Question) -> Option<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        let question = question(Box::new(move |found| {
            // An error means that the asker has stopped waiting.
            let _gone = answer.send(found);
        }));
        if !self.send_for_certain(Message::Ask(question)) {
            return None;
        }
        answered.recv_timeout(limit).ok()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.messages = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was already reported by the panic hook; there is nothing left to save.
            let _ended = writer.join();
        }
    }
}

/// Reads the registry without an engine. No file: nothing.
///
/// # Errors
/// [`StoreError`] where there is a file that cannot be read.
pub fn read_projects(path: &Path) -> Result<Vec<ProjectRecord>, StoreError> {
    open::read_only(path, rows::projects)
}

/// Reads entries, oldest first, without an engine. No file: nothing.
///
/// # Errors
/// [`StoreError`] where there is a file that cannot be read.
pub fn read_entries(path: &Path, filter: &EntryFilter) -> Result<Vec<Entry>, StoreError> {
    open::read_only(path, |db| rows::entries(db, filter))
}

/// Reads minutes of a service, from the first to the last, both included, oldest first, without an engine. No file: nothing.
///
/// # Errors
/// [`StoreError`] where there is a file that cannot be read.
pub fn read_minutes(
    path: &Path,
    place: &str,
    service: &ServiceName,
    from_minute: i64,
    to_minute: i64,
) -> Result<Vec<Minute>, StoreError> {
    let asked = MinuteFilter { place: Arc::from(place), service: service.clone(), from_minute, to_minute };
    open::read_only(path, |db| intake::minutes(db, &asked)).map(|(found, _)| found)
}

/// Reads how far each service of a place was taken in, without an engine. No file: nothing.
///
/// # Errors
/// [`StoreError`] where there is a file that cannot be read.
pub fn read_cursors(path: &Path, place: &str) -> Result<BTreeMap<ServiceName, Cursor>, StoreError> {
    open::read_only(path, |db| intake::cursors(db, place))
}

/// Reads what is kept of the patterns in the output of the services of a place, without an engine. No file: nothing.
///
/// # Errors
/// [`StoreError`] where there is a file that cannot be read.
pub fn read_patterns(path: &Path, place: &str) -> Result<BTreeMap<ServiceName, Arc<[u8]>>, StoreError> {
    open::read_only(path, |db| patterns::read(db, place))
}
