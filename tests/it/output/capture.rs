//! The engine's reader of a slot.

use std::{collections::BTreeMap, fs, path::Path};

use cas::{
    model::{
        ids::RunId,
        intake::{Cursor, Position},
        log::Stream,
        probe::ProbeKind,
        service::{Backoff, CommandLine, LogPolicy, RestartPolicy, ServiceKind, ServiceSpec, Source, StopPlan},
    },
    world::{
        log_files::{lines_before, read_lines},
        output::{Capture, Taken},
    },
};
use tokio::sync::mpsc;

use super::slot::{SlotWriter, id, of, slots, texts};

pub(crate) fn spec(ready: Option<&str>) -> ServiceSpec {
    ServiceSpec {
        base_environment: None,
        limits: cas::model::service::Limits::default(),
        attributes: cas::model::attributes::Attributes::default(),
        logs: LogPolicy::default(),
        log_files: std::sync::Arc::default(),
        tty: false,
        id: id("web"),
        kind: ServiceKind::Process,
        container: None,
        command: CommandLine::Argv(vec!["true".to_owned()]),
        working_dir: "/".into(),
        environment: BTreeMap::new(),
        secrets: BTreeMap::new(),
        depends_on: BTreeMap::new(),
        nature: None,
        probes: BTreeMap::new(),
        ready_log_line: ready.map(str::to_owned),
        restart: RestartPolicy::No,
        backoff: Backoff::default(),
        stop: StopPlan::default(),
        hooks: cas::model::hooks::Hooks::default(),
        ports: Vec::new(),
        autostart: false,
        occasions: cas::model::occasion::Occasions::default(),
        source: Source { file: "cas.yaml".into(), line: 1, column: 1 },
        description: None,
    }
}

/// A line with its number.
pub(crate) type Line = (u64, String);

/// A capture and what it handed on.
pub(crate) struct Rig {
    pub(crate) capture: Capture,
    output: (mpsc::Sender<Taken>, mpsc::Receiver<Taken>),
}

impl Rig {
    pub(crate) fn new(slot: &Path, cursor: Cursor) -> Self {
        Self { capture: Capture::open(slot, "shop-0".into(), id("web"), cursor), output: mpsc::channel(1024) }
    }

    /// Hands on what waits.
    pub(crate) fn taken(&mut self) -> Vec<Taken> {
        self.capture.hand_on_now(&self.output.0);
        std::iter::from_fn(|| self.output.1.try_recv().ok()).collect()
    }

    /// Reads all that is there.
    pub(crate) fn read(&mut self) -> Vec<Taken> {
        let mut all = Vec::new();
        loop {
            let more = self.capture.read();
            all.extend(self.taken());
            if !more {
                return all;
            }
        }
    }
}

pub(crate) fn lines(taken: &[Taken]) -> Vec<Line> {
    let of = |taken: &Taken| {
        let batch = taken.batch.clone();
        let seqs = batch.first_seq..;
        seqs.zip((0..batch.lines.len()).map(|at| batch.line(at).to_owned()).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    taken.iter().flat_map(of).collect()
}

pub(crate) fn words(taken: &[Taken]) -> Vec<String> {
    lines(taken).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn what_is_added_comes_with_its_time_and_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    let mut rig = Rig::new(&web.slot, Cursor::default());
    assert!(!rig.capture.read() && rig.capture.end() == Position::default());
    web.out("one\ntw");
    assert_eq!(words(&rig.read()), ["one"]);
    assert_eq!(rig.capture.end(), web.end());
    (web.run, web.now_us) = (1, 77_000_000);
    web.out("o\n");
    web.err("three\n");
    let taken = rig.read();
    assert_eq!(lines(&taken), [(1, "two".to_owned()), (2, "three".to_owned())]);
    assert_eq!((taken[0].batch.wall_us, taken[0].batch.run, &*taken[0].place), (77_000_000, RunId(1), "shop-0"));
    assert_eq!(taken.last().unwrap().cursor().unwrap(), Cursor { stdout: web.end(), stderr: web.end(), next_seq: 3 });
    assert!(rig.read().is_empty());
}

#[test]
fn bytes_wait_for_their_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    let mut rig = Rig::new(&web.slot, Cursor::default());
    web.out("one\n");
    web.bytes(b"two\n");
    assert_eq!(words(&rig.read()), ["one"]);
    web.record(Stream::Stderr, 4, cas::shim_format::IndexKind::Recovered, 0);
    let taken = rig.read();
    assert_eq!(words(&taken), ["two"]);
    assert_eq!(taken[0].batch.lines[0].stream, Stream::Stderr);
}

#[test]
fn the_end_of_a_run_shows_an_unfinished_line_and_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 20);
    let mut rig = Rig::new(&web.slot, Cursor::default());
    rig.capture.begin_run(RunId(1), &spec(None));
    web.out("1\n2\n3\n4\n");
    web.err("\x1b[31mpanic\x1b[0m\n \nunfinished");
    rig.capture.drain(web.end());
    let taken = rig.taken();
    assert_eq!(words(&taken), ["1", "2", "3", "4", "\x1b[31mpanic\x1b[0m", " ", "unfinished"]);
    assert_eq!(rig.capture.last_words(), ["2", "3", "4", "panic", "unfinished"]);
    let cursor = taken.last().unwrap().cursor().unwrap();
    assert_eq!((cursor.stdout, cursor.stderr, cursor.next_seq), (web.end(), web.end(), 7));
    web.run = 2;
    rig.capture.begin_run(RunId(2), &spec(None));
    web.err("fresh\n");
    assert_eq!(lines(&rig.read()), [(7, "fresh".to_owned())]);
    assert_eq!(rig.capture.last_words(), ["fresh"]);
    // An engine that comes later has heard nothing, and looks it up.
    let mut later = Rig::new(&web.slot, Cursor { stdout: web.end(), stderr: web.end(), next_seq: 8 });
    later.capture.begin_run(RunId(2), &spec(None));
    later.capture.drain(web.end());
    assert_eq!(later.capture.last_words(), ["fresh"]);
    assert!(later.taken().is_empty());
}

#[test]
fn a_run_that_was_heard_from_its_beginning_and_says_nothing_is_not_looked_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    // Words that only a look at the disk can find: they stand before where this engine begins.
    web.run = 2;
    web.out("words\n");
    let mut rig = Rig::new(&web.slot, Cursor { stdout: web.end(), stderr: web.end(), next_seq: 1 });
    rig.capture.begin_run(RunId(2), &spec(None));
    assert_eq!(rig.capture.last_words(), ["words"], "an earlier engine may have heard them");
    rig.capture.begin_run(RunId(1), &spec(None));
    rig.capture.begin_run(RunId(2), &spec(None));
    assert_eq!(rig.capture.last_words(), Vec::<String>::new());
    web.out("heard\n");
    rig.capture.drain(web.end());
    assert_eq!(rig.capture.last_words(), ["heard"]);
}

#[test]
fn an_end_that_was_not_indexed_is_read_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    web.out("one\n");
    web.bytes(b"two\nunfin");
    let mut rig = Rig::new(&web.slot, Cursor::default());
    rig.capture.drain(web.end());
    assert_eq!(words(&rig.taken()), ["one", "two", "unfin"]);
    // An end that is not there does not hold us.
    rig.capture.drain(Position { segment: 9, offset: 9 });
    assert!(rig.taken().is_empty());
}

#[test]
fn a_pattern_is_looked_for_in_its_run_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    let mut rig = Rig::new(&web.slot, Cursor::default());
    web.out("ready\n");
    web.run = 2;
    rig.capture.begin_run(RunId(2), &spec(Some("^ready$")));
    assert_eq!(rig.capture.watch(None, "^ready$"), Ok(false));
    assert_eq!(words(&rig.read()), ["ready"]);
    assert!(rig.capture.take_answered().is_empty(), "an earlier run said it");
    web.out("\x1b[1mre");
    rig.read();
    web.out("ady\x1b[0m\n");
    rig.read();
    assert_eq!(rig.capture.take_answered(), [None]);
    assert_eq!(rig.capture.has_matched("^ready$"), Ok(true));
    assert_eq!(rig.capture.watch(Some(ProbeKind::Startup), "^ready$"), Ok(true));
    assert!(rig.capture.watch(None, "(").is_err());
}

#[test]
fn a_reader_that_was_overtaken_goes_on_with_what_is_there_and_says_what_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 100);
    web.out("1 one\n");
    let mut rig = Rig::new(&web.slot, Cursor::default());
    assert_eq!(words(&rig.read()), ["1 one"]);
    for n in 2..100 {
        web.out(format!("{n} 56789\n"));
    }
    assert!(web.end().segment > 8);
    for number in 1..6 {
        web.delete(number);
    }
    let taken = rig.read();
    assert!(words(&taken).last().unwrap().starts_with("99 "));
    assert_eq!(lines(&taken)[0].0, 1, "numbers go on");
    assert_eq!(rig.capture.take_dropped(), 494, "four segments, and the rest of the first");
    assert_eq!(rig.capture.take_dropped(), 0);
    web.dropped(1000);
    web.out("after\n");
    assert_eq!(words(&rig.read()), ["[cas: 1000 bytes of output could not be kept: disk full]", "after"]);
    assert_eq!(rig.capture.take_dropped(), 1000);
}

#[test]
fn a_deleted_segment_that_is_open_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 100);
    let mut rig = Rig::new(&web.slot, Cursor::default());
    web.out("1\n");
    rig.read();
    rig.capture.watch(None, "x").unwrap();
    web.out("2\n");
    // Open now, and not read to the end.
    assert!(rig.capture.read());
    web.out(format!("3 {}\n4\n", "x".repeat(120)));
    web.delete(1);
    let found = words(&rig.read());
    assert_eq!((found[0].as_str(), found.last().unwrap().as_str(), rig.capture.take_dropped()), ("2", "4", 0));
    assert_eq!(found.len(), 3);
}

#[test]
fn segments_that_were_begun_anew_are_read_from_their_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 50);
    for n in 0..50 {
        web.out(format!("{n} line\n"));
    }
    let mut rig = Rig::new(&web.slot, Cursor::default());
    assert_eq!(rig.read().iter().map(|taken| taken.batch.lines.len()).sum::<usize>(), 50);
    let cursor = Cursor { stdout: web.end(), stderr: web.end(), next_seq: 50 };
    fs::remove_dir_all(&web.slot).unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 50);
    web.out("anew\n");
    assert_eq!(lines(&rig.read()), [(50, "anew".to_owned())]);
    assert_eq!(lines(&Rig::new(&web.slot, cursor).read()), [(50, "anew".to_owned())]);
}

#[test]
fn what_a_lost_power_supply_cut_off_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    web.out("one\n");
    let far = Position { segment: 1, offset: 500 };
    let mut rig = Rig::new(&web.slot, Cursor { stdout: far, stderr: far, next_seq: 40 });
    assert!(rig.read().is_empty());
    web.out("two\n");
    assert_eq!(lines(&rig.read()), [(40, "two".to_owned())]);
}

#[test]
fn memory_stays_bounded_while_nobody_takes() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1 << 20);
    let line = "x".repeat(99);
    for _ in 0..80 {
        web.out(format!("{line}\n").repeat(1000));
    }
    web.out("the end\nunfinished");
    let mut rig = Rig::new(&web.slot, Cursor::default());
    rig.capture.begin_run(RunId(1), &spec(None));
    for _ in 0..100 {
        assert!(rig.capture.read());
    }
    rig.capture.drain(web.end());
    assert_eq!(rig.capture.last_words()[3..], ["the end", "unfinished"], "they are known before all was handed on");
    let first = rig.taken();
    let bytes: usize = first.iter().map(|taken| taken.batch.text.len()).sum();
    assert!(bytes < 2 << 20, "{bytes}");
    let rest = rig.read();
    let count = |taken: &[Taken]| taken.iter().map(|taken| taken.batch.lines.len()).sum::<usize>();
    assert_eq!(count(&first) + count(&rest), 80_002);
    assert_eq!(words(&rest).last().unwrap(), "unfinished");
    assert_eq!(rest.last().unwrap().cursor().unwrap().stdout, web.end());
}

#[test]
fn what_came_before_a_cursor_is_found_with_its_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 777);
    for n in 0..500 {
        web.out(format!("{n} out\n{n} o"));
        web.err(format!("{n} e"));
        web.out("ut\n");
        web.err("rr\n");
    }
    let mut rig = Rig::new(&web.slot, Cursor::default());
    let taken = rig.read();
    let all = lines(&taken);
    for (at, taken) in taken.iter().enumerate().step_by(17) {
        for bytes in [1, 100, 3000, 1 << 20] {
            let before = lines_before(&web.slot, &id("web"), taken.cursor().unwrap(), bytes);
            let found: Vec<Line> = before
                .iter()
                .flat_map(|batch| (batch.first_seq..).zip((0..batch.lines.len()).map(|at| batch.line(at).to_owned())))
                .collect();
            let end = usize::try_from(taken.cursor().unwrap().next_seq).unwrap();
            assert_eq!(found, all[end - found.len()..end], "batch {at}, {bytes} bytes");
            assert!(bytes < 3000 || found.len() > 100 || found.len() == end, "{bytes}: {}", found.len());
        }
    }
}

#[test]
fn who_reads_from_the_disk_counts_as_the_engine_did() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 333);
    let mut rig = Rig::new(&web.slot, Cursor::default());
    let mut all = Vec::new();
    for n in 0..200 {
        web.out(format!("{n} and then\n{n} some"));
        all.extend(lines(&rig.read()));
        if n == 100 {
            rig.capture.drain(web.end());
            all.extend(lines(&rig.taken()));
            web.run = 2;
        }
    }
    for number in 1..6 {
        web.delete(number);
    }
    web.compress(6);
    let stored: Vec<Line> = read_lines(&slots(dir.path()), &of("web")).map(|line| (line.seq, line.text)).collect();
    // Of the first, the beginning is gone.
    assert_eq!(stored[1..], all[all.len() - stored.len() + 1..]);
    assert_eq!(texts(read_lines(&slots(dir.path()), &of("web"))).len(), stored.len());
    // The database is lost: numbers go on.
    let again = lines(&Rig::new(&web.slot, Cursor::default()).read());
    assert_eq!(again[1..], stored[1..]);
}

#[test]
fn lines_without_text_weigh_too_where_batches_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1 << 20);
    let mut rig = Rig::new(&web.slot, Cursor::default());
    web.out("\n".repeat(300_000));
    let taken = rig.read();
    assert_eq!(taken.iter().map(|taken| taken.batch.lines.len()).sum::<usize>(), 300_000);
    let heaviest = taken.iter().map(|taken| taken.batch.weight()).max().unwrap();
    assert!(heaviest < 64 * 1024, "{heaviest} bytes");
}

#[test]
fn what_a_run_wrote_last_is_known_to_be_missing_until_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 16 << 20);
    let mut rig = Rig::new(&web.slot, Cursor::default());
    web.out("a line of a flood that nobody takes in time\n".repeat(100_000));
    rig.capture.drain(web.end());
    assert!(rig.capture.is_behind_end());
    let taken = rig.taken().len();
    assert!(taken > 0);
    rig.read();
    assert!(!rig.capture.is_behind_end());
}
