//! `environment` and `env_file`. Promise: later wins, names are usable, files are read once. Never: quotes a value of an env file.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    dotenv::{self, Assigned},
    problems::{Fault, Place},
    reader::{Fields, Reader},
    schema,
    siblings::{self, Entry, Given},
    tree::{Node, Shape},
};

/// Longest file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// A file of variables.
#[derive(Debug, Clone)]
pub(crate) enum EnvFile {
    /// What it says.
    Read(Vec<(String, Assigned)>),
    /// It is not there.
    Absent,
    /// Why it cannot be read.
    Unreadable(String),
}

/// Variables of a service (or of the defaults): its files in order, then its `environment`, whose values may name each other, those of
/// the files, and those `below`.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    below: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    if let Some(node) = fields.get("env_file") {
        match &node.shape {
            Shape::List(items) => items.iter().for_each(|item| file(reader, item, &mut variables)),
            Shape::Scalar { .. } | Shape::Map(_) => file(reader, node, &mut variables),
        }
    }
    if let Some(node) = fields.get("environment") {
        let entries = entries(reader, node);
        let (ordered, circular) = siblings::in_order(reader, entries);
        // Nothing more is said about those that name them.
        variables.extend(circular.into_iter().map(|name| (name, String::new())));
        for Entry { name, at, value_at: (what, value_at), given } in ordered {
            let value = match given {
                Given::Written(text) => {
                    let own = |name: &str| variables.get(name).or_else(|| below.get(name)).cloned();
                    reader.filled_from(&what, value_at, text, &own)
                }
                Given::Filled(text) => Some(text),
                Given::Inherited => {
                    inherit(reader, at, &name, &mut variables);
                    continue;
                }
            };
            if let Some(value) = value {
                set(reader, at, &name, value, &mut variables);
            }
        }
    }
    reader.secrets.learn_environment(&variables);
    variables
}

/// What stands below `environment`, in its order.
fn entries<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Vec<Entry<'n>> {
    match &node.shape {
        Shape::Map(entries) => entries
            .iter()
            .filter_map(|(key, node)| {
                let given =
                    if node.is_null() { Given::Inherited } else { Given::Written(reader.scalar(&key.text, node)?) };
                let name = key.text.to_string();
                Some(Entry { value_at: (name.clone(), node.at), name, at: key.at, given })
            })
            .collect(),
        Shape::List(items) => items
            .iter()
            .filter_map(|item| {
                let text = reader.scalar("environment", item)?;
                let (name, given) = match text.split_once('=') {
                    Some((name, value)) if !name.contains('$') => (name.to_owned(), Given::Written(value)),
                    // The name itself is made of variables, which cannot be siblings.
                    Some(_) | None => {
                        let text = reader.filled("environment", item.at, text)?;
                        match text.split_once('=') {
                            Some((name, value)) => (name.to_owned(), Given::Filled(value.to_owned())),
                            None => (text, Given::Inherited),
                        }
                    }
                };
                Some(Entry { name, at: item.at, value_at: ("environment".to_owned(), item.at), given })
            })
            .collect(),
        Shape::Scalar { .. } => {
            reader.wrong_form("environment", node, "a map or a list", "write NAME: value, one a line");
            Vec::new()
        }
    }
}

fn set(reader: &mut Reader<'_>, at: Place, name: &str, value: String, variables: &mut BTreeMap<String, String>) {
    if !is_name(name) {
        reader.error(
            at,
            format!("environment: \"{name}\" is not a variable's name"),
            "letters, digits and _; as NAME: value in a map, or NAME=value in a list",
        );
        return;
    }
    variables.insert(name.to_owned(), value);
}

/// Whether a variable can be named so.
pub(crate) fn is_name(name: &str) -> bool {
    !(name.is_empty() || name.contains(['=', '\0']) || name.contains(char::is_whitespace))
}

/// `NAME` alone: what the surroundings say.
fn inherit(reader: &mut Reader<'_>, at: Place, name: &str, variables: &mut BTreeMap<String, String>) {
    match reader.variable(name) {
        Some(value) => set(reader, at, name, value, variables),
        None => reader.note(
            at,
            format!("environment: {name} is not set here, so it is not set there"),
            "give it a value, or set it before starting cas",
        ),
    }
}

fn file(reader: &mut Reader<'_>, node: &Node, variables: &mut BTreeMap<String, String>) {
    let (path_node, required) = match &node.shape {
        Shape::Map(_) => {
            let Some(fields) = reader.fields("env_file", node, &schema::ENV_FILE) else { return };
            let required = fields.get("required").and_then(|node| reader.truth("required", node)).unwrap_or(true);
            let Some(path) = fields.get("path") else {
                reader.error(node.at, "env_file: an entry without a path", "write path: file");
                return;
            };
            (path, required)
        }
        Shape::Scalar { .. } | Shape::List(_) => (node, true),
    };
    let Some(path) = reader.path("env_file", path_node) else { return };
    match load(reader, &path, Named::InFile) {
        EnvFile::Read(lines) => {
            for (name, assigned) in lines {
                match assigned {
                    Assigned::Value(value) => set(reader, path_node.at, &name, value, variables),
                    Assigned::Inherited => inherit(reader, path_node.at, &name, variables),
                }
            }
        }
        EnvFile::Absent if !required => {}
        EnvFile::Absent => reader.error(
            path_node.at,
            format!("env_file: there is no file {}", path.display()),
            "make it, or write {path: …, required: false}",
        ),
        EnvFile::Unreadable(why) => reader.error(
            path_node.at,
            format!("env_file: {} cannot be read: {why}", path.display()),
            "a text file of NAME=value lines is needed",
        ),
    }
}

/// Who asked for a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named {
    /// The project file does: bad lines are errors.
    InFile,
    /// Nobody; it is only there: bad lines are notes.
    Nowhere,
}

/// A file's variables; its bad lines are reported the first time.
pub(crate) fn load(reader: &mut Reader<'_>, path: &Path, named: Named) -> EnvFile {
    if let Some(known) = reader.env_files.get(path) {
        return known.clone();
    }
    let read = match read_text(path) {
        Ok(text) => {
            // Compose gives the values of an env file the surroundings, `.env` among them.
            let mut outside = reader.dot_env.clone();
            outside.extend(reader.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
            let found = dotenv::read(&text, &outside);
            for fault in found.faults {
                match named {
                    Named::InFile => reader.problems.error_in(path, fault),
                    Named::Nowhere => reader.problems.note_in(path, fault),
                }
            }
            for fault in found.missing {
                reader.problems.note_in(path, fault);
            }
            if let Some((name, _)) = found.variables.iter().find(|(_, assigned)| holds_nul(assigned)) {
                reader.problems.error_in(path, Fault::new(Place::START, format!("{name}: its value has a NUL byte")));
            }
            EnvFile::Read(found.variables)
        }
        Err(Unreadable { absent: true, .. }) => EnvFile::Absent,
        Err(Unreadable { why, .. }) => EnvFile::Unreadable(why),
    };
    reader.env_files.insert(PathBuf::from(path), read.clone());
    read
}

fn holds_nul(assigned: &Assigned) -> bool {
    match assigned {
        Assigned::Value(value) => value.contains('\0'),
        Assigned::Inherited => false,
    }
}

/// Why a file could not be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// True where there is no such file.
    pub(crate) absent: bool,
    /// In words.
    pub(crate) why: String,
    /// Where it stops being text, if that is the reason.
    pub(crate) at: Option<Place>,
}

/// The text of a regular file of at most [`MAX_FILE`] bytes.
pub(crate) fn read_text(path: &Path) -> Result<String, Unreadable> {
    let because = |why: String| Unreadable { absent: false, why, at: None };
    let of_io = |error: std::io::Error| Unreadable {
        absent: error.kind() == std::io::ErrorKind::NotFound,
        why: error.to_string(),
        at: None,
    };
    // Before it is opened: a pipe without a writer would block.
    if !path.metadata().map_err(of_io)?.is_file() {
        return Err(because("it is not a file".to_owned()));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(of_io)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(of_io)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(because(format!("it is larger than {MAX_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line_start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&good[line_start..]).chars().count() + 1;
        let line = memchr::memchr_iter(b'\n', good).count() + 1;
        Unreadable { absent: false, why: "it is not UTF-8 text".to_owned(), at: Some(Place::new(line, column)) }
    })
}
