//! What was found so far in all places, merged as far as it is known, and what is to be looked through next.
//!
//! Promise: a line is given when nothing can come before it any more. Never: a line twice.

use std::ops::ControlFlow;

use super::{
    Direction, Found, HELD_BYTES, Search, batches,
    look::{Hit, Hits},
    plan::Lane,
};

/// What a thread takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub(super) lane: usize,
    pub(super) section: usize,
}

/// How far one place was looked through.
struct Progress {
    /// Of each part.
    looked: Vec<Option<Hits>>,
    /// The first part that was not looked through, or has lines that were not given.
    at: usize,
    next_section: usize,
    /// Where to go on, once something was looked through.
    reached: Option<u64>,
    /// Lines that are looked for, were found and not given.
    waiting: usize,
}

/// What is known of the next line of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// When it came.
    Hit(i64),
    /// If there is one, it is not newer (backward) or older (forward).
    Unknown(i64),
    /// There is none.
    None,
}

/// All places.
pub(super) struct Lanes<'a> {
    search: &'a Search<'a>,
    plans: &'a [Lane],
    progress: Vec<Progress>,
    given: Vec<(usize, Hit)>,
    /// Of these, those that are looked for.
    meant: usize,
    held: usize,
    looked_bytes: u64,
    has_moved: bool,
    is_over: bool,
}

impl<'a> Lanes<'a> {
    pub(super) fn new(search: &'a Search<'a>, plans: &'a [Lane]) -> Self {
        let progress = plans.iter().map(|lane| Progress {
            looked: lane.parts.iter().map(|_| None).collect(),
            at: 0,
            next_section: 0,
            reached: None,
            waiting: 0,
        });
        let progress = progress.collect();
        let is_over = search.lines == 0;
        Self {
            search,
            plans,
            progress,
            given: Vec::new(),
            meant: 0,
            held: 0,
            looked_bytes: 0,
            has_moved: false,
            is_over,
        }
    }

    /// What to look through next: what a line may wait for comes first, and then what comes first.
    pub(super) fn next_task(&mut self, is_late: bool) -> Option<Task> {
        if self.may_stop(is_late) {
            return None;
        }
        let wanted = self.search.lines - self.meant;
        let mut best: Option<((bool, i64), usize)> = None;
        for lane in 0..self.plans.len() {
            let (plan, progress) = (&self.plans[lane], &self.progress[lane]);
            let Some(section) = plan.sections.get(progress.next_section) else { continue };
            if progress.waiting >= wanted {
                continue;
            }
            let bound = plan.parts[section.first_part].bound_us;
            let urgency = match self.search.direction {
                Direction::Backward => bound,
                Direction::Forward => bound.saturating_neg(),
            };
            let rank = (matches!(self.head(lane), Head::Unknown(_)), urgency);
            if best.is_none_or(|(highest, _)| rank > highest) {
                best = Some((rank, lane));
            }
        }
        let (_, lane) = best?;
        let section = self.progress[lane].next_section;
        self.progress[lane].next_section += 1;
        Some(Task { lane, section })
    }

    /// Whether no more is to be looked through: enough was found, or it is late and something was found out.
    pub(super) const fn may_stop(&self, is_late: bool) -> bool {
        self.is_over || (is_late && self.has_moved)
    }

    /// A part was looked through.
    pub(super) fn looked(&mut self, lane: usize, part: usize, hits: Hits, is_late: bool) -> ControlFlow<()> {
        self.looked_bytes += self.plans[lane].parts[part].bytes;
        self.held += hits.weight();
        let progress = &mut self.progress[lane];
        progress.waiting += hits.meant;
        let is_cut = hits.is_cut;
        progress.looked[part] = Some(hits);
        self.advance();
        self.is_over |= self.held > 2 * HELD_BYTES && self.has_moved;
        if is_cut || self.may_stop(is_late) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Gives what can be given.
    fn advance(&mut self) {
        (0..self.plans.len()).for_each(|lane| self.pass_over(lane));
        while let Some(lane) = self.first() {
            // What stands near the last one goes with it.
            if self.meant >= self.search.lines && !self.goes_with_the_last(lane) {
                break;
            }
            self.give(lane);
            self.pass_over(lane);
        }
        // Of a part that had too much for one answer nothing more will be known.
        let is_used_up = |progress: &Progress| {
            let hits = progress.looked.get(progress.at).and_then(Option::as_ref);
            hits.is_some_and(|hits| hits.is_cut && hits.lines.is_empty())
        };
        self.is_over |= self.meant >= self.search.lines || self.progress.iter().any(is_used_up);
        self.has_moved |=
            !self.given.is_empty() || (0..self.plans.len()).any(|lane| self.reached(lane) != self.plans[lane].bound);
    }

    /// The place whose next line comes before those of all others; none where that is not known.
    fn first(&self) -> Option<usize> {
        // Greater comes first; at one time backward the last place, forward the first.
        let key = |at: i64, lane: usize| match self.search.direction {
            Direction::Backward => (i128::from(at), lane.cast_signed()),
            Direction::Forward => (-i128::from(at), -lane.cast_signed()),
        };
        let (mut hit, mut unknown) = (None, None);
        for lane in 0..self.plans.len() {
            match self.head(lane) {
                Head::Hit(at) => hit = hit.max(Some((key(at, lane), lane))),
                Head::Unknown(at) => unknown = unknown.max(Some((key(at, lane), lane))),
                Head::None => {}
            }
        }
        hit.filter(|hit| unknown.is_none_or(|unknown| *hit > unknown)).map(|(_, lane)| lane)
    }

    /// The next line of a place, where it is known.
    fn next(&self, lane: usize) -> Option<&Hit> {
        let progress = &self.progress[lane];
        let hits = progress.looked.get(progress.at).and_then(Option::as_ref)?;
        match self.search.direction {
            Direction::Backward => hits.lines.back(),
            Direction::Forward => hits.lines.front(),
        }
    }

    /// Whether the next line of a place stands beside the last one that was given of it, and is not looked for itself.
    fn goes_with_the_last(&self, lane: usize) -> bool {
        let is_beside = |seq: u64| {
            self.progress[lane].reached
                == Some(match self.search.direction {
                    Direction::Backward => seq + 1,
                    Direction::Forward => seq,
                })
        };
        self.next(lane).is_some_and(|line| !line.is_meant && is_beside(line.seq))
    }

    fn head(&self, lane: usize) -> Head {
        let Some(part) = self.plans[lane].parts.get(self.progress[lane].at) else { return Head::None };
        self.next(lane).map_or(Head::Unknown(part.bound_us), |line| Head::Hit(line.wall_us))
    }

    fn give(&mut self, lane: usize) {
        let progress = &mut self.progress[lane];
        let Some(Some(hits)) = progress.looked.get_mut(progress.at) else { return };
        let line = match self.search.direction {
            Direction::Backward => hits.lines.pop_back(),
            Direction::Forward => hits.lines.pop_front(),
        };
        let Some(line) = line else { return };
        progress.waiting -= usize::from(line.is_meant);
        self.meant += usize::from(line.is_meant);
        progress.reached = Some(match self.search.direction {
            Direction::Backward => line.seq,
            Direction::Forward => line.seq + 1,
        });
        self.given.push((lane, line));
    }

    /// Passes over parts of which every line was given.
    fn pass_over(&mut self, lane: usize) {
        let (plan, progress) = (&self.plans[lane], &mut self.progress[lane]);
        while let Some(Some(hits)) = progress.looked.get(progress.at)
            && hits.lines.is_empty()
            && !hits.is_cut
        {
            let edge = match self.search.direction {
                Direction::Backward => plan.bound.min(plan.parts[progress.at].first_seq),
                Direction::Forward => plan.bound.max(hits.end_seq),
            };
            progress.reached = Some(edge);
            progress.at += 1;
        }
    }

    /// Where to go on in a place.
    fn reached(&self, lane: usize) -> u64 {
        let (plan, progress) = (&self.plans[lane], &self.progress[lane]);
        let reached = progress.reached.unwrap_or(plan.bound);
        let hits = progress.looked.get(progress.at).and_then(Option::as_ref);
        let is_all = progress.at == plan.parts.len();
        match self.search.direction {
            Direction::Backward if is_all => reached.min(plan.edge),
            Direction::Forward if is_all => reached.max(plan.edge),
            Direction::Backward => {
                hits.and_then(|hits| hits.lines.back()).map_or(reached, |line| reached.min(line.seq + 1))
            }
            Direction::Forward => {
                hits.and_then(|hits| hits.lines.front()).map_or(reached, |line| reached.max(line.seq))
            }
        }
    }

    /// The answer.
    pub(super) fn found(mut self) -> Found {
        self.advance();
        let service = |lane: usize| &self.plans[lane].service;
        let reached = (0..self.plans.len()).map(|lane| (service(lane).clone(), self.reached(lane))).collect();
        let is_complete = (0..self.plans.len()).all(|lane| self.head(lane) == Head::None);
        let left =
            self.plans.iter().zip(&self.progress).flat_map(|(plan, progress)| plan.parts.iter().zip(&progress.looked));
        let left_bytes = left.filter(|(_, looked)| looked.is_none()).map(|(part, _)| part.bytes).sum();
        let mut given = self.given;
        if self.search.direction == Direction::Backward {
            given.reverse();
        }
        let batches = batches(given.into_iter().map(|(lane, hit)| (&self.plans[lane].service, hit)));
        Found { batches, reached, is_complete, looked_bytes: self.looked_bytes, left_bytes }
    }
}
