//! The registry across moves of directories and formats of the database.

use std::{fs, path::Path};

use cas::{
    model::{
        ids::{ServiceId, ServiceName},
        intake::{Cursor, Intake, Minute},
        project::ProjectRecord,
    },
    world::store::{self, Store},
};

use super::Troubles;

fn record(root: &Path, remote: Option<&str>) -> ProjectRecord {
    ProjectRecord {
        name: "shop".parse().unwrap(),
        root: root.to_owned(),
        file: root.join("cas.yaml"),
        services: 1,
        last_opened_us: 7,
        exists: root.is_dir(),
        remote: remote.map(str::to_owned),
        moved_from: None,
    }
}

#[test]
fn a_moved_project_takes_the_place_of_its_record_before_and_after_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old, new) = (dir.path().join("cas.db"), dir.path().join("old"), dir.path().join("new"));
    fs::create_dir(&old).unwrap();
    let store = Store::open(path.clone(), |_| {});
    store.register(record(&old, Some("git@host:shop")));
    store.flush();
    fs::rename(&old, &new).unwrap();
    store.register(record(&new, Some("git@host:shop")));
    let moved = [ProjectRecord { moved_from: Some(old.clone()), ..record(&new, Some("git@host:shop")) }];
    assert_eq!(store.projects(), moved, "not written yet");
    store.flush();
    assert_eq!(store.projects(), moved);
    // Opened there again.
    store.register(record(&new, Some("git@host:shop")));
    drop(store);
    assert_eq!(store::read_projects(&path).unwrap(), moved);
}

#[test]
fn a_project_without_a_remote_and_one_that_is_still_there_are_not_moved() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old, new) = (dir.path().join("cas.db"), dir.path().join("old"), dir.path().join("new"));
    fs::create_dir(&old).unwrap();
    fs::create_dir(&new).unwrap();
    let store = Store::open(path, |_| {});
    store.register(record(&old, Some("git@host:shop")));
    store.register(record(&new, Some("git@host:shop")));
    store.flush();
    assert_eq!(store.projects().len(), 2, "a second clone");
    store.forget(new.clone());
    fs::remove_dir(&old).unwrap();
    store.register(record(&new, None));
    store.flush();
    let known = store.projects();
    assert_eq!(known.len(), 2, "nothing proves it: {known:?}");
    assert!(known.iter().any(|one| one.root == old && !one.exists));
}

#[test]
fn a_database_of_an_older_cas_is_listed_without_being_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    let store = Store::open(path.clone(), |_| {});
    store.register(record(dir.path(), Some("git@host:shop")));
    drop(store);
    let older = rusqlite::Connection::open(&path).unwrap();
    older.execute_batch("DROP TABLE origin; DROP TABLE patterns; PRAGMA user_version = 2").unwrap();
    assert_eq!(store::read_projects(&path).unwrap(), [record(dir.path(), None)]);
    let format: i64 = older.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(format, 2);
    drop(older);
    let troubles = Troubles::default();
    let store = Store::open(path.clone(), troubles.listener());
    store.register(record(dir.path(), Some("git@host:shop")));
    drop(store);
    assert!(troubles.now().is_none(), "{:?}", troubles.all());
    assert_eq!(store::read_projects(&path).unwrap(), [record(dir.path(), Some("git@host:shop"))], "brought up to date");
}

#[test]
fn what_is_kept_of_a_place_goes_to_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cas.db");
    let store = Store::open(path.clone(), |_| {});
    let service: ServiceName = "web".parse().unwrap();
    let cursor = Cursor { next_seq: 4, ..Cursor::default() };
    let minute = Minute { minute: 100, stdout_lines: 3, ..Minute::default() };
    let intake = Intake {
        place: "shop-a".into(),
        service: ServiceId { project: "shop".parse().unwrap(), service: service.clone() },
        cursor,
        minutes: vec![minute],
    };
    store.take_in(vec![intake]);
    store.keep_patterns(&"shop-a".into(), &service, [1, 2, 3].into());
    store.move_place("shop-a", "shop-b").unwrap();
    assert!(store.patterns("shop-a").is_empty());
    assert_eq!(*store.patterns("shop-b")[&service], [1, 2, 3]);
    assert!(store.cursors("shop-a").is_empty());
    assert_eq!(store.cursors("shop-b").get(&service).map(|cursor| cursor.next_seq), Some(4));
    assert_eq!(store.minutes("shop-b", &service, 0, 200), [minute]);
    assert!(store.minutes("shop-a", &service, 0, 200).is_empty());
    store.move_place("shop-a", "shop-b").unwrap();
    assert_eq!(store.minutes("shop-b", &service, 0, 200), [minute], "there is nothing to move any more");
}
