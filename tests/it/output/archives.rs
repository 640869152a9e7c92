//! What becomes of closed segments. The clock is an argument.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use cas::{
    model::{intake::Position, time::Timestamp},
    world::log_files::{
        archive::{Archivist, Rounds, Tended},
        read_lines,
    },
};

use super::slot::{SlotWriter, of, slots, stored};

const SECOND_US: u64 = 1_000_000;
const HOUR_US: u64 = 3600 * SECOND_US;

fn at(mono_us: u64, set_us: i64) -> Timestamp {
    Timestamp { mono_us, wall_us: i64::try_from(mono_us).unwrap() + set_us }
}

fn numbers(web: &SlotWriter, ending: &str) -> Vec<u64> {
    let names = fs::read_dir(&web.slot).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<u64> = names
        .filter_map(|name| {
            let number = name.strip_prefix("log.")?.strip_suffix(ending)?;
            (number.len() == 6).then(|| number.parse().ok())?
        })
        .collect();
    found.sort_unstable();
    found
}

/// Twenty segments of two lines each, an hour apart.
fn twenty(dir: &std::path::Path) -> SlotWriter {
    let mut web = SlotWriter::new(dir, "web", 10);
    for n in 0..40_i64 {
        web.now_us = n / 2 * i64::try_from(HOUR_US).unwrap();
        web.out(format!("{n:04}\n"));
    }
    assert_eq!(web.end().segment, 20);
    web
}

#[test]
fn a_closed_segment_that_was_taken_in_is_compressed_after_half_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let before = stored(dir.path(), "web");
    let tended = Tended { max_age: None, taken: Position { segment: 15, offset: 3 } };
    let mut rounds = Rounds::default();
    let mut pass = |mono_us| {
        rounds.begin(at(mono_us, 0));
        rounds.visit(&web.slot, &tended, at(mono_us, 0)).unwrap();
    };
    pass(SECOND_US);
    pass(30 * SECOND_US);
    assert!(numbers(&web, ".gz").is_empty(), "not yet");
    pass(31 * SECOND_US);
    assert_eq!(numbers(&web, ".gz"), (1..15).collect::<Vec<_>>());
    assert_eq!(numbers(&web, ""), (15..=20).collect::<Vec<_>>());
    assert_eq!(stored(dir.path(), "web"), before);
    let mode = fs::metadata(web.slot.join("log.000001.gz")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn whenever_the_compressing_ends_a_segment_is_there_whole() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let before = stored(dir.path(), "web");
    let raw = fs::read(web.path("log", 1)).unwrap();
    let tended = Tended { max_age: None, taken: web.end() };
    let compress = || {
        let mut rounds = Rounds::default();
        for mono_us in [SECOND_US, 40 * SECOND_US] {
            rounds.visit(&web.slot, &tended, at(mono_us, 0)).unwrap();
        }
    };
    // Half a temporary file.
    fs::write(web.slot.join("log.000001.gz.tmp"), b"half").unwrap();
    assert_eq!(stored(dir.path(), "web"), before);
    compress();
    assert_eq!(stored(dir.path(), "web"), before);
    // Renamed, and the raw one was not deleted yet.
    fs::write(web.path("log", 1), &raw).unwrap();
    assert_eq!(stored(dir.path(), "web"), before);
    compress();
    assert_eq!(stored(dir.path(), "web"), before);
    assert_eq!((numbers(&web, ""), numbers(&web, ".gz")), (vec![20], (1..20).collect::<Vec<_>>()));
    let others = fs::read_dir(&web.slot)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "tmp"));
    assert_eq!(others.count(), 0);
}

#[test]
fn a_link_in_the_place_of_an_archive_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let precious = dir.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, web.slot.join("log.000001.gz.tmp")).unwrap();
    std::os::unix::fs::symlink(&precious, web.slot.join("log.000002.gz")).unwrap();
    let tended = Tended { max_age: None, taken: web.end() };
    let mut rounds = Rounds::default();
    for mono_us in [SECOND_US, 40 * SECOND_US] {
        rounds.visit(&web.slot, &tended, at(mono_us, 0)).unwrap();
    }
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
    assert_eq!(stored(dir.path(), "web").len(), 40);
}

#[test]
fn what_is_too_old_is_deleted_but_never_what_was_not_taken_in_or_is_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let ten_hours = Tended { max_age: Some(Duration::from_hours(10)), taken: web.end() };
    let mut rounds = Rounds::default();
    let now = at(20 * HOUR_US, 0);
    rounds.begin(now);
    rounds.visit(&web.slot, &ten_hours, now).unwrap();
    assert_eq!(numbers(&web, ""), (11..=20).collect::<Vec<_>>());
    assert!(!web.path("idx", 10).exists());
    let later = at(1000 * HOUR_US, 0);
    rounds.begin(later);
    let half = Tended { taken: Position { segment: 15, offset: 0 }, ..ten_hours.clone() };
    rounds.visit(&web.slot, &half, later).unwrap();
    assert_eq!(numbers(&web, ""), (15..=20).collect::<Vec<_>>());
    rounds.visit(&web.slot, &ten_hours, later).unwrap();
    assert_eq!(numbers(&web, ""), [20]);
}

#[test]
fn a_clock_that_was_set_does_not_make_retention_wipe_the_past() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let tended = Tended { max_age: Some(Duration::from_hours(100)), taken: web.end() };
    let mut rounds = Rounds::default();
    let mut pass = |now: Timestamp| {
        rounds.begin(now);
        rounds.visit(&web.slot, &tended, now).unwrap();
        numbers(&web, "").len() + numbers(&web, ".gz").len()
    };
    assert_eq!(pass(at(20 * HOUR_US, 0)), 20);
    // A year ahead, all at once.
    let year = i64::try_from(8760 * HOUR_US).unwrap();
    let begin = 20 * HOUR_US + 15 * SECOND_US;
    assert_eq!(pass(at(begin, year)), 18, "a tenth");
    assert_eq!(pass(at(begin + 15 * SECOND_US, year)), 18, "and not a tenth with every pass");
    assert_eq!(pass(at(begin + HOUR_US, year)), 17);
    // Set right again within the day: nothing is too old any more.
    assert_eq!(pass(at(begin + 3 * HOUR_US, 0)), 17);
}

#[test]
fn the_thread_ends_with_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let archivist = Archivist::start().unwrap();
    archivist.tend(web.slot.clone(), None);
    archivist.taken(&web.slot, web.end());
    archivist.leave(dir.path());
    drop(archivist);
    assert_eq!(read_lines(&slots(dir.path()), &of("web")).count(), 40);
}
