//! Numbers as people read them, in a width that hardly changes.

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Percent.
    Percent,
    /// Bytes, in steps of 1024.
    Bytes,
    /// Bytes per second, in steps of 1024.
    BytesPerSecond,
    /// Pieces, in steps of 1000.
    Count,
}

impl Unit {
    /// `value` with its unit, for a legend: `12.3%`, `1.2G`, `34K/s`, `1.5k`.
    #[must_use]
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{}%", percent(value as f32)),
            Self::Bytes => scaled(value, 1024.0, "B"),
            Self::BytesPerSecond => rate(value),
            Self::Count => scaled(value, 1000.0, ""),
        }
    }

    /// Columns that [`Unit::text`] takes at most, save for thousands of percent.
    #[must_use]
    pub const fn columns(self) -> usize {
        match self {
            Self::Percent => 5,
            Self::Bytes | Self::Count => 4,
            Self::BytesPerSecond => 6,
        }
    }

    /// `value` for an axis: as [`Unit::text`], without a fraction that says nothing: `1G`, `50%`.
    #[must_use]
    pub fn tick(self, value: f64) -> String {
        if value == 0.0 {
            return match self {
                Self::Percent => "0%".to_owned(),
                Self::Bytes | Self::BytesPerSecond | Self::Count => "0".to_owned(),
            };
        }
        let text = match self {
            // The legend says that it is per second.
            Self::BytesPerSecond => scaled(value, 1024.0, "B"),
            Self::Percent | Self::Bytes | Self::Count => self.text(value),
        };
        text.replacen(".0", "", 1)
    }
}

/// Bytes in at most four columns: `0B`, `999B`, `1.2K`, `34M`, `1.0G`.
#[must_use]
pub fn bytes(value: u64) -> String {
    scaled(value as f64, 1024.0, "B")
}

/// Bytes per second in at most six columns: `0B/s`, `34K/s`, `1.2M/s`.
#[must_use]
pub fn rate(bytes_per_s: f64) -> String {
    format!("{}/s", scaled(bytes_per_s, 1024.0, "B"))
}

/// Percent without its sign, in at most five columns: `0.0`, `12.3`, `99.9`, `100`, `1600`. What is not a number is 0.
#[must_use]
pub fn percent(value: f32) -> String {
    let value = if value.is_finite() { value.max(0.0) } else { 0.0 };
    if value < 99.95 { format!("{value:.1}") } else { format!("{:.0}", value.min(99_999.0)) }
}

fn scaled(value: f64, step: f64, one: &str) -> String {
    let mut value = if value.is_finite() { value.max(0.0) } else { 0.0 };
    if value < 999.5 {
        return if one.is_empty() && value.fract() > 0.05 && value < 9.95 {
            format!("{value:.1}")
        } else {
            format!("{value:.0}{one}")
        };
    }
    let mut letter = "";
    for next in [if step > 1000.0 { "K" } else { "k" }, "M", "G", "T", "P", "E"] {
        letter = next;
        value /= step;
        if value < 999.5 {
            break;
        }
    }
    let value = value.min(999.0);
    if value < 9.95 { format!("{value:.1}{letter}") } else { format!("{value:.0}{letter}") }
}
