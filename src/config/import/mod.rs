//! What files of other tools say, as services of `cas`. Promise: every value knows its place; what cannot be carried over is a
//! note at its line; the same material gives the same answer. Never: runs anything, writes anything, or reads the network.
//!
//! One file a format, all of one shape: `fn import(material: &Material) -> Imported`. An importer only translates: which of several files
//! wins, and what `cas` makes of a candidate, is decided by who called it.

pub mod compose;
pub mod devbox;
pub mod devcontainer;
pub mod mprocs;
pub mod noted;
mod page;
pub mod pm2;
mod pm2_javascript;
pub mod process_compose;
mod process_compose_probe;
mod process_compose_process;
pub mod procfile;
pub mod supervisord;
mod supervisord_ini;
pub mod systemd;
mod systemd_unit;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::model::{
    container::ContainerSpec,
    probe::{Probe, ProbeKind},
    service::{CommandLine, Dependency, RestartPolicy, Source},
    signal::Signal,
};

/// A value and where it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<T> {
    /// What was said.
    pub value: T,
    /// Where; of a value that follows from others, the place of the one that decided.
    pub source: Source,
}

/// Reads other files on behalf of an importer, so that a fuzzer or a test can be the disk.
pub trait Files {
    /// The text of a file, without a byte order mark.
    ///
    /// # Errors
    /// Why not, as a sentence's end: `there is no such file`, `it is larger than 1 MiB`, `it is not UTF-8`.
    fn read(&self, file: &Path) -> Result<String, Unread>;
    /// True where a file or directory is there.
    fn exists(&self, path: &Path) -> bool;
    /// The names in a directory, sorted; empty where it cannot be read.
    fn list(&self, directory: &Path) -> Vec<String>;
}

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// There is none.
    Absent,
    /// The end of the sentence "it cannot be read: …".
    Because(String),
}

/// What an importer is handed.
#[derive(Clone, Copy)]
pub struct Material<'m> {
    /// The file, absolute.
    pub file: &'m Path,
    /// Its text, without a byte order mark.
    pub text: &'m str,
    /// What `${VAR}` is looked up in first; `.env` beside the file comes after it.
    pub environment: &'m BTreeMap<String, String>,
    /// The files that it names.
    pub files: &'m dyn Files,
}

impl Material<'_> {
    /// The directory of the file.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Worth knowing; nothing is lost.
    Hint,
    /// A value that was not carried over: the service runs, and differs from what the file says.
    Lost,
    /// The file, or the service at this place, means nothing usable.
    Error,
}

/// Something to tell of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub weight: Weight,
    /// Where.
    pub source: Source,
    /// What, with the value: `healthcheck.start_interval: 2s is not carried over`.
    pub message: String,
    /// What to do, if anything.
    pub hint: Option<String>,
}

/// What a file gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Imported {
    /// The project's name, where the file says one.
    pub project: Option<Told<String>>,
    /// Its services in the order of the file.
    pub services: Vec<Candidate>,
    /// What could not be carried over, and what is worth knowing, in the order of the file.
    pub notes: Vec<Note>,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// This text.
    Text(String),
    /// Whatever the environment has that `cas` was called in; nothing where it has none.
    Inherited,
}

/// A file of variables, read when the service starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    /// Absolute.
    pub path: PathBuf,
    /// Where false, its absence is no error.
    pub required: bool,
}

/// A port of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortUse {
    /// The address on this machine, where one was named.
    pub address: Option<String>,
    /// The port on this machine; none: the engine of containers chooses one, or nothing is published.
    pub host: Option<u16>,
    /// The port that the service itself listens on.
    pub target: u16,
    /// UDP instead of TCP.
    pub is_udp: bool,
}

/// How an image is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Absolute directory, or a URL as written.
    pub context: String,
    /// Relative to the context.
    pub dockerfile: Option<String>,
    /// Stage.
    pub target: Option<String>,
    /// Arguments.
    pub args: BTreeMap<String, Variable>,
}

/// What is particular to a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    /// Its image.
    pub image: Option<Told<String>>,
    /// How the image is made.
    pub build: Option<Told<Build>>,
    /// In place of the image's; empty: it has none.
    pub entrypoint: Option<Told<Vec<String>>>,
    /// In place of the image's.
    pub command: Option<Told<Vec<String>>>,
    /// Mounts, in compose's short form: `./data:/var/lib/data:ro`, sources absolute or names of volumes.
    pub volumes: Vec<Told<String>>,
    /// Names of networks.
    pub networks: Vec<Told<String>>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// All else; none where nothing else is told.
    pub details: Option<Box<Details>>,
}

/// What more is told of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// So many of the ports, the first ones, are published, if only at a port that the engine chooses.
    pub published: usize,
    /// Where it sees memory as a file system.
    pub tmpfs: Vec<String>,
    /// Keys that have no place elsewhere; what has one is not looked at here.
    pub spec: ContainerSpec,
}

impl Default for Details {
    fn default() -> Self {
        let spec = ContainerSpec { image: None, ..ContainerSpec::of("", "", "") };
        Self { published: 0, tmpfs: Vec::new(), spec }
    }
}

/// What is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// A process of this machine.
    Process(Told<CommandLine>),
    /// A container.
    Container(Box<Container>),
}

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// It is meant to stay up.
    #[default]
    Service,
    /// It runs once and ends: a migration, a seed, a build.
    Task,
}

/// When it is started by the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Five or six fields, as cron has them.
    Cron(String),
    /// Each time so long after the last start.
    Every(Duration),
}

/// Limits in the units of `model::service::Limits`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bounds {
    /// Cores.
    pub cpus: Option<Told<f64>>,
    /// Bytes.
    pub memory_bytes: Option<Told<u64>>,
    /// Processes and threads.
    pub pids: Option<Told<u32>>,
}

/// A service as one file tells it. None and empty mean that the file says nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its name as written.
    pub name: Told<String>,
    /// What is executed.
    pub runtime: Runtime,
    /// Service or task.
    pub role: Role,
    /// Absolute.
    pub working_dir: Option<Told<PathBuf>>,
    /// Variables, those of `env_files` left out.
    pub environment: BTreeMap<String, Told<Variable>>,
    /// Files of variables, earlier ones first; `environment` wins over them.
    pub env_files: Vec<Told<EnvFile>>,
    /// What must hold before it starts, by name as written.
    pub depends_on: BTreeMap<String, Told<Dependency>>,
    /// Its ports.
    pub ports: Vec<Told<PortUse>>,
    /// Its probes.
    pub probes: BTreeMap<ProbeKind, Told<Probe>>,
    /// A pattern in its output that means that it is ready.
    pub ready_log_line: Option<Told<String>>,
    /// When it is started again.
    pub restart: Option<Told<RestartPolicy>>,
    /// Pause before a restart, where one fixed pause is said.
    pub restart_delay: Option<Told<Duration>>,
    /// The first signal of a stop.
    pub stop_signal: Option<Told<Signal>>,
    /// From the first signal to SIGKILL.
    pub stop_grace: Option<Told<Duration>>,
    /// What it may use.
    pub bounds: Bounds,
    /// It wants a terminal.
    pub tty: Option<Told<bool>>,
    /// Copies.
    pub replicas: Option<Told<u32>>,
    /// It belongs to these profiles; empty: it is always meant.
    pub profiles: Vec<Told<String>>,
    /// Started with its project, or only when asked for.
    pub autostart: Option<Told<bool>>,
    /// Who it runs as.
    pub user: Option<Told<String>>,
    /// When the clock starts it.
    pub schedule: Option<Told<Schedule>>,
    /// For people.
    pub description: Option<Told<String>>,
}

impl Candidate {
    /// One of which nothing is known but its name and what is executed.
    #[must_use]
    pub fn new(name: Told<String>, runtime: Runtime) -> Self {
        Self {
            name,
            runtime,
            role: Role::Service,
            working_dir: None,
            environment: BTreeMap::new(),
            env_files: Vec::new(),
            depends_on: BTreeMap::new(),
            ports: Vec::new(),
            probes: BTreeMap::new(),
            ready_log_line: None,
            restart: None,
            restart_delay: None,
            stop_signal: None,
            stop_grace: None,
            bounds: Bounds::default(),
            tty: None,
            replicas: None,
            profiles: Vec::new(),
            autostart: None,
            user: None,
            schedule: None,
            description: None,
        }
    }
}
