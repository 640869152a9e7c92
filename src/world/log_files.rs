//! Output of services on disk, as shims leave it: read back from any terminal, before and after any end.
//!
//! A slot (see [`crate::shim_format`]) holds segments `log.NNNNNN` with the bytes as the service wrote them, and beside each an index that
//! says which bytes came from which stream, when and in which run. Segments that are full and taken in become
//! `log.NNNNNN.zst` ([`archive`]; `log.NNNNNN.gz` in earlier versions); readers see segments and archives as one. The bytes are text of others: **also escape sequences are in
//! them, whoever shows them cleans them first**.
//!
//! The file `seq` of a slot says which number the first line of a segment has, so that whoever begins there counts as the engine did.
//!
//! Promise: readers ([`read_lines`], [`Follower`], [`search`]) take files as they are. Bytes that no index speaks of are shown with a guessed time,
//! damaged records cost what they said and no more, a damaged frame of an archive costs itself, and neither NULs nor anything else stops a reader. Never: writes a segment, follows a symbolic
//! link, or reads a segment into memory whole.

pub mod archive;
mod bases;
mod data;
mod follower;
mod frames;
mod grams;
mod index;
mod map;
mod marks;
mod pack;
mod passage;
mod reader;
mod recent;
pub mod search;
mod segments;
mod tail;
mod walk;
mod words;

use std::path::{Path, PathBuf};

use crate::model::{
    ids::{ProjectName, RunId, ServiceId, ServiceName},
    log::Stream,
};

pub(in crate::world) use self::{
    bases::Bases,
    recent::drafts_before,
    segments::{list, open, raw_file},
    walk::{Piece, Progress, Unindexed, Walk, are_together},
};
pub use self::{
    follower::{Follower, follow},
    reader::{StoredLines, read_lines},
    recent::lines_before,
    tail::Tail,
};

/// Where the slots of one project are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// Which project.
    pub project: ProjectName,
    /// The directory that has a directory for each service.
    pub dir: PathBuf,
}

/// Which lines are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    /// Of these services; none named: of all that have a slot.
    pub services: Vec<ServiceId>,
    /// Written by the service at or after this, microseconds since the Unix epoch.
    pub since_wall_us: Option<i64>,
    /// Written by the service before this.
    pub until_wall_us: Option<i64>,
    /// Of each service at most so many, the newest of those that satisfy the rest.
    pub tail: Option<usize>,
}

impl LogFilter {
    const fn takes(&self, wall_us: i64) -> bool {
        let late_enough = match self.since_wall_us {
            Some(since) => wall_us >= since,
            None => true,
        };
        let early_enough = match self.until_wall_us {
            Some(until) => wall_us < until,
            None => true,
        };
        late_enough && early_enough
    }
}

/// A line as it was found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLine {
    /// Whose.
    pub service: ServiceId,
    /// In which run.
    pub run: RunId,
    /// When the service wrote it, microseconds since the Unix epoch.
    pub wall_us: i64,
    /// Its number among the lines of the service, as in [`crate::model::log::LogBatch::first_seq`]. Counted from the oldest line that is there
    /// where nobody wrote down which number that has.
    pub seq: u64,
    /// Where it came from.
    pub stream: Stream,
    /// The next line of the same stream goes on with the same physical line.
    pub continued: bool,
    /// The text, escape sequences included.
    pub text: String,
}

/// Every service that has a slot, by name. Nothing where there is no such directory.
#[must_use]
pub fn stored_services(slots: &[Slots]) -> Vec<ServiceId> {
    let mut found: Vec<ServiceId> = slots.iter().flat_map(services_of).collect();
    found.sort();
    found.dedup();
    found
}

fn services_of(slots: &Slots) -> impl Iterator<Item = ServiceId> + use<> {
    let project = slots.project.clone();
    std::fs::read_dir(&slots.dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| ServiceName::new(entry.file_name().to_str()?).ok())
        .map(move |service| ServiceId { project: project.clone(), service })
}

/// The slots that a filter asks for. A name cannot leave its directory: it has no `/` and does not begin with a dot.
fn chosen(slots: &[Slots], filter: &LogFilter) -> Vec<(ServiceId, PathBuf)> {
    let services = if filter.services.is_empty() { stored_services(slots) } else { filter.services.clone() };
    let mut chosen = Vec::with_capacity(services.len());
    for service in services {
        for place in slots.iter().filter(|slots| slots.project == service.project) {
            chosen.push((service.clone(), slot_of(&place.dir, &service.service)));
        }
    }
    chosen
}

fn slot_of(dir: &Path, service: &ServiceName) -> PathBuf {
    dir.join(service.as_str())
}
