//! Copies of a service: `replicas: 3` in `web` are `web-1`, `web-2` and `web-3`. Promise: each knows its number, and its own port where a range has one for
//! each. Never: decides whether processes can share a port.

use super::{
    draft::{self, Draft},
    ports,
    problems::Place,
    reader::{Fields, Reader},
    schema,
    settings::Settings,
    tree::{Key, Node},
};
use crate::model::{ids::ServiceName, occasion::Replica};

/// Most copies of one service.
pub(crate) const MOST: u32 = 64;
/// A copy's number.
const NUMBER: &str = "CAS_REPLICA";

/// The names of `count` copies: its own where there is one, else with numbers from 1.
pub(crate) fn names(base: &str, count: u32) -> Vec<String> {
    match count {
        0 => Vec::new(),
        1 => vec![base.to_owned()],
        count => (1..=count.min(MOST)).map(|number| format!("{base}-{number}")).collect(),
    }
}

/// What a copy has of its own.
pub(crate) struct Share {
    number: u32,
    /// Its ports.
    pub(crate) ports: Vec<(u16, Place)>,
    /// Its number, and its own ports as `PORT`, `PORT_2` and so on.
    variables: Vec<(String, String)>,
}

impl Share {
    /// That of copy `number` of `count`. Ports that were written at one place are a range: where it has one for each, each has its own.
    pub(crate) fn of(ports: &[(u16, Place)], number: u32, count: u32) -> Self {
        let mut share = Self { number, ports: Vec::new(), variables: vec![(NUMBER.to_owned(), number.to_string())] };
        let mut own = 0_u32;
        for range in ports.chunk_by(|(_, one), (_, other)| one == other) {
            if count < 2 || range.len() < count as usize {
                share.ports.extend_from_slice(range);
                continue;
            }
            let Some((port, at)) = range.get(number as usize - 1) else { continue };
            own += 1;
            let name = if own == 1 { "PORT".to_owned() } else { format!("PORT_{own}") };
            share.variables.push((name, port.to_string()));
            share.ports.push((*port, *at));
        }
        share
    }

    /// Gives it to a copy of `base`; variables that its file sets stay.
    pub(crate) fn give(self, draft: &mut Draft, base: &ServiceName, count: u32) {
        let Self { number, ports, variables } = self;
        draft.ports = ports;
        for (name, value) in variables {
            draft.settings.environment.entry(name).or_insert(value);
        }
        if count > 1 {
            draft.occasions.replica = Some(Replica { of: base.clone(), number, count });
        }
    }
}

/// Reads one entry of `services`: all its copies.
pub(crate) fn read(reader: &mut Reader<'_>, key: &Key, node: &Node, defaults: &Settings) -> Vec<Draft> {
    let fields = if node.is_null() { None } else { reader.fields(&key.text, node, &schema::SERVICE) };
    let Some(count) = fields.and_then(|fields| count(reader, &fields)) else {
        return draft::read(reader, key, node, defaults).into_iter().collect();
    };
    let all: Vec<(u16, Place)> =
        fields.and_then(|fields| fields.get("ports")).map(|node| ports::read(reader, node)).unwrap_or_default();
    tell_of_ports(reader, &key.text, &all, count);
    let mut drafts = Vec::new();
    for (number, name) in (1..).zip(names(&key.text, count)) {
        let share = Share::of(&all, number, count);
        reader.own = share.variables.iter().cloned().collect();
        // What is wrong with all of them is told once: it stands at one place.
        let draft = draft::read(reader, key, node, defaults);
        reader.own.clear();
        let Some(mut draft) = draft else { continue };
        let base = draft.name.clone();
        match ServiceName::new(&name) {
            Ok(name) => draft.name = name,
            Err(error) => {
                reader.error(key.at, format!("replicas: {error}"), "give it a shorter name");
                continue;
            }
        }
        share.give(&mut draft, &base, count);
        drafts.push(draft);
    }
    drafts
}

/// How many are written; none where nothing is.
fn count(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<u32> {
    let deploy = fields.get("deploy").and_then(|node| reader.fields("deploy", node, &schema::DEPLOY));
    let written = [
        ("replicas", fields.find("replicas")),
        ("scale", fields.find("scale")),
        ("deploy.replicas", deploy.and_then(|deploy| deploy.find("replicas"))),
    ];
    let mut first: Option<(&str, u32)> = None;
    for (what, found) in written {
        let Some((key, node)) = found.filter(|(_, node)| !node.is_null()) else { continue };
        let hint = format!("write a number from 1 to {MOST}, such as 3");
        let number = reader.parsed(what, node, &hint, |text| match text.parse::<u32>() {
            Ok(0) => Err("is none; a service that is not to run by itself has autostart: false".to_owned()),
            Ok(number) if number <= MOST => Ok(number),
            Ok(_) => Err(format!("is more than {MOST}")),
            Err(_) => Err("is not a whole number".to_owned()),
        })?;
        match first {
            Some((other, before)) if before != number => {
                reader.error(key.at, format!("{what}: {other} says something else"), "keep one of the two");
            }
            Some(_) => {}
            None => first = Some((what, number)),
        }
    }
    first.map(|(_, number)| number)
}

/// Of ranges that do not fit the number of copies.
fn tell_of_ports(reader: &mut Reader<'_>, name: &str, ports: &[(u16, Place)], count: u32) {
    if count < 2 {
        return;
    }
    for range in ports.chunk_by(|(_, one), (_, other)| one == other) {
        let Some((first, at)) = range.first() else { continue };
        let wanted = format!("{first}-{}", u32::from(*first) + count - 1);
        match u32::try_from(range.len()).unwrap_or(u32::MAX) {
            length if length == count => {}
            1 => reader.note(
                *at,
                format!("ports: all {count} copies of {name} listen on port {first}"),
                format!("a program must share it (SO_REUSEPORT); {wanted} gives each copy its own, as $PORT"),
            ),
            length if length < count => reader.error(
                *at,
                format!("ports: {length} ports are too few for {count} copies of {name}"),
                format!("write {wanted}, for each copy to have its own"),
            ),
            length => reader.note(
                *at,
                format!("ports: {count} of {length} ports are used, one by each copy of {name}"),
                format!("write {wanted}"),
            ),
        }
    }
}

/// `deploy.replicas` of all services would mean nothing good.
pub(crate) fn refuse_in_defaults(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    let deploy = fields.get("deploy").and_then(|node| reader.fields("deploy", node, &schema::DEPLOY));
    if let Some((key, _)) = deploy.and_then(|deploy| deploy.find("replicas")) {
        reader.error(key.at, "replicas: not in defaults", "write it in the services that have copies");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(column: usize) -> Place {
        Place::new(1, column)
    }

    fn range(first: u16, last: u16, column: usize) -> Vec<(u16, Place)> {
        (first..=last).map(|port| (port, place(column))).collect()
    }

    #[test]
    fn a_range_is_divided_and_a_single_port_is_shared() {
        let mut all = range(3000, 3002, 1);
        all.extend(range(9000, 9000, 10));
        all.extend(range(4000, 4003, 20));
        let share = Share::of(&all, 2, 3);
        let ports: Vec<u16> = share.ports.iter().map(|(port, _)| *port).collect();
        assert_eq!(ports, [3001, 9000, 4001]);
        let variables: Vec<_> = share.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(variables, ["CAS_REPLICA=2", "PORT=3001", "PORT_2=4001"]);
    }

    #[test]
    fn one_copy_has_the_name_and_all_ports() {
        assert_eq!(names("web", 1), ["web"]);
        assert_eq!(names("web", 2), ["web-1", "web-2"]);
        assert_eq!(Share::of(&range(3000, 3002, 1), 1, 1).ports.len(), 3);
    }
}
