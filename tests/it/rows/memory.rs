//! The memory of a daemon: bounded whatever its services do, and where it is killed for it, nothing but it is gone.

use std::{
    fs,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{daemon, end, good, service};
use crate::{
    pty::terminal::{CAS, Project},
    support::eventually,
};

/// What it may have at its worst (GUARANTEES: a flood of fifty services).
const MOST_KIB: u64 = 150 * 1024;

fn status(pid: Pid, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim_start_matches(':').split_ascii_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// A memory cgroup of this test; none where none can be made.
struct Limited {
    dir: PathBuf,
    limit: &'static str,
    usage: &'static str,
}

impl Limited {
    fn make() -> Option<Self> {
        let name = format!("cas-rows-{}", std::process::id());
        let ways = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
            ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ];
        ways.into_iter().find_map(|(root, limit, usage)| {
            let dir = Path::new(root).join(&name);
            fs::create_dir(&dir).ok()?;
            let made = Self { dir, limit, usage };
            made.dir.join(limit).exists().then_some(made)
        })
    }

    /// Has the kernel kill a process for want of memory: somebody in the cgroup asks for more than there is, and `victim` is the one to go.
    fn starve(&self, victim: Pid) {
        fs::write(format!("/proc/{}/oom_score_adj", victim.as_raw_nonzero()), "1000").unwrap();
        // What can be given back without killing anybody.
        let _v1_only = fs::write(self.dir.join("memory.force_empty"), "0");
        let usage: u64 = fs::read_to_string(self.dir.join(self.usage)).unwrap().trim().parse().unwrap();
        fs::write(self.dir.join(self.limit), (usage + (1 << 20)).to_string()).unwrap();
        let hog =
            format!("echo 0 > {}/cgroup.procs && head -c 8000000 /dev/zero | tail -c 8000000", self.dir.display());
        // It may go as well.
        let _either =
            Command::new("sh").args(["-c", &hog]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        fn remove(dir: &Path) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    remove(&entry.path());
                }
            }
            // One that is not empty stays for a moment more: there is nothing to be done about it here.
            let _left = fs::remove_dir(dir);
        }
        remove(&self.dir);
    }
}

/// The daemon, in the cgroup from its first instruction.
fn start(project: &Project, cgroup: Option<&Limited>) -> std::process::Child {
    let mut command = Command::new("sh");
    let enter = cgroup.map_or_else(String::new, |cgroup| format!("echo 0 > {}/cgroup.procs && ", cgroup.dir.display()));
    command.args(["-c", &format!("{enter}exec \"$0\" daemon run"), CAS]).envs(project.environment());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let child = command.spawn().unwrap();
    eventually("it answers", || daemon(project).is_some());
    child
}

#[test]
fn a_flood_does_not_fill_the_daemon_and_a_daemon_that_memory_killed_is_followed_by_another() {
    let mut services = String::new();
    for n in 0..4 {
        services.extend([format!(
            "  flood{n}: {{shell: 'while [ -e calm ]; do sleep 0.05; done; yes flood {n} of many lines that say nothing | head -c 10000000; echo; echo over; exec sleep \
             100{n}'}}\n"
        )]);
    }
    for n in 0..6 {
        // Events without end.
        services.extend([format!(
            "  crash{n}: {{command: ['false'], restart: always, backoff: {{base: 20ms, ceiling: 20ms, give_up_after: 0}}}}\n"
        )]);
    }
    let project = Project::yaml(&services);
    project.write("calm", "");
    let cgroup = Limited::make();
    let mut child = start(&project, cgroup.as_ref());
    good(&project, &["up", "--detach", "flood0", "flood1", "flood2", "flood3"]);
    // Whoever starts them waits until they run, which they never do.
    let mut starting = project.command(&["start", "crash0", "crash1", "crash2", "crash3", "crash4", "crash5"], &[]);
    let mut starting = starting.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = daemon(&project).unwrap();
    let before = status(pid, "VmRSS");
    // Somebody who asks for all of it, and reads nothing.
    let mut deaf = project.command(&["logs", "-f"], &[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    fs::remove_file(project.root().join("calm")).unwrap();
    let is_over = |n: usize| {
        let ran = project.cas(&["logs", &format!("flood{n}"), "--no-prefix", "--tail", "1"], &[]);
        ran.stdout == b"over\n"
    };
    eventually("all of the flood was taken in", || (0..4).all(is_over));
    let most = status(pid, "VmHWM");
    for client in [&mut deaf, &mut starting] {
        client.kill().unwrap();
        client.wait().unwrap();
    }
    println!("daemon: {before} KiB before the flood, {most} KiB at its worst");
    assert!(most <= MOST_KIB, "it had {most} KiB at its worst, {before} before");

    // Now it must die of it.
    let floods = || (0..4).map(|n| service(&project, &format!("flood{n}"))["pid"].clone()).collect::<Vec<_>>();
    let pids = floods();
    match &cgroup {
        Some(cgroup) => cgroup.starve(pid),
        // What the kernel's killer would do.
        None => kill_process(pid, Signal::KILL).unwrap(),
    }
    let mut ended = None;
    eventually("it is killed", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().signal(), Some(9));
    for pid in &pids {
        let pid = Pid::from_raw(i32::try_from(pid.as_i64().unwrap()).unwrap()).unwrap();
        assert_eq!(test_kill_process(pid), Ok(()), "services run on");
    }
    good(&project, &["daemon", "start"]);
    eventually("the next one has taken all of them over", || floods() == pids);
    let events = good(&project, &["events"]);
    assert!(events.contains("taken over"), "{events}");
    end(&project);
    drop(cgroup);
}
