//! Who has the ports of services that are to be started: told before they are, with pid, command, user and since when.

use std::collections::BTreeSet;

use crate::{
    cli::{context::Context, outside::Outside, text::plain},
    model::{
        ids::{ServiceId, ServiceName},
        project::ProjectSpec,
        service::Port,
        snapshot::{ServiceView, Snapshot},
    },
};

/// A sentence for each port of `services` that something else listens on now.
fn taken(outside: &impl Outside, services: &[(&ServiceId, &[Port])]) -> Vec<String> {
    let mut ports: Vec<Port> = services.iter().flat_map(|(_, ports)| ports.iter().copied()).collect();
    ports.sort_unstable_by_key(|port| port.0);
    ports.dedup();
    if ports.is_empty() {
        return Vec::new();
    }
    let (holders, now) = (outside.port_holders(&ports), outside.now().wall_us);
    let mut sentences = Vec::new();
    for (id, wanted) in services {
        let foreign = holders.iter().filter(|holder| holder.service.as_ref() != Some(id));
        let held = foreign.filter(|holder| wanted.contains(&Port(holder.port)));
        sentences.extend(held.map(|holder| format!("{}: {}", id.service, holder.told_at(now))));
    }
    sentences
}

/// Those of a project that no engine runs yet: of what is wanted, with what it needs.
pub(super) fn of_project(outside: &impl Outside, project: &ProjectSpec, wanted: &[ServiceId]) -> Vec<String> {
    let needs = |id: &ServiceId| {
        let spec = project.service(&id.service);
        spec.into_iter().flat_map(|spec| spec.depends_on.keys()).cloned().collect::<Vec<_>>()
    };
    let all = with_needs(wanted.to_vec(), needs);
    let services = project.services.iter().filter(|service| all.contains(&service.id));
    let services: Vec<(&ServiceId, &[Port])> = services.map(|spec| (&spec.id, spec.ports.as_slice())).collect();
    taken(outside, &services)
}

/// Those of `targets` and of what they need that do not run in this picture.
pub(super) fn of_targets(outside: &impl Outside, snapshot: &Snapshot, targets: &[ServiceId]) -> Vec<String> {
    let view = |id: &ServiceId| snapshot.services.iter().find(|service| service.id == *id);
    let needs = |id: &ServiceId| {
        let needed = view(id).into_iter().flat_map(|view| view.depends_on.iter());
        needed.map(|needed| needed.service.clone()).collect::<Vec<_>>()
    };
    let all = with_needs(targets.to_vec(), needs);
    let down: Vec<&ServiceView> =
        all.iter().filter_map(|id| Some(view(id)?.as_ref())).filter(|view| !runs(view)).collect();
    let services: Vec<(&ServiceId, &[Port])> = down.iter().map(|view| (&view.id, view.ports.as_slice())).collect();
    taken(outside, &services)
}

fn runs(view: &ServiceView) -> bool {
    view.phase.run().is_some()
}

fn with_needs(mut open: Vec<ServiceId>, needs: impl Fn(&ServiceId) -> Vec<ServiceName>) -> BTreeSet<ServiceId> {
    let mut all = BTreeSet::new();
    while let Some(id) = open.pop() {
        let needed = needs(&id).into_iter().map(|service| ServiceId { project: id.project.clone(), service });
        if all.insert(id.clone()) {
            open.extend(needed);
        }
    }
    all
}

/// Says them, each with what it means.
pub(super) fn say(ctx: &mut Context<'_>, sentences: &[String]) {
    for sentence in sentences {
        ctx.say(&plain(&format!("note: {sentence}; it is blocked until that port is free")));
    }
}
