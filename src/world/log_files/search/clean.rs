//! What of a line is matched: its text without what a terminal would act on.
//!
//! Promise: the same text as [`text::plain`], which is asked wherever more than colours and tabs is to be taken out. Never: a line feed in it.

use std::borrow::Cow;

use crate::model::text::{self, TAB};

const ESC: u8 = 0x1b;

/// Nothing in it that is changed: printable ASCII, and line feeds between lines.
pub(in crate::world::log_files) fn is_plain(bytes: &[u8]) -> bool {
    // In blocks and without a branch, so that it is done many bytes at a time.
    let other = |byte: &u8| u8::from(!matches!(byte, b' '..=b'~' | b'\n'));
    bytes.chunks(256).all(|block| block.iter().fold(0, |others, byte| others | other(byte)) == 0)
}

/// One line as it is matched.
pub(in crate::world::log_files) fn clean(line: &str) -> Cow<'_, str> {
    let bytes = line.as_bytes();
    if bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(line);
    }
    quickly(line).map_or_else(|| text::plain(line), Cow::Owned)
}

/// Takes out colours and tabs; none where there is more.
fn quickly(line: &str) -> Option<String> {
    let bytes = line.as_bytes();
    let is_ascii = line.is_ascii();
    let is_other = |(at, byte): (usize, &u8)| match *byte {
        b'\t' | ESC | b' '..=b'~' => false,
        // Control characters in two bytes.
        0xc2 => bytes.get(at + 1).is_none_or(|next| *next < 0xa0),
        0x80.. => false,
        _ => true,
    };
    if bytes.iter().enumerate().any(is_other) {
        return None;
    }
    let mut clean = String::with_capacity(line.len() + TAB);
    let mut done = 0;
    for at in memchr::memchr2_iter(ESC, b'\t', bytes) {
        if bytes[at] == ESC {
            let length = colour(&bytes[at..])?;
            clean.push_str(&line[done..at]);
            done = at + length;
        } else if is_ascii {
            clean.push_str(&line[done..at]);
            clean.extend(std::iter::repeat_n(' ', TAB - clean.len() % TAB));
            done = at + 1;
        }
    }
    clean.push_str(&line[done..]);
    if is_ascii {
        return Some(clean);
    }
    Some(match text::plain(&clean) {
        Cow::Borrowed(_) => clean,
        Cow::Owned(cleaner) => cleaner,
    })
}

/// How long the sequence is that begins here, if it is one for colours.
fn colour(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"\x1b[")?;
    let parameters = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')).count();
    (rest.get(parameters) == Some(&b'm')).then_some(parameters + 3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::clean;
    use crate::model::text::plain;

    #[test]
    fn colours_and_tabs_are_taken_out_as_everywhere() {
        for line in [
            "a\tb\x1b[1;31mred\x1b[0m\tend",
            "\x1b[38:2::1:2:3mé\x1b[m\tö",
            "\x1b[31",
            "\x1b]0;title\x07shown",
            "\u{9b}31mred",
            "\u{9d}title\x1b[0m shown",
            "one\rtwo",
            "\t\t",
            "é\x1b[0m\u{301}\u{301}",
            "\x1b[1mna\u{200b}me",
        ] {
            assert_eq!(clean(line), plain(line), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_what_a_screen_shows(line in "([ -~]{0,4}|\t|\x1b\\[[0-9;:]{0,4}m|\x1b\\[|\x1b|[\u{80}-\u{a1}é漢\u{301}\u{200b}\r\x07]){0,12}") {
            prop_assert_eq!(clean(&line), plain(&line));
        }
    }
}
