//! Lines of web servers and proxies that tell one request each.
//!
//! Promise: who asked, what, and what the answer was, become fields; the level is that of the status. Never: takes a line for one of these that has no time in
//! brackets and no status.

use super::{
    Found,
    request::{request, request_fields},
    scan::{byte, cut, digits, find, quote_end, rest, word_end},
    sink::Sink,
    stamp::{Form, stamp},
    time::LineTime,
};
use crate::model::level::Level;

/// How far the time in brackets may be from the start.
const REACH: usize = 192;

/// The level that the status of a request stands for.
pub(super) fn level_of_status(status: u16) -> Option<Level> {
    match status {
        100..=399 => Some(Level::Info),
        400..=499 => Some(Level::Warn),
        500..=599 => Some(Level::Error),
        _ => None,
    }
}

/// Reads the forms "common" and "combined", with a virtual host before and anything behind, and what HAProxy writes.
pub(super) fn access<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let bracket = bracket(bytes)?;
    let stamp = stamp(&bytes[bracket + 1..]).filter(|stamp| stamp.form == Form::Web)?;
    let close = bracket + 1 + stamp.len;
    if !bytes.get(close..)?.starts_with(b"] ") {
        return None;
    }
    if byte(bytes, close + 2) == b'"' {
        return web(line, bracket, close + 2, stamp.time, sink);
    }
    proxy(line, bracket, close + 2, stamp.time, sink)
}

/// Where the time of a request stands: `[29/Nov/…`.
fn bracket(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = find(bytes, from, b'[', REACH.checked_sub(from)?)?;
        if byte(bytes, at + 3) == b'/' && at > 0 && bytes[at - 1] == b' ' {
            return Some(at);
        }
        from = at + 1;
    }
}

fn web<'a, S: Sink<'a>>(
    line: &'a str,
    bracket: usize,
    quote: usize,
    time: LineTime,
    sink: &mut S,
) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let close = quote_end(bytes, quote + 1)?;
    let status_at = close + 2;
    let status: u16 = cut(line, status_at, status_at + 3).parse().ok()?;
    if digits(bytes, status_at) != 3 || byte(bytes, close + 1) != b' ' {
        return None;
    }
    let level = level_of_status(status);
    let size_at = status_at + 4;
    let size_end = word_end(bytes, size_at.min(bytes.len()));
    let message = cut(line, quote, size_end.max(status_at + 3));
    if S::WANTED {
        callers(cut(line, 0, bracket), sink)?;
        request_fields(cut(line, quote + 1, close), sink);
        sink.add("status", cut(line, status_at, status_at + 3));
        let size = cut(line, size_at, size_end);
        if !size.is_empty() && size != "-" {
            sink.add("bytes", size);
        }
        extras(line, size_end, sink);
    } else {
        callers(cut(line, 0, bracket), sink)?;
    }
    Some(Found { format: "access", level, time: Some(time), message: message.into() })
}

/// What stands before the time: `[host] client ident user`.
fn callers<'a, S: Sink<'a>>(text: &'a str, sink: &mut S) -> Option<()> {
    let text = text.trim_ascii_end();
    let words = memchr::memchr_iter(b' ', text.as_bytes()).count() + 1;
    let mut parts = text.split(' ');
    let first = parts.next().filter(|first| !first.is_empty())?;
    let client = match words {
        1..=3 => first,
        // A host before the client, or a list of addresses with commas.
        4 if !first.ends_with(',') => {
            sink.add("host", first);
            parts.next()?
        }
        4..=16 => first.trim_end_matches(','),
        _ => return None,
    };
    sink.add("client", client);
    let user = text.rsplit(' ').next().filter(|user| words > 2 && *user != "-");
    if let Some(user) = user {
        sink.add("user", user);
    }
    Some(())
}

/// What stands behind the number of bytes: the two texts of "combined", then what a server was told to add.
fn extras<'a, S: Sink<'a>>(line: &'a str, mut at: usize, sink: &mut S) {
    const QUOTED: [&str; 3] = ["referer", "user_agent", "forwarded_for"];
    const NUMBERS: [&str; 2] = ["request_time", "upstream_time"];
    let bytes = line.as_bytes();
    let (mut quoted, mut numbers) = (0, 0);
    while byte(bytes, at) == b' ' {
        let start = at + 1;
        let (name, value) = if byte(bytes, start) == b'"' {
            let Some(end) = quote_end(bytes, start + 1) else { break };
            at = end + 1;
            quoted += 1;
            (QUOTED.get(quoted - 1), cut(line, start + 1, end))
        } else {
            at = word_end(bytes, start);
            let value = cut(line, start, at);
            let number = digits(bytes, start) > 0 && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            numbers += usize::from(number);
            (if number { NUMBERS.get(numbers - 1) } else { None }, value)
        };
        match name {
            Some(_) if value == "-" || value.is_empty() => {}
            Some(name) => sink.add(*name, value),
            None if value == "-" => {}
            None => {
                sink.add("extra", rest(line, start));
                break;
            }
        }
    }
}

/// `client:port [time] frontend backend/server Tq/Tw/Tc/Tr/Tt status bytes … "request"`.
fn proxy<'a, S: Sink<'a>>(line: &'a str, bracket: usize, at: usize, time: LineTime, sink: &mut S) -> Option<Found<'a>> {
    let mut words = rest(line, at).split(' ');
    let (frontend, server, timers, status) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let slashes = timers.bytes().filter(|byte| *byte == b'/').count();
    if !(2..=4).contains(&slashes) || !server.contains('/') {
        return None;
    }
    let code: Option<u16> = status.parse().ok();
    // Of a connection without HTTP the number of bytes stands there.
    let level = code.filter(|_| slashes == 4).and_then(level_of_status).unwrap_or(Level::Info);
    if S::WANTED {
        sink.add("client", cut(line, 0, bracket).trim_ascii_end());
        sink.add("frontend", frontend);
        sink.add("backend", server);
        sink.add("timers", timers);
        if slashes == 4 {
            sink.add("status", status);
            if let Some(size) = words.next() {
                sink.add("bytes", size);
            }
        }
        if let Some((_, asked)) = line.rsplit_once(" \"") {
            request(asked.trim_end_matches('"'), sink);
        }
    }
    Some(Found { format: "haproxy", level: Some(level), time: Some(time), message: rest(line, at).into() })
}
