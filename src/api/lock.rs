//! One engine per project: whoever holds the lock is it. The lock is the truth; a socket file alone says nothing.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, OFlags, flock};

/// The lock, held until dropped (or until the process ends, however it ends).
#[derive(Debug)]
pub struct Lock {
    file: File,
    socket: PathBuf,
}

/// What came of the attempt to take the lock.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours: no other engine runs for this project.
    Taken(Lock),
    /// Another engine holds it.
    Held {
        /// Its process, if it wrote it down.
        pid: Option<u32>,
    },
}

impl Lock {
    /// Tries to become the engine that listens on `socket`; a stale socket file is removed once the lock is held.
    ///
    /// # Errors
    /// Those of the file system; a symbolic link in the place of the lock is refused.
    pub fn take(socket: &Path) -> io::Result<Attempt> {
        let path = socket.with_extension("lock");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits() | OFlags::CLOEXEC.bits()).unwrap_or(0))
            .open(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // What stands there is for people only; an unreadable file still means that the lock is held.
                let _read = file.read_to_string(&mut text);
                return Ok(Attempt::Held { pid: text.trim().parse().ok() });
            }
            Err(error) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        match std::fs::remove_file(socket) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Attempt::Taken(Self { file, socket: socket.to_owned() }))
    }

    /// The socket that the holder may bind.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Best effort: the next engine removes a stale socket, and the lock itself ends with the descriptor.
        let _gone = std::fs::remove_file(&self.socket);
        let _empty = self.file.set_len(0);
    }
}
