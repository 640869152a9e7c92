//! The database when all is well.

use std::{
    collections::BTreeSet,
    os::unix::{ffi::OsStringExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use cas::{
    model::{
        alarm::{Level, Rule},
        exam::Grade,
        hooks::HookKind,
        ids::{ProjectName, RunId, ServiceName},
        level::Level as LogLevel,
        phase::{Exit, Hold, PortHolder},
        policy::{Autopilot, Origin},
        probe::ProbeKind,
        project::ProjectRecord,
        service::Condition,
        signal::Signal,
        time::Timestamp,
        timeline::{Entry, What},
    },
    world::store::{self, EntryFilter, Limits, Store},
};

use super::{Troubles, entry, simple};
use crate::support::eventually;

fn all() -> EntryFilter {
    EntryFilter { limit: usize::MAX, ..EntryFilter::default() }
}

/// Numbers the variants: one that is new must be numbered here, and then made in [`every_what`].
const fn number(what: &What) -> usize {
    match what {
        What::Requested { .. } => 0,
        What::ProjectOpened { .. } => 1,
        What::Started { .. } => 2,
        What::Ready { .. } => 3,
        What::Unhealthy { .. } => 4,
        What::Recovered { .. } => 5,
        What::Stable { .. } => 6,
        What::Exited { .. } => 7,
        What::SpawnFailed { .. } => 8,
        What::RestartScheduled { .. } => 9,
        What::RestartWithheld { .. } => 10,
        What::GaveUp { .. } => 11,
        What::Held { .. } => 12,
        What::Blocked { .. } => 13,
        What::Stopping { .. } => 14,
        What::Killed { .. } => 15,
        What::Stopped => 16,
        What::Survivors { .. } => 17,
        What::Signalled { .. } => 18,
        What::Reloaded { .. } => 19,
        What::ReloadRefused { .. } => 20,
        What::AutopilotSet { .. } => 21,
        What::Stalled { .. } => 22,
        What::Trouble { .. } => 23,
        What::Flapping { .. } => 24,
        What::Steady => 25,
        What::Adopted { .. } => 26,
        What::Unverifiable { .. } => 27,
        What::ProjectClosed => 28,
        What::Released { .. } => 29,
        What::ShimReplaced => 30,
        What::OutputDropped { .. } => 31,
        What::Forked { .. } => 32,
        What::Suspended { .. } => 33,
        What::Continued { .. } => 34,
        What::ScheduleMissed { .. } => 35,
        What::ScheduleSkipped { .. } => 36,
        What::RunBegun { .. } => 37,
        What::RunEnded { .. } => 38,
        What::Hook { .. } => 39,
        What::Found { .. } => 40,
        What::Remedied { .. } => 41,
        What::RemedyJudged { .. } => 42,
        What::Escalated { .. } => 43,
        What::Maintenance { .. } => 44,
        What::AlarmFired { .. } => 45,
        What::AlarmResolved { .. } => 46,
        What::NotSent { .. } => 47,
        What::Silenced { .. } => 48,
        What::Unsilenced => 49,
        What::Paused => 50,
        What::Resumed { .. } => 51,
        What::Handled { .. } => 52,
        What::NewPattern { .. } => 53,
        What::RateChanged { .. } => 54,
        What::MorePatterns { .. } => 55,
        What::LogRotated { .. } => 56,
    }
}
const VARIANTS: usize = 57;

#[expect(clippy::too_many_lines, reason = "one of each")]
fn every_what() -> Vec<What> {
    let odd = Duration::new(90_061, 1_002_003);
    let text = "it's \"quoted\"\n\u{1b}[31m € \u{0}".to_owned();
    let name = |name| ServiceName::new(name).unwrap();
    let dependency =
        Hold::Dependency { service: name("db"), condition: Condition::ServiceHealthy, state: text.clone() };
    vec![
        What::Requested { line: text.clone(), from: None },
        What::ProjectOpened { services: 3 },
        What::AlarmFired { rule: Rule::Down, level: Level::Critical, text: text.clone() },
        What::AlarmResolved { rule: Rule::Unhealthy, after: odd },
        What::NotSent { route: "ops".to_owned(), error: text.clone(), again: Some(odd) },
        What::NotSent { route: "ops".to_owned(), error: text.clone(), again: None },
        What::Silenced { until_us: i64::MAX },
        What::Unsilenced,
        What::NewPattern { level: LogLevel::Fatal, pattern: text.clone(), example: text.clone(), count: 3 },
        What::RateChanged {
            level: None,
            pattern: text.clone(),
            example: text.clone(),
            per_minute: 0,
            usual_per_hour: u64::MAX >> 1,
        },
        What::RateChanged {
            level: Some(LogLevel::Error),
            pattern: text.clone(),
            example: text.clone(),
            per_minute: 30,
            usual_per_hour: 6,
        },
        What::MorePatterns { count: 9 },
        What::Paused,
        What::Resumed { after: odd },
        What::Handled { container: text.clone(), deed: "removed".to_owned(), error: None },
        What::Handled { container: text.clone(), deed: "removed".to_owned(), error: Some(text.clone()) },
        What::LogRotated { file: text.clone(), bytes: u64::MAX >> 1, error: Some(text.clone()) },
        What::Started { pid: u32::MAX, attempt: 0 },
        What::Ready { after: odd },
        What::Unhealthy { probe: ProbeKind::Liveness, detail: text.clone() },
        What::Recovered { after: Duration::ZERO },
        What::Stable { restarts: 2 },
        What::Exited { exit: Exit::Code(3), after: odd, last_words: vec![text.clone(), String::new()] },
        What::Exited { exit: Exit::Signal(9), after: odd, last_words: vec![] },
        What::Exited { exit: Exit::SpawnFailed(text.clone()), after: odd, last_words: vec![] },
        What::Exited { exit: Exit::Unknown, after: odd, last_words: vec![] },
        What::SpawnFailed { error: text.clone() },
        What::RestartScheduled { delay: Duration::from_micros(400_001), attempt: 1 },
        What::RestartWithheld { exit: Exit::Signal(11) },
        What::GaveUp { attempts: 8 },
        What::Held { holds: vec![dependency, Hold::RestartBudget] },
        What::Blocked {
            holders: vec![PortHolder {
                because: None,
                port: 80,
                pid: Some(1),
                command: Some(text.clone()),
                since_us: Some(5),
                user: Some(text.clone()),
                service: None,
            }],
        },
        What::Stopping { signal: Signal::Term },
        What::Killed { after: odd },
        What::Stopped,
        What::Survivors { pids: vec![1, 2, 3] },
        What::Signalled { signal: Signal::Usr1 },
        What::Reloaded {
            added: vec![name("a")],
            removed: vec![],
            changed: vec![name("b"), name("c")],
            restarted: vec![name("b")],
        },
        What::ReloadRefused { problems: 2, first: text.clone() },
        What::AutopilotSet { mode: Autopilot::Off },
        What::Stalled { gap: odd },
        What::ScheduleMissed { due: text.clone(), made_up: true },
        What::ScheduleSkipped { due: text.clone() },
        What::RunBegun { command: text.clone() },
        What::RunEnded { command: text.clone(), error: Some(text.clone()) },
        What::Remedied { remedy: text.clone() },
        What::Found { check: text.clone(), grade: Grade::Critical, sentence: text.clone() },
        What::RemedyJudged { remedy: text.clone(), worked: true, after: odd },
        What::Escalated { tried: vec![text.clone(), String::new()] },
        What::Maintenance { on: false, lasts: None },
        What::Trouble { text },
        What::Adopted { pid: 7, away: odd },
        What::Unverifiable { pid: 7 },
        What::ProjectClosed,
        What::Released { running: 3 },
        What::ShimReplaced,
        What::OutputDropped { bytes: 4096 },
        What::Flapping { falls: 4 },
        What::Steady,
        What::Forked { left: usize::MAX >> 1 },
        What::Suspended { pid: 7 },
        What::Continued { after: odd },
        What::Hook { hook: HookKind::PreStart, failed: None, after: odd, output: vec![] },
        What::Hook {
            hook: HookKind::OnFailure,
            failed: Some("exit code 1".to_owned()),
            after: odd,
            output: vec!["a".to_owned()],
        },
    ]
}

fn record(name: &str, root: &Path, last_opened_us: i64) -> ProjectRecord {
    ProjectRecord {
        name: ProjectName::new(name).unwrap(),
        root: root.to_owned(),
        file: root.join("cas.yaml"),
        services: 4,
        last_opened_us,
        exists: true,
        remote: None,
        moved_from: None,
    }
}

#[test]
fn every_kind_of_entry_reads_back_as_it_was() {
    let whats = every_what();
    assert_eq!(whats.iter().map(number).collect::<BTreeSet<_>>(), (0..VARIANTS).collect());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/cas/history.db");
    let store = Store::open(path.clone(), |_| {});
    let origins =
        [Origin::Key, Origin::Palette, Origin::Cli, Origin::Api, Origin::Config, Origin::Healer, Origin::System];
    let mut given: Vec<Entry> = (1..).zip(whats).map(|(seq, what)| entry(seq, "shop", "web", what)).collect();
    given.extend((100..).zip(origins).map(|(seq, who)| Entry {
        project: None,
        service: None,
        run: None,
        who,
        why: String::new(),
        at: Timestamp { mono_us: u64::MAX, wall_us: i64::MIN },
        ..simple(seq)
    }));
    given.push(Entry { run: Some(RunId(u64::MAX)), ..simple(u64::MAX / 20) });
    for entry in &given {
        store.record(Arc::new(entry.clone()));
    }
    assert_eq!(store.entries(&all()), given, "before they are written");
    store.flush();
    assert_eq!(store.entries(&all()), given, "by the engine");
    assert_eq!(store::read_entries(&path, &all()).unwrap(), given, "by another program");
    drop(store);
    assert_eq!(store::read_entries(&path, &all()).unwrap(), given, "after the end");
}

#[test]
fn entries_are_chosen_by_project_service_age_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let store = Store::open(path.clone(), |_| {});
    for seq in 1..=40_u64 {
        let (project, service) = [("shop", "web"), ("shop", "db"), ("blog", "web"), ("blog", "mail")][seq as usize % 4];
        store.record(Arc::new(entry(seq, project, service, What::Started { pid: 1, attempt: 0 })));
        if seq == 20 {
            store.flush();
        }
    }
    let shop = Some(ProjectName::new("shop").unwrap());
    let web = vec![ServiceName::new("web").unwrap()];
    let seqs = |filter: &EntryFilter| -> Vec<u64> {
        let found: Vec<u64> = store.entries(filter).iter().map(|entry| entry.seq).collect();
        store.flush();
        let written: Vec<u64> = store::read_entries(&path, filter).unwrap().iter().map(|entry| entry.seq).collect();
        assert_eq!(found, written, "{filter:?}: the same before and after it is written");
        found
    };
    assert_eq!(seqs(&EntryFilter { limit: 3, ..all() }), [38, 39, 40]);
    assert_eq!(seqs(&EntryFilter { limit: 3, project: shop.clone(), ..all() }), [36, 37, 40]);
    assert_eq!(seqs(&EntryFilter { limit: 2, project: shop.clone(), services: web.clone(), ..all() }), [36, 40]);
    assert_eq!(seqs(&EntryFilter { limit: 2, services: web, ..all() }), [38, 40]);
    let since_wall_us = Some(1_700_000_000_000_039);
    assert_eq!(seqs(&EntryFilter { since_wall_us, ..all() }), [39, 40]);
    assert_eq!(seqs(&EntryFilter { since_wall_us, project: shop, ..all() }), [40]);
    assert_eq!(seqs(&EntryFilter { limit: 0, ..all() }), Vec::<u64>::new());
}

#[test]
fn the_registry_keeps_one_record_per_root_and_knows_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let store = Store::open(path.clone(), |_| {});
    let here = record("zebra", dir.path(), 1);
    let odd_name = PathBuf::from(std::ffi::OsString::from_vec(b"/no/such/\xff".to_vec()));
    let gone = ProjectRecord { exists: false, ..record("ant", &odd_name, 2) };
    store.register(ProjectRecord { services: 1, ..here.clone() });
    store.register(gone.clone());
    assert_eq!(store.projects().len(), 2, "before they are written");
    store.flush();
    store.register(here.clone());
    assert_eq!(store.projects(), [gone.clone(), here.clone()]);
    store.flush();
    assert_eq!(store.projects(), [gone.clone(), here.clone()]);
    assert_eq!(store::read_projects(&path).unwrap(), [gone.clone(), here.clone()]);
    store.forget(gone.root);
    assert_eq!(store.projects(), std::slice::from_ref(&here));
    drop(store);
    assert_eq!(store::read_projects(&path).unwrap(), [here]);
}

#[test]
fn what_is_recorded_is_on_disk_within_seconds_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let store = Store::open(path.clone(), |_| {});
    store.record(Arc::new(simple(1)));
    eventually("the batch is written", || store::read_entries(&path, &all()).unwrap().len() == 1);
    store.record(Arc::new(simple(2)));
    eventually("the next, too", || store::read_entries(&path, &all()).unwrap().len() == 2);
}

#[test]
fn no_file_is_an_empty_history_and_reading_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none/history.db");
    assert!(store::read_entries(&path, &all()).unwrap().is_empty());
    assert!(store::read_projects(&path).unwrap().is_empty());
    assert!(!path.parent().unwrap().exists());
    let empty = dir.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    assert!(store::read_projects(&empty).unwrap().is_empty());
}

#[test]
fn nobody_else_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/history.db");
    let store = Store::open(path.clone(), |_| {});
    store.record(Arc::new(simple(1)));
    store.flush();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn only_the_newest_events_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { events: 100, ..Limits::default() };
    let store = Store::with_limits(dir.path().join("history.db"), limits, |_| {});
    for seq in 1..=5000 {
        store.record(Arc::new(simple(seq)));
        if seq % 500 == 0 {
            store.flush();
        }
    }
    drop(store);
    let store = Store::with_limits(dir.path().join("history.db"), limits, |_| {});
    store.record(Arc::new(simple(5001)));
    store.flush();
    let kept: Vec<u64> = store.entries(&all()).iter().map(|entry| entry.seq).collect();
    assert_eq!(kept, (4902..=5001).collect::<Vec<_>>());
    assert_eq!(store.dropped(), 0);
}

#[test]
fn two_engines_share_one_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let troubles = Troubles::default();
    let stores = [0, 1].map(|_| Store::open(path.clone(), troubles.listener()));
    for seq in 1..=600 {
        for (number, store) in stores.iter().enumerate() {
            // No two engines have an entry of the same number at the same microsecond.
            let mut entry = simple(seq);
            entry.at.mono_us += number as u64;
            store.record(Arc::new(entry));
            if seq % 50 == 0 {
                store.flush();
            }
        }
    }
    drop(stores);
    assert_eq!(store::read_entries(&path, &all()).unwrap().len(), 1200);
    // On a slow disk one may wait for the other longer than it likes: it says so, and that it is over.
    let told = troubles.all();
    assert!(told.iter().flatten().all(|why| why.contains("locked by another program")), "{told:?}");
    assert!(told.last().is_none_or(Option::is_none), "{told:?}");
}

/// Told to [`the_other_process`] by [`other_processes_read_while_it_is_written`].
const OTHER: &str = "CAS_TEST_READ_DATABASE";

#[test]
fn other_processes_read_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let store = Store::open(path.clone(), |_| {});
    let mut readers: Vec<_> = (0..2)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "store::database::the_other_process"])
                .env(OTHER, &path)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut seq = 0;
    eventually("both have read three thousand", || {
        seq += 1;
        store.record(Arc::new(simple(seq)));
        if seq % 20 == 0 || seq > 3000 {
            store.flush();
        }
        readers.iter_mut().all(|reader| reader.try_wait().unwrap().is_some())
    });
    for mut reader in readers {
        assert!(reader.wait().unwrap().success());
    }
}

#[test]
#[ignore = "started by other_processes_read_while_it_is_written"]
fn the_other_process() {
    let path = PathBuf::from(std::env::var_os(OTHER).unwrap());
    let mut before = 0;
    eventually("three hundred entries are there", || {
        let entries = store::read_entries(&path, &all()).unwrap();
        assert!(entries.len() >= before, "what was there stays");
        assert!((1..).zip(&entries).all(|(seq, entry)| entry.seq == seq), "a reader sees whole batches, in order");
        before = entries.len();
        before >= 300
    });
}
