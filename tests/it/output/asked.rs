//! A question to stored output, and what a reader of everything would answer.

use std::{collections::BTreeMap, path::Path, time::Duration};

use cas::{
    model::{
        ids::{RunId, ServiceId},
        intake::Position,
        log::{LogBatch, Stream},
        text::plain,
        time::Timestamp,
    },
    world::log_files::{
        StoredLine,
        archive::{Rounds, Tended},
        read_lines,
        search::{Direction, Found, Line, Place, Prefilter, Search, search},
    },
};
use regex::Regex;

use super::slot::{SlotWriter, id, of, slots};

pub(crate) const PATIENT: Duration = Duration::from_mins(10);

/// Number, when, of which run and stream, whether it goes on, what.
pub(crate) type Seen = (ServiceId, u64, i64, RunId, Stream, bool, String);

pub(crate) fn seen_of(batches: &[LogBatch]) -> Vec<Seen> {
    let lines = batches.iter().flat_map(|batch| {
        batch.lines.iter().enumerate().map(|(at, line)| {
            let seq = batch.first_seq + at as u64;
            (
                batch.service.clone(),
                seq,
                batch.wall_us,
                batch.run,
                line.stream,
                line.continued,
                batch.line(at).to_owned(),
            )
        })
    });
    lines.collect()
}

pub(crate) fn plainly(line: StoredLine) -> Seen {
    (line.service, line.seq, line.wall_us, line.run, line.stream, line.continued, line.text)
}

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) direction: Direction,
    pub(crate) pattern: Option<String>,
    pub(crate) has_prefilter: bool,
    pub(crate) since_us: Option<i64>,
    pub(crate) until_us: Option<i64>,
    pub(crate) lines: usize,
    pub(crate) near: usize,
    pub(crate) patience: Duration,
    pub(crate) threads: usize,
}

impl Asked {
    /// All lines, backward.
    pub(crate) fn all() -> Self {
        Self {
            direction: Direction::Backward,
            pattern: None,
            has_prefilter: false,
            since_us: None,
            until_us: None,
            lines: usize::MAX,
            near: 0,
            patience: PATIENT,
            threads: 2,
        }
    }

    pub(crate) fn of(pattern: &str) -> Self {
        Self { pattern: Some(pattern.to_owned()), has_prefilter: true, ..Self::all() }
    }

    pub(crate) fn takes(&self, text: &str, regex: Option<&Regex>) -> bool {
        let _ = self;
        regex.is_none_or(|regex| regex.is_match(&plain(text)))
    }

    pub(crate) fn ask(&self, dir: &Path, bounds: &BTreeMap<ServiceId, Option<u64>>) -> Found {
        let regex = self.pattern.as_deref().map(|pattern| Regex::new(pattern).unwrap());
        let accept = |line: &Line<'_>| self.takes(line.text, regex.as_ref());
        let place = |(service, bound): (&ServiceId, &Option<u64>)| Place {
            service: service.clone(),
            slot: dir.join(service.service.as_str()),
            bound: *bound,
        };
        search(&Search {
            places: bounds.iter().map(place).collect(),
            direction: self.direction,
            since_us: self.since_us,
            until_us: self.until_us,
            prefilter: self.pattern.as_deref().filter(|_| self.has_prefilter).map(|it| Prefilter::new(it).unwrap()),
            accept: &accept,
            lines: self.lines,
            near: self.near,
            patience: self.patience,
            threads: self.threads,
        })
    }

    /// What a reader of everything would find, in the order in which it is to be given.
    pub(crate) fn naively(&self, all: &BTreeMap<ServiceId, Vec<Seen>>) -> Vec<Seen> {
        let regex = self.pattern.as_deref().map(|pattern| Regex::new(pattern).unwrap());
        let is_asked = |line: &&Seen| {
            self.since_us.is_none_or(|since| line.2 >= since)
                && self.until_us.is_none_or(|until| line.2 < until)
                && self.takes(&line.6, regex.as_ref())
        };
        let mut queues: Vec<Vec<Seen>> =
            all.values().map(|lines| lines.iter().filter(is_asked).cloned().collect()).collect();
        if self.direction == Direction::Forward {
            for queue in &mut queues {
                queue.reverse();
            }
        }
        let mut merged = Vec::new();
        loop {
            let heads = queues.iter().enumerate().filter_map(|(at, queue)| Some((queue.last()?.2, at)));
            let next = match self.direction {
                Direction::Backward => heads.max(),
                Direction::Forward => heads.min(),
            };
            let Some((_, at)) = next else { return merged };
            merged.extend(queues[at].pop());
        }
    }
}

/// Asks until nothing is left, and compares with what is to be found.
#[track_caller]
pub(crate) fn is_found(dir: &Path, all: &BTreeMap<ServiceId, Vec<Seen>>, asked: &Asked, what: &str) {
    let wanted = asked.naively(all);
    let mut got: Vec<Seen> = Vec::new();
    let mut bounds: BTreeMap<ServiceId, Option<u64>> = all.keys().map(|service| (service.clone(), None)).collect();
    let mut asked = asked.clone();
    for round in 0.. {
        if round == 30 {
            // Small steps were tried for long enough.
            asked = Asked { lines: usize::MAX, patience: PATIENT, ..asked };
        }
        let found = asked.ask(dir, &bounds);
        let mut lines = seen_of(&found.batches);
        assert!(lines.len() <= asked.lines, "{what}: {} lines at once", lines.len());
        if asked.patience == PATIENT {
            assert_eq!(lines.len(), asked.lines.min(wanted.len() - got.len()), "{what}: not all at once");
        }
        if asked.direction == Direction::Backward {
            lines.reverse();
        }
        got.extend(lines);
        let at = got.iter().zip(&wanted).position(|(got, wanted)| got != wanted);
        let short = |line: Option<&Seen>| {
            line.map(|line| {
                (line.0.service.clone(), line.1, line.2, line.4, line.6.chars().take(30).collect::<String>())
            })
        };
        assert!(
            at.is_none() && got.len() <= wanted.len(),
            "{what}: line {at:?} is {:?}, not {:?}, and {:?}",
            short(at.and_then(|at| got.get(at))),
            short(at.and_then(|at| wanted.get(at))),
            short(at.and_then(|at| wanted.get(at + 1)))
        );
        if found.is_complete {
            assert_eq!(found.left_bytes, 0, "{what}");
            break;
        }
        let reached: BTreeMap<ServiceId, Option<u64>> =
            found.reached.into_iter().map(|(service, at)| (service, Some(at))).collect();
        assert!(reached != bounds, "{what}: it makes no progress at {bounds:?}");
        assert_eq!(reached.len(), all.len());
        bounds = reached;
    }
    assert_eq!(got.len(), wanted.len(), "{what}: the last is {:?}", wanted.last());
}

/// What the engine does to closed segments.
pub(crate) fn pack(web: &SlotWriter, before: u64, frame_bytes: u64) {
    let tended = Tended { max_age: None, max_size: None, taken: Position { segment: before, offset: 0 } };
    let mut rounds = Rounds::with_frames(frame_bytes);
    for mono_us in [1, 40_000_000] {
        let now = Timestamp { mono_us, wall_us: web.now_us };
        rounds.begin(now);
        rounds.visit(&web.slot, &tended, now).unwrap();
    }
}

pub(crate) fn stored_by_service(dir: &Path, services: &[&str]) -> BTreeMap<ServiceId, Vec<Seen>> {
    services.iter().map(|name| (id(name), read_lines(&slots(dir), &of(name)).map(plainly).collect())).collect()
}
