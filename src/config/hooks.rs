//! Hooks of a service. Never: runs one.

use std::time::Duration;

use super::{
    command::{self, Surroundings},
    problems::Place,
    reader::{Fields, Reader},
    schema,
    tree::{Node, Shape},
};
use crate::model::{
    hooks::{HookCommand, HookKind, Hooks},
    service::CommandLine,
};

/// Shortest timeout.
const SHORTEST: Duration = Duration::from_millis(100);

/// All hooks of a service.
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, surroundings: Surroundings<'_>) -> Hooks {
    let mut hook = |kind: HookKind| {
        fields.get(kind.label()).map(|node| commands(reader, kind, node, surroundings)).unwrap_or_default()
    };
    Hooks {
        pre_start: hook(HookKind::PreStart),
        post_start: hook(HookKind::PostStart),
        pre_stop: hook(HookKind::PreStop),
        on_failure: hook(HookKind::OnFailure),
    }
}

/// One command, or several: a list of texts is the words of one.
fn commands(reader: &mut Reader<'_>, kind: HookKind, node: &Node, surroundings: Surroundings<'_>) -> Vec<HookCommand> {
    match &node.shape {
        Shape::List(items) if items.is_empty() => {
            let message = format!("{}: the list is empty", kind.label());
            reader.error(node.at, message, "write a shell line, or remove the key");
            Vec::new()
        }
        Shape::List(items) if items.iter().any(|item| !matches!(item.shape, Shape::Scalar { .. })) => {
            items.iter().filter_map(|item| command(reader, kind, item, surroundings)).collect()
        }
        Shape::List(_) | Shape::Scalar { .. } | Shape::Map(_) => {
            command(reader, kind, node, surroundings).into_iter().collect()
        }
    }
}

fn command(
    reader: &mut Reader<'_>,
    kind: HookKind,
    node: &Node,
    surroundings: Surroundings<'_>,
) -> Option<HookCommand> {
    let what = kind.label();
    let timeout = kind.default_timeout();
    match &node.shape {
        Shape::Scalar { .. } => Some(HookCommand { command: line(reader, what, node)?, timeout }),
        Shape::List(_) => Some(HookCommand { command: words(reader, what, node, surroundings)?, timeout }),
        Shape::Map(_) => {
            let fields = reader.fields(what, node, &schema::HOOK)?;
            let timeout = match fields.get("timeout") {
                Some(node) => reader.duration("timeout", node, SHORTEST),
                None => Some(timeout),
            };
            let command = match (fields.get("command"), fields.get("shell")) {
                (Some(node), None) => match &node.shape {
                    Shape::Scalar { .. } => {
                        let argv = command::split(reader, node)?;
                        command::check_program(reader, what, node.at, &argv, surroundings);
                        CommandLine::Argv(argv)
                    }
                    Shape::List(_) | Shape::Map(_) => words(reader, what, node, surroundings)?,
                },
                (None, Some(node)) => line(reader, what, node)?,
                (Some(_), Some(shell)) => {
                    reader.error(shell.at, format!("{what}: it has command and shell at once"), "keep one of the two");
                    return None;
                }
                (None, None) if ["command", "shell"].into_iter().any(|key| fields.misspells(key, &schema::HOOK)) => {
                    return None;
                }
                (None, None) => {
                    reader.error(
                        fields.at,
                        format!("{what}: it has no command"),
                        "write {shell: line, timeout: 30s}, or {command: [program, argument]}",
                    );
                    return None;
                }
            };
            Some(HookCommand { command, timeout: timeout? })
        }
    }
}

fn line(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<CommandLine> {
    let line = reader.text(what, node)?;
    if line.trim().is_empty() {
        reader.error(node.at, format!("{what}: the line is empty"), "write what /bin/sh should run");
        return None;
    }
    Some(CommandLine::Shell(line))
}

fn words(reader: &mut Reader<'_>, what: &str, node: &Node, surroundings: Surroundings<'_>) -> Option<CommandLine> {
    let argv = command::list(reader, what, node)?;
    if !names_lines(reader, what, node.at, &argv) {
        command::check_program(reader, what, node.at, &argv, surroundings);
    }
    Some(CommandLine::Argv(argv))
}

/// Reports a list that was meant as several lines.
fn names_lines(reader: &mut Reader<'_>, what: &str, at: Place, argv: &[String]) -> bool {
    let Some(first) = argv.first().filter(|first| !first.contains('/') && first.contains(char::is_whitespace)) else {
        return false;
    };
    reader.error(
        at,
        format!("{what}: there is no program \"{first}\""),
        "a list of texts is the words of one command; for several write \"- shell: line\" for each",
    );
    true
}
