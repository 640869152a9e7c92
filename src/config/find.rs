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
}

impl FileKind {
    /// By the file's name alone, and as the project file of `cas` where the name says nothing. A `compose.yaml` may belong to two tools: what is in it
    /// decides, see `load`.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let is_yaml = matches!(extension, "yaml" | "yml");
        match stem {
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
        }
    }

    /// Whether a file of this name is a project's.
    #[must_use]
    pub fn is_project_file(name: &str) -> bool {
        CAS_YAML.contains(&name) || OTHERS.contains(&name)
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
    "there is no project file: looked for cas.yaml, Procfile, process-compose.yaml, mprocs.yaml, ecosystem.config.*, supervisord.conf and compose.yaml in {}\nhint: cas init writes a cas.yaml here, cas demo shows a project that needs no file",
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
/// Of other tools, the more explicit first.
const OTHERS: [&str; 17] = [
    "process-compose.yaml",
    "process-compose.yml",
    "Procfile",
    "Procfile.dev",
    "mprocs.yaml",
    "mprocs.yml",
    "ecosystem.config.js",
    "ecosystem.config.cjs",
    "ecosystem.config.json",
    "ecosystem.config.yml",
    "ecosystem.config.yaml",
    "process.json",
    "supervisord.conf",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// The project file for a directory: the nearest `cas.yaml` (or `cas.yml`) in it or, within a Git repository, in the directories
/// above it up to the repository's root; else the nearest file of another tool in the same directories: `process-compose.yaml`, `Procfile`,
/// `mprocs.yaml`, pm2's, `supervisord.conf`, `compose.yaml`, in this order where one directory has several.
///
/// # Errors
/// [`NotFound`] says where it looked and what to do.
pub fn find(start: &Path) -> Result<Found, NotFound> {
    let start = start.canonicalize().unwrap_or_else(|_| start.to_owned());
    let directories = searched(&start);
    for names in [CAS_YAML.as_slice(), OTHERS.as_slice()] {
        let candidates = directories.iter().flat_map(|directory| names.iter().map(|name| directory.join(name)));
        if let Some(file) = candidates.into_iter().find(|file| file.is_file()) {
            let kind = FileKind::of(&file);
            return Ok(Found { file, kind });
        }
    }
    Err(NotFound { looked_in: directories.into_iter().map(Path::to_owned).collect() })
}

fn searched(start: &Path) -> Vec<&Path> {
    let up_to_root: Vec<&Path> = start.ancestors().collect();
    match up_to_root.iter().position(|directory| directory.join(".git").exists()) {
        Some(root) => up_to_root[..=root].to_vec(),
        None => vec![start],
    }
}
