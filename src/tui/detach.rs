//! Finds the key that leaves a service's terminal among what is typed, however a terminal says it.
//!
//! A program may ask its terminal to tell keys in longer ways (xterm: "modifyOtherKeys"; kitty: "keyboard protocol"): then Ctrl-] is
//! `ESC [ 27 ; 5 ; 93 ~` or `ESC [ 93 ; 5 u`. What is pasted in brackets is text and never the key. Never keeps a byte back.

use crate::config::user::DetachKey;

/// Bytes of a sequence that are remembered: no key needs more.
const LONGEST: usize = 48;

/// The bits of a key's modifiers, which are told plus one.
const SHIFT: u16 = 1;
const CTRL: u16 = 4;
/// Locks, which are no keys that are held.
const LOCKS: u16 = 64 | 128;

/// Looks through what is typed, over any number of pieces.
#[derive(Debug)]
pub(super) struct Detach {
    key: DetachKey,
    state: State,
    is_pasting: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    Sequence(Vec<u8>),
}

impl Detach {
    pub(super) const fn new(key: DetachKey) -> Self {
        Self { key, state: State::Ground, is_pasting: false }
    }

    /// How many of these bytes come before the key; none where it is not among them.
    pub(super) fn find(&mut self, typed: &[u8]) -> Option<usize> {
        let mut began = 0;
        for (at, byte) in typed.iter().copied().enumerate() {
            if byte == self.key.byte() && !self.is_pasting {
                return Some(if self.state == State::Ground { at } else { began });
            }
            self.state = match std::mem::replace(&mut self.state, State::Ground) {
                _ if byte == 0x1b => {
                    began = at;
                    State::Escape
                }
                State::Escape if byte == b'[' => State::Sequence(Vec::new()),
                State::Sequence(mut sequence) if matches!(byte, b' '..=b'?') && sequence.len() < LONGEST => {
                    sequence.push(byte);
                    State::Sequence(sequence)
                }
                State::Sequence(sequence) => {
                    if self.is_key(&sequence, byte) {
                        return Some(began);
                    }
                    State::Ground
                }
                State::Ground | State::Escape => State::Ground,
            };
        }
        None
    }

    fn is_key(&mut self, sequence: &[u8], last: u8) -> bool {
        match (sequence, last) {
            (b"200", b'~') => self.is_pasting = true,
            (b"201", b'~') => self.is_pasting = false,
            _ => {}
        }
        if self.is_pasting {
            return false;
        }
        let fields: Vec<Vec<u16>> = sequence
            .split(|byte| *byte == b';')
            .map(|field| field.split(|byte| *byte == b':').map(number).collect())
            .collect();
        match (fields.as_slice(), last) {
            ([codes, modifiers, ..], b'u') => {
                let released = modifiers.get(1).is_some_and(|event| *event == 3);
                !released && self.is_meant(codes, modifiers[0])
            }
            ([lead, modifiers, codes], b'~') if lead[0] == 27 => self.is_meant(codes, modifiers[0]),
            _ => false,
        }
    }

    /// The key, and those that it is with Shift or on another keyboard.
    fn is_meant(&self, codes: &[u16], modifiers: u16) -> bool {
        let held = modifiers.saturating_sub(1) & !LOCKS;
        let wanted = self.key.byte() | 0x40;
        let is_same = |code: &u16| u8::try_from(*code).is_ok_and(|code| code.to_ascii_uppercase() == wanted);
        held & !SHIFT == CTRL && codes.iter().any(is_same)
    }
}

fn number(digits: &[u8]) -> u16 {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Detach;
    use crate::config::user::DetachKey;

    fn find(typed: &[u8]) -> Option<usize> {
        Detach::new(DetachKey::default()).find(typed)
    }

    #[test]
    fn the_key_is_found_however_a_terminal_says_it() {
        for key in ["\x1d", "\x1b[27;5;93~", "\x1b[93;5u", "\x1b[93;69u", "\x1b[93;5:1u", "\x1b[93:125;133;29u"] {
            assert_eq!(find(format!("ab\x1b[A{key}cd").as_bytes()), Some(5), "{key:?}");
        }
        for other in
            ["]", "\x1b[93;1u", "\x1b[93;3u", "\x1b[93;5:3u", "\x1b[27;6;92~", "\x1b[91;5u", "\x1b]93;5u", "\x1b[5~"]
        {
            assert_eq!(find(other.as_bytes()), None, "{other:?}");
        }
        let letter = DetachKey::parse("ctrl-q").unwrap();
        for key in ["\x11", "\x1b[113;5u", "\x1b[27;5;113~", "\x1b[81;6u"] {
            assert_eq!(Detach::new(letter).find(key.as_bytes()), Some(0), "{key:?}");
        }
    }

    #[test]
    fn the_key_is_found_where_it_comes_in_pieces() {
        let mut detach = Detach::new(DetachKey::default());
        assert_eq!(detach.find(b"ab\x1b[9"), None);
        assert_eq!(detach.find(b"3;5u"), Some(0));
        let mut detach = Detach::new(DetachKey::default());
        assert_eq!(detach.find(b"\x1b"), None);
        assert_eq!(detach.find(b"\x1d"), Some(0), "Esc, and then the key");
    }

    #[test]
    fn what_is_pasted_is_text() {
        let mut detach = Detach::new(DetachKey::default());
        assert_eq!(detach.find(b"\x1b[200~one\x1dtwo\x1b[93;5u"), None);
        assert_eq!(detach.find(b"three\x1d\x1b[201~x\x1d"), Some(13));
    }

    #[test]
    fn a_sequence_without_an_end_is_given_up() {
        let mut detach = Detach::new(DetachKey::default());
        assert_eq!(detach.find(b"\x1b["), None);
        for _ in 0..1000 {
            assert_eq!(detach.find(b"11111111"), None);
        }
        assert_eq!(detach.find(b"\x1d"), Some(0));
    }
}
