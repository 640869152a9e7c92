//! What besides a person's word makes a service run, and as how many: profiles, copies, the clock, its files.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ids::ServiceName, schedule::Schedule, service::CommandLine, signal::Signal, time::Timestamp};

/// All of that, as its file has it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Occasions {
    /// The profiles it belongs to.
    pub profiles: Profiles,
    /// Which copy it is; none: there is only one.
    pub replica: Option<Replica>,
    /// The clock that starts it.
    pub schedule: Option<Schedule>,
    /// The files that it is restarted for.
    pub watch: Option<Watch>,
}

impl Occasions {
    /// Whether something else than a person or the healer may start it again when it is down.
    #[must_use]
    pub fn starts_it(&self) -> bool {
        self.schedule.is_some() || self.watch.as_ref().is_some_and(|watch| watch.action == OnChange::Restart)
    }

    /// Whether `cas up`, and whoever says "all", means it: not what only its name, its profile or the clock starts.
    #[must_use]
    pub const fn is_of_all(&self) -> bool {
        self.schedule.is_none() && !self.profiles.dormant
    }
}

/// The profiles that a service belongs to (compose's word).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Profiles {
    /// Their names; none: it is always meant.
    pub names: Vec<String>,
    /// It has some and none of them is active.
    pub dormant: bool,
}

impl Profiles {
    /// Those of `names`, of which `active` says which are active; `*` stands for all.
    #[must_use]
    pub fn among(names: Vec<String>, active: &[String]) -> Self {
        let is_active = |name: &String| active.iter().any(|active| active == "*" || active == name);
        let dormant = !names.is_empty() && !names.iter().any(is_active);
        Self { names, dormant }
    }

    /// `of the profile dev`, `of the profiles dev and test`; empty where there are none.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.names.as_slice() {
            [] => String::new(),
            [one] => format!("of the profile {one}"),
            [before @ .., last] => format!("of the profiles {} and {last}", before.join(", ")),
        }
    }
}

/// The names in `COMPOSE_PROFILES` and `CAS_PROFILES`: separated by commas.
#[must_use]
pub fn active_profiles(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut active: Vec<String> = Vec::new();
    for text in PROFILE_VARIABLES.into_iter().filter_map(variable) {
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !active.iter().any(|known| known == name) {
                active.push(name.to_owned());
            }
        }
    }
    active
}

/// Variables that name active profiles; the last is ours.
pub const PROFILE_VARIABLES: [&str; 2] = ["COMPOSE_PROFILES", "CAS_PROFILES"];

/// One of several copies of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Replica {
    /// The name that means all of them.
    pub of: ServiceName,
    /// Which, from 1.
    pub number: u32,
    /// How many there are.
    pub count: u32,
}

/// Which files of a service are watched, and what their change does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Patterns below its directory, as `.gitignore` has them.
    pub paths: Vec<String>,
    /// Those that do not count.
    pub ignore: Vec<String>,
    /// Quiet that ends a burst of changes.
    pub debounce: Duration,
    /// What is done.
    pub action: OnChange,
}

/// What the change of a file does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnChange {
    /// The service is restarted.
    Restart,
    /// Its main process gets a signal.
    Signal(Signal),
    /// A command runs beside it.
    Run(CommandLine),
}

impl OnChange {
    /// `restart`, `SIGHUP`, `run make`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Restart => "restart".to_owned(),
            Self::Signal(signal) => signal.to_string(),
            Self::Run(command) => format!("run {}", command.display()),
        }
    }
}

/// The same as seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OccasionView {
    /// Its profiles.
    #[serde(default)]
    pub profiles: Profiles,
    /// Which copy it is.
    #[serde(default)]
    pub replica: Option<Replica>,
    /// Its clock in words: `every 15m`.
    #[serde(default)]
    pub schedule: Option<String>,
    /// When the clock starts it next; none where it has none, or it is suspended.
    #[serde(default)]
    pub next_at: Option<Timestamp>,
    /// What it watches in words: `src/**: restart`.
    #[serde(default)]
    pub watch: Option<String>,
}

impl OccasionView {
    /// What is seen of `occasions` where the clock is due `next_at`.
    #[must_use]
    pub fn of(occasions: &Occasions, next_at: Option<Timestamp>) -> Self {
        Self {
            profiles: occasions.profiles.clone(),
            replica: occasions.replica.clone(),
            schedule: occasions.schedule.as_ref().map(ToString::to_string),
            next_at,
            watch: occasions
                .watch
                .as_ref()
                .map(|watch| format!("{}: {}", watch.paths.join(", "), watch.action.label())),
        }
    }

    /// As [`Occasions::is_of_all`], with the profiles that are `active` for whoever looks.
    #[must_use]
    pub fn is_of_all(&self, active: &[String]) -> bool {
        self.schedule.is_none() && !Profiles::among(self.profiles.names.clone(), active).dormant
    }
}

#[cfg(test)]
mod tests {
    use super::{Profiles, active_profiles};

    #[test]
    fn a_service_is_dormant_where_none_of_its_profiles_is_active() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (own, active, dormant) in [
            (&[][..], &[][..], false),
            (&["dev"], &[], true),
            (&["dev"], &["test"], true),
            (&["dev", "test"], &["test"], false),
            (&["dev"], &["*"], false),
        ] {
            assert_eq!(Profiles::among(names(own), &names(active)).dormant, dormant, "{own:?} {active:?}");
        }
    }

    #[test]
    fn both_variables_name_profiles() {
        let variable = |name: &str| match name {
            "COMPOSE_PROFILES" => Some("dev, test,".to_owned()),
            "CAS_PROFILES" => Some("test,ci".to_owned()),
            _ => None,
        };
        assert_eq!(active_profiles(variable), ["dev", "test", "ci"]);
    }
}
