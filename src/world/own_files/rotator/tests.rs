//! What a pass knows of a file, and who may ask for it meanwhile.

use std::{fs, path::Path};

use super::*;
use crate::model::{
    ids::{ProjectName, RunId, ServiceName},
    log_file::{How, Rotation},
};

/// Nothing runs; whoever is asked notes what was known of files then.
#[derive(Debug, Default)]
struct Asked {
    shared: Mutex<std::sync::Weak<Shared>>,
    known: Mutex<Vec<usize>>,
}

impl super::super::Runs for Asked {
    fn writer(&self, _: &ServiceId) -> Option<(RunId, u32)> {
        let shared = self.shared.lock().unwrap().upgrade()?;
        let known = lock(&shared).seen.len();
        self.known.lock().unwrap().push(known);
        None
    }

    fn processes(&self, _: &ServiceId) -> Vec<u32> {
        Vec::new()
    }
}

fn shared() -> (Arc<Shared>, Arc<Asked>) {
    let asked = Arc::<Asked>::default();
    let users = Arc::new(Users { runs: Arc::<Asked>::clone(&asked), kept: Mutex::default() });
    let clock = ClockOf(Arc::new(clock::now));
    let shared = Arc::new(Shared { state: Mutex::default(), bell: Condvar::new(), users, clock });
    *asked.shared.lock().unwrap() = Arc::downgrade(&shared);
    (shared, asked)
}

fn work<'a>(shared: &'a Shared, handed: &'a Handed) -> Work<'a> {
    Work { shared, handed, tell: Box::new(|_| {}), found: None, passed: None, offset_us: None, mistrust: None }
}

fn hourly(directory: &Path) -> LogFiles {
    let max_age = Some(Duration::from_hours(1));
    let keep_for = Some(Duration::from_mins(1));
    let rotate = Rotation { max_bytes: None, max_age, keep: 7, keep_for, compress: true, how: How::CopyTruncate };
    LogFiles {
        directory: directory.to_owned(),
        name: "a.log".to_owned(),
        within: None,
        prefix: String::new(),
        follow: true,
        rotate: Some(rotate),
    }
}

#[test]
fn a_file_whose_rotated_one_is_kept_no_longer_is_as_old_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.log"), "one\n").unwrap();
    fs::write(dir.path().join("a.log.1"), "").unwrap();
    let files = hourly(dir.path());
    let place = Place::open(&files).unwrap();
    let ((shared, _), handed) = (shared(), Handed::default());
    let (work, owners, begun) = (work(&shared, &handed), Owners::and(Vec::new()), clock::now());
    let look = |before: Option<&Seen>, after: Duration| {
        work.look_at((&place, "a.log"), &files, &owners, before, begun.plus(after))
    };
    let (seen, due) = look(None, Duration::ZERO);
    let mut seen = seen.unwrap();
    assert!(due.is_none() && seen.rotated_us.is_some());
    // Its birth was long before.
    let later = begun.plus(Duration::from_hours(5));
    seen.rotated_us = Some(later.wall_us);
    fs::remove_file(dir.path().join("a.log.1")).unwrap();
    let (after, due) = look(Some(&seen), Duration::from_hours(5) + Duration::from_mins(59));
    assert_eq!((after.unwrap().rotated_us, due), (seen.rotated_us, None));
    let (_, due) = look(Some(&seen), Duration::from_hours(6) + Duration::from_mins(1));
    assert_eq!(due, Some(DueBy::Age(Duration::from_hours(1))));
    // Another file of that name was born later.
    fs::write(dir.path().join("b.log"), "two\n").unwrap();
    fs::rename(dir.path().join("b.log"), dir.path().join("a.log")).unwrap();
    assert_eq!(look(Some(&seen), Duration::ZERO).0.unwrap().rotated_us, None);
}

#[test]
fn what_the_last_pass_has_seen_can_be_asked_for_during_the_next() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.log"), "one\n").unwrap();
    let (shared, asked) = shared();
    let handed = Handed::default();
    let mut work = work(&shared, &handed);
    let service = ServiceId { project: ProjectName::new("shop").unwrap(), service: ServiceName::new("web").unwrap() };
    let files: Arc<[LogFiles]> = vec![hourly(dir.path())].into();
    let declared = [Declared { service, place: "shop-0".into(), directory: dir.path().to_owned(), files }];
    for _ in 0..2 {
        shared.users.kept.lock().unwrap().clear();
        work.pass(&declared);
    }
    assert_eq!(*asked.known.lock().unwrap(), [0, 1]);
}
