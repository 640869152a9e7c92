//! The directory of log files, held open, so that what is done to one of them is done to no other.
//!
//! Never: follows a symbolic link to a file, leaves the service's directory by one, waits at a pipe, or touches a file that is not a plain one, belongs to a
//! third user, or has a second name.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat},
    io::Errno,
};

use super::names;
use crate::model::log_file::{LogFiles, MOST_FILES};

/// A directory with more names is not looked through: what is known of half of them is not known.
const MOST_NAMES: usize = 10_000;
/// How a directory is opened.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Who may own a log file: ourselves, and whoever the processes of the service run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owners {
    ours: u32,
    service: Vec<u32>,
}

impl Owners {
    /// Ourselves, and those users.
    pub(super) fn and(service: Vec<u32>) -> Self {
        Self { ours: rustix::process::geteuid().as_raw(), service }
    }

    /// Why a file is left alone, a clause; none: it is not.
    pub(super) fn objection(&self, found: &Stat) -> Option<String> {
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            let kind = if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
                "a symbolic link"
            } else {
                "no plain file"
            };
            return Some(format!("it is {kind}: name the file itself"));
        }
        if found.st_uid != self.ours && !self.service.contains(&found.st_uid) {
            return Some(format!("it belongs to user {}, who is neither cas nor the service", found.st_uid));
        }
        (found.st_nlink > 1).then(|| format!("it has {} names (hard links): another may be meant", found.st_nlink))
    }
}

/// What tells one file from another.
pub(super) type Identity = (u64, u64);

/// That of a file.
pub(super) const fn identity(found: &Stat) -> Identity {
    (found.st_dev, found.st_ino)
}

/// A directory of log files.
#[derive(Debug)]
pub(super) struct Place(OwnedFd);

impl Place {
    /// Opens the directory of declared files.
    pub(super) fn open(files: &LogFiles) -> io::Result<Self> {
        let Some(within) = &files.within else {
            return Ok(Self(rustix::fs::openat(CWD, &files.directory, DIRECTORY, Mode::empty())?));
        };
        let root = rustix::fs::openat(CWD, within, DIRECTORY, Mode::empty())?;
        let below = files.directory.strip_prefix(within).unwrap_or(Path::new("."));
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&root, below, DIRECTORY, Mode::empty(), resolve) {
            Ok(directory) => Ok(Self(directory)),
            // Before Linux 5.6, or where a filter of system calls does not know it.
            Err(Errno::NOSYS | Errno::PERM) => {
                let (real, root) = (files.directory.canonicalize()?, within.canonicalize()?);
                if !real.starts_with(&root) {
                    return Err(Errno::XDEV.into());
                }
                Ok(Self(rustix::fs::openat(CWD, &real, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Names of the files that are meant, those that were written last first where there are too many; sorted.
    pub(super) fn names(&self, files: &LogFiles) -> io::Result<Vec<String>> {
        if !files.is_pattern() {
            return Ok(if self.stat(&files.name).is_ok() { vec![files.name.clone()] } else { Vec::new() });
        }
        let mut found: Vec<(i64, String)> = Vec::new();
        for name in self.all_names()? {
            if files.matches(&name)
                && !names::is_set_aside(&name)
                && let Ok(stat) = self.stat(&name)
            {
                found.push((stat.st_mtime, name));
            }
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.truncate(MOST_FILES);
        let mut names: Vec<String> = found.into_iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Every name that is text; an error where there are too many.
    pub(super) fn all_names(&self) -> io::Result<Vec<String>> {
        self.names_up_to(MOST_NAMES)
    }

    fn names_up_to(&self, most: usize) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            if let Ok(name) = entry?.file_name().to_owned().into_string()
                && name != "."
                && name != ".."
            {
                names.push(name);
            }
            if names.len() > most {
                return Err(io::Error::other(format!(
                    "its directory has more than {most} files, too many to look through: name the file without * and ?, or move old ones away"
                )));
            }
        }
        Ok(names)
    }

    /// What a name stands for; a link for itself.
    pub(super) fn stat(&self, name: &str) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Opens a plain file; a pipe is not waited for.
    pub(super) fn file(&self, name: &str, access: OFlags) -> io::Result<File> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, Mode::empty())?))
    }

    /// Makes a file that is not there, with these permissions.
    pub(super) fn create(&self, name: &str, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777))?;
        Ok(File::from(file))
    }

    /// Gives a file another name that nothing has.
    pub(super) fn rename_free(&self, from: &str, to: &str) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => self.link_free(from, to),
            done => Ok(done?),
        }
    }

    /// The same on a file system that cannot rename so: for a moment the file has both names.
    fn link_free(&self, from: &str, to: &str) -> io::Result<()> {
        rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())?;
        self.remove(from)
    }

    /// Removes a name. One that is gone is removed.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the names on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Bytes that are free on its disk, and that there are in all.
    pub(super) fn room(&self) -> io::Result<(u64, u64)> {
        let disk = rustix::fs::fstatvfs(self.0.as_fd())?;
        Ok((disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize)))
    }
}

/// Why a place cannot be opened, as a clause.
pub(super) fn why_closed(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::XDEV) => "the way to it leaves the service's directory by a symbolic link".to_owned(),
        Some(Errno::NOENT) => "its directory is not there (yet)".to_owned(),
        Some(_) => format!("its directory cannot be opened: {error}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Owners, Place};
    use crate::model::log_file::LogFiles;

    fn files(root: &Path, below: &str, name: &str) -> LogFiles {
        let (directory, within) = (root.join(below), Some(root.to_owned()));
        LogFiles { directory, name: name.to_owned(), within, prefix: String::new(), follow: true, rotate: None }
    }

    #[test]
    fn a_link_does_not_lead_out_of_the_service_and_one_within_it_does_not_matter() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("web");
        fs::create_dir_all(root.join("real")).unwrap();
        fs::create_dir(place.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("real", root.join("inside")).unwrap();
        std::os::unix::fs::symlink("../outside", root.join("leaves")).unwrap();
        assert!(Place::open(&files(&root, "inside", "a")).is_ok());
        assert!(Place::open(&files(&root, "", "a")).is_ok());
        let error = Place::open(&files(&root, "leaves", "a")).unwrap_err();
        assert!(super::why_closed(&error).contains("leaves"), "{error}");
    }

    #[test]
    fn only_plain_files_with_one_name_and_a_known_owner_are_touched() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a.log"), "a").unwrap();
        fs::write(place.path().join("b.log"), "b").unwrap();
        fs::hard_link(place.path().join("b.log"), place.path().join("c.log")).unwrap();
        std::os::unix::fs::symlink("a.log", place.path().join("d.log")).unwrap();
        fs::create_dir(place.path().join("e.log")).unwrap();
        let at = Place::open(&files(place.path(), "", "*.log")).unwrap();
        let owners = Owners::and(Vec::new());
        let judged = ["a.log", "b.log", "d.log", "e.log"].map(|name| owners.objection(&at.stat(name).unwrap()));
        assert_eq!(judged[0], None);
        for (objection, word) in judged[1..].iter().zip(["hard links", "symbolic link", "plain file"]) {
            assert!(objection.as_deref().is_some_and(|why| why.contains(word)), "{objection:?}");
        }
        let others = Owners { ours: owners.ours + 1, service: Vec::new() };
        assert!(others.objection(&at.stat("a.log").unwrap()).is_some_and(|why| why.contains("neither")));
        let of_service = Owners { service: vec![owners.ours], ..others };
        assert_eq!(of_service.objection(&at.stat("a.log").unwrap()), None);
        assert!(at.file("d.log", rustix::fs::OFlags::RDONLY).is_err(), "a link is not opened");
    }

    #[test]
    fn a_pattern_means_no_rotated_file_and_not_too_many() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a", "a.1", "a.2.gz", "a.cas-part", "b"] {
            fs::write(place.path().join(name), "x").unwrap();
        }
        let at = Place::open(&files(place.path(), "", "*")).unwrap();
        assert_eq!(at.names(&files(place.path(), "", "*")).unwrap(), ["a", "b"]);
        assert_eq!(at.names(&files(place.path(), "", "none")).unwrap(), Vec::<String>::new());
        for number in 0..40 {
            fs::write(place.path().join(format!("many-{number:02}.log")), "x").unwrap();
        }
        assert_eq!(at.names(&files(place.path(), "", "*.log")).unwrap().len(), 32);
    }

    #[test]
    fn a_name_that_something_has_is_given_to_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(&files(dir.path(), "", "*")).unwrap();
        let put = |name: &str| fs::write(dir.path().join(name), name).unwrap();
        let ways = [Place::rename_free, Place::link_free];
        for (way, to) in ways.into_iter().zip(["b", "c"]) {
            put("a");
            put(to);
            let error = way(&place, "a", to).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(dir.path().join(to)).unwrap(), to);
            fs::remove_file(dir.path().join(to)).unwrap();
            way(&place, "a", to).unwrap();
            assert_eq!(place.all_names().unwrap(), [to]);
            fs::remove_file(dir.path().join(to)).unwrap();
        }
    }

    #[test]
    fn a_directory_that_cannot_be_looked_through_is_not_known_by_half() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(&files(dir.path(), "", "*")).unwrap();
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(place.names_up_to(3).unwrap().len(), 3);
        assert!(super::why_closed(&place.names_up_to(2).unwrap_err()).contains("more than 2 files"));
    }
}
