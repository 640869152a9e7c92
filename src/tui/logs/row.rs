//! Rows of the logs pane, as numbers only: what they say stays where the lines are.

use crate::model::{ids::ServiceId, level::Level};

/// Why an entry is among the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is looked for.
    Plain,
    /// It is what is looked for.
    Hit,
    /// It stands near what is looked for.
    Around,
    /// Its first line says that it is not what is looked for, whatever comes after it.
    Out,
}

/// What was written as one: a line, or the lines of a traceback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRow {
    /// Batch of its first line.
    pub serial: u64,
    /// Ring.
    pub slot: u32,
    /// Its first line within the batch.
    pub line: u32,
    /// When it came, seconds since the Unix epoch.
    pub at_s: u32,
    /// Lines of its stream that it is made of, at most `u16::MAX`.
    pub lines: u16,
    /// How serious it is.
    pub level: Option<Level>,
    /// Why it is there.
    pub standing: Standing,
}

impl EntryRow {
    /// So many more lines belong to it; `is_hit`: one of them is what is looked for.
    pub fn grow(&mut self, lines: u16, is_hit: bool) {
        self.lines = self.lines.saturating_add(lines);
        if is_hit && self.standing != Standing::Out {
            self.standing = Standing::Hit;
        }
    }

    /// What tells it from every other entry.
    #[must_use]
    pub const fn key(self) -> EntryKey {
        (self.slot, self.serial, self.line)
    }

    /// Its lines, where it is shown for itself; none where it only stands near another.
    #[must_use]
    pub const fn lines_meant(self) -> usize {
        match self.standing {
            Standing::Plain | Standing::Hit | Standing::Out => self.lines as usize,
            Standing::Around => 0,
        }
    }
}

/// Ring, batch and line of an entry.
pub type EntryKey = (u32, u64, u32);

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// Something that a service wrote.
    Entry(EntryRow),
    /// A new run begins with this batch.
    Run {
        /// Ring.
        slot: u32,
        /// Batch.
        serial: u64,
    },
    /// So many lines before this batch never came here.
    Missed {
        /// Ring.
        slot: u32,
        /// How many, at most `u32::MAX`.
        lines: u32,
        /// Batch.
        serial: u64,
    },
    /// Something that happened to a service, by the number of its entry on the timeline.
    Event {
        /// The number.
        seq: u64,
    },
    /// Between what was loaded from the store and what is in memory stands more.
    Gap,
}

impl Row {
    /// Its ring and batch, if it has one.
    #[must_use]
    pub const fn place(self) -> Option<(u32, u64)> {
        match self {
            Self::Entry(EntryRow { slot, serial, .. })
            | Self::Run { slot, serial }
            | Self::Missed { slot, serial, .. } => Some((slot, serial)),
            Self::Event { .. } | Self::Gap => None,
        }
    }

    /// The entry that it is.
    #[must_use]
    pub const fn entry(self) -> Option<EntryRow> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Run { .. } | Self::Missed { .. } | Self::Event { .. } | Self::Gap => None,
        }
    }
}

/// Seconds since the Unix epoch of a time in microseconds; 0 before it.
#[must_use]
pub fn seconds(wall_us: i64) -> u32 {
    u32::try_from(wall_us.div_euclid(1_000_000).max(0)).unwrap_or(u32::MAX)
}

/// Whose lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's, merged by time.
    All,
    /// Of these, merged by time where there are several.
    Services(std::collections::BTreeSet<ServiceId>),
}

impl Scope {
    /// Whether lines of `service` belong to it.
    #[must_use]
    pub fn has(&self, service: &ServiceId) -> bool {
        match self {
            Self::All => true,
            Self::Services(some) => some.contains(service),
        }
    }

    /// Whether a line needs its service's name beside it.
    #[must_use]
    pub fn is_merged(&self) -> bool {
        match self {
            Self::All => true,
            Self::Services(some) => some.len() > 1,
        }
    }
}
