//! Engines of containers that are ill: each is named for what it is, within seconds, and nothing hangs.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test says what it expects by failing")]

use std::{path::Path, time::Duration};

use cas::model::{container::Reach, event::Event, ids::Epoch};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::run::spec;
use crate::process::rig::{Rig, service};

/// How a socket behaves.
#[derive(Clone, Copy)]
enum Illness {
    Silent,
    HalfHttp,
    Trickle,
    Nonsense,
    TooOld,
}

async fn suffer(illness: Illness, mut stream: UnixStream) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let body = |text: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}", text.len())
    };
    match illness {
        Illness::Silent => {}
        Illness::HalfHttp => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await;
        }
        Illness::Trickle => {
            for byte in body("{\"Version\":\"1\"}").bytes() {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Illness::Nonsense => {
            let _ = stream.write_all(body("\u{1b}[31m<html>not JSON").as_bytes()).await;
            return;
        }
        Illness::TooOld => {
            let _ = stream.write_all(body("{\"Version\":\"1.9\",\"ApiVersion\":\"1.21\"}").as_bytes()).await;
            return;
        }
    }
    std::future::pending::<()>().await;
}

fn listen(at: &Path, illness: Illness) {
    let listener = UnixListener::bind(at).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(suffer(illness, stream));
        }
    });
}

async fn known(rig: &mut Rig) -> Reach {
    rig.event("docker known", |event| match event {
        Event::DockerKnown(reach) => Some(reach.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_illness_has_its_name() {
    for (illness, name, words) in [
        (Illness::Silent, "hung", "no answer within 5 s"),
        (Illness::HalfHttp, "hung", "no answer within 5 s"),
        (Illness::Trickle, "hung", "no answer within 5 s"),
        (Illness::Nonsense, "hung", "cannot be read"),
        (Illness::TooOld, "too-old", "1.21"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("d.sock");
        listen(&socket, illness);
        let mut rig = Rig::with_docker(tempfile::tempdir().unwrap(), &format!("unix://{}", socket.display()));
        let reach = known(&mut rig).await;
        let json = serde_json::to_value(&reach).unwrap();
        assert_eq!(json["state"], name, "{reach:?}");
        let obstacle = reach.obstacle().unwrap();
        assert!(obstacle.contains(words), "{obstacle}");
        assert!(!obstacle.contains('\u{1b}'), "{obstacle}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_one_blocks_containers_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("d.sock");
    let mut rig = Rig::with_docker(tempfile::tempdir().unwrap(), &format!("unix://{}", socket.display()));
    let process = rig.start_apart("sleep 1000");
    rig.spawned(process).await;
    assert!(matches!(known(&mut rig).await, Reach::Absent { .. }));
    // One that was asked to start is refused at once, with the reason.
    let run = rig.start_spec(spec(&rig, "absent", "true"));
    let error = rig.refused(run).await;
    assert!(error.starts_with("Docker cannot be reached: "), "{error}");
    // The gate before a start says what it waits for, and costs no restart.
    let ask = cas::model::effect::Effect::CheckPorts { service: service("web"), epoch: Epoch(3), ports: Vec::new() };
    rig.world.perform(ask);
    let holders = rig
        .event("ports checked", |event| match event {
            Event::PortsChecked { holders, .. } => Some(holders.clone()),
            _ => None,
        })
        .await;
    assert_eq!(holders.len(), 1);
    assert!(holders[0].to_string().starts_with("Docker is not reachable: unix://"), "{}", holders[0]);
    assert!(rig.world.is_running(process));
    rig.end(process, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_let_us_in_is_said_to() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("d.sock");
    listen(&socket, Illness::Silent);
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        // Root is let in everywhere: then a file that is no socket is what refuses.
        std::fs::remove_file(&socket).unwrap();
        std::fs::write(&socket, "").unwrap();
    }
    let mut rig = Rig::with_docker(tempfile::tempdir().unwrap(), &format!("unix://{}", socket.display()));
    let reach = known(&mut rig).await;
    assert!(matches!(&reach, Reach::Absent { why } if why.starts_with("unix://")), "{reach:?}");
}
