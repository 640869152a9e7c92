//! Which files of a service count, and which directories have to be looked at for them.
//!
//! What is written without a wildcard is meant, also where it is ignored by rules above it. Below what is written, `.gitignore` counts, and what editors,
//! version control and builds make never does.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::model::occasion::Watch;

/// Directories that never count.
const DIRECTORIES: [&str; 7] = [".git", ".hg", ".svn", ".jj", "node_modules", "target", "__pycache__"];
/// Ends of names that never count: what editors leave while they save.
const ENDS: [&str; 8] = ["~", ".swp", ".swo", ".swx", ".tmp", ".pyc", "___jb_tmp___", "___jb_old___"];
/// Beginnings of such names.
const BEGINNINGS: [&str; 2] = [".#", ".goutputstream-"];
/// Whole names of that kind; vim tries with 4913 whether it may write.
const NAMES: [&str; 2] = ["4913", ".DS_Store"];
/// Directories whose `.gitignore` is kept.
const MOST_KEPT: usize = 4096;

/// The rules of one service.
pub(super) struct Rules {
    pub(super) root: PathBuf,
    /// Where `.gitignore` files begin to count.
    top: PathBuf,
    include: Gitignore,
    ignore: Gitignore,
    /// What is written, as far as no wildcard is in it.
    begins: Vec<PathBuf>,
    /// By directory.
    kept: RefCell<HashMap<PathBuf, Option<Arc<Gitignore>>>>,
}

impl Rules {
    pub(super) fn new(root: &Path, watch: &Watch) -> Self {
        let mut begins: Vec<PathBuf> = watch
            .paths
            .iter()
            .filter(|pattern| !pattern.starts_with('!'))
            .map(|pattern| begin(root, pattern))
            .collect();
        begins.sort();
        begins.dedup();
        let top = root.ancestors().find(|directory| directory.join(".git").exists()).unwrap_or(root).to_owned();
        Self {
            root: root.to_owned(),
            top,
            include: matcher(root, watch.paths.iter().map(|pattern| anchored(pattern))),
            ignore: matcher(root, watch.ignore.iter().cloned()),
            begins,
            kept: RefCell::default(),
        }
    }

    /// Whether the change of a file counts.
    pub(super) fn count(&self, file: &Path) -> bool {
        let Ok(below) = file.strip_prefix(&self.root) else { return false };
        if below.as_os_str().is_empty() || !self.include.matched_path_or_any_parents(below, false).is_ignore() {
            return false;
        }
        self.begins.iter().any(|begin| begin == file) || !self.is_ignored(file, false)
    }

    /// Whether a directory has to be looked at.
    pub(super) fn wants(&self, directory: &Path) -> bool {
        if !directory.starts_with(&self.root) {
            return false;
        }
        self.begins.iter().any(|begin| begin.starts_with(directory))
            || (self.begins.iter().any(|begin| directory.starts_with(begin)) && !self.is_ignored(directory, true))
    }

    /// A `.gitignore` is another.
    pub(super) fn forget(&self, directory: &Path) {
        self.kept.borrow_mut().remove(directory);
    }

    /// By a rule, from what is written downwards.
    fn is_ignored(&self, path: &Path, is_directory: bool) -> bool {
        let Ok(below) = path.strip_prefix(&self.root) else { return true };
        if self.ignore.matched_path_or_any_parents(below, is_directory).is_ignore() {
            return true;
        }
        // What is written literally is looked at whatever its name.
        let floor =
            self.begins.iter().filter(|begin| path.starts_with(begin)).max_by_key(|begin| begin.as_os_str().len());
        let floor = floor.map_or(self.root.as_path(), PathBuf::as_path);
        let mut part = path;
        let mut part_is_directory = is_directory;
        while part != floor && part.starts_with(floor) {
            if is_never_counted(part, part_is_directory) || self.is_git_ignored(part, part_is_directory) {
                return true;
            }
            let Some(parent) = part.parent() else { break };
            part = parent;
            part_is_directory = true;
        }
        false
    }

    fn is_git_ignored(&self, path: &Path, is_directory: bool) -> bool {
        for directory in path.ancestors().skip(1) {
            if let Some(rules) = self.rules_in(directory) {
                let found = rules.matched(path, is_directory);
                if !found.is_none() {
                    return found.is_ignore();
                }
            }
            if directory == self.top {
                break;
            }
        }
        false
    }

    fn rules_in(&self, directory: &Path) -> Option<Arc<Gitignore>> {
        if let Some(kept) = self.kept.borrow().get(directory) {
            return kept.clone();
        }
        let file = directory.join(".gitignore");
        // Lines that cannot be understood say nothing.
        let rules = file.is_file().then(|| Arc::new(Gitignore::new(&file).0));
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(directory.to_owned(), rules.clone());
        rules
    }
}

fn is_never_counted(path: &Path, is_directory: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if is_directory {
        return DIRECTORIES.contains(&&*name);
    }
    let is_autosave = name.len() > 2 && name.starts_with('#') && name.ends_with('#');
    is_autosave
        || NAMES.contains(&&*name)
        || DIRECTORIES.contains(&&*name)
        || ENDS.iter().any(|end| name.ends_with(end))
        || BEGINNINGS.iter().any(|begin| name.starts_with(begin))
}

fn matcher(root: &Path, patterns: impl Iterator<Item = String>) -> Gitignore {
    let mut builder = GitignoreBuilder::new(root);
    for pattern in patterns {
        // What is wrong with a pattern was told when its file was read; here it matches nothing.
        let _refused = builder.add_line(None, &pattern);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

const WILD: [char; 4] = ['*', '?', '[', '{'];

/// The pattern as `.gitignore` has it: what has no wildcard is meant from the service's directory on.
fn anchored(pattern: &str) -> String {
    let plain = pattern.strip_prefix("./").unwrap_or(pattern);
    match plain {
        "" | "." | "/" => "*".to_owned(),
        _ if plain.contains(WILD) || plain.starts_with(['/', '!']) => plain.to_owned(),
        _ => format!("/{plain}"),
    }
}

/// The part of a pattern before its first wildcard, below `root`.
fn begin(root: &Path, pattern: &str) -> PathBuf {
    let plain = anchored(pattern);
    if !plain.trim_end_matches('/').contains('/') {
        return root.to_owned();
    }
    let literal = plain.split('/').filter(|part| !part.is_empty()).take_while(|part| !part.contains(WILD));
    literal.fold(root.to_owned(), |path, part| path.join(part))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::{Rules, Watch};
    use crate::model::occasion::OnChange;

    fn rules(root: &std::path::Path, paths: &[&str], ignore: &[&str]) -> Rules {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let watch = Watch {
            paths: owned(paths),
            ignore: owned(ignore),
            debounce: Duration::from_millis(300),
            action: OnChange::Restart,
        };
        Rules::new(root, &watch)
    }

    #[test]
    fn patterns_say_which_files_count() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        for (paths, ignore, file, counts) in [
            (&["."][..], &[][..], "src/app.py", true),
            (&["src"], &[], "src/deep/app.py", true),
            (&["src"], &[], "lib/src/app.py", false),
            (&["src/"], &[], "src/app.py", true),
            (&["*.py"], &[], "src/app.py", true),
            (&["*.py"], &[], "src/app.js", false),
            (&["src/**/*.py"], &[], "src/a/b/app.py", true),
            (&["src/*.py"], &[], "src/a/app.py", false),
            (&["src/{a,b}"], &[], "src/a/app.py", true),
            (&["src/{a,b}"], &[], "src/c/app.py", false),
            (&["app.toml"], &[], "app.toml", true),
            (&["app.toml"], &[], "other.toml", false),
            (&["./src"], &["*.md"], "src/notes.md", false),
            (&["."], &["docs/"], "docs/a/b.txt", false),
            (&[".", "!*.log"], &[], "a.log", false),
            (&["."], &[], "node_modules/x/index.js", false),
            (&["."], &[], "target/debug/app", false),
            (&["target/debug/app"], &[], "target/debug/app", true),
            (&["target/debug"], &[], "target/debug/other", true),
            (&["."], &[], ".git/index", false),
            (&["."], &[], "src/.app.py.swp", false),
            (&["."], &[], "src/app.py~", false),
            (&["."], &[], "src/#app.py#", false),
            (&["."], &[], "src/4913", false),
        ] {
            let file = root.join(file);
            assert_eq!(rules(root, paths, ignore).count(&file), counts, "{paths:?} {ignore:?} {}", file.display());
        }
    }

    #[test]
    fn a_gitignore_of_any_directory_up_to_the_repository_counts() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("api");
        fs::create_dir_all(root.join("src")).unwrap();
        fs::create_dir(place.path().join(".git")).unwrap();
        fs::write(place.path().join(".gitignore"), "*.log\n/api/dist/\n").unwrap();
        fs::write(root.join("src/.gitignore"), "made.py\n!kept.log\n").unwrap();
        let rules = rules(&root, &["."], &[]);
        for (file, counts) in [
            ("app.py", true),
            ("app.log", false),
            ("src/deep.log", false),
            ("src/kept.log", true),
            ("src/made.py", false),
            ("made.py", true),
            ("dist/app.js", false),
        ] {
            assert_eq!(rules.count(&root.join(file)), counts, "{file}");
        }
        assert!(rules.wants(&root) && rules.wants(&root.join("src")) && !rules.wants(&root.join("dist")));
    }

    #[test]
    fn only_directories_that_can_hold_what_is_written_are_looked_at() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        let rules = rules(root, &["web/src/**/*.ts", "config/app.toml"], &[]);
        for (directory, wanted) in [
            ("", true),
            ("web", true),
            ("web/src", true),
            ("web/src/a/b", true),
            ("web/public", false),
            ("config", true),
            ("config/other", false),
            ("web/src/node_modules", false),
        ] {
            assert_eq!(rules.wants(&root.join(directory)), wanted, "{directory}");
        }
    }
}
