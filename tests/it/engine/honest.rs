//! Probes that are caught at saying "well", in virtual time.

use std::sync::Arc;

use cas::model::{
    effect::Effect,
    event::Event,
    exam::{Exam, Grade, Measure, Nature, Protocol, Reading, Reads, Rule, Sign, Subject, Target, Unit},
    ids::RunId,
    probe::{ProbeKind, ProbeOutcome},
    service::ServiceSpec,
};

use super::world::{Answer, Build, MS, World, secs, service};

fn rule(name: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        title: name.to_owned(),
        unit: Unit::Count,
        reads: Reads::Value,
        warn: None,
        critical: None,
        below: false,
        advice: None,
    }
}

fn server(name: &str, kind: &str) -> ServiceSpec {
    let subject = Subject::Server { protocol: Protocol::Redis, target: Target::default() };
    let rules = vec![rule("queue-depth"), rule("consumers"), rule("oldest-job")];
    let exam = Exam { name: "redis".to_owned(), subject, interval: secs(15), timeout: secs(10), rules };
    let sign = Sign {
        pattern: "MISCONF".to_owned(),
        grade: Grade::Critical,
        says: "it takes no writes".to_owned(),
        advice: None,
    };
    let nature = Nature { kind: kind.to_owned(), exams: vec![Arc::new(exam)], signs: vec![sign], ..Nature::default() };
    service(name).probe(ProbeKind::Readiness, |_| ()).with(|spec| spec.nature = Some(Arc::new(nature)))
}

/// Answers all looks that are asked for within the time, the nth with `reading(n)`.
fn looks(world: &mut World, count: usize, reading: impl Fn(usize) -> Reading) {
    let mut read = world.effects.len();
    let mut answered = 0;
    for _ in 0..count * 60 {
        world.run_for(secs(1));
        let asked: Vec<_> = world.effects[read..]
            .iter()
            .filter_map(|(_, effect)| if let Effect::Examine(round) = effect { Some(round.clone()) } else { None })
            .collect();
        read = world.effects.len();
        for round in asked {
            let result = Ok(reading(answered));
            let exam = round.exam.name.clone();
            world.tell(Event::Examined { run: round.run, exam, round: round.round, result, took: MS });
            answered += 1;
            if answered == count {
                return;
            }
        }
    }
    panic!("only {answered} looks were asked for");
}

fn queue(depth: f64, consumers: f64) -> Reading {
    Reading {
        measures: vec![Measure::new("queue-depth", depth), Measure::new("consumers", consumers)],
        ..Reading::default()
    }
}

fn found(world: &mut World, name: &str) -> Vec<String> {
    let checkup = world.view(name).checkup.clone().unwrap_or_default();
    checkup.findings.iter().filter(|finding| finding.exam == "probes").map(|finding| finding.check.clone()).collect()
}

#[test]
fn a_queue_that_only_grows_and_has_no_consumer_belies_its_worker_and_its_server() {
    let worker = service("mailer")
        .needs("queue")
        .probe(ProbeKind::Readiness, |_| ())
        .with(|spec| spec.nature = Some(Arc::new(Nature { kind: "sidekiq".to_owned(), ..Nature::default() })));
    let other = service("api").needs("queue").probe(ProbeKind::Readiness, |_| ());
    let mut world = World::new(vec![server("queue", "redis"), worker, other]);
    world.say("start queue mailer api");
    world.run_for(secs(5));
    looks(&mut world, 4, |n| queue(n as f64, 0.0));
    assert_eq!(found(&mut world, "mailer"), Vec::<String>::new(), "three steps are not enough");
    looks(&mut world, 1, |_| queue(9.0, 0.0));
    assert_eq!(found(&mut world, "mailer"), ["worker-idle"]);
    assert_eq!(found(&mut world, "queue"), ["queue-stalled"]);
    assert_eq!(found(&mut world, "api"), Vec::<String>::new());
    world.assert_told("mailer", "the readiness probe passes, and of queue the queue grew from 0 to 9 in 5 looks");
    looks(&mut world, 1, |_| queue(10.0, 1.0));
    assert_eq!(found(&mut world, "mailer"), Vec::<String>::new());
    world.assert_told("mailer", "over: the readiness probe passes");
}

#[test]
fn the_oldest_job_that_ages_as_time_passes_belies_too_and_one_that_is_taken_does_not() {
    let mut world = World::new(vec![server("queue", "redis")]);
    world.say("start queue");
    world.run_for(secs(5));
    let aged = |age: f64| Reading { measures: vec![Measure::new("oldest-job", age)], ..Reading::default() };
    looks(&mut world, 6, |n| aged(if n % 3 == 2 { 1.0 } else { 15.0 * n as f64 }));
    assert_eq!(found(&mut world, "queue"), Vec::<String>::new());
    looks(&mut world, 6, |n| aged(100.0 + 15.0 * n as f64));
    assert_eq!(found(&mut world, "queue"), ["queue-stalled"]);
}

#[test]
fn a_probe_that_passes_while_the_output_names_a_critical_failure_is_belied_for_two_minutes() {
    let mut world = World::new(vec![server("db", "redis")]);
    world.say("start db");
    world.run_for(secs(5));
    let sign = Event::SignSeen {
        service: super::world::id("db"),
        pattern: "MISCONF".to_owned(),
        line: "MISCONF Redis is configured".to_owned(),
    };
    world.tell(sign);
    assert_eq!(found(&mut world, "db"), ["readiness-contradicted"]);
    world.run_for(secs(130));
    assert_eq!(found(&mut world, "db"), Vec::<String>::new());
}

#[test]
fn a_probe_that_passes_while_a_deep_look_is_critical_is_belied_and_one_that_fails_is_not() {
    let mut world = World::new(vec![server("db", "redis")]);
    world.say("start db");
    world.run_for(secs(5));
    let ill = |_| {
        let mut reading = Reading::default();
        reading.remark("replication", Grade::Critical, "the link to its primary is down", None);
        reading
    };
    looks(&mut world, 1, ill);
    assert_eq!(found(&mut world, "db"), ["readiness-overlooks"]);
    world.behave("db", |b| {
        b.answers.insert(ProbeKind::Readiness, Answer::Bad);
    });
    world.run_for(secs(3));
    looks(&mut world, 1, ill);
    assert_eq!(found(&mut world, "db"), Vec::<String>::new());
}

fn answered(world: &mut World, run: RunId, at: &mut usize, took: std::time::Duration) {
    let round = (0..100)
        .find_map(|_| {
            let asked = world.effects.iter().enumerate().skip(*at).find_map(|(at, (_, effect))| {
                if let Effect::Probe(round) = effect { Some((at, round.round)) } else { None }
            });
            if asked.is_none() {
                world.run_for(MS * 100);
            }
            asked
        })
        .expect("a round is due");
    *at = round.0 + 1;
    let outcome = ProbeOutcome::Passed;
    world.in_flight.remove(&(run, ProbeKind::Readiness));
    world.tell(Event::Probed { run, kind: ProbeKind::Readiness, round: round.1, outcome, took });
}

#[test]
fn a_probe_that_is_slower_than_its_own_period_is_named_after_five_rounds() {
    let web = service("web").probe(ProbeKind::Readiness, |probe| probe.timeout = secs(60));
    let mut world = World::new(vec![web]);
    world.behave("web", |b| {
        b.answers.insert(ProbeKind::Readiness, Answer::Never);
    });
    world.say("start web");
    world.run_for(MS * 200);
    let run = world.view("web").run.unwrap();
    let mut at = 0;
    for took in [2, 2, 0, 2] {
        answered(&mut world, run, &mut at, secs(took));
    }
    assert_eq!(found(&mut world, "web"), Vec::<String>::new());
    answered(&mut world, run, &mut at, secs(2));
    assert_eq!(found(&mut world, "web"), ["readiness-slow"]);
    world.assert_told("web", "the readiness probe takes 2 s (median of its last 5 rounds), its interval is 1 s");
    for _ in 0..3 {
        answered(&mut world, run, &mut at, MS);
    }
    assert_eq!(found(&mut world, "web"), Vec::<String>::new());
}
