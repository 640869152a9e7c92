//! The projects of the week.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use cas::model::{
    ids::{ProjectName, ServiceId, ServiceName},
    probe::{Check, Probe, ProbeKind},
    project::ProjectSpec,
    service::{
        Backoff, CommandLine, Condition, Dependency, Limits, LogPolicy, RestartPolicy, ServiceKind, ServiceSpec,
        Source, StopPlan,
    },
};

/// Services of the project that is there all the time.
pub(crate) const SERVICES: usize = 50;

/// What each keeps of its output.
pub(crate) const SLOT_BYTES: u64 = 256 << 10;
pub(crate) const HOURS: f64 = 12.0;

/// A project in `root/NAME`; `edition` is which edition of its file this is.
pub(crate) fn project(root: &Path, name: &str, services: usize, edition: u64) -> Arc<ProjectSpec> {
    let root = root.join(name);
    let file = root.join("cas.yaml");
    let project = ProjectName::new(name).expect("a name");
    // Every other edition lacks the last one, on which nobody depends.
    let there = if edition.is_multiple_of(2) { services } else { services.saturating_sub(1).max(1) };
    let services = (0..there).map(|n| Arc::new(service(&project, &root, &file, n, edition))).collect();
    Arc::new(ProjectSpec { name: project, root, file, services, alerts: Arc::default() })
}

fn name(n: usize) -> ServiceName {
    ServiceName::new(&format!("s{n:02}")).expect("a name")
}

fn service(project: &ProjectName, root: &Path, file: &Path, n: usize, edition: u64) -> ServiceSpec {
    let depends_on = (n >= 5 && n.is_multiple_of(3)).then(|| {
        let edge = Dependency { condition: Condition::ServiceStarted, restart: n.is_multiple_of(2), required: true };
        (name(n % 5), edge)
    });
    let probe = |interval| {
        Arc::new(Probe {
            check: Check::Tcp { host: "localhost".to_owned(), port: 80 },
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(1),
            retries: 3,
            successes: 1,
            start_period: Duration::from_secs(5),
            heals: false,
            honest: true,
        })
    };
    let mut probes = BTreeMap::new();
    if n.is_multiple_of(10) {
        probes.insert(ProbeKind::Readiness, probe(60));
    }
    if n % 10 == 4 {
        probes.insert(ProbeKind::Liveness, probe(120));
    }
    // Some read their environment, and are started again where it changes.
    let edition = if n.is_multiple_of(7) { edition } else { 0 };
    ServiceSpec {
        id: ServiceId { project: project.clone(), service: name(n) },
        kind: ServiceKind::Process,
        container: None,
        command: CommandLine::Shell(format!("run {n}")),
        working_dir: root.to_owned(),
        environment: BTreeMap::from([("EDITION".to_owned(), edition.to_string())]),
        secrets: BTreeMap::new(),
        base_environment: None,
        limits: Limits::default(),
        attributes: cas::model::attributes::Attributes::default(),
        logs: LogPolicy {
            max_size: SLOT_BYTES,
            max_age: Some(Duration::from_secs_f64(HOURS * 3600.0)),
            ..LogPolicy::default()
        },
        log_files: Arc::default(),
        tty: false,
        depends_on: depends_on.into_iter().collect(),
        nature: None,
        probes,
        ready_log_line: (n % 10 == 6).then(|| "ready".to_owned()),
        restart: RestartPolicy::Always,
        backoff: Backoff { base: Duration::from_secs(1), ..Backoff::default() },
        stop: StopPlan::default(),
        hooks: cas::model::hooks::Hooks::default(),
        ports: Vec::new(),
        autostart: true,
        occasions: cas::model::occasion::Occasions::default(),
        source: Source { file: file.to_owned(), line: 1, column: 1 },
        description: None,
    }
}
