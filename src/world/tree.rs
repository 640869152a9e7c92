//! Which processes belong to a run or a probe, and signals that reach all of them and nobody else.
//!
//! A tree is what descends from its main process. Descent breaks when a process between dies. The orphans of a run then become
//! children of its shim, and everything below that is the run's. Those of a probe become ours, for cas is a child subreaper as
//! well, and are known again by their session, their group, or the mark in the environment that they inherited; so are those
//! of a run whose shim was replaced, which may have gone to anybody. What cleared its environment, opened a session and lost its
//! parent and its shim before anybody looked is not found: only a cgroup could hold that, and where there is one, it alone is asked.
//!
//! Never signals a number: a process is signalled by pidfd after its start time was found unchanged, a group only right
//! after one of its members was.

mod census;
mod end;
pub(super) mod reap;
pub(super) mod stat;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use rustix::process::{self, Pid};

use self::stat::Stat;
use super::slot::Cage;
use crate::model::{signal::Signal, time::Timestamp};

/// The variable that marks every process of a tree; its value is a list, for a `cas` may run under another.
pub(super) const TREE_VARIABLE: &str = "CAS_TREE";

/// One tree; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TreeId(u64);

/// A process by number and start time.
pub(super) type Identity = (u32, u64);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Root {
    /// No process yet.
    Planted,
    /// Its main process is there, or a zombie that nobody asked yet: the number cannot be given to another.
    Standing(Identity),
    /// Its main process was waited for.
    Fallen(Identity),
}

impl Root {
    fn identity(&self) -> Option<Identity> {
        match self {
            Self::Planted => None,
            Self::Standing(identity) | Self::Fallen(identity) => Some(*identity),
        }
    }
}

/// To whom orphans of a tree come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaper {
    /// To us.
    Us,
    /// To its shim, which is no member itself.
    Shim(Identity),
    /// To anybody: an earlier shim died.
    Anybody,
}

#[derive(Debug)]
struct Tree {
    root: Root,
    mark: String,
    reaper: Reaper,
    cage: Option<Arc<Cage>>,
    /// Its members when it was last walked.
    known: HashSet<Identity>,
    /// True once it is forgotten: the next run of its service has the same cgroup's path, and must not be hit.
    is_over: Arc<Mutex<bool>>,
}

#[derive(Debug, Default)]
struct Table {
    planted: u64,
    trees: HashMap<TreeId, Tree>,
    /// Whose each mark is.
    marks: HashMap<String, TreeId>,
    /// The main processes that were not waited for.
    standing: HashMap<u32, TreeId>,
    /// Our shims, and the tree below each.
    shims: HashMap<u32, TreeId>,
    /// Members of trees that are forgotten: their zombies are ours to reap.
    buried: HashSet<Identity>,
    /// Zombies that nobody claims, and since when.
    unclaimed: HashMap<Identity, Timestamp>,
}

impl Table {
    fn plant(&mut self, mark: String, reaper: Reaper) -> TreeId {
        self.planted += 1;
        let id = TreeId(self.planted);
        self.marks.insert(mark.clone(), id);
        let tree =
            Tree { root: Root::Planted, mark, reaper, cage: None, known: HashSet::new(), is_over: Arc::default() };
        self.trees.insert(id, tree);
        id
    }

    /// The number is free again; another tree may have it already.
    fn leave(&mut self, id: TreeId, pid: u32) {
        if self.standing.get(&pid) == Some(&id) {
            self.standing.remove(&pid);
        }
    }
}

/// All trees of one world.
#[derive(Debug)]
pub(super) struct Forest {
    /// Tells the marks of this world from those of another cas.
    mark: String,
    /// The mark under which this cas itself runs.
    outer: Option<String>,
    me: u32,
    is_subreaper: bool,
    lists_children: bool,
    table: Mutex<Table>,
    /// Read while a process is made and not yet entered here; written while zombies are reaped.
    launching: RwLock<()>,
}

impl Forest {
    /// Makes this process the one that orphans come to.
    pub(super) fn new() -> Self {
        Self {
            mark: format!("{:016x}", fastrand::u64(..)),
            outer: std::env::var(TREE_VARIABLE).ok(),
            me: std::process::id(),
            is_subreaper: become_subreaper(),
            lists_children: stat::kernel_lists_children(),
            table: Mutex::default(),
            launching: RwLock::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for a probe's tree; nothing of it runs yet.
    pub(super) fn plant(&self) -> TreeId {
        let mut table = self.table();
        let mark = format!("{}.{}", self.mark, table.planted + 1);
        table.plant(mark, Reaper::Us)
    }

    /// Makes room for the tree of a run. `mark` is the same for every engine that looks after that run, and no other run's.
    pub(super) fn plant_run(&self, mark: String) -> TreeId {
        self.table().plant(mark, Reaper::Anybody)
    }

    /// The value of [`TREE_VARIABLE`] for the tree's processes.
    pub(super) fn mark_of(&self, id: TreeId) -> String {
        let own = self.table().trees.get(&id).map(|tree| tree.mark.clone()).unwrap_or_default();
        self.outer.as_ref().map_or_else(|| own.clone(), |outer| format!("{outer}:{own}"))
    }

    /// The tree's main process is there, made by `shim`, or only looked after by it since another shim died.
    pub(super) fn stand(&self, id: TreeId, main: Identity, shim: Identity) {
        let is_its_child = Stat::read(main.0).is_none_or(|stat| stat.start != main.1 || stat.parent == shim.0);
        let mut table = self.table();
        if let Some(tree) = table.trees.get_mut(&id) {
            tree.root = Root::Standing(main);
            tree.reaper = if is_its_child { Reaper::Shim(shim) } else { Reaper::Anybody };
            table.standing.insert(main.0, id);
            table.shims.insert(shim.0, id);
        }
    }

    /// The main process was gone before we came; `shim`: the one below which the run was all the time.
    pub(super) fn leave_behind(&self, id: TreeId, main: Identity, shim: Option<Identity>) {
        let mut table = self.table();
        if let Some(tree) = table.trees.get_mut(&id) {
            tree.root = Root::Fallen(main);
            tree.reaper = shim.map_or(Reaper::Anybody, Reaper::Shim);
            if let Some((shim, _)) = shim {
                table.shims.insert(shim, id);
            }
        }
    }

    /// The shim below which it was is gone: what descends from the run may be anybody's child.
    pub(super) fn scatter(&self, id: TreeId) {
        let mut table = self.table();
        table.shims.retain(|_, tree| *tree != id);
        if let Some(tree) = table.trees.get_mut(&id) {
            tree.reaper = Reaper::Anybody;
        }
    }

    /// True where only a look at every process tells what belongs to it.
    pub(super) fn is_scattered(&self, id: TreeId) -> bool {
        self.table().trees.get(&id).is_some_and(|tree| tree.reaper == Reaper::Anybody)
    }

    /// Everything that it has is in this cgroup.
    pub(super) fn confine(&self, id: TreeId, cage: Arc<Cage>) {
        if let Some(tree) = self.table().trees.get_mut(&id) {
            tree.cage = Some(cage);
        }
    }

    /// Its cgroup.
    pub(super) fn cage(&self, id: TreeId) -> Option<Arc<Cage>> {
        self.table().trees.get(&id)?.cage.clone()
    }

    /// Makes the tree's main process with `spawn`, which returns its number beside what the caller wants of it.
    pub(super) fn root<T, E>(&self, id: TreeId, spawn: impl FnOnce() -> Result<(u32, T), E>) -> Result<(u32, T), E> {
        let _no_reaping = self.launching.read().unwrap_or_else(PoisonError::into_inner);
        let (pid, made) = spawn()?;
        let start = Stat::read(pid).map_or(0, |stat| stat.start);
        let mut table = self.table();
        if let Some(tree) = table.trees.get_mut(&id) {
            tree.root = Root::Standing((pid, start));
            table.standing.insert(pid, id);
        }
        Ok((pid, made))
    }

    /// The main process was waited for: its number may be another's from now on.
    pub(super) fn fell(&self, id: TreeId) {
        let mut table = self.table();
        if let Some(tree) = table.trees.get_mut(&id)
            && let Some(identity) = tree.root.identity()
        {
            tree.root = Root::Fallen(identity);
            table.leave(id, identity.0);
        }
    }

    /// Nothing of it is left, or nobody cares. When this returns no signal to it is under way: for that it waits, mostly for microseconds.
    pub(super) fn forget(&self, id: TreeId) {
        let is_over = self.bury(id);
        if let Some(is_over) = is_over {
            *is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
    }

    fn bury(&self, id: TreeId) -> Option<Arc<Mutex<bool>>> {
        let mut table = self.table();
        let is_over = table.trees.get(&id).map(|tree| Arc::clone(&tree.is_over));
        if let Some(tree) = table.trees.remove(&id) {
            if let Some((pid, _)) = tree.root.identity() {
                table.leave(id, pid);
            }
            if table.marks.get(&tree.mark) == Some(&id) {
                table.marks.remove(&tree.mark);
            }
            table.shims.retain(|_, below| *below != id);
            // Below a shim they are its to reap, and nobody would ever take them out again here.
            if !matches!(tree.reaper, Reaper::Shim(_)) {
                table.buried.extend(tree.known);
            }
        }
        is_over
    }

    /// Delivers `signal` to the main process only; nothing where it is gone.
    pub(super) fn signal_main(&self, id: TreeId, signal: Signal) {
        if let Some(Root::Standing((pid, start))) = self.root_of(id)
            && let Some(main) = Stat::read(pid).filter(|stat| stat.start == start)
        {
            deliver(&main, signal);
        }
    }

    /// Delivers `signals`, one after the other, to every process of the tree.
    pub(super) fn signal(&self, id: TreeId, signals: &[Signal]) {
        let members = self.census(id).members;
        let group = self.root_of(id).and_then(|root| root.identity()).map_or(0, |(pid, _)| pid);
        for signal in signals {
            // The group first, and at once: a process that forks while we walk cannot outrun that.
            if members.iter().any(|member| member.group == group && member.still_holds()) {
                deliver_to_group(group, *signal);
            }
            for member in members.iter().filter(|member| member.group != group && member.is_living()) {
                deliver(member, *signal);
            }
        }
    }
}

fn os_signal(signal: Signal) -> Option<process::Signal> {
    process::Signal::from_named_raw(signal.number())
}

/// To one process, and to no other that has its number now.
fn deliver(to: &Stat, signal: Signal) {
    let (Some(pid), Some(signal)) = (Pid::from_raw(to.pid.cast_signed()), os_signal(signal)) else { return };
    match open_pidfd(pid) {
        Ok(pidfd) => {
            if to.still_holds() {
                // It ended in between: what was wanted.
                let _gone = process::pidfd_send_signal(&pidfd, signal);
            }
        }
        // Before Linux 5.3: the check and the signal are as near as they can be.
        Err(rustix::io::Errno::NOSYS) if to.still_holds() => {
            let _gone = process::kill_process(pid, signal);
        }
        Err(_gone) => {}
    }
}

fn open_pidfd(pid: Pid) -> rustix::io::Result<std::os::fd::OwnedFd> {
    process::pidfd_open(pid, process::PidfdFlags::empty())
}

fn deliver_to_group(group: u32, signal: Signal) {
    if let (Some(group), Some(signal)) = (Pid::from_raw(group.cast_signed()), os_signal(signal)) {
        // The last member ended in between: what was wanted.
        let _gone = process::kill_process_group(group, signal);
    }
}

/// True where orphaned descendants come to us from now on.
fn become_subreaper() -> bool {
    process::set_child_subreaper(Some(process::getpid())).is_ok()
}
