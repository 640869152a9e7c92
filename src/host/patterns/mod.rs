//! Learns the patterns of all output while it comes, on a thread of its own: what is known of each service is kept once a minute at most, and what is news goes
//! to the engine.
//!
//! Promise: nobody waits for it. Batches wait in a bounded queue; when it is full the newest are not learnt from, and their lines are counted, which every answer
//! says. Lines are learnt from as they may be seen: no secret gets into a pattern. Exactly once is not promised: what was learnt in the minute before a sudden end
//! is not known to the next engine. Never: decides what becomes of anything; runs where the engine runs.

mod kept;
mod service;
mod thread;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc::SyncSender},
};

use tokio::sync::{mpsc, oneshot, watch};

pub use self::kept::{pack, unpack};
use self::thread::Learner;
use super::veil::Veil;
use crate::{
    insight::entry::Formats,
    model::{
        event::Event,
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::LogBatch,
        mark::SpecMark,
        pattern::ServicePatterns,
        snapshot::Snapshot,
    },
    world::store::Store,
};

/// Bytes of output that may wait to be learnt from: a second or two of a service that floods. What comes then is dropped and counted.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// What was kept of the services of a place, as the store has it.
pub(super) type Kept = BTreeMap<ServiceName, Arc<[u8]>>;

/// Something for the thread.
enum Message {
    /// Output.
    Batch(Arc<LogBatch>),
    /// A project is opened at a place of which this was kept.
    Open { project: ProjectName, place: Arc<str>, kept: Kept },
    /// A project was closed.
    Close { project: ProjectName, done: oneshot::Sender<()> },
    /// A run begins.
    Begins { service: ServiceId, run: RunId, wall_us: i64, mark: SpecMark },
    /// What is known of these services, or of all?
    Ask { services: Vec<ServiceId>, answer: oneshot::Sender<Vec<ServicePatterns>> },
    /// Give to the store what it has not.
    Keep { done: SyncSender<()> },
}

/// What waits for the thread.
#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Bytes of the batches among them.
    bytes: usize,
    /// Lines that there was no room for.
    dropped: HashMap<ServiceId, u64>,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    woken: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the thread. Cheap to clone; says nothing to anybody when the thread has ended.
#[derive(Clone)]
pub(super) struct Mining(Arc<Shared>);

/// Keeps the thread alive; dropping it ends the thread, after it has given the store what it knows.
pub(super) struct Running {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What the thread needs of the host.
pub(super) struct Means {
    pub(super) veil: Veil,
    pub(super) store: Arc<Store>,
    pub(super) events: mpsc::WeakSender<Event>,
    pub(super) pictures: watch::Receiver<Arc<Snapshot>>,
    /// How levels of lines are recognised.
    pub(super) formats: Arc<Formats>,
}

/// Starts the thread.
pub(super) fn start(means: Means) -> io::Result<(Mining, Running)> {
    let shared = Arc::new(Shared::default());
    let learner = Learner::new(Arc::clone(&shared), means);
    let thread = std::thread::Builder::new().name("cas-patterns".to_owned()).spawn(move || learner.run())?;
    Ok((Mining(Arc::clone(&shared)), Running { shared, thread: Some(thread) }))
}

impl Mining {
    /// Learns from a batch, where there is room.
    pub(super) fn learn(&self, batch: &Arc<LogBatch>) {
        let mut queue = self.0.queue();
        if queue.ended {
            return;
        }
        if queue.bytes >= QUEUE_BYTES {
            *queue.dropped.entry(batch.service.clone()).or_default() += batch.lines.len() as u64;
            return;
        }
        queue.bytes += batch.weight();
        queue.messages.push_back(Message::Batch(Arc::clone(batch)));
        drop(queue);
        self.0.woken.notify_one();
    }

    /// A project is opened at a place of which this was kept; before its first output.
    pub(super) fn open(&self, project: &ProjectName, place: Arc<str>, kept: Kept) {
        self.tell(Message::Open { project: project.clone(), place, kept });
    }

    /// A project was closed; returns when what was known of it was given to the store, so that whoever opens it again finds that.
    pub(super) async fn close(&self, project: &ProjectName) {
        let (done, closed) = oneshot::channel();
        self.tell(Message::Close { project: project.clone(), done });
        // An error means that the thread has ended, or is about to: then it gives all.
        let _ended = closed.await;
    }

    /// A run begins; before its first output.
    pub(super) fn begins(&self, service: &ServiceId, run: RunId, wall_us: i64, mark: SpecMark) {
        self.tell(Message::Begins { service: service.clone(), run, wall_us, mark });
    }

    /// Asks what is known of services, all where none is named.
    pub(super) fn ask(&self, services: Vec<ServiceId>, answer: oneshot::Sender<Vec<ServicePatterns>>) {
        self.tell(Message::Ask { services, answer });
    }

    /// Returns when all that is known was given to the store. **Blocks**.
    pub(super) fn keep(&self) {
        let (done, kept) = std::sync::mpsc::sync_channel(1);
        self.tell(Message::Keep { done });
        // An error means that the thread has ended, and then it has given all.
        let _ended = kept.recv();
    }

    fn tell(&self, message: Message) {
        let mut queue = self.0.queue();
        // What nobody will read is let go of, and with it the way for an answer.
        if !queue.ended {
            queue.messages.push_back(message);
            drop(queue);
            self.0.woken.notify_one();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.queue().ended = true;
        self.shared.woken.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the hook.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
