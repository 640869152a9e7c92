//! Readers of what is on disk.

use std::fs;

use cas::{
    model::{
        ids::{RunId, ServiceName},
        log::{MAX_LINE_BYTES, Stream},
    },
    shim_format::{INDEX_BYTES, IndexKind},
    world::log_files::{LogFilter, StoredLine, follow, read_lines, stored_services},
};

use super::slot::{SlotWriter, id, of, slots, stored, texts};
use crate::support::eventually;

/// Numbered lines, so that what is missing shows.
fn numbers(lines: impl IntoIterator<Item = StoredLine>) -> Vec<u64> {
    lines.into_iter().map(|line| line.text.split(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn lines_are_joined_over_borders_and_each_stream_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 10);
    web.out("first li");
    web.err("oh, ");
    web.out("ne\nsecond\r\nthi");
    web.err("no\n");
    web.out("rd\n\nlast\n");
    let lines: Vec<StoredLine> = read_lines(&slots(dir.path()), &of("web")).collect();
    let found: Vec<_> = lines.iter().map(|line| (line.seq, line.stream, line.text.as_str())).collect();
    let (out, err) = (Stream::Stdout, Stream::Stderr);
    let wanted = [
        (0, out, "first line"),
        (1, out, "second"),
        (2, err, "oh, no"),
        (3, out, "third"),
        (4, out, ""),
        (5, out, "last"),
    ];
    assert_eq!(found, wanted);
    assert!(lines.iter().all(|line| line.run == RunId(1) && !line.continued && line.service == id("web")));
    assert_eq!((lines[0].wall_us, lines[5].wall_us), (1_020_000, 1_040_000), "when the line was complete");
    assert!(fs::read_dir(&web.slot).unwrap().count() > 4);
    assert_eq!(stored_services(&slots(dir.path())), [id("web")]);
}

#[test]
fn what_is_no_text_or_too_long_is_shown_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 30_000);
    web.out(b"good\n\xff\xfe\0\0\0bad\n");
    web.out(vec![0; 5000]);
    web.out("\n");
    web.out("€".repeat(60_000));
    web.out(" end\nafter\n");
    let lines: Vec<StoredLine> = read_lines(&slots(dir.path()), &of("web")).collect();
    assert_eq!((lines[0].text.as_str(), lines[1].text.as_str()), ("good", "\u{FFFD}\u{FFFD}\0\0\0bad"));
    assert_eq!(lines[2].text, "\0".repeat(5000));
    let (after, long) = lines[3..].split_last().unwrap();
    assert!(long.len() == 3 && long.iter().all(|piece| piece.text.len() <= MAX_LINE_BYTES));
    assert_eq!(long.iter().map(|piece| piece.continued).collect::<Vec<_>>(), [true, true, false]);
    assert!(long.iter().map(|piece| piece.text.as_str()).collect::<String>() == format!("{} end", "€".repeat(60_000)));
    assert_eq!(after.text, "after");
}

#[test]
fn an_unfinished_line_is_one_when_its_run_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    web.out("one\nunfin");
    assert_eq!(stored(dir.path(), "web"), ["one"]);
    web.exit();
    assert_eq!(stored(dir.path(), "web"), ["one", "unfin"]);
    web.run = 2;
    web.out("two\n");
    assert_eq!(stored(dir.path(), "web"), ["one", "unfin", "two"], "and the next run does not go on with it");
}

#[test]
fn services_are_merged_by_time_and_each_keeps_its_own_order() {
    let dir = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (SlotWriter::new(dir.path(), "a", 50), SlotWriter::new(dir.path(), "b", 50));
    for n in 0..50 {
        (a.now_us, b.now_us) = (n * 30_000, n * 30_000 + 10_000);
        a.out(format!("a{n}\n"));
        b.out(format!("b{n}\n"));
    }
    // The clock is set back.
    a.now_us = 100_000;
    a.out("late\n");
    a.now_us = 9_000_000;
    a.out("last\n");
    let all = texts(read_lines(&slots(dir.path()), &LogFilter::default()));
    let expected: Vec<String> = (0..50).flat_map(|n| [format!("a{n}"), format!("b{n}")]).collect();
    assert_eq!(all.iter().filter(|text| text.len() < 4).cloned().collect::<Vec<_>>(), expected);
    assert_eq!(stored(dir.path(), "a")[49..], ["a49", "late", "last"]);
    let some = LogFilter { since_wall_us: Some(90_000), until_wall_us: Some(140_000), ..LogFilter::default() };
    assert_eq!(texts(read_lines(&slots(dir.path()), &some)), ["a3", "b3", "a4", "late", "b4"][..].to_vec());
}

#[test]
fn archives_and_segments_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    for n in 0..1000 {
        web.out(format!("{n} {}\n", "y".repeat(n % 90)));
    }
    let whole: Vec<StoredLine> = read_lines(&slots(dir.path()), &of("web")).collect();
    assert_eq!(numbers(whole.clone()), (0..1000).collect::<Vec<_>>());
    let newest = web.end().segment;
    for number in 1..newest - 2 {
        web.compress(number);
    }
    assert!(read_lines(&slots(dir.path()), &of("web")).collect::<Vec<_>>() == whole);
    // Somebody died while this was compressed: the raw one counts.
    fs::write(web.slot.join(format!("log.{:06}.gz", newest - 1)), b"half of an arch").unwrap();
    assert!(read_lines(&slots(dir.path()), &of("web")).collect::<Vec<_>>() == whole);
    for tail in [0, 1, 2, 10, 300, 999, 1000, 2000] {
        let filter = LogFilter { tail: Some(tail), ..of("web") };
        let found = texts(read_lines(&slots(dir.path()), &filter));
        assert!(found == texts(whole[1000_usize.saturating_sub(tail)..].to_vec()), "tail {tail}: {}", found.len());
    }
}

#[test]
fn since_reads_archives_that_have_something_and_leaves_the_others_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 500);
    for n in 0..300 {
        web.out(format!("{n} some text\n"));
    }
    for number in 1..web.end().segment {
        web.compress(number);
    }
    // What is not asked for is not even opened: it would show.
    fs::write(web.slot.join("log.000002.gz"), b"\x1f\x8b garbage").unwrap();
    let since = 1_000_000 + 150 * 10_000;
    let filter = LogFilter { since_wall_us: Some(since), ..of("web") };
    assert_eq!(numbers(read_lines(&slots(dir.path()), &filter)), (150..300).collect::<Vec<_>>());
    let none = LogFilter { since_wall_us: Some(i64::MAX), ..of("web") };
    assert_eq!(read_lines(&slots(dir.path()), &none).count(), 0);
}

#[test]
fn a_damaged_index_costs_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 100_000);
    for n in 0..100 {
        web.out(format!("{n} line\n"));
    }
    let index = web.path("idx", 1);
    let good = fs::read(&index).unwrap();
    let all: Vec<u64> = (0..100).collect();
    for at in (0..good.len()).step_by(13) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        fs::write(&index, &bad).unwrap();
        assert_eq!(numbers(read_lines(&slots(dir.path()), &of("web")).take(99)), all[..99], "byte {at}");
    }
    let mut zeroed = good.clone();
    zeroed[800..2000].fill(0);
    fs::write(&index, &zeroed).unwrap();
    assert_eq!(numbers(read_lines(&slots(dir.path()), &of("web"))), all, "a run of NULs");
    // Half a record is left, and a later shim went on behind it.
    fs::write(&index, [&good[..410], &good[440..]].concat()).unwrap();
    assert_eq!(numbers(read_lines(&slots(dir.path()), &of("web"))), all);
    // The log goes on in another segment; the end of this one was never indexed.
    fs::write(&index, &good[..10 * INDEX_BYTES]).unwrap();
    fs::write(web.path("log", 2), "100 more\n").unwrap();
    let lines: Vec<StoredLine> = read_lines(&slots(dir.path()), &of("web")).collect();
    assert_eq!(numbers(lines[..100].to_vec()), all);
    assert_eq!(lines[50].wall_us, lines[9].wall_us, "the time is a guess");
    fs::remove_file(&index).unwrap();
    assert_eq!(numbers(read_lines(&slots(dir.path()), &of("web")).take(100)), all);
}

#[test]
fn a_record_that_speaks_of_bytes_that_are_not_there_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    web.out("one\n");
    web.out("lost with the power supply\n");
    let log = fs::OpenOptions::new().write(true).open(web.path("log", 1)).unwrap();
    log.set_len(4).unwrap();
    fs::write(web.path("log", 2), "two\n").unwrap();
    fs::copy(web.path("idx", 1), web.path("idx", 2)).unwrap();
    assert_eq!(stored(dir.path(), "web"), ["one", "two"]);
}

#[test]
fn what_was_dropped_is_a_line_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 1000);
    web.out("before\n");
    web.dropped(123_456);
    web.record(Stream::Stdout, 0, IndexKind::Removed, 99);
    let marks = [
        "[cas: 123456 bytes of output could not be kept: disk full]",
        "[cas: 99 bytes of older output were removed: disk full]",
    ];
    assert_eq!(stored(dir.path(), "web")[1..], marks);
    web.out("after\n");
    let lines: Vec<StoredLine> = read_lines(&slots(dir.path()), &of("web")).collect();
    assert_eq!(
        lines.iter().map(|line| (line.seq, line.stream)).skip(1).collect::<Vec<_>>(),
        [(1, Stream::Stderr), (2, Stream::Stderr), (3, Stream::Stdout)]
    );
    assert_eq!(texts(lines), ["before", marks[0], marks[1], "after"]);
}

#[test]
fn a_follower_sees_each_line_once_through_rotation_and_compression() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 3000);
    for n in 0..100 {
        web.out(format!("{n}\n"));
    }
    let mut follower = follow(&slots(dir.path()), &LogFilter { tail: Some(10), ..LogFilter::default() });
    let mut seen = Vec::new();
    let mut next = 100;
    let mut compressed = 0;
    eventually("three thousand lines were followed while they were written", || {
        for _ in 0..100 {
            web.out(format!("{next}\n"));
            next += 1;
        }
        seen.extend(numbers(follower.poll()));
        while compressed + 2 < web.end().segment {
            compressed += 1;
            web.compress(compressed);
        }
        seen.len() > 3000
    });
    assert!(seen == (90..next).collect::<Vec<_>>(), "each once and in order");
    assert!(web.end().segment > 3);
    web.out("ha");
    assert!(follower.poll().is_empty());
    web.out("lf\n");
    assert_eq!(texts(follower.poll()), ["half"]);
    // A service that comes later, and one that begins anew.
    SlotWriter::new(dir.path(), "late", 1000).out("hello\n");
    assert_eq!(texts(follower.poll()), ["hello"]);
    fs::remove_dir_all(&web.slot).unwrap();
    assert!(follower.poll().is_empty());
    SlotWriter::new(dir.path(), "web", 3000).out("anew\n");
    assert_eq!(texts(follower.poll()), ["anew"]);
    assert!(follower.poll().is_empty());
}

#[test]
fn nothing_is_read_outside_the_directory_or_through_a_link() {
    for name in ["..", "../x", "a/b", "", ".hidden", "a\0b"] {
        assert!(ServiceName::new(name).is_err(), "{name:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(".git")).unwrap();
    assert_eq!(stored_services(&slots(dir.path())), []);
    assert_eq!(stored_services(&slots(&dir.path().join("none"))), []);
    assert!(stored(&dir.path().join("none"), "web").is_empty());
    fs::write(dir.path().join("secret"), "secret\n").unwrap();
    fs::create_dir(dir.path().join("web")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret"), dir.path().join("web/log.000001")).unwrap();
    fs::write(dir.path().join("web/log.000002"), "mine\n").unwrap();
    fs::write(dir.path().join("web/log.000003"), "").unwrap();
    assert_eq!(stored(dir.path(), "web"), ["mine"]);
}
