//! Settings by name over all the places that may say one: built in, the user's file, the project's `defaults`, the environment, a flag, a
//! service's own keys; each wins over those before it. Promise: what is shown is what holds; what is written changes that value alone.
//! Never: a value whose meaning the readers of the files do not know.

mod keys;
mod values;
mod write;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    FileKind, Sentence,
    problems::Place,
    reader::Reader,
    schema,
    settings::PartialBackoff,
    tree::{Edit, Key, Node, Shape},
    user::{self, LoadedUser, UserConfig},
};
use crate::model::project::Problem;

/// Whom a key is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The user: `config.yaml`.
    User,
    /// Every service of the project: `defaults`.
    Project,
    /// One service of it.
    Service(String),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody says anything else.
    BuiltIn,
    /// A line of a file.
    File {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u32,
    },
    /// A variable.
    Variable(String),
    /// A flag of this command line.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A key with what holds for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub key: String,
    /// What holds; none: nothing.
    pub value: Option<String>,
    /// Who says so.
    pub source: Source,
}

impl Row {
    /// As `list --json` has it.
    #[must_use]
    pub fn json(&self) -> Value {
        let source = match &self.source {
            Source::BuiltIn => json!({"kind": "built-in"}),
            Source::File { file, line } => json!({"kind": "file", "file": file, "line": line}),
            Source::Variable(name) => json!({"kind": "variable", "name": name}),
            Source::Flag(name) => json!({"kind": "flag", "name": name}),
        };
        json!({"key": self.key, "value": self.value, "source": source})
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The file.
    pub file: PathBuf,
    /// The key.
    pub name: String,
    /// False: it said so already.
    pub changed: bool,
    /// The line of the value; 0 where there is none.
    pub line: u32,
}

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Refused {
    /// A sentence.
    Sentence(Sentence),
    /// The file could not be taken with it.
    Problems {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problems: Vec<Problem>,
    },
}

impl From<Sentence> for Refused {
    fn from(sentence: Sentence) -> Self {
        Self::Sentence(sentence)
    }
}

/// What is wrong with a user's file beyond its form: themes and actions that do not exist, forms of log lines that cannot be used.
pub type Judge<'a> = Box<dyn Fn(&UserConfig) -> Vec<Problem> + 'a>;

/// All the places together.
pub struct Layers<'a> {
    user_file: PathBuf,
    user_text: Option<String>,
    project_file: Option<PathBuf>,
    project_tree: Option<Arc<Node>>,
    kind: Option<FileKind>,
    environment: BTreeMap<String, String>,
    theme: Option<String>,
    judge: Judge<'a>,
}

impl<'a> Layers<'a> {
    /// Reads the files.
    #[must_use]
    pub fn open(
        user_file: PathBuf,
        project_file: Option<PathBuf>,
        environment: &BTreeMap<String, String>,
        theme: Option<&str>,
        judge: Judge<'a>,
    ) -> Self {
        let kind = project_file.as_deref().map(FileKind::of);
        let text = |file: &Path| std::fs::read_to_string(file).ok();
        let own = project_file.as_deref().filter(|_| kind == Some(FileKind::CasYaml));
        Self {
            user_text: text(&user_file),
            project_tree: own.and_then(text).as_deref().and_then(values::tree_of),
            user_file,
            project_file,
            kind,
            environment: environment.clone(),
            theme: theme.map(str::to_owned),
            judge,
        }
    }

    /// What holds for a key.
    ///
    /// # Errors
    /// There is no such key, or nothing holds for it.
    pub fn get(&self, key: &str, scope: &Scope) -> Result<Row, Sentence> {
        let services = self.services();
        let resolved = match keys::resolve(key, scope, &services) {
            // What belongs to services has a value for all of them, too.
            Err(_) if *scope == Scope::User => {
                keys::resolve(key, &Scope::Project, &services).or_else(|_| keys::resolve(key, scope, &services))?
            }
            other => other?,
        };
        let for_services = resolved.scope == Scope::User && self.project_file.is_some();
        let resolved = match resolved.known.filter(|known| for_services && known.is_of_services()) {
            Some(_) => keys::resolve(key, &Scope::Project, &services)?,
            None => resolved,
        };
        if let Scope::Service(name) = &resolved.scope
            && !services.contains(name)
        {
            let known: Vec<&str> = services.iter().map(String::as_str).collect();
            let hint = super::nearest::did_you_mean(name, &known);
            return Err(Sentence(format!("there is no service \"{name}\"\nhint: {hint}")));
        }
        match self.value(&resolved) {
            Some(row) => Ok(row),
            None => Ok(Row { key: resolved.full_name(), value: None, source: Source::BuiltIn }),
        }
    }

    /// Every key that has a name of its own, with what holds for it: the user's, then what services have; and what single services say of their own.
    /// With a service: what holds for that one.
    ///
    /// # Errors
    /// There is no such service.
    pub fn list(&self, service: Option<&str>) -> Result<Vec<Row>, Sentence> {
        let row = |key: keys::Key| {
            let name = key.full_name();
            self.value(&key).unwrap_or(Row { key: name, value: None, source: Source::BuiltIn })
        };
        if let Some(name) = service {
            let scope = Scope::Service(name.to_owned());
            self.get("restart", &scope)?;
            return Ok(keys::of_services(&scope).map(row).collect());
        }
        let mut rows: Vec<Row> = keys::of_users().map(row).collect();
        for action in self.actions() {
            rows.extend(keys::resolve(&format!("keys.{action}"), &Scope::User, &[]).ok().map(row));
        }
        if self.project_file.is_none() {
            return Ok(rows);
        }
        // What the user says as well may be another thing for this project.
        for key in keys::of_services(&Scope::Project) {
            let found = row(key);
            if let Some(same) = rows.iter_mut().find(|row| row.key == found.key) {
                *same = found;
            } else {
                rows.push(found);
            }
        }
        for name in self.services() {
            let scope = Scope::Service(name);
            for key in keys::of_services(&scope) {
                let general = keys::resolve(&key.name, &Scope::Project, &[]).ok().and_then(|key| self.value(&key));
                let own = row(key);
                if own.value.is_some() && general.is_none_or(|general| general.source != own.source) {
                    rows.push(own);
                }
            }
        }
        Ok(rows)
    }

    /// The files of all places, lowest first: what each is for, and whether it is there.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, PathBuf, bool)> {
        let mut files = vec![("user", self.user_file.clone(), self.user_text.is_some())];
        if let Some(file) = &self.project_file {
            files.push(("project", file.clone(), file.exists()));
            let dot_env = file.with_file_name(".env");
            let there = dot_env.exists();
            files.push(("variables", dot_env, there));
        }
        files
    }
}

/// The user's file with what the environment says over it. Wrong variables are errors without a place.
#[must_use]
pub fn effective_user(file: &Path, environment: &BTreeMap<String, String>) -> LoadedUser {
    let mut loaded = user::load(file);
    let mut errors = apply_variables(environment, &mut loaded.config);
    loaded.errors.append(&mut errors);
    loaded
}

fn apply_variables(environment: &BTreeMap<String, String>, config: &mut UserConfig) -> Vec<Problem> {
    let mut errors = Vec::new();
    for known in &keys::KNOWN {
        let Some(variable) = known.variable() else { continue };
        let Some(value) = environment.get(&variable).filter(|value| !value.is_empty()) else { continue };
        let Some(place) = known.user.first() else { continue };
        let nothing = BTreeMap::new();
        let mut reader = Reader::new(Path::new(&variable), PathBuf::new(), &nothing).without_interpolation();
        let node = nested(place, value);
        if let Some(fields) = reader.fields("the environment", &node, &schema::USER) {
            let sources = config.sources.clone();
            user::read(&mut reader, &fields, Path::new(&variable), config);
            // A variable has no line that could be pointed at.
            config.sources = sources;
            config.sources.remove(known.name);
        }
        let (_, wrong) = reader.problems.finish();
        errors.extend(wrong.into_iter().map(|problem| {
            let word = place.last().copied().unwrap_or_default();
            let rest =
                problem.message.strip_prefix(word).unwrap_or(&problem.message).trim_start_matches(": ").to_owned();
            Problem { source: None, message: format!("{variable}: {rest}"), hint: problem.hint }
        }));
    }
    errors
}

/// A value below its keys.
fn nested(place: &[&str], value: &str) -> Node {
    match place.split_first() {
        None => Node::new(Place::START, Shape::Scalar { text: Arc::from(value), plain: false }, Edit::Merge),
        Some((word, rest)) => {
            let key = Key { text: Arc::from(*word), at: Place::START };
            Node::new(Place::START, Shape::Map(vec![(key, Arc::new(nested(rest, value)))]), Edit::Merge)
        }
    }
}

/// What lies around a project's own words for its services.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outer {
    /// Of the user's file: below `defaults`.
    pub(crate) user: PartialBackoff,
    /// Of variables: above `defaults`, below a service's own.
    pub(crate) environment: PartialBackoff,
}

/// Reads it. What is wrong in the user's file is a note here (the built-in value holds), a wrong variable is an error.
pub(crate) fn around(reader: &mut Reader<'_>) -> Outer {
    let mut outer = Outer::default();
    if let Some(file) = super::paths::Paths::user_config_of(reader.environment) {
        let loaded = user::load(&file);
        outer.user = PartialBackoff::of(loaded.config.retry_strategy, loaded.config.max_restarts);
        for problem in loaded.errors {
            let is_ours = ["retry_strategy", "max_restarts"].iter().any(|word| problem.message.starts_with(word));
            if let (Some(at), true) = (problem.source, is_ours) {
                let place = Place { line: at.line, column: at.column };
                let hint = problem.hint.unwrap_or_default();
                reader.problems.note_in(&at.file, super::problems::Fault::new(place, problem.message).hint(hint));
            }
        }
    }
    let mut of_variables = UserConfig::default();
    for problem in apply_variables(reader.environment, &mut of_variables) {
        if ["CAS_RETRY_STRATEGY", "CAS_MAX_RESTARTS"].iter().any(|name| problem.message.starts_with(name)) {
            reader.problems.error_of_file(problem.message, problem.hint.unwrap_or_default());
        }
    }
    outer.environment = PartialBackoff::of(of_variables.retry_strategy, of_variables.max_restarts);
    outer
}
