//! `kill -9` of shims while the engine lives.

use std::time::Duration;

use cas::{
    config::paths::Paths,
    model::{ids::ProjectName, phase::Phase},
    world::{
        clock,
        log_files::{self, LogFilter, Slots},
    },
};
use rustix::process::Signal;

use crate::{
    Count, Must, count,
    ledger::{Ledger, WRITER, compare},
    rig::{self, Rig, ms_since, pause, wait_until},
};

const SERVICES: usize = 10;

/// The trial.
pub(crate) fn kill(rounds: usize) -> Vec<Count> {
    let mut yaml = "name: chaos\nservices:\n".to_owned();
    for n in 0..SERVICES {
        yaml.extend([format!(
            "  w{n:02}: {{ command: [python3, -S, writer.py, w{n:02}, '200', '0'], autostart: true, logs: {{ max_size: 4G }} }}\n"
        )]);
    }
    let mut rig = Rig::new(&yaml, &[("writer.py", WRITER)]);
    std::fs::create_dir(rig.project().join("ledger")).expect("a directory");
    rig.start();
    rig.run(&["up", "--detach"]);
    let mut times = Vec::new();
    for _ in 0..rounds {
        let before = rig.shims();
        assert_eq!(before.len(), SERVICES, "each service has a shim");
        let victim = before[fastrand::usize(..before.len())];
        let from = clock::now();
        rig::kill(victim, Signal::KILL);
        wait_until("the shim is replaced", || {
            let now = rig.shims();
            now.len() == SERVICES && !now.contains(&victim)
        });
        times.push(ms_since(from));
        pause(Duration::from_millis(fastrand::u64(0..40)));
    }
    let handle = rig.connect();
    let died = handle.snapshot().services.iter().filter(|s| !matches!(s.phase, Phase::Running { .. })).count();
    drop(handle);
    rig.run(&["daemon", "stop", "--down"]);
    rig.kill_daemon();
    wait_until("shims have ended", || rig.shims().is_empty());
    let ledger = Ledger::read(&rig.project());
    let name = ProjectName::new("chaos").expect("a name");
    let dir = rig.paths().project_dir(&Paths::place(&name, &rig.project())).join("slots");
    let stored: Vec<String> =
        log_files::read_lines(&[Slots { project: name, dir }], &LogFilter::default()).map(|line| line.text).collect();
    let findings = compare(&ledger, stored.iter().map(String::as_str));
    times.sort_by(f64::total_cmp);
    vec![
        count("lines written", findings.lines as f64, Must::Told),
        count("services that died or were started again", (died + ledger.runs.len() - SERVICES) as f64, Must::Zero),
        count("lines missing", findings.missing as f64, Must::Zero),
        count("lines doubled or strange", (findings.doubled + findings.strange) as f64, Must::Zero),
        count("kill to replaced, median, ms", times[times.len() / 2].round(), Must::AtMost(1000.0)),
        count("kill to replaced, longest, ms", times[times.len() - 1].round(), Must::AtMost(1000.0)),
        count("processes at the end", rig.processes().len() as f64, Must::Zero),
    ]
}
