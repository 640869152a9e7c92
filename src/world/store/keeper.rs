//! Keeps the connection to the database: opens it, again where the file was moved or replaced, has it checked and copied, puts
//! the last copy in the place of a damaged one, and minds the space around it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;

use super::{
    backup,
    chore::Chore,
    fault::StoreError,
    holder::beside,
    open::{self, Checked, Opened},
    space::{Ballast, Space},
};
use crate::model::time::Timestamp;

/// From the opening to the check of the whole database, so that a start is not disturbed.
const CHECK_LATER: Duration = Duration::from_secs(5);
/// From one check and backup to the next.
const CHECK_AGAIN: Duration = Duration::from_hours(24);
/// How often it is looked whether a check is over.
const LOOK: Duration = Duration::from_millis(100);
/// A disk that damages everything must not be filled with what it damaged: no two are moved aside within this time.
const ASIDE_AGAIN: Duration = Duration::from_mins(2);

enum Database {
    Shut,
    Usable(Connection),
    /// Of a newer cas: read only.
    Newer(Connection),
}

/// See the module.
pub(super) struct Keeper {
    path: PathBuf,
    database: Database,
    identity: Option<(u64, u64)>,
    /// The file that was found sound.
    checked: Option<(u64, u64)>,
    /// The connection failed in a way that a new one might not.
    suspect: bool,
    chore: Option<Chore>,
    chore_due: Option<Timestamp>,
    set_aside: Option<Timestamp>,
    ballast: Ballast,
}

impl Keeper {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            ballast: Ballast::of(&path),
            path,
            database: Database::Shut,
            identity: None,
            checked: None,
            suspect: false,
            chore: None,
            chore_due: None,
            set_aside: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For reading: of whatever is open.
    pub(super) const fn connection(&self) -> Option<&Connection> {
        match &self.database {
            Database::Usable(db) | Database::Newer(db) => Some(db),
            Database::Shut => None,
        }
    }

    /// For writing: opens the database unless it is open; again where the file was moved, replaced or deleted meanwhile.
    pub(super) fn usable(&mut self, now: Timestamp) -> Result<&mut Connection, StoreError> {
        self.ensure_open(now)?;
        match &mut self.database {
            Database::Usable(db) => Ok(db),
            Database::Newer(db) => {
                let found = open::format_of(db).unwrap_or(open::KNOWN + 1);
                // An older one may have been put in its place.
                self.suspect = found <= open::KNOWN;
                Err(StoreError::Newer { path: self.path.clone(), found, known: open::KNOWN })
            }
            Database::Shut => Err(StoreError::Other { path: self.path.clone(), detail: "it is not open".to_owned() }),
        }
    }

    fn ensure_open(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let open = !matches!(self.database, Database::Shut);
        let same = self.identity.is_some() && open::identity(&self.path) == self.identity;
        if open && same && !self.suspect {
            return Ok(());
        }
        if !same {
            self.database = Database::Shut;
            self.chore = None;
        }
        self.database = match open::read_write(&self.path)? {
            Opened::Usable(db) => {
                let identity = open::identity(&self.path);
                if identity.is_none() || identity != self.checked {
                    let checked = open::quick_check(&self.path, &db)?;
                    self.checked = identity;
                    if checked == Checked::InPart || backup::is_due(&self.path, now.wall_us) {
                        self.chore_due = Some(now.plus(CHECK_LATER));
                    }
                }
                Database::Usable(db)
            }
            Opened::Newer(db) => Database::Newer(db),
        };
        self.identity = open::identity(&self.path);
        self.suspect = false;
        Ok(())
    }

    /// How long a lock of another program is waited for from now on.
    pub(super) fn wait_for_locks(&self, patience: Duration) {
        if let Database::Usable(db) = &self.database {
            // Failing means that the wait stays as long as it was.
            let _default = db.busy_timeout(patience);
        }
    }

    /// Draws the consequences of a failure for the next try.
    pub(super) fn failed(&mut self, error: &StoreError) {
        match error {
            StoreError::Locked { .. }
            | StoreError::Newer { .. }
            | StoreError::DiskFull { .. }
            | StoreError::OldLibrary { .. }
            | StoreError::Interrupted => {}
            // A new connection may fare better: permissions or a mount may have changed. Until there is one, this one still reads.
            StoreError::NotWritable { .. } => self.suspect = true,
            StoreError::Other { .. } => {
                self.suspect = true;
                self.checked = None;
            }
            StoreError::Damaged { .. } => self.shut(),
        }
    }

    fn shut(&mut self) {
        self.chore = None;
        self.database = Database::Shut;
    }

    /// When there is something to look after.
    pub(super) fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        if self.chore.is_some() { Some(now.plus(LOOK)) } else { self.chore_due }
    }

    /// Looks after the check of the whole database: begins it, or takes note of what it found.
    pub(super) fn look(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if let Some(outcome) = self.chore.as_ref().and_then(Chore::outcome) {
            self.chore = None;
            self.chore_due = Some(now.plus(CHECK_AGAIN));
            // A copy that could not be made is made another day; that a disk is full is told by whoever writes.
            return if matches!(outcome, Err(StoreError::Damaged { .. })) { outcome } else { Ok(()) };
        }
        if self.chore.is_none() && self.chore_due.is_some_and(|due| now.has_reached(due)) {
            self.chore_due = Some(now.plus(CHECK_AGAIN));
            if matches!(self.database, Database::Usable(_)) {
                self.chore = Chore::begin(&self.path);
            }
        }
        Ok(())
    }

    /// Moves a damaged database aside, never to delete it, and puts the last backup in its place; without one, the next opening
    /// begins a new database. Returns what there is to tell.
    pub(super) fn replace(&mut self, now: Timestamp, detail: &str) -> Result<String, StoreError> {
        self.shut();
        if self.set_aside.is_some_and(|last| now.since(last) < ASIDE_AGAIN) {
            return Err(StoreError::Damaged { path: self.path.clone(), detail: detail.to_owned() });
        }
        let suffix = format!(".corrupt-{}", now.wall().format("%Y%m%dT%H%M%S%.6fZ"));
        let moved = beside(&self.path, &suffix);
        let copy = backup::copy(&self.path, &suffix);
        rename_all(&self.path, &moved).map_err(|error| StoreError::of_file(&self.path, &error))?;
        self.set_aside = Some(now);
        self.checked = None;
        // What cannot be restored now (a full disk) is begun anew: the backup stays for whoever wants it.
        let went_on = match copy.and_then(|copy| copy.map(|copy| fs::rename(copy, &self.path)).transpose()) {
            Ok(Some(())) => "the last backup was put in its place, so what came after that is missing",
            Ok(None) => "a new one was begun",
            Err(_) => "a new one was begun, as its backup could not be copied",
        };
        let (path, moved) = (self.path.display(), moved.display());
        Ok(format!("the history {path} was damaged ({detail}) and is now {moved}: {went_on}; nothing else is affected"))
    }

    /// Gives the reserve up on a full disk; true where that made space.
    pub(super) fn give_way(&mut self) -> bool {
        let released = self.ballast.release();
        if released && let Database::Usable(db) = &self.database {
            // With the log written back and emptied there is the more space; failing, there is what the reserve held.
            let _log = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        released
    }

    /// After a write: keeps the reserve while there is space for it and others. Where there is little, gives it up and says so.
    pub(super) fn mind_space(&mut self) -> Option<String> {
        let space = Space::around(&self.path)?;
        if self.ballast.without(space).is_low() {
            self.give_way();
            return Some(format!(
                "only {} KiB are free for the history {}: its reserve was given up; free some space there before events can no \
                 longer be written",
                space.free >> 10,
                self.path.display()
            ));
        }
        self.ballast.take(space);
        None
    }

    /// Bytes of the database and its log.
    pub(super) fn bytes(&self) -> u64 {
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        size(&self.path) + size(&beside(&self.path, "-wal"))
    }
}

/// Renames the database and what belongs to it; the log first, so that no new database ever meets an old log.
fn rename_all(from: &Path, to: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(from, suffix), beside(to, suffix)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    fs::rename(from, to)
}
