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
    template::Template,
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

/// Variables of a service (or of the defaults): its files in order, then its `environment`. Those that have others in them are still to be
/// filled in; what such a one stands over is among the others.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
) -> (BTreeMap<String, String>, BTreeMap<String, Template>) {
    let (mut variables, mut templates) = (BTreeMap::new(), BTreeMap::new());
    if let Some(node) = fields.get("env_file") {
        match &node.shape {
            Shape::List(items) => items.iter().for_each(|item| file(reader, item, &mut variables)),
            Shape::Scalar { .. } | Shape::Map(_) => file(reader, node, &mut variables),
        }
    }
    if let Some(node) = fields.get("environment") {
        match &node.shape {
            Shape::Map(entries) => {
                for (key, node) in entries {
                    if let Shape::Scalar { text, .. } = &node.shape
                        && reader.is_template(text)
                    {
                        put_off(reader, key.at, (&key.text, text, node.at), &mut templates);
                        continue;
                    }
                    let value = if node.is_null() { None } else { Some(reader.text(&key.text, node)) };
                    match value {
                        None => inherit(reader, key.at, &key.text, &mut variables),
                        Some(Some(value)) => set(reader, key.at, &key.text, value, &mut variables),
                        Some(None) => {}
                    }
                }
            }
            Shape::List(items) => {
                for item in items {
                    if let Shape::Scalar { text, .. } = &item.shape
                        && let Some((name, value)) = text.split_once('=')
                        && reader.is_template(value)
                        && !name.contains('$')
                    {
                        put_off(reader, item.at, (name, value, item.at), &mut templates);
                        continue;
                    }
                    let Some(text) = reader.text("environment", item) else { continue };
                    templates.remove(text.split_once('=').map_or(&*text, |(name, _)| name));
                    match text.split_once('=') {
                        Some((name, value)) => set(reader, item.at, name, value.to_owned(), &mut variables),
                        None => inherit(reader, item.at, &text, &mut variables),
                    }
                }
            }
            Shape::Scalar { .. } => {
                reader.wrong_form("environment", node, "a map or a list", "write NAME: value, one a line");
            }
        }
    }
    (variables, templates)
}

/// A value that is filled in when all variables are known.
fn put_off(
    reader: &mut Reader<'_>,
    key_at: Place,
    (name, text, at): (&str, &str, Place),
    templates: &mut BTreeMap<String, Template>,
) {
    if checked_name(reader, key_at, name) {
        templates.insert(name.to_owned(), Template { text: text.to_owned(), at });
    }
}

fn set(reader: &mut Reader<'_>, at: Place, name: &str, value: String, variables: &mut BTreeMap<String, String>) {
    if checked_name(reader, at, name) {
        variables.insert(name.to_owned(), value);
    }
}

fn checked_name(reader: &mut Reader<'_>, at: Place, name: &str) -> bool {
    if is_name(name) {
        return true;
    }
    reader.error(
        at,
        format!("environment: \"{name}\" is not a variable's name"),
        "letters, digits and _; as NAME: value in a map, or NAME=value in a list",
    );
    false
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
