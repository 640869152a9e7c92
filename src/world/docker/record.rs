//! What the next engine needs to know of a container that runs: one line beside the segments of its service. Never: a value of its environment.

use std::{fs, io::Read, path::Path};

use serde::{Deserialize, Serialize};

use crate::model::ids::RunId;

const NAME: &str = "container";
/// It is never longer.
const MOST_BYTES: u64 = 4096;

/// Which container is which run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The run.
    pub(super) run: RunId,
    /// The container.
    pub(super) id: String,
    /// When Docker says that it was started, in Docker's words; empty: it was about to be.
    pub(super) started: String,
    /// Its main process.
    pub(super) pid: u32,
    /// When the run began, microseconds since the Unix epoch.
    pub(super) since_us: i64,
}

impl Record {
    /// The record of a slot; none where there is none that can be read.
    pub(super) fn read(slot: &Path) -> Option<Self> {
        let mut text = String::new();
        fs::File::open(slot.join(NAME)).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Puts it in the place of the one before, whole or not at all.
    pub(super) fn write(&self, slot: &Path) -> std::io::Result<()> {
        let fresh = slot.join("container.new");
        fs::write(&fresh, serde_json::to_vec(self)?)?;
        fs::rename(fresh, slot.join(NAME))
    }
}

/// The end of its run was told.
pub(super) fn forget(slot: &Path) {
    // One that is not there is what was wanted.
    let _gone = fs::remove_file(slot.join(NAME));
}
