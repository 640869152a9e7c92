//! Fixes of checks of one's own: when one is run, whether it has helped, and when it is not run again.
//!
//! Never: two fixes of one check at once; one while the autopilot is off; more than three an hour; a third after two that have not helped.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::model::{
    effect::Effect,
    exam::{Exam, Grade, Subject},
    hooks::{HookOutcome, HookResult},
    ids::{RunId, ServiceId},
    own::{Fix, FixRound, Fixed, Mending},
    phase::Phase,
    policy::{Autopilot, Origin},
    text::truncate,
    time::Timestamp,
    timeline::What,
};

use super::{Engine, exam::ExamState, timeline::About};

/// So many fixes of one check are begun in an hour at most.
const MOST: usize = 3;
const HOUR: Duration = Duration::from_hours(1);
/// So many in a row that have not helped are enough.
const ENOUGH: u32 = 2;
/// What a fix has done is looked at after so long.
const AFTER: Duration = Duration::from_secs(2);
/// One that the world has not answered for so long is not waited for any more.
const LOST: Duration = Duration::from_mins(15);
/// Columns of what it wrote that are kept.
const QUOTED: usize = 400;

/// The fixes of one check.
#[derive(Debug, Default)]
pub(super) struct Mends {
    /// For which run all this counts.
    run: Option<RunId>,
    round: u64,
    in_flight: Option<Timestamp>,
    /// When those of the last hour were begun.
    begun: VecDeque<Timestamp>,
    /// When the one ended that the next look judges.
    to_judge: Option<Timestamp>,
    /// In a row that have not helped.
    failures: u32,
}

impl Mends {
    /// Whether one may be begun now.
    fn may_begin(&mut self, now: Timestamp, mending: &Mending) -> bool {
        while self.begun.front().is_some_and(|begun| now.since(*begun) >= HOUR) {
            self.begun.pop_front();
        }
        self.in_flight.is_none_or(|begun| now.since(begun) >= LOST)
            && self.to_judge.is_none()
            && self.failures < ENOUGH
            && self.begun.len() < MOST
            && self.begun.back().is_none_or(|begun| now.since(*begun) >= mending.cooldown)
    }
}

/// Of an exam, how bad what its fix can mend is: as it counts, and as the last look saw it.
fn standing(state: &ExamState, fix: &Fix) -> (Grade, Grade, String) {
    let mut worst = (Grade::Good, Grade::Good, String::new());
    for (finding, seen) in state.found().filter(|(finding, _)| fix.mends(&finding.check)) {
        worst.1 = worst.1.max(seen);
        if finding.grade >= worst.0 {
            worst.0 = finding.grade;
            worst.2.clone_from(&finding.sentence);
        }
    }
    worst
}

/// Sending again what nobody is there to take would only count as one more failure.
fn is_in_vain(state: &ExamState, fix: &Fix) -> bool {
    *fix == Fix::Replay && state.found().any(|(finding, seen)| finding.check == "receiver" && seen == Grade::Critical)
}

const fn is_person(who: Origin) -> bool {
    match who {
        Origin::Key | Origin::Palette | Origin::Cli | Origin::Api => true,
        Origin::Config | Origin::Healer | Origin::System => false,
    }
}

impl Engine {
    /// A run begins: what was in flight beside the one before is over, and where a person began it, what has not helped may be tried again.
    pub(super) fn begin_mends(&mut self, id: &ServiceId) {
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(run) = service.run.as_ref().map(|run| run.id) else { return };
        let by_person = is_person(service.start.who);
        for mends in service.mends.values_mut().filter(|mends| mends.run != Some(run)) {
            mends.run = Some(run);
            // One whose run ended before it could be judged has not helped.
            let (was_in_flight, was_to_judge) = (mends.in_flight.take(), mends.to_judge.take());
            if was_in_flight.or(was_to_judge).is_some() {
                mends.failures += 1;
            }
            if by_person {
                mends.failures = 0;
            }
        }
    }

    /// After a look that was begun at `begun`: judges the fix before it, and begins one where that is wanted.
    pub(super) fn mend(&mut self, id: &ServiceId, exam: &Arc<Exam>, begun: Timestamp) {
        let Subject::Own(own) = &exam.subject else { return };
        let Some(mending) = &own.mending else { return };
        let now = self.now;
        let autopilot = self.autopilot;
        let Some(service) = self.services.get_mut(id) else { return };
        let (Phase::Running { run, .. }, Some(state)) = (&service.phase, service.exams.get(&exam.name)) else { return };
        let run = *run;
        let is_worked_on = service.maintenance.is_some();
        let (counts, seen, sentence) = standing(state, &mending.fix);
        let in_vain = is_in_vain(state, &mending.fix);
        let mends = service.mends.entry(exam.name.clone()).or_default();
        mends.run = Some(run);
        let remedy = format!("{}: {}", exam.name, mending.fix.words());
        let mut judged = None;
        if let Some(ended) = mends.to_judge.take_if(|ended| begun.has_reached(*ended)) {
            let worked = seen < mending.at;
            mends.failures = if worked { 0 } else { mends.failures + 1 };
            judged = Some((worked, now.since(ended), mends.failures >= ENOUGH));
        } else if seen < mending.at {
            mends.failures = 0;
        }
        let begins = counts >= mending.at
            && seen >= mending.at
            && !in_vain
            && autopilot == Autopilot::On
            && !is_worked_on
            && mends.may_begin(now, mending);
        let mut round = None;
        if begins {
            mends.round += 1;
            mends.in_flight = Some(now);
            mends.begun.push_back(now);
            round = Some(FixRound { run, exam: exam.name.clone(), round: mends.round, own: own.clone() });
        }
        if let Some((worked, after, is_enough)) = judged {
            let what = What::RemedyJudged { remedy: remedy.clone(), worked, after };
            self.record(About::Run(id, run), Origin::Healer, what, sentence.clone());
            if is_enough && !worked {
                let why = "it is not tried again until the check was good once, or a person restarts the service";
                self.record(About::Run(id, run), Origin::Healer, What::Escalated { tried: vec![remedy.clone()] }, why);
            }
        }
        if let Some(round) = round {
            self.effects.push(Effect::Fix(round));
            self.record(About::Run(id, run), Origin::Healer, What::Remedied { remedy }, sentence);
        }
    }

    /// What a fix came to: told, and looked at soon.
    pub(super) fn fixed(&mut self, fixed: Fixed) {
        let now = self.now;
        let Fixed { service: id, run, exam, round, result } = fixed;
        let Some(service) = self.services.get_mut(&id) else { return };
        let Some(mends) = service.mends.get_mut(&exam) else { return };
        if mends.run != Some(run) || mends.round != round || mends.in_flight.take().is_none() {
            return;
        }
        let HookResult { outcome, output, took: _ } = result;
        let error = match outcome {
            HookOutcome::Passed => None,
            HookOutcome::Failed(why) => Some(why),
            HookOutcome::CalledOff => return,
        };
        mends.to_judge = Some(now);
        let found =
            service.spec.nature.as_ref().and_then(|nature| nature.exams.iter().find(|known| known.name == exam));
        let words = found.and_then(|found| match &found.subject {
            Subject::Own(own) => own.mending.as_ref().map(|mending| mending.fix.words()),
            Subject::Server { .. } => None,
        });
        let is_idle = service.exams.get(&exam).is_some_and(|state| !state.is_in_flight());
        let what = What::RunEnded { command: format!("{exam}: {}", words.unwrap_or_default()), error };
        let why = truncate(&output.join(" · "), QUOTED).into_owned();
        self.record(About::Run(&id, run), Origin::Healer, what, why);
        if is_idle {
            self.arm_exam(&id, &exam, now.plus(AFTER));
        }
    }
}
