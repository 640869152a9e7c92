//! Compose files: what they mean, and what is said about those that mean nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod builds;
mod corpus;
mod hostile;
mod rules;
mod sentences;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cas::config::import::{Candidate, Container, Imported, Material, Runtime, Weight, compose};

use super::render::{Memory, render};

/// Files in memory below `/p`, and an environment.
#[derive(Default)]
struct Shelf {
    files: Memory,
    environment: BTreeMap<String, String>,
}

impl Shelf {
    /// With `compose.yaml`.
    fn of(text: &str) -> Self {
        Self::default().and("compose.yaml", text)
    }

    fn and(mut self, name: &str, text: &str) -> Self {
        self.files.0.insert(Path::new("/p").join(name), text.to_owned());
        self
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn import(&self) -> Imported {
        let file = PathBuf::from("/p/compose.yaml");
        let text = &self.files.0[&file];
        compose::import(&Material { file: &file, text, environment: &self.environment, files: &self.files })
    }

    fn rendered(&self) -> String {
        render(&self.import(), Path::new("/p/compose.yaml"), Path::new("/p"))
    }

    /// The notes of one weight, `file:line:column: message`.
    fn notes(&self, weight: Weight) -> Vec<String> {
        let notes = self.import().notes;
        let of_weight = notes.iter().filter(|note| note.weight == weight);
        of_weight.map(|note| format!("{}: {}", note.source, note.message).replace("/p/", "")).collect()
    }
}

/// Lines as those of a service.
fn indented(lines: &str) -> String {
    lines.lines().flat_map(|line| ["    ", line, "\n"]).collect()
}

/// The only service, wrapped around `lines` of its own.
fn service(lines: &str) -> Shelf {
    Shelf::of(&format!("services:\n  web:\n    image: nginx\n{}", indented(lines)))
}

fn container(candidate: &Candidate) -> &Container {
    match &candidate.runtime {
        Runtime::Container(container) => container,
        Runtime::Process(command) => panic!("a process: {command:?}"),
    }
}
