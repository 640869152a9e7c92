//! The newest entries of the timeline, and the one way to add to it.
//!
//! Never: an entry that is not also handed out to be kept; a secret in it.

use std::{collections::VecDeque, sync::Arc};

use crate::model::{
    effect::Effect,
    ids::{ProjectName, RunId, ServiceId},
    policy::{Asker, Origin},
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
    /// Output is read as it was written: that is told.
    pub(super) fn raw_logs_asked(&mut self, service: Option<&ServiceId>, origin: Origin, from: Option<Asker>) {
        let line = service.map_or_else(|| "logs --raw".to_owned(), |service| format!("logs --raw {service}"));
        let why = "shown with the secrets in it";
        if let Some(id) = service.filter(|id| self.services.contains_key(*id)) {
            return self.record(About::Service(id), origin, What::Requested { line, from }, why);
        }
        // Each project's own story has it.
        let projects: Vec<ProjectName> = self.projects.keys().cloned().collect();
        for project in &projects {
            let what = What::Requested { line: line.clone(), from: from.clone() };
            self.record(About::Project(project), origin, what, why);
        }
        if projects.is_empty() {
            self.record(About::Everything, origin, What::Requested { line, from }, why);
        }
    }

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
        let why = why.into();
        let mut entry = Entry { seq: self.journal.seq, at: self.now, project, service, run, who, what, why };
        self.redactor.entry(&mut entry);
        let entry = Arc::new(entry);
        if self.journal.entries.len() == TIMELINE_CAPACITY {
            self.journal.entries.pop_front();
        }
        self.journal.entries.push_back(entry.clone());
        self.effects.push(Effect::Record(entry));
        self.changed = true;
    }
}
