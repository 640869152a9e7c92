//! Output: FIFO → segment by splice(2), one index record a batch, rotation, retention, and what is done when the disk is
//! full. Never waits, never overwrites, and never loses what it could keep.

use std::ffi::CStr;

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, FallocateFlags, OFlags, fallocate, fstat, ftruncate, statat, unlinkat},
    io::{Errno, Result, pread, pwrite, read},
    pipe::{SpliceFlags, splice},
};

use crate::{
    record::open_ours,
    shim_format::{INDEX_BYTES, IndexKind, IndexRecord, STDERR, STDOUT},
    sys::{Text, each_name, wall_us},
};

/// Most bytes of one batch.
const BATCH: u64 = 1 << 20;
/// Size of an index record, as files count.
const RECORD: u64 = INDEX_BYTES as u64;

/// A segment that is written.
struct Segment {
    number: u64,
    data: OwnedFd,
    index: OwnedFd,
    offset: u64,
    index_len: u64,
}

/// The disk took no more.
struct Stall {
    until: u64,
    delay: u64,
}

/// How a pump went.
pub(crate) enum Pump {
    /// So many bytes left the FIFO.
    Moved(u64),
    Empty,
    /// They stay where they are until the disk has room.
    Stuck,
}

/// How output is kept.
#[derive(PartialEq)]
struct Keep {
    segment_bytes: u64,
    total_bytes: u64,
    block: bool,
}

/// All output of a slot.
pub(crate) struct Log {
    segment: Option<Segment>,
    /// The newest number given.
    newest: u64,
    keep: Keep,
    /// The newest run.
    pub(crate) run: u64,
    /// Of data that is in the segment and not in the index yet.
    pending: Option<IndexRecord>,
    /// Bytes thrown away of either stream and not recorded yet.
    lost: [u64; 2],
    /// Bytes of removed segments not recorded yet.
    removed: u64,
    /// Bytes thrown away since we began.
    pub(crate) dropped: u64,
    stall: Option<Stall>,
    /// Where splice cannot be used: what was read and is not written yet.
    spill: [u8; 2048],
    spilled: usize,
    spill_stream: u8,
}

/// A segment's number and what the name is of, from `log.N`, `log.N.zst`, `log.N.gz` or `idx.N`.
fn parse(name: &CStr) -> Option<(u64, bool)> {
    let name = name.to_str().ok()?;
    let (digits, is_log) = name
        .strip_prefix("log.")
        .map(|rest| (rest.strip_suffix(".zst").or_else(|| rest.strip_suffix(".gz")).unwrap_or(rest), true))
        .or_else(|| name.strip_prefix("idx.").map(|rest| (rest, false)))?;
    (digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(())?;
    digits.parse().ok().map(|number| (number, is_log))
}

fn names(number: u64) -> [Text<40>; 4] {
    [
        Text::of(format_args!("log.{number:06}")),
        Text::of(format_args!("log.{number:06}.zst")),
        // Of an earlier version.
        Text::of(format_args!("log.{number:06}.gz")),
        Text::of(format_args!("idx.{number:06}")),
    ]
}

fn size(name: &Text<40>) -> Option<u64> {
    statat(CWD, name.name(), AtFlags::SYMLINK_NOFOLLOW).ok().map(|facts| facts.st_size.cast_unsigned())
}

/// Removes a segment; how many bytes of output that were. How long an archive is unpacked says the last record of its index.
fn remove(number: u64) -> u64 {
    let [log, archive, earlier, index] = names(number);
    let unpacked = || {
        let file = open_ours(CWD, index.name(), OFlags::RDONLY).ok()?;
        let length = size(&index)?;
        let mut bytes = [0_u8; INDEX_BYTES];
        pread(&file, &mut bytes, (length - length % RECORD).checked_sub(RECORD)?).ok()?;
        let record = IndexRecord::decode(&bytes)?;
        Some(record.offset.saturating_add(u64::from(record.len)))
    };
    let bytes = size(&log).or_else(unpacked).unwrap_or(0);
    for name in [&log, &archive, &earlier, &index] {
        let _ = unlinkat(CWD, name.name(), AtFlags::empty());
    }
    bytes
}

impl Segment {
    fn open(number: u64, flags: OFlags) -> Result<Self> {
        let [log, _, _, index] = names(number);
        // The index first: a segment that is seen has one.
        let index_file = open_ours(CWD, index.name(), OFlags::RDWR | flags)?;
        let data = open_ours(CWD, log.name(), OFlags::RDWR | flags).inspect_err(|_| {
            if flags.contains(OFlags::EXCL) {
                let _ = unlinkat(CWD, index.name(), AtFlags::empty());
            }
        })?;
        let offset = fstat(&data)?.st_size.cast_unsigned();
        let index_len = fstat(&index_file)?.st_size.cast_unsigned();
        Ok(Self { number, data, index: index_file, offset, index_len })
    }

    /// Cuts off what is no whole record, and finds where the index ends.
    fn mend(&mut self) -> Result<u64> {
        let mut len = self.index_len - self.index_len % RECORD;
        let mut end = 0;
        while let Some(at) = len.checked_sub(RECORD) {
            let mut bytes = [0_u8; INDEX_BYTES];
            let whole = pread(&self.index, &mut bytes, at)? == INDEX_BYTES;
            if let Some(record) = IndexRecord::decode(&bytes).filter(|_| whole) {
                end = record.offset.saturating_add(u64::from(record.len));
                break;
            }
            len = at;
        }
        if len != self.index_len {
            ftruncate(&self.index, len)?;
            self.index_len = len;
        }
        Ok(end)
    }

    fn append(&mut self, record: &IndexRecord) -> Result<()> {
        let written = pwrite(&self.index, &record.encode(), self.index_len);
        if matches!(written, Ok(INDEX_BYTES)) {
            self.index_len = self.index_len.saturating_add(RECORD);
            return Ok(());
        }
        let _ = ftruncate(&self.index, self.index_len);
        Err(written.err().unwrap_or(Errno::NOSPC))
    }
}

impl Log {
    /// Goes on with the newest segment there is.
    pub(crate) fn open(run: u64) -> Result<Self> {
        let (mut newest, mut newest_log) = (0, 0);
        each_name(c".", &mut |name| {
            if let Some((number, is_log)) = parse(name) {
                newest = newest.max(number);
                newest_log = if is_log { newest_log.max(number) } else { newest_log };
            }
        });
        let mut log = Self {
            segment: None,
            newest,
            keep: Keep { segment_bytes: 8 << 20, total_bytes: 64 << 20, block: false },
            run,
            pending: None,
            lost: [0; 2],
            removed: 0,
            dropped: 0,
            stall: None,
            spill: [0; 2048],
            spilled: 0,
            spill_stream: STDOUT,
        };
        let is_raw = newest_log == newest && names(newest).first().and_then(size).is_some();
        if newest > 0 && is_raw {
            let mut segment = Segment::open(newest, OFlags::CREATE)?;
            let indexed = segment.mend()?;
            if indexed <= segment.offset {
                log.recover(&segment, indexed);
                log.segment = Some(segment);
            }
        }
        match log.settle().and_then(|()| log.ready()) {
            Ok(()) | Err(Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::FBIG) => Ok(log),
            Err(error) => Err(error),
        }
    }

    /// What an earlier shim wrote and could not say any more.
    fn recover(&mut self, segment: &Segment, indexed: u64) {
        let len = segment.offset - indexed;
        let wall = fstat(&segment.data).map_or(0, |facts| facts.st_mtime);
        if len > 0 {
            self.pending = Some(IndexRecord {
                offset: indexed,
                len: u32::try_from(len).unwrap_or(u32::MAX),
                stream: STDOUT,
                kind: IndexKind::Recovered,
                wall_us: wall.saturating_mul(1_000_000),
                run: self.run,
                count: 0,
            });
        }
    }

    /// Where the output ends.
    pub(crate) fn end(&self) -> (u64, u64) {
        self.segment.as_ref().map_or((self.newest, 0), |segment| (segment.number, segment.offset))
    }

    /// Sets how output is kept from now on.
    pub(crate) fn keep(&mut self, segment_bytes: u64, total_bytes: u64, block: bool) {
        let segment_bytes = segment_bytes.clamp(4096, 1 << 30);
        let keep = Keep { segment_bytes, total_bytes: total_bytes.max(segment_bytes), block };
        if self.keep != keep {
            self.keep = keep;
            self.retain();
        }
    }

    /// Whether the FIFOs are to be read now.
    pub(crate) fn reads(&self, now: u64) -> bool {
        !self.keep.block || self.stall.as_ref().is_none_or(|stall| stall.until <= now)
    }

    /// Whether something is not on disk that should be.
    fn owes(&self) -> bool {
        self.pending.is_some() || self.lost != [0; 2] || self.removed > 0 || self.spilled > 0
    }

    /// When to call [`Log::retry`].
    pub(crate) fn timer(&self, now: u64) -> Option<u64> {
        let waits = self.stall.as_ref().filter(|stall| stall.until > now && (self.owes() || self.keep.block));
        waits.map(|stall| stall.until)
    }

    /// Tries again to write what is owed. Without that, the next data shows whether there is room.
    pub(crate) fn retry(&mut self, now: u64) {
        if self.owes() && self.stall.as_ref().is_some_and(|stall| stall.until <= now) {
            match self.probe() {
                Ok(()) => self.stall = None,
                Err(_) => self.stall_on(now),
            }
        }
    }

    /// Whether the disk takes data again; if it does, all that is owed is written.
    fn probe(&mut self) -> Result<()> {
        self.settle()?;
        self.ready()?;
        let segment = self.segment.as_ref().ok_or(Errno::NOSPC)?;
        let offset = segment.offset;
        match fallocate(&segment.data, FallocateFlags::KEEP_SIZE, offset, 1 << 14) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.announce(offset),
            Err(error) => Err(error),
        }
    }

    fn stall_on(&mut self, now: u64) {
        let delay = self.stall.as_ref().map_or(100, |stall| stall.delay.saturating_mul(2).min(2000));
        self.stall = Some(Stall { until: now.saturating_add(delay), delay });
    }

    /// Moves one batch out of a FIFO.
    pub(crate) fn pump(&mut self, stream: u8, fifo: BorrowedFd<'_>, now: u64) -> Pump {
        if self.stall.as_ref().is_none_or(|stall| stall.until <= now) {
            loop {
                match self.batch(stream, fifo) {
                    Ok(bytes) => {
                        self.stall = None;
                        return Pump::Moved(bytes);
                    }
                    Err(Errno::AGAIN) => return Pump::Empty,
                    Err(Errno::INTR) => {}
                    Err(Errno::NOSPC | Errno::DQUOT) if self.free_oldest() => {}
                    Err(_) => break self.stall_on(now),
                }
            }
        }
        if self.keep.block { Pump::Stuck } else { self.drop_batch(stream, fifo) }
    }

    fn drop_batch(&mut self, stream: u8, fifo: BorrowedFd<'_>) -> Pump {
        if self.spilled > 0 {
            self.lose(self.spill_stream, self.spilled as u64);
            self.spilled = 0;
        }
        // Our standard output is /dev/null.
        let nowhere = rustix::stdio::stdout();
        match splice(fifo, None, nowhere, None, BATCH as usize, SpliceFlags::NONBLOCK) {
            Ok(bytes @ 1..) => {
                self.lose(stream, bytes as u64);
                Pump::Moved(bytes as u64)
            }
            Ok(0) | Err(_) => Pump::Empty,
        }
    }

    fn lose(&mut self, stream: u8, bytes: u64) {
        if let Some(lost) = self.lost.get_mut(usize::from(stream == STDERR)) {
            *lost = lost.saturating_add(bytes);
        }
        self.dropped = self.dropped.saturating_add(bytes);
    }

    fn batch(&mut self, stream: u8, fifo: BorrowedFd<'_>) -> Result<u64> {
        self.settle()?;
        self.ready()?;
        let segment = self.segment.as_mut().ok_or(Errno::NOSPC)?;
        let room = match self.keep.segment_bytes.saturating_sub(segment.offset) {
            // No other could be begun.
            0 => BATCH,
            left => left.min(BATCH),
        };
        let mut at = segment.offset;
        match splice(fifo, None, &segment.data, Some(&mut at), room as usize, SpliceFlags::NONBLOCK) {
            Ok(0) => return Err(Errno::AGAIN),
            Ok(bytes) => {
                self.has_written(stream, bytes);
                // What cannot be said now is said before the next batch.
                let _ = self.settle();
                return Ok(bytes as u64);
            }
            Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
        self.spilled = read(fifo, self.spill.as_mut_slice())?;
        self.spill_stream = stream;
        let bytes = self.spilled as u64;
        let _ = self.settle();
        Ok(bytes)
    }

    fn has_written(&mut self, stream: u8, bytes: usize) {
        let offset = self.segment.as_ref().map_or(0, |segment| segment.offset);
        // What was lost came before this. It is owed on where the index takes no more.
        let _ = self.announce(offset);
        if let Some(segment) = self.segment.as_mut() {
            let len = bytes as u32;
            segment.offset = segment.offset.saturating_add(u64::from(len));
            let (wall_us, run) = (wall_us(), self.run);
            self.pending = Some(IndexRecord { offset, len, stream, kind: IndexKind::Data, wall_us, run, count: 0 });
        }
    }

    /// Writes what is owed: the index of data, what was read and not written.
    fn settle(&mut self) -> Result<()> {
        self.settle_index()?;
        while self.spilled > 0 {
            self.ready()?;
            let segment = self.segment.as_ref().ok_or(Errno::NOSPC)?;
            let written = pwrite(&segment.data, self.spill.get(..self.spilled).unwrap_or_default(), segment.offset)?;
            self.spill.copy_within(written.min(self.spilled)..self.spilled, 0);
            self.spilled = self.spilled.saturating_sub(written);
            self.has_written(self.spill_stream, written);
            self.settle_index()?;
        }
        Ok(())
    }

    fn settle_index(&mut self) -> Result<()> {
        if let (Some(record), Some(segment)) = (self.pending, self.segment.as_mut()) {
            segment.append(&record)?;
            self.pending = None;
        }
        Ok(())
    }

    /// Marks what was removed and lost, once the disk takes data again.
    fn announce(&mut self, offset: u64) -> Result<()> {
        let Some(segment) = self.segment.as_mut() else { return Ok(()) };
        let (wall_us, run) = (wall_us(), self.run);
        let marker = |kind, stream, count| IndexRecord { offset, len: 0, stream, kind, wall_us, run, count };
        if self.removed > 0 {
            segment.append(&marker(IndexKind::Removed, STDOUT, self.removed))?;
            self.removed = 0;
        }
        for (stream, lost) in [STDOUT, STDERR].into_iter().zip(&mut self.lost) {
            if *lost > 0 {
                segment.append(&marker(IndexKind::Dropped, stream, *lost))?;
                *lost = 0;
            }
        }
        Ok(())
    }

    /// Sees to it that there is a segment with room. Data whose index is owed stays in its segment.
    fn ready(&mut self) -> Result<()> {
        let limit = self.keep.segment_bytes;
        let fits = |segment: &Segment| segment.offset < limit && segment.index_len < limit;
        if self.segment.as_ref().is_some_and(|segment| fits(segment) || self.pending.is_some()) {
            return Ok(());
        }
        for _ in 0..16 {
            let number = self.newest.saturating_add(1);
            match Segment::open(number, OFlags::CREATE | OFlags::EXCL) {
                Ok(segment) => {
                    self.newest = number;
                    self.segment = Some(segment);
                    self.retain();
                    return Ok(());
                }
                // Somebody left a file of that name: it is not ours to write to.
                Err(Errno::EXIST) => self.newest = number,
                Err(error @ (Errno::NOSPC | Errno::DQUOT)) => return Err(error),
                // No descriptors, no permission: that is no reason to throw anything away while the one that is open takes more.
                Err(_) if self.goes_on() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.goes_on() { Ok(()) } else { Err(Errno::EXIST) }
    }

    /// Whether the segment that is open may grow beyond its bound: as far as all together may.
    fn goes_on(&self) -> bool {
        self.segment
            .as_ref()
            .is_some_and(|segment| segment.offset.saturating_add(segment.index_len) < self.keep.total_bytes)
    }

    /// What all segments take on disk, and the oldest that is not being written.
    fn census(&self) -> (u64, Option<u64>) {
        let current = self.segment.as_ref().map(|segment| segment.number);
        let (mut total, mut oldest) = (0_u64, None);
        each_name(c".", &mut |name| {
            let Some((number, _)) = parse(name) else { return };
            let facts = statat(CWD, name, AtFlags::SYMLINK_NOFOLLOW);
            total = total.saturating_add(facts.map_or(0, |facts| facts.st_size.cast_unsigned()));
            if Some(number) != current && oldest.is_none_or(|oldest| number < oldest) {
                oldest = Some(number);
            }
        });
        (total, oldest)
    }

    /// Deletes the oldest segments until there is room for one more within the bound.
    fn retain(&mut self) {
        let written = self.segment.as_ref().map_or(0, |segment| segment.offset.saturating_add(segment.index_len));
        let growth = self.keep.segment_bytes.saturating_sub(written);
        while let (total, Some(oldest)) = self.census() {
            if total.saturating_add(growth) <= self.keep.total_bytes {
                return;
            }
            remove(oldest);
            if self.census().1 == Some(oldest) {
                return;
            }
        }
    }

    /// Does what needs room on the disk; the oldest segments go where there is none.
    pub(crate) fn free_for<T>(&mut self, mut write: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            match write() {
                Err(Errno::NOSPC | Errno::DQUOT) if self.free_oldest() => {}
                result => return result,
            }
        }
    }

    /// Makes room on a full disk; whether there was something to remove.
    fn free_oldest(&mut self) -> bool {
        let (_, Some(oldest)) = self.census() else { return false };
        self.removed = self.removed.saturating_add(remove(oldest));
        self.census().1 != Some(oldest)
    }
}

/// Bytes that wait in a FIFO.
pub(crate) fn waiting(fifo: impl AsFd) -> u64 {
    rustix::io::ioctl_fionread(fifo).unwrap_or(0)
}
