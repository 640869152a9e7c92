//! Compose files, by the Compose Specification. Promise: override files, `extends`, `include` and variables are what compose makes of
//! them; each value knows the file and line that said it. Never: asks Docker, or the network.

mod container;
mod depends;
mod deploy;
mod details;
mod extends;
mod health;
mod item;
mod keys;
mod load;
mod merge;
mod notes;
mod ports;
mod service;
mod values;
mod volumes;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use self::{
    item::{Form, Item},
    keys::Table,
    load::Loader,
    values::{Values, says_nothing},
};
use super::{Candidate, Files, Imported, Material, Role, Runtime, Told};
use crate::{
    config::{
        nearest::did_you_mean,
        tree::{self, Shape},
    },
    model::service::Condition,
};

/// Names under which compose looks for a file when none is named; only beside those is an override looked for.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// Names of override files, the first one wins.
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// Source, target and mode of a mount in the short form.
pub(crate) fn split_mount(text: &str) -> (Option<&str>, &str, Option<&str>) {
    volumes::split(text)
}

/// A path as written in a file: `~/` is the home, anything relative begins at the base.
pub(crate) fn absolute(text: &str, base: &Path, home: Option<&str>) -> PathBuf {
    item::resolved(text, base, home)
}

/// True for a compose file; false for one of process-compose, which may have the same name, and for anything else.
#[must_use]
pub fn is_compose(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let of_compose = ["services", "include", "networks", "volumes"];
    let tree = tree::parse_edits(text);
    if let Some(root) = tree.root {
        let Shape::Map(entries) = &root.shape else { return false };
        let has = |name: &str| entries.iter().any(|(key, _)| &*key.text == name);
        return has("services") || (!has("processes") && of_compose.into_iter().any(has));
    }
    // Half a file still says what it wants to be.
    let has = |name: &str| text.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')));
    has("services") || (!has("processes") && has("include"))
}

/// The services of a compose file, and of the override beside it.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    let mut files = vec![material.file.to_owned()];
    let directory = material.directory();
    if material.file.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known)) {
        let beside = OVERRIDES.into_iter().map(|name| directory.join(name));
        files.extend(beside.into_iter().find(|file| material.files.exists(file)));
    }
    import_files(material, Some((material.file, material.text)), &files, directory)
}

/// The services of several files, later ones over earlier ones. Paths in them begin at `base`, and `.env` is looked for there.
pub(super) fn import_files(
    material: &Material<'_>,
    given: Option<(&Path, &str)>,
    files: &[PathBuf],
    base: &Path,
) -> Imported {
    let home = material.environment.get("HOME").cloned();
    let mut loader = Loader::new(material.files, home.clone());
    loader.given = given;
    for file in files {
        loader.notes.opened(file);
    }
    let outside = Rc::new(material.environment.clone());
    let environment = loader.variables(&base.join(".env"), &outside, None);
    let root = loader.project(files, base, &environment, &mut Vec::new());
    let mut values = Values { notes: loader.notes, home };
    let mut imported = Imported::default();
    if let Some(root) = root.and_then(|root| merge::settled(&root)) {
        read(&mut values, &root, &mut imported);
        check_builds(&mut values, material.files, &root, &imported.services);
    }
    imported.notes = values.notes.finish();
    imported
}

fn read(values: &mut Values, root: &Arc<Item>, imported: &mut Imported) {
    values.keys("", root, &keys::FILE);
    imported.project = root.get("name").and_then(|item| Some(item.told(values.text("name", item)?)));
    resources(values, root, "networks", &keys::NETWORK);
    resources(values, root, "volumes", &keys::NAMED_VOLUME);
    let Some(services) = root.get("services") else {
        let message = "there are no services in it";
        values.notes.error(root.source(), message, "a compose file is a map with \"services:\"");
        return;
    };
    let Form::Map(entries) = &services.form else {
        values.wrong("services", services, "a map", "write the name of a service, and below it what it is");
        return;
    };
    let declared = details::Declared::read(values, root);
    for (name, service) in entries.iter().filter(|(name, _)| !name.text.starts_with("x-")) {
        imported.services.extend(service::read(values, name, service, &declared));
    }
    check_dependencies(values, services, &imported.services);
    give_roles(&mut imported.services);
}

/// Networks and volumes of the project: their names are carried over by the services that use them.
fn resources(values: &mut Values, root: &Item, section: &str, table: &Table) {
    let Some(item) = root.get(section) else { return };
    let Form::Map(entries) = &item.form else {
        values.wrong(section, item, "a map", "write the name, and below it what it is");
        return;
    };
    for (name, value) in entries {
        if !says_nothing(value) && !name.text.starts_with("x-") {
            values.keys(&format!("{section}.{}", name.text), value, table);
        }
    }
}

/// A build whose directory or Dockerfile is not there yet.
fn check_builds(values: &mut Values, files: &dyn Files, root: &Item, candidates: &[Candidate]) {
    for candidate in candidates {
        let Runtime::Container(container) = &candidate.runtime else { continue };
        let Some(Told { value: build, source }) = &container.build else { continue };
        let context = Path::new(&build.context);
        let name = &candidate.name.value;
        let written = root.get("services").and_then(|services| services.get(name)?.get("build"));
        let is_inline = written.is_some_and(|build| build.get("dockerfile_inline").is_some());
        // What is elsewhere, or has a variable that nobody set, is not looked for.
        if !context.is_absolute() || is_inline || build.context.contains('$') {
            continue;
        }
        if !files.exists(context) {
            let message = format!("{name}.build: there is no directory {}", context.display());
            values.notes.hint(source.clone(), message, "make it, or correct the path");
            continue;
        }
        let named: &[&str] = match &build.dockerfile {
            Some(file) => &[file],
            None => &["Dockerfile", "Containerfile"],
        };
        if !named.iter().any(|file| files.exists(&context.join(file))) {
            let message = format!("{name}.build: there is no {} in {}", named[0], context.display());
            values.notes.hint(source.clone(), message, "write one, or name another with dockerfile:");
        }
    }
}

fn check_dependencies(values: &mut Values, services: &Item, candidates: &[Candidate]) {
    let names: Vec<&str> = services.entries().iter().map(|(name, _)| &*name.text).collect();
    for candidate in candidates {
        for (name, told) in &candidate.depends_on {
            if told.value.required && !names.contains(&name.as_str()) {
                let message = format!("{}: it depends on \"{name}\", which is no service", candidate.name.value);
                values.notes.error(told.source.clone(), message, did_you_mean(name, &names));
            }
        }
    }
}

/// Whoever is waited for until it has ended well is a task.
fn give_roles(candidates: &mut [Candidate]) {
    let tasks: BTreeSet<String> = candidates
        .iter()
        .flat_map(|candidate| &candidate.depends_on)
        .filter(|(_, told)| told.value.condition == Condition::ServiceCompletedSuccessfully)
        .map(|(name, _)| name.clone())
        .collect();
    for candidate in candidates {
        if tasks.contains(&candidate.name.value) {
            candidate.role = Role::Task;
        }
    }
}
