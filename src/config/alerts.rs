//! `alerts`: routes, rules, quiet hours. Promise: what is taken can be sent by; a message about a value never quotes a URL, a key or a password.
//! Never: opens a file with a key, or a connection.

#![allow(clippy::option_option, reason = "whether it was written, and whether what was written is a value")]

mod routes;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    layers,
    nearest::did_you_mean,
    occasions::local_zone,
    paths::Paths,
    problems::{Fault, Place},
    reader::Reader,
    schema,
    tree::{self, Key, Node, Shape},
};
use crate::model::{
    alarm::{Level, Rule},
    alert::AlertLevel,
    route::{AlertPlan, DesktopWay, Destination, QuietHours, Route, RuleChange, SendTo},
    schedule::Zone,
};

/// The route that is always there.
const DESKTOP: &str = "desktop";

/// Most routes of one plan.
const MOST_ROUTES: usize = 64;

/// A shorter pause between reminders is a mistake.
const SHORTEST_REMINDER: Duration = Duration::from_mins(1);

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What one file says; none where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The inner none: off.
    desktop: Option<Option<DesktopWay>>,
    /// None: taken away.
    routes: BTreeMap<String, Option<Arc<Route>>>,
    rules: Vec<RuleChange>,
    send_to: Option<SendTo>,
    /// The inner none: off.
    quiet: Option<Option<QuietHours>>,
    /// The inner none: off.
    reminder: Option<Option<Duration>>,
    throttle: Option<Duration>,
}

impl Written {
    /// What a file says; `below`: what it stands over.
    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, below: &Self) -> Self {
        let Some(fields) = reader.fields("alerts", node, &schema::ALERTS) else { return Self::default() };
        let mut written = Self {
            desktop: fields
                .find("desktop")
                .filter(|(_, node)| !node.is_null())
                .and_then(|(_, node)| desktop(reader, node)),
            routes: fields.get("routes").map(|node| routes(reader, node)).unwrap_or_default(),
            rules: fields.get("rules").map(|node| rules(reader, node)).unwrap_or_default(),
            send_to: None,
            quiet: fields.get("quiet_hours").and_then(|node| quiet(reader, node)),
            reminder: fields.get("reminder").and_then(|node| reminder(reader, node)),
            throttle: fields.get("throttle").and_then(|node| reader.duration("throttle", node, Duration::ZERO)),
        };
        let known = written.clone().over(below.clone()).names();
        written.send_to = fields.get("send_to").map(|node| send_to(reader, node, &known));
        written
    }

    /// These over those of `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        let mut routes = below.routes;
        routes.extend(self.routes);
        let mut rules = below.rules;
        rules.extend(self.rules);
        Self {
            desktop: self.desktop.or(below.desktop),
            routes,
            rules,
            send_to: self.send_to.or(below.send_to),
            quiet: self.quiet.or(below.quiet),
            reminder: self.reminder.or(below.reminder),
            throttle: self.throttle.or(below.throttle),
        }
    }

    fn names(&self) -> Vec<String> {
        let desktop = (self.desktop != Some(None)).then(|| DESKTOP.to_owned());
        let others = self.routes.iter().filter(|(_, route)| route.is_some()).map(|(name, _)| name.clone());
        desktop.into_iter().chain(others).collect()
    }

    /// With what is built in for all that is not written.
    pub(crate) fn complete(self, level: AlertLevel) -> AlertPlan {
        let built_in = AlertPlan::default();
        let desktop = self
            .desktop
            .unwrap_or(Some(DesktopWay::Auto))
            .map(|way| Arc::new(Route { name: DESKTOP.to_owned(), to: Destination::Desktop(way), throttle: None }));
        AlertPlan {
            level,
            routes: desktop.into_iter().chain(self.routes.into_values().flatten()).collect(),
            rules: self.rules,
            quiet: self.quiet.flatten(),
            reminder: self.reminder.unwrap_or(built_in.reminder),
            throttle: self.throttle.unwrap_or(built_in.throttle),
            send_to: self.send_to.unwrap_or_default(),
        }
    }
}

/// What the user's file and the environment say, with variables filled in. What is wrong in it is a note: that part of it holds not.
pub(crate) fn of_user(reader: &mut Reader<'_>) -> (AlertLevel, Written) {
    let Some(file) = Paths::user_config_of(reader.environment) else {
        return (AlertLevel::default(), Written::default());
    };
    let level = layers::effective_user(&file, reader.environment).config.alert_level;
    let Ok(text) = std::fs::read_to_string(&file) else { return (level, Written::default()) };
    let root = file.parent().map(std::path::Path::to_owned).unwrap_or_default();
    let mut own = Reader::new(&file, root, reader.environment);
    let mut written = Written::default();
    if let Some(root) = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(&text)).root
        && let Shape::Map(entries) = &root.shape
        && let Some((_, node)) = entries.iter().find(|(key, _)| &*key.text == "alerts")
        && !node.is_null()
    {
        written = Written::read(&mut own, node, &Written::default());
    }
    let (notes, errors) = own.problems.finish();
    for problem in notes.into_iter().chain(errors) {
        let at = problem.source.map_or(Place::START, |at| Place { line: at.line, column: at.column });
        let fault = Fault::new(at, problem.message).hint(problem.hint.unwrap_or_default());
        reader.problems.note_in(&file, fault);
    }
    (level, written)
}

/// `off`, or YAML's false, which `off` is to some.
fn is_off(node: &Node) -> bool {
    matches!(&node.shape, Shape::Scalar { text, .. } if matches!(&*text.to_ascii_lowercase(), "off" | "false" | "no"))
}

fn desktop(reader: &mut Reader<'_>, node: &Node) -> Option<Option<DesktopWay>> {
    if is_off(node) {
        return Some(None);
    }
    way(reader, node).map(Some)
}

fn way(reader: &mut Reader<'_>, node: &Node) -> Option<DesktopWay> {
    let text = reader.text("desktop", node)?;
    let way = DesktopWay::ALL.into_iter().find(|way| way.label() == text);
    if way.is_none() {
        let hint = did_you_mean(&text, &DesktopWay::ALL.map(DesktopWay::label));
        reader.error(node.at, format!("desktop: \"{text}\" is not a way to tell a desktop"), hint);
    }
    way
}

fn routes(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, Option<Arc<Route>>> {
    let Shape::Map(entries) = &node.shape else {
        reader.wrong_form("routes", node, "a map", "write NAME: {slack: URL}, or another kind of route");
        return BTreeMap::new();
    };
    if entries.len() > MOST_ROUTES {
        reader.error(node.at, format!("routes: there are {}", entries.len()), format!("{MOST_ROUTES} are enough"));
        return BTreeMap::new();
    }
    let mut routes = BTreeMap::new();
    for (key, node) in entries {
        if !is_name(reader, key) {
            continue;
        }
        let name = key.text.to_string();
        if node.is_null() || is_off(node) {
            routes.insert(name, None);
        } else if let Some(route) = routes::read(reader, key, node) {
            routes.insert(name, Some(Arc::new(route)));
        }
    }
    routes
}

fn is_name(reader: &mut Reader<'_>, key: &Key) -> bool {
    let name = &*key.text;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name == DESKTOP {
        reader.error(
            key.at,
            "routes: desktop is the route that is always there",
            "write alerts.desktop, or another name",
        );
        return false;
    }
    if name.is_empty() || name.len() > 63 || !name.chars().all(fine) {
        reader.error(
            key.at,
            format!("routes: \"{name}\" is not a usable name"),
            "letters, digits, '.', '_' and '-', at most 63, such as ops",
        );
        return false;
    }
    true
}

fn rules(reader: &mut Reader<'_>, node: &Node) -> Vec<RuleChange> {
    let Shape::Map(entries) = &node.shape else {
        reader.wrong_form("rules", node, "a map", "write RULE: {severity: warning, for: 1m}, or RULE: off");
        return Vec::new();
    };
    let mut rules = Vec::new();
    for (key, node) in entries {
        let Some(rule) = Rule::parse(&key.text) else {
            let hint = did_you_mean(&key.text, &Rule::ALL.map(Rule::label));
            reader.error(key.at, format!("rules: there is no rule \"{}\"", key.text), hint);
            continue;
        };
        change(reader, rule, None, node, &mut rules);
    }
    rules
}

/// `off`, a severity, or a map.
fn change(reader: &mut Reader<'_>, rule: Rule, services: Option<&str>, node: &Node, rules: &mut Vec<RuleChange>) {
    let blank =
        RuleChange { rule, services: services.map(str::to_owned), level: None, hold: None, resolve_after: None };
    if matches!(node.shape, Shape::Scalar { .. }) {
        if let Some(level) = level(reader, rule.label(), node) {
            rules.push(RuleChange { level: Some(level), ..blank });
        }
        return;
    }
    let Some(fields) = reader.fields(rule.label(), node, &schema::RULE) else { return };
    let own = RuleChange {
        level: fields.get("severity").and_then(|node| level(reader, "severity", node)),
        hold: fields.get("for").and_then(|node| reader.duration("for", node, Duration::ZERO)),
        resolve_after: fields
            .get("resolve_after")
            .and_then(|node| reader.duration("resolve_after", node, Duration::ZERO)),
        ..blank
    };
    rules.push(own);
    let Some(node) = fields.get("services") else { return };
    let Shape::Map(entries) = &node.shape else {
        reader.wrong_form("services", node, "a map", "write PATTERN: {for: 1m}, or PATTERN: off");
        return;
    };
    for (key, node) in entries {
        if services.is_some() {
            reader.error(key.at, "services: a pattern has no patterns below it", "write it one level above");
        } else if rule == Rule::Trouble {
            reader.error(
                key.at,
                "services: trouble is of cas itself, not of a service",
                "write the keys beside severity",
            );
        } else {
            change(reader, rule, Some(&key.text), node, rules);
        }
    }
}

fn level(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<Option<Level>> {
    if is_off(node) {
        return Some(None);
    }
    let text = reader.text(what, node)?;
    let level = Level::parse(&text);
    if level.is_none() {
        let hint = did_you_mean(&text, &["warning", "critical", "off"]);
        reader.error(node.at, format!("{what}: \"{text}\" is not a severity"), hint);
    }
    level.map(Some)
}

fn reminder(reader: &mut Reader<'_>, node: &Node) -> Option<Option<Duration>> {
    if is_off(node) {
        return Some(None);
    }
    reader.duration("reminder", node, SHORTEST_REMINDER).map(Some)
}

fn quiet(reader: &mut Reader<'_>, node: &Node) -> Option<Option<QuietHours>> {
    if is_off(node) {
        return Some(None);
    }
    let Shape::Map(_) = &node.shape else {
        let (from, to) = hours(reader, "quiet_hours", node)?;
        return Some(Some(QuietHours { from, to, days: [true; 7], zone: local_zone(reader) }));
    };
    let fields = reader.fields("quiet_hours", node, &schema::QUIET_HOURS)?;
    let Some(hours_node) = fields.get("hours") else {
        reader.error(node.at, "quiet_hours: it has no hours", "write hours: 22:00-07:00");
        return None;
    };
    let (from, to) = hours(reader, "hours", hours_node)?;
    let days = fields.get("days").map_or(Some([true; 7]), |node| days(reader, node))?;
    let zone = match fields.get("timezone") {
        Some(node) => {
            reader.parsed("timezone", node, "write a name of the tz database, such as Europe/Berlin", |text| {
                Zone::named(text).ok_or_else(|| "is not a time zone".to_owned())
            })?
        }
        None => local_zone(reader),
    };
    Some(Some(QuietHours { from, to, days, zone }))
}

fn hours(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<(u32, u32)> {
    reader.parsed(what, node, "write from and to, in quotes, such as \"22:00-07:00\"", |text| {
        let (from, to) = text.split_once('-').ok_or("is not a span of hours")?;
        let (from, to) = (clock(from), clock(to));
        let (Some(from), Some(to)) = (from, to) else { return Err("is not a span of hours".to_owned()) };
        if from == to || from == 86_400 {
            return Err("is no span: a whole day is 00:00-24:00".to_owned());
        }
        Ok((from, to))
    })
}

/// `HH:MM` up to 24:00, in seconds.
fn clock(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() <= 2 && !text.starts_with('+'));
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && (hour < 24 || (hour == 24 && minute == 0))).then_some(hour * 3600 + minute * 60)
}

fn days(reader: &mut Reader<'_>, node: &Node) -> Option<[bool; 7]> {
    let mut chosen = [false; 7];
    for name in reader.texts("days", node)? {
        let Some(at) = DAYS.iter().position(|day| *day == name.to_ascii_lowercase()) else {
            reader.error(node.at, format!("days: \"{name}\" is not a day"), did_you_mean(&name, &DAYS));
            return None;
        };
        chosen[at] = true;
    }
    Some(chosen)
}

fn send_to(reader: &mut Reader<'_>, node: &Node, known: &[String]) -> SendTo {
    let names = |node: &Node, what: &str, reader: &mut Reader<'_>| -> Option<Vec<String>> {
        let names = match &node.shape {
            Shape::Scalar { .. } => vec![reader.text(what, node)?],
            Shape::List(_) | Shape::Map(_) => reader.texts(what, node)?,
        };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            let hint = if known.is_empty() {
                "there is none: write one below routes".to_owned()
            } else {
                did_you_mean(name, &known)
            };
            reader.error(node.at, format!("{what}: there is no route \"{name}\""), hint);
        }
        Some(names)
    };
    let Shape::Map(_) = &node.shape else {
        let all = names(node, "send_to", reader);
        return SendTo { warning: all.clone(), critical: all };
    };
    let Some(fields) = reader.fields("send_to", node, &schema::SEND_TO) else { return SendTo::default() };
    SendTo {
        warning: fields.get("warning").and_then(|node| names(node, "warning", reader)),
        critical: fields.get("critical").and_then(|node| names(node, "critical", reader)),
    }
}
