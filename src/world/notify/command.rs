//! A command of the user's own: the notice as JSON on its standard input, its fields as `CAS_ALERT_*` in its environment.
//!
//! Promise: a process group of its own, which is gone when it is answered. Never: what it writes to its standard output is looked at.

use std::{
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStderr, Command},
};

use super::{Environment, cut};
use crate::model::{
    alarm::{NotSent, Notice},
    service::CommandLine,
};

/// It may take so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most that is read of its standard error, bytes; the rest is thrown away.
const KEPT_BYTES: usize = 4096;

/// Ends the group of a command when it is let go of.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that nothing of it is left.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs it.
pub(super) async fn send(
    line: &CommandLine,
    directory: &Path,
    notice: &Notice,
    environment: &Environment,
) -> Result<String, NotSent> {
    let mut command = match line {
        CommandLine::Shell(line) => {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", line]);
            shell
        }
        CommandLine::Argv(words) => {
            let (program, arguments) = words.split_first().ok_or_else(|| NotSent::for_good("its command is empty"))?;
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    command
        .env_clear()
        .envs(environment.iter())
        .envs(variables(notice))
        .current_dir(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| NotSent::for_now(format!("{} cannot be run: {error}", line.display())))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let group = Group(pid);
    let json = serde_json::to_vec(notice).map_err(|error| NotSent::for_good(error.to_string()))?;
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let write = async {
        if let Some(mut input) = input {
            // One that does not read it is no fault.
            let _unread = input.write_all(&json).await;
        }
    };
    let kept = Arc::new(Mutex::new(Vec::new()));
    let reading = tokio::spawn(read(errors, Arc::clone(&kept)));
    let ended = tokio::time::timeout(PATIENCE, async {
        let ((), status) = tokio::join!(write, child.wait());
        status
    });
    let ended = ended.await;
    // Whoever else holds its standard error is ended with the group.
    drop(group);
    // What it wrote last has arrived by then; one that has left its group and holds the pipe is not waited for.
    let _late = tokio::time::timeout(Duration::from_millis(500), reading).await;
    let status = match ended {
        Err(_late) => {
            return Err(NotSent::for_now(format!("not done after {} s, so it was ended", PATIENCE.as_secs())));
        }
        Ok(Err(error)) => return Err(NotSent::for_now(format!("it cannot be waited for: {error}"))),
        Ok(Ok(status)) => status,
    };
    if status.success() {
        return Ok("ended with code 0".to_owned());
    }
    let how =
        status.code().map_or_else(|| "was ended by a signal".to_owned(), |code| format!("ended with code {code}"));
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let said = String::from_utf8_lossy(&kept);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(NotSent::for_now(if last.is_empty() { how } else { format!("{how}: {}", cut(last.trim(), 120)) }))
}

/// Takes what it writes and keeps the beginning of it.
async fn read(errors: Option<ChildStderr>, kept: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0_u8; 1024];
    let Some(mut errors) = errors else { return };
    while let Ok(count @ 1..) = errors.read(&mut piece).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT_BYTES - kept.len();
        kept.extend_from_slice(&piece[..count.min(room)]);
    }
}

/// The notice's fields by name.
fn variables(notice: &Notice) -> Vec<(String, String)> {
    let fields = [
        ("KIND", notice.kind.label()),
        ("SEVERITY", notice.severity.label()),
        ("GROUP", &notice.group),
        ("TITLE", &notice.title),
        ("TEXT", &notice.text),
        ("PROJECT", &notice.project),
        ("SERVICE", &notice.service),
        ("RULE", &notice.rule),
        ("SINCE", &notice.since),
        ("AT", &notice.at),
        ("HOST", &notice.host),
    ];
    let fields = fields.into_iter().map(|(name, value)| (format!("CAS_ALERT_{name}"), value.replace('\0', "")));
    fields.chain([("CAS_ALERT_SYMPTOMS".to_owned(), notice.symptoms.join(" "))]).collect()
}
