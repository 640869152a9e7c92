//! A command as probe, or of a hook. Its whole tree is gone when it is answered, however it ended.

use std::{ffi::OsString, process::ExitStatus, sync::Arc, time::Duration};

use tokio::{net::unix::pipe, process::Child};

use crate::{
    model::{
        ids::{RunId, ServiceId},
        probe::ProbeOutcome,
        service::{CommandLine, ServiceSpec},
        signal::signal_name,
        text::plain,
        time::short_duration,
    },
    world::{
        Running, Shared, clock,
        kinds::body,
        output::{Spout, open_pipe, wait_for},
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

/// A command of a service's, to be run where the service runs.
pub(in crate::world) struct Job<'j> {
    pub(in crate::world) spec: &'j ServiceSpec,
    /// What is added to the environment that the service begins with.
    pub(in crate::world) environment: Vec<(OsString, OsString)>,
    pub(in crate::world) command: &'j CommandLine,
    pub(in crate::world) timeout: Duration,
}

/// How a command ended.
pub(in crate::world) enum Ending {
    Over(std::io::Result<ExitStatus>),
    /// Not within its time: it was ended.
    Late,
    /// It was ended because nobody waits for it any more.
    CalledOff,
}

/// A command that is over, with nothing of it left.
pub(in crate::world) struct Done {
    pub(in crate::world) ending: Ending,
    pub(in crate::world) tail: Tail,
    pub(in crate::world) took: Duration,
}

/// Runs the command where and as the service runs; none where the run ended first. `honest`: what it prints is looked at where it ends with 0.
pub(super) async fn ask(
    shared: &Arc<Shared>,
    running: &Running,
    spec: &ServiceSpec,
    run: RunId,
    command: &CommandLine,
    (timeout, honest): (Duration, bool),
) -> Option<(ProbeOutcome, Duration)> {
    let job = Job { spec, environment: environment_of(run, spec, &running.secrets), command, timeout };
    let done = match self::run(shared, job, running.ended.cancelled()).await {
        Ok(done) => done,
        Err(why) => return Some((ProbeOutcome::Broken(why), Duration::ZERO)),
    };
    let outcome = match done.ending {
        Ending::Over(Ok(status)) => match verdict(status, &done.tail) {
            ProbeOutcome::Passed if honest => done.tail.says_otherwise(),
            outcome @ (ProbeOutcome::Passed | ProbeOutcome::Failed(_) | ProbeOutcome::Broken(_)) => outcome,
        },
        Ending::Over(Err(error)) => ProbeOutcome::Failed(error.to_string()),
        Ending::Late => {
            let quoted = done.tail.quoted();
            ProbeOutcome::Failed(format!("no answer within {}; it was ended{quoted}", short_duration(timeout)))
        }
        Ending::CalledOff => return None,
    };
    Some((outcome, done.took))
}

/// Runs a command to its end, or to the end of its time, or until it is called off. An error is a sentence: it could not be begun.
pub(in crate::world) async fn run(
    shared: &Arc<Shared>,
    job: Job<'_>,
    called_off: impl Future<Output = ()>,
) -> Result<Done, String> {
    let tree = shared.forest.plant();
    let (service, timeout) = (job.spec.id.clone(), job.timeout);
    let answer = match begin(shared, job, tree).await {
        Ok((child, output)) => Ok(answer(shared, &service, tree, child, output, timeout, called_off).await),
        Err(why) => Err(why),
    };
    shared.forest.forget(tree);
    answer
}

async fn begin(shared: &Arc<Shared>, job: Job<'_>, tree: TreeId) -> Result<(Child, pipe::Receiver), String> {
    let no_pipe = |error| format!("no pipe for the output of the command: {error}");
    let (output, stdout) = open_pipe().map_err(no_pipe)?;
    let stderr = stdout.try_clone().map_err(no_pipe)?;
    let plan = Plan {
        argv: job.command.argv(),
        directory: job.spec.working_dir.clone(),
        base: job.spec.base_environment.clone(),
        environment: job.environment,
        stdout,
        stderr,
    };
    let (child, _pid) = launch(shared, tree, plan).await?;
    Ok((child, output))
}

async fn answer(
    shared: &Shared,
    service: &ServiceId,
    tree: TreeId,
    mut child: Child,
    output: pipe::Receiver,
    timeout: Duration,
    called_off: impl Future<Output = ()>,
) -> Done {
    let begun = clock::now();
    let mut tail = Tail { spout: Spout::new(output), kept: Vec::new(), is_cut: false };
    let ending = tokio::select! {
        status = wait_and_read(&mut child, &mut tail) => {
            shared.forest.fell(tree);
            tail.drain();
            Ending::Over(status)
        }
        () = tokio::time::sleep(timeout) => Ending::Late,
        () = called_off => Ending::CalledOff,
    };
    let took = clock::now().since(begun);
    if shared.forest.leftover(tree) > 0 {
        let survivors = shared.forest.end(tree, Duration::ZERO).await;
        if !survivors.is_empty() {
            tracing::warn!(?survivors, %service, "processes of a probe or hook cannot be ended");
        }
    }
    wait_for(child).await;
    shared.forest.fell(tree);
    Done { ending, tail, took }
}

async fn wait_and_read(child: &mut Child, tail: &mut Tail) -> std::io::Result<ExitStatus> {
    loop {
        tokio::select! {
            biased;
            status = child.wait() => return status,
            () = tail.spout.readable() => tail.read(),
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
pub(in crate::world) struct Tail {
    spout: Spout,
    kept: Vec<u8>,
    /// The first line of what is kept lacks its beginning.
    is_cut: bool,
}

impl Tail {
    fn read(&mut self) {
        let bytes = self.spout.read();
        self.keep(&bytes);
    }

    fn drain(&mut self) {
        let bytes = self.spout.drain();
        self.keep(&bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        let surplus = self.kept.len().saturating_sub(KEPT_BYTES);
        self.is_cut |= surplus > 0;
        self.kept.drain(..surplus);
    }

    /// The last lines, oldest first, safe to be shown.
    pub(in crate::world) fn lines(&self, most: usize) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.kept);
        let whole = text.lines().skip(usize::from(self.is_cut));
        let shown = |line: &str| plain(line).trim_end().chars().take(QUOTED_CHARACTERS).collect::<String>();
        let mut lines: Vec<String> = whole.map(shown).filter(|line| !line.is_empty()).collect();
        let surplus = lines.len().saturating_sub(most);
        lines.drain(..surplus);
        lines
    }

    /// All that was written, safe to be looked at; none where its beginning was not kept.
    pub(in crate::world) fn whole(&self) -> Option<String> {
        (!self.is_cut).then(|| String::from_utf8_lossy(&self.kept).into_owned())
    }

    /// A command that ended with 0 has failed where it says so itself.
    fn says_otherwise(&self) -> ProbeOutcome {
        let text = String::from_utf8_lossy(&self.kept);
        let said = text.lines().find(|line| body::line_ails(line));
        let said =
            said.map(|line| plain(line).trim().chars().take(QUOTED_CHARACTERS).collect::<String>()).or_else(|| {
                // JSON over several lines.
                serde_json::from_str(text.trim()).ok().and_then(|value| body::ailing(&value))
            });
        said.map_or(ProbeOutcome::Passed, |said| ProbeOutcome::Failed(format!("exit code 0, but it printed {said}")))
    }

    /// `: last line`, or nothing.
    fn quoted(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let last = text.lines().rev().map(|line| plain(line).trim().to_owned()).find(|line| !line.is_empty());
        last.map_or_else(String::new, |line| format!(": {}", line.chars().take(QUOTED_CHARACTERS).collect::<String>()))
    }
}
