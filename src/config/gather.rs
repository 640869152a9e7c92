//! All that a directory tells of its services: the files of other tools in it, above it up to the repository's root, in the directories below in which
//! code has services, and the code itself. Never: runs or writes anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    detect::{self, Detected},
    find::{self, UNIT_DIRECTORIES, tool_files},
    foreign,
    import::{Candidate, Imported, Note, Told, Unread, Weight},
    merge::{Offer, Tool},
};
use crate::model::service::Source;

/// Directories below the root whose files of other tools are read, at most.
const MOST_MEMBERS: usize = 30;

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Gathered {
    /// The name of the project, where a file says one.
    pub(super) project: Option<Told<String>>,
    pub(super) offers: Vec<Offer>,
    pub(super) notes: Vec<Note>,
    pub(super) detected: Detected,
}

/// Reads all that tells of services in and around `root`.
pub(super) fn gather(root: &Path, environment: &BTreeMap<String, String>) -> Gathered {
    let detected = detect::detect(root, &detect::Limits::default());
    let mut gathered = Gathered { notes: detected.notes.clone(), ..Gathered::default() };
    gathered.directory(root, false, environment);
    for above in find::searched(root).into_iter().skip(1) {
        gathered.directory(above, true, environment);
    }
    let below = |candidate: &Candidate| {
        let directory = &candidate.working_dir.as_ref()?.value;
        (directory != root && directory.starts_with(root)).then(|| directory.clone())
    };
    let members: BTreeSet<PathBuf> = detected.candidates.iter().filter_map(below).collect();
    for member in members.into_iter().take(MOST_MEMBERS) {
        gathered.directory(&member, false, environment);
    }
    gathered.offers.push(Offer {
        tool: Tool::Code,
        file: root.to_owned(),
        directory: root.to_owned(),
        is_above: false,
        services: detected.candidates.clone(),
    });
    gathered.detected = detected;
    gathered
}

/// What one file tells; none for a project file of cas, and where it is of no tool that is known.
pub(super) fn offer(file: &Path, environment: &BTreeMap<String, String>) -> Option<(Offer, Imported)> {
    let (tool, imported) = match foreign::imported(file, environment) {
        Ok(read) => read?,
        Err(Unread::Absent) => return None,
        Err(Unread::Because(why)) => {
            let note = Note {
                weight: Weight::Lost,
                source: Source { file: file.to_owned(), line: 1, column: 1 },
                message: format!("{} cannot be read: {why}", file.display()),
                hint: Some("what it tells is not known".to_owned()),
            };
            (Tool::Compose, Imported { notes: vec![note], ..Imported::default() })
        }
    };
    Some((Offer { tool, services: imported.services.clone(), ..nothing_of(file) }, imported))
}

/// An offer of no services for the directory that a file speaks for.
fn nothing_of(file: &Path) -> Offer {
    let directory = file.parent().unwrap_or(Path::new("/"));
    // What stands in `.devcontainer` or `deploy` is about the directory that has it.
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let directory = if UNIT_DIRECTORIES.contains(&name) || name == ".devcontainer" {
        directory.parent().unwrap_or(directory)
    } else {
        directory
    };
    Offer {
        tool: Tool::Compose,
        file: file.to_owned(),
        directory: directory.to_owned(),
        is_above: false,
        services: Vec::new(),
    }
}

impl Gathered {
    fn directory(&mut self, directory: &Path, is_above: bool, environment: &BTreeMap<String, String>) {
        for file in tool_files(directory) {
            let Some((offer, imported)) = offer(&file, environment) else { continue };
            let is_aside = is_above || matches!(offer.tool, Tool::Supervisord | Tool::Systemd);
            // What is not run from here must not keep from running what is.
            let softened = |note: Note| match note.weight {
                Weight::Error if is_aside => Note { weight: Weight::Lost, ..note },
                Weight::Error | Weight::Lost | Weight::Hint => note,
            };
            if !is_aside {
                self.notes.extend(imported.notes);
                if self.project.is_none() {
                    self.project = imported.project;
                }
            } else if !is_above {
                self.notes.extend(imported.notes.into_iter().map(softened).filter(|note| note.weight == Weight::Lost));
            }
            self.offers.push(Offer { is_above, ..offer });
        }
    }
}
