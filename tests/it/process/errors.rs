//! What cannot be started says why.

use std::os::unix::fs::PermissionsExt;

use cas::model::service::CommandLine;

use super::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_names_the_places_that_were_looked_in() {
    let mut rig = Rig::new();
    let mut spec = rig.spec("web", CommandLine::Argv(vec!["gunicornn".to_owned()]));
    spec.environment.insert("PATH".to_owned(), "/nowhere:/usr/bin".to_owned());
    let run = rig.start_spec(spec);
    assert_eq!(rig.refused(run).await, "no such program: gunicornn (looked in PATH: /nowhere:/usr/bin)");
    assert!(rig.world.runs().is_empty());

    let run = rig.start_argv(&["./server"]);
    let directory = rig.path().display().to_string();
    assert_eq!(rig.refused(run).await, format!("no such program: ./server (looked in {directory})"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_working_directory_is_named_and_not_the_program() {
    let mut rig = Rig::new();
    let mut spec = rig.spec("web", CommandLine::Argv(vec!["true".to_owned()]));
    spec.working_dir = rig.path().join("gone");
    let directory = spec.working_dir.display().to_string();
    let run = rig.start_spec(spec);
    assert_eq!(rig.refused(run).await, format!("no such working directory: {directory}"));

    let file = rig.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut spec = rig.spec("web", CommandLine::Argv(vec!["true".to_owned()]));
    spec.working_dir = file.clone();
    let run = rig.start_spec(spec);
    assert_eq!(rig.refused(run).await, format!("the working directory {} is not a directory", file.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_executed_says_what_is_wrong_with_it() {
    let mut rig = Rig::new();
    let place = rig.path().join("script");
    let shown = format!("{}/./script", rig.path().display());
    let write = |text: &str, mode: u32| {
        std::fs::write(&place, text).unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("#!/bin/sh\n", 0o644);
    let run = rig.start_argv(&["./script"]);
    assert_eq!(rig.refused(run).await, format!("{shown} is not executable (chmod +x would make it so)"));

    write("#!/no/such/python -u\n", 0o755);
    let run = rig.start_argv(&["./script"]);
    assert_eq!(rig.refused(run).await, format!("the interpreter of {shown} does not exist: /no/such/python -u"));

    let run = rig.start_argv(&["/tmp"]);
    assert_eq!(rig.refused(run).await, "/tmp is a directory, not a program");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_system_call_takes_is_a_sentence_too() {
    let mut rig = Rig::new();
    let run = rig.start_argv(&["true", "a\0b"]);
    assert_eq!(rig.refused(run).await, "the command or its environment contains a NUL character");

    let run = rig.start_argv(&["true", &"x".repeat(3 << 20)]);
    assert_eq!(rig.refused(run).await, "arguments and environment of true are too long for this machine");

    let run = rig.start_spec(rig.spec("web", CommandLine::Argv(Vec::new())));
    assert_eq!(rig.refused(run).await, "the command is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_spawn_still_answers_who_wants_its_end() {
    let mut rig = Rig::new();
    let run = rig.start_argv(&["no-such-program"]);
    assert!(rig.end(run, std::time::Duration::from_secs(1)).await.is_empty());
    rig.refused(run).await;
}
