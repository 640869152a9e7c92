//! What a service may use at most: compose's `deploy.resources.limits` and its short forms. Never: knows whether this machine can enforce it.

use super::{
    reader::{Fields, Reader},
    schema,
    tree::Node,
};
use crate::model::service::Limits;

/// A process needs that much to begin at all.
const LEAST_MEMORY: u64 = 4 << 20;
/// More cores than that is a slip.
const MOST_CPUS: f64 = 1_000_000.0;

/// The limits of a map that has `deploy` and the short forms.
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Limits {
    let long = fields.get("deploy").map(|node| deploy(reader, node)).unwrap_or_default();
    let short = Limits {
        cpus: fields.get("cpus").and_then(|node| cpus(reader, "cpus", node)),
        memory_bytes: fields.get("mem_limit").and_then(|node| reader.size("mem_limit", node, LEAST_MEMORY)),
        pids: fields.get("pids_limit").and_then(|node| reader.number("pids_limit", node, 1)),
    };
    let differ = [
        ("cpus", "cpus", is_other(long.cpus.zip(short.cpus))),
        ("mem_limit", "memory", is_other(long.memory_bytes.zip(short.memory_bytes))),
        ("pids_limit", "pids", is_other(long.pids.zip(short.pids))),
    ];
    for (word, key, differ) in differ {
        if let Some((at, _)) = fields.find(word).filter(|_| differ) {
            let message = format!("{word}: deploy.resources.limits.{key} says something else");
            reader.error(at.at, message, "keep one of the two");
        }
    }
    over(short, long)
}

fn is_other<T: PartialEq>(both: Option<(T, T)>) -> bool {
    both.is_some_and(|(a, b)| a != b)
}

/// Single limits over those of `below`.
pub(crate) fn over(above: Limits, below: Limits) -> Limits {
    Limits {
        cpus: above.cpus.or(below.cpus),
        memory_bytes: above.memory_bytes.or(below.memory_bytes),
        pids: above.pids.or(below.pids),
    }
}

fn deploy(reader: &mut Reader<'_>, node: &Node) -> Limits {
    let none = Limits::default();
    let Some(fields) = reader.fields("deploy", node, &schema::DEPLOY) else { return none };
    let Some(node) = fields.get("resources") else { return none };
    let Some(fields) = reader.fields("resources", node, &schema::RESOURCES) else { return none };
    let Some(node) = fields.get("limits") else { return none };
    let Some(fields) = reader.fields("limits", node, &schema::LIMITS) else { return none };
    Limits {
        cpus: fields.get("cpus").and_then(|node| cpus(reader, "cpus", node)),
        memory_bytes: fields.get("memory").and_then(|node| reader.size("memory", node, LEAST_MEMORY)),
        pids: fields.get("pids").and_then(|node| reader.number("pids", node, 1)),
    }
}

fn cpus(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<f64> {
    reader.parsed(what, node, "write a number of cores, such as 2 or 0.5", |text| match text.parse::<f64>() {
        Ok(cpus) if cpus > 0.0 && cpus <= MOST_CPUS => Ok(cpus),
        Ok(_) => Err("is out of range, more than 0 is needed".to_owned()),
        Err(_) => Err("is not a number".to_owned()),
    })
}
