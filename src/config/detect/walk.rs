//! The bounded walk. Promise: ends within its limits; what cannot be read is left out. Never: follows a symlink.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ignore::WalkBuilder;

use super::{Limits, text::Text};

/// Directories that hold what others made.
const NEVER: [&str; 32] = [
    "node_modules",
    "target",
    "vendor",
    ".venv",
    "venv",
    "env",
    "dist",
    "build",
    "out",
    "obj",
    "deps",
    "_build",
    "__pycache__",
    "site-packages",
    "coverage",
    "bower_components",
    "Pods",
    "DerivedData",
    "elm-stuff",
    "tmp",
    "third_party",
    "testdata",
    "fixtures",
    "__tests__",
    "test",
    "tests",
    "spec",
    "docs_src",
    "examples",
    "example",
    "samples",
    "templates",
];

/// Hidden files that say something.
fn is_telling(name: &str) -> bool {
    name.starts_with(".env")
        || matches!(name, ".air.toml" | ".nvmrc" | ".node-version" | ".tool-versions" | ".python-version")
}

/// What was found: names by directory, and the texts that were read.
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) visited: usize,
    names: BTreeMap<PathBuf, Vec<String>>,
    order: Vec<PathBuf>,
    texts: RefCell<BTreeMap<PathBuf, Option<Text>>>,
    reads_left: Cell<usize>,
    file_bytes: u64,
    was_cut: Cell<bool>,
}

fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// In the order of names, so that a limit cuts the same tree at the same place.
pub(super) fn walk(root: &Path, limits: &Limits) -> Tree {
    let mut names: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    let mut visited = 0;
    let mut was_cut = false;
    let until = since_boot() + limits.time;
    let walker = WalkBuilder::new(root)
        .hidden(false)
        .parents(false)
        .require_git(false)
        .git_global(false)
        .follow_links(false)
        .sort_by_file_name(std::ffi::OsStr::cmp)
        .max_depth(Some(limits.depth + 1))
        .filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
            entry.depth() == 0
                || if is_directory {
                    !name.starts_with('.') && !NEVER.contains(&&*name)
                } else {
                    !name.starts_with('.') || is_telling(&name)
                }
        })
        .build();
    for entry in walker {
        visited += 1;
        if visited > limits.entries || (visited % 256 == 0 && since_boot() > until) {
            was_cut = true;
            break;
        }
        let Ok(entry) = entry else { continue };
        let Some(kind) = entry.file_type() else { continue };
        let Some(name) = entry.file_name().to_str() else { continue };
        if kind.is_file() {
            let directory = entry.path().parent().unwrap_or(root).to_owned();
            names.entry(directory).or_default().push(name.to_owned());
        }
    }
    // A `.env` is ignored in nearly every project, and is what tells most.
    let directories: Vec<PathBuf> = names.keys().cloned().chain([root.to_owned()]).collect();
    for directory in directories {
        let here = names.entry(directory.clone()).or_default();
        if !here.iter().any(|name| name == ".env") && directory.join(".env").is_file() {
            here.push(".env".to_owned());
        }
        here.sort();
    }
    let mut order: Vec<PathBuf> = names.keys().cloned().collect();
    order.sort_by_key(|directory| (directory.components().count(), directory.clone()));
    Tree {
        root: root.to_owned(),
        visited,
        names,
        order,
        texts: RefCell::default(),
        reads_left: Cell::new(limits.files),
        file_bytes: limits.file_bytes,
        was_cut: Cell::new(was_cut),
    }
}

impl Tree {
    /// Those that have files, nearest to the root first.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.order.iter().map(PathBuf::as_path)
    }

    /// The names of the files in a directory, sorted.
    pub(super) fn names(&self, directory: &Path) -> &[String] {
        self.names.get(directory).map_or(&[], Vec::as_slice)
    }

    pub(super) fn has(&self, directory: &Path, name: &str) -> bool {
        self.names(directory).binary_search_by(|there| there.as_str().cmp(name)).is_ok()
    }

    /// The first of these names that is there; `*.csproj` stands for any with that end.
    pub(super) fn first<'n>(&'n self, directory: &Path, wanted: &str) -> Option<&'n str> {
        let names = self.names(directory);
        let found = match wanted.strip_prefix('*') {
            Some(end) => names.iter().find(|name| name.ends_with(end)),
            None => names.iter().find(|name| *name == wanted),
        };
        found.map(String::as_str)
    }

    /// The text of a file; none where there is none, where it is no text, or where enough was read.
    pub(super) fn read(&self, file: &Path) -> Option<Text> {
        if let Some(known) = self.texts.borrow().get(file) {
            return known.clone();
        }
        let name = file.file_name()?.to_str()?;
        if !self.has(file.parent()?, name) {
            return None;
        }
        if self.reads_left.get() == 0 {
            self.was_cut.set(true);
            return None;
        }
        self.reads_left.set(self.reads_left.get() - 1);
        let text = self.read_now(file);
        self.texts.borrow_mut().insert(file.to_owned(), text.clone());
        text
    }

    fn read_now(&self, file: &Path) -> Option<Text> {
        let opened = std::fs::File::open(file).ok()?;
        let facts = opened.metadata().ok()?;
        if !facts.is_file() || facts.len() > self.file_bytes {
            return None;
        }
        let mut bytes = Vec::new();
        opened.take(self.file_bytes).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        Some(Text::new(file, text.strip_prefix('\u{feff}').unwrap_or(&text)))
    }

    pub(super) fn is_partial(&self) -> bool {
        self.was_cut.get()
    }

    /// All files with one of these ends, nearest to the root first.
    pub(super) fn files_ending(&self, ends: &[&str]) -> Vec<PathBuf> {
        let of = |directory: &PathBuf| {
            self.names(directory)
                .iter()
                .filter(|name| ends.iter().any(|end| name.ends_with(end)))
                .map(|name| directory.join(name))
                .collect::<Vec<_>>()
        };
        self.order.iter().flat_map(of).collect()
    }

    /// The nearest directory, from this one up to the root, that has a file of this name.
    pub(super) fn above<'d>(&self, directory: &'d Path, name: &str) -> Option<&'d Path> {
        directory.ancestors().take_while(|above| above.starts_with(&self.root)).find(|above| self.has(above, name))
    }
}
