//! Acting: the one door for commands, and the way out. Never behind a read-only socket.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

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
    let ask: Ask = whole_form(&body)
        .map_err(|error| Refusal::bad(format!("the body is not a request: {error}; nothing was done")))?;
    put(&desk.handle, ask, connection.peer()).await.map(|reply| axum::Json(reply).into_response())
}

/// Reads a form in which every word is understood: one that is passed over might have been the consent, or the service. (With
/// `flatten`, serde itself passes over what it does not know.)
pub(super) fn whole_form<T: Serialize + DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let said: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let form = T::deserialize(&said).map_err(|error| error.to_string())?;
    let understood = serde_json::to_value(&form).map_err(|error| error.to_string())?;
    // What says nothing is left out when it is written.
    let says_something = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Object(_) => true,
    };
    let strange = said
        .as_object()
        .into_iter()
        .flatten()
        .find(|(word, value)| says_something(value) && understood.get(word.as_str()).is_none());
    match strange {
        Some((word, _)) => {
            Err(format!("\"{word}\" is not a word of this command: GET /v1/openapi.json has those that are"))
        }
        None => Ok(form),
    }
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
#[serde(deny_unknown_fields)]
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
