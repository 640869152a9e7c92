//! Files of services that changed: who is restarted for them, signalled, or has a command run beside it.
//!
//! Never: starts what a person has stopped, or what has not run yet; restarts for ever what writes the files that it is restarted for.

use std::time::Duration;

use crate::model::{
    effect::Effect,
    event::Change,
    ids::{RunId, ServiceId},
    occasion::OnChange,
    phase::{AfterStop, Phase},
    policy::Origin,
    probe::ProbeOutcome,
    service::CommandLine,
    time::Timestamp,
    timeline::What,
};

use super::{
    Engine, Life,
    ending::Order,
    fate::is_by_hand,
    state::{Manner, Service, Stage},
    timeline::About,
};

/// More restarts for files within [`BUSY`] are a circle.
const MOST: u32 = 10;
const BUSY: Duration = Duration::from_mins(1);

/// What files have done to a service.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Restarts since then.
    since: Option<Timestamp>,
    restarts: u32,
    /// The command that runs beside this run.
    beside: Option<RunId>,
    /// What changed while it ran.
    again: Option<Change>,
}

impl Touched {
    /// Whether one more restart is too many; `Err` the first time.
    fn counts(&mut self, now: Timestamp) -> Result<bool, ()> {
        if self.since.is_none_or(|since| now.since(since) >= BUSY) {
            self.since = Some(now);
            self.restarts = 0;
        }
        self.restarts = self.restarts.saturating_add(1);
        match self.restarts {
            count if count <= MOST => Ok(true),
            count if count == MOST + 1 => Err(()),
            _ => Ok(false),
        }
    }
}

impl Service {
    /// Whether it is down by itself, so that another state of its files may help it.
    pub(super) fn ended_by_itself(&self) -> bool {
        matches!(self.phase, Phase::Exited { .. } | Phase::GaveUp { .. })
            && !self.stopped_by.is_some_and(is_by_hand)
            && self.due.is_none()
    }
}

impl Engine {
    /// Files that a service watches have changed, and been quiet since.
    pub(super) fn files_changed(&mut self, id: &ServiceId, change: Change) {
        if self.life != Life::Working || self.is_leaving(&id.project) {
            return;
        }
        let Some(service) = self.service(id).filter(|service| !service.is_undeclared()) else { return };
        let Some(watch) = &service.spec.occasions.watch else { return };
        match watch.action.clone() {
            OnChange::Restart => self.restart_for(id, &change),
            OnChange::Signal(signal) => {
                let Some(run) = service.run.as_ref().filter(|run| run.stage == Stage::Spawned && run.exit.is_none())
                else {
                    return;
                };
                let run = run.id;
                self.effects.push(Effect::Signal { run, signal });
                self.record(About::Run(id, run), Origin::Config, What::Signalled { signal }, change.words());
            }
            OnChange::Run(command) => self.run_beside(id, command, change),
        }
    }

    fn restart_for(&mut self, id: &ServiceId, change: &Change) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let runs = matches!(service.phase, Phase::Running { .. } | Phase::Starting { .. }) && service.due.is_none();
        let waits = matches!(service.phase, Phase::BackingOff { .. }) && service.due.is_none();
        if !runs && !waits && !service.ended_by_itself() {
            return;
        }
        match service.touched.counts(now) {
            Ok(true) => {}
            Ok(false) => return,
            Err(()) => {
                let text = format!(
                    "restarted for its files more than {MOST} times a minute, and not again within it: where it writes {} itself, name that under watch.ignore",
                    change.first
                );
                return self.record(About::Service(id), Origin::Config, What::Trouble { text }, "");
            }
        }
        let words = change.words();
        if !runs {
            return self.order_start(id, Origin::Config, format!("started because {words}"));
        }
        let order = Order {
            then: AfterStop::StartAgain,
            manner: Manner::Ask { grace: None },
            by: Origin::Config,
            because: format!("stopped because {words}"),
        };
        self.order_endings(std::slice::from_ref(id), &order);
    }

    fn run_beside(&mut self, id: &ServiceId, command: CommandLine, change: Change) {
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(run) = service.run.as_ref().filter(|run| run.stage == Stage::Spawned && run.exit.is_none()) else {
            return;
        };
        let run = run.id;
        if service.touched.beside == Some(run) {
            let before = service.touched.again.take();
            service.touched.again = Some(match before {
                Some(before) => before.and(&change),
                None => change,
            });
            return;
        }
        service.touched.beside = Some(run);
        service.touched.again = None;
        let line = command.display();
        self.effects.push(Effect::RunBeside { run, command });
        self.record(About::Run(id, run), Origin::Config, What::RunBegun { command: line }, change.words());
    }

    /// The command beside a run has ended.
    pub(super) fn ran_beside(&mut self, run: RunId, outcome: ProbeOutcome) {
        let Some(id) = self.runs.get(&run).cloned() else { return };
        let Some(service) = self.services.get_mut(&id).filter(|service| service.touched.beside == Some(run)) else {
            return;
        };
        service.touched.beside = None;
        let again = service.touched.again.take();
        let action = service.spec.occasions.watch.as_ref().map(|watch| watch.action.clone());
        let Some(OnChange::Run(command)) = action else { return };
        let error = match outcome {
            ProbeOutcome::Passed => None,
            ProbeOutcome::Failed(error) | ProbeOutcome::Broken(error) => Some(error),
        };
        let what = What::RunEnded { command: command.display(), error };
        self.record(About::Run(&id, run), Origin::Config, what, "");
        if let Some(change) = again {
            self.run_beside(&id, command, change);
        }
    }
}
