//! Each dishonest check beside its honest twin.

use std::collections::BTreeSet;

use super::{About, of_command, stranger};
use crate::model::{
    exam::{Grade, Protocol},
    service::CommandLine,
};

fn said(line: &str, about: About<'_>) -> Vec<String> {
    let doubts = of_command(&CommandLine::Shell(line.to_owned()), about);
    doubts.into_iter().map(|doubt| format!("{}: {} → {}", doubt.grade.label(), doubt.misses, doubt.better)).collect()
}

/// A line, what it misses, what to write, and a line that is honest.
const TABLE: &[(&str, &str, &str, &str)] = &[
    (
        "redis-cli ping",
        "prints NOAUTH",
        "check: redis://localhost:6379, or redis-cli -e ping",
        "redis-cli ping | grep -q PONG",
    ),
    ("redis-cli -p 7000 -a x PING", "prints NOAUTH", "check: redis://localhost:7000", "redis-cli -e -p 7000 -a x PING"),
    ("docker exec -i cache valkey-cli ping", "NOAUTH", "valkey-cli -e ping", "test \"$(redis-cli ping)\" = PONG"),
    (
        "curl http://localhost:8080/health",
        "ends with 0 on 404",
        "curl -f http://localhost:8080/health",
        "curl -f http://localhost:8080/health",
    ),
    (
        "curl -sS localhost:8080/health",
        "ends with 0 on 404",
        "curl -f -sS localhost",
        "curl -sSf localhost:8080/health",
    ),
    (
        "curl -s -o /dev/null -w '%{http_code}' localhost:80",
        "compares it with nothing",
        "curl -f -s",
        "[ \"$(curl -s -o /dev/null -w '%{http_code}' localhost:80)\" = 200 ]",
    ),
    (
        "timeout 3 curl -s localhost",
        "ends with 0 on 404",
        "timeout 3 curl -f -s localhost",
        "curl --fail-with-body localhost",
    ),
    (
        "curl -s localhost/health | cat",
        "`cat` ends with 0 whatever it reads",
        "grep -q WORD",
        "curl -s localhost/health | grep -q ok",
    ),
    (
        "curl -s localhost/health | jq .status",
        "`jq` ends with 0",
        "pipefail",
        "curl -sf localhost/health | jq -e '.status == \"ok\"'",
    ),
    ("set -e; pg_dump x | head -1", "`head` ends with 0", "pipefail", "set -o pipefail; pg_dump x | head -1"),
    (
        "docker ps | grep Up",
        "Up 2 hours (unhealthy)",
        "docker inspect -f",
        "docker ps --filter health=healthy | grep -q shop-db",
    ),
    (
        "curl -f localhost || true",
        "`|| true` at its end",
        "leave that out: curl -f localhost",
        "curl -f localhost || exit 1",
    ),
    (
        "curl -f localhost; exit 0",
        "`; exit 0` at its end",
        "leave that out: curl -f localhost",
        "curl -f localhost || exit 1; exit 0",
    ),
    ("curl -f localhost || exit 0", "`|| exit 0` at its end", "leave that out", "curl -f localhost && exit 0"),
    ("exit 0", "asks nothing", "tcp: 8080", "test -e /run/ready"),
    ("true", "asks nothing", "http: 8080/health", "test -S /run/app.sock"),
    ("echo ok", "asks nothing", "http: 8080/health", "curl -f localhost && echo ok"),
    ("sh -c 'true'", "asks nothing", "http", "sh -c 'test -e x'"),
    ("ps aux | grep nginx", "finds the grep itself", "pgrep -x nginx", "ps aux | grep '[n]ginx'"),
    ("ps -ef | grep -q worker", "finds the grep itself", "pgrep -x worker", "ps -ef | grep worker | grep -v grep"),
    (
        "mysqladmin ping -h localhost -uroot -px",
        "Access denied",
        "check: mysql://user:password@localhost:3306/database",
        "mysql -uroot -px -e 'select 1'",
    ),
    ("mariadb-admin ping", "Access denied", "check: mysql://", "healthcheck.sh --connect --innodb_initialized"),
    (
        "pg_isready -U shop -p 5433",
        "nothing about logging in",
        "check: postgres://user:password@localhost:5433/database",
        "psql -U shop -c 'select 1'",
    ),
    (
        "psql -c 'INSERT INTO pings VALUES (1)'",
        "writes something on every round",
        "select 1",
        "psql -c 'SELECT count(*) FROM pings'",
    ),
    ("mysql -e \"update t set a = 1\"", "writes something", "select 1", "mysql -e 'select updated from t limit 1'"),
    ("redis-cli -e setex probe 10 1", "SETEX writes something", "check: redis://", "redis-cli -e get probe"),
    ("redis-cli -e LPUSH q x", "LPUSH writes something", "check: redis://", "redis-cli -e llen q"),
    ("touch /tmp/probe", "`touch` writes something", "test -w", "test -w /tmp"),
    (
        "curl -f localhost > /tmp/out",
        "`> /tmp/out` writes something",
        "/dev/null",
        "curl -f localhost > /dev/null 2>&1",
    ),
    ("curl -f -X POST localhost/orders", "`-X POST` writes something", "a GET", "curl -f -X GET localhost/orders"),
    ("curl -f -d a=b localhost/orders", "a POST) writes something", "a GET", "curl -f -G -d a=b localhost/orders"),
    ("wget -q --post-data=x localhost", "a POST) writes something", "--spider", "wget -q --spider localhost"),
    (
        "curl -f https://shop.example.com/health",
        "asks shop.example.com",
        "http://localhost:8080/health",
        "curl -f http://api:3000/health",
    ),
    (
        "wget -qO- https://example.org/up",
        "asks example.org",
        "http://localhost:8080/up",
        "wget -qO- http://10.0.0.7/up",
    ),
];

#[test]
fn every_dishonest_check_is_named_with_what_to_write_and_its_honest_twin_is_left_alone() {
    let services = BTreeSet::from(["api".to_owned()]);
    let about = About { protocol: None, port: None, services: Some(&services) };
    for (line, misses, better, honest) in TABLE {
        let doubts = said(line, about);
        if !misses.is_empty() {
            assert!(doubts.iter().any(|doubt| doubt.contains(misses) && doubt.contains(better)), "{line}: {doubts:#?}");
        }
        assert_eq!(said(honest, about), Vec::<String>::new(), "{honest}");
    }
}

#[test]
fn an_argument_vector_is_read_as_such_and_a_shell_within_it_as_a_line() {
    let of = |words: &[&str]| {
        let argv = words.iter().map(|word| (*word).to_owned()).collect();
        of_command(&CommandLine::Argv(argv), About::default())
    };
    assert_eq!(of(&["redis-cli", "ping"]).len(), 1);
    assert_eq!(of(&["/bin/sh", "-c", "curl -f localhost || true"]).len(), 1);
    assert_eq!(of(&["bash", "-ec", "curl localhost"]).len(), 1);
    assert_eq!(of(&["curl", "-f", "localhost", "||", "true"]), []);
    assert_eq!(of(&[]), []);
}

#[test]
fn a_port_alone_is_a_notice_only_where_the_service_has_a_protocol() {
    let redis = About { protocol: Some(Protocol::Redis), port: Some(7001), services: None };
    let doubts = of_command(&CommandLine::Shell("nc -z localhost 7001".to_owned()), redis);
    assert_eq!(doubts.len(), 1);
    assert_eq!(doubts[0].grade, Grade::Notice);
    assert!(doubts[0].better.contains("check: redis://localhost:7001"), "{doubts:?}");
    assert_eq!(said("nc -z localhost 7001", About::default()), Vec::<String>::new());
}

#[test]
fn only_hosts_that_are_far_are_strangers() {
    let services = BTreeSet::from(["api.v2".to_owned()]);
    let about = About { services: Some(&services), ..About::default() };
    for near in [
        "http://localhost/",
        "http://127.0.0.1:80/",
        "http://[::1]/",
        "http://0.0.0.0/",
        "http://api.v2/",
        "http://db/",
        "http://192.168.1.2/",
        "http://172.20.0.3/",
        "http://10.1.1.1/",
        "http://100.64.0.1/",
        "http://[fd00::1]/",
        "http://[fe80::1]/",
        "http://shop.localhost/",
        "http://host.docker.internal/",
        "http://printer.local/",
    ] {
        assert_eq!(stranger(near, about), None, "{near}");
    }
    for far in ["https://shop.example.com/health", "http://8.8.8.8/", "http://[2606:4700::1]/", "http://172.32.0.1/"] {
        assert!(stranger(far, about).is_some_and(|doubt| doubt.grade == Grade::Warning), "{far}");
    }
}
