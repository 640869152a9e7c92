//! How the store is, for people and at any time: numbers that nobody waits for.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{intake::Waiting, patterns};

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreStatus {
    /// Messages and entries that are not in the database yet.
    pub queued: u64,
    /// Entries that it was given.
    pub recorded: u64,
    /// Those of them that are in the database, or had to be dropped: when it has come to what [`Self::recorded`] was before, nothing that was recorded
    /// by then is in memory only.
    pub settled: u64,
    /// Messages that were dropped because the queue was full, and entries because memory was, since the store was opened.
    pub dropped: u64,
    /// The last trouble, also one that is over. None if there was none.
    pub last_error: Option<String>,
    /// Bytes of the database and its log, as of the last write; 0 before.
    pub bytes: u64,
}

/// What the handle and the writer share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Messages on their way to the writer.
    pub(super) in_queue: AtomicU64,
    /// Entries that the writer holds.
    pub(super) pending: AtomicU64,
    pub(super) recorded: AtomicU64,
    pub(super) settled: AtomicU64,
    /// Messages that found the queue full.
    pub(super) dropped: AtomicU64,
    /// Entries that had to make room.
    pub(super) lost: AtomicU64,
    pub(super) bytes: AtomicU64,
    last_error: Mutex<Option<String>>,
    /// Does not go through the queue: nothing of it may be dropped, and merging bounds it.
    waiting: Mutex<Waiting>,
    /// As above: the newest of each service.
    patterns: Mutex<patterns::Waiting>,
}

impl Shared {
    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Held for moments of merging only.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn patterns(&self) -> MutexGuard<'_, patterns::Waiting> {
        self.patterns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self, text: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }

    pub(super) fn status(&self) -> StoreStatus {
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed);
        StoreStatus {
            queued: number(&self.in_queue).saturating_add(number(&self.pending)),
            recorded: self.recorded.load(Ordering::Acquire),
            settled: self.settled.load(Ordering::Acquire),
            dropped: number(&self.dropped).saturating_add(number(&self.lost)),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            bytes: number(&self.bytes),
        }
    }
}
