//! Projects under care: opened, closed, let go of; and what the engine says about its own machinery.

use cas::{
    engine::Settings,
    model::{
        command::Command,
        effect::Effect,
        event::{Event, Input},
        heritage::Heritage,
        ids::{ProjectName, RequestId},
        phase::Exit,
        policy::{Consent, Origin, Reply, Request},
        project::ProjectSpec,
        service::{Containment, RestartPolicy},
        timeline::{Severity, What},
    },
};

use super::world::{Build, World, id, ms, project, secs, service};

fn up() -> World {
    let mut world = World::new(vec![service("db"), service("web").needs("db")]);
    world.load("bank", vec![service("bank/teller")]);
    world.say("start --all");
    world.run_for(secs(20));
    world
}

/// What the engine does at once when asked to open `directory`.
fn open(world: &mut World, request: u64, directory: &str) -> Vec<Effect> {
    let command = Command::Open {
        directory: directory.into(),
        environment: None,
        starts: cas::model::command::Starts::Autostart,
    };
    let request = Request {
        id: RequestId(request),
        origin: Origin::Cli,
        command,
        consent: Consent::Ask,
        if_rev: None,
        asker: None,
    };
    world.engine.step(world.now, Input::Request(request))
}

fn loaded(world: &mut World, project: &std::sync::Arc<ProjectSpec>, request: u64) -> Vec<Effect> {
    let event = Event::ProjectLoaded {
        project: project.clone(),
        heritage: Heritage::default(),
        request: Some(RequestId(request)),
    };
    world.engine.step(world.now, Input::Event(event))
}

fn replies(effects: &[Effect]) -> Vec<(u64, Reply)> {
    let replies = effects.iter().filter_map(|effect| {
        if let Effect::Reply { request, reply } = effect { Some((request.0, reply.clone())) } else { None }
    });
    replies.collect()
}

fn openings(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::OpenProject { .. })).count()
}

fn names(world: &mut World) -> Vec<String> {
    let snapshot = world.engine.snapshot(world.now);
    snapshot.projects.iter().filter(|p| p.open).map(|p| p.name.to_string()).collect()
}

#[test]
fn a_project_is_opened_on_request_and_everyone_who_asked_hears_of_it() {
    let mut world = World::empty(Settings::default());
    let first = open(&mut world, 1, "/srv/shop");
    let second = open(&mut world, 2, "/srv/shop");
    let other = open(&mut world, 3, "/srv/bank");
    assert_eq!((openings(&first), openings(&second), openings(&other)), (1, 0, 1), "one reading for both");
    assert!(replies(&first).is_empty() && replies(&second).is_empty());
    let effects = loaded(&mut world, &project("shop", vec![service("web")]), 1);
    let note = Reply::Accepted { note: "opened shop: 1 service".to_owned() };
    assert_eq!(replies(&effects), [(1, note.clone()), (2, note)]);
    let refused = Event::OpenRefused { request: RequestId(3), reason: "no project here".to_owned(), hint: None };
    let effects = world.engine.step(world.now, Input::Event(refused));
    assert_eq!(replies(&effects), [(3, Reply::Refused { reason: "no project here".to_owned(), hint: None })]);
    assert_eq!(names(&mut world), ["shop"]);
}

#[test]
fn opening_what_is_open_changes_nothing() {
    let mut world = up();
    let note = "shop is open already".to_owned();
    let effects = open(&mut world, 700, "/srv/shop");
    assert_eq!(replies(&effects), [(700, Reply::Unchanged { note: note.clone() })]);
    assert_eq!(openings(&open(&mut world, 701, "/srv/shop/deep")), 1);
    let steady = project("shop", vec![service("db"), service("web").needs("db"), service("new")]);
    assert_eq!(replies(&loaded(&mut world, &steady, 701)), [(701, Reply::Unchanged { note })]);
    assert_eq!(world.engine.snapshot(world.now).services.len(), 3, "its file is not taken in again");
}

#[test]
fn another_project_of_the_same_name_is_refused_with_the_way_out() {
    let mut world = up();
    let _asked = open(&mut world, 700, "/home/me/shop");
    let mut twin = (*project("shop", vec![service("web")])).clone();
    (twin.root, twin.file) = ("/home/me/shop".into(), "/home/me/shop/cas.yaml".into());
    let replies = replies(&loaded(&mut world, &twin.into(), 700));
    let Reply::Refused { reason, hint } = &replies[0].1 else { panic!("{replies:?}") };
    assert_eq!(reason, "a project named shop is open already, in /srv/shop");
    assert_eq!(hint.as_deref(), Some("set `name:` in /home/me/shop/cas.yaml"));
}

#[test]
fn closing_stops_everything_of_a_project_and_then_it_is_gone() {
    let mut world = up();
    let reply = world.say_as(Origin::Cli, "close shop", Consent::DryRun);
    let Reply::Planned { plan } = reply else { panic!("{reply:?}") };
    assert_eq!(
        plan.steps,
        ["stop web (SIGTERM, 10 s, then SIGKILL)", "stop db (SIGTERM, 10 s, then SIGKILL)", "let go of shop"]
    );
    assert!(matches!(world.say_as(Origin::Key, "close shop", Consent::Ask), Reply::NeedsConsent { .. }));
    assert_eq!(world.say("close shop"), Reply::Accepted { note: "close shop".to_owned() });
    assert_eq!(
        world.view("db").why,
        "stopped by command line: its project is closed, once web is gone; until then: started by command line"
    );
    assert_eq!(world.say("close shop"), Reply::Unchanged { note: "shop is being closed already".to_owned() });
    let Reply::Refused { reason, .. } = world.say("start shop/web") else { panic!("it is being closed") };
    assert_eq!(reason, "shop is being closed");
    world.run_for(secs(20));
    assert_eq!(names(&mut world), ["bank"]);
    let snapshot = world.engine.snapshot(world.now);
    assert!(snapshot.services.iter().all(|service| service.id.project.as_str() == "bank"));
    assert!(world.entries.iter().any(|entry| entry.what == What::ProjectClosed));
    let closed = world.effects.iter().position(|(_, effect)| matches!(effect, Effect::CloseProject(_))).unwrap();
    let stopped = world.effects.iter().rposition(
        |(_, effect)| matches!(effect, Effect::Remember { service, .. } if service.project.as_str() == "shop"),
    );
    assert!(stopped.unwrap() < closed, "records first");
    let state = world.succession.state(&id("web")).unwrap();
    assert_eq!((state.phase.label(), state.closed), ("stopped", true));
    assert_eq!(world.alive(), 1);
}

#[test]
fn a_project_of_which_nothing_runs_is_closed_at_once_and_an_old_reading_does_not_open_it_again() {
    let mut world = World::new(vec![service("web").with(|s| s.autostart = false)]);
    world.say("reload");
    assert!(matches!(world.say("close shop"), Reply::Accepted { .. }));
    assert!(names(&mut world).is_empty());
    world.load("shop", vec![service("web").with(|s| s.autostart = true)]);
    assert!(names(&mut world).is_empty());
    let effects = loaded(&mut world, &project("shop", vec![service("web")]), 9);
    assert!(matches!(&replies(&effects)[..], [(9, Reply::Accepted { .. })]));
    assert_eq!(names(&mut world), ["shop"]);
}

#[test]
fn an_unknown_project_is_refused_with_the_nearest() {
    let mut world = up();
    for (line, hint) in [("close shpo", "did you mean shop?"), ("close warehouse", "open: bank, shop")] {
        let reply = world.say(line);
        let Reply::Refused { hint: Some(said), .. } = &reply else { panic!("{reply:?}") };
        assert_eq!(said, hint);
    }
}

#[test]
fn a_project_that_was_closed_and_opened_again_starts_as_its_file_says() {
    let auto = || {
        vec![
            service("web").with(|s| s.autostart = true),
            service("db").with(|s| (s.autostart, s.restart) = (true, RestartPolicy::UnlessStopped)),
        ]
    };
    let mut world = World::new(auto());
    world.run_for(secs(20));
    world.say("stop db");
    world.run_for(secs(1));
    world.say("close shop");
    world.run_for(secs(20));
    world.succession.projects.clear();
    let heritage = world.heritage(&ProjectName::new("shop").unwrap());
    let event = Event::ProjectLoaded { project: project("shop", auto()), heritage, request: Some(RequestId(4000)) };
    world.tell(event);
    world.run_for(secs(5));
    assert_eq!((world.phase("web"), world.phase("db")), ("running", "stopped"));
}

#[test]
fn letting_go_ends_the_engine_at_once_and_stops_nothing() {
    let mut world = up();
    world.succession.releases = true;
    world.tell(Event::ReleaseAsked);
    assert_eq!((world.quits, world.alive()), (1, 3));
    let told = world.entries.last().unwrap();
    assert_eq!((told.who, told.sentence()), (Origin::System, "cas ended, 3 services left running".to_owned()));
    let Reply::Refused { reason, .. } = world.say("stop web") else { panic!("it has let go") };
    assert_eq!(reason, "cas is ending; services run on");
    let run = world.view("web").run.unwrap();
    let late = Event::Exited { run, exit: Exit::Code(1), last_words: vec![], leftover: 0 };
    assert!(world.engine.step(world.now, Input::Event(late)).is_empty(), "what happens now is the next engine's");
    assert!(!world.engine.snapshot(world.now).engine.leaving, "it stops nothing");
    world.die();
    world.run_for(secs(5));
    world.revive();
    assert_eq!((world.phase("web"), world.phase("bank/teller"), world.spawned.len()), ("running", "running", 3));
}

#[test]
fn who_waits_for_a_project_to_open_hears_that_cas_ends() {
    for event in [Event::ShutdownAsked, Event::ReleaseAsked] {
        let mut world = World::empty(Settings::default());
        let _asked = open(&mut world, 1, "/srv/shop");
        let effects = world.engine.step(world.now, Input::Event(event));
        assert!(matches!(&replies(&effects)[..], [(1, Reply::Refused { .. })]));
    }
}

#[test]
fn a_replaced_shim_is_told_and_nothing_else_happens() {
    let mut world = up();
    world.tell(Event::ShimReplaced { service: id("web"), why: "killed by SIGKILL".to_owned() });
    world.assert_told("web", "its shim was replaced; the service was not touched");
    assert_eq!((world.phase("web"), world.entries.last().unwrap().why.as_str()), ("running", "killed by SIGKILL"));
}

#[test]
fn lost_output_is_told_once_a_minute_and_added_up() {
    let mut world = up();
    let told = |world: &World| -> Vec<u64> {
        let bytes = world
            .entries
            .iter()
            .filter_map(|e| if let What::OutputDropped { bytes } = e.what { Some(bytes) } else { None });
        bytes.collect()
    };
    for _ in 0..40 {
        world.tell(Event::OutputDropped { service: id("web"), bytes: 10 });
        world.run_for(secs(2));
    }
    assert_eq!(told(&world), [10, 300]);
    world.run_for(secs(60));
    world.tell(Event::Sampled(std::sync::Arc::new(cas::model::metric::Sample {
        at: world.now,
        host: cas::model::metric::HostUsage::default(),
        runs: vec![],
        stopped: vec![],
    })));
    assert_eq!(told(&world), [10, 300, 90], "the rest is told without a further loss");
}

#[test]
fn row_28_out_of_memory_is_a_failure_that_names_limit_and_peak() {
    let mut world =
        World::new(vec![service("web").with(|s| s.restart = RestartPolicy::OnFailure { max_retries: None })]);
    world.say("start web");
    world.run_for(secs(20));
    world.crash("web", Exit::OutOfMemory { limit_bytes: Some(64 << 20), peak_bytes: Some(63 << 20) });
    world.run_for(ms(10));
    assert_eq!(
        world.view("web").why,
        "restarted by the healer after killed by the kernel for memory: limit 64 MiB, peak 63 MiB, try 1"
    );
    let told = world.entries.iter().find(|entry| matches!(entry.what, What::Exited { .. })).unwrap();
    assert_eq!(told.severity(), Severity::Error);
    assert_eq!(told.sentence(), "killed by the kernel for memory: limit 64 MiB, peak 63 MiB; it ran 19 s");
    let older: Exit = serde_json::from_str(r#"{"kind":"out-of-memory","value":{"limit_bytes":null}}"#).unwrap();
    assert_eq!(older.to_string(), "killed by the kernel for memory: the machine had none left");
}

#[test]
fn the_picture_says_where_the_engine_runs_and_since_when_it_cares() {
    let settings = Settings { daemon: true, containment: Containment::Cgroup, ..Settings::default() };
    let mut world = World::empty(settings);
    world.load("shop", vec![service("web")]);
    let opened = world.now;
    world.run_for(secs(60));
    world.load("shop", vec![service("web"), service("new")]);
    let snapshot = world.engine.snapshot(world.now);
    assert!(snapshot.engine.daemon);
    assert_eq!(snapshot.projects[0].under_care_since, Some(opened), "reading it again does not change that");
    assert_eq!(snapshot.services[0].containment, Containment::Cgroup);
}
