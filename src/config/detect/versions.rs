//! Versions of Node and Python that two files disagree on.

use std::{path::Path, sync::LazyLock};

use regex::Regex;

use super::{
    super::import::{Note, Told, Weight},
    text::pattern,
    walk::Tree,
};

static PLAIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*v?(\d+(?:\.\d+)*)"));
static TOOL_NODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^node(?:js)?\s+v?(\d+(?:\.\d+)*)"));
static TOOL_PYTHON: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^python\s+(\d+(?:\.\d+)*)"));
static ENGINES: LazyLock<Regex> = LazyLock::new(|| pattern(r#""engines"\s*:\s*\{[^}]*"node"\s*:\s*"([^"]+)""#));
static REQUIRES: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^(?:requires-python|python)\s*=\s*"([^"]+)""#));
static PIPFILE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^python_version\s*=\s*"([^"]+)""#));
static BOUND: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*(>=|<=|<|>|\^|~=|~|==|=)?\s*v?(\d+)(?:\.(\d+|x|\*))?(?:\.(?:\d+|x|\*))*\s*$"));

pub(super) fn compare(tree: &Tree, notes: &mut Vec<Note>) {
    let root = tree.root.as_path();
    let said = |name: &str, says: &Regex| tree.read(&root.join(name)).and_then(|text| text.capture(says));
    let node = [
        said(".nvmrc", &PLAIN),
        said(".node-version", &PLAIN),
        said(".tool-versions", &TOOL_NODE),
        said("package.json", &ENGINES),
    ];
    differ("Node", &node, 1, notes);
    let python = [
        said(".python-version", &PLAIN),
        said(".tool-versions", &TOOL_PYTHON),
        said("Pipfile", &PIPFILE),
        said("pyproject.toml", &REQUIRES),
    ];
    differ("Python", &python, 2, notes);
}

/// The first that is said is compared with the others, by so many parts of the version.
fn differ(what: &str, said: &[Option<Told<String>>], parts: usize, notes: &mut Vec<Note>) {
    let mut said = said.iter().flatten();
    let Some(first) = said.next() else { return };
    for other in said {
        if allows(&other.value, &first.value, parts) {
            continue;
        }
        let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        notes.push(Note {
            weight: Weight::Hint,
            source: other.source.clone(),
            message: format!(
                "{} says {what} {}, and {} says {}",
                name(&other.source.file),
                other.value,
                name(&first.source.file),
                first.value
            ),
            hint: Some("let both say the same".to_owned()),
        });
    }
}

/// True where a range holds a version, or where it is not understood.
fn allows(range: &str, version: &str, parts: usize) -> bool {
    let numbers: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    let Some(&major) = numbers.first() else { return true };
    let own = (major, if parts > 1 { numbers.get(1).copied() } else { None });
    range.split("||").any(|alternative| {
        alternative.split(',').flat_map(spaced).all(|bound| {
            let Some(found) = BOUND.captures(&bound) else { return true };
            let Some(of) = found.get(2).and_then(|part| part.as_str().parse::<u32>().ok()) else { return true };
            let minor = found.get(3).and_then(|part| part.as_str().parse::<u32>().ok());
            let at = (of, if parts > 1 { minor } else { None });
            let same = own.0 == at.0 && (own.1.is_none() || at.1.is_none() || own.1 == at.1);
            let later = own.0 > at.0 || (own.0 == at.0 && own.1.unwrap_or(u32::MAX) >= at.1.unwrap_or(0));
            match found.get(1).map_or("", |sign| sign.as_str()) {
                ">=" | ">" => later,
                "<" => !later || (parts == 1 && minor.is_some_and(|minor| minor > 0) && same),
                "<=" => !later || same,
                "^" | "~=" => own.0 == at.0 && later,
                _ => same,
            }
        })
    })
}

/// `>=18 <21` as two bounds, `>= 18` as one.
fn spaced(text: &str) -> Vec<String> {
    let mut bounds: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match bounds.last_mut() {
            Some(last) if !last.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '*') => last.push_str(word),
            Some(_) | None => bounds.push(word.to_owned()),
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood_or_let_alone() {
        for (range, version, parts, holds) in [
            (">=18", "20.11.0", 1, true),
            (">= 18 <21", "22", 1, false),
            ("18.x || 20.x", "20", 1, true),
            ("^18.0.0", "20", 1, false),
            ("18", "18.19.1", 1, true),
            (">=3.11", "3.10.4", 2, false),
            (">=3.11,<4.0", "3.12", 2, true),
            ("^3.8", "3.12", 2, true),
            ("3.11", "3.12", 2, false),
            ("lts/*", "20", 1, true),
        ] {
            assert_eq!(allows(range, version, parts), holds, "{range} {version}");
        }
        assert!(PLAIN.is_match("v20") && TOOL_NODE.is_match("nodejs 20") && TOOL_PYTHON.is_match("python 3.1"));
        assert!(ENGINES.is_match(r#""engines": {"node": "20"}"#) && REQUIRES.is_match("requires-python = \">=3\""));
        assert!(PIPFILE.is_match("python_version = \"3.11\""));
    }
}
