//! Looks through the parts of one segment.
//!
//! Never unpacks what cannot have a line that is asked for, and never looks at a line by itself whose block the pattern is not in.

use std::{
    collections::VecDeque,
    ops::{ControlFlow, Range},
};

use super::{
    super::{
        frames::Frames,
        grams,
        map::{self, About},
        marks,
        passage::{Passage, Reached, seam_before},
        segments,
    },
    Direction, HELD_BYTES, Line, Search,
    plan::{Lane, Part, Section},
    prefilter::Block,
};
use crate::{
    model::{
        ids::RunId,
        intake::Cursor,
        log::{LogLine, Stream},
    },
    world::output::assembly::Draft,
};

/// A line that was found.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) run: RunId,
    pub(super) wall_us: i64,
    pub(super) seq: u64,
    pub(super) stream: Stream,
    pub(super) continued: bool,
    pub(super) text: Box<str>,
    /// It is looked for, and not only near one that is.
    pub(super) is_meant: bool,
}

/// What was found in one part.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// The lines, oldest first.
    pub(super) lines: VecDeque<Hit>,
    /// There may be more, further in the direction.
    pub(super) is_cut: bool,
    /// The number of the first line behind the part.
    pub(super) end_seq: u64,
    /// Of the lines, those that are looked for.
    pub(super) meant: usize,
    weight: usize,
}

impl Hits {
    fn push(&mut self, hit: Hit) {
        self.weight += hit.text.len() + size_of::<Hit>();
        self.meant += usize::from(hit.is_meant);
        self.lines.push_back(hit);
    }

    fn pop_oldest(&mut self) {
        if let Some(oldest) = self.lines.pop_front() {
            self.weight -= oldest.text.len() + size_of::<Hit>();
            self.meant -= usize::from(oldest.is_meant);
            self.is_cut = true;
        }
    }

    /// Bytes that it keeps in memory, about.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }
}

/// What is known of the characters in each frame of an archive.
struct Sets {
    grams: Vec<u8>,
    words: Vec<Option<Vec<u8>>>,
}

/// Told of each part that was looked through; whether to go on.
pub(super) type Report<'a> = &'a mut dyn FnMut(usize, Hits) -> ControlFlow<()>;

/// Looks, with room that is used again.
pub(super) struct Looker<'a> {
    search: &'a Search<'a>,
    block: Block,
}

impl<'a> Looker<'a> {
    pub(super) fn new(search: &'a Search<'a>) -> Self {
        Self { search, block: Block::default() }
    }

    /// Looks through the parts of a section in their order. What is not reported was not looked through.
    pub(super) fn look(&mut self, lane: &Lane, section: usize, report: Report<'_>, may_stop: &dyn Fn() -> bool) {
        let section = &lane.sections[section];
        let parts = section.first_part..section.first_part + section.parts;
        let Some(known) = &section.map else {
            let from = seam_before(&lane.slot, &lane.there, section.segment.number);
            let mut passage = Passage::begin(&lane.slot, from, 0, section.first_seq);
            if let Some(hits) = self.read(lane, section, &mut passage, section.to, may_stop) {
                // All of it is reported.
                let _enough = report(section.first_part, hits);
            }
            return;
        };
        let file = segments::open(&segments::file(&lane.slot, section.segment));
        let Ok(mut archive) = file.and_then(Frames::open) else {
            // It is gone: what retention has deleted has no lines.
            for part in parts {
                let hits = Hits {
                    end_seq: end_seq(&lane.parts[part], known.frames[lane.parts[part].frame]),
                    ..Hits::default()
                };
                if report(part, hits).is_break() {
                    return;
                }
            }
            return;
        };
        let (mut sets, mut passage) = (None, None::<Passage>);
        for place in parts {
            let part = &lane.parts[place];
            let about = &known.frames[part.frame];
            let hits = if self.is_ruled_out(&mut archive, &mut sets, part, about) {
                Hits { end_seq: end_seq(part, *about), ..Hits::default() }
            } else {
                let is_end = section.is_newest && part.frame + 1 == section.frames.len();
                let to = if is_end { u64::MAX } else { section.frames[part.frame].end() };
                let passage = match &mut passage {
                    Some(passage) => {
                        passage.begin_again(about.from, about.index_at, part.first_seq);
                        passage
                    }
                    none => none.insert(Passage::begin(&lane.slot, about.from, about.index_at, part.first_seq)),
                };
                match self.read(lane, section, passage, to, may_stop) {
                    Some(hits) if hits.end_seq >= end_seq(part, *about) || archive.unpack(part.frame).is_some() => hits,
                    Some(_) => self.damaged(lane, section, part, about),
                    None => return,
                }
            };
            if report(place, hits).is_break() {
                return;
            }
        }
    }

    /// Whether no line of a frame can match: for the groups that it has, or because a look at it as one block tells.
    fn is_ruled_out(&self, archive: &mut Frames, sets: &mut Option<Sets>, part: &Part, about: &About) -> bool {
        let Some(prefilter) = &self.search.prefilter else { return false };
        if prefilter.has_needs() {
            let sets = sets.get_or_insert_with(|| Sets {
                grams: map::grams(archive).unwrap_or_default(),
                words: if prefilter.has_words() { map::words(archive) } else { Vec::new() },
            });
            let grams = sets.grams.chunks_exact(grams::BYTES).nth(part.frame);
            let words = sets.words.get(part.frame).and_then(Option::as_deref);
            if grams.is_some_and(|grams| !prefilter.may_be_among(grams, words)) {
                return true;
            }
        }
        about.is_plain && archive.unpack(part.frame).is_some_and(|bytes| !prefilter.is_in(bytes))
    }

    /// In the place of a damaged frame, what is said of it.
    fn damaged(&self, lane: &Lane, section: &Section, part: &Part, about: &About) -> Hits {
        let text = marks::unreadable(u64::from(section.frames[part.frame].len), section.segment.number);
        let (start, len) = (0, text.len() as u32);
        let line = LogLine { start, len, stream: Stream::Stderr, continued: false };
        let cursor = Cursor::default();
        let wall_us = about.times.1;
        let draft = Draft { run: about.run, wall_us, first_seq: part.first_seq, text, lines: vec![line], cursor };
        let mut kept = Kept::new(self.search, lane);
        // It is one line.
        let _enough = kept.take(&draft, &mut Block::default());
        kept.hits.end_seq = end_seq(part, *about);
        kept.hits
    }

    /// Reads lines one after the other. None where it was stopped before the end.
    fn read(
        &mut self,
        lane: &Lane,
        section: &Section,
        passage: &mut Passage,
        to: u64,
        may_stop: &dyn Fn() -> bool,
    ) -> Option<Hits> {
        let mut kept = Kept::new(self.search, lane);
        let mut is_stopped = false;
        let block = &mut self.block;
        let mut take = |draft: &Draft| {
            is_stopped = may_stop();
            if is_stopped { ControlFlow::Break(()) } else { kept.take(draft, block) }
        };
        let reached = passage.advance(section.segment.number, to, &mut take);
        let is_end = section.is_newest && to >= section.to && reached != Reached::Enough;
        if is_end {
            passage.finish(&mut take);
        }
        kept.hits.end_seq = passage.next_seq();
        (!is_stopped).then_some(kept.hits)
    }
}

fn end_seq(part: &Part, about: About) -> u64 {
    part.first_seq + u64::from(about.lines)
}

/// Keeps the lines that are asked for.
struct Kept<'a> {
    search: &'a Search<'a>,
    lane: &'a Lane,
    hits: Hits,
    /// The newest lines that are kept only if one that is looked for comes soon.
    before: VecDeque<Hit>,
    /// So many more are kept, because one was looked for.
    after: usize,
}

impl<'a> Kept<'a> {
    fn new(search: &'a Search<'a>, lane: &'a Lane) -> Self {
        Self { search, lane, hits: Hits::default(), before: VecDeque::new(), after: 0 }
    }

    fn take(&mut self, draft: &Draft, block: &mut Block) -> ControlFlow<()> {
        let search = self.search;
        if search.direction == Direction::Backward && draft.first_seq >= self.lane.bound {
            return ControlFlow::Break(());
        }
        let is_late = search.since_us.is_none_or(|since| draft.wall_us >= since);
        let is_early = search.until_us.is_none_or(|until| draft.wall_us < until);
        if !is_late || !is_early {
            return ControlFlow::Continue(());
        }
        match &search.prefilter {
            Some(prefilter) => {
                let mut next = 0;
                for at in prefilter.candidates(draft, block) {
                    self.pass_over(draft, next..at);
                    self.line(draft, at)?;
                    next = at + 1;
                }
                self.pass_over(draft, next..draft.lines.len());
                ControlFlow::Continue(())
            }
            None => (0..draft.lines.len()).try_for_each(|at| self.line(draft, at)),
        }
    }

    /// Lines that are not looked for: kept behind one that is, or for the next one.
    fn pass_over(&mut self, draft: &Draft, lines: Range<usize>) {
        let near = self.search.near;
        if near == 0 {
            return;
        }
        let behind = self.after.min(lines.len());
        self.after -= behind;
        let (behind, before) = (lines.start..lines.start + behind, lines.start + behind..lines.end);
        for at in behind {
            if let Some(hit) = self.hit(draft, at, false) {
                self.hits.push(hit);
            }
        }
        for at in before.end.saturating_sub(near).max(before.start)..before.end {
            if let Some(hit) = self.hit(draft, at, false) {
                self.before.push_back(hit);
            }
        }
        let excess = self.before.len().saturating_sub(near);
        self.before.drain(..excess);
    }

    /// A line within the bound.
    fn hit(&self, draft: &Draft, at: usize, is_meant: bool) -> Option<Hit> {
        let LogLine { stream, continued, .. } = *draft.lines.get(at)?;
        let seq = draft.first_seq + at as u64;
        if !self.is_numbered(seq) {
            return None;
        }
        let text = draft.text_of(draft.lines[at]).into();
        Some(Hit { run: draft.run, wall_us: draft.wall_us, seq, stream, continued, text, is_meant })
    }

    const fn is_numbered(&self, seq: u64) -> bool {
        match self.search.direction {
            Direction::Backward => seq < self.lane.bound,
            Direction::Forward => seq >= self.lane.bound,
        }
    }

    fn line(&mut self, draft: &Draft, at: usize) -> ControlFlow<()> {
        let Some(line) = draft.lines.get(at).copied() else { return ControlFlow::Continue(()) };
        let seq = draft.first_seq + at as u64;
        let text = draft.text_of(line);
        let Draft { run, wall_us, .. } = *draft;
        let service = &self.lane.service;
        let is_accepted = self.is_numbered(seq)
            && (self.search.accept)(&Line { service, run, wall_us, seq, stream: line.stream, text });
        let Some(hit) = is_accepted.then(|| self.hit(draft, at, true)).flatten() else {
            self.pass_over(draft, at..at + 1);
            return ControlFlow::Continue(());
        };
        for near in std::mem::take(&mut self.before) {
            self.hits.push(near);
        }
        self.hits.push(hit);
        self.after = self.search.near;
        self.bound()
    }

    /// No more than is asked for is kept: of what is nearest.
    fn bound(&mut self) -> ControlFlow<()> {
        let is_full = |hits: &Hits, most: usize| hits.meant > most || (hits.weight > HELD_BYTES && hits.meant > 1);
        match self.search.direction {
            Direction::Backward => {
                while is_full(&self.hits, self.search.lines) {
                    self.hits.pop_oldest();
                }
                ControlFlow::Continue(())
            }
            Direction::Forward if is_full(&self.hits, self.search.lines.saturating_sub(1)) => {
                self.hits.is_cut = true;
                ControlFlow::Break(())
            }
            Direction::Forward => ControlFlow::Continue(()),
        }
    }
}
