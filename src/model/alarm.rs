//! Alarms: conditions that have lasted, what is said of them, and to whom. The nouns; the engine decides, the world carries.
//!
//! Never: a clock; a URL or a token in anything that is shown (see [`super::route`] for those).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    ids::{ProjectName, ServiceId},
    policy::Origin,
    time::Timestamp,
};

/// How bad an alarm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Worth a look.
    Warning,
    /// Something is broken.
    Critical,
}

impl Level {
    /// Every level, mildest first.
    pub const ALL: [Self; 2] = [Self::Warning, Self::Critical];

    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// From the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.label() == text)
    }
}

/// By which rule there is an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// It is wanted and is not there: failed, gave up, backing off, being restarted.
    Down,
    /// A probe fails.
    Unhealthy,
    /// A probe cannot be put.
    Misconfigured,
    /// Its health comes and goes.
    Flapping,
    /// It is restarted again and again, or waits for the restart budget.
    Restarting,
    /// A port that it wants is taken.
    Blocked,
    /// It waits for what it depends on.
    Held,
    /// A deep look found something.
    Finding,
    /// cas itself is in trouble.
    Trouble,
}

/// How a rule is applied where nobody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// How bad it is; none: the rule is off.
    pub level: Option<Level>,
    /// The condition must hold for so long until the alarm fires.
    pub hold: Duration,
    /// It must be gone for so long until the alarm is resolved.
    pub resolve_after: Duration,
}

impl Rule {
    /// Every rule, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::Down,
        Self::Unhealthy,
        Self::Misconfigured,
        Self::Blocked,
        Self::Flapping,
        Self::Restarting,
        Self::Held,
        Self::Finding,
        Self::Trouble,
    ];

    /// The word used in files.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Unhealthy => "unhealthy",
            Self::Misconfigured => "misconfigured",
            Self::Flapping => "flapping",
            Self::Restarting => "restarting",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Finding => "finding",
            Self::Trouble => "trouble",
        }
    }

    /// From the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.label() == text)
    }

    /// As it stands behind a name: `web is down`.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        match self {
            Self::Down => "is down",
            Self::Unhealthy => "is unhealthy",
            Self::Misconfigured => "has a probe that cannot be put",
            Self::Flapping => "flaps",
            Self::Restarting => "is restarted again and again",
            Self::Blocked => "is blocked",
            Self::Held => "waits for what it needs",
            Self::Finding => "has something wrong in it",
            Self::Trouble => "is in trouble",
        }
    }

    /// The rule as it is built in. One that is pending for a moment is no news; one that was gone for a moment is not over.
    #[must_use]
    pub const fn built_in(self) -> Applied {
        let (level, hold) = match self {
            Self::Down | Self::Blocked => (Level::Critical, 10),
            Self::Unhealthy | Self::Misconfigured => (Level::Critical, 30),
            Self::Flapping | Self::Restarting => (Level::Warning, 0),
            Self::Held | Self::Finding | Self::Trouble => (Level::Warning, 60),
        };
        Applied { level: Some(level), hold: Duration::from_secs(hold), resolve_after: Duration::from_secs(15) }
    }

    /// Whether a service in this alarm can be why another one, which depends on it, is in alarm.
    #[must_use]
    pub const fn explains(self) -> bool {
        match self {
            Self::Down | Self::Unhealthy | Self::Misconfigured | Self::Blocked | Self::Flapping | Self::Restarting => {
                true
            }
            // One that waits is a symptom itself; a finding has not yet broken anything.
            Self::Held | Self::Finding | Self::Trouble => false,
        }
    }
}

/// What is not as it should be, at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// By which rule.
    pub rule: Rule,
    /// Tells two conditions of one rule apart, such as two findings; empty where there can be only one.
    pub key: String,
    /// How bad it is, where the condition itself knows; else the rule says.
    pub level: Option<Level>,
    /// Why, a clause without a full stop; may have been said by a server.
    pub text: String,
}

impl Condition {
    /// One of a rule that has only one.
    #[must_use]
    pub fn of(rule: Rule, text: impl Into<String>) -> Self {
        Self { rule, key: String::new(), level: None, text: text.into() }
    }
}

/// How far an alarm has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmState {
    /// Its condition holds, not yet long enough.
    Pending,
    /// It has lasted.
    Firing,
    /// It is over.
    Resolved,
}

impl AlarmState {
    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// An alarm as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AlarmView {
    /// `shop/web:down`; one alarm of that name at a time.
    pub id: String,
    /// Of which service; none: of cas itself.
    pub service: Option<ServiceId>,
    /// By which rule.
    pub rule: Rule,
    /// How bad.
    pub severity: Level,
    /// How far.
    pub state: AlarmState,
    /// Since when its condition holds.
    pub since: Timestamp,
    /// When it was over.
    pub resolved: Option<Timestamp>,
    /// `shop/web is down: exit code 1`.
    pub text: String,
    /// The incident that it belongs to: `shop/db`.
    pub group: String,
    /// It follows from this service's alarm, and is not told by itself.
    pub follows_from: Option<ServiceId>,
    /// Somebody has silenced its service until then, microseconds since the Unix epoch.
    pub silenced_until_us: Option<i64>,
    /// Routes by which it was sent.
    pub sent_to: Vec<String>,
    /// Why it was not sent, a clause; none where it was, or is not firing.
    pub not_sent: Option<String>,
}

/// A silence as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SilenceView {
    /// Of which service.
    pub service: ServiceId,
    /// Who, until when, why.
    #[serde(flatten)]
    pub silence: Silence,
}

/// Somebody wants to hear nothing of a service for a while. Its alarms are evaluated and shown all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Silence {
    /// Until then, microseconds since the Unix epoch.
    pub until_us: i64,
    /// Why; may be empty.
    #[serde(default)]
    pub because: String,
    /// Who.
    pub by: Origin,
}

/// A route as seen: never its URL, its key, its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RouteView {
    /// Of which project.
    pub project: ProjectName,
    /// Its name.
    pub name: String,
    /// Its kind, such as `slack`.
    pub kind: String,
    /// How it went last: none before the first time, else what went wrong, empty where it went well.
    pub last: Option<String>,
}

/// A sentence for the terminals of attached consoles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DesktopNotice {
    /// Counts up from 1 within one engine's life.
    pub seq: u64,
    /// As which control sequence: `auto`, `osc9`, `osc777`, `osc99`.
    pub way: super::route::DesktopWay,
    /// One line.
    pub title: String,
    /// One line.
    pub body: String,
    /// It must be seen soon.
    pub urgent: bool,
}

/// Everything about alerts in one picture.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AlertsView {
    /// Pending and firing ones by name, then those that were resolved last, newest first.
    pub alarms: Vec<AlarmView>,
    /// Silences that hold, by service.
    pub silences: Vec<SilenceView>,
    /// Routes of open projects.
    pub routes: Vec<RouteView>,
    /// The newest sentences for consoles, oldest first, at most [`DESKTOP_CAPACITY`].
    pub desktop: Vec<DesktopNotice>,
}

/// Sentences for consoles that a picture carries.
pub const DESKTOP_CAPACITY: usize = 8;

/// Alarms that were resolved and are still shown.
pub const RESOLVED_CAPACITY: usize = 50;

impl AlertsView {
    /// How many fire and are not merely symptoms, by level: critical, warning.
    #[must_use]
    pub fn firing(&self) -> (usize, usize) {
        let firing =
            self.alarms.iter().filter(|alarm| alarm.state == AlarmState::Firing && alarm.follows_from.is_none());
        let critical = firing.clone().filter(|alarm| alarm.severity == Level::Critical).count();
        (critical, firing.count() - critical)
    }
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// Something is wrong.
    Firing,
    /// It still is.
    Reminder,
    /// It is over.
    Resolved,
    /// What came and went in quiet hours.
    Digest,
    /// Somebody tries a route out.
    Test,
}

impl NoticeKind {
    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }
}

/// A message on its way to people. As JSON it is what a command reads and what a webhook posts; its fields are the names of templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// About what.
    pub kind: NoticeKind,
    /// How bad.
    pub severity: Level,
    /// The incident: `shop/db`. The same for all messages about it.
    pub group: String,
    /// One line: `CRITICAL: shop/db is down`.
    pub title: String,
    /// One or more lines.
    pub text: String,
    /// Of which project; empty: of cas itself.
    pub project: String,
    /// Of which service; empty: of none.
    pub service: String,
    /// By which rule; empty where by several.
    pub rule: String,
    /// Since when, RFC 3339, UTC.
    pub since: String,
    /// When it was said, RFC 3339, UTC.
    pub at: String,
    /// Services that follow from it.
    pub symptoms: Vec<String>,
    /// The machine; filled in by whoever sends it.
    #[serde(default)]
    pub host: String,
}

impl Notice {
    /// What `cas alerts test` sends.
    #[must_use]
    pub fn test(route: &str, project: &str, now: Timestamp) -> Self {
        let at = now.wall().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        Self {
            kind: NoticeKind::Test,
            severity: Level::Warning,
            group: format!("{project}/cas-alerts-test"),
            title: format!("TEST: alerts of {project} arrive by {route}"),
            text: "Somebody asked for this with \"cas alerts test\". Nothing is wrong.".to_owned(),
            project: project.to_owned(),
            service: String::new(),
            rule: String::new(),
            since: at.clone(),
            at,
            symptoms: Vec::new(),
            host: String::new(),
        }
    }
}

/// Why a message could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotSent {
    /// A clause fit for people; never a URL or a key.
    pub why: String,
    /// Not before then; none: the sender's own backoff.
    pub retry_after: Option<Duration>,
    /// It will never be taken as it is: another try is of no use.
    pub is_final: bool,
}

impl NotSent {
    /// One that may go better next time.
    #[must_use]
    pub fn for_now(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after: None, is_final: false }
    }

    /// One that will not.
    #[must_use]
    pub fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after: None, is_final: true }
    }
}
