//! What is known of a service's patterns, for readers.

use super::{
    Patterns,
    counts::{Counts, HOUR_US, MINUTE_US, When, sane},
    news::rounded,
    rate::{LEAST_MINUTES, RECENT, Usual},
};
use crate::{
    insight::templates::TemplateId,
    model::{
        ids::ServiceId,
        pattern::{Marks, NewSince, Pattern, ServicePatterns, TREND_MINUTES},
    },
};

/// Hours before the present one of which it is known what came.
const KNOWN_HOURS: i64 = 47;

/// What the pattern of those that there was no room for says.
const REST: &str = "(others, which there was no room for)";

impl Patterns {
    /// The patterns as they are at `now_us`, microseconds since the Unix epoch.
    pub fn view(&mut self, service: &ServiceId, now_us: i64) -> ServicePatterns {
        self.settle();
        let now = When::of(sane(now_us));
        let marks = self.marks(now);
        let mut patterns: Vec<Pattern> =
            self.counts.iter().map(|(id, counts)| self.pattern(*id, counts, now, marks)).collect();
        patterns.sort_unstable_by_key(|pattern| pattern.id);
        ServicePatterns {
            service: service.clone(),
            at_us: now_us,
            since_us: self.since_us,
            lines: self.lines,
            dropped: self.dropped,
            learning: self.is_learning(),
            marks,
            patterns,
        }
    }

    fn marks(&self, now: When) -> Marks {
        // Of an hour that is longer ago it is not known what came in it.
        let known = self.healthy_hour.filter(|hour| (0..KNOWN_HOURS).contains(&now.hour.saturating_sub(*hour)));
        Marks {
            restart_us: self.restart_us,
            deployment_us: self.deployment_us,
            healthy_hour_us: known.map(|hour| (hour + 1) * HOUR_US),
        }
    }

    fn pattern(&self, id: TemplateId, counts: &Counts, now: When, marks: Marks) -> Pattern {
        let usual = Usual::of(counts, &self.observed, now);
        let template = self.miner.template(id);
        let (text, example) = if id == TemplateId::REST {
            (REST.to_owned(), String::new())
        } else {
            (template.text(), template.example().to_owned())
        };
        Pattern {
            id: id.number(),
            text,
            level: counts.level(),
            count: counts.count,
            first_us: counts.first_us,
            last_us: counts.last_us,
            per_minute: rounded(self.per_minute(counts, now)),
            usual_per_minute: (usual.minutes >= LEAST_MINUTES).then_some(rounded(usual.mean)),
            trend: trend(counts, now),
            example,
            new_since: if id == TemplateId::REST { NewSince::default() } else { new_since(counts, marks) },
        }
    }

    /// Over the last five minutes, or as long as lines have been coming where that is shorter, and at least one.
    fn per_minute(&self, counts: &Counts, now: When) -> f64 {
        let lines = counts.minutes.sum(now.minute - (RECENT - 1), now.minute) as f64;
        let into_minute = (now.us - now.minute * MINUTE_US) as f64 / MINUTE_US as f64;
        let looked = (RECENT - 1) as f64 + into_minute;
        let known = now.us.saturating_sub(self.since_us) as f64 / MINUTE_US as f64;
        lines / looked.min(known.max(1.0))
    }
}

/// The last minutes, the present one last.
fn trend(counts: &Counts, now: When) -> Vec<u32> {
    let mut newest_first: Vec<u32> =
        (0..).take(TREND_MINUTES).map(|back| counts.minutes.get(now.minute - back)).collect();
    newest_first.reverse();
    newest_first
}

fn new_since(counts: &Counts, marks: Marks) -> NewSince {
    let is_after = |mark: Option<i64>| mark.is_some_and(|mark| counts.first_us >= mark);
    NewSince {
        restart: is_after(marks.restart_us),
        deployment: is_after(marks.deployment_us),
        healthy_hour: marks
            .healthy_hour_us
            .is_some_and(|end| counts.last_us >= end && counts.hours.get(end.div_euclid(HOUR_US) - 1) == 0),
    }
}
