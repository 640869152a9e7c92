//! What is known of the patterns in the output of one service: of each template how often it comes, since when, how serious it is, whether it is new; and
//! what of that is news.
//!
//! Promise: memory is bounded whatever the lines are, and the same lines at the same times give the same patterns and news. Never: a clock (each line and each
//! look says when), I/O, or a rule that is about one program. Lines are to come without secrets and without escape sequences: what is learnt is kept and shown.

mod counts;
mod form;
mod news;
mod rate;
mod ring;
mod state;
mod view;

use std::collections::HashMap;

pub use self::state::State;
use self::{
    counts::{Counts, HOUR_US, MINUTE_US, MINUTES, When, sane},
    form::{Change, Form, Sampled},
    news::Desk,
    ring::Ring,
};
use super::templates::{self, Miner, TemplateId};
use crate::model::{ids::RunId, level::Level, mark::SpecMark, pattern::PatternNews};

/// Bounds of what is kept of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Of the miner.
    pub miner: templates::Settings,
    /// Lines from which on something may be called new; it takes [`Self::learning_us`] as well.
    pub learning_lines: u64,
    /// Microseconds from the first line from which on something may be called new.
    pub learning_us: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // A line's beginning says what it is; what is kept a service is about a megabyte with these at most.
            miner: templates::Settings { templates: 1024, line: 512, tokens: 64, cache: 4096 },
            learning_lines: 500,
            learning_us: 2 * MINUTE_US,
        }
    }
}

/// How a service is when it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// When, microseconds since the Unix epoch.
    pub now_us: i64,
    /// It runs.
    pub runs: bool,
    /// Nothing is wrong with it.
    pub is_well: bool,
}

/// From when and from how many lines on is learnt before anything is called new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
struct Begun {
    us: i64,
    lines: u64,
}

/// The hour that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hour {
    number: i64,
    looked_us: i64,
    is_well: bool,
}

/// A look at a service comes at least so often, or it is not known how it was meanwhile.
const LOOK_GAP_US: i64 = 90_000_000;
/// From one look to the next so long is no time in which anything could have been missed.
const SLEPT_US: i64 = 15_000_000;

/// The patterns of one service.
#[derive(Debug)]
pub struct Patterns {
    settings: Settings,
    miner: Miner,
    form: Form,
    counts: HashMap<TemplateId, Box<Counts>>,
    /// [`Miner::merges`] when counts were last folded.
    merges: u64,
    since_us: i64,
    last_us: i64,
    lines: u64,
    dropped: u64,
    begun: Begun,
    run: RunId,
    mark: Option<SpecMark>,
    restart_us: Option<i64>,
    deployment_us: Option<i64>,
    /// The last full hour in which it was well.
    healthy_hour: Option<i64>,
    hour: Option<Hour>,
    /// Minutes in which it could have written something.
    observed: Ring<MINUTES>,
    alive_since: Option<i64>,
    desk: Desk,
}

impl Patterns {
    /// One that knows nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            miner: Miner::new(settings.miner),
            form: Form::default(),
            counts: HashMap::new(),
            merges: 0,
            since_us: 0,
            last_us: 0,
            lines: 0,
            dropped: 0,
            begun: Begun::default(),
            run: RunId(0),
            mark: None,
            restart_us: None,
            deployment_us: None,
            healthy_hour: None,
            hour: None,
            observed: Ring::default(),
            alive_since: None,
            desk: Desk::default(),
        }
    }

    /// Learns from a line, which has neither secrets nor escape sequences. `wall_us`: when it was written, microseconds since the Unix epoch.
    pub fn take(&mut self, line: &str, level: Option<Level>, wall_us: i64, run: RunId) {
        let wall_us = sane(wall_us);
        self.has_begun(run, wall_us);
        let when = When::of(wall_us);
        if self.lines == 0 {
            (self.since_us, self.begun) = (wall_us, Begun { us: wall_us, lines: 0 });
        }
        self.lines += 1;
        self.last_us = self.last_us.max(wall_us);
        self.observed.raise(when.minute, 1);
        let line = &line[..line.floor_char_boundary(self.settings.miner.line)];
        if line.trim_ascii().is_empty() {
            return;
        }
        match self.form.see(line, || Sampled { text: line.to_owned(), level, us: wall_us, run }) {
            Change::None => self.learn(line, level, when),
            Change::First(sample) => self.learn_anew(&sample),
            Change::Another => {
                self.begun = Begun { us: wall_us, lines: self.lines };
                self.learn(line, level, when);
            }
        }
    }

    fn learn(&mut self, line: &str, level: Option<Level>, when: When) {
        let message = self.form.message(line);
        if message.is_empty() {
            return;
        }
        let id = self.miner.learn(message);
        if let Some(counts) = self.counts.get_mut(&id) {
            counts.add(level, when);
        } else {
            self.counts.entry(id).or_default().add(level, when);
            if level >= Some(Level::Error) && id != TemplateId::REST && !self.is_learning() {
                self.desk.is_new(id, when);
            }
        }
        if self.miner.merges() != self.merges {
            self.fold(when.us);
        }
    }

    /// Learns from the first lines once more, now that it is known where their messages begin.
    fn learn_anew(&mut self, sample: &[Sampled]) {
        self.miner = Miner::new(self.settings.miner);
        self.merges = self.miner.merges();
        self.counts.clear();
        for line in sample {
            self.learn(&line.text, line.level, When::of(line.us));
        }
    }

    /// Counts together what has become one.
    fn fold(&mut self, now_us: i64) {
        self.merges = self.miner.merges();
        let mut gone: Vec<TemplateId> =
            self.counts.keys().copied().filter(|id| self.miner.resolve(*id) != *id).collect();
        gone.sort_unstable();
        for id in gone {
            let into = self.miner.resolve(id);
            if into == TemplateId::REST {
                self.desk.crowded_us = Some(now_us);
            }
            if let Some(counts) = self.counts.remove(&id) {
                self.counts.entry(into).or_default().fold(&counts);
            }
        }
    }

    /// Makes one of what differs in values only, as far as that shows by now.
    fn settle(&mut self) {
        self.miner.settle();
        if self.miner.merges() != self.merges {
            self.fold(self.last_us);
        }
    }

    /// So many lines could not be taken.
    pub const fn drop_lines(&mut self, lines: u64) {
        self.dropped = self.dropped.saturating_add(lines);
        // What did not come may have been among them.
        self.alive_since = None;
    }

    /// A run begins, made from what `mark` stands for.
    pub fn run_begins(&mut self, run: RunId, wall_us: i64, mark: SpecMark) {
        let wall_us = sane(wall_us);
        self.has_begun(run, wall_us);
        if self.mark.is_some_and(|before| before.differs(mark)) {
            self.deployment_us = Some(wall_us);
            self.form.again();
        }
        self.mark = Some(mark);
    }

    fn has_begun(&mut self, run: RunId, wall_us: i64) {
        // A line of an earlier run may come late.
        if run > self.run {
            if self.run != RunId(0) {
                self.restart_us = Some(wall_us);
            }
            self.run = run;
        }
    }

    /// Looks how the service is, to be called about once a second; what is to be told.
    pub fn look(&mut self, look: Look) -> Vec<PatternNews> {
        let now = When::of(sane(look.now_us));
        // Where nobody looked, nobody ran: the machine slept, most likely.
        let slept = self.hour.is_some_and(|hour| !(0..SLEPT_US).contains(&(now.us - hour.looked_us)));
        if slept {
            self.alive_since = None;
        }
        if look.runs {
            self.observed.raise(now.minute, 1);
            self.alive_since.get_or_insert(now.us);
        } else {
            self.alive_since = None;
        }
        self.watch_hour(now, look.runs && look.is_well);
        self.news(now)
    }

    /// An hour is a healthy one if the service was well at every look, from its beginning to its end.
    fn watch_hour(&mut self, now: When, is_well: bool) {
        let new = |is_well| Hour { number: now.hour, looked_us: now.us, is_well };
        let Some(before) = self.hour else {
            let is_whole = now.us - now.hour * HOUR_US < LOOK_GAP_US;
            self.hour = Some(new(is_well && is_whole));
            return;
        };
        let is_in_time = (0..LOOK_GAP_US).contains(&(now.us - before.looked_us));
        if now.hour != before.number {
            if is_in_time && before.is_well {
                self.healthy_hour = Some(before.number);
            }
            self.hour = Some(new(is_well && is_in_time));
            return;
        }
        self.hour = Some(new(before.is_well && is_well && is_in_time));
    }

    /// Whether too little is known yet to call anything new.
    #[must_use]
    pub fn is_learning(&self) -> bool {
        self.lines - self.begun.lines < self.settings.learning_lines
            || self.last_us.saturating_sub(self.begun.us) < self.settings.learning_us
    }

    /// Lines that were taken.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }
}

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;
