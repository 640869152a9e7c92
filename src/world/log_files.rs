//! Output of services on disk, so that it can be read from another terminal and after the end.
//!
//! One directory per service, `DIR/PROJECT/SERVICE/`, with segments `000001.log`, `000002.log` …; a segment that is full is closed and
//! the next begun, and the oldest is deleted when there are too many. A line is
//!
//! ```text
//! <microseconds since the Unix epoch> <number> <o|e>[+] <run> <text>
//! ```
//!
//! The number counts the lines of the service as one engine read them, from 0. `o` is standard output, `e` standard error, `+` says that the next line of the same stream goes on with the same physical line. The
//! text is UTF-8 and has no line feed; everything else may be in it, **also escape sequences: whoever shows it cleans it first**.
//!
//! Promise: whoever writes never waits ([`LogWriter`]); what does not fit is dropped, counted, and marked by a line in the file.
//! Readers ([`read_lines`], [`Follower`]) take files as they are: cut lines, garbage, NUL runs and missing segments cost what they
//! cover and no more. Never: renames a segment, or reads one into memory whole.

mod follower;
mod line;
mod reader;
mod segments;
mod writer;

use std::path::Path;

use crate::model::{
    ids::{ProjectName, RunId, ServiceId},
    log::Stream,
};

pub use self::{
    follower::{Follower, follow},
    reader::{StoredLines, read_lines},
    writer::LogWriter,
};

/// How much of each service's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// A segment is closed when it would grow beyond this. A single longer line makes a longer segment.
    pub segment_bytes: u64,
    /// Segments kept, at least 1: the one being written included.
    pub segments: usize,
}

impl Default for Retention {
    /// 8 segments of 8 MiB.
    fn default() -> Self {
        Self { segment_bytes: 8 << 20, segments: 8 }
    }
}

/// Which lines are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    /// Of these services; none named: of all that have ever written here.
    pub services: Vec<ServiceId>,
    /// Read from the service at or after this, microseconds since the Unix epoch.
    pub since_wall_us: Option<i64>,
    /// Read from the service before this.
    pub until_wall_us: Option<i64>,
    /// Of each service at most so many, the newest of those that satisfy the rest.
    pub tail: Option<usize>,
}

impl LogFilter {
    const fn takes(&self, wall_us: i64) -> bool {
        let late_enough = match self.since_wall_us {
            Some(since) => wall_us >= since,
            None => true,
        };
        let early_enough = match self.until_wall_us {
            Some(until) => wall_us < until,
            None => true,
        };
        late_enough && early_enough
    }
}

/// A line as it was found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLine {
    /// Whose.
    pub service: ServiceId,
    /// In which run.
    pub run: RunId,
    /// When it was read from the service, microseconds since the Unix epoch.
    pub wall_us: i64,
    /// Its number among the lines of the service, as in [`crate::model::log::LogBatch::first_seq`].
    pub seq: u64,
    /// Where it came from.
    pub stream: Stream,
    /// The next line of the same stream goes on with the same physical line.
    pub continued: bool,
    /// The text, escape sequences included.
    pub text: String,
}

/// Every service that has output under `dir`, by name; of one project if it is given. Nothing where there is no such directory.
#[must_use]
pub fn stored_services(dir: &Path, project: Option<&ProjectName>) -> Vec<ServiceId> {
    segments::services(dir, project)
}
