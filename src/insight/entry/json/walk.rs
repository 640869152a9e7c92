//! A walk over the text of a JSON object that tells every value with its path and builds nothing.

use std::borrow::Cow;

use super::unescape;
use crate::insight::entry::scan::{byte, quote_end};

/// Objects in objects that are walked into; the value below that is told as it is written.
const DEPTH: usize = 32;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::insight::entry) enum Kind {
    /// A text without escapes.
    Text,
    /// A text with escapes.
    Escaped,
    /// A number.
    Number,
    /// `true`, `false`, `null`, a list, an object that is too deep: told as it is written.
    Raw,
}

/// A value, as it is written; a text without its quotes.
#[derive(Debug, Clone, Copy)]
pub(in crate::insight::entry) struct Value<'a> {
    /// Its text.
    pub(in crate::insight::entry) raw: &'a str,
    /// What it is.
    pub(in crate::insight::entry) kind: Kind,
}

/// The keys of the objects around a value.
pub(super) struct Path<'a> {
    keys: [&'a str; DEPTH],
    depth: usize,
}

impl<'a> Path<'a> {
    /// From the outermost on.
    pub(super) fn parents(&self) -> &[&'a str] {
        &self.keys[..self.depth]
    }

    /// The whole name of a key, with dots.
    pub(super) fn name(&self, key: &'a str) -> Cow<'a, str> {
        if self.depth == 0 {
            return unescape(key);
        }
        let mut name = String::with_capacity(key.len() + 16);
        for parent in self.parents() {
            name.push_str(&unescape(parent));
            name.push('.');
        }
        name.push_str(&unescape(key));
        Cow::Owned(name)
    }
}

/// Walks over one object.
pub(super) struct Walker<'a, F> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    path: Path<'a>,
    tell: F,
}

impl<'a, F: FnMut(&Path<'a>, &'a str, Value<'a>)> Walker<'a, F> {
    /// Over the object that begins with a text.
    pub(super) fn new(text: &'a str, tell: F) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, path: Path { keys: [""; DEPTH], depth: 0 }, tell }
    }

    /// True where nothing follows the object.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.gap() == 0 && self.at >= self.bytes.len()
    }

    /// True where the walk ended because the text did.
    pub(super) fn is_out_of_text(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next byte that is no space; 0 at the end.
    fn gap(&mut self) -> u8 {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return *byte;
            }
            self.at += 1;
        }
        0
    }

    fn out_of_text<T>(&mut self) -> Option<T> {
        self.at = self.bytes.len();
        None
    }

    /// Walks over an object.
    pub(super) fn object(&mut self) -> Option<()> {
        self.at += 1;
        if self.gap() == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            if self.gap() != b'"' {
                return None;
            }
            let key = self.quoted()?.raw;
            if self.gap() != b':' {
                return None;
            }
            self.at += 1;
            self.member(key)?;
            match self.gap() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// The value of a key.
    fn member(&mut self, key: &'a str) -> Option<()> {
        let first = self.gap();
        if first == b'{' && self.path.depth < DEPTH && byte(self.bytes, self.at + 1) != b'}' {
            self.path.keys[self.path.depth] = key;
            self.path.depth += 1;
            self.object()?;
            self.path.depth -= 1;
            return Some(());
        }
        let value = match first {
            b'"' => self.quoted()?,
            b'{' | b'[' => self.nested()?,
            _ => self.literal()?,
        };
        (self.tell)(&self.path, key, value);
        Some(())
    }

    fn quoted(&mut self) -> Option<Value<'a>> {
        let start = self.at + 1;
        let mut end = start;
        // Most texts are short: a search by vectors costs more than it saves.
        while let Some(byte) = self.bytes.get(end) {
            match byte {
                b'"' => {
                    self.at = end + 1;
                    return Some(Value { raw: self.text.get(start..end)?, kind: Kind::Text });
                }
                b'\\' => break,
                _ => end += 1,
            }
        }
        let Some(end) = quote_end(self.bytes, end) else { return self.out_of_text() };
        self.at = end + 1;
        Some(Value { raw: self.text.get(start..end)?, kind: Kind::Escaped })
    }

    /// A list, or an object that is too deep: up to the bracket that closes it.
    fn nested(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        let mut open = 0_usize;
        loop {
            match self.bytes.get(self.at) {
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') => open -= 1,
                Some(b'"') => {
                    self.quoted()?;
                    continue;
                }
                Some(_) => {}
                None => return None,
            }
            self.at += 1;
            if open == 0 {
                return Some(Value { raw: self.text.get(start..self.at)?, kind: Kind::Raw });
            }
        }
    }

    /// A number or a word.
    fn literal(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        self.at += self.bytes[start..].iter().take_while(|byte| part(byte)).count();
        let raw = self.text.get(start..self.at)?;
        let digit = raw.strip_prefix('-').unwrap_or(raw).starts_with(|first: char| first.is_ascii_digit());
        let kind = match raw {
            "true" | "false" | "null" | "NaN" | "Infinity" | "-Infinity" => Kind::Raw,
            _ if digit && raw.bytes().all(|byte| !byte.is_ascii_alphabetic() || matches!(byte, b'e' | b'E')) => {
                Kind::Number
            }
            _ => return None,
        };
        Some(Value { raw, kind })
    }
}
