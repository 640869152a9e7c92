//! Typed masking: what is surely a value becomes one byte before anything else looks at the line, so that most lines are known by their masked form.
//!
//! Promise: one pass over the bytes, no allocation besides the buffer. Never: a rule that is about one program.

use super::{
    bytes::{DELIMITER, DIGIT, MARK, SPACE, VALUE, class, is},
    location::location,
    values::{ends_part, is_value, is_value_part, is_value_word},
};
use crate::insight::entry::stamp_length;

/// Writes the masked form of a line: values are [`VALUE`], runs of white space are one space.
pub(super) fn mask(line: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut at = 0;
    let mut gap = false;
    while let Some(&byte) = line.get(at) {
        let kind = class(byte);
        if kind & SPACE != 0 {
            gap = true;
            at += 1;
            continue;
        }
        if gap && !out.is_empty() {
            out.push(b' ');
        }
        gap = false;
        if kind & DELIMITER != 0 {
            at += delimiter(&line[at..], out);
        } else {
            at += chunk(&line[at..], out);
        }
    }
}

/// A delimiter; `<1 sec` is a value that begins with one.
fn delimiter(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let less =
        rest[0] == b'<' && out.last().is_none_or(|byte| *byte == b' ') && rest.get(1).is_some_and(u8::is_ascii_digit);
    let closed = less && rest.iter().skip(1).find(|byte| !byte.is_ascii_digit()).is_some_and(|byte| *byte == b'>');
    if !less || closed {
        out.push(rest[0]);
    }
    1
}

/// The chunk at the start of `rest`; says how many bytes were taken.
fn chunk(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let mut length = 0;
    let mut seen = 0;
    for byte in rest {
        let kind = class(*byte);
        if kind & (SPACE | DELIMITER) != 0 {
            break;
        }
        seen |= kind;
        length += 1;
    }
    let chunk = &rest[..length];
    if seen & (DIGIT | MARK) != 0 {
        return marked(rest, length, seen, out);
    }
    if length == 3
        && let Some(taken) = stamp_length(rest)
    {
        out.push(VALUE);
        return taken;
    }
    let core = without_end(chunk);
    if is_value_word(&chunk[..core]) || (chunk[..core].contains(&b'.') && is_value(&chunk[..core])) {
        out.push(VALUE);
        out.extend_from_slice(&chunk[core..]);
    } else {
        out.extend_from_slice(chunk);
    }
    length
}

/// How long a chunk is without the punctuation that ends a sentence.
fn without_end(chunk: &[u8]) -> usize {
    let mut core = chunk.len();
    while core > 1 && matches!(chunk[core - 1], b'.' | b':' | b'!' | b'?' | b',' | b';') {
        core -= 1;
    }
    core
}

/// A chunk with digits or with marks of addresses and paths.
fn marked(rest: &[u8], length: usize, seen: u8, out: &mut Vec<u8>) -> usize {
    if let Some(colon) = before_path(&rest[..length]) {
        piece(&rest[..colon], out);
        out.push(b':');
        let after = colon + 1;
        return after + marked(&rest[after..], length - after, seen, out);
    }
    if seen & MARK != 0
        && let Some(end) = location(rest, length)
    {
        let core = without_end(&rest[..end]);
        out.push(VALUE);
        out.extend_from_slice(&rest[core..end]);
        return end;
    }
    if rest[0].is_ascii_digit()
        && let Some(end) = stamp_length(rest)
    {
        out.push(VALUE);
        return end;
    }
    let core = without_end(&rest[..length]);
    piece(&rest[..core], out);
    out.extend_from_slice(&rest[core..length]);
    length
}

/// The colon of `path:/var/log`; that of a URL, a drive or an address is none.
fn before_path(chunk: &[u8]) -> Option<usize> {
    let colon = memchr::memmem::find(chunk, b":/")?;
    let name = &chunk[..colon];
    (colon > 1 && chunk.get(colon + 2).is_some_and(|byte| *byte != b'/') && !name.contains(&b'/')).then_some(colon)
}

/// A chunk without the punctuation at its end: a value, or several pieces around colons.
fn piece(chunk: &[u8], out: &mut Vec<u8>) {
    let mut rest = chunk;
    loop {
        if is_value_word(rest) || is_value(rest) || location(rest, rest.len()).is_some() {
            out.push(VALUE);
            return;
        }
        let Some(colon) = memchr::memchr(b':', rest) else { break };
        parts(&rest[..colon], out);
        out.push(b':');
        rest = &rest[colon + 1..];
    }
    parts(rest, out);
}

/// The parts of a name: what stands between `.`, `-` and the like. Values that these join are one: Khan et al., ICSE 2022, rule *Dot-separated Variables*.
fn parts(name: &[u8], out: &mut Vec<u8>) {
    if is_value_word(name) || is_value(name) {
        out.push(VALUE);
        return;
    }
    let mut at = 0;
    let mut value = false;
    while let Some(&byte) = name.get(at) {
        if ends_part(byte) {
            let joins =
                value && matches!(byte, b'.' | b'-' | b'+') && name.get(at + 1).is_some_and(|byte| is(*byte, DIGIT));
            if !joins {
                out.push(byte);
                value = false;
            }
            at += 1;
            continue;
        }
        let length = part_length(&name[at..]);
        let part = &name[at..at + length];
        if is_value_part(part) {
            if !value {
                out.push(VALUE);
            }
            value = true;
        } else {
            out.extend_from_slice(part);
            value = false;
        }
        at += length;
    }
}

/// Up to the next joint; a minus sign after `_` belongs to the number: `blk_-160`.
fn part_length(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        let minus =
            byte == b'-' && at > 0 && rest[at - 1] == b'_' && rest.get(at + 1).is_some_and(|next| is(*next, DIGIT));
        if ends_part(byte) && !minus {
            break;
        }
        at += 1;
    }
    at
}
