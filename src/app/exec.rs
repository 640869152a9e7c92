//! A command in a container, joined to where whoever asked sits: to the terminal, or to standard input and output.

use std::io::{self, Write};

use tokio::sync::mpsc;

use crate::{
    config::user::DetachKey,
    host::handle::TtyInput,
    model::log::Stream,
    tui,
    world::docker::{
        endpoint::Lookup,
        session::{self, Typed},
    },
};

/// Pieces that may wait each way.
const CAPACITY: usize = 64;
/// A piece of input, bytes.
const PIECE: usize = 16 * 1024;

/// With this terminal; its exit code, or 0 where it was let go of.
pub(super) async fn with_terminal(
    name: &str,
    container: &str,
    command: &[String],
    key: DetachKey,
) -> Result<i64, String> {
    let session = session::begin(Lookup::of_environment(), container, command, true).await?;
    let (input, mut typed) = mpsc::channel(CAPACITY);
    let (give, written) = mpsc::channel(CAPACITY);
    let session::Session { input: to_command, mut output, ended } = session;
    tokio::spawn(async move {
        while let Some(piece) = typed.recv().await {
            let piece = match piece {
                TtyInput::Bytes(bytes) => Typed::Bytes(bytes),
                TtyInput::Resize { rows, cols } => Typed::Size { rows, columns: cols },
            };
            // An error means that it has ended.
            if to_command.send(piece).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((_, bytes)) = output.recv().await {
            if give.send(bytes).await.is_err() {
                return;
            }
        }
    });
    match tui::sit_at(name, input, written, key).await? {
        Some(_let_go) => Ok(0),
        None => ended.await.unwrap_or_else(|_| Err("what was run is gone".to_owned())),
    }
}

/// With standard input and output; its exit code.
pub(super) async fn with_pipes(container: &str, command: &[String]) -> Result<i64, String> {
    let session = session::begin(Lookup::of_environment(), container, command, false).await?;
    let session::Session { input, mut output, ended } = session;
    // A read cannot be called off: the thread ends with the process.
    std::thread::Builder::new()
        .name("exec-input".to_owned())
        .spawn(move || {
            let mut bytes = vec![0; PIECE];
            // Not by the library's handle, which whoever may ask a person holds.
            while let Ok(count) = rustix::io::retry_on_intr(|| rustix::io::read(rustix::stdio::stdin(), &mut bytes)) {
                if count == 0 || input.blocking_send(Typed::Bytes(bytes[..count].to_vec())).is_err() {
                    return;
                }
            }
        })
        .map_err(|error| format!("nothing can be read: {error}"))?;
    while let Some((stream, bytes)) = output.recv().await {
        let written = match stream {
            Stream::Stdout => io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush()),
            Stream::Stderr => io::stderr().write_all(&bytes),
        };
        if let Err(error) = written {
            return Err(format!("its output cannot be written: {error}"));
        }
    }
    ended.await.unwrap_or_else(|_| Err("what was run is gone".to_owned()))
}
