//! Forms of lines that people describe themselves, as regular expressions with names.
//!
//! Promise: a form that cannot work is refused with where and why; matching takes time linear in the line. Never: more memory for one expression than a
//! megabyte.

use std::sync::Arc;

use chrono::{
    NaiveDate, NaiveTime,
    format::{Item, Parsed as Read, StrftimeItems},
};
use regex::{Regex, RegexBuilder};

use super::{
    LINE, Parsed,
    sink::FIELDS,
    stamp,
    time::{Day, LineTime, epoch},
    words,
};
use crate::insight::entry::Field;
use crate::model::{level::Level, log::LogFormat};

/// Bytes of a pattern.
const PATTERN: usize = 4096;
/// Bytes that a compiled pattern may take.
const COMPILED: usize = 1 << 20;

/// A form that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; {next}", self.what())]
pub struct FormatError {
    /// Its place in the list, from 0 on.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The byte of the pattern where the fault is, from 0 on, where there is such a place.
    pub at: Option<usize>,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub next: String,
}

impl FormatError {
    /// Which form, and what is wrong with it.
    #[must_use]
    pub fn what(&self) -> String {
        let at = self.at.map(|at| format!(", character {} of its pattern", at + 1)).unwrap_or_default();
        format!("log_formats: \"{}\"{at}: {}", self.name, self.why)
    }
}

/// A form that is ready to be tried.
#[derive(Debug)]
pub(super) struct Compiled {
    name: String,
    regex: Regex,
    time: Option<Vec<Item<'static>>>,
}

/// What a line that has a form says of its level: it may say nothing.
pub(super) struct Told(pub(super) Option<Level>);

/// Makes forms ready; what is wrong with those that cannot be used.
pub(super) fn compile(formats: &[LogFormat]) -> (Arc<[Compiled]>, Vec<FormatError>) {
    let (mut usable, mut faults) = (Vec::new(), Vec::new());
    for (index, format) in formats.iter().enumerate() {
        match one(index, format) {
            Ok(compiled) => usable.push(compiled),
            Err(fault) => faults.push(fault),
        }
    }
    (usable.into(), faults)
}

fn one(index: usize, format: &LogFormat) -> Result<Compiled, FormatError> {
    let fault =
        |at, why: String, next: &str| FormatError { index, name: format.name.clone(), at, why, next: next.to_owned() };
    if format.name.trim().is_empty() {
        return Err(fault(
            None,
            "it has no name".to_owned(),
            "give it a name that says which program writes such lines",
        ));
    }
    if format.pattern.len() > PATTERN {
        let why = format!("its pattern has {} bytes, {PATTERN} is the most", format.pattern.len());
        return Err(fault(None, why, "match only the head of the line, and let (?P<message>.*) take the rest"));
    }
    let regex = RegexBuilder::new(&format.pattern).size_limit(COMPILED).build().map_err(|error| {
        let (at, why) = reason(&error);
        fault(at, why, "write it as the page on formats of lines (docs/log-formats.md) shows")
    })?;
    let mut names = regex.capture_names().flatten();
    if names.next().is_none() {
        let next = "name the parts that matter: (?P<time>…), (?P<level>…), (?P<message>…)";
        return Err(fault(None, "its pattern has no named group".to_owned(), next));
    }
    let time = format
        .time
        .as_deref()
        .map(items)
        .transpose()
        .map_err(|why| fault(None, why, "write it as strftime has it, such as %Y-%m-%d %H:%M:%S%.f"))?;
    if time.is_some() && !regex.capture_names().flatten().any(|name| name == "time") {
        let why = "it says how the time is written, but its pattern has no group named time".to_owned();
        return Err(fault(None, why, "add (?P<time>…) to the pattern, or leave time out"));
    }
    Ok(Compiled { name: format.name.clone(), regex, time })
}

/// Where and why an expression is none.
fn reason(error: &regex::Error) -> (Option<usize>, String) {
    if let regex::Error::CompiledTooBig(limit) = error {
        return (None, format!("its pattern takes more than {limit} bytes when it is compiled"));
    }
    // The crate draws the pattern, a caret below the place, and the reason last.
    let text = error.to_string();
    let caret = text.lines().find(|line| line.contains('^') && line.trim_matches([' ', '^']).is_empty());
    let at = caret.and_then(|line| line.find('^')).and_then(|column| column.checked_sub(4));
    let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    (at, format!("its pattern is no regular expression: {why}"))
}

/// The parts of a form of time.
fn items(form: &str) -> Result<Vec<Item<'static>>, String> {
    let items: Vec<_> = StrftimeItems::new(form).map(Item::to_owned).collect();
    if items.iter().any(|item| matches!(item, Item::Error)) {
        return Err(format!("its time \"{form}\" has a part that means nothing"));
    }
    if !items.iter().any(|item| matches!(item, Item::Numeric(..) | Item::Fixed(_))) {
        return Err(format!("its time \"{form}\" has no part such as %H"));
    }
    Ok(items)
}

impl Compiled {
    /// Reads a line, if it has this form.
    pub(super) fn parse<'a>(&self, line: &'a str) -> Option<Parsed<'a>> {
        let seen = &line[..line.floor_char_boundary(LINE)];
        let found = self.regex.captures(seen)?;
        let mut parsed = Parsed {
            format: self.name.clone().into(),
            level: None,
            time: None,
            message: line.into(),
            fields: Vec::new(),
        };
        for (name, group) in self.regex.capture_names().zip(found.iter()) {
            let (Some(name), Some(group)) = (name, group) else { continue };
            let text = group.as_str();
            match name {
                "message" => parsed.message = text.into(),
                "level" if level(text).is_some() => parsed.level = level(text),
                "time" if self.time_of(text).is_some() => parsed.time = self.time_of(text),
                _ if parsed.fields.len() < FIELDS => {
                    parsed.fields.push(Field { name: name.to_owned().into(), value: text.into() });
                }
                _ => {}
            }
        }
        Some(parsed)
    }

    /// The level of a line, if it has this form.
    pub(super) fn level(&self, line: &str) -> Option<Told> {
        let seen = &line[..line.floor_char_boundary(LINE)];
        let found = self.regex.captures(seen)?;
        Some(Told(found.name("level").and_then(|group| level(group.as_str()))))
    }

    fn time_of(&self, text: &str) -> Option<LineTime> {
        let Some(items) = &self.time else { return epoch(text).map(LineTime::Instant).or_else(|| stamp::whole(text)) };
        let mut read = Read::new();
        chrono::format::parse(&mut read, text.trim(), items.iter()).ok()?;
        resolve(&read)
    }
}

/// A word in any spelling, or a single letter.
fn level(text: &str) -> Option<Level> {
    let word = text.trim_matches(|edge: char| !edge.is_alphanumeric());
    Level::of_word(word).or_else(|| words::inside(word, true))
}

/// What was read of a time, as far as it goes.
fn resolve(read: &Read) -> Option<LineTime> {
    if let Ok(time) = read.to_datetime() {
        return Some(LineTime::Instant(time.timestamp_micros()));
    }
    if let Some(seconds) = read.timestamp() {
        return seconds.checked_mul(1_000_000).map(LineTime::Instant);
    }
    let time: NaiveTime = read.to_naive_time().ok()?;
    let dated: Option<NaiveDate> = read.to_naive_date().ok();
    let day = match (dated, read.month(), read.day()) {
        (Some(date), ..) => Day::Date(date),
        (None, Some(month), Some(day)) => Day::Yearly { month: month as u8, day: day as u8 },
        (None, ..) => Day::Unknown,
    };
    Some(LineTime::Local { day, time })
}
