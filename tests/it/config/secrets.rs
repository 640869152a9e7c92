//! `secrets` of a project file: what is read of them, what is noted, and that nothing is run for it.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use cas::{
    config,
    model::{
        mark::SpecMark,
        secret::SecretSource::{self, Command, File},
        service::CommandLine,
    },
};

use super::{Project, load};

fn secrets(project: &Project) -> BTreeMap<String, SecretSource> {
    let loaded = project.load("cas.yaml");
    let spec = loaded.project.clone().unwrap_or_else(|| panic!("{}", project.said(&loaded)));
    spec.services[0].secrets.clone()
}

fn quiet_file(project: Project, name: &str) -> Project {
    let project = project.file(name, "CANARY-in-a-file");
    fs::set_permissions(project.root().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    project
}

#[test]
fn sources_are_read_and_what_stands_closer_wins() {
    let yaml = "
defaults:
  environment: {C: from the defaults}
  secrets: {A: {env: OUTSIDE}, B: {file: b.pass}, D: {env: OUTSIDE}}
services:
  web:
    command: sleep 1
    environment: {D: plain}
    secrets:
      A: {file: ./a.pass}
      C: {command: [printf, '%s', x]}
      E: {command: 'echo $$HOME; true'}
";
    let project =
        quiet_file(quiet_file(Project::new().with("OUTSIDE", "x"), "a.pass"), "b.pass").file("cas.yaml", yaml);
    let expected = [
        ("A", File(project.root().join("a.pass"))),
        ("B", File(project.root().join("b.pass"))),
        ("C", Command(CommandLine::Argv(vec!["printf".to_owned(), "%s".to_owned(), "x".to_owned()]))),
        ("E", Command(CommandLine::Shell("echo $HOME; true".to_owned()))),
    ];
    assert_eq!(secrets(&project), expected.map(|(name, source)| (name.to_owned(), source)).into());
    let loaded = project.load("cas.yaml");
    assert_eq!(project.said(&loaded), "");
    let spec = loaded.project.as_ref().unwrap().services[0].clone();
    assert_eq!(spec.environment, [("D".to_owned(), "plain".to_owned())].into());
    assert_eq!(spec.variables(), ["A", "B", "C", "D", "E"]);
    let mut other = (*spec).clone();
    other.secrets.insert("A".to_owned(), File(PathBuf::from("/elsewhere")));
    assert!(SpecMark::of(&spec).differs(SpecMark::of(&other)), "another source needs a start");
    let json = config::check_json(&loaded);
    assert_eq!(json["services"][0]["secrets"]["E"], "command echo $HOME; true");
    assert_eq!(json["services"][0]["environment_names"], serde_json::json!(["A", "B", "C", "D", "E"]));
}

#[test]
fn neither_checking_nor_explaining_runs_a_command_or_shows_a_value() {
    let yaml = "
services:
  web:
    command: sleep 1
    secrets:
      DB_PASSWORD: {file: ./db.pass}
      API_TOKEN: {command: 'touch ran; echo CANARY-of-a-command'}
      LIST: {command: [op, read, 'op://shop/db']}
      OUT_KEY: {env: OUTSIDE}
";
    let project = quiet_file(Project::new().with("OUTSIDE", "CANARY-outside"), "db.pass").file("cas.yaml", yaml);
    let loaded = project.load("cas.yaml");
    let explanation = config::explain(&loaded, project.environment());
    let values: BTreeMap<_, _> =
        explanation.services[0].values.iter().map(|value| (value.key.as_str(), value.value.as_str())).collect();
    assert_eq!(values["secrets.DB_PASSWORD"], "file ./db.pass");
    assert_eq!(values["secrets.API_TOKEN"], "command touch ran; echo CANARY-of-a-command", "as it is written");
    assert_eq!(values["secrets.LIST"], "command op read op://shop/db");
    assert_eq!(values["secrets.OUT_KEY"], "env OUTSIDE");
    let all = format!("{}{:?}{:?}{}", config::check_json(&loaded), loaded, explanation, project.said(&loaded));
    for value in ["CANARY-in-a-file", "CANARY-outside"] {
        assert!(!all.contains(value), "{all}");
    }
    assert!(!project.root().join("ran").exists());
}

#[test]
fn what_a_start_would_stumble_over_is_a_note() {
    let yaml = "
services:
  web:
    command: sleep 1
    environment: {TWICE: x}
    secrets:
      OPEN: {file: open.pass}
      LATER: {file: later.pass}
      ODD: {file: api}
      UNSET: {env: NEVER_SET}
      NO_PROGRAM: {command: [no-such-program-here]}
      TWICE: {file: good.pass}
";
    let project = quiet_file(Project::new().file("open.pass", "x"), "good.pass").file("cas.yaml", yaml);
    fs::set_permissions(project.root().join("open.pass"), fs::Permissions::from_mode(0o640)).unwrap();
    let loaded = project.load("cas.yaml");
    let said = project.said(&loaded);
    for note in [
        "the file of the secret OPEN may be read or changed by others: open.pass",
        "chmod 600 open.pass",
        "the secret LATER has no file yet: there is no later.pass",
        "the secret ODD has no file: api is something else",
        "the secret UNSET has no value yet: NEVER_SET is not set here",
        "the secret NO_PROGRAM has a command without a program: there is no \"no-such-program-here\"",
        "the secret TWICE is a variable of environment or env_file, too",
    ] {
        assert!(said.contains(note), "{note}\nis not in\n{said}");
    }
    assert_eq!((loaded.notes.len(), loaded.errors.len()), (6, 0), "{said}");
    assert!(!loaded.project.unwrap().services[0].environment.contains_key("TWICE"));
}

#[test]
fn what_is_no_source_is_an_error_and_composes_list_a_note() {
    for (secret, message) in [
        ("KEY: hunter2-canary", "the secret KEY has no source: found a single value, not a map"),
        ("KEY: {}", "the secret KEY has no source"),
        ("KEY: {file: a, env: B}", "the secret KEY has several sources"),
        ("KEY: {fil: a}", "fil: not a key of a secret"),
        ("'A B': {env: B}", "\"A B\" under secrets is not a variable's name"),
        ("KEY: {command: ''}", "the secret KEY has an empty command"),
        ("KEY: {env: 'A=B'}", "the secret KEY names no variable: \"A=B\""),
    ] {
        let project =
            Project::new().file("cas.yaml", format!("services: {{web: {{command: sleep 1, secrets: {{{secret}}}}}}}"));
        let loaded = project.load("cas.yaml");
        let said = project.said(&loaded);
        assert!(loaded.project.is_none() && said.contains(message), "{secret}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
    let loaded = load("services: {web: {command: sleep 1, secrets: [db]}}");
    assert_eq!((loaded.notes.len(), loaded.notes[0].message.as_str()), (1, "the list under secrets is not used"));
    assert!(loaded.project.unwrap().services[0].secrets.is_empty());
}
