//! One call of the engine's API: bounded in time, refused at once while the engine is known to be away. Never: a wait for an engine that hangs.

use std::time::Duration;

use bollard::errors::Error;

use crate::model::text::plain;

/// An engine that is asked something answers within this time.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// What it is told to do may take longer: to make, start or remove a container.
pub(super) const WORK: Duration = Duration::from_mins(1);
/// A message of the engine's is cut to so many characters.
const QUOTED: usize = 200;

/// Why a call gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::world) enum Failure {
    /// The engine cannot be reached: a clause.
    Away(String),
    /// It refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said, one line.
        message: String,
    },
    /// What it said cannot be understood: a clause.
    Odd(String),
}

impl Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "an enum of others: whatever they add is a broken connection")]
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                Self::Refused { status: *status_code, message: quoted(message) }
            }
            Error::DockerStreamError { error } => Self::Refused { status: 500, message: quoted(error) },
            Error::JsonDataError { message, .. } => {
                Self::Odd(format!("its answer cannot be read: {}", quoted(message)))
            }
            Error::RequestTimeoutError => Self::Away(silence(ANSWER)),
            Error::HyperLegacyError { err } => Self::Away(innermost(err)),
            Error::HyperResponseError { err } => Self::Away(innermost(err)),
            other => Self::Away(chain(other)),
        }
    }

    /// True where there is no such thing.
    pub(super) const fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// For a sentence: `Docker refused it: no such image`.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Away(why) => format!("Docker cannot be reached: {why}"),
            Self::Refused { status, message } if message.is_empty() => {
                format!("Docker refused it with status {status} and no word")
            }
            Self::Refused { message, .. } => format!("Docker refused it: {message}"),
            Self::Odd(why) => format!("Docker: {why}"),
        }
    }
}

/// What is behind all that hyper says of it.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    for _ in 0..8 {
        let Some(source) = last.source() else { break };
        last = source;
    }
    quoted(&last.to_string())
}

/// The error and what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    for _ in 0..8 {
        let Some(source) = next else { break };
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = source.source();
    }
    quoted(&text)
}

/// One line, safe, short.
pub(super) fn quoted(text: &str) -> String {
    let line: String = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

pub(super) fn silence(within: Duration) -> String {
    format!("no answer within {} s", within.as_secs())
}
