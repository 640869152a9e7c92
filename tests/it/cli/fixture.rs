//! A small shop: what a picture, a project, a log and a timeline of it look like.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use cas::model::{
    deed::{DiskUse, Thing, ThingKind},
    history::History,
    ids::{ProjectName, RunId, ServiceId, ServiceName},
    log::{self, LogBatch, LogLine, Stream},
    log_file::{How, LogFileView, Rotation},
    metric::RunUsage,
    phase::{Exit, Health, Phase},
    policy::{Autopilot, Origin},
    project::{ProjectRecord, ProjectSpec},
    service::{
        Backoff, CommandLine, Condition, Dependency, Port, RestartPolicy, ServiceKind, ServiceSpec, Source, StopPlan,
    },
    signal::Signal,
    snapshot::{Counts, DependencyView, EngineView, HostView, ProjectView, ServiceView, Snapshot},
    time::Timestamp,
    timeline::{Entry, What},
};

/// 2026-11-22T10:00:00Z.
pub(crate) const NOON: i64 = 1_795_341_600_000_000;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp { mono_us: 1_000_000_000, wall_us: NOON }.plus(Duration::from_secs(seconds))
}

pub(crate) fn name(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

pub(crate) fn id(service: &str) -> ServiceId {
    ServiceId { project: ProjectName::new("shop").unwrap(), service: name(service) }
}

pub(crate) fn source(line: u32) -> Source {
    Source { file: PathBuf::from("/srv/shop/cas.yaml"), line, column: 3 }
}

pub(crate) fn view(service: &str, phase: Phase, why: &str) -> ServiceView {
    ServiceView {
        containment: cas::model::service::Containment::default(),
        tty: false,
        id: id(service),
        revision: 12,
        kind: ServiceKind::Process,
        pid: if let Phase::Running { pid, .. } = &phase { Some(*pid) } else { None },
        run: phase.run(),
        phase,
        health: Health::Unknown,
        why: why.to_owned(),
        restarts: 0,
        usage: None,
        cpu: History::default(),
        memory: History::default(),
        command: format!("./{service} --serve"),
        working_dir: PathBuf::from("/srv/shop"),
        environment_names: Vec::new(),
        ports: Vec::new(),
        depends_on: Vec::new(),
        dependents: Vec::new(),
        probes: Vec::new(),
        checkup: None,
        maintenance: None,
        paused: false,
        escalated: false,
        restart: RestartPolicy::OnFailure { max_retries: None },
        autostart: true,
        occasions: cas::model::occasion::OccasionView::default(),
        source: source(3),
        description: None,
    }
}

pub(crate) fn running(run: u64, since: u64) -> Phase {
    Phase::Running { run: RunId(run), pid: 4000 + u32::try_from(run).unwrap(), since: at(since) }
}

/// web runs, db runs well, worker gave up.
pub(crate) fn snapshot() -> Snapshot {
    let web = ServiceView {
        health: Health::Healthy { since: at(2) },
        restarts: 2,
        usage: Some(RunUsage { cpu_percent: 12.34, memory_bytes: 40_265_318, processes: 2, threads: 9 }),
        ports: vec![Port(8080)],
        depends_on: vec![DependencyView { service: name("db"), condition: Condition::ServiceHealthy, holds: true }],
        ..view("web", running(7, 0), "running for 3m, healthy")
    };
    let db = view("db", running(3, 0), "running for 3m");
    let gave_up = Phase::GaveUp { attempts: 8, since: at(60), exit: Exit::Code(1) };
    let worker = view("worker", gave_up, "gave up after 8 starts that never held; start it by hand");
    let services = vec![web, db, worker];
    Snapshot {
        revision: 41,
        at: at(200),
        engine: EngineView {
            daemon: false,
            version: "0.1.0".to_owned(),
            pid: 77,
            started: at(0),
            autopilot: Autopilot::On,
            leaving: false,
        },
        projects: vec![ProjectView {
            under_care_since: None,
            display: String::new(),
            reference: String::new(),
            remote: None,
            moved_from: None,
            name: ProjectName::new("shop").unwrap(),
            root: PathBuf::from("/srv/shop"),
            file: PathBuf::from("/srv/shop/cas.yaml"),
            open: true,
            exists: true,
            counts: Counts::of(&services),
            last_opened_us: NOON,
        }],
        services: services.into_iter().map(Arc::new).collect(),
        host: HostView::default(),
        timeline: entries().into_iter().map(Arc::new).collect(),
        troubles: BTreeMap::new(),
        docker: cas::model::container::Reach::default(),
        containers: Vec::new(),
        problems: Arc::from([]),
        alerts: cas::model::alarm::AlertsView::default(),
    }
}

pub(crate) fn entry(seq: u64, seconds: u64, service: &str, who: Origin, what: What, why: &str) -> Entry {
    Entry {
        seq,
        at: at(seconds),
        project: Some(ProjectName::new("shop").unwrap()),
        service: Some(name(service)),
        run: Some(RunId(7)),
        who,
        what,
        why: why.to_owned(),
    }
}

pub(crate) fn entries() -> Vec<Entry> {
    let exited = What::Exited {
        exit: Exit::Code(1),
        after: Duration::from_millis(3200),
        last_words: vec!["Traceback:".to_owned(), "boom".to_owned()],
    };
    let scheduled = What::RestartScheduled { delay: Duration::from_millis(400), attempt: 1 };
    vec![
        entry(1, 0, "web", Origin::Cli, What::Started { pid: 4007, attempt: 0 }, "asked for"),
        entry(2, 3, "web", Origin::System, exited, ""),
        entry(3, 3, "web", Origin::Healer, scheduled, "restart: on-failure"),
    ]
}

pub(crate) fn batch(service: &str, first_seq: u64, lines: &[&str]) -> Arc<LogBatch> {
    let mut text = String::new();
    let mut cut = Vec::new();
    for line in lines {
        let start = u32::try_from(text.len()).unwrap();
        text.push_str(line);
        cut.push(LogLine { start, len: u32::try_from(line.len()).unwrap(), stream: Stream::Stdout, continued: false });
    }
    Arc::new(LogBatch {
        service: id(service),
        source: log::Source::Output,
        run: RunId(7),
        wall_us: NOON + i64::try_from(first_seq).unwrap() * 1_000_000,
        first_seq,
        text: text.into(),
        lines: cut.into(),
    })
}

fn spec(service: &str, line: u32, depends_on: &[(&str, Condition)]) -> Arc<ServiceSpec> {
    let edge = |condition| Dependency { condition, restart: false, required: true };
    Arc::new(ServiceSpec {
        base_environment: None,
        limits: cas::model::service::Limits::default(),
        attributes: cas::model::attributes::Attributes::default(),
        logs: cas::model::service::LogPolicy::default(),
        log_files: Arc::default(),
        tty: false,
        id: id(service),
        kind: ServiceKind::Process,
        container: None,
        command: CommandLine::Argv(vec![format!("./{service}"), "--serve".to_owned()]),
        working_dir: PathBuf::from("/srv/shop"),
        environment: BTreeMap::new(),
        secrets: BTreeMap::new(),
        depends_on: depends_on.iter().map(|(on, condition)| (name(on), edge(*condition))).collect(),
        nature: None,
        probes: BTreeMap::new(),
        ready_log_line: None,
        restart: RestartPolicy::OnFailure { max_retries: None },
        backoff: Backoff::default(),
        stop: StopPlan::default(),
        hooks: cas::model::hooks::Hooks::default(),
        ports: Vec::new(),
        autostart: true,
        occasions: cas::model::occasion::Occasions::default(),
        source: source(line),
        description: None,
    })
}

/// web → db, cache; worker → db; db → migrate.
pub(crate) fn project() -> ProjectSpec {
    ProjectSpec {
        name: ProjectName::new("shop").unwrap(),
        root: PathBuf::from("/srv/shop"),
        file: PathBuf::from("/srv/shop/cas.yaml"),
        services: vec![
            spec("web", 3, &[("db", Condition::ServiceHealthy), ("cache", Condition::ServiceStarted)]),
            spec("worker", 9, &[("db", Condition::ServiceLogReady)]),
            spec("db", 12, &[("migrate", Condition::ServiceCompletedSuccessfully)]),
            spec("cache", 15, &[]),
            spec("migrate", 18, &[]),
        ],
        alerts: Arc::default(),
    }
}

pub(crate) fn record(project: &str, root: &str) -> ProjectRecord {
    ProjectRecord {
        name: ProjectName::new(project).unwrap(),
        root: PathBuf::from(root),
        file: PathBuf::from(root).join("cas.yaml"),
        services: 3,
        last_opened_us: NOON,
        exists: true,
        remote: None,
        moved_from: None,
    }
}

/// One file that is rotated, one that is only followed and cannot be, and one that nobody has declared.
pub(crate) fn log_files() -> Vec<LogFileView> {
    let rotation = Rotation {
        max_bytes: Some(50 << 20),
        max_age: Some(Duration::from_hours(24)),
        keep: 7,
        keep_for: None,
        compress: true,
        how: How::SignalIfCaught(Signal::Usr1),
    };
    let found = |service: &str, file: &str| {
        LogFileView::found(&id(service), &PathBuf::from("/srv/shop").join(file), file.to_owned(), 4096)
    };
    vec![
        LogFileView {
            declared: true,
            bytes: Some(10 << 20),
            bytes_per_s: Some(2048.0),
            follow: true,
            lines: 12,
            rotate: Some(rotation),
            rotated_us: Some(NOON - 3 * 3_600_000_000),
            next: Some("size, in 5h".to_owned()),
            ..found("web", "log/web.log")
        },
        LogFileView {
            declared: true,
            follow: true,
            trouble: Some("it is a symbolic link: name the file itself".to_owned()),
            ..found("db", "log/db.log")
        },
        found("web", "log/sql.log"),
    ]
}

/// What takes up space: something of each kind.
pub(crate) fn disk() -> DiskUse {
    let thing = |kind, name: &str, bytes, is_used, is_named| Thing {
        kind,
        id: format!("id-{name}"),
        name: name.to_owned(),
        bytes,
        is_used,
        is_named,
        project: None,
    };
    let things = vec![
        Thing {
            project: Some("shop".to_owned()),
            ..thing(ThingKind::Containers, "shop-db-1", Some(63_000_000), true, true)
        },
        thing(ThingKind::Containers, "loose", Some(12_300), false, true),
        thing(ThingKind::Images, "postgres:16", Some(432_000_000), true, true),
        thing(ThingKind::Images, "0123456789ab", Some(98_700_000), false, false),
        thing(ThingKind::BuildCache, "3 records", Some(1_500_000_000), false, false),
        thing(ThingKind::Volumes, "shop_data", None, true, true),
        thing(ThingKind::Volumes, "fedcba987654", None, false, false),
    ];
    DiskUse { things, layers: Some(520_000_000) }
}
