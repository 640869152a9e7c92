//! `secrets`: variables whose values are had when the service starts. Promise: only the source is read here. Never: runs a command, reads a
//! secret's file.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::{
    command::{is_found, list},
    environment::is_name,
    reader::{Fields, Reader},
    schema,
    tree::{Key, Node, Shape},
};
use crate::model::{secret::SecretSource, service::CommandLine};

/// The secrets of a service (or of the defaults).
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> BTreeMap<String, SecretSource> {
    let Some((key, node)) = fields.find("secrets").filter(|(_, node)| !node.is_null()) else { return BTreeMap::new() };
    let entries = match &node.shape {
        Shape::Map(entries) => entries,
        Shape::List(_) => {
            reader.note(
                key.at,
                "the list under secrets is not used",
                "it is compose's; here each is NAME: {file: path}",
            );
            return BTreeMap::new();
        }
        Shape::Scalar { .. } => {
            let message = format!("what is under secrets is not a map: found {}", node.describe());
            reader.error(node.at, message, "write NAME: {file: path}, {command: line} or {env: NAME}");
            return BTreeMap::new();
        }
    };
    entries.iter().filter_map(|(key, node)| Some((key.text.to_string(), one(reader, key, node)?))).collect()
}

/// Names that a map says of itself twice: the secret is what counts.
pub(crate) fn win(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    secrets: &BTreeMap<String, SecretSource>,
    environment: &mut BTreeMap<String, String>,
) {
    let twice: BTreeSet<&String> = secrets.keys().filter(|name| environment.remove(*name).is_some()).collect();
    if let Some((key, _)) = fields.find("secrets") {
        for name in twice {
            reader.note(
                key.at,
                format!("the secret {name} is a variable of environment or env_file, too"),
                "the secret is used: leave the other out",
            );
        }
    }
}

fn one(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<SecretSource> {
    let name = &*key.text;
    if !is_name(name) {
        reader.error(
            key.at,
            format!("\"{name}\" under secrets is not a variable's name"),
            "letters, digits and _; as NAME: {file: path}",
        );
        return None;
    }
    if !matches!(node.shape, Shape::Map(_)) {
        let message = format!("the secret {name} has no source: found {}, not a map", node.describe());
        reader.error(node.at, message, "write {file: path}, {command: line} or {env: NAME}: its value is for no file");
        return None;
    }
    let fields = reader.fields(name, node, &schema::SECRET)?;
    let given: Vec<(&Key, &Node)> = ["file", "command", "env"]
        .into_iter()
        .filter_map(|source| fields.find(source).filter(|(_, node)| !node.is_null()))
        .collect();
    let [(source, node)] = given[..] else {
        let message = if given.is_empty() { "has no source" } else { "has several sources" };
        let hint = "write one of {file: path}, {command: line} and {env: NAME}";
        reader.error(node.at, format!("the secret {name} {message}"), hint);
        return None;
    };
    match &*source.text {
        "file" => {
            let path = reader.path("file", node)?;
            look_at(reader, node, name, &path);
            Some(SecretSource::File(path))
        }
        "command" => of_command(reader, node, name).map(SecretSource::Command),
        _ => of_variable(reader, node, name).map(SecretSource::Env),
    }
}

/// What a start would stumble over, and who else could read it.
fn look_at(reader: &mut Reader<'_>, node: &Node, name: &str, path: &Path) {
    let shown = path.display();
    let about = match path.metadata() {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("the secret {name} has no file yet: there is no {shown}");
            return reader.note(node.at, message, "make it before the service starts: that start would fail");
        }
        Err(error) => {
            let message = format!("the file of the secret {name} cannot be looked at, {shown}: {error}");
            return reader.note(node.at, message, "a start of the service would fail");
        }
    };
    if !about.is_file() {
        let message = format!("the secret {name} has no file: {shown} is something else");
        return reader.note(node.at, message, "a start of the service would fail");
    }
    if about.permissions().mode() & 0o077 != 0 {
        let message = format!("the file of the secret {name} may be read or changed by others: {shown}");
        reader.note(node.at, message, format!("chmod 600 {shown}"));
    }
}

fn of_command(reader: &mut Reader<'_>, node: &Node, name: &str) -> Option<CommandLine> {
    match &node.shape {
        Shape::List(_) => {
            let argv = list(reader, "command", node)?;
            let root = reader.root.clone();
            if !is_found(reader, &argv[0], &root) && !argv[0].contains('/') {
                let message = format!("the secret {name} has a command without a program: there is no \"{}\"", argv[0]);
                reader.note(node.at, message, "install it before the service starts: that start would fail");
            }
            Some(CommandLine::Argv(argv))
        }
        Shape::Scalar { .. } => {
            let line = reader.text("command", node)?;
            if line.trim().is_empty() {
                reader.error(
                    node.at,
                    format!("the secret {name} has an empty command"),
                    "write what /bin/sh should run",
                );
                return None;
            }
            Some(CommandLine::Shell(line))
        }
        Shape::Map(_) => {
            reader.wrong_form("command", node, "text or a list", "write a line for /bin/sh, or [program, argument, …]");
            None
        }
    }
}

fn of_variable(reader: &mut Reader<'_>, node: &Node, name: &str) -> Option<String> {
    let variable = reader.text("env", node)?;
    if !is_name(&variable) {
        let message = format!("the secret {name} names no variable: \"{variable}\"");
        reader.error(node.at, message, "write {env: NAME}, with the name alone");
        return None;
    }
    if !reader.environment.contains_key(&variable) {
        let message = format!("the secret {name} has no value yet: {variable} is not set here");
        reader.note(node.at, message, "set it where the project is opened: else a start of the service fails");
    }
    Some(variable)
}
