//! Problems as people read them: message, place, the line with a caret, hint. Never: a control character of the file's, and never
//! a line of an env file, which may be a secret.

use std::{
    collections::HashMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use unicode_width::UnicodeWidthStr;

use super::{FileKind, environment, problems::harmless};
use crate::model::{project::Problem, redact::Redactor, service::Source};

/// Widest piece of a line that is shown, in characters.
const WIDEST: usize = 100;

/// All problems, one after the other:
///
/// ```text
/// error: restart: "allways" is not a restart policy (cas.yaml:14:14)
///    14 |     restart: allways
///       |              ^
/// hint: did you mean "always"? one of: no, on-failure, on-failure:N, always, unless-stopped
/// ```
///
/// Paths below the current directory are shown relative to it. `colour` adds ANSI colours.
#[must_use]
pub fn render(problems: &[Problem], colour: bool) -> String {
    render_as("error", problems, colour)
}

/// The same under another word, such as `note`.
#[must_use]
pub fn render_as(word: &str, problems: &[Problem], colour: bool) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let mut files: HashMap<PathBuf, Option<String>> = HashMap::new();
    let mut out = String::new();
    for problem in problems {
        // Writing to a String cannot fail.
        let _ = one(&mut out, word, problem, colour, &here, &mut files);
    }
    out
}

fn one(
    out: &mut String,
    word: &str,
    problem: &Problem,
    colour: bool,
    here: &Path,
    files: &mut HashMap<PathBuf, Option<String>>,
) -> std::fmt::Result {
    let paint = |code: &str, text: &str| {
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    };
    let word_colour = if word == "error" { "1;31" } else { "1;33" };
    write!(out, "{} {}", paint(word_colour, &format!("{word}:")), paint("1", &harmless(&problem.message)))?;
    match &problem.source {
        Some(source) => {
            let file = source.file.strip_prefix(here).unwrap_or(&source.file);
            writeln!(out, " ({}:{}:{})", harmless(&file.to_string_lossy()), source.line, source.column)?;
            if let Some((line, caret)) = excerpt(source, files) {
                let number = source.line.to_string();
                let bar = paint("2", &format!("{number:>5} |"));
                let blank = paint("2", "      |");
                writeln!(out, "{bar} {line}\n{blank} {}{}", " ".repeat(caret), paint(word_colour, "^"))?;
            }
        }
        None => writeln!(out)?,
    }
    match &problem.hint {
        Some(hint) => writeln!(out, "{} {}", paint("1;36", "hint:"), harmless(hint)),
        None => Ok(()),
    }
}

/// The line, made harmless, and the column of the caret below it, from 0.
fn excerpt(source: &Source, files: &mut HashMap<PathBuf, Option<String>>) -> Option<(String, usize)> {
    let text = files
        .entry(source.file.clone())
        .or_insert_with_key(|file| if may_be_shown(file) { environment::read_text(file).ok() } else { None });
    let text = text.as_deref()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.lines().nth(usize::try_from(source.line).ok()?.checked_sub(1)?)?;
    let before = usize::try_from(source.column).ok()?.saturating_sub(1);
    // A long line is cut so that the place stays in sight.
    let skipped = before.saturating_sub(WIDEST * 3 / 4);
    let cut = |text: String| text.chars().take(WIDEST).collect::<String>();
    let line = Redactor::default().text(line).into_owned();
    let shown: String = line.chars().skip(skipped).collect();
    let lead: String = line.chars().skip(skipped).take(before - skipped).collect();
    Some((cut(harmless(&shown)), harmless(&lead).width()))
}

fn may_be_shown(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    FileKind::of(file) != FileKind::CasYaml || matches!(extension, "yaml" | "yml" | "json")
}
