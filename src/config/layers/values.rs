//! What holds for a key, and where it comes from: built in, the user's file, the project's, the environment, a flag, a service of its own; the
//! last one that says something wins.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    Layers, Row, Scope, Source,
    keys::{Key, Known},
};
use crate::config::{
    project::read_dot_env,
    reader::Reader,
    tree::{self, Node, Shape},
};

impl Layers<'_> {
    /// What holds for `key`; none where nothing does.
    pub(super) fn value(&self, key: &Key) -> Option<Row> {
        let found = match &key.scope {
            Scope::User => self.user_value(key),
            Scope::Project => self.around_project(key),
            Scope::Service(name) => {
                let own = key.places.iter().find_map(|place| {
                    let below: Vec<&str> =
                        ["services", name].into_iter().chain(place.iter().map(String::as_str)).collect();
                    self.in_project(&below)
                });
                own.or_else(|| self.around_project(key))
            }
        };
        let (value, source) = found.or_else(|| {
            let built_in = key.known.map(|known| known.built_in).filter(|value| !value.is_empty())?;
            Some((built_in.to_owned(), Source::BuiltIn))
        })?;
        let value = key.known.map_or_else(|| value.clone(), |known| known.shown(&value));
        Some(Row { key: key.full_name(), value: Some(value), source })
    }

    fn user_value(&self, key: &Key) -> Option<(String, Source)> {
        let of_flag = || {
            let theme = self.theme.clone()?;
            Some((theme, Source::Flag("--theme".to_owned()))).filter(|_| key.name == "theme")
        };
        // A project may say it for its services; for the user it is their own word that counts.
        of_flag().or_else(|| self.of_variable(key.known?)).or_else(|| self.of_user_file(&key.places))
    }

    fn around_project(&self, key: &Key) -> Option<(String, Source)> {
        let of_variable = key.known.and_then(|known| self.of_variable(known));
        let of_defaults = || {
            key.places.iter().find_map(|place| {
                let place: Vec<&str> = place.iter().map(String::as_str).collect();
                let below: Vec<&str> = ["defaults"].into_iter().chain(place.iter().copied()).collect();
                // Output may be said at the top of the file as well.
                self.in_project(&below).or_else(|| if place[0] == "logs" { self.in_project(&place) } else { None })
            })
        };
        let of_user = || {
            let places: Vec<Vec<String>> =
                key.known?.user.iter().map(|place| place.iter().map(ToString::to_string).collect()).collect();
            self.of_user_file(&places)
        };
        of_variable.or_else(of_defaults).or_else(of_user)
    }

    fn of_variable(&self, known: &Known) -> Option<(String, Source)> {
        let name = known.variable()?;
        let value = self.environment.get(&name).filter(|value| !value.is_empty())?;
        Some((value.clone(), Source::Variable(name)))
    }

    fn of_user_file(&self, places: &[Vec<String>]) -> Option<(String, Source)> {
        let tree = tree_of(self.user_text.as_deref()?)?;
        places.iter().find_map(|place| {
            let place: Vec<&str> = place.iter().map(String::as_str).collect();
            let node = at(&tree, &place)?;
            Some((text_of(node)?, Source::File { file: self.user_file.clone(), line: node.at.line }))
        })
    }

    fn in_project(&self, place: &[&str]) -> Option<(String, Source)> {
        let (file, tree) = (self.project_file.as_ref()?, self.project_tree.as_ref()?);
        let node = at(tree, place)?;
        let text = filled(file, &self.environment, text_of(node)?, node);
        Some((text, Source::File { file: file.clone(), line: node.at.line }))
    }

    /// Names of the services in the project's file.
    pub(super) fn services(&self) -> Vec<String> {
        names(self.project_tree.as_deref().and_then(|tree| at(tree, &["services"])))
    }

    /// Actions that the user's file names.
    pub(super) fn actions(&self) -> Vec<String> {
        let tree = self.user_text.as_deref().and_then(tree_of);
        names(tree.as_deref().and_then(|tree| at(tree, &["keys"])))
    }
}

fn names(map: Option<&Node>) -> Vec<String> {
    match map.map(|node| &node.shape) {
        Some(Shape::Map(entries)) => entries.iter().map(|(key, _)| key.text.to_string()).collect(),
        Some(Shape::Scalar { .. } | Shape::List(_)) | None => Vec::new(),
    }
}

/// The values of a text, also where it has faults that leave some.
pub(super) fn tree_of(text: &str) -> Option<Arc<Node>> {
    tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text)).root
}

/// What stands at a place, nothing excepted.
fn at<'n>(node: &'n Node, place: &[&str]) -> Option<&'n Node> {
    let Some((word, rest)) = place.split_first() else { return Some(node).filter(|node| !node.is_null()) };
    let Shape::Map(entries) = &node.shape else { return None };
    let (_, below) = entries.iter().find(|(key, _)| &*key.text == *word)?;
    at(below, rest)
}

/// In one line.
fn text_of(node: &Node) -> Option<String> {
    match &node.shape {
        Shape::Scalar { .. } if node.is_null() => None,
        Shape::Scalar { text, .. } => Some(text.to_string()),
        Shape::List(items) => {
            let items: Vec<_> = items.iter().map(|item| text_of(item).unwrap_or_default()).collect();
            Some(format!("[{}]", items.join(", ")))
        }
        Shape::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, node)| format!("{}: {}", key.text, text_of(node).unwrap_or_default()))
                .collect();
            Some(format!("{{{}}}", entries.join(", ")))
        }
    }
}

/// Variables filled in as the project's reader does it.
fn filled(file: &Path, environment: &BTreeMap<String, String>, text: String, node: &Node) -> String {
    if !text.contains('$') {
        return text;
    }
    let root = file.parent().map(Path::to_owned).unwrap_or_default();
    let mut reader = Reader::new(file, root, environment);
    read_dot_env(&mut reader);
    reader.filled("value", node.at, &text).unwrap_or(text)
}
