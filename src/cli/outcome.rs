//! How a verb ends: the exit codes, and failures that say what, why and what to do next. Never a bare number.

use std::{fmt, io, process::ExitCode};

use crate::host::handle::EngineGone;

/// How `cas` ended, as its exit code says to a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done.
    Ok,
    /// What was asked for failed.
    Failed,
    /// Wrong usage, or a project file that cannot be taken.
    Usage,
    /// No engine runs this project.
    NoEngine,
    /// There is no such service, or the name fits several.
    NotFound,
    /// Policy said no, or a person did.
    Refused,
    /// `cas health`: something is worth a look.
    Warned,
    /// `cas health`: something is broken.
    Critical,
    /// SIGINT or SIGTERM.
    Interrupted,
    /// `cas exec`: the command ended with this code, which is not 0.
    Ended(u8),
}

impl Outcome {
    /// Every outcome, by code.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::NoEngine,
        Self::NotFound,
        Self::Refused,
        Self::Warned,
        Self::Critical,
        Self::Interrupted,
    ];

    /// The exit code. These numbers are a promise to scripts.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoEngine => 3,
            Self::NotFound => 4,
            Self::Refused => 5,
            Self::Warned => 10,
            Self::Critical => 20,
            Self::Interrupted => 130,
            Self::Ended(code) => code,
        }
    }

    /// What it means, one line.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failed => "what was asked for failed, or (where asked) something is unhealthy",
            Self::Usage => "wrong usage, or a project file that cannot be taken",
            Self::NoEngine => "no engine is running for this project",
            Self::NotFound => "no such service or project, or the name fits several",
            Self::Refused => "refused by policy, or consent was not given",
            Self::Warned => "`cas health`: something is worth a look, nothing is broken",
            Self::Critical => "`cas health`: something is broken: critical, unhealthy, failed, or held up",
            Self::Interrupted => "interrupted",
            Self::Ended(_) => "`cas exec`: what the command itself ended with",
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

/// Why a verb could not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// To be said on stderr.
    Said {
        /// The exit code.
        outcome: Outcome,
        /// What and why, one sentence.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// Everything was said already.
    Shown(Outcome),
    /// Whoever read our output has left; that is no error.
    ReaderLeft,
}

impl Failure {
    /// A failure with nothing to advise.
    #[must_use]
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self::Said { outcome, message: message.into(), hint: None }
    }

    /// A failure and what to do next.
    #[must_use]
    pub fn with_hint(outcome: Outcome, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Said { outcome, message: message.into(), hint: Some(hint.into()) }
    }

    /// A sentence, and below it perhaps a line that begins with `hint:`.
    #[must_use]
    pub fn from_sentence(outcome: Outcome, sentence: &str) -> Self {
        match sentence.split_once("\nhint: ") {
            Some((message, hint)) => Self::with_hint(outcome, message, hint),
            None => Self::new(outcome, sentence),
        }
    }

    /// What was asked for failed.
    #[must_use]
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::from_sentence(Outcome::Failed, &message.to_string())
    }

    /// What the engine answered is no answer to what was asked.
    #[must_use]
    pub fn odd_answer() -> Self {
        Self::failed("the engine answered something else")
    }

    /// No engine runs the project that was found.
    #[must_use]
    pub fn no_engine() -> Self {
        Self::with_hint(
            Outcome::NoEngine,
            "no engine is running for this project",
            "\"cas\" opens the console, \"cas up\" starts its services",
        )
    }

    /// The exit code that it ends with.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Said { outcome, .. } | Self::Shown(outcome) => *outcome,
            Self::ReaderLeft => Outcome::Ok,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderLeft;
        }
        Self::failed(format!("cannot write: {error}"))
    }
}

impl From<EngineGone> for Failure {
    fn from(gone: EngineGone) -> Self {
        Self::failed(gone)
    }
}
