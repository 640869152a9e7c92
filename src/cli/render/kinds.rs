//! The catalogue of kinds: a list, and all that is known of one.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::paragraph;
use crate::{
    cli::{
        paint::{Paint, Tone},
        text::width,
    },
    config::kinds::Kind,
    model::{
        exam::{Grade, Protocol, Remedy, Rule},
        figure::judged,
        standing::glyph,
    },
};

/// By what a kind is known: `programs redis-server, valkey-server; images redis; URLs redis://`.
fn known_by(kind: &Kind) -> String {
    let mut parts = Vec::new();
    for (word, names) in [("programs", &kind.programs), ("images", &kind.images)] {
        if !names.is_empty() {
            parts.push(format!("{word} {}", names.join(", ")));
        }
    }
    if !kind.schemes.is_empty() {
        let schemes: Vec<String> = kind.schemes.iter().map(|scheme| format!("{scheme}://")).collect();
        parts.push(format!("URLs {}", schemes.join(", ")));
    }
    parts.extend(kind.port.map(|port| format!("port {port}")));
    if parts.is_empty() { "only by its word".to_owned() } else { parts.join("; ") }
}

/// Every kind on a line of its own.
#[must_use]
pub fn list(kinds: &[Kind], paint: Paint, columns: Option<u16>) -> String {
    let protocol = |kind: &Kind| kind.protocol.map_or("-", Protocol::label);
    let widest = |cell: &dyn Fn(&Kind) -> usize, head: usize| kinds.iter().map(cell).max().unwrap_or(0).max(head);
    let widths = [
        widest(&|kind| width(&kind.id), 4),
        widest(&|kind| width(&kind.title), 5),
        widest(&|kind| width(protocol(kind)), 8),
    ];
    let row = |cells: [&str; 3], tone: Tone| {
        let mut row = String::new();
        for (cell, wanted) in cells.into_iter().zip(widths) {
            row.push_str(&paint.text(tone, cell));
            row.push_str(&" ".repeat(wanted.saturating_sub(width(cell)) + 2));
        }
        row
    };
    let indent = widths.iter().sum::<usize>() + 6;
    let mut text = row(["KIND", "TITLE", "PROTOCOL"], Tone::Strong);
    text.push_str(&paint.text(Tone::Strong, "KNOWN BY"));
    text.push('\n');
    for kind in kinds {
        let head = row([&kind.id, &kind.title, protocol(kind)], Tone::Plain);
        text.push_str(&paragraph(&head, indent, &known_by(kind), Tone::Dim, paint, columns));
    }
    let _ = writeln!(text, "{}", paint.text(Tone::Dim, "cas kinds KIND tells all of one"));
    text
}

fn heading(text: &mut String, words: &str, paint: Paint) {
    // Writing to a String cannot fail, here and above.
    let _ = writeln!(text, "\n{}", paint.text(Tone::Strong, words));
}

/// The thresholds of a rule: `warning from 85 %, critical from 97 %`.
fn limits(rule: &Rule) -> String {
    let from = if rule.below { "down from" } else { "from" };
    let told: Vec<String> = [(Grade::Warning, rule.warn), (Grade::Critical, rule.critical)]
        .into_iter()
        .filter_map(|(grade, threshold)| {
            Some(format!("{} {from} {}", grade.label(), judged(rule.unit, rule.reads, threshold?)))
        })
        .collect();
    if told.is_empty() { "shown, not judged".to_owned() } else { told.join(", ") }
}

/// All that is known of one.
#[must_use]
pub fn page(kind: &Kind, paint: Paint, columns: Option<u16>) -> String {
    let mut text = format!("{} ({})\n", paint.text(Tone::Strong, &kind.title), kind.id);
    text.push_str(&paragraph("known by: ", 10, &known_by(kind), Tone::Plain, paint, columns));
    let protocol = kind.protocol.map_or("none of its own", Protocol::label);
    let _ = writeln!(text, "protocol: {protocol}");
    text.push('\n');
    text.push_str(&paragraph("", 0, kind.page.trim(), Tone::Plain, paint, columns));
    if !kind.rules.is_empty() {
        heading(&mut text, "Checks", paint);
    }
    for rule in &kind.rules {
        text.push_str(&paragraph("  ", 2, &format!("{}: {}", rule.name, rule.title), Tone::Plain, paint, columns));
        text.push_str(&paragraph("    ", 4, &limits(rule), Tone::Dim, paint, columns));
        if let Some(advice) = &rule.advice {
            text.push_str(&paragraph("    → ", 6, advice, Tone::Plain, paint, columns));
        }
    }
    if !kind.signs.is_empty() {
        heading(&mut text, "Signs in its output", paint);
    }
    for sign in &kind.signs {
        let head = format!("  {} ", paint.text(Tone::of_grade(sign.grade), glyph(sign.grade)));
        text.push_str(&paragraph(
            &head,
            4,
            &format!("{}: {}", sign.grade.label(), sign.says),
            Tone::Plain,
            paint,
            columns,
        ));
        text.push_str(&paragraph("    ", 4, &format!("/{}/", sign.pattern), Tone::Dim, paint, columns));
        if let Some(advice) = &sign.advice {
            text.push_str(&paragraph("    → ", 6, advice, Tone::Plain, paint, columns));
        }
    }
    if !kind.remedies.is_empty() {
        heading(&mut text, "Where it is not well, in this order", paint);
    }
    for (number, remedy) in kind.remedies.iter().enumerate() {
        let head = format!("  {}. ", number + 1);
        text.push_str(&paragraph(&head, head.len(), &remedy.words(), Tone::Plain, paint, columns));
    }
    text
}

fn brief(kind: &Kind) -> Value {
    json!({
        "id": kind.id,
        "title": kind.title,
        "protocol": kind.protocol.map(Protocol::label),
        "port": kind.port,
        "programs": kind.programs,
        "images": kind.images,
        "schemes": kind.schemes,
    })
}

/// `{"kinds": […]}`.
#[must_use]
pub fn list_document(kinds: &[Kind]) -> Value {
    json!({ "kinds": kinds.iter().map(brief).collect::<Vec<_>>() })
}

/// One kind with its page, checks, signs and remedies.
#[must_use]
pub fn document(kind: &Kind) -> Value {
    let mut document = brief(kind);
    let signs: Vec<Value> = kind
        .signs
        .iter()
        .map(|sign| {
            json!({ "pattern": sign.pattern, "grade": sign.grade.label(), "says": sign.says, "advice": sign.advice })
        })
        .collect();
    let more = [
        ("page", json!(kind.page.trim())),
        ("checks", json!(kind.rules)),
        ("signs", json!(signs)),
        ("remedies", json!(kind.remedies.iter().map(Remedy::words).collect::<Vec<_>>())),
    ];
    if let Some(fields) = document.as_object_mut() {
        fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    document
}
