//! Where every value of a project comes from, and what else is told of its services. Never: shows a secret, runs or writes anything.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Loaded,
    detect::Need,
    find::FileKind,
    gather::{self, Gathered},
    import::{Candidate, Imported, PortUse, Runtime, Told, Variable},
    merge::{self, Conflict, Merged, Offer, Tool, Whole},
    offers::{self, OfferedBy},
    tree::{self, Key, Node, Shape},
};
use crate::model::{
    probe::Probe,
    redact::{Redactor, Secrets},
    service::{Backoff, CommandLine, Dependency, ServiceSpec, Source, StopPlan},
};

/// Everything that is known of a project's services, and from where. Secrets are taken out.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The directory.
    pub root: PathBuf,
    /// Services that run, then those that are only told, in the order of their files.
    pub services: Vec<Explained>,
    /// What the code expects to be there.
    pub needs: Vec<ExplainedNeed>,
}

/// One service.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// True where it is one of the project's; false where it is told and left aside.
    pub is_taken: bool,
    /// True where `cas` runs it.
    pub runs: bool,
    /// Every telling, the one whose name is taken first.
    pub sources: Vec<ToldBy>,
    /// Its values in the order of the keys.
    pub values: Vec<Value>,
    /// What is told differently.
    pub conflicts: Vec<Conflict>,
    /// What is doubtful about its probes: a sentence, and what to write instead.
    pub doubts: Vec<(String, String)>,
}

/// One telling.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldBy {
    /// Whose file: `cas`, `compose`, `code`.
    pub tool: &'static str,
    /// Where.
    pub source: Source,
    /// What it would run: `"npm run dev"`, `a container of redis:7`.
    pub what: String,
    /// True for the one that is run.
    pub is_run: bool,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The key, as in a `cas.yaml`: `command`, `environment.STAGE`.
    pub key: String,
    /// As text.
    pub value: String,
    /// Where it was said; none: built in.
    pub source: Option<Source>,
    /// In `defaults` of the project file.
    pub is_default: bool,
}

/// Something outside that the code expects.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedNeed {
    /// What and where it is named.
    pub need: Need,
    /// The service that offers it.
    pub offered: Option<OfferedBy>,
}

/// Explains the project of a file that was loaded.
#[must_use]
pub fn explain(loaded: &Loaded, environment: &BTreeMap<String, String>) -> Explanation {
    let root = loaded.file.parent().unwrap_or(Path::new("/")).to_owned();
    let kind = FileKind::of(&loaded.file);
    let mut gathered = match kind {
        FileKind::CasYaml | FileKind::Found => gather::gather(&root, environment),
        // A file that was named speaks for itself.
        FileKind::Procfile
        | FileKind::ProcessCompose
        | FileKind::Mprocs
        | FileKind::Pm2
        | FileKind::Supervisord
        | FileKind::Compose => alone(&loaded.file, environment),
    };
    if kind == FileKind::CasYaml {
        gathered.offers.push(own(loaded, &root));
    }
    let needs = gathered.detected.needs;
    let whole = merge::merge(&root, gathered.offers);
    let needs = offers::matched(needs, &whole);
    let specs: BTreeMap<&str, &Arc<ServiceSpec>> = loaded
        .project
        .iter()
        .flat_map(|project| project.services.iter().map(|spec| (spec.id.service.as_str(), spec)))
        .collect();
    let file = if kind == FileKind::CasYaml { OwnFile::read(&loaded.file) } else { OwnFile::default() };
    let Whole { services, aside, .. } = whole;
    let mut explained: Vec<Explained> = services.iter().map(|merged| of_merged(&root, merged, &specs, &file)).collect();
    explained.extend(aside.into_iter().map(|account| {
        let sources = vec![told_by(&root, &account, false)];
        let values = told_values(&account.candidate);
        let name = account.candidate.name.value;
        Explained { name, is_taken: false, runs: false, sources, values, conflicts: Vec::new(), doubts: Vec::new() }
    }));
    let mut explanation = Explanation { root, services: explained, needs };
    explanation.redact(loaded, environment);
    explanation
}

fn alone(file: &Path, environment: &BTreeMap<String, String>) -> Gathered {
    let (offers, project) = match gather::offer(file, environment) {
        Some((offer, Imported { project, .. })) => (vec![offer], project),
        None => (Vec::new(), None),
    };
    Gathered { project, offers, ..Gathered::default() }
}

/// The services of a `cas.yaml`, as far as they are needed to be found again elsewhere.
fn own(loaded: &Loaded, root: &Path) -> Offer {
    let candidate = |spec: &Arc<ServiceSpec>| {
        let told = |value| Told { value, source: spec.source.clone() };
        let command = Told { value: spec.command.clone(), source: spec.source.clone() };
        // Copies are one service, as the file has it.
        let name = spec.occasions.replica.as_ref().map_or(&spec.id.service, |replica| &replica.of);
        let mut candidate = Candidate::new(told(name.to_string()), Runtime::Process(command));
        candidate.working_dir = Some(Told { value: spec.working_dir.clone(), source: spec.source.clone() });
        candidate.ports = spec
            .ports
            .iter()
            .map(|port| Told {
                value: PortUse { address: None, host: Some(port.0), target: port.0, is_udp: false },
                source: spec.source.clone(),
            })
            .collect();
        candidate
    };
    Offer {
        tool: Tool::Cas,
        file: loaded.file.clone(),
        directory: root.to_owned(),
        is_above: false,
        services: loaded
            .project
            .iter()
            .flat_map(|project| &project.services)
            .filter(|spec| spec.occasions.replica.as_ref().is_none_or(|replica| replica.number == 1))
            .map(candidate)
            .collect(),
    }
}

fn told_by(root: &Path, account: &merge::Account, is_run: bool) -> ToldBy {
    ToldBy {
        tool: account.tool.label(),
        source: account.candidate.name.source.clone(),
        what: merge::what(root, &account.candidate),
        is_run,
    }
}

fn of_merged(root: &Path, merged: &Merged, specs: &BTreeMap<&str, &Arc<ServiceSpec>>, file: &OwnFile) -> Explained {
    let name = merged.candidate.name.value.clone();
    let accounts = merged.accounts.iter().enumerate();
    let sources = accounts.map(|(index, account)| told_by(root, account, index == merged.runs)).collect();
    let is_own = merged.accounts.first().is_some_and(|account| account.tool == Tool::Cas);
    let mut values = if is_own { file.values(&name) } else { told_values(&merged.candidate) };
    // Of several copies the first speaks for all.
    let spec = specs.get(name.as_str()).or_else(|| specs.get(format!("{name}-1").as_str()));
    if let Some(spec) = spec {
        built_in(spec, &mut values);
    }
    let nature = spec.and_then(|spec| spec.nature.as_ref());
    let doubts = nature.map(|nature| {
        nature.doubts.iter().map(|doubt| (doubt.sentence.clone(), doubt.advice.clone().unwrap_or_default())).collect()
    });
    let conflicts = merged.conflicts.clone();
    Explained { name, is_taken: true, runs: true, sources, values, conflicts, doubts: doubts.unwrap_or_default() }
}

/// What a service has that nobody said.
fn built_in(spec: &ServiceSpec, values: &mut Vec<Value>) {
    let mut add = |keys: &[&str], value: String| {
        let is_said = values.iter().any(|said| {
            keys.iter()
                .any(|key| said.key == *key || said.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
        });
        if !is_said {
            values.push(Value { key: keys[0].to_owned(), value, source: None, is_default: false });
        }
    };
    add(&["working_dir"], spec.working_dir.display().to_string());
    add(&["restart"], spec.restart.label().to_owned());
    let Backoff { base, ceiling, give_up_after, .. } = spec.backoff;
    let time = |time| humantime::format_duration(time).to_string();
    add(&["backoff"], format!("from {} to {}, gives up after {give_up_after}", time(base), time(ceiling)));
    let StopPlan { signal, grace } = spec.stop;
    add(&["stop_signal"], signal.to_string());
    add(&["stop_grace_period"], time(grace));
    add(&["autostart"], spec.autostart.to_string());
}

/// The values of a candidate.
fn told_values(candidate: &Candidate) -> Vec<Value> {
    let mut values = Vec::new();
    let mut add = |key: &str, value: String, source: &Source| {
        let key = key.to_owned();
        values.push(Value { key, value, source: Some(source.clone()), is_default: false });
    };
    match &candidate.runtime {
        Runtime::Process(Told { value: CommandLine::Shell(line), source }) => add("shell", line.clone(), source),
        Runtime::Process(Told { value, source }) => add("command", value.display(), source),
        Runtime::Container(container) => {
            if let Some(told) = &container.image {
                add("image", told.value.clone(), &told.source);
            }
            if let Some(told) = &container.build {
                add("build", told.value.context.clone(), &told.source);
            }
        }
    }
    if let Some(told) = &candidate.working_dir {
        add("working_dir", told.value.display().to_string(), &told.source);
    }
    for told in &candidate.env_files {
        add("env_file", told.value.path.display().to_string(), &told.source);
    }
    for (name, told) in &candidate.environment {
        let value = match &told.value {
            Variable::Text(text) => text.clone(),
            Variable::Inherited => "(as in the environment)".to_owned(),
        };
        add(&format!("environment.{name}"), value, &told.source);
    }
    for (to, told) in &candidate.depends_on {
        let Dependency { condition, .. } = told.value;
        add(&format!("depends_on.{to}"), condition.label().to_owned(), &told.source);
    }
    for told in &candidate.ports {
        let PortUse { host, target, is_udp, .. } = &told.value;
        let port = match host {
            Some(host) if host != target => format!("{host}:{target}"),
            Some(_) | None => target.to_string(),
        };
        add("ports", if *is_udp { format!("{port}/udp") } else { port }, &told.source);
    }
    for (kind, told) in &candidate.probes {
        let Probe { check, .. } = &told.value;
        add(kind.label(), check.summary(), &told.source);
    }
    rest(candidate, &mut add);
    values
}

fn rest(candidate: &Candidate, add: &mut dyn FnMut(&str, String, &Source)) {
    let time = |time| humantime::format_duration(time).to_string();
    if let Some(told) = &candidate.ready_log_line {
        add("ready_log_line", told.value.clone(), &told.source);
    }
    if let Some(told) = &candidate.restart {
        add("restart", told.value.label().to_owned(), &told.source);
    }
    if let Some(told) = &candidate.restart_delay {
        add("backoff.base", time(told.value), &told.source);
    }
    if let Some(told) = &candidate.stop_signal {
        add("stop_signal", told.value.to_string(), &told.source);
    }
    if let Some(told) = &candidate.stop_grace {
        add("stop_grace_period", time(told.value), &told.source);
    }
    if let Some(told) = &candidate.bounds.cpus {
        add("cpus", told.value.to_string(), &told.source);
    }
    if let Some(told) = &candidate.bounds.memory_bytes {
        add("mem_limit", told.value.to_string(), &told.source);
    }
    if let Some(told) = &candidate.bounds.pids {
        add("pids_limit", told.value.to_string(), &told.source);
    }
    if let Some(told) = &candidate.replicas {
        add("replicas", told.value.to_string(), &told.source);
    }
    for told in &candidate.profiles {
        add("profiles", told.value.clone(), &told.source);
    }
    if let Some(told) = &candidate.autostart {
        add("autostart", told.value.to_string(), &told.source);
    }
    if let Some(told) = &candidate.user {
        add("user", told.value.clone(), &told.source);
    }
    if let Some(told) = &candidate.description {
        add("description", told.value.clone(), &told.source);
    }
}

/// The tree of a `cas.yaml`.
#[derive(Default)]
struct OwnFile {
    file: PathBuf,
    root: Option<Arc<Node>>,
}

impl OwnFile {
    fn read(file: &Path) -> Self {
        let text = super::environment::read_text(file).unwrap_or_default();
        Self { file: file.to_owned(), root: tree::parse(&text).root }
    }

    fn at<'n>(&'n self, keys: &[&str]) -> Option<&'n Node> {
        let mut node = self.root.as_deref()?;
        for wanted in keys {
            let Shape::Map(entries) = &node.shape else { return None };
            node = entries.iter().find(|(key, _)| &*key.text == *wanted).map(|(_, node)| &**node)?;
        }
        Some(node)
    }

    /// What the file says of a service, `defaults` below what is its own.
    fn values(&self, service: &str) -> Vec<Value> {
        let mut values = Vec::new();
        if let Some(node) = self.at(&["services", service]) {
            self.add("", node, false, &mut values);
        }
        let own: Vec<String> = values.iter().map(|value| value.key.clone()).collect();
        let mut defaults = Vec::new();
        if let Some(node) = self.at(&["defaults"]) {
            self.add("", node, true, &mut defaults);
        }
        if let Some(node) = self.at(&["logs"]) {
            self.add("logs", node, true, &mut defaults);
        }
        values.extend(defaults.into_iter().filter(|value| !own.contains(&value.key)));
        values
    }

    fn add(&self, prefix: &str, node: &Node, is_default: bool, values: &mut Vec<Value>) {
        // Maps of these keys say several things; others are one value.
        const OPENED: [&str; 7] = ["", "environment", "depends_on", "backoff", "logs", "secrets", "deploy"];
        let source = |node: &Node| Some(node.at.in_file(&self.file));
        match &node.shape {
            Shape::Map(entries) if OPENED.contains(&prefix) => {
                for (key, node) in entries {
                    let key = if prefix.is_empty() { key.text.to_string() } else { format!("{prefix}.{}", key.text) };
                    self.add(&key, node, is_default, values);
                }
            }
            Shape::List(items) if prefix == "environment" => {
                for item in items {
                    let Shape::Scalar { text, .. } = &item.shape else { continue };
                    let (name, value) = text.split_once('=').unwrap_or((text, "(as in the environment)"));
                    let (key, value) = (format!("environment.{name}"), value.to_owned());
                    values.push(Value { key, value, source: source(item), is_default });
                }
            }
            Shape::Map(entries) if prefix.starts_with("secrets.") && entries.len() == 1 => {
                let value = from(&entries[0]);
                values.push(Value { key: prefix.to_owned(), value, source: source(node), is_default });
            }
            Shape::Map(_) | Shape::List(_) | Shape::Scalar { .. } => {
                values.push(Value { key: prefix.to_owned(), value: flow(node), source: source(node), is_default });
            }
        }
    }
}

/// The source of a secret: `file ./db.pass`, `command pass show db`.
fn from((key, node): &(Key, Arc<Node>)) -> String {
    let words = match &node.shape {
        Shape::List(items) => items.iter().map(|item| flow(item)).collect::<Vec<_>>().join(" "),
        Shape::Scalar { .. } | Shape::Map(_) => flow(node),
    };
    format!("{} {words}", key.text)
}

/// On one line, as YAML would have it.
fn flow(node: &Node) -> String {
    match &node.shape {
        Shape::Scalar { text, .. } => text.to_string(),
        Shape::List(items) => format!("[{}]", items.iter().map(|item| flow(item)).collect::<Vec<_>>().join(", ")),
        Shape::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| format!("{}: {}", key.text, flow(node)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

impl Explanation {
    fn redact(&mut self, loaded: &Loaded, environment: &BTreeMap<String, String>) {
        let mut secrets = Secrets::default();
        secrets.learn_environment(environment);
        if let Some(project) = &loaded.project {
            secrets.learn(project);
        }
        let redactor = Redactor::of(&secrets);
        for service in &mut self.services {
            for told in &mut service.sources {
                redactor.own(&mut told.what);
            }
            for (misses, better) in &mut service.doubts {
                redactor.own(misses);
                redactor.own(better);
            }
            for value in &mut service.values {
                if value.key.starts_with("secrets.") {
                    // Only where it comes from, which its name does not make a secret.
                    value.value = super::problems::harmless(&redactor.text(&value.value));
                    continue;
                }
                // With its name, by which alone a short value is known for a secret.
                let name = value.key.rsplit('.').next().unwrap_or_default();
                let prefix = format!("{name}=");
                let shown = redactor.text(&format!("{prefix}{}", value.value)).into_owned();
                let shown = shown.strip_prefix(&prefix).map(str::to_owned);
                value.value = super::problems::harmless(&shown.unwrap_or_else(|| "(a secret)".to_owned()));
            }
        }
    }
}
