//! What a new reading of a file would do, and in which keys it differs. Never: a value.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::model::{
    ids::{ProjectName, ServiceId},
    mark::SpecMark,
    probe::ProbeKind,
    project::{Problem, ProjectSpec},
    service::{CommandLine, ServiceSpec},
};

use super::{
    Engine,
    state::{Declared, Goal, Service},
};

/// A file as it was read for a plan.
pub type Reading = Result<Arc<ProjectSpec>, Vec<Problem>>;

/// So many services are named in one line; of more their number is said.
const NAMED: usize = 4;

/// The keys in which two specs of a service differ, in the words of `cas.yaml`; of variables their names.
#[must_use]
pub fn changed_keys(old: &ServiceSpec, new: &ServiceSpec) -> Vec<String> {
    let ServiceSpec {
        id: _,
        kind,
        command,
        container,
        working_dir,
        environment,
        secrets,
        base_environment: _,
        limits,
        attributes,
        logs,
        log_files,
        tty,
        depends_on,
        nature,
        probes,
        ready_log_line,
        restart,
        backoff,
        stop,
        hooks,
        ports,
        autostart,
        occasions,
        source: _,
        description,
    } = old;
    let is_shell = matches!(new.command, CommandLine::Shell(_));
    let mut keys: Vec<String> = [
        ("kind", *kind != new.kind),
        (if is_shell { "shell" } else { "command" }, *command != new.command),
        ("image", *container != new.container),
        ("working_dir", *working_dir != new.working_dir),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(key, _)| key.to_owned())
    .collect();
    if *environment != new.environment {
        keys.push(format!("environment ({})", names_of_changed(environment, &new.environment)));
    }
    let probe = |kind: ProbeKind| probes.get(&kind) != new.probes.get(&kind);
    let rest = [
        ("limits", *limits != new.limits),
        ("user", attributes.user != new.attributes.user),
        ("umask", attributes.umask != new.attributes.umask),
        ("nice", attributes.nice != new.attributes.nice),
        ("ulimits", attributes.ulimits != new.attributes.ulimits),
        ("secrets", *secrets != new.secrets),
        ("logs", *logs != new.logs),
        ("log_files", *log_files != new.log_files),
        ("tty", *tty != new.tty),
        ("depends_on", *depends_on != new.depends_on),
        ("kind", *nature != new.nature),
        ("startup", probe(ProbeKind::Startup)),
        ("readiness", probe(ProbeKind::Readiness)),
        ("liveness", probe(ProbeKind::Liveness)),
        ("ready_log_line", *ready_log_line != new.ready_log_line),
        ("restart", *restart != new.restart),
        ("backoff", *backoff != new.backoff),
        ("stop_signal", stop.signal != new.stop.signal),
        ("stop_grace_period", stop.grace != new.stop.grace),
        ("pre_start", hooks.pre_start != new.hooks.pre_start),
        ("post_start", hooks.post_start != new.hooks.post_start),
        ("pre_stop", hooks.pre_stop != new.hooks.pre_stop),
        ("on_failure", hooks.on_failure != new.hooks.on_failure),
        ("ports", *ports != new.ports),
        ("autostart", *autostart != new.autostart),
        ("profiles", occasions.profiles != new.occasions.profiles),
        ("schedule", occasions.schedule != new.occasions.schedule),
        ("watch", occasions.watch != new.occasions.watch),
        ("replicas", occasions.replica != new.occasions.replica),
        ("description", *description != new.description),
    ];
    keys.extend(rest.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key.to_owned()));
    keys
}

fn names_of_changed(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> String {
    let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed: Vec<&str> =
        all.into_iter().filter(|name| old.get(*name) != new.get(*name)).map(String::as_str).collect();
    match changed.get(NAMED..) {
        Some(more @ [_, ..]) => format!("{} and {} more", changed[..NAMED].join(", "), more.len()),
        Some([]) | None => changed.join(", "),
    }
}

/// The differences between two readings of one file in a line, such as `web (command), db gone`; empty where there are none.
#[must_use]
pub fn difference(old: &ProjectSpec, new: &ProjectSpec) -> String {
    let mut parts = Vec::new();
    for spec in &new.services {
        match old.services.iter().find(|before| before.id.service == spec.id.service) {
            None => parts.push(format!("{} new", spec.id.service)),
            Some(before) => {
                let keys = changed_keys(before, spec);
                if !keys.is_empty() {
                    parts.push(format!("{} ({})", spec.id.service, keys.join(", ")));
                }
            }
        }
    }
    let gone =
        old.services.iter().filter(|before| new.services.iter().all(|spec| spec.id.service != before.id.service));
    parts.extend(gone.map(|before| format!("{} gone", before.id.service)));
    if parts.len() > NAMED {
        let more = parts.len() - NAMED;
        parts.truncate(NAMED);
        parts.push(format!("and {more} more"));
    }
    parts.join(", ")
}

/// What would become of one service.
pub(super) struct Step {
    pub(super) id: ServiceId,
    /// `restart`, `change`, `start`, `stop`, `add`, `remove`.
    pub(super) verb: &'static str,
    /// What a person reads, one line.
    pub(super) line: String,
    /// Its process would end.
    pub(super) ends: bool,
}

impl Service {
    /// Whether a spec with `mark` would have its run started anew: what somebody is stopping stays on its way down.
    pub(super) fn restarts_for(&self, mark: SpecMark) -> bool {
        self.goal == Goal::Up && self.is_active() && self.is_out_of_date_by(mark)
    }
}

impl Engine {
    /// What taking a project's file in would do, in the order of the file, then what is gone from it.
    pub(super) fn foreseen(&self, project: &ProjectSpec) -> Vec<Step> {
        let mut steps = Vec::new();
        for spec in &project.services {
            let name = self.short(&spec.id);
            let step = |verb, line, ends| Step { id: spec.id.clone(), verb, line, ends };
            let Some(service) = self.services.get(&spec.id).filter(|service| service.declared == Declared::Yes) else {
                steps.push(if spec.autostart {
                    step("start", format!("start {name} (new in the file)"), false)
                } else {
                    step("add", format!("add {name} (new in the file, not started)"), false)
                });
                continue;
            };
            let keys = changed_keys(&service.spec, spec);
            if service.restarts_for(SpecMark::of(spec)) {
                let why = if keys.is_empty() { "it runs with older settings".to_owned() } else { keys.join(", ") };
                steps.push(step("restart", format!("restart {name}: {why}"), true));
            } else if !keys.is_empty() {
                steps.push(step("change", format!("change {name} in place: {}", keys.join(", ")), false));
            }
        }
        let declared: BTreeSet<&ServiceId> = project.services.iter().map(|spec| &spec.id).collect();
        for (id, service) in &self.services {
            if id.project != project.name || declared.contains(id) || service.declared == Declared::No {
                continue;
            }
            let (name, ends) = (self.short(id), !service.is_at_rest());
            let (verb, line) = if ends {
                ("stop", format!("stop {name} (gone from the file)"))
            } else {
                ("remove", format!("remove {name} (gone from the file)"))
            };
            steps.push(Step { id: id.clone(), verb, line, ends });
        }
        steps
    }

    /// Files that were just read for a plan.
    pub(super) fn files_read(&mut self, files: BTreeMap<ProjectName, Reading>) {
        self.read = files;
    }
}

/// `start new; restart web; change db and api in place`, or what else is to be said of no step.
pub(super) fn summary(steps: &[Step], name: impl Fn(&ServiceId) -> String) -> String {
    let parts: Vec<String> = ["start", "add", "stop", "remove", "restart", "change"]
        .into_iter()
        .filter_map(|verb| {
            let names: Vec<String> = steps.iter().filter(|step| step.verb == verb).map(|step| name(&step.id)).collect();
            let subject = match names.as_slice() {
                [] => return None,
                names if names.len() <= NAMED => names.join(", "),
                names => format!("{} services", names.len()),
            };
            Some(format!("{verb} {subject}{}", if verb == "change" { " in place" } else { "" }))
        })
        .collect();
    if parts.is_empty() { "nothing changes".to_owned() } else { parts.join("; ") }
}
