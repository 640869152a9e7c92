//! What the importers share: where they are, what they noted, and how a value of a tree is read. Promise: a value that cannot
//! be read is a note at its place. Never: knows a format.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Imported, Material, Note, Told, Unread, Weight};
use crate::{
    config::{
        nearest::did_you_mean,
        problems::{Place, harmless},
        tree::{self, Key, Node, Shape},
    },
    model::service::Source,
};

/// Longest value that a message quotes, in characters.
const LONGEST: usize = 60;
/// Most notes of one import.
const MOST_NOTES: usize = 1000;
/// A map as it was written.
pub(super) type Entries = [(Key, Arc<Node>)];

/// One import while it is read.
pub(super) struct Page<'m> {
    /// What was handed in.
    pub(super) material: &'m Material<'m>,
    /// The file that is being read, the material's or one that it names.
    pub(super) file: PathBuf,
    notes: Vec<Note>,
}

impl<'m> Page<'m> {
    pub(super) fn new(material: &'m Material<'m>) -> Self {
        Self { material, file: material.file.to_owned(), notes: Vec::new() }
    }

    /// A place of the file that is being read.
    pub(super) fn source(&self, at: Place) -> Source {
        at.in_file(&self.file)
    }

    /// A value with its place.
    pub(super) fn told<T>(&self, at: Place, value: T) -> Told<T> {
        Told { value, source: self.source(at) }
    }

    /// A path relative to the directory of the file that is being read.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        tidy(&self.file.parent().unwrap_or(Path::new("/")).join(text))
    }

    /// True where no more notes are taken, so that none need be thought of.
    pub(super) fn is_full(&self) -> bool {
        self.notes.len() >= MOST_NOTES
    }

    fn note(&mut self, weight: Weight, at: Place, message: &str, hint: &str) {
        if self.is_full() {
            return;
        }
        let note = Note {
            weight,
            source: self.source(at),
            message: shortened(message, 400),
            hint: (!hint.is_empty()).then(|| shortened(hint, 1000)),
        };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Worth knowing.
    pub(super) fn hint(&mut self, at: Place, message: &str, hint: &str) {
        self.note(Weight::Hint, at, message, hint);
    }

    /// A value that is not carried over.
    pub(super) fn lost(&mut self, at: Place, message: &str, hint: &str) {
        self.note(Weight::Lost, at, message, hint);
    }

    /// Nothing usable.
    pub(super) fn error(&mut self, at: Place, message: &str, hint: &str) {
        self.note(Weight::Error, at, message, hint);
    }

    /// `web.watch: true is not carried over`.
    pub(super) fn lost_value(&mut self, what: &str, node: &Node, hint: &str) {
        let message = match value(node) {
            Some(value) => format!("{what}: {value} is not carried over"),
            None => format!("{what} is not carried over"),
        };
        self.lost(node.at, &message, hint);
    }

    /// The same, but a flag that is off and a value that is not there lose nothing.
    pub(super) fn lost_unless_off(&mut self, what: &str, node: &Node, hint: &str) {
        if !is_off(node) {
            self.lost_value(what, node, hint);
        }
    }

    /// A key that the format does not have.
    pub(super) fn unknown(&mut self, weight: Weight, what: &str, at: Place, known: &[&str]) {
        if self.is_full() {
            return;
        }
        let key = what.rsplit('.').next().unwrap_or(what).to_owned();
        let hint = did_you_mean(&key, known);
        self.note(weight, at, &format!("{what}: there is no such key"), &hint);
    }

    /// The tree of a text; faults become errors.
    pub(super) fn tree(&mut self, text: &str) -> Option<Arc<Node>> {
        let tree = tree::parse(text);
        for fault in tree.faults {
            self.error(fault.at, &fault.message, fault.hint.as_deref().unwrap_or_default());
        }
        tree.root
    }

    /// The text of another file; why not is a note.
    pub(super) fn read(&mut self, at: Place, what: &str, path: &Path) -> Option<String> {
        match self.material.files.read(path) {
            Ok(text) => Some(text),
            Err(why) => {
                let why = match why {
                    Unread::Absent => "there is no such file".to_owned(),
                    Unread::Because(why) => why,
                };
                self.error(at, &format!("{what}: {} cannot be read: {why}", self.shown(path)), "");
                None
            }
        }
    }

    /// A path as a person of this project writes it.
    pub(super) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.material.directory()).unwrap_or(path).display().to_string()
    }

    /// The entries of a map.
    pub(super) fn map<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n Entries> {
        match &node.shape {
            Shape::Map(entries) => Some(entries),
            Shape::Scalar { .. } if node.is_null() => Some(&[]),
            Shape::Scalar { .. } | Shape::List(_) => {
                self.error(node.at, &format!("{what}: {} where a map is expected", node.describe()), "");
                None
            }
        }
    }

    /// A single value.
    pub(super) fn text<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n str> {
        if let Shape::Scalar { text, .. } = &node.shape
            && !node.is_null()
        {
            return Some(text);
        }
        if !node.is_null() {
            self.error(node.at, &format!("{what}: {} where a text is expected", node.describe()), "");
        }
        None
    }

    /// A list of single values, or one alone.
    pub(super) fn texts<'n>(&mut self, what: &str, node: &'n Node) -> Vec<(Place, &'n str)> {
        match &node.shape {
            Shape::List(items) => {
                items.iter().filter_map(|item| self.text(what, item).map(|text| (item.at, text))).collect()
            }
            Shape::Scalar { .. } | Shape::Map(_) => {
                self.text(what, node).map(|text| (node.at, text)).into_iter().collect()
            }
        }
    }

    /// True or false.
    pub(super) fn truth(&mut self, what: &str, node: &Node) -> Option<bool> {
        let text = self.text(what, node)?;
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => {
                self.error(node.at, &format!("{what}: \"{}\" is neither true nor false", brief(text)), "");
                None
            }
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, what: &str, node: &Node) -> Option<u32> {
        let text = self.text(what, node)?;
        let number = text.trim().parse().ok();
        if number.is_none() {
            self.error(node.at, &format!("{what}: \"{}\" is not a whole number", brief(text)), "");
        }
        number
    }

    /// A number of seconds, with a fraction perhaps.
    pub(super) fn seconds(&mut self, what: &str, node: &Node) -> Option<Duration> {
        let text = self.text(what, node)?;
        let seconds = text.trim().parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if seconds.is_none() {
            self.error(node.at, &format!("{what}: \"{}\" is not a number of seconds", brief(text)), "");
        }
        seconds
    }

    /// Notes in the order of the file, those of other files after them.
    pub(super) fn finish(self, imported: Imported) -> Imported {
        let mut notes = self.notes;
        let main = self.material.file;
        notes.sort_by(|a, b| {
            let key = |note: &Note| {
                (note.source.file != main, note.source.file.clone(), note.source.line, note.source.column)
            };
            key(a).cmp(&key(b))
        });
        Imported { notes, ..imported }
    }
}

/// A value as a message quotes it; none for a list or a map.
fn value(node: &Node) -> Option<String> {
    match &node.shape {
        Shape::Scalar { text, .. } if !text.is_empty() => Some(brief(text)),
        Shape::Scalar { .. } | Shape::List(_) | Shape::Map(_) => None,
    }
}

/// A flag that is off, or nothing.
pub(super) fn is_off(node: &Node) -> bool {
    match &node.shape {
        Shape::Scalar { text, .. } => node.is_null() || matches!(&**text, "false" | "no" | "off" | "0" | ""),
        Shape::List(items) => items.is_empty(),
        Shape::Map(entries) => entries.is_empty(),
    }
}

/// Harmless and short.
pub(super) fn brief(text: &str) -> String {
    shortened(text, LONGEST)
}

fn shortened(text: &str, longest: usize) -> String {
    let text = harmless(text);
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Without `.` and, where it is certain, `..`.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if tidied.parent().is_some() => {
                tidied.pop();
            }
            std::path::Component::ParentDir => {}
            std::path::Component::RootDir | std::path::Component::Normal(_) | std::path::Component::Prefix(_) => {
                tidied.push(part);
            }
        }
    }
    tidied
}
