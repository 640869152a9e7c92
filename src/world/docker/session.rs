//! A command in a container for whoever sits at a terminal, or for a script. Promise: what it writes comes as it was written, and how it ended is told. Never: a
//! word in the log of the service.

use std::sync::Arc;

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    query_parameters::ResizeExecOptions,
};
use futures_util::StreamExt;
use tokio::{
    io::AsyncWriteExt,
    sync::{mpsc, oneshot},
};

use super::{
    Docker,
    call::{ANSWER, Failure},
    endpoint::Lookup,
    link,
};
use crate::model::log::Stream;

/// Pieces that may wait each way.
const CAPACITY: usize = 64;
/// The best shell that there is.
const SHELL: [&str; 3] = ["sh", "-c", "exec $(command -v bash || command -v ash || echo sh)"];

/// Something for the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// For its standard input.
    Bytes(Vec<u8>),
    /// Its terminal has another size.
    Size {
        /// Lines.
        rows: u16,
        /// Columns.
        columns: u16,
    },
}

/// A command that runs.
#[derive(Debug)]
pub struct Session {
    /// What it is given; its standard input ends when this is dropped.
    pub input: mpsc::Sender<Typed>,
    /// What it writes; ends when it ends.
    pub output: mpsc::Receiver<(Stream, Vec<u8>)>,
    /// Its exit code, or a sentence.
    pub ended: oneshot::Receiver<Result<i64, String>>,
}

/// Runs a command in a container that runs, a shell where none is named; with a terminal of its own where one is wanted.
///
/// # Errors
/// Why it cannot be: a sentence.
pub async fn begin(lookup: Lookup, container: &str, command: &[String], has_terminal: bool) -> Result<Session, String> {
    let docker = Arc::new(Docker::new(lookup));
    let standing = link::connect(&docker).await.map_err(|reach| {
        let why = reach.obstacle().unwrap_or_default();
        format!("Docker cannot be reached: {why}")
    })?;
    docker.standing.send_replace(standing);
    let command = if command.is_empty() { SHELL.map(str::to_owned).to_vec() } else { command.to_vec() };
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(has_terminal),
        env: has_terminal.then(|| vec!["TERM=xterm-256color".to_owned()]),
        cmd: Some(command),
        ..CreateExecOptions::default()
    };
    let id = container.to_owned();
    let made = docker.call(ANSWER, |docker| async move { docker.create_exec(&id, options).await }).await;
    let exec = made.map_err(|failure| failure.told())?.id;
    let start = StartExecOptions { detach: false, tty: has_terminal, ..StartExecOptions::default() };
    let asked = exec.clone();
    let started = docker.call(ANSWER, |docker| async move { docker.start_exec(&asked, Some(start)).await }).await;
    let StartExecResults::Attached { output: mut said, input: mut stdin } =
        started.map_err(|failure| failure.told())?
    else {
        return Err("Docker did not attach to what it was to run".to_owned());
    };
    let (input, mut typed) = mpsc::channel(CAPACITY);
    let (give, output) = mpsc::channel(CAPACITY);
    let (tell, ended) = oneshot::channel();
    let (sizes, resized) = (Arc::clone(&docker), exec.clone());
    let typing = tokio::spawn(async move {
        while let Some(piece) = typed.recv().await {
            match piece {
                Typed::Bytes(bytes) => {
                    // An error means that it reads no more: what it writes tells the rest.
                    if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
                        return;
                    }
                }
                Typed::Size { rows, columns } => {
                    let size = ResizeExecOptions { h: i32::from(rows), w: i32::from(columns) };
                    let exec = resized.clone();
                    // One that has just ended has no size.
                    let _gone = sizes.call(ANSWER, |docker| async move { docker.resize_exec(&exec, size).await }).await;
                }
            }
        }
        let _gone = stdin.shutdown().await;
    });
    tokio::spawn(async move {
        let mut trouble = None;
        while let Some(piece) = said.next().await {
            let piece = match piece {
                Ok(LogOutput::StdErr { message }) => (Stream::Stderr, message.to_vec()),
                Ok(LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message }) => {
                    (Stream::Stdout, message.to_vec())
                }
                Err(error) => {
                    trouble = Some(Failure::of(&error).told());
                    break;
                }
            };
            if give.send(piece).await.is_err() {
                break;
            }
        }
        typing.abort();
        let ended = docker.call(ANSWER, |docker| async move { docker.inspect_exec(&exec).await }).await;
        let code = match (trouble, ended) {
            (Some(why), _) => Err(why),
            (None, Ok(ended)) => Ok(ended.exit_code.unwrap_or(0)),
            (None, Err(failure)) => Err(failure.told()),
        };
        // An error means that nobody waits.
        let _gone = tell.send(code);
    });
    Ok(Session { input, output, ended })
}
