//! How the console changes: a pure function from what it knows and what it learns to what it knows then and what it wants
//! done. No I/O, no clock.

mod containers;
mod global;
mod histogram;
mod list;
pub(crate) mod logs;
mod modal;
mod mouse;
mod past;
mod patterns;
mod project;
mod prompt;
mod service;

use super::{
    action::{Action, Layer},
    lists::ServiceRow,
    message::{Message, UiEffect},
    modals::Modal,
    motion::{Motion, select},
    ui::{Access, Leaving, Pane, Toast, Ui},
};
use crate::model::{
    ids::ServiceId,
    policy::{Reply, Request},
    snapshot::Snapshot,
    timeline::Severity,
};
use crossterm::event::{KeyEvent, KeyEventKind};
use std::{sync::Arc, time::Duration};

/// How long a toast stays.
const TOAST: Duration = Duration::from_secs(5);

/// Takes in what `message` says.
pub fn update(ui: &mut Ui, message: Message) -> Vec<UiEffect> {
    let effects = take(ui, message);
    if ui.access == Access::Looking && effects.iter().any(is_wish) {
        say_only_looking(ui);
        return effects.into_iter().filter(|effect| !is_wish(effect)).collect();
    }
    effects
}

/// What nobody may ask for who only looks, by whatever way he came to it: a key, the palette, the mouse.
const fn is_wish(effect: &UiEffect) -> bool {
    match effect {
        UiEffect::Request(_)
        | UiEffect::Shell(_)
        | UiEffect::ShellInside { .. }
        | UiEffect::Edit { .. }
        | UiEffect::StopAllAndQuit
        | UiEffect::LeaveRunning
        | UiEffect::Attach(_) => true,
        UiEffect::Copy(_)
        | UiEffect::Save { .. }
        | UiEffect::Page(_)
        | UiEffect::Peruse(_)
        | UiEffect::SearchLogs { .. }
        | UiEffect::AskPatterns(_)
        | UiEffect::Ring
        | UiEffect::Notify(_)
        | UiEffect::LoadThemes
        | UiEffect::CaptureMouse(_)
        | UiEffect::Repaint
        | UiEffect::Suspend
        | UiEffect::Quit => false,
    }
}

fn say_only_looking(ui: &mut Ui) {
    let hint = "leave --read-only out to act".to_owned();
    say(ui, Severity::Warning, "this console only looks: it was opened with --read-only".to_owned(), Some(hint));
}

fn take(ui: &mut Ui, message: Message) -> Vec<UiEffect> {
    let mut effects = match message {
        Message::Key(event) => key(ui, event),
        Message::Mouse(event) => return mouse::mouse(ui, event),
        Message::Paste(text) => prompt::paste(ui, &text),
        Message::Resized(size) => {
            ui.size = size;
            Vec::new()
        }
        Message::Snapshot(snapshot) => {
            take_snapshot(ui, snapshot);
            let told = desktop_news(ui);
            alert(ui).into_iter().chain(told).collect()
        }
        Message::Link(link) => {
            ui.link = link;
            Vec::new()
        }
        Message::Log(news) => return logs::take(ui, news),
        Message::LogHistory(batches) => {
            logs::take_history(ui, batches);
            Vec::new()
        }
        Message::LogFinds { ticket, answer } => {
            past::take(ui, ticket, answer);
            Vec::new()
        }
        Message::Worked => Vec::new(),
        Message::Patterns(answer) => {
            patterns::take(ui, answer);
            Vec::new()
        }
        Message::Replied { request, reply } => {
            match reply {
                Ok(reply) => replied(ui, request, reply),
                Err(gone) => say(ui, Severity::Error, gone.to_string(), None),
            }
            Vec::new()
        }
        Message::Themes(themes) => {
            modal::open_themes(ui, themes);
            Vec::new()
        }
        Message::Edited => vec![service::ask(crate::model::command::Command::Reload)],
        Message::ReloadAsked => vec![service::reload_for_signal()],
        Message::Said { severity, text } => {
            say(ui, severity, text, None);
            Vec::new()
        }
    };
    settle(ui);
    ui.stale = true;
    effects.extend(past::ask(ui));
    effects.extend(patterns::ask(ui));
    effects
}

fn key(ui: &mut Ui, event: KeyEvent) -> Vec<UiEffect> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    if ui.prompt.is_some() {
        return prompt::key(ui, event);
    }
    match ui.modal {
        Some(Modal::Palette(_)) => prompt::palette_key(ui, event),
        Some(Modal::Confirm { .. } | Modal::Leave { .. }) => {
            ui.keymap.action(Layer::Confirm, &event).map_or_else(Vec::new, |action| modal::answer(ui, action))
        }
        Some(Modal::Signals { .. } | Modal::Themes { .. } | Modal::Text { .. } | Modal::Share(_)) => {
            ui.keymap.action(Layer::Screen, &event).map_or_else(Vec::new, |action| modal::act(ui, action))
        }
        None => {
            let layers =
                if ui.focus == Pane::Logs { [Layer::Logs, Layer::Screen] } else { [Layer::Screen, Layer::Logs] };
            let action = layers.into_iter().find_map(|layer| ui.keymap.action(layer, &event));
            action.map_or_else(Vec::new, |action| act(ui, action))
        }
    }
}

/// Does what a key or the palette asks for on the panes.
pub(crate) fn act(ui: &mut Ui, action: Action) -> Vec<UiEffect> {
    if ui.access == Access::Looking && action.is_wish() {
        say_only_looking(ui);
        return Vec::new();
    }
    match action {
        Action::Global(key) => global::act(ui, key),
        Action::List(key) => list::act(ui, key),
        Action::Service(key) => service::act(ui, key),
        Action::Logs(key) => logs::act(ui, key),
        Action::Prompt(_) | Action::Confirm(_) => Vec::new(),
    }
}

/// Shows a sentence for a few seconds.
pub(crate) fn say(ui: &mut Ui, severity: Severity, text: String, hint: Option<String>) {
    let until = ui.snapshot.at.plus(TOAST);
    ui.toast = Some(Toast { severity, text, hint, until });
}

fn replied(ui: &mut Ui, request: Request, reply: Reply) {
    project::answered(ui, &request, &reply);
    match reply {
        Reply::Accepted { note } | Reply::Unchanged { note } => say(ui, Severity::Info, note, None),
        Reply::Planned { plan } | Reply::NeedsConsent { plan } => ui.modal = Some(Modal::Confirm { request, plan }),
        Reply::Refused { reason, hint } => say(ui, Severity::Error, reason, hint),
    }
}

fn take_snapshot(ui: &mut Ui, snapshot: Arc<Snapshot>) {
    if ui.toast.as_ref().is_some_and(|toast| snapshot.at.has_reached(toast.until)) {
        ui.toast = None;
    }
    let first = ui.snapshot.services.is_empty() && !snapshot.services.is_empty();
    ui.host.look(&snapshot);
    ui.snapshot = snapshot;
    let services = &ui.snapshot.services;
    let is_there = |id: &ServiceId| services.iter().any(|service| service.id == *id);
    if !ui.services.marks.iter().all(is_there) {
        let marks = ui.services.marks.iter().filter(|id| is_there(id)).cloned().collect();
        ui.services.marks = marks;
    }
    if first {
        let wanted = ui.wanted_project.as_ref();
        let start = services.iter().find(|service| wanted.is_none_or(|project| service.id.project == *project));
        ui.services.selected = start.or_else(|| services.first()).map(|service| service.id.clone());
    }
    project::has_opened(ui);
    if ui.leaving == Leaving::StoppingAll {
        ui.toast = None;
    }
}

/// Shows the newest of the entries that are new and loud enough, and rings.
fn alert(ui: &mut Ui) -> Option<UiEffect> {
    let level = ui.alerts.level?;
    let newest = ui.snapshot.timeline.last().map(|entry| entry.seq);
    let before = ui.alerts.seen.replace(newest.unwrap_or(0));
    // What happened before this console was opened is on the timeline. Another engine counts anew.
    let before = before?;
    let since = if newest.is_some_and(|newest| newest < before) { 0 } else { before };
    let entry =
        ui.snapshot.timeline.iter().rev().take_while(|entry| entry.seq > since).find(|entry| level.takes(entry));
    let entry = entry?;
    let who = entry.service.as_ref().map(|service| format!("{service}: ")).unwrap_or_default();
    let (severity, text) = (entry.severity(), format!("{who}{}", entry.sentence()));
    say(ui, severity, text, None);
    Some(UiEffect::Ring)
}

/// Sentences for this terminal's desktop that are new. Those from before this console was opened were told to others.
fn desktop_news(ui: &mut Ui) -> Vec<UiEffect> {
    let news = &ui.snapshot.alerts.desktop;
    let newest = news.last().map_or(0, |notice| notice.seq);
    let Some(before) = ui.alerts.told.replace(newest) else { return Vec::new() };
    // Another engine counts anew.
    let since = if newest < before { 0 } else { before };
    news.iter().filter(|notice| notice.seq > since).cloned().map(UiEffect::Notify).collect()
}

/// Brings every selection back to something that exists and can be seen.
fn settle(ui: &mut Ui) {
    settle_projects(ui);
    settle_services(ui);
    settle_timeline(ui);
    containers::settle(ui);
    patterns::settle(ui);
    logs::settle(ui);
}

fn settle_projects(ui: &mut Ui) {
    let rows = ui.project_rows();
    let len = rows.len();
    let found = ui.projects.selected.as_ref().and_then(|root| rows.iter().position(|project| project.root == *root));
    let place = found.unwrap_or_else(|| ui.projects.view.selected().min(len.saturating_sub(1)));
    let selected = rows.get(place).map(|project| project.root.clone());
    let height = ui.pane_height(Pane::Projects);
    ui.projects.selected = selected;
    select(&mut ui.projects.view, place, len, height);
}

fn settle_services(ui: &mut Ui) {
    let rows = ui.service_rows();
    let len = rows.len();
    let is_selected = |row: &ServiceRow<'_>| match row {
        ServiceRow::Service(index) => Some(&ui.snapshot.services[*index].id) == ui.services.selected.as_ref(),
        ServiceRow::Project(_) => false,
    };
    let found = rows.iter().position(is_selected);
    let place = found.or_else(|| nearest_service(&rows, ui.services.view.selected(), false));
    let selected = place.and_then(|place| match rows[place] {
        ServiceRow::Service(index) => Some(ui.snapshot.services[index].id.clone()),
        ServiceRow::Project(_) => None,
    });
    let height = ui.pane_height(Pane::Services);
    ui.services.selected = selected;
    if place == Some(1) {
        // A heading above the first service is shown with it.
        select(&mut ui.services.view, 0, len, height);
    }
    select(&mut ui.services.view, place.unwrap_or(0), len, height);
}

/// The row of a service at `from` or the nearest one, looked for first upwards or first downwards.
fn nearest_service(rows: &[ServiceRow<'_>], from: usize, up_first: bool) -> Option<usize> {
    nearest(rows, from, up_first, |row| match row {
        ServiceRow::Service(_) => true,
        ServiceRow::Project(_) => false,
    })
}

/// The row at `from`, or the nearest one, that can be selected.
fn nearest<R>(rows: &[R], from: usize, up_first: bool, can_be_selected: impl Fn(&R) -> bool) -> Option<usize> {
    let from = from.min(rows.len().checked_sub(1)?);
    let up = (0..=from).rev().find(|place| can_be_selected(&rows[*place]));
    let down = (from..rows.len()).find(|place| can_be_selected(&rows[*place]));
    if up_first { up.or(down) } else { down.or(up) }
}

/// Moves the selection of the services, past headings.
fn move_services(ui: &mut Ui, motion: Motion) {
    let rows = ui.service_rows();
    let wanted = motion.apply(ui.services.view.selected(), rows.len());
    let Some(place) = nearest_service(&rows, wanted, motion.is_up()) else { return };
    if let ServiceRow::Service(index) = rows[place] {
        let id = ui.snapshot.services[index].id.clone();
        ui.services.selected = Some(id);
    }
}

fn settle_timeline(ui: &mut Ui) {
    let rows = ui.timeline_rows();
    let len = rows.len();
    let found = ui.timeline.selected.and_then(|seq| rows.iter().position(|entry| entry.seq == seq));
    let place = match ui.timeline.selected {
        None => 0,
        Some(_) => found.unwrap_or_else(|| ui.timeline.view.selected().min(len.saturating_sub(1))),
    };
    // At the newest entry the selection stays with the newest.
    let selected = if place == 0 { None } else { rows.get(place).map(|entry| entry.seq) };
    let height = ui.pane_height(Pane::Timeline);
    ui.timeline.selected = selected;
    select(&mut ui.timeline.view, place, len, height);
}
