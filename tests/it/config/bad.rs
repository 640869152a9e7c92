//! What is said about files that are wrong, word for word.

use std::{fmt::Write, fs};

use super::{Project, load};

/// Snippets and, in the snapshot, what is said about each. A new snippet is added to the fixture.
#[test]
fn every_wrong_file_is_explained_with_place_value_and_hint() {
    let cases = fs::read_to_string("tests/fixtures/config/bad.txt").unwrap();
    let mut told = String::new();
    for case in cases.split("### ").skip(1) {
        let (title, yaml) = case.split_once('\n').unwrap();
        let project = Project::new()
            .file("cas.yaml", yaml)
            .file(".env", "GREETING=hello\n")
            .file("bad.env", "A=1\nB secret\n'c=secret\nD=\"secret\n")
            .file("api/api", "")
            .file("api.txt", "");
        let loaded = project.load("cas.yaml");
        assert!(!loaded.errors.is_empty(), "{title}: no error");
        assert!(loaded.project.is_none(), "{title}: a project in spite of errors");
        for problem in loaded.errors.iter().chain(&loaded.notes) {
            assert!(problem.hint.is_some(), "{title}: no hint for {problem}");
            assert!(problem.source.is_some(), "{title}: no place for {problem}");
        }
        writeln!(told, "### {title}\n{}", project.said(&loaded)).unwrap();
    }
    assert!(!told.contains('\u{1b}') && !told.contains("secret\n"), "an escape sequence or a secret is shown");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("bad", told);
    });
}

#[test]
fn colour_is_added_only_where_it_is_asked_for() {
    let loaded = load("services: {web: {comand: x}}");
    assert!(cas::config::render(&loaded.errors, true).starts_with("\u{1b}[1;31merror:\u{1b}[0m "));
    assert!(!cas::config::render(&loaded.errors, false).contains('\u{1b}'));
}

#[test]
fn problems_come_in_the_order_of_the_file() {
    let loaded =
        load("services:\n  a: {command: nosuch, restart: x}\n  b: {command: nosuch, depends_on: [z]}\n  c: {x: y}\n");
    let places: Vec<_> =
        loaded.errors.iter().map(|error| error.source.as_ref().map(|at| (at.line, at.column))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(places.len() >= 6);
}

#[test]
fn a_long_line_is_cut_so_that_the_place_stays_in_sight() {
    let yaml = format!("services: {{web: {{description: {}, comand: x}}}}", "y".repeat(5000));
    let project = Project::new().file("cas.yaml", yaml);
    let said = project.said(&project.load("cas.yaml"));
    let line = said.lines().rfind(|line| line.contains("comand: x")).expect("the line is shown");
    assert!(line.chars().count() < 130);
    let caret = said.lines().rfind(|line| line.trim_end().ends_with('^')).unwrap();
    assert_eq!(line.find("comand"), caret.find('^'));
}

#[test]
fn a_procfile_is_explained_too() {
    let project = Project::new()
        .file("Procfile", "web: sleep 1\n\n# c\nweb: sleep 2\nnothing here\n  bad name: sleep 1\nempty:\n");
    let loaded = project.load("Procfile");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("bad_procfile", project.said(&loaded));
    });
}

#[test]
fn a_file_that_cannot_be_read_is_said_in_a_sentence() {
    let project =
        Project::new().file("latin.yaml", b"services:\n  \xe9: {command: x}\n").file("big.yaml", vec![b'#'; 2 << 20]);
    for (name, message) in [
        ("none.yaml", "none.yaml cannot be read: No such file or directory (os error 2)"),
        ("api", "api cannot be read: it is not a file"),
        ("big.yaml", "big.yaml cannot be read: it is larger than 1048576 bytes"),
        ("latin.yaml", "latin.yaml cannot be read: it is not UTF-8 text (latin.yaml:2:3)"),
    ] {
        let loaded = project.load(name);
        let said = super::shortened(&loaded.errors[0].to_string(), &project.root());
        assert_eq!(said, message);
        assert!(loaded.project.is_none());
    }
}

#[test]
fn as_what_a_service_begins_is_checked() {
    let project = Project::new().file(
        "cas.yaml",
        "services:\n  a:\n    command: sleep 1\n    user: no-such-user\n    umask: 999\n    nice: 40\n    ulimits: {nofiles: 3, core: x, stack: {soft: 9, hard: 3}}\n",
    );
    let said = project.said(&project.load("cas.yaml"));
    for part in [
        "user: there is no user \"no-such-user\" on this machine (cas.yaml:4:11)",
        "umask: \"999\" is not an octal number (cas.yaml:5:12)",
        "nice: \"40\" is out of range (cas.yaml:6:11)",
        "ulimits: \"nofiles\" is not a limit (cas.yaml:7:15)",
        "did you mean \"nofile\"?",
        "ulimits.core: \"x\" is not a limit (cas.yaml:7:33)",
        "ulimits.stack: soft is more than hard",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}
