//! What a verb needs from the rest of cas, as one trait, so that every verb runs against a scripted one in tests.
//! Never knows how an engine is reached, hosted or stored.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use tokio::sync::mpsc;

use super::{interrupts::Interrupt, outcome::Outcome};
use crate::{
    config,
    host::handle::Handle,
    model::{
        ids::{ProjectName, ServiceId},
        log::LogBatch,
        phase::PortHolder,
        project::{Problem, ProjectRecord, ProjectSpec},
        service::Port,
        time::Timestamp,
        timeline::Entry,
    },
};

/// A project file, read and checked.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The file.
    pub file: PathBuf,
    /// The project; none where there are errors.
    pub project: Option<Arc<ProjectSpec>>,
    /// What is noteworthy.
    pub notes: Vec<Problem>,
    /// What is wrong.
    pub errors: Vec<Problem>,
    /// What `check --json` prints.
    pub json: Value,
}

/// Which services an engine of our own starts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Those with `autostart: true`.
    Autostart,
    /// None: what is wanted will be asked for.
    Quiet,
}

/// Which part of the stored output is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogExtent {
    /// The file of the project that was asked in: of two projects with one name, that one is meant.
    pub file: PathBuf,
    /// Whose.
    pub services: Vec<ServiceId>,
    /// Not before, microseconds since the Unix epoch.
    pub since_us: Option<i64>,
    /// Not after, microseconds since the Unix epoch.
    pub until_us: Option<i64>,
}

/// The rest of cas. Errors are sentences for people.
pub trait Outside {
    /// Now, on both clocks.
    fn now(&self) -> Timestamp;

    /// The project file of `directory` or of one above it.
    ///
    /// # Errors
    /// Where was looked, and for what.
    fn find(&self, directory: &Path) -> Result<PathBuf, String> {
        config::find(directory).map(|found| found.file).map_err(|error| error.to_string())
    }

    /// Reads and checks a project file. What is wrong with it is in the answer.
    fn load(&self, file: &Path, env: &BTreeMap<String, String>) -> Checked {
        let loaded = config::load(file, None, env);
        let json = config::check_json(&loaded);
        let config::Loaded { file, project, notes, errors, .. } = loaded;
        Checked { file, project: project.map(Arc::new), notes, errors, json }
    }

    /// Who listens on these ports of this machine now.
    fn port_holders(&self, ports: &[Port]) -> Vec<PortHolder>;

    /// The engine that runs the project of `file` now; none where there is none.
    ///
    /// # Errors
    /// There is one, and it cannot be talked to.
    fn connect(&self, file: &Path) -> impl Future<Output = Result<Option<Handle>, String>>;

    /// Starts an engine in this process.
    ///
    /// # Errors
    /// Why it cannot be.
    fn host(&self, project: Arc<ProjectSpec>, opening: Opening) -> impl Future<Output = Result<Handle, String>>;

    /// Shows the console until the person leaves it, and says how it was left. An engine of this process is left running.
    ///
    /// # Errors
    /// Why it cannot be shown (any more).
    fn console(&self, handle: Handle, theme: Option<&str>) -> impl Future<Output = Result<Outcome, String>>;

    /// Gives stored output to `each`, oldest first over all services, until it breaks. Run and first sequence number of
    /// each batch are those with which it was published.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn stored_logs(&self, extent: &LogExtent, each: &mut dyn FnMut(&LogBatch) -> ControlFlow<()>)
    -> Result<(), String>;

    /// The newest `limit` stored entries about `project`, not before `since_us`, oldest first.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn stored_entries(&self, project: &ProjectName, since_us: Option<i64>, limit: usize) -> Result<Vec<Entry>, String>;

    /// Every project that cas has seen.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn registry(&self) -> Result<Vec<ProjectRecord>, String>;

    /// Takes a project off the list.
    ///
    /// # Errors
    /// Why it cannot be.
    fn forget(&self, project: &ProjectRecord) -> Result<(), String>;

    /// SIGINT and SIGTERM from now on, instead of being ended by them.
    ///
    /// # Errors
    /// Why they cannot be caught.
    fn interrupts(&self) -> Result<mpsc::Receiver<Interrupt>, String>;
}
