//! Instants and durations. Durations are always measured on the boot clock; the wall clock is for display only.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One instant, read on two clocks at once.
///
/// `mono_us` is `CLOCK_BOOTTIME` in microseconds: it never steps, goes on during suspend, and alone decides
/// durations and deadlines. `wall_us` is microseconds since the Unix epoch (UTC) and is only ever shown.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Timestamp {
    /// Microseconds on the boot clock.
    pub mono_us: u64,
    /// Microseconds since the Unix epoch, UTC.
    pub wall_us: i64,
}

impl Timestamp {
    /// Time from `earlier` to `self` on the boot clock; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.mono_us.saturating_sub(earlier.mono_us))
    }

    /// The instant `duration` after `self`, on both clocks.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self {
            mono_us: self.mono_us.saturating_add(micros),
            wall_us: self.wall_us.saturating_add(i64::try_from(micros).unwrap_or(i64::MAX)),
        }
    }

    /// True from `deadline` on (boot clock).
    #[must_use]
    pub const fn has_reached(self, deadline: Self) -> bool {
        self.mono_us >= deadline.mono_us
    }

    /// The wall time, for display.
    #[must_use]
    pub fn wall(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.wall_us).unwrap_or_default()
    }
}

/// A duration in the words of a person, one or two units: `400 ms`, `2.5 s`, `45 s`, `3m 20s`, `5h 2m`, `3d 4h`.
#[must_use]
pub fn short_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let secs = duration.as_secs();
    match secs {
        0 => format!("{millis} ms"),
        1..10 if millis % 1000 >= 100 => format!("{}.{} s", secs, (millis % 1000) / 100),
        1..60 => format!("{secs} s"),
        60..3600 => format!("{}m {}s", secs / 60, secs % 60),
        3600..86400 => format!("{}h {}m", secs / 3600, (secs % 3600) / 60),
        _ => format!("{}d {}h", secs / 86400, (secs % 86400) / 3600),
    }
}

/// An uptime in at most four columns that rarely changes: `45s`, `3m`, `5h`, `12d`. Quiet services then cost no redraw.
#[must_use]
pub fn coarse_duration(duration: Duration) -> String {
    match duration.as_secs() {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m", s / 60),
        s @ 3600..86400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86400),
    }
}

/// Durations in files and on the wire, as people write them: `500ms`, `1m 30s`; a bare number is seconds.
pub mod human {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Parses `500ms`, `10s`, `1m30s`, or a bare (possibly fractional) number of seconds.
    ///
    /// # Errors
    /// A sentence that quotes the text and names the accepted forms.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let text = text.trim();
        if let Ok(secs) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(secs).map_err(|_| {
                format!("\"{text}\" is not a duration: it must be 0 or more, such as 500ms, 10s or 1m30s")
            });
        }
        humantime::parse_duration(text)
            .map_err(|_| format!("\"{text}\" is not a duration: write it like 500ms, 10s or 1m30s"))
    }

    /// Serializes as `1m 30s`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*duration))
    }

    /// Deserializes what [`parse`] accepts.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }

    /// The same for an optional duration.
    pub mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        /// Serializes as `1m 30s` or nothing.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => to.collect_str(&humantime::format_duration(*duration)),
                None => to.serialize_none(),
            }
        }

        /// Deserializes what [`super::parse`] accepts, or nothing.
        ///
        /// # Errors
        /// As [`super::parse`].
        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
            Option::<String>::deserialize(from)?.map(|text| super::parse(&text).map_err(D::Error::custom)).transpose()
        }
    }
}
