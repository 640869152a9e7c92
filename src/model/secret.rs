//! Secrets that a project file names: from where each is had when its service starts. Never: a value, save in [`SecretValues`], which shows none.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::service::CommandLine;

/// From where a secret is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// What a file holds; absolute.
    File(PathBuf),
    /// What a command writes to its standard output.
    Command(CommandLine),
    /// What a variable holds in the environment that the project was opened with.
    Env(String),
}

impl std::fmt::Display for SecretSource {
    /// `file /srv/shop/db.pass`, `command pass show db`, `env DB_PASS`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Command(CommandLine::Shell(line)) => write!(f, "command {line}"),
            Self::Command(command @ CommandLine::Argv(_)) => write!(f, "command {}", command.display()),
            Self::Env(name) => write!(f, "env {name}"),
        }
    }
}

/// Names and values: of one name there may be several, the newest last.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct SecretValues(pub Vec<(String, String)>);

impl std::fmt::Debug for SecretValues {
    /// How many, never which.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values of secrets", self.0.len())
    }
}
