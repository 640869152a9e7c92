//! The cgroups of one service. Promise: killing reaches everything in it, frozen, stopped, in a session of its own or forking. Never: signals
//! a process that was not seen in it after its pidfd was opened.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{
    file,
    hierarchy::{Controller, Version},
    usage::cpu_file,
};

/// Rounds of SIGKILL before the rest counts as impossible to end.
const ROUNDS: u32 = 20;
/// Longest wait for the dead of a round, milliseconds.
const ROUND_MS: u32 = 100;
/// Looks, a millisecond apart, at whether all of a cgroup stand still.
const FREEZE_LOOKS: u32 = 200;
/// Processes that are held at the same time.
const BATCH: usize = 128;
/// Cgroups within cgroups that are followed at most.
const DEEPEST: u32 = 32;

/// A directory in one hierarchy.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) dir: PathBuf,
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    /// A child that is started joins it.
    pub(super) joined: bool,
}

impl Node {
    /// How well it tells who is in the cage, best first.
    fn rank(&self) -> usize {
        let order = [Controller::Freezer, Controller::Pids, Controller::Memory, Controller::Cpuacct, Controller::Cpu];
        match self.version {
            Version::V2 => 0,
            Version::V1 => 1 + order.iter().position(|one| self.controllers.contains(one)).unwrap_or(order.len()),
        }
    }
}

/// Where the processes of one service are held. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct Cage {
    /// Never empty; the first is joined and tells who is in it.
    nodes: Vec<Node>,
    /// `cgroup.kill` was used on it.
    killed: Arc<AtomicBool>,
}

impl Cage {
    /// None where no node is joined.
    pub(super) fn new(mut nodes: Vec<Node>) -> Option<Self> {
        nodes.sort_by_key(|node| (!node.joined, node.rank()));
        nodes.first().is_some_and(|node| node.joined).then(|| Self { nodes, killed: Arc::default() })
    }

    fn joined(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.joined)
    }

    pub(super) fn tracker(&self) -> &Node {
        self.nodes.first().expect("a cage has at least one node, as `new` sees to")
    }

    pub(super) fn node_with(&self, controller: Controller) -> Option<&Node> {
        self.joined().find(|node| node.controllers.contains(&controller))
    }

    /// The node that counts processor time.
    pub(super) fn cpu_node(&self) -> Option<&Node> {
        let unified = self.joined().find(|node| node.version == Version::V2);
        unified.or_else(|| self.node_with(Controller::Cpuacct)).filter(|node| {
            // A v2 kernel older than 4.15 counts only with the controller.
            node.version == Version::V1 || node.dir.join(cpu_file(Version::V2)).exists()
        })
    }

    /// The directory that tells who is in it: what people are shown.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.tracker().dir
    }

    /// The files to each of which a child writes `0` before its exec, so that it and its descendants are in the cage.
    #[must_use]
    pub fn procs_files(&self) -> Vec<PathBuf> {
        self.joined().map(|node| node.dir.join("cgroup.procs")).collect()
    }

    /// The file to which `1` is written to kill everything in it (v2 since Linux 5.14); none elsewhere.
    #[must_use]
    pub fn kill_file(&self) -> Option<PathBuf> {
        let node = self.tracker();
        let file = node.dir.join("cgroup.kill");
        (node.version == Version::V2 && file.exists()).then_some(file)
    }

    /// The processes in it, cgroups that they made within included; without zombies.
    #[must_use]
    pub fn members(&self) -> Vec<u32> {
        let mut members = Vec::new();
        for dir in nested(&self.tracker().dir) {
            let text = file::read(&dir.join("cgroup.procs")).unwrap_or_default();
            members.extend(file::pids(&text));
        }
        members
    }

    /// Kills everything in it.
    ///
    /// With [`Cage::kill_file`] that is one write, and who is dying may be a member for a moment more. Without, it freezes the cage, kills each member
    /// and thaws, until none is left: blocks, mostly for some milliseconds, for two seconds at most.
    ///
    /// # Errors
    /// The kernel refuses, or processes are left after all rounds: [`Cage::members`] names them.
    pub fn kill(&self) -> io::Result<()> {
        if let Some(file) = self.kill_file() {
            self.killed.store(true, Ordering::Relaxed);
            return file::write(&file, "1");
        }
        for _ in 0..ROUNDS {
            if self.members().is_empty() {
                return Ok(());
            }
            self.freeze();
            let held = self.kill_each();
            self.thaw();
            wait_for(&held);
        }
        match self.members().len() {
            0 => Ok(()),
            left => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{left} processes in {} did not end when they were killed", self.dir().display()),
            )),
        }
    }

    /// True where [`Cage::kill`] was one write: Linux (6.18 too) then kills whatever is born in it later, not what joins it.
    #[must_use]
    pub fn was_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Lets nothing in it run, or at least nothing new come: a fork bomb grows faster than it can be read.
    fn freeze(&self) {
        let (file, value, state, frozen) = match self.freezer() {
            Some((node, Version::V2)) => ("cgroup.freeze", "1", node.dir.join("cgroup.events"), "frozen 1"),
            Some((node, Version::V1)) => ("freezer.state", "FROZEN", node.dir.join("freezer.state"), "FROZEN"),
            None => {
                if let Some(node) = self.node_with(Controller::Pids) {
                    let _best_effort = file::write(&node.dir.join("pids.max"), "0");
                }
                return;
            }
        };
        let Some(dir) = state.parent() else { return };
        if file::write(&dir.join(file), value).is_err() {
            return;
        }
        for _ in 0..FREEZE_LOOKS {
            if file::read(&state).is_none_or(|text| text.lines().any(|line| line == frozen)) {
                return;
            }
            pause(1);
        }
    }

    fn thaw(&self) {
        let _gone = match self.freezer() {
            Some((node, Version::V2)) => file::write(&node.dir.join("cgroup.freeze"), "0"),
            Some((node, Version::V1)) => file::write(&node.dir.join("freezer.state"), "THAWED"),
            None => Ok(()),
        };
    }

    fn freezer(&self) -> Option<(&Node, Version)> {
        let tracker = self.tracker();
        match tracker.version {
            Version::V2 => Some((tracker, Version::V2)),
            Version::V1 => self.node_with(Controller::Freezer).map(|node| (node, Version::V1)),
        }
    }

    /// Sends SIGKILL to each member. Returns some of them, to wait for.
    fn kill_each(&self) -> Vec<rustix::fd::OwnedFd> {
        let mut held = Vec::new();
        for batch in self.members().chunks(BATCH) {
            let opened: Vec<_> = batch
                .iter()
                .filter_map(|number| {
                    let pid = Pid::from_raw(i32::try_from(*number).ok()?)?;
                    Some((*number, pidfd_open(pid, PidfdFlags::empty()).ok()?))
                })
                .collect();
            // Whose number is still listed now that its descriptor is held is the process that the descriptor holds.
            let still: HashSet<u32> = self.members().into_iter().collect();
            for (_, pidfd) in opened.iter().filter(|(number, _)| still.contains(number)) {
                // It has ended meanwhile, or is not ours to signal: then it is named as left.
                let _refused = pidfd_send_signal(pidfd, Signal::KILL);
            }
            held = opened.into_iter().map(|(_, pidfd)| pidfd).collect();
        }
        held
    }

    /// Removes its directories, those that its processes made within included. What still holds a process stays.
    pub fn remove(&self) {
        for node in &self.nodes {
            for dir in nested(&node.dir).into_iter().rev() {
                // ENOENT, EBUSY: it is gone, or somebody is in it.
                let _stays = fs::remove_dir(dir);
            }
            // The project's and our own, where nothing else is in them.
            for dir in node.dir.ancestors().skip(1).take(2) {
                if fs::remove_dir(dir).is_err() {
                    break;
                }
            }
        }
    }
}

/// The directory and those within it, each before those within. None where there is no such directory.
fn nested(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![(dir.to_owned(), 0)];
    let mut next = 0;
    while let Some((dir, depth)) = found.get(next).cloned() {
        next += 1;
        if depth >= DEEPEST {
            continue;
        }
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        // The type of a symbolic link is not that of a directory.
        let within = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        found.extend(within.map(|entry| (entry.path(), depth + 1)));
    }
    found.into_iter().map(|(dir, _)| dir).collect()
}

/// Waits until all of these have ended, for a while at most.
fn wait_for(pidfds: &[rustix::fd::OwnedFd]) {
    let mut open: Vec<_> = pidfds.iter().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)).collect();
    let mut left_ms = ROUND_MS;
    while !open.is_empty() && left_ms > 0 {
        let step = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        match poll(&mut open, Some(&step)) {
            Ok(_) | Err(Errno::INTR) => open.retain(|one| one.revents().is_empty()),
            Err(_) => return,
        }
        left_ms = left_ms.saturating_sub(5);
    }
    if pidfds.is_empty() {
        pause(1);
    }
}

/// Waits for nothing, so many milliseconds, on whatever thread asks.
fn pause(ms: i64) {
    // Interrupted by a signal: then it was shorter, and the caller looks again in any case.
    let _interrupted = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: ms * 1_000_000 }));
}
