//! The one table of what stands on the sockets: the router and the document are both made from it, so that neither can drift.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    act,
    connection::Connection,
    desk::{Access, Desk},
    entries, live, logs, openapi, read,
    refusal::{Refusal, spoken},
    tty,
    wire::{
        Ask, EntryLine, HealthView, Hello, LiveAsk, LiveNews, LogNewsLine, Metrics, SelfView, ShellView, WindowSize,
    },
};
use crate::model::{
    deed::DiskUse,
    log_file::LogFileView,
    policy::Reply,
    snapshot::{ServiceView, Snapshot},
    timeline::Entry,
};

/// Bytes that a request's body may have.
const BODY_LIMIT: usize = 1024 * 1024;

/// A request that was not read and answered by then is given up; streams are answered when they begin.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How a form is described.
pub(super) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// The method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Looks.
    Get,
    /// Acts.
    Post,
}

/// Behind which socket a route stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Both.
    Sight,
    /// The owner's own: it acts, or shows values of variables.
    Hands,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Usual,
    /// As long as it takes: services have their own grace times, images their size.
    Endless,
}

/// What a route answers with.
pub(super) enum Answers {
    /// A status and documents of these kinds.
    Documents(StatusCode, Vec<(&'static str, Describe)>),
    /// A WebSocket; what the engine says in text messages, and what it takes.
    Socket { says: Option<Describe>, takes: Describe },
    /// Nothing but the status 204.
    Nothing,
}

/// One thing that can be asked for.
pub(super) struct Route {
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    pub(super) needs: Needs,
    pub(super) params: Option<Describe>,
    pub(super) body: Option<Describe>,
    pub(super) answers: Answers,
    patience: Patience,
    mount: MethodRouter<Desk>,
}

/// JSON.
pub(super) const JSON: &str = "application/json";
/// One JSON document a line.
pub(super) const LINES: &str = "application/x-ndjson";
/// The text form of Prometheus.
pub(super) const PROMETHEUS: &str = "text/plain; version=0.0.4";

fn form<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    fn look<T: JsonSchema>(path: &'static str, about: &'static str, mount: MethodRouter<Desk>) -> Self {
        Self {
            verb: Verb::Get,
            path,
            about,
            needs: Needs::Sight,
            params: None,
            body: None,
            answers: Answers::Documents(StatusCode::OK, vec![(JSON, form::<T>)]),
            patience: Patience::Usual,
            mount,
        }
    }

    fn act<B: JsonSchema, T: JsonSchema>(path: &'static str, about: &'static str, mount: MethodRouter<Desk>) -> Self {
        Self { verb: Verb::Post, needs: Needs::Hands, body: Some(form::<B>), ..Self::look::<T>(path, about, mount) }
    }

    fn with_params<P: JsonSchema>(self) -> Self {
        Self { params: Some(form::<P>), ..self }
    }

    fn answering(self, answers: Answers) -> Self {
        Self { answers, ..self }
    }

    fn for_hands(self) -> Self {
        Self { needs: Needs::Hands, ..self }
    }
}

/// Everything that can be asked for.
pub(super) fn table() -> Vec<Route> {
    let documents = |documents: Vec<(&'static str, Describe)>| Answers::Documents(StatusCode::OK, documents);
    vec![
        Route::look::<Hello>("/v1", "Who answers", get(read::hello)),
        Route::look::<serde_json::Value>("/v1/openapi.json", "This document", get(document)),
        Route::look::<HealthView>("/v1/health", "Whether all is well: 200, else 503", get(read::health)),
        Route::look::<SelfView>("/v1/daemon", "How the engine's own process is", get(read::daemon)),
        Route::look::<Snapshot>("/v1/snapshot", "The present picture", get(read::snapshot)),
        Route::look::<Snapshot>("/v1/snapshots", "Pictures as they come, at least one a second", get(read::snapshots))
            .answering(documents(vec![(LINES, form::<Snapshot>)])),
        Route::look::<DiskUse>("/v1/disk", "What takes up space on Docker's disk", get(read::disk)).for_hands(),
        Route::look::<Vec<LogFileView>>(
            "/v1/log-files",
            "Files that services write themselves: size, growth, how and when they are rotated",
            get(read::log_files),
        )
        .with_params::<read::LogFileParams>(),
        Route::look::<Vec<Arc<ServiceView>>>("/v1/services", "The services of open projects", get(read::services)),
        Route::look::<ServiceView>("/v1/services/{project}/{service}", "One service", get(read::service)),
        Route::look::<ShellView>(
            "/v1/services/{project}/{service}/shell",
            "Directory and variables, values included, for a shell beside a service",
            get(read::shell),
        )
        .for_hands(),
        Route::look::<()>(
            "/v1/services/{project}/{service}/tty",
            "The terminal of a service as a WebSocket: binary messages are what is typed and written, a text message is the window's size",
            get(tty::attach),
        )
        .for_hands()
        .answering(Answers::Socket { says: None, takes: form::<WindowSize> }),
        Route::look::<LogNewsLine>("/v1/logs", "Output, oldest first, then live where it is followed", get(logs::logs))
            .with_params::<logs::LogParams>()
            .answering(documents(vec![(LINES, form::<LogNewsLine>)])),
        Route::look::<Vec<Entry>>("/v1/entries", "The newest entries of the timeline, oldest first", get(entries::entries))
            .with_params::<entries::EntryParams>()
            .answering(documents(vec![(JSON, form::<Vec<Entry>>), (LINES, form::<EntryLine>)])),
        Route::look::<Metrics>("/v1/metrics", "What machine and services use now", get(read::metrics))
            .with_params::<read::MetricParams>()
            .answering(documents(vec![(JSON, form::<Metrics>), (PROMETHEUS, form::<String>)])),
        Route::look::<LiveNews>("/v1/live", "All of it live, and a way to ask: a WebSocket", get(live::live))
            .with_params::<live::LiveParams>()
            .answering(Answers::Socket { says: Some(form::<LiveNews>), takes: form::<LiveAsk> }),
        // An image takes as long as it takes to come.
        Route {
            patience: Patience::Endless,
            ..Route::act::<Ask, Reply>("/v1/requests", "A command at the door", post(act::request))
        },
        Route {
            patience: Patience::Endless,
            body: None,
            ..Route::act::<(), ()>("/v1/leave", "Ends the engine; answered when it has ended", post(act::leave))
        }
        .with_params::<act::LeaveParams>()
        .answering(Answers::Nothing),
    ]
}

async fn document() -> Response {
    axum::Json(openapi::document(&table())).into_response()
}

/// The router of one socket. Behind a read-only one there is nothing that acts: not even a way to it.
pub(super) fn router(desk: Desk) -> Router {
    let mut router = Router::new();
    for route in table() {
        let mount = match (route.needs, desk.access) {
            (Needs::Sight, _) | (Needs::Hands, Access::Full) => route.mount,
            (Needs::Hands, Access::ReadOnly) => match route.verb {
                Verb::Get => get(shows_only),
                Verb::Post => post(shows_only),
            },
        };
        router = router.route(
            route.path,
            match route.patience {
                Patience::Usual => mount.layer(from_fn(in_time)),
                Patience::Endless => mount,
            },
        );
    }
    router
        .fallback(|| async { Refusal::absent("there is nothing here: GET /v1/openapi.json says what there is") })
        .method_not_allowed_fallback(|| async {
            Refusal(StatusCode::METHOD_NOT_ALLOWED, "not with this method: see GET /v1/openapi.json".to_owned())
        })
        .layer(from_fn(gate))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(desk)
}

async fn shows_only() -> Refusal {
    Refusal(
        StatusCode::FORBIDDEN,
        "this socket only shows: what acts, or shows values of variables, is on the owner's own socket".to_owned(),
    )
}

/// Before every request: which version the client speaks, and whether it asks too often.
async fn gate(
    Extension(connection): Extension<Arc<Connection>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if !connection.may_ask() {
        return Err(Refusal(
            StatusCode::TOO_MANY_REQUESTS,
            "more than 100 requests a second on one connection: wait a moment, or follow a stream".to_owned(),
        ));
    }
    let speaks = spoken(request.headers())?;
    request.extensions_mut().insert(speaks);
    Ok(next.run(request).await)
}

/// Gives up on a request whose body drips, or whose answer does not come.
async fn in_time(request: Request, next: Next) -> Result<Response, Refusal> {
    tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await.map_err(|_| {
        Refusal(StatusCode::REQUEST_TIMEOUT, format!("not done within {} s, so given up", ANSWER_WITHIN.as_secs()))
    })
}
