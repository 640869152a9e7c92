//! Names, policy, consent, dry runs, and what is written down.

use cas::model::{
    command::{Command, Targets},
    effect::Effect,
    phase::Exit,
    policy::{Autopilot, Consent, Origin, Reply, Risk},
    timeline::What,
};

use super::world::{Build, World, secs, service};

fn up() -> World {
    let mut world =
        World::new(vec![service("db"), service("web").needs("db"), service("worker-1"), service("worker-2")]);
    world.say("start --all");
    world.run_for(secs(20));
    world
}

fn refusal(reply: &Reply) -> (String, String) {
    let Reply::Refused { reason, hint } = reply else { panic!("{reply:?}") };
    (reason.clone(), hint.clone().unwrap_or_default())
}

#[test]
fn an_ambiguous_name_is_refused_with_its_candidates() {
    let mut world = World::new(vec![service("web")]);
    world.load("bank", vec![service("bank/web"), service("bank/db")]);
    let (reason, hint) = refusal(&world.say("start web"));
    assert_eq!(reason, "\"web\" is ambiguous: bank/web, shop/web");
    assert_eq!(hint, "write the project too, such as bank/web");
    assert_eq!(world.say("start bank/web"), Reply::Accepted { note: "start bank/web".to_owned() });
    assert_eq!(world.say("start db"), Reply::Accepted { note: "start db".to_owned() });
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    let mut world = up();
    for (line, reason, hint) in [
        ("start wbe", "there is no service \"wbe\"", "did you mean web?"),
        ("start worker1", "there is no service \"worker1\"", "did you mean worker-1?"),
        ("start shop/dv", "there is no service \"shop/dv\"", "did you mean shop/db?"),
        ("start elasticsearch", "there is no service \"elasticsearch\"", "known: db, web, worker-1, worker-2"),
        ("start 'x-*'", "no service matches \"x-*\"", "known: db, web, worker-1, worker-2"),
    ] {
        assert_eq!(refusal(&world.say(line)), (reason.to_owned(), hint.to_owned()), "{line}");
    }
}

#[test]
fn one_bad_name_among_good_ones_does_nothing_at_all() {
    let mut world = up();
    refusal(&world.say("stop web wbe"));
    assert_eq!(world.phase("web"), "running");
}

#[test]
fn patterns_mean_all_that_match() {
    let mut world = up();
    for (line, note) in [
        ("signal HUP 'worker-*'", "send SIGHUP to worker-1 and worker-2"),
        ("signal HUP 'shop/*'", "send SIGHUP to 4 services"),
        ("signal HUP 'sh*/w*r-2'", "send SIGHUP to worker-2"),
    ] {
        assert_eq!(world.say(line), Reply::Accepted { note: note.to_owned() }, "{line}");
    }
}

#[test]
fn a_key_that_disrupts_must_be_confirmed_and_a_typed_command_is_taken_at_its_word() {
    let table: &[(Origin, &str, bool)] = &[
        (Origin::Key, "stop web", true),
        (Origin::Palette, "stop web", true),
        (Origin::Key, "restart web", false),
        (Origin::Key, "restart worker-1 worker-2", true),
        (Origin::Key, "restart db --with-dependents", true),
        (Origin::Key, "kill web", true),
        (Origin::Key, "start web", false),
        (Origin::Cli, "stop --all", false),
        (Origin::Api, "kill web", false),
    ];
    for (origin, line, confirms) in table {
        let mut world = up();
        world.say("stop worker-1");
        world.run_for(secs(1));
        world.say("start worker-1");
        world.run_for(secs(1));
        let reply = world.say_as(*origin, line, Consent::Ask);
        assert_eq!(matches!(reply, Reply::NeedsConsent { .. }), *confirms, "{origin:?} {line}: {reply:?}");
    }
}

#[test]
fn consent_is_bound_to_the_plan_that_was_seen() {
    let mut world = up();
    let Reply::NeedsConsent { plan } = world.say_as(Origin::Key, "stop web", Consent::Ask) else { panic!("asks") };
    assert_eq!((plan.title.as_str(), plan.risk), ("stop web", Risk::Disruptive));
    assert_eq!(world.phase("web"), "running");
    world.crash("web", Exit::Code(1));
    assert_eq!(world.phase("web"), "starting");
    let changed = world.say_as(Origin::Key, "stop web", Consent::Given(plan.fingerprint));
    let Reply::NeedsConsent { plan } = changed else { panic!("the state changed: {changed:?}") };
    let reply = world.say_as(Origin::Key, "stop web", Consent::Given(plan.fingerprint));
    assert_eq!(reply, Reply::Accepted { note: "stop web".to_owned() });
}

#[test]
fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let mut world = up();
    let reply = world.say_as(Origin::Cli, "restart db --with-dependents", Consent::DryRun);
    let Reply::Planned { plan } = reply else { panic!("{reply:?}") };
    assert_eq!(plan.title, "restart db and 1 more");
    assert_eq!(
        plan.steps,
        ["stop web (SIGTERM, 10 s, then SIGKILL)", "stop db (SIGTERM, 10 s, then SIGKILL)", "start db", "start web"]
    );
    world.run_for(secs(5));
    assert_eq!(world.spawned.len(), 4);
    let asked = world.entries.iter().filter(|entry| matches!(entry.what, What::Requested { .. })).count();
    assert_eq!(asked, 1, "only the start that was carried out");
}

#[test]
fn the_healer_may_not_disrupt_and_the_refusal_is_written_down() {
    let mut world = up();
    refusal(&world.say_as(Origin::Healer, "stop web", Consent::Ask));
    let entry = world.entries.last().unwrap();
    assert_eq!((entry.who, entry.sentence().as_str()), (Origin::Healer, "asked: stop web"));
    assert!(entry.why.starts_with("refused"));
}

#[test]
fn what_is_done_is_written_down_with_who_and_what() {
    let mut world = up();
    world.say_as(Origin::Palette, "restart web", Consent::Ask);
    let asked = world.entries.iter().rev().find(|entry| matches!(entry.what, What::Requested { .. })).unwrap();
    assert_eq!((asked.who, asked.sentence().as_str()), (Origin::Palette, "asked: restart web"));
    let seqs: Vec<u64> = world.entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
}

#[test]
fn what_is_as_asked_changes_nothing_and_says_so() {
    let mut world = up();
    for (line, note) in [
        ("start web", "web is running: nothing to start"),
        ("start --all", "nothing to start among 4 services"),
        ("autopilot on", "autopilot is on already"),
    ] {
        assert_eq!(world.say(line), Reply::Unchanged { note: note.to_owned() }, "{line}");
    }
    world.say("stop web");
    world.run_for(secs(1));
    for verb in ["stop", "kill", "restart", "signal HUP"] {
        let word = verb.split(' ').next().unwrap();
        let note = format!("web is stopped: nothing to {word}");
        assert_eq!(world.say(&format!("{verb} web")), Reply::Unchanged { note });
    }
}

#[test]
fn the_autopilot_is_switched_and_seen() {
    let mut world = up();
    assert_eq!(world.say("autopilot off"), Reply::Accepted { note: "autopilot off".to_owned() });
    assert_eq!(world.engine.snapshot(world.now).engine.autopilot, Autopilot::Off);
}

#[test]
fn reload_reads_every_open_project_again() {
    let mut world = up();
    world.load("bank", vec![service("bank/db")]);
    world.say("reload");
    let read = world.effects.iter().filter(|(_, effect)| matches!(effect, Effect::LoadProject { .. })).count();
    assert_eq!(read, 2);
}

#[test]
fn without_a_project_every_wish_is_refused_with_a_hint() {
    let mut world = World::empty(cas::engine::Settings::default());
    let all = Targets { services: vec![], all: true };
    let (reason, hint) = refusal(&world.ask(Origin::Cli, Command::Start { targets: all }, Consent::Ask));
    assert_eq!(reason, "no service is known");
    assert!(hint.contains("cas.yaml"));
    assert_eq!(world.say("reload"), Reply::Unchanged { note: "no project is open".to_owned() });
}
