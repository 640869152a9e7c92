//! Follows the log files that services write themselves, and gives their lines to the hub: a thread that the kernel wakes, or that looks by itself where the
//! kernel has no watch to spare.
//!
//! Promise: what is renamed is read to its end, also while the file that takes its place is read. Where the hub does not take lines nothing is read: the file
//! keeps them. Never: holds more than [`MOST_FILES`] files of a service open, beside those that were replaced; runs without a file to follow; looks through a
//! directory for each line that is written.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;

use super::{
    Declared, Users,
    means::Means,
    place::{Identity, Place, why_closed},
    stream::{MOST_UNREAD, Stream},
};
use crate::{
    model::{
        ids::{RunId, ServiceId},
        log::{LogBatch, Source},
        log_file::{LogFiles, MOST_FILES},
        time::Timestamp,
    },
    world::{
        bell::Bell,
        clock,
        output::{Behind, Taken},
    },
};

/// After something was written others are waited for: a chatty file costs fifty looks a second and no more.
const SETTLE: Duration = Duration::from_millis(20);
/// Between two looks where the kernel does not tell.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks where it does, and between two looks through a directory for other names: a file of another machine changes without its knowledge, and a
/// directory may appear.
const SELDOM: Duration = Duration::from_secs(2);
/// What rotation leaves to be read, however fast one follows the other.
#[derive(Debug, Default)]
pub(super) struct Handed(Mutex<Left>);

/// Files that have something to be read under another name than their own.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Those that were emptied after they were copied, with the copies: what had not been read is read there.
    pub(super) emptied: HashMap<Identity, Vec<File>>,
    /// Those that were renamed, by what they were called, in order.
    pub(super) renamed: HashMap<Key, Vec<File>>,
}

impl Handed {
    /// Nobody reads a file while this is held.
    pub(super) fn hold(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file is about to lose its name.
    pub(super) fn rename(&self, key: Key, file: File) {
        let mut left = self.hold();
        let files = left.renamed.entry(key).or_default();
        if files.len() < MOST_UNREAD {
            files.push(file);
        }
    }
}

/// What is known of the files that are followed, for whoever shows them: lines that were read, and why one is not followed.
pub(super) type Known = Arc<Mutex<BTreeMap<Key, Followed>>>;

/// A service, and a file or pattern as it is shown.
pub(super) type Key = (ServiceId, String);

/// What is known of one.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    /// Lines that were read.
    pub(super) lines: u64,
    /// Why it is not read, a clause.
    pub(super) trouble: Option<String>,
}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    bell: Arc<Bell<Asked>>,
}

#[derive(Debug, Default)]
struct Asked {
    declared: Arc<[Declared]>,
    has_ended: bool,
}

impl Follower {
    /// Starts with no file.
    pub(super) fn start(
        output: mpsc::WeakSender<Taken>,
        users: Arc<Users>,
        handed: Arc<Handed>,
        known: Known,
    ) -> std::io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        let theirs = Arc::clone(&bell);
        let work = Work {
            output,
            users,
            handed,
            known,
            streams: BTreeMap::new(),
            sought: BTreeSet::new(),
            listed: BTreeMap::new(),
            listed_at: Timestamp::default(),
            means: Means::default(),
        };
        std::thread::Builder::new().name("cas-tail".to_owned()).spawn(move || work.run(&theirs))?;
        Ok(Self { bell })
    }

    /// Follows the files of these services from now on and no others.
    pub(super) fn follow(&self, declared: Arc<[Declared]>) {
        self.bell.ask(|asked| asked.declared = declared);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.bell.ask(|asked| asked.has_ended = true);
    }
}

struct Work {
    output: mpsc::WeakSender<Taken>,
    users: Arc<Users>,
    handed: Arc<Handed>,
    known: Known,
    streams: BTreeMap<Key, Stream>,
    /// What was looked for once: files that appear from now on are new.
    sought: BTreeSet<Key>,
    /// Names that are there of each pattern, or why that is not known; and when they were looked for.
    listed: BTreeMap<Key, Result<Vec<String>, String>>,
    listed_at: Timestamp,
    means: Means,
}

/// The hub has ended.
struct Ended;

impl Work {
    fn run(mut self, bell: &Bell<Asked>) {
        let mut declared: Arc<[Declared]> = Arc::default();
        let mut is_hungry = false;
        loop {
            if !is_hungry {
                self.wait(bell, declared.iter().any(Declared::follows));
            }
            {
                let asked = bell.asked();
                if asked.has_ended {
                    return;
                }
                if !Arc::ptr_eq(&asked.declared, &declared) {
                    declared = Arc::clone(&asked.declared);
                    self.listed.clear();
                }
            }
            self.means.watch(&declared);
            match self.look(&declared) {
                Ok(more) => is_hungry = more,
                Err(Ended) => return,
            }
        }
    }

    /// Until there may be something to read.
    fn wait(&self, bell: &Bell<Asked>, follows: bool) {
        let patience = follows.then_some(if self.means.tells_all() { SELDOM } else { LOOK });
        let patience = patience.map(|patience| Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(patience.subsec_nanos()),
        });
        let mut waiting = vec![PollFd::new(bell, PollFlags::IN)];
        if let Some(instance) = self.means.instance() {
            waiting.push(PollFd::new(instance, PollFlags::IN));
        }
        // Interrupted is as good as woken.
        let _woken = poll(&mut waiting, patience.as_ref());
        let is_written = waiting.get(1).is_some_and(|instance| !instance.revents().is_empty());
        if is_written {
            let settle = Timespec { tv_sec: 0, tv_nsec: i64::from(SETTLE.subsec_nanos()) };
            let _rung = poll(&mut [PollFd::new(bell, PollFlags::IN)], Some(&settle));
        }
        bell.hush();
    }

    /// Looks at every file once; true where more is to be read at once.
    fn look(&mut self, declared: &[Declared]) -> Result<bool, Ended> {
        let now = clock::now();
        if self.means.hear() || !self.means.tells_all() || now.since(self.listed_at) >= SELDOM {
            self.listed.clear();
        }
        if self.listed.is_empty() {
            self.listed_at = now;
        }
        let mut is_hungry = false;
        let mut meant: BTreeSet<Key> = BTreeSet::new();
        let mut sought: BTreeSet<Key> = BTreeSet::new();
        for service in declared {
            let run = self.users.runs.writer(&service.service).map_or(RunId(0), |(run, _)| run);
            let owners = self.users.owners(&service.service);
            let mut room = MOST_FILES;
            for files in service.files.iter().filter(|files| files.follow) {
                let pattern = (service.service.clone(), files.pattern());
                let place = Place::open(files);
                let (names, trouble) = self.names(place.as_ref().ok(), &pattern, files);
                self.mark(&pattern, place.as_ref().err().map(why_closed).or(trouble));
                let is_new = self.sought.contains(&pattern);
                for name in names {
                    let key = (service.service.clone(), files.shown(&name));
                    if room == 0 || !meant.insert(key.clone()) {
                        continue;
                    }
                    room -= 1;
                    let mut stream = self.streams.remove(&key).unwrap_or_default();
                    let renamed = self.handed.hold().renamed.remove(&key).unwrap_or_default();
                    stream.take_over(renamed, is_new);
                    if let Ok(place) = &place {
                        let trouble = stream.take_in(place, &name, &owners, is_new);
                        self.mark(&key, trouble);
                    }
                    let outcome = self.read(&mut stream, &key, (&service.place, run));
                    if !files.is_pattern() || stream.is_open() {
                        self.streams.insert(key, stream);
                    }
                    is_hungry |= outcome?;
                }
                sought.insert(pattern);
            }
        }
        self.sought = sought;
        self.streams.retain(|key, _| meant.contains(key));
        self.forget(&meant);
        Ok(is_hungry)
    }

    /// Names that are there, and those that are followed and are not there just now; and why the former are not known.
    fn names(&mut self, place: Option<&Place>, pattern: &Key, files: &LogFiles) -> (Vec<String>, Option<String>) {
        if !files.is_pattern() {
            return (vec![files.name.clone()], None);
        }
        let look =
            || place.map_or_else(|| Ok(Vec::new()), |place| place.names(files).map_err(|error| why_closed(&error)));
        let listed = self.listed.entry(pattern.clone()).or_insert_with(look).clone();
        let (mut names, trouble) = listed.map_or_else(|why| (Vec::new(), Some(why)), |names| (names, None));
        for (_, shown) in self.streams.keys().filter(|(id, _)| *id == pattern.0) {
            if let Some(name) = shown.strip_prefix(files.prefix.as_str()).filter(|name| files.matches(name))
                && !names.iter().any(|one| one == name)
            {
                names.push(name.to_owned());
            }
        }
        (names, trouble)
    }

    /// Reads what is new, and hands it on.
    fn read(&self, stream: &mut Stream, key: &Key, (place, run): (&Arc<str>, RunId)) -> Result<bool, Ended> {
        let (drafts, is_hungry) = stream.read(&self.handed, run, clock::now());
        for (draft, is_earlier) in drafts {
            stream.lines += draft.lines.len() as u64;
            self.count(key, stream.lines);
            let source = Source::File(key.1.as_str().into());
            let batch = LogBatch { source, ..draft.into_batch(key.0.clone()) };
            let behind = if is_earlier { Behind::Earlier } else { Behind::File };
            let Some(output) = self.output.upgrade() else { return Err(Ended) };
            // Where the hub is slow this waits, and nothing more is read meanwhile.
            let taken = Taken { batch: Arc::new(batch), place: Arc::clone(place), behind };
            output.blocking_send(taken).map_err(|_| Ended)?;
        }
        Ok(is_hungry)
    }

    /// What is known of files that are not followed any more, and copies that nobody reads.
    fn forget(&self, meant: &BTreeSet<Key>) {
        let is_followed = |id: &Identity| self.streams.values().any(|stream| stream.has(*id));
        let mut left = self.handed.hold();
        left.emptied.retain(|id, copies| !copies.is_empty() && is_followed(id));
        left.renamed.retain(|key, files| !files.is_empty() && meant.contains(key));
        drop(left);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, _| meant.contains(key) || self.sought.contains(key));
    }

    fn mark(&self, key: &Key, trouble: Option<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(key.clone()).or_default().trouble = trouble;
    }

    fn count(&self, key: &Key, lines: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(key.clone()).or_default().lines = lines;
    }
}
