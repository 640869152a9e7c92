//! Follows the log files that services write themselves, and gives their lines to the hub: a thread that the kernel wakes, or that looks by itself where the
//! kernel has no watch to spare.
//!
//! Promise: what is renamed is read to its end, also while the file that takes its place is read. Where the hub does not take lines nothing is read: the file
//! keeps them. Never: holds more than [`MOST_FILES`] files of a service open, and of each four that were replaced and read; runs without a file to follow.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fs::File,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::{OFlags, inotify},
};
use tokio::sync::mpsc;

use super::{
    Declared, Users,
    place::{Identity, Owners, Place, identity, why_closed},
    tail::{Look, Tail},
};
use crate::{
    model::{
        ids::{RunId, ServiceId},
        log::{LogBatch, Source},
        log_file::{LogFiles, MOST_FILES},
        time::Timestamp,
    },
    world::{
        clock,
        output::{Behind, Taken},
    },
};

/// After something was written others are waited for: a chatty file costs fifty looks a second and no more.
const SETTLE: Duration = Duration::from_millis(20);
/// Between two looks where the kernel does not tell.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks where it does: a file of another machine changes without its knowledge, and a directory may appear.
const SELDOM: Duration = Duration::from_secs(2);
/// So many files that were replaced and read are kept open for what comes late, and so many at most that are not read yet.
const MOST_LEFT: usize = 4;
const MOST_UNREAD: usize = 64;

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
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    asked: Mutex<Asked>,
    /// Wakes the thread.
    bell: OwnedFd,
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
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { asked: Mutex::default(), bell });
        let theirs = Arc::clone(&shared);
        let work = Work {
            output,
            users,
            handed,
            known,
            streams: BTreeMap::new(),
            sought: BTreeSet::new(),
            means: Means::default(),
        };
        std::thread::Builder::new().name("cas-tail".to_owned()).spawn(move || work.run(&theirs))?;
        Ok(Self { shared })
    }

    /// Follows the files of these services from now on and no others.
    pub(super) fn follow(&self, declared: Arc<[Declared]>) {
        self.shared.lock().declared = declared;
        self.shared.ring();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.ring();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // It can only fail where it rings already.
        let _rings = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }
}

/// One file by its name, whatever file has that name.
#[derive(Debug, Default)]
struct Stream {
    /// None: it is not there.
    current: Option<Tail>,
    /// Files that had the name before.
    left: VecDeque<Tail>,
    next_seq: u64,
    lines: u64,
    /// A file that was left alone: where it may be read after all it is as old as it was then.
    refused: Option<Identity>,
}

/// The one instance that tells of all directories.
#[derive(Debug, Default)]
struct Means {
    instance: Option<OwnedFd>,
    /// Those that are watched.
    directories: BTreeSet<PathBuf>,
    /// One that is not there, or that the kernel has no watch for.
    is_lacking: bool,
}

struct Work {
    output: mpsc::WeakSender<Taken>,
    users: Arc<Users>,
    handed: Arc<Handed>,
    known: Known,
    streams: BTreeMap<Key, Stream>,
    /// What was looked for once: files that appear from now on are new.
    sought: BTreeSet<Key>,
    means: Means,
}

/// The hub has ended.
struct Ended;

impl Work {
    fn run(mut self, shared: &Shared) {
        let mut declared: Arc<[Declared]> = Arc::default();
        let mut is_hungry = false;
        loop {
            if !is_hungry {
                self.wait(shared, declared.iter().any(Declared::follows));
            }
            {
                let asked = shared.lock();
                if asked.has_ended {
                    return;
                }
                if !Arc::ptr_eq(&asked.declared, &declared) {
                    declared = Arc::clone(&asked.declared);
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
    fn wait(&self, shared: &Shared, follows: bool) {
        let is_told = self.means.instance.is_some() && !self.means.is_lacking;
        let patience = follows.then_some(if is_told { SELDOM } else { LOOK });
        let patience = patience.map(|patience| Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(patience.subsec_nanos()),
        });
        let mut waiting = vec![PollFd::new(&shared.bell, PollFlags::IN)];
        if let Some(instance) = &self.means.instance {
            waiting.push(PollFd::new(instance, PollFlags::IN));
        }
        // Interrupted is as good as woken.
        let _woken = poll(&mut waiting, patience.as_ref());
        let is_written = waiting.get(1).is_some_and(|instance| !instance.revents().is_empty());
        if is_written {
            let settle = Timespec { tv_sec: 0, tv_nsec: i64::from(SETTLE.subsec_nanos()) };
            let _rung = poll(&mut [PollFd::new(&shared.bell, PollFlags::IN)], Some(&settle));
        }
        // Empty is as good as read.
        let _rung = rustix::io::read(&shared.bell, &mut [0_u8; 8]);
    }

    /// Looks at every file once; true where more is to be read at once.
    fn look(&mut self, declared: &[Declared]) -> Result<bool, Ended> {
        self.means.hear();
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
                let trouble = place.as_ref().err().map(why_closed);
                self.mark(&pattern, trouble);
                let is_new = self.sought.contains(&pattern);
                for name in self.names(place.as_ref().ok(), service, files) {
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

    /// Names that are there, and those that are followed and are not there just now.
    fn names(&self, place: Option<&Place>, service: &Declared, files: &LogFiles) -> Vec<String> {
        if !files.is_pattern() {
            return vec![files.name.clone()];
        }
        let mut names = place.and_then(|place| place.names(files).ok()).unwrap_or_default();
        for (_, shown) in self.streams.keys().filter(|(id, _)| *id == service.service) {
            if let Some(name) = shown.strip_prefix(files.prefix.as_str()).filter(|name| files.matches(name))
                && !names.iter().any(|one| one == name)
            {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// Reads the file and those that had its name before, the oldest first.
    fn read(&self, stream: &mut Stream, key: &Key, (place, run): (&Arc<str>, RunId)) -> Result<bool, Ended> {
        let now = clock::now();
        let mut is_hungry = false;
        let mut seq = stream.next_seq;
        let mut kept = VecDeque::new();
        let mut looks = Vec::new();
        for mut tail in stream.left.drain(..) {
            let look = self.look_into(&mut tail, run, now, &mut seq);
            let has_brought = !look.drafts.is_empty();
            is_hungry |= look.more;
            looks.push(look);
            if has_brought || !tail.has_rested(now) {
                kept.push_back(tail);
            } else {
                looks.push(tail.finish(&mut seq));
            }
        }
        while kept.len() > MOST_LEFT && !is_hungry {
            let Some(mut tail) = kept.pop_front() else { break };
            looks.push(tail.finish(&mut seq));
        }
        stream.left = kept;
        // Lines of the old file first, as long as there are any.
        if !is_hungry && let Some(tail) = &mut stream.current {
            let look = self.look_into(tail, run, now, &mut seq);
            is_hungry |= look.more;
            looks.push(look);
        }
        stream.next_seq = seq;
        for (draft, is_earlier) in looks.into_iter().flat_map(|look| look.drafts) {
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

    /// What is new of one file; where it was copied and emptied, first what is in the copy.
    fn look_into(&self, tail: &mut Tail, run: RunId, now: Timestamp, seq: &mut u64) -> Look {
        let mut left = self.handed.hold();
        if let Some(copies) = left.emptied.get_mut(&tail.id())
            && !copies.is_empty()
        {
            let (mut look, is_done) = tail.look_at_copy(&copies[0], run, now, seq);
            if is_done {
                copies.remove(0);
            }
            look.more = true;
            return look;
        }
        tail.look(run, now, seq)
    }

    /// What is known of files that are not followed any more, and copies that nobody reads.
    fn forget(&self, meant: &BTreeSet<Key>) {
        let is_followed = |id: &Identity| {
            self.streams
                .values()
                .flat_map(|stream| stream.current.iter().chain(&stream.left))
                .any(|tail| tail.id() == *id)
        };
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

impl Stream {
    fn is_open(&self) -> bool {
        self.current.is_some() || !self.left.is_empty() || self.refused.is_some()
    }

    /// Looks whether another file has the name now; why it is not read, if it is not. `is_new`: the name was looked for before, so that a file that has appeared
    /// is new from its first line on.
    fn take_in(&mut self, place: &Place, name: &str, owners: &Owners, is_new: bool) -> Option<String> {
        let Ok(found) = place.stat(name) else {
            self.refused = None;
            // What was open is read to its end: it may have got another name. Where it has none it takes up room for nobody.
            if self.current.as_ref().is_some_and(|tail| tail.is_deleted() && tail.has_rested(clock::now())) {
                self.leave();
            }
            return None;
        };
        if self.current.as_ref().is_some_and(|tail| tail.id() == identity(&found)) {
            return None;
        }
        if let Some(at) = self.left.iter().position(|tail| tail.id() == identity(&found)) {
            // It has its name back.
            let tail = self.left.remove(at);
            self.leave();
            self.current = tail;
            return None;
        }
        if let Some(why) = owners.objection(&found) {
            self.leave();
            if !is_new {
                self.refused = Some(identity(&found));
            }
            return Some(why);
        }
        let is_new = is_new && self.refused != Some(identity(&found));
        let opened = place.file(name, OFlags::RDONLY).and_then(|file| {
            // It may have been exchanged in between.
            let found = rustix::fs::fstat(&file)?;
            owners.objection(&found).map_or(Ok(file), |why| Err(std::io::Error::other(why)))
        });
        match opened.and_then(|file| Tail::open(file, !is_new, self.next_seq, clock::now())) {
            Ok(tail) => {
                self.leave();
                self.current = Some(tail);
                self.refused = None;
                None
            }
            Err(error) => Some(format!("it cannot be read: {error}")),
        }
    }

    /// Files that have lost the name since the last look, in order: they are read to their end before the one that has it now.
    fn take_over(&mut self, renamed: Vec<File>, is_new: bool) {
        for file in renamed {
            let Ok(found) = rustix::fs::fstat(&file) else { continue };
            let id = identity(&found);
            let was_current = self.current.as_ref().is_some_and(|tail| tail.id() == id);
            // Whatever was read until now came before it.
            self.leave();
            if is_new
                && !was_current
                && self.left.iter().all(|tail| tail.id() != id)
                && let Ok(tail) = Tail::open(file, false, self.next_seq, clock::now())
            {
                self.left.push_back(tail);
            }
        }
    }

    /// What was read until now has the name no more.
    fn leave(&mut self) {
        if let Some(tail) = self.current.take() {
            self.left.push_back(tail);
            while self.left.len() > MOST_UNREAD {
                self.left.pop_front();
            }
        }
    }
}

impl Means {
    /// Has the kernel tell of the directories of these files.
    fn watch(&mut self, declared: &[Declared]) {
        let files = declared.iter().flat_map(|service| service.files.iter()).filter(|files| files.follow);
        let wanted: BTreeSet<PathBuf> = files.map(|files| files.directory.clone()).collect();
        if wanted.is_empty() {
            *self = Self::default();
            return;
        }
        if wanted == self.directories && !self.is_lacking {
            return;
        }
        if !self.directories.is_subset(&wanted) {
            self.instance = None;
            self.directories.clear();
        }
        if self.instance.is_none() {
            self.directories.clear();
            self.instance = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok();
        }
        self.is_lacking = false;
        for directory in wanted {
            if self.directories.contains(&directory) {
                continue;
            }
            if self.instance.as_ref().is_some_and(|instance| is_watched(instance, &directory)) {
                self.directories.insert(directory);
            } else {
                // Without a watch it is looked at often, which costs little.
                self.is_lacking = true;
            }
        }
    }

    /// Takes away what the kernel says: whatever it is, all is looked at.
    fn hear(&mut self) {
        let Some(instance) = &self.instance else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(instance, &mut buffer);
        let mut is_lost = false;
        while let Ok(event) = events.next() {
            is_lost |= event.events().contains(inotify::ReadFlags::IGNORED);
        }
        if is_lost {
            // A directory is gone or another.
            *self = Self { is_lacking: true, ..Self::default() };
        }
    }
}

fn is_watched(instance: &OwnedFd, directory: &Path) -> bool {
    let flags = inotify::WatchFlags::MODIFY
        | inotify::WatchFlags::CREATE
        | inotify::WatchFlags::MOVED_FROM
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::DELETE_SELF
        | inotify::WatchFlags::MOVE_SELF
        | inotify::WatchFlags::ONLYDIR;
    inotify::add_watch(instance.as_fd(), directory, flags).is_ok()
}
