//! `GET /v1/patterns`: what is known of the patterns in the output of services. Looks only; secrets are out of it.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    desk::Desk,
    logs::service_of,
    refusal::{Params, Refusal},
};
use crate::model::{
    ids::ServiceId,
    pattern::ServicePatterns,
    query::{Answer, Query},
};

/// Parameters of `GET /v1/patterns`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatternParams {
    /// Of these services only: `project/name`, several with commas between them.
    service: Option<String>,
}

pub(super) async fn patterns(
    State(desk): State<Desk>,
    Params(params): Params<PatternParams>,
) -> Result<Json<Vec<ServicePatterns>>, Refusal> {
    let named = params.service.as_deref().map(|names| names.split(',').map(service_of).collect());
    let services: Vec<ServiceId> = named.transpose()?.unwrap_or_default();
    let snapshot = desk.handle.snapshot();
    if let Some(unknown) = services.iter().find(|id| snapshot.service(id).is_none()) {
        return Err(Refusal::absent(format!("there is no service {unknown}: GET /v1/services lists them")));
    }
    let Answer::Patterns(patterns) = desk.ask(Query::Patterns { services }).await? else {
        return Err(Refusal::odd_answer());
    };
    Ok(Json(patterns))
}
