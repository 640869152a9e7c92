//! Quoted texts as they were before they were quoted.

use std::borrow::Cow;

/// `raw` (without its quotes) with its escapes undone. What is no valid escape, and every control character but line feed and tab, stays as it is
/// written, so that a text never gets a control sequence that its line has not.
pub(in crate::insight::entry) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', raw.as_bytes()) else { return Cow::Borrowed(raw) };
    let mut out = String::with_capacity(raw.len());
    let (mut done, mut next) = (0, Some(first));
    while let Some(at) = next {
        out.push_str(&raw[done..at]);
        let len = if let Some((character, len)) = one(&raw.as_bytes()[at..]) {
            out.push(character);
            len
        } else {
            out.push('\\');
            1
        };
        // A backslash that stayed takes nothing along, but the one of `\\` does.
        done = at + len;
        next = memchr::memchr(b'\\', &raw.as_bytes()[done..]).map(|more| done + more);
    }
    out.push_str(&raw[done..]);
    Cow::Owned(out)
}

/// The character that an escape stands for, and how many bytes the escape has.
fn one(bytes: &[u8]) -> Option<(char, usize)> {
    let character = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'\'' => '\'',
        b'n' => '\n',
        b't' => '\t',
        b'u' => return unicode(bytes),
        _ => return None,
    };
    Some((character, 2))
}

/// `\u00e9`, or two of them for a character beyond the first plane.
fn unicode(bytes: &[u8]) -> Option<(char, usize)> {
    let high = hex(bytes, 2)?;
    let (code, len) = match high {
        0xd800..=0xdbff => {
            let low = bytes.get(6..8).filter(|next| *next == b"\\u").and_then(|_| hex(bytes, 8))?;
            let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            (0x1_0000 + ((high - 0xd800) << 10) + low, 12)
        }
        _ => (high, 6),
    };
    let character = char::from_u32(code)?;
    (!character.is_control() || matches!(character, '\n' | '\t')).then_some((character, len))
}

fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}
