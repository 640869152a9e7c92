//! `MariaDB` 10.11.19 (Debian 12), and for what only `MySQL` 8 does, one that logs people in as
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html> says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use ring::digest::{SHA256, digest};

use super::{
    about, assert_remark, assert_stands_still, assert_strangers_are_known, figure_about, limit, looked, remark, with,
};
use crate::{
    kinds::rig::{self, Server, figure},
    support::eventually,
};
use cas::model::exam::{Grade, Protocol, Reading, Target, Trouble};

const KIND: Protocol = Protocol::Mysql;
const PASSWORD: &str = "right-horse";

fn start() -> Server {
    let dir = rig::dir();
    let data = format!("--datadir={}", dir.path().join("data").display());
    let made = Command::new(rig::program("mariadb-install-db", "mariadb-server"))
        .args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db", &data])
        .args(["--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (key, certificate) = (dir.path().join("key.pem"), dir.path().join("certificate.pem"));
    let made = Command::new(rig::program("openssl", "openssl"))
        .args(["req", "-new", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-newkey", "rsa:2048"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (key, certificate) = (format!("--ssl-key={}", key.display()), format!("--ssl-cert={}", certificate.display()));
    let port = rig::free_port();
    let socket = format!("--socket={}", dir.path().join("socket").display());
    let number = format!("--port={port}");
    let arguments = [
        "--no-defaults",
        "--user=root",
        &data,
        &socket,
        &number,
        &key,
        &certificate,
        "--bind-address=127.0.0.1",
        "--max-connections=10",
        "--innodb-buffer-pool-size=8M",
        "--innodb-log-file-size=4M",
        "--innodb-flush-log-at-trx-commit=0",
        "--key-buffer-size=1M",
        "--performance-schema=OFF",
        "--long-query-time=0",
        "--slow-query-log=ON",
    ];
    Server::start(dir, port, &rig::program("mariadbd", "mariadb-server"), &arguments)
}

fn client(server: &Server, user: &str, password: &str) -> Command {
    let mut command = Command::new(rig::program("mariadb", "mariadb-client"));
    command.args(["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P", &server.port.to_string(), "-u", user]);
    command.args(["--batch", "--skip-column-names", "--unbuffered"]).env("MYSQL_PWD", password);
    command
}

fn sql(server: &Server, words: &str) -> String {
    let output = client(server, "admin", PASSWORD).args(["-e", words]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A session that stays open.
struct Session(Child);

impl Session {
    fn new(server: &Server, user: &str) -> Self {
        let mut command = client(server, user, PASSWORD);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut session = Self(command.spawn().unwrap());
        session.say("SELECT 'in';");
        // A line, or the end where it was not let in: then it is known as well.
        let _line = BufReader::new(session.0.stdout.as_mut().unwrap()).read_line(&mut String::new());
        session
    }

    fn say(&mut self, words: &str) {
        // One that was not let in does not listen.
        let _said = writeln!(self.0.stdin.as_mut().unwrap(), "{words}");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn look(target: &Target) -> Reading {
    looked(KIND, target)
}

#[test]
fn a_mariadb_tells_how_it_is_and_its_figures_follow_what_happens() {
    let server = start();
    rig::until_ready(&server, KIND, &server.target());
    let users = format!(
        "CREATE USER admin@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO admin@'127.0.0.1' WITH GRANT OPTION; \
         CREATE USER app@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; CREATE DATABASE shop; GRANT ALL ON shop.* TO app@'127.0.0.1'; \
         ALTER USER root@localhost IDENTIFIED BY '{PASSWORD}';"
    );
    let made = client(&server, "root", "").args(["-e", &users]).stdin(Stdio::null()).status().unwrap();
    assert!(made.success());
    let target = Target { path: "shop".to_owned(), ..with(server.target(), Some("admin"), PASSWORD) };
    rig::until_ready(&server, KIND, &target);
    assert_strangers_are_known(KIND);
    who_is_let_in(&server, &target);
    what_sessions_do(&server, &target);
    what_waits_in_tables(&server, &target);
    it_is_a_replica(&server, &target);
    assert_stands_still(&server, KIND, &target);
}

fn who_is_let_in(server: &Server, target: &Target) {
    let none = rig::ready(KIND, &server.target()).unwrap_err();
    assert!(matches!(&none, Trouble::Refused(why) if why.contains("check: mysql://")), "{none:?}");
    let wrong = rig::ready(KIND, &with(server.target(), Some("admin"), "wrong-horse")).unwrap_err();
    assert!(matches!(&wrong, Trouble::Refused(why) if !why.contains("horse")), "{wrong:?}");
    let database = rig::ready(KIND, &Target { path: "nowhere".to_owned(), ..target.clone() }).unwrap_err();
    assert!(matches!(&database, Trouble::Refused(why) if why.contains("nowhere")), "{database:?}");
    let mode = |mode: &str| Target { options: [("sslmode".to_owned(), mode.to_owned())].into(), ..target.clone() };
    assert_eq!(rig::ready(KIND, &mode("require")), Ok(()));
    let unknown = rig::ready(KIND, &mode("verify-full")).unwrap_err();
    assert!(matches!(&unknown, Trouble::Foreign(why) if why.contains("TLS")), "nobody vouches for it: {unknown:?}");

    let first = look(target);
    assert_eq!(first.server.as_deref(), Some("MariaDB 10.11.19"));
    assert_eq!(limit(&first, "connections"), 10.0);
    assert!(limit(&first, "open-files") > 0.0);
    assert!(figure(&first, "aborted-connects") >= 1.0, "{first:#?}");
    // One place more is kept for administrators: https://mariadb.com/kb/en/server-system-variables/#max_connections
    let app = Target { path: "shop".to_owned(), ..with(server.target(), Some("app"), PASSWORD) };
    let held: Vec<Session> = (0..12).map(|_| Session::new(server, "app")).collect();
    eventually("it is full", || matches!(rig::ready(KIND, &app), Err(Trouble::Busy(_))));
    let full = look(target);
    assert!(figure(&full, "connections") >= 10.0, "{full:#?}");
    let administrator = Session::new(server, "admin");
    eventually("it is full for everybody", || matches!(rig::ready(KIND, target), Err(Trouble::Busy(_))));
    drop((held, administrator));
    rig::until_ready(server, KIND, &app);
    rig::until_ready(server, KIND, target);
    assert!(figure(&look(target), "rejected-connections") >= 1.0);

    let seen = look(&app);
    assert!(
        remark(&seen, "privileges").is_some_and(|seen| seen.advice.as_deref() == Some("GRANT PROCESS ON *.* TO app")),
        "{seen:#?}"
    );
    assert_remark(&seen, "replication", Grade::Notice);
    assert!(
        !seen.measures.iter().any(|measure| measure.name == "longest-transaction"),
        "nothing is claimed that is hidden"
    );
    sql(server, "GRANT PROCESS, SLAVE MONITOR ON *.* TO app@'127.0.0.1'");
    let seen = look(&app);
    assert!(remark(&seen, "privileges").is_none() && remark(&seen, "replication").is_none(), "{seen:#?}");
}

/// A look after the server has left its cached picture of transactions, which it makes anew only where nobody has read it for 0.1 s
/// (<https://dev.mysql.com/doc/refman/8.4/en/innodb-information-schema-internal-data.html>).
fn settled(server: &Server, target: &Target) -> Reading {
    sql(server, "SELECT SLEEP(0.15)");
    look(target)
}

fn what_sessions_do(server: &Server, target: &Target) {
    sql(
        server,
        "CREATE TABLE shop.accounts (id INT PRIMARY KEY, name TEXT); INSERT INTO shop.accounts VALUES (1, 'a'), (2, 'b')",
    );
    let quiet = settled(server, target);
    assert_eq!(figure(&quiet, "longest-lock-wait"), 0.0);
    let mut one = Session::new(server, "admin");
    one.say(
        "SET innodb_lock_wait_timeout = 60; USE shop; BEGIN; UPDATE accounts SET name = 'top secret' WHERE id = 1;",
    );
    eventually("a transaction is open", || figure(&settled(server, target), "transactions") >= 1.0);
    let mut two = Session::new(server, "admin");
    two.say("SET innodb_lock_wait_timeout = 60;\nUSE shop;\nBEGIN; UPDATE accounts SET name = 'x' WHERE id = 2;");
    two.say("UPDATE accounts SET name = 'hidden text' WHERE id = 1;");
    eventually("two waits for one", || figure(&settled(server, target), "lock-waits") >= 1.0);
    eventually("the wait and the transaction grow", || {
        let reading = settled(server, target);
        figure(&reading, "longest-lock-wait") >= 1.0 && figure(&reading, "longest-transaction") >= 1.0
    });
    let locked = settled(server, target);
    assert!(about(&locked, "longest-lock-wait").contains("waits for connection"), "{locked:#?}");
    assert!(about(&locked, "longest-transaction").contains("of admin, since"), "{locked:#?}");
    assert!(!format!("{locked:?}").contains("hidden text"), "texts in statements are nobody's business");
    assert!(about(&locked, "longest-query").contains("UPDATE accounts SET name = '…'"), "{locked:#?}");
    one.say("UPDATE accounts SET name = 'z' WHERE id = 2;");
    eventually("a deadlock is counted", || figure(&settled(server, target), "deadlocks") > figure(&quiet, "deadlocks"));
    drop((one, two));
    eventually("nothing is open any more", || figure(&settled(server, target), "transactions") == 0.0);
    let after = settled(server, target);
    assert!(figure(&after, "slow-queries") > figure(&quiet, "slow-queries"));
    assert!(figure(&after, "queries") > figure(&quiet, "queries"));
}

fn what_waits_in_tables(server: &Server, target: &Target) {
    assert!(!look(target).measures.iter().any(|measure| measure.name == "jobs-waiting"));
    sql(
        server,
        "USE shop; CREATE TABLE jobs (id BIGINT, queue VARCHAR(255), payload LONGTEXT, attempts TINYINT, reserved_at INT, available_at INT, created_at INT); \
         CREATE TABLE failed_jobs (id BIGINT); CREATE TABLE delayed_jobs (run_at DATETIME, locked_at DATETIME, failed_at DATETIME); \
         CREATE TABLE solid_queue_ready_executions (job_id BIGINT, created_at DATETIME(6)); CREATE TABLE solid_queue_failed_executions (job_id BIGINT);",
    );
    let idle = look(target);
    sql(
        server,
        "USE shop; INSERT INTO jobs VALUES (1, 'default', '{}', 0, NULL, UNIX_TIMESTAMP() - 60, 0), (2, 'default', '{}', 1, 1, 1, 1); \
         INSERT INTO failed_jobs VALUES (1); INSERT INTO delayed_jobs VALUES (UTC_TIMESTAMP() - INTERVAL 60 SECOND, NULL, NULL), (UTC_TIMESTAMP(), NULL, UTC_TIMESTAMP()); \
         INSERT INTO solid_queue_ready_executions VALUES (1, UTC_TIMESTAMP(6) - INTERVAL 60 SECOND); INSERT INTO solid_queue_failed_executions VALUES (2);",
    );
    let busy = look(target);
    for library in ["Laravel", "Delayed Job", "Solid Queue"] {
        assert_eq!(figure_about(&idle, "jobs-waiting", library), 0.0, "{library}");
        assert_eq!(figure_about(&busy, "jobs-waiting", library), 1.0, "{library}");
        let age = figure_about(&busy, "oldest-job", library);
        assert!((59.0..120.0).contains(&age), "{library}: {age}");
        assert_eq!(figure_about(&busy, "jobs-failed", library), 1.0, "{library}");
    }
    assert!(figure(&busy, "database-size") > 0.0);
}

fn it_is_a_replica(server: &Server, target: &Target) {
    assert!(remark(&look(target), "role").is_none());
    sql(server, "SET GLOBAL read_only = 1");
    assert_remark(&look(target), "role", Grade::Notice);
    let primary = Target { options: [("role".to_owned(), "primary".to_owned())].into(), ..target.clone() };
    assert!(matches!(rig::ready(KIND, &primary), Err(Trouble::Unready(why)) if why.contains("read only")));
    assert_eq!(rig::ready(KIND, target), Ok(()));
    sql(server, "SET GLOBAL read_only = 0");
    assert_eq!(rig::ready(KIND, &primary), Ok(()));
    sql(
        server,
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'x', MASTER_PASSWORD = 'y'; START SLAVE",
    );
    eventually("it tells that its source is not there", || {
        let reading = look(target);
        remark(&reading, "replication")
            .is_some_and(|seen| seen.grade == Grade::Critical && seen.sentence.contains("receive"))
    });
    sql(server, "STOP SLAVE; RESET SLAVE ALL");
    assert!(remark(&look(target), "replication").is_none());
}

/// What the fake of `MySQL` 8 does with somebody who has proved that he knows the password.
#[derive(Clone, Copy)]
enum Then {
    LetIn,
    WantAll,
    SayFull,
}

fn packet(stream: &mut TcpStream, number: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let _sent = stream.write_all(&[&length[..3], &[number], payload].concat());
}

fn read_packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    if stream.read_exact(&mut head).is_err() {
        return Vec::new();
    }
    let mut payload = vec![0; usize::from(head[0]) | usize::from(head[1]) << 8];
    stream.read_exact(&mut payload).unwrap();
    payload
}

/// Speaks as `MySQL` 8.0 does; the server keeps `SHA256(SHA256(password))` only.
fn mysql_8(then: Then) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let salt = *b"abcdefghijklmnopqrst";
    let kept = digest(&SHA256, digest(&SHA256, PASSWORD.as_bytes()).as_ref());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if matches!(then, Then::SayFull) {
                packet(&mut stream, 0, &[&[0xff, 0x10, 0x04], &b"Too many connections"[..]].concat());
                continue;
            }
            let mut greeting = b"\x0a8.0.36\0\x07\0\0\0".to_vec();
            greeting.extend_from_slice(&salt[..8]);
            greeting.extend_from_slice(&[0, 0xff, 0xf7, 45, 2, 0, 0xff, 0xdf, 21]);
            greeting.extend_from_slice(&[0; 10]);
            greeting.extend_from_slice(&salt[8..]);
            greeting.extend_from_slice(b"\0caching_sha2_password\0");
            packet(&mut stream, 0, &greeting);
            let response = read_packet(&mut stream);
            let after_user = 32 + response[32..].iter().position(|byte| *byte == 0).unwrap() + 1;
            let proof = &response[after_user + 1..after_user + 1 + usize::from(response[after_user])];
            let mask = digest(&SHA256, &[kept.as_ref(), &salt[..]].concat());
            let one: Vec<u8> = proof.iter().zip(mask.as_ref()).map(|(a, b)| a ^ b).collect();
            if digest(&SHA256, &one).as_ref() != kept.as_ref() {
                packet(
                    &mut stream,
                    2,
                    &[
                        &[0xff, 0x15, 0x04],
                        &b"#28000Access denied for user 'probe'@'localhost' (using password: YES)"[..],
                    ]
                    .concat(),
                );
                continue;
            }
            if matches!(then, Then::WantAll) {
                packet(&mut stream, 2, &[1, 4]);
                assert!(read_packet(&mut stream).is_empty(), "a password went out in the clear");
                continue;
            }
            packet(&mut stream, 2, &[1, 3]);
            packet(&mut stream, 3, &[0, 0, 0, 2, 0, 0, 0]);
            let asked = read_packet(&mut stream);
            assert_eq!(asked, b"\x03SELECT @@global.read_only AS read_only");
            packet(&mut stream, 1, &[1]);
            packet(&mut stream, 2, b"\x03def\0\0\0\x09read_only\0\x0c\x3f\0\x01\0\0\0\x08\x80\0\0\0\0");
            packet(&mut stream, 3, &[0xfe, 0, 0, 2, 0]);
            packet(&mut stream, 4, b"\x010");
            packet(&mut stream, 5, &[0xfe, 0, 0, 2, 0]);
            read_packet(&mut stream);
        }
    });
    port
}

#[test]
fn the_login_of_mysql_8_is_spoken_without_giving_the_password_away() {
    let at = |then, password| with(rig::at(mysql_8(then)), Some("probe"), password);
    assert_eq!(rig::ready(KIND, &at(Then::LetIn, PASSWORD)), Ok(()));
    assert!(
        matches!(rig::ready(KIND, &at(Then::LetIn, "wrong-horse")), Err(Trouble::Refused(why)) if why.contains("1045"))
    );
    let all = rig::ready(KIND, &at(Then::WantAll, PASSWORD)).unwrap_err();
    assert!(matches!(&all, Trouble::Refused(why) if why.contains("sslmode=require")), "{all:?}");
    assert!(matches!(rig::ready(KIND, &at(Then::SayFull, PASSWORD)), Err(Trouble::Busy(_))));
    let mut tls = at(Then::LetIn, PASSWORD);
    tls.options.insert("sslmode".to_owned(), "require".to_owned());
    assert!(matches!(rig::ready(KIND, &tls), Err(Trouble::Refused(why)) if why.contains("no TLS")));
}
