//! What is told of compose files. Promise: each thing once, in the order of the files as they were opened, then of their lines.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use super::item::Item;
use crate::{
    config::{
        import::{Note, Weight},
        problems::harmless,
    },
    model::service::Source,
};

/// Most notes that are kept; a file that earns more is told by the first ones.
const MOST: usize = 2000;
/// Longest message or hint, in characters.
const LONGEST: usize = 600;

/// Gathers notes.
#[derive(Debug, Default)]
pub(super) struct Notes {
    files: HashMap<PathBuf, usize>,
    said: HashSet<(Source, String)>,
    kept: Vec<Note>,
}

impl Notes {
    /// Remembers when a file was opened.
    pub(super) fn opened(&mut self, file: &std::path::Path) {
        let next = self.files.len();
        self.files.entry(file.to_owned()).or_insert(next);
    }

    /// Something that makes a file or service unusable.
    pub(super) fn error(&mut self, source: Source, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Weight::Error, source, &message.into(), Some(hint.into()));
    }

    /// Something worth knowing.
    pub(super) fn hint(&mut self, source: Source, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Weight::Hint, source, &message.into(), Some(hint.into()));
    }

    /// Something that is not carried over, in words of its own.
    pub(super) fn lost_because(&mut self, source: Source, message: impl Into<String>) {
        self.add(Weight::Lost, source, &message.into(), None);
    }

    /// A value that is not carried over.
    pub(super) fn lost(&mut self, key: &str, item: &Item) {
        self.add(Weight::Lost, item.source(), &format!("{key}: {} is not carried over", item.quote()), None);
    }

    /// True where no more are kept, so that none need be thought of.
    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= MOST
    }

    fn add(&mut self, weight: Weight, source: Source, message: &str, hint: Option<String>) {
        if self.is_full() {
            return;
        }
        let short = |text: &str| harmless(text).chars().take(LONGEST).collect::<String>();
        let message = short(message);
        if self.said.insert((source.clone(), message.clone())) {
            self.kept.push(Note { weight, source, message, hint: hint.map(|hint| short(&hint)) });
        }
    }

    /// All of them in order.
    pub(super) fn finish(self) -> Vec<Note> {
        let Self { files, kept: mut notes, .. } = self;
        notes.sort_by_cached_key(|note| {
            let order = files.get(&note.source.file).copied().unwrap_or(usize::MAX);
            (order, note.source.line, note.source.column)
        });
        notes
    }
}
