//! Files of services for which something is done: handed to who looks at them, and what is seen to the engine. Decides nothing.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::{
    model::{
        event::{Event, TroubleSlot},
        ids::ProjectName,
        project::ProjectSpec,
    },
    world::files::{FilesWatch, News, Watched},
};

/// Looks after the files of all open projects.
pub(super) struct Watches {
    events: mpsc::WeakSender<Event>,
    projects: BTreeMap<ProjectName, Vec<Watched>>,
    /// None before the first service that wants it.
    watch: Option<FilesWatch>,
}

impl Watches {
    /// Starts with no project.
    pub(super) const fn new(events: mpsc::WeakSender<Event>) -> Self {
        Self { events, projects: BTreeMap::new(), watch: None }
    }

    /// A project as it is in force now.
    pub(super) fn take(&mut self, spec: &ProjectSpec) {
        let watched = spec.services.iter().filter_map(|service| {
            let watch = service.occasions.watch.clone()?;
            Some(Watched { service: service.id.clone(), root: service.working_dir.clone(), watch })
        });
        self.projects.insert(spec.name.clone(), watched.collect());
        self.hand_on();
    }

    /// The project is closed.
    pub(super) fn leave(&mut self, name: &ProjectName) {
        if self.projects.remove(name).is_some() {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        let watched: Vec<Watched> = self.projects.values().flatten().cloned().collect();
        if self.watch.is_none() && !watched.is_empty() {
            self.watch = self.begin();
        }
        if let Some(watch) = &self.watch {
            watch.watch(watched);
        }
    }

    fn begin(&self) -> Option<FilesWatch> {
        let events = self.events.clone();
        let begun = FilesWatch::start(move |news| {
            let event = match news {
                News::Changed(service, change) => Event::FilesChanged { service, change },
                News::Short(text) => Event::Trouble { slot: TroubleSlot::Files, text },
            };
            if let Some(events) = events.upgrade() {
                // An error means that the engine has ended.
                let _ended = events.blocking_send(event);
            }
        });
        if let Err(error) = &begun {
            tracing::warn!(%error, "nobody looks whether files of services change");
        }
        begun.ok()
    }
}
