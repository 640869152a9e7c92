//! Log files that services write themselves: followed ([`follower`]), rotated ([`rotator`]), and told of.
//!
//! Two threads: one reads, one looks every 15 s and carries out what the engine asks for. What is due is told; whether it is done the engine decides.
//!
//! Promise: a file that is not declared is never touched, one without `rotate` only read. What may be touched at all says [`place`], what is safe at every step
//! [`steps`]. Never: decides when a file is rotated; sends a signal.

mod follower;
mod names;
mod open;
mod place;
mod rotator;
mod round;
mod steps;
mod tail;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use self::{
    follower::{Emptied, Follower, Known},
    rotator::Rotator,
};
use super::{clock::Clock, output::Taken};
use crate::model::{
    ids::{RunId, ServiceId},
    log_file::{DueFile, LogFileView, LogFiles, Rotated, RotationRound},
    signal::Signal,
};

/// Between two passes.
pub const PAUSE: Duration = Duration::from_secs(15);

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
    /// The user as whom it runs; none where nothing of it runs.
    fn user(&self, service: &ServiceId) -> Option<u32> {
        use std::os::unix::fs::MetadataExt;
        let (_, pid) = self.writer(service)?;
        std::fs::metadata(format!("/proc/{pid}")).ok().map(|about| about.uid())
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
        Self::with_clock(output, runs, tell, Arc::new(super::clock::now), PAUSE)
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
        let (emptied, known) = (Arc::new(Emptied::default()), Known::default());
        let follower = Follower::start(output, Arc::clone(&runs), Arc::clone(&emptied), Arc::clone(&known))?;
        let rotator = Rotator::start(runs, emptied, Box::new(tell), clock, pause)?;
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
