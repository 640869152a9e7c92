//! What an engine finds when it opens a project: what an earlier engine remembered, and what its shims still hold.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    ids::{RunId, ServiceName},
    phase::Exit,
    time::Timestamp,
    timeline::Entry,
};

/// What is left of earlier engines. Empty for a project that was never opened, and for one that is only read again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heritage {
    /// The last record of each service, as [`super::effect::Effect::Remember`] had it.
    pub records: BTreeMap<ServiceName, Arc<str>>,
    /// What the slots hold, also of services that the project no longer has.
    pub found: Vec<Found>,
    /// When an engine was last known to look after it; none where that is not known.
    pub last_alive: Option<Timestamp>,
    /// What earlier engines told of ends that their records may not know of: entries of whole steps, in their order.
    pub told: Vec<Entry>,
}

/// One slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Whose.
    pub service: ServiceName,
    /// The newest run that was made there.
    pub run: RunId,
    /// What became of it.
    pub state: FoundState,
}

/// What became of a run while no engine looked.
#[derive(Debug, Clone, PartialEq)]
pub enum FoundState {
    /// It is there, and proven to be that run. Its events come after [`super::effect::Effect::Adopt`].
    Running {
        /// Its main process.
        pid: u32,
        /// Since when.
        since: Timestamp,
    },
    /// It ended.
    Ended {
        /// How.
        exit: Exit,
        /// When. The boot clock's part is an estimate where another boot came between.
        at: Timestamp,
        /// Processes of it that are still there.
        leftover: usize,
    },
    /// The machine was started anew since: nothing of it can be there.
    Rebooted,
    /// A process has its number and start time, and nothing proves that it is that run: it is never touched.
    Unverifiable {
        /// That process.
        pid: u32,
    },
}
