//! Project files, user files, paths: what they mean, and what is said about those that are wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod alerts;
mod bad;
mod checks;
mod foreign;
mod found;
mod good;
mod hooks;
mod hostile;
mod log_files;
mod occasions;
mod places;
mod secrets;
mod siblings;
mod starting;

use std::{collections::BTreeMap, fs, path::Path};

use cas::config::{self, Loaded};

/// A directory with a project in it.
pub(crate) struct Project {
    dir: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Project {
    /// A directory `shop` with some files that snippets refer to, and a search path that has `sh`, `sleep` and `true`.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Self {
            dir,
            environment: BTreeMap::from([
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                ("HOME".to_owned(), "/home/ada".to_owned()),
            ]),
        };
        fs::create_dir_all(project.root().join("api")).unwrap();
        project
    }

    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.dir.path().canonicalize().unwrap().join("shop")
    }

    /// The same with a variable in the environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with a file; the name is relative to the project.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let file = self.root().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    pub(crate) fn load(&self, name: &str) -> Loaded {
        config::load(&self.root().join(name), None, &self.environment)
    }

    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Notes and errors as a person sees them, paths relative to the project.
    pub(crate) fn said(&self, loaded: &Loaded) -> String {
        let notes = config::render_as("note", &loaded.notes, false);
        let errors = config::render(&loaded.errors, false);
        shortened(&format!("{notes}{errors}"), &self.root())
    }
}

pub(crate) fn shortened(text: &str, root: &Path) -> String {
    let root = root.display().to_string();
    text.replace(&format!("{root}/"), "").replace(&root, "[project]")
}

/// Loads a `cas.yaml`.
pub(crate) fn load(yaml: &str) -> Loaded {
    Project::new().file("cas.yaml", yaml).load("cas.yaml")
}

/// Loads a `cas.yaml` that has no errors.
#[track_caller]
pub(crate) fn sound(yaml: &str) -> cas::model::project::ProjectSpec {
    let project = Project::new().file("cas.yaml", yaml);
    let loaded = project.load("cas.yaml");
    loaded.project.clone().unwrap_or_else(|| panic!("{}", project.said(&loaded)))
}
