//! How serious a line of output says it is.

use serde::{Deserialize, Serialize};

/// How serious a line of output says it is, in ascending order, so that `line.level >= Some(Level::Warn)` reads as it is meant.
///
/// The eight severities of syslog (RFC 5424, section 6.2.1) come down to these: `notice` is [`Level::Info`]; `crit`, `alert` and `emerg` are
/// [`Level::Fatal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Of use while looking for a defect, step by step.
    Trace,
    /// Of use while looking for a defect.
    Debug,
    /// As it should be.
    Info,
    /// Perhaps not as it should be.
    Warn,
    /// Something failed.
    Error,
    /// It cannot go on.
    Fatal,
}

impl Level {
    /// Every level, in ascending order.
    pub const ALL: [Self; 6] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// From any word that programs write for it, in any case: `WARNING`, `err`, `E`, `notice`, `CRITICAL`, `severe`.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        const WORDS: &[(&str, Level)] = &[
            ("trace", Level::Trace),
            ("trc", Level::Trace),
            ("verbose", Level::Trace),
            ("finest", Level::Trace),
            ("finer", Level::Trace),
            ("debug", Level::Debug),
            ("dbg", Level::Debug),
            ("debu", Level::Debug),
            ("fine", Level::Debug),
            ("debug1", Level::Debug),
            ("debug2", Level::Debug),
            ("debug3", Level::Debug),
            ("debug4", Level::Debug),
            ("debug5", Level::Debug),
            ("info", Level::Info),
            ("inf", Level::Info),
            ("information", Level::Info),
            ("informational", Level::Info),
            ("notice", Level::Info),
            ("note", Level::Info),
            ("config", Level::Info),
            ("log", Level::Info),
            ("statement", Level::Info),
            ("detail", Level::Info),
            ("hint", Level::Info),
            ("warn", Level::Warn),
            ("warning", Level::Warn),
            ("wrn", Level::Warn),
            ("error", Level::Error),
            ("err", Level::Error),
            ("erro", Level::Error),
            ("severe", Level::Error),
            ("fail", Level::Error),
            ("failure", Level::Error),
            ("fatal", Level::Fatal),
            ("ftl", Level::Fatal),
            ("crit", Level::Fatal),
            ("critical", Level::Fatal),
            ("alert", Level::Fatal),
            ("emerg", Level::Fatal),
            ("emergency", Level::Fatal),
            ("panic", Level::Fatal),
            ("dpanic", Level::Fatal),
        ];
        const LETTERS: &[(&str, Level)] = &[
            ("t", Level::Trace),
            ("d", Level::Debug),
            ("i", Level::Info),
            ("n", Level::Info),
            ("w", Level::Warn),
            ("e", Level::Error),
            ("f", Level::Fatal),
            ("c", Level::Fatal),
        ];
        let known = if word.len() == 1 { LETTERS } else { WORDS };
        known.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn words_of_many_programs_come_down_to_six_levels() {
        let of = |word| Level::of_word(word).map(Level::label);
        assert_eq!(
            [of("WARNING"), of("err"), of("E"), of("Notice")],
            [Some("warn"), Some("error"), Some("error"), Some("info")]
        );
        assert_eq!(
            [of("CRITICAL"), of("SEVERE"), of("finest"), of("web")],
            [Some("fatal"), Some("error"), Some("trace"), None]
        );
        assert!(Level::Error > Level::Warn && Level::ALL.is_sorted());
    }
}
