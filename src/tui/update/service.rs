//! Keys on services: each asks the engine by a command, or opens something beside the service.

use std::sync::Arc;

use super::{containers, list, say};
use crate::{
    model::{
        command::{Command, ServiceRef, Targets, Verb},
        ids::{RequestId, ServiceId},
        policy::{Consent, Origin, Request},
        service::ServiceKind,
        snapshot::ServiceView,
        timeline::Severity,
    },
    tui::{
        action::ServiceKey,
        containers::explicit,
        message::UiEffect,
        modals::{Modal, text::TextKind},
        ui::{LogPosition, Pane, Ui},
        widgets::Viewport,
    },
};

/// Asks for `command` in the name of a key.
pub(super) fn ask(command: Command) -> UiEffect {
    ask_for(Origin::Key, command)
}

/// Asks for files to be read again in the name of whoever sent SIGHUP, as a daemon does.
pub(super) fn reload_for_signal() -> UiEffect {
    ask_for(Origin::System, Command::Reload)
}

fn ask_for(origin: Origin, command: Command) -> UiEffect {
    UiEffect::Request(Request { id: RequestId(0), origin, command, consent: Consent::Ask, if_rev: None, asker: None })
}

pub(super) fn act(ui: &mut Ui, action: ServiceKey) -> Vec<UiEffect> {
    match action {
        ServiceKey::Restart => {
            on_targets(ui, Verb::Restart, |targets| Command::Restart { targets, with_dependents: false, grace: None })
        }
        ServiceKey::RestartWithDependents => {
            let with_dependents = ui.loose().is_none();
            on_targets(ui, Verb::Restart, |targets| Command::Restart { targets, with_dependents, grace: None })
        }
        ServiceKey::StartOrStop => match ui.start_or_stop() {
            Some(Verb::Start) => on_targets(ui, Verb::Start, |targets| Command::Start { targets }),
            Some(_) | None => on_targets(ui, Verb::Stop, |targets| Command::Stop { targets, grace: None }),
        },
        ServiceKey::Kill => on_targets(ui, Verb::Kill, |targets| Command::Kill { targets }),
        ServiceKey::Signal => {
            let targets = concerned(ui, Verb::Signal);
            if targets.is_empty() {
                return refuse(ui, Verb::Signal);
            }
            let names = names_of(ui, Verb::Signal);
            ui.modal = Some(Modal::Signals { view: Viewport::default(), targets, names });
            Vec::new()
        }
        ServiceKey::PauseOrUnpause => match ui.pause_or_unpause() {
            Some(Verb::Unpause) => on_targets(ui, Verb::Unpause, |targets| Command::Unpause { targets }),
            Some(_) | None => on_targets(ui, Verb::Pause, |targets| Command::Pause { targets }),
        },
        ServiceKey::Recreate => {
            on_targets(ui, Verb::Recreate, |targets| Command::Recreate { targets, renew_volumes: false, grace: None })
        }
        ServiceKey::Pull => on_targets(ui, Verb::Pull, |targets| Command::Pull { targets }),
        ServiceKey::Rm => on_targets(ui, Verb::Rm, |targets| Command::Rm { targets, force: false, volumes: false }),
        ServiceKey::Shell => shell(ui),
        ServiceKey::Attach => attach(ui),
        ServiceKey::MarkAll => {
            list::mark_all(ui);
            Vec::new()
        }
        ServiceKey::MarkNone => {
            ui.services.marks.clear();
            Vec::new()
        }
        ServiceKey::Logs if ui.loose().is_some() => {
            containers::no_logs(ui);
            Vec::new()
        }
        ServiceKey::Logs => {
            select_target(ui);
            ui.focus = Pane::Logs;
            ui.logs.everyone = false;
            ui.logs.position = LogPosition::Following;
            Vec::new()
        }
        ServiceKey::Detail => {
            detail(ui);
            Vec::new()
        }
        ServiceKey::Health => {
            health(ui);
            Vec::new()
        }
    }
}

/// Asks for the terminal of the service, or says why it has none to give.
fn attach(ui: &mut Ui) -> Vec<UiEffect> {
    let Some(service) = ui.targets().first().map(|service| Arc::clone(service)) else {
        say(ui, Severity::Warning, "attach: no service is selected".to_owned(), None);
        return Vec::new();
    };
    let name = &service.id.service;
    let refusal = if !service.tty {
        let hint = "write \"tty: true\" for it in its file and restart it".to_owned();
        Some((format!("attach: {name} has no terminal"), Some(hint)))
    } else if service.phase.run().is_none() {
        Some((format!("attach: {name} is {}", service.phase.label()), Some(service.why.clone())))
    } else {
        None
    };
    if let Some((text, hint)) = refusal {
        say(ui, Severity::Warning, text, hint);
        return Vec::new();
    }
    vec![UiEffect::Attach(service.id.clone())]
}

/// In the timeline the service in question is the entry's: select it before going elsewhere.
fn select_target(ui: &mut Ui) {
    let target = ui.targets().first().map(|service| service.id.clone());
    if matches!(ui.focus, Pane::Timeline | Pane::Containers | Pane::Patterns) && target.is_some() {
        ui.services.selected = target;
    }
}

/// The one service that is looked into: in the timeline the entry's.
fn looked_into(ui: &Ui) -> Option<ServiceId> {
    match ui.focus {
        Pane::Timeline | Pane::Containers | Pane::Patterns => ui.targets().first().map(|service| service.id.clone()),
        Pane::Projects | Pane::Services | Pane::Graphs | Pane::Logs => ui.services.selected.clone(),
    }
}

pub(super) fn detail(ui: &mut Ui) {
    if ui.focus == Pane::Containers {
        containers::detail(ui);
        return;
    }
    if let Some(id) = looked_into(ui) {
        ui.modal = Some(Modal::text(TextKind::Service(id)));
    }
}

fn health(ui: &mut Ui) {
    // Of one that is no service's there is only what its own health check says.
    if ui.loose().is_some() {
        containers::detail(ui);
        return;
    }
    match looked_into(ui) {
        Some(id) => ui.modal = Some(Modal::text(TextKind::Health(id))),
        None => say(ui, Severity::Warning, "health: no service is selected".to_owned(), None),
    }
}

/// Those of the targets to which the verb would do something, by their full names, so that nothing is ambiguous.
fn concerned(ui: &Ui, verb: Verb) -> Vec<ServiceRef> {
    match ui.loose() {
        Some(container) if ui.loose_takes(container, verb) => vec![explicit(container)],
        Some(_) => Vec::new(),
        None => ui.targets().iter().filter(|s| s.takes(verb)).map(|s| ServiceRef(s.id.to_string())).collect(),
    }
}

/// The same for people.
fn names_of(ui: &Ui, verb: Verb) -> String {
    let services = || ui.targets().into_iter().filter(|service| service.takes(verb));
    let names: Vec<&str> = match ui.loose() {
        Some(container) => vec![&container.name],
        None => services().map(|service| service.id.service.as_str()).collect(),
    };
    names.join(", ")
}

/// A shell in what is selected.
fn shell(ui: &mut Ui) -> Vec<UiEffect> {
    match ui.loose() {
        Some(container) if container.state == "running" => {
            vec![UiEffect::ShellInside { id: container.id.clone(), name: container.name.clone() }]
        }
        Some(container) => {
            let text = format!("shell: {} is {}", container.name, container.state_words());
            say(ui, Severity::Warning, text, None);
            Vec::new()
        }
        None => {
            let first = ui.targets().first().map(|service| service.id.clone());
            first.map(UiEffect::Shell).into_iter().collect()
        }
    }
}

fn on_targets(ui: &mut Ui, verb: Verb, command: impl FnOnce(Targets) -> Command) -> Vec<UiEffect> {
    let ids = concerned(ui, verb);
    if ids.is_empty() {
        return refuse(ui, verb);
    }
    vec![ask(command(Targets { services: ids, all: false }))]
}

/// Why a verb does nothing to a service, a clause.
fn standing(service: &ServiceView, verb: Verb) -> String {
    let is_about_containers = matches!(verb, Verb::Pause | Verb::Unpause | Verb::Recreate | Verb::Pull | Verb::Rm);
    if is_about_containers && service.kind == ServiceKind::Process {
        return "it is a process, not a container".to_owned();
    }
    format!("it is {}", if service.paused { "paused" } else { service.phase.label() })
}

/// Says why a key does nothing, without bothering the engine.
fn refuse(ui: &mut Ui, verb: Verb) -> Vec<UiEffect> {
    if let Some(container) = ui.loose() {
        let text = format!("{} does nothing to {}: {}", verb.label(), container.name, containers::excuse(ui, verb));
        say(ui, Severity::Warning, text, None);
        return Vec::new();
    }
    let targets: Vec<Arc<ServiceView>> = ui.targets().into_iter().cloned().collect();
    let text = match targets.as_slice() {
        [] => format!("{}: no service is selected", verb.label()),
        [only] => format!("{} does nothing to {}: {}", verb.label(), only.id.service, standing(only, verb)),
        several => format!("{} does nothing to any of the {} marked services", verb.label(), several.len()),
    };
    let hint = targets.first().filter(|_| targets.len() == 1).map(|only| only.why.clone());
    say(ui, Severity::Warning, text, hint);
    Vec::new()
}
