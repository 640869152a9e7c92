//! Secrets of services: had anew at each start, from where the project file says. Promise: whoever shows output has learned a value before
//! anything can have written it. Never: a value in a message, on disk, or in `Debug`; a command that is run for anything but a start.

use std::{
    collections::HashMap, io::Read, os::unix::process::ExitStatusExt, path::Path, process::ExitStatus, sync::Arc,
    time::Duration,
};

use tokio::{process::Child, sync::mpsc};

use super::{
    ORDER_CAPACITY, Shared, World,
    output::{Spout, open_pipe, wait_for},
    process::{
        environment_of,
        launch::{Plan, launch},
    },
    slot::{Order, RunOrder},
    tree::{TreeId, stat},
};
use crate::model::{
    deed::Remake,
    event::Event,
    heritage::{Found, FoundState},
    ids::{RunId, ServiceId, ServiceName},
    project::ProjectSpec,
    redact::{Redactor, Secrets},
    secret::{SecretSource, SecretValues},
    service::{CommandLine, ServiceSpec},
    signal::signal_name,
    text::plain,
    time::short_duration,
};

/// The kernel takes no longer string for a variable (`MAX_ARG_STRLEN`), bytes; its name and what ends it are in it.
const LONGEST: usize = 100 * 1024;
/// Of what a command writes to its standard error, so much of the beginning is kept.
const KEPT_BYTES: usize = 4096;
/// Of its first line, so many characters are quoted.
const QUOTED_CHARACTERS: usize = 200;

/// Who is told of values.
type Told = dyn Fn(&ServiceId, &SecretValues) + Send + Sync;

/// Who learns secrets, so as to show none of them.
#[derive(Clone, Default)]
pub struct Learner(Option<Arc<Told>>);

impl Learner {
    /// Whoever `told` is.
    #[must_use]
    pub fn new(told: impl Fn(&ServiceId, &SecretValues) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    fn learn(&self, service: &ServiceId, values: &SecretValues) {
        if let Some(told) = self.0.as_ref().filter(|_| !values.0.is_empty()) {
            told(service, values);
        }
    }
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Learner").field(&self.0.is_some()).finish()
    }
}

/// The secrets of a service that can be had without running anything, in the `environment` that its project was opened with. What cannot be had is left out.
#[must_use]
pub fn at_rest(spec: &ServiceSpec, environment: impl Fn(&str) -> Option<String>) -> SecretValues {
    let had = spec.secrets.iter().filter_map(|(name, source)| {
        let value = match source {
            SecretSource::File(path) => of_file(path),
            SecretSource::Env(variable) => of_variable(environment(variable)),
            SecretSource::Command(_) => return None,
        };
        Some((name.clone(), value.ok()?))
    });
    SecretValues(had.collect())
}

/// The secrets that a process of a service was given.
#[must_use]
pub fn of_process(spec: &ServiceSpec, pid: u32) -> SecretValues {
    if spec.secrets.is_empty() {
        return SecretValues::default();
    }
    let environment = stat::environment(pid).unwrap_or_default();
    let given = spec.secrets.keys().filter_map(|name| Some((name.clone(), stat::value_in(&environment, name)?)));
    SecretValues(given.collect())
}

impl World {
    /// Makes a run once its secrets are there. What is asked of it meanwhile waits.
    pub(super) fn bear_with_secrets(&self, run: RunId, spec: Arc<ServiceSpec>, remake: Remake) {
        let Some((slot, birth)) = self.expect(run, spec, remake) else { return };
        let (orders, mut waiting) = mpsc::channel(ORDER_CAPACITY);
        if let Some(running) = self.shared.runs().get_mut(&run) {
            running.orders = orders;
        }
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            match had(&shared, run, &birth.spec).await {
                Ok(values) => {
                    shared.settings.learner.learn(&birth.spec.id, &values);
                    shared.give_secrets(run, values);
                }
                Err(error) => {
                    shared.forget(run);
                    birth.ended.cancel();
                    return shared.tell(Event::SpawnFailed { run, error }).await;
                }
            }
            // Its end closes what waits.
            drop(shared);
            let mut next = Some(Order::Run(run, RunOrder::Spawn(birth)));
            while let Some(order) = next {
                if slot.orders.send(order).await.is_err() {
                    break;
                }
                next = waiting.recv().await;
            }
        });
    }

    /// Learns what services of a project were given by earlier engines, as far as it can still be had, and what they would be given now.
    /// Runs nothing. **Blocks**.
    pub fn recall(&self, project: &ProjectSpec, found: &[Found]) {
        let pids: HashMap<&ServiceName, u32> = found
            .iter()
            .filter_map(|found| match found.state {
                FoundState::Running { pid, .. } => Some((&found.service, pid)),
                FoundState::Ended { .. } | FoundState::Rebooted | FoundState::Unverifiable { .. } => None,
            })
            .collect();
        for spec in project.services.iter().filter(|spec| !spec.secrets.is_empty()) {
            let mut values = at_rest(spec, |name| self.shared.opened_with(spec, name));
            if let Some(pid) = pids.get(&spec.id.service) {
                values.0.extend(of_process(spec, *pid).0);
            }
            self.shared.settings.learner.learn(&spec.id, &values);
        }
    }
}

impl Shared {
    /// What a run was given.
    pub(super) fn secrets_of(&self, run: RunId) -> SecretValues {
        self.runs().get(&run).map(|running| running.secrets.clone()).unwrap_or_default()
    }

    fn give_secrets(&self, run: RunId, values: SecretValues) {
        if let Some(running) = self.runs().get_mut(&run) {
            running.secrets = values;
        }
    }

    /// Learns what a container that is taken over was given as secrets.
    pub(super) fn know_secrets(&self, run: RunId, spec: &ServiceSpec, values: SecretValues) {
        self.settings.learner.learn(&spec.id, &values);
        self.give_secrets(run, values);
    }

    /// Learns what a run that is taken over was given by another engine.
    pub(super) fn recall_secrets(&self, run: RunId, spec: &ServiceSpec, pid: u32) {
        let values = of_process(spec, pid);
        if !values.0.is_empty() {
            self.settings.learner.learn(&spec.id, &values);
            self.give_secrets(run, values);
        }
    }

    /// A variable of the environment that the project of a service was opened with.
    fn opened_with(&self, spec: &ServiceSpec, name: &str) -> Option<String> {
        if let Some(base) = &spec.base_environment {
            return base.0.get(name).cloned();
        }
        let own = self.settings.environment.iter().find(|(own, _)| own == name);
        own.and_then(|(_, value)| value.to_str().map(str::to_owned))
    }
}

/// All secrets of a service, one after the other: a keyring that asks a person asks once.
///
/// # Errors
/// A sentence that names the first that cannot be had, and its source. Never with a part of a value.
async fn had(shared: &Arc<Shared>, run: RunId, spec: &ServiceSpec) -> Result<SecretValues, String> {
    let mut values = Vec::new();
    for (name, source) in &spec.secrets {
        let value = match source {
            SecretSource::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || of_file(&path)).await;
                read.unwrap_or_else(|_| Err("cas is ending".to_owned()))
            }
            SecretSource::Env(variable) => of_variable(shared.opened_with(spec, variable)),
            SecretSource::Command(command) => {
                let tree = shared.forest.plant();
                let value = of_command(shared, (run, spec, name), command, tree).await;
                shared.forest.forget(tree);
                value
            }
        };
        let value = value.map_err(|why| {
            let source = source.to_string();
            format!("the secret {name} cannot be had from {}: {why}", plain(&source))
        })?;
        values.push((name.clone(), value));
    }
    Ok(SecretValues(values))
}

fn of_file(path: &Path) -> Result<String, String> {
    let why = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            return "there is no such file".to_owned();
        }
        format!("it cannot be read ({error})")
    };
    // Before it is opened: a pipe without a writer would block.
    if !path.metadata().map_err(why)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let most = LONGEST as u64 + 1;
    std::fs::File::open(path).map_err(why)?.take(most).read_to_end(&mut bytes).map_err(why)?;
    value_of(bytes)
}

fn of_variable(value: Option<String>) -> Result<String, String> {
    let value = value.ok_or("it is not set in the environment that the project was opened with")?;
    value_of(value.into_bytes())
}

/// Without the end of its line.
fn value_of(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    if bytes.contains(&0) {
        return Err("it contains a NUL byte".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// Runs a command where and as the service will run, without its secrets.
async fn of_command(
    shared: &Arc<Shared>,
    (run, spec, name): (RunId, &ServiceSpec, &str),
    command: &CommandLine,
    tree: TreeId,
) -> Result<String, String> {
    let no_pipe = |error| format!("there is no pipe for its output ({error})");
    let (output, stdout) = open_pipe().map_err(no_pipe)?;
    let (errors, stderr) = open_pipe().map_err(no_pipe)?;
    let plan = Plan {
        argv: command.argv(),
        directory: spec.working_dir.clone(),
        base: spec.base_environment.clone(),
        environment: environment_of(run, spec, &SecretValues::default()),
        stdout,
        stderr,
    };
    let (mut child, _pid) = launch(shared, tree, plan).await?;
    let mut output = Head { spout: Spout::new(output), kept: Vec::new(), most: LONGEST + 1 };
    let mut errors = Head { spout: Spout::new(errors), kept: Vec::new(), most: KEPT_BYTES };
    let within = shared.settings.secret_within;
    let ended = tokio::select! {
        status = wait_and_read(&mut child, &mut output, &mut errors) => Ok(status),
        () = tokio::time::sleep(within) => Err(format!("no answer within {}; it was ended", short_duration(within))),
        () = shared.released.cancelled() => Err("cas is ending".to_owned()),
    };
    let failed = match ended {
        // What it left in the background (an agent that holds keys) stays.
        Ok(Ok(status)) if status.success() => {
            shared.forest.fell(tree);
            return value_of(output.kept);
        }
        Ok(Ok(status)) => format!("{}{}", how(status), errors.quoted()),
        Ok(Err(error)) => error.to_string(),
        Err(why) => format!("{why}{}", errors.quoted()),
    };
    let survivors = shared.forest.end(tree, Duration::ZERO).await;
    if !survivors.is_empty() {
        tracing::warn!(?survivors, service = %spec.id, "processes of a command for a secret cannot be ended");
    }
    wait_for(child).await;
    shared.forest.fell(tree);
    // It may have said the same on its standard error, and what is told here is kept.
    let mut secrets = Secrets::default();
    secrets.learn_declared(&SecretValues(vec![(name.to_owned(), String::from_utf8_lossy(&output.kept).into_owned())]));
    Err(Redactor::of(&secrets).text(&failed).into_owned())
}

fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => format!("ended by {}", signal_name(status.signal().unwrap_or(0))),
    }
}

async fn wait_and_read(child: &mut Child, output: &mut Head, errors: &mut Head) -> std::io::Result<ExitStatus> {
    loop {
        tokio::select! {
            biased;
            status = child.wait() => {
                output.drain();
                errors.drain();
                return status;
            }
            () = output.spout.readable() => output.read(),
            () = errors.spout.readable() => errors.read(),
        }
    }
}

/// The beginning of what is written to a pipe.
struct Head {
    spout: Spout,
    kept: Vec<u8>,
    most: usize,
}

impl Head {
    fn read(&mut self) {
        let bytes = self.spout.read();
        self.keep(&bytes);
    }

    fn drain(&mut self) {
        let bytes = self.spout.drain();
        self.keep(&bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.most.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// `: first line`, or nothing.
    fn quoted(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let first = text.lines().map(|line| plain(line).trim().to_owned()).find(|line| !line.is_empty());
        first.map_or_else(String::new, |line| format!(": {}", line.chars().take(QUOTED_CHARACTERS).collect::<String>()))
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, value_of};

    #[test]
    fn one_end_of_line_is_cut_and_what_no_program_could_be_given_is_refused() {
        for (bytes, value) in [("a b\n", "a b"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), (" a ", " a ")] {
            assert_eq!(value_of(bytes.into()).as_deref(), Ok(value));
        }
        for (bytes, why) in [
            (b"\n".to_vec(), "empty"),
            (Vec::new(), "empty"),
            (b"a\0b".to_vec(), "NUL"),
            (vec![0xff, b'a'], "UTF-8"),
            (vec![b'a'; LONGEST + 1], "longer"),
        ] {
            assert!(value_of(bytes).unwrap_err().contains(why), "{why}");
        }
    }
}
