//! Hooks in a project file.

use std::time::Duration;

use cas::model::{
    hooks::{HookCommand, Hooks},
    service::CommandLine,
};

use super::{Project, load, sound};

fn hooks(yaml: &str) -> Hooks {
    sound(&format!("services:\n  web:\n    command: sleep 1\n{yaml}")).services[0].hooks.clone()
}

fn shell(line: &str, secs: u64) -> HookCommand {
    HookCommand { command: CommandLine::Shell(line.to_owned()), timeout: Duration::from_secs(secs) }
}

fn argv(words: &[&str], secs: u64) -> HookCommand {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    HookCommand { command: CommandLine::Argv(words), timeout: Duration::from_secs(secs) }
}

#[test]
fn every_form_of_a_hook_is_understood() {
    let read = hooks(concat!(
        "    pre_start: true && echo $$HOME\n",
        "    post_start: [sh, -c, true]\n",
        "    pre_stop: {command: sleep 1, timeout: 3s}\n",
        "    on_failure:\n",
        "      - shell: echo a | cat\n",
        "      - [sleep, \"0\"]\n",
        "      - echo b\n",
        "      - {command: [sh, -c, 'exit 1'], timeout: 1m}\n",
    ));
    assert_eq!(read.pre_start, [shell("true && echo $HOME", 60)]);
    assert_eq!(read.post_start, [argv(&["sh", "-c", "true"], 10)]);
    assert_eq!(read.pre_stop, [argv(&["sleep", "1"], 3)]);
    assert_eq!(
        read.on_failure,
        [shell("echo a | cat", 10), argv(&["sleep", "0"], 10), shell("echo b", 10), argv(&["sh", "-c", "exit 1"], 60)]
    );
    assert_eq!(hooks(""), Hooks::default());
}

#[test]
fn what_is_wrong_with_a_hook_is_said_with_what_to_write() {
    for (yaml, message, hint) in [
        ("pre_start: [make db, make seed]", "there is no program \"make db\"", "write \"- shell: line\" for each"),
        ("pre_start: []", "pre_start: the list is empty", "write a shell line"),
        ("pre_start: ''", "pre_start: the line is empty", "write what /bin/sh should run"),
        ("post_start: {timeout: 1s}", "post_start: it has no command", "{shell: line, timeout: 30s}"),
        ("post_start: {command: sleep 1, shell: x}", "command and shell at once", "keep one of the two"),
        ("pre_stop: {shell: x, timeout: 1ms}", "is too short, at least 100ms", "write it like 500ms"),
        ("pre_stop: {shel: x}", "shel: not a key of a hook", "did you mean \"shell\"?"),
        ("on_failure: [nosuchprogram, x]", "on_failure: there is no program \"nosuchprogram\"", "install it"),
        ("on_failure: {command: a | b}", "no shell sees \"|\"", "instead of"),
        ("on_failure: {shell: x, working_dir: /}", "working_dir: not supported yet", "cd directory"),
        ("pre_strat: x", "pre_strat: not a key of a service", "did you mean \"pre_start\"?"),
    ] {
        let project = Project::new().file("cas.yaml", format!("services:\n  web:\n    command: sleep 1\n    {yaml}\n"));
        let loaded = project.load("cas.yaml");
        let said = project.said(&loaded);
        assert_eq!(loaded.errors.len(), 1, "{yaml}: {said}");
        assert!(said.contains(message) && said.contains(hint), "{yaml}: {said}");
        assert!(said.contains("cas.yaml:4:"), "{yaml}: {said}");
    }
}

#[test]
fn words_of_containers_are_noted_in_a_hook() {
    let loaded =
        load("services: {web: {command: sleep 1, post_start: [{command: sleep 0, user: root, privileged: true}]}}");
    assert!(loaded.errors.is_empty());
    let notes: Vec<_> = loaded.notes.iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.contains("user: not used")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("privileged: not used")), "{notes:?}");
}
