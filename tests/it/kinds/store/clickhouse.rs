//! `ClickHouse` 18.16.1 (Debian 12), with a password and small merges.

use std::process::{Command, Stdio};

use super::{about, assert_stands_still, assert_strangers_are_known, limit, looked, with};
use crate::{
    kinds::rig::{self, Server, figure},
    support::eventually,
};
use cas::model::exam::{Protocol, Reading, Target, Trouble};

const KIND: Protocol = Protocol::Clickhouse;
const PASSWORD: &str = "right-horse";
const USERS: &str = "<yandex><profiles><default><queue_max_wait_ms>100</queue_max_wait_ms></default></profiles><users><default><password>right-horse</password><networks>\
                     <ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users><quotas><default></default></quotas></yandex>";

fn start() -> Server {
    let (dir, port, native) = (rig::dir(), rig::free_port(), rig::free_port());
    let place = dir.path().display().to_string();
    let config = format!(
        "<yandex><logger><level>warning</level><console>1</console></logger><http_port>{port}</http_port><tcp_port>{native}</tcp_port>\
         <listen_host>127.0.0.1</listen_host><path>{place}/data/</path><tmp_path>{place}/tmp/</tmp_path><user_files_path>{place}/files/</user_files_path>\
         <users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>\
         <mark_cache_size>1048576</mark_cache_size><max_concurrent_queries>3</max_concurrent_queries></yandex>"
    );
    std::fs::write(dir.path().join("config.xml"), config).unwrap();
    std::fs::write(dir.path().join("users.xml"), USERS).unwrap();
    let file = format!("--config-file={place}/config.xml");
    Server::start(dir, port, &rig::program("clickhouse-server", "clickhouse-server"), &[&file])
}

/// A statement, by the server's own client of HTTP.
fn post(server: &Server, sql: &str) -> std::process::Child {
    let url = format!("http://default:{PASSWORD}@127.0.0.1:{}/", server.port);
    let mut command = Command::new(rig::program("curl", "curl"));
    command.args(["-s", "--fail", "--data-binary", sql, &url]).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

fn sql(server: &Server, sql: &str) {
    assert!(post(server, sql).wait().unwrap().success(), "{sql}");
}

fn look(target: &Target) -> Reading {
    looked(KIND, target)
}

#[test]
fn a_clickhouse_tells_how_it_is_and_its_figures_follow_what_happens() {
    let server = start();
    rig::until_ready(&server, KIND, &server.target());
    assert_strangers_are_known(KIND);
    let target = with(server.target(), Some("default"), PASSWORD);
    assert_eq!(rig::ready(KIND, &target), Ok(()));
    let none = rig::look(KIND, &server.target()).unwrap_err();
    assert!(matches!(&none, Trouble::Refused(why) if why.contains("check: clickhouse://")), "{none:?}");
    let wrong = rig::ready(KIND, &with(server.target(), Some("default"), "wrong-horse")).unwrap_err();
    assert!(matches!(&wrong, Trouble::Refused(why) if !why.contains("horse")), "{wrong:?}");
    let database = rig::ready(KIND, &Target { path: "nowhere".to_owned(), ..target.clone() }).unwrap_err();
    assert!(matches!(&database, Trouble::Refused(why) if why.contains("nowhere")), "{database:?}");

    let first = look(&target);
    assert_eq!(first.server.as_deref(), Some("ClickHouse 18.16.1"));
    assert_eq!(figure(&first, "parts"), 0.0);
    assert_eq!(figure(&first, "mutations"), 0.0);
    assert!(limit(&first, "parts") > 0.0 && figure(&first, "connections") >= 1.0, "{first:#?}");

    // Each insert makes a part; nothing merges them.
    sql(&server, "CREATE TABLE events (day Date, n UInt64) ENGINE = MergeTree(day, n, 8192)");
    sql(&server, "SYSTEM STOP MERGES");
    for number in 0..4 {
        sql(&server, &format!("INSERT INTO events VALUES ('2024-01-01', {number})"));
    }
    let more = look(&target);
    assert_eq!(figure(&more, "parts"), 4.0, "{more:#?}");
    assert_eq!(about(&more, "parts"), "default.events, partition 202401");
    sql(&server, "ALTER TABLE events DELETE WHERE n = 3");
    assert_eq!(figure(&look(&target), "mutations"), 1.0, "it waits for merges");
    sql(&server, "SYSTEM START MERGES");
    eventually("it is done", || figure(&look(&target), "mutations") == 0.0);
    eventually("few parts are left", || {
        // It does nothing, and says nothing, while the parts are still at something else.
        sql(&server, "OPTIMIZE TABLE events FINAL");
        figure(&look(&target), "parts") < 4.0
    });

    // A query that runs, and then more than may run.
    let mut slow = post(&server, "SELECT sleep(3), 'top secret'");
    eventually("a query runs", || {
        let reading = look(&target);
        figure(&reading, "longest-query") > 0.0 && about(&reading, "longest-query").contains("SELECT sleep(3), '…'")
    });
    let mut others: Vec<_> = (0..4).map(|_| post(&server, "SELECT sleep(3)")).collect();
    eventually("it is full", || matches!(rig::ready(KIND, &target), Err(Trouble::Busy(_))));
    for child in others.iter_mut().chain([&mut slow]) {
        let _gone = child.kill();
        child.wait().unwrap();
    }
    rig::until_ready(&server, KIND, &target);
    assert_stands_still(&server, KIND, &server.target());
}
