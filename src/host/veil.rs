//! What this engine knows of secrets, for all who give output to readers. Promise: a project's secrets are known before its first line is given.
//! Never forgets one while the engine lives: lines that hold it are still read.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use crate::model::{
    log::{LogBatch, LogNews},
    project::ProjectSpec,
    redact::{Passage, Redactor, Secrets},
};

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Veil(Option<Arc<RwLock<Known>>>);

#[derive(Debug, Default)]
struct Known {
    secrets: Secrets,
    redactor: Arc<Redactor>,
}

impl Veil {
    /// One for an engine with this process environment.
    #[must_use]
    pub fn of(environment: &BTreeMap<String, String>) -> Self {
        let mut secrets = Secrets::default();
        secrets.learn_environment(environment);
        let redactor = Arc::new(Redactor::of(&secrets));
        Self(Some(Arc::new(RwLock::new(Known { secrets, redactor }))))
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
