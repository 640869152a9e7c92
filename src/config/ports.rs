//! `ports` in compose's short and long forms. The published port is what a process of this machine listens on.

use super::{
    problems::Place,
    reader::Reader,
    schema,
    tree::{Node, Shape},
};

/// Most ports of one range.
const LONGEST_RANGE: u16 = 1000;
const HINT: &str = "write 8080, \"8080:80\", \"127.0.0.1:8080:80\" or a range 3000-3002; ports are 1 to 65535";

/// A port from 1 to 65535.
///
/// # Errors
/// A clause that follows the quoted text.
pub(crate) fn parse_port(text: &str) -> Result<u16, String> {
    match text.trim().parse::<u64>() {
        Ok(0) => Err("is not a port: 0 means none".to_owned()),
        Ok(number) => u16::try_from(number).map_err(|_| "is not a port: the largest is 65535".to_owned()),
        Err(_) => Err("is not a port".to_owned()),
    }
}

/// One port, or those of a range `3000-3002`.
///
/// # Errors
/// As [`parse_port`].
pub(crate) fn parse_range(text: &str) -> Result<Vec<u16>, String> {
    let Some((first, last)) = text.split_once('-') else { return Ok(vec![parse_port(text)?]) };
    let (first, last) = (parse_port(first)?, parse_port(last)?);
    if first > last {
        return Err("is not a range: it ends before it begins".to_owned());
    }
    if last - first >= LONGEST_RANGE {
        return Err(format!("is a range of more than {LONGEST_RANGE} ports"));
    }
    Ok((first..=last).collect())
}

/// The ports that a service listens on, with their places, in the order of the file, each once.
pub(crate) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<(u16, Place)> {
    let Shape::List(items) = &node.shape else {
        reader.wrong_form("ports", node, "a list", "write [8080], or one port a line after \"- \"");
        return Vec::new();
    };
    let mut ports: Vec<(u16, Place)> = Vec::new();
    for item in items {
        let found = match &item.shape {
            Shape::Map(_) => long(reader, item),
            Shape::Scalar { .. } | Shape::List(_) => short(reader, item),
        };
        for port in found.unwrap_or_default() {
            if !ports.iter().any(|(known, _)| *known == port) {
                ports.push((port, item.at));
            }
        }
    }
    ports
}

fn short(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<u16>> {
    let text = reader.text("ports", node)?;
    let (addresses, protocol) = match text.split_once('/') {
        Some((addresses, protocol)) => (addresses, Some(protocol.to_owned())),
        None => (text.as_str(), None),
    };
    if !is_tcp(reader, node, protocol.as_deref())? {
        return None;
    }
    // From the right: container, published, address (which may hold colons of its own).
    let mut parts = addresses.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let published = parts.next().filter(|published| !published.is_empty());
    match parse_range(published.unwrap_or(container)).and_then(|ports| Ok((ports, parse_range(container)?))) {
        Ok((ports, inside)) => {
            if published.is_some() && ports != inside {
                reader.note(
                    node.at,
                    format!(
                        "ports: \"{text}\": the process is expected to listen on {}",
                        published.unwrap_or_default()
                    ),
                    "the second number is a container's port and is not used",
                );
            }
            Some(ports)
        }
        Err(why) => {
            reader.error(node.at, format!("ports: \"{text}\" {why}"), HINT);
            None
        }
    }
}

/// None after an error; false for udp.
fn is_tcp(reader: &mut Reader<'_>, node: &Node, protocol: Option<&str>) -> Option<bool> {
    match protocol {
        None | Some("tcp") => Some(true),
        Some("udp") => {
            reader.note(node.at, "ports: a udp port is not checked", "nothing is needed; remove it if it bothers");
            Some(false)
        }
        Some(other) => {
            reader.error(node.at, format!("ports: \"{other}\" is not a protocol"), "one of: tcp, udp");
            None
        }
    }
}

fn long(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<u16>> {
    let fields = reader.fields("ports", node, &schema::PORT)?;
    let protocol = match fields.get("protocol") {
        Some(node) => Some(reader.text("protocol", node)?),
        None => None,
    };
    if !is_tcp(reader, node, protocol.as_deref())? {
        return None;
    }
    match (fields.get("published"), fields.get("target")) {
        (Some(published), _) => reader.parsed("published", published, HINT, parse_range),
        (None, Some(target)) => reader.parsed("target", target, HINT, |text| Ok(vec![parse_port(text)?])),
        (None, None) => {
            reader.error(node.at, "ports: an entry without published and target", "write published: 8080");
            None
        }
    }
}
