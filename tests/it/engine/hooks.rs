//! Hooks in virtual time.

use cas::model::{
    effect::Effect,
    event::Event,
    hooks::{HookCommand, HookKind, HookOutcome, HookResult, HookRound},
    phase::Exit,
    policy::{Consent, Origin},
    service::{Backoff, CommandLine, RestartPolicy, ServiceSpec},
};

use super::world::{Build, Life, World, ms, project, secs, service};

fn hooked(name: &str, kinds: &[HookKind]) -> ServiceSpec {
    service(name).with(|spec| {
        for kind in kinds {
            let command = CommandLine::Shell(format!("do {}", kind.label()));
            let commands = vec![HookCommand { command, timeout: kind.default_timeout() }];
            match kind {
                HookKind::PreStart => spec.hooks.pre_start = commands,
                HookKind::PostStart => spec.hooks.post_start = commands,
                HookKind::PreStop => spec.hooks.pre_stop = commands,
                HookKind::OnFailure => spec.hooks.on_failure = commands,
            }
        }
    })
}

fn failed(why: &str) -> HookOutcome {
    HookOutcome::Failed(why.to_owned())
}

/// The hooks that were asked for, with the number of processes made before each.
fn rounds(world: &World) -> Vec<(HookRound, usize)> {
    let mut spawned = 0;
    let mut rounds = Vec::new();
    for (_, effect) in &world.effects {
        if let Effect::RunHook(round) = effect {
            rounds.push((round.clone(), spawned));
        }
        spawned += usize::from(matches!(effect, Effect::Spawn { .. }));
    }
    rounds
}

fn count(world: &World, kind: HookKind) -> usize {
    rounds(world).iter().filter(|(round, _)| round.hook == kind).count()
}

/// Signals of stops so far.
fn signals(world: &World) -> usize {
    world.effects.iter().filter(|(_, effect)| matches!(effect, Effect::StopTree { .. })).count()
}

#[test]
fn a_start_waits_for_pre_start_and_post_start_follows_it() {
    let mut world = World::new(vec![hooked("web", &[HookKind::PreStart, HookKind::PostStart])]);
    world.behave("web", |b| {
        b.hooks.insert(HookKind::PreStart, (secs(5), HookOutcome::Passed));
    });
    world.say("start web");
    world.run_for(secs(4));
    assert_eq!(world.phase("web"), "starting");
    assert!(world.spawned.is_empty());
    assert_eq!(world.view("web").why, "started by command line; its pre_start runs");
    world.run_for(secs(2));
    assert_eq!(world.phase("web"), "running");
    let before: Vec<_> = rounds(&world).iter().map(|(round, spawned)| (round.hook, *spawned)).collect();
    assert_eq!(before, [(HookKind::PreStart, 0), (HookKind::PostStart, 1)]);
    assert_eq!(
        world.story("web"),
        ["asked: start web", "pre_start done after 5 s", "started, pid 1001", "post_start done after 1 ms"]
    );
    let told = world.entries.iter().find(|entry| entry.sentence().starts_with("pre_start")).unwrap();
    assert_eq!(told.what.lines(), ["a line of the hook"]);
}

#[test]
fn pre_start_runs_before_a_restart_too_and_post_start_after_it() {
    let mut world = World::new(vec![hooked("web", &[HookKind::PreStart, HookKind::PostStart])]);
    world.behave("web", |b| b.lives.push_back(Life::Ends(secs(1), Exit::Code(1))));
    world.say("start web");
    world.run_for(secs(10));
    assert_eq!(world.phase("web"), "running");
    let before: Vec<_> = rounds(&world).iter().map(|(round, spawned)| (round.hook, *spawned)).collect();
    let (pre, post) = (HookKind::PreStart, HookKind::PostStart);
    assert_eq!(before, [(pre, 0), (post, 1), (pre, 1), (post, 2)]);
}

#[test]
fn a_failed_pre_start_is_a_failed_start_to_policy_and_breaker() {
    let spec = hooked("web", &[HookKind::PreStart]).with(|s| s.backoff.give_up_after = 3);
    let once = hooked("once", &[HookKind::PreStart]).with(|s| s.restart = RestartPolicy::No);
    let mut world = World::new(vec![spec, once]);
    for name in ["web", "once"] {
        world.behave(name, |b| {
            b.hooks.insert(HookKind::PreStart, (ms(10), failed("make db: exit code 2")));
        });
    }
    world.say("start --all");
    world.run_for(secs(60));
    assert!(world.spawned.is_empty());
    assert_eq!(world.phase("web"), "gave-up");
    assert_eq!(rounds(&world).iter().filter(|(round, _)| round.spec.id.service.as_str() == "web").count(), 3);
    world.assert_told("web", "pre_start failed: make db: exit code 2");
    world.assert_told("web", "could not be started: its pre_start failed: make db: exit code 2");
    assert_eq!(world.phase("once"), "failed");
}

#[test]
fn a_stop_ends_pre_start_and_nothing_is_started() {
    let mut world = World::new(vec![hooked("web", &[HookKind::PreStart, HookKind::PreStop, HookKind::OnFailure])]);
    world.behave("web", |b| {
        b.hooks.insert(HookKind::PreStart, (secs(30), HookOutcome::Passed));
    });
    world.say("start web");
    world.run_for(secs(1));
    world.say("stop web");
    assert_eq!(world.phase("web"), "stopping");
    world.run_for(secs(60));
    assert_eq!(world.phase("web"), "stopped");
    assert!(world.spawned.is_empty());
    assert_eq!(rounds(&world).len(), 1, "no other hook belongs to a start that was called off");
    assert_eq!(world.story("web"), ["asked: start web", "asked: stop web", "stopped, nothing is left"]);
}

#[test]
fn a_kill_and_a_restart_end_pre_start_too() {
    let mut world = World::new(vec![hooked("web", &[HookKind::PreStart])]);
    world.behave("web", |b| {
        b.hooks.insert(HookKind::PreStart, (secs(30), HookOutcome::Passed));
    });
    world.say("start web");
    world.run_for(secs(1));
    world.say("restart web");
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), count(&world, HookKind::PreStart)), ("starting", 2));
    world.say_as(Origin::Cli, "kill web", Consent::Ask);
    world.run_for(secs(60));
    assert!(world.spawned.is_empty());
    assert_eq!(world.phase("web"), "stopped");
}

#[test]
fn a_failed_post_start_is_told_and_ends_nothing() {
    let mut world = World::new(vec![hooked("web", &[HookKind::PostStart])]);
    world.behave("web", |b| {
        b.hooks.insert(HookKind::PostStart, (secs(1), failed("register: exit code 7")));
    });
    world.say("start web");
    world.run_for(secs(60));
    assert_eq!((world.phase("web"), world.spawned.len()), ("running", 1));
    world.assert_told("web", "post_start failed: register: exit code 7");
}

#[test]
fn the_signal_of_a_stop_waits_for_pre_stop_whether_or_not_it_passes() {
    for outcome in [HookOutcome::Passed, failed("drain: exit code 1")] {
        let mut world = World::new(vec![hooked("web", &[HookKind::PreStop])]);
        world.behave("web", |b| {
            b.hooks.insert(HookKind::PreStop, (secs(3), outcome.clone()));
        });
        world.say("start web");
        world.run_for(secs(1));
        world.say("stop web");
        world.run_for(secs(2));
        assert_eq!((world.phase("web"), signals(&world)), ("stopping", 0));
        let limit = rounds(&world)[0].0.limit;
        assert_eq!(limit, Some(secs(10)), "it has the grace time");
        world.run_for(secs(2));
        assert_eq!((world.phase("web"), signals(&world)), ("stopped", 1));
        world.assert_told(
            "web",
            if outcome == HookOutcome::Passed { "pre_stop done" } else { "pre_stop failed: drain" },
        );
        world.assert_told("web", "stopped, nothing is left");
    }
}

#[test]
fn the_kill_is_not_delayed_by_pre_stop() {
    let mut world = World::new(vec![hooked("web", &[HookKind::PreStop])]);
    world.behave("web", |b| {
        b.hooks.insert(HookKind::PreStop, (secs(300), HookOutcome::Passed));
    });
    world.say("start web");
    world.run_for(secs(1));
    world.say("stop web --grace 4s");
    world.run_for(ms(3900));
    assert_eq!(world.phase("web"), "stopping");
    world.run_for(ms(200));
    assert_eq!(world.phase("web"), "stopped");
    world.assert_told("web", "pre_stop failed: it was not over when the service was killed");
    let ended = |effect: &Effect| matches!(effect, Effect::EndHook { hook: HookKind::PreStop, .. });
    assert!(world.effects.iter().any(|(_, effect)| ended(effect)));
}

#[test]
fn a_kill_runs_no_pre_stop() {
    let mut world = World::new(vec![hooked("web", &[HookKind::PreStop])]);
    world.say("start web");
    world.run_for(secs(1));
    world.say("kill web");
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), count(&world, HookKind::PreStop)), ("stopped", 0));
}

#[test]
fn on_failure_knows_why_and_delays_nothing() {
    let mut world = World::new(vec![hooked("web", &[HookKind::OnFailure])]);
    world.behave("web", |b| {
        b.lives.push_back(Life::Ends(secs(20), Exit::Code(3)));
        b.hooks.insert(HookKind::OnFailure, (secs(9), failed("notify: exit code 1")));
    });
    world.say("start web");
    world.run_for(secs(21));
    assert_eq!((world.phase("web"), world.spawned.len()), ("running", 2), "the restart waited for nothing");
    world.run_for(secs(20));
    let asked = rounds(&world);
    let failure = asked[0].0.failure.as_ref().unwrap();
    assert_eq!((failure.reason.as_str(), &failure.exit), ("web ended: exit code 3", &Exit::Code(3)));
    assert_eq!(asked.len(), 1);
    assert_eq!(world.phase("web"), "running");
    world.assert_told("web", "on_failure failed: notify: exit code 1");
}

#[test]
fn on_failure_is_not_for_ends_that_are_well_or_asked_for() {
    let mut world = World::new(vec![hooked("web", &[HookKind::OnFailure])]);
    world.behave("web", |b| b.lives.push_back(Life::Ends(secs(20), Exit::Code(0))));
    world.say("start web");
    world.run_for(secs(40));
    world.say("stop web");
    world.run_for(secs(20));
    assert_eq!(world.phase("web"), "stopped");
    assert!(rounds(&world).is_empty());
}

#[test]
fn giving_up_is_said_to_on_failure_and_one_runs_at_a_time() {
    let spec = hooked("web", &[HookKind::OnFailure])
        .with(|s| s.backoff = Backoff { base: secs(0), give_up_after: 3, ..Backoff::default() });
    let mut world = World::new(vec![spec.clone()]);
    world.behave("web", |b| b.then = Life::Ends(secs(1), Exit::Signal(11)));
    world.say("start web");
    world.run_for(secs(30));
    let reasons: Vec<_> = rounds(&world).into_iter().map(|(round, _)| round.failure.unwrap().reason).collect();
    assert_eq!(reasons.len(), 3);
    assert!(reasons[2].starts_with("web was given up: 3 starts in a row never lasted 10 s"), "{reasons:?}");

    let mut slow = World::new(vec![spec]);
    slow.behave("web", |b| {
        b.then = Life::Ends(secs(1), Exit::Signal(11));
        b.hooks.insert(HookKind::OnFailure, (secs(100), HookOutcome::Passed));
    });
    slow.say("start web");
    slow.run_for(secs(200));
    assert_eq!((slow.phase("web"), rounds(&slow).len()), ("gave-up", 1));
    slow.assert_told("web", "on_failure failed: it was not run, as the one before has not ended yet");
    slow.assert_told("web", "on_failure done");
}

#[test]
fn an_answer_that_is_not_awaited_says_nothing() {
    let mut world = World::new(vec![hooked("web", &HookKind::ALL)]);
    world.say("start web");
    world.run_for(secs(1));
    let before = world.story("web");
    let run = world.view("web").run.unwrap();
    for (run, hook) in [(run, HookKind::PreStart), (run, HookKind::PreStop), (run, HookKind::OnFailure)] {
        let result = HookResult { outcome: failed("late"), output: Vec::new(), took: ms(1) };
        world.tell(Event::HookEnded { service: super::world::id("web"), run, hook, result });
    }
    let gone = cas::model::ids::RunId(77);
    for hook in HookKind::ALL {
        let result = HookResult { outcome: failed("late"), output: Vec::new(), took: ms(1) };
        world.tell(Event::HookEnded { service: super::world::id("web"), run: gone, hook, result });
    }
    assert_eq!((world.phase("web"), world.story("web")), ("running", before));
}

#[test]
fn a_change_of_hooks_restarts_nothing_and_holds_from_then_on() {
    let mut world = World::new(vec![service("web")]);
    world.say("start web");
    world.run_for(secs(1));
    world.load_project(project("shop", vec![hooked("web", &[HookKind::PreStop])]));
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), world.spawned.len()), ("running", 1));
    world.say("stop web");
    world.run_for(secs(1));
    assert_eq!((world.phase("web"), count(&world, HookKind::PreStop)), ("stopped", 1));
}

#[test]
fn nothing_runs_on_a_dry_run_or_when_a_run_is_taken_over() {
    let mut world = World::new(vec![hooked("web", &HookKind::ALL)]);
    world.say_as(Origin::Cli, "start web", Consent::DryRun);
    world.run_for(secs(1));
    assert!(rounds(&world).is_empty());
    world.say("start web");
    world.run_for(secs(1));
    world.say_as(Origin::Cli, "stop web", Consent::DryRun);
    assert_eq!(rounds(&world).len(), 2);
    super::heritage::succeed(&mut world, secs(5));
    world.run_for(secs(5));
    assert_eq!((world.phase("web"), world.spawned.len(), rounds(&world).len()), ("running", 1, 2));
}

#[test]
fn an_engine_that_dies_while_pre_start_runs_starts_anew() {
    let mut world = World::new(vec![hooked("web", &[HookKind::PreStart])]);
    world.behave("web", |b| {
        b.hooks.insert(HookKind::PreStart, (secs(10), HookOutcome::Passed));
    });
    world.say("start web");
    world.run_for(secs(5));
    super::heritage::succeed(&mut world, secs(1));
    world.run_for(secs(8));
    assert!(world.spawned.is_empty(), "the hook of the engine before counts for nothing");
    world.run_for(secs(5));
    assert_eq!((world.phase("web"), world.spawned.len()), ("running", 1));
    assert_eq!(count(&world, HookKind::PreStart), 2);
}

#[test]
fn an_engine_that_lets_go_ends_a_pre_start_that_runs() {
    let mut world = World::new(vec![hooked("web", &[HookKind::PreStart])]);
    world.behave("web", |b| {
        b.hooks.insert(HookKind::PreStart, (secs(10), HookOutcome::Passed));
    });
    world.say("start web");
    world.run_for(secs(1));
    world.succession.releases = true;
    world.tell(Event::ReleaseAsked);
    let order: Vec<_> = world.effects.iter().map(|(_, effect)| effect).collect();
    let ended = order.iter().position(|effect| matches!(effect, Effect::EndHook { hook: HookKind::PreStart, .. }));
    let quit = order.iter().position(|effect| matches!(effect, Effect::Quit));
    assert!(ended.is_some() && ended < quit);
}

#[test]
fn the_end_of_cas_waits_for_on_failure_and_not_for_ever() {
    let spec = hooked("web", &[HookKind::OnFailure]).with(|s| s.restart = RestartPolicy::No);
    let mut world = World::new(vec![spec]);
    world.behave("web", |b| {
        b.then = Life::Ends(secs(1), Exit::Code(1));
        b.hooks.insert(HookKind::OnFailure, (secs(8), HookOutcome::Passed));
    });
    world.say("start web");
    world.run_for(secs(2));
    assert_eq!(world.phase("web"), "failed");
    world.tell(Event::ShutdownAsked);
    world.run_for(secs(5));
    assert_eq!(world.quits, 0);
    world.run_for(secs(3));
    assert_eq!(world.quits, 1);
    world.assert_told("web", "on_failure done after 8 s");
}
