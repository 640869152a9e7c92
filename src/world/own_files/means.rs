//! Has the kernel tell of changes in the directories of log files.
//!
//! Never: more than one instance; silent where a directory is not watched: then it is [lacking](Means::is_lacking), and is looked at instead.

use std::{
    collections::BTreeSet,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::inotify;

use super::Declared;

/// The one instance that tells of all directories.
#[derive(Debug, Default)]
pub(super) struct Means {
    instance: Option<OwnedFd>,
    /// Those that are watched.
    directories: BTreeSet<PathBuf>,
    /// One that is not there, or that the kernel has no watch for.
    is_lacking: bool,
    /// What happened before it was watched was not told.
    has_begun: bool,
}

impl Means {
    /// What can be read where something has happened; none where nothing is told.
    pub(super) const fn instance(&self) -> Option<&OwnedFd> {
        self.instance.as_ref()
    }

    /// Whether all that changes is told.
    pub(super) const fn tells_all(&self) -> bool {
        self.instance.is_some() && !self.is_lacking
    }

    /// Has the kernel tell of the directories of these files.
    pub(super) fn watch(&mut self, declared: &[Declared]) {
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
                self.has_begun = true;
            } else {
                // Without a watch it is looked at often, which costs little.
                self.is_lacking = true;
            }
        }
    }

    /// Takes away what the kernel says; whether there may be other names than before.
    pub(super) fn hear(&mut self) -> bool {
        let mut has_names = std::mem::take(&mut self.has_begun);
        let Some(instance) = &self.instance else { return true };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(instance, &mut buffer);
        let mut is_lost = false;
        while let Ok(event) = events.next() {
            is_lost |= event.events().contains(inotify::ReadFlags::IGNORED);
            // Whatever is no writing to a file.
            has_names |= !(event.events() - inotify::ReadFlags::MODIFY).is_empty();
        }
        if is_lost {
            // A directory is gone or another.
            *self = Self { is_lacking: true, ..Self::default() };
        }
        has_names
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

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Write,
    };

    use super::*;
    use crate::model::{
        ids::{ProjectName, ServiceId, ServiceName},
        log_file::LogFiles,
    };

    #[test]
    fn a_line_that_is_written_is_no_other_name_and_a_file_that_comes_or_goes_is() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("log");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("a.log"), "").unwrap();
        let (within, name) = (None, "*.log".to_owned());
        let files =
            LogFiles { directory: directory.clone(), name, within, prefix: String::new(), follow: true, rotate: None };
        let service =
            ServiceId { project: ProjectName::new("shop").unwrap(), service: ServiceName::new("web").unwrap() };
        let declared =
            [Declared { service, place: "shop-0".into(), directory: directory.clone(), files: [files].into() }];
        let mut means = Means::default();
        means.watch(&declared);
        assert!(means.tells_all() && means.hear(), "what was there before is not told");
        File::options().append(true).open(directory.join("a.log")).unwrap().write_all(b"one\n").unwrap();
        assert!(!means.hear());
        fs::write(directory.join("b.log"), "").unwrap();
        assert!(means.hear());
        fs::rename(directory.join("b.log"), dir.path().join("b.log")).unwrap();
        assert!(means.hear() && !means.hear());
        fs::remove_dir_all(&directory).unwrap();
        assert!(means.hear() && !means.tells_all());
    }
}
