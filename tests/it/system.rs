//! The sampler against real process trees.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails there")]

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use cas::{
    model::{
        ids::{RunId, ServiceName},
        metric::{RunUsage, Sample},
        service::Limits,
    },
    world::{
        cgroup::{Cage, Cgroups},
        clock,
        system::{Sampler, Watched},
    },
};

use crate::support::eventually;

/// A service's main process: leader of its own group. Ends with all of the group when dropped.
struct Tree(Child);

impl Tree {
    fn run(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Self(command.spawn().unwrap())
    }

    fn sh(script: &str) -> Self {
        Self::run("sh", &["-c", script])
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn end(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid().cast_signed()) {
            let _gone = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        let _gone = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.end();
    }
}

fn samplers() -> [Sampler; 2] {
    let root = PathBuf::from("/");
    [Sampler::new(root.clone()).unwrap(), Sampler::portable(root).unwrap()]
}

fn look(sampler: &mut Sampler, runs: &[(RunId, u32)]) -> Sample {
    sampler.sample(clock::now(), runs)
}

/// Looks at one run some ten times a second until `holds`.
fn until(sampler: &mut Sampler, what: &str, tree: &Tree, holds: impl Fn(&RunUsage) -> bool) {
    let mut last = clock::now();
    eventually(what, || {
        let now = clock::now();
        if now.since(last).as_millis() < 250 {
            return false;
        }
        last = now;
        sampler
            .sample(now, &[(RunId(1), tree.pid())])
            .runs
            .first()
            .is_some_and(|(run, usage)| *run == RunId(1) && holds(usage))
    });
}

#[test]
fn a_busy_tree_shows_its_processor_time_wherever_in_the_tree_it_is_spent() {
    for mut sampler in samplers() {
        let tree = Tree::sh("sh -c 'while :; do :; done' & wait");
        until(&mut sampler, "more than half a core", &tree, |usage| usage.cpu_percent > 50.0 && usage.processes == 2);
    }
}

#[test]
fn children_that_live_for_a_moment_count_through_the_parent_that_waits_for_them() {
    let mut sampler = Sampler::new(PathBuf::from("/")).unwrap();
    let tree = Tree::sh("while :; do head -c 20000000 /dev/zero | tail -c 1 >/dev/null; done");
    until(&mut sampler, "more than half a core in short-lived children", &tree, |usage| usage.cpu_percent > 50.0);
}

#[test]
fn the_memory_of_children_is_the_runs_memory() {
    for mut sampler in samplers() {
        // `tail` has to keep what it is given: there is no line feed in it.
        let tree = Tree::sh("{ head -c 60000000 /dev/zero; sleep 600; } | tail -n 1; :");
        until(&mut sampler, "60 MB in a grandchild", &tree, |usage| {
            usage.memory_bytes > 60_000_000 && usage.memory_bytes < 600_000_000 && usage.processes >= 3
        });
    }
}

#[test]
fn a_child_in_a_session_of_its_own_and_without_a_parent_still_belongs_to_the_run() {
    let mut sampler = Sampler::new(PathBuf::from("/")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    // A duration that nobody else sleeps for, so that the test ends nobody else's process.
    let nap = format!("8{:07}.5", std::process::id());
    let script = format!(
        "(setsid sh -c 'until test -e {}; do sleep 0.05; done; exec sleep {nap}' & wait) & sleep 600",
        go.display()
    );
    let tree = Tree::sh(&script);
    until(&mut sampler, "the whole tree is seen", &tree, |usage| usage.processes >= 4);
    std::fs::write(&go, "").unwrap();
    until(&mut sampler, "all are asleep", &tree, |usage| usage.processes == 4);
    // The subshell between them goes: the sleeper's parent is now somebody else.
    let parent = Command::new("pgrep").args(["-P", &tree.pid().to_string(), "sh"]).output().unwrap();
    let parent: i32 = String::from_utf8(parent.stdout).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(parent).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    until(&mut sampler, "one less, and the orphan is kept", &tree, |usage| usage.processes == 3);
    let orphan = Command::new("pgrep").args(["-f", &format!("^sleep {nap}$")]).output().unwrap();
    let orphan: i32 = String::from_utf8(orphan.stdout).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(orphan).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    until(&mut sampler, "the orphan is missed when it is gone", &tree, |usage| usage.processes == 2);
}

#[test]
fn a_run_that_ended_is_missing_and_a_strange_process_with_its_pid_is_not_taken_for_it() {
    let mut sampler = Sampler::new(PathBuf::from("/")).unwrap();
    let mut tree = Tree::run("sleep", &["600"]);
    let runs = [(RunId(7), tree.pid())];
    let sample = look(&mut sampler, &runs);
    assert!(sample.runs.iter().any(|(run, usage)| *run == RunId(7) && usage.processes == 1), "{sample:?}");
    tree.end();
    for _ in 0..3 {
        assert!(look(&mut sampler, &runs).runs.is_empty());
    }
    // A process that leads neither a session nor a group, as a stranger that was given the pid would be.
    let stranger = Command::new("sleep").arg("600").spawn().map(Tree).unwrap();
    assert!(look(&mut sampler, &[(RunId(9), stranger.pid())]).runs.is_empty());
    // The same pid under a new run that no longer exists: nothing.
    assert!(look(&mut sampler, &[(RunId(10), runs[0].1)]).runs.is_empty());
}

#[test]
fn a_name_like_a_line_of_numbers_hides_nothing() {
    let mut sampler = Sampler::new(PathBuf::from("/")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let weird = dir.path().join("a) b (c");
    std::fs::copy("/bin/sleep", &weird).unwrap();
    let tree = Tree::run(weird.to_str().unwrap(), &["600"]);
    until(&mut sampler, "it is seen under its odd name", &tree, |usage| {
        std::fs::read_to_string(format!("/proc/{}/comm", tree.pid())).is_ok_and(|name| name == "a) b (c\n")
            && usage.processes == 1
            && usage.memory_bytes > 100_000
    });
}

#[test]
fn quiet_processes_are_still_counted_when_they_are_no_longer_read_each_time_and_noticed_when_they_wake() {
    let mut sampler = Sampler::new(PathBuf::from("/")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("wake");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let tree = Tree::sh(&format!("read x < {}; while :; do :; done", fifo.display()));
    for _ in 0..12 {
        let sample = look(&mut sampler, &[(RunId(1), tree.pid())]);
        assert_eq!(sample.runs.first().map(|(_, usage)| usage.processes), Some(1), "{sample:?}");
    }
    std::fs::write(&fifo, "go\n").unwrap();
    until(&mut sampler, "it woke up", &tree, |usage| usage.cpu_percent > 50.0);
}

#[test]
fn the_machines_figures_are_plausible() {
    let mut sampler = Sampler::new(PathBuf::from("/")).unwrap();
    let busy = Tree::sh("while :; do :; done");
    let first = look(&mut sampler, &[]).host;
    assert!(first.net_rx_bytes_per_s.abs() < f64::EPSILON, "no rate before there is a second look: {first:?}");
    assert!(first.cores >= 1 && first.memory_total_bytes > first.memory_used_bytes, "{first:?}");
    assert!(
        first.memory_used_bytes > 0 && first.disk_total_bytes >= first.disk_free_bytes && first.disk_total_bytes > 0,
        "{first:?}"
    );
    let mut last = clock::now();
    eventually("the processor is seen to be busy", || {
        let now = clock::now();
        if now.since(last).as_millis() < 250 {
            return false;
        }
        last = now;
        let host = look(&mut sampler, &[]).host;
        assert!((0.0..=100.0).contains(&host.cpu_percent), "{host:?}");
        host.cpu_percent > 10.0
    });
    drop(busy);
}

#[test]
fn a_project_directory_that_is_gone_has_no_size_and_stops_nothing() {
    let mut sampler = Sampler::new(PathBuf::from("/no/such/place")).unwrap();
    let host = look(&mut sampler, &[]).host;
    assert_eq!((host.disk_total_bytes, host.disk_free_bytes), (0, 0));
    assert!(host.memory_total_bytes > 0);
}

/// A cage that is emptied and removed when dropped; none where this machine allows none, which is asserted to be said.
struct Held(Arc<Cage>);

impl Held {
    fn new() -> Option<Self> {
        let cgroups = Cgroups::discover();
        let place = format!("castest-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let cage = cgroups.prepare(&place, &ServiceName::new("web").unwrap(), &Limits::default()).unwrap();
        assert_eq!(cage.is_none(), cgroups.note().is_some());
        cage.map(|cage| Self(Arc::new(cage)))
    }

    /// A tree whose main process is in the cage, and all that it makes.
    fn sh(&self, script: &str) -> Tree {
        let files = self.0.procs_files();
        let mut args = vec!["-c", "for f do echo 0 >\"$f\" || exit 99; done; exec sh -c \"$0\"", script];
        args.extend(files.iter().map(|file| file.to_str().unwrap()));
        Tree::run("sh", &args)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        eventually("the cage is empty and gone", || {
            self.0.remove();
            !self.0.dir().exists()
        });
    }
}

#[test]
fn a_run_in_a_cage_counts_what_left_its_tree_and_falls_back_to_the_tree_without_one() {
    let Some(held) = Held::new() else { return };
    let mut sampler = Sampler::new(PathBuf::from("/")).unwrap();
    // Two that no tree has: in a session of their own, their parent gone at once. One of them is busy, one holds memory.
    let script = "setsid sh -c 'while :; do :; done' & setsid sh -c '{ head -c 60000000 /dev/zero; sleep 600; } | tail -n 1; :' & exec sleep 600";
    let tree = held.sh(script);
    let plain = Tree::run("sleep", &["600"]);
    let watched = [
        Watched { run: RunId(1), pid: tree.pid(), cage: Some(Arc::clone(&held.0)) },
        Watched::from((RunId(2), plain.pid())),
    ];
    let mut last = clock::now();
    eventually("both are seen, each in its own way", || {
        let now = clock::now();
        if now.since(last).as_millis() < 250 {
            return false;
        }
        last = now;
        let runs = sampler.sample(now, &watched).runs;
        let [(RunId(1), caged), (RunId(2), treed)] = runs.as_slice() else { return false };
        treed.processes == 1
            && caged.cpu_percent > 30.0
            && caged.memory_bytes > 60_000_000
            && caged.memory_bytes < 600_000_000
            && caged.processes >= 5
            && caged.threads >= caged.processes
    });
    held.0.kill().unwrap();
    eventually("a run that is gone is missing", || {
        let runs = sampler.sample(clock::now(), &watched).runs;
        runs.iter().map(|(run, _)| *run).eq([RunId(2)])
    });
}

#[test]
fn a_quiet_run_in_a_cage_is_seen_each_time_and_noticed_when_it_wakes_or_ends() {
    let Some(held) = Held::new() else { return };
    let mut sampler = Sampler::new(PathBuf::from("/")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("wake");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let mut tree = held.sh(&format!("read x < {}; while :; do :; done", fifo.display()));
    eventually("it is in", || held.0.members() == [tree.pid()]);
    let watched = [(RunId(3), tree.pid(), Some(Arc::clone(&held.0)))];
    for _ in 0..12 {
        let runs = sampler.sample(clock::now(), &watched).runs;
        assert_eq!(runs.first().map(|(_, usage)| usage.processes), Some(1), "{runs:?}");
    }
    std::fs::write(&fifo, "go\n").unwrap();
    let mut last = clock::now();
    eventually("it woke up", || {
        let now = clock::now();
        if now.since(last).as_millis() < 250 {
            return false;
        }
        last = now;
        sampler.sample(now, &watched).runs.first().is_some_and(|(_, usage)| usage.cpu_percent > 50.0)
    });
    tree.end();
    eventually("its end is seen", || sampler.sample(clock::now(), &watched).runs.is_empty());
}

#[test]
fn a_main_process_that_a_signal_stopped_is_seen_and_so_is_that_it_goes_on() {
    let mut sampler = Sampler::new(PathBuf::from("/")).unwrap();
    let tree = Tree::sh("sleep 600 & wait");
    let runs = [(RunId(1), tree.pid())];
    let pid = rustix::process::Pid::from_raw(tree.pid().cast_signed()).unwrap();
    // Quiet by now: hardly anything of it is read.
    for _ in 0..6 {
        assert_eq!(look(&mut sampler, &runs).stopped, []);
    }
    for _ in 0..2 {
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        eventually("it is seen", || look(&mut sampler, &runs).stopped == [RunId(1)]);
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        eventually("so is its end", || look(&mut sampler, &runs).stopped.is_empty());
    }
}
