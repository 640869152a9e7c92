//! Keys that work everywhere.

use std::path::PathBuf;

use super::{containers, logs, modal, patterns, say, service::ask};
use crate::{
    host::handle::Link,
    model::{
        command::{Command, Targets},
        timeline::Severity,
    },
    tui::{
        action::GlobalKey,
        layout::Areas,
        message::UiEffect,
        modals::{
            Modal,
            palette::Palette,
            text::{Subject, TextKind},
        },
        ui::{Divider, Leaving, Pane, Splits, Ui},
    },
};

/// Percent that one press of a resize key moves a border.
const STEP: i32 = 4;

pub(super) fn act(ui: &mut Ui, action: GlobalKey) -> Vec<UiEffect> {
    match action {
        GlobalKey::Quit => return quit(ui),
        GlobalKey::Suspend => return vec![UiEffect::Suspend],
        GlobalKey::Repaint => return vec![UiEffect::Repaint],
        GlobalKey::PickTheme => return vec![UiEffect::LoadThemes],
        GlobalKey::StartAll => return vec![ask(Command::Start { targets: everyone() })],
        GlobalKey::StopAll => return vec![ask(Command::Stop { targets: everyone(), grace: None })],
        GlobalKey::EditProject => return edit(ui),
        GlobalKey::ToggleMouse => return toggle_mouse(ui),
        GlobalKey::FocusNext => ui.focus = neighbour(ui.focus, 1),
        GlobalKey::FocusPrevious => ui.focus = neighbour(ui.focus, Pane::ALL.len() - 1),
        GlobalKey::ProjectsPane => ui.focus = Pane::Projects,
        GlobalKey::ServicesPane => ui.focus = Pane::Services,
        GlobalKey::GraphsPane => ui.focus = Pane::Graphs,
        GlobalKey::LogsPane => ui.focus = Pane::Logs,
        GlobalKey::TimelinePane => ui.focus = Pane::Timeline,
        GlobalKey::ContainersPane => containers::toggle(ui),
        GlobalKey::PatternsPane => patterns::toggle(ui),
        GlobalKey::Help => ui.modal = Some(Modal::text(TextKind::Help)),
        GlobalKey::Palette => ui.modal = Some(Modal::Palette(Box::new(Palette::new(ui)))),
        GlobalKey::ShowProblems => ui.modal = Some(Modal::text(TextKind::Problems)),
        GlobalKey::Why => why(ui),
        // It has the whole screen already.
        GlobalKey::Zoom if ui.focus.is_alone() => {}
        GlobalKey::Zoom => ui.zoomed = !ui.zoomed,
        GlobalKey::Back => back(ui),
        GlobalKey::Wider => resize(ui, Some(Divider::Column), STEP),
        GlobalKey::Narrower => resize(ui, Some(Divider::Column), -STEP),
        GlobalKey::Taller => resize(ui, None, STEP),
        GlobalKey::Shorter => resize(ui, None, -STEP),
        GlobalKey::Fit => ui.splits = Splits::default(),
    }
    Vec::new()
}

/// Moves a border; none: the one below or above the focused pane.
fn resize(ui: &mut Ui, divider: Option<Divider>, percent: i32) {
    let Some(areas) = Areas::of(ui) else { return };
    let Some(divider) = divider.or_else(|| areas.divider_of(ui.focus)) else { return };
    let Some(place) = areas.place_of(divider) else { return };
    let room = if divider == Divider::Column { areas.body.width } else { areas.body.height };
    let place = i32::from(place) + i32::from(room) * percent / 100;
    areas.move_to(&mut ui.splits, divider, u16::try_from(place).unwrap_or(0));
}

fn neighbour(pane: Pane, step: usize) -> Pane {
    let place = Pane::ALL.iter().position(|known| *known == pane).unwrap_or(0);
    Pane::ALL[(place + step) % Pane::ALL.len()]
}

fn toggle_mouse(ui: &mut Ui) -> Vec<UiEffect> {
    ui.mouse = !ui.mouse;
    let text = if ui.mouse { "the mouse is cas's again" } else { "the mouse is the terminal's: select text with it" };
    say(ui, Severity::Info, text.to_owned(), None);
    vec![UiEffect::CaptureMouse(ui.mouse)]
}

const fn everyone() -> Targets {
    Targets { services: Vec::new(), all: true }
}

pub(super) fn quit(ui: &mut Ui) -> Vec<UiEffect> {
    if ui.leaving == Leaving::StoppingAll {
        return vec![UiEffect::Quit];
    }
    let running = ui.services_up();
    match ui.link {
        Link::Local if running > 0 => {
            ui.modal = Some(Modal::Leave { running });
            Vec::new()
        }
        Link::Local | Link::Connected | Link::Retrying { .. } => vec![UiEffect::Quit],
    }
}

/// One step back: the toast, a selection or a filter of the focused pane, the view of containers, the zoom, the marks.
fn back(ui: &mut Ui) {
    if ui.toast.take().is_some() || modal::clear_selection(ui) {
        return;
    }
    let was_filtered = match ui.focus {
        Pane::Projects => ui.projects.pattern.take().is_some(),
        Pane::Services => ui.services.pattern.take().is_some(),
        Pane::Logs => logs::drop_last(ui),
        Pane::Timeline => ui.timeline.pattern.take().is_some(),
        Pane::Containers => ui.containers.pattern.take().is_some(),
        Pane::Patterns => ui.patterns.pattern.take().is_some(),
        Pane::Graphs => false,
    };
    if was_filtered {
        return;
    }
    if ui.focus == Pane::Containers {
        containers::toggle(ui);
    } else if ui.focus == Pane::Patterns {
        patterns::toggle(ui);
    } else if ui.zoomed {
        ui.zoomed = false;
    } else if ui.services.marks.is_empty() {
        ui.focus = Pane::Services;
    } else {
        ui.services.marks.clear();
    }
}

/// Asks why the selected thing is as it is: an entry, a service, else a project as a whole.
fn why(ui: &mut Ui) {
    let service = || ui.services.selected.clone().map(Subject::Service);
    let project = || {
        let named = ui.selected_project().filter(|project| project.open).map(|project| project.name.clone());
        Subject::Project(named.filter(|_| ui.focus == Pane::Projects))
    };
    if ui.loose().is_some() {
        containers::detail(ui);
        return;
    }
    let of_container = || ui.targets().first().map(|service| Subject::Service(service.id.clone()));
    let subject = match ui.focus {
        Pane::Containers => of_container(),
        Pane::Projects => None,
        Pane::Services | Pane::Graphs | Pane::Logs | Pane::Patterns => service(),
        Pane::Timeline => ui.selected_entry().cloned().map(Subject::Entry),
    };
    let subject = subject.unwrap_or_else(project);
    ui.modal = Some(Modal::text(TextKind::Why(subject)));
}

fn edit(ui: &mut Ui) -> Vec<UiEffect> {
    let place = match ui.focus {
        Pane::Projects => None,
        Pane::Services | Pane::Graphs | Pane::Logs | Pane::Timeline | Pane::Containers | Pane::Patterns => {
            ui.targets().first().map(|service| (service.source.file.clone(), Some(service.source.line)))
        }
    };
    let selected = ui.projects.selected.as_ref();
    let project = || ui.snapshot.projects.iter().find(|p| p.open && selected.is_none_or(|root| p.root == *root));
    let any: Option<(PathBuf, Option<u32>)> = place
        .or_else(|| project().map(|project| (project.file.clone(), None)))
        .or_else(|| ui.project_file.clone().map(|file| (file, None)));
    if let Some((file, line)) = any {
        return vec![UiEffect::Edit { file, line }];
    }
    say(ui, Severity::Warning, "no project is open, so there is no file to edit".to_owned(), None);
    Vec::new()
}
