//! Flapping: health that comes and goes. Each fall from healthy to unhealthy adds one to a score that halves every ten minutes (an
//! exponentially weighted moving count); above a threshold the healer holds still until the score has fallen below another,
//! and acts only on who has stayed ill for a minute: that one does not come back by itself.
//!
//! Never: counts a service that was not healthy before, since that is the crash-loop breaker's; counts a fall that something which the
//! service needs is to blame for.

use std::time::Duration;

use crate::model::{record::FlapState, time::Timestamp};

/// The score halves in this time.
const HALF_LIFE: Duration = Duration::from_mins(10);

/// From this score on a service flaps: four falls close together.
const BEGINS_AT: f64 = 3.5;

/// Below this score it does no longer.
const ENDS_BELOW: f64 = 1.0;

/// How one service has flapped lately.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flap {
    score: f64,
    at: Timestamp,
    is_flapping: bool,
    /// The last fall was counted and may turn out not to be its own.
    is_fresh: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Same,
    /// After about so many falls.
    Began(u32),
    Ended,
}

impl Flap {
    fn score_at(&self, now: Timestamp) -> f64 {
        self.score * (-(now.since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64())).exp2()
    }

    /// As it is kept for the next engine; none where there is nothing to keep.
    pub(super) fn kept(&self) -> Option<FlapState> {
        let Self { score, at, is_flapping, is_fresh: _ } = *self;
        (score > 0.0).then_some(FlapState { score, at, is_flapping })
    }

    /// As it was kept. A score that makes no sense counts as none.
    pub(super) fn recalled(kept: Option<FlapState>) -> Self {
        kept.filter(|kept| kept.score.is_finite() && kept.score >= 0.0).map_or_else(
            Self::default,
            |FlapState { score, at, is_flapping }| Self { score, at, is_flapping, is_fresh: false },
        )
    }

    /// It was healthy and is not.
    pub(super) fn fell(&mut self, now: Timestamp) -> Turn {
        self.score = self.score_at(now) + 1.0;
        self.at = now;
        self.is_fresh = true;
        if self.is_flapping || self.score < BEGINS_AT {
            return Turn::Same;
        }
        self.is_flapping = true;
        Turn::Began(self.score.ceil() as u32)
    }

    /// What it needs was not well: the last fall was not its own and does not count. Once a fall.
    pub(super) fn take_back(&mut self, now: Timestamp) -> Turn {
        if !std::mem::take(&mut self.is_fresh) {
            return Turn::Same;
        }
        self.score = (self.score_at(now) - 1.0).max(0.0);
        self.at = now;
        let is_over = self.is_flapping && self.score < BEGINS_AT - 1.0;
        self.is_flapping &= !is_over;
        if is_over { Turn::Ended } else { Turn::Same }
    }

    /// Time went by.
    pub(super) fn rest(&mut self, now: Timestamp) -> Turn {
        if self.score_at(now) >= ENDS_BELOW {
            return Turn::Same;
        }
        if std::mem::replace(&mut self.is_flapping, false) { Turn::Ended } else { Turn::Same }
    }

    /// Whether the healer holds still.
    pub(super) const fn is_flapping(&self) -> bool {
        self.is_flapping
    }
}
