//! One task per run: makes it, reads it, signals it, learns its end. Never waits for a pipe to end before it says that a
//! process has.

pub(super) mod launch;
pub(super) mod piped;
mod session;

use std::{ffi::OsString, os::unix::process::ExitStatusExt, process::ExitStatus, sync::Arc, time::Duration};

use tokio::{
    process::Child,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use self::{launch::Plan, piped::Capture};
use super::{
    Shared,
    output::Question,
    tree::TreeId,
};
use crate::model::{
    event::Event,
    ids::RunId,
    phase::Exit,
    probe::{ProbeKind, ProbeOutcome},
    service::ServiceSpec,
    signal::Signal,
};

/// Something asked of a run.
#[derive(Debug)]
pub(super) enum Order {
    /// To the main process.
    Signal(Signal),
    /// To all, and SIGCONT.
    StopTree(Signal),
    /// End all.
    EndTree(Duration),
    /// Watch the output.
    Watch {
        /// For whom.
        question: Question,
        /// What for.
        pattern: String,
    },
    /// Has the pattern appeared? A sentence where it cannot.
    HasMatched {
        /// Which.
        pattern: String,
        /// The answer.
        reply: oneshot::Sender<Result<bool, String>>,
    },
}

/// What a run is made from.
#[derive(Debug)]
pub(super) struct Errand {
    /// Its id.
    pub(super) run: RunId,
    /// What it runs.
    pub(super) spec: Arc<ServiceSpec>,
    /// Its tree.
    pub(super) tree: TreeId,
    /// What is asked of it.
    pub(super) orders: mpsc::Receiver<Order>,
    /// Cancelled when the main process is gone.
    pub(super) ended: CancellationToken,
}

/// The environment that every process of a service has beyond cas's own.
pub(super) fn environment_of(run: RunId, spec: &ServiceSpec) -> Vec<(OsString, OsString)> {
    let own = spec.environment.iter().map(|(name, value)| (name.into(), value.into()));
    let marks = [("CAS_RUN", run.to_string()), ("CAS_SERVICE", spec.id.to_string())];
    own.chain(marks.map(|(name, value)| (name.into(), value.into()))).collect()
}

/// Makes the run and stays with it until nothing of it is left to hear or to do.
pub(super) async fn keep(shared: Arc<Shared>, mut errand: Errand) {
    match begin(&shared, &errand).await {
        Ok((capture, child, pid)) => {
            shared.has_spawned(errand.run, pid);
            shared.tell(Event::Spawned { run: errand.run, pid }).await;
            let told = CancellationToken::new();
            Keeper { shared, errand, pid, child, capture, told }.watch().await;
        }
        Err(error) => {
            shared.forget(errand.run);
            errand.ended.cancel();
            shared.tell(Event::SpawnFailed { run: errand.run, error }).await;
            while let Some(order) = errand.orders.recv().await {
                if matches!(order, Order::EndTree(_)) {
                    shared.tell(Event::TreeEnded { run: errand.run, survivors: Vec::new() }).await;
                }
            }
        }
    }
}

async fn begin(shared: &Arc<Shared>, errand: &Errand) -> Result<(Capture, Child, u32), String> {
    let spec = &errand.spec;
    let numbering = shared.numbering_of(&spec.id);
    let (capture, ends) = Capture::open(errand.run, spec, numbering)
        .map_err(|error| format!("no pipe for its output: {error} (see `ulimit -n`)"))?;
    let plan = Plan {
        argv: spec.command.argv(),
        directory: spec.working_dir.clone(),
        environment: environment_of(errand.run, spec),
        stdout: ends.stdout,
        stderr: ends.stderr,
    };
    let (child, pid) = launch::launch(shared, errand.tree, plan).await?;
    Ok((capture, child, pid))
}

struct Keeper {
    shared: Arc<Shared>,
    errand: Errand,
    pid: u32,
    child: Child,
    capture: Capture,
    /// Cancelled when `Exited` was sent.
    told: CancellationToken,
}

impl Keeper {
    async fn watch(mut self) {
        let output = self.shared.output.clone();
        let mut has_exited = false;
        let mut takes_orders = true;
        while !(has_exited && !takes_orders && self.capture.is_finished()) {
            tokio::select! {
                biased;
                status = self.child.wait(), if !has_exited => {
                    has_exited = true;
                    self.exited(status.ok()).await;
                }
                order = self.errand.orders.recv(), if takes_orders => match order {
                    Some(order) => self.obey(order).await,
                    None => takes_orders = false,
                },
                place = output.reserve(), if self.capture.has_pending() => match place {
                    Ok(place) => self.capture.hand_on(place),
                    Err(_nobody_listens) => self.capture.drop_pending(),
                },
                () = self.capture.readable(), if !self.capture.has_pending() => {
                    self.capture.read();
                    self.after_reading().await;
                }
            }
        }
    }

    async fn after_reading(&mut self) {
        self.capture.hand_on_now(&self.shared.output);
        for question in self.capture.take_answered() {
            self.shared.tell(Event::LogMatched { run: self.errand.run, kind: question }).await;
        }
    }

    async fn exited(&mut self, status: Option<ExitStatus>) {
        let run = self.errand.run;
        self.shared.forest.fell(self.errand.tree);
        self.errand.ended.cancel();
        self.capture.drain();
        self.after_reading().await;
        let leftover = self.shared.forest.leftover(self.errand.tree);
        if leftover == 0 {
            self.shared.forget(run);
        } else {
            self.shared.has_exited(run);
        }
        let exit = status.map_or(Exit::Unknown, exit_of);
        let last_words = self.capture.last_words();
        self.shared.tell(Event::Exited { run, exit, last_words, leftover }).await;
        self.told.cancel();
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Signal(signal) => self.shared.forest.signal_main(self.errand.tree, signal),
            Order::StopTree(signal) => self.shared.forest.signal(self.errand.tree, &[signal, Signal::Cont]),
            Order::EndTree(patience) => {
                let ending = self.end_tree(patience);
                tokio::spawn(ending);
            }
            Order::Watch { question, pattern } => self.watch_for(question, &pattern).await,
            Order::HasMatched { pattern, reply } => {
                // An error means that the probe was torn down meanwhile.
                let _nobody = reply.send(self.capture.has_matched(&pattern));
            }
        }
    }

    fn end_tree(&self, patience: Duration) -> impl Future<Output = ()> + use<> {
        let (shared, told) = (Arc::clone(&self.shared), self.told.clone());
        let (run, tree, main) = (self.errand.run, self.errand.tree, self.pid);
        async move {
            let survivors = shared.forest.end(tree, patience).await;
            if !survivors.contains(&main) {
                told.cancelled().await;
            }
            if survivors.is_empty() {
                shared.forget(run);
            }
            shared.tell(Event::TreeEnded { run, survivors }).await;
        }
    }

    async fn watch_for(&mut self, question: Question, pattern: &str) {
        let run = self.errand.run;
        match (self.capture.watch(question, pattern), question) {
            (Ok(true), kind) => self.shared.tell(Event::LogMatched { run, kind }).await,
            (Ok(false), _) => {}
            (Err(why), Some(kind)) => self.broken(kind, why).await,
            (Err(why), None) => tracing::warn!(%run, pattern, why, "ready_log_line is not watched"),
        }
    }

    async fn broken(&self, kind: ProbeKind, why: String) {
        let outcome = ProbeOutcome::Broken(why);
        self.shared.tell(Event::Probed { run: self.errand.run, kind, round: 0, outcome, took: Duration::ZERO }).await;
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}
