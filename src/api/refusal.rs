//! Refusals: a status and a sentence, whoever refuses. Never an empty body, never a stack of causes from a library alone.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use super::wire::{OLDEST, RefusalBody, VERSION, VERSION_HEADER};
use crate::host::handle::EngineGone;

/// A refusal with a sentence.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl Refusal {
    /// 400: what was asked makes no sense.
    pub(super) fn bad(sentence: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, sentence.into())
    }

    /// 404: there is no such thing.
    pub(super) fn absent(sentence: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, sentence.into())
    }

    /// 503: not now.
    pub(super) fn unavailable(sentence: impl Into<String>) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, sentence.into())
    }

    /// 503: the answer is none to what was asked.
    pub(super) fn odd_answer() -> Self {
        Self::unavailable("the engine answered something else")
    }
}

impl From<EngineGone> for Refusal {
    fn from(gone: EngineGone) -> Self {
        Self::unavailable(gone.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(RefusalBody { error: self.1 })).into_response()
    }
}

/// The version that a client speaks: the one that it names, else ours (somebody with curl).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Speaks(pub(super) u32);

/// Reads the version that a client names; another than ours and the one before is refused.
pub(super) fn spoken(headers: &HeaderMap) -> Result<Speaks, Refusal> {
    let Some(named) = headers.get(VERSION_HEADER) else { return Ok(Speaks(VERSION)) };
    let version = named.to_str().ok().and_then(|text| text.trim().parse().ok());
    match version {
        Some(version) if (OLDEST..=VERSION).contains(&version) => Ok(Speaks(version)),
        other => {
            let client = other.map_or_else(|| format!("{named:?}"), |version| version.to_string());
            Err(Refusal(
                StatusCode::UPGRADE_REQUIRED,
                mismatch(&client, other.is_some_and(|version| version > VERSION)),
            ))
        }
    }
}

fn mismatch(client: &str, engine_is_older: bool) -> String {
    let hint = if engine_is_older {
        "the engine is the older one: \"cas daemon restart\" brings up the installed cas and leaves services running"
    } else {
        "the client is the older one: use the cas that the engine was started with"
    };
    format!(
        "this engine is cas {} and speaks versions {OLDEST} to {VERSION} of its interface; the client speaks {client}: use the same cas for both ({hint})",
        env!("CARGO_PKG_VERSION")
    )
}

/// Parameters behind the `?`, with a sentence where they cannot be read.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Refusal::bad(format!("the parameters cannot be read: {}", error.body_text()))),
        }
    }
}

/// Names in the path.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(error) => Err(Refusal::bad(format!("the path cannot be read: {}", error.body_text()))),
        }
    }
}

/// The whole body, within the limit.
pub(super) struct Whole(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error @ BytesRejection::FailedToBufferBody(_)) => {
                Err(Refusal(error.status(), "the body is too large or ended early: at most 1 MiB".to_owned()))
            }
            Err(error) => Err(Refusal(error.status(), error.body_text())),
        }
    }
}
