//! What is known of the patterns in a service's output: of each the text that its lines have in common, how often it comes, since when, and whether it
//! is new. Plain data, for readers: secrets are out of it. Never a line that was not redacted.

use serde::{Deserialize, Serialize};

use super::{ids::ServiceId, level::Level};

/// Minutes in [`Pattern::trend`].
pub const TREND_MINUTES: usize = 60;

/// The patterns of one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ServicePatterns {
    /// Whose.
    pub service: ServiceId,
    /// When this was looked at, microseconds since the Unix epoch: the last minute of each trend is that of this time.
    pub at_us: i64,
    /// The first line that was learnt from, microseconds since the Unix epoch; 0 where there was none.
    pub since_us: i64,
    /// Lines that were learnt from.
    pub lines: u64,
    /// Lines that were not learnt from, as they came faster than they could be looked at: counts are that much too low.
    pub dropped: u64,
    /// Not enough was seen yet to tell of anything that is new.
    pub learning: bool,
    /// What "new" is measured by.
    pub marks: Marks,
    /// One each, in the order of [`Pattern::id`]. That of id 0 stands for lines that there was no room for.
    pub patterns: Vec<Pattern>,
}

/// Moments after which a pattern may be new; microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Marks {
    /// Its present or last run began. None: all that is learnt came from one run.
    pub restart_us: Option<i64>,
    /// What it is started from last changed (its part of the project file), and it was started so. None: it has not changed since its output is learnt from.
    pub deployment_us: Option<i64>,
    /// The end of the last full hour of the clock in which the service was well throughout. None: there was none.
    pub healthy_hour_us: Option<i64>,
}

/// One pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pattern {
    /// Its number, which stays. A pattern may become part of another one, and then its number is gone.
    pub id: u32,
    /// The text, with `<*>` in the places of values.
    pub text: String,
    /// How serious its lines say they are, the most frequent; of equals the higher. None: most say nothing.
    pub level: Option<Level>,
    /// Lines.
    pub count: u64,
    /// The first line, microseconds since the Unix epoch.
    pub first_us: i64,
    /// The last line, microseconds since the Unix epoch.
    pub last_us: i64,
    /// Lines per minute over the last five minutes.
    pub per_minute: f64,
    /// Lines per minute over the hour before those, as far as the service was looked after and ran; none where that was less than half of it.
    pub usual_per_minute: Option<f64>,
    /// Lines of each of the last [`TREND_MINUTES`] minutes, the present one last.
    pub trend: Vec<u32>,
    /// A line of it, without the head (time, level) that all lines have, and without its secrets.
    pub example: String,
    /// Since when it is new.
    pub new_since: NewSince,
}

/// Whether a pattern was first seen after each of [`Marks`]; false where there is no such moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NewSince {
    /// It had not occurred before the present run.
    pub restart: bool,
    /// It had not occurred before the last deployment.
    pub deployment: bool,
    /// It did not occur in the last healthy hour, and has occurred since.
    pub healthy_hour: bool,
}

/// Since when something is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Since {
    /// Since the present run began
    Restart,
    /// Since it was first started from what it is started from now
    Deployment,
    /// Since the last full hour in which it was well
    #[value(name = "healthy")]
    HealthyHour,
}

impl NewSince {
    /// Whether it is new since then.
    #[must_use]
    pub const fn is(self, since: Since) -> bool {
        match since {
            Since::Restart => self.restart,
            Since::Deployment => self.deployment,
            Since::HealthyHour => self.healthy_hour,
        }
    }

    /// Whether it is new since anything.
    #[must_use]
    pub const fn any(self) -> bool {
        self.restart || self.deployment || self.healthy_hour
    }
}

impl Pattern {
    /// Whether its lines say that something failed.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.level >= Some(Level::Error)
    }

    /// Its place among others where what wants a look comes first: new errors, then what is new, then errors, then by count.
    #[must_use]
    pub fn order(&self) -> impl Ord + Copy + use<> {
        let (new, error) = (self.new_since.any(), self.is_error());
        (std::cmp::Reverse((new && error, new, error, self.count)), self.id)
    }

    /// How much more often it comes than usual, as a factor; none where nothing usual is known, or it usually does not come.
    #[must_use]
    pub fn factor(&self) -> Option<f64> {
        self.usual_per_minute.filter(|usual| *usual > 0.0).map(|usual| self.per_minute / usual)
    }
}

impl ServicePatterns {
    /// Sorts what wants a look first, see [`Pattern::order`].
    pub fn sort(&mut self) {
        self.patterns.sort_by_key(Pattern::order);
    }
}

/// News of a pattern of a service. Its texts hold no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternNews {
    /// Lines that say that something failed are like none before.
    New {
        /// What they have in common.
        pattern: String,
        /// The first of them.
        example: String,
        /// How serious they say they are: [`Level::Error`] or worse.
        level: Level,
        /// Lines so far.
        count: u64,
    },
    /// One comes much more often than usual, or does not come any more.
    Rate {
        /// Which.
        pattern: String,
        /// A line of it.
        example: String,
        /// How serious its lines say they are.
        level: Option<Level>,
        /// Lines of the last minute.
        per_minute: u64,
        /// Lines an hour, by the hour before.
        usual_per_hour: u64,
    },
    /// In the last minutes there were so many more news than can be told.
    More {
        /// How many.
        count: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::{Marks, NewSince, Pattern, ServicePatterns};
    use crate::model::level::Level;

    fn pattern(id: u32, level: Option<Level>, count: u64, restart: bool) -> Pattern {
        Pattern {
            id,
            text: String::new(),
            level,
            count,
            first_us: 0,
            last_us: 0,
            per_minute: 3.0,
            usual_per_minute: Some(1.5),
            trend: Vec::new(),
            example: String::new(),
            new_since: NewSince { restart, ..NewSince::default() },
        }
    }

    #[test]
    fn what_wants_a_look_comes_first() {
        let mut all = ServicePatterns {
            service: "shop/web".parse().unwrap(),
            at_us: 0,
            since_us: 0,
            lines: 0,
            dropped: 0,
            learning: false,
            marks: Marks::default(),
            patterns: vec![
                pattern(1, None, 9, false),
                pattern(2, Some(Level::Fatal), 1, false),
                pattern(3, Some(Level::Info), 1, true),
                pattern(4, Some(Level::Error), 1, true),
                pattern(5, None, 10, false),
            ],
        };
        all.sort();
        assert_eq!(all.patterns.iter().map(|pattern| pattern.id).collect::<Vec<_>>(), [4, 3, 2, 5, 1]);
        assert_eq!(all.patterns[0].factor(), Some(2.0));
    }
}
