//! Where a service stands.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ids::{RunId, ServiceId, ServiceName},
    probe::ProbeKind,
    service::Condition,
    signal::signal_name,
    time::{Timestamp, short_duration},
};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
pub enum Exit {
    /// `exit(code)`, 0 to 255.
    Code(i32),
    /// Ended by a signal (its number).
    Signal(i32),
    /// Ended by the kernel's out-of-memory killer.
    OutOfMemory {
        /// The memory limit of its cgroup, bytes; none: the machine itself had none left.
        limit_bytes: Option<u64>,
        /// The most that it had in this run, bytes, as the kernel counted; none where it did not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peak_bytes: Option<u64>,
    },
    /// The machine was started anew while it ran.
    Rebooted,
    /// It could never be executed: the sentence says why (no such program, no such directory, not permitted).
    SpawnFailed(String),
    /// Its container was removed by somebody else while it ran.
    Removed,
    /// It is gone and nobody saw how.
    Unknown,
}

impl Exit {
    /// Exit code 0.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => write!(f, "{}", signal_name(*number)),
            Self::OutOfMemory { limit_bytes, peak_bytes } => {
                match limit_bytes {
                    Some(limit) => write!(f, "killed by the kernel for memory: limit {} MiB", limit >> 20)?,
                    None => write!(f, "killed by the kernel for memory: the machine had none left")?,
                }
                peak_bytes.map_or(Ok(()), |peak| write!(f, ", peak {} MiB", peak >> 20))
            }
            Self::Rebooted => write!(f, "ended with the machine's restart"),
            Self::SpawnFailed(why) => write!(f, "could not be started: {why}"),
            Self::Removed => write!(f, "its container was removed by someone else"),
            Self::Unknown => write!(f, "ended, exit status unknown"),
        }
    }
}

/// Who holds a port that a service wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PortHolder {
    /// The port.
    pub port: u16,
    /// The listening process, where it could be seen.
    pub pid: Option<u32>,
    /// Its command line or name, where it could be seen.
    pub command: Option<String>,
    /// Since when it runs, microseconds since the Unix epoch, where it could be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_us: Option<i64>,
    /// Whose it is, where that is another user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The service that it is a process of, where it is one of cas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// What else keeps the service from starting, a sentence; then there is no port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl PortHolder {
    /// Something other than a port.
    #[must_use]
    pub const fn because(why: String) -> Self {
        Self { port: 0, pid: None, command: None, since_us: None, user: None, service: None, because: Some(why) }
    }

    /// As by `Display`, with how long it has been there at `now_us`: `port 80 is held by nginx (pid 7, since 2h 3m)`.
    #[must_use]
    pub fn told_at(&self, now_us: i64) -> String {
        let since = self.since_us.map(|since| {
            let there = u64::try_from(now_us.saturating_sub(since)).unwrap_or(0);
            format!("since {}", short_duration(Duration::from_secs(there / 1_000_000)))
        });
        self.told(since)
    }

    fn told(&self, since: Option<String>) -> String {
        if let Some(because) = &self.because {
            return because.clone();
        }
        let mut about = Vec::new();
        let user = self.user.as_deref();
        let who = match (&self.service, &self.command, self.pid, user) {
            (Some(service), command, _, _) => {
                about.extend(command.clone());
                service.to_string()
            }
            (None, Some(command), _, _) => command.clone(),
            (None, None, Some(pid), _) => format!("pid {pid}"),
            (None, None, None, Some(user)) => format!("a process of {user}"),
            (None, None, None, None) => "a process of another user".to_owned(),
        };
        let is_named = self.service.is_some() || self.command.is_some();
        about.extend(self.pid.filter(|_| is_named).map(|pid| format!("pid {pid}")));
        about.extend(user.filter(|_| self.pid.is_some()).map(|user| format!("user {user}")));
        about.extend(since);
        let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
        format!("port {} is held by {who}{about}", self.port)
    }
}

impl fmt::Display for PortHolder {
    /// With the moment since when it is there, which does not change while one looks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since_us.map(|wall_us| {
            let since = Timestamp { mono_us: 0, wall_us }.wall();
            format!("since {}", since.format("%Y-%m-%d %H:%M UTC"))
        });
        f.write_str(&self.told(since))
    }
}

/// What a service waits for before it may start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "for")]
pub enum Hold {
    /// A dependency whose condition does not hold yet.
    Dependency {
        /// The dependency.
        service: ServiceName,
        /// The condition.
        condition: Condition,
        /// What the dependency is doing instead.
        state: String,
    },
    /// The global restart budget is spent; a token comes back soon.
    RestartBudget,
}

/// What happens after the run that is being stopped is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AfterStop {
    /// Stay stopped.
    StayStopped,
    /// Start again (a restart asked for by a person, or a change of configuration).
    StartAgain,
    /// Let the restart policy decide, as after a crash (the healer ended it: a probe failed).
    AskPolicy,
}

/// Where a service stands. One truth: everything else about it follows from this and its spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Phase {
    /// Not wanted, not there.
    Stopped {
        /// Since when.
        since: Timestamp,
    },
    /// Wanted, held by something named.
    Waiting {
        /// Since when.
        since: Timestamp,
        /// Never empty.
        holds: Vec<Hold>,
    },
    /// Wanted, and the machine does not allow it: a port is taken. Looked at again every two seconds; costs no restart.
    Blocked {
        /// Since when.
        since: Timestamp,
        /// Never empty.
        holders: Vec<PortHolder>,
    },
    /// A spawn is under way.
    Starting {
        /// The run.
        run: RunId,
        /// Since when.
        since: Timestamp,
    },
    /// A process runs.
    Running {
        /// The run.
        run: RunId,
        /// The main process.
        pid: u32,
        /// Since when.
        since: Timestamp,
    },
    /// It was asked to end; something of it is still there.
    Stopping {
        /// The run.
        run: RunId,
        /// Since when.
        since: Timestamp,
        /// When SIGKILL follows.
        kill_at: Timestamp,
        /// What comes then.
        then: AfterStop,
    },
    /// It ended; the healer starts it again at `until`.
    BackingOff {
        /// Consecutive restart number, from 1.
        attempt: u32,
        /// Since when.
        since: Timestamp,
        /// When it is started.
        until: Timestamp,
        /// How the last run ended.
        exit: Exit,
    },
    /// It ended and its policy does not want it again.
    Exited {
        /// Since when.
        since: Timestamp,
        /// How.
        exit: Exit,
    },
    /// The breaker is open: too many starts in a row never became stable. A person must start it.
    GaveUp {
        /// Consecutive starts that never became stable.
        attempts: u32,
        /// Since when.
        since: Timestamp,
        /// How the last run ended.
        exit: Exit,
    },
}

impl Phase {
    /// The word shown and written: also the value of `phase` in `status --json`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Stopped { .. } => "stopped",
            Self::Waiting { .. } => "waiting",
            Self::Blocked { .. } => "blocked",
            Self::Starting { .. } => "starting",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
            Self::BackingOff { .. } => "backing-off",
            Self::Exited { exit: Exit::Code(0), .. } => "completed",
            Self::Exited { .. } => "failed",
            Self::GaveUp { .. } => "gave-up",
        }
    }

    /// One column that tells phases apart without colour.
    #[must_use]
    pub const fn glyph(&self) -> &'static str {
        match self {
            Self::Stopped { .. } => "○",
            Self::Waiting { .. } => "◌",
            Self::Blocked { .. } => "⊘",
            Self::Starting { .. } => "◔",
            Self::Running { .. } => "●",
            Self::Stopping { .. } => "◐",
            Self::BackingOff { .. } => "↻",
            Self::Exited { exit: Exit::Code(0), .. } => "✓",
            Self::Exited { .. } | Self::GaveUp { .. } => "✗",
        }
    }

    /// When this phase began.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        match self {
            Self::Stopped { since }
            | Self::Waiting { since, .. }
            | Self::Blocked { since, .. }
            | Self::Starting { since, .. }
            | Self::Running { since, .. }
            | Self::Stopping { since, .. }
            | Self::BackingOff { since, .. }
            | Self::Exited { since, .. }
            | Self::GaveUp { since, .. } => *since,
        }
    }

    /// The run that exists now, if any.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        match self {
            Self::Starting { run, .. } | Self::Running { run, .. } | Self::Stopping { run, .. } => Some(*run),
            Self::Stopped { .. }
            | Self::Waiting { .. }
            | Self::Blocked { .. }
            | Self::BackingOff { .. }
            | Self::Exited { .. }
            | Self::GaveUp { .. } => None,
        }
    }

    /// How much it deserves a look: 0 nothing, 1 in motion, 2 held up, 3 broken.
    #[must_use]
    pub const fn concern(&self) -> u8 {
        match self {
            Self::Stopped { .. } | Self::Running { .. } | Self::Exited { exit: Exit::Code(0), .. } => 0,
            Self::Starting { .. } | Self::Stopping { .. } | Self::Waiting { .. } => 1,
            Self::BackingOff { .. } | Self::Blocked { .. } => 2,
            Self::Exited { .. } | Self::GaveUp { .. } => 3,
        }
    }
}

/// What the probes say about the present run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Health {
    /// There is no probe, or nothing runs.
    Unknown,
    /// Probes have not yet passed for the first time.
    Starting {
        /// Since when.
        since: Timestamp,
    },
    /// All that is asked is answered well.
    Healthy {
        /// Since when.
        since: Timestamp,
    },
    /// A probe failed `retries` times in a row.
    Unhealthy {
        /// Since when.
        since: Timestamp,
        /// Which question.
        probe: ProbeKind,
        /// What came back last.
        detail: String,
    },
    /// A probe cannot be put (its command is missing): shown red, never taken for healthy.
    Misconfigured {
        /// Which question.
        probe: ProbeKind,
        /// What is wrong with it.
        detail: String,
    },
}

impl Health {
    /// The word shown and written: also the value of `health` in `status --json`.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Starting { .. } => "starting",
            Self::Healthy { .. } => "healthy",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Misconfigured { .. } => "misconfigured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PortHolder;
    use crate::model::ids::ServiceId;

    const HOUR_US: i64 = 3600 * 1_000_000;

    fn holder() -> PortHolder {
        PortHolder {
            port: 80,
            pid: Some(7),
            command: Some("nginx".to_owned()),
            since_us: None,
            user: None,
            service: None,
            because: None,
        }
    }

    #[test]
    fn a_holder_is_told_with_all_that_is_known_of_it() {
        let service = ServiceId { project: "blog".parse().unwrap(), service: "web".parse().unwrap() };
        let nobody = PortHolder { pid: None, command: None, ..holder() };
        for (holder, told) in [
            (holder(), "port 80 is held by nginx (pid 7)"),
            (PortHolder { command: None, ..holder() }, "port 80 is held by pid 7"),
            (nobody.clone(), "port 80 is held by a process of another user"),
            (PortHolder { user: Some("root".to_owned()), ..nobody }, "port 80 is held by a process of root"),
            (
                PortHolder { user: Some("root".to_owned()), since_us: Some(0), ..holder() },
                "port 80 is held by nginx (pid 7, user root, since 1970-01-01 00:00 UTC)",
            ),
            (PortHolder { service: Some(service), ..holder() }, "port 80 is held by blog/web (nginx, pid 7)"),
        ] {
            assert_eq!(holder.to_string(), told);
        }
        let there = PortHolder { since_us: Some(HOUR_US), ..holder() };
        assert_eq!(there.told_at(3 * HOUR_US + 60_000_000), "port 80 is held by nginx (pid 7, since 2h 1m)");
        assert_eq!(there.told_at(0), "port 80 is held by nginx (pid 7, since 0 ms)", "a clock that was set back");
    }
}
