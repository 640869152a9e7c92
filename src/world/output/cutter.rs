//! Bytes into lines. Where a line is cut depends on its bytes alone, never on how they came: whoever reads them again counts the same.

use crate::model::{
    intake::Position,
    log::{LogLine, MAX_LINE_BYTES, Stream},
};

/// Lines that are being put together: bytes as they came, and where each line is in them.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: Vec<LogLine>,
}

impl Gathering {
    /// Bytes that it keeps in memory, about.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len() + self.lines.len() * size_of::<LogLine>()
    }

    /// Appends whole lines, each with its line feed.
    fn whole_lines(&mut self, stream: Stream, bytes: &[u8]) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let mut start = 0;
        for feed in memchr::memchr_iter(b'\n', bytes) {
            while let Some(cut) = piece_end(&bytes[start..feed]) {
                self.lines.push(line(base + start, cut, stream, true));
                start += cut;
            }
            let mut length = feed - start;
            if length > 0 && bytes[feed - 1] == b'\r' {
                length -= 1;
            }
            self.lines.push(line(base + start, length, stream, false));
            start = feed + 1;
        }
    }

    /// Appends one line that has no line feed, or a piece of one.
    pub(super) fn one(&mut self, stream: Stream, bytes: &[u8], continued: bool) {
        self.lines.push(line(self.bytes.len(), bytes.len(), stream, continued));
        self.bytes.extend_from_slice(bytes);
    }

    /// As text: what is not UTF-8 becomes U+FFFD, in its line only.
    pub(super) fn into_text(self) -> (String, Vec<LogLine>) {
        let Self { bytes, lines } = self;
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => return (text, lines),
            Err(error) => error.into_bytes(),
        };
        let mut text = String::with_capacity(bytes.len() + 64);
        let mut cut = Vec::with_capacity(lines.len());
        for old in lines {
            let start = text.len();
            let raw = bytes.get(old.start as usize..(old.start + old.len) as usize).unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(raw));
            push_pieces(&text, &mut cut, start, old);
            text.push('\n');
        }
        (text, cut)
    }
}

/// A line with much that is not UTF-8 has grown: it is cut again.
fn push_pieces(text: &str, lines: &mut Vec<LogLine>, mut start: usize, old: LogLine) {
    while text.len() - start > MAX_LINE_BYTES {
        let end = text.floor_char_boundary(start + MAX_LINE_BYTES);
        lines.push(line(start, end - start, old.stream, true));
        start = end;
    }
    lines.push(line(start, text.len() - start, old.stream, old.continued));
}

fn line(start: usize, len: usize, stream: Stream, continued: bool) -> LogLine {
    LogLine { start: start as u32, len: len as u32, stream, continued }
}

/// Where a piece is cut off the beginning of a line, of which `line` is there so far: between two characters if it can be, and as soon as it is known. None:
/// not (yet).
fn piece_end(line: &[u8]) -> Option<usize> {
    if line.len() <= MAX_LINE_BYTES - 3 {
        return None;
    }
    // Of a character, all bytes but the first are 0x80 to 0xBF, three at most (RFC 3629, section 3).
    let begins = |at: &usize| !matches!(line[*at], 0x80..=0xBF);
    (MAX_LINE_BYTES - 3..line.len().min(MAX_LINE_BYTES))
        .find(begins)
        .or((line.len() >= MAX_LINE_BYTES).then_some(MAX_LINE_BYTES))
}

/// Cuts what comes out of one stream; keeps the unfinished line.
#[derive(Debug)]
pub(super) struct Cutter {
    stream: Stream,
    rest: Vec<u8>,
    /// Where the unfinished line begins, if there is one.
    rest_at: Position,
}

impl Cutter {
    /// Nothing read yet.
    pub(super) const fn new(stream: Stream) -> Self {
        Self { stream, rest: Vec::new(), rest_at: Position { segment: 0, offset: 0 } }
    }

    /// Where the unfinished line begins; none where there is none.
    pub(super) const fn unfinished(&self) -> Option<Position> {
        if self.rest.is_empty() { None } else { Some(self.rest_at) }
    }

    /// Whether `bytes` would complete a line or fill a piece of one.
    pub(super) fn would_complete(&self, bytes: &[u8]) -> bool {
        self.rest.len() + bytes.len() > MAX_LINE_BYTES - 3 || memchr::memchr(b'\n', bytes).is_some()
    }

    /// Takes bytes that stand at `at` and on.
    pub(super) fn feed(&mut self, at: Position, bytes: &[u8], to: &mut Gathering) {
        let mut from = 0;
        if !self.rest.is_empty()
            && let Some(feed) = memchr::memchr(b'\n', bytes)
        {
            from = feed + 1;
            self.rest.extend_from_slice(&bytes[..from]);
            to.whole_lines(self.stream, &self.rest);
            self.rest.clear();
        }
        if self.rest.is_empty() {
            if let Some(feed) = memchr::memrchr(b'\n', &bytes[from..]) {
                to.whole_lines(self.stream, &bytes[from..=from + feed]);
                from += feed + 1;
            }
            self.rest_at = Position { segment: at.segment, offset: at.offset + from as u64 };
        }
        self.rest.extend_from_slice(&bytes[from..]);
        self.cut_pieces(at.offset + bytes.len() as u64, at.segment, to);
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            self.rest = Vec::new();
        }
    }

    fn cut_pieces(&mut self, end: u64, segment: u64, to: &mut Gathering) {
        let mut from = 0;
        while let Some(cut) = piece_end(&self.rest[from..]) {
            to.one(self.stream, &self.rest[from..from + cut], true);
            from += cut;
        }
        if from > 0 {
            self.rest.drain(..from);
            // A cut is never before the bytes that came last: it would have been made with those before them.
            self.rest_at = Position { segment, offset: end.saturating_sub(self.rest.len() as u64) };
        }
    }

    /// Nothing more comes: the unfinished line is a line. False where there is none.
    pub(super) fn finish(&mut self, to: &mut Gathering) -> bool {
        let rest = std::mem::take(&mut self.rest);
        let shown = rest.strip_suffix(b"\r").unwrap_or(&rest);
        if !rest.is_empty() {
            to.one(self.stream, shown, false);
        }
        !rest.is_empty()
    }

    /// Nobody has gone on with the unfinished line for a while: what is there is given, and the rest comes when it comes. False where there is none.
    pub(super) fn give(&mut self, to: &mut Gathering) -> bool {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            to.one(self.stream, &rest, true);
        }
        !rest.is_empty()
    }

    /// Passes over the unfinished line.
    pub(super) fn forget(&mut self) {
        self.rest = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<(String, bool)> {
        let mut cutter = Cutter::new(Stream::Stdout);
        let mut gathering = Gathering::default();
        let mut at = Position { segment: 1, offset: 0 };
        for chunk in chunks {
            cutter.feed(at, chunk, &mut gathering);
            at.offset += chunk.len() as u64;
        }
        cutter.finish(&mut gathering);
        let (text, lines) = gathering.into_text();
        lines.iter().map(|line| (text[line.start as usize..][..line.len as usize].to_owned(), line.continued)).collect()
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
    fn how_bytes_come_does_not_decide_where_they_are_cut() {
        let mut bytes = Vec::new();
        for (character, count) in
            [("a", 65_532), ("é", 40_000), ("€", 44_000), ("𝄞", 33_000), ("a", 65_535), ("b", 65_536)]
        {
            bytes.extend_from_slice(character.repeat(count).as_bytes());
            bytes.push(b'\n');
        }
        bytes.extend(std::iter::repeat_n(0x80, 200_000));
        bytes.extend_from_slice(b"\r\nend");
        let at_once = lines_of(&[&bytes]);
        for size in [1, 7, 4096, 65_533, 65_536, 100_001] {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            assert!(lines_of(&chunks) == at_once, "chunks of {size}");
        }
        assert!(at_once.iter().all(|(piece, _)| piece.len() <= MAX_LINE_BYTES));
    }

    #[test]
    fn bytes_that_are_no_text_spoil_only_their_line() {
        let lines = lines_of(&[b"good\n\xff\xfe\0bad\nagain\n"]);
        assert_eq!(lines[0].0, "good");
        assert_eq!(lines[1].0, "\u{FFFD}\u{FFFD}\0bad");
        assert_eq!(lines[2].0, "again");
    }

    #[test]
    fn where_the_unfinished_line_begins_is_known_to_the_byte() {
        let mut bytes = b"short\n".to_vec();
        bytes.extend_from_slice("€".repeat(60_000).as_bytes());
        for size in [1, 3, 1000, 70_000, 300_000] {
            let mut cutter = Cutter::new(Stream::Stdout);
            let mut gathering = Gathering::default();
            for (number, chunk) in bytes.chunks(size).enumerate() {
                cutter.feed(Position { segment: 3, offset: (number * size) as u64 }, chunk, &mut gathering);
            }
            let taken: usize = gathering.bytes.len();
            let at = cutter.unfinished().expect("it has not ended");
            assert_eq!(at, Position { segment: 3, offset: taken as u64 }, "chunks of {size}");
        }
    }
}
