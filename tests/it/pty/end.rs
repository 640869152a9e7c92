//! Ends that nobody asked the console for: signals, a panic, a terminal that is gone.

use std::fs;

use rustix::process::{Pid, Signal};

use super::terminal::{CAS, Launch, Project, Terminal, cpu_ticks};
use crate::support::eventually;

const AUTOSTART: &str = "  web: {command: [sleep, '1000'], autostart: true}
  worker: {shell: 'while :; do echo tick; sleep 0.05; done', autostart: true}\n";

fn opened(project: &Project, launch: &Launch<'_>) -> Terminal {
    let terminal = Terminal::launch(project, launch);
    terminal.eventually("both run", |s| s.is("web", "running") && s.is("worker", "running"));
    terminal
}

/// The main process of `web`, which makes no other.
fn web(project: &Project) -> Vec<Pid> {
    project.living("web")
}

/// What runs on is the same process as before, is known, and ends when it is asked to.
fn runs_on_and_can_be_stopped(project: &Project, before: &[Pid]) {
    assert_eq!(web(project), before, "it was not touched");
    let status = project.cas(&["status"], &[]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("without an engine"), "{status:?}");
    let down = project.cas(&["down"], &[]);
    assert!(down.status.success(), "{down:?}");
    eventually("nothing is left", || project.relatives().is_empty());
}

fn a_signal_leaves_services_running(signal: Signal) {
    let project = Project::yaml(AUTOSTART);
    let mut terminal = opened(&project, &Launch::default());
    let before = web(&project);
    terminal.signal(signal);
    assert_eq!(terminal.ends(), 130);
    terminal.is_given_back();
    runs_on_and_can_be_stopped(&project, &before);
}

#[test]
fn sigterm_leaves_services_running_and_gives_the_terminal_back() {
    a_signal_leaves_services_running(Signal::TERM);
}

#[test]
fn sighup_of_a_terminal_that_is_there_has_the_file_read_again() {
    let project = Project::yaml(AUTOSTART);
    let mut terminal = opened(&project, &Launch::default());
    let before = web(&project);
    let more = format!("{AUTOSTART}  extra: {{command: [sleep, '1001'], autostart: true}}\n");
    project.write("cas.yaml", &project.yaml_of(&more));
    terminal.signal(Signal::HUP);
    terminal.eventually("what is new runs", |s| s.is("extra", "running"));
    assert_eq!(web(&project), before, "what stayed the same was not touched");
    project.write("cas.yaml", &project.yaml_of("  web: {comand: [sleep, '1000']}\n"));
    terminal.signal(Signal::HUP);
    terminal.until_shows("comand: not a key of a service");
    assert_eq!(web(&project), before, "a file that cannot be taken changes nothing");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), 130);
    project.write("cas.yaml", &project.yaml_of(&more));
    let down = project.cas(&["down"], &[]);
    assert!(down.status.success(), "{down:?}");
    eventually("nothing is left", || project.relatives().is_empty());
}

#[test]
fn sigint_stops_services_and_gives_the_terminal_back() {
    let project = Project::yaml(AUTOSTART);
    let mut terminal = opened(&project, &Launch::default());
    terminal.signal(Signal::INT);
    assert_eq!(terminal.ends(), 130);
    terminal.is_given_back();
    assert_eq!(project.living(""), []);
}

#[test]
fn a_panic_gives_the_terminal_back_and_leaves_services_running() {
    let project = Project::yaml(AUTOSTART);
    let mut terminal = opened(&project, &Launch { environment: &[("CAS_TEST_PANIC", "1")], ..Launch::default() });
    let before = web(&project);
    terminal.type_keys("\x0c");
    assert_eq!(terminal.ends(), 1);
    terminal.is_given_back();
    terminal.until_shows("asked for by CAS_TEST_PANIC");
    runs_on_and_can_be_stopped(&project, &before);
}

/// The pid of the `cas` that is the only child of `of`, or `of` where the shell has become it.
fn cas_below(of: Pid) -> Pid {
    let mut at = of.as_raw_nonzero().get();
    let mut found = None;
    eventually("the shell has started cas", || {
        let is_cas = fs::read_link(format!("/proc/{at}/exe")).is_ok_and(|exe| exe == fs::canonicalize(CAS).unwrap());
        if is_cas {
            found = Pid::from_raw(at);
        } else if let Some(child) = fs::read_to_string(format!("/proc/{at}/task/{at}/children"))
            .ok()
            .and_then(|children| children.split_whitespace().next()?.parse().ok())
        {
            at = child;
        }
        is_cas
    });
    found.unwrap()
}

/// `script` is how a shell that ignores SIGHUP starts `cas` ("$0").
fn a_lost_terminal_ends_it(script: &str) {
    let project = Project::yaml(AUTOSTART);
    let arguments = ["-c", script, CAS];
    let launch = Launch { program: "sh", arguments: &arguments, ..Launch::default() };
    let mut terminal = opened(&project, &launch);
    let cas = cas_below(terminal.pid());
    let served = web(&project);
    let before = cpu_ticks(cas).unwrap();
    terminal.vanish();
    let mut used = before;
    eventually("cas ends without its terminal", || {
        let now = cpu_ticks(cas);
        used = now.unwrap_or(used);
        now.is_none()
    });
    let spent = (used - before) as f64 / rustix::param::clock_ticks_per_second() as f64;
    assert!(spent < 2.0, "{spent} s of CPU for ending");
    assert_eq!(web(&project), served, "services are not touched by that");
    eventually("the shell has written the code", || {
        fs::read_to_string(project.root().join("code")).is_ok_and(|code| code.ends_with('\n'))
    });
    let code = fs::read_to_string(project.root().join("code")).unwrap();
    assert!(["1", "130"].contains(&code.trim()), "exit code {code}");
    runs_on_and_can_be_stopped(&project, &served);
}

#[test]
fn a_terminal_that_vanishes_while_sighup_is_ignored_ends_it() {
    a_lost_terminal_ends_it("trap '' HUP; \"$0\"; echo $? >code");
}

#[test]
fn a_terminal_that_vanishes_without_any_signal_ends_it() {
    a_lost_terminal_ends_it("trap '' HUP; setsid --wait \"$0\"; echo $? >code");
}
