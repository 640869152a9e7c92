//! What can be wrong with the store, as sentences: what, where, what next.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

use super::{holder, space::Space};

/// Why the store cannot be used just now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A newer cas made it.
    #[error(
        "the history {path} was made by a newer cas (its format is {found}, this cas knows {known}): it is read and not written to; \
         update cas to go on with it"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that is known here.
        known: i64,
    },
    /// It is not a database, or no longer.
    #[error(
        "the history {path} is damaged ({detail}): cas moves it aside and goes on with its last backup, or a new one, when it next runs"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// `SQLite`'s words.
        detail: String,
    },
    /// Somebody else is writing to it, and has been for long.
    #[error("the history {path} is locked by {holder}: events are kept in memory and written when it lets go")]
    Locked {
        /// The database.
        path: PathBuf,
        /// `sqlite3 (pid 123)`, or `another program`.
        holder: String,
    },
    /// The file system is full.
    #[error(
        "no space left for the history {path}: events are kept in memory and written when there is; free some space there"
    )]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// It may not be written.
    #[error(
        "the history {path} cannot be written ({detail}): events are kept in memory; make it and its directory writable for you"
    )]
    NotWritable {
        /// The database.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// The library that would write it is known to damage databases.
    #[error(
        "the history {path} is not used, as SQLite {found} may damage it (3.51.3 or newer is needed): events are kept in memory; \
         update cas"
    )]
    OldLibrary {
        /// The database.
        path: PathBuf,
        /// Version of the library.
        found: String,
    },
    /// What was being done took too long, or is no longer wanted.
    #[error("work on the history was interrupted")]
    Interrupted,
    /// Anything else.
    #[error("the history {path} cannot be used ({detail}): events are kept in memory and cas tries again by itself")]
    Other {
        /// The database.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
}

impl StoreError {
    /// From `SQLite`'s error.
    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        // Codes are SQLite's and may grow: all others are told in SQLite's own words.
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path, detail },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                let holder = holder::of(&path).unwrap_or_else(|| "another program".to_owned());
                Self::Locked { path, holder }
            }
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::OperationInterrupted) => Self::Interrupted,
            // The index of the log has no code of its own for a full disk.
            Some(ErrorCode::SystemIoFailure) if Space::around(&path).is_some_and(Space::is_used_up) => {
                Self::DiskFull { path }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::NotWritable { path, detail }
            }
            Some(_) | None => Self::Other { path, detail },
        }
    }

    /// From the file system's error.
    pub(super) fn of_file(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::DiskFull { path }
        } else if matches!(
            kind,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotADirectory
        ) {
            Self::NotWritable { path, detail }
        } else {
            Self::Other { path, detail }
        }
    }
}
