//! Against etcd 3.4.23 of Debian 12.

use cas::{
    model::exam::{Grade, Protocol, Target, Trouble},
    world::kinds::web as http,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{as_user, assert_known, assert_sign, assert_silent, remark, web};
use crate::kinds::rig::{Server, at, dir, figure, free_port, look, program, ready, run, until_ready};

const ETCD: Protocol = Protocol::Etcd;

fn start() -> Server {
    let (port, dir) = (free_port(), dir());
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", free_port()));
    let arguments = [
        "--data-dir",
        "data",
        "--listen-client-urls",
        &client,
        "--advertise-client-urls",
        &client,
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
        "--initial-cluster",
        &format!("default={peer}"),
        "--quota-backend-bytes",
        "4000000",
    ];
    Server::start(dir, port, &program("etcd", "etcd-server"), &arguments)
}

/// A request to its gateway: whether it was granted, and the answer.
fn ask(target: &Target, token: &str, path: &str, body: &Value) -> (bool, Value) {
    let anonymous = Target { user: None, password: None, ..target.clone() };
    let headers = [("authorization", token)];
    let headers = if token.is_empty() { &[][..] } else { &headers[..] };
    let answer = run(http::ask(Method::POST, &anonymous, path, headers, Some(body.to_string().into_bytes()))).unwrap();
    (answer.status.is_success(), answer.json(target).unwrap_or_default())
}

#[test]
fn etcd_tells_of_its_database_until_it_is_full() {
    let server = start();
    let target = server.target();
    until_ready(&server, ETCD, &target);
    let reading = look(ETCD, &target).unwrap();
    assert_eq!(reading.server.as_deref(), Some("etcd 3.4.23"));
    assert!(reading.remarks.is_empty(), "{reading:?}");
    assert_known("etcd", &reading);
    let size = reading.measures.iter().find(|measure| measure.name == "db-size").unwrap();
    assert_eq!(size.limit, Some(4_000_000.0));
    assert!(figure(&reading, "fsync") > 0.0 && figure(&reading, "file-descriptors") > 3.0);
    let before = size.value;

    who_may_not_come_in(&target);
    server.signal("STOP");
    assert_silent(ETCD, &target);
    server.signal("CONT");

    // With names and passwords from here on.
    let root = as_user(&target, "root", "right");
    let (_, told) = ask(&target, "", "/v3/auth/authenticate", &json!({"name": "root", "password": "right"}));
    let token = told["token"].as_str().unwrap().to_owned();
    // "a" and a value of 300 kB, in base64.
    let put = json!({"key": "YQ==", "value": "QUJD".repeat(100_000)});
    let mut puts = 0;
    while ask(&target, &token, "/v3/kv/put", &put).0 {
        puts += 1;
        assert!(puts < 100, "it is never full");
    }
    assert!(puts > 2);
    let answer = ready(ETCD, &root);
    assert!(matches!(answer, Err(Trouble::Unready(_))), "{answer:?}");
    let reading = look(ETCD, &root).unwrap();
    assert!(remark(&reading, "alarm", Grade::Critical).contains("NOSPACE"));
    assert!(figure(&reading, "db-size") > before + 1e6);
    assert_sign("etcd", &server, "database is full");
}

fn who_may_not_come_in(target: &Target) {
    // Before it wants to know, any password does.
    assert_eq!(ready(ETCD, &as_user(target, "anybody", "anything")), Ok(()));
    for (path, body) in [
        ("/v3/auth/user/add", json!({"name": "root", "password": "right"})),
        ("/v3/auth/role/add", json!({"name": "root"})),
        ("/v3/auth/user/grant", json!({"user": "root", "role": "root"})),
        ("/v3/auth/enable", json!({})),
    ] {
        assert!(ask(target, "", path, &body).0, "{path}");
    }
    assert_eq!(ready(ETCD, &as_user(target, "root", "right")), Ok(()));
    let answer = ready(ETCD, &as_user(target, "root", "not-this-one"));
    let Err(Trouble::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("user root") && !why.contains("not-this-one"), "{why}");
}

#[test]
fn health_of_etcd_is_told_from_that_of_others() {
    let answer = ready(ETCD, &at(web(|_| (200, "{}"))));
    assert!(matches!(answer, Err(Trouble::Foreign(_))), "{answer:?}");
    let answer = ready(ETCD, &at(web(|_| (403, ""))));
    assert!(matches!(answer, Err(Trouble::Refused(_))), "{answer:?}");
}

/// As etcd 3.5 answers without a leader (`etcdserver/api/etcdhttp`), and to who may not list alarms.
#[test]
fn an_etcd_without_a_leader_is_not_ready_and_says_why() {
    let target = at(web(|path| match path {
        "/health" => (503, r#"{"health":"false","reason":"RAFT NO LEADER"}"#),
        "/version" => (200, r#"{"etcdserver":"3.5.9","etcdcluster":"3.5.0"}"#),
        "/v3/maintenance/alarm" => (400, r#"{"error":"etcdserver: user name is empty","code":3}"#),
        "/v3/maintenance/status" => {
            (200, r#"{"version":"3.5.9","dbSize":"20480","leader":"0","raftIndex":"9","raftAppliedIndex":"4"}"#)
        }
        _ => (404, ""),
    }));
    let answer = ready(ETCD, &target);
    assert!(matches!(&answer, Err(Trouble::Unready(why)) if why.contains("RAFT NO LEADER")), "{answer:?}");
    let reading = look(ETCD, &target).unwrap();
    assert!(remark(&reading, "health", Grade::Critical).contains("RAFT NO LEADER"));
    assert!(remark(&reading, "alarm", Grade::Notice).contains("user name is empty"));
    assert!(remark(&reading, "leader", Grade::Critical).contains("no leader"));
    assert_eq!((figure(&reading, "raft-lag"), figure(&reading, "db-size")), (5.0, 20480.0));
}
