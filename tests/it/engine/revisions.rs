//! Revisions: what somebody looked at is still what it was, or the wish is refused; and who wished it stands everywhere.

use cas::model::{
    command::Command,
    event::Event,
    ids::RequestId,
    metric::{HostUsage, RunUsage, Sample},
    phase::Exit,
    policy::{Asker, Consent, Origin, Plan, Reply, Request},
    probe::ProbeKind,
    timeline::What,
};

use super::world::{Answer, Build, World, secs, service};

fn up() -> World {
    let mut world = World::new(vec![service("db"), service("web").needs("db"), service("worker")]);
    world.say("start --all");
    world.run_for(secs(20));
    world
}

fn at(line: &str, consent: Consent, if_rev: Option<u64>) -> Request {
    let command = Command::parse_line(line).unwrap();
    Request { id: RequestId(0), origin: Origin::Cli, command, consent, if_rev, asker: None }
}

fn refusal(reply: &Reply) -> (&str, &str) {
    let Reply::Refused { reason, hint } = reply else { panic!("{reply:?}") };
    (reason, hint.as_deref().unwrap_or_default())
}

fn plan(reply: Reply) -> Plan {
    let Reply::NeedsConsent { plan } = reply else { panic!("{reply:?}") };
    plan
}

#[test]
fn a_service_that_is_as_it_was_looked_at_is_acted_upon_and_its_number_grows() {
    let mut world = up();
    let seen = world.view("web").revision;
    assert!(seen > 0);
    assert!(matches!(world.wish(at("restart web", Consent::Ask, Some(seen))), Reply::Accepted { .. }));
    let then = world.view("web").revision;
    assert!(then > seen);
    world.run_for(secs(20));
    assert!(world.view("web").revision > then);
}

#[test]
fn a_service_that_changed_since_is_left_alone_and_the_refusal_says_what_changed() {
    let mut world = up();
    let (seen, worker) = (world.view("web").revision, world.view("worker").revision);
    world.crash("web", Exit::Code(1));
    world.run_for(secs(3));
    assert_eq!(world.phase("web"), "running", "it looks as before, but it is another run");
    let spawned = world.spawned.len();
    let reply = world.wish(at("stop web", Consent::Ask, Some(seen)));
    let (reason, hint) = refusal(&reply);
    assert!(reason.starts_with("web has changed since"), "{reason}");
    assert!(reason.contains("it was running (run ") && reason.contains("is running (run "), "{reason}");
    assert!(hint.contains("look again"), "{hint}");
    assert_eq!((world.phase("web"), world.spawned.len()), ("running", spawned), "nothing was done");
    assert!(
        !world.entries.iter().any(|entry| matches!(&entry.what, What::Requested { line, .. } if line == "stop web"))
    );
    let reply = world.wish(at("stop worker", Consent::Ask, Some(worker)));
    assert!(matches!(reply, Reply::Accepted { .. }), "another service is another matter: {reply:?}");
    let now = world.view("web").revision;
    assert!(matches!(world.wish(at("stop web", Consent::Ask, Some(now))), Reply::Accepted { .. }));
}

#[test]
fn a_wish_whose_answer_was_lost_is_not_done_twice_when_it_is_repeated() {
    let mut world = up();
    let seen = world.view("web").revision;
    for repeated in 0..3 {
        let reply = world.wish(at("restart web", Consent::Ask, Some(seen)));
        assert_eq!(matches!(reply, Reply::Accepted { .. }), repeated == 0, "{reply:?}");
        world.run_for(secs(5));
    }
    assert_eq!(world.spawns("web").len(), 2);
}

#[test]
fn one_number_holds_for_all_that_are_named_and_the_greatest_seen_is_enough() {
    let mut world = up();
    let newest = |world: &mut World| ["db", "web", "worker"].map(|name| world.view(name).revision).into_iter().max();
    let seen = newest(&mut world);
    assert!(matches!(world.wish(at("restart db worker", Consent::DryRun, seen)), Reply::Planned { .. }));
    world.crash("worker", Exit::Code(1));
    world.run_for(secs(3));
    let reply = world.wish(at("restart db worker", Consent::DryRun, seen));
    assert!(refusal(&reply).0.starts_with("worker has changed since"), "{reply:?}");
    let seen = newest(&mut world);
    assert!(matches!(world.wish(at("restart db worker", Consent::Ask, seen)), Reply::Accepted { .. }));
}

#[test]
fn neither_samples_nor_rounds_of_probes_nor_the_passing_of_time_count() {
    let mut world =
        World::new(vec![service("web").probe(ProbeKind::Readiness, |probe| probe.interval = secs(1)), service("db")]);
    world.say("start --all");
    world.run_for(secs(20));
    let seen = world.view("web");
    let usage = RunUsage { cpu_percent: 50.0, memory_bytes: 1 << 20, processes: 1, threads: 1 };
    for _ in 0..30 {
        let sample = Sample {
            at: world.now,
            host: HostUsage::default(),
            runs: vec![(seen.run.unwrap(), usage)],
            stopped: vec![],
        };
        world.tell(Event::Sampled(sample.into()));
        world.run_for(secs(1));
    }
    assert!(world.view("web").probes[0].rounds > seen.probes[0].rounds);
    assert_eq!(world.view("web").revision, seen.revision);
}

#[test]
fn health_and_the_project_file_count() {
    let mut world = World::new(vec![service("web").probe(ProbeKind::Readiness, |probe| probe.interval = secs(1))]);
    world.say("start web");
    world.run_for(secs(20));
    let healthy = world.view("web").revision;
    world.behave("web", |behaviour| behaviour.answers.extend([(ProbeKind::Readiness, Answer::Bad)]));
    world.run_for(secs(20));
    let ill = world.view("web").revision;
    assert!(ill > healthy);
    let reply = world.wish(at("restart web", Consent::Ask, Some(healthy)));
    let (reason, _) = refusal(&reply);
    assert!(
        reason.contains("it was running, healthy (run ") && reason.contains("is running, unhealthy (run "),
        "{reason}"
    );
    let mut told = service("web").probe(ProbeKind::Readiness, |probe| probe.interval = secs(1));
    told.description = Some("another".to_owned());
    world.load("shop", vec![told]);
    let reply = world.wish(at("restart web", Consent::Ask, Some(ill)));
    assert!(refusal(&reply).0.contains("its part of the project file"), "{reply:?}");
}

#[test]
fn who_agreed_to_a_plan_is_asked_again_where_what_it_was_made_for_is_another_run_now() {
    let mut world = up();
    let ask = |consent, if_rev| Request { origin: Origin::Key, ..at("stop web", consent, if_rev) };
    let first = plan(world.wish(ask(Consent::Ask, None)));
    world.crash("web", Exit::Code(1));
    world.run_for(secs(3));
    assert_eq!(world.phase("web"), "running");
    let again = plan(world.wish(ask(Consent::Given(first.fingerprint), Some(first.revision))));
    assert!(again.steps[0].starts_with("web has changed since"), "{:?}", again.steps);
    assert!(again.revision > first.revision);
    assert_eq!(world.phase("web"), "running", "nothing was done");
    let reply = world.wish(ask(Consent::Given(again.fingerprint), Some(again.revision)));
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
}

#[test]
fn what_a_plan_touches_besides_is_agreed_to_as_well() {
    let mut world = up();
    let ask = |consent, if_rev| Request { origin: Origin::Key, ..at("restart db --with-dependents", consent, if_rev) };
    let first = plan(world.wish(ask(Consent::Ask, None)));
    world.crash("web", Exit::Code(1));
    world.run_for(secs(3));
    let again = plan(world.wish(ask(Consent::Given(first.fingerprint), Some(first.revision))));
    assert!(again.steps[0].starts_with("web has changed since"), "{:?}", again.steps);
}

#[test]
fn a_number_of_another_engine_is_no_number_of_this_one() {
    let mut world = up();
    let reply = world.wish(at("stop web", Consent::Ask, Some(u64::MAX)));
    assert!(refusal(&reply).0.contains("from no picture of this engine"), "{reply:?}");
    let seen = world.view("web").revision;
    world.die();
    world.run_for(secs(1));
    world.revive();
    world.run_for(secs(2));
    let reply = world.wish(at("stop web", Consent::Ask, Some(seen)));
    assert!(refusal(&reply).0.starts_with("web has changed since"), "a later engine counts on: {reply:?}");
}

#[test]
fn what_is_about_no_service_takes_no_number() {
    let mut world = up();
    for line in ["reload", "autopilot off"] {
        let reply = world.wish(at(line, Consent::Ask, Some(1)));
        assert!(refusal(&reply).0.ends_with("is not about a service, so it takes no revision"), "{reply:?}");
    }
}

#[test]
fn a_project_that_changed_since_is_not_closed() {
    let mut world = up();
    let seen = ["db", "web", "worker"].map(|name| world.view(name).revision).into_iter().max();
    world.crash("web", Exit::Code(1));
    world.run_for(secs(3));
    let reply = world.wish(at("close shop", Consent::Ask, seen));
    assert!(refusal(&reply).0.starts_with("web has changed since"), "{reply:?}");
}

#[test]
fn everything_that_follows_from_a_wish_names_the_program_that_wished_it() {
    let mut world = up();
    let from = |pid| Some(Asker { pid, user: None, terminal: Some("pts/3".to_owned()) });
    let before = world.entries.len();
    world.wish(Request { asker: from(71), ..at("stop web", Consent::Ask, None) });
    world.run_for(secs(20));
    world.wish(Request { asker: from(72), ..at("start web", Consent::Ask, None) });
    world.run_for(secs(1));
    world.wish(Request { asker: from(73), ..at("signal HUP web", Consent::Ask, None) });
    world.wish(Request { asker: from(74), ..at("autopilot off", Consent::Ask, None) });
    let told: Vec<String> =
        world.entries[before..].iter().map(|entry| format!("{} — {}", entry.sentence(), entry.why)).collect();
    for part in [
        "asked: stop web (pts/3, pid 71)",
        "stopping with SIGTERM — stopped by command line (pts/3, pid 71)",
        "stopped, nothing is left — stopped by command line (pts/3, pid 71)",
        "asked: start web (pts/3, pid 72)",
        "started by command line (pts/3, pid 72)",
        "SIGHUP sent — asked by pts/3, pid 73",
        "autopilot off — asked by pts/3, pid 74",
    ] {
        assert!(told.iter().any(|line| line.contains(part)), "{part:?} is not in {told:#?}");
    }
    assert_eq!(world.view("web").why, "started by command line (pts/3, pid 72)");
}
