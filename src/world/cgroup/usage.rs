//! What a cage has used. Promise: exact as the kernel counts it, what has already ended included.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use super::{
    cage::{Cage, Node},
    file,
    hierarchy::{Controller, Version},
};
use crate::model::phase::Exit;

/// A limit that large means none (v1 writes the largest multiple of a page).
const NO_LIMIT: u64 = 1 << 62;
/// SIGKILL, which is what the out-of-memory killer sends (signal(7)).
const SIGKILL: i32 = 9;
/// What a shell ends with whose last command was ended by it.
const KILLED_IN_SHELL: i32 = 128 + SIGKILL;

/// What the processes of a cage use and have used since it was made, over all runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CageUsage {
    /// Processor time, microseconds, in user mode and in the kernel.
    pub cpu_us: u64,
    /// Bytes of memory without file pages that were not used lately (`inactive_file`), as `docker stats` counts; where there is no memory controller, the
    /// sum of resident sets.
    pub memory_bytes: u64,
    /// The most that memory was, file pages included; none where the kernel does not keep it.
    pub memory_peak: Option<u64>,
    /// Processes and threads; without a pids controller, processes.
    pub pids: u32,
    /// Processes that the out-of-memory killer ended.
    pub oom_kills: u64,
    /// Bytes of memory that it may have; none: no limit, or none that is enforced.
    pub memory_limit: Option<u64>,
}

/// What the end of a run's main process really was, where the out-of-memory killer had its hand in it.
///
/// `before` and `after` are [`Cage::oom_kills`] at its start and at its end, `limit_bytes` is [`CageUsage::memory_limit`]. None: the exit tells
/// all there is. A main process that ended by itself after the killer took one of its children says in its own way why it did.
#[must_use]
pub fn was_oom(before: u64, after: u64, limit_bytes: Option<u64>, exit: &Exit) -> Option<Exit> {
    match exit {
        Exit::Signal(SIGKILL) | Exit::Code(KILLED_IN_SHELL) if after > before => {
            Some(Exit::OutOfMemory { limit_bytes, peak_bytes: None })
        }
        Exit::Code(_)
        | Exit::Signal(_)
        | Exit::OutOfMemory { .. }
        | Exit::Rebooted
        | Exit::SpawnFailed(_)
        | Exit::Removed
        | Exit::Unknown => None,
    }
}

/// How memory stood when a run began: what its end is compared with.
#[derive(Debug, Default)]
pub struct MemoryMark {
    oom_kills: u64,
    peak: Peak,
}

/// From where on the most of a run is counted. A cage lives over many runs, and so does what the kernel keeps.
#[derive(Debug, Default)]
enum Peak {
    /// The kernel does not keep it.
    #[default]
    Unknown,
    /// It was set back: for all who read (v1), or for those who read here (v2, since Linux 6.12).
    SetBack(File),
    /// It cannot be: it is this run's where it has grown beyond this.
    Beyond(u64),
}

impl Cage {
    /// To be taken before a run begins.
    #[must_use]
    pub fn mark_memory(&self) -> MemoryMark {
        let peak = self.node_with(Controller::Memory).map_or(Peak::Unknown, |node| {
            let path = node.dir.join(peak_file(node.version));
            let set_back = file::open_for_both(&path).filter(|file| file.write_at(b"0", 0).is_ok());
            match set_back {
                Some(file) => Peak::SetBack(file),
                None => file::number(&path).map_or(Peak::Unknown, Peak::Beyond),
            }
        });
        MemoryMark { oom_kills: self.oom_kills(), peak }
    }

    /// For a run that an earlier engine began.
    #[must_use]
    pub fn mark_memory_late(&self) -> MemoryMark {
        let node = self.node_with(Controller::Memory).filter(|node| node.version == Version::V1);
        let file = node.and_then(|node| file::open_for_reading(&node.dir.join(peak_file(node.version))));
        MemoryMark { oom_kills: self.oom_kills(), peak: file.map_or(Peak::Unknown, Peak::SetBack) }
    }

    /// What `exit` really was, where the out-of-memory killer had its hand in it since `mark`. Reads nothing where it cannot have been.
    #[must_use]
    pub fn oom_of(&self, mark: &MemoryMark, exit: &Exit) -> Option<Exit> {
        // Whether it may have been: as if the killer had been there.
        was_oom(0, 1, None, exit)?;
        let limit_bytes = self.memory_limit();
        was_oom(mark.oom_kills, self.oom_kills(), limit_bytes, exit)?;
        Some(Exit::OutOfMemory { limit_bytes, peak_bytes: self.peak_since(mark) })
    }

    fn peak_since(&self, mark: &MemoryMark) -> Option<u64> {
        match &mark.peak {
            Peak::Unknown => None,
            Peak::SetBack(file) => file::first_line(file)?.parse().ok(),
            Peak::Beyond(before) => {
                let node = self.node_with(Controller::Memory)?;
                file::number(&node.dir.join(peak_file(node.version))).filter(|peak| peak > before)
            }
        }
    }

    /// What it uses now; none where it is gone, or nothing here counts processor time.
    #[must_use]
    pub fn usage(&self) -> Option<CageUsage> {
        let node = self.cpu_node()?;
        let cpu_us = cpu_us(node.version, &file::read(&node.dir.join(cpu_file(node.version)))?)?;
        let members = self.members();
        let memory = self.node_with(Controller::Memory);
        let memory_bytes = memory.and_then(memory_bytes).unwrap_or_else(|| resident_bytes(&members));
        let tasks = self.node_with(Controller::Pids).and_then(|node| file::number(&node.dir.join("pids.current")));
        Some(CageUsage {
            cpu_us,
            memory_bytes,
            memory_peak: memory.and_then(|node| file::number(&node.dir.join(peak_file(node.version)))),
            pids: tasks.map_or(members.len() as u32, |tasks| u32::try_from(tasks).unwrap_or(u32::MAX)),
            oom_kills: self.oom_kills(),
            memory_limit: self.memory_limit(),
        })
    }

    /// Processes that the out-of-memory killer has ended in it since it was made; 0 where nobody counts them.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        self.node_with(Controller::Memory)
            .and_then(|node| {
                let name = match node.version {
                    Version::V2 => "memory.events",
                    Version::V1 => "memory.oom_control",
                };
                file::value(&file::read(&node.dir.join(name))?, "oom_kill")
            })
            .unwrap_or(0)
    }

    /// Bytes of memory that it may have; none: no limit.
    #[must_use]
    pub fn memory_limit(&self) -> Option<u64> {
        let node = self.node_with(Controller::Memory)?;
        let name = match node.version {
            Version::V2 => "memory.max",
            Version::V1 => "memory.limit_in_bytes",
        };
        // `max` is no number.
        file::number(&node.dir.join(name)).filter(|bytes| *bytes < NO_LIMIT)
    }
}

/// Where processor time stands.
pub(super) const fn cpu_file(version: Version) -> &'static str {
    match version {
        Version::V2 => "cpu.stat",
        Version::V1 => "cpuacct.usage",
    }
}

/// Microseconds out of that file's text.
pub(super) fn cpu_us(version: Version, text: &str) -> Option<u64> {
    match version {
        Version::V2 => file::value(text, "usage_usec"),
        Version::V1 => Some(text.trim().parse::<u64>().ok()? / 1000),
    }
}

/// Where memory stands, file pages included.
pub(super) const fn memory_file(version: Version) -> &'static str {
    match version {
        Version::V2 => "memory.current",
        Version::V1 => "memory.usage_in_bytes",
    }
}

const fn peak_file(version: Version) -> &'static str {
    match version {
        Version::V2 => "memory.peak",
        Version::V1 => "memory.max_usage_in_bytes",
    }
}

/// Bytes of file pages not used lately, out of `memory.stat`.
pub(super) fn inactive_bytes(version: Version, text: &str) -> u64 {
    let key = match version {
        Version::V2 => "inactive_file",
        Version::V1 => "total_inactive_file",
    };
    file::value(text, key).unwrap_or(0)
}

fn memory_bytes(node: &Node) -> Option<u64> {
    let all = file::number(&node.dir.join(memory_file(node.version)))?;
    let stat = file::read(&node.dir.join("memory.stat")).unwrap_or_default();
    Some(all.saturating_sub(inactive_bytes(node.version, &stat)))
}

/// Resident sets, where there is no memory controller; shared pages count once per process.
pub(super) fn resident_bytes(members: &[u32]) -> u64 {
    let page = rustix::param::page_size() as u64;
    let pages = members.iter().filter_map(|pid| {
        let text = file::read(Path::new(&format!("/proc/{pid}/statm")))?;
        text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    });
    pages.fold(0_u64, u64::saturating_add).saturating_mul(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_by_sigkill_after_the_killer_came_is_out_of_memory() {
        let oom = Some(Exit::OutOfMemory { limit_bytes: Some(1), peak_bytes: None });
        assert_eq!(was_oom(0, 1, Some(1), &Exit::Signal(9)), oom);
        assert_eq!(was_oom(3, 5, Some(1), &Exit::Code(137)), oom);
        assert_eq!(was_oom(1, 1, Some(1), &Exit::Signal(9)), None);
        for exit in [Exit::Signal(15), Exit::Code(0), Exit::Code(1), Exit::Unknown, Exit::Rebooted] {
            assert_eq!(was_oom(0, 1, Some(1), &exit), None, "{exit}");
        }
    }

    #[test]
    fn both_versions_words_for_time_and_memory_are_read() {
        assert_eq!(cpu_us(Version::V2, "usage_usec 1814\nuser_usec 1814\nsystem_usec 0\n"), Some(1814));
        assert_eq!(cpu_us(Version::V1, "1814999\n"), Some(1814));
        assert_eq!(cpu_us(Version::V2, "user_usec 1\n"), None);
        assert_eq!(inactive_bytes(Version::V2, "anon 1\ninactive_file 4096\n"), 4096);
        assert_eq!(inactive_bytes(Version::V1, "inactive_file 1\ntotal_inactive_file 8192\n"), 8192);
    }
}
