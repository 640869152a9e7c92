//! The command line as clap has it. What changes the world comes from [`crate::model::command::Command`] alone; here are the reads and the frame.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use regex::Regex;

mod alerts;
mod insight;
mod looks;
mod projects;

pub use self::alerts::{Alerts, AlertsAction};
pub use self::insight::{Insight, InsightAction, Patterns, Templates};
pub use self::looks::{Health, Kinds, Why};
pub use self::projects::{Projects, ProjectsAction, Scan};
use super::{act::Act, demo::DemoService, setting::ConfigAction, verbs::explain::Explain, when::When};
use crate::{
    insight::filter::{TEMPLATE, Term},
    model::{command::ServiceRef, level::Level, time::human},
};

const EXAMPLES: &str = "\
Examples:
  cas                          open the console here
  cas up                       start every service and open the console
  cas up --no-tui web db       start two (and what they need), print one merged log
  cas restart web              restart one, wait until it is well again
  cas logs -f --grep error     follow what goes wrong
  cas health --deep            look into every service, the worst first
  cas why web                  why it is as it is, and what to do
  cas status --json | jq .     read everything from a script
  cas up --detach              start them in the background and return
  cas demo                     see it work, nothing to install

Exit codes: 0 done · 1 failed · 2 usage or invalid project file · 3 no engine is running
            4 not found or ambiguous · 5 refused · 130 interrupted
            health: 10 something is worth a look · 20 something is broken";

/// An operations console for the terminal that also does the operating.
#[derive(Debug, Parser)]
#[command(name = "cas", version, about, after_help = EXAMPLES, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// The project file (default: cas.yaml, or that of another tool, in this directory or above)
    #[arg(short = 'f', long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Work as if started in this directory, or in that of a project on the list: NAME or NAME@END
    // Its id must be its own: commands have arguments of that name, and one that is global would take their values.
    #[arg(id = "working-directory", short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// No colours (so does the variable `NO_COLOR`)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Only look: commands are refused behind the door
    #[arg(long, global = true)]
    pub read_only: bool,
    /// The daemon of the whole machine (root's), not your own
    #[arg(long, global = true)]
    pub system: bool,
    /// How the console looks.
    #[command(flatten)]
    pub look: Look,
    /// What to do; none: open the console.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// How the console looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Look {
    /// Theme of the console, such as nord or gruvbox
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start services (default: all) and open the console
    #[command(after_help = UP_EXAMPLES)]
    Up(Up),
    /// Stop every service and end the engine
    Down,
    /// A wish to change the world.
    #[command(flatten)]
    Act(Act),
    /// Show where services stand, and why
    #[command(alias = "ps")]
    Status(Status),
    /// Say how services are: what their probes and deep looks in their own protocols have found, the worst first
    #[command(after_help = looks::HEALTH_EXAMPLES)]
    Health(Health),
    /// Say why a service, or the project as a whole, is as it is, and what to do
    Why(Why),
    /// List the kinds of services that are known, or all that is known of one
    Kinds(Kinds),
    /// List the containers of Docker or Podman: those of services, and all others
    Containers(Containers),
    /// Say what takes up space on Docker's disk, and what of it nothing uses (`cas prune` removes that)
    Df(Df),
    /// Print what services wrote
    #[command(after_help = LOGS_EXAMPLES)]
    Logs(Logs),
    /// List files that services write themselves, and how they are rotated (`cas rotate` does it now)
    LogFiles(LogFiles),
    /// Print what happened: who, what, why
    Events(Events),
    /// Learn from log lines: the templates behind those of a file, the patterns in what services write
    #[command(after_help = insight::EXAMPLES)]
    Insight(Insight),
    /// List alarms, silences and routes, or try a route out
    #[command(after_help = alerts::EXAMPLES)]
    Alerts(Alerts),
    /// Print who depends on whom
    Graph(Graph),
    /// Say where every value of a service comes from, and what else is told of it
    Explain(Explain),
    /// Check a project file; exit code 2 if it cannot be taken
    Check(Check),
    /// Write a commented cas.yaml for this directory
    Init(Init),
    /// Translate the file of another tool into a cas.yaml, printed or written beside it
    Import(Import),
    /// Read and change settings: yours, a project's, a service's
    #[command(after_help = super::setting::EXAMPLES)]
    Config {
        /// What to do with them.
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// List every project that cas has seen
    Projects(Projects),
    /// Type into a service that has a terminal (`tty: true`); Ctrl-] lets go of it
    Attach(Attach),
    /// Run a command in the container of a service, or in the directory and with the variables of a process; a shell where none is named
    #[command(visible_alias = "shell", after_help = EXEC_EXAMPLES)]
    Exec(Exec),
    /// Keep projects running in the background, also while nobody looks
    #[command(after_help = DAEMON_EXAMPLES)]
    Daemon {
        /// What to do with it.
        #[command(subcommand)]
        action: DaemonAction,
    },
    /// Run a small project that lives in this binary
    Demo(Demo),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man(Man),
    /// One service of the demo.
    #[command(hide = true)]
    DemoService(DemoService),
}

const UP_EXAMPLES: &str = "\
Examples:
  cas up                  start all, open the console
  cas up web              start web and what it depends on
  cas up --profile dev    start also what is of the profile dev
  cas up --no-tui         no console: one log, Ctrl-C stops everything, twice kills it
  cas up --detach         start them under the daemon, wait until they are well, return";

const DAEMON_EXAMPLES: &str = "\
Examples:
  cas up --detach         begin: the daemon is started where none runs
  cas daemon status       is it well, and what has it under care
  cas daemon logs -f      what it does, in sentences
  cas daemon restart      a new engine, the same services: none is restarted
  cas daemon install      start it with the machine, by systemd";

const EXEC_EXAMPLES: &str = "\
Examples:
  cas exec db                      a shell in its container, Ctrl-] lets go of it
  cas exec db psql -U app          a command, with this terminal
  cas exec db pg_dump app >dump    its output, and its exit code
  cas exec api -- npm run migrate  a process: in its directory, with its variables";

const LOGS_EXAMPLES: &str = "\
Examples:
  cas logs web --tail 50
  cas logs -f --since 10m
  cas logs --grep 'timeout|refused' --json | jq -r .text
  cas logs api --level error --context 5    errors, tracebacks whole, with the lines around them
  cas logs -F 'status>=500 path~/api' -F '!healthz'
  cas logs --level warn -- /var/log/nginx/error.log old.log.gz    files of anybody, merged by their times";

/// `cas up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Services: NAME, PROJECT/NAME, or a pattern with `*`
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// Print one merged log instead of opening the console
    #[arg(long)]
    pub no_tui: bool,
    /// Run them under the daemon (started where none runs), wait until they are well, return
    #[arg(short = 'd', long, conflicts_with_all = ["no_tui", "timestamps", "no_prefix", "theme"])]
    pub detach: bool,
    /// Also services of this profile; may be given several times, * means all
    #[arg(short = 'p', long = "profile", value_name = "PROFILE", conflicts_with = "services")]
    pub profiles: Vec<String>,
    /// With --detach: wait at most so long
    #[arg(long, value_name = "TIME", value_parser = human::parse, default_value = "60s", requires = "detach")]
    pub timeout: Duration,
    /// How the merged log is written.
    #[command(flatten)]
    pub lines: LineLook,
    /// How the console looks.
    #[command(flatten)]
    pub look: Look,
}

/// `cas attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// The service: NAME or PROJECT/NAME
    #[arg(value_name = "SERVICE")]
    pub service: ServiceRef,
}

/// `cas exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// The service, NAME or PROJECT/NAME, or any container: its name or the beginning of its id
    #[arg(value_name = "SERVICE")]
    pub service: ServiceRef,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
    /// The service is the whole id of a container, and nobody is to be asked which.
    #[arg(long, hide = true)]
    pub by_id: bool,
}

/// `cas df`.
#[derive(Debug, Args)]
pub struct Df {
    /// Every image, container and volume by itself
    #[arg(short = 'v', long)]
    pub verbose: bool,
    /// JSON
    #[arg(long)]
    pub json: bool,
}

/// `cas log-files`.
#[derive(Debug, Args)]
pub struct LogFiles {
    /// Services (default: all): NAME, PROJECT/NAME, or a pattern with `*`
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do with the daemon.
#[derive(Debug, Subcommand)]
pub enum DaemonAction {
    /// Start it; one that runs is left as it is
    Start,
    /// End it; asks what becomes of running services
    Stop(DaemonStop),
    /// Say how it is, what it has under care, and what it uses
    Status {
        /// JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what it did, in sentences: what crashed, why, and how it went on
    Logs(DaemonLogs),
    /// Start it anew with the program as it is now; no service is restarted
    Restart,
    /// Have it started with the machine: writes and enables a systemd user unit (launchd: prints one)
    Install(DaemonInstall),
    /// Undo `install`
    Uninstall,
    /// Be the daemon, in the foreground (what systemd runs).
    #[command(hide = true)]
    Run {
        /// Leave the session of whoever started it.
        #[arg(long)]
        detached: bool,
    },
}

/// `cas daemon stop`.
#[derive(Debug, Clone, Copy, Args)]
pub struct DaemonStop {
    /// Leave services running; the next engine takes them over
    #[arg(long, conflicts_with = "down")]
    pub keep: bool,
    /// Stop services first
    #[arg(long)]
    pub down: bool,
}

/// `cas daemon logs`.
#[derive(Debug, Clone, Copy, Args)]
pub struct DaemonLogs {
    /// Go on as things happen
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// From: 10m, 2026-11-22T10:00:00Z or "2026-11-22 10:00"
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub since: Option<When>,
}

/// `cas daemon install`.
#[derive(Debug, Clone, Copy, Args)]
pub struct DaemonInstall {
    /// Only print what would be written
    #[arg(long)]
    pub print: bool,
    /// For launchd (macOS) instead of systemd: prints a property list
    #[arg(long)]
    pub launchd: bool,
}

/// How lines of a log are written.
#[derive(Debug, Clone, Default, Args)]
pub struct LineLook {
    /// Begin every line with its time
    #[arg(short = 't', long)]
    pub timestamps: bool,
    /// Do not begin every line with its service
    #[arg(long)]
    pub no_prefix: bool,
}

/// `cas status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Services: NAME, PROJECT/NAME, or a pattern with `*`
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// JSON; with --watch one document per line
    #[arg(long)]
    pub json: bool,
    /// Print again whenever something changes
    #[arg(short = 'w', long)]
    pub watch: bool,
    /// Exit with 1 if one is unhealthy or failed, with 3 if no engine runs
    #[arg(long, conflicts_with = "watch")]
    pub exit_code: bool,
}

/// `cas containers`.
#[derive(Debug, Args)]
pub struct Containers {
    /// Also those that do not run
    #[arg(short = 'a', long)]
    pub all: bool,
    /// JSON
    #[arg(long)]
    pub json: bool,
}

/// `cas logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Services: NAME, PROJECT/NAME, or a pattern with `*`
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// Go on as lines come
    #[arg(short = 'f', long, conflicts_with = "until")]
    pub follow: bool,
    /// From: 10m, 2026-11-22T10:00:00Z or "2026-11-22 10:00"
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub since: Option<When>,
    /// To: as --since
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub until: Option<When>,
    /// Services, as in front of the options
    #[arg(long = "service", value_name = "SERVICE")]
    pub more_services: Vec<ServiceRef>,
    /// Only lines that match a regular expression, matches shown
    #[arg(short = 'g', long, value_name = "REGEX")]
    pub grep: Option<Regex>,
    /// Only lines that say that they are at least so serious: trace, debug, info, warn, error, fatal
    #[arg(short = 'l', long, value_name = "LEVEL", value_parser = level)]
    pub level: Option<Level>,
    /// Only lines that pass, as typed behind / in the console: status>=500, path~/api, !healthz, a pattern; several: all of them
    #[arg(short = 'F', long = "filter", value_name = "FILTER", value_parser = term)]
    pub filters: Vec<Term>,
    /// Only lines of a template, by its text: "took <*> ms"; of services also by the id of a pattern: 17
    #[arg(long, value_name = "TEXT", value_parser = template)]
    pub template: Option<Template>,
    /// So many lines before and after each that is asked for
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    pub context: usize,
    /// Only the last so many
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<usize>,
    /// How lines are written.
    #[command(flatten)]
    pub lines: LineLook,
    /// One JSON object per line
    #[arg(long, conflicts_with_all = ["timestamps", "no_prefix"])]
    pub json: bool,
    /// As they were written, secrets included; the timeline tells who asked
    #[arg(long, conflicts_with = "follow")]
    pub raw: bool,
    /// Log files of anybody, also compressed, in place of what services wrote; `-`: standard input
    #[arg(last = true, value_name = "FILE", conflicts_with_all = ["services", "more_services"])]
    pub files: Vec<PathBuf>,
}

fn level(word: &str) -> Result<Level, String> {
    Level::of_word(word)
        .ok_or_else(|| format!("\"{word}\" is no level; one of {}", Level::ALL.map(Level::label).join(", ")))
}

fn term(text: &str) -> Result<Term, String> {
    Term::parse(text).ok_or_else(|| "there is nothing in it to look for".to_owned())
}

/// What a template is named by.
#[derive(Debug, Clone)]
pub enum Template {
    /// Its text.
    Text(Term),
    /// The id of a pattern of a service; of files, which have none, this text.
    Pattern(u32, Term),
}

fn template(text: &str) -> Result<Template, String> {
    let term = Term::parse(&format!("{TEMPLATE}{text}"))
        .ok_or_else(|| "nothing of this template is the same on its lines: it has only <*>".to_owned())?;
    Ok(match text.parse() {
        Ok(id) => Template::Pattern(id, term),
        Err(_) => Template::Text(term),
    })
}

/// `cas events`.
#[derive(Debug, Args)]
pub struct Events {
    /// Services: NAME, PROJECT/NAME, or a pattern with `*`
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// Go on as things happen
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// From: 10m, 2026-11-22T10:00:00Z or "2026-11-22 10:00"
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    pub since: Option<When>,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum GraphFormat {
    /// For people
    #[default]
    Tree,
    /// For Markdown (mermaid)
    Mermaid,
    /// For Graphviz
    Dot,
    /// For programs
    Json,
}

/// `cas graph`.
#[derive(Debug, Args)]
pub struct Graph {
    /// How it is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: GraphFormat,
}

/// `cas check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The file (default: the project file of this directory)
    #[arg(value_name = "FILE")]
    pub path: Option<PathBuf>,
    /// JSON
    #[arg(long)]
    pub json: bool,
}

/// `cas init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Do not ask
    #[arg(short = 'y', long)]
    pub yes: bool,
}

/// `cas import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Procfile, process-compose.yaml, mprocs.yaml, pm2's, supervisord.conf, a *.service, devbox.json, devcontainer.json, compose.yaml
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
    /// Write it as cas.yaml beside the file, where there is none yet
    #[arg(short, long)]
    pub write: bool,
    /// Let node evaluate what is not literal in pm2's JavaScript: this runs the file
    #[arg(long)]
    pub evaluate: bool,
}

/// `cas demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// The same seed, the same demo
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
    /// Print one merged log instead of opening the console
    #[arg(long)]
    pub no_tui: bool,
    /// How the merged log is written.
    #[command(flatten)]
    pub lines: LineLook,
    /// How the console looks.
    #[command(flatten)]
    pub look: Look,
}

/// `cas man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write one page per verb into this directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// How a wish is put: the same for every command.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Manner {
    /// Only say what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// JSON
    #[arg(long)]
    pub json: bool,
    /// Only where nothing named has changed since this revision of `status --json`; else it is refused
    #[arg(long, value_name = "REVISION")]
    pub if_rev: Option<u64>,
    /// Return as soon as it is accepted
    #[arg(long)]
    pub no_wait: bool,
    /// Wait at most so long for it to be done
    #[arg(long, value_name = "TIME", value_parser = human::parse, default_value = "60s", conflicts_with = "no_wait")]
    pub timeout: Duration,
}

impl Verb {
    /// What it changes, for a sentence; none where it only looks. Whoever asks with `--read-only` gets no further with the others:
    /// not all of them go through the door of an engine that could refuse them.
    #[must_use]
    pub const fn change(&self) -> Option<&'static str> {
        match self {
            Self::Up(up) if up.detach => Some("up --detach starts services"),
            Self::Down => Some("down stops services"),
            Self::Act(_) => Some("this is a command to the engine"),
            Self::Init(_) => Some("init writes a file"),
            Self::Import(import) if import.write => Some("import --write writes a file"),
            Self::Import(import) if import.evaluate => Some("import --evaluate runs the file"),
            Self::Projects(Projects { action: Some(action), .. }) => action.change(),
            Self::Alerts(Alerts { action: Some(AlertsAction::Test { .. }), .. }) => Some("alerts test sends a message"),
            Self::Attach(_) => Some("attach types into a service"),
            Self::Exec(_) => Some("exec runs a command"),
            Self::Logs(logs) if logs.raw => Some("logs --raw shows secrets"),
            Self::Daemon { action } => action.change(),
            Self::Config { action } => action.change(),
            Self::Up(_)
            | Self::Status(_)
            | Self::Health(_)
            | Self::Why(_)
            | Self::Kinds(_)
            | Self::Containers(_)
            | Self::Df(_)
            | Self::Logs(_)
            | Self::LogFiles(_)
            | Self::Events(_)
            | Self::Insight(_)
            | Self::Alerts(Alerts { action: None, .. })
            | Self::Graph(_)
            | Self::Explain(_)
            | Self::Check(_)
            | Self::Import(_)
            | Self::Projects(Projects { action: None, .. })
            | Self::Demo(_)
            | Self::Completions { .. }
            | Self::Man(_)
            | Self::DemoService(_) => None,
        }
    }
}

impl DaemonAction {
    const fn change(&self) -> Option<&'static str> {
        match self {
            Self::Status { .. }
            | Self::Logs(_)
            | Self::Install(DaemonInstall { print: true, .. } | DaemonInstall { launchd: true, .. }) => None,
            Self::Start | Self::Run { .. } => Some("this starts the daemon"),
            Self::Stop(_) => Some("this ends the daemon"),
            Self::Restart => Some("this ends the daemon and starts another"),
            Self::Install(_) | Self::Uninstall => Some("this changes what starts with the machine"),
        }
    }
}

impl Cli {
    /// The theme, wherever on the line it was given.
    #[must_use]
    pub fn theme(&self) -> Option<&str> {
        let own = match &self.verb {
            Some(Verb::Up(up)) => up.look.theme.as_deref(),
            Some(Verb::Demo(demo)) => demo.look.theme.as_deref(),
            Some(
                Verb::Down
                | Verb::Act(_)
                | Verb::Status(_)
                | Verb::Health(_)
                | Verb::Why(_)
                | Verb::Kinds(_)
                | Verb::Df(_)
                | Verb::Exec(_)
                | Verb::Containers(_)
                | Verb::Logs(_)
                | Verb::LogFiles(_)
                | Verb::Events(_)
                | Verb::Insight(_)
                | Verb::Alerts(_)
                | Verb::Graph(_)
                | Verb::Explain(_)
                | Verb::Check(_)
                | Verb::Init(_)
                | Verb::Import(_)
                | Verb::Projects(_)
                | Verb::Config { .. }
                | Verb::Attach(_)
                | Verb::Daemon { .. }
                | Verb::Completions { .. }
                | Verb::Man(_)
                | Verb::DemoService(_),
            )
            | None => None,
        };
        own.or(self.look.theme.as_deref())
    }
}
