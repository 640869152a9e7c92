//! What an importer gave, as a text that stays the same. Never: a path of the machine that runs it.

use std::{fmt::Write as _, path::Path};

use cas::{
    config::import::{Candidate, Imported, Runtime, Schedule, Told, Variable, Weight},
    model::service::{RestartPolicy, Source},
};

/// The whole, paths relative to `root`.
pub(super) fn rendered(imported: &Imported, root: &Path) -> String {
    let mut text = String::new();
    if let Some(project) = &imported.project {
        writeln!(text, "project {:?} {}", project.value, place(&project.source, root)).unwrap();
    }
    for service in &imported.services {
        text.push_str(&candidate(service, root));
    }
    for note in &imported.notes {
        let weight = match note.weight {
            Weight::Hint => "hint",
            Weight::Lost => "lost",
            Weight::Error => "error",
        };
        writeln!(text, "{weight} {}: {}", place(&note.source, root), note.message).unwrap();
        if let Some(hint) = &note.hint {
            writeln!(text, "    {hint}").unwrap();
        }
    }
    let shown = root.display().to_string();
    text.replace(&format!("{shown}/"), "").replace(&shown, ".")
}

fn place(source: &Source, root: &Path) -> String {
    let file = source.file.strip_prefix(root).unwrap_or(&source.file);
    format!("@{}:{}:{}", file.display(), source.line, source.column)
}

fn candidate(service: &Candidate, root: &Path) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String, source: &Source| {
        writeln!(text, "  {key} {value} {}", place(source, root)).unwrap();
    };
    match &service.runtime {
        Runtime::Process(command) => line("command", format!("{:?}", command.value), &command.source),
        Runtime::Container(container) => panic!("no format here gives a container: {container:?}"),
    }
    let mut told = |key: &str, told: Option<Told<String>>| {
        if let Some(told) = told {
            line(key, told.value, &told.source);
        }
    };
    told("working_dir", as_text(service.working_dir.as_ref(), |path| path.display().to_string()));
    for (name, variable) in &service.environment {
        let shown = |variable: &Variable| match variable {
            Variable::Text(text) => format!("{name}={text:?}"),
            Variable::Inherited => format!("{name} inherited"),
        };
        told("environment", as_text(Some(variable), shown));
    }
    for file in &service.env_files {
        let shown = |file: &cas::config::import::EnvFile| {
            format!("{}{}", file.path.display(), if file.required { "" } else { " if there" })
        };
        told("env_file", as_text(Some(file), shown));
    }
    for (name, needs) in &service.depends_on {
        let shown = |needs: &cas::model::service::Dependency| {
            let optional = if needs.required { "" } else { " optional" };
            format!("{name} {}{optional}{}", needs.condition.label(), if needs.restart { " restart" } else { "" })
        };
        told("depends_on", as_text(Some(needs), shown));
    }
    for (kind, probe) in &service.probes {
        let shown = |probe: &cas::model::probe::Probe| {
            let status = match &probe.check {
                cas::model::probe::Check::Http { status: Some(status), .. } => format!(" status {status}"),
                cas::model::probe::Check::Http { status: None, .. }
                | cas::model::probe::Check::Exec(_)
                | cas::model::probe::Check::Tcp { .. }
                | cas::model::probe::Check::Server { .. }
                | cas::model::probe::Check::Container
                | cas::model::probe::Check::Log { .. } => String::new(),
            };
            format!(
                "{} {}{status} every {:?} timeout {:?} retries {} successes {} start {:?}",
                kind.label(),
                probe.check.summary(),
                probe.interval,
                probe.timeout,
                probe.retries,
                probe.successes,
                probe.start_period
            )
        };
        told("probe", as_text(Some(probe), shown));
    }
    told("ready_log_line", as_text(service.ready_log_line.as_ref(), |line| format!("{line:?}")));
    let policy = |policy: &RestartPolicy| match policy {
        RestartPolicy::OnFailure { max_retries: Some(most) } => format!("on-failure at most {most}"),
        RestartPolicy::OnFailure { max_retries: None }
        | RestartPolicy::No
        | RestartPolicy::Always
        | RestartPolicy::UnlessStopped => policy.label().to_owned(),
    };
    told("restart", as_text(service.restart.as_ref(), policy));
    told("restart_delay", as_text(service.restart_delay.as_ref(), |delay| format!("{delay:?}")));
    told("stop_signal", as_text(service.stop_signal.as_ref(), ToString::to_string));
    told("stop_grace", as_text(service.stop_grace.as_ref(), |grace| format!("{grace:?}")));
    told("cpus", as_text(service.bounds.cpus.as_ref(), ToString::to_string));
    told("memory", as_text(service.bounds.memory_bytes.as_ref(), ToString::to_string));
    told("pids", as_text(service.bounds.pids.as_ref(), ToString::to_string));
    told("tty", as_text(service.tty.as_ref(), ToString::to_string));
    told("replicas", as_text(service.replicas.as_ref(), ToString::to_string));
    told("autostart", as_text(service.autostart.as_ref(), ToString::to_string));
    told("user", as_text(service.user.as_ref(), Clone::clone));
    let clock = |schedule: &Schedule| match schedule {
        Schedule::Cron(cron) => format!("cron {cron:?}"),
        Schedule::Every(every) => format!("every {every:?}"),
    };
    told("schedule", as_text(service.schedule.as_ref(), clock));
    told("description", as_text(service.description.as_ref(), |text| format!("{text:?}")));
    let role = match service.role {
        cas::config::import::Role::Service => "service",
        cas::config::import::Role::Task => "task",
    };
    format!("{role} {:?} {}\n{text}", service.name.value, place(&service.name.source, root))
}

fn as_text<T>(told: Option<&Told<T>>, shown: impl Fn(&T) -> String) -> Option<Told<String>> {
    told.map(|told| Told { value: shown(&told.value), source: told.source.clone() })
}
