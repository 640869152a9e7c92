//! Opening a project after an earlier engine: what it remembered and what is still there, put together.
//!
//! First it is decided what became of each service, then all of them are put where they stand, then what ended meanwhile is
//! taken in as if it had been seen.
//!
//! Never: a second run beside one that is there; a signal to what is not proven; a start of what somebody stopped.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::model::{
    effect::Effect,
    event::TimerKey,
    heritage::{Found, FoundState, Heritage},
    ids::{RunId, ServiceId, ServiceName},
    phase::{AfterStop, Exit, Phase},
    policy::{Autopilot, Origin},
    probe::ProbeOutcome,
    project::ProjectSpec,
    record::{Goal, HALTED, RunState, ServiceRecord, ServiceState},
    service::RestartPolicy,
    time::Timestamp,
    timeline::What,
};

use super::{
    Engine,
    fate::{Ended, Fate, fate, is_stopped_by_hand},
    flap::Flap,
    graph,
    heal::Maintenance,
    learn::Learnt,
    state::{Push, Run, Service, Stage, Standing, Start, Turn},
    timeline::About,
    told::Told,
};

/// What ended where an engine halted: of both it cannot be told which it was.
pub(super) const HALT: &str = "the end of the machine or of its user's session";

/// Between why a service is down since a restart and why it was down before.
const BEFORE: &str = "; before: ";

/// What follows from the past for an opening.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    /// Services that start as at a first opening.
    pub(super) fresh: BTreeSet<ServiceId>,
    /// Services that the machine's restart ended and that are to run again.
    pub(super) again: Vec<ServiceId>,
    /// Runs that were taken over.
    pub(super) adopted: usize,
    /// Something is known of it that was not ended with its engine: this is no first opening.
    pub(super) goes_on: bool,
    /// What was ended with the user's session rather than the machine.
    pub(super) halted: bool,
}

impl Engine {
    /// Takes over what earlier engines left of a project that is being opened.
    pub(super) fn inherit(&mut self, project: &ProjectSpec, heritage: Heritage) -> Inherited {
        let now = self.now;
        let Heritage { records, found, last_alive, told } = heritage;
        let away = last_alive.map_or(Duration::ZERO, |alive| now.since(alive));
        let mut inherited = Inherited::default();
        let mut records = self.read_records(project, records);
        let mut found: BTreeMap<ServiceName, Found> =
            found.into_iter().map(|found| (found.service.clone(), found)).collect();
        let newest = found.values().map(|found| found.run).chain(records.values().map(|record| record.state.last_run));
        self.next_run = newest.map(|run| run.0.saturating_add(1)).fold(self.next_run, u64::max);
        let mut ended = Vec::new();
        let mut unclear = BTreeSet::new();
        let runs = |found: &Found| matches!(found.state, FoundState::Running { .. });
        inherited.goes_on = found.values().any(runs) || records.values().any(|record| !record.state.closed);
        self.recall_engine(&records);
        let own = self.services.keys().filter(|id| id.project == project.name).cloned();
        let ids = graph::in_order(&self.services, own.collect::<Vec<_>>());
        for id in &ids {
            let record = records.remove(&id.service);
            let boot = self.boot.clone();
            let (fate, stray) = fate(record.as_ref(), &boot, found.remove(&id.service), now);
            if let Some(run) = stray {
                self.end_stray(id, run, "processes of an earlier run were still there");
            }
            if record.as_ref().is_some_and(|record| record.state.closed) {
                inherited.fresh.insert(id.clone());
            }
            inherited.halted |= record.as_ref().is_some_and(|record| *record.boot == *HALTED);
            let known = record.as_ref().map(|record| &record.state);
            if let Some(service) = self.services.get_mut(id) {
                service.learnt = Learnt::recall(known.and_then(|known| known.learnt));
                service.maintenance = known
                    .filter(|known| !known.closed)
                    .and_then(|known| known.maintenance)
                    .map(|kept| Maintenance::recalled(kept, now));
                self.effects.extend(service.maintenance.and_then(|it| it.timer(id)));
                service.muted = known.filter(|known| !known.closed).and_then(|known| known.silence.clone());
                service.clock.recall(known.filter(|known| !known.closed).and_then(|known| known.clock.as_ref()));
            }
            if let Some(known) = known.filter(|known| !known.closed) {
                self.recall_alarms(id, known);
            }
            match fate {
                Fate::Fresh => {
                    self.recall_rest(id, known);
                    inherited.fresh.insert(id.clone());
                }
                Fate::Resume => self.resume(id, known),
                Fate::Adopt { run, pid, since } => {
                    self.adopt(id, known, Run::found(&self.services[id], run, Some(pid), since), away);
                    inherited.adopted += 1;
                }
                Fate::Ended(end) => {
                    self.put_before_end(id, known, &end);
                    ended.push((id.clone(), end));
                }
                Fate::Rebooted(exit) => {
                    if let Some(record) = &record
                        && self.rebooted(id, record, exit)
                    {
                        inherited.again.push(id.clone());
                    }
                }
                Fate::Unverifiable { pid } => {
                    self.unverifiable(id, known, pid);
                    unclear.insert(id.clone());
                }
            }
        }
        for (id, end) in ended {
            inherited.adopted += usize::from(end.leftover > 0);
            self.told = Told::with_end(&told, &id, end.run);
            self.take_end(&id, end, away);
        }
        self.told = Told::default();
        self.see_off(project, found);
        // Every run that was ever made has been judged: only those of this engine are news to the next one, and what could not be judged.
        let judged = RunId(self.next_run.saturating_sub(1));
        for id in &ids {
            if let Some(service) = self.services.get_mut(id).filter(|_| !unclear.contains(id)) {
                service.last_run = service.last_run.max(judged);
            }
        }
        if self.autopilot == Autopilot::Off {
            self.withhold_all();
        }
        inherited
    }

    /// The records that can be used; the others are told about. Those of services that the project does not have go.
    fn read_records(
        &mut self,
        project: &ProjectSpec,
        lines: BTreeMap<ServiceName, std::sync::Arc<str>>,
    ) -> BTreeMap<ServiceName, ServiceRecord> {
        let mut records = BTreeMap::new();
        for (name, line) in lines {
            let id = ServiceId { project: project.name.clone(), service: name.clone() };
            if !self.services.contains_key(&id) {
                if *line != *crate::model::record::FORGOTTEN {
                    self.forget(&id);
                }
                continue;
            }
            match ServiceRecord::parse(&line) {
                Ok(None) => {}
                Ok(Some(record)) => {
                    records.insert(name, record);
                }
                Err(error) => {
                    let text = format!("what an earlier cas noted of {} cannot be used: {error}", id.service);
                    let why = "what is there is taken over all the same; restarts are counted anew";
                    self.record(About::Service(&id), Origin::System, What::Trouble { text }, why);
                }
            }
        }
        records
    }

    /// What is left of services that the project does not have.
    fn see_off(&mut self, project: &ProjectSpec, found: BTreeMap<ServiceName, Found>) {
        for (service, Found { run, state, .. }) in found {
            let id = ServiceId { project: project.name.clone(), service };
            let gone = "its service is gone from the project file";
            match state {
                FoundState::Running { .. } => self.end_stray(&id, run, gone),
                FoundState::Ended { leftover, .. } if leftover > 0 => self.end_stray(&id, run, gone),
                FoundState::Ended { .. } | FoundState::Rebooted => {}
                FoundState::Unverifiable { pid } => {
                    self.record(About::Run(&id, run), Origin::System, What::Unverifiable { pid }, gone);
                }
            }
        }
    }

    /// Counts and words of a service, as they were.
    fn recall(&mut self, id: &ServiceId, known: &ServiceState) {
        let present: BTreeSet<ServiceId> = self.services.keys().cloned().collect();
        let Some(service) = self.services.get_mut(id) else { return };
        service.goal = known.goal;
        service.streak = known.streak;
        service.attempt = known.attempt;
        service.restarts = known.restarts;
        service.completed = known.completed;
        service.last_exit.clone_from(&known.last_exit);
        service.last_run = known.last_run;
        service.stopped_by = known.stopped_by;
        service.withheld = known.withheld;
        service.flap = Flap::recalled(known.flap);
        let (who, because) = (known.start.who, known.start.because.clone());
        let (attempt, counts) = (known.start.attempt, known.start.counts);
        service.start = Start { who, because, attempt, counts, token: false, queued: false };
        service.due.clone_from(&known.due);
        if let Some(due) = &mut service.due {
            due.after.retain(|other| present.contains(other));
            for other in due.after.clone() {
                if let Some(other) = self.services.get_mut(&other) {
                    other.awaited_by.push(id.clone());
                }
            }
        }
    }

    /// What a first opening after a closed one still knows.
    fn recall_rest(&mut self, id: &ServiceId, known: Option<&ServiceState>) {
        let (Some(known), Some(service)) = (known, self.services.get_mut(id)) else { return };
        service.last_exit.clone_from(&known.last_exit);
        service.last_run = known.last_run;
        service.stopped_by = known.stopped_by;
        if is_stopped_by_hand(known) && service.spec.restart == RestartPolicy::UnlessStopped {
            let why = "stopped by hand before its project was closed, and restart is unless-stopped";
            self.keep_down(id, why);
        }
    }

    /// This opening does not start it.
    pub(super) fn keep_down(&mut self, id: &ServiceId, why: &str) {
        if let Some(service) = self.services.get_mut(id) {
            why.clone_into(&mut service.why);
            self.settings.withheld.entry(id.clone()).or_insert_with(|| why.to_owned());
        }
    }

    /// Puts a service of which nothing runs where it was.
    fn resume(&mut self, id: &ServiceId, known: Option<&ServiceState>) {
        let now = self.now;
        let Some(known) = known else { return };
        self.recall(id, known);
        match &known.phase {
            Phase::Stopped { .. } | Phase::Exited { .. } | Phase::GaveUp { .. } | Phase::Waiting { .. } => {
                self.enter(id, known.phase.clone(), known.why.clone());
            }
            Phase::BackingOff { until, .. } => {
                let until = *until;
                self.enter(id, known.phase.clone(), known.why.clone());
                self.arm(id, until, TimerKey::BackoffOver(id.clone()));
            }
            Phase::Blocked { .. } => {
                self.enter(id, known.phase.clone(), known.why.clone());
                self.ports_again(id);
            }
            // The start was decided and not carried out.
            Phase::Starting { .. } | Phase::Running { .. } => {
                self.enter(id, Phase::Stopped { since: now }, known.start.because.clone());
            }
            Phase::Stopping { then, .. } => {
                let stays = *then == AfterStop::StayStopped;
                self.enter(id, Phase::Stopped { since: now }, known.why.clone());
                if stays {
                    let who = known.stopped_by.unwrap_or(Origin::System);
                    self.record(About::Service(id), who, What::Stopped, known.why.clone());
                }
            }
        }
    }

    /// Gives a service the run that was found; it goes on as it was.
    fn adopt(&mut self, id: &ServiceId, known: Option<&ServiceState>, run: Run, away: Duration) {
        let now = self.now;
        let run_id = run.id;
        self.install(id, known, run);
        let Some(service) = self.services.get(id) else { return };
        let Some((run, pid)) = service.run.as_ref().map(|run| (run, run.pid.unwrap_or_default())) else { return };
        let (since, stable) = (run.since, run.since.plus(run.spec.backoff.stable));
        let own = known.filter(|known| known.run.as_ref().is_some_and(|own| own.id == run_id));
        self.effects.push(Effect::Adopt { run: run_id, spec: run.spec.clone() });
        if let Some(ServiceState { phase: Phase::Stopping { since, kill_at, then, .. }, why, .. }) = own {
            let phase = Phase::Stopping { run: run_id, since: *since, kill_at: *kill_at, then: *then };
            self.enter(id, phase, why.clone());
            let what = What::Adopted { pid, away };
            self.record(About::Run(id, run_id), Origin::System, what, "its stop goes on");
            self.arm(id, *kill_at, TimerKey::GraceOver(id.clone()));
            // Whether its pre_stop ran nobody knows.
            if let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) {
                run.pre_stop = Turn::Over;
            }
            return self.push_ending(id);
        }
        let why = match own {
            Some(ServiceState { phase: Phase::Running { .. }, why, .. }) => why.clone(),
            Some(_) | None => service.start.because.clone(),
        };
        self.enter(id, Phase::Running { run: run_id, pid, since }, why);
        let stale = if own.is_some() { "" } else { "what was noted of it is older than this run" };
        let why = self.edited_meanwhile(id).unwrap_or(stale);
        self.record(About::Run(id, run_id), Origin::System, What::Adopted { pid, away }, why);
        self.watch_output(id);
        self.begin_probes(id);
        if now.has_reached(stable) {
            self.stable_reached(id);
        } else {
            self.arm(id, stable, TimerKey::StableReached(id.clone()));
        }
    }

    /// Others started what is a run of a service that has none: it is taken over, unless it is on its way to be started or ended.
    pub(super) fn run_found(&mut self, id: &ServiceId, pid: u32, since: Timestamp) {
        let Some(service) = self.services.get(id) else { return };
        let is_free = service.run.is_none() && service.due.is_none() && !service.is_undeclared();
        if !is_free || self.life != super::Life::Working {
            return;
        }
        let run = RunId(self.next_run);
        self.next_run += 1;
        self.adopt(id, None, Run::found(&self.services[id], run, Some(pid), since), Duration::ZERO);
        let because = "started by someone else, and taken over".to_owned();
        if let Some(service) = self.services.get_mut(id) {
            service.start.because.clone_from(&because);
            service.why = because;
            service.view = None;
        }
    }

    /// Counts and run of a service whose run was found.
    fn install(&mut self, id: &ServiceId, known: Option<&ServiceState>, mut run: Run) {
        let now = self.now;
        if let Some(known) = known {
            self.recall(id, known);
        }
        let Some(service) = self.services.get_mut(id) else { return };
        if let Some(own) = known.and_then(|known| known.run.as_ref()).filter(|own| own.id == run.id) {
            run.recall(own, now);
        } else {
            // It was made after what is noted: the start that was about to be made, or one that nobody knows of.
            run.forgive(now);
            if known.is_none() || service.goal == Goal::Down {
                let because = "running when cas came back".to_owned();
                let (token, queued) = (service.start.token, service.start.queued);
                service.start = Start { who: Origin::System, because, attempt: 0, counts: false, token, queued };
            }
            service.restarts += u32::from(std::mem::take(&mut service.start.counts));
            service.goal = Goal::Up;
            service.due = None;
            service.stopped_by = None;
            service.withheld = false;
            service.completed = false;
        }
        service.last_run = service.last_run.max(run.id);
        self.runs.insert(run.id, id.clone());
        service.run = Some(run);
    }

    /// Puts a service where it was just before the end that nobody saw.
    fn put_before_end(&mut self, id: &ServiceId, known: Option<&ServiceState>, end: &Ended) {
        let Some(service) = self.services.get(id) else { return };
        let (phase, since) = match known {
            Some(ServiceState { phase, run: Some(own), .. }) if own.id == end.run => (phase.clone(), own.since),
            Some(_) | None => (Phase::Starting { run: end.run, since: end.at }, end.at),
        };
        let run = Run { unseen_end: Some(end.at), ..Run::found(service, end.run, None, since) };
        self.install(id, known, run);
        let why = known.map_or_else(String::new, |known| known.why.clone());
        self.enter(id, phase, why);
    }

    /// Takes in an end that nobody saw.
    fn take_end(&mut self, id: &ServiceId, end: Ended, away: Duration) {
        let Ended { run: run_id, exit, at, leftover } = end;
        let now = self.now;
        let Some(service) = self.services.get(id) else { return };
        let Some(run) = service.run.as_ref() else { return };
        let (main_ended, forked) = (run.exit.is_some(), service.is_forked());
        if leftover > 0 {
            self.effects.push(Effect::Adopt { run: run_id, spec: run.spec.clone() });
        }
        match (main_ended, leftover) {
            (true, 0) => self.leftovers_gone(run_id, at),
            (true, _) if forked => {
                let (pid, stable) = (run.pid.unwrap_or_default(), run.since.plus(run.spec.backoff.stable));
                if let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) {
                    run.unseen_end = None;
                }
                let why = "its main process had ended before; what it left goes on";
                self.record(About::Run(id, run_id), Origin::System, What::Adopted { pid, away }, why);
                self.watch_output(id);
                self.begin_probes(id);
                self.arm(id, stable.max(now), TimerKey::StableReached(id.clone()));
            }
            (true, _) => self.end_leftover(id, run_id),
            (false, _) => {
                self.exited(run_id, exit, at, Vec::new(), leftover);
                self.go_on_forked(id);
            }
        }
    }

    /// Where the end turned out to be a fork, the run is looked after from now on.
    fn go_on_forked(&mut self, id: &ServiceId) {
        let now = self.now;
        if !self.service(id).is_some_and(Service::is_forked) {
            return;
        }
        let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) else { return };
        run.unseen_end = None;
        let stable = run.since.plus(run.spec.backoff.stable);
        self.watch_output(id);
        self.begin_probes(id);
        self.arm(id, stable.max(now), TimerKey::StableReached(id.clone()));
    }

    /// The machine was started anew since: whether it is to run again.
    fn rebooted(&mut self, id: &ServiceId, record: &ServiceRecord, exit: Option<Exit>) -> bool {
        let now = self.now;
        let known = &record.state;
        let Some(service) = self.services.get_mut(id) else { return false };
        service.last_run = known.last_run;
        service.last_exit.clone_from(&known.last_exit);
        service.stopped_by = known.stopped_by;
        service.withheld = known.withheld;
        if known.closed {
            self.recall_rest(id, Some(known));
            return false;
        }
        let (autostart, policy) = (service.spec.autostart, service.spec.restart);
        let halted = *record.boot == *HALTED;
        let end = if halted { HALT } else { "the machine's restart" };
        if let Some(run) = &known.run {
            let exit = exit.unwrap_or(Exit::Rebooted);
            service.last_exit = Some(exit.clone());
            let what = What::Exited { exit, after: record.at.since(run.since), last_words: Vec::new() };
            // Who ended it before the machine went down has told so.
            if !halted {
                self.record(About::Run(id, run.id), Origin::System, what, "it ran when the machine went down");
            }
        }
        let (starts, why) = match known.goal {
            Goal::Up if autostart || policy != RestartPolicy::No => (true, format!("stopped by {end}")),
            Goal::Up => (false, format!("stopped by {end}; policy no: not started again")),
            Goal::Down if is_stopped_by_hand(known) => {
                (autostart && policy == RestartPolicy::Always, known.why.clone())
            }
            Goal::Down if known.withheld => (false, known.why.clone()),
            Goal::Down => {
                // After many restarts, what was before the first of them.
                let before = known.why.rsplit(BEFORE).next().unwrap_or_default();
                (autostart, format!("not started since {end}{BEFORE}{before}"))
            }
        };
        self.enter(id, Phase::Stopped { since: now }, why);
        starts
    }

    /// What may be its run cannot be told from a stranger: nobody touches it, and nothing starts beside it by itself.
    fn unverifiable(&mut self, id: &ServiceId, known: Option<&ServiceState>, pid: u32) {
        let now = self.now;
        if let Some(known) = known {
            self.recall(id, known);
        }
        let Some(service) = self.services.get_mut(id) else { return };
        service.goal = Goal::Down;
        service.due = None;
        service.completed = false;
        service.last_exit = Some(Exit::Unknown);
        // Whoever can tell that it is its own takes it over.
        service.last_run = RunId(service.last_run.0.saturating_sub(1));
        let why = format!(
            "pid {pid} may be its earlier run or a stranger, so it is left alone: look at it, end it if it is yours, then press start"
        );
        self.enter(id, Phase::Exited { since: now, exit: Exit::Unknown }, why);
        let why = "not started by itself, lest there be two";
        self.record(About::Service(id), Origin::System, What::Unverifiable { pid }, why);
    }
}

impl Run {
    /// A run that was found, of which nothing is known yet.
    fn found(service: &Service, id: RunId, pid: Option<u32>, since: Timestamp) -> Self {
        Self { pid, made_from: None, ..Self::new(id, service, Stage::Spawned, since) }
    }

    /// What an earlier engine knew of it. Its probes begin anew, save those that are answered once in a run.
    fn recall(&mut self, own: &RunState, now: Timestamp) {
        if own.pid.is_some() {
            self.since = own.since;
        }
        self.pid = self.pid.or(own.pid);
        self.made_from = own.made_from;
        self.exit.clone_from(&own.exit);
        self.became_stable = own.became_stable;
        self.told_ready = own.told_ready;
        self.log_ready = own.log_ready;
        self.pause_wanted = own.pause_wanted;
        self.ended_by.clone_from(&own.ended_by);
        self.failed_probe = own.failed_probe;
        self.push = Push::Nothing;
        for kind in &own.passed {
            if let Some(state) = self.probes.get_mut(kind) {
                state.standing = Standing::Well;
                state.last = Some(ProbeOutcome::Passed);
            }
        }
        self.forgive(now);
    }

    /// Nothing is concluded from the time in which no engine looked, and a while beyond.
    fn forgive(&mut self, now: Timestamp) {
        for state in self.probes.values_mut() {
            let grace = state.probe.start_period.max(state.probe.interval);
            state.forgiven_until = state.forgiven_until.max(now.plus(grace));
        }
    }
}
