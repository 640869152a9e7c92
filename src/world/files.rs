//! Looks whether files below the directories of services change, by one inotify instance for all of them. A burst is told once, when it is over.
//!
//! Directories that are made later are looked at, those that go are forgotten, symbolic links are not followed. Never: reads a file, save `.gitignore`; more
//! than a bounded number of watches; silent where it sees less than it was asked to.

mod rules;
mod tree;

use std::{io, path::PathBuf, sync::Arc, thread, time::Duration};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::{
    rules::Rules,
    tree::{Seen, Tree},
};
use super::{bell::Bell, clock};
use crate::model::{event::Change, ids::ServiceId, occasion::Watch, text, time::Timestamp};

/// A burst that does not end is told after so long.
const LONGEST_BURST: Duration = Duration::from_secs(10);
/// Files of a burst that are counted.
const MOST_COUNTED: usize = 1000;
/// Longest name of a file in a sentence, in columns.
const LONGEST_NAME: usize = 120;

/// A service whose files are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub service: ServiceId,
    /// Its directory.
    pub root: PathBuf,
    /// Which of its files.
    pub watch: Watch,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Files of a service have changed, and been quiet since.
    Changed(ServiceId, Change),
    /// Not everything is looked at: why, and what to do. None: it is again.
    Short(Option<String>),
}

/// The watch; its thread ends when it is dropped.
#[derive(Debug)]
pub struct FilesWatch {
    bell: Arc<Bell<Asked>>,
}

#[derive(Debug, Default)]
struct Asked {
    /// None: as before.
    watched: Option<Vec<Watched>>,
    has_ended: bool,
}

impl FilesWatch {
    /// Starts with no service. `tell` is called on the watch's thread and must not wait for long.
    ///
    /// # Errors
    /// A thread, or the descriptor to wake it, could not be made.
    pub fn start(tell: impl Fn(News) + Send + 'static) -> io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        let theirs = Arc::clone(&bell);
        thread::Builder::new().name("cas-files".to_owned()).spawn(move || Watcher::new(tell).run(&theirs))?;
        Ok(Self { bell })
    }

    /// Looks at the files of these services from now on, and of no others.
    pub fn watch(&self, watched: Vec<Watched>) {
        self.bell.ask(|asked| asked.watched = Some(watched));
    }
}

impl Drop for FilesWatch {
    fn drop(&mut self) {
        self.bell.ask(|asked| asked.has_ended = true);
    }
}

/// A burst of changes that is not over.
#[derive(Debug)]
struct Burst {
    files: Vec<PathBuf>,
    since: Timestamp,
    over: Timestamp,
}

struct Entry {
    watched: Watched,
    rules: Rules,
    burst: Option<Burst>,
}

struct Watcher<T> {
    tell: T,
    entries: Vec<Entry>,
    tree: Tree,
    short: Option<String>,
}

impl<T: Fn(News)> Watcher<T> {
    fn new(tell: T) -> Self {
        Self { tell, entries: Vec::new(), tree: Tree::default(), short: None }
    }

    fn run(mut self, bell: &Bell<Asked>) {
        loop {
            self.wait(bell);
            let asked = {
                let mut asked = bell.asked();
                if asked.has_ended {
                    return;
                }
                asked.watched.take()
            };
            if let Some(watched) = asked {
                self.take(watched);
            }
            self.hear();
            if self.tree.again.is_some_and(|again| clock::now().has_reached(again)) {
                self.begin();
            }
            self.tell_what_is_over();
        }
    }

    /// Until something may be to be done.
    fn wait(&self, bell: &Bell<Asked>) {
        let bursts = self.entries.iter().filter_map(|entry| Some(entry.burst.as_ref()?.over));
        let next = bursts.chain(self.tree.again).min_by_key(|at| at.mono_us);
        let patience = next.map(|next| {
            let patience = next.since(clock::now());
            Timespec {
                tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(patience.subsec_nanos()),
            }
        });
        let mut waiting = vec![PollFd::new(bell, PollFlags::IN)];
        if let Some(instance) = self.tree.instance() {
            waiting.push(PollFd::new(instance, PollFlags::IN));
        }
        // Interrupted is as good as woken.
        let _woken = poll(&mut waiting, patience.as_ref());
        bell.hush();
    }

    fn take(&mut self, watched: Vec<Watched>) {
        if self.entries.iter().map(|entry| &entry.watched).eq(&watched) {
            return;
        }
        let mut before = std::mem::take(&mut self.entries);
        self.entries = watched
            .into_iter()
            .map(|watched| match before.iter().position(|entry| entry.watched == watched) {
                Some(at) => before.swap_remove(at),
                None => Entry { rules: Rules::new(&watched.root, &watched.watch), watched, burst: None },
            })
            .collect();
        self.begin();
    }

    /// Looks at all directories anew.
    fn begin(&mut self) {
        self.tree.begin(self.entries.iter().map(|entry| &entry.rules));
        self.say();
    }

    /// Takes in what the kernel says.
    fn hear(&mut self) {
        for seen in self.tree.hear(&self.entries.iter().map(|entry| &entry.rules).collect::<Vec<_>>()) {
            let now = clock::now();
            match seen {
                Seen::File(path) => {
                    for entry in self.entries.iter_mut().filter(|entry| entry.rules.count(&path)) {
                        entry.note(path.clone(), now);
                    }
                }
                Seen::TooMuch => self.entries.iter_mut().for_each(|entry| {
                    let anything = entry.watched.root.join("more files than the kernel could tell of");
                    entry.note(anything, now);
                }),
            }
        }
        if self.tree.is_lost {
            self.begin();
        }
        self.say();
    }

    fn tell_what_is_over(&mut self) {
        let now = clock::now();
        for entry in &mut self.entries {
            if let Some(burst) = entry.burst.take_if(|burst| now.has_reached(burst.over)) {
                let change = change(&burst, &entry.watched.root);
                (self.tell)(News::Changed(entry.watched.service.clone(), change));
            }
        }
    }

    fn say(&mut self) {
        if self.tree.short != self.short {
            self.short.clone_from(&self.tree.short);
            (self.tell)(News::Short(self.short.clone()));
        }
    }
}

impl Entry {
    fn note(&mut self, file: PathBuf, now: Timestamp) {
        let debounce = self.watched.watch.debounce;
        let burst = self.burst.get_or_insert_with(|| Burst { files: Vec::new(), since: now, over: now });
        if burst.files.len() < MOST_COUNTED && !burst.files.contains(&file) {
            burst.files.push(file);
        }
        let last = burst.since.plus(LONGEST_BURST.max(debounce));
        let over = now.plus(debounce);
        burst.over = if over.mono_us < last.mono_us { over } else { last };
    }
}

fn change(burst: &Burst, root: &std::path::Path) -> Change {
    let first = burst.files.first().map(|file| file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned());
    let first = first.unwrap_or_default();
    let first = text::truncate(&text::plain(&first), LONGEST_NAME).into_owned();
    Change { first, more: burst.files.len().saturating_sub(1) }
}
