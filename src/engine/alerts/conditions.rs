//! What is not as it should be of one service, read off its state. Promise: the same state gives the same conditions.
//!
//! Whatever finds out more about services adds to [`conditions`]; all else (durations, grouping, who is told) follows from what it gives.
//!
//! Never: looks at other services, at time, or at what was told.

use crate::{
    engine::state::{Goal, Service},
    model::{
        alarm::{Condition, Level, Rule},
        exam::Grade,
        phase::{AfterStop, Exit, Health, Hold, Phase},
        timeline::holds_text,
    },
};

/// From so many restarts in a row on, none of which held, it is restarted too often.
const MANY_RESTARTS: u32 = 3;

/// What is wrong with a service now; empty where nothing is, or nobody wants it.
pub(in crate::engine) fn conditions(service: &Service) -> Vec<Condition> {
    let mut found = Vec::new();
    if service.maintenance.is_some() {
        // Whoever works on it knows.
        return found;
    }
    found.extend(down(service));
    found.extend(findings(service));
    found.extend(held(service));
    found.extend(unwell(service));
    if service.flap.is_flapping() {
        found.push(Condition::of(Rule::Flapping, "its health comes and goes: no probe ends it until it has held"));
    }
    found.extend(restarting(service));
    found
}

fn down(service: &Service) -> Option<Condition> {
    let text = match &service.phase {
        Phase::GaveUp { attempts, exit, .. } => {
            format!("gave up after {attempts} starts that never held; last: {exit}")
        }
        Phase::Exited { exit: Exit::Rebooted, .. } => return None,
        Phase::Exited { exit, .. } if !exit.is_success() && service.stopped_by.is_none() => {
            format!("{exit}, and it is not started again")
        }
        Phase::BackingOff { exit, attempt, .. } => format!("{exit}; restart {attempt} is to come"),
        Phase::Starting { .. } if service.start.attempt > 0 && service.goal == Goal::Up => last_exit(service),
        Phase::Stopping { then: AfterStop::AskPolicy, .. } => "it is being ended by the healer".to_owned(),
        Phase::Stopped { .. }
        | Phase::Waiting { .. }
        | Phase::Blocked { .. }
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Exited { .. } => return None,
    };
    Some(Condition::of(Rule::Down, text))
}

fn last_exit(service: &Service) -> String {
    let attempt = service.start.attempt;
    match &service.last_exit {
        Some(exit) => format!("{exit}; restart {attempt} is under way"),
        None => format!("restart {attempt} is under way"),
    }
}

fn held(service: &Service) -> Option<Condition> {
    match &service.phase {
        Phase::Blocked { holders, .. } => {
            let holders: Vec<String> = holders.iter().map(ToString::to_string).collect();
            Some(Condition::of(Rule::Blocked, holders.join(", ")))
        }
        Phase::Waiting { holds, .. } => {
            let needs: Vec<Hold> = holds.iter().filter(|hold| **hold != Hold::RestartBudget).cloned().collect();
            (!needs.is_empty()).then(|| Condition::of(Rule::Held, format!("waits for {}", holds_text(&needs))))
        }
        Phase::Stopped { .. }
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::BackingOff { .. }
        | Phase::Exited { .. }
        | Phase::GaveUp { .. } => None,
    }
}

fn unwell(service: &Service) -> Option<Condition> {
    if !matches!(service.phase, Phase::Running { .. }) || service.due.is_some() {
        return None;
    }
    match &service.health {
        Health::Unhealthy { probe, detail, .. } => {
            let helpless = if service.ladder.is_escalated() { "; the healer knows nothing more" } else { "" };
            Some(Condition::of(Rule::Unhealthy, format!("its {} probe fails: {detail}{helpless}", probe.label())))
        }
        Health::Misconfigured { probe, detail } => {
            Some(Condition::of(Rule::Misconfigured, format!("its {} probe cannot be put: {detail}", probe.label())))
        }
        Health::Unknown | Health::Starting { .. } | Health::Healthy { .. } => None,
    }
}

/// What deep looks have found, each graded by itself.
fn findings(service: &Service) -> Vec<Condition> {
    if !matches!(service.phase, Phase::Running { .. }) {
        return Vec::new();
    }
    let found = service.exams.values().flat_map(|state| state.found().map(|(finding, _)| finding));
    found
        .filter_map(|finding| {
            let level = match finding.grade {
                Grade::Critical => Level::Critical,
                Grade::Warning => Level::Warning,
                Grade::Notice | Grade::Good => return None,
            };
            Some(Condition {
                rule: Rule::Finding,
                key: format!("{}.{}", finding.exam, finding.check),
                level: Some(level),
                text: finding.sentence.clone(),
            })
        })
        .collect()
}

fn restarting(service: &Service) -> Option<Condition> {
    if let Phase::Waiting { holds, .. } = &service.phase
        && holds.contains(&Hold::RestartBudget)
    {
        return Some(Condition::of(
            Rule::Restarting,
            "waits for the restart budget: many services are being restarted",
        ));
    }
    let again = service.is_active() && service.attempt >= MANY_RESTARTS;
    again.then(|| Condition::of(Rule::Restarting, format!("{} restarts in a row, none of them held", service.attempt)))
}
