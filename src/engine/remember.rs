//! What the next engine must know, handed out before anything is done: whenever a service changes in a way that would matter
//! after the sudden end of this engine, its record goes first in the effects of the step.
//!
//! Never: a record because of a sample or a probe round; an effect of a step before the records of that step.

use std::collections::BTreeMap;

use crate::model::{
    effect::Effect,
    ids::{ServiceId, ServiceName},
    policy::Origin,
    probe::ProbeKind,
    record::{
        EngineState, FORGOTTEN, MaintenanceState, RunCare, RunState, ServiceRecord, ServiceState, StartState, VERSION,
    },
    timeline::What,
};

use super::{
    Engine, Life,
    state::{Run, Service, Stage, Standing},
    timeline::About,
};

impl Engine {
    /// Something of a service changed that may be in its record.
    pub(super) fn mark(&mut self, id: &ServiceId) {
        if !self.marked.contains(id) {
            self.marked.insert(id.clone());
        }
    }

    /// Every service of every project.
    pub(super) fn mark_all(&mut self) {
        self.marked.extend(self.services.keys().cloned());
    }

    /// Every service of every project, whether or not it has changed: what the engine says of itself has.
    pub(super) fn write_all_anew(&mut self) {
        self.services.values_mut().for_each(|service| service.remembered = None);
        self.mark_all();
    }

    /// Makes records of what is marked and has changed.
    pub(super) fn write_marked(&mut self) {
        if self.is_halting() {
            for id in std::mem::take(&mut self.marked) {
                self.revise(&id);
            }
            return;
        }
        let engine = EngineState { autopilot: self.choice, spent: self.bucket.spent(self.now) };
        while let Some(id) = self.marked.pop_first() {
            self.revise(&id);
            let closed = self.is_closing(&id);
            let kept = self.alarms_kept(&id);
            let Some(service) = self.services.get_mut(&id) else { continue };
            let (alarms, told) = if closed { (Vec::new(), Vec::new()) } else { kept };
            let state = ServiceState { alarms, told, ..state_of(service, closed) };
            if service.remembered.as_deref() == Some(&state) {
                continue;
            }
            // Whoever opens a closed project opens it as a new one.
            let engine = if closed { EngineState::default() } else { engine };
            let record = ServiceRecord { v: VERSION, boot: self.boot.clone(), at: self.now, state, engine };
            self.records.push(Effect::Remember { service: id, record: record.to_line() });
            service.remembered = Some(Box::new(record.state));
        }
    }

    /// What the engine before knew of itself, by the records of a project that is being opened. Of several engines, whose projects
    /// come together here, the newest choice of a person counts and the emptiest budget.
    pub(super) fn recall_engine(&mut self, records: &BTreeMap<ServiceName, ServiceRecord>) {
        let now = self.now;
        let live = || records.values().filter(|record| !record.state.closed);
        for record in live().filter(|record| record.boot == self.boot) {
            self.bucket.inherit(record.engine.spent, record.at, now);
        }
        let newest = live().filter_map(|record| record.engine.autopilot).max_by_key(|choice| choice.wall_us);
        let Some(choice) = newest.filter(|new| self.choice.is_none_or(|own| own.wall_us < new.wall_us)) else { return };
        self.choice = Some(choice);
        self.write_all_anew();
        if self.autopilot != choice.mode {
            self.autopilot = choice.mode;
            let why = format!("it was set so by {} before this engine began", choice.by.label());
            self.record(About::Everything, Origin::System, What::AutopilotSet { mode: choice.mode }, why);
        }
    }

    /// A service is no more: neither is its record.
    pub(super) fn forget(&mut self, id: &ServiceId) {
        self.marked.remove(id);
        self.records.push(Effect::Remember { service: id.clone(), record: FORGOTTEN.into() });
    }

    /// The effects of this step, records first.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        self.write_marked();
        if self.records.is_empty() {
            return std::mem::take(&mut self.effects);
        }
        let mut effects = std::mem::take(&mut self.records);
        effects.append(&mut self.effects);
        effects
    }

    /// Whether the next opening of its project is a first one.
    fn is_closing(&self, id: &ServiceId) -> bool {
        match self.life {
            Life::Leaving | Life::Ended => true,
            Life::Working | Life::Released => {
                self.projects.get(&id.project).is_some_and(|project| project.closing.is_some())
            }
        }
    }
}

fn state_of(service: &Service, closed: bool) -> ServiceState {
    let start = &service.start;
    ServiceState {
        goal: service.goal,
        phase: service.phase.clone(),
        run: service.run.as_ref().map(run_of),
        last_run: service.last_run,
        due: service.due.clone(),
        start: StartState {
            who: start.who,
            because: start.because.clone(),
            attempt: start.attempt,
            counts: start.counts,
        },
        streak: service.streak,
        attempt: service.attempt,
        restarts: service.restarts,
        completed: service.completed,
        last_exit: service.last_exit.clone(),
        stopped_by: service.stopped_by,
        why: service.why.clone(),
        flap: service.flap.kept(),
        closed,
        withheld: service.withheld,
        clock: service.clock.kept(),
        learnt: service.learnt.kept(),
        maintenance: service.maintenance.map(|it| MaintenanceState { until: it.until, by: it.by, missed: it.missed }),
        silence: service.muted.clone(),
        alarms: Vec::new(),
        told: Vec::new(),
    }
}

fn run_of(run: &Run) -> RunState {
    RunState {
        id: run.id,
        since: run.since,
        pid: run.pid.filter(|_| run.stage == Stage::Spawned),
        exit: run.exit.clone(),
        became_stable: run.became_stable,
        told_ready: run.told_ready,
        log_ready: run.log_ready,
        pause_wanted: run.pause_wanted,
        passed: run.passed(),
        ended_by: run.ended_by.clone(),
        failed_probe: run.failed_probe,
        made_from: run.made_from,
        care: RunCare::of(&run.spec),
    }
}

impl Run {
    /// Probes that are answered once in a run, and were.
    fn passed(&self) -> Vec<ProbeKind> {
        self.probes
            .iter()
            .filter(|(kind, state)| **kind == ProbeKind::Startup || state.watches_log())
            .filter(|(_, state)| state.standing == Standing::Well)
            .map(|(kind, _)| *kind)
            .collect()
    }
}
