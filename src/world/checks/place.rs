//! Files and directories that a check names, opened so that nobody can lead elsewhere. Never: follows a symbolic link below where it begins;
//! reads more of a file than it may.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Component, Path},
    time::UNIX_EPOCH,
};

use rustix::fs::{FileType, Mode, OFlags, Stat};

use crate::model::exam::Trouble;

/// Opens a directory: from `within` down without following any link; with none, from the root of the file system down.
///
/// # Errors
/// As of the system; `InvalidInput` where the path leads out.
pub(super) fn directory(within: Option<&Path>, path: &Path) -> io::Result<OwnedFd> {
    let base = within.unwrap_or_else(|| Path::new("/"));
    let below = path.strip_prefix(base).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut open = rustix::fs::open(base, flags, Mode::empty())?;
    for part in below.components() {
        let Component::Normal(name) = part else { return Err(io::ErrorKind::InvalidInput.into()) };
        open = rustix::fs::openat(&open, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(open)
}

/// What is wrong with a path, in words.
pub(super) fn trouble(path: &Path, error: &io::Error) -> Trouble {
    let shown = path.display();
    Trouble::Foreign(match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
            format!(
                "{shown} is no directory, or a symbolic link leads there, which is not followed: write the real path"
            )
        }
        Some(rustix::io::Errno::NOENT) => format!("there is no {shown}"),
        _ => format!("{shown} cannot be looked at: {error}"),
    })
}

/// Microseconds since 1970 at which a file was changed.
pub(super) fn changed(stat: &Stat) -> i64 {
    let below = i64::try_from(stat.st_mtime_nsec / 1000).unwrap_or(0);
    stat.st_mtime.saturating_mul(1_000_000).saturating_add(below)
}

/// Whether it is an ordinary file.
pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// All of a file of at most `most` bytes.
pub(super) fn read_file(path: &Path, most: usize) -> Result<Vec<u8>, Trouble> {
    read_file_with_time(path, most).map(|(bytes, _)| bytes)
}

/// The same with when it was changed.
pub(super) fn read_file_with_time(path: &Path, most: usize) -> Result<(Vec<u8>, i64), Trouble> {
    // A FIFO that nobody writes to is not waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let open = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| trouble(path, &error.into()))?;
    let mut file = File::from(open);
    let about = file.metadata().map_err(|error| trouble(path, &error))?;
    if !about.is_file() {
        return Err(Trouble::Foreign(format!("{} is not a file", path.display())));
    }
    let changed = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let changed = changed.and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or(0);
    let bytes = read(&mut file, most).map_err(|error| trouble(path, &error))?;
    let bytes = bytes.ok_or_else(|| Trouble::Foreign(format!("{} has more than {most} bytes", path.display())))?;
    Ok((bytes, changed))
}

/// All of it; none where it has more than `most` bytes.
pub(super) fn read(file: &mut File, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let allowed = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(allowed).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}
