//! Output of services, as it travels: whole batches behind an `Arc`, so that a ring, a file writer and any number of
//! readers share one copy.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    ids::{RunId, ServiceId},
    log_file::MOST_FILES,
};

/// Where lines of a service come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// What it writes to its descriptors 1 and 2: kept in segments, with a cursor in the store.
    #[default]
    Output,
    /// A file that it writes itself, under the name that is shown: followed where it lies, kept nowhere else.
    File(Arc<str>),
}

impl Source {
    /// The shown name of the file; none of output.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Output => None,
            Self::File(name) => Some(name),
        }
    }
}

/// What lines are numbered by: each source of a service has a count of its own.
pub type Counted = (ServiceId, Source);

/// Of so many files of a service something is remembered at most: their names may bear the date.
pub const MOST_FILES_REMEMBERED: usize = 2 * MOST_FILES;

/// What is to be forgotten so that one more source can be remembered: of a service with too many files the one that was written to longest ago. `known` are
/// those that are remembered, each with when its newest line was written.
#[must_use]
pub fn forgotten_for<'a>(next: &Counted, known: impl Iterator<Item = (&'a Counted, i64)>) -> Option<Counted> {
    next.1.file()?;
    let files = known.filter(|((service, source), _)| *service == next.0 && source.file().is_some());
    let mut files: Vec<(&Counted, i64)> = files.collect();
    if files.len() < MOST_FILES_REMEMBERED {
        return None;
    }
    files.sort_unstable_by_key(|(_, wall_us)| *wall_us);
    files.first().map(|(counted, _)| (*counted).clone())
}

/// Which descriptor a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// A longer line is cut into pieces of this many bytes; all but the last say [`LogLine::continued`].
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// One line (or piece of a very long one) within its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine {
    /// First byte in [`LogBatch::text`].
    pub start: u32,
    /// Bytes, without the line feed.
    pub len: u32,
    /// Where it came from.
    pub stream: Stream,
    /// True where the next line of the same stream goes on with the same physical line.
    pub continued: bool,
}

/// Lines of one run that were read together.
///
/// `text` is valid UTF-8: what was not has become U+FFFD. Escape and control characters are still in it: **whoever shows it
/// passes it through [`super::text`] first**.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// Whose.
    pub service: ServiceId,
    /// From where.
    pub source: Source,
    /// Which run; of a file the one that was there when it was read, 0 where there was none.
    pub run: RunId,
    /// When it was read, microseconds since the Unix epoch. What a file held before it was followed has the time of the file.
    pub wall_us: i64,
    /// Number of the first line among all lines of this service from this source, from 0; the others follow.
    pub first_seq: u64,
    /// The text of all lines.
    pub text: Box<str>,
    /// The lines.
    pub lines: Box<[LogLine]>,
}

impl LogBatch {
    /// What its numbers count.
    #[must_use]
    pub fn counted(&self) -> Counted {
        (self.service.clone(), self.source.clone())
    }

    /// The text of line `index` of this batch; empty where there is none.
    #[must_use]
    pub fn line(&self, index: usize) -> &str {
        self.lines.get(index).map_or("", |line| self.text_of(*line))
    }

    /// The text of `line`.
    #[must_use]
    pub fn text_of(&self, line: LogLine) -> &str {
        let start = line.start as usize;
        self.text.get(start..start + line.len as usize).unwrap_or("")
    }

    /// The same without its first `lines`: those that were seen already, in a batch that was cut elsewhere.
    #[must_use]
    pub fn without_first(&self, lines: usize) -> Self {
        let lines = lines.min(self.lines.len());
        Self { first_seq: self.first_seq + lines as u64, lines: self.lines[lines..].into(), ..self.clone() }
    }

    /// Bytes that it keeps in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.text.len() + self.lines.len() * size_of::<LogLine>() + size_of::<Self>()
    }
}

/// A form of lines that somebody has described, beside those that are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFormat {
    /// How it is called.
    pub name: String,
    /// A regular expression for a whole line or its beginning. What its groups `time`, `level` and `message` match is that; every other named group is a field.
    pub pattern: String,
    /// How `time` is written, in the words of strftime(3); none: as one of the known forms.
    pub time: Option<String>,
}

/// What a log subscription delivers.
#[derive(Debug, Clone)]
pub enum LogNews {
    /// Lines.
    Batch(Arc<LogBatch>),
    /// The reader was too slow: so many batches were dropped for it (they are still on disk). The gap in
    /// [`LogBatch::first_seq`] tells how many lines of each source of a service.
    Missed {
        /// Batches not delivered.
        batches: u64,
    },
}
