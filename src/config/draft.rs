//! A service as read so far: complete enough to be checked against the others, even where parts of it are wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{
    check::Understood,
    command::{self, Programs, Surroundings},
    container,
    nature::{self, Asked},
    nearest::did_you_mean,
    occasions, ports,
    problems::Place,
    reader::{Fields, Reader},
    schema,
    settings::Settings,
    tree::{Key, Node, Shape},
};
use crate::model::{
    container::ContainerSpec,
    exam::Nature,
    hooks::Hooks,
    ids::{ProjectName, ServiceId, ServiceName},
    log_file::LogFiles,
    occasion::{OccasionView, Occasions},
    probe::{Probe, ProbeKind},
    service::{CommandLine, Condition, Dependency, Port, RestartPolicy, ServiceKind, ServiceSpec, StopPlan, Strategy},
};

const CONDITIONS: [Condition; 4] = [
    Condition::ServiceStarted,
    Condition::ServiceHealthy,
    Condition::ServiceCompletedSuccessfully,
    Condition::ServiceLogReady,
];

/// An arrow to another service.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    /// Its name as written.
    pub(crate) to: String,
    /// Where.
    pub(crate) at: Place,
    /// The file of that place, where it is not the project's own.
    pub(crate) file: Option<PathBuf>,
    /// With what.
    pub(crate) dependency: Dependency,
}

/// A service, unchecked against the others.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) name: ServiceName,
    /// Where its name stands.
    pub(crate) at: Place,
    /// The file of that place, where it is not the project's own.
    pub(crate) file: Option<PathBuf>,
    /// None after an error.
    pub(crate) command: Option<CommandLine>,
    /// What its container is made from; none of a process.
    pub(crate) container: Option<ContainerSpec>,
    pub(crate) settings: Settings,
    /// Files that it writes itself; known when all are read.
    pub(crate) log_files: Vec<LogFiles>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) probes: BTreeMap<ProbeKind, Arc<Probe>>,
    pub(crate) hooks: Hooks,
    /// What the file says of its kind.
    pub(crate) asked: Asked,
    /// What it is; known when all are read.
    pub(crate) nature: Option<Arc<Nature>>,
    /// Also true where a probe was written and is wrong: then nothing more is said about its absence.
    pub(crate) has_health: bool,
    /// None where it was not written; an empty text where it is wrong.
    pub(crate) ready_log_line: Option<String>,
    pub(crate) ports: Vec<(u16, Place)>,
    pub(crate) tty: bool,
    pub(crate) occasions: Occasions,
    pub(crate) description: Option<String>,
}

impl Draft {
    /// When it is started again.
    pub(crate) fn restart(&self) -> RestartPolicy {
        let built_in = match self.occasions.schedule {
            Some(_) => RestartPolicy::No,
            None => RestartPolicy::OnFailure { max_retries: None },
        };
        match self.settings.backoff.strategy() {
            Some(Strategy::None) => RestartPolicy::No,
            Some(Strategy::Exponential | Strategy::Linear | Strategy::Fixed | Strategy::Fibonacci) | None => {
                self.settings.restart.unwrap_or(built_in)
            }
        }
    }

    /// Names of its variables, sorted.
    fn variables(&self) -> Vec<String> {
        let names = self.settings.environment.keys().chain(self.settings.secrets.keys());
        names.collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    /// What is known of it, whatever is wrong.
    pub(crate) fn understood(&self, root: &std::path::Path, file: &std::path::Path) -> Understood {
        let mut depends_on: Vec<_> = self.edges.iter().map(|edge| (edge.to.clone(), edge.dependency)).collect();
        depends_on.sort_by(|a, b| a.0.cmp(&b.0));
        Understood {
            name: self.name.to_string(),
            command: self.command.as_ref().map(CommandLine::display),
            working_dir: self.settings.working_dir.clone().unwrap_or_else(|| root.to_owned()),
            depends_on,
            ports: self.ports.iter().map(|(port, _)| *port).collect(),
            environment_names: self.variables(),
            secrets: self.settings.secrets.iter().map(|(name, from)| (name.clone(), from.to_string())).collect(),
            probes: self.probes.iter().map(|(kind, probe)| (kind.label(), probe.check.summary())).collect(),
            restart: self.restart().label(),
            autostart: self.settings.autostart.unwrap_or(false),
            occasions: OccasionView::of(&self.occasions, None),
            limits: self.settings.limits,
            logs: self.settings.logs.complete(),
            log_files: self.log_files.clone(),
            tty: self.tty,
            source: self.at.in_file(self.file.as_deref().unwrap_or(file)).to_string(),
        }
    }

    /// The finished service; none where it has no usable command.
    pub(crate) fn finish(
        self,
        project: &ProjectName,
        root: &std::path::Path,
        file: &std::path::Path,
    ) -> Option<ServiceSpec> {
        let restart = self.restart();
        let stop = StopPlan::default();
        let depends_on =
            self.edges.iter().filter_map(|edge| Some((ServiceName::new(&edge.to).ok()?, edge.dependency))).collect();
        let name = self.name.to_string();
        Some(ServiceSpec {
            id: ServiceId { project: project.clone(), service: self.name },
            kind: if self.container.is_some() { ServiceKind::Container } else { ServiceKind::Process },
            command: self.command?,
            container: self.container.map(|spec| {
                let declared = self.file.as_deref().unwrap_or(file);
                container::finish(spec, project, &name, &self.occasions, (root, declared))
            }),
            working_dir: self.settings.working_dir.unwrap_or_else(|| PathBuf::from(root)),
            environment: self.settings.environment,
            secrets: self.settings.secrets,
            base_environment: None,
            limits: self.settings.limits,
            attributes: self.settings.attributes,
            logs: self.settings.logs.complete(),
            log_files: self.log_files.into(),
            tty: self.tty,
            depends_on,
            nature: self.nature,
            probes: self.probes,
            ready_log_line: self.ready_log_line,
            restart,
            backoff: self.settings.backoff.complete(),
            stop: StopPlan {
                signal: self.settings.stop_signal.unwrap_or(stop.signal),
                grace: self.settings.stop_grace_period.unwrap_or(stop.grace),
            },
            hooks: self.hooks,
            ports: self.ports.iter().map(|(port, _)| Port(*port)).collect(),
            autostart: self.settings.autostart.unwrap_or(false) && self.occasions.is_of_all(),
            occasions: self.occasions,
            source: self.at.in_file(self.file.as_deref().unwrap_or(file)),
            description: self.description,
        })
    }
}

/// Reads one entry of `services`.
pub(crate) fn read(reader: &mut Reader<'_>, key: &Key, node: &Node, defaults: &Settings) -> Option<Draft> {
    reader.service = Some(key.text.to_string());
    let draft = read_within(reader, key, node, defaults);
    reader.service = None;
    draft
}

fn read_within(reader: &mut Reader<'_>, key: &Key, node: &Node, defaults: &Settings) -> Option<Draft> {
    let name = ServiceName::new(&key.text);
    if let Err(error) = &name {
        reader.error(key.at, format!("services: {error}"), "rename the service");
    }
    let fields =
        if node.is_null() { Fields::none(key.at) } else { reader.fields(&key.text, node, &schema::SERVICE)? };
    let occasions = occasions::read(reader, &fields);
    let mut settings = Settings::read(reader, &fields, defaults).over(defaults);
    occasions::settle(reader, &fields, &occasions, &mut settings);
    let edges = fields.get("depends_on").map(|node| dependencies(reader, node)).unwrap_or_default();
    let working_dir = settings.working_dir.clone().unwrap_or_else(|| reader.root.clone());
    let surroundings = Surroundings {
        working_dir: &working_dir,
        environment: &settings.environment,
        programs: Programs::of(&fields, &edges),
    };
    let container = container::read(reader, &fields);
    let command = match &container {
        Some(container) => Some(container::shown(container)),
        // What is wrong with it was told.
        None if container::is_one(&fields) => None,
        None => command::read(reader, &fields, (&key.text, key.at), surroundings),
    };
    let mut probes = super::probes::read(reader, &fields, surroundings);
    let has_none = fields.get("healthcheck").is_some_and(is_disabled);
    if container.is_some() && !has_none && !probes.contains_key(&ProbeKind::Readiness) {
        probes.extend([container::own_health()]);
    }
    let tty = fields.get("tty").and_then(|node| reader.truth("tty", node)).unwrap_or(false);
    if let Some((key, _)) = fields.find("tty").filter(|_| tty && settings.logs.asks_for_split()) {
        let message = "tty: split_streams has no effect";
        reader.note(key.at, message, "a terminal has one stream: leave one of the two out");
    }
    let is_probed = ["startup", "readiness"].into_iter().any(|key| fields.get(key).is_some());
    let is_checked = fields.get("healthcheck").is_some_and(|node| !is_disabled(node));
    Some(Draft {
        name: name.ok()?,
        at: key.at,
        file: None,
        command,
        edges,
        hooks: super::hooks::read(reader, &fields, surroundings),
        asked: nature::read(reader, &fields, surroundings),
        nature: None,
        has_health: is_probed || is_checked || (container.is_some() && !has_none),
        probes,
        ready_log_line: fields
            .get("ready_log_line")
            .map(|node| reader.pattern("ready_log_line", node).unwrap_or_default()),
        ports: match &container {
            Some(container) => container::host_ports(container).into_iter().map(|port| (port, key.at)).collect(),
            None => fields.get("ports").map(|node| ports::read(reader, node)).unwrap_or_default(),
        },
        container,
        tty,
        occasions,
        description: fields.get("description").and_then(|node| reader.text("description", node)),
        settings,
        log_files: Vec::new(),
    })
}

/// True for a health check that says it is none.
fn is_disabled(node: &Node) -> bool {
    let Shape::Map(entries) = &node.shape else { return false };
    entries.iter().any(|(key, value)| match (&*key.text, &value.shape) {
        ("disable", Shape::Scalar { text, .. }) => matches!(&**text, "true" | "yes" | "on"),
        ("test", Shape::List(items)) => {
            items.first().is_some_and(|item| matches!(&item.shape, Shape::Scalar { text, .. } if &**text == "NONE"))
        }
        _ => false,
    })
}

fn dependencies(reader: &mut Reader<'_>, node: &Node) -> Vec<Edge> {
    let plain = Dependency { condition: Condition::ServiceStarted, restart: false, required: true };
    match &node.shape {
        Shape::List(items) => {
            let mut edges: Vec<Edge> = Vec::new();
            for item in items {
                let Some(to) = reader.text("depends_on", item) else { continue };
                if edges.iter().any(|edge| edge.to == to) {
                    reader.error(item.at, format!("depends_on: \"{to}\" is there twice"), "keep one of them");
                } else {
                    edges.push(Edge { to, at: item.at, file: None, dependency: plain });
                }
            }
            edges
        }
        Shape::Map(entries) => entries
            .iter()
            .map(|(key, value)| {
                let dependency = if value.is_null() { plain } else { dependency(reader, value).unwrap_or(plain) };
                Edge { to: key.text.to_string(), at: key.at, file: None, dependency }
            })
            .collect(),
        Shape::Scalar { .. } => {
            reader.wrong_form("depends_on", node, "a list or a map", "write [service], or service: {condition: …}");
            Vec::new()
        }
    }
}

fn dependency(reader: &mut Reader<'_>, node: &Node) -> Option<Dependency> {
    let fields = reader.fields("depends_on", node, &schema::DEPENDENCY)?;
    let condition = fields.get("condition").and_then(|node| {
        let text = reader.text("condition", node)?;
        let known = CONDITIONS.into_iter().find(|condition| condition.label() == text);
        if known.is_none() {
            let hint = did_you_mean(&text, &CONDITIONS.map(Condition::label));
            reader.error(node.at, format!("condition: \"{text}\" is not a condition"), hint);
        }
        known
    });
    Some(Dependency {
        condition: condition.unwrap_or(Condition::ServiceStarted),
        restart: fields.get("restart").and_then(|node| reader.truth("restart", node)).unwrap_or(false),
        required: fields.get("required").and_then(|node| reader.truth("required", node)).unwrap_or(true),
    })
}
