//! `Tiltfile` and `skaffold.yaml`: programs and recipes for clusters, which `cas` does not run. Promise: one note of what was
//! found. Never: a service.

use super::{
    Imported, Material,
    page::{Page, brief},
};
use crate::config::{
    problems::Place,
    tree::{self, Node, Shape},
};

/// Functions of a Tiltfile that declare something.
const CALLS: &[&str] = &[
    "local_resource",
    "docker_compose",
    "docker_build",
    "custom_build",
    "k8s_yaml",
    "k8s_resource",
    "helm_resource",
    "include",
    "load",
];
/// Most names of one kind in a note.
const MOST: usize = 8;

/// Notes what the file has.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    let name = material.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.starts_with("skaffold") { skaffold(material) } else { tiltfile(material) }
}

fn tiltfile(material: &Material<'_>) -> Imported {
    let mut page = Page::new(material);
    let mut found = Vec::new();
    let mut first = None;
    for call in CALLS {
        let mut names = Vec::new();
        let mut count = 0_usize;
        for (number, line) in material.text.lines().enumerate() {
            let code = line.trim_start();
            let Some(argument) = code.strip_prefix(call).and_then(|rest| rest.trim_start().strip_prefix('(')) else {
                continue;
            };
            count += 1;
            let at = Place::new(number + 1, line.len() - code.len() + 1);
            first = first.min(Some(at)).or(Some(at));
            let next = material.text.lines().nth(number + 1).unwrap_or_default();
            names.extend(quoted(argument).or_else(|| argument.trim().is_empty().then(|| quoted(next)).flatten()));
        }
        if count > 0 {
            found.push(format!("{count} {call}{}", listed(&names)));
        }
    }
    let hint = "cas does not run Tiltfiles: write what it should run into cas.yaml; a compose file that it names is read as such";
    let message = match found.as_slice() {
        [] => "a Tiltfile in which cas finds nothing that it knows".to_owned(),
        found => format!("a Tiltfile with {}", found.join(", ")),
    };
    page.hint(first.unwrap_or(Place::START), &message, hint);
    page.finish(Imported::default())
}

/// The text of a literal at the beginning.
fn quoted(text: &str) -> Option<String> {
    let text = text.trim_start().trim_start_matches("name=").trim_start_matches('[').trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (name, _) = text[1..].split_once(quote)?;
    (!name.is_empty()).then(|| brief(name))
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names if names.len() > MOST => format!(" ({}, …)", names[..MOST].join(", ")),
        names => format!(" ({})", names.join(", ")),
    }
}

fn skaffold(material: &Material<'_>) -> Imported {
    let mut page = Page::new(material);
    let mut found = Vec::new();
    for document in documents(material.text) {
        // A file of several documents is usual; a fault in one says nothing about services.
        let Some(root) = tree::parse(document).root else { continue };
        let images: Vec<String> = child(&root, "build")
            .and_then(|build| child(build, "artifacts"))
            .map(|artifacts| items(artifacts).iter().filter_map(|item| text(child(item, "image")?)).collect())
            .unwrap_or_default();
        if !images.is_empty() {
            found.push(format!("{} images{}", images.len(), listed(&images)));
        }
        for key in ["deploy", "manifests", "portForward", "profiles"] {
            if let Some(node) = child(&root, key) {
                let names: Vec<String> = match &node.shape {
                    Shape::Map(entries) => entries.iter().map(|(key, _)| brief(&key.text)).collect(),
                    Shape::List(items) => vec![items.len().to_string()],
                    Shape::Scalar { .. } => Vec::new(),
                };
                found.push(format!("{key}{}", listed(&names)));
            }
        }
    }
    let message = match found.as_slice() {
        [] => "a skaffold file in which cas finds nothing that it knows".to_owned(),
        found => format!("a skaffold file with {}", found.join(", ")),
    };
    page.hint(Place::START, &message, "cas does not deploy to clusters: write what should run here into cas.yaml");
    page.finish(Imported::default())
}

fn documents(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n---").take(64)
}

fn child<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match &node.shape {
        Shape::Map(entries) => entries.iter().find(|(key, _)| &*key.text == name).map(|(_, node)| &**node),
        Shape::List(_) | Shape::Scalar { .. } => None,
    }
}

fn items(node: &Node) -> &[std::sync::Arc<Node>] {
    match &node.shape {
        Shape::List(items) => items,
        Shape::Map(_) | Shape::Scalar { .. } => &[],
    }
}

fn text(node: &Node) -> Option<String> {
    match &node.shape {
        Shape::Scalar { text, .. } => Some(brief(text)),
        Shape::List(_) | Shape::Map(_) => None,
    }
}
