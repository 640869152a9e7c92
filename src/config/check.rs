//! The stable JSON form of a checked file; `docs/cas-yaml.md` describes it. Never: a value of a variable, only names.

use serde_json::{Value, json};

use super::Loaded;
use crate::model::{project::Problem, service::ServiceSpec};

/// What `cas check --json` prints: `project`, `file`, `services`, `notes`, `errors`. `services` is empty where there are errors.
#[must_use]
pub fn check_json(loaded: &Loaded) -> Value {
    let services: Vec<Value> =
        loaded.project.iter().flat_map(|project| &project.services).map(|service| service_json(service)).collect();
    json!({
        "project": loaded.project.as_ref().map(|project| project.name.as_str()),
        "file": loaded.file,
        "services": services,
        "notes": loaded.notes.iter().map(problem_json).collect::<Vec<_>>(),
        "errors": loaded.errors.iter().map(problem_json).collect::<Vec<_>>(),
    })
}

fn service_json(service: &ServiceSpec) -> Value {
    let depends_on: Vec<Value> = service
        .depends_on
        .iter()
        .map(|(name, dependency)| {
            json!({
                "service": name,
                "condition": dependency.condition.label(),
                "required": dependency.required,
            })
        })
        .collect();
    let probes: serde_json::Map<String, Value> = service
        .probes
        .iter()
        .map(|(kind, probe)| (kind.label().to_owned(), Value::String(probe.check.summary())))
        .collect();
    json!({
        "name": service.id.service,
        "command": service.command.display(),
        "working_dir": service.working_dir,
        "depends_on": depends_on,
        "ports": service.ports,
        "environment_names": service.environment.keys().collect::<Vec<_>>(),
        "probes": probes,
        "restart": service.restart.label(),
        "autostart": service.autostart,
        "source": service.source.to_string(),
    })
}

fn problem_json(problem: &Problem) -> Value {
    json!({
        "message": problem.message,
        "hint": problem.hint,
        "source": problem.source.as_ref().map(ToString::to_string),
    })
}
