//! `PostgreSQL` 15.18 (Debian 12) with twelve connections and `pg_stat_statements`, and a standby of it.

use std::{
    io::{Read, Write},
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{
    about, assert_remark, assert_stands_still, assert_strangers_are_known, figure_about, limit, looked, remark, with,
};
use crate::{
    kinds::rig::{self, Server, figure},
    support::eventually,
};
use cas::model::exam::{Grade, Protocol, Reading, Target, Trouble};

const KIND: Protocol = Protocol::Postgres;
const PASSWORD: &str = "right-horse";
/// It refuses to run as root.
const NOBODY: &str = "65534";

fn as_nobody(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
    command.arg(rig::program(program, "postgresql")).args(arguments).env("PGPASSWORD", PASSWORD);
    command
}

fn done(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// A directory that `nobody` may write, and can reach.
fn dir() -> tempfile::TempDir {
    let dir = rig::dir();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(dir.path(), Some(65534), Some(65534)).unwrap();
    dir
}

fn data(dir: &Path) -> String {
    dir.join("data").display().to_string()
}

const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 12
superuser_reserved_connections = 3
shared_buffers = 1MB
fsync = off
deadlock_timeout = 100ms
shared_preload_libraries = 'pg_stat_statements'
archive_mode = on
archive_command = 'true'
wal_sender_timeout = 5s
";

fn primary() -> Server {
    let dir = dir();
    std::fs::write(dir.path().join("password"), PASSWORD).unwrap();
    let password = dir.path().join("password").display().to_string();
    done(as_nobody(
        "initdb",
        &["-D", &data(dir.path()), "-U", "postgres", "--auth=scram-sha-256", "--pwfile", &password, "-N"],
    ));
    let mut settings = std::fs::OpenOptions::new().append(true).open(dir.path().join("data/postgresql.conf")).unwrap();
    settings.write_all(SETTINGS.as_bytes()).unwrap();
    serve(dir)
}

fn serve(dir: tempfile::TempDir) -> Server {
    let port = rig::free_port();
    let arguments = ["-D", &data(dir.path()), "-p", &port.to_string()].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Server::start_with(dir, port, &mut as_nobody("postgres", &arguments))
}

fn psql(server: &Server, user: &str) -> Command {
    let mut command = Command::new(rig::program("psql", "postgresql-client"));
    command.args([
        "-h",
        "127.0.0.1",
        "-p",
        &server.port.to_string(),
        "-U",
        user,
        "-d",
        "postgres",
        "-X",
        "-q",
        "-A",
        "-t",
    ]);
    command.args(["-v", "ON_ERROR_STOP=1"]).env("PGPASSWORD", PASSWORD);
    command
}

fn sql(server: &Server, words: &str) -> String {
    let mut command = psql(server, "postgres");
    command.args(["-c", words]);
    done(command).trim().to_owned()
}

/// A session that stays open.
struct Session(Child);

impl Session {
    fn new(server: &Server, user: &str) -> Self {
        let mut command = psql(server, user);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut session = Self(command.spawn().unwrap());
        session.say("\\echo in");
        // A line, or the end where it was not let in: then it is known as well.
        let mut answer = [0; 3];
        let _in = session.0.stdout.as_mut().unwrap().read_exact(&mut answer);
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

fn option(target: &Target, key: &str, value: &str) -> Target {
    let mut target = target.clone();
    target.options.insert(key.to_owned(), value.to_owned());
    target
}

#[test]
fn a_postgres_tells_how_it_is_and_its_figures_follow_what_happens() {
    let server = primary();
    let target = with(server.target(), Some("postgres"), PASSWORD);
    rig::until_ready(&server, KIND, &target);
    assert_strangers_are_known(KIND);
    who_is_let_in(&server, &target);
    what_sessions_do(&server, &target);
    what_tables_are_like(&server, &target);
    what_a_probe_may_see(&server);
    a_standby(&server, &target);
    assert_stands_still(&server, KIND, &target);
    // Asked to end while somebody is still there, it takes nobody more.
    let mut held = Session::new(&server, "postgres");
    held.say("BEGIN;");
    eventually("somebody is there", || figure(&look(&target), "idle-in-transaction") >= 1.0);
    let done = Command::new("kill").args(["-TERM", &postmaster(&server)]).status().unwrap();
    assert!(done.success());
    eventually(
        "it says that it shuts down",
        || matches!(rig::ready(KIND, &target), Err(Trouble::Unready(why)) if why.contains("shutting down")),
    );
}

fn postmaster(server: &Server) -> String {
    let file = std::fs::read_to_string(server.dir.path().join("data/postmaster.pid")).unwrap();
    file.lines().next().unwrap().to_owned()
}

fn who_is_let_in(server: &Server, target: &Target) {
    let none = rig::ready(KIND, &server.target()).unwrap_err();
    assert!(matches!(&none, Trouble::Refused(why) if why.contains("check: postgres://")), "{none:?}");
    let wrong = rig::ready(KIND, &with(server.target(), Some("postgres"), "wrong-horse")).unwrap_err();
    assert!(matches!(&wrong, Trouble::Refused(why) if !why.contains("horse")), "{wrong:?}");
    let database = rig::ready(KIND, &Target { path: "shop".to_owned(), ..target.clone() }).unwrap_err();
    assert!(matches!(&database, Trouble::Refused(why) if why.contains("shop")), "{database:?}");
    let tls = rig::ready(KIND, &option(target, "sslmode", "require")).unwrap_err();
    assert!(matches!(&tls, Trouble::Refused(why) if why.contains("no TLS")), "{tls:?}");
    assert!(matches!(rig::ready(KIND, &option(target, "sslmode", "perhaps")), Err(Trouble::Refused(_))));

    // Encrypted from now on, with a certificate that nobody vouches for.
    let (key, certificate) = (server.dir.path().join("data/server.key"), server.dir.path().join("data/server.crt"));
    let mut openssl = Command::new(rig::program("openssl", "openssl"));
    openssl.args(["req", "-new", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-newkey", "rsa:2048"]);
    openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    done(openssl);
    for file in [&key, &certificate] {
        chown(file, Some(65534), Some(65534)).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    sql(server, "ALTER SYSTEM SET ssl = on");
    sql(server, "SELECT pg_reload_conf()");
    eventually("it speaks TLS", || rig::ready(KIND, &option(target, "sslmode", "require")).is_ok());
    let unknown = rig::ready(KIND, &option(target, "sslmode", "verify-full")).unwrap_err();
    assert!(matches!(&unknown, Trouble::Foreign(why) if why.contains("TLS")), "{unknown:?}");

    // Nobody more is taken.
    sql(server, "CREATE ROLE app LOGIN PASSWORD 'right-horse'");
    let app = with(server.target(), Some("app"), PASSWORD);
    assert_eq!(rig::ready(KIND, &app), Ok(()), "a user without a database of its own name is let into postgres");
    let first = look(target);
    assert_eq!(first.server.as_deref(), Some("PostgreSQL 15.18"));
    assert_eq!(limit(&first, "connections"), 9.0);
    // More than there is room for: who came last may just be gone, or not yet.
    let held: Vec<Session> = (0..12).map(|_| Session::new(server, "app")).collect();
    eventually("it is full for all but superusers", || matches!(rig::ready(KIND, &app), Err(Trouble::Busy(_))));
    assert!(figure(&first, "connections") < 9.0);
    assert!(figure(&look(target), "connections") >= 9.0);
    drop(held);
    rig::until_ready(server, KIND, &app);
}

fn what_sessions_do(server: &Server, target: &Target) {
    sql(
        server,
        "CREATE TABLE accounts (id int PRIMARY KEY, name text); INSERT INTO accounts VALUES (1, 'a'), (2, 'b')",
    );
    let quiet = look(target);
    assert_eq!(figure(&quiet, "idle-in-transaction"), 0.0);
    assert_eq!(figure(&quiet, "lock-waits"), 0.0);
    let mut one = Session::new(server, "postgres");
    one.say("BEGIN; UPDATE accounts SET name = 'top secret' WHERE id = 1;");
    eventually("one is idle in a transaction", || figure(&look(target), "idle-in-transaction") == 1.0);
    let mut two = Session::new(server, "postgres");
    two.say("BEGIN; UPDATE accounts SET name = 'x' WHERE id = 2;");
    two.say("UPDATE accounts SET name = 'y' WHERE id = 1;");
    eventually("two waits for one", || figure(&look(target), "lock-waits") == 1.0);
    let locked = look(target);
    assert!(
        about(&locked, "longest-lock-wait")
            .contains("(idle in transaction: UPDATE accounts SET name = '…' WHERE id = 1)"),
        "{locked:#?}"
    );
    assert!(about(&locked, "longest-idle-in-transaction").contains("of postgres (psql), since"), "{locked:#?}");
    assert!(!format!("{locked:?}").contains("top secret"), "texts in statements are nobody's business");
    let waited = figure(&locked, "longest-lock-wait");
    eventually("the wait grows", || figure(&look(target), "longest-lock-wait") > waited);
    // Each waits for the other.
    one.say("UPDATE accounts SET name = 'z' WHERE id = 2;");
    eventually("a deadlock is counted", || figure(&look(target), "deadlocks") > figure(&quiet, "deadlocks"));
    drop((one, two));
    eventually("nobody waits any more", || figure(&look(target), "lock-waits") == 0.0);
    assert!(figure(&look(target), "rollbacks") > figure(&quiet, "rollbacks"));

    let mut slow = Session::new(server, "postgres");
    slow.say("SELECT pg_sleep(60);");
    eventually("a query runs", || {
        let reading = look(target);
        figure(&reading, "longest-query") > 0.2 && about(&reading, "longest-query").contains("pg_sleep")
    });
}

fn what_tables_are_like(server: &Server, target: &Target) {
    sql(
        server,
        "CREATE TABLE big (a int) WITH (autovacuum_enabled = off); INSERT INTO big SELECT generate_series(1, 20000)",
    );
    sql(server, "DELETE FROM big WHERE a % 2 = 0");
    eventually("half of the rows are dead", || {
        let reading = look(target);
        reading.measures.iter().any(|measure| measure.name == "dead-rows" && (0.4..0.6).contains(&measure.value))
    });
    let reading = look(target);
    assert!(
        about(&reading, "dead-rows").starts_with("table public.big: 10000 dead rows, last vacuumed: never"),
        "{reading:#?}"
    );
    assert!((0.0..=1.0).contains(&figure(&reading, "cache-hit")));
    let age = figure(&reading, "transaction-age");
    assert_eq!(limit(&reading, "transaction-age"), 2_147_483_648.0);
    sql(server, "SELECT txid_current()");
    assert!(figure(&look(target), "transaction-age") > age);
    let size = figure(&reading, "database-size");
    sql(server, "INSERT INTO big SELECT generate_series(1, 20000)");
    assert!(figure(&look(target), "database-size") > size);

    assert_eq!(figure(&reading, "inactive-slots"), 0.0);
    sql(server, "SELECT pg_create_physical_replication_slot('forgotten', true)");
    let kept = look(target);
    assert_eq!(figure(&kept, "inactive-slots"), 1.0);
    assert_eq!(about(&kept, "slot-retained"), "slot forgotten");
    sql(server, "INSERT INTO big SELECT generate_series(1, 20000)");
    assert!(figure(&look(target), "slot-retained") > figure(&kept, "slot-retained"));
    sql(server, "SELECT pg_drop_replication_slot('forgotten')");

    assert!(remark(&kept, "archiver").is_none());
    sql(server, "ALTER SYSTEM SET archive_command = 'false'");
    sql(server, "SELECT pg_reload_conf()");
    sql(server, "SELECT pg_switch_wal()");
    eventually("the archive fails", || remark(&look(target), "archiver").is_some());
    assert_remark(&look(target), "archiver", Grade::Critical);
    assert!(figure(&look(target), "archive-failures") >= 1.0);
    sql(server, "ALTER SYSTEM SET archive_command = 'true'");
    sql(server, "SELECT pg_reload_conf()");

    sql(server, "CREATE SCHEMA watch; CREATE EXTENSION pg_stat_statements SCHEMA watch");
    for _ in 0..5 {
        sql(server, "SELECT pg_sleep(0.02)");
    }
    let reading = look(target);
    assert!(figure(&reading, "slow-statement") >= 0.02, "{reading:#?}");
    assert!(about(&reading, "slow-statement").contains("pg_sleep"), "{reading:#?}");
}

/// As the libraries make them, cut to what is asked of them.
const JOB_TABLES: &str = "
CREATE TABLE solid_queue_ready_executions (job_id bigint, created_at timestamp(6));
CREATE TABLE solid_queue_failed_executions (job_id bigint);
CREATE TABLE delayed_jobs (run_at timestamp, locked_at timestamp, failed_at timestamp);
CREATE TABLE que_jobs (run_at timestamptz, finished_at timestamptz, expired_at timestamptz);
CREATE TABLE good_jobs (scheduled_at timestamp, performed_at timestamp, finished_at timestamp, error text, created_at timestamp);
CREATE SCHEMA graphile_worker;
CREATE TABLE graphile_worker.jobs (run_at timestamptz, attempts smallint, max_attempts smallint, locked_at timestamptz);
CREATE TYPE oban_job_state AS ENUM ('available', 'scheduled', 'executing', 'retryable', 'completed', 'discarded', 'cancelled');
CREATE TABLE oban_jobs (state oban_job_state, scheduled_at timestamp);
CREATE TYPE procrastinate_job_status AS ENUM ('todo', 'doing', 'succeeded', 'failed');
CREATE TABLE procrastinate_jobs (id bigint, status procrastinate_job_status, scheduled_at timestamptz);
CREATE TABLE procrastinate_events (job_id bigint, at timestamptz);
CREATE SCHEMA pgboss;
CREATE TABLE pgboss.job (state text, start_after timestamptz);
CREATE TABLE jobs (id bigint, queue text, payload text, attempts smallint, reserved_at int, available_at int, created_at int);
CREATE TABLE failed_jobs (id bigint);
";

/// One that waits since a minute and one that has failed, of each; and one that is not to be counted.
const JOBS: &str = "
INSERT INTO solid_queue_ready_executions VALUES (1, now() at time zone 'UTC' - interval '60 s');
INSERT INTO solid_queue_failed_executions VALUES (2);
INSERT INTO delayed_jobs VALUES (now() at time zone 'UTC' - interval '60 s', NULL, NULL), (now() at time zone 'UTC', NULL, now()), (now() at time zone 'UTC' + interval '1 d', NULL, NULL);
INSERT INTO que_jobs VALUES (now() - interval '60 s', NULL, NULL), (now(), NULL, now()), (now() + interval '1 d', NULL, NULL);
INSERT INTO good_jobs VALUES (NULL, NULL, NULL, NULL, now() at time zone 'UTC' - interval '60 s'), (NULL, now(), now(), 'boom', now()), (NULL, now(), now(), NULL, now());
INSERT INTO graphile_worker.jobs VALUES (now() - interval '60 s', 0, 25, NULL), (now(), 25, 25, NULL), (now(), 1, 25, now());
INSERT INTO oban_jobs VALUES ('available', now() at time zone 'UTC' - interval '60 s'), ('discarded', now()), ('completed', now());
INSERT INTO procrastinate_jobs VALUES (1, 'todo', NULL), (2, 'failed', NULL), (3, 'doing', NULL);
INSERT INTO procrastinate_events VALUES (1, now() - interval '60 s');
INSERT INTO pgboss.job VALUES ('created', now() - interval '60 s'), ('failed', now()), ('created', now() + interval '1 d');
INSERT INTO jobs VALUES (1, 'default', '{}', 0, NULL, extract(epoch from now()) - 60, 0), (2, 'default', '{}', 1, 1, 1, 1);
INSERT INTO failed_jobs VALUES (1);
";

fn what_a_probe_may_see(server: &Server) {
    sql(server, "CREATE ROLE probe LOGIN PASSWORD 'right-horse'");
    let probe = with(server.target(), Some("probe"), PASSWORD);
    let probe = Target { path: "postgres".to_owned(), ..probe };
    let blind = look(&probe);
    assert!(
        remark(&blind, "privileges").is_some_and(|seen| seen.advice.as_deref() == Some("GRANT pg_monitor TO probe"))
    );
    assert!(figure(&blind, "connections") >= 1.0);
    assert!(!blind.measures.iter().any(|measure| measure.name == "lock-waits"), "nothing is claimed that is hidden");
    sql(server, "GRANT pg_monitor TO probe");
    let seeing = look(&probe);
    assert!(remark(&seeing, "privileges").is_none(), "{seeing:#?}");
    assert_eq!(figure(&seeing, "lock-waits"), 0.0);
    assert!(!seeing.measures.iter().any(|measure| measure.name == "jobs-waiting"));

    // Another table of that name is none of Laravel's.
    sql(server, "CREATE TABLE jobs (title text)");
    assert!(!look(&probe).measures.iter().any(|measure| measure.name == "jobs-waiting"));
    sql(server, "DROP TABLE jobs");
    sql(server, JOB_TABLES);
    let denied = look(&probe);
    assert!(
        remark(&denied, "job-queues")
            .is_some_and(|seen| seen.advice.as_deref().is_some_and(|advice| advice.starts_with("GRANT SELECT ON"))),
        "{denied:#?}"
    );
    for schema in ["public", "graphile_worker", "pgboss"] {
        sql(
            server,
            &format!("GRANT USAGE ON SCHEMA {schema} TO probe; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO probe"),
        );
    }
    let idle = look(&probe);
    sql(server, JOBS);
    let busy = look(&probe);
    assert!(remark(&busy, "job-queues").is_none(), "{busy:#?}");
    for library in [
        "Solid Queue",
        "Delayed Job",
        "Que",
        "GoodJob",
        "Graphile Worker",
        "Oban",
        "Procrastinate",
        "pg-boss",
        "Laravel",
    ] {
        assert_eq!(figure_about(&idle, "jobs-waiting", library), 0.0, "{library}");
        assert_eq!(figure_about(&busy, "jobs-waiting", library), 1.0, "{library}");
        let age = figure_about(&busy, "oldest-job", library);
        assert!((59.0..120.0).contains(&age), "{library}: {age}");
        assert_eq!(figure_about(&busy, "jobs-failed", library), 1.0, "{library}");
    }
}

fn a_standby(server: &Server, target: &Target) {
    let dir = dir();
    let port = server.port.to_string();
    done(as_nobody(
        "pg_basebackup",
        &[
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            "-D",
            &data(dir.path()),
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ],
    ));
    let standby = serve(dir);
    let asked = with(standby.target(), Some("postgres"), PASSWORD);
    rig::until_ready(&standby, KIND, &asked);
    let primary = rig::ready(KIND, &option(&asked, "role", "primary")).unwrap_err();
    assert!(matches!(&primary, Trouble::Unready(why) if why.contains("standby")), "{primary:?}");
    assert_eq!(rig::ready(KIND, &option(target, "role", "primary")), Ok(()));
    assert!(matches!(rig::ready(KIND, &option(target, "role", "standby")), Err(Trouble::Unready(_))));
    eventually("the primary knows its standby", || {
        look(target).measures.iter().any(|measure| measure.name == "replicas" && measure.value == 1.0)
    });
    eventually("the standby receives", || remark(&look(&asked), "replication").is_none());
    sql(server, "INSERT INTO big SELECT generate_series(1, 1000)");
    eventually("the standby has replayed something", || {
        let mut replayed = psql(&standby, "postgres");
        replayed.args(["-c", "SELECT pg_last_xact_replay_timestamp() IS NOT NULL"]);
        done(replayed).trim() == "t"
    });
    // Replay stands still while its primary goes on.
    let mut paused = psql(&standby, "postgres");
    paused.args(["-c", "SELECT pg_wal_replay_pause()"]);
    done(paused);
    sql(server, "INSERT INTO big SELECT generate_series(1, 1000)");
    eventually("the standby is behind", || {
        let reading = look(&asked);
        figure(&reading, "replication-lag") > 0.0 && figure(&reading, "replication-behind") > 0.0
    });
    eventually("and the primary sees it", || figure(&look(target), "replication-behind") > 0.0);
    drop(standby);
    eventually("it is gone", || !look(target).measures.iter().any(|measure| measure.name == "replicas"));
}
