//! Acting: the one door for commands, and the way out. Never behind a read-only socket.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    connection::Connection,
    desk::Desk,
    refusal::{Params, Refusal, Whole},
    wire::Ask,
};
use crate::{
    host::handle::{Departure, Handle},
    model::{
        ids::RequestId,
        policy::{Asker, Origin, Reply, Request},
    },
};

pub(super) async fn request(
    State(desk): State<Desk>,
    Extension(connection): Extension<Arc<Connection>>,
    Whole(body): Whole,
) -> Result<Response, Refusal> {
    let ask: Ask =
        serde_json::from_slice(&body).map_err(|error| Refusal::bad(format!("the body is not a request: {error}")))?;
    put(&desk.handle, ask, connection.peer()).await.map(|reply| axum::Json(reply).into_response())
}

/// Puts a request to the engine; nobody can pose as the healer or as cas itself.
pub(super) async fn put(handle: &Handle, ask: Ask, asker: Option<Asker>) -> Result<Reply, Refusal> {
    let origin = match ask.origin {
        Origin::Key | Origin::Palette | Origin::Cli | Origin::Api => ask.origin,
        Origin::Config | Origin::Healer | Origin::System => Origin::Api,
    };
    let Ask { command, consent, if_rev, .. } = ask;
    let request = Request { id: RequestId(0), origin, command, consent, if_rev, asker };
    handle.request(request).await.map_err(|gone| Refusal::unavailable(gone.to_string()))
}

/// Parameters of `POST /v1/leave`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct LeaveParams {
    /// What becomes of the services: `stop-all` (the default) or `leave-running`.
    departure: Option<Leaving>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Leaving {
    StopAll,
    LeaveRunning,
}

pub(super) async fn leave(State(desk): State<Desk>, Params(params): Params<LeaveParams>) -> StatusCode {
    let departure = match params.departure {
        None | Some(Leaving::StopAll) => Departure::StopAll,
        Some(Leaving::LeaveRunning) => Departure::LeaveRunning,
    };
    desk.handle.depart(departure).await;
    StatusCode::NO_CONTENT
}
