//! The one task that owns the engine: receives, sets the clock, steps, runs effects, publishes.
//!
//! Never decides: whatever needs a decision is an input to [`crate::engine::Engine::step`].

mod edits;
pub mod handle;
mod logs;
mod moved;
mod names;
pub mod patterns;
pub mod peer;
mod projects;
mod readiness;
mod run;
mod sampler;
mod search;
mod signs;
mod spool;
mod terminal;
mod timers;
mod troubles;
pub mod veil;
mod watches;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tokio::{sync::mpsc, sync::watch, task::JoinHandle};

use self::handle::{Handle, Link, LogFeed, REQUEST_CAPACITY};
pub use self::{
    logs::{Hub, IntakeSink, Opened},
    projects::{Care, Gate},
    spool::{Left, Spool},
};
use crate::{
    config::paths::Paths,
    engine::{Budget, Engine, Settings},
    insight::entry::Formats,
    model::{
        command::Command,
        event::{Event, TroubleSlot},
        ids::{RequestId, ServiceId},
        log::LogFormat,
        policy::{Autopilot, Consent, Origin, Request},
        project::ProjectSpec,
        redact::Masks,
        service::Containment,
        snapshot::Snapshot,
    },
    world::{self, Learner, World, clock, log_files::archive::Archivist, notify::Notifier, store::Store},
};

/// Facts that may wait for the engine; more make the world wait (back-pressure).
const EVENT_CAPACITY: usize = 4096;

/// Log batches that may wait for the hub; more make the readers of output wait (back-pressure).
const OUTPUT_CAPACITY: usize = 32;

/// Projects that may wait to be taken in; more wait in their tasks.
const OPENING_CAPACITY: usize = 4;

/// What an engine is hosted with.
#[derive(Clone)]
pub struct Config {
    /// Projects to open at once.
    pub projects: Vec<Arc<ProjectSpec>>,
    /// A directory whose project is found, read and opened while the engine runs already.
    pub directory: Option<PathBuf>,
    /// Where things are kept.
    pub paths: Paths,
    /// Whether the healer acts.
    pub autopilot: Autopilot,
    /// Whether a changed project file is taken in without being asked for.
    pub auto_reload: bool,
    /// Whether it learns how long services take to be ready.
    pub learning: bool,
    /// Bounds of mass restarts.
    pub budget: Budget,
    /// Seed of the jitter.
    pub seed: u64,
    /// Services that do not start by themselves at this opening, and why not.
    pub withheld: BTreeMap<ServiceId, String>,
    /// The process environment, for reading project files again.
    pub environment: BTreeMap<String, String>,
    /// Soft limit of open files that services get; none: that of this process.
    pub open_files: Option<u64>,
    /// The engine runs in the background.
    pub daemon: bool,
    /// The program `cas-shim`.
    pub shim: PathBuf,
    /// Takes each project that is opened for this engine alone; none: whoever hosts it has done so.
    pub gate: Option<Gate>,
    /// Told of every change of what is open.
    pub care: Option<Care>,
    /// Forms of log lines that the user has described.
    pub log_formats: Vec<LogFormat>,
    /// What the user wants masked in output, beside secrets.
    pub masks: Masks,
}

/// A hosted engine.
#[derive(Debug)]
pub struct Host {
    /// The client's end.
    pub handle: Handle,
    /// Ends when the engine has: after [`Handle::leave`].
    pub task: JoinHandle<()>,
    /// What it knows of itself.
    pub facts: Facts,
}

/// Looks at an engine's own parts without asking it.
#[derive(Clone)]
pub struct Facts {
    events: mpsc::WeakSender<Event>,
    calls: mpsc::WeakSender<handle::Call>,
    store: Arc<Store>,
    world: World,
}

/// What [`Facts`] saw.
#[derive(Debug, Clone)]
pub struct FactsNow {
    /// Name, what waits, what it holds at most.
    pub queues: Vec<(&'static str, usize, usize)>,
    /// The store.
    pub store: world::store::StoreStatus,
    /// The slots.
    pub slots: world::SlotCensus,
}

impl Facts {
    /// Now. Never waits.
    #[must_use]
    pub fn look(&self) -> FactsNow {
        let mut queues = Vec::new();
        if let Some(events) = self.events.upgrade() {
            queues.push(("events", events.max_capacity() - events.capacity(), events.max_capacity()));
        }
        if let Some(calls) = self.calls.upgrade() {
            queues.push(("requests", calls.max_capacity() - calls.capacity(), calls.max_capacity()));
        }
        FactsNow { queues, store: self.store.status(), slots: self.world.census() }
    }
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").finish_non_exhaustive()
    }
}

/// Why an engine could not be hosted.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sampler could not be made.
    #[error("cannot read this machine's figures: {0}")]
    Sampler(String),
    /// A thread could not be made.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Asks for a reload at the door, as whoever edits a file would.
fn reload_by(calls: mpsc::WeakSender<handle::Call>) -> edits::Reload {
    Arc::new(move || {
        let Some(calls) = calls.upgrade() else { return };
        let (id, origin, command) = (RequestId(0), Origin::Config, Command::Reload);
        let request = Request { id, origin, command, consent: Consent::Ask, if_rev: None, asker: None };
        // The timeline has what came of it. An error means that the engine has ended.
        let (reply, _unread) = tokio::sync::oneshot::channel();
        let _ended = calls.blocking_send(handle::Call::Request { request, reply });
    })
}

/// Hosts an engine in this process. Needs a multi-threaded tokio runtime.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
#[expect(clippy::too_many_lines, reason = "everything is made once, in order")]
pub fn start(config: Config) -> Result<Host, StartError> {
    let started = clock::now();
    let (events, inbox) = mpsc::channel(EVENT_CAPACITY);
    let (output, captured) = mpsc::channel(OUTPUT_CAPACITY);
    let (calls, door) = mpsc::channel(REQUEST_CAPACITY);

    let (openings, opened) = mpsc::channel(OPENING_CAPACITY);

    let troubles = troubles::Troubles::new(events.clone());
    let of_store = troubles.clone();
    let store = Arc::new(Store::open(config.paths.database(), move |text| of_store.tell(TroubleSlot::Store, text)));
    let veil = veil::Veil::of(&config.environment, &config.masks);
    let learning = veil.clone();
    let learner = Learner::new(move |service, values| learning.learn_values(service, values));
    let lines = output.downgrade();
    let world = World::start(
        world::Settings { open_files: config.open_files, shim: config.shim, learner, ..world::Settings::default() },
        events.clone(),
        output,
    );
    for project in &config.projects {
        let place = Paths::place(&project.name, &project.root);
        let slots = config.paths.project_dir(&place).join("slots");
        world.open_project(&project.name, place.into(), slots, BTreeMap::new());
    }
    let mut engine = Engine::new(
        Settings {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            autopilot: config.autopilot,
            learning: config.learning,
            seed: config.seed,
            // Microseconds since the epoch: runs of later engines never repeat the id of an earlier one.
            first_run: u64::try_from(started.wall_us).unwrap_or(1),
            budget: config.budget,
            withheld: config.withheld,
            daemon: config.daemon,
            boot_id: clock::boot_id(),
            containment: Containment::default(),
        },
        started,
    );

    config.projects.iter().for_each(|project| veil.learn(project));
    let notifier = Notifier::start(events.clone(), config.environment.clone());
    let feed = LogFeed::behind(veil.clone());
    let taking = Arc::clone(&store);
    let sink = Box::new(move |intake| taking.take_in(intake));
    let (signs, readiness) = (signs::Signs::default(), readiness::Readiness::default());
    let (snapshots, pictures) = watch::channel(engine.snapshot(started));
    let (formats, faults) = Formats::with(&config.log_formats);
    for fault in faults {
        tracing::warn!("a form of log lines is not used: {fault}");
    }
    let formats = Arc::new(formats);
    let (mining, learning_patterns) = patterns::start(patterns::Means {
        veil: veil.clone(),
        store: Arc::clone(&store),
        events: events.downgrade(),
        pictures: pictures.clone(),
        formats: Arc::clone(&formats),
    })?;
    let looking = logs::Watch {
        signs: signs.clone(),
        readiness: readiness.clone(),
        events: events.downgrade(),
        mining: mining.clone(),
    };
    let hub = Hub::start_watching(captured, feed.clone(), sink, Archivist::start()?, looking);
    let disk_path = config.projects.first().map_or_else(|| PathBuf::from("/"), |project| project.root.clone());
    let sampler = sampler::start(disk_path, world.clone(), events.clone())?;

    let (spool, left) = Spool::begin(&config.paths.state.join("spool"), started);
    let told = left.ends().into();
    hand_on(left, Arc::clone(&store));
    let facts =
        Facts { events: events.downgrade(), calls: calls.downgrade(), store: Arc::clone(&store), world: world.clone() };
    let (link, linked) = watch::channel(Link::Local);
    let task = tokio::spawn(
        run::Loop {
            engine,
            projects: projects::Projects::new(
                projects::Means {
                    paths: config.paths,
                    world: world.clone(),
                    store: Arc::clone(&store),
                    hub: hub.clone(),
                    mining: mining.clone(),
                    gate: config.gate,
                    environment: Arc::new(config.environment),
                    told,
                    openings,
                    veil: veil.clone(),
                },
                config.care,
                edits::Edits::start(events.downgrade(), config.auto_reload.then(|| reload_by(calls.downgrade()))),
                watches::Watches::new(events.downgrade(), lines, world.runs_view()),
            ),
            world,
            store,
            hub,
            mining,
            _learning: learning_patterns,
            veil,
            formats,
            signs,
            readiness,
            spool,
            registry_read: clock::now(),
            timers: timers::Timers::default(),
            snapshots,
            events,
            troubles,
            notifier,
            pending: run::Pending::default(),
            _sampler: sampler,
            _link: link,
        }
        .run(inbox, door, opened, (config.projects, config.directory)),
    );
    Ok(Host { handle: Handle { calls, snapshots: pictures, logs: feed, link: linked }, task, facts })
}

/// Stores what engines that were killed had not stored yet.
fn hand_on(mut left: Left, store: Arc<Store>) {
    tokio::task::spawn_blocking(move || {
        for (count, entry) in left.entries.drain(..).enumerate() {
            store.record(Arc::new(entry));
            if count % 1000 == 999 {
                // More than the store's queue holds would be dropped.
                store.flush();
            }
        }
        store.flush();
        if store.status().queued == 0 {
            left.forget();
        }
    });
}

/// An empty picture, for clients that have not yet received one.
#[must_use]
pub fn empty_picture() -> Arc<Snapshot> {
    Arc::new(Snapshot::default())
}

#[cfg(test)]
mod tests;
