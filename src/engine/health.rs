//! Probes: when a round is due, what its answer means, and what the answers together say about the service.
//!
//! Startup gates the other two. Readiness decides `service_healthy`. Liveness that fails for good ends the run.
//!
//! Never: two rounds of one probe in flight; a restart because a probe cannot be put; a judgement over the time in which
//! cas itself did not run.

use std::time::Duration;

use crate::model::{
    effect::Effect,
    event::TimerKey,
    ids::{RunId, ServiceId},
    phase::{Health, Phase},
    policy::{Autopilot, Origin},
    probe::{ProbeKind, ProbeOutcome, ProbeRound},
    time::Timestamp,
    timeline::{What, holds_text},
};

use super::{
    Engine,
    flap::Turn,
    graph, heal,
    state::{Flight, ProbeState, Run, Service, Standing},
    timeline::About,
};

/// The first round of a run comes within this (or the probe's interval, if shorter), spread over its second half.
const FIRST_ROUND: Duration = Duration::from_secs(1);

/// After having been unhealthy, so many good answers in a row count as healthy.
const RECOVERY_SUCCESSES: u32 = 2;

/// A stall longer than this is told on the timeline.
const STALL_TOLD: Duration = Duration::from_secs(5);

/// What flaps comes back by itself: who has been ill for so long at a stretch does not.
const STEADILY_ILL: Duration = Duration::from_mins(1);

/// Rounds that are due within so much time are due together: of hundreds of probes each would wake the machine by itself.
const ROUNDS_TOGETHER: Duration = Duration::from_millis(25);

/// The last instant before it at which rounds are due; a round that was sent a little late is not later each time.
const fn together(at: Timestamp) -> Timestamp {
    let early = at.mono_us % ROUNDS_TOGETHER.as_micros() as u64;
    Timestamp { mono_us: at.mono_us - early, wall_us: at.wall_us.saturating_sub_unsigned(early) }
}

/// What waits for an answer of what it depends on looks again after this.
const GRAPH_AGAIN: Duration = Duration::from_millis(100);

/// Past the probe's own timeout the world owes an answer; after twice the timeout and this, the round counts as unanswered.
const OVERDUE: Duration = Duration::from_secs(1);

impl ProbeState {
    /// Takes an answer in.
    fn take(&mut self, now: Timestamp, outcome: &ProbeOutcome) {
        match outcome {
            ProbeOutcome::Passed => {
                self.failures = 0;
                self.failing_since = None;
                // It has come up: from now on a failure is one.
                self.forgiven_until = self.forgiven_until.min(now);
                self.successes = self.successes.saturating_add(1);
                let needed = match self.standing {
                    Standing::Ill => self.probe.successes.max(RECOVERY_SUCCESSES),
                    Standing::Untold | Standing::Well | Standing::Broken => self.probe.successes.max(1),
                };
                if self.successes >= needed {
                    self.standing = Standing::Well;
                }
            }
            ProbeOutcome::Failed(_) => {
                self.successes = 0;
                self.failing_since.get_or_insert(self.sent);
                if self.standing == Standing::Broken {
                    self.standing = Standing::Untold;
                }
                // What was asked in that time is forgiven, however late it is answered.
                if self.sent.has_reached(self.forgiven_until) {
                    self.failures = self.failures.saturating_add(1);
                    if self.failures >= self.probe.retries.max(1) {
                        self.standing = Standing::Ill;
                    }
                }
            }
            ProbeOutcome::Broken(_) => {
                self.successes = 0;
                self.failures = 0;
                self.standing = Standing::Broken;
            }
        }
    }

    fn detail(&self) -> String {
        match &self.last {
            Some(ProbeOutcome::Failed(detail) | ProbeOutcome::Broken(detail)) => detail.clone(),
            Some(ProbeOutcome::Passed) | None => "no good answer".to_owned(),
        }
    }
}

impl Run {
    /// Whether `kind` is asked now: the startup probe until it passed, the others from then on.
    fn is_asked(&self, kind: ProbeKind) -> bool {
        let started = self.probes.get(&ProbeKind::Startup).is_none_or(|state| state.standing == Standing::Well);
        match kind {
            ProbeKind::Startup => !started,
            ProbeKind::Readiness | ProbeKind::Liveness => started,
        }
    }

    /// What its probes say together; `before` keeps its beginning where nothing changed.
    fn health(&self, now: Timestamp, before: &Health) -> Health {
        if self.probes.is_empty() {
            return Health::Unknown;
        }
        if let Some((kind, state)) = self.probes.iter().find(|(_, state)| state.standing == Standing::Broken) {
            return Health::Misconfigured { probe: *kind, detail: state.detail() };
        }
        if let Some((kind, state)) = self.probes.iter().find(|(_, state)| state.standing == Standing::Ill) {
            let since = if let Health::Unhealthy { since, .. } = before { *since } else { now };
            return Health::Unhealthy { since, probe: *kind, detail: state.detail() };
        }
        let gates = self.probes.iter().filter(|(kind, _)| **kind != ProbeKind::Liveness);
        let untold = if self.probes.keys().all(|kind| *kind == ProbeKind::Liveness) {
            self.probes.values().any(|state| state.standing == Standing::Untold)
        } else {
            gates.into_iter().any(|(_, state)| state.standing == Standing::Untold)
        };
        match (untold, before) {
            (true, Health::Starting { .. }) | (false, Health::Healthy { .. }) => before.clone(),
            (true, _) => Health::Starting { since: now },
            (false, _) => Health::Healthy { since: now },
        }
    }
}

impl Engine {
    /// The probes of a run that now has a process.
    pub(super) fn begin_probes(&mut self, id: &ServiceId) {
        let now = self.now;
        self.begin_exams(id);
        let Some(run) = self.services.get(id).and_then(|service| service.run.as_ref()) else { return };
        if run.log_ready {
            self.tell_ready(id);
        }
        let Some(service) = self.services.get_mut(id).filter(|service| !service.spec.probes.is_empty()) else { return };
        service.health = Health::Starting { since: now };
        self.judge(id);
        for kind in ProbeKind::ALL {
            self.arm_first(id, kind);
        }
    }

    /// Sets the timer for the next first round of a probe, if it is one that is asked now in rounds.
    fn arm_first(&mut self, id: &ServiceId, kind: ProbeKind) {
        let Some(run) = self.services.get(id).and_then(|service| service.run.as_ref()) else { return };
        let Some(state) = run.probes.get(&kind) else { return };
        if state.watches_log() || !run.is_asked(kind) {
            return;
        }
        let most = u64::try_from(state.probe.interval.min(FIRST_ROUND).as_micros()).unwrap_or(u64::MAX);
        let wait = Duration::from_micros(self.rng.u64(most / 2..=most));
        self.arm_probe(id, kind, self.now.plus(wait));
    }

    fn arm_probe(&mut self, id: &ServiceId, kind: ProbeKind, at: Timestamp) {
        if let Some(state) = self.probe_mut(id, kind) {
            let at = if state.probe.interval >= ROUNDS_TOGETHER.saturating_mul(20) { together(at) } else { at };
            state.due = at;
            self.arm(id, at, TimerKey::ProbeDue(id.clone(), kind));
        }
    }

    /// A round is due, or overdue.
    pub(super) fn probe_due(&mut self, id: &ServiceId, kind: ProbeKind) {
        let Some(service) = self.services.get(id) else { return };
        if !matches!(service.phase, Phase::Running { .. }) {
            return;
        }
        let Some(run) = service.run.as_ref() else { return };
        let Some(state) = run.probes.get(&kind) else { return };
        if state.watches_log() || !run.is_asked(kind) || !self.now.has_reached(state.due) {
            return;
        }
        match state.flight {
            // What is frozen answers nothing.
            Flight::None if run.is_spared() => {
                let next = self.now.plus(state.probe.interval);
                self.arm_probe(id, kind, next);
            }
            Flight::None => self.send_round(id, kind),
            Flight::Counts | Flight::Discarded => {
                let (run, round, took) = (run.id, state.round, state.probe.timeout);
                let outcome = ProbeOutcome::Failed("the round was never answered".to_owned());
                self.probed(run, kind, round, outcome, took);
            }
        }
    }

    fn send_round(&mut self, id: &ServiceId, kind: ProbeKind) {
        let now = self.now;
        let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) else { return };
        let run_id = run.id;
        let Some(state) = run.probes.get_mut(&kind) else { return };
        state.round += 1;
        state.flight = Flight::Counts;
        state.sent = now;
        let probe = state.probe.clone();
        let overdue = now.plus(probe.timeout.saturating_mul(2).saturating_add(OVERDUE));
        self.effects.push(Effect::Probe(ProbeRound { run: run_id, kind, round: state.round, probe }));
        self.arm_probe(id, kind, overdue);
    }

    /// The answer to a round.
    pub(super) fn probed(&mut self, run_id: RunId, kind: ProbeKind, round: u64, outcome: ProbeOutcome, took: Duration) {
        let now = self.now;
        let Some(id) = self.runs.get(&run_id).cloned() else { return };
        let Some(service) = self.services.get_mut(&id) else { return };
        if !matches!(service.phase, Phase::Running { .. }) {
            return;
        }
        let is_spared = service.run.as_ref().is_some_and(Run::is_spared);
        let Some(state) = service.run.as_mut().and_then(|run| run.probes.get_mut(&kind)) else { return };
        if state.round != round || state.flight == Flight::None {
            return;
        }
        let counts = state.flight == Flight::Counts && !is_spared;
        state.flight = Flight::None;
        if counts {
            // What is as well as before is shown with the next sample: a picture for each of five hundred answers a second would be most of the work.
            let is_news = state.last.as_ref() != Some(&outcome) || outcome != ProbeOutcome::Passed;
            state.take(now, &outcome);
            state.last = Some(outcome);
            state.took = took;
            state.clock(took);
            service.view = None;
            self.changed |= is_news;
        }
        let interval = match state.eager_until {
            Some(until) if !now.has_reached(until) && state.standing != Standing::Well => {
                state.probe.interval.min(heal::EAGER.1)
            }
            Some(_) | None => state.probe.interval,
        };
        let next = state.sent.plus(interval);
        let next = if next.mono_us > now.mono_us { next } else { now };
        self.heard(&id, kind);
        let asked =
            self.services.get(&id).and_then(|service| service.run.as_ref()).is_some_and(|run| run.is_asked(kind));
        if asked {
            self.arm_probe(&id, kind, next);
        }
        self.watch_honesty(&id);
    }

    /// A line of a file that the service writes itself says that it is ready: its run, for what an earlier one wrote was read before.
    pub(super) fn log_file_matched(&mut self, id: &ServiceId) {
        let run = self.services.get(id).and_then(|service| service.run.as_ref());
        let awaits = |run: &&Run| run.spec.ready_log_line.is_some() && !run.log_ready;
        if let Some(run) = run.filter(awaits).map(|run| run.id) {
            self.log_matched(run, None);
        }
    }

    /// A line of output matched.
    pub(super) fn log_matched(&mut self, run_id: RunId, kind: Option<ProbeKind>) {
        let now = self.now;
        let Some(id) = self.runs.get(&run_id).cloned() else { return };
        let Some(service) = self.services.get_mut(&id) else { return };
        if matches!(service.phase, Phase::Stopping { .. }) {
            return;
        }
        let Some(run) = service.run.as_mut() else { return };
        let Some(kind) = kind else {
            run.log_ready = true;
            self.moved(&id);
            if self.services.get(&id).is_some_and(|service| matches!(service.phase, Phase::Running { .. })) {
                self.tell_ready(&id);
            }
            return;
        };
        let Some(state) = run.probes.get_mut(&kind).filter(|state| state.watches_log()) else { return };
        state.standing = Standing::Well;
        state.last = Some(ProbeOutcome::Passed);
        state.took = now.since(run.since);
        service.view = None;
        self.changed = true;
        let running = matches!(service.phase, Phase::Running { .. });
        self.mark(&id);
        if running {
            self.heard(&id, kind);
        }
    }

    /// One probe has news: does the gate open, does health change, must the run end?
    fn heard(&mut self, id: &ServiceId, kind: ProbeKind) {
        let Some(run) = self.services.get(id).and_then(|service| service.run.as_ref()) else { return };
        let Some(state) = run.probes.get(&kind) else { return };
        let (standing, heals) = (state.standing, state.probe.heals);
        // Who is late on a starved machine may only be waiting for it: that takes twice as many to count.
        let patience = if state.took >= state.probe.timeout && self.is_starved() { 2 } else { 1 };
        let enough = state.failures >= state.probe.retries.max(1).saturating_mul(patience);
        let opened = kind == ProbeKind::Startup && standing == Standing::Well;
        if opened {
            self.mark(id);
        }
        self.judge(id);
        if opened {
            self.open_gate(id);
        }
        let heals = match kind {
            ProbeKind::Startup | ProbeKind::Liveness => true,
            ProbeKind::Readiness => heals,
        };
        if standing == Standing::Ill && graph::culprit(&self.services, id).is_some() {
            self.take_fall_back(id);
        }
        let is_flapping = self.rest_from_flapping(id);
        if heals && standing == Standing::Ill && enough && (!is_flapping || self.is_steadily_ill(id)) {
            self.act_on(id, kind);
        }
    }

    /// Something is to be done about a probe that failed for good, if anything may be.
    pub(super) fn act_on(&mut self, id: &ServiceId, kind: ProbeKind) {
        let is_spared = self.service(id).and_then(|service| service.run.as_ref()).is_some_and(Run::is_spared);
        let asked_otherwise = self.service(id).is_some_and(Service::is_asked_otherwise);
        if is_spared || asked_otherwise || !self.may_heal(id) {
            return;
        }
        if graph::culprit(&self.services, id).is_some() {
            // Not its fault: it needs `retries` new failures once its dependencies are back.
            if let Some(state) = self.probe_mut(id, kind) {
                state.failures = 0;
            }
            return;
        }
        if self.asks_the_graph(id, kind) {
            return self.arm(id, self.now.plus(GRAPH_AGAIN), TimerKey::HealAgain(id.clone(), kind));
        }
        let is_late = self.probe(id, kind).is_some_and(|state| state.took >= state.probe.timeout);
        if is_late && self.is_browned_out() {
            return;
        }
        match kind {
            // What never came up has no other remedy.
            ProbeKind::Startup => self.end_for_probe(id, kind),
            ProbeKind::Readiness | ProbeKind::Liveness => self.heal(id, kind),
        }
    }

    /// Whether something that it needs has not yet answered since its own row of failures began, or has begun to fail, too: what has not been asked is asked now.
    fn asks_the_graph(&mut self, id: &ServiceId, kind: ProbeKind) -> bool {
        let now = self.now;
        let since = self.probe(id, kind).and_then(|state| state.failing_since).unwrap_or(now);
        let mut waits = false;
        let mut unasked = Vec::new();
        for other in graph::needed(&self.services, id) {
            let Some(run) = self.services.get(&other).and_then(|service| service.run.as_ref()) else { continue };
            for (kind, state) in run.probes.iter().filter(|(kind, state)| run.is_asked(**kind) && !state.watches_log())
            {
                // What cannot be asked says nothing, however often it is tried.
                if state.standing == Standing::Broken {
                    continue;
                }
                let is_new = state.flight == Flight::None && state.sent.mono_us > since.mono_us;
                waits |= !is_new || (state.failures > 0 && state.standing != Standing::Ill);
                if !is_new && state.flight == Flight::None {
                    unasked.push((other.clone(), *kind));
                }
            }
        }
        for (other, kind) in unasked {
            self.ask_soon(&other, kind, now);
        }
        waits
    }

    /// Asks in a moment, whatever its rhythm is.
    pub(super) fn ask_soon(&mut self, id: &ServiceId, kind: ProbeKind, at: Timestamp) {
        let Some(run) = self.services.get(id).and_then(|service| service.run.as_ref()) else { return };
        let idle = run.probes.get(&kind).is_some_and(|state| state.flight == Flight::None);
        if idle && run.is_asked(kind) {
            self.arm_probe(id, kind, at);
        }
    }

    fn probe(&self, id: &ServiceId, kind: ProbeKind) -> Option<&ProbeState> {
        self.services.get(id)?.run.as_ref()?.probes.get(&kind)
    }

    fn probe_mut(&mut self, id: &ServiceId, kind: ProbeKind) -> Option<&mut ProbeState> {
        self.services.get_mut(id)?.run.as_mut()?.probes.get_mut(&kind)
    }

    /// The startup probe passed: readiness is asked at once, liveness in its rhythm.
    fn open_gate(&mut self, id: &ServiceId) {
        let Some(run) = self.services.get(id).and_then(|service| service.run.as_ref()) else { return };
        let asks = run
            .probes
            .get(&ProbeKind::Readiness)
            .is_some_and(|state| !state.watches_log() && state.flight == Flight::None);
        if asks {
            self.send_round(id, ProbeKind::Readiness);
        }
        self.arm_first(id, ProbeKind::Liveness);
    }

    /// Forms the judgement anew and tells what changed.
    fn judge(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(run) = service.run.as_ref() else { return };
        let run_id = run.id;
        let health = run.health(now, &service.health);
        if health == service.health {
            return;
        }
        let before = std::mem::replace(&mut service.health, health.clone());
        self.moved(id);
        let about = About::Run(id, run_id);
        let fell = matches!((&before, &health), (Health::Healthy { .. }, Health::Unhealthy { .. }));
        let turn = self.services.get_mut(id).filter(|_| fell).map_or(Turn::Same, |service| service.flap.fell(now));
        match (&before, &health) {
            (Health::Unhealthy { .. }, Health::Unhealthy { .. })
            | (Health::Misconfigured { .. }, Health::Misconfigured { .. }) => {}
            (_, Health::Unhealthy { probe, detail, .. }) => {
                let why = self.verdict_on(id, *probe);
                let what = What::Unhealthy { probe: *probe, detail: detail.clone() };
                self.record(about, Origin::System, what, why);
            }
            (_, Health::Misconfigured { probe, detail }) => {
                let what = What::Unhealthy { probe: *probe, detail: detail.clone() };
                self.record(
                    about,
                    Origin::System,
                    what,
                    "the probe itself cannot be put; correct it in the project file",
                );
            }
            (Health::Unhealthy { since, .. }, Health::Healthy { .. }) => {
                let what = What::Recovered { after: now.since(*since) };
                self.record(about, Origin::System, what, "");
            }
            (_, Health::Healthy { .. }) => self.tell_ready(id),
            (_, Health::Unknown | Health::Starting { .. }) => {}
        }
        if let Turn::Began(falls) = turn {
            let why = "nothing is done about it until it has held for a while, or stayed ill for a minute; a restart of yours still works";
            self.record(about, Origin::Healer, What::Flapping { falls }, why);
        }
        if matches!(health, Health::Healthy { .. }) {
            self.stable_reached(id);
            self.begin_verdict(id);
            self.wake_dependents(id);
        }
    }

    /// It fell ill because what it needs is not well: that is no flapping of its own.
    fn take_fall_back(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        if service.flap.take_back(now) == Turn::Ended {
            service.view = None;
            let Some(run_id) = service.run.as_ref().map(|run| run.id) else { return };
            self.mark(id);
            let why = "it fell ill because what it needs was not well";
            self.record(About::Run(id, run_id), Origin::Healer, What::Steady, why);
        }
    }

    /// Tells when a service has held long enough to be judged by its probes again; true while it flaps.
    fn rest_from_flapping(&mut self, id: &ServiceId) -> bool {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return false };
        if service.flap.rest(now) == Turn::Ended {
            service.view = None;
            let Some(run_id) = service.run.as_ref().map(|run| run.id) else { return false };
            self.mark(id);
            self.record(About::Run(id, run_id), Origin::Healer, What::Steady, "");
            return false;
        }
        service.flap.is_flapping()
    }

    fn is_steadily_ill(&self, id: &ServiceId) -> bool {
        let health = self.service(id).map(|service| &service.health);
        matches!(health, Some(Health::Unhealthy { since, .. }) if self.now.since(*since) >= STEADILY_ILL)
    }

    /// What follows from a probe that failed for good, in words.
    fn verdict_on(&self, id: &ServiceId, probe: ProbeKind) -> String {
        let holds = graph::holds(&self.services, id);
        if !holds.is_empty() {
            return format!("left running, as what it depends on is not well: {}", holds_text(&holds));
        }
        if let Some(culprit) = graph::culprit(&self.services, id) {
            return format!("left running, as {} is not well, which it needs", culprit.service);
        }
        if self.service(id).is_some_and(|service| service.maintenance.is_some()) {
            return "left running: it is in maintenance".to_owned();
        }
        let heals = self.probe(id, probe).is_some_and(|state| state.probe.heals);
        if self.services.get(id).is_some_and(|service| service.flap.is_flapping()) {
            return "left running: it flaps; healed where it stays so for a minute".to_owned();
        }
        if self.service(id).is_some_and(Service::is_asked_otherwise) {
            return "left running: it was started before its file had this probe".to_owned();
        }
        match (probe, self.autopilot) {
            (ProbeKind::Readiness, Autopilot::On) if heals => "the healer takes care of it",
            (ProbeKind::Readiness, Autopilot::Off | Autopilot::On) => "left running: readiness restarts nothing",
            (ProbeKind::Startup | ProbeKind::Liveness, Autopilot::On) => "the healer ends it",
            (ProbeKind::Startup | ProbeKind::Liveness, Autopilot::Off) => "left running: the autopilot is off",
        }
        .to_owned()
    }

    /// Tells once per run that it is ready.
    fn tell_ready(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) else { return };
        if std::mem::replace(&mut run.told_ready, true) {
            return;
        }
        let (run_id, after) = (run.id, now.since(run.since));
        let learns = self.settings.learning;
        let service = self.services.get_mut(id).filter(|_| learns);
        let usual = service.map(|service| service.learnt.was_ready(after)).unwrap_or_default();
        self.mark(id);
        self.record(About::Run(id, run_id), Origin::System, What::Ready { after }, usual);
    }

    /// cas did not run for a while: answers under way say nothing, streaks begin anew, and everyone gets a grace.
    pub(super) fn stalled(&mut self, gap: Duration) {
        let now = self.now;
        let ids: Vec<ServiceId> = self.runs.values().cloned().collect();
        for id in ids {
            let Some(service) = self.services.get_mut(&id) else { continue };
            let running = matches!(service.phase, Phase::Running { .. });
            let Some(run) = service.run.as_mut().filter(|_| running) else { continue };
            let mut idle = Vec::new();
            for (kind, state) in &mut run.probes {
                let grace = state.probe.start_period.max(state.probe.interval);
                state.forgiven_until = state.forgiven_until.max(now.plus(grace));
                if state.standing != Standing::Ill {
                    state.failures = 0;
                }
                match state.flight {
                    Flight::Counts => state.flight = Flight::Discarded,
                    Flight::Discarded => {}
                    Flight::None => idle.push(*kind),
                }
            }
            for kind in idle {
                self.arm_first(&id, kind);
            }
        }
        if gap > STALL_TOLD {
            let why = "the machine slept, or cas was stopped or starved; nothing is concluded from that time";
            self.record(About::Everything, Origin::System, What::Stalled { gap }, why);
        }
    }
}
