//! What a client holds: channels to an engine, in this process or another. A client cannot tell which.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::veil::{Veil, Veiled};
use crate::model::{
    ids::ServiceId,
    log::{LogBatch, LogNews},
    policy::{Reply, Request},
    query::{Answer, Query},
    snapshot::Snapshot,
    time::Timestamp,
};

/// Requests that may wait at the door; more make the asker wait (back-pressure).
pub const REQUEST_CAPACITY: usize = 256;

/// Log batches that a slow reader may lag behind; then the oldest are dropped for it and counted.
pub const LOG_CAPACITY: usize = 128;

/// How the engine is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It runs in this process.
    Local,
    /// It runs in another process, and answers.
    Connected,
    /// It does not answer; the last picture stays.
    Retrying {
        /// Since when.
        since: Timestamp,
        /// Next try.
        next: Timestamp,
    },
}

/// What becomes of the services when their engine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Departure {
    /// All are stopped first.
    StopAll,
    /// They run on, held by their shims, and the next engine adopts them.
    LeaveRunning,
    /// The machine or the session of its user goes down: all are stopped, and the next engine starts again what was wanted.
    Halt,
}

/// Something said to the engine's task.
#[derive(Debug)]
pub enum Call {
    /// A wish; its reply.
    Request {
        /// The wish. Its id is set by the host.
        request: Request,
        /// Where the reply goes.
        reply: oneshot::Sender<Reply>,
    },
    /// A question; its answer.
    Query {
        /// The question.
        query: Query,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
    /// End the engine; the sender is dropped when all is done.
    Leave {
        /// What becomes of the services.
        departure: Departure,
        /// Dropped, or sent to, when nothing is left.
        done: oneshot::Sender<()>,
    },
    /// Attach to the pseudo-terminal of a service; dropping `input` lets go of it.
    Tty {
        /// Whose.
        service: ServiceId,
        /// What is typed, and how large the window is.
        input: mpsc::Receiver<TtyInput>,
        /// What the service writes. Ends when the service has.
        output: mpsc::Sender<Vec<u8>>,
        /// Said at once: attached, or a sentence why not.
        answer: oneshot::Sender<Result<(), String>>,
    },
}

/// Something for a pseudo-terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TtyInput {
    /// As typed.
    Bytes(Vec<u8>),
    /// The window has another size.
    Resize {
        /// Lines.
        rows: u16,
        /// Columns.
        cols: u16,
    },
}

/// A client's end of an engine.
#[derive(Debug, Clone)]
pub struct Handle {
    /// To the door. Bounded: back-pressure.
    pub calls: mpsc::Sender<Call>,
    /// The newest picture. Latest wins.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Output of services as it comes.
    pub logs: LogFeed,
    /// How the engine is reached.
    pub link: watch::Receiver<Link>,
}

/// The engine is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct EngineGone;

impl Handle {
    /// Asks for something and waits for the reply.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn request(&self, request: Request) -> Result<Reply, EngineGone> {
        let (reply, answer) = oneshot::channel();
        self.calls.send(Call::Request { request, reply }).await.map_err(|_| EngineGone)?;
        self.awaited(answer).await
    }

    /// Asks a question and waits for the answer.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn query(&self, query: Query) -> Result<Answer, EngineGone> {
        let (answer, answered) = oneshot::channel();
        self.calls.send(Call::Query { query, answer }).await.map_err(|_| EngineGone)?;
        self.awaited(answered).await
    }

    /// What comes back for a call that was sent. One that was on its way in the moment in which the engine ended stays in the channel for as long as
    /// anybody may send: nobody answers it, and nobody lets go of it.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn awaited<T>(&self, mut answer: oneshot::Receiver<T>) -> Result<T, EngineGone> {
        tokio::select! {
            biased;
            answered = &mut answer => answered.map_err(|_| EngineGone),
            () = self.calls.closed() => answer.try_recv().map_err(|_| EngineGone),
        }
    }

    /// The newest picture.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// Stops every service and ends the engine; returns when nothing is left.
    pub async fn leave(&self) {
        self.depart(Departure::StopAll).await;
    }

    /// Ends the engine; returns when it has.
    pub async fn depart(&self, departure: Departure) {
        let (done, finished) = oneshot::channel();
        if self.calls.send(Call::Leave { departure, done }).await.is_ok() {
            // An error means that the engine has ended.
            let _ended = self.awaited(finished).await;
        }
    }
}

/// The stream of output. What came before is asked for with [`Query::Logs`]: subscribe first, then ask, and skip by
/// [`LogBatch::first_seq`] what comes twice.
#[derive(Debug, Clone)]
pub struct LogFeed {
    sender: broadcast::Sender<Veiled>,
    veil: Veil,
}

impl LogFeed {
    /// A feed and nothing in it, for output that was redacted where it came from.
    #[must_use]
    pub fn new() -> Self {
        Self::behind(Veil::none())
    }

    /// A feed whose readers see what `veil` lets through.
    #[must_use]
    pub fn behind(veil: Veil) -> Self {
        Self { sender: broadcast::Sender::new(LOG_CAPACITY), veil }
    }

    /// What its readers see through.
    #[must_use]
    pub const fn veil(&self) -> &Veil {
        &self.veil
    }

    /// Gives a batch to all who listen.
    pub fn publish(&self, batch: Arc<LogBatch>) {
        // An error means that nobody listens.
        let _listeners = self.sender.send(Veiled::of(LogNews::Batch(batch)));
    }

    /// Tells all who listen that so many batches did not get here.
    pub fn publish_missed(&self, batches: u64) {
        // An error means that nobody listens.
        let _listeners = self.sender.send(Veiled::of(LogNews::Missed { batches }));
    }

    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> LogSubscription {
        LogSubscription { receiver: self.sender.subscribe(), veil: self.veil.clone() }
    }
}

impl Default for LogFeed {
    fn default() -> Self {
        Self::new()
    }
}

/// One listener.
#[derive(Debug)]
pub struct LogSubscription {
    receiver: broadcast::Receiver<Veiled>,
    veil: Veil,
}

impl LogSubscription {
    /// The next news; none when the engine has ended.
    pub async fn next(&mut self) -> Option<LogNews> {
        match self.receiver.recv().await {
            Ok(news) => Some(news.shown(&self.veil)),
            Err(broadcast::error::RecvError::Lagged(batches)) => Some(LogNews::Missed { batches }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next news if there is one now.
    pub fn try_next(&mut self) -> Option<LogNews> {
        match self.receiver.try_recv() {
            Ok(news) => Some(news.shown(&self.veil)),
            Err(broadcast::error::TryRecvError::Lagged(batches)) => Some(LogNews::Missed { batches }),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}
