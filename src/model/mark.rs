//! A stable mark of what a run is made from: a later engine tells by it whether the project file still asks for that run.
//!
//! Two hashes (FNV-1a, 64 bits) over JSON of what matters to a process that runs. Whatever changes how one of them comes about
//! raises [`VERSION`]: marks of two versions say nothing about each other.
//!
//! Never: the place in a file, or what takes effect without a new start (dependencies, policy, backoff, stop plan, words).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    attributes::Attributes,
    container::ContainerSpec,
    probe::{Probe, ProbeKind},
    secret::SecretSource,
    service::{CommandLine, Limits, Port, ServiceKind, ServiceSpec},
};
use crate::shim_format::fnv1a;

/// Version of the mark.
pub const VERSION: u32 = 1;

/// What a run is made from, and by which probes it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpecMark {
    /// [`VERSION`] of the writer.
    v: u32,
    /// Of what the process is made from.
    made: u64,
    /// Of the questions that it is asked.
    asked: u64,
}

#[derive(Serialize)]
struct Made<'a> {
    kind: ServiceKind,
    command: &'a CommandLine,
    /// A path need not be text.
    directory: &'a [u8],
    environment: &'a BTreeMap<String, String>,
    /// Left out where there are none, as marks had it before there could be any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<&'a str, Origin<'a>>,
    limits: Limits,
    #[serde(skip_serializing_if = "Attributes::is_default")]
    attributes: &'a Attributes,
    split_streams: bool,
    tty: bool,
    ports: &'a [Port],
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a ContainerSpec>,
}

/// From where a secret is had.
#[derive(Serialize)]
enum Origin<'a> {
    /// A path need not be text.
    File(&'a [u8]),
    Command(&'a CommandLine),
    Env(&'a str),
}

#[derive(Serialize)]
struct Asked<'a> {
    probes: BTreeMap<ProbeKind, &'a Probe>,
    ready_log_line: Option<&'a str>,
}

impl SpecMark {
    /// The mark of a run that would be made now.
    #[must_use]
    pub fn of(spec: &ServiceSpec) -> Self {
        let ServiceSpec {
            id: _,
            kind,
            command,
            container,
            working_dir,
            environment,
            secrets,
            // That of whoever opens the project: another shell is no other service.
            base_environment: _,
            limits,
            attributes,
            logs,
            // They are looked after beside it.
            log_files: _,
            tty,
            depends_on: _,
            // It tells how the service is looked at, not how it is made.
            nature: _,
            probes,
            ready_log_line,
            restart: _,
            backoff: _,
            stop: _,
            // The next start, stop or failure uses them.
            hooks: _,
            ports,
            autostart: _,
            // A copy has its number and port in its environment.
            occasions: _,
            source: _,
            description: _,
        } = spec;
        let made = Made {
            kind: *kind,
            command,
            directory: working_dir.as_os_str().as_encoded_bytes(),
            environment,
            secrets: secrets.iter().map(|(name, source)| (name.as_str(), origin(source))).collect(),
            limits: *limits,
            // Left out where there are none: marks of services without them are those of before.
            attributes,
            split_streams: logs.split_streams,
            tty: *tty,
            ports,
            container: container.as_deref(),
        };
        let probes = probes.iter().map(|(kind, probe)| (*kind, &**probe)).collect();
        let asked = Asked { probes, ready_log_line: ready_log_line.as_deref() };
        Self { v: VERSION, made: hash(&made), asked: hash(&asked) }
    }

    /// Whether a run with this mark is known not to be what a spec with the `other` one asks for.
    #[must_use]
    pub const fn differs(self, other: Self) -> bool {
        self.v == other.v && (self.made != other.made || self.asked != other.asked)
    }

    /// Whether a run with this mark is known to have been started for other probes than a spec with the `other` one has.
    #[must_use]
    pub const fn is_asked_otherwise(self, other: Self) -> bool {
        self.v == other.v && self.asked != other.asked
    }
}

fn origin(source: &SecretSource) -> Origin<'_> {
    match source {
        SecretSource::File(path) => Origin::File(path.as_os_str().as_encoded_bytes()),
        SecretSource::Command(command) => Origin::Command(command),
        SecretSource::Env(name) => Origin::Env(name),
    }
}

fn hash(part: &impl Serialize) -> u64 {
    // Every key is text: there is nothing that JSON could not hold.
    serde_json::to_vec(part).map_or(0, |bytes| fnv1a(&bytes))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

    use super::SpecMark;
    use crate::model::{
        ids::{ProjectName, ServiceId, ServiceName},
        probe::{Check, Probe, ProbeKind},
        secret::SecretSource,
        service::{
            Backoff, CommandLine, Limits, LogPolicy, Port, RestartPolicy, ServiceKind, ServiceSpec, Source, StopPlan,
        },
        signal::Signal,
    };

    fn spec() -> ServiceSpec {
        let probe = Probe {
            check: Check::Http { url: "http://localhost:80/health".to_owned(), status: Some(204) },
            interval: Duration::from_millis(1500),
            timeout: Duration::from_secs(1),
            retries: 3,
            successes: 1,
            start_period: Duration::ZERO,
            heals: false,
            honest: true,
        };
        ServiceSpec {
            id: ServiceId { project: ProjectName::new("shop").unwrap(), service: ServiceName::new("web").unwrap() },
            kind: ServiceKind::Process,
            container: None,
            command: CommandLine::Argv(vec!["web".to_owned(), "--port".to_owned(), "80".to_owned()]),
            working_dir: PathBuf::from("/srv/shop"),
            environment: BTreeMap::from([("TOKEN".to_owned(), "s3cret".to_owned())]),
            secrets: BTreeMap::new(),
            base_environment: None,
            limits: Limits { cpus: Some(1.5), memory_bytes: Some(1 << 20), pids: None },
            attributes: crate::model::attributes::Attributes::default(),
            logs: LogPolicy::default(),
            log_files: Arc::default(),
            tty: false,
            depends_on: BTreeMap::new(),
            nature: None,
            probes: BTreeMap::from([(ProbeKind::Liveness, Arc::new(probe))]),
            ready_log_line: Some("listening".to_owned()),
            restart: RestartPolicy::Always,
            backoff: Backoff::default(),
            stop: StopPlan::default(),
            hooks: crate::model::hooks::Hooks::default(),
            ports: vec![Port(80)],
            autostart: true,
            occasions: crate::model::occasion::Occasions::default(),
            source: Source { file: PathBuf::from("/srv/shop/cas.yaml"), line: 3, column: 1 },
            description: None,
        }
    }

    fn with(change: impl FnOnce(&mut ServiceSpec)) -> SpecMark {
        let mut spec = spec();
        change(&mut spec);
        SpecMark::of(&spec)
    }

    /// Should this fail, `VERSION` must go up: else a run of an earlier cas would seem to have been made from another file.
    #[test]
    fn a_mark_is_the_same_in_every_build() {
        let mark = serde_json::to_string(&SpecMark::of(&spec())).unwrap();
        assert_eq!(mark, r#"{"v":1,"made":8344286559988929475,"asked":6197653655629241811}"#);
    }

    #[test]
    fn whatever_matters_to_a_process_changes_its_mark_and_nothing_else_does() {
        let before = SpecMark::of(&spec());
        let matter: [fn(&mut ServiceSpec); 10] = [
            |s| s.command = CommandLine::Shell("web --port 80".to_owned()),
            |s| s.working_dir = PathBuf::from("/srv"),
            |s| drop(s.environment.insert("TOKEN".to_owned(), "0ther".to_owned())),
            |s| s.attributes.umask = Some(0o27),
            |s| drop(s.secrets.insert("DB_PASS".to_owned(), SecretSource::Env("PASS".to_owned()))),
            |s| s.limits.pids = Some(7),
            |s| s.logs.split_streams = false,
            |s| s.tty = true,
            |s| s.ports.push(Port(81)),
            |s| s.ready_log_line = None,
        ];
        for change in matter {
            assert!(before.differs(with(change)));
        }
        let same: [fn(&mut ServiceSpec); 8] = [
            |s| s.source.line = 99,
            |s| s.restart = RestartPolicy::No,
            |s| s.stop.signal = Signal::Int,
            |s| s.backoff.give_up_after = 1,
            |s| s.autostart = false,
            |s| {
                s.hooks.pre_start.push(crate::model::hooks::HookCommand {
                    command: CommandLine::Shell("true".to_owned()),
                    timeout: Duration::from_secs(1),
                });
            },
            |s| s.logs.max_size = 1 << 20,
            |s| s.description = Some("the shop".to_owned()),
        ];
        for change in same {
            assert!(!before.differs(with(change)));
        }
    }

    #[test]
    fn other_probes_are_told_from_another_process_and_other_versions_say_nothing() {
        let before = SpecMark::of(&spec());
        let probes = with(|s| s.probes.clear());
        assert!(before.differs(probes) && before.is_asked_otherwise(probes));
        let process = with(|s| s.tty = true);
        assert!(before.differs(process) && !before.is_asked_otherwise(process));
        let newer = SpecMark { v: 2, ..probes };
        assert!(!before.differs(newer) && !before.is_asked_otherwise(newer));
    }
}
