//! The database when the disk is not well. Never a panic, always an answer, and a sentence that says what to do.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use cas::{
    model::{project::ProjectRecord, timeline::Entry},
    world::store::{self, EntryFilter, Limits, Store, StoreError},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Troubles, quick_dir, simple};
use crate::support::eventually;

fn all() -> EntryFilter {
    EntryFilter { limit: usize::MAX, ..EntryFilter::default() }
}

/// A database with `entries` in it, closed.
fn filled(path: &Path, entries: u64) {
    let store = Store::open(path.to_owned(), |_| {});
    for seq in 1..=entries {
        store.record(Arc::new(simple(seq)));
    }
    store.register(ProjectRecord {
        name: "shop".parse().unwrap(),
        root: PathBuf::from("/srv/shop"),
        file: PathBuf::from("/srv/shop/cas.yaml"),
        services: 1,
        last_opened_us: 1,
        exists: false,
        remote: None,
        moved_from: None,
    });
}

fn set_aside(dir: &Path) -> usize {
    fs::read_dir(dir)
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            name.starts_with("history.db.corrupt-") && name.ends_with('Z')
        })
        .count()
}

#[test]
fn a_byte_bent_anywhere_never_stops_it_and_what_is_new_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    filled(&path, 60);
    let sound = fs::read(&path).unwrap();
    let page = 4096;
    assert!(sound.len() > 4 * page, "several pages: {}", sound.len());
    let mut aside = 0;
    for start in (0..sound.len()).step_by(page) {
        for offset in [0, 1, 3, 5, 7, 8, 18, 40, 60, 63, 100, 105, 2000, 3000, 4000, 4095] {
            let mut bent = sound.clone();
            bent[start + offset] ^= 0xff;
            let here = quick_dir();
            let path = here.path().join("history.db");
            fs::write(&path, &bent).unwrap();
            let troubles = Troubles::default();
            let store = Store::open(path.clone(), troubles.listener());
            store.record(Arc::new(simple(1000)));
            store.flush();
            let found = store.entries(&all());
            assert!(found.iter().any(|entry| *entry == simple(1000)), "page {start}, byte {offset}: {found:?}");
            drop(store);
            let moved = set_aside(here.path());
            assert_eq!(moved > 0, troubles.has_said("was damaged"), "{:?}", troubles.all());
            aside += moved;
            // Reading without an engine has an answer, too: entries or a sentence.
            match store::read_entries(&path, &all()) {
                Ok(found) => assert!(found.len() <= 61),
                Err(error) => assert!(error.to_string().contains("history.db"), "{error}"),
            }
        }
    }
    assert!(aside > 10, "damage was found and put aside: {aside}");
}

#[test]
fn a_file_cut_off_or_of_another_kind_is_kept_aside_with_its_contents() {
    for content in [b"this is no database, it is a letter to my aunt".to_vec(), vec![0; 9000], vec![0xff; 5000]] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        fs::write(&path, &content).unwrap();
        let troubles = Troubles::default();
        let store = Store::open(path.clone(), troubles.listener());
        store.record(Arc::new(simple(1)));
        store.flush();
        assert_eq!(store.entries(&all()), [simple(1)]);
        assert!(troubles.has_said("a new one was begun"), "{:?}", troubles.all());
        let kept = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_str().unwrap().contains(".corrupt-"))
            .unwrap();
        assert_eq!(fs::read(kept).unwrap(), content);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    filled(&path, 60);
    let sound = fs::read(&path).unwrap();
    for length in (1..sound.len()).step_by(1111) {
        fs::write(&path, &sound[..length]).unwrap();
        let store = Store::open(path.clone(), |_| {});
        store.record(Arc::new(simple(99)));
        store.flush();
        assert!(store.entries(&all()).contains(&simple(99)), "cut to {length}");
    }
}

#[test]
fn a_database_of_a_newer_cas_is_read_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    filled(&path, 3);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let before = fs::read(&path).unwrap();
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.record(Arc::new(simple(50)));
    store.flush();
    let trouble = troubles.now().unwrap();
    assert!(trouble.contains("newer cas") && trouble.contains("999") && trouble.contains("update cas"), "{trouble}");
    let seqs: Vec<u64> = store.entries(&all()).iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 50], "what is there is read, what is new is kept in memory");
    assert_eq!(store.projects().len(), 1);
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(store::read_entries(&path, &all()).unwrap().len(), 3);
    rusqlite::Connection::open(&path).unwrap().execute_batch("ALTER TABLE event RENAME TO occurrence").unwrap();
    let error = store::read_entries(&path, &all()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error:?}");
}

#[test]
fn while_another_program_holds_the_lock_entries_wait_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    filled(&path, 1);
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.record(Arc::new(simple(2)));
    eventually("it says who is in the way", || troubles.now().is_some_and(|text| text.contains("is locked by")));
    assert_eq!(
        store.entries(&all()),
        [simple(1), simple(2)],
        "readers are not in the way of a writer, nor it in theirs"
    );
    assert_eq!(store::read_entries(&path, &all()).unwrap(), [simple(1)]);
    holder.execute_batch("COMMIT").unwrap();
    eventually("it goes on by itself", || store::read_entries(&path, &all()).unwrap().len() == 2);
    eventually("and takes the sentence back", || troubles.now().is_none());
}

/// Told to [`the_process_with_the_full_disk`]: the directory, and in what way it becomes full.
const FULL: &str = "CAS_TEST_FULL_DISK";

#[test]
fn a_full_disk_costs_nothing_once_there_is_space_again() {
    let dir = tempfile::tempdir().unwrap();
    let inside = |way: &str, setup: &str| {
        Command::new("sh")
            .args(["-c", setup, "sh"])
            .arg(dir.path())
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "store::faults::the_process_with_the_full_disk", "--nocapture"])
            .env(FULL, format!("{way}:{}", dir.path().display()))
            .output()
            .unwrap()
    };
    // A file system of its own, of 2 MiB, where a user may have one.
    let small = "exec unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=2m none \"$1\" || exit 97; shift; exec \"$@\"' sh \"$@\"";
    let output = inside("small", small);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(97) || told.contains("unshare") {
        println!("no file system of its own ({}): only with a limit on the size of files", told.trim());
    } else {
        assert!(output.status.success(), "{told}");
    }
    let output = inside("limit", "trap '' XFSZ; shift; exec \"$@\"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "started by a_full_disk_costs_nothing_once_there_is_space_again"]
fn the_process_with_the_full_disk() {
    let told = std::env::var(FULL).unwrap();
    let (way, dir) = told.split_once(':').unwrap();
    let dir = Path::new(dir);
    let path = dir.join("history.db");
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.record(Arc::new(simple(1)));
    store.flush();
    let filler = dir.join("filler");
    let unlimited = getrlimit(Resource::Fsize);
    let words = if way == "small" {
        let mut file = fs::File::create(&filler).unwrap();
        while file.write(&[1; 512]).is_ok_and(|written| written > 0) {}
        "no space left"
    } else {
        setrlimit(Resource::Fsize, Rlimit { current: Some(20_000), maximum: unlimited.maximum }).unwrap();
        "cannot be used"
    };
    let mut given = vec![simple(1)];
    for seq in 2..=200 {
        given.push(Entry { why: "x".repeat(2000), ..simple(seq) });
        store.record(Arc::new(given.last().unwrap().clone()));
    }
    eventually("it says that it cannot write", || troubles.now().is_some_and(|text| text.contains(words)));
    // Compared first: a difference would be a page of text.
    let kept = store.entries(&all()) == given;
    assert!(kept, "what cannot be written is kept");
    if way == "small" {
        fs::remove_file(&filler).unwrap();
    } else {
        setrlimit(Resource::Fsize, unlimited).unwrap();
    }
    eventually("it goes on by itself", || store::read_entries(&path, &all()).is_ok_and(|found| found == given));
    eventually("and takes the sentence back", || troubles.now().is_none());
}

#[test]
fn a_place_where_no_file_can_be_made_is_tried_again_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join("state");
    fs::write(&in_the_way, "a file where a directory should be").unwrap();
    let path = in_the_way.join("history.db");
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.record(Arc::new(simple(1)));
    eventually("it says so", || troubles.now().is_some_and(|text| text.contains("history.db")));
    assert_eq!(store.entries(&all()), [simple(1)]);
    fs::remove_file(&in_the_way).unwrap();
    eventually("it goes on by itself", || store::read_entries(&path, &all()).unwrap() == [simple(1)]);
    eventually("and takes the sentence back", || troubles.now().is_none());
}

#[test]
fn a_database_deleted_behind_its_back_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let store = Store::open(path.clone(), |_| {});
    store.record(Arc::new(simple(1)));
    store.flush();
    for file in fs::read_dir(dir.path()).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    store.record(Arc::new(simple(2)));
    store.flush();
    assert_eq!(store::read_entries(&path, &all()).unwrap(), [simple(2)]);
}

#[test]
fn memory_is_bounded_while_nothing_can_be_written_and_what_is_missing_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let in_the_way = dir.path().join("state");
    fs::write(&in_the_way, "").unwrap();
    let path = in_the_way.join("history.db");
    let troubles = Troubles::default();
    let limits = Limits { pending: 10, ..Limits::default() };
    let store = Store::with_limits(path, limits, troubles.listener());
    for seq in 1..=100 {
        store.record(Arc::new(simple(seq)));
    }
    let kept: Vec<u64> = store.entries(&all()).iter().map(|entry| entry.seq).collect();
    assert_eq!(kept, (91..=100).collect::<Vec<_>>(), "the newest are kept");
    fs::remove_file(&in_the_way).unwrap();
    eventually("it tells how many are missing", || troubles.has_said("90 events are missing"));
}

#[test]
fn a_queue_that_is_full_makes_nobody_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    filled(&path, 1);
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let troubles = Troubles::default();
    let limits = Limits { queue: 8, ..Limits::default() };
    let store = Store::with_limits(path, limits, troubles.listener());
    let before = cas::world::clock::now();
    for seq in 2..=20_000 {
        store.record(Arc::new(simple(seq)));
    }
    assert!(cas::world::clock::now().since(before).as_secs() < 3, "recording does not wait for a lock of five seconds");
    assert!(store.dropped() > 0);
    holder.execute_batch("COMMIT").unwrap();
    eventually("it tells that events are missing", || troubles.has_said("events are missing"));
}
