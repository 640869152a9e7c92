//! Which form a line has: by its first bytes, then by its marks, the most particular form first.
//!
//! Promise: time is linear in the line, and a form that does not fit leaves nothing behind. Never: an answer that depends on other lines.

use super::{
    Found, access, head, json, logfmt, loggers, plain, request,
    roles::{Role, role},
    scan::{byte, cut, digits, find, has, rest, run},
    servers,
    sink::Sink,
    stamp::{Form, Stamp, stamp},
    syslog, words,
};

/// What a line is; `outer` unless it is what a program said in a line of syslog.
pub(super) fn recognise<'a, S: Sink<'a>>(line: &'a str, outer: bool, sink: &mut S) -> Found<'a> {
    let text = line.trim_start_matches([' ', '\t']);
    let indented = text.len() < line.len();
    let first = byte(text.as_bytes(), 0);
    let found = match first {
        b'{' => attempt(sink, |sink| json::json(text, sink)),
        b'<' => attempt(sink, |sink| syslog::priority(text, sink)),
        b'0'..=b'9' => digit(text, outer, sink),
        b'[' => bracket(text, sink),
        b'A'..=b'Z' => capital(text, outer, sink),
        // What is indented and small is YAML, a list, or more of the line before.
        b'a'..=b'z' if indented => None,
        b'a'..=b'z' | b'_' | b'@' => small(text, sink),
        _ => other(text, sink),
    };
    found.unwrap_or_else(|| {
        let level = if indented && !is_symbol(first) { None } else { plain::trouble(text.as_bytes()) };
        Found { format: "", level, time: None, message: line.into() }
    })
}

/// Symbols and the frame of a group of exceptions stand behind spaces.
fn is_symbol(first: u8) -> bool {
    first >= 0x80 || first == b'+'
}

/// Tries a form.
fn attempt<'a, S: Sink<'a>>(sink: &mut S, form: impl FnOnce(&mut S) -> Option<Found<'a>>) -> Option<Found<'a>> {
    let mark = sink.count();
    let found = form(sink);
    if found.is_none() {
        sink.cut(mark);
    }
    found
}

/// A line that begins with a digit.
fn digit<'a, S: Sink<'a>>(line: &'a str, outer: bool, sink: &mut S) -> Option<Found<'a>> {
    if let Some(stamp) = stamp(line.as_bytes()) {
        return Some(timed(line, &stamp, outer, sink));
    }
    attempt(sink, |sink| servers::redis(line, sink)).or_else(|| attempt(sink, |sink| access::access(line, sink)))
}

/// A line that begins with a time.
fn timed<'a, S: Sink<'a>>(line: &'a str, stamp: &Stamp, outer: bool, sink: &mut S) -> Found<'a> {
    let bytes = line.as_bytes();
    let next = byte(bytes, stamp.len);
    let special = match stamp.form {
        Form::Slashed if next == b' ' && byte(bytes, stamp.len + 1) == b'[' => {
            attempt(sink, |sink| servers::nginx(line, stamp.len, stamp.time, sink))
        }
        Form::Jul => attempt(sink, |sink| loggers::jul(line, stamp, sink)),
        Form::Syslog if outer => attempt(sink, |sink| syslog::journal(line, stamp, sink)),
        Form::Iso | Form::Spaced => attempt(sink, |sink| servers::postgres(line, stamp, sink)).or_else(|| {
            let other = !outer || words::marker(bytes, stamp.len + 1, true).is_some();
            if other { None } else { attempt(sink, |sink| syslog::journal(line, stamp, sink)) }
        }),
        Form::Slashed
        | Form::Syslog
        | Form::Comma
        | Form::Web
        | Form::DayFirst
        | Form::Ctime
        | Form::Clock
        | Form::Other => None,
    };
    special.unwrap_or_else(|| head::timed(line, stamp, stamp.len, sink))
}

/// A line that begins with a bracket.
fn bracket<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let second = byte(bytes, 1);
    if (second.is_ascii_digit() || second == b' ')
        && let Some(found) = attempt(sink, |sink| syslog::kernel(line, sink))
    {
        return Some(found);
    }
    if let Some(stamp) = stamp(&bytes[1..]) {
        return boxed(line, &stamp, sink);
    }
    if let Some(found) = framework(line, sink) {
        return Some(found);
    }
    attempt(sink, |sink| request::rails(line, sink)).or_else(|| attempt(sink, |sink| head::untimed(line, sink)))
}

/// `[GIN] 2026/11/29 - 10:00:00 | …`, `[Nest] 123  - 11/29/2026, 10:00:00 AM     LOG …`.
fn framework<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let (format, at) = match bytes.get(1)? {
        b'G' if has(bytes, 0, b"[GIN] ") => ("gin", 6),
        b'N' if has(bytes, 0, b"[Nest] ") => ("nest", 7 + digits(bytes, 7)),
        _ => return None,
    };
    let at = at + run(bytes, at, |byte| matches!(byte, b' ' | b'-'));
    let stamp = bytes.get(at..).and_then(stamp)?;
    Some(Found { format, ..head::timed(line, &stamp, at + stamp.len, sink) })
}

/// A line that begins with a time in a bracket.
fn boxed<'a, S: Sink<'a>>(line: &'a str, stamp: &Stamp, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let end = 1 + stamp.len;
    if byte(bytes, end) != b']' {
        if stamp.form == Form::DayFirst
            && let Some(found) = attempt(sink, |sink| loggers::php(line, end, stamp.time, sink))
        {
            return Some(found);
        }
        let close = find(bytes, end, b']', 120)?;
        return Some(head::together(line, stamp, end, close, sink));
    }
    let special = match stamp.form {
        Form::Ctime => attempt(sink, |sink| servers::apache(line, end + 1, stamp.time, sink))
            .or_else(|| attempt(sink, |sink| loggers::php(line, end, stamp.time, sink))),
        Form::DayFirst => attempt(sink, |sink| loggers::php(line, end, stamp.time, sink)),
        Form::Iso | Form::Spaced if byte(bytes, end + 1) == b' ' => {
            attempt(sink, |sink| loggers::monolog(line, end + 2, stamp.time, sink))
        }
        Form::Iso
        | Form::Spaced
        | Form::Comma
        | Form::Slashed
        | Form::Web
        | Form::Syslog
        | Form::Jul
        | Form::Clock
        | Form::Other => None,
    };
    Some(special.unwrap_or_else(|| head::timed(line, stamp, end + 1, sink)))
}

/// A line that begins with a capital.
fn capital<'a, S: Sink<'a>>(line: &'a str, outer: bool, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let second = byte(bytes, 1);
    if second.is_ascii_digit()
        && let Some(found) = attempt(sink, |sink| loggers::klog(line, sink))
    {
        return Some(found);
    }
    if second == b',' {
        return attempt(sink, |sink| loggers::ruby(line, sink));
    }
    if second.is_ascii_uppercase() {
        let found = attempt(sink, |sink| request::bare(line, 0, sink)).or_else(|| {
            let bracket = run(bytes, 0, |byte| byte.is_ascii_uppercase());
            if byte(bytes, bracket) == b'[' { attempt(sink, |sink| loggers::logrus(line, sink)) } else { None }
        });
        if found.is_some() {
            return found;
        }
    } else if let Some(stamp) = stamp(bytes) {
        return Some(timed(line, &stamp, outer, sink));
    }
    if matches!(bytes[0], b'S' | b'C')
        && (has(bytes, 0, b"Started ") || has(bytes, 0, b"Completed "))
        && let Some(found) = attempt(sink, |sink| request::rails(line, sink))
    {
        return Some(found);
    }
    if has(bytes, 0, b"PHP ") {
        let (level, message) = loggers::php_words(line)?;
        return Some(Found { format: "php", level: Some(level), time: None, message: message.into() });
    }
    other(line, sink)
}

/// A line that begins with a small letter.
fn small<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    if has(bytes, 4, b": ")
        && let Some(found) = attempt(sink, |sink| loggers::dotnet(line, sink))
    {
        return Some(found);
    }
    other(line, sink)
}

/// A line of any other start.
fn other<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let equals = run(bytes, 0, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/'));
    if byte(bytes, equals) == b'=' {
        if let Some(found) = attempt(sink, |sink| logfmt::logfmt(line, sink)) {
            return Some(found);
        }
        return level_pair(line, cut(line, 0, equals));
    }
    attempt(sink, |sink| access::access(line, sink)).or_else(|| attempt(sink, |sink| head::untimed(line, sink)))
}

/// `level=error something failed`: one pair, and it is the level.
fn level_pair<'a>(line: &'a str, key: &str) -> Option<Found<'a>> {
    let (_, value, end) = logfmt::pair(line, 0)?;
    if !matches!(role(key), Some(Role::Level(0..=2, _))) {
        return None;
    }
    let level = words::inside(value, true)?;
    Some(Found { format: "text", level: Some(level), time: None, message: rest(line, end).trim_ascii_start().into() })
}
