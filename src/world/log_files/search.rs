//! Looks through stored output: newest first or oldest first, over many services at once, a part of it at a time.
//!
//! A place is planned into parts: the frames of an archive, or a whole segment where nothing is known of its lines (`plan`). Threads look through
//! them (`look`), and what they find is merged by time (`lanes`). A part that lies outside the time or the numbers that are asked for is not
//! opened, and one that lacks what the pattern needs is not unpacked.
//!
//! Promise: the lines that are given are those next to the bounds, over all services; whoever goes on at [`Found::reached`] gets every line once
//! and in order, however little patience each call has. What segments that were deleted meanwhile had is passed over; a damaged part of an archive
//! is a line that says so. Lines of one service keep their order where its clock was set, and those of several are merged by the time of the next
//! of each. Never: holds more than a few parts a thread, or more than 16 MiB of what it found in each.

mod clean;
mod lanes;
mod look;
mod plan;
mod prefilter;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(super) use self::clean::{clean, is_plain};
pub use self::prefilter::Prefilter;
use self::{
    lanes::{Lanes, Task},
    look::{Hit, Looker},
    plan::Lane,
};
use crate::{
    model::{
        ids::{RunId, ServiceId},
        log::{LogBatch, LogLine, Source, Stream},
    },
    world::clock,
};

/// Most text that is kept of one part, bytes; and of all, before no more is looked at.
const HELD_BYTES: usize = 16 << 20;

/// A batch of what was found is closed when it has so much text, bytes.
const BATCH_BYTES: usize = 32 * 1024;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose output; each service once.
    pub service: ServiceId,
    /// The directory of its slot.
    pub slot: PathBuf,
    /// Backward only lines with a smaller number, forward only with this or a larger one; none: from the end, or the beginning.
    pub bound: Option<u64>,
}

/// Which lines come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The newest.
    Backward,
    /// The oldest.
    Forward,
}

/// A line that may be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Whose.
    pub service: &'a ServiceId,
    /// In which run.
    pub run: RunId,
    /// When the service wrote it, microseconds since the Unix epoch.
    pub wall_us: i64,
    /// Its number, as in [`LogBatch::first_seq`].
    pub seq: u64,
    /// Where it came from.
    pub stream: Stream,
    /// The text: invalid UTF-8 replaced, escape sequences still in it.
    pub text: &'a str,
}

/// What is looked for, and where.
pub struct Search<'a> {
    /// In these.
    pub places: Vec<Place>,
    /// What comes first.
    pub direction: Direction,
    /// Written at or after this, microseconds since the Unix epoch.
    pub since_us: Option<i64>,
    /// Written before this.
    pub until_us: Option<i64>,
    /// Every line that `accept` takes matches it, as [`crate::model::text::plain`] has it, and as its redactor shows it where it has one.
    pub prefilter: Option<Prefilter>,
    /// Whether a line is one. Called from several threads, for some lines more than once.
    pub accept: &'a (dyn Fn(&Line<'_>) -> bool + Sync),
    /// So many are enough.
    pub lines: usize,
    /// So many lines that stand before and after each are given with it, as far as they are in the same part.
    pub near: usize,
    /// After so long it answers with what it has, but for the first step.
    pub patience: Duration,
    /// So many look at once, at most.
    pub threads: usize,
}

impl std::fmt::Debug for Search<'_> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Search")
            .field("places", &self.places)
            .field("direction", &self.direction)
            .field("since_us", &self.since_us)
            .field("until_us", &self.until_us)
            .field("prefilter", &self.prefilter)
            .field("lines", &self.lines)
            .field("near", &self.near)
            .field("patience", &self.patience)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The lines, in the order of time over services, those of one service in their order; lines of one batch were written at once. Those next to the
    /// bounds, at most as many as were asked for: fewer where they are long, or patience was short. Those near them are among them.
    pub batches: Vec<LogBatch>,
    /// For each service the [`Place::bound`] to go on with.
    pub reached: BTreeMap<ServiceId, u64>,
    /// Nothing more is to be looked at in this direction.
    pub is_complete: bool,
    /// Bytes of output that were looked through.
    pub looked_bytes: u64,
    /// Bytes, about, that are still to be looked through.
    pub left_bytes: u64,
}

/// Looks. Reads files, so it is for a thread that may wait.
#[must_use]
pub fn search(search: &Search<'_>) -> Found {
    let begun = clock::now();
    let planned = plan_all(search);
    let lanes = Mutex::new(Lanes::new(search, &planned));
    let is_late = || clock::now().since(begun) >= search.patience;
    // Asked for each batch of lines: the places are not locked for it.
    let (is_over, has_moved) = (AtomicBool::new(false), AtomicBool::new(false));
    let may_stop = || is_over.load(Ordering::Relaxed) || (has_moved.load(Ordering::Relaxed) && is_late());
    let work = || {
        let mut looker = Looker::new(search);
        loop {
            let Some(Task { lane, section }) = lock(&lanes).next_task(is_late()) else { return };
            let mut report = |part, hits| {
                let mut lanes = lock(&lanes);
                let goes_on = lanes.looked(lane, part, hits, is_late());
                is_over.store(lanes.may_stop(false), Ordering::Relaxed);
                has_moved.store(lanes.may_stop(true), Ordering::Relaxed);
                goes_on
            };
            looker.look(&planned[lane], section, &mut report, &may_stop);
        }
    };
    std::thread::scope(|scope| {
        let sections: usize = planned.iter().map(|lane| lane.sections.len()).sum();
        let others = search.threads.clamp(1, sections.max(1)) - 1;
        for _ in 0..others {
            // Where no thread can be made there is this one.
            let _none = std::thread::Builder::new().name("search".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    lanes.into_inner().unwrap_or_else(PoisonError::into_inner).found()
}

fn lock<'l, 'a>(lanes: &'l Mutex<Lanes<'a>>) -> MutexGuard<'l, Lanes<'a>> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plans all places, with as many threads.
fn plan_all(search: &Search<'_>) -> Vec<Lane> {
    let each = search.places.len().div_ceil(search.threads.max(1)).max(8);
    std::thread::scope(|scope| {
        let mut chunks = search.places.chunks(each);
        let mine = chunks.next().unwrap_or_default();
        let plan = |places: &[Place]| places.iter().map(|place| Lane::plan(search, place)).collect::<Vec<_>>();
        let others: Vec<_> = chunks.map(|places| (places, scope.spawn(move || plan(places)))).collect();
        let mut lanes = plan(mine);
        for (places, other) in others {
            // An error means that it has panicked: then it is tried here.
            lanes.extend(other.join().unwrap_or_else(|_| plan(places)));
        }
        lanes
    })
}

/// Lines as they travel, in this order.
fn batches<'a>(lines: impl Iterator<Item = (&'a ServiceId, Hit)>) -> Vec<LogBatch> {
    let mut batches: Vec<LogBatch> = Vec::new();
    let (mut text, mut ends) = (String::new(), Vec::new());
    let mut open: Option<(&ServiceId, Hit)> = None;
    let close = |open: &(&ServiceId, Hit), text: &mut String, ends: &mut Vec<LogLine>| LogBatch {
        service: open.0.clone(),
        source: Source::Output,
        run: open.1.run,
        wall_us: open.1.wall_us,
        first_seq: open.1.seq,
        text: std::mem::take(text).into_boxed_str(),
        lines: std::mem::take(ends).into_boxed_slice(),
    };
    for (service, mut hit) in lines {
        let goes_on = open.as_ref().is_some_and(|(of, first)| {
            *of == service
                && (first.run, first.wall_us, first.seq + ends.len() as u64) == (hit.run, hit.wall_us, hit.seq)
                && text.len() < BATCH_BYTES
        });
        if !goes_on && let Some(open) = open.take() {
            batches.push(close(&open, &mut text, &mut ends));
        }
        let (start, len) = (text.len() as u32, hit.text.len() as u32);
        ends.push(LogLine { start, len, stream: hit.stream, continued: hit.continued });
        text.push_str(&hit.text);
        hit.text = Box::default();
        open.get_or_insert((service, hit));
    }
    if let Some(open) = open {
        batches.push(close(&open, &mut text, &mut ends));
    }
    batches
}
