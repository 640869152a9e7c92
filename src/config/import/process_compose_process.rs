//! One process of a `process-compose.yaml`. Never: decides what process-compose itself leaves open.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Candidate, EnvFile, Runtime, Schedule, Told, Weight,
    page::{Page, brief},
    process_compose::{Entry, Project, variables, vars},
};
use crate::{
    config::{
        problems::Place,
        tree::{Node, Shape},
    },
    model::{
        probe::ProbeKind,
        service::{CommandLine, Condition, Dependency, RestartPolicy},
    },
};

/// Keys of a process.
const KNOWN: &[&str] = &[
    "extends",
    "disabled",
    "is_disabled",
    "is_daemon",
    "command",
    "entrypoint",
    "log_location",
    "log_configuration",
    "environment",
    "env_file",
    "availability",
    "depends_on",
    "liveness_probe",
    "readiness_probe",
    "ready_log_line",
    "shutdown",
    "disable_ansi_colors",
    "working_dir",
    "namespace",
    "replicas",
    "description",
    "vars",
    "is_foreground",
    "is_tty",
    "is_elevated",
    "is_interactive",
    "launch_timeout_seconds",
    "is_dotenv_disabled",
    "schedule",
    "watch",
    "mcp",
    "truncate_log",
    "is_template_disabled",
    "monitor_for",
    "monitor_silence_threshold",
    "success_exit_codes",
];
const AVAILABILITY: &[&str] = &["restart", "backoff_seconds", "max_restarts", "exit_on_end", "exit_on_skipped"];
const SHUTDOWN: &[&str] = &["command", "timeout_seconds", "signal", "parent_only", "send_keys"];
const SCHEDULE: &[&str] = &["cron", "interval", "timezone", "run_on_start", "max_concurrent"];

/// A process and the names of those of which it waits for the end.
pub(super) struct Process {
    pub(super) candidate: Candidate,
    pub(super) completed: Vec<String>,
}

pub(super) struct Reader<'r, 'm> {
    pub(super) page: &'r mut Page<'m>,
    project: &'r Project,
    name: &'r str,
    vars: BTreeMap<String, String>,
    uses_templates: bool,
    command: Option<Told<String>>,
    entrypoint: Option<Told<Vec<String>>>,
    restart: Option<(Place, RestartWord)>,
    max_restarts: Option<(Place, u32)>,
    completed: Vec<String>,
}

#[derive(Clone, Copy)]
enum RestartWord {
    No,
    Always,
    OnFailure,
}

pub(super) fn read(page: &mut Page<'_>, project: &Project, name: &Told<String>, entries: &[Entry]) -> Option<Process> {
    let mut own = project.vars.clone();
    for entry in entries.iter().filter(|entry| &*entry.key.text == "vars") {
        page.file.clone_from(&entry.file);
        own.extend(vars(page, project, &format!("{}.vars", name.value), &entry.node));
    }
    // What process-compose itself adds; of copies each has another number, which no single service can say.
    own.entry("PC_PROC_NAME".to_owned()).or_insert_with(|| name.value.clone());
    let is_several = entries.iter().rev().find(|entry| &*entry.key.text == "replicas").is_some_and(
        |entry| matches!(&entry.node.shape, Shape::Scalar { text, .. } if text.parse::<u32>().is_ok_and(|count| count > 1)),
    );
    if !is_several {
        own.entry("PC_REPLICA_NUM".to_owned()).or_insert_with(|| "0".to_owned());
    }
    let is_on = |key: &str| {
        entries.iter().rev().find(|entry| &*entry.key.text == key).is_some_and(
            |entry| matches!(&entry.node.shape, Shape::Scalar { text, .. } if text.eq_ignore_ascii_case("true")),
        )
    };
    let mut reader = Reader {
        page,
        project,
        name: &name.value,
        vars: own,
        uses_templates: !is_on("is_template_disabled"),
        command: None,
        entrypoint: None,
        restart: None,
        max_restarts: None,
        completed: Vec::new(),
    };
    let nothing = Told { value: CommandLine::Shell(String::new()), source: name.source.clone() };
    let mut candidate = Candidate::new(name.clone(), Runtime::Process(nothing));
    candidate.environment = project.environment.clone();
    if !is_on("is_dotenv_disabled") {
        candidate.env_files.extend(project.dot_env.clone());
    }
    for entry in entries {
        reader.page.file.clone_from(&entry.file);
        reader.key(&entry.key.text, entry.key.at, &entry.node, &mut candidate);
    }
    reader.restart_policy(&mut candidate);
    candidate.runtime = Runtime::Process(reader.runtime(name)?);
    Some(Process { candidate, completed: reader.completed })
}

impl Reader<'_, '_> {
    fn what(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    /// A value with variables and templates filled in.
    pub(super) fn filled(&mut self, key: &str, node: &Node) -> Option<String> {
        let what = self.what(key);
        let text = self.page.text(&what, node)?;
        Some(if self.uses_templates {
            self.project.filled(self.page, &what, node.at, text, &self.vars)
        } else {
            self.project.expanded(self.page, &what, node.at, text)
        })
    }

    fn key(&mut self, key: &str, at: Place, node: &Node, candidate: &mut Candidate) {
        let what = self.what(key);
        match key {
            "command" => self.command = self.filled(key, node).map(|text| self.page.told(node.at, text)),
            "entrypoint" => {
                let words = self.page.texts(&what, node);
                let words: Vec<String> =
                    words.into_iter().map(|(at, word)| self.project.expanded(self.page, &what, at, word)).collect();
                self.entrypoint = (!words.is_empty()).then(|| self.page.told(node.at, words));
            }
            "working_dir" => {
                candidate.working_dir =
                    self.filled(key, node).map(|text| self.page.told(node.at, self.page.path(&text)));
            }
            "description" => candidate.description = self.filled(key, node).map(|text| self.page.told(node.at, text)),
            "environment" => {
                let vars = std::mem::take(&mut self.vars);
                candidate.environment.extend(variables(self.page, self.project, &what, node, &vars));
                self.vars = vars;
            }
            "env_file" => {
                if let Some(text) = self.filled(key, node) {
                    let path = self.page.path(&text);
                    candidate.env_files.push(self.page.told(node.at, EnvFile { path, required: true }));
                }
            }
            "availability" => self.availability(&what, node, candidate),
            "depends_on" => self.depends_on(&what, node, candidate),
            "readiness_probe" => self.probe(ProbeKind::Readiness, &what, node, candidate),
            "liveness_probe" => self.probe(ProbeKind::Liveness, &what, node, candidate),
            "ready_log_line" => {
                // process-compose looks for the text itself; cas for a pattern.
                let text = self.filled(key, node).map(|text| regex::escape(&text));
                candidate.ready_log_line = text.map(|text| self.page.told(node.at, text));
            }
            "shutdown" => self.shutdown(&what, node, candidate),
            "schedule" => self.schedule(&what, node, candidate),
            "replicas" => {
                let number = self.page.number(&what, node);
                candidate.replicas = number.map(|number| self.page.told(node.at, number));
            }
            "disabled" | "is_disabled" | "is_foreground" | "is_tty" | "is_interactive" => {
                self.flag(key, &what, node, candidate);
            }
            "vars" | "is_template_disabled" | "is_dotenv_disabled" | "disable_ansi_colors" | "truncate_log" => {}
            "is_daemon" => {
                let hint = "cas watches what it starts itself: start the program in the foreground";
                self.page.lost_unless_off(&what, node, hint);
            }
            "log_location" | "log_configuration" => {
                self.page.lost_unless_off(&what, node, "cas keeps output itself: logs in cas.yaml says how much");
            }
            "namespace" => {
                self.page.lost_unless_off(&what, node, "cas has no namespaces; all services of a file are one project");
            }
            known if KNOWN.contains(&known) => self.page.lost_unless_off(&what, node, ""),
            other if other.starts_with("x-") => {}
            _ => {
                let weight = if self.project.is_strict { Weight::Error } else { Weight::Hint };
                self.page.unknown(weight, &what, at, KNOWN);
            }
        }
    }

    fn flag(&mut self, key: &str, what: &str, node: &Node, candidate: &mut Candidate) {
        let filled = self.filled(key, node);
        let is_on = match filled.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on" | "1") => true,
            Some("false" | "no" | "off" | "0" | "") | None => false,
            Some(other) => {
                self.page.error(node.at, &format!("{what}: \"{}\" is neither true nor false", brief(other)), "");
                false
            }
        };
        match key {
            "is_tty" => candidate.tty = Some(self.page.told(node.at, is_on)),
            "is_foreground" | "is_interactive" if is_on => {
                candidate.tty = Some(self.page.told(node.at, true));
                if key == "is_foreground" {
                    candidate.autostart = Some(self.page.told(node.at, false));
                }
            }
            "disabled" | "is_disabled" => candidate.autostart = Some(self.page.told(node.at, !is_on)),
            _ => {}
        }
    }

    fn availability(&mut self, what: &str, node: &Node, candidate: &mut Candidate) {
        for (key, node) in self.page.map(what, node).unwrap_or_default() {
            let what = format!("{what}.{}", key.text);
            match &*key.text {
                "restart" => {
                    let Some(text) = self.filled("availability.restart", node) else { continue };
                    let word = match text.as_str() {
                        "no" => RestartWord::No,
                        "always" => RestartWord::Always,
                        "on_failure" => RestartWord::OnFailure,
                        "exit_on_failure" => {
                            let hint = "a failed service never ends the others; cas shows it and goes on";
                            self.page.lost(node.at, &format!("{what}: exit_on_failure is taken as no"), hint);
                            RestartWord::No
                        }
                        other => {
                            let hint = crate::config::nearest::did_you_mean(
                                other,
                                &["always", "on_failure", "exit_on_failure", "no"],
                            );
                            self.page.error(
                                node.at,
                                &format!("{what}: \"{}\" is no restart policy", brief(other)),
                                &hint,
                            );
                            continue;
                        }
                    };
                    self.restart = Some((node.at, word));
                }
                "backoff_seconds" => {
                    if let Some(delay) = self.seconds("availability.backoff_seconds", node) {
                        candidate.restart_delay = Some(self.page.told(node.at, delay));
                    }
                }
                "max_restarts" => {
                    self.max_restarts = self.page.number(&what, node).map(|number| (node.at, number));
                }
                "exit_on_end" | "exit_on_skipped" => {
                    self.page.lost_unless_off(&what, node, "the end of a service never ends the others");
                }
                _ => self.page.unknown(Weight::Hint, &what, key.at, AVAILABILITY),
            }
        }
    }

    fn seconds(&mut self, key: &str, node: &Node) -> Option<Duration> {
        let text = self.filled(key, node)?;
        let seconds = text.trim().parse().ok().map(Duration::from_secs);
        if seconds.is_none() {
            let what = self.what(key);
            self.page.error(node.at, &format!("{what}: \"{}\" is not a number of seconds", brief(&text)), "");
        }
        seconds
    }

    fn restart_policy(&mut self, candidate: &mut Candidate) {
        let most = self.max_restarts.filter(|(_, most)| *most > 0);
        let Some((at, word)) = self.restart else { return };
        let policy = match word {
            RestartWord::No => RestartPolicy::No,
            RestartWord::OnFailure => RestartPolicy::OnFailure { max_retries: most.map(|(_, most)| most) },
            RestartWord::Always => {
                if let Some((at, most)) = most {
                    let what = self.what("availability.max_restarts");
                    self.page.lost(
                        at,
                        &format!("{what}: {most} is not carried over"),
                        "only on_failure is bounded by a number",
                    );
                }
                RestartPolicy::Always
            }
        };
        candidate.restart = Some(self.page.told(at, policy));
    }

    fn depends_on(&mut self, what: &str, node: &Node, candidate: &mut Candidate) {
        for (key, node) in self.page.map(what, node).unwrap_or_default() {
            let name = key.text.to_string();
            let what = format!("{what}.{name}");
            let mut condition = Condition::ServiceStarted;
            let mut at = key.at;
            for (key, node) in self.page.map(&what, node).unwrap_or_default() {
                if &*key.text != "condition" {
                    if !key.text.starts_with("x-") {
                        self.page.unknown(Weight::Hint, &format!("{what}.{}", key.text), key.at, &["condition"]);
                    }
                    continue;
                }
                let Some(text) = self.page.text(&what, node) else { continue };
                at = node.at;
                condition = self.condition(&what, node.at, text).unwrap_or(condition);
            }
            if condition == Condition::ServiceCompletedSuccessfully {
                self.completed.push(name.clone());
            }
            let dependency = Dependency { condition, restart: false, required: true };
            candidate.depends_on.insert(name, self.page.told(at, dependency));
        }
    }

    fn condition(&mut self, what: &str, at: Place, text: &str) -> Option<Condition> {
        Some(match text {
            "process_started" => Condition::ServiceStarted,
            "process_healthy" => Condition::ServiceHealthy,
            "process_log_ready" => Condition::ServiceLogReady,
            "process_completed_successfully" => Condition::ServiceCompletedSuccessfully,
            "process_completed" => {
                let message = format!("{what}: process_completed is taken as service_completed_successfully");
                self.page.lost(at, &message, "cas waits for exit code 0; process-compose takes any");
                Condition::ServiceCompletedSuccessfully
            }
            other => {
                let known = [
                    "process_started",
                    "process_healthy",
                    "process_log_ready",
                    "process_completed",
                    "process_completed_successfully",
                ];
                let hint = crate::config::nearest::did_you_mean(other, &known);
                self.page.error(at, &format!("{what}: \"{}\" is no condition", brief(other)), &hint);
                return None;
            }
        })
    }

    fn shutdown(&mut self, what: &str, node: &Node, candidate: &mut Candidate) {
        for (key, node) in self.page.map(what, node).unwrap_or_default() {
            let what = format!("{what}.{}", key.text);
            match &*key.text {
                "signal" => match self.page.text(&what, node).map(|text| (text, text.parse())) {
                    Some((_, Ok(signal))) => candidate.stop_signal = Some(self.page.told(node.at, signal)),
                    Some((text, Err(_))) => {
                        self.page.error(
                            node.at,
                            &format!("{what}: \"{}\" is no signal that cas sends", brief(text)),
                            "",
                        );
                    }
                    None => {}
                },
                "timeout_seconds" => {
                    let grace = self.page.seconds(&what, node).filter(|grace| !grace.is_zero());
                    candidate.stop_grace = grace.map(|grace| self.page.told(node.at, grace));
                }
                "command" => {
                    self.page.lost_value(&what, node, "cas stops with a signal; let the program end on SIGTERM");
                }
                "parent_only" | "send_keys" => self.page.lost_unless_off(&what, node, ""),
                _ => self.page.unknown(Weight::Hint, &what, key.at, SHUTDOWN),
            }
        }
    }

    fn schedule(&mut self, what: &str, node: &Node, candidate: &mut Candidate) {
        for (key, node) in self.page.map(what, node).unwrap_or_default() {
            let what = format!("{what}.{}", key.text);
            match &*key.text {
                "cron" => {
                    let cron = self.page.text(&what, node).map(|text| Schedule::Cron(text.to_owned()));
                    candidate.schedule = cron.map(|cron| self.page.told(node.at, cron));
                }
                "interval" => match self.page.text(&what, node).map(|text| (text, humantime::parse_duration(text))) {
                    Some((_, Ok(every))) => candidate.schedule = Some(self.page.told(node.at, Schedule::Every(every))),
                    Some((text, Err(_))) => {
                        self.page.error(
                            node.at,
                            &format!("{what}: \"{}\" is not a duration", brief(text)),
                            "write 30s, 5m or 1h",
                        );
                    }
                    None => {}
                },
                "run_on_start" => {
                    let on_start = self.page.truth(&what, node).unwrap_or_default();
                    candidate.autostart = Some(self.page.told(node.at, on_start));
                }
                "timezone" | "max_concurrent" => self.page.lost_unless_off(&what, node, ""),
                _ => self.page.unknown(Weight::Hint, &what, key.at, SCHEDULE),
            }
        }
        candidate.role = super::Role::Task;
    }

    /// A line as the shell of the project runs it.
    pub(super) fn line(&self, line: String) -> CommandLine {
        match &self.project.shell {
            Some((shell, argument)) if shell.rsplit('/').next() != Some("sh") => {
                CommandLine::Argv(vec![shell.clone(), argument.clone(), line])
            }
            None if needs_bash(&line) => CommandLine::Argv(vec!["bash".to_owned(), "-c".to_owned(), line]),
            Some(_) | None => CommandLine::Shell(line),
        }
    }

    fn runtime(&mut self, name: &Told<String>) -> Option<Told<CommandLine>> {
        match (self.command.take(), self.entrypoint.take()) {
            (Some(Told { value, source }), entrypoint) if !value.trim().is_empty() => {
                if let Some(entrypoint) = entrypoint {
                    let at = Place::new(entrypoint.source.line as usize, entrypoint.source.column as usize);
                    let message = format!("{}: the entrypoint is not used, because there is a command", self.name);
                    self.page.hint(at, &message, "keep one of them");
                }
                Some(Told { value: self.line(value), source })
            }
            (_, Some(Told { value, source })) => Some(Told { value: CommandLine::Argv(value), source }),
            _ => {
                let at = Place::new(name.source.line as usize, name.source.column as usize);
                self.page.file.clone_from(&name.source.file);
                self.page.error(at, &format!("{}: it has no command", self.name), "write command: and the line to run");
                None
            }
        }
    }
}

/// True of a line that bash reads and a plain shell does not.
fn needs_bash(line: &str) -> bool {
    ["[[", "<(", ">(", "<<<", "&>", "|&", "pipefail", "${!", "=(", "declare ", "$'", "shopt", "$RANDOM"]
        .iter()
        .any(|sign| line.contains(sign))
        || line.replace("$((", "").contains("((")
        || line.split([';', '&', '|', '\n']).any(|part| part.trim_start().starts_with("source "))
}
