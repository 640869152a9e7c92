//! A command as probe. Its whole tree is gone when it is answered, however it ended.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use tokio::{net::unix::pipe, process::Child};

use crate::{
    model::{
        ids::RunId,
        probe::ProbeOutcome,
        secret::SecretValues,
        service::{CommandLine, ServiceSpec},
        signal::signal_name,
        text::plain,
        time::short_duration,
    },
    world::{
        Running, Shared, clock,
        output::{open_pipe, read_what_is_there},
        process::{
            environment_of,
            launch::{Plan, launch},
        },
        tree::TreeId,
    },
};

/// Of what it writes, so much of the end is kept.
const KEPT_BYTES: usize = 4096;
/// Of the last line, so many characters are quoted.
const QUOTED_CHARACTERS: usize = 200;
/// A probe that even SIGKILL does not end is waited for in the background after so long.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs the command where and as the service runs; none where the run ended first.
pub(super) async fn ask(
    shared: &Arc<Shared>,
    running: &Running,
    spec: &ServiceSpec,
    run: RunId,
    command: &CommandLine,
    timeout: Duration,
) -> Option<(ProbeOutcome, Duration)> {
    let tree = shared.forest.plant();
    let answer = match begin(shared, (spec, &running.secrets), run, command, tree).await {
        Ok((child, output)) => answer(shared, running, tree, child, output, timeout).await,
        Err(why) => Some((ProbeOutcome::Broken(why), Duration::ZERO)),
    };
    shared.forest.forget(tree);
    answer
}

async fn begin(
    shared: &Arc<Shared>,
    (spec, secrets): (&ServiceSpec, &SecretValues),
    run: RunId,
    command: &CommandLine,
    tree: TreeId,
) -> Result<(Child, pipe::Receiver), String> {
    let no_pipe = |error| format!("no pipe for the probe's output: {error}");
    let (output, stdout) = open_pipe().map_err(no_pipe)?;
    let stderr = stdout.try_clone().map_err(no_pipe)?;
    let plan = Plan {
        argv: command.argv(),
        directory: spec.working_dir.clone(),
        base: spec.base_environment.clone(),
        environment: environment_of(run, spec, secrets),
        stdout,
        stderr,
    };
    let (child, _pid) = launch(shared, tree, plan).await?;
    Ok((child, output))
}

async fn answer(
    shared: &Shared,
    running: &Running,
    tree: TreeId,
    mut child: Child,
    output: pipe::Receiver,
    timeout: Duration,
) -> Option<(ProbeOutcome, Duration)> {
    let begun = clock::now();
    let mut tail = Tail { pipe: Some(output), kept: Vec::new() };
    let answered = tokio::select! {
        status = wait_and_read(&mut child, &mut tail) => {
            shared.forest.fell(tree);
            tail.drain();
            let outcome = status.map_or_else(|error| ProbeOutcome::Failed(error.to_string()), |status| verdict(status, &tail));
            Some(outcome)
        }
        () = tokio::time::sleep(timeout) => {
            Some(ProbeOutcome::Failed(format!("no answer within {}; it was ended{}", short_duration(timeout), tail.quoted())))
        }
        () = running.ended.cancelled() => None,
    };
    let took = clock::now().since(begun);
    if shared.forest.leftover(tree) > 0 {
        let survivors = shared.forest.end(tree, Duration::ZERO).await;
        if !survivors.is_empty() {
            tracing::warn!(?survivors, service = %running.service, "processes of a probe cannot be ended");
        }
    }
    wait_for(child).await;
    shared.forest.fell(tree);
    answered.map(|outcome| (outcome, took))
}

async fn wait_for(mut child: Child) {
    if tokio::time::timeout(LAST_WAIT, child.wait()).await.is_err() {
        tokio::spawn(async move {
            // However it ends, it is waited for.
            let _status = child.wait().await;
        });
    }
}

async fn wait_and_read(child: &mut Child, tail: &mut Tail) -> std::io::Result<ExitStatus> {
    loop {
        tokio::select! {
            biased;
            status = child.wait() => return status,
            () = tail.readable() => tail.read(),
        }
    }
}

/// 126 and 127 are what a shell says of a command that it cannot execute or find (POSIX, 2.8.2).
fn verdict(status: ExitStatus, tail: &Tail) -> ProbeOutcome {
    use std::os::unix::process::ExitStatusExt;
    let quoted = tail.quoted();
    match status.code() {
        Some(0) => ProbeOutcome::Passed,
        Some(126) => ProbeOutcome::Broken(format!("its command cannot be executed{quoted}")),
        Some(127) => ProbeOutcome::Broken(format!("its command was not found{quoted}")),
        Some(code) => ProbeOutcome::Failed(format!("exit code {code}{quoted}")),
        None => ProbeOutcome::Failed(format!("ended by {}{quoted}", signal_name(status.signal().unwrap_or(0)))),
    }
}

/// The end of what the command wrote.
struct Tail {
    pipe: Option<pipe::Receiver>,
    kept: Vec<u8>,
}

impl Tail {
    async fn readable(&self) {
        match &self.pipe {
            // An error is found again by the read that follows.
            Some(pipe) => drop(pipe.readable().await),
            None => std::future::pending().await,
        }
    }

    fn read(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        let mut buffer = Vec::with_capacity(KEPT_BYTES);
        match pipe.try_read_buf(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(_) => self.keep(&buffer),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) => {}
            Err(_) => self.pipe = None,
        }
    }

    fn drain(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        let mut buffer = Vec::new();
        read_what_is_there(pipe, &mut buffer);
        self.keep(&buffer);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        let surplus = self.kept.len().saturating_sub(KEPT_BYTES);
        self.kept.drain(..surplus);
    }

    /// `: last line`, or nothing.
    fn quoted(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let last = text.lines().rev().map(|line| plain(line).trim().to_owned()).find(|line| !line.is_empty());
        last.map_or_else(String::new, |line| format!(": {}", line.chars().take(QUOTED_CHARACTERS).collect::<String>()))
    }
}
