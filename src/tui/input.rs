//! Keys and mouse from the terminal, read on a thread of their own so that nothing ever waits for them, and a watch that
//! notices when the terminal is gone.
//!
//! crossterm 0.29 spins for ever in its reader when the terminal vanishes while SIGHUP is ignored: so it is only called when
//! there is something to read, and a second thread waits for the hang-up alone. Its reader on mio forgets keys that come
//! together with SIGWINCH until the next key (it waits for edges and drops one): so it is built with `use-dev-tty`, on poll(2).

use std::{
    fs::File,
    io::{self, IsTerminal},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread::JoinHandle,
    time::Duration,
};

use crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

/// Events that may wait; more make the reader wait, and the terminal keeps them (back-pressure).
const CAPACITY: usize = 256;

/// What the terminal says.
#[derive(Debug)]
pub(crate) enum FromTerminal {
    /// A key, the mouse, a paste.
    Event(Event),
    /// It is gone: nobody will ever type again.
    Lost,
}

/// The reader, until it is dropped.
pub(crate) struct Input {
    events: mpsc::Receiver<FromTerminal>,
    stop: Option<OwnedFd>,
    reader: Option<JoinHandle<()>>,
}

/// The terminal that keys come from: standard input, as crossterm has it, else the controlling one.
fn keyboard() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return stdin.as_fd().try_clone_to_owned();
    }
    Ok(File::options().read(true).write(true).open("/dev/tty")?.into())
}

impl Input {
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, events) = mpsc::channel(CAPACITY);
        let (stopped, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let tty = keyboard()?;
        let watched = tty.try_clone()?;
        let watched_stop = stopped.try_clone()?;
        let watcher = sender.clone();
        let reader = std::thread::Builder::new().name("tui-input".to_owned()).spawn(move || {
            read(&sender, tty.as_fd(), stopped.as_fd());
        })?;
        // Ends with the reader's pipe; never joined, because it has nothing to finish.
        let _watch = std::thread::Builder::new().name("tui-watch".to_owned()).spawn(move || {
            watch(&watcher, watched.as_fd(), watched_stop.as_fd());
        })?;
        Ok(Self { events, stop: Some(stop), reader: Some(reader) })
    }

    /// The next news; none never comes while the reader lives, so it means lost.
    pub(crate) async fn next(&mut self) -> FromTerminal {
        self.events.recv().await.unwrap_or(FromTerminal::Lost)
    }

    /// Ends the reader, so that another program can have the keys.
    pub(crate) fn stop(mut self) {
        self.stop.take();
        // The reader may be waiting for room in the channel.
        self.events.close();
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has ended as well.
            let _ended = reader.join();
        }
    }
}

/// True where waiting makes sense; false where it is over.
fn wait(tty: BorrowedFd<'_>, stopped: BorrowedFd<'_>, wanted: PollFlags) -> Option<PollFlags> {
    loop {
        let mut both = [PollFd::from_borrowed_fd(tty, wanted), PollFd::from_borrowed_fd(stopped, PollFlags::IN)];
        match poll(&mut both, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
            Ok(_) if !both[1].revents().is_empty() => return None,
            Ok(_) => return Some(both[0].revents()),
        }
    }
}

/// Waits for something typed on `tty`; false where waiting is over, or the terminal gone.
pub(crate) fn wait_for_keys(tty: BorrowedFd<'_>, stopped: BorrowedFd<'_>) -> bool {
    wait(tty, stopped, PollFlags::IN)
        .is_some_and(|ready| !ready.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL))
}

fn read(to: &mpsc::Sender<FromTerminal>, tty: BorrowedFd<'_>, stopped: BorrowedFd<'_>) {
    while let Some(ready) = wait(tty, stopped, PollFlags::IN) {
        if ready.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            // An error means that nobody listens any more.
            let _told = to.blocking_send(FromTerminal::Lost);
            return;
        }
        // What crossterm holds as one unfinished sequence makes it wait a little, not spin.
        let mut patience = Duration::from_millis(20);
        while let Ok(true) = event::poll(patience) {
            // Not zero: then it would not even look at what it has read already.
            patience = Duration::from_millis(1);
            let Ok(event) = event::read() else { break };
            if to.blocking_send(FromTerminal::Event(event)).is_err() {
                return;
            }
        }
    }
}

fn watch(to: &mpsc::Sender<FromTerminal>, tty: BorrowedFd<'_>, stopped: BorrowedFd<'_>) {
    if let Some(ready) = wait(tty, stopped, PollFlags::empty())
        && ready.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
    {
        let _told = to.blocking_send(FromTerminal::Lost);
    }
}
