//! What is done to one log file and those that were set aside before, step by step.
//!
//! Promise: whenever it dies, no line is lost that was there before, save those that are written between the last look at a file and its emptying; what was
//! half made is removed or finished by the next pass. A file is given its number only when it is whole.
//!
//! Never: touches another number than those of the unbroken run from 1 on, for `NAME.2026` may be anybody's; removes anything but those, compressed or not, and
//! its own halves, and of these only plain files with one name; puts one file in the place of another; copies where the disk has no room.

use std::{
    fs::File,
    io::{self, Read, Write},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use rustix::fs::{FileType, OFlags, Stat, Timespec, Timestamps};

use super::{
    names,
    place::{Owners, Place, identity},
};

/// What a disk keeps free beside a copy: a hundredth of it, at most so many bytes.
const SPARE: u64 = 64 << 20;
/// What is looked at again before a file is emptied is no more than this, else once more.
const SHORT: u64 = 64 << 10;
/// So often it is looked at again: a writer that is faster than the disk is not waited for.
const LOOKS: u32 = 8;

/// What was set aside of `name`: the numbers from 1 on up to the first that is not there, ascending, each with whether it is compressed.
pub(super) fn rotated(place: &Place, name: &str) -> io::Result<Vec<(u32, bool)>> {
    let mut found = Vec::new();
    for number in 1.. {
        let before = found.len();
        for is_compressed in [false, true] {
            match place.stat(&names::rotated(name, number, is_compressed)) {
                Ok(_) => found.push((number, is_compressed)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if found.len() == before {
            break;
        }
    }
    Ok(found)
}

/// Makes room for number 1: each number one more; what would be one too many is removed.
pub(super) fn shift(place: &Place, name: &str, keep: u32) -> io::Result<()> {
    for (number, is_compressed) in rotated(place, name)?.into_iter().rev() {
        let from = names::rotated(name, number, is_compressed);
        if number >= keep {
            remove_own(place, &from)?;
        } else {
            place.rename_free(&from, &names::rotated(name, number + 1, is_compressed))?;
        }
    }
    Ok(())
}

/// Gives what was set aside under another name the number 1.
pub(super) fn settle(place: &Place, name: &str, from: &str, keep: u32) -> io::Result<()> {
    shift(place, name, keep)?;
    place.rename_free(from, &names::rotated(name, 1, false))
}

/// Removes a file that was set aside; nothing else that has its name.
fn remove_own(place: &Place, name: &str) -> io::Result<()> {
    match place.stat(name) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_nlink == 1 => {
            place.remove(name)
        }
        Ok(_) => Err(io::Error::other(format!("{name} is no file that was rotated: move it away"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A disk without room for so many bytes more, as a clause.
pub(super) fn lacks_room(place: &Place, bytes: u64) -> Option<String> {
    let (free, all) = place.room().ok()?;
    let needed = bytes.saturating_add((all / 100).min(SPARE));
    (free < needed).then(|| {
        let short = crate::model::log_file::short_bytes;
        format!(
            "its disk has {} free, and a copy needs {}: make room, or rotate it by a signal, which needs none",
            short(free),
            short(needed)
        )
    })
}

/// A copy of a file that is whole but for what comes now.
pub(super) struct Copied {
    from: File,
    pub(super) to: File,
    bytes: u64,
}

/// A file that is empty now.
#[derive(Debug)]
pub(super) struct Emptied {
    /// Bytes of its copy.
    pub(super) bytes: u64,
    /// Why the last of them may not be on disk yet. The copy is all there is of them.
    pub(super) unsure: Option<io::Error>,
}

/// Copies a file beside itself, if it is the one that was looked at and nobody objects to it. What is half made is removed where it fails.
pub(super) fn copy(place: &Place, name: &str, (looked_at, owners): (&Stat, &Owners)) -> io::Result<Copied> {
    let part = names::part(name);
    place.remove(&part)?;
    // A child that is just being made has it too for a moment: it must not be taken for a writer that would leave a hole.
    let from = place.file(name, OFlags::RDWR | OFlags::APPEND)?;
    // What is emptied is what is open, whatever has the name by then.
    let found = rustix::fs::fstat(&from)?;
    if let Some(why) = owners.objection(&found) {
        return Err(io::Error::other(why));
    }
    if identity(&found) != identity(looked_at) {
        return Err(io::Error::other("another file has its name since a moment ago"));
    }
    let made = copy_to(place, from, &part);
    if made.is_err() {
        // The next pass removes it.
        let _left = place.remove(&part);
    }
    made
}

fn copy_to(place: &Place, mut from: File, part: &str) -> io::Result<Copied> {
    let found = rustix::fs::fstat(&from)?;
    let mut to = place.create(part, found.st_mode)?;
    if rustix::process::geteuid().is_root() {
        // As the service's user reads the file itself it reads what was set aside.
        let owner = rustix::fs::Uid::from_raw(found.st_uid);
        rustix::fs::fchown(&to, Some(owner), Some(rustix::fs::Gid::from_raw(found.st_gid)))?;
    }
    let bytes = io::copy(&mut from, &mut to)?;
    to.sync_all()?;
    Ok(Copied { from, to, bytes })
}

impl Copied {
    /// Copies what was written meanwhile, until little comes.
    pub(super) fn catch_up(&mut self) -> io::Result<()> {
        for _ in 0..LOOKS {
            let copied = io::copy(&mut self.from, &mut self.to)?;
            self.bytes += copied;
            if copied < SHORT {
                break;
            }
        }
        self.to.sync_data()
    }

    /// Copies what was written since, and empties the file: what is written between these two steps is lost.
    ///
    /// On an error the file is as it was, and the copy is gone. Once the file is empty there is none: the copy is the only one then.
    pub(super) fn empty(&mut self, place: &Place, name: &str) -> io::Result<Emptied> {
        if let Err(error) = self.empty_from() {
            self.undo(place, name);
            return Err(error);
        }
        Ok(Emptied { bytes: self.bytes, unsure: self.to.sync_data().err() })
    }

    fn empty_from(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match self.from.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if read == 0 {
                // Nothing may come in between.
                return Ok(rustix::fs::ftruncate(&self.from, 0)?);
            }
            self.to.write_all(&buffer[..read])?;
            self.bytes += read as u64;
        }
    }

    /// The file is as it was, so its copy goes again, whatever it is called by now.
    pub(super) fn undo(&self, place: &Place, name: &str) {
        let Ok(copy) = rustix::fs::fstat(&self.to) else { return };
        for other in [names::part(name), names::rotated(name, 1, false)] {
            if place.stat(&other).is_ok_and(|found| identity(&found) == identity(&copy)) {
                // What is left is told by the next look at the directory.
                let _left = place.remove(&other);
            }
        }
    }
}

/// Compresses what was set aside and is not the newest; returns why that is not all done, a clause.
pub(super) fn compress_older(place: &Place, name: &str) -> io::Result<Option<String>> {
    for (number, is_compressed) in rotated(place, name)? {
        if is_compressed || number == 1 {
            continue;
        }
        let plain = names::rotated(name, number, false);
        let found = place.stat(&plain)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || found.st_nlink > 1 {
            continue;
        }
        let bytes = u64::try_from(found.st_size).unwrap_or(0);
        if let Some(why) = lacks_room(place, bytes) {
            return Ok(Some(format!("{plain} is not compressed: {why}")));
        }
        compress(place, &plain, &names::rotated(name, number, true))?;
    }
    Ok(None)
}

/// To a part, which then takes its name, and only then the plain file goes. A compressed one that is there already is of a pass that died: the plain one counts.
fn compress(place: &Place, plain: &str, compressed: &str) -> io::Result<()> {
    let part = names::part(compressed);
    place.remove(&part)?;
    let written = write_compressed(place, plain, &part)
        .and_then(|()| remove_own(place, compressed))
        .and_then(|()| place.rename_free(&part, compressed));
    if written.is_err() {
        let _left = place.remove(&part);
        return written;
    }
    place.sync()?;
    place.remove(plain)
}

fn write_compressed(place: &Place, plain: &str, part: &str) -> io::Result<()> {
    let mut from = place.file(plain, OFlags::RDONLY)?;
    let found = rustix::fs::fstat(&from)?;
    let to = place.create(part, found.st_mode)?;
    if rustix::process::geteuid().is_root() {
        let owner = rustix::fs::Uid::from_raw(found.st_uid);
        rustix::fs::fchown(&to, Some(owner), Some(rustix::fs::Gid::from_raw(found.st_gid)))?;
    }
    let mut encoder = GzEncoder::new(to, Compression::new(4));
    io::copy(&mut from, &mut encoder)?;
    let to = encoder.finish()?;
    let time = Timespec { tv_sec: found.st_mtime, tv_nsec: i64::try_from(found.st_mtime_nsec).unwrap_or(0) };
    rustix::fs::futimens(&to, &Timestamps { last_access: time, last_modification: time })?;
    // The plain one goes next: a lost power supply must not leave neither.
    to.sync_all()
}

/// Removes what is kept no longer: numbers above `keep`, and what was last written to before `oldest_us`, microseconds since the Unix epoch.
pub(super) fn prune(place: &Place, name: &str, keep: u32, oldest_us: Option<i64>) -> io::Result<()> {
    for (number, is_compressed) in rotated(place, name)? {
        let other = names::rotated(name, number, is_compressed);
        let is_old = || {
            let written = place.stat(&other).map_or(i64::MAX, |found| found.st_mtime.saturating_mul(1_000_000));
            oldest_us.is_some_and(|oldest| written < oldest)
        };
        if number > keep || is_old() {
            remove_own(place, &other)?;
        }
    }
    Ok(())
}

/// The oldest time that is kept.
pub(super) fn oldest(keep_for: Option<Duration>, now_us: i64) -> Option<i64> {
    Some(now_us.saturating_sub(i64::try_from(keep_for?.as_micros()).unwrap_or(i64::MAX)))
}

/// Removes what a pass that died has left half made of `name`.
pub(super) fn sweep(place: &Place, name: &str) -> io::Result<()> {
    remove_own(place, &names::part(name))?;
    let last = rotated(place, name)?.last().map_or(0, |(number, _)| *number);
    for number in 1..=last {
        remove_own(place, &names::part(&names::rotated(name, number, true)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, io::Read, path::Path};

    use flate2::read::GzDecoder;

    use super::*;
    use crate::model::log_file::LogFiles;

    fn at(directory: &Path) -> Place {
        let (directory, within) = (directory.to_owned(), None);
        let name = "a.log".to_owned();
        Place::open(&LogFiles { directory, name, within, prefix: String::new(), follow: true, rotate: None }).unwrap()
    }

    /// What is there, by name, unpacked.
    fn there(directory: &Path) -> BTreeMap<String, String> {
        let read = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            let mut text = String::new();
            if Path::new(&name).extension().is_some_and(|end| end == "gz") {
                GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
            } else {
                text = String::from_utf8(bytes).unwrap();
            }
            (name, text)
        };
        fs::read_dir(directory).unwrap().map(|entry| read(entry.unwrap())).collect()
    }

    fn names_in(directory: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(directory).unwrap().map(name).collect();
        names.sort_unstable();
        names
    }

    fn shown(directory: &Path) -> Vec<(String, String)> {
        there(directory).into_iter().collect()
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn each_rotation_shifts_compresses_and_drops_what_is_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        for round in 0..5 {
            fs::write(dir.path().join("a.log"), format!("{round}\n")).unwrap();
            place.rename_free("a.log", "a.log.cas-moved").unwrap();
            settle(&place, "a.log", "a.log.cas-moved", 3).unwrap();
            compress_older(&place, "a.log").unwrap();
        }
        assert_eq!(shown(dir.path()), [pair("a.log.1", "4\n"), pair("a.log.2.gz", "3\n"), pair("a.log.3.gz", "2\n")]);
    }

    #[test]
    fn a_copy_has_what_came_meanwhile_and_the_file_goes_on_empty() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        let path = dir.path().join("a.log");
        fs::write(&path, "one\n").unwrap();
        let mut writer = File::options().append(true).open(&path).unwrap();
        let (found, owners) = (place.stat("a.log").unwrap(), Owners::and(Vec::new()));
        let mut copied = copy(&place, "a.log", (&found, &owners)).unwrap();
        writer.write_all(b"two\n").unwrap();
        copied.catch_up().unwrap();
        writer.write_all(b"three\n").unwrap();
        settle(&place, "a.log", "a.log.cas-part", 3).unwrap();
        let emptied = copied.empty(&place, "a.log").unwrap();
        assert_eq!((emptied.bytes, emptied.unsure.is_none()), (14, true));
        writer.write_all(b"four\n").unwrap();
        assert_eq!(shown(dir.path()), [pair("a.log", "four\n"), pair("a.log.1", "one\ntwo\nthree\n")]);
    }

    #[test]
    fn a_copy_whose_disk_fails_after_the_emptying_is_the_only_one_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        let (path, copy) = (dir.path().join("a.log"), dir.path().join("a.log.1"));
        fs::write(&path, "one\n").unwrap();
        // A pipe takes what is written, and cannot be brought to disk.
        rustix::fs::mkfifoat(rustix::fs::CWD, &copy, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let to = File::options().read(true).write(true).open(&copy).unwrap();
        let from = File::options().read(true).append(true).open(&path).unwrap();
        let emptied = Copied { from, to, bytes: 0 }.empty(&place, "a.log").unwrap();
        assert_eq!((emptied.bytes, emptied.unsure.is_some()), (4, true));
        assert!(fs::read(&path).unwrap().is_empty() && copy.exists());
    }

    #[test]
    fn a_copy_of_a_file_that_could_not_be_emptied_goes_again() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        let (path, copy) = (dir.path().join("a.log"), dir.path().join("a.log.1"));
        for file in [&path, &copy] {
            fs::write(file, "one\n").unwrap();
        }
        let (from, to) = (File::open(&path).unwrap(), File::options().append(true).open(&copy).unwrap());
        assert!(Copied { from, to, bytes: 0 }.empty(&place, "a.log").is_err(), "it is open to read only");
        assert_eq!(shown(dir.path()), [pair("a.log", "one\n")]);
    }

    #[test]
    fn a_file_that_took_the_name_meanwhile_is_neither_copied_nor_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        let path = dir.path().join("a.log");
        fs::write(&path, "looked at\n").unwrap();
        let owners = Owners::and(Vec::new());
        let found = place.stat("a.log").unwrap();
        fs::rename(&path, dir.path().join("b.log")).unwrap();
        fs::write(&path, "of somebody\n").unwrap();
        assert!(
            copy(&place, "a.log", (&found, &owners)).is_err_and(|error| error.to_string().contains("another file"))
        );
        // The same file, with a second name by now.
        let found = place.stat("a.log").unwrap();
        fs::hard_link(&path, dir.path().join("c.log")).unwrap();
        assert!(copy(&place, "a.log", (&found, &owners)).is_err_and(|error| error.to_string().contains("hard links")));
        assert!(!dir.path().join("a.log.cas-part").exists());
    }

    #[test]
    fn whatever_was_half_done_is_done_by_the_next_pass() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        put("a.log", "now\n");
        put("a.log.cas-part", "half a co");
        put("a.log.1", "new\n");
        put("a.log.2", "older\n");
        // Died between the rename of the compressed file and the removal of the plain one.
        put("a.log.3", "oldest\n");
        put("a.log.3.gz", "");
        put("a.log.3.gz.cas-part", "half a file");
        put("a.log.note.cas-part", "of somebody");
        sweep(&place, "a.log").unwrap();
        compress_older(&place, "a.log").unwrap();
        assert_eq!(
            shown(dir.path()),
            [
                pair("a.log", "now\n"),
                pair("a.log.1", "new\n"),
                pair("a.log.2.gz", "older\n"),
                pair("a.log.3.gz", "oldest\n"),
                pair("a.log.note.cas-part", "of somebody"),
            ]
        );
        // Died while the numbers were shifted: the gap is filled, not shifted over.
        fs::rename(dir.path().join("a.log.1"), dir.path().join("a.log.cas-moved")).unwrap();
        settle(&place, "a.log", "a.log.cas-moved", 7).unwrap();
        assert_eq!(there(dir.path())["a.log.1"], "new\n");
        assert_eq!(there(dir.path())["a.log.2.gz"], "older\n");
    }

    #[test]
    fn a_number_beyond_the_unbroken_run_is_somebody_elses_file() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        for name in ["a.log.1", "a.log.2.gz", "a.log.2024", "a.log.4", "a.log.99.gz", "a.log.2024.gz.cas-part"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::write(dir.path().join("a.log.cas-moved"), "").unwrap();
        sweep(&place, "a.log").unwrap();
        prune(&place, "a.log", 7, Some(i64::MAX)).unwrap();
        prune(&place, "a.log", 1, None).unwrap();
        compress_older(&place, "a.log").unwrap();
        settle(&place, "a.log", "a.log.cas-moved", 1).unwrap();
        assert_eq!(names_in(dir.path()), ["a.log.1", "a.log.2024", "a.log.2024.gz.cas-part", "a.log.4", "a.log.99.gz"]);
    }

    #[test]
    fn what_is_kept_no_longer_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        for name in ["a.log", "a.log.1", "a.log.2.gz", "a.log.3", "a.log.4.gz", "a.log.bak", "b.log.4", "a.log.05"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("a.log.5")).unwrap();
        assert!(prune(&place, "a.log", 4, None).is_err(), "a directory is nobody's rotated file");
        fs::remove_dir(dir.path().join("a.log.5")).unwrap();
        prune(&place, "a.log", 2, None).unwrap();
        assert_eq!(names_in(dir.path()), ["a.log", "a.log.05", "a.log.1", "a.log.2.gz", "a.log.bak", "b.log.4"]);
        prune(&place, "a.log", 7, Some(i64::MAX)).unwrap();
        assert_eq!(names_in(dir.path()), ["a.log", "a.log.05", "a.log.bak", "b.log.4"]);
        assert_eq!(oldest(Some(Duration::from_secs(1)), 3_000_000), Some(2_000_000));
    }

    #[test]
    fn the_newest_keeps_its_number_where_only_one_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        for text in ["one", "two"] {
            fs::write(dir.path().join("a.log.cas-moved"), text).unwrap();
            settle(&place, "a.log", "a.log.cas-moved", 1).unwrap();
        }
        assert_eq!(shown(dir.path()), [pair("a.log.1", "two")]);
    }

    #[test]
    fn a_link_in_the_place_of_a_rotated_file_is_neither_followed_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let place = at(dir.path());
        fs::write(dir.path().join("precious"), "kept").unwrap();
        std::os::unix::fs::symlink("precious", dir.path().join("a.log.1")).unwrap();
        fs::write(dir.path().join("a.log.cas-moved"), "x").unwrap();
        assert!(settle(&place, "a.log", "a.log.cas-moved", 1).is_err());
        assert_eq!(fs::read_to_string(dir.path().join("precious")).unwrap(), "kept");
        assert!(dir.path().join("a.log.1").is_symlink());
    }
}
