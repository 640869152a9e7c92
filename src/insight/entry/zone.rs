//! The zone behind a time.

use super::scan::{byte, digits, has};

/// What a time says about its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// Nothing that could be reckoned with: none, or letters that mean several zones.
    Unknown,
    /// Seconds east of UTC.
    East(i32),
}

/// Letters that stand for a zone behind a time. Anything else of capitals is more often a level.
const NAMES: [&[u8]; 26] = [
    b"CET", b"CEST", b"EST", b"EDT", b"CST", b"CDT", b"MST", b"MDT", b"PST", b"PDT", b"BST", b"IST", b"WET", b"WEST",
    b"EET", b"EEST", b"MSK", b"JST", b"KST", b"HKT", b"SGT", b"AEST", b"AEDT", b"NZST", b"NZDT", b"SAST",
];

/// Where the zone that begins at `at` (a space before it is its own) ends, and what it is. `at` where there is none.
pub(super) fn zone(text: &[u8], at: usize) -> (usize, Zone) {
    match byte(text, at) {
        b'Z' | b'z' if !byte(text, at + 1).is_ascii_alphanumeric() => (at + 1, Zone::East(0)),
        b'+' | b'-' => offset(text, at).unwrap_or((at, Zone::Unknown)),
        b' ' => spaced(text, at),
        b'U' | b'G' => named(text, at).unwrap_or((at, Zone::Unknown)),
        _ => (at, Zone::Unknown),
    }
}

fn spaced(text: &[u8], at: usize) -> (usize, Zone) {
    match byte(text, at + 1) {
        b'+' | b'-' => match offset(text, at + 1) {
            // Go writes both: `+0000 UTC`.
            Some((end, zone)) if byte(text, end) == b' ' => {
                (named(text, end + 1).map_or(end, |(after, _)| after), zone)
            }
            Some(found) => found,
            None => (at, Zone::Unknown),
        },
        b'A'..=b'Z' => named(text, at + 1).unwrap_or((at, Zone::Unknown)),
        _ => (at, Zone::Unknown),
    }
}

/// `+01:00`, `+0100`, `+01`.
fn offset(text: &[u8], at: usize) -> Option<(usize, Zone)> {
    let (hours, minutes, end) = match (digits(text, at + 1), byte(text, at + 3)) {
        (4, _) => (two(text, at + 1), two(text, at + 3), at + 5),
        (2, b':') if digits(text, at + 4) == 2 => (two(text, at + 1), two(text, at + 4), at + 6),
        (2, _) => (two(text, at + 1), 0, at + 3),
        _ => return None,
    };
    if hours > 15 || minutes > 59 || byte(text, end).is_ascii_alphanumeric() {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Some((end, Zone::East(if text[at] == b'-' { -seconds } else { seconds })))
}

fn two(text: &[u8], at: usize) -> i32 {
    i32::from(byte(text, at).wrapping_sub(b'0')) * 10 + i32::from(byte(text, at + 1).wrapping_sub(b'0'))
}

/// Letters.
fn named(text: &[u8], at: usize) -> Option<(usize, Zone)> {
    let utc = [&b"UTC"[..], b"GMT"].into_iter().find(|name| has(text, at, name));
    let name = utc.or_else(|| NAMES.into_iter().find(|name| has(text, at, name) && ends(text, at + name.len())))?;
    let zone = if utc.is_some() { Zone::East(0) } else { Zone::Unknown };
    ends(text, at + name.len()).then_some((at + name.len(), zone))
}

fn ends(text: &[u8], at: usize) -> bool {
    !byte(text, at).is_ascii_alphanumeric()
}
