//! How far output was taken in, and the minutes: each line counts once, whatever happens in between.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use cas::{
    model::{
        ids::{ServiceId, ServiceName},
        intake::{Cursor, Intake, Minute, Position},
    },
    world::{
        clock,
        store::{self, Store},
    },
};

use super::Troubles;
use crate::support::eventually;

const PLACE: &str = "shop-0123456789abcdef";

fn name(service: &str) -> ServiceName {
    ServiceName::new(service).unwrap()
}

fn cursor(next_seq: u64) -> Cursor {
    let stdout = Position { segment: next_seq / 1000 + 1, offset: next_seq * 11 };
    Cursor { stdout, stderr: Position { segment: 1, offset: next_seq }, next_seq }
}

/// `lines` of `service` that bring it to `next_seq`.
fn intake(service: &str, minute: i64, lines: u64, next_seq: u64) -> Intake {
    let minute = Minute { minute, stdout_lines: lines - lines / 4, stderr_lines: lines / 4, bytes: lines * 11 };
    let service = ServiceId { project: "shop".parse().unwrap(), service: name(service) };
    Intake { place: Arc::from(PLACE), service, cursor: cursor(next_seq), minutes: vec![minute] }
}

fn now_minute() -> i64 {
    clock::now().wall_us / 60_000_000
}

fn lines(minutes: &[Minute]) -> u64 {
    minutes.iter().map(|minute| minute.stdout_lines + minute.stderr_lines).sum()
}

#[test]
fn cursors_and_minutes_read_back_the_same_before_and_after_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    let store = Store::open(path.clone(), |_| {});
    assert!(store.cursors(PLACE).is_empty());
    let at = now_minute();
    let mut next = 0;
    for round in 0..3 {
        for minute in at - 2..=at {
            next += 8;
            store.take_in(vec![intake("web", minute, 8, next), intake("db", minute, 4, next / 2)]);
        }
        let expected = BTreeMap::from([(name("web"), cursor(next)), (name("db"), cursor(next / 2))]);
        let eight = 8 * (round + 1);
        let first_two: Vec<Minute> = [at - 2, at - 1]
            .map(|minute| Minute { minute, stdout_lines: eight / 4 * 3, stderr_lines: eight / 4, bytes: eight * 11 })
            .into();
        for written in [false, true] {
            assert_eq!(store.cursors(PLACE), expected, "written: {written}");
            assert_eq!(store.minutes(PLACE, &name("web"), at - 2, at - 1), first_two, "written: {written}");
            store.flush();
        }
        assert_eq!(store::read_minutes(&path, PLACE, &name("web"), at - 2, at - 1).unwrap(), first_two);
        assert_eq!(store::read_cursors(&path, PLACE).unwrap(), expected);
    }
    assert!(store.cursors("another").is_empty());
    assert!(store.minutes("another", &name("web"), i64::MIN, i64::MAX).is_empty());
    assert!(store.minutes(PLACE, &name("mail"), i64::MIN, i64::MAX).is_empty());
    drop(store);
    let again = Store::open(path, |_| {});
    assert_eq!(again.cursors(PLACE)["web"], cursor(next));
}

#[test]
fn what_was_taken_in_is_on_disk_within_seconds_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    let store = Store::open(path.clone(), |_| {});
    store.take_in(vec![intake("web", now_minute(), 3, 3)]);
    eventually("the batch is written", || {
        store::read_cursors(&path, PLACE).is_ok_and(|found| found.get("web") == Some(&cursor(3)))
    });
    let status = || store.status();
    eventually("nothing waits", || status().queued == 0);
    assert_eq!((status().dropped, status().last_error), (0, None));
    eventually("its size is known", || status().bytes > 4096);
}

#[test]
fn while_the_database_is_locked_intake_is_merged_and_none_is_lost_or_counted_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    drop(Store::open(path.clone(), |_| {}));
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let troubles = Troubles::default();
    let limits = store::Limits { queue: 8, ..store::Limits::default() };
    let store = Store::with_limits(path.clone(), limits, troubles.listener());
    let at = now_minute();
    let before = clock::now();
    for next in 1..=50_000_u64 {
        // More minutes than are kept in memory, and far more messages than the queue holds.
        store.take_in(vec![intake("web", at - i64::try_from(next % 5000).unwrap(), 4, next * 4)]);
    }
    assert!(clock::now().since(before).as_secs() < 4, "taking in does not wait for a lock");
    assert_eq!(store.dropped(), 0, "a full queue costs nothing");
    holder.execute_batch("COMMIT").unwrap();
    store.flush();
    let found = store::read_minutes(&path, PLACE, &name("web"), i64::MIN, i64::MAX).unwrap();
    assert!(found.len() <= 2 * 1440, "{}", found.len());
    assert_eq!(lines(&found), 200_000);
    assert_eq!(found.iter().map(|minute| minute.bytes).sum::<u64>(), 50_000 * 44);
    assert_eq!(store::read_cursors(&path, PLACE).unwrap()["web"], cursor(200_000));
}

#[test]
fn output_that_is_read_again_as_a_lock_hid_the_cursor_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    let store = Store::open(path.clone(), |_| {});
    store.take_in(vec![intake("web", now_minute(), 100, 100)]);
    drop(store);
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").unwrap();
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    assert!(store.cursors(PLACE).is_empty(), "nobody can know");
    store.take_in(vec![intake("web", now_minute(), 60, 60)]);
    assert_eq!(store.cursors(PLACE)["web"], cursor(60));
    store.take_in(vec![intake("web", now_minute(), 60, 120)]);
    eventually("it says who is in the way", || troubles.has_said("is locked by"));
    holder.execute_batch("COMMIT").unwrap();
    drop(holder);
    eventually("it goes on by itself", || {
        store::read_cursors(&path, PLACE).is_ok_and(|found| found.get("web") == Some(&cursor(120)))
    });
    store.take_in(vec![intake("web", now_minute(), 5, 125)]);
    drop(store);
    let found = store::read_minutes(&path, PLACE, &name("web"), i64::MIN, i64::MAX).unwrap();
    assert_eq!(lines(&found), 125);
}

/// Told to [`the_process_that_is_killed`]: the database.
const DATABASE: &str = "CAS_TEST_INTAKE";

/// What is in the database is consistent; how many lines that is.
fn count(path: &Path) -> u64 {
    let mut all = 0;
    for (service, cursor) in store::read_cursors(path, PLACE).unwrap() {
        let found = store::read_minutes(path, PLACE, &service, i64::MIN, i64::MAX).unwrap();
        assert_eq!(lines(&found), cursor.next_seq, "{service}");
        all += cursor.next_seq;
    }
    all
}

#[test]
fn every_line_counts_once_however_often_the_engine_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    let mut random = fastrand::Rng::with_seed(20);
    let (mut before, mut grown) = (0, 0);
    for _ in 0..40 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "store::taken::the_process_that_is_killed", "--nocapture"])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        // Killed after a random number of commits that it told of, in the midst of the next.
        let mut left = random.u32(0..40);
        while let Some(Ok(line)) = told.next() {
            if let Some(total) = line.strip_prefix("total ") {
                acknowledged = total.parse().unwrap();
                if left == 0 {
                    break;
                }
                left -= 1;
            }
        }
        let moment = clock::now().plus(std::time::Duration::from_micros(random.u64(0..4000)));
        while !clock::now().has_reached(moment) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let after = count(&path);
        assert!(acknowledged > 0 && after >= acknowledged && after >= before, "{before} {acknowledged} {after}");
        grown += u32::from(after > acknowledged);
        before = after;
    }
    assert!(grown > 0, "some were killed between a commit and its telling");
}

#[test]
#[ignore = "started by every_line_counts_once_however_often_the_engine_is_killed"]
fn the_process_that_is_killed() {
    let path = PathBuf::from(std::env::var_os(DATABASE).unwrap());
    let store = Store::open(path, |_| {});
    let mut next: BTreeMap<ServiceName, u64> =
        store.cursors(PLACE).into_iter().map(|(service, cursor)| (service, cursor.next_seq)).collect();
    let mut random = fastrand::Rng::new();
    let at = now_minute();
    // No end of it: it is killed. Where it is not, it ends with its reader.
    for _ in 0..1_000_000 {
        for _ in 0..random.usize(1..30) {
            let service = ["web", "db", "mail", "cron"][random.usize(0..4)];
            let lines = random.u64(0..50);
            let seq = next.entry(name(service)).or_default();
            *seq += lines;
            store.take_in(vec![intake(service, at - random.i64(0..300), lines, *seq)]);
        }
        store.flush();
        println!("total {}", next.values().sum::<u64>());
    }
}

#[test]
fn of_the_patterns_of_a_service_the_newest_is_kept_and_read_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    let store = Store::open(path.clone(), |_| {});
    let (place, web): (Arc<str>, ServiceName) = ("shop-a".into(), "web".parse().unwrap());
    store.keep_patterns(&place, &web, [1].into());
    store.keep_patterns(&place, &web, [2].into());
    assert_eq!(*store.patterns(&place)[&web], [2], "what waits counts");
    store.flush();
    assert_eq!(*store::read_patterns(&path, &place).unwrap()[&web], [2]);
    assert!(store.patterns("shop-b").is_empty());
    store.keep_patterns(&place, &web, [3].into());
    drop(store);
    assert_eq!(*store::read_patterns(&path, &place).unwrap()[&web], [3], "what is given last is written at the end");
    assert!(store::read_patterns(&dir.path().join("none.db"), &place).unwrap().is_empty());
}
