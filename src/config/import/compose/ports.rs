//! `ports` and `expose`, short and long.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    item::{Form, Item},
    keys,
    merge::unique,
    values::Values,
};
use crate::config::{
    import::{PortUse, Told},
    ports::{parse_port, parse_range},
};

const HINT: &str = "write 8080, \"8080:80\", \"127.0.0.1:8080:80/udp\" or a range 3000-3002; ports are 1 to 65535";

/// Most ports of one service.
const MOST: usize = 10_000;

/// What is published and what is only listened on, and how many of them, the first, are published.
pub(super) fn read(values: &mut Values, service: &Item) -> (Vec<Told<PortUse>>, usize) {
    let mut ports: Vec<Told<PortUse>> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut heard = BTreeSet::new();
    if let Some(item) = service.get("ports") {
        let Form::List(items) = &item.form else {
            values.wrong("ports", item, "a list", "write one port a line after \"- \"");
            return (ports, 0);
        };
        for item in unique(&["services", "", "ports"], items.iter()) {
            let found = match &item.form {
                Form::Map(_) => long(values, &item),
                Form::Null | Form::Text(_) | Form::List(_) => short(values, &item),
            };
            for port in found.unwrap_or_default() {
                heard.insert((port.target, port.is_udp));
                if seen.insert((port.address.clone(), port.host, port.target, port.is_udp)) {
                    ports.push(item.told(port));
                }
            }
            if ports.len() > MOST {
                let message = format!("ports: more than {MOST} of one service");
                values.notes.error(item.source(), message, "publish fewer");
                break;
            }
        }
    }
    let published = ports.len();
    if let Some(item) = service.get("expose") {
        for (text, item) in values.texts("expose", item) {
            let Some((targets, is_udp)) = exposed(values, &text, &item) else { continue };
            for target in targets.into_iter().filter(|target| heard.insert((*target, is_udp))) {
                ports.push(item.told(PortUse { address: None, host: None, target, is_udp }));
            }
        }
    }
    (ports, published)
}

fn exposed(values: &mut Values, text: &str, item: &Item) -> Option<(Vec<u16>, bool)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_udp = is_udp(values, "expose", protocol, item)?;
    match parse_range(range) {
        Ok(targets) => Some((targets, is_udp)),
        Err(why) => {
            values.notes.error(item.source(), format!("expose: \"{range}\" {why}"), "write 3000 or 8000-8002");
            None
        }
    }
}

fn is_udp(values: &mut Values, what: &str, protocol: &str, item: &Item) -> Option<bool> {
    match protocol.to_ascii_lowercase().as_str() {
        "tcp" | "" => Some(false),
        "udp" => Some(true),
        "sctp" => {
            values.notes.lost(what, item);
            None
        }
        _ => {
            let message = format!("{what}: \"{protocol}\" is not a protocol");
            values.notes.error(item.source(), message, "one of: tcp, udp, sctp");
            None
        }
    }
}

fn short(values: &mut Values, item: &Arc<Item>) -> Option<Vec<PortUse>> {
    let text = values.text("ports", item)?;
    let (addresses, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    let is_udp = is_udp(values, "ports", protocol, item)?;
    // From the right: container, host, address, which may hold colons of its own.
    let mut parts = addresses.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let host = parts.next().filter(|host| !host.is_empty());
    let address = parts.next().filter(|address| !address.is_empty());
    let address = address.map(|address| address.trim_start_matches('[').trim_end_matches(']').to_owned());
    let targets = match parse_range(container) {
        Ok(targets) => targets,
        Err(why) => {
            values.notes.error(item.source(), format!("ports: \"{text}\": \"{container}\" {why}"), HINT);
            return None;
        }
    };
    pair(values, item, (address, host, is_udp), targets)
}

/// Ports of this machine beside those of the container.
fn pair(
    values: &mut Values,
    item: &Item,
    (address, host, is_udp): (Option<String>, Option<&str>, bool),
    targets: Vec<u16>,
) -> Option<Vec<PortUse>> {
    // A host port of 0 is any that is free.
    let Some(host) = host.filter(|host| *host != "0") else {
        let port = |target| PortUse { address: address.clone(), host: None, target, is_udp };
        return Some(targets.into_iter().map(port).collect());
    };
    if let ([target], Some((first, last))) = (&targets[..], host.split_once('-'))
        && let (Ok(first), Ok(last)) = (parse_port(first), parse_port(last))
        && first < last
    {
        let message = format!("ports: {host}: any free port of the range is not carried over");
        values.notes.lost_because(item.source(), message);
        return Some(vec![PortUse { address, host: None, target: *target, is_udp }]);
    }
    let hosts = match parse_range(host) {
        Ok(hosts) => hosts,
        Err(why) => {
            values.notes.error(item.source(), format!("ports: \"{host}\" {why}"), HINT);
            return None;
        }
    };
    if hosts.len() == targets.len() {
        let port = |(host, target)| PortUse { address: address.clone(), host: Some(host), target, is_udp };
        return Some(hosts.into_iter().zip(targets).map(port).collect());
    }
    let message = format!("ports: {} ports of the container for {} of this machine", targets.len(), hosts.len());
    values.notes.error(item.source(), message, "both ranges must be of one length");
    None
}

fn long(values: &mut Values, item: &Arc<Item>) -> Option<Vec<PortUse>> {
    values.keys("ports", item, &keys::PORT);
    if let Some(mode) = item.get("mode").filter(|mode| mode.as_text() != Some("ingress")) {
        values.notes.lost("ports.mode", mode);
    }
    let Some(target) = item.get("target") else {
        values.notes.error(item.source(), "ports: an entry without a target", "write target: 80");
        return None;
    };
    let text = values.text("ports.target", target)?;
    let targets = match parse_range(&text) {
        Ok(targets) => targets,
        Err(why) => {
            values.notes.error(target.source(), format!("ports.target: \"{text}\" {why}"), HINT);
            return None;
        }
    };
    let protocol = item.get("protocol").and_then(|item| item.as_text()).unwrap_or("tcp");
    let is_udp = is_udp(values, "ports.protocol", protocol, item)?;
    let address = item.get("host_ip").and_then(|item| item.as_text()).map(str::to_owned);
    let published = match item.get("published") {
        Some(published) => Some(values.text("ports.published", published)?),
        None => None,
    };
    let place = item.get("published").unwrap_or(item);
    pair(values, place, (address, published.as_deref().filter(|text| !text.is_empty()), is_udp), targets)
}
