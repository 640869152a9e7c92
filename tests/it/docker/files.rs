//! Files that say containers.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{collections::BTreeMap, path::Path};

use cas::{
    config,
    model::{
        container::{ContainerSpec, MountSource},
        project::ProjectSpec,
        service::{Condition, Port, ServiceKind},
    },
};

fn load(directory: &Path, name: &str, text: &str) -> ProjectSpec {
    let file = directory.join(name);
    std::fs::write(&file, text).unwrap();
    let loaded = config::load(&file, None, &BTreeMap::new());
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    loaded.project.unwrap()
}

fn container<'p>(project: &'p ProjectSpec, name: &str) -> &'p ContainerSpec {
    let service = project.services.iter().find(|spec| spec.id.service.as_str() == name).unwrap();
    assert_eq!(service.kind, ServiceKind::Container);
    service.container.as_deref().unwrap()
}

#[test]
fn a_project_file_mixes_containers_and_processes() {
    let directory = tempfile::tempdir().unwrap();
    let project = load(
        directory.path(),
        "cas.yaml",
        "name: Shop
services:
  db:
    image: postgres:16
    environment: {POSTGRES_PASSWORD: x}
    ports: ['127.0.0.1:5433:5432', 53:53/udp]
    volumes: ['data:/var/lib/postgresql/data', './conf:/conf:ro', /cache]
    networks: {back: {aliases: [database]}}
    working_dir: /var/lib
    user: postgres
    cap_add: [NET_ADMIN]
    shm_size: 64m
    healthcheck: {test: [CMD, pg_isready]}
  app:
    shell: exec sleep 100
    depends_on: {db: {condition: service_healthy}}
",
    );
    let db = container(&project, "db");
    assert_eq!((db.name(), db.tag()), ("shop-db-1".to_owned(), "postgres:16".to_owned()));
    let sources: Vec<MountSource> = db.mounts.iter().map(|mount| mount.source.clone()).collect();
    let conf = directory.path().canonicalize().unwrap().join("conf").display().to_string();
    let wanted = [MountSource::Volume("data".to_owned()), MountSource::Bind(conf), MountSource::Anonymous];
    assert_eq!(sources, wanted);
    assert_eq!(db.volume_name("data"), "shop_data");
    assert_eq!(db.networks[0].aliases, ["database"]);
    assert_eq!((db.working_dir.as_deref(), db.user.as_deref()), (Some("/var/lib"), Some("postgres")));
    assert_eq!(db.shm_bytes, Some(64 << 20));
    let spec = &project.services[0];
    assert_eq!(spec.ports, [Port(5433)], "only what is published over TCP is looked for before a start");
    let app = &project.services[1];
    assert_eq!((app.kind, app.container.is_none()), (ServiceKind::Process, true));
    assert_eq!(app.depends_on.values().next().unwrap().condition, Condition::ServiceHealthy);
}

#[test]
fn a_compose_file_is_run_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("My Shop");
    std::fs::create_dir(&root).unwrap();
    let project = load(
        &root,
        "compose.yaml",
        "services:
  web:
    build: {context: ., args: {A: b}}
    command: serve --all
    entrypoint: [/bin/tini, --]
    ports: [80, '8080:80']
    expose: ['9000']
    depends_on: [cache]
    extra_hosts: [host.docker.internal=host-gateway]
    ulimits: {nofile: {soft: 10, hard: 20}}
    pull_policy: build
    tmpfs: /run
  cache:
    image: redis
    networks: [far]
    deploy: {replicas: 2}
networks:
  far: {name: others, external: true}
",
    );
    let web = container(&project, "web");
    assert_eq!((web.project.as_str(), web.tag().as_str()), ("myshop", "myshop-web"), "as compose names it");
    assert_eq!(web.command.as_deref().unwrap(), ["serve", "--all"]);
    assert_eq!(web.entrypoint.as_deref().unwrap(), ["/bin/tini", "--"]);
    let published: Vec<(Option<u16>, u16)> = web.ports.iter().map(|port| (port.host, port.target)).collect();
    assert_eq!(published, [(None, 80), (Some(8080), 80)]);
    assert_eq!(web.expose.len(), 1);
    assert_eq!(web.extra_hosts, ["host.docker.internal:host-gateway"]);
    assert_eq!(web.ulimits["nofile"], (10, 20));
    assert_eq!(web.networks[0].network, "default");
    assert_eq!(web.mounts[0].source, MountSource::Tmpfs);
    let cache = container(&project, "cache-2");
    assert_eq!((cache.name(), cache.number), ("myshop-cache-2".to_owned(), 2));
    assert_eq!(cache.network_name("far"), "others");
    let needs: Vec<&str> = project.services[0].depends_on.keys().map(cas::model::ids::ServiceName::as_str).collect();
    assert_eq!(needs, ["cache-1", "cache-2"]);
}
