//! What has been recorded and is not yet in the database. Bounded: the oldest entries make room and are counted.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
};

use super::EntryFilter;
use crate::model::{project::ProjectRecord, registry, timeline::Entry};

/// Entries and changes of the registry, in memory.
#[derive(Debug)]
pub(super) struct Pending {
    /// Oldest first.
    pub(super) entries: VecDeque<Arc<Entry>>,
    /// By root: the record to keep, or none to forget it.
    pub(super) projects: BTreeMap<PathBuf, Option<ProjectRecord>>,
    /// Entries that had to make room since the last success.
    pub(super) lost: u64,
    capacity: usize,
}

impl Pending {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), projects: BTreeMap::new(), lost: 0, capacity }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.projects.is_empty()
    }

    pub(super) fn push(&mut self, entry: Arc<Entry>) {
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
            self.lost += 1;
        }
        self.entries.push_back(entry);
    }

    /// The registry as it will be, given what is in the database.
    pub(super) fn apply_to_projects(&self, mut stored: Vec<ProjectRecord>) -> Vec<ProjectRecord> {
        stored.retain(|record| self.projects.get(&record.root) != Some(&None));
        for record in self.projects.values().flatten() {
            let exists = record.root.is_dir();
            registry::take_in(&mut stored, ProjectRecord { exists, ..record.clone() });
        }
        stored.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.root.cmp(&b.root)));
        stored
    }

    /// The entries that will be found, given those in the database: these here are all newer.
    pub(super) fn apply_to_entries(&self, mut stored: Vec<Entry>, filter: &EntryFilter) -> Vec<Entry> {
        stored.extend(self.entries.iter().filter(|entry| filter.takes(entry)).map(|entry| (**entry).clone()));
        stored.drain(..stored.len().saturating_sub(filter.limit));
        stored
    }
}
