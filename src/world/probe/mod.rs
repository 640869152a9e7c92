//! One probe round: asked, timed, torn down. Never leaves a process or a connection behind, never takes silence for "well".

pub(super) mod exec;
pub(super) mod http;
mod plain;
mod server;
mod tcp;

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    Running, Shared, clock, docker,
    slot::{Order, RunOrder},
};
use crate::model::{
    event::Event,
    ids::RunId,
    probe::{Check, ProbeKind, ProbeOutcome, ProbeRound},
    service::{CommandLine, ServiceSpec},
    time::short_duration,
};

/// Carries a round out → `Probed`; silent where the run ended meanwhile, for then nobody is left who was asked.
pub(super) async fn ask(shared: Arc<Shared>, running: Running, spec: Arc<ServiceSpec>, round: ProbeRound) {
    // Waiting for a turn is not the service's fault: its time begins then.
    let _turn = shared.asking.acquire().await;
    let timeout = round.probe.timeout;
    let answer = match &round.probe.check {
        Check::Container => docker::ask(&shared, &running, round.run, None, timeout).await,
        Check::Exec(command) if spec.container.is_some() => {
            docker::ask(&shared, &running, round.run, Some(command), timeout).await
        }
        Check::Exec(command) => {
            exec::ask(&shared, &running, &spec, round.run, command, (timeout, round.probe.honest)).await
        }
        Check::Http { url, status } => {
            let honest = round.probe.honest && round.kind == ProbeKind::Readiness;
            let asked = http::ask(&shared.clients, url, *status, honest);
            until(&running, timeout, asked, || format!("no answer from {url}")).await
        }
        Check::Tcp { host, port } => {
            let asked = tcp::ask(host, *port);
            until(&running, timeout, asked, || format!("{host}:{port} does not accept a connection")).await
        }
        Check::Server { protocol, target } => {
            let asked = server::Asked { shared: &shared, running: &running, run: round.run };
            server::round(asked, round.kind, (*protocol, target), timeout).await
        }
        Check::Log { pattern } => {
            let asked = has_matched(&running, round.run, pattern);
            until(&running, timeout, asked, || "the output could not be looked at".to_owned()).await
        }
    };
    let Some((outcome, took)) = answer else { return };
    shared.tell(Event::Probed { run: round.run, kind: round.kind, round: round.round, outcome, took }).await;
}

pub(super) use server::examine;

/// A command beside a run may take so long.
const LONGEST_BESIDE: Duration = Duration::from_mins(10);

/// Runs a command beside a run, at most ten minutes; none where the run ended first.
pub(super) async fn beside(
    shared: &Arc<Shared>,
    running: &Running,
    spec: &ServiceSpec,
    run: RunId,
    command: &CommandLine,
) -> Option<ProbeOutcome> {
    let answer = if spec.container.is_some() {
        docker::ask(shared, running, run, Some(command), LONGEST_BESIDE).await
    } else {
        exec::ask(shared, running, spec, run, command, (LONGEST_BESIDE, false)).await
    };
    answer.map(|(outcome, _)| outcome)
}

/// Runs a command beside a run → `RanBeside`; silent where the run ended first.
pub(super) async fn run_beside(
    shared: Arc<Shared>,
    running: Running,
    spec: Arc<ServiceSpec>,
    run: RunId,
    command: CommandLine,
) {
    let Some(outcome) = beside(&shared, &running, &spec, run, &command).await else { return };
    shared.tell(Event::RanBeside { run, outcome }).await;
}

/// What is answered in time, with how long it took; none where the run ended first.
async fn until(
    running: &Running,
    timeout: Duration,
    asked: impl Future<Output = ProbeOutcome>,
    silence: impl FnOnce() -> String,
) -> Option<(ProbeOutcome, Duration)> {
    let begun = clock::now();
    let outcome = tokio::select! {
        () = running.ended.cancelled() => return None,
        answer = tokio::time::timeout(timeout, asked) => answer.unwrap_or_else(|_| {
            ProbeOutcome::Failed(format!("{} within {}", silence(), short_duration(timeout)))
        }),
    };
    Some((outcome, clock::now().since(begun)))
}

async fn has_matched(running: &Running, run: RunId, pattern: &str) -> ProbeOutcome {
    let (reply, answer) = oneshot::channel();
    let order = Order::Run(run, RunOrder::HasMatched { pattern: pattern.to_owned(), reply });
    let answered = match running.orders.send(order).await {
        Ok(()) => answer.await.ok(),
        Err(_gone) => None,
    };
    match answered {
        Some(Ok(true)) => ProbeOutcome::Passed,
        Some(Ok(false)) => ProbeOutcome::Failed(format!("no line of the output matched /{pattern}/ yet")),
        Some(Err(why)) => ProbeOutcome::Broken(why),
        None => ProbeOutcome::Failed("the run has ended".to_owned()),
    }
}
