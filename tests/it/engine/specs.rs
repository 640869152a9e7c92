//! Words for building services and projects.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use cas::model::{
    ids::{ProjectName, ServiceId, ServiceName},
    probe::{Check, Probe, ProbeKind},
    project::ProjectSpec,
    service::{
        Backoff, CommandLine, Condition, Dependency, Port, RestartPolicy, ServiceKind, ServiceSpec, Source, StopPlan,
    },
};

pub(super) const MS: Duration = Duration::from_millis(1);

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `web` is `shop/web`; `bank/web` is itself.
pub(super) fn id(name: &str) -> ServiceId {
    let (project, service) = name.split_once('/').unwrap_or(("shop", name));
    ServiceId { project: ProjectName::new(project).unwrap(), service: ServiceName::new(service).unwrap() }
}

/// A service that restarts always, with exact waits of 1 s, 2 s … at most, and is stable after 10 s.
pub(super) fn service(name: &str) -> ServiceSpec {
    ServiceSpec {
        base_environment: None,
        limits: cas::model::service::Limits::default(),
        attributes: cas::model::attributes::Attributes::default(),
        logs: cas::model::service::LogPolicy::default(),
        log_files: Arc::default(),
        tty: false,
        id: id(name),
        kind: ServiceKind::Process,
        container: None,
        command: CommandLine::Shell(format!("run {name}")),
        working_dir: PathBuf::from("/srv"),
        environment: BTreeMap::from([("TOKEN".to_owned(), "s3cret".to_owned())]),
        secrets: BTreeMap::new(),
        depends_on: BTreeMap::new(),
        nature: None,
        probes: BTreeMap::new(),
        ready_log_line: None,
        restart: RestartPolicy::Always,
        backoff: Backoff { base: secs(1), ..Backoff::default() },
        stop: StopPlan::default(),
        hooks: cas::model::hooks::Hooks::default(),
        ports: Vec::new(),
        autostart: false,
        occasions: cas::model::occasion::Occasions::default(),
        source: Source { file: PathBuf::from("/srv/cas.yaml"), line: 1, column: 1 },
        description: None,
    }
}

/// Sentences for building specs.
pub(super) trait Build: Sized {
    fn with(self, change: impl FnOnce(&mut ServiceSpec)) -> Self;
    fn needs_if(self, other: &str, condition: Condition) -> Self;
    fn needs(self, other: &str) -> Self {
        self.needs_if(other, Condition::ServiceStarted)
    }
    fn probe(self, kind: ProbeKind, change: impl FnOnce(&mut Probe)) -> Self;
    fn port(self, port: u16) -> Self;
}

impl Build for ServiceSpec {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
    fn needs_if(self, other: &str, condition: Condition) -> Self {
        self.with(|s| {
            let edge = Dependency { condition, restart: false, required: true };
            s.depends_on.insert(ServiceName::new(other).unwrap(), edge);
        })
    }
    fn probe(self, kind: ProbeKind, change: impl FnOnce(&mut Probe)) -> Self {
        let mut probe = Probe {
            check: Check::Tcp { host: "localhost".to_owned(), port: 80 },
            interval: secs(1),
            timeout: secs(1),
            retries: 3,
            successes: 1,
            start_period: Duration::ZERO,
            heals: false,
            honest: true,
        };
        change(&mut probe);
        self.with(|s| {
            s.probes.insert(kind, Arc::new(probe));
        })
    }
    fn port(self, port: u16) -> Self {
        self.with(|s| s.ports.push(Port(port)))
    }
}

pub(super) fn project(name: &str, services: Vec<ServiceSpec>) -> Arc<ProjectSpec> {
    Arc::new(ProjectSpec {
        name: ProjectName::new(name).unwrap(),
        root: PathBuf::from("/srv").join(name),
        file: PathBuf::from("/srv").join(name).join("cas.yaml"),
        services: services.into_iter().map(Arc::new).collect(),
        alerts: Arc::default(),
    })
}
