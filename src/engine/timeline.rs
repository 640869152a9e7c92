//! The newest entries of the timeline, and the one way to add to it.
//!
//! Never: an entry that is not also handed out to be kept.

use std::{collections::VecDeque, sync::Arc};

use crate::model::{
    effect::Effect,
    ids::{ProjectName, RunId, ServiceId},
    policy::Origin,
    snapshot::TIMELINE_CAPACITY,
    timeline::{Entry, What},
};

use super::Engine;

/// Entries in memory.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) entries: VecDeque<Arc<Entry>>,
    seq: u64,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    Everything,
    Project(&'a ProjectName),
    Service(&'a ServiceId),
    Run(&'a ServiceId, RunId),
}

impl Engine {
    /// Writes an entry, unless an earlier engine did.
    pub(super) fn record(&mut self, about: About<'_>, who: Origin, what: What, why: impl Into<String>) {
        if self.told.has(about, &what) {
            return;
        }
        let (project, service, run) = match about {
            About::Everything => (None, None, None),
            About::Project(project) => (Some(project.clone()), None, None),
            About::Service(id) => (Some(id.project.clone()), Some(id.service.clone()), None),
            About::Run(id, run) => (Some(id.project.clone()), Some(id.service.clone()), Some(run)),
        };
        self.journal.seq += 1;
        let entry =
            Arc::new(Entry { seq: self.journal.seq, at: self.now, project, service, run, who, what, why: why.into() });
        if self.journal.entries.len() == TIMELINE_CAPACITY {
            self.journal.entries.pop_front();
        }
        self.journal.entries.push_back(entry.clone());
        self.effects.push(Effect::Record(entry));
        self.changed = true;
    }
}
