//! When a line says that it was written, and what it leaves out.
//!
//! Promise: what is completed is as near as can be to the time that is known otherwise (when the line was read). Never: a clock.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime};

/// The time of a line, as the line tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineTime {
    /// Microseconds since the Unix epoch: the line had a zone, or a number of seconds since then.
    Instant(i64),
    /// On the clock of the machine that wrote it; the line had no zone.
    Local {
        /// The date, as far as the line has one.
        day: Day,
        /// The time of the day.
        time: NaiveTime,
    },
}

/// The date of a line, as far as the line has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// A whole date.
    Date(NaiveDate),
    /// A date without a year, as syslog writes it.
    Yearly {
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
    },
    /// None at all.
    Unknown,
}

/// Years around the near one among which a day is looked for. A 29th of February is never further away than eight.
const YEARS: i32 = 8;

impl LineTime {
    /// Microseconds since the Unix epoch, UTC. What the line leaves out (year, date, zone) is taken so that the result is nearest to `near_us`
    /// (microseconds since the epoch) in a zone that is `offset_s` seconds east of UTC.
    ///
    /// A date that is in no year (the 30th of February) gives `near_us`.
    #[must_use]
    pub fn wall_us(&self, near_us: i64, offset_s: i32) -> i64 {
        let (day, time) = match self {
            Self::Instant(us) => return *us,
            Self::Local { day, time } => (*day, *time),
        };
        let offset_us = i64::from(offset_s) * 1_000_000;
        let near = DateTime::from_timestamp_micros(near_us.saturating_add(offset_us)).unwrap_or_default().date_naive();
        let us = |date: NaiveDate| NaiveDateTime::new(date, time).and_utc().timestamp_micros() - offset_us;
        let nearest = |days: &mut dyn Iterator<Item = NaiveDate>| days.map(us).min_by_key(|us| us.abs_diff(near_us));
        match day {
            Day::Date(date) => us(date),
            Day::Yearly { month, day } => {
                let dated = |more| NaiveDate::from_ymd_opt(near.year() + more, u32::from(month), u32::from(day));
                nearest(&mut (-YEARS..=YEARS).filter_map(dated)).unwrap_or(near_us)
            }
            Day::Unknown => {
                let one = Days::new(1);
                let around = [near.checked_sub_days(one), Some(near), near.checked_add_days(one)];
                nearest(&mut around.into_iter().flatten()).unwrap_or(near_us)
            }
        }
    }
}

/// Microseconds since the epoch of a number of seconds, milliseconds, microseconds or nanoseconds (told apart by how large it is), with or
/// without a fraction. Nothing that is before 2001 or after 2286.
pub(super) fn epoch(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() > 19 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return float(text);
    }
    let number: i64 = whole.parse().ok()?;
    // How many digits of the fraction count, and what one of the whole is worth.
    match whole.len() {
        10 => Some(number * 1_000_000 + digits(fraction, 6)?),
        13 => Some(number * 1_000 + digits(fraction, 3)?),
        16 => Some(number),
        19 => Some(number / 1_000),
        _ => None,
    }
}

/// The first `count` digits of a fraction, as if it had so many.
fn digits(fraction: &str, count: usize) -> Option<i64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let known = fraction.bytes().chain(std::iter::repeat(b'0')).take(count);
    Some(known.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// `1.7644104e9`, as some encoders write seconds.
fn float(text: &str) -> Option<i64> {
    let seconds: f64 = text.parse().ok()?;
    (1e9..1e10).contains(&seconds).then_some((seconds * 1e6) as i64)
}
