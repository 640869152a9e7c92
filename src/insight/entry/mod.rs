//! What one line of output says: its level, its time, its message, its fields; and which lines belong together.
//!
//! Promise: no configuration is needed, any text is taken, time is linear in the line, and the line itself is never changed. A line of which nothing is known is all
//! message. Never: a clock, I/O, knowledge of services or screens, or a level from a word that merely occurs in a sentence.
//!
//! A text that was quoted in its line is given unquoted, line feeds and tabs included; no other control character comes out of an escape. Whoever shows it
//! takes it through [`model::text`](crate::model::text) as any other.

mod access;
mod behind;
mod columns;
mod head;
mod joiner;
mod json;
mod last_word;
mod logfmt;
mod loggers;
mod marks;
mod plain;
mod recognise;
mod request;
mod roles;
mod scan;
mod servers;
mod sink;
mod stamp;
mod syslog;
mod time;
mod traces;
mod user;
mod words;
mod zone;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc};

pub(super) use self::stamp::length as stamp_length;
pub use self::{
    joiner::{Belongs, Joiner},
    last_word::last_word,
    time::{Day, LineTime},
    user::FormatError,
};
use self::{recognise::recognise, sink::Quiet, user::Compiled};
use crate::model::{level::Level, log::LogFormat};

/// Bytes of a line that are looked at.
const LINE: usize = 64 * 1024;

/// The forms that lines are known by: those that are built in, and before them those that somebody described.
#[derive(Debug, Clone)]
pub struct Formats {
    user: Arc<[Compiled]>,
}

impl Default for Formats {
    fn default() -> Self {
        Self::builtin()
    }
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The name of its form, such as `json` or `nginx`: `text` where many programs write it, empty where it has none.
    pub format: Cow<'a, str>,
    /// How serious it says it is.
    pub level: Option<Level>,
    /// When it says that it was written.
    pub time: Option<LineTime>,
    /// What it says to people: the line without its head and its fields, or all of it.
    pub message: Cow<'a, str>,
    /// Everything else that has a name, in the order of the line; at most 128.
    pub fields: Vec<Field<'a>>,
}

/// A value that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name. That of a value in an object in an object has dots: `http.status`.
    pub name: Cow<'a, str>,
    /// Its value: a text without its quotes, anything else as it is written.
    pub value: Cow<'a, str>,
}

/// What a built-in form tells of a line, but for its fields.
struct Found<'a> {
    format: &'static str,
    level: Option<Level>,
    time: Option<LineTime>,
    message: Cow<'a, str>,
}

impl Formats {
    /// Those that are built in.
    #[must_use]
    pub fn builtin() -> Self {
        Self { user: Arc::new([]) }
    }

    /// Those that are built in, and before them those of `user` that can be used, in their order; and what is wrong with the others: without a name or a named
    /// group, with a pattern that is too long, is no regular expression or takes too much memory, or with a time that means nothing.
    #[must_use]
    pub fn with(user: &[LogFormat]) -> (Self, Vec<FormatError>) {
        let (user, faults) = user::compile(user);
        (Self { user }, faults)
    }

    /// What a line says. `line` is one physical line without its end and without escape sequences; of a longer one the first 64 KiB are looked at.
    #[must_use]
    pub fn parse<'a>(&self, line: &'a str) -> Parsed<'a> {
        if let Some(parsed) = self.user.iter().find_map(|format| format.parse(line)) {
            return parsed;
        }
        let mut fields = Vec::new();
        let seen = seen(line);
        let found = recognise(seen, true, &mut fields);
        let message = match found.message {
            // What ends where the look ended goes on to the end of the line.
            Cow::Borrowed(text) if seen.len() < line.len() => Cow::Borrowed(extended(line, seen, text)),
            message @ (Cow::Borrowed(_) | Cow::Owned(_)) => message,
        };
        Parsed { format: Cow::Borrowed(found.format), level: found.level, time: found.time, message, fields }
    }

    /// The level of a line: that of [`Formats::parse`], for less.
    #[must_use]
    pub fn level(&self, line: &str) -> Option<Level> {
        if let Some(told) = self.user.iter().find_map(|format| format.level(line)) {
            return told.0;
        }
        recognise(seen(line), true, &mut Quiet).level
    }
}

/// The part of a line that is looked at. JSON is looked at whole by whoever reads it, since it must be known whether it ends.
fn seen(line: &str) -> &str {
    if line.len() <= LINE || line.trim_ascii_start().starts_with('{') {
        line
    } else {
        &line[..line.floor_char_boundary(LINE)]
    }
}

/// `text`, which is part of `seen`, up to the end of `line` if it goes to the end of `seen`.
fn extended<'a>(line: &'a str, seen: &'a str, text: &'a str) -> &'a str {
    let start = (text.as_ptr() as usize).wrapping_sub(seen.as_ptr() as usize);
    if start.checked_add(text.len()) == Some(seen.len()) { line.get(start..).unwrap_or(text) } else { text }
}

/// What a program said in a line of syslog.
fn nested<'a, S: sink::Sink<'a>>(message: &'a str, sink: &mut S) -> Found<'a> {
    recognise(message, false, sink)
}

impl Parsed<'_> {
    /// The value of a field: of the one that is called so, else of one that differs only in small and capital letters, else of one whose name ends with a dot
    /// and this name (`status` finds `http.status`). Of several, the last.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let find = |holds: &dyn Fn(&str) -> bool| self.fields.iter().rev().find(|field| holds(&field.name));
        find(&|known| known == name)
            .or_else(|| find(&|known| known.eq_ignore_ascii_case(name)))
            .or_else(|| find(&|known| known.rsplit_once('.').is_some_and(|(_, last)| last.eq_ignore_ascii_case(name))))
            .map(|field| &*field.value)
    }
}
