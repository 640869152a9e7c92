//! What becomes of closed segments. The clock is an argument.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use cas::{
    model::{intake::Position, log::Stream, time::Timestamp},
    world::log_files::{
        LogFilter,
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
    let tended = Tended { max_age: None, max_size: None, taken: Position { segment: 15, offset: 3 } };
    let mut rounds = Rounds::default();
    let mut pass = |mono_us| {
        rounds.begin(at(mono_us, 0));
        rounds.visit(&web.slot, &tended, at(mono_us, 0)).unwrap();
    };
    pass(SECOND_US);
    pass(30 * SECOND_US);
    assert!(numbers(&web, ".zst").is_empty(), "not yet");
    pass(31 * SECOND_US);
    assert_eq!(numbers(&web, ".zst"), (1..15).collect::<Vec<_>>());
    assert_eq!(numbers(&web, ""), (15..=20).collect::<Vec<_>>());
    assert_eq!(stored(dir.path(), "web"), before);
    let mode = fs::metadata(web.slot.join("log.000001.zst")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn whenever_the_compressing_ends_a_segment_is_there_whole() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let before = stored(dir.path(), "web");
    let raw = fs::read(web.path("log", 1)).unwrap();
    let tended = Tended { max_age: None, max_size: None, taken: web.end() };
    let compress = || {
        let mut rounds = Rounds::default();
        for mono_us in [SECOND_US, 40 * SECOND_US] {
            rounds.visit(&web.slot, &tended, at(mono_us, 0)).unwrap();
        }
    };
    // Half a temporary file.
    fs::write(web.slot.join("log.000001.zst.tmp"), b"half").unwrap();
    assert_eq!(stored(dir.path(), "web"), before);
    compress();
    assert_eq!(stored(dir.path(), "web"), before);
    // Renamed, and the raw one was not deleted yet.
    fs::write(web.path("log", 1), &raw).unwrap();
    assert_eq!(stored(dir.path(), "web"), before);
    compress();
    assert_eq!(stored(dir.path(), "web"), before);
    assert_eq!((numbers(&web, ""), numbers(&web, ".zst")), (vec![20], (1..20).collect::<Vec<_>>()));
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
    std::os::unix::fs::symlink(&precious, web.slot.join("log.000001.zst.tmp")).unwrap();
    std::os::unix::fs::symlink(&precious, web.slot.join("log.000002.zst")).unwrap();
    let tended = Tended { max_age: None, max_size: None, taken: web.end() };
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
    let ten_hours = Tended { max_age: Some(Duration::from_hours(10)), max_size: None, taken: web.end() };
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
    let tended = Tended { max_age: Some(Duration::from_hours(100)), max_size: None, taken: web.end() };
    let mut rounds = Rounds::default();
    let mut pass = |now: Timestamp| {
        rounds.begin(now);
        rounds.visit(&web.slot, &tended, now).unwrap();
        numbers(&web, "").len() + numbers(&web, ".zst").len()
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
    archivist.tend(web.slot.clone(), None, None);
    archivist.taken(&web.slot, web.end());
    archivist.leave(dir.path());
    drop(archivist);
    assert_eq!(read_lines(&slots(dir.path()), &of("web")).count(), 40);
}

/// Everything that can be, in two passes.
fn compress(web: &SlotWriter, rounds: &mut Rounds) -> std::io::Result<()> {
    let tended = Tended { max_age: None, max_size: None, taken: web.end() };
    rounds.visit(&web.slot, &tended, at(SECOND_US, 0))?;
    rounds.visit(&web.slot, &tended, at(40 * SECOND_US, 0))
}

#[test]
fn a_slot_in_its_first_segment_is_not_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let half = web.slot.join("log.000001.zst.tmp");
    fs::write(&half, b"half").unwrap();
    let first = Tended { max_age: Some(Duration::ZERO), max_size: None, taken: Position { segment: 1, offset: 10 } };
    let mut rounds = Rounds::default();
    rounds.visit(&web.slot, &first, at(SECOND_US, 0)).unwrap();
    assert!(half.exists() && rounds.waiting() == 0 && numbers(&web, "").len() == 20);
    rounds.visit(&web.slot, &Tended { max_age: None, max_size: None, taken: web.end() }, at(SECOND_US, 0)).unwrap();
    assert!(!half.exists() && rounds.waiting() == 19);
    rounds.visit(&web.slot, &first, at(SECOND_US, 0)).unwrap();
    assert_eq!(rounds.waiting(), 0, "it was begun anew");
}

#[test]
fn what_is_known_of_segments_goes_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let slots: Vec<SlotWriter> = (0..3).map(|number| twenty(&dir.path().join(number.to_string()))).collect();
    let mut rounds = Rounds::default();
    for web in &slots {
        rounds.visit(&web.slot, &Tended { max_age: None, max_size: None, taken: web.end() }, at(SECOND_US, 0)).unwrap();
    }
    assert_eq!(rounds.waiting(), 3 * 19);
    // The shim makes room.
    for number in 5..10 {
        slots[0].delete(number);
    }
    let tended = Tended { max_age: None, max_size: None, taken: slots[0].end() };
    rounds.visit(&slots[0].slot, &tended, at(2 * SECOND_US, 0)).unwrap();
    assert_eq!(rounds.waiting(), 3 * 19 - 5);
    rounds.look_after(|slot| *slot == slots[0].slot);
    assert_eq!(rounds.waiting(), 14);
    rounds.visit(&slots[0].slot, &tended, at(40 * SECOND_US, 0)).unwrap();
    assert_eq!(rounds.waiting(), 0);
}

#[test]
fn a_segment_that_cannot_be_compressed_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(web.path("log", 3), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, web.path("log", 3)).unwrap();
    // Something in the place of an archive that cannot be put away.
    fs::create_dir_all(web.slot.join("log.000005.zst/full")).unwrap();
    let mut rounds = Rounds::default();
    assert!(compress(&web, &mut rounds).is_err());
    assert_eq!(numbers(&web, ""), [3, 5, 20]);
    assert!(compress(&web, &mut rounds).is_err(), "and it is tried again");
    fs::remove_file(web.path("log", 3)).unwrap();
    fs::rename(&elsewhere, web.path("log", 3)).unwrap();
    fs::remove_dir_all(web.slot.join("log.000005.zst")).unwrap();
    compress(&web, &mut rounds).unwrap();
    assert_eq!(numbers(&web, ""), [20]);
    assert_eq!(stored(dir.path(), "web").len(), 40);
}

#[test]
fn what_a_lost_power_supply_left_half_written_goes_even_where_its_segment_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    fs::write(web.slot.join("log.000001.zst.tmp"), b"half").unwrap();
    fs::write(web.slot.join("log.000002.zst"), b"cut short").unwrap();
    web.delete(1);
    compress(&web, &mut Rounds::default()).unwrap();
    assert!(!web.slot.join("log.000001.zst.tmp").exists());
    assert_eq!(stored(dir.path(), "web").len(), 38, "the raw one counted");
}

#[test]
fn an_archive_is_as_old_as_its_segment_so_that_since_finds_its_lines_without_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = twenty(dir.path());
    let hour = i64::try_from(HOUR_US).unwrap();
    for number in 1..20 {
        let last = Duration::from_micros((number - 1) * HOUR_US);
        let file = fs::File::options().write(true).open(web.path("log", number)).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + last).unwrap();
        fs::remove_file(web.path("idx", number)).unwrap();
    }
    compress(&web, &mut Rounds::default()).unwrap();
    assert_eq!(numbers(&web, ".zst").len(), 19);
    let since = LogFilter { since_wall_us: Some(10 * hour), ..of("web") };
    let found: Vec<_> = read_lines(&slots(dir.path()), &since).map(|line| line.text).collect();
    assert_eq!(found, (20..40).map(|n| format!("{n:04}")).collect::<Vec<_>>());
    // And so that they grow old.
    web.now_us = 20 * hour;
    let now = at(20 * HOUR_US, 0);
    let mut rounds = Rounds::default();
    rounds.begin(now);
    rounds
        .visit(&web.slot, &Tended { max_age: Some(Duration::from_hours(10)), max_size: None, taken: web.end() }, now)
        .unwrap();
    assert_eq!(numbers(&web, ".zst"), (11..20).collect::<Vec<_>>());
}

#[test]
fn archives_grow_old_like_segments_and_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    for number in 1..15 {
        web.compress(number);
    }
    // The time of its last line is what counts, not that of the file.
    let mut rounds = Rounds::default();
    for (hours, oldest) in [(12, 1), (13, 2), (20, 9), (28, 17)] {
        let now = at(hours * HOUR_US, 0);
        rounds.begin(now);
        let tended = Tended { max_age: Some(Duration::from_hours(12)), max_size: None, taken: web.end() };
        rounds.visit(&web.slot, &tended, now).unwrap();
        // What is raw and was seen for long enough is compressed meanwhile.
        let mut left: Vec<u64> = [".gz", ".zst", ""].iter().flat_map(|ending| numbers(&web, ending)).collect();
        left.sort_unstable();
        assert_eq!(left, (oldest..=20).collect::<Vec<_>>(), "after {hours} hours");
    }
}

#[test]
fn an_archive_that_is_deleted_while_it_is_read_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = SlotWriter::new(dir.path(), "web", 200_000);
    for n in 0..100_000 {
        web.out(format!("{n:05} {}\n", n * 7919));
    }
    let newest = web.end().segment;
    for number in 1..newest {
        web.compress(number);
    }
    let mut lines = read_lines(&slots(dir.path()), &of("web"));
    let first: Vec<_> = lines.by_ref().take(10).map(|line| line.text).collect();
    for number in 1..=3 {
        fs::remove_file(web.slot.join(format!("log.{number:06}.gz"))).unwrap();
        fs::remove_file(web.path("idx", number)).unwrap();
    }
    let rest: Vec<String> = lines.map(|line| line.text).collect();
    let numbers: Vec<u32> = first.iter().chain(&rest).filter_map(|text| text.get(..5)?.parse().ok()).collect();
    let gap = numbers.windows(2).position(|pair| pair[1] != pair[0] + 1).unwrap();
    assert!(numbers.windows(2).skip(gap + 1).all(|pair| pair[1] == pair[0] + 1), "one gap, and nothing twice");
    assert!(numbers[gap] > 10_000, "the first was open, and is read to its end: {}", numbers[gap]);
    assert_eq!(numbers.last(), Some(&99_999));
}

/// A disk of a quarter of a mebibyte.
struct Disk<'a>(&'a std::path::Path);

fn run(command: &str, arguments: &[&str], on: &std::path::Path) {
    let output = std::process::Command::new(command).args(arguments).arg(on).output().unwrap();
    assert!(
        output.status.success(),
        "a small disk needs root: `sudo {command} {} {}`: {}",
        arguments.join(" "),
        on.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl<'a> Disk<'a> {
    fn over(dir: &'a std::path::Path) -> Self {
        run("mount", &["-t", "tmpfs", "-o", "size=256k,mode=0700", "cas-test"], dir);
        Self(dir)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        run("umount", &["-l"], self.0);
    }
}

#[test]
fn the_last_of_a_disk_is_left_to_the_services() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::over(dir.path());
    let mut web = SlotWriter::new(dir.path(), "web", 40_000);
    let mut random = fastrand::Rng::with_seed(1);
    while web.end().segment < 4 {
        let lines = (0..30).map(|_| format!("{:x}\n", random.u128(..)));
        web.out(lines.collect::<String>());
    }
    let whole = stored(dir.path(), "web");
    fs::write(dir.path().join("others"), vec![1; 60_000]).unwrap();
    let mut rounds = Rounds::default();
    let error = compress(&web, &mut rounds).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!((numbers(&web, ""), numbers(&web, ".zst")), (vec![1, 2, 3, 4], vec![]));
    assert!(!web.slot.join("log.000001.zst.tmp").exists(), "not even begun");
    run("mount", &["-o", "remount,size=1m"], disk.0);
    compress(&web, &mut rounds).unwrap();
    assert_eq!((numbers(&web, ""), numbers(&web, ".zst")), (vec![4], vec![1, 2, 3]));
    assert!(stored(dir.path(), "web") == whole);
}

/// Segments of a mebibyte and a half with lines of all kinds, archived but for the newest; and the lines.
fn packed(dir: &std::path::Path) -> (SlotWriter, Vec<String>) {
    let mut web = SlotWriter::new(dir, "web", 1_500_000);
    let mut random = fastrand::Rng::with_seed(9);
    for number in 0..60_000 {
        let text = format!("{number} {:x} {}", random.u64(..), "etwas lang, ü\t".repeat(random.usize(0..6)));
        let stream = if random.u32(0..9) == 0 { Stream::Stderr } else { Stream::Stdout };
        let cut = random.usize(0..text.len());
        // The other stream may come between.
        let cut = text.floor_char_boundary(cut);
        web.write(stream, &text[..cut]);
        web.write(if stream == Stream::Stdout { Stream::Stderr } else { Stream::Stdout }, "between\n");
        web.write(stream, format!("{}\n", &text[cut..]));
    }
    web.exit();
    let lines = stored(dir, "web");
    compress(&web, &mut Rounds::default()).unwrap();
    (web, lines)
}

#[test]
fn an_archive_is_what_any_zstd_unpacks_to_the_segment() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let raw = fs::read(web.path("log", 7)).unwrap();
    compress(&web, &mut Rounds::default()).unwrap();
    let packed = fs::read(web.slot.join("log.000007.zst")).unwrap();
    assert_eq!(zstd::stream::decode_all(&packed[..]).unwrap(), raw);
    assert_eq!(packed[packed.len() - 4..], 0x8F92_EAB1_u32.to_le_bytes(), "with the table of the seekable format");
}

#[test]
fn a_damaged_part_of_an_archive_costs_itself_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (web, lines) = packed(dir.path());
    assert_eq!(stored(dir.path(), "web"), lines);
    let path = web.slot.join("log.000002.zst");
    let whole = fs::read(&path).unwrap();
    for place in [whole.len() / 6, whole.len() / 2, whole.len() * 3 / 4] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x80;
        fs::write(&path, damaged).unwrap();
        let read = stored(dir.path(), "web");
        let told: Vec<&String> = read.iter().filter(|line| line.starts_with("[cas: ")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        let bytes: usize = told[0].split(' ').nth(1).unwrap().parse().unwrap();
        assert!(
            (400_000..1_100_000).contains(&bytes) && told[0].contains("the archive of segment 2 is damaged"),
            "{told:?}"
        );
        let known: std::collections::BTreeSet<&String> = lines.iter().collect();
        let foreign: Vec<&String> = read.iter().filter(|line| !known.contains(line)).collect();
        // The sentence, and the halves that the hole has left of a line of each stream.
        assert!(foreign.len() <= 5, "{foreign:?}");
        let missing: usize = lines.iter().map(|line| line.len() + 1).sum::<usize>()
            - read.iter().map(|line| line.len() + 1).sum::<usize>();
        assert!(missing <= bytes, "{missing} are missing of {bytes}");
    }
    // Without its table and what is known of its frames it is read all the same.
    fs::write(&path, &whole[..whole.len() - 200]).unwrap();
    assert_eq!(stored(dir.path(), "web"), lines);
}

#[test]
fn archives_of_earlier_versions_stay_readable_beside_those_of_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    let before = stored(dir.path(), "web");
    for number in [2, 3, 9] {
        web.compress(number);
    }
    // Half of one, beside the segment: it had not come further.
    fs::write(web.slot.join("log.000005.gz"), b"half").unwrap();
    fs::write(web.slot.join("log.000006.gz.tmp"), b"half").unwrap();
    assert_eq!(stored(dir.path(), "web"), before);
    compress(&web, &mut Rounds::default()).unwrap();
    assert_eq!(numbers(&web, ".gz"), [2, 3, 9]);
    assert_eq!(numbers(&web, ".zst").len(), 16);
    assert!(!web.slot.join("log.000006.gz.tmp").exists());
    assert_eq!(stored(dir.path(), "web"), before);
}

#[test]
fn what_is_too_much_is_deleted_oldest_first_also_where_the_shim_does_not_know_the_form() {
    let dir = tempfile::tempdir().unwrap();
    let web = twenty(dir.path());
    compress(&web, &mut Rounds::default()).unwrap();
    let all: u64 = fs::read_dir(&web.slot).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    let visit = |max_size| {
        let tended = Tended { max_age: None, max_size: Some(max_size), taken: Position { segment: 18, offset: 0 } };
        Rounds::default().visit(&web.slot, &tended, at(SECOND_US, 0)).unwrap();
        numbers(&web, ".zst")
    };
    assert_eq!(visit(all).len(), 19, "it is not too much");
    assert_eq!(visit(all - 1), (2..20).collect::<Vec<_>>());
    assert!(!web.path("idx", 1).exists());
    assert_eq!(visit(0), [18, 19], "nothing that was not taken in");
    assert!(web.path("log", 20).exists());
}
