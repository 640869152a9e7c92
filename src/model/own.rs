//! Checks of a project's own: what a service's `checks` say is to be looked at, and what is done where it is not well.
//!
//! Never: looks at anything; `world::checks` does, and the engine judges.

use std::{path::PathBuf, time::Duration};

use super::{
    exam::{Grade, Target},
    hooks::HookResult,
    ids::{RunId, ServiceId},
    service::CommandLine,
};

/// Names of figures that checks of one's own give; the rules that judge them have the same.
pub mod figures {
    /// Seconds until a certificate or token expires; 0 where it has.
    pub const EXPIRES: &str = "expires-in";
    /// Seconds that an answer took.
    pub const LATENCY: &str = "latency";
    /// Deliveries that failed and wait to be sent again.
    pub const FAILED: &str = "failed-deliveries";
    /// Bytes that files take.
    pub const SIZE: &str = "size";
    /// Seconds since the newest data.
    pub const AGE: &str = "age";
    /// Things that wait in a queue.
    pub const DEPTH: &str = "queue-depth";
    /// Seconds that the oldest of them has waited.
    pub const OLDEST: &str = "oldest-job";
    /// Whatever a command prints.
    pub const VALUE: &str = "value";
    /// Files that the policy of a storage check does not keep.
    pub const BEYOND: &str = "beyond-policy";
}

/// One of a service's `checks`.
#[derive(Debug, Clone, PartialEq)]
pub struct Own {
    /// What is looked at.
    pub check: OwnCheck,
    /// What is done where it is not well; none: it is only told.
    pub mending: Option<Mending>,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnCheck {
    /// When a certificate expires.
    Certificate(CertificateOf),
    /// When a token expires.
    Token(TokenOf),
    /// Whether a webhook's receiver answers, and what could not be delivered.
    Webhook(Webhook),
    /// Whether a WebSocket server sends back what it is sent, also after a dropped connection.
    Echo {
        /// Whom; its path is asked for.
        target: Target,
        /// What is sent.
        text: String,
    },
    /// What files take, and which are beyond what is to be kept.
    Storage(Storage),
    /// How old the newest data is.
    Fresh(FreshOf),
    /// How much waits in a queue.
    Queue(QueueOf),
    /// Whatever a command prints: a number, or `{"value": 3, "limit": 10}`.
    Figure(CommandLine),
}

/// Where a certificate is.
#[derive(Debug, Clone, PartialEq)]
pub enum CertificateOf {
    /// A server shows it in TLS's handshake.
    Server(Target),
    /// A file in PEM or DER has it.
    File(PathBuf),
}

/// Where a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenOf {
    /// A file has it: the token alone, or JSON with `expires_at`, `expires_in` or a token.
    File(PathBuf),
    /// A variable of the service has it.
    Env(String),
    /// A command writes it.
    Command(CommandLine),
}

/// A receiver of events, and what it did not take.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Whom.
    pub target: Target,
    /// Path and query, beginning with a slash.
    pub path: String,
    /// The method of deliveries: `POST`.
    pub method: String,
    /// What a ping has as body.
    pub body: String,
    /// The variable of the service whose value signs bodies; none: they are not signed.
    pub secret_env: Option<String>,
    /// The header of the signature: `X-Hub-Signature-256`.
    pub signature: String,
    /// Each look sends a ping; false: it only asks what is allowed there (`OPTIONS`).
    pub send: bool,
    /// A directory of deliveries that failed, one JSON file each.
    pub deadletter: Option<PathBuf>,
}

/// Directories, and what of them is to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Absolute directories.
    pub paths: Vec<PathBuf>,
    /// The most that they may take together, bytes.
    pub quota: Option<u64>,
    /// What is kept; none: everything.
    pub keep: Option<Keep>,
    /// No path may lead out of this directory; none: `outside: true` was written.
    pub within: Option<PathBuf>,
}

/// Which files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those changed within this time.
    For(Duration),
    /// So many of each path, those changed last.
    Newest(u32),
}

/// Where the newest data is told.
#[derive(Debug, Clone, PartialEq)]
pub enum FreshOf {
    /// The time at which a file, or the newest file of a directory, was changed.
    File(PathBuf),
    /// The first value that a query of `PostgreSQL` gives.
    Postgres {
        /// Whom.
        target: Target,
        /// Which query.
        query: String,
    },
    /// The first value that a query of a `SQLite` file gives.
    Sqlite {
        /// The file.
        file: PathBuf,
        /// Which query.
        query: String,
    },
    /// A value in JSON that a URL answers.
    Http {
        /// Whom.
        target: Target,
        /// Path and query, beginning with a slash.
        path: String,
        /// Where in it (RFC 6901); empty: the whole.
        pointer: String,
    },
}

/// A queue.
#[derive(Debug, Clone, PartialEq)]
pub enum QueueOf {
    /// A list, stream, set or sorted set of Redis.
    Redis {
        /// Whom.
        target: Target,
        /// Which key.
        key: String,
    },
    /// A query of `PostgreSQL`: depth first, and if there is a second value, when the oldest was put there.
    Postgres {
        /// Whom.
        target: Target,
        /// Which query.
        query: String,
    },
    /// Files of a directory.
    Dir(PathBuf),
}

impl OwnCheck {
    /// A short text for screens: `certificate of localhost:8443`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Certificate(CertificateOf::Server(target)) => format!("certificate of {}", target.place()),
            Self::Certificate(CertificateOf::File(file)) => format!("certificate {}", file.display()),
            Self::Token(TokenOf::File(file)) => format!("token {}", file.display()),
            Self::Token(TokenOf::Env(name)) => format!("token of {name}"),
            Self::Token(TokenOf::Command(command)) => format!("token of {}", command.display()),
            Self::Webhook(webhook) => format!("webhook {}{}", webhook.target.place(), webhook.path),
            Self::Echo { target, .. } => format!("echo of {}", target.place()),
            Self::Storage(storage) => {
                let paths: Vec<String> = storage.paths.iter().map(|path| path.display().to_string()).collect();
                format!("storage {}", paths.join(", "))
            }
            Self::Fresh(FreshOf::File(file) | FreshOf::Sqlite { file, .. }) => {
                format!("freshness of {}", file.display())
            }
            Self::Fresh(FreshOf::Postgres { target, .. } | FreshOf::Http { target, .. }) => {
                format!("freshness of {}", target.place())
            }
            Self::Queue(QueueOf::Redis { target, key }) => format!("queue {key} of {}", target.place()),
            Self::Queue(QueueOf::Postgres { target, .. }) => format!("queue of {}", target.place()),
            Self::Queue(QueueOf::Dir(dir)) => format!("queue {}", dir.display()),
            Self::Figure(command) => format!("figure of {}", command.display()),
        }
    }

    /// Whom it asks over the network.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        match self {
            Self::Certificate(CertificateOf::Server(target))
            | Self::Webhook(Webhook { target, .. })
            | Self::Echo { target, .. }
            | Self::Fresh(FreshOf::Postgres { target, .. } | FreshOf::Http { target, .. })
            | Self::Queue(QueueOf::Redis { target, .. } | QueueOf::Postgres { target, .. }) => Some(target),
            Self::Certificate(CertificateOf::File(_))
            | Self::Token(_)
            | Self::Storage(_)
            | Self::Fresh(FreshOf::File(_) | FreshOf::Sqlite { .. })
            | Self::Queue(QueueOf::Dir(_))
            | Self::Figure(_) => None,
        }
    }

    /// The command that it runs.
    #[must_use]
    pub const fn command(&self) -> Option<&CommandLine> {
        match self {
            Self::Token(TokenOf::Command(command)) | Self::Figure(command) => Some(command),
            Self::Certificate(_)
            | Self::Token(TokenOf::File(_) | TokenOf::Env(_))
            | Self::Webhook(_)
            | Self::Echo { .. }
            | Self::Storage(_)
            | Self::Fresh(_)
            | Self::Queue(_) => None,
        }
    }
}

/// What is done where a check is not well, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Mending {
    /// What.
    pub fix: Fix,
    /// From which grade on: a warning, or critical.
    pub at: Grade,
    /// It is begun at most once in this time.
    pub cooldown: Duration,
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Fix {
    /// A command, run where and as the service runs.
    Run(CommandLine),
    /// What a webhook's receiver did not take is sent again.
    Replay,
    /// Files beyond what a storage check keeps are removed.
    Clean,
}

impl Fix {
    /// In words: `sending 3 …` is what it came to, this is what it is.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Run(command) => command.display(),
            Self::Replay => "replay of failed deliveries".to_owned(),
            Self::Clean => "clean-up of what is not kept".to_owned(),
        }
    }

    /// Whether a finding of this name is one that it can mend.
    #[must_use]
    pub fn mends(&self, check: &str) -> bool {
        match self {
            Self::Run(_) => true,
            Self::Replay => check == figures::FAILED,
            Self::Clean => check == figures::BEYOND,
        }
    }
}

/// A fix that the world is asked to carry out.
#[derive(Debug, Clone, PartialEq)]
pub struct FixRound {
    /// Beside which run.
    pub run: RunId,
    /// The exam's name.
    pub exam: String,
    /// Which of the exam's fixes of this run; a late answer of an earlier one is known by it.
    pub round: u64,
    /// What is done, and about what.
    pub own: std::sync::Arc<Own>,
}

/// What a fix came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Whose; its run may be over.
    pub service: ServiceId,
    /// Beside which run it was.
    pub run: RunId,
    /// The exam's name.
    pub exam: String,
    /// Which round.
    pub round: u64,
    /// How it ended, and the last lines of what it wrote.
    pub result: HookResult,
}
