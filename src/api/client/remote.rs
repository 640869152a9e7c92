//! The way to an engine in another process: one connection for each request, checked before a byte is said.
//!
//! Never: sends anything to a process of another user, or reads an answer without end.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::StreamExt;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::super::wire::{Hello, OLDEST, RefusalBody, VERSION, VERSION_HEADER};

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
    /// The engine answers, and says no: its own sentence, which needs no other around it.
    #[error("{0}")]
    Refused(String),
}

/// One answer may have so many bytes, and so one line of a stream.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// A refusal may have so many.
const REFUSAL_LIMIT: usize = 64 * 1024;

/// An answer that has not come by then will not come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// An engine on a socket.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    socket: Arc<Path>,
    /// The version that both sides know; 0 until the first greeting.
    speaks: Arc<AtomicU32>,
}

impl Remote {
    pub(super) fn new(socket: &Path) -> Self {
        Self { socket: Arc::from(socket), speaks: Arc::new(AtomicU32::new(0)) }
    }

    pub(super) fn unusable(&self, reason: impl Into<String>) -> ConnectError {
        ConnectError::Unusable { socket: self.socket.to_path_buf(), reason: reason.into() }
    }

    /// Why an exchange with somebody who may be talked to came to nothing. A connection that waits to be taken breaks with the end of its engine:
    /// then nobody is there any more.
    async fn broken(&self, error: hyper::Error) -> ConnectError {
        match self.dial().await {
            Err(absent @ ConnectError::Absent(_)) => absent,
            Ok(_) | Err(_) => self.unusable(chain(&error)),
        }
    }

    /// The version that both sides know.
    pub(super) fn speaks(&self) -> u32 {
        self.speaks.load(Ordering::Relaxed)
    }

    /// Asks who is there and agrees on a version; a daemon that was replaced may speak another than the one before.
    pub(super) async fn greet(&self) -> Result<Hello, ConnectError> {
        self.speaks.store(0, Ordering::Relaxed);
        let hello: Hello = self.get("/v1").await?;
        let oldest = if hello.oldest == 0 { hello.api } else { hello.oldest };
        if hello.api < OLDEST || oldest > VERSION {
            return Err(self.unusable(mismatch(&hello)));
        }
        self.speaks.store(hello.api.min(VERSION), Ordering::Relaxed);
        Ok(hello)
    }

    /// A connection to a process of this user or root; nothing has been said yet.
    async fn dial(&self) -> Result<UnixStream, ConnectError> {
        let absent = || ConnectError::Absent(self.socket.to_path_buf());
        match std::fs::symlink_metadata(&self.socket) {
            Ok(found) if found.is_symlink() => {
                return Err(self.unusable("it is a symbolic link where a socket belongs; nothing was sent: remove it"));
            }
            Ok(_) => {}
            Err(_) => return Err(absent()),
        }
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound};
            // Reset before a byte was said: it was never taken, for its engine has ended meanwhile.
            let nobody = [NotFound, ConnectionRefused, ConnectionReset];
            if nobody.contains(&error.kind()) { absent() } else { self.unusable(error.to_string()) }
        })?;
        let peer = stream.peer_cred().map_err(|error| self.unusable(error.to_string()))?;
        if peer.uid() != rustix::process::geteuid().as_raw() && peer.uid() != 0 {
            return Err(self.unusable(format!("it belongs to another user (uid {}); nothing was sent", peer.uid())));
        }
        Ok(stream)
    }

    pub(super) fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let request = Request::builder().method(method).uri(path).header("host", "cas");
        // Before the greeting none is named: the greeting is for those who do not know yet.
        match self.speaks() {
            0 => request,
            version => request.header(VERSION_HEADER, version),
        }
    }

    /// Sends a request and waits for the head of its answer; a refusal comes back as the engine's own sentence.
    pub(super) async fn open(
        &self,
        request: hyper::http::request::Builder,
        body: Body,
    ) -> Result<Response<Incoming>, ConnectError> {
        let request = request.body(body).map_err(|error| self.unusable(error.to_string()))?;
        let stream = self.dial().await?;
        let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
            Ok(both) => both,
            Err(error) => return Err(self.broken(error).await),
        };
        // Ends with the answer, or when whoever reads it has left.
        tokio::spawn(connection.with_upgrades());
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            Err(error) => return Err(self.broken(error).await),
        };
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let body = axum::body::to_bytes(Body::new(response.into_body()), REFUSAL_LIMIT).await.unwrap_or_default();
        Err(match serde_json::from_slice::<RefusalBody>(&body) {
            Ok(said) => ConnectError::Refused(said.error),
            Err(_) => self.unusable(status.to_string()),
        })
    }

    /// A whole answer.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        request: hyper::http::request::Builder,
        body: Body,
    ) -> Result<T, ConnectError> {
        let fetched = async {
            let body = Body::new(self.open(request, body).await?.into_body());
            axum::body::to_bytes(body, ANSWER_LIMIT).await.map_err(|error| self.unusable(chain(&error)))
        };
        let bytes = tokio::time::timeout(ANSWER_TIMEOUT, fetched)
            .await
            .map_err(|_| self.unusable(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())))??;
        serde_json::from_slice(&bytes).map_err(|error| self.unusable(error.to_string()))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ConnectError> {
        self.fetch(self.request(Method::GET, path), Body::empty()).await
    }

    /// A stream of lines.
    pub(super) async fn lines(&self, path: &str) -> Result<Lines, ConnectError> {
        let opened = self.open(self.request(Method::GET, path), Body::empty());
        let response = tokio::time::timeout(ANSWER_TIMEOUT, opened)
            .await
            .map_err(|_| self.unusable(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())))??;
        Ok(Lines {
            remote: self.clone(),
            chunks: Body::new(response.into_body()).into_data_stream(),
            chunk: Bytes::new(),
            pending: Vec::new(),
        })
    }
}

fn mismatch(hello: &Hello) -> String {
    let ours = env!("CARGO_PKG_VERSION");
    let hint = if hello.api > VERSION {
        "use the newer cas here, too"
    } else {
        "\"cas daemon restart\" brings up this cas and leaves services running"
    };
    format!(
        "it is cas {} and speaks version {} of the interface; this is cas {ours} and speaks versions {OLDEST} to {VERSION}: {hint}",
        hello.version, hello.api
    )
}

/// The lines of a stream (NDJSON).
pub(super) struct Lines {
    remote: Remote,
    chunks: BodyDataStream,
    chunk: Bytes,
    pending: Vec<u8>,
}

impl Lines {
    /// The next document; none when the stream has ended.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ConnectError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.chunk) {
                self.pending.extend_from_slice(&self.chunk.split_to(end + 1)[..end]);
                let document = serde_json::from_slice(&self.pending);
                self.pending.clear();
                return document.map(Some).map_err(|error| self.remote.unusable(error.to_string()));
            }
            if self.pending.len() + self.chunk.len() > ANSWER_LIMIT {
                return Err(self.remote.unusable("a line without end"));
            }
            self.pending.extend_from_slice(&self.chunk);
            self.chunk = match self.chunks.next().await {
                Some(chunk) => chunk.map_err(|error| self.remote.unusable(chain(&error)))?,
                None => return Ok(None),
            };
        }
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
