//! Keys while something lies over the panes.

use super::{list, prompt, say, service};
use crate::{
    model::{
        command::{Command, Targets},
        policy::{Consent, Request},
        signal::Signal,
        timeline::Severity,
    },
    tui::{
        action::{Action, ConfirmKey, GlobalKey, ListKey, ServiceKey},
        layout::Areas,
        message::UiEffect,
        modals::{Modal, share::Target, text},
        motion::{Motion, select},
        theme::Theme,
        ui::{Leaving, LogPosition, Ui},
        widgets::Viewport,
    },
};

/// An answer to the open question.
pub(super) fn answer(ui: &mut Ui, action: Action) -> Vec<UiEffect> {
    let answer = match action {
        Action::Confirm(answer) => answer,
        Action::Global(_) | Action::List(_) | Action::Service(_) | Action::Logs(_) | Action::Prompt(_) => {
            return Vec::new();
        }
    };
    let is_leaving = matches!(ui.modal, Some(Modal::Leave { .. }));
    // A question with two ways out is not answered by a yes, nor the others by these.
    let fits = match answer {
        ConfirmKey::Agree => !is_leaving,
        ConfirmKey::LeaveRunning | ConfirmKey::StopAndQuit => is_leaving,
        ConfirmKey::Decline => true,
    };
    if !fits {
        return Vec::new();
    }
    match ui.modal.take() {
        Some(Modal::Confirm { request, plan }) if answer == ConfirmKey::Agree => {
            // The plan belongs to a state: where that is gone, it is asked again. An engine that counts no revisions says 0.
            let if_rev = (plan.revision > 0).then_some(plan.revision);
            vec![UiEffect::Request(Request { consent: Consent::Given(plan.fingerprint), if_rev, ..request })]
        }
        Some(Modal::Leave { .. }) if answer == ConfirmKey::LeaveRunning => vec![UiEffect::LeaveRunning],
        Some(Modal::Leave { running }) if answer == ConfirmKey::StopAndQuit => {
            ui.leaving = Leaving::StoppingAll;
            let key = ui.keymap.key(GlobalKey::Quit.into()).unwrap_or_default();
            let hint = Some(format!("{key} again leaves the screen while they end"));
            say(
                ui,
                Severity::Warning,
                format!("stopping {running} service{}, then leaving", if running == 1 { "" } else { "s" }),
                hint,
            );
            vec![UiEffect::StopAllAndQuit]
        }
        Some(Modal::Confirm { .. }) => {
            say(ui, Severity::Info, "nothing was done".to_owned(), None);
            Vec::new()
        }
        Some(
            Modal::Leave { .. }
            | Modal::Palette(_)
            | Modal::Signals { .. }
            | Modal::Themes { .. }
            | Modal::Text { .. }
            | Modal::Share(_),
        )
        | None => Vec::new(),
    }
}

/// A key in a list to choose from or a text to read.
pub(super) fn act(ui: &mut Ui, action: Action) -> Vec<UiEffect> {
    match action {
        Action::Global(GlobalKey::Back | GlobalKey::Quit) => {
            close(ui);
            Vec::new()
        }
        Action::Global(GlobalKey::Help) if is_help(ui) => {
            close(ui);
            Vec::new()
        }
        Action::Global(GlobalKey::Why) => {
            ask_why(ui);
            Vec::new()
        }
        Action::Global(GlobalKey::Repaint) => vec![UiEffect::Repaint],
        Action::Global(GlobalKey::Suspend) => vec![UiEffect::Suspend],
        Action::List(ListKey::Open) => choose(ui),
        Action::List(ListKey::Copy) => {
            let copied = text::copy(ui);
            list::copy_text(ui, copied)
        }
        Action::List(key) => {
            if let Some(motion) = list::motion(key, page(ui)) {
                scroll(ui, motion);
            }
            Vec::new()
        }
        Action::Service(_) => of_service(ui, action),
        Action::Global(_) | Action::Logs(_) | Action::Prompt(_) | Action::Confirm(_) => Vec::new(),
    }
}

/// The keys of services work in the detail of one, as they do in the list behind it.
fn of_service(ui: &mut Ui, action: Action) -> Vec<UiEffect> {
    match &ui.modal {
        Some(Modal::Text { kind, .. }) => {
            let again = match kind {
                text::TextKind::Service(_) | text::TextKind::Container { .. } => Some(ServiceKey::Detail),
                text::TextKind::Health(_) => Some(ServiceKey::Health),
                text::TextKind::Why(text::Subject::Service(_) | text::Subject::Entry(_)) | text::TextKind::Entry(_) => {
                    None
                }
                // Of a project no service is shown that the keys could mean.
                text::TextKind::Why(text::Subject::Project(_)) | text::TextKind::Help | text::TextKind::Problems => {
                    return Vec::new();
                }
            };
            if again.is_some_and(|key| action == Action::Service(key)) {
                close(ui);
                return Vec::new();
            }
            let before = ui.modal.take();
            let effects = super::act(ui, action);
            if ui.modal.is_none() && ui.focus != crate::tui::ui::Pane::Logs {
                ui.modal = before;
            }
            effects
        }
        Some(_) | None => Vec::new(),
    }
}

/// From what is known of something to why it is so; there, closes it.
fn ask_why(ui: &mut Ui) {
    let Some(Modal::Text { kind, .. }) = &ui.modal else { return };
    let subject = match kind {
        text::TextKind::Service(id) | text::TextKind::Health(id) => Some(text::Subject::Service(id.clone())),
        text::TextKind::Entry(entry) => Some(text::Subject::Entry(entry.clone())),
        text::TextKind::Why(_) => None,
        text::TextKind::Container { id, .. } => {
            let Some(service) = ui.container(id).and_then(|container| ui.owner(container)) else { return };
            Some(text::Subject::Service(service.id.clone()))
        }
        text::TextKind::Help | text::TextKind::Problems => return,
    };
    match subject {
        Some(subject) => ui.modal = Some(Modal::text(text::TextKind::Why(subject))),
        None => close(ui),
    }
}

const fn is_help(ui: &Ui) -> bool {
    matches!(&ui.modal, Some(Modal::Text { kind: text::TextKind::Help, .. }))
}

fn page(ui: &Ui) -> usize {
    let height = Areas::of(ui).map_or(0, |areas| areas.body.height);
    usize::from(height.saturating_sub(4)).max(1)
}

/// Closes what is open; a theme that was only looked at goes back.
pub(super) fn close(ui: &mut Ui) {
    if let Some(Modal::Themes { before, .. }) = ui.modal.take() {
        ui.theme = *before;
    }
}

pub(super) fn scroll(ui: &mut Ui, motion: Motion) {
    let longest = text::longest_scroll(ui);
    let page = page(ui);
    let Some(modal) = ui.modal.as_mut() else { return };
    let choices = modal.choices();
    match modal {
        Modal::Text { scroll, .. } => *scroll = motion.apply(*scroll, longest + 1),
        Modal::Signals { view, .. } => select(view, motion.apply(view.selected(), choices), choices, page),
        Modal::Themes { view, themes, .. } => {
            select(view, motion.apply(view.selected(), choices), choices, page);
            if let Some(theme) = themes.get(view.selected()) {
                ui.theme = theme.clone();
            }
        }
        Modal::Share(share) => {
            let place = motion.apply(share.view.selected(), choices);
            select(&mut share.view, place, choices, page);
        }
        Modal::Palette(_) | Modal::Confirm { .. } | Modal::Leave { .. } => {}
    }
}

/// Takes what is selected.
pub(super) fn choose(ui: &mut Ui) -> Vec<UiEffect> {
    match ui.modal.take() {
        Some(Modal::Signals { view, targets, .. }) => {
            let signal = Signal::ALL.get(view.selected()).copied().unwrap_or(Signal::Term);
            vec![service::ask(Command::Signal { signal, targets: Targets { services: targets, all: false } })]
        }
        Some(Modal::Themes { themes, view, .. }) => {
            if let Some(theme) = themes.get(view.selected()) {
                let name = theme.name().to_owned();
                ui.theme = theme.clone();
                let hint = Some(format!("to keep it: `theme: {name}` in your config.yaml"));
                say(ui, Severity::Good, format!("theme {name}"), hint);
            }
            Vec::new()
        }
        Some(Modal::Share(chosen)) => match chosen.effect(ui) {
            Some((Target::Clipboard, UiEffect::Copy(text))) => list::copy_text(ui, Some(text)),
            Some((_, effect)) => vec![effect],
            None => list::copy_text(ui, None),
        },
        Some(Modal::Palette(_) | Modal::Confirm { .. } | Modal::Leave { .. } | Modal::Text { .. }) | None => Vec::new(),
    }
}

pub(super) fn open_themes(ui: &mut Ui, themes: Vec<Theme>) {
    if themes.is_empty() {
        prompt::nothing_to_choose(ui);
        return;
    }
    let selected = themes.iter().position(|theme| theme.name() == ui.theme.name()).unwrap_or(0);
    let mut view = Viewport::default();
    select(&mut view, selected, themes.len(), page(ui));
    ui.modal = Some(Modal::Themes { before: Box::new(ui.theme.clone()), themes, view });
}

/// Ends a selection of log rows, or a pinned place in the logs; false where there was none.
pub(super) fn clear_selection(ui: &mut Ui) -> bool {
    if ui.focus != crate::tui::ui::Pane::Logs {
        return false;
    }
    match &mut ui.logs.position {
        LogPosition::At { anchor: anchor @ Some(_), .. } => {
            *anchor = None;
            true
        }
        LogPosition::At { .. } | LogPosition::Following => false,
    }
}
