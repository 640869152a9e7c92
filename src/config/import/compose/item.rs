//! A compose file as a tree in which every value knows its file, line and column, variables filled in. Promise: parts that
//! files share are shared in memory, so that aliases and `extends` cost little. Never: knows what a key means.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::notes::Notes;
use crate::{
    config::{
        import::Told,
        interpolate::expand,
        problems::Place,
        tree::{Edit, Node, Shape},
    },
    model::service::Source,
};

/// Longest value that a note quotes, in characters.
const LONGEST_QUOTE: usize = 60;

/// A file and what relative paths in it begin at.
#[derive(Debug)]
pub(super) struct Origin {
    /// Absolute.
    pub(super) file: PathBuf,
    /// Absolute.
    pub(super) base: PathBuf,
}

/// A key, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Name {
    /// As written.
    pub(super) text: Arc<str>,
    /// The file.
    pub(super) origin: Arc<Origin>,
    /// Line and column.
    pub(super) at: Place,
}

impl Name {
    pub(super) fn source(&self) -> Source {
        self.at.in_file(&self.origin.file)
    }
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// Nothing was written, or null.
    Null,
    /// Text, number or truth value, variables filled in.
    Text(Arc<str>),
    /// A sequence.
    List(Vec<Arc<Item>>),
    /// A mapping, each key once.
    Map(Vec<(Name, Arc<Item>)>),
}

/// A value.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The file.
    pub(super) origin: Arc<Origin>,
    /// Line and column.
    pub(super) at: Place,
    /// What it does to a value of an earlier file.
    pub(super) edit: Edit,
    /// What it is.
    pub(super) form: Form,
}

impl Item {
    pub(super) fn source(&self) -> Source {
        self.at.in_file(&self.origin.file)
    }

    /// A value that stands where this one does.
    pub(super) fn told<T>(&self, value: T) -> Told<T> {
        Told { value, source: self.source() }
    }

    /// The same place, another form.
    pub(super) fn with(&self, form: Form) -> Self {
        Self { origin: Arc::clone(&self.origin), at: self.at, edit: self.edit, form }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.form, Form::Null)
    }

    /// The text of a single value.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.form {
            Form::Text(text) => Some(text),
            Form::Null | Form::List(_) | Form::Map(_) => None,
        }
    }

    /// The entries of a map; none of anything else.
    pub(super) fn entries(&self) -> &[(Name, Arc<Item>)] {
        match &self.form {
            Form::Map(entries) => entries,
            Form::Null | Form::Text(_) | Form::List(_) => &[],
        }
    }

    /// Key and value of a map.
    pub(super) fn find(&self, key: &str) -> Option<(&Name, &Arc<Self>)> {
        self.entries().iter().find(|(name, _)| &*name.text == key).map(|(name, item)| (name, item))
    }

    /// The value of a key, unless it is null.
    pub(super) fn get(&self, key: &str) -> Option<&Arc<Self>> {
        self.find(key).map(|(_, item)| item).filter(|item| !item.is_null())
    }

    /// What it is, in a sentence.
    pub(super) fn describe(&self) -> &'static str {
        match self.form {
            Form::Null => "nothing",
            Form::Text(_) => "a single value",
            Form::List(_) => "a list",
            Form::Map(_) => "a map",
        }
    }

    /// The value on one line, cut where it is long.
    pub(super) fn quote(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        match text.char_indices().nth(LONGEST_QUOTE) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    fn write(&self, out: &mut String) {
        // Four bytes a character at most, so that what is cut later is there.
        if out.len() > 4 * LONGEST_QUOTE {
            return;
        }
        match &self.form {
            Form::Null => out.push('~'),
            Form::Text(text) if text.is_empty() => out.push_str("\"\""),
            Form::Text(text) => out.extend(text.chars().take(2 * LONGEST_QUOTE)),
            Form::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate().take(LONGEST_QUOTE) {
                    out.push_str(if index == 0 { "" } else { ", " });
                    item.write(out);
                }
                out.push(']');
            }
            Form::Map(entries) => {
                out.push('{');
                for (index, (name, item)) in entries.iter().enumerate().take(LONGEST_QUOTE) {
                    out.push_str(if index == 0 { "" } else { ", " });
                    out.push_str(&name.text);
                    out.push_str(": ");
                    item.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Turns the tree of one file into items.
pub(super) struct Filler<'f> {
    /// The file.
    pub(super) origin: Arc<Origin>,
    /// The value of a variable.
    pub(super) lookup: &'f dyn Fn(&str) -> Option<String>,
    /// Nodes that were met already: an alias is the same node again.
    pub(super) known: HashMap<*const Node, Arc<Item>>,
    /// Where faults go.
    pub(super) notes: &'f mut Notes,
}

impl Filler<'_> {
    /// The node with its variables filled in; `path` leads to it.
    pub(super) fn item(&mut self, node: &Arc<Node>, path: &str) -> Arc<Item> {
        if let Some(item) = self.known.get(&Arc::as_ptr(node)) {
            return Arc::clone(item);
        }
        let form = match &node.shape {
            Shape::Scalar { .. } if node.is_null() => Form::Null,
            Shape::Scalar { text, .. } => Form::Text(self.filled(text, node.at, path)),
            Shape::List(items) => Form::List(items.iter().map(|item| self.item(item, path)).collect()),
            Shape::Map(entries) => Form::Map(
                entries
                    .iter()
                    .map(|(key, value)| {
                        let name = Name { text: Arc::clone(&key.text), origin: Arc::clone(&self.origin), at: key.at };
                        (name, self.item(value, &key.text))
                    })
                    .collect(),
            ),
        };
        let item = Arc::new(Item { origin: Arc::clone(&self.origin), at: node.at, edit: node.edit, form });
        self.known.insert(Arc::as_ptr(node), Arc::clone(&item));
        item
    }

    fn filled(&mut self, text: &Arc<str>, at: Place, path: &str) -> Arc<str> {
        if !text.contains('$') {
            return Arc::clone(text);
        }
        let expansion = expand(text, self.lookup);
        let source = at.in_file(&self.origin.file);
        for name in expansion.missing {
            self.notes.hint(
                source.clone(),
                format!("{path}: {name} is not set, so it is empty here"),
                format!("set it, or write a default as ${{{name}:-…}}, or $${name} for the container's own"),
            );
        }
        for error in expansion.errors {
            self.notes.error(
                source.clone(),
                format!("{path}: {error}"),
                "forms: ${VAR}, ${VAR:-default}, ${VAR:?message}, ${VAR:+other}, and $$ for a dollar sign",
            );
        }
        expansion.text.into()
    }
}

/// A path as written in a file: `~/` is the home, anything relative begins at the base. Without `.`, and `..` taken back.
pub(super) fn resolved(text: &str, base: &Path, home: Option<&str>) -> PathBuf {
    let path = match (text.strip_prefix('~'), home) {
        (Some(below), Some(home)) if below.is_empty() || below.starts_with('/') => {
            Path::new(home).join(below.trim_start_matches('/'))
        }
        (Some(_) | None, _) => base.join(text),
    };
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::Prefix(_) | std::path::Component::RootDir | std::path::Component::Normal(_) => {
                clean.push(part);
            }
        }
    }
    clean
}
