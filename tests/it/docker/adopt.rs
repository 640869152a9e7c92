//! Containers over the ends of engines: of ours, of Docker's, and what others do to them.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test says what it expects by failing")]

use std::{sync::Arc, time::Duration};

use cas::model::{
    effect::Effect, event::Event, heritage::FoundState, ids::RunId, phase::Exit, project::ProjectSpec,
    service::ServiceSpec, signal::Signal,
};

use super::{
    dockerd::{self, Dockerd, IMAGE, SOON},
    run::{lines, rig, spec},
};
use crate::{process::rig::Rig, support::eventually_async};

fn project_of(spec: &ServiceSpec) -> ProjectSpec {
    ProjectSpec {
        name: spec.id.project.clone(),
        root: "/".into(),
        file: "/cas.yaml".into(),
        services: vec![Arc::new(spec.clone())],
        alerts: Arc::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_engine_takes_it_over_and_no_line_is_lost_or_comes_twice() {
    let mut rig = rig();
    let counting = spec(&rig, "adopted", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done");
    let run = rig.start_spec(counting.clone());
    let pid = rig.spawned(run).await;
    lines(&rig, run, &["line 20"]).await;
    let directory = rig.abandon();
    // Nobody is there for a while.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut rig = Rig::with_docker(directory, &dockerd::shared().host());
    let found = rig.world.survey_containers(&project_of(&counting), RunId(7), SOON).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].run, run);
    assert!(matches!(found[0].state, FoundState::Running { pid: of, .. } if of == pid), "{found:?}");
    rig.adopt(run, counting);
    eventually_async("lines go on", async || rig.lines().iter().any(|line| line.text == "line 80")).await;
    assert_eq!(rig.end(run, Duration::ZERO).await, Vec::<u32>::new());
    // The first lines were read again from the segments: they are numbered, and none is missing or there twice.
    let mut numbers: Vec<(u64, usize)> = rig
        .lines()
        .iter()
        .filter_map(|line| Some((line.seq, line.text.strip_prefix("line ")?.parse().ok()?)))
        .collect();
    numbers.sort_unstable();
    let own: Vec<usize> = numbers.iter().map(|(_, number)| *number).collect();
    assert_eq!(own, (1..=own.len()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_meanwhile_is_told_with_how_it_did() {
    let mut rig = rig();
    let spec = spec(&rig, "meanwhile", "echo up; sleep 0.5; echo last; exit 5");
    let run = rig.start_spec(spec.clone());
    lines(&rig, run, &["up"]).await;
    let directory = rig.abandon();
    let docker = dockerd::shared();
    eventually_async("it ended", async || docker.inspect("meanwhile-web-1", "{{.State.Running}}") == "false").await;
    let rig = Rig::with_docker(directory, &docker.host());
    let found = rig.world.survey_containers(&project_of(&spec), RunId(7), SOON).await;
    assert!(
        matches!(&found[..], [one] if one.run == run && matches!(one.state, FoundState::Ended { exit: Exit::Code(5), .. })),
        "{found:?}"
    );
    let slot = rig.slot("web");
    let bytes = std::fs::read_dir(&slot)
        .unwrap()
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with("log."));
    let all: String = bytes.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect();
    assert!(all.contains("last"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_compose_made_is_taken_over() {
    let docker = dockerd::shared();
    let rig = rig();
    let spec = spec(&rig, "theirs", "sleep 1000");
    let label = |name: &str, value: &str| format!("--label=com.docker.compose.{name}={value}");
    let (project, service) = (label("project", "theirs"), label("service", "web"));
    docker.ask(&["run", "-d", "--network=none", "--name=theirs-web-1", &project, &service, IMAGE, "sleep", "1000"]);
    let mut rig = rig;
    let found = rig.world.survey_containers(&project_of(&spec), RunId(7), SOON).await;
    assert!(matches!(&found[..], [one] if one.run == RunId(8)), "{found:?}");
    rig.adopt(RunId(8), spec);
    rig.world.perform(Effect::StopTree { run: RunId(8), signal: Signal::Kill });
    assert_eq!(rig.exited(RunId(8)).await.exit, Exit::Signal(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_somebody_removes_ends_and_one_that_somebody_makes_is_found() {
    let docker = dockerd::shared();
    let mut rig = rig();
    let sleeping = spec(&rig, "removed", "echo up; sleep 1000");
    let run = rig.start_spec(sleeping);
    lines(&rig, run, &["up"]).await;
    docker.ask(&["rename", "removed-web-1", "another-name"]);
    docker.ask(&["rm", "-f", "another-name"]);
    let exit = rig.exited(run).await.exit;
    assert!(matches!(exit, Exit::Removed | Exit::Signal(9)), "{exit:?}");
    let label = |name: &str, value: &str| format!("--label=com.docker.compose.{name}={value}");
    let (project, service) = (label("project", "removed"), label("service", "web"));
    docker.ask(&["run", "-d", "--network=none", "--name=removed-web-1", &project, &service, IMAGE, "sleep", "1000"]);
    let pid = rig
        .event("run found", |event| match event {
            Event::RunFound { pid, .. } => Some(*pid),
            _ => None,
        })
        .await;
    assert_eq!(docker.inspect("removed-web-1", "{{.State.Pid}}"), pid.to_string());
    docker.ask(&["rm", "-f", "removed-web-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_that_crashes_and_comes_back_changes_nothing_for_processes() {
    let mut docker = tokio::task::spawn_blocking(|| Dockerd::start("crashes")).await.unwrap();
    let mut rig = Rig::with_docker(tempfile::tempdir().unwrap(), &docker.host());
    let process = rig.start_apart("sleep 1000");
    rig.spawned(process).await;
    let container = spec(&rig, "crash", "echo up; sleep 1000");
    let run = rig.start_spec(container.clone());
    lines(&rig, run, &["up"]).await;
    docker.crash();
    let told = rig
        .event("trouble", |event| match event {
            Event::Trouble { slot: cas::model::event::TroubleSlot::Docker, text: Some(text) } => Some(text.clone()),
            _ => None,
        })
        .await;
    assert!(told.starts_with("Docker: not reachable (unix://"), "{told}");
    assert!(rig.world.is_running(process));
    let docker = tokio::task::spawn_blocking(move || {
        docker.raise();
        docker
    })
    .await
    .unwrap();
    // A daemon that begins ends what ran without it, unless it is told otherwise.
    let exit = rig.exited(run).await.exit;
    assert!(matches!(exit, Exit::Signal(_) | Exit::Code(_)), "{exit:?}");
    let run = rig.start_spec(container);
    rig.spawned(run).await;
    assert!(rig.world.is_running(process));
    rig.end(run, Duration::ZERO).await;
    rig.end(process, Duration::ZERO).await;
    tokio::task::spawn_blocking(move || drop(docker)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_is_known_to_and_orders_wait_for_it() {
    let docker = tokio::task::spawn_blocking(|| Dockerd::start("hangs")).await.unwrap();
    let mut rig = Rig::with_docker(tempfile::tempdir().unwrap(), &docker.host());
    let run = rig.start_spec(spec(&rig, "hang", "echo up; sleep 1000"));
    lines(&rig, run, &["up"]).await;
    docker.freeze(true);
    rig.world.perform(Effect::StopTree { run, signal: Signal::Kill });
    let told = rig
        .event("trouble", |event| match event {
            Event::Trouble { slot: cas::model::event::TroubleSlot::Docker, text: Some(text) } => Some(text.clone()),
            _ => None,
        })
        .await;
    assert!(told.contains("no answer within 5 s"), "{told}");
    docker.freeze(false);
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(9));
    tokio::task::spawn_blocking(move || drop(docker)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_container_is_listed_and_those_of_runs_say_of_which() {
    let docker = dockerd::shared();
    let mut rig = rig();
    docker.ask(&[
        "run",
        "-d",
        "--network=none",
        "--name=loose",
        "--restart=always",
        "-e",
        "SECRET=x",
        IMAGE,
        "sleep",
        "1000",
    ]);
    let run = rig.start_spec(spec(&rig, "listed", "sleep 1000"));
    rig.spawned(run).await;
    let views = rig
        .event("both are listed", |event| match event {
            Event::ContainersListed(views) => {
                let own = views.iter().find(|view| view.run == Some(run) && view.usage.is_some())?;
                let loose = views.iter().find(|view| view.name == "loose")?;
                Some((own.clone(), loose.clone()))
            }
            _ => None,
        })
        .await;
    let (own, loose) = views;
    assert_eq!(
        (own.name.as_str(), own.state.as_str(), own.made_by.as_deref()),
        ("listed-web-1", "running", Some("cas"))
    );
    assert_eq!(loose.of, None);
    assert_eq!(loose.healer, cas::model::container::Healer::Docker);
    assert!(loose.environment_names.contains("SECRET"));
    assert!(!format!("{loose:?}").contains("SECRET=x"));
    docker.ask(&["rm", "-f", "loose"]);
    rig.end(run, Duration::ZERO).await;
}
