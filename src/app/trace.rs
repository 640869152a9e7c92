//! What cas says about itself: a file in its state directory that only its owner reads. Promise: it and what was before it take no more room
//! than twice [`LIMIT_BYTES`], however long a daemon lives, and a link in its place is not followed. Never on the terminal; a secret
//! that the engine knows.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, OnceLock},
};

use rustix::fs::OFlags;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::{host::veil::Veil, model::redact::Redactor};

/// A file above this size becomes `cas.log.1`, in place of the one before it.
const LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// Begins to write to `file`, by `CAS_LOG` (`info` where it is not set); nothing where its directory is not there. Until the guard is dropped.
pub(super) fn begin(file: &Path) -> Option<WorkerGuard> {
    // A file that cannot be had is no reason not to run.
    let log = OwnLog::open(file, LIMIT_BYTES).ok()?;
    let (writer, guard) = tracing_appender::non_blocking(log);
    let filter = EnvFilter::try_from_env("CAS_LOG").unwrap_or_else(|_| EnvFilter::new("info,hyper=warn,reqwest=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).init();
    Some(guard)
}

/// What the engine of this process knows of secrets.
static VEIL: OnceLock<Veil> = OnceLock::new();

/// What is known of them without an engine.
static SHAPES: LazyLock<Arc<Redactor>> = LazyLock::new(Arc::default);

/// From now on the file shows no secret that `veil` knows.
pub(super) fn see_through(veil: &Veil) {
    // An error means that there is an engine already: a process has one.
    let _first = VEIL.set(veil.clone());
}

/// The file. Several processes write to it, a line at a time.
struct OwnLog {
    path: PathBuf,
    file: File,
    limit: u64,
}

impl OwnLog {
    fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits()).unwrap_or(0);
        let file = File::options().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        // One of an earlier cas may have been readable to others.
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(Self { path: path.to_owned(), file, limit })
    }

    /// Puts a full file aside and begins another. Where another process has done so already, only goes over to its file.
    fn turn(&mut self) -> io::Result<()> {
        let own = self.file.metadata()?;
        if own.len() < self.limit {
            return Ok(());
        }
        if std::fs::symlink_metadata(&self.path).is_ok_and(|there| there.ino() == own.ino()) {
            let mut before = self.path.clone().into_os_string();
            before.push(".1");
            std::fs::rename(&self.path, before)?;
        }
        *self = Self::open(&self.path, self.limit)?;
        Ok(())
    }
}

impl Write for OwnLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A file that cannot be turned is written to all the same.
        let _turned = self.turn();
        let text = String::from_utf8_lossy(bytes);
        let redactor = VEIL.get().and_then(Veil::redactor).unwrap_or_else(|| Arc::clone(&SHAPES));
        self.file.write_all(redactor.text(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::PermissionsExt};

    use super::OwnLog;

    #[test]
    fn it_is_its_owners_alone_and_never_larger_than_twice_its_limit() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cas.log");
        std::fs::write(&path, "from an earlier cas\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut two = [OwnLog::open(&path, 100).unwrap(), OwnLog::open(&path, 100).unwrap()];
        for number in 0..100 {
            two[number % 2].write_all(format!("line {number:03}\n").as_bytes()).unwrap();
        }
        let mut kept = String::new();
        for name in ["cas.log.1", "cas.log"] {
            let file = home.path().join(name);
            let about = std::fs::metadata(&file).unwrap();
            assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
            assert!(about.len() < 120, "{name}: {}", about.len());
            kept.push_str(&std::fs::read_to_string(file).unwrap());
        }
        let kept: Vec<usize> = kept.lines().map(|line| line[5..].parse().unwrap()).collect();
        assert!(kept.len() >= 11 && kept.windows(2).all(|two| two[1] == two[0] + 1), "the newest, in order: {kept:?}");
        assert_eq!(kept.last(), Some(&99));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (path, other) = (home.path().join("cas.log"), home.path().join("other"));
        std::fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(OwnLog::open(&path, 100).is_err());
    }
}
