//! One service of compose as a candidate.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    container, depends, deploy,
    details::Declared,
    health,
    item::{Form, Item, Name},
    keys, ports,
    values::Values,
};
use crate::{
    config::import::{Candidate, EnvFile, Runtime, Told, Variable},
    model::{probe::ProbeKind, signal::Signal},
};

/// The candidate; none, told, where the service means nothing usable.
pub(super) fn read(values: &mut Values, name: &Name, service: &Arc<Item>, declared: &Declared) -> Option<Candidate> {
    if service.is_null() {
        let message = format!("{}: it has neither an image nor a build", name.text);
        values.notes.error(name.source(), message, "write image: name, or build: ./directory");
        return None;
    }
    if !values.keys("", service, &keys::SERVICE) {
        return None;
    }
    let mut container = container::read(values, name, service)?;
    let ports = ports::read(values, service);
    let published = service.get("ports").map_or(0, |_| ports.1);
    container.details = Some(Box::new(declared.details(values, service, &container, published)));
    let told_name = Told { value: name.text.to_string(), source: name.source() };
    let mut candidate = Candidate::new(told_name, Runtime::Container(Box::new(container)));
    let mut text = |key: &str| {
        let item = service.get(key)?;
        Some(item.told(values.text(key, item)?))
    };
    candidate.working_dir =
        text("working_dir").map(|told| Told { value: PathBuf::from(told.value), source: told.source });
    candidate.user = text("user");
    candidate.stop_signal = service.get("stop_signal").and_then(|item| stop_signal(values, item));
    candidate.stop_grace =
        service.get("stop_grace_period").and_then(|item| Some(item.told(values.duration("stop_grace_period", item)?)));
    candidate.tty = service.get("tty").and_then(|item| Some(item.told(values.truth("tty", item)?)));
    if let Some(item) = service.get("profiles") {
        candidate.profiles = values.texts("profiles", item).into_iter().map(|(text, item)| item.told(text)).collect();
    }
    candidate.environment = environment(values, service);
    candidate.env_files = service.get("env_file").map(|item| env_files(values, item)).unwrap_or_default();
    candidate.depends_on = depends::read(values, service);
    candidate.ports = ports.0;
    if let Some(probe) = service.get("healthcheck").and_then(|item| health::read(values, item)) {
        candidate.probes.insert(ProbeKind::Readiness, probe);
    }
    deploy::read(values, service, &mut candidate);
    Some(candidate)
}

fn stop_signal(values: &mut Values, item: &Item) -> Option<Told<Signal>> {
    let text = values.text("stop_signal", item)?;
    let signal = text.parse().ok();
    if signal.is_none() {
        values.notes.lost("stop_signal", item);
    }
    signal.map(|signal| item.told(signal))
}

fn environment(values: &mut Values, service: &Item) -> BTreeMap<String, Told<Variable>> {
    let Some(item) = service.get("environment") else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for (name, value) in values.pairs("environment", item) {
        if name.text.is_empty() {
            values.notes.error(name.source(), "environment: a value without a name", "write NAME=value");
            continue;
        }
        let told = Told { value: container::variable(&value), source: name.source() };
        all.insert(name.text.to_string(), told);
    }
    all
}

fn env_files(values: &mut Values, item: &Arc<Item>) -> Vec<Told<EnvFile>> {
    let items = match &item.form {
        Form::List(items) => items.clone(),
        Form::Null | Form::Text(_) | Form::Map(_) => vec![Arc::clone(item)],
    };
    let mut files = Vec::new();
    for item in &items {
        let (place, required) = if let Form::Map(_) = &item.form {
            values.keys("env_file", item, &keys::ENV_FILE);
            let Some(path) = item.get("path") else {
                values.notes.error(item.source(), "env_file: an entry without a path", "write path: ./file.env");
                continue;
            };
            let required = item.get("required").and_then(|item| values.truth("env_file.required", item));
            (path, required.unwrap_or(true))
        } else {
            (item, true)
        };
        if let Some(text) = values.text("env_file", place) {
            let path = values.path(&text, place);
            files.push(place.told(EnvFile { path, required }));
        }
    }
    files
}
