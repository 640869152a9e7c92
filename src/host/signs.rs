//! Known signs of failure in the output of services. Never: keeps a line; tells of one sign of a service more than once a second; waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use regex::RegexSet;
use tokio::sync::mpsc;

use crate::model::{
    event::Event,
    ids::ServiceId,
    log::LogBatch,
    project::ProjectSpec,
    text::{plain, truncate},
};

/// Between two words of the same sign, microseconds of the wall clock, which may be set back.
const AGAIN_US: u64 = 1_000_000;
/// Columns of a line that are told.
const TOLD: usize = 400;

/// What is looked for, of all services.
#[derive(Debug, Clone, Default)]
pub(super) struct Signs(Arc<Mutex<HashMap<ServiceId, Watched>>>);

#[derive(Debug)]
struct Watched {
    patterns: Vec<String>,
    set: RegexSet,
    told_us: Vec<Option<i64>>,
}

impl Signs {
    /// Looks for the signs of a project's services from now on.
    pub(super) fn learn(&self, project: &ProjectSpec) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|id, _| id.project != project.name);
        for spec in &project.services {
            let signs = spec.nature.iter().flat_map(|nature| &nature.signs);
            let patterns: Vec<String> = signs.map(|sign| sign.pattern.clone()).collect();
            if patterns.is_empty() {
                continue;
            }
            // A pattern that does not compile would have failed its catalogue's test.
            let Ok(set) = RegexSet::new(&patterns) else { continue };
            let told_us = vec![None; patterns.len()];
            all.insert(spec.id.clone(), Watched { patterns, set, told_us });
        }
    }

    /// Looks at new lines, and tells what is found where there is room for news.
    pub(super) fn look(&self, batch: &LogBatch, events: &mpsc::WeakSender<Event>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watched) = all.get_mut(&batch.service) else { return };
        for line in &batch.lines {
            let text = batch.text_of(*line);
            if !watched.set.is_match(text) {
                continue;
            }
            for found in watched.set.matches(text) {
                if watched.told_us[found].is_some_and(|told| batch.wall_us.abs_diff(told) < AGAIN_US) {
                    continue;
                }
                watched.told_us[found] = Some(batch.wall_us);
                let line = truncate(&plain(text), TOLD).into_owned();
                let pattern = watched.patterns[found].clone();
                let Some(events) = events.upgrade() else { return };
                // A full inbox means that there is more important news.
                let _dropped = events.try_send(Event::SignSeen { service: batch.service.clone(), pattern, line });
            }
        }
    }
}
