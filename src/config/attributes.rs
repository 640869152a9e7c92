//! As what a service begins: `user`, `umask`, `nice`, `ulimits`. Never: becomes anybody.

use std::collections::BTreeMap;

use super::{
    nearest::did_you_mean,
    reader::{Fields, Reader},
    tree::{Node, Shape},
};
use crate::model::{
    account::Account,
    attributes::{Attributes, Resource, Ulimit},
};

/// What a map says of it.
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Attributes {
    Attributes {
        user: fields.get("user").and_then(|node| user(reader, node)),
        umask: fields.get("umask").and_then(|node| umask(reader, node)),
        nice: fields.get("nice").and_then(|node| nice(reader, node)),
        ulimits: fields.get("ulimits").map(|node| ulimits(reader, node)).unwrap_or_default(),
    }
}

/// Why cas cannot run a service as this user; none where it can. With what to do.
pub(crate) fn hindrance(user: &str) -> Option<(String, &'static str)> {
    // What cannot be read has nobody in it.
    let text = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    match Account::find(user, &text("/etc/passwd"), &text("/etc/group")) {
        Err(why) => Some((why, "write a user of this machine, or its number")),
        Ok(account) => {
            let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            let is_allowed = own.0 == 0 || (account.uid, account.gid) == own;
            let why = || format!("only root may run services as {user}; cas runs as user {}", own.0);
            (!is_allowed).then(|| (why(), "leave it out, or run cas as root (cas daemon install --system)"))
        }
    }
}

fn user(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text("user", node)?;
    if let Some((why, hint)) = hindrance(&text) {
        reader.error(node.at, format!("user: {why}"), hint);
        return None;
    }
    Some(text)
}

fn umask(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    reader.parsed("umask", node, "write it as chmod has it, in quotes, such as \"027\"", |text| {
        match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
            Ok(mask) if mask <= 0o777 => Ok(mask),
            Ok(_) => Err("is more than 777".to_owned()),
            Err(_) => Err("is not an octal number".to_owned()),
        }
    })
}

fn nice(reader: &mut Reader<'_>, node: &Node) -> Option<i32> {
    let nice = reader.parsed("nice", node, "write a whole number from -20 (first) to 19 (last)", |text| match text
        .parse::<i32>()
    {
        Ok(nice) if (-20..=19).contains(&nice) => Ok(nice),
        Ok(_) => Err("is out of range".to_owned()),
        Err(_) => Err("is not a whole number".to_owned()),
    })?;
    if nice < 0 && !rustix::process::geteuid().is_root() {
        reader.note(node.at, format!("nice: {nice} may be refused"), "below 0 it needs root, or RLIMIT_NICE");
    }
    Some(nice)
}

fn ulimits(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<Resource, Ulimit> {
    let Shape::Map(entries) = &node.shape else {
        reader.wrong_form("ulimits", node, "a map", "write nofile: 1024, or nofile: {soft: 1024, hard: 4096}");
        return BTreeMap::new();
    };
    let mut limits = BTreeMap::new();
    for (key, node) in entries {
        let Some(resource) = Resource::ALL.into_iter().find(|resource| resource.label() == &*key.text) else {
            let hint = did_you_mean(&key.text, &Resource::ALL.map(Resource::label));
            reader.error(key.at, format!("ulimits: \"{}\" is not a limit", key.text), hint);
            continue;
        };
        limits.extend(ulimit(reader, resource, node).map(|limit| (resource, limit)));
    }
    limits
}

fn ulimit(reader: &mut Reader<'_>, resource: Resource, node: &Node) -> Option<Ulimit> {
    let what = format!("ulimits.{}", resource.label());
    let Shape::Map(entries) = &node.shape else {
        let bound = bound(reader, &what, node)?;
        return Some(Ulimit { soft: bound, hard: bound });
    };
    let (mut soft, mut hard) = (None, None);
    for (key, node) in entries {
        match &*key.text {
            "soft" => soft = bound(reader, &format!("{what}.soft"), node),
            "hard" => hard = bound(reader, &format!("{what}.hard"), node),
            other => {
                let hint = did_you_mean(other, &["soft", "hard"]);
                reader.error(key.at, format!("{what}: \"{other}\" is not a key of it"), hint);
            }
        }
    }
    let (Some(soft), Some(hard)) = (soft.or(hard), hard.or(soft)) else {
        return None;
    };
    if hard.is_some_and(|hard| soft.is_none_or(|soft| soft > hard)) {
        reader.error(
            node.at,
            format!("{what}: soft is more than hard"),
            "the soft limit may not be above the hard one",
        );
        return None;
    }
    Some(Ulimit { soft, hard })
}

/// None after an error; none within: unlimited.
#[expect(clippy::option_option, reason = "an error, no bound, a bound")]
fn bound(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<Option<u64>> {
    reader.parsed(what, node, "write a number, or unlimited (-1)", |text| match text {
        "unlimited" | "infinity" | "-1" => Ok(None),
        _ => text.parse::<u64>().map(Some).map_err(|_| "is not a limit".to_owned()),
    })
}
