//! Where cas keeps its own things, by the XDG base directory specification. Promise: directories are the user's alone (0700) or
//! are refused, and that of sockets and locks is looked at through a descriptor that followed no symbolic link. Never: creates the
//! user's configuration directory.

use std::{
    collections::BTreeMap,
    env,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use directories::ProjectDirs;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::Sentence;
use crate::model::ids::ProjectName;

/// Longest path of a socket that is used, in bytes; the system's limit is 108 with the closing NUL (unix(7)).
const LONGEST_SOCKET: usize = 100;

/// The directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// What must survive a reboot: database, logs. `CAS_STATE_DIR`, else `$XDG_STATE_HOME/cas`.
    pub state: PathBuf,
    /// Sockets and locks. `CAS_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/cas`, else `/run/user/UID/cas`, else `/tmp/cas-UID`.
    pub runtime: PathBuf,
    /// The user's own files. `CAS_CONFIG_DIR`, else `$XDG_CONFIG_HOME/cas`.
    pub config: PathBuf,
    /// What may be deleted at any time. `$XDG_CACHE_HOME/cas`, or `cache` in `CAS_STATE_DIR` where that is set.
    pub cache: PathBuf,
}

impl Paths {
    /// From the environment of this process.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| env::var_os(name).map(PathBuf::from))
    }

    /// From the overrides that `lookup` knows (`CAS_STATE_DIR`, `CAS_RUNTIME_DIR`, `CAS_CONFIG_DIR`); empty ones do not count.
    #[must_use]
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let given = |name: &str| {
            lookup(name)
                .filter(|path| !path.as_os_str().is_empty())
                .map(|path| std::path::absolute(&path).unwrap_or(path))
        };
        let dirs = ProjectDirs::from("", "", "cas");
        let dirs = dirs.as_ref();
        let private = private_fallback();
        let state = given("CAS_STATE_DIR");
        Self {
            cache: match (&state, dirs) {
                (Some(state), _) => state.join("cache"),
                (None, Some(dirs)) => dirs.cache_dir().to_owned(),
                (None, None) => private.join("cache"),
            },
            state: state
                .or_else(|| dirs.and_then(ProjectDirs::state_dir).map(Path::to_owned))
                .unwrap_or_else(|| private.join("state")),
            runtime: given("CAS_RUNTIME_DIR")
                .or_else(|| dirs.and_then(ProjectDirs::runtime_dir).map(Path::to_owned))
                .or_else(user_runtime)
                .unwrap_or_else(|| private.clone()),
            config: given("CAS_CONFIG_DIR")
                .unwrap_or_else(|| dirs.map_or_else(|| private.join("config"), |dirs| dirs.config_dir().to_owned())),
        }
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.join("cas.db")
    }

    /// Key of a project's place in the state directory: its name, and sixteen hexadecimal digits of its real directory, so that
    /// two projects of one name have two places.
    #[must_use]
    pub fn place(name: &ProjectName, root: &Path) -> String {
        let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        format!("{name}-{:016x}", fnv1a(real.as_os_str().as_encoded_bytes()))
    }

    /// What cas keeps of a project for the next engine: `journal`, and `slots/SERVICE/` (see [`crate::shim_format`]).
    #[must_use]
    pub fn project_dir(&self, place: &str) -> PathBuf {
        self.state.join("projects").join(place)
    }

    /// The socket of the daemon.
    #[must_use]
    pub fn daemon_socket(&self) -> PathBuf {
        let socket = self.runtime.join("daemon.sock");
        if socket.as_os_str().len() < LONGEST_SOCKET { socket } else { private_fallback().join("daemon.sock") }
    }

    /// The log of cas itself.
    #[must_use]
    pub fn trace(&self) -> PathBuf {
        self.state.join("cas.log")
    }

    /// The user's file.
    #[must_use]
    pub fn user_config(&self) -> PathBuf {
        self.config.join("config.yaml")
    }

    /// The user's file for whoever has the environment `env`, which need not be that of this process: a daemon opens projects for others' shells.
    #[must_use]
    pub fn user_config_of(env: &BTreeMap<String, String>) -> Option<PathBuf> {
        let given = |name: &str| env.get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let below = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
        let directory = given("CAS_CONFIG_DIR")
            .or_else(|| given("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).map(|path| path.join("cas")))
            .or_else(|| given("HOME").map(|home| home.join(below).join("cas")));
        directory.map(|directory| directory.join("config.yaml"))
    }

    /// Directory of the user's own themes.
    #[must_use]
    pub fn themes(&self) -> PathBuf {
        self.config.join("themes")
    }

    /// The socket of a project's engine: always the same for the same real directory, short enough for the system.
    #[must_use]
    pub fn socket(&self, project_root: &Path) -> PathBuf {
        let real = project_root.canonicalize().unwrap_or_else(|_| project_root.to_owned());
        let name = format!("{:016x}.sock", fnv1a(real.as_os_str().as_encoded_bytes()));
        let socket = self.runtime.join(&name);
        if socket.as_os_str().len() < LONGEST_SOCKET { socket } else { private_fallback().join(name) }
    }

    /// Makes the directories for state, logs, runtime and cache where they are not there, readable to the user alone, and checks
    /// those that are, the configuration's among them.
    ///
    /// # Errors
    /// A sentence that names the directory: it cannot be made, belongs to someone else, or others can write into it.
    pub fn ensure(&self) -> Result<(), Sentence> {
        for directory in [&self.state, &self.cache] {
            make(directory)?;
            check(directory)?;
        }
        make(&self.runtime)?;
        check_runtime(&self.runtime)?;
        if self.config.exists() { check(&self.config) } else { Ok(()) }
    }

    /// Makes and checks the directory of a socket, which is another than [`Paths::runtime`] where that one's path is too long.
    ///
    /// # Errors
    /// As [`Paths::ensure`]; a symbolic link in its place, or one that others can enter, is refused, too.
    pub fn ensure_for_socket(&self, socket: &Path) -> Result<(), Sentence> {
        let Some(directory) = socket.parent() else { return Ok(()) };
        make(directory)?;
        check_runtime(directory)
    }
}

fn make(directory: &Path) -> Result<(), Sentence> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        Sentence(format!(
            "the directory {} cannot be made: {error}; set CAS_STATE_DIR and CAS_RUNTIME_DIR to directories that can",
            directory.display()
        ))
    })
}

fn check(directory: &Path) -> Result<(), Sentence> {
    let about = std::fs::metadata(directory).map_err(|error| unreadable(directory, &error))?;
    if !about.is_dir() {
        return Err(Sentence(format!("{} is not a directory; move it away", directory.display())));
    }
    check_owner(directory, about.uid(), about.mode())
}

fn unreadable(directory: &Path, error: &std::io::Error) -> Sentence {
    Sentence(format!("the directory {} cannot be read: {error}", directory.display()))
}

fn check_owner(directory: &Path, uid: u32, mode: u32) -> Result<(), Sentence> {
    let shown = directory.display();
    if uid != rustix::process::geteuid().as_raw() {
        return Err(Sentence(format!(
            "the directory {shown} belongs to another user (uid {uid}); remove it, or set CAS_STATE_DIR and CAS_RUNTIME_DIR"
        )));
    }
    if mode & 0o022 != 0 {
        return Err(Sentence(format!(
            "others can write into the directory {shown} (mode {:03o}); run chmod go-w {shown}",
            mode & 0o777
        )));
    }
    Ok(())
}

/// The directory of sockets and locks: what is looked at is what was opened, whatever is put in its place meanwhile. A group may pass
/// through it (0710) to the read-only socket that was opened to it.
fn check_runtime(directory: &Path) -> Result<(), Sentence> {
    let shown = directory.display();
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(directory, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::LOOP | Errno::NOTDIR) if directory.is_symlink() => {
            return Err(Sentence(format!(
                "{shown} is a symbolic link where the directory of cas's sockets belongs; remove it, or set CAS_RUNTIME_DIR"
            )));
        }
        Err(Errno::NOTDIR) => return Err(Sentence(format!("{shown} is not a directory; move it away"))),
        Err(error) => return Err(unreadable(directory, &error.into())),
    };
    let about = rustix::fs::fstat(&opened).map_err(|error| unreadable(directory, &error.into()))?;
    check_owner(directory, about.st_uid, about.st_mode)?;
    if about.st_mode & 0o067 != 0 {
        return Err(Sentence(format!(
            "others can enter the directory of cas's sockets {shown} (mode {:03o}); run chmod 700 {shown}",
            about.st_mode & 0o777
        )));
    }
    Ok(())
}

/// `/tmp/cas-UID`: short, and checked by [`Paths::ensure`] before it is used.
fn private_fallback() -> PathBuf {
    PathBuf::from(format!("/tmp/cas-{}", rustix::process::getuid().as_raw()))
}

/// Where systemd keeps the user's runtime files, also where no variable says so (sudo, cron).
fn user_runtime() -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let directory = PathBuf::from(format!("/run/user/{uid}"));
    let about = directory.metadata().ok()?;
    (about.is_dir() && about.uid() == uid).then(|| directory.join("cas"))
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): the same in every build, which the standard library's hash is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
