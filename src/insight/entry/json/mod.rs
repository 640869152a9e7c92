//! Lines that are one JSON object, as structured loggers of all languages write them.
//!
//! Promise: one pass, borrowed texts, bounded depth and number of fields; a line that is cut short is no JSON. Never: a tree of values, or a rule for one
//! program; which key means what is the table of [`roles`](super::roles).

mod escape;
mod walk;

use std::borrow::Cow;

use self::walk::{Path, Value, Walker};
pub(super) use self::{escape::unescape, walk::Kind};
use super::{Found, LINE, roles::Roles, sink::Sink};

/// Reads a line that is one JSON object.
pub(super) fn json<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let text = line.trim_ascii();
    let found = object(text, sink)?;
    Some(Found { format: "json", ..found })
}

/// Reads a text that is one JSON object and nothing else. Of a longer one than is looked at, what stands in the part that is.
fn object<'a, S: Sink<'a>>(text: &'a str, sink: &mut S) -> Option<Found<'a>> {
    if !text.starts_with('{') || !text.ends_with('}') {
        return None;
    }
    let mark = sink.count();
    let seen = &text[..text.floor_char_boundary(LINE)];
    let mut roles = Roles::new(sink, mark);
    let mut walker = Walker::new(seen, |path: &Path<'a>, key: &'a str, value: Value<'a>| {
        let role = match path.parents() {
            [] => roles.of_key(key, value.kind),
            [parent] => roles.of_nested(parent, key, value.kind),
            _ => None,
        };
        roles.offer(role, value, || path.name(key));
    });
    let whole = walker.object();
    let complete = whole.is_some_and(|()| walker.is_at_end()) || (seen.len() < text.len() && walker.is_out_of_text());
    let (found, sink) = roles.finish(text);
    if !complete {
        sink.cut(mark);
        return None;
    }
    Some(found)
}

/// The fields of an object at the end of a message, and the message before it: `msg {"a":1}`.
pub(super) fn tail<'a, S: Sink<'a>>(message: &'a str, sink: &mut S) -> Option<&'a str> {
    let bytes = message.as_bytes();
    if !message.ends_with('}') {
        return None;
    }
    let start = memchr::memmem::find(bytes, b" {\"").or_else(|| memchr::memmem::find(bytes, b"\t{\""))?;
    let mark = sink.count();
    let mut walker = Walker::new(&message[start + 1..], |path: &Path<'a>, key: &'a str, value: Value<'a>| {
        if S::WANTED {
            sink.add(path.name(key), value.text());
        }
    });
    let whole = walker.object().is_some_and(|()| walker.is_at_end());
    if whole {
        return Some(message[..start].trim_ascii_end());
    }
    sink.cut(mark);
    None
}

impl<'a> Value<'a> {
    /// What it says: the text itself, or how it is written.
    pub(super) fn text(&self) -> Cow<'a, str> {
        if self.kind == Kind::Escaped { unescape(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}

pub(super) use self::walk::Value as JsonValue;
