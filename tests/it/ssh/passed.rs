//! What ssh hands on: documents without a terminal, the kind of terminal, its size, its clipboard, no colours where none are wanted.

use super::server::{Sshd, down};
use crate::pty::terminal::{CAS, Project};

const SHOP: &str = "  web: {command: [sleep, '1000']}\n  worker: {command: [sleep, '1001']}\n";

#[test]
fn without_a_terminal_documents_come_as_they_are_and_codes_are_handed_on() {
    let project = Project::yaml(SHOP);
    let sshd = Sshd::start(&project, "");
    let offline = sshd.cas(&project, "status --json");
    assert_eq!(offline.status.code(), Some(0));
    let up = sshd.cas(&project, "up --detach");
    assert!(up.status.success(), "it returns, and the daemon goes on: {up:?}");
    let ran = sshd.cas(&project, "status --json");
    assert_eq!((ran.status.code(), ran.stderr.as_slice()), (Some(0), &b""[..]), "{ran:?}");
    assert!(!ran.stdout.contains(&0x1b) && !ran.stdout.contains(&b'\r'), "{ran:?}");
    let status: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let names: Vec<&str> =
        status["services"].as_array().unwrap().iter().filter_map(|service| service["name"].as_str()).collect();
    assert_eq!(names, ["web", "worker"]);
    assert_eq!(status["services"][0]["phase"], "running");
    // Outside of all projects it is about everything that the daemon runs.
    let ran = sshd.run(&format!("cd / && exec {CAS} status --json"));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&ran.stdout).unwrap()["services"][1]["name"], "worker");
    assert_eq!(sshd.cas(&project, "stop wep").status.code(), Some(4));
    let console = sshd.cas(&project, "");
    assert_eq!(console.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&console.stderr).contains("the console needs a terminal"), "{console:?}");
    down(&project);
}

#[test]
fn outside_of_all_projects_the_console_shows_what_the_daemon_runs() {
    let project = Project::yaml(SHOP);
    let sshd = Sshd::start(&project, "");
    assert!(sshd.cas(&project, "up --detach").status.success());
    let mut console = sshd.terminal(&project, &format!("cd / && exec {CAS}"), &[]);
    console.eventually("all of it", |s| s.is("web", "running") && s.is("worker", "running") && s.shows("⇄ daemon"));
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
    down(&project);
}

#[test]
fn size_clipboard_and_colours_are_those_of_the_terminal_at_the_other_end() {
    let project = Project::yaml(SHOP);
    let sshd = Sshd::start(&project, "");
    assert!(sshd.cas(&project, "up --detach").status.success());
    let (mut console, _) = sshd.console(&project);
    console.eventually("it is attached", |s| s.is("web", "running") && s.shows("⇄ daemon"));
    let raw = console.raw();
    assert!(memchr::memmem::find(&raw, b"\x1b[38;2;").is_some(), "true colours, as COLORTERM came along");
    console.type_keys("y");
    console.until_shows("copied");
    assert!(memchr::memmem::find(&console.raw(), b"\x1b]52;c;").is_some(), "the clipboard's sequence comes through");
    console.resize(80, 24, true);
    console.eventually("it has the new size", |s| s.is("web", "running") && s.emulated().size().1.get() == 80);
    console.type_keys("q");
    assert_eq!(console.ends(), 0);

    let line = format!("cd {} && exec {CAS}", project.root().display());
    let mut plain = sshd.terminal(&project, &line, &[("NO_COLOR", "1")]);
    plain.eventually("it is attached", |s| s.is("web", "running") && s.shows("⇄ daemon"));
    let raw = plain.raw();
    for colour in [&b"38;2;"[..], b"38;5;", b"48;2;", b"48;5;"] {
        assert!(memchr::memmem::find(&raw, colour).is_none(), "NO_COLOR came along");
    }
    plain.type_keys("q");
    assert_eq!(plain.ends(), 0);

    let mut dumb = sshd.terminal(&project, &line, &[("TERM", "dumb")]);
    dumb.until_shows("TERM=dumb");
    assert_eq!(dumb.ends(), 2);
    down(&project);
}
