//! The copy that a damaged database is replaced by: `VACUUM INTO`, beside it. Never: a half copy in the place of a whole one.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    fault::StoreError,
    holder::beside,
    open::{self, KNOWN},
    private,
    space::Space,
};

/// A copy older than this is made anew, microseconds.
const DAY_US: i64 = 24 * 3600 * 1_000_000;

/// Where it is.
pub(super) fn path_of(database: &Path) -> PathBuf {
    beside(database, ".backup")
}

/// Whether there is none from the last day. One from the future is of a clock that was wrong.
pub(super) fn is_due(database: &Path, now_wall_us: i64) -> bool {
    use std::os::unix::fs::MetadataExt;
    let made = fs::metadata(path_of(database)).map(|found| found.mtime().saturating_mul(1_000_000));
    made.map_or(true, |made| !(0..DAY_US).contains(&now_wall_us.saturating_sub(made)))
}

/// Whether making one would leave enough space for everybody.
pub(super) fn has_room(database: &Path) -> bool {
    let size = fs::metadata(database).map_or(0, |found| found.len());
    Space::around(database).is_none_or(|space| space.has_room_for(size))
}

/// Makes a copy of what `db` sees, in the place of the last one.
pub(super) fn make(database: &Path, db: &Connection) -> Result<(), StoreError> {
    let file_error = |error: io::Error| StoreError::of_file(database, &error);
    let new = beside(database, ".backup.new");
    // Empty and private: a file that another engine is writing is left to it.
    let file = private::options().write(true).create(true).truncate(false).open(&new).map_err(file_error)?;
    if file.try_lock().is_err() {
        return Ok(());
    }
    file.set_len(0).map_err(file_error)?;
    let Some(name) = new.to_str() else { return Ok(()) };
    let made = db
        .execute("VACUUM INTO ?1", [name])
        .map_err(|error| StoreError::of(database, &error))
        .and_then(|_rows| file.sync_all().and_then(|()| fs::rename(&new, path_of(database))).map_err(file_error));
    if made.is_err() {
        let _tidy = fs::remove_file(&new);
    }
    made
}

/// Makes a copy of the last backup that can take the place of the database. None where there is no backup that is whole: one that
/// is not is moved aside as well, with `aside` behind its name.
pub(super) fn copy(database: &Path, aside: &str) -> io::Result<Option<PathBuf>> {
    let backup = path_of(database);
    let new = beside(database, ".restored");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut from = match File::open(&backup) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut to = private::options().write(true).create_new(true).open(&new)?;
    let copied = io::copy(&mut from, &mut to).and_then(|_| to.sync_all());
    drop(to);
    if copied.is_ok() && is_whole(&new) {
        return Ok(Some(new));
    }
    let _tidy = fs::remove_file(&new);
    copied?;
    fs::rename(&backup, beside(&backup, aside)).map(|()| None)
}

/// Whether a copy that nobody else has open can be gone on with.
fn is_whole(path: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).is_ok_and(|db| {
        open::format_of(&db).is_ok_and(|format| (1..=KNOWN).contains(&format)) && open::full_check(path, &db).is_ok()
    })
}
