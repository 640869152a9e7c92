//! Who holds a lock on the database: `/proc/locks` (`proc_locks(5)`), so that a sentence can name the program.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The database's path with `suffix` behind its file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// `sqlite3 (pid 123)`, where another process holds a write lock on the database or its shared-memory index.
pub(super) fn of(path: &Path) -> Option<String> {
    let inodes = [path.to_owned(), beside(path, "-shm")].map(|file| fs::metadata(file).map_or(0, |found| found.ino()));
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks
        .lines()
        .filter_map(parse)
        .find_map(|(pid, inode)| (inodes.contains(&inode) && inode != 0 && pid != std::process::id()).then_some(pid))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (pid {pid})", name.trim_end()))
}

/// `1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 0 EOF`: pid and inode of a write lock.
fn parse(line: &str) -> Option<(u32, u64)> {
    let mut fields = line.split_whitespace().skip(3);
    if fields.next()? != "WRITE" {
        return None;
    }
    let pid = fields.next()?.parse().ok()?;
    let inode = fields.next()?.rsplit(':').next()?.parse().ok()?;
    Some((pid, inode))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_write_lock_names_its_holder() {
        assert_eq!(parse("1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 0 EOF"), Some((3568, 2_531_452)));
        assert_eq!(parse("1: POSIX  ADVISORY  READ 3568 fd:00:2531452 0 EOF"), None);
        assert_eq!(parse("1: -> POSIX"), None);
        assert_eq!(parse(""), None);
    }
}
