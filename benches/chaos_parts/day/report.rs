//! The day in figures.

use std::collections::BTreeMap;

use crate::{Count, Must, count};

use super::inject::Outcome;

/// Faults of a whole day.
pub(crate) const A_DAY: f64 = 200.0;
const SECONDS: f64 = 86_400.0;

/// What a service went through.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Life {
    /// Seconds from the command to the first good answer, median of clean starts.
    pub(crate) start_up: f64,
    pub(crate) faults: usize,
    /// Seconds without good answers.
    pub(crate) down: f64,
    /// Seconds of them that an ideal healer would need, too.
    pub(crate) ideal: f64,
    pub(crate) false_restarts: usize,
}

impl Life {
    /// Uptime in `time` seconds as a share of what an ideal healer would give, percent.
    fn share(&self, time: f64) -> f64 {
        let ideal = self.ideal.min(self.down);
        (time - self.down) / (time - ideal).max(f64::MIN_POSITIVE) * 100.0
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Day {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) lives: BTreeMap<&'static str, Life>,
    /// Seconds that it took.
    pub(crate) lasted: f64,
    /// Starts of a faulted service beyond those that its fault needed.
    pub(crate) more_starts: usize,
    pub(crate) skipped: Vec<String>,
}

/// The value at a quantile; 0 of none.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len().saturating_sub(1) as f64 * q).ceil() as usize;
    values.get(place).copied().unwrap_or(0.0)
}

impl Day {
    fn tables(&self) {
        println!("  {:<32} {:>6} {:>7} {:>8} {:>8} {:>8}", "fault", "count", "healed", "p50 s", "p95 s", "worst s");
        let mut kinds: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
        for outcome in &self.outcomes {
            kinds.entry(&outcome.fault).or_default().push(outcome);
        }
        for (kind, all) in kinds {
            let healed = all.iter().filter(|outcome| outcome.wrong.is_none()).count();
            let mut took: Vec<f64> = all.iter().filter(|o| o.was_down).map(|outcome| outcome.took()).collect();
            let times = if took.is_empty() {
                format!("{:>8} {:>8} {:>8}", "–", "–", "–")
            } else {
                let [p50, p95, worst] = [0.5, 0.95, 1.0].map(|q| quantile(&mut took, q));
                format!("{p50:>8.2} {p95:>8.2} {worst:>8.2}")
            };
            println!("  {kind:<32} {:>6} {healed:>7} {times}", all.len());
        }
        for name in &self.skipped {
            println!("  {name}");
        }
        println!();
        println!(
            "  {:<10} {:>10} {:>7} {:>8} {:>8} {:>14} {:>14} {:>15}",
            "service", "start-up s", "faults", "down s", "ideal s", "up, this run", "up, of a day", "false restarts"
        );
        for (name, life) in &self.lives {
            println!(
                "  {name:<10} {:>10.2} {:>7} {:>8.1} {:>8.1} {:>12.2} % {:>12.3} % {:>15}",
                life.start_up,
                life.faults,
                life.down,
                life.ideal,
                life.share(self.lasted),
                life.share(self.day()),
                life.false_restarts
            );
        }
        println!();
    }

    /// Seconds of a day in which as many faults come as came here.
    fn day(&self) -> f64 {
        SECONDS * self.outcomes.len() as f64 / A_DAY
    }

    /// Prints the tables; the counts.
    pub(crate) fn judge(&self) -> Vec<Count> {
        self.tables();
        for outcome in &self.outcomes {
            if let Some(wrong) = &outcome.wrong {
                println!("  not healed: {} of {}: {wrong}", outcome.fault, outcome.service);
            }
        }
        let healed = self.outcomes.iter().filter(|outcome| outcome.wrong.is_none()).count();
        let share = healed as f64 / (self.outcomes.len() as f64).max(1.0) * 100.0;
        let mut took: Vec<f64> = self.outcomes.iter().filter(|o| o.was_down).map(Outcome::took).collect();
        let [p50, p95] = [0.5, 0.95].map(|q| round(quantile(&mut took, q)));
        let mut beyond: Vec<f64> = self
            .outcomes
            .iter()
            .filter(|o| o.was_down)
            .map(|outcome| (outcome.took() - outcome.ideal).max(0.0))
            .collect();
        let [beyond_p50, beyond_p95] = [0.5, 0.95].map(|q| round(quantile(&mut beyond, q)));
        let lowest = |time: f64| self.lives.values().map(|life| life.share(time)).fold(100.0, f64::min);
        let false_restarts: usize = self.lives.values().map(|life| life.false_restarts).sum();
        vec![
            count("faults injected", self.outcomes.len() as f64, Must::Told),
            count("… of which took their service down", took.len() as f64, Must::Told),
            count("healed without a human, %", round(share), Must::AtLeast(95.0)),
            count("MTTR p50, of those that were down, s", p50, Must::AtMost(3.0)),
            count("MTTR p95, s", p95, Must::AtMost(15.0)),
            count("… beyond what an ideal healer needs, p50, s", beyond_p50, Must::Told),
            count("… beyond what an ideal healer needs, p95, s", beyond_p95, Must::Told),
            count(
                "uptime of the worst service over an ideal healer's, of a day, %",
                round(lowest(self.day())),
                Must::AtLeast(99.0),
            ),
            count("… of the time that this run took, %", round(lowest(self.lasted)), Must::Told),
            count("false restarts", false_restarts as f64, Must::Zero),
            count("starts of faulted services beyond those needed", self.more_starts as f64, Must::Told),
            count("this run took, s", self.lasted.round(), Must::Told),
        ]
    }
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
