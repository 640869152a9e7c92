//! One route. Never: quotes a URL, a key, a token or a password in a message.

use std::{collections::BTreeMap, time::Duration};

use super::way;
use crate::{
    config::{
        nearest::did_you_mean,
        reader::{Fields, Reader},
        schema,
        tree::{Key, Node, Shape},
    },
    model::{
        exam::Hidden,
        route::{Concealed, Destination, Mail, MailSecurity, Route},
        service::CommandLine,
        template,
    },
};

const KINDS: [&str; 11] = [
    "slack",
    "discord",
    "teams",
    "webhook",
    "pagerduty",
    "opsgenie",
    "telegram",
    "ntfy",
    "email",
    "command",
    "desktop",
];

const METHODS: [&str; 4] = ["POST", "PUT", "PATCH", "GET"];

/// Where the vendors are.
const PAGERDUTY: &str = "https://events.pagerduty.com";
const OPSGENIE: &str = "https://api.opsgenie.com";
const TELEGRAM: &str = "https://api.telegram.org";

const KEY_HINT: &str = "write ${NAME} of a variable, or file:PATH, so that it is in no project file";

/// A route.
pub(super) fn read(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<Route> {
    let fields = reader.fields(&key.text, node, &schema::ROUTE)?;
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| fields.get(kind).is_some()).collect();
    let [kind] = given[..] else {
        let message = match given.as_slice() {
            [] => format!("the route {} goes nowhere", key.text),
            several => format!("the route {} has several kinds: {}", key.text, several.join(", ")),
        };
        reader.error(key.at, message, format!("write one of: {}", KINDS.join(", ")));
        return None;
    };
    let node = fields.get(kind)?;
    let to = destination(reader, kind, node)?;
    let throttle = fields.get("throttle").and_then(|node| reader.duration("throttle", node, Duration::ZERO));
    Some(Route { name: key.text.to_string(), to, throttle })
}

fn destination(reader: &mut Reader<'_>, kind: &str, node: &Node) -> Option<Destination> {
    Some(match kind {
        "slack" => Destination::Slack(url(reader, kind, node)?),
        "discord" => Destination::Discord(url(reader, kind, node)?),
        "teams" => Destination::Teams(url(reader, kind, node)?),
        "webhook" => webhook(reader, node)?,
        "pagerduty" => {
            let (key, url) = pager(reader, kind, node, PAGERDUTY)?;
            Destination::PagerDuty { key, url }
        }
        "opsgenie" => {
            let (key, url) = pager(reader, kind, node, OPSGENIE)?;
            Destination::Opsgenie { key, url }
        }
        "telegram" => telegram(reader, node)?,
        "ntfy" => ntfy(reader, node)?,
        "email" => Destination::Email(email(reader, node)?),
        "command" => command(reader, node)?,
        _ => Destination::Desktop(way(reader, node)?),
    })
}

/// A value that is not shown: itself, or `file:PATH`.
fn concealed(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<Concealed> {
    if !matches!(node.shape, Shape::Scalar { .. }) {
        reader.error(node.at, format!("{what}: found {}, not a text", node.describe()), KEY_HINT);
        return None;
    }
    let text = reader.text(what, node)?;
    let text = text.trim();
    if let Some(path) = text.strip_prefix("file:") {
        let path = match (path.strip_prefix("~/"), reader.variable("HOME")) {
            (Some(below), Some(home)) => std::path::Path::new(&home).join(below),
            (Some(_) | None, _) => reader.root.join(path),
        };
        return Some(Concealed::File(path));
    }
    if text.is_empty() {
        reader.error(node.at, format!("{what}: it is empty"), KEY_HINT);
        return None;
    }
    Some(Concealed::Value(Hidden(text.to_owned())))
}

fn url(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<Concealed> {
    let value = concealed(reader, what, node)?;
    if let Some(text) = value.known() {
        check_url(reader, what, node, text)?;
    }
    Some(value)
}

fn check_url(reader: &mut Reader<'_>, what: &str, node: &Node, text: &str) -> Option<()> {
    if !reader.interpolates() && text.contains('$') {
        return Some(());
    }
    let fine = reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !fine {
        let hint = "write it whole, beginning with https://";
        reader.error(node.at, format!("{what}: what stands here is not a URL of HTTP"), hint);
        return None;
    }
    Some(())
}

/// A URL that is no secret.
fn open_url(reader: &mut Reader<'_>, fields: &Fields<'_>, built_in: &str) -> Option<String> {
    let Some(node) = fields.get("url") else { return Some(built_in.to_owned()) };
    let text = reader.text("url", node)?;
    check_url(reader, "url", node, &text)?;
    Some(text)
}

fn required<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>, owner: &str, key: &str) -> Option<&'n Node> {
    let found = fields.get(key);
    if found.is_none() {
        reader.error(fields.at, format!("{owner}: it has no {key}"), format!("write {key}: …"));
    }
    found
}

fn webhook(reader: &mut Reader<'_>, node: &Node) -> Option<Destination> {
    let Shape::Map(_) = &node.shape else {
        let url = url(reader, "webhook", node)?;
        return Some(Destination::Webhook { url, method: "POST".to_owned(), headers: BTreeMap::new(), body: None });
    };
    let fields = reader.fields("webhook", node, &schema::WEBHOOK)?;
    let place = required(reader, &fields, "webhook", "url")?;
    let url = url(reader, "url", place)?;
    let method = match fields.get("method") {
        Some(node) => {
            let text = reader.text("method", node)?.to_ascii_uppercase();
            if !METHODS.contains(&text.as_str()) {
                let hint = did_you_mean(&text, &METHODS);
                reader.error(node.at, format!("method: \"{text}\" is not one that is sent"), hint);
                return None;
            }
            text
        }
        None => "POST".to_owned(),
    };
    let headers = fields.get("headers").map_or_else(|| Some(BTreeMap::new()), |node| headers(reader, node))?;
    let body = match fields.get("body") {
        // Dollar signs are variables here as everywhere; the template's own names stand in braces.
        Some(node) => {
            let template = reader.text("body", node)?;
            if let Err(why) = template::check(&template) {
                let hint =
                    "names: title, text, severity, kind, service, project, group, rule, since, at, symptoms, host";
                reader.error(node.at, format!("body: the template cannot be filled in: {why}"), hint);
                return None;
            }
            Some(template)
        }
        None => None,
    };
    Some(Destination::Webhook { url, method, headers, body })
}

fn headers(reader: &mut Reader<'_>, node: &Node) -> Option<BTreeMap<String, Concealed>> {
    let Shape::Map(entries) = &node.shape else {
        reader.wrong_form("headers", node, "a map", "write NAME: value");
        return None;
    };
    let mut headers = BTreeMap::new();
    for (key, node) in entries {
        let name = &*key.text;
        let is_token =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
        if !is_token {
            reader.error(key.at, format!("headers: \"{name}\" is not a header's name"), "such as Authorization");
            return None;
        }
        headers.insert(name.to_owned(), concealed(reader, name, node)?);
    }
    Some(headers)
}

fn pager(reader: &mut Reader<'_>, kind: &str, node: &Node, built_in: &str) -> Option<(Concealed, String)> {
    let Shape::Map(_) = &node.shape else { return Some((concealed(reader, kind, node)?, built_in.to_owned())) };
    let fields = reader.fields(kind, node, &schema::PAGER)?;
    let place = required(reader, &fields, kind, "key")?;
    Some((concealed(reader, "key", place)?, open_url(reader, &fields, built_in)?))
}

fn telegram(reader: &mut Reader<'_>, node: &Node) -> Option<Destination> {
    let fields = reader.fields("telegram", node, &schema::TELEGRAM)?;
    let token = required(reader, &fields, "telegram", "token")?;
    let token = concealed(reader, "token", token)?;
    let chat = required(reader, &fields, "telegram", "chat")?;
    let chat = reader.text("chat", chat)?;
    Some(Destination::Telegram { token, chat, url: open_url(reader, &fields, TELEGRAM)? })
}

fn ntfy(reader: &mut Reader<'_>, node: &Node) -> Option<Destination> {
    let (place, token) = match &node.shape {
        Shape::Map(_) => {
            let fields = reader.fields("ntfy", node, &schema::NTFY)?;
            let place = required(reader, &fields, "ntfy", "url")?;
            let token = match fields.get("token") {
                Some(node) => Some(concealed(reader, "token", node)?),
                None => None,
            };
            (place, token)
        }
        Shape::Scalar { .. } | Shape::List(_) => (node, None),
    };
    let url = url(reader, "ntfy", place)?;
    let topic = |text: &str| {
        let path = text.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
        path.is_some_and(|path| !path.trim_end_matches('/').is_empty())
    };
    if url.known().is_some_and(|text| !text.contains('$') && !topic(text)) {
        reader.error(place.at, "ntfy: the URL names no topic", "write it like https://ntfy.sh/my-topic");
        return None;
    }
    Some(Destination::Ntfy { url, token })
}

fn email(reader: &mut Reader<'_>, node: &Node) -> Option<Mail> {
    let fields = reader.fields("email", node, &schema::EMAIL)?;
    let place = required(reader, &fields, "email", "server")?;
    let server = reader.text("server", place)?;
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => match port.parse::<u16>() {
            Ok(port @ 1..) => (host.to_owned(), Some(port)),
            Ok(_) | Err(_) if !reader.interpolates() && server.contains('$') => (server.clone(), None),
            Ok(_) | Err(_) => {
                reader.error(place.at, format!("server: \"{port}\" is not a port"), "such as mail.example.org:587");
                return None;
            }
        },
        Some(_) | None => (server.clone(), None),
    };
    let here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
    let security = match fields.get("security") {
        Some(node) => {
            let text = reader.text("security", node)?;
            let found = MailSecurity::ALL.into_iter().find(|way| way.label() == text);
            if found.is_none() {
                let hint = did_you_mean(&text, &MailSecurity::ALL.map(MailSecurity::label));
                reader.error(node.at, format!("security: \"{text}\" is not a way to speak to a mail server"), hint);
            }
            found?
        }
        None if here => MailSecurity::None,
        None => MailSecurity::StartTls,
    };
    let port = port.unwrap_or(match security {
        MailSecurity::None => 25,
        MailSecurity::StartTls => 587,
        MailSecurity::Tls => 465,
    });
    let login = match (fields.get("user"), fields.get("password")) {
        (Some(user), Some(password)) => Some((reader.text("user", user)?, concealed(reader, "password", password)?)),
        (None, None) => None,
        (Some(node), None) | (None, Some(node)) => {
            reader.error(node.at, "email: user and password belong together", "write both, or neither");
            return None;
        }
    };
    if login.is_some() && security == MailSecurity::None && !here {
        reader.error(place.at, "email: the password would be sent in the clear", "write security: starttls, or tls");
        return None;
    }
    let from = required(reader, &fields, "email", "from")?;
    let to = required(reader, &fields, "email", "to")?;
    let recipients = match &to.shape {
        Shape::Scalar { .. } => vec![reader.text("to", to)?],
        Shape::List(_) | Shape::Map(_) => reader.texts("to", to)?,
    };
    if recipients.is_empty() {
        reader.error(to.at, "to: nobody is named", "write an address, or a list of them");
        return None;
    }
    for recipient in &recipients {
        check_address(reader, "to", to, recipient)?;
    }
    let from_text = reader.text("from", from)?;
    check_address(reader, "from", from, &from_text)?;
    Some(Mail { host, port, security, login, from: from_text, to: recipients })
}

fn check_address(reader: &mut Reader<'_>, what: &str, node: &Node, text: &str) -> Option<()> {
    if !reader.interpolates() && text.contains('$') {
        return Some(());
    }
    if text.parse::<lettre::message::Mailbox>().is_err() {
        let hint = "such as ops@example.org, or Operations <ops@example.org>";
        reader.error(node.at, format!("{what}: \"{text}\" is not an address"), hint);
        return None;
    }
    Some(())
}

/// Text is a shell line, a list is executed as it is.
fn command(reader: &mut Reader<'_>, node: &Node) -> Option<Destination> {
    let line = match &node.shape {
        Shape::List(_) => CommandLine::Argv(reader.texts("command", node)?),
        Shape::Scalar { .. } | Shape::Map(_) => CommandLine::Shell(reader.text("command", node)?),
    };
    let is_empty = match &line {
        CommandLine::Argv(words) => words.first().is_none_or(String::is_empty),
        CommandLine::Shell(line) => line.trim().is_empty(),
    };
    if is_empty {
        reader.error(node.at, "command: it is empty", "write a shell line, or a list of words");
        return None;
    }
    Some(Destination::Command { line, directory: reader.root.clone() })
}
