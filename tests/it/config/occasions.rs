//! Profiles, copies, schedules and watched files: what they mean, and what is said about those that are wrong.

use std::time::Duration;

use cas::{
    config,
    model::{
        occasion::OnChange,
        project::ProjectSpec,
        schedule::{OnOverlap, Pace},
        service::{CommandLine, RestartPolicy, ServiceSpec},
        signal::Signal,
    },
};

use super::{Project, load, sound};

#[track_caller]
fn service<'p>(project: &'p ProjectSpec, name: &str) -> &'p ServiceSpec {
    let found = project.services.iter().find(|service| service.id.service.as_str() == name);
    found.unwrap_or_else(|| panic!("there is no {name} in {:?}", names(project)))
}

fn names(project: &ProjectSpec) -> Vec<&str> {
    project.services.iter().map(|service| service.id.service.as_str()).collect()
}

fn ports(service: &ServiceSpec) -> Vec<u16> {
    service.ports.iter().map(|port| port.0).collect()
}

/// A service with these keys.
fn yaml(keys: &str) -> String {
    format!("services:\n  web:\n    command: sleep 1\n    {}\n", keys.replace('\n', "\n    "))
}

/// What is said of a service with these keys.
fn said(keys: &str) -> String {
    let project = Project::new().file("cas.yaml", yaml(keys));
    project.said(&project.load("cas.yaml"))
}

#[test]
fn a_service_starts_by_itself_only_while_one_of_its_profiles_is_active() {
    let text = "services:\n  mail: {command: sleep 1, autostart: true, profiles: [dev, test]}\n";
    for (variable, value, starts) in [
        ("OTHER", "dev", false),
        ("COMPOSE_PROFILES", "dev", true),
        ("COMPOSE_PROFILES", "ci,test", true),
        ("CAS_PROFILES", " test ", true),
        ("CAS_PROFILES", "*", true),
        ("CAS_PROFILES", "prod", false),
    ] {
        let project = Project::new().with(variable, value).file("cas.yaml", text).load("cas.yaml").project.unwrap();
        let mail = service(&project, "mail");
        assert_eq!((mail.autostart, mail.occasions.profiles.dormant), (starts, !starts), "{variable}={value}");
    }
    let by_file = Project::new().file(".env", "COMPOSE_PROFILES=dev\n").file("cas.yaml", text);
    assert!(service(&by_file.load("cas.yaml").project.unwrap(), "mail").autostart);
}

#[test]
fn copies_have_numbers_and_own_ports_of_a_range() {
    let project = sound(
        "services:\n  web:\n    command: [sleep, \"${PORT}\"]\n    replicas: 3\n    ports: [\"3000-3002\"]\n    environment: {WHO: \"web ${CAS_REPLICA}\"}\n    readiness: {tcp: \"${PORT}\"}\n  proxy: {command: sleep 1, depends_on: [web]}\n",
    );
    assert_eq!(names(&project), ["web-1", "web-2", "web-3", "proxy"]);
    let two = service(&project, "web-2");
    assert_eq!(ports(two), [3001]);
    assert_eq!(two.environment["PORT"], "3001");
    assert_eq!(two.environment["CAS_REPLICA"], "2");
    assert_eq!(two.environment["WHO"], "web 2");
    assert_eq!(two.command, CommandLine::Argv(vec!["sleep".to_owned(), "3001".to_owned()]));
    assert_eq!(two.probes.values().next().unwrap().check.summary(), "tcp localhost:3001");
    let replica = two.occasions.replica.as_ref().unwrap();
    assert_eq!((replica.of.as_str(), replica.number, replica.count), ("web", 2, 3));
    let needed: Vec<&str> =
        service(&project, "proxy").depends_on.keys().map(cas::model::ids::ServiceName::as_str).collect();
    assert_eq!(needed, ["web-1", "web-2", "web-3"]);
}

#[test]
fn compose_s_words_for_copies_mean_the_same() {
    for keys in ["replicas: 2", "scale: 2", "deploy: {replicas: 2}", "scale: 2\nreplicas: 2"] {
        assert_eq!(names(&sound(&yaml(keys))), ["web-1", "web-2"], "{keys}");
    }
    let one = sound(&yaml("replicas: 1"));
    assert_eq!((names(&one), one.services[0].environment["CAS_REPLICA"].as_str()), (vec!["web"], "1"));
    assert!(one.services[0].occasions.replica.is_none());
}

#[test]
fn a_port_that_copies_share_is_a_note_and_a_range_that_is_too_short_an_error() {
    let loaded = load(&yaml("replicas: 3\nports: [8080]"));
    let project = loaded.project.unwrap();
    assert!(project.services.iter().all(|service| ports(service) == [8080]));
    let note = &loaded.notes[0];
    assert_eq!(note.message, "ports: all 3 copies of web listen on port 8080");
    assert!(note.hint.as_ref().unwrap().contains("8080-8082 gives each copy its own"), "{note:?}");
    assert_eq!(loaded.notes.len(), 1);
    let short = said("replicas: 3\nports: [3000-3001]");
    assert!(short.contains("error: ports: 2 ports are too few for 3 copies of web"), "{short}");
    assert!(short.contains("write 3000-3002"), "{short}");
    let others = said("replicas: 2\nports: [3000-3001]\n  db:\n    command: sleep 1\n    ports: [3001]");
    assert!(!others.contains("copies"), "{others}");
}

#[test]
fn copies_that_cannot_be_are_told_once() {
    for (keys, part) in [
        ("replicas: 0", "replicas: \"0\" is none"),
        ("replicas: 65", "replicas: \"65\" is more than 64"),
        ("replicas: many", "replicas: \"many\" is not a whole number"),
        ("replicas: 2\nscale: 3", "scale: replicas says something else"),
        ("replicas: 2\nrestat: no", "restat: not a key of a service"),
        ("replicas: 2\nworking_dir: nowhere", "working_dir: there is no directory"),
    ] {
        let said = said(keys);
        assert_eq!(said.matches("error:").count(), 1, "{keys}: {said}");
        assert!(said.contains(part), "{keys}: {said}");
    }
    let twins = load("services:\n  web: {command: sleep 1, replicas: 2}\n  web-1: {command: sleep 1}\n");
    assert_eq!(twins.errors[0].message, "web-1: copy 1 of web has this name, too");
    let itself = load("services:\n  web: {command: sleep 1, replicas: 2, depends_on: [web]}\n");
    assert!(itself.errors.iter().any(|error| error.message.contains("wait")), "{:?}", itself.errors);
    let defaults = load("defaults: {deploy: {replicas: 2}}\nservices: {web: {command: sleep 1}}\n");
    assert_eq!(defaults.errors[0].message, "replicas: not in defaults");
}

#[test]
fn a_clock_is_written_as_text_or_map() {
    let pace = |keys: &str| sound(&yaml(keys)).services[0].occasions.schedule.clone().unwrap();
    assert_eq!(pace("schedule: '*/15  9-17 * * MON-FRI'").pace, Pace::Cron("*/15 9-17 * * MON-FRI".to_owned()));
    assert_eq!(pace("schedule: '@daily'").pace, Pace::Cron("@daily".to_owned()));
    assert_eq!(pace("schedule: every 15m").pace, Pace::Every(Duration::from_mins(15)));
    let all = pace("schedule: {cron: 0 2 * * *, timezone: Europe/Berlin, on_overlap: restart, catch_up: true}");
    assert_eq!((all.zone.name(), all.on_overlap, all.catch_up), ("Europe/Berlin", OnOverlap::Restart, true));
    let project = Project::new().with("TZ", "Asia/Tokyo").file("cas.yaml", yaml("schedule: {every: 90s}"));
    let web = project.load("cas.yaml").project.unwrap().services[0].clone();
    let schedule = web.occasions.schedule.as_ref().unwrap();
    assert_eq!((schedule.zone.name(), schedule.on_overlap, schedule.catch_up), ("Asia/Tokyo", OnOverlap::Skip, false));
    assert_eq!((web.restart, web.autostart), (RestartPolicy::No, false));
}

#[test]
fn what_a_clock_starts_is_not_started_always_nor_by_its_project() {
    let text =
        "defaults: {restart: always, autostart: true}\nservices:\n  job: {command: sleep 1, schedule: every 1h}\n";
    let loaded = load(text);
    assert_eq!((loaded.errors.len(), loaded.notes.len()), (0, 0), "{loaded:?}");
    let project = loaded.project.unwrap();
    assert_eq!((project.services[0].restart, project.services[0].autostart), (RestartPolicy::No, false));
    let own = said("schedule: every 1h\nrestart: always");
    assert!(own.contains("error: restart: what is always started again never waits for its schedule"), "{own}");
    let started = said("schedule: every 1h\nautostart: true");
    assert!(started.contains("note: autostart: not used beside schedule"), "{started}");
    assert_eq!(said("schedule: every 1h\nrestart: on-failure:3"), "");
}

#[test]
fn a_clock_that_cannot_be_is_told_with_what_to_write() {
    for (keys, part) in [
        ("schedule: sometimes", "schedule: \"sometimes\" is not a cron expression"),
        ("schedule: 0 0 30 2 *", "schedule: \"0 0 30 2 *\" names no time that ever comes"),
        ("schedule: every 10ms", "is too short, at least 1s is needed"),
        ("schedule: {cron: '* * * * *', every: 1h}", "schedule: it has both cron and every"),
        ("schedule: {catch_up: true}", "schedule: it has neither cron nor every"),
        ("schedule: {every: 1h, on_overlap: skp}", "did you mean \"skip\"?"),
        ("schedule: {every: 1h, timezone: Berlin}", "timezone: \"Berlin\" is not a time zone"),
        ("schedule: {evry: 1h, cron: '@daily'}", "did you mean \"every\"?"),
    ] {
        let said = said(keys);
        assert!(said.contains(part) && said.contains("hint:"), "{keys}: {said}");
    }
}

#[test]
fn watched_files_are_written_as_text_list_or_map() {
    let watch = |keys: &str| sound(&yaml(keys)).services[0].occasions.watch.clone().unwrap();
    assert_eq!(watch("watch: .").paths, ["."]);
    let plain = watch("watch: [src, '*.toml']");
    assert_eq!((plain.paths.len(), plain.debounce, plain.action), (2, Duration::from_millis(300), OnChange::Restart));
    let all = watch("watch: {paths: src, ignore: ['*.md'], debounce: 1s, action: {signal: HUP}}");
    assert_eq!(
        (all.ignore, all.debounce, all.action),
        (vec!["*.md".to_owned()], Duration::from_secs(1), OnChange::Signal(Signal::Hup))
    );
    let run = |keys: &str| watch(&format!("watch: {{paths: [src], action: {keys}}}")).action;
    assert_eq!(run("{run: make all}"), OnChange::Run(CommandLine::Shell("make all".to_owned())));
    assert_eq!(run("{run: [make]}"), OnChange::Run(CommandLine::Argv(vec!["make".to_owned()])));
    assert_eq!(run("restart"), OnChange::Restart);
}

#[test]
fn watched_files_that_cannot_be_are_told_with_what_to_write() {
    for (keys, part) in [
        ("watch: []", "watch: there are 0, not 1 to 256 patterns"),
        ("watch: ['']", "watch: \"\" is empty"),
        ("watch: ../lib", "watch: \"../lib\" leads out of the service's directory"),
        ("watch: 'src/{a'", "is not a pattern"),
        ("watch: {ignore: [a]}", "watch: it has no paths"),
        ("watch: {paths: [a], debounce: 1h}", "debounce: it is more than a minute"),
        ("watch: {paths: [a], action: reload}", "action: \"reload\" is not an action"),
        ("watch: {paths: [a], action: {signal: HUP, run: x}}", "action: it needs exactly one of signal and run"),
        ("watch: {paths: [a], action: {signal: HUPP}}", "signal: \"HUPP\" is not a signal"),
        ("watch: {path: [a]}", "did you mean \"paths\"?"),
    ] {
        let said = said(keys);
        assert!(said.contains(part) && said.contains("hint:"), "{keys}: {said}");
    }
}

#[test]
fn the_json_of_a_check_has_them() {
    let text = "services:\n  web: {command: sleep 1, replicas: 2, profiles: [dev], watch: [src]}\n  job: {command: sleep 1, schedule: every 15m}\n";
    let json = config::check_json(&load(text));
    let two = &json["services"][1];
    assert_eq!(two["name"], "web-2");
    assert_eq!(two["replica"], serde_json::json!({"of": "web", "number": 2, "count": 2}));
    assert_eq!((&two["profiles"][0], &two["watch"]), (&"dev".into(), &"src: restart".into()));
    assert_eq!(
        (&json["services"][2]["schedule"], &json["services"][2]["replica"]),
        (&"every 15m".into(), &serde_json::Value::Null)
    );
}

#[test]
fn files_of_other_tools_carry_them_over_and_are_read_back_as_the_same() {
    let text = "processes:\n  web:\n    command: sleep 1\n    replicas: 2\n    disabled: false\n  job:\n    command: sleep 1\n    schedule: {cron: '0 2 * * *'}\n  tick:\n    command: sleep 1\n    schedule: {interval: 15m}\n  after:\n    command: sleep 1\n    depends_on: {web: {condition: process_started}}\n";
    let compose = "services:\n  web:\n    command: sleep 1\n    image: x\n  mail:\n    command: sleep 1\n    image: x\n    profiles: [dev]\n";
    let project = Project::new().file("process-compose.yaml", text).with("TZ", "UTC");
    let as_it_is = project.load("process-compose.yaml");
    assert!(as_it_is.errors.is_empty(), "{}", project.said(&as_it_is));
    let spec = as_it_is.project.unwrap();
    assert_eq!(names(&spec), ["web-1", "web-2", "job", "tick", "after"]);
    assert_eq!(service(&spec, "job").occasions.schedule.as_ref().unwrap().to_string(), "0 2 * * * (UTC)");
    assert_eq!(service(&spec, "web-2").environment["CAS_REPLICA"], "2");
    let translation = config::translate(&project.root().join("process-compose.yaml"), project.environment()).unwrap();
    let yaml = &translation.cas_yaml;
    for line in ["    replicas: 2", "    schedule: \"0 2 * * *\"", "    schedule: \"every 15m\""] {
        assert!(yaml.lines().any(|other| other == line), "{line}\n{yaml}");
    }
    config::write_beside(&project.root().join("process-compose.yaml"), yaml).unwrap();
    let again = project.load("cas.yaml").project.unwrap();
    for (one, other) in again.services.iter().zip(&spec.services) {
        assert_eq!((&one.id, &one.occasions, &one.environment), (&other.id, &other.occasions, &other.environment));
        assert_eq!((one.depends_on.len(), one.restart), (other.depends_on.len(), other.restart));
    }
    assert_eq!(again.services.len(), spec.services.len());
    // Containers do not run from here; their profiles are compose's own matter.
    let only = Project::new().file("compose.yaml", compose);
    assert!(!only.said(&only.load("compose.yaml")).contains("of the profile"));
}
