use super::{Look, Patterns, Settings, State, counts::MINUTE_US};
use crate::model::{
    ids::RunId,
    level::Level,
    mark::SpecMark,
    pattern::{Pattern, PatternNews, ServicePatterns},
};

const RUN: RunId = RunId(7);
/// The beginning of an hour.
const HOUR_US: i64 = 60 * MINUTE_US;
const BEGIN_US: i64 = 488_952 * HOUR_US;

fn view(patterns: &mut Patterns, now_us: i64) -> ServicePatterns {
    patterns.view(&"shop/web".parse().unwrap(), now_us)
}

fn find<'a>(seen: &'a ServicePatterns, text: &str) -> &'a Pattern {
    seen.patterns.iter().find(|pattern| pattern.text == text).unwrap_or_else(|| panic!("{text}: {seen:?}"))
}

fn mark(made: u64) -> SpecMark {
    serde_json::from_value(serde_json::json!({"v": 1, "made": made, "asked": 1})).unwrap()
}

/// One past its learning time, with lines until `BEGIN_US`.
fn learnt() -> Patterns {
    let mut patterns = Patterns::new(Settings::default());
    for second in 0..600 {
        let us = BEGIN_US - (600 - second) * 1_000_000;
        patterns.take(&format!("job {second} done"), Some(Level::Info), us, RUN);
    }
    patterns
}

fn news_at(patterns: &mut Patterns, now_us: i64) -> Vec<PatternNews> {
    patterns.look(Look { now_us, runs: true, is_well: true })
}

fn kept(patterns: &mut Patterns) -> Patterns {
    let state = serde_json::to_string(&patterns.state()).unwrap();
    Patterns::restore(Settings::default(), &serde_json::from_str(&state).unwrap()).unwrap()
}

#[test]
fn a_pattern_has_its_count_its_times_its_level_and_how_often_it_comes() {
    let mut patterns = learnt();
    for line in 0..30 {
        patterns.take(&format!("disk {line} is slow"), Some(Level::Warn), BEGIN_US + line * 10_000_000, RUN);
    }
    let seen = view(&mut patterns, BEGIN_US + 5 * MINUTE_US);
    let disk = find(&seen, "disk <*> is slow");
    assert_eq!((disk.level, disk.count), (Some(Level::Warn), 30));
    assert_eq!((disk.first_us, disk.last_us), (BEGIN_US, BEGIN_US + 290_000_000));
    assert_eq!((disk.example.as_str(), disk.usual_per_minute), ("disk 0 is slow", None));
    assert_eq!((disk.trend.len(), &disk.trend[54..]), (60, &[6, 6, 6, 6, 6, 0][..]));
    assert!((disk.per_minute - 6.0).abs() < 0.1, "{disk:?}");
    assert_eq!((seen.lines, seen.since_us, seen.learning), (630, BEGIN_US - 600_000_000, false));
}

#[test]
fn the_head_of_lines_is_learnt_and_what_was_counted_before_stays() {
    let mut patterns = Patterns::new(Settings::default());
    let mut say = |line: i64| {
        let text = format!("2026-01-02 03:04:{:02} INFO  web: request {line} took {} ms", line % 60, line * 3);
        patterns.take(&text, Some(Level::Info), BEGIN_US + line * 1_000_000, RUN);
        view(&mut patterns, BEGIN_US + line * 1_000_000)
    };
    let before = (0..199).map(&mut say).last().unwrap();
    assert_eq!((before.patterns.len(), before.patterns[0].count), (1, 199));
    assert!(before.patterns[0].text.contains("INFO"), "{before:?}");
    let after = say(199);
    assert_eq!(after.patterns.len(), 1, "{after:?}");
    let pattern = find(&after, "request <*> took <*> ms");
    assert_eq!((pattern.count, pattern.first_us), (200, BEGIN_US));
}

#[test]
fn another_form_of_lines_is_learnt_anew_and_nothing_is_called_new_meanwhile() {
    let mut patterns = Patterns::new(Settings::default());
    let mut at = BEGIN_US;
    let mut news = Vec::new();
    for line in 0..2000 {
        at += 1_000_000;
        let text = if line < 1000 {
            format!("2026-01-02 03:04:{:02} ERROR [worker] item {line} is broken", line % 60)
        } else {
            format!("broken,{line} worker:{}", line % 9)
        };
        patterns.take(&text, Some(Level::Error), at, RUN);
        if line > 1200 {
            news.extend(news_at(&mut patterns, at));
        }
    }
    let seen = view(&mut patterns, at);
    assert_eq!(find(&seen, "item <*> is broken").count, 1000, "{seen:?}");
    // What changed was told at most once, before it was clear that everything has changed.
    assert!(news.len() <= 1, "{news:?}");
}

#[test]
fn templates_that_become_one_count_together() {
    let mut patterns = learnt();
    let names = ["alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "theta", "zeta", "iota"];
    for round in 0..40_i64 {
        for (place, name) in (0..).zip(names) {
            let text = format!("tenant {name} was billed for {round} items");
            patterns.take(&text, None, BEGIN_US + (round * 10 + place) * 1_000, RUN);
        }
    }
    let seen = view(&mut patterns, BEGIN_US + 1_000_000);
    let billed = find(&seen, "tenant <*> was billed for <*> items");
    assert_eq!((billed.count, billed.first_us, billed.last_us), (400, BEGIN_US, BEGIN_US + 399_000));
    assert_eq!(billed.trend[59], 400);
}

#[test]
fn what_came_with_a_restart_or_a_deployment_is_new_since_then() {
    let mut patterns = Patterns::new(Settings::default());
    patterns.run_begins(RUN, BEGIN_US, mark(1));
    patterns.take("one two", None, BEGIN_US, RUN);
    let first = view(&mut patterns, BEGIN_US);
    assert!(!find(&first, "one two").new_since.any(), "in its first run nothing is new: {first:?}");
    assert_eq!((first.marks.restart_us, first.marks.deployment_us), (None, None));
    // A restart of the same.
    let restart = BEGIN_US + MINUTE_US;
    patterns.run_begins(RunId(8), restart, mark(1));
    patterns.take("three four", None, restart, RunId(8));
    patterns.take("a line that was on its way", None, restart - 5, RUN);
    let seen = view(&mut patterns, restart);
    assert_eq!((seen.marks.restart_us, seen.marks.deployment_us), (Some(restart), None));
    let new = find(&seen, "three four").new_since;
    assert!(new.restart && !new.deployment && !find(&seen, "one two").new_since.any(), "{seen:?}");
    // Another spec, which the next engine starts.
    let mut patterns = kept(&mut patterns);
    let deployed = restart + MINUTE_US;
    patterns.run_begins(RunId(9), deployed, mark(2));
    patterns.take("five six", None, deployed, RunId(9));
    let seen = view(&mut patterns, deployed);
    assert_eq!(seen.marks.deployment_us, Some(deployed));
    assert!(find(&seen, "five six").new_since.deployment && !find(&seen, "three four").new_since.any(), "{seen:?}");
}

#[test]
fn what_did_not_come_in_the_last_healthy_hour_is_new_since_then() {
    let mut patterns = Patterns::new(Settings::default());
    patterns.take("old and gone", None, BEGIN_US - HOUR_US, RUN);
    let mut pass = |from: i64, until: i64, is_well: bool| {
        for minute in from..until {
            let now_us = BEGIN_US + minute * MINUTE_US;
            patterns.take("as ever", None, now_us, RUN);
            patterns.look(Look { now_us, runs: true, is_well });
        }
        view(&mut patterns, BEGIN_US + until * MINUTE_US)
    };
    assert_eq!(pass(0, 60, true).marks.healthy_hour_us, None, "it is not over");
    assert_eq!(pass(60, 61, true).marks.healthy_hour_us, Some(BEGIN_US + HOUR_US));
    // The next one is not well throughout, nor is it looked at all the time in the one after that.
    pass(61, 90, true);
    pass(90, 91, false);
    pass(91, 125, true);
    let seen = pass(130, 185, true);
    assert_eq!(seen.marks.healthy_hour_us, Some(BEGIN_US + HOUR_US));
    let at = BEGIN_US + 185 * MINUTE_US;
    patterns.take("of today", None, at, RUN);
    patterns.take("old and gone", None, at, RUN);
    let seen = view(&mut patterns, at);
    assert!(!find(&seen, "as ever").new_since.healthy_hour, "{seen:?}");
    assert!(find(&seen, "of today").new_since.healthy_hour && find(&seen, "old and gone").new_since.healthy_hour);
    assert_eq!(view(&mut patterns, at + 72 * HOUR_US).marks.healthy_hour_us, None, "too long ago to know");
}

#[test]
fn nothing_is_new_while_it_learns_and_a_service_that_is_known_learns_no_more() {
    let mut patterns = Patterns::new(Settings::default());
    let error = |patterns: &mut Patterns, text: &str, us: i64| patterns.take(text, Some(Level::Error), us, RUN);
    error(&mut patterns, "first of all", BEGIN_US);
    for line in 0..600 {
        patterns.take(&format!("line {line}"), None, BEGIN_US + 60_000_000, RUN);
    }
    error(&mut patterns, "within two minutes", BEGIN_US + 119_000_000);
    assert_eq!(news_at(&mut patterns, BEGIN_US + 125_000_000), []);
    let mut patterns = kept(&mut patterns);
    error(&mut patterns, "first of all", BEGIN_US + 130_000_000);
    error(&mut patterns, "and now another one", BEGIN_US + 130_000_000);
    assert_eq!(news_at(&mut patterns, BEGIN_US + 131_000_000), [], "it is waited for what comes with it");
    error(&mut patterns, "and now another one", BEGIN_US + 131_000_000);
    let news = news_at(&mut patterns, BEGIN_US + 132_000_000);
    let [PatternNews::New { pattern, count: 2, .. }] = news.as_slice() else { panic!("{news:?}") };
    assert_eq!(pattern, "and now another one");
    let mut patterns = kept(&mut patterns);
    error(&mut patterns, "and now another one", BEGIN_US + 140_000_000);
    assert_eq!(news_at(&mut patterns, BEGIN_US + 150_000_000), [], "the next engine knows it");
}

#[test]
fn what_is_known_goes_over_to_the_next_engine_as_it_was() {
    let mut patterns = learnt();
    patterns.run_begins(RunId(8), BEGIN_US, mark(3));
    patterns.take("disk 5 is slow", Some(Level::Warn), BEGIN_US, RunId(8));
    patterns.drop_lines(12);
    let mut again = kept(&mut patterns);
    assert_eq!(view(&mut again, BEGIN_US), view(&mut patterns, BEGIN_US));
    assert_eq!(again.state(), patterns.state());
    let mut other = serde_json::to_value(patterns.state()).unwrap();
    other["v"] = 99.into();
    let other: State = serde_json::from_value(other).unwrap();
    assert!(Patterns::restore(Settings::default(), &other).is_none(), "a form that is not known is not guessed at");
    // In the middle of the first sample.
    let mut young = Patterns::new(Settings::default());
    for line in 0..250 {
        if line == 100 {
            young = kept(&mut young);
        }
        young.take(&format!("2026-01-02 03:04:05 INFO request {line}"), None, BEGIN_US, RUN);
    }
    assert_eq!(find(&view(&mut young, BEGIN_US), "request <*>").count, 250);
}

#[test]
fn a_million_distinct_lines_stay_in_bounds_and_are_no_news() {
    // Without optimisation a few of them take long enough, and are far more than there is room for.
    let lines: i64 = if cfg!(debug_assertions) { 30_000 } else { 1_000_000 };
    let mut patterns = learnt();
    let mut random = fastrand::Rng::with_seed(1);
    let mut told = 0;
    for line in 0..lines {
        // Words of letters alone, so that nothing of it is a value.
        let words = 3 + random.usize(..9);
        let text: Vec<String> =
            (0..words).map(|_| (0..3 + random.usize(..8)).map(|_| random.lowercase()).collect()).collect();
        let us = BEGIN_US + line * 1_000;
        patterns.take(&text.join(" "), Some(Level::Error), us, RUN);
        if line % 1000 == 0 {
            told += news_at(&mut patterns, us).len();
        }
    }
    // A thousand seconds at most: what is told before it is clear that nothing can be said to be new.
    assert!(told <= 7, "{told}");
    let seen = view(&mut patterns, BEGIN_US + 1_000_000_000);
    assert!(seen.patterns.len() <= Settings::default().miner.templates + 1, "{}", seen.patterns.len());
    assert_eq!(seen.patterns.iter().map(|pattern| pattern.count).sum::<u64>(), 600 + lines.unsigned_abs());
    assert_eq!((seen.patterns[0].id, seen.patterns[0].new_since.any()), (0, false));
    let state = serde_json::to_vec(&patterns.state()).unwrap();
    assert!(state.len() < 2_000_000, "{} bytes before they are compressed", state.len());
}

#[test]
fn odd_lines_and_a_clock_that_jumps_do_no_harm() {
    let mut patterns = learnt();
    for (line, us) in [
        ("", BEGIN_US),
        (" \t ", BEGIN_US),
        ("\u{fffd}\u{0}", i64::MAX),
        ("é".repeat(5000).as_str(), i64::MIN),
        ("2026-01-02 03:04:05 ERROR", 0),
        ("x", BEGIN_US),
    ] {
        patterns.take(line, Some(Level::Error), us, RUN);
        for now_us in [us, 0, i64::MAX, i64::MIN, BEGIN_US] {
            news_at(&mut patterns, now_us);
            view(&mut patterns, now_us);
        }
    }
    let mut again = kept(&mut patterns);
    assert_eq!(again.lines(), 606);
    view(&mut again, BEGIN_US);
}
