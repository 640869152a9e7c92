//! What takes long and disturbs nobody: the check of the whole database, and the daily backup of one that is whole. On a thread
//! and a connection of their own.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, TryRecvError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, InterruptHandle, OpenFlags};

use super::{backup, fault::StoreError, open};

/// What came of it.
pub(super) type Outcome = Result<(), StoreError>;

/// The work under way. Dropping it ends it.
pub(super) struct Chore {
    outcome: Receiver<Outcome>,
    interrupt: InterruptHandle,
    unwanted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Chore {
    /// Begins; none where the database cannot be opened or a thread not made.
    pub(super) fn begin(path: &Path) -> Option<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).ok()?;
        db.busy_timeout(open::BUSY).ok()?;
        let interrupt = db.get_interrupt_handle();
        let unwanted = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&unwanted);
        let (done, outcome) = mpsc::channel();
        let path = path.to_owned();
        let work = move || {
            let mut result = open::full_check(&path, &db);
            if result.is_ok() && !stop.load(Ordering::Relaxed) && backup::has_room(&path) {
                result = backup::make(&path, &db);
            }
            // An error means that nobody wants to know.
            let _unwanted = done.send(result);
        };
        let thread = thread::Builder::new().name("cas-store-check".to_owned()).spawn(work).ok()?;
        Some(Self { outcome, interrupt, unwanted, thread: Some(thread) })
    }

    /// What came of it, if it is over.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Ok(())),
        }
    }
}

impl Drop for Chore {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
        loop {
            // Again and again: between two statements it has no effect.
            self.interrupt.interrupt();
            match self.outcome.recv_timeout(Duration::from_millis(10)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(_) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the hook.
            let _ended = thread.join();
        }
    }
}
