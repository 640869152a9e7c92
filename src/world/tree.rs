//! Which processes belong to a run or a probe, and signals that reach all of them and nobody else.
//!
//! A tree is what descends from its main process. Descent breaks when a process between dies; its children then become
//! ours, for cas is a child subreaper, and are known again by their session, their group, or the mark in the environment
//! that they inherited. What cleared its environment, opened a session and lost its parent before anybody looked is not
//! found: only a cgroup could hold that.
//!
//! Never signals a number: a process is signalled by pidfd after its start time was found unchanged, a group only right
//! after one of its members was.

mod end;
pub(super) mod reap;
pub(super) mod stat;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use rustix::process::{self, Pid};

use self::stat::Stat;
use crate::model::{signal::Signal, time::Timestamp};

/// The variable that marks every process of a tree; its value is a list, for a `cas` may run under another.
pub(super) const TREE_VARIABLE: &str = "CAS_TREE";

/// Looks in a row at a tree that seems to consist of bodies only, but of new ones each time.
const MOST_LOOKS: u32 = 30;
/// Looks without a new body after which the tree is dead.
const CALM_LOOKS: u32 = 2;

/// One tree; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TreeId(u64);

/// A process by number and start time.
type Identity = (u32, u64);

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

/// What an orphan is to us.
enum Kin {
    Of(TreeId),
    Foreign,
    /// It cannot be told: its environment is not there (any more, or yet).
    Unclear,
}

/// One look at a tree.
#[derive(Debug, Default)]
struct Census {
    members: Vec<Stat>,
    /// Orphans that might belong to it.
    unclear: Vec<Stat>,
}

#[derive(Debug)]
struct Tree {
    root: Root,
    /// Its members when it was last walked.
    known: HashSet<Identity>,
}

#[derive(Debug, Default)]
struct Table {
    planted: u64,
    trees: HashMap<TreeId, Tree>,
    /// The main processes that were not waited for.
    standing: HashMap<u32, TreeId>,
    /// Members of trees that are forgotten: their zombies are ours to reap.
    buried: HashSet<Identity>,
    /// Zombies that nobody claims, and since when.
    unclaimed: HashMap<Identity, Timestamp>,
}

impl Table {
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

    /// Makes room for a tree; nothing of it runs yet.
    pub(super) fn plant(&self) -> TreeId {
        let mut table = self.table();
        table.planted += 1;
        let id = TreeId(table.planted);
        table.trees.insert(id, Tree { root: Root::Planted, known: HashSet::new() });
        id
    }

    /// The value of [`TREE_VARIABLE`] for the tree's processes.
    pub(super) fn mark_of(&self, id: TreeId) -> String {
        let own = format!("{}.{}", self.mark, id.0);
        self.outer.as_ref().map_or_else(|| own.clone(), |outer| format!("{outer}:{own}"))
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

    /// Nothing of it is left, or nobody cares.
    pub(super) fn forget(&self, id: TreeId) {
        let mut table = self.table();
        if let Some(tree) = table.trees.remove(&id) {
            if let Some((pid, _)) = tree.root.identity() {
                table.leave(id, pid);
            }
            table.buried.extend(tree.known);
        }
    }

    /// Processes whose parent died: children of ours that are no main process.
    fn orphans(&self) -> Vec<Stat> {
        let candidates = if !self.is_subreaper {
            stat::children_by_search(1)
        } else if self.lists_children {
            // The kernel gives orphans to the first thread of the reaper.
            stat::children_of_thread(self.me, self.me)
        } else {
            stat::children_by_search(self.me)
        };
        let orphans: Vec<u32> = {
            let table = self.table();
            candidates.into_iter().filter(|pid| !table.standing.contains_key(pid)).collect()
        };
        orphans.into_iter().filter_map(Stat::read).collect()
    }

    /// The tree that an orphan belongs to.
    fn tree_of_orphan(&self, orphan: &Stat) -> Kin {
        {
            let table = self.table();
            if let Some((id, _)) = table.trees.iter().find(|(_, tree)| tree.known.contains(&(orphan.pid, orphan.start)))
            {
                return Kin::Of(*id);
            }
            // The number of a leader is not given away while its session or group has members.
            let by_leader = table.trees.iter().filter_map(|(id, tree)| {
                let (pid, start) = tree.root.identity()?;
                ((pid == orphan.session || pid == orphan.group) && start <= orphan.start).then_some((start, *id))
            });
            if let Some((_, id)) = by_leader.max_by_key(|(start, _)| *start) {
                return Kin::Of(id);
            }
        }
        let environment = match stat::environment(orphan.pid) {
            Ok(environment) if !environment.is_empty() => environment,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Kin::Foreign,
            // Dead, or in the middle of an exec, or it was given none: then it still has a command line.
            Ok(_) | Err(_) => {
                let was_given_none = orphan.is_living()
                    && stat::command_line(orphan.pid).is_some_and(|line| !line.starts_with('['))
                    && stat::environment(orphan.pid).is_ok_and(|environment| environment.is_empty());
                return if was_given_none { Kin::Foreign } else { Kin::Unclear };
            }
        };
        let marks = stat::value_in(&environment, TREE_VARIABLE).unwrap_or_default();
        let own = marks.split(':').find_map(|mark| mark.strip_prefix(self.mark.as_str())?.strip_prefix('.'));
        let id = own.and_then(|number| number.parse().ok()).map(TreeId);
        id.filter(|id| self.table().trees.contains_key(id)).map_or(Kin::Foreign, Kin::Of)
    }

    /// The tree that any process belongs to.
    pub(super) fn tree_of(&self, pid: u32) -> Option<TreeId> {
        let mut process = Stat::read(pid)?;
        for _ in 0..256 {
            let identity = (process.pid, process.start);
            let standing = self.table().standing.get(&process.pid).copied();
            if let Some(id) = standing
                && self.root_of(id) == Some(Root::Standing(identity))
            {
                return Some(id);
            }
            if process.parent == self.me || process.parent <= 1 {
                return match self.tree_of_orphan(&process) {
                    Kin::Of(id) => Some(id),
                    Kin::Foreign | Kin::Unclear => None,
                };
            }
            process = Stat::read(process.parent)?;
        }
        None
    }

    fn root_of(&self, id: TreeId) -> Option<Root> {
        self.table().trees.get(&id).map(|tree| tree.root.clone())
    }

    /// Every process of the tree, zombies too.
    fn census(&self, id: TreeId) -> Census {
        let Some(root) = self.root_of(id) else { return Census::default() };
        let mut census = Census::default();
        if let Root::Standing((pid, start)) = root {
            census.members.extend(Stat::read(pid).filter(|stat| stat.start == start));
        }
        for orphan in self.orphans() {
            match self.tree_of_orphan(&orphan) {
                Kin::Of(tree) if tree == id => census.members.push(orphan),
                Kin::Of(_) | Kin::Foreign => {}
                Kin::Unclear => census.unclear.push(orphan),
            }
        }
        let found = &mut census.members;
        let mut seen: HashSet<u32> = found.iter().map(|member| member.pid).collect();
        let mut next = 0;
        while let Some(member) = found.get(next).copied() {
            next += 1;
            let children =
                if self.lists_children { stat::children_of(member.pid) } else { stat::children_by_search(member.pid) };
            found.extend(children.into_iter().filter(|child| seen.insert(*child)).filter_map(Stat::read));
        }
        if let Some(tree) = self.table().trees.get_mut(&id) {
            tree.known = found.iter().map(|member| (member.pid, member.start)).collect();
        }
        census
    }

    /// Every process of the tree that still runs; where there is none, those of which it cannot be told.
    ///
    /// Looks again while it finds only bodies that it has not seen before: something may make a child and die, over and
    /// over, faster than one look.
    pub(super) fn living(&self, id: TreeId) -> Vec<Stat> {
        let mut bodies = HashSet::new();
        let mut looks_without_news = 0;
        let mut doubtful = Vec::new();
        for _ in 0..MOST_LOOKS {
            let Census { members, unclear } = self.census(id);
            let saw_nothing = members.is_empty() && !self.group_is_empty(id);
            let (living, dead): (Vec<_>, Vec<_>) = members.into_iter().partition(Stat::is_living);
            if !living.is_empty() {
                return living;
            }
            let seen = dead.iter().chain(&unclear).map(|body| (body.pid, body.start));
            let is_news = seen.filter(|body| bodies.insert(*body)).count() > 0 || saw_nothing;
            doubtful = unclear;
            doubtful.retain(Stat::is_living);
            looks_without_news = if is_news || !doubtful.is_empty() { 0 } else { looks_without_news + 1 };
            if looks_without_news >= CALM_LOOKS || looks_without_news > 0 && bodies.is_empty() {
                break;
            }
            std::thread::yield_now();
        }
        doubtful
    }

    /// True where the group of the tree's main process has no member, not even a zombie.
    fn group_is_empty(&self, id: TreeId) -> bool {
        let leader = self.root_of(id).and_then(|root| root.identity());
        leader
            .and_then(|(pid, _)| Pid::from_raw(pid.cast_signed()))
            .is_none_or(|group| process::test_kill_process_group(group) == Err(rustix::io::Errno::SRCH))
    }

    /// How many processes still run after the main one was waited for. Cheap where none does: a system call and one small
    /// file.
    pub(super) fn leftover(&self, id: TreeId) -> usize {
        let may_be_ours = |orphan: &Stat| match self.tree_of_orphan(orphan) {
            Kin::Of(tree) => tree == id,
            Kin::Unclear => true,
            Kin::Foreign => false,
        };
        if self.group_is_empty(id) && !self.orphans().iter().any(may_be_ours) {
            return 0;
        }
        self.living(id).len()
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
