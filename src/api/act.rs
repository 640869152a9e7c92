//! Acting: the one door for commands, and the way out. Never behind a read-only socket.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    desk::Desk,
    refusal::{Params, Refusal, Whole},
    wire::Ask,
};
use crate::{
    host::handle::{Departure, Handle},
    model::{
        ids::RequestId,
        policy::{Origin, Reply, Request},
    },
};

pub(super) async fn request(State(desk): State<Desk>, Whole(body): Whole) -> Result<Response, Refusal> {
    let ask: Ask =
        serde_json::from_slice(&body).map_err(|error| Refusal::bad(format!("the body is not a request: {error}")))?;
    put(&desk.handle, ask).await.map(|reply| axum::Json(reply).into_response())
}

/// Puts a request to the engine; nobody can pose as the healer or as cas itself.
pub(super) async fn put(handle: &Handle, ask: Ask) -> Result<Reply, Refusal> {
    let origin = match ask.origin {
        Origin::Key | Origin::Palette | Origin::Cli | Origin::Api => ask.origin,
        Origin::Config | Origin::Healer | Origin::System => Origin::Api,
    };
    let request = Request { id: RequestId(0), origin, command: ask.command, consent: ask.consent };
    handle.request(request).await.map_err(|gone| Refusal::unavailable(gone.to_string()))
}

/// Parameters of `POST /v1/leave`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct LeaveParams {
    /// What becomes of the services: `stop-all` (the default), `leave-running`, or `halt`: all are stopped, and the next engine starts them again.
    departure: Option<Leaving>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Leaving {
    StopAll,
    LeaveRunning,
    Halt,
}

pub(super) async fn leave(State(desk): State<Desk>, Params(params): Params<LeaveParams>) -> StatusCode {
    let departure = match params.departure {
        None | Some(Leaving::StopAll) => Departure::StopAll,
        Some(Leaving::LeaveRunning) => Departure::LeaveRunning,
        Some(Leaving::Halt) => Departure::Halt,
    };
    desk.handle.depart(departure).await;
    StatusCode::NO_CONTENT
}
