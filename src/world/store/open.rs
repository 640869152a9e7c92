//! Opens the database: makes it, brings its schema up to date in one transaction, looks whether it is whole.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{fault::StoreError, holder::beside, private};

/// Older libraries can damage a database in WAL mode when two programs start a checkpoint at once.
const _: () = assert!(rusqlite::ffi::SQLITE_VERSION_NUMBER >= 3_051_003, "SQLite 3.51.3 or newer is needed");

/// How long a lock of another program is waited for.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// One step per format; the format is the number of steps taken, kept in `user_version`. Steps are never changed, only added.
const STEPS: [&str; KNOWN as usize] = ["
    CREATE TABLE project (
        root           ANY     NOT NULL PRIMARY KEY,  -- absolute path: text, or bytes where it is not UTF-8
        name           TEXT    NOT NULL,
        file           ANY     NOT NULL,
        services       INTEGER NOT NULL,
        last_opened_us INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE event (
        id             INTEGER PRIMARY KEY,           -- in the order of writing
        engine_started INTEGER NOT NULL,              -- which life of which engine: microseconds since the Unix epoch
        seq            INTEGER NOT NULL,              -- within that life
        at_wall_us     INTEGER NOT NULL,
        at_mono_us     INTEGER NOT NULL,
        project        TEXT,
        service        TEXT,
        run            INTEGER,
        who            TEXT    NOT NULL,
        what_json      TEXT    NOT NULL,
        why            TEXT    NOT NULL,
        severity       TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX event_of_service ON event (project, service);
"];

/// The newest format that is known here.
pub(super) const KNOWN: i64 = 1;

/// An open database.
pub(super) enum Opened {
    /// As it should be.
    Usable(Connection),
    /// Of a newer cas: opened for reading only.
    Newer(Connection),
}

/// Device and inode: whether it still is the file that was opened.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Opens or makes the database and brings its schema up to date.
pub(super) fn read_write(path: &Path) -> Result<Opened, StoreError> {
    if let Some(directory) = path.parent() {
        private::create_dir(directory).map_err(|error| StoreError::of_file(path, &error))?;
    }
    private::create_file(path).map_err(|error| StoreError::of_file(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open_with(path, flags).map_err(|error| StoreError::of(path, &error))
}

fn open_with(path: &Path, flags: OpenFlags) -> rusqlite::Result<Opened> {
    let mut db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    let found = format_of(&db)?;
    if found > KNOWN {
        drop(db);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        return Connection::open_with_flags(path, flags).map(Opened::Newer);
    }
    if found < 0 {
        let damage = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(damage, Some(format!("its format is {found}"))));
    }
    // A file system without shared memory stays with the rollback journal: slower, and right all the same.
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF;")?;
    db.query_row("PRAGMA journal_size_limit = 4194304", [], |_| Ok(()))?;
    migrate(&mut db)?;
    Ok(Opened::Usable(db))
}

pub(super) fn format_of(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    if format_of(db)? == KNOWN {
        return Ok(());
    }
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another cas may have done it while this one waited for the lock.
    let done = usize::try_from(format_of(&change)?).unwrap_or(0);
    for step in STEPS.iter().skip(done) {
        change.execute_batch(step)?;
    }
    change.pragma_update(None, "user_version", KNOWN)?;
    change.commit()
}

/// Whether the whole database is sound.
pub(super) fn check(path: &Path, db: &Connection) -> Result<(), StoreError> {
    let answer: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| StoreError::of(path, &error))?;
    if answer == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: path.to_owned(), detail: answer }) }
}

/// Reads from the database of another cas, or of none that runs. No file: the default.
pub(super) fn read_only<T: Default>(
    path: &Path,
    read: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    match fs::metadata(path) {
        Ok(found) if found.len() == 0 && !beside(path, "-wal").exists() => return Ok(T::default()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(StoreError::of_file(path, &error)),
    }
    let attempt = |db: rusqlite::Result<Connection>| {
        let db = db?;
        db.busy_timeout(BUSY)?;
        let format = format_of(&db)?;
        // An engine that is just making it has not got that far.
        if format == 0 { Ok((format, Ok(T::default()))) } else { Ok((format, read(&db))) }
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut found = attempt(Connection::open_with_flags(path, flags));
    if let Err(error) | Ok((_, Err(error))) = &found
        && matches!(StoreError::of(path, error), StoreError::NotWritable { .. })
        && !beside(path, "-wal").exists()
        && let Some(uri) = immutable(path)
    {
        // In a directory that may not be written, the shared-memory file of WAL mode cannot be made; nobody writes there, either.
        found = attempt(Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI));
    }
    match found {
        Ok((_, Ok(answer))) => Ok(answer),
        Ok((format, Err(_))) if format > KNOWN => {
            Err(StoreError::Newer { path: path.to_owned(), found: format, known: KNOWN })
        }
        Ok((_, Err(error))) | Err(error) => Err(StoreError::of(path, &error)),
    }
}

/// `file:` address of a path, with everything but plain characters escaped (`SQLite`'s "Uniform Resource Identifiers").
fn immutable(path: &Path) -> Option<String> {
    use std::fmt::Write;
    let mut uri = String::from("file:");
    for byte in path.to_str()?.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02x}").ok()?;
        }
    }
    uri.push_str("?immutable=1");
    Some(uri)
}
