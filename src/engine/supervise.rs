//! From wanted to running: `reconcile` looks at one service and takes the one step that is due.
//!
//! A start passes four gates, always in this order: dependencies, restart budget, ports, spawn (`pre_start` first).
//!
//! Never: a spawn while a run of the same service exists, or while an ending is due.

use std::{sync::Arc, time::Duration};

use crate::model::{
    effect::Effect,
    event::TimerKey,
    ids::{RunId, ServiceId},
    phase::{Exit, Health, Hold, Phase, PortHolder},
    policy::Origin,
    probe::Check,
    timeline::{What, holds_text},
};

use super::{
    Engine, Life, graph,
    state::{Goal, Push, Run, Service, Stage, Standing, Start},
    timeline::About,
};

/// A blocked service looks at its ports again after this.
const PORTS_AGAIN: Duration = Duration::from_secs(2);

impl Engine {
    /// Looks at services until nothing is left to do for any of them.
    pub(super) fn settle(&mut self) {
        while let Some(id) = self.worklist.pop() {
            self.reconcile(&id);
        }
    }

    /// Takes the one step that what is wanted asks of what is there.
    fn reconcile(&mut self, id: &ServiceId) {
        let Some(service) = self.service(id) else { return };
        if let Some(due) = &service.due {
            if !due.after.iter().any(|other| self.service(other).is_some_and(Service::is_ending)) {
                self.begin_ending(id);
            }
            return;
        }
        match (&service.phase, service.goal) {
            (Phase::Stopped { .. } | Phase::Exited { .. } | Phase::GaveUp { .. }, Goal::Up)
                if service.is_undeclared() =>
            {
                self.drop_service(id);
            }
            (Phase::Stopped { .. } | Phase::Exited { .. } | Phase::GaveUp { .. } | Phase::Waiting { .. }, Goal::Up) => {
                self.try_start(id);
            }
            (Phase::Stopped { .. } | Phase::Exited { .. } | Phase::GaveUp { .. }, Goal::Down) => {
                if service.is_undeclared() {
                    self.drop_service(id);
                }
            }
            // A goal of Down comes with an ending that is due; what is up or on its way needs nothing more.
            (Phase::Waiting { .. }, Goal::Down)
            | (
                Phase::Blocked { .. }
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::BackingOff { .. },
                Goal::Up | Goal::Down,
            ) => {}
        }
    }

    /// Puts a service into a phase: timers of the old one are void, neighbours look again.
    pub(super) fn enter(&mut self, id: &ServiceId, phase: Phase, why: impl Into<String>) {
        let Some(service) = self.services.get_mut(id) else { return };
        if phase.run().is_none() {
            if let Some(run) = service.run.take() {
                self.runs.remove(&run.id);
            }
            service.health = Health::Unknown;
            service.usage = None;
            service.exams.clear();
            service.signs.clear();
            service.drawn = None;
            service.doubts.clear();
        }
        if service.start.token && !matches!(phase, Phase::Starting { .. }) {
            service.start.token = false;
            self.bucket.give_back();
        }
        service.phase = phase;
        service.epoch.0 += 1;
        service.why = why.into();
        self.moved(id);
    }

    /// Phase, health or a mark of a service changed: it and those who may care look again.
    pub(super) fn moved(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.view = None;
        self.changed = true;
        self.worklist.push(id);
        if !self.marked.contains(id) {
            self.marked.insert(id.clone());
        }
        let awaited_by = if service.is_ending() { Vec::new() } else { std::mem::take(&mut service.awaited_by) };
        let dependents = service.dependents.clone();
        for other in &awaited_by {
            self.worklist.push(other);
        }
        for name in &dependents {
            let other = graph::sibling(id, name);
            if let Some(dependent) = self.services.get_mut(&other) {
                dependent.view = None;
                self.worklist.push(&other);
            }
        }
    }

    /// Someone wants it up now: counts start anew, and what was to end it is forgotten.
    pub(super) fn order_start(&mut self, id: &ServiceId, who: Origin, because: String) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        service.goal = Goal::Up;
        service.due = None;
        service.stopped_by = None;
        service.withheld = false;
        match &mut service.phase {
            Phase::Starting { .. } | Phase::Running { .. } => return self.moved(id),
            Phase::Stopping { then, .. } => {
                *then = crate::model::phase::AfterStop::StartAgain;
                service.why = format!("{}; {because} before it was gone", service.why);
                self.intend(id, who, because);
                return self.moved(id);
            }
            Phase::Stopped { .. }
            | Phase::Waiting { .. }
            | Phase::Blocked { .. }
            | Phase::BackingOff { .. }
            | Phase::Exited { .. }
            | Phase::GaveUp { .. } => {}
        }
        self.intend(id, who, because.clone());
        self.enter(id, Phase::Stopped { since: now }, because);
    }

    /// Notes why the next run is started, on purpose.
    pub(super) fn intend(&mut self, id: &ServiceId, who: Origin, because: String) {
        let Some(service) = self.services.get_mut(id) else { return };
        if who != Origin::Healer {
            service.ladder.begin_anew();
        }
        service.streak = 0;
        service.attempt = 0;
        service.restarts = 0;
        let Start { token, queued, .. } = service.start;
        service.start = Start { who, because, attempt: 0, counts: false, token, queued };
    }

    /// Passes the gates as far as they are open.
    pub(super) fn try_start(&mut self, id: &ServiceId) {
        let ends = self.service(id).is_none_or(|service| service.due.is_some() || service.is_undeclared());
        // What an earlier engine left in its place goes first; its end makes this look again.
        if ends || self.life != Life::Working || self.has_stray(id) {
            return;
        }
        let holds = graph::holds(&self.services, id);
        if !holds.is_empty() {
            return self.hold(id, holds);
        }
        if !self.has_token(id) {
            return self.hold(id, vec![Hold::RestartBudget]);
        }
        let Some(service) = self.service(id) else { return };
        let ports = service.spec.ports.clone();
        let needs_docker = service.spec.container.is_some();
        if (ports.is_empty() && !needs_docker) || matches!(service.phase, Phase::Blocked { .. }) {
            return self.spawn(id);
        }
        self.enter_starting(id, Stage::Checking);
        let Some(service) = self.service(id) else { return };
        let epoch = service.epoch;
        self.effects.push(Effect::CheckPorts { service: id.clone(), epoch, ports });
    }

    /// Waits, and says for what; told on the timeline once.
    pub(super) fn hold(&mut self, id: &ServiceId, holds: Vec<Hold>) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let because = format!("{}, waits for {}", service.start.because, holds_text(&holds));
        let who = service.start.who;
        if service.start.token {
            service.start.token = false;
            self.bucket.give_back();
        }
        if holds.contains(&Hold::RestartBudget) && !service.start.queued {
            service.start.queued = true;
            self.bucket.wait(id.clone());
        }
        if let Phase::Waiting { holds: old, .. } = &mut service.phase {
            if *old != holds {
                *old = holds;
                service.why = because;
                service.view = None;
                self.changed = true;
            }
        } else {
            let why = service.start.because.clone();
            self.enter(id, Phase::Waiting { since: now, holds: holds.clone() }, because);
            self.record(About::Service(id), who, What::Held { holds }, why);
        }
        self.arm_budget();
    }

    /// Whether the start needs no token, or has one, or gets one now.
    fn has_token(&mut self, id: &ServiceId) -> bool {
        let Some(service) = self.services.get_mut(id) else { return false };
        if service.start.who != Origin::Healer || service.start.token {
            return true;
        }
        service.start.token = self.bucket.take_if_free(self.now);
        service.start.token
    }

    fn arm_budget(&mut self) {
        if let Some((at, epoch)) = self.bucket.arm(self.now) {
            self.effects.push(Effect::Timer { at, key: TimerKey::BudgetRefilled, epoch });
        }
    }

    /// Hands tokens to those who waited longest.
    pub(super) fn budget_refilled(&mut self) {
        while let Some(id) = self.bucket.next_in_line(self.now) {
            let Some(service) = self.services.get_mut(&id) else {
                self.bucket.give_back();
                continue;
            };
            service.start.queued = false;
            let waits = matches!(&service.phase, Phase::Waiting { holds, .. } if holds.contains(&Hold::RestartBudget));
            if waits && service.due.is_none() {
                service.start.token = true;
                self.try_start(&id);
            } else {
                self.bucket.give_back();
            }
        }
        self.arm_budget();
    }

    /// A new run, in its first phase.
    fn enter_starting(&mut self, id: &ServiceId, stage: Stage) -> Option<RunId> {
        let now = self.now;
        let run = RunId(self.next_run);
        let service = self.services.get_mut(id)?;
        self.next_run += 1;
        self.runs.insert(run, id.clone());
        service.run = Some(Run::new(run, service, stage, now));
        service.last_run = run;
        let because = service.start.because.clone();
        self.enter(id, Phase::Starting { run, since: now }, because);
        Some(run)
    }

    /// Makes the run: the last gate.
    fn spawn(&mut self, id: &ServiceId) {
        let checked = self.service(id).and_then(|service| service.run.as_ref()).is_some();
        if !checked {
            self.enter_starting(id, Stage::Spawning);
        }
        let Some(service) = self.services.get_mut(id) else { return };
        service.start.token = false;
        service.completed = false;
        if service.start.counts {
            service.restarts += 1;
            service.start.counts = false;
        }
        if !self.prepare(id) {
            self.launch(id);
        }
    }

    /// Asks for the process itself.
    pub(super) fn launch(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        let remake = std::mem::take(&mut service.remake);
        let Some(run) = service.run.as_mut() else { return };
        run.stage = Stage::Spawning;
        self.effects.push(Effect::Spawn { run: run.id, spec: run.spec.clone(), remake });
        self.mark(id);
        self.watch_output(id);
    }

    /// Asks for the lines of output that mean something and were not seen yet.
    pub(super) fn watch_output(&mut self, id: &ServiceId) {
        let Some(run) = self.services.get(id).and_then(|service| service.run.as_ref()) else { return };
        let ready = run.spec.ready_log_line.clone().filter(|_| !run.log_ready).map(|pattern| (None, pattern));
        let watched =
            run.probes.iter().filter(|(_, state)| state.standing != Standing::Well).filter_map(|(kind, state)| {
                match &state.probe.check {
                    Check::Log { pattern } => Some((Some(*kind), pattern.clone())),
                    Check::Exec(_)
                    | Check::Http { .. }
                    | Check::Tcp { .. }
                    | Check::Server { .. }
                    | Check::Container => None,
                }
            });
        for (kind, pattern) in ready.into_iter().chain(watched) {
            self.effects.push(Effect::WatchLog { run: run.id, kind, pattern });
        }
    }

    /// The answer to a look at the ports.
    pub(super) fn ports_checked(&mut self, id: &ServiceId, holders: Vec<PortHolder>) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id).filter(|service| service.due.is_none()) else { return };
        match &mut service.phase {
            Phase::Starting { .. } if service.run.as_ref().is_some_and(|run| run.stage == Stage::Checking) => {
                if holders.is_empty() {
                    let holds = graph::holds(&self.services, id);
                    return if holds.is_empty() { self.spawn(id) } else { self.hold(id, holds) };
                }
                let (who, why) = (service.start.who, service.start.because.clone());
                self.enter(id, Phase::Blocked { since: now, holders: holders.clone() }, "");
                self.record(About::Service(id), who, What::Blocked { holders: holders.clone() }, why);
                self.free_own_ports(id, &holders);
                self.arm_ports(id);
            }
            Phase::Blocked { holders: old, .. } => {
                if holders.is_empty() {
                    return self.try_start(id);
                }
                if *old != holders {
                    *old = holders;
                    service.view = None;
                    self.changed = true;
                }
                self.arm_ports(id);
            }
            Phase::Stopped { .. }
            | Phase::Waiting { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::BackingOff { .. }
            | Phase::Exited { .. }
            | Phase::GaveUp { .. } => {}
        }
    }

    fn arm_ports(&mut self, id: &ServiceId) {
        let at = self.now.plus(PORTS_AGAIN);
        self.arm(id, at, TimerKey::PortsAgain(id.clone()));
    }

    /// Looks at the ports of a blocked service again.
    pub(super) fn ports_again(&mut self, id: &ServiceId) {
        let Some(service) = self.service(id) else { return };
        if matches!(service.phase, Phase::Blocked { .. }) {
            let (epoch, ports) = (service.epoch, service.spec.ports.clone());
            self.effects.push(Effect::CheckPorts { service: id.clone(), epoch, ports });
        }
    }

    /// Sets a timer of a service, void when it leaves its phase.
    pub(super) fn arm(&mut self, id: &ServiceId, at: crate::model::time::Timestamp, key: TimerKey) {
        if let Some(service) = self.service(id) {
            let epoch = service.epoch;
            self.effects.push(Effect::Timer { at, key, epoch });
        }
    }

    /// A process exists.
    pub(super) fn spawned(&mut self, run_id: RunId, pid: u32) {
        let now = self.now;
        let Some(id) = self.runs.get(&run_id).cloned() else { return };
        let Some(service) = self.services.get_mut(&id) else { return };
        let Some(run) = service.run.as_mut().filter(|run| run.stage == Stage::Spawning) else { return };
        run.stage = Stage::Spawned;
        run.pid = Some(pid);
        run.since = now;
        let Start { who, because, attempt, .. } = service.start.clone();
        if matches!(service.phase, Phase::Stopping { .. }) {
            service.view = None;
            self.mark(&id);
            self.record(About::Run(&id, run_id), who, What::Started { pid, attempt }, because);
            return self.push_ending(&id);
        }
        let stable = now.plus(run.spec.backoff.stable);
        for state in run.probes.values_mut() {
            state.forgiven_until = now.plus(state.probe.start_period);
        }
        self.enter(&id, Phase::Running { run: run_id, pid, since: now }, because.clone());
        self.record(About::Run(&id, run_id), who, What::Started { pid, attempt }, because);
        self.arm(&id, stable, TimerKey::StableReached(id.clone()));
        self.begin_probes(&id);
        if self.service(&id).is_some_and(|service| service.spec.probes.is_empty()) {
            // Nothing will say that it is well: it is there.
            self.wake_dependents(&id);
        }
        self.greet(&id, run_id);
    }

    /// A process could not come to exist: an end like any other, of a start that never became stable.
    pub(super) fn spawn_failed(&mut self, run_id: RunId, error: String) {
        let Some(id) = self.runs.get(&run_id).cloned() else { return };
        let Some(service) = self.services.get_mut(&id) else { return };
        let Some(run) = service.run.as_mut().filter(|run| run.stage == Stage::Spawning) else { return };
        run.exit = Some(Exit::SpawnFailed(error.clone()));
        run.push = Push::Nothing;
        let Start { who, because, .. } = service.start.clone();
        self.record(About::Run(&id, run_id), who, What::SpawnFailed { error }, because);
        self.gone(&id);
    }

    /// A run lasted long enough; if it is also well, its counts start anew.
    pub(super) fn stable_reached(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        if !matches!(service.phase, Phase::Running { .. }) || !service.is_stable(now) {
            return;
        }
        let Some(run) = service.run.as_mut().filter(|run| !run.became_stable) else { return };
        run.became_stable = true;
        let (run_id, restarts) = (run.id, service.attempt);
        service.streak = 0;
        service.attempt = 0;
        // No picture of a service shows these: a thousand that become stable draw nothing anew.
        self.mark(id);
        if restarts > 0 {
            self.record(About::Run(id, run_id), Origin::Healer, What::Stable { restarts }, "");
        }
    }
}

impl Service {
    /// Whether the present run lasted long enough and its probes do not speak against it.
    pub(super) fn is_stable(&self, now: crate::model::time::Timestamp) -> bool {
        let well = match self.health {
            Health::Unknown | Health::Healthy { .. } | Health::Misconfigured { .. } => true,
            Health::Starting { .. } | Health::Unhealthy { .. } => false,
        };
        self.run.as_ref().is_some_and(|run| {
            let lasted = run.ended.unwrap_or(now).since(run.since);
            run.stage == Stage::Spawned && well && lasted >= run.spec.backoff.stable
        })
    }

    /// The spec that the present run was made from, or the next one will be.
    pub(super) fn effective_spec(&self) -> &Arc<crate::model::service::ServiceSpec> {
        self.run.as_ref().map_or(&self.spec, |run| &run.spec)
    }
}
