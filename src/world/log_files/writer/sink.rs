//! One service's segments, while they are being written.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
};

use crate::{
    model::{
        ids::RunId,
        log::{LogBatch, Stream},
        time::Timestamp,
    },
    world::{
        log_files::{Retention, line, segments},
        store::private,
    },
};

/// The segment being written.
struct Segment {
    file: File,
    number: u64,
    bytes: u64,
    /// It ends in the middle of a line: the next write begins with a line feed.
    torn: bool,
}

/// One service's output on its way to disk. Only whole lines are in `buffer`.
pub(super) struct Sink {
    directory: PathBuf,
    retention: Retention,
    segment: Option<Segment>,
    buffer: Vec<u8>,
    used_at_us: u64,
    /// Number after that of the newest line that was taken.
    next_seq: u64,
    failing: bool,
}

impl Sink {
    pub(super) const fn new(directory: PathBuf, retention: Retention) -> Self {
        Self { directory, retention, segment: None, buffer: Vec::new(), used_at_us: 0, next_seq: 0, failing: false }
    }

    pub(super) const fn buffered(&self) -> usize {
        self.buffer.len()
    }

    pub(super) const fn is_open(&self) -> bool {
        self.segment.is_some()
    }

    /// The last write failed.
    pub(super) const fn is_failing(&self) -> bool {
        self.failing
    }

    pub(super) const fn used_at_us(&self) -> u64 {
        self.used_at_us
    }

    pub(super) fn close(&mut self) {
        self.segment = None;
    }

    /// Puts the lines of a batch into the buffer.
    pub(super) fn take(&mut self, batch: &LogBatch) {
        for (seq, log_line) in (batch.first_seq..).zip(&batch.lines) {
            let text = batch.text_of(*log_line).as_bytes();
            let (stream, continued) = (log_line.stream, log_line.continued);
            let head = line::Head { wall_us: batch.wall_us, seq, stream, continued, run: batch.run, text };
            line::write_prefix(&mut self.buffer, &head);
            self.next_seq = seq + 1;
            if memchr::memchr(b'\n', text).is_some() {
                // A line has none; if one ever has, it must not become two.
                self.buffer.extend(text.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
            } else {
                self.buffer.extend_from_slice(text);
            }
            self.buffer.push(b'\n');
        }
    }

    /// Puts a line into the buffer that says that `lines` are missing here.
    pub(super) fn mark(&mut self, now: Timestamp, run: RunId, lines: u64) {
        let (stream, continued) = (Stream::Stderr, false);
        let head = line::Head { wall_us: now.wall_us, seq: self.next_seq, stream, continued, run, text: b"" };
        line::write_prefix(&mut self.buffer, &head);
        // Writing to memory does not fail.
        let _written = writeln!(self.buffer, "[cas: {lines} lines are missing here, they could not be written]");
    }

    /// Writes the buffer, with as many segments as it takes. What was written before an error is out of the buffer.
    pub(super) fn flush(&mut self, now: Timestamp) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.used_at_us = now.mono_us;
        let mut written = 0;
        let outcome = loop {
            if written == self.buffer.len() {
                break Ok(());
            }
            match self.write_some(written) {
                Ok(bytes) => written += bytes,
                Err(error) => break Err(error),
            }
        };
        self.buffer.drain(..written);
        if self.buffer.capacity() > 4 * super::BUFFER_BYTES && self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        self.failing = outcome.is_err();
        outcome
    }

    /// Writes whole lines from `from` on, as many as fit into one segment, but one at least. Returns their bytes.
    fn write_some(&mut self, from: usize) -> io::Result<usize> {
        let mut segment = match self.segment.take() {
            Some(segment) if segment.file.metadata()?.nlink() > 0 => segment,
            // Somebody deleted it, or it was never opened.
            Some(_) | None => self.open_newest()?,
        };
        let rest = &self.buffer[from..];
        let room = usize::try_from(self.retention.segment_bytes.saturating_sub(segment.bytes)).unwrap_or(usize::MAX);
        let mut fitting = whole_lines(rest, room);
        if fitting == 0 && segment.bytes > 0 {
            drop(segment);
            segment = self.open_next()?;
            let room = usize::try_from(self.retention.segment_bytes).unwrap_or(usize::MAX);
            fitting = whole_lines(rest, room);
        }
        if fitting == 0 {
            fitting = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        }
        segment.append(&rest[..fitting])?;
        self.segment = Some(segment);
        Ok(fitting)
    }

    /// Opens the newest segment to go on with it, or the first.
    fn open_newest(&self) -> io::Result<Segment> {
        private::create_dir(&self.directory)?;
        let number = segments::list(&self.directory).last().copied().unwrap_or(1);
        self.open(number)
    }

    /// Begins the segment after the newest and deletes the oldest where there are too many.
    fn open_next(&self) -> io::Result<Segment> {
        private::create_dir(&self.directory)?;
        let mut numbers = segments::list(&self.directory);
        let number = numbers.last().map_or(1, |newest| newest + 1);
        let segment = self.open(number)?;
        numbers.push(number);
        segments::prune(&self.directory, &numbers, self.retention.segments);
        Ok(segment)
    }

    fn open(&self, number: u64) -> io::Result<Segment> {
        let path = segments::file(&self.directory, number);
        let file = private::options().read(true).append(true).create(true).open(path)?;
        let bytes = file.metadata()?.len();
        let mut last = [b'\n'];
        if bytes > 0 {
            file.read_exact_at(&mut last, bytes - 1)?;
        }
        Ok(Segment { file, number, bytes, torn: last != [b'\n'] })
    }
}

impl Segment {
    /// Appends whole lines, all or (as far as it can be undone) nothing.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.write_all(b"\n")?;
            self.torn = false;
        }
        self.write_all(lines)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let before = self.bytes;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return self.undo(before, io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = &rest[count..];
                    self.bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.undo(before, error),
            }
        }
        Ok(())
    }

    /// Takes back half a write, so that nothing is there twice when it is tried again. The caller opens the file anew, and sees then
    /// whether it ends in the middle of a line.
    fn undo(&self, before: u64, error: io::Error) -> io::Result<()> {
        let ours = self.file.metadata().is_ok_and(|found| found.len() == self.bytes);
        if ours && self.bytes > before {
            // If this fails too, readers see half a line and then the whole one.
            let _undone = self.file.set_len(before);
        }
        tracing::debug!(segment = self.number, %error, "a log segment could not be written");
        Err(error)
    }
}

/// Bytes of the whole lines at the beginning of `bytes` that fit into `room`.
fn whole_lines(bytes: &[u8], room: usize) -> usize {
    if bytes.len() <= room {
        return bytes.len();
    }
    memchr::memrchr(b'\n', &bytes[..room]).map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::whole_lines;

    #[test]
    fn only_whole_lines_are_cut_off() {
        assert_eq!(whole_lines(b"ab\ncd\n", 6), 6);
        assert_eq!(whole_lines(b"ab\ncd\n", 5), 3);
        assert_eq!(whole_lines(b"ab\ncd\n", 3), 3);
        assert_eq!(whole_lines(b"ab\ncd\n", 2), 0);
        assert_eq!(whole_lines(b"ab\ncd\n", 0), 0);
    }
}
