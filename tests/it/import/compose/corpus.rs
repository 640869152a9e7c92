//! Whole files beside what they become. `CAS_UPDATE_EXPECTED=1` writes the expectations; they are then read against the files.
//! `CAS_COMPOSE_CORPUS` names another directory of the same form, with a `MANIFEST.tsv` of its own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use cas::config::import::{Imported, Material, compose, devcontainer};

use super::super::render::{Disk, render};

/// The files that a manifest names: its first column.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let manifest = fs::read_to_string(directory.join("MANIFEST.tsv")).unwrap();
    let rows = manifest.lines().skip(1).filter(|line| !line.is_empty());
    rows.map(|line| directory.join(line.split('\t').next().unwrap())).collect()
}

pub(super) fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import/compose")
}

fn imported(file: &Path) -> Imported {
    let text = fs::read_to_string(file).unwrap();
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
    let material = Material { file, text: &text, environment: &environment, files: &Disk };
    if file.ends_with("devcontainer.json") { devcontainer::import(&material) } else { compose::import(&material) }
}

/// Beside the file, or beside its directory where that is one project of several files.
fn expectation(file: &Path, root: &Path) -> PathBuf {
    let relative = file.strip_prefix(root).unwrap();
    let name: Vec<_> = relative.components().map(|part| part.as_os_str().to_str().unwrap()).collect();
    root.join(format!("{}.expected", name.join("+")))
}

#[test]
fn every_file_of_the_corpus_becomes_what_was_read_out_of_it() {
    let mut roots = vec![own()];
    roots.extend(std::env::var_os("CAS_COMPOSE_CORPUS").map(PathBuf::from));
    let mut wrong = Vec::new();
    for root in roots {
        let files = files(&root);
        assert!(files.len() >= 20, "{} has {} files", root.display(), files.len());
        for file in files {
            let is = render(&imported(&file), &file, file.parent().unwrap());
            let is = is.replace(root.to_str().unwrap(), "<corpus>");
            let is = is.replace(root.parent().unwrap().to_str().unwrap(), "<above>");
            let place = expectation(&file, &root);
            if std::env::var_os("CAS_UPDATE_EXPECTED").is_some() {
                fs::write(&place, &is).unwrap();
            }
            let expected = fs::read_to_string(&place).unwrap_or_default();
            if is != expected {
                wrong.push(format!("{}\n--- expected\n{expected}--- is\n{is}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_of_process_compose_is_not_one_of_compose() {
    for (text, is) in [
        ("services:\n  web:\n    image: nginx\n", true),
        ("version: \"0.5\"\nprocesses:\n  web:\n    command: x\n", false),
        ("processes: {}\nservices: {}\n", true),
        ("include: [a.yaml]\n", true),
        ("volumes: {}\n", true),
        ("{\"services\": {}}", true),
        ("\u{feff}services:\r\n  web: {}\r\n", true),
        ("services:\n  web:\n\timage: nginx\n", true),
        ("processes:\n  web:\n\tcommand: x\n", false),
        ("name: shop\n", false),
        ("", false),
        ("- services\n", false),
    ] {
        assert_eq!(compose::is_compose(text), is, "{text:?}");
    }
}
