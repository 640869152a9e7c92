//! Project files that were changed and are not in force. Takes one in only where its user wants that (`auto_reload`); else it is asked for (`cas reload`).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;

use super::projects::with_environment;
use crate::{
    config::{self, FileKind},
    engine,
    model::{
        event::{Event, TroubleSlot},
        ids::ProjectName,
        project::ProjectSpec,
        service::BaseEnvironment,
    },
    world::watch::{FileWatch, News},
};

/// What is in force of a file, and how it is read.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) spec: Arc<ProjectSpec>,
    pub(super) environment: Arc<BTreeMap<String, String>>,
    pub(super) base: Option<BaseEnvironment>,
}

/// Looks after the files of all open projects.
pub(super) struct Edits {
    watch: Option<FileWatch>,
    shared: Arc<Shared>,
}

/// Has the engine read its files again; called on the thread of the watch.
pub(super) type Reload = Arc<dyn Fn() + Send + Sync>;

struct Shared {
    events: mpsc::WeakSender<Event>,
    /// None where changes are only told.
    reload: Option<Reload>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    files: BTreeMap<PathBuf, InForce>,
    /// A sentence for each that was changed.
    changed: BTreeMap<PathBuf, String>,
    slow: Option<String>,
    told: Option<String>,
}

impl Edits {
    /// Starts with no project.
    pub(super) fn start(events: mpsc::WeakSender<Event>, reload: Option<Reload>) -> Self {
        let shared = Arc::new(Shared { events, reload, known: Mutex::default() });
        let theirs = Arc::clone(&shared);
        let watch = FileWatch::start(move |news| theirs.hear(news));
        if let Err(error) = &watch {
            tracing::warn!(%error, "nobody looks whether project files change");
        }
        Self { watch: watch.ok(), shared }
    }

    /// This is in force now: the project was opened, or its file read again.
    pub(super) fn take(&self, in_force: &InForce) {
        let name = in_force.spec.name.clone();
        self.change(|known| {
            // Another reading may rest on other files.
            known.files.retain(|_, other| other.spec.name != name);
            for file in files_of(&in_force.spec) {
                known.files.insert(file, in_force.clone());
            }
            let Known { files, changed, .. } = known;
            changed.retain(|file, _| files.get(file).is_some_and(|other| other.spec.name != name));
        });
    }

    /// The same where its file was read again; nothing where it is not open.
    pub(super) fn take_again(&self, spec: &Arc<ProjectSpec>) {
        let before = self.shared.lock().files.values().find(|in_force| in_force.spec.name == spec.name).cloned();
        if let Some(before) = before {
            self.take(&InForce { spec: Arc::clone(spec), ..before });
        }
    }

    /// The project is closed.
    pub(super) fn leave(&self, name: &ProjectName) {
        self.change(|known| {
            known.files.retain(|_, in_force| in_force.spec.name != *name);
            let Known { files, changed, .. } = known;
            changed.retain(|file, _| files.contains_key(file));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let (files, news): (BTreeSet<PathBuf>, _) = {
            let mut known = self.shared.lock();
            change(&mut known);
            (known.files.keys().cloned().collect(), known.news())
        };
        if let Some(watch) = &self.watch {
            watch.watch(files);
        }
        if let (Some(news), Some(events)) = (news, self.shared.events.upgrade()) {
            // Told by the loop itself, which must not wait for itself: where the queue is full, with the next change.
            if events.try_send(news).is_err() {
                self.shared.lock().told = Some(String::new());
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the thread of the watch.
    fn hear(&self, news: News) {
        match news {
            News::Slow(why) => {
                if let Some(why) = &why {
                    tracing::warn!("{why}");
                }
                self.lock().slow = why;
            }
            News::Changed(file) => {
                let Some(in_force) = self.lock().files.get(&file).cloned() else { return };
                let (sentence, can_be_taken) = match difference(&file, &in_force) {
                    Some(Difference { sentence, can_be_taken }) => (Some(sentence), can_be_taken),
                    None => (None, false),
                };
                if can_be_taken && let Some(reload) = &self.reload {
                    // What stands in the file by then is shown by the timeline, and what cannot be taken is told as ever.
                    return reload();
                }
                let mut known = self.lock();
                // It may have been read again meanwhile.
                let is_same = known.files.get(&file).is_some_and(|now| Arc::ptr_eq(&now.spec, &in_force.spec));
                match sentence {
                    Some(sentence) if is_same => drop(known.changed.insert(file, sentence)),
                    Some(_) | None => drop(known.changed.remove(&file)),
                }
            }
        }
        let news = self.lock().news();
        if let (Some(news), Some(events)) = (news, self.events.upgrade()) {
            // An error means that the engine has ended.
            let _ended = events.blocking_send(news);
        }
    }
}

impl Known {
    /// What is to be told, where that is another thing than before.
    fn news(&mut self) -> Option<Event> {
        let more = self.changed.len().saturating_sub(1);
        let text = match (self.changed.first_key_value(), &self.slow) {
            (Some((_, sentence)), _) if more == 0 => Some(sentence.clone()),
            (Some((_, sentence)), _) => Some(format!("{sentence}; and {more} more")),
            (None, slow) => slow.clone(),
        };
        (text != self.told).then(|| {
            self.told.clone_from(&text);
            Event::Trouble { slot: TroubleSlot::Config, text }
        })
    }
}

/// The files of which a change may be one of the project.
fn files_of(spec: &ProjectSpec) -> BTreeSet<PathBuf> {
    let told = spec.services.iter().map(|service| service.source.file.clone());
    let mut files: BTreeSet<PathBuf> = told.chain([spec.file.clone()]).collect();
    if FileKind::of(&spec.file) == FileKind::Found {
        // What is written later wins over all that was found.
        files.insert(spec.root.join("cas.yaml"));
        files.remove(&spec.file);
    }
    files
}

/// What a change comes to.
struct Difference {
    sentence: String,
    can_be_taken: bool,
}

/// What the project's files say now, where that is not what is in force.
fn difference(file: &Path, in_force: &InForce) -> Option<Difference> {
    let shown = file.display();
    let loaded = config::load(&in_force.spec.file, Some(in_force.spec.name.clone()), &in_force.environment);
    if let Some(first) = loaded.errors.first() {
        let sentence = format!("{shown} was changed and cannot be taken: {first}; everything stays as it is");
        return Some(Difference { sentence, can_be_taken: false });
    }
    let now = with_environment(loaded.project?, in_force.base.as_ref());
    (now != *in_force.spec).then(|| {
        let what = engine::difference(&in_force.spec, &now);
        let what = if what.is_empty() { what } else { format!(" ({what})") };
        let sentence = format!("{shown} was changed and is not in force yet: cas reload takes it in{what}");
        Difference { sentence, can_be_taken: true }
    })
}
