//! Whatever exposes metrics in Prometheus's text format, and Prometheus and Alertmanager themselves, which are asked more.
//!
//! The path of the target is that of its metrics, `metrics` unless told. No options. Prometheus's own API:
//! <https://prometheus.io/docs/prometheus/latest/querying/api/> and <https://prometheus.io/docs/prometheus/latest/management_api/>.
//!
//! Never: takes a page of HTML for metrics; reads more than a MiB of them.

mod exposition;
mod figures;
mod server;

use reqwest::StatusCode;

use super::{
    http::{accepted, clause, first_words},
    web,
};
use crate::{
    model::exam::{Grade, Measure, Reading, Target, Trouble},
    world::clock,
};
use exposition::Metrics;

/// Asks for the metrics; Prometheus and Alertmanager also whether they are ready, which they are not while they replay their log.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let text = metrics_text(target).await?;
    let metrics = understood(target, &text)?;
    if !server::has_management(&metrics) {
        return Ok(());
    }
    let path = format!("{}/-/ready", prefix(target));
    let answer = web::get(target, &path).await?;
    match answer.status {
        StatusCode::NOT_FOUND => Ok(()),
        _ => accepted(&answer, target, "prometheus", &path),
    }
}

/// Reads what the metrics say of their process, its requests, its pools, and its machine.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let begun = clock::now();
    let text = metrics_text(target).await?;
    let took = clock::now().since(begun);
    let metrics = understood(target, &text)?;
    let mut reading = Reading { server: figures::server(&metrics), ..Reading::default() };
    reading.measure(Measure::new("scrape-time", took.as_secs_f64()));
    reading.measure(Measure::new("samples", metrics.len() as f64));
    if text.len() >= web::BODY_BYTES {
        reading.remark(
            "samples",
            Grade::Notice,
            "its metrics are longer than 1 MiB: only the first are judged",
            Some("expose fewer labels, or a smaller page of metrics"),
        );
    }
    if let Some(line) = metrics.wrong() {
        let sentence = format!("a line of its metrics cannot be understood: {line}");
        reading.remark(
            "samples",
            Grade::Warning,
            sentence,
            Some("Prometheus drops the whole page then: correct the exporter"),
        );
    }
    let now = begun.wall_us as f64 / 1e6;
    figures::process(&metrics, now, &mut reading);
    figures::requests(&metrics, &mut reading);
    figures::runtimes(&metrics, &mut reading);
    figures::machine(&metrics, &mut reading);
    if server::has_management(&metrics) {
        server::look(target, &prefix(target), &metrics, &mut reading).await;
    }
    Ok(reading)
}

fn path(target: &Target) -> String {
    let path = target.path.trim_matches('/');
    format!("/{}", if path.is_empty() { "metrics" } else { path })
}

/// What stands before `/metrics`, where it is served below a path; empty where not.
fn prefix(target: &Target) -> String {
    path(target).strip_suffix("/metrics").unwrap_or_default().to_owned()
}

async fn metrics_text(target: &Target) -> Result<String, Trouble> {
    let path = path(target);
    let answer = web::get(target, &path).await?;
    if answer.status == StatusCode::NOT_FOUND {
        let place = target.place();
        return Err(Trouble::Foreign(format!(
            "{place} has no metrics at {path} (404): name their path in its check, as prometheus://{place}/actuator/prometheus"
        )));
    }
    accepted(&answer, target, "prometheus", &path)?;
    let mut text = answer.text();
    if answer.body.len() >= web::BODY_BYTES
        && let Some(end) = text.rfind('\n')
    {
        // The last line is not whole. Its room is kept, so that it is still known that something was cut off.
        text.replace_range(end.., &"\n".repeat(text.len() - end));
    }
    Ok(text)
}

fn understood<'t>(target: &Target, text: &'t str) -> Result<Metrics<'t>, Trouble> {
    let metrics = Metrics::parse(text);
    if metrics.len() == 0 && metrics.wrong().is_some() {
        return Err(Trouble::Foreign(clause(&format!(
            "{} answers {} in another form than Prometheus's metrics{}",
            target.place(),
            path(target),
            first_words(text)
        ))));
    }
    Ok(metrics)
}
