//! Project and user files: find, read, check, explain. Promise: every problem at once, each with file, line, column, value and
//! what to write instead. Never: starts anything, changes the environment, or writes a file other than by [`init`].

mod check;
mod command;
pub mod detect;
mod dotenv;
mod draft;
mod environment;
mod find;
mod foreign;
mod found;
mod graph;
pub mod import;
mod init;
mod interpolate;
mod limits;
mod logs;
mod nearest;
pub mod paths;
mod ports;
mod probes;
mod problems;
mod procfile;
mod project;
mod reader;
mod render;
mod schema;
mod settings;
mod tree;
pub mod user;

use std::path::PathBuf;

pub use check::{Understood, check_json, problem_json};
pub use find::{FileKind, Found, NotFound, find};
pub use init::init;
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

/// Why something could not be done, and what to do, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Sentence(pub String);
