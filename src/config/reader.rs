//! Reads typed values out of the tree, with `${VAR}` filled in. Promise: a value of the wrong form is an error that quotes the
//! value and names the accepted forms. Never: decides what a value means for services.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    time::Duration,
};

use regex::Regex;

use super::{
    interpolate::expand,
    nearest::{did_you_mean, nearest},
    problems::{Fault, Place, Problems},
    schema::{Foreign, Table, Word},
    tree::{Key, Node, Shape},
};
use crate::model::{redact::Secrets, time::human};

/// The variable that only values of a service may name.
const SERVICE: &str = "CAS_SERVICE";

/// What reading one file needs and gathers.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    /// Directory of the file, absolute.
    pub(crate) root: PathBuf,
    /// The environment that was handed in.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// What `.env` beside the file adds to it.
    pub(crate) dot_env: BTreeMap<String, String>,
    /// What the copy of a service that is being read has of its own; wins over both.
    pub(crate) own: BTreeMap<String, String>,
    /// What was found.
    pub(crate) problems: Problems,
    /// Whether `${VAR}` is filled in.
    interpolates: bool,
    /// Programs looked up so far, by name and search path.
    pub(crate) programs: HashMap<(String, String), bool>,
    /// Patterns tried so far, with what is wrong with them.
    patterns: HashMap<String, Option<String>>,
    /// Files of variables read so far.
    pub(crate) env_files: HashMap<PathBuf, super::environment::EnvFile>,
    /// What `${CAS_PROJECT}` is, once it is known.
    pub(crate) project: Option<String>,
    /// What `${CAS_SERVICE}` is, within a service.
    pub(crate) service: Option<String>,
    /// What variables of services contain, which messages may quote.
    pub(crate) secrets: Secrets,
}

/// The entries of one map, unknown keys already reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'n> {
    /// Where the map begins.
    pub(crate) at: Place,
    entries: &'n [(Key, std::sync::Arc<Node>)],
}

impl<'n> Fields<'n> {
    /// No entries.
    pub(crate) const fn none(at: Place) -> Self {
        Self { at, entries: &[] }
    }

    /// The value of a key; none where it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.find(name).map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// True where an unknown key was probably meant to be this one.
    pub(crate) fn misspells(&self, name: &str, table: &Table) -> bool {
        let names = || table.words.iter().map(|word| word.name);
        self.entries
            .iter()
            .filter(|(key, _)| !names().any(|name| name == &*key.text))
            .any(|(key, _)| nearest(&key.text, names()) == Some(name))
    }

    /// Key and value, also where the value is null.
    pub(crate) fn find(&self, name: &str) -> Option<(&'n Key, &'n Node)> {
        self.entries.iter().find(|(key, _)| &*key.text == name).map(|(key, node)| (key, &**node))
    }
}

impl<'a> Reader<'a> {
    /// A reader of the file's tree.
    pub(crate) fn new(file: &Path, root: PathBuf, environment: &'a BTreeMap<String, String>) -> Self {
        Self {
            root,
            environment,
            dot_env: BTreeMap::new(),
            own: BTreeMap::new(),
            problems: Problems::new(file),
            interpolates: true,
            programs: HashMap::new(),
            patterns: HashMap::new(),
            env_files: HashMap::new(),
            project: None,
            service: None,
            secrets: Secrets::default(),
        }
    }

    /// The same, leaving dollar signs alone.
    pub(crate) fn without_interpolation(self) -> Self {
        Self { interpolates: false, ..self }
    }

    /// Whether variables are filled in; where they are not, a value with a dollar sign is not yet what it will be.
    pub(crate) const fn interpolates(&self) -> bool {
        self.interpolates
    }

    pub(crate) fn error(&mut self, at: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.error_in(None, at, message, hint);
    }

    /// An error in a file, or in the project's own.
    pub(crate) fn error_in(
        &mut self,
        file: Option<&Path>,
        at: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let fault = Fault::new(at, message).hint(hint);
        match file {
            Some(file) => self.problems.error_in(file, fault),
            None => self.problems.error(fault),
        }
    }

    /// A note in a file, or in the project's own.
    pub(crate) fn note_in(
        &mut self,
        file: Option<&Path>,
        at: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let fault = Fault::new(at, message).hint(hint);
        match file {
            Some(file) => self.problems.note_in(file, fault),
            None => self.problems.note(fault),
        }
    }

    pub(crate) fn note(&mut self, at: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.note_in(None, at, message, hint);
    }

    /// A variable's value: what a copy has of its own wins over the environment, and that over `.env`.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let found = self.own.get(name).or_else(|| self.environment.get(name)).or_else(|| self.dot_env.get(name));
        found.cloned()
    }

    /// What `${NAME}` is in any value of the file.
    fn named(&self, name: &str) -> Option<String> {
        match name {
            "CAS_PROJECT" => self.project.clone(),
            SERVICE => self.service.clone(),
            "CAS_ROOT" => self.root.to_str().map(str::to_owned),
            _ => self.variable(name),
        }
    }

    /// A map whose keys are those of `table`; others are reported.
    pub(crate) fn fields<'n>(&mut self, what: &str, node: &'n Node, table: &Table) -> Option<Fields<'n>> {
        let Shape::Map(entries) = &node.shape else {
            let known: Vec<_> = table.words.iter().map(|word| word.name).collect();
            self.wrong_form(what, node, "a map", &format!("its keys: {}", known.join(", ")));
            return None;
        };
        for (key, _) in entries {
            let name = &*key.text;
            if name.starts_with("x-") || table.words.iter().any(|word| word.name == name) {
                continue;
            }
            match table.foreign.iter().find(|(foreign, _)| *foreign == name) {
                Some((_, Foreign::Unused(why))) => self.note(key.at, format!("{name}: not used"), *why),
                Some((_, Foreign::Refused(instead))) => {
                    self.error(key.at, format!("{name}: not supported yet"), *instead);
                }
                None => self.unknown_key(key, table),
            }
        }
        Some(Fields { at: node.at, entries })
    }

    fn unknown_key(&mut self, key: &Key, table: &Table) {
        let names: Vec<_> = table.words.iter().map(|Word { name, .. }| *name).collect();
        // A slip in one of compose's unused keys is told as such, rather than as some key of ours.
        let foreign = table.foreign.iter().map(|(name, _)| *name);
        let hint = match nearest(&key.text, names.iter().copied().chain(foreign)) {
            Some(word) if !names.contains(&word) => format!("did you mean \"{word}\"? it is not used here: remove it"),
            Some(_) | None => did_you_mean(&key.text, &names),
        };
        self.error(key.at, format!("{}: not a key of {}", key.text, table.owner), hint);
    }

    pub(crate) fn wrong_form(&mut self, what: &str, node: &Node, form: &str, hint: &str) {
        let found = match &node.shape {
            Shape::Scalar { text, .. } if !node.is_null() => format!("\"{text}\" is not {form}"),
            Shape::Scalar { .. } | Shape::List(_) | Shape::Map(_) => format!("found {}, not {form}", node.describe()),
        };
        self.error(node.at, format!("{what}: {found}"), hint);
    }

    /// A single value as text, variables filled in.
    pub(crate) fn text(&mut self, what: &str, node: &Node) -> Option<String> {
        let text = self.scalar(what, node)?;
        self.filled(what, node.at, text)
    }

    /// A single value as it is written.
    pub(crate) fn scalar<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n str> {
        let Shape::Scalar { text, .. } = &node.shape else {
            self.wrong_form(what, node, "text", "write a single value, in quotes if need be");
            return None;
        };
        if node.is_null() {
            self.wrong_form(what, node, "text", "write a value, or remove the key");
            return None;
        }
        Some(text)
    }

    /// Variables filled in; none after an error.
    pub(crate) fn filled(&mut self, what: &str, at: Place, text: &str) -> Option<String> {
        self.filled_from(what, at, text, &|_| None)
    }

    /// Variables filled in, first from `own`; none after an error.
    pub(crate) fn filled_from(
        &mut self,
        what: &str,
        at: Place,
        text: &str,
        own: &dyn Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let text = if self.interpolates && text.contains('$') {
            let expansion = expand(text, &|name| own(name).or_else(|| self.named(name)));
            for name in expansion.missing {
                if name == SERVICE {
                    self.error(
                        at,
                        format!("{what}: {SERVICE} is not known outside of a service"),
                        "write this value in the services themselves",
                    );
                    continue;
                }
                self.note(
                    at,
                    format!("{what}: {name} is not set, so it is empty here"),
                    format!("set it, write a default as ${{{name}:-…}}, or leave it to the shell with $${name}"),
                );
            }
            let failed = !expansion.errors.is_empty();
            for error in expansion.errors {
                self.error(
                    at,
                    format!("{what}: {error}"),
                    "forms: ${VAR}, ${VAR:-default}, ${VAR:?message}, ${VAR:+other}, and $$ for a dollar sign",
                );
            }
            if failed {
                return None;
            }
            expansion.text
        } else {
            text.to_owned()
        };
        if text.contains('\0') {
            self.error(at, format!("{what}: it contains a NUL byte"), "remove it; no program can be handed one");
            return None;
        }
        Some(text)
    }

    /// A value that `parse` understands; `parse` answers with the clause after the value.
    pub(crate) fn parsed<T>(
        &mut self,
        what: &str,
        node: &Node,
        hint: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(what, node)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.error(node.at, format!("{what}: \"{text}\" {why}"), hint);
                None
            }
        }
    }

    /// True or false.
    pub(crate) fn truth(&mut self, what: &str, node: &Node) -> Option<bool> {
        self.parsed(what, node, "write true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => Err("is not true or false".to_owned()),
        })
    }

    /// A whole number of at least `least`.
    pub(crate) fn number(&mut self, what: &str, node: &Node, least: u32) -> Option<u32> {
        let hint = format!("write a whole number of {least} or more, such as {}", least.max(3));
        self.parsed(what, node, &hint, |text| match text.parse::<u32>() {
            Ok(number) if number >= least => Ok(number),
            Ok(_) => Err(format!("is less than {least}")),
            Err(_) => Err("is not a whole number".to_owned()),
        })
    }

    /// A duration of at least `least`.
    pub(crate) fn duration(&mut self, what: &str, node: &Node, least: Duration) -> Option<Duration> {
        self.parsed(what, node, "write it like 500ms, 10s or 1m30s; a bare number is seconds", |text| {
            let duration = human::parse(text).map_err(|_| "is not a duration".to_owned())?;
            if duration < least {
                return Err(format!("is too short, at least {} is needed", humantime::format_duration(least)));
            }
            Ok(duration)
        })
    }

    /// Bytes, at least `least`.
    pub(crate) fn size(&mut self, what: &str, node: &Node, least: u64) -> Option<u64> {
        self.parsed(what, node, "write it like 512M or 1.5G; K, M, G and T are powers of 1024", |text| {
            let bytes = bytes(text).ok_or("is not a size")?;
            if bytes < least {
                return Err(format!("is too small, at least {} is needed", short_size(least)));
            }
            Ok(bytes)
        })
    }

    /// A regular expression that compiles.
    pub(crate) fn pattern(&mut self, what: &str, node: &Node) -> Option<String> {
        let text = self.text(what, node)?;
        let wrong =
            self.patterns.entry(text.clone()).or_insert_with(|| Regex::new(&text).err().map(|error| one_line(&error)));
        let Some(why) = wrong.clone() else { return Some(text) };
        self.error(
            node.at,
            format!("{what}: \"{text}\" is not a regular expression: {why}"),
            "put a backslash before a character that is meant as it is, such as \\( or \\[",
        );
        None
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, what: &str, node: &Node) -> Option<Vec<String>> {
        let Shape::List(items) = &node.shape else {
            self.wrong_form(what, node, "a list", "write [one, two], or one entry a line after \"- \"");
            return None;
        };
        let texts: Vec<_> = items.iter().filter_map(|item| self.text(what, item)).collect();
        (texts.len() == items.len()).then_some(texts)
    }

    /// A path; relative ones are taken from the file's directory.
    pub(crate) fn path(&mut self, what: &str, node: &Node) -> Option<PathBuf> {
        let text = self.text(what, node)?;
        let path = match (text.strip_prefix("~/"), self.variable("HOME")) {
            (Some(below), Some(home)) => Path::new(&home).join(below),
            (Some(_) | None, _) => self.root.join(&text),
        };
        Some(clean(&path))
    }
}

/// A number and a unit, as compose writes them: `b`, `k`, `m`, `g`, `t`, each also with `b` or `ib` behind it, in either case. A bare number
/// is bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let unit = (1_u64 << shift) as f64;
    let bytes = number.parse::<f64>().ok()? * unit;
    // 2⁶² is more than any machine has, and far from what the conversion could cut.
    (bytes.is_finite() && (0.0..=(1_u64 << 62) as f64).contains(&bytes)).then_some(bytes as u64)
}

/// In the largest unit that gives a whole number.
fn short_size(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    let fits = units.into_iter().find(|(shift, _)| bytes != 0 && bytes.is_multiple_of(1 << shift));
    fits.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// Without `.` and, where it is safe to tell, nothing else: `..` stays, for a symbolic link may stand before it.
fn clean(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

/// The last line of the crate's message, which says what is wrong; the ones before draw a picture.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it is not understood");
    last.trim().trim_start_matches("error: ").to_owned()
}
