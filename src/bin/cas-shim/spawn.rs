//! How a run is made: payload → one scratch mapping → fork → state → exec. The child shares the slot's lock until its exec.
//! Never leaves a second run behind.
#![expect(unsafe_code, reason = "a mapping made and read by hand, and execve")]

use std::{
    ffi::{CStr, c_char},
    ptr::NonNull,
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, Mode, OFlags, fstat, fstatfs, openat, unlinkat},
    io::{Errno, Result, pread, write},
    mm::{MapFlags, ProtFlags, mmap_anonymous, munmap},
    pipe::{PipeFlags, pipe_with},
    process::{Resource, Rlimit, chdir, getrlimit, ioctl_tiocsctty, setrlimit, setsid, umask},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};

use crate::{
    Facts, Hold, Launch, Run, Shim,
    attributes::Attributes,
    owed,
    pty::Pty,
    record,
    shim_format::{PAYLOAD, StateFile, fnv1a, spawn_flags, stage},
    sys::{self, Fork, Stat, Text, wall_us},
};

/// Largest payload; the kernel takes less for arguments and environment.
const LARGEST: u64 = 16 << 20;

/// What was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub(crate) run: u64,
    pub(crate) flags: u32,
    pub(crate) rows: u16,
    pub(crate) cols: u16,
    pub(crate) open_files: u64,
    pub(crate) processes: u64,
}

/// Where the child begins.
#[derive(Clone, Copy)]
enum Birth {
    /// In its cgroup, where that is of version 2: a process that moves to one waits until every processor has noticed.
    InCgroup,
    /// Where we are; it moves to its cgroups by itself. Linux (6.18 too) ends at once what is born into a cgroup that was ended by
    /// `cgroup.kill` at any time before.
    Outside,
}

/// Why it could not be made.
#[derive(Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) run: u64,
    pub(crate) stage: u8,
    pub(crate) errno: i32,
}

type Staged<T> = std::result::Result<T, (u8, Errno)>;

trait At<T> {
    fn at(self, stage: u8) -> Staged<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, stage: u8) -> Staged<T> {
        self.map_err(|error| (stage, error))
    }
}

/// The payload's bytes, then `CAS_SLOT`, then the pointers that execve wants. Gone when dropped.
pub(crate) struct Scratch {
    memory: NonNull<u8>,
    len: usize,
    payload: usize,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: exactly this was mapped, and every borrow of it ended with `self`.
        let _ = unsafe { munmap(self.memory.as_ptr().cast(), self.len) };
    }
}

/// Where things are in a scratch mapping, as offsets; pointers are only made at the exec.
pub(crate) struct Plan {
    program: usize,
    directory: usize,
    argv_hash: u64,
    arguments: usize,
    variables: usize,
    cgroups: (usize, u32),
    /// That of them in which it was born.
    joined: Option<usize>,
    kill_file: Option<usize>,
    pub(crate) attributes: (usize, u32),
}

impl Scratch {
    fn new(payload: usize, slots: usize) -> Result<Self> {
        let len = payload.next_multiple_of(8).checked_add(slots.checked_mul(8).ok_or(Errno::TOOBIG)?);
        let len = len.ok_or(Errno::TOOBIG)?;
        let (read_write, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice; nobody else has it.
        let memory = unsafe { mmap_anonymous(std::ptr::null_mut(), len, read_write, private)? };
        let memory = NonNull::new(memory.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { memory, len, payload })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is that long, initialised with zeros, and ours alone; shared by this borrow.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), self.len) }
    }

    pub(crate) fn string(&self, at: usize) -> &CStr {
        self.bytes().get(at..).and_then(|rest| CStr::from_bytes_until_nul(rest).ok()).unwrap_or_default()
    }

    /// The end of the string at `at`, behind its NUL.
    pub(crate) fn next(&self, at: usize) -> Option<usize> {
        let rest = self.bytes().get(at..self.payload)?;
        let len = rest.iter().position(|byte| *byte == 0)?;
        at.checked_add(len)?.checked_add(1)
    }

    fn address(&self, at: usize) -> *const c_char {
        self.memory.as_ptr().wrapping_add(at).cast_const().cast()
    }

    /// Sets the pointer at offset `slot`.
    fn point(&mut self, slot: usize, to: *const c_char) {
        if let Some(place) = slot.checked_add(8).and_then(|end| self.bytes_mut().get_mut(slot..end)) {
            place.copy_from_slice(&(to as usize).to_ne_bytes());
        }
    }

    fn vector(&self, slot: usize) -> *const *const c_char {
        self.memory.as_ptr().wrapping_add(slot).cast_const().cast()
    }
}

/// Reads a payload and lays out the vectors.
fn lay_out(memfd: BorrowedFd<'_>, slot_mark: &[u8]) -> Result<(Scratch, Plan)> {
    let size = fstat(memfd)?.st_size.cast_unsigned();
    if !(PAYLOAD as u64..=LARGEST).contains(&size) {
        return Err(Errno::INVAL);
    }
    let size = usize::try_from(size).map_err(|_| Errno::TOOBIG)?;
    let mut head = [0_u8; PAYLOAD];
    if pread(memfd, &mut head, 0)? != PAYLOAD {
        return Err(Errno::INVAL);
    }
    let count = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| head.get(at + byte).copied().unwrap_or(0)));
    let (argc, envc, cgroups) = (count(0), count(4), count(8));
    let (kills, attributes) = (count(12) & 0xff, count(12) >> 8);
    let total =
        [argc, envc, cgroups, kills, attributes].iter().fold(2_u64, |sum, count| sum.saturating_add(u64::from(*count)));
    // Every string has its NUL, so a count beyond that is a lie.
    if argc == 0 || kills > 1 || total > size as u64 {
        return Err(Errno::INVAL);
    }
    let text = size.checked_add(slot_mark.len()).and_then(|end| end.checked_add(1)).ok_or(Errno::TOOBIG)?;
    let mut scratch = Scratch::new(text, argc as usize + envc as usize + 4)?;
    scratch.payload = size;
    let mut filled = 0;
    while filled < size {
        match pread(memfd, scratch.bytes_mut().get_mut(filled..size).unwrap_or_default(), filled as u64)? {
            0 => return Err(Errno::INVAL),
            bytes => filled += bytes,
        }
    }
    if let Some(place) = scratch.bytes_mut().get_mut(size..text - 1) {
        place.copy_from_slice(slot_mark);
    }
    // A spare slot before the arguments: a script without `#!` gets its shell there.
    let spare = text.next_multiple_of(8);
    let directory = scratch.next(PAYLOAD).ok_or(Errno::INVAL)?;
    let first = scratch.next(directory).ok_or(Errno::INVAL)?;
    let (mut at, mut place) = (first, spare + 8);
    for _ in 0..argc {
        scratch.point(place, scratch.address(at));
        at = scratch.next(at).ok_or(Errno::INVAL)?;
        place += 8;
    }
    let argv_hash = fnv1a(scratch.bytes().get(first..at).unwrap_or_default());
    place += 8;
    let variables = place;
    for _ in 0..envc {
        // Under another shim its mark would be there already.
        if !scratch.string(at).to_bytes().starts_with(b"CAS_SLOT=") {
            scratch.point(place, scratch.address(at));
            place += 8;
        }
        at = scratch.next(at).ok_or(Errno::INVAL)?;
    }
    scratch.point(place, scratch.address(size));
    let cgroups = (at, cgroups);
    for _ in 0..cgroups.1 {
        at = scratch.next(at).ok_or(Errno::INVAL)?;
    }
    let kill_file = (kills == 1).then_some(at);
    if kills == 1 {
        at = scratch.next(at).ok_or(Errno::INVAL)?;
    }
    let attributes = (at, attributes);
    for _ in 0..attributes.1 {
        at = scratch.next(at).ok_or(Errno::INVAL)?;
    }
    Ok((
        scratch,
        Plan {
            program: PAYLOAD,
            directory,
            argv_hash,
            arguments: spare + 8,
            variables,
            cgroups,
            joined: None,
            kill_file,
            attributes,
        },
    ))
}

/// A child in that of the plan's cgroups that is of version 2, and where its path is.
fn born_in_cgroup(scratch: &Scratch, plan: &Plan) -> Option<(Fork, usize)> {
    let (at, cgroup) = unified_cgroup(scratch, plan)?;
    // Where the kernel is too old, or says no, the child moves.
    Some((sys::fork_into(cgroup.as_fd()).ok()?, at))
}

/// The one of the plan's cgroups that is of version 2, and where its path is; in the others a process cannot be born.
fn unified_cgroup(scratch: &Scratch, plan: &Plan) -> Option<(usize, OwnedFd)> {
    const CGROUP2: i64 = 0x6367_7270;
    let (mut at, count) = plan.cgroups;
    for _ in 0..count {
        let path = scratch.string(at);
        if let Some(directory) = path.to_bytes().strip_suffix(b"/cgroup.procs").and_then(Text::<1024>::from_bytes)
            && let Ok(cgroup) = openat(CWD, directory.name(), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            && fstatfs(&cgroup).is_ok_and(|system| system.f_type == CGROUP2)
        {
            return Some((at, cgroup));
        }
        at = scratch.next(at)?;
    }
    None
}

impl Shim {
    /// Begins a run; how it went is told when its pipe says so.
    pub(crate) fn spawn(&mut self, order: Order, memfd: Option<BorrowedFd<'_>>) {
        let launched = match memfd {
            Some(memfd) => self.launch(order, memfd, Birth::InCgroup),
            None => Err((stage::PAYLOAD, Errno::BADF)),
        };
        self.unless_failed(order, launched);
    }

    fn unless_failed(&mut self, order: Order, launched: Staged<()>) {
        if let Err((stage, error)) = launched {
            self.failed = Some(Failure { run: order.run, stage, errno: error.raw_os_error() });
            self.owe(owed::FAILED);
        }
    }

    fn launch(&mut self, order: Order, memfd: BorrowedFd<'_>, birth: Birth) -> Staged<()> {
        let mark = Text::<64>::of(format_args!("CAS_SLOT={}", self.mark.as_str()));
        let (mut scratch, plan) = lay_out(memfd, mark.bytes()).at(stage::PAYLOAD)?;
        let kill_file = plan.kill_file.map_or(c"", |at| scratch.string(at));
        let kill_file = Text::from_bytes(kill_file.to_bytes()).ok_or((stage::PAYLOAD, Errno::NAMETOOLONG))?;
        self.reserve().at(stage::STATE)?;
        if self.records.exited == order.run {
            // An exit record of the same number would say that the new run has ended.
            let _ = unlinkat(CWD, c"exit", rustix::fs::AtFlags::empty());
        }
        self.pty = None;
        let (ends, pty) = self.ends(order).at(stage::DESCRIPTORS)?;
        let (told, tells) = pipe_with(PipeFlags::CLOEXEC).at(stage::DESCRIPTORS)?;
        rustix::io::ioctl_fionbio(&told, true).at(stage::DESCRIPTORS)?;
        let started = wall_us();
        let (fork, joined) = match birth {
            Birth::InCgroup => born_in_cgroup(&scratch, &plan),
            Birth::Outside => None,
        }
        .map_or_else(|| Ok((sys::fork().at(stage::FORK)?, None)), |(fork, at)| Ok((fork, Some(at))))?;
        match fork {
            Fork::Child => {
                let plan = Plan { joined, ..plan };
                let Err((stage, error)) = self.become_service(order, &mut scratch, &plan, &ends, pty.as_ref(), started);
                let [a, b, c, d] = error.raw_os_error().to_le_bytes();
                let _ = write(&tells, &[stage, a, b, c, d]);
                sys::end(127)
            }
            Fork::Parent(pid) => {
                let start = Stat::of(pid).map_or(0, |stat| stat.start);
                let (run, flags, argv) = (order.run, order.flags, plan.argv_hash);
                let facts = Facts { run, pid, start, argv, flags, wall_us: started };
                let before = std::mem::replace(&mut self.run, Run::Running(facts, Hold::Child));
                // Without a second hold on the payload there is no second try.
                let again = joined.and_then(|_| Some((order, memfd.try_clone_to_owned().ok()?)));
                let kill_file = std::mem::replace(&mut self.kill_file, kill_file);
                self.launch = Some(Launch { told, before, kill_file, again });
                self.pty = pty;
                // Its state may be the first: then it takes the room, and leaves none.
                self.records.have_room &= self.log.run != 0;
                self.log.run = run;
                self.is_adopted = false;
                self.retiring = false;
                Ok(())
            }
        }
    }

    /// The service's ends of its output: of the FIFOs, opened anew so that they block, or the terminal.
    fn ends(&self, order: Order) -> Result<([OwnedFd; 2], Option<Pty>)> {
        if order.flags & spawn_flags::TTY != 0 {
            let pty = Pty::open(order.rows, order.cols)?;
            let slave = pty.slave()?;
            return Ok(([slave.try_clone().map_err(|_| Errno::MFILE)?, slave], Some(pty)));
        }
        let reopen = |name| openat(CWD, name, OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        let err = if order.flags & spawn_flags::SPLIT == 0 { c"out" } else { c"err" };
        let ends = [reopen(c"out")?, reopen(err)?];
        let [out_kept, err_kept] = &self.fifos;
        let err_kept = if order.flags & spawn_flags::SPLIT == 0 { out_kept } else { err_kept };
        for (end, kept) in ends.iter().zip([out_kept, err_kept]) {
            let (end, kept) = (fstat(end)?, fstat(kept)?);
            if (end.st_dev, end.st_ino) != (kept.st_dev, kept.st_ino) {
                return Err(Errno::PERM);
            }
        }
        Ok((ends, None))
    }

    /// In the child; returns only where it failed.
    fn become_service(
        &self,
        order: Order,
        scratch: &mut Scratch,
        plan: &Plan,
        ends: &[OwnedFd; 2],
        pty: Option<&Pty>,
        wall_us: i64,
    ) -> Staged<std::convert::Infallible> {
        let [out, err] = ends;
        setsid().at(stage::DESCRIPTORS)?;
        if let Some(pty) = pty {
            dup2_stdin(out).at(stage::DESCRIPTORS)?;
            ioctl_tiocsctty(out).at(stage::DESCRIPTORS)?;
            pty.leave_with_service().at(stage::DESCRIPTORS)?;
        }
        dup2_stdout(out).at(stage::DESCRIPTORS)?;
        dup2_stderr(err).at(stage::DESCRIPTORS)?;
        sys::give_signals_back();
        if let Ok(adjust) = openat(CWD, c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            // Where ours could not be lowered there is nothing to raise again.
            let _ = write(adjust, self.origin.oom.bytes());
        }
        umask(self.origin.mask);
        if order.open_files != 0 {
            let maximum = getrlimit(Resource::Nofile).maximum;
            let current = Some(maximum.map_or(order.open_files, |most| most.min(order.open_files)));
            setrlimit(Resource::Nofile, Rlimit { current, maximum }).at(stage::DESCRIPTORS)?;
        }
        if order.processes != 0 {
            let most = getrlimit(Resource::Nproc).maximum.map_or(order.processes, |most| most.min(order.processes));
            setrlimit(Resource::Nproc, Rlimit { current: Some(most), maximum: Some(most) }).at(stage::DESCRIPTORS)?;
        }
        let attributes = Attributes::of(scratch, plan).ok_or((stage::PAYLOAD, Errno::INVAL))?;
        attributes.set_limits().at(stage::LIMITS)?;
        let (mut at, count) = plan.cgroups;
        for _ in 0..count {
            if plan.joined != Some(at) {
                let procs = openat(CWD, scratch.string(at), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
                procs.and_then(|procs| write(procs, b"0")).at(stage::CGROUP)?;
            }
            at = scratch.next(at).ok_or((stage::CGROUP, Errno::INVAL))?;
        }
        chdir(scratch.string(plan.directory)).at(stage::DIRECTORY)?;
        let pid = std::process::id();
        let start = Stat::of(pid).ok_or((stage::STATE, Errno::SRCH))?.start;
        let (run, flags, argv) = (order.run, order.flags, plan.argv_hash);
        let state = StateFile { run, pid, start, boot: self.boot.as_str(), argv, flags, wall_us };
        let text = record::state_text(&state);
        record::replace(self.slot.as_fd(), c"state.tmp", c"state", text.bytes()).at(stage::STATE)?;
        // From here on nothing of ours may be touched.
        attributes.become_user().at(stage::USER)?;
        Err((stage::EXEC, execute(scratch, plan)))
    }

    /// Whether a child whose pipe is closed never got as far as its exec: before that it writes `state`. It may not be a body yet: descriptors
    /// are closed before.
    fn ended_unborn(run: u64) -> bool {
        record::last_run() != run
    }

    /// Looks whether the child has become the service; true where that is decided.
    pub(crate) fn check_launch(&mut self) -> bool {
        let Some(launch) = &self.launch else { return true };
        let mut said = [0_u8; 5];
        let result = rustix::io::read(&launch.told, &mut said);
        if matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            return false;
        }
        let Some(launch) = self.launch.take() else { return true };
        if !matches!(result, Ok(5)) {
            match launch.again {
                Some((order, payload)) if Self::ended_unborn(order.run) => {
                    self.run = launch.before;
                    self.kill_file = launch.kill_file;
                    let launched = self.launch(order, payload.as_fd(), Birth::Outside);
                    self.unless_failed(order, launched);
                    return self.launch.is_none();
                }
                Some(_) | None => self.owe(owed::SPAWNED),
            }
            return true;
        }
        let [at, errno @ ..] = said;
        let failure = Failure { run: self.log.run, stage: at, errno: i32::from_le_bytes(errno) };
        self.records.have_room &= failure.stage != stage::STATE;
        self.failed = Some(failure);
        self.owe(owed::FAILED);
        self.pty = None;
        self.kill_file = launch.kill_file;
        let this = std::mem::replace(&mut self.run, launch.before);
        if let (Run::Running(facts, _), stage::EXEC | stage::USER) = (this, at) {
            // Its state is on disk; the exit record says about it what shells say.
            let value = if failure.errno == Errno::NOENT.raw_os_error() { 127 } else { 126 };
            self.settle_exit(facts, crate::Exit::code(value, wall_us()));
        }
        true
    }
}

fn execute(scratch: &mut Scratch, plan: &Plan) -> Errno {
    let program = scratch.address(plan.program);
    // SAFETY: `program` is a NUL-terminated string and both vectors are NULL-terminated arrays of such in the scratch mapping,
    // which nothing frees before the exec.
    unsafe { libc::execve(program, scratch.vector(plan.arguments), scratch.vector(plan.variables)) };
    let error = sys::last_error();
    if error != Errno::NOEXEC {
        return error;
    }
    let shell = c"/bin/sh".as_ptr();
    scratch.point(plan.arguments - 8, shell);
    scratch.point(plan.arguments, program);
    // SAFETY: as above; the spare slot in front belongs to the same array.
    unsafe { libc::execve(shell, scratch.vector(plan.arguments - 8), scratch.vector(plan.variables)) };
    sys::last_error()
}
