//! The house keeps its shape: which room may use which, and what must never be in a room.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Room, the rooms that it may use, and words that must not be in it.
const ROOMS: &[(&str, &[&str], &[&str])] = &[
    ("model", &[], &["tokio::", "ratatui::", "std::fs", "std::net", "Instant::now", "SystemTime"]),
    ("insight", &["model"], &["tokio::", "ratatui::", "std::fs", "std::net", "Instant::now", "SystemTime"]),
    (
        "engine",
        &["model", "insight"],
        &["tokio::", "ratatui::", "std::fs", "std::net", "Instant::now", "SystemTime", "clock::now"],
    ),
    ("world", &["model"], &["ratatui::"]),
    ("config", &["model"], &["ratatui::", "tokio::"]),
    ("host", &["model", "engine", "world", "config", "insight"], &["ratatui::"]),
    ("api", &["model", "host", "insight"], &["ratatui::"]),
    ("cli", &["model", "host", "api", "config", "insight"], &["ratatui::"]),
    ("tui", &["model", "host", "api", "config", "insight"], &[]),
];

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Code without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Names that follow `crate::`, also those in a group: `use crate::{a::B, c}`.
fn rooms_used(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut word, mut at_start) = (0_i32, String::new(), true);
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => at_start = true,
                    c if c.is_alphanumeric() || c == '_' => {
                        if depth == 0 && at_start {
                            word.push(c);
                        }
                        continue;
                    }
                    c if c.is_whitespace() => continue,
                    _ => {
                        if depth == 0 {
                            at_start = false;
                        }
                    }
                }
                if !word.is_empty() {
                    used.push(std::mem::take(&mut word));
                }
            }
            if !word.is_empty() {
                used.push(word);
            }
        } else {
            used.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    used
}

#[test]
fn every_room_uses_only_the_rooms_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    let mut faults = Vec::new();
    for file in rust_files(&src) {
        let name = file.strip_prefix(&src).unwrap();
        let first = name.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let Some((room, allowed, never)) = ROOMS.iter().find(|(room, ..)| *room == first.trim_end_matches(".rs"))
        else {
            continue;
        };
        seen += 1;
        let code = code(&file);
        for used in rooms_used(&code) {
            let is_room = ROOMS.iter().any(|(other, ..)| *other == used);
            if is_room && used != *room && !allowed.contains(&used.as_str()) {
                faults.push(format!("src/{} uses {used}: the arrow {room} → {used} is not allowed", name.display()));
            }
        }
        for word in *never {
            if code.contains(word) {
                faults.push(format!("src/{} says {word}: {room} must not", name.display()));
            }
        }
    }
    assert!(seen > 40, "the test looked at {seen} files only: has the house moved?");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn rooms_in_groups_and_paths_are_found() {
    assert_eq!(
        rooms_used("use crate::{model::{a, b}, host};\nlet x = crate::world::now();"),
        ["model", "host", "world"]
    );
}

#[test]
fn the_source_tree_names_no_file_of_a_builders_machine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in rust_files(&root.join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&format!("\"{}", root.display())), "{} holds an absolute path", file.display());
    }
}

#[test]
fn every_test_that_the_page_of_faults_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let tests: String =
        rust_files(&root.join("tests/it")).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    let missing: Vec<_> =
        named.iter().filter(|name| !tests.contains(&format!("fn {}()", name.rsplit("::").next().unwrap()))).collect();
    assert!(named.len() >= 60, "only {} tests are named", named.len());
    assert!(missing.is_empty(), "docs/faults.md names tests that are not there: {missing:?}");
}
