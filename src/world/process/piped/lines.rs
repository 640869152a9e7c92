//! Bytes into lines. Never waits for a line feed for ever, never stops at a NUL or at bytes that are not UTF-8.

use std::collections::VecDeque;

use crate::model::log::{LogLine, MAX_LINE_BYTES, Stream};

/// Lines that have no number yet.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The text of all.
    pub(super) text: String,
    /// The lines.
    pub(super) lines: Vec<LogLine>,
}

impl Draft {
    /// Appends `bytes`, which hold whole lines only, or one unfinished line with `unfinished`.
    fn append(&mut self, stream: Stream, bytes: &[u8], unfinished: bool) {
        let mut at = self.text.len();
        self.text.push_str(&String::from_utf8_lossy(bytes));
        while at < self.text.len() {
            let rest = &self.text.as_bytes()[at..];
            let (mut length, step) =
                memchr::memchr(b'\n', rest).map_or((rest.len(), rest.len()), |feed| (feed, feed + 1));
            if step > length && rest[..length].last() == Some(&b'\r') {
                length -= 1;
            }
            self.push_pieces(stream, at, length, unfinished && step == length);
            at += step;
        }
    }

    fn push_pieces(&mut self, stream: Stream, mut start: usize, mut length: usize, unfinished: bool) {
        while length > MAX_LINE_BYTES {
            let piece = self.text.floor_char_boundary(start + MAX_LINE_BYTES) - start;
            self.lines.push(line(start, piece, stream, true));
            start += piece;
            length -= piece;
        }
        self.lines.push(line(start, length, stream, unfinished));
    }

    /// The text of one of its lines.
    pub(super) fn text_of(&self, line: LogLine) -> &str {
        self.text.get(line.start as usize..(line.start + line.len) as usize).unwrap_or("")
    }
}

fn line(start: usize, len: usize, stream: Stream, continued: bool) -> LogLine {
    LogLine { start: start as u32, len: len as u32, stream, continued }
}

/// Cuts what comes out of one descriptor into lines; keeps the unfinished one.
#[derive(Debug)]
pub(super) struct Cutter {
    stream: Stream,
    rest: Vec<u8>,
}

impl Cutter {
    /// Nothing read yet.
    pub(super) const fn new(stream: Stream) -> Self {
        Self { stream, rest: Vec::new() }
    }

    /// Takes what was read.
    pub(super) fn feed(&mut self, bytes: &[u8], draft: &mut Draft) {
        let tail = if let Some(feed) = memchr::memrchr(b'\n', bytes) {
            let (whole, tail) = bytes.split_at(feed + 1);
            if self.rest.is_empty() {
                draft.append(self.stream, whole, false);
            } else {
                self.rest.extend_from_slice(whole);
                draft.append(self.stream, &std::mem::take(&mut self.rest), false);
            }
            tail
        } else {
            bytes
        };
        self.rest.extend_from_slice(tail);
        if self.rest.len() > MAX_LINE_BYTES {
            // Something is kept, so that the last piece, whenever it comes, can say that it is the last.
            let kept = self.rest.split_off(self.rest.len() - last_character(&self.rest));
            draft.append(self.stream, &std::mem::replace(&mut self.rest, kept), true);
        }
    }

    /// Nothing more comes: the unfinished line is a line.
    pub(super) fn finish(&mut self, draft: &mut Draft) {
        draft.append(self.stream, &std::mem::take(&mut self.rest), false);
    }

    /// Who began the line may be gone, and others can still write: it is shown now, and may go on.
    pub(super) fn show_unfinished(&mut self, draft: &mut Draft) {
        draft.append(self.stream, &std::mem::take(&mut self.rest), true);
    }
}

/// Bytes at the end of `bytes` that belong to its last character, whole or only begun: 1 to 4 (RFC 3629, section 3).
fn last_character(bytes: &[u8]) -> usize {
    let trailing = bytes.iter().rev().take(3).take_while(|byte| matches!(byte, 0x80..=0xBF)).count();
    (trailing + 1).min(bytes.len())
}

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
            if self.0.len() == LAST_WORDS {
                self.0.pop_front();
            }
            self.0.push_back(text[..text.floor_char_boundary(KEPT_BYTES)].to_owned());
        }
    }

    /// Oldest first, fit for a screen.
    pub(super) fn spoken(&self) -> Vec<String> {
        self.0.iter().map(|text| crate::model::text::plain(text).chars().take(SHOWN_CHARACTERS).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<(String, bool)> {
        let mut cutter = Cutter::new(Stream::Stdout);
        let mut draft = Draft::default();
        for chunk in chunks {
            cutter.feed(chunk, &mut draft);
        }
        cutter.finish(&mut draft);
        draft.lines.iter().map(|line| (draft.text_of(*line).to_owned(), line.continued)).collect()
    }

    #[test]
    fn a_line_may_come_in_any_number_of_pieces() {
        let whole = vec![("first".to_owned(), false), (String::new(), false), ("é last".to_owned(), false)];
        let text = "first\r\n\né last".as_bytes();
        for cut in 0..text.len() {
            assert_eq!(lines_of(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines_of(&bytes), whole);
    }

    #[test]
    fn a_line_without_end_is_cut_at_characters_and_loses_none() {
        let text = "€".repeat(100_000);
        for size in [1000, 65_536, 70_001, 400_000] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let pieces = lines_of(&chunks);
            assert!(pieces.iter().all(|(piece, _)| piece.len() <= MAX_LINE_BYTES), "chunks of {size}");
            assert!(pieces[..pieces.len() - 1].iter().all(|(_, continued)| *continued), "chunks of {size}");
            assert_eq!(pieces.last().map(|(_, continued)| *continued), Some(false), "chunks of {size}");
            assert_eq!(pieces.into_iter().map(|(piece, _)| piece).collect::<String>(), text, "chunks of {size}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_spoil_only_their_line() {
        let lines = lines_of(&[b"good\n\xff\xfe\0bad\nagain\n"]);
        assert_eq!(lines[0].0, "good");
        assert_eq!(lines[1].0, "\u{FFFD}\u{FFFD}\0bad");
        assert_eq!(lines[2].0, "again");
    }

    #[test]
    fn last_words_are_the_last_five_lines_that_say_something() {
        let mut words = LastWords::default();
        let mut draft = Draft::default();
        Cutter::new(Stream::Stderr).feed(b"1\n2\n3\n\n4\n", &mut draft);
        words.hear(&draft);
        let mut draft = Draft::default();
        Cutter::new(Stream::Stderr).feed(b"\x1b[31m5\x1b[0m\n \n6\n", &mut draft);
        words.hear(&draft);
        assert_eq!(words.spoken(), ["2", "3", "4", "5", "6"]);
    }
}
