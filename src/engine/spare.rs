//! Project files that were edited while no engine ran. What is declared otherwise now runs on as it is, and what is gone from
//! the file runs on too: nobody has agreed to a restart or to an end. Reading the file again (`reload`) is such an agreement,
//! as under an engine that lives.
//!
//! Never: an end of a run because of what a file says that nobody asked to be applied.

use std::sync::Arc;

use crate::model::{
    attributes::Attributes,
    heritage::{FoundState, Heritage},
    ids::ServiceId,
    project::ProjectSpec,
    record::{FORGOTTEN, RunCare, ServiceRecord},
    service::{Backoff, CommandLine, Limits, RestartPolicy, ServiceKind, ServiceSpec, Source},
};

use super::{
    Engine,
    state::{Declared, Service},
};

impl Engine {
    /// Keeps those in sight that run and are gone from the file of a project that is being opened.
    pub(super) fn spare(&mut self, project: &ProjectSpec, heritage: &Heritage) {
        for found in &heritage.found {
            let id = ServiceId { project: project.name.clone(), service: found.service.clone() };
            let is_there = match &found.state {
                FoundState::Running { .. } => true,
                FoundState::Ended { leftover, .. } => *leftover > 0,
                FoundState::Rebooted | FoundState::Unverifiable { .. } => false,
            };
            let line = heritage.records.get(&found.service);
            // An earlier engine was told to end it, and was about to.
            let is_given_up = line.is_some_and(|line| **line == *FORGOTTEN);
            if !is_there || is_given_up || self.services.contains_key(&id) {
                continue;
            }
            let record = line.and_then(|line| ServiceRecord::parse(line).ok().flatten());
            let care = record.and_then(|record| record.state.run?.care).unwrap_or_default();
            let mut service = Service::new(Arc::new(undeclared(project, &id, care)), self.now);
            service.declared = Declared::NotAnyMore;
            self.services.insert(id, service);
        }
    }

    /// What is to be said of a run that is taken over and that its file does not ask for as it is.
    pub(super) fn edited_meanwhile(&self, id: &ServiceId) -> Option<&'static str> {
        let service = self.service(id)?;
        if service.declared == Declared::NotAnyMore {
            return Some(
                "it is gone from the project file; it runs on until somebody stops it or the file is reloaded",
            );
        }
        service.is_outdated().then_some("its part of the project file changed meanwhile; it runs on as it was started")
    }
}

/// What is known of a service that no file declares any more.
fn undeclared(project: &ProjectSpec, id: &ServiceId, care: RunCare) -> ServiceSpec {
    let RunCare { stop, logs, tty } = care;
    ServiceSpec {
        id: id.clone(),
        kind: ServiceKind::Process,
        container: None,
        command: CommandLine::Shell("(gone from the project file)".to_owned()),
        working_dir: project.root.clone(),
        environment: std::collections::BTreeMap::new(),
        secrets: std::collections::BTreeMap::new(),
        base_environment: None,
        limits: Limits::default(),
        attributes: Attributes::default(),
        logs,
        // What nobody declares any more is not touched.
        log_files: Arc::default(),
        tty,
        depends_on: std::collections::BTreeMap::new(),
        nature: None,
        probes: std::collections::BTreeMap::new(),
        ready_log_line: None,
        // Nothing says how it would be started again.
        restart: RestartPolicy::No,
        backoff: Backoff::default(),
        stop,
        hooks: crate::model::hooks::Hooks::default(),
        ports: Vec::new(),
        autostart: false,
        occasions: crate::model::occasion::Occasions::default(),
        source: Source { file: project.file.clone(), line: 1, column: 1 },
        description: None,
    }
}
