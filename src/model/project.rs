//! Projects: what one file declares, and what the registry remembers.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    ids::{ProjectName, ServiceName},
    route::AlertPlan,
    service::{ServiceSpec, Source},
};

/// A project as its file declares it, checked: names are unique, dependencies exist and have no cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectSpec {
    /// Its name.
    pub name: ProjectName,
    /// Absolute directory.
    pub root: PathBuf,
    /// The file that was read.
    pub file: PathBuf,
    /// Its services in the order of the file.
    pub services: Vec<Arc<ServiceSpec>>,
    /// How its people are told of what goes wrong.
    pub alerts: Arc<AlertPlan>,
}

impl ProjectSpec {
    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&Arc<ServiceSpec>> {
        self.services.iter().find(|service| service.id.service == *name)
    }
}

/// One thing that is wrong (or noteworthy) in a file of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// Where, if it has a place.
    pub source: Option<Source>,
    /// What and why, with the value: `restart: "allways" is not a restart policy`.
    pub message: String,
    /// What to do: `did you mean "always"? one of: no, on-failure, always, unless-stopped`.
    pub hint: Option<String>,
}

impl std::fmt::Display for Problem {
    /// `message (file:line:column)`, one line, without the hint.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

/// A project that was opened at some time, from the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProjectRecord {
    /// Its name.
    pub name: ProjectName,
    /// Absolute directory.
    pub root: PathBuf,
    /// The file that was read.
    pub file: PathBuf,
    /// Number of services when it was last open.
    pub services: usize,
    /// Microseconds since the Unix epoch when it was last opened.
    pub last_opened_us: i64,
    /// False where the directory is gone.
    pub exists: bool,
    /// The Git remote of its repository, without credentials; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The directory that it was in before, where it was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<PathBuf>,
}

impl ProjectRecord {
    /// Whether `later` is this project in another directory: this one is gone, and name, file and Git remote are the same. Without a remote nothing proves it.
    #[must_use]
    pub fn is_moved_to(&self, later: &Self) -> bool {
        !self.exists
            && later.exists
            && self.root != later.root
            && self.name == later.name
            && self.remote.is_some()
            && self.remote == later.remote
            && self.file.file_name() == later.file.file_name()
    }
}
