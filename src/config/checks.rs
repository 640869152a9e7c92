//! `checks` of a service: what else is looked at, and what is done about it. Never: looks at anything; a path that leads out of the project
//! unless that is written.

mod judged;

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    command::{self, Surroundings},
    environment::is_name,
    kinds,
    nature::url_target,
    reader::{Fields, Reader},
    schema,
    tree::{Key, Node, Shape},
};
use crate::model::{
    exam::{Exam, Protocol, Subject, Target},
    own::{CertificateOf, FreshOf, Keep, Own, OwnCheck, QueueOf, Storage, TokenOf, Webhook},
    service::CommandLine,
};

/// Shortest time between two looks.
const SHORTEST: Duration = Duration::from_secs(1);
/// Shortest time that a look may take.
const BRIEFEST: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(10);
const SUBJECTS: [&str; 8] = ["certificate", "token", "webhook", "echo", "storage", "fresh", "queue", "exec"];
const URL_HINT: &str = "write the URL, such as http://localhost:8080/hooks";
const DATABASE_HINT: &str = "write postgres://user:password@localhost:5432/database";

/// All checks of a service, as exams.
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, surroundings: Surroundings<'_>) -> Vec<Arc<Exam>> {
    let Some(node) = fields.get("checks") else { return Vec::new() };
    let Shape::Map(entries) = &node.shape else {
        reader.wrong_form("checks", node, "a map", "write checks: {mail-certificate: {certificate: localhost:465}}");
        return Vec::new();
    };
    entries.iter().filter_map(|(key, node)| one(reader, key, node, surroundings).map(Arc::new)).collect()
}

fn one(reader: &mut Reader<'_>, key: &Key, node: &Node, surroundings: Surroundings<'_>) -> Option<Exam> {
    let name = &*key.text;
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !is_plain || kinds::named(name).is_some() || name == "output" {
        let why = if is_plain { "is the name of a kind" } else { "is no name for a check" };
        reader.error(key.at, format!("checks: \"{name}\" {why}"), "letters, digits, - and _, such as mail-queue");
        return None;
    }
    let fields = reader.fields(name, node, &schema::CHECK)?;
    let given: Vec<(&str, &Node)> =
        SUBJECTS.into_iter().filter_map(|key| fields.get(key).map(|node| (key, node))).collect();
    let [(subject, of)] = given[..] else {
        // That is said already.
        if given.is_empty() && SUBJECTS.into_iter().any(|key| fields.misspells(key, &schema::CHECK)) {
            return None;
        }
        let said: Vec<&str> = given.iter().map(|(key, _)| *key).collect();
        let message = if said.is_empty() {
            format!("the check {name} does not say what to look at")
        } else {
            format!("the check {name} has {} at once", said.join(" and "))
        };
        reader.error(node.at, message, format!("write exactly one of {}", SUBJECTS.join(", ")));
        return None;
    };
    belongs(reader, &fields, subject);
    let check = check(reader, &fields, subject, of, surroundings)?;
    let rules = judged::rules(reader, &fields, name, &check);
    let mending = judged::mending(reader, &fields, &check, surroundings);
    let usual = match &check {
        OwnCheck::Certificate(_) => Duration::from_hours(1),
        OwnCheck::Storage(_) => Duration::from_mins(5),
        OwnCheck::Echo { .. } => Duration::from_secs(30),
        OwnCheck::Queue(_) => Duration::from_secs(15),
        OwnCheck::Token(_) | OwnCheck::Webhook(_) | OwnCheck::Fresh(_) | OwnCheck::Figure(_) => Duration::from_mins(1),
    };
    let mut time =
        |key: &str, least, usual| fields.get(key).and_then(|node| reader.duration(key, node, least)).unwrap_or(usual);
    let (interval, timeout) = (time("every", SHORTEST, usual), time("timeout", BRIEFEST, TIMEOUT));
    let subject = Subject::Own(Arc::new(Own { check, mending }));
    Some(Exam { name: name.to_owned(), subject, interval, timeout, rules: rules? })
}

/// Keys that only one subject has are an error beside another: they would do nothing.
fn belongs(reader: &mut Reader<'_>, fields: &Fields<'_>, subject: &str) {
    for (key, of) in [("text", "echo"), ("within", "fresh"), ("oldest", "queue"), ("below", "exec")] {
        if let Some((key, _)) = fields.find(key)
            && of != subject
        {
            reader.error(key.at, format!("{}: is a key of {of} only", key.text), "remove it");
        }
    }
}

fn check(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    subject: &str,
    node: &Node,
    surroundings: Surroundings<'_>,
) -> Option<OwnCheck> {
    Some(match subject {
        "certificate" => OwnCheck::Certificate(certificate(reader, node)?),
        "token" => OwnCheck::Token(token(reader, node, surroundings)?),
        "webhook" => OwnCheck::Webhook(webhook(reader, node)?),
        "echo" => {
            let (protocol, target) = reader.parsed("echo", node, "write ws://localhost:8080/socket", |text| {
                let scheme = text.trim().split("://").next().unwrap_or("");
                if !matches!(scheme, "ws" | "wss") {
                    return Err("is not a URL that begins with ws:// or wss://".to_owned());
                }
                let as_http = text.trim().replacen("ws", "http", 1);
                plain_url(&as_http).map(|(target, path)| (Protocol::Websocket, Target { path, ..target }))
            })?;
            debug_assert_eq!(protocol, Protocol::Websocket);
            let text = match fields.get("text") {
                Some(node) => reader.text("text", node)?,
                None => "cas".to_owned(),
            };
            OwnCheck::Echo { target, text }
        }
        "storage" => OwnCheck::Storage(storage(reader, node)?),
        "fresh" => OwnCheck::Fresh(fresh(reader, node)?),
        "queue" => OwnCheck::Queue(queue(reader, node)?),
        _ => OwnCheck::Figure(line(reader, "exec", node, surroundings)?),
    })
}

/// A line for a shell, or the words of a command.
fn line(reader: &mut Reader<'_>, what: &str, node: &Node, surroundings: Surroundings<'_>) -> Option<CommandLine> {
    if let Shape::List(_) = &node.shape {
        let argv = command::list(reader, what, node)?;
        command::check_program(reader, what, node.at, &argv, surroundings);
        return Some(CommandLine::Argv(argv));
    }
    let text = reader.text(what, node)?;
    if text.trim().is_empty() {
        reader.error(node.at, format!("{what}: the line is empty"), "write what /bin/sh should run");
        return None;
    }
    Some(CommandLine::Shell(text))
}

fn certificate(reader: &mut Reader<'_>, node: &Node) -> Option<CertificateOf> {
    let text = reader.text("certificate", node)?;
    let text = text.trim().strip_prefix("https://").unwrap_or(text.trim()).trim_end_matches('/').to_owned();
    let looks_like_file = text.contains('/')
        || Path::new(&text).extension().is_some_and(|end| {
            ["pem", "crt", "cer", "der", "cert"].iter().any(|known| end.eq_ignore_ascii_case(known))
        });
    if looks_like_file {
        return Some(CertificateOf::File(reader.path("certificate", node)?));
    }
    let parsed = reqwest::Url::parse(&format!("https://{text}"));
    let Some(host) = parsed.as_ref().ok().and_then(|url| url.host_str().map(str::to_owned)) else {
        reader.error(
            node.at,
            format!("certificate: \"{text}\" is neither host:port nor a file"),
            "such as localhost:8443, or certs/shop.pem",
        );
        return None;
    };
    let port = parsed.ok().and_then(|url| url.port()).filter(|port| *port != 0).unwrap_or(443);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(CertificateOf::Server(Target { host, port, tls: true, ..Target::default() }))
}

fn token(reader: &mut Reader<'_>, node: &Node, surroundings: Surroundings<'_>) -> Option<TokenOf> {
    let fields = reader.fields("token", node, &schema::TOKEN)?;
    let given: Vec<(&str, &Node)> =
        ["file", "env", "command"].into_iter().filter_map(|key| fields.get(key).map(|node| (key, node))).collect();
    let [(key, node)] = given[..] else {
        reader.error(node.at, "token: it has exactly one source", "write {file: path}, {env: NAME} or {command: line}");
        return None;
    };
    Some(match key {
        "file" => TokenOf::File(reader.path("file", node)?),
        "env" => TokenOf::Env(variable(reader, "env", node)?),
        _ => TokenOf::Command(line(reader, "command", node, surroundings)?),
    })
}

fn variable(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<String> {
    reader.parsed(what, node, "write the name of a variable, such as API_TOKEN", |text| {
        if is_name(text) { Ok(text.to_owned()) } else { Err("is not a variable's name".to_owned()) }
    })
}

/// Target and path of an `http` or `https` URL; the path begins with a slash and has the query.
fn plain_url(text: &str) -> Result<(Target, String), String> {
    let url = reqwest::Url::parse(text.trim()).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is not a URL that begins with http:// or https://".to_owned());
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("has no host")?;
    let port = url.port_or_known_default().filter(|port| *port != 0).ok_or("has no port")?;
    let target = Target {
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port,
        tls: url.scheme() == "https",
        user: Some(decoded(url.username())).filter(|user| !user.is_empty()),
        password: url.password().map(|password| crate::model::exam::Hidden(decoded(password))),
        ..Target::default()
    };
    let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
    Ok((target, format!("{}{query}", url.path())))
}

fn webhook(reader: &mut Reader<'_>, node: &Node) -> Option<Webhook> {
    let usual = |(target, path)| Webhook {
        target,
        path,
        method: "POST".to_owned(),
        body: "{\"event\":\"ping\"}".to_owned(),
        secret_env: None,
        signature: "X-Hub-Signature-256".to_owned(),
        send: false,
        deadletter: None,
    };
    if let Shape::Scalar { .. } = &node.shape {
        return reader.parsed("webhook", node, URL_HINT, plain_url).map(usual);
    }
    let fields = reader.fields("webhook", node, &schema::RECEIVER)?;
    let Some(url) = fields.get("url") else {
        reader.error(node.at, "webhook: it has no url", URL_HINT);
        return None;
    };
    let mut webhook = usual(reader.parsed("url", url, URL_HINT, plain_url)?);
    if let Some(node) = fields.get("method") {
        webhook.method = reader.parsed("method", node, "one of POST, PUT, PATCH", |text| match text {
            "POST" | "PUT" | "PATCH" => Ok(text.to_owned()),
            _ => Err("is not a method of deliveries".to_owned()),
        })?;
    }
    if let Some(node) = fields.get("body") {
        webhook.body = reader.text("body", node)?;
    }
    if let Some(node) = fields.get("secret_env") {
        webhook.secret_env = Some(variable(reader, "secret_env", node)?);
    }
    if let Some(node) = fields.get("signature") {
        webhook.signature =
            reader.parsed("signature", node, "write the name of a header, such as X-Signature", |text| {
                reqwest::header::HeaderName::from_bytes(text.as_bytes())
                    .map(|_| text.to_owned())
                    .map_err(|_| "is not the name of a header".to_owned())
            })?;
    }
    webhook.send = fields.get("send").and_then(|node| reader.truth("send", node)).unwrap_or(false);
    if let Some(node) = fields.get("deadletter") {
        webhook.deadletter = Some(reader.path("deadletter", node)?);
    }
    Some(webhook)
}

fn storage(reader: &mut Reader<'_>, node: &Node) -> Option<Storage> {
    let fields = reader.fields("storage", node, &schema::STORAGE)?;
    let outside = fields.get("outside").and_then(|node| reader.truth("outside", node)).unwrap_or(false);
    let Some(given) = fields.get("paths") else {
        reader.error(node.at, "storage: it has no paths", "write paths: [data/uploads]");
        return None;
    };
    let nodes: Vec<&Node> = match &given.shape {
        Shape::List(items) => items.iter().map(AsRef::as_ref).collect(),
        Shape::Scalar { .. } | Shape::Map(_) => vec![given],
    };
    let root = reader.root.clone();
    let mut paths: Vec<PathBuf> = Vec::new();
    for node in nodes {
        let path = reader.path("paths", node)?;
        let climbs = path.components().any(|part| matches!(part, Component::ParentDir));
        let is_below = path.starts_with(&root) && path != root;
        if climbs || path.parent().is_none() || (!outside && !is_below) {
            reader.error(
                node.at,
                format!("paths: {} is not a directory below the project's", path.display()),
                "write one such as data/uploads, or outside: true beside the paths if it is meant",
            );
            return None;
        }
        paths.push(path);
    }
    if paths.is_empty() {
        reader.error(given.at, "paths: the list is empty", "write paths: [data/uploads]");
        return None;
    }
    let quota = match fields.get("quota") {
        Some(node) => Some(reader.size("quota", node, 1)?),
        None => None,
    };
    let keep = match fields.get("keep") {
        Some(node) => Some(keep(reader, node)?),
        None => None,
    };
    Some(Storage { paths, quota, keep, within: (!outside).then_some(root) })
}

fn keep(reader: &mut Reader<'_>, node: &Node) -> Option<Keep> {
    if let Shape::Scalar { .. } = &node.shape {
        return reader.duration("keep", node, Duration::from_mins(1)).map(Keep::For);
    }
    let fields = reader.fields("keep", node, &schema::KEEP)?;
    let Some(newest) = fields.get("newest") else {
        reader.error(node.at, "keep: it says nothing", "write keep: 30d, or keep: {newest: 10}");
        return None;
    };
    reader.number("newest", newest, 1).map(Keep::Newest)
}

/// A database, and the query of its URL.
fn postgres(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<(Target, Option<String>)> {
    let (protocol, mut target) = reader.parsed(what, node, DATABASE_HINT, url_of)?;
    if protocol != Protocol::Postgres {
        reader.error(node.at, format!("{what}: only PostgreSQL can be asked here"), DATABASE_HINT);
        return None;
    }
    let query = target.options.remove("query");
    Some((target, query))
}

/// As any URL of a server; those of databases and Redis are known also where the catalogue does not have them.
fn url_of(text: &str) -> Result<(Protocol, Target), String> {
    let text = text.trim();
    let text = match text.strip_prefix("postgresql://") {
        Some(rest) => format!("postgres://{rest}"),
        None => text.to_owned(),
    };
    match url_target(&text) {
        Err(why) if why == "has no port" && text.starts_with("postgres://") => {
            let (head, rest) = text.split_at("postgres://".len());
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, tail) = rest.split_at(end);
            url_target(&format!("{head}{authority}:5432{tail}"))
        }
        found => found,
    }
}

fn fresh(reader: &mut Reader<'_>, node: &Node) -> Option<FreshOf> {
    let fields = reader.fields("fresh", node, &schema::FRESH)?;
    let places: Vec<(&str, &Node)> = ["file", "postgres", "sqlite", "http"]
        .into_iter()
        .filter_map(|key| fields.get(key).map(|node| (key, node)))
        .collect();
    let query = fields.get("query");
    let unwanted = |key: &str| fields.find(key).filter(|(_, node)| !node.is_null()).map(|(key, _)| key.at);
    let found = match (&places[..], query) {
        ([("file", file)], None) => FreshOf::File(reader.path("file", file)?),
        ([("postgres", url)], Some(query)) => {
            let (target, _) = postgres(reader, "postgres", url)?;
            FreshOf::Postgres { target, query: reader.text("query", query)? }
        }
        ([], Some(url)) => {
            let (target, query) = postgres(reader, "query", url)?;
            let Some(query) = query else {
                reader.error(
                    url.at,
                    "query: the URL has no query",
                    "write postgres://…?query=select max(created_at) from orders",
                );
                return None;
            };
            FreshOf::Postgres { target, query }
        }
        ([("sqlite", file)], Some(query)) => {
            FreshOf::Sqlite { file: reader.path("sqlite", file)?, query: reader.text("query", query)? }
        }
        ([("http", url)], None) => {
            let (target, path) = reader.parsed("http", url, URL_HINT, plain_url)?;
            let pointer = match fields.get("pointer") {
                Some(node) => reader.parsed("pointer", node, "such as /orders/0/created_at", |text| {
                    if text.is_empty() || text.starts_with('/') {
                        Ok(text.to_owned())
                    } else {
                        Err("does not begin with a slash".to_owned())
                    }
                })?,
                None => String::new(),
            };
            return Some(FreshOf::Http { target, path, pointer });
        }
        _ => {
            reader.error(
                node.at,
                "fresh: it does not say where the newest data is told",
                "write {file: path}, {postgres: URL, query: SQL}, {sqlite: file, query: SQL} or {http: URL, pointer: /path}",
            );
            return None;
        }
    };
    if let Some(at) = unwanted("pointer") {
        reader.error(at, "pointer: is a key beside http only", "remove it");
    }
    Some(found)
}

fn queue(reader: &mut Reader<'_>, node: &Node) -> Option<QueueOf> {
    const HINT: &str = "write redis://localhost:6379?list=mail, postgres://…?query=select count(*) …, or {dir: spool}";
    let (url, list, query) = if let Shape::Scalar { .. } = &node.shape {
        (node, None, None)
    } else {
        let fields = reader.fields("queue", node, &schema::QUEUE)?;
        match (fields.get("url"), fields.get("dir")) {
            (None, Some(dir)) => return Some(QueueOf::Dir(reader.path("dir", dir)?)),
            (Some(url), None) => {
                let mut text = |key: &str| fields.get(key).map(|node| reader.text(key, node));
                (url, text("list"), text("query"))
            }
            (Some(_), Some(_)) | (None, None) => {
                reader.error(node.at, "queue: it has exactly one of url and dir", HINT);
                return None;
            }
        }
    };
    let (protocol, mut target) = reader.parsed("queue", url, HINT, url_of)?;
    let from_url = |target: &mut Target, keys: &[&str]| keys.iter().find_map(|key| target.options.remove(*key));
    if protocol == Protocol::Redis {
        let key = match list {
            Some(key) => key?,
            None => from_url(&mut target, &["list", "key", "stream", "queue"]).unwrap_or_default(),
        };
        if key.is_empty() {
            reader.error(url.at, "queue: it does not say which list", HINT);
            return None;
        }
        return Some(QueueOf::Redis { target, key });
    }
    if protocol == Protocol::Postgres {
        let query = match query {
            Some(query) => query?,
            None => from_url(&mut target, &["query"]).unwrap_or_default(),
        };
        if query.trim().is_empty() {
            reader.error(url.at, "queue: it has no query", HINT);
            return None;
        }
        return Some(QueueOf::Postgres { target, query });
    }
    reader.error(url.at, format!("queue: a queue of {} is not looked at", protocol.label()), HINT);
    None
}
