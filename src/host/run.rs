//! The loop around the engine.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    handle::Call,
    handle::Departure,
    handle::Link,
    handle::TtyInput,
    logs::Hub,
    patterns::{self, Mining},
    peer,
    projects::{Kept, Open, Opening, Projects, Wanted, with_environment},
    readiness::Readiness,
    sampler, search,
    signs::Signs,
    spool::Spool,
    terminal,
    timers::Timers,
    troubles::Troubles,
    veil::Veil,
};
use crate::{
    config,
    engine::Engine,
    insight::entry::Formats,
    model::{
        command::Command,
        effect::Effect,
        event::{Event, Input, TroubleSlot},
        heritage::Heritage,
        ids::{ProjectName, RequestId, ServiceId},
        log_search::LogSearch,
        mark::SpecMark,
        policy::{Reply, Request},
        project::{Problem, ProjectSpec},
        query::{Answer, Query},
        snapshot::Snapshot,
        time::Timestamp,
    },
    world::{
        World, clock,
        log_files::search::Place,
        notify::Notifier,
        store::{EntryFilter, Store},
    },
};

/// Inputs that are taken before the picture is published again.
const BATCH: usize = 256;

/// Least and longest pause between two pictures; a burst of facts makes one picture.
const PAUSE: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(50));

/// A picture is made again after this many times what the last one cost: publishing stays below a tenth of the time.
const PAUSE_PER_COST: u32 = 10;

/// A loop that did not turn for so long was suspended or starved: the sampler wakes it every second.
const STALL: Duration = Duration::from_secs(5);

/// From one look at the registry to the next.
const REGISTRY_AGAIN: Duration = Duration::from_secs(15);

/// Replies that are awaited.
#[derive(Debug, Default)]
pub(super) struct Pending {
    last: u64,
    replies: HashMap<RequestId, oneshot::Sender<Reply>>,
    leavers: Vec<oneshot::Sender<()>>,
    /// Requests for whose plan something is being read: files for a reload, what takes up space for a clean-up.
    planned: Vec<Request>,
    /// Services are left running at the end.
    releases: bool,
}

/// Everything that the engine's task owns.
pub(super) struct Loop {
    pub(super) engine: Engine,
    pub(super) world: World,
    pub(super) store: Arc<Store>,
    pub(super) projects: Projects,
    pub(super) spool: Spool,
    /// When the registry was last looked at.
    pub(super) registry_read: Timestamp,
    pub(super) hub: Hub,
    pub(super) mining: Mining,
    pub(super) _learning: patterns::Running,
    pub(super) veil: Veil,
    pub(super) formats: Arc<Formats>,
    pub(super) signs: Signs,
    pub(super) readiness: Readiness,
    pub(super) timers: Timers,
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) troubles: Troubles,
    pub(super) notifier: Notifier,
    pub(super) pending: Pending,
    pub(super) _sampler: sampler::Running,
    pub(super) _link: watch::Sender<Link>,
}

/// Whether the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    GoOn,
    Quit,
}

/// What woke the loop.
enum Wake {
    Event(Event),
    Call(Call),
    Opening(Box<Opening>),
    DoorClosed,
    Time,
}

impl Loop {
    /// Runs until the engine says `Quit`.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Event>,
        mut door: mpsc::Receiver<Call>,
        mut openings: mpsc::Receiver<Opening>,
        (projects, directory): (Vec<Arc<ProjectSpec>>, Option<PathBuf>),
    ) {
        self.see_through();
        self.read_registry();
        let mut turn = Turn::GoOn;
        for project in projects {
            self.projects.open(Wanted::Read(project));
        }
        if let Some(directory) = directory {
            self.projects.open(Wanted::Find { directory, environment: None, request: None });
        }
        let mut next_picture = self.publish();
        let mut turned = clock::now();
        let mut door_open = true;
        while turn == Turn::GoOn {
            let deadline = self.deadline(next_picture);
            let wake = tokio::select! {
                biased;
                Some(event) = inbox.recv() => Wake::Event(event),
                Some(opening) = openings.recv() => Wake::Opening(Box::new(opening)),
                call = door.recv(), if door_open => call.map_or(Wake::DoorClosed, Wake::Call),
                () = sleep_until(deadline) => Wake::Time,
            };
            let now = clock::now();
            if now.since(turned) > STALL {
                turn = self.feed(Event::Stalled { gap: now.since(turned) });
            }
            turned = now;
            door_open &= !matches!(wake, Wake::DoorClosed);
            turn = turn.and(self.take(wake));
            for _ in 0..BATCH {
                let Ok(event) = inbox.try_recv() else { break };
                turn = turn.and(self.feed(event));
            }
            turn = turn.and(self.fire_timers());
            if self.engine.has_changed() && clock::now().has_reached(next_picture) {
                next_picture = self.publish();
            }
        }
        self.publish();
        // Nobody reads any more: who waits for room (a slot's keeper, the store's writer) would never get it, nor would we get their answers.
        drop(inbox);
        if self.pending.releases {
            self.world.release();
        } else {
            self.projects.close_all().await;
        }
        self.hub.flush().await;
        // Waits for the disk: other tasks go on elsewhere meanwhile.
        tokio::task::block_in_place(|| {
            self.mining.keep();
            self.store.flush();
        });
        for leaver in self.pending.leavers.drain(..) {
            // An error means that the leaver has left already.
            let _left = leaver.send(());
        }
    }

    /// When to wake without being told: the next timer, or the end of the pause after the last picture.
    fn deadline(&self, next_picture: Timestamp) -> Option<u64> {
        let picture = self.engine.has_changed().then_some(next_picture.mono_us);
        [self.timers.next_mono_us(), picture].into_iter().flatten().min()
    }

    fn take(&mut self, wake: Wake) -> Turn {
        match wake {
            Wake::Event(event) => self.feed(event),
            Wake::Opening(opening) => {
                let (event, troubles) = self.projects.take(*opening);
                for text in troubles {
                    tracing::warn!(text, "the records of a project are not all there");
                    self.feed(Event::Trouble { slot: TroubleSlot::Journal, text: Some(text) });
                }
                self.feed(event)
            }
            Wake::Call(Call::Request { mut request, reply }) => {
                self.pending.last += 1;
                request.id = RequestId(self.pending.last);
                peer::name_own(&mut request);
                self.pending.replies.insert(request.id, reply);
                if request.command == Command::Reload {
                    // It is planned by what the files say now.
                    self.read_files(request.id);
                    self.pending.planned.push(request);
                    return Turn::GoOn;
                }
                if let Command::Prune { .. } = request.command {
                    self.read_disk(request.id);
                    self.pending.planned.push(request);
                    return Turn::GoOn;
                }
                self.step(Input::Request(request))
            }
            Wake::Call(Call::Query { query, answer }) => {
                let turn = self.audit(&query);
                self.answer(query, answer);
                turn
            }
            Wake::Call(Call::Leave { departure, done }) => {
                self.pending.leavers.push(done);
                match departure {
                    Departure::StopAll => self.feed(Event::ShutdownAsked),
                    Departure::Halt => self.feed(Event::HaltAsked),
                    Departure::LeaveRunning => {
                        self.pending.releases = true;
                        self.feed(Event::ReleaseAsked)
                    }
                }
            }
            Wake::Call(Call::Tty { service, input, output, answer }) => {
                // An error means that the asker has left.
                let _left = answer.send(self.attach(&service, input, output));
                Turn::GoOn
            }
            // Nobody can ask any more, nobody can see: leave nothing behind.
            Wake::DoorClosed => self.feed(Event::ShutdownAsked),
            Wake::Time => Turn::GoOn,
        }
    }

    /// Who looks behind the veil stands on the timeline before the answer is given.
    fn audit(&mut self, query: &Query) -> Turn {
        match query {
            Query::RawLogs { service, origin, asker } => {
                let (service, origin, asker) = (service.clone(), *origin, asker.clone());
                self.step(Input::Event(Event::RawLogsAsked { service, origin, asker }))
            }
            Query::Logs { .. }
            | Query::Entries { .. }
            | Query::ShellContext { .. }
            | Query::Disk
            | Query::SearchLogs(_)
            | Query::Patterns { .. }
            | Query::LogFiles { .. } => Turn::GoOn,
        }
    }

    /// Lets somebody have the pseudo-terminal of a service.
    fn attach(
        &self,
        id: &ServiceId,
        input: mpsc::Receiver<TtyInput>,
        output: mpsc::Sender<Vec<u8>>,
    ) -> Result<(), String> {
        let snapshot = self.snapshots.borrow().clone();
        let service = snapshot.service(id).ok_or_else(|| format!("there is no service {id}"))?;
        if !service.tty {
            return Err(format!(
                "{id} has no terminal: \"tty: true\" in {} gives it one",
                service.source.file.display()
            ));
        }
        let run = service.run.ok_or_else(|| format!("{id} does not run: start it first"))?;
        let slot = self.projects.slot_of(id).ok_or_else(|| format!("the project of {id} is being opened"))?;
        tokio::spawn(terminal::carry(self.world.clone(), run, slot, input, output));
        Ok(())
    }

    fn fire_timers(&mut self) -> Turn {
        let now = clock::now();
        let mut turn = Turn::GoOn;
        while let Some((key, epoch)) = self.timers.take_due(now) {
            turn = turn.and(self.feed(Event::TimerFired { key, epoch }));
        }
        turn
    }

    fn feed(&mut self, event: Event) -> Turn {
        if let Event::ProjectLoaded { project, heritage: _, request: _ } = &event {
            self.projects.has_changed(project);
            self.veil.learn(project);
            self.signs.learn(project);
            self.readiness.learn(project);
        }
        // What a service is given as a secret was learned before the first fact of its run.
        self.see_through();
        if let Event::FilesRead { request, .. } | Event::DiskRead { request, .. } = &event {
            let planned = self.pending.planned.iter().position(|waiting| waiting.id == *request);
            let planned = planned.map(|place| self.pending.planned.remove(place));
            let turn = self.step(Input::Event(event));
            return planned.map_or(turn, |request| turn.and(self.step(Input::Request(request))));
        }
        if matches!(event, Event::Sampled(_)) {
            self.projects.touch();
            self.look_at_registry();
            self.troubles.say_again();
            self.spool.turn(&self.store.status());
        }
        self.step(Input::Event(event))
    }

    /// The engine says nothing that its readers may not see.
    fn see_through(&mut self) {
        if let Some(redactor) = self.veil.redactor() {
            self.engine.redact_with(redactor);
        }
    }

    fn step(&mut self, input: Input) -> Turn {
        let mut turn = Turn::GoOn;
        let effects = self.engine.step(clock::now(), input);
        // Told before it is remembered: the next engine tells an end again where no record knows of it, and never one that a record knows.
        self.spool.keep(effects.iter().filter_map(Effect::entry));
        for effect in effects {
            turn = turn.and(self.perform(effect));
        }
        turn
    }

    fn perform(&mut self, effect: Effect) -> Turn {
        if let Effect::Spawn { run, spec, remake: _ } = &effect {
            self.mining.begins(&spec.id, *run, clock::now().wall_us, SpecMark::of(spec));
        }
        match effect {
            Effect::CheckPorts { .. }
            | Effect::Spawn { .. }
            | Effect::Signal { .. }
            | Effect::StopTree { .. }
            | Effect::EndTree { .. }
            | Effect::Probe(_)
            | Effect::Examine(_)
            | Effect::Remedy { .. }
            | Effect::EndOrphan { .. }
            | Effect::RunHook(_)
            | Effect::EndHook { .. }
            | Effect::Adopt { .. }
            | Effect::EndStray { .. }
            | Effect::RunBeside { .. }
            | Effect::Fix(_)
            | Effect::Handle { .. }
            | Effect::WatchLog { .. } => self.world.perform(effect),
            Effect::Remember { service, record } => match self.projects.remember(&service, &record) {
                Kept::AsBefore => {}
                Kept::Again => self.troubles.tell(TroubleSlot::Journal, None),
                Kept::NoMore(why) => self.troubles.tell(TroubleSlot::Journal, Some(why)),
            },
            Effect::OpenProject { directory, environment, request } => {
                self.projects.open(Wanted::Find { directory, environment, request: Some(request) });
            }
            Effect::CloseProject(name) => self.projects.close(&name),
            Effect::Timer { at, key, epoch } => self.timers.arm(at, key, epoch),
            Effect::LoadProject { file, name } => self.load_project(file, name),
            Effect::Record(entry) => self.store.record(entry),
            Effect::Register(mut record) => {
                record.remote = self.projects.remote_of(&record.name);
                self.store.register(record);
                self.read_registry();
            }
            Effect::Reply { request, mut reply } => {
                if let Some(redactor) = self.veil.redactor() {
                    redactor.reply(&mut reply);
                }
                if let Some(asker) = self.pending.replies.remove(&request) {
                    // An error means that the asker has left.
                    let _left = asker.send(reply);
                }
            }
            Effect::Rotate(round) => self.projects.rotate(round),
            Effect::Notify { ticket, route, notice } => self.notifier.send(ticket, route, notice),
            Effect::Quit => return Turn::Quit,
        }
        Turn::GoOn
    }

    /// Publishes a picture; returns from when on the next may follow.
    fn publish(&mut self) -> Timestamp {
        let begin = clock::now();
        self.snapshots.send_replace(self.engine.snapshot(begin));
        let end = clock::now();
        end.plus((end.since(begin) * PAUSE_PER_COST).clamp(PAUSE.0, PAUSE.1))
    }

    /// Another cas may have put a project on the list, and a directory may be gone.
    fn look_at_registry(&mut self) {
        let now = clock::now();
        if now.since(self.registry_read) >= REGISTRY_AGAIN {
            self.registry_read = now;
            self.read_registry();
        }
    }

    /// Asks the store for the registry; the answer comes as an event.
    fn read_registry(&self) {
        let events = self.events.clone();
        self.store.projects_then(move |records| {
            // An error means that the engine has ended.
            let _ended = events.blocking_send(Event::RegistryRead(records));
        });
    }

    /// Reads the files of all projects off the loop, for the plan of a reload.
    fn read_files(&self, request: RequestId) {
        let events = self.events.clone();
        let open = self.projects.open_files();
        tokio::task::spawn_blocking(move || {
            let read = |Open { name, file, environment, base }| {
                let loaded = config::load(&file, Some(ProjectName::clone(&name)), &environment);
                let reading = match loaded.project {
                    Some(project) if loaded.errors.is_empty() => Ok(Arc::new(with_environment(project, base.as_ref()))),
                    Some(_) | None => Err(loaded.errors),
                };
                (name, reading)
            };
            let files = open.into_iter().map(read).collect();
            // An error means that the engine has ended.
            let _ended = events.blocking_send(Event::FilesRead { request, files });
        });
    }

    /// Looks what takes up space on Docker's disk, for the plan of a clean-up.
    fn read_disk(&self, request: RequestId) {
        let (events, reading) = (self.events.clone(), self.world.disk());
        tokio::spawn(async move {
            // An error means that the engine has ended.
            let _ended = events.send(Event::DiskRead { request, disk: reading.await }).await;
        });
    }

    /// Reads a project file off the loop; the answer comes as an event.
    fn load_project(&self, file: PathBuf, name: ProjectName) {
        let events = self.events.clone();
        let (environment, base) = self.projects.environment_of(&name);
        tokio::task::spawn_blocking(move || {
            let loaded = config::load(&file, Some(name), &environment);
            let event = match loaded.project {
                Some(project) if loaded.errors.is_empty() => Event::ProjectLoaded {
                    project: Arc::new(with_environment(project, base.as_ref())),
                    heritage: Heritage::default(),
                    request: None,
                },
                _ if loaded.errors.is_empty() => Event::ProjectRefused {
                    problems: vec![Problem {
                        source: None,
                        message: format!("{} holds no project", file.display()),
                        hint: None,
                    }],
                },
                _ => Event::ProjectRefused { problems: loaded.errors },
            };
            // An error means that the engine has ended.
            let _ended = events.blocking_send(event);
        });
    }

    /// Where the lines are that are asked for, of services of open projects.
    fn places(&self, asked: &LogSearch) -> Vec<Place> {
        let services: std::collections::BTreeSet<&ServiceId> = asked.services.iter().collect();
        let place = |service: &ServiceId| {
            let bound = asked.bounds.iter().find(|bound| bound.service == *service).map(|bound| bound.seq);
            Some(Place { service: service.clone(), slot: self.projects.slot_of(service)?, bound })
        };
        services.into_iter().filter_map(place).collect()
    }

    /// Answers a question off the loop.
    fn answer(&self, query: Query, answer: oneshot::Sender<Answer>) {
        // In each arm, an error of `send` means that the asker has left.
        match query {
            Query::Logs { service } => {
                let (hub, veil) = (self.hub.clone(), self.veil.clone());
                tokio::spawn(async move {
                    let kept = hub.recall(service).await;
                    // There may be much of it.
                    let shown = tokio::task::spawn_blocking(move || match veil.passage() {
                        Some(mut passage) => kept.iter().map(|batch| passage.batch(batch)).collect(),
                        None => kept,
                    });
                    answer.send(Answer::Logs(shown.await.unwrap_or_default()))
                });
            }
            Query::RawLogs { service, .. } => {
                let hub = self.hub.clone();
                tokio::spawn(async move { answer.send(Answer::Logs(hub.recall(service).await)) });
            }
            Query::Entries { limit } => {
                let filter = EntryFilter { limit, ..EntryFilter::default() };
                self.store.entries_then(filter, move |entries| {
                    let _left = answer.send(Answer::Entries(entries));
                });
            }
            Query::Disk => {
                let reading = self.world.disk();
                tokio::spawn(async move { answer.send(reading.await.map_or_else(Answer::Unavailable, Answer::Disk)) });
            }
            Query::SearchLogs(asked) => {
                let places = self.places(&asked);
                let (formats, veil) = (Arc::clone(&self.formats), self.veil.clone());
                tokio::task::spawn_blocking(move || {
                    answer.send(Answer::Found(search::search(&asked, places, &formats, &veil)))
                });
            }
            Query::Patterns { services } => {
                let (told, known) = oneshot::channel();
                self.mining.ask(services, told);
                tokio::spawn(async move {
                    let gone = || Answer::Unavailable("nothing learns from output any more".to_owned());
                    answer.send(known.await.map_or_else(|_| gone(), Answer::Patterns))
                });
            }
            Query::LogFiles { service } => {
                let Some(look) = self.projects.log_files() else {
                    let _left = answer.send(Answer::LogFiles(Vec::new()));
                    return;
                };
                tokio::task::spawn_blocking(move || answer.send(Answer::LogFiles(look(service.as_ref()))));
            }
            Query::ShellContext { service } => {
                let secrets = self.veil.values_of(&service);
                let reply = self.engine.shell_context(&service).map_or_else(
                    || Answer::Unavailable(format!("there is no service {service}")),
                    |(working_dir, environment)| Answer::ShellContext { working_dir, environment, secrets },
                );
                let _left = answer.send(reply);
            }
        }
    }
}

impl Turn {
    fn and(self, other: Self) -> Self {
        if self == Self::Quit { self } else { other }
    }
}

/// Sleeps until an instant of the boot clock; for ever without one.
async fn sleep_until(deadline_mono_us: Option<u64>) {
    match deadline_mono_us {
        Some(at) => tokio::time::sleep(Duration::from_micros(at.saturating_sub(clock::now().mono_us))).await,
        None => std::future::pending().await,
    }
}
