//! How a container is signalled and ended, and how its end is told. Promise: whoever ends one hears of it, also where the engine is away. Never: an end
//! told twice.

use std::{sync::Arc, time::Duration};

use bollard::query_parameters::KillContainerOptions;

use super::{
    Docker,
    call::{ANSWER, Failure},
    keeper::{Keeper, News, Stage},
    look::State,
    make,
    record::{self, Record},
};
use crate::{
    model::{event::Event, ids::RunId, phase::Exit, signal::Signal, time::Timestamp},
    world::{Shared, clock, lock},
};

/// A run that nobody wants has so long from SIGTERM to SIGKILL.
const STRAY_PATIENCE: Duration = Duration::from_secs(10);
/// An end that an engine which is away does not bring about is not waited for longer.
const GIVE_UP: Duration = Duration::from_secs(15);
/// That a container was ended for memory Docker knows by then, and how often it is asked until then.
const OOM_TOLD_WITHIN: Duration = Duration::from_millis(300);
const OOM_AGAIN: Duration = Duration::from_millis(50);
/// SIGKILL that changed nothing is sent again after this.
const AGAIN: Duration = Duration::from_secs(2);

/// What is to end a run.
#[derive(Debug, Default)]
pub(super) struct Kill {
    /// Signals that an engine that was away did not deliver.
    owed: Option<Signal>,
    /// When SIGKILL is due.
    due_at: Option<Timestamp>,
    /// When it is given up.
    give_up_at: Option<Timestamp>,
    /// Somebody waits to hear that nothing is left.
    is_awaited: bool,
}

impl Kill {
    pub(super) fn due(&self) -> Option<Timestamp> {
        [self.due_at, self.give_up_at].into_iter().flatten().min_by_key(|at| at.mono_us)
    }
}

/// Delivers a signal to the container's main process; one that is paused hears it.
async fn deliver(docker: &Docker, id: &str, signal: Signal, is_paused: bool) -> Result<(), Failure> {
    if is_paused {
        let id = id.to_owned();
        docker.call(ANSWER, |docker| async move { docker.unpause_container(&id).await }).await?;
    }
    let id = id.to_owned();
    let options = KillContainerOptions { signal: signal.to_string() };
    docker.call(ANSWER, |docker| async move { docker.kill_container(&id, Some(options)).await }).await
}

impl Keeper {
    /// To the main process only: a container has no other way in.
    pub(super) fn signal(&self, signal: Signal) {
        let Some(run) = self.run.as_ref().filter(|run| !run.container.is_empty()) else { return };
        let (id, container) = (run.id, run.container.clone());
        // What is to freeze it, or nothing but to wake it, does not thaw it first.
        let is_paused = run.is_paused && !matches!(signal, Signal::Stop);
        let (shared, news) = (Arc::clone(&self.shared), self.tell_news.clone());
        tokio::spawn(async move {
            let result = deliver(&shared.docker, &container, signal, is_paused).await;
            // An error means that nobody looks after the service any more.
            let _gone = news.send(News::Signalled(id, signal, result)).await;
        });
    }

    /// Asks it to end.
    pub(super) fn stop(&mut self, signal: Signal) {
        if let Some(run) = &mut self.run {
            run.kill.owed = Some(signal);
        }
        self.signal(signal);
    }

    pub(super) fn signalled(&mut self, signal: Signal, result: &Result<(), Failure>) {
        let Some(run) = &mut self.run else { return };
        match result {
            Ok(()) => {
                if run.kill.owed == Some(signal) {
                    run.kill.owed = None;
                }
            }
            // It does not run any more, or is not there: a look tells.
            Err(Failure::Refused { .. } | Failure::Odd(_)) => {
                run.kill.owed = None;
                self.look();
            }
            // Owed until the engine is back.
            Err(Failure::Away(_)) => {}
        }
    }

    /// The engine is back, and the container runs: what it was to be told is told.
    pub(super) fn retry_kill(&mut self) {
        if let Some(signal) = self.run.as_ref().and_then(|run| run.kill.owed) {
            self.signal(signal);
        }
    }

    /// Ends all of it.
    pub(super) async fn end_tree(&mut self, id: RunId, patience: Duration) {
        let Some(run) = self.run.as_mut().filter(|run| run.id == id) else {
            return self.tell(Event::TreeEnded { run: id, survivors: Vec::new() }).await;
        };
        let now = clock::now();
        run.kill.is_awaited = true;
        run.kill.give_up_at = Some(now.plus(patience + GIVE_UP));
        if patience.is_zero() {
            run.kill.due_at = Some(now.plus(AGAIN));
            self.stop(Signal::Kill);
        } else {
            run.kill.due_at = Some(now.plus(patience));
            self.stop(Signal::Term);
        }
    }

    pub(super) async fn kill_is_due(&mut self, now: Timestamp) {
        let Some(run) = &mut self.run else { return };
        if run.kill.give_up_at.is_some_and(|at| now.has_reached(at)) {
            run.kill.give_up_at = None;
            if run.stage == Stage::Running && self.shared.docker.obstacle().is_some() {
                // What becomes of it nobody can see: it is told as what could not be ended.
                return self.let_go().await;
            }
        }
        let Some(run) = &mut self.run else { return };
        if run.kill.due_at.is_some_and(|at| now.has_reached(at)) {
            run.kill.due_at = Some(now.plus(AGAIN));
            self.stop(Signal::Kill);
        }
    }

    async fn let_go(&mut self) {
        let Some(run) = self.run.take() else { return };
        run.ended.cancel();
        self.shared.forget(run.id);
        self.disown(&run.container, run.id);
        self.tell(Event::Exited { run: run.id, exit: Exit::Unknown, last_words: Vec::new(), leftover: 0 }).await;
        let survivors = if run.pid == 0 { Vec::new() } else { vec![run.pid] };
        self.tell(Event::TreeEnded { run: run.id, survivors }).await;
    }

    fn disown(&self, container: &str, run: RunId) {
        lock(&self.shared.docker.owners).retain(|id, (_, of)| id != container && *of != run);
        lock(&self.shared.docker.health).remove(&run);
        self.shared.docker.stale.notify_one();
    }

    /// Docker may hear later that it was ended for memory than that it ended: what a SIGKILL of nobody's ended is looked at once more.
    async fn look_for_oom(&mut self) {
        let Some(run) = &mut self.run else { return };
        let Stage::Ending { exit: Exit::Signal(9), until } = run.stage else { return };
        if run.spec.limits.memory_bytes.is_none() || run.kill.is_awaited {
            return;
        }
        let deadline = clock::now().plus(OOM_TOLD_WITHIN);
        let (spec, container) = (Arc::clone(&run.spec), run.container.clone());
        while let Ok(look) = make::look_at(&self.shared.docker, &spec, &container).await {
            if let (State::Ended { exit: exit @ Exit::OutOfMemory { .. }, .. }, Some(run)) = (look.state, &mut self.run)
            {
                run.stage = Stage::Ending { exit, until };
                return;
            }
            if clock::now().has_reached(deadline) {
                return;
            }
            tokio::time::sleep(OOM_AGAIN).await;
        }
    }

    /// Tells the end, with the last words.
    pub(super) async fn finish(&mut self) {
        while let Ok(piece) = self.pieces.try_recv() {
            if let Some(run) = &self.run {
                self.scribe.append(run.id, piece.stream, &piece.bytes, piece.ns);
            }
        }
        self.capture.drain(self.scribe.end());
        let last_words = self.capture.last_words();
        self.after_reading().await;
        self.look_for_oom().await;
        let Some(run) = self.run.take() else { return };
        let Stage::Ending { exit, .. } = run.stage else { return };
        run.ended.cancel();
        self.shared.forget(run.id);
        self.disown(&run.container, run.id);
        self.tell(Event::Exited { run: run.id, exit, last_words, leftover: 0 }).await;
        if run.kill.is_awaited {
            self.tell(Event::TreeEnded { run: run.id, survivors: Vec::new() }).await;
        }
        record::forget(&self.seat.directory);
    }

    /// Ends a run that was found and that nobody wants.
    pub(super) fn end_stray(&self, run: RunId) {
        let record = Record::read(&self.seat.directory).filter(|record| record.run == run);
        let (shared, news) = (Arc::clone(&self.shared), self.tell_news.clone());
        tokio::spawn(async move {
            if let Some(record) = record {
                end_container(&shared, &record.id).await;
            }
            let _gone = news.send(News::StrayGone(run)).await;
        });
    }
}

/// SIGTERM, ten seconds, SIGKILL; an engine that is away is waited for.
async fn end_container(shared: &Shared, id: &str) {
    let deadline = clock::now().plus(STRAY_PATIENCE);
    let mut signal = Signal::Term;
    let mut is_sent = false;
    loop {
        match shared.docker.inspect(id).await {
            Ok(inspected) => {
                if inspected.state.is_none_or(|state| state.running != Some(true)) {
                    return;
                }
                if !is_sent {
                    is_sent = deliver(&shared.docker, id, signal, false).await.is_ok();
                }
            }
            Err(failure) if failure.is_missing() => return,
            Err(_later) => {}
        }
        if signal == Signal::Term && clock::now().has_reached(deadline) {
            (signal, is_sent) = (Signal::Kill, false);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
