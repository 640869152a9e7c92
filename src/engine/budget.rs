//! The global token bucket against mass restarts: each restart by the healer takes a token, first come first served.
//!
//! Never: more than `burst + t * refill` tokens in any time `t`, also where an engine died in it; a start that a person asked for never needs one.

use std::{collections::VecDeque, time::Duration};

use crate::model::{
    ids::{Epoch, ServiceId},
    time::Timestamp,
};

/// How many restarts the healer may make, over all services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Restarts that may come at once, at least 1. Default 10.
    pub burst: u32,
    /// Restarts that come back in ten seconds. Default 10; 0 means never.
    pub refill_per_10s: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { burst: 10, refill_per_10s: 10 }
    }
}

/// One token, in units that refill exactly: `refill_per_10s` of them come back each microsecond.
const TOKEN: u64 = 10_000_000;

/// The bucket and those who wait at it.
#[derive(Debug)]
pub(super) struct Bucket {
    budget: Budget,
    level: u64,
    filled: Timestamp,
    queue: VecDeque<ServiceId>,
    armed: Option<Epoch>,
    epoch: Epoch,
}

impl Bucket {
    pub(super) fn new(budget: Budget, now: Timestamp) -> Self {
        let mut bucket =
            Self { budget, level: 0, filled: now, queue: VecDeque::new(), armed: None, epoch: Epoch::default() };
        bucket.level = bucket.capacity();
        bucket
    }

    fn capacity(&self) -> u64 {
        u64::from(self.budget.burst.max(1)) * TOKEN
    }

    fn fill(&mut self, now: Timestamp) {
        let gained = self.gained(now.since(self.filled));
        self.level = self.level.saturating_add(gained).min(self.capacity());
        if now.has_reached(self.filled) {
            self.filled = now;
        }
    }

    /// What is taken and has not come back, in the units of [`TOKEN`].
    pub(super) fn spent(&self, now: Timestamp) -> u64 {
        self.capacity() - self.level.saturating_add(self.gained(now.since(self.filled))).min(self.capacity())
    }

    /// What an earlier bucket of the same restarts lacked at `at` this one lacks too, as far as it has not come back since.
    pub(super) fn inherit(&mut self, spent: u64, at: Timestamp, now: Timestamp) {
        self.fill(now);
        let lacks = spent.saturating_sub(self.gained(now.since(at)));
        self.level = self.level.min(self.capacity().saturating_sub(lacks));
    }

    fn gained(&self, time: Duration) -> u64 {
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX).saturating_mul(u64::from(self.budget.refill_per_10s))
    }

    fn take(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        let there = self.level >= TOKEN;
        if there {
            self.level -= TOKEN;
        }
        there
    }

    /// A token for somebody who has not waited: only where nobody waits.
    pub(super) fn take_if_free(&mut self, now: Timestamp) -> bool {
        self.queue.is_empty() && self.take(now)
    }

    /// A token for the one who waited longest.
    pub(super) fn next_in_line(&mut self, now: Timestamp) -> Option<ServiceId> {
        if self.queue.is_empty() || !self.take(now) {
            return None;
        }
        self.queue.pop_front()
    }

    /// A token that was not used after all.
    pub(super) fn give_back(&mut self) {
        self.level = self.level.saturating_add(TOKEN).min(self.capacity());
    }

    /// Joins the end of the line. The caller sees to it that nobody stands in it twice.
    pub(super) fn wait(&mut self, id: ServiceId) {
        self.queue.push_back(id);
    }

    /// When to look again, with the epoch for the timer; none where nobody waits, nothing comes back or a timer is set.
    pub(super) fn arm(&mut self, now: Timestamp) -> Option<(Timestamp, Epoch)> {
        if self.queue.is_empty() || self.armed.is_some() || self.budget.refill_per_10s == 0 {
            return None;
        }
        self.fill(now);
        let missing = TOKEN.saturating_sub(self.level);
        let micros = missing.div_ceil(u64::from(self.budget.refill_per_10s)).max(1);
        self.epoch.0 += 1;
        self.armed = Some(self.epoch);
        Some((now.plus(Duration::from_micros(micros)), self.epoch))
    }

    /// Takes note that a timer fired; false where it is not the one that is set.
    pub(super) fn fired(&mut self, epoch: Epoch) -> bool {
        let ours = self.armed == Some(epoch);
        if ours {
            self.armed = None;
        }
        ours
    }
}
