//! Records that name a number which a stranger has now: nobody is signalled.

use std::{fs, process::Command, time::Duration};

use cas::{config::paths::Paths, model::ids::ProjectName};
use rustix::process::{Pid, Signal};

use crate::{
    Count, Must, count,
    rig::{self, Rig, pause, wait_until},
};

/// A process that counts every signal that reaches it.
const WITNESS: &str = r"
import os, signal, sys
def heard(number, frame):
    with open('heard', 'a') as f:
        f.write('%d %d\n' % (os.getpid(), number))
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
        signal.signal(number, heard)
open('ready.%d' % os.getpid(), 'w').close()
while True:
    signal.pause()
";

/// The trial: in each round the records of a service that is gone are made to name a stranger, in one of the ways in which that happens.
pub(crate) fn reuse(rounds: usize) -> Vec<Count> {
    let mut rig = Rig::new(
        "name: chaos\nservices:\n  victim: { command: [sleep, '100011'], autostart: true, restart: 'no', stop_grace_period: 100ms }\n",
        &[("witness.py", WITNESS)],
    );
    let name = ProjectName::new("chaos").expect("a name");
    let slot = rig.paths().project_dir(&Paths::place(&name, &rig.project())).join("slots/victim");
    let (mut signalled, mut killed, mut adopted) = (0, 0, 0);
    rig.start();
    rig.run(&["up", "--detach"]);
    for round in 0..rounds {
        // All that could know better is gone: engine, shim, service.
        rig.kill_daemon();
        let state = fs::read_to_string(slot.join("state")).expect("a run was made");
        for (pid, _) in rig.processes() {
            rig::kill(pid, Signal::KILL);
        }
        wait_until("nothing is left", || rig.processes().is_empty());
        let outside = tempfile::tempdir().expect("a directory");
        let script = rig.project().join("witness.py");
        let mut stranger =
            Command::new("python3").arg("-S").arg(&script).current_dir(outside.path()).spawn().expect("a stranger");
        let ready = outside.path().join(format!("ready.{}", stranger.id()));
        wait_until("the stranger is ready", || ready.exists());
        fs::write(slot.join("state"), forged(&state, stranger.id(), round)).expect("the record can be forged");
        // An exit record would settle it.
        let _gone = fs::remove_file(slot.join("exit"));
        rig.start();
        let handle = rig.connect();
        rig.see(&handle, "the project is open", |snapshot| !snapshot.services.is_empty());
        let pid = handle.snapshot().services[0].pid;
        adopted += usize::from(pid == Some(stranger.id()));
        drop(handle);
        for order in ["restart", "stop", "kill"] {
            let _said = rig.cas(&[order, "victim"]).output().expect("cas can be run");
        }
        pause(Duration::from_millis(30));
        signalled += fs::read_to_string(outside.path().join("heard")).unwrap_or_default().lines().count();
        killed += usize::from(stranger.try_wait().expect("it was a child").is_some());
        let pid = Pid::from_raw(stranger.id().cast_signed()).expect("a number");
        let _ended = rustix::process::kill_process(pid, Signal::KILL);
        stranger.wait().expect("it was a child");
        rig.run(&["start", "victim"]);
    }
    rig.run(&["daemon", "stop", "--down"]);
    vec![
        count("records that name a stranger", rounds as f64, Must::BeTold),
        count("signals that reached a stranger", signalled as f64, Must::BeZero),
        count("strangers killed", killed as f64, Must::BeZero),
        count("strangers taken for the service", adopted as f64, Must::BeZero),
    ]
}

/// The record with the stranger's number, and with what else a reused number may share with the run.
fn forged(state: &str, pid: u32, round: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the stranger is there");
    let start = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)).expect("a start time");
    let boot = if round % 3 == 2 { Some("00000000-0000-0000-0000-000000000000") } else { None };
    let lines = state.lines().map(|line| match line.split_once('=') {
        Some(("pid", _)) => format!("pid={pid}"),
        // Within a tick of the clock a number can be given again: the start times are equal then.
        Some(("start", _)) if round % 3 != 1 => format!("start={start}"),
        Some(("boot", old)) => format!("boot={}", boot.unwrap_or(old)),
        _ => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}
