//! SIGHUP to an engine in the foreground without a console: it reads its file again, and ends with its terminal where it has one.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    pty::terminal::{Launch, Project, Terminal},
    support::eventually,
};

const ONE: &str = "  web: {command: [sleep, '1000'], autostart: true}\n";

#[test]
fn up_without_a_console_reads_its_file_again() {
    let project = Project::yaml(ONE);
    let mut up = project.command(&["up", "--no-tui"], &[]);
    let mut up = up.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("web runs", || project.living("web").len() == 1);
    let before = project.living("web");
    project
        .write("cas.yaml", &project.yaml_of(&format!("{ONE}  extra: {{command: [sleep, '1001'], autostart: true}}\n")));
    let pid = Pid::from_child(&up);
    kill_process(pid, Signal::HUP).unwrap();
    eventually("what is new runs", || project.living("extra").len() == 1);
    assert_eq!(project.living("web"), before, "what stayed the same was not touched");
    kill_process(pid, Signal::INT).unwrap();
    up.wait().unwrap();
    eventually("nothing is left", || project.relatives().is_empty());
}

#[test]
fn its_terminal_takes_it_along_and_leaves_services_running() {
    let project = Project::yaml(ONE);
    let mut terminal = Terminal::launch(&project, &Launch { arguments: &["up", "--no-tui"], ..Launch::default() });
    eventually("web runs", || project.living("web").len() == 1);
    let before = project.living("web");
    terminal.vanish();
    eventually("it is gone", || {
        let status = project.cas(&["status"], &[]);
        String::from_utf8_lossy(&status.stdout).contains("without an engine")
    });
    assert_eq!(project.living("web"), before);
    assert!(project.cas(&["down"], &[]).status.success());
    eventually("nothing is left", || project.relatives().is_empty());
}
