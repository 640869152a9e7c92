//! Files of services for which something is done: handed to who looks at them, and what is seen to the engine. Decides nothing.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::mpsc;

use crate::{
    config::paths::Paths,
    model::{
        event::{Event, TroubleSlot},
        ids::ProjectName,
        log_file::{Rotated, RotationRound},
        project::ProjectSpec,
    },
    world::{
        files::{FilesWatch, News, Watched},
        output::Taken,
        own_files::{self, Declared, OwnFiles, Runs},
    },
};

/// Looks after the files of all open projects.
pub(super) struct Watches {
    events: mpsc::WeakSender<Event>,
    output: mpsc::WeakSender<Taken>,
    runs: Arc<dyn Runs>,
    projects: BTreeMap<ProjectName, Project>,
    /// None before the first service that wants it.
    watch: Option<FilesWatch>,
    /// Who looks after files that services write themselves; none before the first service.
    own: Option<OwnFiles>,
}

/// What is looked at for one project.
struct Project {
    watched: Vec<Watched>,
    declared: Vec<Declared>,
}

impl Watches {
    /// Starts with no project.
    pub(super) const fn new(
        events: mpsc::WeakSender<Event>,
        output: mpsc::WeakSender<Taken>,
        runs: Arc<dyn Runs>,
    ) -> Self {
        Self { events, output, runs, projects: BTreeMap::new(), watch: None, own: None }
    }

    /// A project as it is in force now.
    pub(super) fn take(&mut self, spec: &ProjectSpec) {
        let watched = spec.services.iter().filter_map(|service| {
            let watch = service.occasions.watch.clone()?;
            Some(Watched { service: service.id.clone(), root: service.working_dir.clone(), watch })
        });
        let place: Arc<str> = Paths::place(&spec.name, &spec.root).into();
        let declared = spec.services.iter().map(|service| Declared {
            service: service.id.clone(),
            place: Arc::clone(&place),
            directory: service.working_dir.clone(),
            files: Arc::clone(&service.log_files),
        });
        let project = Project { watched: watched.collect(), declared: declared.collect() };
        self.projects.insert(spec.name.clone(), project);
        self.hand_on();
    }

    /// The project is closed.
    pub(super) fn leave(&mut self, name: &ProjectName) {
        if self.projects.remove(name).is_some() {
            self.hand_on();
        }
    }

    /// Begins a round. Where nobody can carry it out it is answered all the same.
    pub(super) fn rotate(&self, round: RotationRound) {
        if let Some(own) = &self.own {
            return own.rotate(round);
        }
        let error = "cas has no thread to rotate files with".to_owned();
        let shown = |path: &std::path::PathBuf| path.display().to_string();
        let outcome = |path: std::path::PathBuf| Rotated { shown: shown(&path), path, outcome: Err(error.clone()) };
        let files = round.files.into_iter().map(outcome).collect();
        if let Some(events) = self.events.upgrade() {
            tokio::spawn(async move {
                // An error means that the engine has ended.
                let _ended = events.send(Event::LogFilesRotated { service: round.service, files }).await;
            });
        }
    }

    /// What can be said of files that services write themselves; it blocks.
    pub(super) fn log_files(&self) -> Option<own_files::Views> {
        self.own.as_ref().map(OwnFiles::views)
    }

    fn hand_on(&mut self) {
        let watched: Vec<Watched> = self.projects.values().flat_map(|project| &project.watched).cloned().collect();
        if self.watch.is_none() && !watched.is_empty() {
            self.watch = self.begin();
        }
        if let Some(watch) = &self.watch {
            watch.watch(watched);
        }
        let declared: Vec<Declared> = self.projects.values().flat_map(|project| &project.declared).cloned().collect();
        if self.own.is_none() && !declared.is_empty() {
            self.own = self.begin_own();
        }
        if let Some(own) = &self.own {
            own.watch(declared);
        }
    }

    fn begin(&self) -> Option<FilesWatch> {
        let events = self.events.clone();
        let begun = FilesWatch::start(move |news| {
            let event = match news {
                News::Changed(service, change) => Event::FilesChanged { service, change },
                News::Short(text) => Event::Trouble { slot: TroubleSlot::Files, text },
            };
            tell(&events, event);
        });
        if let Err(error) = &begun {
            tracing::warn!(%error, "nobody looks whether files of services change");
        }
        begun.ok()
    }

    fn begin_own(&self) -> Option<OwnFiles> {
        let events = self.events.clone();
        let begun = OwnFiles::start(self.output.clone(), Arc::clone(&self.runs), move |news| {
            let event = match news {
                own_files::News::Due(service, files) => Event::LogFilesDue { service, files },
                own_files::News::Moved(service, run, signal) => Event::LogFilesMoved { service, run, signal },
                own_files::News::Rotated(service, files) => Event::LogFilesRotated { service, files },
            };
            tell(&events, event);
        });
        if let Err(error) = &begun {
            tracing::warn!(%error, "nobody follows or rotates files that services write themselves");
        }
        begun.ok()
    }
}

fn tell(events: &mpsc::WeakSender<Event>, event: Event) {
    if let Some(events) = events.upgrade() {
        // An error means that the engine has ended.
        let _ended = events.blocking_send(event);
    }
}
