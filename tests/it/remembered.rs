//! What is remembered over engines that are really killed, with the real binary: the autopilot, edits that nobody applied, who was asked for.

use std::{fs, path::PathBuf};

use cas::shim_format::fnv1a;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    daemon::{daemon_pid, good, json, nothing_is_left, service},
    pty::terminal::Project,
    support::eventually,
};

pub(crate) fn sleeper(name: &str, seconds: u32, more: &str) -> String {
    format!("  {name}: {{command: [sleep, '{seconds}']{more}}}\n")
}

/// The main process of a service that runs, as the engine says and as the kernel does.
fn process(project: &Project, name: &str) -> Option<Pid> {
    let service = service(project, name);
    let pid = Pid::from_raw(i32::try_from(service["pid"].as_i64()?).unwrap())?;
    (service["phase"] == "running" && project.living(name).contains(&pid)).then_some(pid)
}

pub(crate) fn running(project: &Project, names: &[&str]) -> Vec<Pid> {
    let mut found = Vec::new();
    eventually(&format!("{names:?} run"), || {
        found = names.iter().filter_map(|name| process(project, name)).collect();
        found.len() == names.len()
    });
    found
}

/// Why a service is where it is, under the engine that runs now.
fn why(project: &Project, name: &str) -> String {
    service(project, name)["why"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn kill_daemon(project: &Project) {
    let daemon = daemon_pid(project).unwrap();
    kill_process(Pid::from_raw(daemon).unwrap(), Signal::KILL).unwrap();
    eventually("the daemon is gone", || daemon_pid(project) != Some(daemon));
}

/// What is left to the next engine is in its hands.
fn has_engine(project: &Project) {
    eventually("an engine has the project", || json(project, &["status", "--json"])["engine"].is_object());
}

pub(crate) fn start_daemon(project: &Project) {
    good(project, &["daemon", "start"]);
    has_engine(project);
}

fn autopilot(project: &Project) -> String {
    json(project, &["status", "--json"])["engine"]["autopilot"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn end(project: &Project) {
    good(project, &["daemon", "stop", "--down"]);
    assert_eq!(project.living(""), []);
    nothing_is_left(project);
}

#[test]
fn an_autopilot_that_was_switched_off_is_off_under_every_engine_that_follows() {
    let project = Project::yaml(&sleeper("web", 1001, ", restart: always"));
    good(&project, &["up", "--detach"]);
    good(&project, &["autopilot", "off"]);
    let before = running(&project, &["web"]);
    kill_daemon(&project);
    start_daemon(&project);
    assert_eq!(running(&project, &["web"]), before);
    assert_eq!(autopilot(&project), "off");
    good(&project, &["daemon", "restart"]);
    has_engine(&project);
    assert_eq!(running(&project, &["web"]), before);
    assert_eq!(autopilot(&project), "off");
    eventually("it is on the timeline", || {
        let events = project.cas(&["events", "--json"], &[]);
        String::from_utf8_lossy(&events.stdout).contains("before this engine began")
    });
    kill_process(before[0], Signal::KILL).unwrap();
    eventually("it is not healed", || why(&project, "web").contains("the autopilot is off"));
    end(&project);
}

#[test]
fn a_file_that_was_edited_while_no_engine_ran_is_applied_when_somebody_reloads_it() {
    let project =
        Project::yaml(&[sleeper("web", 1001, ""), sleeper("old", 1002, ""), sleeper("same", 1003, "")].concat());
    good(&project, &["up", "--detach"]);
    let names = ["web", "old", "same"];
    let before = running(&project, &names);
    kill_daemon(&project);
    let edited = [
        sleeper("web", 2001, ""),
        "\n  # moved\n".to_owned(),
        sleeper("same", 1003, ""),
        sleeper("new", 1004, ", autostart: true"),
    ];
    project.write("cas.yaml", &project.yaml_of(&edited.concat()));
    for _ in 0..2 {
        start_daemon(&project);
        assert_eq!(running(&project, &names), before, "nothing was touched");
        assert!(
            why(&project, "web").contains("it runs with older settings than its file has"),
            "{}",
            why(&project, "web")
        );
        assert!(
            why(&project, "old").contains("it is gone from the project file and runs on"),
            "{}",
            why(&project, "old")
        );
        assert!(!why(&project, "same").contains("older"), "{}", why(&project, "same"));
        assert!(why(&project, "new").contains("new in the project file"), "{}", why(&project, "new"));
        kill_daemon(&project);
    }
    start_daemon(&project);
    running(&project, &names);
    let plan = project.cas(&["reload", "--dry-run"], &[]);
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    for line in ["restart web: it runs with older settings", "stop old (gone from the file)"] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    assert_eq!(running(&project, &names), before, "a dry run touches nothing");
    good(&project, &["reload"]);
    eventually("what is gone is stopped", || project.living("old").is_empty() && service(&project, "old").is_null());
    eventually("what changed is another", || process(&project, "web").is_some_and(|pid| pid != before[0]));
    assert_eq!(running(&project, &["same"]), [before[2]]);
    end(&project);
}

#[test]
fn a_service_that_left_its_file_is_stopped_by_name() {
    let project = Project::yaml(&[sleeper("web", 1001, ""), sleeper("old", 1002, ", tty: true")].concat());
    good(&project, &["up", "--detach"]);
    let before = running(&project, &["web", "old"]);
    kill_daemon(&project);
    project.write("cas.yaml", &project.yaml_of(&sleeper("web", 1001, "")));
    start_daemon(&project);
    assert_eq!(running(&project, &["web", "old"]), before);
    let said = project.cas(&["stop", "old", "--no-wait"], &[]);
    assert!(said.status.success(), "{said:?}");
    eventually("it is gone", || project.living("old").is_empty() && service(&project, "old").is_null());
    assert_eq!(running(&project, &["web"]), [before[0]]);
    end(&project);
}

#[test]
fn limits_that_were_edited_while_no_engine_ran_hold_from_the_next_run_on() {
    let forks = "shell: 'for n in 1 2 3 4 5 6; do sleep 1001 & done; wait; sleep 1001'";
    let project = Project::yaml(&format!("  web: {{{forks}}}\n"));
    good(&project, &["up", "--detach"]);
    eventually("it has all its children", || project.living("web").len() == 7);
    let before = running(&project, &["web"]);
    kill_daemon(&project);
    project.write(
        "cas.yaml",
        &project.yaml_of(&format!("  web: {{{forks}, deploy: {{resources: {{limits: {{pids: 4}}}}}}}}\n")),
    );
    start_daemon(&project);
    assert_eq!(running(&project, &["web"]), before);
    assert_eq!(project.living("web").len(), 7, "the limit is not for what runs");
    let _waits_in_vain = project.cas(&["restart", "web", "--no-wait"], &[]);
    eventually("it cannot fork so often any more", || {
        let logs = project.cas(&["logs", "web", "--no-prefix"], &[]);
        String::from_utf8_lossy(&logs.stdout).contains("fork")
    });
    end(&project);
}

#[test]
fn who_names_services_gets_those_and_no_others_also_from_the_next_engine() {
    let auto = |name, seconds, more: &str| sleeper(name, seconds, &format!(", autostart: true{more}"));
    let services = [auto("db", 1001, ""), auto("web", 1002, ", depends_on: [db]"), auto("mail", 1003, "")].concat();
    let project = Project::yaml(&services);
    let nothing_else = |before: &[Pid]| {
        assert_eq!(running(&project, &["db", "web"]), before);
        assert_eq!(service(&project, "mail")["phase"], "stopped");
        assert_eq!(project.living("mail"), []);
    };
    good(&project, &["up", "--detach", "web"]);
    let before = running(&project, &["db", "web"]);
    nothing_else(&before);
    kill_daemon(&project);
    start_daemon(&project);
    nothing_else(&before);
    good(&project, &["daemon", "restart"]);
    has_engine(&project);
    nothing_else(&before);
    good(&project, &["down"]);
    assert_eq!(project.living(""), []);

    good(&project, &["start", "web"]);
    let before = running(&project, &["db", "web"]);
    nothing_else(&before);
    good(&project, &["restart", "web"]);
    let before = running(&project, &["db", "web"]);
    nothing_else(&before);
    good(&project, &["down"]);

    good(&project, &["open", "."]);
    running(&project, &["db", "web", "mail"]);
    good(&project, &["down"]);
    good(&project, &["open", ".", "--starts", "nothing"]);
    assert_eq!(service(&project, "mail")["why"], "not started yet: opened without autostart");
    assert_eq!(project.living(""), []);
    end(&project);
}

#[test]
fn a_project_whose_engine_was_killed_is_taken_down_without_starting_anything() {
    let project = Project::yaml(&[sleeper("web", 1001, ""), sleeper("mail", 1002, ", autostart: true")].concat());
    good(&project, &["up", "--detach", "web"]);
    running(&project, &["web"]);
    kill_daemon(&project);
    fs::remove_file(project.environment()[0].1.join("care.json")).unwrap();
    good(&project, &["daemon", "start"]);
    good(&project, &["down"]);
    let events = project.cas(&["events", "mail"], &[]);
    assert!(!String::from_utf8_lossy(&events.stdout).contains("started"), "{events:?}");
    end(&project);
}

/// The journal of the project.
pub(crate) fn journal(project: &Project) -> PathBuf {
    let places = project.environment()[0].1.join("projects");
    let place = fs::read_dir(places).unwrap().flatten().next().unwrap();
    place.path().join("journal")
}

/// Alters every record of the journal as if another version of cas had written it.
fn rewrite(project: &Project, alter: &dyn Fn(&mut Value)) {
    let file = journal(project);
    let text = fs::read_to_string(&file).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty()).map(|line| {
        let mut words = line.splitn(4, ' ');
        let (version, _hash) = (words.next().unwrap(), words.next().unwrap());
        let (service, record) = (words.next().unwrap(), words.next().unwrap());
        let mut value: Value = serde_json::from_str(record).unwrap();
        alter(&mut value);
        let body = format!("{service} {value}");
        format!("\n{version} {:016x} {body}\n", fnv1a(body.as_bytes()))
    });
    fs::write(&file, lines.collect::<String>()).unwrap();
}

#[test]
fn an_engine_goes_on_from_what_an_older_or_a_newer_one_has_noted() {
    let project = Project::yaml(&sleeper("web", 1001, ", restart: always"));
    good(&project, &["up", "--detach"]);
    let first = running(&project, &["web"]);
    kill_process(first[0], Signal::KILL).unwrap();
    eventually("it is healed", || service(&project, "web")["restarts"] == 1);
    let before = running(&project, &["web"]);
    let noted = fs::read_to_string(journal(&project)).unwrap();
    assert!(noted.contains("\"spent\":"), "what the budget gave stands in the record of the restart: {noted}");
    let newer = |value: &mut Value| {
        value.as_object_mut().unwrap().insert("tomorrow".to_owned(), json!({"a": [1]}));
        for part in ["state", "engine"] {
            if let Some(fields) = value[part].as_object_mut() {
                fields.insert("tomorrow".to_owned(), json!([null]));
            }
        }
        if let Some(run) = value["state"]["run"].as_object_mut() {
            run.insert("tomorrow".to_owned(), json!("x"));
        }
    };
    let older = |value: &mut Value| {
        value.as_object_mut().unwrap().remove("engine");
        let Some(run) = value["state"]["run"].as_object_mut() else { return };
        run.remove("made_from");
        run.remove("care");
    };
    let versions: [&dyn Fn(&mut Value); 2] = [&newer, &older];
    for alter in versions {
        kill_daemon(&project);
        rewrite(&project, alter);
        start_daemon(&project);
        assert_eq!(running(&project, &["web"]), before);
        assert_eq!(service(&project, "web")["restarts"], 1, "the count goes on");
        let events = project.cas(&["events"], &[]);
        assert!(!String::from_utf8_lossy(&events.stdout).contains("cannot be used"), "{events:?}");
    }
    end(&project);
}
