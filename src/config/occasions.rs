//! `profiles`, `schedule` and `watch`. Promise: what the engine is handed can be reckoned with and matched without an error. Never: asks what time it is.

use std::{path::Path, time::Duration};

use super::{
    nearest::did_you_mean,
    reader::{Fields, Reader},
    schema,
    settings::Settings,
    tree::{Node, Shape},
};
use crate::model::{
    occasion::{Occasions, OnChange, Profiles, Watch, active_profiles},
    schedule::{self, OnOverlap, Pace, SHORTEST, Schedule, Zone},
    service::{CommandLine, RestartPolicy},
    signal::Signal,
};

/// Quiet that ends a burst of changes, where nothing is said.
const DEBOUNCE: Duration = Duration::from_millis(300);
const SHORTEST_DEBOUNCE: Duration = Duration::from_millis(10);
const LONGEST_DEBOUNCE: Duration = Duration::from_mins(1);
/// Most patterns of one service.
const MOST_PATTERNS: usize = 256;
const SCHEDULE_HINT: &str = "write a cron expression such as \"*/15 * * * *\" or @daily, or every 15m";
const ACTION_HINT: &str = "one of: restart, {signal: HUP}, {run: command}";

/// What a service has of them; its copies are another's.
pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Occasions {
    Occasions {
        profiles: fields.get("profiles").map(|node| profiles(reader, node)).unwrap_or_default(),
        replica: None,
        schedule: fields.get("schedule").and_then(|node| schedule(reader, node)),
        watch: fields.get("watch").and_then(|node| watch(reader, node)),
    }
}

/// What a clock does to the other settings of its service.
pub(crate) fn settle(reader: &mut Reader<'_>, fields: &Fields<'_>, occasions: &Occasions, settings: &mut Settings) {
    if occasions.schedule.is_none() {
        return;
    }
    if matches!(settings.restart, Some(RestartPolicy::Always | RestartPolicy::UnlessStopped)) {
        if let Some((key, _)) = fields.find("restart") {
            reader.error(
                key.at,
                "restart: what is always started again never waits for its schedule",
                "write restart: \"no\", or on-failure for another try",
            );
        }
        settings.restart = None;
    }
    if let (Some(true), Some((key, _))) = (settings.autostart, fields.find("autostart")) {
        reader.note(key.at, "autostart: not used beside schedule", "its clock starts it; cas start runs it at once");
    }
    settings.autostart = None;
}

/// Names of profiles, with which of them are active.
fn profiles(reader: &mut Reader<'_>, node: &Node) -> Profiles {
    let names = reader.texts("profiles", node).unwrap_or_default();
    for name in &names {
        if name.is_empty() || name == "*" || name.contains([',', ' ', '\t']) {
            let message = format!("profiles: \"{name}\" is not the name of a profile");
            reader.error(node.at, message, "letters, digits, '.', '_' and '-' make one, such as dev");
        }
    }
    among_active(reader, names)
}

/// The same where the names are known.
pub(crate) fn among_active(reader: &Reader<'_>, names: Vec<String>) -> Profiles {
    Profiles::among(names, &active_profiles(|name| reader.variable(name)))
}

fn schedule(reader: &mut Reader<'_>, node: &Node) -> Option<Schedule> {
    if !matches!(node.shape, Shape::Map(_)) {
        let pace = reader.parsed("schedule", node, SCHEDULE_HINT, |text| {
            let pause = text.strip_prefix("every ").or_else(|| text.strip_prefix("@every "));
            pause.map_or_else(|| cron(text), every)
        })?;
        return Some(at_pace(pace, local_zone(reader)));
    }
    let fields = reader.fields("schedule", node, &schema::SCHEDULE)?;
    let pace = match (fields.get("cron"), fields.get("every")) {
        (Some(node), None) => reader.parsed("cron", node, SCHEDULE_HINT, cron)?,
        (None, Some(node)) => reader.parsed("every", node, "write it like 30s, 15m or 2h", every)?,
        (Some(_), Some(_)) => {
            reader.error(node.at, "schedule: it has both cron and every", "keep one of the two");
            return None;
        }
        (None, None) => {
            reader.error(node.at, "schedule: it has neither cron nor every", SCHEDULE_HINT);
            return None;
        }
    };
    let zone = match fields.get("timezone") {
        Some(node) => {
            reader.parsed("timezone", node, "write a name of the tz database, such as Europe/Berlin", |text| {
                Zone::named(text).ok_or_else(|| "is not a time zone".to_owned())
            })?
        }
        None => local_zone(reader),
    };
    let on_overlap = fields.get("on_overlap").and_then(|node| {
        let known = [OnOverlap::Skip, OnOverlap::Restart];
        let text = reader.text("on_overlap", node)?;
        let found = known.into_iter().find(|word| word.label() == text);
        if found.is_none() {
            let hint = did_you_mean(&text, &known.map(OnOverlap::label));
            reader.error(node.at, format!("on_overlap: \"{text}\" is not understood"), hint);
        }
        found
    });
    let catch_up = fields.get("catch_up").and_then(|node| reader.truth("catch_up", node));
    Some(Schedule {
        on_overlap: on_overlap.unwrap_or_default(),
        catch_up: catch_up.unwrap_or(false),
        ..at_pace(pace, zone)
    })
}

/// Without further words.
pub(crate) fn at_pace(pace: Pace, zone: Zone) -> Schedule {
    Schedule { pace, zone, on_overlap: OnOverlap::default(), catch_up: false }
}

fn cron(text: &str) -> Result<Pace, String> {
    let fields = text.split_whitespace().collect::<Vec<_>>().join(" ");
    schedule::check(&fields)?;
    Ok(Pace::Cron(fields))
}

fn every(text: &str) -> Result<Pace, String> {
    let pause = crate::model::time::human::parse(text).map_err(|_| "is not a duration".to_owned())?;
    if pause < SHORTEST {
        return Err(format!("is too short, at least {} is needed", humantime::format_duration(SHORTEST)));
    }
    Ok(Pace::Every(pause))
}

/// The zone of `TZ`, else of this machine.
pub(crate) fn local_zone(reader: &Reader<'_>) -> Zone {
    let named = reader.variable("TZ").and_then(|name| Zone::named(name.trim_start_matches(':')));
    let of_machine = || iana_time_zone::get_timezone().ok().and_then(|name| Zone::named(&name));
    named.or_else(of_machine).unwrap_or(Zone::UTC)
}

fn watch(reader: &mut Reader<'_>, node: &Node) -> Option<Watch> {
    let Shape::Map(_) = &node.shape else {
        return Some(of_paths(patterns(reader, "watch", node)?));
    };
    let fields = reader.fields("watch", node, &schema::WATCH)?;
    let Some(paths) = fields.get("paths") else {
        reader.error(node.at, "watch: it has no paths", "write paths: [src] below it");
        return None;
    };
    let paths = patterns(reader, "paths", paths)?;
    let ignore = match fields.get("ignore") {
        Some(node) => patterns(reader, "ignore", node)?,
        None => Vec::new(),
    };
    let debounce = fields.get("debounce").and_then(|node| {
        let debounce = reader.duration("debounce", node, SHORTEST_DEBOUNCE)?;
        if debounce > LONGEST_DEBOUNCE {
            reader.error(node.at, "debounce: it is more than a minute", "write it like 300ms or 2s");
        }
        Some(debounce)
    });
    let action = match fields.get("action") {
        Some(node) => action(reader, node)?,
        None => OnChange::Restart,
    };
    Some(Watch { ignore, debounce: debounce.unwrap_or(DEBOUNCE), action, ..of_paths(paths) })
}

fn of_paths(paths: Vec<String>) -> Watch {
    Watch { paths, ignore: Vec::new(), debounce: DEBOUNCE, action: OnChange::Restart }
}

/// One pattern or a list of them; never empty.
fn patterns(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<Vec<String>> {
    let patterns = match &node.shape {
        Shape::Scalar { .. } => vec![reader.text(what, node)?],
        Shape::List(_) | Shape::Map(_) => reader.texts(what, node)?,
    };
    let mut is_good = true;
    for pattern in &patterns {
        if let Err((why, hint)) = usable(pattern) {
            reader.error(node.at, format!("{what}: \"{pattern}\" {why}"), hint);
            is_good = false;
        }
    }
    if patterns.is_empty() || patterns.len() > MOST_PATTERNS {
        let message = format!("{what}: there are {}, not 1 to {MOST_PATTERNS} patterns", patterns.len());
        reader.error(node.at, message, "write [src, \"*.toml\"], or . for everything");
        is_good = false;
    }
    is_good.then_some(patterns)
}

/// Why a pattern cannot be one, and what to do.
fn usable(pattern: &str) -> Result<(), (String, &'static str)> {
    let is_outside = Path::new(pattern).components().any(|part| matches!(part, std::path::Component::ParentDir));
    if pattern.trim().is_empty() {
        return Err(("is empty".to_owned(), "write a path or a pattern such as src/**"));
    }
    if is_outside || pattern.starts_with("~/") {
        return Err((
            "leads out of the service's directory".to_owned(),
            "only files below working_dir are watched: make that a directory above",
        ));
    }
    let mut builder = ignore::gitignore::GitignoreBuilder::new("/");
    let added = builder.add_line(None, pattern).map(|_| ());
    added.and_then(|()| builder.build().map(|_| ())).map_err(|error| {
        let why = error.to_string();
        (format!("is not a pattern: {}", why.lines().last().unwrap_or_default()), "patterns are those of .gitignore")
    })
}

fn action(reader: &mut Reader<'_>, node: &Node) -> Option<OnChange> {
    if !matches!(node.shape, Shape::Map(_)) {
        return reader.parsed("action", node, ACTION_HINT, |text| match text {
            "restart" => Ok(OnChange::Restart),
            _ => Err("is not an action".to_owned()),
        });
    }
    let fields = reader.fields("action", node, &schema::ACTION)?;
    match (fields.get("signal"), fields.get("run")) {
        (Some(node), None) => {
            let signal = reader.parsed("signal", node, "write HUP, USR1 or a number", |text| {
                text.parse::<Signal>().map_err(|_| "is not a signal".to_owned())
            });
            signal.map(OnChange::Signal)
        }
        (None, Some(node)) => match &node.shape {
            Shape::List(_) => {
                let argv = reader.texts("run", node)?;
                if argv.is_empty() {
                    reader.error(node.at, "run: it is empty", "write the program and its arguments");
                    return None;
                }
                Some(OnChange::Run(CommandLine::Argv(argv)))
            }
            Shape::Scalar { .. } | Shape::Map(_) => {
                reader.text("run", node).map(|line| OnChange::Run(CommandLine::Shell(line)))
            }
        },
        (Some(_), Some(_)) | (None, None) => {
            reader.error(node.at, "action: it needs exactly one of signal and run", ACTION_HINT);
            None
        }
    }
}
