//! What detection found, as the text of a `cas.yaml`. Promise: it can be loaded; each service says where it was taken from.

use std::{fmt::Write as _, path::Path};

use super::{
    detect::Detected,
    import::{Candidate, Role, Runtime, Told},
    init::{quoted, quoted_key},
};
use crate::model::{
    probe::{Check, ProbeKind},
    service::Source,
};

// Writing to a String cannot fail.
pub(super) fn service(text: &mut String, root: &Path, candidate: &Candidate, line: &str) {
    let what = candidate.description.as_ref().map_or("", |what| what.value.as_str());
    let source = match &candidate.runtime {
        Runtime::Process(command) => &command.source,
        Runtime::Container(_) => &candidate.name.source,
    };
    let _ = writeln!(text, "  # {}, from {}", comment(what), place(root, source));
    let _ = writeln!(text, "  {}:\n    shell: {}", quoted_key(&candidate.name.value), quoted(&line.replace('$', "$$")));
    if let Some(directory) = candidate.working_dir.as_ref().and_then(|d| d.value.strip_prefix(root).ok())
        && !directory.as_os_str().is_empty()
    {
        let _ = writeln!(text, "    working_dir: {}", quoted(&directory.display().to_string().replace('$', "$$")));
    }
    for Told { value, source } in &candidate.ports {
        let _ = writeln!(text, "    ports: [{}]  # from {}", value.target, place(root, source));
    }
    if let Some(probe) = candidate.probes.get(&ProbeKind::Readiness) {
        match &probe.value.check {
            Check::Http { url, .. } => {
                let _ = writeln!(text, "    readiness: {{http: {}}}", quoted_in_flow(url));
            }
            Check::Tcp { port, .. } => {
                let _ = writeln!(text, "    readiness: {{tcp: {port}}}");
            }
            Check::Exec(_) | Check::Log { .. } | Check::Server { .. } | Check::Container => {}
        }
    }
}

fn quoted_in_flow(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

/// Tasks, needs and notes, all as comments.
pub(super) fn notes(root: &Path, detected: &Detected) -> String {
    let mut text = String::new();
    let tasks: Vec<_> = detected.candidates.iter().filter(|candidate| candidate.role == Role::Task).collect();
    section(
        &mut text,
        "What ends by itself, and is no service:",
        tasks.iter().filter_map(|task| {
            let Runtime::Process(command) = &task.runtime else { return None };
            Some(format!("{}  ({})", command.value.display(), place(root, &command.source)))
        }),
    );
    section(
        &mut text,
        "What the code expects to be there:",
        detected.needs.iter().map(|need| {
            let at = need.endpoint.as_ref().map_or_else(String::new, |endpoint| format!(" at {endpoint}"));
            let from = need.sources.first().map_or_else(String::new, |source| format!("  ({})", place(root, source)));
            format!("{}: {}{at}{from}", need.variable, need.kind.label())
        }),
    );
    section(
        &mut text,
        "Worth a look:",
        detected.notes.iter().map(|note| format!("{}: {}", place(root, &note.source), note.message)),
    );
    text
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    const MOST: usize = 40;
    for (index, line) in lines.take(MOST).enumerate() {
        if index == 0 {
            let _ = write!(text, "\n  # {title}\n");
        }
        let _ = writeln!(text, "  #   {}", comment(&line));
    }
}

fn place(root: &Path, source: &Source) -> String {
    comment(&format!("{}:{}", shown(root, &source.file), source.line))
}

pub(super) fn shown(root: &Path, file: &Path) -> String {
    comment(&file.strip_prefix(root).unwrap_or(file).display().to_string())
}

/// On one line, and nothing that YAML refuses even in a comment.
pub(super) fn comment(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') { ' ' } else { c })
        .collect()
}
