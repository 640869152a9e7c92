//! Facts that happened. The engine learns everything by these.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    alarm::NotSent,
    container::{ContainerView, Reach},
    deed::DiskUse,
    exam::{Reading, Trouble},
    heritage::Heritage,
    hooks::{HookKind, HookResult},
    ids::{Epoch, ProjectName, RequestId, RunId, ServiceId},
    log_file::{DueFile, Rotated},
    metric::Sample,
    own::Fixed,
    pattern::PatternNews,
    phase::{Exit, PortHolder},
    policy::{Asker, Origin, Request},
    probe::{ProbeKind, ProbeOutcome},
    project::{Problem, ProjectRecord, ProjectSpec},
    service::Containment,
    signal::Signal,
    time::Timestamp,
};

/// What the engine is stepped with.
#[derive(Debug, Clone)]
pub enum Input {
    /// A wish.
    Request(Request),
    /// A fact.
    Event(Event),
}

/// What a timer was set for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TimerKey {
    /// The backoff of a service is over.
    BackoffOver(ServiceId),
    /// The grace time of a stop is over.
    GraceOver(ServiceId),
    /// A run has lasted long enough to be stable.
    StableReached(ServiceId),
    /// A probe's next round is due.
    ProbeDue(ServiceId, ProbeKind),
    /// A wait of the healer is over.
    HealAgain(ServiceId, ProbeKind),
    /// What the healer did is judged.
    VerdictDue(ServiceId),
    /// A maintenance ends.
    MaintenanceOver(ServiceId),
    /// A deep look is due.
    ExamDue(ServiceId, String),
    /// A blocked service looks at its ports again.
    PortsAgain(ServiceId),
    /// A token of the global restart budget comes back.
    BudgetRefilled,
    /// The clock of a service starts it.
    ScheduleDue(ServiceId),
    /// An alarm may fire or be over, or a message may go out.
    AlertsDue,
}

/// Files that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The first of them as seen from the service's directory, fit for a terminal.
    pub first: String,
    /// How many others there were.
    pub more: usize,
}

impl Change {
    /// `src/app.py changed`, `src/app.py and 3 more files changed`.
    #[must_use]
    pub fn words(&self) -> String {
        match self.more {
            0 => format!("{} changed", self.first),
            1 => format!("{} and 1 more file changed", self.first),
            more => format!("{} and {more} more files changed", self.first),
        }
    }

    /// Both as one.
    #[must_use]
    pub fn and(self, later: &Self) -> Self {
        let own = usize::from(self.first != later.first);
        Self { more: self.more.saturating_add(later.more).saturating_add(own), ..self }
    }
}

/// A fact.
#[derive(Debug, Clone)]
pub enum Event {
    /// The start of cas, or `Effect::LoadProject`, brought a valid project. Opening one that is open replaces it.
    ProjectLoaded {
        /// The project.
        project: Arc<ProjectSpec>,
        /// What earlier engines left; empty where it is only read again.
        heritage: Heritage,
        /// The request of `Effect::OpenProject`, which this answers.
        request: Option<RequestId>,
    },
    /// The project of `Effect::OpenProject` cannot be opened.
    OpenRefused {
        /// Answers this request.
        request: RequestId,
        /// Why, a sentence.
        reason: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The files of all open projects, read for the plan of a reload that follows: what each says, or what is wrong with it.
    FilesRead {
        /// That request.
        request: RequestId,
        /// By project.
        files: BTreeMap<ProjectName, Result<Arc<ProjectSpec>, Vec<Problem>>>,
    },
    /// `Effect::LoadProject` found a file that cannot be taken.
    ProjectRefused {
        /// All that is wrong with it. Never empty.
        problems: Vec<Problem>,
    },
    /// Answer to `Effect::CheckPorts`.
    PortsChecked {
        /// Whose.
        service: ServiceId,
        /// Epoch of the question.
        epoch: Epoch,
        /// Those that are taken by something that is not a run of ours; empty: go.
        holders: Vec<PortHolder>,
    },
    /// A run exists.
    Spawned {
        /// Which.
        run: RunId,
        /// Its main process, also the id of its process group.
        pid: u32,
    },
    /// Of a service that has no run, something is there that others started: a container that was made for it.
    RunFound {
        /// Whose.
        service: ServiceId,
        /// Its main process.
        pid: u32,
        /// Since when.
        since: Timestamp,
    },
    /// The container of a run was frozen, or goes on.
    RunPaused {
        /// Which.
        run: RunId,
        /// It is frozen.
        is_paused: bool,
    },
    /// Answer to `Effect::Handle`: a note (may be empty), or why it could not be done.
    Handled {
        /// Of the effect.
        ticket: u64,
        /// What came of it.
        result: Result<String, String>,
    },
    /// What takes up space on Docker's disk, read for the plan of a request that follows; an error is a sentence.
    DiskRead {
        /// That request.
        request: RequestId,
        /// What there is.
        disk: Result<Arc<DiskUse>, String>,
    },
    /// The engine of containers can be reached, or cannot any more; told where that is news.
    DockerKnown(Reach),
    /// All its containers, by id; told where anything of them is news.
    ContainersListed(Arc<[Arc<ContainerView>]>),
    /// A run could not come to exist.
    SpawnFailed {
        /// Which.
        run: RunId,
        /// A sentence: `no such program: gunicorn (looked in PATH)`.
        error: String,
    },
    /// The main process of a run is gone and its output was read to the end.
    Exited {
        /// Which.
        run: RunId,
        /// How.
        exit: Exit,
        /// Its last lines, oldest first, at most five, sanitised.
        last_words: Vec<String>,
        /// Processes of the run that are still there; 0: nothing is left.
        leftover: usize,
    },
    /// Of a run whose `Exited` named leftovers nothing is left any more, though nobody asked for its end by `Effect::EndTree`.
    LeftoversGone {
        /// Which.
        run: RunId,
    },
    /// Answer to `Effect::EndTree` and `Effect::EndStray`: nothing of the run is left, save the survivors.
    TreeEnded {
        /// Which.
        run: RunId,
        /// Those that could not be ended, even by SIGKILL.
        survivors: Vec<u32>,
    },
    /// Answer to `Effect::Probe`.
    Probed {
        /// The run that was asked.
        run: RunId,
        /// Which question.
        kind: ProbeKind,
        /// Which round.
        round: u64,
        /// What came.
        outcome: ProbeOutcome,
        /// How long the answer took.
        took: Duration,
    },
    /// Answer to `Effect::Examine`.
    Examined {
        /// Beside which run.
        run: RunId,
        /// Which exam.
        exam: String,
        /// Which round.
        round: u64,
        /// What was read, or why nothing could be.
        result: Result<Reading, Trouble>,
        /// How long that took.
        took: Duration,
    },
    /// Answer to `Effect::Remedy`; none comes where the run ended first.
    RemedyDone {
        /// For which run.
        run: RunId,
        /// Why it could not be done; none: it was.
        error: Option<String>,
        /// What came of it, a clause; may be empty.
        note: String,
    },
    /// A line of output is a known sign; of each sign at most one a second.
    SignSeen {
        /// Whose.
        service: ServiceId,
        /// The sign's pattern.
        pattern: String,
        /// The line, plain and cut.
        line: String,
    },
    /// A pattern in the output of a service is news.
    PatternNews {
        /// Whose.
        service: ServiceId,
        /// What is.
        news: PatternNews,
    },
    /// Answer to `Effect::RunHook`.
    HookEnded {
        /// Whose; its run may be over.
        service: ServiceId,
        /// Which run it was for.
        run: RunId,
        /// Which hook.
        hook: HookKind,
        /// What it came to.
        result: HookResult,
    },
    /// Answer to `Effect::WatchLog`: the pattern appeared.
    LogMatched {
        /// The run.
        run: RunId,
        /// For which question; none: the service's `ready_log_line`.
        kind: Option<ProbeKind>,
    },
    /// A new line of a file that a service writes itself matched its `ready_log_line`; told again now and then.
    LogFileMatched {
        /// Whose.
        service: ServiceId,
    },
    /// A timer that was asked for.
    TimerFired {
        /// What for.
        key: TimerKey,
        /// The epoch given when it was asked for.
        epoch: Epoch,
    },
    /// One second went by.
    Sampled(Arc<Sample>),
    /// Files that a service watches have changed, and been quiet since.
    FilesChanged {
        /// Whose.
        service: ServiceId,
        /// Which.
        change: Change,
    },
    /// Answer to `Effect::RunBeside`; none comes where the run ended first.
    RanBeside {
        /// Beside which run.
        run: RunId,
        /// How it ended.
        outcome: ProbeOutcome,
    },
    /// Answer to `Effect::Fix`; none comes where the run ended first.
    Fixed(Fixed),
    /// The engine's task did not run for so long (suspend, SIGSTOP, starved).
    Stalled {
        /// How long.
        gap: Duration,
    },
    /// What the registry knows; sent at the start and when it changes.
    RegistryRead(Vec<ProjectRecord>),
    /// Something of cas's own is in trouble, or out of it again.
    Trouble {
        /// What: one slot per source; a later event on the same slot replaces the earlier.
        slot: TroubleSlot,
        /// A sentence with what, where and what next; none: it is over.
        text: Option<String>,
    },
    /// How the processes of services are held together here; told once, soon after the start.
    ContainmentKnown(Containment),
    /// Which limits of a service's present run do not hold; told where that is not as it was told before. At first all of them hold.
    LimitsKnown {
        /// Whose.
        service: ServiceId,
        /// A clause that says which, and why; none: they hold.
        lacking: Option<String>,
    },
    /// A shim died or hung and was replaced; its service was not touched.
    ShimReplaced {
        /// Whose.
        service: ServiceId,
        /// What was wrong with the old one: `killed by SIGKILL`.
        why: String,
    },
    /// Output of a service could not be kept (disk full) or was removed before it was read.
    OutputDropped {
        /// Whose.
        service: ServiceId,
        /// Bytes, since the last such event.
        bytes: u64,
    },
    /// Files that a service writes itself are to be rotated by what is declared. Told again until they are.
    LogFilesDue {
        /// Whose.
        service: ServiceId,
        /// Which, and why; never empty.
        files: Vec<DueFile>,
    },
    /// Files of a round have other names now: the service is to open them anew.
    LogFilesMoved {
        /// Whose.
        service: ServiceId,
        /// The run that writes them.
        run: RunId,
        /// What tells it.
        signal: Signal,
    },
    /// Answer to `Effect::Rotate`.
    LogFilesRotated {
        /// Whose.
        service: ServiceId,
        /// What became of each.
        files: Vec<Rotated>,
    },
    /// Everybody who could watch is leaving: stop everything, then answer with `Effect::Quit`.
    ShutdownAsked,
    /// The machine or the session of its user goes down: stop everything, keep on record what was wanted, for the next engine to start again,
    /// then answer with `Effect::Quit`.
    HaltAsked,
    /// Answer to `Effect::Notify`, always once.
    Notified {
        /// The number of the message.
        ticket: u64,
        /// Whether it was taken.
        outcome: Result<(), NotSent>,
    },
    /// Somebody reads output as it was written, secrets included.
    RawLogsAsked {
        /// Of which service; none: of all.
        service: Option<ServiceId>,
        /// How it was asked for.
        origin: Origin,
        /// By which program, where that is known.
        asker: Option<Asker>,
    },
    /// End at once and leave every service running, for the next engine to adopt: answered with `Effect::Quit`.
    ReleaseAsked,
}

/// Which part of cas is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleSlot {
    /// The database.
    Store,
    /// The log files.
    Logs,
    /// The sampler.
    Sampler,
    /// The socket.
    Socket,
    /// The project file.
    Config,
    /// The shims.
    Shims,
    /// Records of services for the next engine.
    Journal,
    /// Who looks whether files of services change.
    Files,
    /// The machine has too much to do.
    Machine,
    /// The engine of containers.
    Docker,
}
