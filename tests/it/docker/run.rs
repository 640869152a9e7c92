//! A container as a run: made, followed, asked, ended.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{sync::Arc, time::Duration};

use cas::model::{
    container::{ContainerSpec, Join, Mount, MountSource, Publish},
    effect::Effect,
    ids::RunId,
    log::Stream,
    phase::Exit,
    probe::{Check, ProbeOutcome},
    service::{CommandLine, ServiceKind, ServiceSpec},
    signal::Signal,
};

use super::dockerd::{self, IMAGE, SOON};
use crate::{process::rig::Rig, support::eventually_async};

/// A service of a project of its own that runs `line` in the tests' image.
pub(super) fn spec(rig: &Rig, project: &str, line: &str) -> ServiceSpec {
    let mut container = ContainerSpec::of(project, "web", IMAGE);
    container.command = Some(vec!["sh".to_owned(), "-c".to_owned(), line.to_owned()]);
    container.network_mode = Some("none".to_owned());
    container.init = Some(false);
    let shown = CommandLine::Argv(container.words());
    ServiceSpec { kind: ServiceKind::Container, container: Some(Arc::new(container)), ..rig.spec("web", shown) }
}

pub(super) fn changed(spec: &ServiceSpec, change: impl FnOnce(&mut ContainerSpec)) -> ServiceSpec {
    let mut container = (**spec.container.as_ref().unwrap()).clone();
    change(&mut container);
    ServiceSpec { container: Some(Arc::new(container)), ..spec.clone() }
}

pub(super) fn rig() -> Rig {
    Rig::with_docker(tempfile::tempdir().unwrap(), &dockerd::shared().host())
}

/// Waits for lines of a run.
pub(super) async fn lines(rig: &Rig, run: RunId, wanted: &[&str]) {
    eventually_async(&format!("lines {wanted:?}"), async || {
        let texts: Vec<String> = rig.lines().into_iter().filter(|line| line.run == run).map(|line| line.text).collect();
        wanted.iter().all(|wanted| texts.iter().any(|text| text == wanted))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_writes_and_ends_as_a_process_does() {
    let mut rig = rig();
    let run = rig.start_spec(spec(&rig, "ends", "echo out; echo err >&2; exit 3"));
    assert!(rig.spawned(run).await < u32::MAX);
    let ended = rig.exited(run).await;
    assert_eq!(ended.exit, Exit::Code(3));
    assert_eq!(ended.leftover, 0);
    assert_eq!(ended.last_words.len(), 2, "{:?}", ended.last_words);
    lines(&rig, run, &["out", "err"]).await;
    let streams: Vec<(String, Stream)> = rig.lines().into_iter().map(|line| (line.text, line.stream)).collect();
    assert!(streams.contains(&("out".to_owned(), Stream::Stdout)), "{streams:?}");
    assert!(streams.contains(&("err".to_owned(), Stream::Stderr)), "{streams:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_names_and_labels_are_those_of_compose() {
    let (mut rig, docker) = (rig(), dockerd::shared());
    let spec = spec(&rig, "names", "sleep 1000");
    let spec = changed(&spec, |container| {
        container.network_mode = None;
        container.networks = vec![Join { network: "default".to_owned(), aliases: Vec::new(), ipv4_address: None }];
        let source = MountSource::Volume("data".to_owned());
        container.mounts = vec![Mount { source, target: "/data".to_owned(), read_only: true }];
        container.root = "/srv/names".into();
    });
    let run = rig.start_spec(spec);
    let pid = rig.spawned(run).await;
    assert_eq!(docker.inspect("names-web-1", "{{.State.Pid}}"), pid.to_string());
    for (label, value) in [
        ("com.docker.compose.project", "names"),
        ("com.docker.compose.service", "web"),
        ("com.docker.compose.container-number", "1"),
        ("com.docker.compose.oneoff", "False"),
        ("com.docker.compose.project.working_dir", "/srv/names"),
        ("io.cas.run", "1"),
    ] {
        let format = format!("{{{{index .Config.Labels \"{label}\"}}}}");
        assert_eq!(docker.inspect("names-web-1", &format), value, "{label}");
    }
    assert_eq!(docker.inspect("names-web-1", "{{.HostConfig.RestartPolicy.Name}}"), "no");
    assert_eq!(docker.inspect("names_default", "{{index .Labels \"com.docker.compose.network\"}}"), "default");
    assert_eq!(docker.inspect("names_data", "{{index .Labels \"com.docker.compose.volume\"}}"), "data");
    assert_eq!(rig.end(run, Duration::ZERO).await, Vec::<u32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_start_at_the_same_time_have_one_network() {
    let (mut rig, docker) = (rig(), dockerd::shared());
    let mut runs = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let spec = changed(&spec(&rig, "together", "sleep 1000"), |container| {
            container.service = name.to_owned();
            container.network_mode = None;
            container.networks = vec![Join { network: "default".to_owned(), aliases: Vec::new(), ipv4_address: None }];
        });
        let service = cas::model::ids::ServiceName::new(name).unwrap();
        let id = cas::model::ids::ServiceId { service, ..spec.id.clone() };
        runs.push(rig.start_spec(ServiceSpec { id, ..spec }));
    }
    for run in runs {
        rig.spawned(run).await;
    }
    let made = docker.ask(&["network", "ls", "--quiet", "--filter", "name=together_default"]);
    assert_eq!(made.lines().count(), 1, "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_and_a_deaf_one_is_killed() {
    let mut rig = rig();
    let line = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done";
    let run = rig.start_spec(spec(&rig, "stops", line));
    lines(&rig, run, &["up"]).await;
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    let ended = rig.exited(run).await;
    assert_eq!(ended.exit, Exit::Code(0));
    assert_eq!(ended.last_words.last().map(String::as_str), Some("bye"));
    let run = rig.start_spec(spec(&rig, "deaf", "trap '' TERM; echo up; while :; do sleep 0.1; done"));
    lines(&rig, run, &["up"]).await;
    rig.world.perform(Effect::StopTree { run, signal: Signal::Term });
    assert_eq!(rig.end(run, Duration::ZERO).await, Vec::<u32>::new());
    assert_eq!(rig.exited(run).await.exit, Exit::Signal(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_uses_the_same_container_until_its_spec_changes() {
    let (mut rig, docker) = (rig(), dockerd::shared());
    let spec = spec(&rig, "again", "cat /kept 2>/dev/null; echo $WORD >/kept");
    let one = ServiceSpec { environment: [("WORD".to_owned(), "first".to_owned())].into(), ..spec.clone() };
    let run = rig.start_spec(one.clone());
    rig.exited(run).await;
    let id = docker.inspect("again-web-1", "{{.Id}}");
    let run = rig.start_spec(one);
    let ended = rig.exited(run).await;
    assert_eq!(docker.inspect("again-web-1", "{{.Id}}"), id);
    assert_eq!(ended.last_words, ["first"], "and what the first run wrote is not this one's");
    let run = rig.start_spec(ServiceSpec { environment: [("WORD".to_owned(), "other".to_owned())].into(), ..spec });
    let ended = rig.exited(run).await;
    assert_ne!(docker.inspect("again-web-1", "{{.Id}}"), id);
    assert_eq!(ended.last_words, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_put_inside_of_it() {
    let mut rig = rig();
    let run = rig.start_spec(spec(&rig, "probed", "echo yes >/answer; echo up; sleep 1000"));
    lines(&rig, run, &["up"]).await;
    let shell = |line: &str| Check::Exec(CommandLine::Shell(line.to_owned()));
    assert_eq!(rig.probe(run, shell("test -f /answer"), SOON).await, ProbeOutcome::Passed);
    let failed = ProbeOutcome::Failed("exit code 4: no".to_owned());
    assert_eq!(rig.probe(run, shell("echo no; exit 4"), SOON).await, failed);
    let missing = Check::Exec(CommandLine::Argv(vec!["nothing-like-it".to_owned()]));
    let outcome = rig.probe(run, missing, SOON).await;
    assert!(matches!(&outcome, ProbeOutcome::Broken(_)), "{outcome:?}");
    let outcome = rig.probe(run, shell("sleep 100"), Duration::from_millis(500)).await;
    assert!(matches!(&outcome, ProbeOutcome::Failed(why) if why.contains("no answer within")), "{outcome:?}");
    assert_eq!(rig.probe(run, Check::Container, SOON).await, ProbeOutcome::Passed);
    rig.end(run, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_of_the_image_is_heard() {
    let (mut rig, docker) = (rig(), dockerd::shared());
    let from =
        format!("FROM {IMAGE}\nHEALTHCHECK --interval=1s --retries=1 CMD test -f /well || {{ echo ill; exit 1; }}\n");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("Dockerfile"), from).unwrap();
    let spec = spec(&rig, "health", "echo up; sleep 1000");
    let spec = changed(&spec, |container| {
        container.image = None;
        let context = directory.path().display().to_string();
        container.build = Some(cas::model::container::Build {
            context,
            dockerfile: None,
            target: None,
            args: std::collections::BTreeMap::new(),
        });
    });
    let run = rig.start_spec(spec);
    rig.spawned(run).await;
    assert_eq!(docker.inspect("health-web-1", "{{.Config.Image}}"), "health-web");
    let outcome = rig.probe(run, Check::Container, SOON).await;
    assert_eq!(outcome, ProbeOutcome::Failed("its own health check says: ill".to_owned()));
    docker.ask(&["exec", "health-web-1", "touch", "/well"]);
    let mut outcome = outcome;
    for _ in 0..600 {
        if outcome == ProbeOutcome::Passed {
            break;
        }
        outcome = rig.probe(run, Check::Container, SOON).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(outcome, ProbeOutcome::Passed);
    rig.end(run, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_needs_more_memory_than_it_may_have_says_so() {
    let mut rig = rig();
    let spec = spec(&rig, "oom", "x=a; while :; do x=$x$x; done");
    let limits = cas::model::service::Limits { memory_bytes: Some(16 << 20), ..spec.limits };
    let run = rig.start_spec(ServiceSpec { limits, ..spec });
    let exit = rig.exited(run).await.exit;
    assert_eq!(exit, Exit::OutOfMemory { limit_bytes: Some(16 << 20), peak_bytes: None });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_uses_is_counted_by_docker() {
    let mut rig = rig();
    let run = rig.start_spec(spec(&rig, "busy", "while :; do :; done"));
    rig.spawned(run).await;
    eventually_async("it uses a processor", async || {
        let used = rig.world.container_usage();
        used.iter()
            .any(|(of, usage)| *of == run && usage.cpu_percent > 5.0 && usage.memory_bytes > 0 && usage.processes > 0)
    })
    .await;
    assert!(rig.world.watched().is_empty(), "nobody else counts it");
    rig.end(run, Duration::ZERO).await;
    eventually_async("nothing is counted", async || rig.world.container_usage().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_is_a_sentence() {
    let mut rig = rig();
    let plain = spec(&rig, "refused", "true");
    let missing = changed(&plain, |container| container.image = Some("no-such-image:9".to_owned()));
    let run = rig.start_spec(missing.clone());
    let error = rig.refused(run).await;
    assert!(error.starts_with("the image no-such-image:9 is not here and cannot be fetched: "), "{error}");
    let never = changed(&missing, |container| container.pull_policy = cas::model::container::PullPolicy::Never);
    let run = rig.start_spec(never);
    assert!(rig.refused(run).await.contains("pull_policy is never"));
    let program = changed(&plain, |container| container.command = Some(vec!["no-such-program".to_owned()]));
    let run = rig.start_spec(program);
    assert!(rig.refused(run).await.contains("the image has no such program"));
    dockerd::shared().ask(&["create", "--name", "taken-web-1", IMAGE, "true"]);
    let taken = changed(&plain, |container| container.project = "taken".to_owned());
    let run = rig.start_spec(taken);
    let error = rig.refused(run).await;
    assert!(error.starts_with("another container, which is not this service's, has the name taken-web-1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_port_is_reached_from_here() {
    let mut rig = rig();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let spec = spec(&rig, "port", "echo hello >/index.html; echo up; exec httpd -f -p 80 -h /");
    let spec = changed(&spec, |container| {
        container.network_mode = None;
        container.networks = vec![Join { network: "default".to_owned(), aliases: Vec::new(), ipv4_address: None }];
        let address = Some("127.0.0.1".to_owned());
        container.ports = vec![Publish { address, host: Some(port), target: 80, is_udp: false }];
    });
    let run = rig.start_spec(spec);
    lines(&rig, run, &["up"]).await;
    let url = format!("http://127.0.0.1:{port}/index.html");
    let mut outcome = rig.probe(run, Check::Http { url: url.clone(), status: None }, SOON).await;
    for _ in 0..200 {
        if outcome == ProbeOutcome::Passed {
            break;
        }
        outcome = rig.probe(run, Check::Http { url: url.clone(), status: None }, SOON).await;
    }
    assert_eq!(outcome, ProbeOutcome::Passed);
    rig.end(run, Duration::ZERO).await;
}
