//! Reads segments: forwards in a stream, merged by time across services; backwards just far enough for a tail.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::{LogFilter, StoredLine, line, segments};
use crate::model::ids::ServiceId;

/// Bytes first looked at for a tail, from the end; four times as many with each further try.
const TAIL_BYTES: u64 = 64 * 1024;

/// A place in a service's output: all before it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// Lines on disk that satisfy `filter`, oldest first across services; lines of one service keep their order even where the clock
/// was set back. Reads as it goes: what is written meanwhile may or may not be seen.
#[must_use]
pub fn read_lines(dir: &Path, filter: &LogFilter) -> StoredLines {
    let services = if filter.services.is_empty() { segments::services(dir, None) } else { filter.services.clone() };
    StoredLines::new(services.iter().map(|service| Source::open(dir, service, filter, None)).collect())
}

/// An iterator over lines on disk.
#[derive(Debug)]
pub struct StoredLines {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<Next>>,
    skipped: u64,
}

/// The next line of a source, ordered by time, then by source.
#[derive(Debug, PartialEq, Eq)]
struct Next {
    at: i64,
    source: usize,
    line: StoredLine,
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.source).cmp(&(other.at, other.source))
    }
}

impl StoredLines {
    pub(super) fn new(sources: Vec<Source>) -> Self {
        let mut lines = Self { heads: BinaryHeap::with_capacity(sources.len()), sources, skipped: 0 };
        for source in 0..lines.sources.len() {
            lines.refill(source, i64::MIN);
        }
        lines
    }

    /// Pieces so far that were no lines (cut off, overwritten, not written by cas).
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn refill(&mut self, source: usize, not_before: i64) {
        if let Some(from) = self.sources.get_mut(source) {
            let next = from.next();
            self.skipped += std::mem::take(&mut from.skipped);
            if let Some(line) = next {
                self.heads.push(Reverse(Next { at: line.wall_us.max(not_before), source, line }));
            }
        }
    }
}

impl Iterator for StoredLines {
    type Item = StoredLine;

    fn next(&mut self) -> Option<StoredLine> {
        let Reverse(next) = self.heads.pop()?;
        self.refill(next.source, next.at);
        Some(next.line)
    }
}

/// One service's output from a place on.
#[derive(Debug)]
pub(super) struct Source {
    service: ServiceId,
    directory: PathBuf,
    filter: LogFilter,
    ahead: VecDeque<u64>,
    open: Option<(u64, BufReader<io::Take<File>>)>,
    /// Nothing from here on is read.
    end: Option<Place>,
    /// Lines to pass over: the window of a tail was a little too large.
    surplus: usize,
    /// Where to begin in the first segment.
    first_offset: u64,
    buffer: Vec<u8>,
    skipped: u64,
}

impl Source {
    pub(super) fn open(dir: &Path, service: &ServiceId, filter: &LogFilter, end: Option<Place>) -> Self {
        let directory = segments::directory(dir, service);
        let mut numbers = segments::list(&directory);
        if let Some(end) = end {
            numbers.retain(|number| *number <= end.segment);
        }
        if let Some(since) = filter.since_wall_us {
            // What was last written to before then has no later line.
            let first = numbers.iter().position(|number| !is_older(&segments::file(&directory, *number), since));
            numbers.drain(..first.unwrap_or(numbers.len()));
        }
        let mut source = Self {
            service: service.clone(),
            directory,
            filter: filter.clone(),
            ahead: numbers.into(),
            open: None,
            end,
            surplus: 0,
            first_offset: 0,
            buffer: Vec::new(),
            skipped: 0,
        };
        if let Some(tail) = filter.tail {
            source.seek_tail(tail);
        }
        source
    }

    fn next(&mut self) -> Option<StoredLine> {
        loop {
            if self.open.is_none() && !self.open_next() {
                return None;
            }
            let Some((_, reader)) = &mut self.open else { return None };
            match read_line(reader, &mut self.buffer) {
                Ok(Piece::End) | Err(_) => self.open = None,
                Ok(Piece::TooLong) => self.skipped += 1,
                Ok(Piece::Line) => match line::parse(&self.service, &self.buffer) {
                    None => self.skipped += u64::from(self.buffer.iter().any(|byte| *byte != 0)),
                    Some(line) if !self.filter.takes(line.wall_us) => {}
                    Some(_) if self.surplus > 0 => self.surplus -= 1,
                    Some(line) => return Some(line),
                },
            }
        }
    }

    /// Opens the next segment that is still there. False where there is none.
    fn open_next(&mut self) -> bool {
        while let Some(number) = self.ahead.pop_front() {
            let from = std::mem::take(&mut self.first_offset);
            let to = self.end_of(number);
            let Ok(mut file) = File::open(segments::file(&self.directory, number)) else { continue };
            if from > 0 && file.seek(SeekFrom::Start(from)).is_err() {
                continue;
            }
            self.open = Some((number, BufReader::with_capacity(64 * 1024, file.take(to.saturating_sub(from)))));
            return true;
        }
        false
    }

    fn end_of(&self, number: u64) -> u64 {
        match self.end {
            Some(end) if end.segment == number => end.offset,
            Some(_) | None => u64::MAX,
        }
    }

    /// Moves the beginning so that the newest `tail` lines remain.
    fn seek_tail(&mut self, tail: usize) {
        let mut missing = tail;
        let mut needed = VecDeque::new();
        while missing > 0
            && let Some(number) = self.ahead.pop_back()
        {
            needed.push_front(number);
            // A segment that is gone, or cannot be read, has nothing to offer.
            let Ok((found, offset)) = self.count_from_end(number, missing) else { continue };
            self.first_offset = offset;
            self.surplus = found.saturating_sub(missing);
            missing = missing.saturating_sub(found);
        }
        self.ahead = needed;
    }

    /// Counts lines that are asked for from the end of a segment, in a window that grows until it holds `wanted` or all. Returns how
    /// many there are from which offset on.
    fn count_from_end(&self, number: u64, wanted: usize) -> io::Result<(usize, u64)> {
        let file = File::open(segments::file(&self.directory, number))?;
        let length = file.metadata()?.len().min(self.end_of(number));
        let mut window = TAIL_BYTES;
        loop {
            let start = length.saturating_sub(window);
            let mut bytes = vec![0; usize::try_from(length - start).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, start)?;
            // The window may begin in the middle of a line.
            let skip = if start == 0 { 0 } else { memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |end| end + 1) };
            let found = bytes[skip..]
                .split(|byte| *byte == b'\n')
                .map(|piece| &piece[piece.iter().take_while(|byte| **byte == 0).count()..])
                .filter(|piece| piece.len() <= line::LONGEST)
                .filter(|piece| line::head(piece).is_some_and(|head| self.filter.takes(head.wall_us)))
                .count();
            if found >= wanted || start == 0 {
                return Ok((found, start + skip as u64));
            }
            window = window.saturating_mul(4);
        }
    }
}

/// Last written to before `wall_us`.
fn is_older(path: &Path, wall_us: i64) -> bool {
    let modified = std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let modified = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|at| at.as_micros());
    modified.is_some_and(|at| i64::try_from(at).is_ok_and(|at| at < wall_us))
}

/// What [`read_line`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line, in the buffer, without its line feed (the last of a file may have had none).
    Line,
    /// More than any line of ours, passed over up to its line feed.
    TooLong,
    /// There is no more.
    End,
}

/// Reads up to the next line feed, keeping at most [`line::LONGEST`] bytes. NULs at the beginning are not kept.
pub(super) fn read_line(reader: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Piece> {
    buffer.clear();
    let mut length = 0_usize;
    let mut any = false;
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Ok(match (any, length > line::LONGEST) {
                (false, _) => Piece::End,
                (true, false) => Piece::Line,
                (true, true) => Piece::TooLong,
            });
        }
        any = true;
        let end = memchr::memchr(b'\n', available);
        let piece = &available[..end.unwrap_or(available.len())];
        let piece = if length == 0 { &piece[piece.iter().take_while(|byte| **byte == 0).count()..] } else { piece };
        length += piece.len();
        if length <= line::LONGEST {
            buffer.extend_from_slice(piece);
        }
        let used = end.map_or(available.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(if length > line::LONGEST { Piece::TooLong } else { Piece::Line });
        }
    }
}
