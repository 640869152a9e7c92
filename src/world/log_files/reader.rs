//! Lines on disk: forwards in a stream, merged by time over services. Never unpacks an archive that has nothing that is asked for.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    LogFilter, Slots, StoredLine,
    bases::Bases,
    chosen, index, segments,
    walk::{Progress, Unindexed, Walk},
};
use crate::{
    model::{
        ids::{RunId, ServiceId},
        intake::{Cursor, Position},
        log::LogLine,
    },
    shim_format::ExitFile,
    world::{
        clock,
        output::assembly::{Assembly, Draft},
    },
};

/// Most that is read at once from one service, bytes.
const STEP: usize = 64 * 1024;

/// While more services than this are read, their files are closed between two steps.
const OPEN_SERVICES: usize = 64;

/// Lines on disk that satisfy `filter`, oldest first across services; lines of one service keep their order even where the clock
/// was set back. Reads as it goes: what is written meanwhile may or may not be seen. An unfinished line is a line where its run has ended.
#[must_use]
pub fn read_lines(slots: &[Slots], filter: &LogFilter) -> StoredLines {
    let services = chosen(slots, filter);
    let frugal = services.len() > OPEN_SERVICES;
    let sources = services.into_iter().map(|(service, slot)| {
        let mut source = Source::open(service, slot, filter, Until::Now);
        if frugal {
            source.rest_often();
        }
        source
    });
    StoredLines::new(sources.collect())
}

/// An iterator over lines on disk.
#[derive(Debug)]
pub struct StoredLines {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<Next>>,
}

/// The next line of a source, ordered by time, then by source.
#[derive(Debug, PartialEq, Eq)]
struct Next {
    at: i64,
    source: usize,
    line: StoredLine,
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.source).cmp(&(other.at, other.source))
    }
}

impl StoredLines {
    fn new(sources: Vec<Source>) -> Self {
        let mut lines = Self { heads: BinaryHeap::with_capacity(sources.len()), sources };
        for source in 0..lines.sources.len() {
            lines.refill(source, i64::MIN);
        }
        lines
    }

    fn refill(&mut self, source: usize, not_before: i64) {
        if let Some(line) = self.sources.get_mut(source).and_then(Source::next) {
            self.heads.push(Reverse(Next { at: line.wall_us.max(not_before), source, line }));
        }
    }
}

impl Iterator for StoredLines {
    type Item = StoredLine;

    fn next(&mut self) -> Option<StoredLine> {
        let Reverse(next) = self.heads.pop()?;
        self.refill(next.source, next.at);
        Some(next.line)
    }
}

/// Up to where a source is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// What is there now, and what is unfinished if nobody will finish it.
    Now,
    /// What is there, and later what is there then; only whole lines.
    Followed,
}

/// One service's lines.
#[derive(Debug)]
pub(super) struct Source {
    service: ServiceId,
    filter: LogFilter,
    until: Until,
    walk: Walk,
    assembly: Assembly,
    bases: Bases,
    drafts: VecDeque<Draft>,
    /// Lines of the first draft that were given.
    given: usize,
    /// Lines that were kept back for a tail.
    kept: VecDeque<StoredLine>,
    rests: bool,
    has_ended: bool,
    /// It began in the middle: the first line of each stream may be the end of one that began before.
    in_doubt: [bool; 2],
    /// Where it began.
    first: u64,
    /// Lines that satisfy the filter, and how many of the next are left out because they were given before.
    count: usize,
    left_out: usize,
    /// Lines of which only the end was read are given, and their numbers noted here; none: it begins again earlier.
    halves: Option<Vec<u64>>,
}

impl Source {
    /// Begins at the oldest line that can be asked for; with a tail, all but that was read when this returns.
    pub(super) fn open(service: ServiceId, slot: PathBuf, filter: &LogFilter, until: Until) -> Self {
        let numbers: Vec<u64> = segments::list(&slot).iter().map(|segment| segment.number).collect();
        let first = filter.since_wall_us.map_or(0, |since| first_since(&slot, &numbers, since));
        let Some(tail) = filter.tail else {
            return Self::at(service, slot, filter, until, numbers.get(first).copied());
        };
        let mut back = 2;
        loop {
            let begin = numbers.len().saturating_sub(back).max(first);
            let number = numbers.get(begin).copied();
            let mut source = Self::at(service.clone(), slot.clone(), filter, until, number);
            if begin > first {
                source.halves = Some(Vec::new());
            }
            if (source.keep(tail) && !source.keeps_half()) || begin == first {
                return source;
            }
            back = back.saturating_mul(2);
        }
    }

    fn at(service: ServiceId, slot: PathBuf, filter: &LogFilter, until: Until, segment: Option<u64>) -> Self {
        let bases = Bases::read(&slot);
        let next_seq = segment.and_then(|segment| bases.of(segment)).unwrap_or(0);
        let begins = segments::list(&slot).first().is_none_or(|oldest| segment.is_none_or(|it| it <= oldest.number));
        let unindexed = match until {
            Until::Now => Unindexed::Guess(clock::now().wall_us),
            Until::Followed => Unindexed::Await(Position::default()),
        };
        Self {
            service,
            filter: filter.clone(),
            until,
            walk: Walk::new(slot, Position { segment: segment.unwrap_or(0), offset: 0 }, unindexed),
            assembly: Assembly::new(Cursor { next_seq, ..Cursor::default() }),
            bases,
            drafts: VecDeque::new(),
            given: 0,
            kept: VecDeque::new(),
            rests: false,
            has_ended: false,
            in_doubt: [!begins; 2],
            first: segment.unwrap_or(0),
            count: 0,
            left_out: 0,
            halves: None,
        }
    }

    /// One of the lines that are kept is the end of one that began before all that was read.
    fn keeps_half(&self) -> bool {
        let halves = self.halves.as_deref().unwrap_or_default();
        self.kept.iter().any(|line| halves.contains(&line.seq))
    }

    /// The segment where the beginning of this line may be, where only its end was read.
    fn beginning_of(&mut self, line: LogLine) -> Option<u64> {
        if !std::mem::replace(&mut self.in_doubt[line.stream as usize], line.continued) {
            return None;
        }
        let slot = self.walk.slot();
        let earlier = segments::list(slot).into_iter().rev().map(|segment| segment.number);
        earlier.filter(|number| *number < self.first).find(|number| index::has_stream(slot, *number, line.stream))
    }

    /// Begins again at an earlier segment; what was given is not given again.
    fn begin_again(&mut self, segment: u64) {
        let slot = self.walk.slot().to_owned();
        let again = Self::at(self.service.clone(), slot, &self.filter, self.until, Some(segment));
        *self = Self { rests: self.rests, left_out: self.count, ..again };
    }

    /// Closes its files between two steps from now on.
    pub(super) const fn rest_often(&mut self) {
        self.rests = true;
    }

    /// Reads all and keeps the last so many lines. True where there are so many.
    fn keep(&mut self, count: usize) -> bool {
        let mut kept = VecDeque::new();
        while let Some(line) = self.next() {
            kept.push_back(line);
            if kept.len() > count {
                kept.pop_front();
            }
        }
        self.kept = kept;
        self.kept.len() == count
    }

    /// The next line; none where there is none now.
    pub(super) fn next(&mut self) -> Option<StoredLine> {
        if let Some(line) = self.kept.pop_front() {
            return Some(line);
        }
        loop {
            while let Some(draft) = self.drafts.front() {
                let (at, takes) = (self.given, self.filter.takes(draft.wall_us));
                let is_needed = takes || self.in_doubt != [false; 2];
                let Some(line) = draft.lines.get(at).copied().filter(|_| is_needed) else {
                    self.drafts.pop_front();
                    self.given = 0;
                    continue;
                };
                self.given += 1;
                let found = StoredLine {
                    service: self.service.clone(),
                    run: draft.run,
                    wall_us: draft.wall_us,
                    seq: draft.first_seq + at as u64,
                    stream: line.stream,
                    continued: line.continued,
                    text: draft.text_of(line).to_owned(),
                };
                if self.takes(&found, line) {
                    return Some(found);
                }
            }
            if self.has_ended || !self.step() {
                return None;
            }
        }
    }

    /// Whether a line is given.
    fn takes(&mut self, found: &StoredLine, line: LogLine) -> bool {
        let takes = self.filter.takes(found.wall_us);
        let was_given = takes && self.left_out > self.count;
        self.count += usize::from(was_given);
        if !takes || was_given {
            self.in_doubt[line.stream as usize] &= line.continued;
            return false;
        }
        if let Some(earlier) = self.beginning_of(line) {
            let Some(halves) = &mut self.halves else {
                self.begin_again(earlier);
                return false;
            };
            halves.push(found.seq);
        }
        self.count += 1;
        true
    }

    /// Reads on; false where nothing more is there.
    fn step(&mut self) -> bool {
        let (assembly, drafts) = (&mut self.assembly, &mut self.drafts);
        let progress = self.walk.step(STEP, |piece| assembly.take(piece, drafts));
        self.assembly.close(&mut self.drafts);
        match progress {
            Progress::Read => {}
            Progress::Entered(number) => {
                // What a run that ended right before left unfinished was counted with that end.
                let has_ended = || index::first_run(self.walk.slot(), number) != self.assembly.run();
                let finished = match self.assembly.would_finish() as u64 {
                    unfinished @ 1.. if has_ended() => unfinished,
                    _ => 0,
                };
                let seq = self.bases.of(number).and_then(|seq| seq.checked_sub(finished));
                if let Some(seq) = seq.filter(|seq| *seq >= self.assembly.next_seq()) {
                    self.assembly.count_from(seq);
                }
            }
            Progress::Anew => self.assembly.begin_anew(),
            Progress::End => match self.until {
                Until::Followed => {
                    // What was given may be gone from the disk when more comes.
                    self.in_doubt = [false; 2];
                    self.walk.rest();
                    return false;
                }
                Until::Now => {
                    self.has_ended = true;
                    self.walk.rest();
                    if self.assembly.run().is_none_or(|run| has_ended(self.walk.slot(), run)) {
                        self.assembly.finish(&mut self.drafts);
                    }
                    self.assembly.finish_notes(&mut self.drafts);
                    return !self.drafts.is_empty();
                }
            },
        }
        if self.rests {
            self.walk.rest();
        }
        true
    }
}

/// The first segment that can have lines from `since` on, and the one before it, where the first of them may have begun.
fn first_since(slot: &Path, numbers: &[u64], since: i64) -> usize {
    let is_older = |number: &u64| index::newest_us(slot, *number).is_some_and(|newest| newest < since);
    numbers.iter().take_while(|number| is_older(number)).count().saturating_sub(1)
}

/// The slot says how the run ended: nobody finishes what it left unfinished.
pub(super) fn has_ended(slot: &Path, run: RunId) -> bool {
    let mut text = String::new();
    let read = segments::open(&slot.join("exit")).and_then(|file| file.take(4096).read_to_string(&mut text));
    read.is_ok() && ExitFile::parse(&text).is_some_and(|exit| exit.run == run.0)
}
