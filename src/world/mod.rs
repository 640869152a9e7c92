//! Every contact with the outside, each turning effects into events. Never decides anything.

mod bell;
pub mod cgroup;
mod checks;
pub mod clock;
pub mod docker;
pub mod files;
mod hook;
pub mod journal;
pub mod kinds;
pub mod limits;
pub mod log_files;
pub mod notify;
pub mod output;
pub mod own_files;
pub mod peer;
pub mod ports;
mod probe;
mod process;
mod remedy;
pub mod secrets;
mod slot;
pub mod store;
pub mod system;
mod tree;
pub mod watch;

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    os::fd::RawFd,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::{output::Taken, secrets::Learner, slot::is_quiet};
use self::{
    probe::http::Clients,
    slot::{Birth, Grounds, Keeper, Order, Pulse, RunOrder, Site},
    system::Watched,
    tree::{Forest, TreeId},
};
use crate::model::{
    deed::{DiskUse, Remake},
    effect::Effect,
    event::{Event, TroubleSlot},
    hooks::HookKind,
    ids::{ProjectName, RunId, ServiceId},
    metric::RunUsage,
    phase::PortHolder,
    secret::SecretValues,
    service::ServiceSpec,
};

/// Orders that may wait at a slot; more make their sender's task wait.
const ORDER_CAPACITY: usize = 64;

/// What a world starts from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The environment that every service begins with, unless its project has one of its own.
    pub environment: Vec<(OsString, OsString)>,
    /// Processes that are made at the same time, at least 1; others wait for their turn.
    pub launches_at_once: usize,
    /// Soft limit of open files that services get; none: ours.
    pub open_files: Option<u64>,
    /// The program of the shims, `cas-shim`: absolute.
    pub shim: PathBuf,
    /// Who learns secrets before any output can hold them.
    pub learner: Learner,
    /// A command that gives a secret is waited for so long.
    pub secret_within: Duration,
    /// Where the engine of containers is looked up.
    pub docker: docker::endpoint::Lookup,
}

impl Default for Settings {
    /// Our own environment; twice as many launches at once as there are processors; the shim that `CAS_SHIM` names, or that
    /// stands beside this program or one directory up.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let here = std::env::current_exe().unwrap_or_default();
        let beside = here.with_file_name("cas-shim");
        let above = here.parent().map(|directory| directory.with_file_name("cas-shim"));
        let found = above.filter(|above| !beside.exists() && above.exists()).unwrap_or(beside);
        Self {
            environment: std::env::vars_os().collect(),
            launches_at_once: processors * 2,
            open_files: None,
            shim: std::env::var_os("CAS_SHIM").map_or(found, PathBuf::from),
            learner: Learner::default(),
            secret_within: Duration::from_secs(30),
            docker: docker::endpoint::Lookup::of_environment(),
        }
    }
}

/// How many slots a world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlotCensus {
    /// Slots of services that were started or found.
    pub slots: usize,
    /// Those whose shim is connected.
    pub shims: usize,
    /// Those whose main process is there.
    pub running: usize,
    /// Those whose run was made by an earlier engine.
    pub adopted: usize,
}

/// So many services are asked at once.
const ASKED_AT_ONCE: usize = 256;

/// Processes and probes of this machine. Clones are the same world.
///
/// Runs and their shims go on when it is dropped: whoever wants them gone ends them first.
#[derive(Debug, Clone)]
pub struct World {
    shared: Arc<Shared>,
    runtime: Handle,
    /// With the last clone, all slots are let go.
    _release: Arc<DropGuard>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    events: mpsc::Sender<Event>,
    output: mpsc::Sender<Taken>,
    forest: Forest,
    grounds: Grounds,
    /// Turns for work that blocks a thread for a moment.
    launches: Arc<Semaphore>,
    /// Turns for questions to services: each may have a connection.
    asking: Semaphore,
    clients: Clients,
    /// Ports on which runs were found to listen, where nobody had said which.
    found_ports: Mutex<HashMap<RunId, u16>>,
    docker: docker::Docker,
    inherited: Vec<RawFd>,
    sites: Mutex<HashMap<ProjectName, Site>>,
    slots: Mutex<HashMap<ServiceId, Slot>>,
    runs: Mutex<HashMap<RunId, Running>>,
    /// Hooks that run, and how each is called off.
    hooks: Mutex<HashMap<(RunId, HookKind), CancellationToken>>,
    /// Services that run without a shim, and why.
    missed: Mutex<BTreeMap<ServiceId, String>>,
    /// Cancelled when everything is let go.
    released: CancellationToken,
}

/// The way to a slot's keeper.
#[derive(Debug, Clone)]
struct Slot {
    orders: mpsc::Sender<Order>,
    pulse: Arc<Pulse>,
}

/// What others may know of a run.
#[derive(Debug, Clone)]
struct Running {
    service: ServiceId,
    /// None: nobody has taken it over.
    spec: Option<Arc<ServiceSpec>>,
    tree: TreeId,
    stage: Stage,
    /// What it was given as secrets: its probes are given the same.
    secrets: SecretValues,
    orders: mpsc::Sender<Order>,
    ended: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Spawning,
    Running {
        pid: u32,
    },
    /// The main process is gone, others of the tree are not.
    Leftover,
}

impl World {
    /// Starts within a runtime of several threads.
    ///
    /// `events` carries facts and `output` lines; where one is full, the run that has something to say waits (its
    /// process does not: its shim keeps what it writes).
    #[must_use]
    pub fn start(settings: Settings, events: mpsc::Sender<Event>, output: mpsc::Sender<Taken>) -> Self {
        give_children_default_signals();
        let released = CancellationToken::new();
        let shared = Arc::new(Shared {
            asking: Semaphore::new(ASKED_AT_ONCE),
            launches: Arc::new(Semaphore::new(settings.launches_at_once.max(1))),
            docker: docker::Docker::new(settings.docker.clone()),
            settings,
            events,
            output,
            forest: Forest::new(),
            grounds: Grounds::default(),
            clients: Clients::default(),
            found_ports: Mutex::default(),
            inherited: process::launch::inherited_descriptors(),
            sites: Mutex::default(),
            slots: Mutex::default(),
            runs: Mutex::default(),
            hooks: Mutex::default(),
            missed: Mutex::default(),
            released: released.clone(),
        });
        let runtime = Handle::current();
        runtime.spawn(tree::reap::sweep(Arc::downgrade(&shared)));
        runtime.spawn(slot::watch(Arc::downgrade(&shared)));
        runtime.spawn(docker::keep(Arc::downgrade(&shared)));
        let looking = Arc::downgrade(&shared);
        runtime.spawn_blocking(move || {
            let Some(shared) = looking.upgrade() else { return };
            // An error means that nobody listens any more; a full inbox, that there is more important news.
            let _dropped = shared.events.try_send(Event::ContainmentKnown(shared.grounds.cgroups().containment()));
        });
        Self { shared, runtime, _release: Arc::new(released.drop_guard()) }
    }

    /// Begins the work that an effect asks for and returns at once; what comes of it is an event. The project of a service must
    /// have been opened ([`Self::open_project`]).
    pub fn perform(&self, effect: Effect) {
        match effect {
            Effect::CheckPorts { service, epoch, ports } => {
                let shared = Arc::clone(&self.shared);
                self.runtime.spawn(async move {
                    let holders = match docker::obstacle_of(&shared, &service).await {
                        Some(why) => vec![PortHolder::because(why)],
                        None => ports::find_holders(&shared, &service, ports).await,
                    };
                    shared.tell(Event::PortsChecked { service, epoch, holders }).await;
                });
            }
            Effect::Spawn { run, spec, remake } if !spec.secrets.is_empty() => {
                self.bear_with_secrets(run, spec, remake);
            }
            Effect::Spawn { run, spec, remake } => self.bear(run, spec, remake, RunOrder::Spawn),
            Effect::Adopt { run, spec } => self.bear(run, spec, Remake::Nothing, RunOrder::Adopt),
            Effect::Handle { ticket, subject, deed } => {
                let shared = Arc::clone(&self.shared);
                self.runtime.spawn(async move {
                    let result = docker::perform(&shared, &subject, &deed).await;
                    shared.tell(Event::Handled { ticket, result }).await;
                });
            }
            Effect::EndStray { run, service } => self.end_stray(run, &service),
            Effect::Signal { run, signal } => self.order(run, RunOrder::Signal(signal)),
            Effect::StopTree { run, signal } => self.order(run, RunOrder::StopTree(signal)),
            Effect::EndTree { run, patience } => self.order(run, RunOrder::EndTree(patience)),
            Effect::WatchLog { run, kind, pattern } => self.order(run, RunOrder::Watch { question: kind, pattern }),
            Effect::Probe(round) => {
                if let Some(running) = self.shared.running(round.run)
                    && let Some(spec) = running.spec.clone()
                {
                    self.runtime.spawn(probe::ask(Arc::clone(&self.shared), running, spec, round));
                }
            }
            Effect::Examine(round) => {
                if let Some(running) = self.shared.running(round.run) {
                    self.runtime.spawn(probe::examine(Arc::clone(&self.shared), running, round));
                }
            }
            Effect::Remedy { run, work } => {
                if let Some(running) = self.shared.running(run)
                    && let Some(spec) = running.spec.clone()
                {
                    self.runtime.spawn(remedy::carry_out(Arc::clone(&self.shared), running, spec, (run, work)));
                }
            }
            Effect::EndOrphan { service, pid } => {
                let shared = Arc::clone(&self.shared);
                self.runtime.spawn_blocking(move || remedy::end_orphan(&shared, &service, pid));
            }
            Effect::RunBeside { run, command } => {
                if let Some(running) = self.shared.running(run)
                    && let Some(spec) = running.spec.clone()
                {
                    self.runtime.spawn(probe::run_beside(Arc::clone(&self.shared), running, spec, run, command));
                }
            }
            Effect::Fix(round) => {
                if let Some(running) = self.shared.running(round.run)
                    && let Some(spec) = running.spec.clone()
                {
                    self.runtime.spawn(checks::fix(Arc::clone(&self.shared), running, spec, round));
                }
            }
            Effect::RunHook(round) => {
                let shared = Arc::clone(&self.shared);
                let called_off = shared.released.child_token();
                lock(&shared.hooks).insert((round.run, round.hook), called_off.clone());
                let running = shared.running(round.run);
                self.runtime.spawn(hook::carry_out(shared, round, running, called_off));
            }
            Effect::EndHook { run, hook } => {
                if let Some(called_off) = lock(&self.shared.hooks).get(&(run, hook)) {
                    called_off.cancel();
                }
            }
            // The host carries these out itself: timers, files, memory, replies and its own end.
            Effect::Timer { .. }
            | Effect::Remember { .. }
            | Effect::OpenProject { .. }
            | Effect::CloseProject(_)
            | Effect::LoadProject { .. }
            | Effect::Record(_)
            | Effect::Register(_)
            | Effect::Reply { .. }
            | Effect::Notify { .. }
            | Effect::Rotate(_)
            | Effect::Quit => {}
        }
    }

    /// What takes up space on Docker's disk.
    ///
    /// # Errors
    /// A sentence: the engine cannot be reached, or does not say.
    pub fn disk(&self) -> impl Future<Output = Result<Arc<DiskUse>, String>> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move { shared.docker.disk().await.map(Arc::new) }
    }

    /// The runs whose main process is there, with its number.
    #[must_use]
    pub fn runs(&self) -> Vec<(RunId, u32)> {
        let pid = |(run, running): (&RunId, &Running)| match running.stage {
            Stage::Running { pid } => Some((*run, pid)),
            Stage::Spawning | Stage::Leftover => None,
        };
        self.shared.runs().iter().filter_map(pid).collect()
    }

    /// Whether the main process of a run is there.
    #[must_use]
    pub fn is_running(&self, run: RunId) -> bool {
        self.shared.runs().get(&run).is_some_and(|running| match running.stage {
            Stage::Running { .. } => true,
            Stage::Spawning | Stage::Leftover => false,
        })
    }

    /// Whether the main process of a run is gone, or never came: all that it wrote is in the segments.
    #[must_use]
    pub fn is_over(&self, run: RunId) -> bool {
        self.shared.runs().get(&run).is_none_or(|running| match running.stage {
            Stage::Spawning | Stage::Running { .. } => false,
            Stage::Leftover => true,
        })
    }

    /// The same with the cgroup that holds each: what is to be sampled.
    #[must_use]
    pub fn watched(&self) -> Vec<Watched> {
        let there: Vec<(RunId, u32, TreeId)> = self
            .shared
            .runs()
            .iter()
            // What a container uses Docker counts.
            .filter(|(_, running)| running.spec.as_ref().is_none_or(|spec| spec.container.is_none()))
            .filter_map(|(run, running)| match running.stage {
                Stage::Running { pid } => Some((*run, pid, running.tree)),
                Stage::Spawning | Stage::Leftover => None,
            })
            .collect();
        let watched = |(run, pid, tree)| Watched { run, pid, cage: self.shared.forest.cage(tree) };
        there.into_iter().map(watched).collect()
    }

    /// Who runs now, for those who look after files. It does not keep this world.
    #[must_use]
    pub fn runs_view(&self) -> Arc<dyn own_files::Runs> {
        Arc::new(RunsView(Arc::downgrade(&self.shared)))
    }

    /// Why limits and exact figures are not to be had, for people; none where they are. **Blocks** the first time.
    #[must_use]
    pub fn why_no_cgroups(&self) -> Option<String> {
        self.shared.grounds.cgroups().note()
    }

    /// The way to a slot, whose keeper begins with the first that asks for it; none where its project is not open.
    fn slot(&self, service: &ServiceId) -> Option<Slot> {
        let seat = self.shared.sites().get(&service.project)?.seat(service);
        let mut slots = self.shared.slots();
        if let Some(slot) = slots.get(service).filter(|slot| !slot.orders.is_closed()) {
            return Some(slot.clone());
        }
        let (orders, inbox) = mpsc::channel(ORDER_CAPACITY);
        let slot = Slot { orders, pulse: Arc::default() };
        slots.insert(service.clone(), slot.clone());
        drop(slots);
        let (shared, pulse) = (Arc::clone(&self.shared), Arc::clone(&slot.pulse));
        // It looks at the slot's files first: the engine does not wait for that.
        self.runtime.spawn(async move { Keeper::new(shared, seat, inbox, pulse).keep().await });
        Some(slot)
    }

    /// The way to the keeper of a service that is a container; none where its project is not open.
    fn container_slot(&self, spec: &Arc<ServiceSpec>) -> Option<Slot> {
        let seat = self.shared.sites().get(&spec.id.project)?.seat(&spec.id);
        let mut slots = self.shared.docker.slots();
        if let Some(slot) = slots.get(&spec.id).filter(|slot| !slot.orders.is_closed()) {
            return Some(slot.clone());
        }
        let (orders, inbox) = mpsc::channel(ORDER_CAPACITY);
        let slot = Slot { orders, pulse: Arc::default() };
        slots.insert(spec.id.clone(), slot.clone());
        drop(slots);
        let (shared, spec, pulse) = (Arc::clone(&self.shared), Arc::clone(spec), Arc::clone(&slot.pulse));
        shared.docker.want();
        self.runtime.spawn(async move { docker::Keeper::new(shared, seat, spec, inbox, pulse).keep().await });
        Some(slot)
    }

    /// What the containers use that are runs.
    #[must_use]
    pub fn container_usage(&self) -> Vec<(RunId, RunUsage)> {
        self.shared.docker.usage_of_runs()
    }

    /// Gives a run, made or taken over, to its slot.
    fn bear(&self, run: RunId, spec: Arc<ServiceSpec>, remake: Remake, order: impl FnOnce(Birth) -> RunOrder) {
        if let Some((slot, birth)) = self.expect(run, spec, remake) {
            self.send(&slot.orders, Order::Run(run, order(birth)));
        }
    }

    /// Makes a run known that is about to be made or taken over; none, with its failure told, where its project is not open.
    fn expect(&self, run: RunId, spec: Arc<ServiceSpec>, remake: Remake) -> Option<(Slot, Birth)> {
        let service = spec.id.clone();
        let slot = if spec.container.is_some() { self.container_slot(&spec) } else { self.slot(&service) };
        let Some(slot) = slot else {
            let error = format!("the project {} is not open", service.project);
            self.tell(Event::SpawnFailed { run, error });
            return None;
        };
        let ended = CancellationToken::new();
        let tree = self.shared.plant(&service, run);
        let orders = slot.orders.clone();
        self.shared.enter(run, (&service, orders), Some(Arc::clone(&spec)), tree, Stage::Spawning, ended.clone());
        Some((slot, Birth { spec, remake, tree, ended }))
    }

    fn end_stray(&self, run: RunId, service: &ServiceId) {
        let of_container = self.shared.docker.slots().get(service).cloned();
        let Some(slot) = of_container.or_else(|| self.slot(service)) else {
            return self.tell(Event::TreeEnded { run, survivors: Vec::new() });
        };
        let tree = self.shared.plant(service, run);
        let orders = slot.orders.clone();
        self.shared.enter(run, (service, orders), None, tree, Stage::Leftover, CancellationToken::new());
        self.send(&slot.orders, Order::Run(run, RunOrder::EndStray(tree)));
    }

    fn order(&self, run: RunId, order: RunOrder) {
        match self.shared.running(run) {
            Some(running) => self.send(&running.orders, Order::Run(run, order)),
            None if matches!(order, RunOrder::EndTree(_)) => {
                self.tell(Event::TreeEnded { run, survivors: Vec::new() });
            }
            None => {}
        }
    }

    fn send(&self, orders: &mpsc::Sender<Order>, order: Order) {
        if let Err(mpsc::error::TrySendError::Full(order)) = orders.try_send(order) {
            let orders = orders.clone();
            self.runtime.spawn(async move {
                // An error means that everything was let go.
                let _gone = orders.send(order).await;
            });
        }
    }

    fn tell(&self, event: Event) {
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move { shared.tell(event).await });
    }
}

/// Who runs in a world.
#[derive(Debug)]
struct RunsView(Weak<Shared>);

impl own_files::Runs for RunsView {
    fn writer(&self, service: &ServiceId) -> Option<(RunId, u32)> {
        let shared = self.0.upgrade()?;
        let runs = shared.runs();
        runs.iter().filter(|(_, running)| running.service == *service).find_map(|(run, running)| match running.stage {
            Stage::Running { pid } => Some((*run, pid)),
            Stage::Spawning | Stage::Leftover => None,
        })
    }

    fn processes(&self, service: &ServiceId) -> Vec<u32> {
        let Some(shared) = self.0.upgrade() else { return Vec::new() };
        let trees: Vec<TreeId> = {
            let runs = shared.runs();
            let of_service = runs.values().filter(|running| running.service == *service);
            // What a container has open lies in its own world of files.
            let is_here = |running: &&Running| running.spec.as_ref().is_none_or(|spec| spec.container.is_none());
            of_service.filter(is_here).map(|running| running.tree).collect()
        };
        trees.into_iter().flat_map(|tree| shared.forest.living(tree)).map(|process| process.pid).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Running>> {
        lock(&self.runs)
    }

    fn sites(&self) -> MutexGuard<'_, HashMap<ProjectName, Site>> {
        lock(&self.sites)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<ServiceId, Slot>> {
        lock(&self.slots)
    }

    /// Runs whose main process is gone and of which something else was left.
    fn left_behind(&self) -> Vec<(RunId, TreeId)> {
        let runs = self.runs();
        runs.iter().filter(|(_, run)| run.stage == Stage::Leftover).map(|(id, run)| (*id, run.tree)).collect()
    }

    fn running(&self, run: RunId) -> Option<Running> {
        self.runs().get(&run).cloned()
    }

    /// Makes room for the tree of a run.
    fn plant(&self, service: &ServiceId, run: RunId) -> TreeId {
        let mark = self.sites().get(&service.project).map(|site| site.mark(service, run));
        self.forest.plant_run(mark.unwrap_or_default())
    }

    /// Makes a run known.
    fn enter(
        &self,
        run: RunId,
        (service, orders): (&ServiceId, mpsc::Sender<Order>),
        spec: Option<Arc<ServiceSpec>>,
        tree: TreeId,
        stage: Stage,
        ended: CancellationToken,
    ) {
        let running =
            Running { service: service.clone(), spec, tree, stage, secrets: SecretValues::default(), orders, ended };
        if let Some(before) = self.runs().insert(run, running) {
            self.forest.forget(before.tree);
        }
    }

    fn set_stage(&self, run: RunId, stage: Stage) {
        if let Some(running) = self.runs().get_mut(&run) {
            running.stage = stage;
        }
    }

    fn has_spawned(&self, run: RunId, pid: u32) {
        self.set_stage(run, Stage::Running { pid });
    }

    fn has_exited(&self, run: RunId) {
        self.set_stage(run, Stage::Leftover);
    }

    /// Nothing of the run is left.
    fn forget(&self, run: RunId) {
        let running = self.runs().remove(&run);
        if let Some(running) = running {
            self.forest.forget(running.tree);
        }
    }

    /// A service runs on without a shim, for none can be started.
    async fn shim_is_missed(&self, service: &ServiceId, why: String) {
        lock(&self.missed).insert(service.clone(), why);
        self.tell_missed().await;
    }

    async fn shims_are_well(&self, service: &ServiceId) {
        let was_missed = lock(&self.missed).remove(service).is_some();
        if was_missed {
            self.tell_missed().await;
        }
    }

    /// The project is closed: what it lacked nobody misses.
    async fn missed_no_more(&self, project: &ProjectName) {
        let was_missed = {
            let mut missed = lock(&self.missed);
            let before = missed.len();
            missed.retain(|service, _| service.project != *project);
            missed.len() < before
        };
        if was_missed {
            self.tell_missed().await;
        }
    }

    async fn tell_missed(&self) {
        let text = {
            let missed = lock(&self.missed);
            missed.first_key_value().map(|(service, why)| match missed.len() {
                1 => format!("{service} runs without its shim: {why}; it is tried again"),
                many => format!("{many} services run without their shims, {service} for one: {why}; it is tried again"),
            })
        };
        self.tell(Event::Trouble { slot: TroubleSlot::Shims, text }).await;
    }

    async fn tell(&self, event: Event) {
        // An error means that the host has ended: nobody is left to be told.
        let _nobody = self.events.send(event).await;
    }
}

/// A signal that we were started with ignored (`nohup`, `&` in a script) would be ignored by every service, and could not
/// stop one. One that we catch is reset by exec; caught and not looked at, it means the same to us as ignored.
fn give_children_default_signals() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    let kinds = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
        SignalKind::child(),
    ];
    for kind in kinds {
        if ignored >> (kind.as_raw_value() - 1) & 1 == 1
            && let Err(error) = signal(kind)
        {
            tracing::warn!(?kind, %error, "services will ignore this signal as cas does");
        }
    }
}
