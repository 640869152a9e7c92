//! etcd: its HTTP API. `/health`, `/version` and `/metrics` (<https://etcd.io/docs/v3.5/op-guide/monitoring/>) and the JSON gateway of the gRPC API
//! (<https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/>), below `/v3`, `/v3beta` or `/v3alpha`, whichever is there.
//!
//! Never: writes a key. Alarms are listed only where it says that it is not healthy, as that request goes through its log.

use reqwest::Method;
use serde_json::{Value, json};

use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

use super::{
    web::{self, Answer},
    words::{self, figure, list, word},
};

const PREFIXES: [&str; 3] = ["/v3", "/v3beta", "/v3alpha"];
/// What etcd takes where no quota is set: 2 GiB (<https://etcd.io/docs/v3.5/dev-guide/limit/>).
const USUAL_QUOTA: f64 = 2.0 * 1024.0 * 1024.0 * 1024.0;

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let plain = anonymous(target);
    let answer = web::get(&plain, "/health").await?;
    let told = health(&answer, target)?;
    if !told.0 {
        let why = if told.1.is_empty() { "no leader, or an alarm" } else { &told.1 };
        return Err(Trouble::Unready(format!("{} says that it is not healthy: {why}", target.place())));
    }
    if target.password.is_some() {
        log_in(&plain, target).await?;
    }
    Ok(())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let plain = anonymous(target);
    let mut reading = Reading::default();
    let answer = web::get(&plain, "/health").await?;
    let (is_healthy, why) = health(&answer, target)?;
    let version = web::json(&plain, "/version").await?;
    reading.server = Some(words::said(&format!("etcd {}", word(&version, "etcdserver"))));
    let token = if target.password.is_some() { log_in(&plain, target).await? } else { None };
    if !is_healthy {
        unhealthy(&plain, token.as_deref(), &why, &mut reading).await;
    }
    let text = web::get(&plain, "/metrics").await.map(|answer| answer.text()).unwrap_or_default();
    let metrics = Metrics(&text);
    match ask(&plain, token.as_deref(), "/maintenance/status", &json!({})).await {
        Ok(told) => status(&told, &metrics, &mut reading),
        Err(trouble) => {
            reading.remark("status", Grade::Notice, format!("its status is not told: {trouble}"), None);
        }
    }
    counters(&metrics, &mut reading);
    Ok(reading)
}

/// Why it is not healthy: its alarms, or what it says itself.
async fn unhealthy(plain: &Target, token: Option<&str>, why: &str, reading: &mut Reading) {
    match ask(plain, token, "/maintenance/alarm", &json!({"action": "GET"})).await {
        Ok(told) => alarms(&told, reading),
        Err(trouble) => {
            let advice =
                "where authentication is on it may be that only root can list them: write its password into the check";
            reading.remark("alarm", Grade::Notice, format!("alarms are not told: {trouble}"), Some(advice));
        }
    }
    if !reading.remarks.iter().any(|remark| remark.grade == Grade::Critical) {
        let why = if why.is_empty() { "no leader, or an alarm" } else { why };
        let advice = "see whether most members run and reach each other";
        reading.remark("health", Grade::Critical, format!("it says that it is not healthy: {why}"), Some(advice));
    }
}

/// The target without user and password: they are no HTTP credentials here.
fn anonymous(target: &Target) -> Target {
    Target { user: None, password: None, ..target.clone() }
}

/// Whether it says that it is healthy, and why not. 503 is an answer too.
fn health(answer: &Answer, target: &Target) -> Result<(bool, String), Trouble> {
    let place = target.place();
    let told = answer.json(target).unwrap_or_default();
    // A text in all versions; a boolean in the ones before 3.0.
    let is = match told.get("health") {
        Some(Value::Bool(is)) => *is,
        Some(Value::String(text)) => text == "true",
        Some(Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => {
            web::accepted(answer, target, "/health")?;
            return Err(Trouble::Foreign(format!("{place} does not answer /health as etcd does")));
        }
    };
    Ok((is, words::said(word(&told, "reason"))))
}

/// A token; none where authentication is off (<https://etcd.io/docs/v3.5/op-guide/authentication/rbac/>).
async fn log_in(plain: &Target, target: &Target) -> Result<Option<String>, Trouble> {
    let user = target.user.as_deref().unwrap_or("root");
    let password = target.password.as_ref().map_or("", |hidden| hidden.0.as_str());
    match ask(plain, None, "/auth/authenticate", &json!({"name": user, "password": password})).await {
        Ok(told) => Ok(Some(word(&told, "token").to_owned()).filter(|token| !token.is_empty())),
        Err(Trouble::Refused(why)) if why.contains("authentication is not enabled") => Ok(None),
        Err(Trouble::Refused(why)) => {
            let (place, user) = (target.place(), words::said(user));
            let why = words::hushed(&why, target);
            Err(Trouble::Refused(format!("{place} refuses user {user} with the password it was given: {why}")))
        }
        Err(trouble) => Err(trouble),
    }
}

/// Asks the gateway; what it refuses in its own words is [`Trouble::Refused`] with them.
async fn ask(plain: &Target, token: Option<&str>, path: &str, body: &Value) -> Result<Value, Trouble> {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(token.map(|token| ("authorization", token)));
    for prefix in PREFIXES {
        let path = format!("{prefix}{path}");
        let answer = web::ask(Method::POST, plain, &path, &headers, Some(body.to_string().into_bytes())).await?;
        if answer.status.as_u16() == 404 {
            continue;
        }
        let told = answer.json(plain);
        if answer.status.is_success() {
            return told;
        }
        let said = told.as_ref().map(|told| words::said(word(told, "error"))).unwrap_or_default();
        let (place, status) = (plain.place(), answer.status.as_u16());
        return Err(match status {
            503 => Trouble::Unready(format!("{place} cannot serve {path}: {said}")),
            _ if said.is_empty() => Trouble::Foreign(format!("{place} answers {path} with status {status}")),
            _ => Trouble::Refused(said),
        });
    }
    Err(Trouble::Foreign(format!("{} has no JSON gateway below /v3", plain.place())))
}

/// Alarms: <https://etcd.io/docs/v3.5/op-guide/maintenance/#space-quota>, <https://etcd.io/docs/v3.5/op-guide/data_corruption/>.
fn alarms(told: &Value, reading: &mut Reading) {
    for alarm in list(told, "alarms").iter().take(16) {
        let (kind, member) = (words::said(word(alarm, "alarm")), words::said(word(alarm, "memberID")));
        let (sentence, advice) = match kind.as_str() {
            "NOSPACE" => (
                format!("member {member} is full (alarm NOSPACE): the cluster only takes reads and deletions"),
                "compact, then etcdctl defrag, then etcdctl alarm disarm; raise --quota-backend-bytes if it is to hold more",
            ),
            "CORRUPT" => (
                format!("member {member} holds other data than the others (alarm CORRUPT)"),
                "remove that member, empty its directory and add it anew",
            ),
            _ => (format!("member {member} has the alarm {kind}"), "see etcdctl alarm list"),
        };
        reading.remark("alarm", Grade::Critical, sentence, Some(advice));
    }
}

fn status(told: &Value, metrics: &Metrics<'_>, reading: &mut Reading) {
    let size = figure(told, "dbSize").unwrap_or(0.0);
    let quota = metrics.value("etcd_server_quota_backend_bytes").filter(|quota| *quota > 0.0).unwrap_or(USUAL_QUOTA);
    reading.measure(Measure::new("db-size", size).of(quota));
    if let Some(used) = figure(told, "dbSizeInUse").filter(|_| size > 0.0) {
        reading.measure(Measure::new("db-free-share", ((size - used) / size).max(0.0)));
    }
    if let (Some(index), Some(applied)) = (figure(told, "raftIndex"), figure(told, "raftAppliedIndex")) {
        reading.measure(Measure::new("raft-lag", (index - applied).max(0.0)));
    }
    let leader = word(told, "leader");
    if leader.is_empty() || leader == "0" {
        let advice = "most members must run and reach each other on their peer port";
        reading.remark("leader", Grade::Critical, "its cluster has no leader: nothing can be written", Some(advice));
    }
    if told.get("isLearner").and_then(Value::as_bool) == Some(true) {
        let advice = "etcdctl member promote, as soon as it has caught up";
        reading.remark("leader", Grade::Notice, "it is a learner: it does not vote", Some(advice));
    }
    for error in list(told, "errors").iter().filter_map(Value::as_str).take(4) {
        reading.remark("errors", Grade::Warning, format!("it reports: {}", words::said(error)), None);
    }
}

fn counters(metrics: &Metrics<'_>, reading: &mut Reading) {
    for (name, metric) in [
        ("leader-changes", "etcd_server_leader_changes_seen_total"),
        ("proposals-pending", "etcd_server_proposals_pending"),
        ("proposals-failed", "etcd_server_proposals_failed_total"),
        ("slow-applies", "etcd_server_slow_apply_total"),
        ("memory", "process_resident_memory_bytes"),
    ] {
        if let Some(value) = metrics.value(metric) {
            reading.measure(Measure::new(name, value));
        }
    }
    if let Some(open) = metrics.value("process_open_fds") {
        let measure = Measure::new("file-descriptors", open);
        reading.measure(match metrics.value("process_max_fds") {
            Some(most) if most > 0.0 => measure.of(most),
            _ => measure,
        });
    }
    for (name, metric) in
        [("fsync", "etcd_disk_wal_fsync_duration_seconds"), ("commit", "etcd_disk_backend_commit_duration_seconds")]
    {
        if let Some((bound, count)) = metrics.percentile(metric, 0.99) {
            reading.measure(Measure::new(name, bound).about(format!("99 of 100 of {count} since its start")));
        }
    }
}

/// The exposition format (<https://prometheus.io/docs/instrumenting/exposition_formats/>), as far as etcd's own figures need it.
struct Metrics<'a>(&'a str);

impl Metrics<'_> {
    /// A figure without labels.
    fn value(&self, name: &str) -> Option<f64> {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.trim().parse::<f64>().ok().filter(|value| value.is_finite())
    }

    /// The upper bound of the bucket in which the share of a histogram lies, in its unit, and how many it has counted; none where it counted none.
    /// What lies above the last bucket is said to be at its bound.
    fn percentile(&self, name: &str, share: f64) -> Option<(f64, f64)> {
        let count = self.value(&format!("{name}_count")).filter(|count| *count > 0.0)?;
        let bucket = format!("{name}_bucket{{le=\"");
        let buckets = self.0.lines().filter_map(|line| {
            let (bound, rest) = line.strip_prefix(&bucket)?.split_once("\"}")?;
            Some((bound.parse::<f64>().ok()?, rest.trim().parse::<f64>().ok()?))
        });
        let mut last = None;
        for (bound, below) in buckets.filter(|(bound, _)| bound.is_finite()) {
            last = Some((bound, count));
            if below >= share * count {
                break;
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn figures_and_percentiles_are_read_from_the_exposition() {
        let text = "# HELP x y\nx_total 3\nx 1.5e+03\nh_bucket{le=\"0.001\"} 90\nh_bucket{le=\"0.002\"} 99\nh_bucket{le=\"0.004\"} 100\n\
                    h_bucket{le=\"+Inf\"} 100\nh_sum 0.1\nh_count 100\n";
        let metrics = Metrics(text);
        assert_eq!(metrics.value("x"), Some(1500.0));
        assert_eq!(metrics.value("x_tot"), None);
        assert_eq!(metrics.percentile("h", 0.99), Some((0.002, 100.0)));
        assert_eq!(metrics.percentile("h", 0.5), Some((0.001, 100.0)));
        assert_eq!(metrics.percentile("none", 0.5), None);
    }
}
