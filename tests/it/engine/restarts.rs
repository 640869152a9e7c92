//! Policy, backoff, breaker, budget, ports.

use std::time::Duration;

use cas::{
    engine::{Budget, Settings},
    model::{
        phase::{Exit, Hold, Phase},
        policy::Consent,
        policy::{Origin, Reply},
        service::{Condition, RestartPolicy},
        timeline::{Severity, What},
    },
};

use super::world::{Build, Life, World, id, ms, secs, service};

fn started(spec: cas::model::service::ServiceSpec) -> World {
    let name = spec.id.service.to_string();
    let mut world = World::new(vec![spec]);
    assert!(matches!(world.say(&format!("start {name}")), Reply::Accepted { .. }));
    world.run_for(ms(10));
    world
}

#[test]
fn nothing_starts_that_was_not_asked_for() {
    let mut world = World::new(vec![service("web"), service("db").with(|s| s.autostart = true)]);
    world.run_for(secs(5));
    assert_eq!(world.phase("web"), "stopped");
    assert_eq!(world.phase("db"), "running");
    assert_eq!(world.view("web").why, "not started yet: autostart is off");
    assert_eq!(world.view("db").why, "started by the project file");
}

#[test]
fn what_is_withheld_says_why_and_stays_down_at_the_first_opening_only() {
    let withheld = [(id("web"), "stopped by hand before".to_owned())].into();
    let mut world = World::empty(Settings { seed: 7, withheld, ..Settings::default() });
    let web = || service("web").with(|s| s.autostart = true);
    world.load("shop", vec![web(), service("db").with(|s| s.autostart = true)]);
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.phase("db")), ("stopped", "running"));
    assert_eq!(world.view("web").why, "stopped by hand before");
    world.load("shop", vec![web(), service("db").with(|s| s.autostart = true)]);
    world.run_for(secs(1));
    assert_eq!(world.phase("web"), "stopped");
    world.load("shop", vec![service("db").with(|s| s.autostart = true)]);
    world.load("shop", vec![web(), service("db").with(|s| s.autostart = true)]);
    world.run_for(secs(1));
    assert_eq!(world.phase("web"), "running", "what comes back into the file is new");
}

#[test]
fn the_first_restart_of_a_service_that_ran_well_is_immediate() {
    let mut world = started(service("web"));
    world.run_for(secs(11));
    world.crash("web", Exit::Signal(9));
    let spawns = world.spawns("web");
    assert_eq!(spawns.len(), 2, "the replacement is asked for in the very same step");
    assert_eq!(spawns[1], world.now);
    world.run_for(ms(10));
    assert_eq!(world.view("web").why, "restarted by the healer after SIGKILL, try 1");
    assert_eq!(world.view("web").restarts, 1);
}

#[test]
fn a_crash_waits_before_it_restarts() {
    let mut world = started(service("web"));
    world.crash("web", Exit::Code(1));
    let view = world.view("web");
    let Phase::BackingOff { attempt, since, until, .. } = view.phase else { panic!("{:?}", view.phase) };
    assert_eq!(attempt, 1);
    assert!(until.since(since) <= secs(1));
    assert!(view.why.contains("after exit code 1"), "{}", view.why);
    world.run_for(secs(1));
    assert_eq!(world.phase("web"), "running");
    assert_eq!(world.spawns("web")[1], until);
}

#[test]
fn a_base_of_nothing_restarts_at_once_for_ever() {
    let mut world = started(service("web").with(|s| {
        s.backoff.base = Duration::ZERO;
        s.backoff.give_up_after = 0;
    }));
    for _ in 0..50 {
        world.run_for(secs(2));
        world.crash("web", Exit::Signal(9));
        assert_eq!(*world.spawns("web").last().unwrap(), world.now);
    }
}

/// GUARANTEES row 11: a crash loop ends after `give_up_after` starts that never became stable.
#[test]
fn row_11_a_crash_loop_gives_up_loudly_after_eight_starts() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.then = Life::Ends(ms(20), Exit::Code(1)));
    world.say("start web");
    world.run_for(secs(3600));
    assert_eq!(world.spawns("web").len(), 8);
    let view = world.view("web");
    assert!(matches!(view.phase, Phase::GaveUp { attempts: 8, exit: Exit::Code(1), .. }), "{:?}", view.phase);
    assert_eq!(view.why, "gave up: 8 starts in a row never lasted 10 s; last: exit code 1 — press start to try again");
    let gave_up = world.entries.iter().find(|entry| matches!(entry.what, What::GaveUp { .. })).unwrap();
    assert_eq!(gave_up.severity(), Severity::Error);
    assert_eq!(gave_up.who, Origin::Healer);
}

#[test]
fn a_start_after_giving_up_counts_anew() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.then = Life::Ends(ms(20), Exit::Code(1)));
    world.say("start web");
    world.run_for(secs(3600));
    world.say("start web");
    world.run_for(secs(3600));
    assert_eq!(world.spawns("web").len(), 16);
}

#[test]
fn slow_crashes_also_open_the_breaker_because_backoff_cannot_hide_them() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.then = Life::Ends(secs(9), Exit::Code(1)));
    world.say("start web");
    world.run_for(secs(7200));
    assert_eq!(world.phase("web"), "gave-up");
    assert_eq!(world.spawns("web").len(), 8);
}

#[test]
fn a_stable_run_resets_the_counts() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| {
        b.lives = std::iter::repeat_n(Life::Ends(ms(20), Exit::Code(1)), 7).collect();
        b.then = Life::Ends(secs(30), Exit::Code(1));
    });
    world.say("start web");
    world.run_for(secs(3600));
    assert_ne!(world.phase("web"), "gave-up");
    assert!(world.spawns("web").len() > 50);
    world.assert_told("web", "stable again after 7 restarts");
}

#[test]
fn a_success_that_comes_too_soon_counts_against_an_always_service() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.then = Life::Ends(ms(20), Exit::Code(0)));
    world.say("start web");
    world.run_for(secs(3600));
    assert_eq!(world.phase("web"), "gave-up");
}

#[test]
fn a_run_that_its_leftovers_outlived_is_not_taken_for_stable() {
    let mut world = World::new(vec![service("web").with(|s| s.backoff.stable = secs(1))]);
    world.behave("web", |b| {
        b.then = Life::Ends(ms(500), Exit::Code(1));
        b.leftover = 3;
    });
    world.say("start web");
    world.run_for(secs(3600));
    assert_eq!(world.phase("web"), "gave-up");
}

#[test]
fn each_policy_wants_what_its_word_says() {
    let failure = Exit::Code(3);
    let table: &[(RestartPolicy, Exit, &str, &str)] = &[
        (RestartPolicy::No, failure.clone(), "failed", "policy no: ended with exit code 3, not restarted"),
        (RestartPolicy::No, Exit::Code(0), "completed", "policy no: ended with code 0, nothing to do"),
        (
            RestartPolicy::OnFailure { max_retries: None },
            Exit::Code(0),
            "completed",
            "policy on-failure: ended with code 0, nothing to do",
        ),
        (RestartPolicy::OnFailure { max_retries: None }, failure.clone(), "running", "try 1"),
        (RestartPolicy::OnFailure { max_retries: None }, Exit::Signal(11), "running", "after SIGSEGV, try 1"),
        (RestartPolicy::Always, Exit::Code(0), "running", "after exit code 0, try 1"),
        (RestartPolicy::UnlessStopped, Exit::Unknown, "running", "exit status unknown, try 1"),
    ];
    for (policy, exit, phase, why) in table {
        let mut world = started(service("web").with(|s| s.restart = *policy));
        world.run_for(secs(20));
        world.crash("web", exit.clone());
        world.run_for(secs(1));
        assert_eq!(world.phase("web"), *phase, "{policy:?} {exit}");
        let said = world.view("web").why.clone();
        assert!(said.contains(why), "{policy:?} {exit}: {said}");
    }
}

#[test]
fn on_failure_stops_after_its_retries() {
    let mut world =
        World::new(vec![service("web").with(|s| s.restart = RestartPolicy::OnFailure { max_retries: Some(2) })]);
    world.behave("web", |b| b.then = Life::Ends(ms(20), Exit::Code(1)));
    world.say("start web");
    world.run_for(secs(600));
    assert_eq!(world.spawns("web").len(), 3);
    assert_eq!(world.view("web").why, "policy on-failure: 2 of 2 restarts are used up; last: exit code 1");
}

#[test]
fn what_cannot_be_spawned_is_a_start_that_never_held() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| b.then = Life::Fails("no such program: gunicorn (looked in PATH)".to_owned()));
    world.say("start web");
    world.run_for(secs(3600));
    assert_eq!(world.phase("web"), "gave-up");
    assert_eq!(world.spawns("web").len(), 8);
    assert!(world.view("web").why.contains("no such program: gunicorn"), "{}", world.view("web").why);
}

#[test]
fn the_wait_grows_to_its_ceiling_and_is_jittered() {
    let mut world = World::new(vec![service("web").with(|s| {
        s.backoff.give_up_after = 0;
        s.backoff.ceiling = secs(8);
    })]);
    world.behave("web", |b| b.then = Life::Ends(ms(20), Exit::Code(1)));
    world.say("start web");
    world.run_for(secs(2000));
    let delays: Vec<Duration> = world
        .entries
        .iter()
        .filter_map(|entry| if let What::RestartScheduled { delay, .. } = entry.what { Some(delay) } else { None })
        .collect();
    let late = &delays[4..];
    let mean = late.iter().map(Duration::as_secs_f64).sum::<f64>() / late.len() as f64;
    assert!((3.2..4.8).contains(&mean), "uniform in 0..8 s has the mean 4, seen {mean}");
    assert!(late.iter().any(|delay| *delay < secs(1)) && late.iter().any(|delay| *delay > secs(7)));
}

#[test]
fn with_the_autopilot_off_nothing_is_restarted_and_it_says_so() {
    let mut world = started(service("web"));
    world.say("autopilot off");
    world.crash("web", Exit::Code(1));
    world.run_for(secs(100));
    assert_eq!(world.phase("web"), "failed");
    assert!(world.view("web").why.contains("autopilot is off"), "{}", world.view("web").why);
    world.assert_told("web", "not restarted after exit code 1");
}

#[test]
fn switching_the_autopilot_off_calls_off_a_restart_that_waits() {
    let mut world = started(service("web"));
    world.crash("web", Exit::Code(1));
    assert_eq!(world.phase("web"), "backing-off");
    world.say("autopilot off");
    world.run_for(secs(100));
    assert_eq!(world.phase("web"), "failed");
    assert_eq!(world.spawns("web").len(), 1);
}

#[test]
fn mass_restarts_are_spread_by_the_budget_in_the_order_of_their_deaths() {
    let names: Vec<String> = (0..40).map(|n| format!("w{n:02}")).collect();
    let mut world = World::empty(Settings { budget: Budget { burst: 5, refill_per_10s: 10 }, ..Settings::default() });
    world.load("shop", names.iter().map(|name| service(name)).collect());
    world.say("start --all");
    world.run_for(secs(20));
    assert_eq!(world.spawned.len(), 40, "what a person starts needs no budget");
    for name in &names {
        world.crash(name, Exit::Signal(9));
    }
    assert_eq!(world.healed.len(), 5);
    let view = world.view("w20");
    assert!(matches!(&view.phase, Phase::Waiting { holds, .. } if *holds == [Hold::RestartBudget]));
    assert!(view.why.contains("many services are being restarted"), "{}", view.why);
    world.run_for(secs(10));
    assert_eq!(world.healed.len(), 15);
    world.run_for(secs(30));
    let order: Vec<String> = world.healed.iter().map(|(_, id)| id.service.to_string()).collect();
    assert_eq!(order, names, "first come, first served");
}

#[test]
fn a_person_need_not_wait_for_the_budget() {
    let mut world = World::empty(Settings { budget: Budget { burst: 1, refill_per_10s: 1 }, ..Settings::default() });
    world.load("shop", vec![service("a"), service("b")]);
    world.say("start --all");
    world.run_for(secs(20));
    world.crash("a", Exit::Code(1));
    world.crash("b", Exit::Code(1));
    assert_eq!(world.phase("b"), "waiting");
    world.say("start b");
    world.run_for(ms(5));
    assert_eq!(world.phase("b"), "running");
}

/// GUARANTEES row 10: a port that somebody else holds blocks the start, names the holder and costs no restart.
#[test]
fn row_10_a_taken_port_blocks_and_burns_no_restart() {
    let mut world = World::new(vec![service("web").port(8080)]);
    world.held_ports.insert(8080, 1234);
    world.say("start web");
    world.run_for(secs(600));
    let view = world.view("web");
    assert_eq!(view.phase.label(), "blocked");
    assert!(view.why.starts_with("port 8080 is held by nginx (pid 1234)"), "{}", view.why);
    assert_eq!((view.restarts, world.spawns("web").len()), (0, 0));
    world.assert_told("web", "port 8080 is held by nginx");
    assert_eq!(world.story("web").len(), 3, "asked, told once, and its alarm: {:?}", world.story("web"));
    world.held_ports.clear();
    world.run_for(secs(3));
    assert_eq!(world.phase("web"), "running");
    assert_eq!(world.view("web").restarts, 0);
}

#[test]
fn a_blocked_service_can_be_called_off() {
    let mut world = World::new(vec![service("web").port(8080)]);
    world.held_ports.insert(8080, 1234);
    world.say("start web");
    world.run_for(secs(5));
    world.say("stop web");
    world.held_ports.clear();
    world.run_for(secs(60));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("stopped", 0));
}

#[test]
fn leftovers_are_ended_before_the_next_run_and_survivors_are_named() {
    let mut world = World::new(vec![service("web")]);
    world.behave("web", |b| {
        b.leftover = 2;
        b.survivors = vec![77];
    });
    world.say("start web");
    world.run_for(secs(20));
    world.crash("web", Exit::Code(1));
    assert_eq!(world.phase("web"), "stopping");
    assert_eq!(world.spawns("web").len(), 1);
    world.run_for(secs(3));
    assert_eq!(world.phase("web"), "running");
    world.assert_told("web", "not everything could be ended: pids [77]");
}

/// GUARANTEES row 18: a step of the wall clock changes no decision.
#[test]
fn row_18_a_jump_of_the_wall_clock_changes_nothing() {
    for jump in [-3_600_000_000_i64, 3_600_000_000] {
        let mut world = started(service("web"));
        world.run_for(secs(20));
        world.crash("web", Exit::Code(1));
        world.run_for(secs(1));
        world.crash("web", Exit::Code(1));
        let Phase::BackingOff { until, .. } = world.view("web").phase else { panic!("it backs off") };
        world.now.wall_us += jump;
        world.run_for(secs(60));
        assert_eq!(world.spawns("web").last().unwrap().mono_us, until.mono_us);
        let view = world.view("web");
        assert!(view.uptime(world.now).unwrap() < secs(60));
        assert_eq!(world.story("web").iter().filter(|line| line.starts_with("exited")).count(), 2);
    }
}

#[test]
fn a_restart_that_waits_for_a_dependency_is_told_apart() {
    let mut world = World::new(vec![
        service("db").with(|s| s.restart = RestartPolicy::No),
        service("web").needs_if("db", Condition::ServiceStarted),
    ]);
    world.say("start web");
    world.run_for(secs(20));
    world.crash("db", Exit::Code(1));
    world.crash("web", Exit::Code(1));
    let why = world.view("web").why.clone();
    assert_eq!(
        why,
        "restarted by the healer after exit code 1, not counted, waits for db (service_started, now failed)"
    );
    assert_eq!(world.say_as(Origin::Key, "start db", Consent::Ask), Reply::Accepted { note: "start db".to_owned() });
    world.run_for(secs(1));
    assert_eq!(world.phase("web"), "running");
    assert_eq!(world.view("web").restarts, 0);
}

#[test]
fn a_service_that_becomes_stable_and_never_was_otherwise_draws_nothing_anew() {
    let mut world = World::new(vec![service("web")]);
    world.say("start web");
    world.run_for(secs(5));
    let _drawn = world.engine.snapshot(world.now);
    assert!(!world.engine.has_changed());
    world.run_for(secs(60));
    assert!(!world.engine.has_changed(), "a thousand services become stable in their first seconds");
}
