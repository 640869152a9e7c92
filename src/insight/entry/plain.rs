//! Lines without a head that still say that something went wrong: the first line of a traceback, what compilers and package managers write.
//!
//! Promise: only what begins the line counts. Never: a word somewhere in a sentence.

use super::{
    columns::is_place,
    loggers::php_words,
    scan::{byte, digits, has, run, word_end},
    words::is_exception,
};
use crate::model::level::Level;

/// The starts of lines that are surely trouble.
const STARTS: &[(&[u8], Level)] = &[
    (b"Traceback (most recent call last)", Level::Error),
    (b"Exception in thread ", Level::Error),
    (b"Exception ignored in: ", Level::Warn),
    (b"Internal Server Error: ", Level::Error),
    (b"+ Exception Group Traceback", Level::Error),
    (b"Caused by: ", Level::Error),
    (b"http: panic serving ", Level::Error),
    (b"panic: ", Level::Fatal),
    (b"fatal error: ", Level::Fatal),
    (b"Fatal error: ", Level::Fatal),
    (b"Parse error: ", Level::Fatal),
    (b"Unhandled exception", Level::Error),
    (b"Unhandled Exception", Level::Error),
    (b"Unhandled rejection", Level::Error),
    (b"Uncaught ", Level::Error),
    (b"** (", Level::Error),
    (b"--- FAIL: ", Level::Error),
    (b"npm ERR!", Level::Error),
    (b"npm error ", Level::Error),
    (b"npm WARN ", Level::Warn),
    (b"npm warn ", Level::Warn),
    (b"error[E", Level::Error),
    (b"Segmentation fault", Level::Fatal),
    ("⨯ ".as_bytes(), Level::Error),
    ("✘ ".as_bytes(), Level::Error),
    ("✗ ".as_bytes(), Level::Error),
    ("✖ ".as_bytes(), Level::Error),
    ("❌ ".as_bytes(), Level::Error),
    ("⚠ ".as_bytes(), Level::Warn),
    ("▲ [WARNING]".as_bytes(), Level::Warn),
];

/// How bad it is what a line begins with, if it is that.
pub(super) fn trouble(bytes: &[u8]) -> Option<Level> {
    let first = *bytes.first()?;
    if let Some((_, level)) = STARTS.iter().find(|(start, _)| start[0] == first && bytes.starts_with(start)) {
        return Some(*level);
    }
    match first {
        b't' if bytes.starts_with(b"thread '") => panicked(bytes),
        b'm' if bytes.starts_with(b"make") => make(bytes),
        b'P' if bytes.starts_with(b"PHP ") => php_words(std::str::from_utf8(bytes).ok()?).map(|(level, _)| level),
        b'(' if bytes.starts_with(b"(node:") => node_warning(bytes),
        b'A'..=b'Z' | b'a'..=b'z' | b'/' | b'.' | b'<' => exception(bytes).or_else(|| placed(bytes)),
        _ => None,
    }
}

/// `thread 'main' panicked at …`: the end of the program if it is the main thread.
fn panicked(bytes: &[u8]) -> Option<Level> {
    memchr::memmem::find(&bytes[..bytes.len().min(160)], b" panicked at ")?;
    Some(if has(bytes, 8, b"main'") { Level::Fatal } else { Level::Error })
}

/// `make: *** [Makefile:3: all] Error 1`, `make[2]: *** …`.
fn make(bytes: &[u8]) -> Option<Level> {
    let at = 4 + run(bytes, 4, |byte| byte.is_ascii_digit() || matches!(byte, b'[' | b']'));
    has(bytes, at, b": *** ").then_some(Level::Error)
}

/// `(node:123) UnhandledPromiseRejectionWarning: …`, `(node:123) Warning: …`, `(node:123) [DEP0040] DeprecationWarning: …`.
fn node_warning(bytes: &[u8]) -> Option<Level> {
    let at = 6 + digits(bytes, 6);
    if !has(bytes, at, b") ") {
        return None;
    }
    Some(if has(bytes, at + 2, b"UnhandledPromiseRejection") { Level::Error } else { Level::Warn })
}

/// `TypeError: …`, `java.lang.IllegalStateException: …`, `TypeError [ERR_X]: …`, `KeyError` alone.
fn exception(bytes: &[u8]) -> Option<Level> {
    let end = run(bytes, 0, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'\\'));
    let end = end + scoped(bytes, end);
    let ends = match byte(bytes, end) {
        b':' => matches!(byte(bytes, end + 1), b' ' | 0),
        b' ' => has(bytes, end, b" [ERR_"),
        _ => end == bytes.len() && end > 9,
    };
    (ends && end >= 5 && is_exception(&bytes[..end])).then_some(Level::Error)
}

/// `::Name` of Ruby, any number of times.
fn scoped(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    while has(bytes, end, b"::") && byte(bytes, end + 2).is_ascii_alphabetic() {
        end += 2 + run(bytes, end + 2, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    }
    end - at
}

/// What stands behind a place in the code: `x.py:3: UserWarning: …`, ``x.rb:1:in `main': … ``, `x.ts(1,2): error TS2322: …`.
fn placed(bytes: &[u8]) -> Option<Level> {
    let end = word_end(bytes, 0);
    let word = &bytes[..end];
    if word.ends_with(b":in") && memchr::memmem::find(word, b".rb:").is_some() {
        return Some(Level::Error);
    }
    let place = word.strip_suffix(b":").unwrap_or(word);
    if place.ends_with(b")") || is_place(place) {
        let rest = bytes.get(end + 1..)?;
        let rest = rest.strip_prefix(b"- ").unwrap_or(rest);
        if rest.starts_with(b"error TS") {
            return Some(Level::Error);
        }
        let next = &rest[..word_end(rest, 0)];
        return next.ends_with(b"Warning:").then_some(Level::Warn);
    }
    None
}
