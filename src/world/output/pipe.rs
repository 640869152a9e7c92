//! Pipes, for what is asked of a command and answered on the spot.

use std::{io, os::fd::OwnedFd, time::Duration};

use tokio::{net::unix::pipe, process::Child};

/// So much is read at once.
const AT_ONCE: usize = 4096;
/// A command that even SIGKILL does not end is waited for in the background after so long.
const LAST_WAIT: Duration = Duration::from_secs(1);

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

/// What a command writes, as it comes; whoever reads decides what is kept.
pub(in crate::world) struct Spout(Option<pipe::Receiver>);

impl Spout {
    pub(in crate::world) const fn new(pipe: pipe::Receiver) -> Self {
        Self(Some(pipe))
    }

    /// Comes when there is something to read; never after the end.
    pub(in crate::world) async fn readable(&self) {
        match &self.0 {
            // An error is found again by the read that follows.
            Some(pipe) => drop(pipe.readable().await),
            None => std::future::pending().await,
        }
    }

    /// What has come; empty where nothing has, and after the end.
    pub(in crate::world) fn read(&mut self) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(AT_ONCE);
        let Some(pipe) = &self.0 else { return buffer };
        match pipe.try_read_buf(&mut buffer) {
            Ok(1..) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Ok(0) | Err(_) => self.0 = None,
        }
        buffer
    }

    /// What is there right now, past the runtime.
    pub(in crate::world) fn drain(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        if let Some(pipe) = &self.0 {
            read_what_is_there(pipe, &mut buffer);
        }
        buffer
    }
}

/// Waits for a command that was ended, in the background where it takes too long.
pub(in crate::world) async fn wait_for(mut child: Child) {
    if tokio::time::timeout(LAST_WAIT, child.wait()).await.is_err() {
        tokio::spawn(async move {
            // However it ends, it is waited for.
            let _status = child.wait().await;
        });
    }
}
