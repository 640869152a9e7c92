//! Services that put themselves into the background (GUARANTEES row 4).

use cas::model::{
    effect::Effect,
    phase::Exit,
    service::{Condition, RestartPolicy, ServiceSpec},
    signal::Signal,
    timeline::{Severity, What},
};

use super::world::{Build, World, secs, service};

/// Its main process has just ended with code 0 and left two others.
fn forked(spec: ServiceSpec) -> World {
    let name = spec.id.service.to_string();
    let mut world = World::new(vec![spec]);
    world.behave(&name, |b| b.leftover = 2);
    world.say(&format!("start {name}"));
    world.run_for(secs(2));
    world.crash(&name, Exit::Code(0));
    world
}

fn ends(world: &World) -> usize {
    let ends = |effect: &Effect| matches!(effect, Effect::EndTree { .. } | Effect::StopTree { .. });
    world.effects.iter().filter(|(_, effect)| ends(effect)).count()
}

#[test]
fn row_4_a_service_that_forks_away_its_parent_runs_on_and_is_told() {
    let mut world = forked(service("web"));
    world.run_for(secs(60));
    let view = world.view("web");
    assert_eq!((view.phase.label(), view.pid, world.alive(), ends(&world)), ("running", None, 1, 0));
    assert_eq!(view.why, "running (forked): its main process ended with code 0, 2 processes of it go on");
    let told = world.entries.iter().find(|entry| matches!(entry.what, What::Forked { left: 2 })).unwrap();
    assert_eq!(told.severity(), Severity::Warning);
}

#[test]
fn when_the_last_of_a_forked_service_is_gone_its_policy_decides() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| {
        b.leftover = 1;
        b.leftover_lasts = Some(secs(30));
    });
    world.say("start web");
    world.run_for(secs(2));
    world.crash("web", Exit::Code(0));
    world.run_for(secs(29));
    assert_eq!(world.phase("web"), "running");
    world.run_for(secs(2));
    world.assert_told("web", "ended with code 0 after 31 s");
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 2));
    assert_eq!(world.view("web").why, "restarted by the healer after exit code 0, try 1");
}

#[test]
fn a_forked_service_is_stopped_whole() {
    for (signal, stop) in [(Signal::Term, true), (Signal::Int, false)] {
        let mut world = forked(service("web").with(|s| s.stop.signal = signal));
        world.run_for(secs(1));
        world.say("stop web");
        let by_end = world.effects.iter().any(|(_, effect)| matches!(effect, Effect::EndTree { .. }));
        assert_eq!(by_end, stop, "only SIGTERM is what the end of a tree begins with");
        world.run_for(secs(12));
        assert_eq!((world.phase("web"), world.alive()), ("stopped", 0), "{signal:?}");
        world.run_for(secs(60));
        assert_eq!(world.spawns("web").len(), 1);
    }
}

#[test]
fn a_forked_service_that_ignores_its_signal_is_killed_when_its_grace_is_over() {
    let mut world = forked(service("web").with(|s| s.stop.signal = Signal::Int));
    world.behave("web", |b| b.ends_in = None);
    world.say("stop web");
    world.run_for(secs(11));
    assert_eq!((world.phase("web"), world.alive()), ("stopped", 0));
    world.assert_told("web", "killed, still there after 10 s");
}

#[test]
fn a_crash_a_job_and_a_stop_are_no_forks() {
    let mut crashed = World::new(vec![service("web")]);
    crashed.behave("web", |b| b.leftover = 2);
    crashed.say("start web");
    crashed.run_for(secs(20));
    crashed.crash("web", Exit::Code(1));
    assert_eq!(crashed.phase("web"), "stopping");

    let job = forked(service("job").with(|s| s.restart = RestartPolicy::No));
    assert_eq!(ends(&job), 1, "a job is done when its main process is");

    let mut awaited =
        World::new(vec![service("job"), service("web").needs_if("job", Condition::ServiceCompletedSuccessfully)]);
    awaited.behave("job", |b| b.leftover = 2);
    awaited.say("start web");
    awaited.run_for(secs(2));
    awaited.crash("job", Exit::Code(0));
    assert_eq!(ends(&awaited), 1, "others wait for its end");
}

#[test]
fn a_forked_service_is_taken_over_and_still_known_as_one() {
    let mut world = forked(service("web"));
    world.run_for(secs(1));
    let before = world.view("web");
    world.die();
    world.run_for(secs(5));
    world.revive();
    let after = world.view("web");
    assert_eq!((&after.phase, &after.why, after.run), (&before.phase, &before.why, before.run));
    world.assert_told("web", "taken over");
    world.say("stop web");
    world.run_for(secs(12));
    assert_eq!((world.phase("web"), world.alive()), ("stopped", 0));
}

#[test]
fn a_service_that_forked_while_no_engine_looked_is_known_as_one() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.leftover = 2);
    world.say("start web");
    world.run_for(secs(2));
    world.die();
    world.crash("web", Exit::Code(0));
    world.run_for(secs(5));
    world.revive();
    assert!(world.view("web").why.starts_with("running (forked)"), "{}", world.view("web").why);
    assert_eq!((world.phase("web"), ends(&world)), ("running", 0));
    assert!(world.entries.iter().any(|entry| entry.what == What::Forked { left: 2 }));
}

#[test]
fn a_forked_service_that_ended_while_no_engine_looked_is_restarted() {
    let mut world = forked(service("web"));
    world.run_for(secs(1));
    world.die();
    world.processes.values_mut().for_each(|process| process.leftover = 0);
    world.run_for(secs(60));
    world.revive();
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 2));
}
