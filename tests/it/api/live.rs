//! The live feed and terminals: `WebSocket`s.

use std::sync::Arc;

use cas::{
    api::{
        self,
        server::{self, ServeOptions, read_only_path},
        wire::VERSION,
    },
    host::handle::{Call, Handle, Link, LogFeed, TtyInput},
    model::{
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::{LogBatch, LogLine, Source, Stream},
        snapshot::Snapshot,
    },
    world::clock,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::stage::{Stage, take};
use crate::support::eventually_async;

/// Opens a WebSocket by hand; the status where it is refused.
async fn open(socket: &std::path::Path, path: &str) -> Result<WebSocketStream<UnixStream>, u16> {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: cas\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-cas-api: {VERSION}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(stream.read_u8().await.unwrap());
    }
    let said = String::from_utf8(said).unwrap();
    match said.split(' ').nth(1).unwrap().parse().unwrap() {
        101 => Ok(WebSocketStream::from_raw_socket(stream, Role::Client, None).await),
        status => Err(status),
    }
}

async fn news(socket: &mut WebSocketStream<UnixStream>) -> Value {
    loop {
        match socket.next().await.expect("it goes on").unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other @ (Message::Binary(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => {
                panic!("{other:?}")
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_feed_has_the_picture_what_happens_output_and_replies() {
    let stage = Stage::with(
        "  web: {shell: 'echo hello; exec sleep 1000'}\n  other: {shell: 'while :; do echo other; sleep 0.05; done', autostart: true}\n",
    );
    let mut socket = open(&stage.socket, "/v1/live?logs=shop/web").await.unwrap();
    let first = news(&mut socket).await;
    assert_eq!(
        (first["type"].clone(), first["snapshot"]["services"][0]["phase"]["name"].clone()),
        ("snapshot".into(), "stopped".into())
    );
    let ask = json!({"id": 41, "command": "start", "services": ["web"]});
    socket.send(Message::Text(ask.to_string().into())).await.unwrap();
    socket.send(Message::Text(json!({"id": 42, "command": "explode"}).to_string().into())).await.unwrap();
    socket.send(Message::Text("garbage".into())).await.unwrap();
    let (mut replied, mut refused, mut output, mut started, mut running) = (false, Vec::new(), false, 0, false);
    while !(replied && refused.len() == 2 && output && started == 1 && running) {
        let said = news(&mut socket).await;
        match said["type"].as_str().unwrap() {
            "reply" => {
                assert_eq!((said["id"].clone(), said["reply"]["reply"].clone()), (41.into(), "accepted".into()));
                replied = true;
            }
            "refused" => refused.push(said["id"].clone()),
            "logs" => {
                assert_eq!(said["batch"]["service"]["service"], "web", "of one service only");
                output |= said["batch"]["lines"][0]["text"] == "hello";
            }
            "entries" => {
                let entries = said["entries"].as_array().unwrap();
                started += entries
                    .iter()
                    .filter(|entry| entry["what"]["what"] == "started" && entry["service"] == "web")
                    .count();
            }
            "snapshot" => running |= said["snapshot"]["services"][0]["phase"]["name"] == "running",
            other => panic!("{other}: {said}"),
        }
    }
    assert_eq!(refused, [json!(42), json!(null)]);
    socket.send(Message::Ping(vec![7].into())).await.unwrap();
    loop {
        if let Message::Pong(bytes) = socket.next().await.unwrap().unwrap() {
            assert_eq!(&bytes[..], [7]);
            break;
        }
    }
    assert_eq!(open(&stage.socket, "/v1/live?logs=nobody").await.unwrap_err(), 400);

    let mut looking = open(&read_only_path(&stage.socket), "/v1/live").await.unwrap();
    let stop = json!({"id": 1, "command": "stop", "services": ["web"]});
    looking.send(Message::Text(stop.to_string().into())).await.unwrap();
    loop {
        let said = news(&mut looking).await;
        if said["type"] == "refused" {
            assert!(said["error"].as_str().unwrap().contains("only shows"), "{said}");
            break;
        }
    }
    assert_eq!(stage.picture().await["services"][0]["phase"]["name"], "running");
    stage.leave().await;
}

/// An engine whose output and terminal a test plays.
fn played() -> (Handle, watch::Sender<Arc<Snapshot>>, mpsc::Receiver<Call>, watch::Sender<Link>) {
    let (calls, door) = mpsc::channel(8);
    let (snapshots, pictures) = watch::channel(Arc::new(Snapshot::default()));
    let (link, linked) = watch::channel(Link::Local);
    (Handle { calls, snapshots: pictures, logs: LogFeed::new(), link: linked }, snapshots, door, link)
}

fn web() -> ServiceId {
    ServiceId { project: ProjectName::new("p").unwrap(), service: ServiceName::new("web").unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_too_slowly_is_told_and_one_that_does_not_read_is_let_go() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("one.sock");
    let (handle, _pictures, _door, _link) = played();
    let logs = handle.logs.clone();
    let _server =
        server::serve(take(&path), handle, ServeOptions { read_only_socket: false, ..ServeOptions::default() })
            .unwrap();
    let mut slow = open(&path, "/v1/live?logs=*").await.unwrap();
    assert_eq!(news(&mut slow).await["type"], "snapshot");
    let batch = |first_seq| {
        let text = "x".repeat(1 << 16).into_boxed_str();
        let lines = Box::new([LogLine { start: 0, len: 1 << 16, stream: Stream::Stdout, continued: false }]);
        Arc::new(LogBatch { service: web(), source: Source::Output, run: RunId(1), wall_us: 1, first_seq, text, lines })
    };
    // Far more than a socket and the feed hold.
    for seq in 0..2000 {
        logs.publish(batch(seq));
    }
    // Each time that it falls behind again it is told again.
    let mut missed = 0;
    while missed <= 1000 {
        let said = news(&mut slow).await;
        if said["type"] == "gap" {
            missed += said["missed"].as_u64().unwrap();
        } else {
            assert_eq!(said["type"], "logs", "only {missed} are said to be missed");
        }
    }
    // It stops reading altogether, and is let go within seconds: the service and others never wait for it.
    for seq in 2000..4000 {
        logs.publish(batch(seq));
    }
    eventually_async("its seat is free again", || async { seats(&path).await == 1 }).await;
    drop(slow);
}

/// Connections that the engine counts, this one included; its other parts do not answer here, which it says.
async fn seats(path: &std::path::Path) -> u64 {
    super::stage::curl(path, "GET", "/v1/daemon", &[], b"").await.json()["clients"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_attached_to_over_the_socket_and_left_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("one.sock");
    let stage = Stage::with("  web: {command: [sleep, '1000']}\n");
    let picture = stage.host.handle.snapshot();
    let mut pictures = stage.host.handle.snapshots.clone();
    let picture = if picture.services.is_empty() {
        Arc::clone(&*pictures.wait_for(|picture| !picture.services.is_empty()).await.unwrap())
    } else {
        picture
    };
    stage.leave().await;
    let (handle, pictures, mut door, _link) = played();
    pictures.send_replace(picture);
    let _server = server::serve(take(&path), handle, ServeOptions::default()).unwrap();
    // An engine whose terminals write back what is typed, and say their size.
    let engine = tokio::spawn(async move {
        let mut attached = 0;
        while let Some(call) = door.recv().await {
            if let Call::Tty { mut input, output, answer, service } = call {
                attached += 1;
                if attached > 1 {
                    answer.send(Err(format!("{service} has no terminal"))).unwrap();
                    continue;
                }
                answer.send(Ok(())).unwrap();
                while let Some(typed) = input.recv().await {
                    let said = match typed {
                        TtyInput::Bytes(bytes) => bytes,
                        TtyInput::Resize { rows, cols } => format!("{rows}x{cols}").into_bytes(),
                    };
                    if output.send(said).await.is_err() {
                        break;
                    }
                }
                output.send(b"let go".to_vec()).await.unwrap_or_default();
            }
        }
    });
    let client = api::connect(&path, clock::now).await.unwrap();
    let service = client.snapshot().services[0].id.clone();
    let attach = async || {
        let (typed, input) = mpsc::channel(8);
        let (output, written) = mpsc::channel(8);
        let (answer, answered) = oneshot::channel();
        client.calls.send(Call::Tty { service: service.clone(), input, output, answer }).await.unwrap();
        (answered.await.unwrap(), typed, written)
    };
    let (attached, typed, mut written) = attach().await;
    attached.unwrap();
    typed.send(TtyInput::Bytes(b"\x1b[A\xff\x00".to_vec())).await.unwrap();
    assert_eq!(written.recv().await.unwrap(), b"\x1b[A\xff\x00");
    typed.send(TtyInput::Resize { rows: 50, cols: 132 }).await.unwrap();
    assert_eq!(written.recv().await.unwrap(), b"50x132");
    drop(typed);
    while written.recv().await.is_some() {}
    let (refused, _typed, _written) = attach().await;
    let why = refused.unwrap_err();
    assert!(why.contains("has no terminal"), "{why}");
    engine.abort();
}
