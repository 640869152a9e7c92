//! Colour by meaning, in the terminal's own sixteen colours. Never the only carrier of a meaning, never where it was not allowed.

use std::collections::BTreeMap;

use crate::model::{
    exam::Grade,
    phase::{Health, Phase},
    timeline::Severity,
};

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// Headings.
    Strong,
    /// Less important.
    Dim,
    /// As it should be.
    Good,
    /// In motion.
    Moving,
    /// Worth a look.
    Warning,
    /// Broken.
    Bad,
    /// What was searched for.
    Match,
    /// The colour of the nth service.
    Service(usize),
}

/// SGR codes for services, in turn: easy to tell apart, none of them red (red means broken).
const SERVICES: [&str; 10] = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];

impl Tone {
    const fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("32"),
            Self::Moving => Some("36"),
            Self::Warning => Some("33"),
            Self::Bad => Some("31"),
            Self::Match => Some("1;7"),
            Self::Service(index) => Some(SERVICES[index % SERVICES.len()]),
        }
    }

    /// Of a phase.
    #[must_use]
    pub const fn of_phase(phase: &Phase) -> Self {
        match phase {
            Phase::Running { .. } => Self::Good,
            Phase::Starting { .. } | Phase::Stopping { .. } | Phase::Waiting { .. } => Self::Moving,
            Phase::BackingOff { .. } | Phase::Blocked { .. } => Self::Warning,
            Phase::Exited { exit, .. } if exit.is_success() => Self::Dim,
            Phase::Exited { .. } | Phase::GaveUp { .. } => Self::Bad,
            Phase::Stopped { .. } => Self::Dim,
        }
    }

    /// Of what probes say.
    #[must_use]
    pub const fn of_health(health: &Health) -> Self {
        match health {
            Health::Unknown => Self::Dim,
            Health::Starting { .. } => Self::Moving,
            Health::Healthy { .. } => Self::Good,
            Health::Unhealthy { .. } | Health::Misconfigured { .. } => Self::Bad,
        }
    }

    /// Of what a deep look found.
    #[must_use]
    pub const fn of_grade(grade: Grade) -> Self {
        match grade {
            Grade::Good => Self::Good,
            Grade::Notice => Self::Moving,
            Grade::Warning => Self::Warning,
            Grade::Critical => Self::Bad,
        }
    }

    /// Of an entry of the timeline.
    #[must_use]
    pub const fn of_severity(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Plain,
            Severity::Good => Self::Good,
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Bad,
        }
    }
}

/// Whether colour may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Sixteen colours.
    Colour,
    /// Text only: not one escape byte.
    Plain,
}

impl Paint {
    /// Colour only on a terminal that can show it and where neither the flag nor `NO_COLOR` (<https://no-color.org>: set
    /// and not empty) forbids it.
    #[must_use]
    pub fn choose(forbidden: bool, is_terminal: bool, env: &BTreeMap<String, String>) -> Self {
        let set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
        let dumb = env.get("TERM").is_some_and(|term| term == "dumb");
        if forbidden || !is_terminal || dumb || set("NO_COLOR") { Self::Plain } else { Self::Colour }
    }

    /// True where colour may be used.
    #[must_use]
    pub const fn is_colour(self) -> bool {
        matches!(self, Self::Colour)
    }

    /// `text`, which must be safe already, in the colour of `tone`.
    #[must_use]
    pub fn text(self, tone: Tone, text: &str) -> String {
        match (self, tone.sgr()) {
            (Self::Colour, Some(sgr)) if !text.is_empty() => format!("\x1b[{sgr}m{text}\x1b[0m"),
            (Self::Colour | Self::Plain, _) => text.to_owned(),
        }
    }
}
