//! Services over hours, in virtual time, by a generator with a seed: what is told of them and what is not.

use super::{Look, Patterns, Settings};
use crate::model::{ids::RunId, level::Level, pattern::PatternNews};

/// A Sunday at midnight.
const BEGIN_US: i64 = 1_760_227_200_000_000;
const SECOND_US: i64 = 1_000_000;
const HOUR: i64 = 3600;

/// One kind of line: how serious, how many a minute, how it reads with a value.
type Kind = (Level, f64, fn(u32) -> String);

const KINDS: [Kind; 14] = [
    (Level::Info, 600.0, |n| format!("GET /products/{n} 200 in {} ms", n % 90)),
    (Level::Info, 240.0, |n| format!("POST /cart/{n} 201 in {} ms", n % 90)),
    (Level::Info, 60.0, |n| format!("session {n} begins")),
    (Level::Info, 55.0, |n| format!("session {n} ends after {n} s")),
    (Level::Debug, 120.0, |n| format!("cache hit for key {n}")),
    (Level::Debug, 30.0, |n| format!("cache miss for key {n}")),
    (Level::Warn, 6.0, |n| format!("slow query took {n} ms")),
    (Level::Warn, 1.0, |n| format!("pool is exhausted, {n} wait")),
    (Level::Warn, 0.1, |n| format!("clock drift of {n} ms")),
    (Level::Error, 5.0, |n| format!("payment {n} failed: card declined")),
    (Level::Error, 1.0, |n| format!("upstream timed out after {n} ms")),
    (Level::Error, 0.2, |n| format!("could not send mail to customer {n}")),
    (Level::Error, 0.03, |n| format!("deadlock found, transaction {n} rolled back")),
    (Level::Info, 12.0, |n| format!("heartbeat {n}")),
];

/// A service in virtual time.
struct Service {
    patterns: Patterns,
    random: fastrand::Rng,
    second: i64,
    run: RunId,
    news: Vec<(i64, PatternNews)>,
    /// Each rate is multiplied with it.
    factors: [f64; KINDS.len()],
    jobs: bool,
}

impl Service {
    fn new(seed: u64) -> Self {
        Self {
            patterns: Patterns::new(Settings::default()),
            random: fastrand::Rng::with_seed(seed),
            second: 0,
            run: RunId(1),
            news: Vec::new(),
            factors: [1.0; KINDS.len()],
            jobs: true,
        }
    }

    fn now_us(&self) -> i64 {
        BEGIN_US + self.second * SECOND_US
    }

    /// A number of independent events (D. E. Knuth, *The Art of Computer Programming*, 3.4.1).
    fn poisson(&mut self, mean: f64) -> u32 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.random.f64(), 0);
        while product > limit {
            product *= self.random.f64();
            count += 1;
        }
        count
    }

    fn say(&mut self, level: Level, text: &str) {
        let us = self.now_us() + self.random.i64(0..SECOND_US);
        let (day, second) = (12 + self.second / 86_400, self.second % 86_400);
        let clock = format!("{:02}:{:02}:{:02}.{:03}", second / 3600, second / 60 % 60, second % 60, us / 1000 % 1000);
        let line = format!("2025-10-{day:02} {clock} {:5} shop.web: {text}", level.label().to_uppercase());
        self.patterns.take(&line, Some(level), us, self.run);
    }

    /// The rhythm of a day: a fifth as much at its quietest as at its busiest.
    fn rhythm(&self) -> f64 {
        0.6 - 0.4 * (self.second as f64 / 86_400.0 * std::f64::consts::TAU).cos()
    }

    /// Time goes by. What comes rarely has come once before: its first time would be news, and rightly.
    fn pass(&mut self, seconds: i64) {
        if self.patterns.lines() == 0 {
            for (level, _, text) in KINDS {
                self.say(level, &text(1));
            }
        }
        for _ in 0..seconds {
            for (kind, (level, rate, text)) in KINDS.into_iter().enumerate() {
                let mean = rate / 60.0 * self.rhythm() * self.factors[kind];
                for _ in 0..self.poisson(mean) {
                    let value = self.random.u32(..100_000);
                    self.say(level, &text(value));
                }
            }
            if self.jobs && self.second % 600 == 30 {
                self.job();
            }
            self.second += 1;
            let look = Look { now_us: self.now_us(), runs: true, is_well: true };
            let at = self.second;
            self.news.extend(self.patterns.look(look).into_iter().map(|news| (at, news)));
        }
    }

    /// What is done every ten minutes, and sometimes more of it.
    fn job(&mut self) {
        let items = 50 + self.random.u32(..200);
        self.say(Level::Info, "export begins");
        for item in 0..items {
            self.say(Level::Info, &format!("exported order {item} to ledger"));
        }
        for item in 0..items / 20 {
            self.say(Level::Warn, &format!("order {item} has no address"));
        }
        self.say(Level::Info, &format!("export of {items} orders took {} ms", items * 3));
    }

    fn told(&mut self) -> Vec<(i64, PatternNews)> {
        std::mem::take(&mut self.news)
    }
}

#[test]
fn six_hours_of_a_steady_noisy_service_are_no_news() {
    let mut told = Vec::new();
    for seed in 1..=2 {
        let mut service = Service::new(seed);
        // From the steepest part of the day.
        service.second = 4 * HOUR;
        service.pass(6 * HOUR);
        let news = service.told();
        assert!(news.len() <= 1, "seed {seed}: {news:?}");
        told.extend(news);
    }
    assert!(told.len() <= 1, "{told:?}");
}

#[test]
fn a_surge_of_an_error_is_told_within_a_minute_and_once() {
    for seed in 1..=2 {
        let mut service = Service::new(seed);
        service.second = 10 * HOUR;
        service.pass(2 * HOUR);
        assert_eq!(service.told(), [], "seed {seed}");
        let begun = service.second;
        service.factors[9] = 10.0;
        service.pass(HOUR / 2);
        let news = service.told();
        let [(at, PatternNews::Rate { pattern, level, per_minute, usual_per_hour, .. })] = news.as_slice() else {
            panic!("seed {seed}: {news:?}");
        };
        assert!(at - begun <= 60, "seed {seed}: after {} s", at - begun);
        assert_eq!((pattern.as_str(), *level), ("payment <*> failed: card declined", Some(Level::Error)));
        assert!(*usual_per_hour < 480 && *per_minute > usual_per_hour / 20, "{news:?}");
        service.factors[9] = 1.0;
        service.pass(HOUR / 2);
        assert_eq!(service.told(), [], "its end is no news");
    }
}

#[test]
fn a_new_error_is_told_within_a_minute_and_once() {
    let mut service = Service::new(7);
    service.pass(HOUR / 4);
    assert_eq!(service.told(), []);
    let begun = service.second;
    for minute in 0..30 {
        service.say(Level::Error, &format!("no space left on device while writing segment {minute}"));
        service.pass(60);
    }
    let news = service.told();
    let [(at, PatternNews::New { pattern, level, example, count })] = news.as_slice() else { panic!("{news:?}") };
    assert!(at - begun <= 10 && *count == 1, "{news:?}");
    assert_eq!((pattern.as_str(), *level), ("no space left on device while writing segment <*>", Level::Error));
    assert_eq!(example, "no space left on device while writing segment 0");
}

#[test]
fn a_steady_pattern_that_falls_silent_is_told_once_and_a_service_that_was_stopped_is_not() {
    let mut service = Service::new(3);
    service.second = 10 * HOUR;
    service.pass(2 * HOUR);
    assert_eq!(service.told(), []);
    let begun = service.second;
    service.factors[0] = 0.0;
    service.factors[1] = 0.0;
    service.pass(HOUR / 2);
    let news = service.told();
    let [(at, PatternNews::Rate { pattern, per_minute, .. })] = news.as_slice() else { panic!("{news:?}") };
    assert!((60..=75).contains(&(at - begun)), "{}", at - begun);
    assert_eq!((pattern.as_str(), *per_minute), ("GET <*> <*> in <*> ms", 0));
    // Nor is anything missed of what slept with the machine.
    let mut asleep = Service::new(3);
    asleep.second = 10 * HOUR;
    asleep.pass(2 * HOUR);
    asleep.second += 300;
    let woken = Look { now_us: asleep.now_us(), runs: true, is_well: true };
    assert_eq!(asleep.patterns.look(woken), []);
    asleep.pass(60);
    assert_eq!(asleep.told(), []);
    // Nothing is missed of what does not run.
    let mut stopped = Service::new(3);
    stopped.pass(2 * HOUR);
    for second in 0..HOUR {
        let now_us = stopped.now_us() + second * SECOND_US;
        assert_eq!(stopped.patterns.look(Look { now_us, runs: false, is_well: false }), []);
    }
}

#[test]
fn a_surge_behind_a_silence_is_told_as_a_surge() {
    let mut service = Service::new(3);
    service.jobs = false;
    service.factors = [0.0; KINDS.len()];
    service.factors[2] = 1.0;
    service.second = 10 * HOUR;
    service.pass(2 * HOUR);
    assert_eq!(service.told(), []);
    service.factors[2] = 0.0;
    service.pass(12 * 60);
    service.factors[2] = 10.0;
    service.pass(3 * 60);
    let news = service.told();
    let [(_, PatternNews::Rate { per_minute: 0, .. }), (_, PatternNews::Rate { pattern, per_minute, .. })] =
        news.as_slice()
    else {
        panic!("{news:?}");
    };
    assert!(pattern == "session <*> begins" && *per_minute > 60, "{news:?}");
}

#[test]
fn each_surge_of_a_rare_error_is_told() {
    let mut service = Service::new(4);
    service.jobs = false;
    service.factors = [0.0; KINDS.len()];
    service.factors[13] = 10.0;
    service.pass(2 * HOUR);
    let mut told = Vec::new();
    for _ in 0..2 {
        for transaction in 0..30 {
            service.say(Level::Error, &format!("deadlock found, transaction {transaction} rolled back"));
        }
        service.pass(3 * HOUR);
        told.extend(service.told());
    }
    let [(first, PatternNews::Rate { pattern, .. }), (second, PatternNews::Rate { pattern: again, .. })] =
        told.as_slice()
    else {
        panic!("{told:?}");
    };
    assert!(pattern.starts_with("deadlock found") && again == pattern && second - first >= 3 * HOUR, "{told:?}");
}

#[test]
fn news_of_many_new_errors_at_once_are_few_and_say_how_many_more_there_were() {
    let mut service = Service::new(5);
    service.pass(HOUR / 4);
    for words in 2..22 {
        service.say(Level::Error, &vec!["broken"; words].join(" "));
    }
    service.pass(700);
    let news: Vec<PatternNews> = service.told().into_iter().map(|(_, news)| news).collect();
    assert_eq!(news.len(), 6, "{news:?}");
    assert_eq!(news[5], PatternNews::More { count: 15 });
}

#[test]
fn a_job_of_every_night_is_no_surge_the_second_time_it_comes() {
    let mut service = Service::new(9);
    service.jobs = false;
    // Only what is quick to make: two days are long.
    for (kind, factor) in service.factors.iter_mut().enumerate() {
        *factor = if kind < 6 { 0.02 } else { 1.0 };
    }
    let mut told = Vec::new();
    for night in 0..3 {
        service.pass(12 * HOUR);
        for order in 0..2000 {
            service.say(Level::Warn, &format!("order {order} is late by a day"));
        }
        service.pass(12 * HOUR);
        told.extend(service.told().into_iter().map(|(_, news)| (night, news)));
    }
    assert!(told.len() <= 1 && told.iter().all(|(night, _)| *night < 2), "{told:?}");
}
