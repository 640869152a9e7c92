//! Engines on sockets, and something like `curl --unix-socket`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use cas::{
    api::{
        lock::{Attempt, Lock},
        server::{self, ServeOptions, Server},
    },
    config::{self, paths::Paths},
    engine::Budget,
    host::{
        self, Host,
        handle::{Call, Handle, Link, LogFeed},
    },
    model::{policy::Autopilot, query::Answer, snapshot::Snapshot},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::{mpsc, watch},
};

use crate::support::eventually;

/// A real engine on a socket.
pub(crate) struct Stage {
    pub(crate) home: tempfile::TempDir,
    pub(crate) host: Host,
    pub(crate) socket: PathBuf,
    _server: Server,
}

impl Stage {
    /// Hosts the project `shop` with these services.
    pub(crate) fn with(services: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("cas.yaml");
        std::fs::write(&file, format!("name: shop\nservices:\n{services}")).unwrap();
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        let loaded = config::load(&file, None, &environment);
        assert_eq!(loaded.errors, []);
        let paths = Paths::from_lookup(|name| name.starts_with("CAS_").then(|| home.path().join(name.to_lowercase())));
        paths.ensure().unwrap();
        let socket = paths.socket(home.path());
        let host = host::start(host::Config {
            projects: vec![Arc::new(loaded.project.unwrap())],
            directory: None,
            paths,
            autopilot: Autopilot::On,
            learning: false,
            auto_reload: false,
            budget: Budget::default(),
            seed: 1,
            withheld: BTreeMap::new(),
            environment,
            open_files: None,
            daemon: false,
            shim: env!("CARGO_BIN_EXE_cas-shim").into(),
            gate: None,
            care: None,
            log_formats: Vec::new(),
            masks: cas::model::redact::Masks::default(),
        })
        .unwrap();
        eventually("the project is open", || host.handle.snapshot().projects.iter().any(|project| project.open));
        let server = server::serve(take(&socket), host.handle.clone(), ServeOptions::default()).unwrap();
        Self { home, host, socket, _server: server }
    }

    pub(crate) async fn get(&self, path: &str) -> Said {
        curl(&self.socket, "GET", path, &[], b"").await
    }

    pub(crate) async fn ask(&self, body: &Value) -> Said {
        curl(&self.socket, "POST", "/v1/requests", &[], body.to_string().as_bytes()).await
    }

    /// The newest picture, as JSON.
    pub(crate) async fn picture(&self) -> Value {
        self.get("/v1/snapshot").await.json()
    }

    pub(crate) async fn leave(mut self) {
        self.host.handle.leave().await;
        (&mut self.host.task).await.unwrap();
    }
}

impl Drop for Stage {
    /// Services outlive an engine: they are ended with the test, however that ends.
    fn drop(&mut self) {
        if !self.host.task.is_finished() {
            let runtime = tokio::runtime::Handle::current();
            tokio::task::block_in_place(|| runtime.block_on(self.host.handle.leave()));
        }
    }
}

/// The lock, once nobody else holds it: a process that another test makes just now has it for the moment between fork and exec.
pub(crate) fn take(socket: &Path) -> Lock {
    let mut taken = None;
    eventually("the lock is free", || {
        taken = match Lock::take(socket).unwrap() {
            Attempt::Taken(lock) => Some(lock),
            Attempt::Held { .. } => None,
        };
        taken.is_some()
    });
    taken.unwrap()
}

/// An engine that only shows a picture; its sender keeps it alive.
pub(crate) fn showing(snapshot: Snapshot) -> (Handle, watch::Sender<Arc<Snapshot>>) {
    let (calls, mut door) = mpsc::channel(8);
    let (snapshots, pictures) = watch::channel(Arc::new(snapshot));
    let (link, linked) = watch::channel(Link::Local);
    tokio::spawn(async move {
        let _link = link;
        while let Some(call) = door.recv().await {
            if let Call::Query { answer, .. } = call {
                answer.send(Answer::Logs(Vec::new())).unwrap();
            }
        }
    });
    (Handle { calls, snapshots: pictures, logs: LogFeed::new(), link: linked }, snapshots)
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The sentence of a refusal.
    pub(crate) fn sentence(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

/// One request over a connection of its own, by hand: HTTP/1.0, so that the answer is simply what comes until the end.
pub(crate) async fn curl(socket: &Path, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Said {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: cas\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    // A server that refuses early closes before it has read everything.
    let _refused_early = stream.write_all(&[head.as_bytes(), body].concat()).await;
    let mut bytes = Vec::new();
    let _closed = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    Said { status: head.split(' ').nth(1).unwrap().parse().unwrap(), body: body.to_owned() }
}
