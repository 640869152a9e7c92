//! What a person can do about it, the most useful first.
//!
//! Never: does it.

use super::Step;
use crate::model::{
    exam::Grade,
    phase::{Health, Phase},
    snapshot::{ServiceView, Snapshot},
};

/// What a key of the console does on the selected service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Start what is down, stop what is up.
    StartOrStop,
    /// Restart it.
    Restart,
    /// Go to its output.
    Logs,
    /// See every check of it.
    Health,
    /// Open its file.
    Edit,
}

fn step(what: impl Into<String>, command: String, deed: Option<Deed>) -> Step {
    Step { what: what.into(), command: Some(command), deed }
}

/// What can be done about how `view` stands; `chain` is whom it is up to.
pub(super) fn of(snapshot: &Snapshot, view: &ServiceView, chain: &[&ServiceView]) -> Vec<Step> {
    let several = snapshot.services.windows(2).any(|pair| pair[0].id.project != pair[1].id.project);
    let called = |view: &ServiceView| if several { view.id.to_string() } else { view.id.service.to_string() };
    let name = called(view);
    let mut can = Vec::new();
    if let Some(root) = chain.last() {
        let root_name = called(root);
        if matches!(root.phase, Phase::Stopped { .. } | Phase::GaveUp { .. } | Phase::Exited { .. }) {
            can.push(step(format!("start {root_name}, which is behind it"), format!("start {root_name}"), None));
        }
        can.push(step(format!("see why {root_name} is not well"), format!("why {root_name}"), None));
    }
    can.extend(advices(view));
    match &view.phase {
        Phase::Stopped { .. } => can.push(step("start it", format!("start {name}"), Some(Deed::StartOrStop))),
        Phase::Exited { exit, .. } if exit.is_success() => {
            can.push(step("run it again", format!("start {name}"), Some(Deed::StartOrStop)));
        }
        Phase::Exited { .. } | Phase::GaveUp { .. } => {
            can.push(step("read what it wrote last", format!("logs {name} --tail 50"), Some(Deed::Logs)));
            can.push(edit(&name));
            can.push(step("start it again, counted from zero", format!("start {name}"), Some(Deed::StartOrStop)));
        }
        Phase::BackingOff { .. } => {
            can.push(step("read what it wrote last", format!("logs {name} --tail 50"), Some(Deed::Logs)));
            can.push(step("start it now, without waiting", format!("restart {name}"), Some(Deed::Restart)));
            can.push(step("leave it down", format!("stop {name}"), Some(Deed::StartOrStop)));
        }
        Phase::Blocked { holders, .. } => {
            for holder in holders {
                can.push(match (&holder.service, holder.pid) {
                    (Some(service), _) => step(
                        format!("stop {service}, which holds port {}", holder.port),
                        format!("stop {service}"),
                        None,
                    ),
                    (None, Some(pid)) => Step {
                        what: format!("end what holds port {}: kill {pid}, if it is yours", holder.port),
                        command: None,
                        deed: None,
                    },
                    (None, None) => Step {
                        what: format!("end what holds port {}: ss -ltnp shows it to root", holder.port),
                        command: None,
                        deed: None,
                    },
                });
            }
            can.push(edit(&name));
        }
        Phase::Waiting { .. } if chain.is_empty() => {
            can.push(step("leave it down", format!("stop {name}"), Some(Deed::StartOrStop)));
        }
        Phase::Waiting { .. } => {}
        Phase::Starting { .. } => {
            can.push(step("read what it writes", format!("logs {name} -f"), Some(Deed::Logs)));
        }
        Phase::Stopping { .. } => {
            can.push(step("end it at once", format!("kill {name}"), None));
        }
        Phase::Running { .. } => running(&mut can, view, &name),
    }
    can
}

fn running(can: &mut Vec<Step>, view: &ServiceView, name: &str) {
    let is_ill = match view.health {
        Health::Unhealthy { .. } | Health::Starting { .. } => true,
        Health::Misconfigured { .. } => {
            can.push(edit(name));
            false
        }
        Health::Unknown | Health::Healthy { .. } => false,
    };
    if view.checkup.is_some() {
        can.push(step("see every check", format!("health {name} --deep"), Some(Deed::Health)));
    }
    if is_ill {
        can.push(step("read what it wrote last", format!("logs {name} --tail 50"), Some(Deed::Logs)));
        can.push(step("restart it", format!("restart {name}"), Some(Deed::Restart)));
    }
}

fn edit(name: &str) -> Step {
    step("see where its settings come from, and change them", format!("explain {name}"), Some(Deed::Edit))
}

/// What deep looks advise.
fn advices(view: &ServiceView) -> Vec<Step> {
    let findings = view.checkup.iter().flat_map(|checkup| &checkup.findings);
    let bad = findings.filter(|finding| finding.grade >= Grade::Warning);
    let told = bad.filter_map(|finding| {
        let advice = finding.advice.as_ref()?;
        Some(Step { what: format!("for {}: {advice}", finding.check), command: None, deed: None })
    });
    told.take(3).collect()
}
