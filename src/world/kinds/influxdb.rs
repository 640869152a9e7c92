//! `InfluxDB` 1.x and 2.x over HTTP (<https://docs.influxdata.com/influxdb/v1/tools/api/>, <https://docs.influxdata.com/influxdb/v2/api/>).
//!
//! The password alone is a token of 2.x; user and password are those of 1.x. No options.
//!
//! Never: writes a point.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{
    http::{accepted, clause, refusal},
    web::{self, Answer},
};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};

/// Counters of 1.x, below `/debug/vars`: measure, module, value.
const COUNTERS: [(&str, &str, &str); 9] = [
    ("write-errors", "write", "writeError"),
    ("points-dropped", "write", "writeDrop"),
    ("write-timeouts", "write", "writeTimeout"),
    ("points-written", "write", "pointReq"),
    ("requests", "httpd", "req"),
    ("server-errors", "httpd", "serverError"),
    ("client-errors", "httpd", "clientError"),
    ("authentication-failures", "httpd", "authFail"),
    ("queries-running", "queryExecutor", "queriesActive"),
];
/// Metrics of 2.x: measure, metric.
const METRICS: [(&str, &str); 6] = [
    ("series", "storage_bucket_series_num"),
    ("write-timeouts", "storage_writer_timeouts"),
    ("points-dropped", "storage_writer_dropped_points_sum"),
    ("write-errors", "storage_writer_err_points_sum"),
    ("points-written", "storage_writer_ok_points_sum"),
    ("heap", "go_memstats_heap_inuse_bytes"),
];

/// Asks for `/ping`, and as whom credentials are given, whether they are let in.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let version = ping(target).await?;
    if version.starts_with('1') || version.starts_with('v') && !version.starts_with("v2") {
        if target.user.is_some() {
            let path = "/query?q=SHOW%20DATABASES";
            accepted(&web::get(target, path).await?, target, "influxdb", path)?;
        }
        return Ok(());
    }
    let health = web::get(&nobody(target), "/health").await?;
    if let Ok(said) = health.json(target)
        && said["status"] == "fail"
    {
        let why = clause(said["message"].as_str().unwrap_or_default());
        return Err(Trouble::Unready(format!("{} says that it fails: {why}", target.place())));
    }
    if target.password.is_some() {
        let path = "/api/v2/buckets?limit=1";
        accepted(&with_token(target, path).await?, target, "influxdb", path)?;
    }
    Ok(())
}

/// Reads what it counts.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let version = ping(target).await?;
    let mut reading = Reading { server: Some(clause(&format!("InfluxDB {version}"))), ..Reading::default() };
    let answer = web::get(target, "/debug/vars").await?;
    let vars = answer.status.is_success().then(|| answer.json(target)).and_then(Result::ok);
    if let Some(vars) = vars.filter(|vars| vars.get("runtime").is_some()) {
        first_generation(&vars, &mut reading);
        return Ok(reading);
    }
    if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(refusal(target, "influxdb", answer.status, "/debug/vars"));
    }
    let metrics = web::get(&nobody(target), "/metrics").await?;
    if metrics.status.is_success() {
        second_generation(&metrics.text(), &mut reading);
    } else {
        let sentence = "it tells nothing of itself: neither /debug/vars (1.x) nor /metrics (2.x) is there";
        reading.remark(
            "figures",
            Grade::Notice,
            sentence,
            Some("1.x: pprof-enabled = true in [http]; 2.x: without metrics-disabled"),
        );
    }
    health(target, &mut reading).await;
    Ok(reading)
}

/// The version, as `/ping` tells it.
async fn ping(target: &Target) -> Result<String, Trouble> {
    let place = target.place();
    let answer = web::get(&nobody(target), "/ping").await?;
    let version = answer.headers.get("x-influxdb-version").and_then(|value| value.to_str().ok());
    match (answer.status.as_u16(), version) {
        (200 | 204, Some(version)) => Ok(clause(version)),
        (503, _) => Err(Trouble::Unready(format!("{place} says that it cannot serve: status 503 for /ping"))),
        (_, Some(_)) => Err(Trouble::Unready(format!(
            "{place} answers {} for /ping, where 204 is expected",
            answer.status.as_str()
        ))),
        (_, None) => {
            Err(Trouble::Foreign(format!("{place} answers over HTTP and is no InfluxDB: no X-Influxdb-Version")))
        }
    }
}

/// A health check, a password and metrics need nobody's name.
fn nobody(target: &Target) -> Target {
    Target { user: None, password: None, ..target.clone() }
}

/// 2.x wants `Authorization: Token …`.
async fn with_token(target: &Target, path: &str) -> Result<Answer, Trouble> {
    let token = target.password.as_ref().map(|hidden| format!("Token {}", hidden.0)).unwrap_or_default();
    web::ask(Method::GET, &nobody(target), path, &[("authorization", &token)], None).await
}

async fn health(target: &Target, reading: &mut Reading) {
    let Ok(answer) = web::get(&nobody(target), "/health").await else { return };
    let Ok(said) = answer.json(target) else { return };
    if said["status"] == "fail" {
        let why = clause(said["message"].as_str().unwrap_or_default());
        reading.remark("health", Grade::Critical, format!("it says that it fails: {why}"), Some("see its log"));
    }
}

/// `/debug/vars`: an object of modules, each with `name`, `tags` and `values`.
fn first_generation(vars: &Value, reading: &mut Reading) {
    let modules: Vec<_> = vars.as_object().into_iter().flat_map(|object| object.values()).collect();
    let of = |module: &'static str| modules.iter().filter(move |one| one["name"] == module);
    let sum = |module: &'static str, key: &str| {
        let found: Vec<_> = of(module).filter_map(|one| one["values"].get(key)?.as_f64()).collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>())
    };
    for (name, module, key) in COUNTERS {
        if let Some(value) = sum(module, key) {
            reading.measure(Measure::new(name, value));
        }
    }
    let largest = of("database")
        .filter_map(|one| Some((one["values"]["numSeries"].as_f64()?, one["tags"]["database"].as_str()?)))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((most, name)) = largest {
        let total = sum("database", "numSeries").unwrap_or(most);
        reading.measure(Measure::new("series", total).about(format!("{most} of them in {}", clause(name))));
    }
    if let Some(bytes) = sum("shard", "diskBytes") {
        reading.measure(Measure::new("disk", bytes));
    }
    for (name, module, key) in [("heap", "runtime", "HeapInUse"), ("goroutines", "runtime", "NumGoroutine")] {
        if let Some(value) = sum(module, key) {
            reading.measure(Measure::new(name, value));
        }
    }
    if let Some(bytes) = sum("tsm1_cache", "memBytes") {
        reading.measure(Measure::new("cache", bytes));
    }
}

/// `/metrics` of 2.x: sums over all label sets.
fn second_generation(text: &str, reading: &mut Reading) {
    for (name, metric) in METRICS {
        let lines = text.lines().filter(|line| {
            line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
        });
        let values: Vec<f64> = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect();
        if !values.is_empty() {
            reading.measure(Measure::new(name, values.iter().sum()));
        }
    }
}
