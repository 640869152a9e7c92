//! The rules of `assets/detect/rules.toml`, and pages that need nothing but a server of files.

use std::{collections::BTreeSet, path::Path, sync::LazyLock};

use regex::Regex;
use serde::Deserialize;

use super::{
    super::import::{Role, Told},
    Finds, Service,
    text::Text,
    walk::Tree,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    group: Option<String>,
    what: String,
    name: String,
    any: Vec<String>,
    #[serde(default)]
    none: Vec<String>,
    #[serde(default, rename = "in")]
    within: Vec<String>,
    says: Option<String>,
    needs_file: Option<String>,
    command: String,
    port: Option<u16>,
    port_from: Option<(String, String)>,
    path: Option<String>,
}

struct Ready {
    rule: Rule,
    says: Option<Regex>,
    port_from: Option<(String, Regex)>,
}

static RULES: LazyLock<Vec<Ready>> = LazyLock::new(|| {
    let read: Result<Rules, _> = toml::from_str(include_str!("../../../assets/detect/rules.toml"));
    let rules = read.expect("the rules are constant, and a test reads them").rule;
    rules
        .into_iter()
        .map(|rule| Ready {
            says: rule.says.as_deref().map(super::text::pattern),
            port_from: rule.port_from.as_ref().map(|(file, says)| (file.clone(), super::text::pattern(says))),
            rule,
        })
        .collect()
});

pub(super) fn look(tree: &Tree, directory: &Path, finds: &mut Finds) {
    let before = finds.candidates.len();
    let mut groups = BTreeSet::new();
    let of_root = || directory.file_name().map_or_else(|| "web".to_owned(), |name| name.to_string_lossy().into_owned());
    let own = super::called(&tree.root, directory).unwrap_or_else(of_root);
    for ready in RULES.iter() {
        if ready.rule.group.as_ref().is_some_and(|group| groups.contains(group)) {
            continue;
        }
        if let Some(service) = apply(ready, tree, directory, &own) {
            groups.extend(&ready.rule.group);
            finds.candidates.push(service.candidate());
        }
    }
    if finds.candidates.len() == before {
        pages(tree, directory, finds);
    }
}

fn apply<'r>(ready: &'r Ready, tree: &Tree, directory: &Path, own: &'r str) -> Option<Service<'r>> {
    let rule = &ready.rule;
    let file = rule.any.iter().find_map(|name| tree.first(directory, name))?;
    if rule.none.iter().any(|name| tree.has(directory, name)) {
        return None;
    }
    if rule.needs_file.as_ref().is_some_and(|needed| !directory.join(needed).is_file()) {
        return None;
    }
    let (said, source) = if let Some(says) = &ready.says {
        let here = |name: &String| tree.read(&directory.join(tree.first(directory, name)?))?.capture(says);
        let found = rule.within.iter().find_map(here)?;
        (found.value, found.source)
    } else {
        (String::new(), Text::new(&directory.join(file), "").at(0))
    };
    let by_file = ready.port_from.as_ref().and_then(|(name, says)| {
        let found = tree.read(&directory.join(name))?.capture(says)?;
        Some(Told { value: found.value.parse::<u16>().ok()?, source: found.source })
    });
    let port = by_file.or_else(|| Some(Told { value: rule.port?, source: source.clone() }));
    let name = if rule.name == "{name}" { own } else { &rule.name };
    let number = port.as_ref().map_or_else(String::new, |port| port.value.to_string());
    Some(Service {
        name,
        command: rule.command.replace("{port}", &number).replace("{match}", &said),
        directory: directory.to_owned(),
        source,
        what: rule.what.clone(),
        port,
        path: rule.path.as_deref(),
        role: Role::Service,
    })
}

/// An `index.html` in the root, of a tree in which nothing else was recognised.
fn pages(tree: &Tree, directory: &Path, finds: &mut Finds) {
    let is_alone = directory == tree.root && finds.candidates.is_empty();
    let others = [
        "package.json",
        "composer.json",
        "Cargo.toml",
        "go.mod",
        "Gemfile",
        "pom.xml",
        "pyproject.toml",
        "requirements.txt",
    ];
    if !is_alone || others.iter().any(|name| tree.has(directory, name)) || !tree.has(directory, "index.html") {
        return;
    }
    let source = Text::new(&directory.join("index.html"), "").at(0);
    let service = Service {
        name: "site",
        command: "python3 -m http.server 8000".to_owned(),
        directory: directory.to_owned(),
        port: Some(Told { value: 8000, source: source.clone() }),
        source,
        what: "pages without a server of their own".to_owned(),
        path: None,
        role: Role::Service,
    };
    finds.candidates.push(service.candidate());
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_rules_are_read_and_their_patterns_compile() {
        assert!(super::RULES.len() > 15);
    }
}
