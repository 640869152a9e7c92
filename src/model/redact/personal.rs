//! What is somebody's and no key: numbers of payment cards by their check digit, and, where it is wanted, addresses of e-mail.
//!
//! Never: a time, an id of a trace, a number of an order that only looks like a card.

use std::ops::Range;

/// The label of a card.
pub(super) const CARD: &str = "card";

/// The label of an address.
pub(super) const EMAIL: &str = "email";

/// Digits of the shortest card, and with what stands between them of the longest.
const LEAST: usize = 13;
const MOST: usize = 16;

const fn is_of_card(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'-')
}

/// Whether there may be a card: a run of digits, spaces and dashes that is long enough. Such a run has a byte at every place of that step.
pub(super) fn has_cards(text: &str) -> bool {
    next_run(text.as_bytes(), 0).is_some()
}

fn next_run(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut probe = from + LEAST - 1;
    while probe < bytes.len() {
        if is_of_card(bytes[probe]) {
            let mut start = probe;
            while start > from && is_of_card(bytes[start - 1]) {
                start -= 1;
            }
            let end = bytes[probe..].iter().position(|byte| !is_of_card(*byte)).map_or(bytes.len(), |n| probe + n);
            if bytes[start..end].iter().filter(|byte| byte.is_ascii_digit()).count() >= LEAST {
                return Some(start..end);
            }
            probe = end;
        }
        probe += LEAST;
    }
    None
}

/// Where numbers of cards stand.
pub(super) fn cards(line: &str) -> Vec<Range<usize>> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(run) = next_run(bytes, at) {
        at = run.end;
        cards_in(bytes, run, &mut found);
    }
    found
}

/// The cards of a run: groups of digits that stand together in one of the ways in which cards are written.
fn cards_in(bytes: &[u8], run: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for at in run.filter(|at| bytes[*at].is_ascii_digit()) {
        match groups.last_mut().filter(|last| last.end == at) {
            Some(last) => last.end = at + 1,
            None => groups.push(at..at + 1),
        }
    }
    // A letter, a point before it or an underscore makes it a part of something else.
    let is_part =
        |byte: Option<&u8>, signs: &[u8]| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || signs.contains(byte));
    let stands_alone = |these: &[Range<usize>]| {
        let before = these[0].start.checked_sub(1).and_then(|before| bytes.get(before));
        !is_part(before, b"._") && !is_part(bytes.get(these[these.len() - 1].end), b"_")
    };
    let mut first = 0;
    while first < groups.len() {
        let taken = WAYS.iter().find(|way| {
            let these = groups.get(first..first + way.len()).unwrap_or_default();
            let lengths =
                these.len() == way.len() && these.iter().zip(**way).all(|(group, length)| group.len() == *length);
            // One sign between two groups, and the same between all.
            let between = |pair: &[Range<usize>]| {
                let sign = &bytes[pair[0].end..pair[1].start];
                sign.len() == 1 && sign == &bytes[these[0].end..=these[0].end]
            };
            lengths && these.windows(2).all(between) && stands_alone(these) && is_card(bytes, these)
        });
        match taken {
            Some(way) => {
                found.push(groups[first].start..groups[first + way.len() - 1].end);
                first += way.len();
            }
            None => first += 1,
        }
    }
}

/// Lengths of the groups in which cards are written.
const WAYS: &[&[usize]] = &[&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[16], &[15], &[14], &[13]];

/// Whether the digits begin as those of an issuer do (ISO/IEC 7812) and their check digit is right (Luhn, US patent 2,950,048).
fn is_card(bytes: &[u8], groups: &[Range<usize>]) -> bool {
    let digits: Vec<u32> =
        groups.iter().flat_map(|group| &bytes[group.clone()]).map(|byte| u32::from(byte - b'0')).collect();
    if digits.len() > MOST || digits.iter().all(|digit| *digit == digits[0]) {
        return false;
    }
    let begin = |count: usize| digits[..count].iter().fold(0, |number, digit| number * 10 + digit);
    let is_issued = match digits.len() {
        16 => {
            matches!(begin(1), 4)
                || matches!(begin(2), 51..=55 | 65)
                || matches!(begin(4), 2221..=2720 | 3528..=3589 | 6011)
        }
        15 => matches!(begin(2), 34 | 37),
        14 => matches!(begin(2), 36 | 38) || matches!(begin(3), 300..=305),
        13 => begin(1) == 4,
        _ => false,
    };
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    is_issued && sum.is_multiple_of(10)
}

/// Where addresses of e-mail stand.
pub(super) fn emails(line: &str) -> Vec<Range<usize>> {
    let bytes = line.as_bytes();
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(byte);
    let of_host = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let mut found = Vec::new();
    for at in memchr::memchr_iter(b'@', bytes) {
        let name = bytes[..at].iter().rev().take(64).take_while(|byte| of_name(byte)).count();
        // A value of a form or of a URL begins behind these.
        let start = at - name;
        let start =
            bytes[start..at].iter().rposition(|byte| b"=?&/'{|".contains(byte)).map_or(start, |sign| start + sign + 1);
        let host = bytes[at + 1..].iter().take(253).take_while(|byte| of_host(byte)).count();
        let end = at + 1 + host;
        let host = line[at + 1..end].trim_end_matches(['.', '-']);
        let has_domain = host.rsplit_once('.').is_some_and(|(before, last)| {
            !before.is_empty() && last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic())
        });
        if start < at && has_domain {
            found.push(start..at + 1 + host.len());
        }
    }
    found
}
