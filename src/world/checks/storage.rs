//! What files take, and those that are not to be kept. Never: follows a symbolic link, leaves a file system, or removes what it has not just
//! seen to be an ordinary file beyond the policy.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::{blocking, place};
use crate::{
    model::{
        exam::{Grade, Measure, Reading, Trouble},
        hooks::HookOutcome,
        own::{Keep, Storage, figures},
    },
    world::{clock, kinds::body::quoted},
};

/// Most entries that are looked at below all paths of a check.
const ENTRIES: usize = 200_000;
/// Deepest directory.
const DEEPEST: usize = 64;
/// Names that are told of files beyond what is kept.
const NAMED: usize = 5;
/// Most files that one clean-up removes.
const REMOVED: usize = 10_000;
/// What was changed so lately is kept whatever the policy says: it may still be written.
const FRESH: Duration = Duration::from_mins(1);

/// An ordinary file below a path.
#[derive(Debug, Clone)]
struct Seen {
    /// Directories from the path down to it.
    within: PathBuf,
    name: CString,
    size: u64,
    /// Microseconds since 1970.
    changed: i64,
    device: u64,
    number: u64,
}

impl Seen {
    fn shown(&self) -> String {
        self.within.join(self.name.to_string_lossy().as_ref()).display().to_string()
    }
}

/// What is below one path.
#[derive(Debug, Default)]
struct Below {
    bytes: u64,
    files: Vec<Seen>,
}

/// Size, and what is beyond the policy.
pub(super) async fn look(storage: &Storage) -> Result<Reading, Trouble> {
    let storage = storage.clone();
    blocking(move || measure(&storage)).await?
}

fn measure(storage: &Storage) -> Result<Reading, Trouble> {
    let (mut bytes, mut left) = (0_u64, ENTRIES);
    let mut beyond: Vec<Seen> = Vec::new();
    for path in &storage.paths {
        let below = below(storage, path, &mut left)?;
        bytes = bytes.saturating_add(below.bytes);
        beyond.extend(not_kept(storage.keep, below.files));
    }
    let mut reading = Reading::default();
    let size = Measure::new(figures::SIZE, bytes as f64);
    reading.measure(match storage.quota {
        Some(quota) => size.of(quota as f64),
        None => size,
    });
    if left == 0 {
        let sentence = format!(
            "there are more than {ENTRIES} files and directories: the rest was not looked at, and nothing is cleaned"
        );
        reading.remark("entries", Grade::Warning, sentence, Some("name smaller directories under paths"));
    }
    if storage.keep.is_some() {
        let mut figure = Measure::new(figures::BEYOND, beyond.len() as f64);
        if !beyond.is_empty() {
            figure = figure.about(list(&mut beyond));
        }
        reading.measure(figure);
    }
    Ok(reading)
}

/// `3.4 MiB, first a.log, b.log and 12 more`, oldest first.
fn list(beyond: &mut [Seen]) -> String {
    beyond.sort_by_key(|seen| seen.changed);
    let bytes: u64 = beyond.iter().map(|seen| seen.size).sum();
    let names: Vec<String> = beyond.iter().take(NAMED).map(Seen::shown).collect();
    let more = beyond.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    quoted(&format!("{bytes} bytes, oldest first {}{more}", names.join(", ")))
}

/// All below a path; `left` counts down to 0, where the rest is left out.
fn below(storage: &Storage, path: &Path, left: &mut usize) -> Result<Below, Trouble> {
    let root = place::directory(storage.within.as_deref(), path).map_err(|error| place::trouble(path, &error))?;
    let device = rustix::fs::fstat(&root).map_err(|error| place::trouble(path, &error.into()))?.st_dev;
    let mut below = Below::default();
    let mut waiting: Vec<(OwnedFd, PathBuf, usize)> = vec![(root, PathBuf::new(), 0)];
    while let Some((open, within, depth)) = waiting.pop() {
        let entries = Dir::read_from(&open).map_err(|error| place::trouble(path, &error.into()))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if *left == 0 {
                return Ok(below);
            }
            *left -= 1;
            // What is gone meanwhile is not there.
            let Ok(stat) = rustix::fs::statat(&open, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if stat.st_dev != device {
                continue;
            }
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Directory && depth < DEEPEST {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                if let Ok(inner) = rustix::fs::openat(&open, name, flags, Mode::empty()) {
                    waiting.push((inner, within.join(path_of(name)), depth + 1));
                }
            } else if kind == FileType::RegularFile {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                below.bytes = below.bytes.saturating_add(size);
                if storage.keep.is_some() {
                    below.files.push(Seen {
                        within: within.clone(),
                        name: name.to_owned(),
                        size,
                        changed: place::changed(&stat),
                        device: stat.st_dev,
                        number: stat.st_ino,
                    });
                }
            }
        }
    }
    Ok(below)
}

fn path_of(name: &CStr) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes()))
}

/// Files that a policy does not keep.
fn not_kept(keep: Option<Keep>, mut files: Vec<Seen>) -> Vec<Seen> {
    let now = clock::now().wall_us;
    let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
    match keep {
        None => return Vec::new(),
        Some(Keep::For(age)) => files.retain(|seen| seen.changed < before(age)),
        Some(Keep::Newest(count)) => {
            files.sort_by_key(|seen| std::cmp::Reverse(seen.changed));
            files.drain(..files.len().min(usize::try_from(count).unwrap_or(usize::MAX)));
        }
    }
    files.retain(|seen| seen.changed < before(FRESH));
    files
}

/// Removes the oldest files beyond the policy.
pub(super) async fn clean(storage: &Storage) -> (HookOutcome, Vec<String>) {
    let storage = storage.clone();
    match blocking(move || remove(&storage)).await {
        Ok(done) => done,
        Err(trouble) => (HookOutcome::Failed(trouble.to_string()), Vec::new()),
    }
}

fn remove(storage: &Storage) -> (HookOutcome, Vec<String>) {
    let (mut count, mut bytes, mut failed) = (0_usize, 0_u64, Vec::new());
    let mut left = ENTRIES;
    for path in &storage.paths {
        let below = match below(storage, path, &mut left) {
            Ok(below) => below,
            Err(trouble) => {
                failed.push(trouble.to_string());
                continue;
            }
        };
        if left == 0 {
            failed.push(format!("{} has more than {ENTRIES} entries: nothing of it is removed", path.display()));
            break;
        }
        let mut beyond = not_kept(storage.keep, below.files);
        beyond.sort_by_key(|seen| seen.changed);
        for seen in beyond.iter().take(REMOVED.saturating_sub(count)) {
            match remove_one(storage, path, seen) {
                Ok(true) => {
                    count += 1;
                    bytes += seen.size;
                }
                Ok(false) => {}
                Err(error) => failed.push(quoted(&format!("{}: {error}", seen.shown()))),
            }
        }
    }
    let mut output = vec![format!("{count} files of {bytes} bytes removed")];
    let why = failed.first().cloned();
    output.extend(failed.into_iter().take(10));
    match why {
        Some(why) => (HookOutcome::Failed(why), output),
        None => (HookOutcome::Passed, output),
    }
}

/// True where it was removed; false where it is gone or another one by now.
fn remove_one(storage: &Storage, path: &Path, seen: &Seen) -> io::Result<bool> {
    let open = place::directory(storage.within.as_deref(), &path.join(&seen.within))?;
    let Ok(stat) = rustix::fs::statat(&open, seen.name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) else { return Ok(false) };
    let is_same = place::is_file(&stat)
        && (stat.st_dev, stat.st_ino) == (seen.device, seen.number)
        && place::changed(&stat) == seen.changed;
    if is_same {
        rustix::fs::unlinkat(&open, seen.name.as_c_str(), AtFlags::empty())?;
    }
    Ok(is_same)
}
