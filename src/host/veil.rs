//! What this engine knows of secrets, for all who give output to readers. Promise: a project's secrets are known before its first line is given.
//! Never forgets one while the engine lives: lines that hold it are still read.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use crate::model::{
    ids::ServiceId,
    log::{LogBatch, LogNews},
    project::ProjectSpec,
    redact::{Masks, Passage, Redactor, Secrets},
    secret::SecretValues,
};

/// Of each service, so many values are handed to who reads its files; the newest.
const MOST_GIVEN: usize = 256;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Veil(Option<Arc<RwLock<Known>>>);

#[derive(Debug, Default)]
struct Known {
    secrets: Secrets,
    /// What services were given as secrets.
    given: BTreeMap<ServiceId, SecretValues>,
    redactor: Arc<Redactor>,
}

impl Veil {
    /// One for an engine with this process environment, and with what its user wants masked.
    #[must_use]
    pub fn of(environment: &BTreeMap<String, String>, masks: &Masks) -> Self {
        let mut secrets = Secrets::default();
        secrets.mask(masks);
        secrets.learn_environment(environment);
        let redactor = Arc::new(Redactor::of(&secrets));
        Self(Some(Arc::new(RwLock::new(Known { secrets, given: BTreeMap::new(), redactor }))))
    }

    /// One that lets all through: for output that was redacted where it came from.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Learns the secrets of a project. Those that it had before stay known.
    pub fn learn(&self, project: &ProjectSpec) {
        let Some(known) = &self.0 else { return };
        let mut secrets = known.read().unwrap_or_else(PoisonError::into_inner).secrets.clone();
        if secrets.learn(project) {
            let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
            // Another project may have been learned meanwhile.
            known.secrets.learn(project);
            known.redactor = Arc::new(Redactor::of(&known.secrets));
        }
    }

    /// Learns what a service is given as secrets, before it can show any of it.
    pub fn learn_values(&self, service: &ServiceId, values: &SecretValues) {
        let Some(known) = &self.0 else { return };
        let is_known = |known: &Known| {
            known.given.get(service).is_some_and(|given| values.0.iter().all(|value| given.0.contains(value)))
        };
        if values.0.is_empty() || is_known(&known.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        let given = &mut known.given.entry(service.clone()).or_default().0;
        for value in &values.0 {
            given.retain(|other| other != value);
            given.push(value.clone());
        }
        let surplus = given.len().saturating_sub(MOST_GIVEN);
        given.drain(..surplus);
        if known.secrets.learn_declared(values) {
            known.redactor = Arc::new(Redactor::of(&known.secrets));
        }
    }

    /// What a service was given as secrets since the engine began, the newest last.
    #[must_use]
    pub fn values_of(&self, service: &ServiceId) -> SecretValues {
        let given = self
            .0
            .as_ref()
            .and_then(|known| known.read().unwrap_or_else(PoisonError::into_inner).given.get(service).cloned());
        given.unwrap_or_default()
    }

    /// What is known now; none where all is let through.
    #[must_use]
    pub fn redactor(&self) -> Option<Arc<Redactor>> {
        let known = self.0.as_ref()?;
        Some(Arc::clone(&known.read().unwrap_or_else(PoisonError::into_inner).redactor))
    }

    /// A way through output that is read from one end to the other; none where all is let through.
    #[must_use]
    pub fn passage(&self) -> Option<Passage> {
        self.redactor().map(Passage::through)
    }

    /// A batch as it may be seen.
    #[must_use]
    pub fn batch(&self, batch: &Arc<LogBatch>) -> Arc<LogBatch> {
        self.redactor().map_or_else(|| Arc::clone(batch), |redactor| redactor.batch(batch))
    }
}

/// News of output on their way to the readers: the first who reads them makes the form that all see.
#[derive(Debug, Clone)]
pub(super) struct Veiled {
    news: LogNews,
    shown: Arc<OnceLock<Arc<LogBatch>>>,
}

impl Veiled {
    pub(super) fn of(news: LogNews) -> Self {
        Self { news, shown: Arc::default() }
    }

    pub(super) fn shown(self, veil: &Veil) -> LogNews {
        match self.news {
            LogNews::Batch(batch) => LogNews::Batch(Arc::clone(self.shown.get_or_init(|| veil.batch(&batch)))),
            missed @ LogNews::Missed { .. } => missed,
        }
    }
}
