//! Pipes, for what is asked of a command and answered on the spot. Never waits.

use std::{io, os::fd::OwnedFd};

use tokio::net::unix::pipe;

/// A pipe: our end, and the one for the child.
pub(in crate::world) fn open_pipe() -> io::Result<(pipe::Receiver, OwnedFd)> {
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((pipe::Receiver::from_owned_fd(ours)?, theirs))
}

/// What is in a pipe right now, read past the runtime: it may not have heard of it yet. At most what was there when the
/// reading began, so that a writer who goes on cannot hold us; true where the pipe has ended.
pub(in crate::world) fn read_what_is_there(pipe: &pipe::Receiver, buffer: &mut Vec<u8>) -> bool {
    let mut waiting = rustix::io::ioctl_fionread(pipe).unwrap_or(0) as usize;
    loop {
        buffer.reserve(waiting.max(1));
        match rustix::io::read(pipe, rustix::buffer::spare_capacity(buffer)) {
            Ok(0) => return true,
            Ok(read) if read < waiting => waiting -= read,
            Ok(_) | Err(rustix::io::Errno::AGAIN) => return false,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}
