//! Which lines belong together: tracebacks, objects over several lines, what is indented.
//!
//! Promise: the answer comes at once, one line never waits for the next; an entry has at most [`LONGEST`] lines; memory does not grow. A stream whose habit is to
//! indent does not become one entry. Never: more than the start of a line.

use super::{
    recognise::recognise,
    scan::{digits, has, word_end},
    servers,
    sink::Quiet,
    stamp::{Form, stamp},
    traces::{
        GROUP, TRACEBACK, has_head, is_caret, is_chain, is_code, is_exception_line, is_frame, is_go, is_goroutine,
        is_node_place, is_python_end, is_ruby_place,
    },
};
use crate::model::level::Level;

/// Lines of an entry.
pub(super) const LONGEST: u32 = 500;
/// Bytes of a line that are looked at.
const LOOK: usize = 512;
/// Bytes of the first line of an entry that are kept.
const KEPT: usize = 192;
/// Of the last 64 lines, how many are indented where indentation is a habit.
const HABIT: u32 = 56;

/// Whether a line begins an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Belongs {
    /// It begins an entry.
    New,
    /// It is part of the entry that began before it.
    Continues,
}

/// What the lines so far are, as far as that tells what may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A line like any other.
    Plain,
    /// A blank line.
    Blank,
    /// An exception or an error that may have blank lines and causes.
    Loose,
    /// The calls of a traceback of Python.
    Python,
    /// Behind its exception.
    PythonEnd,
    /// Behind a blank line after that.
    PythonGap,
    /// Behind the words that join two tracebacks.
    PythonChain,
    /// A panic of Go.
    Go,
    /// Before the message of a panic of Rust.
    RustMessage,
    /// Behind it.
    Rust,
    /// Node's place of the code that threw, and how many lines of it were seen.
    Node(u8),
    /// An exception of Java.
    Java,
    /// An exception of PHP.
    Php,
    /// An exception of Elixir.
    Elixir,
    /// A report of Erlang.
    Erlang,
    /// An exception of Rails, whose places are not indented.
    Rails,
    /// The first line of `java.util.logging`.
    Jul,
    /// The second.
    JulMessage,
}

/// Tells, line by line, what belongs together. One is for one stream of one service, fed in order.
#[derive(Debug, Clone)]
pub struct Joiner {
    state: State,
    /// Lines of the entry so far.
    lines: u32,
    /// The entry has a bracket at the end of a line that is not closed yet.
    open: bool,
    /// The first line of the entry is indented.
    indented: bool,
    /// Of the last lines, whether they were indented.
    habit: u64,
    /// The start of the first line of the entry.
    head: [u8; KEPT],
    head_len: usize,
}

impl Default for Joiner {
    fn default() -> Self {
        Self::new()
    }
}

impl Joiner {
    /// Before the first line.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Blank, lines: 0, open: false, indented: false, habit: 0, head: [0; KEPT], head_len: 0 }
    }

    /// Takes the next line: without its end, without escape sequences.
    pub fn feed(&mut self, line: &str) -> Belongs {
        let bytes = line.as_bytes();
        let bytes = &bytes[..bytes.len().min(LOOK)];
        let indent = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
        let text = &bytes[indent..];
        let continues = self.lines > 0 && self.lines < LONGEST && self.continues(text, indent > 0);
        if !text.is_empty() {
            self.habit = self.habit << 1 | u64::from(indent > 0);
        }
        if continues {
            self.lines += 1;
        } else {
            self.begin(line, text, indent > 0);
        }
        match line.as_bytes().last() {
            Some(b'{' | b'[' | b'(') => self.open = true,
            Some(_) if indent == 0 && continues && matches!(text.first(), Some(b'}' | b']' | b')')) => {
                self.open = false;
            }
            Some(_) | None => {}
        }
        if continues { Belongs::Continues } else { Belongs::New }
    }

    fn begin(&mut self, line: &str, text: &[u8], indented: bool) {
        self.lines = 1;
        self.open = false;
        self.indented = indented;
        self.state = first(text, indented);
        let head = &line.as_bytes()[..line.floor_char_boundary(KEPT)];
        self.head[..head.len()].copy_from_slice(head);
        self.head_len = head.len();
    }

    fn continues(&mut self, text: &[u8], indented: bool) -> bool {
        if text.is_empty() {
            return self.blank();
        }
        if indented {
            return self.deeper(text);
        }
        let within = match self.state {
            State::Plain | State::Blank => false,
            State::Python | State::PythonEnd | State::PythonGap | State::PythonChain => self.python(text),
            State::RustMessage => self.becomes(State::Rust, true),
            State::Rust => text.starts_with(b"note: ") || text.starts_with(b"stack backtrace:"),
            State::Go => is_go(text),
            State::Node(step) => self.node(step, text),
            State::Loose => {
                text.starts_with(b"Node.js v")
                    || text.starts_with(b"Stack backtrace:")
                    || text.starts_with(b"Location:")
            }
            State::Php => is_php(text),
            State::Elixir => text.starts_with(b"Last message") || text.starts_with(b"State: "),
            State::Erlang => !text.starts_with(b"="),
            State::Rails => is_ruby_place(text),
            State::Jul => {
                let level = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
                self.becomes(State::JulMessage, level > 3 && has(text, level, b": "))
            }
            State::JulMessage => self.becomes(State::Java, is_exception_line(text)),
            State::Java => false,
        };
        within || self.follows(text)
    }

    /// Goes on as `state` if `holds`.
    fn becomes(&mut self, state: State, holds: bool) -> bool {
        if holds {
            self.state = state;
        }
        holds
    }

    /// A line of blanks only.
    fn blank(&mut self) -> bool {
        match self.state {
            State::PythonEnd | State::PythonGap => self.becomes(State::PythonGap, true),
            State::Loose | State::Go | State::Php | State::Rails | State::Node(2..) | State::PythonChain => true,
            State::Erlang => false,
            State::Plain
            | State::Blank
            | State::Python
            | State::RustMessage
            | State::Rust
            | State::Node(_)
            | State::Java
            | State::Elixir
            | State::Jul
            | State::JulMessage => self.open,
        }
    }

    /// A line that is indented.
    fn deeper(&mut self, text: &[u8]) -> bool {
        match self.state {
            State::RustMessage => return self.becomes(State::Rust, true),
            State::Node(step) => return self.node(step, text),
            State::PythonGap | State::PythonChain => {
                // The frame of a group goes on behind a blank line.
                return self.becomes(State::Python, matches!(text[0], b'|' | b'+'));
            }
            State::Python
            | State::PythonEnd
            | State::Go
            | State::Rust
            | State::Java
            | State::Php
            | State::Elixir
            | State::Erlang
            | State::Rails => return true,
            State::Plain | State::Blank | State::Loose | State::Jul | State::JulMessage => {}
        }
        if is_frame(text) || (self.open && !has_head(text)) {
            return true;
        }
        if text.starts_with(GROUP) {
            let bad = self.is_bad();
            return self.becomes(State::Python, bad);
        }
        let habit = self.habit.count_ones() >= HABIT;
        !self.indented && self.state != State::Blank && !habit && !has_head(text)
    }

    /// A line of Python that is not indented.
    fn python(&mut self, text: &[u8]) -> bool {
        let (calls, end) = (self.state == State::Python, self.state == State::PythonEnd);
        let gap = self.state == State::PythonGap;
        if text.starts_with(TRACEBACK) {
            return self.becomes(State::Python, calls || self.state == State::PythonChain);
        }
        if calls {
            // Without a call there was no traceback; what stands there is another line.
            return self.becomes(State::PythonEnd, self.lines > 1 && (is_python_end(text) || is_ruby_place(text)));
        }
        if is_chain(text) {
            return self.becomes(State::PythonChain, end || gap);
        }
        self.becomes(State::PythonEnd, (end || gap) && is_sqlalchemy(text))
    }

    /// The lines behind a place of Node: code, marks, a blank line, the error.
    fn node(&mut self, step: u8, text: &[u8]) -> bool {
        let fits = match step {
            0 => !has_head(text),
            1 => is_caret(text),
            2.. => !has_head(text) || text.starts_with(b"Error"),
        };
        let next = match step {
            0 => State::Node(1),
            1 => State::Node(2),
            2.. => State::Loose,
        };
        if !fits {
            self.state = State::Plain;
        }
        self.becomes(next, fits)
    }

    /// A line that is not indented and belongs to the entry before it, whatever that is.
    fn follows(&mut self, text: &[u8]) -> bool {
        if self.state == State::Blank {
            return false;
        }
        match text[0] {
            b'}' | b']' | b')' => self.open,
            b'C' if text.starts_with(b"Caused by:") => self.becomes(State::Java, true),
            b'S' if text.starts_with(b"Stack trace:") => self.becomes(State::Php, true),
            b'P' if text.starts_with(b"PHP Stack trace:") => true,
            b'P' if text.starts_with(b"PHP   ") => true,
            b'[' if text.starts_with(b"[stacktrace]") || text.starts_with(b"[previous exception]") => {
                self.becomes(State::Php, true)
            }
            b's' if text.starts_with(b"stack backtrace:") => self.becomes(State::Rust, true),
            b'g' if is_goroutine(text) => self.becomes(State::Go, true),
            b'-' => text.starts_with(b"--- End of "),
            b'#' if text.starts_with(b"#0 ") => self.becomes(State::Php, true),
            b'*' if text.starts_with(b"** (") => {
                let bad = self.is_bad();
                self.becomes(State::Elixir, bad)
            }
            b'(' => text.starts_with(b"(Use `node --trace") && self.head.starts_with(b"(node:"),
            b'T' if text.starts_with(TRACEBACK) => {
                let bad = self.is_bad();
                self.becomes(State::Python, bad)
            }
            b'0'..=b'9' => (self.lines > 1 && is_code(text)) || self.is_postgres(text),
            b'A'..=b'Z' if is_more(text) => true,
            b'A'..=b'Z' | b'a'..=b'z' if self.lines == 1 && is_exception_line(text) => {
                let bad = self.is_bad();
                self.becomes(State::Java, bad)
            }
            _ => false,
        }
    }

    fn head(&self) -> &str {
        std::str::from_utf8(&self.head[..self.head_len]).unwrap_or_default()
    }

    /// True where the first line of the entry tells of trouble and is no exception itself: loggers write the exception behind it.
    fn is_bad(&self) -> bool {
        if self.state != State::Plain {
            return false;
        }
        recognise(self.head(), true, &mut Quiet).level >= Some(Level::Warn)
    }

    /// True where a line of PostgreSQL says more about the entry: with a label for that, and from the same process.
    fn is_postgres(&self, text: &[u8]) -> bool {
        let Some(label) = servers::label(text, 0).filter(|label| label.is_more) else { return false };
        let Some(known) = servers::label(self.head().as_bytes(), 0) else { return false };
        let is_timed = |bytes: &[u8]| stamp(bytes).is_some();
        is_timed(text)
            && is_timed(self.head().as_bytes())
            && process(&text[..label.start]) == process(&self.head().as_bytes()[..known.start])
    }
}

/// What stands in the first brackets with digits only.
fn process(prefix: &[u8]) -> Option<&[u8]> {
    memchr::memchr_iter(b'[', prefix).find_map(|at| {
        let len = digits(prefix, at + 1);
        (len > 0 && prefix.get(at + 1 + len) == Some(&b']')).then(|| &prefix[at + 1..at + 1 + len])
    })
}

/// A line of PostgreSQL without a time that says more about the one before it.
fn is_more(text: &[u8]) -> bool {
    let end = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    match &text[..end] {
        b"DETAIL" | b"HINT" | b"STATEMENT" | b"CONTEXT" | b"QUERY" | b"LOCATION" => has(text, end, b":  "),
        b"LINE" => has(text, end + 1 + digits(text, end + 1), b": "),
        _ => false,
    }
}

/// What `SQLAlchemy` writes behind an exception.
fn is_sqlalchemy(text: &[u8]) -> bool {
    [&b"[SQL: "[..], b"[parameters: ", b"(Background on this error"].iter().any(|start| text.starts_with(start))
}

fn is_php(text: &[u8]) -> bool {
    (text[0] == b'#' && digits(text, 1) > 0) || text.starts_with(b"\"}") || text.starts_with(b"Next ")
}

/// What a first line begins.
fn first(text: &[u8], indented: bool) -> State {
    let Some(start) = text.first() else { return State::Blank };
    match start {
        b'T' if text.starts_with(TRACEBACK) => State::Python,
        b'+' if text.starts_with(GROUP) => State::Python,
        b'p' if text.starts_with(b"panic: ") => State::Go,
        b'f' if text.starts_with(b"fatal error: ") => State::Go,
        b't' if text.starts_with(b"thread '") && memchr::memmem::find(text, b" panicked at ").is_some() => {
            if text.ends_with(b":") { State::RustMessage } else { State::Rust }
        }
        b'*' if text.starts_with(b"** (") => State::Elixir,
        b'=' if text.starts_with(b"=ERROR REPORT===") || text.starts_with(b"=CRASH REPORT===") => State::Erlang,
        b'/' | b'n' | b'f' if !indented && is_node_place(text) => State::Node(0),
        b'E' if text.starts_with(b"Error: ") => State::Loose,
        b'A'..=b'Z' if !indented && is_rails(text) => State::Rails,
        b'A'..=b'Z' if is_exception_line(text) => State::Loose,
        b'A'..=b'Z' if is_jul(text) => State::Jul,
        b'A'..=b'Z' if has(text, 1, b":\\") && is_node_place(text) => State::Node(0),
        b'a'..=b'z' if is_exception_line(text) => State::Java,
        _ => State::Plain,
    }
}

/// `ActiveRecord::RecordNotFound (Couldn't find User):`.
fn is_rails(text: &[u8]) -> bool {
    text.ends_with(b"):")
        && has(text, text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b':').count(), b" (")
}

/// `Nov 29, 2026 10:00:00 AM org.shop.Server start`.
fn is_jul(text: &[u8]) -> bool {
    if !matches!(text.get(3..7), Some([b' ', _, b',', _] | [b' ', _, _, b','])) {
        return false;
    }
    stamp(text).filter(|stamp| stamp.form == Form::Jul).is_some_and(|stamp| {
        let class = stamp.len + 1;
        let end = word_end(text, class.min(text.len()));
        end < text.len() && word_end(text, end + 1) == text.len()
    })
}
