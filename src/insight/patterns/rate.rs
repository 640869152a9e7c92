//! Whether a template comes as often as it usually does.
//!
//! A count is compared with what the hour before lets expect, on the scale on which counts of independent events have the variance 1 whatever their mean:
//!
//! > z = 2 (√(k + 3/8) − √(λ + 3/8)) / √D
//!
//! (F. J. Anscombe, *The transformation of Poisson, binomial and negative-binomial data*, Biometrika 35, 1948). D is the index of dispersion of the minutes
//! of that hour, their variance by their mean (D. R. Cox and P. A. W. Lewis, *The statistical analysis of series of events*, 1966), and at least 1: lines that
//! come in batches are not independent, and must be further from their mean to be news. What a daily rhythm or a job of every night does is known from the
//! fullest minutes of earlier hours.
//!
//! Never: news where less than [`LEAST_MINUTES`] minutes are known.

use super::{
    counts::{Counts, MINUTE_US, MINUTES, SLOTS, When},
    ring::Ring,
};

/// Minutes of the hour before that must be known.
pub(super) const LEAST_MINUTES: u32 = 30;
/// The minutes before the present one that are not yet compared with: what is judged must not be part of the measure.
pub(super) const RECENT: i64 = 5;
/// Minutes that are compared with.
const HOUR: i64 = 60;
/// So far from the usual is a surge: for independent events once in some three million minutes.
const FAR: f64 = 5.0;
/// So near to it again is the end of one.
const NEAR: f64 = 2.0;
/// A surge is at least so many times the usual: what comes ten thousand times a minute is far from its mean soon.
const FACTOR: f64 = 3.0;
/// And at least so many lines.
const LEAST_LINES: u64 = 10;
/// And so much more than the fullest minute of hours that are alike.
const ABOVE_PEAK: f64 = 1.2;
/// Hours before the present one in which what happened twice is usual.
const LATELY: i64 = 6;
/// Silence is news where so many lines should have come: for independent events e⁻³⁰, and still one in twenty thousand at a tenth of the rate.
const MISSED: f64 = 30.0;
/// Silence that is not told by then is none that anybody waits for.
const LONGEST_SILENCE_US: i64 = 15 * MINUTE_US;
/// The part of minutes in which something that is steady comes.
const STEADY: f64 = 0.9;
/// Of what is no warning, in so many minutes: what comes now and then comes in batches.
const LEAST_PRESENT: u32 = 10;

/// How often a template usually comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usual {
    /// Minutes that are known.
    pub(super) minutes: u32,
    /// Those of them in which it came.
    present: u32,
    /// Lines a minute.
    pub(super) mean: f64,
    /// Index of dispersion, at least 1.
    dispersion: f64,
}

impl Usual {
    /// By the hour before the last [`RECENT`] minutes, as far as it was `observed`.
    pub(super) fn of(counts: &Counts, observed: &Ring<MINUTES>, now: When) -> Self {
        let last = now.minute - RECENT;
        let known = (last - HOUR..last).filter(|minute| observed.get(*minute) > 0);
        let (mut minutes, mut present, mut sum, mut squares) = (0_u32, 0_u32, 0.0, 0.0);
        for minute in known {
            let count = f64::from(counts.minutes.get(minute));
            minutes += 1;
            present += u32::from(count > 0.0);
            sum += count;
            squares += count * count;
        }
        let of = f64::from(minutes.max(1));
        let mean = sum / of;
        let variance = (squares - sum * mean) / (of - 1.0).max(1.0);
        let dispersion = if mean > 0.0 { (variance / mean).max(1.0) } else { 1.0 };
        Self { minutes, present, mean, dispersion }
    }

    /// Whether it comes in nearly every minute.
    fn is_steady(&self) -> bool {
        f64::from(self.present) >= STEADY * f64::from(self.minutes)
    }
}

/// How far `count` is from `expected`.
fn distance(count: u64, expected: f64, dispersion: f64) -> f64 {
    2.0 * ((count as f64 + 0.375).sqrt() - (expected + 0.375).sqrt()) / dispersion.sqrt()
}

/// What is to be said of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Much more often than usual.
    Surge,
    /// It came steadily and comes no more.
    Silence,
    /// Neither, and as usual again.
    Usual,
    /// It does not come, and need not: a surge is over, a silence goes on.
    Quiet,
    /// Between the two: what was said stands.
    Open,
}

/// Lines of the last minute.
pub(super) fn last_minute(counts: &Counts, now: When) -> u64 {
    counts.slots.sum(now.slot - (SLOTS - 1), now.slot)
}

/// What is to be said. `alive_since`: since when it could have come without a break; none: it cannot now. `grave`: its lines are warnings or worse.
pub(super) fn judge(
    counts: &Counts,
    observed: &Ring<MINUTES>,
    now: When,
    alive_since: Option<i64>,
    grave: bool,
) -> Verdict {
    let usual = Usual::of(counts, observed, now);
    let recent = last_minute(counts, now);
    let lately = counts.minutes.sum(now.minute - (RECENT - 1), now.minute);
    let is_known = usual.minutes >= LEAST_MINUTES;
    // In a new pattern nothing is usual yet; that it is new is news of its own.
    let is_old = counts.first_us <= now.us - (i64::from(LEAST_MINUTES) + RECENT) * MINUTE_US;
    let is_told_of = grave || usual.present >= LEAST_PRESENT;
    let far = |count, minutes: f64| {
        let expected = usual.mean * minutes;
        count >= LEAST_LINES && count as f64 >= FACTOR * expected && distance(count, expected, usual.dispersion) >= FAR
    };
    if is_known && is_old && is_told_of && (far(recent, 1.0) || far(lately, RECENT as f64)) && tops(counts, recent, now)
    {
        return Verdict::Surge;
    }
    if is_known && usual.is_steady() && alive_since.is_some_and(|since| since <= counts.last_us) {
        let silent_us = now.us.saturating_sub(counts.last_us);
        let missed = usual.mean * (silent_us as f64 / MINUTE_US as f64) / usual.dispersion;
        if (MINUTE_US..LONGEST_SILENCE_US).contains(&silent_us) && missed >= MISSED {
            return Verdict::Silence;
        }
    }
    match recent {
        0 if lately == 0 => Verdict::Quiet,
        1.. if distance(recent, usual.mean, usual.dispersion) < NEAR => Verdict::Usual,
        0.. => Verdict::Open,
    }
}

/// Whether it comes more often than in the fullest minutes of hours that are alike.
fn tops(counts: &Counts, recent: u64, now: When) -> bool {
    let fullest = (0..RECENT).map(|back| u64::from(counts.minutes.get(now.minute - back))).fold(recent, u64::max);
    fullest as f64 > ABOVE_PEAK * f64::from(peak(counts, now))
}

/// The fullest minute that is usual: what was reached in two of the last hours that do not touch (one surge may lie in two that do), or a day or two days ago
/// at this time.
fn peak(counts: &Counts, now: When) -> u32 {
    // What is going on now may have begun in the hour before.
    let recent = now.minute - RECENT;
    let until = if recent.div_euclid(HOUR) < now.hour { now.hour - 2 } else { now.hour - 1 };
    let lately = (now.hour - LATELY)..=until;
    let of = |hour: i64| counts.peaks.get(hour);
    let first = lately.clone().max_by_key(|hour| of(*hour));
    let twice = first.and_then(|first| lately.filter(|hour| hour.abs_diff(first) > 1).map(of).max());
    let daily = [23, 24, 25, 46, 47].map(|ago| of(now.hour - ago)).into_iter().max();
    twice.max(daily).unwrap_or(0)
}
