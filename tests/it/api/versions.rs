//! An old client with a new engine, and the other way round: the version before is understood, any other gets a clear sentence.

use std::sync::Arc;

use cas::{
    api::{
        self,
        server::{self, ServeOptions},
        wire::{OLDEST, VERSION},
    },
    model::{
        policy::Origin,
        snapshot::Snapshot,
        timeline::{Entry, What},
    },
    world::clock,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use super::stage::{curl, showing, take};

fn with_an_adoption() -> Snapshot {
    let what = What::Adopted { pid: 7, away: std::time::Duration::ZERO };
    let entry = Entry {
        seq: 1,
        at: clock::now(),
        project: None,
        service: None,
        run: None,
        who: Origin::System,
        what,
        why: "it was running".to_owned(),
    };
    Snapshot { timeline: vec![Arc::new(entry)], ..Snapshot::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_before_is_answered_in_words_that_it_knows() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(with_an_adoption());
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    let old = curl(&socket, "GET", "/v1/snapshot", &[&format!("x-cas-api: {OLDEST}")], b"").await.json();
    assert_eq!(old["timeline"][0]["what"]["what"], "trouble", "{old}");
    assert_eq!(old["timeline"][0]["what"]["text"], "taken over, pid 7");
    let new = curl(&socket, "GET", "/v1/snapshot", &[&format!("x-cas-api: {VERSION}")], b"").await.json();
    assert_eq!(new["timeline"][0]["what"]["what"], "adopted", "{new}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_version_is_refused_with_a_sentence_that_names_both() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("one.sock");
    let (handle, _pictures) = showing(Snapshot::default());
    let _server = server::serve(take(&socket), handle, ServeOptions::default()).unwrap();
    for (named, hint) in [(VERSION + 1, "cas daemon restart"), (0, "the client is the older one")] {
        let header = format!("x-cas-api: {named}");
        for path in ["/v1", "/v1/snapshot", "/v1/snapshots", "/v1/logs", "/v1/entries", "/v1/live", "/v1/nothing"] {
            assert_eq!(curl(&socket, "GET", path, &[&header], b"").await.status, 426, "{path}");
        }
        for path in ["/v1/requests", "/v1/leave"] {
            assert_eq!(curl(&socket, "POST", path, &[&header], b"{}").await.status, 426, "{path}");
        }
        let said = curl(&socket, "GET", "/v1", &[&header], b"").await.sentence();
        let names = [format!("versions {OLDEST} to {VERSION}"), format!("the client speaks {named}")];
        assert!(names.iter().all(|name| said.contains(name)) && said.contains(hint), "{said}");
    }
    let garbage = curl(&socket, "GET", "/v1", &["x-cas-api: banana"], b"").await;
    assert_eq!(garbage.status, 426, "{garbage:?}");
}

/// Something that answers every request with the same greeting.
fn greeting(socket: &std::path::Path, hello: &'static str) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _read = stream.read(&mut head).await.unwrap();
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{hello}", hello.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_says_which_side_is_too_old_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let cases = [
        ("newer.sock", r#"{"api":9,"oldest":8,"version":"9.0.0","pid":1}"#, "use the newer cas here"),
        ("older.sock", r#"{"api":0,"version":"0.0.1","pid":1}"#, "cas daemon restart"),
    ];
    for (name, hello, hint) in cases {
        let socket = home.path().join(name);
        let engine = greeting(&socket, hello);
        let said = api::connect(&socket, clock::now).await.unwrap_err().to_string();
        assert!(said.contains(hint) && said.contains(&format!("versions {OLDEST} to {VERSION}")), "{said}");
        engine.abort();
    }
}
