//! Checks that are caught at saying "well" where other things say the opposite.
//!
//! Never: restarts anything, or turns an answer round: what is seen here is told, and a person decides what to ask instead.

use std::time::Duration;

use crate::model::{
    exam::{Finding, Grade, Subject},
    ids::{RunId, ServiceId},
    own::figures,
    phase::Phase,
    policy::Origin,
    probe::{Check, ProbeKind, ProbeOutcome},
    time::{Timestamp, short_duration},
    timeline::What,
};

use super::{
    Engine, graph,
    state::{ProbeState, Service},
    timeline::About,
};

/// Rounds of a probe that are looked at together.
pub(super) const ROUNDS: usize = 5;
/// So many looks of a queue make four steps.
const LOOKS: usize = 5;
/// A sign in the output speaks against a probe that passes for so long.
const LATELY: Duration = Duration::from_mins(2);
/// The oldest job ages this fast, in seconds a second, where nothing is taken out.
const AGES: f64 = 0.9;
/// The exam's name of all this.
const EXAM: &str = "probes";

/// What is doubtful: which check, a sentence, and what to do.
struct Doubt {
    check: String,
    sentence: String,
    advice: &'static str,
}

impl ProbeState {
    /// Takes in how long a round took.
    pub(super) fn clock(&mut self, took: Duration) {
        if self.rounds.len() == ROUNDS {
            self.rounds.pop_front();
        }
        self.rounds.push_back(took);
    }

    fn is_slow(&self, kind: ProbeKind) -> Option<Doubt> {
        let (interval, timeout) = (self.probe.interval, self.probe.timeout);
        let label = kind.label();
        let advice = "write a longer interval, a timeout that is shorter than it, or ask something cheaper";
        if timeout >= interval && self.rounds.back().is_some_and(|took| *took >= timeout) {
            let sentence = format!(
                "the {label} probe used up its timeout of {}, and its next round was due after {} already",
                short_duration(timeout),
                short_duration(interval)
            );
            return Some(Doubt { check: format!("{label}-slow"), sentence, advice });
        }
        if self.rounds.len() < ROUNDS {
            return None;
        }
        let mut sorted: Vec<Duration> = self.rounds.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted[ROUNDS / 2];
        (median >= interval).then(|| Doubt {
            check: format!("{label}-slow"),
            sentence: format!(
                "the {label} probe takes {} (median of its last {ROUNDS} rounds), its interval is {}: it is always late",
                short_duration(median),
                short_duration(interval)
            ),
            advice,
        })
    }
}

impl Service {
    /// The probe that says now that it is well.
    fn passing(&self) -> Option<ProbeKind> {
        let run = self.run.as_ref()?;
        // What asks in the server's own protocol is no check of anybody's that could be written better.
        let is_own = |check: &Check| matches!(check, Check::Server { .. } | Check::Container);
        let passes = |kind: &ProbeKind| {
            run.probes.get(kind).is_some_and(|state| {
                !state.watches_log() && !is_own(&state.probe.check) && state.last == Some(ProbeOutcome::Passed)
            })
        };
        [ProbeKind::Readiness, ProbeKind::Liveness].into_iter().find(passes)
    }

    /// That a queue of it only grows, in words.
    fn stalled_queue(&self) -> Option<String> {
        self.exams.values().find_map(|state| {
            let grows = |values: &[(Timestamp, f64)]| values.windows(2).all(|two| two[1].1 > two[0].1);
            if let Some(depths) = state.tail(figures::DEPTH, LOOKS)
                && grows(&depths)
                && state.tail("consumers", 1).is_some_and(|consumers| consumers[0].1 == 0.0)
            {
                let (first, last) = (depths[0].1, depths[LOOKS - 1].1);
                return Some(format!(
                    "the queue grew from {first:.0} to {last:.0} in {LOOKS} looks and has no consumer"
                ));
            }
            let ages = state.tail(figures::OLDEST, LOOKS)?;
            let ages_with_time = ages.windows(2).all(|two| {
                let passed = two[1].0.since(two[0].0).as_secs_f64();
                passed > 0.0 && two[1].1 - two[0].1 >= passed * AGES
            });
            ages_with_time.then(|| {
                let age = Duration::try_from_secs_f64(ages[LOOKS - 1].1.max(0.0)).unwrap_or_default();
                format!(
                    "the oldest job waits since {} and grows older as time passes: nothing is taken out",
                    short_duration(age)
                )
            })
        })
    }

    fn doubts_about_probes(&self, now: Timestamp) -> Vec<Doubt> {
        let Some(run) = self.run.as_ref() else { return Vec::new() };
        let mut doubts: Vec<Doubt> = run.probes.iter().filter_map(|(kind, state)| state.is_slow(*kind)).collect();
        let (Some(nature), Some(kind)) = (&self.spec.nature, self.passing()) else { return doubts };
        let label = kind.label();
        let sign = nature
            .signs
            .iter()
            .filter(|sign| sign.grade == Grade::Critical)
            .find(|sign| self.signs.get(&sign.pattern).is_some_and(|seen| now.since(seen.at()) < LATELY));
        if let Some(sign) = sign {
            doubts.push(Doubt {
                check: format!("{label}-contradicted"),
                sentence: format!("the {label} probe passes while the output says: {}", sign.says),
                advice: "ask for what the service is there for, not only whether it answers",
            });
        }
        let critical =
            nature.exams.iter().filter(|exam| matches!(exam.subject, Subject::Server { .. })).find_map(|exam| {
                let mut found = self.exams.get(&exam.name)?.found();
                found.find(|(finding, seen)| finding.grade == Grade::Critical && *seen == Grade::Critical)
            });
        if let Some((finding, _)) = critical {
            doubts.push(Doubt {
                check: format!("{label}-overlooks"),
                sentence: format!("the {label} probe passes while a deep look finds: {}", finding.sentence),
                advice: "ask for what the service is there for, not only whether it answers",
            });
        }
        if let Some(stalled) = self.stalled_queue() {
            doubts.push(Doubt {
                check: "queue-stalled".to_owned(),
                sentence: format!("the {label} probe passes, and {stalled}"),
                advice: "look at the workers of this queue: whether they run, and whether they are connected to it",
            });
        }
        doubts
    }

    /// Whether it takes work out of queues.
    fn is_worker(&self) -> bool {
        self.spec.nature.as_ref().is_some_and(|nature| {
            ["worker", "celery", "sidekiq", "rq", "resque", "bullmq"].contains(&nature.kind.as_str())
        })
    }
}

impl Engine {
    /// Forms anew what is doubtful about the probes of a service, and of the workers that depend on it.
    pub(super) fn watch_honesty(&mut self, id: &ServiceId) {
        self.watch_one(id);
        let Some(service) = self.services.get(id) else { return };
        if service.exams.is_empty() {
            return;
        }
        let dependents: Vec<ServiceId> = service
            .dependents
            .iter()
            .map(|name| graph::sibling(id, name))
            .filter(|dependent| self.services.get(dependent).is_some_and(Service::is_worker))
            .collect();
        for dependent in dependents {
            self.watch_one(&dependent);
        }
    }

    fn watch_one(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get(id) else { return };
        let Phase::Running { run, .. } = service.phase else { return };
        let mut doubts = service.doubts_about_probes(now);
        doubts.extend(self.dead_worker(id, service));
        if doubts.is_empty() && service.doubts.is_empty() {
            return;
        }
        let Some(service) = self.services.get_mut(id) else { return };
        let before = std::mem::take(&mut service.doubts);
        let mut news = Vec::new();
        for Doubt { check, sentence, advice } in doubts {
            let known = before.iter().find(|finding| finding.check == check);
            let since = known.map_or(now, |known| known.since);
            let finding = Finding {
                advice: Some(advice.to_owned()),
                ..Finding::seen(EXAM, &check, Grade::Warning, sentence, since)
            };
            if known.is_none() {
                news.push(finding.clone());
            }
            service.doubts.push(finding);
        }
        let over = before.iter().filter(|old| service.doubts.iter().all(|finding| finding.check != old.check));
        news.extend(over.map(|old| Finding { grade: Grade::Good, ..old.clone() }));
        if service.doubts != before {
            service.look_changed();
            self.changed = true;
        }
        self.tell_doubts(id, run, news);
    }

    fn tell_doubts(&mut self, id: &ServiceId, run: RunId, news: Vec<Finding>) {
        for Finding { check, grade, sentence, advice, .. } in news {
            let why = advice.filter(|_| grade > Grade::Good).unwrap_or_default();
            self.record(About::Run(id, run), Origin::System, What::Found { check, grade, sentence }, why);
        }
    }

    /// A worker whose probe passes while the queue that it depends on only grows.
    fn dead_worker(&self, id: &ServiceId, service: &Service) -> Option<Doubt> {
        if !service.is_worker() {
            return None;
        }
        let label = service.passing()?.label();
        service.spec.depends_on.keys().find_map(|name| {
            let stalled = self.services.get(&graph::sibling(id, name))?.stalled_queue()?;
            Some(Doubt {
                check: "worker-idle".to_owned(),
                sentence: format!("the {label} probe passes, and of {name} {stalled}"),
                advice: "its process is there and works nothing off: restart it, and ask for its heartbeat instead of its process",
            })
        })
    }
}
