//! Where there is no terminal, or none that can do anything: plain text, clear sentences, exit codes.

use std::{
    io::Read,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use rustix::process::{Pid, Signal, kill_process};

use super::terminal::{Launch, Project, Terminal};
use crate::support::eventually;

const LOUD: &str = "  web: {shell: 'printf \"\\\\033[31mred\\\\033[0m \\\\033]0;title\\\\007\\\\n\"; exec sleep 1000', autostart: true}\n";

fn is_plain(what: &str, output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        assert!(!stream.contains(&0x1b), "{what} wrote ESC: {:?}", String::from_utf8_lossy(stream));
    }
}

#[test]
fn nothing_that_is_piped_holds_an_escape() {
    let project = Project::yaml(LOUD);
    let mut up = project.command(&["up", "--no-tui"], &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]);
    let mut up = up.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let printed = Arc::new(Mutex::new(Vec::new()));
    let (mut stdout, taken) = (up.stdout.take().unwrap(), Arc::clone(&printed));
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stdout.read(&mut buffer) {
            taken.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    });
    eventually("its output is printed", || String::from_utf8_lossy(&printed.lock().unwrap()).contains("red"));
    for term in ["xterm-256color", "dumb", "vt100", ""] {
        for no_color in ["", "1"] {
            for arguments in [
                &["status"][..],
                &["status", "--json"],
                &["events"],
                &["logs"],
                &["logs", "--json"],
                &["check"],
                &["graph"],
                &["projects"],
                &["--help"],
                &["stop", "nobody"],
            ] {
                let output = project.cas(arguments, &[("TERM", term), ("NO_COLOR", no_color)]);
                is_plain(&format!("TERM={term} NO_COLOR={no_color} {arguments:?}"), &output);
                assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{arguments:?} says nothing");
            }
        }
    }
    kill_process(Pid::from_child(&up), Signal::TERM).unwrap();
    let status = up.wait().unwrap();
    reader.join().unwrap();
    assert_eq!(status.code(), Some(130));
    let mut talk = Vec::new();
    up.stderr.take().unwrap().read_to_end(&mut talk).unwrap();
    for stream in [&*printed.lock().unwrap(), &talk] {
        assert!(!stream.contains(&0x1b), "{:?}", String::from_utf8_lossy(stream));
    }
    assert_eq!(project.living(""), []);
}

#[test]
fn without_a_screen_the_console_says_so_and_ends_with_two() {
    let project = Project::yaml(LOUD);
    let output = project.cas(&[], &[("TERM", "xterm-256color")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    is_plain("cas", &output);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("needs a terminal") && said.contains("cas up --no-tui"), "{said}");
    assert_eq!(project.living(""), [], "nothing is started for it");

    let launch = Launch { environment: &[("TERM", "dumb")], ..Launch::default() };
    let mut terminal = Terminal::launch(&project, &launch);
    assert_eq!(terminal.ends(), 2);
    terminal.until_shows("TERM=dumb");
    assert!(!terminal.raw().contains(&0x1b));
    terminal.is_given_back();
    assert_eq!(project.living(""), []);
}

#[test]
fn half_a_terminal_is_none() {
    let project = Project::yaml(LOUD);
    for script in ["\"$0\" >out", "\"$0\" </dev/null"] {
        let arguments = ["-c", script, super::terminal::CAS];
        let mut terminal =
            Terminal::launch(&project, &Launch { program: "sh", arguments: &arguments, ..Launch::default() });
        assert_eq!(terminal.ends(), 2, "{script}: {}", terminal.screen().text());
        terminal.until_shows("terminal");
        terminal.is_given_back();
    }
    assert_eq!(std::fs::read(project.root().join("out")).unwrap(), b"");
    assert_eq!(project.living(""), []);
}
