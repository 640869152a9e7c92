//! The daemon as it is, with the real binary: what it takes under care outlives consoles, command lines, and the daemon itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Stdio},
    time::Duration,
};

use cas::{
    model::{
        ids::{ProjectName, RunId, ServiceName},
        phase::Exit,
        policy::Origin,
        timeline::{Entry, What},
    },
    world::clock,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    pty::terminal::{Launch, Project, Terminal},
    support::eventually,
};

const TWO: &str = "  web: {shell: 'n=0; while :; do n=$$((n+1)); echo line $$n; sleep 0.05; done'}\n  worker: {command: [sleep, '1001']}\n";

pub(crate) fn json(project: &Project, arguments: &[&str]) -> serde_json::Value {
    let ran = project.cas(arguments, &[]);
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

pub(crate) fn good(project: &Project, arguments: &[&str]) -> String {
    let ran = project.cas(arguments, &[]);
    assert!(ran.status.success(), "cas {arguments:?}: {ran:?}");
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

pub(crate) fn daemon_pid(project: &Project) -> Option<i32> {
    let ran = project.cas(&["daemon", "status", "--json"], &[]);
    let json: serde_json::Value = serde_json::from_slice(&ran.stdout).ok()?;
    i32::try_from(json["pid"].as_i64()?).ok()
}

pub(crate) fn service(project: &Project, name: &str) -> serde_json::Value {
    let status = json(project, &["status", "--json"]);
    let services = status["services"].as_array().cloned().unwrap_or_default();
    services.into_iter().find(|service| service["name"] == name).unwrap_or_default()
}

/// The main processes of both services, those that run, whether an engine looks after them or not.
fn processes(project: &Project) -> [Option<Pid>; 2] {
    ["web", "worker"].map(|name| {
        let service = service(project, name);
        let pid = service["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap()));
        pid.filter(|pid| service["phase"] == "running" && project.living(name).contains(pid))
    })
}

/// Both services run; their main processes.
fn both(project: &Project) -> [Option<Pid>; 2] {
    let mut found = [None; 2];
    eventually("both run", || {
        found = processes(project);
        found.iter().all(Option::is_some)
    });
    found
}

pub(crate) fn nothing_is_left(project: &Project) {
    eventually("neither a daemon nor a shim nor a service is left", || project.relatives().is_empty());
}

#[test]
fn up_detached_returns_and_everybody_who_looks_sees_the_same() {
    let project = Project::yaml(TWO);
    let said = good(&project, &["up", "--detach"]);
    assert!(said.starts_with("started the daemon") && said.contains("under care"), "{said}");
    let before = both(&project);
    let daemon = daemon_pid(&project).unwrap();
    let cmdline = fs::read(format!("/proc/{daemon}/cmdline")).unwrap();
    assert!(cmdline.starts_with(b"cas\0daemon\0run\0"), "ps shows what it is: {:?}", String::from_utf8_lossy(&cmdline));
    assert!(good(&project, &["up", "--detach"]).contains(&daemon.to_string()), "twice is once");
    assert_eq!(both(&project), before);

    let mut console = Terminal::open(&project);
    console.eventually("it is attached", |s| s.is("web", "running") && s.shows("⇄ daemon"));
    good(&project, &["restart", "worker"]);
    console.until_shows("command line");
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
    assert_eq!(processes(&project)[0], before[0], "a console that was attached only leaves");

    let status = json(&project, &["daemon", "status", "--json"]);
    assert_eq!(status["projects"][0]["name"], project.name.as_str());
    assert!(status["projects"][0]["under_care_since"].is_string(), "{status}");
    good(&project, &["down"]);
    assert_eq!(project.living(""), []);
    assert_eq!(daemon_pid(&project), Some(daemon), "down lets go of the project and not of the daemon");
    good(&project, &["daemon", "stop"]);
    nothing_is_left(&project);
}

#[test]
fn a_daemon_that_is_stopped_and_kept_leaves_services_to_the_next_one() {
    let project = Project::yaml(TWO);
    good(&project, &["up", "--detach"]);
    let before = both(&project);
    let refused = project.cas(&["daemon", "stop"], &[]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    good(&project, &["daemon", "stop", "--keep"]);
    assert_eq!(project.cas(&["daemon", "status"], &[]).status.code(), Some(3));
    assert_eq!(processes(&project), before);
    assert!(service(&project, "web")["why"].as_str().unwrap().contains("without an engine"));

    good(&project, &["daemon", "start"]);
    assert_eq!(both(&project), before, "taken over, not started anew");
    eventually("its story goes on", || {
        let ran = project.cas(&["daemon", "logs"], &[]);
        String::from_utf8_lossy(&ran.stdout).contains("taken over")
    });
    good(&project, &["daemon", "stop", "--down"]);
    assert_eq!(project.living(""), []);
    nothing_is_left(&project);
}

#[test]
fn a_killed_daemon_loses_nothing_and_the_next_one_takes_over() {
    let project = Project::yaml(TWO);
    good(&project, &["up", "--detach"]);
    kill_process(both(&project)[0].unwrap(), Signal::KILL).unwrap();
    eventually("it is healed", || service(&project, "web")["restarts"] == 1);
    let before = both(&project);
    for _ in 0..3 {
        let daemon = daemon_pid(&project).unwrap();
        kill_process(Pid::from_raw(daemon).unwrap(), Signal::KILL).unwrap();
        eventually("it is gone", || daemon_pid(&project) != Some(daemon));
        assert_eq!(processes(&project), before);
        good(&project, &["daemon", "start"]);
        assert_eq!(both(&project), before);
        assert_eq!(service(&project, "web")["restarts"], 1, "the count goes on");
    }
    let lines = project.cas(&["logs", "web", "--no-prefix"], &[]);
    let text = String::from_utf8_lossy(&lines.stdout).into_owned();
    let numbers: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("line ")?.trim().parse().ok()).collect();
    let second = numbers.iter().skip(1).position(|number| *number == 1).map_or(0, |at| at + 1);
    let run = &numbers[second..];
    assert!(run.len() > 10, "{text}");
    assert!(run.windows(2).all(|pair| pair[1] == pair[0] + 1), "none is missing, none twice: {run:?}");
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn an_end_that_was_told_by_an_engine_that_was_killed_before_it_noted_so_is_told_once() {
    let project = Project::yaml("  web: {command: [sleep, '1001'], restart: 'no'}\n");
    good(&project, &["up", "--detach"]);
    eventually("it runs", || service(&project, "web")["phase"] == "running");
    let web = service(&project, "web");
    let daemon = daemon_pid(&project).unwrap();
    kill_process(Pid::from_raw(daemon).unwrap(), Signal::KILL).unwrap();
    eventually("the daemon is gone", || daemon_pid(&project) != Some(daemon));
    let pid = i32::try_from(web["pid"].as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let run = RunId(web["run"].as_u64().unwrap());
    // As the engine would have left it that was killed between its spool and its journal.
    let told = Entry {
        seq: 900,
        at: clock::now(),
        project: Some(ProjectName::new(web["project"].as_str().unwrap()).unwrap()),
        service: Some(ServiceName::new("web").unwrap()),
        run: Some(run),
        who: Origin::System,
        what: What::Exited { exit: Exit::Unknown, after: Duration::from_secs(1), last_words: Vec::new() },
        why: "told before".to_owned(),
    };
    let line = serde_json::to_string(&told).unwrap() + "\n";
    fs::write(project.state_dir().join("spool/1-1a.jsonl"), line).unwrap();
    good(&project, &["daemon", "start"]);
    eventually("the next one knows of the end", || {
        !matches!(service(&project, "web")["phase"].as_str(), None | Some("running"))
    });
    let ends = || {
        let events = project.cas(&["events", "--json"], &[]);
        let text = String::from_utf8_lossy(&events.stdout).into_owned();
        let entries = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let entries: Vec<_> = entries.collect();
        let of_run = entries.iter().filter(|entry| entry.to_string().contains(&run.0.to_string()));
        of_run.filter(|entry| entry.to_string().contains("exited")).map(ToString::to_string).collect::<Vec<_>>()
    };
    eventually("it is stored", || !ends().is_empty());
    assert_eq!(ends().len(), 1, "{:?}", ends());
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn a_restart_is_a_new_engine_for_the_same_services() {
    let project = Project::yaml(TWO);
    good(&project, &["up", "--detach"]);
    let before = both(&project);
    let first = daemon_pid(&project).unwrap();
    let mut console = Terminal::open(&project);
    console.eventually("it is attached", |s| s.is("web", "running") && s.shows("⇄ daemon"));
    console.until_shows("asked: start");
    good(&project, &["daemon", "restart"]);
    assert_ne!(daemon_pid(&project), Some(first));
    assert_eq!(both(&project), before);
    console.eventually("it is back, with what it knew", |s| {
        s.shows("⇄ daemon") && s.shows("taken over") && s.shows("asked: start")
    });
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn an_attached_console_says_that_its_engine_is_gone_and_comes_back_by_itself() {
    let project = Project::yaml(TWO);
    good(&project, &["up", "--detach"]);
    both(&project);
    let mut console = Terminal::open(&project);
    console.eventually("it is attached", |s| s.is("web", "running") && s.shows("⇄ daemon"));
    let daemon = daemon_pid(&project).unwrap();
    kill_process(Pid::from_raw(daemon).unwrap(), Signal::KILL).unwrap();
    console.eventually("it says so and keeps the picture", |s| s.shows("⇄ retrying") && s.is("web", "running"));
    good(&project, &["daemon", "start"]);
    console.eventually("it is back", |s| s.shows("⇄ daemon") && s.is("web", "running"));
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn of_twenty_that_are_started_at_once_one_runs() {
    let project = Project::yaml(TWO);
    let start = || {
        let mut command = project.command(&["daemon", "start"], &[]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<Child> = (0..20).map(|_| start()).collect();
    let said: Vec<String> = all
        .into_iter()
        .map(|child| {
            let ran = child.wait_with_output().unwrap();
            assert!(ran.status.success(), "{ran:?}");
            String::from_utf8_lossy(&ran.stderr).into_owned()
        })
        .collect();
    let daemon = daemon_pid(&project).unwrap();
    for said in &said {
        assert!(said.contains(&format!("(pid {daemon})")), "all name the one that runs, {daemon}: {said}");
    }
    assert_eq!(said.iter().filter(|said| said.contains("the daemon runs (pid")).count(), 1, "{said:?}");
    eventually("the others are gone", || project.relatives().len() == 1);
    good(&project, &["daemon", "stop"]);
    nothing_is_left(&project);
}

#[test]
fn a_console_that_is_left_hands_its_services_to_the_daemon() {
    let project = Project::yaml(TWO);
    let mut console = Terminal::open(&project);
    console.eventually("it is shown", |s| s.is("web", "stopped"));
    console.type_keys("S");
    console.eventually("both run", |s| s.is("web", "running") && s.is("worker", "running"));
    let before = both(&project);
    console.type_keys("q");
    console.until_shows("2 services run in this console");
    console.type_keys("d");
    assert_eq!(console.ends(), 0);
    console.is_given_back();
    assert_eq!(both(&project), before);
    assert!(daemon_pid(&project).is_some());
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn one_project_has_one_engine_and_the_daemon_says_who_it_is() {
    let project = Project::yaml(TWO);
    let mut console = Terminal::open(&project);
    console.eventually("it is shown", |s| s.is("web", "stopped"));
    good(&project, &["daemon", "start"]);
    let refused = project.cas(&["open", "."], &[]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("another cas (pid "), "{said}");
    let said = good(&project, &["up", "--detach"]);
    assert!(said.contains("which was there already"), "{said}");
    console.eventually("they run in the console", |s| s.is("web", "running") && s.is("worker", "running"));
    console.type_keys("qs");
    assert_eq!(console.ends(), 0);
    good(&project, &["open", "."]);
    eventually("the daemon has it now", || service(&project, "web")["phase"] == "stopped");
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn who_only_looks_is_refused_behind_the_door() {
    let project = Project::yaml(TWO);
    good(&project, &["up", "--detach"]);
    let before = both(&project);
    let refused = project.cas(&["--read-only", "restart", "web"], &[]);
    assert!(!refused.status.success(), "{refused:?}");
    assert!(project.cas(&["--read-only", "status"], &[]).status.success());
    let mut console = Terminal::launch(&project, &Launch { arguments: &["--read-only"], ..Launch::default() });
    console.eventually("it says so", |s| s.shows("read-only") && s.is("web", "running"));
    console.type_keys("r");
    console.until_shows("read-only");
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
    assert_eq!(both(&project), before);
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn sigterm_ends_the_daemon_and_no_service_and_sighup_reads_the_files_again() {
    let project = Project::yaml(TWO);
    good(&project, &["up", "--detach"]);
    let before = both(&project);
    let daemon = Pid::from_raw(daemon_pid(&project).unwrap()).unwrap();
    project.write("cas.yaml", &project.yaml_of(&format!("{TWO}  extra: {{command: [sleep, '1002']}}\n")));
    kill_process(daemon, Signal::HUP).unwrap();
    eventually("the new service is known", || service(&project, "extra")["phase"] == "stopped");
    kill_process(daemon, Signal::TERM).unwrap();
    eventually("it ends", || daemon_pid(&project).is_none());
    assert_eq!(processes(&project), before);
    good(&project, &["down"]);
    nothing_is_left(&project);
}

#[test]
fn a_file_of_another_name_is_opened_as_that_file() {
    let project = Project::yaml(TWO);
    project.write("other.yaml", &project.yaml_of("  lone: {command: [sleep, '1003']}\n"));
    good(&project, &["-f", "other.yaml", "up", "--detach"]);
    assert_eq!(service(&project, "lone")["phase"], "running");
    good(&project, &["daemon", "restart"]);
    eventually("it is that file which is opened again", || service(&project, "lone")["phase"] == "running");
    assert!(service(&project, "web").is_null());
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn a_service_with_a_terminal_is_typed_into_and_let_go_of() {
    let project = Project::yaml(
        "  talker: {shell: 'stty -echo; echo ready; while read x; do echo you said $$x; done', tty: true}\n",
    );
    good(&project, &["up", "--detach"]);
    let mut terminal = Terminal::launch(&project, &Launch { arguments: &["attach", "talker"], ..Launch::default() });
    terminal.until_shows("Ctrl-] lets go of it");
    terminal.type_keys("hello\r");
    terminal.until_shows("you said hello");
    terminal.type_keys("\x1d");
    assert_eq!(terminal.ends(), 0);
    terminal.until_shows("let go of");
    let mut console = Terminal::open(&project);
    console.eventually("it is attached", |s| s.is("talker", "running"));
    console.type_keys("a");
    console.until_shows("Ctrl-] lets go of it");
    console.type_keys("again\r");
    console.until_shows("you said again");
    console.type_keys("\x1d");
    console.eventually("the console is back", |s| s.is("talker", "running") && s.shows("services"));
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
    assert_eq!(service(&project, "talker")["restarts"], 0);
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn in_the_foreground_a_second_daemon_is_refused_by_name() {
    let project = Project::yaml(TWO);
    good(&project, &["daemon", "start"]);
    let daemon = daemon_pid(&project).unwrap();
    let second = project.cas(&["daemon", "run"], &[]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("another daemon (pid {daemon}) runs already")), "{said}");
    good(&project, &["daemon", "stop"]);
    nothing_is_left(&project);
}

#[test]
fn row_17_a_daemon_that_was_stopped_for_a_while_concludes_nothing_from_it() {
    let project = Project::yaml(
        "  web: {shell: 'echo up; exec sleep 1000', liveness: {exec: 'test ! -e ill', interval: 500ms, retries: 1}}\n  worker: {command: [sleep, '1001']}\n",
    );
    good(&project, &["up", "--detach"]);
    let before = both(&project);
    let daemon = Pid::from_raw(daemon_pid(&project).unwrap()).unwrap();
    kill_process(daemon, Signal::STOP).unwrap();
    let stopped = clock::now();
    eventually("it lasts longer than what counts as a stall", || clock::now().since(stopped).as_secs() > 6);
    kill_process(daemon, Signal::CONT).unwrap();
    eventually("it says that it did not run", || {
        let ran = project.cas(&["daemon", "logs"], &[]);
        String::from_utf8_lossy(&ran.stdout).contains("cas did not run for")
    });
    assert_eq!(both(&project), before, "nothing was restarted");
    assert_eq!(service(&project, "web")["restarts"], 0);
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

/// A directory with a systemctl that says `word` whenever it is asked.
fn systemctl(word: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("systemctl");
    fs::write(&program, format!("#!/bin/sh\necho {word}\nexit 1\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[test]
fn a_machine_that_goes_down_ends_services_and_the_next_daemon_begins_them_again() {
    let project = Project::yaml(TWO);
    let says_stopping = systemctl("stopping");
    let path = format!("{}:{}", says_stopping.path().display(), std::env::var("PATH").unwrap());
    assert!(project.cas(&["daemon", "start"], &[("PATH", &path)]).status.success());
    good(&project, &["up", "--detach"]);
    let before = both(&project);
    let daemon = Pid::from_raw(daemon_pid(&project).unwrap()).unwrap();
    kill_process(daemon, Signal::TERM).unwrap();
    eventually("it has ended them, and itself", || project.living("").is_empty() && daemon_pid(&project).is_none());

    good(&project, &["daemon", "start"]);
    let after = both(&project);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    let why = service(&project, "worker")["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("started again after the end of the machine"), "{why}");
    let told = String::from_utf8_lossy(&project.cas(&["daemon", "logs"], &[]).stdout).into_owned();
    assert!(!told.contains("crashed"), "{told}");
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}
