//! Stop, kill, signal, restart, shutdown.

use std::time::Duration;

use cas::model::{
    effect::Effect,
    event::{Event, TimerKey},
    ids::Epoch,
    phase::Exit,
    policy::Reply,
    service::Condition,
    signal::Signal,
    timeline::What,
};

use super::world::{Build, Life, World, id, ms, secs, service};

fn up(specs: Vec<cas::model::service::ServiceSpec>) -> World {
    let mut world = World::new(specs);
    world.say("start --all");
    world.run_for(secs(20));
    world
}

#[test]
fn a_stop_asks_and_then_it_is_gone() {
    let mut world = up(vec![service("web")]);
    world.say("stop web");
    let view = world.view("web");
    assert_eq!(view.phase.label(), "stopping");
    assert_eq!(view.why, "stopped by command line; SIGTERM sent, SIGKILL after 10 s");
    world.run_for(secs(1));
    assert_eq!(world.phase("web"), "stopped");
    assert_eq!(world.view("web").why, "stopped by command line");
    assert_eq!(
        world.story("web"),
        [
            "asked: start --all",
            "started, pid 1001",
            "asked: stop web",
            "stopping with SIGTERM",
            "ended by SIGTERM after 20 s",
            "stopped, nothing is left"
        ]
    );
}

#[test]
fn what_ignores_the_signal_is_killed_when_its_grace_is_over() {
    let mut world = up(vec![service("web")]);
    world.behave("web", |b| b.ends_in = None);
    world.say("stop web --grace 3s");
    world.run_for(ms(2900));
    assert_eq!(world.phase("web"), "stopping");
    world.run_for(ms(200));
    assert_eq!(world.phase("web"), "stopped");
    world.assert_told("web", "killed, still there after 3 s");
}

#[test]
fn a_stop_cancels_a_backoff_at_once() {
    let mut world = up(vec![service("web")]);
    world.crash("web", Exit::Code(1));
    world.run_for(secs(1));
    world.crash("web", Exit::Code(1));
    assert_eq!(world.phase("web"), "backing-off");
    world.say("stop web");
    assert_eq!(world.phase("web"), "stopped");
    world.run_for(secs(100));
    assert_eq!(world.spawns("web").len(), 2);
}

#[test]
fn a_stop_requested_during_a_restart_wins() {
    let mut world = up(vec![service("web")]);
    world.say("restart web");
    assert_eq!(
        world.view("web").why,
        "stopped by command line; SIGTERM sent, SIGKILL after 10 s; then it starts again"
    );
    world.say("stop web");
    world.run_for(secs(100));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("stopped", 1));
}

#[test]
fn a_stop_requested_while_it_is_being_spawned_wins() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.spawn_takes = ms(500));
    world.say("start web");
    assert_eq!(world.phase("web"), "starting");
    world.say("stop web");
    assert_eq!(world.phase("web"), "stopping");
    world.run_for(secs(100));
    assert_eq!((world.phase("web"), world.alive()), ("stopped", 0));
}

#[test]
fn a_kill_requested_while_it_is_being_spawned_is_carried_out_when_it_is_there() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| {
        b.spawn_takes = ms(500);
        b.ends_in = None;
    });
    world.say("start web");
    world.say("kill web");
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.alive()), ("stopped", 0));
}

#[test]
fn a_start_while_it_is_stopping_starts_it_again_afterwards() {
    let mut world = up(vec![service("web")]);
    world.say("stop web");
    assert!(matches!(world.say("start web"), Reply::Accepted { .. }));
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 2));
}

#[test]
fn a_stop_that_ends_the_main_process_waits_for_what_it_left_behind() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.leftover = 5);
    world.say("start web");
    world.run_for(secs(1));
    world.say("stop web");
    world.run_for(ms(100));
    assert_eq!(world.phase("web"), "stopping");
    assert!(world.view("web").why.contains("left behind"), "{}", world.view("web").why);
    world.run_for(secs(10));
    assert_eq!((world.phase("web"), world.alive()), ("stopped", 0));
}

#[test]
fn kill_ends_at_once_and_it_stays_down() {
    let mut world = up(vec![service("web")]);
    world.behave("web", |b| b.ends_in = None);
    world.say("kill web");
    assert!(world.effects.iter().any(|(_, e)| matches!(e, Effect::EndTree { patience: Duration::ZERO, .. })));
    world.run_for(secs(100));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("stopped", 1));
    world.assert_told("web", "killed");
}

#[test]
fn kill_hastens_a_stop_that_takes_long() {
    let mut world = up(vec![service("web")]);
    world.behave("web", |b| b.ends_in = None);
    world.say("stop web");
    world.run_for(secs(1));
    world.say("kill web");
    world.run_for(ms(10));
    assert_eq!(world.phase("web"), "stopped");
}

#[test]
fn a_signal_goes_to_the_main_process_and_the_policy_answers_its_death() {
    let mut world = up(vec![service("web")]);
    world.say("signal INT web");
    let sent = world.effects.iter().any(|(_, e)| matches!(e, Effect::Signal { signal: Signal::Int, .. }));
    assert!(sent);
    world.assert_told("web", "SIGINT sent");
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 2));
}

#[test]
fn a_stop_of_several_goes_dependents_first() {
    let mut world = up(vec![service("db"), service("api").needs("db"), service("web").needs("api")]);
    world.say("stop --all");
    assert_eq!((world.phase("web"), world.phase("api"), world.phase("db")), ("stopping", "running", "running"));
    assert_eq!(world.view("api").why, "stopped by command line, once web is gone; until then: started by command line");
    world.run_for(secs(1));
    let ends: Vec<String> = ended(&world);
    assert_eq!(ends, ["web", "api", "db"]);
}

fn ended(world: &World) -> Vec<String> {
    world
        .entries
        .iter()
        .filter(|entry| matches!(entry.what, What::Exited { .. }))
        .map(|entry| entry.service.as_ref().unwrap().to_string())
        .collect()
}

#[test]
fn a_stop_of_one_leaves_its_dependents_up_and_the_plan_names_them() {
    let mut world = up(vec![service("db"), service("web").needs("db")]);
    let reply = world.say_as(cas::model::policy::Origin::Cli, "stop db", cas::model::policy::Consent::DryRun);
    let Reply::Planned { plan } = reply else { panic!("{reply:?}") };
    assert_eq!(plan.steps, ["stop db (SIGTERM, 10 s, then SIGKILL)", "note: web depends on it and stays up"]);
    world.say("stop db");
    world.run_for(secs(5));
    assert_eq!((world.phase("db"), world.phase("web")), ("stopped", "running"));
}

#[test]
fn a_crash_before_its_turn_does_not_undo_a_stop() {
    let mut world = up(vec![service("db"), service("web").needs("db")]);
    world.behave("web", |b| b.ends_in = Some(secs(3)));
    world.say("stop --all");
    world.crash("db", Exit::Code(1));
    world.run_for(secs(60));
    assert_eq!((world.phase("db"), world.phase("web")), ("stopped", "stopped"));
    assert_eq!(world.spawned.len(), 2);
}

#[test]
fn a_restart_touches_only_its_targets() {
    let mut world = up(vec![service("db"), service("web").needs("db")]);
    world.say("restart db");
    world.run_for(secs(5));
    assert_eq!((world.spawns("db").len(), world.spawns("web").len()), (2, 1));
    assert_eq!(world.view("db").why, "restarted by command line");
    assert_eq!(world.view("db").restarts, 0, "a restart by a person is not one by the healer");
}

#[test]
fn a_restart_with_dependents_stops_in_reverse_and_starts_in_order() {
    let mut world = up(vec![service("db"), service("api").needs("db"), service("web").needs("api"), service("job")]);
    world.say("restart db --with-dependents");
    world.run_for(secs(5));
    assert_eq!(ended(&world), ["web", "api", "db"]);
    let order: Vec<String> = world.spawned.iter().skip(4).map(|(_, id)| id.service.to_string()).collect();
    assert_eq!(order, ["db", "api", "web"]);
    assert_eq!(world.spawns("job").len(), 1);
}

#[test]
fn a_dependent_that_asks_for_it_is_restarted_with_its_dependency() {
    let follows = service("web").needs("db").with(|s| s.depends_on.values_mut().for_each(|edge| edge.restart = true));
    let mut world = up(vec![service("db"), follows, service("api").needs("db")]);
    world.say("restart db");
    world.run_for(secs(5));
    assert_eq!((world.spawns("db").len(), world.spawns("web").len(), world.spawns("api").len()), (2, 2, 1));
    world.crash("db", Exit::Code(1));
    world.run_for(secs(60));
    assert_eq!((world.spawns("db").len(), world.spawns("web").len()), (3, 2), "a crash restarts no dependent");
}

#[test]
fn a_dependent_that_was_stopped_stays_down_when_its_dependency_is_restarted() {
    let mut world = up(vec![service("db"), service("web").needs("db")]);
    world.say("stop web");
    world.run_for(secs(1));
    world.say("restart db --with-dependents");
    world.run_for(secs(30));
    assert_eq!((world.phase("db"), world.phase("web")), ("running", "stopped"));
}

#[test]
fn a_restart_of_a_completed_job_runs_it_again() {
    let mut world = World::new(vec![service("job").with(|s| s.restart = cas::model::service::RestartPolicy::No)]);
    world.behave("job", |b| b.then = Life::Ends(ms(10), Exit::Code(0)));
    world.say("start job");
    world.run_for(secs(1));
    assert_eq!(world.phase("job"), "completed");
    world.say("restart job");
    world.run_for(secs(1));
    assert_eq!(world.spawns("job").len(), 2);
}

#[test]
fn ending_cas_stops_everything_in_reverse_order_and_quits_once() {
    let mut world = up(vec![
        service("db"),
        service("api").needs("db"),
        service("web").needs_if("api", Condition::ServiceStarted),
        service("stubborn"),
    ]);
    world.behave("stubborn", |b| b.ends_in = None);
    world.tell(Event::ShutdownAsked);
    world.tell(Event::ShutdownAsked);
    assert_eq!(world.quits, 0);
    let Reply::Refused { reason, .. } = world.say("start web") else { panic!("nothing starts now") };
    assert!(reason.contains("ending"), "{reason}");
    world.run_for(secs(5));
    assert_eq!(ended(&world), ["web", "api", "db"]);
    world.run_for(secs(6));
    assert_eq!((world.quits, world.alive()), (1, 0));
}

#[test]
fn ending_cas_calls_off_what_waits_and_quits_at_once_where_nothing_runs() {
    let mut world = World::new(vec![service("db"), service("web").needs("db")]);
    world.behave("db", |b| b.then = Life::Fails("no such program".to_owned()));
    world.say("start web");
    world.run_for(ms(5));
    assert_eq!((world.phase("db"), world.phase("web")), ("backing-off", "waiting"));
    world.tell(Event::ShutdownAsked);
    assert_eq!(world.quits, 1);
}

#[test]
fn a_crash_while_cas_ends_restarts_nothing() {
    let mut world = up(vec![service("db"), service("web").needs("db")]);
    world.behave("web", |b| b.ends_in = Some(secs(2)));
    world.tell(Event::ShutdownAsked);
    world.crash("db", Exit::Signal(9));
    world.run_for(secs(30));
    assert_eq!((world.quits, world.spawned.len()), (1, 2));
}

#[test]
fn a_timer_of_a_phase_already_left_changes_nothing() {
    let mut world = up(vec![service("web")]);
    // The clock alone moves.
    world.tell(Event::Stalled { gap: Duration::ZERO });
    for (key, epoch) in [
        (TimerKey::BackoffOver(id("web")), 0),
        (TimerKey::GraceOver(id("web")), 1),
        (TimerKey::StableReached(id("web")), 1),
        (TimerKey::PortsAgain(id("web")), 1),
        (TimerKey::BudgetRefilled, 0),
        (TimerKey::BackoffOver(id("nobody")), 0),
    ] {
        let before = format!("{:?}", world.engine);
        let event = Event::TimerFired { key, epoch: Epoch(epoch) };
        let effects = world.engine.step(world.now, cas::model::event::Input::Event(event));
        assert!(effects.is_empty());
        assert_eq!(format!("{:?}", world.engine), before);
    }
}
