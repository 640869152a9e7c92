//! What the healer wants done beside a run: a command, a clean-up of declared directories, the end of an orphan that holds a port.
//!
//! Never: removes anything outside the directories that were named, or through a link; a signal to a process without the service's own mark.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{
    Running, Shared,
    probe::beside,
    tree::stat::{environment, value_in},
};
use crate::model::{
    effect::Work,
    event::Event,
    ids::{RunId, ServiceId},
    probe::ProbeOutcome,
    service::ServiceSpec,
};

/// An orphan has so long to end by itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// Does it → `RemedyDone`; silent where the run ended first.
pub(super) async fn carry_out(
    shared: Arc<Shared>,
    running: Running,
    spec: Arc<ServiceSpec>,
    (run, work): (RunId, Work),
) {
    let (error, note) = match work {
        Work::Run(command) => match beside(&shared, &running, &spec, run, &command).await {
            None => return,
            Some(ProbeOutcome::Passed) => (None, String::new()),
            Some(ProbeOutcome::Failed(why) | ProbeOutcome::Broken(why)) => (Some(why), String::new()),
        },
        Work::Clean(paths) => {
            let cleaning = tokio::task::spawn_blocking(move || clean_all(&paths));
            match cleaning.await {
                Ok(Ok(Cleaned { entries, bytes })) => (None, format!("{entries} entries, {bytes} bytes removed")),
                Ok(Err(why)) => (Some(why), String::new()),
                Err(error) => (Some(error.to_string()), String::new()),
            }
        }
    };
    shared.tell(Event::RemedyDone { run, error, note }).await;
}

/// What was removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Cleaned {
    entries: u64,
    bytes: u64,
}

fn clean_all(paths: &[PathBuf]) -> Result<Cleaned, String> {
    let mut cleaned = Cleaned::default();
    for path in paths {
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{} cannot be cleaned: {error}", path.display())),
        };
        if real != *path {
            return Err(format!("{} is not cleaned: it leads to {}", path.display(), real.display()));
        }
        empty(&real, &mut cleaned).map_err(|error| format!("{} cannot be cleaned: {error}", path.display()))?;
    }
    Ok(cleaned)
}

fn empty(directory: &Path, cleaned: &mut Cleaned) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let about = entry.metadata()?;
        cleaned.entries += 1;
        if about.is_dir() {
            cleaned.bytes += size_of(&entry.path());
            // Follows no link (std: CVE-2022-21658).
            fs::remove_dir_all(entry.path())?;
        } else {
            cleaned.bytes += about.len();
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn size_of(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, about)| if about.is_dir() { size_of(&path) } else { about.len() })
        .sum()
}

/// Ends a process that bears the mark of a service, and is no part of a run of it that is there.
pub(super) fn end_orphan(shared: &Shared, service: &ServiceId, pid: u32) {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    // Held first, so that what is asked and what is ended is one process.
    let Ok(held) = pidfd_open(number, PidfdFlags::empty()) else { return };
    let Ok(environment) = environment(pid) else { return };
    let is_marked = value_in(&environment, "CAS_RUN").is_some()
        && value_in(&environment, "CAS_SERVICE").is_some_and(|name| name == service.to_string());
    let is_run = shared
        .forest
        .tree_of(pid)
        .is_some_and(|tree| shared.runs().values().any(|running| running.tree == tree && running.service == *service));
    if !is_marked || is_run {
        return;
    }
    // Errors mean that it is gone, or another user's: the next look at the port tells.
    let _asked = pidfd_send_signal(&held, Signal::TERM);
    let patience = rustix::event::Timespec { tv_sec: i64::try_from(PATIENCE.as_secs()).unwrap_or(2), tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&held, PollFlags::IN)], Some(&patience));
    if !matches!(ended, Ok(1..)) {
        let _killed = pidfd_send_signal(&held, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::{Cleaned, clean_all};

    #[test]
    fn a_clean_up_empties_its_directory_and_touches_nothing_that_links_lead_to() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("cache/deep")).unwrap();
        fs::create_dir_all(root.join("precious")).unwrap();
        fs::write(root.join("precious/gold"), "gold").unwrap();
        fs::write(root.join("cache/a"), "four").unwrap();
        fs::write(root.join("cache/deep/b"), "sixsix").unwrap();
        symlink(root.join("precious"), root.join("cache/link")).unwrap();
        symlink(root.join("precious"), root.join("other")).unwrap();
        let Cleaned { entries, bytes } = clean_all(&[root.join("cache")]).unwrap();
        assert_eq!(entries, 3);
        assert!(bytes >= 10, "{bytes}");
        assert_eq!(fs::read_dir(root.join("cache")).unwrap().count(), 0);
        assert!(root.join("precious/gold").exists());
        let refused = clean_all(&[root.join("other")]).unwrap_err();
        assert!(refused.contains("it leads to"), "{refused}");
        assert!(root.join("precious/gold").exists());
        assert_eq!(clean_all(&[root.join("absent")]), Ok(Cleaned::default()));
    }
}
