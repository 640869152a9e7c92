//! A project in which something is wrong in every way: what `health` and `why` are shown.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cas::model::{
    exam::{Checkup, Finding, Grade, Reads, Unit},
    ids::RunId,
    phase::{Exit, Health, Hold, Phase},
    policy::Origin,
    probe::{ProbeKind, ProbeOutcome},
    service::Condition,
    snapshot::{DependencyView, ProbeView, ServiceView, Snapshot},
    timeline::{Entry, What},
};

use super::fixture::{self, at, entry, name, running, view};

pub(crate) fn finding(check: &str, grade: Grade, sentence: &str) -> Finding {
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
        since: at(10),
    }
}

pub(crate) fn checkup(findings: Vec<Finding>) -> Checkup {
    Checkup {
        kind: "postgres".to_owned(),
        title: "PostgreSQL".to_owned(),
        how: "its program is postgres".to_owned(),
        server: Some("PostgreSQL 15.18".to_owned()),
        at: Some(at(196)),
        failed: BTreeMap::new(),
        findings,
        remedies: vec!["wait 5 s".to_owned(), "restart it".to_owned()],
    }
}

pub(crate) fn probe(kind: ProbeKind, last: ProbeOutcome) -> ProbeView {
    let failures = u32::from(last != ProbeOutcome::Passed) * 3;
    let check = "http http://localhost:8080/health".to_owned();
    ProbeView { kind, check, rounds: 40, failures, last: Some(last), last_took_us: 3_200 }
}

pub(crate) fn needs(other: &str, condition: Condition, holds: bool) -> DependencyView {
    DependencyView { service: name(other), condition, holds }
}

pub(crate) fn waiting(other: &str, state: &str) -> Phase {
    let (condition, state) = (Condition::ServiceHealthy, state.to_owned());
    Phase::Waiting { since: at(100), holds: vec![Hold::Dependency { service: name(other), condition, state }] }
}

/// Connections nearly spent: critical by its figure.
pub(crate) fn spent() -> Finding {
    Finding {
        advice: Some("raise max_connections, or put a pooler before it".to_owned()),
        value: Some(0.97),
        reads: Reads::Share,
        warn: Some(0.8),
        critical: Some(0.95),
        trend_per_minute: Some(0.02),
        history: vec![0.5, 0.6, 0.7, 0.8, 0.9, 0.97],
        ..finding("connections", Grade::Critical, "connections in use: 97 of 100 (97 %)")
    }
}

/// A figure that goes towards its threshold.
pub(crate) fn growing() -> Finding {
    Finding {
        advice: Some("see what holds its transaction open".to_owned()),
        value: Some(120.0),
        unit: Unit::Seconds,
        warn: Some(60.0),
        critical: Some(600.0),
        trend_per_minute: Some(60.0),
        history: vec![0.0, 60.0, 120.0],
        ..finding("oldest-transaction", Grade::Warning, "oldest transaction: 2m 0s; pid 4711: UPDATE orders")
    }
}

/// db is critical by two findings, web is ill, cache is looked at in vain, api waits for queue, queue for mail, which gave up.
pub(crate) fn ward() -> Snapshot {
    let db = ServiceView {
        checkup: Some(Arc::new(checkup(vec![
            spent(),
            growing(),
            Finding {
                value: Some(0.99),
                reads: Reads::Share,
                warn: Some(0.9),
                below: true,
                trend_per_minute: Some(0.0),
                ..finding("cache-hits", Grade::Good, "reads served from memory: 99 %")
            },
        ]))),
        health: Health::Healthy { since: at(2) },
        ..view("db", running(3, 0), "running for 3m, healthy")
    };
    let web = ServiceView {
        health: Health::Unhealthy { since: at(180), probe: ProbeKind::Readiness, detail: "status 503".to_owned() },
        probes: vec![probe(ProbeKind::Readiness, ProbeOutcome::Failed("status 503".to_owned()))],
        depends_on: vec![needs("db", Condition::ServiceHealthy, true)],
        ..view("web", running(7, 0), "started by the project file; its readiness probe fails: status 503")
    };
    let refused = "redis".to_owned();
    let cache = ServiceView {
        checkup: Some(Arc::new(Checkup {
            failed: BTreeMap::from([(refused, "WRONGPASS: invalid password for 127.0.0.1:6379".to_owned())]),
            kind: "redis".to_owned(),
            title: "Redis".to_owned(),
            server: None,
            ..checkup(Vec::new())
        })),
        ..view("cache", running(4, 0), "running for 3m")
    };
    let api = ServiceView {
        depends_on: vec![needs("queue", Condition::ServiceHealthy, false)],
        ..view("api", waiting("queue", "waiting"), "waits for queue (service_healthy, now waiting)")
    };
    let queue = ServiceView {
        depends_on: vec![needs("mail", Condition::ServiceHealthy, false)],
        ..view("queue", waiting("mail", "gave-up"), "waits for mail (service_healthy, now gave-up)")
    };
    let gave_up = Phase::GaveUp { attempts: 8, since: at(60), exit: Exit::Code(127) };
    let mail = view("mail", gave_up, "gave up after 8 starts that never held; start it by hand");
    let site = ServiceView {
        health: Health::Healthy { since: at(2) },
        probes: vec![probe(ProbeKind::Readiness, ProbeOutcome::Passed)],
        ..view("site", running(9, 0), "running for 3m, healthy")
    };
    let tool = view("tool", running(10, 0), "running for 3m");
    let old = view("old", Phase::Stopped { since: at(5) }, "stopped by the command line");
    let services = vec![tool, site, api, queue, cache, web, db, old, mail];
    Snapshot {
        services: services.into_iter().map(Arc::new).collect(),
        timeline: timeline().into_iter().map(Arc::new).collect(),
        ..fixture::snapshot()
    }
}

fn timeline() -> Vec<Entry> {
    let exited = |words: &[&str]| What::Exited {
        exit: Exit::Code(127),
        after: Duration::from_millis(12),
        last_words: words.iter().map(|&word| word.to_owned()).collect(),
    };
    let scheduled = |attempt| What::RestartScheduled { delay: Duration::from_secs(1), attempt };
    let nobody = "nobody asked for it";
    let mut entries = vec![
        entry(1, 1, "mail", Origin::Config, What::Started { pid: 4020, attempt: 0 }, "started by the project file"),
        entry(2, 2, "mail", Origin::System, exited(&["sh: 1: sendmial: not found"]), nobody),
        entry(3, 2, "mail", Origin::Healer, scheduled(1), ""),
        entry(4, 4, "mail", Origin::System, exited(&["sh: 1: sendmial: not found"]), nobody),
        entry(5, 4, "mail", Origin::Healer, scheduled(2), ""),
        entry(6, 60, "mail", Origin::System, exited(&["sh: 1: sendmial: not found"]), nobody),
        entry(7, 60, "mail", Origin::Healer, What::GaveUp { attempts: 8 }, ""),
        entry(8, 3, "web", Origin::Healer, What::Ready { after: Duration::from_secs(2) }, ""),
        entry(
            9,
            180,
            "web",
            Origin::System,
            What::Unhealthy { probe: ProbeKind::Readiness, detail: "status 503".to_owned() },
            "3 failures in a row",
        ),
        entry(
            10,
            170,
            "db",
            Origin::System,
            What::Found {
                check: "connections".to_owned(),
                grade: Grade::Critical,
                sentence: "connections in use: 97 of 100 (97 %)".to_owned(),
            },
            "",
        ),
    ];
    for entry in &mut entries {
        entry.run = Some(RunId(7));
    }
    entries
}

/// The ward with another service in place of the one of its name.
pub(crate) fn with(service: ServiceView) -> Snapshot {
    let mut snapshot = ward();
    snapshot.services.retain(|known| known.id != service.id);
    snapshot.services.push(Arc::new(service));
    snapshot
}

/// The ward with only these services.
pub(crate) fn only(names: &[&str]) -> Snapshot {
    let mut snapshot = ward();
    snapshot.services.retain(|known| names.contains(&known.id.service.as_str()));
    snapshot
}
