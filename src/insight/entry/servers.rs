//! Lines of servers with a form of their own: nginx, Apache, Redis, PostgreSQL.
//!
//! Promise: each form is known by marks that no other has. Never: guesses.

use super::{
    Found,
    request::request_fields,
    scan::{blanks, byte, cut, digits, find, has, quote_end, rest, run},
    sink::Sink,
    stamp::{Form, Stamp, stamp},
    time::LineTime,
};
use crate::model::level::Level;

/// `[error] 123#123: *1 open() failed, client: 10.0.0.1, server: _, request: "GET / HTTP/1.1", host: "x"` behind a time.
pub(super) fn nginx<'a, S: Sink<'a>>(line: &'a str, at: usize, time: LineTime, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let close = find(bytes, at + 2, b']', 10)?;
    let level = Level::of_word(cut(line, at + 2, close)).filter(|_| has(bytes, at, b" ["))?;
    let pid = close + 2;
    let hash = pid + digits(bytes, pid);
    let tid = hash + 1 + digits(bytes, hash + 1);
    if byte(bytes, hash) != b'#' || byte(bytes, tid) != b':' {
        return None;
    }
    sink.add("pid", cut(line, pid, hash));
    let mut start = tid + 1 + blanks(bytes, tid + 1);
    if byte(bytes, start) == b'*' {
        let end = start + 1 + digits(bytes, start + 1);
        sink.add("connection", cut(line, start + 1, end));
        start = end + blanks(bytes, end);
    }
    let text = rest(line, start);
    let message = match memchr::memmem::find(text.as_bytes(), b", client: ") {
        Some(tail) => {
            if S::WANTED {
                listed(&text[tail + 2..], sink);
            }
            &text[..tail]
        }
        None => text,
    };
    Some(Found { format: "nginx", level: Some(level), time: Some(time), message: message.into() })
}

/// `client: 10.0.0.1, request: "GET / HTTP/1.1"`.
fn listed<'a, S: Sink<'a>>(text: &'a str, sink: &mut S) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(colon) = find(bytes, at, b':', 32) {
        let name = cut(text, at, colon);
        let start = colon + 2;
        let (value, end) = if byte(bytes, start) == b'"' {
            let Some(end) = quote_end(bytes, start + 1) else { break };
            (cut(text, start + 1, end), end + 1)
        } else {
            let end = find(bytes, start.min(bytes.len()), b',', bytes.len()).unwrap_or(bytes.len());
            (cut(text, start, end), end)
        };
        if name == "request" {
            request_fields(value, sink);
        } else {
            sink.add(name, value);
        }
        at = end + 2;
    }
}

/// `[core:error] [pid 1:tid 2] [client 10.0.0.1:5] AH00124: …` behind `[Sun Nov 29 10:00:00 2026]`.
pub(super) fn apache<'a, S: Sink<'a>>(line: &'a str, at: usize, time: LineTime, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    if !has(bytes, at, b" [") {
        return None;
    }
    let close = find(bytes, at + 2, b']', 48)?;
    let inside = cut(line, at + 2, close);
    let (module, word) = inside.split_once(':').unwrap_or(("", inside));
    // `trace1` to `trace8`.
    let level = Level::of_word(word.trim_end_matches(|last: char| last.is_ascii_digit()))?;
    if !module.is_empty() {
        sink.add("module", module);
    }
    let mut start = close + 1;
    while has(bytes, start, b" [") {
        let Some(end) = find(bytes, start + 2, b']', 96) else { break };
        match cut(line, start + 2, end).split_once(' ') {
            Some((name @ ("pid" | "client" | "remote"), value)) => {
                sink.add(name, value.split_once(":tid").map_or(value, |(pid, _)| pid));
            }
            Some(_) | None => break,
        }
        start = end + 1;
    }
    let message = rest(line, start + blanks(bytes, start));
    Some(Found { format: "apache", level: Some(level), time: Some(time), message: message.into() })
}

/// `123:M 29 Nov 2026 10:00:00.123 * Ready to accept connections`.
pub(super) fn redis<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let colon = digits(bytes, 0);
    if byte(bytes, colon) != b':' || !matches!(byte(bytes, colon + 1), b'M' | b'S' | b'C' | b'X') {
        return None;
    }
    let start = colon + 3;
    let stamp = stamp(bytes.get(start..)?).filter(|stamp| stamp.form == Form::DayFirst)?;
    let mark = start + stamp.len + 1;
    let level = match byte(bytes, mark) {
        b'.' => Level::Debug,
        b'-' | b'*' => Level::Info,
        b'#' => Level::Warn,
        _ => return None,
    };
    sink.add("pid", cut(line, 0, colon));
    sink.add("role", cut(line, colon + 1, colon + 2));
    let message = rest(line, mark + 1 + blanks(bytes, mark + 1));
    Some(Found { format: "redis", level: Some(level), time: Some(stamp.time), message: message.into() })
}

/// How far the label of PostgreSQL may be from its time.
const REACH: usize = 200;

/// What PostgreSQL calls a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// Where it begins.
    pub(super) start: usize,
    /// Where its colon is.
    pub(super) end: usize,
    /// True where the line says more about the one before it.
    pub(super) is_more: bool,
}

/// The label of PostgreSQL, at or after `at`: capitals, a colon, two spaces.
pub(super) fn label(bytes: &[u8], at: usize) -> Option<Label> {
    let reach = &bytes[at.min(bytes.len())..bytes.len().min(at + REACH)];
    for colon in memchr::memchr_iter(b':', reach) {
        let end = at + colon;
        if !has(bytes, end, b":  ") {
            continue;
        }
        let from = end - bytes[at..end].iter().rev().take_while(|byte| is_label(**byte)).count();
        let is_more = match &bytes[from..end] {
            b"DETAIL" | b"HINT" | b"STATEMENT" | b"CONTEXT" | b"QUERY" | b"LOCATION" => true,
            b"LOG" | b"ERROR" | b"FATAL" | b"PANIC" | b"WARNING" | b"NOTICE" | b"INFO" | b"DEBUG" | b"DEBUG1"
            | b"DEBUG2" | b"DEBUG3" | b"DEBUG4" | b"DEBUG5" => false,
            _ => return None,
        };
        let apart = from == 0 || matches!(bytes[from - 1], b' ' | b':' | b']' | b',');
        return apart.then_some(Label { start: from, end, is_more });
    }
    None
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

/// `[123] user@db ERROR:  …` behind a time, and its common variants.
pub(super) fn postgres<'a, S: Sink<'a>>(line: &'a str, stamp: &Stamp, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let label = label(bytes, stamp.len)?;
    let prefix = cut(line, stamp.len, label.start);
    if S::WANTED {
        prefix_fields(prefix, sink);
    }
    let level = if label.is_more { None } else { Level::of_word(cut(line, label.start, label.end)) };
    Some(Found { format: "postgres", level, time: Some(stamp.time), message: rest(line, label.end + 3).into() })
}

/// What may stand between time and label: `[123]`, `user@db`, `[123]: [3-1] user=app,db=shop,app=x,client=10.0.0.1`, `:10.0.0.1(5432):user@db:[123]:`.
fn prefix_fields<'a, S: Sink<'a>>(prefix: &'a str, sink: &mut S) {
    for word in prefix.split([' ', ',', ':']).filter(|word| !word.is_empty()) {
        let inner = word.trim_start_matches('[').trim_end_matches(']');
        let is_number = run(inner.as_bytes(), 0, |byte| byte.is_ascii_digit()) == inner.len();
        if inner.len() < word.len() && is_number {
            sink.add("pid", inner);
        } else if let Some((name, value)) = word.split_once('=') {
            if !value.is_empty() {
                sink.add(name, value);
            }
        } else if let Some((user, database)) = word.split_once('@') {
            sink.add("user", user);
            sink.add("db", database);
        } else if let Some((client, _)) = word.split_once('(') {
            sink.add("client", client);
        }
    }
}
