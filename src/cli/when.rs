//! Points in time as people type them.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDateTime, SecondsFormat, Utc};

use crate::model::time::{Timestamp, human};

/// A point in time as typed: so long ago, or a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before now.
    Ago(Duration),
    /// Microseconds since the Unix epoch, UTC.
    At(i64),
}

impl When {
    /// Parses `10m`, `1h30m`, RFC 3339, or `2026-11-22 10:00[:00]` in the zone of the machine.
    ///
    /// # Errors
    /// A sentence that quotes the text and names the accepted forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(duration) = human::parse(text) {
            return Ok(Self::Ago(duration));
        }
        if let Ok(date) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(date.timestamp_micros()));
        }
        let local = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .and_then(|naive| naive.and_local_timezone(Local).earliest());
        local.map(|date| Self::At(date.timestamp_micros())).ok_or_else(|| {
            format!("\"{text}\" is not a time: write it like 10m, 1h30m, 2026-11-22T10:00:00Z or \"2026-11-22 10:00\"")
        })
    }

    /// Microseconds since the Unix epoch, UTC.
    #[must_use]
    pub fn wall_us(self, now: Timestamp) -> i64 {
        match self {
            Self::Ago(duration) => now.wall_us.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
            Self::At(wall_us) => wall_us,
        }
    }
}

/// `wall_us` (microseconds since the Unix epoch) as RFC 3339 in UTC with milliseconds: `2026-11-22T10:00:00.000Z`.
#[must_use]
pub fn rfc3339(wall_us: i64) -> String {
    let date: DateTime<Utc> = DateTime::from_timestamp_micros(wall_us).unwrap_or_default();
    date.to_rfc3339_opts(SecondsFormat::Millis, true)
}
