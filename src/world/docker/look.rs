//! What Docker says of a container, in the words of the model.

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, RestartPolicyNameEnum};

use super::{call::quoted, follow::nanoseconds};
use crate::model::{container::Healer, phase::Exit, probe::ProbeOutcome, time::Timestamp};
use crate::world::clock;

/// Exit codes of what a signal ended begin behind this (POSIX, 2.8.2; Docker has it so, too).
const BY_SIGNAL: i64 = 128;
/// The largest signal of Linux.
const LAST_SIGNAL: i64 = 64;

/// What its own health check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OwnHealth {
    /// It has none.
    None,
    /// It has not passed yet.
    Starting,
    Healthy,
    /// With what came last.
    Unhealthy(String),
}

impl OwnHealth {
    pub(super) fn outcome(&self) -> ProbeOutcome {
        match self {
            Self::None | Self::Healthy => ProbeOutcome::Passed,
            Self::Starting => ProbeOutcome::Failed("its own health check has not passed yet".to_owned()),
            Self::Unhealthy(said) if said.is_empty() => {
                ProbeOutcome::Failed("its own health check says that it is unhealthy".to_owned())
            }
            Self::Unhealthy(said) => ProbeOutcome::Failed(format!("its own health check says: {said}")),
        }
    }
}

/// A container as it was looked at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    pub(super) id: String,
    /// Its name, without the slash.
    pub(super) name: String,
    pub(super) state: State,
    /// Its main process, by the numbers of Docker's machine; 0: none.
    pub(super) pid: u32,
    /// When it was started last, in Docker's words.
    pub(super) started: String,
    pub(super) is_paused: bool,
    pub(super) health: OwnHealth,
    pub(super) healer: Healer,
    pub(super) has_tty: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// Made, and never started.
    Created,
    Running,
    /// Docker's own restart policy starts it again in a moment.
    Restarting,
    Ended {
        exit: Exit,
        at: Timestamp,
    },
}

impl Look {
    pub(super) fn of(inspected: ContainerInspectResponse, limit_bytes: Option<u64>) -> Self {
        let state = inspected.state.unwrap_or_default();
        let host = inspected.host_config.unwrap_or_default();
        let status = state.status.unwrap_or(ContainerStateStatusEnum::EMPTY);
        let is_running = state.running == Some(true);
        let limit = limit_bytes
            .or_else(|| host.memory.and_then(|memory| u64::try_from(memory).ok()).filter(|memory| *memory > 0));
        let at = state.finished_at.as_deref().and_then(instant).unwrap_or_else(clock::now);
        let code = state.exit_code.unwrap_or(0);
        let exit = if state.oom_killed == Some(true) {
            Exit::OutOfMemory { limit_bytes: limit, peak_bytes: None }
        } else {
            exit_of(code)
        };
        let now = if state.restarting == Some(true) {
            State::Restarting
        } else if is_running {
            State::Running
        } else if status == ContainerStateStatusEnum::CREATED {
            State::Created
        } else {
            State::Ended { exit, at }
        };
        let health = match state.health.as_ref().and_then(|health| health.status) {
            Some(HealthStatusEnum::STARTING) => OwnHealth::Starting,
            Some(HealthStatusEnum::HEALTHY) => OwnHealth::Healthy,
            Some(HealthStatusEnum::UNHEALTHY) => {
                let log = state.health.and_then(|health| health.log).unwrap_or_default();
                OwnHealth::Unhealthy(log.last().and_then(|last| last.output.as_deref()).map(quoted).unwrap_or_default())
            }
            Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE) | None => OwnHealth::None,
        };
        Self {
            id: inspected.id.unwrap_or_default(),
            name: inspected.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            state: now,
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
            started: state.started_at.unwrap_or_default(),
            is_paused: state.paused == Some(true),
            health,
            healer: healer_of(host.restart_policy.and_then(|policy| policy.name)),
            has_tty: inspected.config.is_some_and(|config| config.tty == Some(true)),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running | State::Restarting)
    }

    /// When it was started, on both clocks.
    pub(super) fn since(&self) -> Timestamp {
        instant(&self.started).unwrap_or_else(clock::now)
    }
}

/// Who restarts a container with this policy.
pub(super) fn healer_of(policy: Option<RestartPolicyNameEnum>) -> Healer {
    match policy {
        Some(
            RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED | RestartPolicyNameEnum::ON_FAILURE,
        ) => Healer::Docker,
        Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY) | None => Healer::Cas,
    }
}

/// How it ended, by its exit code.
pub(super) fn exit_of(code: i64) -> Exit {
    let signal = code - BY_SIGNAL;
    if (1..=LAST_SIGNAL).contains(&signal) {
        return Exit::Signal(i32::try_from(signal).unwrap_or_default());
    }
    Exit::Code(i32::try_from(code).unwrap_or(i32::MAX))
}

/// An instant of Docker's; none for its word for never.
fn instant(time: &str) -> Option<Timestamp> {
    let wall_us = i64::try_from(nanoseconds(time)? / 1000).ok()?;
    let now = clock::now();
    let ago = u64::try_from(now.wall_us.saturating_sub(wall_us)).unwrap_or(0);
    Some(Timestamp { mono_us: now.mono_us.saturating_sub(ago), wall_us })
}
