//! The one place with unsafe code: what a child does between fork and exec. Never allocates, locks or logs there.

use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use tokio::process::Command;

use crate::world::limits;

/// Lets the child lead a session of its own (no controlling terminal, a group of its own), and closes what we were
/// started with beyond the three standard descriptors, so that no service holds a lock or pipe of our parent's. `open_files` is
/// the soft limit that it gets, where ours is another.
#[expect(unsafe_code, reason = "std has no stable setsid; the closure makes system calls only")]
pub(super) fn lead_session(command: &mut Command, inherited: Vec<RawFd>, open_files: Option<u64>) {
    let in_child = move || {
        rustix::process::setsid()?;
        for number in &inherited {
            // SAFETY: borrowed for two calls that take any number; where it is open nothing but its flag changes.
            let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
            if fcntl_getfd(descriptor).is_ok() {
                fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
            }
        }
        if let Some(soft) = open_files {
            limits::set_open_files(soft);
        }
        Ok(())
    };
    // SAFETY: setsid, fcntl on numbers above 2, and prlimit are async-signal-safe; the closure neither allocates nor locks.
    unsafe {
        command.pre_exec(in_child);
    }
}
