//! What a shim or its records say of a run, in the words of the model. Never a guess: what is not known is unknown.

use super::{
    place,
    wire::{End, Welcome},
};
use crate::{
    model::{heritage::FoundState, ids::RunId, phase::Exit, time::Timestamp},
    shim_format::{ExitFile, StateFile, exit_kind, phase},
    world::{clock, tree::stat::Stat},
};
use std::{os::unix::fs::MetadataExt, path::Path};

/// A run as it was found in its slot.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Trace {
    /// None was ever made.
    Fresh,
    /// It is there.
    Running {
        /// Which.
        run: RunId,
        /// Its main process.
        main: (u32, u64),
        /// Since when, microseconds since the Unix epoch.
        wall_us: i64,
    },
    /// It ended.
    Ended {
        /// Which.
        run: RunId,
        /// What its main process was.
        main: (u32, u64),
        /// How.
        end: End,
    },
    /// It may be there.
    Unverifiable {
        /// Which.
        run: RunId,
        /// The process that may be it.
        pid: u32,
    },
}

impl Trace {
    /// What a shim says.
    pub(super) fn of(welcome: &Welcome) -> Self {
        let run = welcome.run;
        match welcome.phase {
            phase::RUNNING => Self::Running { run, main: welcome.main, wall_us: welcome.started_wall_us },
            phase::ENDED => Self::Ended { run, main: welcome.main, end: welcome.end },
            phase::UNVERIFIABLE => Self::Unverifiable { run, pid: welcome.main.0 },
            _ => Self::Fresh,
        }
    }

    /// What its files say where no shim is there; none where only a shim can find out.
    pub(super) fn of_files(slot: &Path) -> Option<Self> {
        let Some(text) = place::state(slot) else { return Some(Self::Fresh) };
        let state = StateFile::parse(&text)?;
        let (run, main) = (RunId(state.run), (state.pid, state.start));
        if let Some(exit) = place::exit(slot).filter(|exit| exit.run == state.run) {
            return Some(Self::Ended { run, main, end: end_of(&exit) });
        }
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let end = End { kind: exit_kind::REBOOT, value: 0, wall_us: state.wall_us };
        (!boot.is_empty() && boot.trim() != state.boot).then_some(Self::Ended { run, main, end })
    }

    /// A run that is there by its records and its marks, whatever its shim does: its process is of this boot, began when it should have, and
    /// writes to the slot's FIFOs or was given the run's number.
    pub(super) fn proven(slot: &Path) -> Option<(RunId, FoundState)> {
        let text = place::state(slot)?;
        let state = StateFile::parse(&text)?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let began = || Stat::read(state.pid).filter(Stat::is_living).map(|stat| stat.start);
        let is_of_run = || writes_to(state.pid, slot) || has_number(state.pid, state.run);
        // Looked at again after the marks were read: they are those of this process only if it lived all the while.
        let is_there =
            boot.trim() == state.boot && began() == Some(state.start) && is_of_run() && began() == Some(state.start);
        let since = instant_of(state.start, state.wall_us);
        is_there.then_some((RunId(state.run), FoundState::Running { pid: state.pid, since }))
    }

    /// What of it is told when it cannot be found out in time.
    pub(super) fn unknown(slot: &Path) -> Option<(RunId, FoundState)> {
        let text = place::state(slot)?;
        let state = StateFile::parse(&text)?;
        Some((RunId(state.run), FoundState::Unverifiable { pid: state.pid }))
    }

    /// In the words of the model.
    pub(super) fn told(&self, leftover: usize) -> Option<(RunId, FoundState)> {
        match self {
            Self::Fresh => None,
            Self::Running { run, main: (pid, start), wall_us } => {
                Some((*run, FoundState::Running { pid: *pid, since: instant_of(*start, *wall_us) }))
            }
            Self::Ended { run, end, .. } if end.kind == exit_kind::REBOOT => Some((*run, FoundState::Rebooted)),
            Self::Ended { run, end, .. } => {
                let exit = exit_of(*end, None);
                Some((*run, FoundState::Ended { exit, at: ago(end.wall_us), leftover }))
            }
            Self::Unverifiable { run, pid } => Some((*run, FoundState::Unverifiable { pid: *pid })),
        }
    }
}

/// Whether standard output or error of a process is a FIFO of the slot.
fn writes_to(pid: u32, slot: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
    let ours: Vec<_> = ["out", "err"].iter().filter_map(|name| identity(&slot.join(name))).collect();
    [1, 2]
        .iter()
        .filter_map(|number| identity(Path::new(&format!("/proc/{pid}/fd/{number}"))))
        .any(|one| ours.contains(&one))
}

/// Whether a process began with the mark of this run in its environment.
fn has_number(pid: u32, run: u64) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mark = format!("CAS_RUN={run}");
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

fn end_of(exit: &ExitFile) -> End {
    End { kind: exit.kind, value: exit.value, wall_us: exit.wall_us }
}

/// How a run ended. `limit_bytes` is the memory limit of its cgroup.
pub(super) fn exit_of(end: End, limit_bytes: Option<u64>) -> Exit {
    match end.kind {
        exit_kind::CODE => Exit::Code(end.value),
        exit_kind::SIGNAL => Exit::Signal(end.value),
        exit_kind::REBOOT => Exit::Rebooted,
        exit_kind::OUT_OF_MEMORY => Exit::OutOfMemory { limit_bytes, peak_bytes: None },
        _ => Exit::Unknown,
    }
}

/// The boot clock counts from the same moment as the start times of processes (proc(5): field 22, in clock ticks).
fn instant_of(ticks: u64, wall_us: i64) -> Timestamp {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Timestamp { mono_us: ticks.saturating_mul(1_000_000) / per_second, wall_us }
}

/// An instant of which only the wall time is known.
fn ago(wall_us: i64) -> Timestamp {
    let now = clock::now();
    let passed = u64::try_from(now.wall_us.saturating_sub(wall_us)).unwrap_or(0);
    Timestamp { mono_us: now.mono_us.saturating_sub(passed), wall_us }
}
