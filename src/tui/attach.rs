//! A service's own terminal, given to whoever sits here: what it writes is shown as it comes, what is typed goes to it, until a key lets go of it.
//!
//! Promise: this terminal is given back as it was, whatever the service did to it. Never changes a byte on its
//! way.

use std::{
    io::{self, IsTerminal, Write},
    os::fd::{AsFd, OwnedFd},
};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};

use super::{input::wait_for_keys, patience::Direct};
use crate::{
    config::user::DetachKey,
    host::handle::{Call, EngineGone, Handle, TtyInput},
    model::ids::ServiceId,
};

/// Pieces of input or output that may wait; more make the other side wait (back-pressure).
const CAPACITY: usize = 64;

/// Undoes what programs do to a terminal: colours, a hidden cursor, the alternate screen, pasting, the mouse, application keys (xterm's control
/// sequences, "ctlseqs").
const TIDY: &[u8] =
    b"\x1b[0m\x1b[?25h\x1b[?1049l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?1l\x1b>\r\n";

/// Raw mode, until it is dropped.
struct Raw;

impl Raw {
    fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nobody could be told by now.
        let _tidied = Direct.write_all(TIDY);
        let _mode = disable_raw_mode();
    }
}

/// The thread that reads keys, until it is dropped.
struct Keys {
    typed: mpsc::Receiver<Vec<u8>>,
    stop: Option<OwnedFd>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Keys {
    fn start() -> io::Result<Self> {
        let (sender, typed) = mpsc::channel(CAPACITY);
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        let tty = io::stdin().as_fd().try_clone_to_owned()?;
        let reader = std::thread::Builder::new().name("tty-keys".to_owned()).spawn(move || {
            let mut bytes = [0; 4096];
            while wait_for_keys(tty.as_fd(), stopped.as_fd()) {
                match rustix::io::read(&tty, &mut bytes) {
                    Ok(0) => return,
                    Ok(count) => {
                        if sender.blocking_send(bytes[..count].to_vec()).is_err() {
                            return;
                        }
                    }
                    Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                    Err(_gone) => return,
                }
            }
        })?;
        Ok(Self { typed, stop: Some(stop), reader: Some(reader) })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.stop.take();
        // It may be waiting for room.
        self.typed.close();
        if let Some(reader) = self.reader.take() {
            // One that panicked has ended as well.
            let _ended = reader.join();
        }
    }
}

/// Gives this terminal to `service` until `key` is typed, or the service or the engine ends.
///
/// # Errors
/// A sentence: there is no terminal here, the service has none, the engine does not answer.
pub async fn attach(handle: &Handle, service: &ServiceId, key: DetachKey) -> Result<(), String> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err("attaching needs a terminal, and here is none".to_owned());
    }
    let (input, typed) = mpsc::channel(CAPACITY);
    let (output, mut written) = mpsc::channel::<Vec<u8>>(CAPACITY);
    let (answer, answered) = oneshot::channel();
    let call = Call::Tty { service: service.clone(), input: typed, output, answer };
    handle.calls.send(call).await.map_err(|_| EngineGone.to_string())?;
    answered.await.map_err(|_| EngineGone.to_string())??;

    let trouble = |error: io::Error| format!("the terminal does not work: {error}");
    let mut resized = signal(SignalKind::window_change()).map_err(trouble)?;
    let _welcome = writeln!(Direct, "{service}: {key} lets go of it");
    let _raw = Raw::enter().map_err(trouble)?;
    let mut keys = Keys::start().map_err(trouble)?;
    tell_size(&input).await;
    loop {
        tokio::select! {
            biased;
            bytes = keys.typed.recv() => {
                let Some(bytes) = bytes else { return Ok(()) };
                let end = memchr::memchr(key.byte(), &bytes);
                let before = &bytes[..end.unwrap_or(bytes.len())];
                if !before.is_empty() && input.send(TtyInput::Bytes(before.to_vec())).await.is_err() {
                    return Ok(());
                }
                if end.is_some() {
                    return Ok(());
                }
            }
            _ = resized.recv() => tell_size(&input).await,
            bytes = written.recv() => {
                // The service has ended, or was restarted.
                let Some(bytes) = bytes else { return Ok(()) };
                Direct.write_all(&bytes).map_err(trouble)?;
            }
        }
    }
}

async fn tell_size(input: &mpsc::Sender<TtyInput>) {
    if let Ok((cols, rows)) = crossterm::terminal::size() {
        // An error means that the service has ended, which its output tells.
        let _ended = input.send(TtyInput::Resize { rows, cols }).await;
    }
}
