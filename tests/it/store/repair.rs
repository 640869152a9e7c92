//! The database when it is damaged, of another format, or without space: what comes back, and what is kept.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use cas::{
    model::{
        ids::{ServiceId, ServiceName},
        intake::{Cursor, Intake, Minute},
    },
    world::{
        clock,
        store::{self, EntryFilter, Store},
    },
};

use super::{Troubles, grow, quick_dir, remount, run_in_small_file_system, simple};
use crate::support::eventually;

fn all() -> EntryFilter {
    EntryFilter { limit: usize::MAX, ..EntryFilter::default() }
}

fn seqs(path: &Path) -> Vec<u64> {
    store::read_entries(path, &all()).unwrap_or_default().iter().map(|entry| entry.seq).collect()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn intake(lines: u64, next_seq: u64) -> Vec<Intake> {
    let service = ServiceId { project: "shop".parse().unwrap(), service: web() };
    let minute = Minute { minute: clock::now().wall_us / 60_000_000, stdout_lines: lines, ..Minute::default() };
    vec![Intake {
        place: Arc::from("p"),
        service,
        cursor: Cursor { next_seq, ..Cursor::default() },
        minutes: vec![minute],
    }]
}

fn web() -> ServiceName {
    ServiceName::new("web").unwrap()
}

fn lines(path: &Path) -> u64 {
    let found = store::read_minutes(path, "p", &web(), i64::MIN, i64::MAX).unwrap_or_default();
    found.iter().map(|minute| minute.stdout_lines).sum()
}

/// A closed database with sixty entries and some minutes.
fn filled(path: &Path) {
    let store = Store::open(path.to_owned(), |_| {});
    for seq in 1..=60 {
        store.record(Arc::new(simple(seq)));
    }
    store.take_in(intake(10, 10));
}

/// Waits for the daily backup.
fn with_backup(path: &Path) {
    let store = Store::open(path.to_owned(), |_| {});
    eventually("a backup is made", || beside(path, ".backup").exists());
    drop(store);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(beside(path, ".backup")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_damaged_database_is_kept_aside_and_its_last_backup_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    filled(&path);
    with_backup(&path);
    assert_eq!(seqs(&beside(&path, ".backup")), (1..=60).collect::<Vec<_>>(), "the backup is a database");
    let store = Store::open(path.clone(), |_| {});
    store.record(Arc::new(simple(61)));
    store.take_in(intake(5, 15));
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..8192].fill(0xee);
    fs::write(&path, &bytes).unwrap();
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    assert_eq!(store.cursors("p")["web"].next_seq, 10, "cursor and minutes are those of the backup");
    store.take_in(intake(5, 15));
    store.record(Arc::new(simple(62)));
    store.flush();
    assert!(troubles.has_said("the last backup was put in its place"), "{:?}", troubles.all());
    assert!(store.status().last_error.unwrap().contains("was damaged"));
    drop(store);
    assert_eq!(seqs(&path), (1..=60).chain([62]).collect::<Vec<_>>());
    assert_eq!(lines(&path), 15);
    let names = names(dir.path());
    let moved: Vec<_> = names.iter().filter(|name| name.starts_with("cas.db.corrupt-")).collect();
    assert_eq!(moved.len(), 1, "{names:?}");
    assert_eq!(fs::read(dir.path().join(moved[0])).unwrap(), bytes, "what is damaged is kept as it was");
    assert!(names.iter().all(|name| !name.contains("restored")), "{names:?}");
}

#[test]
fn a_backup_that_is_damaged_too_is_kept_aside_and_a_new_database_begun() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    filled(&path);
    let letter = "this is no database".repeat(999);
    for file in [path.clone(), beside(&path, ".backup")] {
        fs::write(file, &letter).unwrap();
    }
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.record(Arc::new(simple(1)));
    drop(store);
    assert!(troubles.has_said("a new one was begun"), "{:?}", troubles.all());
    assert_eq!(seqs(&path), [1]);
    let kept = names(dir.path()).into_iter().filter(|name| name.contains(".corrupt-"));
    assert_eq!(kept.filter(|name| fs::read_to_string(dir.path().join(name)).unwrap() == letter).count(), 2);
}

#[test]
fn whatever_byte_is_bent_it_opens_in_time_and_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    filled(&path);
    let sound = fs::read(&path).unwrap();
    let pages = sound.len() / 4096;
    assert!(pages >= 8, "{pages}");
    let mut random = fastrand::Rng::with_seed(22);
    for round in 0..300 {
        let here = quick_dir();
        let path = here.path().join("cas.db");
        let mut bent = sound.clone();
        let at = round % pages * 4096 + random.usize(0..4096);
        // The format: a larger one is taken for that of a newer cas.
        if (60..64).contains(&at) {
            continue;
        }
        bent[at] ^= random.u8(1..);
        if round % 3 == 0 {
            bent.truncate(random.usize(1..sound.len()));
        }
        fs::write(&path, &bent).unwrap();
        let before = clock::now();
        let troubles = Troubles::default();
        let store = Store::open(path.clone(), troubles.listener());
        store.record(Arc::new(simple(99)));
        store.take_in(intake(1, 11));
        store.flush();
        assert!(clock::now().since(before).as_secs() < 10, "byte {at}");
        let written = seqs(&path).contains(&99) && store::read_cursors(&path, "p").unwrap()["web"].next_seq == 11;
        assert!(written, "byte {at}: {:?}", troubles.all());
    }
}

#[test]
fn a_database_of_the_format_before_is_brought_up_to_date_after_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    filled(&path);
    let older = rusqlite::Connection::open(&path).unwrap();
    older
        .execute_batch("DROP TABLE origin; DROP TABLE cursors; DROP TABLE minutes; DROP TABLE retention; DROP TABLE patterns; DROP INDEX event_by_time; PRAGMA user_version = 1")
        .unwrap();
    drop(older);
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.take_in(intake(3, 3));
    drop(store);
    assert!(troubles.now().is_none(), "{:?}", troubles.all());
    assert_eq!((seqs(&path).len(), lines(&path)), (60, 3));
    let backup = rusqlite::Connection::open(beside(&path, ".backup")).unwrap();
    let format: i64 = backup.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let events: i64 = backup.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap();
    assert_eq!((format, events), (1, 60), "as it was before");
}

#[test]
fn a_database_of_a_newer_format_is_read_and_intake_waits_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    filled(&path);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let before = fs::read(&path).unwrap();
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    assert_eq!(store.cursors("p")["web"].next_seq, 10, "what is there is read");
    store.take_in(intake(2, 12));
    store.flush();
    assert!(troubles.now().unwrap().contains("newer cas"));
    assert_eq!(store.cursors("p")["web"].next_seq, 12);
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_full_disk_is_told_and_over_within_seconds_of_there_being_space() {
    run_in_small_file_system("2m", "store::repair::the_process_on_the_full_disk");
}

#[test]
#[ignore = "started by a_full_disk_is_told_and_over_within_seconds_of_there_being_space"]
fn the_process_on_the_full_disk() {
    let dir = std::env::var_os("CAS_TEST_DIR").unwrap();
    let dir = Path::new(&dir);
    let path = dir.join("cas.db");
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.record(Arc::new(simple(1)));
    store.take_in(intake(1, 1));
    store.flush();
    let ballast = beside(&path, ".ballast");
    assert_eq!(fs::metadata(&ballast).unwrap().len(), 256 << 10, "some space is held in reserve");
    let mut filler = fs::File::create(dir.join("filler")).unwrap();
    while filler.write(&[1; 512]).is_ok_and(|written| written > 0) {}
    store.record(Arc::new(simple(2)));
    store.flush();
    assert!(!ballast.exists(), "the reserve is given up");
    assert_eq!(seqs(&path), [1, 2], "and is what is written into");
    while filler.write(&[1; 512]).is_ok_and(|written| written > 0) {}
    let (mut given, mut next) = (2, 1);
    eventually("it says that there is no space", || {
        for _ in 0..100 {
            given += 1;
            store.record(Arc::new(simple(given)));
            next += 1;
            store.take_in(intake(1, next));
        }
        store.flush();
        troubles.has_said("no space left")
    });
    assert!(troubles.has_said("free for the history"), "little space was told of before: {:?}", troubles.all());
    assert!(store.status().queued > 0 && store.status().last_error.unwrap().contains("no space left"));
    assert_eq!(store.cursors("p")["web"].next_seq, next, "what cannot be written is kept");
    let before = clock::now();
    grow(dir, "8m");
    eventually("it goes on by itself", || {
        seqs(&path).last() == Some(&given) && store::read_cursors(&path, "p").unwrap()["web"].next_seq == next
    });
    assert!(clock::now().since(before).as_secs() < 5);
    assert_eq!(seqs(&path), (1..=given).collect::<Vec<_>>());
    assert_eq!(lines(&path), next);
    eventually("and takes the sentence back", || troubles.now().is_none());
    assert!(ballast.exists(), "there is a reserve again");
}

#[test]
fn a_read_only_file_system_is_told_and_written_to_once_it_can_be() {
    run_in_small_file_system("8m", "store::repair::the_process_on_the_read_only_disk");
}

#[test]
#[ignore = "started by a_read_only_file_system_is_told_and_written_to_once_it_can_be"]
fn the_process_on_the_read_only_disk() {
    let dir = std::env::var_os("CAS_TEST_DIR").unwrap();
    let dir = Path::new(&dir);
    let path = dir.join("cas.db");
    filled(&path);
    remount(dir, "remount,ro");
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.record(Arc::new(simple(61)));
    store.take_in(intake(1, 11));
    eventually("it says so", || troubles.now().is_some_and(|text| text.contains("cannot be written")));
    assert_eq!(store.entries(&all()).len(), 61, "what is there is read, what is new is kept");
    assert_eq!(store.cursors("p")["web"].next_seq, 11);
    remount(dir, "remount,rw");
    eventually("it goes on by itself", || seqs(&path).len() == 61 && lines(&path) == 11);
    eventually("and takes the sentence back", || troubles.now().is_none());
    assert!(names(dir).iter().all(|name| !name.contains("corrupt")), "{:?}", names(dir));
    // The same once it is open.
    drop(store);
    let store = Store::open(path.clone(), troubles.listener());
    store.flush();
    assert!(store.status().last_error.is_none());
}

#[test]
fn a_lock_of_everything_names_its_holder_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    filled(&path);
    let mut holder = std::process::Command::new("python3")
        .args(["-c", "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\ndb.execute('PRAGMA locking_mode = EXCLUSIVE')\ndb.execute('BEGIN EXCLUSIVE')\nprint('held', flush=True)\nsys.stdin.read()"])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut said).unwrap();
    assert_eq!(said.trim(), "held");
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.record(Arc::new(simple(61)));
    store.take_in(intake(1, 11));
    let named = format!("python3 (pid {})", holder.id());
    eventually("it names who is in the way", || troubles.now().is_some_and(|text| text.contains(&named)));
    drop(holder.stdin.take());
    holder.wait().unwrap();
    eventually("it goes on by itself", || seqs(&path).len() == 61 && lines(&path) == 11);
    eventually("and takes the sentence back", || troubles.now().is_none());
}
