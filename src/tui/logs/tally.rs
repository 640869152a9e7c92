//! How many entries came when, and how many of them tell of something wrong: second by second, for the histogram. Never looks at a line.

use std::{collections::VecDeque, ops::RangeInclusive};

use super::row::EntryRow;
use crate::model::level::Level;

/// What came in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// All.
    pub all: u32,
    /// Warnings.
    pub warnings: u32,
    /// Errors and worse.
    pub errors: u32,
}

impl Count {
    fn slot(&mut self, level: Option<Level>) -> Option<&mut u32> {
        match level? {
            Level::Warn => Some(&mut self.warnings),
            Level::Error | Level::Fatal => Some(&mut self.errors),
            Level::Trace | Level::Debug | Level::Info => None,
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self { all: self.all + other.all, warnings: self.warnings + other.warnings, errors: self.errors + other.errors }
    }
}

/// Counts of seconds in which something came, in order.
#[derive(Debug, Default)]
pub struct Tally(VecDeque<(u32, Count)>);

impl Tally {
    /// Counts an entry.
    pub fn add(&mut self, row: EntryRow) {
        let count = self.of(row.at_s);
        count.all += 1;
        if let Some(slot) = count.slot(row.level) {
            *slot += 1;
        }
    }

    /// Takes an entry out again.
    pub fn remove(&mut self, row: EntryRow) {
        let Ok(place) = self.0.binary_search_by_key(&row.at_s, |(second, _)| *second) else { return };
        let count = &mut self.0[place].1;
        count.all = count.all.saturating_sub(1);
        if let Some(slot) = count.slot(row.level) {
            *slot = slot.saturating_sub(1);
        }
        if count.all == 0 {
            self.0.remove(place);
        }
    }

    fn of(&mut self, second: u32) -> &mut Count {
        // Nearly always the newest or the oldest.
        let place = match (self.0.back(), self.0.front()) {
            (Some(back), _) if back.0 < second => Err(self.0.len()),
            (_, Some(front)) if front.0 > second => Err(0),
            _ => self.0.binary_search_by_key(&second, |(known, _)| *known),
        };
        let place = place.unwrap_or_else(|place| {
            self.0.insert(place, (second, Count::default()));
            place
        });
        &mut self.0[place].1
    }

    /// The first and the last second in which something came.
    #[must_use]
    pub fn span(&self) -> Option<RangeInclusive<u32>> {
        Some(self.0.front()?.0..=self.0.back()?.0)
    }

    /// What came from `from` on in each of `bins` stretches of `width` seconds.
    #[must_use]
    pub fn bins(&self, from: u32, width: u32, bins: usize) -> Vec<Count> {
        let mut counts = vec![Count::default(); bins];
        let begin = self.0.partition_point(|(second, _)| *second < from);
        for (second, count) in self.0.range(begin..) {
            let Some(bin) = counts.get_mut(((second - from) / width.max(1)) as usize) else { break };
            *bin = bin.plus(*count);
        }
        counts
    }
}

/// Stretches of equal width that begin at round times, so that they stay where they are while time goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Where the first begins, seconds since the Unix epoch.
    pub from: u32,
    /// Seconds of each.
    pub width: u32,
    /// How many there are.
    pub bins: usize,
}

/// At most so many stretches, that hold all from `from` to `until`.
#[must_use]
pub fn scale(from: u32, until: u32, most: usize) -> Scale {
    let of = |bins: usize| {
        let width = bin_width(until.saturating_sub(from), bins);
        let from = from - from % width;
        Scale { from, width, bins: until.saturating_sub(from).div_ceil(width) as usize }
    };
    // What the first begins earlier may take one more at the end.
    let fitting = of(most);
    if fitting.bins > most { of(most.saturating_sub(1)) } else { fitting }
}

/// Seconds of one stretch, of those that people think in, so that `bins` of them hold `span` seconds.
fn bin_width(span: u32, bins: usize) -> u32 {
    const WIDTHS: [u32; 19] =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800];
    let least = span.div_ceil(u32::try_from(bins.max(1)).unwrap_or(u32::MAX)).max(1);
    WIDTHS.into_iter().find(|width| *width >= least).unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::{Count, Scale, Tally, bin_width, scale};
    use crate::{
        model::level::Level,
        tui::logs::row::{EntryRow, Standing},
    };

    fn row(at_s: u32, level: Option<Level>) -> EntryRow {
        EntryRow { serial: 0, slot: 0, line: 0, at_s, lines: 1, level, standing: Standing::Plain }
    }

    #[test]
    fn what_comes_and_goes_in_any_order_is_counted_in_its_second() {
        let mut tally = Tally::default();
        let rows = [
            row(105, None),
            row(100, Some(Level::Error)),
            row(105, Some(Level::Warn)),
            row(103, Some(Level::Info)),
            row(119, Some(Level::Fatal)),
        ];
        for row in rows {
            tally.add(row);
        }
        assert_eq!(tally.span(), Some(100..=119));
        let count = |all, warnings, errors| Count { all, warnings, errors };
        assert_eq!(tally.bins(100, 5, 4), [count(2, 0, 1), count(2, 1, 0), count(0, 0, 0), count(1, 0, 1)]);
        assert_eq!(tally.bins(103, 1, 3), [count(1, 0, 0), count(0, 0, 0), count(2, 1, 0)]);
        for row in rows {
            tally.remove(row);
        }
        assert_eq!(tally.span(), None);
    }

    #[test]
    fn stretches_begin_at_round_times_and_the_last_of_them_holds_the_newest_second() {
        assert_eq!(scale(100, 160, 60), Scale { from: 100, width: 1, bins: 60 });
        // 60 stretches of 10 s would hold it, if they began at 109.
        assert_eq!(scale(109, 709, 60), Scale { from: 105, width: 15, bins: 41 });
        for (from, until, most) in [(1, 1, 5), (7, 86_399, 48), (59, 3601, 60), (3, 9, 1), (119, 720, 61)] {
            let Scale { from: begin, width, bins } = scale(from, until, most);
            let end = begin + width * u32::try_from(bins).unwrap();
            assert!(begin <= from && end >= until && bins <= most.max(1), "{from} {until} {most}");
        }
    }

    #[test]
    fn stretches_are_those_that_people_think_in() {
        assert_eq!([bin_width(59, 60), bin_width(301, 60), bin_width(86_400, 48), bin_width(0, 10)], [1, 10, 1800, 1]);
    }
}
