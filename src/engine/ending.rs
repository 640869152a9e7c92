//! From running to gone, and what follows: stop, kill, crash, the restart policy, the breaker.
//!
//! Never: a new start before nothing of the old run is left; a restart after a stop that was asked for.

use std::{collections::BTreeSet, time::Duration};

use crate::model::{
    effect::Effect,
    event::TimerKey,
    hooks::HookKind,
    ids::{RunId, ServiceId},
    phase::{AfterStop, Exit, Phase},
    policy::{Asker, Origin},
    probe::ProbeKind,
    signal::Signal,
    time::{Timestamp, short_duration},
    timeline::What,
};

use super::{
    Engine,
    door::asked_by,
    graph, hooks, policy,
    state::{Due, Goal, Manner, Push, Stage, Start},
    timeline::About,
};

/// An ending that someone asks for.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) then: AfterStop,
    pub(super) manner: Manner,
    pub(super) by: Origin,
    /// `stopped by you`.
    pub(super) because: String,
}

impl Engine {
    /// Ends `targets`, dependents before what they depend on (SIGKILL: all at once).
    pub(super) fn order_endings(&mut self, targets: &[ServiceId], order: &Order) {
        let selection: BTreeSet<ServiceId> = targets.iter().cloned().collect();
        for id in targets {
            // What only waits to be started is called off at once.
            let only_planned = self.service(id).is_some_and(|service| !service.has_process());
            let after = match (order.manner, order.then) {
                (Manner::Kill, _) => Vec::new(),
                (Manner::Ask { .. }, AfterStop::StayStopped) if only_planned => Vec::new(),
                (Manner::Ask { .. }, _) => graph::nearest_dependents(&self.services, id, &selection),
            };
            for other in &after {
                if let Some(other) = self.services.get_mut(other) {
                    other.awaited_by.push(id.clone());
                }
            }
            let Some(service) = self.services.get_mut(id) else { continue };
            (service.goal, service.stopped_by) = match order.then {
                AfterStop::StayStopped => (Goal::Down, Some(order.by)),
                AfterStop::StartAgain | AfterStop::AskPolicy => (Goal::Up, None),
            };
            let Order { then, manner, by, because } = order.clone();
            service.due = Some(Due { then, manner, by, because, after });
            self.moved(id);
        }
    }

    /// Carries out an ending whose turn has come.
    pub(super) fn begin_ending(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(due) = service.due.take() else { return };
        if !service.has_process() {
            return self.end_without_process(id, due);
        }
        let grace = match due.manner {
            Manner::Ask { grace } => grace.unwrap_or(service.effective_spec().stop.grace),
            Manner::Kill => Duration::ZERO,
        };
        let signal = service.effective_spec().stop.signal;
        if let Phase::Stopping { then, kill_at, .. } = &mut service.phase {
            *then = due.then;
            if now.plus(grace).mono_us < kill_at.mono_us {
                *kill_at = now.plus(grace);
            }
            let kill_at = *kill_at;
            service.why.clone_from(&due.because);
            if due.then == AfterStop::StartAgain {
                self.intend(id, due.by, restarted(&due.because));
            }
            self.name_ender(id, due.by, due.because);
            self.moved(id);
            if due.manner == Manner::Kill {
                return self.kill_now(id, Duration::ZERO);
            }
            return self.arm(id, kill_at, TimerKey::GraceOver(id.clone()));
        }
        let Some(run) = service.run.as_ref() else { return };
        let (run, is_prepared) = (run.id, run.stage == Stage::Preparing);
        if due.then == AfterStop::StartAgain {
            self.intend(id, due.by, restarted(&due.because));
        }
        self.name_ender(id, due.by, due.because.clone());
        let kill_at = now.plus(grace);
        self.enter(id, Phase::Stopping { run, since: now, kill_at, then: due.then }, due.because.clone());
        if is_prepared {
            // Its end tells that nothing is left.
            return self.effects.push(Effect::EndHook { run, hook: HookKind::PreStart });
        }
        match due.manner {
            Manner::Kill => self.kill_now(id, Duration::ZERO),
            Manner::Ask { .. } => {
                self.record(About::Run(id, run), due.by, What::Stopping { signal }, due.because);
                self.arm(id, kill_at, TimerKey::GraceOver(id.clone()));
                self.push_ending(id);
            }
        }
    }

    /// An ending where no process is: what was pending is called off, or begun anew.
    fn end_without_process(&mut self, id: &ServiceId, due: Due) {
        let now = self.now;
        let Some(service) = self.service(id) else { return };
        match due.then {
            // Where a clock or its files start it, its stop is news.
            AfterStop::StayStopped if service.is_at_rest() && !service.spec.occasions.starts_it() => {
                self.moved(id);
            }
            AfterStop::StayStopped => {
                self.enter(id, Phase::Stopped { since: now }, due.because.clone());
                self.record(About::Service(id), due.by, What::Stopped, due.because);
            }
            AfterStop::StartAgain | AfterStop::AskPolicy => {
                let because = restarted(&due.because);
                self.intend(id, due.by, because.clone());
                self.enter(id, Phase::Stopped { since: now }, because);
            }
        }
    }

    fn name_ender(&mut self, id: &ServiceId, by: Origin, because: String) {
        if let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) {
            run.ended_by = Some((by, because));
        }
    }

    /// Sends the first signal of an ending, once there is a process to hear it.
    pub(super) fn push_ending(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let Phase::Stopping { kill_at, since, .. } = service.phase else { return };
        let Some(run) = service.run.as_mut() else { return };
        if run.stage != Stage::Spawned || run.push >= Push::Asked {
            return;
        }
        if now.has_reached(kill_at) {
            return self.kill_now(id, kill_at.since(since));
        }
        if self.take_leave(id, kill_at.since(now)) {
            return;
        }
        let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) else { return };
        let (run_id, signal) = (run.id, run.spec.stop.signal);
        if run.exit.is_some() && signal == Signal::Term {
            // No exit will tell that the others are gone: this does.
            run.push = Push::Ending;
            return self.effects.push(Effect::EndTree { run: run_id, patience: kill_at.since(now) });
        }
        run.push = Push::Asked;
        self.effects.push(Effect::StopTree { run: run_id, signal });
    }

    /// SIGKILL to all that is left, once there is a process to be killed.
    fn kill_now(&mut self, id: &ServiceId, waited: Duration) {
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(run) = service.run.as_mut() else { return };
        if run.stage != Stage::Spawned || run.push == Push::Killed {
            return;
        }
        run.push = Push::Killed;
        let run_id = run.id;
        self.cut_leave_short(id, waited);
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(run) = service.run.as_mut() else { return };
        let (by, because) = run.ended_by.clone().unwrap_or((Origin::Healer, String::new()));
        service.view = None;
        self.changed = true;
        self.effects.push(Effect::EndTree { run: run_id, patience: Duration::ZERO });
        self.record(About::Run(id, run_id), by, What::Killed { after: waited }, because);
    }

    /// The grace time of an ending is over.
    pub(super) fn grace_over(&mut self, id: &ServiceId) {
        let Some(service) = self.service(id) else { return };
        let Phase::Stopping { kill_at, since, .. } = service.phase else { return };
        let pushed = service.run.as_ref().is_some_and(|run| run.push >= Push::Ending);
        if !pushed && self.now.has_reached(kill_at) {
            self.kill_now(id, kill_at.since(since));
        }
    }

    /// The healer ends a run whose probe failed for good; the restart policy decides what follows.
    pub(super) fn end_for_probe(&mut self, id: &ServiceId, kind: ProbeKind) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        if service.due.is_some() || !matches!(service.phase, Phase::Running { .. }) {
            return;
        }
        let Some(run) = service.run.as_mut() else { return };
        let because = format!("ended by the healer: its {} probe failed", kind.label());
        run.failed_probe = Some(kind);
        run.ended_by = Some((Origin::Healer, because.clone()));
        let (run_id, stop) = (run.id, run.spec.stop);
        let kill_at = now.plus(stop.grace);
        let then = AfterStop::AskPolicy;
        self.enter(id, Phase::Stopping { run: run_id, since: now, kill_at, then }, because.clone());
        self.record(About::Run(id, run_id), Origin::Healer, What::Stopping { signal: stop.signal }, because);
        self.arm(id, kill_at, TimerKey::GraceOver(id.clone()));
        self.push_ending(id);
    }

    /// The main process of a run is gone since `at`.
    pub(super) fn exited(
        &mut self,
        run_id: RunId,
        exit: Exit,
        at: Timestamp,
        last_words: Vec<String>,
        leftover: usize,
    ) {
        let Some(id) = self.runs.get(&run_id).cloned() else { return };
        let forks = leftover > 0 && self.goes_on_without_main(&id, &exit);
        let Some(service) = self.services.get_mut(&id) else { return };
        let Some(run) = service.run.as_mut().filter(|run| run.exit.is_none()) else { return };
        run.exit = Some(exit.clone());
        service.view = None;
        self.mark(&id);
        if forks {
            return self.forked(&id, run_id, leftover);
        }
        let Some(run) = self.services.get_mut(&id).and_then(|service| service.run.as_mut()) else { return };
        run.ended = Some(at);
        let (who, mut why) =
            run.ended_by.clone().unwrap_or_else(|| (Origin::System, "nobody asked it to end".to_owned()));
        if run.unseen_end.is_some() {
            why.push_str("; cas did not run then");
        }
        let what = What::Exited { exit, after: at.since(run.since), last_words };
        self.record(About::Run(&id, run_id), who, what, why);
        if leftover == 0 {
            return self.gone(&id);
        }
        self.end_leftover(&id, run_id);
    }

    /// Nothing of the run is left: what follows?
    pub(super) fn gone(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(run) = service.run.as_ref() else { return };
        let exit = run.exit.clone().unwrap_or(Exit::Unknown);
        let asked = run.ended_by.clone();
        service.last_exit = Some(exit.clone());
        let then = match service.phase {
            Phase::Stopping { then, .. } => then,
            Phase::Stopped { .. }
            | Phase::Waiting { .. }
            | Phase::Blocked { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::BackingOff { .. }
            | Phase::Exited { .. }
            | Phase::GaveUp { .. } => AfterStop::AskPolicy,
        };
        if let Some(due) = &service.due {
            // It went before its turn; what was decided still holds.
            let because = due.because.clone();
            return self.enter(id, Phase::Stopped { since: now }, because);
        }
        match then {
            AfterStop::AskPolicy => self.ask_policy(id, exit),
            AfterStop::StayStopped | AfterStop::StartAgain => {
                let (who, because) = asked.unwrap_or((service.start.who, service.start.because.clone()));
                self.enter(id, Phase::Stopped { since: now }, because.clone());
                self.record(About::Service(id), who, What::Stopped, because);
            }
        }
    }

    /// A run ended and nobody asked for it: again, later, or not.
    fn ask_policy(&mut self, id: &ServiceId, exit: Exit) {
        let now = self.now;
        let waits = !graph::holds(&self.services, id).is_empty();
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(run) = service.run.as_ref() else { return };
        let (run_id, failed_probe) = (run.id, run.failed_probe);
        let since = run.unseen_end.unwrap_or(now);
        let ran_well = service.is_stable(now);
        if ran_well || run.became_stable {
            service.streak = 0;
            service.attempt = 0;
        } else if !waits {
            service.streak = service.streak.saturating_add(1);
        }
        service.completed = exit.is_success() && failed_probe.is_none();
        let how = failed_probe.map_or_else(|| exit.to_string(), |kind| format!("its {} probe failed", kind.label()));
        let wanted = policy::wants_again(service.spec.restart, &exit, failed_probe.is_some(), service.attempt);
        let (streak, backoff) = (service.streak, service.spec.backoff);
        let breaks = backoff.give_up_after > 0 && streak >= backoff.give_up_after;
        let may_heal = self.may_heal(id);
        let gives_up = wanted.is_ok() && may_heal && !waits && breaks;
        // Giving up says it itself.
        if hooks::has_failed(&exit, failed_probe) && !gives_up {
            self.alarm(id, run_id, &exit, hooks::reason(id, &exit, failed_probe));
        }
        let Some(service) = self.services.get_mut(id) else { return };
        if let Err(why) = wanted {
            service.goal = Goal::Down;
            let why = service.clock_done(&exit).unwrap_or(why);
            return self.enter(id, Phase::Exited { since: now, exit }, why);
        }
        if !may_heal {
            return self.withhold(id, exit);
        }
        if waits {
            self.plan_restart(id, format!("restarted by the healer after {how}, not counted"), false);
            return self.try_start_anew(id, &how);
        }
        if gives_up {
            return self.give_up(id, run_id, exit);
        }
        service.attempt = service.attempt.saturating_add(1);
        let attempt = service.attempt;
        let delay = policy::delay(&backoff, attempt, ran_well, &mut self.rng);
        self.plan_restart(id, format!("restarted by the healer after {how}, try {attempt}"), true);
        self.record(About::Run(id, run_id), Origin::Healer, What::RestartScheduled { delay, attempt }, how.clone());
        let until = since.plus(delay);
        if now.has_reached(until) {
            return self.try_start_anew(id, &how);
        }
        let why = format!(
            "the healer starts it again (restart {attempt}) after {how}; the wait is {}",
            short_duration(delay)
        );
        self.enter(id, Phase::BackingOff { attempt, since, until, exit }, why);
        self.arm(id, until, TimerKey::BackoffOver(id.clone()));
    }

    fn plan_restart(&mut self, id: &ServiceId, because: String, counts: bool) {
        let Some(service) = self.services.get_mut(id) else { return };
        let Start { token, queued, .. } = service.start;
        let attempt = service.attempt;
        service.start = Start { who: Origin::Healer, because, attempt, counts, token, queued };
    }

    /// Starts again without any wait of its own.
    fn try_start_anew(&mut self, id: &ServiceId, how: &str) {
        let now = self.now;
        self.enter(id, Phase::Stopped { since: now }, format!("ended: {how}"));
        self.try_start(id);
    }

    /// The wait before a restart is over.
    pub(super) fn backoff_over(&mut self, id: &ServiceId) {
        if self.service(id).is_some_and(|service| matches!(service.phase, Phase::BackingOff { .. })) {
            self.try_start(id);
        }
    }

    /// The healer is switched off and says what it would have done.
    fn withhold(&mut self, id: &ServiceId, exit: Exit) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        service.goal = Goal::Down;
        let policy = service.spec.restart.label();
        let reason = match &mut service.maintenance {
            Some(maintenance) => {
                maintenance.missed = true;
                "it is in maintenance"
            }
            None => "the autopilot is off",
        };
        let why = format!("not restarted after {exit}: policy is {policy}, but {reason}; start it by hand");
        self.enter(id, Phase::Exited { since: now, exit: exit.clone() }, why);
        let what = What::RestartWithheld { exit };
        self.record(About::Service(id), Origin::Healer, what, reason);
    }

    /// Calls off every restart that the healer has planned and not made.
    pub(super) fn withhold_all(&mut self) {
        let planned: Vec<(ServiceId, Exit)> = self
            .services
            .iter()
            .filter(|(_, service)| service.due.is_none() && service.start.who == Origin::Healer)
            .filter_map(|(id, service)| match &service.phase {
                Phase::BackingOff { .. } | Phase::Waiting { .. } | Phase::Blocked { .. } => {
                    Some((id.clone(), service.last_exit.clone().unwrap_or(Exit::Unknown)))
                }
                Phase::Stopped { .. }
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Exited { .. }
                | Phase::GaveUp { .. } => None,
            })
            .collect();
        for (id, exit) in planned {
            self.withhold(&id, exit);
        }
    }

    /// The breaker opens.
    fn give_up(&mut self, id: &ServiceId, run: RunId, exit: Exit) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        service.goal = Goal::Down;
        let attempts = service.streak;
        let stable = short_duration(service.spec.backoff.stable);
        let last = exit.to_string();
        let starts = if attempts == 1 { "1 start".to_owned() } else { format!("{attempts} starts in a row") };
        let why = format!("gave up: {starts} never lasted {stable}; last: {last} — press start to try again");
        let reason = format!("{} was given up: {starts} never lasted {stable}; last: {last}", id.service);
        self.alarm(id, run, &exit, reason);
        self.enter(id, Phase::GaveUp { attempts, since: now, exit }, why);
        let why = format!("none of them lasted {stable}; last: {last}");
        self.record(About::Run(id, run), Origin::Healer, What::GaveUp { attempts }, why);
    }

    /// Delivers a signal to the main process of a service.
    pub(super) fn signal(&mut self, id: &ServiceId, signal: Signal, by: Origin, asker: Option<&Asker>) {
        let Some(run) = self.service(id).and_then(|service| service.run.as_ref()) else { return };
        if run.stage == Stage::Spawned && run.exit.is_none() {
            let run = run.id;
            self.effects.push(Effect::Signal { run, signal });
            self.record(About::Run(id, run), by, What::Signalled { signal }, asked_by(asker));
        }
    }

    /// Ends everything, in reverse order of dependencies.
    pub(super) fn end_all(&mut self) {
        let order = Order {
            then: AfterStop::StayStopped,
            manner: Manner::Ask { grace: None },
            by: Origin::System,
            because: "stopped because cas ends".to_owned(),
        };
        let up = |id: &&ServiceId| self.service(id).is_some_and(|service| !service.is_at_rest());
        let ending: Vec<ServiceId> = self.order.iter().filter(up).cloned().collect();
        self.order_endings(&ending, &order);
    }
}

/// `stopped by you` as the reason of the run that follows.
fn restarted(because: &str) -> String {
    because.replacen("stopped", "restarted", 1)
}
