//! A command in a container, as probe. Promise: answered in its time. Never: leaves a process behind that it could end.

use std::{sync::Arc, time::Duration};

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use futures_util::StreamExt;

use super::{
    Docker,
    call::{ANSWER, Failure, quoted},
    look::OwnHealth,
};
use crate::{
    model::{ids::RunId, probe::ProbeOutcome, service::CommandLine, time::short_duration},
    world::{Running, Shared, clock, lock},
};

/// Of what it writes, so much of the end is kept.
const KEPT_BYTES: usize = 4096;
/// Between two looks at what was heard.
const HEARD_EVERY: Duration = Duration::from_millis(200);

/// What its own health check says of the container of a run, once it is no longer that it has yet to pass, or after `within`; none where the run
/// ended first.
async fn settled_health(docker: &Docker, running: &Running, run: RunId, within: Duration) -> Option<ProbeOutcome> {
    let deadline = clock::now().plus(within);
    loop {
        let health = lock(&docker.health).get(&run).cloned();
        if clock::now().has_reached(deadline) || !matches!(health, None | Some(OwnHealth::Starting)) {
            let unasked = || ProbeOutcome::Failed("Docker has not been asked yet".to_owned());
            return Some(health.map_or_else(unasked, |health| health.outcome()));
        }
        tokio::select! {
            () = running.ended.cancelled() => return None,
            () = tokio::time::sleep(HEARD_EVERY) => {}
        }
    }
}

/// Carries a round out that is put in the container of a run; none where the run ended first.
pub(in crate::world) async fn ask(
    shared: &Arc<Shared>,
    running: &Running,
    run: RunId,
    command: Option<&CommandLine>,
    timeout: Duration,
) -> Option<(ProbeOutcome, Duration)> {
    let docker = &shared.docker;
    let Some(command) = command else {
        return Some((settled_health(docker, running, run, timeout).await?, Duration::ZERO));
    };
    let id = lock(&docker.owners).iter().find(|(_, (_, of))| *of == run).map(|(id, _)| id.clone());
    let Some(id) = id else {
        return Some((ProbeOutcome::Failed("its container is not there".to_owned()), Duration::ZERO));
    };
    let begun = clock::now();
    let mut tail = Vec::new();
    let mut exec = None;
    let asked = run_in(docker, &id, command, &mut exec, &mut tail);
    let answer = tokio::select! {
        () = running.ended.cancelled() => None,
        answer = tokio::time::timeout(timeout, asked) => Some(answer.ok()),
    };
    let took = clock::now().since(begun);
    let outcome = match answer {
        None => {
            end(docker, exec).await;
            return None;
        }
        Some(None) => {
            end(docker, exec).await;
            let said = last_line(&tail);
            ProbeOutcome::Failed(format!("no answer within {}; it was ended{said}", short_duration(timeout)))
        }
        Some(Some(Ok(code))) => verdict(code, &tail),
        // Not the service's fault, and not well either.
        Some(Some(Err(failure))) => ProbeOutcome::Failed(failure.told()),
    };
    Some((outcome, took))
}

/// Its exit code.
async fn run_in(
    docker: &Docker,
    id: &str,
    command: &CommandLine,
    exec: &mut Option<String>,
    tail: &mut Vec<u8>,
) -> Result<i64, Failure> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.argv()),
        ..CreateExecOptions::default()
    };
    let id = id.to_owned();
    let made = docker.call(ANSWER, |docker| async move { docker.create_exec(&id, options).await }).await?;
    *exec = Some(made.id.clone());
    let asked = made.id.clone();
    let start = StartExecOptions { detach: false, ..StartExecOptions::default() };
    let started = docker.call(ANSWER, |docker| async move { docker.start_exec(&asked, Some(start)).await }).await?;
    if let StartExecResults::Attached { mut output, .. } = started {
        while let Some(said) = output.next().await {
            match said {
                Ok(
                    LogOutput::StdOut { message }
                    | LogOutput::StdErr { message }
                    | LogOutput::Console { message }
                    | LogOutput::StdIn { message },
                ) => {
                    tail.extend_from_slice(&message);
                    let surplus = tail.len().saturating_sub(KEPT_BYTES);
                    tail.drain(..surplus);
                }
                Err(error) => return Err(Failure::of(&error)),
            }
        }
    }
    let ended = docker.call(ANSWER, |docker| async move { docker.inspect_exec(&made.id).await }).await?;
    *exec = None;
    Ok(ended.exit_code.unwrap_or(0))
}

/// Docker has no way to end what it executes: where it is on this machine, the kernel has.
async fn end(docker: &Docker, exec: Option<String>) {
    let Some(exec) = exec.filter(|_| docker.is_local()) else { return };
    let asked = docker.call(ANSWER, |docker| async move { docker.inspect_exec(&exec).await }).await;
    let Ok(found) = asked else { return };
    let pid = found.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 1 && found.running == Some(true));
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        // It may be gone, or another user's.
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// 126 and 127 are what Docker, as a shell, says of a command that it cannot execute or find.
fn verdict(code: i64, tail: &[u8]) -> ProbeOutcome {
    let said = last_line(tail);
    match code {
        0 => ProbeOutcome::Passed,
        126 => ProbeOutcome::Broken(format!("its command cannot be executed in the container{said}")),
        127 => ProbeOutcome::Broken(format!("its command was not found in the container{said}")),
        code => ProbeOutcome::Failed(format!("exit code {code}{said}")),
    }
}

/// `: last line`, or nothing.
fn last_line(tail: &[u8]) -> String {
    let text = String::from_utf8_lossy(tail);
    let last = text.lines().rev().map(quoted).find(|line| !line.is_empty());
    last.map_or_else(String::new, |line| format!(": {line}"))
}
