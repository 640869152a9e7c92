//! What a main process leaves behind: ended before anything starts again, or, where it put itself into the background, kept.
//!
//! Never: a new start before nothing of the old run is left, save what could not be ended and is named.

use std::time::Duration;

use crate::model::{
    effect::Effect,
    ids::{RunId, ServiceId},
    phase::{AfterStop, Exit, Phase},
    policy::Origin,
    service::{Condition, RestartPolicy},
    timeline::What,
};

use super::{
    Engine, graph,
    state::{Goal, Push},
    timeline::About,
};

/// What a crashed main process leaves behind may take so long to end by itself.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(2);

impl Engine {
    /// The main process is gone, others of its run are not: they must go before anything starts again.
    pub(super) fn end_leftover(&mut self, id: &ServiceId, run_id: RunId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(run) = service.run.as_mut() else { return };
        if run.push >= Push::Ending {
            return;
        }
        run.push = Push::Ending;
        let patience = if let Phase::Stopping { kill_at, .. } = service.phase {
            kill_at.since(now)
        } else {
            let why = "its main process ended; what it left behind is being ended";
            let kill_at = now.plus(LEFTOVER_PATIENCE);
            let then = AfterStop::AskPolicy;
            self.enter(id, Phase::Stopping { run: run_id, since: now, kill_at, then }, why);
            LEFTOVER_PATIENCE
        };
        self.effects.push(Effect::EndTree { run: run_id, patience });
    }

    /// Whether a main process that ended with code 0 and left others behind has only put itself into the background: nobody
    /// asked for its end, and its end is not what it is there for.
    pub(super) fn goes_on_without_main(&self, id: &ServiceId, exit: &Exit) -> bool {
        let Some(service) = self.service(id) else { return false };
        let asked = service.due.is_some() || service.run.as_ref().is_none_or(|run| run.ended_by.is_some());
        let is_job = service.spec.restart == RestartPolicy::No
            || graph::dependents(&self.services, id).iter().filter_map(|above| self.service(above)).any(|above| {
                above
                    .spec
                    .depends_on
                    .get(&id.service)
                    .is_some_and(|edge| edge.condition == Condition::ServiceCompletedSuccessfully)
            });
        exit.is_success() && matches!(service.phase, Phase::Running { .. }) && !asked && !is_job
    }

    /// A run goes on without its main process.
    pub(super) fn forked(&mut self, id: &ServiceId, run_id: RunId, left: usize) {
        let processes =
            if left == 1 { "1 process of it goes on".to_owned() } else { format!("{left} processes of it go on") };
        let Some(service) = self.services.get_mut(id) else { return };
        service.why = format!("running (forked): its main process ended with code 0, {processes}");
        service.view = None;
        self.changed = true;
        self.mark(id);
        let why = "it put itself into the background; its own option to stay in the foreground lets its exit be seen";
        self.record(About::Run(id, run_id), Origin::System, What::Forked { left }, why);
    }

    /// Nothing is left of a run whose main process had ended.
    pub(super) fn leftovers_gone(&mut self, run_id: RunId, at: crate::model::time::Timestamp) {
        let Some(id) = self.runs.get(&run_id).cloned() else { return };
        let Some(service) = self.services.get_mut(&id) else { return };
        let forked = service.is_forked();
        let Some(run) = service.run.as_mut() else { return };
        let Some(exit) = run.exit.clone() else { return };
        if forked {
            run.ended = Some(at);
            let what = What::Exited { exit, after: at.since(run.since), last_words: Vec::new() };
            let why = "the last of the processes that its main process had left is gone";
            self.record(About::Run(&id, run_id), Origin::System, what, why);
        } else if !matches!(service.phase, Phase::Stopping { .. }) {
            return;
        }
        self.gone(&id);
    }

    /// Nothing of a run is left that could be ended.
    pub(super) fn tree_ended(&mut self, run_id: RunId, survivors: Vec<u32>) {
        if let Some(id) = self.strays.remove(&run_id) {
            return self.stray_gone(&id, run_id, survivors);
        }
        let Some(id) = self.runs.get(&run_id).cloned() else { return };
        let Some(service) = self.services.get_mut(&id) else { return };
        if !matches!(service.phase, Phase::Stopping { .. }) {
            return;
        }
        let Some(run) = service.run.as_mut().filter(|run| run.push >= Push::Ending) else { return };
        let unseen = run.exit.is_none();
        if unseen {
            run.exit = Some(Exit::Unknown);
        }
        let after = self.now.since(run.since);
        let (who, why) = run.ended_by.clone().unwrap_or((Origin::Healer, service.why.clone()));
        if unseen {
            let what = What::Exited { exit: Exit::Unknown, after, last_words: Vec::new() };
            self.record(About::Run(&id, run_id), who, what, why.clone());
        }
        if !survivors.is_empty() {
            self.record(About::Run(&id, run_id), who, What::Survivors { pids: survivors }, why);
        }
        self.gone(&id);
    }

    /// Ends what an earlier engine left and no service is to go on with. A service of that name starts only when it is gone.
    pub(super) fn end_stray(&mut self, id: &ServiceId, run_id: RunId, why: &str) {
        self.strays.insert(run_id, id.clone());
        self.effects.push(Effect::EndStray { run: run_id, service: id.clone() });
        let what = What::Stopping { signal: crate::model::signal::Signal::Term };
        self.record(About::Run(id, run_id), Origin::System, what, why);
    }

    /// Whether something of an earlier engine's is still being ended in the place of this service.
    pub(super) fn has_stray(&self, id: &ServiceId) -> bool {
        self.strays.values().any(|other| other == id)
    }

    fn stray_gone(&mut self, id: &ServiceId, run_id: RunId, survivors: Vec<u32>) {
        let what = if survivors.is_empty() { What::Stopped } else { What::Survivors { pids: survivors } };
        self.record(About::Run(id, run_id), Origin::System, what, "left by an earlier cas");
        let now = self.now;
        let Some(service) = self.service(id) else { return };
        match &service.phase {
            Phase::BackingOff { until, .. } if now.has_reached(*until) => self.backoff_over(id),
            Phase::Blocked { .. } if service.goal == Goal::Up => self.ports_again(id),
            Phase::Stopped { .. }
            | Phase::Waiting { .. }
            | Phase::Blocked { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::BackingOff { .. }
            | Phase::Exited { .. }
            | Phase::GaveUp { .. } => self.worklist.push(id),
        }
    }
}
