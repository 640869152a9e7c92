//! What kind of service each one is, and what follows from that: how it is asked, looked at, judged and healed.
//!
//! Promise: what the project file says wins; what is known of itself (image, program, port, variables) fills the rest; every kind says how it is known.
//! Never: asks anything; a probe beside one that was written.

mod keys;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    draft::Draft,
    kinds::{self, Kind},
    problems::Place,
};
use crate::model::{
    exam::{Exam, Hidden, Nature, Protocol, Remedy, Subject, Target},
    probe::{Check, Probe, ProbeKind},
    service::CommandLine,
};

pub(crate) use keys::{amount, read, url_target};

/// Time between two deep looks, and the most that one may take.
pub(crate) const RHYTHM: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(10));
/// Before its first good answer nothing is concluded of a server that nobody has asked for a probe of: ten years.
const SLOWEST_START: Duration = Duration::from_hours(10 * 365 * 24);

/// Deep looks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deep {
    /// There are to be none.
    Never,
    /// From start to start, and the most that one may take.
    Every(Duration, Duration),
}

/// What the file says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// `kind`.
    pub(crate) kind: Option<&'static Kind>,
    /// `kind: none`.
    pub(crate) is_none: bool,
    /// `check`.
    pub(crate) check: Option<(Protocol, Target)>,
    /// `deep`.
    pub(crate) deep: Option<Deep>,
    /// `thresholds`: of a figure, from where on it is a warning, and critical.
    pub(crate) thresholds: BTreeMap<String, (Option<f64>, Option<f64>)>,
    /// Where `thresholds` stands.
    pub(crate) thresholds_at: Option<Place>,
    /// `remedies`.
    pub(crate) remedies: Option<Vec<Remedy>>,
    /// `checks`.
    pub(crate) checks: Vec<Arc<Exam>>,
}

/// Finds out of each draft what kind it is, and gives it what that brings.
pub(crate) fn settle(reader: &mut super::reader::Reader<'_>, drafts: &mut [Draft]) {
    let hints: Vec<Target> = drafts
        .iter()
        .flat_map(|draft| draft.settings.environment.values())
        .chain(reader.dot_env.values())
        .filter_map(|value| url_target(value).ok().map(|(_, target)| target))
        .collect();
    for draft in drafts {
        draft.nature = of(draft, &hints).map(Arc::new);
        let known = draft.nature.as_ref().map(|nature| nature.exams.iter().flat_map(|exam| &exam.rules));
        let known: Vec<String> = known.into_iter().flatten().map(|rule| rule.name.clone()).collect();
        let unknown: Vec<String> =
            draft.asked.thresholds.keys().filter(|name| !known.contains(name)).cloned().collect();
        if let Some(at) = draft.asked.thresholds_at {
            for name in unknown {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let hint = if known.is_empty() {
                    "nothing is measured of this service: give it a kind, or a check".to_owned()
                } else {
                    super::nearest::did_you_mean(&name, &known)
                };
                reader.error(at, format!("thresholds: \"{name}\" is not measured of {}", draft.name), hint);
            }
        }
        add_probes(draft);
        if !draft.asked.checks.is_empty() {
            let nature = draft.nature.take().map_or_else(super::honest::plain_process, |nature| (*nature).clone());
            let exams = nature.exams.iter().chain(&draft.asked.checks).cloned().collect();
            draft.nature = Some(Arc::new(Nature { exams, ..nature }));
        }
    }
}

fn of(draft: &Draft, hints: &[Target]) -> Option<Nature> {
    let asked = &draft.asked;
    if asked.is_none {
        return None;
    }
    let argv = draft.command.as_ref().map(CommandLine::argv);
    let ports: Vec<u16> = draft.ports.iter().map(|(port, _)| *port).collect();
    let (kind, how) = if let Some(kind) = asked.kind {
        (kind, "its file says so".to_owned())
    } else if let Some((protocol, _)) = &asked.check
        && let Some(kind) = kinds::all().iter().find(|kind| kind.protocol == Some(*protocol))
    {
        (kind, "its check says so".to_owned())
    } else {
        let image = draft.container.as_ref().and_then(|container| container.image.as_deref());
        // What a container executes is told by its image; what it is given besides are only words.
        let argv = argv.as_deref().filter(|_| draft.container.is_none());
        kinds::find(image, argv, &ports)?
    };
    let found = target(kind, draft, argv.as_deref().unwrap_or_default(), &ports, hints);
    let asks = asked.check.clone().or_else(|| Some((kind.protocol?, found?)));
    let mut rules = kind.rules.clone();
    for rule in &mut rules {
        if let Some((warn, critical)) = asked.thresholds.get(&rule.name) {
            rule.warn = warn.or(rule.warn);
            rule.critical = critical.or(rule.critical);
        }
    }
    let rhythm = match asked.deep {
        None => Some(RHYTHM),
        Some(Deep::Every(interval, timeout)) => Some((interval, timeout)),
        Some(Deep::Never) => None,
    };
    let exams = asks.zip(rhythm).map(|((protocol, target), (interval, timeout))| {
        let subject = Subject::Server { protocol, target };
        Arc::new(Exam { name: kind.id.clone(), subject, interval, timeout, rules })
    });
    Some(Nature {
        kind: kind.id.clone(),
        title: kind.title.clone(),
        how,
        exams: exams.into_iter().collect(),
        signs: kind.signs.clone(),
        remedies: asked.remedies.clone().unwrap_or_else(|| kind.remedies.clone()),
        are_declared: asked.remedies.is_some(),
        doubts: Vec::new(),
    })
}

/// Whom to ask, by what the service is given.
fn target(kind: &Kind, draft: &Draft, argv: &[String], ports: &[u16], hints: &[Target]) -> Option<Target> {
    let variable = |names: &[String]| {
        let values = names.iter().filter_map(|name| draft.settings.environment.get(name));
        values.map(String::clone).find(|value| !value.is_empty())
    };
    let words: Vec<String> = match argv {
        [sh, flag, line] if flag == "-c" && sh.ends_with("sh") => shlex::split(line).unwrap_or_default(),
        argv => argv.to_vec(),
    };
    let told = flag(&words, &kind.port_flags).and_then(|port| port.parse().ok());
    let given = draft.settings.environment.get("PORT").and_then(|port| port.parse().ok());
    let protocol = kind.protocol?;
    // A port that many things listen on is nobody's usual one.
    let usual = kind.port.filter(|_| !matches!(protocol, Protocol::Http) && draft.container.is_none());
    // Of several published ports, the one behind which the kind listens.
    let published = draft.container.iter().flat_map(|container| &container.ports);
    let own = published.filter(|port| Some(port.target) == kind.port && !port.is_udp).find_map(|port| port.host);
    let known = own.or_else(|| ports.first().copied()).or(told).or(given);
    let port = known.or(usual)?;
    let mut options = kind.options.clone();
    let mut target = Target {
        host: "localhost".to_owned(),
        port,
        guessed: known.is_none(),
        tls: false,
        user: variable(&kind.user_variables),
        password: variable(&kind.password_variables).or_else(|| flag(&words, &kind.password_flags)).map(Hidden),
        path: variable(&kind.path_variables).unwrap_or_default(),
        options: BTreeMap::new(),
    };
    // Others in the project know how to get in.
    let known = hints.iter().filter(|hint| hint.port == port && hint.password.is_some());
    if let Some(hint) = known.into_iter().find(|hint| is_here(&hint.host, draft.name.as_str()))
        && target.password.is_none()
    {
        target.user.clone_from(&hint.user);
        target.password.clone_from(&hint.password);
        target.path.clone_from(&hint.path);
    }
    if target.user.is_none() {
        target.user.clone_from(&kind.user);
    }
    if let Some(Check::Http { url, .. }) = draft.probes.get(&ProbeKind::Readiness).map(|probe| &probe.check)
        && let Ok((Protocol::Http, asked)) = url_target(url)
        && protocol == Protocol::Http
    {
        options.append(&mut asked.options.clone());
        target = asked;
    }
    target.options = options;
    Some(target)
}

fn is_here(host: &str, service: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1" | "0.0.0.0") || host == service
}

/// What stands behind one of the flags: `--port 1`, `--port=1`, `-p1`.
fn flag(words: &[String], flags: &[String]) -> Option<String> {
    words.iter().enumerate().find_map(|(at, word)| {
        flags.iter().find_map(|flag| {
            let rest = word.strip_prefix(flag.as_str())?;
            match rest.strip_prefix('=') {
                Some(value) => Some(value.to_owned()),
                None if rest.is_empty() => words.get(at + 1).cloned(),
                None if !flag.starts_with("--") && flag.starts_with('-') => Some(rest.to_owned()),
                None => None,
            }
        })
    })
}

/// The kind's own questions, where nothing else is asked.
fn add_probes(draft: &mut Draft) {
    let Some(nature) = &draft.nature else { return };
    let server = draft.asked.check.clone().or_else(|| {
        let Subject::Server { protocol, target } = &nature.exams.first()?.subject else { return None };
        Some((*protocol, target.clone()))
    });
    let Some((protocol, target)) = server else { return };
    let probe = |start_period| Probe {
        check: Check::Server { protocol, target: Arc::new(target.clone()) },
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(3),
        retries: 3,
        successes: 1,
        start_period,
        heals: false,
        honest: true,
    };
    if !draft.has_health && draft.probes.is_empty() && draft.ready_log_line.is_none() {
        draft.probes.insert(ProbeKind::Readiness, Arc::new(probe(Duration::ZERO)));
        draft.has_health = true;
    }
    // Of a container without a health check of its own, Docker knows no more than that it runs.
    let heals = draft.probes.values().any(|probe| probe.heals && probe.check != Check::Container);
    if !heals && !draft.probes.contains_key(&ProbeKind::Liveness) {
        draft.probes.insert(ProbeKind::Liveness, Arc::new(probe(SLOWEST_START)));
    }
}

#[cfg(test)]
mod tests {
    use super::flag;

    #[test]
    fn a_flag_is_read_in_each_way_it_is_written() {
        let words = |line: &str| shlex::split(line).unwrap();
        let flags = ["--port".to_owned(), "-p".to_owned()];
        for (line, found) in [
            ("redis-server --port 7000", Some("7000")),
            ("redis-server --port=7000", Some("7000")),
            ("memcached -p7000", Some("7000")),
            ("memcached -p 7000 -m 64", Some("7000")),
            ("redis-server --portable 7", None),
            ("redis-server", None),
        ] {
            assert_eq!(flag(&words(line), &flags).as_deref(), found, "{line}");
        }
    }
}
