//! The engine's public picture: immutable, shared, complete enough that no pane needs to ask again.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    alarm::AlertsView,
    command::Verb,
    container::{ContainerView, Reach},
    event::TroubleSlot,
    history::History,
    ids::{ProjectName, RunId, ServiceId, ServiceName},
    metric::{HostUsage, RunUsage},
    occasion::OccasionView,
    phase::{Health, Phase},
    policy::Autopilot,
    project::{Problem, ProjectRecord},
    service::{Condition, Port, ServiceKind, Source},
    time::Timestamp,
    timeline::Entry,
};

/// Everything that can be seen at one instant.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Snapshot {
    /// Counts up with every publication.
    pub revision: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The engine itself.
    pub engine: EngineView,
    /// Open projects first, then those that the registry remembers; each group by name.
    pub projects: Vec<ProjectView>,
    /// Services of open projects: by project, then in the order of the file.
    pub services: Vec<Arc<ServiceView>>,
    /// The machine.
    pub host: HostView,
    /// The newest entries, oldest first, at most [`TIMELINE_CAPACITY`].
    pub timeline: Vec<Arc<Entry>>,
    /// What is wrong with cas itself just now.
    pub troubles: BTreeMap<TroubleSlot, String>,
    /// What the engine of containers is to us.
    #[serde(default)]
    pub docker: Reach,
    /// All its containers, by id; those of services say of which.
    #[serde(default)]
    pub containers: Vec<Arc<ContainerView>>,
    /// Why the last reading of a project file was refused; empty when all is well.
    #[schemars(with = "Vec<Problem>")]
    pub problems: Arc<[Problem]>,
    /// Alarms, silences, and how people are told.
    #[serde(default)]
    pub alerts: AlertsView,
}

/// Entries that a snapshot carries; older ones are in the store.
pub const TIMELINE_CAPACITY: usize = 500;

/// The engine.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EngineView {
    /// Version of cas.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started: Timestamp,
    /// Whether the healer acts.
    pub autopilot: Autopilot,
    /// It is stopping everything in order to end.
    pub leaving: bool,
    /// It runs in the background; else in a console or a command.
    #[serde(default)]
    pub daemon: bool,
}

/// How many services stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Counts {
    /// All.
    pub total: usize,
    /// Running and not unhealthy.
    pub running: usize,
    /// Running and unhealthy or misconfigured.
    pub unhealthy: usize,
    /// Waiting, starting, stopping.
    pub moving: usize,
    /// Backing off or blocked.
    pub held: usize,
    /// Failed or gave up.
    pub failed: usize,
    /// Stopped or completed.
    pub quiet: usize,
}

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProjectView {
    /// Its name.
    pub name: ProjectName,
    /// Its directory.
    pub root: PathBuf,
    /// Its file.
    pub file: PathBuf,
    /// Open in this engine; else only remembered.
    pub open: bool,
    /// The directory exists.
    pub exists: bool,
    /// Counts; of a remembered project only `total`.
    pub counts: Counts,
    /// When it was last opened, microseconds since the Unix epoch.
    pub last_opened_us: i64,
    /// Since when it is under care of this engine; none where it is not open.
    pub under_care_since: Option<Timestamp>,
    /// How it is shown: its name, with the end of its directory where another project has that name, too.
    #[serde(default)]
    pub display: String,
    /// How it is called on a command line: `NAME`, or `NAME@END` where another project has that name, too.
    #[serde(default)]
    pub reference: String,
    /// The Git remote of its repository, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The directory that it was in before, where it was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<PathBuf>,
}

impl ProjectView {
    /// One that the registry remembers and that is not open.
    #[must_use]
    pub fn remembered(record: &ProjectRecord) -> Self {
        Self {
            name: record.name.clone(),
            root: record.root.clone(),
            file: record.file.clone(),
            open: false,
            exists: record.exists,
            counts: Counts { total: record.services, ..Counts::default() },
            last_opened_us: record.last_opened_us,
            under_care_since: None,
            display: record.name.to_string(),
            reference: record.name.to_string(),
            remote: record.remote.clone(),
            moved_from: record.moved_from.clone(),
        }
    }

    /// How it is shown; an older engine says its name alone.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.display.is_empty() { self.name.as_str() } else { &self.display }
    }
}

/// A dependency as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DependencyView {
    /// On whom.
    pub service: ServiceName,
    /// Under which condition.
    pub condition: Condition,
    /// Whether it holds now.
    pub holds: bool,
}

/// A probe as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProbeView {
    /// Which question.
    pub kind: super::probe::ProbeKind,
    /// How: `http http://localhost:8080/health`.
    pub check: String,
    /// Rounds in this run.
    pub rounds: u64,
    /// Failures in a row.
    pub failures: u32,
    /// The last answer; none before the first.
    pub last: Option<super::probe::ProbeOutcome>,
    /// How long the last answer took, microseconds.
    pub last_took_us: u64,
}

/// A service.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact, and they are independent")]
pub struct ServiceView {
    /// Project and name.
    pub id: ServiceId,
    /// What kind of thing.
    pub kind: ServiceKind,
    /// Counts changes that a command could be about: its phase, its run, its health, its part of the project file; not samples, not rounds of probes. Numbers are
    /// the engine's own and grow over all its services: whatever changed later has a greater one. 0: not counted.
    #[serde(default)]
    pub revision: u64,
    /// Where it stands.
    pub phase: Phase,
    /// What its probes say.
    pub health: Health,
    /// A person works on it: nothing is healed and nobody alarmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceView>,
    /// Its container is frozen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// All remedies were tried and none has helped: a person is needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub escalated: bool,
    /// One line that says why it is where it is. Never empty.
    pub why: String,
    /// Its main process.
    pub pid: Option<u32>,
    /// Its run.
    pub run: Option<RunId>,
    /// Restarts by the healer since it was last started on purpose.
    pub restarts: u32,
    /// What it uses; none while nothing runs or before the first sample.
    pub usage: Option<RunUsage>,
    /// CPU in percent of one core, one a second; 0 while nothing runs.
    pub cpu: History,
    /// Resident bytes, one a second; 0 while nothing runs.
    pub memory: History,
    /// How its processes are held together: `cgroup`, else `process group`.
    #[serde(default)]
    pub containment: super::service::Containment,
    /// It has a pseudo-terminal that can be attached to.
    #[serde(default)]
    pub tty: bool,
    /// What it executes.
    pub command: String,
    /// Where.
    pub working_dir: PathBuf,
    /// Names of the variables that its file sets. Never values.
    pub environment_names: Vec<String>,
    /// Ports it declares.
    pub ports: Vec<Port>,
    /// What it depends on.
    pub depends_on: Vec<DependencyView>,
    /// Who depends on it.
    pub dependents: Vec<ServiceName>,
    /// Its probes.
    pub probes: Vec<ProbeView>,
    /// What deep looks at its present run have found; none where it is of no known kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkup: Option<Arc<super::exam::Checkup>>,
    /// Its restart policy.
    pub restart: super::service::RestartPolicy,
    /// Started with its project.
    pub autostart: bool,
    /// What else starts it, and as how many.
    #[serde(default)]
    pub occasions: OccasionView,
    /// Where it is declared.
    pub source: Source,
    /// Free text for people.
    pub description: Option<String>,
}

impl ServiceView {
    /// How long the present run has been there.
    #[must_use]
    pub const fn uptime(&self, now: Timestamp) -> Option<std::time::Duration> {
        match &self.phase {
            Phase::Running { since, .. } => Some(now.since(*since)),
            Phase::Stopped { .. }
            | Phase::Waiting { .. }
            | Phase::Blocked { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::BackingOff { .. }
            | Phase::Exited { .. }
            | Phase::GaveUp { .. } => None,
        }
    }

    /// Whether `verb` would do anything to it: also a clock can be stopped, and some are about containers only.
    #[must_use]
    pub const fn takes(&self, verb: Verb) -> bool {
        if matches!(verb, Verb::Stop) && self.occasions.next_at.is_some() {
            return true;
        }
        let is_about_containers = matches!(verb, Verb::Pause | Verb::Unpause | Verb::Recreate | Verb::Pull | Verb::Rm);
        let is_so_already = matches!((verb, self.paused), (Verb::Pause, true) | (Verb::Unpause, false));
        let may_be = !is_so_already && (!is_about_containers || matches!(self.kind, ServiceKind::Container));
        may_be && verb.applies_to(&self.phase)
    }

    /// How much it deserves a look, phase and health together: 0 nothing to 3 broken.
    #[must_use]
    pub fn concern(&self) -> u8 {
        let health = match self.health {
            Health::Unknown | Health::Healthy { .. } | Health::Starting { .. } => 0,
            Health::Unhealthy { .. } => 2,
            Health::Misconfigured { .. } => 3,
        };
        self.phase.concern().max(health)
    }
}

/// A person works on a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MaintenanceView {
    /// When it ends; none: when somebody says so.
    pub until: Option<Timestamp>,
}

/// The machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HostView {
    /// The last sample; none before the first.
    pub usage: Option<HostUsage>,
    /// Percent of all cores, 0 to 100.
    pub cpu: History,
    /// Percent of memory in use, 0 to 100.
    pub memory: History,
    /// Bytes per second received.
    pub net_rx: History,
    /// Bytes per second sent.
    pub net_tx: History,
    /// Bytes per second read.
    pub disk_read: History,
    /// Bytes per second written.
    pub disk_write: History,
}

impl Snapshot {
    /// The service of that id.
    #[must_use]
    pub fn service(&self, id: &ServiceId) -> Option<&Arc<ServiceView>> {
        self.services.iter().find(|service| service.id == *id)
    }
}

impl Counts {
    /// Counts `services`.
    #[must_use]
    pub fn of<'a>(services: impl IntoIterator<Item = &'a ServiceView>) -> Self {
        let mut counts = Self::default();
        for service in services {
            counts.total += 1;
            let slot = match &service.phase {
                Phase::Running { .. } => match service.health {
                    Health::Unhealthy { .. } | Health::Misconfigured { .. } => &mut counts.unhealthy,
                    Health::Unknown | Health::Starting { .. } | Health::Healthy { .. } => &mut counts.running,
                },
                Phase::Waiting { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => &mut counts.moving,
                Phase::BackingOff { .. } | Phase::Blocked { .. } => &mut counts.held,
                Phase::Exited { exit, .. } if !exit.is_success() => &mut counts.failed,
                Phase::GaveUp { .. } => &mut counts.failed,
                Phase::Stopped { .. } | Phase::Exited { .. } => &mut counts.quiet,
            };
            *slot += 1;
        }
        counts
    }
}
