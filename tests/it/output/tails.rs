//! The bytes of a run as they come, for who looks at its terminal.

use std::fs;

use cas::{model::ids::RunId, world::log_files::Tail};

use super::slot::SlotWriter;

fn all(tail: &mut Tail) -> String {
    let mut came = Vec::new();
    loop {
        let piece = tail.read();
        if piece.is_empty() {
            return String::from_utf8(came).unwrap();
        }
        came.extend_from_slice(piece);
    }
}

#[test]
fn bytes_come_once_over_segments_and_archives_and_those_of_other_runs_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 10);
    let mut empty = Tail::begin(&web.slot, RunId(2), 100);
    assert_eq!(all(&mut empty), "");
    web.out("of another run");
    web.run = 2;
    web.out("0123456789");
    assert_eq!(all(&mut empty), "0123456789", "one that began before anything was there");
    let mut tail = Tail::begin(&web.slot, RunId(2), 4);
    assert_eq!(all(&mut tail), "6789");
    assert_eq!(all(&mut tail), "");
    web.out("abcdefghijklmnopqrstuvwxyz");
    web.compress(3);
    web.compress(4);
    web.out("!");
    assert_eq!(all(&mut tail), "abcdefghijklmnopqrstuvwxyz!");
    web.run = 3;
    web.out("of the next run");
    assert_eq!(all(&mut tail), "");
}

#[test]
fn what_is_deleted_is_passed_over_and_what_is_begun_anew_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 10);
    web.out("0123456789");
    let mut tail = Tail::begin(&web.slot, RunId(1), 0);
    for _ in 0..5 {
        web.out("abcdefghij");
    }
    for number in 1..=4 {
        web.delete(number);
    }
    assert_eq!(all(&mut tail), "abcdefghijabcdefghij");
    fs::remove_dir_all(&web.slot).unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 10);
    web.out("anew");
    // The first look finds that its segment is gone, the next what is there instead.
    assert_eq!(all(&mut tail) + &all(&mut tail), "anew");
}

#[test]
fn the_last_bytes_come_also_where_no_index_speaks_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 100);
    web.out("indexed ");
    web.bytes(b"and not");
    let mut tail = Tail::begin(&web.slot, RunId(1), 100);
    assert_eq!(all(&mut tail), "indexed ", "a record may yet come");
    tail.settle();
    assert_eq!(all(&mut tail), "and not");
}

#[test]
fn what_is_put_in_the_place_of_a_segment_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 10);
    web.out("0123456789");
    let mut tail = Tail::begin(&web.slot, RunId(1), 100);
    // Opening a FIFO for reading would wait for a writer.
    rustix::fs::mkfifoat(rustix::fs::CWD, web.path("log", 2), rustix::fs::Mode::RUSR).unwrap();
    fs::write(dir.path().join("precious"), "precious").unwrap();
    std::os::unix::fs::symlink(dir.path().join("precious"), web.path("log", 3)).unwrap();
    assert_eq!(all(&mut tail), "0123456789");
    let mut late = Tail::begin(&web.slot, RunId(1), 100);
    assert_eq!(all(&mut late), "0123456789");
}
