//! The files `state` and `exit`: replaced whole by a rename, and writable on a full disk because their room is taken
//! beforehand: a record and the one before it change names, so that each has the room of the other. Never follows a link.

use std::ffi::CStr;

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, FileType, Mode, OFlags, RenameFlags, fstat, ftruncate, openat, renameat, renameat_with},
    io::{Errno, Result, pwrite},
    process::geteuid,
};

use crate::{
    Exit, Facts, Run, Shim,
    shim_format::{ExitFile, StateFile},
    sys::{self, Text, read_file},
};

/// Longer than either record.
pub(crate) const RECORD: usize = 512;

/// What is known of the records.
pub(crate) struct Records {
    /// Whose the exit record is; 0: there is none.
    pub(crate) exited: u64,
    /// The next ones have their room.
    pub(crate) have_room: bool,
}

/// Opens a file of the slot that must be a plain one of ours with no other name.
pub(crate) fn open_ours(directory: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?;
    let facts = fstat(&file)?;
    let is_plain = FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile;
    if !is_plain || facts.st_uid != geteuid().as_raw() || facts.st_nlink != 1 {
        return Err(Errno::PERM);
    }
    Ok(file)
}

/// Takes the room that a record needs, so that it can be written when the disk is full.
pub(crate) fn reserve(directory: BorrowedFd<'_>, temporary: &CStr) -> Result<()> {
    let file = open_ours(directory, temporary, OFlags::RDWR | OFlags::CREATE)?;
    if pwrite(&file, &[b'\n'; RECORD], 0)? == RECORD { Ok(()) } else { Err(Errno::NOSPC) }
}

/// Replaces a record. True where what was there is under the temporary name now, so that the next one has its room; not where nothing
/// was, or the file system cannot do that.
///
/// A plain rename over a file makes some file systems (ext4) write it out at once, which takes longer than all the rest of a start.
pub(crate) fn replace(directory: BorrowedFd<'_>, temporary: &CStr, name: &CStr, text: &[u8]) -> Result<bool> {
    let file = open_ours(directory, temporary, OFlags::RDWR | OFlags::CREATE)?;
    if pwrite(&file, text, 0)? != text.len() {
        return Err(Errno::NOSPC);
    }
    ftruncate(&file, text.len() as u64)?;
    if renameat_with(directory, temporary, directory, name, RenameFlags::EXCHANGE).is_ok() {
        return Ok(true);
    }
    renameat(directory, temporary, directory, name)?;
    Ok(false)
}

/// A record's text; empty where there is none of ours.
pub(crate) fn text<'a>(name: &CStr, buffer: &'a mut [u8; RECORD]) -> &'a str {
    if open_ours(CWD, name, OFlags::RDONLY).is_err() {
        return "";
    }
    std::str::from_utf8(read_file(name, buffer)).unwrap_or_default()
}

/// The run that the state file names; 0 where there is none.
pub(crate) fn last_run() -> u64 {
    StateFile::parse(text(c"state", &mut [0; RECORD])).map_or(0, |state| state.run)
}

/// As `state` has it.
pub(crate) fn state_text(state: &StateFile<'_>) -> Text<RECORD> {
    let StateFile { run, pid, start, boot, argv, flags, wall_us } = *state;
    let shim = std::process::id();
    Text::of(format_args!(
        "v=1\nrun={run}\npid={pid}\nstart={start}\nboot={boot}\nargv={argv:016x}\nshim={shim}\nflags={flags}\nwall={wall_us}\n"
    ))
}

/// As `exit` has it.
pub(crate) fn exit_text(exit: &ExitFile) -> Text<RECORD> {
    let ExitFile { run, kind, value, wall_us, cpu_us: (user, system), max_rss_kib } = *exit;
    Text::of(format_args!(
        "v=1\nrun={run}\nkind={kind}\nvalue={value}\nwall={wall_us}\nuser={user}\nsystem={system}\nrss={max_rss_kib}\n"
    ))
}

impl Shim {
    /// Takes the room of the next records, once; deletes old output for it if need be.
    pub(crate) fn reserve(&mut self) -> Result<()> {
        if !self.records.have_room {
            for name in [c"exit.tmp", c"state.tmp"] {
                let slot = self.slot.as_fd();
                self.log.free_for(|| reserve(slot, name))?;
            }
            self.records.have_room = true;
        }
        Ok(())
    }

    /// Writes the exit record.
    pub(crate) fn settle_exit(&mut self, facts: Facts, exit: Exit) {
        let Exit { kind, value, wall_us, cpu_us, max_rss_kib, .. } = exit;
        let text = exit_text(&ExitFile { run: facts.run, kind, value, wall_us, cpu_us, max_rss_kib });
        let slot = self.slot.as_fd();
        let saved = self.log.free_for(|| replace(slot, c"exit.tmp", c"exit", text.bytes()));
        self.records.have_room &= matches!(saved, Ok(true));
        self.records.exited = facts.run;
        // Where the slot was deleted there is no place for it, nor will there be.
        let may_yet = saved.is_err_and(|error| error != Errno::NOENT);
        self.unsaved = may_yet.then(|| sys::now_ms().saturating_add(1000));
        self.run = Run::Ended(facts, exit);
    }
}
