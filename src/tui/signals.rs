//! Signals as news for the loop. Never ends the process by itself.

use std::io;

use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that end the console, change the window or bring it back.
pub(crate) struct Signals {
    term: Signal,
    hup: Signal,
    int: Signal,
    winch: Signal,
    pub(crate) cont: Signal,
}

/// SIGHUP.
pub(crate) const HANGUP: i32 = 1;

/// Whether the terminal answers: one that was closed does not any more, from before it sends SIGHUP on.
pub(crate) fn terminal_is_there() -> bool {
    rustix::termios::tcgetattr(rustix::stdio::stdin()).is_ok()
}

/// What a signal says.
pub(crate) enum Woken {
    /// It asks to end: its number.
    Signal(i32),
    Resized,
    Continued,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
            int: signal(SignalKind::interrupt())?,
            winch: signal(SignalKind::window_change())?,
            cont: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }

    /// The signal that has come and asks to end, if one has.
    pub(crate) fn ending(&mut self) -> Option<i32> {
        loop {
            match self.next().now_or_never()? {
                Woken::Signal(number) => return Some(number),
                Woken::Resized | Woken::Continued => {}
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Woken {
        tokio::select! {
            _ = self.term.recv() => Woken::Signal(SignalKind::terminate().as_raw_value()),
            _ = self.hup.recv() => Woken::Signal(SignalKind::hangup().as_raw_value()),
            _ = self.int.recv() => Woken::Signal(SignalKind::interrupt().as_raw_value()),
            _ = self.winch.recv() => Woken::Resized,
            _ = self.cont.recv() => Woken::Continued,
        }
    }
}
