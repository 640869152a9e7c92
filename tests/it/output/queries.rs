//! Random questions to random slots: what readers give is what stands in the segments.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use cas::{
    model::{intake::Position, log::Stream, time::Timestamp},
    shim_format::{INDEX_BYTES, IndexRecord},
    world::log_files::{
        LogFilter, StoredLine,
        archive::{Rounds, Tended},
        follow, read_lines,
    },
};

use super::slot::{SlotWriter, of, slots};

/// When, on which stream, in which run, what.
type Line = (i64, Stream, u64, String);

const SECOND_US: i64 = 1_000_000;

/// Reads the raw segments by their index, in the plainest way.
fn plainly(slot: &Path, last: u64, has_ended: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut begun: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let mut before = (0, 0);
    for number in 1..=last {
        let bytes = fs::read(slot.join(format!("log.{number:06}"))).unwrap();
        let index = fs::read(slot.join(format!("idx.{number:06}"))).unwrap();
        for record in index.as_chunks::<INDEX_BYTES>().0.iter().map(|record| IndexRecord::decode(record).unwrap()) {
            if before.0 != record.run {
                end_run(&mut lines, &mut begun, before);
            }
            before = (record.run, record.wall_us);
            let from = usize::try_from(record.offset).unwrap();
            for byte in &bytes[from..from + record.len as usize] {
                let line = begun.entry(record.stream).or_default();
                if *byte == b'\n' {
                    let text = String::from_utf8(std::mem::take(line)).unwrap();
                    let text = text.strip_suffix('\r').unwrap_or(&text).to_owned();
                    lines.push((record.wall_us, stream(record.stream), record.run, text));
                } else {
                    line.push(*byte);
                }
            }
        }
    }
    if has_ended {
        end_run(&mut lines, &mut begun, before);
    }
    lines
}

fn end_run(lines: &mut Vec<Line>, begun: &mut BTreeMap<u8, Vec<u8>>, (run, wall_us): (u64, i64)) {
    for (number, line) in std::mem::take(begun).into_iter().filter(|(_, line)| !line.is_empty()) {
        lines.push((wall_us, stream(number), run, String::from_utf8(line).unwrap()));
    }
}

fn stream(number: u8) -> Stream {
    if number == 1 { Stream::Stdout } else { Stream::Stderr }
}

/// Two streams, lines of all lengths cut anywhere, runs that end within a line; many small segments.
fn random_slot(dir: &Path, random: &mut fastrand::Rng) -> SlotWriter {
    let mut web = SlotWriter::new(dir, "web", random.u64(200..3000));
    let is_tty = random.bool();
    let mut number = 0;
    for _ in 0..random.u32(50..200) {
        web.now_us += random.choice([0, 1, 20, 5000]).unwrap() * 20_000;
        if random.u32(0..30) == 0 {
            web.run += 1;
        }
        let mut text = String::new();
        for _ in 0..random.u32(0..4) {
            number += 1;
            let long = random.choice([0, 3, 30, 100]).unwrap();
            text += &(number.to_string() + " " + &"漢x".repeat(long));
            // In a terminal a line ends with both.
            text.push_str(if is_tty { "\r\n" } else { "\n" });
        }
        if random.bool() {
            number += 1;
            text += &(number.to_string() + " and ");
        }
        let stream = if is_tty || random.bool() { Stream::Stdout } else { Stream::Stderr };
        if !text.is_empty() {
            web.write(stream, text);
        }
    }
    if random.bool() {
        web.exit();
    }
    web
}

fn found(lines: impl IntoIterator<Item = StoredLine>) -> Vec<Line> {
    lines.into_iter().map(|line| (line.wall_us, line.stream, line.run.0, line.text)).collect()
}

fn asked(lines: &[Line], filter: &LogFilter) -> Vec<Line> {
    let is_in = |line: &&Line| {
        filter.since_wall_us.is_none_or(|since| line.0 >= since)
            && filter.until_wall_us.is_none_or(|until| line.0 < until)
    };
    let all: Vec<Line> = lines.iter().filter(is_in).cloned().collect();
    all[all.len() - filter.tail.unwrap_or(all.len()).min(all.len())..].to_vec()
}

#[track_caller]
fn are_same(got: &[Line], wanted: &[Line], what: &str) {
    let at = got.iter().zip(wanted).position(|(got, wanted)| got != wanted).unwrap_or(got.len().min(wanted.len()));
    let short = |line: &Line| (line.0, line.1, line.2, line.3.chars().take(30).collect::<String>(), line.3.len());
    assert!(
        got == wanted,
        "{what}: {} lines, not {}; line {at} is {:?}, not {:?}",
        got.len(),
        wanted.len(),
        got.get(at).map(short),
        wanted.get(at).map(short),
    );
}

fn random_filter(random: &mut fastrand::Rng, (first, last): (i64, i64)) -> LogFilter {
    let mut instant = || random.bool().then(|| random.i64(first - SECOND_US..last + SECOND_US));
    let (since_wall_us, until_wall_us) = (instant(), instant());
    let tail = random.bool().then(|| random.choice([0, 1, 2, 10, 100, 1000]).unwrap());
    LogFilter { since_wall_us, until_wall_us, tail, ..of("web") }
}

/// What the engine does to closed segments; the newest of them stays raw.
fn compress_some(web: &SlotWriter, random: &mut fastrand::Rng) {
    let segment = random.u64(1..=web.end().segment);
    let tended = Tended { max_age: None, max_size: None, taken: Position { segment, offset: 0 } };
    let mut rounds = Rounds::default();
    for mono_us in [1, 40_000_000] {
        let now = Timestamp { mono_us, wall_us: web.now_us };
        rounds.begin(now);
        rounds.visit(&web.slot, &tended, now).unwrap();
    }
}

#[test]
fn a_thousand_questions_get_what_the_segments_say() {
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let web = random_slot(dir.path(), &mut random);
        let lines = plainly(&web.slot, web.end().segment, web.slot.join("exit").exists());
        compress_some(&web, &mut random);
        let times = (lines[0].0, lines[lines.len() - 1].0);
        for question in 0..20 {
            let filter = random_filter(&mut random, times);
            let got = found(read_lines(&slots(dir.path()), &filter));
            are_same(&got, &asked(&lines, &filter), &format!("seed {seed}, question {question}, {filter:?}"));
        }
    }
}

#[test]
fn who_follows_gets_what_was_there_and_what_comes() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let mut web = random_slot(dir.path(), &mut random);
        // A line that nobody goes on with belongs to a run before, for whoever follows.
        web.run += 1;
        web.out("one more\n");
        let lines = plainly(&web.slot, web.end().segment, false);
        let filter = LogFilter { until_wall_us: None, ..random_filter(&mut random, (lines[0].0, web.now_us)) };
        let mut follower = follow(&slots(dir.path()), &filter);
        let mut got = found(follower.poll());
        are_same(&got, &asked(&lines, &filter), &format!("seed {seed}, {filter:?}"));
        compress_some(&web, &mut random);
        web.now_us += 2 * SECOND_US;
        for number in 0..50 {
            web.out(format!("later {number}\n"));
            if number % 7 == 0 {
                compress_some(&web, &mut random);
                got.extend(found(follower.poll()));
            }
        }
        got.extend(found(follower.poll()));
        let later: Vec<_> = got[got.len() - 50..].iter().map(|line| line.3.clone()).collect();
        assert_eq!(later, (0..50).map(|number| format!("later {number}")).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn where_an_index_is_missing_or_cut_every_line_is_there_all_the_same_at_the_time_of_its_segment() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let mut web = SlotWriter::new(dir.path(), "web", 200);
        for number in 0..random.u32(200..500) {
            web.out(format!("{number}\n"));
        }
        web.exit();
        let wanted = plainly(&web.slot, web.end().segment, true);
        for number in 1..=web.end().segment {
            let (log, index) = (web.path("log", number), web.path("idx", number));
            let last = fs::read(&index).unwrap();
            let last = IndexRecord::decode(last.as_chunks::<INDEX_BYTES>().0.last().unwrap()).unwrap();
            let written = SystemTime::UNIX_EPOCH + Duration::from_micros(last.wall_us.cast_unsigned());
            File::options().write(true).open(log).unwrap().set_modified(written).unwrap();
            match random.u32(0..4) {
                0 => fs::remove_file(index).unwrap(),
                1 => {
                    let whole = fs::metadata(&index).unwrap().len();
                    File::options().write(true).open(index).unwrap().set_len(random.u64(0..whole)).unwrap();
                }
                _ => {}
            }
        }
        compress_some(&web, &mut random);
        let texts = |lines: &[Line]| lines.iter().map(|line| (0, line.1, 1, line.3.clone())).collect::<Vec<_>>();
        let whole = found(read_lines(&slots(dir.path()), &of("web")));
        are_same(&texts(&whole), &texts(&wanted), &format!("seed {seed}"));
        // A guess is off by a segment at most.
        for (guessed, known) in whole.iter().zip(&wanted) {
            assert!((guessed.0 - known.0).abs() <= 100 * 10_000, "seed {seed}: {guessed:?} for {known:?}");
        }
        for _ in 0..10 {
            let filter = random_filter(&mut random, (wanted[0].0, wanted[wanted.len() - 1].0));
            assert_eq!(
                found(read_lines(&slots(dir.path()), &filter)),
                asked(&whole, &filter),
                "seed {seed}: {filter:?}"
            );
        }
    }
}
