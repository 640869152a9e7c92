//! Startup, readiness, liveness: what their answers do and do not do.

use std::{collections::BTreeMap, time::Duration};

use cas::{
    engine::Settings,
    model::{
        effect::Effect,
        event::Event,
        ids::RunId,
        phase::{Exit, Health},
        probe::{Check, ProbeKind},
        service::ServiceSpec,
        timeline::What,
    },
};

use super::world::{Answer, Build, World, ms, secs, service};

fn with_answer(spec: ServiceSpec, kind: ProbeKind, answer: Answer) -> World {
    let mut world = World::new(vec![spec]);
    world.behave("web", |b| {
        b.answers.insert(kind, answer);
    });
    world.say("start web");
    world
}

fn rounds(world: &World, wanted: ProbeKind) -> usize {
    world.effects.iter().filter(|(_, e)| matches!(e, Effect::Probe(round) if round.kind == wanted)).count()
}

#[test]
fn a_service_is_ready_when_its_probe_passes_and_says_so_once() {
    let mut world = with_answer(service("web").probe(ProbeKind::Readiness, |_| ()), ProbeKind::Readiness, Answer::Well);
    world.run_for(ms(400));
    assert_eq!(world.view("web").health.label(), "starting");
    assert_eq!(world.view("web").why, "started by command line; its probes have not passed yet");
    world.run_for(secs(30));
    assert_eq!(world.view("web").health.label(), "healthy");
    assert_eq!(world.story("web").iter().filter(|line| line.starts_with("ready after")).count(), 1);
}

#[test]
fn readiness_that_fails_restarts_nothing() {
    let mut world = with_answer(service("web").probe(ProbeKind::Readiness, |_| ()), ProbeKind::Readiness, Answer::Bad);
    world.run_for(secs(300));
    let view = world.view("web");
    assert!(matches!(view.health, Health::Unhealthy { .. }));
    assert_eq!(view.why, "started by command line; its readiness probe fails: connection refused");
    assert_eq!(world.spawns("web").len(), 1);
    assert_eq!(world.story("web").iter().filter(|line| line.contains("probe failed")).count(), 1);
}

#[test]
fn liveness_that_fails_for_good_ends_the_run_and_the_policy_starts_it_again() {
    let mut world = with_answer(
        service("web").probe(ProbeKind::Liveness, |_| ()),
        ProbeKind::Liveness,
        Answer::BadUntil(secs(3600)),
    );
    world.run_for(secs(6));
    assert!(world.spawns("web").len() >= 2);
    world.assert_told("web", "liveness probe failed: connection refused");
    assert!(world.view("web").why.contains("after its liveness probe failed, try"), "{}", world.view("web").why);
}

#[test]
fn liveness_counts_as_a_failure_for_on_failure_whatever_the_exit_code() {
    let spec = service("web").probe(ProbeKind::Liveness, |_| ()).with(|s| {
        s.restart = cas::model::service::RestartPolicy::OnFailure { max_retries: None };
    });
    let mut world = with_answer(spec, ProbeKind::Liveness, Answer::Bad);
    world.behave("web", |b| b.ends_in = None);
    while world.phase("web") != "stopping" {
        world.run_for(ms(100));
    }
    world.crash("web", Exit::Code(0));
    assert_eq!(world.phase("web"), "backing-off");
}

#[test]
fn with_the_autopilot_off_liveness_only_tells() {
    let mut world = with_answer(service("web").probe(ProbeKind::Liveness, |_| ()), ProbeKind::Liveness, Answer::Bad);
    world.say("autopilot off");
    world.run_for(secs(60));
    assert_eq!((world.phase("web"), world.spawns("web").len()), ("running", 1));
    assert_eq!(world.view("web").health.label(), "unhealthy");
    world.say("autopilot on");
    world.run_for(secs(3));
    assert!(world.spawns("web").len() > 1, "the next bad answer counts again");
}

/// GUARANTEES row 12: an answer that alternates never flips what is shown.
#[test]
fn row_12_a_flapping_probe_flips_nothing() {
    for kind in [ProbeKind::Readiness, ProbeKind::Liveness] {
        let mut world = with_answer(service("web").probe(kind, |_| ()), kind, Answer::Alternates);
        world.run_for(secs(600));
        let told =
            world.story("web").iter().filter(|line| line.contains("probe failed") || line.contains("again")).count();
        assert_eq!((told, world.spawns("web").len(), world.view("web").health.label()), (0, 1, "healthy"), "{kind:?}");
    }
}

/// GUARANTEES row 12: a service whose health comes and goes is called flapping, and no probe ends it until it has held.
#[test]
fn row_12_a_service_that_falls_ill_again_and_again_flaps_and_is_left_alone() {
    let mut world = with_answer(service("web").probe(ProbeKind::Liveness, |_| ()), ProbeKind::Liveness, Answer::Well);
    let answer = |world: &mut World, answer: Answer| {
        world.behave("web", |b| {
            b.answers.insert(ProbeKind::Liveness, answer);
        });
    };
    for _ in 0..6 {
        answer(&mut world, Answer::Well);
        world.run_for(secs(30));
        answer(&mut world, Answer::Bad);
        while world.view("web").health.label() == "healthy" {
            world.run_for(ms(100));
        }
    }
    world.assert_told("web", "flapping: fell ill 4 times");
    let spawns = world.spawns("web").len();
    assert_eq!(spawns, 4, "three were ended for their probe, the fourth is left alone");
    assert_eq!(world.story("web").iter().filter(|line| line.starts_with("flapping")).count(), 1);
    answer(&mut world, Answer::Well);
    world.run_for(secs(3600));
    world.assert_told("web", "steady again");
    answer(&mut world, Answer::Bad);
    world.run_for(secs(30));
    assert!(world.spawns("web").len() > spawns, "its probes count again");
}

/// What flaps is left alone because it comes back by itself: what does not is healed, and soon.
#[test]
fn row_12_a_flapping_service_that_stays_ill_is_healed_after_a_minute() {
    let mut world = with_answer(service("web").probe(ProbeKind::Liveness, |_| ()), ProbeKind::Liveness, Answer::Well);
    let answer = |world: &mut World, answer: Answer| {
        world.behave("web", |b| {
            b.answers.insert(ProbeKind::Liveness, answer);
        });
    };
    for _ in 0..4 {
        answer(&mut world, Answer::Well);
        world.run_for(secs(30));
        answer(&mut world, Answer::Bad);
        while world.view("web").health.label() == "healthy" {
            world.run_for(ms(100));
        }
    }
    world.assert_told("web", "flapping: fell ill 4 times");
    let spawns = world.spawns("web").len();
    world.run_for(secs(50));
    assert_eq!(world.spawns("web").len(), spawns, "it may come back");
    assert!(world.view("web").why.contains("or stayed ill for a minute"), "{}", world.view("web").why);
    world.run_for(secs(40));
    assert_eq!(world.spawns("web").len(), spawns + 1, "it did not: {:?}", world.story("web"));
}

#[test]
fn one_good_answer_after_a_bad_time_is_not_yet_a_recovery() {
    let mut world = with_answer(service("web").probe(ProbeKind::Readiness, |_| ()), ProbeKind::Readiness, Answer::Bad);
    world.run_for(secs(10));
    let before = rounds(&world, ProbeKind::Readiness);
    world.behave("web", |b| {
        b.answers.insert(ProbeKind::Readiness, Answer::Well);
    });
    while rounds(&world, ProbeKind::Readiness) < before + 2 {
        assert_eq!(world.view("web").health.label(), "unhealthy");
        world.run_for(ms(10));
    }
    world.run_for(secs(3));
    assert_eq!(world.view("web").health.label(), "healthy");
    world.assert_told("web", "healthy again after");
}

/// GUARANTEES row 13: a probe that hangs fails by its deadline; never two rounds of it in flight.
#[test]
fn row_13_a_probe_that_never_answers_fails_and_never_has_two_rounds_in_flight() {
    let mut world = with_answer(
        service("web").probe(ProbeKind::Readiness, |_| ()),
        ProbeKind::Readiness,
        Answer::BadUntil(secs(9999)),
    );
    world.run_for(secs(1100));
    let sent = rounds(&world, ProbeKind::Readiness);
    assert!(sent > 900, "{sent}: the world itself asserts that none overlap");
    let mut world =
        with_answer(service("web").probe(ProbeKind::Readiness, |_| ()), ProbeKind::Readiness, Answer::Never);
    world.run_for(secs(60));
    assert_eq!(world.view("web").health.label(), "unhealthy");
    assert!(world.view("web").why.contains("never answered"), "{}", world.view("web").why);
}

#[test]
fn a_late_answer_of_an_earlier_round_says_nothing() {
    let mut world = with_answer(service("web").probe(ProbeKind::Readiness, |_| ()), ProbeKind::Readiness, Answer::Bad);
    world.run_for(secs(10));
    let run = world.view("web").run.unwrap();
    let before = world.view("web").probes.clone();
    for round in 0..4 {
        let outcome = cas::model::probe::ProbeOutcome::Passed;
        world.tell(Event::Probed { run, kind: ProbeKind::Readiness, round, outcome, took: Duration::ZERO });
    }
    assert_eq!(world.view("web").probes, before);
}

/// GUARANTEES row 14: a probe that cannot be put is a fault of configuration: red, and no restart.
#[test]
fn row_14_a_probe_that_cannot_be_put_is_red_and_restarts_nothing() {
    for kind in ProbeKind::ALL {
        let mut world = with_answer(service("web").probe(kind, |_| ()), kind, Answer::Broken);
        world.run_for(secs(120));
        let view = world.view("web");
        assert_eq!((view.health.label(), view.phase.label()), ("misconfigured", "running"), "{kind:?}");
        assert!(view.why.contains("no such program: crul"), "{}", view.why);
        assert_eq!(world.spawns("web").len(), 1);
    }
}

/// GUARANTEES row 15: a slow starter is not killed by its liveness probe, and its counts begin anew with each run.
#[test]
fn row_15_a_slow_starter_is_left_alone_until_its_startup_probe_passed() {
    let spec = service("web")
        .probe(ProbeKind::Startup, |p| p.retries = 120)
        .probe(ProbeKind::Liveness, |_| ())
        .probe(ProbeKind::Readiness, |_| ());
    let mut world = with_answer(spec, ProbeKind::Startup, Answer::BadUntil(secs(90)));
    world.behave("web", |b| {
        b.answers.insert(ProbeKind::Liveness, Answer::BadUntil(secs(89)));
    });
    world.run_for(secs(85));
    assert_eq!((rounds(&world, ProbeKind::Liveness), rounds(&world, ProbeKind::Readiness)), (0, 0));
    assert_eq!(world.view("web").health.label(), "starting");
    world.run_for(secs(30));
    assert_eq!((world.view("web").health.label(), world.spawns("web").len()), ("healthy", 1));
    world.crash("web", Exit::Code(1));
    world.run_for(ms(100));
    let probes = &world.view("web").probes;
    assert!(probes.iter().all(|probe| probe.failures == 0 && probe.rounds == 0), "{probes:?}");
}

#[test]
fn a_startup_probe_that_never_passes_ends_the_run() {
    let mut world = with_answer(service("web").probe(ProbeKind::Startup, |_| ()), ProbeKind::Startup, Answer::Bad);
    world.run_for(secs(3600));
    assert_eq!(world.phase("web"), "gave-up");
    assert_eq!(world.spawns("web").len(), 8);
}

#[test]
fn failures_in_the_start_period_do_not_count() {
    let spec = service("web").probe(ProbeKind::Liveness, |p| p.start_period = secs(30));
    let mut world = with_answer(spec, ProbeKind::Liveness, Answer::BadUntil(secs(29)));
    world.run_for(secs(60));
    assert_eq!((world.spawns("web").len(), world.view("web").health.label()), (1, "healthy"));
}

#[test]
fn a_line_of_output_opens_the_gate() {
    let spec = service("web")
        .probe(ProbeKind::Startup, |p| p.check = Check::Log { pattern: "listening".to_owned() })
        .probe(ProbeKind::Readiness, |_| ());
    let mut world = World::new(vec![spec]);
    world.behave("web", |b| b.logs = vec![(secs(5), Some(ProbeKind::Startup))]);
    world.say("start web");
    world.run_for(ms(4900));
    assert_eq!((rounds(&world, ProbeKind::Readiness), rounds(&world, ProbeKind::Startup)), (0, 0));
    world.run_for(secs(1));
    assert_eq!(world.view("web").health.label(), "healthy");
}

/// GUARANTEES row 17: after a stall nothing is concluded from the time in which cas did not run.
#[test]
fn row_17_a_stall_of_a_minute_restarts_nothing() {
    let specs: Vec<ServiceSpec> =
        (0..200).map(|n| service(&format!("w{n}")).probe(ProbeKind::Liveness, |p| p.retries = 1)).collect();
    let mut world = World::new(specs);
    world.keep_effects = false;
    world.say("start --all");
    world.run_for(secs(20));
    // Everyone is slow to come back: whatever is asked in the next second fails.
    for n in 0..200 {
        let age = world.now.plus(secs(61)).since(world.spawned[0].0);
        world.behave(&format!("w{n}"), |b| {
            b.answers.insert(ProbeKind::Liveness, Answer::BadUntil(age));
        });
    }
    world.stall(secs(60));
    world.run_for(secs(30));
    assert_eq!(world.spawned.len(), 200, "no run was ended");
    assert!(world.entries.iter().any(|entry| entry.sentence().starts_with("cas did not run for 1m 0s")));
}

#[test]
fn row_19_after_a_stall_every_probe_is_put_at_most_once_in_the_first_second() {
    let specs: Vec<ServiceSpec> =
        (0..50).map(|n| service(&format!("w{n}")).probe(ProbeKind::Liveness, |p| p.interval = secs(2))).collect();
    let mut world = World::new(specs);
    world.say("start --all");
    world.run_for(secs(20));
    let before = world.effects.len();
    world.stall(secs(600));
    world.run_for(secs(1));
    let mut rounds: BTreeMap<RunId, u32> = BTreeMap::new();
    for (_, effect) in &world.effects[before..] {
        if let Effect::Probe(round) = effect {
            *rounds.entry(round.run).or_default() += 1;
        }
    }
    assert_eq!(rounds.values().max(), Some(&1), "{rounds:?}");
    world.run_for(secs(5));
    assert_eq!(world.spawned.len(), 50);
}

#[test]
fn an_engine_that_learns_says_how_long_a_start_usually_takes_and_when_one_is_slow() {
    let reasons = |learning: bool| -> (Vec<String>, String) {
        let mut world = World::empty(Settings { seed: 7, learning, ..Settings::default() });
        world.load("shop", vec![service("web").probe(ProbeKind::Startup, |probe| probe.retries = 60)]);
        world.say("start web");
        world.run_for(secs(30));
        for _ in 0..3 {
            world.say("restart web");
            world.run_for(secs(30));
        }
        world.behave("web", |b| {
            b.answers.insert(ProbeKind::Startup, Answer::BadUntil(secs(20)));
        });
        world.say("restart web");
        world.run_for(secs(5));
        let why = world.view("web").why.clone();
        world.run_for(secs(120));
        let ready = world.entries.iter().filter(|entry| matches!(entry.what, What::Ready { .. }));
        (ready.map(|entry| entry.why.clone()).collect(), why)
    };
    let (said, why) = reasons(true);
    assert_eq!(said.len(), 5, "{said:?}");
    assert_eq!(said[..3], ["", "", ""]);
    assert!(said[3].starts_with("usually after ") && said[4].starts_with("slow: usually after "), "{said:?}");
    assert!(why.contains("usually they do after"), "{why}");
    let (said, why) = reasons(false);
    assert!(said.iter().all(String::is_empty) && !why.contains("usually"), "{said:?} {why}");
}
