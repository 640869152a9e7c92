//! Counts of the newest equal stretches of time. Never: more than `N` of them, whatever the times are.

use serde::{Deserialize, Serialize};

/// The newest `N` stretches, the last of which has the number `last`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ring<const N: usize> {
    last: i64,
    cells: [u32; N],
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self { last: i64::MIN / 2, cells: [0; N] }
    }
}

impl<const N: usize> Ring<N> {
    #[expect(clippy::cast_possible_wrap, reason = "a few dozen")]
    const LENGTH: i64 = N as i64;

    fn place(at: i64) -> usize {
        usize::try_from(at.rem_euclid(Self::LENGTH)).unwrap_or(0)
    }

    /// Goes on to stretch `at`, if it is a later one.
    fn advance(&mut self, at: i64) {
        if at.saturating_sub(self.last) >= Self::LENGTH {
            self.cells = [0; N];
        } else {
            for gone in self.last.saturating_add(1)..=at {
                self.cells[Self::place(gone)] = 0;
            }
        }
        self.last = self.last.max(at);
    }

    /// Counts `more` in stretch `at`. What is too old is not counted.
    pub(super) fn add(&mut self, at: i64, more: u32) {
        if at > self.last {
            self.advance(at);
        }
        if self.holds(at) {
            let cell = &mut self.cells[Self::place(at)];
            *cell = cell.saturating_add(more);
        }
    }

    /// Raises the count of stretch `at` to `least`.
    pub(super) fn raise(&mut self, at: i64, least: u32) {
        if self.get(at) < least {
            self.add(at, least - self.get(at));
        }
    }

    const fn holds(&self, at: i64) -> bool {
        at <= self.last && at > self.last.saturating_sub(Self::LENGTH)
    }

    /// The count of stretch `at`; 0 where nothing is known of it.
    pub(super) fn get(&self, at: i64) -> u32 {
        if self.holds(at) { self.cells[Self::place(at)] } else { 0 }
    }

    /// The newest stretch.
    pub(super) const fn last(&self) -> i64 {
        self.last
    }

    /// The sum of the stretches from `first` to `last`, both included.
    pub(super) fn sum(&self, first: i64, last: i64) -> u64 {
        (first..=last).map(|at| u64::from(self.get(at))).sum()
    }

    /// Takes in what another one has counted.
    pub(super) fn fold(&mut self, other: &Self) {
        for at in other.first()..=other.last {
            let count = other.get(at);
            if count > 0 {
                self.add(at, count);
            }
        }
    }

    /// The same where the greater count of each stretch is the right one.
    pub(super) fn fold_greatest(&mut self, other: &Self) {
        for at in other.first()..=other.last {
            self.raise(at, other.get(at));
        }
    }

    fn first(&self) -> i64 {
        self.last.saturating_sub(Self::LENGTH - 1)
    }

    /// To be kept.
    pub(super) fn kept(&self) -> KeptRing {
        let mut counts: Vec<u32> = (self.first()..=self.last).rev().map(|at| self.get(at)).collect();
        let used = counts.iter().rposition(|count| *count > 0).map_or(0, |at| at + 1);
        counts.truncate(used);
        KeptRing(self.last, counts)
    }

    /// That which was kept.
    pub(super) fn recall(kept: &KeptRing) -> Self {
        let mut ring = Self::default();
        ring.advance(kept.0);
        for (back, count) in (0..).zip(kept.1.iter().take(N)) {
            ring.add(kept.0.saturating_sub(back), *count);
        }
        ring
    }
}

/// The number of the last stretch, and counts backwards from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptRing(i64, Vec<u32>);

#[cfg(test)]
mod tests {
    use super::{KeptRing, Ring};

    #[test]
    fn only_the_newest_stretches_are_counted() {
        let mut ring = Ring::<4>::default();
        ring.add(100, 1);
        ring.add(103, 2);
        ring.add(101, 5);
        ring.add(99, 9);
        assert_eq!([99, 100, 101, 102, 103].map(|at| ring.get(at)), [0, 1, 5, 0, 2]);
        ring.add(105, 1);
        assert_eq!([101, 102, 103, 104, 105, 106].map(|at| ring.get(at)), [0, 0, 2, 0, 1, 0]);
        assert_eq!(ring.sum(0, 200), 3);
        ring.add(i64::MAX / 2, 1);
        assert_eq!(ring.get(105), 0);
    }

    #[test]
    fn what_was_kept_comes_back_and_what_makes_no_sense_does_no_harm() {
        let mut ring = Ring::<4>::default();
        for (at, count) in [(7, 1), (8, 2), (10, 3)] {
            ring.add(at, count);
        }
        assert_eq!(Ring::<4>::recall(&ring.kept()), ring);
        assert_eq!(Ring::<4>::recall(&Ring::<4>::default().kept()), Ring::default());
        let odd = Ring::<4>::recall(&KeptRing(i64::MIN, vec![1; 100]));
        assert!(odd.get(i64::MIN) <= 1);
        let mut other = Ring::<4>::default();
        for (at, count) in [(9, 5), (11, 1)] {
            other.add(at, count);
        }
        ring.fold(&other);
        assert_eq!([7, 8, 9, 10, 11].map(|at| ring.get(at)), [0, 2, 5, 3, 1]);
    }
}
