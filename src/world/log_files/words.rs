//! Which long words are in a part of an archive: ids of traces, requests and orders, of which every part has every group of three characters.
//!
//! Of the groups of eight characters in a word, of each fourteen that follow each other one is picked, always the same ([Schleimer, Wilkerson and
//! Aiken, Winnowing, 2003][winnowing]): so a word need not be looked for whole, and few groups are kept. What is picked is kept as a [Bloom filter][bloom]
//! of two bits each. Large letters count as small ones. Promise: where a pick of what a pattern cannot do without is not in the set of a part, no
//! line of it matches. Never: the other way round.
//!
//! [winnowing]: https://doi.org/10.1145/872757.872770
//! [bloom]: https://doi.org/10.1145/362686.362692

use std::collections::BTreeSet;

/// Characters of a group.
const GROUP: usize = 8;

/// Of so many groups that follow each other one is picked.
const WINDOW: usize = 14;

/// Shorter words have no pick.
const SHORTEST: usize = GROUP + WINDOW - 1;

/// Bits of a set for each pick: one in thirty of those that are not there is taken to be there, and a word has several.
const BITS: usize = 10;

/// No set has more bytes: a part that would need more, of what is no text for people, is always unpacked.
const MOST_BYTES: usize = 64 * 1024;

/// The character as it is compared; none where it is no part of a word.
const fn folded(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte | 0x20),
        b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => Some(byte),
        _ => None,
    }
}

/// By what a group is told from others. The constant is that of [Fibonacci hashing](https://en.wikipedia.org/wiki/Hash_function#Fibonacci_hashing).
const fn mark(group: u64) -> u32 {
    let mixed = (group ^ (group >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

/// Calls `take` with each pick of the words in `text`, mostly once for each place where it is.
pub(super) fn picks(text: &[u8], mut take: impl FnMut(u32)) {
    let mut rest = text;
    while rest.len() >= SHORTEST {
        // Where the word that would be long enough from here on ends is looked for from behind: most are short.
        let Some(last) = rest[..SHORTEST].iter().rposition(|byte| folded(*byte).is_none()) else {
            let length = rest.iter().position(|byte| folded(*byte).is_none()).unwrap_or(rest.len());
            picks_of_word(&rest[..length], &mut take);
            rest = &rest[length..];
            continue;
        };
        rest = &rest[last + 1..];
    }
}

fn picks_of_word(word: &[u8], take: &mut impl FnMut(u32)) {
    let mut group = 0_u64;
    let mut marks = [0_u32; WINDOW];
    let mut lowest: Option<(u32, usize)> = None;
    for (at, byte) in word.iter().enumerate() {
        group = group << 8 | u64::from(folded(*byte).unwrap_or(0));
        let Some(number) = (at + 1).checked_sub(GROUP) else { continue };
        marks[number % WINDOW] = mark(group);
        if number + 1 < WINDOW {
            continue;
        }
        let first = number + 1 - WINDOW;
        let newest = marks[number % WINDOW];
        match lowest {
            Some((mark, place)) if place >= first && mark <= newest => {}
            Some((_, place)) if place >= first => {
                lowest = Some((newest, number));
                take(newest);
            }
            _ => {
                let found = (first..=number).map(|number| (marks[number % WINDOW], number)).min();
                lowest = found;
                take(found.map_or(newest, |(mark, _)| mark));
            }
        }
    }
}

/// The picks of a part, while its lines are read.
#[derive(Debug, Default)]
pub(super) struct Words(BTreeSet<u32>);

impl Words {
    /// Those of one line.
    pub(super) fn add(&mut self, line: &[u8]) {
        // More than can be kept are as good as unknown.
        if self.0.len() <= MOST_BYTES * 8 / BITS {
            picks(line, |pick| {
                self.0.insert(pick);
            });
        }
    }

    /// As it is stored; none where there are too many.
    pub(super) fn set(&self) -> Option<Vec<u8>> {
        let bytes = (self.0.len() * BITS).div_ceil(8);
        if bytes > MOST_BYTES {
            return None;
        }
        let mut set = vec![0; bytes];
        for bit in self.0.iter().flat_map(|pick| bits(*pick, bytes * 8)) {
            set[bit / 8] |= 1 << (bit % 8);
        }
        Some(set)
    }
}

/// Places of a pick in a set of so many bits.
fn bits(pick: u32, of: usize) -> [usize; 2] {
    let place = |mark: u32| ((u64::from(mark) * of as u64) >> 32) as usize;
    [place(pick), place(pick.rotate_left(16).wrapping_mul(0x9E37_79B1))]
}

/// False where a part with this set has no such pick.
pub(super) fn may_have(set: &[u8], pick: u32) -> bool {
    !set.is_empty() && bits(pick, set.len() * 8).iter().all(|bit| set[bit / 8] >> (bit % 8) & 1 == 1)
}

/// Behind the length of a set that is not known.
const UNKNOWN: u32 = u32::MAX;

/// Sets of parts that follow each other, as they are stored: before each its length.
pub(super) fn encode(sets: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for set in sets {
        let length = set.as_ref().and_then(|set| u32::try_from(set.len()).ok()).unwrap_or(UNKNOWN);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(set.as_deref().unwrap_or_default());
    }
    bytes
}

/// The sets of so many parts; none where that is not what stands there.
pub(super) fn decode(mut bytes: &[u8], parts: usize) -> Option<Vec<Option<Vec<u8>>>> {
    let mut sets = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        if length == UNKNOWN {
            sets.push(None);
            bytes = rest;
        } else {
            let (set, rest) = rest.split_at_checked(length as usize)?;
            sets.push(Some(set.to_vec()));
            bytes = rest;
        }
    }
    (bytes.is_empty() && sets.len() == parts).then_some(sets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MOST_BYTES, Words, decode, encode, may_have, picks};

    fn set_of(lines: &[&str]) -> Vec<u8> {
        let mut words = Words::default();
        for line in lines {
            words.add(line.as_bytes());
        }
        words.set().unwrap()
    }

    fn may_be_in(set: &[u8], word: &str) -> bool {
        let mut all = true;
        picks(word.as_bytes(), |pick| all &= may_have(set, pick));
        all
    }

    #[test]
    fn a_word_and_a_long_part_of_it_are_found_and_others_are_missed() {
        let set = set_of(&[
            "trace_id=4BF92F3577B34DA6A3CE929D0E0E4736 done",
            "GET /orders/0190163d-8694-739b-aea5-966c26f8ad91",
        ]);
        for there in [
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "2f3577b34da6a3ce929d0e0e4",
            "0190163d-8694-739b-aea5-966c26f8ad91",
            "short",
        ] {
            assert!(may_be_in(&set, there), "{there}");
        }
        for absent in [
            "d6a3ce929d0e0e47364bf92f3577b34a",
            "00f067aa0ba902b700f067aa0ba902b7",
            "0190163d-9c8b-4f1e-8a52-d61c04f9b3e7",
        ] {
            assert!(!may_be_in(&set, absent), "{absent}");
        }
        assert!(!may_be_in(&set_of(&["nothing long here"]), "4bf92f3577b34da6a3ce929d0e0e4736"));
    }

    #[test]
    fn few_words_that_are_not_there_are_taken_to_be_there() {
        let id = |seed: u64| {
            format!(
                "{:016x}{:016x}",
                seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
                !seed.wrapping_mul(0xD6E8_FEB8_6659_FD93)
            )
        };
        let lines: Vec<String> = (0..5_000).map(id).collect();
        let set = set_of(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(set.len() < 32 * 1024, "{}", set.len());
        assert!(lines.iter().all(|line| may_be_in(&set, line)));
        let wrong = (10_000..11_000).filter(|seed| may_be_in(&set, &id(*seed))).count();
        assert!(wrong < 40, "{wrong}");
    }

    #[test]
    fn what_has_too_many_is_not_known_and_costs_no_more() {
        let mut words = Words::default();
        let mut state = 1_u64;
        for _ in 0..100 {
            let line: String = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'a' + (state >> 60) as u8)
            })
            .take(64 * 1024)
            .collect();
            words.add(line.as_bytes());
        }
        assert_eq!(words.set(), None);
        assert!(words.0.len() < MOST_BYTES * 2);
    }

    #[test]
    fn sets_are_read_as_they_were_stored_and_half_of_them_are_none() {
        let sets = vec![Some(vec![1, 2, 3]), None, Some(Vec::new()), Some(vec![9])];
        let bytes = encode(&sets);
        assert_eq!(decode(&bytes, 4), Some(sets));
        assert_eq!(decode(&bytes, 3), None);
        assert!((0..bytes.len()).all(|cut| decode(&bytes[..cut], 4).is_none()));
    }

    proptest! {
        #[test]
        fn a_part_of_a_word_has_only_picks_of_the_word(
            before in "[a-z0-9 ]{0,40}", word in "[0-9a-fA-F-]{0,60}", behind in "[a-z0-9=]{0,40}", from in 0_usize..60, length in 0_usize..60,
        ) {
            let set = set_of(&[&format!("{before}{word}{behind}")]);
            let part: String = word.chars().skip(from).take(length).collect();
            prop_assert!(may_be_in(&set, &part));
        }
    }
}
