//! What the healer does about what is not well, what it leaves alone, and how it judges itself.
#![expect(clippy::wildcard_enum_match_arm, reason = "one effect is looked for")]

use std::{sync::Arc, time::Duration};

use cas::model::{
    deed::Remake,
    effect::{Effect, Work},
    event::Event,
    exam::{Exam, Grade, Measure, Nature, Protocol, Reading, Reads, Remark, Remedy, Rule, Sign, Subject, Target, Unit},
    ids::RunId,
    metric::{HostUsage, Pressure, Sample},
    phase::{Exit, Phase, PortHolder},
    probe::{Probe, ProbeKind},
    service::{CommandLine, ServiceSpec},
    signal::Signal,
    timeline::What,
};

use super::{
    heritage::succeed,
    world::{Answer, Build, World, id, ms, secs, service},
};

fn nature(remedies: Vec<Remedy>) -> Nature {
    Nature {
        kind: "redis".to_owned(),
        title: "Redis".to_owned(),
        how: "its program is redis-server".to_owned(),
        remedies,
        are_declared: true,
        ..Nature::default()
    }
}

trait Healed {
    fn remedies(self, remedies: Vec<Remedy>) -> Self;
    fn live(self) -> Self;
}

impl Healed for ServiceSpec {
    fn remedies(self, remedies: Vec<Remedy>) -> Self {
        self.with(|s| s.nature = Some(Arc::new(nature(remedies))))
    }
    fn live(self) -> Self {
        self.probe(ProbeKind::Liveness, |_| ())
    }
}

fn answer(world: &mut World, name: &str, answer: &Answer) {
    world.behave(name, |b| {
        b.answers.insert(ProbeKind::Liveness, answer.clone());
    });
}

fn up(specs: Vec<ServiceSpec>) -> World {
    let mut world = World::new(specs);
    world.say("start --all");
    world.run_for(secs(30));
    world
}

#[test]
fn the_ladder_is_climbed_rung_by_rung_and_a_person_is_called_at_its_end() {
    let reset = CommandLine::Shell("./reset".to_owned());
    let rungs = [
        Remedy::Wait { time: secs(5) },
        Remedy::Reload { signal: Signal::Hup },
        Remedy::Run { command: reset.clone() },
        Remedy::Restart,
    ];
    // Its signal ends nothing here: the world takes every signal for an end, so that one is left out.
    let mut world =
        up(vec![service("web").live().remedies(vec![rungs[0].clone(), rungs[2].clone(), rungs[3].clone()])]);
    answer(&mut world, "web", &Answer::Bad);
    let began = world.now;
    world.run_for(secs(120));
    let ran: Vec<Duration> = world
        .effects
        .iter()
        .filter(|(_, effect)| matches!(effect, Effect::Remedy { work: Work::Run(command), .. } if *command == reset))
        .map(|(at, _)| at.since(began))
        .collect();
    assert_eq!(ran.len(), 1, "a command that has not helped is not run again");
    assert!(ran[0] >= secs(5), "it waits first: {ran:?}");
    assert_eq!(world.spawns("web").len(), 3, "a restart is tried twice, never a third time");
    world.assert_told("web", "has not helped: run ./reset");
    world.assert_told("web", "the healer knows nothing more; tried: run ./reset, restart, restart");
    assert!(world.view("web").escalated);
    assert_eq!(world.phase("web"), "running", "it is left as it is");
    world.run_for(secs(600));
    assert_eq!(world.spawns("web").len(), 3);
    // A person takes over: the healer begins anew.
    world.say("restart web");
    world.run_for(secs(5));
    assert!(!world.view("web").escalated);
    world.run_for(secs(120));
    assert!(world.spawns("web").len() > 4);
}

/// GUARANTEES, classes of actions: what disrupts takes a person's word. A project's own list is that word, within its budget.
#[test]
fn what_disrupts_is_left_to_a_person_unless_the_project_lists_it() {
    let rungs = vec![Remedy::Restart, Remedy::Recreate, Remedy::RestartWithDependents];
    let mut world = up(vec![
        service("db").live().remedies(rungs.clone()).with(|s| {
            s.nature = Some(Arc::new(Nature { are_declared: false, ..nature(rungs.clone()) }));
        }),
        service("web").needs("db"),
    ]);
    answer(&mut world, "db", &Answer::Bad);
    world.run_for(secs(120));
    assert_eq!(world.spawns("db").len(), 3, "its own restart, twice");
    assert_eq!(world.spawns("web").len(), 1);
    world.assert_told("db", "the healer knows nothing more; tried: restart, restart");
    let why = |world: &World| {
        let escalated = world.entries.iter().rfind(|entry| matches!(entry.what, What::Escalated { .. }));
        escalated.map(|entry| entry.why.clone()).unwrap_or_default()
    };
    let said = why(&world);
    assert!(said.ends_with("left to you: recreate db, restart db --with-dependents"), "{said}");
    assert!(world.view("db").why.contains("left to you: recreate, restart-with-dependents"));

    let mut world = up(vec![service("db").live().remedies(rungs), service("web").needs("db")]);
    answer(&mut world, "db", &Answer::Bad);
    world.run_for(secs(120));
    let remade = |world: &World| {
        let anew = |effect: &Effect| matches!(effect, Effect::Spawn { remake: Remake::Container, .. });
        world.effects.iter().filter(|(_, effect)| anew(effect)).count()
    };
    assert_eq!(remade(&world), 1);
    assert_eq!(world.spawns("db").len(), 4, "what disrupts is done to one service once an hour");
    let said = why(&world);
    assert!(said.ends_with("left to you: recreate db, restart db --with-dependents"), "its budget is spent: {said}");
}

#[test]
fn a_reload_is_a_signal_to_the_main_process() {
    let mut world = up(vec![service("web").live().remedies(vec![Remedy::Reload { signal: Signal::Hup }])]);
    answer(&mut world, "web", &Answer::Bad);
    world.run_for(secs(5));
    let sent = world.effects.iter().any(|(_, effect)| matches!(effect, Effect::Signal { signal: Signal::Hup, .. }));
    assert!(sent);
    world.assert_told("web", "remedy: SIGHUP, to read its configuration again");
}

#[test]
fn what_helped_is_said_once_it_has_held() {
    let mut world = up(vec![
        service("web")
            .live()
            .remedies(vec![Remedy::Run { command: CommandLine::Shell("fix".to_owned()) }, Remedy::Restart]),
    ]);
    answer(&mut world, "web", &Answer::Bad);
    world.run_for(secs(5));
    answer(&mut world, "web", &Answer::Well);
    world.run_for(secs(8));
    assert!(!world.story("web").iter().any(|line| line.starts_with("well again")), "not judged too soon");
    world.run_for(secs(10));
    world.assert_told("web", "after: run fix");
    assert_eq!(world.spawns("web").len(), 1);
    // What has helped may be done again, and again.
    for _ in 0..3 {
        answer(&mut world, "web", &Answer::Bad);
        world.run_for(secs(5));
        answer(&mut world, "web", &Answer::Well);
        world.run_for(secs(700));
    }
    assert_eq!(world.story("web").iter().filter(|line| line.starts_with("well again")).count(), 4);
    assert_eq!(world.spawns("web").len(), 1);
}

#[test]
fn while_a_dependency_is_down_ten_dependents_are_left_alone_and_are_well_soon_after() {
    let mut specs = vec![service("db")];
    for n in 0..10 {
        // One needs it through another.
        let needs = if n == 9 { "web0" } else { "db" };
        specs.push(
            service(&format!("web{n}")).live().needs(needs).probe(ProbeKind::Liveness, |p| p.interval = secs(10)),
        );
    }
    let mut world = up(specs);
    let names: Vec<String> = (0..10).map(|n| format!("web{n}")).collect();
    world.crash("db", Exit::Code(1));
    world.behave("db", |b| b.then = super::world::Life::Fails("no such file".to_owned()));
    for name in &names {
        answer(&mut world, name, &Answer::Bad);
    }
    world.run_for(secs(60));
    assert_ne!(world.phase("db"), "running");
    world.behave("db", |b| b.then = super::world::Life::Forever);
    world.say("start db");
    world.run_for(ms(100));
    assert_eq!(world.phase("db"), "running");
    for name in &names {
        answer(&mut world, name, &Answer::Well);
    }
    world.run_for(secs(5));
    for name in &names {
        assert_eq!(world.view(name).health.label(), "healthy", "{name}");
        assert_eq!(world.spawns(name).len(), 1, "{name} was restarted");
    }
}

#[test]
fn what_cannot_be_asked_hides_no_other_dependency_that_has_yet_to_answer() {
    let slow = |p: &mut Probe| p.interval = secs(20);
    let mut world = up(vec![
        service("a").live(),
        service("db").live().probe(ProbeKind::Liveness, slow),
        service("z").live(),
        service("web").live().needs("a").needs("db").needs("z"),
    ]);
    answer(&mut world, "a", &Answer::Broken);
    answer(&mut world, "z", &Answer::Broken);
    world.run_for(secs(5));
    // Both fall ill together; the dependency would say so much later by its rhythm.
    answer(&mut world, "db", &Answer::Bad);
    answer(&mut world, "web", &Answer::Bad);
    while world.spawns("db").len() == 1 {
        world.run_for(ms(100));
        assert_eq!(world.spawns("web").len(), 1, "it was restarted for what its dependency has");
    }
}

#[test]
fn a_dependent_that_cannot_reconnect_is_restarted_once_its_dependency_is_back() {
    let mut world = up(vec![service("db").live(), service("web").live().needs("db")]);
    answer(&mut world, "db", &Answer::Bad);
    answer(&mut world, "web", &Answer::BadUntil(secs(3600)));
    world.run_for(secs(4));
    assert_eq!(world.spawns("db").len(), 2);
    answer(&mut world, "db", &Answer::Well);
    world.run_for(secs(12));
    assert_eq!(world.spawns("web").len(), 1, "it is given some time");
    while world.spawns("web").len() == 1 {
        world.run_for(ms(100));
    }
    answer(&mut world, "web", &Answer::Well);
    world.run_for(secs(60));
    assert_eq!((world.spawns("web").len(), world.view("web").health.label()), (2, "healthy"));
}

#[test]
fn falls_that_a_dependency_is_to_blame_for_are_no_flapping() {
    let mut world = up(vec![service("db").live(), service("web").live().needs("db")]);
    for _ in 0..6 {
        answer(&mut world, "db", &Answer::Bad);
        answer(&mut world, "web", &Answer::Bad);
        world.run_for(secs(8));
        assert_eq!(world.view("web").health.label(), "unhealthy");
        answer(&mut world, "db", &Answer::Well);
        answer(&mut world, "web", &Answer::Well);
        world.run_for(secs(30));
    }
    assert_eq!(world.spawns("web").len(), 1);
    assert!(!world.story("web").iter().any(|line| line.starts_with("flapping")), "{:?}", world.story("web"));
    world.assert_told("db", "flapping: fell ill 4 times");
    world.run_for(secs(3600));
    answer(&mut world, "web", &Answer::Bad);
    world.run_for(secs(8));
    assert!(world.spawns("web").len() > 1, "what is its own fault is healed");
}

#[test]
fn dependents_follow_a_restart_where_the_ladder_says_so() {
    let mut world = up(vec![
        service("db").live().remedies(vec![Remedy::RestartWithDependents]),
        service("web").needs("db"),
        service("far").needs("web"),
        service("apart"),
    ]);
    answer(&mut world, "db", &Answer::Bad);
    world.run_for(secs(4));
    answer(&mut world, "db", &Answer::Well);
    world.run_for(secs(30));
    let spawns = ["db", "web", "far", "apart"].map(|name| world.spawns(name).len());
    assert_eq!(spawns, [2, 2, 2, 1]);
    assert!(world.view("web").why.contains("db had to be restarted"), "{}", world.view("web").why);
}

fn starved(world: &mut World, cpu: f32) {
    let usage = HostUsage {
        pressure: Some(Pressure { cpu_some_percent: cpu, memory_full_percent: 0.0, io_full_percent: 0.0 }),
        ..HostUsage::default()
    };
    let at = world.now;
    world.tell(Event::Sampled(Arc::new(Sample { at, host: usage, runs: vec![], stopped: vec![] })));
}

#[test]
fn what_answers_late_because_the_machine_is_starved_is_left_running_until_it_breathes() {
    let names = ["a", "b", "c", "d"];
    let mut world = up(names.iter().map(|name| service(name).live()).collect());
    starved(&mut world, 95.0);
    for name in names {
        answer(&mut world, name, &Answer::Late);
    }
    world.run_for(secs(60));
    let spawned = |world: &World| names.map(|name| world.spawns(name).len());
    assert_eq!(spawned(&world), [1; 4]);
    assert!(world.engine.snapshot(world.now).troubles.values().any(|text| text.contains("answer late")));
    starved(&mut world, 1.0);
    assert!(world.engine.snapshot(world.now).troubles.is_empty());
    world.run_for(secs(20));
    assert!(spawned(&world).iter().all(|count| *count > 1), "{:?}", spawned(&world));
}

#[test]
fn one_that_hangs_is_healed_however_busy_the_machine_is() {
    let mut world = up(["a", "b", "c", "d"].iter().map(|name| service(name).live()).collect());
    starved(&mut world, 95.0);
    answer(&mut world, "a", &Answer::Late);
    world.run_for(secs(4));
    assert_eq!(world.spawns("a").len(), 1, "on a starved machine it takes twice as many late answers");
    world.run_for(secs(6));
    assert_eq!(world.spawns("a").len(), 2);
}

#[test]
fn nothing_is_healed_in_maintenance_and_what_was_missed_is_made_good_at_its_end() {
    let mut world = up(vec![service("web").live(), service("job").live()]);
    world.say("maintenance on web job 30m");
    assert!(world.view("web").maintenance.is_some());
    answer(&mut world, "web", &Answer::Bad);
    world.run_for(secs(60));
    assert_eq!(world.spawns("web").len(), 1, "{:?}", world.story("web"));
    world.crash("job", Exit::Code(1));
    world.run_for(secs(600));
    assert_eq!(world.phase("job"), "failed");
    assert!(world.view("job").why.contains("it is in maintenance"), "{}", world.view("job").why);
    answer(&mut world, "web", &Answer::Well);
    // The next engine knows of it.
    succeed(&mut world, secs(2));
    assert!(world.view("web").maintenance.is_some());
    world.run_for(secs(1200));
    assert!(world.view("web").maintenance.is_none());
    assert_eq!(world.phase("job"), "running");
    world.assert_told("job", "maintenance is over");
    world.say("maintenance on web");
    world.say("maintenance off web");
    assert!(world.view("web").maintenance.is_none());
}

#[test]
fn a_port_that_its_own_orphan_holds_is_freed_and_a_strangers_is_not() {
    let holder = |service| PortHolder {
        port: 80,
        pid: Some(77),
        command: None,
        since_us: None,
        user: None,
        service,
        because: None,
    };
    for (holder, freed) in [(holder(Some(id("web"))), true), (holder(Some(id("db"))), false), (holder(None), false)] {
        let mut world = World::new(vec![service("web").port(80), service("db")]);
        world.behave("web", |_| ());
        world.say("start web");
        let (service, epoch) = world
            .effects
            .iter()
            .find_map(|(_, effect)| match effect {
                Effect::CheckPorts { service, epoch, .. } => Some((service.clone(), *epoch)),
                _ => None,
            })
            .unwrap();
        world.tell(Event::PortsChecked { service, epoch, holders: vec![holder] });
        let ended = world.effects.iter().any(|(_, effect)| matches!(effect, Effect::EndOrphan { pid: 77, .. }));
        assert_eq!(ended, freed);
    }
}

fn examined() -> ServiceSpec {
    let rule = Rule {
        name: "connections".to_owned(),
        title: "connections in use".to_owned(),
        unit: Unit::Count,
        reads: Reads::Share,
        warn: Some(0.8),
        critical: Some(0.95),
        below: false,
        advice: Some("close some".to_owned()),
    };
    let subject = Subject::Server { protocol: Protocol::Redis, target: Target::default() };
    let exam = Exam { name: "redis".to_owned(), subject, interval: secs(15), timeout: secs(10), rules: vec![rule] };
    let sign = Sign {
        pattern: "OOM".to_owned(),
        grade: Grade::Critical,
        says: "it has no memory left".to_owned(),
        advice: Some("give it more".to_owned()),
    };
    service("db").with(|s| {
        s.nature = Some(Arc::new(Nature { exams: vec![Arc::new(exam)], signs: vec![sign], ..nature(Vec::new()) }));
    })
}

fn round(world: &World) -> (RunId, u64) {
    let rounds = world.effects.iter().filter_map(|(_, effect)| match effect {
        Effect::Examine(round) => Some((round.run, round.round)),
        _ => None,
    });
    rounds.collect::<Vec<_>>().pop().unwrap()
}

fn read(world: &mut World, connections: f64, remarks: Vec<Remark>) {
    let (run, round) = round(world);
    let reading = Reading {
        server: Some("Redis 7.0".to_owned()),
        measures: vec![Measure::new("connections", connections).of(100.0)],
        remarks,
    };
    world.tell(Event::Examined { run, exam: "redis".to_owned(), round, result: Ok(reading), took: ms(3) });
    world.run_for(secs(15));
}

#[test]
fn a_deep_look_finds_and_tells_and_restarts_nothing() {
    let mut world = World::new(vec![examined()]);
    world.say("start db");
    world.run_for(secs(3));
    read(&mut world, 50.0, vec![]);
    let checkup = world.view("db").checkup.clone().unwrap();
    assert_eq!((checkup.worst(), checkup.server.as_deref()), (Grade::Good, Some("Redis 7.0")));
    let saving = Remark {
        check: "saving".to_owned(),
        grade: Grade::Warning,
        sentence: "the last snapshot failed".to_owned(),
        advice: None,
    };
    read(&mut world, 97.0, vec![saving.clone()]);
    read(&mut world, 97.0, vec![saving]);
    let checkup = world.view("db").checkup.clone().unwrap();
    let told: Vec<(&str, Grade, &str)> =
        checkup.findings.iter().map(|it| (it.check.as_str(), it.grade, it.sentence.as_str())).collect();
    assert_eq!(
        told,
        [
            ("connections", Grade::Critical, "connections in use: 97 of 100 (97 %)"),
            ("saving", Grade::Warning, "the last snapshot failed"),
        ]
    );
    assert_eq!(checkup.findings[0].advice.as_deref(), Some("close some"));
    world.run_for(secs(1));
    read(&mut world, 10.0, vec![]);
    read(&mut world, 10.0, vec![]);
    world.assert_told("db", "over: connections in use: 10 of 100 (10 %)");
    world.assert_told("db", "over: the last snapshot failed");
    assert_eq!(world.spawns("db").len(), 1);
}

#[test]
fn a_look_that_failed_says_why_and_an_answer_of_an_earlier_run_says_nothing() {
    let mut world = World::new(vec![examined()]);
    world.say("start db");
    world.run_for(secs(3));
    let (run, number) = round(&world);
    let refused = Err(cas::model::exam::Trouble::Refused("wrong password".to_owned()));
    world.tell(Event::Examined { run, exam: "redis".to_owned(), round: number, result: refused.clone(), took: ms(3) });
    let failed = world.view("db").checkup.clone().unwrap().failed.clone();
    assert_eq!(failed.get("redis").map(String::as_str), Some("wrong password"));
    world.say("restart db");
    world.run_for(secs(3));
    assert!(world.view("db").checkup.clone().unwrap().failed.is_empty());
    world.tell(Event::Examined { run, exam: "redis".to_owned(), round: number, result: refused, took: ms(3) });
    assert!(world.view("db").checkup.clone().unwrap().failed.is_empty());
}

#[test]
fn a_sign_in_the_output_is_told_once_and_fades() {
    let mut world = World::new(vec![examined()]);
    world.say("start db");
    world.run_for(secs(3));
    for _ in 0..5 {
        world.tell(Event::SignSeen {
            service: id("db"),
            pattern: "OOM".to_owned(),
            line: "OOM command not allowed".to_owned(),
        });
        world.run_for(secs(2));
    }
    let findings = world.view("db").checkup.clone().unwrap().findings.clone();
    assert_eq!(findings[0].sentence, "it has no memory left, 5 times: OOM command not allowed");
    let told = world.entries.iter().filter(|entry| matches!(entry.what, What::Found { .. })).count();
    assert_eq!(told, 1);
    world.run_for(secs(700));
    world.tell(Event::SignSeen { service: id("db"), pattern: "unknown".to_owned(), line: "x".to_owned() });
    world.say("restart db");
    world.run_for(secs(1));
    assert!(world.view("db").checkup.clone().unwrap().findings.is_empty());
}

#[test]
fn an_unhealthy_healthcheck_is_healed_and_readiness_alone_is_not() {
    for (heals, spawns) in [(true, 2), (false, 1)] {
        let mut world = up(vec![service("web").probe(ProbeKind::Readiness, |p| p.heals = heals)]);
        world.behave("web", |b| {
            b.answers.insert(ProbeKind::Readiness, Answer::Bad);
        });
        world.run_for(secs(5));
        assert_eq!(world.spawns("web").len(), spawns);
    }
}

#[test]
fn a_hung_service_is_ended_within_its_period_times_its_threshold_and_a_second() {
    let mut world = up(vec![service("web").live()]);
    answer(&mut world, "web", &Answer::Late);
    let (begun, spec) = (world.now, (secs(1), 3));
    while matches!(world.view("web").phase, Phase::Running { .. }) {
        world.run_for(ms(10));
    }
    // Its timeout is as long as its period.
    let took = world.now.since(begun);
    assert!(took <= spec.0 * spec.1 + secs(1) + ms(20), "{took:?}");
}
