//! Fixes of checks of one's own, in virtual time: when one is run, judged, spaced, and given up.

use std::{sync::Arc, time::Duration};

use cas::model::{
    effect::Effect,
    event::Event,
    exam::{Exam, ExamRound, Grade, Measure, Nature, Reading, Reads, Rule, Subject, Unit},
    hooks::{HookOutcome, HookResult},
    own::{Fix, FixRound, Fixed, Mending, Own, OwnCheck, QueueOf, Webhook, figures},
    service::{CommandLine, ServiceSpec},
};

use super::world::{Build, MS, World, id, secs, service};

fn rule(name: &str, warn: f64, critical: f64) -> Rule {
    Rule {
        name: name.to_owned(),
        title: name.to_owned(),
        unit: Unit::Count,
        reads: Reads::Value,
        warn: Some(warn),
        critical: Some(critical),
        below: false,
        advice: None,
    }
}

fn nature(check: OwnCheck, fix: Fix, at: Grade) -> Nature {
    let rules = vec![rule(figures::DEPTH, 10.0, 100.0), rule(figures::FAILED, 1.0, 10.0)];
    let mending = Some(Mending { fix, at, cooldown: Duration::from_mins(15) });
    let subject = Subject::Own(Arc::new(Own { check, mending }));
    let exam = Exam { name: "mail".to_owned(), subject, interval: secs(15), timeout: secs(10), rules };
    Nature { kind: "process".to_owned(), exams: vec![Arc::new(exam)], ..Nature::default() }
}

fn queue() -> Nature {
    let fix = Fix::Run(CommandLine::Shell("drain".to_owned()));
    nature(OwnCheck::Queue(QueueOf::Dir("/srv/spool".into())), fix, Grade::Critical)
}

fn with(nature: Nature) -> ServiceSpec {
    service("web").with(|spec| spec.nature = Some(Arc::new(nature)))
}

/// A world, and what of its effects was read.
struct Watched {
    world: World,
    looks: usize,
    fixes: usize,
}

impl Watched {
    fn new(nature: Nature) -> Self {
        let mut world = World::new(vec![with(nature)]);
        world.say("start web");
        Self { world, looks: 0, fixes: 0 }
    }

    fn next_look(&mut self) -> ExamRound {
        for _ in 0..100 {
            let found = self.world.effects.iter().enumerate().skip(self.looks).find_map(|(at, (_, effect))| {
                if let Effect::Examine(round) = effect { Some((at, round.clone())) } else { None }
            });
            if let Some((at, round)) = found {
                self.looks = at + 1;
                return round;
            }
            self.world.run_for(secs(1));
        }
        panic!("no look is due");
    }

    /// The next look sees this.
    fn sees(&mut self, name: &'static str, value: f64) {
        self.reads(Reading { measures: vec![Measure::new(name, value)], ..Reading::default() });
    }

    fn reads(&mut self, reading: Reading) {
        let ExamRound { run, round, exam } = self.next_look();
        self.world.tell(Event::Examined { run, exam: exam.name.clone(), round, result: Ok(reading), took: MS });
    }

    /// The fix that was begun since the last that was asked for.
    fn begun(&mut self) -> Option<FixRound> {
        let found = self.world.effects.iter().enumerate().skip(self.fixes).find_map(|(at, (_, effect))| {
            if let Effect::Fix(round) = effect { Some((at, round.clone())) } else { None }
        });
        self.fixes = found.as_ref().map_or(self.fixes, |(at, _)| at + 1);
        found.map(|(_, round)| round)
    }

    fn ends(&mut self, round: &FixRound, outcome: HookOutcome) {
        let result = HookResult { outcome, output: vec!["3 drained".to_owned()], took: secs(1) };
        let FixRound { run, exam, round, .. } = round.clone();
        self.world.tell(Event::Fixed(Fixed { service: id("web"), run, exam, round, result }));
    }

    /// Sees something critical until a fix is begun, for at most this long.
    fn until_begun(&mut self, within: Duration) -> Option<FixRound> {
        let end = self.world.now.plus(within);
        while !self.world.now.has_reached(end) {
            self.sees(figures::DEPTH, 200.0);
            if let Some(round) = self.begun() {
                return Some(round);
            }
        }
        None
    }
}

#[test]
fn a_fix_is_run_where_a_check_is_critical_twice_and_judged_by_the_next_look() {
    let mut watched = Watched::new(queue());
    watched.sees(figures::DEPTH, 200.0);
    assert_eq!(watched.begun(), None, "one look is not enough");
    watched.sees(figures::DEPTH, 200.0);
    let round = watched.begun().expect("it is critical");
    watched.world.assert_told("web", "remedy: mail: drain");
    watched.sees(figures::DEPTH, 200.0);
    assert_eq!(watched.begun(), None, "one is in flight");
    watched.ends(&round, HookOutcome::Passed);
    watched.world.assert_told("web", "mail: drain ended well");
    assert!(watched.world.entries.iter().any(|entry| entry.why == "3 drained"), "what it wrote is kept");
    watched.sees(figures::DEPTH, 1.0);
    watched.world.assert_told("web", "well again");
    assert_eq!(watched.begun(), None);
}

#[test]
fn a_fix_waits_for_its_cooldown_and_is_given_up_after_two_that_have_not_helped() {
    let mut watched = Watched::new(queue());
    let first = watched.until_begun(Duration::from_mins(5)).expect("the first");
    let begun = watched.world.now;
    watched.ends(&first, HookOutcome::Failed("exit code 1".to_owned()));
    watched.world.assert_told("web", "mail: drain failed: exit code 1");
    let second = watched.until_begun(Duration::from_hours(1)).expect("the second");
    assert!(watched.world.now.since(begun) >= Duration::from_mins(15), "{:?}", watched.world.now.since(begun));
    watched.world.assert_told("web", "has not helped: mail: drain");
    watched.ends(&second, HookOutcome::Passed);
    assert_eq!(watched.until_begun(Duration::from_hours(3)), None);
    watched.world.assert_told("web", "the healer knows nothing more; tried: mail: drain");
    // Good once: it may be tried again.
    watched.sees(figures::DEPTH, 1.0);
    assert!(watched.until_begun(Duration::from_mins(5)).is_some());
}

#[test]
fn a_restart_by_a_person_lets_a_fix_be_tried_again_and_one_by_the_healer_does_not() {
    let mut watched = Watched::new(queue());
    for _ in 0..2 {
        let round = watched.until_begun(Duration::from_hours(1)).expect("it is tried");
        watched.ends(&round, HookOutcome::Passed);
    }
    watched.world.crash("web", cas::model::phase::Exit::Code(1));
    watched.world.run_for(secs(5));
    assert_eq!(watched.until_begun(Duration::from_hours(2)), None, "the healer restarted it");
    watched.world.say("restart web");
    watched.world.run_for(secs(30));
    watched.looks = watched.world.effects.len();
    assert!(watched.until_begun(Duration::from_mins(5)).is_some());
}

#[test]
fn no_more_than_three_fixes_are_begun_in_an_hour() {
    let mut nature = queue();
    let exam = &nature.exams[0];
    let Subject::Own(own) = &exam.subject else { unreachable!() };
    let mending = own.mending.clone().map(|mending| Mending { cooldown: secs(1), ..mending });
    let subject = Subject::Own(Arc::new(Own { mending, ..(**own).clone() }));
    nature.exams = vec![Arc::new(Exam { subject, ..(**exam).clone() })];
    let mut watched = Watched::new(nature);
    let begun = watched.world.now;
    for number in 0..3 {
        let round = watched.until_begun(Duration::from_mins(5)).unwrap_or_else(|| panic!("fix {number}"));
        watched.ends(&round, HookOutcome::Passed);
        // Each helps, and not for long.
        watched.sees(figures::DEPTH, 1.0);
    }
    assert!(watched.until_begun(Duration::from_hours(2)).is_some());
    assert!(watched.world.now.since(begun) >= Duration::from_hours(1), "{:?}", watched.world.now.since(begun));
}

#[test]
fn nothing_is_fixed_while_the_autopilot_is_off() {
    let mut watched = Watched::new(queue());
    watched.world.say("autopilot off");
    assert_eq!(watched.until_begun(Duration::from_mins(30)), None);
    watched.world.say("autopilot on");
    assert!(watched.until_begun(Duration::from_mins(1)).is_some());
}

#[test]
fn a_replay_waits_until_somebody_is_there_to_take_what_is_sent() {
    let webhook = Webhook {
        target: cas::model::exam::Target::default(),
        path: "/".to_owned(),
        method: "POST".to_owned(),
        body: String::new(),
        secret_env: None,
        signature: "X-Hub-Signature-256".to_owned(),
        send: false,
        deadletter: Some("/srv/dead".into()),
    };
    let mut watched = Watched::new(nature(OwnCheck::Webhook(webhook), Fix::Replay, Grade::Warning));
    let down = |is_down: bool| {
        let mut reading = Reading { measures: vec![Measure::new(figures::FAILED, 4.0)], ..Reading::default() };
        if is_down {
            reading.remark("receiver", Grade::Critical, "connection refused", None);
        }
        reading
    };
    for _ in 0..4 {
        watched.reads(down(true));
    }
    assert_eq!(watched.begun(), None);
    watched.reads(down(false));
    assert!(watched.begun().is_some());
}
