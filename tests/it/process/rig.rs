//! A world with real children, and what it said so far.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test's tool: one event is looked for"
)]

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use cas::{
    model::{
        effect::Effect,
        event::Event,
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::Stream,
        phase::Exit,
        probe::{Check, Probe, ProbeKind, ProbeOutcome, ProbeRound},
        service::{Backoff, CommandLine, RestartPolicy, ServiceKind, ServiceSpec, Source, StopPlan},
    },
    world::{Settings, World, output::Taken},
};
use tokio::sync::mpsc;

/// Longer than anything here takes, also on a busy machine.
const GENEROUS: Duration = Duration::from_mins(1);

/// One line as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) run: RunId,
    pub(crate) seq: u64,
    pub(crate) stream: Stream,
    pub(crate) continued: bool,
    pub(crate) text: String,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) last_words: Vec<String>,
    pub(crate) leftover: usize,
}

pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) directory: tempfile::TempDir,
    events: mpsc::Receiver<Event>,
    backlog: Vec<Event>,
    lines: Arc<Mutex<Vec<Line>>>,
    pids: HashMap<RunId, u32>,
    runs: u64,
    rounds: u64,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let (sender, mut output) = mpsc::channel::<Taken>(64);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Some(Taken { batch, .. }) = output.recv().await {
                let mut kept = kept.lock().unwrap();
                for (seq, line) in (batch.first_seq..).zip(&batch.lines) {
                    let text = batch.text_of(*line).to_owned();
                    kept.push(Line { run: batch.run, seq, stream: line.stream, continued: line.continued, text });
                }
            }
        });
        Self::with_output(sender, lines)
    }

    pub(crate) fn with_output(output: mpsc::Sender<Taken>, lines: Arc<Mutex<Vec<Line>>>) -> Self {
        let (sender, events) = mpsc::channel(256);
        Self {
            world: World::start(Settings::default(), sender, output),
            directory: tempfile::tempdir().unwrap(),
            events,
            backlog: Vec::new(),
            lines,
            pids: HashMap::new(),
            runs: 0,
            rounds: 0,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn spec(&self, name: &str, command: CommandLine) -> ServiceSpec {
        ServiceSpec {
            base_environment: None,
            limits: cas::model::service::Limits::default(),
            logs: cas::model::service::LogPolicy::default(),
            tty: false,
            id: service(name),
            kind: ServiceKind::Process,
            command,
            working_dir: self.path().to_owned(),
            environment: BTreeMap::new(),
            depends_on: BTreeMap::new(),
            probes: BTreeMap::new(),
            ready_log_line: None,
            restart: RestartPolicy::No,
            backoff: Backoff::default(),
            stop: StopPlan::default(),
            ports: Vec::new(),
            autostart: false,
            source: Source { file: "cas.yaml".into(), line: 1, column: 1 },
            description: None,
        }
    }

    pub(crate) fn start_spec(&mut self, spec: ServiceSpec) -> RunId {
        self.runs += 1;
        let run = RunId(self.runs);
        self.world.perform(Effect::Spawn { run, spec: Arc::new(spec) });
        run
    }

    pub(crate) fn start(&mut self, line: &str) -> RunId {
        self.start_spec(self.spec("web", CommandLine::Shell(line.to_owned())))
    }

    pub(crate) fn start_argv(&mut self, argv: &[&str]) -> RunId {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        self.start_spec(self.spec("web", CommandLine::Argv(argv)))
    }

    /// The first event, come or coming, of which `wanted` makes something.
    pub(crate) async fn event<T>(&mut self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        if let Some((at, found)) = self.backlog.iter().enumerate().find_map(|(at, event)| Some((at, wanted(event)?))) {
            self.backlog.remove(at);
            return found;
        }
        let waiting = async {
            loop {
                let event = self.events.recv().await.expect("the world is there");
                if let Event::Spawned { run, pid } = &event {
                    self.pids.insert(*run, *pid);
                }
                if let Some(found) = wanted(&event) {
                    return found;
                }
                self.backlog.push(event);
            }
        };
        let waited = tokio::time::timeout(GENEROUS, waiting).await;
        waited.unwrap_or_else(|_| panic!("never came: {what}; instead: {:?}", self.backlog))
    }

    pub(crate) async fn spawned(&mut self, run: RunId) -> u32 {
        self.event("spawned", |event| match event {
            Event::Spawned { run: of, pid } if *of == run => Some(*pid),
            _ => None,
        })
        .await
    }

    pub(crate) async fn refused(&mut self, run: RunId) -> String {
        self.event("spawn failed", |event| match event {
            Event::SpawnFailed { run: of, error } if *of == run => Some(error.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn exited(&mut self, run: RunId) -> Ended {
        self.event("exited", |event| match event {
            Event::Exited { run: of, exit, last_words, leftover } if *of == run => {
                Some(Ended { exit: exit.clone(), last_words: last_words.clone(), leftover: *leftover })
            }
            _ => None,
        })
        .await
    }

    pub(crate) async fn log_matched(&mut self, run: RunId) -> Option<ProbeKind> {
        self.event("log matched", |event| match event {
            Event::LogMatched { run: of, kind } if *of == run => Some(*kind),
            _ => None,
        })
        .await
    }

    /// Ends the run's tree; the survivors.
    pub(crate) async fn end(&mut self, run: RunId, patience: Duration) -> Vec<u32> {
        self.world.perform(Effect::EndTree { run, patience });
        self.event("tree ended", |event| match event {
            Event::TreeEnded { run: of, survivors } if *of == run => Some(survivors.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) fn ask(&mut self, run: RunId, check: Check, timeout: Duration) -> u64 {
        self.rounds += 1;
        let round = self.rounds;
        let probe = Arc::new(Probe {
            check,
            interval: Duration::from_secs(1),
            timeout,
            retries: 3,
            successes: 1,
            start_period: Duration::ZERO,
        });
        self.world.perform(Effect::Probe(ProbeRound { run, kind: ProbeKind::Readiness, round, probe }));
        round
    }

    pub(crate) async fn probed(&mut self, asked: u64) -> (ProbeOutcome, Duration) {
        self.event("probed", |event| match event {
            Event::Probed { round, outcome, took, .. } if *round == asked => Some((outcome.clone(), *took)),
            _ => None,
        })
        .await
    }

    pub(crate) async fn probe(&mut self, run: RunId, check: Check, timeout: Duration) -> ProbeOutcome {
        let round = self.ask(run, check, timeout);
        self.probed(round).await.0
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn count_lines(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(|line| line.text.clone()).collect()
    }

    /// Waits for a line that says exactly `text`.
    pub(crate) async fn line(&self, text: &str) {
        crate::support::eventually_async(&format!("a line {text:?}"), || async {
            self.lines.lock().unwrap().iter().any(|line| line.text == text)
        })
        .await;
    }

    /// Waits for a line that begins with `prefix`; the number behind it.
    pub(crate) async fn number_after(&self, prefix: &str) -> u32 {
        let find = || self.texts().iter().find_map(|text| text.strip_prefix(prefix)?.trim().parse().ok());
        crate::support::eventually_async(&format!("a line {prefix}…"), || async { find().is_some() }).await;
        find().expect("just seen")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for (_, pid) in self.world.runs() {
            kill_group(pid);
        }
    }
}

pub(crate) fn service(name: &str) -> ServiceId {
    ServiceId { project: ProjectName::new("test").unwrap(), service: ServiceName::new(name).unwrap() }
}

pub(crate) fn raw_pid(pid: u32) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

pub(crate) fn kill_group(pid: u32) {
    let _gone = rustix::process::kill_process_group(raw_pid(pid), rustix::process::Signal::KILL);
}

pub(crate) fn kill(pid: u32, signal: rustix::process::Signal) {
    rustix::process::kill_process(raw_pid(pid), signal).unwrap();
}

/// The letter of a process's state; none where there is no such process.
pub(crate) fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// It runs, and is no zombie.
pub(crate) fn is_living(pid: u32) -> bool {
    state_of(pid).is_some_and(|state| state != 'Z')
}

/// Living processes that carry `mark` in their environment.
pub(crate) fn living_with(mark: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_mark = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    pids.filter(has_mark).filter(|pid| is_living(*pid)).collect()
}
