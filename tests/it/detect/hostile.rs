//! Trees that are large, strange or broken.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use cas::config::detect::{Limits, detect};
use proptest::prelude::*;

#[test]
fn a_hundred_thousand_files_are_not_all_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::write(root.join("package.json"), r#"{"scripts": {"dev": "vite"}, "devDependencies": {"vite": "5"}}"#).unwrap();
    for (directory, files) in [("node_modules", 40_000), ("kept", 40_000), ("ignored", 20_000)] {
        for part in 0..files / 1000 {
            let part = root.join(directory).join(part.to_string());
            fs::create_dir_all(&part).unwrap();
            let first = part.join("first.js");
            fs::write(&first, "").unwrap();
            for file in 1..1000 {
                // A link costs no inode.
                fs::hard_link(&first, part.join(format!("{file}.js"))).unwrap();
            }
        }
    }
    fs::write(root.join(".gitignore"), "/ignored\n").unwrap();
    let limits = Limits { entries: 30_000, ..Limits::default() };
    let detected = detect(root, &limits);
    assert!(detected.visited <= limits.entries + 1, "{}", detected.visited);
    assert!(detected.is_partial);
    fs::remove_dir_all(root.join("kept")).unwrap();
    let detected = detect(root, &limits);
    assert!(detected.visited < 10, "{}", detected.visited);
    assert!(!detected.is_partial && detected.candidates.len() == 1);
}

#[test]
fn a_budget_that_ends_cuts_what_is_deep_and_not_a_sibling() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for part in 0..30 {
        let deep = root.join("a/data").join(part.to_string());
        fs::create_dir_all(&deep).unwrap();
        for file in 0..20 {
            fs::write(deep.join(format!("{file}.js")), "").unwrap();
        }
    }
    fs::create_dir_all(root.join("z")).unwrap();
    fs::write(root.join("z/package.json"), r#"{"name": "late", "scripts": {"dev": "vite"}}"#).unwrap();
    let detected = detect(root, &Limits { entries: 100, ..Limits::default() });
    assert!(detected.is_partial);
    assert_eq!(detected.candidates.len(), 1, "what is near the root is found, whatever its name");
    let note = detected.notes.iter().find(|note| note.message.contains("was not looked at")).unwrap();
    assert_eq!(
        note.message,
        format!("looked at {} entries; what is here and deeper was not looked at", detected.visited)
    );
    assert!(
        note.source.file.starts_with(root.canonicalize().unwrap().join("a/data")),
        "{}",
        note.source.file.display()
    );
}

#[test]
fn one_crowded_directory_does_not_hide_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for (directory, files) in [("a", 300), ("b", 1)] {
        fs::create_dir_all(root.join(directory)).unwrap();
        for file in 0..files {
            fs::write(root.join(directory).join(format!("{file}.png")), "").unwrap();
        }
    }
    fs::write(root.join("b/package.json"), r#"{"name": "late", "scripts": {"dev": "vite"}}"#).unwrap();
    let detected = detect(root, &Limits { entries: 200, ..Limits::default() });
    assert_eq!(detected.candidates.len(), 1);
    assert!(detected.is_partial && detected.visited < 100, "{}", detected.visited);
}

#[test]
fn what_is_ignored_is_not_looked_at_as_git_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let service = |at: &str| {
        fs::create_dir_all(root.join(at)).unwrap();
        let package = format!(r#"{{"name": "{}", "scripts": {{"dev": "vite"}}}}"#, at.replace('/', "-"));
        fs::write(root.join(at).join("package.json"), package).unwrap();
    };
    for at in ["kept", "old", "apps/old", "apps/web", "apps/gone", "apps/web/back", "private", "also"] {
        service(at);
    }
    fs::write(root.join(".gitignore"), "/old\nback\n").unwrap();
    fs::write(root.join("apps/.gitignore"), "gone/\n").unwrap();
    fs::write(root.join("apps/web/.gitignore"), "!back\n").unwrap();
    fs::write(root.join(".ignore"), "also/\n").unwrap();
    fs::create_dir_all(root.join(".git/info")).unwrap();
    fs::write(root.join(".git/info/exclude"), "private\n").unwrap();
    let detected = detect(root, &Limits::default());
    let mut names: Vec<_> = detected.candidates.iter().map(|candidate| candidate.name.value.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["apps-old", "apps-web", "apps-web-back", "kept"]);
    assert!(!detected.is_partial);
}

#[test]
fn a_directory_that_cannot_be_read_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let detected = detect(dir.path(), &Limits::default());
    let is_readable = fs::read_dir(&closed).is_ok();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    if is_readable {
        eprintln!("root reads every directory, so nothing is shown here: run it as another user");
        return;
    }
    assert_eq!(detected.notes.len(), 1, "{:?}", detected.notes);
    assert!(detected.notes[0].source.file.ends_with("closed"));
    assert!(detected.notes[0].message.contains("cannot be read"), "{}", detected.notes[0].message);
}

#[test]
fn loops_of_links_and_directories_that_cannot_be_read_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::write(root.join("index.html"), "").unwrap();
    symlink(root, root.join("loop")).unwrap();
    symlink("nowhere", root.join("package.json")).unwrap();
    fs::create_dir(root.join("closed")).unwrap();
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let detected = detect(root, &Limits::default());
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(detected.candidates.len(), 1);
    assert!(detected.visited < 10);
    assert!(detect(&root.join("absent"), &Limits::default()).candidates.is_empty());
}

const FILES: [&str; 12] = [
    "package.json",
    "Cargo.toml",
    "pyproject.toml",
    "Makefile",
    "justfile",
    "Taskfile.yml",
    "main.go",
    "go.mod",
    ".env",
    ".env.example",
    "manage.py",
    "deno.json",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(name in 0..FILES.len(), bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILES[name]), bytes).unwrap();
        let _ = detect(dir.path(), &Limits::default());
    }

    #[test]
    fn no_script_makes_it_panic(script in "\\PC{0,60}", name in "\\PC{0,60}", env in "[A-Z]{1,8}=\\PC{0,40}") {
        let dir = tempfile::tempdir().unwrap();
        let package = serde_json::json!({"name": name, "scripts": {"dev": script, name.as_str(): script}});
        fs::write(dir.path().join("package.json"), package.to_string()).unwrap();
        fs::write(dir.path().join(".env"), env).unwrap();
        let _ = detect(dir.path(), &Limits::default());
        let file = cas::config::init(dir.path(), &std::collections::BTreeMap::new()).unwrap().0;
        let loaded = cas::config::load(&file, None, &std::collections::BTreeMap::new());
        prop_assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    }
}
