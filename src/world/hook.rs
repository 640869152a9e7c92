//! Hooks of services: commands in order, timed, torn down. Whatever they leave behind is ended with them.

use std::{ffi::OsString, os::unix::process::ExitStatusExt, process::ExitStatus, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Running, Shared, clock, lock,
    probe::exec::{self, Ending, Job},
};
use crate::model::{
    event::Event,
    hooks::{HookCommand, HookKind, HookOutcome, HookResult, HookRound, KEPT_LINES},
    phase::Exit,
    signal::signal_name,
    time::short_duration,
};

/// Carries a hook out → `HookEnded`, always.
pub(super) async fn carry_out(
    shared: Arc<Shared>,
    round: HookRound,
    running: Option<Running>,
    called_off: CancellationToken,
) {
    let begun = clock::now();
    let mut output = Vec::new();
    let outcome = all(&shared, &round, running.as_ref(), &called_off, &mut output).await;
    let took = clock::now().since(begun);
    let HookRound { run, hook, spec, .. } = round;
    lock(&shared.hooks).remove(&(run, hook));
    let result = HookResult { outcome, output, took };
    shared.tell(Event::HookEnded { service: spec.id.clone(), run, hook, result }).await;
}

async fn all(
    shared: &Arc<Shared>,
    round: &HookRound,
    running: Option<&Running>,
    called_off: &CancellationToken,
    output: &mut Vec<String>,
) -> HookOutcome {
    let ended = match (round.hook, running) {
        (HookKind::PreStart | HookKind::OnFailure, _) => None,
        (HookKind::PostStart | HookKind::PreStop, Some(running)) => Some(&running.ended),
        (HookKind::PostStart | HookKind::PreStop, None) => return HookOutcome::CalledOff,
    };
    let begun = clock::now();
    for HookCommand { command, timeout } in round.spec.hooks.of(round.hook) {
        let left = round.limit.map(|limit| limit.saturating_sub(clock::now().since(begun)));
        let timeout = left.map_or(*timeout, |left| left.min(*timeout));
        let job = Job { spec: &round.spec, environment: environment(round, running), command, timeout };
        let stop = async {
            match ended {
                Some(ended) => tokio::select! {
                    () = ended.cancelled() => {}
                    () = called_off.cancelled() => {}
                },
                None => called_off.cancelled().await,
            }
        };
        let failed = match exec::run(shared, job, stop).await {
            Err(why) => Some(why),
            Ok(done) => {
                output.extend(done.tail.lines(KEPT_LINES));
                let surplus = output.len().saturating_sub(KEPT_LINES);
                output.drain(..surplus);
                match done.ending {
                    Ending::CalledOff => return HookOutcome::CalledOff,
                    Ending::Late => Some(late(timeout)),
                    Ending::Over(Ok(status)) => verdict(status),
                    Ending::Over(Err(error)) => Some(error.to_string()),
                }
            }
        };
        if let Some(why) = failed {
            return HookOutcome::Failed(format!("{}: {why}", command.display()));
        }
    }
    HookOutcome::Passed
}

fn late(timeout: Duration) -> String {
    format!("not over within {}; it was ended", short_duration(timeout))
}

/// None: well. 126 and 127 are what a shell says of a command that it cannot execute or find (POSIX, 2.8.2).
fn verdict(status: ExitStatus) -> Option<String> {
    match status.code() {
        Some(0) => None,
        Some(code @ 126) => Some(format!("exit code {code}, it cannot be executed")),
        Some(code @ 127) => Some(format!("exit code {code}, it was not found")),
        Some(code) => Some(format!("exit code {code}")),
        None => Some(format!("ended by {}", signal_name(status.signal().unwrap_or(0)))),
    }
}

/// The service's own variables and what the hook is told. The mark of the run is not among them: a hook is no part of it.
fn environment(round: &HookRound, running: Option<&Running>) -> Vec<(OsString, OsString)> {
    let spec = &round.spec;
    let own = spec.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    let mut told = vec![
        ("CAS_SERVICE", spec.id.to_string()),
        ("CAS_PROJECT", spec.id.project.to_string()),
        ("CAS_HOOK", round.hook.label().to_owned()),
    ];
    if let Some(failure) = &round.failure {
        told.push(("CAS_REASON", failure.reason.clone()));
        match &failure.exit {
            Exit::Code(code) => told.push(("CAS_EXIT_CODE", code.to_string())),
            Exit::Signal(number) => told.push(("CAS_SIGNAL", number.to_string())),
            Exit::OutOfMemory { .. } => told.push(("CAS_SIGNAL", "9".to_owned())),
            Exit::Rebooted | Exit::SpawnFailed(_) | Exit::Removed | Exit::Unknown => {}
        }
    }
    // Secrets are had for a run: before there is one, and after its end, there are none.
    let secrets = running.into_iter().flat_map(|running| running.secrets.0.iter());
    own.chain(secrets.map(|(name, value)| (name.clone(), value.clone())))
        .chain(told.into_iter().map(|(name, value)| (name.to_owned(), value)))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}
