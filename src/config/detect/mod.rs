//! What services a directory's code would have. Promise: a bounded walk that honours `.gitignore`; every value knows its place; the same
//! tree gives the same answer. Never: runs anything, writes anything, follows a symlink, keeps a credential, or fails.

mod compiled;
mod needs;
mod node;
mod python;
mod python_servers;
mod rules;
mod targets;
mod text;
mod versions;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use super::import::{Candidate, Note, PortUse, Role, Runtime, Told, Weight};
use crate::model::{
    ids::ServiceName,
    probe::{Check, Probe, ProbeKind},
    service::{CommandLine, Source},
};

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Directories below the root.
    pub depth: usize,
    /// Entries that are looked at, ignored ones left out.
    pub entries: usize,
    /// Files that are read.
    pub files: usize,
    /// A larger file is not read.
    pub file_bytes: u64,
    /// After this the walk ends where it is.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 6, entries: 20_000, files: 600, file_bytes: 256 * 1024, time: Duration::from_millis(1500) }
    }
}

/// What a service talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeedKind {
    /// `PostgreSQL`.
    Postgres,
    /// `MySQL` or `MariaDB`.
    Mysql,
    /// A database whose kind is not said.
    Database,
    /// Redis or Valkey.
    Redis,
    /// An AMQP broker.
    Amqp,
    /// `MongoDB`.
    Mongo,
    /// A mail server.
    Smtp,
    /// An object store.
    S3,
    /// Kafka.
    Kafka,
    /// NATS.
    Nats,
    /// Elasticsearch or `OpenSearch`.
    Elasticsearch,
    /// Memcached.
    Memcached,
}

impl NeedKind {
    /// The word used in files and sentences.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Database => "a database",
            Self::Redis => "Redis",
            Self::Amqp => "an AMQP broker",
            Self::Mongo => "MongoDB",
            Self::Smtp => "a mail server",
            Self::S3 => "an object store",
            Self::Kafka => "Kafka",
            Self::Nats => "NATS",
            Self::Elasticsearch => "Elasticsearch",
            Self::Memcached => "Memcached",
        }
    }
}

/// Something outside of the project that its code expects to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What it is.
    pub kind: NeedKind,
    /// The variable that names it.
    pub variable: String,
    /// Where the variable is set or read, at most eight.
    pub sources: Vec<Source>,
    /// `host:port`, from the variable's value; never the credentials.
    pub endpoint: Option<String>,
}

/// What a directory's code tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detected {
    /// Services and tasks with usable, unique names, those nearest to the root first.
    pub candidates: Vec<Candidate>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// What the code expects to be there.
    pub needs: Vec<Need>,
    /// Entries that were looked at.
    pub visited: usize,
    /// True where a limit ended the search before everything was seen.
    pub is_partial: bool,
}

/// What one way of looking adds.
#[derive(Default)]
struct Finds {
    candidates: Vec<Candidate>,
    notes: Vec<Note>,
}

/// Looks at a directory's files for services.
#[must_use]
pub fn detect(root: &Path, limits: &Limits) -> Detected {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let mut finds = Finds::default();
    let tree = walk::walk(&root, limits, &mut finds.notes);
    for directory in tree.directories() {
        let before = finds.candidates.len();
        node::look(&tree, directory, &mut finds);
        python::look(&tree, directory, &mut finds);
        compiled::look(&tree, directory, &mut finds);
        rules::look(&tree, directory, &mut finds);
        let has_services = finds.candidates[before..].iter().any(|candidate| candidate.role == Role::Service);
        targets::look(&tree, directory, has_services, &mut finds);
    }
    let needs = needs::find(&tree, &mut finds.notes);
    versions::compare(&tree, &mut finds.notes);
    name_apart(&root, &mut finds.candidates);
    part_ports(&mut finds);
    finds.notes.sort_by(|a, b| (&a.source.file, a.source.line).cmp(&(&b.source.file, b.source.line)));
    Detected {
        candidates: finds.candidates,
        notes: finds.notes,
        needs,
        visited: tree.visited,
        is_partial: tree.is_partial(),
    }
}

/// A service of which the command, its directory and perhaps a port are known.
struct Service<'s> {
    name: &'s str,
    command: String,
    directory: PathBuf,
    source: Source,
    /// What it is, for people.
    what: String,
    port: Option<Told<u16>>,
    /// A path that answers, where one is known; else the port is asked whether it is open.
    path: Option<&'s str>,
    role: Role,
}

impl Service<'_> {
    fn candidate(self) -> Candidate {
        let told = |text: String| Told { value: text, source: self.source.clone() };
        let runtime = Runtime::Process(Told { value: CommandLine::Shell(self.command), source: self.source.clone() });
        let mut candidate = Candidate::new(told(self.name.to_owned()), runtime);
        candidate.description = Some(told(self.what));
        candidate.working_dir = Some(Told { value: self.directory, source: self.source.clone() });
        candidate.role = self.role;
        if let Some(port) = self.port.filter(|port| port.value > 0 && self.role == Role::Service) {
            let host = "localhost".to_owned();
            let check = match self.path {
                Some(path) => Check::Http { url: format!("http://localhost:{}{path}", port.value), status: None },
                None => Check::Tcp { host, port: port.value },
            };
            let probe = Probe {
                check,
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(5),
                retries: 3,
                successes: 1,
                start_period: Duration::ZERO,
                heals: false,
                honest: true,
            };
            candidate.probes.insert(ProbeKind::Readiness, Told { value: probe, source: port.source.clone() });
            let used = PortUse { address: None, host: Some(port.value), target: port.value, is_udp: false };
            candidate.ports.push(Told { value: used, source: port.source });
        }
        candidate
    }
}

/// Letters, digits, `.`, `_`, `-`, at most 40 of them; none where nothing is left.
fn sanitised(name: &str) -> Option<String> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = name.rsplit('/').next().unwrap_or(name).chars().map(allowed).collect();
    let name: String = name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).chars().take(40).collect();
    ServiceName::new(&name).is_ok().then_some(name)
}

/// Names of directories that say nothing of what is in them.
const GENERAL: [&str; 12] =
    ["src", "source", "sources", "app", "apps", "code", "project", "lib", "main", "cmd", "packages", "services"];

/// The name of a directory, or of the nearest one above it that says something; none for the root.
fn called(root: &Path, directory: &Path) -> Option<String> {
    let within = directory.ancestors().take_while(|above| *above != root && above.starts_with(root));
    let mut names = within.filter_map(|above| above.file_name()?.to_str());
    names.find(|name| !GENERAL.contains(name)).map(str::to_owned)
}

/// Gives each candidate a usable name that no other has: its own, else with its directory before it, else with a number behind it.
fn name_apart(root: &Path, candidates: &mut [Candidate]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for candidate in candidates.iter_mut() {
        candidate.name.value = sanitised(&candidate.name.value).unwrap_or_else(|| "service".to_owned());
        *counts.entry(candidate.name.value.clone()).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    for candidate in candidates {
        let own = candidate.name.value.clone();
        let mut name = own.clone();
        if counts.get(&own).is_some_and(|count| *count > 1) {
            let directory = candidate.working_dir.as_ref().map_or(root, |told| &told.value);
            let above = directory.ancestors().take_while(|above| *above != root && above.starts_with(root));
            let mut prefixes = above.filter_map(|above| sanitised(&above.file_name()?.to_string_lossy()));
            let prefix = prefixes.find(|prefix| *prefix != own && !GENERAL.contains(&prefix.as_str()));
            name = prefix.map_or_else(|| own.clone(), |prefix| format!("{prefix}-{own}"));
            name.truncate(56);
        }
        let base = name.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}-{number}");
            number += 1;
        }
        candidate.name.value = name;
    }
}

/// A port can be had once: later services that would have the same lose it, and a note says so.
fn part_ports(finds: &mut Finds) {
    let mut owners: BTreeMap<u16, String> = BTreeMap::new();
    for candidate in finds.candidates.iter_mut().filter(|candidate| candidate.role == Role::Service) {
        let Some(port) = candidate.ports.first().cloned() else { continue };
        match owners.get(&port.value.target) {
            None => {
                owners.insert(port.value.target, candidate.name.value.clone());
            }
            Some(owner) => {
                candidate.ports.clear();
                candidate.probes.clear();
                finds.notes.push(Note {
                    weight: Weight::Hint,
                    source: port.source,
                    message: format!(
                        "{} would listen on port {}, as {owner} does",
                        candidate.name.value, port.value.target
                    ),
                    hint: Some("give one of them another port in cas.yaml".to_owned()),
                });
            }
        }
    }
}
