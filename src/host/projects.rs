//! Projects as the host knows them: where each has its place, its journal, its lock; and how one is opened.
//!
//! Never decides what becomes of services: it gathers what earlier engines left and hands that to the engine.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    edits::{Edits, InForce},
    logs::{Hub, Opened},
    moved,
    names::{Claim, Names},
    patterns::Mining,
    veil::Veil,
    watches::Watches,
};
use crate::{
    config::{self, paths::Paths},
    model::{
        event::Event,
        heritage::{Found, FoundState, Heritage},
        ids::{ProjectName, RequestId, RunId, ServiceId},
        log_file::RotationRound,
        project::{Problem, ProjectSpec},
        record::ServiceRecord,
        service::BaseEnvironment,
        time::Timestamp,
        timeline::Entry,
    },
    world::{
        World, clock,
        journal::{self, Journal},
        own_files::Views,
        store::{EntryFilter, Store},
    },
};

/// How long the shims of a project may take to answer when it is opened. Those that do not are replaced.
const PATIENCE: Duration = Duration::from_millis(800);

/// How long Docker may take to say whether it is there when a project with containers is opened.
const DOCKER_PATIENCE: Duration = Duration::from_secs(6);

/// So long before its end an engine may have told of what it had not remembered yet; ends before are in its records for sure.
const UNRECORDED_US: i64 = 60_000_000;

/// The newest entries of a service among which the last end is looked for.
const ENTRIES_OF_AN_END: usize = 100;

/// Takes a project for this engine alone: what it returns is held while the project is open. An error is a sentence.
pub type Gate = Arc<dyn Fn(&ProjectSpec) -> Result<Box<dyn Any + Send + Sync>, String> + Send + Sync>;

/// Told when the set of open projects changes: `cas daemon` remembers them for its next start.
pub type Care = Arc<dyn Fn(&[Arc<ProjectSpec>]) + Send + Sync>;

/// An open project.
struct Place {
    spec: Arc<ProjectSpec>,
    environment: Option<BaseEnvironment>,
    directory: PathBuf,
    journal: Journal,
    remote: Option<String>,
    /// Dropped when the project is closed.
    _guard: Option<Box<dyn Any + Send + Sync>>,
    /// Dropped after all else.
    claim: Claim,
}

/// A project that was read and gathered, on its way to the loop.
pub(super) struct Opening {
    place: Option<Place>,
    event: Event,
    troubles: Vec<String>,
}

/// What opening needs of the host.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) paths: Paths,
    pub(super) world: World,
    pub(super) store: Arc<Store>,
    pub(super) hub: Hub,
    pub(super) mining: Mining,
    pub(super) gate: Option<Gate>,
    pub(super) environment: Arc<BTreeMap<String, String>>,
    /// What killed engines had told of ends and not stored yet when this one began.
    pub(super) told: Arc<[Entry]>,
    pub(super) openings: mpsc::Sender<Opening>,
    pub(super) veil: Veil,
}

/// The open projects.
pub(super) struct Projects {
    means: Means,
    names: Names,
    places: HashMap<ProjectName, Place>,
    care: Option<Care>,
    edits: Edits,
    watches: Watches,
    troubled: bool,
}

/// Whether records can be kept.
pub(super) enum Kept {
    /// As for the record before.
    AsBefore,
    /// They can be again.
    Again,
    /// They cannot any more; the sentence says why.
    NoMore(String),
}

/// A project that is open, and how its file is read.
pub(super) struct Open {
    pub(super) name: ProjectName,
    pub(super) file: PathBuf,
    pub(super) environment: Arc<BTreeMap<String, String>>,
    pub(super) base: Option<BaseEnvironment>,
}

/// A project to be opened.
pub(super) enum Wanted {
    /// It was read already.
    Read(Arc<ProjectSpec>),
    /// It is to be found and read.
    Find { directory: PathBuf, environment: Option<BaseEnvironment>, request: Option<RequestId> },
}

impl Projects {
    pub(super) fn new(means: Means, care: Option<Care>, edits: Edits, watches: Watches) -> Self {
        Self { means, names: Names::default(), places: HashMap::new(), care, edits, watches, troubled: false }
    }

    /// Begins to open a project; what comes of it arrives as an [`Opening`].
    pub(super) fn open(&self, wanted: Wanted) {
        let (means, names) = (self.means.clone(), self.names.clone());
        tokio::spawn(async move {
            let opening = means.gather(wanted, &names).await;
            // An error means that the engine has ended; a lock that was taken is let go of with the opening.
            let _ended = means.openings.send(opening).await;
        });
    }

    /// Takes a project in, and gives the event that tells the engine, with what is wrong with its records.
    pub(super) fn take(&mut self, opening: Opening) -> (Event, Vec<String>) {
        let Opening { place, event, troubles } = opening;
        if let Some(place) = place {
            place.claim.has_opened(&place.spec);
            let (spec, name) = (Arc::clone(&place.spec), place.spec.name.clone());
            self.places.insert(name.clone(), place);
            // Known before the first line of its files is given.
            self.means.veil.learn(&spec);
            self.watches.take(&spec);
            let (environment, base) = self.environment_of(&name);
            self.edits.take(&InForce { spec, environment, base });
            self.tell_care();
        }
        (event, troubles)
    }

    /// The file of an open project was read again.
    pub(super) fn has_changed(&mut self, spec: &Arc<ProjectSpec>) {
        // A project of the same name elsewhere is another one.
        if let Some(place) = self.places.get_mut(&spec.name).filter(|place| place.spec.root == spec.root) {
            place.spec = Arc::clone(spec);
            self.means.veil.learn(spec);
            self.watches.take(spec);
            self.edits.take_again(spec);
            place.claim.has_opened(spec);
        }
    }

    /// Begins to rotate files that a service writes itself.
    pub(super) fn rotate(&self, round: RotationRound) {
        self.watches.rotate(round);
    }

    /// What can be said of files that services write themselves; it blocks. None where nobody looks after them.
    pub(super) fn log_files(&self) -> Option<Views> {
        self.watches.log_files()
    }

    /// The project is no longer under care.
    pub(super) fn close(&mut self, name: &ProjectName) {
        if let Some(place) = self.places.remove(name) {
            self.edits.leave(name);
            self.watches.leave(name);
            place.claim.is_closing();
            self.tell_care();
            let Means { world, hub, mining, .. } = self.means.clone();
            let name = name.clone();
            let key: Arc<str> = Paths::place(&name, &place.spec.root).into();
            tokio::spawn(async move {
                world.close_project(&name).await;
                hub.close(key).await;
                mining.close(&name).await;
                // Only now may another engine take it, or this one open it again.
                drop(place);
            });
        }
    }

    /// Every project's shims are let go of, as nothing runs; the locks stay until the engine is gone.
    pub(super) async fn close_all(&self) {
        for name in self.places.keys() {
            self.means.world.close_project(name).await;
        }
    }

    /// Keeps a record.
    pub(super) fn remember(&mut self, service: &ServiceId, record: &str) -> Kept {
        let Some(place) = self.places.get_mut(&service.project) else { return Kept::AsBefore };
        match place.journal.remember(&service.service, record) {
            Ok(()) if std::mem::take(&mut self.troubled) => Kept::Again,
            Ok(()) => Kept::AsBefore,
            Err(error) => {
                if std::mem::replace(&mut self.troubled, true) {
                    return Kept::AsBefore;
                }
                let directory = place.directory.display();
                Kept::NoMore(format!(
                    "records for the next engine cannot be written in {directory}: {error}; free some space there: services go on, but a crash of cas now would lose their restart counts"
                ))
            }
        }
    }

    /// Says that this engine is alive: the next one reads how long nobody looked.
    pub(super) fn touch(&self) {
        for place in self.places.values() {
            if let Err(error) = place.journal.touch() {
                tracing::debug!(%error, "a journal cannot be touched");
            }
        }
    }

    /// The slot of a service of an open project.
    pub(super) fn slot_of(&self, service: &ServiceId) -> Option<PathBuf> {
        let place = self.places.get(&service.project)?;
        Some(place.directory.join("slots").join(service.service.as_str()))
    }

    /// The Git remote of an open project.
    pub(super) fn remote_of(&self, name: &ProjectName) -> Option<String> {
        self.places.get(name)?.remote.clone()
    }

    /// The environment in which a project's file is read, and what its services begin with.
    pub(super) fn environment_of(
        &self,
        name: &ProjectName,
    ) -> (Arc<BTreeMap<String, String>>, Option<BaseEnvironment>) {
        let own = self.places.get(name).and_then(|place| place.environment.clone());
        (own.as_ref().map_or_else(|| Arc::clone(&self.means.environment), |own| Arc::clone(&own.0)), own)
    }

    /// Name, file and environment of every open project.
    pub(super) fn open_files(&self) -> Vec<Open> {
        let one = |(name, place): (&ProjectName, &Place)| {
            let (environment, base) = self.environment_of(name);
            Open { name: name.clone(), file: place.spec.file.clone(), environment, base }
        };
        self.places.iter().map(one).collect()
    }

    fn tell_care(&self) {
        if let Some(care) = &self.care {
            let mut specs: Vec<Arc<ProjectSpec>> = self.places.values().map(|place| Arc::clone(&place.spec)).collect();
            specs.sort_by(|a, b| a.name.cmp(&b.name));
            care(&specs);
        }
    }
}

impl Means {
    async fn gather(&self, wanted: Wanted, names: &Names) -> Opening {
        let (request, environment) = match &wanted {
            Wanted::Read(_) => (None, None),
            Wanted::Find { request, environment, .. } => (*request, environment.clone()),
        };
        let own = Arc::clone(&self.environment);
        let base = environment.clone();
        let read = tokio::task::spawn_blocking(move || match wanted {
            Wanted::Read(spec) => Ok(spec),
            Wanted::Find { directory, .. } => find(&directory, base.as_ref(), &own),
        });
        let spec = match read.await {
            Ok(Ok(spec)) => spec,
            Ok(Err((reason, hint))) => return refused(request, reason, hint),
            Err(_panicked) => return refused(request, "reading it failed by a defect of cas".to_owned(), None),
        };
        let claim = match names.claim(&spec.name).await {
            Ok(claim) => claim,
            Err(other) => {
                // The engine knows it, and says so.
                let project = if other.root == spec.root { other } else { spec };
                let event = Event::ProjectLoaded { project, heritage: Heritage::default(), request };
                return Opening { place: None, event, troubles: Vec::new() };
            }
        };
        let guard = match self.gate.as_ref().map(|gate| gate(&spec)).transpose() {
            Ok(guard) => guard,
            Err(reason) => return refused(request, reason, None),
        };
        self.inherit(spec, environment, (guard, claim), request).await
    }

    /// What earlier engines left of it.
    async fn inherit(
        &self,
        spec: Arc<ProjectSpec>,
        environment: Option<BaseEnvironment>,
        (guard, claim): (Option<Box<dyn Any + Send + Sync>>, Claim),
        request: Option<RequestId>,
    ) -> Opening {
        // Before its first line is given to anyone.
        self.veil.learn(&spec);
        let key: Arc<str> = Paths::place(&spec.name, &spec.root).into();
        let directory = self.paths.project_dir(&key);
        let (store, place, dir) = (Arc::clone(&self.store), Arc::clone(&key), directory.clone());
        let (paths, own) = (self.paths.clone(), Arc::clone(&spec));
        let kept = tokio::task::spawn_blocking(move || {
            let remote = config::git::remote(&own.root);
            let stays = moved::follow(&paths, &store, &own, remote.as_deref());
            let last_alive = journal::last_alive_wall_us(&dir);
            let (journal, records, mut troubles) = Journal::open(&dir);
            troubles.extend(stays);
            let of_output = (store.cursors(&place), store.patterns(&place));
            ((journal, remote), records, troubles, last_alive, of_output)
        });
        let Ok(((journal, remote), records, troubles, last_alive, (cursors, patterns))) = kept.await else {
            return refused(request, "reading its records failed by a defect of cas".to_owned(), None);
        };
        // Before its first output.
        self.mining.open(&spec.name, Arc::clone(&key), patterns);
        let slots = directory.join("slots");
        let policies = spec.services.iter().map(|service| (service.id.service.clone(), service.logs)).collect();
        let opened = Opened {
            project: spec.name.clone(),
            place: Arc::clone(&key),
            slots: slots.clone(),
            cursors: cursors.clone(),
            policies,
        };
        self.hub.refill(opened).await;
        self.world.open_project(&spec.name, Arc::clone(&key), slots, cursors);
        let mut found = self.world.survey(&spec.name, PATIENCE).await;
        let noted = records.values().filter_map(|line| ServiceRecord::parse(line).ok().flatten());
        let newest = found.iter().map(|found| found.run).chain(noted.map(|record| record.state.last_run));
        let newest = newest.fold(RunId(0), RunId::max);
        // Of a service that was a process before, what is left of that goes first.
        let containers = self.world.survey_containers(&spec, newest, DOCKER_PATIENCE).await;
        found.extend(
            containers
                .into_iter()
                .filter(|one| !found.iter().any(|other| other.service == one.service))
                .collect::<Vec<_>>(),
        );
        // Before anything that they wrote is shown.
        let (world, own, there) = (self.world.clone(), Arc::clone(&spec), found.clone());
        let recalled = tokio::task::spawn_blocking(move || world.recall(&own, &there)).await;
        if recalled.is_err() {
            return refused(request, "reading its secrets failed by a defect of cas".to_owned(), None);
        }
        let told = self.told(&spec.name, &found, last_alive).await;
        let last_alive = last_alive.map(|wall_us| at_wall(wall_us, clock::now()));
        let event = Event::ProjectLoaded {
            project: Arc::clone(&spec),
            heritage: Heritage { records, found, last_alive, told },
            request,
        };
        let place = Place { spec, environment, directory, journal, remote, _guard: guard, claim };
        Opening { place: Some(place), event, troubles }
    }

    /// What earlier engines told of the ends that were found: what the last one had not stored, and what those before it had.
    async fn told(&self, project: &ProjectName, found: &[Found], last_alive: Option<i64>) -> Vec<Entry> {
        // Of what ended long before the last engine did, its records know.
        let earliest = last_alive.unwrap_or(i64::MIN).saturating_sub(UNRECORDED_US);
        let ends = found.iter().filter_map(|found| match &found.state {
            FoundState::Ended { at, .. } if at.wall_us >= earliest => Some((found.service.clone(), at.wall_us)),
            FoundState::Ended { .. }
            | FoundState::Running { .. }
            | FoundState::Rebooted
            | FoundState::Unverifiable { .. } => None,
        });
        let (services, ended): (Vec<_>, Vec<_>) = ends.unzip();
        let Some(first) = ended.into_iter().min() else { return Vec::new() };
        let filter = EntryFilter {
            limit: services.len() * ENTRIES_OF_AN_END,
            project: Some(project.clone()),
            services,
            since_wall_us: Some(first.saturating_sub(UNRECORDED_US)),
        };
        let (store, asked) = (Arc::clone(&self.store), filter.clone());
        let stored = tokio::task::spawn_blocking(move || store.entries_soon(&asked)).await.unwrap_or_default();
        let unstored = self.told.iter().filter(|entry| filter.takes(entry)).cloned();
        stored.into_iter().chain(unstored).collect()
    }
}

/// The instant of `wall_us`, as far as the clock was not set since.
fn at_wall(wall_us: i64, now: Timestamp) -> Timestamp {
    let ago = u64::try_from(now.wall_us.saturating_sub(wall_us)).unwrap_or(0);
    Timestamp { mono_us: now.mono_us.saturating_sub(ago), wall_us }
}

fn refused(request: Option<RequestId>, reason: String, hint: Option<String>) -> Opening {
    let event = match request {
        Some(request) => Event::OpenRefused { request, reason, hint },
        // At the start of an engine nobody waits for an answer.
        None => Event::ProjectRefused { problems: vec![Problem { source: None, message: reason, hint }] },
    };
    Opening { place: None, event, troubles: Vec::new() }
}

type Refusal = (String, Option<String>);

/// Finds and reads the project of a directory.
fn find(
    directory: &Path,
    base: Option<&BaseEnvironment>,
    own: &BTreeMap<String, String>,
) -> Result<Arc<ProjectSpec>, Refusal> {
    // A file that no directory leads to is named itself.
    let file = if directory.is_file() {
        directory.to_owned()
    } else {
        config::find(directory).map_err(|error| (error.to_string(), None))?.file
    };
    let loaded = config::load(&file, None, base.map_or(own, |base| &base.0));
    if let Some(first) = loaded.errors.first() {
        let more = loaded.errors.len() - 1;
        let reason = if more == 0 { first.to_string() } else { format!("{first}, and {more} more") };
        return Err((reason, Some(format!("run cas check in {}", directory.display()))));
    }
    let spec = loaded.project.ok_or_else(|| (format!("{} holds no project", file.display()), None))?;
    Ok(Arc::new(with_environment(spec, base)))
}

/// The same project, its services beginning with `base`.
pub(super) fn with_environment(mut spec: ProjectSpec, base: Option<&BaseEnvironment>) -> ProjectSpec {
    for service in &mut spec.services {
        let mut own = (**service).clone();
        own.base_environment = base.cloned();
        *service = Arc::new(own);
    }
    spec
}
