//! The text of a `supervisord.conf`: sections, keys, `%(name)s`. Never: knows what a key means.

use std::{collections::BTreeMap, path::PathBuf};

use super::page::{Page, brief};
use crate::config::problems::Place;

/// A key with its value and the file in which it stands.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) file: PathBuf,
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) value: String,
    pub(super) value_at: Place,
}

/// A section.
pub(super) struct Section {
    pub(super) file: PathBuf,
    pub(super) name: String,
    pub(super) at: Place,
    pub(super) settings: Vec<Setting>,
}

impl Section {
    /// The last value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().rev().find(|setting| setting.key == key)
    }
}

/// The sections of a text, as Python's `RawConfigParser` reads them.
pub(super) fn sections(page: &mut Page<'_>, text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut goes_on = false;
    for (number, line) in text.lines().enumerate() {
        let code = without_comment(line);
        let trimmed = code.trim();
        let column = line.chars().take_while(|c| c.is_whitespace()).count() + 1;
        let at = Place::new(number + 1, column);
        if trimmed.is_empty() {
            continue;
        }
        if column > 1
            && goes_on
            && let Some(last) = sections.last_mut().and_then(|section| section.settings.last_mut())
        {
            if !last.value.is_empty() {
                last.value.push('\n');
            }
            last.value.push_str(trimmed);
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name.trim())
        {
            goes_on = false;
            sections.push(Section { file: page.file.clone(), name: name.to_owned(), at, settings: Vec::new() });
            continue;
        }
        let Some(end) = trimmed.find(['=', ':']) else {
            page.error(at, &format!("\"{}\" is not \"key = value\"", brief(trimmed)), "begin a comment with ;");
            continue;
        };
        let value = trimmed[end + 1..].trim_start();
        let value_column = column + trimmed[..trimmed.len() - value.len()].chars().count();
        let setting = Setting {
            file: page.file.clone(),
            key: trimmed[..end].trim().to_ascii_lowercase(),
            at,
            value: value.to_owned(),
            value_at: Place::new(number + 1, value_column),
        };
        match sections.last_mut() {
            Some(section) => section.settings.push(setting),
            None => page.error(
                at,
                &format!("{}: it stands before the first section", brief(&setting.key)),
                "write [program:name] above it",
            ),
        }
        goes_on = true;
    }
    sections
}

/// A line without what follows ` ;` or ` #`, or nothing of one that begins with them.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with([';', '#']) {
        return "";
    }
    let mut before = 'x';
    for (at, c) in line.char_indices() {
        if matches!(c, ';' | '#') && before.is_whitespace() {
            return &line[..at];
        }
        before = c;
    }
    line
}

/// Fills in `%(name)s` and `%(name)02d`; `%%` is one percent sign.
///
/// # Errors
/// The name that cannot be filled in.
pub(super) fn expand(text: &str, known: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            filled.push('%');
            rest = after;
            continue;
        }
        let inner = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        let Some((name, format)) = inner else {
            return Err(format!("% before \"{}\"", brief(&after.chars().take(8).collect::<String>())));
        };
        let digits = format.len() - format.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (width, conversion) = format.split_at(digits);
        let Some(value) = known.get(name).filter(|_| conversion.starts_with(['s', 'd'])) else {
            return Err(format!("%({})", brief(name)));
        };
        let wide: usize = width.parse().unwrap_or(0).min(20);
        let filler = if width.starts_with('0') { '0' } else { ' ' };
        filled.extend(std::iter::repeat_n(filler, wide.saturating_sub(value.chars().count())));
        filled.push_str(value);
        rest = &conversion[1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// `A="x,y",B=z` as supervisor splits it.
///
/// # Errors
/// The part that is not `NAME=value`.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start_matches([',', ' ', '\n', '\t']);
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once('=') else { return Err(brief(rest)) };
        let name = name.trim();
        if name.is_empty() || name.contains([',', '"', '\'', ' ']) {
            return Err(brief(name));
        }
        let after = after.trim_start();
        let mut value = String::new();
        let mut quote = None;
        let mut end = after.len();
        for (at, c) in after.char_indices() {
            match (quote, c) {
                (None, ',' | '\n') => {
                    end = at;
                    break;
                }
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                (_, c) => value.push(c),
            }
        }
        if quote.is_some() {
            return Err(format!("{name}: its quote is never closed"));
        }
        pairs.push((name.to_owned(), value.trim_end().to_owned()));
        rest = after[end..].trim_start_matches([',', ' ', '\n', '\t']);
    }
    Ok(pairs)
}
