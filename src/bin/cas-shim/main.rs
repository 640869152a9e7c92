//! `cas-shim SLOT`: holds what must not die with the engine. It is the parent of one service, run after run: it takes its
//! output in, knows how it ended, and ends what is left of it, with or without an engine.
//!
//! One thread, one poll(2). Never allocates after its start, never waits for anybody, never panics, and never signals what it
//! cannot prove to be its own. `shim_format` has the protocol and what is on disk.

mod adopt;
mod attributes;
mod control;
mod ending;
mod log;
mod pty;
mod record;
#[path = "../../shim_format.rs"]
#[expect(dead_code, unreachable_pub, reason = "one file for both sides: each uses its half")]
mod shim_format;
mod spawn;
mod sys;

use std::process::ExitCode;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat, openat, unlinkat},
    io::{Errno, Result, write},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt::socket_type},
    process::{fchdir, geteuid, getpid, set_child_subreaper, setsid, umask},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};

use crate::{
    control::Client,
    ending::{Ending, Survivors},
    log::{Log, Pump, waiting},
    pty::Pty,
    shim_format::{ExitFile, STDERR, STDOUT, exit_kind},
    spawn::Failure,
    sys::Text,
};

/// Milliseconds without anything to do after which a shim that nobody is connected to ends.
const IDLE: u64 = 60_000;
/// The same after SIGTERM, which changes nothing else.
const HASTE: u64 = 200;

/// How long small batches that come one upon the other are left to gather, and what is small, bytes: a program that writes by
/// line then costs a wake-up for some fifty lines, and is not slowed by us. A FIFO holds what comes meanwhile.
const REST: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
const SMALL: u64 = 4096;

/// Notices that are still to be sent, one bit each, in the order in which they are.
mod owed {
    pub(crate) const SPAWNED: u8 = 1;
    pub(crate) const FAILED: u8 = 2;
    pub(crate) const EXITED: u8 = 4;
    pub(crate) const EMPTY: u8 = 8;
    pub(crate) const DROPPED: u8 = 16;
    pub(crate) const WROTE: u8 = 32;
    pub(crate) const TYPED: u8 = 64;
    pub(crate) const ALL: [u8; 7] = [SPAWNED, FAILED, EXITED, EMPTY, DROPPED, WROTE, TYPED];
}

/// A run as its state file has it.
#[derive(Clone, Copy, Default)]
struct Facts {
    run: u64,
    pid: u32,
    start: u64,
    argv: u64,
    flags: u32,
    wall_us: i64,
}

/// How a run ended.
#[derive(Clone, Copy, Default)]
struct Exit {
    kind: u8,
    value: i32,
    wall_us: i64,
    cpu_us: (u64, u64),
    max_rss_kib: u64,
    leftover: u32,
    /// Where its output ended.
    end: (u64, u64),
}

impl Exit {
    fn unseen(kind: u8, wall_us: i64) -> Self {
        Self { kind, wall_us, ..Self::default() }
    }

    fn code(value: i32, wall_us: i64) -> Self {
        Self { value, ..Self::unseen(exit_kind::CODE, wall_us) }
    }

    /// From a status as wait(2) has it.
    fn from_status(status: i32, wall_us: i64) -> Self {
        match status & 0x7f {
            0 => Self::code((status >> 8) & 0xff, wall_us),
            signal => Self { value: signal, ..Self::unseen(exit_kind::SIGNAL, wall_us) },
        }
    }

    fn of(file: &ExitFile) -> Self {
        let ExitFile { kind, value, wall_us, cpu_us, max_rss_kib, .. } = *file;
        Self { kind, value, wall_us, cpu_us, max_rss_kib, ..Self::default() }
    }
}

/// How the main process is held.
enum Hold {
    /// We are its parent.
    Child,
    /// An earlier shim was. `dying`: since when it is dead and how is not known yet.
    Adopted { pidfd: OwnedFd, dying: Option<u64> },
}

/// The newest run.
enum Run {
    Fresh,
    Running(Facts, Hold),
    Ended(Facts, Exit),
    /// A process that may be it, watched and never touched.
    Unverifiable(Facts, OwnedFd),
}

impl Run {
    fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Fresh => None,
            Self::Running(facts, _) | Self::Ended(facts, _) | Self::Unverifiable(facts, _) => Some(facts),
        }
    }

    /// For a packet: zeros for what there is not.
    fn parts(&self) -> (Facts, Exit) {
        let exit = if let Self::Ended(_, exit) = self { *exit } else { Exit::default() };
        (self.facts().copied().unwrap_or_default(), exit)
    }
}

/// A child that has not become the service yet.
struct Launch {
    /// Says why it could not; closed by its exec.
    told: OwnedFd,
    /// What to go back to where it could not.
    before: Run,
    kill_file: Text<1024>,
    /// Where it was born in its cgroup: what makes it again outside.
    again: Option<(spawn::Order, OwnedFd)>,
}

/// What a service gets back that we changed for ourselves.
struct Origin {
    mask: Mode,
    oom: Text<16>,
}

/// When output came last, and whether more is left to gather.
struct Pace {
    came: u64,
    rests: bool,
}

/// Everything.
struct Shim {
    slot: OwnedFd,
    _lock: OwnedFd,
    listener: OwnedFd,
    deaf_until: u64,
    /// Says that a child ended, or that we are asked to.
    children: OwnedFd,
    fifos: [OwnedFd; 2],
    /// Whether they were there before us.
    had_fifos: bool,
    mark: Text<48>,
    boot: Text<48>,
    origin: Origin,
    idle: u64,
    idle_since: Option<u64>,
    log: Log,
    pace: Pace,
    run: Run,
    /// Whether the run is an earlier shim's: what it left are not our descendants.
    is_adopted: bool,
    /// When to try again to write the exit record.
    unsaved: Option<u64>,
    records: record::Records,
    launch: Option<Launch>,
    failed: Option<Failure>,
    pty: Option<Pty>,
    kill_file: Text<1024>,
    ending: Option<Ending>,
    left: Survivors,
    reaped: u64,
    armed: Option<(u64, u64)>,
    clients: [Option<Client>; 4],
    arrivals: u64,
    owed: u8,
    told_dropped: (u64, u64),
    retiring: bool,
}

/// Makes this process what a shim is, whatever started it.
fn settle() -> Result<(Origin, OwnedFd)> {
    sys::close_from(4);
    let null = openat(CWD, c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // A leader has its session already.
    let _ = setsid();
    let children = sys::take_signals()?;
    set_child_subreaper(Some(getpid()))?;
    let mask = umask(Mode::RWXG | Mode::RWXO);
    let mut oom = [0; 15];
    let oom = Text::from_bytes(sys::read_file(c"/proc/self/oom_score_adj", &mut oom)).unwrap_or(Text::new());
    if let Ok(adjust) = openat(CWD, c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        // Only root may.
        let _ = write(adjust, b"-900");
    }
    Ok((Origin { mask, oom }, children))
}

/// Enters the slot: a directory of ours that nobody else can write to.
fn enter(slot: &std::ffi::OsStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let slot = openat(CWD, slot, flags, Mode::empty())?;
    let facts = fstat(&slot)?;
    if facts.st_uid != geteuid().as_raw() || facts.st_mode & 0o022 != 0 {
        return Err(Errno::PERM);
    }
    fchdir(&slot)?;
    Ok(slot)
}

fn open_socket() -> Result<OwnedFd> {
    if !matches!(unlinkat(CWD, c"ctl.sock", AtFlags::empty()), Ok(()) | Err(Errno::NOENT)) {
        return Err(Errno::PERM);
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let mask = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let bound = bind(&listener, &SocketAddrUnix::new(c"ctl.sock")?);
    umask(mask);
    bound?;
    listen(&listener, 64)?;
    Ok(listener)
}

impl Shim {
    fn begin(slot: &std::ffi::OsStr, idle: u64) -> Result<Self> {
        let (origin, children) = settle()?;
        let slot = enter(slot)?;
        let lock = record::open_ours(slot.as_fd(), c"lock", OFlags::RDWR | OFlags::CREATE)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            Errno::WOULDBLOCK => Errno::BUSY,
            error => error,
        })?;
        let ((out, had_out), (err, had_err)) = (adopt::open_fifo(c"out")?, adopt::open_fifo(c"err")?);
        let boot = adopt::boot();
        if boot.bytes().is_empty() {
            // Without /proc nothing can be told from anything.
            return Err(Errno::NOSYS);
        }
        let mut shim = Self {
            mark: adopt::mark_of(slot.as_fd())?,
            slot,
            _lock: lock,
            listener: open_socket()?,
            deaf_until: 0,
            children,
            fifos: [out, err],
            had_fifos: had_out || had_err,
            boot,
            origin,
            idle,
            idle_since: None,
            log: Log::open(record::last_run())?,
            pace: Pace { came: 0, rests: false },
            run: Run::Fresh,
            is_adopted: false,
            unsaved: None,
            records: record::Records { exited: 0, have_room: false },
            launch: None,
            failed: None,
            pty: None,
            kill_file: Text::new(),
            ending: None,
            left: Survivors::NONE,
            reaped: 0,
            armed: None,
            clients: [None, None, None, None],
            arrivals: 0,
            owed: 0,
            told_dropped: (0, 0),
            retiring: false,
        };
        shim.take_over()?;
        // Without room a spawn says so.
        let _ = shim.reserve();
        Ok(shim)
    }

    fn owe(&mut self, bit: u8) {
        self.owed |= bit;
    }

    /// What is polled: children, the launch, the adopted process, FIFOs, terminal, listener, clients.
    fn wait(&self, now: u64, timer: Option<u64>) -> [PollFlags; 11] {
        let none = (self.children.as_fd(), PollFlags::empty());
        let pidfd = match &self.run {
            Run::Running(_, Hold::Adopted { pidfd, dying: None }) | Run::Unverifiable(_, pidfd) => {
                (pidfd.as_fd(), PollFlags::IN)
            }
            Run::Running(..) | Run::Fresh | Run::Ended(..) => none,
        };
        let [out, err] = &self.fifos;
        let reads = if self.log.reads(now) && !self.pace.rests { PollFlags::IN } else { PollFlags::empty() };
        let is_held = self.pty.as_ref().is_some_and(Pty::is_held);
        let room = if is_held { PollFlags::OUT } else { PollFlags::empty() };
        let notified = self.notified().filter(|_| self.owed != 0);
        let client = |at: usize| {
            let events = if notified == Some(at) { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            self.clients.get(at).and_then(Option::as_ref).map_or(none, |client| (client.socket.as_fd(), events))
        };
        let places = [
            (self.children.as_fd(), PollFlags::IN),
            self.launch.as_ref().map_or(none, |launch| (launch.told.as_fd(), PollFlags::IN)),
            pidfd,
            (out.as_fd(), reads | room),
            (err.as_fd(), reads),
            self.pty.as_ref().map_or(none, |pty| {
                let typing = if pty.is_typing() { PollFlags::OUT } else { PollFlags::empty() };
                let wanted = if is_held { typing } else { typing | PollFlags::IN };
                if wanted.is_empty() { none } else { (pty.master(), wanted) }
            }),
            if now < self.deaf_until { none } else { (self.listener.as_fd(), PollFlags::IN) },
            client(0),
            client(1),
            client(2),
            client(3),
        ];
        let mut fds = places.map(|(fd, events)| PollFd::from_borrowed_fd(fd, events));
        let timeout =
            if self.pace.rests { Some(REST) } else { timer.map(|at| sys::milliseconds(at.saturating_sub(now))) };
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => fds.map(|fd| fd.revents()),
            Err(error) => {
                if error != Errno::INTR {
                    sys::pause(100);
                }
                [PollFlags::empty(); 11]
            }
        }
    }

    fn timer(&self, now: u64) -> Option<u64> {
        let is_dying = matches!(self.run, Run::Running(_, Hold::Adopted { dying: Some(_), .. }));
        [
            self.log.timer(now),
            self.ending.map(|ending| ending.next),
            self.unsaved,
            is_dying.then(|| now.saturating_add(20)),
            self.idle_since.map(|since| since.saturating_add(self.idle)),
            (now < self.deaf_until).then_some(self.deaf_until),
            (self.told_dropped.0 != self.log.dropped).then(|| self.told_dropped.1.saturating_add(1000)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// One turn; false where there is nothing to live for.
    fn turn(&mut self) -> bool {
        let before = sys::now_ms();
        let [children, launch, _, out, err, terminal, listener, clients @ ..] = self.wait(before, self.timer(before));
        let now = sys::now_ms();
        if !launch.is_empty() {
            self.check_launch();
        }
        if !children.is_empty() {
            // A machine that goes down would wait for us: nobody will come back to this slot in its time.
            if sys::was_asked_to_end(self.children.as_fd()) {
                self.idle = self.idle.min(HASTE);
            }
            self.reap_children(now);
        }
        self.check_adopted(now);
        if terminal.contains(PollFlags::OUT) {
            self.type_on();
        }
        if terminal.intersects(!PollFlags::OUT) || out.contains(PollFlags::OUT) {
            let [fifo, _] = &self.fifos;
            if let Some(pty) = &mut self.pty {
                pty.carry(fifo.as_fd());
            }
        }
        self.pace.rests = false;
        let readable = [(STDOUT, out, &self.fifos[0]), (STDERR, err, &self.fifos[1])];
        for (stream, _, fifo) in readable.into_iter().filter(|(_, events, _)| events.contains(PollFlags::IN)) {
            if let Pump::Moved(bytes) = self.log.pump(stream, fifo.as_fd(), now) {
                self.pace.rests |= bytes < SMALL && now <= self.pace.came.saturating_add(1);
                self.pace.came = now;
            }
        }
        self.log.retry(now);
        if !listener.is_empty() {
            self.accept(now);
        }
        for (at, events) in clients.into_iter().enumerate() {
            if events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.hear(at, events.intersects(PollFlags::HUP | PollFlags::ERR));
            }
        }
        self.step_ending(now);
        self.tend(now);
        self.pay();
        self.is_needed(now)
    }

    /// Gives input to the terminal, as far as that takes it.
    fn type_on(&mut self) {
        if self.pty.as_mut().is_some_and(Pty::type_on) {
            self.owe(owed::TYPED);
        }
    }

    /// What is due by itself.
    fn tend(&mut self, now: u64) {
        if let (Some(_), &Run::Ended(facts, exit)) = (self.unsaved.filter(|at| *at <= now), &self.run) {
            self.settle_exit(facts, exit);
        }
        if self.told_dropped.0 != self.log.dropped && now >= self.told_dropped.1.saturating_add(1000) {
            self.told_dropped = (self.log.dropped, now);
            self.owe(owed::DROPPED);
        }
        if self.armed.is_some_and(|armed| self.log.end() > armed) {
            self.armed = None;
            self.owe(owed::WROTE);
        }
    }

    /// Whether there is a run, something of one, output to take in, or somebody who may want one.
    fn is_needed(&mut self, now: u64) -> bool {
        let is_running = matches!(self.run, Run::Running(..) | Run::Unverifiable(..));
        // Whoever sends us away knows the exit: that it cannot be written (a file system that is read-only now) keeps us no longer.
        let is_unsaved = self.unsaved.is_some() && !(self.retiring && self.owed & owed::EXITED == 0);
        if is_running || self.ending.is_some() || is_unsaved {
            self.idle_since = None;
            return true;
        }
        let is_alone = self.clients.iter().all(Option::is_none);
        let since = *self.idle_since.get_or_insert(now);
        if !is_alone {
            self.idle_since = None;
        }
        if !(self.retiring || is_alone && now >= since.saturating_add(self.idle)) {
            return true;
        }
        let has_output = self.fifos.iter().any(|fifo| waiting(fifo) > 0) || self.pty.as_ref().is_some_and(Pty::is_held);
        let is_needed = has_output || sys::has_children();
        if is_needed {
            self.idle_since = is_alone.then_some(now);
        }
        is_needed
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(slot) = arguments.next() else { return ExitCode::from(64) };
    // For tests: how long an idle shim stays.
    let idle = arguments.next().and_then(|idle| idle.to_str()?.parse().ok()).unwrap_or(IDLE);
    let connection = sys::first_connection()
        .filter(|socket| socket_type(socket).is_ok_and(|kind| kind == SocketType::SEQPACKET))
        .filter(|socket| control::is_trusted(socket.as_fd()));
    match Shim::begin(&slot, idle) {
        Ok(mut shim) => {
            if let Some(connection) = connection {
                shim.admit(connection);
            }
            while shim.turn() {}
            let _ = unlinkat(CWD, c"ctl.sock", AtFlags::empty());
            ExitCode::SUCCESS
        }
        Err(error) => {
            if let Some(connection) = connection {
                control::refuse(connection.as_fd(), error);
            }
            ExitCode::from(if error == Errno::BUSY { 75 } else { 77 })
        }
    }
}
