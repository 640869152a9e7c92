//! What runs use whose processes are in a cgroup: counted by the kernel, also for what ended or left its session.
//!
//! Promise: a run that used no processor time since the last look costs one read of one open file. Never: keeps more than a share of the
//! descriptors that we may have.

use std::{collections::HashMap, path::Path, sync::Arc};

use rustix::process::{Resource, getrlimit};

use super::{Look, Watched, stat::Stat};
use crate::{
    model::{ids::RunId, metric::RunUsage},
    world::cgroup::{Cage, Meter, Sizes},
};

/// Looks without processor time after which a run counts as quiet.
const CALM_LOOKS: u8 = 3;
/// A quiet run is read in full again every so many looks all the same: its memory may have been reclaimed.
const REFRESH_LOOKS: u64 = 32;
/// Of a run that uses time it is seen every so many looks whether its main process was stopped.
const STATE_LOOKS: u64 = 8;
/// One part in so many of the permitted descriptors is kept open.
const DESCRIPTOR_SHARE: u64 = 4;
/// Microseconds in a second, and percent in a core.
const PERCENT_US: f64 = 100.0 / 1e6;

#[derive(Debug)]
struct Entry {
    meter: Meter,
    cpu_us: u64,
    sizes: Sizes,
    calm: u8,
    seen: u64,
    /// Its main process was stopped when that was read last.
    is_stopped: bool,
}

/// All runs that have a cage.
#[derive(Debug, Default)]
pub(super) struct Cages {
    entries: HashMap<RunId, Entry>,
    looks: u64,
}

impl Cages {
    /// What each of `runs` uses, in their order; none for one without a cage that counts, or with nothing in it: that is read in another way.
    pub(super) fn usage(&mut self, look: &Look, runs: &[Watched]) -> Vec<Option<RunUsage>> {
        self.looks += 1;
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / DESCRIPTOR_SHARE;
        let mut open: u64 = self.entries.values().map(|entry| entry.meter.open_files()).sum();
        let usages = runs
            .iter()
            .map(|run| {
                let cage = run.cage.as_ref()?;
                let before = self.entries.get(&run.run).map_or(0, |entry| entry.meter.open_files());
                // A look opens at most five files.
                let usage = self.look_at(look, run, cage, open + 5 <= limit);
                let after = self.entries.get(&run.run).map_or(0, |entry| entry.meter.open_files());
                open = (open + after).saturating_sub(before);
                usage
            })
            .collect();
        let looks = self.looks;
        self.entries.retain(|_, entry| entry.seen == looks);
        usages
    }

    /// Whether the main process was stopped when it was read last.
    pub(super) fn is_stopped(&self, run: RunId) -> bool {
        self.entries.get(&run).is_some_and(|entry| entry.is_stopped)
    }

    fn look_at(&mut self, look: &Look, watched: &Watched, cage: &Arc<Cage>, may_keep: bool) -> Option<RunUsage> {
        let (looks, run) = (self.looks, watched.run);
        let Some(entry) = self.entries.get_mut(&run) else {
            let mut meter = Meter::new(Arc::clone(cage))?;
            let cpu_us = meter.cpu_us(may_keep)?;
            let sizes = meter.sizes(may_keep)?;
            self.entries
                .insert(run, Entry { meter, cpu_us, sizes, calm: 0, seen: looks, is_stopped: is_stopped(watched.pid) });
            return usage_of(look, 0, sizes);
        };
        let cpu_us = entry.meter.cpu_us(may_keep)?;
        let used = cpu_us.saturating_sub(entry.cpu_us);
        entry.cpu_us = cpu_us;
        entry.calm = if used > 0 { 0 } else { entry.calm.saturating_add(1) };
        if used > 0 || (run.0.wrapping_add(looks)).is_multiple_of(REFRESH_LOOKS) {
            entry.sizes = entry.meter.sizes(may_keep)?;
        }
        // Whoever is stopped uses a moment of time for it, then none. Others of the same run may go on: hence now and then in any case.
        if entry.calm == 1
            || entry.is_stopped
            || (run.0.wrapping_add(looks)).is_multiple_of(if used > 0 { STATE_LOOKS } else { REFRESH_LOOKS })
        {
            entry.is_stopped = is_stopped(watched.pid);
        }
        if entry.calm >= CALM_LOOKS {
            entry.meter.rest();
        }
        // Last: an entry that could not be read is dropped, and tried anew.
        entry.seen = looks;
        usage_of(look, used, entry.sizes)
    }
}

fn is_stopped(pid: u32) -> bool {
    Stat::read(Path::new(&format!("/proc/{pid}/stat"))).is_some_and(|stat| stat.is_stopped())
}

fn usage_of(look: &Look, used_us: u64, sizes: Sizes) -> Option<RunUsage> {
    (sizes.processes > 0).then(|| RunUsage {
        cpu_percent: (look.per_second(used_us) * PERCENT_US) as f32,
        memory_bytes: sizes.memory_bytes,
        processes: sizes.processes,
        threads: sizes.threads,
    })
}
