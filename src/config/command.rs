//! What is executed. Promise: a line that only a shell would understand is refused with a hint, and so is a program that is not
//! there. Never: runs anything.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path};

use super::{
    draft::Edge,
    problems::Place,
    reader::{Fields, Reader},
    schema,
    tree::{Node, Shape},
};
use crate::model::service::{CommandLine, Condition};

/// Keys of compose that say which container to run.
const CONTAINER_KEYS: [&str; 2] = ["image", "build"];
/// Where programs are looked up when nothing says otherwise.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Where a command runs, as far as finding its program goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'s> {
    pub(crate) working_dir: &'s Path,
    pub(crate) environment: &'s BTreeMap<String, String>,
    /// Where its programs come from.
    pub(crate) programs: Programs,
}

/// Where a service's programs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    /// They are on this machine.
    Here,
    /// Another service that it waits for may build them.
    MayBeBuilt,
    /// They are in a container.
    InContainer,
}

impl Programs {
    /// Where the programs of a service with these keys come from.
    pub(crate) fn of(fields: &Fields<'_>, edges: &[Edge]) -> Self {
        let has = |key: &str| fields.get(key).is_some();
        if CONTAINER_KEYS.into_iter().any(has) {
            Self::InContainer
        } else if edges.iter().any(|edge| edge.dependency.condition == Condition::ServiceCompletedSuccessfully) {
            Self::MayBeBuilt
        } else {
            Self::Here
        }
    }
}

/// `command` or `shell` of a service; none after an error. `name` and `at` are the service's.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    (name, at): (&str, Place),
    surroundings: Surroundings<'_>,
) -> Option<CommandLine> {
    let given = (fields.get("command"), fields.get("shell"));
    match given {
        (Some(_), Some(shell)) => {
            reader.error(shell.at, "shell: there is a command, too", "keep one of the two");
            None
        }
        (Some(node), None) => {
            let argv = match &node.shape {
                Shape::Scalar { .. } => split(reader, node),
                Shape::List(_) => list(reader, "command", node),
                Shape::Map(_) => {
                    reader.wrong_form("command", node, "text or a list", "write command: program argument …");
                    None
                }
            }?;
            check_program(reader, "command", node.at, &argv, surroundings);
            Some(CommandLine::Argv(argv))
        }
        (None, Some(node)) => {
            let line = reader.text("shell", node)?;
            if line.trim().is_empty() {
                reader.error(node.at, "shell: the line is empty", "write what /bin/sh should run");
                return None;
            }
            Some(CommandLine::Shell(line))
        }
        (None, None) => {
            missing(reader, fields, name, at);
            None
        }
    }
}

fn missing(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str, at: Place) {
    if ["command", "shell"].into_iter().any(|key| fields.misspells(key, &schema::SERVICE)) {
        return;
    }
    reader.error(
        at,
        format!("{name}: it has no command"),
        "give it \"command: program argument …\", or \"shell: line\"; a container has image: or build:",
    );
}

/// A list of words, the first of which is not empty.
pub(crate) fn list(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<Vec<String>> {
    let argv = reader.texts(what, node)?;
    if argv.first().is_none_or(String::is_empty) {
        reader.error(node.at, format!("{what}: the list names no program"), "its first entry is the program");
        return None;
    }
    Some(argv)
}

/// A line as words; one that only a shell would understand is reported.
pub(crate) fn split(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let line = reader.text("command", node)?;
    if let Some(operator) = shell_operator(&line) {
        reader.error(
            node.at,
            format!("command: no shell sees \"{operator}\" in \"{line}\""),
            "write \"shell:\" instead of \"command:\", or quote it if it is meant as it is",
        );
        return None;
    }
    let Some(argv) = shlex::split(&line) else {
        reader.error(
            node.at,
            format!("command: \"{line}\" has a quote that is never closed"),
            "close it, or write the command as a list",
        );
        return None;
    };
    if argv.first().is_none_or(String::is_empty) {
        reader.error(node.at, "command: the line names no program", "write command: program argument …");
        return None;
    }
    Some(argv)
}

/// The first word outside of quotes that means something to a shell only.
fn shell_operator(line: &str) -> Option<String> {
    let bare = without_quoted(line);
    if let Some(found) = ["$(", "`"].into_iter().find(|found| bare.contains(found)) {
        return Some(found.to_owned());
    }
    bare.split_whitespace().find_map(|word| {
        let redirects = word.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(['>', '<']);
        let joins = matches!(word, "|" | "||" | "&&" | "&" | ";" | "|&") || word.contains("&&") || word.contains("||");
        let ends = word.len() > 1 && word.ends_with(';') && !word.ends_with("\\;");
        (redirects || joins).then(|| word.to_owned()).or_else(|| ends.then(|| ";".to_owned()))
    })
}

/// The line with everything that is quoted or escaped replaced by `x`.
fn without_quoted(line: &str) -> String {
    let mut quote = None;
    let mut escaped = false;
    line.chars()
        .map(|c| {
            let literal = quote.is_some() || escaped;
            match (quote, c) {
                _ if escaped => escaped = false,
                (None | Some('"'), '\\') => {
                    escaped = true;
                    return 'x';
                }
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), _) if open == c => quote = None,
                _ => return if literal { 'x' } else { c },
            }
            'x'
        })
        .collect()
}

/// Reports a program that cannot be executed.
pub(crate) fn check_program(
    reader: &mut Reader<'_>,
    what: &str,
    at: Place,
    argv: &[String],
    surroundings: Surroundings<'_>,
) {
    let Some(program) = argv.first() else { return };
    let path = surroundings.environment.get("PATH").cloned().or_else(|| reader.environment.get("PATH").cloned());
    let path = path.unwrap_or_else(|| SEARCH_PATH.to_owned());
    let has_slash = program.contains('/');
    let exists = exists(reader, program, surroundings.working_dir, path);
    if exists || surroundings.programs == Programs::InContainer {
        return;
    }
    if has_slash && surroundings.programs == Programs::MayBeBuilt {
        reader.note(
            at,
            format!("{what}: there is no program \"{program}\" yet"),
            "a service that it depends on may make it",
        );
        return;
    }
    reader.error(
        at,
        format!("{what}: there is no program \"{program}\""),
        program_hint(program, surroundings.working_dir),
    );
}

/// Whether a program can be executed from a directory, with the search path that cas was called with.
pub(super) fn is_found(reader: &mut Reader<'_>, program: &str, working_dir: &Path) -> bool {
    let path = reader.environment.get("PATH").cloned().unwrap_or_else(|| SEARCH_PATH.to_owned());
    exists(reader, program, working_dir, path)
}

fn exists(reader: &mut Reader<'_>, program: &str, working_dir: &Path, path: String) -> bool {
    let has_slash = program.contains('/');
    let scope = if has_slash { working_dir.display().to_string() } else { path };
    let key = (program.to_owned(), scope);
    let known = reader.programs.get(&key).copied();
    let exists = known.unwrap_or_else(|| {
        if has_slash {
            is_executable(&working_dir.join(program))
        } else {
            std::env::split_paths(&key.1).any(|directory| is_executable(&working_dir.join(directory).join(program)))
        }
    });
    reader.programs.insert(key, exists);
    exists
}

fn program_hint(program: &str, working_dir: &Path) -> String {
    if program.split_once('=').is_some_and(|(name, _)| !name.contains('/')) {
        return "variables go under \"environment:\"; or write \"shell:\" instead of \"command:\"".to_owned();
    }
    if !program.contains('/') {
        let beside = is_executable(&working_dir.join(program));
        return if beside {
            format!("did you mean \"./{program}\"? it is in the working directory, not in PATH")
        } else {
            "install it, or write its path; for what only a shell knows write \"shell:\"".to_owned()
        };
    }
    let path = working_dir.join(program);
    if path.is_file() {
        format!("it is a file and not executable: chmod +x {program}")
    } else {
        format!("looked in {}; a relative path begins there", working_dir.display())
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_act_on_is_an_operator() {
        for (line, operator) in [
            ("python -m http.server 8080", None),
            ("echo 'a | b' \"c && d\" e\\;", None),
            ("curl http://localhost/?a=1&b=2", None),
            ("find . -name '*.py' -exec rm {} \\;", None),
            ("a | b", Some("|")),
            ("a && b", Some("&&")),
            ("a&&b", Some("a&&b")),
            ("a || b", Some("||")),
            ("a; b", Some(";")),
            ("a > out", Some(">")),
            ("a 2>&1", Some("2>&1")),
            ("a >out", Some(">out")),
            ("a &", Some("&")),
            ("echo $(date)", Some("$(")),
            ("echo `date`", Some("`")),
        ] {
            assert_eq!(shell_operator(line).as_deref(), operator, "{line}");
        }
    }
}
