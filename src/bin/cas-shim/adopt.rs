//! A run that an earlier shim left: is it there, and is it that one? Never signals to find out, and never takes a number for a
//! process.

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, fstat, stat},
    io::Result,
    process::geteuid,
};

use crate::{
    Exit, Facts, Hold, Run, Shim, owed,
    pty::Pty,
    record::{self, RECORD},
    shim_format::{ExitFile, StateFile, exit_kind, spawn_flags},
    sys::{self, Stat, Text, wall_us},
};

/// Looks at a process that shows nothing yet: the lock is free a moment before an exec's arguments can be read.
const LOOKS: u32 = 20;
/// Milliseconds within which whoever has a dead process as its child waits for it.
const PATIENCE: u64 = 2000;

enum Proof {
    Gone,
    Proven(OwnedFd),
    Open(OwnedFd),
}

impl Shim {
    /// What the slot's records say, held against what runs.
    pub(crate) fn take_over(&mut self) -> Result<()> {
        let (mut state, mut exit) = ([0; RECORD], [0; RECORD]);
        let state = StateFile::parse(record::text(c"state", &mut state));
        let exit = ExitFile::parse(record::text(c"exit", &mut exit));
        self.records.exited = exit.as_ref().map_or(0, |exit| exit.run);
        let Some(state) = state else { return self.take_over_unnamed(exit.as_ref()) };
        let StateFile { run, pid, start, argv, flags, wall_us: since, boot } = state;
        let facts = Facts { run, pid, start, argv, flags, wall_us: since };
        self.log.run = run;
        self.is_adopted = true;
        if let Some(exit) = exit.filter(|exit| exit.run == run) {
            self.run = Run::Ended(facts, Exit::of(&exit));
        } else if boot != self.boot.as_str() {
            self.settle_exit(facts, Exit::unseen(exit_kind::REBOOT, wall_us()));
        } else {
            match self.prove(&facts)? {
                Proof::Proven(pidfd) => {
                    if flags & spawn_flags::TTY != 0 {
                        self.pty = Pty::take_over(pid, pidfd.as_fd());
                    }
                    self.run = Run::Running(facts, Hold::Adopted { pidfd, dying: None });
                }
                Proof::Open(pidfd) => self.run = Run::Unverifiable(facts, pidfd),
                // A run that ended before it could write its state has an exit record all the same. Clocks may have been set meanwhile;
                // the numbers of runs only grow.
                Proof::Gone => match exit.filter(|exit| exit.run > run) {
                    Some(exit) => self.run = Run::Ended(Facts { run: exit.run, ..facts }, Exit::of(&exit)),
                    None => self.settle_exit(facts, Exit::unseen(exit_kind::UNKNOWN, wall_us())),
                },
            }
        }
        Ok(())
    }

    /// Without a state that can be read: whoever writes to this slot's FIFOs may be its run.
    fn take_over_unnamed(&mut self, exit: Option<&ExitFile>) -> Result<()> {
        let mut holder = None;
        if self.had_fifos {
            sys::each_process(|pid| {
                if holder.is_none() && self.has_our_output(pid) {
                    holder = Some(pid);
                }
            });
        }
        let nobody = Facts { run: 0, pid: 0, start: 0, argv: 0, flags: 0, wall_us: 0 };
        let pidfd = holder.map_or(Ok(None), sys::hold)?;
        self.run = match (holder.and_then(|pid| Some((pid, Stat::of(pid)?))), pidfd, exit) {
            (Some((pid, stat)), Some(pidfd), _) => Run::Unverifiable(Facts { pid, start: stat.start, ..nobody }, pidfd),
            (_, _, Some(exit)) => Run::Ended(Facts { run: exit.run, ..nobody }, Exit::of(exit)),
            (_, _, None) => Run::Fresh,
        };
        self.is_adopted = true;
        Ok(())
    }

    fn prove(&self, facts: &Facts) -> Result<Proof> {
        let mut looks = 0;
        loop {
            let Some(pidfd) = sys::hold(facts.pid)? else { return Ok(Proof::Gone) };
            if Stat::of(facts.pid).is_none_or(|stat| stat.start != facts.start) {
                return Ok(Proof::Gone);
            }
            let is_proven = self.has_our_output(facts.pid)
                || sys::argv_hash(facts.pid) == Some(facts.argv)
                || sys::has_variable(facts.pid, Text::<32>::of(format_args!("CAS_RUN={}", facts.run)).bytes());
            // All that was read is about this process only if it lived all the while.
            if sys::is_dead(pidfd.as_fd()) {
                return Ok(Proof::Gone);
            }
            if is_proven {
                return Ok(Proof::Proven(pidfd));
            }
            looks += 1;
            if looks == LOOKS {
                return Ok(Proof::Open(pidfd));
            }
            sys::pause(10);
        }
    }

    /// Whether its standard output or error is a FIFO of this slot.
    pub(crate) fn has_our_output(&self, pid: u32) -> bool {
        [1, 2].into_iter().any(|number| {
            let name = Text::<48>::of(format_args!("/proc/{pid}/fd/{number}"));
            let Ok(facts) = stat(name.name()) else { return false };
            self.fifos
                .iter()
                .any(|fifo| fstat(fifo).is_ok_and(|ours| (ours.st_dev, ours.st_ino) == (facts.st_dev, facts.st_ino)))
        })
    }

    /// Whether it is of this slot's run: by its output, or by the marks that only this run's processes inherit.
    pub(crate) fn is_marked(&self, pid: u32) -> bool {
        let Some(facts) = self.run.facts() else { return false };
        let slot = Text::<64>::of(format_args!("CAS_SLOT={}", self.mark.as_str()));
        let run = Text::<32>::of(format_args!("CAS_RUN={}", facts.run));
        self.has_our_output(pid) || sys::has_variable(pid, slot.bytes()) && sys::has_variable(pid, run.bytes())
    }

    /// Looks after a process that is not our child.
    pub(crate) fn check_adopted(&mut self, now: u64) {
        match &mut self.run {
            Run::Running(facts, Hold::Adopted { pidfd, dying }) if sys::is_dead(pidfd.as_fd()) => {
                let since = *dying.get_or_insert(now);
                let exit = match status_of(facts, pidfd.as_fd(), now.saturating_sub(since) > PATIENCE) {
                    Status::Known(status) => Exit::from_status(status, wall_us()),
                    Status::Unknown => Exit::unseen(exit_kind::UNKNOWN, wall_us()),
                    Status::NotYet => return,
                };
                self.finish(exit);
            }
            Run::Unverifiable(_, pidfd) if sys::is_dead(pidfd.as_fd()) => {
                // Whatever it was, it is gone: what the records say now?
                if self.take_over().is_ok() && matches!(self.run, Run::Ended(..)) {
                    self.owe(owed::EXITED);
                }
            }
            Run::Running(..) | Run::Unverifiable(..) | Run::Fresh | Run::Ended(..) => {}
        }
    }
}

enum Status {
    Known(i32),
    Unknown,
    NotYet,
}

/// How a process ended whose parent is another: from its body, or from the kernel's note on the pidfd.
fn status_of(facts: &Facts, pidfd: BorrowedFd<'_>, is_late: bool) -> Status {
    let body = Stat::of(facts.pid).filter(|stat| stat.start == facts.start);
    let name = Text::<32>::of(format_args!("/proc/{}", facts.pid));
    // The kernel shows a status of 0 to whom it does not trust.
    let is_ours = stat(name.name()).is_ok_and(|entry| entry.st_uid == geteuid().as_raw()) || geteuid().is_root();
    if let Some(body) = body.filter(|body| body.is_body() && is_ours) {
        return Status::Known(body.status);
    }
    match sys::status_of_reaped(pidfd) {
        Some(status) => Status::Known(status),
        None if body.is_none() || is_late => Status::Unknown,
        None => Status::NotYet,
    }
}

/// A slot's name in the environment of its processes, that no other slot has.
pub(crate) fn mark_of(slot: BorrowedFd<'_>) -> Result<Text<48>> {
    let facts = fstat(slot)?;
    Ok(Text::of(format_args!("{}:{}", facts.st_dev, facts.st_ino)))
}

/// The number of this boot.
pub(crate) fn boot() -> Text<48> {
    let mut buffer = [0; 40];
    let text = sys::read_file(c"/proc/sys/kernel/random/boot_id", &mut buffer);
    Text::from_bytes(text.trim_ascii_end()).unwrap_or(Text::new())
}

/// Opens one of the slot's FIFOs, made if it is not there; whether it was.
pub(crate) fn open_fifo(name: &std::ffi::CStr) -> Result<(OwnedFd, bool)> {
    use rustix::{
        fs::{FileType, Mode, OFlags, mknodat, openat},
        io::Errno,
    };
    let made = mknodat(CWD, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
    if !matches!(made, Ok(()) | Err(Errno::EXIST)) {
        made?;
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fifo = openat(CWD, name, flags, Mode::empty())?;
    let facts = fstat(&fifo)?;
    let is_fifo = FileType::from_raw_mode(facts.st_mode) == FileType::Fifo;
    if !is_fifo || facts.st_uid != geteuid().as_raw() || facts.st_mode & 0o077 != 0 || facts.st_nlink != 1 {
        return Err(Errno::PERM);
    }
    Ok((fifo, made.is_err()))
}
