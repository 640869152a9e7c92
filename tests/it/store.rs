//! What is kept on disk: the database and the output of services, with the faults that disks have.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails there")]

mod database;
mod faults;
mod registry;
mod repair;
mod taken;

use std::{
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use cas::model::{
    ids::{ProjectName, RunId, ServiceName},
    policy::Origin,
    time::Timestamp,
    timeline::{Entry, What},
};

/// What a store or a log writer said, newest last.
#[derive(Clone, Default)]
struct Troubles(Arc<Mutex<Vec<Option<String>>>>);

impl Troubles {
    fn listener(&self) -> impl Fn(Option<String>) + Send + 'static {
        let said = Arc::clone(&self.0);
        move |text| said.lock().unwrap().push(text)
    }

    fn all(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().clone()
    }

    /// What is wrong now.
    fn now(&self) -> Option<String> {
        self.all().last().cloned().flatten()
    }

    fn has_said(&self, words: &str) -> bool {
        self.all().iter().flatten().any(|text| text.contains(words))
    }
}

fn entry(seq: u64, project: &str, service: &str, what: What) -> Entry {
    Entry {
        seq,
        at: Timestamp { mono_us: seq * 10, wall_us: 1_700_000_000_000_000 + i64::try_from(seq).unwrap() },
        project: Some(ProjectName::new(project).unwrap()),
        service: Some(ServiceName::new(service).unwrap()),
        run: Some(RunId(seq)),
        who: Origin::Healer,
        what,
        why: format!("reason {seq}"),
    }
}

fn simple(seq: u64) -> Entry {
    entry(seq, "shop", "web", What::Stopped)
}

/// Runs an ignored test of this binary in a process with a file system of its own, of `size`, at `CAS_TEST_DIR`; where none may
/// be made, says so.
#[track_caller]
pub(crate) fn run_in_small_file_system(size: &str, test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=\"$2\" none \"$1\" || exit 97; shift 2; exec \"$@\"";
    let user: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let output = Command::new("unshare")
        .args(user)
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(size)
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("CAS_TEST_DIR", dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(97) || told.contains("unshare failed") {
        // As a user who may not, on a machine that forbids it; root always may.
        assert!(!user.is_empty(), "a file system of its own: {told}");
        return;
    }
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(output.status.success() && ran, "{test}: {told}\n{}", String::from_utf8_lossy(&output.stdout));
}

/// Gives the file system that [`run_in_small_file_system`] made another size.
#[track_caller]
pub(crate) fn grow(dir: &Path, size: &str) {
    remount(dir, &format!("remount,size={size}"));
}

/// The same with any options.
#[track_caller]
pub(crate) fn remount(dir: &Path, options: &str) {
    assert!(Command::new("mount").args(["-o", options]).arg(dir).status().unwrap().success(), "{options}");
}

/// A directory in memory where there is one, for tests that make files by the hundred.
pub(crate) fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}
