//! The lines of a part of a slot, from where both streams are known to begin a line on, with their numbers.
//!
//! Never gives a line that ends before or behind the part.

use std::{collections::VecDeque, ops::ControlFlow, path::Path};

use super::{
    bases::Bases,
    index,
    map::{Map, Seam},
    reader::has_ended,
    segments::{self, Form, Segment},
    walk::{Piece, Progress, Unindexed, Walk},
};
use crate::{
    model::{
        intake::{Cursor, Position},
        log::Stream,
    },
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
    /// Of which streams a line feed was read.
    fed: [bool; 2],
}

impl Passage {
    /// Begins where a line of each stream begins; the first that ends has this number. Records before `index_at` of the index of the segment where
    /// it begins are passed over.
    pub(super) fn begin(slot: &Path, from: Seam, index_at: u64, next_seq: u64) -> Self {
        let [stdout, stderr] = from;
        let mut walk = Walk::new(slot.to_owned(), stdout.min(stderr), Unindexed::Guess(clock::now().wall_us));
        walk.pass_over(index_at);
        let assembly = Assembly::new(Cursor { stdout, stderr, next_seq });
        Self { walk, assembly, drafts: VecDeque::new(), fed: [false; 2] }
    }

    /// Begins again elsewhere in the slot. What is open of the segment where it stands need not be opened for that.
    pub(super) fn begin_again(&mut self, from: Seam, index_at: u64, next_seq: u64) {
        let [stdout, stderr] = from;
        self.walk.turn_to(stdout.min(stderr));
        self.walk.pass_over(index_at);
        self.assembly = Assembly::new(Cursor { stdout, stderr, next_seq });
        self.drafts.clear();
        self.fed = [false; 2];
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
            let (assembly, drafts, fed) = (&mut self.assembly, &mut self.drafts, &mut self.fed);
            let progress = self.walk.step(room as usize, |piece| {
                if let Piece::Bytes { stream, bytes, .. } = &piece {
                    let fed = &mut fed[*stream as usize];
                    *fed = *fed || memchr::memchr(b'\n', bytes).is_some();
                }
                assembly.take(piece, drafts);
            });
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

    /// Where the first lines begin that have not ended in this segment; in the next one where there are none.
    pub(super) fn seam(&self, segment: u64) -> Seam {
        let next = Position { segment: segment + 1, offset: 0 };
        let seam = self.seam_here();
        let unfinished = self.assembly.unfinished();
        let waits = self.assembly.has_notes();
        [0, 1].map(|stream| if unfinished[stream] || waits { seam[stream] } else { next })
    }

    /// The same within a segment.
    pub(super) fn seam_here(&self) -> Seam {
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
    let begin = |number| [Position { segment: number, offset: 0 }; 2];
    let Some(last) = earlier.last() else { return begin(segment) };
    for (place, it) in earlier.iter().enumerate().rev() {
        if let Some(map) = map_of(slot, *it) {
            return if it == last { map.end } else { seam_behind(slot, last.number, map.end).0 };
        }
        // One that no line ends in says nothing.
        let (seam, fed) = seam_behind(slot, it.number, begin(it.number));
        if fed == [false; 2] && place > 0 {
            continue;
        }
        // Of a stream of which no line ends in it, one may have begun earlier.
        let of = |stream: Stream| {
            let earlier = || unfinished_in(slot, &earlier[..place], stream);
            let start = begin(it.number)[0];
            if fed[stream as usize] { start } else { earlier().unwrap_or(start) }
        };
        let from = [of(Stream::Stdout), of(Stream::Stderr)];
        let is_known = it == last && from == begin(it.number);
        return if is_known { seam } else { seam_behind(slot, last.number, from).0 };
    }
    begin(segment)
}

/// Where lines begin that are unfinished behind a segment, for whoever begins there; and of which streams one ends before.
fn seam_behind(slot: &Path, number: u64, from: Seam) -> (Seam, [bool; 2]) {
    let mut passage = Passage::begin(slot, from, 0, 0);
    passage.advance(number, u64::MAX, &mut |_| ControlFlow::Continue(()));
    (passage.seam(number), passage.fed)
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
        let seam = map_of(slot, *segment).map(|map| map.end).or_else(|| {
            let has_it = index::has_stream(slot, number, stream);
            has_it.then(|| seam_before(slot, &there[..=place], number + 1))
        });
        if let Some(seam) = seam {
            return Some(seam[stream as usize]).filter(|from| from.segment <= number);
        }
        let first_run = index::first_run(slot, number).map(|run| run.0);
        if first_run != last_run {
            return None;
        }
        later_run = first_run.or(later_run);
    }
    None
}

/// What is known of the lines of an archive.
pub(super) fn map_of(slot: &Path, segment: Segment) -> Option<Map> {
    (segment.form == Form::Archive).then_some(())?;
    let file = segments::open(&segments::file(slot, segment)).ok()?;
    Map::of(&mut super::frames::Frames::open(file).ok()?)
}

/// The number of the first line that ends in each of these segments, oldest first: as it was noted, and where it was not, as it is counted.
pub(super) fn numbers(slot: &Path, there: &[Segment], maps: &[Option<&Map>]) -> Vec<u64> {
    let bases = Bases::read(slot);
    let mut numbers: Vec<u64> = Vec::with_capacity(there.len());
    // Goes on from one segment to the next while they are counted.
    let mut counting: Option<Passage> = None;
    for (place, segment) in there.iter().enumerate() {
        let least = numbers.last().copied().unwrap_or(0);
        let noted = bases.of(segment.number).filter(|noted| *noted >= least);
        let noted = noted.map(|noted| {
            let finished = place.checked_sub(1).map_or(0, |before| finished_between(slot, there, before));
            // Unless nobody was there to see that end.
            let is_counted =
                place.checked_sub(1).and_then(|before| maps[before]).is_none_or(|map| noted != least + map.lines());
            if is_counted { noted.saturating_sub(finished).max(least) } else { noted }
        });
        if noted.is_some() {
            counting = None;
        }
        let before = place.checked_sub(1);
        let number = if let (None, Some(before)) = (noted, before) {
            let number = there[before].number;
            let begin = || Passage::begin(slot, seam_before(slot, there, number), 0, least);
            if let Some(map) = maps[before] {
                counting = None;
                least + map.lines()
            } else {
                let passage = counting.get_or_insert_with(begin);
                passage.advance(number, u64::MAX, &mut |_| ControlFlow::Continue(()));
                passage.next_seq()
            }
        } else {
            noted.unwrap_or(0)
        };
        numbers.push(number);
    }
    numbers
}

/// Lines that are finished where a segment begins because another run does. They were counted with the end of their run, which was seen before.
fn finished_between(slot: &Path, there: &[Segment], before: usize) -> u64 {
    let (Some(last), Some(here)) = (index::last_record(slot, there[before].number), there.get(before + 1)) else {
        return 0;
    };
    if index::first_run(slot, here.number).is_none_or(|run| run.0 == last.run) {
        return 0;
    }
    let mut finished = 0;
    let mut passage = Passage::begin(slot, seam_before(slot, there, here.number), 0, 0);
    passage.advance(here.number, u64::MAX, &mut |draft| {
        if draft.run.0 != last.run {
            return ControlFlow::Break(());
        }
        finished += draft.lines.len() as u64;
        ControlFlow::Continue(())
    });
    finished
}
