//! What happened, with who, what and why: the entries of the incident timeline.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    alarm::{Level, Rule},
    exam::Grade,
    hooks::HookKind,
    ids::{ProjectName, RunId, ServiceName},
    level,
    log_file::short_bytes,
    phase::{Exit, Hold, PortHolder},
    policy::{Asker, Autopilot, Origin},
    probe::ProbeKind,
    signal::Signal,
    time::{Timestamp, human, short_duration},
};

/// How loudly an entry is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As expected.
    Info,
    /// Good news after bad.
    Good,
    /// Worth a look.
    Warning,
    /// Something is broken.
    Error,
}

/// One fact on the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Entry {
    /// Counts up from 1 within one engine's life.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// About which project.
    pub project: Option<ProjectName>,
    /// About which service of it.
    pub service: Option<ServiceName>,
    /// In which run.
    pub run: Option<RunId>,
    /// Who made it happen.
    pub who: Origin,
    /// What.
    pub what: What,
    /// Why, in one line without a full stop; empty where `what` says it all.
    pub why: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum What {
    /// A person or program asked for something at the door.
    Requested {
        /// The command as a line.
        line: String,
        /// Which program asked, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Asker>,
    },
    /// A project was opened.
    ProjectOpened {
        /// Services in it.
        services: usize,
    },
    /// A process runs.
    Started {
        /// Its main process.
        pid: u32,
        /// Consecutive restart number; 0 for a start that was asked for.
        attempt: u32,
    },
    /// Its probes passed for the first time in this run, or its ready line appeared.
    Ready {
        /// After the start.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        after: Duration,
    },
    /// A probe crossed its threshold.
    Unhealthy {
        /// Which question.
        probe: ProbeKind,
        /// What came back.
        detail: String,
    },
    /// Probes pass again.
    Recovered {
        /// It was unhealthy for so long.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        after: Duration,
    },
    /// Its health comes and goes: the healer holds still.
    Flapping {
        /// Falls from healthy to unhealthy, close together.
        falls: u32,
    },
    /// It no longer flaps.
    Steady,
    /// It held up long enough that its restart count starts anew.
    Stable {
        /// Restarts that were needed to get there.
        restarts: u32,
    },
    /// The run is over.
    Exited {
        /// How.
        exit: Exit,
        /// It ran for.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        after: Duration,
        /// The last lines of its output, oldest first, sanitised, at most five.
        last_words: Vec<String>,
    },
    /// Its main process ended with code 0 and left others behind, which go on: it put itself into the background.
    Forked {
        /// So many.
        left: usize,
    },
    /// It could not be executed at all.
    SpawnFailed {
        /// Why not.
        error: String,
    },
    /// A hook ended.
    Hook {
        /// Which.
        hook: HookKind,
        /// Why it failed, a clause; none: it ended well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
        /// It took.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        after: Duration,
        /// The last lines of what it wrote, oldest first, sanitised, at most 20.
        output: Vec<String>,
    },
    /// The healer will start it again.
    RestartScheduled {
        /// In.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        delay: Duration,
        /// Consecutive restart number, from 1.
        attempt: u32,
    },
    /// The healer would start it again, but is switched off.
    RestartWithheld {
        /// How the last run ended.
        exit: Exit,
    },
    /// The breaker opened.
    GaveUp {
        /// Consecutive starts that never became stable.
        attempts: u32,
    },
    /// It waits.
    Held {
        /// For what.
        holds: Vec<Hold>,
    },
    /// A port that it wants is taken.
    Blocked {
        /// By whom.
        holders: Vec<PortHolder>,
    },
    /// It is being ended.
    Stopping {
        /// The first signal.
        signal: Signal,
    },
    /// SIGKILL after the grace time was over, or at once.
    Killed {
        /// The grace time that had passed.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        after: Duration,
    },
    /// Nothing of it is left.
    Stopped,
    /// Processes of it could not be ended.
    Survivors {
        /// Their pids.
        pids: Vec<u32>,
    },
    /// A signal was delivered.
    Signalled {
        /// Which.
        signal: Signal,
    },
    /// The project file was read again.
    Reloaded {
        /// Names of services that are new.
        added: Vec<ServiceName>,
        /// Names of services that are gone.
        removed: Vec<ServiceName>,
        /// Names of services that changed.
        changed: Vec<ServiceName>,
        /// Those of them, and of what is back, that were started again for it; the others changed in place.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        restarted: Vec<ServiceName>,
    },
    /// The project file could not be taken; the running configuration stays.
    ReloadRefused {
        /// Problems in it.
        problems: usize,
        /// The first of them, one line.
        first: String,
    },
    /// The healer was switched.
    AutopilotSet {
        /// To.
        mode: Autopilot,
    },
    /// The engine did not run for a while (suspend, stop, overload); probes in flight were discarded.
    Stalled {
        /// For so long.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        gap: Duration,
    },
    /// An engine took over a run that an earlier one had started.
    Adopted {
        /// Its main process.
        pid: u32,
        /// Nobody looked after it for so long, as far as is known.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        away: Duration,
    },
    /// What has the number of an earlier run cannot be told from a stranger: it is not touched.
    Unverifiable {
        /// That process.
        pid: u32,
    },
    /// A signal stopped its main process (SIGSTOP): it is there and does nothing.
    Suspended {
        /// That process.
        pid: u32,
    },
    /// It goes on.
    Continued {
        /// It stood still for so long.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        after: Duration,
    },
    /// Its container was frozen.
    Paused,
    /// Its container goes on.
    Resumed {
        /// It was frozen for so long.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        after: Duration,
    },
    /// Something was done to a container beside its runs, or to what takes up space.
    Handled {
        /// To which, as people call it.
        container: String,
        /// What: `paused`, `removed`.
        deed: String,
        /// Why it could not be done; none: it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The project was closed: it is no longer under care.
    ProjectClosed,
    /// The engine ended and left services running.
    Released {
        /// How many.
        running: usize,
    },
    /// A shim died or hung and was replaced; its service was not touched.
    ShimReplaced,
    /// Output could not be kept.
    OutputDropped {
        /// Bytes.
        bytes: u64,
    },
    /// A file that it writes itself was set aside.
    LogRotated {
        /// Which.
        file: String,
        /// Bytes that were set aside.
        bytes: u64,
        /// Why it was not, a clause; none: it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Its schedule had a time at which cas did not run, or the machine slept.
    ScheduleMissed {
        /// That time, as its zone shows it.
        due: String,
        /// It is started for it now.
        made_up: bool,
    },
    /// Its schedule had a time at which it still ran.
    ScheduleSkipped {
        /// That time, as its zone shows it.
        due: String,
    },
    /// Its files changed, and a command for that runs beside it.
    RunBegun {
        /// Which.
        command: String,
    },
    /// That command has ended.
    RunEnded {
        /// Which.
        command: String,
        /// What was wrong with it; none: it ended well.
        error: Option<String>,
    },
    /// A deep look, or a line of its output, shows something that is not as it should be; or not any more.
    Found {
        /// Which check.
        check: String,
        /// How bad it is; good: it is over.
        grade: Grade,
        /// What was seen.
        sentence: String,
    },
    /// The healer did something about a service that is not well.
    Remedied {
        /// What, in words: `SIGHUP, to read its configuration again`.
        remedy: String,
    },
    /// Whether what the healer did has helped.
    RemedyJudged {
        /// What.
        remedy: String,
        /// It is well again, and stays so.
        worked: bool,
        /// It took so long to see that.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        after: Duration,
    },
    /// An alarm has lasted long enough to be told.
    AlarmFired {
        /// By which rule.
        rule: Rule,
        /// How bad.
        level: Level,
        /// Why, a clause.
        text: String,
    },
    /// An alarm is over.
    AlarmResolved {
        /// By which rule.
        rule: Rule,
        /// It held for so long.
        #[serde(with = "human")]
        #[schemars(with = "String")]
        after: Duration,
    },
    /// All that the healer may do was done and has not helped: a person is needed.
    Escalated {
        /// What was tried, in this order.
        tried: Vec<String>,
    },
    /// A person works on it: nothing is healed and nobody alarmed; or not any more.
    Maintenance {
        /// It begins; false: it ends.
        on: bool,
        /// It lasts so long; none: until somebody ends it.
        #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        lasts: Option<Duration>,
    },
    /// A message to people could not be sent.
    NotSent {
        /// By which route.
        route: String,
        /// Why not, a clause.
        error: String,
        /// It is tried again; none: it is given up.
        #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        again: Option<Duration>,
    },
    /// Nobody is told of the alarms of a service for a while.
    Silenced {
        /// Until then, microseconds since the Unix epoch.
        until_us: i64,
    },
    /// They are told again.
    Unsilenced,
    /// Lines of its output say that something failed, and are like none before.
    NewPattern {
        /// How serious they say it is.
        level: level::Level,
        /// What they have in common, `<*>` in the places of values.
        pattern: String,
        /// The first of them.
        example: String,
        /// Lines so far.
        count: u64,
    },
    /// A pattern in its output comes much more often than usual, or does not come any more.
    RateChanged {
        /// How serious its lines say it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<level::Level>,
        /// What they have in common, as above.
        pattern: String,
        /// One of them.
        example: String,
        /// Lines of the last minute.
        per_minute: u64,
        /// Lines an hour, by the hour before.
        usual_per_hour: u64,
    },
    /// There was more such news of its output than can be told.
    MorePatterns {
        /// How much.
        count: u32,
    },
    /// Something of cas's own is in trouble (its store, its logs); services are not.
    Trouble {
        /// A sentence with what, where, and what next.
        text: String,
    },
}

impl What {
    /// Lines that belong to it: the last of what a run or a hook wrote.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        if let Self::Exited { last_words: lines, .. } | Self::Hook { output: lines, .. } = self { lines } else { &[] }
    }

    /// What became of an alarm, as a clause; empty of everything else.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whoever asks has looked")]
    fn of_alerts(&self) -> String {
        match self {
            Self::AlarmFired { rule, level, text } => format!("alarm ({}): {}: {text}", level.label(), rule.clause()),
            Self::AlarmResolved { rule, after } => {
                format!("alarm over: {} no more, after {}", rule.label(), short_duration(*after))
            }
            Self::NotSent { route, error, again: Some(again) } => {
                format!("alert not sent by {route}: {error}; tried again in {}", short_duration(*again))
            }
            Self::NotSent { route, error, again: None } => format!("alert not sent by {route}, given up: {error}"),
            Self::Silenced { until_us } => {
                let until = Timestamp { mono_us: 0, wall_us: *until_us }.wall();
                format!("alerts silenced until {}", until.format("%Y-%m-%d %H:%M UTC"))
            }
            Self::Unsilenced => "alerts no longer silenced".to_owned(),
            _ => String::new(),
        }
    }

    /// What the healer did, and how that went, as a clause; empty of everything else.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whoever asks has looked")]
    fn of_healing(&self) -> String {
        match self {
            Self::Remedied { remedy } => format!("remedy: {remedy}"),
            Self::RemedyJudged { remedy, worked: true, after } => {
                format!("well again {} after: {remedy}", short_duration(*after))
            }
            Self::RemedyJudged { remedy, worked: false, .. } => format!("has not helped: {remedy}"),
            Self::Escalated { tried } => format!("the healer knows nothing more; tried: {}", tried.join(", ")),
            Self::Maintenance { on: true, lasts: Some(lasts) } => format!("maintenance for {}", short_duration(*lasts)),
            Self::Maintenance { on: true, lasts: None } => "maintenance until somebody ends it".to_owned(),
            Self::Maintenance { on: false, .. } => "maintenance is over".to_owned(),
            _ => String::new(),
        }
    }

    /// What is news in its output, as a clause; empty of everything else.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whoever asks has looked")]
    fn of_patterns(&self) -> String {
        match self {
            Self::NewPattern { example, count: 1, .. } => format!("new error in its output: {example}"),
            Self::NewPattern { example, count, .. } => format!("new error in its output, {count} times: {example}"),
            Self::RateChanged { pattern, per_minute: 0, usual_per_hour, .. } => {
                format!("silent, usually {}: {pattern}", how_often(*usual_per_hour))
            }
            Self::RateChanged { pattern, per_minute, usual_per_hour, .. } => {
                format!("{per_minute} times a minute, usually {}: {pattern}", how_often(*usual_per_hour))
            }
            Self::MorePatterns { count } => {
                format!("{count} more pieces of news in its output are not told one by one")
            }
            _ => String::new(),
        }
    }

    /// The main process of a run is gone.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Exited { .. } | Self::Forked { .. })
    }
}

impl Entry {
    /// How loudly it is shown.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match &self.what {
            What::Requested { .. }
            | What::ProjectOpened { .. }
            | What::Started { .. }
            | What::Stopping { .. }
            | What::Stopped
            | What::Signalled { .. }
            | What::Reloaded { .. }
            | What::AutopilotSet { .. }
            | What::Adopted { .. }
            | What::ProjectClosed
            | What::Released { .. }
            | What::RunBegun { .. }
            | What::Maintenance { .. }
            | What::Silenced { .. }
            | What::Handled { error: None, .. }
            | What::Unsilenced
            | What::RunEnded { error: None, .. }
            | What::MorePatterns { .. }
            | What::LogRotated { error: None, .. }
            | What::Found { grade: Grade::Notice, .. }
            | What::Hook { failed: None, .. }
            | What::Held { .. } => Severity::Info,
            What::Ready { .. }
            | What::Recovered { .. }
            | What::Stable { .. }
            | What::Steady
            | What::RemedyJudged { worked: true, .. }
            | What::Found { grade: Grade::Good, .. }
            | What::AlarmResolved { .. }
            | What::Continued { .. }
            | What::Resumed { .. } => Severity::Good,
            What::Exited { exit, .. } => match exit {
                Exit::Code(0) => Severity::Info,
                Exit::OutOfMemory { .. } => Severity::Error,
                Exit::Rebooted => Severity::Info,
                Exit::Code(_) | Exit::Signal(_) | Exit::SpawnFailed(_) | Exit::Removed | Exit::Unknown => {
                    Severity::Warning
                }
            },
            What::AlarmFired { level: Level::Warning, .. }
            | What::NotSent { .. }
            | What::RestartScheduled { .. }
            | What::Killed { .. }
            | What::Forked { .. }
            | What::Stalled { .. }
            | What::Suspended { .. }
            | What::Paused
            | What::Handled { error: Some(_), .. }
            | What::ScheduleMissed { .. }
            | What::ScheduleSkipped { .. }
            | What::RunEnded { error: Some(_), .. }
            | What::LogRotated { error: Some(_), .. }
            | What::Hook { failed: Some(_), .. }
            | What::Found { grade: Grade::Warning, .. }
            | What::Remedied { .. }
            | What::RemedyJudged { worked: false, .. }
            | What::NewPattern { .. }
            | What::RateChanged { .. }
            | What::ShimReplaced => Severity::Warning,
            What::AlarmFired { level: Level::Critical, .. }
            | What::Unhealthy { .. }
            | What::Flapping { .. }
            | What::SpawnFailed { .. }
            | What::GaveUp { .. }
            | What::Blocked { .. }
            | What::RestartWithheld { .. }
            | What::Survivors { .. }
            | What::ReloadRefused { .. }
            | What::Unverifiable { .. }
            | What::OutputDropped { .. }
            | What::Found { grade: Grade::Critical, .. }
            | What::Escalated { .. }
            | What::Trouble { .. } => Severity::Error,
        }
    }

    /// What happened as a clause, without who and why: `exited with code 1 after 3.2 s`.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one clause each")]
    pub fn sentence(&self) -> String {
        match &self.what {
            What::Requested { line, from: None } => format!("asked: {line}"),
            What::Requested { line, from: Some(from) } => format!("asked: {line} ({from})"),
            What::ProjectOpened { services } => format!("project opened, {services} service{}", plural(*services)),
            What::Started { pid, attempt: 0 } => format!("started, pid {pid}"),
            What::Started { pid, attempt } => format!("restarted, pid {pid}, try {attempt}"),
            What::Ready { after } => format!("ready after {}", short_duration(*after)),
            What::Unhealthy { probe, detail } => format!("{} probe failed: {detail}", probe.label()),
            What::Recovered { after } => format!("healthy again after {}", short_duration(*after)),
            What::Flapping { falls } => format!("flapping: fell ill {falls} times in a short while"),
            What::Steady => "steady again".to_owned(),
            What::Stable { restarts: 0 } => "stable".to_owned(),
            What::Stable { restarts } => format!("stable again after {restarts} restart{}", plural(*restarts as usize)),
            What::Exited { exit: Exit::Code(0), after, .. } => {
                format!("ended with code 0 after {}", short_duration(*after))
            }
            What::Exited { exit: Exit::Code(code), after, .. } => {
                format!("exited with code {code} after {}", short_duration(*after))
            }
            What::Exited { exit: exit @ Exit::Signal(_), after, .. } => {
                format!("ended by {exit} after {}", short_duration(*after))
            }
            What::Exited { exit: exit @ Exit::OutOfMemory { .. }, after, .. } => {
                format!("{exit}; it ran {}", short_duration(*after))
            }
            What::Exited { exit: Exit::SpawnFailed(why), .. } | What::SpawnFailed { error: why } => {
                format!("could not be started: {why}")
            }
            What::Exited { exit: Exit::Unknown, after, .. } => {
                format!("ended, exit status unknown, after {}", short_duration(*after))
            }
            What::Exited { exit: exit @ (Exit::Rebooted | Exit::Removed), .. } => exit.to_string(),
            What::Forked { left: 1 } => "its main process ended with code 0, 1 process of it goes on".to_owned(),
            What::Forked { left } => format!("its main process ended with code 0, {left} processes of it go on"),
            What::Hook { hook, failed: None, after, .. } => {
                format!("{} done after {}", hook.label(), short_duration(*after))
            }
            What::Hook { hook, failed: Some(why), .. } => format!("{} failed: {why}", hook.label()),
            What::RestartScheduled { delay, attempt } if delay.is_zero() => format!("restart {attempt} at once"),
            What::RestartScheduled { delay, attempt } => format!("restart {attempt} in {}", short_duration(*delay)),
            What::RestartWithheld { exit } => format!("not restarted after {exit}"),
            What::GaveUp { attempts } => format!("gave up after {attempts} starts that never held"),
            What::Held { holds } => format!("waits for {}", holds_text(holds)),
            What::Blocked { holders } => holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            What::Stopping { signal } => format!("stopping with {signal}"),
            What::Killed { after } if after.is_zero() => "killed".to_owned(),
            What::Killed { after } => format!("killed, still there after {}", short_duration(*after)),
            What::Found { grade: Grade::Good, sentence, .. } => format!("over: {sentence}"),
            What::Found { sentence, .. } => sentence.clone(),
            What::Remedied { .. } | What::RemedyJudged { .. } | What::Escalated { .. } | What::Maintenance { .. } => {
                self.what.of_healing()
            }
            What::Stopped => "stopped, nothing is left".to_owned(),
            What::Survivors { pids } => format!("not everything could be ended: pids {pids:?}"),
            What::Signalled { signal } => format!("{signal} sent"),
            What::Reloaded { added, removed, changed, restarted } => {
                let (new, gone) = (added.len(), removed.len());
                let text = format!("project file read again: {new} new, {gone} gone, {} changed", changed.len());
                text + &how_changed(changed, restarted)
            }
            What::ReloadRefused { problems, first } => {
                format!("project file not taken, {problems} problem{}: {first}", plural(*problems))
            }
            What::AutopilotSet { mode } => format!("autopilot {}", mode.label()),
            What::Stalled { gap } => format!("cas did not run for {}, probes discarded", short_duration(*gap)),
            What::Adopted { pid, away } if away.is_zero() => format!("taken over, pid {pid}"),
            What::Adopted { pid, away } => {
                format!("taken over, pid {pid}, after {} without an engine", short_duration(*away))
            }
            What::Unverifiable { pid } => {
                format!(
                    "pid {pid} may be an earlier run or a stranger: it is not touched; end it by hand if it is yours"
                )
            }
            What::Suspended { pid } => format!("stopped by a signal (SIGSTOP), pid {pid}"),
            What::Paused => "its container is paused".to_owned(),
            What::Resumed { after } => format!("goes on after it was paused for {}", short_duration(*after)),
            What::Handled { container, deed, error: None } => format!("{container}: {deed}"),
            What::Handled { container, deed, error: Some(error) } => format!("{container}: not {deed}: {error}"),
            What::Continued { after } => format!("goes on after it was stopped for {}", short_duration(*after)),
            What::ProjectClosed => "project closed".to_owned(),
            What::Released { running } => format!("cas ended, {running} service{} left running", plural(*running)),
            What::ShimReplaced => "its shim was replaced; the service was not touched".to_owned(),
            What::OutputDropped { bytes } => format!("{bytes} bytes of output could not be kept"),
            What::LogRotated { file, bytes, error: None } => {
                format!("{file} rotated, {} set aside", short_bytes(*bytes))
            }
            What::LogRotated { file, error: Some(error), .. } => format!("{file} not rotated: {error}"),
            What::ScheduleMissed { due, made_up: true } => format!("made up for {due}"),
            What::ScheduleMissed { due, made_up: false } => format!("missed {due}"),
            What::ScheduleSkipped { due } => format!("left out at {due}"),
            What::RunBegun { command } => format!("runs {command}"),
            What::RunEnded { command, error: None } => format!("{command} ended well"),
            What::RunEnded { command, error: Some(error) } => format!("{command} failed: {error}"),
            What::AlarmFired { .. }
            | What::AlarmResolved { .. }
            | What::NotSent { .. }
            | What::Silenced { .. }
            | What::Unsilenced => self.what.of_alerts(),
            What::NewPattern { .. } | What::RateChanged { .. } | What::MorePatterns { .. } => self.what.of_patterns(),
            What::Trouble { text } => text.clone(),
        }
    }
}

/// `30 a minute`, `5 an hour`, `not at all`.
fn how_often(per_hour: u64) -> String {
    match per_hour {
        0 => "not at all".to_owned(),
        1..60 => format!("{per_hour} an hour"),
        _ => format!("{} a minute", (per_hour + 30) / 60),
    }
}

/// Whether the last that happened to a service, by its `entries` (oldest first), is that a person stopped it.
#[must_use]
pub fn stopped_by_hand(entries: &[Entry]) -> bool {
    let last = entries.iter().rev().find(|entry| {
        matches!(entry.what, What::Started { .. } | What::Stopping { .. } | What::Killed { .. } | What::Stopped)
    });
    last.is_some_and(|entry| match entry.who {
        Origin::Key | Origin::Palette | Origin::Cli | Origin::Api => !matches!(entry.what, What::Started { .. }),
        Origin::Config | Origin::Healer | Origin::System => false,
    })
}

/// `db (service_healthy, now starting) and the restart budget`.
#[must_use]
pub fn holds_text(holds: &[Hold]) -> String {
    holds
        .iter()
        .map(|hold| match hold {
            Hold::Dependency { service, condition, state } => format!("{service} ({}, now {state})", condition.label()),
            Hold::RestartBudget => "the restart budget".to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" and ")
}

/// ` (restarted: web; in place: db)`; empty where nothing changed.
fn how_changed(changed: &[ServiceName], restarted: &[ServiceName]) -> String {
    let list = |word: &str, names: &mut dyn Iterator<Item = &ServiceName>| {
        let names: Vec<&str> = names.map(ServiceName::as_str).collect();
        (!names.is_empty()).then(|| format!("{word}: {}", names.join(", ")))
    };
    let again = list("restarted", &mut restarted.iter());
    let in_place = list("in place", &mut changed.iter().filter(|name| !restarted.contains(name)));
    let parts: Vec<String> = again.into_iter().chain(in_place).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
