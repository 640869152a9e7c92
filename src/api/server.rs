//! The listening side.
//!
//! `GET /v1` says who answers, `GET /v1/snapshot` one picture, `GET /v1/snapshots` pictures as they come, `GET /v1/logs` output
//! (`?service=project/name`, `?follow=true`), `GET /v1/entries?limit=N` the timeline, `POST /v1/requests` the door,
//! `POST /v1/leave` stops every service and ends the engine; its answer comes when nothing is left.

use std::{convert::Infallible, io, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query as Params, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::Listener,
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{UnixListener, UnixStream, unix::SocketAddr},
    task::JoinHandle,
};

use super::{
    lock::Lock,
    wire::{Ask, Hello, VERSION, VERSION_HEADER, WireBatch},
};
use crate::{
    host::handle::{Handle, LogSubscription},
    model::{
        ids::{RequestId, ServiceId},
        log::LogNews,
        policy::{Origin, Request},
        query::{Answer, Query},
    },
};

/// Bytes that a request's body may have.
const BODY_LIMIT: usize = 64 * 1024;

/// A listening socket; dropping it closes the socket and gives up the lock.
#[derive(Debug)]
pub struct Server {
    task: JoinHandle<()>,
    _lock: Lock,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens on the lock's socket, mode 0600.
///
/// # Errors
/// Those of bind and chmod.
pub fn serve(lock: Lock, handle: Handle) -> io::Result<Server> {
    let listener = UnixListener::bind(lock.socket())?;
    std::fs::set_permissions(lock.socket(), std::fs::Permissions::from_mode(0o600))?;
    let routes = Router::new()
        .route("/v1", get(hello))
        .route("/v1/snapshot", get(snapshot))
        .route("/v1/snapshots", get(snapshots))
        .route("/v1/logs", get(logs))
        .route("/v1/entries", get(entries))
        .route("/v1/requests", post(request))
        .route("/v1/leave", post(leave))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(handle);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(OwnerOnly(listener), routes).await {
            tracing::error!("the socket has ended: {error}");
        }
    });
    Ok(Server { task, _lock: lock })
}

/// Accepts only this user and root; others are closed without a word.
struct OwnerOnly(UnixListener);

impl Listener for OwnerOnly {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => {
                    let own = rustix::process::geteuid().as_raw();
                    match stream.peer_cred() {
                        Ok(peer) if peer.uid() == own || peer.uid() == 0 => return (stream, address),
                        Ok(peer) => tracing::warn!("refused a connection of user {}", peer.uid()),
                        Err(error) => tracing::warn!("refused a connection without credentials: {error}"),
                    }
                }
                // Out of descriptors, most likely: let others give some back.
                Err(error) => {
                    tracing::warn!("cannot accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A refusal with a sentence.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: String,
        }
        (self.0, Json(Body { error: self.1 })).into_response()
    }
}

/// A client that names a version must name ours.
fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(named) = headers.get(VERSION_HEADER) else { return Ok(()) };
    if named.to_str().is_ok_and(|named| named == VERSION.to_string()) {
        return Ok(());
    }
    Err(Refusal(
        StatusCode::UPGRADE_REQUIRED,
        format!(
            "this engine is cas {} and speaks version {VERSION} of its interface; the client speaks {named:?}: use the same cas for both",
            env!("CARGO_PKG_VERSION")
        ),
    ))
}

async fn hello(headers: HeaderMap) -> Result<Json<Hello>, Refusal> {
    check_version(&headers)?;
    Ok(Json(Hello { api: VERSION, version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() }))
}

async fn snapshot(State(handle): State<Handle>, headers: HeaderMap) -> Result<Response, Refusal> {
    check_version(&headers)?;
    Ok(Json(handle.snapshot()).into_response())
}

async fn snapshots(State(handle): State<Handle>, headers: HeaderMap) -> Result<Response, Refusal> {
    check_version(&headers)?;
    let mut pictures = handle.snapshots;
    pictures.mark_changed();
    Ok(ndjson(stream::unfold(pictures, |mut pictures| async {
        pictures.changed().await.ok()?;
        let picture = Arc::clone(&pictures.borrow_and_update());
        Some((line(&picture), pictures))
    })))
}

#[derive(Debug, Deserialize)]
struct LogParams {
    service: Option<String>,
    #[serde(default)]
    follow: bool,
}

async fn logs(
    State(handle): State<Handle>,
    Params(params): Params<LogParams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    check_version(&headers)?;
    let service = params.service.map(|text| parse_service(&text)).transpose()?;
    let subscription = params.follow.then(|| handle.logs.subscribe());
    let kept = match handle.query(Query::Logs { service: service.clone() }).await {
        Ok(Answer::Logs(batches)) => batches,
        Ok(Answer::Entries(_) | Answer::ShellContext { .. } | Answer::Unavailable(_)) => Vec::new(),
        Err(gone) => return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, gone.to_string())),
    };
    let seen = kept.iter().map(|batch| (batch.service.clone(), batch.first_seq)).collect();
    let backlog: Vec<_> = kept.iter().map(|batch| line(&WireBatch::from(&**batch))).collect();
    let backlog = stream::iter(backlog);
    Ok(match subscription {
        None => ndjson(backlog),
        Some(subscription) => ndjson(backlog.chain(follow(subscription, service, seen))),
    })
}

/// Live batches of one service or all, without those that the backlog already held.
fn follow(
    subscription: LogSubscription,
    service: Option<ServiceId>,
    seen: std::collections::HashSet<(ServiceId, u64)>,
) -> impl futures_util::Stream<Item = Bytes> {
    stream::unfold((subscription, service, seen), |(mut subscription, service, mut seen)| async {
        loop {
            match subscription.next().await? {
                LogNews::Batch(batch) => {
                    let wanted = service.as_ref().is_none_or(|service| *service == batch.service);
                    let twice = !seen.is_empty() && seen.remove(&(batch.service.clone(), batch.first_seq));
                    if wanted && !twice {
                        return Some((line(&WireBatch::from(&*batch)), (subscription, service, seen)));
                    }
                }
                // The gap in `first_seq` tells the client.
                LogNews::Missed { .. } => {}
            }
        }
    })
}

fn parse_service(text: &str) -> Result<ServiceId, Refusal> {
    text.split_once('/')
        .and_then(|(project, service)| {
            Some(ServiceId { project: project.parse().ok()?, service: service.parse().ok()? })
        })
        .ok_or_else(|| Refusal(StatusCode::BAD_REQUEST, format!("service={text:?}: write it as project/name")))
}

#[derive(Debug, Deserialize)]
struct EntryParams {
    #[serde(default = "some_entries")]
    limit: usize,
}

const fn some_entries() -> usize {
    500
}

async fn entries(
    State(handle): State<Handle>,
    Params(params): Params<EntryParams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    check_version(&headers)?;
    match handle.query(Query::Entries { limit: params.limit }).await {
        Ok(Answer::Entries(entries)) => Ok(Json(entries).into_response()),
        Ok(Answer::Unavailable(why)) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, why)),
        Ok(Answer::Logs(_) | Answer::ShellContext { .. }) => Ok(Json(Vec::<()>::new()).into_response()),
        Err(gone) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, gone.to_string())),
    }
}

async fn request(State(handle): State<Handle>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    check_version(&headers)?;
    let ask: Ask = serde_json::from_slice(&body)
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("the body is not a request: {error}")))?;
    let origin = match ask.origin {
        Origin::Key | Origin::Palette | Origin::Cli | Origin::Api => ask.origin,
        Origin::Config | Origin::Healer | Origin::System => Origin::Api,
    };
    let request = Request { id: RequestId(0), origin, command: ask.command, consent: ask.consent };
    match handle.request(request).await {
        Ok(reply) => Ok(Json(reply).into_response()),
        Err(gone) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, gone.to_string())),
    }
}

async fn leave(State(handle): State<Handle>, headers: HeaderMap) -> Result<StatusCode, Refusal> {
    check_version(&headers)?;
    handle.leave().await;
    Ok(StatusCode::NO_CONTENT)
}

/// One JSON document and a line feed.
fn line(document: &impl Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec(document).unwrap_or_else(|error| {
        tracing::error!("a document could not be written: {error}");
        b"null".to_vec()
    });
    bytes.push(b'\n');
    Bytes::from(bytes)
}

fn ndjson(lines: impl futures_util::Stream<Item = Bytes> + Send + 'static) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines.map(Ok::<_, Infallible>)))
        .into_response()
}
