//! What a service may have of its own or from `defaults`: directory, variables, restart, backoff, stop, autostart, limits, output.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    attributes, environment, limits, log_files,
    logs::PartialLogs,
    nearest::did_you_mean,
    reader::{Fields, Reader},
    schema, secrets,
    tree::Node,
};
use crate::model::{
    attributes::Attributes,
    secret::SecretSource,
    service::{Backoff, Limits, RestartPolicy, Strategy},
    signal::Signal,
};

const POLICIES: [&str; 5] = ["no", "on-failure", "on-failure:N", "always", "unless-stopped"];

/// What was written; none where nothing was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) working_dir: Option<PathBuf>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, SecretSource>,
    pub(crate) restart: Option<RestartPolicy>,
    pub(crate) backoff: PartialBackoff,
    pub(crate) stop_signal: Option<Signal>,
    pub(crate) stop_grace_period: Option<Duration>,
    pub(crate) autostart: Option<bool>,
    pub(crate) limits: Limits,
    pub(crate) attributes: Attributes,
    pub(crate) logs: PartialLogs,
    pub(crate) log_files: Option<Vec<log_files::Written>>,
}

/// Single keys of `backoff`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PartialBackoff {
    strategy: Option<Strategy>,
    base: Option<Duration>,
    factor: Option<f64>,
    ceiling: Option<Duration>,
    stable: Option<Duration>,
    give_up_after: Option<u32>,
}

impl PartialBackoff {
    /// These two keys alone.
    pub(crate) fn of(strategy: Option<Strategy>, give_up_after: Option<u32>) -> Self {
        Self { strategy, give_up_after, ..Self::default() }
    }

    /// How restarts are spaced, where it is written.
    pub(crate) const fn strategy(&self) -> Option<Strategy> {
        self.strategy
    }

    /// The same pause before every restart.
    pub(crate) fn fixed(pause: Duration) -> Self {
        Self { base: Some(pause), factor: Some(1.0), ceiling: Some(pause), ..Self::default() }
    }

    /// These keys over those of `below`.
    pub(crate) fn over(self, below: Self) -> Self {
        Self {
            strategy: self.strategy.or(below.strategy),
            base: self.base.or(below.base),
            factor: self.factor.or(below.factor),
            ceiling: self.ceiling.or(below.ceiling),
            stable: self.stable.or(below.stable),
            give_up_after: self.give_up_after.or(below.give_up_after),
        }
    }

    /// With the built-in values for what is not written.
    pub(crate) fn complete(self) -> Backoff {
        let built_in = Backoff::default();
        Backoff {
            strategy: self.strategy.unwrap_or(built_in.strategy),
            base: self.base.unwrap_or(built_in.base),
            factor: self.factor.unwrap_or(built_in.factor),
            ceiling: self.ceiling.unwrap_or(built_in.ceiling),
            stable: self.stable.unwrap_or(built_in.stable),
            give_up_after: self.give_up_after.unwrap_or(built_in.give_up_after),
        }
    }
}

impl Settings {
    /// What these keys of a map say; values of `environment` may name what is `below`.
    pub(crate) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, below: &Self) -> Self {
        let is_container = super::container::is_one(fields);
        let secrets = secrets::read(reader, fields);
        let mut environment = environment::read(reader, fields, &below.environment);
        secrets::win(reader, fields, &secrets, &mut environment);
        Self {
            // Of a container both are meant inside of it.
            working_dir: fields.get("working_dir").filter(|_| !is_container).and_then(|node| directory(reader, node)),
            environment,
            secrets,
            restart: fields.get("restart").and_then(|node| restart(reader, node)),
            backoff: fields.get("backoff").map(|node| backoff(reader, node)).unwrap_or_default(),
            stop_signal: fields.get("stop_signal").and_then(|node| stop_signal(reader, node)),
            stop_grace_period: fields
                .get("stop_grace_period")
                .and_then(|node| reader.duration("stop_grace_period", node, Duration::ZERO)),
            autostart: fields.get("autostart").and_then(|node| reader.truth("autostart", node)),
            limits: limits::read(reader, fields),
            attributes: if is_container { Attributes::default() } else { attributes::read(reader, fields) },
            logs: PartialLogs::read(reader, fields),
            log_files: log_files::read(reader, fields),
        }
    }

    /// These over those of `below`.
    pub(crate) fn over(self, below: &Self) -> Self {
        let (mut environment, mut secrets) = (below.environment.clone(), below.secrets.clone());
        // What stands closer wins, whether it is a secret or not.
        environment.retain(|name, _| !self.secrets.contains_key(name));
        secrets.retain(|name, _| !self.environment.contains_key(name));
        environment.extend(self.environment);
        secrets.extend(self.secrets);
        Self {
            working_dir: self.working_dir.or_else(|| below.working_dir.clone()),
            environment,
            secrets,
            restart: self.restart.or(below.restart),
            backoff: self.backoff.over(below.backoff),
            stop_signal: self.stop_signal.or(below.stop_signal),
            stop_grace_period: self.stop_grace_period.or(below.stop_grace_period),
            autostart: self.autostart.or(below.autostart),
            limits: limits::over(self.limits, below.limits),
            attributes: self.attributes.over(&below.attributes),
            logs: self.logs.over(below.logs),
            log_files: self.log_files.or_else(|| below.log_files.clone()),
        }
    }
}

fn directory(reader: &mut Reader<'_>, node: &Node) -> Option<PathBuf> {
    let path = reader.path("working_dir", node)?;
    if path.is_dir() {
        return Some(path);
    }
    let message = if path.exists() {
        format!("working_dir: {} is not a directory", path.display())
    } else {
        format!("working_dir: there is no directory {}", path.display())
    };
    reader.error(node.at, message, "make it, or write a path relative to this file");
    None
}

fn restart(reader: &mut Reader<'_>, node: &Node) -> Option<RestartPolicy> {
    let text = reader.text("restart", node)?;
    match text.as_str() {
        "no" => return Some(RestartPolicy::No),
        "on-failure" => return Some(RestartPolicy::OnFailure { max_retries: None }),
        "always" => return Some(RestartPolicy::Always),
        "unless-stopped" => return Some(RestartPolicy::UnlessStopped),
        _ => {}
    }
    if let Some(count) = text.strip_prefix("on-failure:") {
        if let Ok(count @ 1..) = count.trim().parse::<u32>() {
            return Some(RestartPolicy::OnFailure { max_retries: Some(count) });
        }
        reader.error(
            node.at,
            format!("restart: \"{count}\" is not a number of restarts"),
            "write on-failure:5, or on-failure for no bound but the breaker's",
        );
        return None;
    }
    let hint = match text.to_ascii_lowercase().as_str() {
        "never" | "none" | "false" | "off" => format!("did you mean \"no\"? one of: {}", POLICIES.join(", ")),
        "true" | "yes" | "on" => format!("did you mean \"always\"? one of: {}", POLICIES.join(", ")),
        _ => did_you_mean(&text, &POLICIES),
    };
    reader.error(node.at, format!("restart: \"{text}\" is not a restart policy"), hint);
    None
}

fn backoff(reader: &mut Reader<'_>, node: &Node) -> PartialBackoff {
    let Some(fields) = reader.fields("backoff", node, &schema::BACKOFF) else { return PartialBackoff::default() };
    let mut duration = |key: &str| fields.get(key).and_then(|node| reader.duration(key, node, Duration::ZERO));
    let (base, ceiling, stable) = (duration("base"), duration("ceiling"), duration("stable"));
    let written = PartialBackoff {
        strategy: fields.get("strategy").and_then(|node| strategy(reader, "strategy", node)),
        base,
        ceiling,
        stable,
        factor: fields.get("factor").and_then(|node| {
            reader.parsed("factor", node, "write a number of 1 or more, such as 2 or 1.5", |text| {
                match text.parse::<f64>() {
                    Ok(factor) if factor.is_finite() && factor >= 1.0 => Ok(factor),
                    Ok(_) => Err("is less than 1, or without end".to_owned()),
                    Err(_) => Err("is not a number".to_owned()),
                }
            })
        }),
        give_up_after: fields.get("give_up_after").and_then(|node| reader.number("give_up_after", node, 0)),
    };
    if let (Some(base), Some(ceiling)) = (base, ceiling)
        && base > ceiling
    {
        reader.note(node.at, "backoff: its base is longer than its ceiling", "the ceiling is then the only delay");
    }
    written
}

/// How restarts are spaced, by its word.
pub(crate) fn strategy(reader: &mut Reader<'_>, what: &str, node: &Node) -> Option<Strategy> {
    let text = reader.text(what, node)?;
    let strategy = Strategy::parse(&text);
    if strategy.is_none() {
        let hint = did_you_mean(&text, &Strategy::ALL.map(Strategy::label));
        reader.error(node.at, format!("{what}: \"{text}\" is not a retry strategy"), hint);
    }
    strategy
}

fn stop_signal(reader: &mut Reader<'_>, node: &Node) -> Option<Signal> {
    let names: Vec<String> = Signal::ALL.iter().map(ToString::to_string).collect();
    let text = reader.text("stop_signal", node)?;
    if let Ok(signal) = text.parse::<Signal>() {
        return Some(signal);
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = format!("{}, or its number", did_you_mean(&text, &known));
    reader.error(node.at, format!("stop_signal: \"{text}\" is not a signal"), hint);
    None
}
