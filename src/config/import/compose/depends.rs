//! What a service waits for: `depends_on`, and what compose reads out of `links`, `network_mode` and the like.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    item::{Form, Item},
    keys,
    values::Values,
};
use crate::{
    config::{import::Told, nearest::did_you_mean},
    model::service::{Condition, Dependency},
};

type Dependencies = BTreeMap<String, Told<Dependency>>;

const CONDITIONS: [&str; 3] = ["service_started", "service_healthy", "service_completed_successfully"];

/// All of them.
pub(super) fn read(values: &mut Values, service: &Item) -> Dependencies {
    let mut all = service.get("depends_on").map(|item| depends_on(values, item)).unwrap_or_default();
    if let Some(item) = service.get("links") {
        for (text, item) in values.texts("links", item) {
            let name = text.split_once(':').map_or(&*text, |(name, _)| name);
            if name.len() < text.len() {
                values.notes.lost("links", &item);
            }
            implied(&mut all, name, &item, true);
        }
    }
    if let Some(item) = service.get("volumes_from") {
        for (text, item) in values.texts("volumes_from", item) {
            values.notes.lost("volumes_from", &item);
            if !text.starts_with("container:") {
                implied(&mut all, text.split(':').next().unwrap_or_default(), &item, false);
            }
        }
    }
    for key in ["network_mode", "ipc", "pid"] {
        let Some(item) = service.get(key) else { continue };
        if key != "network_mode" {
            values.notes.lost(key, item);
        }
        if let Some(name) = item.as_text().and_then(|text| text.strip_prefix("service:")) {
            implied(&mut all, name, item, true);
        }
    }
    all
}

fn implied(all: &mut Dependencies, name: &str, item: &Item, restart: bool) {
    let dependency = Dependency { condition: Condition::ServiceStarted, restart, required: true };
    all.entry(name.to_owned()).or_insert_with(|| item.told(dependency));
}

fn depends_on(values: &mut Values, item: &Arc<Item>) -> Dependencies {
    let started = Dependency { condition: Condition::ServiceStarted, restart: false, required: true };
    let Form::Map(entries) = &item.form else {
        let names = values.texts("depends_on", item);
        return names.into_iter().map(|(name, item)| (name, item.told(started))).collect();
    };
    let mut all = Dependencies::new();
    for (name, value) in entries {
        let path = format!("depends_on.{}", name.text);
        let mut dependency = started;
        if !value.is_null() && values.keys(&path, value, &keys::DEPENDENCY) {
            if let Some(item) = value.get("condition") {
                match condition(values, &format!("{path}.condition"), item) {
                    Some(condition) => dependency.condition = condition,
                    None => continue,
                }
            }
            let mut truth = |key: &str| {
                let item = value.get(key)?;
                values.truth(&format!("{path}.{key}"), item)
            };
            dependency.restart = truth("restart").unwrap_or(false);
            dependency.required = truth("required").unwrap_or(true);
        }
        all.insert(name.text.to_string(), Told { value: dependency, source: name.source() });
    }
    all
}

fn condition(values: &mut Values, what: &str, item: &Item) -> Option<Condition> {
    let text = values.text(what, item)?;
    match text.as_str() {
        "service_started" => Some(Condition::ServiceStarted),
        "service_healthy" => Some(Condition::ServiceHealthy),
        "service_completed_successfully" => Some(Condition::ServiceCompletedSuccessfully),
        _ => {
            values.wrong(what, item, "a condition", &did_you_mean(&text, &CONDITIONS));
            None
        }
    }
}
