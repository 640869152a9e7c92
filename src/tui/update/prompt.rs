//! Lines that are being typed: filters and the palette.

use crossterm::event::KeyEvent;

use super::{act, list, logs, project, say};
use crate::{
    insight::filter::{Pattern, Term},
    model::{
        ids::RequestId,
        policy::{Consent, Origin, Request},
        timeline::Severity,
    },
    tui::{
        action::{Action, Layer, PromptKey},
        edit::LineEdit,
        fuzzy::Fuzzy,
        message::UiEffect,
        modals::{Modal, palette::Run},
        motion::Motion,
        ui::{FilterPrompt, Pane, Ui},
        when,
    },
};

/// What a pane was filtered by.
fn source_of(ui: &Ui, pane: Pane) -> Option<String> {
    let pattern = match pane {
        Pane::Projects => return ui.projects.pattern.as_ref().map(|wanted| wanted.source().to_owned()),
        Pane::Services => &ui.services.pattern,
        Pane::Logs => return ui.logs.terms.last().map(|term| term.source().to_owned()),
        Pane::Patterns => &ui.patterns.pattern,
        Pane::Timeline => &ui.timeline.pattern,
        Pane::Containers => &ui.containers.pattern,
        Pane::Graphs => return None,
    };
    pattern.as_ref().map(|pattern| pattern.source().to_owned())
}

/// Projects are looked for, all else is filtered; `place` says by which of several filters of the pane.
fn set(ui: &mut Ui, pane: Pane, place: usize, text: &str) {
    match pane {
        Pane::Projects => ui.projects.pattern = Fuzzy::parse(text),
        Pane::Services => ui.services.pattern = Pattern::parse(text),
        Pane::Logs => {
            ui.logs.terms.truncate(place);
            ui.logs.terms.extend(Term::parse(text));
        }
        Pane::Patterns => ui.patterns.pattern = Pattern::parse(text),
        Pane::Timeline => ui.timeline.pattern = Pattern::parse(text),
        Pane::Containers => ui.containers.pattern = Pattern::parse(text),
        Pane::Graphs => {}
    }
}

/// Begins to type a filter for the focused pane; the graphs have none, so there it is that of the services.
pub(super) fn open(ui: &mut Ui) {
    let pane = match ui.focus {
        Pane::Graphs => Pane::Services,
        other @ (Pane::Projects | Pane::Services | Pane::Logs | Pane::Timeline | Pane::Containers | Pane::Patterns) => {
            other
        }
    };
    let before = source_of(ui, pane);
    let edit = LineEdit::new(before.as_deref().unwrap_or_default());
    let place = ui.logs.terms.len().saturating_sub(1);
    ui.prompt = Some(FilterPrompt { pane, edit, before, place });
}

/// Begins to type one more filter for the logs.
pub(super) fn open_another(ui: &mut Ui) {
    let (edit, place) = (LineEdit::new(""), ui.logs.terms.len());
    ui.prompt = Some(FilterPrompt { pane: Pane::Logs, edit, before: None, place });
}

pub(super) fn key(ui: &mut Ui, event: KeyEvent) -> Vec<UiEffect> {
    let Some(prompt) = ui.prompt.as_mut() else { return Vec::new() };
    let (pane, place) = (prompt.pane, prompt.place);
    match ui.keymap.action(Layer::Prompt, &event) {
        Some(Action::Prompt(PromptKey::Accept)) => {
            let typed = prompt.edit.text().to_owned();
            ui.prompt = None;
            if pane == Pane::Logs
                && let Some(time) = typed.strip_prefix(when::SIGN)
            {
                logs::go_to_time(ui, time);
                return Vec::new();
            }
            // A project that was looked for and found is meant.
            if pane == Pane::Projects && ui.projects.pattern.is_some() && !ui.project_rows().is_empty() {
                ui.projects.pattern = None;
                return project::open(ui);
            }
        }
        Some(Action::Prompt(PromptKey::Cancel)) => {
            let before = prompt.before.take().unwrap_or_default();
            ui.prompt = None;
            set(ui, pane, place, &before);
        }
        Some(Action::Prompt(PromptKey::NextChoice)) if pane == Pane::Projects => {
            list::scroll(ui, pane, Motion::By(1));
        }
        Some(Action::Prompt(PromptKey::PreviousChoice)) if pane == Pane::Projects => {
            list::scroll(ui, pane, Motion::By(-1));
        }
        Some(_) => {}
        None => {
            if prompt.edit.input(event) {
                apply(ui);
            }
        }
    }
    Vec::new()
}

fn apply(ui: &mut Ui) {
    let Some(prompt) = &ui.prompt else { return };
    // A time is gone to and filters nothing: what was there stays.
    let text = match prompt.edit.text() {
        text if prompt.pane == Pane::Logs && text.starts_with(when::SIGN) => {
            prompt.before.as_deref().unwrap_or_default()
        }
        text => text,
    };
    let (pane, place, text) = (prompt.pane, prompt.place, text.to_owned());
    set(ui, pane, place, &text);
    if pane == Pane::Projects {
        project::select_best(ui);
    }
}

pub(super) fn paste(ui: &mut Ui, text: &str) -> Vec<UiEffect> {
    if let Some(prompt) = ui.prompt.as_mut() {
        prompt.edit.paste(text);
        apply(ui);
    } else if let Some(Modal::Palette(palette)) = ui.modal.as_mut() {
        palette.edit.paste(text);
        refresh(ui);
    }
    Vec::new()
}

fn refresh(ui: &mut Ui) {
    if let Some(Modal::Palette(mut palette)) = ui.modal.take() {
        palette.refresh(ui);
        ui.modal = Some(Modal::Palette(palette));
    }
}

pub(super) fn palette_key(ui: &mut Ui, event: KeyEvent) -> Vec<UiEffect> {
    let Some(Modal::Palette(mut palette)) = ui.modal.take() else { return Vec::new() };
    match ui.keymap.action(Layer::Prompt, &event) {
        Some(Action::Prompt(PromptKey::Cancel)) => return Vec::new(),
        Some(Action::Prompt(PromptKey::Complete)) => palette.complete(ui),
        Some(Action::Prompt(PromptKey::NextChoice)) => palette.go(ui, 1),
        Some(Action::Prompt(PromptKey::PreviousChoice)) => palette.go(ui, -1),
        Some(Action::Prompt(PromptKey::Accept)) => match palette.run() {
            Run::Nothing(error) => palette.error = Some(error),
            Run::Command(command) => {
                remember(ui, palette.edit.text());
                let request = Request {
                    id: RequestId(0),
                    origin: Origin::Palette,
                    command,
                    consent: Consent::Ask,
                    if_rev: None,
                    asker: None,
                };
                return vec![UiEffect::Request(request)];
            }
            Run::Action(action) => {
                remember(ui, action.name());
                return act(ui, action);
            }
        },
        Some(_) => {}
        None => {
            if palette.edit.input(event) {
                palette.refresh(ui);
            }
        }
    }
    ui.modal = Some(Modal::Palette(palette));
    Vec::new()
}

/// Lines that the palette remembers.
const REMEMBERED: usize = 100;

fn remember(ui: &mut Ui, line: &str) {
    ui.lines.retain(|known| known != line);
    ui.lines.push(line.to_owned());
    if ui.lines.len() > REMEMBERED {
        ui.lines.remove(0);
    }
}

/// Says what a key of a dialog cannot do.
pub(super) fn nothing_to_choose(ui: &mut Ui) {
    say(ui, Severity::Warning, "there is nothing to choose from".to_owned(), None);
}
