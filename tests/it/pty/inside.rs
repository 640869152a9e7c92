//! Shells in containers: at a terminal, in a pipe, and out of the console.

use std::{io::Write, process::Stdio};

use super::terminal::{Launch, Project, Terminal};
use crate::docker::dockerd::{self, IMAGE};

fn container(name: &str) -> String {
    dockerd::shared().ask(&["run", "-d", "--network", "none", "--name", name, IMAGE, "sleep", "1000"])
}

#[test]
fn a_shell_in_a_container_has_this_terminal_and_its_exit_code_is_ours() {
    let (project, id, host) =
        (Project::yaml("  web: {command: [sleep, '1000']}\n"), container("inside"), dockerd::shared().host());
    let environment = [("DOCKER_HOST", host.as_str())];
    let launch = Launch { arguments: &["exec", "--by-id", &id], environment: &environment, ..Launch::default() };
    let mut terminal = Terminal::launch(&project, &launch);
    terminal.until_shows("lets go of it");
    terminal.type_keys("test -t 0 && echo a$((40 + 2))z\r");
    terminal.until_shows("a42z");
    terminal.type_keys("exit 7\r");
    assert_eq!(terminal.ends(), 7);
    terminal.is_given_back();
    let mut piped = project.command(&["exec", "--by-id", &id, "sh", "-c", "cat; echo bad >&2; exit 5"], &environment);
    let mut child = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let ran = child.wait_with_output().unwrap();
    let (out, bad) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!((ran.status.code(), &*out, &*bad), (Some(5), "hello\n", "bad\n"));
    let gone = project.cas(&["exec", "--by-id", "0123456789abcdef", "true"], &environment);
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("No such container"), "{gone:?}");
    dockerd::shared().ask(&["rm", "-f", "inside"]);
}

#[test]
fn the_console_opens_a_shell_in_a_container_and_comes_back() {
    let (project, _id, host) =
        (Project::yaml("  web: {command: [sleep, '1000']}\n"), container("within"), dockerd::shared().host());
    let environment = [("DOCKER_HOST", host.as_str())];
    let mut terminal = Terminal::launch(&project, &Launch { environment: &environment, ..Launch::default() });
    terminal.until_shows("web");
    terminal.type_keys("D/within\r");
    // Its row, not only its name in the filter.
    terminal.until_shows(IMAGE);
    terminal.type_keys("o");
    terminal.until_shows("lets go of it");
    terminal.type_keys("echo b$((40 + 2))z\r");
    terminal.until_shows("b42z");
    terminal.type_keys("exit\r");
    terminal.eventually("the console is back", |screen| screen.shows("containers") && !screen.shows("b42z"));
    dockerd::shared().ask(&["rm", "-f", "within"]);
}
