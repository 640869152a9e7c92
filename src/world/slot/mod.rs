//! Services, each in a slot that a shim looks after (see [`crate::shim_format`]). Never a service without a shim, never a child of
//! ours: what we do not do lives on without us.

mod cage;
mod connect;
mod found;
mod keeper;
mod payload;
mod place;
mod process;
mod pulse;
mod quiet;
mod socket;
mod start;
mod survey;
mod wire;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub(super) use self::place::make as make_place;
pub use self::quiet::is_quiet;
pub(super) use self::{
    cage::{Cage, Grounds},
    keeper::Keeper,
    pulse::{Pulse, watch},
};
use super::{output::Question, tree::TreeId};
use crate::{
    model::{
        deed::Remake,
        heritage::Found,
        ids::{RunId, ServiceId, ServiceName},
        intake::Cursor,
        service::ServiceSpec,
        signal::Signal,
    },
    shim_format::fnv1a,
};

/// The slots of a project.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// Key of the project.
    pub(super) place: Arc<str>,
    /// The directory that holds a directory for each service.
    pub(super) slots: PathBuf,
    /// How far output was taken in.
    pub(super) cursors: Arc<BTreeMap<ServiceName, Cursor>>,
}

/// One slot of it.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    /// Whose.
    pub(super) service: ServiceId,
    /// Key of the project.
    pub(super) place: Arc<str>,
    /// Its directory.
    pub(super) directory: PathBuf,
    /// How far its output was taken in.
    pub(super) cursor: Cursor,
}

impl Site {
    /// The slot of a service.
    pub(super) fn seat(&self, service: &ServiceId) -> Seat {
        Seat {
            service: service.clone(),
            place: Arc::clone(&self.place),
            directory: self.slots.join(service.service.as_str()),
            cursor: self.cursors.get(&service.service).copied().unwrap_or_default(),
        }
    }

    /// The mark of a run's processes: the same for every engine, and not that of a run of the same number elsewhere.
    pub(super) fn mark(&self, service: &ServiceId, run: RunId) -> String {
        use std::os::unix::ffi::OsStrExt;
        let directory = self.slots.join(service.service.as_str());
        format!("r{run}-{:016x}", fnv1a(directory.as_os_str().as_bytes()))
    }
}

/// What a run is made from, or taken over with.
#[derive(Debug)]
pub(super) struct Birth {
    /// What it runs.
    pub(super) spec: Arc<ServiceSpec>,
    /// How much of it is made anew, where it is a container.
    pub(super) remake: Remake,
    /// Its tree.
    pub(super) tree: TreeId,
    /// Cancelled when the main process is gone.
    pub(super) ended: CancellationToken,
}

/// Something asked of a slot.
#[derive(Debug)]
pub(super) enum Order {
    /// Something that concerns a run; where the slot has another, it is gone.
    Run(RunId, RunOrder),
    /// What is there? Answered when that is known; none: nothing that a run is left of.
    Survey(oneshot::Sender<Option<Found>>),
    /// End the shim, if nothing runs; answered when it is gone, or refuses.
    Retire(oneshot::Sender<()>),
    /// Is the shim well? Its FIFO has been full for long.
    Look,
}

/// Something asked of a run.
#[derive(Debug)]
pub(super) enum RunOrder {
    /// Make it.
    Spawn(Birth),
    /// Take it over.
    Adopt(Birth),
    /// End it: nobody wants it.
    EndStray(TreeId),
    /// To the main process.
    Signal(Signal),
    /// To all, and SIGCONT.
    StopTree(Signal),
    /// End all.
    EndTree(Duration),
    /// Its tree seems to be gone: what does the shim say? Those that it cannot end.
    Confirm(oneshot::Sender<Vec<u32>>),
    /// Watch the output.
    Watch {
        /// For whom.
        question: Question,
        /// What for.
        pattern: String,
    },
    /// Has the pattern appeared? A sentence where it cannot.
    HasMatched {
        /// Which.
        pattern: String,
        /// The answer.
        reply: oneshot::Sender<Result<bool, String>>,
    },
    /// Input for its terminal, at most [`wire::INPUT_BYTES`]; answered when it is typed.
    Input(Vec<u8>, oneshot::Sender<()>),
    /// Rows and columns of its terminal.
    Resize(u16, u16),
}
