//! The listening side: one socket for the owner, and beside it one that only shows.
//!
//! What stands on them is the table in `routes`; the document of it is `GET /v1/openapi.json`. Never on TCP.

use std::{
    fmt, io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::Mode;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    connection::Admitted,
    desk::{Access, Desk},
    door::{self, Door, SEATS},
    lock::{Lock, open_directory, remove_stale},
    own::Own,
    routes,
    wire::{CheckView, QueueView, SlotsView},
};
use crate::{
    host::handle::Handle,
    model::{ids::ServiceId, log::LogBatch},
};

/// What the host knows of itself and the socket cannot see.
#[derive(Debug, Clone, Default)]
pub struct SelfFacts {
    /// Queues by name.
    pub queues: std::collections::BTreeMap<String, QueueView>,
    /// What was dropped since the start, by what it was.
    pub dropped: std::collections::BTreeMap<String, u64>,
    /// The last thing that went wrong with cas itself.
    pub last_error: Option<String>,
    /// What was looked at just now.
    pub checks: Vec<CheckView>,
    /// Slots and their shims.
    pub slots: SlotsView,
}

/// Supplies [`SelfFacts`] whenever somebody asks; must not wait for anything. A closure will do.
pub trait SelfSource: Send + Sync {
    /// The facts now.
    fn facts(&self) -> SelfFacts;
}

impl<F: Fn() -> SelfFacts + Send + Sync> SelfSource for F {
    fn facts(&self) -> SelfFacts {
        self()
    }
}

/// Which lines of what is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredRange {
    /// Whose; empty: all.
    pub services: Vec<ServiceId>,
    /// From here on, microseconds since the Unix epoch.
    pub since_us: Option<i64>,
    /// Up to here.
    pub until_us: Option<i64>,
    /// Of each service at least its newest so many lines, where there are so many; older ones need not be read. None: all.
    pub tail: Option<usize>,
}

/// Reads output that is no longer in memory, archives included. Called where it may block.
pub trait StoredLogs: Send + Sync {
    /// Gives the batches of the range to `each`, oldest first, until it breaks off.
    ///
    /// # Errors
    /// A sentence.
    fn read(&self, range: &StoredRange, each: &mut dyn FnMut(&LogBatch) -> ControlFlow<()>) -> Result<(), String>;
}

/// How to serve.
#[derive(Clone)]
pub struct ServeOptions {
    /// Serve a second socket that only shows ([`read_only_path`]).
    pub read_only_socket: bool,
    /// Number of the group whose members may use the read-only socket: it is then 0660 and its directory 0710.
    pub group: Option<u32>,
    /// What the host knows of itself.
    pub self_source: Arc<dyn SelfSource>,
    /// What is stored of output; none: `GET /v1/logs` has what is in memory.
    pub stored_logs: Option<Arc<dyn StoredLogs>>,
}

impl Default for ServeOptions {
    /// With the read-only socket for the owner, and no more than this module can see by itself.
    fn default() -> Self {
        Self { read_only_socket: true, group: None, self_source: Arc::new(SelfFacts::default), stored_logs: None }
    }
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("read_only_socket", &self.read_only_socket)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

/// The number of a group for [`ServeOptions::group`]: a name of `/etc/group`, or the number itself.
///
/// # Errors
/// A sentence: there is no such group.
pub fn group_number(group: &str) -> Result<u32, String> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let groups =
        std::fs::read_to_string("/etc/group").map_err(|error| format!("/etc/group cannot be read: {error}"))?;
    let mut lines = groups.lines().map(|line| line.split(':'));
    lines
        .find_map(|mut fields| (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?)
        .ok_or_else(|| format!("there is no group \"{group}\" in /etc/group"))
}

/// The read-only socket beside `socket`: `NAME-ro.sock` of `NAME.sock`.
#[must_use]
pub fn read_only_path(socket: &Path) -> PathBuf {
    let name = socket.file_stem().unwrap_or_default().to_string_lossy();
    socket.with_file_name(format!("{name}-ro.sock"))
}

/// The listening sockets; dropping it closes them and every connection, and gives up the lock.
#[derive(Debug)]
pub struct Server {
    _doors: JoinSet<()>,
    ended: CancellationToken,
    read_only: Option<PathBuf>,
    _lock: Lock,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.cancel();
        if let Some(path) = &self.read_only {
            // Best effort: the next engine removes a stale one.
            let _gone = std::fs::remove_file(path);
        }
    }
}

/// Listens on the lock's socket, mode 0600, and where wanted on the read-only one beside it. Needs a tokio runtime.
///
/// # Errors
/// Those of bind and chmod; something planted in the place of a socket is refused, with its path.
pub fn serve(lock: Lock, handle: Handle, options: ServeOptions) -> io::Result<Server> {
    let ended = CancellationToken::new();
    let own = Arc::new(Own::new());
    let desk = Desk::new(handle, options.self_source, options.stored_logs, own, ended.clone());
    let open = |path: &Path, mode, access, admitted| -> io::Result<Door> {
        let seats = Arc::new(Semaphore::new(SEATS));
        let desk = desk.clone().for_access(access, Arc::clone(&seats));
        Ok(Door {
            listener: door::bind(path, mode)?,
            path: path.to_owned(),
            admitted,
            seats,
            routes: routes::router(desk),
        })
    };
    let owner = Mode::RUSR | Mode::WUSR;
    let mut doors = vec![open(lock.socket(), owner, Access::Full, Admitted::Owner)?];
    let mut read_only = None;
    if options.read_only_socket {
        let path = read_only_path(lock.socket());
        let directory = open_directory(path.parent().unwrap_or(Path::new(".")))?;
        remove_stale(&directory, &path)?;
        let (mode, admitted) = match options.group {
            None => (owner, Admitted::Owner),
            Some(group) => (owner | Mode::RGRP | Mode::WGRP, Admitted::OwnerAnd(group)),
        };
        doors.push(open(&path, mode, Access::ReadOnly, admitted)?);
        if let Some(group) = options.group {
            door::open_to_group(&directory, &path, group)?;
        }
        read_only = Some(path);
    }
    let mut tasks = JoinSet::new();
    for door in doors {
        tasks.spawn(door.serve());
    }
    Ok(Server { _doors: tasks, ended, read_only, _lock: lock })
}
