//! Prometheus and Alertmanager themselves. Never: more than [`NAMED`] targets or rules by name.

use serde_json::Value;

use super::{
    super::{http::first_words, web},
    clause,
    exposition::Metrics,
};
use crate::model::exam::{Grade, Measure, Reading, Target};

/// Most targets and rules that are named.
const NAMED: usize = 5;

/// Counters of failures: measure, metric.
const COUNTERS: [(&str, &str); 6] = [
    ("compaction-failures", "prometheus_tsdb_compactions_failed_total"),
    ("wal-corruptions", "prometheus_tsdb_wal_corruptions_total"),
    ("rule-failures", "prometheus_rule_evaluation_failures_total"),
    ("notifications-dropped", "prometheus_notifications_dropped_total"),
    ("notifications-failed", "alertmanager_notifications_failed_total"),
    ("missed-evaluations", "prometheus_rule_group_iterations_missed_total"),
];

/// Whether these are metrics of a server that has a management API.
pub(super) fn has_management(metrics: &Metrics<'_>) -> bool {
    metrics.has("prometheus_build_info") || metrics.has("alertmanager_build_info")
}

/// Adds what such a server tells of itself.
pub(super) async fn look(target: &Target, prefix: &str, metrics: &Metrics<'_>, reading: &mut Reading) {
    for state in ["healthy", "ready"] {
        let path = format!("{prefix}/-/{state}");
        if let Ok(answer) = web::get(target, &path).await
            && answer.status.is_server_error()
        {
            let sentence = format!("it is not {state}: {}{}", answer.status.as_str(), first_words(&answer.text()));
            reading.remark("ready", Grade::Critical, sentence, Some("it may still replay its log: see its output"));
        }
    }
    for (name, metric) in COUNTERS {
        if let Some(value) = metrics.sum(metric) {
            reading.measure(Measure::new(name, value));
        }
    }
    for metric in ["prometheus_config_last_reload_successful", "alertmanager_config_last_reload_successful"] {
        if metrics.sum(metric) == Some(0.0) {
            reading.remark(
                "configuration",
                Grade::Critical,
                "its configuration could not be loaded: it goes on with the one before",
                Some("promtool check config FILE (amtool check-config FILE) says what is wrong"),
            );
        }
    }
    if let (Some(length), Some(most)) =
        (metrics.sum("prometheus_notifications_queue_length"), metrics.sum("prometheus_notifications_queue_capacity"))
    {
        reading.measure(Measure::new("notifications-queue", length).of(most));
    }
    if metrics.has("prometheus_build_info") {
        targets(target, prefix, reading).await;
        rules(target, prefix, reading).await;
    }
}

async fn api(target: &Target, path: &str, reading: &mut Reading) -> Option<Value> {
    match web::json(target, path).await {
        Ok(value) => Some(value),
        Err(trouble) => {
            let sentence = format!("its API does not say more: {}", clause(&trouble.to_string()));
            reading.remark("api", Grade::Notice, sentence, None);
            None
        }
    }
}

async fn targets(target: &Target, prefix: &str, reading: &mut Reading) {
    let Some(answer) = api(target, &format!("{prefix}/api/v1/targets?state=active"), reading).await else { return };
    let empty = Vec::new();
    let active = answer.pointer("/data/activeTargets").and_then(Value::as_array).unwrap_or(&empty);
    let word =
        |value: &Value, pointer: &str| clause(value.pointer(pointer).and_then(Value::as_str).unwrap_or_default());
    let down: Vec<_> = active.iter().filter(|one| one["health"] == "down").collect();
    let mut measure = Measure::new("targets-down", down.len() as f64).of(active.len() as f64);
    if let Some(first) = down.first() {
        measure = measure.about(word(first, "/scrapeUrl"));
    }
    reading.measure(measure);
    for one in down.iter().take(NAMED) {
        let sentence = format!(
            "{} of job {} is down: {}",
            word(one, "/scrapeUrl"),
            word(one, "/labels/job"),
            word(one, "/lastError")
        );
        reading.remark(
            "targets",
            Grade::Warning,
            clause(&sentence),
            Some("see whether it runs, and whether its address is right"),
        );
    }
}

async fn rules(target: &Target, prefix: &str, reading: &mut Reading) {
    let Some(answer) = api(target, &format!("{prefix}/api/v1/rules"), reading).await else { return };
    let groups = answer.pointer("/data/groups").and_then(Value::as_array).into_iter().flatten();
    let rules: Vec<_> = groups.filter_map(|group| group["rules"].as_array()).flatten().collect();
    let firing = rules.iter().filter(|rule| rule["state"] == "firing").count();
    reading.measure(Measure::new("alerts", firing as f64));
    let failing: Vec<_> = rules.iter().filter(|rule| rule["health"] == "err").collect();
    reading.measure(Measure::new("rules-failing", failing.len() as f64).of(rules.len() as f64));
    for rule in failing.iter().take(NAMED) {
        let word = |key: &str| clause(rule[key].as_str().unwrap_or_default());
        let sentence = format!("the rule {} cannot be evaluated: {}", word("name"), word("lastError"));
        reading.remark("rules", Grade::Warning, clause(&sentence), Some("correct it; promtool check rules FILE"));
    }
}
