//! How the services of a scripted world behave.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use cas::model::{
    event::{Event, TimerKey},
    hooks::{HookKind, HookOutcome},
    ids::{Epoch, RunId, ServiceId},
    phase::Exit,
    probe::ProbeKind,
    service::Port,
    time::Timestamp,
};

use super::specs::{MS, ms};

/// How one run goes by itself.
#[derive(Debug, Clone)]
pub(super) enum Life {
    Forever,
    Ends(Duration, Exit),
    Fails(String),
}

/// How a probe is answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Well,
    Bad,
    Broken,
    /// Bad until the run is so old.
    BadUntil(Duration),
    /// Alternates, good first.
    Alternates,
    /// Torn down when its time is out, which counts as a failure.
    Late,
    Never,
}

/// How a service behaves.
#[derive(Debug, Clone)]
pub(super) struct Behaviour {
    pub(super) spawn_takes: Duration,
    pub(super) lives: VecDeque<Life>,
    pub(super) then: Life,
    /// None: it ignores the signal.
    pub(super) ends_in: Option<Duration>,
    pub(super) leftover: usize,
    /// What is left behind ends by itself after this; none: it stays until it is ended.
    pub(super) leftover_lasts: Option<Duration>,
    pub(super) survivors: Vec<u32>,
    pub(super) answers: BTreeMap<ProbeKind, Answer>,
    /// How each hook ends, and after how long; one that is not here passes at once.
    pub(super) hooks: BTreeMap<HookKind, (Duration, HookOutcome)>,
    /// After the spawn, for which question.
    pub(super) logs: Vec<(Duration, Option<ProbeKind>)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            spawn_takes: MS,
            lives: VecDeque::new(),
            then: Life::Forever,
            ends_in: Some(ms(50)),
            leftover: 0,
            leftover_lasts: None,
            survivors: Vec::new(),
            answers: BTreeMap::new(),
            hooks: BTreeMap::new(),
            logs: Vec::new(),
        }
    }
}

/// A process as the world knows it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) service: ServiceId,
    pub(super) born: Timestamp,
    /// The engine was told that it runs.
    pub(super) told: bool,
    pub(super) main: bool,
    pub(super) leftover: usize,
    pub(super) rounds: u64,
    /// The present engine made it or took it over.
    pub(super) attached: bool,
    /// How and when its main process ended.
    pub(super) end: Option<(Exit, Timestamp)>,
}

/// Randomness in the world itself.
#[derive(Debug)]
pub(super) struct Chaos {
    pub(super) rng: fastrand::Rng,
    /// One answer of a probe in so many is lost.
    pub(super) lose_answers: Option<u32>,
}

/// What will happen at some instant.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    Timer(TimerKey, Epoch, u64),
    Told(Event),
    Born(RunId),
    Dies(RunId, Exit),
    Probed(RunId, ProbeKind, u64),
    TreeGone(RunId),
    LeftoversGone(RunId),
    Ports(ServiceId, Epoch, Vec<Port>),
}
