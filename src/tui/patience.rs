//! A terminal that takes nothing (a link that hangs, Ctrl-S) holds whoever writes to it in write(2), where no signal is seen.
//!
//! Promise: asked to end by a signal, this process ends all the same: from then on a write to the terminal fails instead of waiting.
//! Never: touches a terminal that another program has just now, or leaves one that way behind.

use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Signal, getpid, kill_process},
};
use tokio::signal::unix::{SignalKind, signal};

/// Whoever is not held has ended, or is about to, so soon after the signal.
const PATIENCE: Duration = Duration::from_millis(500);

/// Another program has the terminal.
static LENT: AtomicBool = AtomicBool::new(false);

/// Writes fail instead of waiting.
static IMPATIENT: AtomicBool = AtomicBool::new(false);

/// Standard output without a buffer: what a terminal did not take is not tried again at the end of the process.
pub(crate) struct Direct;

impl Write for Direct {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The terminal is another program's, until this is dropped.
pub(crate) struct Lent;

impl Lent {
    pub(crate) fn now() -> Self {
        LENT.store(true, Ordering::SeqCst);
        Self
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        LENT.store(false, Ordering::SeqCst);
    }
}

/// Looks for signals that ask this process to end, until it has. SIGWINCH must have a handler by now. Where it hosts an engine, SIGHUP from a terminal
/// that is there is none of them: it has files read again.
pub(crate) fn watch(hosts: bool) -> io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut hup = signal(SignalKind::hangup())?;
    let mut int = signal(SignalKind::interrupt())?;
    drop(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = hup.recv() => if !(hosts && super::signals::terminal_is_there()) { break },
                _ = int.recv() => break,
            }
        }
        loop {
            tokio::time::sleep(PATIENCE).await;
            if !LENT.load(Ordering::SeqCst) {
                hurry();
            }
        }
    }));
    Ok(())
}

/// Has writes fail, and wakes the one that waits: the kernel gives a signal for a process to its first thread, where the console draws, and a write
/// that is taken up again after the handler looks at the flag again.
fn hurry() {
    IMPATIENT.store(true, Ordering::SeqCst);
    set_nonblocking(true);
    // An error cannot be: the process is there.
    let _woken = kill_process(getpid(), Signal::WINCH);
}

/// Gives the terminal back as it was when it is dropped: a shell in it would stumble over writes that fail. To be dropped after everything that
/// may still write.
#[derive(Debug)]
pub struct Patience;

impl Drop for Patience {
    fn drop(&mut self) {
        if IMPATIENT.swap(false, Ordering::SeqCst) {
            set_nonblocking(false);
        }
    }
}

fn set_nonblocking(wanted: bool) {
    for out in [io::stdout().as_fd(), io::stderr().as_fd()] {
        if !out.is_terminal() {
            continue;
        }
        // An error means that it is gone: writes fail anyway.
        if let Ok(flags) = fcntl_getfl(out) {
            let flags = if wanted { flags | OFlags::NONBLOCK } else { flags - OFlags::NONBLOCK };
            let _set = fcntl_setfl(out, flags);
        }
    }
}
