//! A scripted rest of cas, and a desk on which a verb runs and what it wrote can be read.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::Cursor,
    ops::ControlFlow,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use cas::{
    cli::{
        args::Cli,
        care::Kept,
        context::{Context, Terminals, Zone},
        interrupts::Interrupt,
        outcome::Outcome,
        outside::{Access, Checked, Left, LogExtent, Opening, Outside, Ran as Tool, Running, Shown},
    },
    host::handle::{Call, Departure, Handle, Link, LogFeed},
    model::{
        alarm::Notice,
        command::Command,
        ids::{ProjectName, ServiceId},
        log::LogBatch,
        pattern::ServicePatterns,
        phase::PortHolder,
        policy::{Reply, Request},
        project::{Problem, ProjectRecord, ProjectSpec},
        query::{Answer, Query},
        route::{DesktopWay, Route},
        service::Port,
        snapshot::Snapshot,
        time::Timestamp,
        timeline::Entry,
        tty::Parted,
    },
};
use clap::Parser;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::fixture;

/// A scripted engine: what it is asked is kept, what it answers is given.
pub(crate) struct Engine {
    pub(crate) handle: Handle,
    pub(crate) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    pub(crate) departures: mpsc::UnboundedReceiver<Departure>,
    pub(crate) link: watch::Sender<Link>,
}

/// How an engine takes leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    AtOnce,
    /// Its services ignore SIGTERM.
    WhenKilled,
}

/// An engine that answers each request with `reply` and then, where it has one, publishes `after(command)`.
pub(crate) fn engine(
    link: Link,
    before: Snapshot,
    logs: Vec<Arc<LogBatch>>,
    reply: impl Fn(&Request) -> Reply + Send + 'static,
    after: impl Fn(&Command) -> Option<Snapshot> + Send + 'static,
) -> Engine {
    engine_leaving(Leaving::AtOnce, link, before, logs, reply, after)
}

/// The same, taking its leave in a manner of its own.
pub(crate) fn engine_leaving(
    leaving: Leaving,
    link: Link,
    before: Snapshot,
    logs: Vec<Arc<LogBatch>>,
    reply: impl Fn(&Request) -> Reply + Send + 'static,
    after: impl Fn(&Command) -> Option<Snapshot> + Send + 'static,
) -> Engine {
    let (calls, mut called) = mpsc::channel(8);
    let (snapshots, watched) = watch::channel(Arc::new(before));
    let (link, linked) = watch::channel(link);
    let (told, requests) = mpsc::unbounded_channel();
    let (departed, departures) = mpsc::unbounded_channel();
    let feed = LogFeed::new();
    let publisher = snapshots.clone();
    tokio::spawn(async move {
        let mut asked_to_leave = None;
        while let Some(call) = called.recv().await {
            match call {
                Call::Request { request, reply: to } => {
                    let _ = to.send(reply(&request));
                    if let Some(snapshot) = after(&request.command) {
                        publisher.send_replace(Arc::new(snapshot));
                    }
                    if matches!(request.command, Command::Kill { .. }) {
                        asked_to_leave = None;
                    }
                    let _ = told.send(request);
                }
                Call::Query { query: Query::Logs { .. } | Query::RawLogs { .. }, answer } => {
                    let _ = answer.send(Answer::Logs(logs.clone()));
                }
                Call::Query { query: Query::Entries { .. }, answer } => {
                    let _ = answer.send(Answer::Entries(Vec::new()));
                }
                Call::Query { query: Query::Disk, answer } => {
                    let _ = answer.send(Answer::Disk(Arc::new(fixture::disk())));
                }
                Call::Query { query: Query::Patterns { .. }, answer } => {
                    let _ = answer.send(Answer::Patterns(fixture::patterns()));
                }
                Call::Query { query: Query::LogFiles { .. }, answer } => {
                    let _ = answer.send(Answer::LogFiles(fixture::log_files()));
                }
                Call::Query { query: Query::ShellContext { .. } | Query::SearchLogs(_), answer } => {
                    let _ = answer.send(Answer::Unavailable("no".to_owned()));
                }
                Call::Leave { departure, done } => {
                    let _ = departed.send(departure);
                    match leaving {
                        Leaving::AtOnce => drop(done),
                        Leaving::WhenKilled => asked_to_leave = Some(done),
                    }
                }
                Call::Tty { answer, .. } => {
                    let _ = answer.send(Err("no".to_owned()));
                }
            }
        }
        drop(asked_to_leave);
    });
    let handle = Handle { calls, snapshots: watched, logs: feed, link: linked };
    Engine { handle, snapshots, requests, departures, link }
}

/// An engine that accepts everything and then looks like `after`.
pub(crate) fn willing(before: Snapshot, after: Snapshot) -> Engine {
    engine(
        Link::Connected,
        before,
        Vec::new(),
        |request| Reply::Accepted { note: request.command.to_line() },
        move |_| Some(after.clone()),
    )
}

/// The rest of cas.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) handle: Option<Handle>,
    pub(crate) project: Option<ProjectSpec>,
    pub(crate) errors: Vec<Problem>,
    pub(crate) logs: Vec<Arc<LogBatch>>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) patterns: Vec<ServicePatterns>,
    pub(crate) registry: Vec<ProjectRecord>,
    pub(crate) forgotten: RefCell<Vec<PathBuf>>,
    pub(crate) remembered: RefCell<Vec<ProjectRecord>>,
    pub(crate) holders: Vec<PortHolder>,
    pub(crate) hosted: RefCell<Vec<Opening>>,
    pub(crate) host: Option<Handle>,
    /// The daemon, once it runs.
    pub(crate) daemon: Option<Handle>,
    /// It runs.
    pub(crate) daemon_runs: std::cell::Cell<bool>,
    /// It cannot be talked to.
    pub(crate) daemon_fault: Option<String>,
    pub(crate) daemon_view: Option<Value>,
    pub(crate) kept: Vec<Kept>,
    pub(crate) left: Vec<Left>,
    pub(crate) shown: Option<Shown>,
    pub(crate) units: PathBuf,
    /// Programs that were run, and what each comes to.
    pub(crate) tools: RefCell<Vec<String>>,
    pub(crate) tool: Option<Tool>,
    pub(crate) let_go: std::cell::Cell<u32>,
    /// With which access engines were reached.
    pub(crate) accesses: RefCell<Vec<Access>>,
    pub(crate) interrupts: RefCell<Vec<mpsc::Sender<Interrupt>>>,
    /// How much of what is stored was asked for.
    pub(crate) tails: RefCell<Vec<Option<usize>>>,
    /// Messages that were sent, each with its route.
    pub(crate) notices: RefCell<Vec<(String, Notice)>>,
}

impl Outside for Fake {
    fn now(&self) -> Timestamp {
        fixture::at(200)
    }

    fn find(&self, directory: &Path) -> Result<PathBuf, String> {
        if self.project.is_some() || self.handle.is_some() || !self.errors.is_empty() {
            return Ok(PathBuf::from("/srv/shop/cas.yaml"));
        }
        let message = format!("there is no project file: looked in {}", directory.display());
        Err(format!("{message}\nhint: cas init writes one"))
    }

    fn load(&self, file: &Path, _env: &BTreeMap<String, String>) -> Checked {
        Checked {
            file: file.to_path_buf(),
            project: self.project.clone().map(Arc::new),
            notes: Vec::new(),
            errors: self.errors.clone(),
            json: json!({ "services": [], "notes": [], "errors": self.errors }),
        }
    }

    async fn connect(&self, _file: &Path, access: Access) -> Result<Option<Handle>, String> {
        self.accesses.borrow_mut().push(access);
        Ok(self.handle.clone())
    }

    async fn daemon(&self, _access: Access) -> Result<Option<Handle>, String> {
        match &self.daemon_fault {
            Some(fault) => Err(fault.clone()),
            None if self.daemon_runs.get() => Ok(self.daemon.clone()),
            None => Ok(None),
        }
    }

    async fn daemon_view(&self) -> Result<Option<Value>, String> {
        Ok(if self.daemon_runs.get() { self.daemon_view.clone() } else { None })
    }

    async fn start_daemon(&self) -> Result<Running, String> {
        let was = self.daemon_runs.replace(true);
        Ok(if was { Running::Already { pid: 77 } } else { Running::New { pid: 77 } })
    }

    async fn terminate_daemon(&self) -> Result<u32, String> {
        self.tools.borrow_mut().push("SIGTERM".to_owned());
        Ok(77)
    }

    async fn daemon_gone(&self, _pid: u32) -> Result<(), String> {
        self.daemon_runs.set(false);
        Ok(())
    }

    async fn run_daemon(&self, _detached: bool) -> Result<(), String> {
        Err("another daemon (pid 77) runs already".to_owned())
    }

    fn under_care(&self) -> Vec<Kept> {
        self.kept.clone()
    }

    fn left_running(&self, _project: &ProjectSpec) -> Vec<Left> {
        self.left.clone()
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Tool {
        self.tools.borrow_mut().push(format!("{program} {}", arguments.join(" ")));
        self.tool.clone().unwrap_or(Tool::Well)
    }

    fn unit_directory(&self) -> PathBuf {
        self.units.clone()
    }

    fn is_system(&self) -> bool {
        false
    }

    async fn host(&self, _project: Arc<ProjectSpec>, opening: Opening) -> Result<Handle, String> {
        self.hosted.borrow_mut().push(opening);
        self.host.clone().ok_or_else(|| "no engine today".to_owned())
    }

    async fn host_later(&self, _file: &Path) -> Result<Handle, String> {
        self.host.clone().ok_or_else(|| "no engine today".to_owned())
    }

    async fn send_notice(
        &self,
        route: &Route,
        notice: &Notice,
        _env: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        self.notices.borrow_mut().push((route.name.clone(), notice.clone()));
        if route.name == "broken" { Err("answered 500".to_owned()) } else { Ok("taken with status 200".to_owned()) }
    }

    fn port_holders(&self, ports: &[Port]) -> Vec<PortHolder> {
        self.holders.iter().filter(|holder| ports.contains(&Port(holder.port))).cloned().collect()
    }

    async fn let_go(&self) {
        self.let_go.set(self.let_go.get() + 1);
    }

    async fn console(&self, _handle: Handle, _access: Access, _theme: Option<&str>) -> Result<Shown, String> {
        Ok(self.shown.clone().unwrap_or(Shown::Left))
    }

    async fn attach(&self, _handle: &Handle, service: &ServiceId) -> Result<Parted, String> {
        self.tools.borrow_mut().push(format!("attach {service}"));
        Ok(Parted::LetGo)
    }

    fn tell_terminal(&self, way: DesktopWay, notice: &Notice) -> Option<&'static str> {
        self.tools.borrow_mut().push(format!("tell the terminal {way:?}: {}", notice.title));
        Some("OSC 777")
    }

    async fn execute(&self, name: &str, container: &str, command: &[String]) -> Result<i64, String> {
        self.tools.borrow_mut().push(format!("execute in {name} ({container}): {}", command.join(" ")));
        Ok(i64::try_from(command.len()).unwrap())
    }

    fn execute_beside(
        &self,
        directory: &Path,
        variables: &[(String, String)],
        command: &[String],
    ) -> Result<i64, String> {
        let variables: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let line = format!("execute in {}: {} {}", directory.display(), variables.join(" "), command.join(" "));
        self.tools.borrow_mut().push(line);
        Ok(0)
    }

    fn stored_logs(
        &self,
        extent: &LogExtent,
        each: &mut dyn FnMut(&LogBatch) -> ControlFlow<()>,
    ) -> Result<(), String> {
        self.tails.borrow_mut().push(extent.tail);
        let _broken_off = self.logs.iter().try_for_each(|batch| each(batch));
        Ok(())
    }

    fn note(&self, entry: Entry) -> Result<(), String> {
        self.tools.borrow_mut().push(format!("note {}", entry.sentence()));
        Ok(())
    }

    fn stored_entries(
        &self,
        _project: Option<&ProjectName>,
        _since_us: Option<i64>,
        _limit: usize,
    ) -> Result<Vec<Entry>, String> {
        Ok(self.entries.clone())
    }

    fn stored_patterns(&self, _file: &Path, services: &[ServiceId]) -> Result<Vec<ServicePatterns>, String> {
        Ok(self.patterns.iter().filter(|patterns| services.contains(&patterns.service)).cloned().collect())
    }

    fn registry(&self) -> Result<Vec<ProjectRecord>, String> {
        Ok(self.registry.clone())
    }

    fn remember(&self, projects: &[ProjectRecord]) -> Result<(), String> {
        self.remembered.borrow_mut().extend_from_slice(projects);
        Ok(())
    }

    fn forget(&self, project: &ProjectRecord) -> Result<(), String> {
        self.forgotten.borrow_mut().push(project.root.clone());
        Ok(())
    }

    fn interrupts(&self) -> Result<mpsc::Receiver<Interrupt>, String> {
        let (sender, receiver) = mpsc::channel(4);
        self.interrupts.borrow_mut().push(sender);
        Ok(receiver)
    }
}

/// What a verb wrote, and its code.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A stream that can be read while it is written.
struct Heard(Rc<RefCell<Vec<u8>>>);

impl std::io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where a verb runs.
pub(crate) struct Desk {
    pub(crate) terminals: Terminals,
    pub(crate) width: Option<u16>,
    pub(crate) cwd: PathBuf,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) answer: &'static str,
    /// What comes behind it.
    pub(crate) input: Vec<u8>,
    /// What has been written to stdout so far, also while a verb runs.
    pub(crate) heard: Rc<RefCell<Vec<u8>>>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            terminals: Terminals::default(),
            width: None,
            cwd: PathBuf::from("/"),
            env: BTreeMap::new(),
            answer: "",
            input: Vec::new(),
            heard: Rc::default(),
        }
    }
}

impl Desk {
    pub(crate) fn terminal(width: u16) -> Self {
        let terminals = Terminals { stdin: true, stdout: true, stderr: true };
        Self { terminals, width: Some(width), ..Self::default() }
    }

    pub(crate) async fn run(&self, outside: &Fake, line: &str) -> Ran {
        let mut stdin = Cursor::new([self.answer.as_bytes(), &self.input].concat());
        let (mut stdout, mut stderr) = (Heard(self.heard.clone()), Vec::new());
        self.heard.borrow_mut().clear();
        let mut ctx = Context {
            stdin: &mut stdin,
            stdout: &mut stdout,
            stderr: &mut stderr,
            terminals: self.terminals,
            width: self.width,
            cwd: self.cwd.clone(),
            env: self.env.clone(),
            zone: Zone::Utc,
            exe: PathBuf::from("/bin/cas"),
            state_dir: self.cwd.join("state"),
            no_color: false,
        };
        let cli = Cli::try_parse_from(shlex::split(line).unwrap()).unwrap();
        let outcome = cas::cli::run(cli, &mut ctx, outside).await;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { outcome, stdout: text(self.heard.take()), stderr: text(stderr) }
    }
}

/// Runs on a desk that is no terminal.
pub(crate) async fn run(outside: &Fake, line: &str) -> Ran {
    Desk::default().run(outside, line).await
}
