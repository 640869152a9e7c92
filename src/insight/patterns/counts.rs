//! What is counted of one template. Never: more than a fixed amount of memory.

use serde::{Deserialize, Serialize};

use super::ring::{KeptRing, Ring};
use crate::model::level::Level;

/// Microseconds of a minute.
pub(super) const MINUTE_US: i64 = 60_000_000;
/// Microseconds of an hour.
pub(super) const HOUR_US: i64 = 60 * MINUTE_US;
/// Microseconds of the stretches of which the last minute is made.
pub(super) const SLOT_US: i64 = 10_000_000;
/// Stretches that are a minute.
pub(super) const SLOTS: i64 = 6;
/// Minutes that are kept: an hour, and the minutes before and after that are compared with it.
pub(super) const MINUTES: usize = 72;
/// Hours that are kept, the present one included.
pub(super) const HOURS: usize = 48;
/// Levels, and that a line has none.
const LEVELS: usize = Level::ALL.len() + 1;

/// The latest time that is reckoned with, in a far future: whatever is later, or before 1970, is of a clock that is wrong.
const LATEST_US: i64 = 1 << 58;

/// A time that can be reckoned with.
pub(super) fn sane(us: i64) -> i64 {
    us.clamp(0, LATEST_US)
}

/// When a line was written, in all the units that are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct When {
    pub(super) us: i64,
    pub(super) slot: i64,
    pub(super) minute: i64,
    pub(super) hour: i64,
}

impl When {
    pub(super) const fn of(us: i64) -> Self {
        Self { us, slot: us.div_euclid(SLOT_US), minute: us.div_euclid(MINUTE_US), hour: us.div_euclid(HOUR_US) }
    }
}

/// Of one template.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Counts {
    pub(super) count: u64,
    pub(super) first_us: i64,
    pub(super) last_us: i64,
    /// By level, and last those without.
    levels: [u64; LEVELS],
    pub(super) slots: Ring<8>,
    pub(super) minutes: Ring<MINUTES>,
    pub(super) hours: Ring<HOURS>,
    /// The most lines that came in one minute of each hour.
    pub(super) peaks: Ring<HOURS>,
    pub(super) told: Told,
}

/// What was told of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Told {
    /// When anything was.
    pub(super) at_us: Option<i64>,
    /// It comes much more often than it did, and that was told, or may not be: not again until it comes as usual, or no more.
    pub(super) surging: bool,
    /// It does not come any more, as above. Never both.
    pub(super) silent: bool,
}

impl Counts {
    /// Counts a line.
    pub(super) fn add(&mut self, level: Option<Level>, when: When) {
        if self.count == 0 {
            (self.first_us, self.last_us) = (when.us, when.us);
        }
        self.count = self.count.saturating_add(1);
        self.first_us = self.first_us.min(when.us);
        self.last_us = self.last_us.max(when.us);
        let of_level = &mut self.levels[level.map_or(LEVELS - 1, |level| level as usize)];
        *of_level = of_level.saturating_add(1);
        if when.minute > self.minutes.last() && self.count > 1 {
            self.note_peak();
        }
        self.slots.add(when.slot, 1);
        self.minutes.add(when.minute, 1);
        self.hours.add(when.hour, 1);
    }

    /// The last minute is over: it may have been the fullest of its hour.
    fn note_peak(&mut self) {
        let minute = self.minutes.last();
        self.peaks.raise(minute.div_euclid(HOUR_US / MINUTE_US), self.minutes.get(minute));
    }

    /// The level of most lines; of equals the higher.
    pub(super) fn level(&self) -> Option<Level> {
        let (without, most) = (self.levels[LEVELS - 1], Level::ALL.into_iter().max_by_key(|level| self.of(*level))?);
        (self.of(most) > 0 && self.of(most) >= without).then_some(most)
    }

    const fn of(&self, level: Level) -> u64 {
        self.levels[level as usize]
    }

    /// Takes in what was counted of a template that has become part of this one.
    pub(super) fn fold(&mut self, other: &Self) {
        if self.count == 0 {
            (self.first_us, self.last_us, self.told) = (other.first_us, other.last_us, other.told);
        }
        self.count = self.count.saturating_add(other.count);
        self.first_us = self.first_us.min(other.first_us);
        self.last_us = self.last_us.max(other.last_us);
        for (mine, more) in self.levels.iter_mut().zip(other.levels) {
            *mine = mine.saturating_add(more);
        }
        self.slots.fold(&other.slots);
        self.minutes.fold(&other.minutes);
        self.hours.fold(&other.hours);
        self.peaks.fold_greatest(&other.peaks);
        self.told.at_us = self.told.at_us.max(other.told.at_us);
        self.told.surging |= other.told.surging;
        self.told.silent &= other.told.silent;
    }

    /// To be kept.
    pub(super) fn kept(&self, id: u32) -> KeptCounts {
        KeptCounts {
            id,
            count: self.count,
            first_us: self.first_us,
            last_us: self.last_us,
            levels: self.levels,
            minutes: self.minutes.kept(),
            hours: self.hours.kept(),
            peaks: self.peaks.kept(),
            told: self.told,
        }
    }

    /// What was kept.
    pub(super) fn recall(kept: &KeptCounts) -> Self {
        Self {
            count: kept.count,
            first_us: kept.first_us,
            last_us: kept.last_us,
            levels: kept.levels,
            slots: Ring::default(),
            minutes: Ring::recall(&kept.minutes),
            hours: Ring::recall(&kept.hours),
            peaks: Ring::recall(&kept.peaks),
            told: kept.told,
        }
    }
}

/// What is kept of one template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptCounts {
    pub(super) id: u32,
    count: u64,
    first_us: i64,
    last_us: i64,
    levels: [u64; LEVELS],
    minutes: KeptRing,
    hours: KeptRing,
    peaks: KeptRing,
    #[serde(default)]
    told: Told,
}

#[cfg(test)]
mod tests {
    use super::{Counts, MINUTE_US, When};
    use crate::model::level::Level;

    #[test]
    fn the_level_is_that_of_most_lines_and_of_equals_the_higher() {
        let mut counts = Counts::default();
        let mut see = |level| {
            counts.add(level, When::of(5));
            counts.level()
        };
        assert_eq!(see(None), None);
        assert_eq!(see(Some(Level::Info)), Some(Level::Info));
        assert_eq!(see(Some(Level::Error)), Some(Level::Error));
        assert_eq!(see(Some(Level::Info)), Some(Level::Info));
    }

    #[test]
    fn two_that_become_one_have_counted_together() {
        let at = |minute: i64| When::of(minute * MINUTE_US);
        let (mut one, mut other, mut both) = (Counts::default(), Counts::default(), Counts::default());
        for (minute, lines) in [(600, 3), (601, 1), (700, 1)] {
            for line in 0..lines {
                both.add(None, at(minute));
                if line == 0 { one.add(None, at(minute)) } else { other.add(None, at(minute)) }
            }
        }
        one.fold(&other);
        assert_eq!((one.count, one.first_us, one.last_us), (both.count, both.first_us, both.last_us));
        assert_eq!((&one.minutes, &one.hours), (&both.minutes, &both.hours));
        let kept = serde_json::to_string(&one.kept(1)).unwrap();
        let back = Counts::recall(&serde_json::from_str(&kept).unwrap());
        assert_eq!((back.minutes, back.hours, back.count), (one.minutes, one.hours, one.count));
    }
}
