//! PHP-FPM over `FastCGI`: its `ping.path`, and its pool by `pm.status_path` (<https://www.php.net/manual/en/fpm.status.php>,
//! <https://www.php.net/manual/en/install.fpm.configuration.php>).
//!
//! Options: `ping` (`/ping` unless told), `status` (`/status` unless told), `socket` (the path of its unix socket, asked rather than host and port),
//! `max-children` (its `pm.max_children`, which its status does not tell).
//!
//! Never: runs a script.

mod fastcgi;

use serde_json::Value;

use super::http::{clause, first_words};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};
use fastcgi::Response;

/// What of a status is told as it stands there: measure, key.
const FIGURES: [(&str, &str); 4] = [
    ("max-children-reached", "max children reached"),
    ("slow-requests", "slow requests"),
    ("accepted", "accepted conn"),
    ("uptime", "start since"),
];

/// Asks for `ping.path`. Where that is not set, an answer in its protocol is enough.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    let path = option(target, "ping", "/ping");
    let response = fastcgi::ask(target, &path, "").await?;
    match response.status {
        200..=299 | 403 | 404 => Ok(()),
        status => Err(Trouble::Unready(format!(
            "{} answers {status} for {path}{}",
            fastcgi::place(target),
            first_words(&response.text())
        ))),
    }
}

/// Reads the status of the pool that is asked, with what each of its processes does.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let path = option(target, "status", "/status");
    let response = fastcgi::ask(target, &path, "json&full").await?;
    let mut reading = Reading { server: server(&response), ..Reading::default() };
    let status = serde_json::from_slice::<Value>(&response.body).ok().filter(|value| value.get("pool").is_some());
    let Some(status) = status.filter(|_| response.status == 200) else {
        let sentence =
            format!("its pool tells no status at {path} ({}{})", response.status, first_words(&response.text()));
        reading.remark(
            "status-page",
            Grade::Notice,
            sentence,
            Some("set pm.status_path = /status and ping.path = /ping in its pool"),
        );
        return Ok(reading);
    };
    let number = |key: &str| status.get(key).and_then(Value::as_f64);
    let pool = clause(status["pool"].as_str().unwrap_or_default());
    let manager = status["process manager"].as_str().unwrap_or_default();
    if let (Some(active), Some(total)) = (number("active processes"), number("total processes")) {
        let told = target.options.get("max-children").and_then(|text| text.parse::<f64>().ok());
        // Once it has been reached, the most that were busy at once is the limit itself; `static` always has all of them.
        let reached =
            number("max children reached").filter(|times| *times > 0.0).and_then(|_| number("max active processes"));
        let limit = told.or_else(|| (manager == "static").then_some(total)).or(reached.map(|most| most.max(total)));
        let about = format!("pool {pool}, {total} processes ({})", clause(manager));
        reading.measure(Measure { limit, ..Measure::new("active", active).about(about) });
    }
    if let Some(queue) = number("listen queue") {
        let limit = number("listen queue len").filter(|most| *most > 0.0);
        reading.measure(Measure { limit, ..Measure::new("queue", queue) });
    }
    for (name, key) in FIGURES {
        if let Some(value) = number(key) {
            reading.measure(Measure::new(name, value));
        }
    }
    if let Some(longest) = longest(&status, &path) {
        reading.measure(longest);
    }
    Ok(reading)
}

fn option(target: &Target, name: &str, usual: &str) -> String {
    let told = target.options.get(name).map_or(usual, String::as_str);
    format!("/{}", told.trim_start_matches('/'))
}

fn server(response: &Response) -> Option<String> {
    let by = response.header("x-powered-by")?;
    Some(clause(&by.replacen('/', " ", 1)))
}

/// The request that runs longest, other than the question for the status itself.
fn longest(status: &Value, path: &str) -> Option<Measure> {
    let processes = status.get("processes")?.as_array()?;
    let running = processes.iter().filter(|one| one["state"] == "Running").filter(|one| {
        let address = one["request uri"].as_str().unwrap_or_default();
        !address.starts_with(path)
    });
    let times = running.filter_map(|one| Some((one["request duration"].as_f64()? / 1e6, one)));
    let (time, one) = times.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let word = |key: &str| one[key].as_str().unwrap_or_default();
    let about = format!("pid {}: {} {}", one["pid"].as_u64().unwrap_or(0), word("request method"), word("request uri"));
    Some(Measure::new("longest-request", time).about(clause(&about)))
}
