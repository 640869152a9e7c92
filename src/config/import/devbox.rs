//! `devbox.json`. Promise: what runs, runs inside `devbox run`, so that it finds its packages. Never: installs a package.

use super::{
    Candidate, Imported, Material, Role, Runtime, Unread, Weight, page::Page, pm2_javascript::without_comments,
    process_compose,
};
use crate::{
    config::{
        problems::Place,
        tree::{Node, Shape},
    },
    model::service::CommandLine,
};

/// Keys of the file.
const KNOWN: &[&str] =
    &["$schema", "name", "description", "packages", "env", "env_from", "shell", "include", "nixpkgs"];
/// Packages whose plugin in devbox runs a service.
const WITH_SERVICE: &[&str] =
    &["apacheHttpd", "caddy", "mariadb", "mysql80", "nginx", "php", "postgresql", "redis", "valkey", "mongodb"];
/// Where `devbox services` looks.
const SERVICES: &[&str] = &["process-compose.yaml", "process-compose.yml"];

/// Translates the file.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    let mut page = Page::new(material);
    let mut imported = Imported::default();
    let text = without_comments(material.text);
    if let Some(root) = page.tree(&text) {
        for (key, node) in page.map("the file", &root).unwrap_or_default() {
            match &*key.text {
                "name" => {
                    imported.project = page.text("name", node).map(|name| page.told(node.at, name.to_owned()));
                }
                "shell" => shell(&mut page, node, &mut imported),
                "packages" => packages(&mut page, node),
                "include" => page.lost_unless_off("include", node, "what an included plugin runs is not known to cas"),
                "$schema" | "description" | "env" | "nixpkgs" | "env_from" => {}
                other => page.unknown(Weight::Error, other, key.at, KNOWN),
            }
        }
    }
    let services = services(&mut page);
    imported.services.splice(0..0, services.services);
    let mut finished = page.finish(imported);
    finished.notes.extend(services.notes);
    finished
}

/// Scripts, as tasks that start when they are asked for.
fn shell(page: &mut Page<'_>, node: &Node, imported: &mut Imported) {
    for (key, node) in page.map("shell", node).unwrap_or_default() {
        match &*key.text {
            "init_hook" => {}
            "scripts" => {
                for (key, node) in page.map("shell.scripts", node).unwrap_or_default() {
                    let what = format!("shell.scripts.{}", key.text);
                    let lines: Vec<&str> = page.texts(&what, node).into_iter().map(|(_, line)| line).collect();
                    if lines.iter().all(|line| line.trim().is_empty()) {
                        page.error(key.at, &format!("{what}: the script is empty"), "write the line to run");
                        continue;
                    }
                    let argv = ["devbox", "run", &key.text].map(str::to_owned).to_vec();
                    let command = page.told(node.at, CommandLine::Argv(argv));
                    let mut task = Candidate::new(page.told(key.at, key.text.to_string()), Runtime::Process(command));
                    task.role = Role::Task;
                    task.autostart = Some(page.told(key.at, false));
                    task.working_dir = Some(page.told(key.at, page.material.directory().to_owned()));
                    task.description = Some(page.told(node.at, lines.join("; ")));
                    imported.services.push(task);
                }
            }
            other => page.unknown(Weight::Error, &format!("shell.{other}"), key.at, &["init_hook", "scripts"]),
        }
    }
}

/// Packages that bring a service along.
fn packages(page: &mut Page<'_>, node: &Node) {
    let names: Vec<(Place, String)> = match &node.shape {
        Shape::Map(entries) => entries.iter().map(|(key, _)| (key.at, key.text.to_string())).collect(),
        Shape::List(_) | Shape::Scalar { .. } => {
            page.texts("packages", node).into_iter().map(|(at, name)| (at, name.to_owned())).collect()
        }
    };
    for (at, name) in names {
        let bare = name.split('@').next().unwrap_or(&name);
        if WITH_SERVICE.contains(&bare) {
            let message = format!("packages: the service of devbox's plugin for {bare} is not carried over");
            page.lost(at, &message, "devbox services up starts it; or write it into cas.yaml");
        }
    }
}

/// What `devbox services` would run: the process-compose file beside, inside `devbox run`.
fn services(page: &mut Page<'_>) -> Imported {
    let material = page.material;
    for name in SERVICES {
        let path = material.directory().join(name);
        let text = match material.files.read(&path) {
            Ok(text) => text,
            Err(Unread::Absent) => continue,
            Err(Unread::Because(why)) => {
                page.error(Place::START, &format!("{name} cannot be read: {why}"), "");
                continue;
            }
        };
        let inner = Material { file: &path, text: &text, ..*material };
        let mut imported = process_compose::import_filled(&inner, process_compose::Filling::Shell);
        for service in &mut imported.services {
            if let Runtime::Process(command) = &mut service.runtime {
                let mut argv = vec!["devbox".to_owned(), "run".to_owned(), "--".to_owned()];
                argv.extend(command.value.argv());
                command.value = CommandLine::Argv(argv);
            }
        }
        return imported;
    }
    Imported::default()
}
