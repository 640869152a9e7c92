//! Log files that services write themselves: followed (`follower`), rotated (`rotator`), and told of.
//!
//! Two threads: one reads, one looks every 15 s and carries out what the engine asks for. What is due is told; whether it is done the engine decides.
//!
//! Promise: a file that is not declared is never touched, one without `rotate` only read. What may be touched at all says `place`, what is safe at every step
//! `steps`. Never: decides when a file is rotated; sends a signal.

mod follower;
mod means;
mod names;
mod open;
mod place;
mod rotator;
mod round;
mod steps;
mod stream;
mod tail;

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use self::{
    follower::{Follower, Handed, Known},
    place::Owners,
    rotator::Rotator,
};
use super::{
    clock::{self, Clock},
    output::Taken,
};
use crate::model::{
    ids::{RunId, ServiceId},
    log_file::{DueFile, LogFileView, LogFiles, Rotated, RotationRound},
    signal::Signal,
    time::Timestamp,
};

/// Between two passes.
pub const PAUSE: Duration = Duration::from_secs(15);
/// Between two looks as whom a service runs.
const USERS_AGAIN: Duration = Duration::from_secs(3);

/// A service and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Whose.
    pub service: ServiceId,
    /// Key of its project's place.
    pub place: Arc<str>,
    /// Where it runs.
    pub directory: PathBuf,
    /// What is declared; nothing of a service whose files are only found.
    pub files: Arc<[LogFiles]>,
}

impl Declared {
    /// Whether there is anything to follow.
    fn follows(&self) -> bool {
        self.files.iter().any(|files| files.follow)
    }
}

/// Who runs now. Asked from threads of its own: it may look at `/proc`.
pub trait Runs: std::fmt::Debug + Send + Sync {
    /// The run of a service whose main process is there, and that process.
    fn writer(&self, service: &ServiceId) -> Option<(RunId, u32)>;
    /// Every process of it that is known.
    fn processes(&self, service: &ServiceId) -> Vec<u32>;
}

/// As whom each service runs, or ran last: a server that gives its rights up gives its files to that user.
#[derive(Debug)]
struct Users {
    runs: Arc<dyn Runs>,
    kept: Mutex<BTreeMap<ServiceId, (Timestamp, Vec<u32>)>>,
}

impl Users {
    /// Who may own files of a service, as seen a moment ago.
    fn owners(&self, service: &ServiceId) -> Owners {
        self.owners_within(service, USERS_AGAIN)
    }

    /// The same, as seen no longer ago than that.
    fn owners_within(&self, service: &ServiceId, age: Duration) -> Owners {
        let now = clock::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (looked, users) = kept.entry(service.clone()).or_insert_with(|| (Timestamp::default(), Vec::new()));
        if now.since(*looked) >= age {
            *looked = now;
            let main = self.runs.writer(service).map(|(_, pid)| pid);
            let processes = main.into_iter().chain(self.runs.processes(service));
            let user = |pid| std::fs::metadata(format!("/proc/{pid}")).ok().map(|about| about.uid());
            let mut found: Vec<u32> = processes.filter_map(user).collect();
            found.sort_unstable();
            found.dedup();
            if !found.is_empty() {
                *users = found;
            }
        }
        Owners::and(users.clone())
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These are to be rotated. Told with every pass until they are.
    Due(ServiceId, Vec<DueFile>),
    /// These of a round have other names now: the run is to be told by this signal.
    Moved(ServiceId, RunId, Signal),
    /// What became of a round.
    Rotated(ServiceId, Vec<Rotated>),
}

/// Says what can be said of the files of one service or of all. **Blocks**: it looks at them.
pub type Views = Box<dyn FnOnce(Option<&ServiceId>) -> Vec<LogFileView> + Send>;

/// Both threads; they end when this is dropped.
#[derive(Debug)]
pub struct OwnFiles {
    follower: Follower,
    rotator: Rotator,
    known: Known,
}

impl OwnFiles {
    /// Starts with no file. Lines go to `output`; `tell` is called on a thread that may wait.
    ///
    /// # Errors
    /// A thread, or the descriptor to wake it, could not be made.
    pub fn start(
        output: mpsc::WeakSender<Taken>,
        runs: Arc<dyn Runs>,
        tell: impl Fn(News) + Send + 'static,
    ) -> io::Result<Self> {
        Self::with_clock(output, runs, tell, Arc::new(clock::now), PAUSE)
    }

    /// The same by another clock than that of this machine for what is due and kept, with so much of real time between two passes.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn with_clock(
        output: mpsc::WeakSender<Taken>,
        runs: Arc<dyn Runs>,
        tell: impl Fn(News) + Send + 'static,
        clock: Clock,
        pause: Duration,
    ) -> io::Result<Self> {
        let (handed, known) = (Arc::new(Handed::default()), Known::default());
        let users = Arc::new(Users { runs, kept: Mutex::default() });
        let follower = Follower::start(output, Arc::clone(&users), Arc::clone(&handed), Arc::clone(&known))?;
        let rotator = Rotator::start(users, handed, Box::new(tell), clock, pause)?;
        Ok(Self { follower, rotator, known })
    }

    /// Looks after the files of these services from now on and no others.
    pub fn watch(&self, declared: Vec<Declared>) {
        let declared: Arc<[Declared]> = declared.into();
        self.follower.follow(Arc::clone(&declared));
        self.rotator.watch(declared);
    }

    /// Begins a round; what comes of it is told once.
    pub fn rotate(&self, round: RotationRound) {
        self.rotator.rotate(round);
    }

    /// Who says it, on another thread.
    #[must_use]
    pub fn views(&self) -> Views {
        let (look, known) = (self.rotator.look(), Arc::clone(&self.known));
        Box::new(move |service| {
            let mut views = look(service);
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            for view in &mut views {
                let Some(followed) = known.get(&(view.service.clone(), view.file.clone())) else { continue };
                view.lines = followed.lines;
                let not_read = || followed.trouble.as_ref().map(|why| format!("not followed: {why}"));
                view.trouble = view.trouble.take().or_else(not_read);
            }
            views
        })
    }
}
