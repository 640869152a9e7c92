//! Deliveries that failed: a directory with one JSON file each. Never: follows a symbolic link; moves a file over another.

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString},
    fs::File,
    io,
    os::fd::OwnedFd,
    path::Path,
};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use serde::Deserialize;

use super::place;
use crate::model::exam::Trouble;

/// Most entries of the directory that are looked at.
const ENTRIES: usize = 100_000;
/// Most bytes of a delivery.
const MOST: usize = 1 << 20;
/// Where delivered ones go.
const DONE: &CStr = c"done";

/// A directory of them, open.
pub(super) struct Letters {
    open: OwnedFd,
    /// The oldest first.
    pub(super) waiting: Vec<Letter>,
}

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) name: CString,
    /// When it was written, microseconds since 1970.
    pub(super) changed: i64,
}

/// What it says.
#[derive(Debug, Deserialize)]
pub(super) struct Delivery {
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    body: serde_json::Value,
}

impl Delivery {
    /// The bytes to be sent: a text as it is, anything else as JSON.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match &self.body {
            serde_json::Value::String(text) => text.clone().into_bytes(),
            serde_json::Value::Null => Vec::new(),
            other @ (serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_)) => other.to_string().into_bytes(),
        }
    }
}

impl Letters {
    /// Opens a directory and lists it; one that is not there has none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Trouble> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(open) => open,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(place::trouble(path, &error.into())),
        };
        let mut waiting = Vec::new();
        let entries = Dir::read_from(&open).map_err(|error| place::trouble(path, &error.into()))?;
        for entry in entries.flatten().take(ENTRIES) {
            let name = entry.file_name();
            if !name.to_bytes().ends_with(b".json") || name.to_bytes().starts_with(b".") {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(&open, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if place::is_file(&stat) {
                waiting.push(Letter { name: name.to_owned(), changed: place::changed(&stat) });
            }
        }
        waiting.sort_by(|a, b| (a.changed, &a.name).cmp(&(b.changed, &b.name)));
        Ok(Some(Self { open, waiting }))
    }

    /// Reads one.
    pub(super) fn read(&self, letter: &Letter) -> Result<Delivery, String> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let open = rustix::fs::openat(&self.open, letter.name.as_c_str(), flags, Mode::empty())
            .map_err(|error| error.to_string())?;
        let bytes = place::read(&mut File::from(open), MOST).map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or_else(|| format!("has more than {MOST} bytes"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("is no delivery in JSON: {error}"))
    }

    /// Moves one that was delivered to `done`.
    pub(super) fn finish(&self, letter: &Letter) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.open, DONE, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let done = rustix::fs::openat(&self.open, DONE, flags, Mode::empty())?;
        let mut name = letter.name.clone();
        for number in 1..1000 {
            let moved = rustix::fs::renameat_with(
                &self.open,
                letter.name.as_c_str(),
                &done,
                name.as_c_str(),
                RenameFlags::NOREPLACE,
            );
            match moved {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::EXIST) => {
                    let mut bytes = letter.name.to_bytes().to_vec();
                    bytes.extend(format!(".{number}").bytes());
                    name = CString::new(bytes)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}
