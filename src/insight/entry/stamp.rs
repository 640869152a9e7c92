//! Times at the place where a line has its time: what they look like, how long they are, what they say.
//!
//! Promise: a stamp has a time of the day (or is a number of seconds), all its parts are in their range, and it ends where a word ends. Never: a search;
//! the stamp begins with the text.

use chrono::{NaiveDate, NaiveTime};

use super::{
    scan::{byte, digits, has},
    time::{Day, LineTime},
    zone::{Zone, zone},
};

/// A time at the start of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// How many bytes it has.
    pub(super) len: usize,
    /// What it says.
    pub(super) time: LineTime,
    /// How it was written.
    pub(super) form: Form,
}

/// How a time was written, as far as that tells who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `2026-11-29T10:00:00`.
    Iso,
    /// `2026-11-29 10:00:00.123`.
    Spaced,
    /// `2026-11-29 10:00:00,123`: Python and log4j.
    Comma,
    /// `2026/11/29 10:00:00`: Go and nginx.
    Slashed,
    /// `29/Nov/2026:10:00:00`: web servers.
    Web,
    /// `29-Nov-2026 10:00:00`: PHP and Tomcat.
    DayFirst,
    /// `Nov 29 10:00:00`: syslog.
    Syslog,
    /// `Nov 29, 2026 10:00:00 AM`: `java.util.logging`.
    Jul,
    /// `Sun Nov 29 10:00:00 2026`: `ctime`.
    Ctime,
    /// `10:00:00`.
    Clock,
    /// Anything else.
    Other,
}

/// The names of months, as all programs shorten them.
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
/// The names of days.
const DAYS: &[u8; 21] = b"MonTueWedThuFriSatSun";

/// The time at the start of a text.
pub(super) fn stamp(text: &[u8]) -> Option<Stamp> {
    let first = *text.first()?;
    if first.is_ascii_digit() {
        numeric(text)
    } else if first.is_ascii_uppercase() {
        named(text)
    } else {
        None
    }
}

/// How many bytes at the start of a text are a time.
pub(in crate::insight) fn length(text: &[u8]) -> Option<usize> {
    stamp(text).map(|stamp| stamp.len)
}

/// The time that a whole text is, and nothing else.
pub(super) fn whole(text: &str) -> Option<LineTime> {
    let text = text.trim();
    stamp(text.as_bytes()).filter(|stamp| stamp.len == text.len()).map(|stamp| stamp.time)
}

fn numeric(text: &[u8]) -> Option<Stamp> {
    let run = digits(text, 0);
    match (run, byte(text, run)) {
        (4, b'-' | b'/' | b'.') => year_first(text),
        (2, b':') => of_the_day(text),
        (1, b':') => of_the_day(text).filter(|stamp| matches!(text.get(stamp.len - 1), Some(b'M' | b'm'))),
        (1 | 2, b'-' | b'/' | b'.' | b' ') => day_first(text, run),
        (8, b' ' | b'T' | b'-' | b'_') => compact(text),
        (6, b' ') => short(text),
        (10 | 13, _) => seconds(text, run),
        _ => None,
    }
}

/// A number that is in the text at `at`, of one to `most` digits.
fn number(text: &[u8], at: usize, most: usize) -> Option<(u32, usize)> {
    let run = digits(text, at).min(most);
    (run > 0).then(|| (text[at..at + run].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), at + run))
}

/// Exactly `count` digits.
fn exact(text: &[u8], at: usize, count: usize) -> Option<u32> {
    let part = text.get(at..at + count)?;
    part.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
}

/// `2026-11-29T10:00:00.123Z` and its like.
fn year_first(text: &[u8]) -> Option<Stamp> {
    let separator = text[4];
    let year = exact(text, 0, 4)?;
    let (month, at) = number(text, 5, 2)?;
    if byte(text, at) != separator {
        return None;
    }
    let (day, at) = number(text, at + 1, 2)?;
    let gap = byte(text, at);
    let start = match gap {
        b' ' if has(text, at, b" - ") => at + 3,
        b'T' | b't' | b' ' | b'_' | b'-' => at + 1,
        _ => return None,
    };
    let clock = clock(text, start)?;
    let form = match (separator, gap) {
        (b'/', _) => Form::Slashed,
        (b'-', b'T') => Form::Iso,
        (b'-', b' ') if clock.comma => Form::Comma,
        (b'-', b' ') => Form::Spaced,
        _ => Form::Other,
    };
    finish(text, date(year, month, day)?, &clock, form)
}

fn date(year: u32, month: u32, day: u32) -> Option<Day> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day).map(Day::Date)
}

/// `10:00:00`, `10:00:00.123`, `10:00AM`.
fn of_the_day(text: &[u8]) -> Option<Stamp> {
    let clock = clock(text, 0)?;
    if clock.seconds || clock.halves { finish(text, Day::Unknown, &clock, Form::Clock) } else { None }
}

/// Dates that begin with a day or a month of one or two digits.
fn day_first(text: &[u8], run: usize) -> Option<Stamp> {
    let (first, at) = number(text, 0, 2)?;
    let separator = text[run];
    if let Some(month) = month(text, at + 1) {
        let at = at + 4;
        if byte(text, at) != separator {
            return None;
        }
        let year = exact(text, at + 1, 4)?;
        let gap = byte(text, at + 5);
        if !matches!(gap, b':' | b' ' | b'T') {
            return None;
        }
        let form = if separator == b'/' { Form::Web } else { Form::DayFirst };
        return finish(text, date(year, month, first)?, &clock(text, at + 6)?, form);
    }
    let (second, at) = number(text, at + 1, 2)?;
    if separator == b'-' && byte(text, at) == b' ' {
        // Android: the month and the day, no year.
        return finish(text, yearly(first, second)?, &clock(text, at + 1)?, Form::Other);
    }
    if run == 2 && at == 5 && matches!(separator, b'.' | b'/') && byte(text, at) == b' ' {
        // Proxifier: the same with points.
        let day = yearly(first, second).or_else(|| yearly(second, first))?;
        return finish(text, day, &clock(text, at + 1).filter(|clock| clock.seconds)?, Form::Other);
    }
    if byte(text, at) != separator || separator == b' ' {
        return None;
    }
    let (third, end) = number(text, at + 1, 4)?;
    let comma = usize::from(byte(text, end) == b',');
    if byte(text, end + comma) != b' ' {
        return None;
    }
    let clock = clock(text, end + comma + 1)?;
    let day = match (separator, end - at - 1) {
        // Two digits of a year first, as Spark writes it.
        (b'/', 2) => date(2000 + first, second, third),
        (b'/', 4) if first <= 12 => date(third, first, second),
        (_, 4) => date(third, second, first),
        _ => None,
    };
    finish(text, day?, &clock, Form::Other)
}

fn yearly(month: u32, day: u32) -> Option<Day> {
    let known = (1..=12).contains(&month) && (1..=31).contains(&day);
    known.then_some(Day::Yearly { month: month as u8, day: day as u8 })
}

/// `20261129 10:00:00`, `20261129T100000Z`, `20261129-10:00:00:123`.
fn compact(text: &[u8]) -> Option<Stamp> {
    let day = date(exact(text, 0, 4)?, exact(text, 4, 2)?, exact(text, 6, 2)?)?;
    let run = digits(text, 9);
    let clock = if run == 6 { clock_of_digits(text, 9)? } else { clock(text, 9)? };
    finish(text, day, &clock, Form::Other)
}

/// `261129 10:00:00`, as MySQL wrote it once.
fn short(text: &[u8]) -> Option<Stamp> {
    let day = date(2000 + exact(text, 0, 2)?, exact(text, 2, 2)?, exact(text, 4, 2)?)?;
    let pad = usize::from(byte(text, 7) == b' ');
    finish(text, day, &clock(text, 7 + pad)?, Form::Other)
}

/// Seconds with a fraction, or milliseconds, since 1970.
fn seconds(text: &[u8], run: usize) -> Option<Stamp> {
    let fraction = if byte(text, run) == b'.' { digits(text, run + 1) } else { 0 };
    let len = if fraction > 0 { run + 1 + fraction } else { run };
    if (run == 10) != (fraction >= 3) || byte(text, len).is_ascii_alphanumeric() || fraction > 9 {
        return None;
    }
    let us = super::time::epoch(std::str::from_utf8(&text[..len]).ok()?)?;
    // Until 2038: larger numbers are more often something else.
    (us < 2_147_483_648_000_000).then_some(Stamp { len, time: LineTime::Instant(us), form: Form::Other })
}

/// Times that begin with the name of a month or of a day.
fn named(text: &[u8]) -> Option<Stamp> {
    let name: [u8; 3] = text.get(..3)?.try_into().ok()?;
    if DAYS.chunks_exact(3).any(|day| day == name) {
        let at = 3 + usize::from(byte(text, 3) == b',');
        if byte(text, at) != b' ' {
            return None;
        }
        return with_day(text, at + 1);
    }
    let month = month(text, 0)?;
    let (day, at) = day_of_month(text, 3)?;
    if byte(text, at) == b',' {
        let year = exact(text, at + 2, 4)?;
        let comma = usize::from(byte(text, at + 6) == b',');
        return finish(text, date(year, month, day)?, &clock(text, at + 7 + comma)?, Form::Jul);
    }
    if let Some(year) = exact(text, at + 1, 4).filter(|_| byte(text, at + 5) == b' ') {
        return finish(text, date(year, month, day)?, &clock(text, at + 6)?, Form::Syslog);
    }
    let clock = clock(text, at + 1).filter(|clock| clock.seconds)?;
    finish(text, yearly(month, day)?, &clock, Form::Syslog)
}

/// ` 29` or `  9` after the name of a month.
fn day_of_month(text: &[u8], at: usize) -> Option<(u32, usize)> {
    if byte(text, at) != b' ' {
        return None;
    }
    let pad = usize::from(byte(text, at + 1) == b' ');
    number(text, at + 1 + pad, 2)
}

/// What follows the name of a day: `Nov 29 10:00:00 2026`, `29 Nov 2026 10:00:00 GMT`.
fn with_day(text: &[u8], at: usize) -> Option<Stamp> {
    if byte(text, at).is_ascii_digit() {
        let inner = day_first(&text[at..], digits(text, at).min(2))?;
        return Some(Stamp { len: at + inner.len, time: inner.time, form: Form::Ctime });
    }
    let month = month(text, at)?;
    let (day, at) = day_of_month(text, at + 3)?;
    let clock = clock(text, at + 1)?;
    let mut end = clock.end;
    let (after, zone) = zone(text, end);
    if let Some(year) = exact(text, after + 1, 4).filter(|_| byte(text, after) == b' ') {
        end = after + 5;
        let time = resolve(date(year, month, day)?, clock.time, zone);
        return ends(text, end).then_some(Stamp { len: end, time, form: Form::Ctime });
    }
    finish(text, yearly(month, day)?, &clock, Form::Ctime)
}

/// 1 to 12.
fn month(text: &[u8], at: usize) -> Option<u32> {
    let name = text.get(at..at + 3)?;
    if !name[0].is_ascii_uppercase() {
        return None;
    }
    (1..).zip(MONTHS.chunks_exact(3)).find(|(_, month)| *month == name).map(|(number, _)| number)
}

/// A time of the day.
struct Clock {
    end: usize,
    time: NaiveTime,
    comma: bool,
    seconds: bool,
    halves: bool,
}

/// `10:00`, `10:00:00`, `10:00:00.123456`, `10:00:00,123`, `1:00:00 PM`.
fn clock(text: &[u8], at: usize) -> Option<Clock> {
    let (mut hour, colon) = number(text, at, 2)?;
    if byte(text, colon) != b':' && byte(text, colon) != b'.' {
        return None;
    }
    let minute = exact(text, colon + 1, 2)?;
    let mut end = colon + 3;
    let seconds = byte(text, end) == text[colon] && byte(text, end + 1).is_ascii_digit();
    let mut second = 0;
    if seconds {
        second = exact(text, end + 1, 2)?;
        end += 3;
    } else if text[colon] == b'.' {
        return None;
    }
    let mut micros = 0;
    let comma = byte(text, end) == b',';
    if matches!(byte(text, end), b'.' | b',' | b':') {
        let run = digits(text, end + 1);
        if run > 0 && run <= 9 && (byte(text, end) != b':' || run == 3) {
            micros = fraction(&text[end + 1..=end + run]);
            end += 1 + run;
        }
    }
    let halves = half(text, end);
    if let Some((after, late)) = halves {
        hour = hour % 12 + if late { 12 } else { 0 };
        end = after;
    }
    // A leap second is told as the one before it.
    let second = if second == 60 { 59 } else { second };
    let time = NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?;
    Some(Clock { end, time, comma, seconds, halves: halves.is_some() })
}

fn clock_of_digits(text: &[u8], at: usize) -> Option<Clock> {
    let time = NaiveTime::from_hms_opt(exact(text, at, 2)?, exact(text, at + 2, 2)?, exact(text, at + 4, 2)?)?;
    Some(Clock { end: at + 6, time, comma: false, seconds: true, halves: false })
}

/// Microseconds of the digits after a point.
fn fraction(digits: &[u8]) -> u32 {
    let known = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    known.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
}

/// Where `AM` or `PM` ends, and whether it is `PM`.
fn half(text: &[u8], at: usize) -> Option<(usize, bool)> {
    // Newer Java puts a narrow space that does not break before it.
    let start = if byte(text, at) == b' ' {
        at + 1
    } else if has(text, at, "\u{202f}".as_bytes()) {
        at + 3
    } else {
        at
    };
    let late = match text.get(start..start + 2)? {
        b"AM" | b"am" => false,
        b"PM" | b"pm" => true,
        _ => return None,
    };
    (!byte(text, start + 2).is_ascii_alphanumeric()).then_some((start + 2, late))
}

fn resolve(day: Day, time: NaiveTime, zone: Zone) -> LineTime {
    match (day, zone) {
        (Day::Date(date), Zone::East(offset_s)) => {
            let us = date.and_time(time).and_utc().timestamp_micros();
            LineTime::Instant(us - i64::from(offset_s) * 1_000_000)
        }
        (Day::Date(_) | Day::Yearly { .. } | Day::Unknown, _) => LineTime::Local { day, time },
    }
}

fn ends(text: &[u8], at: usize) -> bool {
    !byte(text, at).is_ascii_alphanumeric()
}

fn finish(text: &[u8], day: Day, clock: &Clock, form: Form) -> Option<Stamp> {
    let (len, zone) = zone(text, clock.end);
    ends(text, len).then(|| Stamp { len, time: resolve(day, clock.time, zone), form })
}
