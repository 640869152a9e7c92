//! What is asked of a thread that waits for files to change, and the bell that wakes it. Never: waits itself.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::event::{EventfdFlags, eventfd};

/// A bell, with what its thread is asked. It can be read while it rings.
#[derive(Debug)]
pub(in crate::world) struct Bell<T> {
    asked: Mutex<T>,
    descriptor: OwnedFd,
}

impl<T: Default> Bell<T> {
    /// Nothing is asked.
    ///
    /// # Errors
    /// The descriptor could not be made.
    pub(in crate::world) fn new() -> io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { asked: Mutex::default(), descriptor })
    }
}

impl<T> Bell<T> {
    /// Asks for something, and wakes the thread.
    pub(in crate::world) fn ask(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.asked());
        // It can only fail where it rings already.
        let _rings = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
    }

    /// What is asked.
    pub(in crate::world) fn asked(&self) -> MutexGuard<'_, T> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was heard, and is silent again.
    pub(in crate::world) fn hush(&self) {
        // Empty is as good as read.
        let _rung = rustix::io::read(&self.descriptor, &mut [0_u8; 8]);
    }
}

impl<T> AsFd for Bell<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
