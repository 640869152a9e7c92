//! Lines that say that a service is ready, in files that it writes itself. Those of its output are looked for where it is read.
//!
//! Promise: the word is not lost, and comes once for each run. Never: waits; looks at what a file held before it was followed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use regex::Regex;
use tokio::sync::mpsc;

use crate::model::{
    event::Event,
    ids::{RunId, ServiceId},
    log::LogBatch,
    project::ProjectSpec,
    text::plain,
};

/// What is looked for, of all services.
#[derive(Debug, Clone, Default)]
pub(super) struct Readiness(Arc<Mutex<HashMap<ServiceId, Awaited>>>);

#[derive(Debug)]
struct Awaited {
    pattern: Regex,
    told: Option<RunId>,
}

impl Readiness {
    /// Looks for the lines of a project's services from now on.
    pub(super) fn learn(&self, project: &ProjectSpec) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|id, _| id.project != project.name);
        for spec in &project.services {
            let is_followed = spec.log_files.iter().any(|files| files.follow);
            let pattern = spec.ready_log_line.as_ref().filter(|_| is_followed);
            // One that does not compile was refused when it was read.
            if let Some(pattern) = pattern.and_then(|pattern| Regex::new(pattern).ok()) {
                all.insert(spec.id.clone(), Awaited { pattern, told: None });
            }
        }
    }

    /// Looks at new lines, and has it told where one of a file matches.
    pub(super) fn look(&self, batch: &LogBatch, events: &mpsc::WeakSender<Event>) {
        if batch.source.file().is_none() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(awaited) = all.get_mut(&batch.service) else { return };
        // A run whose process is not known yet may be any.
        if batch.run != RunId(0) && awaited.told == Some(batch.run) {
            return;
        }
        if batch.lines.iter().any(|line| awaited.pattern.is_match(&plain(batch.text_of(*line)))) {
            awaited.told = Some(batch.run);
            let (events, service) = (events.clone(), batch.service.clone());
            tokio::spawn(async move {
                if let Some(events) = events.upgrade() {
                    // An error means that the engine has ended.
                    let _ended = events.send(Event::LogFileMatched { service }).await;
                }
            });
        }
    }
}
