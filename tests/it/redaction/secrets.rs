//! `secrets` of a project: canaries from every source, and every sink of a real daemon searched for them.

use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::{Pid, Signal, kill_process};

use super::{canaries::files_below, get, live_until, sockets};
use crate::{
    daemon::{daemon_pid, good, nothing_is_left, service},
    pty::terminal::{Project, Terminal},
    support::eventually,
};

/// Words that nothing but their source gives away.
const SONGS: [&str; 5] = ["warbling finch", "chanting linnet", "humming siskin", "trilling serin", "muttering wren"];

/// `web` writes all that it was given; `broken` is never given anything.
const SERVICES: &str = r#"
  web:
    shell: 'while :; do echo "$$FROM_FILE; $$FROM_LINE; $$FROM_LIST; $$OPENED_WITH; plain"; echo "err $$FROM_FILE" >&2; sleep 0.2; done'
    secrets:
      FROM_FILE: {file: ./one.txt}
      FROM_LINE: {command: 'echo ran >> ran; cat two.txt'}
      FROM_LIST: {command: [cat, three.txt]}
      OPENED_WITH: {env: OUTSIDE}
  job:
    shell: 'echo "last $$FROM_FILE" >&2; exit 1'
    restart: 'no'
    secrets: {FROM_FILE: {file: ./one.txt}}
  broken:
    command: [sleep, '1001']
    restart: 'no'
    secrets: {FROM_LINE: {command: 'cat five.txt; cat five.txt >&2; exit 5'}}
"#;

fn project() -> Project {
    let project = Project::yaml("");
    for (file, song) in ["one.txt", "two.txt", "three.txt", "four.txt", "five.txt"].into_iter().zip(SONGS) {
        project.write(file, &format!("{song}\n"));
        fs::set_permissions(project.root().join(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    project.write("cas.yaml", &project.yaml_of(SERVICES));
    project
}

fn is_clean(sink: &str, text: &str) {
    for song in SONGS {
        assert!(!text.contains(song), "{sink} sings {song}: {text}");
    }
}

fn said(project: &Project, arguments: &[&str]) -> String {
    let ran = project.cas(arguments, &[]);
    let text = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    is_clean(&format!("cas {arguments:?}"), &text);
    text
}

fn starts(project: &Project) -> usize {
    fs::read_to_string(project.root().join("ran")).unwrap_or_default().lines().count()
}

#[test]
fn secrets_of_a_file_are_sung_nowhere_also_after_their_engine_was_killed() {
    let project = project();
    assert_eq!(starts(&project), 0);
    said(&project, &["check"]);
    assert!(said(&project, &["explain"]).contains("file ./one.txt"));
    assert!(said(&project, &["check", "--json"]).contains("cat two.txt"));
    assert_eq!(starts(&project), 0, "nothing but a start runs a command");
    let opened = project.cas(&["up", "--detach"], &[("OUTSIDE", SONGS[3])]);
    is_clean("cas up", &String::from_utf8_lossy(&opened.stderr));
    eventually("the job has failed", || service(&project, "job")["phase"] == "failed");
    eventually("the start has failed", || service(&project, "broken")["phase"] == "failed");
    eventually("it has written", || said(&project, &["logs", "web"]).matches("plain").count() > 1);
    let shown = said(&project, &["logs", "web", "--no-prefix"]);
    let marks = "‹redacted:FROM_FILE›; ‹redacted:FROM_LINE›; ‹redacted:FROM_LIST›; ‹redacted:OPENED_WITH›; plain";
    assert!(shown.contains(marks), "{shown}");
    let status = said(&project, &["status", "--json"]);
    let why = "the secret FROM_LINE cannot be had from command cat five.txt; cat five.txt >&2; exit 5: exit code 5: ‹redacted:FROM_LINE›";
    assert!(status.contains(why), "{status}");
    assert!(status.contains("OPENED_WITH"), "names are shown");
    every_sink(&project);
    assert_eq!(starts(&project), 1);

    // What the next engine cannot find out of its sources, the process still has.
    let daemon = daemon_pid(&project).unwrap();
    kill_process(Pid::from_raw(daemon).unwrap(), Signal::KILL).unwrap();
    eventually("it is gone", || daemon_pid(&project) != Some(daemon));
    said(&project, &["logs"]);
    fs::remove_file(project.root().join("one.txt")).unwrap();
    fs::remove_file(project.root().join("two.txt")).unwrap();
    good(&project, &["daemon", "start"]);
    eventually("it is taken over", || service(&project, "web")["phase"] == "running");
    every_sink(&project);
    assert_eq!(starts(&project), 1, "nobody was started");
    kept(&project);
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

#[test]
fn another_source_is_a_new_start_with_the_new_value() {
    let project = project();
    let services = |file: &str| {
        format!("  web:\n    shell: 'echo \"got $$KEY end\"; sleep 1000'\n    secrets: {{KEY: {{file: {file}}}}}\n")
    };
    project.write("cas.yaml", &project.yaml_of(&services("one.txt")));
    good(&project, &["up", "--detach"]);
    eventually("it has written", || said(&project, &["logs"]).contains("got"));
    project.write("cas.yaml", &project.yaml_of(&services("three.txt")));
    good(&project, &["reload"]);
    eventually("the new one runs", || said(&project, &["logs"]).matches("got ‹redacted:KEY› end").count() == 2);
    let raw = project.cas(&["logs", "--raw"], &[]);
    let raw = String::from_utf8_lossy(&raw.stdout).into_owned();
    assert!(raw.contains(SONGS[0]) && raw.contains(SONGS[2]), "{raw}");
    good(&project, &["daemon", "stop", "--down"]);
    nothing_is_left(&project);
}

fn every_sink(project: &Project) {
    for arguments in [
        &["status"][..],
        &["check"],
        &["explain"],
        &["explain", "--json"],
        &["logs"],
        &["logs", "--json"],
        &["events"],
        &["events", "--json"],
        &["daemon", "logs"],
        &["daemon", "status", "--json"],
        &["--read-only", "logs", "web"],
    ] {
        said(project, arguments);
    }
    let [socket, shows] = sockets(project);
    for path in ["/v1/snapshot", "/v1/services", "/v1/logs", "/v1/logs?since=1h", "/v1/entries", "/v1/daemon"] {
        is_clean(path, &get(&socket, path));
        is_clean(path, &get(&shows, path));
    }
    is_clean("/v1/live", &live_until(&socket, &["‹redacted:OPENED_WITH›; plain", "snapshot"]));
    let mut console = Terminal::open(project);
    console.eventually("it shows the services", |screen| screen.is("web", "running") && screen.shows("redacted"));
    console.type_keys("q");
    console.ends();
    is_clean("the console", &String::from_utf8_lossy(&console.raw()));
}

/// On disk, only the output as it was written has them, and what the project was opened with.
fn kept(project: &Project) {
    let mut files = Vec::new();
    let places = project.environment().into_iter().map(|(_, place)| place);
    places.filter(|place| place.is_dir()).for_each(|place| files_below(&place, &mut files));
    let (mut looked_at, mut has_raw) = (0, false);
    for file in files.iter().filter(|file| file.metadata().is_ok_and(|about| about.is_file())) {
        let shown = file.display().to_string();
        let bytes = fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if shown.contains("/log.") {
            has_raw |= SONGS[..4].iter().all(|song| text.contains(song));
        } else if shown.contains("/environment-") {
            // The environment of who opened it, in the runtime directory: for its owner alone, gone with a reboot.
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{shown}");
            assert!(!SONGS[..3].iter().any(|song| text.contains(song)), "{shown}");
        } else {
            is_clean(&shown, &text);
            looked_at += 1;
        }
    }
    assert!(looked_at > 5 && has_raw, "{files:?}");
}
