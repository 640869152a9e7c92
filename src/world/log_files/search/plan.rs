//! What is to be looked through in one slot, in which order, and what is known of it before.
//!
//! Never opens what cannot have a line that is asked for more than once.

use std::path::{Path, PathBuf};

use super::{
    super::{
        data::Data,
        frames::Frame,
        index,
        map::Map,
        passage,
        segments::{self, Form, Segment},
    },
    Direction, Place, Search,
};
use crate::model::ids::ServiceId;

/// One slot.
pub(super) struct Lane {
    pub(super) service: ServiceId,
    pub(super) slot: PathBuf,
    /// All segments, oldest first.
    pub(super) there: Vec<Segment>,
    /// Those that are looked through, in the order in which they are.
    pub(super) sections: Vec<Section>,
    /// Their parts, in the same order.
    pub(super) parts: Vec<Part>,
    /// Where to go on.
    pub(super) bound: u64,
    /// Where to go on when all was looked through, as far as it is known before.
    pub(super) edge: u64,
}

/// A segment.
pub(super) struct Section {
    pub(super) segment: Segment,
    /// The number of the first line that ends in it.
    pub(super) first_seq: u64,
    /// What is known of its frames; none: it is one part.
    pub(super) map: Option<Map>,
    pub(super) frames: Vec<Frame>,
    /// It is read up to here.
    pub(super) to: u64,
    /// Nothing comes behind it.
    pub(super) is_newest: bool,
    /// Its parts are those from here on.
    pub(super) first_part: usize,
    /// And so many.
    pub(super) parts: usize,
}

/// What is looked through at once.
#[derive(Debug)]
pub(super) struct Part {
    /// Its place among the frames of its segment.
    pub(super) frame: usize,
    /// Number of its first line.
    pub(super) first_seq: u64,
    /// Bytes, about.
    pub(super) bytes: u64,
    /// No line of it, or of what is looked through later, is newer (backward) or older (forward).
    pub(super) bound_us: i64,
}

/// A segment and what is known of it.
struct Known {
    segment: Segment,
    map: Option<Map>,
    frames: Vec<Frame>,
    length: u64,
    /// Up to where it is read.
    to: u64,
    times: (i64, i64),
    modified_us: i64,
}

impl Known {
    /// When its last byte came.
    fn last_us(&self, slot: &Path) -> Option<i64> {
        index::newest_us(slot, self.segment.number).or((self.length > 0).then_some(self.modified_us))
    }
}

impl Lane {
    pub(super) fn plan(search: &Search<'_>, place: &Place) -> Self {
        let slot = &place.slot;
        let all: Vec<Known> = segments::list(slot).into_iter().filter_map(|segment| know(place, segment)).collect();
        let there: Vec<Segment> = all.iter().map(|known| known.segment).collect();
        let maps: Vec<Option<&Map>> = all.iter().map(|known| known.map.as_ref()).collect();
        let numbers = passage::numbers(slot, &there, &maps);
        let start = match search.direction {
            Direction::Backward => u64::MAX,
            Direction::Forward => 0,
        };
        let bound = place.bound.unwrap_or(start);
        let mut lane = Self {
            service: place.service.clone(),
            slot: slot.clone(),
            there,
            sections: Vec::new(),
            parts: Vec::new(),
            bound,
            edge: match search.direction {
                Direction::Backward => numbers.first().map_or(0, |first| bound.min(*first)),
                Direction::Forward => numbers.last().map_or(bound, |last| bound.max(*last)),
            },
        };
        let newest = all.len().saturating_sub(1);
        let mut in_order: Vec<(usize, Known)> = all.into_iter().enumerate().collect();
        for at in 0..in_order.len() {
            // What is unfinished is finished when the next run begins, or never, at the time of the last byte before.
            let before =
                in_order[..at].last().filter(|_| in_order[at].1.map.is_none()).and_then(|(_, it)| it.last_us(slot));
            let last = (at == newest).then(|| in_order[at].1.last_us(slot)).flatten();
            let known = &mut in_order[at].1;
            for time in [before, last].into_iter().flatten() {
                known.times = (known.times.0.min(time), known.times.1.max(time));
            }
        }
        if search.direction == Direction::Backward {
            in_order.reverse();
        }
        for (at, known) in in_order {
            lane.add(search, known, (numbers[at], numbers.get(at + 1).copied()), at == newest);
        }
        lane.bound_times(search.direction);
        lane
    }

    /// Adds a segment, if there may be something in it.
    fn add(&mut self, search: &Search<'_>, known: Known, (first_seq, end_seq): (u64, Option<u64>), is_newest: bool) {
        let may_have = |first: u64, end: Option<u64>, (oldest, newest): (i64, i64)| {
            let is_numbered = match search.direction {
                Direction::Backward => first < self.bound,
                Direction::Forward => end.is_none_or(|end| end > self.bound),
            };
            let is_late = search.since_us.is_none_or(|since| newest >= since);
            let is_early = search.until_us.is_none_or(|until| oldest < until);
            is_numbered && is_late && is_early
        };
        let mut parts = Vec::new();
        let mut add = |frame: usize, first_seq: u64, end: Option<u64>, bytes: u64, times: (i64, i64)| {
            if may_have(first_seq, end, times) {
                let bound_us = match search.direction {
                    Direction::Backward => times.1,
                    Direction::Forward => times.0,
                };
                parts.push(Part { frame, first_seq, bytes, bound_us });
            }
        };
        if let Some(map) = &known.map {
            let mut first = first_seq;
            for (place, (about, frame)) in map.frames.iter().zip(&known.frames).enumerate() {
                // In the last one something may end that had no end when it was packed.
                let is_last = is_newest && place + 1 == map.frames.len();
                let end = first + u64::from(about.lines);
                let times = if is_last { known.times } else { about.times };
                add(place, first, Some(end).filter(|_| !is_last), u64::from(frame.len), times);
                first = end;
            }
        } else {
            add(0, first_seq, end_seq, known.length, known.times);
        }
        if search.direction == Direction::Backward {
            parts.reverse();
        }
        if !parts.is_empty() {
            let Known { segment, map, frames, to, .. } = known;
            let (first_part, count) = (self.parts.len(), parts.len());
            self.sections.push(Section { segment, first_seq, map, frames, to, is_newest, first_part, parts: count });
        }
        self.parts.append(&mut parts);
    }

    /// Makes each part's bound that of all behind it.
    fn bound_times(&mut self, direction: Direction) {
        let mut last = None;
        for part in self.parts.iter_mut().rev() {
            let bound = last.map_or(part.bound_us, |last: i64| match direction {
                Direction::Backward => part.bound_us.max(last),
                Direction::Forward => part.bound_us.min(last),
            });
            part.bound_us = bound;
            last = Some(bound);
        }
    }
}

/// What is known of a segment; none where it is gone.
fn know(place: &Place, listed: Segment) -> Option<Known> {
    let slot = &place.slot;
    // It may have been compressed since it was listed.
    let forms = std::iter::once(listed.form).chain(Form::ALL);
    let (segment, data) = forms.into_iter().find_map(|form| {
        let segment = Segment { form, ..listed };
        Some((segment, Data::open(slot, segment).ok()?))
    })?;
    let modified_us = data.modified_us();
    let number = segment.number;
    let whole = |length, to| {
        let times = index::times(slot, number).unwrap_or((modified_us, modified_us));
        Known { segment, map: None, frames: Vec::new(), length, to, times, modified_us }
    };
    Some(match data {
        Data::Archive(mut archive) => {
            let length = archive.length();
            let Some(map) = Map::of(&mut archive) else { return Some(whole(length, u64::MAX)) };
            let times = map.frames.iter().fold((i64::MAX, i64::MIN), |(oldest, newest), frame| {
                (oldest.min(frame.times.0), newest.max(frame.times.1))
            });
            let frames = archive.frames().to_vec();
            Known { segment, map: Some(map), frames, length, to: length, times, modified_us }
        }
        raw @ Data::Raw(_) => {
            // Asked before the index is read: what has a record by then is there.
            let length = raw.length().unwrap_or(0);
            whole(length, length)
        }
        Data::Gzip { .. } => {
            let last = index::last_record(slot, number);
            whole(last.map_or(0, |last| last.offset + u64::from(last.len)), u64::MAX)
        }
    })
}
