//! Which entries of the timeline call for somebody's attention.

use super::{
    policy::Origin,
    timeline::{Entry, Severity},
};

/// From which severity on an entry alerts: a sentence over the console, and the terminal's bell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlertLevel {
    /// Also what is as it should be.
    All,
    /// What is worth a look, and what is broken.
    Warning,
    /// Only what is broken.
    #[default]
    CriticalOnly,
    /// Nothing.
    Off,
}

impl AlertLevel {
    /// Every level, loudest first.
    pub const ALL: [Self; 4] = [Self::All, Self::Warning, Self::CriticalOnly, Self::Off];

    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Warning => "warning",
            Self::CriticalOnly => "critical-only",
            Self::Off => "off",
        }
    }

    /// From the word, with `-` or `_`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase().replace('_', "-");
        Self::ALL.into_iter().find(|level| level.label() == text)
    }

    /// Whether an entry alerts. What a person has asked for never does: whoever asked is told anyway.
    #[must_use]
    pub const fn takes(self, entry: &Entry) -> bool {
        match entry.who {
            Origin::Key | Origin::Palette | Origin::Cli | Origin::Api => return false,
            Origin::Config | Origin::Healer | Origin::System => {}
        }
        match (self, entry.severity()) {
            (Self::All, _) => true,
            (Self::Warning, Severity::Warning | Severity::Error) => true,
            (Self::CriticalOnly, Severity::Error) => true,
            (Self::Warning | Self::CriticalOnly | Self::Off, _) => false,
        }
    }
}
