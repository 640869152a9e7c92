//! Looks whether files change: project files, by one inotify instance for all of them; where the kernel has none left (or no watch),
//! by a look every two seconds, with the sentence that says which limit to raise.
//!
//! Never reads a file. Never more than one instance. Never silent about being slow.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
    io::Errno,
};

use super::{bell::Bell, clock};
use crate::model::time::Timestamp;

/// Between two looks where the kernel does not tell.
pub const LOOK: Duration = Duration::from_secs(2);
/// Whoever saves a file does so in several steps.
const SETTLE: Duration = Duration::from_millis(200);
/// How often it is tried to have the kernel tell again.
const AGAIN: Duration = Duration::from_secs(10);

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A file is another than it was, or gone, or there again.
    Changed(PathBuf),
    /// The kernel does not tell: why, and what to do. None: it does again.
    Slow(Option<String>),
}

/// The watch; its thread ends when it is dropped.
#[derive(Debug)]
pub struct FileWatch {
    bell: Arc<Bell<Asked>>,
}

#[derive(Debug, Default)]
struct Asked {
    files: BTreeSet<PathBuf>,
    has_ended: bool,
}

impl FileWatch {
    /// Starts with no file. `tell` is called on the watch's thread and must not wait for long.
    ///
    /// # Errors
    /// A thread, or the descriptor to wake it, could not be made.
    pub fn start(tell: impl Fn(News) + Send + 'static) -> io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        let theirs = Arc::clone(&bell);
        thread::Builder::new().name("cas-watch".to_owned()).spawn(move || Watcher::new(tell).run(&theirs))?;
        Ok(Self { bell })
    }

    /// Watches these files from now on and no others. Each counts as it is now.
    pub fn watch(&self, files: BTreeSet<PathBuf>) {
        self.bell.ask(|asked| asked.files = files);
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        self.bell.ask(|asked| asked.has_ended = true);
    }
}

/// What tells one state of a file from another.
type Trace = Option<(u64, u64, u64, i64, i64)>;

fn trace(file: &Path) -> Trace {
    let found = fs::metadata(file).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

/// How changes are learned.
#[derive(Debug)]
enum Means {
    /// Nothing is watched.
    Idle,
    /// By the kernel.
    Told(OwnedFd),
    /// By looking.
    Looking { again: Timestamp },
}

struct Watcher<T> {
    tell: T,
    files: BTreeMap<PathBuf, Trace>,
    means: Means,
    slow: Option<String>,
    /// Something happened in a directory of theirs; looked at when it has settled.
    due: Option<Timestamp>,
}

impl<T: Fn(News)> Watcher<T> {
    const fn new(tell: T) -> Self {
        Self { tell, files: BTreeMap::new(), means: Means::Idle, slow: None, due: None }
    }

    fn run(mut self, bell: &Bell<Asked>) {
        loop {
            self.wait(bell);
            let wanted = {
                let asked = bell.asked();
                if asked.has_ended {
                    return;
                }
                asked.files.clone()
            };
            if !wanted.iter().eq(self.files.keys()) {
                self.files.retain(|file, _| wanted.contains(file));
                for file in wanted {
                    let now = trace(&file);
                    self.files.entry(file).or_insert(now);
                }
                self.begin();
            }
            let now = clock::now();
            match &self.means {
                Means::Told(_) if self.due.is_some_and(|due| now.has_reached(due)) => self.look(),
                Means::Looking { again } if now.has_reached(*again) => {
                    self.begin();
                    self.look();
                }
                Means::Looking { .. } => self.look(),
                Means::Told(_) | Means::Idle => {}
            }
        }
    }

    /// Until something may have changed.
    fn wait(&mut self, bell: &Bell<Asked>) {
        let settling = self.due.is_some();
        let patience = match (&self.means, self.due) {
            (Means::Looking { .. }, _) => Some(LOOK),
            (Means::Told(_) | Means::Idle, due) => due.map(|due| due.since(clock::now())),
        };
        let patience = patience.map(|patience| Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(patience.subsec_nanos()),
        });
        let mut heard = false;
        {
            let mut waiting = vec![PollFd::new(bell, PollFlags::IN)];
            // What happens while the rest settles is looked at with it: a busy directory costs five looks a second and no more.
            if let Means::Told(instance) = &self.means
                && !settling
            {
                waiting.push(PollFd::new(instance, PollFlags::IN));
            }
            // Interrupted is as good as woken.
            let _woken = poll(&mut waiting, patience.as_ref());
            heard |= settling || waiting.get(1).is_some_and(|instance| !instance.revents().is_empty());
        }
        bell.hush();
        if heard {
            self.hear();
        }
    }

    /// Takes what the kernel says away: where something happened, all are looked at.
    fn hear(&mut self) {
        let Means::Told(instance) = &self.means else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(instance, &mut buffer);
        let (mut lost, mut any) = (false, false);
        while let Ok(event) = events.next() {
            any = true;
            // The directory itself is gone or another: its watch with it.
            lost |= event.events().intersects(
                inotify::ReadFlags::IGNORED | inotify::ReadFlags::DELETE_SELF | inotify::ReadFlags::MOVE_SELF,
            );
        }
        if lost {
            self.begin();
        }
        if any {
            self.due.get_or_insert_with(|| clock::now().plus(SETTLE));
        }
    }

    /// Has the kernel tell of all files, or says why it cannot.
    fn begin(&mut self) {
        self.means = Means::Idle;
        if self.files.is_empty() {
            return self.say(None);
        }
        match instance_for(self.files.keys()) {
            Ok(instance) => {
                self.means = Means::Told(instance);
                // What changed meanwhile.
                self.due = Some(clock::now());
                self.say(None);
            }
            Err(why) => {
                self.means = Means::Looking { again: clock::now().plus(AGAIN) };
                self.say(why);
            }
        }
    }

    fn look(&mut self) {
        self.due = None;
        for (file, before) in &mut self.files {
            let now = trace(file);
            if now != *before {
                *before = now;
                (self.tell)(News::Changed(file.clone()));
            }
        }
    }

    fn say(&mut self, slow: Option<String>) {
        if slow != self.slow {
            self.slow.clone_from(&slow);
            (self.tell)(News::Slow(slow));
        }
    }
}

/// One instance that watches the directory of each file: whoever saves by renaming makes a new file.
///
/// Where that cannot be: why, and what to do; none where a directory is not there, which nobody can watch.
fn instance_for<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Result<OwnedFd, Option<String>> {
    let instance = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
        .map_err(|error| Some(sentence(error, "max_user_instances")))?;
    let directories: BTreeSet<&Path> = files.filter_map(|file| file.parent()).collect();
    let flags = inotify::WatchFlags::CLOSE_WRITE
        | inotify::WatchFlags::CREATE
        | inotify::WatchFlags::DELETE
        | inotify::WatchFlags::MOVED_FROM
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::DELETE_SELF
        | inotify::WatchFlags::MOVE_SELF
        | inotify::WatchFlags::ONLYDIR;
    for directory in directories {
        inotify::add_watch(instance.as_fd(), directory, flags).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR => None,
            error => Some(sentence(error, "max_user_watches")),
        })?;
    }
    Ok(instance)
}

/// What is wrong and what to do.
fn sentence(error: Errno, limit: &str) -> String {
    let slow = "project files are looked at every 2 s instead";
    if !matches!(error, Errno::MFILE | Errno::NOSPC) {
        return format!("the kernel does not tell when project files change ({error}): {slow}");
    }
    let now = fs::read_to_string(format!("/proc/sys/fs/inotify/{limit}")).ok();
    match now.as_deref().map(str::trim).and_then(|now| now.parse::<u64>().ok()) {
        Some(now) => format!(
            "all of fs.inotify.{limit} ({now}) are in use, so {slow}: sysctl fs.inotify.{limit}={} gives it room",
            now.saturating_mul(4).max(1024)
        ),
        None => format!("the kernel has no inotify to spare ({error}), so {slow}: raise fs.inotify.{limit} by sysctl"),
    }
}
