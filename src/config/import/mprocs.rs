//! `mprocs.yaml`. Promise: `$select: os` as mprocs chooses on Linux. Never: reads the user's own settings of mprocs.

use std::sync::Arc;

use super::{
    Candidate, Imported, Material, Runtime, Told, Variable, Weight,
    page::{Page, brief},
};
use crate::{
    config::{
        problems::Place,
        tree::{Key, Node, Shape},
    },
    model::{
        service::{CommandLine, Condition, Dependency, RestartPolicy},
        signal::Signal,
    },
};

/// The system that `$select` asks for.
const SYSTEM: &str = "linux";
/// Keys of the file.
const KNOWN: &[&str] = &[
    "procs",
    "server",
    "proc_list_title",
    "proc_list_width",
    "on_init",
    "on_all_finished",
    "proc_log",
    "hide_keymap_window",
    "mouse_scroll_speed",
    "scrollback",
    "keymap_procs",
    "keymap_term",
    "keymap_copy",
];
/// Keys of a process.
const PROC: &[&str] = &[
    "shell",
    "cmd",
    "cwd",
    "env",
    "add_path",
    "autostart",
    "autorestart",
    "stop",
    "deps",
    "log",
    "mouse_scroll_speed",
    "scrollback",
];

/// Translates the file.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    let mut page = Page::new(material);
    let mut imported = Imported::default();
    if let Some(root) = page.tree(material.text) {
        let root = chosen(&mut page, "the file", &root);
        for (key, node) in root.as_deref().and_then(|root| page.map("the file", root)).unwrap_or_default() {
            match &*key.text {
                "procs" => {
                    let procs = chosen(&mut page, "procs", node);
                    for (key, node) in procs.as_deref().and_then(|node| page.map("procs", node)).unwrap_or_default() {
                        imported.services.extend(process(&mut page, key, node));
                    }
                }
                "on_init" | "on_all_finished" | "server" | "proc_log" => page.lost_unless_off(&key.text, node, ""),
                other if KNOWN.contains(&other) => {}
                other => page.unknown(Weight::Hint, other, key.at, KNOWN),
            }
        }
    }
    page.finish(imported)
}

/// What `$select: os` chooses; the node itself where it does not choose.
fn chosen(page: &mut Page<'_>, what: &str, node: &Arc<Node>) -> Option<Arc<Node>> {
    let mut node = Arc::clone(node);
    for _ in 0..16 {
        let Shape::Map(entries) = &node.shape else { return Some(node) };
        let Some((key, by)) = entries.first().filter(|(key, _)| &*key.text == "$select") else { return Some(node) };
        if page.text(what, by) != Some("os") {
            page.error(by.at, &format!("{what}: $select chooses by os alone"), "write $select: os");
            return None;
        }
        let found = [SYSTEM, "$else"].iter().find_map(|word| entries.iter().find(|(key, _)| *key.text == **word));
        let Some((_, found)) = found else {
            page.error(key.at, &format!("{what}: $select has neither {SYSTEM} nor $else"), "add $else");
            return None;
        };
        node = Arc::clone(found);
    }
    None
}

fn process(page: &mut Page<'_>, key: &Key, node: &Arc<Node>) -> Option<Candidate> {
    let name = key.text.to_string();
    let node = chosen(page, &name, node)?;
    let command = match &node.shape {
        Shape::Scalar { .. } if node.is_null() => return None,
        Shape::Scalar { text, .. } => page.told(node.at, CommandLine::Shell(text.to_string())),
        Shape::List(_) => {
            let words = words(page, &name, &node)?;
            page.told(node.at, CommandLine::Argv(words))
        }
        Shape::Map(_) => command(page, &name, &node)?,
    };
    let mut candidate = Candidate::new(page.told(key.at, name.clone()), Runtime::Process(command));
    if let Shape::Map(entries) = &node.shape {
        for (key, node) in entries {
            let what = format!("{name}.{}", key.text);
            if let Some(node) = chosen(page, &what, node) {
                setting(page, &what, key, &node, &mut candidate);
            }
        }
    }
    Some(candidate)
}

fn words(page: &mut Page<'_>, what: &str, node: &Node) -> Option<Vec<String>> {
    let words: Vec<String> = page.texts(what, node).into_iter().map(|(_, word)| word.to_owned()).collect();
    if words.first().is_none_or(String::is_empty) {
        page.error(node.at, &format!("{what}: the list names no program"), "write [program, argument]");
        return None;
    }
    Some(words)
}

fn command(page: &mut Page<'_>, name: &str, node: &Node) -> Option<Told<CommandLine>> {
    let Shape::Map(entries) = &node.shape else { return None };
    let of = |word: &str| entries.iter().find(|(key, _)| &*key.text == word);
    match (of("shell"), of("cmd")) {
        (Some((_, shell)), None) => {
            let shell = chosen(page, &format!("{name}.shell"), shell)?;
            let line = page.text(&format!("{name}.shell"), &shell)?;
            Some(page.told(shell.at, CommandLine::Shell(line.to_owned())))
        }
        (None, Some((_, cmd))) => {
            let cmd = chosen(page, &format!("{name}.cmd"), cmd)?;
            let what = format!("{name}.cmd");
            if let Shape::Scalar { .. } = cmd.shape {
                page.error(
                    cmd.at,
                    &format!("{what}: a single value where a list is expected"),
                    "write shell: for a line",
                );
                return None;
            }
            words(page, &what, &cmd).map(|words| page.told(cmd.at, CommandLine::Argv(words)))
        }
        (Some((key, _)), Some(_)) => {
            page.error(key.at, &format!("{name}: it has shell and cmd at once"), "keep one of them");
            None
        }
        (None, None) => {
            page.error(node.at, &format!("{name}: it has neither shell nor cmd"), "write shell: and the line to run");
            None
        }
    }
}

fn setting(page: &mut Page<'_>, what: &str, key: &Key, node: &Node, candidate: &mut Candidate) {
    match &*key.text {
        "shell" | "cmd" | "mouse_scroll_speed" | "scrollback" => {}
        "cwd" => {
            if let Some(text) = page.text(what, node) {
                candidate.working_dir = Some(page.told(node.at, path(page, text)));
            }
        }
        "env" => environment(page, what, node, candidate),
        "add_path" => add_path(page, what, node, candidate),
        "autostart" => candidate.autostart = page.truth(what, node).map(|on| page.told(node.at, on)),
        "autorestart" => {
            let policy = page.truth(what, node).map(|on| if on { RestartPolicy::Always } else { RestartPolicy::No });
            candidate.restart = policy.map(|policy| page.told(node.at, policy));
        }
        "stop" => candidate.stop_signal = stop(page, what, node).map(|signal| page.told(node.at, signal)),
        "deps" => {
            for (at, name) in page.texts(what, node) {
                let needs = Dependency { condition: Condition::ServiceStarted, restart: false, required: true };
                candidate.depends_on.insert(name.to_owned(), page.told(at, needs));
            }
        }
        "log" => page.lost_unless_off(what, node, "cas keeps output itself: logs in cas.yaml says how much"),
        _ => page.unknown(Weight::Hint, what, key.at, PROC),
    }
}

/// Relative to the file, with `<CONFIG_DIR>` or without.
fn path(page: &Page<'_>, text: &str) -> std::path::PathBuf {
    match text.strip_prefix("<CONFIG_DIR>") {
        Some(rest) => page.path(rest.trim_start_matches('/')),
        None => page.path(text),
    }
}

fn environment(page: &mut Page<'_>, what: &str, node: &Node, candidate: &mut Candidate) {
    for (key, node) in page.map(what, node).unwrap_or_default() {
        let what = format!("{what}.{}", key.text);
        let Some(node) = chosen(page, &what, node) else { continue };
        if node.is_null() {
            page.lost(
                key.at,
                &format!("{what}: the variable is not removed"),
                "cas only adds variables; write env -u in the line",
            );
        } else if let Some(text) = page.text(&what, &node) {
            candidate.environment.insert(key.text.to_string(), page.told(node.at, Variable::Text(text.to_owned())));
        }
    }
}

/// Directories after those of the `PATH` that `cas` was called with.
fn add_path(page: &mut Page<'_>, what: &str, node: &Node, candidate: &mut Candidate) {
    let mut all: Vec<String> = page.material.environment.get("PATH").cloned().into_iter().collect();
    all.extend(page.texts(what, node).into_iter().map(|(_, text)| path(page, text).display().to_string()));
    if !all.is_empty() {
        candidate.environment.insert("PATH".to_owned(), page.told(node.at, Variable::Text(all.join(":"))));
    }
}

fn stop(page: &mut Page<'_>, what: &str, node: &Node) -> Option<Signal> {
    match &node.shape {
        Shape::Scalar { text, .. } => match &**text {
            "SIGINT" => Some(Signal::Int),
            "SIGTERM" => Some(Signal::Term),
            "SIGKILL" | "hard-kill" => Some(Signal::Kill),
            other => {
                let message = format!("{what}: \"{}\" is no way to stop", brief(other));
                page.error(
                    node.at,
                    &message,
                    "one of: SIGINT, SIGTERM, SIGKILL, hard-kill, {send-keys: […]}, {cmd: …}",
                );
                None
            }
        },
        Shape::Map(entries) => match entries.iter().find(|(key, _)| matches!(&*key.text, "send-keys" | "cmd")) {
            Some((key, keys)) if &*key.text == "send-keys" => keys_as_signal(page, what, keys),
            Some((key, node)) => {
                page.lost_value(&format!("{what}.{}", key.text), node, "cas stops with a signal");
                None
            }
            None => no_stop(page, what, node.at),
        },
        Shape::List(_) => no_stop(page, what, node.at),
    }
}

fn no_stop(page: &mut Page<'_>, what: &str, at: Place) -> Option<Signal> {
    page.error(at, &format!("{what}: neither a signal nor send-keys nor cmd"), "write SIGTERM");
    None
}

/// What the keys of a stop send through a terminal, where it is a signal.
fn keys_as_signal(page: &mut Page<'_>, what: &str, keys: &Node) -> Option<Signal> {
    let words: Vec<String> = page.texts(what, keys).into_iter().map(|(_, key)| key.to_ascii_lowercase()).collect();
    let signal = match words.first().map(String::as_str) {
        Some("<c-c>") => Signal::Int,
        Some("<c-\\>") => Signal::Quit,
        _ => {
            page.lost(keys.at, &format!("{what}.send-keys is not carried over"), "cas stops with a signal");
            return None;
        }
    };
    if words.iter().any(|word| word != &words[0]) {
        page.lost(keys.at, &format!("{what}.send-keys: {signal} is sent for the first key, the others are not"), "");
    }
    Some(signal)
}
