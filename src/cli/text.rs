//! Text for lines of output, over `model::text`: nothing that came from a service or a file reaches a terminal otherwise.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// True for what may move the cursor, change the terminal, or deceive the eye.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}' | '\u{fff9}'..='\u{fffb}'
        )
}

/// Walks over the escape sequence that begins `rest` (which starts with ESC or a C1 control); its length in bytes.
fn sequence_len(rest: &str) -> usize {
    let mut chars = rest.char_indices();
    let Some((_, first)) = chars.next() else { return 0 };
    let introducer = if first == '\x1b' { chars.next().map(|(_, c)| c) } else { c1_introducer(first) };
    match introducer {
        Some('[') => chars.find(|(_, c)| ('\x40'..='\x7e').contains(c)).map_or(rest.len(), |(at, c)| at + c.len_utf8()),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let mut escaped = false;
            for (at, c) in chars {
                if c == '\x07' || c == '\u{9c}' || (escaped && c == '\\') {
                    return at + c.len_utf8();
                }
                escaped = c == '\x1b';
            }
            rest.len()
        }
        Some(c) if first == '\x1b' => 1 + c.len_utf8(),
        Some(_) | None => first.len_utf8(),
    }
}

const fn c1_introducer(c: char) -> Option<char> {
    match c {
        '\u{9b}' => Some('['),
        '\u{9d}' => Some(']'),
        '\u{90}' => Some('P'),
        '\u{98}' => Some('X'),
        '\u{9e}' => Some('^'),
        '\u{9f}' => Some('_'),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colours {
    Kept,
    Dropped,
}

fn clean(text: &str, colours: Colours) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    let mut coloured = false;
    while let Some(c) = rest.chars().next() {
        let len = if c == '\x1b' || c1_introducer(c).is_some() { sequence_len(rest) } else { c.len_utf8() };
        let (piece, after) = rest.split_at(len);
        rest = after;
        if colours == Colours::Kept && is_sgr(piece) {
            clean.push_str(piece);
            coloured = true;
        } else if c == '\t' {
            clean.push_str("    ");
        } else if !is_hostile(c) {
            clean.push(c);
        }
    }
    if coloured {
        clean.push_str("\x1b[0m");
    }
    Cow::Owned(clean)
}

fn is_sgr(piece: &str) -> bool {
    piece
        .strip_prefix("\x1b[")
        .and_then(|rest| rest.strip_suffix('m'))
        .is_some_and(|codes| codes.len() <= 64 && codes.bytes().all(|b| b.is_ascii_digit() || matches!(b, b';' | b':')))
}

/// One line without escape sequences, controls and invisible direction marks.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    clean(text, Colours::Dropped)
}

/// One line in which colours pass and nothing else does; ends reset where it had any.
pub(crate) fn coloured(text: &str) -> Cow<'_, str> {
    clean(text, Colours::Kept)
}

/// Several lines, each made plain.
pub(crate) fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// Columns of plain text.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Plain text in at most `columns`; what was cut is marked with `…`.
pub(crate) fn truncate(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let mut taken = String::new();
    let mut used = 0;
    for cluster in text.graphemes(true) {
        used += width(cluster);
        if used > columns - 1 {
            break;
        }
        taken.push_str(cluster);
    }
    taken.push('…');
    Cow::Owned(taken)
}
