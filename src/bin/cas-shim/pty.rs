//! A pseudo-terminal: its output goes through the slot's FIFO like any other, so that it is kept the same way. A copy of the
//! master stays with the service, so that the terminal outlives this shim. Never hangs the service up.

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, readlinkat_raw},
    io::{Errno, FdFlags, Result, fcntl_dupfd_cloexec, fcntl_setfd, read, write},
    process::{PidfdGetfdFlags, pidfd_getfd},
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::{
    shim_format::PACKET_BYTES,
    sys::{Text, each_number},
};

/// A terminal and what was read from it and did not fit into the FIFO yet.
pub(crate) struct Pty {
    master: OwnedFd,
    /// Kept open so that the master never reports a hang-up.
    _slave: OwnedFd,
    held: [u8; 2048],
    len: usize,
    /// Input that the terminal did not take yet: the service does not read. It waits from the first number up to the second.
    typed: [u8; PACKET_BYTES],
    waits: (usize, usize),
}

fn open_slave(master: &OwnedFd) -> Result<OwnedFd> {
    ioctl_tiocgptpeer(master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
}

impl Pty {
    pub(crate) fn open(rows: u16, cols: u16) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let pty = Self::of(master)?;
        pty.resize(rows, cols)?;
        Ok(pty)
    }

    fn of(master: OwnedFd) -> Result<Self> {
        rustix::io::ioctl_fionbio(&master, true)?;
        let slave = open_slave(&master)?;
        Ok(Self { master, _slave: slave, held: [0; 2048], len: 0, typed: [0; PACKET_BYTES], waits: (0, 0) })
    }

    /// From a service whose shim died: it has the master's copy.
    pub(crate) fn take_over(pid: u32, pidfd: BorrowedFd<'_>) -> Option<Self> {
        let mut found = None;
        each_number(Text::<32>::of(format_args!("/proc/{pid}/fd")).name(), &mut |number| {
            let name = Text::<48>::of(format_args!("/proc/{pid}/fd/{number}"));
            let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
            let is_master = readlinkat_raw(CWD, name.name(), buffer.as_mut_slice())
                .is_ok_and(|(target, _)| matches!(&*target, b"/dev/ptmx" | b"/dev/pts/ptmx"));
            if let (true, None, Ok(number)) = (is_master, &found, i32::try_from(number)) {
                found = pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).ok();
            }
        });
        Self::of(found?).ok()
    }

    pub(crate) fn slave(&self) -> Result<OwnedFd> {
        open_slave(&self.master)
    }

    /// In the child: leaves a copy of the master open over its exec.
    pub(crate) fn leave_with_service(&self) -> Result<()> {
        let copy = fcntl_dupfd_cloexec(&self.master, 100).or_else(|_| fcntl_dupfd_cloexec(&self.master, 10))?;
        fcntl_setfd(&copy, FdFlags::empty())?;
        // It is the service's now.
        let _: i32 = std::os::fd::IntoRawFd::into_raw_fd(copy);
        Ok(())
    }

    pub(crate) fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        tcsetwinsize(&self.master, Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 })
    }

    /// Types, or keeps what the terminal does not take yet; refused while something is kept.
    pub(crate) fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        if self.is_typing() {
            return Err(Errno::AGAIN);
        }
        self.typed.get_mut(..bytes.len()).ok_or(Errno::MSGSIZE)?.copy_from_slice(bytes);
        self.waits = (0, bytes.len());
        Ok(())
    }

    /// Whether input waits for the terminal to take it.
    pub(crate) fn is_typing(&self) -> bool {
        self.waits.0 < self.waits.1
    }

    /// Types on; true when nothing waits any more. What a terminal refuses for good is as good as typed.
    pub(crate) fn type_on(&mut self) -> bool {
        let (from, to) = self.waits;
        match write(&self.master, self.typed.get(from..to).unwrap_or_default()) {
            Ok(bytes) => self.waits.0 = from.saturating_add(bytes),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.waits = (0, 0),
        }
        !self.is_typing()
    }

    pub(crate) fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Whether something waits for room in the FIFO.
    pub(crate) fn is_held(&self) -> bool {
        self.len > 0
    }

    /// Moves output into the FIFO; whether there may be more at once.
    pub(crate) fn carry(&mut self, fifo: BorrowedFd<'_>) -> bool {
        if self.len == 0 {
            match read(&self.master, self.held.as_mut_slice()) {
                Ok(bytes @ 1..) => self.len = bytes,
                Ok(0) | Err(_) => return false,
            }
        }
        match write(fifo, self.held.get(..self.len).unwrap_or_default()) {
            Ok(bytes) => {
                self.held.copy_within(bytes.min(self.len)..self.len, 0);
                self.len = self.len.saturating_sub(bytes);
                true
            }
            Err(_) => false,
        }
    }
}
