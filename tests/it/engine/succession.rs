//! Engines that die, and what the next one makes of what they leave.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use cas::{
    engine::{Engine, Settings},
    model::{
        event::Event,
        heritage::{Found, FoundState, Heritage},
        ids::{ProjectName, RunId, ServiceId},
        phase::{AfterStop, Phase},
        probe::ProbeKind,
        project::ProjectSpec,
        record::{ServiceRecord, ServiceState},
        time::Timestamp,
        timeline::{Entry, What},
    },
};

use super::{
    checks::tale,
    script::Happening,
    world::{World, pid_of},
};

/// What outlives an engine.
pub(super) struct Succession {
    pub(super) settings: Settings,
    pub(super) projects: BTreeMap<ProjectName, Arc<ProjectSpec>>,
    pub(super) records: BTreeMap<ServiceId, Arc<str>>,
    /// How many records were written.
    pub(super) written: usize,
    pub(super) largest: usize,
    pub(super) is_dead: bool,
    /// The engine dies within the next step, after so many of its effects.
    pub(super) dies_within: Option<usize>,
    /// It ends and leaves everything running.
    pub(super) releases: bool,
    /// Lines of output that nobody watched for.
    pub(super) missed: Vec<Event>,
    pub(super) deaths: usize,
    died: Option<Timestamp>,
    pub(super) exits_told: BTreeSet<RunId>,
}

impl Succession {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            projects: BTreeMap::new(),
            records: BTreeMap::new(),
            written: 0,
            largest: 0,
            is_dead: false,
            dies_within: None,
            releases: false,
            missed: Vec::new(),
            deaths: 0,
            died: None,
            exits_told: BTreeSet::new(),
        }
    }

    pub(super) fn remember(&mut self, service: ServiceId, record: Arc<str>) {
        assert!(!record.contains('\n'), "a record is one line");
        let parsed = ServiceRecord::parse(&record).expect("what the engine writes it can read");
        if let Some(record) = &parsed {
            assert_eq!(ServiceRecord::parse(&record.to_line()).as_ref(), Ok(&parsed));
        }
        self.written += 1;
        self.largest = self.largest.max(record.len());
        self.records.insert(service, record);
    }

    /// Nobody hears twice of the end of one run.
    pub(super) fn told(&mut self, entry: &Entry) {
        if let (What::Exited { .. }, Some(run)) = (&entry.what, entry.run) {
            assert!(self.exits_told.insert(run), "the end of {run} is told twice");
        }
    }

    pub(super) fn state(&self, id: &ServiceId) -> Option<ServiceState> {
        let line = self.records.get(id)?;
        ServiceRecord::parse(line).ok().flatten().map(|record| record.state)
    }
}

impl World {
    /// The engine is killed. What runs runs on.
    pub(super) fn die(&mut self) {
        self.succession.is_dead = true;
        self.succession.died = Some(self.now);
        self.succession.deaths += 1;
        self.timers.clear();
        self.in_flight.clear();
        self.replies.clear();
        let mut unborn = Vec::new();
        let chaos = &mut self.chaos;
        self.agenda.retain(|_, happening| match happening {
            Happening::Timer(..) | Happening::Probed(..) | Happening::Ports(..) => false,
            // The shim had heard of it, or had not.
            Happening::Born(run) => {
                let heard = chaos.as_mut().is_none_or(|chaos| chaos.rng.bool());
                if !heard {
                    unborn.push(*run);
                }
                heard
            }
            Happening::Told(_) | Happening::Dies(..) | Happening::TreeGone(_) | Happening::LeftoversGone(_) => true,
        });
        for run in unborn {
            self.processes.remove(&run);
        }
        for process in self.processes.values_mut() {
            process.attached = false;
        }
    }

    /// What the slots of a project hold.
    pub(super) fn found(&self, project: &ProjectName) -> Vec<Found> {
        let mut newest = BTreeMap::new();
        for (run, process) in self.processes.iter().filter(|(_, process)| process.told) {
            if process.service.project == *project {
                newest.insert(process.service.service.clone(), (*run, process));
            }
        }
        let found = newest.into_iter().map(|(service, (run, process))| {
            let state = match &process.end {
                None => FoundState::Running { pid: pid_of(run), since: process.born },
                Some((exit, at)) => FoundState::Ended { exit: exit.clone(), at: *at, leftover: process.leftover },
            };
            Found { service, run, state }
        });
        found.collect()
    }

    pub(super) fn heritage(&self, project: &ProjectName) -> Heritage {
        let records = self.succession.records.iter().filter(|(id, _)| id.project == *project);
        Heritage {
            records: records.map(|(id, record)| (id.service.clone(), record.clone())).collect(),
            found: self.found(project),
            last_alive: self.succession.died,
            told: self.entries.iter().rev().take(100).rev().map(|entry| (**entry).clone()).collect(),
        }
    }

    /// The next engine opens what was open.
    pub(super) fn revive(&mut self) {
        let projects: Vec<_> = self.succession.projects.values().cloned().collect();
        self.awake();
        for project in projects {
            let heritage = self.heritage(&project.name);
            self.succeed(&project, heritage);
        }
    }

    /// The next engine, which has opened nothing yet.
    pub(super) fn awake(&mut self) {
        // What is being spawned for an engine that is gone is there, or fails, before the next one looks.
        let born = |happening: &Happening| matches!(happening, Happening::Born(_));
        while let Some(at) = self.agenda.iter().find(|(_, happening)| born(happening)).map(|(at, _)| *at) {
            let happening = self.agenda.remove(&at).expect("seen just now");
            self.now = self.now.max(Timestamp { mono_us: at.0, ..self.now });
            self.happen(happening);
        }
        let mut settings = self.succession.settings.clone();
        settings.seed = settings.seed.wrapping_add(self.succession.deaths as u64);
        settings.first_run = self.processes.keys().last().map_or(1, |run| run.0 + 1);
        self.engine = Engine::new(settings, self.now);
        self.succession.is_dead = false;
        self.quits = 0;
    }

    /// The next engine opens a project, and what must hold then.
    pub(super) fn succeed(&mut self, project: &Arc<ProjectSpec>, heritage: Heritage) {
        let before: BTreeMap<ServiceId, ServiceState> =
            self.specs.keys().filter_map(|id| Some((id.clone(), self.succession.state(id)?))).collect();
        let found = heritage.found.clone();
        self.succession.projects.insert(project.name.clone(), project.clone());
        for spec in &project.services {
            self.specs.insert(spec.id.clone(), spec.clone());
        }
        self.tell(Event::ProjectLoaded { project: project.clone(), heritage, request: None });
        if self.succession.is_dead {
            return;
        }
        for Found { service, run, state } in found {
            let id = ServiceId { project: project.name.clone(), service };
            self.check_found(&id, run, &state, &before);
        }
        for (id, before) in before.into_iter().filter(|(id, state)| id.project == project.name && !state.closed) {
            if project.services.iter().any(|spec| spec.id == id) {
                self.check_counts(&id, &before);
            }
        }
    }

    /// What was found runs on as the same run, is being ended, or was told about.
    fn check_found(
        &mut self,
        id: &ServiceId,
        run: RunId,
        state: &FoundState,
        before: &BTreeMap<ServiceId, ServiceState>,
    ) {
        if !matches!(state, FoundState::Running { .. }) {
            return;
        }
        let process = &self.processes[&run];
        assert!(process.attached, "{id} {run} is neither taken over nor ended: {}", tale(&self.entries));
        let snapshot = self.engine.snapshot(self.now);
        let Some(view) = snapshot.service(id).filter(|view| view.run == Some(run)) else { return };
        let known = before.get(id).and_then(|state| state.run.as_ref()).filter(|own| own.id == run);
        if let (Phase::Running { since, pid, .. }, Some(known)) = (&view.phase, known) {
            assert_eq!((Some(*pid), known.pid.unwrap_or(*pid)), (view.pid, pid_of(run)), "{id}");
            if known.pid.is_some() {
                assert_eq!(*since, known.since, "{id} keeps its uptime");
            }
        }
    }

    /// Counts never fall because an engine died.
    fn check_counts(&mut self, id: &ServiceId, before: &ServiceState) {
        let after = self.succession.state(id).expect("it was kept before");
        if before.due.as_ref().is_some_and(|due| due.then == AfterStop::StartAgain) {
            // It is started on purpose: counts begin anew.
            return;
        }
        let last = |state: &ServiceState| state.clock.as_ref().and_then(|clock| clock.last_us);
        if last(&after) != last(before) {
            // So it is by its clock.
            return;
        }
        assert!(after.restarts >= before.restarts, "{id}: {before:?} became {after:?}");
        let spec = &self.specs[id];
        let lasted = before.run.as_ref().map_or(Duration::ZERO, |run| self.now.since(run.since));
        if lasted < spec.backoff.stable && before.run.as_ref().is_none_or(|run| !run.became_stable) {
            assert!(after.attempt >= before.attempt, "{id}: {before:?} became {after:?}");
            assert!(after.streak >= before.streak, "{id}: {before:?} became {after:?}");
        }
    }

    /// Lines that came while nobody watched are found by whoever watches then.
    pub(super) fn recall_lines(&mut self, watched: RunId, question: Option<ProbeKind>) {
        let is_it =
            |event: &Event| matches!(event, Event::LogMatched { run, kind } if *run == watched && *kind == question);
        if let Some(at) = self.succession.missed.iter().position(is_it) {
            let event = self.succession.missed.remove(at);
            self.at(Duration::ZERO, Happening::Told(event));
        }
    }
}
