//! The slow way: a terminal's parser whose terminal can do nothing but print.

use unicode_width::UnicodeWidthChar;
use vte::{Params, Parser, Perform};

use super::{MAX_MARKS, TAB, style::TextStyle};

/// What a character may do to a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Takes columns.
    Shown,
    /// Sits on the character before it.
    Mark,
    /// A separator that some terminals break a line at: shown as a space.
    Space,
    /// C0, DEL, C1: the parser's business.
    Control,
    /// Direction controls, joiners, fillers, tags, variation selectors, skin tones: they change what is read, or how wide a
    /// terminal believes a cluster to be, without being seen.
    Invisible,
}

/// The kind of one character.
pub(super) fn kind(character: char) -> Kind {
    match character {
        ' '..='~' => Kind::Shown,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Kind::Control,
        '\u{2028}' | '\u{2029}' => Kind::Space,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{2d7f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0000}'..='\u{e0fff}' => Kind::Invisible,
        _ => match UnicodeWidthChar::width(character) {
            Some(0) | None => Kind::Mark,
            Some(_) => Kind::Shown,
        },
    }
}

/// Whether SGR sequences are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Kept,
    Dropped,
}

/// Prints what is text and remembers its style.
pub(super) struct Painter {
    colours: Colours,
    style: TextStyle,
    segments: Vec<(TextStyle, String)>,
    /// For tab stops.
    column: usize,
    /// Marks since the last character that takes a column; `None` before the first such character.
    marks: Option<u8>,
    /// A carriage return was seen and nothing printed since.
    returned: bool,
}

impl Painter {
    /// Runs `text` through the parser. No part of the answer is empty, neighbours differ in style.
    pub(super) fn paint(text: &str, colours: Colours) -> Vec<(TextStyle, String)> {
        let mut painter = Self {
            colours,
            style: TextStyle::default(),
            segments: Vec::new(),
            column: 0,
            marks: None,
            returned: false,
        };
        feed(text, &mut painter);
        painter.segments
    }

    fn put(&mut self, character: char) {
        if self.returned {
            self.returned = false;
            self.segments.clear();
            self.column = 0;
            self.marks = None;
        }
        match self.segments.last_mut() {
            Some((style, part)) if *style == self.style => part.push(character),
            _ => self.segments.push((self.style, String::from(character))),
        }
    }

    fn space(&mut self, columns: usize) {
        for _ in 0..columns {
            self.put(' ');
        }
        self.column += columns;
        self.marks = Some(0);
    }
}

impl Perform for Painter {
    fn print(&mut self, character: char) {
        match kind(character) {
            Kind::Shown => {
                self.put(character);
                self.column += UnicodeWidthChar::width(character).unwrap_or(0);
                self.marks = Some(0);
            }
            Kind::Mark => {
                // After a carriage return there is nothing to sit on any more.
                if let Some(marks) = self.marks
                    && marks < MAX_MARKS
                    && !self.returned
                {
                    self.put(character);
                    self.marks = Some(marks + 1);
                }
            }
            Kind::Space => self.space(1),
            Kind::Control | Kind::Invisible => {}
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\t' => {
                if self.returned {
                    self.column = 0;
                }
                self.space(TAB - self.column % TAB);
            }
            b'\n' | 0x0b | 0x0c => self.space(1),
            b'\r' => self.returned = true,
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        if action == 'm' && intermediates.is_empty() && self.colours == Colours::Kept {
            self.style.apply(params.iter());
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        // IND and NEL begin a new line.
        if intermediates.is_empty() && matches!(byte, b'D' | b'E') {
            self.space(1);
        }
    }
}

const ESC: u8 = 0x1b;
const CAN: u8 = 0x18;

/// Feeds the parser: C1 controls (which it does not know in UTF-8) as the two-byte sequences they stand for (ECMA-48 §5.3), and
/// string sequences without an end cancelled at once, so that they swallow nothing.
fn feed(text: &str, painter: &mut Painter) {
    let bytes = text.as_bytes();
    let ends = Ends::of(bytes);
    let mut parser = Parser::new();
    let mut done = 0;
    for at in memchr::memchr2_iter(ESC, 0xc2, bytes) {
        if at < done {
            continue;
        }
        let Some(&next) = bytes.get(at + 1) else { continue };
        let code = match bytes[at] {
            ESC => next,
            _ if (0x80..=0x9f).contains(&next) => next - 0x40,
            _ => continue,
        };
        parser.advance(painter, &bytes[done..at]);
        done = at + 2;
        match code {
            b']' | b'P' | b'X' | b'^' | b'_' if !ends.follows(code, done) => parser.advance(painter, &[CAN]),
            // A multi-byte character or a second ESC: leave the second byte where it is.
            0x80.. | ESC => {
                parser.advance(painter, &[ESC]);
                done = at + 1;
            }
            _ => parser.advance(painter, &[ESC, code]),
        }
    }
    parser.advance(painter, &bytes[done..]);
}

/// Where the last byte is that can end a string sequence.
struct Ends {
    /// ESC, CAN, SUB, or the C1 string terminator.
    any: Option<usize>,
    /// BEL, which ends OSC only.
    bell: Option<usize>,
}

impl Ends {
    fn of(bytes: &[u8]) -> Self {
        let st = memchr::memmem::rfind(bytes, &[0xc2, 0x9c]);
        let any = memchr::memrchr3(ESC, CAN, 0x1a, bytes);
        Self { any: any.max(st), bell: memchr::memrchr(7, bytes) }
    }

    fn follows(&self, code: u8, from: usize) -> bool {
        let bell = if code == b']' { self.bell } else { None };
        self.any.max(bell).is_some_and(|end| end >= from)
    }
}
