//! What happens by itself: what the healer does next, and when.
//!
//! Never: promises what the picture does not say.

use std::time::Duration;

use super::{Next, entries::clause, ill_for};
use crate::model::{
    phase::{AfterStop, Health, Hold, Phase},
    policy::Autopilot,
    probe::ProbeKind,
    service::{Condition, RestartPolicy},
    snapshot::{ServiceView, Snapshot},
    standing::blame,
};

/// Said where nothing comes by itself and nothing has to.
pub(super) const NOTHING: &str = "nothing is due";

/// What comes next for `view`.
pub(super) fn of(snapshot: &Snapshot, view: &ServiceView) -> Vec<Next> {
    let mut next = match &view.phase {
        Phase::Stopped { .. } => at_rest(view, "it stays stopped until somebody starts it"),
        Phase::Exited { exit, .. } if exit.is_success() => at_rest(view, "it is done and is not started again"),
        Phase::Exited { .. } => vec![Next::says(policy(snapshot, view))],
        Phase::GaveUp { attempts, .. } => vec![Next::says(format!(
            "nothing by itself: after {attempts} starts that never held the healer waits for a person"
        ))],
        Phase::BackingOff { attempt, until, .. } => {
            vec![Next::when(format!("the healer starts it again, try {attempt}"), *until)]
        }
        Phase::Blocked { .. } => vec![Next::says(
            "the port is looked at again every 2 s; it starts by itself once it is free, and that costs no restart",
        )],
        Phase::Waiting { holds, .. } => holds.iter().map(held).collect(),
        Phase::Starting { .. } => vec![Next::says("its process is being started")],
        Phase::Stopping { kill_at, then, .. } => stopping(*kill_at, *then),
        Phase::Running { .. } => running(snapshot, view),
    };
    if let Phase::Waiting { .. } = view.phase
        && let Some(root) = blame(snapshot, view).last()
    {
        next.push(Next::says(format!("behind it all: {}", clause(root))));
    }
    next
}

fn at_rest(view: &ServiceView, otherwise: &str) -> Vec<Next> {
    match view.occasions.next_at {
        Some(at) => vec![Next::when("its clock starts it", at)],
        None => vec![Next::says(otherwise)],
    }
}

fn policy(snapshot: &Snapshot, view: &ServiceView) -> String {
    if snapshot.engine.autopilot == Autopilot::Off && view.restart != RestartPolicy::No {
        return "nothing by itself: the autopilot is off".to_owned();
    }
    match view.restart {
        RestartPolicy::No => "nothing by itself: its policy is restart: no".to_owned(),
        RestartPolicy::OnFailure { max_retries: Some(most) } => {
            format!("nothing by itself: its policy is restart: on-failure:{most}, and that many were tried")
        }
        RestartPolicy::OnFailure { max_retries: None } | RestartPolicy::Always | RestartPolicy::UnlessStopped => {
            format!(
                "nothing by itself: its policy (restart: {}) does not want it again after this",
                view.restart.label()
            )
        }
    }
}

fn held(hold: &Hold) -> Next {
    let text = match hold {
        Hold::RestartBudget => {
            "it starts by itself as soon as its turn comes: many services are being restarted".to_owned()
        }
        Hold::Dependency { service, condition, .. } => {
            let when = match condition {
                Condition::ServiceStarted => "has started",
                Condition::ServiceHealthy => "is healthy",
                Condition::ServiceCompletedSuccessfully => "has completed with code 0",
                Condition::ServiceLogReady => "has written that it is ready",
            };
            format!("it starts by itself as soon as {service} {when}")
        }
    };
    Next::says(text)
}

fn stopping(kill_at: crate::model::time::Timestamp, then: AfterStop) -> Vec<Next> {
    let after = match then {
        AfterStop::StayStopped => "then it stays stopped",
        AfterStop::StartAgain => "then it is started again",
        AfterStop::AskPolicy => "then its restart policy decides, as after a crash",
    };
    vec![Next::when("what is left of it gets SIGKILL", kill_at), Next::says(after)]
}

fn running(snapshot: &Snapshot, view: &ServiceView) -> Vec<Next> {
    let mut next = Vec::new();
    match &view.health {
        Health::Unknown | Health::Healthy { .. } => {}
        Health::Starting { .. } => next.push(Next::says("its probes are asked until they pass")),
        Health::Misconfigured { .. } => {
            next.push(Next::says("nothing by itself: a probe that cannot be put says nothing about the service"));
        }
        Health::Unhealthy { probe, .. } => {
            let ill = ill_for(snapshot, view).unwrap_or_else(|| "a while".to_owned());
            let text = match probe {
                ProbeKind::Readiness => format!("its readiness is asked on; it fails for {ill}"),
                ProbeKind::Startup | ProbeKind::Liveness => {
                    format!("its run is ended and its policy (restart: {}) decides", view.restart.label())
                }
            };
            next.push(Next::says(text));
        }
    }
    let checkup = view.checkup.iter();
    let remedies: Vec<&str> = checkup.flat_map(|checkup| &checkup.remedies).map(String::as_str).collect();
    let is_ill = matches!(view.health, Health::Unhealthy { .. });
    if is_ill && !remedies.is_empty() {
        let until = if snapshot.engine.autopilot == Autopilot::Off { ", were the autopilot on" } else { "" };
        next.push(Next::says(format!("what its kind names for this{until}: {}", remedies.join(", then "))));
    }
    for finding in view.checkup.iter().flat_map(|checkup| &checkup.findings) {
        if let Some((grade, wait)) = crate::model::figure::ahead(finding)
            && wait <= Duration::from_hours(1)
        {
            let text = format!("if it goes on like this, {} is {}", finding.check, grade.label());
            next.push(Next::when(text, snapshot.at.plus(wait)));
        }
    }
    if next.is_empty() {
        next.push(Next::says(NOTHING));
    }
    next
}
