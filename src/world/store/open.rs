//! Opens the database: makes it, brings its schema up to date in one transaction (of which a backup was made before), looks
//! whether it is whole.

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, TransactionBehavior};

use super::{backup, fault::StoreError, holder::beside, limit::within, private};

/// Older libraries can damage a database in WAL mode when two programs start a checkpoint at once: 3.51.3.
const OLDEST_LIBRARY: i32 = 3_051_003;

/// How long a lock of another program is waited for.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// One step per format; the format is the number of steps taken, kept in `user_version`. Steps are never changed, only added.
const STEPS: [&str; KNOWN as usize] = [
    "
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
",
    "
    CREATE TABLE cursors (
        place          TEXT    NOT NULL,              -- a project's place in the state directory
        service        TEXT    NOT NULL,
        stdout_segment INTEGER NOT NULL,
        stdout_offset  INTEGER NOT NULL,
        stderr_segment INTEGER NOT NULL,
        stderr_offset  INTEGER NOT NULL,
        next_seq       INTEGER NOT NULL,
        batch          INTEGER NOT NULL,              -- number of the batch that it came with, at random
        PRIMARY KEY (place, service)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE minutes (
        place          TEXT    NOT NULL,
        service        TEXT    NOT NULL,
        minute         INTEGER NOT NULL,              -- since the Unix epoch
        stdout_lines   INTEGER NOT NULL,
        stderr_lines   INTEGER NOT NULL,
        bytes          INTEGER NOT NULL,
        PRIMARY KEY (place, service, minute)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX minutes_by_age ON minutes (minute);
    CREATE INDEX event_by_time ON event (at_wall_us);
    CREATE TABLE retention (                          -- the last time that old minutes were deleted
        one            INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
        boot           TEXT    NOT NULL,
        wall_us        INTEGER NOT NULL,
        mono_us        INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE origin (                             -- of a project: where it comes from
        root           ANY     NOT NULL PRIMARY KEY,  -- as in project
        remote         TEXT,                          -- Git remote, without credentials
        moved_from     ANY                            -- path, as root
    ) STRICT;
",
    "
    CREATE TABLE patterns (
        place          TEXT    NOT NULL,              -- as in cursors
        service        TEXT    NOT NULL,
        written_us     INTEGER NOT NULL,
        state          BLOB    NOT NULL,              -- what is known of the patterns in its output
        PRIMARY KEY (place, service)
    ) STRICT;
",
];

/// The newest format that is known here.
pub(super) const KNOWN: i64 = 4;
/// The first format that knows where projects come from.
pub(super) const ORIGINS: i64 = 3;
/// The first format that keeps what is known of patterns.
pub(super) const PATTERNS: i64 = 4;
/// No cas will ever get there: a larger number is damage.
const PLAUSIBLE: i64 = 9999;
/// How long the check at the opening may take.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

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

/// Whether a library is one that keeps its promises; `number` as in `sqlite3_libversion_number`.
fn check_library(path: &Path, number: i32) -> Result<(), StoreError> {
    if number >= OLDEST_LIBRARY {
        return Ok(());
    }
    let found = format!("{}.{}.{}", number / 1_000_000, number / 1000 % 1000, number % 1000);
    Err(StoreError::OldLibrary { path: path.to_owned(), found })
}

/// Opens or makes the database and brings its schema up to date.
pub(super) fn read_write(path: &Path) -> Result<Opened, StoreError> {
    check_library(path, rusqlite::version_number())?;
    if let Some(directory) = path.parent() {
        private::create_dir(directory).map_err(|error| StoreError::of_file(path, &error))?;
    }
    private::create_file(path).map_err(|error| StoreError::of_file(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = match open_with(path, flags).map_err(|error| StoreError::of(path, &error))? {
        Opened::Usable(db) => db,
        newer @ Opened::Newer(_) => return Ok(newer),
    };
    let found = format_of(&db).map_err(|error| StoreError::of(path, &error))?;
    if (1..KNOWN).contains(&found) {
        backup::make(path, &db)?;
    }
    migrate(&mut db).map_err(|error| match error.sqlite_error_code() {
        // Our own words are right: tables are there that must not be, or miss what they should have.
        Some(ErrorCode::Unknown) => damaged(path, error.to_string()),
        _ => StoreError::of(path, &error),
    })?;
    check_schema(path, &db)?;
    Ok(Opened::Usable(db))
}

fn damaged(path: &Path, detail: String) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), detail }
}

fn open_with(path: &Path, flags: OpenFlags) -> rusqlite::Result<Opened> {
    let corrupt = |text: String| {
        let damage = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        rusqlite::Error::SqliteFailure(damage, Some(text))
    };
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    let found = format_of(&db)?;
    if (KNOWN + 1..=PLAUSIBLE).contains(&found) {
        drop(db);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        return Connection::open_with_flags(path, flags).map(Opened::Newer);
    }
    if !(0..=PLAUSIBLE).contains(&found) {
        return Err(corrupt(format!("its format is {found}")));
    }
    if db.is_readonly(MAIN_DB)? && may_be_written(path) {
        drop(db);
        if let Some(version) = written_by_newer_library(path) {
            return Err(corrupt(format!("its header asks for version {version} of the file format")));
        }
        // Else it became writable just now: the next opening will find it so.
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY), None));
    }
    // A file system without shared memory stays with the rollback journal: slower, and right all the same.
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF;")?;
    db.query_row("PRAGMA journal_size_limit = 4194304", [], |_| Ok(()))?;
    Ok(Opened::Usable(db))
}

fn may_be_written(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Byte 18 of the header, the version that writing needs, where it is one that `SQLite` does not have ("Database File Format").
fn written_by_newer_library(path: &Path) -> Option<u8> {
    use std::io::Read;
    let mut header = [0; 19];
    fs::File::open(path).ok()?.read_exact(&mut header).ok()?;
    (header[18] > 2).then_some(header[18])
}

pub(super) fn format_of(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the schema up to date, in one transaction.
pub(super) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
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

/// Whether the tables are those that our own steps make.
fn check_schema(path: &Path, db: &Connection) -> Result<(), StoreError> {
    let schema = |db: &Connection| -> rusqlite::Result<BTreeSet<(String, String, String)>> {
        let mut select = db.prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
    };
    let expected = || {
        let mut model = Connection::open_in_memory()?;
        migrate(&mut model)?;
        schema(&model)
    };
    let expected = expected().map_err(|error| StoreError::of(path, &error))?;
    let found = schema(db).map_err(|error| {
        let fault = StoreError::of(path, &error);
        if let StoreError::Other { detail, .. } = fault { damaged(path, detail) } else { fault }
    })?;
    match expected.difference(&found).next() {
        None => Ok(()),
        Some((kind, name, _)) => Err(damaged(path, format!("its {kind} {name} is missing or another"))),
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// All is sound.
    Whole,
    /// Nothing wrong was found in the time there was.
    InPart,
}

/// Whether the database is sound, as far as two seconds tell.
pub(super) fn quick_check(path: &Path, db: &Connection) -> Result<Checked, StoreError> {
    match within(CHECK_LIMIT, db, |db| check(path, db, "PRAGMA quick_check(1)")) {
        Ok(()) => Ok(Checked::Whole),
        Err(StoreError::Interrupted) => Ok(Checked::InPart),
        Err(error) => Err(error),
    }
}

/// Whether all of the database is sound, indexes too, however long it takes.
pub(super) fn full_check(path: &Path, db: &Connection) -> Result<(), StoreError> {
    check(path, db, "PRAGMA integrity_check(1)")
}

fn check(path: &Path, db: &Connection, how: &str) -> Result<(), StoreError> {
    let answer: String = db.query_row(how, [], |row| row.get(0)).map_err(|error| StoreError::of(path, &error))?;
    if answer == "ok" { Ok(()) } else { Err(damaged(path, answer)) }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::check_library;

    #[test]
    fn the_library_in_use_is_new_enough_and_an_older_one_is_refused_in_words() {
        let path = Path::new("cas.db");
        check_library(path, rusqlite::version_number()).unwrap();
        check_library(path, 3_051_003).unwrap();
        let error = check_library(path, 3_051_002).unwrap_err().to_string();
        assert!(error.contains("3.51.2") && error.contains("3.51.3") && error.contains("cas.db"), "{error}");
    }
}
