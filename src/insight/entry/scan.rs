//! Small steps over the bytes of a line. Every position that these give is at an ASCII byte or at the end, and so at a boundary of characters.

/// The number of ASCII digits from `at` on.
pub(super) fn digits(bytes: &[u8], at: usize) -> usize {
    run(bytes, at, |byte| byte.is_ascii_digit())
}

/// The number of spaces and tabs from `at` on.
pub(super) fn blanks(bytes: &[u8], at: usize) -> usize {
    run(bytes, at, |byte| matches!(byte, b' ' | b'\t'))
}

/// The number of bytes from `at` on for which `holds`.
pub(super) fn run(bytes: &[u8], at: usize, holds: impl Fn(u8) -> bool) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|byte| holds(**byte)).count()
}

/// The byte at `at`; 0 behind the end.
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// True where `bytes` go on with `text` at `at`.
pub(super) fn has(bytes: &[u8], at: usize, text: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(text))
}

/// Where the word that begins at `at` ends: at a space, a tab, or the end.
pub(super) fn word_end(bytes: &[u8], at: usize) -> usize {
    at + run(bytes, at, |byte| !matches!(byte, b' ' | b'\t'))
}

/// Where `wanted` stands at or after `at`, within `reach` bytes.
pub(super) fn find(bytes: &[u8], at: usize, wanted: u8, reach: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let rest = &rest[..rest.len().min(reach)];
    rest.iter().position(|byte| *byte == wanted).map(|found| at + found)
}

/// The text between two positions; empty where they are none of `line`.
pub(super) fn cut(line: &str, from: usize, to: usize) -> &str {
    line.get(from..to).unwrap_or_default()
}

/// The text from a position on; empty where it is none of `line`.
pub(super) fn rest(line: &str, from: usize) -> &str {
    line.get(from..).unwrap_or_default()
}

/// Where the quoted text that begins at `at` (after its quote) ends: at its closing quote. A backslash takes the next byte along.
pub(super) fn quote_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Letters, digits and what else names of loggers, threads, modules and programs are made of.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'$' | b':' | b'/' | b'#' | b'@')
}
