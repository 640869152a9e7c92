//! The one place with unsafe code: what a child does between fork and exec. Never allocates, locks or logs there.

use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use tokio::process::Command;

/// Lets the child lead a session of its own (no controlling terminal, a group of its own), and closes what we were
/// started with beyond the three standard descriptors, so that no service holds a lock or pipe of our parent's.
#[expect(unsafe_code, reason = "std has no stable setsid; the closure makes system calls only")]
pub(super) fn lead_session(command: &mut Command, inherited: Vec<RawFd>) {
    let in_child = move || {
        rustix::process::setsid()?;
        for number in &inherited {
            // SAFETY: borrowed for two calls that take any number; where it is open nothing but its flag changes.
            let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
            if fcntl_getfd(descriptor).is_ok() {
                fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
            }
        }
        Ok(())
    };
    // SAFETY: setsid, and fcntl on numbers above 2, are async-signal-safe; the closure neither allocates nor locks.
    unsafe {
        command.pre_exec(in_child);
    }
}
