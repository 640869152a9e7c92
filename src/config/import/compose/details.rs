//! What is particular to containers and nothing else: capabilities, networks with their names, and the like.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    item::{Form, Item},
    values::Values,
};
use crate::{
    config::import::{Container, Details},
    model::container::{Join, PullPolicy, Resource},
};

/// Networks and volumes of the file.
pub(super) struct Declared {
    networks: BTreeMap<String, Resource>,
    volumes: BTreeMap<String, Resource>,
}

impl Declared {
    pub(super) fn read(values: &mut Values, root: &Item) -> Self {
        Self { networks: resources(values, root, "networks"), volumes: resources(values, root, "volumes") }
    }

    /// The details of a service.
    pub(super) fn details(
        &self,
        values: &mut Values,
        service: &Item,
        container: &Container,
        published: usize,
    ) -> Details {
        let mut details = Details { published, ..Details::default() };
        let text = |values: &mut Values, key: &str| service.get(key).and_then(|item| values.text(key, item));
        let truth = |values: &mut Values, key: &str| service.get(key).and_then(|item| values.truth(key, item));
        let texts = |values: &mut Values, key: &str| -> Vec<String> {
            let item = service.get(key);
            item.map(|item| values.texts(key, item)).unwrap_or_default().into_iter().map(|(text, _)| text).collect()
        };
        details.tmpfs = texts(values, "tmpfs");
        let spec = &mut details.spec;
        spec.container_name = text(values, "container_name");
        spec.hostname = text(values, "hostname");
        spec.platform = text(values, "platform");
        spec.network_mode = text(values, "network_mode");
        spec.dns = texts(values, "dns");
        spec.group_add = texts(values, "group_add");
        spec.cap_add = texts(values, "cap_add");
        spec.cap_drop = texts(values, "cap_drop");
        spec.security_opt = texts(values, "security_opt");
        spec.privileged = truth(values, "privileged").unwrap_or(false);
        spec.read_only = truth(values, "read_only").unwrap_or(false);
        spec.stdin_open = truth(values, "stdin_open").unwrap_or(false);
        spec.init = truth(values, "init");
        spec.shm_bytes = service.get("shm_size").and_then(|item| values.size("shm_size", item));
        spec.pull_policy = service.get("pull_policy").and_then(|item| pull_policy(values, item)).unwrap_or_default();
        spec.sysctls = service.get("sysctls").map(|item| pairs(values, "sysctls", item)).unwrap_or_default();
        spec.extra_hosts = service.get("extra_hosts").map(|item| hosts(values, item)).unwrap_or_default();
        spec.ulimits = service.get("ulimits").map(|item| ulimits(values, item)).unwrap_or_default();
        spec.networks = service.get("networks").map(|item| joins(values, item)).unwrap_or_default();
        let used = |all: &BTreeMap<String, Resource>, key: &str| all.get(key).map(|one| (key.to_owned(), one.clone()));
        let keys = spec.networks.iter().map(|join| join.network.as_str()).chain(["default"]);
        spec.network_resources = keys.filter_map(|key| used(&self.networks, key)).collect();
        let sources = container.volumes.iter().filter_map(|told| super::volumes::split(&told.value).0);
        spec.volume_resources = sources.filter_map(|key| used(&self.volumes, key)).collect();
        details
    }
}

fn resources(values: &mut Values, root: &Item, section: &str) -> BTreeMap<String, Resource> {
    let Some(item) = root.get(section) else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for (name, item) in item.entries().iter().filter(|(name, _)| !name.text.starts_with("x-")) {
        let path = format!("{section}.{}", name.text);
        let options = item.get("driver_opts");
        let mut own = Resource {
            name: item.get("name").and_then(|item| values.text(&format!("{path}.name"), item)),
            is_external: false,
            driver: item.get("driver").and_then(|item| values.text(&format!("{path}.driver"), item)),
            driver_opts: options.map(|item| pairs(values, &format!("{path}.driver_opts"), item)).unwrap_or_default(),
            is_internal: item.get("internal").and_then(|item| values.truth("internal", item)).unwrap_or(false),
        };
        if let Some(external) = item.get("external") {
            // An older form has the name below it.
            own.is_external = match &external.form {
                Form::Map(_) => {
                    own.name = external.get("name").and_then(|item| values.text("name", item)).or(own.name);
                    true
                }
                Form::Null | Form::Text(_) | Form::List(_) => values.truth("external", external).unwrap_or(false),
            };
        }
        all.insert(name.text.to_string(), own);
    }
    all
}

fn pairs(values: &mut Values, what: &str, item: &Arc<Item>) -> BTreeMap<String, String> {
    let text = |item: &Item| item.as_text().unwrap_or_default().to_owned();
    values.pairs(what, item).iter().map(|(name, value)| (name.text.to_string(), text(value))).collect()
}

/// `name:address`; compose's newer form has `=`, and a map has both apart.
fn hosts(values: &mut Values, item: &Arc<Item>) -> Vec<String> {
    if let Form::Map(_) = &item.form {
        return pairs(values, "extra_hosts", item)
            .into_iter()
            .map(|(name, address)| format!("{name}:{address}"))
            .collect();
    }
    let all = values.texts("extra_hosts", item).into_iter();
    all.map(|(text, _)| match text.split_once('=') {
        Some((name, address)) => format!("{name}:{address}"),
        None => text,
    })
    .collect()
}

fn pull_policy(values: &mut Values, item: &Item) -> Option<PullPolicy> {
    let text = values.text("pull_policy", item)?;
    let policy = PullPolicy::parse(&text);
    if policy.is_none() {
        values.notes.lost("pull_policy", item);
    }
    policy
}

fn ulimits(values: &mut Values, item: &Item) -> BTreeMap<String, (i64, i64)> {
    let mut all = BTreeMap::new();
    for (name, value) in item.entries() {
        let both = match &value.form {
            Form::Map(_) => {
                let soft = value.get("soft").and_then(|item| ulimit(values, item));
                let hard = value.get("hard").and_then(|item| ulimit(values, item));
                soft.zip(hard)
            }
            Form::Null | Form::Text(_) | Form::List(_) => ulimit(values, value).map(|one| (one, one)),
        };
        all.extend(both.map(|both| (name.text.to_string(), both)));
    }
    all
}

fn ulimit(values: &mut Values, item: &Item) -> Option<i64> {
    values.parsed("ulimits", item, ("a number", "write a number, or -1 for no limit"), |text| match text {
        "unlimited" => Some(-1),
        text => text.parse().ok(),
    })
}

fn joins(values: &mut Values, item: &Arc<Item>) -> Vec<Join> {
    let plain = |network: String| Join { network, aliases: Vec::new(), ipv4_address: None };
    let Form::Map(entries) = &item.form else {
        return values.texts("networks", item).into_iter().map(|(text, _)| plain(text)).collect();
    };
    let mut all = Vec::new();
    for (name, value) in entries {
        let mut join = plain(name.text.to_string());
        let aliases = value.get("aliases").map(|item| values.texts("aliases", item)).unwrap_or_default();
        join.aliases = aliases.into_iter().map(|(text, _)| text).collect();
        join.ipv4_address = value.get("ipv4_address").and_then(|item| values.text("ipv4_address", item));
        all.push(join);
    }
    all
}
