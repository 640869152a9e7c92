//! The lines of a part of a slot, from where both streams are known to begin a line on, with their numbers.
//!
//! Never gives a line that ends before or behind the part.

use std::{collections::VecDeque, ops::ControlFlow, path::Path};

use super::{
    bases::Bases,
    data::Data,
    index,
    map::{Map, Seam},
    reader::has_ended,
    segments::{self, Form, Segment},
    walk::{Progress, Unindexed, Walk},
};
use crate::{
    model::{
        intake::{Cursor, Position},
        log::Stream,
    },
    shim_format::IndexKind,
    world::{
        clock,
        output::assembly::{Assembly, Draft},
    },
};

/// Most that is read at once, bytes.
const STEP: u64 = 64 * 1024;

/// How a passage went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// To where it was to go, or to where the segment ends.
    There,
    /// There is nothing more.
    End,
    /// Whoever takes the lines wants no more.
    Enough,
}

/// A way through a part of a slot.
pub(super) struct Passage {
    walk: Walk,
    assembly: Assembly,
    drafts: VecDeque<Draft>,
}

impl Passage {
    /// Begins where a line of each stream begins; the first that ends has this number. Records before `index_at` of the index of the segment where
    /// it begins are passed over.
    pub(super) fn begin(slot: &Path, from: Seam, index_at: u64, next_seq: u64) -> Self {
        let [stdout, stderr] = from;
        let mut walk = Walk::new(slot.to_owned(), stdout.min(stderr), Unindexed::Guess(clock::now().wall_us));
        walk.pass_over(index_at);
        Self { walk, assembly: Assembly::new(Cursor { stdout, stderr, next_seq }), drafts: VecDeque::new() }
    }

    /// Hands on the lines that end before `to`, and no later than in this segment.
    pub(super) fn advance(
        &mut self,
        segment: u64,
        to: u64,
        take: &mut dyn FnMut(&Draft) -> ControlFlow<()>,
    ) -> Reached {
        loop {
            let at = self.walk.at();
            if at.segment > segment || (at.segment == segment && at.offset >= to) {
                return Reached::There;
            }
            let room = if at.segment == segment { (to - at.offset).min(STEP) } else { STEP };
            let (assembly, drafts) = (&mut self.assembly, &mut self.drafts);
            let progress = self.walk.step(room as usize, |piece| assembly.take(piece, drafts));
            self.assembly.close(&mut self.drafts);
            if self.hand_on(take).is_break() {
                return Reached::Enough;
            }
            if matches!(progress, Progress::End | Progress::Anew) {
                return Reached::End;
            }
        }
    }

    /// At the end of all there is: what nobody will finish is a line, and so is what is said of holes.
    pub(super) fn finish(&mut self, take: &mut dyn FnMut(&Draft) -> ControlFlow<()>) {
        if self.assembly.run().is_none_or(|run| has_ended(self.walk.slot(), run)) {
            self.assembly.finish(&mut self.drafts);
        }
        self.assembly.finish_notes(&mut self.drafts);
        // All is over anyway.
        let _enough = self.hand_on(take);
    }

    fn hand_on(&mut self, take: &mut dyn FnMut(&Draft) -> ControlFlow<()>) -> ControlFlow<()> {
        self.drafts.drain(..).try_for_each(|draft| take(&draft))
    }

    /// Where the first lines begin that have not ended.
    pub(super) fn seam(&self) -> Seam {
        let cursor = self.assembly.cursor();
        [cursor.stdout, cursor.stderr]
    }

    /// The number of the next line that ends.
    pub(super) const fn next_seq(&self) -> u64 {
        self.assembly.next_seq()
    }
}

/// Where the lines begin that end in a segment; `there` are the segments, oldest first.
pub(super) fn seam_before(slot: &Path, there: &[Segment], segment: u64) -> Seam {
    let earlier = &there[..there.partition_point(|it| it.number < segment)];
    let start = earlier.last().and_then(|last| mark_behind(slot, *last)).unwrap_or(Position { segment, offset: 0 });
    [Stream::Stdout, Stream::Stderr].map(|stream| unfinished_in(slot, earlier, stream).unwrap_or(start))
}

/// Where the line of a stream begins that is unfinished behind these segments.
fn unfinished_in(slot: &Path, there: &[Segment], stream: Stream) -> Option<Position> {
    let mut later_run = None;
    for (place, segment) in there.iter().enumerate().rev() {
        let number = segment.number;
        let last_run = index::last_record(slot, number).map(|last| last.run);
        if later_run.is_some_and(|run| last_run.is_some_and(|last| last != run)) {
            // Whatever was unfinished was finished when the next run began.
            return None;
        }
        if let Some(map) = map_of(slot, *segment) {
            return Some(map.end[stream as usize]).filter(|from| from.segment <= number);
        }
        if index::has_stream(slot, number, stream) {
            return unfinished_behind(slot, &there[..place], *segment, stream);
        }
        let first_run = index::first_run(slot, number).map(|run| run.0);
        if first_run != last_run {
            return None;
        }
        later_run = first_run.or(later_run);
    }
    None
}

/// The same behind a segment that has something of the stream, as it is found by reading it.
fn unfinished_behind(slot: &Path, before: &[Segment], segment: Segment, stream: Stream) -> Option<Position> {
    let number = segment.number;
    let start = Position { segment: number, offset: 0 };
    let end = |from: Seam| {
        let mut whole = 0;
        let mut passage = Passage::begin(slot, from, 0, 0);
        passage.advance(number, u64::MAX, &mut |draft| {
            whole += draft.lines.iter().filter(|line| line.stream == stream && !line.continued).count();
            ControlFlow::Continue(())
        });
        (passage.seam()[stream as usize], whole, passage.walk.at())
    };
    let (mut found, whole, mut reached) = end([start; 2]);
    if whole == 0 && !before.is_empty() {
        // It is one line from its beginning on: that may be earlier.
        let mut from = [start; 2];
        from[stream as usize] = unfinished_in(slot, before, stream).unwrap_or(start);
        (found, _, reached) = end(from);
    }
    let length = length_of(slot, segment).unwrap_or(u64::MAX);
    (found < reached && found < Position { segment: number, offset: length }).then_some(found)
}

/// Where something is missing behind the last byte of a segment: it is told with the next line.
pub(super) fn mark_behind(slot: &Path, segment: Segment) -> Option<Position> {
    let last = index::last_record(slot, segment.number)?;
    let is_mark = matches!(last.kind, IndexKind::Dropped | IndexKind::Removed);
    (is_mark && length_of(slot, segment)? == last.offset)
        .then_some(Position { segment: segment.number, offset: last.offset })
}

/// Bytes of a segment; none where only unpacking would tell.
pub(super) fn length_of(slot: &Path, segment: Segment) -> Option<u64> {
    Data::open(slot, segment).ok()?.length()
}

/// What is known of the lines of an archive.
pub(super) fn map_of(slot: &Path, segment: Segment) -> Option<Map> {
    (segment.form == Form::Archive).then_some(())?;
    let file = segments::open(&segments::file(slot, segment)).ok()?;
    Map::of(&mut super::frames::Frames::open(file).ok()?)
}

/// The number of the first line that ends in each of these segments, oldest first: as it was noted, and where it was not, as it is counted.
pub(super) fn numbers(slot: &Path, there: &[Segment], maps: &[Option<Map>]) -> Vec<u64> {
    let bases = Bases::read(slot);
    let mut numbers: Vec<u64> = Vec::with_capacity(there.len());
    for (place, segment) in there.iter().enumerate() {
        let least = numbers.last().copied().unwrap_or(0);
        let noted = bases.of(segment.number).filter(|noted| *noted >= least);
        let number = noted.unwrap_or_else(|| match place.checked_sub(1) {
            None => 0,
            Some(before) => {
                least + maps[before].as_ref().map_or_else(|| count(slot, there, there[before].number), Map::lines)
            }
        });
        numbers.push(number);
    }
    numbers
}

/// Lines that end in a segment.
fn count(slot: &Path, there: &[Segment], segment: u64) -> u64 {
    let mut passage = Passage::begin(slot, seam_before(slot, there, segment), 0, 0);
    passage.advance(segment, u64::MAX, &mut |_| ControlFlow::Continue(()));
    passage.next_seq()
}
