//! Looking for lines in what services wrote: which are meant, where to go on, what was found. Plain data, for any client and any engine.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ids::ServiceId, level::Level, log::LogBatch};

/// Which lines are meant. All of it must hold; empty: every line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogWish {
    /// Each as a person types it behind `/`: a regular expression with smart case, plain text where it is none, `name=value` for a field,
    /// `pattern:TEXT` for the lines of a template; `!` before it for what does not match.
    pub terms: Vec<String>,
    /// At least so serious.
    pub level: Option<Level>,
    /// Written at or after this, microseconds since the Unix epoch.
    pub since_us: Option<i64>,
    /// Written before this, microseconds since the Unix epoch.
    pub until_us: Option<i64>,
}

impl LogWish {
    /// Whether every line is meant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// From where on it is looked, in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Towards {
    /// To what is older; what is found are the newest lines before the bounds.
    Older,
    /// To what is newer; what is found are the oldest lines from the bounds on.
    Newer,
}

/// How far one service was looked through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Bound {
    /// Which.
    pub service: ServiceId,
    /// Number of a line: older lines are those below it, newer ones those from it on.
    pub seq: u64,
}

/// A search, or the next part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSearch {
    /// In whose output.
    pub services: Vec<ServiceId>,
    /// Which lines.
    #[serde(default)]
    pub wish: LogWish,
    /// In which direction.
    pub towards: Towards,
    /// Where to begin; a service without one is begun at its newest or oldest line.
    #[serde(default)]
    pub bounds: Vec<Bound>,
    /// So many lines are enough; at most 10000.
    pub lines: usize,
    /// So many lines that stand before and after each that is found come with it, where they are at hand; at most 100.
    #[serde(default)]
    pub near: usize,
    /// Milliseconds after which it answers with what it has, at most 5000.
    pub patience_ms: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFinds {
    /// Lines in the order of time; those of a batch follow each other.
    pub batches: Vec<Arc<LogBatch>>,
    /// Where to go on.
    pub bounds: Vec<Bound>,
    /// There is nothing more in this direction.
    pub is_complete: bool,
    /// Bytes that were looked through for this.
    pub looked_bytes: u64,
    /// Bytes that are still to be looked through, about.
    pub left_bytes: u64,
}
