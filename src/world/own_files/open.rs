//! What the kernel says of processes of a service: which files they have open to write, and whether one catches a signal.
//!
//! Never: opens one of these files. What may not be looked into is taken for nothing.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::place::Identity;
use crate::model::signal::Signal;

/// Processes of a service that are looked into.
const MOST_PROCESSES: usize = 256;
/// Descriptors of a process that are looked at.
const MOST_DESCRIPTORS: usize = 4096;
/// Flags of open(2), as `fdinfo` has them in octal: what a file is opened for, and to append.
const ACCESS: u32 = 0o3;
const APPEND: u32 = 0o2000;

/// A file that somebody has open to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Every one of them appends.
    pub(super) appends: bool,
}

/// Plain files that these processes have open to write, by what tells them apart.
pub(super) fn written(processes: &[u32]) -> BTreeMap<Identity, Written> {
    let mut found: BTreeMap<Identity, Written> = BTreeMap::new();
    for pid in processes.iter().take(MOST_PROCESSES) {
        // Gone meanwhile, or not ours to look into.
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for descriptor in descriptors.flatten().take(MOST_DESCRIPTORS) {
            let Some((path, told)) = plain(*pid, &descriptor.path()) else { continue };
            let Ok(about) = fs::metadata(descriptor.path()) else { continue };
            if !about.is_file() || about.nlink() == 0 {
                continue;
            }
            // A shell changes what a number means for each `echo >&3`: what was told may have been of another file. Kernels before 5.14 do not say.
            // Some file systems never tell the same number: there it stays as it is told.
            let is_other = told.inode.is_some_and(|inode| inode != about.ino());
            if is_other && plain(*pid, &descriptor.path()).is_none_or(|(_, again)| again != told) {
                continue;
            }
            let flags = told.flags;
            let appends = flags & APPEND != 0;
            found.entry((about.dev(), about.ino())).and_modify(|one| one.appends &= appends).or_insert(Written {
                path,
                bytes: about.len(),
                appends,
            });
        }
    }
    found
}

/// The path of a descriptor that writes to something with a path, and its flags.
fn plain(pid: u32, descriptor: &Path) -> Option<(PathBuf, Told)> {
    let path = fs::read_link(descriptor).ok()?;
    // `pipe:[1]`, `socket:[1]`, `anon_inode:…`; devices are no files. Those in memory are.
    let is_device = path.starts_with("/dev") && !path.starts_with("/dev/shm");
    if !path.is_absolute() || is_device || path.starts_with("/proc") || path.starts_with("/sys") {
        return None;
    }
    let number = descriptor.file_name()?.to_str()?;
    let about = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    let told = told_of(&about)?;
    (told.flags & ACCESS != 0).then_some((path, told))
}

/// What the kernel tells of a descriptor.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    flags: u32,
    inode: Option<u64>,
}

fn told_of(fdinfo: &str) -> Option<Told> {
    let of = |name: &str| fdinfo.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let flags = u32::from_str_radix(of("flags:")?, 8).ok()?;
    Some(Told { flags, inode: of("ino:").and_then(|inode| inode.parse().ok()) })
}

/// Whether a path looks like that of a log file.
pub(super) fn looks_like_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let ends = [".log", ".err", ".out", "_log", "-log"];
    let is_named = ends.iter().any(|end| name.ends_with(end)) || name == "log" || name.contains(".log.");
    // Data of a database may lie in a directory of that name, too: there only what is named as text is meant.
    let directory = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let is_text = Path::new(&name).extension().is_none_or(|end| end == "txt" || end == "json");
    let is_in_logs = matches!(directory.as_str(), "log" | "logs") && is_text;
    is_named || is_in_logs
}

/// Whether a process catches a signal; none where that cannot be seen.
pub(super) fn catches(pid: u32, signal: Signal) -> Option<bool> {
    caught(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, signal)
}

fn caught(status: &str, signal: Signal) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask >> (signal.number() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, path::Path};

    use super::{Told, caught, looks_like_log, told_of, written};
    use crate::model::signal::Signal;

    #[test]
    fn what_a_process_has_open_to_write_is_found_and_how_it_writes() {
        // On the disk and, where there is one, in memory: file systems number their files each in its own way.
        let memory = Path::new("/dev/shm");
        let dirs = [Some(tempfile::tempdir().unwrap()), tempfile::tempdir_in(memory).ok()];
        for dir in dirs.iter().flatten() {
            let path = |name: &str| dir.path().join(name);
            let _appends = File::options().create(true).append(true).open(path("a.log")).unwrap();
            let _overwrites = File::create(path("b.log")).unwrap();
            std::fs::write(path("c.log"), "x").unwrap();
            let _reads = File::open(path("c.log")).unwrap();
            let found = written(&[std::process::id()]);
            let of = |name: &str| found.values().find(|one| one.path == path(name)).map(|one| one.appends);
            assert_eq!((of("a.log"), of("b.log"), of("c.log")), (Some(true), Some(false), None), "{dir:?}");
        }
    }

    #[test]
    fn names_of_logs_are_told_from_those_of_data() {
        for (path, is_log) in [
            ("/srv/log/production.log", true),
            ("/var/log/nginx/access.log", true),
            ("/srv/web.err", true),
            ("/srv/logs/today", true),
            ("/srv/app/puma.stdout.log.1", true),
            ("/var/lib/postgresql/pg_wal/000000010000000000000001", false),
            ("/srv/data/base/16384/2619", false),
            ("/srv/catalog.db", false),
            ("/srv/log/index.sqlite3", false),
            ("/srv/dump.rdb", false),
        ] {
            assert_eq!(looks_like_log(Path::new(path)), is_log, "{path}");
        }
    }

    #[test]
    fn masks_and_flags_are_read_as_the_kernel_writes_them() {
        let told = Some(Told { flags: 0o102_001, inode: None });
        assert_eq!(told_of("pos:\t0\nflags:\t0102001\nmnt_id:\t29\n"), told);
        let told = told.map(|told| Told { inode: Some(77), ..told });
        assert_eq!(told_of("pos:\t0\nflags:\t0102001\nmnt_id:\t29\nino:\t77\n"), told);
        let status = "Name:\tnginx\nSigIgn:\t0000000040001000\nSigCgt:\t0000000000004201\n";
        let known = [Signal::Hup, Signal::Usr1, Signal::Usr2, Signal::Kill].map(|signal| caught(status, signal));
        assert_eq!(known, [Some(true), Some(true), Some(false), Some(false)]);
        assert_eq!(caught("Name:\tx\n", Signal::Hup), None);
    }
}
