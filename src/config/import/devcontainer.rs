//! `.devcontainer/devcontainer.json` that names compose files. Promise: comments and trailing commas are no errors, and lines and
//! columns are those of the file. Never: builds a container without compose files, or runs its life-cycle commands.

use std::{path::PathBuf, sync::Arc};

use super::{Imported, Material, Note, Told, Weight, compose};
use crate::config::{
    problems::{Place, harmless},
    tree::{self, Key, Node, Shape},
};

/// Keys that change what runs, and are not carried over.
const LOST: [&str; 13] = [
    "containerEnv",
    "containerUser",
    "features",
    "forwardPorts",
    "initializeCommand",
    "onCreateCommand",
    "overrideCommand",
    "postAttachCommand",
    "postCreateCommand",
    "postStartCommand",
    "remoteEnv",
    "remoteUser",
    "updateContentCommand",
];

/// The services of the compose files that it names.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    let plain = without_comments(material.text.strip_prefix('\u{feff}').unwrap_or(material.text));
    let tree = tree::parse(&plain);
    let mut imported = Imported::default();
    let note = |weight, at: Place, message: &str, hint: Option<String>| Note {
        weight,
        source: at.in_file(material.file),
        message: harmless(message),
        hint,
    };
    let faults = tree.faults.iter().map(|fault| note(Weight::Error, fault.at, &fault.message, fault.hint.clone()));
    let mut notes: Vec<Note> = faults.collect();
    let Some(root) = tree.root else {
        imported.notes = notes;
        return imported;
    };
    let entries: &[(Key, Arc<Node>)] = if let Shape::Map(entries) = &root.shape { entries } else { &[] };
    let find = |name: &str| entries.iter().find(|(key, _)| &*key.text == name).map(|(_, node)| node);
    let files = find("dockerComposeFile").map(|node| texts(node)).unwrap_or_default();
    for (key, _) in entries.iter().filter(|(key, _)| LOST.contains(&&*key.text)) {
        notes.push(note(Weight::Lost, key.at, &format!("{} is not carried over", key.text), None));
    }
    if let Some((first, at)) = files.first() {
        let paths: Vec<PathBuf> = files.iter().map(|(file, _)| joined(material, file)).collect();
        if let Some((file, at)) = files.iter().zip(&paths).find(|(_, path)| !material.files.exists(path)).map(|it| it.0)
        {
            let message = format!("dockerComposeFile: {file} cannot be read: there is no such file");
            notes.push(note(Weight::Error, *at, &message, Some("correct the path".to_owned())));
        }
        match joined(material, first).parent() {
            Some(base) => imported = compose::import_files(material, None, &paths, base),
            None => notes.push(note(Weight::Error, *at, "dockerComposeFile: not a file", None)),
        }
    } else {
        let hint = Some("only containers that compose describes are carried over".to_owned());
        notes.push(note(Weight::Hint, root.at, "it names no compose file", hint));
    }
    if let Some(wanted) = find("runServices").map(|node| texts(node)) {
        let main = find("service").map(|node| texts(node)).unwrap_or_default();
        for service in &mut imported.services {
            let is_wanted = wanted.iter().chain(&main).any(|(name, _)| *name == service.name.value);
            if let Some((_, at)) = wanted.first().or_else(|| main.first()) {
                service.autostart = Some(Told { value: is_wanted, source: at.in_file(material.file) });
            }
        }
    }
    notes.append(&mut imported.notes);
    imported.notes = notes;
    imported
}

fn joined(material: &Material<'_>, file: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in material.directory().join(file).components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                path.pop();
            }
            std::path::Component::Prefix(_) | std::path::Component::RootDir | std::path::Component::Normal(_) => {
                path.push(part);
            }
        }
    }
    path
}

/// One text, or those of a list, with their places.
fn texts(node: &Node) -> Vec<(String, Place)> {
    match &node.shape {
        Shape::Scalar { text, .. } if !node.is_null() => vec![(text.to_string(), node.at)],
        Shape::List(items) => items.iter().flat_map(|item| texts(item)).collect(),
        Shape::Scalar { .. } | Shape::Map(_) => Vec::new(),
    }
}

/// Comments and tabs as spaces, so that everything else stays where it is and is YAML.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut is_quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if is_quoted => {
                out.push(c);
                out.extend(chars.next());
            }
            '"' => {
                is_quoted = !is_quoted;
                out.push(c);
            }
            '/' if !is_quoted && chars.peek() == Some(&'/') => {
                out.push(' ');
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                    out.push(' ');
                }
            }
            '/' if !is_quoted && chars.peek() == Some(&'*') => {
                chars.next();
                let mut last = ' ';
                out.push_str("  ");
                for c in chars.by_ref() {
                    out.push(if c == '\n' { '\n' } else { ' ' });
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
            }
            '\t' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}
