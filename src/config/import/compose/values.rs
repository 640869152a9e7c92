//! Typed values of a compose file. Promise: a value of the wrong form is an error that quotes it and names the forms.
//! Never: knows what a value means for a service.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    item::{Form, Item, Name, resolved},
    keys::Table,
    merge::pairs,
    notes::Notes,
};
use crate::config::{nearest::nearest, reader::bytes};

/// Reads values and gathers what is to be told of them.
pub(super) struct Values {
    pub(super) notes: Notes,
    pub(super) home: Option<String>,
}

impl Values {
    /// Reports keys of a map that are not carried over or not known. False where it is no map.
    pub(super) fn keys(&mut self, prefix: &str, item: &Item, table: &Table) -> bool {
        let Form::Map(entries) = &item.form else {
            let what = if prefix.is_empty() { table.owner } else { prefix };
            self.wrong(what, item, "a map", &format!("its keys: {}", table.carried.join(", ")));
            return false;
        };
        for (name, value) in entries {
            let key = &*name.text;
            if key.starts_with("x-") || table.carried.contains(&key) {
                continue;
            }
            let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
            if table.lost.contains(&key) {
                if !says_nothing(value) {
                    self.notes.lost(&path, value);
                }
                continue;
            }
            if self.notes.is_full() {
                break;
            }
            let known = table.carried.iter().chain(table.lost).copied();
            let hint = match nearest(key, known) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => "remove it, or let it begin with x- if it is for another program".to_owned(),
            };
            self.notes.error(name.source(), format!("{path}: not a key of {}", table.owner), hint);
        }
        true
    }

    pub(super) fn wrong(&mut self, what: &str, item: &Item, form: &str, hint: &str) {
        let found = match item.as_text() {
            Some(_) => format!("\"{}\" is not {form}", item.quote()),
            None => format!("found {}, not {form}", item.describe()),
        };
        self.notes.error(item.source(), format!("{what}: {found}"), hint);
    }

    /// A single value.
    pub(super) fn text(&mut self, what: &str, item: &Item) -> Option<String> {
        let Some(text) = item.as_text() else {
            self.wrong(what, item, "text", "write a single value, in quotes if need be");
            return None;
        };
        if text.contains('\0') {
            self.wrong(what, item, "text without NUL bytes", "remove them; no program can be handed one");
            return None;
        }
        Some(text.to_owned())
    }

    /// A value that `parse` understands.
    pub(super) fn parsed<T>(
        &mut self,
        what: &str,
        item: &Item,
        (form, hint): (&str, &str),
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = parse(&self.text(what, item)?);
        if value.is_none() {
            self.wrong(what, item, form, hint);
        }
        value
    }

    pub(super) fn truth(&mut self, what: &str, item: &Item) -> Option<bool> {
        self.parsed(what, item, ("true or false", "write true or false"), |text| {
            match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "y" | "on" | "1" => Some(true),
                "false" | "no" | "n" | "off" | "0" => Some(false),
                _ => None,
            }
        })
    }

    pub(super) fn number(&mut self, what: &str, item: &Item) -> Option<u32> {
        self.parsed(what, item, ("a whole number", "write a number such as 3"), |text| text.trim().parse().ok())
    }

    pub(super) fn duration(&mut self, what: &str, item: &Item) -> Option<Duration> {
        self.parsed(what, item, ("a duration", "write it like 500ms, 10s or 1m30s"), go_duration)
    }

    pub(super) fn size(&mut self, what: &str, item: &Item) -> Option<u64> {
        self.parsed(what, item, ("a size", "write it like 512m or 1.5g; a bare number is bytes"), bytes)
    }

    pub(super) fn cores(&mut self, what: &str, item: &Item) -> Option<f64> {
        self.parsed(what, item, ("a number of cores", "write it like 2 or 0.5"), |text| {
            text.trim().parse::<f64>().ok().filter(|cores| (0.0..=1e6).contains(cores))
        })
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&mut self, what: &str, item: &Arc<Item>) -> Vec<(String, Arc<Item>)> {
        match &item.form {
            Form::List(items) => {
                items.iter().filter_map(|item| Some((self.text(what, item)?, Arc::clone(item)))).collect()
            }
            Form::Text(_) => self.text(what, item).map(|text| (text, Arc::clone(item))).into_iter().collect(),
            Form::Null => Vec::new(),
            Form::Map(_) => {
                self.wrong(what, item, "a list", "write one entry a line after \"- \"");
                Vec::new()
            }
        }
    }

    /// The words of a command: a list, or a line that is split as a shell would, without being one.
    pub(super) fn words(&mut self, what: &str, item: &Arc<Item>) -> Option<Vec<String>> {
        match &item.form {
            Form::Text(_) => {
                let line = self.text(what, item)?;
                let words = shlex::split(&line);
                if words.is_none() {
                    let form = "a command: a quote is never closed";
                    self.wrong(what, item, form, "close it, or write the command as a list");
                }
                words
            }
            Form::List(items) => {
                let words: Vec<_> = items.iter().filter_map(|item| self.text(what, item)).collect();
                (words.len() == items.len()).then_some(words)
            }
            Form::Null => None,
            Form::Map(_) => {
                self.wrong(what, item, "text or a list", "write it as one line, or as [program, argument]");
                None
            }
        }
    }

    /// `NAME=value` entries of a list, or the entries of a map.
    pub(super) fn pairs(&mut self, what: &str, item: &Arc<Item>) -> Vec<(Name, Arc<Item>)> {
        let entries = match &item.form {
            Form::Map(entries) => entries.clone(),
            Form::List(items) => {
                for wrong in items.iter().filter(|item| item.as_text().is_none()) {
                    self.wrong(what, wrong, "NAME=value", "write - NAME=value");
                }
                pairs(items)
            }
            Form::Null => Vec::new(),
            Form::Text(_) => {
                self.wrong(what, item, "a map or a list", "write NAME: value, one a line");
                Vec::new()
            }
        };
        entries
            .into_iter()
            .filter(|(name, value)| {
                let path = format!("{what}.{}", name.text);
                value.is_null() || self.text(&path, value).is_some()
            })
            .collect()
    }

    /// A path of this machine.
    pub(super) fn path(&self, text: &str, item: &Item) -> PathBuf {
        resolved(text, &item.origin.base, self.home.as_deref())
    }
}

/// True for what is the same as saying nothing.
pub(super) fn says_nothing(item: &Item) -> bool {
    match &item.form {
        Form::Null => true,
        Form::Text(text) => &**text == "false",
        Form::List(items) => items.is_empty(),
        Form::Map(entries) => entries.is_empty(),
    }
}

/// `1h30m`, `1.5s`, `250ms`: numbers, each with its unit; `0` alone.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at(end);
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    // Three hundred years: what is longer is a slip, and would not fit elsewhere.
    (!text.trim().is_empty() && (0.0..1e10).contains(&total))
        .then(|| Duration::from_nanos((total * 1e9).round() as u64))
}
