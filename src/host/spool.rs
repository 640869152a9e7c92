//! Entries of the timeline on their way to the store. The store writes once a second; an engine that is killed before takes nothing
//! with it, for each entry is in a file first, and the next engine hands on what it finds there.
//!
//! Never waits for the disk to be sure: what the kernel has, a killed process does not take along. Never grows without bound: it has two files, and
//! the older one is emptied when all in it is stored, or, where nothing can be stored, when the newer one is full.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::{
    model::{time::Timestamp, timeline::Entry},
    world::store::StoreStatus,
};

/// A line is never longer; one that is was not written by us.
const LONGEST: usize = 256 * 1024;

/// Bytes of a file. What the store holds in memory while it cannot write is about as much.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// This engine's files.
#[derive(Debug)]
pub struct Spool {
    /// The one that is written to, and the one before it.
    files: Option<[Sheet; 2]>,
    /// When the store has settled so many entries, all of the older file are stored.
    due: u64,
}

#[derive(Debug)]
struct Sheet {
    file: File,
    bytes: u64,
}

impl Sheet {
    fn begin(path: &Path) -> io::Result<Self> {
        let file = open(OpenOptions::new().create(true).append(true), path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { file, bytes: 0 })
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.bytes) > 0
            && let Err(error) = self.file.set_len(0)
        {
            tracing::warn!(%error, "the spool of the timeline cannot be emptied");
        }
    }
}

/// What earlier engines left: entries, and the files to be removed when those are stored.
#[derive(Debug, Default)]
pub struct Left {
    /// Entries that may not be stored yet, of one engine after the other.
    pub entries: Vec<Entry>,
    files: Vec<(File, PathBuf)>,
}

impl Spool {
    /// Begins a file of its own in `dir`, and takes up what engines that are gone have left there. Without a file entries go to the store alone.
    #[must_use]
    pub fn begin(dir: &Path, started: Timestamp) -> (Self, Left) {
        if let Err(error) = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir) {
            tracing::warn!(%error, "there is no spool for the timeline");
            return (Self { files: None, due: 0 }, Left::default());
        }
        let left = take_up(dir);
        let path = |letter| dir.join(format!("{}-{}{letter}.jsonl", started.wall_us, std::process::id()));
        let files = Sheet::begin(&path('a')).and_then(|first| Ok([first, Sheet::begin(&path('b'))?]));
        if let Err(error) = &files {
            tracing::warn!(%error, "there is no spool for the timeline");
        }
        (Self { files: files.ok(), due: 0 }, left)
    }

    /// Keeps the entries of one step, with a single `write(2)`, until [`Self::turn`] says that they are stored. They are given to the store
    /// afterwards.
    pub fn keep<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) {
        let Some([newer, older]) = &mut self.files else { return };
        let mut lines = Vec::new();
        for entry in entries {
            let Ok(line) = serde_json::to_vec(entry) else { continue };
            lines.extend(line);
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return;
        }
        if newer.bytes + lines.len() as u64 > FILE_BYTES {
            // Nothing was stored for long: the store has let go of the oldest, too.
            older.clear();
            std::mem::swap(newer, older);
            self.due = u64::MAX;
        }
        // On a full disk it is in memory, as the rest of the store is.
        let _kept = newer.file.write_all(&lines);
        newer.bytes += lines.len() as u64;
    }

    /// Empties the older file where all in it is stored, and begins with it anew. `store`: as it is now, after it was given all that was kept.
    pub fn turn(&mut self, store: &StoreStatus) {
        let Some([newer, older]) = &mut self.files else { return };
        let all = store.recorded;
        if older.bytes > 0 {
            if self.due == u64::MAX {
                self.due = all;
            }
            if store.settled < self.due {
                return;
            }
            older.clear();
        }
        if newer.bytes > 0 {
            std::mem::swap(newer, older);
            self.due = all;
            if store.settled >= all {
                older.clear();
            }
        }
    }
}

impl Left {
    /// Those that tell the end of a run, and what was told with them: the records of that engine may not know of it.
    #[must_use]
    pub fn ends(&self) -> Vec<Entry> {
        let step = |entry: &Entry| (entry.at.mono_us, entry.at.wall_us);
        let ends: BTreeSet<_> = self.entries.iter().filter(|entry| entry.what.is_end()).map(step).collect();
        self.entries.iter().filter(|entry| ends.contains(&step(entry))).cloned().collect()
    }

    /// The entries are in the database.
    pub fn forget(self) {
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
    let mut found: Vec<(String, Entry)> = Vec::new();
    for path in paths {
        let Ok(file) = open(OpenOptions::new().read(true), &path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let engine = path.file_stem().unwrap_or_default().to_string_lossy().trim_end_matches(['a', 'b']).to_owned();
        let mut lines = BufReader::new(&file);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
            if line.len() <= LONGEST
                && let Ok(entry) = serde_json::from_slice(&line)
            {
                found.push((engine.clone(), entry));
            }
            line.clear();
        }
        left.files.push((file, path));
    }
    // Of two files of one engine either may be the newer one; the clock may have been set meanwhile.
    found.sort_by(|(one, a), (other, b)| (one, a.seq).cmp(&(other, b.seq)));
    left.entries = found.into_iter().map(|(_, entry)| entry).collect();
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
    use crate::world::store::StoreStatus;

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
        first.keep([&entry(1)]);
        first.keep([&entry(2)]);
        let (_second, left) = Spool::begin(dir.path(), at(2));
        assert!(left.entries.is_empty(), "the first is still there");
        // Cut short by a crash of the machine.
        first.files.as_mut().unwrap()[0].file.write_all(b"{\"seq\":3,").unwrap();
        drop(first);
        let (_third, left) = Spool::begin(dir.path(), at(3));
        assert_eq!(left.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
        left.forget();
        let (_fourth, left) = Spool::begin(dir.path(), at(4));
        assert!(left.entries.is_empty());
    }

    fn found_after(spool: Spool, dir: &std::path::Path) -> Vec<u64> {
        drop(spool);
        let (_next, left) = Spool::begin(dir, Timestamp { mono_us: 1, wall_us: 2 });
        let found = left.entries.iter().map(|entry| entry.seq).collect();
        left.forget();
        found
    }

    fn store(recorded: u64, settled: u64) -> StoreStatus {
        StoreStatus { recorded, settled, ..StoreStatus::default() }
    }

    #[test]
    fn what_is_stored_is_not_found_again_and_what_is_not_is() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::begin(dir.path(), Timestamp { mono_us: 1, wall_us: 1 });
        spool.keep([&entry(1)]);
        spool.turn(&store(1, 0));
        spool.keep([&entry(2)]);
        spool.turn(&store(2, 0));
        // The first one is stored, and the second on its way, as always where something happens all the time.
        spool.turn(&store(2, 1));
        spool.keep([&entry(3)]);
        spool.turn(&store(3, 2));
        assert_eq!(found_after(spool, dir.path()), [3]);
    }

    #[test]
    fn it_is_bounded_where_nothing_can_be_stored_and_the_newest_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::begin(dir.path(), Timestamp { mono_us: 1, wall_us: 1 });
        let long = |seq| Entry { why: "x".repeat(100_000), ..entry(seq) };
        for seq in 1..=200 {
            spool.keep([&long(seq)]);
            spool.turn(&store(seq, 0));
        }
        let used: u64 = std::fs::read_dir(dir.path()).unwrap().flatten().map(|f| f.metadata().unwrap().len()).sum();
        assert!(used <= 2 * super::FILE_BYTES, "{used}");
        let found = found_after(spool, dir.path());
        assert!(found.len() > 40 && found.last() == Some(&200) && found.is_sorted(), "{found:?}");
        // And it is emptied when all is stored at last.
        let (mut spool, _) = Spool::begin(dir.path(), Timestamp { mono_us: 1, wall_us: 3 });
        (1..=60).for_each(|seq| spool.keep([&long(seq)]));
        spool.turn(&store(60, 60));
        spool.turn(&store(60, 60));
        assert!(found_after(spool, dir.path()).is_empty());
    }
}
