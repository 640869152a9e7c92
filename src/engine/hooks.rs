//! Hooks: commands before a start, after it, before a stop, and after a failure.
//!
//! Never: an end or a restart because of a hook, save that a failed `pre_start` is a failed start; a hook of a run that was found.

use std::time::Duration;

use crate::model::{
    effect::Effect,
    hooks::{Failure, HookKind, HookOutcome, HookResult, HookRound},
    ids::{RunId, ServiceId},
    phase::{Exit, Phase},
    policy::Origin,
    probe::ProbeKind,
    timeline::What,
};

use super::{
    Engine, graph,
    state::{Stage, Start, Turn},
    timeline::About,
};

impl Engine {
    /// Asks for a hook of the service; false where it has none.
    fn run_hook(
        &mut self,
        id: &ServiceId,
        run: RunId,
        hook: HookKind,
        limit: Option<Duration>,
        failure: Option<Failure>,
    ) -> bool {
        let Some(service) = self.service(id) else { return false };
        // The hooks of the newest file, where and with what the run was made.
        let spec = if hook == HookKind::PreStart { service.effective_spec() } else { &service.spec };
        if spec.hooks.of(hook).is_empty() {
            return false;
        }
        let spec = spec.clone();
        self.effects.push(Effect::RunHook(HookRound { run, hook, spec, limit, failure }));
        true
    }

    /// Runs `pre_start`; true where the start waits for it.
    pub(super) fn prepare(&mut self, id: &ServiceId) -> bool {
        let Some(run) = self.service(id).and_then(|service| service.run.as_ref()).map(|run| run.id) else {
            return false;
        };
        if !self.run_hook(id, run, HookKind::PreStart, None, None) {
            return false;
        }
        if let Some(service) = self.services.get_mut(id) {
            service.why = format!("{}; its pre_start runs", service.start.because);
            service.view = None;
            if let Some(run) = &mut service.run {
                run.stage = Stage::Preparing;
            }
        }
        self.changed = true;
        self.mark(id);
        true
    }

    /// Runs `post_start`.
    pub(super) fn greet(&mut self, id: &ServiceId, run: RunId) {
        self.run_hook(id, run, HookKind::PostStart, None, None);
    }

    /// Runs `pre_stop` for at most `limit`, once in a run; true while the signal waits for it.
    pub(super) fn take_leave(&mut self, id: &ServiceId, limit: Duration) -> bool {
        let Some(run) = self.service(id).and_then(|service| service.run.as_ref()) else { return false };
        let (run_id, turn) = (run.id, run.pre_stop);
        // Without its main process there is nobody to take leave of.
        if turn != Turn::Untaken || run.exit.is_some() {
            return turn == Turn::Running;
        }
        let runs = self.run_hook(id, run_id, HookKind::PreStop, Some(limit), None);
        if let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) {
            run.pre_stop = if runs { Turn::Running } else { Turn::Over };
        }
        runs
    }

    /// The kill does not wait for `pre_stop`.
    pub(super) fn cut_leave_short(&mut self, id: &ServiceId, waited: Duration) {
        let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) else { return };
        if run.pre_stop != Turn::Running {
            return;
        }
        run.pre_stop = Turn::Over;
        let run_id = run.id;
        let (who, why) = run.ended_by.clone().unwrap_or((Origin::Healer, String::new()));
        self.effects.push(Effect::EndHook { run: run_id, hook: HookKind::PreStop });
        let failed = Some("it was not over when the service was killed".to_owned());
        let what = What::Hook { hook: HookKind::PreStop, failed, after: waited, output: Vec::new() };
        self.record(About::Run(id, run_id), who, what, why);
    }

    /// Runs `on_failure`, one at a time.
    pub(super) fn alarm(&mut self, id: &ServiceId, run: RunId, exit: &Exit, reason: String) {
        let Some(service) = self.services.get(id) else { return };
        if service.spec.hooks.on_failure.is_empty() {
            return;
        }
        if service.alarm.is_some() {
            let failed = Some("it was not run, as the one before has not ended yet".to_owned());
            let what = What::Hook { hook: HookKind::OnFailure, failed, after: Duration::ZERO, output: Vec::new() };
            return self.record(About::Run(id, run), Origin::Healer, what, reason);
        }
        let failure = Failure { reason: reason.clone(), exit: exit.clone() };
        self.run_hook(id, run, HookKind::OnFailure, None, Some(failure));
        if let Some(service) = self.services.get_mut(id) {
            service.alarm = Some((run, reason));
        }
    }

    /// What a hook came to. Answers of what is over say nothing.
    pub(super) fn hook_ended(&mut self, id: &ServiceId, run: RunId, hook: HookKind, result: HookResult) {
        match hook {
            HookKind::PreStart => self.prepared(id, run, result),
            HookKind::PostStart => {
                let there = self.service(id).is_some_and(|service| service.run.as_ref().is_some_and(|r| r.id == run));
                if there {
                    let (who, why) = self.starter(id);
                    self.tell_hook(id, run, hook, result, (who, why));
                }
            }
            HookKind::PreStop => {
                let Some(own) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) else { return };
                if own.id != run || own.pre_stop != Turn::Running {
                    return;
                }
                own.pre_stop = Turn::Over;
                let ender = own.ended_by.clone().unwrap_or((Origin::Healer, String::new()));
                self.tell_hook(id, run, hook, result, ender);
                self.push_ending(id);
            }
            HookKind::OnFailure => {
                let Some(service) = self.services.get_mut(id) else { return };
                if let Some((_, reason)) = service.alarm.take_if(|(alarmed, _)| *alarmed == run) {
                    self.tell_hook(id, run, hook, result, (Origin::Healer, reason));
                }
            }
        }
    }

    /// `pre_start` is over: the process is made, or the start has failed.
    fn prepared(&mut self, id: &ServiceId, run_id: RunId, result: HookResult) {
        let now = self.now;
        let Some(service) = self.services.get(id) else { return };
        let Some(run) = service.run.as_ref().filter(|run| run.id == run_id && run.stage == Stage::Preparing) else {
            return;
        };
        if let Some(due) = &service.due {
            let because = due.because.clone();
            return self.enter(id, Phase::Stopped { since: now }, because);
        }
        if matches!(service.phase, Phase::Stopping { .. }) {
            let (who, because) =
                run.ended_by.clone().unwrap_or_else(|| (service.start.who, service.start.because.clone()));
            self.enter(id, Phase::Stopped { since: now }, because.clone());
            return self.record(About::Service(id), who, What::Stopped, because);
        }
        let failed = match &result.outcome {
            HookOutcome::Passed => None,
            HookOutcome::Failed(why) => Some(why.clone()),
            HookOutcome::CalledOff => Some("it was called off".to_owned()),
        };
        let starter = self.starter(id);
        self.tell_hook(id, run_id, HookKind::PreStart, result, starter);
        if let Some(run) = self.services.get_mut(id).and_then(|service| service.run.as_mut()) {
            run.stage = Stage::Spawning;
        }
        if let Some(why) = failed {
            return self.spawn_failed(run_id, format!("its pre_start failed: {why}"));
        }
        // What it depends on may have gone meanwhile.
        let holds = graph::holds(&self.services, id);
        if holds.is_empty() { self.launch(id) } else { self.hold(id, holds) }
    }

    fn starter(&self, id: &ServiceId) -> (Origin, String) {
        self.service(id).map_or((Origin::System, String::new()), |service| {
            let Start { who, because, .. } = &service.start;
            (*who, because.clone())
        })
    }

    fn tell_hook(
        &mut self,
        id: &ServiceId,
        run: RunId,
        hook: HookKind,
        result: HookResult,
        (who, why): (Origin, String),
    ) {
        let HookResult { outcome, output, took } = result;
        let failed = match outcome {
            HookOutcome::Passed => None,
            HookOutcome::Failed(why) => Some(why),
            HookOutcome::CalledOff => return,
        };
        self.record(About::Run(id, run), who, What::Hook { hook, failed, after: took, output }, why);
    }

    /// Ends what prepares a start, as the engine ends and the next one starts anew.
    pub(super) fn end_preparations(&mut self) {
        let preparing = self.services.values().filter_map(|service| service.run.as_ref());
        let runs: Vec<RunId> = preparing.filter(|run| run.stage == Stage::Preparing).map(|run| run.id).collect();
        self.effects.extend(runs.into_iter().map(|run| Effect::EndHook { run, hook: HookKind::PreStart }));
    }
}

/// Whether a run that ended so, unasked, has failed. What ended with the machine has not.
pub(super) const fn has_failed(exit: &Exit, failed_probe: Option<ProbeKind>) -> bool {
    failed_probe.is_some() || !matches!(exit, Exit::Code(0) | Exit::Rebooted)
}

/// `api ended: exit code 1`.
pub(super) fn reason(id: &ServiceId, exit: &Exit, failed_probe: Option<ProbeKind>) -> String {
    let name = &id.service;
    match (failed_probe, exit) {
        (Some(kind), _) => format!("{name} was ended: its {} probe failed", kind.label()),
        (None, Exit::Code(_) | Exit::Signal(_)) => format!("{name} ended: {exit}"),
        (None, Exit::OutOfMemory { .. } | Exit::Rebooted | Exit::SpawnFailed(_) | Exit::Removed | Exit::Unknown) => {
            format!("{name} {exit}")
        }
    }
}
