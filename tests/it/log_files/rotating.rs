//! Nothing that was written is lost, and what cannot be rotated is left as it was.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
    time::Duration,
};

use cas::model::{
    log_file::{DueBy, How, Rotation},
    signal::Signal,
};

use super::{Rig, names, on_disk, rotation};
use crate::support::eventually;

const USR1: How = How::Signal(Signal::Usr1);

/// Writes numbers to `a.log` as fast as a shell can, and opens it anew on SIGUSR1.
const REOPENS: &str = "
    exec 3>>a.log
    trap 'exec 3>>a.log' USR1
    n=0
    while [ ! -e stop ]; do n=$((n + 1)); echo $n >&3; done
    echo $n > last
    exec sleep 1000";

/// The same without a signal.
const APPENDS: &str = "
    exec 3>>a.log
    n=0
    while [ ! -e stop ]; do n=$((n + 1)); echo $n >&3; done
    echo $n > last
    exec sleep 1000";

/// Has the writer end, and says how many lines it wrote.
fn stopped(rig: &Rig) -> u64 {
    fs::write(rig.path("stop"), "").unwrap();
    let last = || fs::read_to_string(rig.path("last")).ok()?.trim().parse().ok();
    eventually("the writer has ended", || last().is_some());
    last().unwrap()
}

fn numbers(lines: &[String]) -> Vec<u64> {
    lines.iter().map(|line| line.parse().unwrap_or_else(|_| panic!("{line:?}"))).collect()
}

fn grown(rig: &Rig, name: &str) {
    eventually("something is written", || fs::metadata(rig.path(name)).is_ok_and(|found| found.len() > 1000));
}

#[test]
fn over_twenty_rotations_by_signal_no_line_is_lost_on_disk_or_on_the_screen() {
    let mut rig = Rig::new();
    rig.runs(REOPENS);
    rig.watch(vec![rig.files("a.log", Some(rotation(USR1)))]);
    // A file that is set aside before anybody has looked is not known to have been followed.
    rig.await_line("a.log", "1");
    for round in 0..20 {
        grown(&rig, "a.log");
        // A file that comes and goes between two looks is not seen: of this one a line is.
        let newest = fs::read_to_string(rig.path("a.log")).unwrap().lines().next().map(str::to_owned).unwrap();
        rig.await_line("a.log", &newest);
        let outcome = rig.rotate();
        assert_eq!(outcome.len(), 1);
        assert!(outcome[0].outcome.as_ref().is_ok_and(|bytes| *bytes > 0), "{round}: {outcome:?}");
    }
    let last = stopped(&rig);
    let expected: Vec<u64> = (1..=last).collect();
    assert!(numbers(&on_disk(rig.dir.path(), "a.log")) == expected, "on disk");
    rig.await_line("a.log", &last.to_string());
    let mut seen = numbers(&rig.lines("a.log"));
    seen.sort_unstable();
    assert!(seen == expected, "on the screen: {} of {last}", seen.len());
    eventually("all but the newest are compressed", || {
        let names = names(rig.dir.path());
        names.contains(&"a.log.1".to_owned()) && (2..=20).all(|n| names.contains(&format!("a.log.{n}.gz")))
    });
}

#[test]
fn over_twenty_copies_of_a_writer_that_appends_little_is_lost_and_the_screen_has_what_the_disk_has() {
    let mut rig = Rig::new();
    rig.runs(APPENDS);
    rig.watch(vec![rig.files("a.log", Some(rotation(How::CopyTruncate)))]);
    // A file that is set aside before anybody has looked is not known to have been followed.
    rig.await_line("a.log", "1");
    for _ in 0..20 {
        grown(&rig, "a.log");
        let outcome = rig.rotate();
        assert!(outcome[0].outcome.as_ref().is_ok_and(|bytes| *bytes > 0), "{outcome:?}");
    }
    let last = stopped(&rig);
    let kept = numbers(&on_disk(rig.dir.path(), "a.log"));
    assert!(kept.is_sorted_by(|one, other| one < other), "no line is there twice");
    let lost = last - kept.len() as u64;
    // What is written between the last look and the emptying: a few lines each time, more where this machine has something else to do just then.
    assert!(lost * 10 <= last, "{lost} of {last} lines lost");
    rig.await_line("a.log", &last.to_string());
    let seen = numbers(&rig.lines("a.log"));
    assert!(seen.is_sorted_by(|one, other| one < other), "in order, each once");
    assert!(kept.iter().all(|line| seen.binary_search(line).is_ok()), "{} seen, {} kept", seen.len(), kept.len());
}

#[test]
fn a_service_that_does_not_open_its_file_anew_keeps_it() {
    let mut rig = Rig::new();
    rig.runs("trap : USR1; exec 3>>a.log; echo one >&3; while :; do sleep 0.05; echo more >&3; done");
    rig.watch(vec![rig.files("a.log", Some(rotation(USR1)))]);
    rig.await_line("a.log", "more");
    let outcome = rig.rotate();
    let error = outcome[0].outcome.clone().unwrap_err();
    assert!(error.starts_with("the service did not open it anew within 10 s after SIGUSR1"), "{error}");
    assert_eq!(names(rig.dir.path()), ["a.log"]);
    let before = rig.lines("a.log").len();
    eventually("it is followed on", || rig.lines("a.log").len() > before);
    assert!(rig.view("a.log").trouble.is_some_and(|why| why.starts_with("not rotated")));
}

#[test]
fn a_signal_that_would_end_the_service_is_not_sent() {
    let mut rig = Rig::new();
    let pid = rig.runs("exec 3>>a.log; echo one >&3; exec sleep 1000");
    rig.watch(vec![rig.files("a.log", Some(rotation(USR1)))]);
    rig.await_line("a.log", "one");
    eventually("it sleeps", || fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n"));
    let error = rig.rotate()[0].outcome.clone().unwrap_err();
    assert!(error.contains("does not catch SIGUSR1"), "{error}");
    assert_eq!(names(rig.dir.path()), ["a.log"]);
    assert!(rig.children[0].try_wait().unwrap().is_none(), "it lives");
    // Where the way was not written it is copied instead.
    rig.watch(vec![rig.files("a.log", Some(rotation(How::SignalIfCaught(Signal::Usr1))))]);
    assert_eq!(rig.rotate()[0].outcome, Ok(4));
    assert_eq!(names(rig.dir.path()), ["a.log", "a.log.1"]);
}

#[test]
fn a_file_whose_writer_does_not_append_is_not_emptied() {
    let mut rig = Rig::new();
    rig.runs("exec 3>a.log; echo one >&3; exec sleep 1000");
    rig.watch(vec![rig.files("a.log", Some(rotation(How::CopyTruncate)))]);
    rig.await_line("a.log", "one");
    let error = rig.rotate()[0].outcome.clone().unwrap_err();
    assert!(error.contains("without O_APPEND"), "{error}");
    assert_eq!(names(rig.dir.path()), ["a.log"]);
}

#[test]
fn what_was_set_aside_is_tidied_though_nothing_more_can_be_rotated() {
    let mut rig = Rig::new();
    rig.runs("exec 3>a.log; echo one >&3; exec sleep 1000");
    rig.watch(vec![rig.files("a.log", Some(rotation(How::CopyTruncate)))]);
    rig.await_line("a.log", "one");
    assert!(rig.rotate()[0].outcome.is_err());
    for name in ["a.log.1", "a.log.2"] {
        fs::write(rig.path(name), name).unwrap();
    }
    assert!(rig.rotate()[0].outcome.is_err());
    eventually("the older one is compressed", || names(rig.dir.path()) == ["a.log", "a.log.1", "a.log.2.gz"]);
    assert!(rig.view("a.log").trouble.is_some_and(|why| why.starts_with("not rotated")));
}

#[test]
fn what_a_dead_engine_has_left_half_done_is_finished() {
    let mut rig = Rig::new();
    // It died between the renaming and the signal.
    rig.append("a.log.cas-moved", "1\n");
    rig.runs(
        "trap 'exec 3>>a.log; echo anew >&3' USR1; exec 3>>a.log.cas-moved; : > ready; while :; do sleep 0.02; done",
    );
    eventually("it listens to the signal", || fs::remove_file(rig.path("ready")).is_ok());
    rig.watch(vec![rig.files("a.log", Some(rotation(USR1)))]);
    eventually("it is told that it is to be finished", || {
        let heard = rig.heard.lock().unwrap();
        heard.due.iter().flatten().any(|file| file.why == DueBy::Unfinished && file.path.ends_with("a.log"))
    });
    assert_eq!(rig.rotate()[0].outcome, Ok(2));
    assert_eq!(names(rig.dir.path()), ["a.log", "a.log.1"]);
    rig.await_line("a.log", "anew");
}

#[test]
fn what_is_due_is_told_by_size_and_by_age() {
    let rig = Rig::new();
    rig.append("a.log", "0123456789\n");
    let bounded = |bytes, age| Rotation { max_bytes: bytes, max_age: age, ..rotation(How::CopyTruncate) };
    rig.watch(vec![rig.files("a.log", Some(bounded(Some(10), None)))]);
    let has = |why: DueBy| rig.heard.lock().unwrap().due.iter().flatten().any(|file| file.why == why);
    eventually("it is too large", || has(DueBy::Size(10)));
    let day = Duration::from_hours(24);
    rig.watch(vec![rig.files("a.log", Some(bounded(Some(1000), Some(day))))]);
    eventually("its next time is known", || rig.view("a.log").next.is_some_and(|next| next.starts_with("age, in ")));
    assert!(!has(DueBy::Age(day)));
    *rig.ahead.lock().unwrap() = day + Duration::from_mins(1);
    eventually("it is too old", || has(DueBy::Age(day)));
    assert_eq!(rig.rotate()[0].outcome, Ok(11));
    let view = rig.view("a.log");
    assert!(view.rotated_us.is_some() && view.bytes == Some(0), "{view:?}");
}

#[test]
fn a_file_of_a_service_that_does_not_run_is_rotated_without_a_signal() {
    let rig = Rig::new();
    rig.append("a.log", "1\n");
    rig.append("b.log", "1\n");
    rig.append("empty.log", "");
    rig.watch(vec![rig.files("*.log", Some(rotation(USR1)))]);
    assert_eq!(rig.rotate().iter().map(|file| file.outcome.clone()).collect::<Vec<_>>(), [Ok(2), Ok(2)]);
    assert_eq!(names(rig.dir.path()), ["a.log.1", "b.log.1", "empty.log"]);
    assert_eq!(rig.rotate(), [], "there is nothing to rotate");
}

#[test]
fn links_and_files_of_nobody_we_know_are_left_alone() {
    let rig = Rig::new();
    fs::write(rig.path("precious"), "kept\n").unwrap();
    symlink("precious", rig.path("a.log")).unwrap();
    fs::write(rig.path("b.log"), "b\n").unwrap();
    fs::hard_link(rig.path("b.log"), rig.path("other-name")).unwrap();
    rig.watch(vec![rig.files("*.log", Some(rotation(How::CopyTruncate)))]);
    for outcome in rig.rotate() {
        let error = outcome.outcome.unwrap_err();
        assert!(error.contains("symbolic link") || error.contains("hard links"), "{error}");
    }
    assert_eq!(fs::read_to_string(rig.path("precious")).unwrap(), "kept\n");
    assert_eq!(fs::read_to_string(rig.path("b.log")).unwrap(), "b\n");
    assert_eq!(names(rig.dir.path()), ["a.log", "b.log", "other-name", "precious"]);
}

#[test]
fn a_file_that_is_open_and_not_declared_is_found_and_not_touched() {
    let mut rig = Rig::new();
    rig.runs("exec 3>>a.log 4>>sql.log 5>>data.db; echo x >&3; echo x >&4; exec sleep 1000");
    eventually("it has them open", || {
        rig.path("data.db").exists() && fs::metadata(rig.path("sql.log")).is_ok_and(|found| found.len() > 0)
    });
    rig.watch(vec![rig.files("a.log", None)]);
    eventually("it is found", || rig.views().iter().any(|view| view.file == "sql.log"));
    let views = rig.views();
    let of = |file: &str| views.iter().find(|view| view.file == file).map(|view| (view.declared, view.follow));
    assert_eq!((of("a.log"), of("sql.log"), of("data.db")), (Some((true, true)), Some((false, false)), None));
    assert_eq!(rig.lines("sql.log"), Vec::<String>::new());
}

#[test]
fn on_a_disk_without_room_nothing_is_copied_and_nothing_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(dir.path())
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("left out: only root can mount a file system of one mebibyte");
        return;
    }
    let rig = Rig::in_dir(dir);
    let text = "x".repeat(99) + "\n";
    fs::write(rig.path("a.log"), text.repeat(6000)).unwrap();
    rig.watch(vec![rig.files("a.log", Some(rotation(How::CopyTruncate)))]);
    let error = rig.rotate()[0].outcome.clone().unwrap_err();
    assert!(error.starts_with("its disk has ") && error.contains("rotate it by a signal"), "{error}");
    assert_eq!(names(rig.dir.path()), ["a.log"]);
    assert_eq!(fs::metadata(rig.path("a.log")).unwrap().len(), 600_000);
    // A signal needs no room.
    rig.watch(vec![rig.files("a.log", Some(rotation(USR1)))]);
    assert_eq!(rig.rotate()[0].outcome, Ok(600_000));
    assert_eq!(names(rig.dir.path()), ["a.log.1"]);
    let unmounted = Command::new("umount").arg("-l").arg(rig.dir.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
}
