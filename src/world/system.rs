//! The sampler: what the machine and each run use, looked at once a second.
//!
//! Promise: a thousand idle services cost well under one percent of one core, because a process of one thread that has not been
//! scheduled since the last look is not read again (see [`tree`]). Never: decides anything, starts a thread, or sleeps.

pub mod host;
pub mod portable;
pub mod stat;
pub mod tree;

use std::path::{Path, PathBuf};

use crate::model::{
    ids::RunId,
    metric::{RunUsage, Sample},
    time::Timestamp,
};

use self::{host::Host, portable::PortableTrees, tree::ProcTrees};

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
        Ok(Self { host: Host::new(disk_path)?, trees, last: None })
    }

    /// The same, but processes are read through sysinfo also where `/proc` could be used.
    ///
    /// # Errors
    /// As [`Sampler::new`].
    pub fn portable(disk_path: PathBuf) -> Result<Self, SamplerError> {
        Ok(Self { host: Host::new(disk_path)?, trees: Trees::Portable(PortableTrees::new()?), last: None })
    }

    /// Looks at the machine and at `runs` (run, pid of its main process: the leader of its own session or process group).
    ///
    /// `at` is now. Rates are averages over the time since the last call on the boot clock, and 0 in the first. A run of which
    /// nothing is left is missing in the answer.
    pub fn sample(&mut self, at: Timestamp, runs: &[(RunId, u32)]) -> Sample {
        let elapsed = self.last.map(|last| at.since(last)).filter(|elapsed| !elapsed.is_zero());
        let look = Look { last: self.last, seconds: elapsed.map(|elapsed| elapsed.as_secs_f64()) };
        let host = self.host.usage(&look);
        let runs = match &mut self.trees {
            Trees::Proc(trees) => trees.usage(&look, runs),
            Trees::Portable(trees) => trees.usage(runs),
        };
        self.last = Some(at);
        Sample { at, host, runs }
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
