//! What is missing before a service that was found can start: its program, or what its package manager installs. Never: runs anything; more than a note.

use std::path::Path;

use super::{
    command::is_found,
    import::{Candidate, Told},
    problems::{Fault, Place},
    reader::Reader,
};
use crate::model::service::CommandLine;

/// Words that a shell knows by itself.
const BUILT_IN: [&str; 22] = [
    ".", ":", "[", "cd", "command", "echo", "eval", "exit", "export", "false", "for", "if", "printf", "set", "source",
    "test", "trap", "true", "ulimit", "umask", "until", "while",
];
/// Package managers of Node, and what each installs by.
const NODE: [(&str, &str); 4] =
    [("npm", "npm install"), ("pnpm", "pnpm install"), ("yarn", "yarn install"), ("bun", "bun install")];
/// Files of a directory, and how what they name is installed.
const INSTALLED_BY: [(&str, &str); 7] = [
    ("uv.lock", "uv sync"),
    ("poetry.lock", "poetry install"),
    ("Pipfile", "pipenv install"),
    ("requirements.txt", "pip install -r requirements.txt"),
    ("pyproject.toml", "pip install -e ."),
    ("Gemfile", "bundle install"),
    ("composer.json", "composer install"),
];

/// Notes what a service lacks.
pub(super) fn note(reader: &mut Reader<'_>, candidate: &Candidate, command: &Told<CommandLine>) {
    let root = reader.root.clone();
    let directory = candidate.working_dir.as_ref().map_or(root.as_path(), |told| told.value.as_path());
    let Some(words) = words(&command.value) else { return };
    let Some(program) = words.first() else { return };
    let name = &candidate.name.value;
    let lack = if is_found(reader, program, directory) {
        node(&root, directory, &words).map(|by| {
            (
                format!("{name}: what {} names is not installed", directory.join("package.json").display()),
                format!("run {by} in {}", directory.display()),
            )
        })
    } else {
        let by = installed_by(directory).map_or_else(String::new, |by| format!("; {by} may bring it"));
        Some((
            format!("{name}: there is no program \"{program}\" here yet"),
            format!("install what the project needs, in the environment in which cas is started{by}"),
        ))
    };
    let Some((message, hint)) = lack else { return };
    let at = Place { line: command.source.line, column: command.source.column };
    reader.problems.note_in(&command.source.file, Fault::new(at, message).hint(hint));
}

/// Program and arguments, where no more than one program is plain to see.
fn words(command: &CommandLine) -> Option<Vec<String>> {
    let words = match command {
        CommandLine::Argv(argv) => argv.clone(),
        CommandLine::Shell(line) => shlex::split(line)?,
    };
    let is_assignment = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    };
    let words: Vec<String> =
        words.into_iter().skip_while(|word| is_assignment(word) || word == "exec" || word == "env").collect();
    let is_plain = words.first().is_some_and(|program| {
        !BUILT_IN.contains(&program.as_str())
            && !program.contains(['$', '(', '{', '`', '|', '&', ';', '<', '>', '*', '!'])
    });
    is_plain.then_some(words)
}

fn installed_by(directory: &Path) -> Option<&'static str> {
    INSTALLED_BY.iter().find(|(file, _)| directory.join(file).is_file()).map(|(_, by)| *by)
}

/// How to install what a script of `package.json` needs, where that was never done.
fn node(root: &Path, directory: &Path, words: &[String]) -> Option<&'static str> {
    let (_, install) = NODE.iter().find(|(program, _)| words[0] == *program)?;
    let text = std::fs::read_to_string(directory.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    let needs = ["dependencies", "devDependencies"]
        .iter()
        .any(|key| package.get(key).and_then(|it| it.as_object()).is_some_and(|it| !it.is_empty()));
    // Yarn's plug'n'play has a file in place of the directory; workspaces have theirs at the root.
    let is_installed = directory
        .ancestors()
        .take_while(|it| it.starts_with(root))
        .any(|it| ["node_modules", ".pnp.cjs"].iter().any(|name| it.join(name).exists()));
    (needs && !is_installed).then_some(*install)
}
