//! How far the output of a service was taken in, and what was derived from it. Both are stored in one transaction, so that each
//! line counts exactly once, however often engines die.

use serde::{Deserialize, Serialize};

use super::ids::ServiceId;

/// A place in the output: a segment's number and a byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// From 1; 0 before the first.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// How far a service's output was taken in: behind the last whole line of each stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// Of standard output.
    pub stdout: Position,
    /// Of standard error.
    pub stderr: Position,
    /// Number of the next line, as in [`super::log::LogBatch::first_seq`].
    pub next_seq: u64,
}

/// One minute of a service's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Minute {
    /// Minutes since the Unix epoch.
    pub minute: i64,
    /// Lines of standard output.
    pub stdout_lines: u64,
    /// Lines of standard error.
    pub stderr_lines: u64,
    /// Bytes, line feeds included.
    pub bytes: u64,
}

/// What was taken in since the last time: the minutes are added to those that are stored, the cursor replaces the stored one.
#[derive(Debug, Clone, PartialEq)]
pub struct Intake {
    /// Key of the project's place (see `Paths::place`), which two projects of one name do not share.
    pub place: std::sync::Arc<str>,
    /// Whose.
    pub service: ServiceId,
    /// How far.
    pub cursor: Cursor,
    /// What came.
    pub minutes: Vec<Minute>,
}
