//! `Procfile` with `.foreman` and `.env`. Promise: names, ports and copies as foreman gives them. Never: fills in `$PORT`; the
//! shell that runs a line does.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Candidate, EnvFile, Imported, Material, Runtime, Told, Variable, Weight,
    page::{Page, brief},
};
use crate::{
    config::{
        dotenv::{self, Assigned},
        problems::Place,
        procfile::{Process, base_port, lines, port},
        tree::Node,
    },
    model::service::{CommandLine, RestartPolicy},
};

/// From SIGTERM to SIGKILL, where `.foreman` does not say it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Keys of `.foreman`.
const KNOWN: &[&str] = &[
    "procfile",
    "root",
    "color",
    "env",
    "formation",
    "concurrency",
    "port",
    "timeout",
    "timestamp",
    "app",
    "log",
    "run",
    "user",
    "template",
];

/// What `.foreman` says.
#[derive(Default)]
struct Options {
    port: Option<u16>,
    env: Option<Vec<PathBuf>>,
    root: Option<Told<PathBuf>>,
    timeout: Option<Told<Duration>>,
    user: Option<Told<String>>,
    formation: Option<Told<Formation>>,
}

/// How many of each; others have `rest`.
#[derive(Default)]
struct Formation {
    counts: BTreeMap<String, u32>,
    rest: u32,
}

/// Translates the file.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    let mut page = Page::new(material);
    let options = options(&mut page);
    let (processes, wrong) = lines(material.text);
    for (at, message) in &wrong {
        page.error(*at, message, "each line is a name, a colon and a command; comments begin with #");
    }
    if processes.is_empty() && wrong.is_empty() {
        page.error(
            Place::START,
            "the Procfile names no process",
            "write a line such as web: python3 -m http.server $PORT",
        );
    }
    let env_files = env_files(&mut page, &options);
    let mut dot_env = BTreeMap::new();
    for file in &env_files {
        if let Ok(text) = material.files.read(&file.value.path) {
            for (name, value) in dotenv::read(&text, &BTreeMap::new()).variables {
                if let Assigned::Value(value) = value {
                    dot_env.insert(name, value);
                }
            }
        }
    }
    let base = options.port.unwrap_or_else(|| base_port(material.environment, &dot_env));
    let mut imported = Imported::default();
    for (index, process) in processes.into_iter().enumerate() {
        if process.line.contains('\0') {
            page.error(process.at, &format!("{}: its line has a NUL byte", process.name), "remove it");
            continue;
        }
        if !process.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            let message = format!("{}: foreman reads no such name and skips the line", brief(process.name));
            page.hint(process.at, &message, "names have letters, digits, _ and -");
        }
        imported.services.push(candidate(&page, &process, port(base, index), &env_files, &options));
    }
    page.finish(imported)
}

fn candidate(
    page: &Page<'_>,
    process: &Process<'_>,
    port: Option<u16>,
    env_files: &[Told<EnvFile>],
    options: &Options,
) -> Candidate {
    let Process { name, line, at } = process;
    let command = page.told(*at, CommandLine::Shell((*line).to_owned()));
    let mut candidate = Candidate::new(page.told(*at, (*name).to_owned()), Runtime::Process(command));
    if let Some(port) = port {
        candidate.environment.insert("PORT".to_owned(), page.told(*at, Variable::Text(port.to_string())));
    }
    candidate.env_files = env_files.to_vec();
    candidate.working_dir.clone_from(&options.root);
    candidate.user.clone_from(&options.user);
    // foreman ends everything when one process ends: nothing is ever started again.
    candidate.restart = Some(page.told(*at, RestartPolicy::No));
    candidate.stop_grace = Some(options.timeout.clone().unwrap_or_else(|| page.told(*at, TIMEOUT)));
    if let Some(Told { value: formation, source }) = &options.formation {
        let count = formation.counts.get(*name).copied().unwrap_or(formation.rest);
        if count == 0 {
            candidate.autostart = Some(Told { value: false, source: source.clone() });
        } else if count > 1 {
            candidate.replicas = Some(Told { value: count, source: source.clone() });
        }
    }
    candidate
}

fn env_files(page: &mut Page<'_>, options: &Options) -> Vec<Told<EnvFile>> {
    let directory = page.material.directory();
    let (paths, required) = match &options.env {
        Some(paths) => (paths.clone(), true),
        None => (vec![directory.join(".env")], false),
    };
    let there = |path: &PathBuf| required || page.material.files.exists(path);
    paths
        .into_iter()
        .filter(there)
        .map(|path| Told { source: Place::START.in_file(&path), value: EnvFile { path, required } })
        .collect()
}

/// `.foreman` beside the file.
fn options(page: &mut Page<'_>) -> Options {
    let mut options = Options::default();
    let path = page.material.directory().join(".foreman");
    let Ok(text) = page.material.files.read(&path) else { return options };
    let main = std::mem::replace(&mut page.file, path);
    if let Some(root) = page.tree(&text) {
        for (key, node) in page.map(".foreman", &root).unwrap_or_default() {
            option(page, &key.text, key.at, node, &mut options, &main);
        }
    }
    page.file = main;
    options
}

fn option(page: &mut Page<'_>, key: &str, at: Place, node: &Node, options: &mut Options, main: &Path) {
    match key {
        "port" => options.port = page.number("port", node).and_then(|port| u16::try_from(port).ok()),
        "env" => {
            let text = page.text("env", node).unwrap_or_default();
            options.env = Some(
                text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| page.path(name)).collect(),
            );
        }
        "procfile" => {
            if let Some(text) = page.text("procfile", node)
                && page.path(text) != main
            {
                let message = format!("procfile: foreman runs {} here, not {}", brief(text), page.shown(main));
                page.hint(node.at, &message, "");
            }
        }
        "root" => options.root = page.text("root", node).map(|text| page.told(node.at, page.path(text))),
        "timeout" => options.timeout = page.seconds("timeout", node).map(|timeout| page.told(node.at, timeout)),
        "user" => options.user = page.text("user", node).map(|user| page.told(node.at, user.to_owned())),
        "formation" | "concurrency" => {
            if let Some(text) = page.text(key, node) {
                let formation = formation(page, key, node.at, text);
                options.formation = Some(page.told(node.at, formation));
            }
        }
        "color" | "timestamp" | "app" | "run" | "template" => {}
        "log" => page.lost_unless_off("log", node, "cas keeps output itself: logs in cas.yaml says how much"),
        other => page.unknown(Weight::Hint, other, at, KNOWN),
    }
}

/// `all=1,web=2`; what is not named has none, unless `all` is.
fn formation(page: &mut Page<'_>, key: &str, at: Place, text: &str) -> Formation {
    let mut formation = Formation::default();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').map(|(name, count)| (name.trim(), count.trim().parse())) {
            Some(("all", Ok(count))) => formation.rest = count,
            Some((name, Ok(count))) => {
                formation.counts.insert(name.to_owned(), count);
            }
            Some((_, Err(_))) | None => {
                page.error(at, &format!("{key}: \"{}\" is not name=number", brief(pair)), "write all=1,web=2");
            }
        }
    }
    formation
}
