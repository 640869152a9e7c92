//! Lines of `key=value` pairs, and pairs at the end of a message.
//!
//! Promise: prose with an equals sign in it is no such line: there must be two pairs, the first at the start, and more pairs than other words. Never: looks at
//! a line twice.

use super::{
    Found,
    json::{JsonValue, Kind},
    roles::{Role, Roles},
    scan::{byte, cut, quote_end, run, word_end},
    sink::Sink,
};

/// A pair, or a word that is none.
struct Token<'a> {
    start: usize,
    end: usize,
    pair: Option<(&'a str, JsonValue<'a>)>,
}

/// Reads a line that is made of pairs.
pub(super) fn logfmt<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let first = token(line, 0)?;
    first.pair?;
    let mark = sink.count();
    let mut roles = Roles::new(sink, mark);
    let (mut pairs, mut words, mut at) = (0_usize, 0_usize, 0);
    while let Some(token) = token(line, at) {
        at = token.end;
        if let Some((key, value)) = token.pair {
            pairs += 1;
            let role = roles.of_key(key, value.kind).map(usual);
            roles.offer(role, value, || key.into());
        } else {
            words += 1;
            // It is prose, and will not become pairs any more.
            if words > pairs + 8 {
                break;
            }
        }
    }
    let (found, sink) = roles.finish(line);
    if pairs < 2 || words >= pairs {
        sink.cut(mark);
        return None;
    }
    Some(Found { format: "logfmt", ..found })
}

/// In pairs, `t` is as usual for a time as `time` is.
fn usual(role: Role) -> Role {
    if role == Role::Time(1) { Role::Time(0) } else { role }
}

/// The fields that are the end of a message, at least `least` of them, and the message before them (all of it where there is nothing before them).
pub(super) fn tail<'a, S: Sink<'a>>(message: &'a str, least: usize, sink: &mut S) -> Option<&'a str> {
    memchr::memchr(b'=', message.as_bytes())?;
    let (mut at, mut start, mut pairs) = (0, 0, 0);
    while let Some(token) = token(message, at) {
        at = token.end;
        match token.pair {
            Some(_) => {
                if pairs == 0 {
                    start = token.start;
                }
                pairs += 1;
            }
            None => pairs = 0,
        }
    }
    if pairs < least {
        return None;
    }
    if S::WANTED {
        let mut at = start;
        while let Some(token) = token(message, at) {
            at = token.end;
            if let Some((key, value)) = token.pair {
                sink.add(key, value.text());
            }
        }
    }
    Some(if start == 0 { message } else { message[..start].trim_ascii_end() })
}

/// The pair at a place of a line, and where it ends.
pub(super) fn pair(line: &str, at: usize) -> Option<(&str, &str, usize)> {
    let token = token(line, at)?;
    let (key, value) = token.pair?;
    (token.start == at).then_some((key, value.raw, token.end))
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/' | b'#')
}

/// The next word of a line, at or after a place.
fn token(line: &str, at: usize) -> Option<Token<'_>> {
    let bytes = line.as_bytes();
    let start = at + run(bytes, at, |byte| matches!(byte, b' ' | b'\t'));
    if start >= bytes.len() {
        return None;
    }
    let equals = start + run(bytes, start, is_key_byte);
    let word = |end| Some(Token { start, end, pair: None });
    if byte(bytes, equals) != b'=' || equals == start || !is_head(bytes[start]) {
        return word(word_end(bytes, equals));
    }
    let key = cut(line, start, equals);
    let from = equals + 1;
    if byte(bytes, from) == b'"' {
        let Some(end) = quote_end(bytes, from + 1) else { return word(bytes.len()) };
        if !matches!(byte(bytes, end + 1), b' ' | b'\t' | 0) {
            return word(word_end(bytes, end + 1));
        }
        let value = JsonValue { raw: cut(line, from + 1, end), kind: Kind::Escaped };
        return Some(Token { start, end: end + 1, pair: Some((key, value)) });
    }
    let end = word_end(bytes, from);
    let value = cut(line, from, end);
    // `a=1, b=2` is how programs write sentences; `a==b` and `f=>x` are code.
    if value.ends_with([',', ';']) || value.starts_with(['=', '>']) {
        return word(end);
    }
    Some(Token { start, end, pair: Some((key, JsonValue { raw: value, kind: Kind::Text })) })
}

fn is_head(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@')
}
