//! Times that are written in several words: `Fri Jul 15 22:35:37 2005`, `2017-05-16 05:00:00`.

const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// How many bytes at the start of a text are a time in several words.
pub(super) fn stamp(text: &[u8]) -> Option<usize> {
    if text.first().is_some_and(u8::is_ascii_digit) { numeric(text) } else { named(text) }
}

fn word(text: &[u8], at: usize) -> &[u8] {
    let rest = text.get(at..).unwrap_or_default();
    let end =
        rest.iter().position(|byte| matches!(byte, b' ' | b',' | b']' | b')' | b'"' | b'\'')).unwrap_or(rest.len());
    &rest[..end]
}

fn spaces(text: &[u8], at: usize) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count()
}

/// `hh:mm` and more.
fn is_clock(word: &[u8]) -> bool {
    matches!(word, [a, b, b':', c, d, ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()))
        && word.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'+' | b'-' | b'Z'))
}

/// A date of digits, one space, a time of the day.
fn numeric(text: &[u8]) -> Option<usize> {
    let date = word(text, 0);
    let parts = date
        .split(|byte| matches!(byte, b'-' | b'/' | b'.'))
        .filter(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
        .count();
    let separators = date.iter().filter(|byte| !byte.is_ascii_digit()).count();
    if date.len() < 5
        || date.len() > 10
        || parts != separators + 1
        || !(2..=3).contains(&parts)
        || text.get(date.len()) != Some(&b' ')
    {
        return None;
    }
    let clock = word(text, date.len() + 1);
    let end = date.len() + 1 + clock.len();
    is_clock(clock).then(|| millis_end(text, end))
}

/// `,123` after a time of the day.
fn millis_end(text: &[u8], end: usize) -> usize {
    match text.get(end..).unwrap_or_default() {
        [b',', a, b, c, ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => end + 4,
        _ => end,
    }
}

/// The form of `ctime`, with or without the day of the week, the zone and the year.
fn named(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let first = text.get(..3)?;
    if DAYS.contains(&first) {
        at = 3 + usize::from(text.get(3) == Some(&b','));
        at += spaces(text, at);
    }
    if !MONTHS.contains(&text.get(at..at + 3)?) {
        return None;
    }
    at += 3;
    at += spaces(text, at);
    let day = word(text, at);
    if day.is_empty() || day.len() > 2 || !day.iter().all(u8::is_ascii_digit) {
        return None;
    }
    at += day.len();
    let gap = spaces(text, at);
    let clock = word(text, at + gap);
    if gap == 0 || !is_clock(clock) {
        return None;
    }
    at += gap + clock.len();
    Some(year_end(text, zone_end(text, at)))
}

fn zone_end(text: &[u8], at: usize) -> usize {
    let zone = word(text, at + 1);
    let is_zone =
        text.get(at) == Some(&b' ') && (3..=5).contains(&zone.len()) && zone.iter().all(u8::is_ascii_uppercase);
    let year_follows = is_zone && year_end(text, at + 1 + zone.len()) > at + 1 + zone.len();
    if year_follows { at + 1 + zone.len() } else { at }
}

fn year_end(text: &[u8], at: usize) -> usize {
    let year = word(text, at + 1);
    let is_year = text.get(at) == Some(&b' ') && year.len() == 4 && year.iter().all(u8::is_ascii_digit);
    if is_year { at + 5 } else { at }
}
