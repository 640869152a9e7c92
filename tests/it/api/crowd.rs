//! Many at once, garbage, and those who drip: everybody is served or refused cleanly, and nobody else waits.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use cas::{
    api::server::{self, ServeOptions},
    model::snapshot::Snapshot,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    task::JoinSet,
};

use super::stage::{curl, showing, take};
use crate::support::{eventually, eventually_async};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_crowd_that_stays_as_many_are_served_as_there_are_seats_and_the_others_are_told() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(Snapshot::default());
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    let mut crowd = JoinSet::new();
    for _ in 0..200 {
        let socket = socket.clone();
        crowd.spawn(async move {
            let mut stream = UnixStream::connect(&socket).await.unwrap();
            // Whoever is turned away may be so before it has asked.
            let _turned_away = stream.write_all(b"GET /v1/snapshots HTTP/1.1\r\nhost: cas\r\n\r\n").await;
            let mut said = [0; 12];
            stream.read_exact(&mut said).await.unwrap();
            (String::from_utf8_lossy(&said).into_owned(), stream)
        });
    }
    let crowd = crowd.join_all().await;
    let count = |status: &str| crowd.iter().filter(|(said, _)| said.ends_with(status)).count();
    assert_eq!((count("200"), count("503")), (128, 72));
    let turned_away = curl(&socket, "GET", "/v1", &[], b"").await;
    assert!(turned_away.status == 503 && turned_away.sentence().contains("too many clients"), "{turned_away:?}");
    drop(crowd);
    eventually_async("there are seats again", || async { curl(&socket, "GET", "/v1", &[], b"").await.status == 200 })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_that_ask_at_once_are_all_answered() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(Snapshot { revision: 7, ..Snapshot::default() });
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    for _ in 0..10 {
        let mut crowd = JoinSet::new();
        for _ in 0..100 {
            let socket = socket.clone();
            crowd.spawn(async move { curl(&socket, "GET", "/v1/snapshot", &[], b"").await });
        }
        for said in crowd.join_all().await {
            assert_eq!((said.status, said.json()["revision"].clone()), (200, 7.into()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_drips_are_refused_or_closed_and_others_are_served_meanwhile() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(Snapshot::default());
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    let mut dripping = Vec::new();
    for head in [&b"GET /v1 HT"[..], b"POST /v1/requests HTTP/1.1\r\ncontent-length: 100\r\n\r\n{", b""] {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        stream.write_all(head).await.unwrap();
        dripping.push(stream);
    }
    let mut random = fastrand::Rng::with_seed(43);
    for round in 0..200 {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        let mut garbage: Vec<u8> = (0..random.usize(1..2000)).map(|_| random.u8(..)).collect();
        if round % 2 == 0 {
            garbage.splice(0..0, *b"GET /v1/");
        }
        garbage.extend_from_slice(b"\r\n\r\n");
        let _closed_early = stream.write_all(&garbage).await;
        let _closed = stream.shutdown().await;
        let mut said = Vec::new();
        let _closed = stream.read_to_end(&mut said).await;
        assert!(said.is_empty() || said.starts_with(b"HTTP/1."), "round {round}: {said:?}");
    }
    let head = format!("x: {}", "y".repeat(128 * 1024));
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    let _refused_early = stream.write_all(format!("GET /v1 HTTP/1.0\r\n{head}\r\n\r\n").as_bytes()).await;
    let mut said = Vec::new();
    let _closed = stream.read_to_end(&mut said).await;
    assert!(said.starts_with(b"HTTP/1.0 431") || said.starts_with(b"HTTP/1.1 431") || said.is_empty(), "{said:?}");
    assert_eq!(curl(&socket, "GET", "/v1", &[], b"").await.status, 200);
    // A head that does not come to its end is not waited for; hyper may say so (408) before it closes.
    let mut said = Vec::new();
    let _closed = dripping[0].read_to_end(&mut said).await;
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_hundred_requests_a_second_on_one_connection_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(Snapshot::default());
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    let asks = "GET /v1 HTTP/1.1\r\nhost: cas\r\n\r\n".repeat(299)
        + "GET /v1 HTTP/1.1\r\nhost: cas\r\nconnection: close\r\n\r\n";
    stream.write_all(asks.as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    let (served, refused) = (said.matches("HTTP/1.1 200").count(), said.matches("HTTP/1.1 429").count());
    assert_eq!(served + refused, 300);
    assert!((100..300).contains(&served), "{served}");
    assert_eq!(curl(&socket, "GET", "/v1", &[], b"").await.status, 200, "another connection is not meant");
}

/// A cas of its own with few descriptors; killed when dropped.
struct Small {
    process: std::process::Child,
    socket: PathBuf,
}

impl Small {
    fn start(home: &Path) -> Self {
        std::fs::write(home.join("cas.yaml"), "name: shop\nservices:\n  web: {command: [sleep, '1000']}\n").unwrap();
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "ulimit -n 64; exec \"$0\" up --no-tui"]).arg(env!("CARGO_BIN_EXE_cas"));
        for name in ["CAS_STATE_DIR", "CAS_RUNTIME_DIR", "CAS_CONFIG_DIR"] {
            command.env(name, home.join(name.to_lowercase()));
        }
        command.current_dir(home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let process = command.spawn().unwrap();
        let paths = cas::config::paths::Paths::from_lookup(|name| {
            name.starts_with("CAS_").then(|| home.join(name.to_lowercase()))
        });
        let socket = paths.socket(home);
        eventually("it listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        Self { process, socket }
    }

    /// Seconds of CPU that it has used, in ticks.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Asked first, so that it takes its services with it.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _asked = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        eventually("it has ended", || self.process.try_wait().unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_descriptors_refuses_and_does_not_spin() {
    let home = tempfile::tempdir().unwrap();
    let small = Small::start(home.path());
    // Until then it needs descriptors of its own.
    eventually_async("its service runs", || async {
        curl(&small.socket, "GET", "/v1/services", &[], b"").await.body.contains(r#""running""#)
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut stream = UnixStream::connect(&small.socket).await.unwrap();
        let _turned_away = stream.write_all(b"GET /v1/snapshots HTTP/1.1\r\nhost: cas\r\n\r\n").await;
        held.push(stream);
    }
    let mut refused = 0;
    for stream in &mut held {
        let mut said = [0; 12];
        if tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut said))
            .await
            .is_ok_and(|read| read.is_ok())
        {
            refused += usize::from(said.ends_with(b"503"));
        }
    }
    assert!(refused > 150, "{refused}");
    let before = small.ticks();
    let begin = tokio::time::Instant::now();
    eventually_async("two seconds have passed", || async { begin.elapsed() > Duration::from_secs(2) }).await;
    let used = small.ticks() - before;
    assert!(used < 100, "{used} ticks in two seconds");
    drop(held);
    eventually_async("it serves again", || async {
        match tokio::time::timeout(Duration::from_secs(5), curl_or_none(&small.socket)).await {
            Ok(said) => said.starts_with("HTTP/1.0 200"),
            Err(_) => false,
        }
    })
    .await;
}

async fn curl_or_none(socket: &Path) -> String {
    let Ok(mut stream) = UnixStream::connect(socket).await else { return String::new() };
    let _refused = stream.write_all(b"GET /v1 HTTP/1.0\r\n\r\n").await;
    let mut said = Vec::new();
    let _closed = stream.read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).into_owned()
}
