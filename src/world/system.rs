//! The sampler: what the machine and each run use, looked at once a second.
//!
//! Promise: a thousand idle services cost well under one percent of one core, because what has not been scheduled since the last look is
//! not read again (see [`tree`]). A run in a cgroup is read there, exactly; one without is the sum of its process tree. Never: decides
//! anything, starts a thread, or sleeps.

mod cages;
pub mod host;
pub mod portable;
pub mod stat;
pub mod tree;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::cgroup::Cage;
use crate::model::{
    ids::RunId,
    metric::{RunUsage, Sample},
    time::Timestamp,
};

use self::{cages::Cages, host::Host, portable::PortableTrees, tree::ProcTrees};

/// A run to be looked at.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Which.
    pub run: RunId,
    /// Its main process: the leader of its own session or process group.
    pub pid: u32,
    /// The cgroups in which its processes are, where there are any.
    pub cage: Option<Arc<Cage>>,
}

impl From<(RunId, u32)> for Watched {
    fn from((run, pid): (RunId, u32)) -> Self {
        Self { run, pid, cage: None }
    }
}

impl From<(RunId, u32, Option<Arc<Cage>>)> for Watched {
    fn from((run, pid, cage): (RunId, u32, Option<Arc<Cage>>)) -> Self {
        Self { run, pid, cage }
    }
}

/// Why nothing can be sampled on this machine.
#[derive(Debug, thiserror::Error)]
#[error("this machine's load cannot be read: {reason}; graphs stay empty, services are not affected")]
pub struct SamplerError {
    /// What the system said.
    reason: String,
}

impl From<sysinfo::Error> for SamplerError {
    fn from(error: sysinfo::Error) -> Self {
        Self { reason: error.to_string() }
    }
}

/// How processes are read.
#[derive(Debug)]
enum Trees {
    /// From `/proc`.
    Proc(ProcTrees),
    /// Through sysinfo, where there is no `/proc` as Linux has it. Costs ten times as much.
    Portable(PortableTrees),
}

/// Reads the machine and the process trees of runs. One thread owns it and calls [`Sampler::sample`] once a second.
#[derive(Debug)]
pub struct Sampler {
    host: Host,
    cages: Cages,
    trees: Trees,
    last: Option<Timestamp>,
}

impl Sampler {
    /// A sampler; `disk_path` is somewhere on the file system whose size is reported (the project's root).
    ///
    /// # Errors
    /// Where this operating system offers no figures at all.
    pub fn new(disk_path: PathBuf) -> Result<Self, SamplerError> {
        let trees = if stat::Stat::read(Path::new("/proc/self/stat")).is_some() {
            Trees::Proc(ProcTrees::new())
        } else {
            Trees::Portable(PortableTrees::new()?)
        };
        Ok(Self { host: Host::new(disk_path)?, cages: Cages::default(), trees, last: None })
    }

    /// The same, but processes are read through sysinfo also where `/proc` could be used.
    ///
    /// # Errors
    /// As [`Sampler::new`].
    pub fn portable(disk_path: PathBuf) -> Result<Self, SamplerError> {
        let trees = Trees::Portable(PortableTrees::new()?);
        Ok(Self { host: Host::new(disk_path)?, cages: Cages::default(), trees, last: None })
    }

    /// Looks at the machine and at `runs`.
    ///
    /// `at` is now. Rates are averages over the time since the last call on the boot clock, and 0 in the first. A run of which
    /// nothing is left is missing in the answer.
    pub fn sample<R: Clone + Into<Watched>>(&mut self, at: Timestamp, runs: &[R]) -> Sample {
        let elapsed = self.last.map(|last| at.since(last)).filter(|elapsed| !elapsed.is_zero());
        let look = Look { last: self.last, seconds: elapsed.map(|elapsed| elapsed.as_secs_f64()) };
        let host = self.host.usage(&look);
        let watched: Vec<Watched> = runs.iter().cloned().map(Into::into).collect();
        let runs = self.usages(&look, &watched);
        let stopped = runs.iter().map(|(run, _)| *run).filter(|run| self.is_stopped(*run)).collect();
        self.last = Some(at);
        Sample { at, host, runs, stopped }
    }

    /// Whether the main process of a run was stopped by a signal when it was read last.
    fn is_stopped(&self, run: RunId) -> bool {
        self.cages.is_stopped(run)
            || match &self.trees {
                Trees::Proc(trees) => trees.is_stopped(run),
                Trees::Portable(_) => false,
            }
    }

    /// By cage where there is one, else by process tree; in the order of `watched`.
    fn usages(&mut self, look: &Look, watched: &[Watched]) -> Usages {
        let caged = self.cages.usage(look, watched);
        let rest = watched.iter().zip(&caged).filter(|(_, usage)| usage.is_none());
        let rest: Vec<_> = rest.map(|(one, _)| (one.run, one.pid)).collect();
        let trees = match &mut self.trees {
            Trees::Portable(_) if rest.is_empty() => Vec::new(),
            Trees::Portable(trees) => trees.usage(&rest),
            Trees::Proc(trees) => trees.usage(look, &rest),
        };
        // What the trees say is in the same order, with those left out that are gone.
        let mut trees = trees.into_iter().peekable();
        watched
            .iter()
            .zip(caged)
            .filter_map(|(one, usage)| match usage {
                Some(usage) => Some((one.run, usage)),
                None => trees.next_if(|(run, _)| *run == one.run),
            })
            .collect()
    }
}

/// When a look is taken.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// The look before, if there was one.
    last: Option<Timestamp>,
    /// Seconds from there to here, more than 0; none in the first look.
    seconds: Option<f64>,
}

impl Look {
    /// What `amount` since the last look is in a second; 0 in the first look.
    fn per_second(&self, amount: u64) -> f64 {
        self.seconds.map_or(0.0, |seconds| amount as f64 / seconds)
    }
}

/// The usage of one run, while it is being added up.
type Usages = Vec<(RunId, RunUsage)>;
