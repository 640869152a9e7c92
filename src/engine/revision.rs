//! Revisions of services: whether what somebody looked at is still what it was.
//!
//! Promise: a service whose phase, run, health or declaration differs from before has a greater number than anything had before.
//! Never: a new number for a sample, a round of a probe or a sentence.

use std::collections::VecDeque;

use crate::model::{
    ids::{RunId, ServiceId},
    phase::{AfterStop, Phase},
    time::Timestamp,
};

use super::{Engine, names::Unresolved, plan::Draft, state::Service};

/// How many earlier looks of a service are kept, to say what changed.
const KEPT: usize = 6;

/// Where numbers begin: later engines give away greater ones, unless the clock is set back in between (one engine would have to count a
/// thousand changes a second to overtake the next).
pub(super) const fn first(now: Timestamp) -> u64 {
    now.wall_us.unsigned_abs() / 1000
}

/// What of a service a command could be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    phase: &'static str,
    health: &'static str,
    run: Option<RunId>,
    then: Option<AfterStop>,
}

impl Look {
    fn of(service: &Service) -> Self {
        let then = match (&service.due, &service.phase) {
            (Some(due), _) => Some(due.then),
            (None, Phase::Stopping { then, .. }) => Some(*then),
            (None, _) => None,
        };
        Self {
            phase: service.phase.label(),
            health: service.health.label(),
            run: service.run.as_ref().map(|run| run.id),
            then,
        }
    }

    fn words(self) -> String {
        let health = match self.health {
            "unknown" => "",
            "starting" => ", not ready yet",
            "healthy" => ", healthy",
            "unhealthy" => ", unhealthy",
            other => other,
        };
        let run = self.run.map_or_else(String::new, |run| format!(" (run {})", run.0));
        format!("{}{health}{run}", self.phase)
    }
}

/// The revisions of one service.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    /// Newest last.
    looks: VecDeque<(u64, Look)>,
    /// It is declared otherwise than when the last number was given.
    declared_anew: bool,
}

impl Revisions {
    /// The newest number; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.looks.back().map_or(0, |(number, _)| *number)
    }

    /// Its part of the project file changed.
    pub(super) const fn differs(&mut self) {
        self.declared_anew = true;
    }
}

impl Engine {
    /// Gives a service a new number where it is not what it was.
    pub(super) fn revise(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        let look = Look::of(service);
        let known = service.revisions.looks.back().is_some_and(|(_, last)| *last == look);
        if known && !service.revisions.declared_anew {
            return;
        }
        self.newest += 1;
        service.revisions.declared_anew = false;
        if service.revisions.looks.len() == KEPT {
            service.revisions.looks.pop_front();
        }
        service.revisions.looks.push_back((self.newest, look));
        service.view = None;
    }

    /// The newest number among `ids`.
    pub(super) fn newest_of<'a>(&self, ids: impl IntoIterator<Item = &'a ServiceId>) -> u64 {
        ids.into_iter().filter_map(|id| self.service(id)).map(|service| service.revisions.newest()).max().unwrap_or(0)
    }

    /// What is no longer as it was at revision `seen`, a sentence for each service; an objection where no picture can have said so.
    pub(super) fn changed_since<'a>(
        &self,
        seen: u64,
        ids: impl IntoIterator<Item = &'a ServiceId>,
    ) -> Result<Vec<String>, Unresolved> {
        if seen > self.newest {
            return Err(Unresolved {
                reason: format!("revision {seen} is from no picture of this engine: its newest is {}", self.newest),
                hint: Some(
                    "look again: \"cas status --json\" and the snapshot say the revision of each service".to_owned(),
                ),
            });
        }
        let services = ids.into_iter().filter_map(|id| Some((id, self.service(id)?)));
        let changed = services.filter(|(_, service)| service.revisions.newest() > seen);
        Ok(changed.map(|(id, service)| self.what_changed(id, service, seen)).collect())
    }

    fn what_changed(&self, id: &ServiceId, service: &Service, seen: u64) -> String {
        let name = self.short(id);
        let looks = &service.revisions.looks;
        let now = Look::of(service);
        let Some((_, then)) = looks.iter().rev().find(|(number, _)| *number <= seen) else {
            return format!(
                "{name} has changed since (revision {}): it is {} now",
                service.revisions.newest(),
                now.words()
            );
        };
        if *then == now {
            return format!(
                "{name} has changed since (revision {}): its part of the project file, or back and forth",
                service.revisions.newest()
            );
        }
        format!(
            "{name} has changed since (revision {}): it was {} and is {} now",
            service.revisions.newest(),
            then.words(),
            now.words()
        )
    }

    /// What stands against a command that is about services as they were at revision `seen`. Who has agreed to a plan has agreed to all that it touches,
    /// who names services has looked at those.
    pub(super) fn outdated(
        &self,
        seen: u64,
        named: &[ServiceId],
        draft: &Draft,
        agreed: bool,
    ) -> Result<Vec<String>, Unresolved> {
        let more = draft.touched.iter().filter(|id| agreed && !named.contains(id));
        self.changed_since(seen, named.iter().chain(more))
    }
}
