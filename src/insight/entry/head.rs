//! The head of a line of any logger: a time, a level, and between and behind them the columns that tell thread, process, logger and place.
//!
//! Promise: a line without a time at its start has a head only if there is a level in it, where a level stands; what is not surely head is message. Never: looks
//! at more than ten columns, or takes words of a sentence for columns.

use super::{
    Found,
    columns::Columns,
    json, logfmt,
    marks::{Mark, Marks},
    plain, request,
    scan::{cut, has, rest},
    sink::Sink,
    stamp::{Form, Stamp},
    words,
};
use crate::model::level::Level;

/// Reads a line that begins with a time; `end` is where the time (and its bracket) ends.
pub(super) fn timed<'a, S: Sink<'a>>(line: &'a str, stamp: &Stamp, end: usize, sink: &mut S) -> Found<'a> {
    let mut columns = Columns::new(line, end, sink);
    columns.time = Some(stamp.time);
    columns.marks.form = Some(stamp.form);
    if end > stamp.len && line.starts_with('[') {
        columns.marks.set(Mark::BoxedTime);
    }
    columns.read();
    let (level, time, at, marks) = (columns.level, columns.time, columns.at, columns.marks);
    let message = rest(line, at).trim_ascii_start();
    if let Some(level) = level {
        return finish(message, level, marks, sink, time);
    }
    let inner = inner(message, marks, sink);
    Found { time, ..inner }
}

/// Reads a line whose time is in a bracket together with something else, from `end` to `close`: `[2026-11-29T10:00:00Z INFO  shop] …`.
pub(super) fn together<'a, S: Sink<'a>>(
    line: &'a str,
    stamp: &Stamp,
    end: usize,
    close: usize,
    sink: &mut S,
) -> Found<'a> {
    let inner = cut(line, end, close).trim_start_matches([':', ' ', ',']).trim_ascii_end();
    let split = inner.find([' ', '/']).unwrap_or(inner.len());
    let (word, more) = inner.split_at(split);
    let Some(level) = words::inside(word, true) else { return timed(line, stamp, close + 1, sink) };
    let mut marks = Marks::default();
    marks.form = Some(stamp.form);
    marks.set(if more.starts_with('/') { Mark::Slash } else { Mark::Together });
    let more = more.trim_start_matches(['/', ' ']);
    if !more.is_empty() {
        sink.add(if marks.has(Mark::Slash) { "process" } else { "logger" }, more);
    }
    let message = rest(line, close + 1).trim_ascii_start();
    finish(message, level, marks, sink, Some(stamp.time))
}

/// Reads a line without a time at its start.
pub(super) fn untimed<'a, S: Sink<'a>>(line: &'a str, sink: &mut S) -> Option<Found<'a>> {
    let mut columns = Columns::new(line, 0, sink);
    columns.read();
    let (level, time, at, marks) = (columns.level?, columns.time, columns.at, columns.marks);
    // A level that stands alone is all that the line says.
    let message = if at < line.len() { rest(line, at).trim_ascii_start() } else { line };
    Some(finish(message, level, marks, sink, time))
}

/// What a message with a level says besides.
fn finish<'a, S: Sink<'a>>(
    message: &'a str,
    level: Level,
    marks: Marks,
    sink: &mut S,
    time: Option<super::time::LineTime>,
) -> Found<'a> {
    let format = marks.name();
    let mut text = message;
    if message.starts_with('{')
        && let Some(found) = json::json(message, sink)
    {
        return Found { format, level: found.level.or(Some(level)), time: time.or(found.time), message: found.message };
    }
    if let Some(least) = pairs(format) {
        text = logfmt::tail(message, least, sink).unwrap_or(message);
    }
    if text.ends_with('}') && matches!(format, "zap" | "text") {
        text = json::tail(text, sink).unwrap_or(text);
    }
    if matches!(format, "log4j") {
        text = kafka(text, sink);
    }
    if format == "hclog" {
        text = text.strip_suffix(':').unwrap_or(text);
    }
    let asked = request::quoted(text, sink);
    Found { format, level: Some(asked.map_or(level, |asked| asked.max(level))), time, message: text.into() }
}

/// How many pairs there must be at the end of a message to be fields.
fn pairs(format: &str) -> Option<usize> {
    match format {
        "rust" | "go" | "zerolog" | "hclog" | "structlog" => Some(1),
        "text" | "log4j" | "python" => Some(2),
        _ => None,
    }
}

/// `message (kafka.server.KafkaServer)`: the logger behind the message.
fn kafka<'a, S: Sink<'a>>(text: &'a str, sink: &mut S) -> &'a str {
    let Some((message, name)) = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (")) else { return text };
    let is_name = name.contains('.') && name.bytes().all(super::scan::is_name_byte) && !name.contains(':');
    if is_name {
        sink.add("logger", name);
        return message;
    }
    text
}

/// What follows a time where no level does.
fn inner<'a, S: Sink<'a>>(message: &'a str, marks: Marks, sink: &mut S) -> Found<'a> {
    let format = marks.name();
    let bytes = message.as_bytes();
    let mark = sink.count();
    if bytes.first() == Some(&b'{')
        && let Some(found) = json::json(message, sink)
    {
        return found;
    }
    if let Some(found) = logfmt::logfmt(message, sink) {
        return found;
    }
    if let Some(level) = request::quoted(message, sink) {
        let format = if marks.form == Some(Form::Web) { "django" } else { format };
        return Found { format, level: Some(level), time: None, message: message.into() };
    }
    sink.cut(mark);
    if bytes.first() == Some(&b'|') {
        if let Some(level) = request::piped(message, sink) {
            let message = message.trim_start_matches(['|', ' ']);
            return Found { format: "request", level: Some(level), time: None, message: message.into() };
        }
        sink.cut(mark);
    }
    let start = if marks.form == Some(Form::Slashed) { caller(message, sink) } else { 0 };
    let text = rest(message, start).trim_start_matches(['|', ' ']);
    let level = plain::trouble(text.as_bytes());
    Found { format, level, time: None, message: text.into() }
}

/// `file.go:12: ` at the start of a message: where it ends.
fn caller<'a, S: Sink<'a>>(message: &'a str, sink: &mut S) -> usize {
    let Some(end) = memchr::memmem::find(message.as_bytes(), b": ").filter(|end| *end < 128) else { return 0 };
    let place = cut(message, 0, end);
    if !super::columns::is_place(place.as_bytes()) || has(place.as_bytes(), 0, b":") {
        return 0;
    }
    sink.add("caller", place);
    end + 2
}
