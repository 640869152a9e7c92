//! What another tool's file says, as the text of a `cas.yaml`. Promise: what is written is read back as the same services; each says where it was
//! taken from, and what could not be carried over stands beside it as a comment. Never: a value of a file of variables; only the file is named.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    attributes, foreign, found,
    import::{Candidate, Imported, Runtime, Told, Variable, Weight},
    init::{quoted, quoted_key},
    merge::{self, Tool, Whole},
};
use crate::model::{
    probe::{Check, Probe},
    schedule::Pace,
    service::{CommandLine, Dependency, RestartPolicy, Source},
};

/// The text, and how many services are in it.
pub(super) fn cas_yaml(root: &Path, imported: &Imported) -> (String, usize) {
    let mut text = String::from("# The project file of cas. Every key is described in docs/cas-yaml.md.\n\n");
    if let Some(name) = &imported.project {
        let _ = writeln!(text, "name: {}\n", scalar(&name.value));
    }
    text.push_str("services:\n");
    let runs = foreign::running(&imported.services);
    let mut count = 0;
    for candidate in &imported.services {
        match &candidate.runtime {
            Runtime::Process(command) => {
                let copies = foreign::copies(candidate).len();
                if copies > 0 {
                    let name = foreign::usable(&candidate.name.value);
                    service(&mut text, root, candidate, (&name, count == 0), &command.value, &runs);
                    count += copies;
                }
            }
            Runtime::Container(_) => {
                let place = place(root, &candidate.name.source);
                let _ = writeln!(
                    text,
                    "\n  # {} is a container ({place}); image: and the keys of docs/containers.md would run it from here",
                    flat(&candidate.name.value)
                );
            }
        }
    }
    let lost = imported.notes.iter().filter(|note| note.weight != Weight::Hint);
    for (index, note) in lost.enumerate() {
        if index == 0 {
            text.push_str("\n# What was not carried over:\n");
        }
        let _ = writeln!(text, "#   {}: {}", place(root, &note.source), flat(&note.message));
    }
    (text, count)
}

/// The services of a whole project with comments that say where each is told, how many run here, and the files that tell those.
pub(super) fn services(root: &Path, whole: &Whole) -> (String, usize, Vec<String>) {
    let candidates: Vec<Candidate> = whole.services.iter().map(|merged| merged.candidate.clone()).collect();
    let runs = foreign::running(&candidates);
    let (mut text, mut count) = (String::new(), 0);
    let mut files: Vec<String> = Vec::new();
    for merged in &whole.services {
        let candidate = &merged.candidate;
        let Runtime::Process(command) = &candidate.runtime else { continue };
        if !text.is_empty() {
            text.push('\n');
        }
        for (index, account) in merged.accounts.iter().enumerate().filter(|(index, _)| *index != merged.runs) {
            let also = if index < merged.runs { "named by" } else { "also told by" };
            let what = flat(&merge::what(root, &account.candidate));
            let _ = writeln!(text, "  # {also} {}: {what}", place(root, &account.candidate.name.source));
        }
        for conflict in &merged.conflicts {
            let merge::Conflict { key, taken, left } = conflict;
            let (taken_at, left_at) = (place(root, &taken.source), place(root, &left.source));
            let (taken, left) = (flat(&taken.value), flat(&left.value));
            let _ = writeln!(text, "  # {key}: {taken} ({taken_at}) is taken, {left} ({left_at}) is not");
        }
        if merged.accounts[merged.runs].tool == Tool::Code {
            let line = command.value.display();
            found::service(&mut text, root, candidate, &line);
            dependencies(&mut text, candidate, &runs);
            count += 1;
        } else {
            for (index, name) in foreign::copies(candidate).into_iter().enumerate() {
                service(&mut text, root, candidate, (&name, index == 0), &command.value, &runs);
                count += 1;
            }
        }
        for account in &merged.accounts {
            let file = found::shown(root, &account.candidate.name.source.file);
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    (text, count, files)
}

/// What a whole project has and is not written, as comments.
pub(super) fn aside(root: &Path, whole: &Whole) -> String {
    let line = |candidate: &Candidate| {
        let (name, what) = (flat(&candidate.name.value), flat(&merge::what(root, candidate)));
        format!("  #   {name}: {what}  ({})\n", place(root, &candidate.name.source))
    };
    let containers = whole.services.iter().map(|merged| &merged.candidate);
    let containers: String = containers.filter(|it| matches!(it.runtime, Runtime::Container(_))).map(&line).collect();
    let others: String = whole.aside.iter().map(|account| line(&account.candidate)).collect();
    let mut text = String::new();
    for (title, lines) in [
        ("Containers; image: and the keys of docs/containers.md would run them from here:", containers),
        ("Told as well, and left out:", others),
    ] {
        if !lines.is_empty() {
            let _ = write!(text, "\n  # {title}\n{lines}");
        }
    }
    text
}

// Writing to a String cannot fail, here and below.
fn service(
    text: &mut String,
    root: &Path,
    candidate: &Candidate,
    (name, is_first): (&str, bool),
    command: &CommandLine,
    runs: &foreign::Running,
) {
    if !is_first {
        text.push('\n');
    }
    let _ = writeln!(text, "  # from {}", place(root, &candidate.name.source));
    let _ = writeln!(text, "  {}:", quoted_key(name));
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "    {key}: {value}");
    };
    if let Some(Told { value, .. }) = &candidate.description {
        line("description", scalar(value));
    }
    match command {
        CommandLine::Shell(shell) => line("shell", scalar(shell)),
        CommandLine::Argv(argv) => line("command", list(argv)),
    }
    if let Some(Told { value, .. }) = &candidate.working_dir {
        line("working_dir", scalar(&relative(root, value)));
    }
    if !candidate.env_files.is_empty() {
        let files = candidate.env_files.iter().map(|told| {
            let path = string(&relative(root, &told.value.path));
            if told.value.required { path } else { format!("{{path: {path}, required: false}}") }
        });
        line("env_file", format!("[{}]", files.collect::<Vec<_>>().join(", ")));
    }
    variables(text, candidate);
    dependencies(text, candidate, runs);
    for (kind, Told { value, .. }) in &candidate.probes {
        let _ = writeln!(text, "    {}: {}", kind.label(), probe(value));
    }
    settings(text, candidate);
}

fn variables(text: &mut String, candidate: &Candidate) {
    if candidate.environment.is_empty() {
        return;
    }
    text.push_str("    environment:\n");
    for (name, told) in &candidate.environment {
        let name = string(name);
        let _ = match &told.value {
            Variable::Text(value) => writeln!(text, "      {name}: {}", string(value)),
            Variable::Inherited => writeln!(text, "      {name}:"),
        };
    }
}

fn dependencies(text: &mut String, candidate: &Candidate, runs: &foreign::Running) {
    let runs = |to: &String| runs.get(to).is_some_and(|copies| !copies.is_empty());
    let needed = candidate.depends_on.iter().filter(|(to, _)| runs(to));
    let edges: Vec<(String, &Dependency)> = needed.map(|(to, told)| (foreign::usable(to), &told.value)).collect();
    if edges.is_empty() {
        return;
    }
    text.push_str("    depends_on:\n");
    for (to, Dependency { condition, restart, required }) in edges {
        let mut value = format!("condition: {}", condition.label());
        if *restart {
            value += ", restart: true";
        }
        if !required {
            value += ", required: false";
        }
        let _ = writeln!(text, "      {}: {{{value}}}", quoted_key(&to));
    }
}

fn probe(probe: &Probe) -> String {
    let Probe { check, interval, timeout, retries, successes, start_period, heals, honest } = probe;
    let ask = match check {
        Check::Exec(CommandLine::Shell(shell)) => format!("exec: {}", string(shell)),
        Check::Exec(CommandLine::Argv(argv)) => format!("exec: {}", list(argv)),
        Check::Http { url, status: None } => format!("http: {}", string(url)),
        Check::Http { url, status: Some(status) } => format!("http: {{url: {}, status: {status}}}", string(url)),
        Check::Tcp { host, port } => format!("tcp: {}", string(&format!("{host}:{port}"))),
        Check::Log { pattern } => format!("log: {}", string(pattern)),
        // No importer brings one.
        Check::Server { protocol, target } => {
            format!("check: {}", string(&format!("{}://{}/{}", protocol.label(), target.place(), target.path)))
        }
        // Nobody writes it: it is what a container has that says nothing else.
        Check::Container => "exec: [\"true\"]".to_owned(),
    };
    let (interval, timeout, start_period) = (time(*interval), time(*timeout), time(*start_period));
    let heals = if *heals { ", heals: true" } else { "" };
    let honest = if *honest { "" } else { ", honest: false" };
    format!(
        "{{{ask}, interval: {interval}, timeout: {timeout}, retries: {retries}, successes: {successes}, start_period: {start_period}{heals}{honest}}}"
    )
}

fn settings(text: &mut String, candidate: &Candidate) {
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "    {key}: {value}");
    };
    if let Some(Told { value, .. }) = &candidate.ready_log_line {
        line("ready_log_line", string(value));
    }
    match foreign::restart(candidate) {
        Some(RestartPolicy::OnFailure { max_retries: Some(most) }) => line("restart", format!("on-failure:{most}")),
        Some(policy) => line("restart", string(policy.label())),
        None => {}
    }
    if let Some(Told { value, .. }) = &candidate.restart_delay {
        line("backoff", format!("{{base: {0}, factor: 1, ceiling: {0}}}", time(*value)));
    }
    if let Some(Told { value, .. }) = &candidate.stop_signal {
        line("stop_signal", value.name().to_owned());
    }
    if let Some(Told { value, .. }) = &candidate.stop_grace {
        line("stop_grace_period", time(*value));
    }
    if let Some(ports) = ports(candidate) {
        line("ports", ports);
    }
    let pace = foreign::pace(candidate);
    if let Some(Told { value, .. }) = candidate.autostart.as_ref().filter(|_| pace.is_none()) {
        line("autostart", value.to_string());
    }
    if let Some(Told { value, .. }) = candidate.user.as_ref().filter(|it| attributes::hindrance(&it.value).is_none()) {
        line("user", string(value));
    }
    if !candidate.profiles.is_empty() {
        let names: Vec<String> = candidate.profiles.iter().map(|told| told.value.clone()).collect();
        line("profiles", list(&names));
    }
    if candidate.replicas.is_some() {
        line("replicas", foreign::copy_count(candidate).to_string());
    }
    match pace {
        Some(Pace::Cron(fields)) => line("schedule", string(&fields)),
        Some(Pace::Every(pause)) => line("schedule", string(&format!("every {}", humantime::format_duration(pause)))),
        None => {}
    }
    if candidate.tty.as_ref().is_some_and(|told| told.value) {
        line("tty", "true".to_owned());
    }
    if let Some(Told { value, .. }) = &candidate.bounds.cpus {
        line("cpus", value.to_string());
    }
    if let Some(Told { value, .. }) = &candidate.bounds.memory_bytes {
        line("mem_limit", value.to_string());
    }
    if let Some(Told { value, .. }) = &candidate.bounds.pids {
        line("pids_limit", value.to_string());
    }
}

/// Its ports, those of a range as one.
fn ports(candidate: &Candidate) -> Option<String> {
    let ports = foreign::ports(candidate);
    let ranges = ports.chunk_by(|(one, at), (next, place)| at == place && one.checked_add(1) == Some(*next));
    let written = ranges.filter_map(|range| match range {
        [] => None,
        [(port, _)] => Some(port.to_string()),
        [(first, _), .., (last, _)] => Some(string(&format!("{first}-{last}"))),
    });
    let written: Vec<String> = written.collect();
    (!written.is_empty()).then(|| format!("[{}]", written.join(", ")))
}

/// Below the root as seen from it, others as they are.
fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).map_or_else(|_| path.to_owned(), Path::to_owned);
    if below.as_os_str().is_empty() { ".".to_owned() } else { below.display().to_string() }
}

fn time(duration: Duration) -> String {
    string(&humantime::format_duration(duration).to_string())
}

/// In block context.
fn scalar(text: &str) -> String {
    quoted(&text.replace('$', "$$"))
}

/// In any context.
fn string(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| string(item)).collect::<Vec<_>>().join(", "))
}

fn place(root: &Path, source: &Source) -> String {
    let file: PathBuf = source.file.strip_prefix(root).map_or_else(|_| source.file.clone(), Path::to_owned);
    flat(&format!("{}:{}", file.display(), source.line))
}

/// On one line, and nothing that YAML refuses even in a comment.
fn flat(text: &str) -> String {
    found::comment(text)
}
