//! What an importer gave, as text that a person can check against the file, line by line.

#![allow(dead_code, reason = "each format uses what it has")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use cas::{
    config::import::{Candidate, Container, Files, Imported, Role, Runtime, Schedule, Told, Unread, Variable, Weight},
    model::{
        probe::Probe,
        service::{RestartPolicy, Source},
    },
};

/// The real disk.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, file: &Path) -> Result<String, Unread> {
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Unread::Absent),
            Err(error) => Err(Unread::Because(error.to_string())),
        }
    }
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
    fn list(&self, directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// Files that are only in memory, by absolute path.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<PathBuf, String>);

impl Files for Memory {
    fn read(&self, file: &Path) -> Result<String, Unread> {
        self.0.get(file).cloned().ok_or(Unread::Absent)
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.starts_with(path))
    }
    fn list(&self, directory: &Path) -> Vec<String> {
        let below = self.0.keys().filter(|file| file.parent() == Some(directory));
        below.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect()
    }
}

/// Renders what came out of `file`; everything below `root` is written relative to it.
pub(crate) fn render(imported: &Imported, file: &Path, root: &Path) -> String {
    let page = Page { file, out: String::new() };
    page.all(imported).replace(&format!("{}/", root.display()), "").replace(&root.display().to_string(), ".")
}

struct Page<'f> {
    file: &'f Path,
    out: String,
}

impl Page<'_> {
    fn all(mut self, imported: &Imported) -> String {
        if let Some(project) = &imported.project {
            self.line(0, "project", &project.value, &project.source);
        }
        for service in &imported.services {
            self.service(service);
        }
        for note in &imported.notes {
            let weight = match note.weight {
                Weight::Hint => "hint",
                Weight::Lost => "lost",
                Weight::Error => "error",
            };
            let Source { file, line, column } = &note.source;
            let _ = write!(self.out, "{weight} {}:{line}:{column}: {}", file.display(), note.message);
            if let Some(hint) = &note.hint {
                let _ = write!(self.out, " ({hint})");
            }
            self.out.push('\n');
        }
        self.out
    }

    fn line(&mut self, indent: usize, what: &str, value: &str, source: &Source) {
        let place = if source.file == self.file {
            format!("{}:{}", source.line, source.column)
        } else {
            format!("{}:{}:{}", source.file.display(), source.line, source.column)
        };
        let _ = writeln!(self.out, "{:indent$}{what}: {value}  @{place}", "");
    }

    fn service(&mut self, service: &Candidate) {
        let role = match service.role {
            Role::Service => "service",
            Role::Task => "task",
        };
        self.line(0, role, &service.name.value, &service.name.source);
        match &service.runtime {
            Runtime::Process(command) => self.line(2, "runs", &format!("{:?}", command.value), &command.source),
            Runtime::Container(container) => self.container(container),
        }
        if let Some(dir) = &service.working_dir {
            self.line(2, "working_dir", &dir.value.display().to_string(), &dir.source);
        }
        for (name, told) in &service.environment {
            self.line(2, &format!("env {name}"), &variable(&told.value), &told.source);
        }
        for told in &service.env_files {
            let optional = if told.value.required { "" } else { " (optional)" };
            self.line(2, "env_file", &format!("{}{optional}", told.value.path.display()), &told.source);
        }
        for (name, told) in &service.depends_on {
            let mut text = told.value.condition.label().to_owned();
            text.push_str(if told.value.restart { ", restarts" } else { "" });
            text.push_str(if told.value.required { "" } else { ", optional" });
            self.line(2, &format!("after {name}"), &text, &told.source);
        }
        for told in &service.ports {
            let port = &told.value;
            let host = port.host.map_or("-".to_owned(), |host| host.to_string());
            let address = port.address.as_ref().map(|address| format!("{address} ")).unwrap_or_default();
            let protocol = if port.is_udp { "/udp" } else { "" };
            self.line(2, "port", &format!("{address}{host} -> {}{protocol}", port.target), &told.source);
        }
        for (kind, told) in &service.probes {
            self.line(2, kind.label(), &probe(&told.value), &told.source);
        }
        self.rest(service);
    }

    fn rest(&mut self, service: &Candidate) {
        if let Some(told) = &service.ready_log_line {
            self.line(2, "ready_log_line", &told.value, &told.source);
        }
        if let Some(told) = &service.restart {
            let retries = match told.value {
                RestartPolicy::OnFailure { max_retries: Some(most) } => format!(", {most} times"),
                RestartPolicy::OnFailure { max_retries: None }
                | RestartPolicy::No
                | RestartPolicy::Always
                | RestartPolicy::UnlessStopped => String::new(),
            };
            self.line(2, "restart", &format!("{}{retries}", told.value.label()), &told.source);
        }
        self.debug("restart_delay", service.restart_delay.as_ref());
        self.debug("stop_signal", service.stop_signal.as_ref());
        self.debug("stop_grace", service.stop_grace.as_ref());
        self.debug("cpus", service.bounds.cpus.as_ref());
        self.debug("memory", service.bounds.memory_bytes.as_ref());
        self.debug("pids", service.bounds.pids.as_ref());
        self.debug("tty", service.tty.as_ref());
        self.debug("replicas", service.replicas.as_ref());
        for told in &service.profiles {
            self.line(2, "profile", &told.value, &told.source);
        }
        self.debug("autostart", service.autostart.as_ref());
        if let Some(told) = &service.user {
            self.line(2, "user", &told.value, &told.source);
        }
        if let Some(told) = &service.schedule {
            let text = match &told.value {
                Schedule::Cron(fields) => format!("cron {fields}"),
                Schedule::Every(pause) => format!("every {}", humantime::format_duration(*pause)),
            };
            self.line(2, "schedule", &text, &told.source);
        }
        if let Some(told) = &service.description {
            self.line(2, "description", &told.value, &told.source);
        }
    }

    fn debug<T: std::fmt::Debug>(&mut self, what: &str, told: Option<&Told<T>>) {
        if let Some(told) = told {
            self.line(2, what, &format!("{:?}", told.value), &told.source);
        }
    }

    fn container(&mut self, container: &Container) {
        if let Some(told) = &container.image {
            self.line(2, "image", &told.value, &told.source);
        }
        if let Some(told) = &container.build {
            let build = &told.value;
            let dockerfile = build.dockerfile.as_ref().map(|file| format!(", file {file}")).unwrap_or_default();
            let target = build.target.as_ref().map(|target| format!(", target {target}")).unwrap_or_default();
            self.line(2, "build", &format!("{}{dockerfile}{target}", build.context), &told.source);
            for (name, value) in &build.args {
                let _ = writeln!(self.out, "    arg {name}: {}", variable(value));
            }
        }
        if let Some(told) = &container.entrypoint {
            self.line(2, "entrypoint", &format!("{:?}", told.value), &told.source);
        }
        if let Some(told) = &container.command {
            self.line(2, "command", &format!("{:?}", told.value), &told.source);
        }
        for told in &container.volumes {
            self.line(2, "volume", &told.value, &told.source);
        }
        for told in &container.networks {
            self.line(2, "network", &told.value, &told.source);
        }
        for (name, value) in &container.labels {
            let _ = writeln!(self.out, "  label {name}: {value}");
        }
    }
}

fn variable(value: &Variable) -> String {
    match value {
        Variable::Text(text) => format!("{text:?}"),
        Variable::Inherited => "(inherited)".to_owned(),
    }
}

fn probe(probe: &Probe) -> String {
    let Probe { check, interval, timeout, retries, successes, start_period, heals: _, honest: _ } = probe;
    format!(
        "{}; every {}, timeout {}, {retries} retries, {successes} successes, start {}",
        check.summary(),
        humantime::format_duration(*interval),
        humantime::format_duration(*timeout),
        humantime::format_duration(*start_period),
    )
}
