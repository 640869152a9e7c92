//! `deploy` and its short forms: copies, limits, restarts.

use std::{sync::Arc, time::Duration};

use super::{item::Item, keys, values::Values};
use crate::{
    config::import::{Bounds, Candidate, Told},
    model::service::RestartPolicy,
};

/// Fills in what `deploy`, `scale`, `restart`, `mem_limit`, `cpus` and `pids_limit` say.
pub(super) fn read(values: &mut Values, service: &Item, candidate: &mut Candidate) {
    let deploy = service.get("deploy").filter(|item| values.keys("deploy", item, &keys::DEPLOY));
    candidate.restart = service.get("restart").and_then(|item| Some(item.told(restart(values, item)?)));
    candidate.replicas = service.get("scale").and_then(|item| Some(item.told(values.number("scale", item)?)));
    candidate.bounds = Bounds {
        cpus: service.get("cpus").and_then(|item| cpus(values, "cpus", item)),
        memory_bytes: service.get("mem_limit").and_then(|item| memory(values, "mem_limit", item)),
        pids: service.get("pids_limit").and_then(|item| pids(values, "pids_limit", item)),
    };
    let Some(deploy) = deploy else { return };
    if let Some(mode) = deploy.get("mode").filter(|mode| mode.as_text() != Some("replicated")) {
        values.notes.lost("deploy.mode", mode);
    }
    let replicas = deploy.get("replicas").and_then(|item| Some(item.told(values.number("deploy.replicas", item)?)));
    candidate.replicas = one(values, ("scale", "deploy.replicas"), candidate.replicas.take(), replicas);
    if let Some(policy) = deploy.get("restart_policy") {
        restart_policy(values, policy, candidate);
    }
    limits(values, deploy, &mut candidate.bounds);
}

fn limits(values: &mut Values, deploy: &Item, bounds: &mut Bounds) {
    let Some(resources) = deploy.get("resources") else { return };
    if !values.keys("deploy.resources", resources, &keys::RESOURCES) {
        return;
    }
    let Some(limits) = resources.get("limits") else { return };
    if !values.keys("deploy.resources.limits", limits, &keys::LIMITS) {
        return;
    }
    let path = "deploy.resources.limits.cpus";
    let long = limits.get("cpus").and_then(|item| cpus(values, path, item));
    bounds.cpus = one(values, ("cpus", path), bounds.cpus.take(), long);
    let path = "deploy.resources.limits.memory";
    let long = limits.get("memory").and_then(|item| memory(values, path, item));
    bounds.memory_bytes = one(values, ("mem_limit", path), bounds.memory_bytes.take(), long);
    let path = "deploy.resources.limits.pids";
    let long = limits.get("pids").and_then(|item| pids(values, path, item));
    bounds.pids = one(values, ("pids_limit", path), bounds.pids.take(), long);
}

/// The one value that two keys say.
fn one<T: PartialEq>(
    values: &mut Values,
    (short_key, long_key): (&str, &str),
    short: Option<Told<T>>,
    long: Option<Told<T>>,
) -> Option<Told<T>> {
    if let (Some(short), Some(long)) = (&short, &long)
        && short.value != long.value
    {
        let message = format!("{short_key}: {long_key} says something else");
        values.notes.error(short.source.clone(), message, "keep one of the two");
    }
    long.or(short)
}

/// None where nothing is limited.
fn cpus(values: &mut Values, what: &str, item: &Arc<Item>) -> Option<Told<f64>> {
    values.cores(what, item).filter(|cores| *cores > 0.0).map(|cores| item.told(cores))
}

fn memory(values: &mut Values, what: &str, item: &Arc<Item>) -> Option<Told<u64>> {
    if item.as_text() == Some("-1") {
        return None;
    }
    values.size(what, item).filter(|bytes| *bytes > 0).map(|bytes| item.told(bytes))
}

fn pids(values: &mut Values, what: &str, item: &Arc<Item>) -> Option<Told<u32>> {
    if item.as_text() == Some("-1") {
        return None;
    }
    values.number(what, item).filter(|pids| *pids > 0).map(|pids| item.told(pids))
}

fn restart(values: &mut Values, item: &Item) -> Option<RestartPolicy> {
    let hint = "one of: no, always, on-failure, on-failure:3, unless-stopped";
    values.parsed("restart", item, ("a restart policy", hint), |text| {
        Some(match text {
            "no" | "" => RestartPolicy::No,
            "always" => RestartPolicy::Always,
            "unless-stopped" => RestartPolicy::UnlessStopped,
            "on-failure" => RestartPolicy::OnFailure { max_retries: None },
            _ => RestartPolicy::OnFailure { max_retries: Some(text.strip_prefix("on-failure:")?.parse().ok()?) },
        })
    })
}

fn restart_policy(values: &mut Values, policy: &Arc<Item>, candidate: &mut Candidate) {
    if !values.keys("deploy.restart_policy", policy, &keys::RESTART_POLICY) {
        return;
    }
    let attempts = policy.get("max_attempts");
    let attempts = attempts.and_then(|item| Some((values.number("deploy.restart_policy.max_attempts", item)?, item)));
    let condition = policy.get("condition").unwrap_or(policy);
    let said = condition.as_text().unwrap_or("any");
    let restart = match said {
        "none" => RestartPolicy::No,
        "on-failure" => RestartPolicy::OnFailure { max_retries: attempts.map(|(attempts, _)| attempts) },
        "any" => {
            if let Some((_, item)) = attempts {
                values.notes.lost("deploy.restart_policy.max_attempts", item);
            }
            RestartPolicy::Always
        }
        _ => {
            let path = "deploy.restart_policy.condition";
            values.wrong(path, condition, "a condition", "one of: none, on-failure, any");
            return;
        }
    };
    candidate.restart = Some(condition.told(restart));
    let delay = policy.get("delay");
    candidate.restart_delay = delay.and_then(|item| {
        let delay: Duration = values.duration("deploy.restart_policy.delay", item)?;
        Some(item.told(delay))
    });
}
