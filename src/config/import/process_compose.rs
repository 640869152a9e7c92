//! `process-compose.yaml` of F1bonacc1/process-compose: the project. Promise: as its loader reads it, `extends` of projects and
//! processes, `${VAR}` and `{{.VAR}}` filled in. Never: runs `env_cmds` or anything else.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{
    EnvFile, Imported, Material, Role, Told, Variable, Weight,
    page::{Page, brief},
    process_compose_process as process,
};
use crate::config::{
    dotenv::{self, Assigned},
    interpolate::expand,
    problems::Place,
    tree::{Key, Node, Shape},
};

/// How deep projects and processes may extend one another.
const MAX_EXTENDS: usize = 16;

/// Keys of the file.
const KNOWN: &[&str] = &[
    "version",
    "name",
    "log_location",
    "log_level",
    "log_length",
    "log_configuration",
    "log_format",
    "processes",
    "environment",
    "shell",
    "is_strict",
    "vars",
    "disable_env_expansion",
    "is_tui_disabled",
    "extends",
    "env_cmds",
    "ordered_shutdown",
    "mcp_server",
];

/// A key with its value and the file in which it stands.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) file: PathBuf,
    pub(super) key: Key,
    pub(super) node: Arc<Node>,
}

/// A process before its keys are read: its own entries last.
struct Raw {
    name: Told<String>,
    entries: Vec<Entry>,
}

/// Who fills in `${VAR}`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Filling {
    /// The loader, when it reads the file.
    Loader,
    /// The shell of the process: it has an environment that is not known here.
    Shell,
    /// Nobody.
    Nobody,
}

/// What all processes share.
pub(super) struct Project {
    /// Who fills in variables.
    pub(super) filling: Filling,
    /// Unknown keys are errors.
    pub(super) is_strict: bool,
    /// `.env` over the environment.
    pub(super) known: BTreeMap<String, String>,
    /// `vars`.
    pub(super) vars: BTreeMap<String, String>,
    /// Variables of all processes.
    pub(super) environment: BTreeMap<String, Told<Variable>>,
    /// Program and option of lines, where the file says them.
    pub(super) shell: Option<(String, String)>,
    /// `.env`, where it is there.
    pub(super) dot_env: Option<Told<EnvFile>>,
}

impl Project {
    /// A value as the loader sees it: variables, then templates filled in.
    pub(super) fn filled(
        &self,
        page: &mut Page<'_>,
        what: &str,
        at: Place,
        text: &str,
        vars: &BTreeMap<String, String>,
    ) -> String {
        let text = self.expanded(page, what, at, text);
        template(page, what, at, &text, vars)
    }

    /// Variables alone.
    pub(super) fn expanded(&self, page: &mut Page<'_>, what: &str, at: Place, text: &str) -> String {
        match self.filling {
            Filling::Nobody => return text.to_owned(),
            Filling::Shell => return text.replace("$$", "$"),
            Filling::Loader => {}
        }
        let expansion = expand(&braced_alone(text), &|name| self.known.get(name).cloned());
        for error in &expansion.errors {
            page.error(
                at,
                &format!("{what}: {error}"),
                "cas knows ${VAR}, ${VAR:-default} and their like, not the functions of envsubst",
            );
        }
        for missing in &expansion.missing {
            let hint = format!(
                "process-compose fills it in when it reads the file; write $${missing} for the process's own variable"
            );
            page.hint(at, &format!("{what}: {missing} is not set, so it is empty"), &hint);
        }
        expansion.text
    }
}

/// The same for [`expand`], but that only `${VAR}` is filled in: envsubst leaves `$VAR` to the shell, and `$$` is one dollar sign.
fn braced_alone(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        escaped.push_str(before);
        escaped.push_str(if after.starts_with('{') { "$" } else { "$$" });
        rest = after.strip_prefix('$').unwrap_or(after);
    }
    escaped.push_str(rest);
    escaped
}

/// Fills in `{{.NAME}}`; anything else of Go's templates is only noted.
fn template(page: &mut Page<'_>, what: &str, at: Place, text: &str, vars: &BTreeMap<String, String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inner, end)) = after.split_once("}}") else { break };
        filled.push_str(before);
        if let Some(value) = inner.trim().strip_prefix('.').and_then(|name| vars.get(name)) {
            filled.push_str(value);
        } else {
            let hint = "cas fills in {{.NAME}} of vars and nothing else of Go's templates";
            page.lost(at, &format!("{what}: {{{{{}}}}} is not evaluated", brief(inner)), hint);
            filled.push_str("{{");
            filled.push_str(inner);
            filled.push_str("}}");
        }
        rest = end;
    }
    filled.push_str(rest);
    filled
}

/// Translates the file.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    import_filled(material, Filling::Loader)
}

/// The same, variables filled in by `filling`.
pub(super) fn import_filled(material: &Material<'_>, filling: Filling) -> Imported {
    let mut page = Page::new(material);
    let mut top = Vec::new();
    gather(&mut page, material.text, 0, &mut BTreeSet::new(), &mut top);
    let mut project = surroundings(&mut page, &top, filling);
    let mut imported = Imported::default();
    let mut raws: Vec<Raw> = Vec::new();
    for entry in &top {
        page.file.clone_from(&entry.file);
        top_key(&mut page, entry, &mut project, &mut imported, &mut raws);
    }
    if !top.iter().any(|entry| &*entry.key.text == "processes") {
        material.file.clone_into(&mut page.file);
        page.error(Place::START, "the file has no processes", "write processes: and a process under it");
    }
    let mut completed = BTreeSet::new();
    for raw in &raws {
        let entries = inherited(&mut page, raw, &raws, 0);
        if let Some(found) = process::read(&mut page, &project, &raw.name, &entries) {
            completed.extend(found.completed);
            imported.services.push(found.candidate);
        }
    }
    for service in &mut imported.services {
        if completed.contains(&service.name.value) {
            service.role = Role::Task;
        }
    }
    page.finish(imported)
}

/// The keys of the file after those of the project that it extends.
fn gather(page: &mut Page<'_>, text: &str, depth: usize, seen: &mut BTreeSet<PathBuf>, top: &mut Vec<Entry>) {
    let Some(root) = page.tree(text) else { return };
    let Some(entries) = page.map("the file", &root) else { return };
    seen.insert(page.file.clone());
    for (key, node) in entries {
        if &*key.text != "extends" {
            continue;
        }
        let Some(base) = page.text("extends", node) else { continue };
        let base = page.path(base);
        if depth >= MAX_EXTENDS || seen.contains(&base) {
            page.error(node.at, "extends: the project extends itself", "name another file");
        } else if let Some(text) = page.read(node.at, "extends", &base) {
            let file = std::mem::replace(&mut page.file, base);
            gather(page, &text, depth + 1, seen, top);
            page.file = file;
        }
    }
    let file = page.file.clone();
    top.extend(entries.iter().map(|(key, node)| Entry {
        file: file.clone(),
        key: key.clone(),
        node: Arc::clone(node),
    }));
}

/// What must be known before the first value is read.
fn surroundings(page: &mut Page<'_>, top: &[Entry], filling: Filling) -> Project {
    let flag = |key: &str| {
        top.iter().rev().find(|entry| &*entry.key.text == key).is_some_and(
            |entry| matches!(&entry.node.shape, Shape::Scalar { text, .. } if text.eq_ignore_ascii_case("true")),
        )
    };
    let filling = if flag("disable_env_expansion") { Filling::Nobody } else { filling };
    let is_strict = flag("is_strict");
    let path = page.material.directory().join(".env");
    let mut known = page.material.environment.clone();
    let dot_env = page.material.files.read(&path).ok().map(|text| {
        for (name, value) in dotenv::read(&text, &BTreeMap::new()).variables {
            if let Assigned::Value(value) = value {
                known.insert(name, value);
            }
        }
        Told { value: EnvFile { path: path.clone(), required: false }, source: Place::START.in_file(&path) }
    });
    Project { filling, is_strict, known, vars: BTreeMap::new(), environment: BTreeMap::new(), shell: None, dot_env }
}

fn top_key(page: &mut Page<'_>, entry: &Entry, project: &mut Project, imported: &mut Imported, raws: &mut Vec<Raw>) {
    let Entry { key, node, file } = entry;
    match &*key.text {
        "name" => {
            if let Some(text) = page.text("name", node) {
                let name = project.expanded(page, "name", node.at, text);
                imported.project = Some(page.told(node.at, name));
            }
        }
        "processes" => {
            for (key, node) in page.map("processes", node).unwrap_or_default() {
                let name = page.told(key.at, key.text.to_string());
                let entries: Vec<Entry> = page
                    .map(&key.text, node)
                    .unwrap_or_default()
                    .iter()
                    .map(|(key, node)| Entry { file: file.clone(), key: key.clone(), node: Arc::clone(node) })
                    .collect();
                match raws.iter_mut().find(|raw| raw.name.value == name.value) {
                    Some(raw) => raw.entries.extend(entries),
                    None => raws.push(Raw { name, entries }),
                }
            }
        }
        "environment" => {
            let environment = variables(page, project, "environment", node, &BTreeMap::new());
            project.environment.extend(environment);
        }
        "vars" => project.vars.extend(vars(page, project, "vars", node)),
        "shell" => shell(page, project, node),
        "env_cmds" => {
            page.lost_unless_off(
                "env_cmds",
                node,
                "cas runs nothing to find a value: set the variables in environment",
            );
        }
        "ordered_shutdown" => {
            page.hint(node.at, "ordered_shutdown: cas always stops a service before what it depends on", "");
        }
        "mcp_server" | "log_location" | "log_configuration" | "log_length" | "log_level" | "log_format" => {
            page.lost_unless_off(&key.text, node, "cas keeps output itself: logs in cas.yaml says how much");
        }
        "version" | "is_strict" | "disable_env_expansion" | "extends" | "is_tui_disabled" => {}
        other if other.starts_with("x-") => {}
        other => page.unknown(if project.is_strict { Weight::Error } else { Weight::Hint }, other, key.at, KNOWN),
    }
}

fn shell(page: &mut Page<'_>, project: &mut Project, node: &Node) {
    let (mut command, mut argument) = (None, None);
    for (key, node) in page.map("shell", node).unwrap_or_default() {
        match &*key.text {
            "shell_command" => command = page.text("shell.shell_command", node).map(str::to_owned),
            "shell_argument" => argument = page.text("shell.shell_argument", node).map(str::to_owned),
            other => page.lost_value(&format!("shell.{other}"), node, ""),
        }
    }
    if let Some(command) = command {
        project.shell = Some((command, argument.unwrap_or_else(|| "-c".to_owned())));
    }
}

/// `vars`, values as text.
pub(super) fn vars(page: &mut Page<'_>, project: &Project, what: &str, node: &Node) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    for (key, node) in page.map(what, node).unwrap_or_default() {
        if let Some(text) = page.text(&format!("{what}.{}", key.text), node) {
            let text = project.expanded(page, what, node.at, text);
            vars.insert(key.text.to_string(), text);
        }
    }
    vars
}

/// `environment`: a list of `NAME=value`.
pub(super) fn variables(
    page: &mut Page<'_>,
    project: &Project,
    what: &str,
    node: &Node,
    vars: &BTreeMap<String, String>,
) -> BTreeMap<String, Told<Variable>> {
    let mut found = BTreeMap::new();
    if let Shape::Map(entries) = &node.shape {
        page.error(node.at, &format!("{what}: a map where a list is expected"), "process-compose reads - 'NAME=value'");
        for (key, node) in entries {
            if let Some(text) = page.text(what, node) {
                let text = project.filled(page, what, node.at, text, vars);
                found.insert(key.text.to_string(), page.told(key.at, Variable::Text(text)));
            }
        }
        return found;
    }
    for (at, text) in page.texts(what, node) {
        let text = project.filled(page, what, at, text, vars);
        match text.split_once('=') {
            Some((name, value)) => found.insert(name.to_owned(), page.told(at, Variable::Text(value.to_owned()))),
            None => found.insert(text, page.told(at, Variable::Inherited)),
        };
    }
    found
}

/// The entries of a process after those of the process that it extends.
fn inherited(page: &mut Page<'_>, raw: &Raw, raws: &[Raw], depth: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Some(extends) = raw.entries.iter().rev().find(|entry| &*entry.key.text == "extends") {
        page.file.clone_from(&extends.file);
        let what = format!("{}.extends", raw.name.value);
        if let Some(parent) = page.text(&what, &extends.node) {
            match raws.iter().find(|raw| raw.name.value == parent) {
                Some(_) if depth >= MAX_EXTENDS || parent == raw.name.value => {
                    page.error(extends.node.at, &format!("{what}: the process extends itself"), "name another process");
                }
                Some(parent) => entries.extend(inherited(page, parent, raws, depth + 1)),
                None => {
                    let hint = "name a process of this file";
                    page.error(extends.node.at, &format!("{what}: there is no process \"{}\"", brief(parent)), hint);
                }
            }
        }
    }
    entries.extend(raw.entries.iter().filter(|entry| &*entry.key.text != "extends").cloned());
    entries
}
