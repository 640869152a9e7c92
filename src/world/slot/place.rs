//! The directory of a slot. Never trusts one that others may write to, never follows a link in it.

use std::{
    fs::{self, DirBuilder},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::Path,
};

use rustix::fs::{Mode, OFlags};

use crate::shim_format::ExitFile;

/// A state or exit file is never longer.
const RECORD_BYTES: u64 = 4096;

/// Makes the slot's directory, 0700, where it is not there.
///
/// # Errors
/// A sentence.
pub(in crate::world) fn make(slot: &Path) -> Result<(), String> {
    let shown = slot.display();
    let cannot = |error: io::Error| format!("no place for its shim and logs: {shown}: {error}");
    match fs::symlink_metadata(slot) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(slot).map_err(cannot)?;
            make(slot)
        }
        Err(error) => Err(cannot(error)),
        Ok(metadata) if !metadata.is_dir() => Err(format!("{shown} is not a directory: refused as place for logs")),
        Ok(metadata) if metadata.uid() != rustix::process::geteuid().as_raw() => {
            Err(format!("{shown} belongs to another user: refused as place for logs"))
        }
        Ok(metadata) if metadata.mode() & 0o022 != 0 => {
            Err(format!("{shown} may be written by other users: refused as place for logs (chmod 700 would mend it)"))
        }
        Ok(_) => Ok(()),
    }
}

/// Opens the directory, for what is named below it.
///
/// # Errors
/// Those of open(2).
pub(super) fn open(slot: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(slot, flags, Mode::empty())?)
}

/// A FIFO of the slot, open both ways: while we hold it, what is in it stays. None where there is none of ours.
pub(super) fn hold_fifo(slot: impl AsFd, name: &str) -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fifo = rustix::fs::openat(slot, name, flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&fifo).ok()?;
    let is_fifo = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo;
    (is_fifo && stat.st_uid == rustix::process::geteuid().as_raw()).then_some(fifo)
}

fn record(slot: &Path, name: &str) -> Option<String> {
    let directory = open(slot).ok()?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::File::from(rustix::fs::openat(directory, name, flags, Mode::empty()).ok()?);
    let mut bytes = Vec::new();
    file.take(RECORD_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of the slot's `state`, damaged or not.
pub(super) fn state(slot: &Path) -> Option<String> {
    record(slot, "state")
}

/// How the last run that ended did, where that is known.
pub(super) fn exit(slot: &Path) -> Option<ExitFile> {
    ExitFile::parse(&record(slot, "exit")?)
}

/// True where a shim may listen in the slot.
pub(super) fn has_socket(slot: &Path) -> bool {
    fs::symlink_metadata(slot.join("ctl.sock")).is_ok()
}
