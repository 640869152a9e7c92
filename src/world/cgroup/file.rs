//! Small files of the kernel's. Promise: one open, one read or write; errors name the file. Never follows a symbolic link in the last
//! component.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::Path,
};

use rustix::fs::{Mode, OFlags, open, statfs};

use super::hierarchy::{Controller, Version};

/// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC` (linux/magic.h).
const MAGIC: [u64; 2] = [0x0027_e0eb, 0x6367_7270];

/// Longest file that is read: `memory.stat` has some 3 KiB, `cgroup.procs` eight bytes a process.
const LONGEST: u64 = 1 << 20;

/// The error with the file's name.
pub(super) fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// True for a directory of the kernel's, where there are no symbolic links and nobody else's files.
pub(super) fn is_cgroup(dir: &Path, version: Version) -> bool {
    let magic = match version {
        Version::V1 => MAGIC[0],
        Version::V2 => MAGIC[1],
    };
    statfs(dir).is_ok_and(|found| found.f_type as u64 == magic)
}

/// Opens for reading.
pub(super) fn open_for_reading(path: &Path) -> Option<File> {
    let file: OwnedFd = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    Some(File::from(file))
}

/// Opens for reading and writing.
pub(super) fn open_for_both(path: &Path) -> Option<File> {
    let file: OwnedFd = open(path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    Some(File::from(file))
}

/// The text; none where there is no such file, or it cannot be read.
pub(super) fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    open_for_reading(path)?.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The first line of a file that is kept open, without its line feed, by one read; none where it is longer than that.
pub(super) fn first_line(file: &File) -> Option<String> {
    let mut bytes = [0; 64];
    let length = file.read_at(&mut bytes, 0).ok()?;
    let line = bytes.get(..length)?.split(|byte| *byte == b'\n').next().filter(|line| line.len() < length)?;
    Some(std::str::from_utf8(line).ok()?.to_owned())
}

/// The text of a file that is kept open.
pub(super) fn read_again(file: &File) -> Option<String> {
    let mut bytes = vec![0; 8192];
    let mut length = 0;
    loop {
        let more = file.read_at(&mut bytes[length..], length as u64).ok()?;
        length += more;
        if more == 0 || length as u64 >= LONGEST {
            break;
        }
        if length == bytes.len() {
            bytes.resize(length * 2, 0);
        }
    }
    bytes.truncate(length);
    String::from_utf8(bytes).ok()
}

/// The file's one number.
pub(super) fn number(path: &Path) -> Option<u64> {
    read(path)?.trim().parse().ok()
}

/// The number behind `key` in a text of lines `key number`.
pub(super) fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Writes a value in one write(2).
pub(super) fn write(path: &Path, value: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file: OwnedFd = open(path, flags, Mode::empty()).map_err(|error| named(path, &io::Error::from(error)))?;
    let length = File::from(file).write(value.as_bytes()).map_err(|error| named(path, &error))?;
    if length == value.len() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::WriteZero, format!("{}: a value was cut short", path.display())))
}

/// The controllers that a file of v2 lists.
pub(super) fn controllers(path: &Path) -> Vec<Controller> {
    read(path).unwrap_or_default().split_ascii_whitespace().filter_map(Controller::from_word).collect()
}

/// The process numbers that a file lists; 0 stands for one of another namespace, and is left out.
pub(super) fn pids(text: &str) -> impl Iterator<Item = u32> + '_ {
    text.lines().filter_map(|line| line.trim().parse().ok()).filter(|pid| *pid != 0)
}
