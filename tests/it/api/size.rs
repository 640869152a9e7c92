//! What a picture weighs, and what is never in it.

use std::{fmt::Write, sync::Arc, time::Duration};

use cas::{
    api::server::{self, ServeOptions},
    model::{
        history::History,
        ids::RunId,
        metric::RunUsage,
        phase::{Exit, Phase},
        policy::Origin,
        snapshot::{ServiceView, Snapshot, TIMELINE_CAPACITY},
        timeline::{Entry, What},
    },
};

use super::stage::{Stage, curl, showing, take};
use crate::support::eventually_async;

#[tokio::test(flavor = "multi_thread")]
async fn values_of_variables_are_never_in_what_is_shown() {
    let stage =
        Stage::with("  web: {command: [sleep, '1000'], environment: {API_KEY: canary-in-the-file}, autostart: true}\n");
    eventually_async("it runs", || async { stage.picture().await["services"][0]["phase"]["name"] == "running" }).await;
    let entries = stage.get("/v1/entries").await;
    assert_eq!(entries.status, 200);
    for body in [stage.get("/v1/snapshot").await.body, entries.body] {
        assert!(!body.contains("canary"), "{body}");
    }
    assert!(stage.get("/v1/snapshot").await.body.contains("API_KEY"), "names are shown");
    for path in ["/v1/services", "/v1/services/shop/web", "/v1/metrics", "/v1/daemon", "/v1/health", "/v1/openapi.json"]
    {
        let said = stage.get(path).await;
        assert!(!said.body.contains("canary"), "{path}: {said:?}");
    }
    let shell = stage.get("/v1/services/shop/web/shell").await;
    assert!(shell.body.contains("canary-in-the-file"), "the same user may open a shell there: {shell:?}");
    let looking = server::read_only_path(&stage.socket);
    for path in ["/v1/services/shop/web/shell", "/v1/services/shop/web", "/v1/snapshot"] {
        assert!(!curl(&looking, "GET", path, &[], b"").await.body.contains("canary"), "{path}");
    }
    stage.leave().await;
}

/// Fifty services that have run for longer than a picture remembers, in the middle of a bad day.
fn busy(quiet: &Snapshot) -> Snapshot {
    let since = quiet.at;
    let (mut cpu, mut memory) = (History::default(), History::default());
    for second in 0_u16..700 {
        cpu.push(f32::from(second % 97) * 1.234_567);
        memory.push(41_943_040.0 + f32::from(second) * 4096.0);
    }
    let run = RunId(1_795_341_600_000_001);
    let services: Vec<Arc<ServiceView>> = quiet
        .services
        .iter()
        .map(|service| {
            Arc::new(ServiceView {
                phase: Phase::Running { run, pid: 4_000_001, since },
                pid: Some(4_000_001),
                run: Some(run),
                why: "running for 3m, healthy; restarted by the healer after it ended by SIGKILL".to_owned(),
                usage: Some(RunUsage { cpu_percent: 12.345_678, memory_bytes: 41_943_040, processes: 3, threads: 12 }),
                cpu: cpu.clone(),
                memory: memory.clone(),
                ..ServiceView::clone(service)
            })
        })
        .collect();
    let timeline = (0..TIMELINE_CAPACITY).map(|place| {
        let what = match place % 3 {
            0 => What::Exited {
                exit: Exit::Code(1),
                after: Duration::from_millis(123_456),
                last_words: vec!["thread 'main' panicked: connection refused by db:5432".to_owned(); 2],
            },
            1 => What::RestartScheduled { delay: Duration::from_millis(1234), attempt: 3 },
            _ => What::Started { pid: 4_000_001, attempt: 3 },
        };
        let service = &services[place % services.len()].id;
        Arc::new(Entry {
            seq: place as u64,
            at: since,
            project: Some(service.project.clone()),
            service: Some(service.service.clone()),
            run: Some(run),
            who: Origin::Healer,
            what,
            why: "restart: always".to_owned(),
        })
    });
    let timeline = timeline.collect();
    Snapshot { services, timeline, ..quiet.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_fifty_busy_services_is_small() {
    let mut services = String::new();
    for number in 0..50 {
        writeln!(
            services,
            "  service-{number:02}: {{command: [sleep, '1000'], ports: [{}], environment: {{PORT: '1', LOG_LEVEL: info}}}}",
            20_000 + number
        )
        .unwrap();
    }
    let stage = Stage::with(&services);
    let mut pictures = stage.host.handle.snapshots.clone();
    let quiet = Arc::clone(&*pictures.wait_for(|picture| picture.services.len() == 50).await.unwrap());
    stage.leave().await;
    let (handle, _pictures) = showing(busy(&quiet));
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    let body = curl(&socket, "GET", "/v1/snapshot", &[], b"").await.body;
    assert!(body.len() < 256 * 1024, "{} bytes", body.len());
    let back: Snapshot = serde_json::from_str(&body).unwrap();
    assert_eq!((back.services.len(), back.timeline.len()), (50, TIMELINE_CAPACITY));
}
