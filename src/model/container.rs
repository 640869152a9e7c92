//! Containers: what one is made from, and what is seen of one. Plain data in compose's words; never talks to an engine of containers.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    command::Verb,
    ids::{RunId, ServiceId},
};

/// When an image is fetched (compose's `pull_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// Where it is not there (`missing`, `if_not_present`). A service with `build` is built instead.
    #[default]
    Missing,
    /// Before every start.
    Always,
    /// Never: where it is not there, the start fails.
    Never,
    /// It is built before every start.
    Build,
}

impl PullPolicy {
    /// The word used in files.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Always => "always",
            Self::Never => "never",
            Self::Build => "build",
        }
    }

    /// From the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "missing" | "if_not_present" => Self::Missing,
            "always" => Self::Always,
            "never" => Self::Never,
            "build" => Self::Build,
            _ => return None,
        })
    }
}

/// How an image is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Build {
    /// Absolute directory, or a URL that the engine fetches itself.
    pub context: String,
    /// Relative to the context; none: `Dockerfile`.
    pub dockerfile: Option<String>,
    /// Stage.
    pub target: Option<String>,
    /// Arguments.
    pub args: BTreeMap<String, String>,
}

/// A port of the container that is published on the machine of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Publish {
    /// The address there; none: all.
    pub address: Option<String>,
    /// The port there; none: any that is free.
    pub host: Option<u16>,
    /// The port of the container.
    pub target: u16,
    /// UDP instead of TCP.
    pub is_udp: bool,
}

/// Something that the container sees as a directory or file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Mount {
    /// What.
    pub source: MountSource,
    /// Where in the container.
    pub target: String,
    /// It cannot write there.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum MountSource {
    /// A directory or file of the engine's machine, absolute. Made as a directory where it is not there, as compose's short form has it.
    Bind(String),
    /// A volume, by its key in the file.
    Volume(String),
    /// A volume without a name.
    Anonymous,
    /// Memory.
    Tmpfs,
}

/// A network that the container joins.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Join {
    /// By its key in the file; `default` is the project's own.
    pub network: String,
    /// Names under which others find it there, its own left out.
    pub aliases: Vec<String>,
    /// A fixed address.
    pub ipv4_address: Option<String>,
}

/// A network or volume as its file declares it; the default: a plain one of the project's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct Resource {
    /// Its real name; none: the project's name, `_` and its key.
    pub name: Option<String>,
    /// It is somebody else's: used as it is, never made.
    pub is_external: bool,
    /// Its driver.
    pub driver: Option<String>,
    /// The driver's options.
    pub driver_opts: BTreeMap<String, String>,
    /// A network that leads nowhere else.
    pub is_internal: bool,
}

/// What a container is made from, beyond what every service has. Variables and limits, stop and restart are in the service's spec. Values of
/// labels and arguments may hold secrets: never in a snapshot.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ContainerSpec {
    /// Compose's name of the project.
    pub project: String,
    /// Compose's name of the service.
    pub service: String,
    /// Which of its copies, from 1.
    pub number: u32,
    /// The files that declare it, for compose's labels.
    pub files: Vec<PathBuf>,
    /// The directory of the project, for compose's labels.
    pub root: PathBuf,
    /// Its image; none: the one that is built.
    pub image: Option<String>,
    /// How its image is made.
    pub build: Option<Build>,
    /// When its image is fetched.
    pub pull_policy: PullPolicy,
    /// `linux/amd64` and the like.
    pub platform: Option<String>,
    /// Its own name; none: `project-service-1`.
    pub container_name: Option<String>,
    /// In place of the image's; empty: it has none.
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's.
    pub command: Option<Vec<String>>,
    /// A directory in the container.
    pub working_dir: Option<String>,
    /// `user` or `user:group`, by the names of the image or by numbers.
    pub user: Option<String>,
    /// More groups.
    pub group_add: Vec<String>,
    /// Its host name.
    pub hostname: Option<String>,
    /// `name:address`.
    pub extra_hosts: Vec<String>,
    /// Servers of names.
    pub dns: Vec<String>,
    /// Published and listened on.
    pub ports: Vec<Publish>,
    /// Ports that it is only said to listen on.
    pub expose: Vec<Publish>,
    /// What it sees.
    pub mounts: Vec<Mount>,
    /// Networks that it joins; of no meaning with a `network_mode`.
    pub networks: Vec<Join>,
    /// `host`, `none`, `container:ID`; none: its networks.
    pub network_mode: Option<String>,
    /// Networks and volumes that its file declares, by key, those that it uses.
    pub network_resources: BTreeMap<String, Resource>,
    /// The same of volumes.
    pub volume_resources: BTreeMap<String, Resource>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Capabilities.
    pub cap_add: Vec<String>,
    /// The same, taken away.
    pub cap_drop: Vec<String>,
    /// Options of the kernel's security modules.
    pub security_opt: Vec<String>,
    /// All capabilities and devices.
    pub privileged: bool,
    /// Its own file system cannot be written to.
    pub read_only: bool,
    /// A process 1 that passes signals on and waits for orphans.
    pub init: Option<bool>,
    /// Its standard input stays open.
    pub stdin_open: bool,
    /// Bytes of `/dev/shm`.
    pub shm_bytes: Option<u64>,
    /// Soft and hard, -1: unlimited.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Settings of the kernel that are its own.
    pub sysctls: BTreeMap<String, String>,
}

impl std::fmt::Debug for ContainerSpec {
    /// What is run; the rest may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContainerSpec").field("name", &self.name()).field("image", &self.tag()).finish_non_exhaustive()
    }
}

impl ContainerSpec {
    /// One of which nothing is said but its image.
    #[must_use]
    pub fn of(project: &str, service: &str, image: &str) -> Self {
        Self {
            project: project.to_owned(),
            service: service.to_owned(),
            number: 1,
            files: Vec::new(),
            root: PathBuf::new(),
            image: Some(image.to_owned()),
            build: None,
            pull_policy: PullPolicy::default(),
            platform: None,
            container_name: None,
            entrypoint: None,
            command: None,
            working_dir: None,
            user: None,
            group_add: Vec::new(),
            hostname: None,
            extra_hosts: Vec::new(),
            dns: Vec::new(),
            ports: Vec::new(),
            expose: Vec::new(),
            mounts: Vec::new(),
            networks: Vec::new(),
            network_mode: None,
            network_resources: BTreeMap::new(),
            volume_resources: BTreeMap::new(),
            labels: BTreeMap::new(),
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            security_opt: Vec::new(),
            privileged: false,
            read_only: false,
            init: None,
            stdin_open: false,
            shm_bytes: None,
            ulimits: BTreeMap::new(),
            sysctls: BTreeMap::new(),
        }
    }

    /// The name of its container, by compose's rule: `shop-web-1`.
    #[must_use]
    pub fn name(&self) -> String {
        self.container_name.clone().unwrap_or_else(|| format!("{}-{}-{}", self.project, self.service, self.number))
    }

    /// The name of its image, by compose's rule: what the file says, else `shop-web`.
    #[must_use]
    pub fn tag(&self) -> String {
        self.image.clone().unwrap_or_else(|| format!("{}-{}", self.project, self.service))
    }

    /// The real name of a network, by its key.
    #[must_use]
    pub fn network_name(&self, key: &str) -> String {
        self.real_name(self.network_resources.get(key), key)
    }

    /// The real name of a volume, by its key.
    #[must_use]
    pub fn volume_name(&self, key: &str) -> String {
        self.real_name(self.volume_resources.get(key), key)
    }

    fn real_name(&self, resource: Option<&Resource>, key: &str) -> String {
        match resource {
            Some(Resource { name: Some(name), .. }) => name.clone(),
            Some(Resource { is_external: true, .. }) => key.to_owned(),
            Some(_) | None => format!("{}_{key}", self.project),
        }
    }

    /// As a person would say it: image, and the command where the file gives one.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let own = self.entrypoint.iter().chain(&self.command).flatten().cloned();
        std::iter::once(self.tag()).chain(own).collect()
    }
}

/// Compose's name of a project: lower case, and only letters, digits, `_` and `-`, the first of them a letter or digit
/// (<https://docs.docker.com/compose/how-tos/project-name/>).
#[must_use]
pub fn project_name(name: &str) -> String {
    let kept = name.to_lowercase();
    let kept: String = kept.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
    let kept = kept.trim_start_matches(['_', '-']);
    if kept.is_empty() { "project".to_owned() } else { kept.to_owned() }
}

/// What the engine of containers is to us just now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Reach {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// There is none, or it does not let us in.
    Absent {
        /// A clause: `there is no socket /var/run/docker.sock`.
        why: String,
    },
    /// It is there and does not answer.
    Hung {
        /// A clause: `no answer within 5 s`.
        why: String,
    },
    /// It speaks a version that is too old for us.
    TooOld {
        /// The newest that it speaks: `1.23`.
        version: String,
    },
    /// It answers.
    Reachable {
        /// Where: `unix:///var/run/docker.sock`.
        endpoint: String,
        /// Which: `Docker 20.10.24`.
        engine: String,
        /// The version that is spoken: `1.41`.
        api: String,
    },
}

impl Reach {
    /// Why it cannot be used, a clause; none where it can.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        match self {
            Self::Unknown => Some("nobody has asked it yet".to_owned()),
            Self::Absent { why } | Self::Hung { why } => Some(why.clone()),
            Self::TooOld { version } => Some(format!("it speaks API {version} at most, and 1.40 is needed: update it")),
            Self::Reachable { .. } => None,
        }
    }
}

/// Who restarts a container that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Healer {
    /// This program, by the service's restart policy.
    Cas,
    /// Docker, by the container's own: this program leaves it alone.
    Docker,
    /// Nobody.
    Nobody,
}

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ContainerUsage {
    /// Percent of one core.
    pub cpu_percent: f32,
    /// Bytes of memory, page cache that can be taken back left out.
    pub memory_bytes: u64,
    /// What it may have at most, bytes; 0: not known.
    pub memory_limit_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Bytes per second received over all its networks.
    pub net_rx_bytes_per_s: f64,
    /// Bytes per second sent.
    pub net_tx_bytes_per_s: f64,
    /// Bytes per second read from disks.
    pub disk_read_bytes_per_s: f64,
    /// Bytes per second written.
    pub disk_write_bytes_per_s: f64,
}

/// A container as the engine of containers tells it. All text was made safe for a terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ContainerView {
    /// Its whole id.
    pub id: String,
    /// Its name, without the slash.
    pub name: String,
    /// The image as it was named.
    pub image: String,
    /// The image's id: `sha256:…`.
    pub image_id: String,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`.
    pub state: String,
    /// What its own health check says: `starting`, `healthy`, `unhealthy`; none: it has none.
    pub health: Option<String>,
    /// How it ended; none where it never did.
    pub exit_code: Option<i64>,
    /// The kernel ended it for memory.
    pub oom_killed: bool,
    /// How often Docker restarted it by itself.
    pub restart_count: i64,
    /// Published ports: `0.0.0.0:8080->80/tcp`.
    pub ports: Vec<String>,
    /// Mounts: `volume data -> /var/lib/data`.
    pub mounts: Vec<String>,
    /// Names of its variables. Never values.
    pub environment_names: BTreeSet<String>,
    /// Compose's project, where it is of one.
    pub project: Option<String>,
    /// Compose's service.
    pub service: Option<String>,
    /// Who made it: `cas`, `docker compose`, or none.
    pub made_by: Option<String>,
    /// Who restarts it.
    pub healer: Healer,
    /// Docker's restart policy: `no`, `always`, `on-failure`, `unless-stopped`.
    pub restart_policy: String,
    /// What it uses; none where that is not known.
    pub usage: Option<ContainerUsage>,
    /// The service of an open project that it is.
    pub of: Option<ServiceId>,
    /// The run that it is.
    pub run: Option<RunId>,
}

/// A reference that begins so means a container, whatever services are called: `docker:redis`, `docker:web-*`.
pub const EXPLICIT: &str = "docker:";

/// The one that a person means by its name, or by the beginning of its id (four hexadecimal digits or more) where no other begins so.
#[must_use]
pub fn find<'c>(containers: &'c [Arc<ContainerView>], text: &str) -> Option<&'c Arc<ContainerView>> {
    if let Some(named) = containers.iter().find(|one| one.name == text) {
        return Some(named);
    }
    if text.len() < 4 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut fitting = containers.iter().filter(|one| one.id.starts_with(text));
    fitting.next().filter(|_| fitting.next().is_none())
}

impl ContainerView {
    /// Something of it runs, be it frozen.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused" | "restarting")
    }

    /// Its state in a few words: `running`, `exited (3)`, `ended for memory`, `restarting ×4`.
    #[must_use]
    pub fn state_words(&self) -> String {
        match self.exit_code {
            Some(_) if self.oom_killed => "ended for memory".to_owned(),
            Some(code) => format!("{} ({code})", self.state),
            None if self.state == "restarting" => format!("restarting ×{}", self.restart_count),
            None => self.state.clone(),
        }
    }

    /// Who restarts it: one healer only.
    #[must_use]
    pub const fn healed_by(&self) -> &'static str {
        match (self.healer, self.of.is_some()) {
            (Healer::Docker, _) => "Docker",
            (Healer::Cas, true) => "cas",
            (Healer::Cas, false) | (Healer::Nobody, _) => "nobody",
        }
    }

    /// Whether `verb` would do anything to it where it is no service's. Footers are computed from this.
    #[must_use]
    pub fn takes(&self, verb: Verb) -> bool {
        match verb {
            Verb::Start | Verb::Rm => !self.is_up(),
            Verb::Stop | Verb::Restart | Verb::Kill => self.is_up(),
            Verb::Signal | Verb::Pause => self.state == "running",
            Verb::Unpause => self.state == "paused",
            Verb::Pull => !self.image.is_empty() && !self.image.starts_with("sha256:"),
            Verb::Recreate
            | Verb::Prune
            | Verb::Reload
            | Verb::Open
            | Verb::Close
            | Verb::Maintenance
            | Verb::Autopilot
            | Verb::Rotate
            | Verb::Silence
            | Verb::Unsilence => false,
        }
    }

    /// The first twelve characters of its id.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::{ContainerSpec, Resource, project_name};

    #[test]
    fn names_are_those_that_compose_gives() {
        for (directory, name) in [("My Shop!", "myshop"), ("_a-B_1", "a-b_1"), ("äöü", "project"), ("shop", "shop")]
        {
            assert_eq!(project_name(directory), name);
        }
        let mut spec = ContainerSpec::of("shop", "web", "nginx");
        assert_eq!((spec.name(), spec.tag()), ("shop-web-1".to_owned(), "nginx".to_owned()));
        spec.image = None;
        assert_eq!(spec.tag(), "shop-web");
        assert_eq!(spec.network_name("default"), "shop_default");
        let own = Resource { name: Some("real".to_owned()), ..Resource::default() };
        let external = Resource { is_external: true, ..Resource::default() };
        spec.volume_resources = [("a".to_owned(), own), ("b".to_owned(), external)].into();
        assert_eq!((spec.volume_name("a"), spec.volume_name("b")), ("real".to_owned(), "b".to_owned()));
    }
}
