//! What the engine knows about one service. Plain data; who changes it and why stands in `supervise` and `health`.
//!
//! Never: seen outside the engine.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    clock::Clock,
    exam::{ExamState, Seen},
    files::Touched,
    flap::Flap,
    heal::{Ladder, Maintenance},
    learn::Learnt,
    mend::Mends,
    revision::Revisions,
    rotate::Rotations,
    still::Still,
};
use crate::model::{
    alarm::Silence,
    deed::Remake,
    exam::{Checkup, Finding},
    history::History,
    ids::{Epoch, RunId, ServiceId, ServiceName},
    mark::SpecMark,
    metric::RunUsage,
    phase::{Exit, Health, Phase},
    policy::Origin,
    probe::{Check, Probe, ProbeKind, ProbeOutcome},
    record::ServiceState,
    service::ServiceSpec,
    snapshot::ServiceView,
    time::Timestamp,
};

pub(super) use crate::model::record::{Due, Goal, Manner};

/// Why the present (or next) run is started.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) who: Origin,
    /// `started by you`, `restarted by the healer after exit code 1, try 2`.
    pub(super) because: String,
    /// Consecutive restart number; 0 where it was asked for.
    pub(super) attempt: u32,
    /// Whether it is one more restart in the eyes of the user (not where it only waited for its dependency).
    pub(super) counts: bool,
    /// It holds a token of the restart budget.
    pub(super) token: bool,
    /// It stands in the line for one.
    pub(super) queued: bool,
}

/// How far a run came to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Only its ports are being looked at: no process.
    Checking,
    /// Its `pre_start` runs: no process of its own.
    Preparing,
    /// The spawn was asked for and is not answered.
    Spawning,
    /// There is, or was, a process.
    Spawned,
}

/// How far a hook that runs once in a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Untaken,
    Running,
    Over,
}

/// How far the ending of a run was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Push {
    /// Not at all, or not yet.
    Nothing,
    /// `StopTree` was sent.
    Asked,
    /// `EndTree` was sent and allows some time.
    Ending,
    /// `EndTree` was sent and allows none.
    Killed,
}

/// One run, until nothing of it is left.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact, and they are independent")]
pub(super) struct Run {
    pub(super) id: RunId,
    /// The spec it was made from, which a reload does not change.
    pub(super) spec: Arc<ServiceSpec>,
    /// What its process was made from, which an earlier engine may have read from an earlier file; none where nobody knows.
    pub(super) made_from: Option<SpecMark>,
    pub(super) stage: Stage,
    pub(super) since: Timestamp,
    pub(super) pid: Option<u32>,
    /// How its main process ended.
    pub(super) exit: Option<Exit>,
    /// When its main process was gone; none while the run goes on without it.
    pub(super) ended: Option<Timestamp>,
    /// When it ended, where no engine looked: the wait for the next run counts from then.
    pub(super) unseen_end: Option<Timestamp>,
    /// A signal stopped its main process.
    pub(super) still: Option<Still>,
    /// Its container was frozen then.
    pub(super) paused: Option<Timestamp>,
    /// We were asked to freeze it: it is neither asked nor healed meanwhile.
    pub(super) pause_wanted: bool,
    pub(super) push: Push,
    pub(super) pre_stop: Turn,
    /// Who ends it, and the words for it.
    pub(super) ended_by: Option<(Origin, String)>,
    /// The probe for which the healer ended it.
    pub(super) failed_probe: Option<ProbeKind>,
    pub(super) became_stable: bool,
    pub(super) told_ready: bool,
    pub(super) log_ready: bool,
    pub(super) probes: BTreeMap<ProbeKind, ProbeState>,
}

/// What the rounds of one probe in one run said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing that counts yet.
    Untold,
    Well,
    /// It failed `retries` times in a row.
    Ill,
    /// It cannot be put.
    Broken,
}

/// A round that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flight {
    None,
    Counts,
    /// cas itself did not run meanwhile: whatever it answers says nothing.
    Discarded,
}

/// One probe of one run.
#[derive(Debug)]
pub(super) struct ProbeState {
    pub(super) probe: Arc<Probe>,
    pub(super) round: u64,
    pub(super) flight: Flight,
    pub(super) failures: u32,
    pub(super) successes: u32,
    pub(super) standing: Standing,
    pub(super) last: Option<ProbeOutcome>,
    pub(super) took: Duration,
    /// How long the last rounds took.
    pub(super) rounds: VecDeque<Duration>,
    /// When its round in flight, or the last, was sent.
    pub(super) sent: Timestamp,
    /// When the first round of the present row of failures was sent.
    pub(super) failing_since: Option<Timestamp>,
    /// Until then it is asked in a quick rhythm: what it needs came back.
    pub(super) eager_until: Option<Timestamp>,
    /// When its timer is due; one that comes earlier was replaced and says nothing.
    pub(super) due: Timestamp,
    /// Failures before this do not count.
    pub(super) forgiven_until: Timestamp,
}

impl ProbeState {
    fn new(probe: &Arc<Probe>, since: Timestamp) -> Self {
        Self {
            probe: probe.clone(),
            round: 0,
            flight: Flight::None,
            failures: 0,
            successes: 0,
            standing: Standing::Untold,
            last: None,
            took: Duration::ZERO,
            rounds: VecDeque::new(),
            sent: since,
            failing_since: None,
            eager_until: None,
            due: since,
            forgiven_until: since.plus(probe.start_period),
        }
    }

    /// True where it is answered by a line of output and not by rounds.
    pub(super) fn watches_log(&self) -> bool {
        matches!(self.probe.check, Check::Log { .. })
    }
}

impl Run {
    pub(super) fn new(id: RunId, service: &Service, stage: Stage, now: Timestamp) -> Self {
        let spec = &service.spec;
        let probes = spec.probes.iter().map(|(kind, probe)| (*kind, ProbeState::new(probe, now))).collect();
        Self {
            id,
            spec: spec.clone(),
            made_from: Some(service.mark),
            stage,
            since: now,
            pid: None,
            exit: None,
            ended: None,
            unseen_end: None,
            still: None,
            paused: None,
            pause_wanted: false,
            push: Push::Nothing,
            pre_stop: Turn::Untaken,
            ended_by: None,
            failed_probe: None,
            became_stable: false,
            told_ready: false,
            log_ready: false,
            probes,
        }
    }
}

impl Run {
    /// Whether it stands still as it was asked to. What somebody else has frozen hangs.
    pub(super) const fn is_spared(&self) -> bool {
        self.pause_wanted && self.paused.is_some()
    }
}

/// Whether the project file has a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    Yes,
    /// It is gone, and dropped when nothing of it is left.
    No,
    /// It is gone and nobody has agreed to its end: it runs on.
    NotAnyMore,
}

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) spec: Arc<ServiceSpec>,
    /// Of `spec`.
    pub(super) mark: SpecMark,
    pub(super) phase: Phase,
    pub(super) epoch: Epoch,
    pub(super) health: Health,
    pub(super) revisions: Revisions,
    pub(super) flap: Flap,
    pub(super) ladder: Ladder,
    /// How much of what its next run is made from is made anew.
    pub(super) remake: Remake,
    pub(super) maintenance: Option<Maintenance>,
    pub(super) clock: Clock,
    /// What its starts have taught.
    pub(super) learnt: Learnt,
    pub(super) touched: Touched,
    /// Its own log files.
    pub(super) rotations: Rotations,
    pub(super) goal: Goal,
    pub(super) due: Option<Due>,
    /// Services whose ending waits until this one is gone.
    pub(super) awaited_by: Vec<ServiceId>,
    pub(super) start: Start,
    pub(super) run: Option<Run>,
    /// Consecutive starts that never became stable, all of them over.
    pub(super) streak: u32,
    /// Consecutive restarts by the healer.
    pub(super) attempt: u32,
    /// Restarts by the healer since it was last started on purpose.
    pub(super) restarts: u32,
    /// Its last run ended by itself with code 0, and nothing ran since.
    pub(super) completed: bool,
    /// How the last run ended.
    pub(super) last_exit: Option<Exit>,
    /// No run up to this one is news to the next engine, save the one that is there.
    pub(super) last_run: RunId,
    /// Who stopped it; none where nobody did since it was started.
    pub(super) stopped_by: Option<Origin>,
    /// Why it is in its phase, where the phase itself does not say so.
    pub(super) why: String,
    pub(super) declared: Declared,
    /// It did not start with its project, as only others were asked for, and nobody has started it since.
    pub(super) withheld: bool,
    /// Place in the order of starts within its project.
    pub(super) rank: usize,
    pub(super) dependents: Vec<ServiceName>,
    pub(super) usage: Option<RunUsage>,
    pub(super) cpu: History,
    pub(super) memory: History,
    /// Samples of nothing in a row, so that long silence costs no redraw.
    pub(super) silence: usize,
    /// What deep looks have seen of its present run.
    pub(super) exams: BTreeMap<String, ExamState>,
    /// Known signs in the output of its present run, by pattern.
    pub(super) signs: BTreeMap<String, Seen>,
    /// What is done where checks of its own are not well, by exam.
    pub(super) mends: BTreeMap<String, Mends>,
    /// What its probes of the present run were caught at.
    pub(super) doubts: Vec<Finding>,
    /// Which of its limits do not hold for its run, and why.
    pub(super) lacking: Option<String>,
    /// Bytes of output that could not be kept and were not told about yet.
    pub(super) dropped: u64,
    /// Nobody is told of its alarms for a while.
    pub(super) muted: Option<Silence>,
    /// The run for which its `on_failure` runs, and why.
    pub(super) alarm: Option<(RunId, String)>,
    /// When such a loss was told last.
    pub(super) dropped_told: Option<Timestamp>,
    /// What the next engine would know of it; none where nothing was kept.
    pub(super) remembered: Option<Box<ServiceState>>,
    /// What deep looks have found, as it is shown; none where it must be drawn anew, or nothing was found.
    pub(super) drawn: Option<Arc<Checkup>>,
    /// Its picture; none where it must be drawn anew.
    pub(super) view: Option<Arc<ServiceView>>,
}

impl Service {
    pub(super) fn new(spec: Arc<ServiceSpec>, now: Timestamp) -> Self {
        let occasions = &spec.occasions;
        let why = if occasions.profiles.dormant {
            format!("not started yet: {}, which cas up --profile starts", occasions.profiles.sentence())
        } else if occasions.schedule.is_some() {
            "not started yet: its schedule starts it".to_owned()
        } else if spec.autostart {
            "not started yet".to_owned()
        } else {
            "not started yet: autostart is off".to_owned()
        };
        Self {
            mark: SpecMark::of(&spec),
            spec,
            phase: Phase::Stopped { since: now },
            epoch: Epoch::default(),
            health: Health::Unknown,
            revisions: Revisions::default(),
            flap: Flap::default(),
            ladder: Ladder::default(),
            remake: Remake::default(),
            maintenance: None,
            clock: Clock::default(),
            learnt: Learnt::default(),
            touched: Touched::default(),
            rotations: Rotations::default(),
            goal: Goal::Down,
            due: None,
            awaited_by: Vec::new(),
            start: Start {
                who: Origin::Config,
                because: String::new(),
                attempt: 0,
                counts: false,
                token: false,
                queued: false,
            },
            run: None,
            streak: 0,
            attempt: 0,
            restarts: 0,
            completed: false,
            last_exit: None,
            last_run: RunId::default(),
            stopped_by: None,
            why,
            declared: Declared::Yes,
            withheld: false,
            rank: 0,
            dependents: Vec::new(),
            usage: None,
            cpu: History::default(),
            memory: History::default(),
            silence: 0,
            exams: BTreeMap::new(),
            signs: BTreeMap::new(),
            mends: BTreeMap::new(),
            doubts: Vec::new(),
            dropped: 0,
            muted: None,
            alarm: None,
            lacking: None,
            dropped_told: None,
            remembered: None,
            drawn: None,
            view: None,
        }
    }

    /// True where it is gone from the project file.
    pub(super) const fn is_undeclared(&self) -> bool {
        !matches!(self.declared, Declared::Yes)
    }

    /// True while an ending is decided or under way.
    pub(super) const fn is_ending(&self) -> bool {
        self.due.is_some() || matches!(self.phase, Phase::Stopping { .. })
    }

    /// True where its file has changed since its run was started, and the run was not started anew for it.
    pub(super) fn is_outdated(&self) -> bool {
        let made_from = self.run.as_ref().and_then(|run| run.made_from);
        !self.is_undeclared() && made_from.is_some_and(|mark| mark.differs(self.mark))
    }

    /// True where its run was started for other probes than its file has now: their answers end nothing.
    pub(super) fn is_asked_otherwise(&self) -> bool {
        let made_from = self.run.as_ref().and_then(|run| run.made_from);
        made_from.is_some_and(|mark| mark.is_asked_otherwise(self.mark))
    }

    /// True where its main process has ended well and others of its run go on in its place.
    pub(super) fn is_forked(&self) -> bool {
        matches!(self.phase, Phase::Running { .. }) && self.run.as_ref().is_some_and(|run| run.exit.is_some())
    }

    /// True where a process is there, is being spawned, or is being prepared for.
    pub(super) fn has_process(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.stage != Stage::Checking)
    }

    /// True where no run exists and none is on its way.
    pub(super) const fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Stopped { .. } | Phase::Exited { .. } | Phase::GaveUp { .. })
    }

    /// True where it runs or the healer is about to make it run.
    pub(super) const fn is_active(&self) -> bool {
        matches!(
            self.phase,
            Phase::Running { .. }
                | Phase::Starting { .. }
                | Phase::BackingOff { .. }
                | Phase::Waiting { .. }
                | Phase::Blocked { .. }
        )
    }

    /// True where a startup or readiness probe has a say in `service_healthy`.
    pub(super) fn has_gate_probe(&self) -> bool {
        self.spec.probes.contains_key(&ProbeKind::Startup) || self.spec.probes.contains_key(&ProbeKind::Readiness)
    }
}
