//! What stands just before a place: for a ring that was lost with its engine, and for last words. Never reads much more than was asked for.

use std::{collections::VecDeque, path::Path};

use super::{
    data::Data,
    index,
    segments::{self, Segment},
    walk::{Piece, Progress, Unindexed, Walk},
};
use crate::{
    model::{
        ids::ServiceId,
        intake::{Cursor, Position},
        log::{LogBatch, Stream},
    },
    world::output::assembly::{Assembly, Draft},
};

/// Most that is read at once, bytes.
const STEP: usize = 64 * 1024;

/// The lines in the last `bytes` bytes or so before `cursor`, oldest first, numbered as they were: the last has the number before `cursor.next_seq`.
#[must_use]
pub fn lines_before(slot: &Path, service: &ServiceId, cursor: Cursor, bytes: u64) -> Vec<LogBatch> {
    let mut next = cursor.next_seq;
    let mut batches = VecDeque::new();
    for draft in read(slot, cursor.stdout.max(cursor.stderr), Some(cursor), bytes).into_iter().rev() {
        // More lines than were ever counted: they belong to other counts.
        let Some(first_seq) = next.checked_sub(draft.lines.len() as u64) else { break };
        next = first_seq;
        batches.push_front(Draft { first_seq, ..draft }.into_batch(service.clone()));
    }
    batches.into()
}

/// Lines that end before `end`, an unfinished one too.
pub(in crate::world) fn drafts_before(slot: &Path, end: Position, bytes: u64) -> VecDeque<Draft> {
    read(slot, end, None, bytes)
}

fn read(slot: &Path, end: Position, cursor: Option<Cursor>, bytes: u64) -> VecDeque<Draft> {
    let start = start_of(slot, end, bytes);
    let is_oldest = start.offset == 0 && segments::list(slot).first().is_none_or(|first| first.number == start.segment);
    let mut assembly = if is_oldest { Assembly::new(Cursor::default()) } else { Assembly::in_the_middle() };
    let mut walk = Walk::new(slot.to_owned(), start, Unindexed::Await(end));
    let mut drafts = VecDeque::new();
    while walk.at() < end {
        let progress = walk.step(STEP, |piece| {
            if let Some(piece) = before(piece, end, cursor) {
                assembly.take(piece, &mut drafts);
            }
        });
        assembly.close(&mut drafts);
        if matches!(progress, Progress::End | Progress::Anew) {
            break;
        }
    }
    // A cursor stands behind unfinished bytes only where they were handed on as a line.
    assembly.finish(&mut drafts);
    drafts
}

/// What of a piece stands before `end`, and before the place of its stream.
fn before(piece: Piece<'_>, end: Position, cursor: Option<Cursor>) -> Option<Piece<'_>> {
    match piece {
        Piece::Bytes { at, stream, run, wall_us, bytes } => {
            let end = cursor.map_or(end, |cursor| match stream {
                Stream::Stdout => cursor.stdout,
                Stream::Stderr => cursor.stderr,
            });
            let length = if at.segment == end.segment {
                usize::try_from(end.offset.saturating_sub(at.offset)).unwrap_or(usize::MAX).min(bytes.len())
            } else if at < end {
                bytes.len()
            } else {
                0
            };
            (length > 0).then(|| Piece::Bytes { at, stream, run, wall_us, bytes: &bytes[..length] })
        }
        Piece::Mark { at, .. } => (at < end).then_some(piece),
    }
}

/// About `bytes` bytes before `end`, or the beginning of all.
pub(super) fn start_of(slot: &Path, end: Position, bytes: u64) -> Position {
    let mut missing = bytes;
    let mut start = end;
    for segment in segments::list(slot).into_iter().rev().skip_while(|segment| segment.number > end.segment) {
        let length = if segment.number == end.segment { end.offset } else { length_of(slot, segment) };
        start = Position { segment: segment.number, offset: length.saturating_sub(missing) };
        missing = missing.saturating_sub(length);
        if missing == 0 {
            break;
        }
    }
    start
}

/// Bytes of a segment, about.
pub(super) fn length_of(slot: &Path, segment: Segment) -> u64 {
    let raw = Data::open(slot, segment).ok().and_then(|data| data.length());
    raw.or_else(|| index::last_record(slot, segment.number).map(|last| last.offset + u64::from(last.len))).unwrap_or(0)
}
