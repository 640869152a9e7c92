//! Goes through the segments of one slot, from a position on, over their borders and while they grow.
//!
//! Never holds more than two descriptors, and its buffers belong to the thread: a thousand quiet slots keep none.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use super::{
    data::Data,
    index::{self, Records},
    marks,
    segments::{self, Form, Segment},
};
use crate::{
    model::{ids::RunId, intake::Position, log::Stream},
    shim_format::{IndexKind, IndexRecord, STDERR},
    world::clock,
};

/// Records that were written within so many microseconds are taken as one.
const TOGETHER_US: u64 = 5_000;

/// Bytes of an index that are read at once.
const INDEX_CHUNK: usize = 32 * 1024;

/// Bytes that nobody indexed are left alone for so long, in microseconds: their record may be about to be written.
const SETTLED_US: i64 = 1_000_000;

/// The time of a directory advances in steps of less, in microseconds.
const COARSE_US: i64 = 50_000;

/// What is found on the way, in the order in which it was written.
#[derive(Debug)]
pub(in crate::world) enum Piece<'a> {
    /// Bytes of one stream.
    Bytes {
        /// Where the first stands; the others follow in the same segment.
        at: Position,
        /// From where.
        stream: Stream,
        /// The newest run then.
        run: RunId,
        /// When.
        wall_us: i64,
        /// At least one.
        bytes: &'a [u8],
    },
    /// Bytes are missing, and this is what is to be said of it.
    Mark {
        /// Before what stands here.
        at: Position,
        /// How many bytes could not be kept here; 0 where older ones were removed.
        dropped: u64,
        /// A sentence.
        text: String,
    },
}

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::world) enum Progress {
    /// Something was read, and more may be there.
    Read,
    /// A segment begins, from its first byte on.
    Entered(u64),
    /// There are only segments from before where it stood: all was deleted and begun anew, and it stands at their beginning.
    Anew,
    /// There is no more now.
    End,
}

/// What to think of bytes at the very end that no index speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::world) enum Unindexed {
    /// Their record will come: wait. Those before the position, behind which nobody writes an older record, are taken.
    Await(Position),
    /// They are taken once nobody has written for a second; now is so many microseconds after the epoch.
    Guess(i64),
}

/// A part of a segment that is read as one.
#[derive(Debug)]
enum Part {
    Bytes { from: u64, to: u64, stream: Stream, run: RunId, wall_us: i64 },
    Mark { at: u64, kind: IndexKind, count: u64 },
}

#[derive(Debug, Default)]
struct Scratch {
    index: Vec<u8>,
    data: Vec<u8>,
    parts: Vec<Part>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Open files of the segment where it stands.
#[derive(Debug)]
struct Open {
    data: Data,
    index: Option<File>,
    /// Of what cannot be read before here it was told.
    told: u64,
}

/// A way through one slot.
#[derive(Debug)]
pub(in crate::world) struct Walk {
    slot: PathBuf,
    at: Position,
    open: Option<Open>,
    /// Records before are done with.
    index_at: u64,
    /// Run and time of the last record that was read in this segment.
    before: Option<(RunId, i64)>,
    /// The run of the last record that was read in any.
    run: Option<RunId>,
    unindexed: Unindexed,
    lost: u64,
    /// There was no later segment when the slot's directory bore this time, seconds and nanoseconds.
    alone_at: Option<(i64, i64)>,
}

impl Walk {
    /// Begins at `from`; segment 0 is before the oldest that there is.
    pub(in crate::world) const fn new(slot: PathBuf, from: Position, unindexed: Unindexed) -> Self {
        Self { slot, at: from, open: None, index_at: 0, before: None, run: None, unindexed, lost: 0, alone_at: None }
    }

    /// Records of the segment where it stands that are before this byte of its index say nothing of what is read from here on.
    pub(super) const fn pass_over(&mut self, index_at: u64) {
        self.index_at = index_at;
    }

    /// Goes on at another place, as if it began there. Files of the same segment stay open where they can be read from any place on.
    pub(super) fn turn_to(&mut self, at: Position) {
        if at.segment != self.at.segment || self.open.as_ref().is_some_and(|open| open.data.is_lost_when_closed()) {
            self.open = None;
        }
        if let Some(open) = &mut self.open {
            open.told = 0;
        }
        (self.at, self.index_at, self.before, self.run) = (at, 0, None, None);
        (self.lost, self.alone_at) = (0, None);
    }

    /// Everything before was read.
    pub(in crate::world) const fn at(&self) -> Position {
        self.at
    }

    /// The slot.
    pub(in crate::world) fn slot(&self) -> &std::path::Path {
        &self.slot
    }

    /// From now on unindexed bytes at the end are thought of so.
    pub(in crate::world) const fn think(&mut self, unindexed: Unindexed) {
        self.unindexed = unindexed;
    }

    /// Bytes, about, of segments that were deleted before they were read, since it was last asked.
    pub(in crate::world) const fn take_lost(&mut self) -> u64 {
        std::mem::replace(&mut self.lost, 0)
    }

    /// Closes its files until the next step. What would have to be unpacked again from its beginning stays open.
    pub(in crate::world) fn rest(&mut self) {
        if self.open.as_ref().is_some_and(|open| !open.data.is_lost_when_closed()) {
            self.open = None;
        }
    }

    /// Reads on, at most `budget` bytes of one segment.
    pub(in crate::world) fn step(&mut self, budget: usize, mut visit: impl FnMut(Piece<'_>)) -> Progress {
        if self.open.is_none() {
            match self.open_here() {
                Some(Progress::Read) => {}
                Some(news) => return news,
                None => return Progress::End,
            }
        }
        if self.read_indexed(budget, &mut visit) {
            return Progress::Read;
        }
        match self.following() {
            Some(next) => {
                // Its last records may have come since; once the next has begun, none will.
                if self.read_indexed(budget, &mut visit) || self.read_rest(budget, u64::MAX, &mut visit) {
                    return Progress::Read;
                }
                self.open = None;
                self.begin_segment(next);
                // Where it cannot be opened the next step tries, and looks for others.
                match self.open_segment(next) {
                    Ok(()) => Progress::Entered(next),
                    Err(error) if is_foreign(&error) => self.open_here().unwrap_or(Progress::End),
                    Err(_) => Progress::End,
                }
            }
            None if self.read_unindexed(budget, &mut visit) => Progress::Read,
            None => Progress::End,
        }
    }

    /// Opens the segment where it stands, or the next that is there. None where there is none, or none can be opened now.
    fn open_here(&mut self) -> Option<Progress> {
        let here =
            if self.at.segment > 0 { self.open_segment(self.at.segment) } else { Err(ErrorKind::NotFound.into()) };
        if here.is_ok() {
            let length = self.open.as_ref().and_then(|open| open.data.length());
            if length.is_none_or(|length| length >= self.at.offset) {
                return Some(Progress::Read);
            }
            // Shorter than what was read of it: it is another.
            self.begin_segment(self.at.segment);
            return Some(Progress::Anew);
        }
        let there: Vec<u64> = segments::list(&self.slot).iter().map(|segment| segment.number).collect();
        let newest = *there.last()?;
        if newest < self.at.segment {
            self.begin_segment(*there.first()?);
            return Some(Progress::Anew);
        }
        let left = self.at;
        for number in there.into_iter().filter(|number| *number >= left.segment) {
            let opened = if number == left.segment {
                match &here {
                    Err(error) if is_foreign(error) => continue,
                    // It is there and could not be opened a moment ago.
                    Ok(()) | Err(_) => return None,
                }
            } else {
                self.open_segment(number)
            };
            match opened {
                Ok(()) => {
                    self.begin_segment(number);
                    self.count_lost(left);
                    return Some(Progress::Entered(number));
                }
                // It was put there by somebody else, and no shim ever writes to it.
                Err(error) if is_foreign(&error) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Segments between `left` and here are gone. They are of about one size.
    fn count_lost(&mut self, left: Position) {
        let here = self.at.segment;
        if left.segment == 0 || here <= left.segment {
            return;
        }
        let size = self.open.as_ref().and_then(|open| open.data.length()).unwrap_or(0);
        let size = index::last_record(&self.slot, here).map_or(size, |last| last.offset + u64::from(last.len));
        let between = (here - left.segment - 1).saturating_mul(size);
        self.lost = self.lost.saturating_add(between).saturating_add(size.saturating_sub(left.offset));
    }

    /// Opens a segment and its index. An error may pass (too many open files) where [`is_foreign`] says no.
    fn open_segment(&mut self, number: u64) -> io::Result<()> {
        let open = |form| Data::open(&self.slot, Segment { number, form });
        // It may be compressed between two tries.
        let data = open(Form::Raw).or_else(|error| {
            if error.kind() == ErrorKind::NotFound {
                open(Form::Archive).or_else(|_| open(Form::Gzip)).or_else(|_| open(Form::Raw))
            } else {
                Err(error)
            }
        })?;
        let index = match segments::open(&segments::index_file(&self.slot, number)) {
            Ok(index) => Some(index),
            Err(error) if error.kind() == ErrorKind::NotFound || is_foreign(&error) => None,
            Err(error) => return Err(error),
        };
        self.open = Some(Open { data, index, told: 0 });
        Ok(())
    }

    const fn begin_segment(&mut self, number: u64) {
        self.at = Position { segment: number, offset: 0 };
        self.index_at = 0;
        self.before = None;
        self.alone_at = None;
    }

    /// The segment after the one where it stands, once there is one: then this one does not grow any more.
    fn following(&mut self) -> Option<u64> {
        let changed = fs::metadata(&self.slot).map(|slot| (slot.mtime(), slot.mtime_nsec())).ok();
        if changed.is_some() && self.alone_at == changed {
            return None;
        }
        let there = segments::list(&self.slot);
        let following = there.iter().map(|segment| segment.number).find(|number| *number > self.at.segment);
        if following.is_some() {
            return following;
        }
        if self.open.as_ref().is_some_and(|open| open.data.is_unlinked()) {
            // Deleted, and perhaps begun anew: the next step looks.
            self.open = None;
        }
        // What changes right after it was looked at may bear the same time.
        self.alone_at = changed.filter(|(seconds, nanos)| {
            let changed_us = seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000);
            clock::now().wall_us.saturating_sub(changed_us) > COARSE_US
        });
        None
    }

    /// Reads what records speak of. False where there is no such thing now.
    fn read_indexed(&mut self, budget: usize, visit: &mut impl FnMut(Piece<'_>)) -> bool {
        SCRATCH.with_borrow_mut(|scratch| {
            let from = self.at.offset;
            scratch.parts.clear();
            let to = self.gather(budget as u64, scratch);
            self.visit(from, to, scratch, visit)
        })
    }

    /// Plans what is read next from the index; returns up to where.
    fn gather(&mut self, budget: u64, scratch: &mut Scratch) -> u64 {
        let from = self.at.offset;
        let Some(Open { data, index: Some(index), .. }) = &self.open else { return from };
        let limit = from.saturating_add(budget.min(data.together(from).unwrap_or(u64::MAX)));
        scratch.index.resize(INDEX_CHUNK, 0);
        let mut at = from;
        loop {
            let read = index::read_at(index, self.index_at, &mut scratch.index);
            // Asked after the index was read: data are written before their record.
            let length = data.length().unwrap_or(u64::MAX);
            let chunk = &scratch.index[..read];
            let mut records = Records::new(chunk, 0);
            let mut done = 0;
            while let Some((_, record)) = records.next() {
                let guess = self.before.unwrap_or((RunId(record.run), record.wall_us));
                let known = plan(&mut scratch.parts, &mut at, &record, guess, limit.min(length));
                if !known && at < length {
                    // The budget ends within it: the next step begins with it.
                    self.index_at += done as u64;
                    return at;
                }
                self.before = Some((RunId(record.run), record.wall_us));
                self.run = Some(RunId(record.run));
                done = records.used();
            }
            if done == 0 && read == INDEX_CHUNK {
                // Nothing in it can be read: what can may begin in its last bytes.
                done = read - crate::shim_format::INDEX_BYTES + 1;
            }
            self.index_at += done as u64;
            if done == 0 || at > from || !scratch.parts.is_empty() {
                return at;
            }
        }
    }

    /// Whose bytes are that no record speaks of: of the run before, or else of the next.
    fn likely_run(&self) -> RunId {
        let there = || segments::list(&self.slot).into_iter().map(|segment| segment.number);
        let here = self.at.segment;
        let last = |number| index::last_record(&self.slot, number).map(|record| RunId(record.run));
        let before = || there().rev().filter(|number| *number < here).find_map(last);
        let next = || there().filter(|number| *number > here).find_map(|number| index::first_run(&self.slot, number));
        self.run.or_else(before).or_else(next).unwrap_or(RunId(0))
    }

    /// Reads bytes that no record speaks of although none will come any more.
    fn read_rest(&mut self, budget: usize, end: u64, visit: &mut impl FnMut(Piece<'_>)) -> bool {
        let Some(open) = &self.open else { return false };
        let from = self.at.offset;
        let budget = (budget as u64).min(open.data.together(from).unwrap_or(u64::MAX));
        let to = from.saturating_add(budget).min(open.data.length().unwrap_or(u64::MAX)).min(end);
        if to <= from {
            return false;
        }
        let (run, wall_us) = self.before.unwrap_or_else(|| (self.likely_run(), open.data.modified_us()));
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.parts.clear();
            scratch.parts.push(Part::Bytes { from, to, stream: Stream::Stdout, run, wall_us });
            self.visit(from, to, scratch, visit)
        })
    }

    /// The same at the end of the newest segment, where a record may still come.
    fn read_unindexed(&mut self, budget: usize, visit: &mut impl FnMut(Piece<'_>)) -> bool {
        match self.unindexed {
            Unindexed::Await(settled) if settled.segment == self.at.segment => {
                self.read_rest(budget, settled.offset, visit)
            }
            Unindexed::Await(_) => false,
            Unindexed::Guess(now_us) => {
                let modified = self.open.as_ref().map_or(now_us, |open| open.data.modified_us());
                (now_us.saturating_sub(modified) >= SETTLED_US) && self.read_rest(budget, u64::MAX, visit)
            }
        }
    }

    /// Reads and shows what was planned, and goes on behind it. False where nothing was planned or there.
    fn visit(&mut self, from: u64, to: u64, scratch: &mut Scratch, visit: &mut impl FnMut(Piece<'_>)) -> bool {
        let Some(open) = &mut self.open else { return false };
        let segment = self.at.segment;
        let wanted = usize::try_from(to - from).unwrap_or(usize::MAX);
        scratch.data.resize(wanted.max(scratch.data.len()), 0);
        let read = open.data.read(from, &mut scratch.data[..wanted]);
        let mut seen = false;
        if read < wanted
            && from >= open.told
            && let Some(end) = open.data.hole_at(from)
        {
            open.told = end;
            seen = true;
            let text = marks::unreadable(end - from, segment);
            visit(Piece::Mark { at: Position { segment, offset: from }, dropped: 0, text });
        }
        for part in &scratch.parts {
            match *part {
                Part::Bytes { from: first, to: last, stream, run, wall_us } => {
                    let end = ((last - from) as usize).min(read);
                    let Some(bytes) = scratch.data.get((first - from) as usize..end).filter(|bytes| !bytes.is_empty())
                    else {
                        continue;
                    };
                    seen = true;
                    visit(Piece::Bytes { at: Position { segment, offset: first }, stream, run, wall_us, bytes });
                }
                Part::Mark { at, kind, count } => {
                    seen = true;
                    let dropped = if kind == IndexKind::Dropped { count } else { 0 };
                    let at = Position { segment, offset: at };
                    visit(Piece::Mark { at, dropped, text: marks::sentence(kind, count) });
                }
            }
        }
        // What a record speaks of and cannot be read is not waited for.
        self.at.offset = to;
        seen || (to > from && open.data.length().is_some())
    }
}

/// No plain file of ours is there, and trying again will not change that.
fn is_foreign(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Plans what a record speaks of, and bytes before it of which none does. False where `limit` ends within.
fn plan(parts: &mut Vec<Part>, at: &mut u64, record: &IndexRecord, guess: (RunId, i64), limit: u64) -> bool {
    let (run, wall_us) = (RunId(record.run), record.wall_us);
    if record.offset > *at {
        let to = record.offset.min(limit);
        push(parts, *at, to, Stream::Stdout, guess);
        *at = (*at).max(to);
        if to < record.offset {
            return false;
        }
    }
    match record.kind {
        IndexKind::Data | IndexKind::Recovered => {
            let end = record.offset + u64::from(record.len);
            let to = end.min(limit);
            let stream = if record.stream == STDERR { Stream::Stderr } else { Stream::Stdout };
            push(parts, *at, to, stream, (run, wall_us));
            *at = (*at).max(to);
            end <= limit
        }
        IndexKind::Dropped | IndexKind::Removed => {
            if record.offset == *at {
                parts.push(Part::Mark { at: *at, kind: record.kind, count: record.count });
            }
            true
        }
    }
}

/// Whether what came at these times, microseconds since the Unix epoch, may travel in one batch and be said to have come at once.
pub(in crate::world) const fn are_together(one: i64, other: i64) -> bool {
    one.abs_diff(other) <= TOGETHER_US
}

fn push(parts: &mut Vec<Part>, from: u64, to: u64, stream: Stream, (run, wall_us): (RunId, i64)) {
    if to <= from {
        return;
    }
    if let Some(Part::Bytes { to: end, stream: last, run: of, wall_us: since, .. }) = parts.last_mut()
        && *end == from
        && *last == stream
        && *of == run
        && are_together(*since, wall_us)
    {
        *end = to;
        return;
    }
    parts.push(Part::Bytes { from, to, stream, run, wall_us });
}
