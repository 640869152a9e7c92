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

/// Looks in a row at a tree that seems to consist of bodies only, but of new ones each time.
const MOST_LOOKS: u32 = 30;
/// Looks without a new body after which the tree is dead.
const CALM_LOOKS: u32 = 2;

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
        let tree = Tree { root: Root::Planted, mark, reaper, cage: None, known: HashSet::new() };
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

    /// Nothing of it is left, or nobody cares.
    pub(super) fn forget(&self, id: TreeId) {
        let mut table = self.table();
        if let Some(tree) = table.trees.remove(&id) {
            if let Some((pid, _)) = tree.root.identity() {
                table.leave(id, pid);
            }
            if table.marks.get(&tree.mark) == Some(&id) {
                table.marks.remove(&tree.mark);
            }
            table.shims.retain(|_, below| *below != id);
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
            candidates
                .into_iter()
                .filter(|pid| !table.standing.contains_key(pid) && !table.shims.contains_key(pid))
                .collect()
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
        let table = self.table();
        marks.split(':').find_map(|mark| table.marks.get(mark)).map_or(Kin::Foreign, |id| Kin::Of(*id))
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
            let below = self.table().shims.get(&process.parent).copied();
            if let Some(id) = below {
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
        let look = self.table().trees.get(&id).map(|tree| (tree.root.clone(), tree.reaper, tree.cage.clone()));
        let Some((root, reaper, cage)) = look else { return Census::default() };
        let mut census = Census::default();
        if let Some(cage) = cage {
            census.members.extend(cage.members().into_iter().filter_map(Stat::read));
        } else {
            if let Root::Standing((pid, start)) = root {
                census.members.extend(Stat::read(pid).filter(|stat| stat.start == start));
            }
            match reaper {
                Reaper::Us => self.add_orphans(id, self.orphans(), &mut census),
                Reaper::Shim(shim) => census.members.extend(self.below(shim)),
                Reaper::Anybody => self.add_orphans(id, self.strangers(), &mut census),
            }
        }
        self.add_descendants(&mut census.members);
        if let Some(tree) = self.table().trees.get_mut(&id) {
            tree.known = census.members.iter().map(|member| (member.pid, member.start)).collect();
        }
        census
    }

    /// Children of a shim.
    fn below(&self, (pid, start): Identity) -> Vec<Stat> {
        if Stat::read(pid).is_none_or(|shim| shim.start != start) {
            return Vec::new();
        }
        self.children_of(pid).into_iter().filter_map(Stat::read).filter(|child| child.parent == pid).collect()
    }

    /// Every process that is neither ours nor below one of our shims by its parent.
    fn strangers(&self) -> Vec<Stat> {
        let all: Vec<u32> = {
            let table = self.table();
            let is_known = |pid: &u32| *pid == self.me || table.shims.contains_key(pid);
            stat::all_pids().into_iter().filter(|pid| !is_known(pid)).collect()
        };
        let found: Vec<_> = all.into_iter().filter_map(Stat::read).collect();
        let table = self.table();
        found.into_iter().filter(|process| !table.shims.contains_key(&process.parent)).collect()
    }

    fn children_of(&self, pid: u32) -> Vec<u32> {
        if self.lists_children { stat::children_of(pid) } else { stat::children_by_search(pid) }
    }

    fn add_orphans(&self, id: TreeId, candidates: Vec<Stat>, census: &mut Census) {
        for orphan in candidates {
            match self.tree_of_orphan(&orphan) {
                Kin::Of(tree) if tree == id => census.members.push(orphan),
                Kin::Of(_) | Kin::Foreign => {}
                Kin::Unclear if orphan.parent == self.me => census.unclear.push(orphan),
                Kin::Unclear => {}
            }
        }
    }

    fn add_descendants(&self, found: &mut Vec<Stat>) {
        let mut seen = HashSet::new();
        found.retain(|member| seen.insert(member.pid));
        let mut next = 0;
        while let Some(member) = found.get(next).copied() {
            next += 1;
            let children = self.children_of(member.pid);
            found.extend(children.into_iter().filter(|child| seen.insert(*child)).filter_map(Stat::read));
        }
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
            // A shim takes bodies away as fast as they come: there a look that finds nothing may have come between two of them.
            let leaves_bodies = !self.is_below_shim(id);
            if looks_without_news >= CALM_LOOKS || looks_without_news > 0 && bodies.is_empty() && leaves_bodies {
                break;
            }
            std::thread::yield_now();
        }
        doubtful
    }

    fn is_below_shim(&self, id: TreeId) -> bool {
        self.table().trees.get(&id).is_some_and(|tree| matches!(tree.reaper, Reaper::Shim(_)))
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
        let is_ours = self.table().trees.get(&id).is_some_and(|tree| tree.reaper == Reaper::Us);
        if is_ours && self.group_is_empty(id) && !self.orphans().iter().any(may_be_ours) {
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
