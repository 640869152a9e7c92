//! What happened, as it is told.

use std::time::Duration;

use cas::{
    cli::{
        context::Zone,
        paint::Paint,
        render::story::{Stories, line},
    },
    model::{
        phase::Exit,
        policy::Origin,
        probe::ProbeKind,
        signal::Signal,
        timeline::{Entry, What},
    },
};

use super::fixture::{self, entry};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn exited(exit: Exit) -> What {
    What::Exited { exit, after: ms(3000), last_words: Vec::new() }
}

/// Entries about `api`, a second apart.
fn happened(facts: Vec<(Origin, What)>) -> Vec<Entry> {
    let facts = facts.into_iter().enumerate();
    facts.map(|(at, (who, what))| entry(at as u64 + 1, at as u64, "api", who, what, "")).collect()
}

fn told(entries: &[Entry]) -> String {
    let mut stories = Stories::default();
    for entry in entries {
        stories.take(entry);
    }
    stories.finish().iter().map(|told| line(told, Zone::Utc, fixture::NOON, Paint::Plain)).collect()
}

fn by_cas(facts: Vec<What>) -> Vec<Entry> {
    happened(facts.into_iter().map(|what| (Origin::Healer, what)).collect())
}

#[test]
fn a_crash_is_one_sentence_from_its_cause_to_its_good_end() {
    let text = told(&by_cas(vec![
        exited(Exit::OutOfMemory { limit_bytes: None, peak_bytes: None }),
        What::RestartScheduled { delay: ms(1000), attempt: 1 },
        What::Started { pid: 7, attempt: 1 },
        What::Ready { after: ms(1900) },
        What::Stable { restarts: 1 },
    ]));
    assert!(
        text.starts_with(
            "10:00 shop/api crashed (signal 9, out of memory), restarted after 2 s, healthy after 1.9 s\n"
        ),
        "{text}"
    );
}

#[test]
fn every_end_of_a_crash_has_its_words() {
    let restart = || What::RestartScheduled { delay: ms(200), attempt: 1 };
    let again = || What::Started { pid: 8, attempt: 1 };
    for (facts, sentence) in [
        (vec![exited(Exit::Code(1))], "crashed (exit code 1)"),
        (vec![exited(Exit::Code(0))], "ended (exit code 0)"),
        (vec![exited(Exit::Signal(11)), restart()], "crashed (signal 11), restarts after 200 ms"),
        (vec![exited(Exit::Signal(9)), restart(), again()], "crashed (signal 9), restarted after 2 s"),
        (
            vec![exited(Exit::Code(2)), restart(), again(), What::Stable { restarts: 1 }],
            "crashed (exit code 2), restarted after 2 s, and holds",
        ),
        (
            vec![exited(Exit::Code(2)), restart(), again(), exited(Exit::Code(3)), What::GaveUp { attempts: 8 }],
            "crashed 2 times in 3 s (last: exit code 3), gave up after 8 starts that never held",
        ),
        (
            vec![exited(Exit::Code(2)), What::RestartWithheld { exit: Exit::Code(2) }],
            "crashed (exit code 2), not restarted: the autopilot is off",
        ),
        (
            vec![exited(Exit::OutOfMemory { limit_bytes: Some(64 << 20), peak_bytes: None })],
            "crashed (signal 9, out of memory: limit 64 MiB)",
        ),
        (
            vec![exited(Exit::OutOfMemory { limit_bytes: Some(64 << 20), peak_bytes: Some(63 << 20) })],
            "crashed (signal 9, out of memory: limit 64 MiB, peak 63 MiB)",
        ),
        (vec![exited(Exit::Unknown)], "crashed (nobody saw how)"),
    ] {
        assert_eq!(told(&by_cas(facts)), format!("10:00 shop/api {sentence}\n"));
    }
}

#[test]
fn what_was_asked_for_says_who_asked_and_is_no_crash() {
    let text = told(&happened(vec![
        (Origin::Cli, What::Requested { line: "start api".to_owned(), from: None }),
        (Origin::Cli, What::Started { pid: 7, attempt: 0 }),
        (Origin::System, What::Ready { after: ms(300) }),
        (Origin::Key, What::Stopping { signal: Signal::Term }),
        (Origin::Key, What::Killed { after: ms(10_000) }),
        (Origin::System, exited(Exit::Signal(9))),
        (Origin::Key, What::Stopped),
    ]));
    assert_eq!(
        text,
        "10:00 shop/api started by command line, healthy after 300 ms\n10:00 shop/api stopped by you within 3 s, killed: it was still there after 10 s\n"
    );
}

#[test]
fn a_kill_that_was_asked_for_is_no_crash_and_says_so_once() {
    let kill = entry(2, 1, "api", Origin::Cli, What::Killed { after: ms(0) }, "killed by command line");
    let text = told(&[
        entry(1, 0, "api", Origin::Cli, What::Requested { line: "kill api".to_owned(), from: None }, ""),
        kill,
        entry(3, 1, "api", Origin::Cli, exited(Exit::Signal(9)), "killed by command line"),
        entry(4, 1, "api", Origin::Cli, What::Stopped, "killed by command line"),
    ]);
    assert_eq!(text, "10:00 shop/api killed by command line within 0 ms\n");
    let text = told(&[
        entry(1, 0, "api", Origin::Cli, What::Stopping { signal: Signal::Term }, "stopped by command line"),
        entry(2, 1, "api", Origin::Cli, exited(Exit::Signal(15)), "stopped by command line"),
        entry(3, 1, "api", Origin::Cli, What::Stopped, "stopped by command line"),
        entry(4, 2, "db", Origin::System, What::Stopping { signal: Signal::Term }, "stopped because cas ends"),
        entry(5, 2, "db", Origin::System, What::Stopped, "stopped because cas ends"),
    ]);
    let expected = [
        "10:00 shop/api stopped by command line within 1 s",
        "10:00 shop/db stopped by cas (stopped because cas ends) within 0 ms",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_stop_names_the_program_that_asked_and_says_nothing_twice() {
    for (why, sentence) in [
        ("stopped by you", "stopped by you within 1 s"),
        ("stopped by you (pts/3, pid 12)", "stopped by you (pts/3, pid 12) within 1 s"),
        ("killed by you (pid 12): its project is closed", "stopped by you (pid 12): its project is closed within 1 s"),
        ("something else", "stopped by you (something else) within 1 s"),
    ] {
        let entries = [
            entry(1, 0, "api", Origin::Key, What::Stopping { signal: Signal::Term }, why),
            entry(2, 1, "api", Origin::Key, What::Stopped, why),
        ];
        assert_eq!(told(&entries), format!("10:00 shop/api {sentence}\n"));
    }
}

#[test]
fn an_illness_ends_with_its_recovery() {
    let text = told(&by_cas(vec![
        What::Unhealthy { probe: ProbeKind::Liveness, detail: "HTTP 500".to_owned() },
        What::Recovered { after: ms(4000) },
    ]));
    assert!(text.contains("HTTP 500; healthy again after 4 s\n"), "{text}");
}

#[test]
fn services_that_are_taken_over_together_are_told_together() {
    let adopted = || What::Adopted { pid: 7, away: ms(1200) };
    let entries: Vec<Entry> = ["api", "db", "web"]
        .into_iter()
        .enumerate()
        .map(|(at, service)| entry(at as u64 + 1, 0, service, Origin::System, adopted(), ""))
        .collect();
    assert_eq!(told(&entries), "10:00 shop (api, db, web) taken over after 1.2 s without an engine\n");
}

#[test]
fn a_story_that_goes_on_waits_until_it_is_stuck_and_is_told_once() {
    let entries = by_cas(vec![exited(Exit::Code(1)), What::RestartScheduled { delay: ms(60_000), attempt: 3 }]);
    let mut stories = Stories::default();
    for entry in &entries {
        stories.take(entry);
    }
    assert_eq!(stories.ready(None), []);
    assert!(stories.is_open());
    assert_eq!(stories.ready(Some(fixture::at(0).wall_us)), []);
    assert_eq!(stories.ready(Some(fixture::at(9).wall_us))[0].sentence, "crashed (exit code 1), restarts after 1m 0s");
    assert!(!stories.is_open());
    stories.take(&entry(3, 61, "api", Origin::Healer, What::Started { pid: 9, attempt: 3 }, ""));
    assert_eq!(stories.finish()[0].sentence, "started by healer");
}

#[test]
fn nothing_that_went_wrong_is_left_out_and_another_day_is_named() {
    let entries = vec![
        Entry {
            service: None,
            ..entry(1, 0, "api", Origin::System, What::Trouble { text: "disk \u{1b}[2Jfull".to_owned() }, "")
        },
        entry(2, 1, "api", Origin::System, What::Unverifiable { pid: 7 }, ""),
        entry(3, 2, "api", Origin::System, What::OutputDropped { bytes: 512 }, ""),
        entry(4, 3, "api", Origin::System, What::SpawnFailed { error: "no such program: x".to_owned() }, ""),
    ];
    let text = told(&entries);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let mut stories = Stories::default();
    stories.take(&entries[0]);
    let tomorrow = fixture::NOON + 86_400_000_000;
    assert!(line(&stories.finish()[0], Zone::Utc, tomorrow, Paint::Plain).starts_with("Nov 22 10:00 shop disk"));
}
