//! What is written is read once, whatever becomes of the file.

use std::{fs, os::unix::fs::symlink};

use super::Rig;
use crate::support::eventually;

#[test]
fn what_was_there_is_no_news_and_what_is_added_is() {
    let rig = Rig::new();
    rig.append("a.log", "old\n");
    rig.watch(vec![rig.files("*.log", None)]);
    rig.await_line("a.log", "old");
    rig.append("a.log", "new\n");
    rig.append("b.log", "of a file that has appeared since\n");
    rig.await_line("a.log", "new");
    rig.await_line("b.log", "of a file that has appeared since");
    let heard = rig.heard.lock().unwrap();
    let of = |file: &str| heard.lines[file].iter().map(|(seq, _, is_news)| (*seq, *is_news)).collect::<Vec<_>>();
    assert_eq!((of("a.log"), of("b.log")), (vec![(0, false), (1, true)], vec![(0, true)]));
}

#[test]
fn a_file_that_is_emptied_replaced_renamed_or_deleted_is_read_on() {
    let rig = Rig::new();
    rig.watch(vec![rig.files("a.log", None)]);
    rig.append("a.log", "1\n");
    rig.await_line("a.log", "1");
    // Emptied.
    fs::write(rig.path("a.log"), "").unwrap();
    rig.append("a.log", "2\n");
    rig.await_line("a.log", "2");
    // Renamed, and written to under its new name while another takes its place.
    fs::rename(rig.path("a.log"), rig.path("a.log.1")).unwrap();
    rig.append("a.log.1", "3\n");
    rig.append("a.log", "4\n");
    rig.append("a.log.1", "5\n");
    rig.await_line("a.log", "5");
    rig.await_line("a.log", "4");
    // Replaced in one step.
    rig.append("other", "6\n");
    fs::rename(rig.path("other"), rig.path("a.log")).unwrap();
    rig.await_line("a.log", "6");
    // Deleted, and made again.
    fs::remove_file(rig.path("a.log")).unwrap();
    rig.append("a.log", "7\n");
    rig.await_line("a.log", "7");
    let mut lines = rig.lines("a.log");
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2", "3", "4", "5", "6", "7"]);
    let heard = rig.heard.lock().unwrap();
    let seqs: Vec<u64> = heard.lines["a.log"].iter().map(|(seq, ..)| *seq).collect();
    assert_eq!(seqs, [0, 1, 2, 3, 4, 5, 6], "one count over all of them");
}

#[test]
fn a_directory_that_is_made_later_is_looked_into() {
    let rig = Rig::new();
    let mut files = rig.files("a.log", None);
    files.directory = rig.path("log");
    files.prefix = "log/".to_owned();
    rig.watch(vec![files, rig.files("b.log", None)]);
    eventually("it is said that it is not there", || {
        rig.view("log/a.log").trouble.is_some_and(|why| why.contains("not there (yet)"))
    });
    // Whoever reads has looked for it.
    for line in ["1", "2"] {
        rig.append("b.log", &format!("{line}\n"));
        rig.await_line("b.log", line);
    }
    fs::create_dir(rig.path("log")).unwrap();
    rig.append("log/a.log", "first\n");
    rig.await_line("log/a.log", "first");
    assert_eq!(rig.heard.lock().unwrap().lines["log/a.log"], [(0, "first".to_owned(), true)]);
}

#[test]
fn a_link_that_is_put_in_the_place_of_a_file_is_not_read() {
    let rig = Rig::new();
    fs::write(rig.path("secret"), "root:x:0\n").unwrap();
    rig.append("a.log", "1\n");
    rig.watch(vec![rig.files("a.log", None)]);
    rig.await_line("a.log", "1");
    fs::remove_file(rig.path("a.log")).unwrap();
    symlink("secret", rig.path("a.log")).unwrap();
    eventually("it is said why", || rig.view("a.log").trouble.is_some_and(|why| why.contains("symbolic link")));
    fs::remove_file(rig.path("a.log")).unwrap();
    rig.append("a.log", "2\n");
    rig.await_line("a.log", "2");
    assert_eq!(rig.lines("a.log"), ["1", "2"]);
}

#[test]
fn a_flood_is_read_to_its_end_in_order() {
    let mut rig = Rig::new();
    rig.append("a.log", "0\n");
    rig.watch(vec![rig.files("a.log", None)]);
    // From here on it is not a file that was there before, of which only the last part is read.
    rig.await_line("a.log", "0");
    rig.runs("seq 1 300000 >> a.log; exec sleep 1000");
    rig.await_line("a.log", "300000");
    let expected: Vec<String> = (0..=300_000).map(|n| n.to_string()).collect();
    assert!(rig.lines("a.log") == expected);
    eventually("its lines are counted", || rig.view("a.log").lines == 300_001);
}
