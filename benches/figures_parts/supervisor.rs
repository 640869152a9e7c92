//! Crash to replacement, and a thousand services.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::Arc,
};

use cas::{
    config,
    engine::Budget,
    host,
    model::{phase::Phase, policy::Autopilot},
    world::clock,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Figure,
    measure::{CAS, Project, cpu_seconds, ms_since, pause, quantile, resident_mib, shims_of, wait_until},
};

const KILLS: usize = 50;

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a pid");
    kill_process(pid, Signal::KILL).expect("it is ours");
}

/// kill -9 of a process to the exec of its replacement, by the least that can be done: kill, wait, fork, exec. With a user to become,
/// which is the one it has, the library forks; without, it would borrow our memory until the exec (vfork).
fn bare() -> Vec<f64> {
    let uid = rustix::process::getuid().as_raw();
    let spawn = || {
        let mut sleep = Command::new("sleep");
        sleep.arg("100000").stdin(Stdio::null()).uid(uid).spawn().expect("sleep can be spawned")
    };
    let mut child = spawn();
    let mut times = Vec::new();
    for _ in 0..KILLS {
        pause(20);
        let begin = clock::now();
        kill(child.id());
        child.wait().expect("it is ours");
        child = spawn();
        times.push(ms_since(begin));
    }
    kill(child.id());
    child.wait().expect("it is ours");
    times
}

pub(crate) fn crash_to_replacement() -> Vec<Figure> {
    let project = Project::new(
        "name: bench\nservices:\n  victim:\n    command: [sleep, '100000']\n    restart: always\n    autostart: true\n    backoff: { base: 0s, give_up_after: 0 }\n",
    );
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (mut times, cpu) = runtime.block_on(async {
        let loaded = config::load(&project.path().join("cas.yaml"), None, &std::env::vars().collect());
        let host = host::start(host::Config {
            projects: vec![Arc::new(loaded.project.expect("a valid project"))],
            directory: None,
            paths: config::paths::Paths::from_lookup(|name| {
                project.environment().into_iter().find(|(known, _)| *known == name).map(|(_, path)| path)
            }),
            autopilot: Autopilot::On,
            learning: false,
            auto_reload: false,
            budget: Budget { burst: 1000, refill_per_10s: 1000 },
            seed: 1,
            environment: std::env::vars().collect(),
            withheld: std::collections::BTreeMap::new(),
            open_files: None,
            daemon: false,
            shim: env!("CARGO_BIN_EXE_cas-shim").into(),
            gate: None,
            care: None,
            log_formats: Vec::new(),
            masks: cas::model::redact::Masks::default(),
        })
        .expect("an engine");
        let mut snapshots = host.handle.snapshots.clone();
        let mut pid = next_pid(&mut snapshots, 0).await;
        let mut times = Vec::new();
        let ours = || {
            let shims = shims_of(project.path());
            cpu_seconds(std::process::id()) + shims.into_iter().map(cpu_seconds).sum::<f64>()
        };
        let before = ours();
        for _ in 0..KILLS {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let begin = clock::now();
            kill(pid);
            pid = next_pid(&mut snapshots, pid).await;
            times.push(ms_since(begin));
        }
        let cpu = (ours() - before) * 1000.0 / KILLS as f64;
        host.handle.leave().await;
        (times, cpu)
    });
    let mut bare = bare();
    let (p50, p99) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    vec![
        Figure { name: "crash to replacement, p50", value: p50, unit: "ms", target: 4.0 },
        Figure { name: "crash to replacement, p99", value: p99, unit: "ms", target: 10.0 },
        Figure {
            name: "… ratio to bare fork+exec+wait, p50",
            value: p50 / quantile(&mut bare, 0.5),
            unit: "×",
            target: 3.0,
        },
        Figure { name: "… our CPU per kill", value: cpu, unit: "ms", target: 1.5 },
    ]
}

/// The pid of the only service once it runs under another one than `old`.
async fn next_pid(snapshots: &mut tokio::sync::watch::Receiver<Arc<cas::model::snapshot::Snapshot>>, old: u32) -> u32 {
    loop {
        if let Some(service) = snapshots.borrow_and_update().services.first()
            && let Phase::Running { pid, .. } = service.phase
            && pid != old
        {
            return pid;
        }
        snapshots.changed().await.expect("the engine lives");
    }
}

/// Services that have a process: `state` is written by the child itself, before its exec.
fn running(project: &Project) -> usize {
    let places = std::fs::read_dir(project.path().join("cas_state_dir/projects")).into_iter().flatten().flatten();
    let slots = places.flat_map(|place| std::fs::read_dir(place.path().join("slots")).into_iter().flatten().flatten());
    slots.filter(|slot| slot.path().join("state").exists()).count()
}

pub(crate) fn a_thousand_services() -> Vec<Figure> {
    // What was measured before has deleted thousands of files: for five seconds ext4 looks at each of them before it makes another.
    pause(6000);
    let project = Project::sleepers(1000, true);
    let begin = clock::now();
    let mut cas = Command::new(CAS)
        .args(["up", "--no-tui"])
        .current_dir(project.path())
        .envs(project.environment())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("cas can be spawned");
    wait_until("a thousand run", 5, || running(&project) >= 1000);
    let up = ms_since(begin) / 1000.0;
    pause(3000);
    let (before, from) = (cpu_seconds(cas.id()), clock::now());
    pause(20_000);
    let percent = (cpu_seconds(cas.id()) - before) / (ms_since(from) / 1000.0) * 100.0;
    let memory = resident_mib(cas.id());
    let mut down = Command::new(CAS);
    let _down = down.arg("down").current_dir(project.path()).envs(project.environment()).output();
    // An error means that it has ended.
    let _ended = kill_process(Pid::from_raw(cas.id().cast_signed()).expect("a pid"), Signal::TERM);
    cas.wait().expect("it ends");
    vec![
        Figure { name: "1,000 services up", value: up, unit: "s", target: 3.0 },
        Figure { name: "1,000 services: engine and sampling", value: percent, unit: "%", target: 2.0 },
        Figure { name: "1,000 services: resident", value: memory, unit: "MiB", target: 57.2 },
    ]
}
