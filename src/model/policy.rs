//! Who may do what: a pure function of who asks and how risky it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{command::Command, ids::RequestId};

/// Who asks. Written on the timeline with everything that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A key or a click in the console.
    Key,
    /// A line typed into the palette.
    Palette,
    /// A command line of the shell.
    Cli,
    /// Another program, through the socket.
    Api,
    /// The project file asks for it (`autostart: true`), or a change of it does.
    Config,
    /// The healer.
    Healer,
    /// cas itself (it is being ended).
    System,
}

impl Origin {
    /// As it stands in "stopped by …".
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Key | Self::Palette => "you",
            Self::Cli => "command line",
            Self::Api => "api",
            Self::Config => "project file",
            Self::Healer => "healer",
            Self::System => "cas",
        }
    }
}

/// What a command can do to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Undone by one other command, disturbs at most one service for a moment.
    Reversible,
    /// Takes something away from somebody: a stop, a kill, many restarts.
    Disruptive,
    /// Cannot be undone.
    Irreversible,
}

/// What the door says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go.
    Allow,
    /// A person must see the plan and agree first.
    Confirm,
    /// No, and why.
    Deny(&'static str),
}

/// Whether the healer may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Autopilot {
    /// It watches and says what it would do.
    Off,
    /// It restarts by policy.
    #[default]
    On,
}

impl Autopilot {
    /// The word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

/// The rule. A typed shell command names its verb and targets itself and is taken at its word, save what cannot be undone;
/// a single key is easily hit, so what disrupts is confirmed; the healer never does more than what is reversible.
#[must_use]
pub const fn verdict(origin: Origin, risk: Risk) -> Verdict {
    match (origin, risk) {
        (Origin::Config | Origin::System, _)
        | (Origin::Key | Origin::Palette | Origin::Cli | Origin::Api | Origin::Healer, Risk::Reversible)
        | (Origin::Cli | Origin::Api, Risk::Disruptive) => Verdict::Allow,
        (Origin::Key | Origin::Palette, Risk::Disruptive | Risk::Irreversible)
        | (Origin::Cli | Origin::Api, Risk::Irreversible) => Verdict::Confirm,
        (Origin::Healer, Risk::Disruptive | Risk::Irreversible) => {
            Verdict::Deny("the healer may only do what one command undoes")
        }
    }
}

/// What is asked for besides the command itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// Do it if policy allows, else say what would happen and ask.
    #[default]
    Ask,
    /// Only say what would happen.
    DryRun,
    /// The person saw the plan with this fingerprint and agreed. Void if the plan has changed since.
    Given(u64),
}

/// The program that asks, as the kernel names it: tells two of the same origin apart. Shown, never an authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Asker {
    /// Its process.
    pub pid: u32,
    /// Its user, where that is another than the engine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// Its terminal, such as `pts/3`; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
}

impl fmt::Display for Asker {
    /// `pts/3, pid 4711`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(terminal) = &self.terminal {
            write!(f, "{terminal}, ")?;
        }
        write!(f, "pid {}", self.pid)?;
        self.user.map_or(Ok(()), |user| write!(f, ", user {user}"))
    }
}

/// A wish at the door.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Request {
    /// Carried back by the reply.
    pub id: RequestId,
    /// Who asks.
    pub origin: Origin,
    /// For what.
    pub command: Command,
    /// How far it is agreed.
    #[serde(default)]
    pub consent: Consent,
    /// It is about services as they were at this revision ([`crate::model::snapshot::ServiceView::revision`]): refused where one of those that it names has
    /// changed since, and asked again where consent was given. None: whatever they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_rev: Option<u64>,
    /// Which program asks. Set by whoever lets it in, never by itself.
    #[serde(skip)]
    pub asker: Option<Asker>,
}

/// What a command would do, in words, bound to the state in which it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Plan {
    /// One line: `stop web and 2 dependents`.
    pub title: String,
    /// One line per step, in order: `stop web (SIGTERM, 10 s, then SIGKILL)`.
    pub steps: Vec<String>,
    /// How risky.
    pub risk: Risk,
    /// Fingerprint of command and targets with their phases; what consent is given to.
    pub fingerprint: u64,
    /// The newest revision of a service that it is about: what consent is given to, too, where it is sent back as `if_rev`. 0: from an engine that counts none.
    #[serde(default)]
    pub revision: u64,
}

/// The answer at the door. Accepted means that it is being done, not that it is done: the snapshot shows that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "reply")]
pub enum Reply {
    /// It is being done; `note` says what, in one line.
    Accepted {
        /// What was set in motion.
        note: String,
    },
    /// Nothing was to be done: things are as asked.
    Unchanged {
        /// Why nothing.
        note: String,
    },
    /// The answer to a dry run.
    Planned {
        /// What would be done.
        plan: Plan,
    },
    /// A person must agree first: send the same request with `Consent::Given(plan.fingerprint)`.
    NeedsConsent {
        /// What would be done.
        plan: Plan,
    },
    /// No.
    Refused {
        /// Why.
        reason: String,
        /// What to do next, if anything helps.
        hint: Option<String>,
    },
}
