//! Where slots and cgroups meet. Never decides whether there is a cgroup: whoever makes them does.

use std::{io, path::PathBuf};

use crate::model::{ids::ServiceName, service::Limits};

/// What a cgroup uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::world) struct CageUsage {
    /// Kills by the kernel for want of memory, since it was made.
    pub(in crate::world) oom_kills: u64,
    /// Bytes of memory that it may use.
    pub(in crate::world) memory_limit: Option<u64>,
}

/// The cgroup of a service. There is none yet that could be made.
#[derive(Debug)]
pub(in crate::world) enum Cage {}

impl Cage {
    /// The files through which a process joins it.
    pub(in crate::world) fn procs_files(&self) -> Vec<PathBuf> {
        match *self {}
    }

    /// The file through which all in it are killed.
    pub(in crate::world) fn kill_file(&self) -> Option<PathBuf> {
        match *self {}
    }

    /// Every process in it.
    pub(in crate::world) fn members(&self) -> Vec<u32> {
        match *self {}
    }

    /// Kills every process in it.
    pub(in crate::world) fn kill(&self) -> io::Result<()> {
        match *self {}
    }

    /// What it uses.
    pub(in crate::world) fn usage(&self) -> Option<CageUsage> {
        match *self {}
    }
}

/// The cgroup for the runs of a service; none where none can be made.
pub(super) fn cage_of(_place: &str, _service: &ServiceName, _limits: &Limits) -> Option<Cage> {
    None
}
