//! A world with real children, and what it said so far.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test's tool: one event is looked for"
)]

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use cas::{
    model::{
        effect::Effect,
        event::Event,
        heritage::Found,
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::Stream,
        phase::Exit,
        probe::{Check, Probe, ProbeKind, ProbeOutcome, ProbeRound},
        service::{Backoff, CommandLine, RestartPolicy, ServiceKind, ServiceSpec, Source, StopPlan},
    },
    world::{Settings, Taken, World},
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
    directory: Option<tempfile::TempDir>,
    events: mpsc::Receiver<Event>,
    backlog: Vec<Event>,
    lines: Arc<Mutex<Vec<Line>>>,
    pids: HashMap<RunId, u32>,
    runs: u64,
    rounds: u64,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap())
    }

    /// With what an earlier world left in this directory.
    pub(crate) fn within(directory: tempfile::TempDir) -> Self {
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
        Self::with_output(directory, sender, lines)
    }

    /// With an engine of containers.
    pub(crate) fn with_docker(directory: tempfile::TempDir, host: &str) -> Self {
        Self::with_variables(directory, &[("DOCKER_HOST", host)])
    }

    /// With an engine of containers that is found by these variables.
    pub(crate) fn with_variables(directory: tempfile::TempDir, variables: &[(&str, &str)]) -> Self {
        let (sender, mut output) = mpsc::channel::<Taken>(64);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept: Arc<Mutex<Vec<Line>>> = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Some(Taken { batch, .. }) = output.recv().await {
                let mut kept = kept.lock().unwrap();
                for (seq, line) in (batch.first_seq..).zip(&batch.lines) {
                    let text = batch.text_of(*line).to_owned();
                    kept.push(Line { run: batch.run, seq, stream: line.stream, continued: line.continued, text });
                }
            }
        });
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let docker = cas::world::docker::endpoint::Lookup { variables, sockets: Vec::new() };
        let settings = Settings { shim: env!("CARGO_BIN_EXE_cas-shim").into(), docker, ..Settings::default() };
        Self::made(directory, sender, lines, settings)
    }

    /// With another program as shim.
    pub(crate) fn with_shim(directory: tempfile::TempDir, shim: &str) -> Self {
        let (sender, _) = mpsc::channel(1);
        Self::with(directory, sender, Arc::default(), shim)
    }

    pub(crate) fn with_output(
        directory: tempfile::TempDir,
        output: mpsc::Sender<Taken>,
        lines: Arc<Mutex<Vec<Line>>>,
    ) -> Self {
        Self::with(directory, output, lines, env!("CARGO_BIN_EXE_cas-shim"))
    }

    fn with(
        directory: tempfile::TempDir,
        output: mpsc::Sender<Taken>,
        lines: Arc<Mutex<Vec<Line>>>,
        shim: &str,
    ) -> Self {
        Self::made(directory, output, lines, Settings { shim: shim.into(), ..Settings::default() })
    }

    /// With settings of its own, and output that nobody reads.
    pub(crate) fn with_settings(directory: tempfile::TempDir, settings: Settings) -> Self {
        let (sender, _) = mpsc::channel(1);
        let settings = Settings { shim: env!("CARGO_BIN_EXE_cas-shim").into(), ..settings };
        Self::made(directory, sender, Arc::default(), settings)
    }

    fn made(
        directory: tempfile::TempDir,
        output: mpsc::Sender<Taken>,
        lines: Arc<Mutex<Vec<Line>>>,
        settings: Settings,
    ) -> Self {
        let (sender, events) = mpsc::channel(256);
        let world = World::start(settings, sender, output);
        world.open_project(&project(), "test-0".into(), directory.path().join(".slots"), BTreeMap::new());
        Self {
            world,
            directory: Some(directory),
            events,
            backlog: Vec::new(),
            lines,
            pids: HashMap::new(),
            runs: 0,
            rounds: 0,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.as_ref().expect("it was not given away").path()
    }

    /// Lets go of everything, as an engine that dies; what was there stays for [`Self::within`].
    pub(crate) fn abandon(mut self) -> tempfile::TempDir {
        self.world.release();
        self.directory.take().expect("it was not given away")
    }

    /// The directory of a slot.
    pub(crate) fn slot(&self, name: &str) -> PathBuf {
        self.path().join(".slots").join(name)
    }

    /// The shim of a slot.
    pub(crate) fn shim(&self, name: &str) -> Option<u32> {
        shims_below(&self.slot(name)).first().copied()
    }

    pub(crate) async fn shim_replaced(&mut self) -> String {
        self.event("shim replaced", |event| match event {
            Event::ShimReplaced { why, .. } => Some(why.clone()),
            _ => None,
        })
        .await
    }

    /// What earlier worlds left.
    pub(crate) async fn survey(&mut self) -> Vec<Found> {
        self.world.survey(&project(), GENEROUS).await
    }

    pub(crate) fn adopt(&mut self, run: RunId, spec: ServiceSpec) {
        self.runs = self.runs.max(run.0);
        self.world.perform(Effect::Adopt { run, spec: Arc::new(spec) });
    }

    /// A service of its own for each call.
    pub(crate) fn start_apart(&mut self, line: &str) -> RunId {
        let name = format!("s{}", self.runs + 1);
        self.start_spec(self.spec(&name, CommandLine::Shell(line.to_owned())))
    }

    pub(crate) fn spec(&self, name: &str, command: CommandLine) -> ServiceSpec {
        ServiceSpec {
            base_environment: None,
            limits: cas::model::service::Limits::default(),
            attributes: cas::model::attributes::Attributes::default(),
            logs: cas::model::service::LogPolicy::default(),
            log_files: Arc::default(),
            tty: false,
            id: service(name),
            kind: ServiceKind::Process,
            container: None,
            command,
            working_dir: self.path().to_owned(),
            environment: BTreeMap::new(),
            secrets: BTreeMap::new(),
            depends_on: BTreeMap::new(),
            nature: None,
            probes: BTreeMap::new(),
            ready_log_line: None,
            restart: RestartPolicy::No,
            backoff: Backoff::default(),
            stop: StopPlan::default(),
            hooks: cas::model::hooks::Hooks::default(),
            ports: Vec::new(),
            autostart: false,
            occasions: cas::model::occasion::Occasions::default(),
            source: Source { file: "cas.yaml".into(), line: 1, column: 1 },
            description: None,
        }
    }

    pub(crate) fn start_spec(&mut self, spec: ServiceSpec) -> RunId {
        self.start_again(spec, cas::model::deed::Remake::Nothing)
    }

    /// The same, of a service that had one before; a container may be made anew.
    pub(crate) fn start_again(&mut self, spec: ServiceSpec, remake: cas::model::deed::Remake) -> RunId {
        self.runs += 1;
        let run = RunId(self.runs);
        self.world.perform(Effect::Spawn { run, spec: Arc::new(spec), remake });
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
        self.tree_ended(run).await
    }

    pub(crate) async fn tree_ended(&mut self, run: RunId) -> Vec<u32> {
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
            heals: false,
            honest: true,
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
    /// Leaves nothing: no service, no shim, whatever the test was about.
    fn drop(&mut self) {
        self.world.release();
        if let Some(directory) = &self.directory {
            clear(directory.path());
        }
    }
}

/// Ends every shim, and all that it and its runs left, of the slots below a rig's directory.
pub(crate) fn clear(directory: &Path) {
    let slots = directory.join(".slots");
    loop {
        // The shims first, so that none sees an end; then all that was below them.
        let shims = shims_below(&slots);
        let all: Vec<u32> = shims.iter().flat_map(|shim| descendants(*shim)).chain(marked(&slots)).collect();
        if shims.is_empty() && all.is_empty() {
            return;
        }
        for pid in shims.into_iter().chain(all) {
            let _gone = rustix::process::kill_process(raw_pid(pid), rustix::process::Signal::KILL);
        }
        std::thread::yield_now();
    }
}

/// Living shims whose slot is below `directory`, or is it.
pub(crate) fn shims_below(directory: &Path) -> Vec<u32> {
    let is_shim = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.next() == Some(b"cas-shim")
            && words.next().is_some_and(|slot| Path::new(&*String::from_utf8_lossy(slot)).starts_with(directory))
    };
    all_pids().filter(is_shim).filter(|pid| is_living(*pid)).collect()
}

/// Living processes that write to a FIFO of one of the slots.
fn marked(slots: &Path) -> Vec<u32> {
    let writes = |pid: &u32| {
        let target = |number| std::fs::read_link(format!("/proc/{pid}/fd/{number}"));
        *pid != std::process::id() && [1, 2].iter().any(|number| target(number).is_ok_and(|to| to.starts_with(slots)))
    };
    all_pids().filter(writes).filter(|pid| is_living(*pid)).collect()
}

fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all_pids().filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
    }
    found.split_off(1)
}

pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn all_pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

pub(crate) fn project() -> ProjectName {
    ProjectName::new("test").unwrap()
}

pub(crate) fn service(name: &str) -> ServiceId {
    ServiceId { project: project(), service: ServiceName::new(name).unwrap() }
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
    let has_mark = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    all_pids().filter(has_mark).filter(|pid| is_living(*pid)).collect()
}
