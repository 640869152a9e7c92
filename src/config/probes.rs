//! Probes of a service: ours and compose's `healthcheck`. Never: puts one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    command::{self, Surroundings},
    ports::parse_port,
    reader::{Fields, Reader},
    schema,
    tree::{Node, Shape},
};
use crate::model::{
    probe::{Check, Probe, ProbeKind},
    service::CommandLine,
};

/// Shortest interval and timeout.
const SHORTEST: Duration = Duration::from_millis(100);

/// All probes of a service.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    surroundings: Surroundings<'_>,
) -> BTreeMap<ProbeKind, Arc<Probe>> {
    let mut probes = BTreeMap::new();
    for kind in ProbeKind::ALL {
        if let Some(node) = fields.get(kind.label())
            && let Some(probe) = probe(reader, kind, node, surroundings)
        {
            probes.insert(kind, Arc::new(probe));
        }
    }
    if let Some(node) = fields.get("healthcheck") {
        let probe = healthcheck(reader, node, surroundings);
        if fields.get("readiness").is_some() {
            reader.error(
                node.at,
                "healthcheck: there is a readiness probe, too",
                "they say the same: keep one of them",
            );
        } else if let Some(probe) = probe {
            probes.insert(ProbeKind::Readiness, Arc::new(probe));
        }
    }
    probes
}

fn probe(reader: &mut Reader<'_>, kind: ProbeKind, node: &Node, surroundings: Surroundings<'_>) -> Option<Probe> {
    let what = kind.label();
    let fields = reader.fields(what, node, &schema::PROBE)?;
    let check = check(reader, kind, &fields, surroundings);
    let rhythm = rhythm(reader, kind, &fields);
    Some(rhythm.with(check?))
}

/// A probe but for its question.
struct Rhythm {
    interval: Duration,
    timeout: Duration,
    retries: u32,
    successes: u32,
    start_period: Duration,
    heals: bool,
    honest: bool,
}

impl Rhythm {
    fn with(self, check: Check) -> Probe {
        let Self { interval, timeout, retries, successes, start_period, heals, honest } = self;
        Probe { check, interval, timeout, retries, successes, start_period, heals, honest }
    }
}

fn rhythm(reader: &mut Reader<'_>, kind: ProbeKind, fields: &Fields<'_>) -> Rhythm {
    let (interval, retries) = match kind {
        ProbeKind::Startup => (Duration::from_secs(1), 60),
        ProbeKind::Readiness | ProbeKind::Liveness => (Duration::from_secs(10), 3),
    };
    let mut duration = |key: &str, least: Duration, default: Duration| {
        fields.get(key).and_then(|node| reader.duration(key, node, least)).unwrap_or(default)
    };
    let interval = duration("interval", SHORTEST, interval);
    let timeout = duration("timeout", SHORTEST, Duration::from_secs(5));
    let start_period = duration("start_period", Duration::ZERO, Duration::ZERO);
    let mut number =
        |key: &str, default: u32| fields.get(key).and_then(|node| reader.number(key, node, 1)).unwrap_or(default);
    let retries = number("retries", retries);
    let successes = number("successes", 1);
    if let Some(written) = fields.get("timeout")
        && timeout > interval
    {
        reader.note(
            written.at,
            format!(
                "{}: its timeout of {} is longer than its interval of {}",
                kind.label(),
                humantime::format_duration(timeout),
                humantime::format_duration(interval)
            ),
            "rounds never overlap, so a hanging one delays the next",
        );
    }
    let heals =
        kind == ProbeKind::Readiness && fields.get("heals").and_then(|node| reader.truth("heals", node)) == Some(true);
    let honest = fields.get("honest").and_then(|node| reader.truth("honest", node)) != Some(false);
    Rhythm { interval, timeout, retries, successes, start_period, heals, honest }
}

fn check(
    reader: &mut Reader<'_>,
    kind: ProbeKind,
    fields: &Fields<'_>,
    surroundings: Surroundings<'_>,
) -> Option<Check> {
    let what = kind.label();
    let given: Vec<_> = ["exec", "http", "tcp", "log", "check"]
        .into_iter()
        .filter_map(|key| fields.get(key).map(|node| (key, node)))
        .collect();
    let [(key, node)] = given.as_slice() else {
        let message = if given.is_empty() {
            format!("{what}: it does not say how to ask")
        } else {
            let keys: Vec<_> = given.iter().map(|(key, _)| *key).collect();
            format!("{what}: it has {} at once", keys.join(" and "))
        };
        reader.error(fields.at, message, "write exactly one of exec, http, tcp, log, check");
        return None;
    };
    match *key {
        "exec" => exec(reader, node, surroundings),
        "http" => http(reader, node),
        "tcp" => tcp(reader, node),
        "check" => {
            let (protocol, target) = reader.parsed("check", node, URL_HINT, super::nature::url_target)?;
            Some(Check::Server { protocol, target: Arc::new(target) })
        }
        _ if kind == ProbeKind::Liveness => {
            reader.error(
                node.at,
                "liveness: a log line appears once and says nothing about later",
                "use exec, http or tcp here; log is for startup and readiness",
            );
            None
        }
        _ => Some(Check::Log { pattern: reader.pattern("log", node)? }),
    }
}

fn exec(reader: &mut Reader<'_>, node: &Node, surroundings: Surroundings<'_>) -> Option<Check> {
    let command = if let Shape::List(_) = &node.shape {
        let argv = command::list(reader, "exec", node)?;
        command::check_program(reader, "exec", node.at, &argv, surroundings);
        CommandLine::Argv(argv)
    } else {
        let line = reader.text("exec", node)?;
        if line.trim().is_empty() {
            reader.error(node.at, "exec: the line is empty", "write what /bin/sh should run");
            return None;
        }
        CommandLine::Shell(line)
    };
    Some(Check::Exec(command))
}

const URL_HINT: &str = "write http://localhost:8080/health, or 8080/health for short";

fn http(reader: &mut Reader<'_>, node: &Node) -> Option<Check> {
    let Shape::Map(_) = &node.shape else {
        return Some(Check::Http { url: reader.parsed("http", node, URL_HINT, parse_url)?, status: None });
    };
    let fields = reader.fields("http", node, &schema::HTTP)?;
    let status = fields.get("status").map(|node| {
        reader.parsed("status", node, "write a number from 100 to 599, such as 200", |text| match text.parse::<u16>() {
            Ok(status @ 100..=599) => Ok(status),
            Ok(_) | Err(_) => Err("is not an HTTP status".to_owned()),
        })
    });
    let Some(url) = fields.get("url") else {
        reader.error(node.at, "http: it has no url", URL_HINT);
        return None;
    };
    let url = reader.parsed("url", url, URL_HINT, parse_url)?;
    match status {
        Some(None) => None,
        Some(status @ Some(_)) => Some(Check::Http { url, status }),
        None => Some(Check::Http { url, status: None }),
    }
}

/// A URL, or what is short for one: `8080`, `8080/health`, `:8080/health`, `localhost:8080/health`.
fn parse_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let full = if text.contains("://") {
        text.to_owned()
    } else if let Some(port) = text.strip_prefix(':') {
        format!("http://localhost:{port}")
    } else if text.split('/').next().is_some_and(|first| !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit()))
    {
        format!("http://localhost:{text}")
    } else {
        format!("http://{text}")
    };
    let url = reqwest::Url::parse(&full).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("is not a URL that can be asked: {} is neither http nor https", url.scheme()));
    }
    if url.port() == Some(0) {
        return Err("is not a URL: its port is 0".to_owned());
    }
    Ok(full)
}

fn tcp(reader: &mut Reader<'_>, node: &Node) -> Option<Check> {
    let (host, port) = reader.parsed("tcp", node, "write a port, or host:port, such as localhost:5432", |text| {
        let text = text.trim();
        match text.rsplit_once(':') {
            None => Ok(("localhost".to_owned(), parse_port(text)?)),
            Some((host, port)) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let host = if host.is_empty() { "localhost" } else { host };
                Ok((host.to_owned(), parse_port(port)?))
            }
        }
    })?;
    Some(Check::Tcp { host, port })
}

fn healthcheck(reader: &mut Reader<'_>, node: &Node, surroundings: Surroundings<'_>) -> Option<Probe> {
    let fields = reader.fields("healthcheck", node, &schema::HEALTHCHECK)?;
    let rhythm = Rhythm { heals: true, ..rhythm(reader, ProbeKind::Readiness, &fields) };
    if fields.get("disable").and_then(|node| reader.truth("disable", node)) == Some(true) {
        return None;
    }
    let Some(test) = fields.get("test") else {
        reader.error(node.at, "healthcheck: it has no test", "write test: command, or test: [CMD, program, argument]");
        return None;
    };
    let command = match &test.shape {
        Shape::List(_) => {
            let mut words = reader.texts("test", test)?;
            match words.first().map(String::as_str) {
                Some("NONE") if words.len() == 1 => return None,
                Some("CMD") if words.len() > 1 => {
                    words.remove(0);
                    command::check_program(reader, "test", test.at, &words, surroundings);
                    CommandLine::Argv(words)
                }
                Some("CMD-SHELL") if words.len() == 2 => CommandLine::Shell(words.remove(1)),
                first => {
                    let begins = first.map_or("is empty".to_owned(), |first| format!("begins with \"{first}\""));
                    reader.error(
                        test.at,
                        format!("test: the list {begins}"),
                        "one of: [CMD, program, argument …], [CMD-SHELL, line], [NONE]",
                    );
                    return None;
                }
            }
        }
        Shape::Scalar { .. } | Shape::Map(_) => CommandLine::Shell(reader.text("test", test)?),
    };
    Some(rhythm.with(Check::Exec(command)))
}
