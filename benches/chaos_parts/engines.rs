//! `kill -9` of the engine while services run, write and crash.

use std::time::Duration;

use cas::{
    config::paths::Paths,
    model::{
        ids::ProjectName,
        phase::{Exit, Phase},
        snapshot::Snapshot,
        timeline::What,
    },
    world::{
        clock,
        log_files::{self, LogFilter, Slots},
        store,
    },
};

use crate::{
    Count, Must, count,
    ledger::{Ledger, WRITER, compare},
    rig::{Rig, ms_since, pause, see, wait_until},
};

pub(crate) const SERVICES: usize = 50;

/// Every fifth crashes every few seconds.
pub(crate) fn crashes(service: &str) -> bool {
    service.trim_start_matches('w').parse().is_ok_and(|number: usize| number.is_multiple_of(5))
}

pub(crate) fn yaml() -> String {
    let mut yaml = "name: chaos\nservices:\n".to_owned();
    for n in 0..SERVICES {
        let crash = if crashes(&n.to_string()) { "3" } else { "0" };
        yaml.extend([format!(
            "  w{n:02}:\n    command: [python3, -S, writer.py, w{n:02}, '150', '{crash}']\n    autostart: true\n    restart: always\n    \
             logs: {{ max_size: 4G }}\n    backoff: {{ base: 50ms, ceiling: 500ms, give_up_after: 0 }}\n"
        )]);
    }
    yaml
}

/// Every service is there and looked after. Ten that crash every three seconds take more restarts than the budget gives, over engines too:
/// some wait their turn at any time.
pub(crate) fn all_under_care(snapshot: &Snapshot) -> bool {
    let cared = |phase: &Phase| {
        matches!(
            phase,
            Phase::Running { .. } | Phase::BackingOff { .. } | Phase::Starting { .. } | Phase::Waiting { .. }
        )
    };
    snapshot.services.len() == SERVICES && snapshot.services.iter().all(|service| cared(&service.phase))
}

/// The trial.
pub(crate) fn kill(rounds: usize) -> Vec<Count> {
    let mut rig = Rig::new(&yaml(), &[("writer.py", WRITER)]);
    std::fs::create_dir(rig.project().join("ledger")).expect("a directory");
    rig.start();
    rig.run(&["up", "--detach"]);
    let begin = clock::now();
    let mut adoption: Vec<f64> = Vec::new();
    for round in 0..rounds {
        pause(Duration::from_millis(fastrand::u64(100..300)));
        rig.kill_daemon();
        let from = clock::now();
        rig.start();
        if round % 10 == 9 {
            let handle = rig.connect();
            see(&handle, "every service is under care again", all_under_care);
            adoption.push(ms_since(from));
        }
    }
    let seconds = ms_since(begin) / 1000.0;
    let handle = rig.connect();
    see(&handle, "all are under care at the end", all_under_care);
    let lost = SERVICES.saturating_sub(handle.snapshot().services.len());
    drop(handle);
    // No engine of the trial had much time to take output in; this one has.
    let there = in_segments(&rig).len() as u64;
    wait_until("the store has taken in what was there", || counted(&rig) >= there);
    rig.run(&["daemon", "stop", "--down"]);
    rig.kill_daemon();
    wait_until("shims have ended", || rig.shims().is_empty());
    let orphans = rig.processes();
    for (pid, command) in &orphans {
        println!("  orphan: {pid} {command}");
    }
    judge(&rig, seconds, lost, orphans.len(), &mut adoption)
}

/// The lines that are on disk.
pub(crate) fn in_segments(rig: &Rig) -> Vec<String> {
    let name = ProjectName::new("chaos").expect("a name");
    let dir = rig.paths().project_dir(&Paths::place(&name, &rig.project())).join("slots");
    log_files::read_lines(&[Slots { project: name, dir }], &LogFilter::default()).map(|line| line.text).collect()
}

/// How many lines the store has counted.
pub(crate) fn counted(rig: &Rig) -> u64 {
    let place = Paths::place(&ProjectName::new("chaos").expect("a name"), &rig.project());
    let database = rig.paths().database();
    let cursors = store::read_cursors(&database, &place).unwrap_or_default();
    let minutes = cursors
        .keys()
        .flat_map(|service| store::read_minutes(&database, &place, service, 0, i64::MAX).unwrap_or_default());
    minutes.map(|minute| minute.stdout_lines + minute.stderr_lines).sum()
}

/// What services wrote down, beside what cas has of it.
pub(crate) fn judge(rig: &Rig, seconds: f64, lost: usize, orphans: usize, adoption: &mut [f64]) -> Vec<Count> {
    let ledger = Ledger::read(&rig.project());
    let stored = in_segments(rig);
    let findings = compare(&ledger, stored.iter().map(String::as_str));
    let counted = counted(rig);
    let entries = store::read_entries(
        &rig.paths().database(),
        &store::EntryFilter { limit: usize::MAX, ..store::EntryFilter::default() },
    )
    .expect("the store can be read");
    let known = entries
        .iter()
        .filter(|entry| matches!(&entry.what, What::Exited { exit: Exit::Code(code), .. } if *code != 0))
        .count();
    let unknown =
        entries.iter().filter(|entry| matches!(&entry.what, What::Exited { exit: Exit::Unknown, .. })).count();
    adoption.sort_by(f64::total_cmp);
    let median = adoption.get(adoption.len() / 2).copied().unwrap_or(0.0);
    vec![
        count("lines written", findings.lines as f64, Must::Told),
        count("lines per second", (findings.lines as f64 / seconds).round(), Must::AtLeast(5000.0)),
        count("runs", ledger.runs.len() as f64, Must::Told),
        count("crashes", ledger.crashes() as f64, Must::Told),
        count("services lost", lost as f64, Must::Zero),
        count("started twice", ledger.doubles as f64, Must::Zero),
        count("lines missing in the segments", findings.missing as f64, Must::Zero),
        count("lines doubled in the segments", findings.doubled as f64, Must::Zero),
        count("lines that nobody wrote so", findings.strange as f64, Must::Zero),
        count("lines counted in the store, less those in segments", counted as f64 - stored.len() as f64, Must::Zero),
        count("exit codes unknown", unknown as f64, Must::Zero),
        count("crashes less exit codes on the timeline", ledger.crashes() as f64 - known as f64, Must::Zero),
        count("orphans at the end", orphans as f64, Must::Zero),
        count("start of a daemon to all under care, median, ms", median.round(), Must::Told),
    ]
}
