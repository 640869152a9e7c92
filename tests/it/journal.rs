//! What an engine remembers for the next one, with all that can happen to a file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails there")]

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
    sync::Arc,
};

use cas::{
    model::ids::ServiceName,
    world::journal::{Journal, last_alive_wall_us},
};

use crate::{
    store::{grow, quick_dir, run_in_small_file_system},
    support::eventually,
};

fn name(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

fn record(number: usize) -> String {
    format!("{{\"restarts\":{number},\"why\":\"it's € \\u001b\"}}")
}

type Records = BTreeMap<ServiceName, Arc<str>>;

fn read(dir: &Path) -> Records {
    Journal::open(dir).1
}

/// Six records of three services, and where each ends in the file.
fn written(dir: &Path) -> Vec<(usize, ServiceName, String)> {
    let (mut journal, found, troubles) = Journal::open(dir);
    assert!(found.is_empty() && troubles.is_empty(), "{found:?} {troubles:?}");
    (0..6)
        .map(|number| {
            let service = name(["web", "db", "a.b-c_d"][number % 3]);
            journal.remember(&service, &record(number)).unwrap();
            (fs::read(dir.join("journal")).unwrap().len(), service, record(number))
        })
        .collect()
}

fn asides(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("journal."))
        .collect()
}

#[test]
fn the_newest_record_of_each_service_is_found_again() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("projects/shop-0123456789abcdef");
    written(&dir);
    let (_, found, troubles) = Journal::open(&dir);
    assert!(troubles.is_empty(), "{troubles:?}");
    let found: Vec<(String, String)> =
        found.iter().map(|(name, record)| (name.to_string(), record.to_string())).collect();
    let expected = [("a.b-c_d", 5), ("db", 4), ("web", 3)].map(|(name, number)| (name.to_owned(), record(number)));
    assert_eq!(found, expected);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(dir.join("journal")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_journal_cut_anywhere_gives_every_whole_record_before_the_cut() {
    let home = tempfile::tempdir().unwrap();
    let records = written(home.path());
    let whole = fs::read(home.path().join("journal")).unwrap();
    for cut in 0..=whole.len() {
        let here = quick_dir();
        fs::write(here.path().join("journal"), &whole[..cut]).unwrap();
        // The line feed behind a record is not needed.
        let expected: Records = records
            .iter()
            .filter(|(end, ..)| end - 1 <= cut)
            .map(|(_, service, record)| (service.clone(), Arc::from(&**record)))
            .collect();
        let (mut journal, found, troubles) = Journal::open(here.path());
        assert_eq!(found, expected, "cut at {cut}");
        assert!(troubles.len() <= 1, "{troubles:?}");
        journal.remember(&name("new"), "{}").unwrap();
        let mut expected = expected;
        expected.insert(name("new"), Arc::from("{}"));
        assert_eq!(read(here.path()), expected, "what follows a cut at {cut} is whole");
    }
}

#[test]
fn a_byte_bent_anywhere_costs_one_record_at_most() {
    let home = tempfile::tempdir().unwrap();
    written(home.path());
    let whole = fs::read(home.path().join("journal")).unwrap();
    let all = read(home.path());
    for at in 0..whole.len() {
        for bent in [whole[at] ^ 0xff, whole[at] ^ 1, b'\n', 0] {
            let here = quick_dir();
            let mut bytes = whole.clone();
            bytes[at] = bent;
            fs::write(here.path().join("journal"), &bytes).unwrap();
            let (_, found, troubles) = Journal::open(here.path());
            let missing = all.iter().filter(|(service, record)| found.get(*service) != Some(record)).count();
            assert!(missing <= 1 && found.len() == 3, "byte {at}: {found:?}");
            assert!(missing == 0 || !troubles.is_empty(), "byte {at}: a lost record is told");
            if troubles.iter().any(|text| text.contains("was damaged")) {
                let kept = asides(here.path());
                assert_eq!(kept.len(), 1, "{kept:?}");
                assert_eq!(fs::read(here.path().join(&kept[0])).unwrap(), bytes, "the damaged file is kept");
                assert!(Journal::open(here.path()).2.is_empty(), "and told of once");
            }
        }
    }
}

#[test]
fn records_of_a_newer_cas_are_passed_over_and_kept_aside() {
    let home = tempfile::tempdir().unwrap();
    written(home.path());
    let path = home.path().join("journal");
    let before = read(home.path());
    let mut file = fs::File::options().append(true).open(&path).unwrap();
    file.write_all(b"\n2 web something that is not known here\n").unwrap();
    let (mut journal, found, troubles) = Journal::open(home.path());
    assert_eq!(found, before);
    assert!(troubles.len() == 1 && troubles[0].contains("newer cas"), "{troubles:?}");
    let mut number = 0;
    eventually("it is rewritten", || {
        number += 1;
        journal.remember(&name("web"), &"x".repeat(1000)).unwrap();
        !fs::read(&path).unwrap().windows(5).any(|part| part == b"2 web")
    });
    let kept = asides(home.path());
    assert!(kept.len() == 1 && kept[0].starts_with("journal.newer-"), "{kept:?}");
}

#[test]
fn fifty_megabytes_of_garbage_are_read_in_bounded_memory() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("journal");
    let mut random = fastrand::Rng::with_seed(7);
    {
        let mut file = fs::File::create(&path).unwrap();
        let mut block = vec![0; 1 << 20];
        for number in 0..50 {
            random.fill(&mut block);
            if number % 2 == 0 {
                block.fill(b'x'); // lines that are longer than any record
            }
            file.write_all(&block).unwrap();
        }
    }
    // Alone in a process, whose memory is then this alone.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "journal::the_process_with_the_garbage"])
        .env("CAS_TEST_DIR", home.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    assert_eq!(read(home.path()).len(), 1);
    assert!(fs::metadata(&path).unwrap().len() < 100, "what is kept is what is known");
}

#[test]
#[ignore = "started by fifty_megabytes_of_garbage_are_read_in_bounded_memory"]
fn the_process_with_the_garbage() {
    let dir = std::env::var_os("CAS_TEST_DIR").unwrap();
    let peak_kilobytes = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = peak_kilobytes();
    let (mut journal, found, troubles) = Journal::open(Path::new(&dir));
    assert!(peak_kilobytes() < before + 16_000, "{before} → {}", peak_kilobytes());
    assert!(found.is_empty() && troubles.iter().any(|text| text.contains("was damaged")), "{troubles:?}");
    journal.remember(&name("web"), "{}").unwrap();
}

#[test]
fn it_stays_small_and_keeps_the_newest_of_each() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("journal");
    let (mut journal, ..) = Journal::open(home.path());
    let mut largest = 0;
    for number in 0..20_000 {
        journal.remember(&name(&format!("s{}", number % 50)), &record(number)).unwrap();
        largest = largest.max(fs::metadata(&path).unwrap().len());
    }
    assert!(largest < 66 << 10, "{largest}");
    let found = read(home.path());
    assert_eq!(found.len(), 50);
    for (service, kept) in found {
        let last: usize = 19_950 + service.as_str()[1..].parse::<usize>().unwrap();
        assert_eq!(*kept, *record(last));
    }
    let long = "y".repeat(200 << 10);
    for _ in 0..20 {
        journal.remember(&name("s1"), &long).unwrap();
        largest = largest.max(fs::metadata(&path).unwrap().len());
    }
    assert!(largest < 5 * (204 << 10), "four times what is needed, and one: {largest}");
    assert_eq!(*read(home.path())["s1"], *long);
    assert!(asides(home.path()).is_empty());
}

#[test]
fn what_would_spoil_the_journal_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(home.path());
    for bad in ["{}\n{}".to_owned(), "z".repeat(257 << 10)] {
        let error = journal.remember(&name("web"), &bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(read(home.path()).is_empty());
}

#[test]
fn a_planted_link_is_refused_and_its_target_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("precious");
    fs::write(&target, "precious").unwrap();
    let dir = home.path().join("project");
    fs::create_dir(&dir).unwrap();
    symlink(&target, dir.join("journal")).unwrap();
    let (mut journal, found, troubles) = Journal::open(&dir);
    assert!(found.is_empty());
    assert!(troubles.len() == 1 && troubles[0].contains("symbolic link"), "{troubles:?}");
    journal.remember(&name("web"), "{}").unwrap_err();
    journal.touch().unwrap_err();
    assert_eq!(last_alive_wall_us(&dir), None);
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    fs::remove_file(dir.join("journal")).unwrap();
    journal.remember(&name("db"), "{}").unwrap();
    assert_eq!(read(&dir).len(), 2, "once the link is gone, all is written");
    // The same for the directory, and for the name that is used while rewriting.
    let linked = home.path().join("linked");
    symlink(&dir, &linked).unwrap();
    assert!(Journal::open(&linked).2[0].contains("symbolic link"));
    symlink(&target, dir.join("journal.new")).unwrap();
    for _ in 0..100 {
        journal.remember(&name("web"), &"x".repeat(2000)).unwrap();
    }
    assert_eq!(fs::read(&target).unwrap(), b"precious");
}

#[test]
fn a_journal_deleted_behind_its_back_is_written_anew() {
    let home = tempfile::tempdir().unwrap();
    written(home.path());
    let (mut journal, found, _) = Journal::open(home.path());
    fs::remove_file(home.path().join("journal")).unwrap();
    journal.remember(&name("new"), "{}").unwrap();
    assert_eq!(read(home.path()).len(), found.len() + 1);
}

#[test]
fn the_last_sign_of_life_is_the_files_time() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(last_alive_wall_us(home.path()), None);
    let (journal, ..) = Journal::open(home.path());
    let file = fs::File::options().write(true).open(home.path().join("journal")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(last_alive_wall_us(home.path()), Some(0));
    let before = cas::world::clock::now().wall_us;
    journal.touch().unwrap();
    let alive = last_alive_wall_us(home.path()).unwrap();
    // The kernel's clock for files ticks some 4 ms behind.
    assert!((before - 100_000..before + 60_000_000).contains(&alive), "{alive} {before}");
    assert_eq!(file.metadata().unwrap().size(), 0);
}

#[test]
fn on_a_full_disk_it_says_so_and_catches_up_by_itself() {
    run_in_small_file_system("256k", "journal::the_process_with_the_full_disk");
}

#[test]
#[ignore = "started by on_a_full_disk_it_says_so_and_catches_up_by_itself"]
fn the_process_with_the_full_disk() {
    let dir = std::env::var_os("CAS_TEST_DIR").unwrap();
    let dir = Path::new(&dir);
    let project = dir.join("project");
    let (mut journal, ..) = Journal::open(&project);
    journal.remember(&name("web"), &record(0)).unwrap();
    let mut filler = fs::File::create(dir.join("filler")).unwrap();
    while filler.write(&[1; 512]).is_ok_and(|written| written > 0) {}
    let mut failed = 0;
    for number in 1..300 {
        let outcome = journal.remember(&name(["web", "db"][number % 2]), &format!("{number} {}", "x".repeat(100)));
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            failed += 1;
        }
        let found = read(&project);
        assert!(failed > 0 || found.values().any(|record| record.starts_with(&number.to_string())));
        assert!(!found.is_empty(), "what was there is never lost");
    }
    assert!(failed > 100, "{failed}");
    grow(dir, "1m");
    journal.remember(&name("mail"), "{}").unwrap();
    let found = read(&project);
    assert!(found["web"].starts_with("298 ") && found["db"].starts_with("299 "), "{found:?}");
    assert_eq!(found.len(), 3);
    assert!(asides(&project).is_empty(), "{:?}", asides(&project));
}
