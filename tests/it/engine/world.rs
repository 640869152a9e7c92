//! A scripted world in virtual time: it carries out effects with delays and hands the engine what comes of them.
//! After every step it checks what must always hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use cas::{
    engine::{Engine, Settings},
    model::{
        alarm::{NotSent, Notice},
        command::{Command, ServiceRef},
        effect::Effect,
        event::{Event, Input, TimerKey},
        hooks::{HookOutcome, HookResult},
        ids::{RequestId, RunId, ServiceId},
        phase::{Exit, PortHolder},
        policy::{Consent, Origin, Reply, Request},
        probe::{ProbeKind, ProbeOutcome},
        project::ProjectSpec,
        service::ServiceSpec,
        snapshot::{ServiceView, Snapshot},
        time::Timestamp,
        timeline::Entry,
    },
};

pub(super) use super::{
    script::{Answer, Behaviour, Chaos, Life},
    specs::{Build, MS, id, ms, project, secs, service},
};

use super::{
    checks::{check_entry, check_snapshot},
    script::{Happening, Process},
    succession::Succession,
};

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Timestamp,
    pub(super) behaviours: BTreeMap<ServiceId, Behaviour>,
    pub(super) held_ports: BTreeMap<u16, u32>,
    pub(super) spawned: Vec<(Timestamp, ServiceId)>,
    pub(super) healed: Vec<(Timestamp, ServiceId)>,
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) effects: Vec<(Timestamp, Effect)>,
    pub(super) keep_effects: bool,
    pub(super) quits: usize,
    pub(super) steps: u64,
    pub(super) chaos: Option<Chaos>,
    pub(super) budget: (u32, u32),
    /// Services that somebody stopped and nobody started since.
    pub(super) forbidden: BTreeSet<ServiceId>,
    pub(super) specs: BTreeMap<ServiceId, Arc<ServiceSpec>>,
    removed: BTreeSet<ServiceId>,
    pub(super) agenda: BTreeMap<(u64, u64), Happening>,
    pub(super) timers: BTreeMap<TimerKey, u64>,
    pub(super) processes: BTreeMap<RunId, Process>,
    pub(super) completed: BTreeSet<ServiceId>,
    pub(super) in_flight: BTreeMap<(RunId, ProbeKind), u64>,
    pub(super) replies: BTreeMap<RequestId, Reply>,
    pub(super) tokens: f64,
    pub(super) tokens_at: Timestamp,
    serial: u64,
    pub(super) succession: Succession,
    /// What was sent: when, by which route, what.
    pub(super) letters: Vec<(Timestamp, String, Arc<Notice>)>,
    /// Routes that answer otherwise than well.
    pub(super) mail: BTreeMap<String, Result<(), NotSent>>,
    /// Why nothing can be done to a container beside its runs.
    pub(super) deeds_fail: Option<String>,
}

impl World {
    /// A world with the project `shop` of these services, not yet started.
    pub(super) fn new(services: Vec<ServiceSpec>) -> Self {
        let mut world = Self::empty(Settings { seed: 7, ..Settings::default() });
        world.load("shop", services);
        world
    }

    pub(super) fn empty(settings: Settings) -> Self {
        let now = Timestamp { mono_us: 1_000_000, wall_us: 1_700_000_000_000_000 };
        let budget = (settings.budget.burst, settings.budget.refill_per_10s);
        let engine = Engine::new(settings.clone(), now);
        Self {
            engine,
            now,
            behaviours: BTreeMap::new(),
            held_ports: BTreeMap::new(),
            spawned: Vec::new(),
            healed: Vec::new(),
            entries: Vec::new(),
            effects: Vec::new(),
            keep_effects: true,
            quits: 0,
            steps: 0,
            chaos: None,
            budget,
            forbidden: BTreeSet::new(),
            specs: BTreeMap::new(),
            removed: BTreeSet::new(),
            agenda: BTreeMap::new(),
            timers: BTreeMap::new(),
            processes: BTreeMap::new(),
            completed: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            replies: BTreeMap::new(),
            tokens: f64::from(budget.0),
            tokens_at: now,
            serial: 0,
            succession: Succession::new(settings),
            letters: Vec::new(),
            mail: BTreeMap::new(),
            deeds_fail: None,
        }
    }

    pub(super) fn load(&mut self, name: &str, services: Vec<ServiceSpec>) {
        self.load_project(project(name, services));
    }

    pub(super) fn load_project(&mut self, project: Arc<ProjectSpec>) {
        // What is new may be started, and what it needs; what was stopped by hand stays stopped.
        let known = self.engine.snapshot(self.now);
        let is_new = |id: &ServiceId| known.service(id).is_none() || self.removed.contains(id);
        let new = project.services.iter().map(|spec| spec.id.clone()).filter(is_new).collect();
        self.removed = known.services.iter().map(|service| service.id.clone()).collect();
        for spec in &project.services {
            self.specs.insert(spec.id.clone(), spec.clone());
            self.removed.remove(&spec.id);
        }
        self.allow(new);
        self.succession.projects.insert(project.name.clone(), project.clone());
        self.tell(Event::ProjectLoaded { project, heritage: cas::model::heritage::Heritage::default(), request: None });
    }

    pub(super) fn behave(&mut self, name: &str, change: impl FnOnce(&mut Behaviour)) -> &mut Self {
        change(self.behaviours.entry(id(name)).or_default());
        self
    }

    /// A line as typed in a shell.
    #[track_caller]
    pub(super) fn say(&mut self, line: &str) -> Reply {
        self.say_as(Origin::Cli, line, Consent::Ask)
    }

    #[track_caller]
    pub(super) fn say_as(&mut self, origin: Origin, line: &str, consent: Consent) -> Reply {
        let command = Command::parse_line(line).unwrap();
        self.ask(origin, command, consent)
    }

    #[track_caller]
    pub(super) fn ask(&mut self, origin: Origin, command: Command, consent: Consent) -> Reply {
        self.wish(Request { id: RequestId::default(), origin, command, consent, if_rev: None, asker: None })
    }

    /// A request as it is, but for its number.
    #[track_caller]
    pub(super) fn wish(&mut self, request: Request) -> Reply {
        self.serial += 1;
        let id = RequestId(self.serial);
        self.foresee_start(&request.command);
        let stops = matches!(request.command, Command::Stop { .. } | Command::Kill { .. });
        let named = self.named(&request.command);
        self.step(Input::Request(Request { id, ..request }));
        let reply = self.replies.remove(&id).expect("every request is answered in its own step");
        if stops && matches!(reply, Reply::Accepted { .. } | Reply::Unchanged { .. }) {
            self.forbidden.extend(named);
        }
        reply
    }

    /// Services that a command names; patterns are left out.
    fn named(&self, command: &Command) -> Vec<ServiceId> {
        command.targets().map_or_else(Vec::new, |targets| {
            if targets.all {
                return self.specs.keys().cloned().collect();
            }
            let plain = targets.services.iter().filter(|ServiceRef(name)| !name.contains(['*', ':']));
            plain.map(|ServiceRef(name)| id(name)).collect()
        })
    }

    /// What a start or restart allows to be spawned from now on: its targets and all below them.
    fn foresee_start(&mut self, command: &Command) {
        if !matches!(command, Command::Start { .. } | Command::Restart { .. } | Command::Recreate { .. }) {
            return;
        }
        self.allow(self.named(command));
    }

    fn allow(&mut self, mut allowed: Vec<ServiceId>) {
        let mut seen = BTreeSet::new();
        while let Some(next) = allowed.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            self.forbidden.remove(&next);
            let Some(spec) = self.specs.get(&next) else { continue };
            let below = spec.depends_on.keys().cloned();
            allowed.extend(below.map(|service| ServiceId { project: next.project.clone(), service }));
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.step(Input::Event(event));
    }

    /// The main process of a service ends now.
    #[track_caller]
    pub(super) fn crash(&mut self, name: &str, exit: Exit) {
        let run = self.view(name).run.unwrap_or_else(|| panic!("{name} does not run"));
        self.happen(Happening::Dies(run, exit));
    }

    /// A line that is answered when what it asks for is done.
    pub(super) fn put_line(&mut self, line: &str) -> RequestId {
        self.put_with(line, Consent::Ask)
    }

    /// The same, agreed to.
    pub(super) fn put_agreed(&mut self, line: &str, fingerprint: u64) -> RequestId {
        self.put_with(line, Consent::Given(fingerprint))
    }

    fn put_with(&mut self, line: &str, consent: Consent) -> RequestId {
        self.serial += 1;
        let id = RequestId(self.serial);
        let command = Command::parse_line(line).unwrap();
        self.put(Request { id, origin: Origin::Cli, command, consent, if_rev: None, asker: None });
        id
    }

    /// The answer to such a one, once.
    pub(super) fn reply_to(&mut self, request: RequestId) -> Option<Reply> {
        self.replies.remove(&request)
    }

    /// That the timeline has it of no service.
    #[track_caller]
    pub(super) fn assert_told_of_all(&self, part: &str) {
        let told: Vec<String> =
            self.entries.iter().filter(|entry| entry.service.is_none()).map(|entry| entry.sentence()).collect();
        assert!(told.iter().any(|line| line.contains(part)), "{part:?} is not among {told:#?}");
    }

    /// A request that may never be answered.
    pub(super) fn put(&mut self, request: Request) {
        self.foresee_start(&request.command);
        self.step(Input::Request(request));
    }

    pub(super) fn run_for(&mut self, span: Duration) {
        let end = self.now.plus(span);
        while let Some((&(at, serial), _)) = self.agenda.first_key_value() {
            if at > end.mono_us {
                break;
            }
            let happening = self.agenda.remove(&(at, serial)).expect("seen just now");
            self.now = self.now.plus(Duration::from_micros(at.saturating_sub(self.now.mono_us)));
            self.happen(happening);
        }
        self.now = end;
    }

    /// Time goes on while cas does not run: what was due comes all at once, late.
    pub(super) fn stall(&mut self, gap: Duration) {
        self.now = self.now.plus(gap);
        self.tell(Event::Stalled { gap });
    }

    #[track_caller]
    pub(super) fn view(&mut self, name: &str) -> Arc<ServiceView> {
        let snapshot = self.engine.snapshot(self.now);
        snapshot.service(&id(name)).unwrap_or_else(|| panic!("no service {name}")).clone()
    }

    #[track_caller]
    pub(super) fn phase(&mut self, name: &str) -> &'static str {
        self.view(name).phase.label()
    }

    /// When a service was spawned, in milliseconds since `since`.
    pub(super) fn spawns(&self, name: &str) -> Vec<Timestamp> {
        self.spawned.iter().filter(|(_, service)| *service == id(name)).map(|(at, _)| *at).collect()
    }

    /// What the timeline says about a service.
    pub(super) fn story(&self, name: &str) -> Vec<String> {
        let id = id(name);
        self.entries
            .iter()
            .filter(|entry| entry.service.as_ref() == Some(&id.service) && entry.project.as_ref() == Some(&id.project))
            .map(|entry| entry.sentence())
            .collect()
    }

    #[track_caller]
    pub(super) fn assert_told(&self, name: &str, part: &str) {
        let story = self.story(name);
        assert!(story.iter().any(|line| line.contains(part)), "{part:?} is not in {story:#?}");
    }

    pub(super) fn alive(&self) -> usize {
        self.processes.values().filter(|process| process.main || process.leftover > 0).count()
    }

    pub(super) fn at(&mut self, span: Duration, happening: Happening) {
        self.serial += 1;
        self.agenda.insert((self.now.plus(span).mono_us, self.serial), happening);
    }

    pub(super) fn vary(&mut self, span: Duration) -> Duration {
        match &mut self.chaos {
            Some(chaos) => span.mul_f64(chaos.rng.f64() * 2.0),
            None => span,
        }
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Timer(key, epoch, serial) => {
                let replaced = self.timers.get(&key) != Some(&serial);
                // A timer that was replaced may still fire in a careless world; then it must do no harm.
                let careless = self.chaos.as_mut().is_some_and(|chaos| chaos.rng.u8(..) < 20);
                if !replaced || careless {
                    self.tell(Event::TimerFired { key, epoch });
                }
            }
            Happening::Told(event) if self.succession.is_dead => self.succession.missed.push(event),
            Happening::Told(event) => self.tell(event),
            Happening::Born(run) => self.born(run),
            Happening::Dies(run, exit) => self.dies(run, exit),
            Happening::Probed(run, kind, round) => self.probed(run, kind, round),
            Happening::TreeGone(run) => {
                let Some(process) = self.processes.get_mut(&run) else { return };
                process.leftover = 0;
                let survivors = self.behaviours.entry(process.service.clone()).or_default().survivors.clone();
                if process.main {
                    self.dies(run, Exit::Signal(9));
                }
                self.tell(Event::TreeEnded { run, survivors });
            }
            Happening::LeftoversGone(run) => {
                let Some(process) = self.processes.get_mut(&run).filter(|process| !process.main) else { return };
                if std::mem::take(&mut process.leftover) > 0 && process.attached {
                    self.tell(Event::LeftoversGone { run });
                }
            }
            Happening::Ports(service, epoch, ports) => {
                let holders = ports
                    .iter()
                    .filter_map(|port| self.held_ports.get(&port.0).map(|pid| (port.0, *pid)))
                    .map(|(port, pid)| PortHolder {
                        because: None,
                        port,
                        pid: Some(pid),
                        command: Some("nginx".to_owned()),
                        since_us: None,
                        user: None,
                        service: None,
                    })
                    .collect();
                self.tell(Event::PortsChecked { service, epoch, holders });
            }
        }
    }

    fn born(&mut self, run: RunId) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        let behaviour = self.behaviours.entry(process.service.clone()).or_default();
        let life = behaviour.lives.pop_front().unwrap_or_else(|| behaviour.then.clone());
        let logs = behaviour.logs.clone();
        process.born = self.now;
        if let Life::Fails(error) = life {
            let attached = process.attached;
            self.processes.remove(&run);
            if attached {
                self.tell(Event::SpawnFailed { run, error });
            }
            return;
        }
        let attached = process.attached;
        process.main = true;
        process.told = true;
        process.leftover = behaviour.leftover;
        let pid = pid_of(run);
        for (after, kind) in logs {
            self.at(after, Happening::Told(Event::LogMatched { run, kind }));
        }
        if let Life::Ends(after, exit) = life {
            let after = self.vary(after);
            self.at(after, Happening::Dies(run, exit));
        }
        if attached {
            self.tell(Event::Spawned { run, pid });
        }
    }

    fn dies(&mut self, run: RunId, exit: Exit) {
        let Some(process) = self.processes.get_mut(&run).filter(|process| process.main) else { return };
        process.main = false;
        process.end = Some((exit.clone(), self.now));
        let (leftover, attached) = (process.leftover, process.attached);
        let lasts = self.behaviours.entry(process.service.clone()).or_default().leftover_lasts;
        if exit.is_success() {
            self.completed.insert(process.service.clone());
        }
        self.in_flight.retain(|(other, _), _| *other != run || leftover > 0);
        if let Some(lasts) = lasts.filter(|_| leftover > 0) {
            let lasts = self.vary(lasts);
            self.at(lasts, Happening::LeftoversGone(run));
        }
        if attached {
            self.tell(Event::Exited { run, exit, last_words: vec!["bye".to_owned()], leftover });
        }
    }

    fn probed(&mut self, run: RunId, kind: ProbeKind, round: u64) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        if self.in_flight.get(&(run, kind)) == Some(&round) {
            self.in_flight.remove(&(run, kind));
        }
        process.rounds += 1;
        let service = process.service.clone();
        let answers = &self.behaviours.entry(process.service.clone()).or_default().answers;
        let bad = || ProbeOutcome::Failed("connection refused".to_owned());
        let outcome = match answers.get(&kind).unwrap_or(&Answer::Well) {
            Answer::Well => ProbeOutcome::Passed,
            Answer::Bad => bad(),
            Answer::Broken => ProbeOutcome::Broken("no such program: crul".to_owned()),
            Answer::BadUntil(age) if self.now.since(process.born) < *age => bad(),
            Answer::BadUntil(_) => ProbeOutcome::Passed,
            Answer::Alternates if round.is_multiple_of(2) => bad(),
            Answer::Alternates => ProbeOutcome::Passed,
            Answer::Late => bad(),
            Answer::Never => return,
        };
        if let Some(Chaos { rng, lose_answers: Some(one_in) }) = &mut self.chaos
            && rng.u32(0..*one_in) == 0
        {
            return;
        }
        let answers = &self.behaviours.entry(service).or_default().answers;
        let took = if matches!(answers.get(&kind), Some(Answer::Late)) { secs(1) } else { MS };
        self.tell(Event::Probed { run, kind, round, outcome, took });
    }

    /// One step, what comes of it, and what must hold after it.
    fn step(&mut self, input: Input) {
        if self.succession.is_dead {
            return;
        }
        self.steps += 1;
        let effects = self.engine.step(self.now, input);
        let after = self.engine.snapshot(self.now);
        check_order(&effects);
        // As the host has it: what is told goes before what is remembered.
        let (mut effects, rest): (Vec<_>, Vec<_>) = effects.into_iter().partition(|effect| effect.entry().is_some());
        let dies = self.succession.dies_within.take();
        effects.extend(rest.into_iter().take(dies.unwrap_or(usize::MAX)));
        for effect in effects {
            if self.keep_effects {
                self.effects.push((self.now, effect.clone()));
            }
            self.carry_out(effect, &after);
        }
        check_snapshot(&after);
        if dies.is_some() {
            self.die();
        }
    }

    #[expect(clippy::too_many_lines, reason = "one effect after the other")]
    fn carry_out(&mut self, effect: Effect, after: &Snapshot) {
        assert!(self.quits == 0 || matches!(effect, Effect::Reply { .. } | Effect::Record(_)), "{effect:?} after Quit");
        match effect {
            Effect::CheckPorts { service, epoch, ports } => {
                let wait = self.vary(MS);
                self.at(wait, Happening::Ports(service, epoch, ports));
            }
            Effect::Spawn { run, spec, remake: _ } => self.spawn(run, &spec, after),
            Effect::Signal { run, .. } | Effect::StopTree { run, .. } => self.stop_tree(run),
            Effect::EndTree { run, patience } => {
                let Some(process) = self.processes.get(&run) else { panic!("EndTree of {run}, which never was") };
                assert!(process.told, "EndTree of {run} before it is there");
                let wait = self.vary(MS) + patience / 2;
                self.at(wait, Happening::TreeGone(run));
            }
            Effect::Probe(round) => {
                let key = (round.run, round.kind);
                let old = self.in_flight.insert(key, round.round);
                assert!(old.is_none(), "two rounds of {key:?} in flight");
                let late = self.processes.get(&round.run).is_some_and(|process| {
                    let answers = self.behaviours.get(&process.service).map(|behaviour| &behaviour.answers);
                    matches!(answers.and_then(|answers| answers.get(&round.kind)), Some(Answer::Never | Answer::Late))
                });
                // What never answers is torn down when its time is out, and the answer is lost.
                let timeout = round.probe.timeout;
                let wait = if late { timeout } else { self.vary(timeout / 10) };
                self.at(wait, Happening::Probed(round.run, round.kind, round.round));
            }
            Effect::RunHook(round) => {
                let (service, run, hook) = (round.spec.id.clone(), round.run, round.hook);
                let behaviour = self.behaviours.entry(service.clone()).or_default();
                let (wait, outcome) = behaviour.hooks.get(&hook).cloned().unwrap_or((MS, HookOutcome::Passed));
                let result = HookResult { outcome, output: vec!["a line of the hook".to_owned()], took: wait };
                self.at(wait, Happening::Told(Event::HookEnded { service, run, hook, result }));
            }
            Effect::EndHook { run, hook } => {
                let is_it = |told: &Happening| matches!(told, Happening::Told(Event::HookEnded { run: r, hook: h, .. }) if *r == run && *h == hook);
                let found = self.agenda.iter().find(|(_, told)| is_it(told)).map(|(key, _)| *key);
                if let Some(Happening::Told(Event::HookEnded { service, result, .. })) =
                    found.and_then(|key| self.agenda.remove(&key))
                {
                    let result = HookResult { outcome: HookOutcome::CalledOff, ..result };
                    self.at(MS, Happening::Told(Event::HookEnded { service, run, hook, result }));
                }
            }
            Effect::WatchLog { run, kind, .. } => {
                assert!(self.processes.contains_key(&run), "watched before it is spawned");
                self.recall_lines(run, kind);
            }
            Effect::Timer { at, key, epoch } => {
                let wait = at.since(self.now);
                self.at(wait, Happening::Timer(key.clone(), epoch, self.serial + 1));
                self.timers.insert(key, self.serial);
            }
            Effect::LoadProject { .. }
            | Effect::Register(_)
            | Effect::RunBeside { .. }
            | Effect::Examine(_)
            | Effect::Rotate(_)
            | Effect::Fix(_)
            | Effect::EndOrphan { .. } => {}
            Effect::Handle { ticket, .. } => {
                let event = Event::Handled { ticket, result: self.deeds_fail.clone().map_or(Ok(String::new()), Err) };
                self.at(MS, Happening::Told(event));
            }
            Effect::Remedy { run, .. } => {
                let event = Event::RemedyDone { run, error: None, note: String::new() };
                self.at(MS, Happening::Told(event));
            }
            Effect::Notify { ticket, route, notice } => {
                let outcome = self.mail.get(&route.name).cloned().unwrap_or(Ok(()));
                self.letters.push((self.now, route.name.clone(), notice));
                self.at(MS, Happening::Told(Event::Notified { ticket, outcome }));
            }
            Effect::Adopt { run, spec } => {
                let process = self.processes.get_mut(&run).expect("only what is there can be taken over");
                assert_eq!(process.service, spec.id);
                assert!(process.main || process.leftover > 0, "{run} is taken over and is gone");
                assert!(!std::mem::replace(&mut process.attached, true), "{run} is taken over twice");
            }
            Effect::EndStray { run, service } => {
                let process = self.processes.get_mut(&run).expect("only what is there can be ended");
                assert_eq!(process.service, service);
                assert!(!std::mem::replace(&mut process.attached, true), "{run} is a stray and somebody's");
                let wait = self.vary(secs(1));
                self.at(wait, Happening::TreeGone(run));
            }
            Effect::Remember { service, record } => self.succession.remember(service, record),
            Effect::OpenProject { .. } | Effect::CloseProject(_) => {}
            Effect::Record(entry) => {
                if let (Some(project), Some(service)) = (&entry.project, &entry.service) {
                    let id = ServiceId { project: project.clone(), service: service.clone() };
                    if let Some(spec) = self.specs.get(&id) {
                        check_entry(&entry, spec);
                    }
                }
                self.succession.told(&entry);
                self.entries.push(entry);
            }
            Effect::Reply { request, reply } => {
                assert!(self.replies.insert(request, reply).is_none(), "answered twice");
            }
            Effect::Quit => {
                assert!(self.succession.releases || self.alive() == 0, "quits while something runs");
                self.quits += 1;
                assert_eq!(self.quits, 1, "quits once");
            }
        }
    }
}

/// The main process of a run.
pub(super) fn pid_of(run: RunId) -> u32 {
    1000 + u32::try_from(run.0).unwrap()
}

/// Records come before whatever they are to outlive.
fn check_order(effects: &[Effect]) {
    let records = effects.iter().take_while(|effect| matches!(effect, Effect::Remember { .. })).count();
    let late = effects.iter().skip(records).any(|effect| matches!(effect, Effect::Remember { .. }));
    assert!(!late, "a record comes after an effect: {effects:?}");
}
