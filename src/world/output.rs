//! Output of a service: read from its segments as they grow, cut into lines, numbered, watched for patterns, handed on.
//!
//! Promise: from a cursor that was handed on, every line behind it comes once more and none before it, with the numbers they had. Never reads what the shim
//! has not indexed while it may still do so, never holds much more than a mebibyte that nobody takes, never keeps a buffer for a quiet service.

pub(in crate::world) mod assembly;
mod cutter;
mod pipe;
mod watch;
mod words;

use std::{collections::VecDeque, path::Path, sync::Arc};

use tokio::sync::mpsc;

pub(super) use self::pipe::{Spout, open_pipe, wait_for};
pub use self::watch::Question;
use self::{
    assembly::{Assembly, Draft},
    words::LastWords,
};
use super::log_files::{self, Bases, Piece, Progress, Unindexed, Walk};
use crate::model::{
    ids::{RunId, ServiceId},
    intake::{Cursor, Position},
    log::LogBatch,
    service::ServiceSpec,
};

/// Most that is read at once.
const READ_BYTES: usize = 256 * 1024;

/// While so much waits to be handed on, no more is read.
const WAITING_BYTES: usize = 1024 * 1024;

/// So much before the end of a run is looked through for its last words where nobody has heard them.
const WORDS_BYTES: u64 = 16 * 1024;

/// What lies behind lines, for whoever remembers how far they were taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// They are output, and bring the cursor of their service here.
    Cursor(Cursor),
    /// They were added to a file that the service writes itself, which is its own memory.
    File,
    /// Such a file held them before it was followed: they are no news.
    Earlier,
}

/// What goes to the hub: lines, and how far they bring the cursor of their service.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The lines, for readers.
    pub batch: Arc<LogBatch>,
    /// Key of the project's place (see `Paths::place`).
    pub place: Arc<str>,
    /// What lies behind them.
    pub behind: Behind,
}

impl Taken {
    /// Where they bring the cursor of output; none of a file.
    #[must_use]
    pub const fn cursor(&self) -> Option<Cursor> {
        match self.behind {
            Behind::Cursor(cursor) => Some(cursor),
            Behind::File | Behind::Earlier => None,
        }
    }
}

/// Reads one slot, over all its runs.
#[derive(Debug)]
pub struct Capture {
    place: Arc<str>,
    service: ServiceId,
    walk: Walk,
    assembly: Assembly,
    bases: Bases,
    /// Batches that wait to be handed on.
    ready: VecDeque<Draft>,
    ready_bytes: usize,
    run: Option<RunId>,
    words: LastWords,
    /// Another run was followed here before: nothing that this one says was said to an earlier engine.
    heard_all: bool,
    watches: watch::Watches,
    answered: Vec<Question>,
    dropped: u64,
    /// A run has ended there: what is unfinished there is a line.
    ends_at: Option<Position>,
}

impl Capture {
    /// Reads the slot from `cursor` on; from the first segment that exists where that is [`Cursor::default`]. What a lost power supply took
    /// from the end of a segment is not waited for.
    #[must_use]
    pub fn open(slot: &Path, place: Arc<str>, service: ServiceId, cursor: Cursor) -> Self {
        let bases = Bases::read(slot);
        let mut cursor = cursor;
        if cursor == Cursor::default()
            && let Some(oldest) = log_files::list(slot).first()
        {
            cursor.next_seq = bases.of(oldest.number).unwrap_or(0);
        }
        for position in [&mut cursor.stdout, &mut cursor.stderr] {
            let file = log_files::open(&log_files::raw_file(slot, position.segment));
            let length = file.and_then(|file| file.metadata()).map_or(u64::MAX, |found| found.len());
            position.offset = position.offset.min(length);
        }
        let from = cursor.stdout.min(cursor.stderr);
        Self {
            place,
            service,
            walk: Walk::new(slot.to_owned(), from, Unindexed::Await(Position::default())),
            assembly: Assembly::new(cursor),
            bases,
            ready: VecDeque::new(),
            ready_bytes: 0,
            run: None,
            words: LastWords::default(),
            heard_all: false,
            watches: watch::Watches::default(),
            answered: Vec::new(),
            dropped: 0,
            ends_at: None,
        }
    }

    /// Takes a new run: its watches and last words begin anew.
    pub fn begin_run(&mut self, run: RunId, spec: &ServiceSpec) {
        self.heard_all = self.run.is_some_and(|before| before != run);
        self.run = Some(run);
        self.words = LastWords::default();
        self.watches = watch::Watches::of(spec);
        self.answered.clear();
    }

    /// Reads what is in the segments now, at most about 256 KiB; true where more may be there. While batches of a mebibyte
    /// wait to be handed on nothing is read.
    pub fn read(&mut self) -> bool {
        if self.ready_bytes >= WAITING_BYTES {
            return true;
        }
        let at = self.walk.at();
        let more = self.advance();
        self.end_run();
        if !more && self.walk.at() == at {
            // Quiet: without descriptors.
            self.walk.rest();
        }
        more
    }

    /// A run has ended and its output is there up to `end`: reads it all, an unfinished line too. What is more than a mebibyte that waits to
    /// be handed on comes with later calls of [`Self::read`], which says that more is there.
    pub fn drain(&mut self, end: Position) {
        self.ends_at = Some(end);
        if self.walk.at() >= end {
            // Mostly all of it was read before.
            self.walk.think(Unindexed::Await(end));
            self.finish();
            self.walk.rest();
            return;
        }
        // Nobody writes an older record than those that are there.
        self.walk.think(Unindexed::Await(end));
        while self.ends_at.is_some() && self.ready_bytes < WAITING_BYTES {
            let more = self.advance();
            self.end_run();
            if !more {
                break;
            }
        }
        if self.ends_at.is_some() && self.ready_bytes < WAITING_BYTES {
            // There is nothing more, whatever was said of the end.
            self.finish();
        }
        if self.ends_at.is_none() {
            self.walk.rest();
        }
    }

    /// True where the end of a run was said and not all before it has been read.
    #[must_use]
    pub const fn is_behind_end(&self) -> bool {
        self.ends_at.is_some()
    }

    /// Where a run has ended, what is unfinished becomes a line.
    fn end_run(&mut self) {
        if self.ends_at.is_some_and(|end| self.walk.at() >= end) {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.ends_at = None;
        let mut fresh = VecDeque::new();
        self.assembly.finish(&mut fresh);
        self.take(fresh);
    }

    /// One step; true where another may find more.
    fn advance(&mut self) -> bool {
        let mut fresh = VecDeque::new();
        let (assembly, dropped) = (&mut self.assembly, &mut self.dropped);
        let progress = self.walk.step(READ_BYTES, |piece| {
            if let Piece::Mark { dropped: bytes, .. } = &piece {
                *dropped = dropped.saturating_add(*bytes);
            }
            assembly.take(piece, &mut fresh);
        });
        self.assembly.close(&mut fresh);
        match progress {
            Progress::Entered(segment) if self.assembly.counts_at(Position { segment, offset: 0 }) => {
                self.bases.note(self.walk.slot(), segment, self.assembly.next_seq());
            }
            Progress::Anew => {
                self.assembly.begin_anew();
                self.bases.note(self.walk.slot(), self.walk.at().segment, self.assembly.next_seq());
            }
            Progress::Entered(_) | Progress::Read | Progress::End => {}
        }
        self.dropped = self.dropped.saturating_add(self.walk.take_lost());
        self.take(fresh);
        progress != Progress::End
    }

    fn take(&mut self, fresh: VecDeque<Draft>) {
        for draft in fresh {
            if self.run == Some(draft.run) {
                self.words.hear(&draft);
                self.answered.append(&mut self.watches.look(&draft));
            }
            self.ready_bytes += draft.weight();
            self.ready.push_back(draft);
        }
    }

    /// How far it has read.
    #[must_use]
    pub const fn end(&self) -> Position {
        self.walk.at()
    }

    /// True while a batch waits to be taken.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Hands the oldest waiting batch on.
    pub fn hand_on(&mut self, place: mpsc::Permit<'_, Taken>) {
        if let Some(draft) = self.ready.pop_front() {
            self.ready_bytes -= draft.weight();
            let cursor = draft.cursor;
            let batch = Arc::new(draft.into_batch(self.service.clone()));
            place.send(Taken { batch, place: Arc::clone(&self.place), behind: Behind::Cursor(cursor) });
        }
    }

    /// Hands on what there is room for now.
    pub fn hand_on_now(&mut self, output: &mpsc::Sender<Taken>) {
        while self.has_pending() {
            match output.try_reserve() {
                Ok(place) => self.hand_on(place),
                Err(mpsc::error::TrySendError::Full(())) => return,
                Err(mpsc::error::TrySendError::Closed(())) => self.drop_pending(),
            }
        }
    }

    /// Nobody takes output any more.
    pub fn drop_pending(&mut self) {
        self.ready.clear();
        self.ready_bytes = 0;
    }

    /// Watches for a pattern; true where it has appeared already.
    ///
    /// # Errors
    /// A sentence where the pattern cannot be compiled.
    pub fn watch(&mut self, question: Question, pattern: &str) -> Result<bool, String> {
        self.watches.ask(question, pattern)
    }

    /// True where the pattern has appeared.
    ///
    /// # Errors
    /// As [`Self::watch`].
    pub fn has_matched(&mut self, pattern: &str) -> Result<bool, String> {
        self.watches.has_matched(pattern)
    }

    /// Questions answered since it was last asked.
    pub fn take_answered(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.answered)
    }

    /// The last lines of the run, oldest first, fit for a screen. Where an earlier engine heard them they are looked up.
    #[must_use]
    pub fn last_words(&self) -> Vec<String> {
        let spoken = self.words.spoken();
        let unheard = (spoken.is_empty() && !self.heard_all) || self.ends_at.is_some();
        let Some(run) = self.run.filter(|_| unheard) else { return spoken };
        let end = self.ends_at.unwrap_or_else(|| self.walk.at());
        let mut words = LastWords::default();
        log_files::drafts_before(self.walk.slot(), end, WORDS_BYTES)
            .iter()
            .filter(|draft| draft.run == run)
            .for_each(|draft| words.hear(draft));
        words.spoken()
    }

    /// Bytes, about, that were lost since it was last asked: to a full disk, or removed before they were read.
    pub const fn take_dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.dropped, 0)
    }
}
