//! Dependencies: who holds whom, in which order, and who depends on whom.
//!
//! A file with a cycle or an unknown name is refused before it comes here; should one come all the same, nothing here
//! hangs: a hold names it, and endings ignore the edge that closes the cycle.
//!
//! Never: changes anything.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use crate::model::{
    ids::{ServiceId, ServiceName},
    phase::{AfterStop, Health, Hold, Phase},
    service::{Condition, Dependency},
};

use super::state::{Goal, Service};

type Services = BTreeMap<ServiceId, Service>;

/// The service `name` of the same project.
pub(super) fn sibling(id: &ServiceId, name: &ServiceName) -> ServiceId {
    ServiceId { project: id.project.clone(), service: name.clone() }
}

/// Whether `condition` holds of `dependency` now.
pub(super) fn is_met(dependency: &Service, condition: Condition) -> bool {
    if dependency.due.is_some() {
        return false;
    }
    let runs = matches!(dependency.phase, Phase::Running { .. });
    match condition {
        Condition::ServiceStarted => runs,
        Condition::ServiceHealthy => {
            runs && (!dependency.has_gate_probe() || matches!(dependency.health, Health::Healthy { .. }))
        }
        Condition::ServiceCompletedSuccessfully => dependency.completed,
        Condition::ServiceLogReady => {
            runs && (dependency.spec.ready_log_line.is_none()
                || dependency.run.as_ref().is_some_and(|run| run.log_ready))
        }
    }
}

/// What a dependency does instead of what is waited for.
fn state_of(dependency: &Service, condition: Condition) -> String {
    if let Some(due) = &dependency.due {
        return match due.then {
            AfterStop::StartAgain => "about to be restarted",
            AfterStop::StayStopped | AfterStop::AskPolicy => "about to be stopped",
        }
        .to_owned();
    }
    if !matches!(dependency.phase, Phase::Running { .. }) {
        return dependency.phase.label().to_owned();
    }
    match condition {
        Condition::ServiceHealthy => dependency.health.label().to_owned(),
        Condition::ServiceLogReady => "running, ready line not seen".to_owned(),
        Condition::ServiceStarted | Condition::ServiceCompletedSuccessfully => "running".to_owned(),
    }
}

/// Whether a dependency that need not be there may be passed over: it is absent, or nobody wants it up (any more).
const fn may_be_passed_over(edge: Dependency, dependency: &Service) -> bool {
    !edge.required && matches!(dependency.goal, Goal::Down) && dependency.is_at_rest()
}

/// What keeps a service from starting, by its dependencies alone.
pub(super) fn holds(services: &Services, id: &ServiceId) -> Vec<Hold> {
    let Some(service) = services.get(id) else { return Vec::new() };
    let mut holds = Vec::new();
    for (name, edge) in &service.spec.depends_on {
        let state = match services.get(&sibling(id, name)) {
            None if edge.required => "absent".to_owned(),
            None => continue,
            Some(dependency) if is_met(dependency, edge.condition) || may_be_passed_over(*edge, dependency) => continue,
            Some(dependency) => state_of(dependency, edge.condition),
        };
        holds.push(Hold::Dependency { service: name.clone(), condition: edge.condition, state });
    }
    holds
}

/// All that a service needs, near and far.
pub(super) fn needed(services: &Services, id: &ServiceId) -> BTreeSet<ServiceId> {
    let mut found = BTreeSet::new();
    let mut stack = vec![id.clone()];
    while let Some(above) = stack.pop() {
        let Some(service) = services.get(&above) else { continue };
        for name in service.spec.depends_on.keys() {
            let below = sibling(&above, name);
            if below != *id && found.insert(below.clone()) {
                stack.push(below);
            }
        }
    }
    found
}

/// What a service needs, near or far, that should be well and is not: the deepest of it, for that is where to begin. None: nothing of it is to blame.
pub(super) fn culprit(services: &Services, id: &ServiceId) -> Option<ServiceId> {
    let mut seen = BTreeSet::new();
    let mut stack = vec![id.clone()];
    let mut found: Option<ServiceId> = None;
    while let Some(above) = stack.pop() {
        let Some(service) = services.get(&above) else { continue };
        for (name, edge) in &service.spec.depends_on {
            let below = sibling(&above, name);
            if !seen.insert(below.clone()) {
                continue;
            }
            let Some(dependency) = services.get(&below) else { continue };
            let is_passed = may_be_passed_over(*edge, dependency) || dependency.completed;
            if !is_passed && !is_well(dependency) {
                let deeper = found
                    .as_ref()
                    .and_then(|found| services.get(found))
                    .is_none_or(|found| dependency.rank < found.rank);
                if deeper {
                    found = Some(below.clone());
                }
            }
            stack.push(below);
        }
    }
    found
}

/// Whether a service does what others need of it, as far as is known.
fn is_well(service: &Service) -> bool {
    let ill = match service.health {
        Health::Unhealthy { .. } | Health::Starting { .. } => true,
        Health::Unknown | Health::Healthy { .. } | Health::Misconfigured { .. } => false,
    };
    service.due.is_none() && matches!(service.phase, Phase::Running { .. }) && !ill
}

/// Everything that must be started so that `targets` can: what of them is down, and below each what does not hold.
/// Dependencies first.
pub(super) fn needed_for_start(services: &Services, targets: &[ServiceId]) -> Vec<ServiceId> {
    let mut found: BTreeSet<ServiceId> = BTreeSet::new();
    let mut stack: Vec<ServiceId> = targets.to_vec();
    while let Some(id) = stack.pop() {
        let Some(service) = services.get(&id) else { continue };
        if service.is_undeclared() || found.contains(&id) {
            continue;
        }
        let up = matches!(service.phase, Phase::Running { .. } | Phase::Starting { .. });
        if !up || service.due.is_some() {
            for (name, edge) in &service.spec.depends_on {
                let below = sibling(&id, name);
                if services.get(&below).is_some_and(|dependency| !is_met(dependency, edge.condition)) {
                    stack.push(below);
                }
            }
        }
        found.insert(id);
    }
    in_order(services, found)
}

/// Sorted so that dependencies come before their dependents.
pub(super) fn in_order(services: &Services, ids: impl IntoIterator<Item = ServiceId>) -> Vec<ServiceId> {
    let mut ids: Vec<ServiceId> = ids.into_iter().collect();
    ids.sort_by_cached_key(|id| (id.project.clone(), services.get(id).map_or(usize::MAX, |service| service.rank)));
    ids
}

/// Those who depend on `id` directly.
pub(super) fn dependents(services: &Services, id: &ServiceId) -> Vec<ServiceId> {
    services
        .get(id)
        .map(|service| service.dependents.iter().map(|name| sibling(id, name)).collect())
        .unwrap_or_default()
}

/// `targets` and everyone who depends on them along edges that `follow` accepts, near and far.
pub(super) fn with_dependents(
    services: &Services,
    targets: &[ServiceId],
    follow: impl Fn(&Service, Dependency) -> bool,
) -> BTreeSet<ServiceId> {
    let mut found: BTreeSet<ServiceId> = BTreeSet::new();
    let mut stack: Vec<ServiceId> = targets.to_vec();
    while let Some(id) = stack.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        for above in dependents(services, &id) {
            let Some(dependent) = services.get(&above) else { continue };
            if dependent.spec.depends_on.get(&id.service).is_some_and(|edge| follow(dependent, *edge)) {
                stack.push(above);
            }
        }
    }
    found
}

/// The nearest services of `selection` that depend on `id`, also through services that are not in it.
pub(super) fn nearest_dependents(
    services: &Services,
    id: &ServiceId,
    selection: &BTreeSet<ServiceId>,
) -> Vec<ServiceId> {
    let rank = services.get(id).map_or(0, |service| service.rank);
    let mut nearest = Vec::new();
    let mut seen = BTreeSet::new();
    let mut stack = dependents(services, id);
    while let Some(above) = stack.pop() {
        let Some(dependent) = services.get(&above) else { continue };
        if !seen.insert(above.clone()) || dependent.rank <= rank {
            continue;
        }
        if selection.contains(&above) {
            nearest.push(above);
        } else {
            stack.extend(dependents(services, &above));
        }
    }
    nearest
}

/// The order of starts (Kahn, Communications of the ACM 5:11, 1962), ties in the order given. What stands in a cycle comes last.
pub(super) fn ranks<'a>(
    nodes: &[(&'a ServiceName, &'a BTreeMap<ServiceName, Dependency>)],
) -> BTreeMap<&'a ServiceName, usize> {
    let index: BTreeMap<&ServiceName, usize> = nodes.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
    let mut missing = vec![0_usize; nodes.len()];
    let mut above = vec![Vec::new(); nodes.len()];
    for (at, (_, depends_on)) in nodes.iter().enumerate() {
        for below in depends_on.keys().filter_map(|name| index.get(name)) {
            missing[at] += 1;
            above[*below].push(at);
        }
    }
    let mut free: BinaryHeap<Reverse<usize>> =
        missing.iter().enumerate().filter(|(_, count)| **count == 0).map(|(at, _)| Reverse(at)).collect();
    let mut ranks = BTreeMap::new();
    while let Some(Reverse(at)) = free.pop() {
        ranks.insert(nodes[at].0, ranks.len());
        for dependent in &above[at] {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                free.push(Reverse(*dependent));
            }
        }
    }
    for (name, _) in nodes {
        let next = ranks.len();
        ranks.entry(*name).or_insert(next);
    }
    ranks
}
