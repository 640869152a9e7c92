//! The columns between a level and the message: process, thread, logger, place in the code.
//!
//! Promise: a word is the name of a logger only where something sets it apart: a colon, a rule, a tab, its points. Never: words of a sentence.

use super::{
    columns::{Columns, is_place},
    logfmt,
    marks::Mark,
    scan::{byte, cut, digits, find, has, is_name_byte, run},
    sink::Sink,
    stamp::Form,
    words::is_exception,
};

impl<'a, S: Sink<'a>> Columns<'a, '_, S> {
    /// A column behind the level.
    pub(super) fn behind(&mut self, at: usize) -> Option<usize> {
        match self.bytes[at] {
            b'[' => self.bracket(at),
            b'<' => self.angle(at),
            b'(' => {
                let close = find(self.bytes, at + 1, b')', 48).filter(|close| byte(self.bytes, close + 1) == b':')?;
                let text = cut(self.line, at + 1, close);
                let pid = text.rsplit('/').next().filter(|pid| digits(pid.as_bytes(), 0) == pid.len())?;
                self.note_pid(pid).then_some(close + 2)
            }
            b'0'..=b'9' if !self.is_timed() => self.number(at),
            b'0'..=b'9' => {
                let end = at + digits(self.bytes, at);
                (has(self.bytes, end, b" --- ") && self.note_pid(cut(self.line, at, end))).then_some(end)
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'/' | b'.' => self.logger(at),
            _ => None,
        }
    }

    /// The name of a logger, a place in the code, or a span, behind the level.
    fn logger(&mut self, at: usize) -> Option<usize> {
        let end = at + run(self.bytes, at, |byte| is_name_byte(byte) || matches!(byte, b'[' | b']' | b'<' | b'>'));
        let text = cut(self.line, at, end);
        if byte(self.bytes, end) == b'{' && self.marks.form == Some(Form::Iso) {
            return self.span(end);
        }
        if text.is_empty() || text.len() > 160 {
            return None;
        }
        let next = byte(self.bytes, end);
        if !matches!(next, b' ' | b'\t') {
            return None;
        }
        if let Some(end) = self.django(text, end).or_else(|| self.flask(text, end)) {
            return Some(end);
        }
        let name = text.strip_suffix(':').unwrap_or(text);
        if is_place(name.as_bytes()) && self.is_timed() {
            self.note_place(name);
            return Some(end);
        }
        if self.has_logger || is_exception(name.as_bytes()) || !self.is_logger(name, name.len() < text.len(), end) {
            return None;
        }
        self.has_logger = true;
        self.sink.add("logger", name);
        Some(end)
    }

    /// `logger 123 456 ` behind level and time.
    fn django(&mut self, text: &'a str, end: usize) -> Option<usize> {
        if self.marks.form != Some(Form::Comma) || self.has_pid || self.has_logger {
            return None;
        }
        let first = end + 1 + digits(self.bytes, end + 1);
        let second = first + 1 + digits(self.bytes, first + 1);
        if first == end + 1 || second == first + 1 || self.bytes[first] != b' ' || byte(self.bytes, second) != b' ' {
            return None;
        }
        self.marks.set(Mark::Django);
        (self.has_pid, self.has_logger) = (true, true);
        self.sink.add("logger", text);
        self.sink.add("pid", cut(self.line, end + 1, first));
        self.sink.add("thread", cut(self.line, first + 1, second));
        Some(second)
    }

    /// `in logger: ` behind level and time, as Flask writes it.
    fn flask(&mut self, text: &str, end: usize) -> Option<usize> {
        if text != "in" || self.has_logger || !self.marks.has(Mark::BoxedTime) {
            return None;
        }
        let colon = end + 1 + run(self.bytes, end + 1, |byte| byte != b':' && is_name_byte(byte));
        if !has(self.bytes, colon, b": ") {
            return None;
        }
        self.has_logger = true;
        self.marks.set(Mark::Target);
        self.sink.add("logger", cut(self.line, end + 1, colon));
        Some(colon + 1)
    }

    /// True where a word behind a level is the name of a logger.
    fn is_logger(&mut self, name: &str, colon: bool, end: usize) -> bool {
        let dotted = name.contains(['.', '_']) || name.contains("::");
        if colon {
            let target =
                dotted || name.contains(['/', '-']) || matches!(self.marks.form, Some(Form::Iso | Form::Comma));
            let small = name.starts_with(|first: char| first.is_ascii_lowercase());
            let fits = target && (small || dotted) && self.is_timed();
            if fits {
                self.marks.set(Mark::Target);
            }
            return fits;
        }
        if self.marks.has(Mark::Tab) {
            return byte(self.bytes, end) == b'\t';
        }
        let spaces = run(self.bytes, end, |byte| byte == b' ');
        if self.marks.has(Mark::Rule) {
            return has(self.bytes, end + spaces, b": ");
        }
        let threaded = self.marks.has(Mark::Thread) || self.marks.has(Mark::Pipe);
        if has(self.bytes, end + spaces, b"- ") {
            return dotted || threaded || self.marks.form == Some(Form::Comma);
        }
        // Tomcat and OpenStack: nothing behind a name that no sentence has.
        let points = name.bytes().filter(|byte| *byte == b'.').count();
        self.is_timed()
            && (points >= 2 || (points == 1 && self.has_pid))
            && name.starts_with(|first: char| first.is_ascii_lowercase())
    }

    /// `name{key=value}:` of Rust's tracing; the bracket is at `at`.
    fn span(&mut self, at: usize) -> Option<usize> {
        let reach = &self.bytes[at..self.bytes.len().min(at + 512)];
        let close = at + memchr::memmem::find(reach, b"}:")?;
        if S::WANTED {
            let mut inner = cut(self.line, at + 1, close);
            while let Some((name, value, end)) = logfmt::pair(inner, 0) {
                self.sink.add(name, value);
                inner = inner.get(end..).unwrap_or_default().trim_ascii_start();
            }
        }
        Some(close + 2)
    }
}
