//! Search of stored output: a gibibyte in archives, against ripgrep on the same text in plain files.

#[path = "search/corpus.rs"]
mod corpus;

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use cas::{
    model::{
        ids::{ProjectName, ServiceId, ServiceName},
        intake::Position,
        redact::{Redactor, Secrets},
        text::plain,
        time::Timestamp,
    },
    shim_format::{IndexKind, IndexRecord, STDOUT},
    world::{
        clock,
        log_files::{
            archive::{Rounds, Tended},
            search::{Direction, Found, Line, Place, Prefilter, Search, search},
        },
    },
};
use regex::Regex;

use self::corpus::Corpus;
use crate::{
    Figure,
    measure::{ms_since, quantile},
};

/// Segments of 8 MiB.
const SEGMENTS: u64 = 128;
const SEGMENT_BYTES: usize = 8 << 20;
/// What one read of a pipe brings.
const BATCH_BYTES: usize = 64 << 10;
const RUNS: usize = 5;

/// One line in about a hundred MiB.
const PLANTED: &str = "2026-11-22 10:00:00.000 ERROR [http-nio-8080-exec-3] com.shop.orders.OrderService - deadlock victim 4711 chosen after \
                       503 tries with timeout=12345\n";
const WITH_LITERAL: &str = r"deadlock victim \d+ chosen";
const WITHOUT_LITERAL: &str = r"\b[45]\d\d\b.*timeout=\d{4,}";
/// A trace that occurs once, somewhere in the middle.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Writes the segments of a slot as a shim does, the same bytes as plain files, and the numbers of their first lines as the engine does.
fn write(slot: &Path, plain: &Path) {
    let mut corpus = Corpus::new(1);
    let (mut wall_us, mut lines) = (1_795_000_000_000_000_i64, 0_u64);
    let mut numbers = File::create(slot.join("seq")).expect("a file can be made");
    for number in 1..=SEGMENTS {
        writeln!(numbers, "{number} {lines}").expect("a file can be written");
        let (mut bytes, mut index) = (Vec::with_capacity(SEGMENT_BYTES), Vec::new());
        while bytes.len() < SEGMENT_BYTES {
            let batch = corpus.lines(BATCH_BYTES.min(SEGMENT_BYTES - bytes.len()));
            let (offset, wall) = (bytes.len() as u64, wall_us);
            bytes.extend_from_slice(batch.as_bytes());
            if number % 13 == 7 && offset == 0 {
                bytes.extend_from_slice(PLANTED.as_bytes());
            }
            if number == SEGMENTS / 2 && offset == 0 {
                bytes.extend_from_slice(format!("trace {TRACE} has ended\n").as_bytes());
            }
            wall_us += 250_000;
            let len = u32::try_from(bytes.len() as u64 - offset).expect("a batch is small");
            let record =
                IndexRecord { offset, len, stream: STDOUT, kind: IndexKind::Data, wall_us: wall, run: 1, count: 0 };
            index.extend_from_slice(&record.encode());
        }
        lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        for (path, bytes) in [
            (slot.join(format!("log.{number:06}")), &bytes),
            (slot.join(format!("idx.{number:06}")), &index),
            (plain.join(format!("app.{number:06}.log")), &bytes),
        ] {
            fs::write(path, bytes).expect("a file can be written");
        }
    }
}

/// Bytes of all files in a directory that are named so.
fn size(directory: &Path, start: &str) -> u64 {
    let entries = fs::read_dir(directory).expect("our own directory").flatten();
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(start)));
    named.map(|entry| entry.metadata().expect("a file of ours").len()).sum()
}

/// Makes archives of all segments but the newest. Milliseconds.
fn pack(slot: &Path) -> f64 {
    let begin = clock::now();
    let mut rounds = Rounds::default();
    let tended = Tended { max_age: None, max_size: None, taken: Position { segment: SEGMENTS, offset: 0 } };
    for mono_us in [1, 40_000_000] {
        let now = Timestamp { mono_us, wall_us: 0 };
        rounds.begin(now);
        rounds.visit(slot, &tended, now).expect("segments can be packed");
    }
    ms_since(begin)
}

fn look(slot: &Path, pattern: &str, lines: usize) -> Found {
    let regex = Regex::new(pattern).expect("a pattern of ours");
    let redactor = Arc::new(Redactor::of(&Secrets::default()));
    // As the engine does it: what is hidden decides nothing.
    let accept = |line: &Line<'_>| regex.is_match(&redactor.text(&plain(line.text)));
    let service = ServiceId {
        project: ProjectName::new("shop").expect("a name of ours"),
        service: ServiceName::new("web").expect("a name of ours"),
    };
    search(&Search {
        places: vec![Place { service, slot: slot.to_owned(), bound: None }],
        direction: Direction::Backward,
        since_us: None,
        until_us: None,
        prefilter: Prefilter::new(pattern).ok().map(|prefilter| prefilter.through(Arc::clone(&redactor))),
        accept: &accept,
        lines,
        near: 0,
        patience: Duration::from_mins(5),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    })
}

fn count(found: &Found) -> usize {
    found.batches.iter().map(|batch| batch.lines.len()).sum()
}

/// Lines that ripgrep finds; none where it is not installed.
fn ripgrep(plain: &Path, pattern: &str) -> Option<usize> {
    let mut command = Command::new("rg");
    command.args(["--no-config", "--no-filename", "--no-line-number", "--color=never", "-e", pattern]).arg(plain);
    let output = command.stdin(Stdio::null()).output().ok()?;
    Some(memchr::memchr_iter(b'\n', &output.stdout).count())
}

/// Median of ours and of ripgrep's, milliseconds, turn by turn.
fn against(slot: &Path, plain: &Path, pattern: &str) -> (f64, Option<f64>) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=RUNS {
        let begin = clock::now();
        let found = count(&look(slot, pattern, 10_000));
        let took = ms_since(begin);
        let begin = clock::now();
        let also = ripgrep(plain, pattern);
        assert!(also.is_none_or(|also| also == found), "{found} lines of {pattern}, and ripgrep has {also:?}");
        // The first round warms the cache.
        if round > 0 {
            ours.push(took);
            theirs.extend(also.map(|_| ms_since(begin)));
        }
    }
    (quantile(&mut ours, 0.5), (!theirs.is_empty()).then(|| quantile(&mut theirs, 0.5)))
}

/// A line of this process's status, in MiB.
fn status_mib(key: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("we are there");
    let line = status.lines().find(|line| line.starts_with(key)).expect("a line of it");
    line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") / 1024.0
}

pub(crate) fn search_of_output() -> Vec<Figure> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (slot, plain) = (directory.path().join("web"), directory.path().join("plain"));
    for made in [&slot, &plain] {
        fs::create_dir(made).expect("a directory can be made");
    }
    write(&slot, &plain);
    let whole = size(&plain, "app.");
    let took = pack(&slot);
    let packed = size(&slot, "log.");
    println!(
        "  ({:.0} MiB in {SEGMENTS} segments, packed {:.2} times smaller at {:.0} MB/s)",
        whole as f64 / f64::from(1 << 20),
        whole as f64 / packed as f64,
        whole as f64 / took / 1000.0
    );
    // The peak is counted anew from here on.
    let _not_allowed = fs::write("/proc/self/clear_refs", "5");
    let before = status_mib("VmRSS");
    assert_eq!(count(&look(&slot, WITHOUT_LITERAL, 10_000)), 10);
    let memory = (status_mib("VmHWM") - before).max(0.0);
    let mut figures = Vec::new();
    let patterns = [
        ("search 1 GiB, with a literal, over ripgrep", WITH_LITERAL, 2.0),
        ("search 1 GiB, without one, over ripgrep", WITHOUT_LITERAL, 2.0),
        ("search 1 GiB for one trace, over ripgrep", TRACE, 2.0),
    ];
    for (name, pattern, target) in patterns {
        match against(&slot, &plain, pattern) {
            (ours, Some(theirs)) => {
                println!("  ({pattern}: {ours:.0} ms, ripgrep {theirs:.0} ms)");
                figures.push(Figure { name, value: ours / theirs, unit: "×", target });
            }
            (ours, None) => {
                println!("  ({pattern}: {ours:.0} ms; ripgrep (rg) is not installed, so there is no ratio)");
            }
        }
    }
    let mut first: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begin = clock::now();
            assert_eq!(count(&look(&slot, "status=503", 1)), 1);
            ms_since(begin)
        })
        .collect();
    figures.push(Figure {
        name: "search 1 GiB, newest hit, p50",
        value: quantile(&mut first, 0.5),
        unit: "ms",
        target: 100.0,
    });
    figures.push(Figure { name: "search 1 GiB, memory", value: memory, unit: "MiB", target: 32.0 });
    figures
}
