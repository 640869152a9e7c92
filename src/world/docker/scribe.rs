//! What a container writes, put into the segments of its service as a shim would (see [`crate::shim_format`]), for there is no shim.
//!
//! Promise: the index record of a batch names the container's own time of its last line in nanoseconds, so that whoever comes next asks for what
//! came after. Never: waits for a full disk: what it does not take is counted and marked.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::{
    model::{ids::RunId, intake::Position, log::Stream, service::LogPolicy},
    shim_format::{INDEX_BYTES, IndexKind, IndexRecord, STDERR, STDOUT},
    world::{clock, log_files},
};

/// Size of an index record, as files count.
const RECORD: u64 = INDEX_BYTES as u64;
/// `O_NOFOLLOW` of Linux.
const NO_FOLLOW: i32 = libc::O_NOFOLLOW;

#[derive(Debug)]
struct Segment {
    number: u64,
    data: File,
    index: File,
    offset: u64,
    records: u64,
}

/// Writes the segments of one slot.
#[derive(Debug)]
pub(super) struct Scribe {
    slot: PathBuf,
    segment: Option<Segment>,
    newest: u64,
    policy: LogPolicy,
    /// The container's time of the last line that is kept, nanoseconds since the Unix epoch; 0: none.
    pub(super) last_ns: u64,
    lost: u64,
}

impl Scribe {
    /// For a slot whose directory is there.
    pub(super) fn open(slot: &Path) -> Self {
        let newest = log_files::list(slot).last().map_or(0, |segment| segment.number);
        let mut scribe =
            Self { slot: slot.to_owned(), segment: None, newest, policy: LogPolicy::default(), last_ns: 0, lost: 0 };
        scribe.recall();
        scribe
    }

    /// How output is kept from now on.
    pub(super) fn keep(&mut self, policy: LogPolicy) {
        self.policy = policy;
    }

    /// Finds the last time that is kept, and takes back what the newest segment has that no record speaks of: it is asked for again.
    fn recall(&mut self) {
        for segment in log_files::list(&self.slot).iter().rev() {
            let Ok(index) = File::open(self.file("idx", segment.number)) else { continue };
            let length = index.metadata().map_or(0, |about| about.len());
            let mut at = length - length % RECORD;
            let mut end = None;
            while let Some(before) = at.checked_sub(RECORD) {
                at = before;
                let mut bytes = [0_u8; INDEX_BYTES];
                if index.read_exact_at(&mut bytes, at).is_err() {
                    continue;
                }
                let Some(record) = IndexRecord::decode(&bytes) else { continue };
                end.get_or_insert(record.offset.saturating_add(u64::from(record.len)));
                if record.kind == IndexKind::Data && record.count > 0 {
                    self.last_ns = record.count;
                    break;
                }
            }
            if self.last_ns > 0 {
                if segment.number == self.newest
                    && let Some(end) = end
                    && let Ok(data) = OpenOptions::new().write(true).open(self.file("log", segment.number))
                    && data.metadata().is_ok_and(|about| about.len() > end)
                {
                    // An error leaves a line that comes twice.
                    let _twice = data.set_len(end);
                }
                return;
            }
        }
    }

    fn file(&self, kind: &str, number: u64) -> PathBuf {
        self.slot.join(format!("{kind}.{number:06}"))
    }

    /// Keeps a batch of one stream whose last line has the time `ns`.
    pub(super) fn append(&mut self, run: RunId, stream: Stream, bytes: &[u8], ns: u64) {
        match self.try_append(run, stream, bytes, ns) {
            Ok(()) => self.last_ns = ns.max(self.last_ns),
            Err(error) => {
                tracing::debug!(%error, slot = %self.slot.display(), "output of a container is not kept");
                self.lost = self.lost.saturating_add(bytes.len() as u64);
            }
        }
    }

    fn try_append(&mut self, run: RunId, stream: Stream, bytes: &[u8], ns: u64) -> io::Result<()> {
        self.ready()?;
        let lost = self.lost;
        let Some(segment) = self.segment.as_mut() else { return Err(io::ErrorKind::StorageFull.into()) };
        if lost > 0 {
            let (wall_us, offset) = (clock::now().wall_us, segment.offset);
            let (len, stream, kind) = (0, STDOUT, IndexKind::Dropped);
            segment.record(&IndexRecord { offset, len, stream, kind, wall_us, run: run.0, count: lost })?;
            self.lost = 0;
        }
        segment.data.write_all_at(bytes, segment.offset)?;
        let stream = match stream {
            Stream::Stdout => STDOUT,
            Stream::Stderr => STDERR,
        };
        let record = IndexRecord {
            offset: segment.offset,
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            stream,
            kind: IndexKind::Data,
            wall_us: i64::try_from(ns / 1000).unwrap_or(i64::MAX),
            run: run.0,
            count: ns,
        };
        segment.record(&record)?;
        segment.offset += bytes.len() as u64;
        Ok(())
    }

    /// Where the output ends.
    pub(super) fn end(&self) -> Position {
        if let Some(segment) = &self.segment {
            return Position { segment: segment.number, offset: segment.offset };
        }
        let length = fs::metadata(self.file("log", self.newest)).map_or(0, |about| about.len());
        Position { segment: self.newest, offset: length }
    }

    /// Sees to it that there is a segment with room.
    fn ready(&mut self) -> io::Result<()> {
        let limit = self.policy.segment_bytes();
        let fits = |segment: &Segment| segment.offset < limit && segment.records * RECORD < limit;
        if self.segment.as_ref().is_some_and(fits) {
            return Ok(());
        }
        for _ in 0..16 {
            let number = self.newest + 1;
            self.newest = number;
            let fresh = |path: PathBuf| {
                OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(NO_FOLLOW).open(path)
            };
            // The index first: a segment that is seen has one.
            let index = match fresh(self.file("idx", number)) {
                Ok(index) => index,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            let data = fresh(self.file("log", number))?;
            self.segment = Some(Segment { number, data, index, offset: 0, records: 0 });
            self.retain();
            return Ok(());
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Removes the oldest segments until there is room for one more within the bound.
    fn retain(&self) {
        let all = log_files::list(&self.slot);
        let files = |number: u64| {
            // The index last: what is left without one is still read.
            let names = [("log", ""), ("log", ".zst"), ("log", ".gz"), ("idx", "")];
            names.map(|(kind, end)| self.slot.join(format!("{kind}.{number:06}{end}")))
        };
        let sizes: Vec<(u64, u64)> = all
            .iter()
            .map(|segment| {
                let sizes = files(segment.number).map(|path| fs::metadata(path).map_or(0, |about| about.len()));
                (segment.number, sizes.iter().sum())
            })
            .collect();
        let mut total: u64 = sizes.iter().map(|(_, size)| size).sum();
        for (number, size) in sizes {
            if number >= self.newest || total + self.policy.segment_bytes() <= self.policy.max_size {
                return;
            }
            for path in files(number) {
                // One that is gone already is what was wanted.
                let _gone = fs::remove_file(path);
            }
            total = total.saturating_sub(size);
        }
    }
}

impl Segment {
    fn record(&mut self, record: &IndexRecord) -> io::Result<()> {
        self.index.write_all_at(&record.encode(), self.records * RECORD)?;
        self.records += 1;
        Ok(())
    }
}
