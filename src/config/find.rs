//! Which file is the project's. Never: leaves the repository upwards.

use std::path::{Path, PathBuf};

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `cas.yaml`.
    CasYaml,
    /// `Procfile`, as of foreman and heroku.
    Procfile,
    /// `process-compose.yaml`, and a `compose.yaml` that has `processes:`.
    ProcessCompose,
    /// `mprocs.yaml`.
    Mprocs,
    /// `ecosystem.config.*` and `process.json` of pm2.
    Pm2,
    /// `supervisord.conf`.
    Supervisord,
    /// `compose.yaml` and its older names.
    Compose,
    /// All that a directory without a `cas.yaml` tells: several files of other tools, or its code. See [`FOUND`].
    Found,
}

/// In place of a file's name, where no single file tells a project: `/srv/shop/(found)`.
pub const FOUND: &str = "(found)";

impl FileKind {
    /// By the file's name alone, and as the project file of `cas` where the name says nothing. A `compose.yaml` may belong to two tools: what is in it
    /// decides, see `load`.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let is_yaml = matches!(extension, "yaml" | "yml");
        match stem {
            _ if name == FOUND => Self::Found,
            _ if name == "Procfile" || name.starts_with("Procfile.") => Self::Procfile,
            "process-compose" if is_yaml => Self::ProcessCompose,
            "compose" | "docker-compose" if is_yaml => Self::Compose,
            "mprocs" if is_yaml => Self::Mprocs,
            "ecosystem.config" => Self::Pm2,
            "process" if extension == "json" => Self::Pm2,
            "supervisord" if extension == "conf" => Self::Supervisord,
            _ => Self::CasYaml,
        }
    }
}

impl FileKind {
    /// The word for people and programs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::CasYaml => "cas.yaml",
            Self::Procfile => "Procfile",
            Self::ProcessCompose => "process-compose",
            Self::Mprocs => "mprocs",
            Self::Pm2 => "pm2",
            Self::Supervisord => "supervisord",
            Self::Compose => "compose",
            Self::Found => "found",
        }
    }

    /// Whether a file of this name is a project's.
    #[must_use]
    pub fn is_project_file(name: &str) -> bool {
        CAS_YAML.contains(&name) || OTHERS.iter().any(|names| names.contains(&name))
    }
}

/// A project file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub file: PathBuf,
    /// What it is.
    pub kind: FileKind,
}

/// There is no project here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no project: looked for cas.yaml, Procfile, process-compose.yaml, mprocs.yaml, ecosystem.config.*, supervisord.conf, compose.yaml and code in {}\nhint: cas init writes a cas.yaml here, cas demo shows a project that needs no file",
    listed(.looked_in)
)]
pub struct NotFound {
    /// The directories, nearest first.
    pub looked_in: Vec<PathBuf>,
}

fn listed(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories.iter().map(|directory| directory.display().to_string()).collect();
    names.join(", ")
}

const CAS_YAML: [&str; 2] = ["cas.yaml", "cas.yml"];
/// Of other tools, the more explicit first; of names in one line a tool takes the first that is there.
const OTHERS: [&[&str]; 9] = [
    &["process-compose.yaml", "process-compose.yml"],
    &["Procfile.dev"],
    &["Procfile"],
    &["mprocs.yaml", "mprocs.yml"],
    &[
        "ecosystem.config.js",
        "ecosystem.config.cjs",
        "ecosystem.config.json",
        "ecosystem.config.yml",
        "ecosystem.config.yaml",
        "process.json",
    ],
    &["supervisord.conf"],
    &["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"],
    &["devbox.json"],
    &[".devcontainer/devcontainer.json", ".devcontainer.json"],
];
/// Only noted.
const NOTED: [&str; 2] = ["Tiltfile", "skaffold.yaml"];
/// Where units of systemd and the like are kept in repositories.
pub(super) const UNIT_DIRECTORIES: [&str; 4] = ["deploy", "systemd", "contrib", "dist"];
/// Names that tell that there is code; `*.sln` stands for any with that end.
const CODE: [&str; 27] = [
    "package.json",
    "pyproject.toml",
    "requirements.txt",
    "manage.py",
    "Pipfile",
    "setup.py",
    "app.py",
    "main.py",
    "Gemfile",
    "go.mod",
    "Cargo.toml",
    "composer.json",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "mix.exs",
    "deno.json",
    "deno.jsonc",
    "Makefile",
    "justfile",
    "Taskfile.yml",
    "Taskfile.yaml",
    "index.html",
    ".sln",
    ".csproj",
    ".fsproj",
    "turbo.json",
];
/// Directories in which the quick look for code lists names.
const MOST_LISTED: usize = 200;

/// The files of other tools that stand in a directory or beside it, the more explicit first.
pub(super) fn tool_files(directory: &Path) -> Vec<PathBuf> {
    let first =
        |names: &&'static [&'static str]| names.iter().map(|name| directory.join(name)).find(|file| file.is_file());
    let mut files: Vec<PathBuf> = OTHERS.iter().filter_map(first).collect();
    files.extend(NOTED.iter().map(|name| directory.join(name)).filter(|file| file.is_file()));
    let places = UNIT_DIRECTORIES.iter().map(|name| directory.join(name));
    for place in std::iter::once(directory.to_owned()).chain(places) {
        let Ok(entries) = std::fs::read_dir(&place) else { continue };
        let is_unit = |name: &std::ffi::OsString| Path::new(name).extension().is_some_and(|end| end == "service");
        let mut units: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.file_name()).filter(is_unit).map(|name| place.join(name)).collect();
        units.sort();
        files.extend(units.into_iter().filter(|file| file.is_file()));
    }
    files
}

/// The project file for a directory: the nearest `cas.yaml` (or `cas.yml`) in it or, within a Git repository, in the directories
/// above it up to the repository's root. Else the nearest of the same directories that has files of other tools: the file itself where there is one and
/// no code beside it, else [`FOUND`] in that directory. Else [`FOUND`] at the repository's root, or outside of repositories in the
/// directory itself, where there is code.
///
/// # Errors
/// [`NotFound`] says where it looked and what to do.
pub fn find(start: &Path) -> Result<Found, NotFound> {
    let start = start.canonicalize().unwrap_or_else(|_| start.to_owned());
    let directories = searched(&start);
    if let Some(file) = directories.iter().find_map(|directory| own_file(directory)) {
        return Ok(Found { file, kind: FileKind::CasYaml });
    }
    for directory in &directories {
        let files = tool_files(directory);
        // A unit of systemd in a directory says nothing about what the directory is.
        let is_telling = |file: &&PathBuf| {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            !name.ends_with(".service") && !NOTED.contains(&name)
        };
        match (files.iter().find(is_telling), files.len()) {
            (Some(only), 1) if FileKind::of(only) != FileKind::CasYaml && !has_code(directory, 1) => {
                return Ok(Found { kind: FileKind::of(only), file: only.clone() });
            }
            (Some(_), _) => return Ok(found_in(directory)),
            (None, _) => {}
        }
    }
    let is_repository = start.ancestors().any(|directory| directory.join(".git").exists());
    let root = if is_repository { directories.last().copied().unwrap_or(&start) } else { &start };
    // What lies about in a home directory is no project.
    let depth = if is_repository { 3 } else { 1 };
    if !is_common(root) && has_code(root, depth) {
        return Ok(found_in(root));
    }
    Err(NotFound { looked_in: directories.into_iter().map(Path::to_owned).collect() })
}

/// The project file of cas in a directory.
pub(super) fn own_file(directory: &Path) -> Option<PathBuf> {
    CAS_YAML.iter().map(|name| directory.join(name)).find(|file| file.is_file())
}

fn found_in(directory: &Path) -> Found {
    Found { file: directory.join(FOUND), kind: FileKind::Found }
}

/// A directory that belongs to no project.
fn is_common(directory: &Path) -> bool {
    let is_home = std::env::var_os("HOME").is_some_and(|home| Path::new(&home) == directory);
    is_home
        || ["/", "/tmp", "/var/tmp", "/home", "/srv", "/opt", "/root", "/usr", "/etc"]
            .iter()
            .any(|it| Path::new(it) == directory)
}

/// Whether names in the directory, or so many levels below, tell that there is code.
fn has_code(root: &Path, depth: usize) -> bool {
    let mut level = vec![root.to_owned()];
    let mut listed = 0;
    for _ in 0..=depth {
        let mut below = Vec::new();
        for directory in level {
            listed += 1;
            if listed > MOST_LISTED {
                return false;
            }
            let Ok(entries) = std::fs::read_dir(&directory) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let is_telling = CODE.iter().any(|code| match code.strip_prefix('.') {
                    Some(_) => name.ends_with(code),
                    None => name == *code,
                });
                if is_telling && entry.path().is_file() {
                    return true;
                }
                let is_plain = !name.starts_with('.') && !matches!(name, "node_modules" | "target" | "vendor" | "dist");
                if is_plain && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    below.push(entry.path());
                }
            }
        }
        below.sort();
        level = below;
    }
    false
}

/// The directory, and within a repository those above it up to its root.
pub(super) fn searched(start: &Path) -> Vec<&Path> {
    let up_to_root: Vec<&Path> = start.ancestors().collect();
    match up_to_root.iter().position(|directory| directory.join(".git").exists()) {
        Some(root) => up_to_root[..=root].to_vec(),
        None => vec![start],
    }
}
