//! The directories that the kernel tells of.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::inotify::{self, ReadFlags, WatchFlags},
    io::Errno,
};

use super::{clock, rules::Rules};
use crate::model::time::Timestamp;

/// Most directories that are looked at, of all services together.
const MOST: usize = 16_384;
/// How soon it is tried again where the kernel had no room, or a directory was not there.
const AGAIN: Duration = Duration::from_secs(30);
/// The same where a directory was put in the place of another.
const SOON: Duration = Duration::from_millis(500);

/// What was seen.
#[derive(Debug)]
pub(super) enum Seen {
    /// A file was made, written, moved or removed.
    File(PathBuf),
    /// More happened than the kernel could tell.
    TooMuch,
}

/// All directories that are looked at.
#[derive(Debug)]
pub(super) struct Tree {
    most: usize,
    instance: Option<OwnedFd>,
    paths: HashMap<i32, PathBuf>,
    numbers: BTreeMap<PathBuf, i32>,
    /// Why not all that was asked for is looked at, and what to do.
    pub(super) short: Option<String>,
    /// When all directories are looked at anew.
    pub(super) again: Option<Timestamp>,
    /// Something was missed: all directories are to be looked at anew.
    pub(super) is_lost: bool,
}

impl Default for Tree {
    fn default() -> Self {
        Self::of_at_most(MOST)
    }
}

impl Tree {
    fn of_at_most(most: usize) -> Self {
        Self {
            most,
            instance: None,
            paths: HashMap::new(),
            numbers: BTreeMap::new(),
            short: None,
            again: None,
            is_lost: false,
        }
    }

    pub(super) const fn instance(&self) -> Option<&OwnedFd> {
        self.instance.as_ref()
    }

    /// Looks at what all rules want, and at nothing else.
    pub(super) fn begin<'r>(&mut self, rules: impl Iterator<Item = &'r Rules>) {
        let before = std::mem::replace(self, Self::of_at_most(self.most));
        let rules: Vec<&Rules> = rules.collect();
        if rules.is_empty() {
            return;
        }
        // There are few instances: one that is there is kept. What it still has to tell of directories of before has numbers that nobody knows any more.
        if let Some(instance) = &before.instance {
            for number in before.numbers.values() {
                // Gone already is as good as removed.
                let _gone = inotify::remove_watch(instance.as_fd(), *number);
            }
        }
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        match before.instance.map_or_else(|| inotify::init(flags), Ok) {
            Ok(instance) => self.instance = Some(instance),
            Err(error) => return self.lack(&sentence(error, "max_user_instances")),
        }
        for rule in &rules {
            if !rule.root.is_dir() {
                self.again = Some(clock::now().plus(AGAIN));
            }
            self.walk(&rule.root, &rules, None);
        }
    }

    fn lack(&mut self, why: &str) {
        self.short.get_or_insert_with(|| why.to_owned());
        self.again = Some(clock::now().plus(AGAIN));
    }

    /// Looks at a directory and those below it, as far as somebody wants them. What is found is news where `found` is there.
    fn walk(&mut self, top: &Path, rules: &[&Rules], mut found: Option<&mut Vec<Seen>>) {
        let mut stack = vec![top.to_owned()];
        while let Some(directory) = stack.pop() {
            if !rules.iter().any(|rule| rule.wants(&directory)) || !self.add(&directory) {
                continue;
            }
            // Gone again is as good as never there.
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            for entry in entries.flatten() {
                // That of a link itself: what it leads to is not looked at.
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => stack.push(entry.path()),
                    Ok(_) => {
                        if let Some(found) = found.as_deref_mut() {
                            found.push(Seen::File(entry.path()));
                        }
                    }
                    Err(_) => {}
                }
            }
        }
    }

    /// False where it cannot be looked at.
    fn add(&mut self, directory: &Path) -> bool {
        let Some(instance) = &self.instance else { return false };
        if self.numbers.contains_key(directory) {
            return true;
        }
        if self.numbers.len() >= self.most {
            let why = format!(
                "more than {} directories are to be watched, {} among the others: changes there are not seen; name fewer under watch, or put what is large under ignore",
                self.most,
                directory.display()
            );
            self.short.get_or_insert(why);
            return false;
        }
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::DONT_FOLLOW
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(instance.as_fd(), directory, flags) {
            Ok(number) => {
                self.paths.insert(number, directory.to_owned());
                self.numbers.insert(directory.to_owned(), number);
                true
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => false,
            Err(error) => {
                self.lack(&sentence(error, "max_user_watches"));
                false
            }
        }
    }

    /// Forgets a directory that was moved away, and all below it.
    fn leave(&mut self, directory: &Path) {
        let Some(instance) = &self.instance else { return };
        let below = self.numbers.range(directory.to_owned()..).take_while(|(path, _)| path.starts_with(directory));
        let gone: Vec<(PathBuf, i32)> = below.map(|(path, number)| (path.clone(), *number)).collect();
        for (path, number) in gone {
            // Gone already is as good as removed.
            let _gone = inotify::remove_watch(instance.as_fd(), number);
            self.numbers.remove(&path);
            self.paths.remove(&number);
        }
    }

    /// What happened since the last time.
    pub(super) fn hear(&mut self, rules: &[&Rules]) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (number, flags, name) in self.read() {
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                self.is_lost = true;
                seen.push(Seen::TooMuch);
                continue;
            }
            let Some(directory) = self.paths.get(&number).cloned() else { continue };
            if flags.intersects(ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF) {
                if flags.contains(ReadFlags::MOVE_SELF) {
                    self.leave(&directory);
                } else if flags.contains(ReadFlags::IGNORED) {
                    self.paths.remove(&number);
                    self.numbers.retain(|_, known| *known != number);
                }
                // Another may come to its place, which nobody above it would tell of.
                if rules.iter().any(|rule| rule.root == directory) {
                    self.again = Some(clock::now().plus(SOON));
                }
                continue;
            }
            let Some(name) = name else { continue };
            let path = directory.join(name);
            if !flags.contains(ReadFlags::ISDIR) {
                if path.file_name().is_some_and(|name| name == ".gitignore") {
                    for rule in rules {
                        rule.forget(&directory);
                    }
                    self.is_lost = true;
                }
                seen.push(Seen::File(path));
            } else if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                self.walk(&path, rules, Some(&mut seen));
            } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
                self.leave(&path);
            }
        }
        seen
    }

    fn read(&self) -> Vec<(i32, ReadFlags, Option<std::ffi::OsString>)> {
        use std::os::unix::ffi::OsStrExt;
        let Some(instance) = &self.instance else { return Vec::new() };
        let mut buffer = [MaybeUninit::uninit(); 16_384];
        let mut events = inotify::Reader::new(instance, &mut buffer);
        let mut read = Vec::new();
        while let Ok(event) = events.next() {
            let name = event.file_name().map(|name| std::ffi::OsStr::from_bytes(name.to_bytes()).to_owned());
            read.push((event.wd(), event.events(), name));
        }
        read
    }
}

/// What is wrong and what to do.
fn sentence(error: Errno, limit: &str) -> String {
    let short = "not all changes of watched files are seen";
    if !matches!(error, Errno::MFILE | Errno::NOSPC) {
        return format!("the kernel does not tell when watched files change ({error}): {short}");
    }
    let now = fs::read_to_string(format!("/proc/sys/fs/inotify/{limit}")).ok();
    match now.as_deref().map(str::trim).and_then(|now| now.parse::<u64>().ok()) {
        Some(now) => format!(
            "all of fs.inotify.{limit} ({now}) are in use, so {short}: sysctl fs.inotify.{limit}={} gives it room; watch with fewer paths needs less",
            now.saturating_mul(4).max(1024)
        ),
        None => format!("the kernel has no inotify to spare ({error}), so {short}: raise fs.inotify.{limit} by sysctl"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use rustix::io::Errno;

    use super::{Rules, Tree, sentence};
    use crate::model::occasion::{OnChange, Watch};

    #[test]
    fn more_directories_than_are_looked_at_are_told_with_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c", "d"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let watch = Watch {
            paths: vec![".".to_owned()],
            ignore: Vec::new(),
            debounce: Duration::from_millis(300),
            action: OnChange::Restart,
        };
        let rules = Rules::new(place.path(), &watch);
        let mut tree = Tree::of_at_most(5);
        tree.begin([&rules].into_iter());
        assert_eq!((tree.numbers.len(), tree.short.as_deref()), (5, None));
        let mut tree = Tree::of_at_most(3);
        tree.begin([&rules].into_iter());
        assert_eq!(tree.numbers.len(), 3);
        let short = tree.short.unwrap();
        assert!(short.starts_with("more than 3 directories") && short.contains("under ignore"), "{short}");
    }

    #[test]
    fn a_kernel_without_room_is_told_with_the_limit_to_raise() {
        let full = sentence(Errno::NOSPC, "max_user_watches");
        assert!(full.contains("fs.inotify.max_user_watches") && full.contains("sysctl"), "{full}");
        let other = sentence(Errno::NOSYS, "max_user_watches");
        assert!(!other.contains("sysctl"), "{other}");
    }
}
