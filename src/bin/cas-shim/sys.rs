//! What rustix does not wrap, texts without a heap, and `/proc`. Never allocates, never panics.
#![expect(unsafe_code, reason = "fork, wait4, signalfd and two ioctls have no safe wrapper")]

use std::{
    ffi::CStr,
    fmt,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    str,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, OFlags, RawDir, openat},
    io::{Errno, Result, read},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
    time::{ClockId, clock_gettime},
};

use crate::shim_format::{fnv1a, fnv1a_on};

/// A short text of at most `N - 1` bytes; what is beyond is cut off at a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    pub(crate) fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        // What does not fit is a name that does not exist: whoever opens it is told so.
        let _ = fmt::Write::write_fmt(&mut text, arguments);
        text
    }

    /// None where it does not fit.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut text = Self::new();
        text.push(bytes).then_some(text)
    }

    fn push(&mut self, bytes: &[u8]) -> bool {
        let end = self.len.saturating_add(bytes.len());
        if end >= N {
            return false;
        }
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
        }
        self.len = end;
        true
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(self.bytes()).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.push(part.as_bytes()) { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Milliseconds since boot, suspend included.
pub(crate) fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.cast_unsigned().saturating_mul(1000).saturating_add(now.tv_nsec.cast_unsigned() / 1_000_000)
}

/// Microseconds since the Unix epoch.
pub(crate) fn wall_us() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}

/// As poll(2) wants it.
pub(crate) fn milliseconds(ms: u64) -> Timespec {
    let ms = ms.min(86_400_000).cast_signed();
    Timespec { tv_sec: ms / 1000, tv_nsec: (ms % 1000) * 1_000_000 }
}

/// Waits so long and for nothing else.
pub(crate) fn pause(ms: u64) {
    let _ = poll(&mut [], Some(&milliseconds(ms)));
}

/// Whether a pidfd's process is dead (a body that nobody waited for yet is).
pub(crate) fn is_dead(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&milliseconds(0))), Ok(1..))
}

/// Reads at most what fits; a file that is not there is empty.
pub(crate) fn read_file<'a>(name: &CStr, buffer: &'a mut [u8]) -> &'a [u8] {
    let Ok(file) = openat(CWD, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) else {
        return &[];
    };
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read(&file, rest) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    buffer.get(..filled).unwrap_or_default()
}

/// Of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) state: u8,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) start: u64,
    /// As wait(2) has it; meaningful once it is dead, and 0 for whom we may not trace.
    pub(crate) status: i32,
    threads: u32,
}

impl Stat {
    /// None where there is no such process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let mut buffer = [0_u8; 1024];
        let text = read_file(Text::<32>::of(format_args!("/proc/{pid}/stat")).name(), &mut buffer);
        // The name before it may hold anything, brackets too.
        let rest = text.get(text.iter().rposition(|byte| *byte == b')')?.saturating_add(1)..)?;
        let mut fields = str::from_utf8(rest).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let threads = fields.nth(14)?.parse().ok()?;
        let start = fields.nth(1)?.parse().ok()?;
        let status = fields.nth(29).and_then(|field| field.parse().ok()).unwrap_or(0);
        Some(Self { state, parent, group, start, status, threads })
    }

    /// Whether it is only a body: the main thread may end before the others.
    pub(crate) fn is_body(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }
}

/// Calls `each` with every number in `/proc`.
pub(crate) fn each_process(mut each: impl FnMut(u32)) {
    each_number(c"/proc", &mut each);
}

/// Calls `each` with every entry of a directory that is a number.
pub(crate) fn each_number(directory: &CStr, each: &mut impl FnMut(u32)) {
    each_name(directory, &mut |name| {
        if let Some(number) = str::from_utf8(name.to_bytes()).ok().and_then(|name| name.parse().ok()) {
            each(number);
        }
    });
}

/// Calls `each` with every name in a directory.
pub(crate) fn each_name(directory: &CStr, each: &mut impl FnMut(&CStr)) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = openat(CWD, directory, flags, Mode::empty()) else { return };
    let mut buffer = [std::mem::MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        each(entry.file_name());
    }
}

/// Feeds a file of `/proc` to `each`, a piece at a time, until that says no.
fn each_piece(name: &CStr, each: &mut impl FnMut(&[u8]) -> bool) {
    let Ok(file) = openat(CWD, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return };
    let mut buffer = [0_u8; 2048];
    while let Ok(bytes @ 1..) = read(&file, &mut buffer) {
        if !each(buffer.get(..bytes).unwrap_or_default()) {
            return;
        }
    }
}

/// Hash of a process's arguments; none where it shows none.
pub(crate) fn argv_hash(pid: u32) -> Option<u64> {
    let mut hash = None;
    each_piece(Text::<32>::of(format_args!("/proc/{pid}/cmdline")).name(), &mut |piece| {
        hash = Some(hash.map_or_else(|| fnv1a(piece), |hash| fnv1a_on(hash, piece)));
        true
    });
    hash
}

/// Whether exactly this `NAME=value` is in the environment that the process began with.
pub(crate) fn has_variable(pid: u32, variable: &[u8]) -> bool {
    let (mut at, mut same, mut found) = (0_usize, true, false);
    each_piece(Text::<32>::of(format_args!("/proc/{pid}/environ")).name(), &mut |piece| {
        for byte in piece {
            if *byte == 0 {
                found |= same && at == variable.len();
                (at, same) = (0, true);
            } else {
                same = same && variable.get(at) == Some(byte);
                at = at.saturating_add(1);
            }
        }
        !found
    });
    found
}

/// A process's pidfd; none where there is none of that number (a thread is none).
pub(crate) fn hold(pid: u32) -> Result<Option<OwnedFd>> {
    let Some(number) = pid_of(pid) else { return Ok(None) };
    match pidfd_open(number, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

pub(crate) fn kill_by(pidfd: BorrowedFd<'_>) {
    // Gone already, or not ours to signal: the census names it then.
    let _ = pidfd_send_signal(pidfd, Signal::KILL);
}

/// A child that was waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    pub(crate) pid: u32,
    pub(crate) status: i32,
    pub(crate) cpu_us: (u64, u64),
    pub(crate) max_rss_kib: u64,
}

/// What wait(2) has.
pub(crate) enum Reap {
    One(Reaped),
    /// Children are there and live.
    None,
    /// No child at all: nothing descends from us.
    Childless,
}

/// Waits for any child that is dead.
pub(crate) fn reap() -> Reap {
    let mut status = 0;
    // SAFETY: rusage is a struct of integers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals of the right type that outlive the call.
    let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage) };
    let micros = |time: libc::timeval| {
        time.tv_sec.cast_unsigned().saturating_mul(1_000_000).saturating_add(time.tv_usec.cast_unsigned())
    };
    match u32::try_from(pid) {
        Ok(0) => Reap::None,
        Ok(pid) => Reap::One(Reaped {
            pid,
            status,
            cpu_us: (micros(usage.ru_utime), micros(usage.ru_stime)),
            max_rss_kib: usage.ru_maxrss.cast_unsigned(),
        }),
        Err(_) => Reap::Childless,
    }
}

/// Whether any child is there, dead or alive. Reaps none.
pub(crate) fn has_children() -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let looking = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, looking), Err(Errno::CHILD))
}

/// What fork(2) returned.
pub(crate) enum Fork {
    Child,
    Parent(u32),
}

pub(crate) fn fork() -> Result<Fork> {
    // SAFETY: this process has one thread, so the child may do all that the parent may.
    match unsafe { libc::fork() } {
        0 => Ok(Fork::Child),
        pid => u32::try_from(pid).map(Fork::Parent).map_err(|_| last_error()),
    }
}

/// fork(2), and the child begins in a cgroup (of version 2): clone3(2) with `CLONE_INTO_CGROUP`, Linux 5.7.
pub(crate) fn fork_into(cgroup: BorrowedFd<'_>) -> Result<Fork> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    /// `struct clone_args` as of Linux 5.7, eleven numbers: `flags`, `pidfd`, `child_tid`, `parent_tid`, `exit_signal`,
    /// `stack`, `stack_size`, `tls`, `set_tid`, `set_tid_size`, `cgroup`.
    type Arguments = [u64; 11];
    let mut arguments: Arguments = [0; 11];
    arguments[0] = CLONE_INTO_CGROUP;
    arguments[4] = libc::SIGCHLD.unsigned_abs().into();
    arguments[10] = u64::try_from(cgroup.as_raw_fd()).unwrap_or(u64::MAX);
    // SAFETY: the arguments live through the call and are as long as is said; without a stack of its own the child goes on with a copy
    // of ours, as after fork. This process has one thread and keeps nothing that a fork handler would mend.
    match unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of::<Arguments>()) } {
        0 => Ok(Fork::Child),
        pid => u32::try_from(pid).map(Fork::Parent).map_err(|_| last_error()),
    }
}

pub(crate) fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Ends this process at once; nothing is flushed or dropped.
pub(crate) fn end(code: i32) -> ! {
    // SAFETY: _exit takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// Signals that a shim does not mind.
const IGNORED: [i32; 12] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGPIPE,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGXFSZ,
    libc::SIGIO,
];

/// Ignores what would end us, takes `SIGCHLD` and `SIGTERM` by descriptor.
pub(crate) fn take_signals() -> Result<OwnedFd> {
    // SAFETY: a zeroed set is storage for sigemptyset, which makes it valid; the signals are valid numbers; no handler is a
    // function. An inherited ignored SIGCHLD would make the kernel forget exit codes, and no other is inherited either; numbers that cannot be
    // set are refused without effect.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, if IGNORED.contains(&signal) { libc::SIG_IGN } else { libc::SIG_DFL });
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(last_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Takes what came by the descriptor of [`take_signals`]; whether `SIGTERM` was among it.
pub(crate) fn was_asked_to_end(signals: BorrowedFd<'_>) -> bool {
    const SIZE: usize = size_of::<libc::signalfd_siginfo>();
    let mut asked = false;
    let mut information = [0_u8; 4 * SIZE];
    while let Ok(length @ 1..) = read(signals, &mut information) {
        let signals = information.get(..length).unwrap_or_default().chunks_exact(SIZE);
        let numbers = signals.filter_map(|one| one.first_chunk().copied().map(i32::from_ne_bytes));
        asked |= numbers.into_iter().any(|number| number == libc::SIGTERM);
    }
    asked
}

/// For a child before its exec, after [`take_signals`]: every signal as a new process expects it.
pub(crate) fn give_signals_back() {
    // SAFETY: as in `take_signals`.
    unsafe {
        for signal in IGNORED {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: u32) {
    // SAFETY: called before anything of ours has a descriptor; closing numbers that nobody owns harms nobody.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) != 0 {
            for fd in first.cast_signed()..4096 {
                libc::close(fd);
            }
        }
    }
}

/// The descriptor that the engine left for us as number 3, if it is one.
pub(crate) fn first_connection() -> Option<OwnedFd> {
    // SAFETY: fcntl with F_SETFD touches no memory and fails where there is no such descriptor.
    if unsafe { libc::fcntl(3, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return None;
    }
    // SAFETY: it is open, was inherited, and nothing else in this process owns it.
    Some(unsafe { OwnedFd::from_raw_fd(3) })
}

/// `struct pidfd_info` of Linux 6.15.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// The wait status of a process that somebody else waited for, by a pidfd that was open then; Linux 6.15 and newer.
pub(crate) fn status_of_reaped(pidfd: BorrowedFd<'_>) -> Option<i32> {
    const EXIT: u64 = 1 << 3;
    // _IOWR(0xff, 11, struct pidfd_info)
    const GET_INFO: libc::c_ulong = 0xc040_ff0b;
    const { assert!(size_of::<PidfdInfo>() == 64) };
    let mut info = PidfdInfo { mask: EXIT, ..PidfdInfo::default() };
    // SAFETY: the kernel reads and writes the 64 bytes that the number names; the struct has exactly those.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (result == 0 && info.mask & EXIT != 0).then_some(info.exit_code)
}
