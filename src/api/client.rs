//! The calling side: a [`Handle`] on an engine in another process.

use std::{path::Path, path::PathBuf, sync::Arc, time::Duration};

use futures_util::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::wire::{Ask, Hello, VERSION, VERSION_HEADER, WireBatch};
use crate::{
    host::handle::{Call, Departure, Handle, Link, LogFeed, REQUEST_CAPACITY},
    model::{
        log::LogBatch,
        policy::Reply,
        query::{Answer, Query},
        snapshot::Snapshot,
        time::Timestamp,
    },
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there.
    #[error("no engine listens on {}", .0.display())]
    Absent(PathBuf),
    /// Somebody listens and does not answer as an engine does.
    #[error("the engine on {} does not answer as expected: {reason}", socket.display())]
    Unusable {
        /// The socket.
        socket: PathBuf,
        /// What came instead.
        reason: String,
    },
}

/// Pauses between tries to reach a lost engine: first and longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// One line of a stream may have so many bytes.
const LINE_LIMIT: usize = 64 * 1024 * 1024;

/// An answer that has not come by then will not come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects to the engine on `socket` and waits for its first picture. `now` is the clock, for what is shown of a lost link.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(socket: &Path, now: fn() -> Timestamp) -> Result<Handle, ConnectError> {
    let remote = Remote::new(socket)?;
    let hello: Hello = remote.get("/v1").await?;
    tracing::debug!(pid = hello.pid, version = hello.version, "connected");
    let first: Snapshot = remote.get("/v1/snapshot").await?;

    let (calls, door) = mpsc::channel(REQUEST_CAPACITY);
    let (snapshots, pictures) = watch::channel(Arc::new(first));
    let (link, linked) = watch::channel(Link::Connected);
    let logs = LogFeed::new();
    tokio::spawn(serve_calls(remote.clone(), door));
    tokio::spawn(follow_snapshots(remote.clone(), snapshots, link, now));
    tokio::spawn(follow_logs(remote, logs.clone()));
    Ok(Handle { calls, snapshots: pictures, logs, link: linked })
}

/// The document at `path` of the engine on `socket`, whatever it holds.
///
/// # Errors
/// [`ConnectError`].
pub async fn fetch(socket: &Path, path: &str) -> Result<serde_json::Value, ConnectError> {
    Remote::new(socket)?.get(path).await
}

#[derive(Debug, Clone)]
struct Remote {
    client: reqwest::Client,
    socket: Arc<Path>,
}

impl Remote {
    fn new(socket: &Path) -> Result<Self, ConnectError> {
        if !socket.exists() {
            return Err(ConnectError::Absent(socket.to_owned()));
        }
        let client = reqwest::Client::builder()
            .unix_socket(socket)
            .no_proxy()
            .default_headers(
                [(reqwest::header::HeaderName::from_static(VERSION_HEADER), VERSION.into())].into_iter().collect(),
            )
            .build()
            .map_err(|error| ConnectError::Unusable { socket: socket.to_owned(), reason: chain(&error) })?;
        Ok(Self { client, socket: Arc::from(socket) })
    }

    fn unusable(&self, reason: String) -> ConnectError {
        ConnectError::Unusable { socket: self.socket.to_path_buf(), reason }
    }

    /// Opens `path`; a refusal comes back as the engine's own sentence.
    async fn open(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, ConnectError> {
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let response = request.send().await.map_err(|error| {
            if error.is_connect() {
                ConnectError::Absent(self.socket.to_path_buf())
            } else {
                self.unusable(chain(&error))
            }
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        Err(self
            .unusable(serde_json::from_slice::<Refusal>(&body).map_or_else(|_| status.to_string(), |said| said.error)))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ConnectError> {
        let request = self.client.get(format!("http://cas{path}")).timeout(ANSWER_TIMEOUT);
        let body = self.open(request).await?.bytes().await.map_err(|error| self.unusable(chain(&error)))?;
        serde_json::from_slice(&body).map_err(|error| self.unusable(error.to_string()))
    }

    /// Gives each line of an NDJSON stream to `take`, until the stream ends.
    async fn each_line<T: DeserializeOwned>(&self, path: &str, mut take: impl FnMut(T)) -> Result<(), ConnectError> {
        let response = self.open(self.client.get(format!("http://cas{path}"))).await?;
        let mut chunks = response.bytes_stream();
        let mut pending: Vec<u8> = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| self.unusable(chain(&error)))?;
            let mut rest = &chunk[..];
            while let Some(end) = memchr::memchr(b'\n', rest) {
                pending.extend_from_slice(&rest[..end]);
                take(serde_json::from_slice(&pending).map_err(|error| self.unusable(error.to_string()))?);
                pending.clear();
                rest = &rest[end + 1..];
            }
            if pending.len() + rest.len() > LINE_LIMIT {
                return Err(self.unusable("a line without end".to_owned()));
            }
            pending.extend_from_slice(rest);
        }
        Ok(())
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

async fn follow_snapshots(
    remote: Remote,
    snapshots: watch::Sender<Arc<Snapshot>>,
    link: watch::Sender<Link>,
    now: fn() -> Timestamp,
) {
    let mut pause = RETRY.0;
    let mut lost: Option<Timestamp> = None;
    while !snapshots.is_closed() {
        let ended = remote
            .each_line("/v1/snapshots", |snapshot: Snapshot| {
                pause = RETRY.0;
                if lost.take().is_some() {
                    link.send_replace(Link::Connected);
                }
                snapshots.send_replace(Arc::new(snapshot));
            })
            .await;
        tracing::debug!("the stream of pictures ended: {ended:?}");
        let since = *lost.get_or_insert_with(now);
        link.send_replace(Link::Retrying { since, next: now().plus(pause) });
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

async fn follow_logs(remote: Remote, logs: LogFeed) {
    let mut pause = RETRY.0;
    loop {
        let ended = remote
            .each_line("/v1/logs?follow=true", |batch: WireBatch| {
                pause = RETRY.0;
                logs.publish(batch.into());
            })
            .await;
        tracing::debug!("the stream of output ended: {ended:?}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

/// Carries calls over, several at a time, until the client has dropped its handle.
async fn serve_calls(remote: Remote, mut door: mpsc::Receiver<Call>) {
    let mut under_way = JoinSet::new();
    while let Some(call) = door.recv().await {
        while under_way.try_join_next().is_some() {}
        let remote = remote.clone();
        under_way.spawn(async move { carry(&remote, call).await });
    }
    while under_way.join_next().await.is_some() {}
}

async fn carry(remote: &Remote, call: Call) {
    // In each arm, an error of `send` means that the asker has left.
    match call {
        Call::Request { request, reply } => {
            let ask = Ask { command: request.command, origin: request.origin, consent: request.consent };
            let said = ask_over(remote, &ask).await.unwrap_or_else(|error| Reply::Refused {
                reason: error.to_string(),
                hint: Some("the engine may be restarting: try again".to_owned()),
            });
            let _left = reply.send(said);
        }
        Call::Query { query, answer } => {
            let _left = answer.send(answer_over(remote, query).await);
        }
        Call::Leave { departure, done } => {
            // However long it takes: services have their own grace times. The engine may end before its answer is out, so that
            // an error means the same; one that refuses goes on, as its pictures show.
            let url = match departure {
                Departure::StopAll => "http://cas/v1/leave",
                Departure::LeaveRunning => "http://cas/v1/leave?departure=leave-running",
            };
            if let Err(error) = remote.open(remote.client.post(url)).await {
                tracing::info!("the engine was asked to end: {error}");
            }
            let _left = done.send(());
        }
        Call::Tty { answer, .. } => {
            let _left = answer.send(Err("not yet".to_owned()));
        }
    }
}

async fn ask_over(remote: &Remote, ask: &Ask) -> Result<Reply, ConnectError> {
    let body = serde_json::to_vec(ask).map_err(|error| remote.unusable(error.to_string()))?;
    let request = remote.client.post("http://cas/v1/requests").timeout(ANSWER_TIMEOUT).body(body);
    let said = remote.open(request).await?.bytes().await.map_err(|error| remote.unusable(chain(&error)))?;
    serde_json::from_slice(&said).map_err(|error| remote.unusable(error.to_string()))
}

async fn answer_over(remote: &Remote, query: Query) -> Answer {
    match query {
        Query::Logs { service } => {
            let path = service.map_or_else(|| "/v1/logs".to_owned(), |service| format!("/v1/logs?service={service}"));
            let mut batches: Vec<Arc<LogBatch>> = Vec::new();
            match remote.each_line(&path, |batch: WireBatch| batches.push(batch.into())).await {
                Ok(()) => Answer::Logs(batches),
                Err(error) => Answer::Unavailable(error.to_string()),
            }
        }
        Query::Entries { limit } => match remote.get(&format!("/v1/entries?limit={limit}")).await {
            Ok(entries) => Answer::Entries(entries),
            Err(error) => Answer::Unavailable(error.to_string()),
        },
        Query::ShellContext { .. } => Answer::Unavailable(
            "the environment of a service is given only to the console that hosts the engine".to_owned(),
        ),
    }
}
