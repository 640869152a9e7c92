//! Every contact with the outside, each turning effects into events. Never decides anything.

pub mod cgroup;
pub mod clock;
pub mod journal;
pub mod limits;
pub mod log_files;
pub mod output;
pub mod ports;
mod probe;
mod process;
pub mod store;
pub mod system;
mod tree;

use std::{
    collections::HashMap,
    ffi::OsString,
    os::fd::RawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;

use self::{
    output::Taken,
    probe::http::Clients,
    process::{Errand, Order, piped::Numbering},
    tree::{Forest, TreeId},
};
use crate::model::{
    effect::Effect,
    event::Event,
    ids::{RunId, ServiceId},
    service::ServiceSpec,
};

/// Orders that may wait at a run; more make their sender's task wait.
const ORDER_CAPACITY: usize = 64;

/// What a world starts from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The environment that every service begins with.
    pub environment: Vec<(OsString, OsString)>,
    /// Processes that are made at the same time, at least 1; others wait for their turn.
    pub launches_at_once: usize,
    /// Soft limit of open files that services get; none: ours.
    pub open_files: Option<u64>,
}

impl Default for Settings {
    /// Our own environment; twice as many launches at once as there are processors.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { environment: std::env::vars_os().collect(), launches_at_once: processors * 2, open_files: None }
    }
}

/// Processes and probes of this machine. Clones are the same world.
///
/// Runs go on when it is dropped: whoever wants them gone ends them first.
#[derive(Debug, Clone)]
pub struct World {
    shared: Arc<Shared>,
    runtime: Handle,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    events: mpsc::Sender<Event>,
    output: mpsc::Sender<Taken>,
    forest: Forest,
    /// Turns for work that blocks a thread for a moment.
    launches: Arc<Semaphore>,
    clients: Clients,
    inherited: Vec<RawFd>,
    runs: Mutex<HashMap<RunId, Running>>,
    numberings: Mutex<HashMap<ServiceId, Arc<Numbering>>>,
}

/// What others may know of a run.
#[derive(Debug, Clone)]
struct Running {
    spec: Arc<ServiceSpec>,
    tree: TreeId,
    stage: Stage,
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
    /// process only when its pipe is full too).
    #[must_use]
    pub fn start(settings: Settings, events: mpsc::Sender<Event>, output: mpsc::Sender<Taken>) -> Self {
        give_children_default_signals();
        let shared = Arc::new(Shared {
            launches: Arc::new(Semaphore::new(settings.launches_at_once.max(1))),
            settings,
            events,
            output,
            forest: Forest::new(),
            clients: Clients::default(),
            inherited: process::launch::inherited_descriptors(),
            runs: Mutex::default(),
            numberings: Mutex::default(),
        });
        let runtime = Handle::current();
        runtime.spawn(tree::reap::sweep(Arc::downgrade(&shared)));
        Self { shared, runtime }
    }

    /// Begins the work that an effect asks for and returns at once; what comes of it is an event.
    pub fn perform(&self, effect: Effect) {
        match effect {
            Effect::CheckPorts { service, epoch, ports } => {
                let shared = Arc::clone(&self.shared);
                self.runtime.spawn(async move {
                    let holders = ports::find_holders(&shared, &service, ports).await;
                    shared.tell(Event::PortsChecked { service, epoch, holders }).await;
                });
            }
            Effect::Spawn { run, spec } => self.spawn(run, spec),
            Effect::Signal { run, signal } => self.order(run, Order::Signal(signal)),
            Effect::StopTree { run, signal } => self.order(run, Order::StopTree(signal)),
            Effect::EndTree { run, patience } => self.order(run, Order::EndTree(patience)),
            Effect::WatchLog { run, kind, pattern } => self.order(run, Order::Watch { question: kind, pattern }),
            Effect::Probe(round) => {
                if let Some(running) = self.shared.running(round.run) {
                    self.runtime.spawn(probe::ask(Arc::clone(&self.shared), running, round));
                }
            }
            // The host carries these out itself: timers, files, memory, replies and its own end.
            Effect::Timer { .. }
            | Effect::Adopt { .. }
            | Effect::EndStray { .. }
            | Effect::Remember { .. }
            | Effect::OpenProject { .. }
            | Effect::CloseProject(_)
            | Effect::LoadProject { .. }
            | Effect::Record(_)
            | Effect::Register(_)
            | Effect::Reply { .. }
            | Effect::Quit => {}
        }
    }

    /// The runs whose main process is there, with its number.
    #[must_use]
    pub fn runs(&self) -> Vec<(RunId, u32)> {
        let runs = self.shared.runs();
        runs.iter()
            .filter_map(|(run, running)| match running.stage {
                Stage::Running { pid } => Some((*run, pid)),
                Stage::Spawning | Stage::Leftover => None,
            })
            .collect()
    }

    fn spawn(&self, run: RunId, spec: Arc<ServiceSpec>) {
        let (orders, receiver) = mpsc::channel(ORDER_CAPACITY);
        let ended = CancellationToken::new();
        let tree = self.shared.forest.plant();
        let errand = Errand { run, spec: Arc::clone(&spec), tree, orders: receiver, ended: ended.clone() };
        let running = Running { spec, tree, stage: Stage::Spawning, orders, ended };
        self.shared.runs().insert(run, running);
        self.runtime.spawn(process::keep(Arc::clone(&self.shared), errand));
    }

    fn order(&self, run: RunId, order: Order) {
        let refused = match self.shared.running(run) {
            None => order,
            Some(running) => match running.orders.try_send(order) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(order)) => {
                    self.runtime.spawn(async move {
                        // An error means that the run is gone: nothing is left to be asked of it.
                        let _gone = running.orders.send(order).await;
                    });
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(order)) => order,
            },
        };
        if matches!(refused, Order::EndTree(_)) {
            let shared = Arc::clone(&self.shared);
            self.runtime.spawn(async move {
                shared.tell(Event::TreeEnded { run, survivors: Vec::new() }).await;
            });
        }
    }
}

impl Shared {
    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Running>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, run: RunId) -> Option<Running> {
        self.runs().get(&run).cloned()
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

    /// Forgets runs whose leftovers ended by themselves.
    fn forget_ended(&self) {
        let leftover: Vec<_> = {
            let runs = self.runs();
            runs.iter().filter(|(_, running)| running.stage == Stage::Leftover).map(|(run, r)| (*run, r.tree)).collect()
        };
        for (run, tree) in leftover {
            if self.forest.leftover(tree) == 0 {
                self.forget(run);
            }
        }
    }

    fn numbering_of(&self, service: &ServiceId) -> Arc<Numbering> {
        let mut numberings = self.numberings.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(numberings.entry(service.clone()).or_default())
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
