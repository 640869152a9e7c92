//! What every handler has at hand, and what several readers share: a picture or a batch is written as JSON once, however many look.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    door::SEATS,
    older,
    own::Own,
    refusal::{Refusal, Speaks},
    server::{SelfSource, StoredLogs},
    wire::{VERSION, WireBatch},
};
use crate::{
    host::handle::Handle,
    model::{
        log::LogBatch,
        query::{Answer, Query},
        snapshot::Snapshot,
    },
};

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everything.
    Full,
    /// To look: whatever acts or holds values of variables is not behind this door at all.
    ReadOnly,
}

/// The handlers' state. Cheap to clone.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) handle: Handle,
    pub(super) access: Access,
    pub(super) source: Arc<dyn SelfSource>,
    pub(super) stored: Option<Arc<dyn StoredLogs>>,
    pub(super) own: Arc<Own>,
    /// The server is gone: streams end.
    pub(super) ended: CancellationToken,
    seats: Arc<Semaphore>,
    pictures: Arc<Written<Snapshot>>,
    batches: Arc<Written<LogBatch>>,
}

impl Desk {
    pub(super) fn new(
        handle: Handle,
        source: Arc<dyn SelfSource>,
        stored: Option<Arc<dyn StoredLogs>>,
        own: Arc<Own>,
        ended: CancellationToken,
    ) -> Self {
        Self {
            handle,
            access: Access::Full,
            source,
            stored,
            own,
            ended,
            seats: Arc::new(Semaphore::new(SEATS)),
            pictures: Arc::new(Written::keeping(2)),
            batches: Arc::new(Written::keeping(64)),
        }
    }

    /// The same for another socket.
    pub(super) fn for_access(self, access: Access, seats: Arc<Semaphore>) -> Self {
        Self { access, seats, ..self }
    }

    /// Asks the engine; that it cannot answer is a refusal.
    pub(super) async fn ask(&self, query: Query) -> Result<Answer, Refusal> {
        let answer = self.handle.query(query).await?;
        if let Answer::Unavailable(why) = answer { Err(Refusal::unavailable(why)) } else { Ok(answer) }
    }

    /// Connections to this socket now.
    pub(super) fn clients(&self) -> usize {
        SEATS - self.seats.available_permits()
    }

    /// A picture as JSON, without a line feed.
    pub(super) fn picture(&self, picture: &Arc<Snapshot>, speaks: Speaks) -> Bytes {
        if speaks.0 < VERSION {
            return json(&older::picture(picture));
        }
        self.pictures.get(picture, json)
    }

    /// A batch as JSON, without a line feed.
    pub(super) fn batch(&self, batch: &Arc<LogBatch>) -> Bytes {
        self.batches.get(batch, |batch| json(&WireBatch::from(batch)))
    }
}

/// A document as JSON.
pub(super) fn json(document: &impl Serialize) -> Bytes {
    let bytes = serde_json::to_vec(document).unwrap_or_else(|error| {
        tracing::error!("a document could not be written: {error}");
        b"null".to_vec()
    });
    Bytes::from(bytes)
}

/// The same and a line feed.
pub(super) fn line(json: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(json.len() + 1);
    bytes.extend_from_slice(json);
    bytes.push(b'\n');
    Bytes::from(bytes)
}

/// The newest documents as they were written.
struct Written<T> {
    kept: Mutex<VecDeque<(Arc<T>, Bytes)>>,
    capacity: usize,
}

impl<T> Written<T> {
    const fn keeping(capacity: usize) -> Self {
        Self { kept: Mutex::new(VecDeque::new()), capacity }
    }

    /// What was written of it before, or what `write` makes of it; others wait meanwhile rather than write it as well.
    fn get(&self, document: &Arc<T>, write: impl FnOnce(&T) -> Bytes) -> Bytes {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = kept.iter().rev().find(|(known, _)| Arc::ptr_eq(known, document)) {
            return bytes.clone();
        }
        let bytes = write(document);
        if kept.len() == self.capacity {
            kept.pop_front();
        }
        kept.push_back((Arc::clone(document), bytes.clone()));
        bytes
    }
}
