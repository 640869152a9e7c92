//! Pictures and lines to text and JSON: pure, so that every form can be compared to an exact string. Never reads or writes.

pub mod alerts;
pub mod checkup;
pub mod containers;
pub mod deep;
pub mod df;
pub mod events;
pub mod explain;
pub mod graph;
pub mod health;
pub mod insight;
pub mod kinds;
pub mod log_files;
pub mod logs;
pub mod projects;
pub mod reply;
pub mod status;
pub mod story;
pub mod unit;
pub mod why;

use std::fmt::Write as _;

use serde_json::Value;

use super::paint::{Paint, Tone};
use crate::model::text::wrap;

/// JSON in one line. Characters that could act on a terminal are written as escapes, which means the same to a parser.
#[must_use]
pub fn json_line(value: &Value) -> String {
    let mut line = harmless(&value.to_string());
    line.push('\n');
    line
}

/// JSON for people, as [`json_line`] otherwise.
#[must_use]
pub fn json_document(value: &Value) -> String {
    let mut document = harmless(&format!("{value:#}"));
    document.push('\n');
    document
}

/// JSON escapes C0 by itself; DEL, C1 and direction marks can only stand within strings, where an escape is the same text.
fn harmless(json: &str) -> String {
    const fn acts(c: char) -> bool {
        matches!(c, '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    }
    if !json.contains(acts) {
        return json.to_owned();
    }
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if acts(c) {
            let _infallible = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// `content` after `head`, which takes `indent` columns: wrapped within `columns` and indented below itself, each line ended. Where no width is
/// known nothing is broken. `content` need not be safe; `head` must be.
pub(crate) fn paragraph(
    head: &str,
    indent: usize,
    content: &str,
    tone: Tone,
    paint: Paint,
    columns: Option<u16>,
) -> String {
    let room = columns.map_or(usize::MAX, |columns| usize::from(columns).saturating_sub(indent).max(LEAST_ROOM));
    let mut text = String::new();
    for (number, line) in wrap(content, room).iter().enumerate() {
        let before = if number == 0 { head.to_owned() } else { " ".repeat(indent) };
        text.push_str(format!("{before}{}", paint.text(tone, line)).trim_end());
        text.push('\n');
    }
    text
}

/// A paragraph is never narrower; a terminal that is wraps it by itself.
const LEAST_ROOM: usize = 20;

/// Bytes as people read them: `0 B`, `812 B`, `38.4 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}
