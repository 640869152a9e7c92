//! The columns of a head, one after another.
//!
//! Promise: what was taken for a column before a level is given back where no level comes. Never: more than [`MOST`] columns.

use super::{
    logfmt,
    marks::{Mark, Marks},
    scan::{byte, cut, digits, find, has, is_name_byte, run, word_end},
    sink::Sink,
    stamp::stamp,
    time::LineTime,
    words::{inside, is_exception, marker},
};
use crate::model::level::Level;

/// Columns of a head.
const MOST: usize = 10;
/// How far a bracket may reach.
const BRACKET: usize = 160;

/// Reads columns.
pub(super) struct Columns<'a, 's, S> {
    /// The line.
    pub(super) line: &'a str,
    /// Its bytes.
    pub(super) bytes: &'a [u8],
    /// Where fields go.
    pub(super) sink: &'s mut S,
    /// Where the message begins, as far as is known.
    pub(super) at: usize,
    /// The time.
    pub(super) time: Option<LineTime>,
    /// The level.
    pub(super) level: Option<Level>,
    /// What was seen.
    pub(super) marks: Marks,
    /// A word before the level that nothing sets apart.
    bare: bool,
    /// A process is known.
    pub(super) has_pid: bool,
    /// A logger is known.
    pub(super) has_logger: bool,
}

impl<'a, 's, S: Sink<'a>> Columns<'a, 's, S> {
    /// From a place on.
    pub(super) fn new(line: &'a str, at: usize, sink: &'s mut S) -> Self {
        let (bytes, marks) = (line.as_bytes(), Marks::default());
        Self { line, bytes, sink, at, time: None, level: None, marks, bare: false, has_pid: false, has_logger: false }
    }

    /// Reads up to the message.
    pub(super) fn read(&mut self) {
        let (start, mark, marks) = (self.at, self.sink.count(), self.marks);
        for _ in 0..MOST {
            let from = self.gap(self.at);
            if from >= self.bytes.len() {
                break;
            }
            let next = if self.level.is_none() { self.before(from) } else { self.behind(from) };
            let Some(next) = next else { break };
            self.at = next;
        }
        if self.level.is_none() {
            (self.at, self.marks) = (start, marks);
            self.sink.cut(mark);
        } else {
            self.at = self.gap(self.at);
        }
    }

    /// Spaces and rules: where the next column begins.
    fn gap(&mut self, mut at: usize) -> usize {
        loop {
            match byte(self.bytes, at) {
                b' ' => at += 1,
                b'\t' => {
                    self.marks.set(Mark::Tab);
                    at += 1;
                }
                b'|' if self.is_timed() || byte(self.bytes, at + 1) == b' ' => {
                    self.marks.set(Mark::Pipe);
                    at += 1;
                }
                b'-' if at > 0 => {
                    let len = run(self.bytes, at, |byte| byte == b'-');
                    if len > 3 || byte(self.bytes, at + len) != b' ' {
                        return at;
                    }
                    self.marks.set(if len == 3 { Mark::Rule } else { Mark::Dash });
                    at += len;
                }
                b':' | b'>' if self.level.is_some() && has(self.bytes, at + 1, b" ") => at += 1,
                _ => return at,
            }
        }
    }

    pub(super) fn is_timed(&self) -> bool {
        self.time.is_some()
    }

    /// A column before the level: where it ends.
    fn before(&mut self, at: usize) -> Option<usize> {
        match self.bytes[at] {
            b'[' => self.bracket(at),
            b'<' => self.angle(at),
            b'{' if self.is_timed() => {
                let close = find(self.bytes, at, b'}', BRACKET)?;
                self.note_place(cut(self.line, at + 1, close));
                Some(close + 1)
            }
            b'0'..=b'9' => self.number(at),
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'/' | b'.' | b'"' | b'*' | b'#' | 0x80.. => self.word(at),
            _ => None,
        }
    }

    /// `[…]`: a level, a time, a process, a thread, a logger.
    pub(super) fn bracket(&mut self, at: usize) -> Option<usize> {
        let close = find(self.bytes, at + 1, b']', BRACKET)?;
        let text = cut(self.line, at + 1, close);
        let colon = usize::from(byte(self.bytes, close + 1) == b':');
        let end = close + 1 + colon;
        if self.level.is_none()
            && let Some(level) = self.level_inside(text)
        {
            self.level = Some(level);
            self.marks.set(Mark::Bracketed);
            return Some(end);
        }
        if self.time.is_none()
            && let Some(stamp) = stamp(text.as_bytes()).filter(|stamp| stamp.len == text.len())
        {
            self.time = Some(stamp.time);
            self.marks.form = Some(stamp.form);
            return Some(end);
        }
        if self.marks.has(Mark::Rule) {
            return Some(self.spring(text.trim_ascii(), end));
        }
        let text = text.trim_ascii();
        if self.note_bracket(text, is_rule(self.bytes, end)) {
            return Some(end);
        }
        // The name of a thread may have spaces; behind it stands the name of a class.
        let next = cut(self.line, end + 1, word_end(self.bytes, (end + 1).min(self.bytes.len())));
        let fits = text.contains(' ')
            && !self.marks.has(Mark::Thread)
            && next.bytes().filter(|byte| *byte == b'.').count() >= 2
            && next.starts_with(|first: char| first.is_ascii_lowercase());
        if fits {
            self.marks.set(Mark::Thread);
            self.sink.add("thread", text);
        }
        fits.then_some(end)
    }

    /// `[shop] [main] [trace-span]` of Spring: the thread is there always, the application before it and the trace behind it may be.
    fn spring(&mut self, text: &'a str, end: usize) -> usize {
        let is_trace =
            |text: &str| text.trim_ascii().bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b','));
        let next = if has(self.bytes, end, b" [") { find(self.bytes, end + 2, b']', BRACKET) } else { None };
        let name = match next.map(|close| cut(self.line, end + 2, close)) {
            _ if is_trace(text) => "trace",
            Some(next) if !is_trace(next) => "application",
            Some(_) | None => "thread",
        };
        if !text.is_empty() {
            self.sink.add(name, text);
        }
        end
    }

    fn level_inside(&mut self, text: &str) -> Option<Level> {
        if let Some((word, _)) = text.split_once('/') {
            let level = inside(word, self.is_timed()).filter(|_| word.bytes().all(|byte| byte.is_ascii_uppercase()))?;
            self.marks.set(Mark::Slash);
            return Some(level);
        }
        let level = inside(text, self.is_timed());
        if text.starts_with(|first: char| first.is_ascii_lowercase()) {
            self.marks.set(Mark::Small);
        }
        // MySQL has one more; it stands behind the number of a connection.
        level.or_else(|| (text == "System" && self.has_pid).then_some(Level::Info))
    }

    /// A text in brackets that is no level: false where it belongs to the message.
    fn note_bracket(&mut self, text: &'a str, ruled: bool) -> bool {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > 96 {
            return self.level.is_none();
        }
        if digits(bytes, 0) == bytes.len() {
            self.marks.set(Mark::BoxedPid);
            return self.note_pid(text) || self.level.is_none();
        }
        if text.starts_with("MY-") {
            self.marks.set(Mark::Code);
            self.sink.add("code", text);
            return true;
        }
        let is_name = bytes[0].is_ascii_alphabetic() && bytes.iter().all(|byte| is_name_byte(*byte) || *byte == b',');
        if !is_name {
            // Before a level anything may stand in brackets.
            return self.level.is_none();
        }
        if (text.contains('.') || (ruled && self.marks.has(Mark::Thread))) && !self.has_logger {
            self.has_logger = true;
            self.sink.add("logger", text);
        } else if !self.marks.has(Mark::Thread) {
            self.marks.set(Mark::Thread);
            self.sink.add(if self.marks.has(Mark::Code) { "subsystem" } else { "thread" }, text);
        } else {
            return self.level.is_none();
        }
        true
    }

    pub(super) fn note_pid(&mut self, text: &'a str) -> bool {
        if self.has_pid {
            return false;
        }
        self.has_pid = true;
        self.marks.set(Mark::Pid);
        self.sink.add("pid", text);
        true
    }

    pub(super) fn note_place(&mut self, text: &'a str) {
        if is_place(text.as_bytes()) && !self.marks.has(Mark::Place) {
            self.marks.set(Mark::Place);
            self.sink.add("caller", text);
        }
    }

    /// `<Error>`, `<0.222.0>`.
    pub(super) fn angle(&mut self, at: usize) -> Option<usize> {
        let close = find(self.bytes, at + 1, b'>', 32).filter(|_| self.is_timed())?;
        let text = cut(self.line, at + 1, close);
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text.contains('.') {
            self.marks.set(Mark::Erlang);
            self.note_pid(text);
            return Some(close + 1);
        }
        if self.level.is_none() {
            self.level = Some(inside(text, true)?);
            self.marks.set(Mark::Angle);
            return Some(close + 1);
        }
        None
    }

    /// A time, or the number of a process.
    pub(super) fn number(&mut self, at: usize) -> Option<usize> {
        if !self.is_timed() {
            let stamp = stamp(&self.bytes[at..])?;
            self.time = Some(stamp.time);
            self.marks.form = Some(stamp.form);
            return Some(at + stamp.len);
        }
        let end = at + digits(self.bytes, at);
        if !matches!(byte(self.bytes, end), b' ' | b'\t') || end - at > 10 || self.level.is_some() {
            return None;
        }
        self.note_pid(cut(self.line, at, end));
        Some(end)
    }

    /// A word before the level: the level itself, a pair, or the name of something.
    fn word(&mut self, at: usize) -> Option<usize> {
        let timed = self.is_timed();
        if let Some(found) = marker(self.bytes, at, timed).filter(|_| timed || !self.bare) {
            return Some(self.take_level(at, found.level, found.end));
        }
        let end = word_end(self.bytes, at);
        if end - at > 96 || end >= self.bytes.len() {
            return None;
        }
        if timed {
            if self.has_pid && end == at + 1 && self.bytes[at].is_ascii_uppercase() {
                // Android: one letter behind the numbers.
                self.level = Some(Level::of_word(cut(self.line, at, end))?);
                return Some(end);
            }
            if let Some((name, value, after)) = logfmt::pair(self.line, at) {
                self.sink.add(name, value);
                return Some(after);
            }
        }
        let text = cut(self.line, at, end);
        let name = text.strip_suffix(':').unwrap_or(text);
        let parted = name.len() < text.len() || is_rule(self.bytes, end);
        if !parted && (self.bare || !self.may_be_bare(text, end)) {
            return None;
        }
        self.bare |= !parted;
        self.name(name)?;
        Some(end)
    }

    /// True where a word that nothing sets apart may be a column: an identifier before a level or a time, and not a word of a sentence.
    fn may_be_bare(&self, text: &str, end: usize) -> bool {
        let next = byte(self.bytes, end + run(self.bytes, end, |byte| byte == b' '));
        if !self.is_timed() {
            return next.is_ascii_digit() && text.contains(['.', '-', '_', '/']);
        }
        let first = text.as_bytes()[0];
        (first.is_ascii_lowercase() || text.contains(['.', '_', '-', ':', '/']))
            && matches!(next, b'A'..=b'Z' | b'[' | b'<' | b'{')
    }

    /// A name before the level.
    fn name(&mut self, name: &'a str) -> Option<()> {
        if name.is_empty()
            || !name.bytes().all(|byte| is_name_byte(byte) || matches!(byte, b'[' | b']' | b'(' | b')' | b','))
        {
            return None;
        }
        // `ValueError: warning: …` is a message.
        if is_exception(name.as_bytes()) {
            return None;
        }
        if is_place(name.as_bytes()) {
            self.note_place(name);
        } else if !self.has_logger {
            // Before a time stands where the line is from.
            self.has_logger = self.is_timed() || !self.bare;
            self.sink.add(if self.has_logger { "logger" } else { "source" }, name);
        }
        Some(())
    }

    /// Takes a level, and the colon behind it; where names follow with colons and without spaces, those too.
    fn take_level(&mut self, at: usize, level: Level, end: usize) -> usize {
        self.level = Some(level);
        if self.bytes[at].is_ascii_lowercase() {
            self.marks.set(Mark::Small);
        }
        if end - at == 3 && &self.bytes[at..end] != b"LOG" {
            self.marks.set(Mark::Short);
        }
        if byte(self.bytes, end) != b':' {
            return end;
        }
        // Uvicorn fills the level up to ten columns.
        if at == 0 && has(self.bytes, end, b":  ") && run(self.bytes, end + 1, |byte| byte == b' ') + end + 1 == 10 {
            self.marks.set(Mark::Padded);
        }
        let name_end = end + 1 + run(self.bytes, end + 1, |byte| byte != b':' && is_name_byte(byte));
        if name_end > end + 1 && byte(self.bytes, name_end) == b':' && !self.has_logger {
            self.marks.set(Mark::Colons);
            self.has_logger = true;
            self.sink.add("logger", cut(self.line, end + 1, name_end));
            return name_end + 1;
        }
        end + 1
    }
}

/// True where ` - `, ` | ` follows.
fn is_rule(bytes: &[u8], at: usize) -> bool {
    let at = at + run(bytes, at, |byte| byte == b' ');
    let next = at + run(bytes, at, |byte| matches!(byte, b'-' | b'|'));
    next > at && next <= at + 3 && byte(bytes, next) == b' '
}

/// True where a text is a file and a line: `file.go:12`, `src/x.c:12:5`, `module:function:12`.
pub(super) fn is_place(text: &[u8]) -> bool {
    let line = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(stem) = text[..text.len() - line].strip_suffix(b":").filter(|_| (1..7).contains(&line)) else {
        return false;
    };
    let mut parts = stem.split(|byte| *byte == b':');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let extension = first.iter().rposition(|byte| *byte == b'.').map(|point| &first[point + 1..]);
    let is_file = extension.is_some_and(|extension| {
        extension.len() <= 6
            && extension.first().is_some_and(u8::is_ascii_alphabetic)
            && extension.iter().all(u8::is_ascii_alphanumeric)
    });
    let is_function =
        second.and_then(<[u8]>::first).is_some_and(|start| start.is_ascii_alphabetic() || matches!(start, b'_' | b'<'));
    is_file || is_function
}
