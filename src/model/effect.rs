//! Work that the engine asks for. Each effect is answered by the events named beside it, or by none.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    alarm::Notice,
    deed::{Deed, Remake, Subject},
    event::TimerKey,
    exam::ExamRound,
    hooks::{HookKind, HookRound},
    ids::{Epoch, ProjectName, RequestId, RunId, ServiceId},
    log_file::RotationRound,
    own::FixRound,
    policy::Reply,
    probe::{ProbeKind, ProbeRound},
    project::ProjectRecord,
    route::Route,
    service::{BaseEnvironment, CommandLine, Port, ServiceSpec},
    signal::Signal,
    time::Timestamp,
    timeline::Entry,
};

/// What the healer wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A command, run where and as the service runs.
    Run(CommandLine),
    /// What lies in these directories is removed; links are not followed, the directories stay.
    Clean(Vec<PathBuf>),
}

/// Work.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Who holds these ports? → `PortsChecked`.
    CheckPorts {
        /// For whom.
        service: ServiceId,
        /// Comes back in the answer.
        epoch: Epoch,
        /// Which.
        ports: Vec<Port>,
    },
    /// Make a run → `Spawned` or `SpawnFailed`, later `Exited` once.
    Spawn {
        /// Its id.
        run: RunId,
        /// What.
        spec: Arc<ServiceSpec>,
        /// How much of it is made anew, where it is a container.
        remake: Remake,
    },
    /// Take a run over that was found (see [`super::heritage`]) → from now on its events come as if it had been spawned, also `Exited` if it has ended meanwhile.
    Adopt {
        /// Its id.
        run: RunId,
        /// What it is now declared as.
        spec: Arc<ServiceSpec>,
    },
    /// End a run that was found and that no project wants: SIGTERM, ten seconds, SIGKILL → `TreeEnded`.
    EndStray {
        /// Which.
        run: RunId,
        /// Whose it was.
        service: ServiceId,
    },
    /// Keep this for the next engine, in the place of what was kept for the service before; on disk before the next effect is begun.
    Remember {
        /// Whose.
        service: ServiceId,
        /// One line of JSON; only the engine understands it.
        record: Arc<str>,
    },
    /// Deliver a signal to the main process only. A run that is gone is not an error.
    Signal {
        /// Which.
        run: RunId,
        /// Which signal.
        signal: Signal,
    },
    /// Ask every process of the run to end with `signal` (SIGCONT follows, so that a frozen one hears it).
    /// Not answered: `Exited` comes if it works.
    StopTree {
        /// Which.
        run: RunId,
        /// The signal.
        signal: Signal,
    },
    /// End every process of the run: leftovers get SIGTERM and `patience`, then SIGKILL until nothing is left → `TreeEnded`.
    /// If the main process is still there, its `Exited` comes first.
    EndTree {
        /// Which.
        run: RunId,
        /// Zero: SIGKILL at once.
        patience: Duration,
    },
    /// One probe round → `Probed`. An answer later than the timeout is a failure.
    Probe(ProbeRound),
    /// One deep look → `Examined`. It is cut off at its timeout.
    Examine(ExamRound),
    /// Something that the healer wants done beside a run → `RemedyDone`. Ends with the run.
    Remedy {
        /// Beside which run.
        run: RunId,
        /// What.
        work: Work,
    },
    /// End a process that an earlier run of the service has left and that holds its port; not answered. One that does not bear its mark is not touched.
    EndOrphan {
        /// Whose.
        service: ServiceId,
        /// Which.
        pid: u32,
    },
    /// Run a command where and as the run's service runs → `RanBeside`. Ends with the run.
    RunBeside {
        /// Beside which run.
        run: RunId,
        /// What.
        command: CommandLine,
    },
    /// Do what a check of one's own says is to be done where it is not well → `Fixed`. Ends with the run.
    Fix(FixRound),
    /// Run the commands of a hook → `HookEnded`, always once.
    RunHook(HookRound),
    /// End a hook that runs; its `HookEnded` comes as soon as nothing of it is left. One that is over is not an error.
    EndHook {
        /// Of which run.
        run: RunId,
        /// Which.
        hook: HookKind,
    },
    /// Watch the run's output for a pattern → `LogMatched` at most once. Ends with the run.
    WatchLog {
        /// Which run.
        run: RunId,
        /// For which question; none: `ready_log_line`.
        kind: Option<ProbeKind>,
        /// Syntax of the `regex` crate.
        pattern: String,
    },
    /// Wake the engine → `TimerFired`. A second timer with the same key replaces the first.
    Timer {
        /// When.
        at: Timestamp,
        /// What for.
        key: TimerKey,
        /// Comes back in the answer.
        epoch: Epoch,
    },
    /// Read the project file again → `ProjectLoaded` or `ProjectRefused`.
    LoadProject {
        /// The file.
        file: PathBuf,
        /// The name it must keep.
        name: ProjectName,
    },
    /// Find and read the project of a directory → `ProjectLoaded` with its heritage, or `OpenRefused`.
    OpenProject {
        /// Absolute.
        directory: PathBuf,
        /// What its services begin with; none: the engine's own environment.
        environment: Option<BaseEnvironment>,
        /// Who asked.
        request: RequestId,
    },
    /// Nothing of the project runs any more: let go of its lock and its shims.
    CloseProject(ProjectName),
    /// Keep this entry. It is on disk before any effect of the same step is begun, those that remember included: what the next engine
    /// takes for known has been told.
    Record(Arc<Entry>),
    /// Keep this project in the registry → `RegistryRead`.
    Register(ProjectRecord),
    /// Answer a request.
    Reply {
        /// Which.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// Send this message by this route → `Notified`.
    Notify {
        /// Comes back in the answer.
        ticket: u64,
        /// By which route.
        route: Arc<Route>,
        /// What; without secrets.
        notice: Arc<Notice>,
    },
    /// Do this to a container that is no run, or beside one → `Handled`, always once.
    Handle {
        /// Comes back in the answer.
        ticket: u64,
        /// To what.
        subject: Subject,
        /// What.
        deed: Deed,
    },
    /// Rotate files that a service writes itself: those that are renamed → first `LogFilesMoved`; all → `LogFilesRotated`, always once.
    Rotate(RotationRound),
    /// Everything has been stopped after `ShutdownAsked`: end.
    Quit,
}

impl Effect {
    /// What it adds to the timeline.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        if let Self::Record(entry) = self { Some(entry) } else { None }
    }
}
