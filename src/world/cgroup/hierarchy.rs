//! What `/proc/self/mountinfo` (proc(5)) and `/proc/self/cgroup` (cgroups(7)) say. Pure: text in, hierarchies out. Never: looks at
//! a file.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Component, Path, PathBuf},
};

/// Which interface a hierarchy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy per controller, or a few.
    V1,
    /// The unified one.
    V2,
}

/// What a hierarchy can count or limit; only those that are of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// Limits processor time.
    Cpu,
    /// Counts processor time (v1; in v2 every cgroup does).
    Cpuacct,
    /// Limits and counts memory.
    Memory,
    /// Limits and counts processes and threads.
    Pids,
    /// Stops all processes of a cgroup (v1; in v2 every cgroup can).
    Freezer,
}

impl Controller {
    /// From the kernel's word; none for one that is of no use here.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "cpu" => Some(Self::Cpu),
            "cpuacct" => Some(Self::Cpuacct),
            "memory" => Some(Self::Memory),
            "pids" => Some(Self::Pids),
            "freezer" => Some(Self::Freezer),
            _ => None,
        }
    }

    /// The kernel's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Freezer => "freezer",
        }
    }
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its interface.
    pub version: Version,
    /// What it can do; empty in v2, where each cgroup has its own list.
    pub controllers: Vec<Controller>,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Which cgroup is seen at the mount: `/`, or another inside a container without a cgroup namespace.
    pub root: PathBuf,
    /// The cgroup that we are in, seen from the hierarchy's root.
    pub own: PathBuf,
}

impl Hierarchy {
    /// Hierarchies that are mounted, v2 first, each once; those of v1 only where they have a controller that is of use.
    #[must_use]
    pub fn parse(mountinfo: &str, own: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for line in mountinfo.lines() {
            let Some(mut hierarchy) = parse_mount(line) else { continue };
            let Some(own) = hierarchy.path_in(own) else { continue };
            hierarchy.own = own;
            let same = found
                .iter_mut()
                .find(|other| other.version == hierarchy.version && other.controllers == hierarchy.controllers);
            match same {
                // Mounted twice: the one that shows more, in which we are seen.
                Some(other) if other.own_dir().is_none() && hierarchy.own_dir().is_some() => *other = hierarchy,
                Some(_) => {}
                None => found.push(hierarchy),
            }
        }
        found.sort_by_key(|hierarchy| hierarchy.version == Version::V1);
        found
    }

    /// The path of this hierarchy's line in the text of a `/proc/PID/cgroup`.
    #[must_use]
    pub fn path_in(&self, text: &str) -> Option<PathBuf> {
        text.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let ours = match self.version {
                Version::V2 => number == "0" && controllers.is_empty(),
                Version::V1 => controllers
                    .split(',')
                    .filter_map(Controller::from_word)
                    .any(|controller| self.controllers.contains(&controller)),
            };
            ours.then(|| PathBuf::from(path))
        })
    }

    /// Where a cgroup is seen in the file system; none where it lies outside of what is mounted.
    #[must_use]
    pub fn visible(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.root).ok()?;
        let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| if below.as_os_str().is_empty() { self.mount.clone() } else { self.mount.join(below) })
    }

    /// Where the cgroup that we are in is seen.
    #[must_use]
    pub fn own_dir(&self) -> Option<PathBuf> {
        self.visible(&self.own)
    }
}

/// `36 35 98:0 /root /mount/point options [optional…] - type source super,options`.
fn parse_mount(line: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, mount) = (unescape(before.next()?), unescape(before.next()?));
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    let (version, controllers) = match kind {
        "cgroup2" => (Version::V2, Vec::new()),
        "cgroup" => (Version::V1, options.split(',').filter_map(Controller::from_word).collect::<Vec<_>>()),
        _ => return None,
    };
    if version == Version::V1 && controllers.is_empty() {
        return None;
    }
    Some(Hierarchy { version, controllers, mount, root, own: PathBuf::new() })
}

/// Space, tab, line feed and backslash are written as three octal digits behind a backslash.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            digits.iter().try_fold(0_u16, |code, digit| {
                (b'0'..=b'7').contains(digit).then(|| code * 8 + u16::from(digit - b'0'))
            })
        });
        if let Some(byte) = code.and_then(|code| u8::try_from(code).ok()) {
            bytes.push(byte);
            rest = &others[3..];
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}
