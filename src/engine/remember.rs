//! What the next engine must know, handed out before anything is done: whenever a service changes in a way that would matter
//! after the sudden end of this engine, its record goes first in the effects of the step.
//!
//! Never: a record because of a sample or a probe round; an effect of a step before the records of that step.

use crate::model::{
    effect::Effect,
    ids::ServiceId,
    probe::ProbeKind,
    record::{FORGOTTEN, RunState, ServiceRecord, ServiceState, StartState, VERSION},
};

use super::{
    Engine, Life,
    state::{Run, Service, Stage, Standing},
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

    /// Makes records of what is marked and has changed.
    pub(super) fn write_marked(&mut self) {
        if self.is_halting() {
            return self.marked.clear();
        }
        while let Some(id) = self.marked.pop_first() {
            let closed = self.is_closing(&id);
            let Some(service) = self.services.get_mut(&id) else { continue };
            let state = state_of(service, closed);
            if service.remembered.as_deref() == Some(&state) {
                continue;
            }
            let record = ServiceRecord { v: VERSION, boot: self.boot.clone(), at: self.now, state };
            self.records.push(Effect::Remember { service: id, record: record.to_line() });
            service.remembered = Some(Box::new(record.state));
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
        passed: run.passed(),
        ended_by: run.ended_by.clone(),
        failed_probe: run.failed_probe,
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
