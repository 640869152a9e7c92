//! Lines of syslog and journald: RFC 5424, RFC 3164, `journalctl`, and the messages of the kernel.
//!
//! Promise: what a program said is read as its own line would be, once; its level wins over that of the syslog. Never: takes two words for a host and a program
//! that are the start of a sentence.

use super::{
    Found,
    json::unescape,
    nested,
    scan::{blanks, byte, cut, digits, find, has, quote_end, rest, run, word_end},
    sink::Sink,
    stamp::{Form, Stamp, stamp},
    time::LineTime,
};
use crate::model::level::Level;

/// The level of a severity of syslog.
fn severity(number: u32) -> Level {
    match number & 7 {
        0..=2 => Level::Fatal,
        3 => Level::Error,
        4 => Level::Warn,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    }
}

/// A line that begins with `<34>`.
pub(super) fn priority<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let end = 1 + digits(bytes, 1);
    let number: u32 = cut(line, 1, end).parse().ok().filter(|number| *number < 192)?;
    if byte(bytes, end) != b'>' {
        return None;
    }
    let level = severity(number);
    let at = end + 1;
    if has(bytes, at, b"1 ") {
        return new(line, at + 2, level, sink);
    }
    let stamp = bytes.get(at..).and_then(stamp);
    let Some(stamp) = stamp.filter(|stamp| byte(bytes, at + stamp.len) == b' ') else {
        let message = rest(line, at + blanks(bytes, at));
        return Some(Found { format: "syslog", level: Some(level), time: None, message: message.into() });
    };
    let start = at + stamp.len + 1;
    let host_end = word_end(bytes, start);
    let (from, host) = match tag(bytes, start) {
        // The program without a host, as `syslog(3)` writes it to a local socket.
        Some(_) => (start, None),
        None => (host_end + 1, Some(cut(line, start, host_end))),
    };
    if let Some(host) = host {
        sink.add("host", host);
    }
    Some(said(line, from, Some(stamp.time), Some(level), sink))
}

/// RFC 5424, behind the version.
fn new<'a, S: Sink<'a>>(line: &'a str, at: usize, level: Level, sink: &mut S) -> Option<Found<'a>> {
    const NAMES: [&str; 4] = ["host", "program", "pid", "msgid"];
    let bytes = line.as_bytes();
    let time_end = word_end(bytes, at);
    let time = super::stamp::whole(cut(line, at, time_end));
    if time.is_none() && cut(line, at, time_end) != "-" {
        return None;
    }
    let mut start = time_end + 1;
    for name in NAMES {
        let end = word_end(bytes, start.min(bytes.len()));
        let value = cut(line, start, end);
        if value.is_empty() {
            return None;
        }
        if value != "-" {
            sink.add(name, value);
        }
        start = end + 1;
    }
    if byte(bytes, start) == b'[' {
        start = structured(line, start, sink)?;
    } else if byte(bytes, start) == b'-' {
        start += 1;
    } else {
        return None;
    }
    let message = rest(line, start + blanks(bytes, start)).trim_start_matches('\u{feff}');
    let inner = nested(message, sink);
    Some(Found {
        format: "syslog",
        level: inner.level.or(Some(level)),
        time: time.or(inner.time),
        message: inner.message,
    })
}

/// `[id@1 a="b" c="d"][other …]`: where it ends.
fn structured<'a, S: Sink<'a>>(line: &'a str, mut at: usize, sink: &mut S) -> Option<usize> {
    let bytes = line.as_bytes();
    while byte(bytes, at) == b'[' {
        at += 1 + run(bytes, at + 1, |byte| !matches!(byte, b' ' | b']'));
        while byte(bytes, at) == b' ' {
            let equals = find(bytes, at + 1, b'=', 64).filter(|equals| byte(bytes, equals + 1) == b'"')?;
            let end = quote_end(bytes, equals + 2)?;
            if S::WANTED {
                sink.add(cut(line, at + 1, equals), unescape(cut(line, equals + 2, end)));
            }
            at = end + 1;
        }
        if byte(bytes, at) != b']' {
            return None;
        }
        at += 1;
    }
    Some(at)
}

/// The program of a line: where its name ends, its pid, and where what it said begins.
struct Tag {
    name_end: usize,
    pid: Option<(usize, usize)>,
    end: usize,
}

/// `name[123]: ` or `name: `.
fn tag(bytes: &[u8], at: usize) -> Option<Tag> {
    let name_end = at + run(bytes, at, |byte| byte.is_ascii_alphanumeric() || b"._-/()@+".contains(&byte));
    if name_end == at {
        return None;
    }
    let (pid, colon) = match byte(bytes, name_end) {
        b'[' => {
            let close = find(bytes, name_end + 1, b']', 48)?;
            (Some((name_end + 1, close)), close + 1)
        }
        _ => (None, name_end),
    };
    (byte(bytes, colon) == b':' && matches!(byte(bytes, colon + 1), b' ' | 0)).then_some(Tag {
        name_end,
        pid,
        end: (colon + 2).min(bytes.len()),
    })
}

/// A line with a time, a host and a program. `Nov 29 10:00:00 host name[1]: …`, `2026-11-29T10:00:00+0100 host name[1]: …`; of Heroku there is no host.
pub(super) fn journal<'a, S: Sink<'a>>(line: &'a str, stamp: &Stamp, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let start = stamp.len + 1;
    if byte(bytes, stamp.len) != b' ' {
        return None;
    }
    let host_end = word_end(bytes, start);
    let is_syslog = stamp.form == Form::Syslog;
    // With other times than those of syslog there must be a pid: a name and a colon are the start of many messages.
    let fits = |tag: &Tag| is_syslog || tag.pid.is_some() || &bytes[tag.name_end - 6..tag.name_end] == b"kernel";
    match tag(bytes, host_end + 1).filter(|tag| tag.name_end >= 6 && fits(tag)) {
        Some(_) if byte(bytes, host_end - 1) != b':' && byte(bytes, start).is_ascii_alphanumeric() => {
            sink.add("host", cut(line, start, host_end));
            Some(said(line, host_end + 1, Some(stamp.time), None, sink))
        }
        Some(_) | None => {
            tag(bytes, start).filter(|tag| tag.pid.is_some())?;
            Some(said(line, start, Some(stamp.time), None, sink))
        }
    }
}

/// The program and what it said, from a place on.
fn said<'a, S: Sink<'a>>(
    line: &'a str,
    at: usize,
    time: Option<LineTime>,
    level: Option<Level>,
    sink: &mut S,
) -> Found<'a> {
    let Some(tag) = tag(line.as_bytes(), at) else {
        return Found { format: "syslog", level, time, message: rest(line, at).into() };
    };
    sink.add("program", cut(line, at, tag.name_end));
    if let Some((from, to)) = tag.pid {
        let pid = cut(line, from, to);
        // Of Heroku it is a name.
        sink.add(if digits(pid.as_bytes(), 0) == pid.len() { "pid" } else { "process" }, pid);
    }
    let inner = nested(rest(line, tag.end), sink);
    Found { format: "syslog", level: inner.level.or(level), time: time.or(inner.time), message: inner.message }
}

/// `[   12.345678] usb 1-1: …`, as `dmesg` writes.
pub(super) fn kernel<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let start = 1 + run(bytes, 1, |byte| byte == b' ');
    let point = start + digits(bytes, start);
    let end = point + 1 + digits(bytes, point + 1);
    if point == start || byte(bytes, point) != b'.' || end - point != 7 || !has(bytes, end, b"] ") {
        return None;
    }
    sink.add("uptime", cut(line, start, end));
    Some(Found { format: "kernel", level: None, time: None, message: rest(line, end + 2).into() })
}
