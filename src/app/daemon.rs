//! The daemon: being it, starting it, reaching it. Promise: at most one per user (its lock decides before anything else is done), and its end leaves
//! services running unless somebody asked for their end.
//! Never decides about services.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command as Program, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::{
    fs::OFlags,
    process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde_json::Value;
use tokio::signal::unix::{self, SignalKind, signal};

use super::{keeper::Keeper, notify, outside::Real, systemd, trace};
use crate::{
    api::{
        self,
        client::ConnectError,
        lock::{Attempt, Lock},
    },
    cli::outside::{Access, Running},
    config::paths::Paths,
    host::{
        self,
        handle::{Departure, Handle},
    },
    model::{
        command::{Command, Starts},
        ids::RequestId,
        policy::{Consent, Origin, Reply, Request},
        project::ProjectSpec,
        service::BaseEnvironment,
    },
    world::clock,
};

/// A daemon that was started answers by then.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// One that has taken leave is gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What the daemon prints is begun anew above this size.
const LOG_BYTES: u64 = 1024 * 1024;

/// Variables that are the daemon's own business and not that of a project that was opened before the boot.
const OWN_VARIABLES: [&str; 5] = ["NOTIFY_SOCKET", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID", "SYSTEMD_EXEC_PID"];

/// The socket on which whoever wrote itself last into the lock of `socket` serves. Old, where that one was killed.
pub(super) fn serving(socket: &Path) -> Option<PathBuf> {
    holder(socket)?.1.filter(|path| path.is_absolute())
}

/// Whoever wrote itself last into the lock of `socket`, and where it serves.
fn holder(socket: &Path) -> Option<(u32, Option<PathBuf>)> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let lock = socket.with_extension("lock");
    let file = File::options().read(true).custom_flags(i32::try_from(flags.bits()).ok()?).open(lock).ok()?;
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    Some((pid, lines.next().map(PathBuf::from)))
}

/// The engine that serves on `socket`; none where none does.
pub(super) async fn reach(socket: &Path, access: Access) -> Result<Option<Handle>, String> {
    let socket = match access {
        Access::Full => socket.to_owned(),
        Access::ReadOnly => api::server::read_only_path(socket),
    };
    match api::connect(&socket, clock::now).await {
        Ok(handle) => Ok(Some(handle)),
        Err(ConnectError::Absent(_)) => Ok(None),
        Err(error @ (ConnectError::Unusable { .. } | ConnectError::Refused(_))) => Err(error.to_string()),
    }
}

/// What the daemon says of itself. One that is too old to say more says who it is.
pub(super) async fn view(socket: &Path) -> Result<Option<Value>, String> {
    let who = match api::client::fetch(socket, "/v1").await {
        Ok(who) => who,
        Err(ConnectError::Absent(_)) => return Ok(None),
        Err(error @ (ConnectError::Unusable { .. } | ConnectError::Refused(_))) => return Err(error.to_string()),
    };
    match api::client::fetch(socket, "/v1/daemon").await {
        Ok(view) => Ok(Some(view)),
        Err(ConnectError::Absent(_)) => Ok(None),
        Err(error @ (ConnectError::Unusable { .. } | ConnectError::Refused(_))) => {
            tracing::info!("the daemon does not say how it is: {error}");
            Ok(Some(who))
        }
    }
}

/// Who serves on `socket` now, also where it speaks another version: the kernel knows who listens.
async fn listener(socket: &Path) -> Option<u32> {
    let stream = tokio::net::UnixStream::connect(socket).await.ok()?;
    stream.peer_cred().ok()?.pid().and_then(|pid| u32::try_from(pid).ok())
}

/// Sees to it that a daemon runs.
pub(super) async fn start(real: &Real) -> Result<Running, String> {
    let socket = real.paths.daemon_socket();
    if let Some(pid) = listener(&socket).await {
        return Ok(Running::Already { pid });
    }
    real.paths.ensure().map_err(|error| error.to_string())?;
    real.paths.ensure_for_socket(&socket).map_err(|error| error.to_string())?;
    if tokio::task::block_in_place(|| systemd::starts_unit(real))
        && let Some(pid) = answers(&socket).await
    {
        return Ok(Running::New { pid });
    }
    let cannot = |error: std::io::Error| format!("the daemon cannot be started: {error}");
    let (log, begin) = open_log(&real.paths).map_err(cannot)?;
    let mut program = Program::new(&real.setup.exe);
    // So that it can be told from other uses of this program in a list of processes.
    program.arg0("cas").args(["daemon", "run", "--detached"]).current_dir("/").stdin(Stdio::null());
    if real.setup.is_system {
        program.arg("--system");
    }
    // It may be started from within a service, and is none.
    for name in ["CAS_RUN", "CAS_SERVICE", "NOTIFY_SOCKET"] {
        program.env_remove(name);
    }
    program.stdout(log.try_clone().map_err(cannot)?).stderr(log.try_clone().map_err(cannot)?);
    let mut child = program.spawn().map_err(cannot)?;
    let began = clock::now();
    while clock::now().since(began) < ANSWERS_WITHIN {
        if let Some(pid) = answers(&socket).await {
            return Ok(if pid == child.id() { Running::New { pid } } else { Running::Already { pid } });
        }
        // One that lost a race for the lock ends at once: then another one is about to answer.
        let ended = child.try_wait().map_err(cannot)?;
        if let Some(status) = ended
            && !is_held(&socket)
        {
            return Err(format!("the daemon has ended at once, with {status}{}", last_lines(log, begin)));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("the daemon does not answer{}", last_lines(log, begin)))
}

/// The process that serves on `socket`, once it answers.
async fn answers(socket: &Path) -> Option<u32> {
    let pid = listener(socket).await?;
    match api::client::fetch(socket, "/v1").await {
        Ok(_) | Err(ConnectError::Unusable { .. } | ConnectError::Refused(_)) => Some(pid),
        Err(ConnectError::Absent(_)) => None,
    }
}

/// Whether somebody lives who has written itself into the lock.
fn is_held(socket: &Path) -> bool {
    holder(socket).is_some_and(|(pid, _)| lives(pid))
}

/// Whether there is such a process, other than one that only waits to be asked how it ended.
fn lives(pid: u32) -> bool {
    let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let is_there = number.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_dead =
        stat.rsplit_once(')').is_some_and(|(_, rest)| matches!(rest.trim_start().chars().next(), Some('Z' | 'X')));
    is_there && !is_dead
}

/// What the daemon prints, and where it begins in it.
fn open_log(paths: &Paths) -> std::io::Result<(File, u64)> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits()).unwrap_or(0);
    let mut options = File::options();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(flags);
    let file = options.open(paths.state.join("daemon.log"))?;
    if file.metadata()?.len() > LOG_BYTES {
        file.set_len(0)?;
    }
    let begin = file.metadata()?.len();
    Ok((file, begin))
}

/// What was printed since `begin`, its end: for a sentence.
fn last_lines(mut log: File, begin: u64) -> String {
    const LINES: usize = 10;
    const BYTES: u64 = 16 * 1024;
    let mut bytes = Vec::new();
    let end = log.metadata().map_or(begin, |about| about.len());
    // What cannot be read is not told.
    let from = SeekFrom::Start(begin.max(end.saturating_sub(BYTES)));
    let _read = log.seek(from).and_then(|_| log.take(BYTES).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    if last.is_empty() { String::new() } else { format!("; it said:\n{}", last.join("\n")) }
}

/// Asks whoever listens on `socket` to end and leave services running.
pub(super) async fn terminate(socket: &Path) -> Result<u32, String> {
    let pid = listener(socket).await.ok_or("no daemon listens any more")?;
    let cannot = |why: &dyn std::fmt::Display| format!("the daemon (pid {pid}) cannot be ended: {why}");
    let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let number = number.ok_or_else(|| cannot(&"it is in another PID namespace"))?;
    let process = pidfd_open(number, PidfdFlags::empty()).map_err(|error| cannot(&error))?;
    // What was opened is the daemon only if it still listens: its number may have gone to another process meanwhile.
    if listener(socket).await != Some(pid) {
        return Err(cannot(&"it has just ended"));
    }
    pidfd_send_signal(&process, Signal::TERM).map_err(|error| cannot(&error))?;
    Ok(pid)
}

/// Returns when that daemon is gone.
pub(super) async fn gone(pid: u32) -> Result<(), String> {
    let began = clock::now();
    while lives(pid) {
        if clock::now().since(began) >= GONE_WITHIN {
            return Err(format!(
                "the daemon (pid {pid}) has taken leave and does not end; cas.log in its state directory says why"
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// What ends or wakes a daemon.
struct Signals {
    term: unix::Signal,
    int: unix::Signal,
    hup: unix::Signal,
}

enum Woken {
    End,
    Reload,
    EngineEnded,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let (term, int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { term, int, hup: signal(SignalKind::hangup())? })
    }
}

/// Is the daemon.
pub(super) async fn run(real: &Real, detached: bool) -> Result<(), String> {
    if detached {
        // An error means that it leads a session already.
        let _session = rustix::process::setsid();
    }
    real.paths.ensure().map_err(|error| error.to_string())?;
    let socket = real.paths.daemon_socket();
    real.paths.ensure_for_socket(&socket).map_err(|error| error.to_string())?;
    let lock = match Lock::take(&socket) {
        Ok(Attempt::Taken(lock)) => lock,
        Ok(Attempt::Held { pid, .. }) => {
            let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            return Err(format!("another daemon{who} runs already"));
        }
        Err(error) => return Err(format!("cannot take the lock beside {}: {error}", socket.display())),
    };
    let mut signals = Signals::listen().map_err(|error| format!("cannot catch signals: {error}"))?;
    let keeper = Arc::new(Keeper::inherit(&real.paths));
    let caring = Arc::clone(&keeper);
    let mut host = host::start(host::Config {
        daemon: true,
        gate: Some(gate(real.paths.clone(), socket.clone())),
        // It waits for the disk, and the engine calls it on a worker.
        care: Some(Arc::new(move |specs: &[Arc<ProjectSpec>]| {
            tokio::task::block_in_place(|| caring.has_open(specs));
        })),
        ..real.host_config()
    })
    .map_err(|error| error.to_string())?;
    let handle = host.handle.clone();
    trace::see_through(handle.logs.veil());
    let server = match api::server::serve(lock, handle.clone(), real.serve_options(&host)) {
        Ok(server) => server,
        Err(error) => {
            handle.leave().await;
            return Err(format!("cannot listen on {}: {error}", socket.display()));
        }
    };
    let notify_socket = real.setup.environment.get("NOTIFY_SOCKET");
    notify::tell(notify_socket, &format!("READY=1\nMAINPID={}\nSTATUS=keeps projects running", std::process::id()));
    tracing::info!(pid = std::process::id(), socket = %socket.display(), "the daemon runs");
    let restoring = tokio::spawn(restore(handle.clone(), keeper, own_environment(real)));
    loop {
        let woken = tokio::select! {
            _ = signals.term.recv() => Woken::End,
            _ = signals.int.recv() => Woken::End,
            _ = signals.hup.recv() => Woken::Reload,
            ended = &mut host.task => {
                if let Err(error) = ended {
                    tracing::error!("the engine has ended by a defect of cas: {error}");
                }
                Woken::EngineEnded
            }
        };
        match woken {
            Woken::Reload => reload(&handle).await,
            Woken::End => {
                notify::tell(notify_socket, "STOPPING=1");
                restoring.abort();
                let goes_down = systemd::goes_down(real).await;
                tracing::info!(goes_down, "the daemon is asked to end");
                handle.depart(if goes_down { Departure::Halt } else { Departure::LeaveRunning }).await;
                break;
            }
            Woken::EngineEnded => {
                notify::tell(notify_socket, "STOPPING=1");
                break;
            }
        }
    }
    tracing::info!("the daemon ends");
    drop(server);
    Ok(())
}

/// What takes a project for this daemon: the project's own lock, in which it says where it serves.
pub(super) fn gate(paths: Paths, serving: PathBuf) -> host::Gate {
    Arc::new(move |spec: &ProjectSpec| {
        let socket = paths.socket(spec.file.parent().unwrap_or(&spec.root));
        let lock = socket.with_extension("lock");
        match Lock::take_for(&lock, &serving) {
            Ok(Attempt::Taken(lock)) => Ok(Box::new(lock) as Box<dyn std::any::Any + Send + Sync>),
            Ok(Attempt::Held { pid, .. }) => {
                let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                Err(format!("another cas{who} runs {}: leave that one first", spec.name))
            }
            Err(error) => Err(format!("cannot take the lock {}: {error}", lock.display())),
        }
    })
}

/// The environment of projects that nobody has opened since the boot.
fn own_environment(real: &Real) -> BaseEnvironment {
    let mut own = real.setup.environment.clone();
    own.retain(|name, _| !OWN_VARIABLES.contains(&name.as_str()) && !name.starts_with("CAS_"));
    BaseEnvironment(Arc::new(own))
}

/// Opens again what an earlier daemon had under care, and starts what was wanted to run. What cannot be opened stays on the list, for the next time.
async fn restore(handle: Handle, keeper: Arc<Keeper>, own: BaseEnvironment) {
    for kept in keeper.kept() {
        let environment = keeper.environment_of(&kept).unwrap_or_else(|| own.clone());
        // A file that its directory would not lead to is named itself.
        let leads = crate::config::find(&kept.root).is_ok_and(|found| found.file == kept.file);
        let directory = if leads { kept.root.clone() } else { kept.file.clone() };
        let command = Command::Open { directory, environment: Some(environment), starts: Starts::Wanted };
        let request = Request {
            id: RequestId(0),
            origin: Origin::System,
            command,
            consent: Consent::Ask,
            if_rev: None,
            asker: None,
        };
        match handle.request(request).await {
            Ok(Reply::Refused { reason, hint: _ }) => {
                tracing::error!(project = %kept.name, "it is under care and cannot be opened: {reason}");
            }
            Ok(
                Reply::Accepted { .. } | Reply::Unchanged { .. } | Reply::Planned { .. } | Reply::NeedsConsent { .. },
            ) => {}
            Err(gone) => return tracing::info!("restoring ends: {gone}"),
        }
    }
}

/// Reads every project's file again.
pub(super) async fn reload(handle: &Handle) {
    let request = Request {
        id: RequestId(0),
        origin: Origin::System,
        command: Command::Reload,
        consent: Consent::Ask,
        if_rev: None,
        asker: None,
    };
    if let Err(gone) = handle.request(request).await {
        tracing::info!("SIGHUP: {gone}");
    }
}
