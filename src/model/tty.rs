//! What programs do to the terminal that they are shown on, as far as it must be undone when they are left, or done again where they
//! are looked at later.
//!
//! Promise: memory is bounded whatever comes, and sequences may be cut anywhere. Never answers a program, never changes what it wrote.

use std::{collections::BTreeMap, fmt::Write as _};

use vte::{Params, Parser, Perform};

/// Bytes of one sequence after which it is taken to have ended: nobody means it to be so long.
const LONGEST: usize = 64 * 1024;

/// Private modes that matter to whoever gets the terminal next, and whether they are on at first (xterm, "Control Sequences": DECSET).
const PRIVATE: [(u16, bool); 17] = [
    (1, false),    // application cursor keys
    (5, false),    // reverse video
    (6, false),    // origin
    (7, true),     // wrap
    (9, false),    // mouse, as X10 had it
    (25, true),    // cursor
    (66, false),   // application keypad
    (69, false),   // margins left and right
    (1000, false), // mouse: buttons
    (1002, false), // and drags
    (1003, false), // and every motion
    (1004, false), // focus
    (1005, false), // how the mouse is told
    (1006, false),
    (1015, false),
    (2004, false), // pasting in brackets
    (2026, false), // an update that shows at its end
];

/// The other screen, which is given back with what was on it.
const ALTERNATE: [u16; 3] = [47, 1047, 1049];

/// Colours that can be set (OSC), by the number that sets them; a hundred more resets them.
const COLOURS: [u16; 6] = [4, 10, 11, 12, 17, 19];

/// Why somebody has a service's terminal no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parted {
    /// By the key: the service goes on.
    LetGo,
    /// The service has ended, or begun anew.
    Ended,
    /// The engine does not answer any more; the service goes on.
    EngineGone,
    /// A signal of this number asked this process to end.
    Signalled(i32),
}

/// What differs from a fresh terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of a terminal, and they are independent")]
struct State {
    private: BTreeMap<u16, bool>,
    is_alternate: bool,
    inserts: bool,
    keypad: bool,
    region: bool,
    charset: bool,
    cursor_shape: Option<u16>,
    modified_keys: Option<u16>,
    /// Flags of the newest entry, and how many were put there (kitty, "keyboard protocol").
    keys: Option<u16>,
    pushed: u16,
    colours: Vec<u16>,
}

impl State {
    fn set(&mut self, mode: u16, on: bool) {
        if ALTERNATE.contains(&mode) {
            self.is_alternate = on;
        } else if let Some((_, at_first)) = PRIVATE.iter().find(|(known, _)| *known == mode) {
            if on == *at_first {
                self.private.remove(&mode);
            } else {
                self.private.insert(mode, on);
            }
        }
    }

    fn csi(&mut self, params: &Params, intermediates: &[u8], action: char) {
        let first = number(params, 0);
        match (intermediates, action) {
            (b"?", 'h' | 'l') => params.iter().flatten().for_each(|mode| self.set(*mode, action == 'h')),
            (b"", 'h' | 'l') if first == 4 => self.inserts = action == 'h',
            (b"", 'r') => self.region = first > 1 || number(params, 1) > 0,
            (b" ", 'q') => self.cursor_shape = (first > 0).then_some(first),
            (b">", 'm') if first == 4 => self.modified_keys = Some(number(params, 1)).filter(|level| *level > 0),
            (b">", 'u') => {
                self.keys = Some(first);
                self.pushed = self.pushed.saturating_add(1);
            }
            (b"=", 'u') => self.keys = Some(first),
            (b"<", 'u') => {
                self.pushed = self.pushed.saturating_sub(first.max(1));
                self.keys = self.keys.filter(|_| self.pushed > 0);
            }
            // A soft reset.
            (b"!", 'p') => {
                for mode in [1, 6, 25, 66] {
                    self.private.remove(&mode);
                }
                (self.inserts, self.keypad, self.region, self.charset) = (false, false, false, false);
            }
            _ => {}
        }
    }

    fn esc(&mut self, intermediates: &[u8], byte: u8) {
        match (intermediates, byte) {
            (b"", b'=' | b'>') => self.keypad = byte == b'=',
            (b"", b'c') => *self = Self::default(),
            (b"(" | b")", set) => self.charset = set != b'B',
            _ => {}
        }
    }

    fn osc(&mut self, params: &[&[u8]]) {
        let Some(number) = params.first().and_then(|first| std::str::from_utf8(first).ok()?.parse::<u16>().ok()) else {
            return;
        };
        let is_question = params.last().is_some_and(|last| *last == b"?");
        if COLOURS.contains(&number) && !is_question && !self.colours.contains(&number) {
            self.colours.push(number);
        } else if let Some(reset) = number.checked_sub(100) {
            self.colours.retain(|colour| *colour != reset);
        }
    }

    /// Makes a fresh terminal as this one. Margins and character sets are left out: who draws anew sets them.
    fn assumed(&self) -> String {
        let mut out = String::new();
        if self.is_alternate {
            out.push_str("\x1b[?1049h\x1b[H\x1b[2J");
        }
        for (mode, on) in &self.private {
            put(&mut out, format_args!("\x1b[?{mode}{}", if *on { 'h' } else { 'l' }));
        }
        if self.keypad {
            out.push_str("\x1b=");
        }
        if let Some(shape) = self.cursor_shape {
            put(&mut out, format_args!("\x1b[{shape} q"));
        }
        if let Some(level) = self.modified_keys {
            put(&mut out, format_args!("\x1b[>4;{level}m"));
        }
        if let Some(flags) = self.keys {
            put(&mut out, format_args!("\x1b[>{flags}u"));
        }
        out
    }

    /// Makes this terminal a fresh one.
    fn undone(&self) -> String {
        // What was cut short ends; colours end.
        let mut out = String::from("\x1b\\\x1b[0m");
        if self.region {
            out.push_str("\x1b7\x1b[r\x1b8");
        }
        if self.charset {
            out.push_str("\x1b(B\x1b)B\x0f");
        }
        if self.inserts {
            out.push_str("\x1b[4l");
        }
        if self.keypad {
            out.push_str("\x1b>");
        }
        if self.cursor_shape.is_some() {
            out.push_str("\x1b[0 q");
        }
        if self.modified_keys.is_some() {
            out.push_str("\x1b[>4m");
        }
        match (self.pushed, self.keys) {
            (0, Some(_)) => out.push_str("\x1b[=0u"),
            (0, None) => {}
            (pushed, _) => put(&mut out, format_args!("\x1b[<{pushed}u")),
        }
        for colour in &self.colours {
            put(&mut out, format_args!("\x1b]{}\x1b\\", colour + 100));
        }
        for (mode, on) in &self.private {
            put(&mut out, format_args!("\x1b[?{mode}{}", if *on { 'l' } else { 'h' }));
        }
        if self.is_alternate {
            out.push_str("\x1b[?1049l");
        }
        out
    }
}

fn number(params: &Params, at: usize) -> u16 {
    params.iter().nth(at).and_then(|values| values.first().copied()).unwrap_or(0)
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _written = out.write_fmt(text);
}

/// Feeds a parser that would keep a sequence without an end for ever.
struct Feed {
    parser: Parser,
    /// Bytes since something came of them.
    silent: usize,
}

impl Feed {
    fn advance(&mut self, to: &mut impl Heard, bytes: &[u8]) {
        const CAN: u8 = 0x18;
        for piece in bytes.chunks(LONGEST) {
            self.parser.advance(to, piece);
            self.silent = if to.take_heard() { 0 } else { self.silent + piece.len() };
            if self.silent >= LONGEST {
                self.parser.advance(to, &[CAN]);
                self.silent = 0;
            }
        }
    }
}

/// Says whether anything came of what was fed.
trait Heard: Perform {
    fn take_heard(&mut self) -> bool;
}

/// Goes along with what a program writes, to undo it.
pub struct Watched {
    feed: Feed,
    state: Noted,
}

#[derive(Default)]
struct Noted {
    state: State,
    heard: bool,
}

impl Default for Watched {
    fn default() -> Self {
        Self { feed: Feed { parser: Parser::new(), silent: 0 }, state: Noted::default() }
    }
}

impl Watched {
    /// The terminal has got these bytes.
    pub fn saw(&mut self, bytes: &[u8]) {
        self.feed.advance(&mut self.state, bytes);
    }

    /// What gives the terminal back as it was before the first of them; a sequence that was cut short is ended by it.
    #[must_use]
    pub fn undo(&self) -> String {
        self.state.state.undone()
    }

    /// The program shows itself on the other screen: what was there before comes back with [`Self::undo`], cursor included.
    #[must_use]
    pub const fn is_alternate(&self) -> bool {
        self.state.state.is_alternate
    }
}

impl Heard for Noted {
    fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }
}

impl Perform for Noted {
    fn print(&mut self, _character: char) {
        self.heard = true;
    }
    fn execute(&mut self, _byte: u8) {
        self.heard = true;
    }
    fn put(&mut self, _byte: u8) {
        self.heard = true;
    }
    fn osc_dispatch(&mut self, params: &[&[u8]], _bell: bool) {
        self.heard = true;
        self.state.osc(params);
    }
    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        self.heard = true;
        self.state.csi(params, intermediates, action);
    }
    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        self.heard = true;
        self.state.esc(intermediates, byte);
    }
}

/// What a program wrote before somebody looks: the last of its text, and how it wants the terminal.
pub struct Past {
    feed: Feed,
    told: Told,
}

struct Told {
    noted: Noted,
    /// Text, colours and moves within a line; nothing that a terminal would answer.
    text: String,
    most: usize,
    /// It moves about the screen.
    roams: bool,
}

impl Past {
    /// Of which about `most` bytes of text are kept.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let told = Told { noted: Noted::default(), text: String::new(), most, roams: false };
        Self { feed: Feed { parser: Parser::new(), silent: 0 }, told }
    }

    /// The program wrote these bytes.
    pub fn saw(&mut self, bytes: &[u8]) {
        self.feed.advance(&mut self.told, bytes);
    }

    /// For a fresh terminal. Holds no question, so that the terminal types no answer into the program.
    #[must_use]
    pub fn show(&self) -> String {
        let state = &self.told.noted.state;
        let mut out = if state.is_alternate { String::new() } else { self.told.newest().to_owned() };
        out.push_str(&state.assumed());
        out
    }

    /// What is on its screen cannot be told from its text: it has to draw it again.
    #[must_use]
    pub const fn must_draw(&self) -> bool {
        self.told.noted.state.is_alternate || self.told.roams
    }
}

impl Told {
    fn newest(&self) -> &str {
        if self.text.len() <= self.most {
            return &self.text;
        }
        let from = self.text.floor_char_boundary(self.text.len() - self.most);
        // From the beginning of a line, if there is one: so no sequence is cut.
        let rest = &self.text[from..];
        rest.split_once('\n').map_or("", |(_, whole)| whole)
    }

    fn keep(&mut self, text: std::fmt::Arguments<'_>) {
        self.noted.heard = true;
        if self.noted.state.is_alternate {
            return;
        }
        put(&mut self.text, text);
        if self.text.len() > self.most * 4 {
            self.text = self.newest().to_owned();
        }
    }
}

impl Heard for Told {
    fn take_heard(&mut self) -> bool {
        self.noted.take_heard()
    }
}

impl Perform for Told {
    fn print(&mut self, character: char) {
        self.keep(format_args!("{character}"));
    }

    fn execute(&mut self, byte: u8) {
        self.noted.heard = true;
        if matches!(byte, b'\n' | b'\r' | b'\t' | 0x08) {
            self.keep(format_args!("{}", char::from(byte)));
        }
    }

    fn put(&mut self, byte: u8) {
        self.noted.put(byte);
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], bell: bool) {
        self.noted.osc_dispatch(params, bell);
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        self.noted.csi_dispatch(params, intermediates, ignore, action);
        if !intermediates.is_empty() || ignore {
            return;
        }
        match action {
            'm' | 'C' | 'D' | 'G' | 'K' | 'P' | '@' | 'X' => {
                let mut sequence = String::from("\x1b[");
                for (at, values) in params.iter().enumerate() {
                    for (sub, value) in values.iter().enumerate() {
                        let before = if sub > 0 {
                            ":"
                        } else if at > 0 {
                            ";"
                        } else {
                            ""
                        };
                        put(&mut sequence, format_args!("{before}{value}"));
                    }
                }
                self.keep(format_args!("{sequence}{action}"));
            }
            'H' | 'f' | 'd' | 'A' | 'B' | 'L' | 'M' | 'S' | 'T' => {
                self.roams |= !self.noted.state.is_alternate;
                if matches!(action, 'H' | 'f') {
                    self.text.clear();
                }
            }
            'J' if number(params, 0) >= 2 => self.text.clear(),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        self.noted.esc_dispatch(intermediates, ignore, byte);
        if (intermediates, byte) == (b"", b'c') {
            self.text.clear();
            self.roams = false;
        }
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("state", &self.state.state).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Past {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Past").field("state", &self.told.noted.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
