//! Lines of loggers with a form of their own: glog and klog, `CockroachDB`, Ruby's Logger, logrus, .NET, PHP, `java.util.logging`.
//!
//! Promise: each form is known by marks that no other has. Never: guesses.

use chrono::NaiveDate;

use super::{
    Found, json, logfmt,
    scan::{blanks, byte, cut, digits, find, has, is_name_byte, rest, run, word_end},
    sink::Sink,
    stamp::{Form, Stamp, stamp},
    time::{Day, LineTime},
};
use crate::model::level::Level;

/// `E1129 10:00:00.123456   123 file.go:12] …`, and `I261129 10:00:00.123456 1 file.go:12 ⋮ [n1] …` of `CockroachDB`.
pub(super) fn klog<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let level = match bytes.first()? {
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'F' => Level::Fatal,
        b'D' | b'V' => Level::Debug,
        _ => return None,
    };
    let run = digits(bytes, 1);
    if !matches!(run, 4 | 6 | 8) || byte(bytes, run + 1) != b' ' {
        return None;
    }
    let month_at = run - 3;
    let clock = stamp(bytes.get(run + 2..)?).filter(|stamp| stamp.form == Form::Clock)?;
    let LineTime::Local { time, .. } = clock.time else { return None };
    let day = klog_day(cut(line, 1, month_at), cut(line, month_at, month_at + 2), cut(line, month_at + 2, run + 1))?;
    let mut at = run + 2 + clock.len;
    at += blanks(bytes, at);
    let pid_end = at + digits(bytes, at);
    sink.add("pid", cut(line, at, pid_end));
    let caller = pid_end + blanks(bytes, pid_end);
    let caller_end = caller + bytes.get(caller..)?.iter().position(|byte| matches!(byte, b']' | b' '))?;
    sink.add("caller", cut(line, caller, caller_end));
    let start = caller_end + 1;
    let text = rest(line, start + blanks(bytes, start));
    let message = logfmt::tail(text, 1, sink).unwrap_or(text);
    let message = message.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or(message);
    let time = LineTime::Local { day, time };
    Some(Found { format: "klog", level: Some(level), time: Some(time), message: message.into() })
}

/// The date of `1129`, `261129` or `20261129`.
fn klog_day(year: &str, month: &str, day: &str) -> Option<Day> {
    let (month, day): (u8, u8) = (month.parse().ok()?, day.parse().ok()?);
    if year.is_empty() {
        return ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some(Day::Yearly { month, day });
    }
    let number: i32 = year.parse().ok()?;
    let year = if year.len() == 2 { 2000 + number } else { number };
    NaiveDate::from_ymd_opt(year, month.into(), day.into()).map(Day::Date)
}

/// `E, [2026-11-29T10:00:00.123456 #123] ERROR -- name: …`.
pub(super) fn ruby<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    if !has(bytes, 1, b", [") {
        return None;
    }
    let stamp = stamp(bytes.get(4..)?)?;
    let hash = 4 + stamp.len + 2;
    let pid_end = hash + digits(bytes, hash);
    if !has(bytes, hash - 2, b" #") || !has(bytes, pid_end, b"] ") {
        return None;
    }
    let word = pid_end + 1 + blanks(bytes, pid_end + 1);
    let end = word_end(bytes, word);
    let level =
        Level::of_word(cut(line, word, end)).or_else(|| (cut(line, word, end) == "ANY").then_some(Level::Info))?;
    if !has(bytes, end, b" -- ") {
        return None;
    }
    sink.add("pid", cut(line, hash, pid_end));
    let name = end + 4;
    let colon = find(bytes, name, b':', 96)?;
    if colon > name {
        sink.add("logger", cut(line, name, colon));
    }
    let start = colon + 1 + usize::from(byte(bytes, colon + 1) == b' ');
    Some(Found { format: "rails", level: Some(level), time: Some(stamp.time), message: rest(line, start).into() })
}

/// `INFO[0012] message   key=value`, as logrus writes to a terminal; with a time in the brackets as well.
pub(super) fn logrus<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let bracket = run(bytes, 0, |byte| byte.is_ascii_uppercase());
    if byte(bytes, bracket) != b'[' || !(4..=5).contains(&bracket) {
        return None;
    }
    let level = Level::of_word(cut(line, 0, bracket))?;
    let close = find(bytes, bracket + 1, b']', 40)?;
    let inside = cut(line, bracket + 1, close);
    let time = super::stamp::whole(inside);
    if time.is_none() {
        if digits(bytes, bracket + 1) != inside.len() || inside.is_empty() {
            return None;
        }
        sink.add("uptime", inside);
    }
    let text = rest(line, close + 1 + blanks(bytes, close + 1));
    let message = logfmt::tail(text, 1, sink).unwrap_or(text);
    Some(Found { format: "logrus", level: Some(level), time, message: message.into() })
}

/// `fail: Name.Space.Class[13]`, with the message on the next line or behind it.
pub(super) fn dotnet<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let level = match bytes.get(..6)? {
        b"trce: " => Level::Trace,
        b"dbug: " => Level::Debug,
        b"info: " => Level::Info,
        b"warn: " => Level::Warn,
        b"fail: " => Level::Error,
        b"crit: " => Level::Fatal,
        _ => return None,
    };
    let end = 6 + run(bytes, 6, is_name_byte);
    let close = end + 1 + digits(bytes, end + 1);
    if end == 6 || byte(bytes, end) != b'[' || byte(bytes, close) != b']' {
        return None;
    }
    sink.add("logger", cut(line, 6, end));
    sink.add("event", cut(line, end + 1, close));
    let message = match rest(line, close + 1).trim_ascii() {
        "" => rest(line, 6),
        message => message,
    };
    Some(Found { format: "dotnet", level: Some(level), time: None, message: message.into() })
}

/// What PHP says: `PHP Warning:  …`, `PHP Fatal error:  …`.
pub(super) fn php_words(text: &str) -> Option<(Level, &str)> {
    let (kind, message) = text.strip_prefix("PHP ")?.split_once(":  ")?;
    let level = match kind {
        "Fatal error" | "Parse error" | "Core error" | "Compile error" | "Recoverable fatal error" => Level::Fatal,
        "Warning" | "Core warning" | "User warning" | "Deprecated" | "User Deprecated" => Level::Warn,
        "User error" => Level::Error,
        "Notice" | "User notice" | "Strict Standards" => Level::Info,
        _ => return None,
    };
    Some((level, message.trim_ascii_start()))
}

/// A line of PHP behind `[29-Nov-2026 10:00:00 UTC]`: of the language, of php-fpm, or of the server that is built in.
pub(super) fn php<'a, S: Sink<'a>>(line: &'a str, at: usize, time: LineTime, sink: &mut S) -> Option<Found<'a>> {
    // Names of zones (`Europe/Berlin`) are not reckoned with.
    let bytes = line.as_bytes();
    let close = find(bytes, at, b']', 40)?;
    let text = rest(line, close + 1).trim_ascii_start();
    if let Some((level, message)) = php_words(text) {
        return Some(Found { format: "php", level: Some(level), time: Some(time), message: message.into() });
    }
    let (word, message) = text.split_once(": ")?;
    if let Some(level) = Level::of_word(word).filter(|_| word.bytes().all(|byte| byte.is_ascii_uppercase())) {
        return Some(Found { format: "php", level: Some(level), time: Some(time), message: message.into() });
    }
    // `127.0.0.1:1234 [200]: GET /x`
    let (client, status) = word.split_once(" [")?;
    let status = status.strip_suffix(']')?;
    let level = super::access::level_of_status(status.parse().ok()?)?;
    sink.add("client", client);
    super::request::request(message, sink);
    sink.add("status", status);
    Some(Found { format: "php", level: Some(level), time: Some(time), message: text.into() })
}

/// Monolog and Laravel: `app.ERROR: message {"key":1} []` behind a time in brackets.
pub(super) fn monolog<'a, S: Sink<'a>>(line: &'a str, at: usize, time: LineTime, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let point = at + run(bytes, at, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let end = point + 1 + run(bytes, point + 1, |byte| byte.is_ascii_uppercase());
    if byte(bytes, point) != b'.' || point == at || !has(bytes, end, b": ") {
        return None;
    }
    let level = Level::of_word(cut(line, point + 1, end))?;
    sink.add("logger", cut(line, at, point));
    let text = rest(line, end + 2).trim_ascii_end();
    // Two places for values; each is a list where it is empty.
    let text = text.strip_suffix(" []").unwrap_or(text);
    let text = text.strip_suffix(" []").unwrap_or(text);
    let message = json::tail(text, sink).unwrap_or(text);
    Some(Found { format: "monolog", level: Some(level), time: Some(time), message: message.into() })
}

/// The first line of `java.util.logging`: `Nov 29, 2026 10:00:00 AM org.shop.Server start`. Its level is on the next line.
pub(super) fn jul<'a, S: Sink<'a>>(line: &'a str, stamp: &Stamp, sink: &mut S) -> Option<Found<'a>> {
    let text = rest(line, stamp.len).strip_prefix(' ')?;
    let (class, method) = text.split_once(' ')?;
    if stamp.form != Form::Jul || method.contains(' ') || !class.bytes().all(is_name_byte) {
        return None;
    }
    sink.add("logger", class);
    sink.add("method", method);
    Some(Found { format: "jul", level: None, time: Some(stamp.time), message: text.into() })
}
