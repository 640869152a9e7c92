//! Lines that tell a request without the form of an access log: frameworks in development, and messages of loggers that are about a request.
//!
//! Promise: what has a method, a path and a status has them as fields, and the level of the status. Never: takes prose that begins with `GET` for a request.

use super::{
    Found,
    access::level_of_status,
    scan::{byte, cut, digits, quote_end, rest, run, word_end},
    sink::Sink,
    stamp::stamp,
};
use crate::model::level::Level;

/// `GET`, `POST`, `PROPFIND` …
fn is_method(word: &str) -> bool {
    (3..=10).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The parts of `GET /path HTTP/1.1`, if it is that.
pub(super) fn request<'a, S: Sink<'a>>(text: &'a str, sink: &mut S) -> bool {
    let mut parts = text.splitn(3, ' ');
    let (Some(method), Some(path)) = (parts.next(), parts.next()) else { return false };
    if !is_method(method) || path.is_empty() {
        return false;
    }
    sink.add("method", method);
    sink.add("path", path);
    if let Some(protocol) = parts.next() {
        sink.add("protocol", protocol);
    }
    true
}

/// The same; what is no request becomes one field.
pub(super) fn request_fields<'a, S: Sink<'a>>(text: &'a str, sink: &mut S) {
    if !request(text, sink) && text != "-" {
        sink.add("request", text);
    }
}

/// The level of a message with a quoted request and a status behind it: `10.0.0.1:1234 - "GET / HTTP/1.1" 200 OK`.
pub(super) fn quoted<'a, S: Sink<'a>>(message: &'a str, sink: &mut S) -> Option<Level> {
    let bytes = message.as_bytes();
    let quote = memchr::memchr(b'"', &bytes[..bytes.len().min(96)])?;
    let close = quote_end(bytes, quote + 1)?;
    let text = cut(message, quote + 1, close);
    let (method, path) = text.split_once(' ')?;
    if !is_method(method) || !path.starts_with(['/', 'h', '*']) || byte(bytes, close + 1) != b' ' {
        return None;
    }
    // Three digits in a row somewhere near: ` 200 OK`, ` - 200 12B`, ` status: 200`.
    let near = cut(message, close + 1, (close + 40).min(message.floor_char_boundary(close + 40)));
    let status =
        near.split([' ', '(']).find(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit()))?;
    let level = level_of_status(status.parse().ok()?)?;
    if S::WANTED {
        let client = cut(message, 0, quote).trim_end_matches([' ', '-']);
        if !client.is_empty() && !client.contains(' ') && !client.ends_with(':') {
            sink.add("client", client);
        }
        request(text, sink);
        sink.add("status", status);
    }
    Some(level)
}

/// Morgan, Next.js: `GET /x 200 1.2 ms - 5`.
pub(super) fn bare<'a, S: Sink<'a>>(line: &'a str, at: usize, sink: &mut S) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let method_end = at + run(bytes, at, |byte| byte.is_ascii_uppercase());
    let method = cut(line, at, method_end);
    let path_end = word_end(bytes, (method_end + 1).min(bytes.len()));
    let path = cut(line, method_end + 1, path_end);
    if !is_method(method) || byte(bytes, method_end) != b' ' || !path.starts_with(['/', 'h', '*']) {
        return None;
    }
    let status_at = path_end + 1;
    if digits(bytes, status_at) != 3 || !matches!(byte(bytes, status_at + 3), b' ' | 0) {
        return None;
    }
    let status = cut(line, status_at, status_at + 3);
    let level = level_of_status(status.parse().ok()?)?;
    sink.add("method", method);
    sink.add("path", path);
    sink.add("status", status);
    duration(rest(line, status_at + 3), sink);
    Some(Found { format: "request", level: Some(level), time: None, message: rest(line, at).into() })
}

/// ` 1.2 ms - 5`, ` in 12ms`.
fn duration<'a, S: Sink<'a>>(text: &'a str, sink: &mut S) {
    let mut words = text.split_ascii_whitespace().peekable();
    while let Some(word) = words.next() {
        let number = word.starts_with(|first: char| first.is_ascii_digit());
        if number && words.peek() == Some(&"ms") {
            sink.add("duration_ms", word);
        } else if let Some(number) = word.strip_suffix("ms").filter(|_| number) {
            sink.add("duration_ms", number);
        }
    }
}

/// Rails: `Started GET "/x" for 127.0.0.1 at …`, `Completed 200 OK in 5ms (…)`, with tags in brackets before them.
pub(super) fn rails<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let mut text = line;
    for _ in 0..3 {
        match text.strip_prefix('[').and_then(|tagged| tagged.split_once("] ")) {
            Some((tag, after)) if tag.len() <= 64 => text = after,
            Some(_) | None => break,
        }
    }
    let found = |level, time| Some(Found { format: "rails", level: Some(level), time, message: text.into() });
    if let Some(started) = text.strip_prefix("Started ") {
        let (method, after) = started.split_once(" \"")?;
        let (path, after) = after.split_once("\" for ")?;
        let (client, at) = after.split_once(" at ")?;
        if !is_method(method) {
            return None;
        }
        sink.add("method", method);
        sink.add("path", path);
        sink.add("client", client);
        return found(Level::Info, stamp(at.as_bytes()).map(|stamp| stamp.time));
    }
    let done = text.strip_prefix("Completed ")?;
    let status = done.get(..3)?;
    let level = level_of_status(status.parse().ok()?)?;
    let (_, after) = done.split_once(" in ")?;
    sink.add("status", status);
    duration(after.split([' ', '(']).next()?, sink);
    found(level, None)
}

/// Gin and Fiber: `200 |     1.2ms |   127.0.0.1 | GET      "/x"` behind a time.
pub(super) fn piped<'a, S: Sink<'a>>(message: &'a str, sink: &mut S) -> Option<Level> {
    let text = message.trim_start_matches([' ', '|']);
    let mut parts = text.split('|').map(str::trim);
    let status = parts.next().filter(|status| status.len() == 3)?;
    let level = level_of_status(status.parse().ok()?)?;
    let (duration, client, asked) = (parts.next()?, parts.next()?, parts.next()?);
    let (method, path) = asked.split_once(' ').or_else(|| Some((asked, parts.next()?)))?;
    if !is_method(method) {
        return None;
    }
    sink.add("status", status);
    sink.add("duration", duration);
    sink.add("client", client);
    sink.add("method", method);
    sink.add("path", path.trim().trim_matches('"'));
    Some(level)
}
