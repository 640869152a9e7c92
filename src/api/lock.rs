//! One engine per project, one daemon per user: whoever holds the lock is it. Promise: the lock is the truth, whatever stands in it and
//! whatever lies where its socket belongs. Never: follows a symbolic link, writes into a file of somebody else, or takes away a socket
//! without holding its lock.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, openat, statat, unlinkat},
    io::Errno,
};

/// Bytes of a lock file that are looked at.
const TEXT_LIMIT: u64 = 4096;

/// Bytes that the path of a socket may have (unix(7)).
const LONGEST_SOCKET: usize = 107;

/// The lock, held until dropped (or until the process ends, however it ends).
#[derive(Debug)]
pub struct Lock {
    file: File,
    socket: PathBuf,
    place: Place,
}

/// Where the holder listens.
#[derive(Debug)]
enum Place {
    /// On the socket beside the lock, which is in this directory and is the holder's to make and to remove.
    Beside(OwnedFd),
    /// On a socket that another lock protects.
    Elsewhere,
}

/// What came of the attempt to take the lock.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours: no other engine runs for this project.
    Taken(Lock),
    /// Another engine holds it.
    Held {
        /// Its process, if it wrote it down. For people only.
        pid: Option<u32>,
        /// Where it listens, if it wrote it down: an absolute path. Whoever connects checks who answers there.
        socket: Option<PathBuf>,
    },
}

impl Lock {
    /// Tries to become the engine that listens on `socket`, by the lock beside it (`NAME.lock` of `NAME.sock`); a stale socket is
    /// removed once the lock is held.
    ///
    /// # Errors
    /// As [`Lock::take_for`].
    pub fn take(socket: &Path) -> io::Result<Attempt> {
        Self::take_for(&socket.with_extension("lock"), socket)
    }

    /// Tries to take the lock at `lock_path` for an engine that listens on `serving`. Where that is not the socket beside the lock,
    /// nothing is done to it: its own lock protects it.
    ///
    /// # Errors
    /// Those of the file system, with the path. A symbolic link or anything else that was planted in the place of the lock or of
    /// the socket is refused, and so is a directory of somebody else or one that others can write into.
    pub fn take_for(lock_path: &Path, serving: &Path) -> io::Result<Attempt> {
        let directory = open_directory(lock_path.parent().unwrap_or(Path::new(".")))?;
        let mut file = open_lock(&directory, lock_path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(read_holder(&mut file)),
            Err(error) => {
                return Err(about(lock_path, &io::Error::from(error).to_string(), io::Error::from(error).kind()));
            }
        }
        let beside = lock_path.with_extension("sock") == serving;
        let place = if beside {
            remove_stale(&directory, serving)?;
            Place::Beside(directory)
        } else {
            Place::Elsewhere
        };
        write_holder(&mut file, serving)?;
        Ok(Attempt::Taken(Self { file, socket: serving.to_owned(), place }))
    }

    /// The socket that the holder listens on.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Best effort: the next engine removes a stale socket, and the lock itself ends with the descriptor.
        if let (Place::Beside(directory), Some(name)) = (&self.place, self.socket.file_name()) {
            let _gone = unlinkat(directory, name, AtFlags::empty());
        }
        let _empty = self.file.set_len(0);
    }
}

/// What the holder wrote: its process and its socket, a line each. Garbage says nothing, and the lock is held all the same.
fn read_holder(file: &mut File) -> Attempt {
    let mut bytes = Vec::new();
    let _read = file.take(TEXT_LIMIT).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let pid = lines.next().and_then(|line| line.trim().parse().ok());
    let usable = |path: &&str| {
        path.starts_with('/')
            && path.len() <= LONGEST_SOCKET
            && !path.contains(|c: char| c.is_control() || c == '\u{fffd}')
    };
    let socket = pid.and(lines.next()).filter(usable).map(PathBuf::from);
    Attempt::Held { pid, socket }
}

/// Written over what stood there and only then cut, so that a reader never finds it empty.
fn write_holder(file: &mut File, serving: &Path) -> io::Result<()> {
    let mut text = format!("{}\n", std::process::id()).into_bytes();
    text.extend_from_slice(serving.as_os_str().as_encoded_bytes());
    text.push(b'\n');
    file.rewind()?;
    file.write_all(&text)?;
    file.set_len(text.len() as u64)
}

/// An error that names the path.
fn about(path: &Path, what: &str, kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, format!("{}: {what}", path.display()))
}

fn refused(path: &Path, what: &str) -> io::Error {
    about(path, what, io::ErrorKind::PermissionDenied)
}

/// The directory of a lock, checked: ours (or root's), nobody else's to write into, and no symbolic link.
pub(super) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        Errno::LOOP => refused(path, "is a symbolic link where a directory of yours belongs: remove it"),
        // With O_DIRECTORY a symbolic link is "not a directory", too.
        Errno::NOTDIR => refused(path, "is not a directory (or a symbolic link to one): remove it"),
        other => about(path, &io::Error::from(other).to_string(), io::Error::from(other).kind()),
    })?;
    let found = fstat(&directory)?;
    let own = rustix::process::geteuid().as_raw();
    if found.st_uid != own && found.st_uid != 0 {
        return Err(refused(path, &format!("belongs to another user (uid {}): remove it", found.st_uid)));
    }
    if found.st_mode & 0o022 != 0 {
        return Err(refused(
            path,
            &format!("others can write into it (mode {:03o}): chmod go-w", found.st_mode & 0o777),
        ));
    }
    Ok(directory)
}

fn open_lock(directory: &OwnedFd, path: &Path) -> io::Result<File> {
    let name = path.file_name().ok_or_else(|| refused(path, "is not the name of a file"))?;
    // O_NONBLOCK: a FIFO that was planted there must not hold us up.
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR).map_err(|error| match error {
        Errno::LOOP => refused(path, "is a symbolic link where a lock belongs: remove it"),
        other => about(path, &io::Error::from(other).to_string(), io::Error::from(other).kind()),
    })?;
    let found = fstat(&file)?;
    check_ours(path, &found)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(refused(path, "is not a file where a lock belongs: remove it"));
    }
    if found.st_nlink > 1 {
        return Err(refused(path, "has another name besides (a hard link): remove it"));
    }
    Ok(File::from(file))
}

fn check_ours(path: &Path, found: &Stat) -> io::Result<()> {
    if found.st_uid == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(refused(path, &format!("belongs to another user (uid {}): remove it", found.st_uid)))
}

/// Takes away what a killed engine, or a power cut, left in the place of the socket. What was planted there is refused.
pub(super) fn remove_stale(directory: &OwnedFd, socket: &Path) -> io::Result<()> {
    let name = socket.file_name().ok_or_else(|| refused(socket, "is not the name of a file"))?;
    let found = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(about(socket, &io::Error::from(error).to_string(), io::Error::from(error).kind())),
    };
    check_ours(socket, &found)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Socket | FileType::RegularFile => Ok(unlinkat(directory, name, AtFlags::empty())?),
        FileType::Symlink => Err(refused(socket, "is a symbolic link where a socket belongs: remove it")),
        FileType::Directory
        | FileType::Fifo
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(refused(socket, "is not a socket where one belongs: remove it")),
    }
}
