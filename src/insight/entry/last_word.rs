//! The line of an entry that says most: of a traceback the exception, not that there is a traceback.

use super::{
    loggers,
    sink::Quiet,
    stamp::{Form, stamp},
    traces::{TRACEBACK, is_chain, is_exception_line, is_frame, is_node_place, is_python_end},
};

/// Lines that are looked at.
const LINES: usize = super::joiner::LONGEST as usize;

/// What was found on the way through an entry.
#[derive(Default)]
struct Seen {
    /// In a traceback of Python, behind its first line.
    python: bool,
    /// The line before is indented.
    deeper: bool,
    /// The exception of the last traceback of Python.
    end: Option<usize>,
    /// The message of a panic.
    panic: Option<usize>,
    /// The last cause of an exception of Java.
    cause: Option<usize>,
    /// The first line that names an exception.
    exception: Option<usize>,
    /// The first line says who, the second says what.
    second: bool,
}

/// The index of the line of an entry that says most: the last exception of a traceback of Python, the last cause of one of Java, the error of one of Node, the message of
/// a panic; of two-line forms (`java.util.logging`, .NET) the second. 0 where nothing is known to say more than the first.
#[must_use]
pub fn last_word<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let mut seen = Seen::default();
    let mut count = 0;
    for (index, line) in lines.take(LINES).enumerate() {
        count = index + 1;
        seen.look(index, line);
    }
    let second = seen.second.then_some(1);
    let best = seen.end.or(seen.panic).or(seen.cause).or(seen.exception).or(second).unwrap_or(0);
    if best < count { best } else { 0 }
}

impl Seen {
    fn look(&mut self, index: usize, line: &str) {
        let text = line.trim_ascii_start();
        let bytes = text.as_bytes();
        let indented = text.len() < line.len();
        if index == 0 {
            self.first(line);
        }
        if memchr::memmem::find(&bytes[..bytes.len().min(256)], TRACEBACK).is_some() {
            self.python = true;
        } else if self.python && !is_chain(bytes) {
            self.python_line(index, bytes, indented);
        } else if self.panic.is_none() && bytes.starts_with(b"panic: ") {
            self.panic = Some(index);
        } else if bytes.starts_with(b"thread '") && memchr::memmem::find(bytes, b" panicked at ").is_some() {
            self.panic = Some(if text.ends_with(':') { index + 1 } else { index });
        } else if bytes.starts_with(b"Caused by: ") {
            self.cause = Some(index);
        } else if self.exception.is_none() && is_error(bytes) {
            self.exception = Some(index);
        }
        self.deeper = indented;
    }

    fn first(&mut self, line: &str) {
        let is_jul = stamp(line.as_bytes())
            .is_some_and(|stamp| stamp.form == Form::Jul && loggers::jul(line, &stamp, &mut Quiet).is_some());
        self.second = is_jul || (loggers::dotnet(line, &mut Quiet).is_some() && line.ends_with(']'));
    }

    /// A line of a traceback: behind the calls stands the exception. In a group it stands in the frame, and the one of the group itself comes first.
    fn python_line(&mut self, index: usize, text: &[u8], indented: bool) {
        let framed = indented && text.starts_with(b"| ");
        let inner = text.strip_prefix(b"| ").unwrap_or(text);
        let first_of_group = framed && self.end.is_none() && !inner.starts_with(b" ");
        if (first_of_group || (!indented && self.deeper)) && is_python_end(inner) {
            self.end = Some(index);
        }
    }
}

/// A line that names an exception or an error and is no call.
fn is_error(text: &[u8]) -> bool {
    !is_frame(text)
        && !is_node_place(text)
        && (is_exception_line(text)
            || text.starts_with(b"Error: ")
            || text.starts_with(b"Uncaught ")
            || text.starts_with(b"** ("))
}
