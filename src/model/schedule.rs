//! When a clock starts a service. Promise: the same schedule and the same instant give the same next time; nothing here reads a clock or the zone of the
//! machine. Never: a time that has been.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Datelike, Timelike, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use super::time::short_duration;

/// No clock starts anything more often.
pub const SHORTEST: Duration = Duration::from_secs(1);

/// A start that comes so much later than its time has missed it.
pub const LATE: Duration = Duration::from_secs(30);

/// A clock that is set back by less runs nothing a second time.
const SET_BACK_US: i64 = 3 * 3600 * 1_000_000;

/// A zone of the tz database, by which cron expressions are meant and times are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Zone(chrono_tz::Tz);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(chrono_tz::Tz::UTC);

    /// The zone of that name, such as `Europe/Berlin`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        chrono_tz::Tz::from_str(name).ok().map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Day of the week (0: Monday) and second of the day (0 to 86 399) that its clocks show at an instant.
    #[must_use]
    pub fn clock(self, wall_us: i64) -> (usize, u32) {
        let there = instant(wall_us).with_timezone(&self.0);
        (there.weekday().num_days_from_monday() as usize, there.num_seconds_from_midnight())
    }

    /// An instant as its clocks show it: `2026-11-29 12:15:00 CET`.
    #[must_use]
    pub fn show(self, wall_us: i64) -> String {
        instant(wall_us).with_timezone(&self.0).format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// At which times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pace {
    /// Those of a cron expression that [`check`] has accepted.
    Cron(String),
    /// Each time so long after the last.
    Every(Duration),
}

/// What happens where it still runs when its time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnOverlap {
    /// This time is left out.
    #[default]
    Skip,
    /// The run is stopped, and another started.
    Restart,
}

impl OnOverlap {
    /// The word used in files.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Restart => "restart",
        }
    }
}

/// The clock of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// At which times.
    pub pace: Pace,
    /// In which zone.
    pub zone: Zone,
    /// Where it still runs then.
    pub on_overlap: OnOverlap,
    /// A time at which cas did not run, or the machine slept, is made up for, once.
    pub catch_up: bool,
}

impl fmt::Display for Schedule {
    /// `every 15m`, `0 2 * * * (Europe/Berlin)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pace {
            Pace::Cron(fields) => write!(f, "{fields} ({})", self.zone.name()),
            Pace::Every(pause) => write!(f, "every {}", humantime::format_duration(*pause)),
        }
    }
}

impl Schedule {
    /// The first time after `after_us`, microseconds since the Unix epoch; none where there is none any more.
    #[must_use]
    pub fn next(&self, after_us: i64) -> Option<i64> {
        match &self.pace {
            Pace::Every(pause) => Some(after_us.saturating_add(micros((*pause).max(SHORTEST)))),
            Pace::Cron(fields) => {
                let after = instant(after_us).with_timezone(&self.zone.0);
                let next = parse(fields).ok()?.find_next_occurrence(&after, false).ok()?;
                Some(next.timestamp_micros())
            }
        }
    }

    /// The next time where it is `now_us` and the last time that came was `last_us`: never that one again, also where the clock was set back a little.
    /// Times that have passed meanwhile are left out.
    #[must_use]
    pub fn next_after(&self, last_us: Option<i64>, now_us: i64) -> Option<i64> {
        match (&self.pace, last_us) {
            (_, None) => self.next(now_us),
            (Pace::Cron(_), Some(last)) => {
                let is_ahead = last > now_us && last - now_us < SET_BACK_US;
                self.next(if is_ahead { last } else { now_us })
            }
            (Pace::Every(pause), Some(last)) => {
                let pause = micros((*pause).max(SHORTEST));
                let over = now_us.saturating_sub(last).max(0) / pause;
                Some(last.min(now_us).saturating_add(pause.saturating_mul(if last > now_us { 1 } else { over + 1 })))
            }
        }
    }

    /// Whether its times are those of the wall clock, so that they move where that is set.
    #[must_use]
    pub const fn follows_wall_clock(&self) -> bool {
        matches!(self.pace, Pace::Cron(_))
    }
}

/// Why a cron expression cannot be one, or names no time that ever comes; a clause.
///
/// # Errors
/// The clause.
pub fn check(fields: &str) -> Result<(), String> {
    let cron = parse(fields)?;
    // Which day it is now plays no part: an expression without years that has a time after one day has one after every other.
    let any_day = DateTime::<Utc>::default();
    cron.find_next_occurrence(&any_day, false).map(|_| ()).map_err(|_| "names no time that ever comes".to_owned())
}

fn parse(fields: &str) -> Result<Cron, String> {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
        .parse(fields)
        .map_err(|error| format!("is not a cron expression: {}", clause(&error.to_string())))
}

/// Without its first capital and its full stop.
fn clause(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// How late something is, in words.
#[must_use]
pub fn lateness(due_us: i64, now_us: i64) -> String {
    short_duration(Duration::from_micros(u64::try_from(now_us.saturating_sub(due_us)).unwrap_or(0)))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn instant(wall_us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(wall_us).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{OnOverlap, Pace, Schedule, Zone, check};

    fn at(text: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    fn cron(fields: &str, zone: &str) -> Schedule {
        let zone = Zone::named(zone).unwrap();
        Schedule { pace: Pace::Cron(fields.to_owned()), zone, on_overlap: OnOverlap::Skip, catch_up: false }
    }

    #[test]
    fn cron_expressions_are_meant_in_their_zone() {
        for (fields, zone, after, next) in [
            ("0 2 * * *", "UTC", "2026-11-29T02:00:00Z", "2026-11-30T02:00:00Z"),
            ("0 2 * * *", "Europe/Berlin", "2026-11-29T02:00:00Z", "2026-11-30T01:00:00Z"),
            ("*/10 * * * * *", "UTC", "2026-11-29T02:00:01Z", "2026-11-29T02:00:10Z"),
            ("@daily", "UTC", "2026-11-29T02:00:01Z", "2026-11-30T00:00:00Z"),
            ("0 9 * * MON-FRI", "UTC", "2026-11-28T00:00:00Z", "2026-11-30T09:00:00Z"),
        ] {
            assert_eq!(cron(fields, zone).next(at(after)), Some(at(next)), "{fields} {zone} after {after}");
        }
    }

    #[test]
    fn an_hour_that_the_summer_takes_away_and_one_that_the_winter_gives_twice_have_one_run_each() {
        let nightly = cron("30 2 * * *", "Europe/Berlin");
        // 2026-03-29: 02:00 CET is 03:00 CEST. 2026-10-25: 03:00 CEST is 02:00 CET.
        let spring = nightly.next(at("2026-03-28T12:00:00Z")).unwrap();
        assert!((at("2026-03-29T01:00:00Z")..=at("2026-03-29T01:30:00Z")).contains(&spring), "{spring}");
        let autumn = nightly.next(at("2026-10-24T12:00:00Z")).unwrap();
        let after = nightly.next(autumn).unwrap();
        assert!(autumn <= at("2026-10-25T01:30:00Z") && after >= at("2026-10-26T01:30:00Z"), "{autumn} {after}");
    }

    #[test]
    fn what_is_no_cron_expression_or_never_comes_is_told() {
        for fields in ["", "* * *", "61 * * * *", "every day", "0 0 30 2 *", "0 0 0 1 1 * 2030", "@often"] {
            assert!(check(fields).is_err(), "{fields:?}");
        }
        for fields in ["* * * * *", "0 0 29 2 *", "@hourly", "0 0 L * *", "*/5 9-17 * * MON-FRI", "30 0 2 * * *"] {
            assert_eq!(check(fields), Ok(()), "{fields:?}");
        }
    }

    #[test]
    fn a_pause_is_counted_from_the_last_time_and_what_has_passed_is_left_out() {
        let every = Schedule { pace: Pace::Every(std::time::Duration::from_mins(15)), ..cron("* * * * *", "UTC") };
        let next = |last: Option<&str>, now: &str| every.next_after(last.map(at), at(now)).unwrap();
        assert_eq!(next(None, "2026-11-29T12:00:00Z"), at("2026-11-29T12:15:00Z"));
        assert_eq!(next(Some("2026-11-29T12:00:00Z"), "2026-11-29T12:00:01Z"), at("2026-11-29T12:15:00Z"));
        assert_eq!(next(Some("2026-11-29T12:00:00Z"), "2026-11-29T14:01:00Z"), at("2026-11-29T14:15:00Z"));
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_runs_nothing_twice() {
        let daily = cron("0 12 * * *", "UTC");
        let last = Some(at("2026-11-29T12:00:00Z"));
        assert_eq!(daily.next_after(last, at("2026-11-29T11:30:00Z")), Some(at("2026-11-30T12:00:00Z")));
        assert_eq!(daily.next_after(last, at("2026-11-28T11:30:00Z")), Some(at("2026-11-28T12:00:00Z")));
    }
}
