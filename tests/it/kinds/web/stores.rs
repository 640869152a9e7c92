//! `InfluxDB` 1.6.7 and docker-registry 2.8.2, and fakes of `InfluxDB` 2, Qdrant and Weaviate as their documentation has them.

use std::{fs, process::Command};

use super::{
    super::rig::{Server, dir, figure, free_port, look, program, ready, run, until_ready},
    fake::{Fake, Reply, as_user, with},
    known, measure, remarks, silent,
};
use crate::support::eventually;
use cas::{
    model::exam::{
        Grade,
        Protocol::{Influxdb, Qdrant, Registry, Weaviate},
        Target, Trouble,
    },
    world::kinds::web,
};
use reqwest::Method;

/// Posts, and takes the status.
fn post(target: &Target, path: &str, body: &str) -> u16 {
    let answer = run(web::ask(Method::POST, target, path, &[], Some(body.as_bytes().to_vec()))).unwrap();
    answer.status.as_u16()
}

#[test]
fn influxdb_counts_series_and_what_it_refuses() {
    let (dir, port, other) = (dir(), free_port(), free_port());
    let mut command = Command::new(program("influxd", "influxdb"));
    let path = |name: &str| dir.path().join(name).display().to_string();
    command.args(["run", "-config", "/dev/null"]).envs([
        ("INFLUXDB_REPORTING_DISABLED", "true"),
        ("INFLUXDB_HTTP_BIND_ADDRESS", &format!("127.0.0.1:{port}")),
        ("INFLUXDB_BIND_ADDRESS", &format!("127.0.0.1:{other}")),
        ("INFLUXDB_META_DIR", &path("meta")),
        ("INFLUXDB_DATA_DIR", &path("data")),
        ("INFLUXDB_DATA_WAL_DIR", &path("wal")),
        ("INFLUXDB_HTTP_AUTH_ENABLED", "true"),
        ("INFLUXDB_HTTP_FLUX_ENABLED", "false"),
    ]);
    let server = Server::start_with(dir, port, &mut command);
    let target = server.target();
    until_ready(&server, Influxdb, &target);
    assert_eq!(
        post(&target, "/query?q=CREATE%20USER%20admin%20WITH%20PASSWORD%20'word'%20WITH%20ALL%20PRIVILEGES", ""),
        200
    );
    let admin = as_user(&target, "admin", "word");
    assert_eq!(ready(Influxdb, &admin), Ok(()));
    assert_eq!(post(&admin, "/query?q=CREATE%20DATABASE%20shop", ""), 200);
    let first = look(Influxdb, &admin).unwrap();
    assert!(first.server.as_deref().unwrap().starts_with("InfluxDB 1.6.7"), "{first:?}");
    let points: Vec<_> = (0..50).map(|n| format!("orders,customer=c{n} total={n}")).collect();
    assert_eq!(post(&admin, "/write?db=shop", &points.join("\n")), 204);
    let had = |reading: &cas::model::exam::Reading, name: &str| {
        reading.measures.iter().find(|one| one.name == name).map_or(0.0, |one| one.value)
    };
    eventually("its series are counted", || {
        let reading = look(Influxdb, &admin).unwrap();
        had(&reading, "series") >= 50.0 && had(&reading, "points-written") >= 50.0
    });
    let second = look(Influxdb, &admin).unwrap();
    assert!(
        measure(&second, "series").about.as_deref().is_some_and(|about| about.ends_with("of them in shop")),
        "{second:?}"
    );
    known("influxdb", &second);
    assert!(figure(&second, "requests") > had(&first, "requests") && figure(&second, "heap") > 0.0);
    let refused = ready(Influxdb, &as_user(&target, "admin", "wrong-word"));
    assert!(
        matches!(&refused, Err(Trouble::Refused(why)) if !why.contains("wrong-word") && why.contains("refuses the user and password")),
        "{refused:?}"
    );
    let third = look(Influxdb, &target).unwrap();
    assert!(had(&third, "authentication-failures") > had(&first, "authentication-failures"), "{third:?}");
    assert_eq!(post(&admin, "/write?db=shop", "orders,customer=c1 total=\"text\""), 400);
    assert!(had(&look(Influxdb, &admin).unwrap(), "client-errors") > had(&second, "client-errors"));
    server.signal("STOP");
    silent(Influxdb, &target);
}

/// <https://docs.influxdata.com/influxdb/v2/api/>, <https://docs.influxdata.com/influxdb/v2/reference/internals/metrics/>.
#[test]
fn influxdb_2_is_asked_with_a_token() {
    let fake = Fake::new(|question| match question.path.as_str() {
        "/ping" => Reply::new(204, "").header("X-Influxdb-Version", "v2.7.1").header("X-Influxdb-Build", "OSS"),
        "/health" => Reply::new(
            200,
            r#"{"name":"influxdb","message":"ready for queries and writes","status":"pass","version":"v2.7.1"}"#,
        ),
        "/api/v2/buckets?limit=1" if question.header("authorization") == Some("Token right") => {
            Reply::new(200, r#"{"buckets":[]}"#)
        }
        "/api/v2/buckets?limit=1" => Reply::new(401, r#"{"code":"unauthorized","message":"unauthorized access"}"#),
        "/metrics" => Reply::new(
            200,
            "storage_bucket_series_num{bucket=\"a\"} 7\nstorage_bucket_series_num{bucket=\"b\"} 5\nstorage_writer_timeouts{engine=\"x\"} 2\n",
        ),
        _ => Reply::new(404, ""),
    });
    let token = |word: &str| as_user(&fake.target(), "", word);
    assert_eq!(ready(Influxdb, &token("right")), Ok(()));
    assert!(matches!(ready(Influxdb, &token("wrong")), Err(Trouble::Refused(_))));
    let reading = look(Influxdb, &token("right")).unwrap();
    known("influxdb", &reading);
    assert_eq!(reading.server.as_deref(), Some("InfluxDB v2.7.1"));
    assert_eq!((figure(&reading, "series"), figure(&reading, "write-timeouts")), (12.0, 2.0));
    let ill = Fake::new(|question| match question.path.as_str() {
        "/ping" => Reply::new(204, "").header("X-Influxdb-Version", "v2.7.1"),
        _ => Reply::new(503, r#"{"status":"fail","message":"bolt store is closed"}"#),
    });
    let expected = format!("{} says that it fails: bolt store is closed", ill.target().place());
    assert_eq!(ready(Influxdb, &ill.target()), Err(Trouble::Unready(expected)));
    let other = Fake::new(|_| Reply::new(200, "hello"));
    assert!(matches!(ready(Influxdb, &other.target()), Err(Trouble::Foreign(_))));
}

#[test]
fn a_registry_tells_what_it_holds_and_a_closed_one_is_alive() {
    let (dir, port, debug) = (dir(), free_port(), free_port());
    let data = dir.path().join("data");
    fs::write(
        dir.path().join("conf"),
        format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http: {{ addr: '127.0.0.1:{port}', secret: x, debug: {{ addr: '127.0.0.1:{debug}' }} }}\nhealth: {{ storagedriver: {{ enabled: true }} }}\n",
            data.display()
        ),
    )
    .unwrap();
    let server = Server::start(dir, port, &program("docker-registry", "docker-registry"), &["serve", "conf"]);
    let target = server.target();
    until_ready(&server, Registry, &target);
    fs::create_dir_all(data.join("docker/registry/v2/repositories")).unwrap();
    let with_debug = with(&target, "", &[("debug", &debug.to_string())]);
    let empty = look(Registry, &with_debug).unwrap();
    assert_eq!(empty.server.as_deref(), Some("registry/2.0"));
    known("docker-registry", &empty);
    assert_eq!(figure(&empty, "repositories"), 0.0);
    assert!(empty.remarks.is_empty(), "{empty:?}");
    // As a push leaves it (https://distribution.github.io/distribution/storage-drivers/filesystem/).
    fs::create_dir_all(data.join("docker/registry/v2/repositories/shop/web/_layers")).unwrap();
    assert_eq!(figure(&look(Registry, &target).unwrap(), "repositories"), 1.0);
    let no_debug = look(Registry, &with(&target, "", &[("debug", &free_port().to_string())])).unwrap();
    assert!(
        remarks(&no_debug, "storage")[0].0.starts_with("its debug port cannot be asked: connection refused"),
        "{no_debug:?}"
    );
    server.signal("STOP");
    silent(Registry, &target);

    // https://distribution.github.io/distribution/spec/api/
    let closed = Fake::new(|_| {
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#;
        Reply::new(401, body)
            .header("Docker-Distribution-Api-Version", "registry/2.0")
            .header("WWW-Authenticate", "Basic realm=\"x\"")
    });
    assert_eq!(ready(Registry, &closed.target()), Ok(()));
    assert_eq!(remarks(&look(Registry, &closed.target()).unwrap(), "repositories").len(), 1);
    assert!(matches!(ready(Registry, &as_user(&closed.target(), "me", "wrong")), Err(Trouble::Refused(_))));
    let ill = Fake::new(|_| {
        let body = r#"{"errors":[{"code":"UNAVAILABLE","message":"service unavailable","detail":"health check failed: please see /debug/health"}]}"#;
        Reply::new(503, body).header("Docker-Distribution-Api-Version", "registry/2.0")
    });
    let place = ill.target().place();
    assert_eq!(
        ready(Registry, &ill.target()),
        Err(Trouble::Unready(format!(
            "{place} answers 503 for /v2/: UNAVAILABLE service unavailable health check failed: please see /debug/health"
        )))
    );
    let other = Fake::new(|_| Reply::new(401, "login"));
    assert!(matches!(ready(Registry, &other.target()), Err(Trouble::Foreign(_))));
    let sick = Fake::new(|_| Reply::new(503, r#"{"storagedriver_filesystem":"disk is gone"}"#));
    let healthy = Fake::new(|question| {
        let body = if question.path.starts_with("/v2/_catalog") { r#"{"repositories":[]}"# } else { "{}" };
        Reply::new(200, body)
    });
    let reading = look(Registry, &with(&healthy.target(), "", &[("debug", &sick.target().port.to_string())])).unwrap();
    assert_eq!(remarks(&reading, "storage"), [("storagedriver_filesystem is not well: disk is gone", Grade::Critical)]);
}

/// <https://qdrant.tech/documentation/guides/monitoring/>, <https://qdrant.tech/documentation/concepts/collections/#collection-info>,
/// <https://qdrant.tech/documentation/guides/security/>.
#[test]
fn qdrant_tells_which_collection_is_broken() {
    let serve = |question: &super::fake::Question| {
        let open = matches!(question.path.as_str(), "/" | "/readyz" | "/livez");
        if !open && question.header("api-key") != Some("right") {
            return Reply::new(401, "Must provide an API key or an Authorization bearer token");
        }
        match question.path.as_str() {
            "/" => Reply::new(200, r#"{"title":"qdrant - vector search engine","version":"1.9.2"}"#),
            "/readyz" => Reply::new(200, "all shards are ready"),
            "/collections" => Reply::new(
                200,
                r#"{"result":{"collections":[{"name":"a b"},{"name":"red"},{"name":"yellow"}]},"status":"ok","time":0.1}"#,
            ),
            "/collections/a%20b" => Reply::new(
                200,
                r#"{"result":{"status":"green","optimizer_status":"ok","points_count":10},"status":"ok"}"#,
            ),
            "/collections/red" => Reply::new(
                200,
                r#"{"result":{"status":"red","optimizer_status":{"error":"No space left on device"},"points_count":5},"status":"ok"}"#,
            ),
            "/collections/yellow" => Reply::new(
                200,
                r#"{"result":{"status":"yellow","optimizer_status":"ok","points_count":1},"status":"ok"}"#,
            ),
            "/cluster" => Reply::new(
                200,
                r#"{"result":{"status":"enabled","peers":{"1":{"uri":"x"},"2":{"uri":"y"}},"consensus_thread_status":{"consensus_thread_status":"stopped_with_err","err":"raft"},"message_send_failures":{"2":{"count":3}}},"status":"ok"}"#,
            ),
            _ => Reply::new(404, ""),
        }
    };
    let fake = Fake::new(serve);
    let key = |word: &str| as_user(&fake.target(), "", word);
    assert_eq!(ready(Qdrant, &fake.target()), Ok(()));
    assert_eq!(ready(Qdrant, &key("right")), Ok(()));
    let place = fake.target().place();
    assert_eq!(
        ready(Qdrant, &key("wrong")),
        Err(Trouble::Refused(format!("{place} refuses the API key it was given: 401 for /collections")))
    );
    assert_eq!(
        look(Qdrant, &fake.target()),
        Err(Trouble::Refused(format!("{place} wants an API key and got none: write check: qdrant://:KEY@{place}")))
    );
    let reading = look(Qdrant, &key("right")).unwrap();
    known("qdrant", &reading);
    assert_eq!(reading.server.as_deref(), Some("Qdrant 1.9.2"));
    assert_eq!(
        (figure(&reading, "collections"), figure(&reading, "points"), figure(&reading, "collections-optimizing")),
        (3.0, 16.0, 1.0)
    );
    assert_eq!(
        remarks(&reading, "collections"),
        [("collection red is broken: its optimizer fails: No space left on device", Grade::Critical)]
    );
    assert_eq!(
        remarks(&reading, "cluster"),
        [("its consensus has stopped: raft", Grade::Critical), ("it cannot reach 1 of its peers", Grade::Warning)]
    );
    assert!(!fake.saw_credentials(), "its key is sent as api-key only");
    let starting = Fake::new(|_| Reply::new(503, "some shards are not ready"));
    let expected =
        format!("{} is not ready: it recovers its shards: some shards are not ready", starting.target().place());
    assert_eq!(ready(Qdrant, &starting.target()), Err(Trouble::Unready(expected)));
    let other = Fake::new(|_| Reply::new(404, "nothing"));
    assert!(matches!(ready(Qdrant, &other.target()), Err(Trouble::Foreign(_))));
}

/// <https://docs.weaviate.io/deploy/configuration/status>, <https://docs.weaviate.io/deploy/configuration/nodes>.
#[test]
fn weaviate_tells_which_node_is_ill_and_which_shards_take_no_writes() {
    let fake = Fake::new(|question| match question.path.as_str() {
        "/v1/.well-known/ready" => Reply::new(200, ""),
        _ if question.header("authorization") != Some("Bearer right") => {
            Reply::new(401, r#"{"code":401,"message":"anonymous access not enabled"}"#)
        }
        "/v1/meta" => Reply::new(200, r#"{"hostname":"http://[::]:8080","version":"1.25.0","modules":{}}"#),
        "/v1/nodes?output=verbose" => Reply::new(
            200,
            r#"{"nodes":[{"name":"weaviate-0","status":"HEALTHY","version":"1.25.0","stats":{"objectCount":30,"shardCount":2},"batchStats":{"queueLength":4,"ratePerSecond":1},
            "shards":[{"name":"s1","class":"Article","objectCount":30,"vectorIndexingStatus":"READONLY","vectorQueueLength":6}]},
            {"name":"weaviate-1","status":"UNAVAILABLE"}]}"#,
        ),
        _ => Reply::new(404, ""),
    });
    let key = |word: &str| as_user(&fake.target(), "", word);
    assert_eq!(ready(Weaviate, &fake.target()), Ok(()));
    assert!(matches!(ready(Weaviate, &key("wrong")), Err(Trouble::Refused(_))));
    assert!(
        matches!(look(Weaviate, &fake.target()), Err(Trouble::Refused(why)) if why.contains("write check: weaviate://"))
    );
    let reading = look(Weaviate, &key("right")).unwrap();
    known("weaviate", &reading);
    assert_eq!(reading.server.as_deref(), Some("Weaviate 1.25.0"));
    assert_eq!(
        (figure(&reading, "objects"), figure(&reading, "queue"), figure(&reading, "shards-read-only")),
        (30.0, 10.0, 1.0)
    );
    assert_eq!(remarks(&reading, "nodes"), [("node weaviate-1 is UNAVAILABLE", Grade::Critical)]);
    assert_eq!(remarks(&reading, "shards"), [("shards of Article take no writes", Grade::Critical)]);
    assert_eq!(measure(&reading, "nodes-unhealthy").limit, Some(2.0));
    let starting = Fake::new(|_| Reply::new(503, ""));
    assert_eq!(
        ready(Weaviate, &starting.target()),
        Err(Trouble::Unready(format!("{} is not ready", starting.target().place())))
    );
    let other = Fake::new(|_| Reply::new(404, "nothing"));
    assert!(matches!(ready(Weaviate, &other.target()), Err(Trouble::Foreign(_))));
}
