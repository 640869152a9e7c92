//! Where slots and cgroups meet. Never decides whether there is a cgroup: [`crate::world::cgroup`] does.

use std::sync::{Arc, OnceLock};

pub(in crate::world) use crate::world::cgroup::Cage;
use crate::{
    model::{
        ids::ServiceName,
        service::{Containment, Limits},
    },
    shim_format::fnv1a,
    world::cgroup::Cgroups,
};

/// The cgroups of this machine, looked at once: that costs milliseconds, and the first frame does not wait for it.
#[derive(Debug, Default)]
pub(in crate::world) struct Grounds(OnceLock<Cgroups>);

impl Grounds {
    /// What there is. **Blocks** the first time.
    pub(in crate::world) fn cgroups(&self) -> &Cgroups {
        self.0.get_or_init(Cgroups::discover)
    }

    /// True where it is known that no cgroup can be made here.
    pub(super) fn have_none(&self) -> bool {
        self.0.get().is_some_and(|cgroups| cgroups.containment() == Containment::ProcessGroup)
    }

    /// The cgroup for the runs of a service; none where none can be made.
    pub(super) fn cage_for(&self, seat: &super::Seat, limits: &Limits) -> Option<Arc<Cage>> {
        let service: &ServiceName = &seat.service.service;
        match self.settled().prepare(&ground(seat), service, limits) {
            Ok(cage) => cage.map(Arc::new),
            Err(error) => {
                tracing::warn!(service = %seat.service, %error, "no cgroup could be made: the process group holds it");
                None
            }
        }
    }

    /// Which limits of a run with the main process `pid` do not hold, and why, in a clause for people. `caged`: it is in a cgroup.
    pub(super) fn lacking(&self, limits: &Limits, caged: bool, pid: u32) -> Option<String> {
        if *limits == Limits::default() {
            return None;
        }
        self.settled().unenforced_for(limits, caged, pid)
    }

    /// `RLIMIT_NPROC` where it stands in for a limit; 0 where it does not.
    pub(super) fn process_rlimit(&self, limits: &Limits, caged: bool) -> u64 {
        if limits.pids.is_none() {
            return 0;
        }
        let cgroups = self.settled();
        tokio::task::block_in_place(|| cgroups.process_rlimit(limits, caged)).unwrap_or(0)
    }

    /// The cgroup that holds a process that is there.
    pub(super) fn cage_holding(&self, seat: &super::Seat, pid: u32) -> Option<Arc<Cage>> {
        self.settled().holding(&ground(seat), &seat.service.service, pid).map(Arc::new)
    }

    fn settled(&self) -> &Cgroups {
        match self.0.get() {
            Some(cgroups) => cgroups,
            None => tokio::task::block_in_place(|| self.cgroups()),
        }
    }
}

/// The place's key and that of the state directory: two of those do not share a cgroup.
fn ground(seat: &super::Seat) -> String {
    format!("{}-{:08x}", seat.place, fnv1a(seat.directory.as_os_str().as_encoded_bytes()) & 0xffff_ffff)
}
