//! Probes against real commands and real servers on loopback.

use std::{sync::Arc, time::Duration};

use cas::model::{
    ids::RunId,
    probe::{Check, ProbeOutcome},
    service::CommandLine,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    process::rig::{Rig, kill_group, living_with},
    support::eventually_async,
};

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(150);

fn exec(line: &str) -> Check {
    Check::Exec(CommandLine::Shell(line.to_owned()))
}

fn get(url: String) -> Check {
    Check::Http { url, status: None }
}

fn failed(text: &str) -> ProbeOutcome {
    ProbeOutcome::Failed(text.to_owned())
}

fn broken(text: &str) -> ProbeOutcome {
    ProbeOutcome::Broken(text.to_owned())
}

/// A rig with one quiet service.
async fn rig() -> (Rig, RunId) {
    let mut rig = Rig::new();
    let mut spec = rig.spec("web", CommandLine::Argv(vec!["sleep".to_owned(), "1000".to_owned()]));
    let mark = rig.path().display().to_string();
    spec.environment.insert("MARK".to_owned(), mark);
    let run = rig.start_spec(spec);
    rig.spawned(run).await;
    (rig, run)
}

/// Serves every connection with `serve`, which gets the path that was asked for; the port.
async fn server<F>(serve: impl Fn(TcpStream, String) -> F + Send + Sync + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let serve = Arc::clone(&serve);
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let length = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or("").to_owned();
                serve(stream, path).await;
            });
        }
    });
    port
}

/// A server that gives the same answer to everything.
async fn answering(answer: &'static str) -> u16 {
    server(move |mut stream, _| async move {
        let _gone = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

/// A port on which nothing listens.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("it is bound").port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_judged_by_its_exit_code_and_quoted() {
    let (mut rig, run) = rig().await;
    assert_eq!(rig.probe(run, exec("exit 0"), LONG).await, ProbeOutcome::Passed);
    assert_eq!(
        rig.probe(run, exec("echo; echo first; echo '\x1b[31mno luck\x1b[0m' >&2; exit 3"), LONG).await,
        failed("exit code 3: no luck")
    );
    assert_eq!(rig.probe(run, exec("exit 3"), LONG).await, failed("exit code 3"));
    assert_eq!(rig.probe(run, exec("kill -9 $$"), LONG).await, failed("ended by SIGKILL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_where_and_as_the_service_does() {
    let (mut rig, run) = rig().await;
    std::fs::write(rig.path().join("here"), "").expect("the directory is ours");
    assert_eq!(
        rig.probe(run, exec("test -f here && test -n \"$MARK\" && test \"$CAS_SERVICE\" = test/web"), LONG).await,
        ProbeOutcome::Passed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_missing_is_broken_and_not_failed() {
    let (mut rig, run) = rig().await;
    let argv = Check::Exec(CommandLine::Argv(vec!["./healthcheck".to_owned()]));
    let directory = rig.path().display().to_string();
    assert_eq!(
        rig.probe(run, argv, LONG).await,
        broken(&format!("no such program: ./healthcheck (looked in {directory})"))
    );
    let outcome = rig.probe(run, exec("curll -f http://localhost/"), LONG).await;
    let ProbeOutcome::Broken(why) = outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("its command was not found: ") && why.contains("curll"), "{why}");
    let outcome = rig.probe(run, exec(": > script; ./script"), LONG).await;
    assert!(
        matches!(&outcome, ProbeOutcome::Broken(why) if why.starts_with("its command cannot be executed: ")),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hangs_fails_in_time_and_leaves_nothing() {
    let (mut rig, run) = rig().await;
    let mark = format!("MARK={}", rig.path().display());
    assert_eq!(living_with(&mark).len(), 1, "the service");
    for _ in 0..20 {
        // Ignores TERM, and has a detached child and one in the background, all of which hold the pipe.
        let hangs = exec("trap '' TERM; setsid -f sleep 999; sleep 999 & sleep 999");
        assert_eq!(rig.probe(run, hangs, SHORT).await, failed("no answer within 150 ms; it was ended"));
        assert_eq!(living_with(&mark).len(), 1);
    }
    for _ in 0..80 {
        let leaves = exec("sleep 999 & setsid -f sleep 999; exit 0");
        assert_eq!(rig.probe(run, leaves, LONG).await, ProbeOutcome::Passed);
        assert_eq!(living_with(&mark).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_floods_is_not_held_up() {
    let (mut rig, run) = rig().await;
    assert_eq!(rig.probe(run, exec("seq 200000; exit 1"), LONG).await, failed("exit code 1: 200000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_torn_down_when_their_run_ends() {
    let (mut rig, run) = rig().await;
    let mark = format!("MARK={}", rig.path().display());
    let round = rig.ask(run, exec("sleep 999"), LONG);
    eventually_async("service and probe run", || async { living_with(&mark).len() >= 2 }).await;
    kill_group(rig.world.runs()[0].1);
    assert_eq!(rig.exited(run).await.leftover, 0, "a probe is no part of the run");
    eventually_async("nothing runs", || async { living_with(&mark).is_empty() }).await;
    let next = rig.start("exit 0");
    rig.exited(next).await;
    assert!(round > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_judged_by_status() {
    let (mut rig, run) = rig().await;
    let port = server(|mut stream, path| async move {
        let status = path.trim_start_matches('/');
        let answer = format!("HTTP/1.1 {status} Word\r\nContent-Length: 22\r\n\r\n\n\x1b[1mdatabase is gone\r\n!");
        let _gone = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let url = |status: u16| format!("http://localhost:{port}/{status}");
    assert_eq!(rig.probe(run, get(url(200)), LONG).await, ProbeOutcome::Passed);
    assert_eq!(rig.probe(run, get(url(304)), LONG).await, ProbeOutcome::Passed);
    let text = format!("status 500 Internal Server Error from {}: database is gone", url(500));
    assert_eq!(rig.probe(run, get(url(500)), LONG).await, failed(&text));
    let named = |status, wanted| Check::Http { url: url(status), status: Some(wanted) };
    assert_eq!(rig.probe(run, named(404, 404), LONG).await, ProbeOutcome::Passed);
    let text = format!("status 200 OK, expected 204 from {}: database is gone", url(200));
    assert_eq!(rig.probe(run, named(200, 204), LONG).await, failed(&text));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_five_times() {
    let (mut rig, run) = rig().await;
    let port = server(|mut stream, path| async move {
        let left: u32 = path.trim_start_matches('/').parse().unwrap_or(0);
        let answer = match left {
            0 => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            _ => format!("HTTP/1.1 302 Found\r\nLocation: /{}\r\nContent-Length: 0\r\n\r\n", left - 1),
        };
        let _gone = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let url = |left: u32| format!("http://127.0.0.1:{port}/{left}");
    assert_eq!(rig.probe(run, get(url(5)), LONG).await, ProbeOutcome::Passed);
    assert_eq!(
        rig.probe(run, get(url(6)), LONG).await,
        failed(&format!("more than 5 redirects, the last to {}", url(0)))
    );
    let named = Check::Http { url: url(1), status: Some(302) };
    assert_eq!(rig.probe(run, named, LONG).await, ProbeOutcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_fails_in_plain_words() {
    let (mut rig, run) = rig().await;
    let port = free_port().await;
    let outcome = rig.probe(run, get(format!("http://127.0.0.1:{port}/")), LONG).await;
    assert_eq!(outcome, failed(&format!("connection refused: nothing listens on 127.0.0.1:{port}")));

    let port = server(|stream, _| async move {
        tokio::time::sleep(LONG).await;
        drop(stream);
    })
    .await;
    let url = format!("http://127.0.0.1:{port}/");
    let round = rig.ask(run, get(url.clone()), SHORT);
    let (outcome, took) = rig.probed(round).await;
    assert_eq!(outcome, failed(&format!("no answer from {url} within 150 ms")));
    assert!(took >= SHORT, "{took:?}");

    let port = server(|stream, _| async move { drop(stream) }).await;
    let outcome = rig.probe(run, get(format!("http://127.0.0.1:{port}/")), LONG).await;
    assert_eq!(outcome, failed(&format!("127.0.0.1:{port} closed the connection without an answer")));

    let port = answering("220 mail.example ESMTP\r\n").await;
    let outcome = rig.probe(run, get(format!("http://127.0.0.1:{port}/")), LONG).await;
    assert!(
        matches!(&outcome, ProbeOutcome::Failed(why) if why.starts_with("no usable HTTP answer from ")),
        "{outcome:?}"
    );

    let outcome = rig.probe(run, get("http://no-such-host.invalid/".to_owned()), LONG).await;
    assert_eq!(outcome, failed("host no-such-host.invalid cannot be found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_trickles_is_judged_by_what_it_said_first() {
    let (mut rig, run) = rig().await;
    let port = server(|mut stream, path| async move {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        if path == "/body" {
            let _gone = stream.write_all(whole.as_bytes()).await;
        }
        for byte in whole.bytes().cycle() {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(rig.probe(run, get(format!("http://127.0.0.1:{port}/body")), LONG).await, ProbeOutcome::Passed);
    let url = format!("http://127.0.0.1:{port}/head");
    assert_eq!(rig.probe(run, get(url.clone()), SHORT).await, failed(&format!("no answer from {url} within 150 ms")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_url_is_broken() {
    let (mut rig, run) = rig().await;
    for url in ["localhost:8080/health", "ftp://localhost/", "http://", "http://[::1/", "", "http://localhost:99999/"] {
        let outcome = rig.probe(run, get(url.to_owned()), LONG).await;
        assert!(matches!(&outcome, ProbeOutcome::Broken(why) if why.starts_with(url)), "{url}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_is_not_there_is_told_as_such() {
    let (mut rig, run) = rig().await;
    let port = answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let outcome = rig.probe(run, get(format!("https://127.0.0.1:{port}/")), LONG).await;
    assert_eq!(outcome, failed(&format!("TLS with 127.0.0.1:{port} failed: it does not speak TLS (is it http:// ?)")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_keeps_no_connection() {
    let (mut rig, run) = rig().await;
    let (sender, mut hung_up) = tokio::sync::mpsc::channel(1);
    let port = server(move |mut stream, _| {
        let sender = sender.clone();
        async move {
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            let mut rest = [0];
            let _received = sender.send(stream.read(&mut rest).await.unwrap_or(0)).await;
        }
    })
    .await;
    for _ in 0..10 {
        assert_eq!(rig.probe(run, get(format!("http://127.0.0.1:{port}/")), LONG).await, ProbeOutcome::Passed);
        assert_eq!(tokio::time::timeout(LONG, hung_up.recv()).await, Ok(Some(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_passes_where_any_address_accepts() {
    let (mut rig, run) = rig().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let tcp = |host: &str, port| Check::Tcp { host: host.to_owned(), port };
    assert_eq!(rig.probe(run, tcp("localhost", port), SECOND).await, ProbeOutcome::Passed);
    drop(listener);
    let outcome = rig.probe(run, tcp("localhost", port), SECOND).await;
    assert_eq!(outcome, failed(&format!("connection refused: nothing listens on localhost:{port}")));
    let outcome = rig.probe(run, tcp("no-such-host.invalid", 1), LONG).await;
    assert!(
        matches!(&outcome, ProbeOutcome::Failed(why) if why.starts_with("host no-such-host.invalid cannot be found")),
        "{outcome:?}"
    );
    assert!(matches!(rig.probe(run, tcp("", 80), SECOND).await, ProbeOutcome::Broken(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_probe_passes_once_the_line_has_come() {
    let mut rig = Rig::new();
    let run = rig.start("mkfifo gate; echo waiting; read line < gate; echo ready to serve; sleep 1000");
    rig.line("waiting").await;
    let ready = || Check::Log { pattern: "ready".to_owned() };
    let outcome = rig.probe(run, ready(), SECOND).await;
    assert_eq!(outcome, failed("no line of the output matched /ready/ yet"));
    let outcome = rig.probe(run, Check::Log { pattern: "(".to_owned() }, SECOND).await;
    assert!(matches!(outcome, ProbeOutcome::Broken(_)), "{outcome:?}");
    std::fs::write(rig.path().join("gate"), "go\n").expect("the service reads it");
    rig.line("ready to serve").await;
    assert_eq!(rig.probe(run, ready(), SECOND).await, ProbeOutcome::Passed);
}
