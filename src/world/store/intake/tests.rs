use std::sync::Arc;

use rusqlite::Connection;

use super::{Batches, MINUTES, MinuteFilter, Taken, Waiting, cursors, minutes};
use crate::{
    model::{
        ids::{ServiceId, ServiceName},
        intake::{Cursor, Intake, Minute, Position},
    },
    world::store::open,
};

fn minute(minute: i64, lines: u64) -> Minute {
    Minute { minute, stdout_lines: lines - lines / 3, stderr_lines: lines / 3, bytes: lines * 10 }
}

fn intake(next_seq: u64, minutes: Vec<Minute>) -> Intake {
    let service = ServiceId { project: "shop".parse().unwrap(), service: web() };
    let stdout = Position { segment: 1, offset: next_seq * 10 };
    Intake { place: Arc::from("p"), service, cursor: Cursor { stdout, stderr: stdout, next_seq }, minutes }
}

fn web() -> ServiceName {
    ServiceName::new("web").unwrap()
}

fn all() -> MinuteFilter {
    MinuteFilter { place: Arc::from("p"), service: web(), from_minute: i64::MIN, to_minute: i64::MAX }
}

fn database() -> Connection {
    let mut db = Connection::open_in_memory().unwrap();
    open::migrate(&mut db).unwrap();
    db
}

/// One try; `told` is whether the writer learns that it succeeded.
fn write(db: &mut Connection, batches: &mut Batches, told: bool) {
    let change = db.transaction().unwrap();
    let caught_up = batches.write(&change).unwrap();
    change.commit().unwrap();
    if told {
        batches.written(caught_up);
    }
}

fn lines(db: &Connection) -> (u64, u64) {
    let (found, _) = minutes(db, &all()).unwrap();
    let next_seq = cursors(db, "p").unwrap().get("web").map_or(0, |cursor| cursor.next_seq);
    (found.iter().map(|minute| minute.stdout_lines + minute.stderr_lines).sum(), next_seq)
}

#[test]
fn a_day_of_minutes_is_kept_and_no_line_is_forgotten() {
    let mut taken = Taken::default();
    for at in 0..5000 {
        taken.add(Cursor::default(), [minute(at, 7)]);
    }
    assert_eq!(taken.minutes.len(), MINUTES);
    assert_eq!(taken.lines(), 5000 * 7);
    assert_eq!(taken.minutes.values().map(|minute| minute.bytes).sum::<u64>(), 5000 * 70);
    assert!(taken.minutes.iter().all(|(at, minute)| *at == minute.minute));
    // One that is older than all that are kept.
    taken.add(Cursor::default(), [minute(1, 3)]);
    assert_eq!((taken.minutes.len(), taken.lines()), (MINUTES, 5000 * 7 + 3));
}

#[test]
fn a_batch_whose_commit_succeeded_unknown_to_us_counts_once() {
    let (mut db, mut batches, mut waiting) = (database(), Batches::default(), Waiting::default());
    waiting.add(vec![intake(5, vec![minute(1, 5)])]);
    batches.draw(&mut waiting);
    write(&mut db, &mut batches, false);
    waiting.add(vec![intake(9, vec![minute(1, 4)])]);
    batches.draw(&mut waiting);
    let shown = batches.apply_to_minutes(&waiting, &all(), minutes(&db, &all()).unwrap());
    assert_eq!(
        shown,
        [Minute { stdout_lines: 7, stderr_lines: 2, ..minute(1, 9) }],
        "what is asked meanwhile is right, too"
    );
    write(&mut db, &mut batches, true);
    assert_eq!(lines(&db), (5, 5));
    batches.draw(&mut waiting);
    write(&mut db, &mut batches, true);
    assert_eq!(lines(&db), (9, 9));
    batches.draw(&mut waiting);
    assert!(batches.is_empty());
}

#[test]
fn output_that_is_read_again_as_the_cursor_was_not_known_counts_once() {
    for (stored, steps) in [(100, [30, 30, 60, 80]), (100, [100, 0, 0, 50]), (0, [1, 2, 3, 4]), (100, [150, 10, 0, 5])]
    {
        let (mut db, mut batches, mut waiting) = (database(), Batches::default(), Waiting::default());
        waiting.add(vec![intake(stored, vec![minute(1, stored)])]);
        batches.draw(&mut waiting);
        write(&mut db, &mut batches, true);
        waiting.doubt("p");
        let mut seq = 0;
        for (step, at) in steps.into_iter().zip(2..) {
            seq += step;
            waiting.add(vec![intake(seq, vec![minute(at, step)])]);
            batches.draw(&mut waiting);
            write(&mut db, &mut batches, true);
            let expected = seq.max(stored);
            assert_eq!(lines(&db), (expected, expected), "{stored} {steps:?} at {seq}");
        }
    }
}

#[test]
fn a_range_that_ends_before_it_begins_holds_nothing() {
    let (batches, mut waiting) = (Batches::default(), Waiting::default());
    waiting.add(vec![intake(5, vec![minute(3, 5)])]);
    let asked = |from_minute, to_minute| MinuteFilter { from_minute, to_minute, ..all() };
    assert!(batches.apply_to_minutes(&waiting, &asked(4, 2), (Vec::new(), 0)).is_empty());
    assert!(batches.apply_to_minutes(&waiting, &asked(3, 2), (Vec::new(), 0)).is_empty());
    assert_eq!(batches.apply_to_minutes(&waiting, &asked(3, 3), (Vec::new(), 0)), [minute(3, 5)]);
}
