//! How a compose file goes over another one. Promise: the rules are compose's: maps merge, sequences append, some values replace,
//! some sequences have keys. Never: reads a file.

use std::{collections::HashMap, sync::Arc};

use super::{
    item::{Form, Item, Name},
    notes::Notes,
};
use crate::config::tree::Edit;

/// How two values of one key become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The later one wins.
    Replace,
    /// `NAME=value` lists and maps are the same thing.
    Pairs,
    /// Lists of names and maps are the same thing.
    Names,
    /// As `Names`; a bare name says the defaults again.
    Conditions,
    /// Text alone is the context.
    Build,
    /// Options of another driver mean nothing.
    Logging,
    /// Text alone is a list of one.
    Sequence,
    /// Maps merge, sequences append, the rest is replaced.
    Usual,
}

fn rule(path: &[&str]) -> Rule {
    match path {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] => Rule::Replace,
        ["services", _, "environment" | "labels" | "annotations" | "sysctls"]
        | ["services", _, "build", "args" | "labels" | "additional_contexts"]
        | ["services", _, "deploy", "labels"]
        | ["networks" | "volumes", _, "labels"] => Rule::Pairs,
        ["services", _, "networks" | "models"] => Rule::Names,
        ["services", _, "depends_on"] => Rule::Conditions,
        ["services", _, "build"] => Rule::Build,
        ["services", _, "logging"] => Rule::Logging,
        ["services", _, "env_file" | "label_file" | "dns" | "dns_opt" | "dns_search" | "tmpfs"] => Rule::Sequence,
        _ => Rule::Usual,
    }
}

/// `above` over `below`; none where a tag removes it. `path` leads to both.
pub(super) fn merged(notes: &mut Notes, path: &[&str], below: &Arc<Item>, above: &Arc<Item>) -> Option<Arc<Item>> {
    match above.edit {
        Edit::Reset => return None,
        Edit::Override => return Some(Arc::clone(above)),
        Edit::Merge => {}
    }
    // A name without a value says something: it is inherited.
    let is_pair = path.split_last().is_some_and(|(_, parent)| rule(parent) == Rule::Pairs);
    let rule = rule(path);
    if rule == Rule::Replace || is_pair || below.edit == Edit::Reset || below.is_null() {
        return Some(Arc::clone(above));
    }
    if above.is_null() {
        return Some(Arc::clone(below));
    }
    let (low, high) = (normal(rule, below), normal(rule, above));
    let other_driver = rule == Rule::Logging
        && low.get("driver").zip(high.get("driver")).is_some_and(|(low, high)| low.as_text() != high.as_text());
    if other_driver {
        return Some(high);
    }
    match (&low.form, &high.form) {
        (Form::Map(under), Form::Map(over)) => {
            let entries = entries(notes, path, under, over);
            Some(Arc::new(low.with(Form::Map(entries))))
        }
        (Form::List(under), Form::List(over)) => {
            let items = unique(path, under.iter().chain(over));
            Some(Arc::new(low.with(Form::List(items))))
        }
        (Form::Map(_) | Form::List(_), _) => {
            notes.error(
                above.source(),
                format!("{}: {} cannot be merged with {}", path.join("."), above.describe(), below.describe()),
                format!("the earlier value is at {}; write !override before this one to replace it", below.source()),
            );
            Some(Arc::clone(below))
        }
        (Form::Text(_) | Form::Null, _) => Some(high),
    }
}

fn entries(
    notes: &mut Notes,
    path: &[&str],
    under: &[(Name, Arc<Item>)],
    over: &[(Name, Arc<Item>)],
) -> Vec<(Name, Arc<Item>)> {
    let mut all: Vec<Option<(Name, Arc<Item>)>> = under.iter().cloned().map(Some).collect();
    let places: HashMap<&str, usize> =
        under.iter().enumerate().map(|(index, (name, _))| (&*name.text, index)).collect();
    for (name, above) in over {
        let Some(index) = places.get(&*name.text) else {
            all.push(Some((name.clone(), Arc::clone(above))));
            continue;
        };
        let (key, below) = &under[*index];
        let deeper: Vec<&str> = path.iter().copied().chain([&*name.text]).collect();
        all[*index] = merged(notes, &deeper, below, above).map(|item| {
            let name = if Arc::ptr_eq(&item, above) { name } else { key };
            (name.clone(), item)
        });
    }
    all.into_iter().flatten().collect()
}

/// The form in which two values can be compared.
fn normal(rule: Rule, item: &Arc<Item>) -> Arc<Item> {
    let form = match (rule, &item.form) {
        (Rule::Pairs, Form::List(items)) => Form::Map(pairs(items)),
        (Rule::Names, Form::List(items)) => Form::Map(names(items, &|item| item.with(Form::Null))),
        (Rule::Conditions, Form::List(items)) => Form::Map(names(items, &defaults)),
        (Rule::Build, Form::Text(_)) => {
            Form::Map(vec![(named("context", item), Arc::new(item.with(item.form.clone())))])
        }
        (Rule::Sequence, Form::Text(_) | Form::Map(_)) => Form::List(vec![Arc::clone(item)]),
        _ => return Arc::clone(item),
    };
    Arc::new(item.with(form))
}

fn named(text: &str, item: &Item) -> Name {
    Name { text: text.into(), origin: Arc::clone(&item.origin), at: item.at }
}

/// What a bare name in `depends_on` says.
fn defaults(item: &Item) -> Item {
    let said = |key: &str, text: &str| {
        let form = Form::Text(text.into());
        (named(key, item), Arc::new(item.with(form)))
    };
    item.with(Form::Map(vec![said("condition", "service_started"), said("required", "true")]))
}

fn names(items: &[Arc<Item>], value: &dyn Fn(&Item) -> Item) -> Vec<(Name, Arc<Item>)> {
    items.iter().filter_map(|item| Some((named(item.as_text()?, item), Arc::new(value(item))))).collect()
}

/// `NAME=value` entries as those of a map; a name alone has no value, a later one wins.
pub(super) fn pairs(items: &[Arc<Item>]) -> Vec<(Name, Arc<Item>)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut all: Vec<(Name, Arc<Item>)> = Vec::new();
    for item in items {
        let Some(text) = item.as_text() else { continue };
        let (name, form) = match text.split_once('=') {
            Some((name, value)) => (name, Form::Text(value.into())),
            None => (text, Form::Null),
        };
        let entry = (named(name, item), Arc::new(item.with(form)));
        if let Some(index) = places.get(name) {
            all[*index] = entry;
        } else {
            places.insert(name.to_owned(), all.len());
            all.push(entry);
        }
    }
    all
}

/// The entries of a sequence, of which a later one takes the place of an earlier one of the same key.
pub(super) fn unique<'i>(path: &[&str], items: impl Iterator<Item = &'i Arc<Item>>) -> Vec<Arc<Item>> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut all: Vec<Arc<Item>> = Vec::new();
    for item in items {
        let key = key(path, item);
        if let Some(index) = key.as_ref().and_then(|key| places.get(key)) {
            all[*index] = Arc::clone(item);
            continue;
        }
        if let Some(key) = key {
            places.insert(key, all.len());
        }
        all.push(Arc::clone(item));
    }
    all
}

/// What makes an entry of this sequence the same as another one; none where all are kept.
fn key(path: &[&str], item: &Item) -> Option<String> {
    let ["services", _, key, ..] = path else { return None };
    let field = |name: &str| item.get(name).and_then(|item| item.as_text());
    match *key {
        "volumes" | "devices" => item.as_text().map(target).or_else(|| field("target").map(str::to_owned)),
        "ports" => item.as_text().map(str::to_owned).or_else(|| {
            let target = field("target")?;
            let host = field("host_ip").unwrap_or("0.0.0.0");
            Some(format!(
                "{host}:{}:{target}/{}",
                field("published").unwrap_or_default(),
                field("protocol").unwrap_or("tcp")
            ))
        }),
        "secrets" | "configs" => {
            item.as_text().or_else(|| field("target")).or_else(|| field("source")).map(str::to_owned)
        }
        "env_file" => item.as_text().or_else(|| field("path")).map(str::to_owned),
        "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "expose" | "extra_hosts" | "links" | "profiles"
        | "tmpfs" | "networks" => item.as_text().map(str::to_owned),
        _ => None,
    }
}

/// Where a mount in the short form appears in the container.
fn target(text: &str) -> String {
    let (_, target, _) = super::volumes::split(text);
    target.to_owned()
}

/// Without what `!reset` removes; none where it removes the value itself.
pub(super) fn settled(item: &Arc<Item>) -> Option<Arc<Item>> {
    if item.edit == Edit::Reset {
        return None;
    }
    match &item.form {
        Form::Map(entries) => {
            let mut is_same = true;
            let kept: Vec<_> = entries
                .iter()
                .filter_map(|(name, value)| {
                    let kept = settled(value);
                    is_same &= kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, value));
                    Some((name.clone(), kept?))
                })
                .collect();
            Some(if is_same { Arc::clone(item) } else { Arc::new(item.with(Form::Map(kept))) })
        }
        Form::List(items) if items.iter().any(|item| item.edit == Edit::Reset) => {
            Some(Arc::new(item.with(Form::List(items.iter().filter_map(settled).collect()))))
        }
        Form::Null | Form::Text(_) | Form::List(_) => Some(Arc::clone(item)),
    }
}
