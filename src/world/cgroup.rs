//! Cgroups: where the kernel holds the processes of a service together, counts what they use and keeps them within limits.
//!
//! Promise: v2, v1 and both at once (hybrid) look the same from outside; what a machine does not allow is said in a sentence,
//! and services run without it. Names are the same for every engine of a user, so that the next one finds a service where the last
//! one left it. Never: moves a process (a child joins by itself before its exec), follows a symbolic link, or touches a
//! directory that is not below a `cas` of ours.
//!
//! A service's cage is `cas/PLACE/SERVICE.svc` in each hierarchy that is used. The suffix keeps a service called `tasks` apart from the kernel's file of
//! that name. `cas` itself lies where every engine of the user finds it again: at the root of the hierarchy for root, else in the subtree that systemd
//! delegates to the user (`user@UID.service`), else below the cgroup that we are in.

mod base;
mod cage;
mod file;
mod hierarchy;
mod lacking;
mod limits;
mod meter;
mod usage;

use std::{fs, io, path::Path};

pub use self::{
    cage::Cage,
    hierarchy::{Controller, Hierarchy, Version},
    meter::{Meter, Sizes},
    usage::{CageUsage, MemoryMark, was_oom},
};

use self::{
    base::{Base, Refusal},
    cage::Node,
    lacking::StandIn,
};
use crate::model::{
    ids::ServiceName,
    service::{Containment, Limits},
};

/// Processes and threads that a service without a limit of its own may have, in cgroups of version 2 or where there are none but of version 1.
pub const DEFAULT_PIDS: u32 = 4096;

/// What this machine lets us do with cgroups.
#[derive(Debug)]
pub struct Cgroups {
    hierarchies: Vec<Hierarchy>,
    bases: Vec<Base>,
    refusals: Vec<Refusal>,
    uid: u32,
}

impl Cgroups {
    /// Finds out, by making a cgroup in each hierarchy and having a short-lived child join it; removes it again.
    ///
    /// Blocks for some milliseconds (the first move into a cgroup waits for every processor): not for an async worker.
    #[must_use]
    pub fn discover() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::among(Hierarchy::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")))
    }

    /// The same where only these hierarchies are to be used.
    #[must_use]
    pub fn among(hierarchies: Vec<Hierarchy>) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let (mut bases, refusals) = base::claim(&hierarchies, uid);
        // In v2 every cgroup counts time and can be killed: the hierarchies of v1 that do are not needed beside it.
        if bases.iter().any(|base| base.version == Version::V2) {
            bases.retain(|base| {
                base.version == Version::V2
                    || [Controller::Cpu, Controller::Memory, Controller::Pids].iter().any(|one| base.has(*one))
            });
        }
        Self { hierarchies, bases, refusals, uid }
    }

    /// What holds the processes of a service together here.
    #[must_use]
    pub fn containment(&self) -> Containment {
        if self.bases.is_empty() { Containment::ProcessGroup } else { Containment::Cgroup }
    }

    /// Why there is no cgroup, and what would give one, in a sentence for people; none where there is one.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        self.bases.is_empty().then(|| base::note(&self.refusals, self.uid))
    }

    /// Which of these limits this machine cannot enforce, in a clause for people; none where it can enforce all of them.
    #[must_use]
    pub fn unenforced(&self, limits: &Limits) -> Option<String> {
        self.lacking(limits, true, if self.uid == 0 { StandIn::Root } else { StandIn::Set })
    }

    /// Which of its limits do not hold for the run with the main process `pid`. `caged`: it is in a cgroup.
    #[must_use]
    pub fn unenforced_for(&self, limits: &Limits, caged: bool, pid: u32) -> Option<String> {
        let stand_in = match self.uid {
            0 => StandIn::Root,
            _ if lacking::has_own_process_limit(pid) => StandIn::Set,
            _ => StandIn::Missing,
        };
        self.lacking(limits, caged, stand_in)
    }

    fn lacking(&self, limits: &Limits, caged: bool, stand_in: StandIn) -> Option<String> {
        let why = if self.bases.is_empty() {
            base::reason(&self.refusals)
        } else if caged {
            "that controller is not handed down to the cgroup that cas may use (see cgroup.controllers there)"
                .to_owned()
        } else {
            "its cgroup could not be made (cas.log says why)".to_owned()
        };
        lacking::clause(limits, &|controller| !(caged && self.has(controller)), &why, stand_in)
    }

    /// Whether cages here have this controller.
    fn has(&self, controller: Controller) -> bool {
        self.bases.iter().any(|base| base.has(controller))
    }

    /// What stands in for the limit of processes where no pids controller holds it: `RLIMIT_NPROC`, for a service in no cage if `caged` is false.
    /// It counts all that the user has, so it is what that is now and the limit beyond. None where it is not needed, and for root, whom it does not bind.
    #[must_use]
    pub fn process_rlimit(&self, limits: &Limits, caged: bool) -> Option<u64> {
        let pids = limits.pids.filter(|_| self.uid != 0 && !(caged && self.has(Controller::Pids)))?;
        Some(lacking::tasks_of(self.uid).saturating_add(u64::from(pids)))
    }

    /// Makes the cage of a service, or finds it as another engine left it (processes in it stay), and writes its limits.
    ///
    /// `place` is that of the project, as [`crate::model`] names allow it: letters, digits, `.`, `_`, `-`. None where no cgroup can be made here;
    /// then [`Cgroups::note`] says why. A limit without a controller for it is left out: see [`Cgroups::unenforced`].
    ///
    /// # Errors
    /// The place is no name, the directory cannot be made, or the kernel refuses a limit (one below what is already used, in v1).
    pub fn prepare(&self, place: &str, service: &ServiceName, limits: &Limits) -> io::Result<Option<Cage>> {
        if self.bases.is_empty() {
            return Ok(None);
        }
        check_place(place)?;
        let mut nodes = Vec::new();
        for base in &self.bases {
            let joined = self.is_joined(base, limits);
            let dir = base.leaf(place, service);
            if joined {
                base.dig(place, service)?;
                limits::write(&dir, base, limits)?;
            }
            nodes.push(Node { dir, version: base.version, controllers: base.controllers.clone(), joined });
        }
        Ok(Cage::new(nodes))
    }

    /// The cage in which the process `pid` is, if it is that of this service: for a run that another engine started. Changes nothing.
    ///
    /// The process must be known to be the right one.
    #[must_use]
    pub fn holding(&self, place: &str, service: &ServiceName, pid: u32) -> Option<Cage> {
        check_place(place).ok()?;
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let tail = Path::new(base::NAME).join(place).join(base::leaf_name(service));
        let nodes = self.hierarchies.iter().filter_map(|hierarchy| {
            let dir = hierarchy.visible(&hierarchy.path_in(&text)?)?;
            let known = self.bases.iter().find(|base| base.is_of(hierarchy));
            let controllers = match known {
                Some(base) => base.controllers.clone(),
                None if hierarchy.version == Version::V2 => file::controllers(&dir.join("cgroup.controllers")),
                None => hierarchy.controllers.clone(),
            };
            dir.ends_with(&tail).then_some(Node { dir, version: hierarchy.version, controllers, joined: true })
        });
        Cage::new(nodes.collect())
    }

    /// A hierarchy that only limits is not joined without a limit: every one that is costs milliseconds at some starts, as the kernel
    /// waits for all processors before a process moves.
    fn is_joined(&self, base: &Base, limits: &Limits) -> bool {
        let has_v2 = self.bases.iter().any(|base| base.version == Version::V2);
        base.version == Version::V2
            || (base.has(Controller::Memory) && (!has_v2 || limits.memory_bytes.is_some()))
            || (base.has(Controller::Pids) && (!has_v2 || limits.pids.is_some()))
            || (base.has(Controller::Cpu) && limits.cpus.is_some())
            || (!has_v2 && (base.has(Controller::Cpuacct) || base.has(Controller::Freezer)))
    }
}

/// One component of a path, and nothing that could be a file of the kernel's.
fn check_place(place: &str) -> io::Result<()> {
    let sound = (1..=100).contains(&place.len())
        && place.starts_with(|c: char| c.is_ascii_alphanumeric())
        && place.contains('-')
        && place.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if sound {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("\"{place}\" is not the place of a project")))
}

#[cfg(test)]
mod tests {
    use super::check_place;

    #[test]
    fn a_place_is_one_safe_component() {
        assert!(check_place("shop-0123456789abcdef").is_ok());
        for place in ["", "..", "a/b-c", "-x", ".trial-1", "tasks", "a-\0", "ä-1", &format!("a-{}", "x".repeat(200))] {
            assert!(check_place(place).is_err(), "{place:?}");
        }
    }
}
