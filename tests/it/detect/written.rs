//! What `cas init` writes from what detection finds.

use std::{collections::BTreeMap, fs, path::Path};

use cas::config;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("HOME".to_owned(), "/home/ada".to_owned())])
}

fn written(stack: &str) -> (String, config::Loaded) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("shop");
    copy(&super::fixtures().join(stack), &root);
    let (file, _) = config::init(&root, &environment()).unwrap();
    let loaded = config::load(&file, None, &environment());
    (fs::read_to_string(file).unwrap(), loaded)
}

#[test]
fn what_is_written_for_every_stack_can_be_loaded() {
    for name in super::names() {
        let (text, loaded) = written(&name);
        assert!(loaded.errors.is_empty(), "{name}: {:#?}\n{text}", loaded.errors);
        let services = super::lines(
            &super::fixtures().join(&name),
            &super::stack(&name).candidates,
            config::import::Role::Service,
        );
        // A Procfile is taken as it is.
        let expected = if name == "rails-procfile-dev" { 3 } else { services.len().max(1) };
        assert_eq!(loaded.project.unwrap().services.len(), expected, "{name}\n{text}");
    }
}

#[test]
fn each_service_says_where_it_was_taken_from_and_needs_are_comments_without_credentials() {
    let (text, _) = written("express");
    assert!(text.contains("# Express: node ./src/index.js, from package.json:1\n"), "{text}");
    assert!(text.contains("ports: [4001]  # from src/index.js:1\n    readiness: {tcp: 4001}\n"), "{text}");
    assert!(text.contains("#   DATABASE_URL: PostgreSQL at localhost:5432  (.env.example:1)\n"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}
