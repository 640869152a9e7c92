//! What the lines of tracebacks look like, in the languages that write them.
//!
//! Promise: each question looks at one line, and at its start. Never: an answer from one line alone whether it belongs to another; that is the joiner's.

use super::{
    scan::{blanks, byte, digits, has, run, word_end},
    stamp::stamp,
    words::{inside, is_exception, marker},
};

/// The first line of a traceback of Python (and of Ruby, once).
pub(super) const TRACEBACK: &[u8] = b"Traceback (most recent call last)";

/// The first line of that of several exceptions at once, behind two spaces.
pub(super) const GROUP: &[u8] = b"+ Exception Group Traceback";

/// The words between two tracebacks of Python of which one led to the other.
pub(super) fn is_chain(text: &[u8]) -> bool {
    text.starts_with(b"During handling of the above exception")
        || text.starts_with(b"The above exception was the direct cause")
}

/// The last line of a traceback of Python: the name of an exception, alone or with what it says.
pub(super) fn is_python_end(text: &[u8]) -> bool {
    let end = run(text, 0, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
    let is_name = text.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_');
    is_name && (end == text.len() || has(text, end, b": ") || (byte(text, end) == b':' && end + 1 == text.len()))
}

/// A place of Ruby: ``app.rb:3:in `show'``.
pub(super) fn is_ruby_place(text: &[u8]) -> bool {
    let word = &text[..word_end(text, 0)];
    let Some(stem) = word.strip_suffix(b":in") else { return false };
    stem.iter().rev().take_while(|byte| byte.is_ascii_digit()).count() > 0
}

/// A line of a goroutine that is not indented.
pub(super) fn is_go(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 7] = [
        b"goroutine ",
        b"created by ",
        b"[signal ",
        b"panic: ",
        b"runtime: ",
        b"runtime stack:",
        b"...additional frames",
    ];
    if STARTS.iter().any(|start| text.starts_with(start)) {
        return true;
    }
    let name = run(text, 0, |byte| !matches!(byte, b' ' | b'\t'));
    let call = text.iter().take(name).any(|byte| *byte == b'(') && text.ends_with(b")");
    let register = name <= 6 && has(text, name + blanks(text, name), b"0x");
    call || register
}

/// The start of a line that tells of a goroutine.
pub(super) fn is_goroutine(text: &[u8]) -> bool {
    let end = 10 + digits(text, 10.min(text.len()));
    text.starts_with(b"goroutine ") && end > 10 && has(text, end, b" [")
}

/// A line with a name of an exception and a colon, or such a name alone.
pub(super) fn is_exception_line(text: &[u8]) -> bool {
    let end = run(text, 0, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b':' | b'\\'));
    let name = &text[..end];
    let name = name.strip_suffix(b":").unwrap_or(name);
    let ends = name.len() < end || end == text.len() || has(text, end, b" [ERR_");
    ends && name.len() > 5 && is_exception(name)
}

/// A line of a stack that is indented wherever it occurs: `at …`, `File "…", line 3`, `from x.rb:3`, `... 12 more`, `--> src/x.rs:3`.
pub(super) fn is_frame(text: &[u8]) -> bool {
    match text.first() {
        Some(b'a') => text.starts_with(b"at "),
        Some(b'F') => text.starts_with(b"File \""),
        Some(b'f') => text.starts_with(b"from "),
        Some(b'.') => text.starts_with(b"... ") && (text.ends_with(b" more") || text.ends_with(b" omitted")),
        Some(b'-') => text.starts_with(b"--> ") || text.starts_with(b"--- End of "),
        Some(b'S') => text.starts_with(b"Suppressed: "),
        Some(b'C') => text.starts_with(b"Caused by: "),
        Some(_) | None => false,
    }
}

/// The place that Node writes before the line of code that threw: `/app/server.js:12`, `node:internal/errors:496`.
pub(super) fn is_node_place(text: &[u8]) -> bool {
    let starts =
        text.starts_with(b"/") || text.starts_with(b"file://") || text.starts_with(b"node:") || has(text, 1, b":\\");
    let line = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let stem = &text[..text.len() - line];
    starts && line > 0 && stem.ends_with(b":") && stem.len() > 4 && !text.contains(&b' ')
}

/// The marks below a piece of code: `^`, `^^^^`, `~~^~~`.
pub(super) fn is_caret(text: &[u8]) -> bool {
    text.contains(&b'^') && text.iter().all(|byte| matches!(byte, b'^' | b'~' | b' ' | b'\t'))
}

/// `12 | let x = …`, as compilers show code.
pub(super) fn is_code(text: &[u8]) -> bool {
    let end = digits(text, 0);
    let bar = end + run(text, end, |byte| byte == b' ');
    end > 0 && bar > end && byte(text, bar) == b'|'
}

/// True where a text begins with a time or a level, and so is a line of its own.
pub(super) fn has_head(text: &[u8]) -> bool {
    match text.first() {
        Some(b'0'..=b'9') => stamp(text).is_some(),
        Some(b'A'..=b'Z') => marker(text, 0, false).is_some() || stamp(text).is_some() || is_asked(text),
        Some(b'[') => {
            let inner = &text[1..];
            let close = run(inner, 0, |byte| byte != b']').min(24);
            stamp(inner).is_some()
                || inner
                    .get(..close)
                    .and_then(|word| std::str::from_utf8(word).ok())
                    .is_some_and(|word| inside(word, false).is_some())
        }
        Some(0x80..) => SYMBOLS.iter().any(|symbol| text.starts_with(symbol.as_bytes())),
        Some(_) | None => false,
    }
}

/// What tools of JavaScript put before each of their lines, behind a space.
const SYMBOLS: [&str; 9] = ["✓ ", "✔ ", "⨯ ", "✘ ", "✗ ", "✖ ", "⚠ ", "▲ ", "○ "];

/// `GET /x`.
fn is_asked(text: &[u8]) -> bool {
    let method = run(text, 0, |byte| byte.is_ascii_uppercase());
    (3..=7).contains(&method) && has(text, method, b" /")
}
