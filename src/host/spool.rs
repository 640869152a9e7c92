//! Entries of the timeline on their way to the store. The store writes once a second; an engine that is killed before takes nothing
//! with it, for each entry is in a file first, and the next engine hands on what it finds there.
//!
//! Never waits for the disk to be sure: what the kernel has, a killed process does not take along.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::model::{time::Timestamp, timeline::Entry};

/// A line is never longer; one that is was not written by us.
const LONGEST: usize = 256 * 1024;

/// This engine's file.
#[derive(Debug)]
pub(super) struct Spool {
    file: Option<File>,
    /// Something is in it.
    used: bool,
}

/// What earlier engines left: entries, and the files to be removed when those are stored.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) entries: Vec<Entry>,
    files: Vec<(File, PathBuf)>,
}

impl Spool {
    /// Begins a file of its own in `dir`, and takes up what engines that are gone have left there. Without a file entries go to the store alone.
    pub(super) fn begin(dir: &Path, started: Timestamp) -> (Self, Left) {
        if let Err(error) = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir) {
            tracing::warn!(%error, "there is no spool for the timeline");
            return (Self { file: None, used: false }, Left::default());
        }
        let left = take_up(dir);
        let own = dir.join(format!("{}-{}.jsonl", started.wall_us, std::process::id()));
        let file = open(OpenOptions::new().create(true).append(true), &own).and_then(|file| {
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            Ok(file)
        });
        if let Err(error) = &file {
            tracing::warn!(%error, "there is no spool for the timeline");
        }
        (Self { file: file.ok(), used: false }, left)
    }

    /// Keeps an entry until [`Self::clear`].
    pub(super) fn keep(&mut self, entry: &Entry) {
        let Some(file) = &mut self.file else { return };
        let Ok(mut line) = serde_json::to_vec(entry) else { return };
        line.push(b'\n');
        // On a full disk it is in memory, as the rest of the store is.
        let _kept = file.write_all(&line);
        self.used = true;
    }

    /// Everything that was kept is in the database.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.used)
            && let Some(file) = &self.file
            && let Err(error) = file.set_len(0)
        {
            tracing::warn!(%error, "the spool of the timeline cannot be emptied");
        }
    }
}

impl Left {
    /// The entries are in the database.
    pub(super) fn forget(self) {
        for (_locked, path) in self.files {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "a spool cannot be removed");
            }
        }
    }
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    options.mode(0o600).custom_flags(i32::try_from(flags.bits()).unwrap_or(0)).open(path)
}

/// Reads the files that nobody holds.
fn take_up(dir: &Path) -> Left {
    let mut left = Left::default();
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(file) = open(OpenOptions::new().read(true), &path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let mut lines = BufReader::new(&file);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
            if line.len() <= LONGEST
                && let Ok(entry) = serde_json::from_slice(&line)
            {
                left.entries.push(entry);
            }
            line.clear();
        }
        left.files.push((file, path));
    }
    left
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::Spool;
    use crate::model::{
        policy::Origin,
        time::Timestamp,
        timeline::{Entry, What},
    };

    fn entry(seq: u64) -> Entry {
        Entry {
            seq,
            at: Timestamp { mono_us: seq, wall_us: 7 },
            project: None,
            service: None,
            run: None,
            who: Origin::System,
            what: What::Steady,
            why: String::new(),
        }
    }

    #[test]
    fn what_an_engine_kept_is_found_by_the_next_one_and_only_when_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let at = |wall_us| Timestamp { mono_us: 1, wall_us };
        let (mut first, left) = Spool::begin(dir.path(), at(1));
        assert!(left.entries.is_empty());
        first.keep(&entry(1));
        first.keep(&entry(2));
        let (_second, left) = Spool::begin(dir.path(), at(2));
        assert!(left.entries.is_empty(), "the first is still there");
        // Cut short by a crash of the machine.
        first.file.as_mut().unwrap().write_all(b"{\"seq\":3,").unwrap();
        drop(first);
        let (_third, left) = Spool::begin(dir.path(), at(3));
        assert_eq!(left.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
        left.forget();
        let (_fourth, left) = Spool::begin(dir.path(), at(4));
        assert!(left.entries.is_empty());
    }

    #[test]
    fn what_is_stored_is_not_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut first, _) = Spool::begin(dir.path(), Timestamp { mono_us: 1, wall_us: 1 });
        first.keep(&entry(1));
        first.clear();
        first.keep(&entry(2));
        drop(first);
        let (_second, left) = Spool::begin(dir.path(), Timestamp { mono_us: 1, wall_us: 2 });
        assert_eq!(left.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2]);
    }
}
