//! SIGINT and SIGTERM as messages. Never ends the process: whoever listens decides what the first and the second mean.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// SIGINT: Ctrl-C.
    Int,
    /// SIGTERM.
    Term,
}

/// Interrupts that may wait to be heard; more are dropped, since two already mean "at once".
const CAPACITY: usize = 4;

/// Listens from now on, until the receiver is dropped. Must be called within a runtime.
///
/// # Errors
/// The signals cannot be caught.
pub fn listen() -> io::Result<mpsc::Receiver<Interrupt>> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let (sender, receiver) = mpsc::channel(CAPACITY);
    tokio::spawn(async move {
        loop {
            let interrupt = tokio::select! {
                Some(()) = int.recv() => Interrupt::Int,
                Some(()) = term.recv() => Interrupt::Term,
                () = sender.closed() => return,
            };
            // Full: it was heard often enough.
            let _full = sender.try_send(interrupt);
        }
    });
    Ok(receiver)
}
