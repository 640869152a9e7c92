//! Pictures of an engine, built by hand, with a clock that stands still.

use std::{path::PathBuf, sync::Arc, time::Duration};

use cas::{
    host::handle::Link,
    model::{
        event::TroubleSlot,
        exam::{Checkup, Finding, Grade, Reads, Unit},
        history::History,
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::{self, LogBatch, LogLine, Stream},
        metric::{HostUsage, RunUsage},
        phase::{AfterStop, Exit, Health, Hold, Phase, PortHolder},
        policy::{Autopilot, Origin},
        probe::{ProbeKind, ProbeOutcome},
        project::Problem,
        service::{Condition, Port, RestartPolicy, ServiceKind, Source},
        signal::Signal,
        snapshot::{Counts, DependencyView, EngineView, HostView, ProbeView, ProjectView, ServiceView, Snapshot},
        time::Timestamp,
        timeline::{Entry, What},
    },
};

/// 2026-11-22 14:03:07 UTC, a day after the machine came up.
pub(super) const NOW: Timestamp = Timestamp { mono_us: 86_400_000_000, wall_us: 1_795_356_187_000_000 };

/// So many seconds before [`NOW`].
pub(super) fn ago(seconds: u64) -> Timestamp {
    Timestamp {
        mono_us: NOW.mono_us - seconds * 1_000_000,
        wall_us: NOW.wall_us - i64::try_from(seconds).unwrap() * 1_000_000,
    }
}

fn in_seconds(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// What the console is shown.
pub(super) struct World {
    pub(super) snapshot: Snapshot,
    pub(super) logs: Vec<Arc<LogBatch>>,
    pub(super) link: Link,
}

pub(super) fn id(project: &str, service: &str) -> ServiceId {
    ServiceId { project: ProjectName::new(project).unwrap(), service: ServiceName::new(service).unwrap() }
}

/// A wave between `low` and `high`, `seconds` long, always the same.
fn wave(seconds: usize, period: f32, low: f32, high: f32) -> History {
    let mut history = History::default();
    for second in 0..seconds {
        let turn = (second as f32 / period).sin() * 0.7 + (second as f32 / (period * 0.37)).sin() * 0.3;
        history.push(low + (high - low) * (turn + 1.0) / 2.0);
    }
    history
}

fn flat(seconds: usize, value: f32) -> History {
    let mut history = History::default();
    (0..seconds).for_each(|_| history.push(value));
    history
}

pub(super) fn running(seconds: u64) -> Phase {
    Phase::Running { run: RunId(7), pid: 41_217, since: ago(seconds) }
}

/// A service that runs well and uses little.
pub(super) fn service(project: &str, name: &str, phase: Phase, why: &str) -> ServiceView {
    let is_up = phase.run().is_some();
    ServiceView {
        containment: cas::model::service::Containment::default(),
        tty: false,
        id: id(project, name),
        revision: 1,
        kind: ServiceKind::Process,
        health: Health::Unknown,
        why: why.to_owned(),
        pid: is_up.then_some(41_217),
        run: phase.run(),
        phase,
        restarts: 0,
        usage: is_up.then_some(RunUsage { cpu_percent: 0.4, memory_bytes: 18 << 20, processes: 1, threads: 4 }),
        cpu: flat(90, 0.0),
        memory: flat(90, 18_874_368.0),
        command: format!("/usr/bin/{name} --serve"),
        working_dir: PathBuf::from(format!("/srv/{project}")),
        environment_names: vec!["PORT".to_owned(), "LOG_LEVEL".to_owned()],
        ports: vec![],
        depends_on: vec![],
        dependents: vec![],
        probes: vec![],
        checkup: None,
        maintenance: None,
        paused: false,
        escalated: false,
        restart: RestartPolicy::Always,
        autostart: true,
        occasions: cas::model::occasion::OccasionView::default(),
        source: Source { file: PathBuf::from(format!("/srv/{project}/cas.yaml")), line: 12, column: 3 },
        description: None,
    }
}

fn project(name: &str, services: &[Arc<ServiceView>]) -> ProjectView {
    ProjectView {
        under_care_since: None,
        display: String::new(),
        reference: String::new(),
        remote: None,
        moved_from: None,
        name: ProjectName::new(name).unwrap(),
        root: PathBuf::from(format!("/srv/{name}")),
        file: PathBuf::from(format!("/srv/{name}/cas.yaml")),
        open: true,
        exists: true,
        counts: Counts::of(services.iter().map(AsRef::as_ref).filter(|service| service.id.project.as_str() == name)),
        last_opened_us: NOW.wall_us,
    }
}

pub(super) fn remembered(name: &str, total: usize, exists: bool) -> ProjectView {
    ProjectView {
        under_care_since: None,
        display: String::new(),
        reference: String::new(),
        remote: None,
        moved_from: None,
        name: ProjectName::new(name).unwrap(),
        root: PathBuf::from(format!("/home/ann/{name}")),
        file: PathBuf::from(format!("/home/ann/{name}/cas.yaml")),
        open: false,
        exists,
        counts: Counts { total, ..Counts::default() },
        last_opened_us: NOW.wall_us - 3 * 86_400_000_000,
    }
}

fn host() -> HostView {
    HostView {
        usage: Some(HostUsage {
            cpu_percent: 23.4,
            cores: 8,
            load: [0.84, 0.62, 0.55],
            memory_total_bytes: 16 << 30,
            memory_used_bytes: 5 << 30,
            net_rx_bytes_per_s: 120_000.0,
            net_tx_bytes_per_s: 34_000.0,
            disk_total_bytes: 512 << 30,
            disk_free_bytes: 200 << 30,
            ..HostUsage::default()
        }),
        cpu: wave(400, 23.0, 8.0, 62.0),
        memory: wave(400, 90.0, 30.0, 36.0),
        net_rx: wave(400, 17.0, 2_000.0, 240_000.0),
        net_tx: wave(400, 31.0, 500.0, 60_000.0),
        disk_read: wave(400, 11.0, 0.0, 30_000.0),
        disk_write: wave(400, 41.0, 0.0, 900_000.0),
    }
}

/// A world of those services.
pub(super) fn world(services: Vec<ServiceView>, timeline: Vec<Entry>) -> World {
    let services: Vec<Arc<ServiceView>> = services.into_iter().map(Arc::new).collect();
    let mut names: Vec<&str> = services.iter().map(|service| service.id.project.as_str()).collect();
    names.dedup();
    let projects = names.into_iter().map(|name| project(name, &services)).collect();
    let snapshot = Snapshot {
        revision: 1,
        at: NOW,
        engine: EngineView {
            daemon: false,
            version: "0.1.0".to_owned(),
            pid: 4000,
            started: ago(4000),
            autopilot: Autopilot::On,
            leaving: false,
        },
        projects,
        services,
        host: host(),
        timeline: timeline.into_iter().map(Arc::new).collect(),
        ..Snapshot::default()
    };
    World { snapshot, logs: vec![], link: Link::Local }
}

pub(super) fn entry(seq: u64, seconds: u64, who: Origin, name: &str, what: What, why: &str) -> Entry {
    Entry {
        seq,
        at: ago(seconds),
        project: Some(ProjectName::new("demo").unwrap()),
        service: ServiceName::new(name).ok(),
        run: Some(RunId(seq)),
        who,
        what,
        why: why.to_owned(),
    }
}

/// A batch of lines; those that begin with `!` come from standard error.
pub(super) fn batch(service: &ServiceId, run: u64, first_seq: u64, seconds: u64, lines: &[&str]) -> Arc<LogBatch> {
    let mut text = String::new();
    let mut pieces = Vec::new();
    for line in lines {
        let (line, stream) = line.strip_prefix('!').map_or((*line, Stream::Stdout), |rest| (rest, Stream::Stderr));
        pieces.push(LogLine { start: text.len() as u32, len: line.len() as u32, stream, continued: false });
        text.push_str(line);
    }
    Arc::new(LogBatch {
        service: service.clone(),
        source: log::Source::Output,
        run: RunId(run),
        wall_us: ago(seconds).wall_us,
        first_seq,
        text: text.into(),
        lines: pieces.into(),
    })
}

fn demo_services() -> Vec<ServiceView> {
    let mut api = service("demo", "api", running(3900), "runs; readiness passed 12 s ago");
    api.health = Health::Healthy { since: ago(3890) };
    api.usage = Some(RunUsage { cpu_percent: 34.2, memory_bytes: 142 << 20, processes: 3, threads: 24 });
    api.cpu = wave(300, 9.0, 4.0, 70.0);
    api.memory = wave(300, 60.0, 1.2e8, 1.6e8);
    api.ports = vec![Port(8080), Port(8443)];
    api.description = Some("the public web API".to_owned());
    api.depends_on = vec![
        DependencyView {
            service: ServiceName::new("cache").unwrap(),
            condition: Condition::ServiceHealthy,
            holds: true,
        },
        DependencyView {
            service: ServiceName::new("migrate").unwrap(),
            condition: Condition::ServiceCompletedSuccessfully,
            holds: true,
        },
    ];
    api.dependents = vec![ServiceName::new("worker").unwrap()];
    api.probes = vec![
        ProbeView {
            kind: ProbeKind::Readiness,
            check: "http http://localhost:8080/health".to_owned(),
            rounds: 390,
            failures: 0,
            last: Some(ProbeOutcome::Passed),
            last_took_us: 3_200,
        },
        ProbeView {
            kind: ProbeKind::Liveness,
            check: "tcp localhost:8080".to_owned(),
            rounds: 388,
            failures: 2,
            last: Some(ProbeOutcome::Failed("no answer within 5 s".to_owned())),
            last_took_us: 5_000_000,
        },
    ];
    let mut cache = service("demo", "cache", running(3910), "runs; no probe");
    cache.usage = Some(RunUsage { cpu_percent: 0.0, memory_bytes: 9 << 20, processes: 1, threads: 1 });
    let mut worker = service("demo", "worker", running(95), "runs; restarted 2 times");
    worker.restarts = 2;
    worker.usage = Some(RunUsage { cpu_percent: 118.0, memory_bytes: 61 << 20, processes: 2, threads: 9 });
    worker.cpu = wave(300, 5.0, 60.0, 140.0);
    let starting = Phase::Starting { run: RunId(9), since: ago(4) };
    let mut slow = service("demo", "slow-starter", starting, "starting; startup probe has not passed yet");
    slow.health = Health::Starting { since: ago(4) };
    let mut leaky = service("demo", "leaky", running(610), "unhealthy: readiness probe failed: status 503");
    leaky.health = Health::Unhealthy { since: ago(20), probe: ProbeKind::Readiness, detail: "status 503".to_owned() };
    leaky.usage = Some(RunUsage { cpu_percent: 2.5, memory_bytes: 1_900 << 20, processes: 1, threads: 2 });
    let backing = Phase::BackingOff { attempt: 3, since: ago(1), until: in_seconds(2), exit: Exit::Signal(11) };
    let mut crasher = service("demo", "crasher", backing, "crashed with SIGSEGV; restart 3 in 2 s");
    crasher.restarts = 3;
    crasher.usage = None;
    let migrate =
        service("demo", "migrate", Phase::Exited { since: ago(3920), exit: Exit::Code(0) }, "completed; restart: no");
    vec![api, cache, worker, slow, leaky, crasher, migrate]
}

fn demo_timeline() -> Vec<Entry> {
    let words = vec!["panic: index out of range [5] with length 3".to_owned(), "goroutine 1 [running]:".to_owned()];
    vec![
        entry(1, 3930, Origin::Config, "", What::ProjectOpened { services: 7 }, "cas was opened here"),
        entry(2, 3925, Origin::Config, "migrate", What::Started { pid: 41_100, attempt: 0 }, "autostart"),
        entry(
            3,
            3920,
            Origin::Config,
            "migrate",
            What::Exited { exit: Exit::Code(0), after: Duration::from_secs(5), last_words: vec![] },
            "",
        ),
        entry(4, 3910, Origin::Config, "cache", What::Started { pid: 41_120, attempt: 0 }, "autostart"),
        entry(
            5,
            3900,
            Origin::Config,
            "api",
            What::Started { pid: 41_217, attempt: 0 },
            "cache is up, migrate completed",
        ),
        entry(6, 3890, Origin::Healer, "api", What::Ready { after: Duration::from_millis(840) }, ""),
        entry(
            7,
            200,
            Origin::Key,
            "worker",
            What::Requested { line: "restart demo/worker".to_owned(), from: None },
            "",
        ),
        entry(8, 95, Origin::Key, "worker", What::Started { pid: 42_003, attempt: 0 }, "restart demo/worker"),
        entry(
            9,
            20,
            Origin::Healer,
            "leaky",
            What::Unhealthy { probe: ProbeKind::Readiness, detail: "status 503".to_owned() },
            "3 failures in a row",
        ),
        entry(
            10,
            1,
            Origin::Healer,
            "crasher",
            What::Exited { exit: Exit::Signal(11), after: Duration::from_millis(3200), last_words: words },
            "nobody asked for it",
        ),
        entry(
            11,
            1,
            Origin::Healer,
            "crasher",
            What::RestartScheduled { delay: Duration::from_millis(2400), attempt: 3 },
            "restart: always, third crash in a row",
        ),
    ]
}

fn demo_logs() -> Vec<Arc<LogBatch>> {
    let (api, worker, crasher) = (id("demo", "api"), id("demo", "worker"), id("demo", "crasher"));
    let mut logs = vec![batch(&api, 5, 0, 3899, &["listening on 0.0.0.0:8080", "connected to cache in 12 ms"])];
    for number in 0..40_u64 {
        let path = ["/", "/health", "/orders/17", "/login"][number as usize % 4];
        let status = if number % 13 == 7 { 500 } else { 200 };
        let line = format!("GET {path} \u{1b}[32m{status}\u{1b}[0m {}.{} ms", number % 9 + 1, number % 10);
        let error = format!("!error: order {number}: upstream timed out after 5000 ms, request id 7f3a-{number:04}");
        let lines: Vec<&str> = if status == 500 { vec![&line, &error] } else { vec![&line] };
        logs.push(batch(&api, 5, 2 + number + (number + 5) / 13, 120 - number, &lines));
        if number.is_multiple_of(5) {
            let job = format!("job {number} done, {} items", number * 3);
            logs.push(batch(&worker, 8, number / 5, 120 - number, &[&job]));
        }
    }
    logs.push(batch(&crasher, 9, 0, 30, &["starting", "!panic: index out of range [5] with length 3"]));
    logs.push(batch(
        &crasher,
        10,
        2,
        5,
        &["starting", "!panic: index out of range [5] with length 3", "!goroutine 1 [running]:"],
    ));
    logs
}

/// A project like the bundled one: seven services, every mood.
pub(super) fn demo() -> World {
    let mut world = world(demo_services(), demo_timeline());
    world.snapshot.projects.push(remembered("blog", 4, true));
    world.snapshot.projects.push(remembered("thesis", 2, false));
    world.logs = demo_logs();
    world
}

/// Nothing at all: no project was found.
pub(super) fn empty() -> World {
    let mut world = world(vec![], vec![]);
    world.snapshot.host = HostView::default();
    world
}

/// Before the engine has said anything.
pub(super) fn unborn() -> World {
    World { snapshot: Snapshot::default(), logs: vec![], link: Link::Local }
}

/// Two services that do not run: one failed, one gave up.
pub(super) fn two_down() -> World {
    let failed = Phase::Exited { since: ago(40), exit: Exit::Code(1) };
    let gave_up = Phase::GaveUp { attempts: 8, since: ago(300), exit: Exit::Code(127) };
    let mut web = service("shop", "web", running(7300), "runs; readiness passed");
    web.health = Health::Healthy { since: ago(7290) };
    let services = vec![
        web,
        service("shop", "db", failed, "exited with code 1; restart: no, so it stays down"),
        service("shop", "mailer", gave_up, "gave up after 8 starts that never held; the last: exit code 127"),
    ];
    world(services, vec![])
}

/// Everything that can hold a service up.
pub(super) fn held() -> World {
    let hold = Hold::Dependency {
        service: ServiceName::new("db").unwrap(),
        condition: Condition::ServiceHealthy,
        state: "starting".to_owned(),
    };
    let holder = PortHolder {
        port: 8080,
        pid: Some(1234),
        command: Some("nginx: master process".to_owned()),
        since_us: None,
        user: None,
        service: None,
        because: None,
    };
    let stopping =
        Phase::Stopping { run: RunId(3), since: ago(2), kill_at: in_seconds(8), then: AfterStop::StartAgain };
    let mut db = service("shop", "db", running(3), "runs; readiness has not passed yet");
    db.health = Health::Starting { since: ago(3) };
    let mut misconfigured =
        service("shop", "search", running(50), "its readiness probe cannot be put: no such program: cur1");
    misconfigured.health =
        Health::Misconfigured { probe: ProbeKind::Readiness, detail: "no such program: cur1".to_owned() };
    let services = vec![
        db,
        service(
            "shop",
            "api",
            Phase::Waiting { since: ago(3), holds: vec![hold.clone()] },
            "waits for db (service_healthy, now starting)",
        ),
        service(
            "shop",
            "web",
            Phase::Blocked { since: ago(9), holders: vec![holder] },
            "port 8080 is held by nginx: master process (pid 1234)",
        ),
        service(
            "shop",
            "queue",
            Phase::Waiting { since: ago(1), holds: vec![Hold::RestartBudget] },
            "waits for the restart budget",
        ),
        service("shop", "old", stopping, "stopping with SIGTERM, SIGKILL in 8 s, then started again"),
        service("shop", "idle", Phase::Stopped { since: ago(9000) }, "stopped by you 2h 30m ago"),
        service(
            "shop",
            "loop",
            Phase::GaveUp { attempts: 8, since: ago(60), exit: Exit::Signal(9) },
            "gave up after 8 starts that never held",
        ),
        misconfigured,
    ];
    let timeline = vec![
        entry(
            1,
            9,
            Origin::Healer,
            "web",
            What::Blocked {
                holders: vec![PortHolder {
                    port: 8080,
                    pid: None,
                    command: None,
                    since_us: None,
                    user: None,
                    service: None,
                    because: None,
                }],
            },
            "",
        ),
        entry(2, 3, Origin::Key, "old", What::Stopping { signal: Signal::Term }, "restart shop/old"),
        entry(3, 3, Origin::Healer, "api", What::Held { holds: vec![hold] }, ""),
    ];
    world(services, timeline)
}

/// A thousand services of three projects.
pub(super) fn thousand() -> World {
    let mut services = Vec::new();
    for (project, count) in [("alpha", 400), ("beta", 350), ("gamma", 250)] {
        for number in 0..count {
            let phase = match number % 97 {
                13 => Phase::Exited { since: ago(60), exit: Exit::Code(1) },
                51 => Phase::Stopped { since: ago(60) },
                _ => running(600 + number),
            };
            services.push(service(project, &format!("worker-{number:03}"), phase, "runs"));
        }
    }
    world(services, vec![])
}

/// Names as long as they may be, and output that tries everything.
pub(super) fn hostile() -> World {
    let long = "a-service-with-a-name-that-is-as-long-as-a-name-may-ever-be-63c";
    let why = "said \u{1b}[31mred\u{1b}[0m \u{202e}drawkcab\u{202c} and 日本語 👩‍👩‍👧 in one line that is far too long for any column of any pane of this console";
    let mut services = vec![service("demo", long, running(100), why), service("demo", "rtl", running(100), "runs")];
    services[0].command.clear();
    services[0].command.push_str("sh -c 'printf \"\u{1b}]0;title\u{7}\"'");
    services[0].description = Some("日本語の説明 with emoji 🚀 and \u{1b}[2J".to_owned());
    let last_words = vec!["\u{1b}]52;c;aGFjaw==\u{7}got you".to_owned(), "שלום עולם".to_owned()];
    let timeline = vec![entry(
        1,
        5,
        Origin::Healer,
        "rtl",
        What::Exited { exit: Exit::Unknown, after: Duration::from_secs(70), last_words },
        why,
    )];
    let mut world = world(services, timeline);
    let (first, rtl) = (id("demo", long), id("demo", "rtl"));
    world.logs = vec![
        batch(
            &first,
            1,
            0,
            9,
            &[
                "\u{1b}[31;1mred and bold\u{1b}[0m plain",
                "\u{1b}]0;a new title\u{7}title gone",
                "\u{1b}]52;c;aGFjaw==\u{7}clipboard gone",
                "\u{1b}[2J\u{1b}[H cursor stays \u{0}\u{1} NUL",
                "progress 10%\rprogress 99%",
                "\u{1b}]8;;http://example.org\u{1b}\\a link\u{1b}]8;;\u{1b}\\ after",
                "tab\there \u{fffd} replaced",
            ],
        ),
        batch(
            &rtl,
            1,
            0,
            8,
            &["שלום עולם — hello", "\u{202e}drawkcab\u{202c} forward", "日本語 中文 한국어", "🚀 👩‍👩‍👧 ❤️ e\u{301}"],
        ),
        batch(&first, 2, 9, 7, &[&"x".repeat(600)]),
    ];
    world
}

/// The project file was refused, and the store is in trouble.
pub(super) fn refused() -> World {
    let mut world = demo();
    let place = |line, column| Some(Source { file: PathBuf::from("cas.yaml"), line, column });
    world.snapshot.problems = Arc::from([
        Problem {
            source: place(14, 14),
            message: "restart: \"allways\" is not a restart policy".to_owned(),
            hint: Some("did you mean \"always\"? one of: always, on-failure, no, unless-stopped".to_owned()),
        },
        Problem {
            source: place(22, 5),
            message: "services.web: unknown key \"comand\"".to_owned(),
            hint: Some("did you mean \"command\"?".to_owned()),
        },
        Problem { source: None, message: "depends_on: a cycle: web → db → web".to_owned(), hint: None },
    ]);
    world.snapshot.troubles.insert(
        TroubleSlot::Store,
        "events are not being kept: the disk is full; free some space in ~/.local/state/cas".to_owned(),
    );
    world
}

/// The daemon does not answer.
pub(super) fn retrying() -> World {
    let mut world = demo();
    world.link = Link::Retrying { since: ago(12), next: ago(10) };
    world
}

/// Seen through a daemon, with the healer off.
pub(super) fn connected() -> World {
    let mut world = demo();
    world.link = Link::Connected;
    world.snapshot.engine.autopilot = Autopilot::Off;
    world
}

fn finding(check: &str, grade: Grade, sentence: &str) -> Finding {
    Finding {
        exam: "postgres".to_owned(),
        check: check.to_owned(),
        grade,
        sentence: sentence.to_owned(),
        advice: None,
        value: None,
        unit: Unit::Count,
        reads: Reads::Value,
        warn: None,
        critical: None,
        below: false,
        trend_per_minute: None,
        history: Vec::new(),
        since: ago(150),
    }
}

fn checkup(kind: &str, title: &str, server: &str, findings: Vec<Finding>) -> Checkup {
    Checkup {
        kind: kind.to_owned(),
        title: title.to_owned(),
        how: format!("its program is {kind}"),
        server: Some(server.to_owned()),
        at: Some(ago(4)),
        failed: std::collections::BTreeMap::new(),
        findings,
        remedies: vec!["wait 5 s".to_owned(), "restart it".to_owned()],
    }
}

fn database() -> ServiceView {
    let mut db = service("demo", "db", running(3900), "runs; readiness passed 2 s ago");
    db.health = Health::Healthy { since: ago(3890) };
    db.probes = vec![ProbeView {
        kind: ProbeKind::Readiness,
        check: "postgres localhost:5432".to_owned(),
        rounds: 390,
        failures: 0,
        last: Some(ProbeOutcome::Passed),
        last_took_us: 2_400,
    }];
    let spent = Finding {
        advice: Some("raise max_connections, or put a pooler such as PgBouncer before it".to_owned()),
        value: Some(0.97),
        reads: Reads::Share,
        warn: Some(0.8),
        critical: Some(0.95),
        trend_per_minute: Some(0.02),
        history: (0..30).map(|look| 0.4 + f64::from(look) * 0.02).collect(),
        ..finding("connections", Grade::Critical, "connections in use: 97 of 100 (97 %)")
    };
    let held = Finding {
        advice: Some("see what holds its transaction open: pg_stat_activity".to_owned()),
        value: Some(120.0),
        unit: Unit::Seconds,
        warn: Some(60.0),
        critical: Some(600.0),
        trend_per_minute: Some(60.0),
        history: vec![0.0, 60.0, 120.0],
        ..finding(
            "oldest-transaction",
            Grade::Warning,
            "oldest transaction: 2m 0s; pid 4711: UPDATE orders SET state = 1",
        )
    };
    let hits = Finding {
        value: Some(0.992),
        reads: Reads::Share,
        warn: Some(0.9),
        below: true,
        trend_per_minute: Some(0.0),
        history: vec![0.99; 12],
        ..finding("cache-hits", Grade::Good, "reads served from memory: 992 of 1000 (99.2 %)")
    };
    let replica = finding("replication", Grade::Notice, "it has no replica");
    db.checkup =
        Some(Arc::new(checkup("postgres", "PostgreSQL", "PostgreSQL 15.18", vec![spent, held, replica, hits])));
    db
}

/// Everything that deep looks can find: critical, warned, well, looked at in vain; one that waits and one that gave up behind it.
pub(super) fn ward() -> World {
    let mut cache = service("demo", "cache", running(3910), "runs");
    let memory = Finding {
        exam: "redis".to_owned(),
        advice: Some("raise maxmemory, let keys expire, or choose an eviction policy".to_owned()),
        value: Some(0.9),
        unit: Unit::Bytes,
        reads: Reads::Share,
        warn: Some(0.85),
        critical: Some(0.97),
        trend_per_minute: Some(0.001),
        history: (0..12).map(|look| 0.88 + f64::from(look) * 0.001).collect(),
        ..finding("memory", Grade::Warning, "memory in use: 900 MiB of 1000 MiB (90 %)")
    };
    cache.checkup = Some(Arc::new(checkup("redis", "Redis", "Redis 7.0.15", vec![memory])));
    let mut site = service("demo", "site", running(3800), "runs; readiness passed 1 s ago");
    site.health = Health::Healthy { since: ago(3790) };
    let quick = Finding {
        exam: "http".to_owned(),
        value: Some(0.004),
        unit: Unit::Seconds,
        warn: Some(1.0),
        critical: Some(5.0),
        trend_per_minute: Some(0.0),
        history: vec![0.003, 0.004, 0.003, 0.004],
        ..finding("first-byte", Grade::Good, "first byte after: 4 ms")
    };
    site.checkup = Some(Arc::new(checkup("http", "HTTP", "nginx/1.22.1", vec![quick])));
    let mut broker = service("demo", "broker", running(600), "runs");
    let mut refused = checkup("rabbitmq", "RabbitMQ", "", Vec::new());
    refused.failed.insert("rabbitmq".to_owned(), "ACCESS_REFUSED: login was refused for user guest".to_owned());
    broker.checkup = Some(Arc::new(refused));
    let held_by = |name: &str, state: &str| Phase::Waiting {
        since: ago(90),
        holds: vec![Hold::Dependency {
            service: ServiceName::new(name).unwrap(),
            condition: Condition::ServiceHealthy,
            state: state.to_owned(),
        }],
    };
    let needs = |name: &str| DependencyView {
        service: ServiceName::new(name).unwrap(),
        condition: Condition::ServiceHealthy,
        holds: false,
    };
    let mut api = service("demo", "api", held_by("queue", "waiting"), "waits for queue (service_healthy, now waiting)");
    api.depends_on = vec![needs("queue")];
    let mut queue =
        service("demo", "queue", held_by("mail", "gave-up"), "waits for mail (service_healthy, now gave-up)");
    queue.depends_on = vec![needs("mail")];
    let gave_up = Phase::GaveUp { attempts: 8, since: ago(60), exit: Exit::Code(127) };
    let mail = service("demo", "mail", gave_up, "gave up after 8 starts that never held; start it by hand");
    let exited = || What::Exited {
        exit: Exit::Code(127),
        after: Duration::from_millis(12),
        last_words: vec!["sh: 1: sendmial: not found".to_owned()],
    };
    let nobody = "nobody asked for it";
    let timeline = vec![
        entry(1, 200, Origin::Config, "mail", What::Started { pid: 4020, attempt: 0 }, "started by the project file"),
        entry(2, 199, Origin::System, "mail", exited(), nobody),
        entry(3, 199, Origin::Healer, "mail", What::RestartScheduled { delay: Duration::from_secs(1), attempt: 1 }, ""),
        entry(
            4,
            150,
            Origin::System,
            "db",
            What::Found {
                check: "connections".to_owned(),
                grade: Grade::Critical,
                sentence: "connections in use: 97 of 100 (97 %)".to_owned(),
            },
            "raise max_connections, or put a pooler such as PgBouncer before it",
        ),
        entry(5, 60, Origin::System, "mail", exited(), nobody),
        entry(6, 60, Origin::Healer, "mail", What::GaveUp { attempts: 8 }, ""),
    ];
    let mut world = world(vec![database(), cache, site, broker, api, queue, mail], timeline);
    let mail = id("demo", "mail");
    world.logs = vec![
        batch(&mail, 5, 0, 61, &["connecting to the queue", "!sh: 1: sendmial: not found"]),
        batch(&mail, 6, 2, 59, &["a line from later"]),
    ];
    world
}

/// By name, as tests say it.
pub(super) fn named(name: &str) -> World {
    match name {
        "demo" => demo(),
        "empty" => empty(),
        "unborn" => unborn(),
        "two_down" => two_down(),
        "held" => held(),
        "thousand" => thousand(),
        "hostile" => hostile(),
        "refused" => refused(),
        "retrying" => retrying(),
        "connected" => connected(),
        "ward" => ward(),
        "harbour" => super::harbour::harbour(),
        "no_docker" => super::harbour::without(),
        other => panic!("no fixture is called {other}"),
    }
}
