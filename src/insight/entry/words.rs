//! Words that stand where a level stands, told from the same words in a sentence.
//!
//! Promise: a word in capitals, in brackets or before a colon is a level; the word `error` in a sentence is not. Never: looks further than the next word.

use super::scan::{byte, has};
use crate::model::level::Level;

/// The longest word that is a level.
const LONGEST: usize = 13;

/// A level, and where its word ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    /// The level.
    pub(super) level: Level,
    /// The byte behind its word.
    pub(super) end: usize,
}

/// Words that are also the start of many sentences and the names of many things.
fn is_weak(word: &[u8]) -> bool {
    [
        &b"log"[..],
        b"config",
        b"fine",
        b"finer",
        b"finest",
        b"note",
        b"hint",
        b"detail",
        b"statement",
        b"alert",
        b"failure",
        b"verbose",
        b"information",
        b"informational",
        b"emergency",
        b"inf",
    ]
    .iter()
    .any(|weak| word.eq_ignore_ascii_case(weak))
}

/// Words that are a level in small letters too, before a colon or behind a time.
fn is_plain_word(word: &[u8]) -> bool {
    [&b"error"[..], b"warn", b"warning", b"info", b"debug", b"trace", b"fatal", b"critical", b"notice", b"crit", b"err"]
        .iter()
        .any(|plain| word.eq_ignore_ascii_case(plain))
}

/// True where the next word makes a figure of the one before it: `error rate`, `warning count`.
fn is_about(bytes: &[u8], at: usize) -> bool {
    const ABOUT: [&[u8]; 12] = [
        b"rate", b"count", b"budget", b"log", b"page", b"handl", b"report", b"track", b"code", b"message", b"level",
        b"free",
    ];
    let Some(next) = bytes.get(at..) else { return false };
    ABOUT.iter().any(|about| next.get(..about.len()).is_some_and(|start| start.eq_ignore_ascii_case(about)))
}

/// How a word is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
    Capital,
}

fn case(word: &[u8]) -> Option<Case> {
    let (first, more) = word.split_first()?;
    let lower = more.iter().filter(|byte| byte.is_ascii_lowercase()).count();
    let upper = more.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    match (first.is_ascii_uppercase(), lower, upper) {
        (true, 0, 1..) => Some(Case::Upper),
        (true, 1.., 0) => Some(Case::Capital),
        (false, 1.., 0) => Some(Case::Lower),
        _ => None,
    }
}

/// The level at a place where a level may stand; `timed` where a time stands before it.
pub(super) fn marker(bytes: &[u8], at: usize, timed: bool) -> Option<Marker> {
    let rest = bytes.get(at..)?;
    // The first letters of all words that are levels: this is asked of every line.
    if !matches!(rest.first()? | 0x20, b'a' | b'c'..=b'f' | b'h' | b'i' | b'l' | b'n' | b'p' | b's'..=b't' | b'v' | b'w')
    {
        return None;
    }
    let len = rest.iter().take(LONGEST + 1).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if !(3..=LONGEST).contains(&len) {
        return None;
    }
    let (word, next) = (&rest[..len], byte(rest, len));
    let end = at + len;
    let fits = match (case(word)?, next) {
        (Case::Upper, b':') => true,
        (Case::Upper, b' ' | b'\t' | 0 | b'|' | b'[' | b']' | b'(' | b',') => {
            (timed || !is_weak(word)) && !is_about(bytes, end + 1)
        }
        (Case::Lower | Case::Capital, b':') => is_plain_word(word) && byte(rest, len + 1) != b':',
        (Case::Lower | Case::Capital, b'\t') => timed && is_plain_word(word),
        (Case::Lower | Case::Capital, b' ') => timed && is_plain_word(word) && !is_about(bytes, end + 1),
        (Case::Upper | Case::Lower | Case::Capital, _) => false,
    };
    if !fits {
        return None;
    }
    let level = Level::of_word(std::str::from_utf8(word).ok()?)?;
    Some(Marker { level, end })
}

/// The level that is all of a text in brackets: `INFO`, ` warn `, `Note`.
pub(super) fn inside(text: &str, timed: bool) -> Option<Level> {
    let word = text.trim_ascii();
    if !(3..=LONGEST).contains(&word.len()) {
        return None;
    }
    let level = Level::of_word(word)?;
    let shown = match case(word.as_bytes())? {
        Case::Upper => timed || !is_weak(word.as_bytes()) || word == "ALERT",
        Case::Capital => timed || !is_weak(word.as_bytes()),
        Case::Lower => !is_weak(word.as_bytes()) || word == "alert",
    };
    shown.then_some(level)
}

/// True where a text is the name of an exception: `java.lang.IllegalStateException`, `ValueError`, `Foo::Error`.
pub(super) fn is_exception(name: &[u8]) -> bool {
    let suffix = [&b"Error"[..], b"Exception", b"Throwable", b"Failure"].into_iter().any(|end| name.ends_with(end));
    suffix
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b':' | b'\\'))
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && !has(name, 0, b"::")
}
