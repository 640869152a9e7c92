//! Figures of deep looks in the words of people: amounts, courses, and how far a threshold is away.
//!
//! Never: judges a figure (the engine does, by its rule).

use std::time::Duration;

use super::{
    exam::{Finding, Grade, Reads, Unit},
    time::short_duration,
};

/// Levels of a spark, from nothing to all.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A threshold that is further away than this is not told.
const FORESEEN: f64 = 24.0 * 60.0;

/// A figure moves where it would change by more than this share of itself, or of its threshold, in ten minutes.
const MOVES: f64 = 0.01;

/// A number with as many digits as say something: `3.14`, `31.4`, `314`.
#[must_use]
pub fn number(value: f64) -> String {
    let digits = if value.fract().abs() < 0.005 || value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

/// Bytes: `812 B`, `38.4 MiB`.
#[must_use]
pub fn size(bytes: f64) -> String {
    let mut value = bytes;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value.abs() < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{} {unit}", number(value))
}

/// So much of a unit: `92`, `1.2 GiB`, `3.5 s`, `92 %`.
#[must_use]
pub fn amount(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Bytes => size(value),
        Unit::Seconds => {
            let length = short_duration(Duration::try_from_secs_f64(value.abs()).unwrap_or(Duration::MAX));
            if value < 0.0 { format!("-{length}") } else { length }
        }
        Unit::Share => format!("{} %", number(value * 100.0)),
        Unit::Count => number(value),
    }
}

/// What of a figure was judged: a share in percent, a rate per second, else as [`amount`].
#[must_use]
pub fn judged(unit: Unit, reads: Reads, value: f64) -> String {
    match reads {
        Reads::Value => amount(unit, value),
        Reads::Share => amount(Unit::Share, value),
        Reads::Rate => format!("{} a second", amount(unit, value)),
    }
}

/// The thresholds of a finding, as people read them: `warning from 80 %, critical from 95 %`; empty where it has none.
#[must_use]
pub fn thresholds(finding: &Finding) -> String {
    let from = if finding.below { "down from" } else { "from" };
    let told = [(Grade::Warning, finding.warn), (Grade::Critical, finding.critical)];
    let told: Vec<String> = told
        .into_iter()
        .filter_map(|(grade, threshold)| {
            Some(format!("{} {from} {}", grade.label(), judged(finding.unit, finding.reads, threshold?)))
        })
        .collect();
    told.join(", ")
}

/// Whither a figure goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// It grows.
    Up,
    /// It stays.
    Level,
    /// It shrinks.
    Down,
}

impl Course {
    /// One column.
    #[must_use]
    pub const fn arrow(self) -> &'static str {
        match self {
            Self::Up => "↗",
            Self::Level => "→",
            Self::Down => "↘",
        }
    }
}

/// Whither the figure of a finding goes; none where too few looks have seen it.
#[must_use]
pub fn course(finding: &Finding) -> Option<Course> {
    let (trend, value) = (finding.trend_per_minute?, finding.value?);
    let scale = [Some(value), finding.warn, finding.critical].into_iter().flatten().map(f64::abs).fold(0.0, f64::max);
    Some(if trend.abs() * 10.0 <= scale * MOVES {
        Course::Level
    } else if trend > 0.0 {
        Course::Up
    } else {
        Course::Down
    })
}

/// The course in words: `↗ 2.1 % a minute`, `→ steady`, and where it leads to a threshold within a day, when:
/// `↗ 2.1 % a minute, critical in about 12m 0s`.
#[must_use]
pub fn trend(finding: &Finding) -> Option<String> {
    let course = course(finding)?;
    let arrow = course.arrow();
    if course == Course::Level {
        return Some(format!("{arrow} steady"));
    }
    let pace = finding.trend_per_minute?.abs();
    let pace = match finding.reads {
        Reads::Value => amount(finding.unit, pace),
        Reads::Share => amount(Unit::Share, pace),
        Reads::Rate => format!("{} a second", amount(finding.unit, pace)),
    };
    let ahead = ahead(finding).map(|(grade, wait)| format!(", {} in about {}", grade.label(), short_duration(wait)));
    Some(format!("{arrow} {pace} a minute{}", ahead.unwrap_or_default()))
}

/// The next threshold on the way of a figure, and when it is there if it goes on like this; none where none is near.
#[must_use]
pub fn ahead(finding: &Finding) -> Option<(Grade, Duration)> {
    let (trend, value) = (finding.trend_per_minute?, finding.value?);
    let next = [(Grade::Warning, finding.warn), (Grade::Critical, finding.critical)];
    let mut found: Option<(Grade, f64)> = None;
    for (grade, threshold) in next {
        let Some(threshold) = threshold else { continue };
        let minutes = (threshold - value) / trend;
        let nearer = found.is_none_or(|(_, known)| minutes < known);
        if grade > finding.grade && minutes.is_finite() && minutes > 0.0 && minutes <= FORESEEN && nearer {
            found = Some((grade, minutes));
        }
    }
    let (grade, minutes) = found?;
    Some((grade, Duration::try_from_secs_f64((minutes * 60.0).round()).ok()?))
}

/// How much of the way to its worst threshold a figure has gone, 0 to 1 and beyond; none where it has no threshold, or where
/// little is bad.
#[must_use]
pub fn way(finding: &Finding) -> Option<f64> {
    let worst = finding.critical.or(finding.warn)?;
    if finding.below || worst <= 0.0 {
        return None;
    }
    finding.value.map(|value| value / worst)
}

/// The newest values in at most `columns` columns, one each, from zero (or what is below) to the largest of them and of `top`.
#[must_use]
pub fn spark(values: &[f64], top: Option<f64>, columns: usize) -> String {
    let shown = values.get(values.len().saturating_sub(columns)..).unwrap_or_default();
    let finite = || shown.iter().copied().filter(|value| value.is_finite());
    let least = finite().fold(0.0, f64::min);
    let most = finite().chain(top).fold(least, f64::max);
    let span = most - least;
    let level = |value: f64| {
        let share = if span > 0.0 && value.is_finite() { ((value - least) / span).clamp(0.0, 1.0) } else { 0.0 };
        LEVELS[((share * 7.0).round() as usize).min(7)]
    };
    shown.iter().map(|value| level(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::{ahead, amount, course, judged, spark, thresholds, trend, way};
    use crate::model::{
        exam::{Finding, Grade, Reads, Unit},
        time::Timestamp,
    };
    use std::time::Duration;

    fn finding(value: f64, trend: f64) -> Finding {
        Finding {
            exam: "redis".to_owned(),
            check: "memory".to_owned(),
            grade: Grade::Good,
            sentence: "memory in use".to_owned(),
            advice: None,
            value: Some(value),
            unit: Unit::Bytes,
            reads: Reads::Share,
            warn: Some(0.8),
            critical: Some(0.95),
            below: false,
            trend_per_minute: Some(trend),
            history: Vec::new(),
            since: Timestamp::default(),
        }
    }

    #[test]
    fn figures_are_told_in_their_unit() {
        for (unit, reads, value, told) in [
            (Unit::Count, Reads::Value, 92.0, "92"),
            (Unit::Count, Reads::Rate, 3.5, "3.50 a second"),
            (Unit::Bytes, Reads::Value, 1_288_490_188.8, "1.20 GiB"),
            (Unit::Bytes, Reads::Share, 0.925, "92.5 %"),
            (Unit::Seconds, Reads::Value, 0.25, "250 ms"),
            (Unit::Share, Reads::Value, 0.5, "50 %"),
        ] {
            assert_eq!(judged(unit, reads, value), told);
        }
        assert!(!amount(Unit::Seconds, f64::NAN).is_empty(), "what is no number is no panic");
    }

    #[test]
    fn a_trend_says_when_it_comes_to_a_threshold() {
        let rising = finding(0.7, 0.01);
        assert_eq!(ahead(&rising), Some((Grade::Warning, Duration::from_mins(10))));
        assert_eq!(trend(&rising).as_deref(), Some("↗ 1 % a minute, warning in about 10m 0s"));
        let warned = Finding { grade: Grade::Warning, ..finding(0.9, 0.01) };
        assert_eq!(ahead(&warned), Some((Grade::Critical, Duration::from_mins(5))));
        for (value, slope, told) in [(0.7, -0.01, "↘ 1 % a minute"), (0.7, 1e-5, "→ steady"), (0.0, 0.0, "→ steady")]
        {
            assert_eq!(trend(&finding(value, slope)).as_deref(), Some(told));
        }
        assert_eq!(course(&Finding { trend_per_minute: None, ..finding(0.7, 0.0) }), None);
    }

    #[test]
    fn little_can_be_bad() {
        let free = Finding { below: true, warn: Some(0.2), critical: Some(0.05), ..finding(0.3, -0.01) };
        assert_eq!(thresholds(&free), "warning down from 20 %, critical down from 5 %");
        assert_eq!(trend(&free).as_deref(), Some("↘ 1 % a minute, warning in about 10m 0s"));
        assert_eq!(way(&free), None);
        assert_eq!(thresholds(&finding(0.5, 0.0)), "warning from 80 %, critical from 95 %");
        assert!((way(&finding(0.475, 0.0)).unwrap() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_spark_ends_with_the_newest_and_never_fails() {
        assert_eq!(spark(&[1.0, 2.0, 4.0, 8.0], None, 3), "▃▅█");
        assert_eq!(spark(&[1.0, 2.0], Some(8.0), 9), "▂▃");
        assert_eq!(spark(&[0.0, 0.0], None, 4), "▁▁");
        assert_eq!(spark(&[f64::NAN, f64::INFINITY, 1.0], None, 4), "▁▁█");
        assert_eq!(spark(&[], None, 4), "");
    }
}
