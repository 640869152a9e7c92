//! A service's own terminal, given to whoever sits here: what it writes is shown as it comes, what is typed goes to it, until a key lets go of it.
//!
//! Promise: this terminal is given back as it was, whatever the service did to it. Never changes a byte on its
//! way.

use std::{
    io::{self, IsTerminal, Write},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use rustix::{
    pipe::{PipeFlags, pipe_with},
    termios::{QueueSelector, tcflush},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
};

use super::{detach::Detach, input::wait_for_keys, patience::Direct};
use crate::{
    config::user::DetachKey,
    host::handle::{Call, EngineGone, Handle, Link, TtyInput},
    model::{
        ids::{RunId, ServiceId},
        snapshot::Snapshot,
        tty::{Parted, Watched},
    },
};

/// Pieces of input or output that may wait; more make the other side wait (back-pressure).
const CAPACITY: usize = 64;

/// Typed bytes that may wait for a service that does not read. Of more it hears nothing, as with any terminal.
const UNREAD: usize = 4 * 1024 * 1024;

/// Who ended is known by then: the engine says that a service has, or does not say anything any more.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// Raw mode, until it is dropped; and what the service did to the terminal.
struct Raw(Watched);

impl Raw {
    fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Self(Watched::default()))
    }

    fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.saw(bytes);
        let mut out = io::stdout();
        out.write_all(bytes)?;
        out.flush()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let mut undo = self.0.undo();
        if !self.0.is_alternate() {
            undo.push_str("\r\n");
        }
        // Nobody could be told by now.
        let _undone = Direct.write_all(undo.as_bytes());
        // What was typed behind the key, the rest of a paste perhaps, is for nobody.
        let _flushed = tcflush(io::stdin(), QueueSelector::IFlush);
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

/// Gives this terminal to `service` until `key` is typed, or the service or the engine ends, or a signal asks us to.
///
/// # Errors
/// A sentence: there is no terminal here, the service has none, the engine does not answer.
pub async fn attach(handle: &Handle, service: &ServiceId, key: DetachKey) -> Result<Parted, String> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err("attaching needs a terminal, and here is none".to_owned());
    }
    let run = run_of(&handle.snapshot(), service);
    let (input, typed) = mpsc::channel(CAPACITY);
    let (output, written) = mpsc::channel::<Vec<u8>>(CAPACITY);
    let (answer, answered) = oneshot::channel();
    let call = Call::Tty { service: service.clone(), input: typed, output, answer };
    handle.calls.send(call).await.map_err(|_| EngineGone.to_string())?;
    handle.awaited(answered).await.map_err(|gone| gone.to_string())??;

    let parted = sit_at(&service.to_string(), input, written, key).await?;
    Ok(match parted {
        Some(parted) => parted,
        None => who_ended(handle, service, run).await,
    })
}

/// Gives this terminal to whatever is at the other end of two channels until `key` is typed, a signal asks us to, or (none) the other side ends.
///
/// # Errors
/// A sentence: the terminal does not work.
pub async fn sit_at(
    what: &str,
    input: mpsc::Sender<TtyInput>,
    written: mpsc::Receiver<Vec<u8>>,
    key: DetachKey,
) -> Result<Option<Parted>, String> {
    let trouble = |error: io::Error| format!("the terminal does not work: {error}");
    let signals = Signals::listen().map_err(trouble)?;
    let _welcome = writeln!(Direct, "{what}: {key} lets go of it");
    let mut raw = Raw::enter().map_err(trouble)?;
    let keys = Keys::start().map_err(trouble)?;
    let mut seat = Seat { keys, signals, input, written, detach: Detach::new(key), unread: Vec::new(), size: None };
    let parted = seat.sit(&mut raw).await.map_err(trouble)?;
    drop((seat, raw));
    Ok(parted)
}

/// Signals that matter while a service has the terminal.
struct Signals {
    term: Signal,
    hup: Signal,
    int: Signal,
    winch: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
            int: signal(SignalKind::interrupt())?,
            winch: signal(SignalKind::window_change())?,
        })
    }

    async fn next(&mut self) -> Wake {
        tokio::select! {
            _ = self.term.recv() => Wake::Signal(SignalKind::terminate().as_raw_value()),
            _ = self.hup.recv() => Wake::Signal(SignalKind::hangup().as_raw_value()),
            _ = self.int.recv() => Wake::Signal(SignalKind::interrupt().as_raw_value()),
            _ = self.winch.recv() => Wake::Resized,
        }
    }
}

/// What woke the loop; the end of a channel is none.
enum Wake {
    Signal(i32),
    Resized,
    Typed(Option<Vec<u8>>),
    Room(Option<mpsc::OwnedPermit<TtyInput>>),
    Written(Option<Vec<u8>>),
}

/// Everything between the person and the service.
struct Seat {
    keys: Keys,
    signals: Signals,
    input: mpsc::Sender<TtyInput>,
    written: mpsc::Receiver<Vec<u8>>,
    detach: Detach,
    /// Typed, and not taken yet.
    unread: Vec<u8>,
    /// A size that was not told yet, rows and columns.
    size: Option<(u16, u16)>,
}

impl Seat {
    /// Carries bytes both ways; none where the other side has ended. Neither way waits for the other.
    async fn sit(&mut self, raw: &mut Raw) -> io::Result<Option<Parted>> {
        self.measure();
        loop {
            let parted = match self.next().await {
                Wake::Signal(number) => Some(Parted::Signalled(number)),
                Wake::Resized => {
                    self.measure();
                    None
                }
                Wake::Typed(Some(typed)) => self.take(&typed),
                // The terminal is gone, and with it whoever sat here.
                Wake::Typed(None) => Some(Parted::LetGo),
                Wake::Room(Some(room)) => {
                    drop(room.send(match self.size.take() {
                        Some((rows, cols)) => TtyInput::Resize { rows, cols },
                        None => TtyInput::Bytes(std::mem::take(&mut self.unread)),
                    }));
                    None
                }
                Wake::Room(None) => return self.show_rest(raw).await,
                Wake::Written(Some(bytes)) => {
                    raw.show(&bytes)?;
                    None
                }
                Wake::Written(None) => return Ok(None),
            };
            if let Some(parted) = parted {
                self.give_last();
                return Ok(Some(parted));
            }
        }
    }

    async fn next(&mut self) -> Wake {
        let has_input = self.size.is_some() || !self.unread.is_empty();
        tokio::select! {
            signal = self.signals.next() => signal,
            typed = self.keys.typed.recv() => Wake::Typed(typed),
            room = self.input.clone().reserve_owned(), if has_input => Wake::Room(room.ok()),
            bytes = self.written.recv() => Wake::Written(bytes),
        }
    }

    /// Takes what was typed; by the key it is let go.
    fn take(&mut self, typed: &[u8]) -> Option<Parted> {
        let end = self.detach.find(typed);
        let before = typed.get(..end.unwrap_or(typed.len())).unwrap_or_default();
        if self.unread.len() + before.len() <= UNREAD {
            self.unread.extend_from_slice(before);
        }
        end.map(|_| Parted::LetGo)
    }

    fn measure(&mut self) {
        if let Ok((cols, rows)) = crossterm::terminal::size() {
            self.size = Some((rows, cols));
        }
    }

    /// What was typed just before the key.
    fn give_last(&mut self) {
        if !self.unread.is_empty() {
            // An error means that the service has ended, or takes no more.
            let _ended = self.input.try_send(TtyInput::Bytes(std::mem::take(&mut self.unread)));
        }
    }

    /// The service takes no more input: what it wrote last.
    async fn show_rest(&mut self, raw: &mut Raw) -> io::Result<Option<Parted>> {
        while let Some(bytes) = self.written.recv().await {
            raw.show(&bytes)?;
        }
        Ok(None)
    }
}

fn run_of(snapshot: &Arc<Snapshot>, service: &ServiceId) -> Option<RunId> {
    snapshot.service(service).and_then(|view| view.phase.run())
}

/// Whether it was the service that ended or the engine.
async fn who_ended(handle: &Handle, service: &ServiceId, run: Option<RunId>) -> Parted {
    let (mut link, mut snapshots) = (handle.link.clone(), handle.snapshots.clone());
    let known = async {
        tokio::select! {
            lost = link.wait_for(|link| matches!(link, Link::Retrying { .. })) => {
                // An error means that the engine has ended, which was in this process.
                drop(lost);
                Parted::EngineGone
            }
            ended = snapshots.wait_for(|snapshot| run_of(snapshot, service) != run) => {
                if ended.is_ok() { Parted::Ended } else { Parted::EngineGone }
            }
        }
    };
    tokio::time::timeout(KNOWN_WITHIN, known).await.unwrap_or(Parted::Ended)
}
