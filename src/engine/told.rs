//! What a killed engine had told of the end of a run before its records knew of it: that is not told again.
//!
//! Never: silence about an end that nobody has told.

use std::mem::{Discriminant, discriminant};

use crate::model::{
    ids::{RunId, ServiceId},
    timeline::{Entry, What},
};

use super::timeline::About;

/// What was told in one step of an earlier engine, about one service.
#[derive(Debug, Default)]
pub(super) struct Told {
    service: Option<ServiceId>,
    whats: Vec<Discriminant<What>>,
}

impl Told {
    /// What was told with the end of this run, and after it in the same step: what became of it.
    pub(super) fn with_end(entries: &[Entry], id: &ServiceId, run: RunId) -> Self {
        let is_of =
            |entry: &&Entry| entry.service.as_ref() == Some(&id.service) && entry.project.as_ref() == Some(&id.project);
        let ends = |entry: &&Entry| entry.run == Some(run) && entry.what.is_end();
        let Some(end) = entries.iter().rev().filter(is_of).find(ends) else { return Self::default() };
        let with = entries.iter().filter(is_of).filter(|entry| entry.at == end.at && entry.seq >= end.seq);
        Self { service: Some(id.clone()), whats: with.map(|entry| discriminant(&entry.what)).collect() }
    }

    /// Whether it was told. Details may differ: of a wait, how long it is.
    pub(super) fn has(&self, about: About<'_>, what: &What) -> bool {
        let id = match about {
            About::Everything | About::Project(_) => None,
            About::Service(id) | About::Run(id, _) => Some(id),
        };
        id.is_some() && id == self.service.as_ref() && self.whats.contains(&discriminant(what))
    }
}
