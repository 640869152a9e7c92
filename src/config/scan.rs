//! Every project file below a directory. Promise: ends within its limits, and says where it did not see all. Never: follows a symbolic link, starts or
//! writes anything.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use ignore::WalkBuilder;

use super::find::{FileKind, Found, find};

/// Directories that hold what others made; hidden ones are left out, too.
const NEVER: [&str; 6] = ["node_modules", "target", "vendor", "venv", "__pycache__", "site-packages"];

/// How far is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Directories below the first.
    pub depth: usize,
    /// Files and directories that are looked at.
    pub entries: usize,
    /// Projects that are found.
    pub projects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 5, entries: 200_000, projects: 1000 }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// One file a directory, in the order of their paths.
    pub found: Vec<Found>,
    /// There may be more: a limit was reached.
    pub was_cut: bool,
}

/// Looks for the projects in `root` and below it: in each directory the file that would be opened there. What Git ignores is left out.
#[must_use]
pub fn scan(root: &Path, limits: &Limits) -> Scan {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let walker = WalkBuilder::new(&root)
        .hidden(false)
        .parents(false)
        .git_global(false)
        .follow_links(false)
        .max_depth(Some(limits.depth.saturating_add(1)))
        .filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
            entry.depth() == 0 || !is_directory || !(name.starts_with('.') || NEVER.contains(&&*name))
        })
        .build();
    let mut directories: BTreeSet<PathBuf> = BTreeSet::new();
    let mut was_cut = false;
    for (seen, entry) in walker.enumerate() {
        if seen >= limits.entries {
            was_cut = true;
            break;
        }
        // What may not be read is none of ours.
        let Ok(entry) = entry else { continue };
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        let is_project = entry.file_name().to_str().is_some_and(FileKind::is_project_file);
        if is_file && is_project {
            directories.extend(entry.path().parent().map(Path::to_owned));
        } else if entry.file_type().is_some_and(|kind| kind.is_dir()) && entry.path().join(".git").exists() {
            // Its code may tell services.
            directories.insert(entry.into_path());
        }
    }
    let mut found = Vec::new();
    for directory in directories {
        // A file below a repository's own cas.yaml is a part of that project.
        let Ok(project) = find(&directory) else { continue };
        if project.file.parent() != Some(directory.as_path()) {
            continue;
        }
        if found.len() >= limits.projects {
            was_cut = true;
            break;
        }
        found.push(project);
    }
    Scan { found, was_cut }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Limits, scan};
    use crate::config::FileKind;

    fn put(root: &Path, file: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }

    fn files(root: &Path, limits: Limits) -> (Vec<String>, bool) {
        let scan = scan(root, &limits);
        let real = root.canonicalize().unwrap();
        let shown = scan.found.iter().map(|found| found.file.strip_prefix(&real).unwrap().display().to_string());
        (shown.collect(), scan.was_cut)
    }

    #[test]
    fn one_file_a_directory_is_found_and_what_others_made_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "a/Procfile",
            "a/cas.yaml",
            "b/mprocs.yaml",
            "b/readme.md",
            "c/node_modules/x/cas.yaml",
            "c/target/cas.yaml",
            "c/.hidden/cas.yaml",
            "d/.git/HEAD",
            "d/cas.yaml",
            "d/deploy/compose.yaml",
            "e/.git/HEAD",
            "e/.gitignore",
            "e/old/cas.yaml",
            "e/new/cas.yaml",
            "f/1/2/3/cas.yaml",
        ] {
            put(dir.path(), file);
        }
        fs::write(dir.path().join("e/.gitignore"), "old/\n").unwrap();
        let shallow = Limits { depth: 2, ..Limits::default() };
        let all = ["a/cas.yaml", "b/mprocs.yaml", "d/cas.yaml", "e/new/cas.yaml"];
        assert_eq!(files(dir.path(), shallow), (all.map(str::to_owned).to_vec(), false));
        let deep = files(dir.path(), Limits::default()).0;
        assert_eq!(deep.last().map(String::as_str), Some("f/1/2/3/cas.yaml"));
        let kinds: Vec<FileKind> = scan(dir.path(), &shallow).found.iter().map(|found| found.kind).collect();
        assert_eq!(kinds[..2], [FileKind::CasYaml, FileKind::Mprocs]);
    }

    #[test]
    fn a_limit_that_was_reached_is_told() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..3 {
            put(dir.path(), &format!("{number}/cas.yaml"));
        }
        let few = Limits { projects: 2, ..Limits::default() };
        assert_eq!(files(dir.path(), few), (vec!["0/cas.yaml".to_owned(), "1/cas.yaml".to_owned()], true));
        assert!(scan(dir.path(), &Limits { entries: 2, ..Limits::default() }).was_cut);
        assert!(!scan(dir.path(), &Limits::default()).was_cut);
    }

    #[test]
    fn a_repository_that_is_known_by_its_code_alone_is_found_at_its_root() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["shop/.git/HEAD", "shop/web/package.json", "notes/.git/HEAD", "notes/a.md", "loose/package.json"] {
            put(dir.path(), file);
        }
        assert_eq!(files(dir.path(), Limits::default()), (vec!["shop/(found)".to_owned()], false));
    }
}
