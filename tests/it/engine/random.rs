//! Random worlds: the scripted world checks what must hold after every step; here are the worlds. And a long day.

use cas::{
    engine::{Budget, Settings},
    model::{
        event::{Change, Event, Input, TimerKey},
        ids::{Epoch, ServiceName},
        occasion::{OnChange, Watch},
        phase::Exit,
        policy::{Consent, Origin},
        probe::ProbeKind,
        schedule::{OnOverlap, Pace, Schedule, Zone},
        service::{Condition, Dependency, RestartPolicy, ServiceSpec},
    },
};
use proptest::prelude::*;

use super::world::{Answer, Build, Chaos, Life, World, id, ms, secs, service};

const CONDITIONS: [Condition; 4] = [
    Condition::ServiceStarted,
    Condition::ServiceHealthy,
    Condition::ServiceCompletedSuccessfully,
    Condition::ServiceLogReady,
];

fn random_spec(rng: &mut fastrand::Rng, n: usize) -> ServiceSpec {
    let mut spec = service(&format!("s{n}"));
    spec.restart = match rng.u8(0..6) {
        0 => RestartPolicy::No,
        1 => RestartPolicy::OnFailure { max_retries: None },
        2 => RestartPolicy::OnFailure { max_retries: Some(3) },
        3 => RestartPolicy::UnlessStopped,
        _ => RestartPolicy::Always,
    };
    spec.autostart = rng.bool();
    spec.backoff.base = ms(rng.u64(0..1500));
    spec.backoff.ceiling = secs(rng.u64(2..20));
    spec.backoff.stable = secs(rng.u64(1..15));
    spec.backoff.give_up_after = rng.u32(1..9);
    spec.stop.grace = ms(rng.u64(0..4000));
    if rng.u8(0..4) == 0 {
        spec = spec.port(rng.u16(8000..8004));
    }
    for kind in ProbeKind::ALL {
        if rng.u8(0..4) == 0 {
            let (interval, retries, period) = (ms(rng.u64(100..3000)), rng.u32(1..4), secs(rng.u64(0..5)));
            spec = spec.probe(kind, |probe| {
                probe.interval = interval;
                probe.retries = retries;
                probe.start_period = period;
            });
        }
    }
    if rng.u8(0..4) == 0 {
        spec.ready_log_line = Some("ready".to_owned());
    }
    for below in 0..n {
        if rng.u8(0..4) == 0 {
            let edge = Dependency {
                condition: *rng.choice(&CONDITIONS).unwrap(),
                restart: rng.bool(),
                required: rng.u8(0..4) > 0,
            };
            spec.depends_on.insert(ServiceName::new(&format!("s{below}")).unwrap(), edge);
        }
    }
    random_occasions(&mut spec, rng);
    spec
}

fn random_occasions(spec: &mut ServiceSpec, rng: &mut fastrand::Rng) {
    // What a clock starts has no dependency here: the world does not foresee what else it starts.
    if rng.u8(0..5) == 0 && spec.depends_on.is_empty() {
        spec.autostart = false;
        if matches!(spec.restart, RestartPolicy::Always | RestartPolicy::UnlessStopped) {
            spec.restart = RestartPolicy::No;
        }
        spec.occasions.schedule = Some(Schedule {
            pace: Pace::Every(secs(rng.u64(1..40))),
            zone: Zone::UTC,
            on_overlap: if rng.bool() { OnOverlap::Skip } else { OnOverlap::Restart },
            catch_up: rng.bool(),
        });
    }
    if rng.u8(0..4) == 0 {
        let paths = vec!["src".to_owned()];
        let action = OnChange::Restart;
        spec.occasions.watch = Some(Watch { paths, ignore: Vec::new(), debounce: ms(300), action });
    }
}

fn random_behaviour(world: &mut World, rng: &mut fastrand::Rng, name: &str) {
    let life = |rng: &mut fastrand::Rng| match rng.u8(0..5) {
        0 => Life::Forever,
        1 => Life::Ends(ms(rng.u64(0..500)), Exit::Code(rng.i32(0..3))),
        2 => Life::Ends(secs(rng.u64(0..30)), Exit::Signal(11)),
        3 => Life::Ends(secs(rng.u64(0..30)), Exit::Code(0)),
        _ => Life::Fails("no such program".to_owned()),
    };
    let answers = [
        Answer::Well,
        Answer::Well,
        Answer::Bad,
        Answer::Broken,
        Answer::BadUntil(secs(8)),
        Answer::Alternates,
        Answer::Never,
    ];
    world.behave(name, |b| {
        b.spawn_takes = ms(rng.u64(0..300));
        b.lives = (0..rng.usize(0..12)).map(|_| life(rng)).collect();
        b.then = life(rng);
        b.ends_in = (rng.u8(0..4) > 0).then(|| ms(rng.u64(0..2000)));
        b.leftover = if rng.u8(0..4) == 0 { rng.usize(1..4) } else { 0 };
        b.leftover_lasts = rng.bool().then(|| secs(rng.u64(0..30)));
        b.survivors = if rng.u8(0..8) == 0 { vec![42] } else { vec![] };
        for kind in ProbeKind::ALL {
            b.answers.insert(kind, rng.choice(&answers).unwrap().clone());
        }
        b.logs = if rng.bool() { vec![(ms(rng.u64(0..4000)), None)] } else { vec![] };
    });
}

fn random_line(rng: &mut fastrand::Rng, count: usize) -> String {
    let name = format!("s{}", rng.usize(0..count));
    let other = format!("s{}", rng.usize(0..count));
    match rng.u8(0..14) {
        0..4 => format!("start {name} {other}"),
        4 => "start --all".to_owned(),
        5..7 => format!("stop {name} --grace {}ms", rng.u64(0..3000)),
        7 => format!("stop {name} {other}"),
        8 => "stop --all".to_owned(),
        9 => format!("restart {name}"),
        10 => format!("restart {name} --with-dependents"),
        11 => format!("kill {name}"),
        12 => format!("signal TERM {name}"),
        _ => format!("autopilot {}", if rng.u8(0..4) == 0 { "off" } else { "on" }),
    }
}

/// A timer of an epoch that is over, or never was, must change nothing at all.
fn poke_with_a_stale_timer(world: &mut World, rng: &mut fastrand::Rng, count: usize) {
    let service = id(&format!("s{}", rng.usize(0..count)));
    let key = match rng.u8(0..7) {
        0 => TimerKey::BackoffOver(service),
        1 => TimerKey::GraceOver(service),
        2 => TimerKey::StableReached(service),
        3 => TimerKey::ProbeDue(service, ProbeKind::Liveness),
        4 => TimerKey::PortsAgain(service),
        5 => TimerKey::ScheduleDue(service),
        _ => TimerKey::BudgetRefilled,
    };
    let _seen = world.engine.snapshot(world.now);
    let event = Event::TimerFired { key, epoch: Epoch(u64::MAX - rng.u64(0..9)) };
    // The clock alone moves.
    let _clock = world.engine.step(world.now, Input::Event(Event::Stalled { gap: ms(0) }));
    let _seen = world.engine.snapshot(world.now);
    let before = format!("{:?}", world.engine);
    assert!(world.engine.step(world.now, Input::Event(event)).is_empty());
    assert_eq!(format!("{:?}", world.engine), before);
}

/// The engine is killed, at once or in the middle of its next step, and after a while there is another.
fn succeed(world: &mut World, rng: &mut fastrand::Rng) {
    if rng.bool() {
        world.succession.dies_within = Some(rng.usize(0..12));
        let span = ms(rng.u64(0..3000));
        world.run_for(span);
        world.succession.dies_within = None;
    }
    if !world.succession.is_dead {
        world.die();
    }
    let away = ms(rng.u64(0..20_000));
    world.run_for(away);
    world.revive();
}

fn live_through(seed: u64) -> World {
    live(seed, false)
}

fn live(seed: u64, deadly: bool) -> World {
    let mut rng = fastrand::Rng::with_seed(seed);
    let count = rng.usize(1..9);
    let budget = Budget { burst: rng.u32(1..6), refill_per_10s: rng.u32(1..20) };
    let mut world = World::empty(Settings { seed, budget, ..Settings::default() });
    let lose_answers = rng.bool().then(|| rng.u32(2..10));
    world.chaos = Some(Chaos { rng: rng.fork(), lose_answers });
    world.keep_effects = false;
    let specs: Vec<ServiceSpec> = (0..count).map(|n| random_spec(&mut rng, n)).collect();
    for n in 0..count {
        random_behaviour(&mut world, &mut rng, &format!("s{n}"));
    }
    world.load("shop", specs.clone());
    for _ in 0..rng.usize(5..60) {
        if deadly && rng.u8(0..4) == 0 {
            succeed(&mut world, &mut rng);
        }
        match rng.u8(0..24) {
            0 => {
                let gap = secs(rng.u64(0..60));
                world.stall(gap);
            }
            1 => {
                let port = rng.u16(8000..8004);
                if world.held_ports.remove(&port).is_none() {
                    world.held_ports.insert(port, 5);
                }
            }
            4 => {
                let service = id(&format!("s{}", rng.usize(0..count)));
                let change = Change { first: "src/app.py".to_owned(), more: rng.usize(0..3) };
                if !world.succession.is_dead {
                    world.tell(Event::FilesChanged { service, change });
                }
            }
            2 => poke_with_a_stale_timer(&mut world, &mut rng, count),
            3 => {
                let again: Vec<ServiceSpec> = specs
                    .iter()
                    .cloned()
                    .map(|spec| {
                        let change = rng.u8(0..4) == 0;
                        spec.with(|s| {
                            if change {
                                s.environment.insert("EDITION".to_owned(), "2".to_owned());
                            }
                        })
                    })
                    .collect();
                // The last one may be missing for once: nobody depends on it.
                let kept = again.len() - usize::from(rng.u8(0..4) == 0);
                world.load("shop", again.into_iter().take(kept).collect());
            }
            _ => {
                let line = random_line(&mut rng, count);
                let consent = if rng.u8(0..8) == 0 { Consent::DryRun } else { Consent::Ask };
                let _reply = world.say_as(Origin::Cli, &line, consent);
            }
        }
        let span = ms(rng.u64(0..8000));
        world.run_for(span);
    }
    world.tell(Event::ShutdownAsked);
    world.run_for(secs(120));
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn random_worlds_keep_every_invariant_and_always_come_to_an_end(seed in any::<u64>()) {
        let mut world = live_through(seed);
        let snapshot = world.engine.snapshot(world.now);
        let left: Vec<String> =
            snapshot.services.iter().filter(|s| s.run.is_some()).map(|s| format!("{} {}", s.id, s.why)).collect();
        prop_assert_eq!((world.quits, world.alive(), left), (1, 0, vec![]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn engines_die_at_random_and_every_invariant_holds_across_them(seed in any::<u64>()) {
        let mut world = live(seed, true);
        let snapshot = world.engine.snapshot(world.now);
        let left: Vec<String> =
            snapshot.services.iter().filter(|s| s.run.is_some()).map(|s| format!("{} {}", s.id, s.why)).collect();
        prop_assert_eq!((world.quits, world.alive(), left), (1, 0, vec![]));
    }
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let tell = |world: &World| world.entries.iter().map(|entry| format!("{entry:?}")).collect::<Vec<_>>();
    assert_eq!(tell(&live_through(42)), tell(&live_through(42)));
}

#[test]
fn a_day_of_fifty_services() {
    let mut world = World::empty(Settings { seed: 3, ..Settings::default() });
    world.keep_effects = false;
    let specs = (0..50)
        .map(|n| {
            let spec = service(&format!("s{n}")).with(|s| s.autostart = true);
            let spec = if n >= 5 { spec.needs(&format!("s{}", n % 5)) } else { spec };
            if n % 10 == 0 { spec.probe(ProbeKind::Readiness, |p| p.interval = secs(60)) } else { spec }
        })
        .collect();
    for n in 0..50 {
        world.behave(&format!("s{n}"), |b| match n % 10 {
            3 => b.then = Life::Ends(secs(3600), Exit::Code(1)),
            7 => b.then = Life::Ends(secs(600 + n), Exit::Signal(11)),
            9 if n == 49 => b.then = Life::Ends(ms(100), Exit::Code(1)),
            _ => {}
        });
    }
    world.load("shop", specs);
    world.run_for(secs(24 * 3600));
    assert_eq!(world.phase("s49"), "gave-up");
    assert_eq!(world.alive(), 49, "everyone else is up in the evening");
    let healed = world.healed.iter().filter(|(_, id)| id.service.as_str() == "s7").count();
    assert!((130..=145).contains(&healed), "every ten minutes: {healed}");
    world.tell(Event::ShutdownAsked);
    world.run_for(secs(60));
    assert_eq!((world.quits, world.alive()), (1, 0));
}
