//! State to snapshot. Pictures of services are kept and drawn anew only where something changed.
//!
//! Never: a value of an environment variable; a secret in a command line, a description, an answer of a probe.

use std::{sync::Arc, time::Duration};

use crate::model::{
    ids::ServiceId,
    occasion::OccasionView,
    phase::{AfterStop, Exit, Health, Hold, Phase, PortHolder},
    registry,
    snapshot::{Counts, DependencyView, EngineView, MaintenanceView, ProbeView, ProjectView, ServiceView, Snapshot},
    time::{Timestamp, short_duration},
};

use super::{
    Engine, Life, graph,
    state::{Declared, Push, Run, Service},
};

impl Engine {
    /// The public picture, newly numbered.
    #[must_use]
    pub fn snapshot(&mut self, now: Timestamp) -> Arc<Snapshot> {
        self.revision += 1;
        self.changed = false;
        let order = std::mem::take(&mut self.order);
        let services: Vec<Arc<ServiceView>> = order.iter().filter_map(|id| self.view(id)).collect();
        self.order = order;
        Arc::new(Snapshot {
            revision: self.revision,
            at: now,
            engine: EngineView {
                version: self.settings.version.clone(),
                pid: self.settings.pid,
                started: self.started,
                autopilot: self.autopilot,
                leaving: matches!(self.life, Life::Leaving | Life::Ended),
                daemon: self.settings.daemon,
            },
            projects: self.project_views(&services),
            services,
            host: self.host.clone(),
            timeline: self.journal.entries.iter().cloned().collect(),
            docker: self.docker.clone(),
            containers: self.containers.to_vec(),
            troubles: self.troubles.iter().map(|(slot, text)| (*slot, self.redactor.text(text).into_owned())).collect(),
            problems: self.problems.clone(),
            alerts: self.alerts_view(),
        })
    }

    fn project_views(&self, services: &[Arc<ServiceView>]) -> Vec<ProjectView> {
        let open = self.projects.values().map(|project| {
            let record = self.registry.iter().find(|record| record.root == project.spec.root);
            let own = services.iter().filter(|service| service.id.project == project.spec.name);
            ProjectView {
                name: project.spec.name.clone(),
                root: project.spec.root.clone(),
                file: project.spec.file.clone(),
                open: true,
                exists: true,
                counts: Counts::of(own.map(AsRef::as_ref)),
                last_opened_us: project.opened.wall_us,
                under_care_since: Some(project.opened),
                display: String::new(),
                reference: String::new(),
                remote: record.and_then(|record| record.remote.clone()),
                moved_from: record.and_then(|record| record.moved_from.clone()),
            }
        });
        let mut remembered: Vec<ProjectView> = self
            .registry
            .iter()
            .filter(|record| {
                let same =
                    |project: &super::Project| project.spec.name == record.name && project.spec.root == record.root;
                !self.projects.values().any(same)
            })
            .map(ProjectView::remembered)
            .collect();
        remembered.sort_by(|a, b| (&a.name, &a.root).cmp(&(&b.name, &b.root)));
        let mut all: Vec<ProjectView> = open.chain(remembered).collect();
        registry::tell_apart(&mut all);
        all
    }

    fn view(&mut self, id: &ServiceId) -> Option<Arc<ServiceView>> {
        let service = self.services.get(id)?;
        if let Some(view) = &service.view {
            return Some(view.clone());
        }
        self.revise(id);
        self.draw_checkup(id);
        let service = self.services.get(id)?;
        let mut view = self.draw(id, service);
        self.redactor.view(&mut view);
        let view = Arc::new(view);
        self.services.get_mut(id)?.view = Some(view.clone());
        Some(view)
    }

    /// What was found changes far less often than what is used: it is drawn anew only where it has.
    fn draw_checkup(&mut self, id: &ServiceId) {
        let now = self.now;
        let Some(service) = self.services.get_mut(id) else { return };
        // Signs in the output fade with time.
        if service.drawn.is_some() && service.signs.is_empty() {
            return;
        }
        service.drawn = service.checkup(now).map(|mut checkup| {
            self.redactor.checkup(&mut checkup);
            Arc::new(checkup)
        });
    }

    fn draw(&self, id: &ServiceId, service: &Service) -> ServiceView {
        let spec = &service.spec;
        let depends_on = spec.depends_on.iter().map(|(name, edge)| DependencyView {
            service: name.clone(),
            condition: edge.condition,
            holds: self
                .service(&graph::sibling(id, name))
                .is_some_and(|dependency| graph::is_met(dependency, edge.condition)),
        });
        ServiceView {
            id: id.clone(),
            kind: spec.kind,
            revision: service.revisions.newest(),
            phase: service.phase.clone(),
            health: service.health.clone(),
            paused: service.run.as_ref().is_some_and(|run| run.paused.is_some()),
            maintenance: service.maintenance.map(|it| MaintenanceView { until: it.until }),
            escalated: service.ladder.is_escalated(),
            why: self.why(service),
            pid: service.run.as_ref().filter(|run| run.exit.is_none()).and_then(|run| run.pid),
            run: service.run.as_ref().map(|run| run.id),
            restarts: service.restarts,
            usage: service.usage,
            cpu: service.cpu.clone(),
            memory: service.memory.clone(),
            containment: self.settings.containment,
            tty: spec.tty,
            command: spec.command.display(),
            working_dir: spec.working_dir.clone(),
            environment_names: spec.variables(),
            ports: spec.ports.clone(),
            depends_on: depends_on.collect(),
            dependents: service.dependents.clone(),
            probes: probe_views(service),
            checkup: service.drawn.clone(),
            restart: spec.restart,
            autostart: spec.autostart,
            occasions: OccasionView::of(&spec.occasions, service.next_at()),
            source: spec.source.clone(),
            description: spec.description.clone(),
        }
    }

    /// One line that says why a service is where it is. No number in it ticks: a quiet service costs no redraw.
    fn why(&self, service: &Service) -> String {
        let said = if service.why.is_empty() { "no reason is known" } else { service.why.as_str() };
        let mut line = match &service.phase {
            Phase::Waiting { holds, .. } if *holds == [Hold::RestartBudget] => {
                format!("{}, waits its turn: many services are being restarted", service.start.because)
            }
            Phase::Blocked { holders, .. } => {
                let holders: Vec<String> = holders.iter().map(PortHolder::to_string).collect();
                format!("{}; looked at again every 2 s, costs no restart", holders.join(", "))
            }
            Phase::Stopping { kill_at, since, then, .. } => {
                format!("{said}; {}", stopping(service, *kill_at, *since, *then))
            }
            Phase::Running { .. } => {
                match running(&service.health, service.learnt.usual().filter(|_| self.settings.learning)) {
                    Some(health) if service.flap.is_flapping() => {
                        format!(
                            "{said}; {health}; it flaps, so it is left alone until it has held or stayed ill for a minute"
                        )
                    }
                    Some(health) => format!("{said}; {health}"),
                    None => said.to_owned(),
                }
            }
            Phase::Stopped { .. }
            | Phase::Waiting { .. }
            | Phase::Starting { .. }
            | Phase::BackingOff { .. }
            | Phase::Exited { .. }
            | Phase::GaveUp { .. } => said.to_owned(),
        };
        if service.is_at_rest()
            && service.due.is_none()
            && let Some(clock) = service.clock_words()
        {
            line = format!("{line}; {clock}");
        }
        if let (Phase::Running { .. }, Some(still)) = (&service.phase, service.run.as_ref().and_then(Run::stillness)) {
            line = format!("{line}; {still}");
        }
        if let (Phase::Running { .. }, Some(paused)) = (&service.phase, service.run.as_ref().and_then(|run| run.paused))
        {
            let since = paused.wall().format("%H:%M:%S");
            line = format!("{line}; its container is paused since {since} UTC: unpause lets it go on");
        }
        if let (Phase::Running { .. }, Some(healing)) = (&service.phase, service.ladder.said()) {
            line = format!("{line}; {healing}");
        }
        if let Some(maintenance) = service.maintenance {
            let until = maintenance.until.map_or_else(
                || "until maintenance off".to_owned(),
                |until| format!("until {} UTC", until.wall().format("%H:%M:%S")),
            );
            line = format!("{line}; in maintenance by {} {until}: nothing of it is healed", maintenance.by.label());
        }
        if let (Phase::Running { .. }, Some(lacking)) = (&service.phase, &service.lacking) {
            line = format!("{line}; {lacking}");
        }
        if let Some(due) = &service.due {
            let first: Vec<String> = due.after.iter().map(|other| self.short(other)).collect();
            line = format!("{}, once {} is gone; until then: {line}", due.because, first.join(", "));
        }
        if let Some(pending) = pending(service) {
            line = format!("{line}; {pending}");
        }
        line
    }
}

/// What its file asks for and nobody has agreed to yet.
fn pending(service: &Service) -> Option<&'static str> {
    if !matches!(service.phase, Phase::Running { .. }) || service.due.is_some() {
        return None;
    }
    if service.declared == Declared::NotAnyMore {
        return Some("it is gone from the project file and runs on: stop it, or reload to have it stopped");
    }
    service
        .is_outdated()
        .then_some("it runs with older settings than its file has: restart it, or reload, to apply them")
}

fn running(health: &Health, usual: Option<Duration>) -> Option<String> {
    match health {
        Health::Unknown | Health::Healthy { .. } => None,
        Health::Starting { .. } => Some(match usual {
            Some(usual) => format!("its probes have not passed yet; usually they do after {}", short_duration(usual)),
            None => "its probes have not passed yet".to_owned(),
        }),
        Health::Unhealthy { probe, detail, .. } => Some(format!("its {} probe fails: {detail}", probe.label())),
        Health::Misconfigured { probe, detail } => Some(format!("its {} probe cannot be put: {detail}", probe.label())),
    }
}

fn stopping(service: &Service, kill_at: Timestamp, since: Timestamp, then: AfterStop) -> String {
    let grace = short_duration(kill_at.since(since));
    let signal = service.effective_spec().stop.signal;
    let exit: Option<&Exit> = service.run.as_ref().and_then(|run| run.exit.as_ref());
    let push = service.run.as_ref().map_or(Push::Nothing, |run| run.push);
    let now = match (push, exit) {
        (Push::Nothing, None) => "signalled as soon as it is there".to_owned(),
        (Push::Nothing | Push::Asked, Some(exit)) => exit.to_string(),
        (Push::Asked, None) => format!("{signal} sent, SIGKILL after {grace}"),
        (Push::Ending, _) => "processes that it left behind are being ended".to_owned(),
        (Push::Killed, _) => "SIGKILL sent".to_owned(),
    };
    match then {
        AfterStop::StayStopped => now,
        AfterStop::StartAgain => format!("{now}; then it starts again"),
        AfterStop::AskPolicy => format!("{now}; then its restart policy decides"),
    }
}

fn probe_views(service: &Service) -> Vec<ProbeView> {
    let spec = service.effective_spec();
    spec.probes
        .iter()
        .map(|(kind, probe)| {
            let state = service.run.as_ref().and_then(|run| run.probes.get(kind));
            ProbeView {
                kind: *kind,
                check: probe.check.summary(),
                rounds: state.map_or(0, |state| state.round),
                failures: state.map_or(0, |state| state.failures),
                last: state.and_then(|state| state.last.clone()),
                last_took_us: state.map_or(0, |state| u64::try_from(state.took.as_micros()).unwrap_or(u64::MAX)),
            }
        })
        .collect()
}
