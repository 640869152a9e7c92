//! Output over a connection that comes and goes: each line once, and a word where some are missing.
//!
//! Output of a service is numbered, over engines too, so that what a new engine reads again is known by its numbers. Lines of a file that a service
//! writes itself are numbered by each engine anew.

use std::{collections::HashMap, sync::Arc};

use super::super::logs::without_first;
use crate::model::log::{Counted, LogBatch, forgotten_for};

/// A batch with low numbers whose time is so much later than what was had is a count that began anew, not one read twice.
const ANEW_AFTER_US: i64 = 1_000_000;

/// After a break, output is asked for from so long before the last that was had: clocks of services are not in step.
const OVERLAP_US: i64 = 60_000_000;

/// What was had of each source of each service; of files of a service those that were written to last.
#[derive(Debug, Default)]
pub(super) struct Had {
    sources: HashMap<Counted, Last>,
    newest_us: i64,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    next_seq: u64,
    wall_us: i64,
}

/// What is new of a batch.
#[derive(Debug, Default, PartialEq)]
pub(super) struct New {
    /// Lines of this source are missing before it.
    pub(super) gap: bool,
    /// The part that was not had.
    pub(super) batch: Option<Arc<LogBatch>>,
}

impl Had {
    /// Takes a batch.
    pub(super) fn take(&mut self, batch: Arc<LogBatch>) -> New {
        let end = batch.first_seq + batch.lines.len() as u64;
        self.newest_us = self.newest_us.max(batch.wall_us);
        let counted = batch.counted();
        let last = self.sources.get(&counted).copied();
        let now = Last { next_seq: end, wall_us: batch.wall_us };
        let Some(last) = last else {
            let known = self.sources.iter().map(|(counted, last)| (counted, last.wall_us));
            if let Some(forgotten) = forgotten_for(&counted, known) {
                self.sources.remove(&forgotten);
            }
            self.sources.insert(counted, now);
            return New { gap: false, batch: Some(batch) };
        };
        if end <= last.next_seq {
            if batch.wall_us <= last.wall_us.saturating_add(ANEW_AFTER_US) {
                return New::default();
            }
            self.sources.insert(counted, now);
            return New { gap: false, batch: Some(batch) };
        }
        self.sources.insert(counted, now);
        let known = usize::try_from(last.next_seq.saturating_sub(batch.first_seq)).unwrap_or(usize::MAX);
        let gap = batch.first_seq > last.next_seq;
        let batch = if known == 0 { Some(batch) } else { without_first(&batch, known).map(Arc::new) };
        New { gap, batch }
    }

    /// From when on to ask again; none before the first batch.
    pub(super) fn since_us(&self) -> Option<i64> {
        (self.newest_us > 0).then(|| self.newest_us.saturating_sub(OVERLAP_US))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Had, New};
    use crate::model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::{LogBatch, LogLine, MOST_FILES_REMEMBERED, Source, Stream},
    };

    fn batch(first_seq: u64, lines: usize, wall_us: i64) -> Arc<LogBatch> {
        let line = |start| LogLine { start, len: 1, stream: Stream::Stdout, continued: false };
        Arc::new(LogBatch {
            service: ServiceId { project: ProjectName::new("p").unwrap(), service: ServiceName::new("web").unwrap() },
            source: Source::Output,
            run: RunId(1),
            wall_us,
            first_seq,
            text: "x".repeat(lines).into_boxed_str(),
            lines: (0..u32::try_from(lines).unwrap()).map(line).collect(),
        })
    }

    fn numbers(new: &New) -> Vec<u64> {
        let batch = new.batch.iter();
        batch.flat_map(|batch| batch.first_seq..batch.first_seq + batch.lines.len() as u64).collect()
    }

    #[test]
    fn what_is_read_again_is_had_once_and_what_is_missing_is_told() {
        let mut had = Had::default();
        assert_eq!(numbers(&had.take(batch(10, 5, 100))), [10, 11, 12, 13, 14]);
        assert_eq!(had.take(batch(10, 5, 100)), New::default(), "twice");
        assert_eq!(numbers(&had.take(batch(12, 5, 120))), [15, 16], "cut elsewhere by the new engine");
        let after = had.take(batch(20, 1, 130));
        assert!(after.gap && numbers(&after) == [20], "17 to 19 are missing");
        assert!(!had.take(batch(21, 1, 131)).gap);
    }

    #[test]
    fn a_file_of_a_service_has_a_count_of_its_own() {
        let mut had = Had::default();
        had.take(batch(10, 5, 100));
        let of_file = |first_seq| {
            let source = Source::File("log/web.log".into());
            Arc::new(LogBatch { source, ..(*batch(first_seq, 2, 100)).clone() })
        };
        assert_eq!(numbers(&had.take(of_file(0))), [0, 1]);
        assert_eq!(had.take(of_file(0)), New::default(), "twice");
        let after = had.take(batch(15, 1, 101));
        assert!(!after.gap && numbers(&after) == [15], "the count of output goes on");
    }

    #[test]
    fn of_files_whose_names_bear_the_date_only_the_last_are_remembered() {
        let mut had = Had::default();
        had.take(batch(10, 5, 100));
        let of_day = |day: i64| {
            let source = Source::File(format!("web-{day}.log").into());
            Arc::new(LogBatch { source, ..(*batch(0, 2, 1000 + day)).clone() })
        };
        for day in 0..1000 {
            had.take(of_day(day));
        }
        assert_eq!(had.sources.len(), 1 + MOST_FILES_REMEMBERED);
        assert_eq!(had.take(of_day(999)), New::default(), "twice");
        assert_eq!(had.take(batch(10, 5, 100)), New::default(), "output is not forgotten for files");
    }

    #[test]
    fn a_count_that_began_anew_is_not_taken_for_what_was_had() {
        let mut had = Had::default();
        had.take(batch(1000, 5, 1_000_000));
        assert_eq!(numbers(&had.take(batch(0, 2, 9_000_000))), [0, 1]);
        assert_eq!(numbers(&had.take(batch(2, 1, 9_000_001))), [2]);
    }
}
