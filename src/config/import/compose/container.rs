//! What is particular to containers: image, build, command, mounts, networks, labels.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    item::{Form, Item, Name},
    keys,
    values::Values,
    volumes,
};
use crate::config::import::{Build, Container, Told, Variable};

/// The container of a service; none, told, where nothing says what it is made of.
pub(super) fn read(values: &mut Values, name: &Name, service: &Item) -> Option<Container> {
    let image = service.get("image").and_then(|item| Some(item.told(values.text("image", item)?)));
    let build = service.get("build").and_then(|item| Some(item.told(build(values, item)?)));
    if image.is_none() && build.is_none() {
        let is_told = ["image", "build", "provider"].into_iter().any(|key| service.get(key).is_some());
        if !is_told {
            let message = format!("{}: it has neither an image nor a build", name.text);
            values.notes.error(name.source(), message, "write image: name, or build: ./directory");
        }
        return None;
    }
    let words = |values: &mut Values, key: &str| {
        let item = service.get(key)?;
        Some(item.told(values.words(key, item)?))
    };
    let entrypoint = words(values, "entrypoint");
    let command = words(values, "command");
    let mounts = service.get("volumes").map(|item| volumes::read(values, item)).unwrap_or_default();
    let networks = service.get("networks").map(|item| networks(values, item)).unwrap_or_default();
    let labels = service.get("labels").map(|item| labels(values, item)).unwrap_or_default();
    Some(Container { image, build, entrypoint, command, volumes: mounts, networks, labels, details: None })
}

fn build(values: &mut Values, item: &Arc<Item>) -> Option<Build> {
    if let Form::Text(_) = &item.form {
        let context = values.text("build", item)?;
        let context = context_of(values, &context, item);
        return Some(Build { context, dockerfile: None, target: None, args: BTreeMap::new() });
    }
    if !values.keys("build", item, &keys::BUILD) {
        return None;
    }
    let context = match item.get("context") {
        Some(context) => {
            let text = values.text("build.context", context)?;
            context_of(values, &text, context)
        }
        None => context_of(values, ".", item),
    };
    let dockerfile = item.get("dockerfile").and_then(|item| values.text("build.dockerfile", item));
    let target = item.get("target").and_then(|item| values.text("build.target", item));
    let args = item.get("args").map(|item| values.pairs("build.args", item)).unwrap_or_default();
    let args = args.into_iter().map(|(name, value)| (name.text.to_string(), variable(&value))).collect();
    Some(Build { context, dockerfile, target, args })
}

/// An absolute directory, or a URL as written.
fn context_of(values: &Values, text: &str, item: &Item) -> String {
    let is_remote = text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/");
    if is_remote { text.to_owned() } else { values.path(text, item).display().to_string() }
}

/// What a variable is set to.
pub(super) fn variable(value: &Item) -> Variable {
    value.as_text().map_or(Variable::Inherited, |text| Variable::Text(text.to_owned()))
}

fn networks(values: &mut Values, item: &Arc<Item>) -> Vec<Told<String>> {
    let Form::Map(entries) = &item.form else {
        return values.texts("networks", item).into_iter().map(|(text, item)| item.told(text)).collect();
    };
    let mut names = Vec::new();
    for (name, value) in entries {
        if !value.is_null() {
            values.keys(&format!("networks.{}", name.text), value, &keys::JOINED);
        }
        names.push(Told { value: name.text.to_string(), source: name.source() });
    }
    names
}

fn labels(values: &mut Values, item: &Arc<Item>) -> BTreeMap<String, String> {
    let text = |item: &Item| item.as_text().unwrap_or_default().to_owned();
    values.pairs("labels", item).iter().map(|(name, value)| (name.text.to_string(), text(value))).collect()
}
