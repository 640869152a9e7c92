//! The stable JSON form of a checked file; `docs/cas-yaml.md` describes it. Never: a value of a variable, only names; a secret in a
//! command line.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Loaded, log_files::how_label, logs::on_full_label};
use crate::model::{
    log_file::LogFiles,
    occasion::{OccasionView, Replica},
    project::Problem,
    redact::Redactor,
    service::{Dependency, Limits, LogPolicy},
};

/// What could be understood of one service, also where the file has errors. A value that is wrong stands as its default.
#[derive(Debug, Clone, PartialEq)]
pub struct Understood {
    /// Its name.
    pub name: String,
    /// Its command as one would type it; none where it is missing or wrong.
    pub command: Option<String>,
    /// Absolute directory in which it is executed.
    pub working_dir: PathBuf,
    /// Names of services that exist, sorted.
    pub depends_on: Vec<(String, Dependency)>,
    /// TCP ports.
    pub ports: Vec<u16>,
    /// Names of its variables, sorted.
    pub environment_names: Vec<String>,
    /// Name and source of each secret, sorted; never a value.
    pub secrets: Vec<(String, String)>,
    /// Question and short text of each probe.
    pub probes: Vec<(&'static str, String)>,
    /// Word of its restart policy.
    pub restart: &'static str,
    /// Started when the project is opened.
    pub autostart: bool,
    /// What else starts it, and as how many.
    pub occasions: OccasionView,
    /// What it may use.
    pub limits: Limits,
    /// How its output is kept.
    pub logs: LogPolicy,
    /// Files that it writes itself.
    pub log_files: Vec<LogFiles>,
    /// It runs in a terminal of its own.
    pub tty: bool,
    /// `file:line:column` of its name.
    pub source: String,
}

impl Understood {
    /// Takes the secrets out of what is shown of it.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        if let Some(command) = &mut self.command {
            redactor.own(command);
        }
        if let Some(watch) = &mut self.occasions.watch {
            redactor.own(watch);
        }
        for (_, source) in &mut self.secrets {
            redactor.own(source);
        }
        for (_, probe) in &mut self.probes {
            redactor.own(probe);
        }
    }
}

/// What `cas check --json` prints: `project`, `file`, `services`, `notes`, `errors`. `project` is null where there are errors;
/// `services` has what was understood in any case.
#[must_use]
pub fn check_json(loaded: &Loaded) -> Value {
    json!({
        "project": loaded.project.as_ref().map(|project| project.name.as_str()),
        "file": loaded.file,
        "services": loaded.understood.iter().map(service_json).collect::<Vec<_>>(),
        "notes": loaded.notes.iter().map(problem_json).collect::<Vec<_>>(),
        "errors": loaded.errors.iter().map(problem_json).collect::<Vec<_>>(),
    })
}

fn service_json(service: &Understood) -> Value {
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
    let probes: serde_json::Map<String, Value> =
        service.probes.iter().map(|(kind, text)| ((*kind).to_owned(), Value::String(text.clone()))).collect();
    let secrets: serde_json::Map<String, Value> =
        service.secrets.iter().map(|(name, source)| (name.clone(), Value::String(source.clone()))).collect();
    json!({
        "name": service.name,
        "command": service.command,
        "working_dir": service.working_dir,
        "depends_on": depends_on,
        "ports": service.ports,
        "environment_names": service.environment_names,
        "secrets": secrets,
        "probes": probes,
        "restart": service.restart,
        "autostart": service.autostart,
        "profiles": service.occasions.profiles.names,
        "replica": service.occasions.replica.as_ref().map(replica_json),
        "schedule": service.occasions.schedule,
        "watch": service.occasions.watch,
        "limits": {
            "cpus": service.limits.cpus,
            "memory": service.limits.memory_bytes,
            "pids": service.limits.pids,
        },
        "logs": {
            "max_size": service.logs.max_size,
            "max_age_seconds": service.logs.max_age.map(|age| age.as_secs()),
            "on_full": on_full_label(service.logs.on_full),
            "split_streams": service.logs.split_streams,
        },
        "log_files": service.log_files.iter().map(log_files_json).collect::<Vec<_>>(),
        "tty": service.tty,
        "source": service.source,
    })
}

fn log_files_json(files: &LogFiles) -> Value {
    json!({
        "path": files.path(&files.name),
        "follow": files.follow,
        "rotate": files.rotate.map(|rotate| json!({
            "max_size": rotate.max_bytes,
            "max_age_seconds": rotate.max_age.map(|age| age.as_secs()),
            "keep": rotate.keep,
            "keep_for_seconds": rotate.keep_for.map(|time| time.as_secs()),
            "compress": rotate.compress,
            "how": how_label(rotate.how),
        })),
    })
}

fn replica_json(replica: &Replica) -> Value {
    json!({ "of": replica.of, "number": replica.number, "count": replica.count })
}

/// One problem as `cas check --json` prints it.
#[must_use]
pub fn problem_json(problem: &Problem) -> Value {
    json!({
        "message": problem.message,
        "hint": problem.hint,
        "source": problem.source.as_ref().map(ToString::to_string),
    })
}
