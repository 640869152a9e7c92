//! Forms of log lines that a user has described, with the real binary: what cannot be used is said, and keeps nothing else from being used.

use std::fs;

use crate::pty::terminal::{Project, Terminal};

const FORMS: &str = "log_formats:
  - {name: mill, pattern: '^<(?P<level>\\w+)> (?P<message>.*)$'}
  - {name: ledger, pattern: '^(?P<time>\\S+) (?P<message>.*)$', time: '%Q'}
";

fn described() -> Project {
    let project = Project::yaml("  web: {command: [sleep, '1000'], autostart: false}\n");
    let environment = project.environment();
    let (_, directory) = environment.iter().find(|(name, _)| *name == "CAS_CONFIG_DIR").unwrap();
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join("config.yaml"), FORMS).unwrap();
    project
}

#[test]
fn one_that_cannot_be_used_is_told_with_its_place_and_the_others_are_used() {
    let project = described();
    project.write("mill.log", "<warn> too fast\n<info> as it should be\n");
    let read = project.cas(&["logs", "--level", "warn", "--", "mill.log"], &[]);
    let (shown, said) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    assert_eq!(shown, "<warn> too fast\n", "{said}");
    assert!(said.contains("note: log_formats: \"ledger\": its time \"%Q\" has a part that means nothing"), "{said}");
    assert!(said.contains("config.yaml:3:5") && said.contains("hint: write it as strftime has it"), "{said}");
}

#[test]
fn the_console_says_which_cannot_be_used_as_it_does_of_themes() {
    let project = described();
    let mut console = Terminal::open(&project);
    assert_ne!(console.ends(), 0);
    let said = String::from_utf8_lossy(&console.raw()).into_owned();
    assert!(said.contains("log_formats: \"ledger\": its time \"%Q\"") && said.contains("config.yaml:3:5"), "{said}");
}
