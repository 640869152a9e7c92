//! Finding the shim of a slot, or starting one. Never waits for ever, never has two: the slot's lock is the shim's.

use std::{
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::io::Errno;

use super::{
    place,
    process::Held,
    socket::Socket,
    start,
    wire::{self, Heard, Welcome},
};
use crate::{
    model::{
        phase::Exit,
        signal::{Signal, signal_name},
        text::plain,
    },
    shim_format::Request,
    world::{Shared, clock},
};

/// For all that connecting takes.
const PATIENCE: Duration = Duration::from_secs(15);
/// A shim that listens and is silent for so long is stopped: SIGCONT.
const SILENCE: Duration = Duration::from_millis(500);
/// After that, and after its start, it has so long until it is killed.
const LAST_SILENCE: Duration = Duration::from_secs(5);
/// A shim whose connection ended is about to be gone.
const LAST_BREATH: Duration = Duration::from_millis(250);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A shim that said where things stand.
#[derive(Debug)]
pub(super) struct Connected {
    /// To talk to it.
    pub(super) socket: Socket,
    /// Itself.
    pub(super) shim: Held,
    /// What it said.
    pub(super) welcome: Welcome,
    /// It was started for this.
    pub(super) is_new: bool,
    /// What became of the one before, where there was one.
    pub(super) old: Option<String>,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Only where one listens.
    Find,
    /// Start one where none does.
    Start,
}

/// Connects to the shim of `slot`; with [`Effort::Find`] none where none listens. `old` is one whose connection ended.
///
/// # Errors
/// A sentence.
pub(super) async fn connect(
    shared: Arc<Shared>,
    slot: PathBuf,
    effort: Effort,
    old: Option<(Held, String)>,
) -> Result<Option<Connected>, String> {
    let old = match old {
        Some((shim, why)) => Some(see_off(shim, why).await),
        None => None,
    };
    let deadline = clock::now().plus(PATIENCE);
    let mut pause = Duration::from_millis(2);
    loop {
        let attempt = match find(&slot).await {
            Attempt::Nobody if effort == Effort::Find => return Ok(None),
            Attempt::Nobody => begin(&shared, &slot).await,
            attempt @ (Attempt::Done(_) | Attempt::Again(_) | Attempt::Impossible(_)) => attempt,
        };
        let why = match attempt {
            Attempt::Done(connected) => return Ok(Some(Connected { old, ..*connected })),
            Attempt::Impossible(why) => return Err(why),
            Attempt::Nobody => "no shim listens",
            Attempt::Again(why) => why,
        };
        if clock::now().has_reached(deadline) {
            return Err(format!("its shim cannot be reached: {why}"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Attempt {
    Done(Box<Connected>),
    /// None listens.
    Nobody,
    /// Not now.
    Again(&'static str),
    Impossible(String),
}

/// Waits for a shim that has hung up; what became of it.
async fn see_off(shim: Held, why: String) -> String {
    let _late = tokio::time::timeout(LAST_BREATH, shim.ended()).await;
    let exit = shim.reap();
    if !why.is_empty() {
        return why;
    }
    match exit {
        Some(Exit::Signal(number)) => format!("killed by {}", signal_name(number)),
        Some(exit) => format!("it ended by itself: {exit}"),
        None => "it was gone".to_owned(),
    }
}

async fn find(slot: &Path) -> Attempt {
    let connected = place::open(slot).and_then(|directory| Socket::connect(directory.as_fd()));
    let socket = match connected {
        Ok(socket) => socket,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Attempt::Nobody;
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            return Attempt::Again("too many wait for it already");
        }
        Err(error) => return Attempt::Impossible(format!("its shim cannot be asked: {}: {error}", slot.display())),
    };
    let Ok((user, pid)) = socket.peer() else { return Attempt::Again("it hung up") };
    if user != rustix::process::geteuid().as_raw() {
        return Attempt::Impossible(format!("another user listens in {}: refused", slot.display()));
    }
    let Some(shim) = Held::hold((pid, 0)) else { return Attempt::Again("it is gone") };
    if socket.send(&wire::bare(Request::Greet)).is_err() {
        return Attempt::Again("it hung up");
    }
    match tokio::time::timeout(SILENCE, welcome(&socket)).await {
        Ok(greeting) => greeting.into_attempt(socket, shim, false),
        Err(_silent) => urge(socket, shim, slot).await,
    }
}

/// One that listens and says nothing: it may be stopped.
async fn urge(socket: Socket, shim: Held, slot: &Path) -> Attempt {
    if !is_shim_of(shim.identity.0, slot) {
        return Attempt::Impossible(format!("something that is no shim listens in {}: refused", slot.display()));
    }
    shim.signal(Signal::Cont);
    if let Ok(greeting) = tokio::time::timeout(LAST_SILENCE, welcome(&socket)).await {
        return greeting.into_attempt(socket, shim, false);
    }
    shim.signal(Signal::Kill);
    let _late = tokio::time::timeout(LAST_SILENCE, shim.ended()).await;
    let _status = shim.reap();
    Attempt::Again("it does not answer, not even to SIGKILL")
}

async fn begin(shared: &Arc<Shared>, slot: &Path) -> Attempt {
    if let Err(why) = place::make(slot) {
        return Attempt::Impossible(why);
    }
    let (socket, theirs) = match Socket::pair() {
        Ok(pair) => pair,
        Err(error) => return Attempt::Impossible(format!("no connection for its shim: {error} (see `ulimit -n`)")),
    };
    let Ok(turn) = shared.launches.clone().acquire_owned().await else { return Attempt::Again("cas is ending") };
    let (world, slot) = (Arc::clone(shared), slot.to_owned());
    let started = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        start::start(&world.settings.shim, &slot, theirs.as_fd())
    });
    let pid = match started.await {
        Ok(Ok(pid)) => pid,
        Ok(Err(error)) => {
            let program = shared.settings.shim.display().to_string();
            return Attempt::Impossible(format!("{} cannot be started: {error}", plain(&program)));
        }
        Err(_ended) => return Attempt::Again("cas is ending"),
    };
    let Some(shim) = Held::hold((pid, 0)) else { return Attempt::Again("it is gone") };
    if socket.send(&wire::bare(Request::Greet)).is_err() {
        let _status = reaped(&shim).await;
        return Attempt::Again("it ended at once");
    }
    let Ok(greeting) = tokio::time::timeout(LAST_SILENCE, welcome(&socket)).await else {
        shim.signal(Signal::Kill);
        let _status = reaped(&shim).await;
        return Attempt::Again("it did not answer after its start");
    };
    if !matches!(greeting, Greeting::Welcome(_)) {
        let _status = reaped(&shim).await;
    }
    greeting.into_attempt(socket, shim, true)
}

async fn reaped(shim: &Held) -> Option<Exit> {
    let _late = tokio::time::timeout(LAST_BREATH, shim.ended()).await;
    shim.reap()
}

/// The first answer.
enum Greeting {
    Welcome(Welcome),
    Refused(i32),
    Gone,
}

impl Greeting {
    fn into_attempt(self, socket: Socket, shim: Held, is_new: bool) -> Attempt {
        match self {
            Self::Welcome(welcome) => Attempt::Done(Box::new(Connected { socket, shim, welcome, is_new, old: None })),
            Self::Refused(errno) if errno == Errno::BUSY.raw_os_error() => Attempt::Again("another holds its lock"),
            Self::Refused(errno) => {
                Attempt::Impossible(format!("its shim cannot work: {}", io::Error::from_raw_os_error(errno)))
            }
            Self::Gone => Attempt::Again("it hung up"),
        }
    }
}

async fn welcome(socket: &Socket) -> Greeting {
    loop {
        match socket.hear().await {
            Ok(Heard::Welcome(welcome)) => return Greeting::Welcome(welcome),
            Ok(Heard::Refused(errno)) => return Greeting::Refused(errno),
            // Said to whoever greeted before us.
            Ok(
                Heard::Spawned { .. }
                | Heard::SpawnFailed { .. }
                | Heard::Exited { .. }
                | Heard::Wrote
                | Heard::Empty { .. }
                | Heard::Dropped(_)
                | Heard::Census
                | Heard::Typed
                | Heard::Unknown,
            ) => {}
            Err(_gone) => return Greeting::Gone,
        }
    }
}

/// True where the process was started as the shim of this slot.
fn is_shim_of(pid: u32, slot: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).nth(1) == Some(slot.as_os_str().as_bytes())
}
