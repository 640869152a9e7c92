//! As what a process begins: its user, masks and limits of its own.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A limit of one process (setrlimit(2)); the words of `ulimits` in compose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Bytes of address space.
    As,
    /// Bytes of a core file.
    Core,
    /// Seconds of processor time.
    Cpu,
    /// Bytes of data.
    Data,
    /// Bytes of a file that is written.
    Fsize,
    /// Bytes that may be locked in memory.
    Memlock,
    /// Bytes in message queues.
    Msgqueue,
    /// Open files.
    Nofile,
    /// Processes of its user.
    Nproc,
    /// Bytes of resident memory; Linux passes it over since 2.4.30.
    Rss,
    /// Signals that wait.
    Sigpending,
    /// Bytes of a stack.
    Stack,
}

impl Resource {
    /// All of them; the place of each is its number in what a shim is handed.
    pub const ALL: [Self; 12] = [
        Self::As,
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::Fsize,
        Self::Memlock,
        Self::Msgqueue,
        Self::Nofile,
        Self::Nproc,
        Self::Rss,
        Self::Sigpending,
        Self::Stack,
    ];

    /// The word in files.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::As => "as",
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::Fsize => "fsize",
            Self::Memlock => "memlock",
            Self::Msgqueue => "msgqueue",
            Self::Nofile => "nofile",
            Self::Nproc => "nproc",
            Self::Rss => "rss",
            Self::Sigpending => "sigpending",
            Self::Stack => "stack",
        }
    }
}

/// Both bounds of a [`Resource`]; none: unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Ulimit {
    /// What holds; the process may raise it up to `hard`.
    pub soft: Option<u64>,
    /// What it may not raise (root may).
    pub hard: Option<u64>,
}

impl fmt::Display for Ulimit {
    /// `1024`, or `1024:4096`; `unlimited` for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bound: Option<u64>| bound.map_or_else(|| "unlimited".to_owned(), |bound| bound.to_string());
        if self.soft == self.hard {
            return f.write_str(&shown(self.soft));
        }
        write!(f, "{}:{}", shown(self.soft), shown(self.hard))
    }
}

/// As what a process begins. None: as cas itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attributes {
    /// `NAME`, `UID`, and with `:GROUP` or `:GID` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Bits of permissions that new files do not get, at most 0o777.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// From -20 (first) to 19 (last).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// Limits of each process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<Resource, Ulimit>,
}

impl Attributes {
    /// True where it begins as cas itself.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// These over those of `below`.
    #[must_use]
    pub fn over(self, below: &Self) -> Self {
        let mut ulimits = below.ulimits.clone();
        ulimits.extend(self.ulimits);
        Self {
            user: self.user.or_else(|| below.user.clone()),
            umask: self.umask.or(below.umask),
            nice: self.nice.or(below.nice),
            ulimits,
        }
    }
}
