//! Process trees through sysinfo, for systems without Linux' `/proc`. Promise: the same answer, at ten times the cost and without
//! the number of threads (each process counts as one). Never used where `/proc` can be read.

use std::collections::HashMap;

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

use super::{SamplerError, Usages};
use crate::model::{ids::RunId, metric::RunUsage};

/// Parents that are followed at most: a listing taken while processes come and go may hold a cycle.
const DEEPEST: usize = 64;

/// The trees of all runs.
#[derive(Debug)]
pub struct PortableTrees {
    system: System,
}

impl PortableTrees {
    /// Nothing watched yet.
    ///
    /// # Errors
    /// Where sysinfo does not know this operating system.
    pub fn new() -> Result<Self, SamplerError> {
        Ok(Self { system: System::new()? })
    }

    /// One look at all of `runs`, in their order. sysinfo measures the time between looks itself.
    pub(super) fn usage(&mut self, runs: &[(RunId, u32)]) -> Usages {
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let roots: HashMap<Pid, usize> =
            runs.iter().enumerate().map(|(index, (_, pid))| (Pid::from_u32(*pid), index)).collect();
        let mut sums = vec![RunUsage::default(); runs.len()];
        for process in self.system.processes().values() {
            if let Some(sum) = self.root_of(process, &roots).and_then(|index| sums.get_mut(index)) {
                sum.cpu_percent += process.cpu_usage();
                sum.memory_bytes = sum.memory_bytes.saturating_add(process.memory());
                sum.processes += 1;
                sum.threads += 1;
            }
        }
        runs.iter().zip(sums).filter(|(_, sum)| sum.processes > 0).map(|((run, _), sum)| (*run, sum)).collect()
    }

    fn root_of(&self, process: &Process, roots: &HashMap<Pid, usize>) -> Option<usize> {
        if let Some(root) = process.session_id().and_then(|session| roots.get(&session)) {
            return Some(*root);
        }
        let mut pid = process.pid();
        for _ in 0..DEEPEST {
            if let Some(root) = roots.get(&pid) {
                return Some(*root);
            }
            pid = self.system.process(pid)?.parent()?;
        }
        None
    }
}
