//! Hooks: commands that are run around the life of a service.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ids::RunId,
    phase::Exit,
    service::{CommandLine, ServiceSpec},
};

/// Lines of output that are kept of a hook, the last ones.
pub const KEPT_LINES: usize = 20;

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookKind {
    /// Before every start; its failure is a failed start.
    PreStart,
    /// Once after the process is up; its failure ends nothing.
    PostStart,
    /// Before the signal of a stop, within the grace time.
    PreStop,
    /// After a run ended unasked with a failure, or was given up on.
    OnFailure,
}

impl HookKind {
    /// All of them, in the order in which they come.
    pub const ALL: [Self; 4] = [Self::PreStart, Self::PostStart, Self::PreStop, Self::OnFailure];

    /// The word used in files and sentences.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::PreStart => "pre_start",
            Self::PostStart => "post_start",
            Self::PreStop => "pre_stop",
            Self::OnFailure => "on_failure",
        }
    }

    /// How long a command of it may take where its file does not say.
    #[must_use]
    pub const fn default_timeout(self) -> Duration {
        match self {
            Self::PreStart => Duration::from_mins(1),
            Self::PostStart | Self::PreStop | Self::OnFailure => Duration::from_secs(10),
        }
    }
}

/// One command of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCommand {
    /// What is executed.
    pub command: CommandLine,
    /// When it is ended, and has failed.
    pub timeout: Duration,
}

/// The hooks of a service: commands in order, the first that fails ends its hook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// See [`HookKind::PreStart`].
    pub pre_start: Vec<HookCommand>,
    /// See [`HookKind::PostStart`].
    pub post_start: Vec<HookCommand>,
    /// See [`HookKind::PreStop`].
    pub pre_stop: Vec<HookCommand>,
    /// See [`HookKind::OnFailure`].
    pub on_failure: Vec<HookCommand>,
}

impl Hooks {
    /// The commands of one hook; empty: there is none.
    #[must_use]
    pub fn of(&self, kind: HookKind) -> &[HookCommand] {
        match kind {
            HookKind::PreStart => &self.pre_start,
            HookKind::PostStart => &self.post_start,
            HookKind::PreStop => &self.pre_stop,
            HookKind::OnFailure => &self.on_failure,
        }
    }
}

/// What `on_failure` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A sentence.
    pub reason: String,
    /// How the run ended.
    pub exit: Exit,
}

/// One hook that the world is asked to carry out.
#[derive(Debug, Clone)]
pub struct HookRound {
    /// The run that it belongs to; also what tells a late answer from one that counts.
    pub run: RunId,
    /// Which hook.
    pub hook: HookKind,
    /// Whose commands, directory and environment.
    pub spec: Arc<ServiceSpec>,
    /// All commands together may take no longer; none: each its own time.
    pub limit: Option<Duration>,
    /// Of `on_failure`: why.
    pub failure: Option<Failure>,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookOutcome {
    /// Every command ended with code 0.
    Passed,
    /// One did not, which the clause names: the others were not run.
    Failed(String),
    /// It was ended because nobody needs it any more.
    CalledOff,
}

/// What a hook came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookResult {
    /// How it ended.
    pub outcome: HookOutcome,
    /// The last lines of what it wrote, oldest first, sanitised, at most [`KEPT_LINES`].
    pub output: Vec<String>,
    /// How long it took.
    pub took: Duration,
}
