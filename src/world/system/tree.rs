//! Process trees read from `/proc`, as little of it as will do.
//!
//! Measured with 1,000 processes of `sleep`, per look: open + read + close of every `stat` 11.4 ms; `stat` through descriptors that stay
//! open 5.8 ms; `schedstat` through open descriptors 2.1 ms; a listing of `/proc` 1.3 ms. Hence:
//! - a process of one thread whose `schedstat` has not moved did not run: all that was read before still holds;
//! - `/proc` is listed only when the kernel has given out a pid since the last look (last field of `/proc/loadavg`);
//! - a process that belongs to no run is read once, not once a second: pid and inode together say that it is still the same.
//!
//! An open descriptor also is an identity: it never shows another process that was given the same pid.
//!
//! A member of a run is its main process, what is in a session named after it, and every descendant; once a member, always one, also
//! when its parent is gone. Never: guesses a process of which it saw neither (daemonised within one look).
//! Memory is the sum of resident sets, so pages shared within a tree count once per process.

use std::{
    collections::HashMap,
    fmt,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Dir, Mode, OFlags, open},
    process::{Resource, getrlimit},
};

use super::{
    Look, Usages,
    stat::{Pulse, STAT_BYTES, Stat, number},
};
use crate::model::{ids::RunId, metric::RunUsage};

/// Looks without a tick after which a process counts as quiet.
const CALM_LOOKS: u8 = 3;
/// A quiet process is read again every so many looks all the same: its memory may have been reclaimed.
const REFRESH_LOOKS: u64 = 32;
/// `/proc` is listed every so many looks also when no new pid was given out.
const LISTING_LOOKS: u64 = 10;
/// One part in so many of the permitted descriptors is kept open; processes beyond are opened anew in each look.
const DESCRIPTOR_SHARE: u64 = 4;

/// How a process is looked at.
#[derive(Debug)]
enum Eye {
    /// Opened anew each time.
    Shut,
    /// Its `schedstat` is open: read first, and mostly alone.
    Pulse(OwnedFd, Pulse),
    /// Its `stat` is open.
    Open(OwnedFd),
}

#[derive(Debug)]
struct Member {
    run: RunId,
    stat: Stat,
    eye: Eye,
    calm: u8,
}

#[derive(Debug)]
struct Root {
    pid: u32,
    asked: u64,
    sum: Sum,
}

/// Ticks and the rest of one run, in one look.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    own_ticks: u64,
    all_ticks: u64,
    gone_ticks: u64,
    pages: u64,
    processes: u32,
    threads: u32,
}

impl Sum {
    const fn add_time(&mut self, own: u64, all: u64) {
        self.own_ticks = self.own_ticks.saturating_add(own);
        self.all_ticks = self.all_ticks.saturating_add(all);
    }

    fn add_size(&mut self, stat: &Stat) {
        if !stat.is_dead() {
            self.pages = self.pages.saturating_add(stat.rss_pages);
            self.processes += 1;
            self.threads = self.threads.saturating_add(stat.threads);
        }
    }

    /// Ticks that the tree ran. What a child ran is seen again in its parent's `cutime` once it was waited for, so what was counted
    /// while the child lived is taken off; a child that nobody of the tree waited for must not make it negative.
    const fn ticks(&self) -> u64 {
        let with_children = self.all_ticks.saturating_sub(self.gone_ticks);
        if with_children > self.own_ticks { with_children } else { self.own_ticks }
    }
}

/// What one look at a member found.
enum Found {
    /// Nothing changed.
    Same,
    /// A new reading.
    New(Stat),
    /// It is gone.
    Gone,
}

/// The trees of all runs.
pub struct ProcTrees {
    roots: HashMap<RunId, Root>,
    runs_by_pid: HashMap<u32, RunId>,
    members: HashMap<u32, Member>,
    /// Processes of no run: pid, inode of `/proc/PID`, the listing in which they were last seen.
    strangers: HashMap<u32, (u64, u64)>,
    listing: Option<Dir>,
    last_pid: u64,
    looks: u64,
    open_eyes: u64,
    buffer: Box<[u8; STAT_BYTES]>,
    page_bytes: u64,
    ticks_per_second: u64,
}

impl fmt::Debug for ProcTrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcTrees")
            .field("runs", &self.roots.len())
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}

impl Default for ProcTrees {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcTrees {
    /// Nothing watched yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            roots: HashMap::new(),
            runs_by_pid: HashMap::new(),
            members: HashMap::new(),
            strangers: HashMap::new(),
            listing: None,
            last_pid: 0,
            looks: 0,
            open_eyes: 0,
            buffer: Box::new([0; STAT_BYTES]),
            page_bytes: rustix::param::page_size() as u64,
            ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
        }
    }

    /// One look at all of `runs`, in their order.
    pub(super) fn usage(&mut self, look: &Look, runs: &[(RunId, u32)]) -> Usages {
        self.looks += 1;
        let fresh = self.follow(runs);
        self.read_members();
        self.take_on(look, &fresh);
        if !self.roots.is_empty() && (self.something_was_born() || !fresh.is_empty()) {
            self.discover(look);
        }
        runs.iter()
            .filter_map(|(run, _)| {
                let sum = &self.roots.get(run)?.sum;
                (sum.processes > 0).then(|| (*run, self.usage_of(sum, look)))
            })
            .collect()
    }

    /// Whether the main process was stopped when it was read last. Whoever is stopped or continued runs for it, so it is read then.
    pub(super) fn is_stopped(&self, run: RunId) -> bool {
        let main = self.roots.get(&run).and_then(|root| self.members.get(&root.pid));
        main.is_some_and(|main| main.run == run && main.stat.is_stopped())
    }

    fn usage_of(&self, sum: &Sum, look: &Look) -> RunUsage {
        let cores = look.per_second(sum.ticks()) / self.ticks_per_second as f64;
        RunUsage {
            cpu_percent: (cores * 100.0) as f32,
            memory_bytes: sum.pages.saturating_mul(self.page_bytes),
            processes: sum.processes,
            threads: sum.threads,
        }
    }

    /// Lets go of runs that are no longer asked for. Returns those that are new.
    fn follow(&mut self, runs: &[(RunId, u32)]) -> Vec<(RunId, u32)> {
        let mut fresh = Vec::new();
        for (run, pid) in runs {
            if let Some(root) = self.roots.get_mut(run) {
                root.asked = self.looks;
                root.sum = Sum::default();
            } else {
                self.roots.insert(*run, Root { pid: *pid, asked: self.looks, sum: Sum::default() });
                fresh.push((*run, *pid));
            }
        }
        let looks = self.looks;
        let before = self.roots.len();
        self.roots.retain(|_, root| root.asked == looks);
        let left = self.roots.len() != before;
        if left {
            self.members.retain(|_, member| self.roots.contains_key(&member.run));
        }
        if left || !fresh.is_empty() {
            self.runs_by_pid = self.roots.iter().map(|(run, root)| (root.pid, *run)).collect();
            // Who was a stranger while its run was not known must be asked again.
            self.strangers.clear();
        }
        fresh
    }

    /// Takes on the main processes of new runs.
    fn take_on(&mut self, look: &Look, fresh: &[(RunId, u32)]) {
        for (run, pid) in fresh {
            self.members.remove(pid);
            // A leader of neither a session nor a group was not started by cas: it only has the pid of a main process that is gone.
            if let Some(stat) = Stat::read(&file_of(*pid, "stat"))
                && (stat.session == *pid || stat.pgrp == *pid)
            {
                self.join(look, *run, *pid, stat);
            }
        }
    }

    /// A process becomes a member, after this look's reading of members.
    fn join(&mut self, look: &Look, run: RunId, pid: u32, stat: Stat) {
        let young = self.is_younger_than_last_look(look, &stat);
        let Some(root) = self.roots.get_mut(&run) else { return };
        if young {
            root.sum.add_time(stat.own_ticks, stat.all_ticks());
        }
        root.sum.add_size(&stat);
        self.members.insert(pid, Member { run, stat, eye: Eye::Shut, calm: 0 });
    }

    /// All that it ever ran, it ran since the last look (give or take one tick).
    fn is_younger_than_last_look(&self, look: &Look, stat: &Stat) -> bool {
        let tick_us = 1_000_000 / self.ticks_per_second;
        let started_us = stat.start_ticks.saturating_mul(tick_us);
        look.last.is_some_and(|last| started_us.saturating_add(tick_us) >= last.mono_us)
    }

    /// Reads every member that was one before this look.
    fn read_members(&mut self) {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / DESCRIPTOR_SHARE;
        let mut eyes = self.open_eyes;
        let mut left_open = 0;
        let Self { members, roots, buffer, looks, .. } = self;
        members.retain(|pid, member| {
            let Some(root) = roots.get_mut(&member.run) else { return false };
            match look_at(*pid, member, *looks, buffer) {
                Found::Gone => {
                    root.sum.gone_ticks = root.sum.gone_ticks.saturating_add(member.stat.all_ticks());
                    return false;
                }
                Found::Same => root.sum.add_size(&member.stat),
                Found::New(stat) => {
                    let own = stat.own_ticks.saturating_sub(member.stat.own_ticks);
                    root.sum.add_time(own, stat.all_ticks().saturating_sub(member.stat.all_ticks()));
                    root.sum.add_size(&stat);
                    let ran = stat.all_ticks() != member.stat.all_ticks();
                    member.calm = if ran { 0 } else { member.calm.saturating_add(1) };
                    member.stat = stat;
                    eyes += choose_eye(*pid, member, eyes < limit, buffer);
                }
            }
            left_open += u64::from(!matches!(member.eye, Eye::Shut));
            true
        });
        self.open_eyes = left_open;
    }

    /// The kernel has given out a pid since the last look, or it cannot be told.
    fn something_was_born(&mut self) -> bool {
        let last_pid = std::fs::read("/proc/loadavg")
            .ok()
            .and_then(|line| number(line.trim_ascii().rsplit(|byte| *byte == b' ').next()?))
            .unwrap_or(0);
        let same = last_pid != 0 && last_pid == self.last_pid;
        self.last_pid = last_pid;
        !same || self.looks.is_multiple_of(LISTING_LOOKS)
    }

    /// Lists `/proc` and takes in what belongs to a run.
    fn discover(&mut self, look: &Look) {
        let mut unknown = Vec::new();
        let looks = self.looks;
        let Some(listing) = self.listing() else { return };
        listing.rewind();
        let mut listed = Vec::new();
        while let Some(Ok(entry)) = listing.read() {
            if let Some(pid) = number(entry.file_name().to_bytes()).and_then(|pid| u32::try_from(pid).ok()) {
                listed.push((pid, entry.ino()));
            }
        }
        for (pid, inode) in listed {
            if self.members.contains_key(&pid) {
                continue;
            }
            match self.strangers.get_mut(&pid) {
                Some((known, seen)) if *known == inode => *seen = looks,
                Some(_) | None => {
                    if let Some(stat) = Stat::read(&file_of(pid, "stat")) {
                        unknown.push((pid, inode, stat));
                    }
                }
            }
        }
        self.strangers.retain(|_, (_, seen)| *seen == looks);
        self.sort_out(look, unknown);
    }

    /// Makes members of those whose session or parent says so, until none is left of whom it can be said.
    fn sort_out(&mut self, look: &Look, mut unknown: Vec<(u32, u64, Stat)>) {
        loop {
            let before = unknown.len();
            let mut rest = Vec::new();
            for (pid, inode, stat) in unknown {
                let run = self
                    .runs_by_pid
                    .get(&stat.session)
                    .copied()
                    .or_else(|| self.members.get(&stat.ppid).map(|parent| parent.run));
                // A root is only taken on by `follow`: here its pid belongs to somebody else.
                match run.filter(|_| !self.runs_by_pid.contains_key(&pid)) {
                    Some(run) => self.join(look, run, pid, stat),
                    None => rest.push((pid, inode, stat)),
                }
            }
            unknown = rest;
            if unknown.len() == before {
                break;
            }
        }
        let looks = self.looks;
        self.strangers.extend(unknown.into_iter().map(|(pid, inode, _)| (pid, (inode, looks))));
    }

    fn listing(&mut self) -> Option<&mut Dir> {
        if self.listing.is_none() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.listing = open(Path::new("/proc"), flags, Mode::empty()).and_then(Dir::new).ok();
        }
        self.listing.as_mut()
    }
}

fn file_of(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

fn open_file(pid: u32, name: &str) -> Option<OwnedFd> {
    open(file_of(pid, name), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Reads as little of a member as tells how it is.
fn look_at(pid: u32, member: &mut Member, looks: u64, buffer: &mut [u8; STAT_BYTES]) -> Found {
    let anew = |start_ticks: u64| match Stat::read(&file_of(pid, "stat")) {
        Some(stat) if stat.start_ticks == start_ticks => Found::New(stat),
        Some(_) | None => Found::Gone,
    };
    match &mut member.eye {
        Eye::Shut => anew(member.stat.start_ticks),
        Eye::Open(file) => Stat::read_at(file, buffer).map_or(Found::Gone, Found::New),
        Eye::Pulse(file, last) => match Pulse::read_at(file, buffer) {
            None => Found::Gone,
            Some(pulse) if pulse == *last && !(u64::from(pid) + looks).is_multiple_of(REFRESH_LOOKS) => Found::Same,
            Some(pulse) => {
                *last = pulse;
                anew(member.stat.start_ticks)
            }
        },
    }
}

/// Decides how a member is looked at next time. Returns how many descriptors more it holds.
fn choose_eye(pid: u32, member: &mut Member, may_open: bool, buffer: &mut [u8; STAT_BYTES]) -> u64 {
    let quiet = member.stat.threads == 1 && member.calm >= CALM_LOOKS;
    match &member.eye {
        Eye::Shut if may_open => {
            let Some(file) = open_file(pid, "stat") else { return 0 };
            // Between the reading and this the pid may have gone to another: then it is not looked at through this descriptor.
            if Stat::read_at(&file, buffer).is_none_or(|stat| stat.start_ticks != member.stat.start_ticks) {
                return 0;
            }
            member.eye = Eye::Open(file);
            1
        }
        Eye::Open(stat_file) if quiet => {
            let Some(file) = open_file(pid, "schedstat") else { return 0 };
            // Still the same process, since the old descriptor still answers: then the new one is of it, too.
            if let Some(pulse) = Pulse::read_at(&file, buffer)
                && Stat::read_at(stat_file, buffer).is_some_and(|now| now.all_ticks() == member.stat.all_ticks())
            {
                member.eye = Eye::Pulse(file, pulse);
            }
            0
        }
        Eye::Pulse(..) if member.stat.threads > 1 || member.calm == 0 => {
            if let Some(file) = open_file(pid, "stat")
                && Stat::read_at(&file, buffer).is_some_and(|stat| stat.start_ticks == member.stat.start_ticks)
            {
                member.eye = Eye::Open(file);
            }
            0
        }
        Eye::Shut | Eye::Open(_) | Eye::Pulse(..) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn what_a_child_ran_counts_once_whether_or_not_somebody_waited_for_it() {
        // A child ran 70 ticks by the last look and 30 more since; its parent has waited for it.
        let mut waited = Sum::default();
        waited.add_time(1, 101);
        waited.gone_ticks = 70;
        assert_eq!(waited.ticks(), 31);
        // Nobody waited.
        let mut orphan = Sum::default();
        orphan.add_time(1, 1);
        orphan.gone_ticks = 5000;
        assert_eq!(orphan.ticks(), 1);
    }
}
