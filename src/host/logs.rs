//! The hub of output: gives each batch to the readers and to a bounded ring, counts it, and says to the store once a second how far was
//! taken in and what was counted.
//!
//! Promise: what it says to the store covers each batch exactly once, with the cursor behind it. Never looks into a line: sanitising is for whoever
//! shows it. Never waits for a disk.

mod ledger;
mod ring;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use self::{
    ledger::Ledger,
    ring::{Ring, TOTAL_BYTES},
};
use super::handle::LogFeed;
use crate::{
    model::{
        ids::{ProjectName, ServiceId, ServiceName},
        intake::{Cursor, Intake},
        log::LogBatch,
        service::LogPolicy,
    },
    world::{
        log_files::{archive::Archivist, lines_before},
        output::{Behind, Taken},
    },
};

/// Between two words to the store, where there is something to say.
const PERIOD: Duration = Duration::from_secs(1);

/// Bytes before the cursor that are read again for each service of a project that is opened.
const REFILL_BYTES: u64 = 256 * 1024;

/// Where intake goes: it must not wait.
pub type IntakeSink = Box<dyn Fn(Vec<Intake>) + Send>;

/// A project whose output comes here from now on.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its name.
    pub project: ProjectName,
    /// Key of its place.
    pub place: Arc<str>,
    /// The directory of its slots.
    pub slots: PathBuf,
    /// How far each service was taken in before. Their newest lines are read again for the ring.
    pub cursors: BTreeMap<ServiceName, Cursor>,
    /// How the output of its services is kept.
    pub policies: BTreeMap<ServiceName, LogPolicy>,
}

/// A question to the hub.
enum Question {
    /// What is in the ring?
    Recall { service: Option<ServiceId>, answer: oneshot::Sender<Vec<Arc<LogBatch>>> },
    /// A project was opened, or keeps its output otherwise now.
    Refill(Opened),
    /// A project was closed.
    Close { place: Arc<str> },
    /// Was everything that was captured said to the store?
    Flush { done: oneshot::Sender<()> },
}

/// The hub's address.
#[derive(Debug, Clone)]
pub struct Hub(mpsc::Sender<Question>);

impl Hub {
    /// Starts the hub's task; it ends when the world has gone and nobody can ask.
    #[must_use]
    pub fn start(captured: mpsc::Receiver<Taken>, feed: LogFeed, store: IntakeSink, archivist: Archivist) -> Self {
        Self::with_memory(captured, feed, store, archivist, TOTAL_BYTES)
    }

    /// The same, with those who look at what comes.
    pub(super) fn start_watching(
        captured: mpsc::Receiver<Taken>,
        feed: LogFeed,
        store: IntakeSink,
        archivist: Archivist,
        watch: Watch,
    ) -> Self {
        Self::serve(captured, feed, store, archivist, TOTAL_BYTES, Some(watch))
    }

    /// The same with room in memory for about so many bytes of output.
    #[must_use]
    pub fn with_memory(
        captured: mpsc::Receiver<Taken>,
        feed: LogFeed,
        store: IntakeSink,
        archivist: Archivist,
        bytes: usize,
    ) -> Self {
        Self::serve(captured, feed, store, archivist, bytes, None)
    }

    fn serve(
        captured: mpsc::Receiver<Taken>,
        feed: LogFeed,
        store: IntakeSink,
        archivist: Archivist,
        bytes: usize,
        watch: Option<Watch>,
    ) -> Self {
        let (questions, asked) = mpsc::channel(16);
        let desk = Desk {
            feed,
            store,
            archivist,
            watch,
            ring: Ring::of(bytes),
            ledger: Ledger::default(),
            places: BTreeMap::new(),
            due: None,
            refills: JoinSet::new(),
            waiting: Vec::new(),
        };
        tokio::spawn(desk.serve(captured, asked));
        Self(questions)
    }

    /// What is in memory of one service or of all, oldest first. Waits for refills that have begun.
    pub async fn recall(&self, service: Option<ServiceId>) -> Vec<Arc<LogBatch>> {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Question::Recall { service, answer }).await.is_err() {
            return Vec::new();
        }
        answered.await.unwrap_or_default()
    }

    /// Takes a project that was opened: its newest lines from before come into the ring, its closed segments are looked after. Once more, without cursors,
    /// where its file was read again.
    pub async fn refill(&self, opened: Opened) {
        // An error means that the hub has ended.
        let _ended = self.0.send(Question::Refill(opened)).await;
    }

    /// Looks no more after the segments of a project, and lets go of its lines.
    pub async fn close(&self, place: Arc<str>) {
        // An error means that the hub has ended.
        let _ended = self.0.send(Question::Close { place }).await;
    }

    /// Returns when everything that was captured before was said to the store.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.send(Question::Flush { done }).await.is_ok() {
            // An error means that the hub has ended, and then it has said all.
            let _ended = flushed.await;
        }
    }
}

/// Who looks at what comes: signs that are looked for, lines that say that a service is ready, and who is told of them; who learns patterns.
pub(super) struct Watch {
    pub(super) signs: super::signs::Signs,
    pub(super) readiness: super::readiness::Readiness,
    pub(super) events: mpsc::WeakSender<crate::model::event::Event>,
    pub(super) mining: super::patterns::Mining,
}

/// Everything that the hub's task owns.
struct Desk {
    feed: LogFeed,
    store: IntakeSink,
    archivist: Archivist,
    watch: Option<Watch>,
    ring: Ring,
    ledger: Ledger,
    /// Project and directory of the slots of each place.
    places: BTreeMap<Arc<str>, (ProjectName, PathBuf)>,
    /// When to speak to the store.
    due: Option<Instant>,
    refills: JoinSet<Vec<LogBatch>>,
    /// Questions that wait for refills.
    waiting: Vec<Recall>,
}

/// Of which service, and where the answer goes.
type Recall = (Option<ServiceId>, oneshot::Sender<Vec<Arc<LogBatch>>>);

impl Desk {
    async fn serve(mut self, mut captured: mpsc::Receiver<Taken>, mut asked: mpsc::Receiver<Question>) {
        loop {
            let due = self.due;
            tokio::select! {
                Some(taken) = captured.recv() => self.take(taken),
                Some(question) = asked.recv() => self.answer(question, &mut captured),
                Some(refilled) = self.refills.join_next() => {
                    // An error means that reading has panicked: what it would have brought is on disk.
                    self.ring.restore(refilled.unwrap_or_default());
                    if self.refills.is_empty() {
                        for (service, answer) in std::mem::take(&mut self.waiting) {
                            self.recall(service.as_ref(), answer);
                        }
                    }
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.give(),
                else => return,
            }
        }
    }

    fn take(&mut self, taken: Taken) {
        self.ledger.count(&taken);
        let is_news = taken.behind != Behind::Earlier;
        if let Some(watch) = self.watch.as_ref().filter(|_| is_news) {
            watch.signs.look(&taken.batch, &watch.events);
            watch.readiness.look(&taken.batch, &watch.events);
            watch.mining.learn(&taken.batch);
        }
        let is_counted = taken.cursor().is_some();
        self.feed.publish(Arc::clone(&taken.batch));
        self.ring.push(taken.batch);
        if is_counted && self.due.is_none() {
            self.due = Some(Instant::now() + PERIOD);
        }
    }

    fn answer(&mut self, question: Question, captured: &mut mpsc::Receiver<Taken>) {
        match question {
            Question::Recall { service, answer } if self.refills.is_empty() => self.recall(service.as_ref(), answer),
            Question::Recall { service, answer } => self.waiting.push((service, answer)),
            Question::Refill(opened) => self.refill(opened),
            Question::Close { place } => {
                if let Some((project, slots)) = self.places.remove(&place) {
                    self.archivist.leave(&slots);
                    self.ring.forget(&project);
                }
            }
            Question::Flush { done } => {
                while let Ok(taken) = captured.try_recv() {
                    self.take(taken);
                }
                self.give();
                // An error means that the asker has left.
                let _left = done.send(());
            }
        }
    }

    fn recall(&self, service: Option<&ServiceId>, answer: oneshot::Sender<Vec<Arc<LogBatch>>>) {
        // An error means that the asker has left.
        let _left = answer.send(self.ring.recall(service));
    }

    fn refill(&mut self, opened: Opened) {
        let Opened { project, place, slots, cursors, policies } = opened;
        for (service, policy) in &policies {
            self.archivist.tend(slots.join(service.as_str()), policy.max_age, Some(policy.max_size));
        }
        for (service, cursor) in &cursors {
            let slot = slots.join(service.as_str());
            if !policies.contains_key(service) {
                self.archivist.tend(slot.clone(), None, None);
            }
            self.archivist.taken(&slot, cursor.stdout.min(cursor.stderr));
        }
        self.places.insert(place, (project.clone(), slots.clone()));
        if !cursors.is_empty() {
            let dir = slots;
            self.refills.spawn_blocking(move || read_again(&project, &dir, &cursors));
        }
    }

    /// Says to the store what came since the last time.
    fn give(&mut self) {
        self.due = None;
        let intake = self.ledger.take();
        for taken in &intake {
            if let Some((_, slots)) = self.places.get(&taken.place) {
                let slot = slots.join(taken.service.service.as_str());
                self.archivist.taken(&slot, taken.cursor.stdout.min(taken.cursor.stderr));
            }
        }
        if !intake.is_empty() {
            (self.store)(intake);
        }
    }
}

fn read_again(project: &ProjectName, slots: &Path, cursors: &BTreeMap<ServiceName, Cursor>) -> Vec<LogBatch> {
    let bytes = REFILL_BYTES.min((TOTAL_BYTES / cursors.len().max(1)) as u64);
    let of = |(service, cursor): (&ServiceName, &Cursor)| {
        let id = ServiceId { project: project.clone(), service: service.clone() };
        lines_before(&slots.join(service.as_str()), &id, *cursor, bytes)
    };
    cursors.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests;
