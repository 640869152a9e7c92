//! What a service is supposed to be.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    attributes::Attributes,
    container::ContainerSpec,
    exam::Nature,
    hooks::Hooks,
    ids::{ServiceId, ServiceName},
    log_file::LogFiles,
    occasion::Occasions,
    probe::{Probe, ProbeKind},
    secret::SecretSource,
    signal::Signal,
    time::human,
};

/// What is executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommandLine {
    /// An argument vector; no shell sees it. Never empty.
    Argv(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
}

impl CommandLine {
    /// As a person would type it.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Self::Shell(line) => line.clone(),
            Self::Argv(argv) => shlex::try_join(argv.iter().map(String::as_str)).unwrap_or_else(|_| argv.join(" ")),
        }
    }

    /// Program and arguments as they are executed.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Argv(argv) => argv.clone(),
            Self::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        }
    }
}

/// What a service is, to the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// A process of this machine.
    Process,
    /// A container.
    Container,
}

impl ServiceKind {
    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Container => "container",
        }
    }
}

/// When a dependency lets its dependents start (compose's words, and `service_log_ready`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It runs.
    ServiceStarted,
    /// Its readiness (and startup) probe passes.
    ServiceHealthy,
    /// It ran and ended with exit code 0.
    ServiceCompletedSuccessfully,
    /// A line of its output matched its `ready_log_line` in this run.
    ServiceLogReady,
}

impl Condition {
    /// The word used in files.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ServiceStarted => "service_started",
            Self::ServiceHealthy => "service_healthy",
            Self::ServiceCompletedSuccessfully => "service_completed_successfully",
            Self::ServiceLogReady => "service_log_ready",
        }
    }
}

/// When a service that ended is started again (compose's words).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never.
    No,
    /// After a non-zero exit code, a signal or a failed probe; at most `max_retries` consecutive times where given.
    OnFailure {
        /// Upper bound of consecutive restarts; none: only the breaker bounds them.
        max_retries: Option<u32>,
    },
    /// After every end that nobody asked for.
    Always,
    /// As `always`, but a service that was stopped by hand stays stopped when its project is opened again.
    UnlessStopped,
}

impl RestartPolicy {
    /// The word used in files.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure { .. } => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }
}

/// How the bound of the delay grows from one restart in a row to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// `base * factor^(n-1)`.
    #[default]
    Exponential,
    /// `base * n`.
    Linear,
    /// `base`, always.
    Fixed,
    /// `base` times 1, 1, 2, 3, 5, 8, …
    Fibonacci,
    /// There are no restarts by the healer: the policy is that of `restart: "no"`, whatever was written.
    None,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 5] = [Self::Exponential, Self::Linear, Self::Fixed, Self::Fibonacci, Self::None];

    /// The word used in files.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Exponential => "exponential",
            Self::Linear => "linear",
            Self::Fixed => "fixed",
            Self::Fibonacci => "fibonacci",
            Self::None => "none",
        }
    }

    /// From the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.label().eq_ignore_ascii_case(text))
    }

    /// What `base` is multiplied with before restart `attempt` (1-based).
    fn growth(self, factor: f64, attempt: u32) -> f64 {
        match self {
            Self::Exponential => factor.max(1.0).powi(i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX)),
            Self::Linear => f64::from(attempt.max(1)),
            Self::Fixed | Self::None => 1.0,
            // The hundredth is longer than any ceiling.
            Self::Fibonacci => (1..attempt.min(100)).fold((1.0, 1.0), |(a, b), _| (b, a + b)).0,
        }
    }
}

/// How restarts are spaced, and when to give up.
///
/// Delay before restart `n` (1-based) is uniform in `0..=min(ceiling, base * growth(n))`, where the strategy says how it grows: "full jitter", Marc Brooker,
/// "Exponential Backoff and Jitter", AWS Architecture Blog, 2015. The first restart after a stable run waits for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Backoff {
    /// How it grows. Default exponential.
    #[serde(default)]
    pub strategy: Strategy,
    /// First bound. Default 500 ms; 0 means at once, always.
    #[serde(with = "human")]
    #[schemars(with = "String")]
    pub base: Duration,
    /// Growth per consecutive restart of the exponential strategy, at least 1. Default 2.
    pub factor: f64,
    /// Largest bound. Default 60 s.
    #[serde(with = "human")]
    #[schemars(with = "String")]
    pub ceiling: Duration,
    /// A run that lasted this long (and is not unhealthy) was stable: counts start anew. Default 10 s.
    #[serde(with = "human")]
    #[schemars(with = "String")]
    pub stable: Duration,
    /// Consecutive starts that never became stable after which the breaker opens; 0 means never. Default 8.
    pub give_up_after: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            base: Duration::from_millis(500),
            factor: 2.0,
            ceiling: Duration::from_mins(1),
            stable: Duration::from_secs(10),
            give_up_after: 8,
        }
    }
}

impl Backoff {
    /// The largest delay before consecutive restart `attempt` (1-based), before jitter.
    #[must_use]
    pub fn bound(&self, attempt: u32) -> Duration {
        if self.base.is_zero() {
            return Duration::ZERO;
        }
        let secs = self.base.as_secs_f64() * self.strategy.growth(self.factor, attempt);
        // Not finite after many attempts: larger than any ceiling.
        if secs < self.ceiling.as_secs_f64() { Duration::from_secs_f64(secs) } else { self.ceiling }
    }
}

/// How a service is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StopPlan {
    /// The first signal, to the main process's whole group. Default SIGTERM.
    pub signal: Signal,
    /// Time until SIGKILL to everything that is left. Default 10 s.
    #[serde(with = "human")]
    #[schemars(with = "String")]
    pub grace: Duration,
}

impl Default for StopPlan {
    fn default() -> Self {
        Self { signal: Signal::Term, grace: Duration::from_secs(10) }
    }
}

/// One edge of the dependency graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Dependency {
    /// What must hold before the dependent starts.
    pub condition: Condition,
    /// Restart the dependent after the dependency was restarted by a person (compose's `restart: true`).
    pub restart: bool,
    /// Where false, a dependency that is absent or gave up does not hold the dependent (compose's `required: false`).
    pub required: bool,
}

/// The environment that a service begins with, below what its file sets: that of whoever opened the project. May hold secrets.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct BaseEnvironment(pub Arc<BTreeMap<String, String>>);

impl std::fmt::Debug for BaseEnvironment {
    /// How many, never which.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} variables", self.0.len())
    }
}

/// How the processes of a service are held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Containment {
    /// Session, descent and marks in the environment: what clears them all may escape, and limits are not enforced.
    #[default]
    ProcessGroup,
    /// A cgroup: nothing escapes, use is exact, limits hold.
    Cgroup,
}

/// What a service may use at most (compose's `deploy.resources.limits`); none: what the machine gives.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Limits {
    /// Cores, such as 1.5.
    pub cpus: Option<f64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// What happens to output that a full disk does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFull {
    /// It is dropped, counted and marked; the service goes on.
    #[default]
    Drop,
    /// The service waits in its write(2) until there is room.
    Block,
}

/// How output of a service is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogPolicy {
    /// Bytes on disk over all segments, archives included. Default 64 MiB; at least 64 KiB.
    pub max_size: u64,
    /// Closed segments whose newest line is older are removed; none: kept.
    pub max_age: Option<Duration>,
    /// On a full disk.
    pub on_full: OnFull,
    /// Standard error apart from standard output. Where false both go through one FIFO and keep their order exactly.
    pub split_streams: bool,
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self { max_size: 64 << 20, max_age: None, on_full: OnFull::Drop, split_streams: true }
    }
}

impl LogPolicy {
    /// Bytes after which a segment is closed: an eighth of all, between 32 KiB and 8 MiB.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        (self.max_size / 8).clamp(32 << 10, 8 << 20)
    }
}

/// A place in a file of the user's; lines and columns from 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Line from 1.
    pub line: u32,
    /// Column from 1.
    pub column: u32,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A TCP port of this machine that the service will listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Port(pub u16);

/// Everything that is needed to run a service; fully resolved, nothing left to look up.
#[derive(Clone, PartialEq)]
pub struct ServiceSpec {
    /// Project and name.
    pub id: ServiceId,
    /// What kind of thing it is.
    pub kind: ServiceKind,
    /// What is executed; of a container image and command, for people.
    pub command: CommandLine,
    /// What its container is made from; none of a process.
    pub container: Option<Arc<ContainerSpec>>,
    /// Absolute directory in which it is executed.
    pub working_dir: PathBuf,
    /// What is added to or overrides cas's own environment. May hold secrets: never in a snapshot, only the names are.
    pub environment: BTreeMap<String, String>,
    /// What it is given besides, by variable: had anew at each start, and never kept.
    pub secrets: BTreeMap<String, SecretSource>,
    /// The environment that it begins with; none: cas's own.
    pub base_environment: Option<BaseEnvironment>,
    /// What it may use.
    pub limits: Limits,
    /// As what it begins.
    pub attributes: Attributes,
    /// How its output is kept.
    pub logs: LogPolicy,
    /// Files that it writes itself.
    pub log_files: Arc<[LogFiles]>,
    /// It runs in a pseudo-terminal.
    pub tty: bool,
    /// What must hold before it starts.
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// What kind of service it is, where that is known.
    pub nature: Option<Arc<Nature>>,
    /// Probes by question.
    pub probes: BTreeMap<ProbeKind, Arc<Probe>>,
    /// Pattern in the output that means "ready" to `service_log_ready` (syntax of the `regex` crate).
    pub ready_log_line: Option<String>,
    /// When to start it again.
    pub restart: RestartPolicy,
    /// How to space restarts.
    pub backoff: Backoff,
    /// How to end it.
    pub stop: StopPlan,
    /// What is run around its life.
    pub hooks: Hooks,
    /// Ports that it will listen on; checked for a foreign owner before each start.
    pub ports: Vec<Port>,
    /// Started when the project is opened.
    pub autostart: bool,
    /// What else starts it, and as how many.
    pub occasions: Occasions,
    /// Where it was declared.
    pub source: Source,
    /// Free text for people.
    pub description: Option<String>,
}

impl ServiceSpec {
    /// Names of the variables that its file gives it, sorted; those of secrets among them.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.environment.keys().chain(self.secrets.keys()).collect();
        names.into_iter().cloned().collect()
    }
}

impl std::fmt::Debug for ServiceSpec {
    /// The id and where it is declared: the rest may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceSpec").field("id", &self.id).field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, Strategy};

    #[test]
    fn each_strategy_grows_in_its_way_up_to_the_ceiling() {
        let bounds = |strategy| {
            let backoff = Backoff {
                strategy,
                base: Duration::from_secs(1),
                ceiling: Duration::from_secs(6),
                ..Backoff::default()
            };
            [1, 2, 3, 4, 5, 6, 5000].map(|attempt| backoff.bound(attempt).as_secs())
        };
        assert_eq!(bounds(Strategy::Exponential), [1, 2, 4, 6, 6, 6, 6]);
        assert_eq!(bounds(Strategy::Linear), [1, 2, 3, 4, 5, 6, 6]);
        assert_eq!(bounds(Strategy::Fixed), [1; 7]);
        assert_eq!(bounds(Strategy::Fibonacci), [1, 1, 2, 3, 5, 6, 6]);
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::parse(strategy.label()), Some(strategy));
        }
    }

    #[test]
    fn a_bound_grows_to_the_ceiling_and_never_past_it() {
        let backoff = Backoff::default();
        let bounds: Vec<_> = [1, 2, 3, 8, 5000].map(|attempt| backoff.bound(attempt).as_millis()).to_vec();
        assert_eq!(bounds, [500, 1000, 2000, 60_000, 60_000]);
        let at_once = Backoff { base: Duration::ZERO, ..backoff };
        assert!([1, 5, 5000].iter().all(|attempt| at_once.bound(*attempt).is_zero()));
    }
}
