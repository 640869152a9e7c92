//! The file `seq` of a slot: the number of the first line of each segment, so that a reader that begins there numbers lines as the engine
//! did, and so that numbers go on where the database was lost. One `segment number` a line; the last that speaks of a segment counts.
//! Never more than a convenience: without it lines are counted from the oldest that is there.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::segments;
use crate::world::store::private;

/// A file that is longer than this is written anew with what is still of use, at most [`KEPT`] newest segments.
const LONGEST: u64 = 64 * 1024;
const KEPT: usize = 2048;

/// So many segments are known before it is looked which of them are there; then it is looked again when there are twice as many.
const FEW: usize = 64;

/// What is known of a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::world) struct Bases {
    of: BTreeMap<u64, u64>,
    /// How many were of use when it was last looked.
    used: usize,
}

impl Bases {
    /// Reads what a slot has; lines that make no sense say nothing.
    pub(in crate::world) fn read(slot: &Path) -> Self {
        let mut text = String::new();
        if let Ok(file) = segments::open(&path(slot)) {
            // What cannot be read is as good as not there.
            let _partly = file.take(2 * LONGEST).read_to_string(&mut text);
        }
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let pairs = whole.lines().filter_map(|line| {
            let (segment, seq) = line.split_once(' ')?;
            Some((segment.parse().ok()?, seq.parse().ok()?))
        });
        let mut read = Self { of: pairs.collect(), used: 0 };
        read.forget_what_is_gone(slot);
        read
    }

    /// The number of the first line of a segment; that of the very first is 0.
    pub(in crate::world) fn of(&self, segment: u64) -> Option<u64> {
        self.of.get(&segment).copied().or((segment == 1).then_some(0))
    }

    /// Notes the number of the first line of a segment. Where it cannot be written it is known until the engine ends.
    pub(in crate::world) fn note(&mut self, slot: &Path, segment: u64, seq: u64) {
        if self.of(segment) == Some(seq) {
            return;
        }
        self.of.insert(segment, seq);
        self.forget_what_is_gone(slot);
        if let Err(error) = self.write(slot, segment, seq) {
            tracing::debug!(slot = %slot.display(), %error, "the number of a segment's first line could not be noted");
        }
    }

    /// Of segments that retention removed nothing is asked any more.
    fn forget_what_is_gone(&mut self, slot: &Path) {
        if self.of.len() < FEW.max(2 * self.used) {
            return;
        }
        if let Some(oldest) = segments::list(slot).first() {
            self.of.retain(|number, _| *number >= oldest.number);
        }
        self.used = self.of.len();
    }

    fn write(&mut self, slot: &Path, segment: u64, seq: u64) -> io::Result<()> {
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut file = private::options().append(true).create(true).custom_flags(flags).open(path(slot))?;
        if file.metadata()?.len() <= LONGEST {
            return file.write_all(format!("{segment} {seq}\n").as_bytes());
        }
        let oldest = segments::list(slot).first().map_or(segment, |oldest| oldest.number);
        self.of.retain(|number, _| *number >= oldest);
        while self.of.len() > KEPT {
            self.of.pop_first();
        }
        let mut text = String::new();
        for (segment, seq) in &self.of {
            text.push_str(&segment.to_string());
            text.push(' ');
            text.push_str(&seq.to_string());
            text.push('\n');
        }
        let fresh = slot.join("seq.tmp");
        // One that an earlier engine could not finish.
        let _gone = fs::remove_file(&fresh);
        private::options().write(true).create_new(true).custom_flags(flags).open(&fresh)?.write_all(text.as_bytes())?;
        fs::rename(fresh, path(slot))
    }
}

fn path(slot: &Path) -> PathBuf {
    slot.join("seq")
}

#[cfg(test)]
mod tests {
    use super::{Bases, LONGEST, path};

    #[test]
    fn what_was_noted_is_read_back_and_the_file_stays_small() {
        let slot = tempfile::tempdir().unwrap();
        let mut bases = Bases::default();
        std::fs::write(slot.path().join("log.000012"), "").unwrap();
        for segment in 1..20_000_u64 {
            bases.note(slot.path(), segment, segment * 7 - 7);
        }
        let read = Bases::read(slot.path());
        assert_eq!((read.of(19_999), read.of(19_990), read.of(1)), (Some(19_998 * 7), Some(19_989 * 7), Some(0)));
        assert!(std::fs::metadata(path(slot.path())).unwrap().len() <= LONGEST + 32);
        assert!(bases.of.len() < 10_000, "memory is bounded, too: {}", bases.of.len());
    }

    #[test]
    fn what_retention_removed_is_forgotten_long_before_the_file_is_long() {
        let slot = tempfile::tempdir().unwrap();
        let file = |segment: u64| slot.path().join(format!("log.{segment:06}"));
        let mut bases = Bases::default();
        for segment in 1..1000_u64 {
            std::fs::write(file(segment), "").unwrap();
            let _first_ones = segment.checked_sub(8).map(|old| std::fs::remove_file(file(old)));
            bases.note(slot.path(), segment, segment * 7);
            assert!(bases.of.len() <= super::FEW, "{}", bases.of.len());
        }
        assert_eq!((bases.of(999), bases.of(992)), (Some(6993), Some(6944)));
    }

    #[test]
    fn a_line_that_was_cut_short_says_nothing() {
        let slot = tempfile::tempdir().unwrap();
        std::fs::write(path(slot.path()), "2 100\ngarbage\n3 x\n4 40").unwrap();
        let read = Bases::read(slot.path());
        assert_eq!((read.of(2), read.of(3), read.of(4)), (Some(100), None, None));
    }
}
