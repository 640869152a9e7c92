//! The list of projects: what a person is asked before it is changed.

use std::fs;

use cas::cli::{context::Terminals, outcome::Outcome};

use super::{
    fake::{Desk, Fake},
    fixture,
};

#[tokio::test]
async fn a_person_is_asked_before_what_was_found_comes_on_the_list() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("a/cas.yaml"), "").unwrap();
    let asked = async |answer: &'static str, line: &str| {
        let outside = Fake { project: Some(fixture::project()), ..Fake::default() };
        let terminals = Terminals { stdin: true, stdout: true, stderr: true };
        let desk = Desk { terminals, cwd: dir.path().to_owned(), answer, ..Desk::default() };
        let ran = desk.run(&outside, line).await;
        assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.stderr);
        let roots: Vec<String> = outside.remembered.borrow().iter().map(|one| one.root.display().to_string()).collect();
        (roots, ran.stderr)
    };
    let (added, said) = asked("y\n", "cas projects scan").await;
    assert_eq!(added, ["/srv/shop"], "{said}");
    assert!(said.contains("Put 1 project on the list? [y/N]"), "{said}");
    let (added, said) = asked("\n", "cas projects scan").await;
    assert!(added.is_empty() && said.contains("nothing was put on the list"), "{said}");
    let (added, said) = asked("y\n", "cas --read-only projects scan").await;
    assert!(added.is_empty() && !said.contains("[y/N]"), "{said}");
    let (added, said) = asked("", "cas projects scan -y").await;
    assert!(added == ["/srv/shop"] && !said.contains("[y/N]"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_with_a_project_keeps_it_off_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk { cwd: dir.path().to_owned(), ..Desk::default() };
    let outside = Fake::default();
    let missing = desk.run(&outside, "cas projects add nosuch").await;
    assert!(
        missing.outcome == Outcome::Usage && missing.stderr.contains("there is no directory"),
        "{}",
        missing.stderr
    );
    let none = desk.run(&outside, "cas projects add .").await;
    assert!(none.outcome == Outcome::Usage && none.stderr.contains("there is no project file"), "{}", none.stderr);
    fs::write(dir.path().join("cas.yaml"), "").unwrap();
    let broken = desk.run(&outside, "cas projects add cas.yaml").await;
    assert!(broken.outcome == Outcome::Usage && broken.stderr.contains("cas check"), "{}", broken.stderr);
    assert!(outside.remembered.borrow().is_empty());
}
