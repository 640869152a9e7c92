//! Which file is the project's. Never: leaves the repository upwards.

use std::path::{Path, PathBuf};

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `cas.yaml`.
    CasYaml,
    /// `Procfile`, as of foreman and heroku.
    Procfile,
}

impl FileKind {
    /// By the file's name: `Procfile` and `Procfile.anything` are Procfiles.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "Procfile" || name.starts_with("Procfile.") { Self::Procfile } else { Self::CasYaml }
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
    "there is no project file: looked for cas.yaml, cas.yml, Procfile and Procfile.dev in {}\nhint: cas init writes a cas.yaml here, cas demo shows a project that needs no file",
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
const PROCFILE: [&str; 2] = ["Procfile", "Procfile.dev"];

/// The project file for a directory: the nearest `cas.yaml` (or `cas.yml`) in it or, within a Git repository, in the directories
/// above it up to the repository's root; else the nearest `Procfile` (or `Procfile.dev`) in the same directories.
///
/// # Errors
/// [`NotFound`] says where it looked and what to do.
pub fn find(start: &Path) -> Result<Found, NotFound> {
    let start = start.canonicalize().unwrap_or_else(|_| start.to_owned());
    let directories = searched(&start);
    for (names, kind) in [(CAS_YAML, FileKind::CasYaml), (PROCFILE, FileKind::Procfile)] {
        let candidates = directories.iter().flat_map(|directory| names.map(|name| directory.join(name)));
        if let Some(file) = candidates.into_iter().find(|file| file.is_file()) {
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
