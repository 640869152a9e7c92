//! Many engines at once: one becomes the daemon.

use std::{process::Stdio, time::Duration};

use crate::{
    Count, Must, count,
    rig::{Rig, pause, processes, wait_until},
};

const AT_ONCE: usize = 100;

/// The trial.
pub(crate) fn race(rounds: usize) -> Vec<Count> {
    let rig = Rig::new("name: chaos\nservices:\n  idle: { command: [sleep, '100010'] }\n", &[]);
    let (mut not_one, mut unanswered) = (0, 0);
    let mut needle = String::new();
    for _ in 0..rounds {
        let mut children: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let mut command = rig.cas(&["daemon", "run"]);
                command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("an engine can be spawned")
            })
            .collect();
        let alive = |children: &mut Vec<std::process::Child>| {
            children.retain_mut(|child| child.try_wait().is_ok_and(|status| status.is_none()));
            children.len()
        };
        wait_until("all but one have given way", || alive(&mut children) <= 1);
        pause(Duration::from_millis(50));
        if alive(&mut children) != 1 {
            not_one += 1;
        }
        let socket = rig.paths().daemon_socket();
        if std::os::unix::net::UnixStream::connect(&socket).is_err() {
            unanswered += 1;
        }
        for child in &mut children {
            child.kill().expect("it can be killed");
            child.wait().expect("it was a child");
        }
        needle = rig.project().to_string_lossy().into_owned();
    }
    let left = processes(|command, _| command.contains(&needle)).len();
    vec![
        count("rounds of a hundred engines", rounds as f64, Must::Told),
        count("rounds without exactly one", f64::from(not_one), Must::Zero),
        count("stale sockets or locks that kept it from answering", f64::from(unanswered), Must::Zero),
        count("processes at the end", left as f64, Must::Zero),
    ]
}
