//! What a [`Walk`](crate::world::log_files) finds, put together to numbered lines, and how far each of them brings the cursor.
//!
//! Promise: whoever begins at a cursor that was handed out gets exactly the lines behind it, with the same numbers. Never numbers by
//! anything but the bytes and their index.

use std::collections::VecDeque;

use super::cutter::{Cutter, Gathering};
use crate::{
    model::{
        ids::{RunId, ServiceId},
        intake::{Cursor, Position},
        log::{LogBatch, LogLine, Source, Stream},
    },
    world::log_files::{Piece, are_together},
};

/// A batch is closed when it weighs so many bytes, lines counted as well as text: it bounds what queues of batches weigh.
const BATCH_BYTES: usize = 32 * 1024;
/// So much is cut into lines between two looks at that weight: it may be nothing but line feeds.
const CHUNK_BYTES: usize = 2048;

/// Lines, and where their readers stand behind them.
#[derive(Debug)]
pub(in crate::world) struct Draft {
    /// In which run.
    pub(in crate::world) run: RunId,
    /// When the first of them was written.
    pub(in crate::world) wall_us: i64,
    /// Number of the first.
    pub(in crate::world) first_seq: u64,
    /// The text of all.
    pub(in crate::world) text: String,
    /// The lines.
    pub(in crate::world) lines: Vec<LogLine>,
    /// Behind them.
    pub(in crate::world) cursor: Cursor,
}

impl Draft {
    /// The text of one of its lines.
    pub(in crate::world) fn text_of(&self, line: LogLine) -> &str {
        self.text.get(line.start as usize..(line.start + line.len) as usize).unwrap_or("")
    }

    /// Bytes that it keeps in memory, about.
    pub(in crate::world) fn weight(&self) -> usize {
        self.text.len() + self.lines.len() * size_of::<LogLine>()
    }

    /// As it travels.
    pub(in crate::world) fn into_batch(self, service: ServiceId) -> LogBatch {
        LogBatch {
            service,
            source: Source::Output,
            run: self.run,
            wall_us: self.wall_us,
            first_seq: self.first_seq,
            text: self.text.into_boxed_str(),
            lines: self.lines.into_boxed_slice(),
        }
    }
}

/// Lines that are being put together.
#[derive(Debug)]
struct Open {
    run: RunId,
    wall_us: i64,
    gathering: Gathering,
}

/// Puts lines together, over batches and segments, each stream for itself.
#[derive(Debug)]
pub(in crate::world) struct Assembly {
    stdout: Cutter,
    stderr: Cutter,
    /// What was taken before.
    from: Cursor,
    reached: Position,
    next_seq: u64,
    run: Option<RunId>,
    last_us: i64,
    /// Sentences that stand before the next line, and before which byte.
    notes: Vec<(Position, String)>,
    open: Option<Open>,
    /// Begun in the middle: of these streams the bytes up to the first line feed belong to a line that began before.
    fragments: [bool; 2],
}

impl Assembly {
    /// Goes on behind what was taken.
    pub(in crate::world) const fn new(from: Cursor) -> Self {
        Self {
            stdout: Cutter::new(Stream::Stdout),
            stderr: Cutter::new(Stream::Stderr),
            reached: Position { segment: 0, offset: 0 },
            next_seq: from.next_seq,
            from,
            run: None,
            last_us: 0,
            notes: Vec::new(),
            open: None,
            fragments: [false; 2],
        }
    }

    /// Begins somewhere in the middle: halves of lines are passed over.
    pub(in crate::world) const fn in_the_middle() -> Self {
        let start = Position { segment: 0, offset: 0 };
        let mut assembly = Self::new(Cursor { stdout: start, stderr: start, next_seq: 0 });
        assembly.fragments = [true; 2];
        assembly
    }

    /// The run whose output came last.
    pub(in crate::world) const fn run(&self) -> Option<RunId> {
        self.run
    }

    /// Number of the next line. Right after [`Self::close`].
    pub(in crate::world) const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The next line has this number.
    pub(in crate::world) const fn count_from(&mut self, seq: u64) {
        self.next_seq = seq;
    }

    /// Whether all before `at` was numbered here or before: then [`Self::next_seq`] is the number of the first line that ends behind it.
    pub(in crate::world) fn counts_at(&self, at: Position) -> bool {
        at >= self.from.stdout && at >= self.from.stderr
    }

    /// The segments were begun anew: positions mean something else now, unfinished lines are gone.
    pub(in crate::world) fn begin_anew(&mut self) {
        let start = Position::default();
        self.from = Cursor { stdout: start, stderr: start, next_seq: self.next_seq };
        self.reached = start;
        self.stdout.forget();
        self.stderr.forget();
        self.notes.clear();
    }

    /// Takes what was found, and hands on batches that are full.
    pub(in crate::world) fn take(&mut self, piece: Piece<'_>, ready: &mut VecDeque<Draft>) {
        match piece {
            Piece::Bytes { at, stream, run, wall_us, bytes } => {
                self.take_bytes(at, stream, (run, wall_us), bytes, ready);
            }
            Piece::Mark { at, text, .. } => {
                // It is taken with the next line, which is the only thing that a cursor can stand behind.
                if self.from.stdout.max(self.from.stderr) <= at {
                    self.notes.push((at, text));
                }
            }
        }
    }

    fn take_bytes(
        &mut self,
        at: Position,
        stream: Stream,
        (run, wall_us): (RunId, i64),
        bytes: &[u8],
        ready: &mut VecDeque<Draft>,
    ) {
        let end = Position { segment: at.segment, offset: at.offset + bytes.len() as u64 };
        let taken = match stream {
            Stream::Stdout => self.from.stdout,
            Stream::Stderr => self.from.stderr,
        };
        if end <= taken {
            self.reached = end;
            // What the other stream left unfinished ends no earlier.
            self.last_us = wall_us;
            return;
        }
        let mut from = if at >= taken { 0 } else { (taken.offset - at.offset) as usize };
        if self.fragments[stream as usize] {
            let Some(feed) = memchr::memchr(b'\n', &bytes[from..]) else {
                self.reached = end;
                return;
            };
            from += feed + 1;
            self.fragments[stream as usize] = false;
            // The half line was one that counts: those before it cannot be numbered from behind.
            self.open = None;
            ready.clear();
        }
        if self.run.is_some_and(|before| before != run) {
            self.finish(ready);
        }
        self.run = Some(run);
        self.last_us = wall_us;
        while from < bytes.len() {
            if self.open.as_ref().is_some_and(|open| open.run != run || !are_together(open.wall_us, wall_us)) {
                self.close(ready);
            }
            let open = self.open.get_or_insert_with(|| Open { run, wall_us, gathering: Gathering::default() });
            let room = BATCH_BYTES.saturating_sub(open.gathering.weight()).clamp(1, CHUNK_BYTES);
            let chunk = &bytes[from..from + chunk_of(&bytes[from..], room)];
            let cutter = match stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            if !self.notes.is_empty() && cutter.would_complete(chunk) {
                self.notes.drain(..).for_each(|note| note_down(&note, open));
            }
            open.gathering.bytes.reserve(chunk.len());
            cutter.feed(Position { segment: at.segment, offset: at.offset + from as u64 }, chunk, &mut open.gathering);
            from += chunk.len();
            self.reached = Position { segment: at.segment, offset: at.offset + from as u64 };
            if open.gathering.weight() >= BATCH_BYTES {
                self.close(ready);
            }
        }
        self.reached = end;
    }

    /// Whoever could go on with unfinished lines is gone: they are lines.
    pub(in crate::world) fn finish(&mut self, ready: &mut VecDeque<Draft>) {
        let (run, wall_us) = (self.run.unwrap_or(RunId(0)), self.last_us);
        if self.stdout.unfinished().is_some() || self.stderr.unfinished().is_some() {
            let open = self.open.get_or_insert_with(|| Open { run, wall_us, gathering: Gathering::default() });
            // Only what the cursor will be behind.
            let reached = self.reached;
            self.notes.extract_if(.., |(at, _)| *at < reached).for_each(|note| note_down(&note, open));
            self.stdout.finish(&mut open.gathering);
            self.stderr.finish(&mut open.gathering);
        }
        self.close(ready);
    }

    /// Whether a line of standard output has begun and not ended.
    pub(in crate::world) const fn has_unfinished(&self) -> bool {
        self.stdout.unfinished().is_some()
    }

    /// Nobody has gone on with a line of standard output for a while: what is there is handed on as a piece of it.
    pub(in crate::world) fn give(&mut self, ready: &mut VecDeque<Draft>) {
        let (run, wall_us) = (self.run.unwrap_or(RunId(0)), self.last_us);
        if self.has_unfinished() {
            let open = self.open.get_or_insert_with(|| Open { run, wall_us, gathering: Gathering::default() });
            self.stdout.give(&mut open.gathering);
        }
        self.close(ready);
    }

    /// What stands at the end and before no line becomes lines, too: for whoever reads only once.
    pub(in crate::world) fn finish_notes(&mut self, ready: &mut VecDeque<Draft>) {
        let (run, wall_us) = (self.run.unwrap_or(RunId(0)), self.last_us);
        for note in std::mem::take(&mut self.notes) {
            let open = self.open.get_or_insert_with(|| Open { run, wall_us, gathering: Gathering::default() });
            note_down(&note, open);
        }
        self.close(ready);
    }

    /// Hands on the batch that is open.
    pub(in crate::world) fn close(&mut self, ready: &mut VecDeque<Draft>) {
        let Some(Open { run, wall_us, gathering }) = self.open.take() else { return };
        if gathering.lines.is_empty() {
            return;
        }
        let (text, lines) = gathering.into_text();
        let first_seq = self.next_seq;
        self.next_seq += lines.len() as u64;
        ready.push_back(Draft { run, wall_us, first_seq, text, lines, cursor: self.cursor() });
    }

    /// Behind the lines that were handed on, if no batch is open: right after [`Self::close`].
    pub(in crate::world) fn cursor(&self) -> Cursor {
        // Behind a sentence that waits for a line none has ended.
        let waits_at = self.notes.first().map(|(at, _)| *at);
        let behind = |cutter: &Cutter, taken: Position| {
            let behind = cutter.unfinished().unwrap_or(self.reached.max(taken));
            waits_at.map_or(behind, |at| behind.min(at))
        };
        Cursor {
            stdout: behind(&self.stdout, self.from.stdout),
            stderr: behind(&self.stderr, self.from.stderr),
            next_seq: self.next_seq,
        }
    }

    /// Of which streams a line has begun and not ended.
    pub(in crate::world) const fn unfinished(&self) -> [bool; 2] {
        [self.stdout.unfinished().is_some(), self.stderr.unfinished().is_some()]
    }

    /// Lines that [`Self::finish`] would hand on.
    pub(in crate::world) fn would_finish(&self) -> usize {
        let lines = self.unfinished().into_iter().filter(|is_unfinished| *is_unfinished).count();
        let notes = || self.notes.iter().filter(|(at, _)| *at < self.reached).count();
        if lines > 0 { lines + notes() } else { 0 }
    }

    /// A sentence waits for the next line.
    pub(in crate::world) const fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }
}

fn note_down((_, text): &(Position, String), open: &mut Open) {
    open.gathering.one(Stream::Stderr, text.as_bytes(), false);
}

/// How much of `bytes` is taken at once: whole lines that fit into `room`, else one, else all.
fn chunk_of(bytes: &[u8], room: usize) -> usize {
    if bytes.len() <= room {
        return bytes.len();
    }
    memchr::memrchr(b'\n', &bytes[..room])
        .or_else(|| memchr::memchr(b'\n', &bytes[room..]).map(|feed| room + feed))
        .map_or(bytes.len(), |feed| feed + 1)
}
