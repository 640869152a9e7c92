//! What can be asked for and set by name, and where each of it stands in a file. Never: a value.

use super::Scope;
use crate::config::{
    Sentence,
    nearest::{did_you_mean, nearest},
    schema::{self, Table},
};

/// How values of a key are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As written.
    Text,
    /// `true` or `false`.
    Truth,
    /// `on` or `off`.
    Switch,
}

/// A key with a name of its own.
#[derive(Debug)]
pub(crate) struct Known {
    /// The one name that is shown.
    pub(super) name: &'static str,
    /// Others that are understood.
    pub(super) also: &'static [&'static str],
    /// Where it stands in the user's file, the best place first; nowhere where there is none.
    pub(super) user: &'static [&'static [&'static str]],
    /// Where it stands in a service and in `defaults`, the best place first.
    pub(super) service: &'static [&'static [&'static str]],
    /// What holds where nothing is written; empty: nothing.
    pub(super) built_in: &'static str,
    pub(super) form: Form,
}

const fn user(name: &'static str, place: &'static [&'static [&'static str]], built_in: &'static str) -> Known {
    Known { name, also: &[], user: place, service: &[], built_in, form: Form::Text }
}

const fn service(name: &'static str, place: &'static [&'static [&'static str]], built_in: &'static str) -> Known {
    Known { name, also: &[], user: &[], service: place, built_in, form: Form::Text }
}

/// Every key that has a value also where nobody wrote one, in the order in which they are listed.
pub(super) const KNOWN: [Known; 26] = [
    Known { also: &["autopilot"], form: Form::Switch, ..user("auto_heal", &[&["auto_heal"], &["autopilot"]], "on") },
    user("alert_level", &[&["alert_level"]], "critical-only"),
    Known { form: Form::Switch, ..user("auto_reload", &[&["auto_reload"]], "off") },
    Known { form: Form::Switch, ..user("learning_mode", &[&["learning_mode"]], "on") },
    Known {
        also: &["backoff.strategy"],
        user: &[&["retry_strategy"]],
        ..service("retry_strategy", &[&["backoff", "strategy"]], "exponential")
    },
    Known {
        also: &["backoff.give_up_after", "give_up_after"],
        user: &[&["max_restarts"]],
        ..service("max_restarts", &[&["backoff", "give_up_after"]], "8")
    },
    user("theme", &[&["theme"]], "catppuccin-mocha"),
    Known { form: Form::Truth, ..user("mouse", &[&["mouse"]], "true") },
    user("detach_key", &[&["detach_key"]], "ctrl-]"),
    user("api.group", &[&["api", "group"]], ""),
    service("restart", &[&["restart"]], "on-failure"),
    service("backoff.base", &[&["backoff", "base"]], "500ms"),
    service("backoff.factor", &[&["backoff", "factor"]], "2"),
    service("backoff.ceiling", &[&["backoff", "ceiling"]], "60s"),
    service("backoff.stable", &[&["backoff", "stable"]], "10s"),
    service("stop_signal", &[&["stop_signal"]], "SIGTERM"),
    service("stop_grace_period", &[&["stop_grace_period"]], "10s"),
    Known { form: Form::Truth, ..service("autostart", &[&["autostart"]], "false") },
    service("working_dir", &[&["working_dir"]], "."),
    service("logs.max_size", &[&["logs", "max_size"]], "64M"),
    service("logs.max_age", &[&["logs", "max_age"]], ""),
    service("logs.on_full", &[&["logs", "on_full"]], "drop"),
    Known { form: Form::Truth, ..service("logs.split_streams", &[&["logs", "split_streams"]], "true") },
    service("cpus", &[&["cpus"], &["deploy", "resources", "limits", "cpus"]], ""),
    service("mem_limit", &[&["mem_limit"], &["deploy", "resources", "limits", "memory"]], ""),
    service("pids_limit", &[&["pids_limit"], &["deploy", "resources", "limits", "pids"]], ""),
];

impl Known {
    /// `CAS_AUTO_HEAL`; none where a project decides.
    pub(super) fn variable(&self) -> Option<String> {
        let name = self.name.replace('.', "_").to_ascii_uppercase();
        (!self.user.is_empty()).then(|| format!("CAS_{name}"))
    }

    /// Whether services have it.
    pub(super) const fn is_of_services(&self) -> bool {
        !self.service.is_empty()
    }

    /// As its file's reader takes a value, shown in one way.
    pub(super) fn shown(&self, text: &str) -> String {
        let (yes, no) = match self.form {
            Form::Text => return text.to_owned(),
            Form::Truth => ("true", "false"),
            Form::Switch => ("on", "off"),
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => yes.to_owned(),
            "false" | "no" | "off" => no.to_owned(),
            _ => text.to_owned(),
        }
    }
}

/// A key as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Whom it is about.
    pub(super) scope: Scope,
    /// The key with a name of its own; none for any other that a file may have.
    pub(super) known: Option<&'static Known>,
    /// Where it may stand below the scope, the best place first.
    pub(super) places: Vec<Vec<String>>,
    /// Its name without the scope.
    pub(super) name: String,
    /// What may stand there takes a list.
    pub(super) takes_list: bool,
}

impl Key {
    /// As it is listed.
    pub(super) fn full_name(&self) -> String {
        match &self.scope {
            Scope::User | Scope::Project => self.name.clone(),
            Scope::Service(name) => format!("services.{name}.{}", self.name),
        }
    }
}

fn folded(text: &str) -> String {
    text.replace('-', "_").to_ascii_lowercase()
}

fn known(text: &str) -> Option<&'static Known> {
    let wanted = folded(text);
    KNOWN.iter().find(|known| known.name == wanted || known.also.contains(&wanted.as_str()))
}

fn owned(places: &[&[&str]]) -> Vec<Vec<String>> {
    places.iter().map(|place| place.iter().map(ToString::to_string).collect()).collect()
}

/// The key that `text` names. `services` are the names of those that the project has.
///
/// # Errors
/// A sentence with the nearest names.
pub(crate) fn resolve(text: &str, scope: &Scope, services: &[String]) -> Result<Key, Sentence> {
    let (scope, rest) = match (text.strip_prefix("services."), text.strip_prefix("defaults.")) {
        (Some(rest), _) => {
            let (name, rest) = service_of(rest, services).ok_or_else(|| {
                Sentence(format!("\"{text}\" names a service and no key of it\nhint: such as services.{rest}.restart"))
            })?;
            (Scope::Service(name.to_owned()), rest)
        }
        (None, Some(rest)) => (Scope::Project, rest),
        (None, None) => (scope.clone(), text),
    };
    match &scope {
        Scope::User => of_user(rest),
        Scope::Project | Scope::Service(_) => of_project(rest, scope),
    }
}

/// Names of services may have dots.
fn service_of<'t>(text: &'t str, services: &[String]) -> Option<(&'t str, &'t str)> {
    let split = |name: &String| {
        let rest = text.strip_prefix(name.as_str())?.strip_prefix('.')?;
        Some((&text[..name.len()], rest))
    };
    services.iter().filter_map(split).max_by_key(|(name, _)| name.len()).or_else(|| text.split_once('.'))
}

fn of_user(text: &str) -> Result<Key, Sentence> {
    if let Some(action) = text.strip_prefix("keys.").filter(|action| !action.is_empty()) {
        let places = vec![vec!["keys".to_owned(), action.to_owned()]];
        return Ok(Key { scope: Scope::User, known: None, places, name: text.to_owned(), takes_list: true });
    }
    match known(text) {
        Some(known) if !known.user.is_empty() => Ok(Key {
            scope: Scope::User,
            known: Some(known),
            places: owned(known.user),
            name: known.name.to_owned(),
            takes_list: false,
        }),
        Some(known) => Err(Sentence(format!(
            "{} belongs to services, not to you\nhint: --project sets it for every service of this project, --service NAME for one",
            known.name
        ))),
        None => {
            let mut names: Vec<_> =
                KNOWN.iter().filter(|known| !known.user.is_empty()).map(|known| known.name).collect();
            names.push("keys.ACTION");
            Err(unknown(text, "a setting", &names))
        }
    }
}

fn of_project(text: &str, scope: Scope) -> Result<Key, Sentence> {
    if let Some(known) = known(text) {
        if known.service.is_empty() {
            return Err(Sentence(format!(
                "{} is about you, not about a project\nhint: leave --project and --service out",
                known.name
            )));
        }
        let (places, name) = (owned(known.service), known.name.to_owned());
        return Ok(Key { scope, known: Some(known), places, name, takes_list: false });
    }
    let (table, owner) = match &scope {
        Scope::Service(_) => (&schema::SERVICE, "a key of a service"),
        Scope::Project | Scope::User => (&schema::DEFAULTS, "a key of defaults"),
    };
    let mut place = Vec::new();
    let mut table: Option<&Table> = Some(table);
    let mut takes_list = false;
    for word in text.split('.') {
        let Some(here) = table else {
            // Below a map whose keys are anybody's: environment, depends_on.
            place.push(word.to_owned());
            continue;
        };
        let wanted = folded(word);
        let Some(found) = here.words.iter().find(|known| folded(known.name) == wanted) else {
            let mut names: Vec<_> = here.words.iter().map(|word| word.name).collect();
            if place.is_empty() {
                names.extend(KNOWN.iter().filter(|known| !known.service.is_empty()).map(|known| known.name));
            }
            return Err(unknown(word, owner, &names));
        };
        place.push(found.name.to_owned());
        takes_list = found.form.contains("list") || found.form.contains("map") || found.form.contains('{');
        table = schema::below(found.name).filter(|_| found.name != "http");
        if table.is_none() && !takes_list && place.len() < text.split('.').count() {
            return Err(Sentence(format!("{} has no keys of its own: {}", found.name, found.form)));
        }
    }
    Ok(Key { scope, known: None, name: place.join("."), places: vec![place], takes_list })
}

fn unknown(text: &str, what: &str, names: &[&str]) -> Sentence {
    let plain = did_you_mean(text, names);
    let hint = match nearest(text, KNOWN.iter().flat_map(|known| known.also.iter().copied())) {
        Some(also) if nearest(text, names.iter().copied()).is_none() => {
            let meant = known(also).map_or(also, |known| known.name);
            format!("did you mean \"{meant}\"? one of: {}", names.join(", "))
        }
        Some(_) | None => plain,
    };
    Sentence(format!("\"{text}\" is not {what}\nhint: {hint}"))
}

/// Every key with a name of its own that is about the user.
pub(super) fn of_users() -> impl Iterator<Item = Key> {
    KNOWN.iter().filter(|known| !known.user.is_empty()).filter_map(|known| of_user(known.name).ok())
}

/// Every key with a name of its own that is about services, as `scope` has it.
pub(super) fn of_services(scope: &Scope) -> impl Iterator<Item = Key> {
    KNOWN
        .iter()
        .filter(|known| !known.service.is_empty())
        .filter_map(|known| of_project(known.name, scope.clone()).ok())
}
