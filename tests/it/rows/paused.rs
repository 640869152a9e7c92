//! The daemon is stopped for a while and goes on, as a virtual machine that is saved and woken.

use std::{fs, time::Duration};

use rustix::process::{Signal, kill_process};

use super::{daemon, end, good, service};
use crate::{pty::terminal::Project, support::eventually};

const SERVICES: usize = 6;

fn rounds(project: &Project, n: usize) -> usize {
    fs::read_to_string(project.root().join(format!("rounds{n}"))).unwrap_or_default().lines().count()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "time that goes by unseen is what is tried")]
fn a_daemon_that_was_stopped_restarts_nothing_and_probes_each_service_once_when_it_goes_on() {
    let mut services = String::new();
    for n in 0..SERVICES {
        // A probe that is due many times over while nobody looks, and writes down when it was put.
        services.extend([format!(
            "  s{n}:\n    command: [sleep, '100{n}']\n    healthcheck: {{ test: [CMD-SHELL, 'date +%s%N >> rounds{n}'], interval: 2s, retries: 1, \
             timeout: 1s }}\n"
        )]);
    }
    let project = Project::yaml(&services);
    good(&project, &["up", "--detach"]);
    eventually("all are probed", || (0..SERVICES).all(|n| rounds(&project, n) > 0));
    let before: Vec<_> = (0..SERVICES).map(|n| service(&project, &format!("s{n}"))["pid"].clone()).collect();
    let daemon = daemon(&project).unwrap();
    kill_process(daemon, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_secs(13));
    let probed: Vec<_> = (0..SERVICES).map(|n| rounds(&project, n)).collect();
    let woken = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    kill_process(daemon, Signal::CONT).unwrap();
    eventually("all are probed again", || (0..SERVICES).all(|n| rounds(&project, n) > probed[n] + 1));
    for (n, before) in before.iter().enumerate() {
        let text = fs::read_to_string(project.root().join(format!("rounds{n}"))).unwrap();
        let times = text.lines().filter_map(|line| line.parse::<u128>().ok());
        let at_once = times.filter(|at| (woken..woken + 1_000_000_000).contains(at)).count();
        assert!(at_once <= 1, "s{n} is probed {at_once} times in the first second: {text}");
        let now = service(&project, &format!("s{n}"));
        assert_eq!((&now["pid"], &now["restarts"]), (before, &serde_json::json!(0)), "{now}");
    }
    let events = good(&project, &["events"]);
    assert!(!events.contains("restarted") && !events.contains("exited"), "{events}");
    end(&project);
}
