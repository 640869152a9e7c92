//! What a verb needs from the rest of cas, as one trait, so that every verb runs against a scripted one in tests.
//! Never knows how an engine is reached, hosted or stored.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use tokio::sync::mpsc;

use super::{care::Kept, interrupts::Interrupt};
use crate::{
    config,
    host::handle::Handle,
    insight::entry::Formats,
    model::{
        alarm::Notice,
        command::Starts,
        ids::{ProjectName, RunId, ServiceId, ServiceName},
        log::LogBatch,
        pattern::ServicePatterns,
        phase::PortHolder,
        project::{Problem, ProjectRecord, ProjectSpec},
        redact::Masks,
        route::{DesktopWay, Route},
        secret::SecretValues,
        service::Port,
        time::Timestamp,
        timeline::Entry,
        tty::Parted,
    },
};

/// A project file, read and checked.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The file.
    pub file: PathBuf,
    /// The project; none where there are errors.
    pub project: Option<Arc<ProjectSpec>>,
    /// What is noteworthy.
    pub notes: Vec<Problem>,
    /// What is wrong.
    pub errors: Vec<Problem>,
    /// What `check --json` prints.
    pub json: Value,
}

impl Checked {
    /// What was read.
    #[must_use]
    pub fn of(loaded: config::Loaded) -> Self {
        let json = config::check_json(&loaded);
        let config::Loaded { file, project, notes, errors, .. } = loaded;
        Self { file, project: project.map(Arc::new), notes, errors, json }
    }
}

/// Which services an engine of our own starts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Those with `autostart: true`.
    Autostart,
    /// None: what is wanted will be asked for.
    Quiet,
}

impl Opening {
    /// The same, for an engine elsewhere.
    #[must_use]
    pub const fn starts(self) -> Starts {
        match self {
            Self::Autostart => Starts::Autostart,
            Self::Quiet => Starts::Nothing,
        }
    }
}

/// What may be asked of an engine that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Everything.
    #[default]
    Full,
    /// Only reads: it is reached by a socket behind which commands are refused.
    ReadOnly,
}

/// A daemon that runs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// It was started just now.
    New {
        /// Its process.
        pid: u32,
    },
    /// It ran already.
    Already {
        /// Its process.
        pid: u32,
    },
}

/// How a console was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// By its user, or the engine has ended: what still runs in an engine of this process is to be stopped.
    Left,
    /// By its user, who wants services to run on under the daemon.
    LeaveRunning,
    /// By this signal (its number).
    Signalled(i32),
    /// Its terminal is gone, or it failed: a sentence.
    Lost(String),
}

/// A service that runs while no engine looks after it, by what its shim left on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Which.
    pub service: ServiceName,
    /// In which run.
    pub run: RunId,
    /// Its main process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

/// What came of a program that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// It ended well.
    Well,
    /// It ended otherwise: its last words.
    Badly(String),
    /// There is no such program.
    Missing,
}

/// Which part of the stored output is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogExtent {
    /// The file of the project that was asked in: of two projects with one name, that one is meant.
    pub file: PathBuf,
    /// Whose.
    pub services: Vec<ServiceId>,
    /// Not before, microseconds since the Unix epoch.
    pub since_us: Option<i64>,
    /// Not after, microseconds since the Unix epoch.
    pub until_us: Option<i64>,
    /// Of each service at least its newest so many, where there are so many; older ones need not be read. None: all.
    pub tail: Option<usize>,
    /// As it was written, secrets included.
    pub raw: bool,
    /// What the engine has set for these services: values that are not shown where it is not `raw`.
    pub known: BTreeMap<String, String>,
    /// What the engine has given to these services as secrets.
    pub secrets: SecretValues,
}

/// The rest of cas. Errors are sentences for people.
pub trait Outside {
    /// Now, on both clocks.
    fn now(&self) -> Timestamp;

    /// The project file of `directory` or of one above it.
    ///
    /// # Errors
    /// Where was looked, and for what.
    fn find(&self, directory: &Path) -> Result<PathBuf, String> {
        config::find(directory).map(|found| found.file).map_err(|error| error.to_string())
    }

    /// Reads and checks a project file. What is wrong with it is in the answer.
    fn load(&self, file: &Path, env: &BTreeMap<String, String>) -> Checked {
        Checked::of(config::load(file, None, env))
    }

    /// The user's own file of settings.
    fn user_config(&self, env: &BTreeMap<String, String>) -> PathBuf {
        config::paths::Paths::user_config_of(env).unwrap_or_else(|| PathBuf::from("config.yaml"))
    }

    /// What the user wants masked in output, beside secrets.
    fn masks(&self) -> Masks {
        Masks::default()
    }

    /// The forms that lines are known by, those that the user has described before all; and what is wrong with those of them that cannot be used.
    fn log_formats(&self) -> (Formats, Vec<Problem>) {
        (Formats::builtin(), Vec::new())
    }

    /// What is wrong with settings beyond their form: themes and actions that do not exist, forms of log lines that cannot be used.
    fn judge(&self, _user: &config::user::UserConfig) -> Vec<Problem> {
        Vec::new()
    }

    /// Runs `editor` (a line for the shell) on a file, in this terminal, to its end.
    fn edit(&self, editor: &str, file: &Path) -> Ran {
        let line = format!("{editor} \"$1\"");
        match std::process::Command::new("/bin/sh").args(["-c", &line, "sh"]).arg(file).status() {
            Ok(status) if status.success() => Ran::Well,
            Ok(status) => Ran::Badly(status.to_string()),
            Err(error) => Ran::Badly(error.to_string()),
        }
    }

    /// Sends a message by a route, from this process, and says as a clause what took it.
    ///
    /// # Errors
    /// Why it was not taken.
    fn send_notice(
        &self,
        route: &Route,
        notice: &Notice,
        env: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<String, String>>;

    /// Has this terminal tell a desktop of a message, as a console does; which control sequence was written, none where there is no terminal to write to.
    fn tell_terminal(&self, way: DesktopWay, notice: &Notice) -> Option<&'static str>;

    /// Who listens on these ports of this machine now.
    fn port_holders(&self, ports: &[Port]) -> Vec<PortHolder>;

    /// The engine that runs the project of `file` now, hosted or daemon; none where there is none.
    ///
    /// # Errors
    /// There is one, and it cannot be talked to.
    fn connect(&self, file: &Path, access: Access) -> impl Future<Output = Result<Option<Handle>, String>>;

    /// The daemon; none where none runs.
    ///
    /// # Errors
    /// There is one, and it cannot be talked to: it is of another version, most likely.
    fn daemon(&self, access: Access) -> impl Future<Output = Result<Option<Handle>, String>>;

    /// What the daemon says of itself (`GET /v1/daemon`); none where none runs.
    ///
    /// # Errors
    /// As [`Outside::daemon`].
    fn daemon_view(&self) -> impl Future<Output = Result<Option<Value>, String>>;

    /// Sees to it that a daemon runs: returns when it answers.
    ///
    /// # Errors
    /// Why it cannot be started, with the last lines of its log.
    fn start_daemon(&self) -> impl Future<Output = Result<Running, String>>;

    /// Asks the daemon by SIGTERM to end and leave services running: for one that cannot be talked to. Gives its process.
    ///
    /// # Errors
    /// There is none, or it is not ours.
    fn terminate_daemon(&self) -> impl Future<Output = Result<u32, String>>;

    /// Returns when the daemon that was process `pid` is gone.
    ///
    /// # Errors
    /// It stays.
    fn daemon_gone(&self, pid: u32) -> impl Future<Output = Result<(), String>>;

    /// Is the daemon until it is told to end.
    ///
    /// # Errors
    /// Why it cannot be: another one runs, most likely.
    fn run_daemon(&self, detached: bool) -> impl Future<Output = Result<(), String>>;

    /// Projects that a daemon has under care, or will have when it is started.
    fn under_care(&self) -> Vec<Kept>;

    /// Services of `project` that run although no engine looks after them.
    fn left_running(&self, project: &ProjectSpec) -> Vec<Left>;

    /// Runs a program of the system to its end, without a terminal.
    fn tool(&self, program: &str, arguments: &[&str]) -> Ran;

    /// The directory of systemd's units of this user, or of the machine where the daemon is the machine's.
    fn unit_directory(&self) -> PathBuf;

    /// True where the daemon is that of the machine.
    fn is_system(&self) -> bool;

    /// Starts an engine in this process.
    ///
    /// # Errors
    /// Why it cannot be.
    fn host(&self, project: Arc<ProjectSpec>, opening: Opening) -> impl Future<Output = Result<Handle, String>>;

    /// Starts an engine in this process that finds, reads and opens the project of `file` while it runs already: what is wrong is in its picture.
    ///
    /// # Errors
    /// Why it cannot be.
    fn host_later(&self, file: &Path) -> impl Future<Output = Result<Handle, String>>;

    /// From now on SIGHUP has the engine of this process read project files again, as it has a daemon do. Where this process has a terminal, the signal
    /// ends it as ever: it is how a terminal says that it is gone.
    fn reload_on_hangup(&self, _handle: &Handle) {}

    /// Gives up what an engine of this process held, after that engine has ended: another one may take the project.
    fn let_go(&self) -> impl Future<Output = ()>;

    /// Shows the console until the person leaves it, and says how it was left. An engine of this process is left running.
    ///
    /// # Errors
    /// Why it cannot be shown.
    fn console(
        &self,
        handle: Handle,
        access: Access,
        theme: Option<&str>,
    ) -> impl Future<Output = Result<Shown, String>>;

    /// Gives the terminal to a service that has one, until it is let go of or the service ends.
    ///
    /// # Errors
    /// Why it cannot be: a sentence.
    fn attach(&self, handle: &Handle, service: &ServiceId) -> impl Future<Output = Result<Parted, String>>;

    /// Runs a command in a container, a shell where none is named, with this terminal where there is one, else with standard input and output; its exit
    /// code.
    ///
    /// # Errors
    /// Why it cannot be: a sentence.
    fn execute(&self, name: &str, container: &str, command: &[String]) -> impl Future<Output = Result<i64, String>>;

    /// Runs a command, a shell where none is named, in a directory and with variables beside our own, with our standard input and output; its exit code.
    ///
    /// # Errors
    /// Why it cannot be: a sentence.
    fn execute_beside(
        &self,
        directory: &Path,
        variables: &[(String, String)],
        command: &[String],
    ) -> Result<i64, String> {
        let shell = std::env::var("SHELL").ok().filter(|shell| !shell.is_empty());
        let (program, rest) = match command {
            [program, rest @ ..] => (program.clone(), rest),
            [] => (shell.unwrap_or_else(|| "/bin/sh".to_owned()), [].as_slice()),
        };
        let mut child = std::process::Command::new(&program);
        child.args(rest).current_dir(directory).envs(variables.iter().map(|(name, value)| (name, value)));
        let status = child.status().map_err(|error| format!("{program}: {error}"))?;
        let by_signal = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal);
        Ok(i64::from(status.code().or(by_signal).unwrap_or(1)))
    }

    /// Gives stored output to `each`, without its secrets unless it is wanted raw, oldest first over all services, until it breaks. Run and first sequence number of
    /// each batch are those with which it was published.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn stored_logs(&self, extent: &LogExtent, each: &mut dyn FnMut(&LogBatch) -> ControlFlow<()>)
    -> Result<(), String>;

    /// Puts an entry on the timeline where no engine runs that could.
    ///
    /// # Errors
    /// Why it cannot be.
    fn note(&self, entry: Entry) -> Result<(), String>;

    /// The newest `limit` stored entries about `project` (none: about anything), not before `since_us`, oldest first.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn stored_entries(
        &self,
        project: Option<&ProjectName>,
        since_us: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Entry>, String>;

    /// What the last engine has kept of the patterns in the output of these services of the project of `file`, without secrets.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn stored_patterns(&self, file: &Path, services: &[ServiceId]) -> Result<Vec<ServicePatterns>, String>;

    /// Every project that cas has seen.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn registry(&self) -> Result<Vec<ProjectRecord>, String>;

    /// Puts projects on the list, or in the place of what it says of their directories.
    ///
    /// # Errors
    /// Why they cannot be.
    fn remember(&self, projects: &[ProjectRecord]) -> Result<(), String>;

    /// Takes a project off the list.
    ///
    /// # Errors
    /// Why it cannot be.
    fn forget(&self, project: &ProjectRecord) -> Result<(), String>;

    /// SIGINT and SIGTERM from now on, instead of being ended by them.
    ///
    /// # Errors
    /// Why they cannot be caught.
    fn interrupts(&self) -> Result<mpsc::Receiver<Interrupt>, String>;
}
