//! How values merge, extend, are filled in and are read.

use cas::config::import::{Variable, Weight};

use super::{Shelf, container, indented, service};

/// `base` and `over` are lines of one service; the answer is the rendered service without places.
fn merged(base: &str, over: &str) -> Vec<String> {
    let shelf = Shelf::of(&format!("services:\n  web:\n    image: i\n{}", indented(base)))
        .and("compose.override.yaml", &format!("services:\n  web:\n{}", indented(over)));
    let rendered = shelf.rendered();
    let lines = rendered.lines().skip(2).map(|line| line.split("  @").next().unwrap().trim().to_owned());
    lines.collect()
}

#[test]
fn an_override_file_merges_by_the_rules_of_compose() {
    for (base, over, result) in [
        ("image: a", "image: b", &[][..]),
        ("command: a", "command: [b, c]", &["command: [\"b\", \"c\"]"]),
        ("entrypoint: [a, b]", "entrypoint: c", &["entrypoint: [\"c\"]"]),
        ("command: a", "command:", &[]),
        ("environment: {A: 1, B: 2}", "environment: [B=3, C=4]", &["env A: \"1\"", "env B: \"3\"", "env C: \"4\""]),
        ("environment: [A=1]", "environment: {A: }", &["env A: (inherited)"]),
        ("environment: {A: 1}", "environment: !reset null", &[]),
        ("environment: {A: 1, B: 2}", "environment: {A: !reset null}", &["env B: \"2\""]),
        ("environment: {A: 1}", "environment: !override {B: 2}", &["env B: \"2\""]),
        ("labels: [a=1, b]", "labels: {a: 2}", &["label a: 2", "label b:"]),
        ("ports: [\"80:80\"]", "ports: [\"81:81\", \"80:80\"]", &["port: 80 -> 80", "port: 81 -> 81"]),
        ("ports: [\"80:80\"]", "ports: !override [\"81:80\"]", &["port: 81 -> 80"]),
        ("ports: [\"80:80\"]", "ports: !reset []", &[]),
        ("volumes: [\"va:/x\", \"vb:/y\"]", "volumes: [\"vc:/x:ro\"]", &["volume: vc:/x:ro", "volume: vb:/y"]),
        ("volumes: [\"va:/x\"]", "volumes: [{type: volume, source: vc, target: /x}]", &["volume: vc:/x"]),
        ("env_file: a.env", "env_file: [b.env, a.env]", &["env_file: a.env", "env_file: b.env"]),
        ("profiles: [a]", "profiles: [b, a]", &["profile: a", "profile: b"]),
        (
            "depends_on: [a]",
            "depends_on: {b: {condition: service_healthy}}",
            &["after a: service_started", "after b: service_healthy"],
        ),
        (
            "depends_on: {a: {condition: service_healthy, restart: true}}",
            "depends_on: [a]",
            &["after a: service_started, restarts"],
        ),
        ("networks: [a]", "networks: {b: }", &["network: a", "network: b"]),
        ("build: ./x", "build: {target: dev}", &["build: x, target dev"]),
        ("build: {context: x, args: [A=1]}", "build: {args: {A: 2}}", &["build: x", "arg A: \"2\""]),
        (
            "healthcheck: {test: a, interval: 1s}",
            "healthcheck: {test: [CMD, b], retries: 9}",
            &["readiness: exec b; every 1s, timeout 30s, 9 retries, 1 successes, start 0s"],
        ),
        ("tty: true", "user: root", &["tty: true", "user: root"]),
    ] {
        let mut base = base;
        if base == "image: a" {
            base = "";
        }
        let mut is = merged(base, over);
        is.retain(|line| !line.starts_with("error compose.yaml") || !line.contains("which is no service"));
        is.retain(|line| !line.starts_with("error compose.override.yaml") || !line.contains("which is no service"));
        is.retain(|line| !line.contains("there is no directory"));
        assert_eq!(is, result, "{base} + {over}");
    }
}

#[test]
fn a_value_of_the_override_file_is_told_with_its_file() {
    let shelf = Shelf::of("services:\n  web:\n    image: a\n    user: x\n")
        .and("compose.override.yml", "services:\n  web:\n    image: b\n");
    assert_eq!(shelf.rendered(), "service: web  @2:3\n  image: b  @compose.override.yml:3:12\n  user: x  @4:11\n");
}

#[test]
fn two_forms_that_cannot_be_merged_are_told_with_both_places() {
    let shelf = Shelf::of("services:\n  web:\n    image: a\n    cap_add: [X]\n")
        .and("compose.override.yaml", "services:\n  web:\n    cap_add: {X: 1}\n");
    assert_eq!(
        shelf.notes(Weight::Error),
        ["compose.override.yaml:3:14: services.web.cap_add: a map cannot be merged with a list"]
    );
}

#[test]
fn variables_are_filled_in_as_compose_does() {
    for (text, result) in [
        ("${SET}", "set"),
        ("$SET", "set"),
        ("${NONE:-d}", "d"),
        ("${NONE-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${SET:?needed}", "set"),
        ("${EMPTY?needed}", ""),
        ("${SET:+r}", "r"),
        ("${EMPTY:+r}", ""),
        ("${EMPTY+r}", "r"),
        ("${NONE+r}", ""),
        ("${NONE:-${NONE2:-${SET}}}", "set"),
        ("${SET:+${FILE}}", "of the file"),
        ("$$SET $${SET}", "$SET ${SET}"),
        ("${FILE}", "of the file"),
        ("${BOTH}", "of the environment"),
        ("${COMPOSE_PROJECT_NAME}", "shop"),
        ("${NONE}", ""),
    ] {
        let shelf =
            Shelf::of(&format!("name: shop\nservices:\n  web:\n    image: i\n    environment:\n      A: \"{text}\"\n"))
                .and(".env", "FILE=of the file\nBOTH=of the file\n")
                .set("SET", "set")
                .set("EMPTY", "")
                .set("BOTH", "of the environment");
        let imported = shelf.import();
        let value = &imported.services[0].environment["A"].value;
        assert_eq!(*value, Variable::Text(result.to_owned()), "{text}");
        assert_eq!(imported.notes.len(), usize::from(text == "${NONE}"), "{text}: {:?}", imported.notes);
    }
}

#[test]
fn a_service_extends_one_of_its_file_and_one_of_another() {
    let shelf = Shelf::of(
        "services:\n  base:\n    image: a\n    environment: {A: 1, B: 1}\n    command: run\n  web:\n    extends: base\n    \
         environment: {B: 2}\n  far:\n    extends: {file: deep/other.yaml, service: x}\n    ports: !reset []\n",
    )
    .and(
        "deep/other.yaml",
        "services:\n  x:\n    extends: {service: y}\n    build: .\n  y:\n    ports: [\"1:1\"]\n    volumes: [./d:/d]\n",
    )
    .and("deep/Dockerfile", "FROM scratch\n");
    let expected = "service: base  @2:3\n  image: a  @3:12\n  command: [\"run\"]  @5:14\n  env A: \"1\"  @4:19\n  env B: \"1\"  @4:25\n\
                    service: web  @6:3\n  image: a  @3:12\n  command: [\"run\"]  @5:14\n  env A: \"1\"  @4:19\n  env B: \"2\"  @8:19\n\
                    service: far  @9:3\n  build: deep  @deep/other.yaml:4:12\n  volume: deep/d:/d  @deep/other.yaml:7:15\n";
    assert_eq!(shelf.rendered(), expected);
}

#[test]
fn an_included_project_has_its_own_directory_and_variables() {
    let shelf = Shelf::of(
        "include:\n  - a/compose.yaml\n  - path: [b/one.yaml, b/two.yaml]\n    project_directory: c\n    env_file: v.env\n\
         services:\n  web:\n    image: w\n    depends_on: [db, q]\n",
    )
    .and("a/compose.yaml", "services:\n  db:\n    image: \"db:${TAG}\"\n    volumes: [./data:/d]\n")
    .and("a/.env", "TAG=7\n")
    .and("b/one.yaml", "services:\n  q:\n    image: \"q:${TAG}\"\n    env_file: x.env\n")
    .and("b/two.yaml", "services:\n  q:\n    user: u\n")
    .and("v.env", "TAG=8\n");
    let expected = "service: web  @7:3\n  image: w  @8:12\n  after db: service_started  @9:18\n  after q: service_started  @9:22\n\
                    service: db  @a/compose.yaml:2:3\n  image: db:7  @a/compose.yaml:3:12\n  \
                    volume: a/data:/d  @a/compose.yaml:4:15\n\
                    service: q  @b/one.yaml:2:3\n  image: q:8  @b/one.yaml:3:12\n  env_file: c/x.env  @b/one.yaml:4:15\n  \
                    user: u  @b/two.yaml:3:11\n";
    assert_eq!(shelf.rendered(), expected);
}

#[test]
fn ports_are_read_in_every_form() {
    for (entry, result) in [
        ("3000", &["- -> 3000"][..]),
        ("\"3000-3001\"", &["- -> 3000", "- -> 3001"]),
        ("\"8000:80\"", &["8000 -> 80"]),
        ("\"9090-9091:8080-8081\"", &["9090 -> 8080", "9091 -> 8081"]),
        ("\"127.0.0.1:8001:8001\"", &["127.0.0.1 8001 -> 8001"]),
        ("\"127.0.0.1::80\"", &["127.0.0.1 - -> 80"]),
        ("\"[::1]:80:81\"", &["::1 80 -> 81"]),
        ("\"6060:6060/udp\"", &["6060 -> 6060/udp"]),
        ("{target: 80, published: \"8080\", host_ip: 0.0.0.0, protocol: udp}", &["0.0.0.0 8080 -> 80/udp"]),
        ("{target: 80}", &["- -> 80"]),
        ("{target: 80, published: 80, mode: ingress}", &["80 -> 80"]),
    ] {
        let rendered = service(&format!("ports:\n  - {entry}")).rendered();
        let ports: Vec<_> = rendered
            .lines()
            .skip(2)
            .map(|line| line.trim().split("  @").next().unwrap().replace("port: ", ""))
            .collect();
        assert_eq!(ports, result, "{entry}");
    }
}

#[test]
fn restarts_limits_and_times_are_read_in_every_form() {
    for (lines, result) in [
        ("restart: no", "restart: no"),
        ("restart: \"no\"", "restart: no"),
        ("restart: always", "restart: always"),
        ("restart: on-failure", "restart: on-failure"),
        ("restart: on-failure:5", "restart: on-failure, 5 times"),
        ("restart: unless-stopped", "restart: unless-stopped"),
        ("deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}", "restart: on-failure, 2 times"),
        ("deploy: {restart_policy: {condition: none}}", "restart: no"),
        ("deploy: {replicas: 3}", "replicas: 3"),
        ("scale: 2", "replicas: 2"),
        ("mem_limit: 64m", "memory: 67108864"),
        ("mem_limit: 1000", "memory: 1000"),
        ("deploy: {resources: {limits: {memory: 1.5G}}}", "memory: 1610612736"),
        ("deploy: {resources: {limits: {cpus: \"0.25\"}}}", "cpus: 0.25"),
        ("pids_limit: 10", "pids: 10"),
        ("stop_grace_period: 1m30s", "stop_grace: 90s"),
        ("stop_grace_period: 1.5s", "stop_grace: 1.5s"),
        ("stop_signal: SIGINT", "stop_signal: Int"),
        ("stop_signal: \"9\"", "stop_signal: Kill"),
        ("command: echo 'a b' c\\ d", "command: [\"echo\", \"a b\", \"c d\"]"),
        ("entrypoint: []", "entrypoint: []"),
        ("entrypoint: ''", "entrypoint: []"),
    ] {
        let rendered = service(lines).rendered();
        let line = rendered.lines().nth(2).unwrap_or_default().trim();
        assert_eq!(line.split("  @").next(), Some(result), "{lines}: {rendered}");
    }
}

#[test]
fn a_healthcheck_is_a_readiness_probe() {
    for (lines, result) in [
        (
            "{test: curl x || exit 1}",
            Some("exec curl x || exit 1; every 30s, timeout 30s, 3 retries, 1 successes, start 0s"),
        ),
        (
            "{test: [CMD, pg_isready, -U, x], timeout: 1s}",
            Some("exec pg_isready -U x; every 30s, timeout 1s, 3 retries, 1 successes, start 0s"),
        ),
        (
            "{test: [CMD-SHELL, a b], start_period: 1m}",
            Some("exec a b; every 30s, timeout 30s, 3 retries, 1 successes, start 1m"),
        ),
        ("{test: [NONE]}", None),
        ("{disable: true}", None),
    ] {
        let rendered = service(&format!("healthcheck: {lines}")).rendered();
        let line = rendered.lines().nth(2).map(|line| line.trim().split("  @").next().unwrap());
        assert_eq!(line, result.map(|result| format!("readiness: {result}")).as_deref(), "{lines}");
    }
}

#[test]
fn mounts_are_in_the_short_form_with_absolute_sources() {
    let shelf = service(
        "volumes:\n  - ./a:/a\n  - ../b:/b:ro\n  - ~/c:/c\n  - data:/d\n  - /e\n  - {type: bind, source: f, target: /f, read_only: true}",
    )
    .set("HOME", "/home/ada");
    let imported = shelf.import();
    let mounts: Vec<_> = container(&imported.services[0]).volumes.iter().map(|told| told.value.as_str()).collect();
    assert_eq!(mounts, ["/p/a:/a", "/b:/b:ro", "/home/ada/c:/c", "data:/d", "/e", "/p/f:/f:ro"]);
}
