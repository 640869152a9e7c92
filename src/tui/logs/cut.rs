//! Batches cut into entries: which lines go together, how serious they are, which are looked for. Forwards only, one stream of a run after the other.

use super::row::{EntryRow, Standing, seconds};
use crate::{
    insight::{
        entry::{Belongs, Formats, Joiner},
        filter::{Filter, Look},
    },
    model::{
        ids::RunId,
        log::{LogBatch, Stream},
        text,
    },
};

/// Streams of a run.
const STREAMS: usize = 2;

/// Lines before a batch that tell in the middle of what it begins.
const WARM_UP: usize = 48;

/// Where the streams of a run stand.
#[derive(Debug, Default)]
pub struct Joints {
    run: Option<RunId>,
    joiners: [Joiner; STREAMS],
    /// The last line was a piece of a longer one.
    continued: [bool; STREAMS],
}

impl Joints {
    /// As they stand after `batches`, of which the newest comes first.
    pub fn after<'a>(batches: impl Iterator<Item = &'a LogBatch>, run: RunId) -> Self {
        let mut lines = 0;
        let near = |batch: &&LogBatch| {
            let is_near = lines < WARM_UP && batch.run == run;
            lines += batch.lines.len();
            is_near
        };
        let near: Vec<&LogBatch> = batches.take_while(near).collect();
        let mut joints = Self { run: Some(run), ..Self::default() };
        let mut skip = near.iter().map(|batch| batch.lines.len()).sum::<usize>().saturating_sub(WARM_UP);
        for batch in near.into_iter().rev() {
            for line in batch.lines.iter().skip(skip) {
                joints.feed(*line, &text::plain(batch.text_of(*line)));
            }
            skip = skip.saturating_sub(batch.lines.len());
        }
        joints
    }

    /// Begins anew where another run begins.
    pub fn enter(&mut self, run: RunId) -> bool {
        let is_new = self.run != Some(run);
        if is_new {
            *self = Self { run: Some(run), ..Self::default() };
        }
        is_new
    }

    fn feed(&mut self, line: crate::model::log::LogLine, plain: &str) -> Belongs {
        let stream = place(line.stream);
        let is_piece = std::mem::replace(&mut self.continued[stream], line.continued);
        if is_piece { Belongs::Continues } else { self.joiners[stream].feed(plain) }
    }
}

const fn place(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

/// Lines at the beginning of a batch that belong to an entry before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lead {
    /// The first of them.
    pub line: u32,
    /// How many.
    pub lines: u16,
    /// One of them is what is looked for.
    pub is_hit: bool,
}

impl Lead {
    /// These and those that follow them.
    #[must_use]
    pub const fn with(self, later: Self) -> Self {
        let line = if self.lines > 0 { self.line } else { later.line };
        Self { line, lines: self.lines.saturating_add(later.lines), is_hit: self.is_hit || later.is_hit }
    }
}

/// What a batch is made of.
#[derive(Debug, Default)]
pub struct Cut {
    /// Of each stream, what belongs to an entry before.
    pub leads: [Lead; STREAMS],
    /// The entries that begin in it.
    pub entries: Vec<EntryRow>,
    /// Of each stream, the place of its last entry among these.
    pub last: [Option<usize>; STREAMS],
}

impl Cut {
    /// Takes `later` to the entries that it continues. What continues none stays.
    pub fn take_leads(&mut self, later: [Lead; STREAMS]) {
        for (stream, lead) in later.into_iter().enumerate() {
            match self.last[stream].and_then(|last| self.entries.get_mut(last)) {
                Some(entry) => entry.grow(lead.lines, lead.is_hit),
                None => self.leads[stream] = self.leads[stream].with(lead),
            }
        }
    }

    /// What belongs to an entry that is not known, as entries of their own.
    #[must_use]
    pub fn orphans(leads: [Lead; STREAMS], batch: &LogBatch, slot: u32, serial: u64) -> Vec<EntryRow> {
        let row = |lead: Lead| EntryRow {
            serial,
            slot,
            line: lead.line,
            at_s: seconds(batch.wall_us),
            lines: lead.lines,
            level: None,
            standing: if lead.is_hit { Standing::Hit } else { Standing::Plain },
        };
        leads.into_iter().filter(|lead| lead.lines > 0).map(row).collect()
    }
}

/// Cuts a batch, and goes on with `joints` behind it.
pub fn cut(
    batch: &LogBatch,
    (slot, serial): (u32, u64),
    joints: &mut Joints,
    filter: &Filter,
    formats: &Formats,
) -> Cut {
    let mut cut = Cut::default();
    let at_s = seconds(batch.wall_us);
    let service = batch.service.service.as_str();
    for (line, number) in batch.lines.iter().zip(0..) {
        let plain = text::plain(batch.text_of(*line));
        let stream = place(line.stream);
        let goes_on = joints.feed(*line, &plain) == Belongs::Continues;
        let look = |level| Look::at(service, line.stream, &plain, formats).of_level(level);
        let has = |level| !filter.is_empty() && filter.has(&look(level));
        if !goes_on {
            let level = formats.level(&plain);
            let standing = match (filter.is_empty() || filter.admits(&look(level)), has(level)) {
                (false, _) => Standing::Out,
                (true, true) => Standing::Hit,
                (true, false) => Standing::Plain,
            };
            cut.last[stream] = Some(cut.entries.len());
            cut.entries.push(EntryRow { serial, slot, line: number, at_s, lines: 1, level, standing });
            continue;
        }
        if let Some(entry) = cut.last[stream].and_then(|last| cut.entries.get_mut(last)) {
            entry.lines = entry.lines.saturating_add(1);
            if entry.standing == Standing::Plain && has(entry.level) {
                entry.standing = Standing::Hit;
            }
        } else {
            let lead = Lead { line: number, lines: 1, is_hit: has(None) };
            cut.leads[stream] = cut.leads[stream].with(lead);
        }
    }
    cut
}
