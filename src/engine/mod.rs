//! Decides. Promise: the same settings and the same inputs at the same instants give the same effects, in the same order.
//!
//! Every wish comes through one door ([`Engine::step`] with a request), every fact is an event, and what is wanted meets
//! what is there in one function, `reconcile`: restart, dependency order, stop-wins and give-up fall out of it.
//!
//! Never: I/O, a clock, a thread, a runtime, an error that escapes (a failure of the world is an event).

mod alerts;
mod budget;
mod census;
mod clock;
mod deeds;
mod difference;
mod door;
mod ending;
mod exam;
mod fate;
mod files;
mod flap;
mod graph;
mod halt;
mod heal;
mod health;
mod heritage;
mod honest;
mod hooks;
mod learn;
mod leftover;
mod mend;
mod names;
mod patterns;
mod plan;
mod policy;
mod projects;
mod reload;
mod remember;
mod revision;
mod rotate;
mod spare;
mod state;
mod step;
mod still;
mod supervise;
mod timeline;
mod told;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
};

use crate::model::{
    container::{ContainerView, Reach},
    effect::Effect,
    event::TroubleSlot,
    ids::{ProjectName, RunId, ServiceId},
    policy::{Autopilot, Origin},
    project::{Problem, ProjectRecord, ProjectSpec},
    record::Choice,
    redact::Redactor,
    service::Containment,
    snapshot::HostView,
    time::Timestamp,
};

pub use budget::Budget;
pub use census::Census;
pub use difference::{Reading, changed_keys, difference};

use budget::Bucket;
use projects::Opening;
use state::Service;
use timeline::Journal;
use told::Told;

/// What an engine is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Version of cas, shown.
    pub version: String,
    /// Process id of the engine, shown.
    pub pid: u32,
    /// Whether the healer acts at first.
    pub autopilot: Autopilot,
    /// Whether it learns how long services take to be ready, and says so.
    pub learning: bool,
    /// Seed of every random choice (jitter).
    pub seed: u64,
    /// The first run id to give away; greater than any that was ever used.
    pub first_run: u64,
    /// How many restarts the healer may make in all.
    pub budget: Budget,
    /// Services that do not start by themselves when their project is opened first, and why not.
    pub withheld: BTreeMap<ServiceId, String>,
    /// Which boot of the machine this is, as the kernel names it (`/proc/sys/kernel/random/boot_id`); empty: not known, so
    /// that every record counts as of this boot.
    pub boot_id: String,
    /// Whether it runs in the background, shown.
    pub daemon: bool,
    /// How processes of services are held together here, shown.
    pub containment: Containment,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: String::new(),
            pid: 0,
            autopilot: Autopilot::On,
            learning: false,
            seed: 0,
            first_run: 1,
            budget: Budget::default(),
            withheld: BTreeMap::new(),
            boot_id: String::new(),
            daemon: false,
            containment: Containment::default(),
        }
    }
}

/// An open project.
#[derive(Debug)]
struct Project {
    spec: Arc<ProjectSpec>,
    opened: Timestamp,
    /// It is being closed, and who wants that.
    closing: Option<Origin>,
}

/// How far the engine is with its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Working,
    /// Everything is being stopped.
    Leaving,
    /// Everything was stopped.
    Ended,
    /// Everything was let go of and runs on: nothing may be changed any more.
    Released,
}

/// Services that must be looked at again before the step is over; each at most once at a time, first come first served.
#[derive(Debug, Default)]
struct Worklist {
    queue: VecDeque<ServiceId>,
    queued: BTreeSet<ServiceId>,
}

impl Worklist {
    fn push(&mut self, id: &ServiceId) {
        if self.queued.insert(id.clone()) {
            self.queue.push_back(id.clone());
        }
    }

    fn pop(&mut self) -> Option<ServiceId> {
        let id = self.queue.pop_front()?;
        self.queued.remove(&id);
        Some(id)
    }
}

/// The engine: private truth, changed by [`Engine::step`] alone, seen by [`Engine::snapshot`].
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    started: Timestamp,
    now: Timestamp,
    /// How far the wall clock was ahead of the boot clock when it was looked at last.
    wall_ahead_us: i64,
    autopilot: Autopilot,
    /// How a person has set the autopilot, in this engine or an earlier one.
    choice: Option<Choice>,
    life: Life,
    rng: fastrand::Rng,
    projects: BTreeMap<ProjectName, Project>,
    services: BTreeMap<ServiceId, Service>,
    order: Vec<ServiceId>,
    runs: BTreeMap<RunId, ServiceId>,
    next_run: u64,
    bucket: Bucket,
    journal: Journal,
    /// What an earlier engine had told of what is being taken in.
    told: Told,
    worklist: Worklist,
    effects: Vec<Effect>,
    /// Services of which something may have changed that the next engine must know.
    marked: BTreeSet<ServiceId>,
    /// What is to be kept before the effects of this step are begun.
    records: Vec<Effect>,
    boot: Arc<str>,
    /// Runs of services that no project has, until they are gone.
    strays: BTreeMap<RunId, ServiceId>,
    opening: Vec<Opening>,
    /// Projects that were closed last, oldest first: an old reading of their file does not open them again.
    let_go: VecDeque<ProjectName>,
    registry: Vec<ProjectRecord>,
    problems: Arc<[Problem]>,
    /// Files as they were read for the plan of a reload.
    read: BTreeMap<ProjectName, Reading>,
    troubles: BTreeMap<TroubleSlot, String>,
    alerts: alerts::Alerts,
    docker: Reach,
    deeds: deeds::Deeds,
    /// Remedies that disrupted within the last hour.
    disrupted: VecDeque<(Timestamp, ServiceId)>,
    containers: Arc<[Arc<ContainerView>]>,
    /// What it says passes through this first.
    redactor: Arc<Redactor>,
    host: HostView,
    revision: u64,
    /// The newest revision of a service.
    newest: u64,
    changed: bool,
}

impl Engine {
    /// An engine that knows no project yet.
    #[must_use]
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            started: now,
            now,
            wall_ahead_us: clock::ahead_us(now),
            autopilot: settings.autopilot,
            choice: None,
            life: Life::Working,
            rng: fastrand::Rng::with_seed(settings.seed),
            projects: BTreeMap::new(),
            services: BTreeMap::new(),
            order: Vec::new(),
            runs: BTreeMap::new(),
            next_run: settings.first_run,
            bucket: Bucket::new(settings.budget, now),
            journal: Journal::default(),
            told: Told::default(),
            worklist: Worklist::default(),
            effects: Vec::new(),
            marked: BTreeSet::new(),
            records: Vec::new(),
            boot: Arc::from(settings.boot_id.as_str()),
            strays: BTreeMap::new(),
            opening: Vec::new(),
            let_go: VecDeque::new(),
            registry: Vec::new(),
            problems: Arc::from([]),
            read: BTreeMap::new(),
            troubles: BTreeMap::new(),
            alerts: alerts::Alerts::default(),
            docker: Reach::default(),
            deeds: deeds::Deeds::default(),
            disrupted: VecDeque::new(),
            containers: Arc::default(),
            redactor: Arc::new(Redactor::default()),
            host: HostView::default(),
            revision: 0,
            newest: revision::first(now),
            changed: true,
            settings,
        }
    }

    /// From now on what it says passes through `redactor`.
    pub fn redact_with(&mut self, redactor: Arc<Redactor>) {
        if Arc::ptr_eq(&self.redactor, &redactor) {
            return;
        }
        self.redactor = redactor;
        self.services.values_mut().for_each(Service::look_changed);
        self.changed = true;
    }

    /// Directory and environment (values included) for a shell beside a service; none where it is not known.
    #[must_use]
    pub fn shell_context(&self, id: &ServiceId) -> Option<(PathBuf, Vec<(String, String)>)> {
        let spec = &self.services.get(id)?.spec;
        let environment = spec.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Some((spec.working_dir.clone(), environment))
    }

    /// Every run that has a process, with its main process: what is to be sampled.
    #[must_use]
    pub fn running(&self) -> Vec<(RunId, u32)> {
        self.services
            .values()
            .filter_map(|service| service.run.as_ref())
            .filter(|run| run.exit.is_none())
            .filter_map(|run| Some((run.id, run.pid?)))
            .collect()
    }

    /// True where [`Engine::snapshot`] would show something that the last one did not.
    #[must_use]
    pub const fn has_changed(&self) -> bool {
        self.changed
    }

    fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.services.get(id)
    }
}
