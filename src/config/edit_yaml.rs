//! Changes one value of a YAML text. Promise: every byte outside of that value (or of the line that is added) stays, and the text reads
//! back as the same values but for that one; where that cannot be had, a sentence says why. Never: touches a file.

mod spans;
#[cfg(test)]
mod tests;

use std::ops::Range;

use granit_parser::ScalarStyle;

use self::spans::{Entry, Item, Kind, line_end, line_start};
use super::tree::{self, Node, Shape};

/// Maps that are removed with their last key: they mean nothing without one.
const CONTAINERS: [&str; 8] = ["defaults", "backoff", "logs", "api", "keys", "deploy", "resources", "limits"];

/// What is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'v> {
    /// A single value.
    Text(&'v str),
    /// A list or a map in flow form, on one line.
    Flow(&'v str),
}

/// The text with the value at `path`, replaced or added.
///
/// # Errors
/// A sentence: why it cannot be done safely.
pub(crate) fn set(text: &str, path: &[&str], value: Value<'_>) -> Result<String, String> {
    let (mark, text) = split_mark(text);
    let before = sound(text)?;
    let candidates = match spans::read(text) {
        None => vec![appended(text, path, value)],
        Some(root) if root.is_absent() && !root.marked => vec![appended(text, path, value)],
        Some(root) => set_in(text, &root, path, value)?,
    };
    let mut why = None;
    for candidate in candidates {
        match verify(before.as_deref(), &candidate, path, Some(value)) {
            Ok(()) => return Ok(format!("{mark}{candidate}")),
            Err(error) => why = why.or(Some(error)),
        }
    }
    Err(why.unwrap_or_else(|| unsafe_place(path)))
}

/// The text without the value at `path`; none where there is none.
///
/// # Errors
/// A sentence: why it cannot be done safely.
pub(crate) fn unset(text: &str, path: &[&str]) -> Result<Option<String>, String> {
    let (mark, text) = split_mark(text);
    let before = sound(text)?;
    let Some(root) = spans::read(text) else { return Ok(None) };
    let mut way: Vec<(&[Entry], bool, &Entry)> = Vec::new();
    let mut item = &root;
    for word in path {
        let Kind::Map { flow, entries } = &item.kind else { return Ok(None) };
        let Some(entry) = entries.iter().find(|entry| entry.key == *word) else { return Ok(None) };
        way.push((entries, *flow, entry));
        item = &entry.value;
    }
    let mut why = None;
    for depth in removable(text, &way, path) {
        let (entries, flow, entry) = way[depth];
        let range = if flow { flow_range(text, entries, entry) } else { block_range(text, entry) };
        let Some(range) = range else { continue };
        let candidate = format!("{}{}", &text[..range.start], &text[range.end..]);
        match verify(before.as_deref(), &candidate, path, None) {
            Ok(()) => return Ok(Some(format!("{mark}{candidate}"))),
            Err(error) => why = why.or(Some(error)),
        }
    }
    Err(why.unwrap_or_else(|| unsafe_place(path)))
}

/// What an own value of the text at `path` is, aliases not followed: true where there is one.
pub(crate) fn has(text: &str, path: &[&str]) -> bool {
    let (_, text) = split_mark(text);
    let Some(root) = spans::read(text) else { return false };
    let mut item = &root;
    for word in path {
        let Kind::Map { entries, .. } = &item.kind else { return false };
        let Some(entry) = entries.iter().find(|entry| entry.key == *word) else { return false };
        item = &entry.value;
    }
    true
}

fn split_mark(text: &str) -> (&str, &str) {
    if text.starts_with('\u{feff}') { text.split_at('\u{feff}'.len_utf8()) } else { ("", text) }
}

fn sound(text: &str) -> Result<Option<std::sync::Arc<Node>>, String> {
    let tree = tree::parse(text);
    match tree.faults.first() {
        Some(fault) => Err(format!("the file has a fault of its own at line {}: {}", fault.at.line, fault.message)),
        None => Ok(tree.root),
    }
}

fn unsafe_place(path: &[&str]) -> String {
    format!("{}: it is written in a way that cannot be changed safely", path.join("."))
}

fn set_in(text: &str, root: &Item, path: &[&str], value: Value<'_>) -> Result<Vec<String>, String> {
    let mut item = root;
    let mut in_flow = false;
    for (depth, word) in path.iter().enumerate() {
        let so_far = path[..depth].join(".");
        let entries = match &item.kind {
            Kind::Map { entries, flow } => {
                in_flow |= *flow;
                entries
            }
            Kind::Alias => {
                return Err(format!(
                    "{so_far}: an alias stands there: change the value at its anchor, or write the keys out"
                ));
            }
            Kind::Scalar { .. } | Kind::List { .. } => {
                let so_far = if so_far.is_empty() { "the file" } else { &so_far };
                return Err(format!("{so_far}: there is no map to which {word} could belong"));
            }
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == *word) else {
            return Ok(added(text, item, entries, &path[depth..], value));
        };
        let rest = &path[depth + 1..];
        if rest.is_empty() {
            return replaced(text, entry, path, value, in_flow).map(|text| vec![text]);
        }
        if entry.value.is_absent() || entry.value.is_null_word() {
            if entry.value.marked {
                return Err(unsafe_place(path));
            }
            return Ok(filled(text, entry, rest, value, in_flow));
        }
        item = &entry.value;
    }
    Err(unsafe_place(path))
}

fn splice(text: &str, range: Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..range.start], &text[range.end..])
}

fn eol(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// At the end of a text that has no values.
fn appended(text: &str, path: &[&str], value: Value<'_>) -> String {
    let eol = eol(text);
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { eol };
    format!("{text}{gap}{}{eol}", lines("", path, value, eol))
}

/// `a:` and below it `b: value`, without a line end behind it.
fn lines(indent: &str, path: &[&str], value: Value<'_>, eol: &str) -> String {
    let mut text = String::new();
    for (depth, word) in path.iter().enumerate() {
        if depth > 0 {
            text.push_str(eol);
        }
        text.push_str(indent);
        text.push_str(&"  ".repeat(depth));
        text.push_str(&key(word));
        text.push(':');
    }
    text.push(' ');
    text.push_str(&written(value, None, false));
    text
}

/// `a: {b: value}`.
fn flow_entry(path: &[&str], value: Value<'_>) -> String {
    match path {
        [] => written(value, None, true),
        [word] => format!("{}: {}", key(word), written(value, None, true)),
        [word, rest @ ..] => format!("{}: {{{}}}", key(word), flow_entry(rest, value)),
    }
}

fn key(word: &str) -> String {
    if is_plain(word, true) && word.parse::<f64>().is_err() && !word.contains(' ') {
        word.to_owned()
    } else {
        serde_json::Value::from(word).to_string()
    }
}

/// A key that is not in its map yet, with what is below it.
fn added(text: &str, map: &Item, entries: &[Entry], path: &[&str], value: Value<'_>) -> Vec<String> {
    let Kind::Map { flow, .. } = &map.kind else { return Vec::new() };
    let eol = eol(text);
    match (flow, entries.last()) {
        (true, None) => vec![splice(text, map.span.start + 1..map.span.start + 1, &flow_entry(path, value))],
        (true, Some(last)) => {
            let end = last.end(text, 0);
            vec![splice(text, end..end, &format!(", {}", flow_entry(path, value)))]
        }
        (false, None) => Vec::new(),
        (false, Some(last)) => {
            let first = entries.first().unwrap_or(last);
            let Some(indent) = first.indent(text).or_else(|| last.indent(text)) else { return Vec::new() };
            let column = last.indent(text).map_or(0, str::len);
            let end = line_end(text, last.end(text, column));
            let mut candidates = vec![splice(text, end..end, &format!("{eol}{}", lines(indent, path, value, eol)))];
            if first.indent(text).is_some() {
                let start = line_start(text, first.key_span.start);
                candidates.push(splice(text, start..start, &format!("{}{eol}", lines(indent, path, value, eol))));
            }
            candidates
        }
    }
}

/// A key whose value is nothing gets a map.
fn filled(text: &str, entry: &Entry, path: &[&str], value: Value<'_>, in_flow: bool) -> Vec<String> {
    let Some(colon) = entry.colon(text) else { return Vec::new() };
    let flow = format!(" {{{}}}", flow_entry(path, value));
    if entry.value.is_null_word() {
        return vec![splice(text, entry.value.span.clone(), flow.trim_start())];
    }
    let mut candidates = Vec::new();
    if let Some(indent) = entry.indent(text).filter(|_| !in_flow) {
        let end = line_end(text, colon);
        let (eol, deeper) = (eol(text), format!("{indent}  "));
        candidates.push(splice(text, end..end, &format!("{eol}{}", lines(&deeper, path, value, eol))));
    }
    candidates.push(splice(text, colon..colon, &flow));
    candidates
}

/// The value of a key that is there.
fn replaced(text: &str, entry: &Entry, path: &[&str], value: Value<'_>, in_flow: bool) -> Result<String, String> {
    let at = path.join(".");
    match &entry.value.kind {
        Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. } => {
            Err(format!("{at}: its value is written over several lines (| or >): change it by hand"))
        }
        Kind::Scalar { style, .. } => {
            if entry.value.is_absent() {
                if entry.value.marked {
                    return Err(unsafe_place(path));
                }
                let colon = entry.colon(text).ok_or_else(|| unsafe_place(path))?;
                return Ok(splice(text, colon..colon, &format!(" {}", written(value, None, in_flow))));
            }
            Ok(splice(text, entry.value.span.clone(), &written(value, Some(*style), in_flow)))
        }
        Kind::Alias => Ok(splice(text, entry.value.span.clone(), &written(value, None, in_flow))),
        Kind::Map { flow: true, .. } => Ok(splice(text, entry.value.span.clone(), &written(value, None, in_flow))),
        Kind::List { .. } if text[entry.value.span.clone()].ends_with(']') => {
            Ok(splice(text, entry.value.span.clone(), &written(value, None, in_flow)))
        }
        Kind::Map { .. } | Kind::List { .. } => {
            Err(format!("{at}: its value is written over several lines: change it by hand"))
        }
    }
}

fn written(value: Value<'_>, style: Option<ScalarStyle>, in_flow: bool) -> String {
    let text = match value {
        Value::Flow(text) => return text.to_owned(),
        Value::Text(text) => text,
    };
    match style {
        Some(ScalarStyle::SingleQuoted) if !text.chars().any(char::is_control) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        Some(ScalarStyle::DoubleQuoted) => serde_json::Value::from(text).to_string(),
        // JSON's strings are YAML's double-quoted ones.
        _ if is_plain(text, in_flow) => text.to_owned(),
        _ => serde_json::Value::from(text).to_string(),
    }
}

/// Whether a text stands for itself without quotes, and beyond doubt.
fn is_plain(text: &str, in_flow: bool) -> bool {
    let first = text.chars().next();
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "_./+-@%^ ".contains(c) || (c == ':' && !in_flow);
    first.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_'))
        && text.chars().all(is_usual)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.starts_with("...")
        && !matches!(text, "null" | "Null" | "NULL")
}

/// Which entries of the way to a value may be taken out for it, the outermost first: a map that would be left empty, and has no comment.
fn removable(text: &str, way: &[(&[Entry], bool, &Entry)], path: &[&str]) -> Vec<usize> {
    let leaf = path.len() - 1;
    let mut depths = vec![leaf];
    for depth in (0..leaf).rev() {
        let (child_entries, _, child) = way[depth + 1];
        let (_, _, entry) = way[depth];
        let gap = text.get(entry.key_span.end..child.key_span.start).unwrap_or("#");
        if child_entries.len() != 1 || !CONTAINERS.contains(&path[depth]) || entry.value.marked || gap.contains('#') {
            break;
        }
        depths.push(depth);
    }
    depths.reverse();
    depths
}

/// The lines of a key and its value.
fn block_range(text: &str, entry: &Entry) -> Option<Range<usize>> {
    let column = entry.indent(text)?.len();
    entry.colon(text)?;
    let start = line_start(text, entry.key_span.start);
    let last = entry.end(text, column);
    let end = text[last..].find('\n').map_or(text.len(), |end| last + end + 1);
    Some(start..end)
}

/// A key and its value between braces, with one of the commas beside it.
fn flow_range(text: &str, entries: &[Entry], entry: &Entry) -> Option<Range<usize>> {
    let place = entries.iter().position(|other| other.key_span == entry.key_span)?;
    let range = match (entries.get(place + 1), place.checked_sub(1).and_then(|before| entries.get(before))) {
        (Some(next), _) => entry.key_span.start..next.key_span.start,
        (None, Some(before)) => before.end(text, 0)..entry.end(text, 0),
        (None, None) => entry.key_span.start..entry.end(text, 0),
    };
    // A comment between them would go as well.
    let gaps = [range.start..entry.key_span.start, entry.end(text, 0)..range.end.max(entry.end(text, 0))];
    let has_comment = gaps.iter().any(|gap| text.get(gap.clone()).is_none_or(|gap| gap.contains('#')));
    (!has_comment).then_some(range)
}

/// Reads the candidate and compares.
fn verify(before: Option<&Node>, text: &str, path: &[&str], value: Option<Value<'_>>) -> Result<(), String> {
    let after = sound(text).map_err(|_| unsafe_place(path))?;
    if let Some(other) = other_change(before, after.as_deref(), path) {
        return Err(format!(
            "{}: it cannot be changed alone, {other} would change with it (an anchor is used there)",
            path.join(".")
        ));
    }
    let Some(value) = value else { return Ok(()) };
    let is_there = path.iter().try_fold(after.as_deref(), |node, word| Some(Some(child(node?, word)?)));
    let is_right = match (is_there.flatten().map(|node| (&node.shape, node.is_null())), value) {
        (Some((Shape::Scalar { text, .. }, false)), Value::Text(wanted)) => **text == *wanted,
        (Some((Shape::List(_) | Shape::Map(_), _)), Value::Flow(_)) => true,
        (Some(_) | None, Value::Text(_) | Value::Flow(_)) => false,
    };
    if is_right { Ok(()) } else { Err(unsafe_place(path)) }
}

fn child<'n>(node: &'n Node, word: &str) -> Option<&'n Node> {
    entries(Some(node)).iter().find(|(key, _)| &*key.text == word).map(|(_, node)| &**node)
}

fn entries(node: Option<&Node>) -> &[(tree::Key, std::sync::Arc<Node>)] {
    match node.map(|node| &node.shape) {
        Some(Shape::Map(entries)) => entries,
        Some(Shape::Scalar { .. } | Shape::List(_)) | None => &[],
    }
}

/// The first value outside of `path` that is another one now.
fn other_change(before: Option<&Node>, after: Option<&Node>, path: &[&str]) -> Option<String> {
    let (word, rest) = path.split_first()?;
    let is_map = |node: Option<&Node>| node.is_none_or(|node| node.is_null() || matches!(node.shape, Shape::Map(_)));
    if !is_map(before) || !is_map(after) {
        return Some("another value".to_owned());
    }
    let others = |node| entries(node).iter().filter(|(key, _)| &*key.text != *word);
    let (mut old, mut new) = (others(before), others(after));
    loop {
        match (old.next(), new.next()) {
            (None, None) => break,
            (Some((a, x)), Some((b, y))) if a.text == b.text && is_same(x, y) => {}
            (Some((key, _)), _) | (None, Some((key, _))) => return Some(key.text.to_string()),
        }
    }
    let below = |node: Option<&'_ Node>| node.is_some_and(|node| child(node, word).is_some());
    if !below(before) && !below(after) {
        return None;
    }
    other_change(before.and_then(|node| child(node, word)), after.and_then(|node| child(node, word)), rest)
        .map(|other| format!("{word}.{other}"))
}

fn is_same(a: &Node, b: &Node) -> bool {
    match (&a.shape, &b.shape) {
        (Shape::Scalar { text: x, .. }, Shape::Scalar { text: y, .. }) => x == y && a.is_null() == b.is_null(),
        (Shape::List(x), Shape::List(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| is_same(x, y)),
        (Shape::Map(x), Shape::Map(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|((j, x), (k, y))| j.text == k.text && is_same(x, y))
        }
        (Shape::Scalar { .. } | Shape::List(_) | Shape::Map(_), _) => false,
    }
}
