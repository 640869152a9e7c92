//! Wall-clock times as they are shown. The time zone is the only thing of the machine that a picture depends on, so it can be fixed.

use chrono::{DateTime, Local, NaiveDateTime, Utc};

/// In which time zone times are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Zone {
    /// That of the machine.
    #[default]
    Local,
    /// UTC.
    Utc,
}

impl Zone {
    fn format(self, wall_us: i64, format: &str) -> String {
        let utc: DateTime<Utc> = DateTime::from_timestamp_micros(wall_us).unwrap_or_default();
        match self {
            Self::Local => utc.with_timezone(&Local).format(format).to_string(),
            Self::Utc => utc.format(format).to_string(),
        }
    }

    /// Date and time there.
    pub(crate) fn local(self, wall_us: i64) -> NaiveDateTime {
        let utc: DateTime<Utc> = DateTime::from_timestamp_micros(wall_us).unwrap_or_default();
        match self {
            Self::Local => utc.with_timezone(&Local).naive_local(),
            Self::Utc => utc.naive_utc(),
        }
    }

    /// Microseconds since the Unix epoch of a date and time there; none where the clock was set forward over it.
    pub(crate) fn wall_us(self, local: NaiveDateTime) -> Option<i64> {
        match self {
            Self::Local => local.and_local_timezone(Local).earliest().map(|date| date.timestamp_micros()),
            Self::Utc => Some(local.and_utc().timestamp_micros()),
        }
    }

    /// `14:03:07`.
    pub(crate) fn clock(self, wall_us: i64) -> String {
        self.format(wall_us, "%H:%M:%S")
    }

    /// `14:03:07.250`.
    pub(crate) fn clock_millis(self, wall_us: i64) -> String {
        self.format(wall_us, "%H:%M:%S%.3f")
    }

    /// `2026-11-22 14:03:07`.
    pub(crate) fn date(self, wall_us: i64) -> String {
        self.format(wall_us, "%Y-%m-%d %H:%M:%S")
    }

    /// `2026-11-22`.
    pub(crate) fn day(self, wall_us: i64) -> String {
        self.format(wall_us, "%Y-%m-%d")
    }
}
