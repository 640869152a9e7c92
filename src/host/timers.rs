//! The timers that the engine asked for. One per key: a later one replaces an earlier.

use std::collections::{BTreeSet, HashMap};

use crate::model::{event::TimerKey, ids::Epoch, time::Timestamp};

/// All armed timers. Only tells what is due: it never waits.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(u64, TimerKey)>,
    armed: HashMap<TimerKey, (u64, Epoch)>,
}

impl Timers {
    /// Arms the timer for `key`, in place of an earlier one.
    pub(super) fn arm(&mut self, at: Timestamp, key: TimerKey, epoch: Epoch) {
        if let Some((earlier, _)) = self.armed.insert(key.clone(), (at.mono_us, epoch)) {
            self.queue.remove(&(earlier, key.clone()));
        }
        self.queue.insert((at.mono_us, key));
    }

    /// The instant of the next one, microseconds on the boot clock.
    pub(super) fn next_mono_us(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes one that is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(TimerKey, Epoch)> {
        let (at, _) = self.queue.first()?;
        if *at > now.mono_us {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        let (_, epoch) = self.armed.remove(&key)?;
        Some((key, epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::Timers;
    use crate::model::{event::TimerKey, ids::Epoch, time::Timestamp};

    const fn at(mono_us: u64) -> Timestamp {
        Timestamp { mono_us, wall_us: 0 }
    }

    #[test]
    fn a_second_timer_with_the_same_key_replaces_the_first() {
        let mut timers = Timers::default();
        timers.arm(at(10), TimerKey::BudgetRefilled, Epoch(1));
        timers.arm(at(20), TimerKey::BudgetRefilled, Epoch(2));
        assert_eq!(timers.next_mono_us(), Some(20));
        assert_eq!(timers.take_due(at(15)), None);
        assert_eq!(timers.take_due(at(20)), Some((TimerKey::BudgetRefilled, Epoch(2))));
        assert_eq!(timers.take_due(at(99)), None);
    }
}
