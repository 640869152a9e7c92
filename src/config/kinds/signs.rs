//! Lines as servers really write them, and the signs that they are. Tests alone.

use super::named;
use crate::model::exam::Grade;

/// What a line of a kind means: the worst of its signs.
fn read(kind: &str, line: &str) -> Option<(Grade, &'static str)> {
    let kind = named(kind).unwrap_or_else(|| panic!("there is no {kind}"));
    let fitting = kind.signs.iter().filter(|sign| regex::Regex::new(&sign.pattern).unwrap().is_match(line));
    fitting.map(|sign| (sign.grade, sign.says.as_str())).max()
}

/// Kind and line.
const LINES: &[(&str, &str)] = &[
    ("http", "Error: listen EADDRINUSE: address already in use :::3000"),
    ("nginx", "2024/05/02 10:00:00 [emerg] 7#7: bind() to 0.0.0.0:80 failed (98: Address already in use)"),
    ("nginx", "2024/05/02 10:00:00 [alert] 7#7: 16 worker_connections are not enough"),
    (
        "nginx",
        "2024/05/02 10:00:00 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1",
    ),
    (
        "nginx",
        "2024/05/02 10:00:00 [error] 7#7: *1 upstream timed out (110: Connection timed out) while reading response header from upstream",
    ),
    ("nginx", "nginx: [emerg] host not found in upstream \"app\" in /etc/nginx/conf.d/default.conf:3"),
    (
        "haproxy",
        "[WARNING]  (7) : Server app/b is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms.",
    ),
    ("haproxy", "[ALERT]    (7) : backend 'app' has no server available!"),
    ("haproxy", "[ALERT]    (7) : Starting frontend web: cannot bind socket (Address already in use) [127.0.0.1:80]"),
    ("haproxy", "[ALERT]    (7) : config : parsing [conf:3] : unknown keyword 'x' in 'global' section"),
    (
        "caddy",
        "Error: loading initial config: loading new config: http app module: start: listening on :80: listen tcp :80: bind: address already in use",
    ),
    ("caddy", r#"{"level":"error","logger":"tls.obtain","msg":"will retry","error":"[example.org] Obtain: ..."}"#),
    ("traefik", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"),
    (
        "apache",
        "[mpm_event:error] [pid 1:tid 1] AH00161: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting",
    ),
    (
        "php-fpm",
        "[02-May-2024 10:00:00] WARNING: [pool www] server reached pm.max_children setting (5), consider raising it",
    ),
    (
        "php-fpm",
        "[02-May-2024 10:00:00] WARNING: [pool www] child 8 exited on signal 11 (SIGSEGV - core dumped) after 3.1 seconds from start",
    ),
    (
        "prometheus",
        r#"ts=2024-05-02 caller=main.go:1 level=error msg="Error loading config (--config.file=conf)" file=conf err="yaml""#,
    ),
    (
        "prometheus",
        r#"ts=2024-05-02 caller=db.go:1 level=error component=tsdb msg="compaction failed" err="no space left on device""#,
    ),
    (
        "prometheus",
        r#"ts=2024-05-02 caller=main.go:1 level=error err="opening storage failed: lock DB directory: resource temporarily unavailable""#,
    ),
    (
        "alertmanager",
        r#"ts=2024-05-02 caller=dispatch.go:352 level=error component=dispatcher msg="Notify for alerts failed" num_alerts=1"#,
    ),
    ("grafana", r#"logger=sqlstore level=error msg="Failed to query" error="database is locked""#),
    ("grafana", "GF_PATHS_DATA='/var/lib/grafana' is not writable."),
    ("influxdb", "partial write: max-series-per-database limit exceeded: (1000000) dropped=1"),
    ("influxdb", "run: open server: listen: listen tcp 127.0.0.1:8088: bind: address already in use"),
    (
        "influxdb",
        r#"partial write: field type conflict: input field "total" on measurement "orders" is type string, already exists as type float dropped=1"#,
    ),
    ("neo4j", "Exception in thread \"x\" java.lang.OutOfMemoryError: Java heap space"),
    ("qdrant", "2024-05-02T10:00:00Z ERROR qdrant::startup: Panic occurred in file src/x.rs at line 1: boom"),
    ("docker-registry", r#"level=fatal msg="listen tcp :5000: bind: address already in use""#),
    ("node", "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"),
    ("node", "Error: connect ECONNREFUSED 127.0.0.1:5432"),
    ("node", "Error: Cannot find module 'express'"),
    ("node", "(node:7) UnhandledPromiseRejectionWarning: Error: boom"),
    (
        "nextjs",
        "Error: Could not find a production build in the '.next' directory. Try building your app with 'next build' before starting the production server.",
    ),
    ("nextjs", " ⨯ Failed to compile."),
    (
        "vite",
        "[vite] Internal server error: Failed to resolve import \"./x\" from \"src/App.tsx\". Does the file exist?",
    ),
    ("vite", "10:00:00 AM [vite] http proxy error: /api/users"),
    ("python", "[2024-05-02 10:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)"),
    ("python", "[2024-05-02 10:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?"),
    ("python", "ModuleNotFoundError: No module named 'fastapi'"),
    (
        "python",
        "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use",
    ),
    (
        "django",
        "You have 18 unapplied migration(s). Your project may not work properly until you apply the migrations for app(s): admin.",
    ),
    (
        "django",
        "django.db.utils.OperationalError: connection to server at \"localhost\" (127.0.0.1), port 5432 failed: Connection refused",
    ),
    ("flask", "Error: Could not locate a Flask application. Use the 'flask --app' option."),
    (
        "celery",
        "[2024-05-02 10:00:00,000: ERROR/MainProcess] consumer: Cannot connect to redis://localhost:6379//: Error 111 connecting to localhost:6379. Connection refused..",
    ),
    (
        "celery",
        "[2024-05-02 10:00:00,000: ERROR/MainProcess] Process 'ForkPoolWorker-1' pid:9 exited with 'signal 9 (SIGKILL)'",
    ),
    ("celery", "[2024-05-02 10:00:00,000: ERROR/MainProcess] Received unregistered task of type 'shop.tasks.send'."),
    (
        "sidekiq",
        "2024-05-02T10:00:00.000Z pid=7 tid=x ERROR: Error fetching job: Connection refused - connect(2) for 127.0.0.1:6379",
    ),
    (
        "jvm",
        "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 30000ms.",
    ),
    ("spring-boot", "APPLICATION FAILED TO START"),
    ("spring-boot", "Web server failed to start. Port 8080 was already in use."),
    (
        "dotnet",
        "Unhandled exception. System.IO.IOException: Failed to bind to address http://127.0.0.1:5000: address already in use.",
    ),
    ("go", "panic: runtime error: invalid memory address or nil pointer dereference"),
    ("go", "fatal error: all goroutines are asleep - deadlock!"),
    ("php", "PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused in /srv/x.php:3"),
    ("ruby", "Could not find rake-13.0.6 in any of the sources (Bundler::GemNotFound)"),
    ("rails", "A server is already running (pid: 7, file: /app/tmp/pids/server.pid)."),
    ("rails", "ActiveRecord::PendingMigrationError"),
    ("phoenix", "** (DBConnection.ConnectionError) tcp connect (localhost:5432): connection refused - :econnrefused"),
    (
        "phoenix",
        "[error] Failed to start Ranch listener App.Endpoint.HTTP in :ranch_tcp:listen([port: 4000]) for reason :eaddrinuse (address already in use)",
    ),
    ("container", "exec /usr/local/bin/app: exec format error"),
    ("worker", "write /data/x: no space left on device"),
];

#[test]
fn well_known_lines_are_signs() {
    for &(kind, line) in LINES {
        let found = read(kind, line);
        assert!(found.is_some_and(|(grade, _)| grade >= Grade::Warning), "{kind}: {line}: {found:?}");
    }
}

#[test]
fn lines_of_every_day_are_none() {
    for (kind, line) in [
        ("nginx", r#"127.0.0.1 - - [02/May/2024:10:00:00 +0000] "GET /bind HTTP/1.1" 200 2 "-" "curl/7.88""#),
        ("haproxy", "[NOTICE]   (7) : New worker (9) forked"),
        ("php-fpm", "[02-May-2024 10:00:00] NOTICE: ready to handle connections"),
        ("prometheus", r#"ts=2024-05-02 caller=main.go:1 level=info msg="Server is ready to receive web requests.""#),
        (
            "prometheus",
            r#"ts=2024-05-02 caller=main.go:1 level=info msg="Completed loading of configuration file" filename=conf"#,
        ),
        (
            "influxdb",
            r#"ts=2024-05-02 lvl=info msg="Listening on HTTP" log_id=x service=httpd addr=127.0.0.1:8086 https=false"#,
        ),
        ("node", "Server listening on http://localhost:3000"),
        ("nextjs", " ✓ Ready in 1.2s"),
        ("vite", "  VITE v5.2.0  ready in 300 ms"),
        ("python", "INFO:     127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK"),
        ("celery", "[2024-05-02 10:00:00,000: INFO/MainProcess] celery@host ready."),
        ("sidekiq", "2024-05-02T10:00:00.000Z pid=7 tid=x class=Job jid=1 INFO: done"),
        ("sidekiq", "2024-05-02T10:00:00.000Z pid=7 tid=x class=Job jid=1 elapsed=0.1 INFO: fail"),
        ("jvm", "Started Application in 2.1 seconds (process running for 2.5)"),
        ("rails", "Completed 200 OK in 5ms (Views: 3.1ms | ActiveRecord: 0.5ms)"),
        ("go", "listening on :8080"),
        ("phoenix", "[info] Running App.Endpoint with Bandit 1.5.0 at 127.0.0.1:4000 (http)"),
        ("docker-registry", r#"level=info msg="listening on 127.0.0.1:5000""#),
    ] {
        assert_eq!(read(kind, line), None, "{kind}: {line}");
    }
}

#[test]
fn every_kind_has_what_a_kind_has() {
    for kind in super::all() {
        let lines = kind.page.lines().count();
        assert!(kind.id == "redis" || (15..=45).contains(&lines), "the page of {} has {lines} lines", kind.id);
        let mut names: Vec<_> = kind.rules.iter().map(|rule| rule.name.as_str()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(all, names.len(), "{} judges a figure twice", kind.id);
        for rule in &kind.rules {
            if let (Some(warn), Some(critical)) = (rule.warn, rule.critical) {
                assert!(if rule.below { critical <= warn } else { warn <= critical }, "{}: {}", kind.id, rule.name);
            }
        }
    }
}

#[test]
fn kinds_of_a_common_protocol_share_its_rules() {
    let has = |kind: &str, rule: &str| named(kind).unwrap().rules.iter().any(|known| known.name == rule);
    assert!(has("django", "latency") && has("grafana", "certificate") && has("node-exporter", "disk"));
    assert!(!has("celery", "latency") && !has("node-exporter", "latency"));
}
