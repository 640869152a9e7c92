//! Values that are named in the text itself: `password=…`, `"token": "…"`, `--api-key …`, `Authorization: Bearer …`.
//!
//! Promise: each byte is looked at a bounded number of times, whatever the line is.

use std::{ops::Range, sync::LazyLock};

use aho_corasick::AhoCorasick;

use super::names::{self, Name};

/// Names and values with what stands between them are sought around these.
const WORDS: [&str; 10] = ["pass", "pwd", "secret", "token", "key", "auth", "cookie", "dsn", "cred", "jwt"];

/// Without one of these in a line, in whatever case, it has no such value.
pub(super) fn hints() -> impl Iterator<Item = &'static str> {
    WORDS.into_iter().chain(["bearer"])
}

static HINTS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = AhoCorasick::builder().ascii_case_insensitive(true).build(hints());
    words.expect("eleven short words make an automaton")
});

/// What is longer and no secret has no secrets in it.
const LONGEST_PLAIN: usize = 256;

/// A longer name is no name.
const LONGEST_NAME: usize = 64;

/// Where values stand in a line, and what they are.
pub(super) fn values(line: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut found = Vec::new();
    let mut done = 0;
    for hint in HINTS.find_iter(line) {
        if hint.start() < done {
            continue;
        }
        let name = name_around(line.as_bytes(), hint.range());
        // What was gone over already is not gone over again.
        done = name.end;
        match value_of(line, name) {
            Some((value, Some(label))) => {
                done = done.max(value.end);
                found.push((value, label));
            }
            // A long one is not gone over again for each name in it.
            Some((value, None)) if value.len() > LONGEST_PLAIN => done = done.max(value.end),
            Some((_, None)) | None => {}
        }
    }
    found
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn name_around(bytes: &[u8], Range { mut start, mut end }: Range<usize>) -> Range<usize> {
    let (least, most) = (start.saturating_sub(LONGEST_NAME), bytes.len().min(end + LONGEST_NAME));
    while start > least && is_of_name(bytes[start - 1]) {
        start -= 1;
    }
    while end < most && is_of_name(bytes[end]) {
        end += 1;
    }
    start..end
}

/// The value behind a name, and what it is where it is a secret.
fn value_of(line: &str, name: Range<usize>) -> Option<(Range<usize>, Option<&'static str>)> {
    let text = line[name.clone()].trim_end_matches('.');
    let mut at = Cursor { bytes: line.as_bytes(), at: name.start + text.len() };
    if text.eq_ignore_ascii_case("bearer") {
        return at.blanks().then(|| at.credentials()).flatten().map(|value| (value, Some("authorization")));
    }
    let is_flag = text.starts_with("--");
    let before = name.start.checked_sub(1).map(|before| at.bytes[before]);
    let sign = at.sign(is_flag, before == Some(b'<'))?;
    let known = names::of(text)?;
    let is = |names: [&str; 2]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    let is_cookie = is(["cookie", "set-cookie"]);
    let header =
        matches!(sign, Sign::Colon | Sign::Equals) && (is_cookie || is(["authorization", "proxy-authorization"]));
    let value = if header { at.header(is_cookie)? } else { at.value(sign)? };
    let text = &line[value.clone()];
    let is_secret = match known {
        Name::Strong(_) => !is_nothing(text) && !text.is_empty(),
        Name::Weak(_) if header => !text.is_empty(),
        Name::Weak(label) => match sign {
            Sign::Flag => !is_nothing(text) && !is_number(text),
            Sign::Equals if label != "key" => text.len() >= 4 && !is_nothing(text) && !is_number(text),
            Sign::Equals | Sign::Tag | Sign::Colon => looks_secret(text),
            Sign::Quoted => !is_nothing(text) && !is_number(text),
        },
    };
    let label = (is_secret && !is_reference(text)).then_some(known.label());
    Some((value, label))
}

/// What stands between a name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// `=`, `:=`, `=>`.
    Equals,
    /// `:`.
    Colon,
    /// The name is in quotes and a colon follows: JSON.
    Quoted,
    /// A space behind `--name`.
    Flag,
    /// `<name>`.
    Tag,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Colours, which may stand anywhere.
    fn colours(&mut self) {
        while self.peek() == Some(0x1b) && self.bytes.get(self.at + 1) == Some(&b'[') {
            let rest = &self.bytes[self.at + 2..];
            let Some(end) = rest.iter().take(32).position(|byte| matches!(byte, b'@'..=b'~')) else { return };
            self.at += end + 3;
        }
    }

    /// Spaces and colours; whether there was one.
    fn blanks(&mut self) -> bool {
        let begin = self.at;
        loop {
            let before = self.at;
            self.colours();
            while matches!(self.peek(), Some(b' ' | b'\t')) {
                self.at += 1;
            }
            if self.at == before {
                return self.at > begin;
            }
        }
    }

    /// A quotation mark, within quotation marks with backslashes before it.
    fn quote(&mut self) -> Option<(usize, u8)> {
        let begin = self.at;
        while self.at - begin < 8 && self.takes(b'\\') {}
        let mark = self.peek().filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
        let Some(mark) = mark else {
            self.at = begin;
            return None;
        };
        let slashes = self.at - begin;
        self.at += 1;
        Some((slashes, mark))
    }

    fn sign(&mut self, is_flag: bool, is_tag: bool) -> Option<Sign> {
        if is_tag && self.takes(b'>') {
            return Some(Sign::Tag);
        }
        self.colours();
        let quoted = self.quote().is_some();
        let spaced = self.blanks();
        if is_flag && quoted && self.takes(b',') {
            self.blanks();
            return Some(Sign::Flag);
        }
        if self.takes(b'=') {
            if self.peek() == Some(b'=') {
                return None;
            }
            self.takes(b'>');
            self.blanks();
            return Some(if quoted { Sign::Quoted } else { Sign::Equals });
        }
        if self.takes(b':') {
            if self.peek() == Some(b':') || self.bytes[self.at..].starts_with(b"//") {
                return None;
            }
            let assigned = self.takes(b'=');
            self.blanks();
            return Some(if quoted {
                Sign::Quoted
            } else if assigned {
                Sign::Equals
            } else {
                Sign::Colon
            });
        }
        (is_flag && spaced && self.peek() != Some(b'-')).then_some(Sign::Flag)
    }

    fn value(&mut self, sign: Sign) -> Option<Range<usize>> {
        let begin = self.at;
        if sign == Sign::Tag {
            return self.until(|byte| byte == b'<').filter(|value| self.bytes.get(value.end) == Some(&b'<'));
        }
        if let Some((slashes, mark)) = self.quote() {
            return Some(self.within(slashes, mark));
        }
        self.at = begin;
        // Lists and objects have names of their own.
        if matches!(self.peek(), Some(b'{' | b'[' | b'(')) && sign != Sign::Flag {
            return None;
        }
        self.until(|byte| {
            byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'&' | b'"' | b'\'' | b'}' | b']' | b'<' | 0x1b)
        })
    }

    /// Up to the mark that closes: one with as many backslashes before it.
    fn within(&mut self, slashes: usize, mark: u8) -> Range<usize> {
        let begin = self.at;
        let mut row = 0;
        while let Some(byte) = self.peek() {
            if byte == mark && row <= slashes {
                return begin..self.at - row;
            }
            row = if byte == b'\\' { row + 1 } else { 0 };
            if slashes == 0 && row == 2 {
                row = 0;
            }
            self.at += 1;
        }
        begin..self.at
    }

    fn until(&mut self, ends: impl Fn(u8) -> bool) -> Option<Range<usize>> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
        (self.at > begin).then_some(begin..self.at)
    }

    /// The value of a header: all but the word that says of which kind it is.
    fn header(&mut self, is_cookie: bool) -> Option<Range<usize>> {
        self.quote();
        if is_cookie {
            return self.until(|byte| matches!(byte, b'"' | b'\'' | b'\\' | 0x1b));
        }
        let word = self.until(|byte| !is_of_name(byte))?;
        let kinds: [&[u8]; 7] =
            [b"bearer", b"basic", b"digest", b"token", b"negotiate", b"apikey", b"aws4-hmac-sha256"];
        let is_kind = kinds.iter().any(|kind| self.bytes[word.clone()].eq_ignore_ascii_case(kind));
        if is_kind && self.blanks() {
            let lists = self.bytes[word].eq_ignore_ascii_case(b"digest");
            let ends = |byte: u8| matches!(byte, b'\'' | b'\\' | 0x1b) || (!lists && (byte == b'"' || byte == b' '));
            return self.until(ends);
        }
        self.at = word.start;
        self.until(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b',' | 0x1b))
    }

    /// What may stand behind `Bearer`, if it is long enough to be no word.
    fn credentials(&mut self) -> Option<Range<usize>> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        self.until(|byte| !is_part(byte)).filter(|value| value.len() >= 16)
    }
}

/// Words that stand for no value.
fn is_nothing(value: &str) -> bool {
    let words =
        ["true", "false", "null", "none", "nil", "undefined", "yes", "no", "on", "off", "empty", "unset", "\"\""];
    words.iter().any(|word| value.eq_ignore_ascii_case(word)) || value.bytes().all(|byte| byte == b'*')
}

fn is_number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'/' | b'%'))
}

/// A variable that is put in elsewhere: `$TOKEN`, `${TOKEN}`, `$(cat token)`.
fn is_reference(value: &str) -> bool {
    let Some(name) = value.strip_prefix('$') else { return false };
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(['{', '('])
        || (!name.is_empty() && name.bytes().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit()))
}

/// Not a word of prose, a path, an address.
fn looks_secret(value: &str) -> bool {
    let has = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
    value.len() >= 8
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && !value.starts_with(['/', '.', '~'])
        && !value.contains("://")
        && !value.contains(':')
}
