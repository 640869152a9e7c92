//! What is done to containers that is no start or end of a service's run, and what takes up space on Docker's disk. Plain data; never talks to an engine
//! of containers.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{container::ContainerSpec, signal::Signal};

/// How much of what a run is made from is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remake {
    /// Nothing that is there and was made from the same.
    #[default]
    Nothing,
    /// The container; volumes stay, those without a name, too.
    Container,
    /// The container, and its volumes that have no name.
    WithVolumes,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Start it.
    Start,
    /// Ask it to end, then SIGKILL.
    Stop {
        /// Time before SIGKILL; none: the container's own.
        grace: Option<Duration>,
    },
    /// Stop it and start it.
    Restart {
        /// As above.
        grace: Option<Duration>,
    },
    /// Send its main process a signal.
    Signal(Signal),
    /// Freeze it.
    Pause,
    /// Let it go on.
    Unpause,
    /// Fetch its image, whether one is there or not.
    Pull,
    /// Remove it.
    Remove {
        /// Also while it runs.
        force: bool,
        /// Also its volumes that have no name.
        volumes: bool,
    },
    /// Free the space that a thing takes.
    Clear,
}

impl Deed {
    /// What is done, for a plan: `pause`.
    #[must_use]
    pub fn infinitive(&self) -> String {
        match self {
            Self::Start => "start".to_owned(),
            Self::Stop { .. } => "stop".to_owned(),
            Self::Restart { .. } => "restart".to_owned(),
            Self::Signal(Signal::Kill) => "kill".to_owned(),
            Self::Signal(signal) => format!("send {signal} to"),
            Self::Pause => "pause".to_owned(),
            Self::Unpause => "unpause".to_owned(),
            Self::Pull => "pull the image of".to_owned(),
            Self::Remove { force: false, .. } => "remove".to_owned(),
            Self::Remove { force: true, .. } => "remove, also while it runs,".to_owned(),
            Self::Clear => "remove".to_owned(),
        }
    }

    /// What was done, for the timeline: `paused`.
    #[must_use]
    pub fn done(&self) -> String {
        match self {
            Self::Start => "started".to_owned(),
            Self::Stop { .. } => "stopped".to_owned(),
            Self::Restart { .. } => "restarted".to_owned(),
            Self::Signal(Signal::Kill) => "killed".to_owned(),
            Self::Signal(signal) => format!("sent {signal}"),
            Self::Pause => "paused".to_owned(),
            Self::Unpause => "unpaused".to_owned(),
            Self::Pull => "image pulled".to_owned(),
            Self::Remove { .. } | Self::Clear => "removed".to_owned(),
        }
    }
}

/// To what it is done.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A container, by its whole id.
    Container(String),
    /// The containers of a service.
    Service(Arc<ContainerSpec>),
    /// An image, by its name (to fetch it).
    Image(String),
    /// Something that takes up space.
    Thing(Arc<Thing>),
}

/// What takes up space.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum ThingKind {
    /// Containers that do not run: what they wrote into themselves
    Containers,
    /// Images
    Images,
    /// What builds have kept for the next one
    BuildCache,
    /// Volumes: data
    Volumes,
}

impl ThingKind {
    /// All, in the order in which they are cleared: a container that is gone needs its image no more.
    pub const ALL: [Self; 4] = [Self::Containers, Self::Images, Self::BuildCache, Self::Volumes];

    /// The word, as typed.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Containers => "containers",
            Self::Images => "images",
            Self::BuildCache => "build-cache",
            Self::Volumes => "volumes",
        }
    }

    /// One of them, for a sentence.
    #[must_use]
    pub const fn one(self) -> &'static str {
        match self {
            Self::Containers => "container",
            Self::Images => "image",
            Self::BuildCache => "build cache",
            Self::Volumes => "volume",
        }
    }
}

/// Something that takes up space on Docker's disk. All text was made safe for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Thing {
    /// What it is.
    pub kind: ThingKind,
    /// By which Docker knows it; empty for the build cache as a whole.
    pub id: String,
    /// As people call it.
    pub name: String,
    /// Bytes that its removal frees: what it shares with others left out. None: the engine does not say.
    pub bytes: Option<u64>,
    /// Something uses it: a container that runs, an image or volume of any container.
    pub is_used: bool,
    /// Somebody gave it a name.
    pub is_named: bool,
    /// Compose's project, where it is of one.
    pub project: Option<String>,
}

/// What takes up space, and how much in all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DiskUse {
    /// Everything, by kind, the largest first.
    pub things: Vec<Thing>,
    /// Bytes of all layers of all images, each counted once; none: the engine does not say.
    pub layers: Option<u64>,
}

/// How many things, and how many bytes they take as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Amount {
    /// How many.
    pub count: usize,
    /// Bytes.
    pub bytes: u64,
    /// Of so many it is not known.
    pub unknown: usize,
}

impl Amount {
    /// Of some things.
    pub fn of<'a>(things: impl Iterator<Item = &'a Thing>) -> Self {
        things.fold(Self::default(), |sum, thing| Self {
            count: sum.count + 1,
            bytes: sum.bytes.saturating_add(thing.bytes.unwrap_or(0)),
            unknown: sum.unknown + usize::from(thing.bytes.is_none()),
        })
    }
}

impl DiskUse {
    /// Those of a kind.
    pub fn of(&self, kind: ThingKind) -> impl Iterator<Item = &Thing> {
        self.things.iter().filter(move |thing| thing.kind == kind)
    }

    /// What may be removed: of the kinds that are meant, what nothing uses and no project of `kept` has. Without `all` also nothing that somebody may
    /// come back to: what has a name, and containers of compose projects.
    #[must_use]
    pub fn spare(&self, kinds: &[ThingKind], all: bool, kept: &Kept) -> Vec<&Thing> {
        let is_spare = |thing: &&Thing| {
            let own = thing.project.as_ref().is_some_and(|project| kept.projects.contains(project))
                || (thing.kind == ThingKind::Images && kept.images.contains(&thing.name))
                || (thing.kind == ThingKind::Volumes && kept.volumes.contains(&thing.id));
            let has_owner = match thing.kind {
                // Every container has a name; one of a project is somebody's.
                ThingKind::Containers => thing.project.is_some(),
                ThingKind::Images | ThingKind::BuildCache | ThingKind::Volumes => thing.is_named,
            };
            kinds.contains(&thing.kind) && !thing.is_used && !own && (all || !has_owner)
        };
        let mut spare: Vec<&Thing> = self.things.iter().filter(is_spare).collect();
        spare.sort_by_key(|thing| thing.kind);
        spare
    }
}

/// What open projects have: it is never removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Compose's names of projects.
    pub projects: Vec<String>,
    /// Names of images, as [`image_name`] has them.
    pub images: Vec<String>,
    /// Real names of volumes.
    pub volumes: Vec<String>,
}

/// With the tag that is meant where none is given.
#[must_use]
pub fn image_name(tag: &str) -> String {
    let last = tag.rsplit('/').next().unwrap_or(tag);
    if last.contains(':') || tag.contains('@') { tag.to_owned() } else { format!("{tag}:latest") }
}

/// Bytes as people read them, by powers of 1000 as Docker has them: `1.2 GB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.one())?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        match self.bytes {
            Some(bytes) => write!(f, " ({})", size(bytes)),
            None => f.write_str(" (size not known)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskUse, Kept, Thing, ThingKind, image_name, size};

    fn thing(kind: ThingKind, name: &str) -> Thing {
        let (id, name) = (format!("id-{name}"), name.to_owned());
        Thing { kind, id, name, bytes: Some(1_000_000), is_used: false, is_named: false, project: None }
    }

    #[test]
    fn what_somebody_uses_or_may_come_back_to_is_not_spare() {
        let things = vec![
            thing(ThingKind::Volumes, "anonymous"),
            Thing { is_named: true, ..thing(ThingKind::Volumes, "data") },
            Thing { is_used: true, ..thing(ThingKind::Images, "busy") },
            Thing { is_named: true, ..thing(ThingKind::Images, "app:1") },
            Thing { is_named: true, ..thing(ThingKind::Images, "own:latest") },
            thing(ThingKind::Images, "<none>"),
            thing(ThingKind::Containers, "loose"),
            Thing { project: Some("shop".to_owned()), ..thing(ThingKind::Containers, "shop-web-1") },
            Thing { project: Some("old".to_owned()), ..thing(ThingKind::Containers, "old-web-1") },
        ];
        let disk = DiskUse { things, layers: None };
        let kept = Kept { projects: vec!["shop".to_owned()], images: vec!["own:latest".to_owned()], volumes: vec![] };
        let names = |kinds: &[ThingKind], all| {
            disk.spare(kinds, all, &kept).into_iter().map(|thing| thing.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(names(&ThingKind::ALL, false), ["loose", "<none>", "anonymous"]);
        assert_eq!(names(&ThingKind::ALL, true), ["loose", "old-web-1", "app:1", "<none>", "anonymous", "data"]);
        assert_eq!(names(&[ThingKind::Images], false), ["<none>"]);
        let volumes = Kept { volumes: vec!["id-anonymous".to_owned()], ..Kept::default() };
        assert!(disk.spare(&[ThingKind::Volumes], false, &volumes).is_empty());
    }

    #[test]
    fn sizes_are_those_that_docker_shows() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1_234_000, "1.2 MB"), (123_400_000, "123 MB"), (9_990_000_000, "10.0 GB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(
            [image_name("web"), image_name("host:5000/web"), image_name("web:2"), image_name("web@sha256:0")],
            ["web:latest", "host:5000/web:latest", "web:2", "web@sha256:0"]
        );
    }
}
