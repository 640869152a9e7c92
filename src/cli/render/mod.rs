//! Pictures and lines to text and JSON: pure, so that every form can be compared to an exact string. Never reads or writes.

pub mod containers;
pub mod events;
pub mod explain;
pub mod graph;
pub mod health;
pub mod logs;
pub mod projects;
pub mod reply;
pub mod status;
pub mod story;
pub mod unit;

use std::fmt::Write as _;

use serde_json::Value;

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
