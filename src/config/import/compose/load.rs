//! Reads compose files and those that they name, and merges them. Promise: cycles are told and end; the number of files is
//! bounded. Never: translates a service.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use super::{
    item::{Filler, Form, Item, Name, Origin, resolved},
    merge::merged,
    notes::Notes,
};
use crate::config::{
    dotenv::{self, Assigned},
    import::{Files, Unread},
    problems::Place,
    tree::{self, Shape},
};

/// Most files that are read for one project.
const MOST_FILES: usize = 200;
/// How deep files may include files.
pub(super) const DEEPEST: usize = 32;

/// What variables are looked up in.
pub(super) type Environment = Rc<BTreeMap<String, String>>;

/// One file, read.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) root: Arc<Item>,
    pub(super) environment: Environment,
}

/// Reads files.
pub(super) struct Loader<'m> {
    pub(super) files: &'m dyn Files,
    /// Texts that are known already.
    pub(super) given: Option<(&'m Path, &'m str)>,
    pub(super) notes: Notes,
    pub(super) home: Option<String>,
    read: usize,
    /// Includes followed so far; each may lead to twice as many.
    included: usize,
    /// Services whose `extends` is done, by file, base and name.
    pub(super) extended: HashMap<(PathBuf, PathBuf, Arc<str>), Option<Arc<Item>>>,
    pub(super) units: HashMap<(PathBuf, PathBuf), Option<Rc<Unit>>>,
}

impl<'m> Loader<'m> {
    pub(super) fn new(files: &'m dyn Files, home: Option<String>) -> Self {
        Self {
            files,
            given: None,
            notes: Notes::default(),
            home,
            read: 0,
            included: 0,
            extended: HashMap::new(),
            units: HashMap::new(),
        }
    }

    /// The files, later ones over earlier ones. `stack` holds the files that led here.
    pub(super) fn project(
        &mut self,
        files: &[PathBuf],
        base: &Path,
        environment: &Environment,
        stack: &mut Vec<PathBuf>,
    ) -> Option<Arc<Item>> {
        let mut whole: Option<Arc<Item>> = None;
        for file in files {
            let Some(unit) = self.unit(file, base, environment, None) else { continue };
            let root = self.services(&unit);
            stack.push(file.clone());
            let root = self.includes(&root, &unit, base, stack);
            stack.pop();
            whole = match whole {
                None => Some(root),
                Some(below) => merged(&mut self.notes, &[], &below, &root),
            };
        }
        whole
    }

    /// Reads one file. `asked` is the value that names it; none: it is known to be there.
    pub(super) fn unit(
        &mut self,
        file: &Path,
        base: &Path,
        environment: &Environment,
        asked: Option<(&str, &Item)>,
    ) -> Option<Rc<Unit>> {
        let place = (file.to_owned(), base.to_owned());
        // The same file means the same with the same environment, which a base alone has.
        if let Some(known) = self.units.get(&place)
            && known.as_ref().is_none_or(|unit| Rc::ptr_eq(&unit.environment, environment))
        {
            return known.clone();
        }
        let unit = self.text(file, asked).and_then(|text| self.parsed(&text, file, base, environment));
        let unit = unit.map(|root| Rc::new(Unit { root, environment: Rc::clone(environment) }));
        self.units.insert(place, unit.clone());
        unit
    }

    fn text(&mut self, file: &Path, asked: Option<(&str, &Item)>) -> Option<String> {
        self.notes.opened(file);
        if let Some((_, text)) = self.given.filter(|(given, _)| *given == file) {
            return Some(text.to_owned());
        }
        self.read += 1;
        let why = if self.read > MOST_FILES {
            format!("more than {MOST_FILES} files are asked for")
        } else {
            match self.files.read(file) {
                Ok(text) => return Some(text),
                Err(Unread::Absent) => "there is no such file".to_owned(),
                Err(Unread::Because(why)) => why,
            }
        };
        let source = asked.map_or_else(|| Place::START.in_file(file), |(_, item)| item.source());
        let what = asked.map(|(what, _)| format!("{what}: ")).unwrap_or_default();
        self.notes.error(
            source,
            format!("{what}{} cannot be read: {why}", file.display()),
            "correct the path, or remove what names it",
        );
        None
    }

    fn parsed(&mut self, text: &str, file: &Path, base: &Path, environment: &Environment) -> Option<Arc<Item>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let tree = tree::parse_edits(text);
        let is_read = tree.faults.is_empty();
        for fault in tree.faults {
            self.notes.error(fault.at.in_file(file), fault.message, fault.hint.unwrap_or_default());
        }
        if is_read && tree.root.as_ref().is_none_or(|root| root.is_null()) {
            let hint = "a compose file is a map with \"services:\"";
            self.notes.error(Place::START.in_file(file), "the file is empty", hint);
            return None;
        }
        let root = tree.root?;
        if !matches!(root.shape, Shape::Map(_)) {
            self.notes.error(
                root.at.in_file(file),
                format!("found {}, not a compose file", root.describe()),
                "a compose file is a map with \"services:\"",
            );
            return None;
        }
        let name = said_name(&root, base, environment);
        let lookup = |variable: &str| {
            let own = || (variable == "COMPOSE_PROJECT_NAME").then(|| name.clone());
            environment.get(variable).cloned().or_else(own)
        };
        let origin = Arc::new(Origin { file: file.to_owned(), base: base.to_owned() });
        let mut filler = Filler { origin, lookup: &lookup, known: HashMap::new(), notes: &mut self.notes };
        Some(filler.item(&root, ""))
    }

    /// The variables of a file over which `outside` wins.
    pub(super) fn variables(&mut self, file: &Path, outside: &Environment, asked: Option<&Item>) -> Environment {
        let text = match self.files.read(file) {
            Ok(text) => text,
            Err(Unread::Absent) if asked.is_none() => return Rc::clone(outside),
            Err(why) => {
                let why = match why {
                    Unread::Absent => "there is no such file".to_owned(),
                    Unread::Because(why) => why,
                };
                let source = asked.map_or_else(|| Place::START.in_file(file), Item::source);
                let message = format!("{} cannot be read: {why}", file.display());
                self.notes.error(source, message, "variables are taken from it");
                return Rc::clone(outside);
            }
        };
        self.notes.opened(file);
        let found = dotenv::read(&text, outside);
        for fault in found.faults {
            self.notes.error(fault.at.in_file(file), fault.message, fault.hint.unwrap_or_default());
        }
        for fault in found.missing {
            self.notes.hint(fault.at.in_file(file), fault.message, fault.hint.unwrap_or_default());
        }
        let mut all = BTreeMap::clone(outside);
        let mut own = BTreeMap::new();
        for (name, value) in found.variables {
            if let Assigned::Value(value) = value {
                own.insert(name, value);
            }
        }
        for (name, value) in own {
            all.entry(name).or_insert(value);
        }
        Rc::new(all)
    }

    fn includes(&mut self, root: &Arc<Item>, unit: &Unit, base: &Path, stack: &mut Vec<PathBuf>) -> Arc<Item> {
        let Some((_, include)) = root.find("include") else { return Arc::clone(root) };
        let Form::List(wanted) = &include.form else {
            if !include.is_null() {
                self.notes.error(
                    include.source(),
                    format!("include: found {}, not a list", include.describe()),
                    "write one path a line after \"- \"",
                );
            }
            return Arc::clone(root);
        };
        let mut entries: Vec<_> = root.entries().iter().filter(|(name, _)| &*name.text != "include").cloned().collect();
        for item in wanted {
            if let Some(other) = self.included(item, unit, base, stack) {
                self.add(&mut entries, &other);
            }
        }
        Arc::new(root.with(Form::Map(entries)))
    }

    fn included(&mut self, item: &Arc<Item>, unit: &Unit, base: &Path, stack: &mut Vec<PathBuf>) -> Option<Arc<Item>> {
        let path = if let Form::Map(_) = item.form { item.get("path")?.clone() } else { Arc::clone(item) };
        for (name, value) in item.entries() {
            if !matches!(&*name.text, "path" | "project_directory" | "env_file") {
                let message = format!("include.{}: {} is not a key of include", name.text, value.quote());
                self.notes.error(name.source(), message, "one of: path, project_directory, env_file");
            }
        }
        let paths = self.paths(&path, base, "include")?;
        let first = paths.first()?;
        if let Some(from) = stack.iter().position(|file| file == first) {
            let cycle: Vec<_> = stack[from..].iter().chain([first]).map(|file| file.display().to_string()).collect();
            let message = format!("include: a cycle: {}", cycle.join(" -> "));
            self.notes.error(path.source(), message, "remove one of these includes");
            return None;
        }
        self.included += 1;
        if self.included > MOST_FILES {
            let message = format!("include: more than {MOST_FILES} includes are asked for");
            self.notes.error(path.source(), message, "include each file once");
            return None;
        }
        if stack.len() >= DEEPEST {
            let message = format!("include: files are nested more than {DEEPEST} deep");
            self.notes.error(path.source(), message, "include them from one file");
            return None;
        }
        let directory = match item.get("project_directory").and_then(|item| item.as_text()) {
            Some(directory) => resolved(directory, base, self.home.as_deref()),
            None => first.parent()?.to_owned(),
        };
        let environment = match item.get("env_file") {
            Some(files) => {
                let mut environment = Rc::clone(&unit.environment);
                for file in self.paths(files, base, "include.env_file")?.iter().rev() {
                    environment = self.variables(file, &environment, Some(files));
                }
                environment
            }
            None => self.variables(&directory.join(".env"), &unit.environment, None),
        };
        // Asked for here, so that an absent file is told at the line that names it.
        for file in &paths {
            self.unit(file, &directory, &environment, Some(("include", &path)))?;
        }
        self.project(&paths, &directory, &environment, stack)
    }

    fn paths(&mut self, item: &Item, base: &Path, what: &str) -> Option<Vec<PathBuf>> {
        let texts: Vec<&str> = match &item.form {
            Form::Text(text) => vec![&**text],
            Form::List(items) => items.iter().filter_map(|item| item.as_text()).collect(),
            Form::Null | Form::Map(_) => Vec::new(),
        };
        if texts.is_empty() {
            let message = format!("{what}: found {}, not a path", item.describe());
            self.notes.error(item.source(), message, "write a path or a list of paths");
            return None;
        }
        if let Some(remote) = texts.iter().find(|text| text.contains("://") || text.starts_with("git@")) {
            let message = format!("{what}: {remote} is not carried over: it is not on this machine");
            self.notes.lost_because(item.source(), message);
            return None;
        }
        Some(texts.into_iter().map(|text| resolved(text, base, self.home.as_deref())).collect())
    }

    /// What an included file has goes into the file that includes it, unless it is there already.
    fn add(&mut self, entries: &mut Vec<(Name, Arc<Item>)>, other: &Arc<Item>) {
        for (section, theirs) in other.entries() {
            if !matches!(&*section.text, "services" | "volumes" | "networks" | "secrets" | "configs" | "models") {
                continue;
            }
            let Some((_, ours)) = entries.iter_mut().find(|(name, _)| name.text == section.text) else {
                entries.push((section.clone(), Arc::clone(theirs)));
                continue;
            };
            let mut all = ours.entries().to_vec();
            for (name, item) in theirs.entries() {
                match all.iter().find(|(known, _)| known.text == name.text) {
                    Some((known, own)) if !Arc::ptr_eq(own, item) && known.source() != name.source() => {
                        self.notes.error(
                            name.source(),
                            format!("{}.{}: it is also at {}", section.text, name.text, known.source()),
                            "what is included may be changed in an override file only",
                        );
                    }
                    Some(_) => {}
                    None => all.push((name.clone(), Arc::clone(item))),
                }
            }
            *ours = Arc::new(ours.with(Form::Map(all)));
        }
    }
}

/// What the project is called as far as variables go.
fn said_name(root: &tree::Node, base: &Path, environment: &Environment) -> String {
    let said = match &root.shape {
        Shape::Map(entries) => entries.iter().find_map(|(key, node)| match &node.shape {
            Shape::Scalar { text, .. } if &*key.text == "name" => {
                Some(crate::config::interpolate::expand(text, &|name| environment.get(name).cloned()).text)
            }
            Shape::Scalar { .. } | Shape::List(_) | Shape::Map(_) => None,
        }),
        Shape::Scalar { .. } | Shape::List(_) => None,
    };
    said.unwrap_or_else(|| {
        let directory = base.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        directory.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
    })
}
