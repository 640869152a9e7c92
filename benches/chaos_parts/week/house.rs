//! The host of the week: the real engine, store, journals, spool, hub and socket, in virtual time, over a world that is played.

mod door;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cas::{
    api::lock::{Attempt, Lock},
    api::server::{ServeOptions, Server, serve},
    config::paths::Paths,
    engine::{Engine, Settings},
    host::{
        Hub, Opened, Spool,
        handle::{Call, Handle, Link, LogFeed},
    },
    model::{
        effect::Effect,
        event::{Event, Input, TimerKey},
        heritage::Heritage,
        ids::{Epoch, ProjectName, RequestId, RunId, ServiceId, ServiceName},
        phase::Exit,
        policy::{Consent, Origin, Reply, Request},
        probe::ProbeOutcome,
        project::{Problem, ProjectSpec},
        service::ServiceSpec,
        snapshot::Snapshot,
        time::Timestamp,
    },
    world::{
        clock::Clock,
        journal::Journal,
        log_files::archive::Archivist,
        output::Taken,
        store::{Limits, Store},
    },
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{gauge::Held, slot::Slot, specs};

/// The week begins then, microseconds since the Unix epoch.
const BEGIN_US: u64 = 1_700_000_000_000_000;

/// Bytes of output in memory: full after some hours, so that growth is no filling up.
const RING_BYTES: usize = 1 << 20;

/// What will happen at some instant.
enum Happening {
    Timer(TimerKey, Epoch, u64),
    Told(Box<Event>),
    Born(RunId),
    Dies(RunId, Exit),
    TreeGone(RunId),
    Read { file: PathBuf, name: ProjectName },
    Found { directory: PathBuf, request: RequestId },
}

/// A process, or what is left of one.
struct Process {
    service: ServiceId,
    main: bool,
}

/// An open project.
pub(crate) struct Open {
    pub(crate) spec: Arc<ProjectSpec>,
    place: Arc<str>,
    slots_dir: PathBuf,
    cursors: BTreeMap<ServiceName, cas::model::intake::Cursor>,
    journal: Journal,
    slots: BTreeMap<ServiceName, Slot>,
}

/// See the module.
pub(crate) struct House {
    pub(crate) rng: fastrand::Rng,
    pub(crate) paths: Paths,
    pub(crate) socket: PathBuf,
    pub(crate) projects: BTreeMap<ProjectName, Open>,
    /// Which edition of each project's file there is.
    pub(crate) editions: BTreeMap<ProjectName, u64>,
    pub(crate) steps: u64,
    /// Entries that were handed out to be kept.
    pub(crate) entries: u64,
    time: Arc<AtomicU64>,
    engine: Engine,
    agenda: BTreeMap<(u64, u64), Happening>,
    serial: u64,
    timers: HashMap<TimerKey, u64>,
    processes: BTreeMap<RunId, Process>,
    store: Arc<Store>,
    spool: Spool,
    hub: Hub,
    output: mpsc::Sender<Taken>,
    closed: Vec<Arc<str>>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    door: mpsc::Receiver<Call>,
    replies: HashMap<RequestId, oneshot::Sender<Reply>>,
    registries: mpsc::UnboundedReceiver<Vec<cas::model::project::ProjectRecord>>,
    registry: mpsc::UnboundedSender<Vec<cas::model::project::ProjectRecord>>,
    _link: watch::Sender<Link>,
    _server: Server,
}

impl House {
    /// Everything at its beginning, in `dir`.
    pub(crate) fn begin(dir: &Path, seed: u64, limits: Limits) -> Self {
        let at = |name: &str| dir.join(name);
        let paths = Paths { state: at("state"), runtime: at("run"), config: at("config"), cache: at("cache") };
        paths.ensure().expect("directories");
        let time = Arc::new(AtomicU64::new(1_000_000));
        let ticking = Arc::clone(&time);
        let clock: Clock = Arc::new(move || instant(ticking.load(Ordering::Acquire)));
        let store = Arc::new(Store::with_clock(paths.database(), limits, Arc::clone(&clock), |trouble| {
            assert!(trouble.is_none(), "{trouble:?}");
        }));
        let taking = Arc::clone(&store);
        let (output, captured) = mpsc::channel(32);
        let feed = LogFeed::new();
        let archivist = Archivist::with_clock(clock, Duration::from_millis(50)).expect("a thread");
        let hub = Hub::with_memory(
            captured,
            feed.clone(),
            Box::new(move |intake| taking.take_in(intake)),
            archivist,
            RING_BYTES,
        );
        let now = instant(1_000_000);
        let mut engine = Engine::new(Settings { seed, daemon: true, ..Settings::default() }, now);
        let (snapshots, pictures) = watch::channel(engine.snapshot(now));
        let (link, linked) = watch::channel(Link::Local);
        let (calls, door) = mpsc::channel(256);
        let socket = paths.runtime.join("week.sock");
        let Ok(Attempt::Taken(lock)) = Lock::take(&socket) else { panic!("the lock of a new directory is free") };
        let handle = Handle { calls, snapshots: pictures, logs: feed, link: linked };
        let server = serve(lock, handle, ServeOptions::default()).expect("a socket");
        let (registry, registries) = mpsc::unbounded_channel();
        let (spool, _nothing_before) = Spool::begin(&paths.state.join("spool"), now);
        Self {
            rng: fastrand::Rng::with_seed(seed),
            socket,
            projects: BTreeMap::new(),
            editions: BTreeMap::new(),
            steps: 0,
            entries: 0,
            time,
            engine,
            agenda: BTreeMap::new(),
            serial: 0,
            timers: HashMap::new(),
            processes: BTreeMap::new(),
            store,
            spool,
            hub,
            output,
            closed: Vec::new(),
            snapshots,
            door,
            replies: HashMap::new(),
            registries,
            registry,
            paths,
            _link: link,
            _server: server,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        instant(self.time.load(Ordering::Acquire))
    }

    pub(crate) fn held(&self) -> Held {
        Held {
            engine: self.engine.census(),
            timers: self.timers.len(),
            processes: self.processes.len(),
            now_us: self.now().wall_us,
        }
    }

    /// Where the state of a project is.
    pub(crate) fn state_of(&self, project: &str) -> PathBuf {
        let open = self.projects.iter().find(|(name, _)| name.as_str() == project).map(|(_, open)| &open.place);
        self.paths.project_dir(open.expect("it is open"))
    }

    /// Messages that the store had to drop; none may be.
    pub(crate) fn dropped(&self) -> u64 {
        self.store.dropped()
    }

    /// The runs whose main process is there.
    pub(crate) fn running(&self) -> Vec<(RunId, ServiceId)> {
        let there = self.processes.iter().filter(|(_, process)| process.main);
        there.map(|(run, process)| (*run, process.service.clone())).collect()
    }

    fn after(&mut self, wait: Duration, happening: Happening) {
        self.serial += 1;
        self.agenda.insert((self.now().plus(wait).mono_us, self.serial), happening);
    }

    /// Lets everything happen that is due within `span`.
    pub(crate) async fn pass(&mut self, span: Duration) {
        let end = self.now().plus(span).mono_us;
        while let Some((at, _)) = self.agenda.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= end) {
            let Some((_, happening)) = self.agenda.pop_first() else { break };
            self.time.fetch_max(at, Ordering::AcqRel);
            self.happen(happening).await;
        }
        self.time.store(end, Ordering::Release);
    }

    async fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Timer(key, epoch, serial) => {
                if self.timers.get(&key) == Some(&serial) {
                    self.timers.remove(&key);
                    self.tell(Event::TimerFired { key, epoch });
                }
            }
            Happening::Told(event) => self.tell(*event),
            Happening::Born(run) => self.born(run),
            Happening::Dies(run, exit) => self.dies(run, exit),
            Happening::TreeGone(run) => {
                if self.processes.get(&run).is_some_and(|process| process.main) {
                    self.dies(run, Exit::Signal(9));
                }
                self.processes.remove(&run);
                self.tell(Event::TreeEnded { run, survivors: Vec::new() });
            }
            Happening::Read { file, name } => {
                let edition = self.editions.get(&name).copied().unwrap_or(0);
                if edition % 5 == 4 {
                    let problems = vec![Problem { source: None, message: "no such key".to_owned(), hint: None }];
                    return self.tell(Event::ProjectRefused { problems });
                }
                let Some(open) = self.projects.get_mut(&name) else { return };
                let services = open.spec.services.len().max(if name.as_str() == "shop" { specs::SERVICES } else { 2 });
                let root = file.parent().and_then(Path::parent).expect("a file in a project in a directory");
                let project = specs::project(root, name.as_str(), services, edition);
                open.spec = Arc::clone(&project);
                self.tell(Event::ProjectLoaded { project, heritage: Heritage::default(), request: None });
            }
            Happening::Found { directory, request } => self.open(&directory, request).await,
        }
        for place in std::mem::take(&mut self.closed) {
            self.hub.close(place).await;
        }
    }

    /// As the host opens a project.
    async fn open(&mut self, directory: &Path, request: RequestId) {
        let name = directory.file_name().expect("a name").to_string_lossy();
        let root = directory.parent().expect("a directory");
        let services = if name == "shop" { specs::SERVICES } else { 2 };
        let spec = specs::project(root, &name, services, 0);
        let place: Arc<str> = Paths::place(&spec.name, &spec.root).into();
        let dir = self.paths.project_dir(&place);
        let (journal, records, troubles) = Journal::open(&dir);
        assert!(troubles.is_empty(), "{troubles:?}");
        let cursors = self.store.cursors(&place);
        let slots_dir = dir.join("slots");
        let opened = Opened {
            project: spec.name.clone(),
            place: Arc::clone(&place),
            slots: slots_dir.clone(),
            cursors: cursors.clone(),
            policies: spec.services.iter().map(|service| (service.id.service.clone(), service.logs)).collect(),
        };
        self.hub.refill(opened).await;
        let open = Open { spec: Arc::clone(&spec), place, slots_dir, cursors, journal, slots: BTreeMap::new() };
        self.projects.insert(spec.name.clone(), open);
        let heritage = Heritage { records, found: Vec::new(), last_alive: None, told: Vec::new() };
        self.tell(Event::ProjectLoaded { project: spec, heritage, request: Some(request) });
    }

    fn born(&mut self, run: RunId) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        let service = process.service.clone();
        let number: u64 = service.service.as_str().trim_start_matches('s').parse().unwrap_or(0);
        if number == 8 && self.rng.u8(0..4) == 0 {
            self.processes.remove(&run);
            return self.tell(Event::SpawnFailed { run, error: "no such program".to_owned() });
        }
        process.main = true;
        let seconds = match number % 10 {
            3 => Some(self.rng.u64(1800..5400)),
            7 => Some(self.rng.u64(300..900)),
            9 if number == 49 => Some(1),
            _ => None,
        };
        if let Some(seconds) = seconds {
            let exit = if self.rng.bool() { Exit::Code(1) } else { Exit::Signal(11) };
            self.after(Duration::from_secs(seconds), Happening::Dies(run, exit));
        }
        self.write(run, &service, b"ready\n");
        let pid = u32::try_from(run.0 % 4_000_000).unwrap_or(1) + 1;
        self.tell(Event::Spawned { run, pid });
    }

    fn dies(&mut self, run: RunId, exit: Exit) {
        let Some(process) = self.processes.get_mut(&run).filter(|process| process.main) else { return };
        process.main = false;
        let service = process.service.clone();
        let leftover = usize::from(self.rng.u8(0..16) == 0);
        if leftover == 0 {
            self.processes.remove(&run);
        }
        let mut last_words = Vec::new();
        if let Some(slot) = self.slot(&service) {
            let end = slot.end();
            slot.capture.drain(end);
            last_words = slot.capture.last_words();
        }
        self.tell(Event::Exited { run, exit, last_words, leftover });
    }

    fn slot(&mut self, service: &ServiceId) -> Option<&mut Slot> {
        self.projects.get_mut(&service.project)?.slots.get_mut(&service.service)
    }

    /// A service writes, and its output is read.
    pub(crate) fn write(&mut self, run: RunId, service: &ServiceId, text: &[u8]) {
        let wall_us = self.now().wall_us;
        let stream = self.rng.u8(1..=2);
        let output = self.output.clone();
        let Some(slot) = self.slot(service) else { return };
        slot.write(run, wall_us, stream, text);
        while slot.capture.read() && !slot.capture.has_pending() {}
        slot.capture.hand_on_now(&output);
        let answered = slot.capture.take_answered();
        for kind in answered {
            self.after(Duration::from_millis(1), Happening::Told(Box::new(Event::LogMatched { run, kind })));
        }
    }

    /// Hands on what had no place before.
    pub(crate) fn read_on(&mut self) {
        for slot in self.projects.values_mut().flat_map(|open| open.slots.values_mut()) {
            slot.capture.hand_on_now(&self.output);
            while slot.capture.read() && !slot.capture.has_pending() {}
        }
    }

    /// A wish of somebody at the command line.
    pub(crate) fn say(&mut self, line: &str) {
        let command = cas::model::command::Command::parse_line(line).expect("a command");
        self.ask(command);
    }

    pub(crate) fn ask(&mut self, command: cas::model::command::Command) {
        self.serial += 1;
        let request = Request {
            id: RequestId(self.serial),
            origin: Origin::Cli,
            asker: None,
            command,
            consent: Consent::Ask,
            if_rev: None,
        };
        self.step(Input::Request(request));
    }

    pub(crate) fn tell(&mut self, event: Event) {
        if matches!(event, Event::Sampled(_)) {
            for open in self.projects.values() {
                open.journal.touch().expect("a journal");
            }
            self.spool.turn(&self.store.status());
        }
        self.step(Input::Event(event));
    }

    fn step(&mut self, input: Input) {
        self.steps += 1;
        let effects = self.engine.step(self.now(), input);
        self.spool.keep(effects.iter().filter_map(Effect::entry));
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        let soon = Duration::from_millis(5);
        match effect {
            Effect::CheckPorts { service, epoch, ports: _ } => {
                let event = Event::PortsChecked { service, epoch, holders: Vec::new() };
                self.after(soon, Happening::Told(Box::new(event)));
            }
            Effect::Spawn { run, spec, remake: _ } => self.spawn(run, &spec),
            Effect::Adopt { run, .. } | Effect::EndStray { run, .. } | Effect::EndTree { run, .. } => {
                self.after(soon, Happening::TreeGone(run));
            }
            Effect::Signal { run, .. } | Effect::StopTree { run, .. } => {
                self.after(soon, Happening::Dies(run, Exit::Signal(15)));
            }
            Effect::Probe(round) => {
                let outcome = match self.rng.u8(0..50) {
                    0 => ProbeOutcome::Failed("connection refused".to_owned()),
                    _ => ProbeOutcome::Passed,
                };
                let (run, kind, round) = (round.run, round.kind, round.round);
                let event = Event::Probed { run, kind, round, outcome, took: soon };
                self.after(soon, Happening::Told(Box::new(event)));
            }
            // None of its services has one.
            Effect::RunHook(_) | Effect::EndHook { .. } | Effect::Examine(_) | Effect::Fix(_) => {}
            // The intake watches for what the spec asks, and answers by itself.
            Effect::WatchLog { .. } | Effect::RunBeside { .. } | Effect::Notify { .. } => {}
            Effect::Remedy { .. } | Effect::EndOrphan { .. } | Effect::Handle { .. } | Effect::Rotate(_) => {}
            Effect::Timer { at, key, epoch } => {
                let wait = at.since(self.now());
                self.after(wait, Happening::Timer(key.clone(), epoch, self.serial + 1));
                self.timers.insert(key, self.serial);
            }
            Effect::LoadProject { file, name } => self.after(soon, Happening::Read { file, name }),
            Effect::OpenProject { directory, request, .. } => self.after(soon, Happening::Found { directory, request }),
            Effect::CloseProject(name) => {
                if let Some(open) = self.projects.remove(&name) {
                    self.closed.push(open.place);
                    self.editions.remove(&name);
                }
            }
            Effect::Remember { service, record } => {
                if let Some(open) = self.projects.get_mut(&service.project) {
                    open.journal.remember(&service.service, &record).expect("a journal that can be written");
                }
            }
            Effect::Record(entry) => {
                self.entries += 1;
                self.store.record(entry);
            }
            Effect::Register(record) => {
                self.store.register(record);
                self.read_registry();
            }
            Effect::Reply { request, reply } => {
                if let Some(asker) = self.replies.remove(&request) {
                    // An error means that the asker has left.
                    let _left = asker.send(reply);
                }
            }
            Effect::Quit => panic!("nobody asked for the end"),
        }
    }

    fn spawn(&mut self, run: RunId, spec: &Arc<ServiceSpec>) {
        let (id, name) = (&spec.id, &spec.id.service);
        if let Some(open) = self.projects.get_mut(&id.project) {
            let slot = open.slots.entry(name.clone()).or_insert_with(|| {
                let cursor = open.cursors.get(name).copied().unwrap_or_default();
                let dir = open.slots_dir.join(name.as_str());
                Slot::open(&dir, Arc::clone(&open.place), id.clone(), cursor, spec.logs)
            });
            slot.capture.begin_run(run, spec);
        }
        self.processes.insert(run, Process { service: id.clone(), main: false });
        self.after(Duration::from_millis(3), Happening::Born(run));
    }

    fn read_registry(&self) {
        let registry = self.registry.clone();
        self.store.projects_then(move |records| {
            // An error means that the week is over.
            let _over = registry.send(records);
        });
    }

    /// What the host does between two batches: the registry that came, the picture, and once all is written.
    pub(crate) async fn settle(&mut self) {
        self.read_on();
        self.hub.flush().await;
        let store = Arc::clone(&self.store);
        tokio::task::block_in_place(|| store.flush());
        while let Ok(records) = self.registries.try_recv() {
            self.tell(Event::RegistryRead(records));
        }
        self.publish();
    }

    fn publish(&mut self) {
        let now = self.now();
        self.snapshots.send_replace(self.engine.snapshot(now));
    }
}

const fn instant(mono_us: u64) -> Timestamp {
    Timestamp { mono_us, wall_us: (BEGIN_US + mono_us).cast_signed() }
}
