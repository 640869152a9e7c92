//! A server asked in its own protocol. Never: more at once than the machine has room for; a password in an answer.

use std::{sync::Arc, time::Duration};

use super::{
    super::{Running, Shared, checks, clock, kinds},
    until,
};
use crate::model::{
    event::Event,
    exam::{ExamRound, Protocol, Subject, Target, Trouble},
    probe::{ProbeKind, ProbeOutcome},
    time::short_duration,
};

/// Whether it serves, or for liveness: whether it is there at all and speaks.
pub(super) async fn ask(kind: ProbeKind, protocol: Protocol, target: &Target) -> ProbeOutcome {
    let Err(trouble) = kinds::ready(protocol, target).await else { return ProbeOutcome::Passed };
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

/// Carries a deep look out → `Examined`; silent where the run ended meanwhile.
pub(in crate::world) async fn examine(shared: Arc<Shared>, running: Running, round: ExamRound) {
    let ExamRound { run, round, exam } = round;
    let begun = clock::now();
    let looked = async {
        let _turn = shared.asking.acquire().await;
        match &exam.subject {
            Subject::Server { protocol, target } => {
                within(exam.timeout, &target.place(), kinds::look(*protocol, target)).await
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
    running: &Running,
    kind: ProbeKind,
    protocol: Protocol,
    target: &Target,
    timeout: Duration,
) -> Option<(ProbeOutcome, Duration)> {
    until(running, timeout, ask(kind, protocol, target), || format!("no answer from {}", target.place())).await
}
