//! Checks of one's own, and answers that say the opposite of their exit code or status: against real servers, real files, real databases.

#![expect(clippy::wildcard_enum_match_arm, reason = "one event is looked for")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::{State, WebSocketUpgrade, ws::Message},
    http::{HeaderMap, StatusCode},
    routing::{any, get, post},
};
use cas::model::{
    effect::Effect,
    event::Event,
    exam::{Exam, ExamRound, Grade, Hidden, Measure, Reading, Subject, Target, Trouble},
    hooks::{HookOutcome, HookResult},
    ids::RunId,
    own::{
        CertificateOf, Fix, FixRound, FreshOf, Keep, Mending, Own, OwnCheck, QueueOf, Storage, TokenOf, Webhook,
        figures,
    },
    probe::{Check, Probe, ProbeKind, ProbeOutcome, ProbeRound},
    service::CommandLine,
};

use crate::{
    kinds::rig::{Server, at, dir, free_port, program},
    process::rig::Rig,
    support::eventually_async,
};

const LONG: Duration = Duration::from_secs(30);
const DAY: f64 = 86_400.0;

/// A world with one quiet service that has some variables.
struct Bench {
    rig: Rig,
    run: RunId,
    round: u64,
}

impl Bench {
    async fn new() -> Self {
        let mut rig = Rig::new();
        let mut spec = rig.spec("web", CommandLine::Argv(vec!["sleep".to_owned(), "1000".to_owned()]));
        spec.environment = BTreeMap::from([
            ("HOOK_SECRET".to_owned(), "It's a Secret to Everybody".to_owned()),
            ("API_TOKEN".to_owned(), jwt_that_expires_in(7200)),
        ]);
        let run = rig.start_spec(spec);
        rig.spawned(run).await;
        Self { rig, run, round: 0 }
    }

    fn path(&self) -> &Path {
        self.rig.path()
    }

    async fn look(&mut self, check: OwnCheck) -> Result<Reading, Trouble> {
        self.round += 1;
        let own = Own { check, mending: None };
        let exam = Arc::new(Exam {
            name: "it".to_owned(),
            subject: Subject::Own(Arc::new(own)),
            interval: LONG,
            timeout: Duration::from_secs(20),
            rules: Vec::new(),
        });
        let asked = self.round;
        self.rig.world.perform(Effect::Examine(ExamRound { run: self.run, round: asked, exam }));
        self.rig
            .event("a look", |event| match event {
                Event::Examined { round, result, .. } if *round == asked => Some(result.clone()),
                _ => None,
            })
            .await
    }

    async fn fix(&mut self, check: OwnCheck, fix: Fix) -> HookResult {
        self.round += 1;
        let mending = Some(Mending { fix, at: Grade::Warning, cooldown: LONG });
        let own = Arc::new(Own { check, mending });
        let asked = self.round;
        self.rig.world.perform(Effect::Fix(FixRound { run: self.run, exam: "it".to_owned(), round: asked, own }));
        self.rig
            .event("a fix", |event| match event {
                Event::Fixed(fixed) if fixed.round == asked => Some(fixed.result.clone()),
                _ => None,
            })
            .await
    }

    async fn probe(&mut self, kind: ProbeKind, check: Check, honest: bool) -> ProbeOutcome {
        self.round += 1;
        let probe = Arc::new(Probe {
            check,
            interval: LONG,
            timeout: LONG,
            retries: 3,
            successes: 1,
            start_period: Duration::ZERO,
            heals: false,
            honest,
        });
        let asked = self.round;
        self.rig.world.perform(Effect::Probe(ProbeRound { run: self.run, kind, round: asked, probe }));
        self.rig
            .event("probed", |event| match event {
                Event::Probed { round, outcome, .. } if *round == asked => Some(outcome.clone()),
                _ => None,
            })
            .await
    }
}

fn figure(reading: &Result<Reading, Trouble>, name: &str) -> Measure {
    let reading = reading.as_ref().unwrap_or_else(|trouble| panic!("{trouble}"));
    let found = reading.measures.iter().find(|measure| measure.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {reading:?}")).clone()
}

fn shell(line: &str) -> CommandLine {
    CommandLine::Shell(line.to_owned())
}

fn jwt_that_expires_in(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = format!("{{\"sub\":\"web\",\"exp\":{}}}", now + seconds);
    let coded = Command::new("sh")
        .args(["-c", "printf %s \"$1\" | base64 -w0 | tr '+/' '-_' | tr -d '='", "sh", &claims])
        .output()
        .unwrap();
    format!("eyJhbGciOiJIUzI1NiJ9.{}.c2ln", String::from_utf8(coded.stdout).unwrap())
}

/// Serves on a free port of the loopback; the port.
async fn serve(router: Router) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

fn aged(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

fn redis(arguments: &[&str]) -> Server {
    let port = free_port();
    let text = port.to_string();
    let mut all = vec!["--port", &text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    all.extend(arguments);
    Server::start(dir(), port, &program("redis-server", "redis-server"), &all)
}

fn cli(server: &Server, words: &[&str]) -> String {
    let port = server.port.to_string();
    let mut all = vec!["-p", port.as_str()];
    all.extend(words);
    let done = Command::new(program("redis-cli", "redis-tools")).args(all).output().unwrap();
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_of_a_redis_with_a_password_has_failed_although_it_ends_with_0() {
    let server = redis(&["--requirepass", "pw"]);
    eventually_async("redis listens", || async { cli(&server, &["ping"]).contains("NOAUTH") }).await;
    let mut bench = Bench::new().await;
    let line = format!("redis-cli -p {} ping", server.port);
    let exec = || Check::Exec(shell(&line));
    let outcome = bench.probe(ProbeKind::Readiness, exec(), true).await;
    let ProbeOutcome::Failed(why) = &outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("exit code 0, but it printed NOAUTH"), "{why}");
    assert_eq!(bench.probe(ProbeKind::Readiness, exec(), false).await, ProbeOutcome::Passed);
    let with_password = Check::Exec(shell(&format!("redis-cli -p {} -a pw --no-auth-warning ping", server.port)));
    assert_eq!(bench.probe(ProbeKind::Readiness, with_password, true).await, ProbeOutcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_prints_counts_also_in_json_over_several_lines() {
    let mut bench = Bench::new().await;
    for (line, said) in [
        ("echo '{\"status\": \"degraded\"}'", "{\"status\": \"degraded\"}"),
        ("printf '{\\n  \"status\":\\n    \"down\"\\n}\\n'", "status: down"),
        ("echo fine; echo 'web is unhealthy'", "web is unhealthy"),
    ] {
        let outcome = bench.probe(ProbeKind::Liveness, Check::Exec(shell(line)), true).await;
        assert_eq!(outcome, ProbeOutcome::Failed(format!("exit code 0, but it printed {said}")), "{line}");
    }
    let fine = Check::Exec(shell("echo '{\"status\": \"up\", \"unhealthy\": 0}'"));
    assert_eq!(bench.probe(ProbeKind::Liveness, fine, true).await, ProbeOutcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_status_200_that_says_degraded_has_failed_for_readiness() {
    const SCRIPT: &str = "import http.server,sys\n\
class H(http.server.BaseHTTPRequestHandler):\n\
\x20 def do_GET(self):\n\
\x20  b=b'{\"status\": \"degraded\", \"db\": \"slow\"}' if self.path=='/ill' else b'{\"status\": \"ok\"}'\n\
\x20  self.send_response(200); self.send_header('content-length',str(len(b))); self.end_headers(); self.wfile.write(b)\n\
http.server.HTTPServer(('127.0.0.1',int(sys.argv[1])),H).serve_forever()\n";
    let port = free_port();
    let server = Server::start(dir(), port, &program("python3", "python3"), &["-c", SCRIPT, &port.to_string()]);
    let mut bench = Bench::new().await;
    let get = |path: &str| Check::Http { url: format!("http://127.0.0.1:{}{path}", server.port), status: None };
    eventually_async("it serves", || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
    let outcome = bench.probe(ProbeKind::Readiness, get("/ill"), true).await;
    let ProbeOutcome::Failed(why) = &outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("status 200 OK from ") && why.ends_with(", but it says status: degraded"), "{why}");
    assert_eq!(bench.probe(ProbeKind::Readiness, get("/ill"), false).await, ProbeOutcome::Passed);
    assert_eq!(bench.probe(ProbeKind::Liveness, get("/ill"), true).await, ProbeOutcome::Passed);
    assert_eq!(bench.probe(ProbeKind::Readiness, get("/well"), true).await, ProbeOutcome::Passed);
}

/// A certificate that holds for so many days, and its key.
fn certificate(within: &Path, days: u32) -> (PathBuf, PathBuf) {
    let (certificate, key) = (within.join(format!("{days}.pem")), within.join(format!("{days}.key")));
    let done = Command::new(program("openssl", "openssl"))
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=shop.test",
        ])
        .args(["-days", &days.to_string()])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (certificate, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_tells_when_it_expires_in_a_file_and_from_a_server() {
    let mut bench = Bench::new().await;
    let (long, _) = certificate(bench.path(), 100);
    let (short, key) = certificate(bench.path(), 2);
    let both = bench.path().join("both.pem");
    fs::write(&both, [fs::read(&long).unwrap(), fs::read(&short).unwrap()].concat()).unwrap();
    for (file, days) in [(&long, 100.0), (&short, 2.0), (&both, 2.0)] {
        let reading = bench.look(OwnCheck::Certificate(CertificateOf::File(file.clone()))).await;
        let left = figure(&reading, figures::EXPIRES);
        assert!((left.value / DAY - days).abs() < 0.1, "{left:?}");
        assert!(left.about.as_deref().is_some_and(|about| about.contains("of shop.test")), "{left:?}");
    }
    let port = free_port();
    let text = port.to_string();
    let (short, key) = (short.display().to_string(), key.display().to_string());
    let arguments = ["s_server", "-accept", &text, "-cert", &short, "-key", &key, "-quiet", "-Verify", "1"];
    let server = Server::start(dir(), port, &program("openssl", "openssl"), &arguments);
    eventually_async("it listens", || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() })
        .await;
    // It wants a certificate of ours, and nobody trusts its own: its dates are read all the same.
    let reading = bench.look(OwnCheck::Certificate(CertificateOf::Server(server.target()))).await;
    assert!((figure(&reading, figures::EXPIRES).value / DAY - 2.0).abs() < 0.1, "{reading:?}");
    let none = bench.look(OwnCheck::Certificate(CertificateOf::File(key.into()))).await;
    assert!(matches!(&none, Err(Trouble::Foreign(why)) if why.contains("has no certificate")), "{none:?}");
    let absent = bench.look(OwnCheck::Certificate(CertificateOf::File("/no/such.pem".into()))).await;
    assert_eq!(absent, Err(Trouble::Foreign("there is no /no/such.pem".to_owned())));
    let closed = bench.look(OwnCheck::Certificate(CertificateOf::Server(at(free_port())))).await;
    assert!(matches!(&closed, Err(Trouble::Unreachable(_))), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_tells_when_it_expires_from_each_source_and_is_never_quoted() {
    let mut bench = Bench::new().await;
    let file = bench.path().join("token.json");
    fs::write(&file, "{\"access_token\": \"opaque-s3cret\", \"expires_in\": 3600}").unwrap();
    aged(&file, 600);
    let env = TokenOf::Env("API_TOKEN".to_owned());
    let command = TokenOf::Command(shell("printf '%s' \"$API_TOKEN\""));
    for (of, seconds) in [(TokenOf::File(file.clone()), 3000.0), (env, 7200.0), (command, 7200.0)] {
        let reading = bench.look(OwnCheck::Token(of)).await;
        assert!((figure(&reading, figures::EXPIRES).value - seconds).abs() < 60.0, "{reading:?}");
    }
    aged(&file, 6000);
    let reading = bench.look(OwnCheck::Token(TokenOf::File(file.clone()))).await;
    let expired = figure(&reading, figures::EXPIRES);
    assert!(expired.value.abs() < 1e-9 && expired.about.is_some_and(|about| about.starts_with("it expired 2")));
    fs::write(&file, "opaque-s3cret").unwrap();
    for of in [TokenOf::File(file), TokenOf::Env("NOT_SET".to_owned()), TokenOf::Command(shell("exit 3"))] {
        let trouble = bench.look(OwnCheck::Token(of)).await.unwrap_err().to_string();
        assert!(!trouble.contains("s3cret") && !trouble.is_empty(), "{trouble}");
    }
}

/// What a receiver was sent: signature and body.
type Taken = Arc<Mutex<Vec<(String, String)>>>;

async fn receiver(taken: Taken) -> u16 {
    async fn take(State(taken): State<Taken>, headers: HeaderMap, body: String) -> StatusCode {
        let signature = headers.get("x-hub-signature-256").map_or("", |value| value.to_str().unwrap()).to_owned();
        if body.contains("refused") {
            return StatusCode::BAD_GATEWAY;
        }
        taken.lock().unwrap().push((signature, body));
        StatusCode::NO_CONTENT
    }
    serve(Router::new().route("/hook", post(take)).with_state(taken)).await
}

fn webhook(port: u16, send: bool, deadletter: Option<PathBuf>) -> Webhook {
    Webhook {
        target: at(port),
        path: "/hook".to_owned(),
        method: "POST".to_owned(),
        body: "Hello, World!".to_owned(),
        secret_env: Some("HOOK_SECRET".to_owned()),
        signature: "X-Hub-Signature-256".to_owned(),
        send,
        deadletter,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_pinged_with_a_signature_only_where_that_is_asked_for() {
    let mut bench = Bench::new().await;
    let taken = Taken::default();
    let port = receiver(taken.clone()).await;
    let reading = bench.look(OwnCheck::Webhook(webhook(port, false, None))).await;
    assert!(figure(&reading, figures::LATENCY).value < 20.0);
    assert_eq!((reading.unwrap().remarks, taken.lock().unwrap().len()), (Vec::new(), 0), "OPTIONS changes nothing");
    let reading = bench.look(OwnCheck::Webhook(webhook(port, true, None))).await.unwrap();
    assert_eq!(reading.remarks, []);
    // The example of GitHub's documentation.
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(*taken.lock().unwrap(), [(signature.to_owned(), "Hello, World!".to_owned())]);
    let nobody = bench.look(OwnCheck::Webhook(webhook(free_port(), true, None))).await.unwrap();
    assert_eq!(nobody.remarks.iter().map(|remark| remark.grade).collect::<Vec<_>>(), [Grade::Critical]);
    let elsewhere = Webhook { path: "/gone".to_owned(), ..webhook(port, true, None) };
    let gone = bench.look(OwnCheck::Webhook(elsewhere)).await.unwrap();
    assert!(gone.remarks[0].sentence.contains("404 Not Found: there is no receiver at that path"), "{gone:?}");
    let unsigned = Webhook { secret_env: Some("NOT_SET".to_owned()), ..webhook(port, true, None) };
    let trouble = bench.look(OwnCheck::Webhook(unsigned)).await.unwrap_err().to_string();
    assert_eq!(trouble, "NOT_SET is not set, so nothing can be signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_deliveries_are_counted_and_replayed_oldest_first_and_only_once() {
    let mut bench = Bench::new().await;
    let taken = Taken::default();
    let port = receiver(taken.clone()).await;
    let dead = bench.path().join("dead");
    fs::create_dir(&dead).unwrap();
    let letter = |name: &str, body: &str, age: u64| {
        let path = dead.join(name);
        let text = format!(
            "{{\"url\": \"http://evil.example\", \"headers\": {{\"X-Event\": \"order\", \"Host\": \"evil.example\", \"x-hub-signature-256\": \"old\"}}, \"body\": {body}}}"
        );
        fs::write(&path, text).unwrap();
        aged(&path, age);
    };
    letter("b.json", "{\"n\": 2}", 200);
    letter("a.json", "\"first\"", 300);
    letter("c.json", "\"refused\"", 100);
    letter("d.json", "\"never reached\"", 50);
    fs::write(dead.join("notes.txt"), "no delivery").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dead.join("0.json")).unwrap();
    let check = || OwnCheck::Webhook(webhook(port, false, Some(dead.clone())));
    let waiting = figure(&bench.look(check()).await, figures::FAILED);
    assert!((waiting.value - 4.0).abs() < 1e-9, "{waiting:?}");
    assert_eq!(waiting.about.as_deref(), Some("the oldest waits for 5 minutes"));
    let result = bench.fix(check(), Fix::Replay).await;
    assert_eq!(result.outcome, HookOutcome::Failed("c.json: answered with 502 Bad Gateway".to_owned()));
    assert_eq!(result.output, ["2 of 4 delivered"]);
    let bodies: Vec<String> = taken.lock().unwrap().iter().map(|(_, body)| body.clone()).collect();
    assert_eq!(bodies, ["first", "{\"n\":2}"]);
    assert!(taken.lock().unwrap().iter().all(|(signature, _)| signature.starts_with("sha256=")));
    assert!(dead.join("done/a.json").exists() && dead.join("done/b.json").exists() && dead.join("c.json").exists());
    fs::remove_file(dead.join("c.json")).unwrap();
    // One of that name was delivered before: it is not written over.
    letter("a.json", "\"again\"", 10);
    let result = bench.fix(check(), Fix::Replay).await;
    assert_eq!((result.outcome, result.output), (HookOutcome::Passed, vec!["2 of 2 delivered".to_owned()]));
    assert!(fs::read_to_string(dead.join("done/a.json")).unwrap().contains("first"));
    assert!(fs::read_to_string(dead.join("done/a.json.1")).unwrap().contains("again"));
    assert_eq!(taken.lock().unwrap().len(), 4);
}

async fn echoes(limit: usize) -> u16 {
    let seen = Arc::new(Mutex::new(0_usize));
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        let mut seen = seen.lock().unwrap();
        *seen += 1;
        let is_over = *seen > limit;
        drop(seen);
        if is_over {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        Ok(upgrade.on_upgrade(|mut socket| async move {
            let _greeted = socket.send(Message::text("welcome")).await;
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
                    return;
                }
            }
        }))
    };
    let mute = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(_)) = socket.recv().await {
                for _ in 0..30 {
                    if socket.send(Message::text("something else")).await.is_err() {
                        return;
                    }
                }
            }
        })
    };
    serve(Router::new().route("/echo", any(upgrade)).route("/mute", any(mute)).route("/page", get(|| async { "page" })))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_echoes_also_after_a_dropped_connection_or_that_is_told() {
    let mut bench = Bench::new().await;
    let echo = |port: u16, path: &str| OwnCheck::Echo {
        target: Target { path: path.to_owned(), ..at(port) },
        text: "hello".to_owned(),
    };
    let port = echoes(usize::MAX).await;
    let reading = bench.look(echo(port, "echo")).await;
    assert!(figure(&reading, figures::LATENCY).value < 20.0);
    assert_eq!(reading.unwrap().remarks, []);
    let once = echoes(1).await;
    let reading = bench.look(echo(once, "echo")).await.unwrap();
    assert!(
        reading.remarks[0].sentence.contains("there is no second one") && reading.remarks[0].sentence.contains("503"),
        "{reading:?}"
    );
    for (path, said) in
        [("mute", "does not send back what it is sent"), ("page", "serves no WebSocket at /page: status 200")]
    {
        let trouble = bench.look(echo(port, path)).await.unwrap_err().to_string();
        assert!(trouble.contains(said), "{trouble}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_is_measured_listed_and_cleaned_by_its_policy_and_never_elsewhere() {
    let mut bench = Bench::new().await;
    let root = bench.path().to_owned();
    let data = root.join("data");
    fs::create_dir_all(data.join("deep/er")).unwrap();
    let outside = dir();
    let precious = outside.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    aged(&precious, 90 * 86_400);
    std::os::unix::fs::symlink(outside.path(), data.join("link")).unwrap();
    std::os::unix::fs::symlink(&precious, data.join("old-link")).unwrap();
    for (name, age) in [("new", 0), ("old", 40), ("older", 60), ("deep/er/oldest", 80)] {
        fs::write(data.join(name), [b'x'; 1000]).unwrap();
        aged(&data.join(name), age * 86_400);
    }
    let storage = |keep| Storage { paths: vec![data.clone()], quota: Some(8000), keep, within: Some(root.clone()) };
    let month = || OwnCheck::Storage(storage(Some(Keep::For(Duration::from_hours(24 * 30)))));
    let reading = bench.look(month()).await;
    let size = figure(&reading, figures::SIZE);
    assert_eq!((size.value as u64, size.limit), (4000, Some(8000.0)), "links count for nothing");
    let beyond = figure(&reading, figures::BEYOND);
    assert_eq!(beyond.value as u64, 3);
    assert_eq!(beyond.about.as_deref(), Some("3000 bytes, oldest first deep/er/oldest, older, old"));
    let newest = bench.look(OwnCheck::Storage(storage(Some(Keep::Newest(2))))).await;
    assert_eq!(figure(&newest, figures::BEYOND).value as u64, 2);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 6, "a look removes nothing");
    let result = bench.fix(month(), Fix::Clean).await;
    assert_eq!(
        (result.outcome, result.output),
        (HookOutcome::Passed, vec!["3 files of 3000 bytes removed".to_owned()])
    );
    assert!(data.join("new").exists() && data.join("link").exists() && precious.exists());
    assert!(!data.join("old").exists() && !data.join("deep/er/oldest").exists());
    // A declared directory that a link leads out of the project is not looked at, let alone cleaned.
    let linked = || OwnCheck::Storage(Storage { paths: vec![data.join("link")], ..storage(Some(Keep::Newest(1))) });
    let trouble = bench.look(linked()).await.unwrap_err().to_string();
    assert!(trouble.contains("a symbolic link leads there, which is not followed"), "{trouble}");
    assert!(matches!(bench.fix(linked(), Fix::Clean).await.outcome, HookOutcome::Failed(_)));
    let away =
        || OwnCheck::Storage(Storage { paths: vec![outside.path().to_owned()], ..storage(Some(Keep::For(LONG))) });
    assert!(bench.look(away()).await.is_err());
    assert!(matches!(bench.fix(away(), Fix::Clean).await.outcome, HookOutcome::Failed(_)));
    assert!(precious.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn freshness_is_that_of_a_file_a_sqlite_query_or_a_page() {
    let mut bench = Bench::new().await;
    let root = bench.path().to_owned();
    fs::create_dir(root.join("exports")).unwrap();
    fs::write(root.join("exports/a.csv"), "a").unwrap();
    fs::write(root.join("exports/b.csv"), "b").unwrap();
    aged(&root.join("exports/a.csv"), 900);
    aged(&root.join("exports/b.csv"), 300);
    let database = root.join("shop.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute_batch("create table orders(at text); insert into orders values (datetime('now', '-10 minutes')), (datetime('now', '-1 hour'));")
        .unwrap();
    let port = serve(Router::new().route(
        "/last",
        get(|| async {
            "{\"orders\": [{\"created_at\": \"2020-01-01T00:00:00Z\"}], \"none\": null, \"word\": \"soon\"}"
        }),
    ))
    .await;
    let sqlite = |query: &str| OwnCheck::Fresh(FreshOf::Sqlite { file: database.clone(), query: query.to_owned() });
    let page = |pointer: &str| {
        OwnCheck::Fresh(FreshOf::Http { target: at(port), path: "/last".to_owned(), pointer: pointer.to_owned() })
    };
    for (check, least, most) in [
        (OwnCheck::Fresh(FreshOf::File(root.join("exports/a.csv"))), 890.0, 1000.0),
        (OwnCheck::Fresh(FreshOf::File(root.join("exports"))), 290.0, 400.0),
        (sqlite("select max(at) from orders"), 590.0, 700.0),
        (sqlite("select unixepoch() - 60"), 50.0, 160.0),
        (page("/orders/0/created_at"), 6.0 * 365.0 * DAY, 100.0 * 365.0 * DAY),
    ] {
        let reading = bench.look(check).await;
        let age = figure(&reading, figures::AGE);
        assert!((least..most).contains(&age.value), "{age:?}");
    }
    let empty = bench.look(sqlite("select max(at) from orders where at is null")).await.unwrap();
    assert_eq!(empty.remarks[0].grade, Grade::Critical);
    assert_eq!(bench.look(page("/none")).await.unwrap().remarks[0].check, "no-data");
    for (check, said) in [
        (sqlite("insert into orders values ('x')"), "readonly"),
        (sqlite("select * from absent"), "no such table"),
        (page("/word"), "which is no time"),
        (page("/absent"), "has nothing at /absent"),
        (OwnCheck::Fresh(FreshOf::File(root.join("absent"))), "there is no "),
    ] {
        let trouble = bench.look(check).await.unwrap_err().to_string();
        assert!(trouble.contains(said), "{trouble}");
    }
    // A query without an end is ended with its look.
    let endless = sqlite("with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n");
    let own = Own { check: endless, mending: None };
    let exam = Arc::new(Exam {
        name: "endless".to_owned(),
        subject: Subject::Own(Arc::new(own)),
        interval: LONG,
        timeout: Duration::from_millis(300),
        rules: Vec::new(),
    });
    bench.rig.world.perform(Effect::Examine(ExamRound { run: bench.run, round: 999, exam }));
    let result = bench
        .rig
        .event("it is cut off", |event| match event {
            Event::Examined { round: 999, result, .. } => Some(result.clone()),
            _ => None,
        })
        .await;
    assert!(
        matches!(&result, Err(Trouble::Unreachable(why)) if why.contains("was not answered within 300 ms")),
        "{result:?}"
    );
}

/// A `PostgreSQL` of one's own, which does not run as root.
fn postgres() -> Server {
    let place = dir();
    let user = Command::new("id").args(["-u", "postgres"]).output().unwrap();
    let user = String::from_utf8(user.stdout).unwrap().trim().to_owned();
    assert!(!user.is_empty(), "there is no user postgres: apt-get install postgresql (make test does it)");
    let as_postgres = |command: &Path| {
        let mut all = Command::new("setpriv");
        all.args([&format!("--reuid={user}"), "--clear-groups"]).arg(command);
        all
    };
    assert!(Command::new("chown").arg(&user).arg(place.path()).status().unwrap().success());
    let data = place.path().join("data");
    let made = as_postgres(&program("initdb", "postgresql"))
        .args(["--auth=trust", "--username=shop", "--no-sync", "-D"])
        .arg(&data)
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = free_port();
    let mut command = as_postgres(&program("postgres", "postgresql"));
    command.args(["-D", &data.display().to_string(), "-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
    command.arg0("setpriv");
    Server::start_with(place, port, &mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn freshness_and_depth_are_those_of_a_query_of_postgresql_that_can_only_read() {
    let server = postgres();
    let mut bench = Bench::new().await;
    let target = Target { user: Some("shop".to_owned()), path: "postgres".to_owned(), ..server.target() };
    let fresh = |query: &str| OwnCheck::Fresh(FreshOf::Postgres { target: target.clone(), query: query.to_owned() });
    let psql = program("psql", "postgresql-client");
    let port = server.port.to_string();
    eventually_async("PostgreSQL serves", || async {
        let words = ["-h", "127.0.0.1", "-p", &port, "-U", "shop", "-d", "postgres", "-c", "select 1"];
        Command::new(&psql).args(words).output().unwrap().status.success()
    })
    .await;
    let reading = bench.look(fresh("select now() - interval '10 minutes'")).await;
    let age = figure(&reading, figures::AGE);
    assert!((599.0..700.0).contains(&age.value), "{age:?}; {}", server.output());
    let reading = bench.look(fresh("select extract(epoch from now()) - 60")).await;
    assert!((59.0..160.0).contains(&figure(&reading, figures::AGE).value), "{reading:?}");
    assert_eq!(bench.look(fresh("select null::timestamptz")).await.unwrap().remarks[0].check, "no-data");
    for (query, said) in [
        ("create table t(a int)", "read-only transaction (25006)"),
        ("select nonsense", "does not exist (42703)"),
        ("select 'soon'", "which is no time"),
    ] {
        let trouble = bench.look(fresh(query)).await.unwrap_err().to_string();
        assert!(trouble.contains(said), "{trouble}");
    }
    let queue = |query: &str| OwnCheck::Queue(QueueOf::Postgres { target: target.clone(), query: query.to_owned() });
    let reading = bench.look(queue("select 17, now() - interval '5 minutes'")).await;
    assert_eq!(figure(&reading, figures::DEPTH).value as u64, 17);
    assert!((299.0..400.0).contains(&figure(&reading, figures::OLDEST).value), "{reading:?}");
    let stranger = Target { user: Some("nobody".to_owned()), ..target.clone() };
    let refused =
        bench.look(OwnCheck::Fresh(FreshOf::Postgres { target: stranger, query: "select 1".to_owned() })).await;
    assert!(matches!(&refused, Err(Trouble::Refused(why)) if why.contains("28000")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_tells_its_depth_and_age_in_redis_and_in_a_directory() {
    let server = redis(&["--requirepass", "pw"]);
    let mut bench = Bench::new().await;
    let put = |words: &[&str]| cli(&server, &[&["-a", "pw", "--no-auth-warning"], words].concat());
    eventually_async("redis serves", || async { put(&["ping"]) == "PONG" }).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for age in [500, 300, 100] {
        put(&["lpush", "mail", &format!("{{\"class\": \"Mail\", \"enqueued_at\": {}}}", now - age)]);
    }
    put(&["xadd", "events", &format!("{}-0", (now - 200) * 1000), "a", "1"]);
    put(&["zadd", "later", "1", "x"]);
    put(&["set", "word", "x"]);
    let target = Target { password: Some(Hidden("pw".to_owned())), ..server.target() };
    let queue = |key: &str| OwnCheck::Queue(QueueOf::Redis { target: target.clone(), key: key.to_owned() });
    for (key, depth, oldest) in
        [("mail", 3, Some(500.0)), ("events", 1, Some(200.0)), ("later", 1, None), ("absent", 0, Some(0.0))]
    {
        let reading = bench.look(queue(key)).await;
        assert_eq!(figure(&reading, figures::DEPTH).value as u64, depth, "{key}");
        match oldest {
            Some(oldest) => assert!((figure(&reading, figures::OLDEST).value - oldest).abs() < 90.0, "{reading:?}"),
            None => assert_eq!(reading.unwrap().measures.len(), 1),
        }
    }
    let word = bench.look(queue("word")).await.unwrap_err().to_string();
    assert!(word.contains("has a string at word, which is no queue"), "{word}");
    let refused = bench.look(OwnCheck::Queue(QueueOf::Redis { target: server.target(), key: "mail".to_owned() })).await;
    assert!(matches!(&refused, Err(Trouble::Refused(why)) if why.contains("NOAUTH")), "{refused:?}");
    let spool = bench.path().join("spool");
    fs::create_dir_all(spool.join("done")).unwrap();
    for (name, age) in [("a", 400), ("b", 100)] {
        fs::write(spool.join(name), "").unwrap();
        aged(&spool.join(name), age);
    }
    let reading = bench.look(OwnCheck::Queue(QueueOf::Dir(spool))).await;
    assert_eq!(figure(&reading, figures::DEPTH).value as u64, 2);
    assert!((figure(&reading, figures::OLDEST).value - 400.0).abs() < 90.0, "{reading:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gives_any_other_figure_and_mends_it_as_the_service() {
    let mut bench = Bench::new().await;
    let look = |line: &str| OwnCheck::Figure(shell(line));
    let reading = bench.look(look("echo '{\"value\": 3, \"limit\": 10}'")).await;
    let value = figure(&reading, figures::VALUE);
    assert_eq!((value.value as u64, value.limit), (3, Some(10.0)));
    for (line, said) in [
        ("echo none", "prints neither a number"),
        ("echo broken >&2; exit 3", "exit status: 3: broken"),
        ("seq 100000", "wrote more than 4 KiB"),
    ] {
        let trouble = bench.look(look(line)).await.unwrap_err().to_string();
        assert!(trouble.contains(said), "{trouble}");
    }
    let mend = Fix::Run(shell("echo mended; test -n \"$API_TOKEN\" && echo \"$CAS_SERVICE\" > mended"));
    let result = bench.fix(look("echo 1"), mend).await;
    assert_eq!((result.outcome, result.output), (HookOutcome::Passed, vec!["mended".to_owned()]));
    assert_eq!(fs::read_to_string(bench.path().join("mended")).unwrap(), "test/web\n");
    let result = bench.fix(look("echo 1"), Fix::Run(shell("echo no luck; exit 4"))).await;
    assert_eq!(
        (result.outcome, result.output),
        (HookOutcome::Failed("exit status: 4".to_owned()), vec!["no luck".to_owned()])
    );
}

const YAML: &str = r#"
services:
  web:
    command: sleep 1000
    readiness: {exec: "test -e depth || true"}
    checks:
      mails: {exec: cat depth, critical: 5, every: 1s, cooldown: 1s, fix: "echo 0 > depth; echo drained for $$CAS_SERVICE"}
"#;

#[test]
fn the_program_names_a_dishonest_probe_and_mends_what_a_check_of_ones_own_finds() {
    let place = dir();
    let project = place.path().join("shop");
    fs::create_dir(&project).unwrap();
    fs::create_dir(place.path().join("config")).unwrap();
    fs::write(project.join("cas.yaml"), YAML).unwrap();
    fs::write(project.join("depth"), "17\n").unwrap();
    let cas = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cas"));
        command.args(args).current_dir(&project).stdin(std::process::Stdio::null());
        for (name, directory) in [("STATE", "state"), ("RUNTIME", "run"), ("CONFIG", "config")] {
            command.env(format!("CAS_{name}_DIR"), place.path().join(directory));
        }
        command
    };
    let said = |args: &[&str]| {
        let output = cas(args).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    for verb in ["check", "explain"] {
        let text = said(&[verb]);
        assert!(text.contains("`|| true` at its end makes it end with 0 whatever comes before"), "{verb}: {text}");
        assert!(text.contains("leave that out: test -e depth"), "{verb}: {text}");
    }
    let mut engine = cas(&["up", "--no-tui", "web"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut events = String::new();
    crate::support::eventually("it is mended and judged", || {
        events = said(&["events"]);
        events.contains("well again")
    });
    let _ended = Command::new("kill").arg(engine.id().to_string()).status();
    let _status = engine.wait();
    for told in ["remedy: mails: echo 0 > depth", "drained for shop/web", "ended well"] {
        assert!(events.contains(told), "{told:?} is not in\n{events}");
    }
    assert_eq!(fs::read_to_string(project.join("depth")).unwrap(), "0\n");
}
