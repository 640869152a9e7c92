//! Deep looks: when one is due, what its figures mean, and what is told of them.
//!
//! A figure is judged by the rule of its name. What gets worse by a figure counts from the second look on, what a server says itself at once;
//! both are gone after two looks without them.
//!
//! Never: starts, stops or restarts anything because of a figure; two looks of one exam in flight.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::model::{
    effect::Effect,
    event::TimerKey,
    exam::{Checkup, Exam, ExamRound, Finding, Grade, Measure, Nature, Reading, Reads, Remark, Remedy, Rule, Trouble},
    figure::{amount, number},
    ids::{RunId, ServiceId},
    phase::Phase,
    policy::Origin,
    text::truncate,
    time::Timestamp,
    timeline::What,
};

use super::{Engine, state::Service, timeline::About};

/// The first look of a run comes within this, spread over its second half.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Values that are kept of each figure.
const KEPT: usize = 30;
/// So many values make a trend.
const TREND: usize = 4;
/// Looks in a row that see a figure beyond its threshold before that counts, and that see nothing before it is over.
const LOOKS: u32 = 2;
/// A sign in the output is shown for so long after it was last seen.
const SIGN_SHOWN: Duration = Duration::from_mins(10);
/// Of one sign there is an entry on the timeline at most once in this time.
const SIGN_TOLD: Duration = Duration::from_mins(10);
/// Columns of a line of output that are quoted.
const QUOTED: usize = 160;

/// What the looks of one exam in one run have seen.
#[derive(Debug, Default)]
pub(super) struct ExamState {
    round: u64,
    in_flight: bool,
    due: Option<Timestamp>,
    begun: Option<Timestamp>,
    at: Option<Timestamp>,
    server: Option<String>,
    failed: Option<String>,
    series: BTreeMap<&'static str, Series>,
    checks: BTreeMap<String, Check>,
}

/// The values of one figure.
#[derive(Debug, Default)]
struct Series {
    counter: Option<(Timestamp, f64)>,
    values: VecDeque<(Timestamp, f64)>,
}

/// One check of an exam, over several looks.
#[derive(Debug)]
struct Check {
    finding: Finding,
    /// The grade that the last looks saw, and how many of them.
    seen: (Grade, u32),
}

/// A sign that was seen in the output.
#[derive(Debug)]
pub(super) struct Seen {
    at: Timestamp,
    since: Timestamp,
    told: Option<Timestamp>,
    times: u64,
    line: String,
}

impl Series {
    /// Takes a figure in; what of it is judged, where that is known yet.
    fn take(&mut self, now: Timestamp, measure: &Measure, reads: Reads) -> Option<f64> {
        let value = match reads {
            Reads::Value => measure.value,
            Reads::Share => measure.value / measure.limit.filter(|limit| *limit > 0.0)?,
            Reads::Rate => {
                let (since, before) = self.counter.replace((now, measure.value))?;
                let seconds = now.since(since).as_secs_f64();
                // A counter that went back belongs to another process.
                if seconds <= 0.0 || measure.value < before {
                    return None;
                }
                (measure.value - before) / seconds
            }
        };
        if !value.is_finite() {
            return None;
        }
        self.values.push_back((now, value));
        if self.values.len() > KEPT {
            self.values.pop_front();
        }
        Some(value)
    }

    /// Least squares over what is kept, per minute.
    fn trend_per_minute(&self) -> Option<f64> {
        let (first, _) = *self.values.front()?;
        if self.values.len() < TREND {
            return None;
        }
        let points: Vec<(f64, f64)> =
            self.values.iter().map(|(at, value)| (at.since(first).as_secs_f64() / 60.0, *value)).collect();
        let count = points.len() as f64;
        let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let together: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        (spread > 0.0).then(|| together / spread)
    }
}

/// Whether of several figures of one name (a queue each, say) this is the one to be judged: the first of the worst.
fn is_worst(rule: &Rule, measure: &Measure, all: &[Measure]) -> bool {
    let weight = |measure: &Measure| {
        let value = match rule.reads {
            Reads::Share => measure.value / measure.limit.filter(|limit| *limit > 0.0).unwrap_or(f64::INFINITY),
            Reads::Value | Reads::Rate => measure.value,
        };
        if rule.below { -value } else { value }
    };
    let same = || all.iter().filter(|other| other.name == measure.name);
    let worst = same().map(weight).fold(f64::NEG_INFINITY, f64::max);
    same().find(|other| weight(other) >= worst).is_some_and(|first| std::ptr::eq(first, measure))
}

/// Where a value stands by its rule.
fn grade(rule: &Rule, value: f64) -> Grade {
    let is_past = |threshold: f64| if rule.below { value <= threshold } else { value >= threshold };
    if rule.critical.is_some_and(is_past) {
        Grade::Critical
    } else if rule.warn.is_some_and(is_past) {
        Grade::Warning
    } else {
        Grade::Good
    }
}

/// `92 of 100 (92 %)`, `1.2 GiB`, `3.5 a second`.
fn shown(rule: &Rule, measure: &Measure, value: f64) -> String {
    let amount = |value: f64| amount(rule.unit, value);
    match (rule.reads, measure.limit) {
        (Reads::Value, None) => amount(value),
        (Reads::Value, Some(limit)) => format!("{} of {}", amount(value), amount(limit)),
        (Reads::Share, limit) => {
            let limit = limit.map_or_else(String::new, |limit| format!(" of {}", amount(limit)));
            format!("{}{limit} ({} %)", amount(measure.value), number(value * 100.0))
        }
        (Reads::Rate, _) => format!("{} a second", amount(value)),
    }
}

impl Seen {
    /// When it was seen last.
    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }
}

impl ExamState {
    /// What counts, each with the grade that the last look saw.
    pub(super) fn found(&self) -> impl Iterator<Item = (&Finding, Grade)> {
        self.checks.values().map(|check| (&check.finding, check.seen.0))
    }

    /// Whether the world owes an answer.
    pub(super) const fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    /// The last values of a figure, oldest first; none where there are fewer.
    pub(super) fn tail(&self, name: &str, count: usize) -> Option<Vec<(Timestamp, f64)>> {
        let values = &self.series.get(name)?.values;
        let first = values.len().checked_sub(count)?;
        Some(values.iter().skip(first).copied().collect())
    }

    fn take(&mut self, now: Timestamp, exam: &Exam, reading: Reading) -> Vec<Finding> {
        self.at = Some(now);
        self.failed = None;
        self.server = reading.server.map(|server| truncate(&server, QUOTED).into_owned());
        let mut seen: Vec<(Finding, u32)> = Vec::new();
        for measure in &reading.measures {
            let Some(rule) = exam.rules.iter().find(|rule| rule.name == measure.name) else { continue };
            if !is_worst(rule, measure, &reading.measures) {
                continue;
            }
            let series = self.series.entry(measure.name).or_default();
            let Some(value) = series.take(now, measure, rule.reads) else { continue };
            let grade = grade(rule, value);
            let about = measure.about.as_ref().map_or_else(String::new, |about| format!("; {about}"));
            let finding = Finding {
                exam: exam.name.clone(),
                check: rule.name.clone(),
                grade,
                sentence: format!("{}: {}{about}", rule.title, shown(rule, measure, value)),
                advice: rule.advice.clone().filter(|_| grade >= Grade::Warning),
                value: Some(value),
                unit: rule.unit,
                reads: rule.reads,
                warn: rule.warn,
                critical: rule.critical,
                below: rule.below,
                trend_per_minute: series.trend_per_minute(),
                history: series.values.iter().map(|(_, value)| *value).collect(),
                since: now,
            };
            seen.push((finding, LOOKS));
        }
        for Remark { check, grade, sentence, advice } in reading.remarks {
            let finding = Finding { advice, ..Finding::seen(&exam.name, &check, grade, sentence, now) };
            seen.push((finding, 1));
        }
        self.settle(seen)
    }

    /// Puts what was seen over what was known; the findings whose grade counts as changed now.
    fn settle(&mut self, mut seen: Vec<(Finding, u32)>) -> Vec<Finding> {
        let mut news = Vec::new();
        let mut names = Vec::new();
        // The worst of several of one name comes first, and is the one that counts.
        seen.sort_by_key(|(finding, _)| std::cmp::Reverse(finding.grade));
        for (finding, looks) in seen {
            let key = finding.check.clone();
            // Several of one name are one check.
            if names.contains(&key) {
                continue;
            }
            names.push(key.clone());
            let is_new = !self.checks.contains_key(&key);
            let check = self.checks.entry(key).or_insert_with(|| Check {
                finding: Finding { grade: Grade::Good, ..finding.clone() },
                seen: (Grade::Good, 0),
            });
            check.seen =
                if check.seen.0 == finding.grade { (finding.grade, check.seen.1 + 1) } else { (finding.grade, 1) };
            let before = check.finding.grade;
            let needed = if finding.grade > before { looks } else { LOOKS };
            let counts = finding.grade == before || check.seen.1 >= needed || (is_new && looks == 1);
            let (grade, since) = if !counts || finding.grade == before {
                (before, check.finding.since)
            } else {
                (finding.grade, finding.since)
            };
            let advice = finding.advice.clone().filter(|_| grade >= Grade::Warning);
            check.finding = Finding { grade, advice, since, ..finding };
            if grade != before && grade.max(before) >= Grade::Warning {
                news.push(check.finding.clone());
            }
        }
        // What is not said any more is over after as many looks.
        self.checks.retain(|name, check| {
            if names.contains(name) {
                return true;
            }
            check.seen = if check.seen.0 == Grade::Good { (Grade::Good, check.seen.1 + 1) } else { (Grade::Good, 1) };
            if check.seen.1 < LOOKS {
                return true;
            }
            if check.finding.grade >= Grade::Warning {
                news.push(Finding { grade: Grade::Good, ..check.finding.clone() });
            }
            false
        });
        news
    }
}

impl Service {
    /// What was found of it is not as it was drawn last.
    pub(super) fn look_changed(&mut self) {
        self.drawn = None;
        self.view = None;
    }

    /// What deep looks have found of its present run; none where it is of no known kind and none was made.
    pub(super) fn checkup(&self, now: Timestamp) -> Option<Checkup> {
        let plain;
        let nature: &Nature = match &self.spec.nature {
            Some(nature) => nature,
            None if self.doubts.is_empty() => return None,
            None => {
                plain = Nature { kind: "process".to_owned(), title: "process".to_owned(), ..Nature::default() };
                &plain
            }
        };
        let mut findings: Vec<Finding> =
            self.exams.values().flat_map(|state| state.checks.values().map(|check| check.finding.clone())).collect();
        for sign in &nature.signs {
            let Some(seen) = self.signs.get(&sign.pattern).filter(|seen| now.since(seen.at) < SIGN_SHOWN) else {
                continue;
            };
            let times = if seen.times > 1 { format!(", {} times", seen.times) } else { String::new() };
            let sentence = format!("{}{times}: {}", sign.says, seen.line);
            findings.push(Finding {
                advice: sign.advice.clone(),
                ..Finding::seen("output", "output", sign.grade, sentence, seen.since)
            });
        }
        let since = self.run.as_ref().map_or(now, |run| run.since);
        findings.extend(self.doubts.iter().cloned());
        findings.extend(nature.doubts.iter().map(|remark| Finding {
            advice: remark.advice.clone(),
            ..Finding::seen("probes", &remark.check, remark.grade, remark.sentence.clone(), since)
        }));
        findings.sort_by(|a, b| b.grade.cmp(&a.grade).then_with(|| a.check.cmp(&b.check)));
        let failed = self.exams.iter().filter_map(|(name, state)| Some((name.clone(), state.failed.clone()?)));
        Some(Checkup {
            kind: nature.kind.clone(),
            title: nature.title.clone(),
            how: nature.how.clone(),
            server: self.exams.values().find_map(|state| state.server.clone()),
            at: self.exams.values().filter_map(|state| state.at).max_by_key(|at| at.mono_us),
            failed: failed.collect(),
            findings,
            remedies: nature.remedies.iter().map(Remedy::words).collect(),
        })
    }
}

impl Engine {
    /// The exams of a run that now has a process, or of a spec that is new.
    pub(super) fn begin_exams(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        if !matches!(service.phase, Phase::Running { .. }) {
            return;
        }
        self.begin_mends(id);
        let Some(service) = self.services.get_mut(id) else { return };
        service.look_changed();
        let Some(nature) = service.spec.nature.clone() else { return service.exams.clear() };
        service.exams.retain(|name, _| nature.exams.iter().any(|exam| exam.name == *name));
        for exam in &nature.exams {
            let most = u64::try_from(exam.interval.min(FIRST_LOOK).as_micros()).unwrap_or(u64::MAX);
            let wait = Duration::from_micros(self.rng.u64(most / 2..=most));
            self.arm_exam(id, &exam.name, self.now.plus(wait));
        }
    }

    pub(super) fn arm_exam(&mut self, id: &ServiceId, name: &str, at: Timestamp) {
        let Some(service) = self.services.get_mut(id) else { return };
        service.exams.entry(name.to_owned()).or_default().due = Some(at);
        self.arm(id, at, TimerKey::ExamDue(id.clone(), name.to_owned()));
    }

    /// A look is due, or overdue.
    pub(super) fn exam_due(&mut self, id: &ServiceId, name: &str) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let Phase::Running { run, .. } = service.phase else { return };
        let exam: Option<Arc<Exam>> =
            service.spec.nature.as_ref().and_then(|nature| nature.exams.iter().find(|exam| exam.name == name)).cloned();
        let Some(exam) = exam else { return drop(service.exams.remove(name)) };
        let Some(state) = service.exams.get_mut(name) else { return };
        if state.due.is_none_or(|due| !now.has_reached(due)) {
            return;
        }
        if service.run.as_ref().is_some_and(super::state::Run::is_spared) {
            return self.arm_exam(id, name, now.plus(exam.interval));
        }
        if state.in_flight {
            // The world owes an answer: what it was asked for is not waited for any more.
            state.failed = Some("the look was never answered".to_owned());
            service.drawn = None;
            service.view = None;
        }
        state.round += 1;
        state.in_flight = true;
        state.begun = Some(now);
        let round = ExamRound { run, round: state.round, exam: exam.clone() };
        self.effects.push(Effect::Examine(round));
        self.arm_exam(id, name, now.plus(exam.interval.max(exam.timeout.saturating_mul(2))));
    }

    /// What a look brought.
    pub(super) fn examined(&mut self, run: RunId, name: &str, round: u64, result: Result<Reading, Trouble>) {
        let now = self.now;
        let Some(id) = self.runs.get(&run).cloned() else { return };
        let Some(service) = self.services.get_mut(&id) else { return };
        if !matches!(service.phase, Phase::Running { .. }) {
            return;
        }
        let exam = service.spec.nature.as_ref().and_then(|nature| nature.exams.iter().find(|exam| exam.name == name));
        let Some(exam) = exam.cloned() else { return };
        let Some(state) = service.exams.get_mut(name).filter(|state| state.in_flight && state.round == round) else {
            return;
        };
        state.in_flight = false;
        let begun = state.begun.unwrap_or(now);
        let next = begun.plus(exam.interval);
        let is_read = result.is_ok();
        let news = match result {
            Ok(reading) => state.take(now, &exam, reading),
            Err(trouble) => {
                state.at = Some(now);
                state.failed = Some(trouble.to_string());
                Vec::new()
            }
        };
        service.look_changed();
        self.changed = true;
        if !news.is_empty() {
            self.mark(&id);
        }
        for finding in news {
            let why = finding.advice.clone().unwrap_or_default();
            let Finding { check, grade, sentence, .. } = finding;
            if grade == Grade::Notice {
                continue;
            }
            self.record(About::Run(&id, run), Origin::System, What::Found { check, grade, sentence }, why);
        }
        let next = if next.mono_us > now.mono_us { next } else { now.plus(Duration::from_millis(100)) };
        self.arm_exam(&id, name, next);
        if is_read {
            self.mend(&id, &exam, begun);
        }
        self.watch_honesty(&id);
    }

    /// A line of output is a known sign.
    pub(super) fn sign_seen(&mut self, id: &ServiceId, pattern: &str, line: &str) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(nature) = service.spec.nature.clone() else { return };
        let Some(sign) = nature.signs.iter().find(|sign| sign.pattern == pattern) else { return };
        let line = truncate(line, QUOTED).into_owned();
        let seen = service.signs.entry(pattern.to_owned()).or_insert_with(|| Seen {
            at: now,
            since: now,
            told: None,
            times: 0,
            line: String::new(),
        });
        if now.since(seen.at) >= SIGN_SHOWN {
            (seen.since, seen.times) = (now, 0);
        }
        (seen.at, seen.line) = (now, line);
        seen.times += 1;
        let tells = sign.grade >= Grade::Warning && seen.told.is_none_or(|told| now.since(told) >= SIGN_TOLD);
        if tells {
            seen.told = Some(now);
        }
        let sentence = format!("{}: {}", sign.says, seen.line);
        service.look_changed();
        self.changed = true;
        if tells {
            let what = What::Found { check: "output".to_owned(), grade: sign.grade, sentence };
            let about = self.services.get(id).and_then(|service| service.run.as_ref()).map(|run| run.id);
            let about = about.map_or(About::Service(id), |run| About::Run(id, run));
            self.record(about, Origin::System, what, sign.advice.clone().unwrap_or_default());
        }
        self.watch_honesty(id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ExamState, grade, shown};
    use crate::model::{
        exam::{Exam, Grade, Measure, Protocol, Reading, Reads, Rule, Subject, Target, Unit},
        time::Timestamp,
    };

    fn rule(reads: Reads, unit: Unit, warn: f64, critical: f64) -> Rule {
        Rule {
            name: "figure".to_owned(),
            title: "figure".to_owned(),
            unit,
            reads,
            warn: Some(warn),
            critical: Some(critical),
            below: false,
            advice: Some("do".to_owned()),
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp { mono_us: seconds * 1_000_000, wall_us: 0 }
    }

    fn exam(rule: Rule) -> Exam {
        Exam {
            name: "redis".to_owned(),
            subject: Subject::Server { protocol: Protocol::Redis, target: Target::default() },
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            rules: vec![rule],
        }
    }

    fn read(measure: Measure) -> Reading {
        Reading { measures: vec![measure], ..Reading::default() }
    }

    #[test]
    fn a_share_is_judged_and_told_with_what_it_is_a_share_of() {
        let share = rule(Reads::Share, Unit::Bytes, 0.8, 0.95);
        let measure = Measure::new("figure", 900.0 * 1024.0).of(1000.0 * 1024.0);
        assert_eq!(grade(&share, 0.9), Grade::Warning);
        assert_eq!(shown(&share, &measure, 0.9), "900 KiB of 1000 KiB (90 %)");
        let little = Rule { below: true, ..rule(Reads::Value, Unit::Count, 5.0, 1.0) };
        assert_eq!(
            [10.0, 5.0, 1.0, 0.0].map(|value| grade(&little, value)),
            [Grade::Good, Grade::Warning, Grade::Critical, Grade::Critical]
        );
    }

    #[test]
    fn what_gets_worse_counts_from_the_second_look_and_is_over_after_two_good_ones() {
        let exam = exam(rule(Reads::Value, Unit::Count, 10.0, 20.0));
        let mut state = ExamState::default();
        let mut told = Vec::new();
        for (second, value) in [(0, 1.0), (15, 12.0), (30, 12.0), (45, 3.0), (60, 12.0), (75, 2.0), (90, 2.0)] {
            let news = state.take(at(second), &exam, read(Measure::new("figure", value)));
            told.extend(news.into_iter().map(|finding| (second, finding.grade)));
        }
        assert_eq!(told, [(30, Grade::Warning), (90, Grade::Good)]);
    }

    #[test]
    fn a_counter_is_a_rate_from_the_second_look_on_and_begins_anew_where_it_went_back() {
        let exam = exam(rule(Reads::Rate, Unit::Count, 5.0, 50.0));
        let mut state = ExamState::default();
        let mut values = Vec::new();
        for (second, counter) in [(0, 100.0), (10, 200.0), (20, 50.0), (30, 60.0)] {
            let _news = state.take(at(second), &exam, read(Measure::new("figure", counter)));
            values.push(state.checks.get("figure").and_then(|check| check.finding.value));
        }
        assert_eq!(values, [None, Some(10.0), Some(10.0), Some(1.0)]);
    }

    #[test]
    fn a_figure_and_a_remark_of_one_name_are_one_check_with_the_worse_of_both() {
        let exam = exam(rule(Reads::Value, Unit::Count, 10.0, 20.0));
        let mut state = ExamState::default();
        for second in [0, 15, 30, 45] {
            let mut reading = read(Measure::new("figure", 1.0));
            reading.remark("figure", Grade::Notice, "it is short", None);
            let news = state.take(at(second), &exam, reading);
            assert!(news.is_empty(), "{news:?}");
        }
        assert_eq!(state.checks["figure"].finding.sentence, "it is short");
    }

    #[test]
    fn a_trend_is_told_per_minute() {
        let exam = exam(rule(Reads::Value, Unit::Count, 1e9, 1e10));
        let mut state = ExamState::default();
        for second in 0..10 {
            let _news = state.take(at(second * 30), &exam, read(Measure::new("figure", second as f64)));
        }
        let trend = state.checks["figure"].finding.trend_per_minute.unwrap();
        assert!((trend - 2.0).abs() < 1e-9, "{trend}");
    }
}
