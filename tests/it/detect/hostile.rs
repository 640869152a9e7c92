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
