//! `HAProxy`: its statistics, by its page in CSV or its socket (<https://docs.haproxy.org/2.6/management.html#9.1>,
//! <https://docs.haproxy.org/2.6/management.html#9.3>).
//!
//! Options: `status` (the path of the page in CSV; `/haproxy?stats;csv`, `/stats;csv` and `/;csv` are tried unless told), `socket` (the path of its
//! statistics socket, asked rather than the page), and those of HTTP.
//!
//! Never: sends a command that changes anything.

mod stats;

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::{http, web};
use crate::model::exam::{Grade, Measure, Reading, Target, Trouble};
use stats::Stats;

/// Where the page usually lies.
const USUAL: [&str; 3] = ["/haproxy?stats;csv", "/stats;csv", "/;csv"];
/// Most that is read from the socket.
const MOST: u64 = 1 << 20;

/// Asks over the socket where there is one, over HTTP otherwise; a port that only has the page is well, too.
pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    if let Some(socket) = target.options.get("socket") {
        return command(socket, "show info").await.map(|_said| ());
    }
    match http::ready(&plain(target)).await {
        Err(Trouble::Unready(why)) if target.path.is_empty() => match page(target).await {
            Ok(Some(_page)) => Ok(()),
            Ok(None) | Err(_) => Err(Trouble::Unready(why)),
        },
        answer => answer,
    }
}

/// Reads the statistics of every frontend, backend and server.
pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    let mut reading = Reading::default();
    if let Some(socket) = target.options.get("socket") {
        let text = command(socket, "show stat").await?;
        let stats = Stats::parse(&text)
            .ok_or_else(|| Trouble::Foreign(format!("{} does not answer as HAProxy does", http::clause(socket))))?;
        let info = command(socket, "show info").await?;
        report_info(&info, &mut reading);
        stats.report(&mut reading);
        return Ok(reading);
    }
    if let Some((path, stats)) = page(target).await? {
        reading.server = Some(version(target, &path).await.unwrap_or_else(|| "HAProxy".to_owned()));
        stats.report(&mut reading);
        return Ok(reading);
    }
    reading = http::look(&plain(target)).await?;
    reading.remark(
        "status-page",
        Grade::Notice,
        "its page of statistics is not there: its backends and servers are not known",
        Some("add a frontend with stats enable and stats uri /stats, or name its socket with the option socket=PATH"),
    );
    Ok(reading)
}

/// Without what is ours.
fn plain(target: &Target) -> Target {
    let mut target = target.clone();
    if target.options.get("status").is_some_and(|value| value.starts_with('/')) {
        target.options.remove("status");
    }
    target
}

/// The statistics with the path where they are; none where none of the paths has them.
async fn page(target: &Target) -> Result<Option<(String, Stats)>, Trouble> {
    let told = target.options.get("status").filter(|path| path.starts_with('/'));
    let paths: Vec<String> = told.map_or_else(|| USUAL.map(str::to_owned).to_vec(), |path| vec![path.clone()]);
    let mut refused = None;
    for path in paths {
        let path = if path.ends_with(";csv") { path } else { format!("{path};csv") };
        let answer = web::get(target, &path).await?;
        if answer.status.as_u16() == 401 {
            refused = refused.or(Some(http::refusal(target, "haproxy", answer.status, &path)));
        } else if answer.status.is_success()
            && let Some(stats) = Stats::parse(&answer.text())
        {
            return Ok(Some((path, stats)));
        }
    }
    refused.map_or(Ok(None), Err)
}

/// The version, which only the page for people has: `HAProxy version 2.6.12-1, released 2023/10/09`.
async fn version(target: &Target, path: &str) -> Option<String> {
    let answer = web::get(target, path.strip_suffix(";csv")?).await.ok()?;
    let text = answer.text();
    let (_, behind) = text.split_once("HAProxy version ")?;
    let word: String = behind.chars().take_while(|c| !c.is_whitespace() && !matches!(c, ',' | '<')).take(60).collect();
    (!word.is_empty()).then(|| http::clause(&format!("HAProxy {word}")))
}

/// One command and its answer.
async fn command(socket: &str, words: &str) -> Result<String, Trouble> {
    let shown = http::clause(socket);
    let talk = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{words}\n").as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.take(MOST).read_to_end(&mut bytes).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let said = talk.await.map_err(|error: io::Error| {
        let is = |kind: io::ErrorKind| error.kind() == kind;
        if is(io::ErrorKind::PermissionDenied) {
            Trouble::Refused(format!(
                "the socket {shown} lets nobody in but its owner: see its mode in the configuration"
            ))
        } else if is(io::ErrorKind::NotFound) {
            Trouble::Unreachable(format!("there is no socket {shown}"))
        } else if is(io::ErrorKind::ConnectionRefused) {
            Trouble::Unreachable(format!("nobody listens on the socket {shown}"))
        } else {
            Trouble::Unreachable(format!("the socket {shown} does not answer: {error}"))
        }
    })?;
    if said.contains("Permission denied") && said.len() < 200 {
        return Err(Trouble::Refused(format!(
            "the socket {shown} does not permit \"{words}\": give it level operator or user"
        )));
    }
    let is_known = said.starts_with("Name: HAProxy") || said.starts_with("# pxname");
    if is_known { Ok(said) } else { Err(Trouble::Foreign(format!("{shown} does not answer as HAProxy does"))) }
}

/// What `show info` adds.
fn report_info(info: &str, reading: &mut Reading) {
    let of = |key: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim))
            .filter(|value| !value.is_empty())
    };
    let number = |key: &str| of(key).and_then(|value| value.parse::<f64>().ok());
    reading.server = Some(http::clause(&format!("HAProxy {}", of("Version").unwrap_or_default())));
    if let Some(connections) = number("CurrConns") {
        let limit = number("Maxconn").filter(|most| *most > 0.0);
        reading.measure(Measure { limit, ..Measure::new("connections", connections) });
    }
    if let Some(idle) = number("Idle_pct") {
        reading.measure(Measure::new("busy", 1.0 - idle / 100.0));
    }
    if let Some(uptime) = number("Uptime_sec") {
        reading.measure(Measure::new("uptime", uptime));
    }
}
