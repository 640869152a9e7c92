//! Probes: how a service is asked whether it is well.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    exam::{Protocol, Target},
    ids::RunId,
    time::human,
};

/// The three questions, kept apart (names and meaning as in Kubernetes' pod lifecycle).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// Has it come up yet? Until it has, the other two are not asked. Failing for good ends the run.
    Startup,
    /// Can it serve now? Decides `service_healthy` and what is shown; failing never restarts anything.
    Readiness,
    /// Is it beyond hope? Failing `retries` times in a row ends the run, and the restart policy decides what follows.
    Liveness,
}

impl ProbeKind {
    /// All three, in the order in which they matter.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];

    /// The word used in files and sentences.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

/// How the question is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Runs a command in the service's directory and environment; exit code 0 is success.
    Exec(super::service::CommandLine),
    /// GET of a URL; the status must be below 400 or, where named, exactly `status`.
    Http {
        /// `http://` or `https://`.
        url: String,
        /// The one accepted status; otherwise 200 to 399.
        status: Option<u16>,
    },
    /// A TCP connection is accepted.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port, 1 to 65535.
        port: u16,
    },
    /// What the engine of containers says of the container's own health check; one that has none is well while it runs.
    Container,
    /// A line of this run's output matches the regular expression, once and for all.
    Log {
        /// Syntax of the `regex` crate (linear time).
        pattern: String,
    },
    /// A server answers in its own protocol that it serves.
    Server {
        /// Which protocol.
        protocol: Protocol,
        /// Whom to ask, and as whom.
        target: Arc<Target>,
    },
}

impl Check {
    /// A short text for screens: `http http://localhost:8080/health`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Exec(command) => format!("exec {}", command.display()),
            Self::Http { url, .. } => format!("http {url}"),
            Self::Tcp { host, port } => format!("tcp {host}:{port}"),
            Self::Container => "the container's own health".to_owned(),
            Self::Log { pattern } => format!("log /{pattern}/"),
            Self::Server { protocol, target } => format!("{} {}", protocol.label(), target.place()),
        }
    }
}

/// One probe with its rhythm. The words are compose's (`interval`, `timeout`, `retries`, `start_period`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Probe {
    /// How it asks.
    pub check: Check,
    /// From the start of one round to the start of the next, which never overlap; at least 100 ms. Default 10 s (startup: 1 s).
    #[serde(with = "human")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// A round that has no answer by then has failed and is torn down. Default 5 s.
    #[serde(with = "human")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Consecutive failures that count as unhealthy, at least 1. Default 3; 60 for startup.
    pub retries: u32,
    /// Consecutive successes that count as healthy, at least 1. Default 1 for the first time, 2 after having been unhealthy.
    pub successes: u32,
    /// Failures within this time of the start of the run do not count. Default 0.
    #[serde(with = "human")]
    #[schemars(with = "String")]
    pub start_period: Duration,
    /// Of a readiness probe: the service is healed where it fails for good, as a `healthcheck` wants it. Startup and liveness heal always.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heals: bool,
    /// What it answers is believed only as far as it fits: a command that ends with 0 and prints `NOAUTH`, or a page with status 200 that says
    /// `degraded`, has failed. Default true.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub honest: bool,
}

const fn yes() -> bool {
    true
}

/// What one round found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "detail")]
pub enum ProbeOutcome {
    /// As it should be.
    Passed,
    /// It answered, and not well, or did not answer in time: the text says what came.
    Failed(String),
    /// The probe itself could not be put (its command is missing, its URL is malformed): a fault of configuration, never "well".
    Broken(String),
}

/// One round that the world is asked to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRound {
    /// The run that is asked.
    pub run: RunId,
    /// Which question.
    pub kind: ProbeKind,
    /// Counts up per run and kind, so that a late answer of an earlier round is known as such.
    pub round: u64,
    /// The probe.
    pub probe: Arc<Probe>,
}
