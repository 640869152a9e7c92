//! What could come next in a palette line: from the definition of the commands, the services and the actions of the screen.

use std::collections::BTreeMap;

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{AtomKind, CaseMatching, Normalization, Pattern},
};

use super::help::spelled;
use crate::{
    model::{
        command::{Command, Verb},
        container::EXPLICIT,
        signal::Signal,
    },
    tui::{
        action::{Action, Layer, Section},
        ui::{Access, Ui},
    },
};

/// What a completion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Verb,
    Action(Action),
    Argument,
    Service,
    Container,
}

impl Sort {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Verb => "command",
            Self::Action(_) => "screen",
            Self::Argument => "option",
            Self::Service => "service",
            Self::Container => "container",
        }
    }
}

/// Something that could be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) text: String,
    pub(crate) about: String,
    pub(crate) sort: Sort,
    /// Characters of `text` that match what is typed.
    pub(crate) matched: Vec<u32>,
}

fn candidate(text: impl Into<String>, about: impl Into<String>, sort: Sort) -> Candidate {
    Candidate { text: text.into(), about: about.into(), sort, matched: Vec::new() }
}

/// Completions of the last word of `typed`, best first.
pub(crate) fn candidates(ui: &Ui, typed: &str) -> Vec<Candidate> {
    let words: Vec<&str> = typed.split_whitespace().collect();
    let is_new = typed.is_empty() || typed.ends_with(char::is_whitespace);
    let (before, word) = if is_new {
        (words.as_slice(), "")
    } else {
        words.split_last().map_or((&[][..], ""), |(last, before)| (before, *last))
    };
    let all = match before.split_first() {
        None => first_words(ui),
        Some((verb, arguments)) => arguments_of(ui, verb, arguments),
    };
    best(all, word)
}

/// The actions that make sense when typed: all of the panes that are not motions.
pub(crate) fn typed_actions() -> impl Iterator<Item = Action> {
    let verbs: Vec<String> = Command::definition().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    Action::ALL.iter().copied().filter(move |action| {
        let is_motion = action.section() == Section::List;
        action.section().layer() == Layer::Screen && !is_motion && !verbs.iter().any(|verb| verb == action.name())
    })
}

fn first_words(ui: &Ui) -> Vec<Candidate> {
    let definition = Command::definition();
    let verbs = definition.get_subcommands().map(|verb| {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        candidate(verb.get_name(), about, Sort::Verb)
    });
    let is_looking = ui.access == Access::Looking;
    let actions = typed_actions().filter(|action| !(is_looking && action.is_wish())).map(|action| {
        let about = ui.keymap.binding(action).map_or_else(String::new, |binding| binding.help.clone());
        candidate(action.name(), about, Sort::Action(action))
    });
    verbs.filter(|_| !is_looking).chain(actions).collect()
}

fn arguments_of(ui: &Ui, verb: &str, typed: &[&str]) -> Vec<Candidate> {
    let definition = Command::definition();
    let Some(command) = definition.find_subcommand(verb) else { return Vec::new() };
    let flag = typed.last().and_then(|last| last.strip_prefix("--"));
    let open =
        command.get_arguments().find(|arg| arg.get_long() == flag && flag.is_some() && arg.get_action().takes_values());
    if open.is_some() {
        return ["3s", "10s", "30s", "1m"].map(|time| candidate(time, "a time", Sort::Argument)).into();
    }
    let mut all = Vec::new();
    let positional: Vec<&clap::Arg> = command.get_positionals().collect();
    let given = typed.iter().filter(|word| !word.starts_with("--")).count();
    if let Some(argument) = positional.get(given.min(positional.len().saturating_sub(1))) {
        match argument.get_id().as_str() {
            "signal" => {
                all.extend(Signal::ALL.iter().map(|signal| candidate(signal.name(), signal.about(), Sort::Argument)));
            }
            "services" => all.extend(services(ui, verb, typed)),
            "directory" => all.extend(closed(ui)),
            "project" => all.extend(open_projects(ui)),
            _ => all.extend(argument.get_possible_values().iter().map(|value| {
                let about = value.get_help().map(ToString::to_string).unwrap_or_default();
                candidate(value.get_name(), about, Sort::Argument)
            })),
        }
    }
    let flags = command.get_arguments().filter(|arg| {
        arg.get_long().is_some_and(|long| !typed.iter().any(|word| word.strip_prefix("--") == Some(long)))
    });
    all.extend(flags.map(|flag| {
        let name = spelled(flag);
        let about = flag.get_help().map(ToString::to_string).unwrap_or_default();
        candidate(name.split(' ').next().unwrap_or_default(), about, Sort::Argument)
    }));
    all
}

/// Services by the shortest name that is theirs alone, those not yet typed; then whole projects, and containers that are no service's. A verb that is
/// about containers is offered nothing else.
fn services(ui: &Ui, verb: &str, typed: &[&str]) -> Vec<Candidate> {
    let verb = Verb::ALL.into_iter().find(|known| known.label() == verb);
    let is_about_containers =
        matches!(verb, Some(Verb::Pause | Verb::Unpause | Verb::Recreate | Verb::Pull | Verb::Rm));
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for service in &ui.snapshot.services {
        *times.entry(service.id.service.as_str()).or_default() += 1;
    }
    let mut all: Vec<Candidate> = Vec::with_capacity(ui.snapshot.services.len());
    for service in &ui.snapshot.services {
        let is_alone = times.get(service.id.service.as_str()) == Some(&1);
        let name = if is_alone { service.id.service.to_string() } else { service.id.to_string() };
        let fits = !is_about_containers || verb.is_some_and(|verb| service.takes(verb));
        if fits && !typed.contains(&name.as_str()) {
            let about = format!("{} {}", service.phase.glyph(), service.phase.label());
            all.push(candidate(name, about, Sort::Service));
        }
    }
    let projects = ui.snapshot.projects.iter().filter(|project| project.open && !is_about_containers);
    all.extend(projects.map(|project| {
        let about = match project.counts.total {
            1 => "its one service".to_owned(),
            total => format!("all {total} services"),
        };
        candidate(format!("{}/*", project.name), about, Sort::Service)
    }));
    let loose =
        ui.snapshot.containers.iter().filter(|container| {
            ui.owner(container).is_none() && verb.is_some_and(|verb| ui.loose_takes(container, verb))
        });
    let loose = loose.map(|container| {
        let about = format!("{}, {}", container.state_words(), container.image);
        candidate(format!("{EXPLICIT}{}", container.name), about, Sort::Container)
    });
    all.extend(loose.filter(|candidate| !typed.contains(&candidate.text.as_str())));
    all
}

/// Directories of projects that could be opened.
fn closed(ui: &Ui) -> impl Iterator<Item = Candidate> {
    let closed = ui.snapshot.projects.iter().filter(|project| !project.open && project.exists);
    closed.map(|project| candidate(project.root.display().to_string(), project.shown(), Sort::Argument))
}

fn open_projects(ui: &Ui) -> impl Iterator<Item = Candidate> {
    let open = ui.snapshot.projects.iter().filter(|project| project.open);
    open.map(|project| candidate(project.name.as_str(), project.root.display().to_string(), Sort::Argument))
}

fn best(all: Vec<Candidate>, word: &str) -> Vec<Candidate> {
    if word.is_empty() {
        return all;
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::new(word, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, Candidate)> = all
        .into_iter()
        .filter_map(|mut candidate| {
            let haystack = Utf32Str::new(&candidate.text, &mut buffer);
            let score = pattern.indices(haystack, &mut matcher, &mut candidate.matched)?;
            candidate.matched.sort_unstable();
            candidate.matched.dedup();
            Some((score, candidate))
        })
        .collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, candidate)| candidate).collect()
}
