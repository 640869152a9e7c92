//! The keys `kind`, `check`, `deep`, `thresholds` and `remedies` of a service. Never: knows what of it is measured.

use std::{collections::BTreeMap, time::Duration};

use super::{
    super::{
        command::{self, Surroundings},
        kinds,
        nearest::did_you_mean,
        reader::{Fields, Reader, bytes},
        schema,
        tree::{Node, Shape},
    },
    Asked, Deep, RHYTHM,
};
use crate::model::{
    exam::{Hidden, Protocol, Remedy, Target},
    service::CommandLine,
    signal::Signal,
    time::human,
};

const SHORTEST: Duration = Duration::from_secs(1);
const CHECK_HINT: &str = "write the URL of the server, such as postgres://user:password@localhost:5432/database";
const REMEDIES: &str =
    "one of: wait: 5s, reload: HUP, run: command, clean: [directory], restart, restart-with-dependents, recreate";

/// Reads all of them.
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, surroundings: Surroundings<'_>) -> Asked {
    let mut asked = Asked::default();
    if let Some(node) = fields.get("kind")
        && let Some(text) = reader.text("kind", node)
    {
        asked.is_none = text == "none";
        asked.kind = kinds::named(&text);
        if asked.kind.is_none() && !asked.is_none {
            let known: Vec<&str> = kinds::all().iter().map(|kind| kind.id.as_str()).chain(["none"]).collect();
            reader.error(node.at, format!("kind: \"{text}\" is not a kind of service"), did_you_mean(&text, &known));
        }
    }
    asked.check = fields.get("check").and_then(|node| reader.parsed("check", node, CHECK_HINT, url_target));
    asked.deep = fields.get("deep").and_then(|node| deep(reader, node));
    if let Some((key, node)) = fields.find("thresholds") {
        asked.thresholds = thresholds(reader, node);
        asked.thresholds_at = Some(key.at);
    }
    asked.remedies = fields.get("remedies").map(|node| remedies(reader, node, surroundings));
    asked
}

fn deep(reader: &mut Reader<'_>, node: &Node) -> Option<Deep> {
    if let Shape::Scalar { .. } = &node.shape {
        return reader
            .truth("deep", node)
            .map(|wanted| if wanted { Deep::Every(RHYTHM.0, RHYTHM.1) } else { Deep::Never });
    }
    let fields = reader.fields("deep", node, &schema::DEEP)?;
    let mut time =
        |key: &str, default| fields.get(key).and_then(|node| reader.duration(key, node, SHORTEST)).unwrap_or(default);
    Some(Deep::Every(time("interval", RHYTHM.0), time("timeout", RHYTHM.1)))
}

fn thresholds(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, (Option<f64>, Option<f64>)> {
    let Shape::Map(entries) = &node.shape else {
        reader.wrong_form("thresholds", node, "a map", "write connections: {warn: 80%, critical: 95%}");
        return BTreeMap::new();
    };
    let mut thresholds = BTreeMap::new();
    for (key, node) in entries {
        let Some(fields) = reader.fields("thresholds", node, &schema::THRESHOLD) else { continue };
        let mut amount = |name: &str| {
            let hint = "write a number, a share such as 80%, a size such as 1G or a time such as 5s";
            fields.get(name).and_then(|node| reader.parsed(name, node, hint, amount))
        };
        thresholds.insert(key.text.to_string(), (amount("warn"), amount("critical")));
    }
    thresholds
}

/// A plain number, a share, a size, or a time in seconds.
fn amount(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let found = if let Some(percent) = text.strip_suffix('%') {
        percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0)
    } else if let Ok(number) = text.parse::<f64>() {
        Some(number)
    } else if text.ends_with(['K', 'M', 'G', 'T', 'B', 'k']) {
        bytes(text).map(|bytes| bytes as f64)
    } else {
        human::parse(text).ok().map(|time| time.as_secs_f64())
    };
    found.filter(|number| number.is_finite() && *number >= 0.0).ok_or_else(|| "is no amount".to_owned())
}

fn remedies(reader: &mut Reader<'_>, node: &Node, surroundings: Surroundings<'_>) -> Vec<Remedy> {
    let Shape::List(items) = &node.shape else {
        reader.wrong_form("remedies", node, "a list", REMEDIES);
        return Vec::new();
    };
    items.iter().filter_map(|item| remedy(reader, item, surroundings)).collect()
}

fn remedy(reader: &mut Reader<'_>, node: &Node, surroundings: Surroundings<'_>) -> Option<Remedy> {
    if let Shape::Scalar { .. } = &node.shape {
        return reader.parsed("remedies", node, REMEDIES, |text| match text {
            "restart" => Ok(Remedy::Restart),
            "restart-with-dependents" => Ok(Remedy::RestartWithDependents),
            "recreate" => Ok(Remedy::Recreate),
            _ => Err("is not a remedy".to_owned()),
        });
    }
    let fields = reader.fields("remedies", node, &schema::REMEDY)?;
    let given: Vec<_> = ["wait", "reload", "run", "clean"]
        .into_iter()
        .filter_map(|key| fields.get(key).map(|node| (key, node)))
        .collect();
    let [(key, node)] = given.as_slice() else {
        reader.error(node.at, "remedies: an entry has exactly one key", REMEDIES);
        return None;
    };
    Some(match *key {
        "wait" => Remedy::Wait { time: reader.duration("wait", node, Duration::from_millis(100))? },
        "reload" => Remedy::Reload {
            signal: reader.parsed("reload", node, "such as HUP or USR2", |text| {
                text.parse::<Signal>().map_err(|_| "is not a signal".to_owned())
            })?,
        },
        "run" => Remedy::Run { command: run(reader, node, surroundings)? },
        _ => Remedy::Clean { paths: directories(reader, node)? },
    })
}

fn run(reader: &mut Reader<'_>, node: &Node, surroundings: Surroundings<'_>) -> Option<CommandLine> {
    if let Shape::List(_) = &node.shape {
        let argv = command::list(reader, "run", node)?;
        command::check_program(reader, "run", node.at, &argv, surroundings);
        return Some(CommandLine::Argv(argv));
    }
    Some(CommandLine::Shell(reader.text("run", node)?))
}

/// Directories below the project's own, and not that one itself.
fn directories(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<std::path::PathBuf>> {
    let nodes: Vec<&Node> = match &node.shape {
        Shape::List(items) => items.iter().map(AsRef::as_ref).collect(),
        Shape::Scalar { .. } | Shape::Map(_) => vec![node],
    };
    let mut paths = Vec::new();
    for node in nodes {
        let path = reader.path("clean", node)?;
        let plain: std::path::PathBuf = path.components().collect();
        let climbs = plain.components().any(|part| matches!(part, std::path::Component::ParentDir));
        if climbs || !plain.starts_with(&reader.root) || plain == reader.root {
            let message = format!("clean: {} is not a directory below the project's", path.display());
            reader.error(node.at, message, "only what lies within the project is ever cleaned, such as tmp/cache");
            return None;
        }
        paths.push(plain);
    }
    Some(paths)
}

/// Protocol and target of a URL such as `redis://:password@localhost:6379/0?queue=mail`.
pub(crate) fn url_target(text: &str) -> Result<(Protocol, Target), String> {
    let url = reqwest::Url::parse(text.trim()).map_err(|error| format!("is not a URL: {error}"))?;
    let scheme = url.scheme();
    let base = scheme.split('+').next().unwrap_or(scheme);
    let (base, secure) = match base {
        "https" => ("http", true),
        "wss" => ("ws", true),
        "rediss" => ("redis", true),
        "amqps" => ("amqp", true),
        "mqtts" => ("mqtt", true),
        "smtps" => ("smtp", true),
        "grpcs" => ("grpc", true),
        other => (other, false),
    };
    let known = kinds::all().iter().find(|kind| kind.schemes.iter().any(|scheme| scheme == base));
    let protocol = known
        .and_then(|kind| kind.protocol)
        .or_else(|| Protocol::parse(base))
        .ok_or_else(|| format!("has the scheme {scheme}, which cannot be asked"))?;
    let usual = kinds::all().iter().find(|kind| kind.protocol == Some(protocol)).and_then(|kind| kind.port);
    let port = url
        .port()
        .or_else(|| url.port_or_known_default())
        .or(usual)
        .filter(|port| *port != 0)
        .ok_or_else(|| "has no port".to_owned())?;
    let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = Some(decoded(url.username())).filter(|user| !user.is_empty());
    let mut options: BTreeMap<String, String> =
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let tls = secure || options.get("tls").is_some_and(|value| matches!(value.as_str(), "1" | "true"));
    options.remove("tls");
    Ok((
        protocol,
        Target {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            guessed: false,
            tls,
            user,
            password: url.password().map(|password| Hidden(decoded(password))),
            path: decoded(url.path().trim_start_matches('/')),
            options,
        },
    ))
}
