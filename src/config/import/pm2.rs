//! `ecosystem.config.{js,cjs,json,yml}` and `process.json` of pm2. Promise: the literal part of JavaScript is read as node would.
//! Never: runs node; who does, hands what it printed to [`import_json`].

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    Candidate, Imported, Material, Runtime, Told, Variable, Weight,
    page::{Page, brief, is_off},
    pm2_javascript::{exported, without_comments},
};
use crate::{
    config::{
        problems::Place,
        tree::{Key, Node, Shape},
    },
    model::service::{CommandLine, RestartPolicy},
};

/// Keys of an application that are carried over.
const CARRIED: &[&str] = &[
    "name",
    "script",
    "args",
    "interpreter",
    "exec_interpreter",
    "interpreter_args",
    "node_args",
    "cwd",
    "instances",
    "env",
    "autorestart",
    "restart_delay",
    "max_restarts",
    "kill_timeout",
    "cron_restart",
    "max_memory_restart",
    "uid",
    "user",
];
/// Keys of an application that `cas` has no word for.
const LOST: &[&str] = &[
    "exec_mode",
    "watch",
    "ignore_watch",
    "watch_delay",
    "watch_options",
    "exp_backoff_restart_delay",
    "min_uptime",
    "wait_ready",
    "listen_timeout",
    "shutdown_with_message",
    "stop_exit_codes",
    "gid",
    "instance_var",
    "increment_var",
    "filter_env",
    "namespace",
    "treekill",
    "post_update",
    "force",
    "source_map_support",
    "disable_source_map_support",
    "vizion",
    "pmx",
    "automation",
    "trace",
    "deep_monitoring",
    "append_env_to_name",
    "log",
    "log_file",
    "out_file",
    "output",
    "error_file",
    "error",
    "out_log_file",
    "err_file",
    "err_log_file",
    "pid_file",
    "pid",
    "merge_logs",
    "combine_logs",
    "log_date_format",
    "log_type",
    "disable_logs",
    "time",
    "port",
];
/// How keys are written otherwise.
const OTHERWISE: &[(&str, &str)] = &[
    ("exec", "script"),
    ("env_file", "env_file"),
    ("maxMemoryRestart", "max_memory_restart"),
    ("maxRestarts", "max_restarts"),
    ("minUptime", "min_uptime"),
    ("killTimeout", "kill_timeout"),
    ("restartDelay", "restart_delay"),
    ("cronRestart", "cron_restart"),
    ("cron", "cron_restart"),
    ("interpreterArgs", "interpreter_args"),
    ("nodeArgs", "node_args"),
    ("execMode", "exec_mode"),
    ("errorFile", "error_file"),
    ("outFile", "out_file"),
    ("mergeLogs", "merge_logs"),
    ("logDateFormat", "log_date_format"),
    ("ignoreWatch", "ignore_watch"),
    ("waitReady", "wait_ready"),
    ("listenTimeout", "listen_timeout"),
];
/// Interpreter by the end of the script's name (pm2's `lib/API/interpreter.json`).
const INTERPRETERS: &[(&str, &str)] = &[
    (".sh", "bash"),
    (".py", "python3"),
    (".rb", "ruby"),
    (".php", "php"),
    (".pl", "perl"),
    (".js", "node"),
    (".cjs", "node"),
    (".mjs", "node"),
    (".ts", "bun"),
    (".tsx", "bun"),
];

/// Translates the file.
#[must_use]
pub fn import(material: &Material<'_>) -> Imported {
    let is_javascript = material.file.extension().is_some_and(|end| end == "js" || end == "cjs" || end == "mjs");
    let mut page = Page::new(material);
    let root = if is_javascript {
        match exported(material.text, &material.directory().display().to_string(), material.environment) {
            Ok(root) => Some(root),
            Err(why) => {
                let message = format!("{} can be read by node alone", why.what);
                page.error(
                    why.at,
                    &message,
                    "cas reads what is literal: texts, numbers, process.env.NAME || 'default'; \"cas import --evaluate\" runs the file with node",
                );
                None
            }
        }
    } else {
        page.tree(&without_comments(material.text))
    };
    read(page, root)
}

/// True where the file is read without node.
pub(crate) fn is_literal(material: &Material<'_>) -> bool {
    exported(material.text, &material.directory().display().to_string(), material.environment).is_ok()
}

/// Translates what node printed of a file's exports; every place is the file's beginning.
#[must_use]
pub fn import_json(material: &Material<'_>, json_text: &str) -> Imported {
    let mut page = Page::new(material);
    let root = page.tree(&without_comments(json_text));
    let mut imported = read(page, root);
    let start = Place::START.in_file(material.file);
    for note in &mut imported.notes {
        note.source.clone_from(&start);
    }
    for service in &mut imported.services {
        relocate(service, &start);
    }
    imported
}

fn relocate(service: &mut Candidate, start: &crate::model::service::Source) {
    fn put<T>(told: Option<&mut Told<T>>, start: &crate::model::service::Source) {
        if let Some(told) = told {
            told.source.clone_from(start);
        }
    }
    put(Some(&mut service.name), start);
    if let Runtime::Process(command) = &mut service.runtime {
        put(Some(command), start);
    }
    for variable in service.environment.values_mut() {
        put(Some(variable), start);
    }
    put(service.working_dir.as_mut(), start);
    put(service.restart.as_mut(), start);
    put(service.restart_delay.as_mut(), start);
    put(service.stop_grace.as_mut(), start);
    put(service.bounds.memory_bytes.as_mut(), start);
    put(service.replicas.as_mut(), start);
    put(service.user.as_mut(), start);
}

fn read(mut page: Page<'_>, root: Option<Arc<Node>>) -> Imported {
    let mut imported = Imported::default();
    let Some(root) = root else { return page.finish(imported) };
    let apps: Vec<Arc<Node>> = match &root.shape {
        Shape::List(items) => items.clone(),
        Shape::Map(entries) => {
            let apps = entries.iter().find(|(key, _)| matches!(&*key.text, "apps" | "pm2"));
            for (key, _) in entries {
                match &*key.text {
                    "apps" | "pm2" => {}
                    "deploy" => page.lost(key.at, "deploy is not carried over", "cas does not deploy"),
                    _ if apps.is_none() => {}
                    other => page.unknown(Weight::Hint, other, key.at, &["apps", "deploy"]),
                }
            }
            match apps.map(|(_, node)| node) {
                Some(node) if matches!(node.shape, Shape::List(_)) => match &node.shape {
                    Shape::List(items) => items.clone(),
                    Shape::Map(_) | Shape::Scalar { .. } => Vec::new(),
                },
                Some(node) => vec![Arc::clone(node)],
                None => vec![Arc::clone(&root)],
            }
        }
        Shape::Scalar { .. } => {
            page.error(root.at, "the file has no applications", "write apps: and a list of them");
            Vec::new()
        }
    };
    for (index, app) in apps.iter().enumerate() {
        imported.services.extend(application(&mut page, index, app));
    }
    page.finish(imported)
}

/// What makes up the command.
#[derive(Default)]
struct Parts {
    script: Option<(Place, String)>,
    args: Vec<String>,
    interpreter: Option<String>,
    interpreter_args: Vec<String>,
}

fn application(page: &mut Page<'_>, index: usize, app: &Node) -> Option<Candidate> {
    let entries = page.map(&format!("apps[{index}]"), app)?;
    let named = entries
        .iter()
        .find(|(key, _)| &*key.text == "name")
        .and_then(|(_, node)| Some((node.at, page.text("name", node)?)));
    let script = entries.iter().find(|(key, _)| matches!(&*key.text, "script" | "exec"));
    let Some((_, script)) = script else {
        page.error(app.at, &format!("apps[{index}]: it has no script"), "write script: and the file to run");
        return None;
    };
    let stem = |script: &str| Path::new(script).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let (at, name) = match named {
        Some((at, name)) => (at, name.to_owned()),
        None => (script.at, stem(page.text("script", script)?)?),
    };
    let nothing = page.told(at, CommandLine::Shell(String::new()));
    let mut candidate = Candidate::new(page.told(at, name.clone()), Runtime::Process(nothing));
    // What pm2 does where the file does not say it.
    candidate.restart = Some(page.told(at, RestartPolicy::Always));
    let mut parts = Parts::default();
    for (key, node) in entries {
        setting(page, &name, key, node, &mut candidate, &mut parts);
    }
    let (at, argv) = command(page, &name, parts)?;
    candidate.runtime = Runtime::Process(page.told(at, argv));
    Some(candidate)
}

/// The words of `args`: a list, or a line as a shell splits it.
fn words(page: &mut Page<'_>, what: &str, node: &Node) -> Vec<String> {
    if let Shape::List(_) = node.shape {
        return page.texts(what, node).into_iter().map(|(_, word)| word.to_owned()).collect();
    }
    let Some(text) = page.text(what, node) else { return Vec::new() };
    shlex::split(text).unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect())
}

fn command(page: &mut Page<'_>, name: &str, parts: Parts) -> Option<(Place, CommandLine)> {
    let Some((at, script)) = parts.script.filter(|(_, script)| !script.trim().is_empty()) else {
        page.error(Place::START, &format!("{name}: its script is empty"), "name the file to run");
        return None;
    };
    let mut argv: Vec<String> = Vec::new();
    // pm2 itself splits "npm start": the first word is the script.
    let mut script_words: Vec<String> = script.split_whitespace().map(str::to_owned).collect();
    if script_words.iter().any(|word| matches!(word.as_str(), "&&" | "||" | "|" | ";")) {
        return Some((at, CommandLine::Shell(script)));
    }
    let first = script_words.remove(0);
    let by_end = INTERPRETERS.iter().find(|(end, _)| first.ends_with(end)).map(|(_, interpreter)| *interpreter);
    let interpreter = match parts.interpreter.as_deref() {
        Some("none" | "") => None,
        Some(other) => Some(other.to_owned()),
        None => by_end.map(str::to_owned),
    };
    argv.extend(interpreter);
    argv.extend(parts.interpreter_args);
    argv.push(first);
    argv.extend(script_words);
    argv.extend(parts.args);
    Some((at, CommandLine::Argv(argv)))
}

fn setting(page: &mut Page<'_>, name: &str, key: &Key, node: &Node, candidate: &mut Candidate, parts: &mut Parts) {
    let word = OTHERWISE.iter().find(|(other, _)| *other == &*key.text).map_or(&*key.text, |(_, word)| *word);
    let what = format!("{name}.{}", key.text);
    match word {
        "name" => {}
        "script" => parts.script = page.text(&what, node).map(|script| (node.at, script.to_owned())),
        "args" => parts.args = words(page, &what, node),
        "interpreter" | "exec_interpreter" => parts.interpreter = page.text(&what, node).map(str::to_owned),
        "interpreter_args" | "node_args" => parts.interpreter_args = words(page, &what, node),
        "cwd" => candidate.working_dir = page.text(&what, node).map(|text| page.told(node.at, page.path(text))),
        "env" => environment(page, &what, node, candidate),
        "instances" => instances(page, &what, node, candidate),
        "autorestart" => {
            if page.truth(&what, node) == Some(false) {
                candidate.restart = Some(page.told(node.at, RestartPolicy::No));
            }
        }
        "max_restarts" => {
            page.lost_value(&what, node, "pm2 counts restarts that follow at once; cas gives up on its own terms");
        }
        "restart_delay" => candidate.restart_delay = millis(page, &what, node).map(|delay| page.told(node.at, delay)),
        "kill_timeout" => candidate.stop_grace = millis(page, &what, node).map(|grace| page.told(node.at, grace)),
        "max_memory_restart" => memory(page, &what, node, candidate),
        "cron_restart" => {
            if !is_off(node) {
                page.lost_value(&what, node, "cas restarts no running service by the clock");
            }
        }
        "uid" | "user" => candidate.user = page.text(&what, node).map(|user| page.told(node.at, user.to_owned())),
        "exec_mode" => {
            if page.text(&what, node).is_some_and(|mode| mode.starts_with("cluster")) {
                page.lost_value(&what, node, "copies of cas do not share a port: the program must do it itself");
            }
        }
        env if env.starts_with("env_") && env != "env_file" => {
            page.lost_unless_off(&what, node, "cas takes env alone; pm2 takes this one with --env");
        }
        "log" | "log_file" | "out_file" | "output" | "error_file" | "error" | "out_log_file" | "err_file"
        | "err_log_file" => {
            page.lost_unless_off(&what, node, "cas keeps output itself: logs in cas.yaml says how much");
        }
        lost if LOST.contains(&lost) => page.lost_unless_off(&what, node, ""),
        _ => {
            let known: Vec<&str> = CARRIED.iter().chain(LOST).copied().collect();
            page.unknown(Weight::Hint, &what, key.at, &known);
        }
    }
}

fn environment(page: &mut Page<'_>, what: &str, node: &Node, candidate: &mut Candidate) {
    for (key, node) in page.map(what, node).unwrap_or_default() {
        let what = format!("{what}.{}", key.text);
        let text = match &node.shape {
            Shape::Scalar { text, .. } if !node.is_null() => text.to_string(),
            Shape::Scalar { .. } => continue,
            Shape::List(_) | Shape::Map(_) => {
                page.lost(node.at, &format!("{what}: {} is not carried over", node.describe()), "write it as a text");
                continue;
            }
        };
        candidate.environment.insert(key.text.to_string(), page.told(node.at, Variable::Text(text)));
    }
}

fn instances(page: &mut Page<'_>, what: &str, node: &Node, candidate: &mut Candidate) {
    let Some(text) = page.text(what, node) else { return };
    match text.parse::<i64>().ok().map(u32::try_from) {
        Some(Ok(0) | Err(_)) | None => {
            if text == "max" || text.parse::<i64>().is_ok() {
                page.lost_value(what, node, "cas does not count processors: write how many copies there are");
            } else {
                page.error(
                    node.at,
                    &format!("{what}: \"{}\" is not a number of copies", brief(text)),
                    "write a number",
                );
            }
        }
        Some(Ok(count)) => candidate.replicas = Some(page.told(node.at, count)),
    }
}

fn millis(page: &mut Page<'_>, what: &str, node: &Node) -> Option<Duration> {
    let text = page.text(what, node)?;
    // pm2 takes 3000 as milliseconds, and 3s, 2m, 1h.
    let span = text.trim().parse().ok().map(Duration::from_millis).or_else(|| humantime::parse_duration(text).ok());
    if span.is_none() {
        page.error(
            node.at,
            &format!("{what}: \"{}\" is not a number of milliseconds", brief(text)),
            "write 3000 or 3s",
        );
    }
    span
}

/// The memory at which pm2 restarts: what the service may have at most.
fn memory(page: &mut Page<'_>, what: &str, node: &Node, candidate: &mut Candidate) {
    let Some(text) = page.text(what, node) else { return };
    let text = text.trim().trim_end_matches(['b', 'B']);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => Some(0),
        "K" => Some(10_u32),
        "M" => Some(20),
        "G" => Some(30),
        _ => None,
    };
    let bytes = digits.parse::<u64>().ok().zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift));
    match bytes {
        Some(bytes) => {
            candidate.bounds.memory_bytes = Some(page.told(node.at, bytes));
            page.hint(node.at, &format!("{what}: it is a limit here; what exceeds it is ended and started again"), "");
        }
        None => {
            page.error(node.at, &format!("{what}: \"{}\" is not an amount of memory", brief(text)), "write 300M or 1G");
        }
    }
}
