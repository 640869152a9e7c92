//! What an engine must remember of a project for the next one, on disk before the world sees the consequence: one line a record.
//!
//! Promise: a record that was taken is found by the next engine after any `kill -9`; damage costs the records that it hit and
//! no other; memory is bounded whatever the file holds. The newest record of each service stays in memory too, so that a full
//! disk that has space again gets all of them. Never: a link followed, a file deleted that was not understood.
//!
//! A record is `\n1 HASH SERVICE JSON\n`, where HASH is FNV-1a of `SERVICE JSON` in sixteen hexadecimal digits. The line feed in
//! front keeps it apart from whatever a failed write or a bent byte left there. Other numbers in front are of newer formats.

mod scan;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT},
    io::Errno,
};

use self::scan::Scan;
use super::{clock, store::private};
use crate::{model::ids::ServiceName, shim_format::fnv1a};

/// Bytes of a line, its end not counted; a longer one is passed over without being kept.
const LINE_LIMIT: usize = 256 << 10;
/// A file up to this size is not rewritten.
const SMALL: u64 = 64 << 10;
/// Nor one of less than so many times what is needed.
const SLACK: u64 = 4;

const NAME: &str = "journal";
const NEW: &str = "journal.new";

/// The journal of one project. One engine at a time has it, by the project's lock.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// None while it cannot be written: every record tries again.
    open: Option<Open>,
    /// The newest of each service.
    live: BTreeMap<ServiceName, Arc<str>>,
    /// Bytes that they take as lines.
    live_bytes: u64,
    /// The file lacks something that is in `live`.
    behind: bool,
    /// Size from which it is rewritten.
    rewrite_at: u64,
    /// What the file is to be kept as when it is next rewritten, as something in it was not understood.
    keep_as: Option<&'static str>,
}

#[derive(Debug)]
struct Open {
    dir: OwnedFd,
    file: File,
    size: u64,
}

impl Journal {
    /// Opens, or begins, the journal in `dir` (made 0700 if missing). Also returns the newest record of each service, and
    /// sentences about what is wrong: a journal that cannot be opened is empty and tries again with every record.
    #[must_use]
    pub fn open(dir: &Path) -> (Self, BTreeMap<ServiceName, Arc<str>>, Vec<String>) {
        let mut journal = Self {
            path: dir.join(NAME),
            open: None,
            live: BTreeMap::new(),
            live_bytes: 0,
            behind: false,
            rewrite_at: SMALL,
            keep_as: None,
        };
        let mut troubles = Vec::new();
        match journal.reopen() {
            Ok(scan) => {
                troubles.extend(scan.sentences(&journal.path));
                if scan.damaged > 0
                    && let Err(error) = journal.rewrite()
                {
                    troubles.push(journal.sentence(&error));
                }
            }
            Err(error) => troubles.push(journal.sentence(&error)),
        }
        let found = journal.live.clone();
        (journal, found, troubles)
    }

    /// Takes a record in the place of the service's earlier one, with a single `write(2)`. What cannot be written is kept in
    /// memory and written with the next record that can.
    ///
    /// # Errors
    /// `InvalidInput` for a record with a line feed or of more than 256 KiB: it is not kept. Else the system's: it is kept in
    /// memory only.
    pub fn remember(&mut self, service: &ServiceName, record: &str) -> io::Result<()> {
        let line = line_of(service, record)?;
        self.keep(service, record);
        if self.is_behind() {
            return self.catch_up();
        }
        match self.append(&line) {
            Ok(size) if size > self.rewrite_at => {
                // The record is there: a failure only means that the file stays large for now.
                if self.rewrite().is_err() {
                    self.rewrite_at = size + SMALL;
                }
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => {
                self.behind = true;
                self.rewrite().map_err(|_| error)
            }
        }
    }

    /// Says that the engine is alive: the file's time of change becomes now. See [`last_alive_wall_us`].
    ///
    /// # Errors
    /// The system's, and `NotFound` while the journal could not be opened.
    pub fn touch(&self) -> io::Result<()> {
        let Some(open) = &self.open else { return Err(io::ErrorKind::NotFound.into()) };
        let moment = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times = Timestamps { last_access: moment(UTIME_OMIT), last_modification: moment(UTIME_NOW) };
        Ok(rustix::fs::futimens(&open.file, &times)?)
    }

    fn sentence(&self, error: &io::Error) -> String {
        let path = self.path.display();
        if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            return format!(
                "{path} is a symbolic link and is not followed: remove it; until then cas remembers nothing for its next start"
            );
        }
        format!(
            "{path} cannot be used ({error}): if cas were killed now, the next one would know less of restarts and backoff; \
             services are not affected and cas tries again by itself"
        )
    }

    /// Keeps the newest in memory.
    fn keep(&mut self, service: &ServiceName, record: &str) {
        let earlier = self.live.insert(service.clone(), Arc::from(record));
        self.live_bytes += size_of_line(service, record);
        self.live_bytes -= earlier.map_or(0, |earlier| size_of_line(service, &earlier));
    }

    /// Whether an appended record would be alone in its file.
    fn is_behind(&self) -> bool {
        let Some(open) = &self.open else { return true };
        // Deleted or replaced behind our back: what is written there is lost.
        self.behind || open.file.metadata().is_ok_and(|found| found.nlink() == 0)
    }

    fn catch_up(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            self.reopen()?;
        }
        self.rewrite()
    }

    /// Opens the file and adds what it holds of services that nothing newer is known of.
    fn reopen(&mut self) -> io::Result<Scan> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        private::create_dir(directory)?;
        let dir = open_dir(directory)?;
        let (mut file, refused) = match open_file(&dir, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE) {
            Ok(file) => (file, None),
            // Written it cannot be; what it holds is needed all the same.
            Err(error) => (open_file(&dir, OFlags::RDONLY).map_err(|_| copy(&error))?, Some(error)),
        };
        let mut scan = scan::scan(&mut file, LINE_LIMIT);
        for (service, record) in std::mem::take(&mut scan.records) {
            if !self.live.contains_key(service.as_str()) {
                self.keep(&service, &record);
            }
        }
        if scan.damaged > 0 {
            self.keep_as = Some("damaged");
        } else if scan.newer > 0 {
            self.keep_as = Some("newer");
        }
        if let Some(error) = refused {
            return Err(error);
        }
        let size = file.metadata()?.len();
        self.open = Some(Open { dir, file, size });
        Ok(scan)
    }

    /// One write; returns the new size.
    fn append(&mut self, line: &[u8]) -> io::Result<u64> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        let written = retry(|| open.file.write(line))?;
        if written == line.len() {
            open.size += written as u64;
            return Ok(open.size);
        }
        // Only a full disk cuts a write short. The part that is there is harmless, as the next record begins a line of its own.
        let _tidy = open.file.set_len(open.size);
        Err(io::ErrorKind::StorageFull.into())
    }

    /// Puts a file with nothing but the newest of each service in its place: never is there a moment without one.
    fn rewrite(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        let mut text = Vec::with_capacity(usize::try_from(self.live_bytes).unwrap_or(0));
        for (service, record) in &self.live {
            text.extend(line_of(service, record)?);
        }
        // One that is left from a kill, or planted.
        let _none = rustix::fs::unlinkat(&open.dir, NEW, AtFlags::empty());
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&open.dir, NEW, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(&text).and_then(|()| file.sync_data()).and_then(|()| {
            if let Some(word) = self.keep_as {
                let aside = format!("{NAME}.{word}-{}", clock::now().wall().format("%Y%m%dT%H%M%S%.6fZ"));
                match rustix::fs::linkat(&open.dir, NAME, &open.dir, &*aside, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(rustix::fs::renameat(&open.dir, NEW, &open.dir, NAME)?)
        });
        if let Err(error) = written {
            let _tidy = rustix::fs::unlinkat(&open.dir, NEW, AtFlags::empty());
            return Err(error);
        }
        // The old or the new one is there after a power cut, whether or not this succeeds.
        let _late = rustix::fs::fsync(&open.dir);
        open.size = text.len() as u64;
        open.file = file;
        self.keep_as = None;
        self.behind = false;
        self.rewrite_at = SMALL.max(SLACK * open.size);
        Ok(())
    }
}

/// When an engine last said that it was alive ([`Journal::touch`]) or remembered something, microseconds since the Unix epoch.
#[must_use]
pub fn last_alive_wall_us(dir: &Path) -> Option<i64> {
    let found = dir.join(NAME).symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    found.mtime().checked_mul(1_000_000)?.checked_add(found.mtime_nsec() / 1000)
}

/// A record as it is in the file.
fn line_of(service: &ServiceName, record: &str) -> io::Result<Vec<u8>> {
    let body = format!("{service} {record}");
    if record.contains('\n') || body.len() > LINE_LIMIT - 32 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(format!("\n1 {:016x} {body}\n", fnv1a(body.as_bytes())).into_bytes())
}

/// Two line feeds, a digit, sixteen more, three spaces.
fn size_of_line(service: &ServiceName, record: &str) -> u64 {
    (service.as_str().len() + record.len() + 22) as u64
}

/// Opens the directory itself, not what a link in its place points to, and closes it to others.
fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
        // What the kernel says of a link where a directory was asked for.
        let link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        if link { io::Error::from(Errno::LOOP) } else { error.into() }
    })?;
    close_to_others(&dir)?;
    Ok(dir)
}

/// Opens the journal where it is an ordinary file of ours; anything else is refused.
fn open_file(dir: &OwnedFd, how: OFlags) -> io::Result<File> {
    let flags = how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(dir, NAME, flags, Mode::RUSR | Mode::WUSR)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not an ordinary file"));
    }
    close_to_others(&file)?;
    Ok(file)
}

fn close_to_others(opened: impl AsFd) -> io::Result<()> {
    let found = rustix::fs::fstat(&opened)?;
    let ours = rustix::process::geteuid().as_raw();
    if found.st_uid != ours && found.st_uid != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    if found.st_mode & 0o077 != 0 {
        // On a file system that may not be written it stays as it is, and nobody else can write there, either.
        let _kept = rustix::fs::fchmod(&opened, Mode::from_raw_mode(found.st_mode & 0o700));
    }
    Ok(())
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

fn retry<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
