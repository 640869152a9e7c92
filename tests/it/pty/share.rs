//! Several of `cas` on one project: one engine, and everybody sees the same.

use std::process::Child;

use super::terminal::{Project, Terminal};
use crate::support::eventually;

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

fn json(project: &Project, arguments: &[&str]) -> serde_json::Value {
    let ran = project.cas(arguments, &[]);
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// What was asked for so far: the line, and the pid of who asked.
fn asked(project: &Project) -> Vec<(String, u64)> {
    let ran = project.cas(&["events", "--json"], &[]);
    let events = String::from_utf8(ran.stdout).unwrap();
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let asked = events.filter(|event| event["what"] == "requested").map(|event| event["detail"].clone());
    asked.map(|detail| (detail["line"].as_str().unwrap().to_owned(), detail["from"]["pid"].as_u64().unwrap())).collect()
}

/// The pid that an entry about `line` must name.
fn pid(terminal: &Terminal) -> u64 {
    u64::try_from(terminal.pid().as_raw_nonzero().get()).unwrap()
}

#[test]
fn two_consoles_and_a_script_act_at_once_and_all_see_who_did_what() {
    let project = Project::yaml(
        "  web: {command: [sleep, '1000']}\n  worker: {command: [sleep, '1001']}\n  cache: {command: [sleep, '1002']}\n",
    );
    assert!(project.cas(&["up", "--detach"], &[]).status.success());
    let mut consoles = [Terminal::open(&project), Terminal::open(&project)];
    for console in &consoles {
        console.eventually("it is attached", |s| s.is("cache", "running") && s.shows("⇄ daemon"));
    }
    consoles[1].type_keys("j");
    // All three at once: each console restarts its own again and again, the script the third, and starts what is there already.
    let script: Vec<Child> = (0..8)
        .map(|turn| {
            let line: &[&str] = if turn % 2 == 0 { &["restart", "cache"] } else { &["start", "web", "worker"] };
            let mut command = project.command(line, &[]);
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            let child = command.spawn().unwrap();
            for console in &mut consoles {
                console.type_keys("r");
            }
            child
        })
        .collect();
    let script: Vec<u64> = script
        .into_iter()
        .map(|mut child| {
            assert!(child.wait().unwrap().success());
            u64::from(child.id())
        })
        .collect();
    for console in &consoles {
        console.eventually("all is up again", |s| ["web", "worker", "cache"].iter().all(|name| s.is(name, "running")));
    }
    let shown = |terminal: &Terminal| {
        let screen = terminal.screen();
        ["web", "worker", "cache"].map(|name| screen.row(name).get(..3).map(<[String]>::to_vec))
    };
    eventually("both show the same", || shown(&consoles[0]) == shown(&consoles[1]));
    let asked = asked(&project);
    for (service, console) in [("web", &consoles[0]), ("worker", &consoles[1])] {
        let line = format!("restart {}/{service}", project.name);
        let by: Vec<u64> = asked.iter().filter(|(asked, _)| *asked == line).map(|(_, by)| *by).collect();
        assert!(!by.is_empty() && by.iter().all(|by| *by == pid(console)), "{service}: {by:?}");
    }
    let by: Vec<u64> = asked.iter().filter(|(line, _)| line == "restart cache").map(|(_, by)| *by).collect();
    assert!(!by.is_empty() && by.iter().all(|by| script.contains(by)), "cache: {by:?} of {script:?}");
    let story = String::from_utf8(project.cas(&["events"], &[]).stdout).unwrap();
    assert!(story.contains("pts/") && story.contains(&format!("pid {}", pid(&consoles[0]))), "{story}");
    for console in &mut consoles {
        console.type_keys("q");
        assert_eq!(console.ends(), 0);
    }
    assert!(project.cas(&["daemon", "stop", "--down"], &[]).status.success());
}

#[test]
fn a_question_that_was_asked_about_one_state_is_asked_again_in_another() {
    let project = Project::yaml(TWO);
    assert!(project.cas(&["up", "--detach"], &[]).status.success());
    let mut console = Terminal::open(&project);
    console.eventually("it is attached", |s| s.is("web", "running") && s.shows("⇄ daemon"));
    console.type_keys("s");
    console.until_shows("are you sure?");
    let before = json(&project, &["status", "--json"]);
    let seen = before["services"][0]["revision"].as_u64().unwrap().to_string();
    assert!(project.cas(&["restart", "web", "--if-rev", &seen], &[]).status.success());
    let again = project.cas(&["restart", "web", "--if-rev", &seen], &[]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(5), "{said}");
    assert!(said.contains("web has changed since") && said.contains("hint: look again"), "{said}");
    let restarted = project.living("web");

    console.type_keys("y");
    console
        .eventually("it is asked again, with the reason", |s| s.shows("are you sure?") && s.shows("has changed since"));
    assert_eq!(project.living("web"), restarted, "nothing was done");
    console.type_keys("y");
    console.eventually("now it is stopped", |s| s.is("web", "stopped") && s.is("worker", "running"));
    console.type_keys("q");
    assert_eq!(console.ends(), 0);
    assert!(project.cas(&["daemon", "stop", "--down"], &[]).status.success());
}
