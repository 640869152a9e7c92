//! The last words of a run. Never more than a few short lines.

use std::collections::VecDeque;

use super::assembly::Draft;

/// The last words of a run are this many lines.
const LAST_WORDS: usize = 5;
/// Each is cut to so many bytes before, and so many characters after it was made safe.
const KEPT_BYTES: usize = 1024;
const SHOWN_CHARACTERS: usize = 300;

/// The last lines that are not blank.
#[derive(Debug, Default)]
pub(super) struct LastWords(VecDeque<String>);

impl LastWords {
    /// Takes the lines of a draft.
    pub(super) fn hear(&mut self, draft: &Draft) {
        let spoken = draft.lines.iter().rev().map(|line| draft.text_of(*line)).filter(|text| !text.trim().is_empty());
        let newest: Vec<_> = spoken.take(LAST_WORDS).collect();
        for text in newest.into_iter().rev() {
            self.speak(text);
        }
    }

    /// Takes one line that is not blank.
    fn speak(&mut self, text: &str) {
        if self.0.len() == LAST_WORDS {
            self.0.pop_front();
        }
        self.0.push_back(text[..text.floor_char_boundary(KEPT_BYTES)].to_owned());
    }

    /// Oldest first, fit for a screen.
    pub(super) fn spoken(&self) -> Vec<String> {
        self.0.iter().map(|text| crate::model::text::plain(text).chars().take(SHOWN_CHARACTERS).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::LastWords;
    use crate::{
        model::{
            ids::RunId,
            intake::{Cursor, Position},
            log::Stream,
        },
        world::{log_files::Piece, output::assembly::Assembly},
    };

    #[test]
    fn last_words_are_the_last_five_lines_that_say_something() {
        let mut words = LastWords::default();
        let mut assembly = Assembly::new(Cursor::default());
        let mut offset = 0;
        for bytes in [b"1\n2\n3\n\n4\n".as_slice(), b"\x1b[31m5\x1b[0m\n \n6\n"] {
            let at = Position { segment: 1, offset };
            offset += bytes.len() as u64;
            let mut ready = VecDeque::new();
            assembly.take(Piece::Bytes { at, stream: Stream::Stderr, run: RunId(1), wall_us: 1, bytes }, &mut ready);
            assembly.close(&mut ready);
            for draft in &ready {
                words.hear(draft);
            }
        }
        assert_eq!(words.spoken(), ["2", "3", "4", "5", "6"]);
    }
}
