//! The secrets that are known by their values: those of environments, and those that stand in command lines.
//!
//! Never: shown by `Debug`; compared by anything that decides whether a project has changed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{encode, keyed, names, shapes};
use crate::model::{
    exam::{Subject, Target},
    own::{Fix, Mending, Own, OwnCheck},
    probe::Check,
    project::ProjectSpec,
    secret::{SecretSource, SecretValues},
    service::{CommandLine, ServiceSpec},
};

/// A shorter value is too common a word to be looked for.
const SHORTEST: usize = 6;

/// Of what a project file declares as a secret, values from so many letters on are looked for.
const SHORTEST_DECLARED: usize = 4;

/// So many values are known at most, those first that came first.
const MOST: usize = 8192;

/// A value with more is looked for by its beginning.
const LONGEST: usize = 4096;

/// Words that are values of switches.
const SWITCHES: [&str; 7] = ["default", "disabled", "enabled", "optional", "required", "undefined", "unlimited"];

/// What is masked because its user wants it, beside what always is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Masks {
    /// Addresses of e-mail.
    pub emails: bool,
    /// What matches these regular expressions.
    pub patterns: Vec<String>,
}

/// Known values by name.
#[derive(Clone, Default)]
pub struct Secrets {
    /// What is looked for, and the name of its secret.
    forms: HashMap<String, Arc<str>>,
    masks: Masks,
}

impl std::fmt::Debug for Secrets {
    /// How many, never which.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} forms of secrets", self.forms.len())
    }
}

impl Secrets {
    /// From now on this is masked, too.
    pub fn mask(&mut self, masks: &Masks) {
        self.masks = masks.clone();
    }

    /// What is masked because its user wants it.
    pub(super) const fn masks(&self) -> &Masks {
        &self.masks
    }

    /// Learns what an environment holds; true where something was new.
    pub fn learn_environment<'a>(&mut self, environment: impl IntoIterator<Item = (&'a String, &'a String)>) -> bool {
        let before = self.forms.len();
        for (name, value) in environment {
            if names::of(name).is_some() {
                self.add(name, value);
            }
            for range in shapes::userinfo(value) {
                self.add(name, &value[range]);
            }
        }
        self.forms.len() > before
    }

    /// Learns what is a secret whatever its name says; true where something was new.
    pub fn learn_declared(&mut self, values: &SecretValues) -> bool {
        let before = self.forms.len();
        for (name, value) in &values.0 {
            self.add_from(name, value, |line| line.chars().count() >= SHORTEST_DECLARED);
        }
        self.forms.len() > before
    }

    /// Learns what a project holds: environments of its services, their command lines, their probes; true where something was new.
    pub fn learn(&mut self, project: &ProjectSpec) -> bool {
        let before = self.forms.len();
        let mut base: Option<&BTreeMap<String, String>> = None;
        for service in &project.services {
            if let Some(own) = &service.base_environment
                && base.is_none_or(|known| !std::ptr::eq(known, own.0.as_ref()))
            {
                self.learn_environment(own.0.as_ref());
                base = Some(own.0.as_ref());
            }
            self.learn_service(service);
        }
        for route in &project.alerts.routes {
            for secret in route.to.secrets() {
                self.add(&route.name, secret);
                // The secret of a webhook is its path.
                if let Some((_, path)) = secret.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
                    self.add(&route.name, path);
                }
            }
        }
        self.forms.len() > before
    }

    fn learn_service(&mut self, service: &ServiceSpec) {
        self.learn_environment(&service.environment);
        self.learn_command(&service.command);
        for source in service.secrets.values() {
            if let SecretSource::Command(command) = source {
                self.learn_command(command);
            }
        }
        for probe in service.probes.values() {
            match &probe.check {
                Check::Exec(command) => self.learn_command(command),
                Check::Http { url, .. } => self.learn_text(url),
                Check::Server { target, .. } => self.learn_target(target),
                Check::Tcp { .. } | Check::Log { .. } | Check::Container => {}
            }
        }
        for exam in service.nature.iter().flat_map(|nature| &nature.exams) {
            match &exam.subject {
                Subject::Server { target, .. } => self.learn_target(target),
                Subject::Own(own) => self.learn_own(own),
            }
        }
        if let Some(description) = &service.description {
            self.learn_text(description);
        }
    }

    fn learn_own(&mut self, Own { check, mending }: &Own) {
        if let Some(Mending { fix: Fix::Run(command), .. }) = mending {
            self.learn_command(command);
        }
        if let Some(target) = check.target() {
            self.learn_target(target);
            self.learn_text(&target.path);
        }
        if let Some(command) = check.command() {
            self.learn_command(command);
        }
        if let OwnCheck::Webhook(webhook) = check {
            self.learn_text(&webhook.path);
        }
    }

    fn learn_target(&mut self, target: &Target) {
        if let Some(password) = &target.password {
            self.add("password", &password.0);
        }
    }

    fn learn_command(&mut self, command: &CommandLine) {
        // As it is shown: `--token x` is one line there.
        self.learn_text(&command.display());
    }

    fn learn_text(&mut self, text: &str) {
        for line in text.lines() {
            for (range, label) in keyed::values(line).into_iter().chain(shapes::found(line)) {
                self.add(label, &line[range]);
            }
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        self.add_from(name, value, |line| line.chars().count() >= SHORTEST && !SWITCHES.contains(&line));
    }

    fn add_from(&mut self, name: &str, value: &str, is_taken: impl Fn(&str) -> bool) {
        let name: Arc<str> = label(name).into();
        // A key in PEM has many lines; each may be printed alone.
        for value in value.lines().map(str::trim) {
            if !is_taken(value) {
                continue;
            }
            let mut end = value.len().min(LONGEST);
            while !value.is_char_boundary(end) {
                end -= 1;
            }
            for form in encode::forms(&value[..end]) {
                if self.forms.len() >= MOST {
                    return;
                }
                self.forms.entry(form).or_insert_with(|| Arc::clone(&name));
            }
        }
    }

    /// What to look for and how to name it, in an order that does not change.
    pub(super) fn forms(&self) -> Vec<(&str, Arc<str>)> {
        let mut forms: Vec<(&str, Arc<str>)> =
            self.forms.iter().map(|(form, name)| (form.as_str(), Arc::clone(name))).collect();
        forms.sort();
        forms
    }
}

/// A name as it may stand in a mark.
fn label(name: &str) -> String {
    let shown = |letter: char| if letter.is_ascii_alphanumeric() || "_.-".contains(letter) { letter } else { '_' };
    name.chars().take(64).map(shown).collect()
}
