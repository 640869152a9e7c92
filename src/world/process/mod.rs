//! Children of our own: the commands of probes. Never a service: those are children of their shims (see [`super::slot`]).

pub(super) mod launch;
mod session;

use std::ffi::OsString;

use crate::model::{ids::RunId, secret::SecretValues, service::ServiceSpec};

/// The environment that every process of a service has beyond the one that it begins with.
pub(super) fn environment_of(run: RunId, spec: &ServiceSpec, secrets: &SecretValues) -> Vec<(OsString, OsString)> {
    let own = spec.environment.iter().map(|(name, value)| (name.into(), value.into()));
    let own = own.chain(secrets.0.iter().map(|(name, value)| (name.into(), value.into())));
    let marks = [("CAS_RUN", run.to_string()), ("CAS_SERVICE", spec.id.to_string())];
    own.chain(marks.map(|(name, value)| (name.into(), value.into()))).collect()
}
