//! The bounded walk, breadth first: where it ends early, what is deep was not looked at, and nothing near the root is missing. Promise: ends
//! within its limits; the same tree is cut at the same place. Never: follows a symlink, lists a directory of what others made.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    io::Read as _,
    ops::Bound,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{
    super::import::{Note, Weight},
    Limits,
    text::Text,
};
use crate::model::service::Source;

/// Directories that hold what others made.
const NEVER: [&str; 40] = [
    "node_modules",
    "target",
    "vendor",
    ".venv",
    "venv",
    "virtualenv",
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
    "playground",
    "playgrounds",
    "e2e",
    "cypress",
    "benchmarks",
    "__fixtures__",
    "__mocks__",
];
/// Of the budget, one directory may have this part: what is larger holds data, and must not hide its neighbours.
const SHARE: usize = 4;
/// Directories that could not be read, of which a note is made.
const UNREAD: usize = 5;

/// A directory of the project itself. What begins with `_` is left out by the tools of Go too; a `template-…` is for others to copy.
fn is_own(name: &str) -> bool {
    !name.starts_with(['.', '_']) && !name.starts_with("template-") && !NEVER.contains(&name)
}

/// Hidden files that say something.
fn is_telling(name: &str) -> bool {
    name.starts_with(".env")
        || matches!(name, ".flaskenv" | ".air.toml" | ".nvmrc" | ".node-version" | ".tool-versions" | ".python-version")
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

/// What `.gitignore` and `.ignore` files say of a directory and of those above it, the nearest first.
#[derive(Clone, Default)]
struct Ignored(Option<Rc<(Gitignore, Ignored)>>);

impl Ignored {
    fn below(&self, directory: &Path, files: &[&str], max_bytes: u64) -> Self {
        let mut builder = GitignoreBuilder::new(directory);
        let mut has_lines = false;
        for name in files {
            let file = directory.join(name);
            for line in read_text(&file, max_bytes).unwrap_or_default().lines() {
                // A pattern that means nothing ignores nothing.
                has_lines |= builder.add_line(None, line).is_ok();
            }
        }
        match builder.build() {
            Ok(said) if has_lines => Self(Some(Rc::new((said, self.clone())))),
            Ok(_) | Err(_) => self.clone(),
        }
    }

    fn holds(&self, path: &Path, is_directory: bool) -> bool {
        let mut next = &self.0;
        while let Some(level) = next {
            let said = level.0.matched(path, is_directory);
            if !said.is_none() {
                return said.is_ignore();
            }
            next = &level.1.0;
        }
        false
    }
}

/// A directory that is still to be listed.
struct Waiting {
    directory: PathBuf,
    depth: usize,
    ignored: Ignored,
}

struct Walk<'l> {
    limits: &'l Limits,
    until: Duration,
    visited: usize,
    /// Where the walk ended early.
    cut_at: Option<PathBuf>,
    names: BTreeMap<PathBuf, Vec<String>>,
    queue: VecDeque<Waiting>,
    unread: usize,
}

/// Level by level, and within a directory in the order of names.
pub(super) fn walk(root: &Path, limits: &Limits, notes: &mut Vec<Note>) -> Tree {
    let excluded = Ignored::default().below(root, &[".git/info/exclude"], limits.file_bytes);
    let mut walk = Walk {
        limits,
        until: since_boot() + limits.time,
        visited: 1,
        cut_at: None,
        names: BTreeMap::from([(root.to_owned(), Vec::new())]),
        queue: VecDeque::from([Waiting { directory: root.to_owned(), depth: 0, ignored: excluded }]),
        unread: 0,
    };
    while walk.has_time()
        && let Some(next) = walk.queue.pop_front()
    {
        if walk.visited >= limits.entries {
            walk.cut_at.get_or_insert(next.directory);
            break;
        }
        walk.list(&next, notes);
    }
    let Walk { visited, cut_at, mut names, queue, .. } = walk;
    let cut_at = cut_at.or_else(|| queue.into_iter().next().map(|waiting| waiting.directory));
    if let Some(directory) = &cut_at {
        notes.push(Note {
            weight: Weight::Hint,
            source: at_directory(directory),
            message: format!("looked at {} entries; what is here and deeper was not looked at", grouped(visited)),
            hint: Some("name in .gitignore what is no code, or write what is missing into cas.yaml".to_owned()),
        });
    }
    // A `.env` is ignored in nearly every project, and is what tells most.
    for (directory, here) in &mut names {
        for name in [".env", ".flaskenv"] {
            if !here.iter().any(|there| there == name) && directory.join(name).is_file() {
                here.push(name.to_owned());
            }
        }
        here.sort_unstable();
    }
    let mut order: Vec<PathBuf> = names.keys().cloned().collect();
    order.sort_by_cached_key(|directory| (directory.components().count(), directory.clone()));
    Tree {
        root: root.to_owned(),
        visited,
        names,
        order,
        texts: RefCell::default(),
        reads_left: Cell::new(limits.files),
        file_bytes: limits.file_bytes,
        was_cut: Cell::new(cut_at.is_some()),
    }
}

impl Walk<'_> {
    fn has_time(&self) -> bool {
        since_boot() <= self.until
    }

    fn list(&mut self, waiting: &Waiting, notes: &mut Vec<Note>) {
        let Waiting { directory, depth, .. } = waiting;
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.note_unread(directory, &error, notes),
        };
        let mut found: Vec<(String, bool)> = Vec::new();
        for (count, entry) in entries.enumerate() {
            if count % 1024 == 1023 && !self.has_time() {
                self.cut_at.get_or_insert_with(|| directory.clone());
                break;
            }
            let Ok(entry) = entry else { continue };
            // A symlink is neither.
            let Ok(kind) = entry.file_type() else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_wanted = match (kind.is_dir(), kind.is_file()) {
                (true, _) => *depth < self.limits.depth && is_own(&name),
                (_, true) => !name.starts_with('.') || is_telling(&name) || name == ".gitignore" || name == ".ignore",
                (false, false) => false,
            };
            if is_wanted {
                found.push((name, kind.is_dir()));
            }
        }
        let rules: Vec<&str> =
            [".gitignore", ".ignore"].into_iter().filter(|rules| found.iter().any(|(name, _)| name == rules)).collect();
        let ignored = if rules.is_empty() {
            waiting.ignored.clone()
        } else {
            waiting.ignored.below(directory, &rules, self.limits.file_bytes)
        };
        found.retain(|(name, is_directory)| {
            !rules.contains(&name.as_str()) && !ignored.holds(&directory.join(name), *is_directory)
        });
        found.sort_unstable();
        self.keep(waiting, &ignored, found);
    }

    fn keep(&mut self, waiting: &Waiting, ignored: &Ignored, found: Vec<(String, bool)>) {
        let most = (self.limits.entries / SHARE).max(1).min(self.limits.entries.saturating_sub(self.visited));
        if found.len() > most {
            self.cut_at.get_or_insert_with(|| waiting.directory.clone());
        }
        let mut files = Vec::new();
        for (name, is_directory) in found.into_iter().take(most) {
            self.visited += 1;
            if is_directory {
                let directory = waiting.directory.join(name);
                self.queue.push_back(Waiting { directory, depth: waiting.depth + 1, ignored: ignored.clone() });
            } else {
                files.push(name);
            }
        }
        if !files.is_empty() {
            self.names.insert(waiting.directory.clone(), files);
        }
    }

    fn note_unread(&mut self, directory: &Path, error: &std::io::Error, notes: &mut Vec<Note>) {
        // One that is gone meanwhile is none.
        if error.kind() == std::io::ErrorKind::NotFound {
            return;
        }
        self.unread += 1;
        if self.unread <= UNREAD {
            notes.push(Note {
                weight: Weight::Hint,
                source: at_directory(directory),
                message: format!("the directory cannot be read, so what is in it is not known: {error}"),
                hint: Some("let it be read, or name it in .gitignore".to_owned()),
            });
        }
    }
}

fn at_directory(directory: &Path) -> Source {
    Source { file: directory.to_owned(), line: 1, column: 1 }
}

/// `20,000`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The text of a file that is one, is not too large, and is UTF-8.
fn read_text(file: &Path, max_bytes: u64) -> Option<String> {
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let opened = std::fs::File::open(file).ok()?;
    let facts = opened.metadata().ok()?;
    if !facts.is_file() || facts.len() > max_bytes {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or(0));
    opened.take(max_bytes).read_to_end(&mut bytes).ok()?;
    String::from_utf8(bytes).ok()
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
        let text = read_text(file, self.file_bytes)
            .map(|text| Text::new(file, text.strip_prefix('\u{feff}').unwrap_or(&text)));
        self.texts.borrow_mut().insert(file.to_owned(), text.clone());
        text
    }

    pub(super) fn is_partial(&self) -> bool {
        self.was_cut.get()
    }

    /// All files with one of these ends, nearest to the root first.
    pub(super) fn files_ending(&self, ends: &[&str]) -> impl Iterator<Item = PathBuf> {
        self.order.iter().flat_map(move |directory| self.ending(directory, ends))
    }

    /// Those of them in a directory and at most so many levels below it.
    pub(super) fn files_below(&self, directory: &Path, levels: usize, ends: &[&str]) -> Vec<PathBuf> {
        let from = directory.components().count();
        let mut found: Vec<(usize, PathBuf)> = self
            .names
            .range::<Path, _>((Bound::Included(directory), Bound::Unbounded))
            .take_while(|(below, _)| below.starts_with(directory))
            .map(|(below, _)| (below.components().count() - from, below))
            .filter(|(level, _)| *level <= levels)
            .flat_map(|(level, below)| self.ending(below, ends).map(move |file| (level, file)))
            .collect();
        found.sort();
        found.into_iter().map(|(_, file)| file).collect()
    }

    fn ending(&self, directory: &Path, ends: &[&str]) -> impl Iterator<Item = PathBuf> {
        self.names(directory)
            .iter()
            .filter(move |name| ends.iter().any(|end| name.ends_with(end)))
            .map(move |name| directory.join(name))
    }

    /// The nearest directory, from this one up to the root, that has a file of this name.
    pub(super) fn above<'d>(&self, directory: &'d Path, name: &str) -> Option<&'d Path> {
        directory.ancestors().take_while(|above| above.starts_with(&self.root)).find(|above| self.has(above, name))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([7, 999, 1000, 20_000, 1_234_567].map(super::grouped), ["7", "999", "1,000", "20,000", "1,234,567"]);
    }
}
