//! What is done to containers beside their runs, on a real engine.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test says what it expects by failing")]

use std::{sync::Arc, time::Duration};

use cas::{
    model::{
        container::{ContainerSpec, Mount, MountSource},
        deed::{Deed, DiskUse, Remake, Subject, Thing, ThingKind},
        effect::Effect,
        event::Event,
        ids::RunId,
        log::Stream,
        service::ServiceSpec,
        signal::Signal,
    },
    world::docker::{
        endpoint::Lookup,
        session::{self, Typed},
    },
};

use super::{
    dockerd::{self, IMAGE},
    run::{changed, lines, rig, spec},
};
use crate::{process::rig::Rig, support::eventually_async};

/// Does one thing and says what came of it.
async fn done(rig: &mut Rig, subject: Subject, deed: Deed) -> Result<String, String> {
    static TICKETS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let ticket = TICKETS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    rig.world.perform(Effect::Handle { ticket, subject, deed });
    rig.event("the answer", |event| match event {
        Event::Handled { ticket: of, result } if *of == ticket => Some(result.clone()),
        _ => None,
    })
    .await
}

async fn paused(rig: &mut Rig, run: RunId) -> bool {
    rig.event("whether it is paused", |event| match event {
        Event::RunPaused { run: of, is_paused } if *of == run => Some(*is_paused),
        _ => None,
    })
    .await
}

fn container_of(spec: &ServiceSpec) -> Arc<ContainerSpec> {
    Arc::clone(spec.container.as_ref().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loose_container_is_paused_stopped_started_signalled_and_removed() {
    let (mut rig, docker) = (rig(), dockerd::shared());
    let id = docker.ask(&["run", "-d", "--network", "none", "--name", "loose", IMAGE, "sleep", "1000"]);
    let state = || docker.inspect("loose", "{{.State.Status}}");
    let loose = || Subject::Container(id.clone());
    let zero = Some(Duration::from_secs(1));
    for (deed, then) in [
        (Deed::Pause, "paused"),
        (Deed::Unpause, "running"),
        (Deed::Stop { grace: zero }, "exited"),
        (Deed::Start, "running"),
        (Deed::Restart { grace: zero }, "running"),
        (Deed::Signal(Signal::Kill), "exited"),
    ] {
        assert_eq!(done(&mut rig, loose(), deed.clone()).await, Ok(String::new()), "{deed:?}");
        eventually_async(&format!("{deed:?}: {then}"), async || state() == then).await;
    }
    let said = done(&mut rig, loose(), Deed::Pause).await.unwrap_err();
    assert!(said.starts_with("Docker refused it: "), "{said}");
    assert_eq!(done(&mut rig, loose(), Deed::Start).await, Ok(String::new()));
    let said = done(&mut rig, loose(), Deed::Remove { force: false, volumes: false }).await.unwrap_err();
    assert!(said.contains("running container"), "{said}");
    assert_eq!(done(&mut rig, loose(), Deed::Remove { force: true, volumes: false }).await, Ok(String::new()));
    assert!(!docker.docker(&["inspect", "loose"]).status.success());
    let said = done(&mut rig, Subject::Image("no-such-image:9".to_owned()), Deed::Pull).await.unwrap_err();
    assert!(said.starts_with("the image no-such-image:9 is not here and cannot be fetched"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_of_a_run_is_frozen_and_whoever_did_it_that_is_told() {
    let (mut rig, docker) = (rig(), dockerd::shared());
    let spec = spec(&rig, "frozen", "echo up; i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.05; done");
    let run = rig.start_spec(spec.clone());
    lines(&rig, run, &["up"]).await;
    let service = || Subject::Service(container_of(&spec));
    assert_eq!(done(&mut rig, service(), Deed::Pause).await, Ok(String::new()));
    assert!(paused(&mut rig, run).await);
    assert_eq!(docker.inspect("frozen-web-1", "{{.State.Status}}"), "paused");
    assert_eq!(done(&mut rig, service(), Deed::Unpause).await, Ok(String::new()));
    assert!(!paused(&mut rig, run).await);
    docker.ask(&["pause", "frozen-web-1"]);
    assert!(paused(&mut rig, run).await, "somebody else may do it, too");
    assert_eq!(rig.end(run, Duration::ZERO).await, Vec::<u32>::new(), "what is frozen can be ended");
    assert_eq!(done(&mut rig, service(), Deed::Remove { force: false, volumes: false }).await, Ok(String::new()));
    assert!(!docker.docker(&["inspect", "frozen-web-1"]).status.success());
    let said = done(&mut rig, service(), Deed::Remove { force: false, volumes: false }).await;
    assert_eq!(said, Ok("web has no such container".to_owned()));
}

/// Starts it, made anew or not, and gives what it finds of the last one: in its volume, and in itself.
async fn found(rig: &mut Rig, spec: &ServiceSpec, remake: Remake) -> Vec<String> {
    let run = rig.start_again(spec.clone(), remake);
    rig.exited(run).await.last_words
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_container_goes_on_with_the_volumes_of_the_old_one_and_forgets_the_rest() {
    let (mut rig, docker) = (rig(), dockerd::shared());
    let line = "cat /data/kept /own 2>/dev/null; echo volume >/data/kept; echo own >/own";
    let spec = changed(&spec(&rig, "anew", line), |container| {
        container.mounts = vec![Mount { source: MountSource::Anonymous, target: "/data".to_owned(), read_only: false }];
    });
    assert_eq!(found(&mut rig, &spec, Remake::Nothing).await, Vec::<String>::new());
    let first = docker.inspect("anew-web-1", "{{.Id}}");
    assert_eq!(found(&mut rig, &spec, Remake::Nothing).await, ["volume", "own"]);
    assert_eq!(docker.inspect("anew-web-1", "{{.Id}}"), first);
    assert_eq!(found(&mut rig, &spec, Remake::Container).await, ["volume"]);
    assert_ne!(docker.inspect("anew-web-1", "{{.Id}}"), first);
    let volume = || docker.inspect("anew-web-1", "{{range .Mounts}}{{.Name}}{{end}}");
    let before = volume();
    // What is declared otherwise is made anew, too, and keeps its data.
    let other = ServiceSpec { environment: [("WORD".to_owned(), "other".to_owned())].into(), ..spec.clone() };
    assert_eq!(found(&mut rig, &other, Remake::Nothing).await, ["volume"]);
    assert_eq!(volume(), before);
    assert_eq!(found(&mut rig, &other, Remake::WithVolumes).await, Vec::<String>::new());
    assert_ne!(volume(), before);
    assert!(!docker.docker(&["volume", "inspect", &before]).status.success(), "nothing is left of it");
}

fn named<'d>(disk: &'d DiskUse, kind: ThingKind, name: &str) -> &'d Thing {
    let mut all = disk.of(kind);
    all.find(|thing| thing.name == name).unwrap_or_else(|| panic!("no {kind:?} {name} in {disk:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_up_space_is_counted_and_what_nothing_uses_can_be_cleared() {
    let (mut rig, docker) = (rig(), dockerd::shared());
    docker.ask(&["volume", "create", "df-named"]);
    docker.ask(&["tag", IMAGE, "df-image:1"]);
    let write = "head -c 2000000 /dev/zero >/big; head -c 1000000 /dev/zero >/data/big";
    let run = ["run", "--network", "none", "--name", "df-ended", "-v", "df-used:/data", IMAGE, "sh", "-c", write];
    docker.ask(&run);
    let disk = rig.world.disk().await.unwrap();
    let ended = named(&disk, ThingKind::Containers, "df-ended");
    assert!(!ended.is_used && ended.bytes.unwrap() >= 2_000_000, "{ended:?}");
    let used = named(&disk, ThingKind::Volumes, "df-used");
    assert!(used.is_used && used.is_named && used.bytes.unwrap() >= 1_000_000, "{used:?}");
    let spare = named(&disk, ThingKind::Volumes, "df-named");
    assert!(!spare.is_used && spare.is_named, "{spare:?}");
    let image = named(&disk, ThingKind::Images, "df-image:1");
    assert!(image.is_used && image.is_named, "its container is still there: {image:?}");
    assert!(disk.layers.unwrap() > 500_000);
    let clear = |thing: &Thing| Subject::Thing(Arc::new(thing.clone()));
    let said = done(&mut rig, clear(used), Deed::Clear).await.unwrap_err();
    assert!(said.contains("volume is in use"), "{said}");
    for thing in [ended, spare, image] {
        assert_eq!(done(&mut rig, clear(thing), Deed::Clear).await, Ok(String::new()), "{thing:?}");
    }
    assert_eq!(done(&mut rig, clear(ended), Deed::Clear).await, Ok(String::new()), "what is gone need not be removed");
    let disk = rig.world.disk().await.unwrap();
    for (kind, name) in
        [(ThingKind::Containers, "df-ended"), (ThingKind::Volumes, "df-named"), (ThingKind::Images, "df-image:1")]
    {
        assert!(disk.of(kind).all(|thing| thing.name != name), "{name} is still there");
    }
    assert!(!named(&disk, ThingKind::Volumes, "df-used").is_used);
    assert!(docker.docker(&["inspect", IMAGE]).status.success(), "the other name of the image stays");
}

fn lookup() -> Lookup {
    Lookup { variables: [("DOCKER_HOST".to_owned(), dockerd::shared().host())].into(), sockets: Vec::new() }
}

async fn all_of(session: &mut session::Session, stream: Stream) -> String {
    let mut bytes = Vec::new();
    while let Some((of, piece)) = session.output.recv().await {
        if of == stream {
            bytes.extend(piece);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_a_container_has_its_input_its_output_and_its_exit_code() {
    let docker = dockerd::shared();
    let id = docker.ask(&["run", "-d", "--network", "none", "--name", "exec", IMAGE, "sleep", "1000"]);
    let words = |line: &str| vec!["sh".to_owned(), "-c".to_owned(), line.to_owned()];
    let mut session = session::begin(lookup(), &id, &words("echo bad >&2; cat; exit 7"), false).await.unwrap();
    session.input.send(Typed::Bytes(b"hello\n".to_vec())).await.unwrap();
    // Its input ends with this.
    session.input = tokio::sync::mpsc::channel(1).0;
    assert_eq!(all_of(&mut session, Stream::Stdout).await, "hello\n");
    assert_eq!(session.ended.await.unwrap(), Ok(7));
    let mut session = session::begin(lookup(), &id, &words("echo bad >&2"), false).await.unwrap();
    assert_eq!(all_of(&mut session, Stream::Stderr).await, "bad\n");
    // A shell, with a terminal that has a size.
    let mut session = session::begin(lookup(), &id, &[], true).await.unwrap();
    session.input.send(Typed::Size { rows: 24, columns: 80 }).await.unwrap();
    session.input.send(Typed::Bytes(b"test -t 0 && echo a$((40 + 2))z; exit 3\n".to_vec())).await.unwrap();
    let said = all_of(&mut session, Stream::Stdout).await;
    assert!(said.contains("a42z"), "{said}");
    assert_eq!(session.ended.await.unwrap(), Ok(3));
    let said = session::begin(lookup(), "0123456789ab", &[], true).await.unwrap_err();
    assert!(said.starts_with("Docker refused it: "), "{said}");
    docker.ask(&["rm", "-f", "exec"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_reaches_the_terminal_of_a_container_that_has_one() {
    let mut rig = rig();
    let line = "echo up; while read word; do echo \"got $word\"; done; echo over";
    let run = rig.start_spec(ServiceSpec { tty: true, ..spec(&rig, "typed", line) });
    lines(&rig, run, &["up"]).await;
    rig.world.resize_tty(run, 33, 111).unwrap();
    rig.world.type_in(run, b"hello\n").await.unwrap();
    lines(&rig, run, &["got hello"]).await;
    // Keys by which Docker itself would let go.
    rig.world.type_in(run, b"\x10\x11x\n").await.unwrap();
    rig.world.type_in(run, b"again\n\x04").await.unwrap();
    lines(&rig, run, &["got again"]).await;
    let ended = rig.exited(run).await;
    assert_eq!(ended.last_words.last().map(String::as_str), Some("over"), "Ctrl-D ended its input");
    assert!(rig.world.type_in(run, b"x").await.is_err());
    let run = rig.start_spec(spec(&rig, "untyped", "sleep 1000"));
    rig.spawned(run).await;
    assert!(rig.world.type_in(run, b"x").await.unwrap_err().contains("no terminal"));
    rig.end(run, Duration::ZERO).await;
}
