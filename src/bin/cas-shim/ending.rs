//! The end of a run, and of all that it leaves. Signals only children (nobody else can wait for them, so their numbers are
//! theirs), groups right after a member was found there, and others by a pidfd that was checked after it was opened.

use rustix::{
    fd::AsFd,
    fs::{CWD, Mode, OFlags, openat},
    io::write,
    process::{Signal, getpgrp, kill_process, kill_process_group},
};

use crate::{
    Exit, Hold, Run, Shim,
    log::{Pump, waiting},
    owed,
    shim_format::UNCLEAR,
    shim_format::{STDERR, STDOUT},
    sys::{self, Reap, Stat},
};

/// Milliseconds between two passes.
const PACE: u64 = 20;
/// Milliseconds without any change after which the survivors are named.
const HOPELESS: u64 = 10_000;
/// Milliseconds between looks at processes that are not our children and whose end nothing tells.
const LOOK: u64 = 250;
/// Generations between a process and us that are climbed.
const DEPTH: u32 = 512;

/// An escalation under way.
#[derive(Clone, Copy)]
pub(crate) struct Ending {
    due: u64,
    pub(crate) next: u64,
    changed: u64,
    seen: (u64, u64),
}

/// What of a run is still there.
#[derive(Clone, Copy)]
pub(crate) struct Survivors {
    pub(crate) count: u32,
    pub(crate) pids: [u32; 64],
    sum: u64,
}

impl Survivors {
    pub(crate) const NONE: Self = Self { count: 0, pids: [0; 64], sum: 0 };

    fn add(&mut self, pid: u32) {
        if let Some(place) = self.pids.get_mut(self.count as usize) {
            *place = pid;
        }
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.wrapping_add(u64::from(pid));
    }
}

/// Whether a process with this parent descends from us.
fn descends(mut parent: u32) -> bool {
    let me = std::process::id();
    for _ in 0..DEPTH {
        if parent == me {
            return true;
        }
        let Some(stat) = Stat::of(parent).filter(|_| parent > 1) else { return false };
        parent = stat.parent;
    }
    false
}

impl Shim {
    /// Live processes of the run: our descendants, and of an adopted run those that are known by their marks.
    pub(crate) fn survivors(&self) -> Survivors {
        let mut found = Survivors::NONE;
        let has_children = sys::has_children();
        let main = match &self.run {
            Run::Running(facts, Hold::Adopted { pidfd, .. }) if !sys::is_dead(pidfd.as_fd()) => Some(facts.pid),
            Run::Running(..) | Run::Fresh | Run::Ended(..) | Run::Unverifiable(..) => None,
        };
        if !has_children && !self.is_adopted {
            return found;
        }
        sys::each_process(|pid| {
            let Some(stat) = Stat::of(pid).filter(|stat| pid != std::process::id() && !stat.is_body()) else { return };
            if main == Some(pid) || has_children && descends(stat.parent) || self.is_adopted && self.is_marked(pid) {
                found.add(pid);
            }
        });
        found
    }

    /// Kills what is left after so long; `u64::MAX`: not any more.
    pub(crate) fn escalate(&mut self, after_ms: u64, now: u64) {
        let due = now.saturating_add(after_ms);
        self.ending = (after_ms != u64::MAX).then_some(Ending { due, next: now, changed: due, seen: (0, 0) });
    }

    /// Something ended: an escalation may be over.
    pub(crate) fn look_again(&mut self, now: u64) {
        if let Some(ending) = &mut self.ending {
            ending.next = ending.next.min(now);
        }
    }

    /// Takes an escalation on.
    pub(crate) fn step_ending(&mut self, now: u64) {
        let Some(mut ending) = self.ending.filter(|ending| ending.next <= now) else { return };
        let is_running = matches!(self.run, Run::Running(..));
        let survivors = if is_running && now < ending.due { Survivors::NONE } else { self.survivors() };
        if !is_running && survivors.count == 0 && !sys::has_children() {
            return self.is_over(&survivors);
        }
        if now < ending.due {
            ending.next = if is_running { ending.due } else { ending.due.min(now.saturating_add(LOOK)) };
            self.ending = Some(ending);
            return;
        }
        self.kill_all();
        let seen = (self.reaped, survivors.sum);
        if ending.seen != seen {
            (ending.seen, ending.changed) = (seen, now);
        }
        if now.saturating_sub(ending.changed) >= HOPELESS {
            return self.is_over(&survivors);
        }
        ending.next = now.saturating_add(PACE);
        self.ending = Some(ending);
    }

    fn is_over(&mut self, survivors: &Survivors) {
        self.ending = None;
        self.left = *survivors;
        self.owe(owed::EMPTY);
    }

    fn kill_all(&self) {
        if !self.kill_file.bytes().is_empty() {
            let file = openat(CWD, self.kill_file.name(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
            // Where the cgroup is gone there is nothing in it.
            let _ = file.and_then(|file| write(file, b"1"));
        }
        let kill_group = |group: u32| {
            if let Some(group) = sys::pid_of(group).filter(|group| *group != getpgrp() && !group.is_init()) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        };
        if let Run::Running(facts, Hold::Adopted { pidfd, .. }) = &self.run {
            let is_leader =
                Stat::of(facts.pid).is_some_and(|stat| stat.group == facts.pid && stat.start == facts.start);
            if is_leader && !sys::is_dead(pidfd.as_fd()) {
                kill_group(facts.pid);
            }
            sys::kill_by(pidfd.as_fd());
        }
        let me = std::process::id();
        let has_children = sys::has_children();
        if !has_children && !self.is_adopted {
            return;
        }
        sys::each_process(|pid| {
            let Some(stat) = Stat::of(pid).filter(|_| pid != me) else { return };
            if stat.parent == me {
                if let Some(child) = sys::pid_of(pid).filter(|_| !stat.is_body()) {
                    kill_group(stat.group);
                    let _ = kill_process(child, Signal::KILL);
                }
            } else if self.is_adopted
                && self.is_marked(pid)
                && let Ok(Some(pidfd)) = sys::hold(pid)
                && self.is_marked(pid)
            {
                sys::kill_by(pidfd.as_fd());
            }
        });
    }

    /// Waits for all children that are dead; orphans of the service come to us too.
    pub(crate) fn reap_children(&mut self, now: u64) {
        while let Reap::One(reaped) = sys::reap() {
            self.reaped = self.reaped.wrapping_add(1);
            self.look_again(now);
            let is_main = |run: &Run| matches!(run, Run::Running(facts, Hold::Child) if facts.pid == reaped.pid);
            // A child that could not become the service has said so before it ended.
            if is_main(&self.run) && self.check_launch() && is_main(&self.run) {
                let mut exit = Exit::from_status(reaped.status, sys::wall_us());
                (exit.cpu_us, exit.max_rss_kib) = (reaped.cpu_us, reaped.max_rss_kib);
                self.finish(exit);
            }
        }
    }

    /// The main process is gone: takes in the output that is there, writes how it ended, tells.
    pub(crate) fn finish(&mut self, mut exit: Exit) {
        self.drain();
        let before = std::mem::replace(&mut self.run, Run::Fresh);
        let Some(facts) = before.facts().copied() else { return };
        exit.end = self.log.end();
        self.settle_exit(facts, exit);
        let leftover = self.survivors().count;
        // Whoever forks and ends faster than one look is not counted, but is our child.
        let is_unclear = leftover == 0 && (self.is_adopted || sys::has_children());
        if let Run::Ended(_, exit) = &mut self.run {
            exit.leftover = if is_unclear { UNCLEAR } else { leftover };
        }
        self.owe(owed::EXITED);
        self.look_again(sys::now_ms());
    }

    /// Takes in what is in the FIFOs now. Bounded by that: somebody may go on writing.
    fn drain(&mut self) {
        let now = sys::now_ms();
        if let Some(pty) = &mut self.pty {
            for _ in 0..512 {
                let [out, _] = &self.fifos;
                let goes_on = pty.carry(out.as_fd());
                let pumped = self.log.pump(STDOUT, out.as_fd(), now);
                if !goes_on && !matches!(pumped, Pump::Moved(_)) {
                    break;
                }
            }
        }
        for (stream, fifo) in [STDOUT, STDERR].into_iter().zip(&self.fifos) {
            let mut left = waiting(fifo);
            while left > 0 {
                match self.log.pump(stream, fifo.as_fd(), now) {
                    Pump::Moved(bytes) => left = left.saturating_sub(bytes),
                    Pump::Empty | Pump::Stuck => break,
                }
            }
        }
    }
}
