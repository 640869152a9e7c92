//! The columns at the head of a log line, and what each may be.

use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

use crate::{insight::entry::stamp_length, model::level::Level};

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A date, a time of the day, or both; seconds since 1970.
    Time,
    /// How grave a message is.
    Level,
    /// One capital that stands for a level.
    Letter,
    /// Digits.
    Number,
    /// `-`, `|`, `*`: parts the head from the message.
    Rule,
    /// `[…]`.
    Bracket,
    /// Ends with `:`.
    Tag,
    /// Letters and points: the name of a class or a module.
    Dotted,
    /// Anything else.
    Word,
}

/// A column of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Where it ends.
    pub(super) end: usize,
    /// What it is.
    pub(super) kind: Kind,
}

/// How far a bracket may reach.
const BRACKET: usize = 256;

/// The next column at or after `from`.
pub(super) fn column(line: &[u8], from: usize) -> Option<Column> {
    let start = from + spaces(line, from);
    let rest = line.get(start..).filter(|rest| !rest.is_empty())?;
    if let Some(length) = stamp_length(rest) {
        return Some(Column { end: start + word_end(rest, length), kind: Kind::Time });
    }
    let bracket = bracket_end(rest);
    let end = bracket.map_or_else(|| word_end(rest, 0), |end| word_end(rest, end));
    let text = &rest[..end];
    let kind = match bracket {
        Some(inside) if inside + 1 >= end => bracketed(&text[1..inside - 1], text),
        _ => kind(text),
    };
    Some(Column { end: start + end, kind })
}

/// The number of spaces and tabs at `from`.
pub(super) fn spaces(line: &[u8], from: usize) -> usize {
    line.get(from..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn word_end(rest: &[u8], from: usize) -> usize {
    rest[from..].iter().position(|byte| matches!(byte, b' ' | b'\t')).map_or(rest.len(), |more| from + more)
}

/// The end of a bracket that begins the text.
fn bracket_end(rest: &[u8]) -> Option<usize> {
    if rest.first() != Some(&b'[') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, byte) in rest.iter().take(BRACKET).enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

fn bracketed(inside: &[u8], whole: &[u8]) -> Kind {
    let inside = inside.trim_ascii();
    if whole.ends_with(b":") {
        return Kind::Tag;
    }
    if stamp_length(inside).is_some_and(|length| length == inside.len()) {
        return Kind::Time;
    }
    match kind(inside) {
        Kind::Time => Kind::Time,
        Kind::Level => Kind::Level,
        Kind::Letter | Kind::Number | Kind::Rule | Kind::Bracket | Kind::Tag | Kind::Dotted | Kind::Word => {
            Kind::Bracket
        }
    }
}

fn kind(text: &[u8]) -> Kind {
    let core = text.strip_suffix(b",").or_else(|| text.strip_suffix(b":")).unwrap_or(text);
    if is_level(core) {
        return Kind::Level;
    }
    if is_time(core) {
        return Kind::Time;
    }
    if text.ends_with(b":") {
        return Kind::Tag;
    }
    if text.iter().all(|byte| matches!(byte, b'-' | b'|' | b'*' | b'=' | b'>')) {
        return Kind::Rule;
    }
    if is_number(text) {
        return Kind::Number;
    }
    if matches!(text, [b'V' | b'D' | b'I' | b'W' | b'E' | b'F']) {
        return Kind::Letter;
    }
    let dotted = text.contains(&b'.')
        && text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.last().is_some_and(u8::is_ascii_alphanumeric);
    if dotted && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'-')) {
        Kind::Dotted
    } else {
        Kind::Word
    }
}

fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// A letter alone is none: [`Kind::Letter`].
fn is_level(text: &[u8]) -> bool {
    text.len() > 1 && std::str::from_utf8(text).ok().and_then(Level::of_word).is_some()
}

/// A date, a time of the day, both in one word, or seconds or milliseconds since 1970.
fn is_time(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let Some(first) = text.first().filter(|byte| byte.is_ascii_digit()) else { return false };
    if digits == text.len() {
        return matches!((first, digits), (b'1', 10 | 13 | 16));
    }
    let part = |byte: &u8| {
        byte.is_ascii_digit() || matches!(byte, b'-' | b'/' | b'.' | b':' | b',' | b'T' | b'Z' | b'+' | b'_')
    };
    if !text.iter().all(part) {
        return false;
    }
    let colons = memchr_iter(b':', text).count();
    let slashes = text.iter().filter(|byte| matches!(byte, b'-' | b'/')).count();
    let dots = memchr_iter(b'.', text).count();
    colons >= 2 && digits >= 4
        || slashes == 2 && (6..=8).contains(&digits)
        || dots == 2 && digits == 8
        || slashes >= 2 && digits >= 12
}
