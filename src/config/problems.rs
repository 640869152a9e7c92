//! Places, faults, and where they are gathered. Promise: every problem is said once, in the order of the file.
//! Never: stops at the first.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use crate::model::{project::Problem, service::Source};

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    /// The very beginning.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn new(line: usize, column: usize) -> Self {
        let fit = |number: usize| u32::try_from(number.max(1)).unwrap_or(u32::MAX);
        Self { line: fit(line), column: fit(column) }
    }

    /// As a place in a file.
    pub(crate) fn in_file(self, file: &Path) -> Source {
        Source { file: file.to_owned(), line: self.line, column: self.column }
    }
}

/// What is wrong at one place of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Place,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(at: Place, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Weight {
    Note,
    Error,
}

/// Longest message or hint, in characters; values in it may be of any length.
const LONGEST: usize = 2000;

/// All that was found while reading one file and those that it names.
#[derive(Debug)]
pub(crate) struct Problems {
    file: PathBuf,
    said: HashSet<(Weight, PathBuf, Place, String)>,
    notes: Vec<Problem>,
    errors: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), said: HashSet::new(), notes: Vec::new(), errors: Vec::new() }
    }

    /// Something that must be changed before the file can be used.
    pub(crate) fn error(&mut self, fault: Fault) {
        let file = self.file.clone();
        self.error_in(&file, fault);
    }

    /// The same in another file.
    pub(crate) fn error_in(&mut self, file: &Path, fault: Fault) {
        if self.say(Weight::Error, file, &fault) {
            self.errors.push(problem(file, fault));
        }
    }

    /// Something worth knowing.
    pub(crate) fn note(&mut self, fault: Fault) {
        let file = self.file.clone();
        self.note_in(&file, fault);
    }

    /// The same in another file.
    pub(crate) fn note_in(&mut self, file: &Path, fault: Fault) {
        if self.say(Weight::Note, file, &fault) {
            self.notes.push(problem(file, fault));
        }
    }

    /// An error without a place: the file itself is the problem.
    pub(crate) fn error_of_file(&mut self, message: String, hint: String) {
        self.errors.push(Problem { source: None, message, hint: Some(hint) });
    }

    /// True the first time.
    fn say(&mut self, weight: Weight, file: &Path, fault: &Fault) -> bool {
        self.said.insert((weight, file.to_owned(), fault.at, fault.message.clone()))
    }

    /// Notes and errors, each in the order of the file.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let Self { file, mut notes, mut errors, .. } = self;
        for list in [&mut notes, &mut errors] {
            list.sort_by_cached_key(|problem| {
                problem.source.as_ref().map(|at| (at.file != file, at.file.clone(), at.line, at.column))
            });
        }
        (notes, errors)
    }
}

fn problem(file: &Path, fault: Fault) -> Problem {
    Problem {
        source: Some(fault.at.in_file(file)),
        message: shortened(&harmless(&fault.message)),
        hint: fault.hint.map(|hint| shortened(&harmless(&hint))),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Without anything that moves the cursor, changes the terminal or the direction of text: control characters (C0, DEL, C1) become
/// their pictures or `?`, tabs and line ends become spaces, invisible direction marks vanish.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\t' | '\n' | '\r' => Some(' '),
            '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)),
            '\u{7f}' => Some('\u{2421}'),
            '\u{80}'..='\u{9f}' => Some('?'),
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}' => {
                None
            }
            _ => Some(c),
        })
        .collect()
}
