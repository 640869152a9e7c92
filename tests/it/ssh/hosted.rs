//! A console over ssh that hosts the engine itself: its services survive the connection, and the next `cas` takes them over.

use rustix::process::{Pid, Signal, kill_process};

use super::server::{FLOOD, Sshd, ends_calmly, is_gone, is_held, no_line_is_lost, pids, writes_on};
use crate::{
    pty::terminal::{Project, Terminal},
    support::eventually,
};

const NAMES: [&str; 2] = ["web", "worker"];

const SHOP: &str =
    "  web: {shell: 'n=0; while :; do n=$$((n+1)); echo line $$n; sleep 0.02; done', restart: always, autostart: true}
  worker: {command: [sleep, '1001'], autostart: true, restart: always}\n";

fn hosting(project: &Project) -> (Sshd, Terminal, Pid) {
    let sshd = Sshd::start(project, "");
    let (console, pid) = sshd.console(project);
    console.eventually("both run", |s| NAMES.iter().all(|name| s.is(name, "running")));
    assert!(!console.screen().shows("⇄"), "it is the engine itself:\n{}", console.screen().text());
    (sshd, console, pid)
}

/// What runs without an engine is known, taken over by the next console with nothing lost, and ends when it is asked to.
fn is_taken_over(project: &Project, sshd: &Sshd, before: &[i64]) {
    let status = project.cas(&["status"], &[]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("without an engine"), "{status:?}");
    assert_eq!(pids(project, &NAMES), before, "they were not touched");
    let (mut next, _) = sshd.console(project);
    next.eventually("it has taken them over", |s| {
        NAMES.iter().all(|name| s.is(name, "running")) && s.shows("taken over")
    });
    assert_eq!(pids(project, &NAMES), before, "the same processes");
    writes_on(project, 20);
    next.type_keys("q");
    next.until_shows("run in this console");
    next.type_keys("s");
    assert_eq!(next.ends(), 0);
    no_line_is_lost(project);
    eventually("nothing is left", || project.relatives().is_empty());
}

fn services_survive(cut: impl FnOnce(&Sshd, &Terminal, Pid)) {
    let project = Project::yaml(SHOP);
    let (sshd, console, pid) = hosting(&project);
    let before = pids(&project, &NAMES);
    writes_on(&project, 20);
    cut(&sshd, &console, pid);
    ends_calmly(pid);
    drop(console);
    is_taken_over(&project, &sshd, &before);
}

#[test]
fn services_of_a_console_whose_client_is_killed_are_taken_over_by_the_next() {
    services_survive(|_, console, _| console.signal(Signal::KILL));
}

#[test]
fn services_of_a_console_whose_session_is_killed_are_taken_over_by_the_next() {
    services_survive(|sshd, _, console| kill_process(sshd.session_of(console), Signal::KILL).unwrap());
}

#[test]
fn services_of_a_console_that_is_killed_itself_are_taken_over_by_the_next() {
    services_survive(|_, _, console| kill_process(console, Signal::KILL).unwrap());
}

#[test]
fn an_engine_whose_console_hangs_in_the_link_heals_and_answers_and_lets_go_when_asked() {
    let project = Project::yaml(&format!("{SHOP}{FLOOD}"));
    let (sshd, mut console, pid) = hosting(&project);
    console.type_keys("jj");
    console.type_keys("l");
    console.type_keys("z");
    console.until_shows("flood 2");
    console.signal(Signal::STOP);
    is_held(pid);
    let before = pids(&project, &NAMES);
    kill_process(Pid::from_raw(i32::try_from(before[1]).unwrap()).unwrap(), Signal::KILL).unwrap();
    eventually("it heals", || pids(&project, &NAMES)[1] != before[1]);
    writes_on(&project, 20);
    assert!(!is_gone(pid));

    let before = pids(&project, &NAMES);
    kill_process(pid, Signal::TERM).unwrap();
    ends_calmly(pid);
    drop(console);
    is_taken_over(&project, &sshd, &before);
}
