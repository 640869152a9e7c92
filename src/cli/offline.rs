//! The picture of a project that no engine runs: from its file, what is stored, and what shims left on disk. Never guesses that something runs.

use std::{collections::BTreeMap, sync::Arc};

use super::outside::Left;
use crate::model::{
    alarm::AlertsView,
    occasion::OccasionView,
    phase::{Health, Phase},
    project::{ProjectRecord, ProjectSpec},
    registry,
    snapshot::{DependencyView, EngineView, HostView, ProjectView, ServiceView, Snapshot},
    time::{Timestamp, short_duration},
    timeline::{Entry, What},
};

/// Why every service of such a project is stopped.
pub const WHY: &str = "no engine is running: cas up starts it";

/// Why a service runs nevertheless.
pub const LEFT: &str = "running without an engine: cas takes it over, cas down stops it";

/// The picture. `left` are services that run without an engine, `entries` the newest stored ones, oldest first.
#[must_use]
pub fn snapshot(
    project: Option<&ProjectSpec>,
    left: &[Left],
    remembered: &[ProjectRecord],
    entries: &[Entry],
    now: Timestamp,
) -> Snapshot {
    Snapshot {
        revision: 0,
        at: now,
        engine: EngineView::default(),
        projects: projects(remembered),
        services: project.map(|project| services(project, left, entries, now)).unwrap_or_default(),
        host: HostView::default(),
        timeline: entries.iter().cloned().map(Arc::new).collect(),
        troubles: BTreeMap::new(),
        docker: crate::model::container::Reach::default(),
        containers: Vec::new(),
        problems: Arc::from([]),
        alerts: AlertsView::default(),
    }
}

/// Remembered projects as seen, by name.
#[must_use]
pub fn projects(remembered: &[ProjectRecord]) -> Vec<ProjectView> {
    let mut projects: Vec<ProjectView> = remembered.iter().map(ProjectView::remembered).collect();
    projects.sort_by(|a, b| (&a.name, &a.root).cmp(&(&b.name, &b.root)));
    registry::tell_apart(&mut projects);
    projects
}

fn services(project: &ProjectSpec, left: &[Left], entries: &[Entry], now: Timestamp) -> Vec<Arc<ServiceView>> {
    let of = |spec: &crate::model::service::ServiceSpec| left.iter().find(|left| left.service == spec.id.service);
    project.services.iter().map(|spec| Arc::new(service(project, spec, of(spec), entries, now))).collect()
}

fn service(
    project: &ProjectSpec,
    spec: &crate::model::service::ServiceSpec,
    left: Option<&Left>,
    entries: &[Entry],
    now: Timestamp,
) -> ServiceView {
    let depends_on = spec
        .depends_on
        .iter()
        .map(|(service, edge)| DependencyView { service: service.clone(), condition: edge.condition, holds: false })
        .collect();
    let dependents = project
        .services
        .iter()
        .filter(|other| other.depends_on.contains_key(&spec.id.service))
        .map(|other| other.id.service.clone())
        .collect();
    ServiceView {
        id: spec.id.clone(),
        kind: spec.kind,
        revision: 0,
        phase: left.map_or(Phase::Stopped { since: now }, |left| Phase::Running {
            run: left.run,
            pid: left.pid,
            since: left.since,
        }),
        health: Health::Unknown,
        why: if left.is_some() { LEFT.to_owned() } else { why(spec, entries, now) },
        pid: left.map(|left| left.pid),
        run: left.map(|left| left.run),
        restarts: 0,
        usage: None,
        cpu: crate::model::history::History::default(),
        memory: crate::model::history::History::default(),
        containment: crate::model::service::Containment::default(),
        tty: spec.tty,
        command: spec.command.display(),
        working_dir: spec.working_dir.clone(),
        environment_names: spec.environment.keys().cloned().collect(),
        ports: spec.ports.clone(),
        depends_on,
        dependents,
        probes: Vec::new(),
        checkup: None,
        maintenance: None,
        paused: false,
        escalated: false,
        restart: spec.restart,
        autostart: spec.autostart,
        occasions: OccasionView::of(&spec.occasions, None),
        source: spec.source.clone(),
        description: spec.description.clone(),
    }
}

/// Why it is stopped, as far as its file says.
fn base_of(spec: &crate::model::service::ServiceSpec) -> String {
    let occasions = &spec.occasions;
    if occasions.profiles.dormant {
        format!("no engine is running; {}: cas up --profile starts it", occasions.profiles.sentence())
    } else if occasions.schedule.is_some() {
        "no engine is running, so its schedule does not start it".to_owned()
    } else {
        WHY.to_owned()
    }
}

/// The reason, and how it ended last where that is known and was not asked for.
fn why(spec: &crate::model::service::ServiceSpec, entries: &[Entry], now: Timestamp) -> String {
    let last = entries.iter().rev().find(|entry| {
        entry.service.as_ref() == Some(&spec.id.service)
            && entry.project.as_ref() == Some(&spec.id.project)
            && is_an_end(&entry.what)
    });
    match last {
        Some(entry) if !matches!(entry.what, What::Stopped) => {
            // Another boot may lie between: only the wall clock spans it.
            let ago = u64::try_from(now.wall_us.saturating_sub(entry.at.wall_us)).unwrap_or(0);
            let ago = short_duration(std::time::Duration::from_micros(ago));
            format!("{} (last: {}, {ago} ago)", base_of(spec), entry.sentence())
        }
        Some(_) | None => base_of(spec),
    }
}

const fn is_an_end(what: &What) -> bool {
    match what {
        What::Exited { .. } | What::SpawnFailed { .. } | What::GaveUp { .. } | What::Stopped => true,
        What::Requested { .. }
        | What::ProjectOpened { .. }
        | What::Started { .. }
        | What::Ready { .. }
        | What::Unhealthy { .. }
        | What::Recovered { .. }
        | What::Stable { .. }
        | What::Flapping { .. }
        | What::Steady
        | What::Forked { .. }
        | What::Hook { .. }
        | What::RestartScheduled { .. }
        | What::RestartWithheld { .. }
        | What::Held { .. }
        | What::Blocked { .. }
        | What::Stopping { .. }
        | What::Killed { .. }
        | What::Survivors { .. }
        | What::Signalled { .. }
        | What::Reloaded { .. }
        | What::ReloadRefused { .. }
        | What::AutopilotSet { .. }
        | What::Stalled { .. }
        | What::Adopted { .. }
        | What::Unverifiable { .. }
        | What::ProjectClosed
        | What::Released { .. }
        | What::ShimReplaced
        | What::Suspended { .. }
        | What::Paused
        | What::Resumed { .. }
        | What::Handled { .. }
        | What::Continued { .. }
        | What::ScheduleMissed { .. }
        | What::ScheduleSkipped { .. }
        | What::RunBegun { .. }
        | What::RunEnded { .. }
        | What::LogRotated { .. }
        | What::Found { .. }
        | What::Remedied { .. }
        | What::RemedyJudged { .. }
        | What::Escalated { .. }
        | What::Maintenance { .. }
        | What::OutputDropped { .. }
        | What::AlarmFired { .. }
        | What::AlarmResolved { .. }
        | What::NotSent { .. }
        | What::Silenced { .. }
        | What::Unsilenced
        | What::Trouble { .. } => false,
    }
}
