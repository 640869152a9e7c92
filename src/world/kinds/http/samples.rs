//! Several requests one after the other: how long they take, and whether they all end alike. Never: longer than [`LONGEST`] in all.

use std::{collections::BTreeMap, time::Duration};

use super::door::{Answer, Door, LONGEST};
use crate::{
    model::exam::{Grade, Measure, Reading},
    world::clock,
};

/// What came of them.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// Of answers that are no failures.
    times: Vec<Duration>,
    /// How many answers of each status; requests without an answer by their reason.
    endings: BTreeMap<String, usize>,
    failed: usize,
}

impl Samples {
    /// Asks until there are `count` answers, `first` among them, or time is up.
    pub(super) async fn take(door: &Door<'_>, path: &str, first: &Answer, count: usize) -> Self {
        let mut samples = Self::default();
        samples.add(first);
        let end = clock::now().plus(LONGEST);
        while samples.times.len() + samples.failed < count {
            let left = end.since(clock::now());
            if left.is_zero() {
                break;
            }
            match tokio::time::timeout(left, door.ask(path)).await {
                Ok(Ok(answer)) => samples.add(&answer),
                Ok(Err(trouble)) => {
                    *samples.endings.entry(trouble.to_string()).or_default() += 1;
                    samples.failed += 1;
                }
                // Time is up: how long it would have taken is not known.
                Err(_) => break,
            }
        }
        samples
    }

    fn add(&mut self, answer: &Answer) {
        *self.endings.entry(answer.status.as_str().to_owned()).or_default() += 1;
        if answer.status.is_server_error() {
            self.failed += 1;
        } else {
            self.times.push(answer.took);
        }
    }

    /// Adds the figures to a reading.
    pub(super) fn report(mut self, reading: &mut Reading) {
        self.times.sort_unstable();
        let asked = self.times.len() + self.failed;
        for (name, quantile) in [("latency", 0.95), ("latency-median", 0.5), ("latency-max", 1.0)] {
            if let Some(time) = nearest_rank(&self.times, quantile) {
                let about = format!("of {asked} requests");
                reading.measure(Measure::new(name, time.as_secs_f64()).about(about));
            }
        }
        reading.measure(Measure::new("failures", self.failed as f64).of(asked as f64));
        if self.endings.len() > 1 {
            let mix: Vec<_> = self.endings.iter().map(|(ending, count)| format!("{count} × {ending}")).collect();
            let grade = if self.failed > 0 { Grade::Warning } else { Grade::Notice };
            let sentence = format!("the same request ends differently: {}", super::clause(&mix.join(", ")));
            reading.remark(
                "status",
                grade,
                sentence,
                Some("one of several servers behind it, or what it asks itself, fails now and then"),
            );
        }
    }
}

/// The value below which lies a share of all, by the nearest rank (<https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method>); `sorted` ascends.
fn nearest_rank(sorted: &[Duration], quantile: f64) -> Option<Duration> {
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::nearest_rank;
    use std::time::Duration;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let times: Vec<_> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!(nearest_rank(&times, 0.5), Some(Duration::from_millis(10)));
        assert_eq!(nearest_rank(&times, 0.95), Some(Duration::from_millis(19)));
        assert_eq!(nearest_rank(&times, 1.0), Some(Duration::from_millis(20)));
        assert_eq!(nearest_rank(&times[..1], 0.5), Some(Duration::from_millis(1)));
        assert_eq!(nearest_rank(&[], 0.5), None);
    }
}
