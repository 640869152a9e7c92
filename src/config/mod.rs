//! Project and user files: find, read, check, explain. Promise: every problem at once, each with file, line, column, value and
//! what to write instead. Never: starts anything, changes the environment, or writes a file other than by [`init`].

pub(crate) mod alerts;
mod attributes;
mod check;
mod checks;
mod command;
mod container;
pub mod detect;
mod dotenv;
mod draft;
mod edit_yaml;
mod environment;
mod explain;
mod find;
mod foreign;
mod found;
mod gather;
pub mod git;
mod graph;
mod honest;
mod hooks;
pub mod import;
mod init;
mod interpolate;
mod json_schema;
pub mod kinds;
pub mod layers;
mod limits;
mod log_files;
mod logs;
pub mod merge;
mod nature;
pub(crate) mod nearest;
mod node;
mod occasions;
mod offers;
pub mod paths;
mod ports;
mod probes;
mod problems;
mod procfile;
mod project;
mod reader;
mod ready;
mod render;
mod replicas;
pub mod scan;
mod schema;
mod secrets;
mod settings;
mod siblings;
mod tree;
pub mod user;
mod written;

use std::path::PathBuf;

pub use check::{Understood, check_json, problem_json};
pub use explain::{Explained, ExplainedNeed, Explanation, ToldBy, Value, explain};
pub use find::{FOUND, FileKind, Found, NotFound, find};
pub use init::{init, write_beside};
pub use json_schema::json_schema;
pub use node::translate_evaluated;
pub use offers::OfferedBy;
pub use project::load;
pub use render::{render, render_as};
pub use schema::reference;

use crate::model::project::{Problem, ProjectSpec};

/// What a project file gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The file, absolute.
    pub file: PathBuf,
    /// The project; none exactly where there are errors.
    pub project: Option<ProjectSpec>,
    /// The services as far as they were understood, in the order of the file; also where there are errors.
    pub understood: Vec<Understood>,
    /// What is worth knowing and hinders nothing, in the order of the file.
    pub notes: Vec<Problem>,
    /// What must be changed, in the order of the file.
    pub errors: Vec<Problem>,
}

/// What a file of another tool becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Translation {
    /// The text of a `cas.yaml` for the directory of the file.
    pub cas_yaml: String,
    /// Services in it.
    pub services: usize,
    /// What was not carried over, and what is worth knowing.
    pub notes: Vec<Problem>,
    /// What in the file means nothing usable.
    pub errors: Vec<Problem>,
}

/// Translates the file of another tool; `env` is what its variables are looked up in.
///
/// # Errors
/// A sentence: it cannot be read, or no tool is known that has such a file.
pub fn translate(
    file: &std::path::Path,
    env: &std::collections::BTreeMap<String, String>,
) -> Result<Translation, Sentence> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let read = foreign::imported(&file, env).map_err(|why| unread(&file, why))?;
    let Some((_, imported)) = read else {
        return Err(Sentence(format!(
            "{} is of no tool that is known: Procfile, process-compose.yaml, mprocs.yaml, ecosystem.config.*, process.json, *.conf of supervisor, *.service, devbox.json, devcontainer.json, compose.yaml",
            file.display()
        )));
    };
    Ok(translation(&file, imported))
}

/// Why a file was not read, in a sentence.
fn unread(file: &std::path::Path, why: import::Unread) -> Sentence {
    Sentence(match why {
        import::Unread::Absent => format!("there is no file {}", file.display()),
        import::Unread::Because(why) => format!("{} cannot be read: {why}", file.display()),
    })
}

/// What was imported of a file, as the text of a `cas.yaml`.
fn translation(file: &std::path::Path, imported: import::Imported) -> Translation {
    let root = file.parent().unwrap_or(std::path::Path::new("/"));
    let (cas_yaml, services) = written::cas_yaml(root, &imported);
    let (errors, notes): (Vec<_>, Vec<_>) =
        imported.notes.into_iter().partition(|note| note.weight == import::Weight::Error);
    let problems = |notes: Vec<import::Note>| {
        let problem =
            |note: import::Note| Problem { source: Some(note.source), message: note.message, hint: note.hint };
        notes.into_iter().map(problem).collect()
    };
    Translation { cas_yaml, services, notes: problems(notes), errors: problems(errors) }
}

/// Why something could not be done, and what to do, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Sentence(pub String);
