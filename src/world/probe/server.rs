//! A server asked in its own protocol. Never: more at once than the machine has room for; a password in an answer.

use std::{sync::Arc, time::Duration};

use super::{
    super::{Running, Shared, checks, clock, kinds, lock, ports},
    until,
};
use crate::model::{
    event::Event,
    exam::{ExamRound, Protocol, Subject, Target, Trouble},
    ids::RunId,
    probe::{ProbeKind, ProbeOutcome},
    time::short_duration,
};

/// Whether it serves, or for liveness: whether it is there at all and speaks.
async fn ask(asked: &Asked<'_>, kind: ProbeKind, protocol: Protocol, target: &Target) -> ProbeOutcome {
    let Err(trouble) = asked.of(target, |target| async move { kinds::ready(protocol, &target).await }).await else {
        return ProbeOutcome::Passed;
    };
    match kind {
        ProbeKind::Liveness if trouble.is_alive() => ProbeOutcome::Passed,
        ProbeKind::Startup | ProbeKind::Readiness | ProbeKind::Liveness => match trouble {
            // It is there and well, as far as anybody can say: who asks is at fault.
            Trouble::Refused(why) => ProbeOutcome::Broken(why),
            Trouble::Unreachable(why) | Trouble::Foreign(why) | Trouble::Unready(why) | Trouble::Busy(why) => {
                ProbeOutcome::Failed(why)
            }
        },
    }
}

/// Of which run it is asked.
pub(super) struct Asked<'r> {
    pub(super) shared: &'r Arc<Shared>,
    pub(super) running: &'r Running,
    pub(super) run: RunId,
}

impl Asked<'_> {
    /// Asks a target. Where its port is only a guess and nobody is there, it is looked up on which port the run listens.
    async fn of<T, F: Future<Output = Result<T, Trouble>>>(
        &self,
        target: &Target,
        question: impl Fn(Target) -> F,
    ) -> Result<T, Trouble> {
        if !target.guessed {
            return question(target.clone()).await;
        }
        let found = lock(&self.shared.found_ports).get(&self.run).copied();
        let first = Target { port: found.unwrap_or(target.port), ..target.clone() };
        match question(first).await {
            Err(Trouble::Unreachable(why)) => {
                let (shared, tree) = (Arc::clone(self.shared), self.running.tree);
                let looking = tokio::task::spawn_blocking(move || ports::listening_of(&shared, tree));
                let ports = looking.await.unwrap_or_default();
                let Some(port) = ports.first().copied().filter(|_| !ports.contains(&target.port)) else {
                    let nowhere = if ports.is_empty() { "; it listens on no TCP port" } else { "" };
                    return Err(Trouble::Unreachable(format!("{why}{nowhere}")));
                };
                let answer = question(Target { port, ..target.clone() }).await;
                if answer.as_ref().err().is_none_or(Trouble::is_alive) {
                    let mut found = lock(&self.shared.found_ports);
                    let runs = self.shared.runs();
                    found.retain(|run, _| runs.contains_key(run));
                    found.insert(self.run, port);
                }
                answer
            }
            answer => answer,
        }
    }
}

/// Carries a deep look out → `Examined`; silent where the run ended meanwhile.
pub(in crate::world) async fn examine(shared: Arc<Shared>, running: Running, round: ExamRound) {
    let ExamRound { run, round, exam } = round;
    let begun = clock::now();
    let looked = async {
        let _turn = shared.asking.acquire().await;
        match &exam.subject {
            Subject::Server { protocol, target } => {
                let (asked, protocol) = (Asked { shared: &shared, running: &running, run }, *protocol);
                let looked = asked.of(target, |target| async move { kinds::look(protocol, &target).await });
                within(exam.timeout, &target.place(), looked).await
            }
            Subject::Own(own) => checks::look(&shared, &running, run, &exam, own).await,
        }
    };
    let result = tokio::select! {
        () = running.ended.cancelled() => return,
        result = looked => result,
    };
    let took = clock::now().since(begun);
    shared.tell(Event::Examined { run, exam: exam.name.clone(), round, result, took }).await;
}

async fn within<T>(
    timeout: Duration,
    place: &str,
    looked: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    tokio::time::timeout(timeout, looked).await.unwrap_or_else(|_| {
        Err(Trouble::Unreachable(format!("{place} has not answered within {}", short_duration(timeout))))
    })
}

/// One round of a probe, with how long it took; none where the run ended first.
pub(super) async fn round(
    asked: Asked<'_>,
    kind: ProbeKind,
    (protocol, target): (Protocol, &Target),
    timeout: Duration,
) -> Option<(ProbeOutcome, Duration)> {
    let answer = ask(&asked, kind, protocol, target);
    until(asked.running, timeout, answer, || format!("no answer from {}", target.place())).await
}
