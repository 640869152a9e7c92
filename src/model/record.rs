//! What the engine keeps of a service for the next engine: enough for the same run, the same counts and the same wait.
//!
//! One JSON document on one line. Fields may be added with a default, and a reader passes over those that it does not know;
//! whatever an older reader would misunderstand raises [`VERSION`].
//!
//! Never: a value of an environment variable, or anything that changes with every sample or probe round.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::{
    alarm::{Level, Rule, Silence},
    ids::{RunId, ServiceId},
    mark::SpecMark,
    phase::{AfterStop, Exit, Phase},
    policy::{Autopilot, Origin},
    probe::ProbeKind,
    service::{LogPolicy, ServiceSpec, StopPlan},
    time::{Timestamp, human},
};

/// Version of the format.
pub const VERSION: u32 = 1;

/// The line that says that nothing is to be known of a service any more: it is gone from its project.
pub const FORGOTTEN: &str = "null";

/// Stands in the place of a boot in a record that an engine made before it ended everything with the machine or its user's session: what
/// ran begins again with the next engine, as after a restart of the machine.
pub const HALTED: &str = "halted";

/// What was kept of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// [`VERSION`] of the writer.
    pub v: u32,
    /// The boot of the machine in which it was written, or [`HALTED`]; empty where that is not known.
    pub boot: Arc<str>,
    /// When it was written.
    pub at: Timestamp,
    /// The service then.
    pub state: ServiceState,
    /// The engine then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub engine: EngineState,
}

/// What of the engine itself goes over to the next one. It stands in the records that are written anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EngineState {
    /// How a person has set the autopilot; none: it is as configured.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub autopilot: Option<Choice>,
    /// What was taken from the restart budget and had not come back, in ten-millionths of a restart.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spent: u64,
}

/// How a person has set the autopilot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// To.
    pub mode: Autopilot,
    /// Who.
    pub by: Origin,
    /// When, microseconds since the Unix epoch: the newest of several counts, also over boots.
    pub wall_us: i64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a newer cas says in words that are not known here is as if it were not there: it costs no more than itself.
fn or_none<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(from)?).ok())
}

/// The same of a list: what is not understood is left out.
fn those_known<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(from)?;
    Ok(all.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect())
}

/// Why a record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableRecord {
    /// It is damaged.
    #[error("damaged: {0}")]
    Damaged(String),
    /// A newer cas wrote it.
    #[error("written by a newer cas (format {0}, this one knows up to {VERSION})")]
    Newer(u32),
}

impl ServiceRecord {
    /// As one line of JSON.
    #[must_use]
    pub fn to_line(&self) -> Arc<str> {
        // Every map key is a string and every number finite: there is nothing that JSON could not hold.
        serde_json::to_string(self).map_or_else(|_| Arc::from(FORGOTTEN), Arc::from)
    }

    /// Reads a line back; none where it is [`FORGOTTEN`].
    ///
    /// # Errors
    /// [`UnusableRecord`].
    pub fn parse(line: &str) -> Result<Option<Self>, UnusableRecord> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let damaged = |error: serde_json::Error| UnusableRecord::Damaged(error.to_string());
        match serde_json::from_str::<Option<Version>>(line).map_err(damaged)? {
            None => return Ok(None),
            Some(Version { v }) if v > VERSION => return Err(UnusableRecord::Newer(v)),
            Some(Version { v: 0 }) => return Err(UnusableRecord::Damaged("it has format 0".to_owned())),
            Some(Version { .. }) => {}
        }
        serde_json::from_str(line).map(Some).map_err(damaged)
    }
}

/// Everything about a service that outlives its engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceState {
    /// What is wanted.
    pub goal: Goal,
    /// Where it stands.
    pub phase: Phase,
    /// The run that is there, or under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunState>,
    /// The newest run that can have been made before this was written; runs up to it are over, save `run`.
    pub last_run: RunId,
    /// An ending that was decided and waits for its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// Why the present (or next) run is started.
    pub start: StartState,
    /// Consecutive starts that never became stable, all of them over.
    pub streak: u32,
    /// Consecutive restarts by the healer.
    pub attempt: u32,
    /// Restarts by the healer since it was last started on purpose.
    pub restarts: u32,
    /// Its last run ended by itself with code 0, and nothing ran since.
    #[serde(default)]
    pub completed: bool,
    /// How the last run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Exit>,
    /// Who stopped it; none where nobody did since it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<Origin>,
    /// Why it is in its phase.
    pub why: String,
    /// How it has flapped lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flap: Option<FlapState>,
    /// Its project was closed, or cas was ended with all its services: the next opening is a first one.
    #[serde(default)]
    pub closed: bool,
    /// It would have started with its project, and only others were asked for then; nobody has started it since.
    #[serde(default, skip_serializing_if = "is_default")]
    pub withheld: bool,
    /// The clock that starts it.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockState>,
    /// What its starts have taught.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub learnt: Option<LearntState>,
    /// A person works on it.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceState>,
    /// Nobody is told of its alarms for a while.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
    /// Its alarms that fire.
    #[serde(default, deserialize_with = "those_known", skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmRecord>,
    /// What routes were told of the incident that begins with it.
    #[serde(default, deserialize_with = "those_known", skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<ToldState>,
}

/// An alarm that fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRecord {
    /// Its name: `shop/web:down`.
    pub name: String,
    /// Its rule.
    pub rule: Rule,
    /// How bad it is.
    pub level: Level,
    /// What is wrong.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
    /// Routes that were told of it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sent: BTreeSet<String>,
}

/// What one route was told of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldState {
    /// Its name.
    pub route: String,
    /// Alarms, by name, and how bad they were.
    pub alarms: BTreeMap<String, Level>,
    /// The first words about it.
    pub headline: String,
    /// The loudest of them.
    pub level: Level,
    /// Since when.
    pub since: Timestamp,
    /// The last message.
    pub at: Timestamp,
    /// That it is over is still to be told.
    pub open: bool,
}

/// A person works on a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceState {
    /// When it ends; none: when somebody says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who began it.
    pub by: Origin,
    /// It would have been restarted meanwhile.
    #[serde(default, skip_serializing_if = "is_default")]
    pub missed: bool,
}

/// How long a service takes until it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearntState {
    /// Starts that were learnt from.
    pub starts: u32,
    /// Mean time until it was ready, the newer ones weighing more, in microseconds.
    pub usual_us: u64,
}

/// The clock of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockState {
    /// Its schedule in words: of another one, the times mean nothing.
    pub by: String,
    /// Nothing is started until somebody starts it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub suspended: bool,
    /// The last time that came, microseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_us: Option<i64>,
    /// The next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_us: Option<i64>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact, and they are independent")]
pub struct RunState {
    /// Its id.
    pub id: RunId,
    /// When it began.
    pub since: Timestamp,
    /// Its main process; none where its start was not confirmed.
    pub pid: Option<u32>,
    /// How its main process ended, where others of it are still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// It lasted long enough.
    #[serde(default)]
    pub became_stable: bool,
    /// That it is ready was told.
    #[serde(default)]
    pub told_ready: bool,
    /// Its ready line was seen.
    #[serde(default)]
    pub log_ready: bool,
    /// It was asked to be frozen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pause_wanted: bool,
    /// Probes that are answered once in a run, and were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<ProbeKind>,
    /// Who ends it, and the words for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<(Origin, String)>,
    /// The probe for which the healer ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_probe: Option<ProbeKind>,
    /// What it was made from; none where that is not known.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub made_from: Option<SpecMark>,
    /// How it is to be looked after should its service be gone from the file; none: as by default.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Option::is_none")]
    pub care: Option<RunCare>,
}

/// What of a spec is still needed for a run whose service is gone from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunCare {
    /// How it is ended.
    pub stop: StopPlan,
    /// How its output is kept.
    pub logs: LogPolicy,
    /// It has a pseudo-terminal.
    pub tty: bool,
}

impl RunCare {
    /// That of a run of `spec`; none where it is the default one.
    #[must_use]
    pub fn of(spec: &ServiceSpec) -> Option<Self> {
        let care = Self { stop: spec.stop, logs: spec.logs, tty: spec.tty };
        (care != Self::default()).then_some(care)
    }
}

/// What user and policy want of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Not there.
    Down,
    /// There.
    Up,
}

/// How an ending begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "manner")]
pub enum Manner {
    /// The service's own signal, then `grace` (none: its own), then SIGKILL.
    Ask {
        /// Time until SIGKILL.
        #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
        grace: Option<Duration>,
    },
    /// SIGKILL at once.
    Kill,
}

/// An ending that was decided and has not begun: dependents that end with it go first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// What follows it.
    pub then: AfterStop,
    /// How it begins.
    pub manner: Manner,
    /// Who decided it.
    pub by: Origin,
    /// `stopped by you`, for every line that tells about it.
    pub because: String,
    /// Those who go first.
    pub after: Vec<ServiceId>,
}

/// Why a run is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartState {
    /// Who wants it.
    pub who: Origin,
    /// `started by you`, `restarted by the healer after exit code 1, try 2`.
    pub because: String,
    /// Consecutive restart number; 0 where it was asked for.
    pub attempt: u32,
    /// Whether it is one more restart in the eyes of the user and is not counted yet.
    pub counts: bool,
}

/// How a service has flapped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FlapState {
    /// Falls from healthy to unhealthy, fading with time.
    pub score: f64,
    /// When the score was so.
    pub at: Timestamp,
    /// Whether the healer holds still.
    pub is_flapping: bool,
}
