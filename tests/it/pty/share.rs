//! Several of `cas` on one project: one engine, and everybody sees the same.

use super::terminal::{Project, Terminal};

const TWO: &str = "  web: {command: [sleep, '1000']}\n  worker: {command: [sleep, '1001']}\n";

#[test]
fn a_second_console_attaches_and_leaves_without_stopping_anything() {
    let project = Project::yaml(TWO);
    let mut first = Terminal::open(&project);
    first.eventually("it is shown", |s| s.is("web", "stopped"));
    first.type_keys("S");
    first.eventually("both run", |s| s.is("web", "running") && s.is("worker", "running"));

    let mut second = Terminal::open(&project);
    second.eventually("the second shows the same", |s| s.is("web", "running") && s.is("worker", "running"));
    second.until_shows("connected");
    assert!(!first.screen().shows("connected"));

    let stop = project.cas(&["stop", "web"], &[]);
    assert!(stop.status.success(), "{stop:?}");
    for terminal in [&first, &second] {
        terminal.eventually("both see it stopped", |s| s.is("web", "stopped") && s.is("worker", "running"));
        terminal.until_shows("command line");
    }
    second.type_keys("s");
    first.eventually("the first sees what the second starts", |s| s.is("web", "running"));

    second.type_keys("q");
    assert_eq!(second.ends(), 0);
    second.is_given_back();
    assert_eq!(project.living("").len(), 2, "the services belong to the first");
    first.eventually("they run", |s| s.is("web", "running") && s.is("worker", "running"));
    first.type_keys("qs");
    assert_eq!(first.ends(), 0);
    assert_eq!(project.living(""), []);
}

#[test]
fn down_from_elsewhere_stops_everything_and_ends_the_console() {
    let project = Project::yaml(TWO);
    let mut terminal = Terminal::open(&project);
    terminal.eventually("it is shown", |s| s.is("web", "stopped"));
    terminal.type_keys("S");
    terminal.eventually("both run", |s| s.is("web", "running") && s.is("worker", "running"));

    let down = project.cas(&["down"], &[]);
    assert!(down.status.success(), "{down:?}");
    let said = String::from_utf8(down.stderr).unwrap();
    assert!(said.contains("everything is stopped"), "{said}");
    assert_eq!(project.living(""), [], "it says what is true");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
    assert_eq!(project.cas(&["stop", "web"], &[]).status.code(), Some(3), "nobody answers any more");
}
