//! Where alerts go and when: routes, rules as a project changes them, quiet hours, reminders.
//!
//! Promise: `Debug` shows no URL, no key, no password. Never: read from disk here; the world opens `file:` when it sends.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    alarm::{Applied, Level, Rule},
    alert::AlertLevel,
    exam::Hidden,
    schedule::Zone,
    service::CommandLine,
};

/// A value that is never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concealed {
    /// Itself.
    Value(Hidden),
    /// What a file holds when it is needed; absolute.
    File(PathBuf),
}

impl Concealed {
    /// The value where it is known without reading a file.
    #[must_use]
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Value(hidden) => Some(&hidden.0),
            Self::File(_) => None,
        }
    }

    /// The file that holds it, where one does.
    #[must_use]
    pub fn file(&self) -> Option<&std::path::Path> {
        match self {
            Self::Value(_) => None,
            Self::File(path) => Some(path),
        }
    }
}

/// How a desktop is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DesktopWay {
    /// `notify-send` where the engine has a desktop session, and the terminals of attached consoles in their own words.
    #[default]
    Auto,
    /// The terminals of attached consoles, by OSC 9 (iTerm2, Windows Terminal).
    Osc9,
    /// By OSC 777 (urxvt, foot, Ghostty, `WezTerm`, VTE).
    Osc777,
    /// By OSC 99 (kitty).
    Osc99,
    /// `notify-send` alone.
    NotifySend,
}

impl DesktopWay {
    /// Every way.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Osc9, Self::Osc777, Self::Osc99, Self::NotifySend];

    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Osc9 => "osc9",
            Self::Osc777 => "osc777",
            Self::Osc99 => "osc99",
            Self::NotifySend => "notify-send",
        }
    }

    /// Whether consoles say it.
    #[must_use]
    pub const fn is_for_consoles(self) -> bool {
        !matches!(self, Self::NotifySend)
    }

    /// Whether `notify-send` is tried.
    #[must_use]
    pub const fn is_for_session(self) -> bool {
        matches!(self, Self::Auto | Self::NotifySend)
    }
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// In the clear, as a server on this machine is.
    None,
    /// STARTTLS (RFC 3207), required.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

impl MailSecurity {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::None, Self::StartTls, Self::Tls];

    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// A mail server and whom it is to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its host.
    pub host: String,
    /// Its port, 1 to 65535.
    pub port: u16,
    /// How.
    pub security: MailSecurity,
    /// As whom; none: as nobody.
    pub login: Option<(String, Concealed)>,
    /// Who writes, an address as in RFC 5322.
    pub from: String,
    /// To whom; never empty.
    pub to: Vec<String>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A desktop.
    Desktop(DesktopWay),
    /// A command: the notice as JSON on its standard input and `CAS_ALERT_*` in its environment.
    Command {
        /// What is run.
        line: CommandLine,
        /// Where; absolute.
        directory: PathBuf,
    },
    /// Any HTTP endpoint.
    Webhook {
        /// Where.
        url: Concealed,
        /// `POST`, `PUT` or another.
        method: String,
        /// Headers by name.
        headers: BTreeMap<String, Concealed>,
        /// A template; none: the notice as JSON.
        body: Option<String>,
    },
    /// Slack, an incoming webhook.
    Slack(Concealed),
    /// Discord, a webhook.
    Discord(Concealed),
    /// Microsoft Teams, a Workflows webhook.
    Teams(Concealed),
    /// `PagerDuty`, Events API v2.
    PagerDuty {
        /// Integration key.
        key: Concealed,
        /// `https://events.pagerduty.com`, or that of another region.
        url: String,
    },
    /// Opsgenie, Alert API v2.
    Opsgenie {
        /// API key.
        key: Concealed,
        /// `https://api.opsgenie.com`, or that of another region.
        url: String,
    },
    /// Telegram, Bot API.
    Telegram {
        /// Of the bot.
        token: Concealed,
        /// Chat id or `@channel`.
        chat: String,
        /// `https://api.telegram.org`, or a server of one's own.
        url: String,
    },
    /// ntfy: the URL of a topic.
    Ntfy {
        /// Server and topic.
        url: Concealed,
        /// Access token; none: as nobody.
        token: Option<Concealed>,
    },
    /// E-mail over SMTP.
    Email(Mail),
}

impl Destination {
    /// The word used in files.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Desktop(_) => "desktop",
            Self::Command { .. } => "command",
            Self::Webhook { .. } => "webhook",
            Self::Slack(_) => "slack",
            Self::Discord(_) => "discord",
            Self::Teams(_) => "teams",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Opsgenie { .. } => "opsgenie",
            Self::Telegram { .. } => "telegram",
            Self::Ntfy { .. } => "ntfy",
            Self::Email(_) => "email",
        }
    }

    /// Files that hold what must never be shown.
    #[must_use]
    pub fn files(&self) -> Vec<&std::path::Path> {
        self.concealed().into_iter().filter_map(Concealed::file).collect()
    }

    /// What of it must never be shown, as far as it is known here.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        self.concealed().into_iter().filter_map(Concealed::known).collect()
    }

    fn concealed(&self) -> Vec<&Concealed> {
        match self {
            Self::Desktop(_) | Self::Command { .. } => Vec::new(),
            Self::Webhook { url, headers, .. } => std::iter::once(url).chain(headers.values()).collect(),
            Self::Slack(url) | Self::Discord(url) | Self::Teams(url) => vec![url],
            Self::PagerDuty { key, .. } | Self::Opsgenie { key, .. } => vec![key],
            Self::Telegram { token, .. } => vec![token],
            Self::Ntfy { url, token } => std::iter::once(url).chain(token).collect(),
            Self::Email(mail) => mail.login.iter().map(|(_, password)| password).collect(),
        }
    }
}

/// A named way to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Where it goes.
    pub to: Destination,
    /// At most one message about an incident in this time; none: as the plan says.
    pub throttle: Option<Duration>,
}

/// A change of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleChange {
    /// Which rule.
    pub rule: Rule,
    /// For services of this pattern (`*` for any text); none: for all.
    pub services: Option<String>,
    /// How bad; the inner none: it is off.
    pub level: Option<Option<Level>>,
    /// How long the condition must hold.
    pub hold: Option<Duration>,
    /// How long it must be gone.
    pub resolve_after: Option<Duration>,
}

/// Hours in which only what is critical is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// They begin, seconds after midnight.
    pub from: u32,
    /// They end, seconds after midnight, up to 86 400; not later than `from`: on the next day.
    pub to: u32,
    /// Days on which they begin, Monday first.
    pub days: [bool; 7],
    /// By whose clocks.
    pub zone: Zone,
}

/// Seconds of a day.
const DAY: u32 = 86_400;

impl QuietHours {
    /// How long they last from `wall_us` on; none where it is not quiet then. Where a zone sets its clocks in between, whoever wakes then asks again.
    #[must_use]
    pub fn left(&self, wall_us: i64) -> Option<Duration> {
        let (day, second) = self.zone.clock(wall_us);
        let yesterday = (day + 6) % 7;
        let over_midnight = self.to <= self.from;
        let left = if over_midnight && self.days[yesterday] && second < self.to {
            self.to - second
        } else if over_midnight && self.days[day] && second >= self.from {
            DAY - second + self.to
        } else if !over_midnight && self.days[day] && (self.from..self.to).contains(&second) {
            self.to - second
        } else {
            return None;
        };
        Some(Duration::from_secs(u64::from(left)))
    }
}

/// Who hears of what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendTo {
    /// Routes for what is a warning; none: all.
    pub warning: Option<Vec<String>>,
    /// Routes for what is critical; none: all.
    pub critical: Option<Vec<String>>,
}

/// How a project wants its people to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertPlan {
    /// From which severity on anything is sent.
    pub level: AlertLevel,
    /// Ways to people.
    pub routes: Vec<Arc<Route>>,
    /// Changes of rules; of two that fit, the later wins.
    pub rules: Vec<RuleChange>,
    /// Quiet hours.
    pub quiet: Option<QuietHours>,
    /// A critical alarm that goes on is told again after so long; none: never.
    pub reminder: Option<Duration>,
    /// At most one message about an incident by a route in this time.
    pub throttle: Duration,
    /// Who hears of what.
    pub send_to: SendTo,
}

impl Default for AlertPlan {
    fn default() -> Self {
        let desktop = Route { name: "desktop".to_owned(), to: Destination::Desktop(DesktopWay::Auto), throttle: None };
        Self {
            level: AlertLevel::default(),
            routes: vec![Arc::new(desktop)],
            rules: Vec::new(),
            quiet: None,
            reminder: Some(Duration::from_hours(4)),
            throttle: Duration::from_mins(5),
            send_to: SendTo::default(),
        }
    }
}

impl AlertPlan {
    /// A rule as it is applied to a service (its name without the project; none: cas itself). The level is that which somebody has written,
    /// where `own` is none also the built-in one.
    #[must_use]
    pub fn applied(&self, rule: Rule, service: Option<&str>, own: Option<Level>) -> Applied {
        let mut applied = rule.built_in();
        applied.level = own.or(applied.level);
        let fits = |change: &&RuleChange| {
            change.rule == rule
                && change.services.as_ref().is_none_or(|pattern| service.is_some_and(|name| fits(pattern, name)))
        };
        for change in self.rules.iter().filter(fits) {
            applied.level = change.level.unwrap_or(applied.level);
            applied.hold = change.hold.unwrap_or(applied.hold);
            applied.resolve_after = change.resolve_after.unwrap_or(applied.resolve_after);
        }
        applied
    }

    /// Whether what is so bad is sent at all.
    #[must_use]
    pub const fn takes(&self, level: Level) -> bool {
        match (self.level, level) {
            (AlertLevel::All | AlertLevel::Warning, Level::Warning | Level::Critical) => true,
            (AlertLevel::CriticalOnly, Level::Critical) => true,
            (AlertLevel::CriticalOnly, Level::Warning) | (AlertLevel::Off, Level::Warning | Level::Critical) => false,
        }
    }

    /// Whether a route hears of what is so bad.
    #[must_use]
    pub fn hears(&self, route: &str, level: Level) -> bool {
        let named = match level {
            Level::Warning => &self.send_to.warning,
            Level::Critical => &self.send_to.critical,
        };
        named.as_ref().is_none_or(|names| names.iter().any(|name| name == route))
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut rest = rest;
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{QuietHours, fits};
    use crate::model::schedule::Zone;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, want) in [
            ("web", "web", true),
            ("web", "webs", false),
            ("w*", "web", true),
            ("*", "", true),
            ("*b", "web", true),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "a--c", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn quiet_hours_over_midnight_belong_to_the_day_on_which_they_begin() {
        let mut days = [false; 7];
        days[4] = true;
        let hours = QuietHours { from: 22 * 3600, to: 7 * 3600, days, zone: Zone::UTC };
        // 2026-11-27 is a Friday.
        let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
        let left = |text: &str| hours.left(at(text)).map(|left| left.as_secs());
        assert_eq!(left("2026-11-27T21:59:59Z"), None);
        assert_eq!(left("2026-11-27T22:00:00Z"), Some(9 * 3600));
        assert_eq!(left("2026-11-28T06:59:00Z"), Some(60));
        assert_eq!(left("2026-11-28T07:00:00Z"), None);
        assert_eq!(left("2026-11-28T23:00:00Z"), None, "Saturday is not named");
    }
}
