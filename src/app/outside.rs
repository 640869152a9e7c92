//! The real [`Outside`]: engines on sockets or in this process, files, the store, the console.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{daemon, exec, keeper, left, patterns, selfview, trace, veil};
use crate::{
    api::{
        self,
        client::ConnectError,
        lock::Attempt,
        lock::Lock,
        server::{ServeOptions, Server},
    },
    cli::{
        care::Kept,
        interrupts::{self, Interrupt},
        outside::{Access, Left, LogExtent, Opening, Outside, Ran, Running, Shown},
    },
    config::{self, layers, paths::Paths, user},
    engine::Budget,
    host::{self, Host, handle::Handle},
    insight::entry::{FormatError, Formats},
    model::{
        alarm::{Level, Notice},
        ids::{ProjectName, ServiceId},
        log::LogBatch,
        pattern::ServicePatterns,
        phase::PortHolder,
        project::{Problem, ProjectRecord, ProjectSpec},
        redact::Masks,
        route::{DesktopWay, Route},
        service::{Port, RestartPolicy, ServiceSpec},
        snapshot::{ProjectView, Snapshot},
        time::Timestamp,
        timeline::{Entry, stopped_by_hand},
        tty::Parted,
    },
    tui::{
        self,
        keymap::Keymap,
        theme::{ColorDepth, Theme},
    },
    world::{
        clock,
        log_files::Slots,
        notify, ports,
        store::{self, EntryFilter, Store},
    },
};

/// How long a second engine waits for the first one, which holds the lock, to listen.
const HOLDER_LISTENS_WITHIN: Duration = Duration::from_secs(5);

/// So many of a service's newest entries are looked at for how it was left.
const LAST_ENTRIES: usize = 1000;

/// With what this process was started.
pub(super) struct Setup {
    /// Its environment.
    pub(super) environment: BTreeMap<String, String>,
    /// Its program.
    pub(super) exe: PathBuf,
    /// Soft limit of open files that services get, where ours was raised.
    pub(super) open_files: Option<u64>,
    /// It is about the machine's daemon.
    pub(super) is_system: bool,
}

/// The rest of cas.
pub(super) struct Real {
    pub(super) paths: Paths,
    pub(super) setup: Setup,
    hosted: Mutex<Option<(Host, Server)>>,
}

impl Real {
    pub(super) const fn new(paths: Paths, setup: Setup) -> Self {
        Self { paths, setup, hosted: Mutex::new(None) }
    }

    fn take_hosted(&self) -> Option<(Host, Server)> {
        self.hosted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends the engine of this process, if there is one; returns when nothing is left of it.
    pub(super) async fn close(&self) {
        if let Some((host, server)) = self.take_hosted() {
            host.handle.leave().await;
            // An error means that its task has panicked; the panic was said already.
            let _ended = host.task.await;
            drop(server);
        }
    }

    /// The shims' program: beside this one, or where `CAS_SHIM` says.
    pub(super) fn shim(&self) -> PathBuf {
        let named = self.setup.environment.get("CAS_SHIM").filter(|path| !path.is_empty());
        named.map_or_else(|| self.setup.exe.with_file_name("cas-shim"), PathBuf::from)
    }

    /// The user's settings, with what the environment says over them.
    fn user(&self) -> user::LoadedUser {
        layers::effective_user(&self.paths.user_config(), &self.setup.environment)
    }

    /// With what an engine of this process begins, before any project.
    pub(super) fn host_config(&self) -> host::Config {
        let user = self.user().config;
        host::Config {
            projects: Vec::new(),
            directory: None,
            paths: self.paths.clone(),
            autopilot: user.autopilot,
            learning: user.learning,
            auto_reload: user.auto_reload,
            budget: Budget::default(),
            seed: clock::now().mono_us,
            withheld: BTreeMap::new(),
            environment: self.setup.environment.clone(),
            open_files: self.setup.open_files,
            daemon: false,
            shim: self.shim(),
            gate: None,
            care: None,
            log_formats: user.log_formats,
            masks: user.masks,
        }
    }

    /// How an engine of ours is served.
    pub(super) fn serve_options(&self, host: &Host) -> ServeOptions {
        let facts = host.facts.clone();
        let group = self.user().config.api_group;
        let group = group.and_then(|name| match api::server::group_number(&name) {
            Ok(number) => Some(number),
            Err(why) => {
                tracing::warn!(why, "the read-only socket is for its owner alone");
                None
            }
        });
        ServeOptions {
            group,
            self_source: Arc::new(move || selfview::facts(&facts)),
            stored_logs: Some(Arc::new(selfview::Stored { paths: self.paths.clone(), handle: host.handle.clone() })),
            ..ServeOptions::default()
        }
    }

    /// How the console looks and what keys do: the user's file, then the command line.
    fn console_options(&self, handle: &Handle, access: Access, theme: Option<&str>) -> Result<tui::Options, String> {
        let file = self.paths.user_config();
        let user = self.user();
        if !user.errors.is_empty() {
            return Err(config::render(&user.errors, false).trim_end().to_owned());
        }
        let themes = self.paths.themes();
        let depth = ColorDepth::of_environment(|name| self.setup.environment.get(name).cloned());
        let theme = match theme.or(user.config.theme.as_deref()) {
            Some(name) => Theme::load(name, Some(&themes))?,
            None => Theme::default(),
        };
        let keymap = Keymap::with_user_keys(&user.config.keys, &file.display().to_string())
            .map_err(|problems| problems.join("\n"))?;
        let (_, faults) = formats(&user.config);
        if !faults.is_empty() {
            return Err(config::render(&faults, false).trim_end().to_owned());
        }
        let snapshot = handle.snapshot();
        let here = std::env::current_dir().ok().and_then(|here| here.canonicalize().ok());
        let is_here = |project: &&ProjectView| here.as_ref().is_some_and(|here| here.starts_with(&project.root));
        let mut open = snapshot.projects.iter().filter(|project| project.open);
        let open = open.clone().find(is_here).or_else(|| open.next());
        Ok(tui::Options {
            detach_key: user.config.detach_key,
            alert_level: user.config.alert_level,
            theme: theme.for_depth(depth),
            keymap,
            themes_dir: Some(themes),
            mouse: user.config.mouse,
            read_only: access == Access::ReadOnly,
            log_formats: user.config.log_formats,
            project: open.map(|project| project.name.clone()),
            project_file: open.map(|project| project.file.clone()),
            ..tui::Options::default()
        })
    }

    /// Changes what is stored where no engine of this process does.
    fn change_store(&self, change: impl FnOnce(&Store)) -> Result<(), String> {
        self.paths.ensure().map_err(|error| error.to_string())?;
        let (told, trouble) = std::sync::mpsc::channel();
        let store = Store::open(self.paths.database(), move |text| {
            // An error means that nobody waits for it any more.
            let _nobody = told.send(text);
        });
        change(&store);
        store.flush();
        match trouble.try_iter().last() {
            Some(Some(text)) => Err(text),
            Some(None) | None => Ok(()),
        }
    }

    /// Starts an engine on the socket of a project's file and gives it when its picture is as `is_known` wants it; where another engine
    /// holds the project, that one.
    async fn host_with(
        &self,
        file: &Path,
        config: host::Config,
        is_known: impl Fn(&Snapshot) -> bool,
    ) -> Result<Handle, String> {
        self.paths.ensure().map_err(|error| error.to_string())?;
        let socket = self.socket(file);
        self.paths.ensure_for_socket(&socket).map_err(|error| error.to_string())?;
        let lock = match Lock::take(&socket) {
            Ok(Attempt::Taken(lock)) => lock,
            Ok(Attempt::Held { pid, socket: serving }) => {
                return self.wait_for_holder(&serving.unwrap_or(socket), pid).await;
            }
            Err(error) => return Err(format!("cannot take the lock beside {}: {error}", socket.display())),
        };
        let gate = Some(gate(self.paths.clone(), socket.clone()));
        let host = host::start(host::Config { gate, ..config }).map_err(|error| error.to_string())?;
        let mut handle = host.handle.clone();
        trace::see_through(handle.logs.veil());
        // An error means that the engine has ended, which whoever asks it hears.
        let _known = handle.snapshots.wait_for(|snapshot| is_known(snapshot)).await.is_ok();
        let server = match api::server::serve(lock, handle.clone(), self.serve_options(&host)) {
            Ok(server) => server,
            Err(error) => {
                handle.leave().await;
                return Err(format!("cannot listen on {}: {error}", socket.display()));
            }
        };
        *self.hosted.lock().unwrap_or_else(PoisonError::into_inner) = Some((host, server));
        Ok(handle)
    }

    fn socket(&self, file: &Path) -> PathBuf {
        self.paths.socket(file.parent().unwrap_or(file))
    }

    /// The engine that holds the lock; it may be about to listen.
    async fn wait_for_holder(&self, socket: &Path, pid: Option<u32>) -> Result<Handle, String> {
        let begin = clock::now();
        loop {
            match api::connect(socket, clock::now).await {
                Ok(handle) => return Ok(handle),
                Err(ConnectError::Absent(_)) if clock::now().since(begin) < HOLDER_LISTENS_WITHIN => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => {
                    let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                    return Err(format!("another cas{who} runs this project and cannot be reached: {error}"));
                }
            }
        }
    }
}

/// What takes another project for the engine of this console: its lock, in which it says where it serves. That of the first project is held already.
fn gate(paths: Paths, own: PathBuf) -> host::Gate {
    let others = daemon::gate(paths.clone(), own.clone());
    Arc::new(move |spec: &ProjectSpec| {
        if paths.socket(spec.file.parent().unwrap_or(&spec.root)) == own {
            return Ok(Box::new(()) as Box<dyn std::any::Any + Send + Sync>);
        }
        others(spec)
    })
}

/// The forms that lines are known by, and what is wrong with those of the user's file that cannot be used.
fn formats(user: &user::UserConfig) -> (Formats, Vec<Problem>) {
    let (formats, faults) = Formats::with(&user.log_formats);
    let problem = |fault: FormatError| Problem {
        source: user.sources.get(&format!("log_formats.{}", fault.index)).cloned(),
        message: fault.what(),
        hint: Some(fault.next),
    };
    (formats, faults.into_iter().map(problem).collect())
}

/// Whether SIGHUP was set to be ignored by whoever started this process: the lowest bit of `SigIgn` in proc(5).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Whether the engine has the project of `file` open.
fn shows(handle: &Handle, file: &Path) -> bool {
    let root = file.parent().unwrap_or(file);
    let real = root.canonicalize();
    let real = real.as_deref().unwrap_or(root);
    handle.snapshot().projects.iter().any(|project| project.open && (project.root == root || project.root == real))
}

/// Services that do not start by themselves although their file says so, and why not.
fn withheld(project: &ProjectSpec, opening: Opening, database: &Path) -> BTreeMap<ServiceId, String> {
    let why = |service: &ServiceSpec| match opening {
        Opening::Quiet => Some("not started yet: opened without autostart"),
        Opening::Autostart if was_stopped_by_hand(database, service) => {
            Some("stopped by hand before its project was closed, and restart is unless-stopped")
        }
        Opening::Autostart => None,
    };
    let starts_itself = |service: &&Arc<ServiceSpec>| {
        service.autostart || opening == Opening::Quiet && service.occasions.schedule.is_some()
    };
    let autostarting = project.services.iter().filter(starts_itself);
    autostarting.filter_map(|service| Some((service.id.clone(), why(service)?.to_owned()))).collect()
}

/// Whether `service` is to stay as a person left it: stopped. What cannot be read does not keep anything down.
fn was_stopped_by_hand(database: &Path, service: &ServiceSpec) -> bool {
    if service.restart != RestartPolicy::UnlessStopped {
        return false;
    }
    let filter = EntryFilter {
        limit: LAST_ENTRIES,
        project: Some(service.id.project.clone()),
        services: vec![service.id.service.clone()],
        since_wall_us: None,
    };
    let entries = store::read_entries(database, &filter).unwrap_or_else(|error| {
        tracing::warn!(service = %service.id, %error, "how it ended last time cannot be read");
        Vec::new()
    });
    stopped_by_hand(&entries)
}

/// The slots of a project: of the one in `root` if it has that name, else of the newest place of its name.
pub(super) fn slots_of(paths: &Paths, project: &ProjectName, root: &Path) -> Option<Slots> {
    let here = paths.project_dir(&Paths::place(project, root));
    let dir = if here.is_dir() { Some(here) } else { newest_place(&paths.project_dir(""), project) };
    dir.map(|dir| Slots { project: project.clone(), dir: dir.join("slots") })
}

fn newest_place(projects: &Path, name: &ProjectName) -> Option<PathBuf> {
    let is_of = |place: &str| {
        let key = place.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('-'));
        key.is_some_and(|key| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let places = std::fs::read_dir(projects).ok()?.flatten();
    places
        .filter(|entry| entry.file_name().to_str().is_some_and(is_of))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .max()
        .map(|(_, path)| path)
}

impl Outside for Real {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    async fn send_notice(
        &self,
        route: &Route,
        notice: &Notice,
        env: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        notify::deliver(route, notice, &Arc::new(env.clone())).await.map_err(|error| error.why)
    }

    fn port_holders(&self, ports: &[Port]) -> Vec<PortHolder> {
        ports::listeners(ports)
    }

    async fn connect(&self, file: &Path, access: Access) -> Result<Option<Handle>, String> {
        let own = self.socket(file);
        let serving = daemon::serving(&own).unwrap_or_else(|| own.clone());
        let Some(handle) = daemon::reach(&serving, access).await? else { return Ok(None) };
        // What stands in a lock may be old: a daemon that is there need not run this project any more.
        let runs_it = serving == own || shows(&handle, file);
        Ok(runs_it.then_some(handle))
    }

    async fn daemon(&self, access: Access) -> Result<Option<Handle>, String> {
        daemon::reach(&self.paths.daemon_socket(), access).await
    }

    async fn daemon_view(&self) -> Result<Option<Value>, String> {
        daemon::view(&self.paths.daemon_socket()).await
    }

    async fn start_daemon(&self) -> Result<Running, String> {
        daemon::start(self).await
    }

    async fn terminate_daemon(&self) -> Result<u32, String> {
        daemon::terminate(&self.paths.daemon_socket()).await
    }

    async fn daemon_gone(&self, pid: u32) -> Result<(), String> {
        daemon::gone(pid).await
    }

    async fn run_daemon(&self, detached: bool) -> Result<(), String> {
        daemon::run(self, detached).await
    }

    fn under_care(&self) -> Vec<Kept> {
        keeper::read(&self.paths).unwrap_or_else(|why| {
            tracing::warn!("{why}");
            Vec::new()
        })
    }

    fn left_running(&self, project: &ProjectSpec) -> Vec<Left> {
        let place = Paths::place(&project.name, &project.root);
        left::running(&self.paths.project_dir(&place).join("slots"), clock::now())
    }

    fn user_config(&self, _env: &BTreeMap<String, String>) -> PathBuf {
        self.paths.user_config()
    }

    fn judge(&self, user: &user::UserConfig) -> Vec<Problem> {
        let theme = user.theme.as_deref().map(|name| Theme::load(name, Some(&self.paths.themes())));
        let theme = theme.and_then(Result::err);
        let keys = Keymap::with_user_keys(&user.keys, &self.paths.user_config().display().to_string());
        let words = theme.into_iter().chain(keys.err().unwrap_or_default());
        let (_, faults) = formats(user);
        words.map(|message| Problem { source: None, message, hint: None }).chain(faults).collect()
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Ran {
        let ran = std::process::Command::new(program).args(arguments).stdin(std::process::Stdio::null()).output();
        match ran {
            Ok(output) if output.status.success() => Ran::Well,
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Ran::Badly(if said.is_empty() { output.status.to_string() } else { said })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ran::Missing,
            Err(error) => Ran::Badly(error.to_string()),
        }
    }

    fn unit_directory(&self) -> PathBuf {
        if self.setup.is_system {
            return PathBuf::from("/etc/systemd/system");
        }
        let set = |name: &str| self.setup.environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        config.unwrap_or_else(|| self.paths.config.clone()).join("systemd/user")
    }

    fn is_system(&self) -> bool {
        self.setup.is_system
    }

    async fn host(&self, project: Arc<ProjectSpec>, opening: Opening) -> Result<Handle, String> {
        let withheld = withheld(&project, opening, &self.paths.database());
        let file = project.file.clone();
        let config = host::Config { projects: vec![project], withheld, ..self.host_config() };
        // The first picture is empty: names are looked up in one that has the project.
        self.host_with(&file, config, |snapshot| {
            snapshot.projects.iter().any(|project| project.open && project.file == file)
                || !snapshot.problems.is_empty()
        })
        .await
    }

    async fn host_later(&self, file: &Path) -> Result<Handle, String> {
        let directory = file.parent().map(Path::to_owned);
        self.host_with(file, host::Config { directory, ..self.host_config() }, |_| true).await
    }

    fn reload_on_hangup(&self, handle: &Handle) {
        let has_terminal = io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
        if has_terminal || hangup_is_ignored() {
            return;
        }
        let handle = handle.clone();
        let mut hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => return tracing::warn!(%error, "SIGHUP ends this cas, as it cannot be caught"),
        };
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                daemon::reload(&handle).await;
            }
        });
    }

    async fn let_go(&self) {
        if let Some((host, server)) = self.take_hosted() {
            // An error means that its task has panicked; the panic was said already.
            let _ended = host.task.await;
            drop(server);
        }
    }

    async fn console(&self, handle: Handle, access: Access, theme: Option<&str>) -> Result<Shown, String> {
        let options = self.console_options(&handle, access, theme)?;
        // What becomes of an engine of this process and of its services is the caller's to say: also after a panic of the console.
        match Box::pin(AssertUnwindSafe(tui::run(handle, options)).catch_unwind()).await {
            Ok(Ok(
                tui::Outcome::Quit | tui::Outcome::StoppedAll | tui::Outcome::StillStopping | tui::Outcome::EngineEnded,
            )) => Ok(Shown::Left),
            Ok(Ok(tui::Outcome::LeaveRunning)) => Ok(Shown::LeaveRunning),
            Ok(Ok(tui::Outcome::Signalled(number))) => Ok(Shown::Signalled(number)),
            Ok(Err(error @ tui::TuiError::NoTerminal(_))) => Err(error.to_string()),
            Ok(Err(error @ (tui::TuiError::Io(_) | tui::TuiError::TerminalLost))) => Ok(Shown::Lost(error.to_string())),
            Err(_said) => {
                Ok(Shown::Lost("the console has ended by a defect of cas; the sentence above says where".to_owned()))
            }
        }
    }

    async fn attach(&self, handle: &Handle, service: &ServiceId) -> Result<Parted, String> {
        tui::attach(handle, service, self.user().config.detach_key).await
    }

    fn tell_terminal(&self, way: DesktopWay, notice: &Notice) -> Option<&'static str> {
        if !io::stdout().is_terminal() {
            return None;
        }
        let is_urgent = notice.severity == Level::Critical;
        let (sequence, name) = tui::desktop_message(&notice.title, &notice.text, is_urgent, way);
        io::stdout().write_all(sequence.as_bytes()).and_then(|()| io::stdout().flush()).ok()?;
        Some(name)
    }

    async fn execute(&self, name: &str, container: &str, command: &[String]) -> Result<i64, String> {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            exec::with_terminal(name, container, command, self.user().config.detach_key).await
        } else {
            exec::with_pipes(container, command).await
        }
    }

    fn masks(&self) -> Masks {
        self.user().config.masks
    }

    fn log_formats(&self) -> (Formats, Vec<Problem>) {
        formats(&self.user().config)
    }

    fn stored_logs(
        &self,
        extent: &LogExtent,
        each: &mut dyn FnMut(&LogBatch) -> ControlFlow<()>,
    ) -> Result<(), String> {
        let root = extent.file.parent().unwrap_or(&extent.file);
        let mut projects: Vec<&ProjectName> = extent.services.iter().map(|service| &service.project).collect();
        projects.dedup();
        let slots: Vec<Slots> =
            projects.into_iter().filter_map(|project| slots_of(&self.paths, project, root)).collect();
        let range = (extent.since_us, extent.until_us);
        if extent.raw {
            selfview::give(&slots, &extent.services, range, extent.tail, each);
            return Ok(());
        }
        let mut passage = veil::passage(&self.paths, &self.setup.environment, extent);
        selfview::give(&slots, &extent.services, range, extent.tail, &mut |batch| match passage.changed(batch) {
            Some(shown) => each(&shown),
            None => each(batch),
        });
        Ok(())
    }

    fn note(&self, entry: Entry) -> Result<(), String> {
        self.change_store(|store| store.record(Arc::new(entry)))
    }

    fn stored_entries(
        &self,
        project: Option<&ProjectName>,
        since_us: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Entry>, String> {
        let filter = EntryFilter { limit, project: project.cloned(), services: Vec::new(), since_wall_us: since_us };
        store::read_entries(&self.paths.database(), &filter).map_err(|error| error.to_string())
    }

    fn stored_patterns(&self, file: &Path, services: &[ServiceId]) -> Result<Vec<ServicePatterns>, String> {
        patterns::kept(&self.paths, &self.setup.environment, file, services)
    }

    fn registry(&self) -> Result<Vec<ProjectRecord>, String> {
        store::read_projects(&self.paths.database()).map_err(|error| error.to_string())
    }

    fn remember(&self, projects: &[ProjectRecord]) -> Result<(), String> {
        self.change_store(|store| projects.iter().cloned().for_each(|project| store.register(project)))
    }

    fn forget(&self, project: &ProjectRecord) -> Result<(), String> {
        self.change_store(|store| store.forget(project.root.clone()))
    }

    fn interrupts(&self) -> Result<mpsc::Receiver<Interrupt>, String> {
        interrupts::listen().map_err(|error| format!("cannot catch SIGINT and SIGTERM: {error}"))
    }
}
