//! A console over ssh that is attached to the daemon: whatever becomes of the connection, the daemon and its services go on.

use rustix::process::{Pid, Signal, kill_process};

use super::server::{FLOOD, Sshd, down, ends_calmly, is_held, no_line_is_lost, pids, writes_on};
use crate::{
    pty::terminal::{Project, Terminal, cpu_ticks},
    support::eventually,
};

const NAMES: [&str; 3] = ["web", "worker", "cache"];

/// A small demo: one that writes numbered lines, one that needs it, one that only is there.
const SHOP: &str = "  web: {shell: 'n=0; while :; do n=$$((n+1)); echo line $$n; sleep 0.02; done', restart: always}
  worker: {shell: 'while :; do echo working; sleep 0.2; done', depends_on: [web]}
  cache: {command: [sleep, '1001']}\n";

fn good(project: &Project, arguments: &[&str]) -> String {
    let ran = project.cas(arguments, &[]);
    assert!(ran.status.success(), "cas {arguments:?}: {ran:?}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A daemon with the project, brought up over ssh without a terminal, and a console on it over ssh.
fn attached(project: &Project, config: &str) -> (Sshd, Terminal, Pid) {
    let sshd = Sshd::start(project, config);
    let up = sshd.cas(project, "up --detach");
    assert!(up.status.success(), "{up:?}");
    let (console, pid) = sshd.console(project);
    console.eventually("it is attached", |s| s.shows("⇄ daemon") && NAMES.iter().all(|name| s.is(name, "running")));
    (sshd, console, pid)
}

fn daemon(project: &Project) -> i64 {
    let status: serde_json::Value = serde_json::from_str(&good(project, &["daemon", "status", "--json"])).unwrap();
    status["pid"].as_i64().unwrap()
}

/// Cuts a connection with `cut`, and looks at everybody.
fn a_cut_is_nobodys_end(config: &str, cut: impl FnOnce(&Sshd, &Terminal, Pid)) {
    let project = Project::yaml(SHOP);
    let (sshd, mut console, pid) = attached(&project, config);
    console.type_keys("jj");
    console.type_keys("r");
    console.until_shows("asked: restart");
    let before = pids(&project, &NAMES);
    let engine = daemon(&project);
    writes_on(&project, 20);

    cut(&sshd, &console, pid);
    ends_calmly(pid);
    drop(console);
    assert_eq!((daemon(&project), pids(&project, &NAMES)), (engine, before.clone()), "nobody else noticed");
    writes_on(&project, 20);
    good(&project, &["restart", "worker"]);

    let (mut again, _) = sshd.console(&project);
    again.eventually("the same state, and the timeline from before, during and after", |s| {
        s.is("web", "running")
            && s.shows("⇄ daemon")
            && s.shows(&format!("asked: restart {}/cache", project.name))
            && s.shows("asked: restart worker")
    });
    assert_eq!(pids(&project, &["web"]), before[..1]);
    again.type_keys("q");
    assert_eq!(again.ends(), 0, "ssh hands on the exit code");
    again.is_given_back();
    no_line_is_lost(&project);
    down(&project);
}

#[test]
fn a_client_that_is_killed_takes_its_console_along_and_nothing_else() {
    a_cut_is_nobodys_end("", |_, console, _| console.signal(Signal::KILL));
}

#[test]
fn a_session_that_is_killed_on_the_box_takes_its_console_along_and_nothing_else() {
    a_cut_is_nobodys_end("", |sshd, _, console| kill_process(sshd.session_of(console), Signal::KILL).unwrap());
}

#[test]
fn a_link_that_hangs_is_given_up_by_sshd_and_its_console_ends_with_it() {
    a_cut_is_nobodys_end("ClientAliveInterval 1\nClientAliveCountMax 2\n", |_, console, _| {
        console.signal(Signal::STOP);
    });
}

/// A console that is held in write(2), because its client was stopped under a flood.
fn held(project: &Project) -> (Sshd, Terminal, Pid) {
    let (sshd, mut console, pid) = attached(project, "");
    console.type_keys("jjj");
    console.type_keys("l");
    console.type_keys("z");
    console.until_shows("flood 2");
    console.signal(Signal::STOP);
    is_held(pid);
    (sshd, console, pid)
}

#[test]
fn a_link_that_hangs_holds_nobody_but_its_own_console_and_that_one_catches_up() {
    let project = Project::yaml(&format!("{SHOP}{FLOOD}"));
    let (sshd, mut console, pid) = held(&project);
    let before = pids(&project, &NAMES);
    let (ticks, began) = (cpu_ticks(pid).unwrap(), std::time::SystemTime::now());
    writes_on(&project, 50);
    kill_process(Pid::from_raw(i32::try_from(before[0]).unwrap()).unwrap(), Signal::KILL).unwrap();
    eventually("the daemon heals as ever", || pids(&project, &["web"]) != before[..1]);
    let (mut other, _) = sshd.console(&project);
    other.eventually("another console is served", |s| s.is("web", "running") && s.shows("restarted"));
    other.type_keys("q");
    assert_eq!(other.ends(), 0);
    let status: serde_json::Value = serde_json::from_str(&good(&project, &["daemon", "status", "--json"])).unwrap();
    for (name, queue) in status["queues"].as_object().unwrap() {
        assert!(
            queue["len"].as_u64().unwrap() * 2 <= queue["capacity"].as_u64().unwrap(),
            "{name} is filling: {queue}"
        );
    }
    let spent = (cpu_ticks(pid).unwrap() - ticks) as f64 / rustix::param::clock_ticks_per_second() as f64;
    let waited = began.elapsed().unwrap().as_secs_f64();
    assert!(spent < waited / 4.0, "{spent} s of CPU in {waited} s of waiting");

    console.signal(Signal::CONT);
    console.type_keys("z2");
    console.eventually("what it missed is there", |s| {
        s.is("web", "running") && s.shows("restarted") && s.shows("⇄ daemon")
    });
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
    down(&project);
}

#[test]
fn a_console_on_a_link_that_hangs_ends_when_it_is_asked_to() {
    for signal in [Signal::TERM, Signal::HUP] {
        let project = Project::yaml(&format!("{SHOP}{FLOOD}"));
        let (_sshd, console, pid) = held(&project);
        let before = pids(&project, &NAMES);
        kill_process(pid, signal).unwrap();
        ends_calmly(pid);
        console.signal(Signal::KILL);
        assert_eq!(pids(&project, &NAMES), before);
        down(&project);
    }
}
