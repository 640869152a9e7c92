//! The main job, from the keyboard: open, start, crash, heal, stop, quit.

use std::net::TcpStream;

use rustix::process::{Signal, kill_process};

use super::terminal::{Launch, Project, Terminal, free_port};
use crate::support::eventually;

/// A server that anybody has, and a worker.
fn project(port: u16) -> Project {
    Project::yaml(&format!(
        "  web:
    command: python3 -m http.server {port} --bind 127.0.0.1
    ports: [{port}]
    restart: always
    readiness: {{tcp: {port}, interval: 200ms}}
  worker:
    shell: 'while :; do echo working; sleep 0.2; done'
    depends_on: [web]
"
    ))
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_project_is_opened_started_crashed_healed_and_stopped_from_the_keyboard() {
    let port = free_port();
    let project = project(port);
    let mut terminal = Terminal::open(&project);
    terminal.eventually("both are shown and stopped", |s| s.is("web", "stopped") && s.is("worker", "stopped"));
    for pane in ["projects", "services", "graphs", "logs", "timeline"] {
        assert!(terminal.screen().shows(pane), "{pane} is not there:\n{}", terminal.screen().text());
    }
    assert_eq!(project.living(""), [], "nothing that was not asked for");

    terminal.type_keys("S");
    terminal.eventually("both run", |s| s.is("web", "running") && s.is("worker", "running"));
    terminal.until_shows("healthy");
    terminal.until_shows("started");
    eventually("the server answers", || answers(port));

    let first = project.living("web");
    assert_eq!(first.len(), 1);
    kill_process(first[0], Signal::KILL).unwrap();
    terminal.eventually("the healer has counted one restart", |s| {
        let row = s.row("web");
        row.get(1).is_some_and(|state| state == "running") && row.get(4).is_some_and(|restarts| restarts == "1")
    });
    terminal.until_shows("restarted");
    terminal.until_shows("SIGKILL");
    eventually("another process serves", || {
        let now = project.living("web");
        now.len() == 1 && now != first && answers(port)
    });
    // A question about a state that has changed meanwhile is asked again.
    terminal.eventually("it is healthy again", |s| s.row("web").get(2).is_some_and(|health| health == "healthy"));

    terminal.type_keys("X");
    terminal.until_shows("stop");
    terminal.eventually("it asks first", |s| s.shows("SIGTERM"));
    assert!(!project.living("web").is_empty(), "nothing happens before the answer:\n{}", terminal.screen().text());
    terminal.type_keys("y");
    terminal.eventually("both are stopped", |s| s.is("web", "stopped") && s.is("worker", "stopped"));
    assert_eq!(project.living(""), []);
    terminal.type_keys("q");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
    assert_eq!(project.living(""), []);
}

#[test]
fn a_procfile_is_operated_in_eighty_columns_through_tabs() {
    let project = Project::procfile(
        "web: exec python3 -m http.server $PORT --bind 127.0.0.1\nworker: while :; do echo tick-tock; sleep 0.2; done\n",
    );
    let port = free_port();
    project.write(".env", &format!("PORT={port}\n"));
    let mut terminal = Terminal::launch(&project, &Launch { size: (80, 24), ..Launch::default() });
    terminal.eventually("both are shown and stopped", |s| s.is("web", "stopped") && s.is("worker", "stopped"));
    assert_eq!(project.living(""), []);

    terminal.type_keys("S");
    terminal.eventually("both run", |s| s.is("web", "running") && s.is("worker", "running"));
    eventually("the server answers", || answers(port));
    terminal.type_keys("jl");
    terminal.until_shows("tick-tock");
    // In the logs digits mean times.
    terminal.type_keys("\x1b5");
    terminal.until_shows("started");

    let first = project.living("web");
    kill_process(first[0], Signal::KILL).unwrap();
    terminal.until_shows("restarted");
    terminal.type_keys("3");
    terminal.until_shows("cpu");
    terminal.type_keys("2");
    terminal.eventually("it is healed", |s| s.is("web", "running"));
    eventually("another process serves", || project.living("web") != first && answers(port));

    // Leaving asks, because the services run in this console.
    terminal.type_keys("q");
    terminal.until_shows("2 services run in this console");
    terminal.type_keys("s");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
    assert_eq!(project.living(""), []);
}

#[test]
fn the_selection_is_copied_through_the_terminal() {
    let project = Project::yaml("  web: {command: [sleep, '1000']}\n");
    let mut terminal = Terminal::open(&project);
    terminal.eventually("it is shown", |s| s.is("web", "stopped"));
    terminal.type_keys("y");
    terminal.until_shows("copied");
    let raw = String::from_utf8(terminal.raw()).unwrap();
    let sequence = raw.split("\x1b]52;c;").nth(1).expect("one sequence for the clipboard");
    let copied = base64(sequence.split(['\x1b', '\x07']).next().unwrap());
    assert!(copied.starts_with(&format!("{}/web\tstopped\tsleep 1000\t", project.name)), "{copied:?}");
    terminal.type_keys("q");
    assert_eq!(terminal.ends(), 0);
}

/// Reads RFC 4648, section 4.
fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        let value = ALPHABET.iter().position(|known| *known == byte).expect("of the alphabet");
        bits = (bits << 6) | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_edit_brings_a_new_service_and_garbage_changes_nothing() {
    let project = Project::yaml("  web: {command: [sleep, '1000']}\n");
    project.write("editor.sh", "cp next \"$1\"\n");
    let editor = format!("sh {}", project.root().join("editor.sh").display());
    project.write("next", &project.yaml_of("  web: {command: [sleep, '1000']}\n  extra: {command: [sleep, '1001']}\n"));
    let launch = Launch { environment: &[("EDITOR", &editor)], ..Launch::default() };
    let mut terminal = Terminal::launch(&project, &launch);
    terminal.eventually("it is shown", |s| s.is("web", "stopped"));
    terminal.type_keys("S");
    terminal.eventually("it runs", |s| s.is("web", "running"));
    let first = project.living("web");

    terminal.type_keys("e");
    terminal.eventually("the new service is there", |s| s.is("extra", "stopped") && s.is("web", "running"));

    project.write("next", &project.yaml_of("  web: {command: [sleep, '1000'], restart: allways}\n"));
    terminal.type_keys("e");
    terminal.eventually("the banner says where", |s| s.shows("project file not taken") && s.shows("cas.yaml:3:"));
    terminal.eventually("all stays", |s| s.is("web", "running") && s.is("extra", "stopped"));
    project.write("next", "{[ \u{1}\u{0}::\n");
    terminal.type_keys("e");
    terminal.eventually("the banner says where", |s| s.shows("project file not taken") && s.shows("cas.yaml:1:"));
    terminal.eventually("all stays", |s| s.is("web", "running") && s.is("extra", "stopped"));
    assert_eq!(project.living("web"), first, "the same process");

    terminal.type_keys("qs");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(project.living(""), []);
}
