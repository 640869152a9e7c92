//! Who belongs to a tree now. Never takes an earlier look for true: each question looks again.

use std::collections::HashSet;

use rustix::process::{self, Pid};

use super::{
    Forest, Identity, Reaper, Root, TREE_VARIABLE, TreeId,
    stat::{self, Stat},
};

/// Looks in a row at a tree that seems to consist of bodies only, but of new ones each time.
const MOST_LOOKS: u32 = 30;
/// Looks without a new body after which the tree is dead.
const CALM_LOOKS: u32 = 2;

/// What an orphan is to us.
pub(super) enum Kin {
    Of(TreeId),
    Foreign,
    /// It cannot be told: its environment is not there (any more, or yet).
    Unclear,
}

/// One look at a tree.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Those that are.
    pub(super) members: Vec<Stat>,
    /// Orphans that might belong to it.
    unclear: Vec<Stat>,
    /// Something was listed that was gone a moment later: it may have left a child.
    is_moving: bool,
}

impl Forest {
    /// Processes whose parent died: children of ours that are no main process.
    pub(super) fn orphans(&self) -> Vec<Stat> {
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
    pub(super) fn tree_of_orphan(&self, orphan: &Stat) -> Kin {
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
    pub(in crate::world) fn tree_of(&self, pid: u32) -> Option<TreeId> {
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

    pub(super) fn root_of(&self, id: TreeId) -> Option<Root> {
        self.table().trees.get(&id).map(|tree| tree.root.clone())
    }

    /// Every process of the tree, zombies too.
    pub(super) fn census(&self, id: TreeId) -> Census {
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
                Reaper::Shim(shim) => self.add_below(shim, &mut census),
                Reaper::Anybody => self.add_orphans(id, self.strangers(), &mut census),
            }
        }
        self.add_descendants(&mut census.members);
        if let Some(tree) = self.table().trees.get_mut(&id) {
            tree.known = census.members.iter().map(|member| (member.pid, member.start)).collect();
        }
        census
    }

    fn add_below(&self, (pid, start): Identity, census: &mut Census) {
        if Stat::read(pid).is_none_or(|shim| shim.start != start) {
            return;
        }
        let listed = self.children_of(pid);
        let found = listed.iter().copied().filter_map(Stat::read).filter(|child| child.parent == pid);
        let before = census.members.len();
        census.members.extend(found);
        census.is_moving = census.members.len() - before < listed.len();
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
    pub(in crate::world) fn living(&self, id: TreeId) -> Vec<Stat> {
        let mut bodies = HashSet::new();
        let mut looks_without_news = 0;
        let mut doubtful = Vec::new();
        for _ in 0..MOST_LOOKS {
            let Census { members, unclear, is_moving } = self.census(id);
            let saw_nothing = is_moving || members.is_empty() && !self.group_is_empty(id);
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
    pub(in crate::world) fn leftover(&self, id: TreeId) -> usize {
        let may_be_ours = |orphan: &Stat| match self.tree_of_orphan(orphan) {
            Kin::Of(tree) => tree == id,
            Kin::Unclear => true,
            Kin::Foreign => false,
        };
        let look = self.table().trees.get(&id).map(|tree| (tree.reaper, tree.cage.is_some()));
        let is_empty = match look {
            None => true,
            Some((_, true) | (Reaper::Anybody, _)) => false,
            Some((Reaper::Us, _)) => self.group_is_empty(id) && !self.orphans().iter().any(may_be_ours),
            Some((Reaper::Shim((shim, _)), _)) => self.children_of(shim).is_empty(),
        };
        if is_empty {
            return 0;
        }
        self.living(id).len()
    }
}
