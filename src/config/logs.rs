//! How output is kept: `logs`. Promise: single keys of a service go over those of `defaults`, and those over the file's own.

use std::time::Duration;

use super::{
    nearest::did_you_mean,
    reader::{Fields, Reader},
    schema,
    tree::Node,
};
use crate::model::service::{LogPolicy, OnFull};

/// Two segments of the smallest size.
const LEAST_SIZE: u64 = 64 << 10;
/// Removal looks at closed segments, not at lines.
const LEAST_AGE: Duration = Duration::from_mins(1);

/// Single keys of `logs`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PartialLogs {
    max_size: Option<u64>,
    max_age: Option<Duration>,
    on_full: Option<OnFull>,
    split_streams: Option<bool>,
}

impl PartialLogs {
    /// What `logs` of a map says.
    pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Self {
        let Some(node) = fields.get("logs") else { return Self::default() };
        let Some(fields) = reader.fields("logs", node, &schema::LOGS) else { return Self::default() };
        Self {
            max_size: fields.get("max_size").and_then(|node| reader.size("max_size", node, LEAST_SIZE)),
            max_age: fields.get("max_age").and_then(|node| reader.duration("max_age", node, LEAST_AGE)),
            on_full: fields.get("on_full").and_then(|node| on_full(reader, node)),
            split_streams: fields.get("split_streams").and_then(|node| reader.truth("split_streams", node)),
        }
    }

    /// These keys over those of `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            max_size: self.max_size.or(below.max_size),
            max_age: self.max_age.or(below.max_age),
            on_full: self.on_full.or(below.on_full),
            split_streams: self.split_streams.or(below.split_streams),
        }
    }

    /// True where somebody asked for standard error to be shown apart.
    pub(crate) fn asks_for_split(self) -> bool {
        self.split_streams == Some(true)
    }

    /// With the built-in values for what is not written.
    pub(crate) fn complete(self) -> LogPolicy {
        let built_in = LogPolicy::default();
        LogPolicy {
            max_size: self.max_size.unwrap_or(built_in.max_size),
            max_age: self.max_age.or(built_in.max_age),
            on_full: self.on_full.unwrap_or(built_in.on_full),
            split_streams: self.split_streams.unwrap_or(built_in.split_streams),
        }
    }
}

/// The word used in files.
pub(crate) const fn on_full_label(on_full: OnFull) -> &'static str {
    match on_full {
        OnFull::Drop => "drop",
        OnFull::Block => "block",
    }
}

fn on_full(reader: &mut Reader<'_>, node: &Node) -> Option<OnFull> {
    let text = reader.text("on_full", node)?;
    let all = [OnFull::Drop, OnFull::Block];
    let known = all.into_iter().find(|one| on_full_label(*one) == text);
    if known.is_none() {
        let hint = did_you_mean(&text, &all.map(on_full_label));
        reader.error(node.at, format!("on_full: \"{text}\" is not what can be done on a full disk"), hint);
    }
    known
}
