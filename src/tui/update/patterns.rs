//! The view of patterns: opened, closed, asked for while it is seen, moved in, looked into.

use std::collections::BTreeSet;

use super::{list, logs, say};
use crate::{
    host::handle::Link,
    model::{
        ids::ServiceId,
        pattern::{Pattern, ServicePatterns, Since},
        timeline::Severity,
    },
    tui::{
        logs::row::Scope,
        message::UiEffect,
        motion::{Motion, select},
        ui::{Pane, Ui},
    },
};

/// Between two looks at patterns while they are seen, microseconds of the wall clock of pictures.
const AGAIN_US: u64 = 2_000_000;

/// Opens it, or goes back to where it was opened from.
pub(super) fn toggle(ui: &mut Ui) {
    if ui.focus == Pane::Patterns {
        ui.focus = ui.patterns.from.take().unwrap_or(Pane::Services);
        return;
    }
    ui.patterns.from = Some(ui.focus);
    ui.focus = Pane::Patterns;
    ui.patterns.asked_us = None;
}

/// What is to be asked for now: while the view is seen, every other second or so.
pub(super) fn ask(ui: &mut Ui) -> Option<UiEffect> {
    let is_answering = match ui.link {
        Link::Local | Link::Connected => true,
        Link::Retrying { .. } => false,
    };
    if ui.focus != Pane::Patterns || ui.patterns.waits || !is_answering {
        return None;
    }
    let wanted: BTreeSet<ServiceId> = match ui.log_scope() {
        Scope::All => ui.snapshot.services.iter().map(|service| service.id.clone()).collect(),
        Scope::Services(some) => some,
    };
    let now = ui.snapshot.at.mono_us;
    let is_due = ui.patterns.asked_us.is_none_or(|asked| now.saturating_sub(asked) >= AGAIN_US);
    if wanted.is_empty() || (!is_due && ui.patterns.asked_for == wanted) {
        return None;
    }
    ui.patterns.waits = true;
    ui.patterns.asked_us = Some(now);
    ui.patterns.asked_for.clone_from(&wanted);
    Some(UiEffect::AskPatterns(wanted.into_iter().collect()))
}

pub(super) fn take(ui: &mut Ui, answer: Result<Vec<ServicePatterns>, String>) {
    ui.patterns.waits = false;
    match answer {
        Ok(mut known) => {
            known.iter_mut().for_each(ServicePatterns::sort);
            ui.patterns.known = known;
            ui.patterns.trouble = None;
        }
        Err(why) => ui.patterns.trouble = Some(why),
    }
}

/// Shows only what is new since the last start, the last deployment, the last healthy hour; then all again.
pub(super) fn next_since(ui: &mut Ui) {
    ui.patterns.since = match ui.patterns.since {
        None => Some(Since::Restart),
        Some(Since::Restart) => Some(Since::Deployment),
        Some(Since::Deployment) => Some(Since::HealthyHour),
        Some(Since::HealthyHour) => None,
    };
}

/// Shows the lines of the selected pattern.
pub(super) fn open(ui: &mut Ui) {
    let Some((service, pattern)) = ui.selected_pattern().map(|(of, pattern)| (of.clone(), pattern.clone())) else {
        say(ui, Severity::Info, "no pattern is selected".to_owned(), None);
        return;
    };
    if pattern.id == 0 {
        say(ui, Severity::Info, "these are lines that there was no room for to tell apart".to_owned(), None);
        return;
    }
    ui.services.selected = Some(service);
    ui.services.marks.clear();
    ui.logs.everyone = false;
    logs::show_template(ui, &pattern.text);
}

/// What is copied: the text of the selected pattern.
pub(super) fn text_to_copy(ui: &Ui) -> Option<String> {
    ui.selected_pattern().map(|(_, pattern): (_, &Pattern)| pattern.text.clone())
}

pub(super) fn go(ui: &mut Ui, motion: Motion) {
    let rows = ui.pattern_rows();
    let place = motion.apply(ui.patterns.view.selected(), rows.len());
    ui.patterns.selected = rows.get(place).map(|(of, pattern)| ((*of).clone(), pattern.id));
}

/// Keeps the selection on its pattern, wherever that has moved to.
pub(super) fn settle(ui: &mut Ui) {
    if ui.focus != Pane::Patterns {
        return;
    }
    let rows = ui.pattern_rows();
    let is_selected = |(of, pattern): &(&ServiceId, &Pattern)| {
        ui.patterns.selected.as_ref().is_some_and(|(id, number)| id == *of && *number == pattern.id)
    };
    let len = rows.len();
    let found = rows.iter().position(is_selected);
    let place = found.unwrap_or_else(|| ui.patterns.view.selected().min(len.saturating_sub(1)));
    let selected = rows.get(place).map(|(of, pattern)| ((*of).clone(), pattern.id));
    let height = ui.pane_height(Pane::Patterns);
    // At the top the selection stays at the top: there comes what is new.
    ui.patterns.selected = selected.filter(|_| place > 0);
    select(&mut ui.patterns.view, place, len, height);
}

/// Selects what was clicked at, by its row within the frame; a second click shows its lines.
pub(super) fn select_row(ui: &mut Ui, row: usize) {
    let Some(place) = (ui.patterns.view.offset() + row).checked_sub(1) else { return };
    let by = i64::try_from(place).unwrap_or(0) - i64::try_from(ui.patterns.view.selected()).unwrap_or(0);
    list::scroll(ui, Pane::Patterns, Motion::By(by));
}
