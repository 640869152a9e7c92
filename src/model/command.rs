//! Every wish to change the world, defined once: this enum is the CLI verb, the palette line, the JSON form and the help row.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use clap::{CommandFactory, Parser};
use serde::{Deserialize, Serialize};

use super::{
    deed::ThingKind, ids::ProjectName, phase::Phase, policy::Autopilot, policy::Risk, service::BaseEnvironment,
    signal::Signal, time::human,
};

/// How a person names services: `web`, `shop/web`, or with `*`: `shop/*`, `worker-*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ServiceRef(pub String);

impl FromStr for ServiceRef {
    type Err = std::convert::Infallible;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(Self(s.to_owned()))
    }
}
impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which services a command is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema, clap::Args)]
pub struct Targets {
    /// Services: NAME, PROJECT/NAME, or a pattern with `*`.
    #[arg(value_name = "SERVICE", required_unless_present = "all")]
    #[serde(default)]
    pub services: Vec<ServiceRef>,
    /// Every service of the open projects.
    #[arg(long, conflicts_with = "services")]
    #[serde(default)]
    pub all: bool,
}

impl Targets {
    /// Whether all services are meant, or all of a project, rather than some by name.
    #[must_use]
    pub fn means_all(&self) -> bool {
        let is_all = |reference: &ServiceRef| reference.0.rsplit('/').next() == Some("*");
        self.all || (!self.services.is_empty() && self.services.iter().all(is_all))
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// From now on.
    On,
    /// No more.
    Off,
}

impl Switch {
    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// What the opening of a project starts. What an earlier engine left is taken over and healed whatever this says.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Starts {
    /// Nothing: what is wanted will be asked for by name
    Nothing,
    /// What was wanted to run before, also before the machine's restart
    Wanted,
    /// That, and what has `autostart: true`
    #[default]
    Autostart,
}

impl Starts {
    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Wanted => "wanted",
            Self::Autostart => "autostart",
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A wish to change the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::Subcommand)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Command {
    /// Start services, and first what they depend on
    Start {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
    },
    /// Stop services, dependents first
    Stop {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
        /// Time before SIGKILL, such as 3s (default: the service's own)
        #[arg(long, value_parser = human::parse)]
        #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        grace: Option<Duration>,
    },
    /// Stop services and start them again
    Restart {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
        /// Also whatever depends on them, in order
        #[arg(long)]
        #[serde(default)]
        with_dependents: bool,
        /// Time before SIGKILL, such as 3s (default: the service's own)
        #[arg(long, value_parser = human::parse)]
        #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        grace: Option<Duration>,
    },
    /// End services at once with SIGKILL; they stay down
    Kill {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
    },
    /// Freeze containers where they stand; nothing of them is healed until they go on
    Pause {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
    },
    /// Let paused containers go on
    Unpause {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
    },
    /// Stop services and start them in new containers; what they wrote outside of volumes is lost
    Recreate {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
        /// Also their volumes that have no name: the data in them is lost
        #[arg(short = 'V', long)]
        #[serde(default)]
        renew_volumes: bool,
        /// Time before SIGKILL, such as 3s (default: the service's own)
        #[arg(long, value_parser = human::parse)]
        #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        grace: Option<Duration>,
    },
    /// Fetch the images of containers again; `recreate` makes them run
    Pull {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
    },
    /// Remove containers that do not run
    Rm {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
        /// Also one that runs (only containers that are no service's)
        #[arg(long)]
        #[serde(default)]
        force: bool,
        /// Also their volumes that have no name: the data in them is lost
        #[arg(short = 'v', long)]
        #[serde(default)]
        volumes: bool,
    },
    /// Remove what nothing uses from Docker's disk; nothing of an open project, and what has a name only with --everything
    Prune {
        /// What (default: containers, images, build-cache)
        #[arg(value_enum, value_name = "WHAT")]
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        what: Vec<ThingKind>,
        /// Also images and volumes that have a name, and containers of compose projects
        #[arg(long)]
        #[serde(default)]
        everything: bool,
    },
    /// Send a signal to the main process of services
    Signal {
        /// TERM, HUP, USR1 … or a number
        signal: Signal,
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
    },
    /// Rotate the log files of services now: those with `rotate` among their `log_files`
    Rotate {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
    },
    /// Read the project file again and apply what changed
    Reload,
    /// Take a project under care (under a daemon: `cas up --detach` does it)
    Open {
        /// Its directory
        directory: PathBuf,
        /// What its services begin with.
        #[arg(skip)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        environment: Option<BaseEnvironment>,
        /// What is started by that
        #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
        #[serde(default, skip_serializing_if = "is_default")]
        starts: Starts,
    },
    /// Stop a project's services and let go of it
    Close {
        /// Its name
        project: ProjectName,
    },
    /// Work on services undisturbed: nothing of them is healed and nobody alarmed, for so long (30m as the last word) or until `off`
    Maintenance {
        /// on or off
        switch: Switch,
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
        /// It ends by itself after this, such as 30m (also as the last word)
        #[arg(long = "for", value_name = "TIME", value_parser = human::parse)]
        #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        lasts: Option<Duration>,
    },
    /// Let the healer act, or only watch
    Autopilot {
        /// on or off
        mode: Autopilot,
    },
    /// Tell nobody of the alarms of services for a while; they are watched and shown as ever
    Silence {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
        /// How long, such as 2h, at most 30 days
        #[arg(long = "for", value_name = "TIME", value_parser = silence_time, default_value = "1h")]
        #[serde(default = "an_hour", with = "human")]
        #[schemars(with = "String")]
        lasting: Duration,
        /// Why, for whoever reads it later
        #[arg(long, value_name = "TEXT")]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// Tell of the alarms of services again
    Unsilence {
        /// Which.
        #[command(flatten)]
        #[serde(flatten)]
        targets: Targets,
    },
}

/// A silence lasts no longer.
pub const LONGEST_SILENCE: Duration = Duration::from_hours(30 * 24);

const fn an_hour() -> Duration {
    Duration::from_hours(1)
}

fn silence_time(text: &str) -> Result<Duration, String> {
    let lasting = human::parse(text)?;
    if lasting > LONGEST_SILENCE {
        return Err(
            "longer than 30 days: what is to be silent for ever is a rule that is off (alerts.rules)".to_owned()
        );
    }
    if lasting < Duration::from_secs(1) {
        return Err("shorter than a second: \"unsilence\" ends a silence".to_owned());
    }
    Ok(lasting)
}

/// The verbs without their arguments: for keys, footers and help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// [`Command::Start`].
    Start,
    /// [`Command::Stop`].
    Stop,
    /// [`Command::Restart`].
    Restart,
    /// [`Command::Kill`].
    Kill,
    /// [`Command::Pause`].
    Pause,
    /// [`Command::Unpause`].
    Unpause,
    /// [`Command::Recreate`].
    Recreate,
    /// [`Command::Pull`].
    Pull,
    /// [`Command::Rm`].
    Rm,
    /// [`Command::Prune`].
    Prune,
    /// [`Command::Signal`].
    Signal,
    /// [`Command::Rotate`].
    Rotate,
    /// [`Command::Reload`].
    Reload,
    /// [`Command::Open`].
    Open,
    /// [`Command::Close`].
    Close,
    /// [`Command::Maintenance`].
    Maintenance,
    /// [`Command::Autopilot`].
    Autopilot,
    /// [`Command::Silence`].
    Silence,
    /// [`Command::Unsilence`].
    Unsilence,
}

impl Verb {
    /// Every verb, in the order in which help shows them.
    pub const ALL: [Self; 19] = [
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Kill,
        Self::Pause,
        Self::Unpause,
        Self::Recreate,
        Self::Pull,
        Self::Rm,
        Self::Prune,
        Self::Signal,
        Self::Rotate,
        Self::Reload,
        Self::Open,
        Self::Close,
        Self::Maintenance,
        Self::Autopilot,
        Self::Silence,
        Self::Unsilence,
    ];

    /// The word, as typed.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Recreate => "recreate",
            Self::Pull => "pull",
            Self::Rm => "rm",
            Self::Prune => "prune",
            Self::Signal => "signal",
            Self::Rotate => "rotate",
            Self::Reload => "reload",
            Self::Open => "open",
            Self::Close => "close",
            Self::Maintenance => "maintenance",
            Self::Autopilot => "autopilot",
            Self::Silence => "silence",
            Self::Unsilence => "unsilence",
        }
    }

    /// Whether it would do anything to a service in `phase`. Footers, menus and key hints are computed from this.
    #[must_use]
    pub const fn applies_to(self, phase: &Phase) -> bool {
        match self {
            Self::Start => match phase {
                Phase::Stopped { .. }
                | Phase::Exited { .. }
                | Phase::GaveUp { .. }
                | Phase::BackingOff { .. }
                | Phase::Blocked { .. }
                | Phase::Stopping { .. } => true,
                Phase::Waiting { .. } | Phase::Starting { .. } | Phase::Running { .. } => false,
            },
            Self::Stop => match phase {
                Phase::Waiting { .. }
                | Phase::Blocked { .. }
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::BackingOff { .. } => true,
                Phase::Stopping { then, .. } => !matches!(then, super::phase::AfterStop::StayStopped),
                Phase::Stopped { .. } | Phase::Exited { .. } | Phase::GaveUp { .. } => false,
            },
            Self::Restart | Self::Recreate => match phase {
                Phase::Running { .. }
                | Phase::Starting { .. }
                | Phase::BackingOff { .. }
                | Phase::Exited { .. }
                | Phase::GaveUp { .. } => true,
                Phase::Stopped { .. } | Phase::Waiting { .. } | Phase::Blocked { .. } | Phase::Stopping { .. } => false,
            },
            Self::Kill => match phase {
                Phase::Running { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => true,
                Phase::Stopped { .. }
                | Phase::Waiting { .. }
                | Phase::Blocked { .. }
                | Phase::BackingOff { .. }
                | Phase::Exited { .. }
                | Phase::GaveUp { .. } => false,
            },
            Self::Signal => matches!(phase, Phase::Running { .. } | Phase::Stopping { .. }),
            Self::Pause | Self::Unpause => matches!(phase, Phase::Running { .. }),
            Self::Rm => match phase {
                Phase::Stopped { .. } | Phase::Exited { .. } | Phase::GaveUp { .. } => true,
                Phase::Waiting { .. }
                | Phase::Blocked { .. }
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::BackingOff { .. } => false,
            },
            Self::Pull => true,
            // A file is rotated whether its service runs or not.
            Self::Rotate => false,
            Self::Maintenance => true,
            Self::Reload
            | Self::Open
            | Self::Close
            | Self::Autopilot
            | Self::Silence
            | Self::Unsilence
            | Self::Prune => false,
        }
    }
}

impl Command {
    /// The verb.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Start { .. } => Verb::Start,
            Self::Stop { .. } => Verb::Stop,
            Self::Restart { .. } => Verb::Restart,
            Self::Kill { .. } => Verb::Kill,
            Self::Pause { .. } => Verb::Pause,
            Self::Unpause { .. } => Verb::Unpause,
            Self::Recreate { .. } => Verb::Recreate,
            Self::Pull { .. } => Verb::Pull,
            Self::Rm { .. } => Verb::Rm,
            Self::Prune { .. } => Verb::Prune,
            Self::Signal { .. } => Verb::Signal,
            Self::Rotate { .. } => Verb::Rotate,
            Self::Reload => Verb::Reload,
            Self::Open { .. } => Verb::Open,
            Self::Close { .. } => Verb::Close,
            Self::Maintenance { .. } => Verb::Maintenance,
            Self::Autopilot { .. } => Verb::Autopilot,
            Self::Silence { .. } => Verb::Silence,
            Self::Unsilence { .. } => Verb::Unsilence,
        }
    }

    /// Which services it names, if it is about services.
    #[must_use]
    pub const fn targets(&self) -> Option<&Targets> {
        match self {
            Self::Start { targets }
            | Self::Stop { targets, .. }
            | Self::Restart { targets, .. }
            | Self::Kill { targets }
            | Self::Maintenance { targets, .. }
            | Self::Silence { targets, .. }
            | Self::Unsilence { targets }
            | Self::Pause { targets }
            | Self::Unpause { targets }
            | Self::Recreate { targets, .. }
            | Self::Pull { targets }
            | Self::Rotate { targets }
            | Self::Rm { targets, .. }
            | Self::Signal { targets, .. } => Some(targets),
            Self::Reload | Self::Open { .. } | Self::Close { .. } | Self::Autopilot { .. } | Self::Prune { .. } => None,
        }
    }

    /// The same, to be named otherwise.
    pub const fn targets_mut(&mut self) -> Option<&mut Targets> {
        match self {
            Self::Start { targets }
            | Self::Stop { targets, .. }
            | Self::Restart { targets, .. }
            | Self::Kill { targets }
            | Self::Maintenance { targets, .. }
            | Self::Silence { targets, .. }
            | Self::Unsilence { targets }
            | Self::Pause { targets }
            | Self::Unpause { targets }
            | Self::Recreate { targets, .. }
            | Self::Pull { targets }
            | Self::Rotate { targets }
            | Self::Rm { targets, .. }
            | Self::Signal { targets, .. } => Some(targets),
            Self::Reload | Self::Open { .. } | Self::Close { .. } | Self::Autopilot { .. } | Self::Prune { .. } => None,
        }
    }

    /// How risky it is on `count` services that it would really touch (dependents counted).
    #[must_use]
    pub const fn risk(&self, count: usize) -> Risk {
        match self {
            Self::Start { .. }
            | Self::Open { .. }
            | Self::Autopilot { .. }
            | Self::Maintenance { .. }
            | Self::Silence { .. }
            | Self::Unsilence { .. }
            | Self::Unpause { .. }
            | Self::Rotate { .. }
            | Self::Pull { .. } => Risk::Reversible,
            Self::Pause { .. } if count <= 1 => Risk::Reversible,
            Self::Recreate { renew_volumes: true, .. } | Self::Rm { .. } | Self::Prune { .. } => Risk::Irreversible,
            Self::Restart { .. } if count <= 1 => Risk::Reversible,
            Self::Reload if count == 0 => Risk::Reversible,
            Self::Signal {
                signal: Signal::Hup | Signal::Usr1 | Signal::Usr2 | Signal::Winch | Signal::Cont, ..
            } if count <= 1 => Risk::Reversible,
            Self::Stop { .. }
            | Self::Restart { .. }
            | Self::Kill { .. }
            | Self::Pause { .. }
            | Self::Recreate { .. }
            | Self::Signal { .. }
            | Self::Reload
            | Self::Close { .. } => Risk::Disruptive,
        }
    }

    /// Parses a line as typed into the palette: `stop web --grace 3s`.
    ///
    /// # Errors
    /// What is wrong with it, in clap's words, without the program's name.
    pub fn parse_line(line: &str) -> Result<Self, ParseLineError> {
        let words = shlex::split(line).ok_or(ParseLineError::Quotes)?;
        if words.is_empty() {
            return Err(ParseLineError::Empty);
        }
        Line::try_parse_from(words)
            .map(|line| line.command)
            .map_err(|error| ParseLineError::Usage(error.render().to_string().trim_end().to_owned()))
    }

    /// The line that [`Self::parse_line`] reads back as this command.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut words = vec![self.verb().label().to_owned()];
        if let Self::Signal { signal, .. } = self {
            words.push(signal.name().to_owned());
        }
        if let Self::Maintenance { switch, .. } = self {
            words.push(switch.label().to_owned());
        }
        if let Self::Autopilot { mode } = self {
            words.push(mode.label().to_owned());
        }
        if let Self::Open { directory, starts, .. } = self {
            words.push(directory.to_string_lossy().into_owned());
            if *starts != Starts::default() {
                words.extend(["--starts".to_owned(), starts.label().to_owned()]);
            }
        }
        if let Self::Close { project } = self {
            words.push(project.to_string());
        }
        if let Some(targets) = self.targets() {
            if targets.all {
                words.push("--all".to_owned());
            }
            words.extend(targets.services.iter().map(|service| service.0.clone()));
        }
        if let Self::Restart { with_dependents: true, .. } = self {
            words.push("--with-dependents".to_owned());
        }
        let flags: &[(&str, bool)] = match self {
            Self::Recreate { renew_volumes, .. } => &[("--renew-volumes", *renew_volumes)],
            Self::Rm { force, volumes, .. } => &[("--force", *force), ("--volumes", *volumes)],
            Self::Prune { what, everything } => {
                words.extend(what.iter().map(|kind| kind.label().to_owned()));
                &[("--everything", *everything)]
            }
            Self::Start { .. }
            | Self::Stop { .. }
            | Self::Restart { .. }
            | Self::Kill { .. }
            | Self::Pause { .. }
            | Self::Unpause { .. }
            | Self::Pull { .. }
            | Self::Signal { .. }
            | Self::Rotate { .. }
            | Self::Reload
            | Self::Open { .. }
            | Self::Close { .. }
            | Self::Maintenance { .. }
            | Self::Autopilot { .. }
            | Self::Silence { .. }
            | Self::Unsilence { .. } => &[],
        };
        words.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| (*flag).to_owned()));
        if let Self::Stop { grace: Some(grace), .. }
        | Self::Restart { grace: Some(grace), .. }
        | Self::Recreate { grace: Some(grace), .. } = self
        {
            words.push("--grace".to_owned());
            words.push(humantime::format_duration(*grace).to_string().replace(' ', ""));
        }
        if let Self::Maintenance { lasts: Some(lasts), .. } = self {
            words.push("--for".to_owned());
            words.push(humantime::format_duration(*lasts).to_string().replace(' ', ""));
        }
        if let Self::Silence { lasting, because, .. } = self {
            words.push("--for".to_owned());
            words.push(humantime::format_duration(*lasting).to_string().replace(' ', ""));
            words.extend(because.iter().flat_map(|because| ["--because".to_owned(), because.clone()]));
        }
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
    }

    /// The same with what stands at another place moved where it belongs: `maintenance on web 30m` lasts 30 minutes.
    #[must_use]
    pub fn settled(mut self) -> Self {
        if let Self::Maintenance { switch: _, targets, lasts } = &mut self
            && lasts.is_none()
            && targets.services.len() > usize::from(!targets.all)
            && let Some(last) = targets.services.last()
        {
            let is_time = last.0.starts_with(|c: char| c.is_ascii_digit()) && last.0.ends_with(['s', 'm', 'h', 'd']);
            *lasts = human::parse(&last.0).ok().filter(|_| is_time);
            if lasts.is_some() {
                targets.services.pop();
            }
        }
        self
    }

    /// The definition as clap has it: names, help texts and arguments, for palettes, help screens and completions.
    #[must_use]
    pub fn definition() -> clap::Command {
        Line::command()
    }
}

/// Why a palette line was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseLineError {
    /// Nothing was typed.
    #[error("nothing to do: type a command, such as restart web")]
    Empty,
    /// Quotes do not match.
    #[error("a quote is not closed")]
    Quotes,
    /// clap's own words.
    #[error("{0}")]
    Usage(String),
}

#[derive(Parser)]
#[command(
    name = "cas",
    multicall = false,
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[cfg(test)]
mod tests {
    use super::{Command, ServiceRef, Starts, Targets};
    use crate::model::{deed::ThingKind, policy::Autopilot, signal::Signal};

    fn on(services: &[&str]) -> Targets {
        Targets { services: services.iter().map(|s| ServiceRef((*s).to_owned())).collect(), all: false }
    }

    #[test]
    fn every_command_reads_back_from_its_line_and_its_json() {
        let all = Targets { services: vec![], all: true };
        let commands = [
            Command::Start { targets: on(&["web"]) },
            Command::Stop { targets: on(&["shop/web", "w-*"]), grace: Some(std::time::Duration::from_millis(3500)) },
            Command::Restart { targets: all, with_dependents: true, grace: None },
            Command::Kill { targets: on(&["web"]) },
            Command::Pause { targets: on(&["web"]) },
            Command::Unpause { targets: on(&["docker:*"]) },
            Command::Recreate {
                targets: on(&["web"]),
                renew_volumes: true,
                grace: Some(std::time::Duration::from_secs(3)),
            },
            Command::Pull { targets: on(&["web"]) },
            Command::Rm { targets: on(&["0123456789ab"]), force: true, volumes: false },
            Command::Prune { what: vec![], everything: false },
            Command::Prune { what: vec![ThingKind::Volumes, ThingKind::BuildCache], everything: true },
            Command::Signal { signal: Signal::Hup, targets: on(&["web"]) },
            Command::Rotate { targets: on(&["web"]) },
            Command::Reload,
            Command::Open { directory: "/srv/shop".into(), environment: None, starts: Starts::Autostart },
            Command::Open { directory: "/srv/shop".into(), environment: None, starts: Starts::Nothing },
            Command::Close { project: crate::model::ids::ProjectName::new("shop").unwrap() },
            Command::Autopilot { mode: Autopilot::Off },
            Command::Silence {
                targets: on(&["web", "w-*"]),
                lasting: std::time::Duration::from_mins(150),
                because: Some("we move the disks".to_owned()),
            },
            Command::Unsilence { targets: on(&["web"]) },
        ];
        for command in commands {
            assert_eq!(Command::parse_line(&command.to_line()).as_ref(), Ok(&command), "{}", command.to_line());
            let json = serde_json::to_string(&command).unwrap();
            assert_eq!(serde_json::from_str::<Command>(&json).unwrap(), command, "{json}");
        }
    }

    #[test]
    fn a_line_without_services_is_refused_with_a_sentence() {
        let error = Command::parse_line("stop").unwrap_err().to_string();
        assert!(error.contains("SERVICE"), "{error}");
    }
}
