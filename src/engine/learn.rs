//! What starts of a service have taught: how long it takes until it is ready. Never: delays or restarts anything.

use std::time::Duration;

use crate::model::{record::LearntState, time::short_duration};

/// Starts before anything is said of what is usual.
const ENOUGH: u32 = 3;
/// Older starts than about so many count for little.
const MEMORY: u32 = 8;
/// A start is slow that took so many times the usual.
const SLOW: u32 = 3;
/// And longer than usual by so much: less is noise.
const LEAST_MORE: Duration = Duration::from_secs(1);

/// How long a service takes until it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Learnt {
    starts: u32,
    usual: Duration,
}

impl Learnt {
    pub(super) fn recall(kept: Option<LearntState>) -> Self {
        kept.map_or_else(Self::default, |kept| Self {
            starts: kept.starts,
            usual: Duration::from_micros(kept.usual_us),
        })
    }

    pub(super) fn kept(self) -> Option<LearntState> {
        let usual_us = u64::try_from(self.usual.as_micros()).unwrap_or(u64::MAX);
        (self.starts > 0).then_some(LearntState { starts: self.starts, usual_us })
    }

    /// What is usual, once that is known.
    pub(super) fn usual(self) -> Option<Duration> {
        (self.starts >= ENOUGH).then_some(self.usual)
    }

    /// Learns from a start that took so long, and gives the words for it.
    pub(super) fn was_ready(&mut self, after: Duration) -> String {
        let words = self.usual().map_or_else(String::new, |usual| {
            if after > usual * SLOW && after.saturating_sub(usual) > LEAST_MORE {
                let times = (after.as_secs_f64() / usual.as_secs_f64().max(0.001)).round();
                format!("slow: usually after {}, {times} times as long now", short_duration(usual))
            } else {
                format!("usually after {}", short_duration(usual))
            }
        });
        self.starts = self.starts.saturating_add(1);
        // The mean of the first few, then each weighs an eighth.
        let weight = self.starts.min(MEMORY);
        self.usual = (self.usual * (weight - 1) + after) / weight;
        words
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Learnt;

    #[test]
    fn what_is_usual_is_known_after_three_starts_and_a_slow_one_is_called_so() {
        let mut learnt = Learnt::default();
        let said: Vec<String> =
            [2, 2, 2, 2, 30, 2].map(|seconds| learnt.was_ready(Duration::from_secs(seconds))).to_vec();
        assert_eq!(said[..3], ["", "", ""]);
        assert_eq!(said[3], "usually after 2 s");
        assert_eq!(said[4], "slow: usually after 2 s, 15 times as long now");
        assert!(said[5].starts_with("usually after"), "{said:?}");
        assert_eq!(Learnt::recall(learnt.kept()).kept(), learnt.kept(), "the next engine goes on from there");
        assert_eq!(Learnt::recall(None), Learnt::default());
        let mut quick = Learnt::default();
        let said: Vec<String> = [5, 5, 5, 200].map(|ms| quick.was_ready(Duration::from_millis(ms))).to_vec();
        assert!(said[3].starts_with("usually after"), "a fifth of a second is no slow start: {said:?}");
    }
}
