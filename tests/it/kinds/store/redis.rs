//! Redis 7.0.15 (Debian 12), with a password, 24 MB and eight clients; a replica of it; and one that takes its time to read its data.

use std::{
    net::TcpStream,
    process::{Command, Stdio},
};

use super::{
    about, assert_remark, assert_stands_still, assert_strangers_are_known, figure_about, limit, looked, remark, with,
};
use crate::{
    kinds::rig::{self, Server, figure},
    support::eventually,
};
use cas::model::exam::{Grade, Protocol, Reading, Target, Trouble};

const KIND: Protocol = Protocol::Redis;
const PASSWORD: &str = "right-horse";

fn start(arguments: &[&str]) -> Server {
    start_in(rig::dir(), arguments)
}

fn start_in(dir: tempfile::TempDir, arguments: &[&str]) -> Server {
    let port = rig::free_port();
    let number = port.to_string();
    let mut all = vec!["--port", &number, "--bind", "127.0.0.1", "--daemonize", "no"];
    all.extend(arguments);
    Server::start(dir, port, &rig::program("redis-server", "redis-server"), &all)
}

/// Says one command and gives what comes back; a word may be standard input.
fn cli(server: &Server, words: &[&str]) -> String {
    let mut command = Command::new(rig::program("redis-cli", "redis-tools"));
    command.args(["-p", &server.port.to_string(), "-a", PASSWORD, "--no-auth-warning"]).args(words);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(!said.starts_with("ERR") && !said.starts_with("WRONGTYPE"), "{words:?}: {said}");
    said
}

fn look(target: &Target) -> Reading {
    looked(KIND, target)
}

#[test]
fn a_redis_tells_how_it_is_and_its_figures_follow_what_happens() {
    let server = start(&[
        "--requirepass",
        PASSWORD,
        "--maxmemory",
        "24mb",
        "--maxmemory-policy",
        "allkeys-lru",
        "--maxclients",
        "8",
        "--save",
        "3600 1",
        "--slowlog-log-slower-than",
        "100000",
    ]);
    let target = with(server.target(), None, PASSWORD);
    rig::until_ready(&server, KIND, &target);
    assert_strangers_are_known(KIND);

    let refused = rig::ready(KIND, &server.target()).unwrap_err();
    assert!(
        matches!(&refused, Trouble::Refused(why) if why.contains("check: redis://:PASSWORD@127.0.0.1")),
        "{refused:?}"
    );
    let wrong = rig::ready(KIND, &with(server.target(), None, "wrong-horse")).unwrap_err();
    assert!(matches!(&wrong, Trouble::Refused(why) if !why.contains("horse")), "{wrong:?}");
    let nobody = rig::ready(KIND, &with(server.target(), Some("nobody"), PASSWORD)).unwrap_err();
    assert!(matches!(&nobody, Trouble::Refused(why) if why.contains("nobody")), "{nobody:?}");
    let database = rig::ready(KIND, &Target { path: "99".to_owned(), ..target.clone() }).unwrap_err();
    assert!(matches!(&database, Trouble::Refused(why) if why.contains("no database 99")), "{database:?}");

    let first = look(&target);
    assert_eq!(first.server.as_deref(), Some("Redis 7.0.15"));
    assert_eq!(limit(&first, "memory"), 24.0 * 1024.0 * 1024.0);
    assert_eq!(limit(&first, "connections"), 8.0);
    assert!((0.0..5.0).contains(&figure(&first, "latency")));
    assert_eq!(figure(&first, "evictions"), 0.0);
    assert_eq!(figure(&first, "keys"), 0.0);
    assert!(remark(&first, "maxmemory").is_none() && remark(&first, "snapshot").is_none(), "{first:#?}");

    // It is filled beyond what it may keep; one sleeps so long that the log of slow commands has it.
    cli(&server, &["EVAL", "for i=1,3000 do redis.call('SET','k'..i,string.rep('x',16000)) end", "0"]);
    cli(&server, &["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    cli(&server, &["SET", "some-key", "some-value"]);
    cli(&server, &["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
    let full = look(&target);
    assert!(figure(&full, "memory") > figure(&first, "memory") * 2.0, "{full:#?}");
    assert!(figure(&full, "evictions") > 100.0, "{full:#?}");
    assert!(figure(&full, "keys") > 100.0);
    assert!(figure(&full, "unsaved-changes") >= 3000.0);
    assert!(figure(&full, "slow-commands") > figure(&first, "slow-commands"));
    assert!(!format!("{full:?}").contains("some-value"), "values of commands are nobody's business");

    // A client that waits for a list.
    let mut waiting = Command::new(rig::program("redis-cli", "redis-tools"))
        .args(["-p", &server.port.to_string(), "-a", PASSWORD, "--no-auth-warning", "BLPOP", "nothing-comes", "0"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("a client is blocked", || figure(&look(&target), "blocked-clients") == 1.0);
    waiting.kill().unwrap();
    waiting.wait().unwrap();

    // No room for one more client.
    let held: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    eventually("it is full", || matches!(rig::ready(KIND, &target), Err(Trouble::Busy(_))));
    drop(held);
    rig::until_ready(&server, KIND, &target);
    assert!(figure(&look(&target), "rejected-connections") >= 1.0);

    // Its snapshots fail: it says so itself, and the look tells why.
    // A directory stands where its file is to be.
    std::fs::create_dir(server.dir.path().join("dump.rdb")).unwrap();
    cli(&server, &["BGSAVE"]);
    eventually(
        "it cannot save",
        || matches!(rig::ready(KIND, &target), Err(Trouble::Unready(why)) if why.contains("save")),
    );
    let failing = look(&target);
    assert_remark(&failing, "snapshot", Grade::Critical);
    assert_remark(&failing, "serving", Grade::Critical);
    std::fs::remove_dir(server.dir.path().join("dump.rdb")).unwrap();
    cli(&server, &["BGSAVE"]);
    rig::until_ready(&server, KIND, &target);
    assert_stands_still(&server, KIND, &target);
}

#[test]
fn job_queues_in_redis_are_found_and_measured() {
    let server = start(&["--maxmemory", "24mb", "--maxmemory-policy", "allkeys-lru", "--save", ""]);
    let target = server.target();
    rig::until_ready(&server, KIND, &target);
    let empty = look(&target);
    assert!(!empty.measures.iter().any(|measure| measure.name == "queue-depth"), "{empty:#?}");
    assert!(remark(&empty, "queue-eviction").is_none());
    let now: i64 = cli(&server, &["TIME"]).lines().next().unwrap().parse().unwrap();

    cli(&server, &["SADD", "queues", "somebody-elses"]);
    assert!(
        !look(&target).measures.iter().any(|measure| measure.name == "queue-depth"),
        "not every such set is Sidekiq's"
    );
    cli(&server, &["DEL", "queues"]);

    // As Sidekiq 7 pushes: to the left, the oldest to the right.
    cli(&server, &["SADD", "queues", "default", "mail"]);
    for age in [120, 60, 5] {
        cli(&server, &["LPUSH", "queue:default", &format!(r#"{{"class":"Job","enqueued_at":{}.5}}"#, now - age)]);
    }
    cli(&server, &["ZADD", "dead", "1", "a", "2", "b"]);
    cli(&server, &["ZADD", "retry", "1", "a"]);
    let sidekiq = look(&target);
    assert_eq!(figure_about(&sidekiq, "queue-depth", "queue default (Sidekiq)"), 3.0);
    assert_eq!(figure_about(&sidekiq, "queue-depth", "queue mail (Sidekiq)"), 0.0);
    assert!((119.0..200.0).contains(&figure_about(&sidekiq, "oldest-job", "default")), "{sidekiq:#?}");
    assert_eq!(figure_about(&sidekiq, "dead-letters", "Sidekiq"), 2.0);
    assert_eq!(figure(&sidekiq, "jobs-retried"), 1.0);
    assert_remark(&sidekiq, "workers", Grade::Critical);
    assert_remark(&sidekiq, "queue-eviction", Grade::Warning);
    cli(&server, &["SADD", "processes", "host:1:abc"]);
    cli(&server, &["HSET", "host:1:abc", "info", "{}"]);
    assert!(remark(&look(&target), "workers").is_none());
    cli(&server, &["LTRIM", "queue:default", "0", "0"]);
    let worked = look(&target);
    assert_eq!(figure_about(&worked, "queue-depth", "queue default (Sidekiq)"), 1.0);
    assert!(figure_about(&worked, "oldest-job", "default") < 60.0);

    // RQ: to the right; ids in the list, jobs in hashes.
    cli(&server, &["SADD", "rq:queues", "rq:queue:low"]);
    cli(&server, &["RPUSH", "rq:queue:low", "job-1", "job-2"]);
    cli(&server, &["HSET", "rq:job:job-1", "enqueued_at", "2024-01-02T03:04:05.000000Z"]);
    cli(&server, &["ZADD", "rq:failed:low", "1", "job-0"]);
    // Celery: bindings, priorities, and what workers hold.
    cli(
        &server,
        &["SADD", "_kombu.binding.celery", "celery\u{6}\u{16}\u{6}\u{16}celery", "emails\u{6}\u{16}\u{6}\u{16}emails"],
    );
    cli(&server, &["SADD", "_kombu.binding.celery.pidbox", "\u{6}\u{16}\u{6}\u{16}celery@host.celery.pidbox"]);
    cli(&server, &["LPUSH", "emails", "{}", "{}"]);
    cli(&server, &["LPUSH", "emails\u{6}\u{16}3", "{}"]);
    cli(&server, &["HSET", "unacked", "tag", "[]"]);
    cli(&server, &["ZADD", "unacked_index", &(now - 30).to_string(), "tag"]);
    // BullMQ: to the left, jobs in hashes.
    cli(&server, &["HSET", "bull:video:meta", "opts.maxLenEvents", "10000"]);
    cli(&server, &["LPUSH", "bull:video:wait", "1", "2"]);
    cli(&server, &["HSET", "bull:video:1", "timestamp", &((now - 90) * 1000).to_string()]);
    cli(&server, &["ZADD", "bull:video:failed", "1", "0"]);
    // A stream with a group of which one entry is taken and not acknowledged.
    for number in ["1", "2", "3"] {
        cli(&server, &["XADD", "orders", "*", "n", number]);
    }
    cli(&server, &["XGROUP", "CREATE", "orders", "billing", "0"]);
    cli(&server, &["XREADGROUP", "GROUP", "billing", "c1", "COUNT", "1", "STREAMS", "orders", ">"]);
    cli(&server, &["XGROUP", "CREATE", "orders", "nobody", "0"]);
    cli(&server, &["LPUSH", "home-made", "a"]);
    let named = Target { options: [("lists".to_owned(), "home-made".to_owned())].into(), ..target.clone() };
    let all = look(&named);
    assert_eq!(figure_about(&all, "queue-depth", "queue low (RQ)"), 2.0);
    assert!(figure_about(&all, "oldest-job", "queue low (RQ)") > 1e6);
    assert_eq!(figure_about(&all, "dead-letters", "low (RQ)"), 1.0);
    assert_eq!(figure_about(&all, "queue-depth", "queue emails (Celery)"), 3.0);
    assert_eq!(figure_about(&all, "queue-depth", "queue celery (Celery)"), 0.0);
    assert!(!format!("{all:?}").contains("pidbox"));
    assert_eq!(figure_about(&all, "jobs-unacked", "Celery"), 1.0);
    assert!((29.0..120.0).contains(&figure(&all, "oldest-unacked")));
    assert_eq!(figure_about(&all, "queue-depth", "queue video (BullMQ)"), 2.0);
    assert!((89.0..200.0).contains(&figure_about(&all, "oldest-job", "video")));
    assert_eq!(figure_about(&all, "dead-letters", "video"), 1.0);
    assert_eq!(figure_about(&all, "stream-length", "orders"), 3.0);
    assert_eq!(figure_about(&all, "queue-depth", "group billing"), 3.0);
    assert_eq!(figure_about(&all, "queue-depth", "list home-made"), 1.0);
    assert!(remark(&all, "workers").is_some_and(|remark| remark.sentence.contains("group nobody")), "{all:#?}");
    let pending = figure_about(&all, "oldest-job", "group billing");
    eventually("what is not acknowledged grows old", || {
        figure_about(&look(&target), "oldest-job", "group billing") > pending
    });

    // A user that may only look at the server itself: its figures, and why there are no others.
    cli(&server, &["ACL", "SETUSER", "probe", "on", ">pw", "+ping", "+info", "+config|get", "+slowlog", "+time"]);
    let narrow = look(&with(target.clone(), Some("probe"), "pw"));
    assert!(figure(&narrow, "memory") > 0.0);
    assert_remark(&narrow, "job-queues", Grade::Notice);
    // And a job that is too big to be read is no reason to fail.
    cli(&server, &["EVAL", "redis.call('RPUSH','queue:mail',string.rep('x',3000000))", "0"]);
    assert_eq!(figure_about(&look(&target), "queue-depth", "queue mail (Sidekiq)"), 1.0);
}

#[test]
fn a_replica_tells_that_it_lost_its_master_and_a_starting_redis_that_it_reads() {
    let master = start(&["--save", ""]);
    rig::until_ready(&master, KIND, &master.target());
    let replica =
        start(&["--save", "", "--replicaof", &format!("127.0.0.1 {}", master.port), "--repl-diskless-sync-delay", "0"]);
    rig::until_ready(&replica, KIND, &replica.target());
    eventually("the replica follows", || {
        let reading = look(&replica.target());
        reading.measures.iter().any(|measure| measure.name == "replication-lag")
    });
    let reading = look(&master.target());
    assert_eq!(figure(&reading, "replicas"), 1.0);
    assert!(about(&reading, "replica-behind").contains("127.0.0.1"), "{reading:#?}");
    assert_remark(&reading, "maxmemory", Grade::Notice);
    assert!(figure(&reading, "memory-of-machine") > 0.0);
    cli(&replica, &["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    // Its data, for one that is started on them slowly.
    cli(&master, &["EVAL", "for i=1,3000 do redis.call('SET','k'..i,string.rep('x',100)) end", "0"]);
    // A replica that has just joined may still be given a copy.
    eventually("no other save is under way", || {
        cli(&master, &["INFO", "persistence"]).contains("rdb_bgsave_in_progress:0")
    });
    cli(&master, &["SAVE"]);
    let dir = rig::dir();
    std::fs::copy(master.dir.path().join("dump.rdb"), dir.path().join("dump.rdb")).unwrap();
    drop(master);
    eventually("the replica is cut off", || remark(&look(&replica.target()), "replication").is_some());
    assert_remark(&look(&replica.target()), "replication", Grade::Critical);
    let cut_off = rig::ready(KIND, &replica.target()).unwrap_err();
    assert!(matches!(&cut_off, Trouble::Unready(why) if why.contains("without its master")), "{cut_off:?}");

    let slow = start_in(dir, &["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"]);
    eventually(
        "it says that it reads",
        || matches!(rig::ready(KIND, &slow.target()), Err(Trouble::Unready(why)) if why.contains("% read")),
    );
    assert!(matches!(rig::look(KIND, &slow.target()), Err(Trouble::Unready(_)) | Ok(_)));
    rig::until_ready(&slow, KIND, &slow.target());
    assert_eq!(figure(&look(&slow.target()), "keys"), 3000.0);
}
