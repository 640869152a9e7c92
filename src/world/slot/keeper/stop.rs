//! Signals and ends. Never leaves an end to us alone: the shim is told as well, and goes on if we do not.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    Keeper,
    run::{Run, Stage},
};
use crate::{
    model::{event::Event, ids::RunId, probe::ProbeOutcome, signal::Signal},
    world::{
        Shared,
        output::Question,
        slot::{Order, RunOrder, found::Trace, wire},
        tree::TreeId,
    },
};

/// A stop that was begun is finished by the shim so long after its grace is over.
const BACKSTOP: Duration = Duration::from_secs(2);
/// One that nobody wants any more has so long between SIGTERM and SIGKILL.
const STRAY_PATIENCE: Duration = Duration::from_secs(10);
/// The shim is asked for the last word of an end, and waited for so long.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);

impl Keeper {
    /// What concerns a run that is there, or was.
    pub(super) async fn obey_for(&mut self, id: RunId, order: RunOrder) {
        let Some(run) = self.run.as_ref().filter(|run| run.id == id) else {
            return self.answer_for_none(id, order).await;
        };
        let tree = run.tree;
        match order {
            RunOrder::Signal(signal) => self.shared.forest.signal_main(tree, signal),
            RunOrder::StopTree(signal) => {
                self.shared.forest.signal(tree, &[signal, Signal::Cont]);
                if let Some(grace) = run.spec.as_ref().map(|spec| spec.stop.grace) {
                    self.escalate(grace + BACKSTOP);
                }
            }
            RunOrder::EndTree(patience) => {
                let ending = self.end_tree(run, patience);
                self.escalate(patience);
                tokio::spawn(ending);
            }
            RunOrder::Confirm(reply) => {
                if self.link.is_up() {
                    self.confirmations.push(reply);
                    self.escalate(Duration::ZERO);
                } else {
                    // An error means that nobody waits.
                    let _nobody = reply.send(Vec::new());
                }
            }
            RunOrder::Watch { question, pattern } => self.watch_for(id, question, &pattern).await,
            RunOrder::HasMatched { pattern, reply } => {
                // An error means that the probe was torn down meanwhile.
                let _nobody = reply.send(self.capture.has_matched(&pattern));
            }
            RunOrder::Input(bytes, typed) => self.type_in(bytes, typed),
            RunOrder::Resize(rows, columns) => {
                self.size = (rows, columns);
                self.send(&wire::resize(self.size));
            }
            // Taken before.
            RunOrder::Spawn(_) | RunOrder::Adopt(_) | RunOrder::EndStray(_) => {}
        }
    }

    async fn answer_for_none(&self, id: RunId, order: RunOrder) {
        match order {
            RunOrder::EndTree(_) => self.tell(Event::TreeEnded { run: id, survivors: Vec::new() }).await,
            RunOrder::Confirm(reply) => {
                // An error means that nobody waits.
                let _nobody = reply.send(Vec::new());
            }
            RunOrder::HasMatched { reply, .. } => {
                let _nobody = reply.send(Err("the run has ended".to_owned()));
            }
            RunOrder::Spawn(_)
            | RunOrder::Adopt(_)
            | RunOrder::EndStray(_)
            | RunOrder::Signal(_)
            | RunOrder::StopTree(_)
            | RunOrder::Watch { .. }
            | RunOrder::Input(..)
            | RunOrder::Resize(..) => {}
        }
    }

    fn escalate(&mut self, after: Duration) {
        self.has_escalated = true;
        self.send(&wire::escalate(u64::try_from(after.as_millis()).unwrap_or(u64::MAX - 1)));
    }

    fn end_tree(&self, run: &Run, patience: Duration) -> impl Future<Output = ()> + Send + use<> {
        let ending = Ending { shared: Arc::clone(&self.shared), run: run.id, tree: run.tree };
        let (told, released) = (run.told.clone(), self.shared.released.clone());
        let main = run.main();
        async move {
            let ended = async {
                let survivors = ending.end(patience).await;
                if main.is_some_and(|main| !survivors.contains(&main)) {
                    told.cancelled().await;
                }
                ending.tell(survivors).await;
            };
            tokio::select! {
                () = released.cancelled() => {}
                () = ended => {}
            }
        }
    }

    /// Ends a run that nobody wants.
    pub(super) fn end_stray(&mut self, id: RunId, tree: TreeId) {
        let ending = Ending { shared: Arc::clone(&self.shared), run: id, tree };
        let mut patience = Duration::ZERO;
        let shim = self.shim();
        if let Some(run) = self.run.as_mut().filter(|run| run.id == id) {
            run.is_stray = true;
            run.tree = tree;
            match (&run.stage, shim) {
                (Stage::Found { trace: Trace::Running { main, .. }, .. }, Some(shim)) => {
                    self.shared.forest.stand(tree, *main, shim);
                    patience = STRAY_PATIENCE;
                }
                (Stage::Found { trace: Trace::Ended { main, .. }, .. }, _) => {
                    self.shared.forest.leave_behind(tree, *main, shim);
                }
                (Stage::Found { .. } | Stage::Spawning(_) | Stage::Running(_) | Stage::Over, _) => {}
            }
        }
        self.begin_reading();
        if patience > Duration::ZERO {
            self.escalate(patience + BACKSTOP);
        }
        let released = self.shared.released.clone();
        tokio::spawn(async move {
            let ended = async {
                let survivors = ending.end(patience).await;
                ending.tell(survivors).await;
            };
            tokio::select! {
                () = released.cancelled() => {}
                () = ended => {}
            }
        });
    }

    fn shim(&self) -> Option<wire::Identity> {
        match &self.link {
            super::Link::Up { shim, .. } => Some(shim.identity),
            super::Link::Down | super::Link::Failed { .. } | super::Link::Connecting { .. } => None,
        }
    }

    /// The shim's last word.
    pub(super) fn is_empty(&mut self, run: RunId, survivors: &[u32]) {
        if !self.has(run) {
            return;
        }
        for waiting in self.confirmations.drain(..) {
            // Each error means that nobody waits any more.
            let _nobody = waiting.send(survivors.to_vec());
        }
    }

    async fn watch_for(&mut self, run: RunId, question: Question, pattern: &str) {
        match (self.capture.watch(question, pattern), question) {
            (Ok(true), kind) => self.tell(Event::LogMatched { run, kind }).await,
            (Ok(false), _) => {}
            (Err(why), Some(kind)) => {
                let outcome = ProbeOutcome::Broken(why);
                self.tell(Event::Probed { run, kind, round: 0, outcome, took: Duration::ZERO }).await;
            }
            (Err(why), None) => tracing::warn!(%run, pattern, why, "ready_log_line is not watched"),
        }
    }
}

/// The end of a tree, which goes on beside the keeper.
struct Ending {
    shared: Arc<Shared>,
    run: RunId,
    tree: TreeId,
}

impl Ending {
    /// Ends it; those that could not be.
    async fn end(&self, patience: Duration) -> Vec<u32> {
        let survivors = self.shared.forest.end(self.tree, patience).await;
        if !survivors.is_empty() {
            return survivors;
        }
        // Something may have come between two looks; the shim, to which all orphans come, knows.
        let Some(running) = self.shared.running(self.run) else { return Vec::new() };
        let (reply, answer) = oneshot::channel();
        if running.orders.send(Order::Run(self.run, RunOrder::Confirm(reply))).await.is_err() {
            return Vec::new();
        }
        let confirmed = tokio::time::timeout(CONFIRMED_WITHIN, answer).await;
        confirmed.ok().and_then(Result::ok).unwrap_or_default()
    }

    async fn tell(&self, survivors: Vec<u32>) {
        if survivors.is_empty() {
            self.shared.forget(self.run);
        }
        self.shared.tell(Event::TreeEnded { run: self.run, survivors }).await;
    }
}
