//! What is looked for in stored output is found, each line once and in order, whatever form it is stored in and however little patience there is.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

use cas::{
    model::{
        ids::{RunId, ServiceId},
        intake::Position,
        log::{LogBatch, MAX_LINE_BYTES, Stream},
        text::plain,
        time::Timestamp,
    },
    world::log_files::{
        LogFilter, StoredLine,
        archive::{Rounds, Tended},
        read_lines,
        search::{Direction, Found, Line, Place, Prefilter, Search, search},
    },
};
use regex::Regex;

use super::slot::{SlotWriter, id, of, slots};

const PATIENT: Duration = Duration::from_mins(10);

/// Number, when, of which run and stream, whether it goes on, what.
type Seen = (ServiceId, u64, i64, RunId, Stream, bool, String);

fn seen_of(batches: &[LogBatch]) -> Vec<Seen> {
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

fn plainly(line: StoredLine) -> Seen {
    (line.service, line.seq, line.wall_us, line.run, line.stream, line.continued, line.text)
}

/// A question.
#[derive(Debug, Clone)]
struct Asked {
    direction: Direction,
    pattern: Option<String>,
    has_prefilter: bool,
    since_us: Option<i64>,
    until_us: Option<i64>,
    lines: usize,
    patience: Duration,
    threads: usize,
}

impl Asked {
    /// All lines, backward.
    fn all() -> Self {
        Self {
            direction: Direction::Backward,
            pattern: None,
            has_prefilter: false,
            since_us: None,
            until_us: None,
            lines: usize::MAX,
            patience: PATIENT,
            threads: 2,
        }
    }

    fn of(pattern: &str) -> Self {
        Self { pattern: Some(pattern.to_owned()), has_prefilter: true, ..Self::all() }
    }

    fn takes(&self, text: &str, regex: Option<&Regex>) -> bool {
        let _ = self;
        regex.is_none_or(|regex| regex.is_match(&plain(text)))
    }

    fn ask(&self, dir: &Path, bounds: &BTreeMap<ServiceId, Option<u64>>) -> Found {
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
            patience: self.patience,
            threads: self.threads,
        })
    }

    /// What a reader of everything would find, in the order in which it is to be given.
    fn naively(&self, all: &BTreeMap<ServiceId, Vec<Seen>>) -> Vec<Seen> {
        let regex = self.pattern.as_deref().map(|pattern| Regex::new(pattern).unwrap());
        let is_asked = |line: &&Seen| {
            self.since_us.is_none_or(|since| line.2 >= since)
                && self.until_us.is_none_or(|until| line.2 < until)
                && self.takes(&line.6, regex.as_ref())
        };
        let mut queues: Vec<Vec<Seen>> =
            all.values().map(|lines| lines.iter().filter(is_asked).cloned().collect()).collect();
        if self.direction == Direction::Forward {
            queues.iter_mut().for_each(|queue| queue.reverse());
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
fn is_found(dir: &Path, all: &BTreeMap<ServiceId, Vec<Seen>>, asked: &Asked, what: &str) {
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

/// Lines of all kinds on two streams, cut anywhere; runs that end within a line; holes; a clock that is set.
fn random_slot(dir: &Path, service: &str, random: &mut fastrand::Rng) -> SlotWriter {
    let mut web = SlotWriter::new(dir, service, random.u64(400..6000));
    if random.u32(0..8) == 0 {
        web.segment_bytes = 90_000;
    }
    let mut number = 0;
    for _ in 0..random.u32(20..150) {
        web.now_us += random.choice([0, 1, 1, 5, -40, 300]).unwrap() * 20_000;
        web.now_us = web.now_us.max(0);
        if random.u32(0..25) == 0 {
            web.run += 1;
        }
        let mut text = Vec::new();
        for _ in 0..random.u32(0..4) {
            number += 1;
            let body = match random.u32(0..60) {
                0..20 => "plain words here".to_owned(),
                20..29 => "x".repeat(random.usize(0..300)),
                29 => "over many segments ".repeat(random.usize(0..400)),
                30..36 => "\x1b[32mgre\x1b[0men\tand tab".to_owned(),
                36..42 => "ümläut 漢字".to_owned(),
                42..46 => "rewritten\rerror 503".to_owned(),
                46..50 => "status=404 timeout=1234".to_owned(),
                50 if web.segment_bytes > 50_000 => "z".repeat(random.usize(60_000..140_000)),
                _ => "error in a line".to_owned(),
            };
            text.extend(format!("{number} {body}").bytes());
            text.extend(random.choice(["\n", "\n", "\n", "\r\n", "\u{1}\n"]).unwrap().bytes());
            if random.u32(0..20) == 0 {
                text.extend([0xff, 0xfe, b'\n']);
            }
        }
        if random.u32(0..4) == 0 {
            text.extend(format!("{number} and ").bytes());
        }
        let stream = if random.u32(0..3) > 0 { Stream::Stdout } else { Stream::Stderr };
        if !text.is_empty() {
            web.write(stream, text);
            if random.u32(0..20) == 0 {
                web.dropped(77);
            }
            if random.u32(0..30) == 0 {
                web.bytes(b"nobody said whose\n");
            }
        }
    }
    if random.bool() {
        web.exit();
    }
    web
}

/// Packs some of the closed segments as this version does, some as earlier ones did; some lose their index or are gone.
fn store_in_all_forms(web: &SlotWriter, random: &mut fastrand::Rng) {
    let newest = web.end().segment;
    if newest == 0 {
        return;
    }
    let old = SystemTime::now() - Duration::from_secs(60);
    for number in 1..=newest {
        File::options().write(true).open(web.path("log", number)).unwrap().set_modified(old).unwrap();
        if number == newest {
            break;
        }
        match random.u32(0..12) {
            0 => fs::remove_file(web.path("idx", number)).unwrap(),
            1 if random.bool() => web.delete(number),
            2..4 => web.compress(number),
            _ => {}
        }
    }
    pack(web, random.u64(1..=newest), random.choice([300, 1000, 1 << 20]).unwrap());
}

/// What the engine does to closed segments.
fn pack(web: &SlotWriter, before: u64, frame_bytes: u64) {
    let tended = Tended { max_age: None, max_size: None, taken: Position { segment: before, offset: 0 } };
    let mut rounds = Rounds::with_frames(frame_bytes);
    for mono_us in [1, 40_000_000] {
        let now = Timestamp { mono_us, wall_us: web.now_us };
        rounds.begin(now);
        rounds.visit(&web.slot, &tended, now).unwrap();
    }
}

fn stored_by_service(dir: &Path, services: &[&str]) -> BTreeMap<ServiceId, Vec<Seen>> {
    services.iter().map(|name| (id(name), read_lines(&slots(dir), &of(name)).map(plainly).collect())).collect()
}

fn random_question(random: &mut fastrand::Rng, last_us: i64) -> Asked {
    let pattern = [
        None,
        Some("error"),
        Some("(?i)ERROR in"),
        Some(r"^\d+ (plain|error)"),
        Some(r"\b[45]\d\d\b.*timeout=\d{4,}"),
        Some("green  *and"),
        Some("here$"),
        Some(r"\A1\d* "),
        Some(r"[^a-z]503"),
        Some("漢|z{40}"),
        Some(r"nobody\s"),
        Some("x*"),
        Some("never to be found"),
    ];
    let pattern = random.choice(pattern).unwrap().map(str::to_owned);
    let mut instant = || (random.u32(0..3) == 0).then(|| random.i64(0..last_us + 1_000_000));
    let (since_us, until_us) = (instant(), instant());
    Asked {
        direction: if random.bool() { Direction::Backward } else { Direction::Forward },
        pattern,
        has_prefilter: random.u32(0..4) > 0,
        since_us,
        until_us,
        lines: random.choice([1, 2, 7, 50, 1000, usize::MAX]).unwrap(),
        patience: if random.u32(0..3) == 0 { Duration::ZERO } else { PATIENT },
        threads: random.usize(1..4),
    }
}

#[test]
fn a_thousand_searches_find_what_a_reader_of_everything_finds() {
    for seed in 0..25 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let names = &["api", "db", "web"][..random.usize(1..=3)];
        let mut last_us = 0;
        for name in names {
            let web = random_slot(dir.path(), name, &mut random);
            store_in_all_forms(&web, &mut random);
            last_us = last_us.max(web.now_us);
        }
        let all = stored_by_service(dir.path(), names);
        for question in 0..40 {
            let asked = random_question(&mut random, last_us);
            is_found(dir.path(), &all, &asked, &format!("seed {seed}, question {question}, {asked:?}"));
        }
    }
}
