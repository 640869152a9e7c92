//! The kinds of faults: one file each in `day/faults`, so that adding one needs no code.
//!
//! Promise: a file that cannot be taken ends the trial with its name and what is wrong. Never: a fault that is passed over in silence.

use std::{fs, path::Path};

use serde::Deserialize;

/// What must follow from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Follows {
    /// Another run of the service.
    Restart,
    /// The same run goes on.
    Nothing,
}

/// What a fault needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Needs {
    /// That limits of memory are enforced.
    #[serde(rename = "memory limits")]
    MemoryLimits,
    /// That two services are containers.
    #[serde(rename = "containers")]
    Containers,
}

/// One kind of fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// The name of its file.
    #[serde(skip)]
    pub(crate) name: String,
    /// For people.
    pub(crate) about: String,
    /// Names of services; `*` is all of them.
    pub(crate) to: Vec<String>,
    /// How often it comes, beside the others.
    pub(crate) weight: u32,
    /// What the service is asked to do to itself: `exit 1`.
    #[serde(default)]
    pub(crate) ask: Option<String>,
    /// A shell line that does it, with `PID`, `SHIM`, `PORT`, `NAME`, `DIR`, `FLAGS`, `TOOLS`, `PSQL`, `RABBITMQCTL`, `CONTAINER`.
    #[serde(default)]
    pub(crate) shell: Option<String>,
    pub(crate) follows: Follows,
    #[serde(default)]
    pub(crate) needs: Option<Needs>,
    /// Starts that also an ideal healer needs.
    pub(crate) starts: u32,
    /// Seconds of downtime beside those starts that no healer can avoid.
    #[serde(default)]
    pub(crate) seconds: f64,
    /// Seconds for which it works: nothing is judged before.
    #[serde(default)]
    pub(crate) lasts: f64,
    /// Seconds until it must be healed, beside the starts.
    pub(crate) within: f64,
    /// The daemon is killed with it, and the next one comes after so many seconds.
    #[serde(default)]
    pub(crate) engine: Option<f64>,
    /// No other comes at the same time.
    #[serde(default)]
    pub(crate) alone: bool,
    /// The service falls ill without ending.
    #[serde(default)]
    pub(crate) hangs: bool,
}

impl Fault {
    /// Whether it may be done to a service.
    pub(crate) fn fits(&self, service: &str) -> bool {
        self.to.iter().any(|name| name == "*" || name == service)
    }
}

/// All kinds, by name.
pub(crate) fn load(directory: &Path, services: &[&str]) -> Vec<Fault> {
    let files = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut faults: Vec<Fault> = files
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut fault: Fault = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            fault.name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            assert!(fault.ask.is_some() != fault.shell.is_some(), "{}: one of `ask` and `shell`", path.display());
            for name in &fault.to {
                assert!(name == "*" || services.contains(&name.as_str()), "{}: no service {name}", path.display());
            }
            fault
        })
        .collect();
    faults.sort_by(|a, b| a.name.cmp(&b.name));
    faults
}
