//! Clients that come to the socket, look, act and leave, each in its own way.

use std::path::Path;

use cas::{
    api,
    model::{
        command::{Command, ServiceRef, Targets},
        ids::RequestId,
        policy::{Consent, Origin, Request},
        query::Query,
    },
    world::clock,
};
use tokio::{io::AsyncWriteExt, net::UnixStream};

/// One visit.
pub(crate) async fn visit(socket: std::path::PathBuf, kind: u8) {
    match kind % 5 {
        0 => watch(&socket).await,
        1 => act(&socket).await,
        2 => {
            for path in ["/v1/daemon", "/v1/snapshot", "/v1/services", "/metrics", "/v1/logs", "/v1/entries?limit=50"] {
                // Some of them are not JSON, which is refused on this side.
                let _document = api::client::fetch(&socket, path).await;
            }
        }
        3 => {
            if let Ok(mut stream) = UnixStream::connect(&socket).await {
                // It may be let go of before all is said.
                let _said = stream.write_all(b"\0\xffGET nonsense\r\n\r\n").await;
            }
        }
        _ => {
            // Comes, says half a word, and goes.
            if let Ok(mut stream) = UnixStream::connect(&socket).await {
                let _said = stream.write_all(b"GET /v1/snapshots HTTP/1.1\r\nHost: cas\r\n\r\n").await;
            }
        }
    }
}

async fn watch(socket: &Path) {
    let Ok(handle) = api::connect(socket, clock::now).await else { return };
    let mut logs = handle.logs.subscribe();
    // An error, here and below, means that the engine has ended.
    let _lines = handle.query(Query::Logs { service: None }).await;
    let _entries = handle.query(Query::Entries { limit: 100 }).await;
    while logs.try_next().is_some() {}
}

async fn act(socket: &Path) {
    let Ok(handle) = api::connect(socket, clock::now).await else { return };
    let targets = Targets { services: vec![ServiceRef("shop/s01".to_owned())], all: false };
    let command = Command::Start { targets };
    let _reply = handle
        .request(Request {
            id: RequestId(0),
            origin: Origin::Api,
            asker: None,
            command,
            consent: Consent::Ask,
            if_rev: None,
        })
        .await;
}
