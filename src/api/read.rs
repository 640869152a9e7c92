//! Looking: pictures, services, metrics, the engine's own health. Never changes anything.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    connection::Connection,
    desk::{Desk, line},
    logs::service_of,
    metrics, older, own,
    refusal::{Named, Params, Refusal, Speaks},
    routes::{JSON, LINES, PROMETHEUS},
    wire::{Hello, OLDEST, SelfView, ShellView, VERSION},
};
use crate::model::{
    deed::DiskUse,
    ids::{ProjectName, ServiceId, ServiceName},
    log_file::LogFileView,
    query::{Answer, Query},
    snapshot::{ServiceView, Snapshot},
};

pub(super) async fn hello() -> Json<Hello> {
    Json(Hello { api: VERSION, oldest: OLDEST, version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() })
}

pub(super) async fn snapshot(State(desk): State<Desk>, Extension(speaks): Extension<Speaks>) -> Response {
    let picture = desk.picture(&desk.handle.snapshot(), speaks);
    ([(header::CONTENT_TYPE, JSON)], picture).into_response()
}

pub(super) async fn snapshots(
    State(desk): State<Desk>,
    Extension(speaks): Extension<Speaks>,
    Extension(connection): Extension<Arc<Connection>>,
) -> Response {
    connection.becomes_stream();
    let mut pictures = desk.handle.snapshots.clone();
    pictures.mark_changed();
    ndjson(stream::unfold((pictures, desk), move |(mut pictures, desk)| async move {
        tokio::select! {
            () = desk.ended.cancelled() => return None,
            changed = pictures.changed() => changed.ok()?,
        }
        let picture = Arc::clone(&pictures.borrow_and_update());
        Some((line(&desk.picture(&picture, speaks)), (pictures, desk)))
    }))
}

/// The picture in the words that the client knows.
fn in_words_of(speaks: Speaks, picture: Arc<Snapshot>) -> Arc<Snapshot> {
    if speaks.0 < VERSION { Arc::new(older::picture(&picture)) } else { picture }
}

pub(super) async fn services(
    State(desk): State<Desk>,
    Extension(speaks): Extension<Speaks>,
) -> Json<Vec<Arc<ServiceView>>> {
    Json(in_words_of(speaks, desk.handle.snapshot()).services.clone())
}

/// The id that a path names; what is no name goes no further.
pub(super) fn id_of(project: &str, service: &str) -> Result<ServiceId, Refusal> {
    let project = ProjectName::new(project).map_err(|error| Refusal::bad(error.to_string()))?;
    let service = ServiceName::new(service).map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(ServiceId { project, service })
}

/// The id of a service that is there.
pub(super) fn known(desk: &Desk, project: &str, service: &str) -> Result<ServiceId, Refusal> {
    let id = id_of(project, service)?;
    match desk.handle.snapshot().service(&id) {
        Some(_) => Ok(id),
        None => Err(Refusal::absent(format!("there is no service {id}: GET /v1/services lists them"))),
    }
}

pub(super) async fn service(
    State(desk): State<Desk>,
    Extension(speaks): Extension<Speaks>,
    Named((project, service)): Named<(String, String)>,
) -> Result<Json<Arc<ServiceView>>, Refusal> {
    let id = known(&desk, &project, &service)?;
    let picture = in_words_of(speaks, desk.handle.snapshot());
    picture.service(&id).cloned().map(Json).ok_or_else(|| Refusal::absent(format!("there is no service {id}")))
}

pub(super) async fn shell(
    State(desk): State<Desk>,
    Named((project, service)): Named<(String, String)>,
) -> Result<Json<ShellView>, Refusal> {
    let id = known(&desk, &project, &service)?;
    let answer = desk.handle.query(Query::ShellContext { service: id }).await?;
    if let Answer::Unavailable(why) = answer {
        return Err(Refusal::absent(why));
    }
    let Answer::ShellContext { working_dir, environment, secrets } = answer else { return Err(Refusal::odd_answer()) };
    Ok(Json(ShellView { working_dir, environment, secrets }))
}

pub(super) async fn disk(State(desk): State<Desk>) -> Result<Json<DiskUse>, Refusal> {
    let Answer::Disk(disk) = desk.ask(Query::Disk).await? else { return Err(Refusal::odd_answer()) };
    Ok(Json((*disk).clone()))
}

/// Parameters of `GET /v1/log-files`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFileParams {
    /// `project/name`; left out: of every service.
    service: Option<String>,
}

pub(super) async fn log_files(
    State(desk): State<Desk>,
    Params(params): Params<LogFileParams>,
) -> Result<Json<Vec<LogFileView>>, Refusal> {
    let service = params.service.as_deref().map(service_of).transpose()?;
    let Answer::LogFiles(files) = desk.ask(Query::LogFiles { service }).await? else {
        return Err(Refusal::odd_answer());
    };
    Ok(Json(files))
}

/// Parameters of `GET /v1/metrics`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricParams {
    /// `json` (the default) or `prometheus`.
    #[serde(default)]
    format: MetricFormat,
}

#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum MetricFormat {
    #[default]
    Json,
    Prometheus,
}

pub(super) async fn metrics(State(desk): State<Desk>, Params(params): Params<MetricParams>) -> Response {
    let snapshot = desk.handle.snapshot();
    match params.format {
        MetricFormat::Json => Json(metrics::of(&snapshot)).into_response(),
        MetricFormat::Prometheus => ([(header::CONTENT_TYPE, PROMETHEUS)], metrics::text(&snapshot)).into_response(),
    }
}

pub(super) async fn daemon(State(desk): State<Desk>) -> Json<SelfView> {
    Json(own::look(&desk).await)
}

pub(super) async fn health(State(desk): State<Desk>) -> Response {
    let health = own::health(&desk).await;
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

/// A stream of lines.
pub(super) fn ndjson(lines: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    ([(header::CONTENT_TYPE, LINES)], Body::from_stream(lines.map(Ok::<_, Infallible>))).into_response()
}

/// The instant that a parameter names, microseconds since the Unix epoch: `10m` (back from `now_us`), an RFC 3339 time, or the
/// microseconds themselves.
pub(super) fn instant(name: &str, text: &str, now_us: i64) -> Result<i64, Refusal> {
    if let Ok(micros) = text.parse::<i64>() {
        return Ok(micros);
    }
    // A plus sign behind the `?` means a space.
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(&text.replace(' ', "+")) {
        return Ok(time.timestamp_micros());
    }
    humantime::parse_duration(text)
        .map(|back: Duration| now_us.saturating_sub(i64::try_from(back.as_micros()).unwrap_or(i64::MAX)))
        .map_err(|_| {
            Refusal::bad(format!(
                "{name}={text:?}: write a time back such as 10m, an instant such as 2026-01-31T08:00:00Z, or microseconds since the epoch"
            ))
        })
}
