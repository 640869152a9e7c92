//! Pictures with containers: of services, of projects that are not open, and of nobody.

use std::{collections::BTreeSet, sync::Arc};

use cas::model::{
    container::{ContainerUsage, ContainerView, Healer, Reach},
    ids::RunId,
    phase::{Exit, Health, Phase},
    service::ServiceKind,
    snapshot::ServiceView,
};

use super::fixture::{World, ago, id, running, service, world};

pub(super) fn reachable() -> Reach {
    Reach::Reachable {
        endpoint: "unix:///var/run/docker.sock".to_owned(),
        engine: "Docker 20.10.24".to_owned(),
        api: "1.41".to_owned(),
    }
}

/// A container of nobody that runs.
pub(super) fn container(number: u8, name: &str, image: &str) -> ContainerView {
    ContainerView {
        id: format!("{number:02x}").repeat(32),
        name: name.to_owned(),
        image: image.to_owned(),
        image_id: format!("sha256:{}", "ab".repeat(32)),
        state: "running".to_owned(),
        health: None,
        exit_code: None,
        oom_killed: false,
        restart_count: 0,
        ports: Vec::new(),
        mounts: Vec::new(),
        environment_names: BTreeSet::from(["PATH".to_owned()]),
        project: None,
        service: None,
        made_by: None,
        healer: Healer::Nobody,
        restart_policy: "no".to_owned(),
        usage: None,
        of: None,
        run: None,
    }
}

fn usage(cpu_percent: f32, memory_mib: u64, limit_mib: u64, rates: [f64; 4]) -> ContainerUsage {
    ContainerUsage {
        cpu_percent,
        memory_bytes: memory_mib << 20,
        memory_limit_bytes: limit_mib << 20,
        pids: 9,
        net_rx_bytes_per_s: rates[0],
        net_tx_bytes_per_s: rates[1],
        disk_read_bytes_per_s: rates[2],
        disk_write_bytes_per_s: rates[3],
    }
}

/// One of compose's project `shop`, and of its service where that runs.
fn of_shop(number: u8, name: &str, image: &str) -> ContainerView {
    ContainerView {
        of: Some(id("shop", name)),
        run: Some(RunId(u64::from(number))),
        project: Some("shop".to_owned()),
        service: Some(name.to_owned()),
        made_by: Some("cas".to_owned()),
        healer: Healer::Cas,
        ..container(number, &format!("shop-{name}-1"), image)
    }
}

fn ended(of: ContainerView, code: i64) -> ContainerView {
    ContainerView { state: "exited".to_owned(), exit_code: Some(code), usage: None, of: None, run: None, ..of }
}

fn containers() -> Vec<ContainerView> {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    vec![
        ContainerView {
            usage: Some(usage(0.0, 6, 15_912, [0.0; 4])),
            restart_policy: "unless-stopped".to_owned(),
            healer: Healer::Docker,
            restart_count: 12,
            state: "restarting".to_owned(),
            ..container(0x9a, "backup-agent", "ghcr.io/acme/backup-agent:2.4.1")
        },
        ended(container(0x21, "scratch", "docker.io/library/debian:12"), 137),
        ContainerView { oom_killed: true, ..ended(container(0x22, "import-all", "python:3.12-slim"), 137) },
        ContainerView {
            usage: Some(usage(1.4, 38, 15_912, [120.0, 98.0, 0.0, 0.0])),
            ports: text(&["127.0.0.1:9000->9000/tcp", "127.0.0.1:9001->9001/tcp"]),
            ..container(0x31, "minio", "minio/minio:latest")
        },
        ContainerView {
            project: Some("blog".to_owned()),
            service: Some("db".to_owned()),
            made_by: Some("docker compose".to_owned()),
            healer: Healer::Docker,
            restart_policy: "always".to_owned(),
            health: Some("healthy".to_owned()),
            usage: Some(usage(0.3, 61, 512, [0.0, 0.0, 4096.0, 8192.0])),
            ..container(0x41, "blog-db-1", "mariadb:11")
        },
        ended(
            ContainerView {
                project: Some("blog".to_owned()),
                service: Some("web".to_owned()),
                made_by: Some("docker compose".to_owned()),
                ..container(0x42, "blog-web-1", "blog-web")
            },
            0,
        ),
        ContainerView {
            health: Some("healthy".to_owned()),
            usage: Some(usage(3.4, 142, 512, [18_400.0, 52_000.0, 0.0, 122_880.0])),
            ports: text(&["127.0.0.1:5432->5432/tcp"]),
            mounts: text(&["volume shop_data -> /var/lib/postgresql/data"]),
            environment_names: ["PATH", "POSTGRES_PASSWORD", "POSTGRES_DB", "PGDATA"].map(str::to_owned).into(),
            ..of_shop(0x51, "db", "postgres:17")
        },
        ContainerView {
            health: Some("unhealthy".to_owned()),
            usage: Some(usage(118.2, 498, 512, [1_258_291.0, 348_160.0, 0.0, 0.0])),
            ports: text(&["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"]),
            mounts: text(&["bind /srv/shop/html -> /usr/share/nginx/html"]),
            restart_count: 0,
            ..of_shop(0x52, "web", "nginx:1.27-alpine")
        },
        ContainerView {
            state: "paused".to_owned(),
            usage: Some(usage(0.0, 24, 256, [0.0; 4])),
            ..of_shop(0x53, "queue", "redis:7")
        },
        ended(of_shop(0x54, "mailer", "shop-mailer"), 1),
    ]
}

fn of_container(name: &str, phase: Phase, why: &str) -> ServiceView {
    ServiceView { kind: ServiceKind::Container, command: "docker".to_owned(), ..service("shop", name, phase, why) }
}

/// Containers in every state, three services that are some, and one that is a process.
pub(super) fn harbour() -> World {
    let mut database = of_container("db", running(3900), "runs; its own health check passed");
    database.health = Health::Healthy { since: ago(3890) };
    let mut queue = of_container("queue", running(3900), "paused by you: it is not asked and not healed");
    queue.paused = true;
    let failed = Phase::Exited { since: ago(40), exit: Exit::Code(1) };
    let services = vec![
        database,
        of_container("web", running(600), "runs"),
        queue,
        of_container("mailer", failed, "exited with code 1; restart: no, so it stays down"),
        service("shop", "worker", running(95), "runs"),
    ];
    let mut world = world(services, Vec::new());
    world.snapshot.docker = reachable();
    world.snapshot.containers = containers().into_iter().map(Arc::new).collect();
    world
}

/// A machine without an engine of containers.
pub(super) fn without() -> World {
    let mut world = super::fixture::two_down();
    let why = "unix:///var/run/docker.sock: Permission denied (os error 13) (the group docker may be missing: see docs/containers.md)";
    world.snapshot.docker = Reach::Absent { why: why.to_owned() };
    world
}
