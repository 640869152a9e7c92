//! The tokens of a masked line: values, words, and the delimiters between them.

use super::{
    bytes::{DELIMITER, DIGIT, LETTER, VALUE, count, hash, is, mix},
    values::is_unit,
};

/// What a token is. The order is that of how likely the token is to be a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// Space, bracket, quote, `:`, `,` …: the shape of a line.
    Delimiter,
    /// A word of a language, also one in capitals.
    Word,
    /// A name: dotted, with `_`, `-`, `/`, in camel case, with a masked part.
    Name,
    /// A name with a digit or two, of which masking could not tell whether they are a value.
    Numbered,
    /// A value.
    Value,
}

/// A token of a masked line: `line[start..start + length]`, followed by `trail` bytes that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// Of the text; of a name with digits, too, as it is written.
    pub(super) hash: u64,
    /// Where it begins.
    pub(super) start: u16,
    /// How long it is.
    pub(super) length: u16,
    /// What follows a value and is part of it: more values of a list, a unit.
    pub(super) trail: u16,
    /// What it is.
    pub(super) kind: Kind,
}

impl Token {
    /// Its text.
    pub(super) fn text<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let start = usize::from(self.start);
        &line[start..start + usize::from(self.length)]
    }

    /// What belongs to it.
    pub(super) fn trail<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let start = usize::from(self.start) + usize::from(self.length);
        &line[start..start + usize::from(self.trail)]
    }

    /// Whether it is no delimiter.
    pub(super) fn is_text(&self) -> bool {
        self.kind != Kind::Delimiter
    }
}

/// A value.
pub(super) fn any(start: usize) -> Token {
    Token { hash: hash(&[VALUE]), start: start as u16, length: 1, trail: 0, kind: Kind::Value }
}

/// Cuts a masked line into at most `limit` tokens; whatever is left then becomes one value, in the line as well.
pub(super) fn tokens(line: &mut Vec<u8>, limit: usize, out: &mut Vec<Token>) {
    out.clear();
    let mut at = 0;
    while at < line.len() {
        if out.len() + 1 >= limit {
            line.truncate(at);
            line.push(VALUE);
            out.push(any(at));
            return;
        }
        if is_delimiter(line[at]) {
            out.push(token(line, at, 1, Kind::Delimiter));
            at += 1;
            continue;
        }
        let length = line[at..].iter().position(|byte| is_delimiter(*byte)).unwrap_or(line.len() - at);
        let core = core(&line[at..at + length]);
        let kind = kind(&line[at..at + core]);
        let mut found = token(line, at, core, kind);
        at += core;
        if kind == Kind::Value {
            let trail = trail(&line[at..]);
            found.trail = trail as u16;
            at += trail;
        }
        out.push(found);
    }
}

fn token(line: &[u8], start: usize, length: usize, kind: Kind) -> Token {
    of_text(&line[start..start + length], start, kind)
}

/// A token with this text.
pub(super) fn of_text(text: &[u8], start: usize, kind: Kind) -> Token {
    Token { hash: hash(text), start: start as u16, length: text.len() as u16, trail: 0, kind }
}

fn is_delimiter(byte: u8) -> bool {
    byte == b' ' || byte == b':' || is(byte, DELIMITER)
}

/// The length of a word without the full stop at its end, which is then a token of its own.
fn core(word: &[u8]) -> usize {
    let end = word.iter().rev().take_while(|byte| matches!(byte, b'.' | b'!' | b'?')).count();
    if end == word.len() { word.len() } else { word.len() - end }
}

/// What a word is.
pub(super) fn kind(word: &[u8]) -> Kind {
    if word == [VALUE] {
        return Kind::Value;
    }
    if word.contains(&VALUE) {
        return Kind::Name;
    }
    if count(word, DIGIT) > 0 {
        return Kind::Numbered;
    }
    if count(word, LETTER) == 0 {
        return Kind::Delimiter;
    }
    let joined = word.iter().any(|byte| matches!(byte, b'.' | b'_' | b'/' | b'\\' | b'@' | b'$' | b'~' | b'-' | b'#'));
    let capitals = word.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let camel =
        capitals > 0 && word.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let all_capitals = capitals > 0 && capitals == count(word, LETTER);
    if (joined && !all_capitals) || camel { Kind::Name } else { Kind::Word }
}

/// How much after a value belongs to it: `, <*>, <*>` of a list, ` KB`, ` bytes (<*> KB)`.
fn trail(rest: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let more = list_item(&rest[at..]).or_else(|| unit(&rest[at..])).or_else(|| size_again(&rest[at..]));
        match more {
            Some(more) => at += more,
            None => return at,
        }
    }
}

/// A separator and one more value.
fn list_item(rest: &[u8]) -> Option<usize> {
    let separator = match rest {
        [b',' | b';', b' ', VALUE, ..] => 2,
        [b',' | b';' | b' ' | b'|' | b'/', VALUE, ..] => 1,
        _ => return None,
    };
    ends(rest, separator + 1).then_some(separator + 1)
}

/// Whether a token ends here.
fn ends(rest: &[u8], at: usize) -> bool {
    rest.get(at).is_none_or(|byte| {
        is_delimiter(*byte) || (*byte == b'.' && rest.get(at + 1).is_none_or(|next| is_delimiter(*next)))
    })
}

fn unit(rest: &[u8]) -> Option<usize> {
    let [b' ', word @ ..] = rest else { return None };
    let length = word.iter().position(|byte| is_delimiter(*byte) || *byte == b'.').unwrap_or(word.len());
    (is_unit(&word[..length]) && ends(word, length)).then_some(1 + length)
}

/// The same size in another unit, in brackets: `1165 bytes (1.13 KB)`.
fn size_again(rest: &[u8]) -> Option<usize> {
    let inner = rest.strip_prefix(&[b' ', b'(', VALUE])?;
    let unit = unit(inner)?;
    (inner.get(unit) == Some(&b')')).then_some(3 + unit + 1)
}

/// The hash of the form of a line: its delimiters, and where text stands.
pub(super) fn shape(tokens: &[Token]) -> u64 {
    tokens.iter().fold(1, |shape, token| mix(shape, if token.is_text() { 0 } else { token.hash }))
}

/// The hash of what a line is.
pub(super) fn identity(tokens: &[Token]) -> u64 {
    tokens.iter().fold(2, |identity, token| mix(identity, token.hash))
}
