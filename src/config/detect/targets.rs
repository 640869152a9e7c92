//! Targets of Makefiles, justfiles and Taskfiles that are named as services are. Where the code beside them told services, they are left out:
//! they would only start the same again.

use std::{path::Path, sync::LazyLock};

use regex::Regex;

use super::{
    super::import::{Role, Told},
    Finds, Service,
    text::{Text, pattern, port_of_command},
    walk::Tree,
};

/// Those that stay up; of the first six, which mostly are the whole, one is enough.
const WHOLE: [&str; 6] = ["dev", "serve", "server", "run", "start", "watch"];
const PARTS: [&str; 8] = ["web", "api", "worker", "frontend", "backend", "scheduler", "run-server", "run-worker"];

static MAKE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^([A-Za-z][\w-]*)\s*:(?:[^=\n]|$)"));
static JUST: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^@?([A-Za-z][\w-]*)(?:\s+[*+]?\w+\s*=\s*\S+)*\s*:(?:[^=\n]|$)"));
static TASK: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^  ["']?([A-Za-z][\w:-]*)["']?:\s*(?:#.*)?$"#));

pub(super) fn look(tree: &Tree, directory: &Path, has_services: bool, finds: &mut Finds) {
    if has_services {
        return;
    }
    let makes: [(&str, &str, &Regex); 7] = [
        ("Makefile", "make", &MAKE),
        ("GNUmakefile", "make", &MAKE),
        ("makefile", "make", &MAKE),
        ("justfile", "just", &JUST),
        ("Justfile", "just", &JUST),
        ("Taskfile.yml", "task", &TASK),
        ("Taskfile.yaml", "task", &TASK),
    ];
    for (name, program, says) in makes {
        let Some(text) = tree.read(&directory.join(name)) else { continue };
        if of_file(&text, program, says, directory, finds) {
            return;
        }
    }
}

fn of_file(text: &Text, program: &str, says: &Regex, directory: &Path, finds: &mut Finds) -> bool {
    let targets: Vec<(&str, usize)> = says
        .captures_iter(text.as_str())
        .filter_map(|found| found.get(1))
        .map(|found| (found.as_str(), found.start()))
        .collect();
    // What a Makefile of documentation calls `web` makes pages and serves none.
    let is_of_docs = directory.file_name().is_some_and(|name| name == "docs" || name == "doc");
    let stays_up = |(_, offset): &(&str, usize)| !is_build(body(&text.as_str()[*offset..]));
    let named = |wanted: &str| targets.iter().find(|(target, _)| *target == wanted).copied().filter(stays_up);
    let parts: Vec<_> = PARTS.iter().filter(|_| !is_of_docs).filter_map(|part| named(part)).collect();
    let whole = WHOLE.iter().find_map(|whole| named(whole));
    // A `dev` beside `api` and `worker` starts them together.
    let chosen = if parts.len() > 1 { parts } else { whole.into_iter().chain(parts).collect() };
    for (target, offset) in &chosen {
        let body = body(&text.as_str()[*offset..]);
        let source = text.at(*offset);
        let service = Service {
            name: target,
            command: format!("{program} {target}"),
            directory: directory.to_owned(),
            port: body.lines().find_map(port_of_command).map(|value| Told { value, source: source.clone() }),
            source,
            what: format!("a target of {program}"),
            path: None,
            role: Role::Service,
        };
        finds.candidates.push(service.candidate());
    }
    !chosen.is_empty()
}

/// True where all that its lines do is build.
fn is_build(body: &str) -> bool {
    let mut lines = body.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let has_build = |line: &str| line.split_whitespace().any(|word| word == "build" || word == "$(SPHINXBUILD)");
    let more = ["run", "serve", "start", "dev", "watch", "up", "exec", "&&", "--watch", "server"];
    let does_more = |line: &str| line.split_whitespace().any(|word| more.contains(&word));
    let mut has_any = false;
    lines.all(|line| {
        has_any = true;
        has_build(line) && !does_more(line)
    }) && has_any
}

/// The lines of a target, up to the next one.
fn body(text: &str) -> &str {
    let mut end = text.find('\n').map_or(text.len(), |end| end + 1);
    for line in text[end..].split_inclusive('\n') {
        if !line.trim().is_empty() && !line.starts_with([' ', '\t']) {
            break;
        }
        end += line.len();
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_patterns_compile() {
        let of = |says: &Regex, text: &str| says.captures(text).map(|found| found[1].to_owned());
        assert_eq!(of(&MAKE, "X := 1\ndev: build\n").as_deref(), Some("dev"));
        assert_eq!(of(&JUST, "serve port=\"80\":\n").as_deref(), Some("serve"));
        assert!(
            is_build("web:\n\tdocker compose -f dev.yml build\n") && !is_build("web:\n\tgo build && ./web serve\n")
        );
        assert!(!is_build("web:\n"));
        assert_eq!(of(&TASK, "tasks:\n  dev:\n").as_deref(), Some("dev"));
    }
}
